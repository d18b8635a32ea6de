//! Bars and counts of a merged series.

use crate::model::TimeSpan;
use crate::series::bar_cache::BarBuilder;
use crate::series::pyramid::Place;
use crate::series::reader::Reader;
use crate::series::{Bar, BarCache, Series};

use super::walk::Walk;
use super::{Loaded, MergedSeries, Part};

impl Loaded<'_> {
    /// Whether all ticks from `start_ns` to before `end_ns` are known.
    fn is_complete(&self, start_ns: i64, end_ns: i64) -> bool {
        let is_loaded = start_ns >= self.covered.start && (end_ns <= self.covered.end || !self.has_hole());
        is_loaded || start_ns >= self.complete_from_ns
    }
}

fn merge(bar: &mut Option<BarBuilder>, reader: &mut Reader<'_>, series: &Series, range: (Place, Place)) {
    let later = BarBuilder::new(reader, series, range);
    match bar {
        Some(bar) => bar.merge(&later),
        None => *bar = Some(later),
    }
}

impl MergedSeries<'_> {
    /// As [`Series::bars`]. A bar is complete if all of its ticks are known.
    pub fn bars(&self, edges: &[i64], until_ns: i64, cache: &mut BarCache, out: &mut Vec<Bar>) {
        let (Some(&start), Some(&end)) = (edges.first(), edges.last()) else { return out.clear() };
        let Some(loaded) = self.loaded.filter(|loaded| start < loaded.complete_from_ns) else {
            return self.live.bars(edges, until_ns, cache, out);
        };
        out.clear();
        let mut walk = Walk::new(self.parts(start, end), start);
        for (start_ns, end_ns) in edges.iter().copied().zip(edges.iter().copied().skip(1)) {
            let last_ns = until_ns.checked_add(1).map_or(end_ns, |cut_ns| end_ns.min(cut_ns));
            let mut bar = None;
            walk.advance(last_ns, |_, reader, series, range| merge(&mut bar, reader, series, range));
            out.extend(bar.map(|bar| bar.build((start_ns, end_ns), loaded.is_complete(start_ns, end_ns))));
            if last_ns < end_ns {
                break;
            }
        }
    }

    /// Number of known ticks within `span` that are not after `until_ns`.
    pub fn count(&self, span: TimeSpan, until_ns: i64) -> u64 {
        if self.loaded.is_none_or(|loaded| span.start >= loaded.complete_from_ns) {
            return self.live.count(span, until_ns);
        }
        let end_ns = until_ns.checked_add(1).map_or(span.end, |cut_ns| span.end.min(cut_ns));
        let mut count = 0;
        Walk::new(self.parts(span.start, end_ns), span.start).advance(end_ns, |_, _, series, (from, to)| {
            count += series.ordinal(to) - series.ordinal(from);
        });
        count
    }

    /// As [`Series::tick_bars`], counted forwards from the first tick that memory ever kept and backwards before it, so
    /// that a bar has the same ticks whether memory still keeps them or they were loaded. Before an unknown stretch,
    /// bars are counted backwards from its start. A tick that came too late for memory and was loaded moves those
    /// before it by one.
    pub fn tick_bars(&self, ticks: u32, span: TimeSpan, until_ns: i64, bars_max: usize, out: &mut Vec<Bar>) {
        let Some(loaded) = self.loaded.filter(|loaded| !self.first_bar_is_live(loaded, ticks, span)) else {
            return self.live.tick_bars(ticks, span, until_ns, bars_max, out);
        };
        out.clear();
        let parts: Vec<Part<'_>> = self.parts(i64::MIN, i64::MAX).collect();
        // The live part is absent if all of its ticks are as old as one that memory has lost.
        let live_at = parts.iter().position(|part| std::ptr::eq(part.series, self.live)).unwrap_or(parts.len());
        let live_end = (self.live.evicted() + self.live.len() as u64) as i64;
        let is_first = loaded.covered.start == i64::MIN;
        let query = TickBarQuery { ticks: i64::from(ticks.max(1)), span, until_ns, is_first };
        if loaded.has_hole() {
            let (history, live) = parts.split_at(live_at);
            query.bars(history, 0, out);
            TickBarQuery { is_first: false, ..query }.bars(live, live_end, out);
        } else {
            query.bars(&parts, live_end, out);
        }
        out.drain(..out.len().saturating_sub(bars_max));
    }

    /// Whether the live series has all ticks of the first bar that extends into the span.
    fn first_bar_is_live(&self, loaded: &Loaded<'_>, ticks: u32, span: TimeSpan) -> bool {
        let live = self.live;
        let first = live.ordinal(live.seek(span.start)).saturating_sub(1);
        let first_of_bar = first - first % u64::from(ticks.max(1));
        self.is_live_sufficient(span) && first_of_bar >= live.ordinal(live.seek(loaded.complete_from_ns))
    }
}

/// Arguments of [`MergedSeries::tick_bars`].
#[derive(Clone, Copy)]
struct TickBarQuery {
    ticks: i64,
    span: TimeSpan,
    until_ns: i64,
    /// Set if no tick precedes the first part.
    is_first: bool,
}

impl TickBarQuery {
    /// Appends the bars of parts whose last tick has the ordinal `end - 1`.
    fn bars(&self, parts: &[Part<'_>], end: i64, out: &mut Vec<Bar>) {
        let ticks = NumberedTicks::new(parts, end);
        let total = self.until_ns.checked_add(1).map_or(end, |cut_ns| ticks.seek(cut_ns));
        let (from, to) = (ticks.seek(self.span.start).min(total), ticks.seek(self.span.end).min(total));
        if to <= ticks.begin {
            return;
        }
        // The bar of the last tick before the span may extend into it.
        let first = (from - i64::from(from > ticks.begin)).div_euclid(self.ticks);
        for number in first..=(to - 1).div_euclid(self.ticks) {
            let (bar_begin, bar_end) = (number * self.ticks, (number + 1) * self.ticks);
            let (begin, end) = (bar_begin.max(ticks.begin), bar_end.min(total));
            let (Some(start_ns), Some(last_ns)) = (ticks.time(begin), ticks.time(end - 1)) else { continue };
            let end_ns = if bar_end < total { ticks.time(bar_end).unwrap_or(last_ns) } else { last_ns };
            if last_ns >= self.span.start || end_ns > self.span.start {
                let complete = bar_begin >= ticks.begin || self.is_first;
                out.extend(ticks.bar(begin, end).map(|bar| bar.build((start_ns, end_ns), complete)));
            }
        }
    }
}

/// Ticks of several parts with consecutive ordinals.
struct NumberedTicks<'a> {
    /// Parts with the ordinals of their first ticks.
    parts: Vec<(i64, Part<'a>)>,
    begin: i64,
    end: i64,
}

impl<'a> NumberedTicks<'a> {
    fn new(parts: &[Part<'a>], end: i64) -> Self {
        let count = |part: &Part<'_>| (part.series.ordinal(part.to) - part.series.ordinal(part.from)) as i64;
        let begin = end - parts.iter().map(count).sum::<i64>();
        let mut next = begin;
        let numbered = parts.iter().map(|part| {
            let first = next;
            next += count(part);
            (first, *part)
        });
        Self { parts: numbered.collect(), begin, end }
    }

    /// Ordinal of the first tick that is not before `time_ns`.
    fn seek(&self, time_ns: i64) -> i64 {
        let found = self.parts.iter().find_map(|(first, part)| {
            let place = part.series.seek(time_ns).max(part.from);
            let offset = || (part.series.ordinal(place) - part.series.ordinal(part.from)) as i64;
            (place < part.to).then(|| first + offset())
        });
        found.unwrap_or(self.end)
    }

    fn place(part: &Part<'_>, offset: i64) -> Place {
        part.series.at_ordinal(part.series.ordinal(part.from) + offset as u64)
    }

    fn time(&self, ordinal: i64) -> Option<i64> {
        let at = self.parts.partition_point(|(first, _)| *first <= ordinal).checked_sub(1)?;
        let (first, part) = self.parts.get(at)?;
        let place = Self::place(part, ordinal - first);
        (place < part.to).then(|| part.series.time(place))
    }

    /// Summary of the ticks with ordinals from `from` to before `to`.
    fn bar(&self, from: i64, to: i64) -> Option<BarBuilder> {
        let mut bar = None;
        for (at, (first, part)) in self.parts.iter().enumerate() {
            let end = self.parts.get(at + 1).map_or(self.end, |(next, _)| *next);
            let (from, to) = (from.max(*first), to.min(end));
            if from < to {
                let place = |ordinal: i64| if ordinal == end { part.to } else { Self::place(part, ordinal - first) };
                merge(&mut bar, &mut Reader::new(part.series), part.series, (place(from), place(to)));
            }
        }
        bar
    }
}
