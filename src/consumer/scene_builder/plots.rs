//! Charts from what was taken of the book: lines, bars, axes, tags, titles.

use crate::chart::format;
use crate::chart::{AxisKind, Bar, BarStyle, Bars, Chart, Line, Outlier, Point, Tag, Title};
use crate::chart::{ValueSpan, Viewport};
use crate::consumer::args::KindChoice;
use crate::consumer::interaction::{Interaction, Plot, PlotId};
use crate::consumer::query::{FrameData, SymbolFrame};
use crate::consumer::scene_builder::SceneBuilder;
use crate::consumer::scene_builder::status_text::gap_bands;
use crate::series;

/// From so many symbols in one plot on, tags say whose they are: colours have repeated, and the axis says what they are
/// worth.
const NAMED_FROM: usize = 25;

/// A price on a value axis; `None` where that axis has no place for it.
pub(super) fn axis_value(axis: AxisKind, shown: &SymbolFrame, price: f64) -> Option<f64> {
    match axis {
        AxisKind::Price => Some(price),
        AxisKind::Percent => shown.percent(price),
        AxisKind::Log => (price > 0.0).then(|| price.log10()),
    }
}

impl SceneBuilder {
    /// The plots of a picture, each with its value axis, in reading order.
    pub(super) fn plots(&mut self, gathered: &FrameData, controls: &Interaction, axis: AxisKind) -> Vec<Plot> {
        let ids: Vec<PlotId> = if gathered.is_grid() {
            gathered.drawn().map(|shown| PlotId::Symbol(shown.slot)).collect()
        } else {
            vec![PlotId::Whole]
        };
        // Only plots in the picture are remembered.
        self.held.retain(|id, _| ids.contains(id));
        let plot = |id: PlotId| {
            let extent = extent(members(gathered, id), axis);
            let value = controls.value_of(id, axis).unwrap_or_else(|| self.value_span(id, extent, axis));
            Plot { id, value }
        };
        ids.into_iter().map(plot).collect()
    }

    /// The axis stands still while it shows the data well, also when nothing is in view.
    fn value_span(&mut self, id: PlotId, extent: Option<(f64, f64)>, axis: AxisKind) -> ValueSpan {
        let held = self.held.get(&id).filter(|(held_axis, _)| *held_axis == axis).map(|(_, span)| *span);
        let span = match (extent, held) {
            (Some((lo, hi)), Some(held)) => held.holding(lo, hi),
            (Some((lo, hi)), None) => ValueSpan::fit(lo, hi),
            (None, Some(held)) => held,
            (None, None) if axis == AxisKind::Percent => ValueSpan::fit(-1.0, 1.0),
            (None, None) if axis == AxisKind::Log => ValueSpan::fit(1.99, 2.01),
            (None, None) => ValueSpan::fit(99.0, 101.0),
        };
        self.held.insert(id, (axis, span));
        span
    }

    /// A plot with its data.
    pub(super) fn chart(&self, plot: &Plot, gathered: &FrameData, controls: &Interaction, axis: AxisKind) -> Chart {
        let shown: Vec<&SymbolFrame> = members(gathered, plot.id).collect();
        let viewport = Viewport { time: gathered.span, value: plot.value };
        let decimals = shown.iter().map(|shown| self.decimals[shown.slot]).min().unwrap_or(2);
        let bars = shown.first().filter(|_| controls.sight.kind != KindChoice::Lines).map(|shown| Bars {
            style: if controls.sight.kind == KindChoice::Ohlc { BarStyle::Ohlc } else { BarStyle::Candles },
            bars: shown.candles.iter().filter_map(|candle| bar(shown, axis, candle)).collect(),
        });
        let title = match plot.id {
            PlotId::Symbol(_) => shown.first().map(|shown| self.pane_title(shown)),
            PlotId::Whole => None,
        };
        Chart {
            decimals,
            lines: if bars.is_some() { Vec::new() } else { shown.iter().map(|shown| line(shown, axis)).collect() },
            focus: controls.singled_out().filter(|slot| shown.iter().any(|shown| shown.slot == *slot)),
            bars,
            volume: !gathered.frame.volume.is_empty(),
            title,
            // Those of a grid are common to its panes.
            missing: if gathered.is_grid() { Vec::new() } else { gap_bands(gathered) },
            outliers: shown.iter().flat_map(|shown| outliers(shown, axis)).collect(),
            tags: shown.iter().filter_map(|one| self.tag(one, axis, shown.len() >= NAMED_FROM)).collect(),
            ..Chart::empty(viewport, axis, self.session.zone.clone())
        }
    }

    fn tag(&self, shown: &SymbolFrame, axis: AxisKind, named: bool) -> Option<Tag> {
        let price = shown.at_edge?.price;
        let value = axis_value(axis, shown, price)?;
        let text = match axis {
            _ if named => shown.symbol.clone(),
            AxisKind::Percent => format::percent(value),
            AxisKind::Price | AxisKind::Log => self.price(shown.slot, price),
        };
        Some(Tag { palette_index: shown.slot, value, text })
    }

    fn pane_title(&self, shown: &SymbolFrame) -> Title {
        let change = shown.at_edge.and_then(|at_edge| shown.percent(at_edge.price));
        let last = shown.at_edge.map(|at_edge| (String::new(), self.price(shown.slot, at_edge.price)));
        Title {
            symbol: shown.symbol.clone(),
            detail: String::new(),
            figures: last.into_iter().collect(),
            change_percent: change,
            palette_index: Some(shown.slot),
        }
    }

    /// Whose bars these are, and the figures of one of them: at the crosshair, or else the newest.
    pub(super) fn bars_title(&self, gathered: &FrameData, cursor_ns: Option<i64>) -> Option<Title> {
        let (interval, shown) = (gathered.interval?, gathered.drawn().next()?);
        let at_cursor = cursor_ns.and_then(|at_ns| shown.candles.iter().rev().find(|c| c.start_ns <= at_ns));
        let candle = at_cursor.or(shown.candles.last());
        let mut figures = Vec::new();
        if let Some(candle) = candle {
            let prices = [("O", candle.open), ("H", candle.high), ("L", candle.low), ("C", candle.close)];
            figures.extend(prices.map(|(name, price)| (name.to_owned(), self.price(shown.slot, price))));
            if candle.volume > 0.0 {
                figures.push(("V".to_owned(), format::quantity(candle.volume)));
            }
        }
        let change = candle.filter(|c| c.open != 0.0).map(|c| (c.close - c.open) / c.open.abs() * 100.0);
        // A bar whose first ticks have given way to newer ones tells of the rest.
        let part = if candle.is_some_and(|candle| !candle.complete) { " (in part: older ticks are gone)" } else { "" };
        Some(Title {
            symbol: shown.symbol.clone(),
            detail: format!("{interval}{part}"),
            figures,
            change_percent: change.filter(|change| change.is_finite()),
            palette_index: None,
        })
    }
}

/// The symbols of a plot.
pub(super) fn members(gathered: &FrameData, id: PlotId) -> impl Iterator<Item = &SymbolFrame> {
    // Places are in order.
    let drawn = &gathered.drawn[..];
    let places = match id {
        PlotId::Whole => drawn,
        PlotId::Symbol(slot) => drawn.binary_search(&slot).map_or(&[][..], |at| &drawn[at..=at]),
    };
    places.iter().map(|at| &gathered.shown[*at])
}

/// A price that the axis has no place for ends a run.
fn line(shown: &SymbolFrame, axis: AxisKind) -> Line {
    let mut runs = Vec::with_capacity(shown.runs.len());
    for run in &shown.runs {
        let mut points = Vec::with_capacity(run.len());
        for sample in run {
            match axis_value(axis, shown, sample.price) {
                Some(value) => points.push(Point { time_ns: sample.time_ns, value }),
                None if points.is_empty() => {}
                None => runs.push(std::mem::take(&mut points)),
            }
        }
        if !points.is_empty() {
            runs.push(points);
        }
    }
    Line { palette_index: shown.slot, runs }
}

/// On a logarithmic axis, a price that is not positive lies below all others.
fn outliers(shown: &SymbolFrame, axis: AxisKind) -> impl Iterator<Item = Outlier> {
    let lowest = (axis == AxisKind::Log).then_some(f64::NEG_INFINITY);
    shown.outliers.iter().filter_map(move |sample| {
        let value = axis_value(axis, shown, sample.price).or(lowest)?;
        Some(Outlier { time_ns: sample.time_ns, value, palette_index: shown.slot })
    })
}

fn bar(shown: &SymbolFrame, axis: AxisKind, candle: &series::Bar) -> Option<Bar> {
    let value = |price| axis_value(axis, shown, price);
    Some(Bar {
        start_ns: candle.start_ns,
        end_ns: candle.end_ns,
        open: value(candle.open)?,
        high: value(candle.high)?,
        low: value(candle.low)?,
        close: value(candle.close)?,
        volume: candle.volume,
    })
}

/// Lowest and highest value in view.
fn extent<'a>(members: impl Iterator<Item = &'a SymbolFrame>, axis: AxisKind) -> Option<(f64, f64)> {
    let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
    for shown in members {
        let Some((low, high)) = shown.range else { continue };
        // On a logarithmic axis, a line that dips below zero is shown from its lowest positive tick on.
        let low = if axis == AxisKind::Log && low <= 0.0 { lowest_positive(shown).unwrap_or(low) } else { low };
        for end in [low, high].into_iter().filter_map(|price| axis_value(axis, shown, price)) {
            (lo, hi) = (lo.min(end), hi.max(end));
        }
    }
    (lo <= hi).then_some((lo, hi))
}

fn lowest_positive(shown: &SymbolFrame) -> Option<f64> {
    let prices = shown.runs.iter().flatten().map(|sample| sample.price);
    let prices = prices.chain(shown.candles.iter().map(|candle| candle.low));
    prices.filter(|price| *price > 0.0).min_by(f64::total_cmp)
}
