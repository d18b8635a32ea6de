//! Units in which plotters receives coordinates and text.

use crate::chart::Scale;

/// Units of plotters' integer coordinates in a pixel of the layout. plotters draws on a canvas this much finer than
/// the window, so integers can place lines between pixels, and strokes can be a fraction of a pixel wide. Half a pixel
/// of the screen is a whole number of units at every [`Scale`].
pub(super) const UNITS_PER_PX: i32 = 48;

/// Units in a pixel of the screen: 48, 32 or 24.
pub(super) const fn units_per_screen_px(scale: Scale) -> i32 {
    UNITS_PER_PX * 2 / scale.halves() as i32
}

/// Pixels of the layout in units, rounded.
pub(super) fn units(px: f64) -> i32 {
    (px * f64::from(UNITS_PER_PX)).round() as i32
}

/// Ratio of plotters' font "size" to the em square.
pub(super) const EM_TO_SIZE: f64 = 1.24;

/// Font families of words in SVG. The framebuffer draws the first one.
pub(super) const WORDS_FAMILY: &str = "Ubuntu Light, Ubuntu, Helvetica Neue, Arial, sans-serif";
/// Font families of figures in SVG. The framebuffer draws the first one.
pub(super) const FIGURES_FAMILY: &str = "Hack, DejaVu Sans Mono, Menlo, Consolas, monospace";
