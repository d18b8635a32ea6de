//! Header, watchlist and footer.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::frame::{Frame, Watched, Word};
use super::layout::{CellLayout, HELP};
use crate::terminal::canvas::{Sheet, clipped, width};

/// Between two words of a strip.
const AIR: u16 = 2;

/// Columns of a price and of a change in the watchlist at the left, unless they need more.
const LAST_COLUMNS: u16 = 11;
const CHANGE_COLUMNS: u16 = 9;

/// Columns that a symbol has at least: three letters and a sign that it goes on.
const NAME_COLUMNS_MIN: u16 = 4;

/// Columns of one entry of the watchlist above the chart.
const ENTRY_COLUMNS_MIN: u16 = 20;

/// State, channel and span.
pub(super) fn header(sheet: &mut Sheet<'_>, layout: &CellLayout, frame: &Frame) {
    let (area, look, colors) = (layout.header, frame.look, sheet.colors);
    sheet.clear(area, colors.style(look.text, look.strip));
    let span_columns = width(&frame.span) + 1;
    sheet.text_left_of(area.right() - 1, area.y, &frame.span, area.width, colors.style(look.dim, look.strip));
    let end = area.right().saturating_sub(span_columns + AIR);
    let mut x = badge(sheet, area.x + 1, area.y, end, &frame.badge);
    if let Some(view) = &frame.view_badge {
        x = badge(sheet, x + 1, area.y, end, view);
    }
    x += 1;
    sheet.text(x, area.y, &frame.channel, end.saturating_sub(x), colors.style(look.dim, look.strip));
}

fn badge(sheet: &mut Sheet<'_>, x: u16, y: u16, end: u16, word: &Word) -> u16 {
    let style = sheet.colors.patch(word.color).add_modifier(Modifier::BOLD);
    sheet.text(x, y, &format!(" {} ", word.text), end.saturating_sub(x), style)
}

/// Figures, as far as they fit, and where to find help.
pub(super) fn footer(sheet: &mut Sheet<'_>, layout: &CellLayout, figures: &[Word]) {
    let (area, look, colors) = (layout.footer, sheet.look, sheet.colors);
    sheet.clear(area, colors.style(look.dim, look.strip));
    sheet.text_left_of(area.right() - 1, area.y, HELP, area.width, colors.style(look.dim, look.strip));
    let end = area.right().saturating_sub(width(HELP) + 1 + AIR);
    let mut x = area.x + 1;
    for figure in figures {
        if x + width(&figure.text) > end {
            break;
        }
        x = sheet.text(x, area.y, &figure.text, end - x, colors.style(figure.color, look.strip)) + AIR;
    }
}

/// Symbols with price and change: a column of them at the left, or a row or two above the chart.
pub(super) fn watchlist(sheet: &mut Sheet<'_>, layout: &CellLayout, watched: &[Watched]) {
    let area = layout.watchlist;
    sheet.clear(area, sheet.colors.style(sheet.look.text, sheet.look.strip));
    let places = layout.entries(watched);
    for (index, place) in &places {
        if let Some(entry) = watched.get(*index) {
            row(sheet, *place, *index, entry, layout.is_beside());
        }
    }
    let hidden = watched.len().saturating_sub(places.len());
    if hidden > 0 {
        let style = sheet.colors.style(sheet.look.dim, sheet.look.strip);
        let text = format!("+{hidden} more");
        if layout.is_beside() {
            sheet.text(area.x + 3, area.bottom() - 1, &text, area.width - 3, style);
        } else {
            sheet.text_left_of(area.right() - 1, area.bottom() - 1, &text, area.width, style);
        }
    }
}

fn row(sheet: &mut Sheet<'_>, place: Rect, index: usize, entry: &Watched, is_beside: bool) {
    let (look, colors, y) = (sheet.look, sheet.colors, place.y);
    let mut plain = colors.style(if entry.visible { look.text } else { look.dim }, look.strip);
    let mut dim = colors.style(look.dim, look.strip);
    let mut change = colors.style(if entry.visible { entry.change.color } else { look.dim }, look.strip);
    for style in [&mut plain, &mut dim, &mut change] {
        *style = emphasis(*style, entry);
    }
    let digit = if index < 9 { (index + 1).to_string() } else { String::new() };
    let mut x = place.x;
    if is_beside {
        sheet.text(x + 1, y, &digit, 1, dim);
        x += 3;
    }
    let square = if entry.visible { "\u{25a0}" } else { "\u{25a1}" };
    sheet.text(x, y, square, 1, colors.style(entry.color, look.strip));
    x += 2;
    // A figure is shown whole or not at all; the name has what they leave.
    let room = place.right().saturating_sub(x);
    let (last, percent) = (width(&entry.last), width(&entry.change.text));
    let mut figures = if is_beside { LAST_COLUMNS.max(last + 1) } else { last + 1 };
    let change_columns = if is_beside { CHANGE_COLUMNS.max(percent + 1) } else { percent + 1 };
    let has_change = figures + change_columns + NAME_COLUMNS_MIN <= room;
    if has_change {
        figures += change_columns;
    }
    let name = clipped(&entry.symbol, room.saturating_sub(figures));
    if is_beside {
        sheet.text(x, y, &name, room, plain);
        if has_change {
            sheet.text_left_of(place.right(), y, &entry.change.text, percent, change);
        }
        let end = place.right() - if has_change { change_columns } else { 0 };
        sheet.text_left_of(end, y, &entry.last, room, plain);
    } else {
        x = sheet.text(x, y, &name, room, plain) + 1;
        x = sheet.text(x, y, &entry.last, place.right().saturating_sub(x), plain) + 1;
        if has_change {
            sheet.text(x, y, &entry.change.text, place.right().saturating_sub(x), change);
        }
    }
}

fn emphasis(style: Style, entry: &Watched) -> Style {
    match (entry.focused, entry.visible) {
        (true, _) => style.add_modifier(Modifier::BOLD),
        (false, false) => style.add_modifier(Modifier::DIM),
        (false, true) => style,
    }
}

impl CellLayout {
    /// Which symbols of the watchlist are shown, and where. Where they do not all fit, the focused one is among them,
    /// and room is kept to say how many are not.
    pub(super) fn entries(&self, watched: &[Watched]) -> Vec<(usize, Rect)> {
        let area = self.watchlist;
        if self.is_beside() {
            let rows = usize::from(area.height);
            let room = if watched.len() > rows { rows.saturating_sub(1) } else { rows };
            let focused = watched.iter().position(|entry| entry.focused).unwrap_or(0);
            let first = (focused + 1).saturating_sub(room);
            let shown = (first..watched.len()).take(room);
            let place = |(row, index): (usize, usize)| {
                (index, Rect { x: area.x, y: area.y + row as u16, width: area.width - 1, height: 1 })
            };
            return shown.enumerate().map(place).collect();
        }
        // As many columns as they take, so that a few of them have room for all their figures.
        let needed = watched.len().div_ceil(usize::from(area.height.max(1))).min(usize::from(area.width));
        let per_row = (area.width / ENTRY_COLUMNS_MIN).min(needed as u16).max(1);
        let columns = (area.width - 1) / per_row;
        let places = usize::from(per_row * area.height);
        let room = if watched.len() > places { places.saturating_sub(1) } else { places };
        let focused = watched.iter().position(|entry| entry.focused).unwrap_or(0);
        let first = (focused + 1).saturating_sub(room);
        let place = |(at, index): (usize, usize)| {
            let (x, y) = (at as u16 % per_row * columns, at as u16 / per_row);
            (index, Rect { x: area.x + 1 + x, y: area.y + y, width: columns - 1, height: 1 })
        };
        (first..watched.len()).take(room).enumerate().map(place).collect()
    }

    /// Where each symbol of the watchlist can be clicked, in dots from the plot's top left.
    pub fn clickable(&self, watched: &[Watched]) -> Vec<(usize, crate::chart::Rect)> {
        self.entries(watched).into_iter().map(|(index, place)| (index, self.dots_of(place))).collect()
    }
}
