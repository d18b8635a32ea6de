#![expect(clippy::float_cmp, reason = "places that must agree exactly are what is tested")]

use proptest::prelude::*;

use crate::chart::*;
use crate::model::{SPAN_NS_MAX, SPAN_NS_MIN, TIME_NS_MIN, TimeSpan};

/// Instants, including the ends of `i64` and small numbers.
fn instants() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -5_000_i64..5_000, Just(i64::MIN), Just(i64::MAX), 1_600_000_000_i64..1_800_000_000]
}

fn spans() -> impl Strategy<Value = TimeSpan> {
    let legal = (instants(), instants()).prop_map(|(a, b)| TimeSpan::new(a, b));
    let any = (instants(), instants())
        .prop_filter_map("empty", |(a, b)| (a != b).then(|| TimeSpan { start: a.min(b), end: a.max(b) }));
    prop_oneof![3 => legal, 1 => any]
}

/// Floats, including NaN, infinities, subnormals, and the ends of the range.
fn floats() -> impl Strategy<Value = f64> {
    let ends =
        prop::sample::select(vec![0.0, -0.0, f64::MAX, f64::MIN, f64::NAN, f64::INFINITY, 5e-324, 1e308, -1e308]);
    prop_oneof![prop::num::f64::ANY, ends, -1e4_f64..1e4]
}

fn rects() -> impl Strategy<Value = Rect> {
    let place = (-3_000_i32..3_000, 1_i32..8_000, 1_i32..5_000);
    place.prop_map(|(left, width, height)| Rect { left, top: 10, right: left + width, bottom: 10 + height })
}

fn transform(time: TimeSpan, value: ValueSpan, rect: Rect) -> Transform {
    Transform { viewport: Viewport { time, value }, rect }
}

fn is_legal(span: ValueSpan) -> bool {
    span.lo.is_finite() && span.hi.is_finite() && span.lo < span.hi
}

fn is_limited(span: TimeSpan) -> bool {
    (SPAN_NS_MIN..=SPAN_NS_MAX).contains(&span.len_ns()) && span.start >= TIME_NS_MIN
}

proptest! {
    #[test]
    fn the_floor_of_x_is_the_column(span in spans(), rect in rects(), time_ns in instants(), share in 0.0_f64..1.0) {
        let at = transform(span, ValueSpan::EMPTY, rect);
        let inside = span.start.saturating_add((span.len_ns() as f64 * share) as i64);
        for time_ns in [time_ns, inside, span.start, span.end - 1] {
            let column = span.column(time_ns, at.columns());
            let exact = (i128::from(time_ns) - i128::from(span.start)) * i128::from(at.columns());
            let exact = exact.div_euclid(i128::from(span.end) - i128::from(span.start));
            prop_assert_eq!(i128::from(column), exact.clamp(i64::MIN.into(), i64::MAX.into()));
            let x = at.x(time_ns);
            prop_assert!(x.is_finite());
            if column.unsigned_abs() < 1_000_000 {
                prop_assert_eq!(x.floor() as i64, i64::from(rect.left) + column);
            }
            prop_assert_eq!(rect.contains(x, f64::from(rect.top)), span.contains(time_ns));
        }
    }

    #[test]
    fn columns_start_where_the_one_before_ends(
        span in spans(),
        columns in 1_u32..10_000,
        column in -20_000_i64..20_000,
    ) {
        let start = span.column_start(column, columns);
        prop_assume!(start > i64::MIN && start < i64::MAX);
        prop_assert!(span.column(start, columns) >= column);
        prop_assert!(span.column(start - 1, columns) < column);
        prop_assert_eq!(span.column_start(0, columns), span.start);
        prop_assert_eq!(span.column_start(columns.into(), columns), span.end);
    }

    #[test]
    fn x_and_y_are_monotonic(
        span in spans(),
        rect in rects(),
        a in instants(),
        b in instants(),
        v in floats(),
        w in floats(),
    ) {
        let at = transform(span, ValueSpan::fit(v, w), rect);
        prop_assert!(at.x(a.min(b)) <= at.x(a.max(b)));
        if !v.is_nan() && !w.is_nan() {
            prop_assert!(at.y(v.min(w)) >= at.y(v.max(w)));
        }
    }

    #[test]
    fn inverses_are_exact_within_a_pixel(
        span in spans(),
        rect in rects(),
        x in 0.0_f64..1.0,
        v in floats(),
        w in floats(),
    ) {
        let value = ValueSpan::fit(v, w);
        let at = transform(span, value, rect);
        let x = f64::from(rect.left) + x * f64::from(rect.width());
        let back = at.x(at.time_at(x));
        if span.len_ns() >= i64::from(at.columns()) {
            prop_assert_eq!(back.floor(), x.floor());
        }
        let ns_pixels = f64::from(at.columns()) / span.len_ns() as f64;
        prop_assert!((back - x).abs() <= ns_pixels.max(1e-6), "{x} {back}");
        let y = f64::from(rect.top) + (x - x.floor()) * f64::from(rect.height());
        prop_assert!((at.y(at.value_at(y)) - y).abs() <= 0.01, "{y} {value:?}");
        prop_assert!(value.value_at(0.0) == value.lo && value.share(value.hi) == 1.0);
    }

    #[test]
    fn results_are_finite_for_any_input(
        span in spans(), rect in rects(), v in floats(), w in floats(), a in floats(), t in instants(), f in floats(),
    ) {
        let value = ValueSpan::fit(v, w);
        prop_assert!(is_legal(value), "{:?}", value);
        let raw = ValueSpan { lo: v, hi: w }.limited();
        for value in [value, value.zoomed(a, f), value.panned(f), value.holding(a, f), raw] {
            prop_assert!(is_legal(value), "{:?}", value);
            let at = transform(span, value, rect);
            prop_assert!(at.y(a).is_finite() && at.value_at(a).is_finite());
        }
        for span in [span.zoomed(t, f.abs()), span.panned(t), span.panned_columns(a, 800), span.following(t, f)] {
            prop_assert!(is_limited(span), "{:?}", span);
        }
        let at = transform(span, value, rect);
        prop_assert!(at.x(t).abs() <= PIXEL_ABS_MAX && at.x(at.time_at(a)).is_finite());
    }

    #[test]
    fn a_fitted_span_shows_its_data_with_padding(v in floats(), w in floats()) {
        prop_assume!(v.is_finite() && w.is_finite());
        let value = ValueSpan::fit(v, w);
        let (lowest, highest) = (value.share(v.min(w)), value.share(v.max(w)));
        prop_assert!(lowest >= 0.0 && highest <= 1.0, "{:?}", value);
        let is_wide = (v / 2.0 - w / 2.0).abs() > v.abs().max(w.abs()) * 1e-9 && v.abs().max(w.abs()) < 1e300;
        if is_wide && (v - w).abs() > 1e-290 {
            let room = PAD_SHARE / (1.0 + 2.0 * PAD_SHARE);
            prop_assert!((lowest - room).abs() < 1e-3 && (1.0 - room - highest).abs() < 1e-3, "{lowest} {highest}");
        }
        prop_assert_eq!(value.holding(v, w), value);
    }

    #[test]
    fn zoom_keeps_its_anchor_in_place(
        start in 0_i64..i64::MAX / 4,
        len in 2_000_i64..SPAN_NS_MAX / 4,
        share in 0.0_f64..1.0,
        factor in 0.1_f64..4.0,
    ) {
        let span = TimeSpan { start, end: start + len };
        let anchor_ns = start + (len as f64 * share) as i64;
        let zoomed = span.zoomed(anchor_ns, factor);
        prop_assume!(zoomed.start > TIME_NS_MIN && zoomed.end < i64::MAX);
        prop_assume!((SPAN_NS_MIN + 1..SPAN_NS_MAX).contains(&zoomed.len_ns()));
        let place = i128::from(anchor_ns - start) * i128::from(zoomed.len_ns());
        let moved = i128::from(anchor_ns) - i128::from(zoomed.start);
        let off = (moved * i128::from(len) - place).abs();
        prop_assert!(off * 2 <= i128::from(len), "off by more than half a nanosecond");
        prop_assert!((zoomed.len_ns() as f64 / len as f64 - factor).abs() <= factor * 1e-2);
    }

    #[test]
    fn panning_keeps_the_length(
        start in 0_i64..i64::MAX / 4,
        len in SPAN_NS_MIN..SPAN_NS_MAX,
        delta in -1_000_000_i64..1_000_000,
    ) {
        let span = TimeSpan { start, end: start + len };
        prop_assert_eq!(span.panned(delta).len_ns(), len);
        prop_assert_eq!(span.panned(delta).panned(-delta), span);
        prop_assert_eq!(span.panned_columns(5.0, 10).panned_columns(-5.0, 10), span);
    }
}

#[test]
fn flat_and_extreme_data_get_a_sensible_span() {
    let flat = ValueSpan::fit(187.0, 187.0);
    assert!(flat.lo > 186.0 && flat.lo < 186.9 && flat.hi > 187.1 && flat.hi < 188.0);
    assert_eq!(ValueSpan::fit(0.0, 0.0), ValueSpan { lo: -0.5, hi: 0.5 });
    assert_eq!(ValueSpan::fit(f64::NAN, f64::NAN), ValueSpan::EMPTY);
    assert_eq!(ValueSpan::fit(f64::NAN, 3.0), ValueSpan::fit(3.0, 3.0));
    let huge = ValueSpan::fit(-1e308, 1e308);
    assert!(huge.lo < -1e308 && huge.hi > 1e308 && huge.share(0.0) == 0.5);
    let negative = ValueSpan::fit(-37.63, -36.0);
    assert!(negative.lo < -37.63 && negative.hi > -36.0 && negative.hi < 0.0);
}

#[test]
fn a_held_value_span_is_fitted_anew_only_if_needed() {
    let held = ValueSpan::fit(100.0, 110.0);
    assert_eq!(held.holding(100.2, 109.0), held);
    assert_eq!(held.holding(100.0, 111.0), ValueSpan::fit(100.0, 111.0));
    assert_eq!(held.holding(104.0, 105.0), ValueSpan::fit(104.0, 105.0));
}

#[test]
fn the_view_follows_the_live_edge_while_it_can_be_seen() {
    let (minute, live) = (60_000_000_000, 1_700_000_000_000_000_000);
    let mut view = Navigator::new(5 * minute);
    view.show(view.span().zoomed(0, 2.0), None);
    assert!(view.is_following());
    view.advance(Some(live));
    assert_eq!((view.span().len_ns(), view.behind_ns(live)), (10 * minute, 0));
    assert!(view.span().contains(live));
    let share = |view: &Navigator, at: i64| (at - view.span().start) as f64 / view.span().len_ns() as f64;
    let edge = share(&view, live);
    view.advance(Some(live + minute));
    assert!((share(&view, live + minute) - edge).abs() < 1e-9);

    // Zooming at the cursor while live keeps the anchor, and keeps the edge where the zoom has moved it.
    let anchor = view.span().start + 3 * minute;
    let before = share(&view, anchor);
    view.show(view.span().zoomed(anchor, 1.5), Some(live + minute));
    assert!(view.is_following() && (share(&view, anchor) - before).abs() < 1e-9);
    let edge = share(&view, live + minute);
    view.advance(Some(live + 2 * minute));
    assert!((share(&view, live + 2 * minute) - edge).abs() < 1e-9);

    // An edge that is dragged out of view is not followed, and the view stands still.
    view.show(view.span().panned_columns(-1_000.0, 1_000), Some(live + 2 * minute));
    let seen = view.span();
    view.advance(Some(live + 60 * minute));
    assert!(!view.is_following() && view.span() == seen);
    assert_eq!(view.behind_ns(live + 60 * minute), live + 60 * minute - seen.end);
    view.go_live(Some(live + 60 * minute));
    assert!(view.is_following() && view.span().contains(live + 60 * minute));
    view.show(TimeSpan::new(live, live + minute), Some(live + 60 * minute));
    assert!(!view.is_following());
}
