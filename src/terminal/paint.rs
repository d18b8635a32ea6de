//! A frame becomes cells.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::frame::{Frame, Look};
use super::layout::{COLUMNS_MIN, Layout, ROWS_MIN};
use super::{Colors, axes, boxes, chart, strips};

/// Cells with the colours that they are drawn in.
pub(super) struct Sheet<'a> {
    pub(super) cells: &'a mut Buffer,
    pub(super) look: Look,
    pub(super) colors: Colors,
}

impl Sheet<'_> {
    /// Fills a part of the screen with blanks.
    pub(super) fn clear(&mut self, part: Rect, style: Style) {
        for y in part.top()..part.bottom() {
            for x in part.left()..part.right() {
                if let Some(cell) = self.cells.cell_mut((x, y)) {
                    cell.reset();
                    cell.set_style(style);
                }
            }
        }
    }

    /// Writes as much of `text` as fits in `columns`; returns the column after it.
    pub(super) fn text(&mut self, x: u16, y: u16, text: &str, columns: u16, style: Style) -> u16 {
        if columns == 0 || !self.cells.area.contains((x, y).into()) {
            return x;
        }
        self.cells.set_stringn(x, y, text, columns.into(), style).0
    }

    /// Writes `text` so that it ends before the column `right`, if it fits in `columns`.
    pub(super) fn text_left_of(&mut self, right: u16, y: u16, text: &str, columns: u16, style: Style) {
        let width = width(text).min(columns);
        self.text(right.saturating_sub(width), y, text, width, style);
    }
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> u16 {
    Span::raw(text).width().min(usize::from(u16::MAX)) as u16
}

/// Draws a frame into cells. Where there is no room for it, that is said.
pub(super) fn paint(cells: &mut Buffer, frame: &Frame, colors: Colors) {
    let area = cells.area;
    let look = frame.look;
    let mut sheet = Sheet { cells, look, colors };
    sheet.clear(area, colors.style(look.text, look.ground));
    let Some(layout) = Layout::new(area.width, area.height, frame.watchlist.len()) else {
        let text = format!("too small: {COLUMNS_MIN}x{ROWS_MIN} at least");
        let (x, y) = ((area.width.saturating_sub(width(&text))) / 2, area.height / 2);
        sheet.text(x, y, &text, area.width, colors.style(look.text, look.ground));
        return;
    };
    strips::header(&mut sheet, &layout, frame);
    strips::watchlist(&mut sheet, &layout, &frame.watchlist);
    strips::footer(&mut sheet, &layout, &frame.footer);
    chart::draw(&mut sheet, &layout, &frame.chart);
    axes::draw(&mut sheet, &layout, &frame.chart);
    boxes::draw(&mut sheet, &layout, frame);
}

/// The lines of a screen of this size, as text alone: what tests and other programs can read.
pub fn lines_of(frame: &Frame, columns: u16, rows: u16) -> Vec<String> {
    let mut cells = Buffer::empty(Rect::new(0, 0, columns, rows));
    paint(&mut cells, frame, Colors::Plain);
    let line = |y: u16| {
        let symbols = (0..columns).filter_map(|x| cells.cell((x, y)).map(|cell| cell.symbol().to_owned()));
        symbols.collect::<String>().trim_end().to_owned()
    };
    (0..rows).map(line).collect()
}
