//! What is drawn inside the plot, and nowhere else: gap bands, the data's lines.

use plotters::element::{Circle, PathElement, Rectangle};
use plotters::style::Color as _;
use plotters_backend::DrawingBackend;

use super::axes::plane;
use super::frame::Frame;
use super::pen::{Paint, Pen, units};
use super::trace::{Stroke, strokes};
use super::{Chart, PlotError};

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
