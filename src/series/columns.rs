//! Ticks of an open chunk in columns, with the extremes of their blocks.

/// Maximum number of ticks in a chunk. Small enough that the open chunk of a quiet symbol takes little memory and that
/// inserting a late tick unpacks and moves at most 24 kB; large enough that the fixed cost of a chunk is small.
pub(super) const CHUNK_TICKS: usize = 1_024;

/// Number of ticks in a block, which is the smallest unit with a summary and the unit of decoding. Larger blocks
/// compress slightly better, smaller ones decode faster.
pub(super) const BLOCK_TICKS: usize = 128;

const _: () = assert!(CHUNK_TICKS.is_multiple_of(2 * BLOCK_TICKS) && BLOCK_TICKS <= u8::MAX as usize + 1);

/// Lowest and highest price of a range of a chunk, with their indices; the earliest among equal prices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extremes {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) min_at: u16,
    pub(super) max_at: u16,
}

impl Extremes {
    /// Extremes of an empty range, which any price replaces.
    pub(super) const NONE: Self = Self { min: f64::INFINITY, max: f64::NEG_INFINITY, min_at: 0, max_at: 0 };

    pub(super) fn add(&mut self, price: f64, at: usize) {
        self.merge(&Self { min: price, max: price, min_at: at as u16, max_at: at as u16 });
    }

    /// Merges the extremes of a later range.
    pub(super) fn merge(&mut self, later: &Self) {
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

/// Ticks sorted by time; ticks of equal time are in order of arrival.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    time: Vec<i64>,
    price: Vec<f64>,
    /// NaN for a tick without size; empty while no tick of the chunk has one.
    size: Vec<f64>,
    blocks: Vec<Extremes>,
}

impl Columns {
    /// Empty columns with room for `capacity` ticks.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            time: Vec::with_capacity(capacity),
            price: Vec::with_capacity(capacity),
            size: Vec::new(),
            blocks: Vec::with_capacity(capacity.div_ceil(BLOCK_TICKS)),
        }
    }

    /// Removes all ticks and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.time.clear();
        self.price.clear();
        self.size.clear();
        self.blocks.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.time.len()
    }

    /// Bytes of memory, including the struct itself.
    pub(super) fn bytes(&self) -> usize {
        (self.time.capacity() + self.price.capacity() + self.size.capacity()) * 8
            + self.blocks.capacity() * size_of::<Extremes>()
            + size_of::<Self>()
    }

    pub(super) fn times(&self) -> &[i64] {
        &self.time
    }

    pub(super) fn prices(&self) -> &[f64] {
        &self.price
    }

    /// Extremes of each block.
    pub(super) fn blocks(&self) -> &[Extremes] {
        &self.blocks
    }

    /// Times, prices and sizes of a block; no sizes if no tick of the chunk has one.
    pub(super) fn block(&self, block: usize) -> (&[i64], &[f64], &[f64]) {
        let range = block * BLOCK_TICKS..((block + 1) * BLOCK_TICKS).min(self.len());
        let sizes = self.size.get(range.clone()).unwrap_or_default();
        (&self.time[range.clone()], &self.price[range], sizes)
    }

    /// Appends a tick that is not earlier than the last one. `size` is NaN for none.
    pub(super) fn push(&mut self, time_ns: i64, price: f64, size: f64) {
        let at = self.len();
        self.time.push(time_ns);
        self.price.push(price);
        self.add_to_block(price, at);
        if !(size.is_nan() && self.size.is_empty()) {
            if self.size.is_empty() {
                self.size.reserve_exact(self.time.capacity());
                self.size.resize(at, f64::NAN);
            }
            self.size.push(size);
        }
    }

    /// Inserts a tick at index `at` and moves the later ones.
    pub(super) fn insert(&mut self, at: usize, time_ns: i64, price: f64, size: f64) {
        if self.size.is_empty() && !size.is_nan() {
            self.size.resize(self.len(), f64::NAN);
        }
        if !(self.size.is_empty() && size.is_nan()) {
            self.size.insert(at, size);
        }
        self.time.insert(at, time_ns);
        self.price.insert(at, price);
        self.summarise_from(at);
    }

    /// Removes the first `count` ticks.
    pub(super) fn drain_front(&mut self, count: usize) {
        self.time.drain(..count);
        self.price.drain(..count);
        self.size.drain(..count.min(self.size.len()));
        self.summarise_from(0);
    }

    /// Splits off and returns the later half.
    pub(super) fn split(&mut self) -> Self {
        let middle = self.len() / 2;
        let mut later = Self::with_capacity(CHUNK_TICKS);
        later.time.extend(self.time.drain(middle..));
        later.price.extend(self.price.drain(middle..));
        if !self.size.is_empty() {
            later.size.extend(self.size.drain(middle..));
        }
        self.summarise_from(middle);
        later.summarise_from(0);
        later
    }

    /// Recomputes the extremes of every block from the tick at index `at` on.
    fn summarise_from(&mut self, at: usize) {
        let first = (at / BLOCK_TICKS).min(self.blocks.len());
        self.blocks.truncate(first);
        (first * BLOCK_TICKS..self.len()).for_each(|at| self.add_to_block(self.price[at], at));
    }

    /// Adds a tick to its block, which is the last one.
    fn add_to_block(&mut self, price: f64, at: usize) {
        if at.is_multiple_of(BLOCK_TICKS) {
            self.blocks.push(Extremes::NONE);
        }
        if let Some(block) = self.blocks.last_mut() {
            block.add(price, at);
        }
    }

    /// Extremes of all ticks.
    pub(super) fn whole(&self) -> Extremes {
        let mut found = Extremes::NONE;
        self.blocks.iter().for_each(|block| found.merge(block));
        found
    }
}
