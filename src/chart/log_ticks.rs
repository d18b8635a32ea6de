//! Ticks of a logarithmic price axis: round prices, as close as labels allow.
//!
//! If decades are far apart, each is divided at 2 and 5, and the parts into equal steps of 1, 2 or 5 times a power of
//! ten, so that a narrow span has as many labels as on a linear axis. If decades are close, every second, fifth, tenth
//! ... of them has a label.

use super::axis_steps::{
    DECIMALS_MAX, PLAIN_MAX, RESOLUTION_STEPS, TICKS_MAX, axis_value, fitting_decimals, labelled, nice_step, scaled,
    spacing_px,
};
use super::viewport::ValueSpan;

/// Maximum decimal exponent of a price that `f64` represents at full precision, with a margin for arithmetic.
const EXPONENT_MAX: f64 = 300.0;

/// Prices that span less than this factor are all written with the same number of decimals.
const EVEN_FACTOR: f64 = 10.0;

/// A tick, and the power of ten of its step, which decides the decimals of its label.
struct Tick {
    price: f64,
    step_exponent: i32,
}

/// Ticks for an axis of `height_px` that shows decimal logarithms, as (logarithm, price), strictly increasing and
/// inside the span.
pub(crate) fn log_ticks(span: ValueSpan, height_px: f64, decimals: usize) -> Vec<(f64, String)> {
    // Height of a decade as a multiple of the distance between labels.
    let decade = height_px / (span.hi - span.lo) / spacing_px(height_px);
    if !(decade.is_finite() && decade > 0.0) {
        return Vec::new();
    }
    if span.lo < -EXPONENT_MAX || span.hi > EXPONENT_MAX || decade < 1.0 {
        return decades(span, decade);
    }
    let (lowest, highest) = (10_f64.powf(span.lo), 10_f64.powf(span.hi));
    let mut ticks = divided_decades(lowest, highest, decade);
    if ticks.len() < 3 {
        ticks = equal_steps(lowest, highest, decade);
    }
    let alike = highest / lowest < EVEN_FACTOR;
    let finest = ticks.iter().map(|tick| tick.step_exponent).min().unwrap_or(0);
    let label = |tick: &Tick| {
        let needed = |exponent: i32| usize::try_from(-exponent).unwrap_or(0);
        if alike {
            price(tick.price, needed(finest).max(fitting_decimals(decimals, highest)))
        } else {
            price(tick.price, needed(tick.step_exponent))
        }
    };
    labelled(span, ticks.iter().map(|tick| (tick.price.log10(), tick)), label)
}

/// Powers of ten.
fn decades(span: ValueSpan, decade: f64) -> Vec<(f64, String)> {
    let min = (1.0 / decade).max(1.0);
    if !min.is_finite() {
        return Vec::new();
    }
    let (digit, exponent) = nice_step(min);
    let step = digit * 10_f64.powi(exponent);
    let first = (span.lo / step).ceil();
    let label = |value: f64| {
        let plainly = (-(DECIMALS_MAX as f64)..PLAIN_MAX.log10()).contains(&value);
        let text = if plainly { price(10_f64.powf(value), (-value).max(0.0) as usize) } else { format!("1e{value}") };
        text.replace('-', "−")
    };
    labelled(span, (0..TICKS_MAX).map(|i| (first + i as f64) * step).map(|value| (value, value)), label)
}

/// Powers of ten with the ticks that fit between them, from below `lowest` to above `highest`.
fn divided_decades(lowest: f64, highest: f64, decade: f64) -> Vec<Tick> {
    let fits = |from: f64, to: f64| (to / from).log10() * decade >= 1.0;
    let marks: &[f64] = match () {
        () if fits(1.0, 2.0) && fits(5.0, 10.0) => &[1.0, 2.0, 5.0],
        () if fits(1.0, 3.0) => &[1.0, 3.0],
        () => &[1.0],
    };
    let (first, last) = (lowest.log10().floor() as i32, highest.log10().floor() as i32);
    let mut ticks = Vec::new();
    for exponent in first..=last {
        for (i, &mark) in marks.iter().enumerate() {
            let next = marks.get(i + 1).copied().unwrap_or(10.0);
            let (from, to) = (scaled(mark, exponent), scaled(next, exponent));
            if to < lowest || from > highest {
                continue;
            }
            ticks.push(Tick { price: from, step_exponent: exponent });
            if marks.len() == 3 && ticks.len() < TICKS_MAX {
                between((mark, next), exponent, (lowest, highest), decade, &mut ticks);
            }
        }
    }
    ticks
}

/// Adds the ticks that divide the interval from `mark` to `next` times a power of ten.
fn between((mark, next): (f64, f64), exponent: i32, (lowest, highest): (f64, f64), decade: f64, ticks: &mut Vec<Tick>) {
    // Steps are closest at the top of the visible part of the interval.
    let top = scaled(next, exponent).min(highest);
    let (digit, step_exponent) = nice_step(min_step(top, decade));
    let finer = exponent - step_exponent;
    if finer > i32::from(u8::MAX) {
        return;
    }
    // Counted in steps, which are integers, so that errors do not accumulate.
    let per_mark = if finer >= 0 { 10_f64.powi(finer) / digit } else { 0.0 };
    let (from, to) = (mark * per_mark, next * per_mark);
    if per_mark < 1.0 || from.fract() != 0.0 || to.fract() != 0.0 {
        // Neither 2 to 5 nor 5 to 10 can be divided into steps of 2. A single tick may fit.
        let middle = if mark > 4.0 { 7.0 } else { 3.0 };
        let lone = exponent == step_exponent
            && mark > 1.0
            && min_step(scaled(next, exponent), decade) <= { scaled(next - middle, exponent) };
        let below = (middle / mark).log10() * decade >= 1.0;
        if lone && below {
            ticks.push(Tick { price: scaled(middle, exponent), step_exponent: exponent });
        }
        return;
    }
    let first = (lowest / scaled(digit, step_exponent)).floor().max(from + 1.0);
    let mut i = first;
    while i < to && ticks.len() < TICKS_MAX {
        let at = scaled(i * digit, step_exponent);
        if at > highest {
            break;
        }
        ticks.push(Tick { price: at, step_exponent });
        i += 1.0;
    }
}

/// Equal steps over the whole span, for spans that contain too few round prices.
fn equal_steps(lowest: f64, highest: f64, decade: f64) -> Vec<Tick> {
    let (digit, exponent) = nice_step(min_step(highest, decade));
    let first = (lowest / scaled(digit, exponent)).ceil();
    let tick = |i: usize| Tick { price: scaled((first + i as f64) * digit, exponent), step_exponent: exponent };
    (0..TICKS_MAX).map(tick).take_while(|tick| tick.price <= highest).filter(|tick| tick.price > 0.0).collect()
}

/// Difference in price below `top` that corresponds to the minimum distance of labels.
fn min_step(top: f64, decade: f64) -> f64 {
    let ratio = -f64::exp_m1(-1.0 / decade * std::f64::consts::LN_10);
    // Steps near the resolution of `f64` would be uneven.
    top * ratio.max(f64::EPSILON * RESOLUTION_STEPS)
}

/// A price as the axis writes it.
fn price(price: f64, decimals: usize) -> String {
    if price >= PLAIN_MAX || decimals > DECIMALS_MAX {
        let text = format!("{price:.6e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        return format!("{digits}e{exponent}").replace('-', "−");
    }
    axis_value(price, decimals)
}

/// Price of a logarithm, as the axis writes it.
pub(crate) fn price_text(logarithm: f64, decimals: usize) -> String {
    if logarithm.abs() <= EXPONENT_MAX {
        price(10_f64.powf(logarithm), decimals)
    } else {
        format!("1e{logarithm:.0}").replace('-', "−")
    }
}

/// Number of decimals of which the last one changes with `step`.
pub(crate) fn decimals_for(step: f64) -> usize {
    if step > 0.0 { (-step.log10()).floor().clamp(0.0, DECIMALS_MAX as f64) as usize } else { 0 }
}

#[cfg(test)]
mod tests {
    use crate::chart::log_ticks::*;
    use proptest::prelude::*;

    fn labels(lowest: f64, highest: f64, height_px: f64) -> Vec<String> {
        let span = ValueSpan { lo: lowest.log10(), hi: highest.log10() };
        log_ticks(span, height_px, 2).into_iter().map(|(_, text)| text).collect()
    }

    proptest! {
        #[test]
        fn ticks_increase_inside_the_span_with_room_between(
            lo in -12.0_f64..12.0, exponent in -4.0_f64..1.3, height in 200.0_f64..3_000.0,
        ) {
            let span = ValueSpan { lo, hi: lo + 10_f64.powf(exponent) };
            let ticks = log_ticks(span, height, 2);
            prop_assert!(ticks.len() >= 2 && ticks.len() <= TICKS_MAX, "{ticks:?}");
            for pair in ticks.windows(2) {
                prop_assert!(pair[0].0 < pair[1].0);
                let px = (pair[1].0 - pair[0].0) / (span.hi - span.lo) * height;
                prop_assert!(px > spacing_px(height) * 0.9, "{px} {ticks:?}");
                prop_assert!(pair[0].1 != pair[1].1, "{pair:?}");
            }
            for (value, _) in ticks {
                prop_assert!(value >= span.lo && value <= span.hi);
            }
        }

        #[test]
        fn axes_of_usual_height_have_three_labels_at_least(
            lo in -12.0_f64..12.0, exponent in -4.0_f64..1.3, height in 300.0_f64..3_000.0,
        ) {
            let span = ValueSpan { lo, hi: lo + 10_f64.powf(exponent) };
            let ticks = log_ticks(span, height, 2);
            prop_assert!(ticks.len() >= 3, "{ticks:?}");
        }

        #[test]
        fn labels_are_the_prices_of_their_ticks(
            lo in -6.0_f64..7.0, exponent in -3.0_f64..1.0, height in 200.0_f64..1_000.0,
        ) {
            for (value, text) in log_ticks(ValueSpan { lo, hi: lo + 10_f64.powf(exponent) }, height, 2) {
                let price: f64 = text.replace(',', "").replace('−', "-").parse().unwrap();
                prop_assert!((price.log10() - value).abs() < 1e-9, "{text} {value}");
            }
        }

        #[test]
        fn any_finite_span_is_accepted(a in any::<f64>(), b in any::<f64>(), height in any::<f64>()) {
            log_ticks(ValueSpan { lo: a.min(b), hi: a.max(b) }, height, 2);
            price_text(a, 2);
        }
    }

    #[test]
    fn wide_spans_have_decades_and_what_fits_between() {
        assert_eq!(labels(0.9, 110.0, 616.0), ["1", "2", "3", "5", "10", "20", "30", "50", "100"]);
        assert_eq!(labels(0.5, 20_000.0, 400.0), ["1", "3", "10", "30", "100", "300", "1,000", "3,000", "10,000"]);
        assert_eq!(labels(1e-9, 1e12, 200.0), ["0.00001", "1", "100,000", "1e10"]);
    }

    #[test]
    fn narrow_spans_have_the_steps_of_a_linear_axis() {
        let ticks_in_span = labels(183.0, 183.401, 400.0);
        assert_eq!(
            ticks_in_span,
            ["183.00", "183.05", "183.10", "183.15", "183.20", "183.25", "183.30", "183.35", "183.40"]
        );
        assert!(labels(95.0, 105.0, 400.0).contains(&"100.00".to_owned()));
    }
}
