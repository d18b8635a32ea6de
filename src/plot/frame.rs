//! Where the parts of a frame lie: functions of its size alone, so that mouse handling and drawing agree.

use super::Size;
use crate::view::Rect;

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
/// Below this height the gap between header and plot is halved.
const ROOMY_HEIGHT_PX: i32 = 400;

/// The rectangles of a frame. They tile the window but for a margin around the plot; any of them may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Top strip: state, channel, legend.
    pub header: Rect,
    /// Where data is drawn.
    pub plot: Rect,
    /// Right of the plot, exactly as high.
    pub value_axis: Rect,
    /// Below the plot, exactly as wide.
    pub time_axis: Rect,
    /// Bottom strip: figures.
    pub footer: Rect,
}

impl Frame {
    /// The frame of a window of `size`; total for any size, sides beyond [`SIDE_PX_MAX`] count as that.
    pub fn new(size: Size) -> Self {
        let width = size.width.min(SIDE_PX_MAX) as i32;
        let height = size.height.min(SIDE_PX_MAX) as i32;
        let scaled = |px: i32, side: i32, full: i32| if side >= full { px } else { px * side / full };
        let header = scaled(HEADER_PX, height, FULL_HEIGHT_PX);
        let footer = scaled(FOOTER_PX, height, FULL_HEIGHT_PX);
        let time_axis = scaled(TIME_AXIS_PX, height, FULL_HEIGHT_PX);
        let gap = scaled(if height >= ROOMY_HEIGHT_PX { GAP_PX } else { GAP_PX / 2 }, height, FULL_HEIGHT_PX);
        let value_axis = scaled(VALUE_AXIS_PX, width, FULL_WIDTH_PX);
        let left = scaled(LEFT_PX, width, FULL_WIDTH_PX);

        let footer_top = height - footer;
        let plot = Rect { left, top: header + gap, right: width - value_axis, bottom: footer_top - time_axis };
        Self {
            header: Rect { left: 0, top: 0, right: width, bottom: header },
            plot,
            value_axis: Rect { left: plot.right, right: width, ..plot },
            time_axis: Rect { top: plot.bottom, bottom: footer_top, ..plot },
            footer: Rect { left: 0, top: footer_top, right: width, bottom: height },
        }
    }
}

/// Where things can be clicked in the frame that was just painted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hits {
    /// Index into the header's legend, and where that entry stands. Entries that did not fit are absent.
    pub legend: Vec<(usize, Rect)>,
    /// The state at the left of the header.
    pub badge: Rect,
    /// `? help` in the footer.
    pub help: Rect,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_stay_inside_and_never_overlap(width in 1_u32..5_000, height in 1_u32..5_000) {
            let frame = Frame::new(Size { width, height });
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

    #[test]
    fn the_usual_window_has_the_usual_measures() {
        let frame = Frame::new(Size { width: 1280, height: 720 });
        assert_eq!(frame.plot, Rect { left: 16, top: 60, right: 1196, bottom: 676 });
        assert_eq!((frame.header.height(), frame.footer.height(), frame.value_axis.width()), (44, 22, 84));
    }
}
