//! Extraction: what of a book is handed to the drawing.

use tickscope::series::{Book, Sample};
use tickscope::view::TimeSpan;

/// The lines of all symbols, and whatever is worth keeping between two frames.
#[derive(Default)]
pub(crate) struct Lines {
    /// By symbol; of each the runs between gaps.
    pub(crate) runs: Vec<Vec<Vec<Sample>>>,
}

impl Lines {
    /// Takes every symbol's line over `span`, `columns` pixels wide, as the consumer does for a frame.
    pub(crate) fn extract(&mut self, book: &Book, span: TimeSpan, columns: u32) {
        let cuts = book.cuts();
        self.runs.resize_with(book.symbols_len(), Vec::new);
        for ((_, _, series), runs) in book.iter().zip(&mut self.runs) {
            series.extract_runs(span, columns, &cuts, runs);
        }
    }

    /// Points in all.
    pub(crate) fn points(&self) -> usize {
        self.runs.iter().flatten().map(Vec::len).sum()
    }
}
