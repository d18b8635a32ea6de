//! Steps and labels that linear and logarithmic value axes share.

use super::format;
use super::viewport::ValueSpan;

/// Minimum distance between two ticks, px: wide on high axes, as close as labels are legible on low ones.
pub(crate) fn spacing_px(height_px: f64) -> f64 {
    if height_px < LOW_PX { 32.0 } else { 44.0 }
}

/// Axes lower than this are low.
const LOW_PX: f64 = 420.0;

/// Maximum number of decimals of a label; values that need more are written in scientific notation.
pub(crate) const DECIMALS_MAX: usize = 8;

/// Digits that an axis has room for, those before the point and the commas included.
const FIGURES_MAX: usize = 9;

/// Values from here on are written in scientific notation.
pub(crate) const PLAIN_MAX: f64 = 1e8;

/// Minimum step as a multiple of the resolution of `f64`; smaller steps would be uneven.
pub(crate) const RESOLUTION_STEPS: f64 = 64.0;

/// Maximum number of ticks: more than the highest monitor can label.
pub(crate) const TICKS_MAX: usize = 512;

/// Number of decimals, at most `decimals`, that fit behind values up to `widest`.
pub(crate) fn fitting_decimals(decimals: usize, widest: f64) -> usize {
    let whole = if widest >= 10.0 { widest.log10().floor() as usize + 1 } else { 1 };
    let commas = (whole - 1) / 3;
    decimals.min(FIGURES_MAX.saturating_sub(whole + commas))
}

/// Smallest `digit * 10^exponent` that is at least `min`, with a digit of 1, 2 or 5.
pub(crate) fn nice_step(min: f64) -> (f64, i32) {
    let exponent = min.log10().floor() as i32;
    let mantissa = min / 10_f64.powi(exponent);
    // Tolerance: 0.2 / 0.1 must not count as more than 2.
    match [1.0, 2.0, 5.0].into_iter().find(|digit| mantissa <= digit * (1.0 + 1e-9)) {
        Some(digit) => (digit, exponent),
        None => (1.0, exponent + 1),
    }
}

/// `digits * 10^exponent`. Multiplying by a positive power of ten, or dividing by one, keeps 3 * 0.1 at 0.3.
pub(crate) fn scaled(digits: f64, exponent: i32) -> f64 {
    let power = 10_f64.powi(exponent.abs());
    if exponent < 0 { digits / power } else { digits * power }
}

/// The increasing values of `ticks` inside `span`, with labels. Values that rounding makes equal are one tick.
pub(crate) fn labelled<T>(
    span: ValueSpan,
    ticks: impl Iterator<Item = (f64, T)>,
    label: impl Fn(T) -> String,
) -> Vec<(f64, String)> {
    let mut shown: Vec<(f64, T)> = ticks.filter(|(value, _)| (span.lo..=span.hi).contains(value)).collect();
    shown.dedup_by(|(value, _), (last, _)| value <= last);
    shown.into_iter().map(|(value, tick)| (value, label(tick))).collect()
}

/// A price or percentage as an axis writes it: grouped, or in scientific notation if it is too long.
pub(crate) fn axis_value(value: f64, decimals: usize) -> String {
    if value.abs() < PLAIN_MAX && decimals <= DECIMALS_MAX {
        return format::price(value, decimals);
    }
    format::signed(value, "", &format!("{:.3e}", value.abs()))
}

/// A change with its sign: `+0.24%`, `0.0%`, `−0.07%`.
pub(crate) fn percent_text(percent: f64, decimals: usize) -> String {
    format!("{}%", format::signed(percent, "+", &axis_value(percent.abs(), decimals)))
}
