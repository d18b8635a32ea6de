//! Layout of a frame: a function of its size and arrangement, so that mouse handling and drawing agree.

use super::pane_grid::PaneGrid;
use super::scale::Scale;
use super::scene::Size;
use super::viewport::Rect;

/// Maximum length of a side of a frame, px: beyond any monitor, and far below an overflow of fixed-point coordinates.
pub const SIDE_PX_MAX: u32 = 16_384;

const HEADER_PX: i32 = 44;
const FOOTER_PX: i32 = 22;
const TIME_AXIS_PX: i32 = 22;
const VALUE_AXIS_PX: i32 = 84;
const LEFT_PX: i32 = 16;
const GAP_PX: i32 = 16;

/// Below this height the strips shrink in proportion, so that a plot remains.
const FULL_HEIGHT_PX: i32 = 240;
/// Below this width the value axis shrinks in proportion.
const FULL_WIDTH_PX: i32 = 420;
/// Share of the volume pane in the height of the middle, as a fraction.
const VOLUME_SHARE: (i32, i32) = (1, 6);
/// Below this height the space between header and plot is halved.
const ROOMY_HEIGHT_PX: i32 = 400;
/// Space left and right of a grid, and between the header and the grid.
const GRID_EDGE_PX: (i32, i32) = (8, 4);

/// Minimum height of a pane with a value axis.
const PANE_AXIS_HEIGHT_PX: i32 = 90;
/// Minimum width of a pane and width of its value axis. The widest has room for the date below it.
const PANE_AXES_PX: [(i32, i32); 3] = [(420, 88), (300, 70), (200, 58)];
/// Space around a plot in its pane, for outline and hairline. All even, see [`Layout::with_arrangement`].
const PANE_PADDING_PX: i32 = 6;
const PANE_EDGE_PX: i32 = 4;

/// Division of the middle of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrangement {
    /// One plot.
    #[default]
    Single,
    /// One plot with a volume pane below it.
    WithVolume,
    /// A grid of plots, as many as fit.
    Grid {
        /// Requested number of panes.
        panes: usize,
    },
}

/// Rectangles of a frame, in pixels of the layout. They tile the window except for a margin around the plot. Each of
/// them may be empty.
///
/// # Examples
///
/// ```
/// use tickscope::chart::{Arrangement, Layout, Scale, Size};
///
/// let size = Size { width: 1280, height: 720 };
/// let layout = Layout::new(size);
/// assert_eq!((layout.plot.width(), layout.value_axis.width()), (1180, 84));
///
/// let grid = Layout::with_arrangement(size, Scale::One, Arrangement::Grid { panes: 4 });
/// assert_eq!(grid.panes(), 4);
/// assert_eq!(grid.pane_at(100.0, 100.0), Some(0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Size of the whole, in pixels of the screen.
    pub size: Size,
    /// Pixels of the screen per pixel of the layout.
    pub scale: Scale,
    /// Division of the middle.
    pub arrangement: Arrangement,
    /// Top strip: state, channel, legend.
    pub header: Rect,
    /// Data area; in a grid the area of all panes.
    pub plot: Rect,
    /// Between plot and time axis, exactly as wide as the plot; empty without a volume pane.
    pub volume: Rect,
    /// Right of the plot, exactly as high.
    pub value_axis: Rect,
    /// Below the plot, exactly as wide.
    pub time_axis: Rect,
    /// Bottom strip: figures.
    pub footer: Rect,
}

impl Layout {
    /// Layout of a window of `size` with one plot at scale 1. Any size is valid; sides are limited to [`SIDE_PX_MAX`].
    pub fn new(size: Size) -> Self {
        Self::with_arrangement(size, Scale::One, Arrangement::Single)
    }

    /// Layout of a window of `size` pixels of the screen.
    pub fn with_arrangement(size: Size, scale: Scale, arrangement: Arrangement) -> Self {
        let layout_px = |side: u32| (side.min(SIDE_PX_MAX) * 2).div_ceil(scale.halves()) as i32;
        let (width, height) = (layout_px(size.width), layout_px(size.height));
        // Part of the layout that is entirely on the screen. The last pixel of a strip may be cut, but not that of a
        // plot.
        let whole_px = |side: u32| (side.min(SIDE_PX_MAX) * 2 / scale.halves()) as i32;
        // At scale 1.5, only even edges lie between two pixels of the screen.
        let even = |px: i32| if scale == Scale::OneAndHalf { px & !1 } else { px };
        let scaled = |px: i32, side: i32, full: i32| even(if side >= full { px } else { px * side / full });
        let header = scaled(HEADER_PX, height, FULL_HEIGHT_PX);
        let footer_top = even((height - scaled(FOOTER_PX, height, FULL_HEIGHT_PX)).min(whole_px(size.height)));
        let time_axis = scaled(TIME_AXIS_PX, height, FULL_HEIGHT_PX);
        let gap = scaled(if height >= ROOMY_HEIGHT_PX { GAP_PX } else { GAP_PX / 2 }, height, FULL_HEIGHT_PX);
        let value_axis = scaled(VALUE_AXIS_PX, width, FULL_WIDTH_PX);
        let left = scaled(LEFT_PX, width, FULL_WIDTH_PX);

        let grid = matches!(arrangement, Arrangement::Grid { .. });
        let beside = scaled(GRID_EDGE_PX.0, width, FULL_WIDTH_PX);
        let middle = Rect {
            left: if grid { beside } else { left },
            top: header + if grid { scaled(GRID_EDGE_PX.1, height, FULL_HEIGHT_PX) } else { gap },
            right: even((width - if grid { beside } else { value_axis }).min(whole_px(size.width))),
            bottom: footer_top - time_axis,
        };
        let volume_px = if arrangement == Arrangement::WithVolume {
            even(middle.height() * VOLUME_SHARE.0 / VOLUME_SHARE.1)
        } else {
            0
        };
        let plot = Rect { bottom: middle.bottom - volume_px, ..middle };
        Self {
            size,
            scale,
            arrangement,
            header: Rect { left: 0, top: 0, right: width, bottom: header },
            plot,
            volume: Rect { top: plot.bottom, bottom: middle.bottom, ..plot },
            value_axis: Rect { left: plot.right, right: if grid { plot.right } else { width }, ..plot },
            time_axis: Rect { top: middle.bottom, bottom: footer_top, ..plot },
            footer: Rect { left: 0, top: footer_top, right: width, bottom: height },
        }
    }

    /// Layout without strips and axes, for surfaces that draw those in their own way.
    pub fn plot_only(size: Size) -> Self {
        let plot = Rect { left: 0, top: 0, right: size.width as i32, bottom: size.height as i32 };
        let nothing = Rect::default();
        Self {
            size,
            scale: Scale::One,
            arrangement: Arrangement::Single,
            header: nothing,
            plot,
            volume: nothing,
            value_axis: nothing,
            time_axis: nothing,
            footer: nothing,
        }
    }

    /// Number of pixel columns of the screen in a plot, at least 1. All panes of a grid have the same.
    pub fn columns(&self) -> u32 {
        let layout_px = self.pane(0).plot.width().unsigned_abs();
        (layout_px * self.scale.halves() / 2).max(1)
    }

    /// Number of plots: 1, or in a grid as many of the requested ones as fit.
    pub fn panes(&self) -> usize {
        self.pane_grid().map_or(1, |cells| cells.panes)
    }

    /// Layout of one plot: this layout, or that of a pane of the grid, in reading order. A pane's header is its title
    /// strip, its time axis is shared by its column of panes, and its footer is empty.
    #[must_use]
    pub fn pane(&self, index: usize) -> Self {
        let Some(grid) = self.pane_grid() else { return *self };
        let cell = grid.cell(index.min(grid.panes - 1));
        let title = match cell.height() {
            140.. => 24,
            70.. => 20,
            _ => 16,
        };
        let widest = PANE_AXES_PX.into_iter().find(|(width, _)| cell.width() >= *width);
        let axis = widest.filter(|_| cell.height() >= PANE_AXIS_HEIGHT_PX).map_or(0, |(_, axis)| axis);
        let inner = |px: i32, low: i32, high: i32| px.clamp(low, high.max(low));
        let top = inner(cell.top + title, cell.top, cell.bottom);
        let left = inner(cell.left + PANE_PADDING_PX, cell.left, cell.right);
        let plot = Rect {
            left,
            top,
            right: inner(cell.right - PANE_PADDING_PX - axis, left, cell.right),
            bottom: inner(cell.bottom - PANE_PADDING_PX, top, cell.bottom),
        };
        let right = (cell.right - PANE_EDGE_PX).max(plot.right);
        let title_right = (if axis > 0 { right - PANE_EDGE_PX } else { right }).max(plot.right);
        Self {
            header: Rect { left, top: cell.top + PANE_EDGE_PX / 2, right: title_right, bottom: top },
            plot,
            volume: Rect { top: plot.bottom, ..plot },
            value_axis: Rect { left: plot.right, right: if axis > 0 { right } else { plot.right }, ..plot },
            time_axis: Rect { left, right: plot.right, ..self.time_axis },
            footer: Rect { top: cell.bottom, ..cell },
            arrangement: Arrangement::Single,
            ..*self
        }
    }

    /// Returns `true` for a grid.
    pub(crate) fn is_grid(&self) -> bool {
        matches!(self.arrangement, Arrangement::Grid { .. })
    }

    /// Division of the grid; `None` without one.
    pub(crate) fn pane_grid(&self) -> Option<PaneGrid> {
        match self.arrangement {
            Arrangement::Grid { panes } => Some(PaneGrid::new(self.plot, panes, self.scale)),
            Arrangement::Single | Arrangement::WithVolume => None,
        }
    }

    /// Plot and volume pane together.
    pub(crate) fn plots(&self) -> Rect {
        Rect { bottom: self.volume.bottom.max(self.plot.bottom), ..self.plot }
    }

    /// Pixels of the screen that a rectangle of the layout touches.
    pub(crate) fn screen(&self, rect: Rect) -> Rect {
        let halves = self.scale.halves() as i32;
        let (low, high) = (|px: i32| (px * halves).div_euclid(2), |px: i32| -(-px * halves).div_euclid(2));
        Rect {
            left: low(rect.left),
            top: low(rect.top),
            right: high(rect.right).min(self.size.width as i32),
            bottom: high(rect.bottom).min(self.size.height as i32),
        }
    }

    /// Index of the plot that contains a place.
    pub fn pane_at(&self, x: f64, y: f64) -> Option<usize> {
        (0..self.panes()).find(|index| self.pane(*index).plot.contains(x, y))
    }
}

/// Clickable areas of the last frame, in pixels of the layout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HitAreas {
    /// Index in the header's legend, and area. Entries that did not fit are absent.
    pub legend: Vec<(usize, Rect)>,
    /// Connection badge.
    pub badge: Rect,
    /// View badge (paused, scrolled back).
    pub view_badge: Rect,
    /// Rows of the search box, by index in its matches.
    pub search_rows: Vec<Rect>,
    /// `? help` in the footer.
    pub help: Rect,
}

#[cfg(test)]
mod tests {
    use crate::chart::layout::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_stay_inside_and_never_overlap(width in 1_u32..5_000, height in 1_u32..5_000) {
            let frame = Layout::new(Size { width, height });
            let parts = [frame.header, frame.plot, frame.value_axis, frame.time_axis, frame.footer];
            for (i, a) in parts.iter().enumerate() {
                prop_assert!(a.left >= 0 && a.top >= 0 && a.right <= width as i32 && a.bottom <= height as i32);
                for b in &parts[i + 1..] {
                    let apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
                    prop_assert!(apart, "{a:?} {b:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn plots_have_whole_pixels_of_the_screen_at_every_scale(
            width in 1_u32..4_000, height in 1_u32..3_000, panes in 0_usize..300,
        ) {
            for scale in [Scale::One, Scale::OneAndHalf, Scale::Two] {
                let size = Size { width, height };
                for arrangement in [Arrangement::Single, Arrangement::WithVolume, Arrangement::Grid { panes }] {
                    let frame = Layout::with_arrangement(size, scale, arrangement);
                    prop_assert!(frame.header.right as u32 * scale.halves() >= width * 2, "the strips reach the edge");
                    prop_assert!(frame.footer.bottom as u32 * scale.halves() >= height * 2);
                    for index in 0..frame.panes() {
                        let pane = frame.pane(index);
                        let Rect { left, top, right, bottom } = pane.plot;
                        for edge in [left, top, right, bottom, pane.volume.top] {
                            prop_assert!(edge * scale.halves() as i32 % 2 == 0, "{pane:?}");
                        }
                        prop_assert_eq!(pane.columns(), frame.columns());
                        prop_assert_eq!(frame.screen(pane.plot).width().max(1) as u32, frame.columns());
                    }
                }
            }
        }
    }

    #[test]
    fn a_common_window_has_full_size_parts() {
        let frame = Layout::new(Size { width: 1280, height: 720 });
        assert_eq!(frame.plot, Rect { left: 16, top: 60, right: 1196, bottom: 676 });
        assert_eq!((frame.header.height(), frame.footer.height(), frame.value_axis.width()), (44, 22, 84));
    }
}
