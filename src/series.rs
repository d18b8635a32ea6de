//! What has been received, in memory: per symbol the ticks sorted by time, with a pyramid of their extremes; and the
//! [`SeriesMap`] of all symbols with its counters, losses and gaps.
//!
//! Pure: no clock, no I/O, nothing asynchronous. Every bound is named, and whatever a bound drops is counted.

mod bars;
mod block_codec;
mod cache;
mod chunk;
mod columns;
mod completeness;
mod downsample;
mod expiry_cursor;
mod loaded_history;
mod merged;
mod missing;
mod out_of_order;
mod pyramid;
mod reader;
mod sequence_tracker;
mod series_map;
#[cfg(test)]
mod tests;
mod volume;

pub use bars::{Bar, BarCache};
pub use cache::ColumnCache;
pub use downsample::Summary;
pub use loaded_history::{ArrivalMark, HistoryPage, LoadedHistory};
pub use merged::MergedSeries;
pub use missing::{MISSING_RANGES_MAX, MissingCause, MissingRange};
pub use sequence_tracker::{MISSING_RUNS_MAX, SEQ_JUMP_MAX, SOURCES_MAX};
pub use series_map::{AppendOutcome, Counters, SYMBOLS_MAX_DEFAULT, SeriesMap, SeriesMapConfig, SymbolId};

use std::collections::VecDeque;

use crate::model::{Price, Timestamp};
use cache::{LATE_TIMES, Seen};
use chunk::{CHUNK_TICKS, Chunk};
use columns::Columns;
use completeness::Restoring;
use expiry_cursor::ExpiryCursor;
use out_of_order::Lateness;
use pyramid::{Chunks, Place, Pyramid};

/// How many chunks back a tick that comes late is still put in its place: at least 131,072 ticks, since a chunk that
/// was cut in two keeps half. Neighbor, a later tick is dropped and counted.
pub const LATE_CHUNKS_MAX: usize = 256;

/// How much is kept of one symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Most ticks; at least 1.
    pub ticks_max: usize,
    /// Longest time before the newest tick, ns; `None` for any.
    pub age_ns_max: Option<i64>,
}

/// A vertex of a line: a tick without its size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Its price.
    pub price: f64,
}

/// A kept tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesTick {
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Its price.
    pub price: f64,
    /// Traded volume, if it came with one.
    pub size: Option<f64>,
}

impl SeriesTick {
    /// The tick as the vertex of a line.
    pub const fn sample(&self) -> Sample {
        Sample { time_ns: self.time_ns, price: self.price }
    }
}

/// What became of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// It is the newest one.
    InOrder,
    /// It came late and was put in its place.
    Reordered,
    /// It is older than anything that may still change or be kept; it was dropped.
    TooLate,
}

/// All-time figures of a series: over every tick received, whether or not it is still kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// The earliest tick.
    pub first: Sample,
    /// The latest tick.
    pub last: Sample,
    /// Lowest price.
    pub min: f64,
    /// Highest price.
    pub max: f64,
}

/// The ticks of one symbol, sorted by time, those of equal time in order of arrival.
#[derive(Debug)]
pub struct Series {
    history: HistoryLimits,
    chunks: Chunks,
    pyramid: Pyramid,
    /// Ticks at the front of the first chunk that are evicted already; always fewer than it has.
    head: usize,
    len: usize,
    /// Chunks before the last one that are open again because a late tick was put into them.
    reopened: usize,
    /// Only where ticks expire by age.
    front: Option<Box<ExpiryCursor>>,
    received: u64,
    evicted: u64,
    reordered: u64,
    too_late: u64,
    /// Time of the last tick of the last chunk that was evicted whole.
    evicted_ns: Option<i64>,
    /// Time of the latest tick that came too late.
    too_late_ns: Option<i64>,
    /// Ticks before this instant have expired, as far as [`Series::expire`] was told.
    expired_ns: i64,
    /// Times of the latest ticks that were put among earlier ones, at most [`LATE_TIMES`], the newest last.
    late_times: VecDeque<i64>,
    /// How far back those that came late, or too late, reached.
    lateness: Lateness,
    /// What came from a store.
    restoring: Restoring,
    statistics: Option<Statistics>,
}

impl Series {
    /// An empty series that keeps as much as `history` says.
    pub fn new(history: HistoryLimits) -> Self {
        let history =
            HistoryLimits { ticks_max: history.ticks_max.max(1), age_ns_max: history.age_ns_max.map(|ns| ns.max(0)) };
        Self {
            history,
            chunks: Chunks::default(),
            pyramid: Pyramid::default(),
            head: 0,
            len: 0,
            reopened: 0,
            front: None,
            received: 0,
            evicted: 0,
            reordered: 0,
            too_late: 0,
            evicted_ns: None,
            too_late_ns: None,
            expired_ns: i64::MIN,
            late_times: VecDeque::new(),
            lateness: Lateness::default(),
            restoring: Restoring::default(),
            statistics: None,
        }
    }

    /// Takes in a tick, in amortised constant time when it is the newest one; a late one costs the move of a chunk's
    /// tail at most. `size` is finite; NaN counts as none.
    pub fn push(&mut self, time: Timestamp, price: Price, size: Option<f64>) -> Placement {
        let (time_ns, price, size) = (time.as_nanos(), price.get(), size.unwrap_or(f64::NAN));
        self.received += 1;
        self.record(Sample { time_ns, price });
        let newest_ns = self.chunks.list.back().map_or(i64::MIN, Chunk::last_time);
        // Where all has aged away, what comes late is the newest that is kept.
        let is_late = time_ns < newest_ns || self.statistics.is_some_and(|known| time_ns < known.last.time_ns);
        if is_late && !self.restoring.is_at_it {
            self.lateness.note(self.received, time_ns);
        }
        if time_ns >= newest_ns {
            self.append(time_ns, price, size);
            self.evict();
            return Placement::InOrder;
        }
        let Some(at) = self.late_chunk(time_ns, newest_ns) else {
            self.too_late += 1;
            self.too_late_ns = self.too_late_ns.max(Some(time_ns));
            return Placement::TooLate;
        };
        self.insert(at, time_ns, price, size);
        self.evict();
        self.reordered += 1;
        if self.late_times.len() == LATE_TIMES {
            self.late_times.pop_front();
        }
        self.late_times.push_back(time_ns);
        Placement::Reordered
    }

    /// Drops what is older than the history allows at `now_ns`, the newest event time of the whole feed: a symbol that
    /// has gone quiet ages too.
    pub fn expire(&mut self, now_ns: i64) {
        let Some(age_ns_max) = self.history.age_ns_max else { return };
        let oldest_ns = now_ns.saturating_sub(age_ns_max);
        self.expired_ns = self.expired_ns.max(oldest_ns);
        while let Some(front) = self.chunks.list.front() {
            if front.last_time() >= oldest_ns {
                let front = (self.chunks.first, front);
                let head = self.front.get_or_insert_default().seek(front, self.head, oldest_ns);
                self.evict_front(head - self.head);
                break;
            }
            self.evict_front(front.len() - self.head);
        }
    }

    /// Ticks kept.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no tick is kept.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Ticks received in all: those kept, evicted and too late.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Ticks that were kept once and gave way to newer ones.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Ticks that came late and were put in their place.
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Ticks dropped because they came too late.
    pub fn too_late(&self) -> u64 {
        self.too_late
    }

    /// How much is kept.
    pub fn history(&self) -> HistoryLimits {
        self.history
    }

    /// The earliest tick kept.
    pub fn first(&self) -> Option<SeriesTick> {
        (self.len > 0).then(|| self.tick(self.begin())).flatten()
    }

    /// The latest tick kept.
    pub fn last(&self) -> Option<SeriesTick> {
        (self.len > 0).then(|| self.tick(self.before(self.end()))).flatten()
    }

    /// All-time figures; `None` before the first tick.
    pub fn statistics(&self) -> Option<Statistics> {
        self.statistics
    }

    /// What a column cache needs to know in order to see what has changed; `None` while the series is empty.
    fn seen(&self) -> Option<Seen> {
        let (oldest_ns, newest_ns) = (self.oldest_ns()?, self.chunks.list.back()?.last_time());
        let Self { received, evicted, reordered, .. } = *self;
        Some(Seen { received, evicted, reordered, oldest_ns, newest_ns })
    }

    /// Times of the `count` latest ticks that came late, as far as they are remembered.
    fn late_times(&self, count: usize) -> impl Iterator<Item = i64> {
        self.late_times.iter().rev().take(count).copied()
    }

    /// Time of the earliest tick kept, ns.
    pub fn oldest_ns(&self) -> Option<i64> {
        (self.len > 0).then(|| self.time(self.begin()))
    }

    /// Bytes of memory in use. Walks all chunks: meant for statistics, not for every frame.
    pub fn bytes(&self) -> usize {
        let chunks: usize = self.chunks.list.iter().map(Chunk::bytes).sum();
        size_of::<Self>() + chunks + self.chunks.list.capacity() * size_of::<Chunk>() + self.pyramid.bytes()
    }

    fn record(&mut self, tick: Sample) {
        let Sample { time_ns, price } = tick;
        let known = self.statistics.get_or_insert(Statistics { first: tick, last: tick, min: price, max: price });
        known.min = known.min.min(price);
        known.max = known.max.max(price);
        if time_ns < known.first.time_ns {
            known.first = tick;
        }
        if time_ns >= known.last.time_ns {
            known.last = tick;
        }
    }

    fn append(&mut self, time_ns: i64, price: f64, size: f64) {
        if self.chunks.list.back().is_none_or(Chunk::is_full) {
            self.open_chunk();
        }
        if let Some(chunk) = self.chunks.list.back_mut() {
            chunk.push(time_ns, price, size);
            self.len += 1;
        }
    }

    /// Closes the last chunk and opens the next one. Packing costs a few ns a tick; the columns go from chunk to chunk.
    fn open_chunk(&mut self) {
        let closed = self.chunks.last_id();
        let columns = match self.chunks.list.back_mut() {
            // A symbol's first chunk grows as ticks come, so that thousands of quiet symbols stay small.
            None => Box::default(),
            Some(last) => last.pack().unwrap_or_else(|| Box::new(Columns::with_capacity(CHUNK_TICKS))),
        };
        if self.reopened > 0 {
            self.reopened = 0;
            let recent = self.chunks.list.iter_mut().rev().take(2 * LATE_CHUNKS_MAX);
            recent.for_each(|chunk| drop(chunk.pack()));
        }
        self.chunks.list.push_back(Chunk::new(columns));
        self.pyramid.refresh(closed, &self.chunks);
    }

    /// Index of the chunk that a late tick belongs to; `None` when it is too late.
    fn late_chunk(&self, time_ns: i64, newest_ns: i64) -> Option<usize> {
        let oldest_ns = self.history.age_ns_max.map_or(i64::MIN, |age| newest_ns.saturating_sub(age));
        // A tick that came after its time had expired would stand behind evicted ones that are later.
        let oldest_ns = oldest_ns.max(self.expired_ns);
        let full = self.len >= self.history.ticks_max;
        if time_ns < oldest_ns || (full && time_ns < self.time(self.begin())) {
            return None;
        }
        let list = &self.chunks.list;
        // Most late ticks belong to the last chunk or the one before it; a walk backwards meets them first.
        let back = list.iter().rev().take(LATE_CHUNKS_MAX + 1).position(|chunk| chunk.first_time() <= time_ns);
        match back {
            Some(back) => Some(list.len() - 1 - back),
            None => (list.len() <= LATE_CHUNKS_MAX + 1).then_some(0),
        }
    }

    fn insert(&mut self, index: usize, time_ns: i64, price: f64, size: f64) {
        let list = &mut self.chunks.list;
        let mut index = index;
        let mut cut = false;
        if index + 1 < list.len() {
            self.reopened += 1;
        }
        if let Some(front) = self.front.as_mut().filter(|_| index == 0) {
            front.forget();
        }
        if list[index].is_crammed() {
            if index == 0 && self.head > 0 {
                let evicted_ns = list[0].time(self.head - 1);
                self.evicted_ns = self.evicted_ns.max(Some(evicted_ns));
                list[0].drain_front(self.head);
                self.head = 0;
            } else {
                let later = list[index].split();
                let belongs_later = later.first_time() <= time_ns;
                list.insert(index + 1, later);
                cut = true;
                index += usize::from(belongs_later);
                self.reopened += 1;
            }
        }
        let oldest = if index == 0 { self.head } else { 0 };
        list[index].insert(oldest, time_ns, price, size);
        self.len += 1;
        let changed = self.chunks.first + index as u64;
        if cut {
            // The earlier half has changed too, and every chunk behind it has a new number.
            self.pyramid.refresh(changed.saturating_sub(1), &self.chunks);
        } else {
            self.pyramid.touch(changed, &self.chunks);
        }
    }

    fn evict(&mut self) {
        if self.len > self.history.ticks_max {
            self.evict_front(1);
        }
        if self.history.age_ns_max.is_some() {
            let newest_ns = self.chunks.list.back().map_or(i64::MIN, Chunk::last_time);
            self.expire(newest_ns);
        }
    }

    /// Evicts `count` ticks of the first chunk, which has that many.
    fn evict_front(&mut self, count: usize) {
        let Some(front) = self.chunks.list.front() else { return };
        self.head += count;
        self.len -= count;
        self.evicted += count as u64;
        if self.head >= front.len() {
            self.evicted_ns = self.evicted_ns.max(Some(front.last_time()));
            self.head = 0;
            self.chunks.first += 1;
            self.chunks.list.pop_front();
            self.pyramid.evict(self.chunks.first);
        }
    }
}
