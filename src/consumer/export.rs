//! The ticks in view, in a file: every one of them, not what a line of so many pixels needs.
//!
//! The file is in order of time; ticks of equal time are in the order of the legend, those of one symbol in order of
//! arrival, with those behind the others that a filter took for slips of the finger. This is what a tape is, and what
//! programs that join tables by time ask for.
//!
//! What memory has given up, and was read back from a store in order to be shown, is in it as well. What a picture
//! marks as not read is not: whoever asked is told.
//!
//! The book is never copied and never held for long: each symbol's next few thousand ticks are taken under a lock of
//! their own, and encoded and written outside of it, while the feed goes on. So the file is not the book at one
//! instant: a tick that comes late is in it if its place was not yet written, and one that gives way to newer ticks is
//! not if it was not yet read. At the exit nothing moves any more.

mod background;
mod stored;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{info, warn};

use crate::chart::Scene;
use crate::consumer::args::{Config, ExportFormat};
use crate::consumer::backfill::HistorySnapshot;
use crate::consumer::interaction::Until;
use crate::consumer::shared::Shared;
use crate::model::TimeSpan;
use crate::model::{Symbol, display_safe};
use crate::series::{MergedSeries, Series, SeriesMap, SeriesTick};
use crate::storage::{Origin, Row, TickColumns, TickFile, TickFileError, TickFormat};
pub(super) use background::Background;
pub use stored::{StoredExportError, export_stored};

/// Ticks that wait to be written, of all symbols together: 1.5 MB.
const WAITING_TICKS: usize = 65_536;

/// Most ticks taken under one lock: some 0.1 ms, so that a frame or a batch that waits for it is not late.
const AT_ONCE_MAX: usize = 8_192;

/// Fewest ticks taken at once, however many symbols there are: less, and the lock would cost more than the ticks.
const AT_ONCE_MIN: usize = 16;

/// The symbols that a picture shows, by their places in the book, and the time that it shows of them.
pub(super) fn in_view(scene: &Scene, until: Until) -> (Vec<usize>, TimeSpan) {
    let visible = scene.header.legend.iter().filter(|entry| entry.visible);
    let mut span = scene.chart.viewport.time;
    span.end = span.end.min(until.tick_ns.saturating_add(1)).max(span.start);
    (visible.map(|entry| entry.palette_index).collect(), span)
}

/// Writes what `scene` shows, if the user asked for it.
pub(super) fn write_asked(config: &Config, shared: &Shared, scene: &Scene, until: Until) -> Result<(), TickFileError> {
    let Some((path, format)) = &config.export else { return Ok(()) };
    let (symbols, span) = in_view(scene, until);
    let saved = write(shared, &symbols, span, path, *format)?;
    info!("saved {} ticks to {}", saved.rows, display_safe(&path.display().to_string()));
    if !saved.is_whole {
        warn!(
            "older ticks in view had not been read from the store and are not in the file; --from and --to write them"
        );
    }
    Ok(())
}

/// What a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Saved {
    /// How many ticks.
    pub(super) rows: u64,
    /// All that was in view; not so where a part had yet to be read from the store.
    pub(super) is_whole: bool,
}

/// Writes every tick that these symbols, by their places in the book, have within `span`.
pub(super) fn write(
    shared: &Shared,
    symbols: &[usize],
    span: TimeSpan,
    path: &Path,
    format: ExportFormat,
) -> Result<Saved, TickFileError> {
    write_until(shared, symbols, span, path, format, &AtomicBool::new(false)).map(Option::unwrap_or_default)
}

/// As [`write`]; breaks off, and leaves nothing behind, when `stop` says so: then `None`.
fn write_until(
    shared: &Shared,
    symbols: &[usize],
    span: TimeSpan,
    path: &Path,
    format: ExportFormat,
    stop: &AtomicBool,
) -> Result<Option<Saved>, TickFileError> {
    let mut file = TickFile::create(path, format.into(), TickColumns::Bare)?;
    // Two lanes a symbol.
    let at_once = (WAITING_TICKS / symbols.len().max(1) / 2).clamp(AT_ONCE_MIN, AT_ONCE_MAX);
    // What was read stays for as long as it is held here, also where the user looks elsewhere meanwhile.
    let recalled = shared.history().map(|history| history.recalled());
    let is_whole = recalled.as_ref().is_none_or(|recalled| recalled.unknown(&shared.book(), symbols, span).is_empty());
    let kinds = |&place: &usize| [(place, false), (place, true)];
    let open = |kind| Lane::open(&shared.book(), recalled.as_ref(), kind, span);
    let mut lanes: Vec<Lane> = symbols.iter().flat_map(kinds).filter_map(open).collect();
    // The lanes by the time of their next tick, then in the order of the legend.
    let mut order: BinaryHeap<Reverse<(i64, usize)>> = BinaryHeap::with_capacity(lanes.len());
    for (number, lane) in lanes.iter_mut().enumerate() {
        order.extend(lane.peek(shared, at_once).map(|time_ns| Reverse((time_ns, number))));
    }
    while let Some(mut next) = order.peek_mut() {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let lane = &mut lanes[next.0.1];
        if let Some(row) = lane.take() {
            file.write(&row)?;
        }
        match lane.peek(shared, at_once) {
            Some(time_ns) => next.0.0 = time_ns,
            None => drop(PeekMut::pop(next)),
        }
    }
    file.finish().map(|rows| Some(Saved { rows, is_whole }))
}

impl From<ExportFormat> for TickFormat {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Csv => Self::Csv,
            ExportFormat::Parquet => Self::Parquet,
        }
    }
}

/// One symbol's ticks, or its outliers, on their way into the file.
struct Lane {
    /// Its place in the book.
    place: usize,
    /// What was read of older ones, until all of that is taken.
    past: Option<Arc<HistorySnapshot>>,
    outlier: bool,
    symbol: Symbol,
    /// Taken from the book and not yet written, from `at` on.
    ticks: Vec<SeriesTick>,
    at: usize,
    /// What is still to be taken: from the instant of the last one taken on, ...
    rest: TimeSpan,
    /// ... of which so many have been taken.
    taken: usize,
    /// Running number, in the whole series, of that instant's first tick: tells which of them have given way since.
    first: u64,
}

impl Lane {
    fn open(
        book: &SeriesMap,
        recalled: Option<&Arc<HistorySnapshot>>,
        (place, outlier): (usize, bool),
        span: TimeSpan,
    ) -> Option<Self> {
        let symbol = book.get(place)?.0.clone();
        let mut ticks = Vec::new();
        let mut past = recalled.cloned();
        if outlier {
            // They are few. Where memory has any it has all: those that were read end where its own begin.
            let end_ns = series(book, place, true).and_then(Series::oldest_ns).unwrap_or(i64::MAX);
            let before = TimeSpan { end: span.end.min(end_ns), ..span };
            ticks.extend(past.take().iter().flat_map(|recalled| recalled.past.outliers(place, before)));
        }
        Some(Self { place, past, outlier, symbol, ticks, at: 0, rest: span, taken: 0, first: 0 })
    }

    /// Time of the next tick; `None` behind the last one.
    fn peek(&mut self, shared: &Shared, at_once: usize) -> Option<i64> {
        if self.at == self.ticks.len() {
            self.refill(&shared.book(), at_once);
        }
        self.ticks.get(self.at).map(|tick| tick.time_ns)
    }

    fn take(&mut self) -> Option<Row<'_>> {
        let SeriesTick { time_ns, price, size } = *self.ticks.get(self.at)?;
        self.at += 1;
        Some(Row {
            symbol: self.symbol.as_str(),
            time_ns,
            price,
            size,
            outlier: self.outlier,
            origin: Origin::default(),
        })
    }

    fn refill(&mut self, book: &SeriesMap, at_once: usize) {
        self.at = 0;
        self.ticks.clear();
        let Some(series) = series(book, self.place, self.outlier) else { return };
        if let Some(recalled) = self.past.take() {
            let tape = MergedSeries::new(series, Some(&recalled.past), self.place);
            self.ticks.extend(tape.loaded_ticks(self.rest, self.taken).take(at_once));
            if self.note_taken() {
                self.past = Some(recalled);
                return;
            }
            // From here on it is memory's, of which nothing is taken yet.
            let complete_from_ns = tape.complete_from_ns().unwrap_or(self.rest.start);
            (self.rest.start, self.taken) = (self.rest.start.max(complete_from_ns), 0);
        }
        let given_way = match series.oldest_ns() {
            Some(oldest_ns) if oldest_ns > self.rest.start => u64::MAX,
            Some(oldest_ns) if oldest_ns == self.rest.start => series.evicted().saturating_sub(self.first),
            _ => 0,
        };
        self.taken = self.taken.saturating_sub(usize::try_from(given_way).unwrap_or(usize::MAX));
        self.ticks.extend(series.iter_range_from(self.rest, self.taken).take(at_once));
        if self.note_taken() {
            let before = series.range(TimeSpan { start: i64::MIN, end: self.rest.start });
            self.first = series.evicted() + before.map_or(0, |before| before.count);
        }
    }

    /// The rest begins at the last instant that ticks were taken of. Whether any were.
    fn note_taken(&mut self) -> bool {
        let Some(last) = self.ticks.last() else { return false };
        let of_last = self.ticks.iter().rev().take_while(|tick| tick.time_ns == last.time_ns).count();
        self.taken = if last.time_ns == self.rest.start { self.taken + of_last } else { of_last };
        self.rest.start = last.time_ns;
        true
    }
}

fn series(book: &SeriesMap, place: usize, outlier: bool) -> Option<&Series> {
    if outlier { book.outliers(place) } else { book.get(place).map(|(_, series)| series) }
}

#[cfg(test)]
mod tests;
