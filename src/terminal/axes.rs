//! Labels and tags of both axes.

use jiff::tz::TimeZone;

use super::canvas::{Canvas, clipped, width};
use super::plot::Plot;
use crate::chart::{AxisKind, Chart, Rgb, Tag, format, instant_text};
use crate::model::{NS_PER_S, TimeSpan};

const NS_PER_DAY: i64 = 86_400 * NS_PER_S;

/// Draws both axes.
pub(super) fn draw(canvas: &mut Canvas<'_>, plot: &Plot<'_>) {
    draw_values(canvas, plot);
    draw_times(canvas, plot);
}

fn draw_values(canvas: &mut Canvas<'_>, plot: &Plot<'_>) {
    let (axis, chart) = (plot.layout.value_axis, plot.chart);
    let room = axis.width - 1;
    let dim = canvas.on_background(canvas.colors.dim);
    for (value, label) in &plot.value_ticks {
        if let Some(row) = plot.row_of(*value) {
            canvas.text_left_of(axis.right() - 1, row, label, room, dim);
        }
    }
    let colors = canvas.colors;
    let mut tag = |row: u16, text: &str, color: Rgb| {
        let text = format!("{:>room$} ", clipped(text, room), room = usize::from(room));
        canvas.text(axis.x, row, &text, axis.width, canvas.depth.patch(color));
    };
    for (row, last) in tag_rows(plot) {
        tag(row, &last.text, colors.palette_color(last.palette_index));
    }
    if let Some(crosshair) = &chart.crosshair {
        tag(plot.cell_at(crosshair).1, &value_text(crosshair.value, chart), colors.dim);
    }
}

/// Gives each tag a row of its own, as near to its value as the others allow. Tags that do not fit are left out.
fn tag_rows<'a>(plot: &Plot<'a>) -> Vec<(u16, &'a Tag)> {
    let area = plot.layout.plot;
    let mut tags: Vec<(u16, &Tag)> =
        plot.chart.tags.iter().filter_map(|tag| Some((plot.row_of(tag.value)?, tag))).collect();
    tags.sort_by_key(|(row, _)| *row);
    tags.truncate(usize::from(area.height));
    // Push down until each tag has its own row, then push back up from the bottom.
    let mut free = area.top();
    for (row, _) in &mut tags {
        *row = (*row).max(free);
        free = *row + 1;
    }
    let mut last = area.bottom();
    for (row, _) in tags.iter_mut().rev() {
        *row = (*row).min(last.saturating_sub(1));
        last = *row;
    }
    tags
}

fn draw_times(canvas: &mut Canvas<'_>, plot: &Plot<'_>) {
    let (axis, chart) = (plot.layout.time_axis, plot.chart);
    let tag = chart.crosshair.as_ref().map(|crosshair| {
        let (column, _) = plot.cell_at(crosshair);
        let text = format!(" {} ", time_text(crosshair.time_ns, chart.viewport.time, &chart.zone));
        let x = column.saturating_sub(width(&text) / 2).max(axis.x).min(axis.right().saturating_sub(width(&text)));
        (x, text)
    });
    let taken = tag.as_ref().map_or(0..0, |(x, text)| *x..x + width(text));
    let dim = canvas.on_background(canvas.colors.dim);
    let mut free = axis.x;
    for (time_ns, label) in &plot.time_ticks {
        let Some(column) = plot.column_of(*time_ns) else { continue };
        let x = column.saturating_sub(width(label) / 2);
        let end = x + width(label);
        if x >= free && end <= plot.layout.plot.right() && (end <= taken.start || x >= taken.end) {
            free = canvas.text(x, axis.y, label, width(label), dim) + 1;
        }
    }
    if let Some((x, text)) = tag {
        canvas.text(x, axis.y, &text, width(&text), canvas.depth.patch(canvas.colors.dim));
    }
}

/// Value under the crosshair, as the axis writes it.
fn value_text(value: f64, chart: &Chart) -> String {
    match chart.axis {
        AxisKind::Price => format::price(value, chart.decimals),
        AxisKind::Percent => format::percent(value),
        AxisKind::Log => format::price(10_f64.powf(value), chart.decimals),
    }
}

/// Instant under the crosshair, as precise as the visible span calls for.
fn time_text(time_ns: i64, span: TimeSpan, zone: &TimeZone) -> String {
    let (precision_ns, is_dated) = match span.len_ns() {
        len if len >= 2 * NS_PER_DAY => (60 * NS_PER_S, true),
        len if len < 120 * NS_PER_S => (NS_PER_S / 1_000, false),
        _ => (NS_PER_S, false),
    };
    instant_text(time_ns, zone, precision_ns as f64, is_dated)
}
