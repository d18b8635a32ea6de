//! Labels and tags on both axes. A label that a tag would cover is left out; tags push each other apart.

use plotters::style::text_anchor::HPos;

use super::axes::difference;
use super::background::{LABEL, Ticks};
use super::font::Type;
use super::label_layout::spread_labels;
use super::painter::{Area, LayerPainter};
use super::{DrawResult, bars};
use crate::chart::{
    Chart, Crosshair, Layout, Readout, Rgb, Tag, date_text, decimals_at, instant_text, tag_colors, value_text,
};
use crate::model::NS_PER_S;

const TAG: Type = Type::figures(12.0).bold();
const TAG_PX: f64 = 18.0;
/// Height of a tag and the space below it.
const TAG_PITCH_PX: f64 = TAG_PX + 1.0;
const TAG_RADIUS_PX: f64 = 3.0;
/// Maximum number of tags, and maximum share of the axis that they occupy: with more, the labels would be hidden.
const TAGS_MAX: usize = 12;
const TAGS_SHARE: f64 = 0.5;
/// Distance from the plot's edge to the text of labels and tags.
const INDENT_PX: f64 = 9.0;
/// Height of a label.
const LABEL_PX: f64 = 14.0;
/// Minimum type size for figures that do not fit.
const EM_MIN: f32 = 8.5;
/// Precision of the labels at the ends of a span: this fraction of the span.
const ENDS_PARTS: f64 = 40.0;
/// In views longer than this, the crosshair's time tag includes the date.
const DATED_NS: i64 = 12 * 3_600 * NS_PER_S;

/// Draws labels and tags of the value axis.
pub(super) fn value_axis(painter: &LayerPainter<'_>, chart: &Chart, layout: &Layout, ticks: &Ticks) -> DrawResult {
    let axis = Area::from(layout.value_axis);
    if axis.width() < 2.0 * INDENT_PX || axis.height() < TAG_PX {
        return Ok(());
    }
    let span = chart.viewport.value;
    let row = |value: f64| axis.y_of(span, value);
    let tag_area = |middle: f64| Area {
        left: axis.left + 2.0,
        right: axis.right - 4.0,
        top: (middle - TAG_PX / 2.0).round(),
        bottom: (middle - TAG_PX / 2.0).round() + TAG_PX,
    };
    let tags = tags_to_draw(chart, axis.height());
    let wanted: Vec<f64> = tags.iter().map(|tag| row(tag.value)).collect();
    // The pitch is an integer and one row more than a tag, so rounding to whole rows cannot make neighbours overlap.
    let middles = spread_labels(&wanted, TAG_PITCH_PX, axis.top, axis.bottom);
    let crosshair = chart.crosshair.as_ref().filter(|crosshair| under_mouse(crosshair, layout)).map(|crosshair| {
        let decimals = decimals_at(crosshair.value, span, axis.height(), chart.axis, chart.decimals);
        let y = if crosshair.snapped { row(crosshair.value) } else { f64::from(crosshair.y) + 0.5 };
        let middle = y.clamp(axis.top + TAG_PX / 2.0, axis.bottom - TAG_PX / 2.0);
        // A snapped crosshair has the colour of its tick's symbol.
        let tick = |row: &&Readout| crosshair.snapped && row.point.time_ns == crosshair.time_ns;
        let row = crosshair.rows.iter().filter(tick).find(|row| row.point.value.to_bits() == crosshair.value.to_bits());
        let color = row.map_or(painter.colors.crosshair, |row| painter.colors.palette_color(row.palette_index));
        (tag_area(middle), value_text(crosshair.value, chart.axis, decimals), color)
    });

    let mut occupied: Vec<Area> = middles.iter().flatten().map(|&middle| tag_area(middle)).collect();
    occupied.extend(crosshair.as_ref().map(|(area, ..)| *area));
    let blank = is_blank(chart);
    for (value, text) in ticks.value.iter().filter(|_| !blank) {
        let y = row(*value);
        let area = Area { left: axis.left, right: axis.right, top: y - LABEL_PX / 2.0, bottom: y + LABEL_PX / 2.0 };
        let hidden = occupied.iter().any(|tag| tag.overlaps(&area));
        // A label at the very bottom would run into those of the time axis. Panes have a title above.
        let inside = area.bottom <= axis.bottom + 2.0 && area.top >= f64::from(layout.header.bottom) - 2.0;
        if inside && !hidden {
            let room = axis.width() - INDENT_PX - 4.0;
            figures(painter, text, LABEL, (axis.left + INDENT_PX, y), room, painter.colors.dim)?;
        }
    }
    // A tag that the crosshair's tag covers in part is drawn without text, so that no cut letters remain.
    let covered = |area: &Area| crosshair.as_ref().is_some_and(|(tag, ..)| tag.overlaps(area));
    for (tag, middle) in tags.iter().zip(&middles) {
        if let Some(middle) = middle {
            let color = bars::last_color(painter.colors, chart)
                .unwrap_or_else(|| painter.colors.palette_color(tag.palette_index));
            let area = tag_area(*middle);
            draw_tag(painter, if covered(&area) { "" } else { &tag.text }, area, color)?;
        }
    }
    let Some((area, text, color)) = crosshair else { return Ok(()) };
    // A rim of the background colour separates it from the tags that it covers.
    painter.rounded(area.inset(-1.0), TAG_RADIUS_PX + 1.0, painter.colors.background)?;
    draw_tag(painter, &text, area, color)
}

/// Returns `true` if a notice replaces the data, so that the axis has no labels.
pub(super) fn is_blank(chart: &Chart) -> bool {
    let empty = chart.bars.as_ref().is_none_or(|bars| bars.bars.is_empty());
    chart.notice.is_some() && empty && chart.tags.is_empty() && chart.lines.iter().all(|line| line.runs.is_empty())
}

/// Tags to draw: the focused line's, then alternately from both ends, as many as leave the labels legible.
fn tags_to_draw(chart: &Chart, height_px: f64) -> Vec<&Tag> {
    let max = TAGS_MAX.min((height_px * TAGS_SHARE / TAG_PITCH_PX) as usize).max(1);
    if chart.tags.len() <= max {
        return chart.tags.iter().collect();
    }
    let mut sorted: Vec<&Tag> = chart.tags.iter().collect();
    sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
    let focus = sorted.iter().position(|tag| Some(tag.palette_index) == chart.focus);
    let mut tags: Vec<&Tag> = focus.map(|at| sorted.remove(at)).into_iter().collect();
    let rest = max.saturating_sub(tags.len());
    tags.extend(sorted.iter().rev().take(rest.div_ceil(2)));
    tags.extend(sorted.iter().take(rest / 2));
    tags
}

/// Returns `true` if the mouse is in the plot of `layout`. The other panes of a grid show the instant only.
pub(super) fn under_mouse(crosshair: &Crosshair, layout: &Layout) -> bool {
    layout.plot.contains(f64::from(crosshair.x), f64::from(crosshair.y))
}

/// Draws figures, smaller if they do not fit into `room`.
fn figures(painter: &LayerPainter<'_>, text: &str, ty: Type, at: (f64, f64), room: f64, color: Rgb) -> DrawResult {
    let width = painter.width(text, ty);
    if width <= room {
        return painter.text(text, ty, at, HPos::Left, color);
    }
    let ty = Type { em: (ty.em * (room / width) as f32).clamp(EM_MIN.min(ty.em), ty.em), ..ty };
    painter.text(&painter.fit(text, ty, room + 0.5), ty, at, HPos::Left, color)
}

/// Draws a tag on the value axis.
fn draw_tag(painter: &LayerPainter<'_>, text: &str, area: Area, color: Rgb) -> DrawResult {
    let (background, text_color) = tag_colors(painter.colors.theme, color);
    painter.rounded(area, TAG_RADIUS_PX, background)?;
    let (left, room) = (area.left + INDENT_PX - 2.0, area.width() - (INDENT_PX - 2.0) - 2.0);
    figures(painter, text, TAG, (left, area.middle()), room, text_color)
}

/// Ends of the window's time axis that belong to a plot's own time axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// Set if the window has a single plot.
    pub(super) single: bool,
    pub(super) first: bool,
    pub(super) last: bool,
}

impl Ends {
    pub(super) const WINDOW: Self = Self { single: true, first: true, last: true };
}

/// Maximum share of a column's time axis that the crosshair's time tag may occupy to be repeated under every column.
const TIME_TAG_SHARE_MAX: f64 = 0.7;

/// Draws labels of the time axis, the crosshair's time tag, and the date in the window's corner. If the columns of a
/// grid are too narrow for labels, the outermost two show the first and the last instant.
pub(super) fn time_axis(
    painter: &LayerPainter<'_>,
    chart: &Chart,
    layout: &Layout,
    ticks: &Ticks,
    ends: Ends,
) -> DrawResult {
    let axis = Area::from(layout.time_axis);
    if axis.height() < LABEL_PX || axis.width() < TAG_PX {
        return Ok(());
    }
    let span = chart.viewport.time;
    let (y, right_edge) = (axis.middle(), f64::from(layout.header.right.max(layout.value_axis.right)));
    let column = |time_ns: i64| axis.x_of(span, time_ns);
    let window = Area { left: f64::from(layout.header.left) + 2.0, right: right_edge - 2.0, ..axis };

    let mut occupied: Vec<Area> = Vec::new();
    // Under wide columns the same time would be repeated side by side, so only the last column shows it.
    let crosshair = crosshair_tag(painter, chart, layout, &axis, &window)
        .filter(|(area, _)| ends.single || ends.last || area.width() <= axis.width() * TIME_TAG_SHARE_MAX);
    occupied.extend(crosshair.as_ref().map(|(area, _)| *area));
    for (time_ns, text) in &ticks.time {
        let half = painter.width(text, LABEL) / 2.0;
        let at = column(*time_ns);
        let area = Area { left: at - half, right: at + half, ..axis };
        if area.left >= window.left && area.right <= window.right && !occupied.iter().any(|t| t.overlaps(&area)) {
            painter.text(text, LABEL, (at, y), HPos::Center, painter.colors.dim)?;
            occupied.push(area);
        }
    }
    if occupied.is_empty() && !ends.single {
        span_ends(painter, chart, &axis, ends)?;
    }
    // Labels show the time of day; the corner shows the date.
    let day = date_text(span.end.saturating_sub(1), &chart.zone);
    let left = right_edge - 4.0 - painter.width(&day, LABEL);
    let area = Area { left: left - 4.0, right: right_edge, ..axis };
    if ends.last && left > axis.right && !occupied.iter().any(|t| t.overlaps(&area)) {
        painter.text(&day, LABEL, (left, y), HPos::Left, painter.colors.dim)?;
    }
    let Some((area, text)) = crosshair else { return Ok(()) };
    let tag = Area { top: (y - 9.0).round(), bottom: (y - 9.0).round() + TAG_PX, ..area };
    let (background, text_color) = tag_colors(painter.colors.theme, painter.colors.crosshair);
    painter.rounded(tag, TAG_RADIUS_PX, background)?;
    painter.text(&text, TAG, (tag.left + 6.0, tag.middle()), HPos::Left, text_color)
}

/// Draws the first and the last instant of a span at the ends of the axis.
fn span_ends(painter: &LayerPainter<'_>, chart: &Chart, axis: &Area, ends: Ends) -> DrawResult {
    let span = chart.viewport.time;
    let length_ns = difference(span.end, span.start);
    for (shown, time_ns, x, anchor) in
        [(ends.first, span.start, axis.left, HPos::Left), (ends.last, span.end, axis.right, HPos::Right)]
    {
        let text = instant_text(time_ns, &chart.zone, length_ns / ENDS_PARTS, false);
        if shown && painter.width(&text, LABEL) <= axis.width() {
            painter.text(&text, LABEL, (x, axis.middle()), anchor, painter.colors.dim)?;
        }
    }
    Ok(())
}

/// Area and text of the crosshair's time tag.
fn crosshair_tag(
    painter: &LayerPainter<'_>,
    chart: &Chart,
    layout: &Layout,
    axis: &Area,
    window: &Area,
) -> Option<(Area, String)> {
    let crosshair =
        chart.crosshair.as_ref().filter(|crosshair| (layout.plot.left..layout.plot.right).contains(&crosshair.x))?;
    let span = chart.viewport.time;
    let length_ns = difference(span.end, span.start);
    let text = instant_text(crosshair.time_ns, &chart.zone, length_ns / axis.width(), length_ns > DATED_NS as f64);
    let width = (painter.width(&text, TAG) + 12.0).ceil();
    let at = axis.x_of(span, crosshair.time_ns);
    let x = if crosshair.snapped { at } else { f64::from(crosshair.x) + 0.5 };
    let left = (x - width / 2.0).round();
    Some((Area { left, right: left + width, ..*axis }.moved_into(window), text))
}
