//! Layers below the data that change only with the view: background, strips, grid, zero line.

use plotters::coord::cartesian::MeshLine;
use plotters_backend::DrawingBackend;

use super::DrawResult;
use super::axes::plane;
use super::font::{Fonts, Type};
use super::painter::{Area, LayerPainter, Paint};
use super::units::{UNITS_PER_PX, units_per_screen_px};
use crate::chart::{AxisKind, Chart, Layout, Viewport, time_ticks, value_ticks};

/// Type of the labels on both axes.
pub(super) const LABEL: Type = Type::figures(12.0);

/// Ticks of both axes.
#[derive(Debug, Clone, Default)]
pub(super) struct Ticks {
    pub(super) time: Vec<(i64, String)>,
    pub(super) value: Vec<(f64, String)>,
}

impl Ticks {
    /// Recomputes the stale ones of `all`, the ticks of `charts`. Panes are equally wide, so panes of the same time
    /// span share the time ticks of the first; computing them requires calendar arithmetic.
    pub(super) fn refresh(
        all: &mut Vec<Self>,
        charts: &[Chart],
        layout: &Layout,
        fonts: &Fonts,
        stale: impl Fn(usize) -> bool,
    ) {
        let digit_px = f64::from(fonts.width("0", LABEL));
        all.resize_with(charts.len(), Self::default);
        for (index, chart) in charts.iter().enumerate().filter(|(index, _)| stale(*index)) {
            let (plot, Viewport { time, value }) = (layout.pane(index).plot, chart.viewport);
            let is_like_first = index > 0 && charts[0].viewport.time == time && charts[0].zone == chart.zone;
            all[index] = Self {
                time: if is_like_first {
                    all[0].time.clone()
                } else {
                    time_ticks(time, &chart.zone, f64::from(plot.width()), digit_px)
                },
                value: value_ticks(value, f64::from(plot.height()), chart.axis, chart.decimals),
            };
        }
    }

    /// Ticks of all `charts`.
    pub(super) fn all(charts: &[Chart], layout: &Layout, fonts: &Fonts) -> Vec<Self> {
        let mut all = Vec::new();
        Self::refresh(&mut all, charts, layout, fonts, |_| true);
        all
    }
}

/// Fills the background, the header and the footer.
pub(super) fn fill_background(painter: &LayerPainter<'_>, layout: &Layout) -> DrawResult {
    painter.area.fill(&Paint::from(painter.colors.background).color())?;
    painter.fill(layout.header, painter.colors.strip)?;
    painter.fill(layout.footer, painter.colors.strip)
}

/// Draws hairlines at the ticks. Those at the very ends of the axes lie one pixel outside the plot.
pub(super) fn grid(painter: &LayerPainter<'_>, layout: &Layout, chart: &Chart, ticks: &Ticks) -> DrawResult {
    if layout.plot.is_empty() {
        return Ok(());
    }
    let colors = painter.colors;
    let plane = plane(&painter.area, chart.viewport, layout.plot, &ticks.time, &ticks.value);
    let style = Paint::from(colors.grid).stroke(1.0);
    // Vertical lines continue through the volume pane.
    let floor = layout.plots().bottom * UNITS_PER_PX;
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
    // The left and bottom edges, so that the grid is closed where no tick falls. Panes have no common edge.
    let plot = Area::from(layout.plots());
    let half = 0.5 / painter.scale.factor();
    painter.hairline((plot.left + half, plot.top), (plot.left + half, plot.bottom), colors.grid)?;
    if layout.time_axis.top == layout.plots().bottom {
        painter.hairline((plot.left, plot.bottom + half), (plot.right, plot.bottom + half), colors.grid)?;
    }
    if layout.volume.height() > 0 {
        let y = f64::from(layout.volume.top) + half;
        painter.hairline((plot.left, y), (plot.right, y), colors.panel_edge)?;
    }
    Ok(())
}

/// Draws the zero line of a percent axis.
pub(super) fn zero_line(painter: &LayerPainter<'_>, layout: &Layout, chart: &Chart) -> DrawResult {
    let (plot, value) = (Area::from(layout.plot), chart.viewport.value);
    if chart.axis == AxisKind::Percent && value.lo < 0.0 && value.hi > 0.0 && plot.width() > 0.0 {
        let y = plot.y_of(value, 0.0).floor() + 0.5;
        painter.dashes((plot.left, y), (plot.right, y), (1.0, 3.0), painter.colors.crosshair.into())?;
    }
    Ok(())
}

/// Middle of the pixel that contains a coordinate. A hairline there is one sharp column or row.
fn centered(coordinate: i32, unit: i32) -> i32 {
    coordinate.div_euclid(unit) * unit + unit / 2
}
