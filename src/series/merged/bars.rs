//! Bars and counts of a merged series.

use std::ops::Range;

use crate::model::TimeSpan;
use crate::series::{Bar, BarCache};

use super::parts_reader::{PartsReader, Position};
use super::{Loaded, MergedSeries};

impl Loaded<'_> {
    /// Returns whether all ticks from `start_ns` to before `end_ns` are known.
    fn is_complete(&self, start_ns: i64, end_ns: i64) -> bool {
        let is_loaded = start_ns >= self.covered.start && (end_ns <= self.covered.end || !self.has_hole());
        is_loaded || start_ns >= self.complete_from_ns
    }
}

impl MergedSeries<'_> {
    /// Bars of buckets of time: bucket `i` is `[edges[i], edges[i + 1])`, with `edges` sorted, in ns since the Unix
    /// epoch. Buckets without ticks give no bar. Ticks after `until_ns` do not count, as on a paused chart;
    /// [`i64::MAX`] includes all. A bar is [complete](Bar::complete) if all of its ticks are known. `out` is cleared
    /// first.
    ///
    /// The cost depends on the number of buckets, and on what has changed since the last call with the same cache.
    pub fn bars(&self, edges: &[i64], until_ns: i64, cache: &mut BarCache, out: &mut Vec<Bar>) {
        out.clear();
        let (Some(&start), Some(&end)) = (edges.first(), edges.last()) else { return };
        let loaded = self.loaded.filter(|loaded| start < loaded.complete_from_ns);
        let whole = Self { loaded, ..*self };
        cache.move_to(edges, until_ns, self.live, whole.loaded_state());
        let mut reader = whole.reader(start, end);
        let (evicted_ns, mut next) = (self.live.evicted_ns(), None::<(i64, Position)>);
        for bucket in cache.buckets.iter_mut().filter(|bucket| !bucket.is_valid) {
            let begins_there = next.filter(|(time_ns, _)| *time_ns == bucket.start_ns);
            let from = begins_there.map_or_else(|| reader.seek(bucket.start_ns), |(_, position)| position);
            let to = reader.seek_from(from, bucket.end_ns);
            let complete = evicted_ns.is_none_or(|evicted_ns| evicted_ns < bucket.start_ns);
            bucket.bar = reader.bar(from..to).map(|bar| bar.build((bucket.start_ns, bucket.end_ns), complete));
            bucket.is_valid = true;
            next = Some((bucket.end_ns, to));
        }
        // A bucket that ends early on a paused chart keeps its full width.
        let buckets = cache.buckets.iter().zip(edges.iter().skip(1));
        out.extend(buckets.filter_map(|(bucket, &end_ns)| Some(Bar { end_ns, ..bucket.bar? })));
        if let Some(loaded) = loaded {
            for bar in out {
                bar.complete = loaded.is_complete(bar.start_ns, bar.end_ns);
            }
        }
    }

    /// Number of known ticks within `span` that are not after `until_ns`, in logarithmic time.
    pub fn count(&self, span: TimeSpan, until_ns: i64) -> u64 {
        let end_ns = until_ns.checked_add(1).map_or(span.end, |cut_ns| span.end.min(cut_ns));
        let live_from_ns = self.complete_from_ns().unwrap_or(i64::MIN);
        let pages = self.loaded.into_iter().flat_map(|loaded| loaded.series(span.start, end_ns));
        let loaded: u64 = pages.map(|series| series.count(span.start, end_ns.min(live_from_ns))).sum();
        loaded + self.live.count(span.start.max(live_from_ns), end_ns)
    }

    /// Bars of `ticks` ticks each (at least 1) that have ticks within `span` or extend across it. Ticks after
    /// `until_ns` do not count; [`i64::MAX`] includes all. Of more than `bars_max` bars, the latest are given. `out` is
    /// cleared first.
    ///
    /// Bars are counted forwards from the first tick that memory ever kept and backwards before it, so that a bar has
    /// the same ticks whether memory still keeps them, has evicted them, or they were loaded; a late tick moves those
    /// after it by one. Before an unknown stretch, bars are counted backwards from its start. A tick that came too late
    /// for memory and was loaded moves those before it by one.
    ///
    /// The cost is linear in the number of bars and logarithmic in the length of history.
    pub fn tick_bars(&self, ticks: u32, span: TimeSpan, until_ns: i64, bars_max: usize, out: &mut Vec<Bar>) {
        out.clear();
        let ticks = ticks.max(1);
        let loaded = self.loaded.filter(|loaded| !self.first_bar_is_live(loaded, ticks, span));
        let reader = Self { loaded, ..*self }.reader(i64::MIN, i64::MAX);
        let (live, has_hole) = (reader.parts.len() - 1, loaded.is_some_and(|loaded| loaded.has_hole()));
        let is_first = loaded.is_some_and(|loaded| loaded.covered.start == i64::MIN);
        let (mut next, mut firsts) = ((self.live.evicted() + self.live.len() as u64) as i64, vec![0; live + 1]);
        for (number, part) in reader.parts.iter().enumerate().rev() {
            next -= (part.series.ordinal(part.to) - part.series.ordinal(part.from)) as i64;
            firsts[number] = next;
            if number == live && has_hole {
                next = 0;
            }
        }
        let mut bars = TickBars { reader, firsts, ticks: ticks.into(), span, until_ns, bars_max: bars_max as i64 };
        if has_hole {
            bars.append(0..live, is_first, out);
            bars.append(live..live + 1, false, out);
        } else {
            bars.append(0..live + 1, is_first, out);
        }
        out.drain(..out.len().saturating_sub(bars_max));
    }

    /// Returns whether the live series has all ticks of the first bar that extends into the span.
    fn first_bar_is_live(&self, loaded: &Loaded<'_>, ticks: u32, span: TimeSpan) -> bool {
        let live = self.live;
        let first = live.ordinal(live.seek(span.start)).saturating_sub(1);
        let first_of_bar = first - first % u64::from(ticks);
        self.is_live_sufficient(span) && first_of_bar >= live.ordinal(live.seek(loaded.complete_from_ns))
    }
}

/// Bars of equal numbers of ticks, with the arguments of [`MergedSeries::tick_bars`].
struct TickBars<'a> {
    reader: PartsReader<'a>,
    /// Number of the first tick of each part.
    firsts: Vec<i64>,
    ticks: i64,
    span: TimeSpan,
    until_ns: i64,
    bars_max: i64,
}

impl TickBars<'_> {
    /// Number of the tick at a position.
    fn ordinal(&self, (number, place): Position) -> i64 {
        let part = &self.reader.parts[number];
        self.firsts[number] + (part.series.ordinal(place) - part.series.ordinal(part.from)) as i64
    }

    /// Position of the tick with that number, which exists.
    fn position(&self, ordinal: i64) -> Position {
        let number = self.firsts.partition_point(|first| *first <= ordinal).saturating_sub(1);
        let part = &self.reader.parts[number];
        let offset = (ordinal - self.firsts[number]) as u64;
        (number, part.series.at_ordinal(part.series.ordinal(part.from) + offset))
    }

    /// Appends the bars of consecutive parts. `is_first` tells that no tick precedes them.
    fn append(&mut self, parts: Range<usize>, is_first: bool, out: &mut Vec<Bar>) {
        if parts.is_empty() {
            return;
        }
        let start = (parts.start, self.reader.parts[parts.start].from);
        let end = (parts.end - 1, self.reader.parts[parts.end - 1].to);
        let end = self.until_ns.checked_add(1).map_or(end, |cut_ns| self.reader.seek(cut_ns).clamp(start, end));
        let from = self.reader.seek(self.span.start).clamp(start, end);
        let to = self.reader.seek(self.span.end).clamp(start, end);
        let (begin, total) = (self.ordinal(start), self.ordinal(end));
        let (from, to) = (self.ordinal(from), self.ordinal(to));
        if to <= begin {
            return;
        }
        // The bar of the last tick before the span may extend into it.
        let first = (from - i64::from(from > begin)).div_euclid(self.ticks);
        let bars_end = (to - 1).div_euclid(self.ticks) + 1;
        let bars_begin = first.max(bars_end.saturating_sub(self.bars_max));
        let mut position = self.position((bars_begin * self.ticks).max(begin));
        for number in bars_begin..bars_end {
            let next_ordinal = (number + 1) * self.ticks;
            let next = if next_ordinal < total { self.position(next_ordinal) } else { end };
            let start_ns = self.reader.time(position);
            let last_ns = self.reader.time_before(next);
            let end_ns = if next_ordinal < total { self.reader.time(next) } else { last_ns };
            if last_ns >= self.span.start || end_ns > self.span.start {
                let complete = number * self.ticks >= begin || is_first;
                out.extend(self.reader.bar(position..next).map(|bar| bar.build((start_ns, end_ns), complete)));
            }
            position = next;
        }
    }
}
