//! Header, watchlist and footer.

use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::canvas::{Canvas, clipped, width};
use super::layout::{CellLayout, HELP};
use crate::chart::{Badge, Footer, Header, LegendEntry, Tone, format};

/// Columns between two texts of a strip.
const GAP_COLUMNS: u16 = 2;

/// Columns of a price and of a change in the watchlist at the left, unless they need more.
const LAST_COLUMNS: u16 = 11;
const CHANGE_COLUMNS: u16 = 9;

/// Minimum columns of a symbol: three letters and an ellipsis.
const SYMBOL_COLUMNS_MIN: u16 = 4;

/// Minimum columns of an entry of the watchlist above the chart.
const ENTRY_COLUMNS_MIN: u16 = 20;

/// Draws connection state, channel and visible span.
pub(super) fn header(canvas: &mut Canvas<'_>, layout: &CellLayout, header: &Header) {
    let (area, colors) = (layout.header, canvas.colors);
    let (text, dim) = (canvas.on_strip(colors.text), canvas.on_strip(colors.dim));
    canvas.clear(area, text);
    canvas.text_left_of(area.right() - 1, area.y, &header.span, area.width, dim);
    let end = area.right().saturating_sub(width(&header.span) + 1 + GAP_COLUMNS);
    let mut x = badge(canvas, area.x + 1, area.y, end, &header.badge);
    if let Some(view) = &header.view_badge {
        x = badge(canvas, x + 1, area.y, end, view);
    }
    x += 1;
    canvas.text(x, area.y, &header.channel, end.saturating_sub(x), dim);
}

fn badge(canvas: &mut Canvas<'_>, x: u16, y: u16, end: u16, badge: &Badge) -> u16 {
    let style = canvas.depth.patch(canvas.colors.tone(badge.tone)).add_modifier(Modifier::BOLD);
    canvas.text(x, y, &format!(" {} ", badge.text), end.saturating_sub(x), style)
}

/// Draws as many figures as fit, and the hint to the help.
pub(super) fn footer(canvas: &mut Canvas<'_>, layout: &CellLayout, footer: &Footer) {
    let (area, colors) = (layout.footer, canvas.colors);
    let dim = canvas.on_strip(colors.dim);
    canvas.clear(area, dim);
    canvas.text_left_of(area.right() - 1, area.y, HELP, area.width, dim);
    let end = area.right().saturating_sub(width(HELP) + 1 + GAP_COLUMNS);
    let mut x = area.x + 1;
    for (tone, text) in &footer.figures {
        if x + width(text) > end {
            break;
        }
        // A normal state needs no colour.
        let style = if *tone == Tone::Good { dim } else { canvas.on_strip(colors.tone(*tone)) };
        x = canvas.text(x, area.y, text, end - x, style) + GAP_COLUMNS;
    }
}

/// Draws symbols with price and change: a column at the left of the chart, or a row or two above it.
pub(super) fn watchlist(canvas: &mut Canvas<'_>, layout: &CellLayout, legend: &[LegendEntry]) {
    let area = layout.watchlist;
    canvas.clear(area, canvas.on_strip(canvas.colors.text));
    let entries = layout.entries(legend);
    for (index, area) in &entries {
        if let Some(entry) = legend.get(*index) {
            draw_entry(canvas, *area, *index, entry, layout.is_list_left());
        }
    }
    let hidden = legend.len().saturating_sub(entries.len());
    if hidden > 0 {
        let style = canvas.on_strip(canvas.colors.dim);
        let text = format!("+{hidden} more");
        if layout.is_list_left() {
            canvas.text(area.x + 3, area.bottom() - 1, &text, area.width - 3, style);
        } else {
            canvas.text_left_of(area.right() - 1, area.bottom() - 1, &text, area.width, style);
        }
    }
}

fn draw_entry(canvas: &mut Canvas<'_>, area: Rect, index: usize, entry: &LegendEntry, is_list_left: bool) {
    let (colors, y) = (canvas.colors, area.y);
    let shown = |color| if entry.visible { color } else { colors.dim };
    let emphasis = match (entry.focused, entry.visible) {
        (true, _) => Modifier::BOLD,
        (false, false) => Modifier::DIM,
        (false, true) => Modifier::empty(),
    };
    let style = |color| canvas.on_strip(color).add_modifier(emphasis);
    let (text, dim) = (style(shown(colors.text)), style(colors.dim));
    let change = style(shown(colors.change(entry.change_percent.unwrap_or(0.0))));
    let last = entry.last.as_deref().unwrap_or_default();
    let percent = entry.change_percent.map(format::percent).unwrap_or_default();
    let mut x = area.x;
    if is_list_left {
        let digit = if index < 9 { (index + 1).to_string() } else { String::new() };
        canvas.text(x + 1, y, &digit, 1, dim);
        x += 3;
    }
    canvas.symbol_square((x, y), entry.palette_index, entry.visible);
    x += 2;
    // A figure is shown whole or not at all; the symbol gets the rest of the room.
    let room = area.right().saturating_sub(x);
    let min = |columns: u16| if is_list_left { columns } else { 0 };
    let mut figures = min(LAST_COLUMNS).max(width(last) + 1);
    let change_columns = min(CHANGE_COLUMNS).max(width(&percent) + 1);
    let has_change = figures + change_columns + SYMBOL_COLUMNS_MIN <= room;
    if has_change {
        figures += change_columns;
    }
    let symbol = clipped(&entry.symbol, room.saturating_sub(figures));
    if is_list_left {
        canvas.text(x, y, &symbol, room, text);
        if has_change {
            canvas.text_left_of(area.right(), y, &percent, width(&percent), change);
        }
        let end = area.right() - if has_change { change_columns } else { 0 };
        canvas.text_left_of(end, y, last, room, text);
    } else {
        x = canvas.text(x, y, &symbol, room, text) + 1;
        x = canvas.text(x, y, last, area.right().saturating_sub(x), text) + 1;
        if has_change {
            canvas.text(x, y, &percent, area.right().saturating_sub(x), change);
        }
    }
}

impl CellLayout {
    /// Entries of the watchlist that fit, by their index in the legend, with their areas. If not all fit, the focused
    /// one is among them, and one place is left free for the number of hidden ones.
    pub(super) fn entries(&self, legend: &[LegendEntry]) -> Vec<(usize, Rect)> {
        let area = self.watchlist;
        let (per_row, columns, left) = if self.is_list_left() {
            (1, area.width, 0)
        } else {
            // As many columns as the entries need, so that a few of them have room for all their figures.
            let needed = legend.len().div_ceil(usize::from(area.height.max(1))).min(usize::from(area.width));
            let per_row = (area.width / ENTRY_COLUMNS_MIN).min(needed as u16).max(1);
            (per_row, (area.width - 1) / per_row, 1)
        };
        let places = usize::from(per_row * area.height);
        let room = if legend.len() > places { places.saturating_sub(1) } else { places };
        let focused = legend.iter().position(|entry| entry.focused).unwrap_or(0);
        let first = (focused + 1).saturating_sub(room);
        let place = |(at, index): (usize, usize)| {
            let (x, y) = (at as u16 % per_row * columns, at as u16 / per_row);
            (index, Rect { x: area.x + left + x, y: area.y + y, width: columns - 1, height: 1 })
        };
        (first..legend.len()).take(room).enumerate().map(place).collect()
    }
}
