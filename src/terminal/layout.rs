//! Layout of the screen in cells: a function of its size and of the number of symbols, so that mouse handling and
//! drawing agree.

use ratatui::layout::Rect;

use crate::chart::{HitAreas, Input, Layout, Rect as DotRect, Scene, Size};

/// Columns of dots in a cell of the chart.
pub const DOT_COLUMNS: u32 = 2;

/// Rows of dots in a cell of the chart.
pub const DOT_ROWS: u32 = 4;

/// Minimum width of the screen, in cells.
pub const COLUMNS_MIN: u16 = 40;

/// Minimum height of the screen, in cells.
pub const ROWS_MIN: u16 = 12;

/// Minimum width for the watchlist at the left of the chart; it is above the chart in narrower terminals.
const WATCHLIST_LEFT_COLUMNS: u16 = 96;

/// Width of the watchlist at the left: key, square, symbol, price, change.
const WATCHLIST_COLUMNS: u16 = 34;

/// Minimum height for two rows of the watchlist above the chart.
const TWO_ROWS_FROM: u16 = 20;

/// Minimum width for a value axis of eleven figures.
const WIDE_AXIS_FROM: u16 = 64;

/// Hint at the right end of the footer.
pub(super) const HELP: &str = "? help";

/// Parts of the screen.
///
/// # Examples
///
/// ```
/// use tickscope::terminal::CellLayout;
///
/// let layout = CellLayout::new(80, 24, 2).unwrap();
/// assert_eq!(layout.cells(), (68, 20));
/// assert_eq!(layout.dots(), (136, 80));
/// assert!(CellLayout::new(20, 5, 2).is_none(), "too small for a chart");
/// ```
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
    /// Layout of a screen of `columns` x `rows` cells that lists `symbols` symbols; `None` if it is too small.
    pub fn new(columns: u16, rows: u16, symbols: usize) -> Option<Self> {
        if columns < COLUMNS_MIN || rows < ROWS_MIN {
            return None;
        }
        let list_is_left = columns >= WATCHLIST_LEFT_COLUMNS;
        let list_rows = match symbols {
            _ if list_is_left => 0,
            0 => 0,
            1..=3 => 1,
            _ if rows < TWO_ROWS_FROM => 1,
            _ => 2,
        };
        let (left, top) = (if list_is_left { WATCHLIST_COLUMNS } else { 0 }, 1 + list_rows);
        let axis = if columns >= WIDE_AXIS_FROM { 12 } else { 10 };
        let (right, bottom) = (columns - axis, rows - 2);
        let watchlist = if list_is_left {
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

    /// Returns `true` if the watchlist is at the left of the chart.
    pub(super) fn is_list_left(&self) -> bool {
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

    /// Middle of a cell, in dots from the plot's top left.
    pub fn place(&self, column: u16, row: u16) -> (f64, f64) {
        let along = |at: u16, from: u16, dots: u32| (f64::from(at) - f64::from(from) + 0.5) * f64::from(dots);
        (along(column, self.plot.x, DOT_COLUMNS), along(row, self.plot.y, DOT_ROWS))
    }

    /// Layout of a chart whose pixels are the dots of the plot, with both axes. A scene built for it has as many points
    /// as the dots can show.
    pub fn chart_layout(&self) -> Layout {
        let (width, height) = self.dots();
        Layout {
            value_axis: self.in_dots(self.value_axis),
            time_axis: self.in_dots(Rect { width: self.plot.width, ..self.time_axis }),
            ..Layout::plot_only(Size { width, height })
        }
    }

    /// Clickable areas of a rendered scene, in dots from the plot's top left.
    pub fn hit_areas(&self, scene: &Scene) -> HitAreas {
        let header = &scene.header;
        let columns = |text: &str| text.chars().count() as u16 + 2;
        let badge = Rect { x: 1, width: columns(&header.badge.text), ..self.header };
        let view_badge = header
            .view_badge
            .as_ref()
            .map(|view| self.in_dots(Rect { x: badge.right() + 1, width: columns(&view.text), ..self.header }));
        let help_columns = HELP.len() as u16 + 1;
        let help = Rect { x: self.footer.right().saturating_sub(help_columns), width: help_columns, ..self.footer };
        let legend = self.entries(&header.legend).into_iter();
        let search_rows = scene.search.as_ref().map(|search| self.search_rows(search)).unwrap_or_default();
        HitAreas {
            legend: legend.map(|(index, area)| (index, self.in_dots(area))).collect(),
            badge: self.in_dots(badge),
            view_badge: view_badge.unwrap_or_default(),
            search_rows: search_rows.into_iter().map(|row| self.in_dots(row)).collect(),
            help: self.in_dots(help),
        }
    }

    /// Converts the place of an input from cells to dots from the plot's top left.
    #[must_use]
    pub fn input_in_dots(&self, mut input: Input) -> Input {
        if let Input::Moved { x, y }
        | Input::Pressed { x, y, .. }
        | Input::Released { x, y, .. }
        | Input::Wheel { x, y, .. } = &mut input
        {
            (*x, *y) = self.place(*x as u16, *y as u16);
        }
        input
    }

    fn in_dots(&self, area: Rect) -> DotRect {
        let x = |column: u16| (i32::from(column) - i32::from(self.plot.x)) * DOT_COLUMNS as i32;
        let y = |row: u16| (i32::from(row) - i32::from(self.plot.y)) * DOT_ROWS as i32;
        DotRect { left: x(area.x), top: y(area.y), right: x(area.right()), bottom: y(area.bottom()) }
    }
}

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
    fn a_screen_below_the_minimum_has_no_layout() {
        assert_eq!(CellLayout::new(39, 30, 1), None);
        assert_eq!(CellLayout::new(80, 11, 1), None);
    }

    #[test]
    fn cells_map_to_dots() {
        let layout = CellLayout::new(100, 30, 2).unwrap();
        assert_eq!(layout.place(layout.plot.x, layout.plot.y), (1.0, 2.0));
        assert_eq!(layout.place(layout.plot.x + 3, layout.plot.y + 1), (7.0, 6.0));
        assert!(layout.chart_layout().time_axis.contains(1.0, f64::from(layout.dots().1) + 1.0));
    }
}
