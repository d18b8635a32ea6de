//! Looking things up in a series: neighbours of an instant, the summary of a span, and the few ticks of a span that a
//! line of given width needs.

use crate::view::TimeSpan;

use super::chunk::Chunk;
use super::pyramid::{Bounds, Mark, Piece, Place, Totals};
use super::{Sample, Series, TickRef};

/// What happened within a span; of at least one tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The earliest tick.
    pub first: Sample,
    /// The latest tick.
    pub last: Sample,
    /// The lowest tick, the earliest among equals.
    pub min: Sample,
    /// The highest tick, the earliest among equals.
    pub max: Sample,
    /// Ticks.
    pub count: u64,
    /// Ticks that came with a size.
    pub sized: u64,
    /// Sum of the sizes.
    pub volume: f64,
}

impl Series {
    /// The latest tick that is not after `time_ns`.
    pub fn at_or_before(&self, time_ns: i64) -> Option<TickRef> {
        let place = time_ns.checked_add(1).map_or(self.end(), |next_ns| self.seek(next_ns));
        (place > self.begin()).then(|| self.tick(self.before(place)))
    }

    /// The earliest tick that is not before `time_ns`.
    pub fn at_or_after(&self, time_ns: i64) -> Option<TickRef> {
        let place = self.seek(time_ns);
        (place < self.end()).then(|| self.tick(place))
    }

    /// The tick nearest in time; the earlier one of two that are equally near.
    pub fn nearest(&self, time_ns: i64) -> Option<TickRef> {
        let (before, after) = (self.at_or_before(time_ns), self.at_or_after(time_ns));
        match (before, after) {
            (Some(before), Some(after)) => {
                let is_after = time_ns.abs_diff(after.time_ns) < time_ns.abs_diff(before.time_ns);
                Some(if is_after { after } else { before })
            }
            _ => before.or(after),
        }
    }

    /// Summary of the ticks within `span`, in logarithmic time; `None` when there are none.
    pub fn range(&self, span: TimeSpan) -> Option<Summary> {
        let (from, to) = (self.seek(span.start), self.seek(span.end));
        if from >= to {
            return None;
        }
        let (bounds, totals) = (self.bounds(from, to), self.totals(from, to));
        Some(Summary {
            first: self.sample(from),
            last: self.sample(self.before(to)),
            min: self.marked(&bounds.min),
            max: self.marked(&bounds.max),
            count: totals.count,
            sized: totals.volume.sized,
            volume: totals.volume.total(),
        })
    }

    /// The ticks that a line over `span`, drawn `columns` pixels wide, needs in order to light the same pixels as all
    /// ticks would: of each pixel column (as [`TimeSpan::column`] has it) the first, the lowest, the highest and the
    /// last tick, in order and none twice, and the neighbours just outside the span, so that the line enters and
    /// leaves at the right angle. `out` is cleared first; it receives `4 * columns + 2` samples at most.
    ///
    /// This is M4 (Jugel, Jerzak, Hackenbroich, Markl, "M4: A Visualization-Oriented Time Series Data Aggregation",
    /// VLDB 2014), taken from the pyramid: the cost depends on `columns`, and on the history only by its logarithm.
    pub fn extract(&self, span: TimeSpan, columns: u32, out: &mut Vec<Sample>) {
        out.clear();
        self.extract_between(span, columns, (self.begin(), self.end()), out);
    }

    /// As [`Series::extract`], cut into runs: each instant of `cuts` (sorted) begins a new one, and no run knows of
    /// ticks in another. A run that does not reach into the span is left out.
    pub fn extract_runs(&self, span: TimeSpan, columns: u32, cuts: &[i64], out: &mut Vec<Vec<Sample>>) {
        out.clear();
        let mut from = self.begin();
        // A cut outside the span still ends the run that would lead into it or out of it.
        let inner = cuts.partition_point(|&cut| cut <= span.start).saturating_sub(1)
            ..(cuts.partition_point(|&cut| cut < span.end) + 1).min(cuts.len());
        for (index, &cut) in cuts[inner].iter().enumerate() {
            let to = self.seek(cut).max(from);
            if index > 0 || cut > span.start {
                self.extract_run(span, columns, (from, to), out);
            }
            from = to;
        }
        self.extract_run(span, columns, (from, self.end()), out);
    }

    fn extract_run(&self, span: TimeSpan, columns: u32, run: (Place, Place), out: &mut Vec<Vec<Sample>>) {
        let mut samples = Vec::new();
        self.extract_between(span, columns, run, &mut samples);
        let is_outside = matches!(samples[..], [only] if !span.contains(only.time_ns));
        if !samples.is_empty() && !is_outside {
            out.push(samples);
        }
    }

    fn extract_between(&self, span: TimeSpan, columns: u32, run: (Place, Place), out: &mut Vec<Sample>) {
        let (begin, end) = run;
        if begin >= end {
            return;
        }
        let columns = columns.max(1);
        let mut from = self.seek(span.start).clamp(begin, end);
        if from > begin {
            out.push(self.sample(self.before(from)));
        }
        while from < end {
            let time_ns = self.time(from);
            if time_ns >= span.end {
                out.push(self.sample(from));
                break;
            }
            let next_ns = span.column_start(span.column(time_ns, columns) + 1, columns);
            let to = self.seek_from(from, next_ns).min(end);
            self.extract_column(from, to, out);
            from = to;
        }
    }

    fn extract_column(&self, from: Place, to: Place, out: &mut Vec<Sample>) {
        let last = self.before(to);
        out.push(self.sample(from));
        if last == from {
            return;
        }
        let Bounds { min, max } = self.bounds(from, to);
        let (earlier, later) = if min.place < max.place { (min, max) } else { (max, min) };
        if earlier.place > from && earlier.place < last {
            out.push(self.marked(&earlier));
        }
        if later.place > from && later.place < last && later.place > earlier.place {
            out.push(self.marked(&later));
        }
        out.push(self.sample(last));
    }

    /// All ticks kept, from the earliest to the latest.
    pub fn iter(&self) -> impl Iterator<Item = TickRef> {
        self.iter_between(self.begin(), self.end())
    }

    /// The ticks within a span.
    pub fn iter_range(&self, span: TimeSpan) -> impl Iterator<Item = TickRef> {
        self.iter_between(self.seek(span.start), self.seek(span.end))
    }

    fn iter_between(&self, from: Place, to: Place) -> impl Iterator<Item = TickRef> {
        (from.chunk..=to.chunk).filter(move |_| from < to).flat_map(move |id| {
            let (chunk, range) = self.part(id, from, to);
            range.map(move |at| chunk.tick(at))
        })
    }

    /// Lowest and highest of a range that is not empty.
    fn bounds(&self, from: Place, to: Place) -> Bounds {
        let mut found = Bounds::none();
        self.visit(from, to, |piece, range| match piece {
            Piece::Node(node) => found.merge(&node.bounds),
            Piece::Chunk(id) => found.merge_chunk(id, self.chunks.get(id), range),
        });
        found
    }

    fn totals(&self, from: Place, to: Place) -> Totals {
        let mut found = Totals::default();
        self.visit(from, to, |piece, range| match piece {
            Piece::Node(node) => found.merge(&node.totals),
            Piece::Chunk(id) => found.merge_chunk(self.chunks.get(id), range),
        });
        found
    }

    /// Visits a range that is not empty, in order: part of a chunk, whole ones, part of a chunk.
    fn visit(&self, from: Place, to: Place, mut visitor: impl FnMut(Piece<'_>, std::ops::Range<usize>)) {
        visitor(Piece::Chunk(from.chunk), self.part(from.chunk, from, to).1);
        if from.chunk == to.chunk {
            return;
        }
        self.pyramid.visit(from.chunk + 1..to.chunk, |piece| {
            let whole = if let Piece::Chunk(id) = piece { 0..self.chunks.get(id).len() } else { 0..0 };
            visitor(piece, whole);
        });
        if to.at > 0 {
            visitor(Piece::Chunk(to.chunk), 0..to.at);
        }
    }

    /// A chunk, and what part of it lies between two places.
    fn part(&self, id: u64, from: Place, to: Place) -> (&Chunk, std::ops::Range<usize>) {
        let chunk = self.chunks.get(id);
        let start = if id == from.chunk { from.at } else { 0 };
        let end = if id == to.chunk { to.at } else { chunk.len() };
        (chunk, start..end)
    }

    /// Place of the earliest tick.
    pub(super) fn begin(&self) -> Place {
        Place { chunk: self.chunks.first, at: self.head }
    }

    /// Place behind the latest tick.
    pub(super) fn end(&self) -> Place {
        Place { chunk: self.chunks.last_id(), at: self.chunks.list.back().map_or(0, Chunk::len) }
    }

    /// The place before one that is not the first.
    pub(super) fn before(&self, place: Place) -> Place {
        if place.at > 0 {
            return Place { at: place.at - 1, ..place };
        }
        let chunk = place.chunk - 1;
        Place { chunk, at: self.chunks.get(chunk).len() - 1 }
    }

    /// Place of the earliest tick that is not before `time_ns`; the end when there is none.
    fn seek(&self, time_ns: i64) -> Place {
        let list = &self.chunks.list;
        let index = list.partition_point(|chunk| chunk.last_time() < time_ns);
        let Some(chunk) = list.get(index) else { return self.end() };
        let oldest = if index == 0 { self.head } else { 0 };
        Place { chunk: self.chunks.first + index as u64, at: chunk.seek(oldest, time_ns) }
    }

    /// As [`Self::seek`], for an answer at or behind `from`; quick when it is near.
    fn seek_from(&self, from: Place, time_ns: i64) -> Place {
        let list = &self.chunks.list;
        let mut low = (from.chunk - self.chunks.first) as usize;
        if list[low].last_time() >= time_ns {
            return Place { at: list[low].seek(from.at, time_ns), ..from };
        }
        let mut step = 1;
        while low + step < list.len() && list[low + step].last_time() < time_ns {
            low += step;
            step *= 2;
        }
        let mut high = (low + step).min(list.len());
        // Every chunk up to `low` ends before the instant, none from `high` on does.
        while low + 1 < high {
            let middle = usize::midpoint(low, high);
            if list[middle].last_time() < time_ns { low = middle } else { high = middle }
        }
        let Some(chunk) = list.get(high) else { return self.end() };
        Place { chunk: self.chunks.first + high as u64, at: chunk.seek(0, time_ns) }
    }

    pub(super) fn time(&self, place: Place) -> i64 {
        self.chunks.get(place.chunk).time(place.at)
    }

    pub(super) fn tick(&self, place: Place) -> TickRef {
        self.chunks.get(place.chunk).tick(place.at)
    }

    fn sample(&self, place: Place) -> Sample {
        let chunk = self.chunks.get(place.chunk);
        Sample { time_ns: chunk.time(place.at), price: chunk.price(place.at) }
    }

    fn marked(&self, mark: &Mark) -> Sample {
        Sample { time_ns: mark.time_ns.unwrap_or_else(|| self.time(mark.place)), price: mark.price }
    }
}
