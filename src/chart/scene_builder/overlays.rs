//! Overlays of the plots: crosshair, ruler, zoom box and alert marks.

use crate::chart::format;
use crate::chart::interaction::{Cursor, Interaction, Measurement, Plot};
use crate::chart::query::{CrosshairPosition, FrameData, SymbolFrame};
use crate::chart::scene_builder::{FrameStatus, SceneBuilder};
use crate::chart::{AxisKind, Chart, Crosshair, Mark, Point, Readout, Ruler, Selection};

/// Palette index of the grey that marks alerts about symbols of which no tick has arrived.
const NO_SYMBOL_PALETTE_INDEX: usize = 7;

impl SceneBuilder {
    /// Adds the crosshair to each plot: at the same instant in all, with a height in the one that it is in.
    pub(super) fn add_crosshair(&self, data: &FrameData, charts: &mut [Chart]) {
        let Some(CrosshairPosition { cursor, x, y, snapped, .. }) = data.crosshair else { return };
        for (pane, (chart, plot)) in charts.iter_mut().zip(&data.hit.plots).enumerate() {
            let is_here = pane == cursor.pane;
            let column = if is_here { Some(x) } else { data.transform(pane).map(|map| map.x(cursor.time_ns)) };
            chart.crosshair = column.map(|column| Crosshair {
                x: column.floor() as i32,
                y: if is_here { y.floor() as i32 } else { i32::MIN },
                time_ns: cursor.time_ns,
                value: cursor.value,
                rows: self.readouts(data, plot),
                snapped: is_here && snapped,
            });
        }
    }

    /// The rows of the tooltip of a plot.
    fn readouts(&self, data: &FrameData, plot: &Plot) -> Vec<Readout> {
        let row = |symbol: &SymbolFrame| {
            let sample = symbol.at_crosshair?;
            Some(Readout {
                palette_index: symbol.index,
                symbol: symbol.symbol.clone(),
                price: self.price(symbol, sample.price),
                change_percent: symbol.percent(sample.price),
                point: symbol.point(data.hit.axis, &sample)?,
            })
        };
        data.plot_symbols(plot.id).filter_map(row).collect()
    }

    /// Adds the ruler to the plot that it measures. Returns the zoom box, if one is being drawn.
    pub(super) fn add_measurements(
        data: &FrameData,
        interaction: &Interaction,
        charts: &mut [Chart],
    ) -> Option<Selection> {
        let cursor = data.crosshair.map(|crosshair| crosshair.cursor);
        let ends = |measurement: Option<Measurement>| {
            Some(measurement?.in_frame(&data.hit.plots, data.hit.axis, cursor)?.ends(cursor))
        };
        if let Some((from, to)) = ends(interaction.ruler)
            && let Some(chart) = charts.get_mut(from.pane)
        {
            chart.ruler = Some(ruler(from, to, chart.axis, chart.decimals));
        }
        let (from, to) = ends(interaction.zoom_box)?;
        let map = data.transform(from.pane)?;
        let px = |cursor: Cursor| (map.x(cursor.time_ns), map.y(cursor.value));
        Some(Selection { from: px(from), to: px(to) })
    }

    /// Adds alert marks to the plots of their symbols. An alert about a symbol of which no tick has arrived marks its
    /// instant in the main chart.
    pub(super) fn add_alerts(data: &FrameData, status: &FrameStatus, charts: &mut [Chart]) {
        for alert in status.alerts.iter().filter(|alert| data.shows(alert.time_ns)) {
            let place = alert.symbol.map(|index| data.drawn.binary_search(&index));
            let pane = match (place, data.hit.layout.is_grid()) {
                (Some(Ok(at)), true) => at,
                (Some(Ok(_)) | None, false) => 0,
                _ => continue,
            };
            let Some(chart) = charts.get_mut(pane) else { continue };
            let symbol = alert.symbol.and_then(|index| data.symbols.get(index));
            chart.marks.push(Mark {
                time_ns: alert.time_ns,
                value: symbol.zip(alert.price).and_then(|(symbol, price)| symbol.axis_value(data.hit.axis, price)),
                palette_index: alert.symbol.unwrap_or(NO_SYMBOL_PALETTE_INDEX),
                text: alert.rule.to_string(),
            });
        }
    }
}

fn ruler(from: Cursor, to: Cursor, axis: AxisKind, decimals: usize) -> Ruler {
    let delta = to.value - from.value;
    let time_ns = to.time_ns.saturating_sub(from.time_ns);
    let sign = if time_ns < 0 { "\u{2212}" } else { "" };
    let time = format!("{sign}{}", format::span(time_ns.saturating_abs()));
    let value = match axis {
        AxisKind::Percent => vec![format!("{} points", format::percent(delta).trim_end_matches('%'))],
        AxisKind::Price => price_change(from.value, to.value, decimals),
        AxisKind::Log => price_change(10_f64.powf(from.value), 10_f64.powf(to.value), decimals),
    };
    let point = |cursor: Cursor| Point { time_ns: cursor.time_ns, value: cursor.value };
    let lines = std::iter::once(time).chain(value).collect();
    Ruler { from: point(from), to: point(to), lines, rising: delta >= 0.0 }
}

fn price_change(from: f64, to: f64, decimals: usize) -> Vec<String> {
    let change = to - from;
    let sign = if change > 0.0 { "+" } else { "" };
    let percent = Some(change / from.abs() * 100.0).filter(|percent| percent.is_finite());
    let price = format!("{sign}{}", format::price(change, decimals));
    std::iter::once(price).chain(percent.map(format::percent)).collect()
}
