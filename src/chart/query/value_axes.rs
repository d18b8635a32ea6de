//! Value axes: their unit and span. Both change as rarely as the data allows, so that the chart does not flicker.

use std::collections::HashMap;

use crate::chart::interaction::{AxisMode, Interaction, Plot, PlotId};
use crate::chart::query::{FrameData, SymbolFrame};
use crate::chart::{AxisKind, ValueSpan};

/// Share of the height below which the line that moves most counts as flat. A price axis gives way to percent then.
const FLAT_SHARE: f64 = 0.25;

/// Share of the height above which percent gives way to price again. The distance to [`FLAT_SHARE`] is a hysteresis.
const LIVELY_SHARE: f64 = 0.5;

/// The value axes of the last frame.
#[derive(Debug, Default)]
pub(super) struct ValueAxes {
    spans: HashMap<PlotId, (AxisKind, ValueSpan)>,
    /// The automatic axis shows percent.
    auto_percent: bool,
}

impl ValueAxes {
    /// The unit of a frame's value axes.
    pub(super) fn kind(&mut self, mode: AxisMode, data: &FrameData) -> AxisKind {
        match mode {
            AxisMode::Price => return AxisKind::Price,
            AxisMode::Percent | AxisMode::Session => return AxisKind::Percent,
            AxisMode::Log => return AxisKind::Log,
            // A symbol that has an axis of its own never looks flat.
            AxisMode::Auto if data.hit.layout.is_grid() || data.hit.bar_interval.is_some() => return AxisKind::Price,
            AxisMode::Auto => {}
        }
        let ranges = || data.drawn().filter_map(|symbol| symbol.range);
        let lo = ranges().map(|(lo, _)| lo).fold(f64::INFINITY, f64::min);
        let hi = ranges().map(|(_, hi)| hi).fold(f64::NEG_INFINITY, f64::max);
        let liveliest = ranges().map(|(lo, hi)| hi - lo).fold(0.0, f64::max);
        if liveliest > 0.0 && hi > lo {
            let share = liveliest / (hi - lo);
            self.auto_percent = share < FLAT_SHARE || (self.auto_percent && share <= LIVELY_SHARE);
        }
        if self.auto_percent { AxisKind::Percent } else { AxisKind::Price }
    }

    /// The plots of a frame in reading order. Axes of plots that are gone are forgotten.
    pub(super) fn plots(&mut self, interaction: &Interaction, data: &FrameData) -> Vec<Plot> {
        let ids: Vec<PlotId> = if data.hit.layout.is_grid() {
            data.drawn.iter().copied().map(PlotId::Symbol).collect()
        } else {
            vec![PlotId::Main]
        };
        self.spans.retain(|id, _| ids.contains(id));
        let plot = |id: PlotId| {
            let extent = extent(data.plot_symbols(id), data.hit.axis);
            let value = interaction.value_of(id, data.hit.axis).unwrap_or_else(|| self.fit(id, extent, data.hit.axis));
            Plot { id, value }
        };
        ids.into_iter().map(plot).collect()
    }

    /// The span of an axis that fits its data. It stays as it was while it suits the data, and if there is none.
    fn fit(&mut self, id: PlotId, extent: Option<(f64, f64)>, axis: AxisKind) -> ValueSpan {
        let before = self.spans.get(&id).filter(|(kind, _)| *kind == axis).map(|(_, span)| *span);
        let span = match (extent, before) {
            (Some((lo, hi)), Some(before)) => before.holding(lo, hi),
            (Some((lo, hi)), None) => ValueSpan::fit(lo, hi),
            (None, Some(before)) => before,
            (None, None) => match axis {
                AxisKind::Price => ValueSpan::fit(99.0, 101.0),
                AxisKind::Percent => ValueSpan::fit(-1.0, 1.0),
                AxisKind::Log => ValueSpan::fit(1.99, 2.01),
            },
        };
        self.spans.insert(id, (axis, span));
        span
    }
}

/// Lowest and highest visible value.
fn extent<'a>(symbols: impl Iterator<Item = &'a SymbolFrame>, axis: AxisKind) -> Option<(f64, f64)> {
    let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
    for symbol in symbols {
        let Some((low, high)) = symbol.range else { continue };
        // A logarithmic axis shows a line that dips below zero from its lowest positive price on.
        let low = if axis == AxisKind::Log && low <= 0.0 { lowest_positive(symbol).unwrap_or(low) } else { low };
        for value in [low, high].into_iter().filter_map(|price| symbol.axis_value(axis, price)) {
            (lo, hi) = (lo.min(value), hi.max(value));
        }
    }
    (lo <= hi).then_some((lo, hi))
}

fn lowest_positive(symbol: &SymbolFrame) -> Option<f64> {
    let prices = symbol.runs.iter().flatten().map(|sample| sample.price);
    let prices = prices.chain(symbol.bars.iter().map(|bar| bar.low));
    prices.filter(|price| *price > 0.0).min_by(f64::total_cmp)
}
