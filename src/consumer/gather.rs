//! What a frame takes from the book, in one go and at a cost that depends on the frame's width.

use crate::consumer::controls::Controls;
use crate::consumer::shared::Shared;
use crate::model::Timestamp;
use crate::plot::Frame;
use crate::series::{Book, ColumnCache, Counters, Sample, Series};
use crate::view::{TimeSpan, Transform, ValueSpan, Viewport};

/// One symbol as the frame shows it.
pub(super) struct Shown {
    /// Safe to show.
    pub(super) symbol: String,
    /// Its place in the book, which is its colour.
    pub(super) slot: usize,
    pub(super) visible: bool,
    /// Newest tick.
    pub(super) last: Option<Sample>,
    /// Newest tick at the right edge of the view.
    pub(super) at_edge: Option<Sample>,
    /// Newest tick at the mouse, unless it is over a gap.
    pub(super) at_cursor: Option<Sample>,
    /// Price at the left edge of the view, against which changes are measured.
    pub(super) base: Option<f64>,
    /// Lowest and highest price in view.
    pub(super) range: Option<(f64, f64)>,
    /// The line, cut at gaps.
    pub(super) runs: Vec<Vec<Sample>>,
}

impl Shown {
    /// Change of `price` against the left edge, percent; `None` where that has no meaning.
    pub(super) fn percent(&self, price: f64) -> Option<f64> {
        let base = self.base.filter(|base| *base != 0.0)?;
        Some((price - base) / base.abs() * 100.0).filter(|percent| percent.is_finite())
    }
}

/// Everything a frame takes from the book.
pub(super) struct Gathered {
    pub(super) shown: Vec<Shown>,
    pub(super) span: TimeSpan,
    /// `None` before the first tick.
    pub(super) edge_ns: Option<i64>,
    /// Of all ticks.
    pub(super) newest_ns: Option<i64>,
    pub(super) oldest_ns: Option<i64>,
    /// Start, end and loss of each gap; an open one ends at the live edge.
    pub(super) gaps: Vec<(i64, i64, u64)>,
    pub(super) counters: Counters,
}

impl Gathered {
    /// The symbols that are switched on.
    pub(super) fn visible(&self) -> impl Iterator<Item = &Shown> {
        self.shown.iter().filter(|shown| shown.visible)
    }

    /// On a percent axis, a symbol whose price at the left edge is zero cannot be drawn.
    pub(super) fn drop_without_base(&mut self) {
        for shown in &mut self.shown {
            if shown.base == Some(0.0) {
                (shown.range, shown.at_cursor) = (None, None);
                shown.runs.clear();
            }
        }
    }
}

/// Reads the book. `caches` hold what the last frame took, by the symbols' places.
pub(super) fn gather(
    book: &Book,
    caches: &mut Vec<ColumnCache>,
    controls: &mut Controls,
    frame: &Frame,
    now: Timestamp,
) -> Gathered {
    let edge_ns = Shared::live_edge_ns(book, now);
    let oldest_ns = book.iter().filter_map(|(_, _, series)| series.oldest_ns()).min();
    let columns = frame.plot.width().unsigned_abs().max(1);
    let span = controls.advance(edge_ns.unwrap_or(now.as_nanos()), oldest_ns.unwrap_or(now.as_nanos()));
    let span = span.aligned(columns);
    let until = controls.until();
    let until_ns = until.tick_ns;
    let gaps: Vec<_> = book
        .gaps()
        .filter(|gap| gap.start_ns < until.edge_ns)
        .map(|gap| (gap.start_ns, gap.end_ns.or(edge_ns).unwrap_or(gap.start_ns).min(until.edge_ns), gap.lost))
        .collect();
    let cuts = cuts_until(book, until_ns);
    let viewport = Viewport { time: span, value: ValueSpan::EMPTY };
    let transform = Transform { viewport, rect: frame.plot };
    let over_plot = controls.mouse.filter(|(x, y)| frame.plot.contains(*x, *y));
    let cursor_ns = over_plot.map(|(x, _)| transform.time_at(x));
    let cursor_ns = cursor_ns.filter(|t| !gaps.iter().any(|(start, end, _)| start < t && t < end));
    caches.resize_with(book.symbols_len(), ColumnCache::default);
    let shown = book.iter().zip(caches).map(|((id, symbol, series), cache)| {
        let visible = !controls.hidden.contains(&id.index());
        let mut shown = Shown {
            symbol: symbol.to_string(),
            slot: id.index(),
            visible,
            last: series.last().map(|tick| tick.sample()),
            at_edge: series.at_or_before(span.end.min(until_ns)).map(|tick| tick.sample()),
            at_cursor: cursor_ns.and_then(|t| series.at_or_before(t.min(until_ns))).map(|tick| tick.sample()),
            base: base_price(series, span, until_ns),
            range: None,
            runs: Vec::new(),
        };
        if visible {
            series.extract_cached(span, columns, &cuts, cache, &mut shown.runs);
            shown.runs.retain(|run| run.first().is_some_and(|sample| sample.time_ns <= until_ns));
            // The lowest and highest tick of every column are among the samples.
            let inside = shown.runs.iter().flatten().filter(|sample| span.contains(sample.time_ns));
            shown.range = inside.fold(None, |range, sample| Some(widened(range, sample.price)));
            for run in &shown.runs {
                shown.range = with_crossings(shown.range, run, span);
            }
        } else {
            *cache = ColumnCache::default();
        }
        shown
    });
    let (newest_ns, counters) = (book.newest_ns(), book.counters());
    Gathered { shown: shown.collect(), span, edge_ns, newest_ns, oldest_ns, gaps, counters }
}

/// The price at the left edge: of the last tick before it, or else of the first one after.
fn base_price(series: &Series, span: TimeSpan, until_ns: i64) -> Option<f64> {
    let base = series.at_or_before(span.start).or_else(|| series.at_or_after(span.start));
    base.filter(|tick| tick.time_ns <= until_ns).map(|tick| tick.price)
}

/// Where lines break; one that would lead on behind `until_ns` does there.
fn cuts_until(book: &Book, until_ns: i64) -> Vec<i64> {
    let mut cuts = book.cuts();
    if let Some(cut) = until_ns.checked_add(1)
        && let Err(at) = cuts.binary_search(&cut)
    {
        cuts.insert(at, cut);
    }
    cuts
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
    use super::*;

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
