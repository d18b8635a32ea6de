//! Access to the parts of a merged series as if they were one series.

use std::ops::Range;

use crate::series::bar_cache::BarBuilder;
use crate::series::pyramid::Place;
use crate::series::reader::Reader;
use crate::series::{Sample, Series};

/// Range of a series that belongs to a merged series.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) series: &'a Series,
    pub(super) from: Place,
    pub(super) to: Place,
}

/// Position in a merged series: the number of a part, and a place in it. Positions are ordered like time.
pub(super) type Position = (usize, Place);

/// Reads neighbouring positions of consecutive parts.
pub(super) struct PartsReader<'a> {
    /// Pages, of which none is empty, and the live series.
    pub(super) parts: Vec<Part<'a>>,
    /// Number of the part that `reader` reads.
    current: usize,
    reader: Reader<'a>,
}

impl<'a> PartsReader<'a> {
    pub(super) fn new(pages: impl Iterator<Item = Part<'a>>, live: Part<'a>) -> Self {
        let parts: Vec<Part<'a>> = pages.filter(|page| page.from < page.to).chain([live]).collect();
        Self { reader: Reader::new(parts[0].series), parts, current: 0 }
    }

    fn reader(&mut self, number: usize) -> &mut Reader<'a> {
        if self.current != number {
            (self.current, self.reader) = (number, Reader::new(self.parts[number].series));
        }
        &mut self.reader
    }

    /// Position of the earliest tick that is not before `time_ns`; the end if there is none.
    pub(super) fn seek(&mut self, time_ns: i64) -> Position {
        let pages = &self.parts[..self.parts.len() - 1];
        let number = pages.partition_point(|page| page.series.newest_ns() < time_ns);
        let place = self.reader(number).seek(time_ns);
        self.settle((number, place), time_ns)
    }

    /// As [`Self::seek`], for a result at or after `from`; fast if it is near.
    pub(super) fn seek_from(&mut self, (number, from): Position, time_ns: i64) -> Position {
        let place = self.reader(number).seek_from(from, time_ns);
        self.settle((number, place), time_ns)
    }

    /// Continues a search in the next parts if the place is beyond the end of its part.
    fn settle(&mut self, (mut number, mut place): Position, time_ns: i64) -> Position {
        loop {
            let Part { from, to, .. } = self.parts[number];
            if place < to || number + 1 == self.parts.len() {
                return (number, place.clamp(from, to));
            }
            number += 1;
            let Part { series, from, .. } = self.parts[number];
            // Most parts begin at or after the instant, which takes no reader to know.
            let is_later = series.chunks.list.front().is_none_or(|chunk| chunk.first_time() >= time_ns);
            place = if is_later { from } else { self.reader(number).seek(time_ns) };
        }
    }

    /// Time of a tick, ns.
    pub(super) fn time(&mut self, (number, place): Position) -> i64 {
        self.reader(number).time(place)
    }

    /// Time of the tick before a position, which is not the first one, ns.
    pub(super) fn time_before(&mut self, (number, place): Position) -> i64 {
        let part = self.parts[number];
        if place == part.from {
            return self.time_before((number - 1, self.parts[number - 1].to));
        }
        self.time((number, part.series.before(place)))
    }

    /// Sample before a position in the same part; `None` at the start of a part.
    pub(super) fn sample_before(&mut self, (number, place): Position) -> Option<Sample> {
        let Part { series, from, .. } = self.parts[number];
        (place > from).then(|| self.sample((number, series.before(place))))
    }

    /// Time and price of a tick.
    pub(super) fn sample(&mut self, (number, place): Position) -> Sample {
        self.reader(number).sample(place)
    }

    /// Appends the samples that a pixel column needs of a range, as [`Reader::downsample`] does.
    pub(super) fn downsample(&mut self, range: Range<Position>, out: &mut impl Extend<Sample>) {
        if range.is_empty() {
            return;
        }
        if range.start.0 == range.end.0 {
            return self.reader(range.start.0).downsample(range.start.1, range.end.1, out);
        }
        let mut samples = Vec::new();
        self.for_each_part(range, |reader, (from, to)| reader.downsample(from, to, &mut samples));
        let extreme = |beats: fn(&f64, &f64) -> bool| {
            (0..samples.len())
                .reduce(|best, at| if beats(&samples[at].price, &samples[best].price) { at } else { best })
        };
        let kept = [Some(0), extreme(f64::lt), extreme(f64::gt), samples.len().checked_sub(1)];
        out.extend((0..samples.len()).filter(|at| kept.contains(&Some(*at))).map(|at| samples[at]));
    }

    /// Summarises a range; `None` if it is empty.
    pub(super) fn bar(&mut self, range: Range<Position>) -> Option<BarBuilder> {
        let mut bar: Option<BarBuilder> = None;
        self.for_each_part(range, |reader, range| {
            let later = BarBuilder::new(reader, range);
            match &mut bar {
                Some(bar) => bar.merge(&later),
                None => bar = Some(later),
            }
        });
        bar
    }

    /// Calls `each` for what a range has of each part, unless it is empty.
    fn for_each_part(&mut self, range: Range<Position>, mut each: impl FnMut(&mut Reader<'a>, (Place, Place))) {
        let Range { start, end } = range;
        for number in start.0..=end.0 {
            let part = self.parts[number];
            let from = if number == start.0 { start.1 } else { part.from };
            let to = if number == end.0 { end.1 } else { part.to };
            if from < to {
                each(self.reader(number), (from, to));
            }
        }
    }
}
