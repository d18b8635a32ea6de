//! Ticks of the value axis, and how values are written.

use crate::chart::AxisKind;
use crate::chart::ValueSpan;
use crate::chart::log_ticks::{decimals_for, log_ticks, price_text};

/// Least distance between two ticks, px: on high axes calm, on low ones as close as labels can be read.
pub(crate) fn spacing_px(height_px: f64) -> f64 {
    if height_px < LOW_PX { 32.0 } else { 44.0 }
}

/// Axes lower than this have few labels anyway.
const LOW_PX: f64 = 420.0;

/// Digits after the point beyond which a value is written in powers of ten: the axis has room for about nine figures.
pub(crate) const DECIMALS_MAX: usize = 8;

/// Figures that the axis has room for, those before the point included.
const FIGURES_MAX: usize = 9;

/// Digits after the point in powers of ten: all that `f64` has.
const DIGITS_MAX: usize = 15;

/// Values from here on are written in powers of ten.
pub(crate) const PLAIN_MAX: f64 = 1e8;

/// Largest whole number of steps that `f64` counts exactly.
const STEPS_MAX: f64 = 9e15;

/// A step is at least this many times what `f64` can tell apart.
pub(crate) const RESOLUTION_STEPS: f64 = 64.0;

/// Most ticks on an axis: more than the highest monitor can label.
pub(crate) const TICKS_MAX: usize = 512;

/// Ticks for an axis of `height_px` that shows `span`, as (value, label), strictly increasing and inside the span, at
/// steps of 1, 2 or 5 times a power of ten; on a logarithmic axis at logarithms of round prices, labelled with those.
/// `decimals` is the least that prices are written with.
pub fn value_ticks(span: ValueSpan, height_px: f64, axis: AxisKind, decimals: usize) -> Vec<(f64, String)> {
    if axis == AxisKind::Log {
        return log_ticks(span, height_px, decimals);
    }
    let widest = span.lo.abs().max(span.hi.abs());
    // Steps near the resolution of f64 would fall unevenly.
    let least = ((span.hi - span.lo) * spacing_px(height_px) / height_px).max(widest * f64::EPSILON * RESOLUTION_STEPS);
    if !(least.is_finite() && least > 0.0) {
        return Vec::new();
    }
    let (digit, exponent) = nice_step(least);
    // Multiplying by a positive power of ten, or dividing by one, keeps 3 * 0.1 at 0.3.
    let power = 10_f64.powi(exponent.abs());
    let value = |i: f64| if exponent < 0 { i * digit / power } else { i * digit * power };
    let step = value(1.0);
    let first = (span.lo / step).ceil();
    if !(step > 0.0 && power.is_finite() && first.abs() < STEPS_MAX) {
        return Vec::new();
    }
    let needed = usize::try_from(-exponent).unwrap_or(0);
    let decimals = match axis {
        AxisKind::Price | AxisKind::Log => needed.max(fitting(decimals, widest)),
        AxisKind::Percent => needed.max(1),
    };
    let scientific = widest >= PLAIN_MAX || needed > DECIMALS_MAX;
    let text = |value: f64| {
        if scientific { scientific_text(value, axis, exponent) } else { value_text(value, axis, decimals) }
    };
    let mut ticks: Vec<(f64, String)> = Vec::new();
    for i in 0..TICKS_MAX {
        let value = value(first + i as f64);
        if value > span.hi {
            break;
        }
        if value >= span.lo && ticks.last().is_none_or(|(last, _)| value > *last) {
            ticks.push((value, text(value)));
        }
    }
    ticks
}

/// As many of the `decimals` as there is room for behind values up to `widest`.
pub(crate) fn fitting(decimals: usize, widest: f64) -> usize {
    let whole = if widest >= 10.0 { widest.log10().floor() as usize + 1 } else { 1 };
    let commas = (whole - 1) / 3;
    decimals.min(FIGURES_MAX.saturating_sub(whole + commas))
}

/// The smallest digit * 10^exponent that is at least `least`, with a digit of 1, 2 or 5.
pub(crate) fn nice_step(least: f64) -> (f64, i32) {
    let exponent = least.log10().floor() as i32;
    let mantissa = least / 10_f64.powi(exponent);
    // A hair of tolerance: 0.2 / 0.1 must not count as more than 2.
    match [1.0, 2.0, 5.0].into_iter().find(|digit| mantissa <= digit * (1.0 + 1e-9)) {
        Some(digit) => (digit, exponent),
        None => (1.0, exponent + 1),
    }
}

/// A value as the axis writes it.
pub(crate) fn value_text(value: f64, axis: AxisKind, decimals: usize) -> String {
    match axis {
        AxisKind::Price => plain(value, decimals),
        AxisKind::Log => price_text(value, decimals),
        AxisKind::Percent => percent_text(value, decimals),
    }
}

/// A tick that is a multiple of ten to `exponent`, in powers of ten, with as many digits as tell it from the next.
fn scientific_text(value: f64, axis: AxisKind, exponent: i32) -> String {
    let magnitude = if value.abs() > 0.0 { value.abs().log10().floor() as i32 } else { exponent };
    let digits = usize::try_from(magnitude.saturating_sub(exponent)).unwrap_or(0).min(DIGITS_MAX);
    let unit = if axis == AxisKind::Percent { "%" } else { "" };
    format!("{value:.digits$e}{unit}").replace('-', "−")
}

/// A change with its sign and a proper minus: `+0.24%`, `0.0%`, `−0.07%`.
pub(crate) fn percent_text(percent: f64, decimals: usize) -> String {
    let text = plain(percent, decimals);
    let zero = !text.bytes().any(|b| (b'1'..=b'9').contains(&b));
    let sign = if percent > 0.0 && !zero { "+" } else { "" };
    format!("{sign}{text}%")
}

pub(crate) fn plain(value: f64, decimals: usize) -> String {
    let text = if value.abs() >= PLAIN_MAX || decimals > DECIMALS_MAX {
        format!("{value:.3e}")
    } else {
        grouped(&format!("{value:.decimals$}"))
    };
    let zero = !text.bytes().any(|b| (b'1'..=b'9').contains(&b));
    match text.strip_prefix('-') {
        Some(digits) if zero => digits.to_owned(),
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

/// `text` with commas between its thousands.
fn grouped(text: &str) -> String {
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::with_capacity(text.len() + whole.len() / 3);
    for (i, c) in whole.chars().enumerate() {
        let behind = whole.len() - i;
        if behind.is_multiple_of(3) && grouped.ends_with(|c: char| c.is_ascii_digit()) {
            grouped.push(',');
        }
        grouped.push(c);
    }
    grouped + fraction
}

/// Decimals that a `value` under a cursor deserves: about one in ten rows changes the last one.
pub(crate) fn decimals_at(value: f64, span: ValueSpan, height_px: f64, axis: AxisKind, decimals: usize) -> usize {
    let step = (span.hi / 2.0 - span.lo / 2.0) * 2.0 / height_px.max(1.0);
    match axis {
        AxisKind::Price => decimals_for(step).max(fitting(decimals, span.lo.abs().max(span.hi.abs()))),
        AxisKind::Percent => decimals_for(step).clamp(2, 4),
        AxisKind::Log => {
            let price = 10_f64.powf(value).min(f64::MAX);
            decimals_for(price * step * std::f64::consts::LN_10).max(fitting(decimals, price))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::chart::value_ticks::*;

    #[test]
    fn labels_have_no_more_decimals_than_the_axis_has_room_for() {
        let labels = |lo: f64, hi: f64, decimals: usize| {
            let ticks = value_ticks(ValueSpan { lo, hi }, 400.0, AxisKind::Price, decimals);
            ticks.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert!(labels(0.0, 64_000.0, 8).contains(&"20,000.000".to_owned()));
        assert!(labels(-64_000.0, 64_000.0, 2).contains(&"−20,000.00".to_owned()));
        assert!(labels(0.000_012, 0.000_013, 8).contains(&"0.00001220".to_owned()));
    }
    use proptest::prelude::*;

    fn labels(lo: f64, hi: f64, axis: AxisKind, decimals: usize) -> Vec<String> {
        value_ticks(ValueSpan { lo, hi }, 616.0, axis, decimals).into_iter().map(|(_, text)| text).collect()
    }

    proptest! {
        #[test]
        fn ticks_increase_inside_the_span_with_room_between(
            lo in -1e12_f64..1e12, exponent in -9.0_f64..13.0, height in 1.0_f64..3_000.0,
        ) {
            let span = ValueSpan { lo, hi: (lo + 10_f64.powf(exponent)).max(lo.next_up()) };
            let ticks = value_ticks(span, height, AxisKind::Price, 2);
            for pair in ticks.windows(2) {
                prop_assert!(pair[0].0 < pair[1].0);
                let px = (pair[1].0 - pair[0].0) / (span.hi - span.lo) * height;
                prop_assert!(px > spacing_px(height) * 0.9, "{px}");
                prop_assert!(pair[0].1 != pair[1].1, "{pair:?}");
            }
            for (value, _) in ticks {
                prop_assert!(value >= span.lo && value <= span.hi);
            }
        }

        #[test]
        fn any_finite_span_is_survived(a in any::<f64>(), b in any::<f64>(), height in any::<f64>()) {
            value_ticks(ValueSpan { lo: a.min(b), hi: a.max(b) }, height, AxisKind::Percent, 2);
            for axis in [AxisKind::Price, AxisKind::Percent, AxisKind::Log] {
                decimals_at(a, ValueSpan { lo: a.min(b), hi: a.max(b) }, height, axis, 2);
            }
        }
    }

    #[test]
    fn percents_have_signs_and_one_zero() {
        let shown = labels(-0.25, 0.46, AxisKind::Percent, 2);
        assert_eq!(shown, ["−0.2%", "−0.1%", "0.0%", "+0.1%", "+0.2%", "+0.3%", "+0.4%"]);
        assert_eq!(percent_text(-0.004, 2), "0.00%");
        assert_eq!(percent_text(0.004, 2), "0.00%");
    }

    #[test]
    fn prices_have_the_decimals_that_they_trade_in_or_more() {
        assert_eq!(labels(167.0, 168.0, AxisKind::Price, 2)[0], "167.00");
        assert_eq!(labels(1.0, 1.0005, AxisKind::Price, 2)[1], "1.00005");
        assert_eq!(labels(-40.0, 900.0, AxisKind::Price, 0)[0], "0");
        assert!(labels(0.0, 3e11, AxisKind::Price, 2)[1].contains('e'));
    }
}
