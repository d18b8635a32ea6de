//! Ticks of the value axis, and labels of values.

use super::axis_steps::{
    DECIMALS_MAX, PLAIN_MAX, RESOLUTION_STEPS, TICKS_MAX, axis_value, fitting_decimals, labelled, nice_step,
    percent_text, scaled, spacing_px,
};
use super::log_ticks::{decimals_for, log_ticks, price_text};
use super::scene::AxisKind;
use super::viewport::ValueSpan;

/// Maximum number of digits in scientific notation: the precision of `f64`.
const DIGITS_MAX: usize = 15;

/// Maximum number of steps that `f64` counts exactly.
const STEPS_MAX: f64 = 9e15;

/// Ticks for an axis of `height_px` that shows `span`, as (value, label), strictly increasing and inside the span, at
/// steps of 1, 2 or 5 times a power of ten. A logarithmic axis has ticks at the logarithms of round prices, labelled
/// with the prices. `decimals` is the minimum number of decimals of prices.
pub fn value_ticks(span: ValueSpan, height_px: f64, axis: AxisKind, decimals: usize) -> Vec<(f64, String)> {
    if axis == AxisKind::Log {
        return log_ticks(span, height_px, decimals);
    }
    let widest = span.lo.abs().max(span.hi.abs());
    // Steps near the resolution of `f64` would be uneven.
    let min_step =
        ((span.hi - span.lo) * spacing_px(height_px) / height_px).max(widest * f64::EPSILON * RESOLUTION_STEPS);
    if !(min_step.is_finite() && min_step > 0.0) {
        return Vec::new();
    }
    let (digit, exponent) = nice_step(min_step);
    let step = scaled(digit, exponent);
    let first = (span.lo / step).ceil();
    if !(step > 0.0 && exponent.abs() <= f64::MAX_10_EXP && first.abs() < STEPS_MAX) {
        return Vec::new();
    }
    let needed = usize::try_from(-exponent).unwrap_or(0);
    let decimals = match axis {
        AxisKind::Price | AxisKind::Log => needed.max(fitting_decimals(decimals, widest)),
        AxisKind::Percent => needed.max(1),
    };
    let scientific = widest >= PLAIN_MAX || needed > DECIMALS_MAX;
    let text = |value: f64| {
        if scientific { scientific_text(value, axis, exponent) } else { value_text(value, axis, decimals) }
    };
    let values = (0..TICKS_MAX).map(|i| scaled((first + i as f64) * digit, exponent));
    labelled(span, values.map(|value| (value, value)), text)
}

/// A value as the axis writes it.
pub(crate) fn value_text(value: f64, axis: AxisKind, decimals: usize) -> String {
    match axis {
        AxisKind::Price => axis_value(value, decimals),
        AxisKind::Log => price_text(value, decimals),
        AxisKind::Percent => percent_text(value, decimals),
    }
}

/// A tick that is a multiple of `10^exponent` in scientific notation, with enough digits to differ from the next one.
fn scientific_text(value: f64, axis: AxisKind, exponent: i32) -> String {
    let magnitude = if value.abs() > 0.0 { value.abs().log10().floor() as i32 } else { exponent };
    let digits = usize::try_from(magnitude.saturating_sub(exponent)).unwrap_or(0).min(DIGITS_MAX);
    let unit = if axis == AxisKind::Percent { "%" } else { "" };
    format!("{value:.digits$e}{unit}").replace('-', "−")
}

/// Number of decimals of `value` under a cursor: about every tenth row changes the last one.
pub(crate) fn decimals_at(value: f64, span: ValueSpan, height_px: f64, axis: AxisKind, decimals: usize) -> usize {
    let step = (span.hi / 2.0 - span.lo / 2.0) * 2.0 / height_px.max(1.0);
    match axis {
        AxisKind::Price => decimals_for(step).max(fitting_decimals(decimals, span.lo.abs().max(span.hi.abs()))),
        AxisKind::Percent => decimals_for(step).clamp(2, 4),
        AxisKind::Log => {
            let price = 10_f64.powf(value).min(f64::MAX);
            decimals_for(price * step * std::f64::consts::LN_10).max(fitting_decimals(decimals, price))
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
        fn any_finite_span_is_accepted(a in any::<f64>(), b in any::<f64>(), height in any::<f64>()) {
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
