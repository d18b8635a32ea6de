//! Division of a grid of small charts into equal cells of a legible shape.

use super::scale::Scale;
use super::viewport::Rect;

/// Minimum size of a cell, px: a title, and below it a line with a recognizable shape.
const CELL_PX_MIN: (i32, i32) = (88, 44);

/// Preferred ratio of width to height: charts of time are wide.
const ASPECT: f64 = 2.2;

/// Cost of one empty cell per pane, relative to the natural logarithm of the deviation from the preferred ratio.
const EMPTY_COST: f64 = 2.0;

/// A division into equal cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PaneGrid {
    pub(crate) panes: usize,
    pub(crate) columns: usize,
    left: i32,
    top: i32,
    width: i32,
    height: i32,
}

impl PaneGrid {
    pub(crate) fn new(within: Rect, wanted: usize, scale: Scale) -> Self {
        let (width, height) = (within.width(), within.height());
        let most = |side: i32, least: i32| (side / least).max(1) as usize;
        let (columns_max, rows_max) = (most(width, CELL_PX_MIN.0), most(height, CELL_PX_MIN.1));
        let wanted = wanted.max(1);
        let cost = |columns: usize| {
            let rows = wanted.div_ceil(columns);
            let aspect = f64::from(width) / columns as f64 * rows as f64 / f64::from(height).max(1.0);
            let empty = (columns * rows - wanted) as f64 / wanted as f64;
            (aspect.max(f64::MIN_POSITIVE) / ASPECT).ln().abs() + empty * EMPTY_COST
        };
        let best = (1..=columns_max.min(wanted))
            .filter(|columns| wanted.div_ceil(*columns) <= rows_max)
            .min_by(|a, b| cost(*a).total_cmp(&cost(*b)));
        let columns = best.unwrap_or(columns_max);
        let rows = best.map_or(rows_max, |columns| wanted.div_ceil(columns));
        let even = |px: i32| if scale == Scale::OneAndHalf { px & !1 } else { px };
        let (cell_width, cell_height) = (even(width / columns as i32), even(height / rows as i32));
        Self {
            panes: wanted.min(columns * rows),
            columns,
            left: within.left + even((width - cell_width * columns as i32) / 2),
            top: within.top,
            width: cell_width,
            height: cell_height,
        }
    }

    /// Rows of panes; the last one may be incomplete.
    pub(crate) fn rows(&self) -> usize {
        self.panes.div_ceil(self.columns)
    }

    /// The whole pane at `index`, in reading order.
    pub(crate) fn cell(&self, index: usize) -> Rect {
        let (row, column) = ((index / self.columns) as i32, (index % self.columns) as i32);
        let (left, top) = (self.left + column * self.width, self.top + row * self.height);
        Rect { left, top, right: left + self.width, bottom: top + self.height }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Arrangement, Layout, Size};
    use proptest::prelude::*;

    fn grid(width: u32, height: u32, panes: usize) -> Layout {
        Layout::with_arrangement(Size { width, height }, Scale::One, Arrangement::Grid { panes })
    }

    proptest! {
        #[test]
        fn panes_lie_side_by_side_inside_the_plot(
            width in 1_u32..3_000, height in 1_u32..2_000, panes in 0_usize..400,
        ) {
            let frame = grid(width, height, panes);
            let cells = frame.pane_grid().unwrap();
            prop_assert!(frame.panes() >= 1 && frame.panes() <= panes.max(1));
            for i in 0..frame.panes() {
                let (cell, pane) = (cells.cell(i), frame.pane(i));
                prop_assert!(cell.left >= frame.plot.left && cell.right <= frame.plot.right);
                prop_assert!(cell.top >= frame.plot.top && cell.bottom <= frame.plot.bottom.max(frame.plot.top));
                for part in [pane.plot, pane.value_axis] {
                    prop_assert!(part.left >= cell.left && part.right <= cell.right, "{part:?} {cell:?}");
                    prop_assert!(part.top >= cell.top && part.bottom <= cell.bottom, "{part:?} {cell:?}");
                }
                for j in 0..i {
                    let other = cells.cell(j);
                    prop_assert!(other.right <= cell.left || other.left >= cell.right || other.bottom <= cell.top);
                }
                let middle = |low: i32, high: i32| f64::from(low + high) / 2.0;
                let (x, y) = (middle(pane.plot.left, pane.plot.right), middle(pane.plot.top, pane.plot.bottom));
                if pane.plot.contains(x, y) {
                    prop_assert_eq!(frame.pane_at(x, y), Some(i));
                }
            }
        }
    }

    #[test]
    fn grids_have_legible_shapes() {
        let shape = |width, height, panes| {
            let cells = grid(width, height, panes).pane_grid().unwrap();
            (cells.panes, cells.columns, cells.rows())
        };
        assert_eq!(shape(1280, 720, 1), (1, 1, 1));
        assert_eq!(shape(1280, 720, 2), (2, 1, 2));
        assert_eq!(shape(1280, 720, 4), (4, 2, 2));
        assert_eq!(shape(800, 500, 4), (4, 2, 2));
        assert_eq!(shape(1280, 720, 9), (9, 3, 3));
        assert_eq!(shape(1280, 720, 30), (30, 5, 6));
        let (panes, columns, rows) = shape(1280, 720, 180);
        assert_eq!(panes, 180, "{columns} x {rows}");
        assert!(shape(360, 240, 180).0 < 180, "as many as fit");
    }
}
