//! Data layer, clipped to the plot: missing-data bands, bars, lines.

use plotters::element::{Circle, PathElement, Rectangle};
use plotters::style::Color as _;

use super::axes::plane;
use super::painter::{LayerPainter, Paint};
use super::polyline::{Stroke, strokes};
use super::units::{units, units_per_screen_px};
use super::{DrawResult, bars};
use crate::chart::{Chart, Layout, MissingBand};

/// Width of a data line, px.
const LINE_PX: f64 = 1.5;
/// Width of the focused line, px.
const FOCUS_PX: f64 = 2.0;
/// Width of a line among many, px.
const THIN_PX: f64 = 1.0;
/// Radius of a run of a single point, px.
const DOT_PX: f64 = 2.25;
/// Maximum number of lines at full width and opacity.
const LINES_CLEAR_MAX: usize = 24;
/// Opacity of one of many lines, of a line that is not in focus, and of both.
const CLOUD_SHARE: f64 = 0.55;
const BACK_SHARE: f64 = 0.4;
const BACK_CLOUD_SHARE: f64 = 0.25;

/// Draws `chart`, and the missing-data bands that it shares with other panes.
pub(super) fn draw(painter: &LayerPainter<'_>, chart: &Chart, layout: &Layout, common: &[MissingBand]) -> DrawResult {
    if layout.plot.is_empty() {
        return Ok(());
    }
    bands(painter, chart, layout, common)?;
    if let Some(data) = &chart.bars {
        bars::draw(painter, data, chart.viewport, layout)?;
        bars::last_prices(painter, chart, layout)?;
    }
    let many = chart.lines.len() > LINES_CLEAR_MAX;
    let focus = chart.focus.filter(|focus| chart.lines.iter().any(|line| line.palette_index == *focus));
    let back = match (many, focus.is_some()) {
        (false, false) => (LINE_PX, 1.0),
        (true, false) => (THIN_PX, CLOUD_SHARE),
        (false, true) => (LINE_PX, BACK_SHARE),
        (true, true) => (THIN_PX, BACK_CLOUD_SHARE),
    };
    let (plot, unit) = (layout.screen(layout.plot), units_per_screen_px(painter.scale));
    // The focused line is drawn last.
    for (is_front, (width_px, share)) in [(false, back), (true, (FOCUS_PX, 1.0))] {
        for line in chart.lines.iter().filter(|line| (Some(line.palette_index) == focus) == is_front) {
            let paint = Paint(painter.colors.palette_color(line.palette_index), share);
            for stroke in line.runs.iter().flat_map(|run| strokes(run, chart.viewport, plot, unit)) {
                match stroke {
                    Stroke::Path(path) => painter.area.draw(&PathElement::new(path, paint.stroke(width_px)))?,
                    Stroke::Dot(at) => painter.area.draw(&Circle::new(at, units(DOT_PX), paint.color().filled()))?,
                }
            }
        }
    }
    Ok(())
}

/// Draws missing-data bands.
pub(super) fn bands(painter: &LayerPainter<'_>, chart: &Chart, layout: &Layout, common: &[MissingBand]) -> DrawResult {
    let plane = plane(&painter.area, chart.viewport, layout.plot, &[], &[]);
    let value = chart.viewport.value;
    let own = chart.missing.iter().filter(|band| !common.contains(band));
    for band in common.iter().chain(own).filter(|band| band.start_ns < band.end_ns) {
        let corners = [(band.start_ns, value.hi), (band.end_ns, value.lo)];
        plane.draw(&Rectangle::new(corners, Paint(band.absence.color(painter.colors), 0.09).color().filled()))?;
    }
    Ok(())
}
