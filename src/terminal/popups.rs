//! What floats above the chart: title, read-out, messages, search, help.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::Rgb;
use super::chart::cell_of;
use super::frame::{Chart, Crosshair, Frame, Message, Notice, Reading, Search, Word};
use super::layout::CellLayout;
use crate::terminal::canvas::{Sheet, width};

/// Draws everything that floats.
pub(super) fn draw(sheet: &mut Sheet<'_>, layout: &CellLayout, frame: &Frame) {
    title(sheet, layout, &frame.chart);
    if let Some(notice) = &frame.chart.notice {
        draw_notice(sheet, layout, notice);
    }
    if let Some(measured) = &frame.chart.ruler {
        ruler(sheet, layout, &measured.message);
    }
    if let Some(cross) = &frame.chart.crosshair {
        readout(sheet, layout, cross);
    }
    if let Some(toast) = &frame.toast {
        draw_toast(sheet, layout, toast);
    }
    if let Some(search) = &frame.search {
        draw_search(sheet, layout, search);
    }
    if let Some(help) = &frame.help {
        draw_help(sheet, layout, help);
    }
}

/// A box with a frame and blanks in it; what is left inside.
fn panel(sheet: &mut Sheet<'_>, area: Rect, edge: Rgb) -> Rect {
    let style = sheet.colors.style(edge, sheet.look.strip);
    sheet.clear(area, style);
    if area.width < 2 || area.height < 2 {
        return area;
    }
    let (left, right, top, bottom) = (area.left(), area.right() - 1, area.top(), area.bottom() - 1);
    let bar = "\u{2500}".repeat(usize::from(area.width - 2));
    sheet.text(left, top, &format!("\u{250c}{bar}\u{2510}"), area.width, style);
    sheet.text(left, bottom, &format!("\u{2514}{bar}\u{2518}"), area.width, style);
    for y in top + 1..bottom {
        sheet.text(left, y, "\u{2502}", 1, style);
        sheet.text(right, y, "\u{2502}", 1, style);
    }
    Rect { x: left + 1, y: top + 1, width: area.width - 2, height: area.height - 2 }
}

/// A box of this size in the middle of `within`, as far as there is room.
fn centred(within: Rect, columns: u16, rows: u16) -> Rect {
    let (width, height) = (columns.min(within.width), rows.min(within.height));
    let (x, y) = (within.x + (within.width - width) / 2, within.y + (within.height - height) / 2);
    Rect { x, y, width, height }
}

fn title(sheet: &mut Sheet<'_>, layout: &CellLayout, chart: &Chart) {
    let mut x = layout.plot.x + 1;
    for word in &chart.title {
        let style = sheet.colors.style(word.color, sheet.look.ground);
        x = sheet.text(x, layout.plot.y, &word.text, layout.plot.right().saturating_sub(x), style) + 1;
    }
}

fn draw_notice(sheet: &mut Sheet<'_>, layout: &CellLayout, notice: &Notice) {
    let room = layout.plot.width.saturating_sub(2);
    let (look, colors) = (sheet.look, sheet.colors);
    // What is to be typed stands out; it must be there to its last letter, so lines are broken and not cut.
    let ink = |line: &String| if line.contains('`') { look.text } else { look.dim };
    let lines = notice.lines.iter().flat_map(|line| {
        let style = colors.style(ink(line), look.ground);
        broken(&line.replace('`', ""), room).into_iter().map(move |part| (part, style))
    });
    let title = colors.style(notice.title.color, look.ground).add_modifier(Modifier::BOLD);
    let mut rows: Vec<(String, Style)> =
        broken(&notice.title.text, room).into_iter().map(|part| (part, title)).collect();
    if !notice.lines.is_empty() {
        rows.push((String::new(), title));
    }
    rows.extend(lines);
    let widest = rows.iter().map(|(line, _)| width(line)).max().unwrap_or(0);
    let area = centred(layout.plot, widest + 2, rows.len() as u16);
    sheet.clear(area, colors.style(look.text, look.ground));
    for (y, (line, style)) in (area.top()..area.bottom()).zip(&rows) {
        let x = area.x + area.width.saturating_sub(width(line)) / 2;
        sheet.text(x, y, line, area.width, *style);
    }
}

/// A text in lines of at most so many columns, broken between words, or within one that is longer.
fn broken(text: &str, columns: u16) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let mut line = lines.pop().unwrap_or_default();
        if !line.is_empty() && width(&line) + width(word.trim_end()) > columns {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
        }
        for c in word.chars() {
            if width(&line) >= columns {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
        lines.push(line);
    }
    if let Some(last) = lines.last_mut() {
        last.truncate(last.trim_end().len());
    }
    lines
}

fn ruler(sheet: &mut Sheet<'_>, layout: &CellLayout, message: &Message) {
    let widest = message.lines.iter().map(|line| width(line)).max().unwrap_or(0);
    let area = Rect {
        width: (widest + 4).min(layout.plot.width),
        height: (message.lines.len() as u16 + 2).min(layout.plot.height),
        ..layout.plot
    };
    let inside = panel(sheet, area, message.color);
    let style = sheet.colors.style(sheet.look.text, sheet.look.strip);
    for (row, line) in (inside.top()..inside.bottom()).zip(&message.lines) {
        sheet.text(inside.x + 1, row, line, inside.width.saturating_sub(1), style);
    }
}

/// Beside the crosshair, on the side where there is more room.
fn readout(sheet: &mut Sheet<'_>, layout: &CellLayout, cross: &Crosshair) {
    if cross.rows.is_empty() {
        return;
    }
    let longest = |text: fn(&Reading) -> &str| cross.rows.iter().map(|row| width(text(row))).max().unwrap_or(0);
    let (symbol, price) = (longest(|row| &row.symbol), longest(|row| &row.price));
    let columns = 2 + symbol + 1 + price + 1 + longest(|row| &row.change.text) + 4;
    let (x, _) = cell_of(layout, cross.at);
    let plot = layout.plot;
    let is_left = x - plot.x < plot.width / 2;
    let columns = columns.min(plot.width);
    let left = if is_left { plot.right() - columns } else { plot.x };
    let height = (cross.rows.len() as u16 + 2).min(plot.height);
    let inside = panel(sheet, Rect { x: left, y: plot.y, width: columns, height }, sheet.look.dim);
    let (look, colors) = (sheet.look, sheet.colors);
    let shown = usize::from(inside.height);
    for (row, reading) in (inside.top()..inside.bottom()).zip(cross.rows.iter().take(shown)) {
        let x = inside.x + 1;
        sheet.text(x, row, "\u{25a0}", 1, colors.style(reading.color, look.strip));
        let text = colors.style(look.text, look.strip);
        sheet.text(x + 2, row, &reading.symbol, inside.right().saturating_sub(x + 2), text);
        sheet.text_left_of(x + 2 + symbol + 1 + price, row, &reading.price, price, text);
        let change = colors.style(reading.change.color, look.strip);
        sheet.text_left_of(inside.right() - 1, row, &reading.change.text, inside.width, change);
    }
}

fn draw_toast(sheet: &mut Sheet<'_>, layout: &CellLayout, toast: &Word) {
    let row = layout.plot.bottom() - 1;
    let columns = (width(&toast.text) + 2).min(layout.plot.width);
    let area = Rect { x: layout.plot.x, y: row, width: columns, height: 1 };
    let style = sheet.colors.style(toast.color, sheet.look.strip);
    sheet.clear(area, style);
    sheet.text(area.x + 1, row, &toast.text, columns.saturating_sub(2), style);
}

impl CellLayout {
    /// The search box, at the top of the plot.
    fn search_box(&self, search: &Search) -> Rect {
        const COLUMNS: u16 = 44;
        let rows = search.found.len() as u16 + 3 + u16::from(search.more > 0);
        Rect { y: self.plot.y, ..centred(self.plot, COLUMNS, rows) }
    }

    /// Where each finding of a search can be clicked, in dots from the plot's top left.
    pub fn findings(&self, search: &Search) -> Vec<crate::chart::Rect> {
        let area = self.search_box(search);
        let rows = area.y + 2..area.bottom().saturating_sub(1);
        let found = rows.take(search.found.len());
        found.map(|y| self.dots_of(Rect { x: area.x + 1, y, width: area.width - 2, height: 1 })).collect()
    }
}

fn draw_search(sheet: &mut Sheet<'_>, layout: &CellLayout, search: &Search) {
    let inside = panel(sheet, layout.search_box(search), sheet.look.info);
    let (look, colors) = (sheet.look, sheet.colors);
    let text = colors.style(look.text, look.strip);
    sheet.text(inside.x + 1, inside.y, &format!("/{}\u{258f}", search.query), inside.width - 1, text);
    for (number, (row, entry)) in (inside.y + 1..inside.bottom()).zip(&search.found).enumerate() {
        let style = if number == search.chosen { text.add_modifier(Modifier::REVERSED) } else { text };
        let square = if entry.visible { "\u{25a0}" } else { "\u{25a1}" };
        sheet.text(inside.x + 1, row, square, 1, colors.style(entry.color, look.strip));
        let x = sheet.text(inside.x + 3, row, &entry.symbol, inside.width - 3, style);
        sheet.text_left_of(inside.right() - 1, row, &entry.last, inside.right().saturating_sub(x + 2), text);
    }
    if search.more > 0 {
        let dim = colors.style(look.dim, look.strip);
        sheet.text(inside.x + 3, inside.bottom() - 1, &format!("+{} more", search.more), inside.width - 3, dim);
    }
}

fn draw_help(sheet: &mut Sheet<'_>, layout: &CellLayout, rows: &[(String, String)]) {
    let keys = rows.iter().map(|(key, _)| width(key)).max().unwrap_or(0);
    let texts = rows.iter().map(|(_, text)| width(text)).max().unwrap_or(0);
    let whole = Rect { x: 0, y: 0, width: layout.header.width, height: layout.footer.bottom() };
    let (columns, lines) = (keys + texts + 7, rows.len() as u16);
    // On a low screen the lines matter more than a frame around them.
    let inside = if lines + 4 <= whole.height {
        panel(sheet, centred(whole, columns, lines + 2), sheet.look.dim)
    } else {
        let area = centred(whole, columns, lines);
        sheet.clear(area, sheet.colors.style(sheet.look.dim, sheet.look.strip));
        area
    };
    let (look, colors) = (sheet.look, sheet.colors);
    let bold = colors.style(look.text, look.strip).add_modifier(Modifier::BOLD);
    let plain: Style = colors.style(look.dim, look.strip);
    for (row, (key, text)) in (inside.top()..inside.bottom()).zip(rows) {
        let x = inside.x + 2;
        sheet.text(x, row, key, inside.width.saturating_sub(2), bold);
        let x = x + keys + 2;
        sheet.text(x, row, text, inside.right().saturating_sub(x), plain);
    }
    let shown = usize::from(inside.height);
    if shown < rows.len() {
        let last = Rect { y: inside.bottom() - 1, height: 1, ..inside };
        sheet.clear(last, plain);
        let more = format!("+{} more, where there is room", rows.len() + 1 - shown);
        sheet.text(inside.x + 2, last.y, &more, inside.width.saturating_sub(2), plain);
    }
}

#[cfg(test)]
mod tests {
    use crate::terminal::popups::broken;

    #[test]
    fn lines_are_broken_between_words_and_nothing_is_lost() {
        assert_eq!(broken("one two three", 8), ["one two", "three"]);
        assert_eq!(broken("one", 8), ["one"]);
        assert_eq!(broken("", 8), [""]);
        assert_eq!(broken("a redis://127.0.0.1:6379 b", 10), ["a", "redis://12", "7.0.0.1:63", "79 b"]);
        let long = "word ".repeat(40) + &"x".repeat(100);
        assert_eq!(broken(&long, 13).concat().replace(' ', ""), long.replace(' ', ""));
        assert!(broken(&long, 13).iter().all(|line| super::width(line) <= 13));
    }
}
