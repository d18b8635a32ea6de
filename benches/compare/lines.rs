//! Extraction: what of a book is handed to the drawing.

use tickscope::model::TimeSpan;
use tickscope::series::{ColumnCache, MergedSeries, Sample, SeriesMap};

/// The lines of all symbols, and whatever is worth keeping between two frames.
#[derive(Default)]
pub(crate) struct Lines {
    /// By symbol; of each the runs between gaps.
    pub(crate) runs: Vec<Vec<Vec<Sample>>>,
    /// By symbol: the columns of the last extraction.
    caches: Vec<ColumnCache>,
}

impl Lines {
    /// Takes every symbol's line over `span`, `columns` pixels wide, as the consumer does for a frame: over the aligned
    /// span, which it returns.
    pub(crate) fn downsample(&mut self, book: &SeriesMap, span: TimeSpan, columns: u32) -> TimeSpan {
        let (span, breaks) = (span.aligned(columns), book.line_breaks());
        self.runs.resize_with(book.symbol_count(), Vec::new);
        self.caches.resize_with(book.symbol_count(), ColumnCache::default);
        for (((_, _, series), runs), cache) in book.iter().zip(&mut self.runs).zip(&mut self.caches) {
            MergedSeries::live(series).downsample_cached(span, columns, &breaks, cache, runs);
        }
        span
    }

    /// Points in all.
    pub(crate) fn points(&self) -> usize {
        self.runs.iter().flatten().map(Vec::len).sum()
    }
}
