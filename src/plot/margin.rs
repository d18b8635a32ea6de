//! What stands on the two axes: labels, last-price tags, the crosshair's own tags. A label that a tag would cover is
//! left out; tags push each other apart.

use plotters::style::text_anchor::HPos;
use plotters_backend::DrawingBackend;

use super::axes::{time_share, value_share};
use super::font::Type;
use super::frame::Frame;
use super::ground::{LABEL, Ticks};
use super::look::{Rgb, ink_on};
use super::pen::{Area, Pen};
use super::spread::spread;
use super::time_ticks::{date_text, instant_text};
use super::value_ticks::{decimals_per_px, value_text};
use super::{Chart, PlotError};
use crate::model::NS_PER_S;
use crate::view::Rect;

const TAG: Type = Type::figures(12.0).bold();
const TAG_PX: f64 = 18.0;
/// A tag and the air below it.
const TAG_PITCH_PX: f64 = TAG_PX + 1.0;
const TAG_RADIUS_PX: f64 = 3.0;
/// From the plot's edge to the text of labels and tags alike.
const INDENT_PX: f64 = 9.0;
/// Rows that a label needs.
const LABEL_PX: f64 = 14.0;
/// Figures that do not fit are set smaller, down to this.
const EM_MIN: f32 = 8.5;
/// Views longer than this name the day with the time under the crosshair.
const DATED_NS: i64 = 12 * 3_600 * NS_PER_S;

/// Labels and tags of the value axis.
pub(super) fn value_axis<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    chart: &Chart,
    frame: &Frame,
    ticks: &Ticks,
) -> Result<(), PlotError> {
    let (plot, axis) = (frame.plot, Area::from(frame.value_axis));
    if axis.width() < 2.0 * INDENT_PX || axis.height() < TAG_PX {
        return Ok(());
    }
    let span = chart.viewport.value;
    let row = |value: f64| axis.bottom - value_share(span, value) * axis.height();
    let tag_area = |middle: f64| Area {
        left: axis.left + 2.0,
        right: axis.right - 4.0,
        top: (middle - TAG_PX / 2.0).round(),
        bottom: (middle - TAG_PX / 2.0).round() + TAG_PX,
    };
    let wishes: Vec<f64> = chart.tags.iter().map(|tag| row(tag.value)).collect();
    // The pitch is whole and a row more than a tag, so that rounding to whole rows cannot make neighbours collide.
    let middles = spread(&wishes, TAG_PITCH_PX, axis.top, axis.bottom);
    let cross = chart.crosshair.as_ref().filter(|c| c.y >= plot.top && c.y < plot.bottom).map(|cross| {
        let decimals = decimals_per_px(span, axis.height(), chart.axis, chart.decimals);
        let middle = (f64::from(cross.y) + 0.5).clamp(axis.top + TAG_PX / 2.0, axis.bottom - TAG_PX / 2.0);
        (tag_area(middle), value_text(cross.value, chart.axis, decimals))
    });

    let mut taken: Vec<Area> = middles.iter().flatten().map(|&middle| tag_area(middle)).collect();
    taken.extend(cross.as_ref().map(|(area, _)| *area));
    for (value, text) in &ticks.value {
        let y = row(*value);
        let area = Area { left: axis.left, right: axis.right, top: y - LABEL_PX / 2.0, bottom: y + LABEL_PX / 2.0 };
        let hidden = taken.iter().any(|tag| tag.overlaps(&area));
        // A label at the very bottom would stand among those of the time axis.
        let inside = area.bottom <= axis.bottom + 2.0;
        if inside && !hidden {
            figures(pen, text, LABEL, &axis, y, pen.look.dim)?;
        }
    }
    for (tag, middle) in chart.tags.iter().zip(&middles) {
        if let Some(middle) = middle {
            boxed(pen, &tag.text, tag_area(*middle), pen.look.slot(tag.slot))?;
        }
    }
    let Some((area, text)) = cross else { return Ok(()) };
    // A rim of ground sets it off from the tags that it covers.
    let rim = Area { left: area.left - 1.0, right: area.right + 1.0, top: area.top - 1.0, bottom: area.bottom + 1.0 };
    pen.rounded(rim, TAG_RADIUS_PX + 1.0, pen.look.ground)?;
    boxed(pen, &text, area, pen.look.cross)
}

/// Figures at the axis' indent, set smaller until they fit.
fn figures<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    text: &str,
    ty: Type,
    axis: &Area,
    y: f64,
    color: Rgb,
) -> Result<(), PlotError> {
    let room = axis.width() - INDENT_PX - 4.0;
    let (ty, text) = shrunk(pen, text, ty, room);
    pen.text(&text, ty, (axis.left + INDENT_PX, y), HPos::Left, color)
}

fn shrunk<DB: DrawingBackend>(pen: &Pen<'_, DB>, text: &str, ty: Type, room: f64) -> (Type, String) {
    let width = pen.width(text, ty);
    if width <= room {
        return (ty, text.to_owned());
    }
    let ty = Type { em: (ty.em * (room / width) as f32).clamp(EM_MIN.min(ty.em), ty.em), ..ty };
    (ty, pen.fit(text, ty, room + 0.5))
}

/// A tag on the value axis.
fn boxed<DB: DrawingBackend>(pen: &Pen<'_, DB>, text: &str, area: Area, color: Rgb) -> Result<(), PlotError> {
    pen.rounded(area, TAG_RADIUS_PX, color)?;
    let room = area.width() - (INDENT_PX - 2.0) - 2.0;
    let (ty, text) = shrunk(pen, text, TAG, room);
    pen.text(&text, ty, (area.left + INDENT_PX - 2.0, area.middle()), HPos::Left, ink_on(color))
}

/// Labels of the time axis, the crosshair's time, and in the corner the day.
pub(super) fn time_axis<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    chart: &Chart,
    frame: &Frame,
    ticks: &Ticks,
) -> Result<(), PlotError> {
    let axis = Area::from(frame.time_axis);
    if axis.height() < LABEL_PX || axis.width() < TAG_PX {
        return Ok(());
    }
    let span = chart.viewport.time;
    let (y, right_edge) = (axis.middle(), f64::from(frame.value_axis.right));
    let column = |time_ns: i64| axis.left + time_share(span, time_ns) * axis.width();
    let window = Area { left: 2.0, right: right_edge - 2.0, ..axis };

    let mut taken: Vec<Area> = Vec::new();
    let cross = cross_time(pen, chart, frame.plot, &axis, &window);
    taken.extend(cross.as_ref().map(|(area, _)| *area));
    for (time_ns, text) in &ticks.time {
        let half = pen.width(text, LABEL) / 2.0;
        let at = column(*time_ns);
        let area = Area { left: at - half, right: at + half, ..axis };
        if area.left >= window.left && area.right <= window.right && !taken.iter().any(|t| t.overlaps(&area)) {
            pen.text(text, LABEL, (at, y), HPos::Center, pen.look.dim)?;
            taken.push(area);
        }
    }
    // Times of day do not say of which day: the corner does.
    let day = date_text(span.end.saturating_sub(1), &chart.zone);
    let left = right_edge - 4.0 - pen.width(&day, LABEL);
    let corner = Area { left: left - 4.0, right: right_edge, ..axis };
    if left > axis.right && !taken.iter().any(|t| t.overlaps(&corner)) {
        pen.text(&day, LABEL, (left, y), HPos::Left, pen.look.dim)?;
    }
    let Some((area, text)) = cross else { return Ok(()) };
    let tag = Area { top: (y - 9.0).round(), bottom: (y - 9.0).round() + TAG_PX, ..area };
    pen.rounded(tag, TAG_RADIUS_PX, pen.look.cross)?;
    pen.text(&text, TAG, (tag.left + 6.0, tag.middle()), HPos::Left, ink_on(pen.look.cross))
}

/// Where the crosshair's time stands on the axis, and what it says.
fn cross_time<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    chart: &Chart,
    plot: Rect,
    axis: &Area,
    window: &Area,
) -> Option<(Area, String)> {
    let cross = chart.crosshair.as_ref().filter(|c| c.x >= plot.left && c.x < plot.right)?;
    let span = chart.viewport.time;
    let length_ns = (i128::from(span.end) - i128::from(span.start)) as f64;
    let text = instant_text(cross.time_ns, &chart.zone, length_ns / axis.width(), length_ns > DATED_NS as f64);
    let width = (pen.width(&text, TAG) + 12.0).ceil();
    let left = (f64::from(cross.x) + 0.5 - width / 2.0).round();
    Some((Area { left, right: left + width, ..*axis }.moved_into(window), text))
}
