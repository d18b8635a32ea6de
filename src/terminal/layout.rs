//! Where the parts of the screen lie, in cells: functions of its size and of how many symbols there are, so that mouse
//! and drawing agree.

use ratatui::layout::Rect;

/// Columns of dots in a cell of the chart.
pub const DOT_COLUMNS: u32 = 2;

/// Rows of dots in a cell of the chart.
pub const DOT_ROWS: u32 = 4;

/// Narrowest screen on which a chart can be read.
pub const COLUMNS_MIN: u16 = 40;

/// Lowest screen on which a chart can be read.
pub const ROWS_MIN: u16 = 12;

/// From this width on the watchlist stands at the left.
const BESIDE_FROM: u16 = 96;

/// Width of the watchlist at the left: place, square, symbol, price, change.
const WATCHLIST_COLUMNS: u16 = 34;

/// From this height on the watchlist above the chart may have two rows.
const TWO_ROWS_FROM: u16 = 20;

/// From this width on the value axis has room for eleven figures.
const WIDE_AXIS_FROM: u16 = 64;

/// The parts of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellLayout {
    pub(super) header: Rect,
    /// Left of the chart, or above it.
    pub(super) watchlist: Rect,
    pub(super) plot: Rect,
    pub(super) value_axis: Rect,
    pub(super) time_axis: Rect,
    pub(super) footer: Rect,
}

impl CellLayout {
    /// For a screen of so many cells and symbols; `None` where there is no room.
    pub fn new(columns: u16, rows: u16, symbols: usize) -> Option<Self> {
        if columns < COLUMNS_MIN || rows < ROWS_MIN {
            return None;
        }
        let beside = columns >= BESIDE_FROM;
        let list_rows = match symbols {
            _ if beside => 0,
            0 => 0,
            1..=3 => 1,
            _ if rows < TWO_ROWS_FROM => 1,
            _ => 2,
        };
        let (left, top) = (if beside { WATCHLIST_COLUMNS } else { 0 }, 1 + list_rows);
        let axis = if columns >= WIDE_AXIS_FROM { 12 } else { 10 };
        let (right, bottom) = (columns - axis, rows - 2);
        let watchlist = if beside {
            Rect { x: 0, y: 1, width: left, height: rows - 2 }
        } else {
            Rect { x: 0, y: 1, width: columns, height: list_rows }
        };
        Some(Self {
            header: Rect { x: 0, y: 0, width: columns, height: 1 },
            watchlist,
            plot: Rect { x: left, y: top, width: right - left, height: bottom - top },
            value_axis: Rect { x: right, y: top, width: axis, height: bottom - top },
            time_axis: Rect { x: left, y: bottom, width: columns - left, height: 1 },
            footer: Rect { x: 0, y: rows - 1, width: columns, height: 1 },
        })
    }

    /// Whether the watchlist stands at the left.
    pub(super) fn is_beside(&self) -> bool {
        self.watchlist.width == WATCHLIST_COLUMNS
    }

    /// Columns and rows of dots in the plot.
    pub fn dots(&self) -> (u32, u32) {
        (u32::from(self.plot.width) * DOT_COLUMNS, u32::from(self.plot.height) * DOT_ROWS)
    }

    /// Columns and rows of cells in the plot.
    pub fn cells(&self) -> (u16, u16) {
        (self.plot.width, self.plot.height)
    }

    /// The middle of a cell, in dots from the plot's top left.
    pub fn place(&self, column: u16, row: u16) -> (f64, f64) {
        let along = |at: u16, from: u16, dots: u32| (f64::from(at) - f64::from(from) + 0.5) * f64::from(dots);
        (along(column, self.plot.x, DOT_COLUMNS), along(row, self.plot.y, DOT_ROWS))
    }

    /// A part of the screen in dots from the plot's top left.
    fn in_dots(&self, part: Rect) -> crate::chart::Rect {
        let x = |column: u16| (i32::from(column) - i32::from(self.plot.x)) * DOT_COLUMNS as i32;
        let y = |row: u16| (i32::from(row) - i32::from(self.plot.y)) * DOT_ROWS as i32;
        crate::chart::Rect { left: x(part.x), top: y(part.y), right: x(part.right()), bottom: y(part.bottom()) }
    }

    /// The value axis, in dots from the plot's top left.
    pub fn value_axis(&self) -> crate::chart::Rect {
        self.in_dots(self.value_axis)
    }

    /// The time axis below the plot, in dots from the plot's top left.
    pub fn time_axis(&self) -> crate::chart::Rect {
        self.in_dots(Rect { width: self.plot.width, ..self.time_axis })
    }

    /// What a click on a cell of the header's left end hits, in dots from the plot's top left.
    pub fn header_words(&self, from: u16, columns: u16) -> crate::chart::Rect {
        self.in_dots(Rect { x: from, width: columns, ..self.header })
    }

    /// The right end of the footer, where help is offered, in dots from the plot's top left.
    pub fn help(&self) -> crate::chart::Rect {
        let columns = HELP.len() as u16 + 1;
        self.in_dots(Rect { x: self.footer.right().saturating_sub(columns), width: columns, ..self.footer })
    }

    /// Where a symbol stands in the watchlist, in dots from the plot's top left.
    pub(super) fn dots_of(&self, part: Rect) -> crate::chart::Rect {
        self.in_dots(part)
    }
}

/// What the footer offers at its right end.
pub(super) const HELP: &str = "? help";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_stay_inside_and_leave_a_chart(columns in 40_u16..400, rows in 12_u16..120, symbols in 0_usize..300) {
            let layout = CellLayout::new(columns, rows, symbols).unwrap();
            let strips = [layout.header, layout.watchlist, layout.time_axis, layout.footer];
            for part in strips.into_iter().chain([layout.plot, layout.value_axis]) {
                prop_assert!(part.right() <= columns && part.bottom() <= rows, "{part:?}");
            }
            prop_assert!(layout.plot.width >= 30 && layout.plot.height >= 7, "{layout:?}");
        }
    }

    #[test]
    fn below_the_least_size_there_is_no_layout() {
        assert_eq!(CellLayout::new(39, 30, 1), None);
        assert_eq!(CellLayout::new(80, 11, 1), None);
    }

    #[test]
    fn a_cell_has_its_place_in_dots() {
        let layout = CellLayout::new(100, 30, 2).unwrap();
        assert_eq!(layout.place(layout.plot.x, layout.plot.y), (1.0, 2.0));
        assert_eq!(layout.place(layout.plot.x + 3, layout.plot.y + 1), (7.0, 6.0));
        assert!(layout.time_axis().contains(1.0, f64::from(layout.dots().1) + 1.0));
    }
}
