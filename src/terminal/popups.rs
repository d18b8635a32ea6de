//! Popups over the chart: title, notice, ruler, read-out, toast, search, help.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Block, Widget as _};

use super::canvas::{Canvas, width};
use super::layout::CellLayout;
use super::plot::Plot;
use crate::chart::{Badge, Crosshair, Notice, Readout, Rgb, Ruler, Scene, Search, Title, format};

/// Columns of the search box.
const SEARCH_COLUMNS: u16 = 44;

/// Draws all popups.
pub(super) fn draw(canvas: &mut Canvas<'_>, plot: &Plot<'_>, scene: &Scene) {
    let (layout, chart) = (plot.layout, plot.chart);
    if let Some(title) = &chart.title {
        draw_title(canvas, layout, title);
    }
    if let Some(notice) = &chart.notice {
        draw_notice(canvas, layout, notice);
    }
    if let Some(ruler) = &chart.ruler {
        draw_ruler(canvas, layout, ruler);
    }
    if let Some(crosshair) = chart.crosshair.as_ref().filter(|crosshair| !crosshair.rows.is_empty()) {
        draw_readout(canvas, plot, crosshair);
    }
    if let Some(toast) = &scene.toast {
        draw_toast(canvas, layout, toast);
    }
    if let Some(search) = &scene.search {
        draw_search(canvas, layout, search);
    }
    if let Some(help) = &scene.help {
        draw_help(canvas, layout, help);
    }
}

/// Draws an outlined, empty panel and returns its inside.
fn panel(canvas: &mut Canvas<'_>, area: Rect, edge: Rgb) -> Rect {
    let style = canvas.on_strip(edge);
    canvas.clear(area, style);
    let block = Block::bordered().style(style);
    let inside = block.inner(area);
    block.render(area, canvas.cells);
    inside
}

/// Area of the given size in the middle of `within`, clipped to it.
fn centered(within: Rect, columns: u16, rows: u16) -> Rect {
    let (width, height) = (columns.min(within.width), rows.min(within.height));
    let (x, y) = (within.x + (within.width - width) / 2, within.y + (within.height - height) / 2);
    Rect { x, y, width, height }
}

fn draw_title(canvas: &mut Canvas<'_>, layout: &CellLayout, title: &Title) {
    let colors = canvas.colors;
    let symbol = title.palette_index.map_or(colors.text, |index| colors.palette_color(index));
    let value = title.change_percent.map_or(colors.text, |percent| colors.change(percent));
    let figures = title.figures.iter().flat_map(|(name, text)| [(name, colors.dim), (text, value)]);
    let mut x = layout.plot.x + 1;
    for (text, color) in [(&title.symbol, symbol), (&title.detail, colors.dim)].into_iter().chain(figures) {
        let style = canvas.on_background(color);
        x = canvas.text(x, layout.plot.y, text, layout.plot.right().saturating_sub(x), style) + 1;
    }
}

fn draw_notice(canvas: &mut Canvas<'_>, layout: &CellLayout, notice: &Notice) {
    let room = layout.plot.width.saturating_sub(2);
    let colors = canvas.colors;
    let title = canvas.on_background(colors.tone(notice.tone)).add_modifier(Modifier::BOLD);
    let mut rows: Vec<(String, Style)> = wrapped(&notice.title, room).into_iter().map(|part| (part, title)).collect();
    if !notice.lines.is_empty() {
        rows.push((String::new(), title));
    }
    // Commands stand out. They must be complete, so long lines are wrapped, not clipped.
    for line in &notice.lines {
        let style = canvas.on_background(if line.contains('`') { colors.text } else { colors.dim });
        rows.extend(wrapped(&line.replace('`', ""), room).into_iter().map(|part| (part, style)));
    }
    let widest = rows.iter().map(|(line, _)| width(line)).max().unwrap_or(0);
    let area = centered(layout.plot, widest + 2, rows.len() as u16);
    canvas.clear(area, canvas.on_background(colors.text));
    for (y, (line, style)) in (area.top()..area.bottom()).zip(&rows) {
        let x = area.x + area.width.saturating_sub(width(line)) / 2;
        canvas.text(x, y, line, area.width, *style);
    }
}

/// Wraps a text to `columns`: between words, or within a word that is longer.
fn wrapped(text: &str, columns: u16) -> Vec<String> {
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

fn draw_ruler(canvas: &mut Canvas<'_>, layout: &CellLayout, ruler: &Ruler) {
    let widest = ruler.lines.iter().map(|line| width(line)).max().unwrap_or(0);
    let area = Rect {
        width: (widest + 4).min(layout.plot.width),
        height: (ruler.lines.len() as u16 + 2).min(layout.plot.height),
        ..layout.plot
    };
    let colors = canvas.colors;
    let inside = panel(canvas, area, if ruler.rising { colors.rising } else { colors.falling });
    let style = canvas.on_strip(colors.text);
    for (row, line) in (inside.top()..inside.bottom()).zip(&ruler.lines) {
        canvas.text(inside.x + 1, row, line, inside.width.saturating_sub(1), style);
    }
}

/// Draws the crosshair's values on the side of the plot that the crosshair is not on.
fn draw_readout(canvas: &mut Canvas<'_>, plot: &Plot<'_>, crosshair: &Crosshair) {
    let (area, colors, rows) = (plot.layout.plot, canvas.colors, &crosshair.rows);
    let change_text = |row: &Readout| row.change_percent.map(format::percent).unwrap_or_default();
    let widest = |columns: &dyn Fn(&Readout) -> u16| rows.iter().map(columns).max().unwrap_or(0);
    let (symbol, price) = (widest(&|row| width(&row.symbol)), widest(&|row| width(&row.price)));
    let columns = 2 + symbol + 1 + price + 1 + widest(&|row| width(&change_text(row))) + 4;
    let columns = columns.min(area.width);
    let is_left = plot.cell_at(crosshair).0 - area.x < area.width / 2;
    let left = if is_left { area.right() - columns } else { area.x };
    let height = (rows.len() as u16 + 2).min(area.height);
    let inside = panel(canvas, Rect { x: left, y: area.y, width: columns, height }, colors.dim);
    let text = canvas.on_strip(colors.text);
    for (y, row) in (inside.top()..inside.bottom()).zip(rows) {
        let x = inside.x + 1;
        canvas.symbol_square((x, y), row.palette_index, true);
        canvas.text(x + 2, y, &row.symbol, inside.right().saturating_sub(x + 2), text);
        canvas.text_left_of(x + 2 + symbol + 1 + price, y, &row.price, price, text);
        let change = canvas.on_strip(colors.change(row.change_percent.unwrap_or(0.0)));
        canvas.text_left_of(inside.right() - 1, y, &change_text(row), inside.width, change);
    }
}

fn draw_toast(canvas: &mut Canvas<'_>, layout: &CellLayout, toast: &Badge) {
    let row = layout.plot.bottom() - 1;
    let columns = (width(&toast.text) + 2).min(layout.plot.width);
    let area = Rect { x: layout.plot.x, y: row, width: columns, height: 1 };
    let style = canvas.on_strip(canvas.colors.tone(toast.tone));
    canvas.clear(area, style);
    canvas.text(area.x + 1, row, &toast.text, columns.saturating_sub(2), style);
}

impl CellLayout {
    /// Search box, at the top of the plot.
    fn search_box(&self, search: &Search) -> Rect {
        let rows = search.matches.len() as u16 + 3 + u16::from(search.more > 0);
        Rect { y: self.plot.y, ..centered(self.plot, SEARCH_COLUMNS, rows) }
    }

    /// Row of each match in the search box.
    pub(super) fn search_rows(&self, search: &Search) -> Vec<Rect> {
        let area = self.search_box(search);
        let rows = (area.y + 2..area.bottom().saturating_sub(1)).take(search.matches.len());
        rows.map(|y| Rect { x: area.x + 1, y, width: area.width - 2, height: 1 }).collect()
    }
}

fn draw_search(canvas: &mut Canvas<'_>, layout: &CellLayout, search: &Search) {
    let colors = canvas.colors;
    let inside = panel(canvas, layout.search_box(search), colors.info);
    let text = canvas.on_strip(colors.text);
    canvas.text(inside.x + 1, inside.y, &format!("/{}\u{258f}", search.query), inside.width - 1, text);
    for (index, (row, entry)) in (inside.y + 1..inside.bottom()).zip(&search.matches).enumerate() {
        let style = if index == search.selected { text.add_modifier(Modifier::REVERSED) } else { text };
        canvas.symbol_square((inside.x + 1, row), entry.palette_index, entry.visible);
        let x = canvas.text(inside.x + 3, row, &entry.symbol, inside.width - 3, style);
        let last = entry.last.as_deref().unwrap_or_default();
        canvas.text_left_of(inside.right() - 1, row, last, inside.right().saturating_sub(x + 2), text);
    }
    if search.more > 0 {
        let more = format!("+{} more", search.more);
        canvas.text(inside.x + 3, inside.bottom() - 1, &more, inside.width - 3, canvas.on_strip(colors.dim));
    }
}

fn draw_help(canvas: &mut Canvas<'_>, layout: &CellLayout, rows: &[(String, String)]) {
    let colors = canvas.colors;
    let keys = rows.iter().map(|(key, _)| width(key)).max().unwrap_or(0);
    let texts = rows.iter().map(|(_, text)| width(text)).max().unwrap_or(0);
    let whole = Rect { x: 0, y: 0, width: layout.header.width, height: layout.footer.bottom() };
    let (columns, lines) = (keys + texts + 7, rows.len() as u16);
    let dim = canvas.on_strip(colors.dim);
    // A low screen omits the outline and shows more lines.
    let inside = if lines + 4 <= whole.height {
        panel(canvas, centered(whole, columns, lines + 2), colors.dim)
    } else {
        let area = centered(whole, columns, lines);
        canvas.clear(area, dim);
        area
    };
    let bold = canvas.on_strip(colors.text).add_modifier(Modifier::BOLD);
    for (row, (key, text)) in (inside.top()..inside.bottom()).zip(rows) {
        let x = inside.x + 2;
        canvas.text(x, row, key, inside.width.saturating_sub(2), bold);
        let x = x + keys + 2;
        canvas.text(x, row, text, inside.right().saturating_sub(x), dim);
    }
    let room = usize::from(inside.height);
    if room < rows.len() {
        let last = Rect { y: inside.bottom() - 1, height: 1, ..inside };
        canvas.clear(last, dim);
        let more = format!("+{} more, where there is room", rows.len() + 1 - room);
        canvas.text(inside.x + 2, last.y, &more, inside.width.saturating_sub(2), dim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_between_words_without_loss() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("one", 8), ["one"]);
        assert_eq!(wrapped("", 8), [""]);
        assert_eq!(wrapped("a redis://127.0.0.1:6379 b", 10), ["a", "redis://12", "7.0.0.1:63", "79 b"]);
        let long = "word ".repeat(40) + &"x".repeat(100);
        assert_eq!(wrapped(&long, 13).concat().replace(' ', ""), long.replace(' ', ""));
        assert!(wrapped(&long, 13).iter().all(|line| width(line) <= 13));
    }
}
