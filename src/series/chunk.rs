//! About a thousand ticks of one symbol: open columns while they may change, packed once the chunk is closed.

use std::ops::Range;

use super::SeriesTick;
use super::block_codec::{DecodedBlock, Packed};
use super::columns::{BLOCK_TICKS, CHUNK_TICKS, Columns, Extremes};
use super::volume_sum::VolumeSum;

/// Number of late ticks that a closed chunk accepts before it is split, so that a few late ticks do not leave
/// half-empty chunks behind.
const LATE_ROOM_TICKS: usize = CHUNK_TICKS / 4;

const _: () = assert!(CHUNK_TICKS + LATE_ROOM_TICKS <= u16::MAX as usize);

#[derive(Debug, Clone)]
enum Body {
    Open(Box<Columns>),
    Packed(Packed),
}

/// About [`CHUNK_TICKS`] ticks sorted by time; ticks of equal time are in order of arrival.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    /// Times of the first and last tick, for searches over chunks.
    first_time: i64,
    last_time: i64,
    whole: Extremes,
    /// Times of the two ticks in `whole`, so that summaries of several chunks need not decode them.
    whole_times: (i64, i64),
    volume: VolumeSum,
    body: Body,
}

impl Chunk {
    /// An open chunk without ticks; `columns` are empty.
    pub(super) fn new(columns: Box<Columns>) -> Self {
        Self {
            first_time: i64::MAX,
            last_time: i64::MIN,
            whole: Extremes::NONE,
            whole_times: (0, 0),
            volume: VolumeSum::default(),
            body: Body::Open(columns),
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.body {
            Body::Open(columns) => columns.len(),
            Body::Packed(packed) => packed.len(),
        }
    }

    /// Whether the next tick belongs into a new chunk.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= CHUNK_TICKS
    }

    /// Whether the next late tick requires a split.
    pub(super) fn needs_split(&self) -> bool {
        self.len() >= CHUNK_TICKS + LATE_ROOM_TICKS
    }

    /// Times of the ticks if the chunk is open.
    pub(super) fn open_times(&self) -> Option<&[i64]> {
        match &self.body {
            Body::Open(columns) => Some(columns.times()),
            Body::Packed(_) => None,
        }
    }

    /// Bytes of heap memory.
    pub(super) fn bytes(&self) -> usize {
        match &self.body {
            Body::Open(columns) => columns.bytes(),
            Body::Packed(packed) => packed.heap_bytes(),
        }
    }

    /// Packs the ticks, of which there is at least one. Returns the emptied columns, or `None` if the chunk was packed
    /// already.
    pub(super) fn pack(&mut self) -> Option<Box<Columns>> {
        let Body::Open(columns) = &self.body else { return None };
        let packed = Body::Packed(Packed::pack(columns));
        let Body::Open(mut columns) = std::mem::replace(&mut self.body, packed) else { return None };
        columns.clear();
        Some(columns)
    }

    /// Returns the columns for a change, after unpacking them if necessary.
    fn open(&mut self) -> &mut Columns {
        if let Body::Packed(packed) = &self.body {
            self.body = Body::Open(Box::new(packed.unpack()));
        }
        match &mut self.body {
            Body::Open(columns) => columns,
            Body::Packed(_) => unreachable!("it was opened just above"),
        }
    }

    /// Time of the first tick; [`i64::MAX`] for an empty chunk.
    pub(super) fn first_time(&self) -> i64 {
        self.first_time
    }

    /// Time of the last tick; [`i64::MIN`] for an empty chunk.
    pub(super) fn last_time(&self) -> i64 {
        self.last_time
    }

    /// Time of a tick, ns.
    pub(super) fn time(&self, at: usize) -> i64 {
        match &self.body {
            Body::Open(columns) => columns.times()[at],
            Body::Packed(packed) => packed.time(at),
        }
    }

    /// Price of a tick.
    pub(super) fn price(&self, at: usize) -> f64 {
        match &self.body {
            Body::Open(columns) => columns.prices()[at],
            Body::Packed(packed) => packed.price(at),
        }
    }

    /// Decodes the times of a block, and its length.
    pub(super) fn unpack_times(&self, block: usize, out: &mut DecodedBlock) {
        match &self.body {
            Body::Open(columns) => {
                let (times, ..) = columns.block(block);
                out.len = times.len();
                out.times[..times.len()].copy_from_slice(times);
            }
            Body::Packed(packed) => packed.unpack_times(block, out),
        }
    }

    /// Decodes the prices of a block.
    pub(super) fn unpack_prices(&self, block: usize, out: &mut DecodedBlock) {
        match &self.body {
            Body::Open(columns) => {
                let (_, prices, _) = columns.block(block);
                out.scaled[..prices.len()].copy_from_slice(prices);
                out.scale = 1.0;
            }
            Body::Packed(packed) => packed.unpack_prices(block, out),
        }
    }

    /// The last block whose first tick is before `time_ns`; the first block if there is none.
    pub(super) fn block_before(&self, time_ns: i64) -> usize {
        match &self.body {
            Body::Open(columns) => {
                let before = columns.times().partition_point(|&time| time < time_ns);
                before.saturating_sub(1) / BLOCK_TICKS
            }
            Body::Packed(packed) => packed.block_before(time_ns),
        }
    }

    /// Extremes of a block.
    pub(super) fn extremes(&self, block: usize) -> Extremes {
        match &self.body {
            Body::Open(columns) => columns.blocks()[block],
            Body::Packed(packed) => packed.extremes(block),
        }
    }

    /// Ticks of a range, in order.
    pub(super) fn ticks(&self, range: Range<usize>) -> impl Iterator<Item = SeriesTick> {
        blocks_of(&range).flat_map(move |block| {
            let (mut decoded, mut sizes) = (DecodedBlock::default(), [f64::NAN; BLOCK_TICKS]);
            self.unpack_times(block, &mut decoded);
            self.unpack_prices(block, &mut decoded);
            self.unpack_sizes(block, &mut sizes);
            within_block(&range, block, decoded.len).map(move |at| SeriesTick {
                time_ns: decoded.times[at],
                price: decoded.scaled[at] / decoded.scale,
                size: Some(sizes[at]).filter(|size| !size.is_nan()),
            })
        })
    }

    /// Decodes the sizes of a block, NaN for ticks without one. Returns the length of the block.
    fn unpack_sizes(&self, block: usize, out: &mut [f64; BLOCK_TICKS]) -> usize {
        match &self.body {
            Body::Open(columns) => {
                let (times, _, sizes) = columns.block(block);
                out[sizes.len()..times.len()].fill(f64::NAN);
                out[..sizes.len()].copy_from_slice(sizes);
                times.len()
            }
            Body::Packed(packed) => packed.unpack_sizes(block, out),
        }
    }

    /// Appends a tick that is not earlier than the last one to an open chunk. `size` is NaN for none.
    pub(super) fn push(&mut self, time_ns: i64, price: f64, size: f64) {
        let columns = self.open();
        let at = columns.len();
        columns.push(time_ns, price, size);
        if at == 0 {
            self.first_time = time_ns;
        }
        self.last_time = time_ns;
        if price < self.whole.min {
            self.whole_times.0 = time_ns;
        }
        if price > self.whole.max {
            self.whole_times.1 = time_ns;
        }
        self.whole.add(price, at);
        self.volume.add(size);
    }

    /// Inserts a tick after all that are not later, and at or after index `oldest`.
    pub(super) fn insert(&mut self, oldest: usize, time_ns: i64, price: f64, size: f64) {
        let columns = self.open();
        let at = columns.times().partition_point(|&time| time <= time_ns).max(oldest);
        columns.insert(at, time_ns, price, size);
        self.summarise();
        self.volume.add(size);
    }

    /// Removes the first `count` ticks.
    pub(super) fn drain_front(&mut self, count: usize) {
        self.open().drain_front(count);
        self.summarise();
        self.volume = self.sum_volume(0..self.len());
    }

    /// Splits off and returns the later half; both halves are open.
    pub(super) fn split(&mut self) -> Self {
        let mut later = Self::new(Box::new(self.open().split()));
        for half in [&mut *self, &mut later] {
            half.summarise();
            half.volume = half.sum_volume(0..half.len());
        }
        later
    }

    fn summarise(&mut self) {
        let columns = self.open();
        let (whole, times) = (columns.whole(), columns.times());
        let time = |at: u16| times.get(usize::from(at)).copied().unwrap_or_default();
        let whole_times = (time(whole.min_at), time(whole.max_at));
        let ends = (times.first().copied().unwrap_or(i64::MAX), times.last().copied().unwrap_or(i64::MIN));
        (self.whole, self.whole_times) = (whole, whole_times);
        (self.first_time, self.last_time) = ends;
    }

    /// Lowest and highest price of all ticks, and their times.
    pub(super) fn whole(&self) -> (Extremes, (i64, i64)) {
        (self.whole, self.whole_times)
    }

    /// Volume of a range.
    pub(super) fn volume(&self, range: Range<usize>) -> VolumeSum {
        if range.start == 0 && range.end == self.len() { self.volume } else { self.sum_volume(range) }
    }

    fn sum_volume(&self, range: Range<usize>) -> VolumeSum {
        let (mut sum, mut sizes) = (VolumeSum::default(), [f64::NAN; BLOCK_TICKS]);
        for block in blocks_of(&range) {
            let len = self.unpack_sizes(block, &mut sizes);
            sizes[within_block(&range, block, len)].iter().for_each(|&size| sum.add(size));
        }
        sum
    }
}

/// Blocks that hold ticks of a range.
fn blocks_of(range: &Range<usize>) -> Range<usize> {
    if range.is_empty() { 0..0 } else { range.start / BLOCK_TICKS..range.end.div_ceil(BLOCK_TICKS) }
}

/// Part of a range that lies in a block of `len` ticks, as offsets within the block.
fn within_block(range: &Range<usize>, block: usize, len: usize) -> Range<usize> {
    let first = block * BLOCK_TICKS;
    range.start.max(first) - first..(range.end - first).min(len)
}
