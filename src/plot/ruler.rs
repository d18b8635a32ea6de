//! Rectangles that the user draws over a plot: the ruler and the box zoom.

use plotters::style::text_anchor::HPos;

use super::DrawResult;
use super::font::Type;
use super::painter::{Area, LayerPainter, Paint};
use crate::chart::{Chart, Layout, Ruler, Selection};

const LINE: Type = Type::figures(12.0);
const ROW_PX: f64 = 17.0;
const PADDING_PX: f64 = 9.0;
/// Distance from the measured rectangle to its text.
const AWAY_PX: f64 = 8.0;
/// Length and half the width of an arrow's head.
const HEAD_PX: (f64, f64) = (7.0, 4.0);
/// Minimum length of an arrow with a head.
const HEADED_PX: f64 = 14.0;
/// Opacity of the veil around a box zoom.
const DIMMED: f64 = 0.5;

/// Draws the measured rectangle with an arrow along each side, and the measured values.
pub(super) fn draw(painter: &LayerPainter<'_>, ruler: &Ruler, chart: &Chart, layout: &Layout) -> DrawResult {
    let plot = Area::from(layout.plot);
    if plot.width() < 20.0 || plot.height() < 20.0 {
        return Ok(());
    }
    let viewport = chart.viewport;
    let place = |time_ns: i64, value: f64| {
        let x = plot.x_of(viewport.time, time_ns);
        let y = plot.y_of(viewport.value, value);
        (x, if y.is_nan() { plot.bottom } else { y })
    };
    let (from, to) = (place(ruler.from.time_ns, ruler.from.value), place(ruler.to.time_ns, ruler.to.value));
    let inside = |(x, y): (f64, f64)| (x.clamp(plot.left, plot.right), y.clamp(plot.top, plot.bottom));
    let (a, b) = (inside(from), inside(to));
    let area = area_between(a, b);
    let color = if ruler.rising { painter.colors.rising } else { painter.colors.falling };
    painter.fill(area, Paint(color, 0.13))?;
    let (x, y) = (f64::midpoint(area.left, area.right), area.middle());
    // An arrow that ends outside is clipped and has no head.
    arrow(painter, (a.0, y), (b.0, y), (b.0 - to.0).abs() < 0.5, Paint::from(color))?;
    arrow(painter, (x, a.1), (x, b.1), (b.1 - to.1).abs() < 0.5, Paint::from(color))?;
    painter.outlined(area.inset(-0.5), 0.0, Paint(color, 0.55))?;
    draw_text(painter, ruler, &area, &plot)
}

fn draw_text(painter: &LayerPainter<'_>, ruler: &Ruler, area: &Area, plot: &Area) -> DrawResult {
    let widest = ruler.lines.iter().map(|line| painter.width(line, LINE)).fold(0.0, f64::max);
    let (width, height) = (widest + 2.0 * PADDING_PX, ruler.lines.len() as f64 * ROW_PX + PADDING_PX);
    if ruler.lines.is_empty() || width > plot.width() || height > plot.height() {
        return Ok(());
    }
    let middle = (f64::midpoint(area.left, area.right) - width / 2.0).round();
    let middle = middle.clamp(plot.left, (plot.right - width.ceil()).max(plot.left));
    let above = Area::sized(middle, (area.top - AWAY_PX - height).round(), width.ceil(), height);
    let below = Area::sized(middle, (area.bottom + AWAY_PX).round(), width.ceil(), height);
    let top = (area.middle() - height / 2.0).round().clamp(plot.top, plot.bottom - height);
    let right = Area::sized((area.right + AWAY_PX).round(), top, width.ceil(), height);
    let left = Area::sized((area.left - AWAY_PX - width).round(), top, width.ceil(), height);
    // Preferably on the side where the measurement ends.
    let sides = if ruler.rising { [above, below, right, left] } else { [below, above, right, left] };
    let panel = sides.iter().find(|side| plot.encloses(side)).unwrap_or(&sides[0]).moved_into(plot);
    let color = if ruler.rising { painter.colors.rising } else { painter.colors.falling };
    painter.panel(panel, 4.0, Paint(painter.colors.panel, 0.95), Paint(color, 0.7))?;
    let mut y = panel.top + PADDING_PX / 2.0 + ROW_PX / 2.0;
    for (i, line) in ruler.lines.iter().enumerate() {
        let paint = if i == 0 { painter.colors.text } else { color };
        painter.text(line, LINE, (f64::midpoint(panel.left, panel.right), y), HPos::Center, paint)?;
        y += ROW_PX;
    }
    Ok(())
}

/// Rectangle between two corners.
fn area_between(a: (f64, f64), b: (f64, f64)) -> Area {
    Area { left: a.0.min(b.0), top: a.1.min(b.1), right: a.0.max(b.0), bottom: a.1.max(b.1) }
}

/// Draws a straight arrow along a row or a column.
fn arrow(painter: &LayerPainter<'_>, from: (f64, f64), to: (f64, f64), headed: bool, paint: Paint) -> DrawResult {
    painter.hairline(from, to, paint)?;
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.abs() + dy.abs();
    if !headed || length < HEADED_PX {
        return Ok(());
    }
    let (ux, uy) = (dx / length, dy / length);
    let (long, half) = HEAD_PX;
    let foot = (to.0 - ux * long, to.1 - uy * long);
    painter.polygon([to, (foot.0 - uy * half, foot.1 + ux * half), (foot.0 + uy * half, foot.1 - ux * half)], paint)
}

/// Draws the box zoom; the rest of its plot is dimmed.
pub(super) fn selection(painter: &LayerPainter<'_>, selection: &Selection, layout: &Layout) -> DrawResult {
    let index = layout.pane_at(selection.from.0, selection.from.1).unwrap_or(0);
    let plot = Area::from(layout.pane(index).plot);
    let finite = |x: f64, low: f64, high: f64| if x.is_nan() { low } else { x.clamp(low, high) };
    let inside = |(x, y): (f64, f64)| {
        (painter.snapped(finite(x, plot.left, plot.right)), painter.snapped(finite(y, plot.top, plot.bottom)))
    };
    let area = area_between(inside(selection.from), inside(selection.to));
    let around = [
        Area { bottom: area.top, ..plot },
        Area { top: area.bottom, ..plot },
        Area { right: area.left, top: area.top, bottom: area.bottom, ..plot },
        Area { left: area.right, top: area.top, bottom: area.bottom, ..plot },
    ];
    for side in around {
        painter.fill(side, Paint(painter.colors.background, DIMMED))?;
    }
    if area.width() >= 2.0 && area.height() >= 2.0 {
        painter.fill(area, Paint(painter.colors.info, 0.07))?;
        painter.outlined(area, 0.0, painter.colors.info)?;
    }
    Ok(())
}
