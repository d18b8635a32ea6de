//! About a thousand ticks of one symbol: open columns while they may change, packed once they are closed.

use std::ops::Range;

use super::SeriesTick;
use super::columns::{BLOCK_TICKS, Columns, Extremes};
use super::volume::Volume;
use crate::series::block_codec::{Packed, Unpacked};

/// Most ticks in a chunk. Small enough that the open chunk of a quiet symbol weighs little and that placing a late tick
/// unpacks and moves no more than 24 kB; large enough that what is kept per chunk weighs little beside the ticks.
pub(super) const CHUNK_TICKS: usize = 1_024;

/// Ticks that a closed chunk may have on top: it takes in this many late ones before it is cut in two, so that a few
/// late ticks here and there do not leave half-empty chunks behind.
const LATE_ROOM_TICKS: usize = CHUNK_TICKS / 4;

const _: () = assert!(CHUNK_TICKS + LATE_ROOM_TICKS <= u16::MAX as usize);

#[derive(Debug, Clone)]
enum Body {
    Open(Box<Columns>),
    Packed(Packed),
}

/// [`CHUNK_TICKS`] ticks or so, sorted by time, those of equal time in order of arrival.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    /// Times of the first and last tick, for a search over chunks.
    first_time: i64,
    last_time: i64,
    whole: Extremes,
    /// Times of the two ticks in `whole`, so that a summary of many chunks need not look into their columns.
    whole_times: (i64, i64),
    volume: Volume,
    body: Body,
}

impl Chunk {
    /// A chunk that takes in ticks; `columns` are empty.
    pub(super) fn new(columns: Box<Columns>) -> Self {
        Self {
            first_time: i64::MAX,
            last_time: i64::MIN,
            whole: Extremes::NONE,
            whole_times: (0, 0),
            volume: Volume::default(),
            body: Body::Open(columns),
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.body {
            Body::Open(columns) => columns.len(),
            Body::Packed(packed) => packed.len(),
        }
    }

    /// The next tick goes into another chunk.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= CHUNK_TICKS
    }

    /// The next late tick breaks it in two.
    pub(super) fn is_crammed(&self) -> bool {
        self.len() >= CHUNK_TICKS + LATE_ROOM_TICKS
    }

    /// The times, if they are not packed.
    pub(super) fn open_times(&self) -> Option<&[i64]> {
        match &self.body {
            Body::Open(columns) => Some(columns.times()),
            Body::Packed(_) => None,
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        match &self.body {
            Body::Open(columns) => columns.bytes(),
            Body::Packed(packed) => packed.heap_bytes(),
        }
    }

    /// Packs the ticks, of which there are some. Returns the columns that held them, emptied; `None` if they were
    /// packed already.
    pub(super) fn pack(&mut self) -> Option<Box<Columns>> {
        let Body::Open(columns) = &self.body else { return None };
        let packed = Body::Packed(Packed::pack(columns));
        let Body::Open(mut columns) = std::mem::replace(&mut self.body, packed) else { return None };
        columns.clear();
        Some(columns)
    }

    /// The columns, to be changed; unpacked if need be.
    fn open(&mut self) -> &mut Columns {
        if let Body::Packed(packed) = &self.body {
            let mut columns = Box::new(Columns::with_capacity(CHUNK_TICKS));
            columns.unpack(packed);
            self.body = Body::Open(columns);
        }
        match &mut self.body {
            Body::Open(columns) => columns,
            Body::Packed(_) => unreachable!("it was opened just above"),
        }
    }

    /// Time of the first tick; of an empty chunk, later than any.
    pub(super) fn first_time(&self) -> i64 {
        self.first_time
    }

    /// Time of the last tick; of an empty chunk, earlier than any.
    pub(super) fn last_time(&self) -> i64 {
        self.last_time
    }

    /// Time of a tick.
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

    /// Times of a block, and its length.
    pub(super) fn unpack_times(&self, block: usize, out: &mut Unpacked) {
        match &self.body {
            Body::Open(columns) => {
                let (times, ..) = columns.block(block);
                out.len = times.len();
                out.times[..times.len()].copy_from_slice(times);
            }
            Body::Packed(packed) => packed.unpack_times(block, out),
        }
    }

    /// Prices of a block.
    pub(super) fn unpack_prices(&self, block: usize, out: &mut Unpacked) {
        match &self.body {
            Body::Open(columns) => {
                let (_, prices, _) = columns.block(block);
                out.scaled[..prices.len()].copy_from_slice(prices);
                out.scale = 1.0;
            }
            Body::Packed(packed) => packed.unpack_prices(block, out),
        }
    }

    /// Last block whose first tick is before an instant; the first block if none is.
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

    /// The ticks of a range, in order.
    pub(super) fn ticks(&self, range: Range<usize>) -> impl Iterator<Item = SeriesTick> {
        let blocks = if range.is_empty() { 0..0 } else { range.start / BLOCK_TICKS..range.end.div_ceil(BLOCK_TICKS) };
        blocks.flat_map(move |block| {
            let (mut unpacked, mut sizes) = (Unpacked::default(), [f64::NAN; BLOCK_TICKS]);
            self.unpack_times(block, &mut unpacked);
            self.unpack_prices(block, &mut unpacked);
            self.unpack_sizes(block, &mut sizes);
            let first = block * BLOCK_TICKS;
            let inside = range.start.max(first) - first..(range.end - first).min(unpacked.len);
            inside.map(move |at| SeriesTick {
                time_ns: unpacked.times[at],
                price: unpacked.scaled[at] / unpacked.scale,
                size: Some(sizes[at]).filter(|size| !size.is_nan()),
            })
        })
    }

    fn unpack_sizes(&self, block: usize, out: &mut [f64; BLOCK_TICKS]) {
        match &self.body {
            Body::Open(columns) => {
                let first = block * BLOCK_TICKS;
                out.iter_mut().enumerate().for_each(|(at, size)| *size = columns.size(first + at));
            }
            Body::Packed(packed) => {
                packed.unpack_sizes(block, out);
            }
        }
    }

    /// Appends a tick that is not earlier than the last one, to a chunk that is open. `size` is NaN for none.
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

    /// Puts a tick in behind all that are not later, and at or behind place `oldest`.
    pub(super) fn insert(&mut self, oldest: usize, time_ns: i64, price: f64, size: f64) {
        let columns = self.open();
        let at = columns.times().partition_point(|&time| time <= time_ns).max(oldest);
        columns.insert(at, time_ns, price, size);
        self.summarise();
        self.volume.add(size);
    }

    /// Forgets the first `count` ticks.
    pub(super) fn drain_front(&mut self, count: usize) {
        self.open().drain_front(count);
        self.summarise();
        self.sum_volume();
    }

    /// Cuts itself in two and returns the later half; both are open.
    pub(super) fn split(&mut self) -> Self {
        let mut later = Self::new(Box::new(self.open().split()));
        for half in [&mut *self, &mut later] {
            half.summarise();
            half.sum_volume();
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

    fn sum_volume(&mut self) {
        let columns = self.open();
        self.volume = columns.volume(0..columns.len());
    }

    /// Lowest and highest price of all ticks, and their times.
    pub(super) fn whole(&self) -> (Extremes, (i64, i64)) {
        (self.whole, self.whole_times)
    }

    /// Volume of a range.
    pub(super) fn volume(&self, range: Range<usize>) -> Volume {
        if range.start == 0 && range.end == self.len() {
            return self.volume;
        }
        let mut found = Volume::default();
        match &self.body {
            Body::Open(columns) => found = columns.volume(range),
            Body::Packed(packed) if !range.is_empty() => {
                let mut sizes = [f64::NAN; BLOCK_TICKS];
                for block in range.start / BLOCK_TICKS..range.end.div_ceil(BLOCK_TICKS) {
                    let (first, len) = (block * BLOCK_TICKS, packed.unpack_sizes(block, &mut sizes));
                    let inside = range.start.max(first) - first..(range.end - first).min(len);
                    sizes[inside].iter().for_each(|&size| found.add(size));
                }
            }
            Body::Packed(_) => {}
        }
        found
    }
}
