//! In-memory history: the ticks of each symbol sorted by time, with a pyramid of their minima and maxima, and the
//! [`SeriesMap`] of all symbols with its counters and missing ranges.
//!
//! The module is pure: no clock, no I/O, nothing asynchronous. Every bound is a named constant, and everything that a
//! bound drops is counted.
//!
//! # Examples
//!
//! ```
//! use tickscope::model::{Price, TimeSpan, Timestamp};
//! use tickscope::series::{HistoryLimits, Series};
//!
//! let mut series = Series::new(HistoryLimits { ticks_max: 1_000_000, age_ns_max: None });
//! for second in 0..3_600_i64 {
//!     let time = Timestamp::from_nanos(second * 1_000_000_000).unwrap();
//!     series.push(time, Price::new((second % 60) as f64).unwrap(), Some(100.0));
//! }
//! let mut samples = Vec::new();
//! series.downsample(TimeSpan { start: 0, end: 3_600_000_000_000 }, 10, &mut samples);
//! assert!(samples.len() <= 4 * 10 + 2);
//! assert_eq!(samples.iter().map(|sample| sample.price).fold(0.0, f64::max), 59.0);
//! ```

mod bar_cache;
mod block_codec;
mod change_tracking;
mod chunk;
mod column_cache;
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
mod volume_sum;

pub use bar_cache::{Bar, BarCache};
pub use column_cache::ColumnCache;
pub use downsample::Summary;
pub use loaded_history::{ArrivalMark, HistoryPage, LoadedHistory};
pub use merged::MergedSeries;
pub use missing::{MISSING_RANGES_MAX, MissingCause, MissingRange};
pub use sequence_tracker::{MISSING_RUNS_MAX, SEQ_JUMP_MAX, SOURCES_MAX};
pub use series_map::{AppendOutcome, Counters, SYMBOLS_MAX_DEFAULT, SeriesMap, SeriesMapConfig, SymbolId};

use std::collections::VecDeque;

use crate::model::{Price, Timestamp};
use change_tracking::LATE_TIMES_MAX;
use chunk::Chunk;
use columns::{CHUNK_TICKS, Columns};
use completeness::RestoreState;
use expiry_cursor::ExpiryCursor;
use out_of_order::LateArrivals;
use pyramid::{Chunks, Place};

/// Number of chunks, from the newest back, into which a late tick may still be inserted. They hold at least 131,072
/// ticks, since a chunk that was split keeps half of its ticks. Later ticks are dropped and counted.
pub const LATE_CHUNKS_MAX: usize = 256;

/// Limits of what is kept of one symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Maximum number of ticks; at least 1.
    pub ticks_max: usize,
    /// Maximum age relative to the newest tick, ns; `None` for no limit.
    pub age_ns_max: Option<i64>,
}

impl Default for HistoryLimits {
    /// No limits.
    fn default() -> Self {
        Self { ticks_max: usize::MAX, age_ns_max: None }
    }
}

/// Vertex of a line: a tick without its size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Price of the tick.
    pub price: f64,
}

/// Tick of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesTick {
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Price of the tick.
    pub price: f64,
    /// Traded volume, if the tick has one.
    pub size: Option<f64>,
}

impl SeriesTick {
    /// The tick as a vertex of a line.
    pub const fn sample(&self) -> Sample {
        Sample { time_ns: self.time_ns, price: self.price }
    }
}

/// Outcome of pushing a tick into a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The tick is the newest one.
    InOrder,
    /// The tick was late and was inserted before newer ones.
    Reordered,
    /// The tick was dropped, because it is older than anything that may still change or be kept.
    TooLate,
}

/// Figures over every tick that a series received, whether or not it is still kept.
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

/// Ticks of one symbol, sorted by time; ticks of equal time are in order of arrival.
#[derive(Debug, Default)]
pub struct Series {
    history: HistoryLimits,
    chunks: Chunks,
    /// Number of ticks at the start of the first chunk that are evicted; always less than its length.
    head: usize,
    len: usize,
    /// Number of chunks before the last one that were opened again for late ticks.
    reopened: usize,
    /// Set once ticks expire by age.
    expiry_cursor: Option<Box<ExpiryCursor>>,
    received: u64,
    evicted: u64,
    reordered: u64,
    too_late: u64,
    /// Time of the last tick of the last chunk that was evicted as a whole.
    evicted_ns: Option<i64>,
    /// Time of the latest tick that was dropped as too late.
    too_late_ns: Option<i64>,
    /// Ticks before this instant have expired, as of the last call of [`Series::expire`].
    expired_ns: Option<i64>,
    /// Times of the most recent late ticks that were inserted, at most [`LATE_TIMES_MAX`], the newest last.
    late_times: VecDeque<i64>,
    /// Times that late ticks reached back to, dropped ones included.
    late_arrivals: LateArrivals,
    /// Progress of restoring the series from a store.
    restore: RestoreState,
    statistics: Option<Statistics>,
}

impl Series {
    /// An empty series with the given limits.
    pub fn new(history: HistoryLimits) -> Self {
        let history =
            HistoryLimits { ticks_max: history.ticks_max.max(1), age_ns_max: history.age_ns_max.map(|ns| ns.max(0)) };
        Self { history, ..Self::default() }
    }

    /// Adds a tick. Amortised constant time for the newest tick; a late one moves at most the rest of a chunk. `size`
    /// is finite; NaN counts as no size.
    pub fn push(&mut self, time: Timestamp, price: Price, size: Option<f64>) -> Placement {
        let (time_ns, price, size) = (time.as_nanos(), price.get(), size.unwrap_or(f64::NAN));
        self.received += 1;
        self.record(Sample { time_ns, price });
        let newest_ns = self.newest_ns();
        // If all ticks have expired, a late tick is still the newest one that is kept.
        let is_late = time_ns < newest_ns || self.statistics.is_some_and(|known| time_ns < known.last.time_ns);
        if is_late && !self.restore.is_pushing {
            self.late_arrivals.record(self.received, time_ns);
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
        if self.late_times.len() == LATE_TIMES_MAX {
            self.late_times.pop_front();
        }
        self.late_times.push_back(time_ns);
        Placement::Reordered
    }

    /// Drops the ticks that are too old at `now_ns`, the newest event time of the whole feed in ns, so that quiet
    /// symbols age as well.
    pub fn expire(&mut self, now_ns: i64) {
        let Some(age_ns_max) = self.history.age_ns_max else { return };
        let oldest_ns = now_ns.saturating_sub(age_ns_max);
        self.expired_ns = self.expired_ns.max(Some(oldest_ns));
        while let Some(front) = self.chunks.list.front() {
            if front.last_time() >= oldest_ns {
                let front = (self.chunks.first, front);
                let head = self.expiry_cursor.get_or_insert_default().seek(front, self.head, oldest_ns);
                self.evict_front(head - self.head);
                break;
            }
            self.evict_front(front.len() - self.head);
        }
    }

    /// Number of ticks kept.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether no tick is kept.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of ticks received: kept, evicted and too late.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Number of ticks that were kept and gave way to newer ones.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Number of late ticks that were inserted before newer ones.
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// Number of ticks that were dropped because they came too late.
    pub fn too_late(&self) -> u64 {
        self.too_late
    }

    /// Limits of what is kept.
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

    /// Figures over all ticks received; `None` before the first one.
    pub fn statistics(&self) -> Option<Statistics> {
        self.statistics
    }

    /// Time of the earliest tick kept, ns since the Unix epoch.
    pub fn oldest_ns(&self) -> Option<i64> {
        (self.len > 0).then(|| self.time(self.begin()))
    }

    /// Time of the latest tick kept, ns since the Unix epoch; [`i64::MIN`] if there is none.
    fn newest_ns(&self) -> i64 {
        self.chunks.list.back().map_or(i64::MIN, Chunk::last_time)
    }

    /// Bytes of memory in use. Visits all chunks, so it is meant for statistics and not for every frame.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.chunks.bytes()
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

    /// Packs the last chunk and opens a new one, which takes over its columns. Packing costs a few ns per tick.
    fn open_chunk(&mut self) {
        let closed = self.chunks.last_id();
        let columns = match self.chunks.list.back_mut() {
            // The first chunk of a symbol grows on demand, so that thousands of quiet symbols stay small.
            None => Box::default(),
            Some(last) => last.pack().unwrap_or_else(|| Box::new(Columns::with_capacity(CHUNK_TICKS))),
        };
        if self.reopened > 0 {
            self.reopened = 0;
            let recent = self.chunks.list.iter_mut().rev().take(2 * LATE_CHUNKS_MAX);
            recent.for_each(|chunk| drop(chunk.pack()));
        }
        self.chunks.list.push_back(Chunk::new(columns));
        self.chunks.refresh(closed);
    }

    /// Index of the chunk that a late tick belongs to; `None` if the tick is too late.
    fn late_chunk(&self, time_ns: i64, newest_ns: i64) -> Option<usize> {
        let oldest_ns = self.history.age_ns_max.map_or(i64::MIN, |age| newest_ns.saturating_sub(age));
        // An expired tick would follow evicted ones that are newer than it.
        let oldest_ns = self.expired_ns.map_or(oldest_ns, |expired_ns| oldest_ns.max(expired_ns));
        let full = self.len >= self.history.ticks_max;
        if time_ns < oldest_ns || (full && time_ns < self.time(self.begin())) {
            return None;
        }
        let list = &self.chunks.list;
        // Most late ticks belong to the last two chunks, so the search goes backwards.
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
        if let Some(cursor) = self.expiry_cursor.as_mut().filter(|_| index == 0) {
            cursor.invalidate();
        }
        if list[index].needs_split() {
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
            // The earlier half has changed as well, and all chunks after it have new numbers.
            self.chunks.refresh(changed.saturating_sub(1));
        } else {
            self.chunks.touch(changed);
        }
    }

    fn evict(&mut self) {
        if self.len > self.history.ticks_max {
            self.evict_front(1);
        }
        if self.history.age_ns_max.is_some() {
            self.expire(self.newest_ns());
        }
    }

    /// Evicts the first `count` ticks of the first chunk, which has at least as many.
    fn evict_front(&mut self, count: usize) {
        let Some(front) = self.chunks.list.front() else { return };
        self.head += count;
        self.len -= count;
        self.evicted += count as u64;
        if self.head >= front.len() {
            self.evicted_ns = self.evicted_ns.max(Some(front.last_time()));
            self.head = 0;
            self.chunks.evict_first();
        }
    }
}
