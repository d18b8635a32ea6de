//! A frame becomes cells.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::frame::{Frame, Look};
use super::layout::{COLUMNS_MIN, CellLayout, ROWS_MIN};
use crate::terminal::{Colors, axes, chart, header_footer, popups};

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
        let text = clipped(text, columns);
        let width = width(&text);
        self.text(right.saturating_sub(width), y, &text, width, style);
    }
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> u16 {
    Span::raw(text).width().min(usize::from(u16::MAX)) as u16
}

/// A text as it fits in so many columns; one that is cut says so.
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

/// Draws a frame into cells. Where there is no room for it, that is said.
pub(super) fn paint(cells: &mut Buffer, frame: &Frame, colors: Colors) {
    let area = cells.area;
    let look = frame.look;
    let mut sheet = Sheet { cells, look, colors };
    sheet.clear(area, colors.style(look.text, look.ground));
    let Some(layout) = CellLayout::new(area.width, area.height, frame.watchlist.len()) else {
        let text = format!("too small: {COLUMNS_MIN}x{ROWS_MIN} at least");
        let (x, y) = ((area.width.saturating_sub(width(&text))) / 2, area.height / 2);
        sheet.text(x, y, &text, area.width, colors.style(look.text, look.ground));
        return;
    };
    header_footer::header(&mut sheet, &layout, frame);
    header_footer::watchlist(&mut sheet, &layout, &frame.watchlist);
    header_footer::footer(&mut sheet, &layout, &frame.footer);
    chart::draw(&mut sheet, &layout, &frame.chart);
    axes::draw(&mut sheet, &layout, &frame.chart);
    popups::draw(&mut sheet, &layout, frame);
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

#[cfg(test)]
mod tests {
    use super::super::frame::{Bars, Candle, Chart, Watched, Word};
    use crate::chart::{ValueSpan, Viewport};
    use crate::model::TimeSpan;
    use crate::terminal::canvas::*;

    #[test]
    fn a_text_that_is_cut_says_so() {
        assert_eq!([clipped("12.50", 5), clipped("12.50", 4), clipped("12.50", 0)], ["12.50", "12.\u{2026}", ""]);
        assert_eq!(clipped("\u{65e5}\u{672c}\u{8a9e}", 4), "\u{65e5}\u{2026}", "wide letters take two columns");
        assert!((0..6).all(|columns| width(&clipped("\u{65e5}a\u{672c}", columns)) <= columns));
    }

    fn screen(columns: u16, rows: u16, change: impl FnOnce(&mut Frame)) -> Vec<String> {
        let word = |text: &str| Word { text: text.to_owned(), color: (0, 0, 0) };
        let tone = (0, 0, 0);
        let look = Look {
            ground: tone,
            strip: tone,
            grid: tone,
            text: tone,
            dim: tone,
            good: tone,
            bad: tone,
            info: tone,
            warn: tone,
        };
        let viewport = Viewport { time: TimeSpan { start: 0, end: 1_000 }, value: ValueSpan { lo: 0.0, hi: 10.0 } };
        let chart = Chart {
            viewport,
            lines: Vec::new(),
            bars: None,
            title: Vec::new(),
            gaps: Vec::new(),
            tags: Vec::new(),
            marks: Vec::new(),
            outliers: Vec::new(),
            value_ticks: vec![(5.0, "5.00".to_owned())],
            time_ticks: vec![(500, "12:00".to_owned())],
            crosshair: None,
            selection: None,
            ruler: None,
            notice: None,
        };
        let mut frame = Frame {
            look,
            badge: word("LIVE"),
            view_badge: None,
            channel: "ch".to_owned(),
            span: "1 min".to_owned(),
            watchlist: Vec::new(),
            chart,
            footer: vec![word("3 ticks/s"), word("a figure too wide for what room there is")],
            help: None,
            search: None,
            toast: None,
        };
        change(&mut frame);
        lines_of(&frame, columns, rows)
    }

    #[test]
    fn candles_and_bars_are_drawn_in_half_cells() {
        let candle = |at: i64, open: f64, close: f64| Candle {
            span: (at, at + 100),
            open,
            high: open.max(close) + 2.0,
            low: open.min(close) - 2.0,
            close,
        };
        let candles = vec![candle(100, 3.0, 7.0), candle(600, 6.0, 4.0)];
        let drawn = |filled: bool| {
            let bars = Some(Bars { filled, candles: candles.clone() });
            screen(40, 12, |frame| frame.chart.bars = bars)[1..10].join("\n")
        };
        // From 1 to 9 with a body from 3 to 7, and from 2 to 8 with one from 6 down to 4, on rows of 10 / 9.
        let filled = "    ╷\n    │              ╷\n    ▄              │\n    █              ▄\n    █              █";
        let stems = "    ╷\n    │              ╷\n    ├              │\n    │              ┤\n    │              │";
        assert!(drawn(true).contains(filled), "{}", drawn(true));
        assert!(drawn(false).contains(stems), "{}", drawn(false));
    }

    #[test]
    fn a_screen_has_its_strips_and_labels_and_figures_are_whole_or_absent() {
        let lines = screen(40, 12, |_| ());
        assert_eq!(lines[0], "  LIVE  ch                        1 min");
        assert_eq!(lines[11], " 3 ticks/s                       ? help");
        assert!(lines[10].contains("12:00") && lines.iter().any(|line| line.ends_with("     5.00")), "{lines:#?}");
        let watched = |symbol: &str, last: &str| Watched {
            symbol: symbol.to_owned(),
            color: (0, 0, 0),
            last: last.to_owned(),
            change: Word { text: "+0.25%".to_owned(), color: (0, 0, 0) },
            visible: true,
            focused: false,
        };
        let list = vec![watched("A-VERY-LONG-NAME", "1,234,567.89"), watched("B", "2.00")];
        let wide = screen(100, 20, |frame| frame.watchlist.clone_from(&list));
        assert_eq!(wide[1].trim_end(), " 1 \u{25a0} A-VER\u{2026} 1,234,567.89   +0.25%");
        assert_eq!(wide[2].trim_end(), " 2 \u{25a0} B              2.00   +0.25%");
        let narrow = screen(40, 12, |frame| frame.watchlist = list);
        assert_eq!(narrow[1].trim_end(), " \u{25a0} A-\u{2026} 1,234,567.89 \u{25a0} B 2.00 +0.25%");
    }

    #[test]
    fn no_size_and_no_text_is_too_much() {
        let help = vec![("k".repeat(30), "t".repeat(300)); 40];
        for (columns, rows) in [(1, 1), (39, 12), (40, 11), (40, 12), (63, 13), (96, 14), (300, 80)] {
            let lines = screen(columns, rows, |frame| {
                frame.help = Some(help.clone());
                frame.toast = Some(Word { text: "m".repeat(500), color: (0, 0, 0) });
                frame.channel = "\u{65e5}".repeat(400);
            });
            assert_eq!(lines.len(), usize::from(rows));
        }
    }
}
