//! Min/max pyramid: summaries of four chunks each, of four summaries each, and so on.

use std::collections::VecDeque;
use std::ops::Range;

use super::chunk::Chunk;
use super::volume_sum::VolumeSum;

/// Each node summarises `2^FAN_BITS` nodes of the level below. A range needs at most 3 nodes per side and level, at a
/// thirtieth of a byte per tick.
const FAN_BITS: u32 = 2;

/// Position of a tick in a series: the permanent number of its chunk, from 0, and its index in the chunk. Places are
/// ordered like time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) chunk: u64,
    pub(super) at: usize,
}

/// Lowest or highest tick of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ExtremeTick {
    pub(super) place: Place,
    pub(super) price: f64,
    /// Time of the tick, if it is available without a lookup, which would cost a cache miss for a tick that the next
    /// one may beat.
    pub(super) time_ns: Option<i64>,
}

/// Lowest and highest tick of a range; the earliest among equal prices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) min: ExtremeTick,
    pub(super) max: ExtremeTick,
}

impl Bounds {
    /// Bounds of an empty range, which any tick replaces.
    pub(super) const fn none() -> Self {
        let mark = ExtremeTick { place: Place { chunk: 0, at: 0 }, price: f64::INFINITY, time_ns: None };
        Self { min: mark, max: ExtremeTick { price: f64::NEG_INFINITY, ..mark } }
    }

    /// Merges the bounds of another range.
    pub(super) fn merge(&mut self, other: &Self) {
        let (min, max) = (&other.min, &other.max);
        if min.price < self.min.price || (min.price == self.min.price && min.place < self.min.place) {
            self.min = *min;
        }
        if max.price > self.max.price || (max.price == self.max.price && max.place < self.max.place) {
            self.max = *max;
        }
    }
}

/// Number of ticks, and their volume.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Totals {
    pub(super) count: u64,
    pub(super) volume: VolumeSum,
}

impl Totals {
    /// Totals of a range of a chunk.
    pub(super) fn of(chunk: &Chunk, range: Range<usize>) -> Self {
        Self { count: range.len() as u64, volume: chunk.volume(range) }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.volume.merge(&other.volume);
    }
}

/// Summary of consecutive chunks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) bounds: Bounds,
    pub(super) totals: Totals,
}

/// Chunks of a series by their numbers, and the levels of the pyramid above them.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// Number of the first chunk in the list.
    pub(super) first: u64,
    pub(super) list: VecDeque<Chunk>,
    /// Node `n` of level `k` (from 1) summarises the chunks `n << 2k` to before `(n + 1) << 2k`. It exists if and only
    /// if all of them exist and are closed.
    levels: Vec<VecDeque<Node>>,
}

/// Binary logarithm of the number of chunks below a node.
const fn bits(height: usize) -> u32 {
    FAN_BITS * (height as u32 + 1)
}

impl Chunks {
    pub(super) fn get(&self, id: u64) -> &Chunk {
        &self.list[(id - self.first) as usize]
    }

    /// Number of the last chunk, which is the only one that grows; `first` if there is none.
    pub(super) fn last_id(&self) -> u64 {
        self.first + (self.list.len() as u64).saturating_sub(1)
    }

    /// Place after the latest tick.
    pub(super) fn end(&self) -> Place {
        Place { chunk: self.last_id(), at: self.list.back().map_or(0, Chunk::len) }
    }

    /// Removes the first chunk, and the nodes that begin with it.
    pub(super) fn evict_first(&mut self) {
        for (height, level) in self.levels.iter_mut().enumerate() {
            if self.first.is_multiple_of(1 << bits(height)) {
                level.pop_front();
            }
        }
        self.list.pop_front();
        self.first += 1;
    }

    /// Number of the first node of a level.
    fn first_node(&self, height: usize) -> u64 {
        self.first.div_ceil(1 << bits(height))
    }

    fn node(&self, height: usize, number: u64) -> Option<&Node> {
        number.checked_sub(self.first_node(height)).and_then(|at| self.levels[height].get(at as usize))
    }

    /// Updates all nodes after chunk `changed` and those after it were changed, moved or closed. Costs 4 merges per
    /// level, and another 4 for each node of the lowest level after `changed`.
    pub(super) fn refresh(&mut self, changed: u64) {
        for height in 0.. {
            let (first, end) = (self.first_node(height), self.last_id() >> bits(height));
            if end == 0 {
                break;
            }
            if self.levels.len() == height {
                self.levels.push(VecDeque::new());
            }
            self.levels[height].truncate((changed >> bits(height)).saturating_sub(first) as usize);
            for number in first + self.levels[height].len() as u64..end {
                let node = self.build(height, number);
                self.levels[height].push_back(node);
            }
        }
    }

    /// Updates the nodes above chunk `changed`, if only its ticks have changed.
    pub(super) fn touch(&mut self, changed: u64) {
        for height in 0..self.levels.len() {
            let number = changed >> bits(height);
            if self.node(height, number).is_none() {
                break;
            }
            let at = (number - self.first_node(height)) as usize;
            self.levels[height][at] = self.build(height, number);
        }
    }

    /// Builds a node from those of the level below, or from chunks.
    fn build(&self, height: usize, number: u64) -> Node {
        let mut node = Node { bounds: Bounds::none(), totals: Totals::default() };
        for child in number << FAN_BITS..(number + 1) << FAN_BITS {
            let below = height.checked_sub(1).and_then(|below| self.node(below, child).copied());
            let part = below.unwrap_or_else(|| self.summary(child));
            node.bounds.merge(&part.bounds);
            node.totals.merge(&part.totals);
        }
        node
    }

    /// Summary of one chunk.
    fn summary(&self, id: u64) -> Node {
        let chunk = self.get(id);
        Node { bounds: Bounds::of_chunk(id, chunk), totals: Totals::of(chunk, 0..chunk.len()) }
    }

    /// Number of chunks of the longest run from `id` on with a node that `fits`, and the node; 1 if there is none.
    fn longest(&self, id: u64, fits: impl Fn(u64, &Node) -> bool) -> (u64, Option<&Node>) {
        let (mut count, mut found) = (1, None);
        for height in 0..self.levels.len() {
            let bits = bits(height);
            let node = self.node(height, id >> bits).filter(|_| id.trailing_zeros() >= bits);
            let Some(node) = node.filter(|node| fits(1 << bits, node)) else { break };
            (count, found) = (1 << bits, Some(node));
        }
        (count, found)
    }

    /// Visits the summaries of whole chunks from the earliest to the latest, in as few pieces as possible.
    pub(super) fn visit(&self, ids: Range<u64>, mut visitor: impl FnMut(&Node)) {
        let mut id = ids.start;
        while id < ids.end {
            let (count, node) = self.longest(id, |count, _| ids.end - id >= count);
            match node {
                Some(node) => visitor(node),
                None => visitor(&self.summary(id)),
            }
            id += count;
        }
    }

    /// Number of ticks before a place, including evicted ones at the start of the first chunk.
    pub(super) fn count_before(&self, place: Place) -> u64 {
        let mut count = place.at as u64;
        self.visit(self.first..place.chunk, |piece| count += piece.totals.count);
        count
    }

    /// Inverse of [`Self::count_before`]; the end if there are fewer ticks.
    pub(super) fn locate(&self, count: u64) -> Place {
        let (mut id, mut rest) = (self.first, count);
        while id < self.first + self.list.len() as u64 {
            let len = self.get(id).len() as u64;
            if rest < len {
                return Place { chunk: id, at: rest as usize };
            }
            let (count, node) = self.longest(id, |_, node| node.totals.count <= rest);
            id += count;
            rest -= node.map_or(len, |node| node.totals.count);
        }
        self.end()
    }

    /// Bytes of heap memory. Visits all chunks.
    pub(super) fn bytes(&self) -> usize {
        let nodes: usize = self.levels.iter().map(VecDeque::capacity).sum();
        let chunks: usize = self.list.iter().map(Chunk::bytes).sum();
        chunks + self.list.capacity() * size_of::<Chunk>() + nodes * size_of::<Node>()
    }
}
