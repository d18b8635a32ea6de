//! A symbol's ticks as they are drawn: what memory keeps, and before that what a store has read back of it.
//!
//! The two meet at the seam, the instant from which on memory has everything. The past may end before it, or not reach
//! as far back as is asked for: there nothing is known, no line leads across, and the answer to what lies there is
//! none.

mod bars;
mod rows;

use std::iter;

use crate::model::TimeSpan;

use super::cache::{Before, Column, Runs};
use super::pyramid::{Bounds, ExtremeTick, Place};
use super::reader::Reader;
use super::{ColumnCache, LoadedHistory, Sample, Series, SeriesTick};
use crate::series::loaded_history::SymbolHistory;

/// What memory keeps of a symbol, with what is known of the time before.
#[derive(Debug, Clone, Copy)]
pub struct MergedSeries<'a> {
    live: &'a Series,
    past: Option<Known<'a>>,
}

/// A past that has something of the symbol's time.
#[derive(Debug, Clone, Copy)]
struct Known<'a> {
    lane: &'a SymbolHistory,
    covered: TimeSpan,
    revision: u64,
    /// Ticks from here on are memory's.
    complete_from_ns: i64,
}

impl Known<'_> {
    /// Between the past's end and the seam lies what nobody knows.
    fn has_hole(&self) -> bool {
        self.covered.end < self.complete_from_ns
    }
}

/// A part of a tape: a series, and what of it counts.
#[derive(Clone, Copy)]
struct Part<'a> {
    series: &'a Series,
    from: Place,
    to: Place,
}

impl<'a> MergedSeries<'a> {
    /// What memory keeps, and nothing else.
    pub fn live(live: &'a Series) -> Self {
        Self { live, past: None }
    }

    /// What memory keeps of the symbol at `symbol`, and what the past has of it.
    pub fn new(live: &'a Series, past: Option<&'a LoadedHistory>, symbol: usize) -> Self {
        let known = || {
            let past = past?;
            let (lane, covered) = (past.lane(symbol)?, past.covered()?);
            // Of a symbol that never came, there is nothing but the past.
            let complete_from_ns = live.complete_from_ns().unwrap_or(covered.end);
            // Where memory has everything, nothing is before it.
            if complete_from_ns == i64::MIN {
                return None;
            }
            Some(Known { lane, covered, revision: past.revision(), complete_from_ns })
        };
        Self { live, past: known() }
    }

    /// The latest tick of all.
    pub fn last(&self) -> Option<SeriesTick> {
        self.live.last().or_else(|| self.at_or_before(i64::MAX))
    }

    /// The latest tick that is not after `time_ns`; `None` also where that is not known.
    pub fn at_or_before(&self, time_ns: i64) -> Option<SeriesTick> {
        let Some(known) = self.past else { return self.live.at_or_before(time_ns) };
        if time_ns >= known.complete_from_ns {
            let live = self.live.at_or_before(time_ns).filter(|tick| tick.time_ns >= known.complete_from_ns);
            if live.is_some() || known.has_hole() {
                return live;
            }
        } else if time_ns >= known.covered.end {
            return None;
        }
        if time_ns < known.covered.start {
            return None;
        }
        let last_ns = time_ns.min(known.complete_from_ns.saturating_sub(1));
        let read = known.lane.pieces().rev().find_map(|piece| piece.at_or_before(last_ns));
        read.or_else(|| known.lane.before.tick())
    }

    /// The earliest tick that is not before `time_ns`; `None` also where that is not known.
    pub fn at_or_after(&self, time_ns: i64) -> Option<SeriesTick> {
        let Some(known) = self.past else { return self.live.at_or_after(time_ns) };
        if time_ns >= known.complete_from_ns {
            return self.live.at_or_after(time_ns);
        }
        if time_ns < known.covered.start || time_ns >= known.covered.end {
            return None;
        }
        self.read_at_or_after(&known, time_ns)
    }

    /// The earliest tick that is known and not before `time_ns`.
    pub fn first_known_from(&self, time_ns: i64) -> Option<SeriesTick> {
        let Some(known) = self.past else { return self.live.at_or_after(time_ns) };
        let read = self.at_or_after(time_ns).or_else(|| self.read_at_or_after(&known, time_ns));
        let read = read.filter(|tick| tick.time_ns >= time_ns);
        read.or_else(|| self.live.at_or_after(time_ns.max(known.complete_from_ns)))
    }

    fn read_at_or_after(&self, known: &Known<'_>, time_ns: i64) -> Option<SeriesTick> {
        let read = known.lane.pieces().find_map(|piece| piece.at_or_after(time_ns));
        let read = read.filter(|tick| tick.time_ns < known.complete_from_ns);
        let behind = || {
            if known.has_hole() { known.lane.after.tick() } else { self.live.at_or_after(known.complete_from_ns) }
        };
        read.or_else(behind)
    }

    /// Whether any tick came with a size.
    pub fn has_sizes(&self) -> bool {
        let all = TimeSpan { start: i64::MIN, end: i64::MAX };
        let has_sizes = |series: &Series| series.range(all).is_some_and(|all| all.sized > 0);
        has_sizes(self.live) || self.past.is_some_and(|known| known.lane.pieces().any(has_sizes))
    }

    /// Whether memory alone answers all about a span, what leads into it included.
    fn is_live_enough(&self, span: TimeSpan) -> bool {
        let Some(known) = self.past else { return true };
        let before = span.start.checked_sub(1).and_then(|before_ns| self.live.at_or_before(before_ns));
        before.is_some_and(|tick| tick.time_ns >= known.complete_from_ns)
    }

    /// What counts of all series that may have ticks from `from_ns` to before `to_ns`, in order of time.
    fn parts(&self, from_ns: i64, to_ns: i64) -> impl Iterator<Item = Part<'a>> {
        let live = self.live;
        let pieces = self.past.into_iter().flat_map(move |known| {
            let pieces = known.lane.pages.iter();
            let skipped = known.lane.pages.partition_point(|(page, _)| page.span().end <= from_ns);
            let pieces = pieces.skip(skipped).take_while(move |(page, _)| page.span().start < to_ns);
            let series = pieces.filter_map(|(page, lane)| page.series(*lane));
            series.map(move |series| Part { series, from: series.begin(), to: series.seek(known.complete_from_ns) })
        });
        let from = self.past.map_or_else(|| live.begin(), |known| live.seek(known.complete_from_ns));
        let live = Part { series: live, from, to: live.end() };
        pieces.chain(iter::once(live)).filter(|part| part.from < part.to)
    }

    /// As [`Series::downsample_cached`] over all that is known. Where something is not known, the line is cut.
    pub fn downsample_cached(
        &self,
        span: TimeSpan,
        columns: u32,
        breaks: &[i64],
        cache: &mut ColumnCache,
        out: &mut Vec<Vec<Sample>>,
    ) {
        let Some(known) = self.past.filter(|_| !self.is_live_enough(span)) else {
            return self.live.downsample_cached(span, columns, breaks, cache, out);
        };
        let mut all_cuts = breaks.to_vec();
        if known.has_hole()
            && let Err(at) = all_cuts.binary_search(&known.complete_from_ns)
        {
            all_cuts.insert(at, known.complete_from_ns);
        }
        if span.is_aligned(columns) {
            let past = Before { revision: known.revision, is_whole: !known.has_hole() };
            cache.move_to(span, columns, self.live, Some(past));
            self.fill(cache, span);
            self.put_together(span, columns, &all_cuts, Some(cache), out);
        } else {
            self.put_together(span, columns.max(1), &all_cuts, None, out);
        }
    }

    /// Takes what is not known.
    fn fill(&self, cache: &mut ColumnCache, span: TimeSpan) {
        let (first, width_ns) = (cache.first, cache.width_ns);
        let mut walk = None;
        for (column, number) in cache.columns.iter_mut().zip(first..) {
            if column.known {
                walk = None;
                continue;
            }
            let start_ns = number.saturating_mul(width_ns);
            let walk = walk.get_or_insert_with(|| Walk::new(self.parts(start_ns, span.end), start_ns));
            *column = Column::UNKNOWN;
            column.known = true;
            if let Some(four) = walk.take_until(start_ns.saturating_add(width_ns)) {
                four.emit(column);
            }
        }
    }

    fn put_together(
        &self,
        span: TimeSpan,
        columns: u32,
        breaks: &[i64],
        cache: Option<&ColumnCache>,
        out: &mut Vec<Vec<Sample>>,
    ) {
        out.clear();
        let mut runs = Runs { out, breaks, capacity: 2 * columns as usize };
        let before = span.start.checked_sub(1).and_then(|before_ns| self.at_or_before(before_ns));
        let begin_ns = before.map_or(span.start, |before| before.time_ns);
        runs.breaks = &breaks[breaks.partition_point(|&cut| cut <= begin_ns)..];
        runs.extend(before.map(|before| before.sample()));
        match cache {
            None => self.walk(span, (span, columns), breaks, &mut runs),
            Some(cache) => {
                for (column, start_ns) in cache.columns.iter().zip((span.start..).step_by(cache.width_ns as usize)) {
                    let end_ns = start_ns.saturating_add(cache.width_ns);
                    // A cut within the column, behind its first instant, parts its ticks.
                    let first_cut = breaks.get(breaks.partition_point(|&cut| cut <= start_ns));
                    if first_cut.is_some_and(|&cut| cut < end_ns) {
                        self.walk(TimeSpan { start: start_ns, end: end_ns }, (span, columns), breaks, &mut runs);
                    } else {
                        runs.extend(column.samples().iter().copied());
                    }
                }
            }
        }
        runs.extend(self.at_or_after(span.end).map(|tick| tick.sample()));
        out.retain(|run| !matches!(run[..], [only] if !span.contains(only.time_ns)));
    }

    /// Takes a part of a span, anew, column by column.
    fn walk(&self, part: TimeSpan, (span, columns): (TimeSpan, u32), breaks: &[i64], runs: &mut Runs<'_>) {
        let mut walk = Walk::new(self.parts(part.start, part.end), part.start);
        while let Some(time_ns) = walk.next_ns().filter(|time_ns| *time_ns < part.end) {
            let column_end_ns = span.column_start(span.column(time_ns, columns) + 1, columns);
            let next_cut = breaks.get(breaks.partition_point(|&cut| cut <= time_ns));
            let end_ns = next_cut.map_or(column_end_ns, |&cut| cut.min(column_end_ns)).min(part.end);
            if let Some(four) = walk.take_until(end_ns) {
                four.emit(runs);
            }
        }
    }
}

/// The ticks of several parts, one behind the other, taken stretch by stretch.
struct Walk<'a, I> {
    rest: I,
    /// Number of the part at hand, with its reader and what is left of it.
    here: Option<(usize, Reader<'a>, Part<'a>)>,
}

/// A tick of a walk: number of its part, place in that, and the tick.
type Stop = (usize, Place, Sample);

/// The first, lowest, highest and last tick of a stretch, the earliest among equals.
struct Four {
    first: Stop,
    last: Stop,
    min: Stop,
    max: Stop,
}

impl<'a, I: Iterator<Item = Part<'a>>> Walk<'a, I> {
    fn new(rest: I, from_ns: i64) -> Self {
        let mut walk = Self { rest, here: None };
        walk.step();
        while let Some((_, reader, part)) = &mut walk.here {
            part.from = reader.seek(from_ns).max(part.from);
            if part.from < part.to {
                break;
            }
            walk.step();
        }
        walk
    }

    /// On to the next part.
    fn step(&mut self) {
        let number = self.here.take().map_or(0, |(number, ..)| number + 1);
        self.here = self.rest.next().map(|part| (number, Reader::new(part.series), part));
    }

    /// Time of the next tick.
    fn next_ns(&mut self) -> Option<i64> {
        self.here.as_mut().map(|(_, reader, part)| reader.time(part.from))
    }

    /// Goes on to the first tick that is not before `end_ns`, and tells of each part that is left behind or entered
    /// what is passed of it, which is not empty.
    fn pass_until(&mut self, end_ns: i64, mut passed: impl FnMut(usize, &mut Reader<'a>, &'a Series, (Place, Place))) {
        while let Some((number, reader, part)) = &mut self.here {
            let to = reader.seek_from(part.from, end_ns).min(part.to);
            if part.from < to {
                passed(*number, reader, part.series, (part.from, to));
            }
            part.from = to;
            if to < part.to {
                return;
            }
            self.step();
        }
    }

    fn take_until(&mut self, end_ns: i64) -> Option<Four> {
        let mut found: Option<Four> = None;
        self.pass_until(end_ns, |number, reader, _, (from, to)| {
            let four = Four::of(number, reader, from, to);
            match &mut found {
                Some(found) => found.merge(&four),
                None => found = Some(four),
            }
        });
        found
    }
}

impl Four {
    /// Of a range that is not empty.
    fn of(number: usize, reader: &mut Reader<'_>, from: Place, to: Place) -> Self {
        let last = reader.before(to);
        let (first, end) = ((number, from, reader.sample(from)), (number, last, reader.sample(last)));
        if last == from {
            return Self { first, last: end, min: first, max: first };
        }
        let Bounds { min, max } = reader.bounds(from, to);
        let stop = |mark: &ExtremeTick| (number, mark.place, reader.marked(mark));
        Self { first, last: end, min: stop(&min), max: stop(&max) }
    }

    fn merge(&mut self, later: &Self) {
        self.last = later.last;
        if later.min.2.price < self.min.2.price {
            self.min = later.min;
        }
        if later.max.2.price > self.max.2.price {
            self.max = later.max;
        }
    }

    /// In order and none twice.
    fn emit(&self, out: &mut impl Extend<Sample>) {
        let place = |stop: &Stop| (stop.0, stop.1);
        let (earlier, later) =
            if place(&self.min) < place(&self.max) { (self.min, self.max) } else { (self.max, self.min) };
        out.extend([self.first.2]);
        for (nth, stop) in [earlier, later].into_iter().enumerate() {
            let is_twice = nth > 0 && place(&stop) == place(&earlier);
            if place(&stop) > place(&self.first) && place(&stop) < place(&self.last) && !is_twice {
                out.extend([stop.2]);
            }
        }
        if place(&self.last) > place(&self.first) {
            out.extend([self.last.2]);
        }
    }
}
