//! Summaries of summaries: four chunks to a node, four nodes to one of the next level, and so on.

use std::collections::VecDeque;
use std::ops::Range;

use super::chunk::Chunk;
use super::volume::Volume;

/// Each level has one node for `2^FAN_BITS` of the level below: at most 3 summaries a side and level in any range, at a
/// thirtieth of a byte a tick.
const FAN_BITS: u32 = 2;

/// A place in a series: which chunk (they are numbered for good, from 0) and which tick in it. ColumnMap order as time
/// does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) chunk: u64,
    pub(super) at: usize,
}

/// A tick that is an extreme of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ExtremeTick {
    pub(super) place: Place,
    pub(super) price: f64,
    /// Its time where it is at hand; looking it up costs a cache miss, too much for a mark that may be beaten by the
    /// next one.
    pub(super) time_ns: Option<i64>,
}

/// Lowest and highest tick of a range, the earliest one among equals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) min: ExtremeTick,
    pub(super) max: ExtremeTick,
}

impl Bounds {
    /// Of nothing: any tick replaces it.
    pub(super) const fn none() -> Self {
        let mark = ExtremeTick { place: Place { chunk: 0, at: 0 }, price: f64::INFINITY, time_ns: None };
        Self { min: mark, max: ExtremeTick { price: f64::NEG_INFINITY, ..mark } }
    }

    /// Takes in what stands elsewhere.
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

/// How many ticks, and their volume.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Totals {
    pub(super) count: u64,
    pub(super) volume: Volume,
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

/// What is known of a whole run of chunks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) bounds: Bounds,
    pub(super) totals: Totals,
}

impl Node {
    const fn none() -> Self {
        let totals = Totals { count: 0, volume: Volume::none() };
        Self { bounds: Bounds::none(), totals }
    }

    fn merge(&mut self, later: &Self) {
        self.bounds.merge(&later.bounds);
        self.totals.merge(&later.totals);
    }
}

/// The chunks of a series under their numbers.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// Number of the first one.
    pub(super) first: u64,
    pub(super) list: VecDeque<Chunk>,
}

impl Chunks {
    pub(super) fn get(&self, id: u64) -> &Chunk {
        &self.list[(id - self.first) as usize]
    }

    /// Number of the last chunk, the one that grows; every one before it is closed. `first` when there is none.
    pub(super) fn last_id(&self) -> u64 {
        self.first + (self.list.len() as u64).saturating_sub(1)
    }
}

#[derive(Debug, Default)]
struct Level {
    /// Number of the first node; node `n` of level `k` stands for chunks `n << 4k .. (n + 1) << 4k`.
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

/// The levels above the chunks. A node exists if and only if all of its chunks do and are closed.
#[derive(Debug, Default)]
pub(super) struct Pyramid {
    levels: Vec<Level>,
}

/// A piece of a range of chunks.
pub(super) enum Piece<'a> {
    /// Many chunks at once.
    Node(&'a Node),
    /// One chunk.
    Chunk(u64),
}

impl Pyramid {
    /// Brings every node up to date after chunk `changed` and those behind it have changed, moved or been closed.
    /// Costs 4 merges a level and another 4 for each node of the lowest level behind `changed`.
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

    /// Brings the nodes above chunk `changed` up to date after its ticks, and nothing else, have changed.
    pub(super) fn touch(&mut self, changed: u64, chunks: &Chunks) {
        for height in 0..self.levels.len() {
            let (below, rest) = self.levels.split_at_mut(height);
            let number = changed >> (FAN_BITS * (height as u32 + 1));
            let Some(node) = rest[0].get_mut(number) else { break };
            *node = build(number, below.last(), chunks);
        }
    }

    /// Forgets the nodes that stood on chunks before `first`.
    pub(super) fn evict(&mut self, first: u64) {
        for (height, level) in self.levels.iter_mut().enumerate() {
            let bits = FAN_BITS * (height as u32 + 1);
            while !level.nodes.is_empty() && level.first << bits < first {
                level.nodes.pop_front();
                level.first += 1;
            }
        }
    }

    /// Visits whole chunks from the earliest to the latest, as few pieces as there are.
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

    /// How many ticks stand before a place, those at the front of the first chunk that are evicted included.
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

    /// The inverse of [`Pyramid::count_before`]; the place behind the last tick where there are not so many.
    pub(super) fn locate(&self, chunks: &Chunks, count: u64) -> Place {
        let (mut id, mut rest) = (chunks.first, count);
        let end = chunks.first + chunks.list.len() as u64;
        while id < end {
            let len = chunks.get(id).len() as u64;
            if rest < len {
                return Place { chunk: id, at: rest as usize };
            }
            // The longest run of chunks that begins here and that the place lies behind.
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

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.levels.iter().map(|level| level.nodes.capacity() * size_of::<Node>()).sum()
    }
}

/// Node `number` of the level above `below`, or above the chunks themselves.
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
