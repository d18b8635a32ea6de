//! Queries of a series: neighbours of an instant, summaries of a span, and the few ticks of a span that a line of a
//! given width needs.

use crate::model::TimeSpan;

use super::chunk::Chunk;
use super::pyramid::{Place, Totals};
use super::reader::Reader;
use super::{Sample, Series, SeriesTick};

/// Summary of the ticks within a span; of at least one tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The earliest tick.
    pub first: Sample,
    /// The latest tick.
    pub last: Sample,
    /// The lowest tick; the earliest among equal prices.
    pub min: Sample,
    /// The highest tick; the earliest among equal prices.
    pub max: Sample,
    /// Number of ticks.
    pub count: u64,
    /// Number of ticks with a size.
    pub sized: u64,
    /// Sum of the sizes.
    pub volume: f64,
}

impl Series {
    /// The latest tick that is not after `time_ns`.
    pub fn at_or_before(&self, time_ns: i64) -> Option<SeriesTick> {
        let place = time_ns.checked_add(1).map_or(self.end(), |next_ns| self.seek(next_ns));
        if place > self.begin() { self.tick(self.before(place)) } else { None }
    }

    /// The earliest tick that is not before `time_ns`.
    pub fn at_or_after(&self, time_ns: i64) -> Option<SeriesTick> {
        let place = self.seek(time_ns);
        if place < self.end() { self.tick(place) } else { None }
    }

    /// Summary of the ticks within `span`, in logarithmic time; `None` if there are none.
    pub fn range(&self, span: TimeSpan) -> Option<Summary> {
        let mut reader = Reader::new(self);
        let (from, to) = (reader.seek(span.start), reader.seek(span.end));
        if from >= to {
            return None;
        }
        let (bounds, totals) = (reader.bounds(from, to), self.totals(from, to));
        Some(Summary {
            first: reader.sample(from),
            last: reader.sample(self.before(to)),
            min: reader.extreme_sample(&bounds.min),
            max: reader.extreme_sample(&bounds.max),
            count: totals.count,
            sized: totals.volume.sized,
            volume: totals.volume.total(),
        })
    }

    /// Downsamples the ticks within `span` to what a line `columns` pixels wide needs in order to light the same pixels
    /// as all ticks would: the first, lowest, highest and last tick of each pixel column (see [`TimeSpan::column`]), in
    /// order and each once, and the nearest tick on each side of the span, so that the line enters and leaves at the
    /// right angle. `out` is cleared first; it receives at most `4 * columns + 2` samples.
    ///
    /// The algorithm is M4 (U. Jugel, Z. Jerzak, G. Hackenbroich, V. Markl, "M4: A Visualization-Oriented Time Series
    /// Data Aggregation", VLDB 2014), evaluated on the min/max pyramid: the cost is linear in `columns` and logarithmic
    /// in the length of history.
    pub fn downsample(&self, span: TimeSpan, columns: u32, out: &mut Vec<Sample>) {
        out.clear();
        self.downsample_between(span, columns, (self.begin(), self.end()), out);
    }

    /// As [`Series::downsample`], without the ticks outside of a range of places.
    pub(super) fn downsample_between(
        &self,
        span: TimeSpan,
        columns: u32,
        (begin, end): (Place, Place),
        out: &mut Vec<Sample>,
    ) {
        if begin >= end {
            return;
        }
        let (columns, mut reader) = (columns.max(1), Reader::new(self));
        let mut from = reader.seek(span.start).clamp(begin, end);
        if from > begin {
            out.push(reader.sample(self.before(from)));
        }
        while from < end {
            let time_ns = reader.time(from);
            if time_ns >= span.end {
                out.push(reader.sample(from));
                break;
            }
            let next_ns = span.column_start(span.column(time_ns, columns) + 1, columns);
            let to = reader.seek_from(from, next_ns).min(end);
            reader.downsample(from, to, out);
            from = to;
        }
    }

    /// All ticks, from the earliest to the latest.
    pub fn iter(&self) -> impl Iterator<Item = SeriesTick> {
        self.iter_between(self.begin(), self.end())
    }

    /// Ticks within `span`.
    pub fn iter_range(&self, span: TimeSpan) -> impl Iterator<Item = SeriesTick> {
        self.iter_between(self.seek(span.start), self.seek(span.end))
    }

    /// As [`Series::iter_range`], without the first `skip` ticks. Skips whole chunks, so that a reader may resume
    /// within an instant that has many ticks.
    pub fn iter_range_from(&self, span: TimeSpan, skip: usize) -> impl Iterator<Item = SeriesTick> {
        let first = self.ordinal(self.seek(span.start)) + skip as u64;
        self.iter_between(self.at_ordinal(first), self.seek(span.end))
    }

    fn iter_between(&self, from: Place, to: Place) -> impl Iterator<Item = SeriesTick> {
        (from.chunk..=to.chunk).filter(move |_| from < to).flat_map(move |id| {
            let (chunk, range) = self.part(id, from, to);
            chunk.ticks(range)
        })
    }

    pub(super) fn totals(&self, from: Place, to: Place) -> Totals {
        let part = |id| {
            let (chunk, range) = self.part(id, from, to);
            Totals::of(chunk, range)
        };
        let mut found = part(from.chunk);
        if from.chunk < to.chunk {
            self.chunks.visit(from.chunk + 1..to.chunk, |piece| found.merge(&piece.totals));
            found.merge(&part(to.chunk));
        }
        found
    }

    /// Chunk `id` and the part of it between two places.
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

    /// Place after the latest tick.
    pub(super) fn end(&self) -> Place {
        self.chunks.end()
    }

    /// The previous place; `place` must not be the first.
    pub(super) fn before(&self, place: Place) -> Place {
        if place.at > 0 {
            return Place { at: place.at - 1, ..place };
        }
        let chunk = place.chunk - 1;
        Place { chunk, at: self.chunks.get(chunk).len() - 1 }
    }

    /// Place of the earliest tick that is not before `time_ns`; the end if there is none.
    pub(super) fn seek(&self, time_ns: i64) -> Place {
        Reader::new(self).seek(time_ns)
    }

    pub(super) fn tick(&self, place: Place) -> Option<SeriesTick> {
        self.chunks.get(place.chunk).ticks(place.at..place.at + 1).next()
    }

    /// Time of a tick, ns.
    pub(super) fn time(&self, place: Place) -> i64 {
        self.chunks.get(place.chunk).time(place.at)
    }
}
