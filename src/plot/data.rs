//! What is drawn inside the plot, and nowhere else: gap bands, bars, lines.

use plotters::element::{Circle, PathElement, Rectangle};
use plotters::style::Color as _;
use plotters_backend::DrawingBackend;

use super::axes::plane;
use crate::chart::Layout;
use crate::chart::{Chart, Line, MissingBand};
use crate::plot::framebuffer::units_per_screen_px;
use crate::plot::painter::{LayerPainter, Paint, units};
use crate::plot::polyline::{Stroke, strokes};
use crate::plot::{PlotError, bars};

/// Width of a data line, px.
const LINE_PX: f64 = 1.5;
/// Of the one that stands out.
const FOCUS_PX: f64 = 2.0;
/// Of each of many.
const THIN_PX: f64 = 1.0;
/// Radius of a run that is a single point, px.
const DOT_PX: f64 = 2.25;
/// More lines than this are a cloud: each is thin, and lets others shine through.
const LINES_CLEAR_MAX: usize = 24;
/// Opacity of a line of a cloud, of one that steps back, and of one that steps back in a cloud.
const CLOUD_SHARE: f64 = 0.55;
const BACK_SHARE: f64 = 0.4;
const BACK_CLOUD_SHARE: f64 = 0.25;

/// Draws `chart`, and spans without data that it has in common with others.
pub(super) fn draw<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    chart: &Chart,
    frame: &Layout,
    common: &[MissingBand],
) -> Result<(), PlotError> {
    let plot = frame.plot;
    if plot.width() == 0 || plot.height() == 0 {
        return Ok(());
    }
    bands(painter, chart, frame, common)?;
    if let Some(data) = &chart.bars {
        bars::draw(painter, data, chart.viewport, frame)?;
        bars::last_prices(painter, chart, frame)?;
    }
    let many = chart.lines.len() > LINES_CLEAR_MAX;
    let focus = chart.focus.filter(|focus| chart.lines.iter().any(|line| line.palette_index == *focus));
    let (width, share) = match (many, focus.is_some()) {
        (false, false) => (LINE_PX, 1.0),
        (true, false) => (THIN_PX, CLOUD_SHARE),
        (false, true) => (LINE_PX, BACK_SHARE),
        (true, true) => (THIN_PX, BACK_CLOUD_SHARE),
    };
    for line in chart.lines.iter().filter(|line| Some(line.palette_index) != focus) {
        draw_line(
            painter,
            line,
            chart,
            frame,
            (width, Paint(painter.colors.palette_color(line.palette_index), share)),
        )?;
    }
    for line in chart.lines.iter().filter(|line| Some(line.palette_index) == focus) {
        draw_line(
            painter,
            line,
            chart,
            frame,
            (FOCUS_PX, Paint(painter.colors.palette_color(line.palette_index), 1.0)),
        )?;
    }
    Ok(())
}

fn draw_line<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    line: &Line,
    chart: &Chart,
    frame: &Layout,
    (width_px, paint): (f64, Paint),
) -> Result<(), PlotError> {
    let (plot, unit) = (frame.screen(frame.plot), units_per_screen_px(painter.scale));
    for stroke in line.runs.iter().flat_map(|run| strokes(run, chart.viewport, plot, unit)) {
        match stroke {
            Stroke::Path(path) => painter.area.draw(&PathElement::new(path, paint.stroke(width_px)))?,
            Stroke::Dot(at) => painter.area.draw(&Circle::new(at, units(DOT_PX), paint.color().filled()))?,
        }
    }
    Ok(())
}

/// Spans without data.
pub(super) fn bands<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    chart: &Chart,
    frame: &Layout,
    common: &[MissingBand],
) -> Result<(), PlotError> {
    let plane = plane(&painter.area, chart.viewport, frame.plot, &[], &[]);
    let value = chart.viewport.value;
    let own = chart.missing.iter().filter(|gap| !common.contains(gap));
    for gap in common.iter().chain(own).filter(|gap| gap.start_ns < gap.end_ns) {
        let corners = [(gap.start_ns, value.hi), (gap.end_ns, value.lo)];
        plane.draw(&Rectangle::new(corners, Paint(gap.absence.color(painter.colors), 0.09).color().filled()))?;
    }
    Ok(())
}
