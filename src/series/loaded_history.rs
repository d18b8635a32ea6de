//! What memory has given up and a store has read back: of some symbols, all ticks of one interval of time.
//!
//! A past is made of pages, each the ticks of its symbols in a stretch of time, which join without a gap. Pages never
//! change: a past that has grown shares all but the new one with the past before it, so that whoever draws can go on
//! with the old one and nobody waits.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::TimeSpan;
use crate::model::{Price, Timestamp};

use super::{HistoryLimits, Series, SeriesTick};

/// All is kept: whoever fills a page has counted.
const ALL: HistoryLimits = HistoryLimits { ticks_max: usize::MAX, age_ns_max: None };

/// The ticks of some symbols in a stretch of time.
#[derive(Debug)]
pub struct HistoryPage {
    span: TimeSpan,
    lanes: Vec<(Series, Vec<SeriesTick>)>,
    ticks: usize,
}

impl HistoryPage {
    /// An empty page of `lanes` symbols from `from_ns` on.
    pub fn new(from_ns: i64, lanes: usize) -> Self {
        let span = TimeSpan { start: from_ns, end: from_ns };
        Self { span, lanes: (0..lanes).map(|_| (Series::new(ALL), Vec::new())).collect(), ticks: 0 }
    }

    /// Takes in the next tick of a symbol, in order of time and then of arrival. An outlier is no part of the line.
    pub fn push(&mut self, lane: usize, time: Timestamp, price: Price, size: Option<f64>, is_outlier: bool) {
        let Some((series, outliers)) = self.lanes.get_mut(lane) else { return };
        self.ticks += 1;
        if is_outlier {
            outliers.push(SeriesTick { time_ns: time.as_nanos(), price: price.get(), size });
        } else {
            series.push(time, price, size);
        }
    }

    /// The page holds all that there is before `to_ns`.
    #[must_use]
    pub fn ending_at(mut self, to_ns: i64) -> Self {
        self.span.end = to_ns;
        self
    }

    /// Ticks, outliers included.
    pub fn ticks(&self) -> usize {
        self.ticks
    }

    /// From its first instant up to the one behind its last.
    pub fn span(&self) -> TimeSpan {
        self.span
    }

    /// The ticks of one of its symbols, without outliers.
    pub(super) fn series(&self, lane: usize) -> Option<&Series> {
        self.lanes.get(lane).map(|(series, _)| series)
    }

    /// Both pages as one; `later` begins where this one ends and has the same symbols.
    fn joined(&self, later: &Self) -> Self {
        let mut whole = Self::new(self.span.start, self.lanes.len());
        for (lane, (series, outliers)) in self.lanes.iter().chain(&later.lanes).enumerate() {
            let Some((into, marks)) = whole.lanes.get_mut(lane % self.lanes.len()) else { continue };
            marks.extend_from_slice(outliers);
            for tick in series.iter() {
                // What was valid once is valid now.
                if let (Some(time), Some(price)) = (Timestamp::from_nanos(tick.time_ns), Price::new(tick.price)) {
                    into.push(time, price, tick.size);
                }
            }
        }
        whole.ticks = self.ticks + later.ticks;
        whole.ending_at(later.span.end)
    }
}

/// How far a series had come at some moment, so that it can be told later how far back what came since reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArrivalMark {
    received: u64,
    /// Of those, the ones that a store brought.
    restored: u64,
    /// Time of its latest tick, and how many had that.
    newest: Option<(i64, u64)>,
}

impl Series {
    /// How far it has come.
    pub fn arrival_mark(&self) -> ArrivalMark {
        let newest = self.statistics.map(|known| (known.last.time_ns, self.count_at(known.last.time_ns)));
        ArrivalMark { received: self.received, restored: self.restoring.count, newest }
    }

    /// Ticks at an instant.
    fn count_at(&self, time_ns: i64) -> u64 {
        self.count(TimeSpan { start: time_ns, end: time_ns.saturating_add(1) }, i64::MAX)
    }

    /// The earliest time of all ticks that came since, kept or not, or one before it; `None` where none came. What a
    /// store brought is none of them: it is there.
    pub fn earliest_since(&self, mark: &ArrivalMark) -> Option<i64> {
        let restored = self.restoring.count - mark.restored.min(self.restoring.count);
        let came = (self.received - restored).saturating_sub(mark.received);
        if came == 0 {
            return None;
        }
        let late_ns = self.lateness.since(mark.received);
        let in_order_ns = match mark.newest {
            None => self.statistics.map(|known| known.first.time_ns),
            // What came at the same time can only be counted while nothing of it is gone.
            Some((newest_ns, count)) => {
                let is_known = self.gone_ns().is_none_or(|gone_ns| gone_ns < newest_ns);
                let behind_ns = newest_ns.saturating_add(1);
                // All that is later has come since; where that is as many, nothing else came.
                let is_all =
                    || restored == 0 && self.count(TimeSpan { start: behind_ns, end: i64::MAX }, i64::MAX) == came;
                if (is_known && self.count_at(newest_ns) == count) || is_all() {
                    self.at_or_after(behind_ns).map(|tick| tick.time_ns)
                } else {
                    Some(newest_ns)
                }
            }
        };
        [late_ns, in_order_ns].into_iter().flatten().min()
    }
}

/// What is known of the next tick outside the past.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) enum Neighbor {
    #[default]
    Unknown,
    /// It, or that there is none.
    Known(Option<SeriesTick>),
}

impl Neighbor {
    pub(super) fn tick(self) -> Option<SeriesTick> {
        match self {
            Self::Unknown => None,
            Self::Known(tick) => tick,
        }
    }

    fn is_known(self) -> bool {
        self != Self::Unknown
    }
}

/// One symbol's part of a past.
#[derive(Debug, Clone, Default)]
pub(super) struct SymbolHistory {
    /// Pages in which it has ticks.
    pub(super) pages: VecDeque<(Arc<HistoryPage>, usize)>,
    /// The last tick before the past begins.
    pub(super) before: Neighbor,
    /// The first one behind its end.
    pub(super) after: Neighbor,
}

impl SymbolHistory {
    /// Its ticks, page by page.
    pub(super) fn pieces(&self) -> impl DoubleEndedIterator<Item = &Series> {
        self.pages.iter().filter_map(|(page, lane)| page.series(*lane))
    }
}

/// The past of some symbols.
#[derive(Debug, Clone, Default)]
pub struct LoadedHistory {
    /// Which symbols, by their places in the book, sorted.
    symbols: Vec<usize>,
    lanes: Vec<SymbolHistory>,
    pages: VecDeque<Arc<HistoryPage>>,
    /// Covers all that is earlier, too.
    is_first: bool,
    ticks: usize,
    revision: u64,
}

impl LoadedHistory {
    /// Of these symbols (sorted, none twice), with nothing in it yet.
    pub fn new(symbols: Vec<usize>) -> Self {
        Self { lanes: vec![SymbolHistory::default(); symbols.len()], symbols, ..Self::default() }
    }

    /// The symbols, by their places in the book.
    pub fn symbols(&self) -> &[usize] {
        &self.symbols
    }

    /// Ticks, outliers included.
    pub fn ticks(&self) -> usize {
        self.ticks
    }

    /// Which of several pasts it is: none that is shown has the number of another one, and none has 0.
    pub fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The interval of which everything is here; `None` where that is nothing. It starts at [`i64::MIN`] where there is
    /// nothing earlier.
    pub fn covered(&self) -> Option<TimeSpan> {
        let (first, last) = (self.pages.front()?, self.pages.back()?);
        Some(TimeSpan { start: if self.is_first { i64::MIN } else { first.span.start }, end: last.span.end })
    }

    /// Puts a page before the first one; it must end where that begins.
    pub fn prepend(&mut self, page: HistoryPage) {
        let page = Arc::new(page);
        if self.pages.front().is_some_and(|first| first.span.start != page.span.end) {
            return;
        }
        self.is_first = false;
        self.ticks += page.ticks;
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            lane.before = Neighbor::Unknown;
            if page.lanes.get(index).is_some_and(|(series, outliers)| !series.is_empty() || !outliers.is_empty()) {
                lane.pages.push_front((Arc::clone(&page), index));
            }
        }
        self.pages.push_front(page);
    }

    /// Puts a page behind the last one; it must begin where that ends. Two that have no more than `joined_max` ticks
    /// together become one.
    pub fn append(&mut self, page: HistoryPage, joined_max: usize) {
        if self.pages.back().is_some_and(|last| last.span.end != page.span.start) {
            return;
        }
        if self.pages.is_empty() {
            self.is_first = false;
            self.lanes.iter_mut().for_each(|lane| lane.before = Neighbor::Unknown);
        }
        let small = self.pages.back().filter(|last| last.ticks + page.ticks <= joined_max);
        let small = small.map(|last| last.joined(&page));
        if small.is_some() {
            self.drop_last();
        }
        let page = Arc::new(small.unwrap_or(page));
        self.ticks += page.ticks;
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            lane.after = Neighbor::Unknown;
            if page.lanes.get(index).is_some_and(|(series, outliers)| !series.is_empty() || !outliers.is_empty()) {
                lane.pages.push_back((Arc::clone(&page), index));
            }
        }
        self.pages.push_back(page);
    }

    /// Before the first page there is nothing.
    pub fn mark_start_of_history(&mut self) {
        self.is_first = true;
        self.lanes.iter_mut().for_each(|lane| lane.before = Neighbor::Known(None));
    }

    /// Notes a symbol's last tick before the past begins, and its first one behind the end.
    pub fn set_neighbors(&mut self, lane: usize, before: Option<SeriesTick>, after: Option<SeriesTick>) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            (lane.before, lane.after) = (Neighbor::Known(before), Neighbor::Known(after));
        }
    }

    /// Whether a symbol's last tick before the past is known, and whether its first one behind the past is.
    pub fn knows_neighbors(&self, lane: usize) -> (bool, bool) {
        self.lanes.get(lane).map_or((true, true), |lane| (lane.before.is_known(), lane.after.is_known()))
    }

    /// Gives up the earliest page.
    pub fn drop_first(&mut self) -> bool {
        let Some(page) = self.pages.pop_front() else { return false };
        self.is_first = false;
        self.ticks -= page.ticks;
        for lane in &mut self.lanes {
            lane.before = Neighbor::Unknown;
            lane.pages.pop_front_if(|(first, _)| Arc::ptr_eq(first, &page));
        }
        true
    }

    /// Gives up the latest page.
    pub fn drop_last(&mut self) -> bool {
        let Some(page) = self.pages.pop_back() else { return false };
        self.ticks -= page.ticks;
        for lane in &mut self.lanes {
            lane.after = Neighbor::Unknown;
            lane.pages.pop_back_if(|(last, _)| Arc::ptr_eq(last, &page));
        }
        true
    }

    /// Gives up the pages that reach to `time_ns` or behind it.
    pub fn drop_from(&mut self, time_ns: i64) {
        while self.pages.back().is_some_and(|last| last.span.end > time_ns) {
            self.drop_last();
        }
    }

    /// The earliest page, and the latest.
    pub fn first_and_last(&self) -> Option<(&HistoryPage, &HistoryPage)> {
        self.pages.front().zip(self.pages.back()).map(|(first, last)| (&**first, &**last))
    }

    /// A symbol's part; `None` if the past is not about it.
    pub(super) fn lane(&self, symbol: usize) -> Option<&SymbolHistory> {
        self.symbols.binary_search(&symbol).ok().and_then(|at| self.lanes.get(at))
    }

    /// A symbol's outliers in a span, in order of time.
    pub fn outliers(&self, symbol: usize, span: TimeSpan) -> impl Iterator<Item = SeriesTick> {
        let pages = self.lane(symbol).into_iter().flat_map(|lane| &lane.pages);
        let outliers = pages.filter_map(|(page, lane)| page.lanes.get(*lane)).flat_map(|(_, outliers)| outliers);
        outliers.copied().filter(move |tick| span.contains(tick.time_ns))
    }

    /// Bytes of memory in use, about.
    pub fn bytes(&self) -> usize {
        let lanes = self.pages.iter().flat_map(|page| &page.lanes);
        lanes.map(|(series, outliers)| series.bytes() + outliers.capacity() * size_of::<SeriesTick>()).sum()
    }
}
