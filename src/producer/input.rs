//! A recording, a table, a store or a stream, read ahead on a thread of its own.
//!
//! Reading may block for ever (a pipe that nobody writes to), so it must not happen on a thread that the clean end
//! waits for. The thread is bounded by the queue that it fills, and ends with the process or when the queue is gone.

use std::fs::File;
use std::io::{Cursor, Read};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::{io, thread, vec};

use thiserror::Error;
use tokio::sync::mpsc;
use tracing::warn;

use crate::model::{Price, Reject, Symbol, Tick, Timestamp};
use crate::producer::Source;
use crate::sources::{Format, Rejections, Replay, ReplayError, TickFilter};
use crate::storage::db::{SelectionError, StoreReader, StoreUrl, TickRow};
use crate::storage::{PARQUET_MAGIC, ParquetError, ParquetReader};

/// Ticks handed over at a time when more of them can be read without waiting.
const CHUNK_TICKS: usize = 512;

/// Chunks read ahead: enough that a disk's latency never shows in the pace.
const CHUNKS_AHEAD: usize = 16;

/// Why an input cannot be played, or not to its end.
#[derive(Debug, Error)]
pub enum InputError {
    /// A text.
    #[error(transparent)]
    Recording(#[from] ReplayError),
    /// A file of typed columns.
    #[error(transparent)]
    Table(#[from] ParquetError),
    /// A file of typed columns, and nothing in it.
    #[error("it has no rows")]
    NoRows,
    /// A store.
    #[error(transparent)]
    Store(#[from] SelectionError),
}

/// How reading went.
#[derive(Debug, Default)]
pub(super) struct InputReport {
    /// Rows that were no ticks.
    pub(super) rejections: Rejections,
    /// Why there is nothing to play, or nothing more.
    pub(super) error: Option<InputError>,
}

/// What the thread tells beside its ticks.
#[derive(Debug, Default)]
struct Told {
    /// Written once a chunk, read at the end of the run.
    report: Mutex<InputReport>,
    /// Times of the first and the last tick, if they are known beforehand.
    span: OnceLock<(Timestamp, Timestamp)>,
}

/// The ticks of an input, in order.
pub(super) struct Input {
    chunks: mpsc::Receiver<Vec<Tick>>,
    chunk: vec::IntoIter<Tick>,
    told: Arc<Told>,
}

impl Input {
    /// Starts to read anything but a market.
    pub(super) fn start(source: Source) -> io::Result<Self> {
        let (chunks, taken) = mpsc::channel(CHUNKS_AHEAD);
        let told = Arc::new(Told::default());
        let mut out = Out { chunks, ticks: Vec::with_capacity(CHUNK_TICKS), told: Arc::clone(&told) };
        thread::Builder::new().name("input".to_owned()).spawn(move || {
            let error = play(source, &mut out).err();
            lock(&out.told.report).error = error;
        })?;
        Ok(Self { chunks: taken, chunk: Vec::new().into_iter(), told })
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

    /// How much of the time that is to be played lies before the next tick, from 0 to 1; `None` where that is not
    /// known.
    pub(super) fn share(&self) -> Option<f64> {
        let (first, last) = self.told.span.get()?;
        let since_first_ns = |at: &Timestamp| (at.as_nanos().saturating_sub(first.as_nanos())) as f64;
        let whole_ns = since_first_ns(last);
        let share = if whole_ns > 0.0 { since_first_ns(&self.peek()?.timestamp) / whole_ns } else { 0.0 };
        Some(share.clamp(0.0, 1.0))
    }

    /// How reading went so far.
    pub(super) fn into_report(self) -> InputReport {
        std::mem::take(&mut *lock(&self.told.report))
    }
}

fn lock(report: &Mutex<InputReport>) -> MutexGuard<'_, InputReport> {
    // The report is replaced as a whole, so it is sound even after a panic.
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's end of the queue.
struct Out {
    chunks: mpsc::Sender<Vec<Tick>>,
    ticks: Vec<Tick>,
    told: Arc<Told>,
}

impl Out {
    /// Hands over what is there. False when nobody wants any more.
    fn hand_over(&mut self) -> bool {
        if self.ticks.is_empty() {
            return true;
        }
        let chunk = std::mem::replace(&mut self.ticks, Vec::with_capacity(CHUNK_TICKS));
        self.chunks.blocking_send(chunk).is_ok()
    }

    fn tell(&self, rejections: &Rejections) {
        lock(&self.told.report).rejections.clone_from(rejections);
    }

    /// Tells within which times the ticks lie, in nanoseconds and both included.
    fn tell_span(&self, first_ns: i64, last_ns: i64) {
        let at = Timestamp::saturating_from_nanos;
        // There is one span an input.
        let _ = self.told.span.set((at(first_ns), at(last_ns)));
    }
}

fn play(source: Source, out: &mut Out) -> Result<(), InputError> {
    match source {
        Source::Market(_) => Ok(()),
        Source::Recording { input, name, format, selection, must_hold_ticks } => {
            Ok(play_lines(Replay::open(input, format, selection)?, &name, must_hold_ticks, out)?)
        }
        Source::File { mut file, name, selection } => {
            let start = first_bytes(&mut file).map_err(|error| ReplayError::Read { line: 0, error })?;
            if start == PARQUET_MAGIC {
                return play_table(file, &name, &selection, out);
            }
            let whole = Box::new(Cursor::new(start).chain(file));
            Ok(play_lines(Replay::open(whole, Format::Detect, selection)?, &name, true, out)?)
        }
        Source::Store { url, selection } => play_store(&url, &selection, out),
    }
}

/// As many bytes as tell a table from a text.
fn first_bytes(file: &mut File) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(PARQUET_MAGIC.len());
    file.take(PARQUET_MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start)
}

fn play_lines(mut recording: Replay, name: &str, must_hold_ticks: bool, out: &mut Out) -> Result<(), ReplayError> {
    loop {
        let noted = |cause, line| warn!("{name}, line {line}: {cause}; such lines are counted and passed over");
        let more = recording.read_line(Timestamp::now(), &mut out.ticks, noted);
        let waits = !matches!(more, Ok(true)) || !recording.is_ready();
        if waits || out.ticks.len() >= CHUNK_TICKS {
            out.tell(recording.rejections());
            if !out.hand_over() {
                return Ok(());
            }
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

fn play_table(file: File, name: &str, selection: &TickFilter, out: &mut Out) -> Result<(), InputError> {
    let mut table = ParquetReader::open(file, selection)?;
    if let Some((first_ns, last_ns)) = table.span() {
        let first_ns = selection.from.map_or(first_ns, |from| from.as_nanos().max(first_ns));
        out.tell_span(first_ns, selection.to.map_or(last_ns, |to| to.as_nanos().min(last_ns)));
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
            Err(cause) => note(&mut rejections, name, row, cause),
        });
        out.tell(&rejections);
        if !out.hand_over() {
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

fn note(rejections: &mut Rejections, name: &str, row: u64, cause: Reject) {
    if rejections.add(cause, row) {
        warn!("{name}, row {row}: {cause}; such rows are counted and passed over");
    }
}

fn play_store(url: &StoreUrl, selection: &TickFilter, out: &mut Out) -> Result<(), InputError> {
    let mut reader = StoreReader::open(url).map_err(SelectionError::from)?;
    let (first_ns, last_ns) = reader.resolve(selection)?;
    out.tell_span(first_ns, last_ns);
    let (name, mut rejections, mut row, mut played) = (url.to_string(), Rejections::of_rows(), 0, 0_u64);
    let read = reader.read_selection(selection, &mut |kept| {
        row += 1;
        match tick_of(kept) {
            Ok(tick) => {
                played += 1;
                out.ticks.push(tick);
            }
            Err(cause) => note(&mut rejections, &name, row, cause),
        }
        if out.ticks.len() < CHUNK_TICKS {
            return ControlFlow::Continue(());
        }
        out.tell(&rejections);
        if out.hand_over() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    out.tell(&rejections);
    out.hand_over();
    read?;
    match (played, rejections.counts().total()) {
        (0, 1..) => Err(ReplayError::NoTick(rejections.summary()).into()),
        _ => Ok(()),
    }
}

/// The tick as it is published again. Stores hold what was checked, unless somebody wrote into them.
fn tick_of(kept: &TickRow) -> Result<Tick, Reject> {
    Ok(Tick {
        symbol: Symbol::new(&kept.symbol).ok_or(Reject::Symbol)?,
        price: Price::new(kept.price).ok_or(Reject::NotFinite)?,
        timestamp: Timestamp::from_nanos(kept.time_ns).ok_or(Reject::BeforeEpoch)?,
        size: kept.size,
        seq: None,
        source: None,
    })
}
