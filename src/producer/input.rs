//! Input of ticks: a recording, a table, a store or a pipe, read ahead on a thread of its own.
//!
//! A read may block forever, as of an idle pipe, so the shutdown does not wait for the thread. A bounded queue limits
//! how far it reads ahead. The thread ends when the queue is dropped, or with the process.

use std::fs::File;
use std::io::{Cursor, Read};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::{io, thread, vec};

use thiserror::Error;
use tokio::sync::mpsc;
use tracing::warn;

use crate::model::{Reject, Tick, TickView, Timestamp};
use crate::producer::Source;
use crate::sources::{Format, Rejections, Replay, ReplayError, TickFilter};
use crate::storage::db::{SelectionError, StoreReader, StoreUrl};
use crate::storage::{PARQUET_MAGIC, ParquetError, ParquetReader};

/// Ticks that are sent at a time when more can be read without blocking.
const CHUNK_TICKS: usize = 512;

/// Chunks that are read ahead: enough to hide the latency of a disk.
const CHUNKS_AHEAD: usize = 16;

/// Error of an input.
#[derive(Debug, Error)]
pub enum InputError {
    /// A text could not be read.
    #[error(transparent)]
    Recording(#[from] ReplayError),
    /// A Parquet file could not be read.
    #[error(transparent)]
    Table(#[from] ParquetError),
    /// A Parquet file is empty.
    #[error("it has no rows")]
    NoRows,
    /// A store could not be read.
    #[error(transparent)]
    Store(#[from] SelectionError),
}

/// Outcome of reading an input.
#[derive(Debug, Default)]
pub(super) struct InputReport {
    /// Rows that are not ticks.
    pub(super) rejections: Rejections,
    /// Error that ended the input.
    pub(super) error: Option<InputError>,
}

/// State that the reading thread shares besides its ticks.
#[derive(Debug, Default)]
struct InputState {
    /// Updated with each chunk, read at the end of the run.
    report: Mutex<InputReport>,
    /// Times of the first and the last tick, if known beforehand.
    span: OnceLock<(Timestamp, Timestamp)>,
}

/// Ticks of an input, in order.
pub(super) struct Input {
    chunks: mpsc::Receiver<Vec<Tick>>,
    chunk: vec::IntoIter<Tick>,
    state: Arc<InputState>,
}

impl Input {
    /// Starts to read any source except random ticks.
    pub(super) fn start(source: Source) -> io::Result<Self> {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let state = Arc::new(InputState::default());
        let mut out = TickSender { chunks: sender, ticks: Vec::with_capacity(CHUNK_TICKS), state: Arc::clone(&state) };
        thread::Builder::new().name("input".to_owned()).spawn(move || {
            let error = read(source, &mut out).err();
            lock(&out.state.report).error = error;
        })?;
        Ok(Self { chunks, chunk: Vec::new().into_iter(), state })
    }

    /// Returns the next tick, if it has been received.
    pub(super) fn peek(&self) -> Option<&Tick> {
        self.chunk.as_slice().first()
    }

    /// Removes the next tick, if it has been received.
    pub(super) fn next(&mut self) -> Option<Tick> {
        self.chunk.next()
    }

    /// Waits for more ticks. Returns whether there are any.
    pub(super) async fn refill(&mut self) -> bool {
        match self.chunks.recv().await {
            Some(chunk) => {
                self.chunk = chunk.into_iter();
                true
            }
            None => false,
        }
    }

    /// Returns how much of the time span lies before the next tick, from 0 to 1, if known.
    pub(super) fn progress(&self) -> Option<f64> {
        let (first, last) = self.state.span.get()?;
        let since_first_ns = |at: &Timestamp| (at.as_nanos().saturating_sub(first.as_nanos())) as f64;
        let span_ns = since_first_ns(last);
        let progress = if span_ns > 0.0 { since_first_ns(&self.peek()?.timestamp) / span_ns } else { 0.0 };
        Some(progress.clamp(0.0, 1.0))
    }

    /// Returns the outcome so far.
    pub(super) fn into_report(self) -> InputReport {
        std::mem::take(&mut *lock(&self.state.report))
    }
}

fn lock(report: &Mutex<InputReport>) -> MutexGuard<'_, InputReport> {
    // The report is consistent even after a panic.
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's end of the queue.
struct TickSender {
    chunks: mpsc::Sender<Vec<Tick>>,
    ticks: Vec<Tick>,
    state: Arc<InputState>,
}

impl TickSender {
    /// Reports the rejections so far and sends the chunk. Returns whether the receiver still exists.
    fn send(&mut self, rejections: &Rejections) -> bool {
        lock(&self.state.report).rejections.clone_from(rejections);
        if self.ticks.is_empty() {
            return true;
        }
        let chunk = std::mem::replace(&mut self.ticks, Vec::with_capacity(CHUNK_TICKS));
        self.chunks.blocking_send(chunk).is_ok()
    }

    /// Sets the times of the first and the last tick, in nanoseconds.
    fn set_span(&self, first_ns: i64, last_ns: i64) {
        let at = Timestamp::saturating_from_nanos;
        // An input sets its span once.
        let _ = self.state.span.set((at(first_ns), at(last_ns)));
    }
}

fn read(source: Source, out: &mut TickSender) -> Result<(), InputError> {
    match source {
        Source::Random(_) => Ok(()),
        Source::Recording { input, name, format, selection, must_hold_ticks } => {
            Ok(read_lines(Replay::open(input, format, selection)?, &name, must_hold_ticks, out)?)
        }
        Source::File { mut file, name, selection } => {
            let start = first_bytes(&mut file).map_err(|error| ReplayError::Read { line: 0, error })?;
            if start == PARQUET_MAGIC {
                return read_table(file, &name, &selection, out);
            }
            let input = Box::new(Cursor::new(start).chain(file));
            Ok(read_lines(Replay::open(input, Format::Detect, selection)?, &name, true, out)?)
        }
        Source::Store { url, selection } => read_store(&url, &selection, out),
    }
}

/// Reads the bytes that distinguish Parquet from text.
fn first_bytes(file: &mut File) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(PARQUET_MAGIC.len());
    file.take(PARQUET_MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start)
}

fn read_lines(
    mut recording: Replay,
    name: &str,
    must_hold_ticks: bool,
    out: &mut TickSender,
) -> Result<(), ReplayError> {
    loop {
        let on_reject = |cause, line| warn!("{name}, line {line}: {cause}; such lines are skipped and counted");
        let more = recording.read_line(Timestamp::now(), &mut out.ticks, on_reject);
        let would_block = !matches!(more, Ok(true)) || !recording.is_ready();
        if (would_block || out.ticks.len() >= CHUNK_TICKS) && !out.send(recording.rejections()) {
            return Ok(());
        }
        if !more? {
            break;
        }
    }
    match recording.check_played() {
        Err(ReplayError::Empty) if !must_hold_ticks => Ok(()),
        checked => checked,
    }
}

fn read_table(file: File, name: &str, selection: &TickFilter, out: &mut TickSender) -> Result<(), InputError> {
    let mut table = ParquetReader::open(file, selection)?;
    if let Some((first_ns, last_ns)) = table.span() {
        let first_ns = selection.from.map_or(first_ns, |from| from.as_nanos().max(first_ns));
        out.set_span(first_ns, selection.to.map_or(last_ns, |to| to.as_nanos().min(last_ns)));
    }
    let mut rejections = Rejections::of_rows();
    let (mut found, mut selected) = (table.rows_skipped(), 0_u64);
    loop {
        let more = table.read(Timestamp::now(), &mut |row, tick| match tick {
            Ok(tick) => {
                found += 1;
                if selection.contains(&tick) {
                    selected += 1;
                    out.ticks.push(tick);
                }
            }
            Err(cause) => reject(&mut rejections, name, row, cause),
        });
        if !out.send(&rejections) {
            return Ok(());
        }
        if !more? {
            break;
        }
    }
    match (selected, found, rejections.counts().total()) {
        (1.., _, _) => Ok(()),
        (0, 1.., _) => Err(ReplayError::NothingSelected.into()),
        (0, 0, 1..) => Err(ReplayError::NoTick(rejections.summary()).into()),
        (0, 0, 0) => Err(InputError::NoRows),
    }
}

fn reject(rejections: &mut Rejections, name: &str, row: u64, cause: Reject) {
    if rejections.add(cause, row) {
        warn!("{name}, row {row}: {cause}; such rows are skipped and counted");
    }
}

fn read_store(url: &StoreUrl, selection: &TickFilter, out: &mut TickSender) -> Result<(), InputError> {
    let mut reader = StoreReader::open(url).map_err(SelectionError::from)?;
    let (first_ns, last_ns) = reader.resolve(selection)?;
    out.set_span(first_ns, last_ns);
    let (name, mut rejections, mut row, mut valid) = (url.to_string(), Rejections::of_rows(), 0, 0_u64);
    let read = reader.read_selection(selection, &mut |stored| {
        row += 1;
        match stored.view() {
            Ok(tick) => {
                valid += 1;
                out.ticks.push(TickView { seq: None, source: None, ..tick }.to_tick());
            }
            Err(cause) => reject(&mut rejections, &name, row, cause),
        }
        if out.ticks.len() < CHUNK_TICKS {
            return ControlFlow::Continue(());
        }
        if out.send(&rejections) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    out.send(&rejections);
    read?;
    match (valid, rejections.counts().total()) {
        (0, 1..) => Err(ReplayError::NoTick(rejections.summary()).into()),
        _ => Ok(()),
    }
}
