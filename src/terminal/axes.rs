//! Labels of the two axes, and the tags on them.

use super::chart::{cell_of, column_of, row_of};
use super::frame::{Chart, Tag};
use super::layout::CellLayout;
use crate::terminal::canvas::{Sheet, clipped, width};

/// Draws both axes.
pub(super) fn draw(sheet: &mut Sheet<'_>, layout: &CellLayout, chart: &Chart) {
    values(sheet, layout, chart);
    times(sheet, layout, chart);
}

fn values(sheet: &mut Sheet<'_>, layout: &CellLayout, chart: &Chart) {
    let (axis, look, colors) = (layout.value_axis, sheet.look, sheet.colors);
    let room = axis.width - 1;
    for (value, label) in &chart.value_ticks {
        if let Some(row) = row_of(layout, chart, *value) {
            sheet.text_left_of(axis.right() - 1, row, label, room, colors.style(look.dim, look.ground));
        }
    }
    for (row, tag) in spread(layout, chart) {
        let text = format!("{:>room$} ", clipped(&tag.text, room), room = usize::from(room));
        sheet.text(axis.x, row, &text, axis.width, colors.patch(tag.color));
    }
    if let Some(cross) = &chart.crosshair {
        let (_, row) = cell_of(layout, cross.at);
        let text = format!("{:>room$} ", clipped(&cross.value, room), room = usize::from(room));
        sheet.text(axis.x, row, &text, axis.width, colors.patch(look.dim));
    }
}

/// Each tag with a row of its own, as near to where it points as the others let it; those without room are left out.
fn spread<'a>(layout: &CellLayout, chart: &'a Chart) -> Vec<(u16, &'a Tag)> {
    let mut tags: Vec<(u16, &Tag)> =
        chart.tags.iter().filter_map(|tag| Some((row_of(layout, chart, tag.value)?, tag))).collect();
    tags.sort_by_key(|(row, _)| *row);
    tags.truncate(usize::from(layout.plot.height));
    // Downwards until each has its own row, then back up from the bottom.
    let mut free = layout.plot.top();
    for (row, _) in &mut tags {
        *row = (*row).max(free);
        free = *row + 1;
    }
    let mut last = layout.plot.bottom();
    for (row, _) in tags.iter_mut().rev() {
        *row = (*row).min(last.saturating_sub(1));
        last = *row;
    }
    tags
}

fn times(sheet: &mut Sheet<'_>, layout: &CellLayout, chart: &Chart) {
    let (axis, look, colors) = (layout.time_axis, sheet.look, sheet.colors);
    let cross = chart.crosshair.as_ref().map(|cross| {
        let (column, _) = cell_of(layout, cross.at);
        let text = format!(" {} ", cross.time);
        let x = column.saturating_sub(width(&text) / 2).max(axis.x).min(axis.right().saturating_sub(width(&text)));
        (x, text)
    });
    let taken = cross.as_ref().map_or(0..0, |(x, text)| *x..x + width(text));
    let mut free = axis.x;
    for (time_ns, label) in &chart.time_ticks {
        let Some(column) = column_of(layout, chart, *time_ns) else { continue };
        let x = column.saturating_sub(width(label) / 2);
        let end = x + width(label);
        let is_free = x >= free && end <= layout.plot.right() && (end <= taken.start || x >= taken.end);
        if is_free {
            free = sheet.text(x, axis.y, label, width(label), colors.style(look.dim, look.ground)) + 1;
        }
    }
    if let Some((x, text)) = cross {
        sheet.text(x, axis.y, &text, width(&text), colors.patch(look.dim));
    }
}
