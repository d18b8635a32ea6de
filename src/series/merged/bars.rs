//! Bars over memory and what was read back.

use crate::model::TimeSpan;
use crate::series::pyramid::{Place, Totals};
use crate::series::reader::Reader;
use crate::series::{Bar, BarCache, Series};

use crate::series::merged::{Known, MergedSeries, Part, Walk};

/// A bar that is being put together.
struct Making {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    totals: Totals,
}

impl Making {
    /// Takes in a range that is not empty.
    fn add(found: &mut Option<Self>, reader: &mut Reader<'_>, series: &Series, (from, to): (Place, Place)) {
        let (bounds, totals) = (reader.bounds(from, to), series.totals(from, to));
        let (high, low) = (bounds.max.price, bounds.min.price);
        let close = reader.sample(reader.before(to)).price;
        match found {
            None => *found = Some(Self { open: reader.sample(from).price, high, low, close, totals }),
            Some(made) => {
                // The earlier one of two that are equal, as everywhere: -0 equals 0.
                made.high = if high > made.high { high } else { made.high };
                made.low = if low < made.low { low } else { made.low };
                made.close = close;
                made.totals.merge(&totals);
            }
        }
    }

    fn candle(self, (start_ns, end_ns): (i64, i64), complete: bool) -> Bar {
        let Self { open, high, low, close, totals } = self;
        let (volume, count) = (totals.volume.total(), totals.count);
        Bar { start_ns, end_ns, open, high, low, close, volume, count, complete }
    }
}

impl Known<'_> {
    /// Whether everything from `start_ns` to before `end_ns` is known.
    fn is_whole(&self, start_ns: i64, end_ns: i64) -> bool {
        let is_read = start_ns >= self.covered.start && (end_ns <= self.covered.end || !self.has_hole());
        is_read || start_ns >= self.complete_from_ns
    }
}

impl MergedSeries<'_> {
    /// As [`Series::bars`] over all that is known.
    pub fn bars(&self, edges: &[i64], until_ns: i64, cache: &mut BarCache, out: &mut Vec<Bar>) {
        let (Some(&start), Some(&end)) = (edges.first(), edges.last()) else { return out.clear() };
        let known = match self.past {
            Some(known) if start < known.complete_from_ns => known,
            _ => return self.live.bars(edges, until_ns, cache, out),
        };
        out.clear();
        let mut walk = Walk::new(self.parts(start, end), start);
        for (start_ns, end_ns) in edges.iter().copied().zip(edges.iter().copied().skip(1)) {
            let last_ns = until_ns.checked_add(1).map_or(end_ns, |cut_ns| end_ns.min(cut_ns));
            let mut made = None;
            walk.pass_until(last_ns, |_, reader, series, range| Making::add(&mut made, reader, series, range));
            out.extend(made.map(|made| made.candle((start_ns, end_ns), known.is_whole(start_ns, end_ns))));
            if last_ns < end_ns {
                break;
            }
        }
    }

    /// How many ticks of a span are known, without those later than `until_ns`.
    pub fn count(&self, span: TimeSpan, until_ns: i64) -> u64 {
        if self.past.is_none_or(|known| span.start >= known.complete_from_ns) {
            return self.live.count(span, until_ns);
        }
        let end_ns = until_ns.checked_add(1).map_or(span.end, |cut_ns| span.end.min(cut_ns));
        let mut count = 0;
        Walk::new(self.parts(span.start, end_ns), span.start).pass_until(end_ns, |_, _, series, (from, to)| {
            count += series.ordinal(to) - series.ordinal(from);
        });
        count
    }

    /// As [`Series::tick_bars`] over all that is known, counted from the first tick that memory ever kept, and
    /// backwards before that: a bar has the same ticks whether memory still keeps them or they were read back. Where
    /// something between is not known, what is before is counted backwards from there. A tick that came too late for
    /// memory and was read back moves those before it by one place.
    pub fn tick_bars(&self, ticks: u32, span: TimeSpan, until_ns: i64, bars_max: usize, out: &mut Vec<Bar>) {
        let known = match self.past {
            Some(known) if !self.begins_behind_seam(&known, ticks, span) => known,
            _ => return self.live.tick_bars(ticks, span, until_ns, bars_max, out),
        };
        out.clear();
        let parts: Vec<Part<'_>> = self.parts(i64::MIN, i64::MAX).collect();
        let (read, live): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| !std::ptr::eq(part.series, self.live));
        // Also where none of memory's ticks counts, because all are as old as one that is gone.
        let live_end = (self.live.evicted() + self.live.len() as u64) as i64;
        let asked = Asked { ticks: i64::from(ticks.max(1)), span, until_ns, is_first: known.covered.start == i64::MIN };
        if known.has_hole() {
            asked.bars(&read, 0, out);
            Asked { is_first: false, ..asked }.bars(&live, live_end, out);
        } else {
            let all: Vec<Part<'_>> = read.into_iter().chain(live).collect();
            asked.bars(&all, live_end, out);
        }
        out.drain(..out.len().saturating_sub(bars_max));
    }

    /// Whether the first bar that reaches into the span has all of its ticks in memory.
    fn begins_behind_seam(&self, known: &Known<'_>, ticks: u32, span: TimeSpan) -> bool {
        let live = self.live;
        let first = live.ordinal(live.seek(span.start)).saturating_sub(1);
        self.is_live_enough(span)
            && first - first % u64::from(ticks.max(1)) >= live.ordinal(live.seek(known.complete_from_ns))
    }
}

fn count_of(parts: &[Part<'_>]) -> i64 {
    parts.iter().map(|part| (part.series.ordinal(part.to) - part.series.ordinal(part.from)) as i64).sum()
}

/// Which bars of ticks are wanted.
#[derive(Clone, Copy)]
struct Asked {
    ticks: i64,
    span: TimeSpan,
    until_ns: i64,
    /// Before the first part there is nothing.
    is_first: bool,
}

impl Asked {
    /// The bars of parts of which the tick behind the last one would have the number `end`.
    fn bars(&self, parts: &[Part<'_>], end: i64, out: &mut Vec<Bar>) {
        let line = Line::new(parts, end - count_of(parts));
        let all = self.until_ns.checked_add(1).map_or(end, |cut_ns| line.seek(cut_ns));
        let (from, to) = (line.seek(self.span.start).min(all), line.seek(self.span.end).min(all));
        if to <= line.first {
            return;
        }
        let first = (from - i64::from(from > line.first)).div_euclid(self.ticks);
        for number in first..=(to - 1).div_euclid(self.ticks) {
            let (begin, behind) = (number * self.ticks, (number + 1) * self.ticks);
            let (at, next) = (begin.max(line.first), behind.min(all));
            let (Some(start_ns), Some(last_ns)) = (line.time(at), line.time(next - 1)) else { continue };
            let end_ns = if behind < all { line.time(behind).unwrap_or(last_ns) } else { last_ns };
            if last_ns >= self.span.start || end_ns > self.span.start {
                let mut made = None;
                line.visit(at, next, |reader, series, range| Making::add(&mut made, reader, series, range));
                let complete = begin >= line.first || self.is_first;
                out.extend(made.map(|made| made.candle((start_ns, end_ns), complete)));
            }
        }
    }
}

/// Ticks of several parts, numbered through.
struct Line<'a> {
    /// Each with the number of its first tick.
    parts: Vec<(i64, Part<'a>)>,
    first: i64,
    end: i64,
}

impl<'a> Line<'a> {
    fn new(parts: &[Part<'a>], first: i64) -> Self {
        let mut end = first;
        let numbered = parts.iter().map(|part| {
            let number = end;
            end += count_of(std::slice::from_ref(part));
            (number, *part)
        });
        let parts = numbered.collect();
        Self { parts, first, end }
    }

    /// Number of the first tick that is not before an instant.
    fn seek(&self, time_ns: i64) -> i64 {
        for (number, part) in &self.parts {
            let place = part.series.seek(time_ns).max(part.from);
            if place < part.to {
                return number + (part.series.ordinal(place) - part.series.ordinal(part.from)) as i64;
            }
        }
        self.end
    }

    fn place(part: &Part<'_>, offset: i64) -> Place {
        part.series.at_ordinal(part.series.ordinal(part.from) + offset as u64)
    }

    fn time(&self, number: i64) -> Option<i64> {
        let at = self.parts.partition_point(|(first, _)| *first <= number).checked_sub(1)?;
        let (first, part) = self.parts.get(at)?;
        let place = Self::place(part, number - first);
        (place < part.to).then(|| part.series.time(place))
    }

    /// Each part's range of the ticks from one number to before another one.
    fn visit(&self, from: i64, to: i64, mut visit: impl FnMut(&mut Reader<'_>, &Series, (Place, Place))) {
        for (at, (first, part)) in self.parts.iter().enumerate() {
            let end = self.parts.get(at + 1).map_or(self.end, |(next, _)| *next);
            let (from, to) = (from.max(*first), to.min(end));
            if from < to {
                let place = |number: i64| if number == end { part.to } else { Self::place(part, number - first) };
                visit(&mut Reader::new(part.series), part.series, (place(from), place(to)));
            }
        }
    }
}
