//! Looking into a series block by block.

use std::cmp::Ordering;
use std::ops::Range;

use super::chunk::Chunk;
use super::columns::BLOCK_TICKS;
use super::pack::Unpacked;
use super::pyramid::{Bounds, Mark, Piece, Place};
use super::{Sample, Series};

/// An unpacked block and which one it is.
#[derive(Default)]
struct Slot {
    key: Option<(u64, usize)>,
    ticks: Unpacked,
}

/// Answers questions about neighbouring places of a series. It keeps the two blocks that were looked into last, since a
/// pixel column mostly begins in one block and ends in another, where the next column begins.
pub(super) struct Reader<'a> {
    series: &'a Series,
    slots: [Slot; 2],
    newest: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(series: &'a Series) -> Self {
        Self { series, slots: Default::default(), newest: 0 }
    }

    fn block(&mut self, chunk: u64, block: usize) -> &Unpacked {
        let key = Some((chunk, block));
        if self.slots[self.newest].key != key {
            self.newest = 1 - self.newest;
            let slot = &mut self.slots[self.newest];
            if slot.key != key {
                self.series.chunks.get(chunk).unpack(block, &mut slot.ticks);
                slot.key = key;
            }
        }
        &self.slots[self.newest].ticks
    }

    /// Time of a tick.
    pub(super) fn time(&mut self, place: Place) -> i64 {
        self.block(place.chunk, place.at / BLOCK_TICKS).times[place.at % BLOCK_TICKS]
    }

    /// Time and price of a tick.
    pub(super) fn sample(&mut self, place: Place) -> Sample {
        let ticks = self.block(place.chunk, place.at / BLOCK_TICKS);
        let at = place.at % BLOCK_TICKS;
        Sample { time_ns: ticks.times[at], price: ticks.scaled[at] / ticks.scale }
    }

    /// Place of the earliest tick that is not before `time_ns`; the end when there is none.
    pub(super) fn seek(&mut self, time_ns: i64) -> Place {
        let chunks = &self.series.chunks;
        let index = chunks.list.partition_point(|chunk| chunk.last_time() < time_ns);
        if index == chunks.list.len() {
            return self.series.end();
        }
        let oldest = if index == 0 { self.series.head } else { 0 };
        self.seek_within(Place { chunk: chunks.first + index as u64, at: oldest }, time_ns)
    }

    /// As [`Self::seek`], for an answer at or behind `from`; quick when it is near.
    pub(super) fn seek_from(&mut self, from: Place, time_ns: i64) -> Place {
        if from >= self.series.end() {
            return from;
        }
        let chunks = &self.series.chunks;
        let is_before = |index: usize| chunks.list[index].last_time() < time_ns;
        let mut low = (from.chunk - chunks.first) as usize;
        if !is_before(low) {
            return self.seek_within(from, time_ns);
        }
        let len = chunks.list.len();
        let mut step = 1;
        while low + step < len && is_before(low + step) {
            low += step;
            step *= 2;
        }
        let mut high = (low + step).min(len);
        // Every chunk up to `low` ends before the instant, none from `high` on does.
        while low + 1 < high {
            let middle = usize::midpoint(low, high);
            if is_before(middle) { low = middle } else { high = middle }
        }
        if high == len {
            return self.series.end();
        }
        self.seek_within(Place { chunk: chunks.first + high as u64, at: 0 }, time_ns)
    }

    /// As [`Self::seek_from`], in a chunk that has such a tick.
    fn seek_within(&mut self, from: Place, time_ns: i64) -> Place {
        let here = &self.slots[self.newest];
        let here = here.key.filter(|(chunk, block)| {
            // Most of the time, the next column begins in the block where this one does.
            let ticks = &here.ticks;
            *chunk == from.chunk
                && *block == from.at / BLOCK_TICKS
                && ticks.times[..ticks.len].last().is_some_and(|&last| last >= time_ns)
        });
        let block = here.map_or_else(|| self.series.chunks.get(from.chunk).block_before(time_ns), |(_, block)| block);
        let ticks = self.block(from.chunk, block);
        let times = &ticks.times[..ticks.len];
        let first = if block == from.at / BLOCK_TICKS { from.at % BLOCK_TICKS } else { 0 };
        let at = match times.get(first) {
            // One step ahead is the answer wherever ticks are sparse.
            Some(&time) if time >= time_ns => first,
            _ if times.get(first + 1).is_some_and(|&time| time >= time_ns) => first + 1,
            _ => times.partition_point(|&time| time < time_ns),
        };
        Place { chunk: from.chunk, at: (block * BLOCK_TICKS + at).max(from.at) }
    }

    /// The place before one that is not the first.
    pub(super) fn before(&self, place: Place) -> Place {
        self.series.before(place)
    }

    /// Lowest and highest of a range that is not empty.
    pub(super) fn bounds(&mut self, from: Place, to: Place) -> Bounds {
        let mut found = Bounds::none();
        if from.chunk == to.chunk {
            self.merge_part(&mut found, from.chunk, from.at..to.at);
            return found;
        }
        let series = self.series;
        self.merge_part(&mut found, from.chunk, from.at..series.chunks.get(from.chunk).len());
        series.pyramid.visit(from.chunk + 1..to.chunk, |piece| match piece {
            Piece::Node(node) => found.merge(&node.bounds),
            Piece::Chunk(id) => found.merge_chunk(id, series.chunks.get(id)),
        });
        if to.at > 0 {
            self.merge_part(&mut found, to.chunk, 0..to.at);
        }
        found
    }

    /// Takes in a range of a chunk that stands behind what `found` knows.
    fn merge_part(&mut self, found: &mut Bounds, id: u64, range: Range<usize>) {
        let chunk = self.series.chunks.get(id);
        if range.len() == chunk.len() {
            return found.merge_chunk(id, chunk);
        }
        let mut at = range.start;
        while at < range.end {
            let block = at / BLOCK_TICKS;
            let (first, end) = (block * BLOCK_TICKS, ((block + 1) * BLOCK_TICKS).min(chunk.len()));
            if at == first && end <= range.end {
                found.merge_block(id, chunk, block);
            } else {
                self.merge_ticks(found, id, block, at - first..end.min(range.end) - first);
            }
            at = end;
        }
    }

    fn merge_ticks(&mut self, found: &mut Bounds, id: u64, block: usize, range: Range<usize>) {
        let ticks = self.block(id, block);
        let (mut min, mut max) = (range.start, range.start);
        for at in range {
            if ticks.scaled[at] < ticks.scaled[min] {
                min = at;
            }
            if ticks.scaled[at] > ticks.scaled[max] {
                max = at;
            }
        }
        let mark = |at: usize| Mark {
            place: Place { chunk: id, at: block * BLOCK_TICKS + at },
            price: ticks.scaled[at] / ticks.scale,
            time_ns: Some(ticks.times[at]),
        };
        found.merge(&Bounds { min: mark(min), max: mark(max) });
    }

    pub(super) fn marked(&self, mark: &Mark) -> Sample {
        let time = || self.series.chunks.get(mark.place.chunk).time(mark.place.at);
        Sample { time_ns: mark.time_ns.unwrap_or_else(time), price: mark.price }
    }

    /// Appends what a pixel column needs of a range that is not empty: its first, lowest, highest and last tick, in
    /// order and none twice.
    pub(super) fn extract(&mut self, from: Place, to: Place, out: &mut impl Extend<Sample>) {
        let last = self.before(to);
        let first = self.sample(from);
        out.extend([first]);
        if last == from {
            return;
        }
        let Bounds { min, max } = self.bounds(from, to);
        let (earlier, later) = if min.place < max.place { (min, max) } else { (max, min) };
        let is_inside = |mark: &Mark| mark.place > from && mark.place < last;
        if is_inside(&earlier) {
            out.extend([self.marked(&earlier)]);
        }
        if is_inside(&later) && later.place.cmp(&earlier.place) == Ordering::Greater {
            out.extend([self.marked(&later)]);
        }
        out.extend([self.sample(last)]);
    }
}

impl Bounds {
    /// Takes in a whole chunk that stands later.
    pub(super) fn merge_chunk(&mut self, id: u64, chunk: &Chunk) {
        let (whole, (min_ns, max_ns)) = chunk.whole();
        let mark =
            |at: u16, price, time_ns| Mark { place: Place { chunk: id, at: at.into() }, price, time_ns: Some(time_ns) };
        if whole.min < self.min.price {
            self.min = mark(whole.min_at, whole.min, min_ns);
        }
        if whole.max > self.max.price {
            self.max = mark(whole.max_at, whole.max, max_ns);
        }
    }

    /// Takes in a block that stands later.
    fn merge_block(&mut self, id: u64, chunk: &Chunk, block: usize) {
        let found = chunk.extremes(block);
        let mark = |at: u16, price| Mark { place: Place { chunk: id, at: at.into() }, price, time_ns: None };
        if found.min < self.min.price {
            self.min = mark(found.min_at, found.min);
        }
        if found.max > self.max.price {
            self.max = mark(found.max_at, found.max);
        }
    }
}
