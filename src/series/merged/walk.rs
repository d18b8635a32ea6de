//! Forward cursor over the parts of a merged series.

use crate::series::pyramid::{Bounds, ExtremeTick, Place};
use crate::series::reader::Reader;
use crate::series::{Sample, Series};

use super::Part;

/// Ticks of consecutive parts, read from the earliest to the latest, stretch by stretch.
pub(super) struct Walk<'a, I> {
    rest: I,
    /// Number of the current part, its reader, and what is left of it.
    current: Option<(usize, Reader<'a>, Part<'a>)>,
}

/// Tick of a walk: number of its part, place within the part, time and price.
type WalkTick = (usize, Place, Sample);

/// First, lowest, highest and last tick of a stretch; the earliest among equal prices.
pub(super) struct ColumnPoints {
    first: WalkTick,
    last: WalkTick,
    min: WalkTick,
    max: WalkTick,
}

impl<'a, I: Iterator<Item = Part<'a>>> Walk<'a, I> {
    /// Starts at the first tick that is not before `from_ns`.
    pub(super) fn new(parts: I, from_ns: i64) -> Self {
        let mut walk = Self { rest: parts, current: None };
        walk.next_part();
        while let Some((_, reader, part)) = &mut walk.current {
            part.from = reader.seek(from_ns).max(part.from);
            if part.from < part.to {
                break;
            }
            walk.next_part();
        }
        walk
    }

    fn next_part(&mut self) {
        let number = self.current.take().map_or(0, |(number, ..)| number + 1);
        self.current = self.rest.next().map(|part| (number, Reader::new(part.series), part));
    }

    /// Time of the next tick.
    pub(super) fn next_ns(&mut self) -> Option<i64> {
        self.current.as_mut().map(|(_, reader, part)| reader.time(part.from))
    }

    /// Advances to the first tick that is not before `end_ns`. Calls `passed` with each range that was passed, which is
    /// not empty.
    pub(super) fn advance(
        &mut self,
        end_ns: i64,
        mut passed: impl FnMut(usize, &mut Reader<'a>, &'a Series, (Place, Place)),
    ) {
        while let Some((number, reader, part)) = &mut self.current {
            let to = reader.seek_from(part.from, end_ns).min(part.to);
            if part.from < to {
                passed(*number, reader, part.series, (part.from, to));
            }
            part.from = to;
            if to < part.to {
                return;
            }
            self.next_part();
        }
    }

    /// Advances to `end_ns` and summarises the ticks passed; `None` if there are none.
    pub(super) fn take_points(&mut self, end_ns: i64) -> Option<ColumnPoints> {
        let mut found: Option<ColumnPoints> = None;
        self.advance(end_ns, |number, reader, series, range| {
            let points = ColumnPoints::new(number, reader, series, range);
            match &mut found {
                Some(found) => found.merge(&points),
                None => found = Some(points),
            }
        });
        found
    }
}

impl ColumnPoints {
    /// Summarises a range that is not empty.
    fn new(number: usize, reader: &mut Reader<'_>, series: &Series, (from, to): (Place, Place)) -> Self {
        let last = series.before(to);
        let (first, end) = ((number, from, reader.sample(from)), (number, last, reader.sample(last)));
        if last == from {
            return Self { first, last: end, min: first, max: first };
        }
        let Bounds { min, max } = reader.bounds(from, to);
        let point = |extreme: &ExtremeTick| (number, extreme.place, reader.extreme_sample(extreme));
        Self { first, last: end, min: point(&min), max: point(&max) }
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

    /// Appends the points in order, each once.
    pub(super) fn emit(&self, out: &mut impl Extend<Sample>) {
        let mut points = [self.first, self.min, self.max, self.last];
        points.sort_unstable_by_key(|(number, place, _)| (*number, *place));
        let mut previous = None;
        for (number, place, sample) in points {
            if previous.replace((number, place)) != Some((number, place)) {
                out.extend([sample]);
            }
        }
    }
}
