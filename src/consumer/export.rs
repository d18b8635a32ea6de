//! Export of the ticks in view to a file: every tick, not the points that a line needs.
//!
//! Rows are in order of time. Ticks of equal time are in the order of the legend, those of one symbol in order of
//! arrival, with outliers last: the order of a time-and-sales record, and the one that programs expect which join
//! tables by time.
//!
//! History that was loaded from a database for display is included. What the chart marks as not read is not, and the
//! user is told.
//!
//! The series are neither copied nor locked for long: a few thousand ticks of one symbol are taken under each lock, and
//! written outside of it while the feed goes on. The file is therefore not a snapshot of one instant: a late tick is
//! included if its place was not written yet, and an evicted one is missing if it was not read yet. At exit nothing
//! changes any more.

mod job;
mod stored;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{info, warn};

use crate::chart::{HistorySnapshot, VisibleTicks};
use crate::consumer::args::Config;
use crate::consumer::backfill::Backfill;
use crate::consumer::series_handle::SeriesHandle;
use crate::model::{Symbol, TimeSpan, display_safe};
use crate::series::{MergedSeries, Series, SeriesMap, SeriesTick};
use crate::storage::{Origin, Row, TickColumns, TickFile, TickFileError, TickFormat};
pub(super) use job::{ExportJob, file_name};
pub use stored::{StoredExportError, export_stored};

/// Most ticks that wait to be written, of all symbols together: 1.5 MB.
const BUFFERED_TICKS_MAX: usize = 65_536;

/// Most ticks taken under one lock: 0.1 ms, so that a waiting frame or batch is not late.
const CHUNK_TICKS_MAX: usize = 8_192;

/// Fewest ticks taken under one lock, however many symbols there are: below it, the lock costs more than the ticks.
const CHUNK_TICKS_MIN: usize = 16;

/// Source of the ticks in view: memory, and the history loaded from a database.
#[derive(Clone)]
pub(super) struct ExportSource {
    pub(super) series: SeriesHandle,
    pub(super) backfill: Option<Arc<Backfill>>,
}

/// Writes the visible ticks if `--export` asks for it.
pub(super) fn write_requested(
    config: &Config,
    source: &ExportSource,
    visible: &VisibleTicks,
) -> Result<(), TickFileError> {
    let Some((path, format)) = &config.export else { return Ok(()) };
    let saved =
        write(source, &visible.symbols, visible.span, path, *format, &AtomicBool::new(false))?.unwrap_or_default();
    info!("saved {} ticks to {}", saved.rows, display_safe(&path.display().to_string()));
    if !saved.is_complete {
        warn!("the file lacks older ticks in view that were not read from the store; --from and --to export them");
    }
    Ok(())
}

/// Result of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Saved {
    rows: u64,
    /// False if part of the view was not read from the database yet.
    is_complete: bool,
}

/// Writes all ticks of `symbols` (indices) within `span`. Returns `None`, and leaves no file behind, if `stop` is set
/// meanwhile.
fn write(
    source: &ExportSource,
    symbols: &[usize],
    span: TimeSpan,
    path: &Path,
    format: TickFormat,
    stop: &AtomicBool,
) -> Result<Option<Saved>, TickFileError> {
    let mut file = TickFile::create(path, format, TickColumns::Bare)?;
    // Each symbol has two cursors.
    let chunk_ticks = (BUFFERED_TICKS_MAX / symbols.len().max(1) / 2).clamp(CHUNK_TICKS_MIN, CHUNK_TICKS_MAX);
    // The snapshot keeps the loaded history alive even if the view changes during the export.
    let history = source.backfill.as_ref().map(|backfill| backfill.snapshot());
    let series = &source.series;
    let is_complete = history.as_ref().is_none_or(|history| history.unknown(&series.lock(), symbols, span).is_empty());
    let both = |&symbol: &usize| [(symbol, false), (symbol, true)];
    let open = |(symbol, outlier)| Cursor::open(&series.lock(), history.as_ref(), symbol, outlier, span);
    let mut cursors: Vec<Cursor> = symbols.iter().flat_map(both).filter_map(open).collect();
    // Cursors by the time of their next tick, then in the order of the legend.
    let mut order: BinaryHeap<Reverse<(i64, usize)>> = BinaryHeap::with_capacity(cursors.len());
    for (number, cursor) in cursors.iter_mut().enumerate() {
        order.extend(cursor.peek(series, chunk_ticks).map(|time_ns| Reverse((time_ns, number))));
    }
    while let Some(mut next) = order.peek_mut() {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let cursor = &mut cursors[next.0.1];
        if let Some(row) = cursor.take() {
            file.write(&row)?;
        }
        match cursor.peek(series, chunk_ticks) {
            Some(time_ns) => next.0.0 = time_ns,
            None => drop(PeekMut::pop(next)),
        }
    }
    file.finish().map(|rows| Some(Saved { rows, is_complete }))
}

/// Cursor over one symbol's ticks, or over its outliers.
struct Cursor {
    /// Index of the symbol.
    index: usize,
    /// Loaded history, until all of it is taken.
    history: Option<Arc<HistorySnapshot>>,
    outlier: bool,
    symbol: Symbol,
    /// Chunk taken from the series.
    ticks: Vec<SeriesTick>,
    /// Next tick of the chunk.
    at: usize,
    /// Span still to be taken. It starts at the instant of the last tick taken.
    rest: TimeSpan,
    /// Ticks of that instant that were taken.
    taken: usize,
    /// Running number of that instant's first tick in the whole series. It tells how many of them were evicted since.
    first: u64,
}

impl Cursor {
    fn open(
        series: &SeriesMap,
        history: Option<&Arc<HistorySnapshot>>,
        index: usize,
        outlier: bool,
        span: TimeSpan,
    ) -> Option<Self> {
        let symbol = series.get(index)?.0.clone();
        let mut ticks = Vec::new();
        let mut history = history.cloned();
        if outlier {
            // Outliers are few. If memory has any it has all of its time: the loaded ones end where its own start.
            let end_ns = ticks_of(series, index, true).and_then(Series::oldest_ns).unwrap_or(i64::MAX);
            let before = TimeSpan { end: span.end.min(end_ns), ..span };
            ticks.extend(history.take().iter().flat_map(|history| history.loaded.outliers(index, before)));
        }
        Some(Self { index, history, outlier, symbol, ticks, at: 0, rest: span, taken: 0, first: 0 })
    }

    /// Time of the next tick; `None` after the last one.
    fn peek(&mut self, series: &SeriesHandle, chunk_ticks: usize) -> Option<i64> {
        if self.at == self.ticks.len() {
            self.refill(&series.lock(), chunk_ticks);
        }
        self.ticks.get(self.at).map(|tick| tick.time_ns)
    }

    fn take(&mut self) -> Option<Row<'_>> {
        let SeriesTick { time_ns, price, size } = *self.ticks.get(self.at)?;
        self.at += 1;
        let (symbol, outlier) = (self.symbol.as_str(), self.outlier);
        Some(Row { symbol, time_ns, price, size, outlier, origin: Origin::default() })
    }

    fn refill(&mut self, series: &SeriesMap, chunk_ticks: usize) {
        self.at = 0;
        self.ticks.clear();
        let Some(series) = ticks_of(series, self.index, self.outlier) else { return };
        if let Some(history) = self.history.take() {
            let merged = MergedSeries::new(series, Some(&history.loaded), self.index);
            self.ticks.extend(merged.loaded_ticks(self.rest, self.taken).take(chunk_ticks));
            if self.note_taken() {
                self.history = Some(history);
                return;
            }
            // The rest comes from memory, of which nothing is taken yet.
            let seam_ns = merged.complete_from_ns().unwrap_or(self.rest.start);
            (self.rest.start, self.taken) = (self.rest.start.max(seam_ns), 0);
        }
        let evicted = match series.oldest_ns() {
            Some(oldest_ns) if oldest_ns > self.rest.start => u64::MAX,
            Some(oldest_ns) if oldest_ns == self.rest.start => series.evicted().saturating_sub(self.first),
            _ => 0,
        };
        self.taken = self.taken.saturating_sub(usize::try_from(evicted).unwrap_or(usize::MAX));
        self.ticks.extend(series.iter_range_from(self.rest, self.taken).take(chunk_ticks));
        if self.note_taken() {
            let before = series.range(TimeSpan { start: i64::MIN, end: self.rest.start });
            self.first = series.evicted() + before.map_or(0, |before| before.count);
        }
    }

    /// Moves the start of the rest to the instant of the last tick taken. Returns false if none were taken.
    fn note_taken(&mut self) -> bool {
        let Some(last) = self.ticks.last() else { return false };
        let of_instant = self.ticks.iter().rev().take_while(|tick| tick.time_ns == last.time_ns).count();
        self.taken = if last.time_ns == self.rest.start { self.taken + of_instant } else { of_instant };
        self.rest.start = last.time_ns;
        true
    }
}

fn ticks_of(series: &SeriesMap, index: usize, outlier: bool) -> Option<&Series> {
    if outlier { series.outliers(index) } else { series.get(index).map(|(_, series)| series) }
}

#[cfg(test)]
mod tests;
