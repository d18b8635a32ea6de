//! Access to a series block by block.

use std::ops::Range;

use super::chunk::Chunk;
use super::columns::{BLOCK_TICKS, Extremes};
use super::pyramid::{Bounds, ExtremeTick, Place};
use super::{Sample, Series};
use crate::series::block_codec::DecodedBlock;

/// Decoded block.
#[derive(Default)]
struct CachedBlock {
    key: Option<(u64, usize)>,
    ticks: DecodedBlock,
    has_prices: bool,
}

/// Reads neighbouring places of a series. Keeps the last two blocks decoded, because a pixel column mostly starts in
/// one block and ends in another, where the next column starts.
pub(super) struct Reader<'a> {
    pub(super) series: &'a Series,
    blocks: [CachedBlock; 2],
    newest: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(series: &'a Series) -> Self {
        Self { series, blocks: Default::default(), newest: 0 }
    }

    /// Returns a block with its times.
    fn block_times(&mut self, chunk: u64, block: usize) -> &mut CachedBlock {
        let key = Some((chunk, block));
        if self.blocks[self.newest].key != key {
            self.newest = 1 - self.newest;
            let cached = &mut self.blocks[self.newest];
            if cached.key != key {
                self.series.chunks.get(chunk).unpack_times(block, &mut cached.ticks);
                (cached.key, cached.has_prices) = (key, false);
            }
        }
        &mut self.blocks[self.newest]
    }

    /// Returns a block with its times and prices.
    fn block(&mut self, chunk: u64, block: usize) -> &DecodedBlock {
        let series = self.series;
        let cached = self.block_times(chunk, block);
        if !cached.has_prices {
            series.chunks.get(chunk).unpack_prices(block, &mut cached.ticks);
            cached.has_prices = true;
        }
        &cached.ticks
    }

    /// Time of a tick, ns.
    pub(super) fn time(&mut self, place: Place) -> i64 {
        self.block_times(place.chunk, place.at / BLOCK_TICKS).ticks.times[place.at % BLOCK_TICKS]
    }

    /// Time and price of a tick.
    pub(super) fn sample(&mut self, place: Place) -> Sample {
        let chunk = self.series.chunks.get(place.chunk);
        let cached = self.block_times(place.chunk, place.at / BLOCK_TICKS);
        let (at, ticks) = (place.at % BLOCK_TICKS, &cached.ticks);
        // Dense columns need only a price or two of a block, which are faster to decode alone.
        let price = if cached.has_prices { ticks.scaled[at] / ticks.scale } else { chunk.price(place.at) };
        Sample { time_ns: ticks.times[at], price }
    }

    /// Place of the earliest tick that is not before `time_ns`; the end if there is none.
    pub(super) fn seek(&mut self, time_ns: i64) -> Place {
        let chunks = &self.series.chunks;
        let index = chunks.list.partition_point(|chunk| chunk.last_time() < time_ns);
        if index == chunks.list.len() {
            return self.series.end();
        }
        let oldest = if index == 0 { self.series.head } else { 0 };
        self.seek_within(Place { chunk: chunks.first + index as u64, at: oldest }, time_ns)
    }

    /// As [`Self::seek`], for a result at or after `from`; fast if it is near.
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
        // Chunks up to `low` end before the instant, and those from `high` on do not.
        while low + 1 < high {
            let middle = usize::midpoint(low, high);
            if is_before(middle) { low = middle } else { high = middle }
        }
        if high == len {
            return self.series.end();
        }
        self.seek_within(Place { chunk: chunks.first + high as u64, at: 0 }, time_ns)
    }

    /// As [`Self::seek_from`], within a chunk that has such a tick.
    fn seek_within(&mut self, from: Place, time_ns: i64) -> Place {
        let here = &self.blocks[self.newest];
        let here = here.key.filter(|(chunk, block)| {
            // The next column mostly starts in the same block.
            let ticks = &here.ticks;
            *chunk == from.chunk
                && *block == from.at / BLOCK_TICKS
                && ticks.times[..ticks.len].last().is_some_and(|&last| last >= time_ns)
        });
        let block = here.map_or_else(|| self.series.chunks.get(from.chunk).block_before(time_ns), |(_, block)| block);
        let ticks = &self.block_times(from.chunk, block).ticks;
        let times = &ticks.times[..ticks.len];
        let first = if block == from.at / BLOCK_TICKS { from.at % BLOCK_TICKS } else { 0 };
        let at = match times.get(first) {
            // In sparse data the result is at most one tick ahead.
            Some(&time) if time >= time_ns => first,
            _ if times.get(first + 1).is_some_and(|&time| time >= time_ns) => first + 1,
            _ => times.partition_point(|&time| time < time_ns),
        };
        Place { chunk: from.chunk, at: (block * BLOCK_TICKS + at).max(from.at) }
    }

    /// Lowest and highest tick of a range that is not empty; the earliest among equal prices. Starts with whole chunks:
    /// blocks at both ends are decoded only if their extremes may beat the result.
    pub(super) fn bounds(&mut self, from: Place, to: Place) -> Bounds {
        let mut found = Bounds::none();
        let series = self.series;
        if from.chunk == to.chunk {
            self.merge_part(&mut found, from.chunk, from.at..to.at);
            return found;
        }
        series.chunks.visit(from.chunk + 1..to.chunk, |piece| found.merge(&piece.bounds));
        self.merge_part(&mut found, from.chunk, from.at..series.chunks.get(from.chunk).len());
        if to.at > 0 {
            self.merge_part(&mut found, to.chunk, 0..to.at);
        }
        found
    }

    /// Merges a range of a chunk.
    fn merge_part(&mut self, found: &mut Bounds, id: u64, range: Range<usize>) {
        let chunk = self.series.chunks.get(id);
        let whole = Bounds::of_chunk(id, chunk);
        if range.len() == chunk.len() {
            return found.merge(&whole);
        }
        let place = |at: usize| Place { chunk: id, at };
        if !found.may_be_beaten_by(&whole, place(range.start)) {
            return;
        }
        for block in range.start / BLOCK_TICKS..range.end.div_ceil(BLOCK_TICKS) {
            let (first, end) = (block * BLOCK_TICKS, ((block + 1) * BLOCK_TICKS).min(chunk.len()));
            let inside = range.start.max(first)..range.end.min(end);
            let known = Bounds::of_block(id, chunk, block);
            if inside == (first..end) {
                found.merge(&known);
            } else if found.may_be_beaten_by(&known, place(inside.start)) {
                self.merge_ticks(found, id, block, inside.start - first..inside.end - first);
            }
        }
    }

    fn merge_ticks(&mut self, found: &mut Bounds, id: u64, block: usize, range: Range<usize>) {
        let ticks = self.block(id, block);
        let scaled = &ticks.scaled[range.clone()];
        let (min, max) = lowest_and_highest(scaled);
        let mark = |wanted: f64| {
            let at = range.start + scaled.iter().position(|&price| price == wanted).unwrap_or(0);
            let place = Place { chunk: id, at: block * BLOCK_TICKS + at };
            ExtremeTick { place, price: ticks.scaled[at] / ticks.scale, time_ns: Some(ticks.times[at]) }
        };
        found.merge(&Bounds { min: mark(min), max: mark(max) });
    }

    pub(super) fn extreme_sample(&self, mark: &ExtremeTick) -> Sample {
        let time = || self.series.chunks.get(mark.place.chunk).time(mark.place.at);
        Sample { time_ns: mark.time_ns.unwrap_or_else(time), price: mark.price }
    }

    /// Appends the samples that a pixel column needs of a range that is not empty: its first, lowest, highest and last
    /// tick, in order and each once.
    pub(super) fn downsample(&mut self, from: Place, to: Place, out: &mut impl Extend<Sample>) {
        let last = self.series.before(to);
        let first = self.sample(from);
        out.extend([first]);
        if last == from {
            return;
        }
        let Bounds { min, max } = self.bounds(from, to);
        let (earlier, later) = if min.place < max.place { (min, max) } else { (max, min) };
        let is_inside = |mark: &ExtremeTick| mark.place > from && mark.place < last;
        if is_inside(&earlier) {
            out.extend([self.extreme_sample(&earlier)]);
        }
        if is_inside(&later) && later.place > earlier.place {
            out.extend([self.extreme_sample(&later)]);
        }
        out.extend([self.sample(last)]);
    }
}

/// Lowest and highest price, computed in independent accumulators so that the loop vectorises.
fn lowest_and_highest(prices: &[f64]) -> (f64, f64) {
    const WIDTH: usize = 8;
    let (mut low, mut high) = ([f64::INFINITY; WIDTH], [f64::NEG_INFINITY; WIDTH]);
    let mut add = |at: usize, price: f64| {
        low[at] = if price < low[at] { price } else { low[at] };
        high[at] = if price > high[at] { price } else { high[at] };
    };
    let eights = prices.chunks_exact(WIDTH);
    eights.remainder().iter().for_each(|&price| add(0, price));
    for eight in eights {
        (0..WIDTH).for_each(|at| add(at, eight[at]));
    }
    (low.into_iter().fold(f64::INFINITY, f64::min), high.into_iter().fold(f64::NEG_INFINITY, f64::max))
}

impl Bounds {
    /// Bounds of a whole chunk.
    pub(super) fn of_chunk(id: u64, chunk: &Chunk) -> Self {
        let (whole, (min_ns, max_ns)) = chunk.whole();
        let mut bounds = Self::of_extremes(id, whole);
        (bounds.min.time_ns, bounds.max.time_ns) = (Some(min_ns), Some(max_ns));
        bounds
    }

    fn of_block(id: u64, chunk: &Chunk, block: usize) -> Self {
        Self::of_extremes(id, chunk.extremes(block))
    }

    fn of_extremes(id: u64, Extremes { min, max, min_at, max_at }: Extremes) -> Self {
        let mark = |at: u16, price| ExtremeTick { place: Place { chunk: id, at: at.into() }, price, time_ns: None };
        Self { min: mark(min_at, min), max: mark(max_at, max) }
    }

    /// Returns whether a part that starts at `first`, of a range with the bounds `whole`, may have a lower or higher
    /// tick, or an earlier one with an equal price.
    fn may_be_beaten_by(&self, whole: &Self, first: Place) -> bool {
        let (min, max) = (&self.min, &self.max);
        whole.min.price < min.price
            || whole.max.price > max.price
            || (first < min.place && whole.min.price <= min.price)
            || (first < max.place && whole.max.price >= max.price)
    }
}
