//! A symbol's pixel columns, kept from frame to frame.
//!
//! A live chart mostly shows what it showed a moment ago, a few columns further on. Columns are counted from the Unix
//! epoch in whole widths, so that a view that moves by whole columns finds the ones that it has had; only columns that
//! ticks came to, or left, are taken from the series again. So a frame costs the same at any length of history.

use std::collections::VecDeque;

use crate::model::TimeSpan;

use super::pyramid::Place;
use super::reader::Reader;
use super::{Sample, Series};

/// Most ticks that a column hands on: first, lowest, highest, last.
const SAMPLES_MAX: usize = 4;

/// Times of the latest late ticks that a series remembers: after more of them between two frames, all columns are
/// taken anew.
pub(super) const LATE_TIMES: usize = 64;

/// What one column of pixels needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    samples: [Sample; SAMPLES_MAX],
    len: u8,
    /// Up to date.
    pub(super) known: bool,
}

impl Column {
    pub(super) const UNKNOWN: Self =
        Self { samples: [Sample { time_ns: 0, price: 0.0 }; SAMPLES_MAX], len: 0, known: false };

    pub(super) fn samples(&self) -> &[Sample] {
        &self.samples[..usize::from(self.len).min(SAMPLES_MAX)]
    }
}

impl Extend<Sample> for Column {
    fn extend<T: IntoIterator<Item = Sample>>(&mut self, samples: T) {
        for sample in samples {
            if let Some(place) = self.samples.get_mut(usize::from(self.len)) {
                *place = sample;
                self.len += 1;
            }
        }
    }
}

/// What the series was like when the columns were taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    pub(super) received: u64,
    pub(super) evicted: u64,
    pub(super) reordered: u64,
    pub(super) oldest_ns: i64,
    pub(super) newest_ns: i64,
}

/// The columns of one series that were drawn last. Each series needs its own.
#[derive(Debug, Default)]
pub struct ColumnCache {
    /// Width of a column, ns.
    pub(super) width_ns: i64,
    /// Number of the first column: how many widths after the Unix epoch it starts.
    pub(super) first: i64,
    pub(super) columns: VecDeque<Column>,
    seen: Option<Seen>,
    /// Which past they were taken from, besides the series; 0 for none.
    past: u64,
}

/// A past that goes before a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Before {
    /// Grows with every change.
    pub(super) revision: u64,
    /// It has whatever the series gives up.
    pub(super) is_whole: bool,
}

impl ColumnCache {
    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.columns.capacity() * size_of::<Column>()
    }

    /// Makes the columns those of `span`, keeping what is in both, and forgets those that have changed.
    pub(super) fn move_to(&mut self, span: TimeSpan, columns: u32, series: &Series, past: Option<Before>) {
        let (width_ns, count) = (span.len_ns() / i64::from(columns), columns as usize);
        let first = span.start.div_euclid(width_ns);
        let shift = first.saturating_sub(self.first);
        let distance = usize::try_from(shift.unsigned_abs()).unwrap_or(usize::MAX);
        if width_ns != self.width_ns || self.columns.len() != count || distance >= count {
            self.columns.clear();
        } else if shift > 0 {
            self.columns.drain(..distance);
        } else {
            self.columns.truncate(count - distance);
            (0..distance).for_each(|_| self.columns.push_front(Column::UNKNOWN));
        }
        self.columns.resize(count, Column::UNKNOWN);
        (self.width_ns, self.first) = (width_ns, first);
        let seen = series.seen();
        match (self.seen, seen) {
            (Some(before), Some(now)) if before == now => {}
            (Some(before), Some(now)) => {
                let keeps = past.is_some_and(|past| past.is_whole);
                self.forget_changes(
                    before,
                    Seen { evicted: if keeps { before.evicted } else { now.evicted }, ..now },
                    series,
                );
            }
            _ => self.forget(0, i64::MAX),
        }
        let revision = past.map_or(0, |past| past.revision);
        if revision != self.past {
            self.forget(0, i64::MAX);
        }
        (self.seen, self.past) = (seen, revision);
    }

    fn forget_changes(&mut self, before: Seen, now: Seen, series: &Series) {
        let late = usize::try_from(now.reordered - before.reordered).unwrap_or(usize::MAX);
        if late > LATE_TIMES {
            return self.forget(0, i64::MAX);
        }
        for time_ns in series.late_times(late) {
            let column = self.column(time_ns);
            self.forget(column, column);
        }
        if now.evicted > before.evicted {
            self.forget(0, self.column(now.oldest_ns));
        }
        // Later ticks may have come with the newest time itself.
        self.forget(self.column(before.newest_ns), i64::MAX);
    }

    /// Which of the columns an instant lies in; negative before the first.
    fn column(&self, time_ns: i64) -> i64 {
        time_ns.div_euclid(self.width_ns).saturating_sub(self.first)
    }

    /// Forgets the columns from `first` to `last`.
    fn forget(&mut self, first: i64, last: i64) {
        let count = self.columns.len() as i64;
        let range = first.clamp(0, count) as usize..last.saturating_add(1).clamp(0, count) as usize;
        if range.start < range.end {
            self.columns.range_mut(range).for_each(|column| column.known = false);
        }
    }

    /// How many columns would be taken anew.
    #[cfg(test)]
    pub(super) fn unknown_after(&mut self, series: &Series, span: TimeSpan, columns: u32) -> usize {
        self.move_to(span, columns, series, None);
        self.columns.iter().filter(|column| !column.known).count()
    }

    /// Takes from the series what is not known.
    fn fill(&mut self, reader: &mut Reader<'_>) {
        let mut next: Option<Place> = None;
        let (first, width_ns) = (self.first, self.width_ns);
        for (column, number) in self.columns.iter_mut().zip(first..) {
            if column.known {
                next = None;
                continue;
            }
            let from = next.unwrap_or_else(|| reader.seek(number * width_ns));
            let to = reader.seek_from(from, (number + 1).saturating_mul(width_ns));
            *column = Column { known: true, ..Column::UNKNOWN };
            if from < to {
                reader.downsample(from, to, column);
            }
            next = Some(to);
        }
    }
}

/// Samples in order, cut into runs.
pub(super) struct Runs<'a> {
    pub(super) out: &'a mut Vec<Vec<Sample>>,
    /// Sorted; those before the next sample's time are done with.
    pub(super) breaks: &'a [i64],
    /// Room for a run.
    pub(super) capacity: usize,
}

impl Extend<Sample> for Runs<'_> {
    fn extend<T: IntoIterator<Item = Sample>>(&mut self, samples: T) {
        for sample in samples {
            let done = self.breaks.iter().take_while(|&&cut| cut <= sample.time_ns).count();
            self.breaks = &self.breaks[done..];
            if done > 0 || self.out.is_empty() {
                self.out.push(Vec::with_capacity(self.capacity));
            }
            if let Some(run) = self.out.last_mut() {
                run.push(sample);
            }
        }
    }
}

impl Series {
    /// As [`Series::downsample_runs`], sample for sample, at a cost that depends on what has changed since the last call
    /// with the same cache. The span must be [aligned](TimeSpan::aligned); one that is not is extracted the long way.
    pub fn downsample_cached(
        &self,
        span: TimeSpan,
        columns: u32,
        breaks: &[i64],
        cache: &mut ColumnCache,
        out: &mut Vec<Vec<Sample>>,
    ) {
        if !span.is_aligned(columns) {
            return self.downsample_runs(span, columns, breaks, out);
        }
        out.clear();
        cache.move_to(span, columns, self, None);
        let mut reader = Reader::new(self);
        cache.fill(&mut reader);
        let (from, to) = (reader.seek(span.start), reader.seek(span.end));
        let mut runs = Runs { out, breaks, capacity: 2 * columns as usize };
        if from > self.begin() {
            let before = reader.sample(self.before(from));
            runs.breaks = &breaks[breaks.partition_point(|&cut| cut <= before.time_ns)..];
            runs.extend([before]);
        }
        for (column, start_ns) in cache.columns.iter().zip((span.start..).step_by(cache.width_ns as usize)) {
            let end_ns = start_ns.saturating_add(cache.width_ns);
            // A cut within the column, behind its first instant, parts its ticks.
            let inner = breaks.partition_point(|&cut| cut <= start_ns)..breaks.partition_point(|&cut| cut < end_ns);
            if inner.is_empty() {
                runs.extend(column.samples().iter().copied());
                continue;
            }
            let mut from = reader.seek(start_ns);
            for &cut in breaks[inner].iter().chain([&end_ns]) {
                let to = reader.seek_from(from, cut);
                if from < to {
                    reader.downsample(from, to, &mut runs);
                }
                from = to;
            }
        }
        if to < self.end() {
            runs.extend([reader.sample(to)]);
        }
        out.retain(|run| !matches!(run[..], [only] if !span.contains(only.time_ns)));
    }
}
