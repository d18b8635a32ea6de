//! What is drawn inside the plot, and nowhere else: gap bands, the zero line, the data's lines.

use plotters::element::{Circle, PathElement, Rectangle};
use plotters::style::Color as _;
use plotters_backend::DrawingBackend;

use super::axes::{plane, value_share};
use super::frame::Frame;
use super::pen::{Paint, Pen, units};
use super::trace::{Stroke, strokes};
use super::{AxisKind, Chart, PlotError};
use crate::view::Rect;

/// Width of a data line, px.
const LINE_PX: f64 = 1.5;
/// Radius of a run that is a single point, px.
const DOT_PX: f64 = 2.25;

pub(super) fn draw<DB: DrawingBackend>(pen: &Pen<'_, DB>, chart: &Chart, frame: &Frame) -> Result<(), PlotError> {
    let plot = frame.plot;
    if plot.width() == 0 || plot.height() == 0 {
        return Ok(());
    }
    let plane = plane(&pen.area, chart.viewport, plot, &[], &[]);
    let value = chart.viewport.value;
    for gap in chart.gaps.iter().filter(|gap| gap.start_ns < gap.end_ns) {
        let corners = [(gap.start_ns, value.hi), (gap.end_ns, value.lo)];
        plane.draw(&Rectangle::new(corners, Paint(pen.look.warn, 0.09).color().filled()))?;
    }
    if chart.axis == AxisKind::Percent && value.lo < 0.0 && value.hi > 0.0 {
        let y = row_center(plot, value_share(value, 0.0));
        let (left, right) = (f64::from(plot.left), f64::from(plot.right));
        pen.dashes((left, y), (right, y), (2.0, 3.0), Paint(pen.look.cross, 0.8))?;
    }
    for line in &chart.lines {
        let paint = Paint::from(pen.look.slot(line.slot));
        for stroke in line.runs.iter().flat_map(|run| strokes(run, chart.viewport, plot)) {
            match stroke {
                Stroke::Path(path) => pen.area.draw(&PathElement::new(path, paint.stroke(LINE_PX)))?,
                Stroke::Dot(at) => pen.area.draw(&Circle::new(at, units(DOT_PX), paint.color().filled()))?,
            }
        }
    }
    Ok(())
}

/// The middle of the pixel row at a share of the plot's height.
pub(super) fn row_center(plot: Rect, share: f64) -> f64 {
    (f64::from(plot.bottom) - share * f64::from(plot.height())).floor() + 0.5
}
