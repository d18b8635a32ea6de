//! Snapshot of the history loaded from a database, and the computation of what a view still misses.

use crate::model::TimeSpan;
use crate::series::{ArrivalMark, LoadedHistory, Series, SeriesMap};

/// Request of the chart to load history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackfillRequest {
    /// Visible time span.
    pub(crate) span: TimeSpan,
    /// Indices of the visible symbols in the series, sorted.
    pub(crate) symbols: Vec<usize>,
    /// Latest of the times from which each symbol's memory is complete, ns.
    complete_from_ns: i64,
    /// Revision of the snapshot that late ticks made out of date.
    outdated_revision: Option<u64>,
}

/// History that a view misses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MissingHistory {
    /// Memory holds everything; a running request is obsolete.
    Nothing,
    /// The loaded history suffices, or no database is read. A running request may read ahead.
    Unchanged,
    /// The view needs more.
    Request(BackfillRequest),
}

/// Progress of the backfill.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum BackfillState {
    /// More is being read, or nothing is requested.
    #[default]
    Reading,
    /// The database has not committed yet what memory has evicted.
    Behind,
    /// No more ticks fit into memory.
    Full,
    /// The database cannot be read; reading is retried. The cause is safe to display.
    Failing(String),
}

/// View whose ticks do not all fit into memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OversizedView {
    pub(crate) symbols: Vec<usize>,
    pub(crate) span: TimeSpan,
}

impl OversizedView {
    /// Returns true if a view shows nearly the same span of the same symbols, so that reading again is futile.
    fn is_similar(&self, symbols: &[usize], span: TimeSpan) -> bool {
        let moved_ns = self.span.start.abs_diff(span.start).max(self.span.end.abs_diff(span.end));
        self.symbols == symbols && moved_ns <= self.span.len_ns().unsigned_abs() / 8
    }
}

/// History loaded so far. Replaced as a whole with every page read.
#[derive(Debug, Clone, Default)]
pub(crate) struct HistorySnapshot {
    pub(crate) loaded: LoadedHistory,
    /// Position of each loaded symbol's series when the database was known to hold everything before it.
    pub(crate) marks: Vec<ArrivalMark>,
    /// Grows with every snapshot.
    pub(crate) revision: u64,
    /// Time of the oldest tick in the database; `None` while unknown.
    pub(crate) oldest_ns: Option<i64>,
    pub(crate) state: BackfillState,
    /// True while another page fits into memory.
    pub(crate) has_room: bool,
    pub(crate) oversized: Option<OversizedView>,
}

/// Overlap of the loaded history with memory, so that memory may evict more before the database is read again: a
/// sixteenth of the time in memory, but at least two seconds or half of that time.
fn overlap_ns(complete_from_ns: i64, series: &Series) -> i64 {
    const OVERLAP_MIN_NS: i64 = 2_000_000_000;
    if series.evicted() == 0 {
        return 0;
    }
    let in_memory_ns = series.last().map_or(0, |last| last.time_ns.saturating_sub(complete_from_ns).max(0));
    (in_memory_ns / 16).max(OVERLAP_MIN_NS.min(in_memory_ns / 2))
}

/// Start of complete memory for all of `symbols` (the latest of their starts), and the overlap behind it, in ns.
pub(crate) fn complete_memory(series: &SeriesMap, symbols: &[usize]) -> Option<(i64, i64)> {
    let all = symbols.iter().filter_map(|symbol| series.get(*symbol)).map(|(_, series)| series);
    let starts = all.filter_map(|series| Some((series.complete_from_ns()?, series)));
    let (complete_from_ns, latest) = starts.max_by_key(|(start_ns, _)| *start_ns)?;
    Some((complete_from_ns, overlap_ns(complete_from_ns, latest)))
}

impl HistorySnapshot {
    /// Computes what a view of `span` with `symbols` (sorted) misses. A view that follows the live edge is not expected
    /// to move back.
    pub(crate) fn missing(
        &self,
        series: &SeriesMap,
        symbols: &[usize],
        span: TimeSpan,
        follows: bool,
    ) -> MissingHistory {
        let Some((complete_from_ns, overlap_ns)) = complete_memory(series, symbols) else {
            return MissingHistory::Nothing;
        };
        let ahead_ns = if follows { 0 } else { span.len_ns() };
        let has_no_older = self.oldest_ns.is_some_and(|oldest_ns| oldest_ns >= complete_from_ns);
        if has_no_older || span.start.saturating_sub(ahead_ns) >= complete_from_ns {
            return MissingHistory::Nothing;
        }
        let is_outdated = self.is_outdated(series);
        let half_ns = if self.has_room { span.len_ns() / 2 } else { 0 };
        let (from_ns, to_ns) = (span.start.saturating_sub(half_ns), span.end.saturating_add(half_ns));
        let to_ns = to_ns.min(complete_from_ns.saturating_add(overlap_ns / 2));
        let from_ns = from_ns.max(self.oldest_ns.unwrap_or(i64::MIN));
        let is_read = match (&self.state, self.loaded.covered()) {
            (BackfillState::Reading, Some(covered)) => covered.start <= from_ns && covered.end >= to_ns,
            (BackfillState::Full, Some(covered)) => {
                let is_futile = self.oversized.as_ref().is_some_and(|view| view.is_similar(symbols, span));
                is_futile && covered.end >= span.end.min(complete_from_ns)
            }
            _ => false,
        };
        if !is_outdated && is_read && symbols.iter().all(|symbol| self.has(*symbol)) {
            return MissingHistory::Unchanged;
        }
        let outdated_revision = is_outdated.then_some(self.revision);
        MissingHistory::Request(BackfillRequest {
            span,
            symbols: symbols.to_vec(),
            complete_from_ns,
            outdated_revision,
        })
    }

    /// Returns true if ticks arrived that belong into the loaded history.
    fn is_outdated(&self, series: &SeriesMap) -> bool {
        let Some(covered) = self.loaded.covered() else { return false };
        let known = self.loaded.symbols().iter().zip(&self.marks);
        let since = known.filter_map(|(symbol, mark)| series.get(*symbol)?.1.earliest_since(mark));
        since.min().is_some_and(|since_ns| since_ns < covered.end)
    }

    /// Returns true if a symbol's history is loaded.
    fn has(&self, symbol: usize) -> bool {
        self.loaded.symbols().binary_search(&symbol).is_ok()
    }

    /// Parts of `span` whose ticks of `symbols` are not known, as start and end in ns, sorted and disjoint.
    pub(crate) fn unknown(&self, series: &SeriesMap, symbols: &[usize], span: TimeSpan) -> Vec<(i64, i64)> {
        let (loaded, unloaded): (Vec<usize>, Vec<usize>) = symbols.iter().partition(|symbol| self.has(**symbol));
        let start_of = |symbols: &[usize]| {
            complete_memory(series, symbols).map(|(start_ns, _)| start_ns).filter(|ns| *ns > span.start)
        };
        let (loaded_ns, unloaded_ns) = (start_of(&loaded), start_of(&unloaded));
        // Until the database has answered, only a failure is known.
        let is_failing = matches!(self.state, BackfillState::Failing(_));
        let Some(oldest_ns) = self.oldest_ns.or(is_failing.then_some(span.start)) else { return Vec::new() };
        let first_ns = oldest_ns.max(span.start);
        let mut ranges: Vec<(i64, i64)> = unloaded_ns.map(|start_ns| (first_ns, start_ns)).into_iter().collect();
        match (loaded_ns, self.loaded.covered()) {
            (None, _) => {}
            (Some(start_ns), None) => ranges.push((first_ns, start_ns)),
            (Some(start_ns), Some(covered)) => {
                ranges.extend([(first_ns, covered.start.min(start_ns)), (covered.end.max(first_ns), start_ns)]);
            }
        }
        ranges.retain(|(start, end)| start < end && *start < span.end && *end > span.start);
        ranges.sort_unstable();
        ranges.dedup_by(|later, earlier| {
            let joins = later.0 <= earlier.1;
            if joins {
                earlier.1 = earlier.1.max(later.1);
            }
            joins
        });
        ranges
    }
}
