//! The past tick by tick, for whoever wants all of it and not what a line needs.

use crate::model::TimeSpan;

use crate::series::SeriesTick;
use crate::series::merged::MergedSeries;

impl<'a> MergedSeries<'a> {
    /// From when on memory's own ticks count; `None` where memory is all there is.
    pub fn complete_from_ns(&self) -> Option<i64> {
        self.past.map(|known| known.complete_from_ns)
    }

    /// The ticks of a span that were read back, up to where memory's own begin, without the first `skip` of them. The
    /// first ones are stepped over by whole chunks where they are of one instant.
    pub fn loaded_ticks(&self, span: TimeSpan, skip: usize) -> impl Iterator<Item = SeriesTick> + use<'a> {
        let end_ns = self.past.map_or(span.start, |known| known.complete_from_ns.min(span.end)).max(span.start);
        let span = TimeSpan { start: span.start, end: end_ns };
        let pages = self.past.into_iter().flat_map(|known| known.lane.pages.iter());
        let pages = pages.skip_while(move |(page, _)| page.span().end <= span.start);
        let pages = pages.take_while(move |(page, _)| page.span().start < span.end);
        // An instant is never in two pages.
        let series = pages.filter_map(|(page, lane)| page.series(*lane)).enumerate();
        series.flat_map(move |(number, series)| series.iter_range_from(span, if number == 0 { skip } else { 0 }))
    }
}
