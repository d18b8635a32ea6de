//! The data of one symbol in a frame.

use jiff::tz::TimeZone;

use crate::chart::interaction::Interaction;
use crate::chart::{AxisKind, Bar, BarInterval, Point};
use crate::model::TimeSpan;
use crate::series::{self, BarCache, ColumnCache, LoadedHistory, MergedSeries, Sample, Series};

/// The data of one symbol in a frame.
#[derive(Debug)]
pub struct SymbolFrame {
    /// Name, safe to display.
    pub symbol: String,
    /// Index in the series map. It also selects the colour.
    pub index: usize,
    /// The symbol is switched on.
    pub visible: bool,
    /// Newest tick.
    pub last: Option<Sample>,
    /// Newest tick before the right edge of the view.
    pub at_edge: Option<Sample>,
    /// Last tick before the crosshair.
    pub at_crosshair: Option<Sample>,
    /// Price that changes are relative to: that at the left edge of the view, or at the open of the session.
    pub base: Option<f64>,
    /// Lowest and highest visible price.
    pub range: Option<(f64, f64)>,
    /// Vertices of the line: its unbroken runs, each in order of time.
    pub runs: Vec<Vec<Sample>>,
    /// Bars, if bars are drawn.
    pub bars: Vec<series::Bar>,
    /// Visible outliers: of each pixel column the first, lowest, highest and last.
    pub outliers: Vec<Sample>,
}

impl SymbolFrame {
    /// Change of `price` from the base, in percent. `None` if there is no base, or it is 0.
    pub fn percent(&self, price: f64) -> Option<f64> {
        let base = self.base.filter(|base| *base != 0.0)?;
        Some((price - base) / base.abs() * 100.0).filter(|percent| percent.is_finite())
    }

    /// Position of `price` on a value axis; `None` if it has none there.
    pub fn axis_value(&self, axis: AxisKind, price: f64) -> Option<f64> {
        match axis {
            AxisKind::Price => Some(price),
            AxisKind::Percent => self.percent(price),
            AxisKind::Log => (price > 0.0).then(|| price.log10()),
        }
    }

    /// Vertices of the line that have a position on the axis.
    pub(crate) fn points(&self, axis: AxisKind) -> impl Iterator<Item = Point> {
        self.runs.iter().flatten().filter_map(move |sample| self.point(axis, sample))
    }

    /// Position of a sample; `None` if it has none on the axis.
    pub(crate) fn point(&self, axis: AxisKind, sample: &Sample) -> Option<Point> {
        Some(Point { time_ns: sample.time_ns, value: self.axis_value(axis, sample.price)? })
    }

    /// Bars whose prices all have a position on the axis.
    pub(crate) fn bars_on(&self, axis: AxisKind) -> impl DoubleEndedIterator<Item = Bar> {
        self.bars.iter().filter_map(move |bar| {
            let value = |price| self.axis_value(axis, price);
            Some(Bar {
                start_ns: bar.start_ns,
                end_ns: bar.end_ns,
                open: value(bar.open)?,
                high: value(bar.high)?,
                low: value(bar.low)?,
                close: value(bar.close)?,
                volume: bar.volume,
            })
        })
    }

    /// Returns whether nothing of the symbol is drawn.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.bars.is_empty()
    }

    /// Removes the line and bars of a symbol whose base is 0, for it has no percentages.
    pub(super) fn clear_without_percent(&mut self) {
        if self.base == Some(0.0) {
            self.range = None;
            self.runs.clear();
            self.bars.clear();
        }
    }
}

/// Parameters that all symbols of a frame share.
pub(super) struct SymbolQuery<'a> {
    pub(super) span: TimeSpan,
    /// Width of the span in pixel columns.
    pub(super) columns: u32,
    /// Later ticks are left out, ns.
    pub(super) until_ns: i64,
    /// Instants at which lines break, sorted, ns.
    pub(super) breaks: Vec<i64>,
    /// Bars are drawn instead of lines.
    pub(super) has_bars: bool,
    /// Requested length of a bar; `None` chooses one to suit the view.
    pub(super) bar_interval: Option<BarInterval>,
    /// Open of the session that changes are relative to, ns.
    pub(super) session_open_ns: Option<i64>,
    pub(super) zone: &'a TimeZone,
}

impl SymbolQuery<'_> {
    /// Reads what is shown of every symbol, drawn or not.
    pub(super) fn prices(&self, series: MergedSeries<'_>, index: usize, interaction: &Interaction) -> SymbolFrame {
        let at_edge = series.at_or_before(self.span.end.min(self.until_ns));
        SymbolFrame {
            symbol: interaction.symbols[index].clone(),
            index,
            visible: interaction.view.shows(index),
            last: series.last().map(|tick| tick.sample()),
            at_edge: at_edge.map(|tick| tick.sample()),
            at_crosshair: None,
            base: self.base_price(series),
            range: None,
            runs: Vec::new(),
            bars: Vec::new(),
            outliers: Vec::new(),
        }
    }

    /// The price at the left edge, which is that of the last tick before it, or else of the first one after it. With a
    /// session, its first price.
    fn base_price(&self, series: MergedSeries<'_>) -> Option<f64> {
        let base = match self.session_open_ns {
            Some(open_ns) => {
                // For a session that has not begun within the view, the last price before it stands in.
                let end_ns = self.span.end.min(self.until_ns.saturating_add(1));
                let open = series.first_known_from(open_ns).filter(|tick| tick.time_ns < end_ns);
                open.or_else(|| series.at_or_before(open_ns))
            }
            None => series.at_or_before(self.span.start).or_else(|| series.first_known_from(self.span.start)),
        };
        base.filter(|tick| tick.time_ns <= self.until_ns).map(|tick| tick.price)
    }

    /// Reads visible outliers from memory and from loaded history: of each pixel column the first, lowest, highest and
    /// last of either.
    pub(super) fn outliers(&self, live: Option<&Series>, history: Option<&LoadedHistory>, index: usize) -> Vec<Sample> {
        let mut outliers = Vec::new();
        if let Some(live) = live {
            live.downsample(self.span, self.columns, &mut outliers);
        }
        // Memory is complete from its oldest outlier on.
        let oldest_ns = live.and_then(Series::oldest_ns).unwrap_or(i64::MAX);
        let older = TimeSpan { end: oldest_ns.min(self.span.end), ..self.span };
        if let Some(history) = history.filter(|_| older.start < older.end) {
            let loaded: Vec<Sample> = history.outliers(index, older).map(|tick| tick.sample()).collect();
            let column = |sample: &Sample| self.span.column(sample.time_ns, self.columns);
            outliers.extend(loaded.chunk_by(|one, other| column(one) == column(other)).flat_map(extremes));
        }
        outliers.retain(|sample| self.span.contains(sample.time_ns) && sample.time_ns <= self.until_ns);
        outliers
    }

    /// Reads the line or the bars of a symbol. Returns the length of the bars, if bars are drawn.
    pub(super) fn line_or_bars(
        &self,
        series: MergedSeries<'_>,
        columns: &mut ColumnCache,
        bars: &mut BarCache,
        symbol: &mut SymbolFrame,
    ) -> Option<BarInterval> {
        if self.has_bars {
            let interval = self.bars(series, bars, &mut symbol.bars);
            symbol.range = price_range(symbol.bars.iter().flat_map(|bar| [bar.low, bar.high]));
            return Some(interval);
        }
        series.downsample_cached(self.span, self.columns, &self.breaks, columns, &mut symbol.runs);
        symbol.runs.retain(|run| run.first().is_some_and(|sample| sample.time_ns <= self.until_ns));
        // The samples contain the lowest and highest tick of every column.
        let inside = symbol.runs.iter().flatten().filter(|sample| self.span.contains(sample.time_ns));
        let crossings = symbol.runs.iter().flat_map(|run| crossings(run, self.span));
        symbol.range = price_range(inside.map(|sample| sample.price).chain(crossings));
        None
    }

    /// Reads bars of the requested interval, or of one that suits the view. The interval is longer where bars would be
    /// closer than three pixels.
    fn bars(&self, series: MergedSeries<'_>, cache: &mut BarCache, bars: &mut Vec<series::Bar>) -> BarInterval {
        let (span, columns) = (self.span, self.columns);
        match self.bar_interval.unwrap_or_else(|| BarInterval::automatic(span, columns)) {
            interval @ BarInterval::Seconds(_) => {
                let interval = interval.fitted(span, columns);
                series.bars(&interval.edges(span, self.zone), self.until_ns, cache, bars);
                interval
            }
            interval @ BarInterval::Ticks(_) => {
                let interval = interval.fitted_to_ticks(series.count(span, self.until_ns), columns);
                if let BarInterval::Ticks(ticks) = interval {
                    // A third of the columns, and one bar beyond each edge, as `fitted_to_ticks` guarantees.
                    series.tick_bars(ticks, span, self.until_ns, columns as usize / 3 + 3, bars);
                }
                interval
            }
        }
    }
}

/// Lowest and highest price.
fn price_range(prices: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    prices.fold(None, |range, price| {
        let (lo, hi) = range.unwrap_or((price, price));
        Some((lo.min(price), hi.max(price)))
    })
}

/// First, lowest, highest and last sample of a column. All of them if there are no more than four.
fn extremes(column: &[Sample]) -> impl Iterator<Item = Sample> {
    let by_price = |one: &&Sample, other: &&Sample| one.price.total_cmp(&other.price);
    let (few, many) = if column.len() <= 4 { (column, &column[..0]) } else { (&column[..0], column) };
    let four = [many.first(), many.iter().min_by(by_price), many.iter().max_by(by_price), many.last()];
    few.iter().chain(four.into_iter().flatten()).copied()
}

/// Prices at which a run crosses the edges of the view. Its ends lie outside, and a line between two ticks outside the
/// view may pass through it.
fn crossings(run: &[Sample], span: TimeSpan) -> impl Iterator<Item = f64> {
    let pairs = [run.first().zip(run.get(1)), run.iter().rev().nth(1).zip(run.last())];
    pairs.into_iter().flatten().flat_map(move |(from, to)| {
        [span.start, span.end].into_iter().filter_map(move |edge_ns| {
            if from.time_ns >= edge_ns || to.time_ns <= edge_ns {
                return None;
            }
            let share = (edge_ns - from.time_ns) as f64 / (to.time_ns - from.time_ns) as f64;
            Some(from.price * (1.0 - share) + to.price * share)
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::chart::query::symbol_frame::*;
    use crate::model::{Price, Timestamp};
    use crate::series::{HistoryLimits, Series};

    const SECOND: i64 = 1_000_000_000;

    /// A series with a tick in each second of the first hour, rising by one.
    fn hour() -> Series {
        let mut series = Series::new(HistoryLimits { ticks_max: usize::MAX, age_ns_max: None });
        for second in 0..3_600 {
            let time = Timestamp::from_nanos(second * SECOND).unwrap();
            series.push(time, Price::new(second as f64).unwrap(), Some(2.0));
        }
        series
    }

    fn bars(interval: Option<&str>, columns: u32, until_ns: i64) -> (String, Vec<series::Bar>) {
        let query = SymbolQuery {
            span: TimeSpan { start: 0, end: 3_600 * SECOND },
            columns,
            until_ns,
            breaks: Vec::new(),
            has_bars: true,
            bar_interval: interval.map(|text| text.parse().unwrap()),
            session_open_ns: None,
            zone: &TimeZone::UTC,
        };
        let mut bars = Vec::new();
        let interval = query.bars(MergedSeries::live(&hour()), &mut BarCache::default(), &mut bars);
        (interval.to_string(), bars)
    }

    #[test]
    fn bars_have_the_requested_interval_if_the_view_can_hold_them() {
        let (interval, found) = bars(Some("5m"), 600, i64::MAX);
        assert_eq!((interval.as_str(), found.len()), ("5 min", 12));
        let first = series::Bar {
            start_ns: 0,
            end_ns: 300 * SECOND,
            open: 0.0,
            high: 299.0,
            low: 0.0,
            close: 299.0,
            volume: 600.0,
            count: 300,
            complete: true,
        };
        assert_eq!(found[0], first);
        assert_eq!(bars(Some("1s"), 600, i64::MAX).0, "30 s");
        assert_eq!(bars(None, 600, i64::MAX).0, "1 min");
        let (interval, found) = bars(Some("10t"), 600, i64::MAX);
        assert_eq!((interval.as_str(), found.len(), found[0].close), ("20 ticks", 180, 19.0));
        assert_eq!(bars(Some("10t"), 1, i64::MAX).1.len(), 1);
    }

    #[test]
    fn a_paused_chart_leaves_later_ticks_out_of_its_bars() {
        let (_, found) = bars(Some("5m"), 600, 400 * SECOND);
        let last = found.last().unwrap();
        assert_eq!((found.len(), last.end_ns, last.close, last.count), (2, 600 * SECOND, 400.0, 101));
        let (_, found) = bars(Some("100t"), 600, 449 * SECOND);
        let last = found.last().unwrap();
        assert_eq!((found.len(), last.end_ns, last.close, last.count), (5, 449 * SECOND, 449.0, 50));
    }

    #[test]
    fn a_line_counts_where_it_crosses_the_edges_of_the_view() {
        fn crossed(samples: &[(i64, f64)]) -> Option<(f64, f64)> {
            let run: Vec<Sample> = samples.iter().map(|&(time_ns, price)| Sample { time_ns, price }).collect();
            price_range(crossings(&run, TimeSpan { start: 100, end: 200 }))
        }
        assert_eq!(crossed(&[(0, 0.0), (400, 40.0)]), Some((10.0, 20.0)));
        assert_eq!(crossed(&[(50, 0.0), (150, 10.0)]), Some((5.0, 5.0)));
        assert_eq!(crossed(&[(150, 1.0), (250, 3.0)]), Some((2.0, 2.0)));
        assert_eq!(crossed(&[(50, 0.0), (150, 10.0), (250, 0.0)]), Some((5.0, 5.0)));
        assert_eq!(crossed(&[(120, 1.0), (150, 2.0)]), None);
        assert_eq!(crossed(&[(120, 1.0)]), None);
        assert_eq!(crossed(&[(100, 1.0), (200, 2.0)]), None, "ticks on the edges count as ticks");
    }
}
