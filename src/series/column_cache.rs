//! Pixel columns of a symbol, kept from frame to frame.
//!
//! A live chart mostly shows what it showed in the previous frame, shifted by a few columns. Columns are numbered from
//! the Unix epoch in whole widths, so that a view that moves by whole columns finds those it already has. Only columns
//! whose ticks changed are read from the series again, so the cost of a frame does not depend on the length of history.

use std::collections::VecDeque;

use crate::model::TimeSpan;

use super::change_tracking::{LoadedState, SeriesState};
use super::{Sample, Series};

/// Maximum number of samples in a column: first, lowest, highest, last.
const SAMPLES_MAX: usize = 4;

/// Samples of one pixel column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    samples: [Sample; SAMPLES_MAX],
    len: u8,
    /// Set if the samples are up to date.
    pub(super) is_valid: bool,
}

impl Column {
    pub(super) const INVALID: Self =
        Self { samples: [Sample { time_ns: 0, price: 0.0 }; SAMPLES_MAX], len: 0, is_valid: false };

    /// A column without samples that is up to date.
    pub(super) const EMPTY: Self = Self { is_valid: true, ..Self::INVALID };

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

/// Columns of one series as of the last frame. Each series needs its own cache.
#[derive(Debug, Default)]
pub struct ColumnCache {
    /// Width of a column, ns.
    pub(super) width_ns: i64,
    /// Number of the first column: its start divided by the width.
    pub(super) first: i64,
    pub(super) columns: VecDeque<Column>,
    state: Option<SeriesState>,
}

impl ColumnCache {
    /// Bytes of heap memory.
    pub fn bytes(&self) -> usize {
        self.columns.capacity() * size_of::<Column>()
    }

    /// Moves the cache to the columns of `span`, which must be aligned. Keeps the columns that are in both, and
    /// invalidates those whose ticks have changed.
    pub(super) fn move_to(&mut self, span: TimeSpan, columns: u32, series: &Series, loaded: Option<LoadedState>) {
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
            (0..distance).for_each(|_| self.columns.push_front(Column::INVALID));
        }
        self.columns.resize(count, Column::INVALID);
        (self.width_ns, self.first) = (width_ns, first);
        let mut state = self.state;
        series.track_changes(&mut state, loaded, |first_ns, last_ns| self.invalidate(first_ns, last_ns));
        self.state = state;
    }

    /// Invalidates the columns that hold an instant from `first_ns` to `last_ns`.
    fn invalidate(&mut self, first_ns: i64, last_ns: i64) {
        let index = |time_ns: i64| time_ns.div_euclid(self.width_ns).saturating_sub(self.first);
        let count = self.columns.len() as i64;
        let range = index(first_ns).clamp(0, count)..index(last_ns).saturating_add(1).clamp(0, count);
        if !range.is_empty() {
            let columns = self.columns.range_mut(range.start as usize..range.end as usize);
            columns.for_each(|column| column.is_valid = false);
        }
    }

    /// Number of columns that the next frame would read from the series.
    #[cfg(test)]
    pub(super) fn invalid_after(&mut self, series: &Series, span: TimeSpan, columns: u32) -> usize {
        self.move_to(span, columns, series, None);
        self.columns.iter().filter(|column| !column.is_valid).count()
    }
}

/// Collects samples in order of time and starts a new run at each break.
pub(super) struct Runs<'a> {
    pub(super) out: &'a mut Vec<Vec<Sample>>,
    /// Sorted instants at which a run ends, without those before the next sample.
    pub(super) breaks: &'a [i64],
    /// Capacity of a new run.
    pub(super) capacity: usize,
}

impl Extend<Sample> for Runs<'_> {
    fn extend<T: IntoIterator<Item = Sample>>(&mut self, samples: T) {
        for sample in samples {
            let passed = self.breaks.iter().take_while(|&&at_ns| at_ns <= sample.time_ns).count();
            self.breaks = &self.breaks[passed..];
            if passed > 0 || self.out.is_empty() {
                self.out.push(Vec::with_capacity(self.capacity));
            }
            if let Some(run) = self.out.last_mut() {
                run.push(sample);
            }
        }
    }
}
