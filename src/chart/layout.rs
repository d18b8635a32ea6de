//! Where the parts of a frame lie: functions of its size alone, so that mouse handling and drawing agree.

use crate::chart::Rect;
use crate::chart::Size;
use crate::chart::pane_grid::PaneGrid;

/// Longest side of a frame, px. Beyond any monitor, and far below where fixed-point coordinates could overflow.
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
/// Share of the middle that the volume pane has, as a fraction.
const VOLUME_SHARE: (i32, i32) = (1, 6);
/// Below this height the gap between header and plot is halved.
const ROOMY_HEIGHT_PX: i32 = 400;
/// Left and right of a grid, and between the header and it.
const GRID_EDGE_PX: (i32, i32) = (8, 4);

/// How many pixels of the screen a pixel of the layout has, on each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// As it is.
    #[default]
    One,
    /// Three for two.
    OneAndHalf,
    /// Two for one.
    Two,
}

impl Scale {
    /// Pixels of the screen for two of the layout.
    pub const fn halves(self) -> u32 {
        match self {
            Self::One => 2,
            Self::OneAndHalf => 3,
            Self::Two => 4,
        }
    }

    /// The one nearest to a display's own factor.
    pub fn nearest(factor: f64) -> Self {
        if factor < 1.25 {
            Self::One
        } else if factor < 1.75 {
            Self::OneAndHalf
        } else {
            Self::Two
        }
    }

    /// Pixels of the screen for one of the layout.
    pub fn factor(self) -> f64 {
        f64::from(self.halves()) / 2.0
    }
}

/// How the middle of a frame is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrangement {
    /// One plot.
    #[default]
    Single,
    /// One plot with a pane for volume below it.
    WithVolume,
    /// A grid of so many plots, as far as they fit.
    Grid {
        /// How many are wanted.
        panes: usize,
    },
}

/// The rectangles of a frame, in pixels of the layout. They tile the window but for a margin around the plot; any of
/// them may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Of the whole, in pixels of the screen.
    pub size: Size,
    /// Pixels of the screen for each of the layout.
    pub scale: Scale,
    /// How the middle is divided.
    pub arrangement: Arrangement,
    /// Top strip: state, channel, legend.
    pub header: Rect,
    /// Where data is drawn; all panes of a grid together.
    pub plot: Rect,
    /// Between plot and time axis, exactly as wide as the plot; empty unless arranged with volume.
    pub volume: Rect,
    /// Right of the plot, exactly as high.
    pub value_axis: Rect,
    /// Below the plot, exactly as wide.
    pub time_axis: Rect,
    /// Bottom strip: figures.
    pub footer: Rect,
}

impl Layout {
    /// The frame of a window of `size` with one plot and no scale; total for any size, sides beyond [`SIDE_PX_MAX`]
    /// count as that.
    pub fn new(size: Size) -> Self {
        Self::with_arrangement(size, Scale::One, Arrangement::Single)
    }

    /// The frame of a window of `size` pixels of the screen.
    pub fn with_arrangement(size: Size, scale: Scale, arrangement: Arrangement) -> Self {
        let layout_px = |side: u32| (side.min(SIDE_PX_MAX) * 2).div_ceil(scale.halves()) as i32;
        let (width, height) = (layout_px(size.width), layout_px(size.height));
        // What of the layout lies on the screen as a whole: the last pixel of a strip may not, plots must.
        let whole_px = |side: u32| (side.min(SIDE_PX_MAX) * 2 / scale.halves()) as i32;
        // Three pixels of the screen for two: only even edges fall between two pixels.
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

    /// A frame that is all plot, for surfaces that draw what is around it in their own way.
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

    /// Pixel columns of the screen that a plot has; at least 1. All panes of a grid have as many.
    pub fn columns(&self) -> u32 {
        let layout_px = self.pane(0).plot.width().unsigned_abs();
        (layout_px * self.scale.halves() / 2).max(1)
    }

    /// How many plots there are: 1, or in a grid as many as fit of those that were asked for.
    pub fn panes(&self) -> usize {
        self.cells().map_or(1, |cells| cells.panes)
    }

    /// The frame of one plot: this one, or in a grid that of a pane, in reading order. A pane's header is the strip
    /// with its title; its time axis is the one that its column of panes has in common; it has no footer.
    #[must_use]
    pub fn pane(&self, index: usize) -> Self {
        self.cells().map_or(*self, |cells| cells.pane(self, index))
    }

    /// Whether there are panes instead of one plot.
    pub(crate) fn is_grid(&self) -> bool {
        matches!(self.arrangement, Arrangement::Grid { .. })
    }

    /// How a grid is divided; `None` where there is none.
    pub(crate) fn cells(&self) -> Option<PaneGrid> {
        match self.arrangement {
            Arrangement::Grid { panes } => Some(PaneGrid::new(self.plot, panes, self.scale)),
            Arrangement::Single | Arrangement::WithVolume => None,
        }
    }

    /// Plot and volume pane together.
    pub(crate) fn plots(&self) -> Rect {
        Rect { bottom: self.volume.bottom.max(self.plot.bottom), ..self.plot }
    }

    /// The pixels of the screen that a rectangle of the layout touches.
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

    /// The plot under a place.
    pub fn pane_at(&self, x: f64, y: f64) -> Option<usize> {
        (0..self.panes()).find(|index| self.pane(*index).plot.contains(x, y))
    }
}

/// Where things can be clicked in the frame that was just painted, in pixels of the layout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HitAreas {
    /// Index into the header's legend, and where that entry stands. Entries that did not fit are absent.
    pub legend: Vec<(usize, Rect)>,
    /// The state at the left of the header.
    pub badge: Rect,
    /// What says that the view is paused or scrolled back, beside the badge.
    pub view_badge: Rect,
    /// Rows of the search box's findings, by their place in it.
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
    fn the_usual_window_has_the_usual_measures() {
        let frame = Layout::new(Size { width: 1280, height: 720 });
        assert_eq!(frame.plot, Rect { left: 16, top: 60, right: 1196, bottom: 676 });
        assert_eq!((frame.header.height(), frame.footer.height(), frame.value_axis.width()), (44, 22, 84));
    }
}
