//! What lies under the data and changes only with the view: grounds, strips, grid, zero line.

use plotters::coord::cartesian::MeshLine;
use plotters_backend::DrawingBackend;

use super::axes::{plane, value_share};
use super::font::{Fonts, Type};
use crate::chart::Layout;
use crate::chart::time_ticks;
use crate::chart::value_ticks;
use crate::chart::{AxisKind, Chart};
use crate::plot::PlotError;
use crate::plot::framebuffer::{UNITS_PER_PX, units_per_screen_px};
use crate::plot::painter::{Area, LayerPainter, Paint};

/// Type of the labels on both axes.
pub(super) const LABEL: Type = Type::figures(12.0);

/// Ticks of both axes.
#[derive(Debug, Clone, Default)]
pub(super) struct Ticks {
    pub(super) time: Vec<(i64, String)>,
    pub(super) value: Vec<(f64, String)>,
}

impl Ticks {
    /// Of one chart.
    fn new(chart: &Chart, frame: &Layout, fonts: &Fonts) -> Self {
        let digit_px = f64::from(fonts.width("0", LABEL));
        let (viewport, plot) = (chart.viewport, frame.plot);
        Self {
            time: time_ticks(viewport.time, &chart.zone, f64::from(plot.width()), digit_px),
            value: value_ticks(viewport.value, f64::from(plot.height()), chart.axis, chart.decimals),
        }
    }

    /// Brings `all`, the ticks of charts that `frame` shows, up to `charts` where they are stale. Panes are equally
    /// wide: those of one time have the ticks of the first, for it takes a calendar to find them.
    pub(super) fn refresh(
        all: &mut Vec<Self>,
        charts: &[Chart],
        frame: &Layout,
        fonts: &Fonts,
        stale: impl Fn(usize) -> bool,
    ) {
        all.resize_with(charts.len(), Self::default);
        for (index, chart) in charts.iter().enumerate().filter(|(index, _)| stale(*index)) {
            let pane = frame.pane(index);
            let like_first = |first: &Chart| first.viewport.time == chart.viewport.time && first.zone == chart.zone;
            all[index] = if index > 0 && charts.first().is_some_and(like_first) {
                let height = f64::from(pane.plot.height());
                let value = value_ticks(chart.viewport.value, height, chart.axis, chart.decimals);
                Self { time: all[0].time.clone(), value }
            } else {
                Self::new(chart, &pane, fonts)
            };
        }
    }

    /// Of all `charts` that `frame` shows.
    pub(super) fn all(charts: &[Chart], frame: &Layout, fonts: &Fonts) -> Vec<Self> {
        let mut all = Vec::new();
        Self::refresh(&mut all, charts, frame, fonts, |_| true);
        all
    }
}

/// The colours that lie under everything.
pub(super) fn flat<DB: DrawingBackend>(painter: &LayerPainter<'_, DB>, frame: &Layout) -> Result<(), PlotError> {
    painter.area.fill(&Paint::from(painter.colors.background).color())?;
    painter.fill(frame.header, painter.colors.strip)?;
    painter.fill(frame.footer, painter.colors.strip)
}

/// Hairlines at the ticks. Those at the very ends of the axes lie a pixel outside the plot.
pub(super) fn grid<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    frame: &Layout,
    chart: &Chart,
    ticks: &Ticks,
) -> Result<(), PlotError> {
    if frame.plot.width() == 0 || frame.plot.height() == 0 {
        return Ok(());
    }
    let colors = painter.colors;
    let plane = plane(&painter.area, chart.viewport, frame.plot, &ticks.time, &ticks.value);
    let style = Paint::from(colors.grid).stroke(1.0);
    // Times go on through the volume pane.
    let floor = frame.plots().bottom * UNITS_PER_PX;
    let unit = units_per_screen_px(painter.scale);
    plane.draw_mesh(
        |backend, line| {
            let (from, to) = match line {
                MeshLine::XMesh((x, top), (_, bottom), _) => {
                    let x = centered(x, unit);
                    ((x, top.min(bottom)), (x, floor))
                }
                MeshLine::YMesh((left, y), (right, _), _) => ((left, centered(y, unit)), (right, centered(y, unit))),
            };
            backend.draw_line(from, to, &style)
        },
        ticks.value.len(),
        ticks.time.len(),
    )?;
    // The left and bottom edges, so that the grid has an end where no tick falls; panes stand apart.
    let plot = Area::from(frame.plots());
    let half = 0.5 / painter.scale.factor();
    painter.hairline((plot.left + half, plot.top), (plot.left + half, plot.bottom), colors.grid)?;
    if frame.time_axis.top == frame.plots().bottom {
        painter.hairline((plot.left, plot.bottom + half), (plot.right, plot.bottom + half), colors.grid)?;
    }
    if frame.volume.height() > 0 {
        let y = f64::from(frame.volume.top) + half;
        painter.hairline((plot.left, y), (plot.right, y), colors.panel_edge)?;
    }
    Ok(())
}

/// Where nothing has changed, on a percent axis.
pub(super) fn zero_line<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    frame: &Layout,
    chart: &Chart,
) -> Result<(), PlotError> {
    let (plot, value) = (Area::from(frame.plot), chart.viewport.value);
    if chart.axis == AxisKind::Percent && value.lo < 0.0 && value.hi > 0.0 && plot.width() > 0.0 {
        let y = (plot.bottom - value_share(value, 0.0) * plot.height()).floor() + 0.5;
        painter.dashes((plot.left, y), (plot.right, y), (1.0, 3.0), painter.colors.crosshair.into())?;
    }
    Ok(())
}

/// The middle of the pixel that a coordinate falls into: a hairline there is one crisp column or row.
fn centered(coordinate: i32, unit: i32) -> i32 {
    coordinate.div_euclid(unit) * unit + unit / 2
}
