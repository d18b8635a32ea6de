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
    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.volume.merge(&other.volume);
    }

    pub(super) fn merge_chunk(&mut self, chunk: &Chunk, range: Range<usize>) {
        self.merge(&Self { count: range.len() as u64, volume: chunk.volume(range) });
    }
}

/// Summary of consecutive chunks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) bounds: Bounds,
    pub(super) totals: Totals,
}

impl Node {
    const fn none() -> Self {
        let totals = Totals { count: 0, volume: VolumeSum::none() };
        Self { bounds: Bounds::none(), totals }
    }

    fn merge(&mut self, later: &Self) {
        self.bounds.merge(&later.bounds);
        self.totals.merge(&later.totals);
    }
}

/// Chunks of a series by their numbers.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// Number of the first chunk in the list.
    pub(super) first: u64,
    pub(super) list: VecDeque<Chunk>,
}

impl Chunks {
    pub(super) fn get(&self, id: u64) -> &Chunk {
        &self.list[(id - self.first) as usize]
    }

    /// Number of the last chunk, which is the only one that grows; `first` if there is none.
    pub(super) fn last_id(&self) -> u64 {
        self.first + (self.list.len() as u64).saturating_sub(1)
    }
}

#[derive(Debug, Default)]
struct Level {
    /// Number of the first node. Node `n` of level `k` (from 1) summarises the chunks `n << 2k` to before `(n + 1) <<
    /// 2k`.
    first: u64,
    nodes: VecDeque<Node>,
}

impl Level {
    fn get(&self, number: u64) -> Option<&Node> {
        number.checked_sub(self.first).and_then(|at| self.nodes.get(at as usize))
    }

    fn get_mut(&mut self, number: u64) -> Option<&mut Node> {
        number.checked_sub(self.first).and_then(|at| self.nodes.get_mut(at as usize))
    }

    fn end(&self) -> u64 {
        self.first + self.nodes.len() as u64
    }
}

/// Levels above the chunks. A node exists if and only if all of its chunks exist and are closed.
#[derive(Debug, Default)]
pub(super) struct Pyramid {
    levels: Vec<Level>,
}

/// Part of a range of chunks.
pub(super) enum Piece<'a> {
    /// Several chunks with a common summary.
    Node(&'a Node),
    /// Number of a single chunk.
    Chunk(u64),
}

impl Pyramid {
    /// Updates all nodes after chunk `changed` and those after it were changed, moved or closed. Costs 4 merges per
    /// level, and another 4 for each node of the lowest level after `changed`.
    pub(super) fn refresh(&mut self, changed: u64, chunks: &Chunks) {
        let closed_end = chunks.last_id();
        for height in 0.. {
            let bits = FAN_BITS * (height as u32 + 1);
            if closed_end >> bits == 0 {
                break;
            }
            if self.levels.len() == height {
                self.levels.push(Level::default());
            }
            let (below, rest) = self.levels.split_at_mut(height);
            let level = &mut rest[0];
            level.nodes.truncate((changed >> bits).saturating_sub(level.first) as usize);
            let oldest = chunks.first.div_ceil(1 << bits);
            if level.nodes.is_empty() {
                level.first = oldest;
            }
            for number in level.end()..closed_end >> bits {
                level.nodes.push_back(build(number, below.last(), chunks));
            }
        }
    }

    /// Updates the nodes above chunk `changed`, if only its ticks have changed.
    pub(super) fn touch(&mut self, changed: u64, chunks: &Chunks) {
        for height in 0..self.levels.len() {
            let (below, rest) = self.levels.split_at_mut(height);
            let number = changed >> (FAN_BITS * (height as u32 + 1));
            let Some(node) = rest[0].get_mut(number) else { break };
            *node = build(number, below.last(), chunks);
        }
    }

    /// Removes the nodes that summarise chunks before `first`.
    pub(super) fn evict(&mut self, first: u64) {
        for (height, level) in self.levels.iter_mut().enumerate() {
            let bits = FAN_BITS * (height as u32 + 1);
            while !level.nodes.is_empty() && level.first << bits < first {
                level.nodes.pop_front();
                level.first += 1;
            }
        }
    }

    /// Visits whole chunks from the earliest to the latest, in as few pieces as possible.
    pub(super) fn visit<'a>(&'a self, ids: Range<u64>, mut visitor: impl FnMut(Piece<'a>)) {
        let mut id = ids.start;
        while id < ids.end {
            let mut piece = Piece::Chunk(id);
            let mut length = 1;
            for (height, level) in self.levels.iter().enumerate() {
                let bits = FAN_BITS * (height as u32 + 1);
                let fits = id.trailing_zeros() >= bits && ids.end - id >= 1 << bits;
                let Some(node) = level.get(id >> bits).filter(|_| fits) else { break };
                piece = Piece::Node(node);
                length = 1 << bits;
            }
            visitor(piece);
            id += length;
        }
    }

    /// Number of ticks before a place, including evicted ones at the start of the first chunk.
    pub(super) fn count_before(&self, chunks: &Chunks, place: Place) -> u64 {
        let mut count = place.at as u64;
        self.visit(chunks.first..place.chunk, |piece| {
            count += match piece {
                Piece::Node(node) => node.totals.count,
                Piece::Chunk(id) => chunks.get(id).len() as u64,
            };
        });
        count
    }

    /// Inverse of [`Pyramid::count_before`]; the end if there are fewer ticks.
    pub(super) fn locate(&self, chunks: &Chunks, count: u64) -> Place {
        let (mut id, mut rest) = (chunks.first, count);
        let end = chunks.first + chunks.list.len() as u64;
        while id < end {
            let len = chunks.get(id).len() as u64;
            if rest < len {
                return Place { chunk: id, at: rest as usize };
            }
            // Finds the longest run of chunks that starts here and lies before the place.
            let (mut step, mut skipped) = (1, len);
            for (height, level) in self.levels.iter().enumerate() {
                let bits = FAN_BITS * (height as u32 + 1);
                let node =
                    level.get(id >> bits).filter(|node| id.trailing_zeros() >= bits && node.totals.count <= rest);
                let Some(node) = node else { break };
                (step, skipped) = (1 << bits, node.totals.count);
            }
            id += step;
            rest -= skipped;
        }
        Place { chunk: chunks.last_id(), at: chunks.list.back().map_or(0, Chunk::len) }
    }

    /// Bytes of heap memory.
    pub(super) fn bytes(&self) -> usize {
        self.levels.iter().map(|level| level.nodes.capacity() * size_of::<Node>()).sum()
    }
}

/// Builds node `number` of the level above `below`, or of the lowest level if that is `None`.
fn build(number: u64, below: Option<&Level>, chunks: &Chunks) -> Node {
    let mut node = Node::none();
    for child in number << FAN_BITS..(number + 1) << FAN_BITS {
        if let Some(level) = below {
            if let Some(part) = level.get(child) {
                node.merge(part);
            }
        } else {
            let chunk = chunks.get(child);
            node.bounds.merge(&Bounds::of_chunk(child, chunk));
            node.totals.merge_chunk(chunk, 0..chunk.len());
        }
    }
    node
}
