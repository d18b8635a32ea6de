//! Memory and loaded history of a symbol, seen as one series.
//!
//! From the low watermark `complete_from_ns` on, memory holds every tick; before it, the loaded history counts. The
//! history may end before the watermark or not reach back far enough. Such a stretch is unknown: no line crosses it,
//! and queries about it return `None`.

mod bars;
mod downsampling;
mod parts_reader;

use crate::model::TimeSpan;

use super::change_tracking::LoadedState;
use super::{LoadedHistory, Series, SeriesTick};
use parts_reader::{Part, PartsReader};

/// Ticks that memory keeps of a symbol, preceded by those that were loaded from a store.
#[derive(Debug, Clone, Copy)]
pub struct MergedSeries<'a> {
    live: &'a Series,
    loaded: Option<Loaded<'a>>,
}

/// Loaded history of the symbol.
#[derive(Debug, Clone, Copy)]
struct Loaded<'a> {
    history: &'a LoadedHistory,
    row: usize,
    covered: TimeSpan,
    /// Low watermark: from here on, the live series counts.
    complete_from_ns: i64,
}

impl<'a> Loaded<'a> {
    /// Ticks of the symbol in the pages that overlap the time from `from_ns` to before `to_ns`.
    fn series(self, from_ns: i64, to_ns: i64) -> impl DoubleEndedIterator<Item = &'a Series> {
        self.history.series(self.row, from_ns, to_ns)
    }

    /// Returns whether ticks between the end of the history and the watermark are unknown.
    fn has_hole(&self) -> bool {
        self.covered.end < self.complete_from_ns
    }
}

impl<'a> MergedSeries<'a> {
    /// The live series alone.
    pub fn live(live: &'a Series) -> Self {
        Self { live, loaded: None }
    }

    /// The live series of the symbol with index `symbol`, preceded by its part of `history`.
    pub fn new(live: &'a Series, history: Option<&'a LoadedHistory>, symbol: usize) -> Self {
        let loaded = || {
            let history = history?;
            let (row, covered) = (history.row(symbol)?, history.covered()?);
            // A symbol without live ticks has nothing but the loaded history.
            let complete_from_ns = live.complete_from_ns().unwrap_or(covered.end);
            (complete_from_ns != i64::MIN).then_some(Loaded { history, row, covered, complete_from_ns })
        };
        Self { live, loaded: loaded() }
    }

    /// Low watermark, ns: from here on, the live series counts. `None` without a loaded history.
    pub fn complete_from_ns(&self) -> Option<i64> {
        self.loaded.map(|loaded| loaded.complete_from_ns)
    }

    /// The latest tick.
    pub fn last(&self) -> Option<SeriesTick> {
        self.live.last().or_else(|| self.at_or_before(i64::MAX))
    }

    /// The latest tick that is not after `time_ns`; `None` if there is none or it is unknown.
    pub fn at_or_before(&self, time_ns: i64) -> Option<SeriesTick> {
        let Some(loaded) = self.loaded else { return self.live.at_or_before(time_ns) };
        if time_ns >= loaded.complete_from_ns {
            let live = self.live.at_or_before(time_ns).filter(|tick| tick.time_ns >= loaded.complete_from_ns);
            if live.is_some() || loaded.has_hole() {
                return live;
            }
        } else if !loaded.covered.contains(time_ns) {
            return None;
        }
        if time_ns < loaded.covered.start {
            return None;
        }
        let last_ns = time_ns.min(loaded.complete_from_ns.saturating_sub(1));
        let mut pages = loaded.series(i64::MIN, last_ns.saturating_add(1)).rev();
        let tick = pages.find_map(|series| series.at_or_before(last_ns));
        tick.or_else(|| loaded.history.neighbors(loaded.row).before.tick())
    }

    /// The earliest tick that is not before `time_ns`; `None` if there is none or it is unknown.
    pub fn at_or_after(&self, time_ns: i64) -> Option<SeriesTick> {
        match self.loaded {
            Some(loaded) if time_ns < loaded.complete_from_ns => {
                loaded.covered.contains(time_ns).then(|| self.loaded_at_or_after(&loaded, time_ns))?
            }
            _ => self.live.at_or_after(time_ns),
        }
    }

    /// The earliest known tick that is not before `time_ns`, even if unknown ticks precede it.
    pub fn first_known_from(&self, time_ns: i64) -> Option<SeriesTick> {
        let Some(loaded) = self.loaded else { return self.live.at_or_after(time_ns) };
        let tick = self.at_or_after(time_ns).or_else(|| self.loaded_at_or_after(&loaded, time_ns));
        let tick = tick.filter(|tick| tick.time_ns >= time_ns);
        tick.or_else(|| self.live.at_or_after(time_ns.max(loaded.complete_from_ns)))
    }

    fn loaded_at_or_after(&self, loaded: &Loaded<'_>, time_ns: i64) -> Option<SeriesTick> {
        let tick = loaded.series(time_ns, i64::MAX).find_map(|series| series.at_or_after(time_ns));
        let tick = tick.filter(|tick| tick.time_ns < loaded.complete_from_ns);
        let after = || loaded.history.neighbors(loaded.row).after.tick();
        tick.or_else(|| if loaded.has_hole() { after() } else { self.live.at_or_after(loaded.complete_from_ns) })
    }

    /// Returns whether any tick has a size.
    pub fn has_sizes(&self) -> bool {
        let all = TimeSpan { start: i64::MIN, end: i64::MAX };
        let has_sizes = |series: &Series| series.range(all).is_some_and(|all| all.sized > 0);
        has_sizes(self.live) || self.loaded.is_some_and(|loaded| loaded.series(i64::MIN, i64::MAX).any(has_sizes))
    }

    /// State of the loaded history, by which caches recognise it.
    fn loaded_state(&self) -> Option<LoadedState> {
        self.loaded.map(|loaded| LoadedState { revision: loaded.history.revision(), is_contiguous: !loaded.has_hole() })
    }

    /// Returns whether the live series has all ticks of `span` and the tick before it.
    fn is_live_sufficient(&self, span: TimeSpan) -> bool {
        let Some(loaded) = self.loaded else { return true };
        let before = span.start.checked_sub(1).and_then(|before_ns| self.live.at_or_before(before_ns));
        before.is_some_and(|tick| tick.time_ns >= loaded.complete_from_ns)
    }

    /// Reader of the parts that may have ticks from `from_ns` to before `to_ns`.
    fn reader(&self, from_ns: i64, to_ns: i64) -> PartsReader<'a> {
        let live = self.live;
        let pages = self.loaded.into_iter().flat_map(|loaded| {
            let pages = loaded.series(from_ns, to_ns);
            pages.map(move |series| Part { series, from: series.begin(), to: series.seek(loaded.complete_from_ns) })
        });
        let from = self.loaded.map_or_else(|| live.begin(), |loaded| live.seek(loaded.complete_from_ns));
        PartsReader::new(pages, Part { series: live, from, to: live.end() })
    }

    /// Loaded ticks of `span` before the low watermark, without the first `skip` of them. Skips whole chunks, so that a
    /// reader may resume within an instant that has many ticks.
    pub fn loaded_ticks(&self, span: TimeSpan, skip: usize) -> impl Iterator<Item = SeriesTick> + use<'a> {
        let end_ns = self.loaded.map_or(span.start, |loaded| loaded.complete_from_ns.min(span.end)).max(span.start);
        let span = TimeSpan { start: span.start, end: end_ns };
        let series = self.loaded.into_iter().flat_map(move |loaded| loaded.series(span.start, span.end));
        // All ticks of an instant are in one page, so only the first page has ticks to skip.
        series.enumerate().flat_map(move |(at, series)| series.iter_range_from(span, if at == 0 { skip } else { 0 }))
    }
}
