//! Canvas of cells: text, characters and tints in the colours of a theme.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::Span;
use ratatui::widgets::{Clear, Widget as _};

use super::ColorDepth;
use crate::chart::{Rgb, ThemeColors};

/// Cells, and the colours to draw them in.
pub(super) struct Canvas<'a> {
    pub(super) cells: &'a mut Buffer,
    pub(super) colors: &'static ThemeColors,
    pub(super) depth: ColorDepth,
}

impl Canvas<'_> {
    /// Style of text on the background of the chart.
    pub(super) fn on_background(&self, color: Rgb) -> Style {
        self.depth.style(color, self.colors.background)
    }

    /// Style of text on the background of strips and panels.
    pub(super) fn on_strip(&self, color: Rgb) -> Style {
        self.depth.style(color, self.colors.strip)
    }

    /// Fills an area with blanks.
    pub(super) fn clear(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.cells.area);
        Clear.render(area, self.cells);
        self.cells.set_style(area, style);
    }

    /// Writes as much of `text` as fits in `columns`; returns the column after it.
    pub(super) fn text(&mut self, x: u16, y: u16, text: &str, columns: u16, style: Style) -> u16 {
        if columns == 0 || !self.cells.area.contains((x, y).into()) {
            return x;
        }
        self.cells.set_stringn(x, y, text, columns.into(), style).0
    }

    /// Writes `text`, clipped to `columns`, so that it ends before the column `right`.
    pub(super) fn text_left_of(&mut self, right: u16, y: u16, text: &str, columns: u16, style: Style) {
        let text = clipped(text, columns);
        let width = width(&text);
        self.text(right.saturating_sub(width), y, &text, width, style);
    }

    /// Sets a character and keeps the cell's background.
    pub(super) fn put(&mut self, at: impl Into<Position>, c: char, color: Rgb) {
        let color = self.depth.color(color);
        if let Some(cell) = self.cells.cell_mut(at) {
            cell.set_char(c).set_fg(color);
        }
    }

    /// Sets a character if the cell is blank.
    pub(super) fn put_behind(&mut self, at: (u16, u16), c: char, color: Rgb) {
        if self.cells.cell(at).is_some_and(|cell| cell.symbol() == " ") {
            self.put(at, c, color);
        }
    }

    /// Draws the square of a symbol, hollow if the symbol is hidden.
    pub(super) fn symbol_square(&mut self, (x, y): (u16, u16), palette_index: usize, is_visible: bool) {
        let style = self.on_strip(self.colors.palette_color(palette_index));
        self.text(x, y, if is_visible { "\u{25a0}" } else { "\u{25a1}" }, 1, style);
    }

    /// Changes the background of a cell.
    pub(super) fn tint(&mut self, at: impl Into<Position>, background: Rgb) {
        let background = self.depth.color(background);
        if let Some(cell) = self.cells.cell_mut(at) {
            cell.set_bg(background);
        }
    }
}

/// Number of columns that a text occupies.
pub(super) fn width(text: &str) -> u16 {
    Span::raw(text).width().min(usize::from(u16::MAX)) as u16
}

/// `text` cut to `columns`, with an ellipsis if anything was cut off.
pub(super) fn clipped(text: &str, columns: u16) -> Cow<'_, str> {
    if width(text) <= columns {
        return text.into();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if width(&short) >= columns {
            short.pop();
            break;
        }
    }
    (if columns > 0 { short + "\u{2026}" } else { short }).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipped_text_ends_with_an_ellipsis() {
        assert_eq!([clipped("12.50", 5), clipped("12.50", 4), clipped("12.50", 0)], ["12.50", "12.\u{2026}", ""]);
        assert_eq!(clipped("\u{65e5}\u{672c}\u{8a9e}", 4), "\u{65e5}\u{2026}", "wide letters take two columns");
        assert!((0..6).all(|columns| width(&clipped("\u{65e5}a\u{672c}", columns)) <= columns));
    }
}
