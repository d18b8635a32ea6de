//! Alert marks: instant, value, and a text if there is room. Marks at one place are drawn as one with a count.

use plotters::style::text_anchor::HPos;

use super::DrawResult;
use super::font::Type;
use super::painter::{Area, LayerPainter, Paint};
use crate::chart::{Chart, Layout, Mark};

const TEXT: Type = Type::words(12.0);
const COUNT: Type = Type::figures(11.0).bold();
/// Marks nearer than this are one, px horizontally and vertically.
const SAME_PX: (f64, f64) = (10.0, 14.0);
/// Height and half the width of a mark.
const HIGH_PX: f64 = 9.0;
const HALF_PX: f64 = 5.0;
/// Maximum width of a text, px.
const TEXT_PX_MAX: f64 = 200.0;

/// Marks at one place, represented by the last one.
struct Group<'a> {
    x: f64,
    /// `None` marks the instant only.
    y: Option<f64>,
    mark: &'a Mark,
    count: usize,
}

/// Groups of visible marks, from left to right.
fn groups<'a>(chart: &'a Chart, plot: &Area) -> Vec<Group<'a>> {
    let viewport = chart.viewport;
    let mut order: Vec<&Mark> = chart.marks.iter().filter(|mark| viewport.time.contains(mark.time_ns)).collect();
    order.sort_by_key(|mark| mark.time_ns);
    let mut groups: Vec<Group<'_>> = Vec::new();
    for mark in order {
        let x = plot.x_of(viewport.time, mark.time_ns);
        let row = |value: f64| plot.y_of(viewport.value, value);
        let y = mark.value.map(row).filter(|y| (plot.top..plot.bottom).contains(y));
        let same = |group: &&mut Group<'_>| match (group.y, y) {
            (Some(a), Some(b)) => (a - b).abs() < SAME_PX.1,
            (None, None) => true,
            _ => false,
        };
        let near = groups.iter_mut().rev().take_while(|group| x - group.x < SAME_PX.0);
        match near.into_iter().find(same) {
            Some(group) => (group.mark, group.count) = (mark, group.count + 1),
            None => groups.push(Group { x, y, mark, count: 1 }),
        }
    }
    groups
}

/// Draws the marks of a plot. Texts avoid the areas in `occupied`.
pub(super) fn draw(painter: &LayerPainter<'_>, chart: &Chart, layout: &Layout, occupied: &mut Vec<Area>) -> DrawResult {
    let plot = Area::from(layout.plot);
    if chart.marks.is_empty() || plot.width() < 4.0 * HALF_PX || plot.height() < 3.0 * HIGH_PX {
        return Ok(());
    }
    let groups = groups(chart, &plot);
    for group in &groups {
        let color = painter.colors.palette_color(group.mark.palette_index);
        painter.hairline((group.x, plot.top), (group.x, plot.bottom), Paint(color, 0.35))?;
    }
    for group in &groups {
        let color = painter.colors.palette_color(group.mark.palette_index);
        let shape = triangle(group, &plot);
        for (rim_px, paint) in [(1.5, painter.colors.background), (0.0, color)] {
            painter.polygon(grown(&shape, rim_px), paint)?;
        }
        occupied.push(bounds(&shape));
    }
    for group in &groups {
        draw_text(painter, group, &plot, occupied)?;
    }
    Ok(())
}

/// Triangle that points at the value, or stands on the bottom edge without one: the left and the right end of its base,
/// and its tip.
fn triangle(group: &Group<'_>, plot: &Area) -> [(f64, f64); 3] {
    // The whole triangle stays inside the plot.
    let x = group.x.clamp(plot.left + HALF_PX, plot.right - HALF_PX);
    match group.y {
        Some(y) if y - HIGH_PX - 1.0 >= plot.top => {
            [(x - HALF_PX, y - HIGH_PX - 1.0), (x + HALF_PX, y - HIGH_PX - 1.0), (x, y - 1.0)]
        }
        Some(y) => [(x - HALF_PX, y + HIGH_PX + 1.0), (x + HALF_PX, y + HIGH_PX + 1.0), (x, y + 1.0)],
        None => [(x - HALF_PX, plot.bottom), (x + HALF_PX, plot.bottom), (x, plot.bottom - HIGH_PX)],
    }
}

/// The triangle with its corners moved away from its centre.
fn grown(shape: &[(f64, f64); 3], px: f64) -> [(f64, f64); 3] {
    let middle = |pick: fn(&(f64, f64)) -> f64| shape.iter().map(pick).sum::<f64>() / 3.0;
    let (mx, my) = (middle(|c| c.0), middle(|c| c.1));
    shape.map(|(x, y)| {
        let length = (x - mx).hypot(y - my).max(1.0);
        (x + (x - mx) / length * 2.0 * px, y + (y - my) / length * 2.0 * px)
    })
}

fn bounds([left, right, tip]: &[(f64, f64); 3]) -> Area {
    Area { left: left.0, top: left.1.min(tip.1), right: right.0, bottom: left.1.max(tip.1) }
}

/// Draws the count and the text of a mark, right or left of it. The text is left out first.
fn draw_text(painter: &LayerPainter<'_>, group: &Group<'_>, plot: &Area, occupied: &mut Vec<Area>) -> DrawResult {
    let count = if group.count > 1 { format!("{}×", group.count) } else { String::new() };
    let count_px = if count.is_empty() { 0.0 } else { painter.width(&count, COUNT) + 5.0 };
    let text = painter.fit(&group.mark.text, TEXT, TEXT_PX_MAX);
    let middle = bounds(&triangle(group, plot)).middle().clamp(plot.top + 9.0, plot.bottom - 9.0);
    for shown in [text.as_str(), ""] {
        let width = count_px + painter.width(shown, TEXT) + 8.0;
        if width <= 8.0 {
            return Ok(());
        }
        let at = |left: f64| Area::sized(left, middle - 8.0, width, 16.0);
        let sides = [at(group.x + HALF_PX + 4.0), at(group.x - HALF_PX - 4.0 - width)];
        let free = |area: &&Area| plot.encloses(area) && !occupied.iter().any(|other| other.overlaps(area));
        let Some(area) = sides.iter().find(free) else { continue };
        painter.rounded(*area, 3.0, Paint(painter.colors.background, 0.78))?;
        let (y, color) = (area.middle(), painter.colors.palette_color(group.mark.palette_index));
        painter.text(&count, COUNT, (area.left + 4.0, y), HPos::Left, color)?;
        painter.text(shown, TEXT, (area.left + 4.0 + count_px, y), HPos::Left, painter.colors.text)?;
        occupied.push(*area);
        return Ok(());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::AxisKind;
    use crate::chart::{ValueSpan, Viewport};
    use crate::model::TimeSpan;
    use jiff::tz::TimeZone;

    #[test]
    fn marks_at_one_place_are_one_and_those_outside_none() {
        let viewport = Viewport { time: TimeSpan { start: 0, end: 1_000 }, value: ValueSpan { lo: 0.0, hi: 100.0 } };
        let mark =
            |time_ns: i64, value: Option<f64>| Mark { time_ns, value, palette_index: 0, text: time_ns.to_string() };
        let mut chart = Chart::empty(viewport, AxisKind::Price, TimeZone::UTC);
        chart.marks = vec![
            mark(105, Some(50.0)),
            mark(100, Some(52.0)),
            mark(101, Some(90.0)),
            mark(102, None),
            mark(900, Some(f64::NAN)),
            mark(-1, None),
            mark(1_000, None),
        ];
        let plot = Area { left: 0.0, top: 0.0, right: 1_000.0, bottom: 100.0 };
        let found: Vec<(usize, &str)> =
            groups(&chart, &plot).iter().map(|group| (group.count, group.mark.text.as_str())).collect();
        assert_eq!(found, [(2, "105"), (1, "101"), (1, "102"), (1, "900")]);
    }
}
