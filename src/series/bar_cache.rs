//! OHLCV bars over buckets of time or over numbers of ticks.
//!
//! A bar is read from the pyramid like any other range, so it is the same at any zoom and its cost does not grow with
//! its number of ticks. Finished bars are kept from frame to frame: a live frame reads only the open bar, and bars that
//! received late ticks or lost ticks to eviction.

use std::mem;

use super::Series;
use super::change_tracking::{LoadedState, SeriesState};
use super::pyramid::{Place, Totals};
use super::reader::Reader;

/// Open, high, low, close and volume of at least one tick in a bucket of time, or of a number of ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// Start of the bucket, ns since the Unix epoch. For tick bars, the time of the first tick.
    pub start_ns: i64,
    /// End of the bucket, exclusive, ns. For tick bars, the time of the first tick of the next bar, or of the last tick
    /// of this bar if there is no next one yet. Tick bars may end where they start, because times may be equal.
    pub end_ns: i64,
    /// Price of the first tick.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Price of the last tick.
    pub close: f64,
    /// Sum of the sizes, as [`Series::range`] gives it; 0 if no tick has a size.
    pub volume: f64,
    /// Number of ticks; at least 1.
    pub count: u64,
    /// Set if every tick that the bar ever had is still kept. `false` marks a bar whose first ticks were evicted, so
    /// that it describes only the rest.
    pub complete: bool,
}

/// Bar without its times, extended range by range.
pub(super) struct BarBuilder {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    totals: Totals,
}

impl BarBuilder {
    /// Summarises a range that is not empty.
    pub(super) fn new(reader: &mut Reader<'_>, (from, to): (Place, Place)) -> Self {
        let (bounds, totals) = (reader.bounds(from, to), reader.series.totals(from, to));
        Self {
            open: reader.sample(from).price,
            high: bounds.max.price,
            low: bounds.min.price,
            close: reader.sample(reader.series.before(to)).price,
            totals,
        }
    }

    /// Adds a later range.
    pub(super) fn merge(&mut self, later: &Self) {
        // Among equal prices the earlier one stays, because -0.0 equals 0.0.
        self.high = if later.high > self.high { later.high } else { self.high };
        self.low = if later.low < self.low { later.low } else { self.low };
        self.close = later.close;
        self.totals.merge(&later.totals);
    }

    pub(super) fn build(self, (start_ns, end_ns): (i64, i64), complete: bool) -> Bar {
        let Self { open, high, low, close, totals } = self;
        Bar { start_ns, end_ns, open, high, low, close, volume: totals.volume.total(), count: totals.count, complete }
    }
}

/// Bucket with its bar as of the last frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    pub(super) start_ns: i64,
    /// Exclusive end of the ticks that count: the bucket's end, or earlier on a paused chart.
    pub(super) end_ns: i64,
    /// `None` for a bucket without ticks.
    pub(super) bar: Option<Bar>,
    /// Set if the bar is up to date.
    pub(super) is_valid: bool,
}

/// Bars of one series as of the last frame. Each series needs its own cache.
#[derive(Debug, Default)]
pub struct BarCache {
    /// Buckets in order of time.
    pub(super) buckets: Vec<Bucket>,
    /// Buckets of the previous frame; kept so that their memory is reused.
    previous: Vec<Bucket>,
    state: Option<SeriesState>,
}

impl BarCache {
    /// Bytes of heap memory.
    pub fn bytes(&self) -> usize {
        (self.buckets.capacity() + self.previous.capacity()) * size_of::<Bucket>()
    }

    /// Moves the cache to the buckets of `edges`. Keeps the bars that are in both, and invalidates those whose ticks
    /// have changed.
    pub(super) fn move_to(&mut self, edges: &[i64], until_ns: i64, series: &Series, loaded: Option<LoadedState>) {
        mem::swap(&mut self.buckets, &mut self.previous);
        self.buckets.clear();
        let mut known = self.previous.iter().peekable();
        for (start_ns, end_ns) in edges.iter().copied().zip(edges.iter().copied().skip(1)) {
            let end_ns = until_ns.checked_add(1).map_or(end_ns, |cut_ns| end_ns.min(cut_ns));
            while known.next_if(|bucket| bucket.start_ns < start_ns).is_some() {}
            let same = known.peek().filter(|bucket| (bucket.start_ns, bucket.end_ns) == (start_ns, end_ns));
            self.buckets.push(same.map_or(Bucket { start_ns, end_ns, bar: None, is_valid: false }, |bucket| **bucket));
        }
        let mut state = self.state;
        series.track_changes(&mut state, loaded, |first_ns, last_ns| self.invalidate(first_ns, last_ns));
        self.state = state;
    }

    /// Invalidates the buckets that hold an instant from `first_ns` to `last_ns`.
    fn invalidate(&mut self, first_ns: i64, last_ns: i64) {
        let from = self.buckets.partition_point(|bucket| bucket.end_ns <= first_ns);
        let to = self.buckets.partition_point(|bucket| bucket.start_ns <= last_ns);
        for bucket in self.buckets.get_mut(from..to).unwrap_or_default() {
            bucket.is_valid = false;
        }
    }

    /// Number of bars that the next frame would read from the series.
    #[cfg(test)]
    pub(super) fn invalid_after(&mut self, series: &Series, edges: &[i64], until_ns: i64) -> usize {
        self.move_to(edges, until_ns, series, None);
        self.buckets.iter().filter(|bucket| !bucket.is_valid).count()
    }
}

impl Series {
    /// Number of ticks from `start_ns` to before `end_ns`, in logarithmic time.
    pub(super) fn count(&self, start_ns: i64, end_ns: i64) -> u64 {
        let (from, to) = (self.seek(start_ns), self.seek(end_ns));
        if self.is_empty() { 0 } else { self.ordinal(to).saturating_sub(self.ordinal(from)) }
    }

    /// Number of ticks that were ever kept before a place, evicted ones included.
    pub(super) fn ordinal(&self, place: Place) -> u64 {
        self.evicted + self.chunks.count_before(place) - self.head as u64
    }

    /// Place of the tick with that ordinal, or of the first one kept if it is evicted.
    pub(super) fn at_ordinal(&self, ordinal: u64) -> Place {
        self.chunks.locate(ordinal.saturating_sub(self.evicted) + self.head as u64)
    }
}
