//! Bars: open, high, low, close and volume of a bucket of time, or of so many ticks.
//!
//! A bar is read from the pyramid as any range is, so it is the same at any zoom and costs no more where it holds a
//! million ticks. Bars that are over are kept from frame to frame: a live frame takes anew only the open one, and those
//! that late ticks came to or that began to be evicted.

use std::mem;

use crate::model::TimeSpan;

use super::pyramid::Place;
use super::reader::Reader;
use super::{Seen, Series, cache};

/// What happened in one bucket of time, or over so many ticks; of at least one tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// First instant of its bucket, ns; of a bar of ticks, the time of its first tick.
    pub start_ns: i64,
    /// First instant after its bucket, ns; of a bar of ticks, the time of the first tick of the next bar, or of its own
    /// last tick where the next bar has not begun. Bars of ticks may end where they start: times may be equal.
    pub end_ns: i64,
    /// Price of the first tick.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Price of the last tick.
    pub close: f64,
    /// Sum of the sizes, as [`Series::range`] gives it; 0 where no tick came with one.
    pub volume: f64,
    /// Ticks; at least 1.
    pub count: u64,
    /// Whether every tick that was ever kept in it still is. `false` marks a bar whose beginning was evicted: it tells
    /// of the rest only.
    pub complete: bool,
}

/// A bucket as it was when its bar was taken.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    start_ns: i64,
    /// Ticks from here on are not shown: the bucket's end, or earlier on a paused chart.
    end_ns: i64,
    /// `None` without ticks.
    candle: Option<Bar>,
    /// Up to date.
    known: bool,
}

/// The bars of one series that were taken last. Each series needs its own.
#[derive(Debug, Default)]
pub struct BarCache {
    /// In order of time.
    buckets: Vec<Bucket>,
    /// Those of the frame before, while the new ones are put together; its memory is used again.
    before: Vec<Bucket>,
    seen: Option<Seen>,
}

impl BarCache {
    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        (self.buckets.capacity() + self.before.capacity()) * size_of::<Bucket>()
    }

    /// Makes the buckets those of `edges`, keeping what it has of them, and forgets those that have changed.
    fn move_to(&mut self, edges: &[i64], until_ns: i64, series: &Series) {
        mem::swap(&mut self.buckets, &mut self.before);
        self.buckets.clear();
        let mut kept = self.before.iter().peekable();
        for (start_ns, end_ns) in edges.iter().copied().zip(edges.iter().copied().skip(1)) {
            // Behind the last instant there is none to cut at.
            let end_ns = until_ns.checked_add(1).map_or(end_ns, |cut_ns| end_ns.min(cut_ns));
            while kept.next_if(|bucket| bucket.start_ns < start_ns).is_some() {}
            let same = kept.peek().filter(|bucket| (bucket.start_ns, bucket.end_ns) == (start_ns, end_ns));
            let unknown = Bucket { start_ns, end_ns, candle: None, known: false };
            self.buckets.push(same.map_or(unknown, |bucket| **bucket));
        }
        let seen = series.seen();
        match (self.seen, seen) {
            (Some(before), Some(now)) if before == now => {}
            (Some(before), Some(now)) => self.forget_changes(before, now, series),
            _ => self.forget(i64::MIN, i64::MAX),
        }
        self.seen = seen;
    }

    fn forget_changes(&mut self, before: Seen, now: Seen, series: &Series) {
        // A count that fell is another series: the caller's mistake, but no wrong picture.
        let late = now.reordered.checked_sub(before.reordered).and_then(|late| usize::try_from(late).ok());
        let Some(late) = late.filter(|late| *late <= cache::LATE_TIMES && now.evicted >= before.evicted) else {
            return self.forget(i64::MIN, i64::MAX);
        };
        series.late_times(late).for_each(|time_ns| self.forget(time_ns, time_ns));
        if now.evicted > before.evicted {
            // Before the earliest tick there was nothing to lose.
            self.forget(before.oldest_ns.min(now.oldest_ns), now.oldest_ns);
        }
        // Later ticks may have come with the newest time itself.
        self.forget(before.newest_ns, i64::MAX);
    }

    /// Forgets the buckets that hold an instant from `first_ns` to `last_ns`.
    fn forget(&mut self, first_ns: i64, last_ns: i64) {
        let from = self.buckets.partition_point(|bucket| bucket.end_ns <= first_ns);
        let to = self.buckets.partition_point(|bucket| bucket.start_ns <= last_ns);
        for bucket in self.buckets.get_mut(from..to).unwrap_or_default() {
            bucket.known = false;
        }
    }

    /// How many bars would be taken anew.
    #[cfg(test)]
    pub(super) fn unknown_after(&mut self, series: &Series, edges: &[i64], until_ns: i64) -> usize {
        self.move_to(edges, until_ns, series);
        self.buckets.iter().filter(|bucket| !bucket.known).count()
    }

    /// Takes from the series what is not known.
    fn fill(&mut self, series: &Series) {
        let mut reader = Reader::new(series);
        let mut next: Option<(i64, Place)> = None;
        for bucket in &mut self.buckets {
            if bucket.known {
                continue;
            }
            let begins_there = next.filter(|(time_ns, _)| *time_ns == bucket.start_ns);
            let from = begins_there.map_or_else(|| reader.seek(bucket.start_ns), |(_, place)| place);
            let to = reader.seek_from(from, bucket.end_ns);
            bucket.candle = (from < to).then(|| {
                let complete = series.evicted_ns().is_none_or(|evicted_ns| evicted_ns < bucket.start_ns);
                series.candle(&mut reader, (from, to), (bucket.start_ns, bucket.end_ns), complete)
            });
            bucket.known = true;
            next = Some((bucket.end_ns, to));
        }
    }
}

impl Series {
    /// The bars of buckets of time: bucket `i` is `[edges[i], edges[i + 1])`, and `edges` are sorted. A bucket without
    /// ticks gives none. Ticks later than `until_ns` are left out, as a paused chart wants it; [`i64::MAX`] shows all.
    /// `out` is cleared first.
    ///
    /// The cost depends on the number of buckets, and on what has changed since the last call with the same cache. A
    /// bar whose first ticks are evicted is marked as not [complete](Bar::complete).
    pub fn bars(&self, edges: &[i64], until_ns: i64, cache: &mut BarCache, out: &mut Vec<Bar>) {
        out.clear();
        cache.move_to(edges, until_ns, self);
        cache.fill(self);
        let ends = edges.iter().skip(1);
        let bars = cache.buckets.iter().zip(ends).filter_map(|(bucket, &end_ns)| {
            // A bucket that was cut short is still shown in its whole width.
            bucket.candle.map(|candle| Bar { end_ns, ..candle })
        });
        out.extend(bars);
    }

    /// The bars of `ticks` ticks each (at least 1) that have ticks within `span` or lie across it, counted from the
    /// first tick that was ever kept: a bar keeps its ticks while earlier ones are evicted. A tick that comes late
    /// moves those behind it by one place. Ticks later than `until_ns` are left out; [`i64::MAX`] shows all. Of more
    /// than `bars_max` bars, the latest are given. `out` is cleared first.
    ///
    /// The cost depends on the number of bars given, and on the history only by its logarithm.
    pub fn tick_bars(&self, ticks: u32, span: TimeSpan, until_ns: i64, bars_max: usize, out: &mut Vec<Bar>) {
        out.clear();
        let (ticks, mut reader) = (u64::from(ticks.max(1)), Reader::new(self));
        let end = until_ns.checked_add(1).map_or(self.end(), |cut_ns| reader.seek(cut_ns));
        let (from, to) = (reader.seek(span.start).min(end), reader.seek(span.end).min(end));
        if to <= self.begin() {
            return;
        }
        let (all, behind) = (self.ordinal(end), self.ordinal(to));
        // The bar of the tick before the span may reach into it.
        let first = self.ordinal(from) - u64::from(from > self.begin());
        let bars = behind.div_ceil(ticks);
        let oldest = (first / ticks).max(bars.saturating_sub(bars_max as u64));
        let mut place = self.at_ordinal(oldest * ticks);
        for number in oldest..bars {
            let behind = (number + 1) * ticks;
            let next = if behind < all { self.at_ordinal(behind) } else { end };
            let start_ns = reader.time(place);
            let last_ns = reader.time(self.before(next));
            let end_ns = if behind < all { reader.time(next) } else { last_ns };
            if last_ns >= span.start || end_ns > span.start {
                let complete = number * ticks >= self.evicted;
                out.push(self.candle(&mut reader, (place, next), (start_ns, end_ns), complete));
            }
            place = next;
        }
    }

    /// How many ticks lie within a span, without those later than `until_ns`; in logarithmic time.
    pub fn count(&self, span: TimeSpan, until_ns: i64) -> u64 {
        let end_ns = until_ns.checked_add(1).map_or(span.end, |cut_ns| span.end.min(cut_ns));
        let (from, to) = (self.seek(span.start), self.seek(end_ns));
        if self.is_empty() { 0 } else { self.ordinal(to).saturating_sub(self.ordinal(from)) }
    }

    /// The bar of a range that is not empty.
    fn candle(&self, reader: &mut Reader<'_>, range: (Place, Place), times: (i64, i64), complete: bool) -> Bar {
        let ((from, to), (start_ns, end_ns)) = (range, times);
        let (bounds, totals) = (reader.bounds(from, to), self.totals(from, to));
        Bar {
            start_ns,
            end_ns,
            open: reader.sample(from).price,
            high: bounds.max.price,
            low: bounds.min.price,
            close: reader.sample(self.before(to)).price,
            volume: totals.volume.total(),
            count: totals.count,
            complete,
        }
    }

    /// How many ticks were kept before the one at a place, evicted ones included.
    pub(super) fn ordinal(&self, place: Place) -> u64 {
        self.evicted + self.pyramid.count_before(&self.chunks, place) - self.head as u64
    }

    /// Place of the tick that has so many before it, evicted ones included; the first one kept if that is evicted.
    pub(super) fn at_ordinal(&self, ordinal: u64) -> Place {
        self.pyramid.locate(&self.chunks, ordinal.saturating_sub(self.evicted) + self.head as u64)
    }
}
