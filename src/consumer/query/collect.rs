//! What is taken of every symbol.

use jiff::tz::TimeZone;

use crate::chart::BarInterval;
use crate::consumer::bars;
use crate::consumer::interaction::Interaction;
use crate::model::TimeSpan;
use crate::series::{BarCache, ColumnCache, LoadedHistory, MergedSeries, Sample, Series};

use crate::consumer::query::SymbolFrame;

/// What is taken of every symbol.
pub(super) struct Take<'a> {
    pub(super) span: TimeSpan,
    pub(super) columns: u32,
    pub(super) until_ns: i64,
    pub(super) cuts: Vec<i64>,
    /// Bars instead of lines.
    pub(super) has_bars: bool,
    /// How long the bars are to be; `None` for what suits the view.
    pub(super) asked: Option<BarInterval>,
    pub(super) session_open_ns: Option<i64>,
    pub(super) zone: &'a TimeZone,
}

impl Take<'_> {
    pub(super) fn figures(&self, tape: MergedSeries<'_>, slot: usize, controls: &Interaction) -> SymbolFrame {
        let at_edge = tape.at_or_before(self.span.end.min(self.until_ns));
        SymbolFrame {
            symbol: controls.symbols[slot].clone(),
            slot,
            visible: controls.sight.shows(slot),
            drawn: false,
            last: tape.last().map(|tick| tick.sample()),
            at_edge: at_edge.map(|tick| tick.sample()),
            base: self.base_price(tape),
            range: None,
            runs: Vec::new(),
            candles: Vec::new(),
            outliers: Vec::new(),
        }
    }

    /// The price at the left edge: of the last tick before it, or else of the first one after. Or else the first price
    /// of the session.
    fn base_price(&self, tape: MergedSeries<'_>) -> Option<f64> {
        let base = match self.session_open_ns {
            Some(open_ns) => {
                // A session that has not begun within the view has no open: what was last traded stands for it.
                let end_ns = self.span.end.min(self.until_ns.saturating_add(1));
                let open = tape.first_known_from(open_ns).filter(|tick| tick.time_ns < end_ns);
                open.or_else(|| tape.at_or_before(open_ns))
            }
            None => tape.at_or_before(self.span.start).or_else(|| tape.first_known_from(self.span.start)),
        };
        base.filter(|tick| tick.time_ns <= self.until_ns).map(|tick| tick.price)
    }

    /// Ticks in view that were set apart, of memory and of the past: of each pixel column the first, lowest, highest
    /// and last of either.
    pub(super) fn outliers(&self, live: Option<&Series>, past: Option<&LoadedHistory>, slot: usize) -> Vec<Sample> {
        let mut outliers = Vec::new();
        if let Some(live) = live {
            live.downsample(self.span, self.columns, &mut outliers);
        }
        // Where memory has any it has all: those of the past end where these begin.
        let past_span = TimeSpan {
            end: live.and_then(Series::oldest_ns).map_or(self.span.end, |oldest_ns| oldest_ns.min(self.span.end)),
            ..self.span
        };
        let read: Vec<Sample> = past
            .filter(|_| past_span.start < past_span.end)
            .map(|past| past.outliers(slot, past_span).map(|tick| tick.sample()).collect())
            .unwrap_or_default();
        let columns = read.chunk_by(|one, other| {
            self.span.column(one.time_ns, self.columns) == self.span.column(other.time_ns, self.columns)
        });
        outliers.extend(columns.flat_map(extremes));
        outliers.retain(|sample| self.span.contains(sample.time_ns) && sample.time_ns <= self.until_ns);
        outliers
    }

    /// Fills in what is drawn; returns how long the bars are, if there are any.
    pub(super) fn line_or_bars(
        &self,
        tape: MergedSeries<'_>,
        columns: &mut ColumnCache,
        cache: &mut BarCache,
        shown: &mut SymbolFrame,
    ) -> Option<BarInterval> {
        if self.has_bars {
            let (interval, candles) =
                bars::candles(tape, self.asked, self.span, self.columns, self.zone, self.until_ns, cache);
            let ends = candles.iter().flat_map(|candle| [candle.low, candle.high]);
            shown.range = ends.fold(None, |range, price| Some(widened(range, price)));
            shown.candles = candles;
            return Some(interval);
        }
        tape.downsample_cached(self.span, self.columns, &self.cuts, columns, &mut shown.runs);
        shown.runs.retain(|run| run.first().is_some_and(|sample| sample.time_ns <= self.until_ns));
        // The lowest and highest tick of every column are among the samples.
        let inside = shown.runs.iter().flatten().filter(|sample| self.span.contains(sample.time_ns));
        shown.range = inside.fold(None, |range, sample| Some(widened(range, sample.price)));
        for run in &shown.runs {
            shown.range = with_crossings(shown.range, run, self.span);
        }
        None
    }
}

/// Its first, lowest, highest and last sample; as they are where there are no more than four.
fn extremes(column: &[Sample]) -> impl Iterator<Item = Sample> {
    let by_price = |one: &&Sample, other: &&Sample| one.price.total_cmp(&other.price);
    let (few, many) = if column.len() <= 4 { (column, &column[..0]) } else { (&column[..0], column) };
    let four = [many.first(), many.iter().min_by(by_price), many.iter().max_by(by_price), many.last()];
    few.iter().chain(four.into_iter().flatten()).copied()
}

/// The range widened by where the line crosses the edges of the view: its ends lie outside, and between two ticks that
/// both lie outside there is a line all the same.
fn with_crossings(range: Option<(f64, f64)>, run: &[Sample], span: TimeSpan) -> Option<(f64, f64)> {
    let pairs = [run.first().zip(run.get(1)), run.iter().rev().nth(1).zip(run.last())];
    let crossings = pairs.into_iter().flatten().flat_map(|(from, to)| {
        [span.start, span.end].into_iter().filter_map(move |edge_ns| {
            if from.time_ns >= edge_ns || to.time_ns <= edge_ns {
                return None;
            }
            let share = (edge_ns - from.time_ns) as f64 / (to.time_ns - from.time_ns) as f64;
            Some(from.price * (1.0 - share) + to.price * share)
        })
    });
    crossings.fold(range, |range, price| Some(widened(range, price)))
}

fn widened(range: Option<(f64, f64)>, price: f64) -> (f64, f64) {
    let (lo, hi) = range.unwrap_or((price, price));
    (lo.min(price), hi.max(price))
}

#[cfg(test)]
mod tests {
    use crate::consumer::query::collect::*;

    fn crossings(samples: &[(i64, f64)]) -> Option<(f64, f64)> {
        let run: Vec<Sample> = samples.iter().map(|&(time_ns, price)| Sample { time_ns, price }).collect();
        with_crossings(None, &run, TimeSpan { start: 100, end: 200 })
    }

    #[test]
    fn a_line_that_only_passes_through_counts_where_it_passes() {
        assert_eq!(crossings(&[(0, 0.0), (400, 40.0)]), Some((10.0, 20.0)));
        assert_eq!(crossings(&[(50, 0.0), (150, 10.0)]), Some((5.0, 5.0)));
        assert_eq!(crossings(&[(150, 1.0), (250, 3.0)]), Some((2.0, 2.0)));
        assert_eq!(crossings(&[(50, 0.0), (150, 10.0), (250, 0.0)]), Some((5.0, 5.0)));
        assert_eq!(crossings(&[(120, 1.0), (150, 2.0)]), None);
        assert_eq!(crossings(&[(120, 1.0)]), None);
        assert_eq!(crossings(&[(100, 1.0), (200, 2.0)]), None, "ticks on the edges count as ticks");
    }
}
