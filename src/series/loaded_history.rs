//! Ticks that were loaded back from a store: all ticks of some symbols in one interval of time.
//!
//! A history consists of pages, each with the ticks of its symbols in a stretch of time; the stretches are contiguous.
//! Pages are immutable. A history that has grown shares all pages but the new one with its predecessor, so a frame
//! keeps drawing the old one without blocking the loader.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::{Price, TimeSpan, Timestamp};

use super::{Series, SeriesTick};

/// Ticks of some symbols in a stretch of time.
#[derive(Debug)]
pub struct HistoryPage {
    span: TimeSpan,
    /// Series and outliers of each symbol.
    rows: Vec<(Series, Vec<SeriesTick>)>,
    ticks: usize,
}

impl HistoryPage {
    /// An empty page for `symbols` symbols that starts at `from_ns`, in ns since the Unix epoch.
    pub fn new(from_ns: i64, symbols: usize) -> Self {
        let span = TimeSpan { start: from_ns, end: from_ns };
        // A page keeps everything; the loader bounds its size.
        Self { span, rows: (0..symbols).map(|_| Default::default()).collect(), ticks: 0 }
    }

    /// Appends the next tick of the symbol in `row`, in order of time and then of arrival. Outliers are kept apart from
    /// the series.
    pub fn push(&mut self, row: usize, time: Timestamp, price: Price, size: Option<f64>, is_outlier: bool) {
        let Some((series, outliers)) = self.rows.get_mut(row) else { return };
        self.ticks += 1;
        if is_outlier {
            outliers.push(SeriesTick { time_ns: time.as_nanos(), price: price.get(), size });
        } else {
            series.push(time, price, size);
        }
    }

    /// Sets the exclusive end of the stretch: the page holds all ticks before `to_ns`.
    #[must_use]
    pub fn ending_at(mut self, to_ns: i64) -> Self {
        self.span.end = to_ns;
        self
    }

    /// Number of ticks, outliers included.
    pub fn ticks(&self) -> usize {
        self.ticks
    }

    /// The stretch of time.
    pub fn span(&self) -> TimeSpan {
        self.span
    }

    /// Concatenates two pages; `later` starts where this one ends and has the same symbols.
    fn concat(&self, later: &Self) -> Self {
        let mut whole = Self::new(self.span.start, self.rows.len());
        for (row, (series, outliers)) in self.rows.iter().chain(&later.rows).enumerate() {
            let Some((all, all_outliers)) = whole.rows.get_mut(row % self.rows.len()) else { continue };
            all_outliers.extend_from_slice(outliers);
            for tick in series.iter() {
                // Both conversions succeed, because the series holds valid ticks only.
                if let (Some(time), Some(price)) = (Timestamp::from_nanos(tick.time_ns), Price::new(tick.price)) {
                    all.push(time, price, tick.size);
                }
            }
        }
        whole.ticks = self.ticks + later.ticks;
        whole.ending_at(later.span.end)
    }
}

/// Position of a series in its stream of arrivals, from which [`Series::earliest_since`] tells how far back later
/// arrivals reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArrivalMark {
    received: u64,
    /// Number of those ticks that were restored from a store.
    restored: u64,
    /// Time of the latest tick, and the number of ticks at that time.
    newest: Option<(i64, u64)>,
}

impl Series {
    /// Current position in the stream of arrivals.
    pub fn arrival_mark(&self) -> ArrivalMark {
        let newest = self.statistics.map(|known| (known.last.time_ns, self.count_at(known.last.time_ns)));
        ArrivalMark { received: self.received, restored: self.restore.count, newest }
    }

    fn count_at(&self, time_ns: i64) -> u64 {
        self.count(time_ns, time_ns.saturating_add(1))
    }

    /// Lower bound of the times of all ticks that arrived since `mark`, kept or not, in ns; `None` if none arrived.
    /// Restored ticks do not count, because the store has them.
    pub fn earliest_since(&self, mark: &ArrivalMark) -> Option<i64> {
        let restored = self.restore.count - mark.restored.min(self.restore.count);
        let arrived = (self.received - restored).saturating_sub(mark.received);
        if arrived == 0 {
            return None;
        }
        let late_ns = self.late_arrivals.earliest_since(mark.received);
        let in_order_ns = match mark.newest {
            None => self.statistics.map(|known| known.first.time_ns),
            // Arrivals at the time of the mark itself show only in the count, while all ticks of that time are kept.
            Some((newest_ns, count)) => {
                let is_kept = self.lost_ns().is_none_or(|lost_ns| lost_ns < newest_ns);
                let after_ns = newest_ns.saturating_add(1);
                // All later ticks arrived since the mark; if they are as many, none arrived at the mark's time.
                let are_all_later = || restored == 0 && self.count(after_ns, i64::MAX) == arrived;
                if (is_kept && self.count_at(newest_ns) == count) || are_all_later() {
                    self.at_or_after(after_ns).map(|tick| tick.time_ns)
                } else {
                    Some(newest_ns)
                }
            }
        };
        [late_ns, in_order_ns].into_iter().flatten().min()
    }
}

/// Tick next to the loaded interval, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) enum Neighbor {
    #[default]
    Unknown,
    /// The tick, or `None` if there is none.
    Known(Option<SeriesTick>),
}

impl Neighbor {
    pub(super) fn tick(self) -> Option<SeriesTick> {
        if let Self::Known(tick) = self { tick } else { None }
    }
}

/// Ticks of a symbol next to the loaded interval.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Neighbors {
    /// Last tick before the loaded interval.
    pub(super) before: Neighbor,
    /// First tick after the loaded interval.
    pub(super) after: Neighbor,
}

/// Loaded history of some symbols.
#[derive(Debug, Clone, Default)]
pub struct LoadedHistory {
    /// Sorted indices of the symbols in their [`SeriesMap`](super::SeriesMap).
    symbols: Vec<usize>,
    /// Neighbors by row, which is the place of a symbol in `symbols` and in each page.
    neighbors: Vec<Neighbors>,
    pages: VecDeque<Arc<HistoryPage>>,
    /// Set if no tick precedes the first page.
    is_first: bool,
    revision: u64,
}

impl LoadedHistory {
    /// An empty history of the symbols with these indices in their [`SeriesMap`](super::SeriesMap), sorted and
    /// distinct.
    pub fn new(symbols: Vec<usize>) -> Self {
        Self { neighbors: vec![Neighbors::default(); symbols.len()], symbols, ..Self::default() }
    }

    /// Sorted indices of the symbols in their [`SeriesMap`](super::SeriesMap).
    pub fn symbols(&self) -> &[usize] {
        &self.symbols
    }

    /// Number of ticks, outliers included.
    pub fn ticks(&self) -> usize {
        self.pages.iter().map(|page| page.ticks).sum()
    }

    /// Sets the revision, by which caches recognise the history. Histories that are drawn differ in it, and none has 0.
    pub fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The loaded interval; `None` if it is empty. It starts at [`i64::MIN`] if no earlier tick exists.
    pub fn covered(&self) -> Option<TimeSpan> {
        let (first, last) = self.first_and_last()?;
        Some(TimeSpan { start: if self.is_first { i64::MIN } else { first.span.start }, end: last.span.end })
    }

    /// Adds a page before the first one. Does nothing unless it ends where the first one starts.
    pub fn prepend(&mut self, page: HistoryPage) {
        if self.pages.front().is_some_and(|first| first.span.start != page.span.end) {
            return;
        }
        self.forget_start();
        self.pages.push_front(Arc::new(page));
    }

    /// Adds a page after the last one. Does nothing unless it starts where the last one ends. Concatenates the two if
    /// they have at most `concat_ticks_max` ticks together.
    pub fn append(&mut self, page: HistoryPage, concat_ticks_max: usize) {
        if self.pages.back().is_some_and(|last| last.span.end != page.span.start) {
            return;
        }
        if self.pages.is_empty() {
            self.forget_start();
        }
        let small = self.pages.back().filter(|last| last.ticks + page.ticks <= concat_ticks_max);
        let whole = small.map(|last| last.concat(&page));
        if whole.is_some() {
            self.drop_last();
        }
        self.forget_end();
        self.pages.push_back(Arc::new(whole.unwrap_or(page)));
    }

    fn forget_start(&mut self) {
        self.is_first = false;
        self.neighbors.iter_mut().for_each(|neighbors| neighbors.before = Neighbor::Unknown);
    }

    fn forget_end(&mut self) {
        self.neighbors.iter_mut().for_each(|neighbors| neighbors.after = Neighbor::Unknown);
    }

    /// Notes that no tick precedes the first page.
    pub fn mark_start_of_history(&mut self) {
        self.is_first = true;
        self.neighbors.iter_mut().for_each(|neighbors| neighbors.before = Neighbor::Known(None));
    }

    /// Sets the last tick before the loaded interval and the first one after it, for the symbol in `row`.
    pub fn set_neighbors(&mut self, row: usize, before: Option<SeriesTick>, after: Option<SeriesTick>) {
        if let Some(neighbors) = self.neighbors.get_mut(row) {
            *neighbors = Neighbors { before: Neighbor::Known(before), after: Neighbor::Known(after) };
        }
    }

    /// Returns whether the ticks before and after the loaded interval are known, for the symbol in `row`.
    pub fn knows_neighbors(&self, row: usize) -> (bool, bool) {
        let is_known = |neighbor: Neighbor| neighbor != Neighbor::Unknown;
        self.neighbors.get(row).map_or((true, true), |known| (is_known(known.before), is_known(known.after)))
    }

    /// Drops the earliest page. Returns `false` if there is none.
    pub fn drop_first(&mut self) -> bool {
        let Some(_) = self.pages.pop_front() else { return false };
        self.forget_start();
        true
    }

    /// Drops the latest page. Returns `false` if there is none.
    pub fn drop_last(&mut self) -> bool {
        let Some(_) = self.pages.pop_back() else { return false };
        self.forget_end();
        true
    }

    /// Drops the pages that end after `time_ns`.
    pub fn drop_from(&mut self, time_ns: i64) {
        while self.pages.back().is_some_and(|last| last.span.end > time_ns) {
            self.drop_last();
        }
    }

    /// The earliest and the latest page.
    pub fn first_and_last(&self) -> Option<(&HistoryPage, &HistoryPage)> {
        self.pages.front().zip(self.pages.back()).map(|(first, last)| (&**first, &**last))
    }

    /// Row of the symbol with that index; `None` if it is not among the symbols.
    pub(super) fn row(&self, symbol: usize) -> Option<usize> {
        self.symbols.binary_search(&symbol).ok()
    }

    /// Ticks next to the loaded interval, for the symbol in `row`.
    pub(super) fn neighbors(&self, row: usize) -> Neighbors {
        self.neighbors.get(row).copied().unwrap_or_default()
    }

    /// Series and outliers of the symbol in `row`, in each page that overlaps the time from `from_ns` to before
    /// `to_ns`.
    fn rows(
        &self,
        row: usize,
        from_ns: i64,
        to_ns: i64,
    ) -> impl DoubleEndedIterator<Item = &(Series, Vec<SeriesTick>)> {
        let end = self.pages.partition_point(|page| page.span.start < to_ns);
        let first = self.pages.partition_point(|page| page.span.end <= from_ns).min(end);
        self.pages.range(first..end).filter_map(move |page| page.rows.get(row))
    }

    /// Ticks of the symbol in `row`, page by page, as [`Self::rows`].
    pub(super) fn series(&self, row: usize, from_ns: i64, to_ns: i64) -> impl DoubleEndedIterator<Item = &Series> {
        self.rows(row, from_ns, to_ns).map(|(series, _)| series)
    }

    /// Outliers within `span` of the symbol with that index, in order of time.
    pub fn outliers(&self, symbol: usize, span: TimeSpan) -> impl Iterator<Item = SeriesTick> {
        let rows = self.row(symbol).into_iter().flat_map(move |row| self.rows(row, span.start, span.end));
        let outliers = rows.flat_map(|(_, outliers)| outliers);
        outliers.copied().filter(move |tick| span.contains(tick.time_ns))
    }

    /// Approximate number of bytes of memory in use.
    pub fn bytes(&self) -> usize {
        let rows = self.pages.iter().flat_map(|page| &page.rows);
        rows.map(|(series, outliers)| series.bytes() + outliers.capacity() * size_of::<SeriesTick>()).sum()
    }
}
