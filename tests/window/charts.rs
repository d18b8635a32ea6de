//! Candles, volume, grid, logarithmic axis and scale in the real window, at the places that the view types compute.

use tickscope::chart::{Arrangement, Layout, Scale, Size};
use tickscope::chart::{LEAD_SHARE, Rect, Transform, ValueSpan, Viewport};
use tickscope::model::TimeSpan;

use super::fixture::{DARK, Rgb, SIZE, SPAN_NS, SPAN_S, Scope, T0_S, area, at_ns, inked, slot};
use crate::support::xvfb::Picture;

const SECOND: i64 = 1_000_000_000;

/// View of the window with this layout when the newest tick is at 40 s.
fn view(frame: &Layout, rect: Rect, (lo, hi): (f64, f64)) -> Transform {
    let time = TimeSpan::ending_at(SPAN_NS, SPAN_NS).following(at_ns(40.0), LEAD_SHARE).aligned(frame.columns());
    Transform { viewport: Viewport { time, value: ValueSpan::fit(lo, hi) }, rect }
}

/// Colours of rising and falling bars in the dark theme.
const UP: Rgb = DARK.good;
const DOWN: Rgb = DARK.bad;

/// Rectangle of a span of time and prices.
fn part(view: &Transform, (from_ns, to_ns): (i64, i64), (lo, hi): (f64, f64)) -> (usize, usize, usize, usize) {
    let (left, right) = (view.x(from_ns), view.x(to_ns));
    let (top, bottom) = (view.y(hi), view.y(lo));
    (left as usize, top as usize, (right - left) as usize, (bottom - top) as usize)
}

#[test]
fn candles_stand_where_their_prices_and_times_are_and_volume_below_them() {
    let mut scope = Scope::open_with(SIZE, &["--chart", "candles", "--bars", "10s"]);
    scope.mouse_away();
    let sized = |at_s: i64, price: f64, size: u32| {
        format!(r#"{{"symbol":"A","price":{price},"timestamp":{},"size":{size}}}"#, T0_S + at_s)
    };
    // From 10 to 20 s it rises from 102 to 108, with wicks to 101 and 110; from 20 to 30 s it falls back to 103.
    let ticks = [(0, 102.0, 1), (10, 102.0, 10), (12, 101.0, 10), (15, 110.0, 10), (19, 108.0, 10)];
    let later = [(20, 108.0, 30), (25, 103.0, 50), (40, 103.0, 1)];
    let all: Vec<String> = ticks.iter().chain(&later).map(|&(at, price, size)| sized(at, price, size)).collect();
    scope.publish_raw(&format!("[{}]", all.join(",")));
    let frame = Layout::with_arrangement(SIZE, Scale::One, Arrangement::WithVolume);
    let view = view(&frame, frame.plot, (101.0, 110.0));
    // Colours of inked pixels in the middle of a body, and of its wick.
    let up = part(&view, (at_ns(11.0), at_ns(19.0)), (102.5, 107.5));
    let down = part(&view, (at_ns(21.0), at_ns(29.0)), (103.5, 107.5));
    let full = |picture: &Picture, (left, top, width, height), colour: Rgb| {
        inked(picture, (left, top, width, height), colour, DARK.ground).len() >= width * height * 8 / 10
    };
    let picture = scope.when("both candles", |picture| full(picture, up, UP) && full(picture, down, DOWN));
    let wick = part(&view, (at_ns(10.2), at_ns(19.8)), (108.5, 109.5));
    let inked_wick = inked(&picture, wick, UP, DARK.ground);
    assert!((wick.3..=3 * wick.3).contains(&inked_wick.len()), "a thin wick: {} pixels", inked_wick.len());
    let above = part(&view, (at_ns(10.2), at_ns(19.8)), (110.2, 110.5));
    assert!(inked(&picture, above, UP, DARK.ground).is_empty(), "nothing above the high");
    // The volume of the second bar is twice that of the first one: 80 and 40.
    let column = |at_s: f64| {
        let x = view.x(at_ns(at_s)) as usize;
        let pane = frame.volume;
        let ground = |y: &usize| picture.at(x, *y) != picture.at(x, pane.top as usize + 16);
        (pane.top as usize + 17..pane.bottom as usize - 1).rev().take_while(ground).count() as f64
    };
    let (first, second) = (column(15.0), column(25.0));
    assert!(second > 20.0 && (second / first - 2.0).abs() < 0.15, "{first} and {second} px of volume");

    scope.key("v");
    let wide = self::view(&Layout::new(SIZE), Layout::new(SIZE).plot, (101.0, 110.0));
    let taller = part(&wide, (at_ns(11.0), at_ns(19.0)), (102.5, 107.5));
    scope.when("the candles without volume", |picture| full(picture, taller, UP));
    scope.key("c");
    scope.when("thin bars", |picture| {
        let ink = inked(picture, taller, UP, DARK.ground).len();
        ink > 0 && ink < taller.2 * taller.3 / 4
    });
    scope.key("c");
    scope.when("a line", |picture| !inked(picture, area(frame.plot), slot(0), DARK.ground).is_empty());
    scope.quit();
}

#[test]
fn the_open_bar_is_alive_and_shorter_bars_are_a_key_away() {
    let (span, bars) = (format!("{SPAN_S}s"), ["--chart", "candles", "--bars", "30s"]);
    let mut scope = Scope::open_plain(SIZE, &[&["--window", span.as_str()], &bars[..]].concat());
    scope.mouse_away();
    scope.publish(&[("A", 0.0, 100.0), ("A", 1.0, 110.0), ("A", 31.0, 110.0), ("A", 40.0, 110.0)]);
    let frame = Layout::new(SIZE);
    let view = view(&frame, frame.plot, (100.0, 110.0));
    // The first bar covers the half minute that ends ten seconds after the first tick.
    let bucket = |at_s: f64| at_ns(at_s).div_euclid(30 * SECOND);
    assert_eq!((bucket(-19.0), bucket(9.9), bucket(10.0)), (bucket(0.0), bucket(0.0), bucket(0.0) + 1));
    let first = part(&view, (at_ns(-12.0), at_ns(3.0)), (102.0, 108.0));
    let ink = |picture: &Picture, part| inked(picture, part, UP, DARK.ground).len();
    let wide = scope.when("a wide bar", |picture| ink(picture, first) > first.2 * first.3 * 8 / 10);
    // A late tick lowers its close immediately.
    scope.publish(&[("A", 2.0, 100.0), ("A", 3.0, 100.5)]);
    let alive = |picture: &Picture| (1..ink(&wide, first) / 4).contains(&ink(picture, first));
    let narrow = scope.when("the bar with its new close", alive);
    // Its wick is in its middle; the wick of a bar of ten seconds is further right.
    let right = part(&view, (at_ns(4.0), at_ns(6.0)), (102.0, 108.0));
    assert_eq!(ink(&narrow, right), 0);
    scope.key("bracketleft");
    scope.key("bracketleft");
    scope.when("shorter bars", |picture| ink(picture, right) >= right.3 / 2);
    scope.quit();
}

#[test]
fn a_grid_has_each_symbol_in_a_pane_of_its_own() {
    let mut scope = Scope::open_with(SIZE, &["--layout", "grid"]);
    scope.mouse_away();
    scope.publish(&[("A", 0.0, 10.0), ("A", 40.0, 20.0), ("B", 0.0, 5_000.0), ("B", 40.0, 4_000.0)]);
    let frame = Layout::with_arrangement(SIZE, Scale::One, Arrangement::Grid { panes: 2 });
    let plots = [0, 1].map(|pane| frame.pane(pane).plot);
    let views = [view(&frame, plots[0], (10.0, 20.0)), view(&frame, plots[1], (4_000.0, 5_000.0))];
    let runs = |picture: &Picture, pane: usize, (from, to): (f64, f64)| {
        let view = &views[pane];
        (1..40).step_by(4).all(|at_s| {
            let share = f64::from(at_s) / 40.0;
            let (x, y) = (view.x(at_ns(f64::from(at_s))) as usize, view.y(from + (to - from) * share) as usize);
            !inked(picture, (x - 1, y - 2, 3, 5), slot(pane), DARK.ground).is_empty()
        })
    };
    let picture = scope
        .when("a line in each pane", |picture| runs(picture, 0, (10.0, 20.0)) && runs(picture, 1, (5_000.0, 4_000.0)));
    for pane in [0, 1] {
        let stray = inked(&picture, area(plots[pane]), slot(1 - pane), DARK.ground);
        assert!(stray.is_empty(), "the other symbol's colour in pane {pane}: {stray:?}");
    }
    // A double-click on a pane maximizes that symbol; undo returns to the grid.
    let middle = (plots[1].left + plots[1].width() / 2, plots[1].top + plots[1].height() / 3);
    let whole = Layout::new(SIZE).plot;
    let large = view(&Layout::new(SIZE), whole, (4_000.0, 5_000.0));
    scope.double_click(
        || middle,
        "B alone",
        |picture| {
            let (x, y) = (large.x(at_ns(20.0)) as usize, large.y(4_500.0) as usize);
            !inked(picture, (x - 1, y - 2, 3, 5), slot(1), DARK.ground).is_empty()
        },
    );
    scope.key("z");
    scope.when("the grid again", |picture| runs(picture, 0, (10.0, 20.0)) && runs(picture, 1, (5_000.0, 4_000.0)));
    scope.key("g");
    scope.when("one chart", |picture| !runs(picture, 0, (10.0, 20.0)));
    scope.quit();
}

#[test]
fn equal_ratios_are_equal_heights_on_a_logarithmic_axis() {
    let mut scope = Scope::open_with(SIZE, &[]);
    scope.mouse_away();
    scope.publish(&[("A", 0.0, 10.0), ("A", 20.0, 100.0), ("A", 40.0, 1_000.0)]);
    // From price through percent and session.
    for _ in 0..3 {
        scope.key("a");
    }
    let frame = Layout::new(SIZE);
    let view = view(&frame, frame.plot, (1.0, 3.0));
    scope.when("a straight line", |picture| {
        [5.0, 15.0, 25.0, 35.0].into_iter().all(|at_s| {
            let (x, y) = (view.x(at_ns(at_s)) as usize, view.y(1.0 + at_s / 20.0) as usize);
            !inked(picture, (x - 1, y - 2, 3, 5), slot(0), DARK.ground).is_empty()
        })
    });
    scope.quit();
}

#[test]
fn a_scale_of_two_draws_everything_twice_as_large_and_hears_the_mouse_where_it_is() {
    let size = Size { width: 500, height: 320 };
    let screen = Size { width: 1_000, height: 640 };
    let mut scope = Scope::open_scaled(size, screen, &["--scale", "2"]);
    scope.publish(&[("A", 0.0, 100.0), ("A", 40.0, 110.0)]);
    let frame = Layout::with_arrangement(screen, Scale::Two, Arrangement::Single);
    let view = view(&frame, frame.plot, (100.0, 110.0));
    let dot = |picture: &Picture| super::fixture::rgb(picture.at(42, 44));
    let line = |picture: &Picture| {
        [5.0, 20.0, 35.0].into_iter().all(|at_s| {
            let (x, y) = (view.x(at_ns(at_s)) * 2.0, view.y(100.0 + at_s / 4.0) * 2.0);
            !inked(picture, (x as usize - 2, y as usize - 3, 5, 7), slot(0), DARK.ground).is_empty()
        })
    };
    // The badge's dot is green, or amber if the picture is taken late.
    let picture = scope.when("the line and the badge's dot, twice as far from the corner", |picture| {
        line(picture) && [DARK.good, DARK.warn].contains(&dot(picture))
    });
    assert_eq!((picture.width, picture.height), (1_000, 640));
    // A click on the badge, in pixels of the screen.
    scope.display.click(scope.window, (60, 44));
    scope.when("the pill", |picture| inked(picture, (110, 16, 300, 56), DARK.info, DARK.strip).len() >= 100);
    scope.quit();
}

#[test]
fn a_key_exports_the_ticks_in_view_while_the_chart_goes_on() {
    let mut scope = Scope::open();
    scope.publish(&[("A", 0.0, 100.0), ("A", 40.0, 110.0), ("B", 40.0, 105.0)]);
    // The notice before the first tick has the colour of A.
    let is_there = |picture: &Picture| {
        super::fixture::badge_has_feed(picture) && !super::fixture::line(picture, SIZE, 0).is_empty()
    };
    scope.when("the line", is_there);
    scope.key("e");
    crate::support::wait::wait_until("the file", super::fixture::LIMIT, || {
        let files = std::fs::read_dir(scope.dir.path()).unwrap().filter_map(Result::ok);
        files.into_iter().any(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            name.starts_with("tickscope-") && name.ends_with(".parquet")
        })
    });
    scope.quit();
}
