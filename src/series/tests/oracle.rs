//! Brute-force reference for queries, based on a sorted list.

use super::super::{HistoryLimits, Sample, SeriesTick, Summary};
use crate::model::TimeSpan;

pub(super) struct Oracle {
    history: HistoryLimits,
    /// Sorted; those before `from` are evicted.
    ticks: Vec<SeriesTick>,
    from: usize,
}

impl Oracle {
    /// Creates the reference from sorted ticks.
    pub(super) fn new(history: HistoryLimits, sorted: Vec<SeriesTick>) -> Self {
        Self { history, ticks: sorted, from: 0 }
    }

    /// Ticks that are kept.
    pub(super) fn ticks(&self) -> &[SeriesTick] {
        &self.ticks[self.from..]
    }

    /// Ticks that were evicted.
    pub(super) fn evicted(&self) -> &[SeriesTick] {
        &self.ticks[..self.from]
    }

    /// Adds a tick and returns whether it was kept.
    pub(super) fn push(&mut self, tick: SeriesTick) -> bool {
        let newest_ns = self.ticks.last().map_or(i64::MIN, |last| last.time_ns.max(tick.time_ns));
        let oldest_ns = self.history.age_ns_max.map_or(i64::MIN, |age| newest_ns.saturating_sub(age));
        let full = self.ticks().len() >= self.history.ticks_max;
        let at = self.from + self.ticks().partition_point(|kept| kept.time_ns <= tick.time_ns);
        if tick.time_ns < oldest_ns || (full && at == self.from) {
            return false;
        }
        self.ticks.insert(at, tick);
        let too_many = self.ticks().len().saturating_sub(self.history.ticks_max);
        let too_old = self.ticks().partition_point(|kept| kept.time_ns < oldest_ns);
        self.from += too_many.max(too_old);
        true
    }

    /// M4 by a single pass over every tick.
    pub(super) fn downsample(&self, span: TimeSpan, columns: u32) -> Vec<Sample> {
        let mut keep = vec![false; self.ticks().len()];
        if let Some(before) = self.ticks().iter().rposition(|tick| tick.time_ns < span.start) {
            keep[before] = true;
        }
        if let Some(after) = self.ticks().iter().position(|tick| tick.time_ns >= span.end) {
            keep[after] = true;
        }
        let inside: Vec<usize> =
            (0..self.ticks().len()).filter(|&index| span.contains(self.ticks()[index].time_ns)).collect();
        for part in inside.chunk_by(|&a, &b| self.column(a, span, columns) == self.column(b, span, columns)) {
            let price = |index: usize| self.ticks()[index].price;
            let min = part.iter().copied().reduce(|best, index| if price(index) < price(best) { index } else { best });
            let max = part.iter().copied().reduce(|best, index| if price(index) > price(best) { index } else { best });
            for index in [part.first().copied(), min, max, part.last().copied()].into_iter().flatten() {
                keep[index] = true;
            }
        }
        self.ticks().iter().zip(keep).filter(|(_, keep)| *keep).map(|(tick, _)| tick.sample()).collect()
    }

    fn column(&self, index: usize, span: TimeSpan, columns: u32) -> i128 {
        let offset = i128::from(self.ticks()[index].time_ns) - i128::from(span.start);
        offset * i128::from(columns) / (i128::from(span.end) - i128::from(span.start))
    }

    pub(super) fn range(&self, span: TimeSpan) -> Option<Summary> {
        let inside: Vec<SeriesTick> = self.iter_range(span).collect();
        let first = inside.first()?.sample();
        let mut found = Summary {
            first,
            last: inside.last()?.sample(),
            min: first,
            max: first,
            count: inside.len() as u64,
            sized: inside.iter().filter(|tick| tick.size.is_some()).count() as u64,
            volume: inside.iter().filter_map(|tick| tick.size).sum::<f64>() + 0.0,
        };
        for tick in &inside {
            if tick.price < found.min.price {
                found.min = tick.sample();
            }
            if tick.price > found.max.price {
                found.max = tick.sample();
            }
        }
        Some(found)
    }

    pub(super) fn iter_range(&self, span: TimeSpan) -> impl Iterator<Item = SeriesTick> {
        self.ticks().iter().copied().filter(move |tick| span.contains(tick.time_ns))
    }

    pub(super) fn at_or_before(&self, time_ns: i64) -> Option<SeriesTick> {
        self.ticks().iter().rfind(|tick| tick.time_ns <= time_ns).copied()
    }

    pub(super) fn at_or_after(&self, time_ns: i64) -> Option<SeriesTick> {
        self.ticks().iter().find(|tick| tick.time_ns >= time_ns).copied()
    }
}
