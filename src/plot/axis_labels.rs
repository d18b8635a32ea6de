//! What stands on the two axes: labels, last-price tags, the crosshair's own tags. A label that a tag would cover is
//! left out; tags push each other apart.

use plotters::style::text_anchor::HPos;
use plotters_backend::DrawingBackend;

use super::axes::{time_share, value_share};
use super::font::Type;
use crate::chart::Layout;
use crate::chart::{Chart, Crosshair, Readout, Tag};
use crate::chart::{Rgb, tag_colors};
use crate::chart::{date_text, instant_text};
use crate::chart::{decimals_at, value_text};
use crate::model::NS_PER_S;
use crate::plot::background::{LABEL, Ticks};
use crate::plot::label_layout::spread;
use crate::plot::painter::{Area, LayerPainter};
use crate::plot::{PlotError, bars};

const TAG: Type = Type::figures(12.0).bold();
const TAG_PX: f64 = 18.0;
/// A tag and the air below it.
const TAG_PITCH_PX: f64 = TAG_PX + 1.0;
const TAG_RADIUS_PX: f64 = 3.0;
/// Most tags, and the share of the axis that they may take: more would be a second chart beside the first.
const TAGS_MAX: usize = 12;
const TAGS_SHARE: f64 = 0.5;
/// From the plot's edge to the text of labels and tags alike.
const INDENT_PX: f64 = 9.0;
/// Rows that a label needs.
const LABEL_PX: f64 = 14.0;
/// Figures that do not fit are set smaller, down to this.
const EM_MIN: f32 = 8.5;
/// How exactly the ends of a span are named: to so many parts of it.
const ENDS_PARTS: f64 = 40.0;
/// Views longer than this name the day with the time under the crosshair.
const DATED_NS: i64 = 12 * 3_600 * NS_PER_S;

/// Labels and tags of the value axis.
pub(super) fn value_axis<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    chart: &Chart,
    frame: &Layout,
    ticks: &Ticks,
) -> Result<(), PlotError> {
    let axis = Area::from(frame.value_axis);
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
    let tags = chosen(chart, axis.height());
    let wishes: Vec<f64> = tags.iter().map(|tag| row(tag.value)).collect();
    // The pitch is whole and a row more than a tag, so that rounding to whole rows cannot make neighbours collide.
    let middles = spread(&wishes, TAG_PITCH_PX, axis.top, axis.bottom);
    let cross = chart.crosshair.as_ref().filter(|cross| under_mouse(cross, frame)).map(|cross| {
        let decimals = decimals_at(cross.value, span, axis.height(), chart.axis, chart.decimals);
        let y = if cross.snapped { row(cross.value) } else { f64::from(cross.y) + 0.5 };
        let middle = y.clamp(axis.top + TAG_PX / 2.0, axis.bottom - TAG_PX / 2.0);
        // On a tick it has the colour of whose tick it is.
        let tick = |row: &&Readout| cross.snapped && row.point.time_ns == cross.time_ns;
        let row = cross.rows.iter().filter(tick).find(|row| row.point.value.to_bits() == cross.value.to_bits());
        let color = row.map_or(painter.colors.crosshair, |row| painter.colors.palette_color(row.palette_index));
        (tag_area(middle), value_text(cross.value, chart.axis, decimals), color)
    });

    let mut taken: Vec<Area> = middles.iter().flatten().map(|&middle| tag_area(middle)).collect();
    taken.extend(cross.as_ref().map(|(area, ..)| *area));
    let blank = is_blank(chart);
    for (value, text) in ticks.value.iter().filter(|_| !blank) {
        let y = row(*value);
        let area = Area { left: axis.left, right: axis.right, top: y - LABEL_PX / 2.0, bottom: y + LABEL_PX / 2.0 };
        let hidden = taken.iter().any(|tag| tag.overlaps(&area));
        // A label at the very bottom would stand among those of the time axis; panes have a title above.
        let inside = area.bottom <= axis.bottom + 2.0 && area.top >= f64::from(frame.header.bottom) - 2.0;
        if inside && !hidden {
            figures(painter, text, LABEL, &axis, y, painter.colors.dim)?;
        }
    }
    // Of what the crosshair's tag covers in part, no halves of letters are left.
    let covered = |area: &Area| cross.as_ref().is_some_and(|(tag, ..)| tag.overlaps(area));
    for (tag, middle) in tags.iter().zip(&middles) {
        if let Some(middle) = middle {
            let color = bars::last_color(painter.colors, chart)
                .unwrap_or_else(|| painter.colors.palette_color(tag.palette_index));
            let area = tag_area(*middle);
            boxed(painter, if covered(&area) { "" } else { &tag.text }, area, color)?;
        }
    }
    let Some((area, text, color)) = cross else { return Ok(()) };
    // A rim of ground sets it off from the tags that it covers.
    painter.rounded(area.inset(-1.0), TAG_RADIUS_PX + 1.0, painter.colors.background)?;
    boxed(painter, &text, area, color)
}

/// Whether a notice stands instead of data: there are no values then, and none are named.
pub(super) fn is_blank(chart: &Chart) -> bool {
    let empty = chart.bars.as_ref().is_none_or(|bars| bars.bars.is_empty());
    chart.notice.is_some() && empty && chart.tags.is_empty() && chart.lines.iter().all(|line| line.runs.is_empty())
}

/// The tags that leave the labels readable: that of the line in focus, then in turn the highest and the lowest.
fn chosen(chart: &Chart, height_px: f64) -> Vec<&Tag> {
    let most = TAGS_MAX.min((height_px * TAGS_SHARE / TAG_PITCH_PX) as usize).max(1);
    if chart.tags.len() <= most {
        return chart.tags.iter().collect();
    }
    let mut sorted: Vec<&Tag> = chart.tags.iter().collect();
    sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
    let focus = sorted.iter().position(|tag| Some(tag.palette_index) == chart.focus);
    let mut tags: Vec<&Tag> = focus.map(|at| sorted.remove(at)).into_iter().collect();
    let rest = most.saturating_sub(tags.len());
    tags.extend(sorted.iter().rev().take(rest.div_ceil(2)));
    tags.extend(sorted.iter().take(rest / 2));
    tags
}

/// Whether the mouse is in the plot of `frame`: in a grid the others only show the same instant.
pub(super) fn under_mouse(cross: &Crosshair, frame: &Layout) -> bool {
    frame.plot.contains(f64::from(cross.x), f64::from(cross.y))
}

/// Figures at the axis' indent, set smaller until they fit.
fn figures<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    text: &str,
    ty: Type,
    axis: &Area,
    y: f64,
    color: Rgb,
) -> Result<(), PlotError> {
    let room = axis.width() - INDENT_PX - 4.0;
    let (ty, text) = shrunk(painter, text, ty, room);
    painter.text(&text, ty, (axis.left + INDENT_PX, y), HPos::Left, color)
}

fn shrunk<DB: DrawingBackend>(painter: &LayerPainter<'_, DB>, text: &str, ty: Type, room: f64) -> (Type, String) {
    let width = painter.width(text, ty);
    if width <= room {
        return (ty, text.to_owned());
    }
    let ty = Type { em: (ty.em * (room / width) as f32).clamp(EM_MIN.min(ty.em), ty.em), ..ty };
    (ty, painter.fit(text, ty, room + 0.5))
}

/// A tag on the value axis.
fn boxed<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    text: &str,
    area: Area,
    color: Rgb,
) -> Result<(), PlotError> {
    let (ground, ink) = tag_colors(painter.colors.theme, color);
    painter.rounded(area, TAG_RADIUS_PX, ground)?;
    let room = area.width() - (INDENT_PX - 2.0) - 2.0;
    let (ty, text) = shrunk(painter, text, TAG, room);
    painter.text(&text, ty, (area.left + INDENT_PX - 2.0, area.middle()), HPos::Left, ink)
}

/// Which ends of the window's time axis a plot's own has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// There is one plot.
    pub(super) single: bool,
    pub(super) first: bool,
    pub(super) last: bool,
}

impl Ends {
    pub(super) const WINDOW: Self = Self { single: true, first: true, last: true };
}

/// A crosshair's time that takes more than this share of its axis is not said under every column of a grid.
const CROSS_SHARE_MAX: f64 = 0.7;

/// Labels of the time axis, the crosshair's time, and in the corner of the window the day. Columns of a grid that are
/// too narrow for labels leave the first and the last instant to the outermost two.
pub(super) fn time_axis<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    chart: &Chart,
    frame: &Layout,
    ticks: &Ticks,
    ends: Ends,
) -> Result<(), PlotError> {
    let axis = Area::from(frame.time_axis);
    if axis.height() < LABEL_PX || axis.width() < TAG_PX {
        return Ok(());
    }
    let span = chart.viewport.time;
    let (y, right_edge) = (axis.middle(), f64::from(frame.header.right.max(frame.value_axis.right)));
    let column = |time_ns: i64| axis.left + time_share(span, time_ns) * axis.width();
    let window = Area { left: f64::from(frame.header.left) + 2.0, right: right_edge - 2.0, ..axis };

    let mut taken: Vec<Area> = Vec::new();
    // Under the columns of a wide grid the same instant would stand side by side: there, the last one says it for all.
    let cross = cross_time(painter, chart, frame, &axis, &window)
        .filter(|(area, _)| ends.single || ends.last || area.width() <= axis.width() * CROSS_SHARE_MAX);
    taken.extend(cross.as_ref().map(|(area, _)| *area));
    for (time_ns, text) in &ticks.time {
        let half = painter.width(text, LABEL) / 2.0;
        let at = column(*time_ns);
        let area = Area { left: at - half, right: at + half, ..axis };
        if area.left >= window.left && area.right <= window.right && !taken.iter().any(|t| t.overlaps(&area)) {
            painter.text(text, LABEL, (at, y), HPos::Center, painter.colors.dim)?;
            taken.push(area);
        }
    }
    if taken.is_empty() && !ends.single {
        span_ends(painter, chart, &axis, ends)?;
    }
    // Times of day do not say of which day: the corner does.
    let day = date_text(span.end.saturating_sub(1), &chart.zone);
    let left = right_edge - 4.0 - painter.width(&day, LABEL);
    let area = Area { left: left - 4.0, right: right_edge, ..axis };
    if ends.last && left > axis.right && !taken.iter().any(|t| t.overlaps(&area)) {
        painter.text(&day, LABEL, (left, y), HPos::Left, painter.colors.dim)?;
    }
    let Some((area, text)) = cross else { return Ok(()) };
    let tag = Area { top: (y - 9.0).round(), bottom: (y - 9.0).round() + TAG_PX, ..area };
    let (ground, ink) = tag_colors(painter.colors.theme, painter.colors.crosshair);
    painter.rounded(tag, TAG_RADIUS_PX, ground)?;
    painter.text(&text, TAG, (tag.left + 6.0, tag.middle()), HPos::Left, ink)
}

/// The first and the last instant of a span, at the ends of the axis.
fn span_ends<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    chart: &Chart,
    axis: &Area,
    ends: Ends,
) -> Result<(), PlotError> {
    let span = chart.viewport.time;
    let length_ns = (i128::from(span.end) - i128::from(span.start)) as f64;
    let text = |time_ns: i64| instant_text(time_ns, &chart.zone, length_ns / ENDS_PARTS, false);
    for (shown, time_ns, x, anchor) in
        [(ends.first, span.start, axis.left, HPos::Left), (ends.last, span.end, axis.right, HPos::Right)]
    {
        let text = text(time_ns);
        if shown && painter.width(&text, LABEL) <= axis.width() {
            painter.text(&text, LABEL, (x, axis.middle()), anchor, painter.colors.dim)?;
        }
    }
    Ok(())
}

/// Where the crosshair's time stands on the axis, and what it says.
fn cross_time<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    chart: &Chart,
    frame: &Layout,
    axis: &Area,
    window: &Area,
) -> Option<(Area, String)> {
    let cross = chart.crosshair.as_ref().filter(|cross| (frame.plot.left..frame.plot.right).contains(&cross.x))?;
    let span = chart.viewport.time;
    let length_ns = (i128::from(span.end) - i128::from(span.start)) as f64;
    let text = instant_text(cross.time_ns, &chart.zone, length_ns / axis.width(), length_ns > DATED_NS as f64);
    let width = (painter.width(&text, TAG) + 12.0).ceil();
    let at = axis.left + time_share(span, cross.time_ns) * axis.width();
    let x = if cross.snapped { at } else { f64::from(cross.x) + 0.5 };
    let left = (x - width / 2.0).round();
    Some((Area { left, right: left + width, ..*axis }.moved_into(window), text))
}
