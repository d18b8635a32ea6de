//! A recording or a stream, read ahead on a thread of its own.
//!
//! Reading may block for ever (a pipe that nobody writes to), so it must not happen on a thread that the clean end
//! waits for. The thread is bounded by the queue that it fills, and ends with the process or when the queue is gone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, thread, vec};

use tokio::sync::mpsc;
use tracing::warn;

use crate::market::{Recording, RecordingError, Rejections};
use crate::model::{Tick, Timestamp};
use crate::producer::Source;

/// Ticks handed over at a time when more of them can be read without waiting.
const CHUNK_TICKS: usize = 512;

/// Chunks read ahead: enough that a disk's latency never shows in the pace.
const CHUNKS_AHEAD: usize = 16;

/// How reading went.
#[derive(Debug, Default)]
pub(super) struct InputReport {
    /// Rows that were no ticks.
    pub(super) rejections: Rejections,
    /// Why there is nothing to play, or nothing more.
    pub(super) error: Option<RecordingError>,
}

/// The ticks of an input, in order.
pub(super) struct Input {
    chunks: mpsc::Receiver<Vec<Tick>>,
    chunk: vec::IntoIter<Tick>,
    /// Written by the thread once a chunk, read at the end of the run.
    report: Arc<Mutex<InputReport>>,
}

impl Input {
    /// Starts to read.
    pub(super) fn start(job: Job) -> io::Result<Self> {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let report = Arc::new(Mutex::new(InputReport::default()));
        let shared = Arc::clone(&report);
        thread::Builder::new().name("input".to_owned()).spawn(move || {
            let error = job.read(&sender, &shared).err();
            lock(&shared).error = error;
        })?;
        Ok(Self { chunks, chunk: Vec::new().into_iter(), report })
    }

    /// The next tick, if one has been read already.
    pub(super) fn peek(&self) -> Option<&Tick> {
        self.chunk.as_slice().first()
    }

    /// Takes the next tick, if one has been read already.
    pub(super) fn next(&mut self) -> Option<Tick> {
        self.chunk.next()
    }

    /// Waits for more. False at the end.
    pub(super) async fn refill(&mut self) -> bool {
        match self.chunks.recv().await {
            Some(chunk) => {
                self.chunk = chunk.into_iter();
                true
            }
            None => false,
        }
    }

    /// How reading went so far.
    pub(super) fn into_report(self) -> InputReport {
        std::mem::take(&mut *lock(&self.report))
    }
}

fn lock(report: &Mutex<InputReport>) -> MutexGuard<'_, InputReport> {
    // The report is replaced as a whole, so it is sound even after a panic.
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the thread needs.
pub(super) struct Job {
    /// A [`Source::Recording`].
    pub(super) source: Source,
}

impl Job {
    fn read(self, chunks: &mpsc::Sender<Vec<Tick>>, report: &Mutex<InputReport>) -> Result<(), RecordingError> {
        let Source::Recording { input, name, format, selection, must_hold_ticks } = self.source else { return Ok(()) };
        let mut recording = Recording::open(input, format, selection)?;
        let mut ticks = Vec::with_capacity(CHUNK_TICKS);
        loop {
            let noted = |cause, line| warn!("{name}, line {line}: {cause}; such lines are counted and passed over");
            let more = recording.read_line(Timestamp::now(), &mut ticks, noted);
            let waits = !matches!(more, Ok(true)) || !recording.is_ready();
            if waits || ticks.len() >= CHUNK_TICKS {
                lock(report).rejections.clone_from(recording.rejections());
                let chunk = std::mem::replace(&mut ticks, Vec::with_capacity(CHUNK_TICKS));
                if !chunk.is_empty() && chunks.blocking_send(chunk).is_err() {
                    return Ok(());
                }
            }
            if !more? {
                break;
            }
        }
        match recording.check_played() {
            Err(RecordingError::Empty) if !must_hold_ticks => Ok(()),
            checked => checked,
        }
    }
}
