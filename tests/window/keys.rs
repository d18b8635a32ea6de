//! Keys, and clicks on the legend, which are equivalent to the digits.

use std::time::Duration;

use tickscope::chart::Layout;

use super::fixture::{
    DARK, LIGHT, LIMIT, Rgb, SIZE, SPAN_NS, Scope, area, at_ns, badge_is, decode, inked, line, rgb, swatch,
};
use crate::support::wait::wait_for;
use crate::support::xvfb::{Area, Picture};

/// Two flat lines over forty seconds: A above, B below.
const FLAT: &[(&str, f64, f64)] = &[("A", 0.0, 110.0), ("B", 0.0, 90.0), ("A", 40.0, 110.0), ("B", 40.0, 90.0)];

/// Minimum number of pixels of a colour that counts as a line.
const LINE_MIN: usize = 200;

/// Header, plot and axes. The footer is left out, because its figures change on their own.
fn chart(picture: &Picture) -> Picture {
    picture.part((0, 0, picture.width, Layout::new(SIZE).footer.top as usize))
}

fn footer(picture: &Picture) -> Picture {
    picture.part(area(Layout::new(SIZE).footer))
}

/// Returns for each of A and B whether it is drawn.
fn drawn(picture: &Picture) -> [bool; 2] {
    [0, 1].map(|index| line(picture, SIZE, index).len() >= LINE_MIN)
}

fn open_flat() -> (Scope, Picture) {
    let mut scope = Scope::open();
    scope.mouse_away();
    scope.publish(FLAT);
    let picture = scope.when("two flat lines", |picture| drawn(picture) == [true, true]);
    (scope, picture)
}

#[test]
fn the_legend_and_the_digits_switch_symbols_off_and_on() {
    let (scope, _) = open_flat();
    let a = scope.swatch(0).unwrap();
    scope.display.click(scope.window, a);
    let without = scope.when("A to be hidden", |picture| drawn(picture) == [false, true]);
    assert_eq!(line(&without, SIZE, 0), [], "no trace of A is left in the plot");
    assert_eq!(swatch(&without, SIZE, 0), None, "its square in the legend is empty");
    assert!(swatch(&without, SIZE, 1).is_some());
    scope.display.click(scope.window, a);
    scope.when("A to be back", |picture| drawn(picture) == [true, true]);

    scope.key("1");
    scope.when("A to be hidden by its digit", |picture| drawn(picture) == [false, true]);
    scope.key("1");
    scope.when("A to be back by its digit", |picture| drawn(picture) == [true, true]);

    scope.display.click(scope.window, scope.swatch(1).unwrap());
    scope.when("B to be hidden", |picture| drawn(picture) == [true, false]);
    scope.key("1");
    // The notice that reports it has the colour of A.
    let hidden = |picture: &Picture| [0, 1].map(|index| swatch(picture, SIZE, index)) == [None, None];
    scope.when("both to be hidden", |picture| line(picture, SIZE, 1).is_empty() && hidden(picture));
    scope.key("0");
    scope.when("all to be back", |picture| drawn(picture) == [true, true] && !hidden(picture));
    scope.quit();
}

#[test]
fn pause_holds_the_picture_while_ticks_go_on_arriving() {
    let (mut scope, _) = open_flat();
    scope.key("space");
    // The pill beside the badge that reports it.
    let pill: Area = (60, 8, 120, 28);
    let pill_shown = |picture: &Picture| inked(picture, pill, DARK.info, DARK.strip).len() >= 40;
    let held = scope.when("the pause", pill_shown);
    let plot = area(Layout::new(SIZE).plot);
    for round in 1..=5 {
        let before = scope.display.picture_of(scope.window);
        let at_s = 40.0 + f64::from(round) * 10.0;
        scope.publish(&[("A", at_s, 100.0), ("B", at_s, 120.0)]);
        let after = scope.when("the footer to count", |picture| footer(picture) != footer(&before));
        assert_eq!(after.differences(&held, plot), 0, "the plot stands still in round {round}");
    }
    scope.key("space");
    let view = scope.view(90.0, SPAN_NS, (90.0, 120.0));
    let newest = (view.x(at_ns(90.0)) as usize, view.y(100.0) as usize);
    let near = |(x, y): &(usize, usize)| x.abs_diff(newest.0) <= 3 && y.abs_diff(newest.1) <= 2;
    let live = scope.when("the newest tick", |picture| line(picture, SIZE, 0).iter().any(near));
    assert!(!pill_shown(&live), "the pause is over");
    let stats = scope.quit().json();
    assert_eq!((&stats["received"], &stats["kept"], &stats["lost"]), (&14.into(), &14.into(), &0.into()));
}

#[test]
fn pause_holds_a_live_feed_too() {
    let scope = Scope::open();
    scope.mouse_away();
    let mut producer = scope.producer(&["--symbols", "A,B", "--interval", "50ms"]).start();
    scope.when("the feed", |picture| badge_is(picture, DARK.good) && !line(picture, SIZE, 1).is_empty());
    scope.key("p");
    let pill: Area = (60, 8, 120, 28);
    let held = scope.when("the pause", |picture| inked(picture, pill, DARK.info, DARK.strip).len() >= 40);
    let plot = area(Layout::new(SIZE).plot);
    let mut last = held.clone();
    for _ in 0..4 {
        last = scope.when("the footer to count", |picture| footer(picture) != footer(&last));
        assert_eq!(last.differences(&held, plot), 0, "the plot stands still");
    }
    scope.key("Escape");
    scope.when("the chart to go on", |picture| picture.differences(&held, plot) > 50);
    assert!(producer.is_running());
    scope.quit();
}

#[test]
fn a_switches_between_prices_and_changes() {
    let mut scope = Scope::open();
    scope.mouse_away();
    // A doubles, B gains a tenth: B is above on a price axis, A on a percent axis.
    scope.publish(&[("A", 0.0, 10.0), ("B", 0.0, 100.0), ("A", 40.0, 20.0), ("B", 40.0, 110.0)]);
    let last = |picture: &Picture, index: usize| line(picture, SIZE, index).last_row_at_right();
    let b_above = |picture: &Picture| matches!((last(picture, 0), last(picture, 1)), (Some(a), Some(b)) if b < a);
    let a_above = |picture: &Picture| matches!((last(picture, 0), last(picture, 1)), (Some(a), Some(b)) if a < b);
    let prices = scope.when("prices", b_above);
    scope.key("a");
    let changes = scope.when("changes", a_above);
    let axis = area(Layout::new(SIZE).value_axis);
    assert!(changes.differences(&prices, axis) > 100, "the axis is labelled anew");
    let percent = scope.view(40.0, SPAN_NS, (0.0, 100.0));
    assert!((last(&changes, 0).unwrap() as f64 - percent.y(100.0)).abs() <= 2.0, "A has gained a hundred percent");
    assert!((last(&changes, 1).unwrap() as f64 - percent.y(10.0)).abs() <= 2.0, "B has gained ten");
    // Through the session and logarithmic axes.
    for _ in 0..3 {
        scope.key("a");
    }
    let again = scope.when("prices again", |picture| picture.differences(&prices, axis) == 0 && b_above(picture));
    assert_eq!(again.differences(&prices, area(Layout::new(SIZE).plot)), 0);
    scope.quit();
}

trait RightEnd {
    /// Row of the rightmost pixel.
    fn last_row_at_right(&self) -> Option<usize>;
}

impl RightEnd for Vec<(usize, usize)> {
    fn last_row_at_right(&self) -> Option<usize> {
        self.iter().max_by_key(|(x, _)| *x).map(|(_, y)| *y)
    }
}

#[test]
fn t_switches_between_dark_and_light() {
    let (scope, dark) = open_flat();
    let corner = |picture: &Picture| -> (Rgb, Rgb) { (rgb(picture.at(3, 300)), rgb(picture.at(3, 3))) };
    assert_eq!(corner(&dark), (DARK.ground, DARK.strip));
    scope.key("t");
    scope.when("the light theme", |picture| corner(picture) == (LIGHT.ground, LIGHT.strip));
    scope.key("t");
    scope.when("the dark theme", |picture| corner(picture) == (DARK.ground, DARK.strip) && drawn(picture) == [true; 2]);
    scope.quit();
}

#[test]
fn help_covers_the_chart_and_goes_again() {
    let (scope, plain) = open_flat();
    let plot = area(Layout::new(SIZE).plot);
    let covered = |picture: &Picture| picture.differences(&plain, plot) > plot.2 * plot.3 / 3;
    let uncovered = |picture: &Picture| picture.differences(&plain, plot) == 0;
    scope.key("question");
    let help = scope.when("the help", covered);
    // The veil dims the chart, and the panel hides it.
    assert!(line(&help, SIZE, 1).len() < LINE_MIN);
    scope.key("question");
    scope.when("the chart again", uncovered);
    scope.key("F1");
    scope.when("the help by F1", covered);
    scope.key("Escape");
    scope.when("the chart after Escape", uncovered);
    // `? help` is at the right end of the footer.
    let frame = Layout::new(SIZE);
    let help_word = (frame.footer.right - 24, frame.footer.top + 11);
    scope.display.click(scope.window, help_word);
    scope.when("the help by a click", covered);
    scope.display.click(scope.window, (400, 250));
    // If the mouse moved on immediately, the click would become a drag.
    scope.when("no help after a click", |picture| line(picture, SIZE, 1).len() >= LINE_MIN);
    scope.mouse_away();
    scope.when("the chart after a click", uncovered);
    scope.quit();
}

#[test]
fn s_saves_what_the_window_shows() {
    let (scope, shown) = open_flat();
    // The feed is stale from now on, so only the seconds in the badge change.
    scope.key("s");
    // A message reports it for some seconds.
    let toast = scope.when("the message", |now| now.differences(&shown, area(Layout::new(SIZE).plot)) > 400);
    let saved = wait_for("a picture file", LIMIT, || {
        let names = std::fs::read_dir(scope.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut found: Vec<_> = names.filter(|path| path.extension().is_some_and(|end| end == "png")).collect();
        found.pop()
    });
    let name = saved.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("tickscope-2") && name.ends_with(".png"), "{name}");
    let picture = decode(&saved);
    assert_eq!((picture.width, picture.height), (SIZE.width as usize, SIZE.height as usize));
    let plot_and_axes = (0, 44, picture.width, Layout::new(SIZE).footer.top as usize - 44);
    assert_eq!(picture.differences(&shown, plot_and_axes), 0);
    assert_eq!(chart(&picture).differences(&chart(&shown), (200, 0, 600, 44)), 0, "legend and span");

    // The snapshot does not contain the message that reports it.
    assert!(toast.differences(&picture, area(Layout::new(SIZE).plot)) > 400);
    assert_eq!(toast.differences(&picture, (0, 44, 800, 200)), 0, "only the message is new");
    scope.quit();
}

#[test]
fn a_window_at_rest_hears_every_key_however_short() {
    let (scope, _) = open_flat();
    // After this pause, input is polled less often.
    std::thread::sleep(Duration::from_secs(4));
    scope.display.tap("t", 3);
    scope.when("three changes of the theme", |picture| rgb(picture.at(2, 2)) == LIGHT.strip);
    std::thread::sleep(Duration::from_secs(4));
    scope.display.tap("t", 1);
    scope.when("one more", |picture| rgb(picture.at(2, 2)) == DARK.strip);
    scope.quit();
}
