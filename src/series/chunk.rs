//! A few thousand ticks of one symbol in columns, with the extremes of their blocks.

use std::ops::Range;

use super::TickRef;
use super::volume::Volume;

/// Most ticks in a chunk. Large enough that what is kept per chunk weighs nothing beside the ticks and that a column
/// of it compresses well; small enough that placing a late tick moves 100 kB at most.
pub(super) const CHUNK_TICKS: usize = 4_096;

/// Ticks in a block, the smallest unit with a summary: a scan of its prices takes about as long as one cache miss.
const BLOCK_TICKS: usize = 64;

/// Ticks in a group of blocks; keeps the walk through a chunk at 7 + 7 summaries an edge in place of 63.
const GROUP_TICKS: usize = 512;

const GROUPS: usize = CHUNK_TICKS / GROUP_TICKS;

/// A search looks at this many ticks ahead, one cache line of times, before it leaps.
const NEAR_TICKS: usize = 8;

const _: () = assert!(GROUP_TICKS.is_multiple_of(BLOCK_TICKS) && CHUNK_TICKS.is_multiple_of(2 * GROUP_TICKS));
const _: () = assert!(CHUNK_TICKS <= u16::MAX as usize);

/// Lowest and highest price of a range within a chunk, with where they stand; the earliest one among equals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extremes {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) min_at: u16,
    pub(super) max_at: u16,
}

impl Extremes {
    /// Of nothing: any price replaces it.
    const NONE: Self = Self { min: f64::INFINITY, max: f64::NEG_INFINITY, min_at: 0, max_at: 0 };

    fn add(&mut self, price: f64, at: usize) {
        if price < self.min {
            self.min = price;
            self.min_at = at as u16;
        }
        if price > self.max {
            self.max = price;
            self.max_at = at as u16;
        }
    }

    /// Takes in what stands later.
    fn merge(&mut self, later: &Self) {
        if later.min < self.min {
            self.min = later.min;
            self.min_at = later.min_at;
        }
        if later.max > self.max {
            self.max = later.max;
            self.max_at = later.max_at;
        }
    }
}

/// The ticks themselves. Nothing outside this file sees them as slices, so that a closed chunk may hold them packed.
#[derive(Debug, Clone, Default)]
struct Columns {
    time: Vec<i64>,
    price: Vec<f64>,
    /// NaN for a tick without size; empty while no tick of the chunk has one.
    size: Vec<f64>,
}

/// Up to [`CHUNK_TICKS`] ticks, sorted by time, those of equal time in order of arrival.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    columns: Columns,
    blocks: Vec<Extremes>,
    groups: [Extremes; GROUPS],
    whole: Extremes,
    /// Times of the two ticks in `whole`, so that a summary of many chunks need not look into their columns.
    whole_times: (i64, i64),
    /// Per block; empty while no tick of the chunk has a size.
    volumes: Vec<Volume>,
    volume: Volume,
    /// Times of the first and last tick, for a search over chunks.
    first_time: i64,
    last_time: i64,
}

impl Chunk {
    /// An empty chunk with room for `capacity` ticks.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        let columns =
            Columns { time: Vec::with_capacity(capacity), price: Vec::with_capacity(capacity), size: Vec::new() };
        Self {
            columns,
            blocks: Vec::with_capacity(capacity.div_ceil(BLOCK_TICKS)),
            groups: [Extremes::NONE; GROUPS],
            whole: Extremes::NONE,
            whole_times: (0, 0),
            volumes: Vec::new(),
            volume: Volume::default(),
            first_time: i64::MAX,
            last_time: i64::MIN,
        }
    }

    /// Empty again, its memory kept.
    pub(super) fn clear(&mut self) {
        self.columns.time.clear();
        self.columns.price.clear();
        self.columns.size.clear();
        self.summarise_from(0);
        self.sum_volumes();
    }

    pub(super) fn len(&self) -> usize {
        self.columns.time.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= CHUNK_TICKS
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let Columns { time, price, size } = &self.columns;
        (time.capacity() + price.capacity() + size.capacity()) * 8
            + self.blocks.capacity() * size_of::<Extremes>()
            + self.volumes.capacity() * size_of::<Volume>()
    }

    pub(super) fn time(&self, at: usize) -> i64 {
        self.columns.time[at]
    }

    pub(super) fn price(&self, at: usize) -> f64 {
        self.columns.price[at]
    }

    /// Time of the first tick; of an empty chunk, later than any.
    pub(super) fn first_time(&self) -> i64 {
        self.first_time
    }

    /// Time of the last tick; of an empty chunk, earlier than any.
    pub(super) fn last_time(&self) -> i64 {
        self.last_time
    }

    pub(super) fn tick(&self, at: usize) -> TickRef {
        let size = self.columns.size.get(at).copied().filter(|size| !size.is_nan());
        TickRef { time_ns: self.time(at), price: self.price(at), size }
    }

    /// First place at or after `from` whose time is not before `time_ns`. A near one is found at once; a far one is
    /// guessed from the times at both ends and then closed in upon, which touches two or three cache lines where ticks
    /// come evenly, and is a binary search at worst.
    pub(super) fn seek(&self, from: usize, time_ns: i64) -> usize {
        let times = &self.columns.time[from..];
        let is_before = |at: usize| times[at] < time_ns;
        let near = times.len().min(NEAR_TICKS);
        if near == 0 || !is_before(near - 1) {
            return from + times[..near].partition_point(|&time| time < time_ns);
        }
        if self.last_time < time_ns {
            return from + times.len();
        }
        let share = time_ns.abs_diff(times[near - 1]) as f64 / self.last_time.abs_diff(times[near - 1]) as f64;
        let guess = near - 1 + (share * (times.len() - near) as f64) as usize;
        // From here on the tick at `low` is before the instant, and the one at `high` is not.
        let (mut low, mut high) = (near - 1, times.len() - 1);
        let mut step = NEAR_TICKS;
        if is_before(guess) {
            low = guess;
            while low + step < high && is_before(low + step) {
                low += step;
                step *= 2;
            }
            high = high.min(low + step);
        } else {
            high = guess;
            while high - low > step && !is_before(high - step) {
                high -= step;
                step *= 2;
            }
            low = low.max(high.saturating_sub(step));
        }
        from + low + 1 + times[low + 1..high].partition_point(|&time| time < time_ns)
    }

    /// Where a tick of this time goes: behind all that are not later.
    pub(super) fn place_for(&self, time_ns: i64) -> usize {
        self.columns.time.partition_point(|&time| time <= time_ns)
    }

    /// Appends a tick that is not earlier than the last one. `size` is NaN for none.
    pub(super) fn push(&mut self, time_ns: i64, price: f64, size: f64) {
        let at = self.len();
        if at.is_multiple_of(BLOCK_TICKS) {
            self.blocks.push(Extremes::NONE);
        }
        if at == 0 {
            self.first_time = time_ns;
        }
        self.columns.time.push(time_ns);
        self.columns.price.push(price);
        self.last_time = time_ns;
        if let Some(block) = self.blocks.last_mut() {
            block.add(price, at);
        }
        self.groups[at / GROUP_TICKS].add(price, at);
        if price < self.whole.min {
            self.whole_times.0 = time_ns;
        }
        if price > self.whole.max {
            self.whole_times.1 = time_ns;
        }
        self.whole.add(price, at);
        self.push_size(at, size);
    }

    fn push_size(&mut self, at: usize, size: f64) {
        if self.columns.size.is_empty() {
            if size.is_nan() {
                return;
            }
            self.columns.size.reserve_exact(self.columns.time.capacity());
            self.columns.size.resize(at, f64::NAN);
            self.volumes.resize(at / BLOCK_TICKS, Volume::default());
        }
        self.columns.size.push(size);
        if self.volumes.len() <= at / BLOCK_TICKS {
            self.volumes.push(Volume::default());
        }
        if let Some(volume) = self.volumes.last_mut() {
            volume.add(size);
        }
        self.volume.add(size);
    }

    /// Puts a tick in at `at`, moving the later ones; the cost is that of what moves.
    pub(super) fn insert(&mut self, at: usize, time_ns: i64, price: f64, size: f64) {
        if self.columns.size.is_empty() && !size.is_nan() {
            self.columns.size.resize(self.len(), f64::NAN);
        }
        if !(self.columns.size.is_empty() && size.is_nan()) {
            self.columns.size.insert(at, size);
        }
        self.columns.time.insert(at, time_ns);
        self.columns.price.insert(at, price);
        self.summarise_from(at);
        self.volume.add(size);
    }

    /// Forgets the first `count` ticks.
    pub(super) fn drain_front(&mut self, count: usize) {
        let Columns { time, price, size } = &mut self.columns;
        time.drain(..count);
        price.drain(..count);
        size.drain(..count.min(size.len()));
        self.summarise_from(0);
        self.sum_volumes();
    }

    /// Cuts a full chunk in two and returns the later half.
    pub(super) fn split(&mut self) -> Self {
        let middle = self.len() / 2;
        let mut later = Self::with_capacity(CHUNK_TICKS);
        later.columns.time.extend(self.columns.time.drain(middle..));
        later.columns.price.extend(self.columns.price.drain(middle..));
        if !self.columns.size.is_empty() {
            later.columns.size.extend(self.columns.size.drain(middle..));
        }
        self.summarise_from(middle);
        self.sum_volumes();
        later.summarise_from(0);
        later.sum_volumes();
        later
    }

    /// Recomputes the summaries of every block that holds a tick at or behind `at`, all but the sum of their volumes.
    fn summarise_from(&mut self, at: usize) {
        self.blocks.truncate(at / BLOCK_TICKS);
        for (offset, prices) in blocks_from(&self.columns.price, self.blocks.len()) {
            self.blocks.push(scan(prices, offset));
        }
        for (group, extremes) in self.groups.iter_mut().enumerate().skip(at / GROUP_TICKS) {
            let blocks = group * (GROUP_TICKS / BLOCK_TICKS)..(group + 1) * (GROUP_TICKS / BLOCK_TICKS);
            let end = blocks.end.min(self.blocks.len());
            *extremes = merged(&self.blocks[blocks.start.min(end)..end]);
        }
        self.whole = merged(&self.groups);
        let time = |at: u16| self.columns.time.get(usize::from(at)).copied().unwrap_or_default();
        self.whole_times = (time(self.whole.min_at), time(self.whole.max_at));
        self.volumes.truncate(at / BLOCK_TICKS);
        for (_, sizes) in blocks_from(&self.columns.size, self.volumes.len()) {
            let mut volume = Volume::default();
            for &size in sizes {
                volume.add(size);
            }
            self.volumes.push(volume);
        }
        self.first_time = self.columns.time.first().copied().unwrap_or(i64::MAX);
        self.last_time = self.columns.time.last().copied().unwrap_or(i64::MIN);
    }

    fn sum_volumes(&mut self) {
        self.volume = Volume::default();
        for volume in &self.volumes {
            self.volume.merge(volume);
        }
    }

    /// Lowest and highest price of all ticks, and their times.
    pub(super) fn whole(&self) -> (Extremes, (i64, i64)) {
        (self.whole, self.whole_times)
    }

    /// Lowest and highest price of a range that is not empty.
    pub(super) fn extremes(&self, range: Range<usize>) -> Extremes {
        let len = self.len();
        if range.start == 0 && range.end == len {
            return self.whole;
        }
        let mut found = Extremes::NONE;
        let mut at = range.start;
        while at < range.end {
            // The last block and group may be short: their summaries end where the chunk does.
            let group_end = (at / GROUP_TICKS * GROUP_TICKS + GROUP_TICKS).min(len);
            let block_end = (at / BLOCK_TICKS * BLOCK_TICKS + BLOCK_TICKS).min(len);
            if at.is_multiple_of(GROUP_TICKS) && group_end <= range.end {
                found.merge(&self.groups[at / GROUP_TICKS]);
                at = group_end;
            } else if at.is_multiple_of(BLOCK_TICKS) && block_end <= range.end {
                found.merge(&self.blocks[at / BLOCK_TICKS]);
                at = block_end;
            } else {
                let end = block_end.min(range.end);
                found.merge(&scan(&self.columns.price[at..end], at));
                at = end;
            }
        }
        found
    }

    /// Volume of a range.
    pub(super) fn volume(&self, range: Range<usize>) -> Volume {
        if range.start == 0 && range.end == self.len() {
            return self.volume;
        }
        let mut found = Volume::default();
        if self.columns.size.is_empty() {
            return found;
        }
        let mut at = range.start;
        while at < range.end {
            let block_end = (at / BLOCK_TICKS * BLOCK_TICKS + BLOCK_TICKS).min(self.len());
            let end = block_end.min(range.end);
            if at.is_multiple_of(BLOCK_TICKS) && block_end == end {
                found.merge(&self.volumes[at / BLOCK_TICKS]);
            } else {
                for &size in &self.columns.size[at..end] {
                    found.add(size);
                }
            }
            at = end;
        }
        found
    }
}

fn scan(prices: &[f64], offset: usize) -> Extremes {
    let mut found = Extremes::NONE;
    for (at, &price) in prices.iter().enumerate() {
        found.add(price, offset + at);
    }
    found
}

fn merged(parts: &[Extremes]) -> Extremes {
    let mut found = Extremes::NONE;
    for part in parts {
        found.merge(part);
    }
    found
}

/// The blocks of a column from the `skip`th on, each with the place of its first value.
fn blocks_from(column: &[f64], skip: usize) -> impl Iterator<Item = (usize, &[f64])> {
    column.chunks(BLOCK_TICKS).enumerate().skip(skip).map(|(block, values)| (block * BLOCK_TICKS, values))
}
