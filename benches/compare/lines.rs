//! Downsampling of the lines of a series map, as for drawing.

use tickscope::model::TimeSpan;
use tickscope::series::{ColumnCache, MergedSeries, Sample, SeriesMap};

/// Lines of all symbols, and the state kept between frames.
#[derive(Default)]
pub(crate) struct Lines {
    /// Runs between missing ranges, by symbol.
    pub(crate) runs: Vec<Vec<Vec<Sample>>>,
    /// Columns of the last frame, by symbol.
    caches: Vec<ColumnCache>,
}

impl Lines {
    /// Downsamples every symbol's line over `span`, `columns` pixels wide, as the consumer does for a frame. Returns
    /// the aligned span that it used.
    pub(crate) fn downsample(&mut self, series: &SeriesMap, span: TimeSpan, columns: u32) -> TimeSpan {
        let (span, breaks) = (span.aligned(columns), series.line_breaks());
        self.runs.resize_with(series.symbol_count(), Vec::new);
        self.caches.resize_with(series.symbol_count(), ColumnCache::default);
        for (((_, _, series), runs), cache) in series.iter().zip(&mut self.runs).zip(&mut self.caches) {
            MergedSeries::live(series).downsample_cached(span, columns, &breaks, cache, runs);
        }
        span
    }

    /// Total number of points.
    pub(crate) fn points(&self) -> usize {
        self.runs.iter().flatten().map(Vec::len).sum()
    }
}
