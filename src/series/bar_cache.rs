//! OHLCV bars over buckets of time or over numbers of ticks.
//!
//! A bar is read from the pyramid like any other range, so it is the same at any zoom and its cost does not grow with
//! its number of ticks. Finished bars are kept from frame to frame: a live frame reads only the open bar, and bars that
//! received late ticks or lost ticks to eviction.

use std::mem;

use crate::model::TimeSpan;

use super::Series;
use super::change_tracking::SeriesState;
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
    pub(super) fn new(reader: &mut Reader<'_>, series: &Series, (from, to): (Place, Place)) -> Self {
        let (bounds, totals) = (reader.bounds(from, to), series.totals(from, to));
        Self {
            open: reader.sample(from).price,
            high: bounds.max.price,
            low: bounds.min.price,
            close: reader.sample(series.before(to)).price,
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
struct Bucket {
    start_ns: i64,
    /// Exclusive end of the ticks that count: the bucket's end, or earlier on a paused chart.
    end_ns: i64,
    /// `None` for a bucket without ticks.
    bar: Option<Bar>,
    /// Set if the bar is up to date.
    is_valid: bool,
}

/// Bars of one series as of the last frame. Each series needs its own cache.
#[derive(Debug, Default)]
pub struct BarCache {
    /// Buckets in order of time.
    buckets: Vec<Bucket>,
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
    fn move_to(&mut self, edges: &[i64], until_ns: i64, series: &Series) {
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
        series.track_changes(&mut state, None, |first_ns, last_ns| self.invalidate(first_ns, last_ns));
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
        self.move_to(edges, until_ns, series);
        self.buckets.iter().filter(|bucket| !bucket.is_valid).count()
    }

    /// Reads the invalid bars from the series.
    fn fill(&mut self, series: &Series) {
        let mut reader = Reader::new(series);
        let mut next: Option<(i64, Place)> = None;
        for bucket in self.buckets.iter_mut().filter(|bucket| !bucket.is_valid) {
            let begins_there = next.filter(|(time_ns, _)| *time_ns == bucket.start_ns);
            let from = begins_there.map_or_else(|| reader.seek(bucket.start_ns), |(_, place)| place);
            let to = reader.seek_from(from, bucket.end_ns);
            bucket.bar = (from < to).then(|| {
                let complete = series.evicted_ns().is_none_or(|evicted_ns| evicted_ns < bucket.start_ns);
                let bar = BarBuilder::new(&mut reader, series, (from, to));
                bar.build((bucket.start_ns, bucket.end_ns), complete)
            });
            bucket.is_valid = true;
            next = Some((bucket.end_ns, to));
        }
    }
}

impl Series {
    /// Bars of buckets of time: bucket `i` is `[edges[i], edges[i + 1])`, with `edges` sorted, in ns since the Unix
    /// epoch. Buckets without ticks give no bar. Ticks after `until_ns` do not count, as on a paused chart;
    /// [`i64::MAX`] includes all. `out` is cleared first.
    ///
    /// The cost depends on the number of buckets, and on what has changed since the last call with the same cache. A
    /// bar whose first ticks are evicted is not [complete](Bar::complete).
    pub fn bars(&self, edges: &[i64], until_ns: i64, cache: &mut BarCache, out: &mut Vec<Bar>) {
        out.clear();
        cache.move_to(edges, until_ns, self);
        cache.fill(self);
        let ends = edges.iter().skip(1);
        // A bucket that ends early on a paused chart keeps its full width.
        let bars = cache.buckets.iter().zip(ends).filter_map(|(bucket, &end_ns)| Some(Bar { end_ns, ..bucket.bar? }));
        out.extend(bars);
    }

    /// Bars of `ticks` ticks each (at least 1) that have ticks within `span` or extend across it. Bars are counted from
    /// the first tick that was ever kept, so that a bar keeps its ticks while earlier ones are evicted; a late tick
    /// moves those after it by one. Ticks after `until_ns` do not count; [`i64::MAX`] includes all. Of more than
    /// `bars_max` bars, the latest are given. `out` is cleared first.
    ///
    /// The cost is linear in the number of bars and logarithmic in the length of history.
    pub fn tick_bars(&self, ticks: u32, span: TimeSpan, until_ns: i64, bars_max: usize, out: &mut Vec<Bar>) {
        out.clear();
        let (ticks, mut reader) = (u64::from(ticks.max(1)), Reader::new(self));
        let end = until_ns.checked_add(1).map_or(self.end(), |cut_ns| reader.seek(cut_ns));
        let (from, to) = (reader.seek(span.start).min(end), reader.seek(span.end).min(end));
        if to <= self.begin() {
            return;
        }
        let total = self.ordinal(end);
        // The bar of the last tick before the span may extend into it.
        let first = self.ordinal(from) - u64::from(from > self.begin());
        let bars_end = self.ordinal(to).div_ceil(ticks);
        let bars_begin = (first / ticks).max(bars_end.saturating_sub(bars_max as u64));
        let mut place = self.at_ordinal(bars_begin * ticks);
        for number in bars_begin..bars_end {
            let next_ordinal = (number + 1) * ticks;
            let next = if next_ordinal < total { self.at_ordinal(next_ordinal) } else { end };
            let start_ns = reader.time(place);
            let last_ns = reader.time(self.before(next));
            let end_ns = if next_ordinal < total { reader.time(next) } else { last_ns };
            if last_ns >= span.start || end_ns > span.start {
                let complete = number * ticks >= self.evicted;
                out.push(BarBuilder::new(&mut reader, self, (place, next)).build((start_ns, end_ns), complete));
            }
            place = next;
        }
    }

    /// Number of ticks within `span` that are not after `until_ns`, in logarithmic time.
    pub fn count(&self, span: TimeSpan, until_ns: i64) -> u64 {
        let end_ns = until_ns.checked_add(1).map_or(span.end, |cut_ns| span.end.min(cut_ns));
        let (from, to) = (self.seek(span.start), self.seek(end_ns));
        if self.is_empty() { 0 } else { self.ordinal(to).saturating_sub(self.ordinal(from)) }
    }

    /// Number of ticks that were ever kept before a place, evicted ones included.
    pub(super) fn ordinal(&self, place: Place) -> u64 {
        self.evicted + self.pyramid.count_before(&self.chunks, place) - self.head as u64
    }

    /// Place of the tick with that ordinal, or of the first one kept if it is evicted.
    pub(super) fn at_ordinal(&self, ordinal: u64) -> Place {
        self.pyramid.locate(&self.chunks, ordinal.saturating_sub(self.evicted) + self.head as u64)
    }
}
