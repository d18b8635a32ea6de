//! Price zoom, selection box, undo, ruler, legend, search, badge and crosshair keys, checked by pixels of the real
//! window.

use tickscope::chart::Layout;
use tickscope::chart::{Transform, ValueSpan, Viewport};
use tickscope::model::TimeSpan;

use super::fixture::{DARK, SIZE, SPAN_NS, Scope, Tick, ZOOM_STEP, area, at_ns, badge_is, inked, line, plot, rgb};
use crate::support::xvfb::{Button, Picture};

/// Two flat lines, with a needle (a one-tick peak) in A at 30 s.
const FLAT: &[Tick] = &[
    ("B", 0.0, 120.0),
    ("A", 0.0, 100.0),
    ("A", 29.9, 100.0),
    ("A", 30.0, 110.0),
    ("A", 30.1, 100.0),
    ("A", 40.0, 100.0),
    ("B", 40.0, 120.0),
];

fn open() -> (Scope, Transform, Picture) {
    let mut scope = Scope::open();
    scope.mouse_away();
    scope.publish(FLAT);
    let view = scope.view(40.0, SPAN_NS, (100.0, 120.0));
    let picture = scope.when("both lines", shows(view));
    (scope, view, picture)
}

fn with(view: &Transform, time: Option<TimeSpan>, value: Option<ValueSpan>) -> Transform {
    let now = view.viewport;
    let viewport = Viewport { time: time.unwrap_or(now.time), value: value.unwrap_or(now.value) };
    Transform { viewport, ..*view }
}

/// Row that contains most pixels of a line.
fn flat_row(picture: &Picture, index: usize) -> Option<f64> {
    let ink = line(picture, SIZE, index);
    let mut rows: Vec<usize> = ink.iter().map(|(_, y)| *y).collect();
    rows.sort_unstable();
    rows.get(rows.len() / 2).map(|row| *row as f64 + 0.5)
}

/// Returns a predicate: the flat lines and the needle are drawn at their computed places in `view`.
fn shows(view: Transform) -> impl Fn(&Picture) -> bool {
    move |picture| {
        let flat = |index: usize, price: f64| {
            let wanted = view.y(price);
            let is_inside = wanted > f64::from(plot().top) + 2.0 && wanted < f64::from(plot().bottom) - 2.0;
            let row = flat_row(picture, index);
            if is_inside { row.is_some_and(|row| (row - wanted).abs() <= 2.0) } else { row.is_none() || index == 0 }
        };
        let (x, y) = (view.x(at_ns(30.0)), f64::midpoint(view.y(100.0), view.y(110.0)));
        let in_plot = plot().contains(x - 4.0, y) && plot().contains(x + 4.0, y);
        let near = |(column, row): &(usize, usize)| {
            (*column as f64 + 0.5 - x).abs() <= 3.0 && (*row as f64 + 0.5 - y).abs() <= 6.0
        };
        flat(0, 100.0) && flat(1, 120.0) && (!in_plot || line(picture, SIZE, 0).iter().any(near))
    }
}

/// Moves the mouse to where it shows no crosshair, and returns the first picture that shows `view`.
fn when_at_rest(scope: &Scope, what: &str, view: Transform) -> Picture {
    scope.mouse_away();
    scope.when(what, shows(view))
}

#[test]
fn shift_and_the_wheel_zoom_the_price_and_a_double_click_on_the_axis_fits_it() {
    let (scope, view, _) = open();
    let at = (300, view.y(112.0) as i32);
    let anchor = view.value_at(f64::from(at.1));
    let axis = Layout::new(SIZE).value_axis;
    // One notch at a time, because the window system reports only the last one of a frame. A notch has two halves and
    // applies at the position of the mouse when it is polled, so mouse and key are held until then.
    for notches in 1..=2 {
        let wider = with(&view, None, Some(view.viewport.value.zoomed(anchor, ZOOM_STEP.powi(-notches))));
        let is_wider = |picture: &Picture| flat_row(picture, 1).is_some_and(|row| (row - wider.y(120.0)).abs() <= 2.0);
        scope.display.hold(&["shift"], || {
            scope.display.wheel(scope.window, at, -1);
            scope.when("B in another row", is_wider)
        });
        when_at_rest(&scope, "more prices in the same time", wider);
    }
    scope.double_click(|| (axis.left + 60, axis.top + 30), "the axis as it was", shows(view));
    // The same by keys, centred on the middle.
    scope.display.key_with(&["shift"], "Down");
    let wider = view.viewport.value.zoomed(view.viewport.value.value_at(0.5), 1.0 / ZOOM_STEP);
    scope.when("more prices around the middle", shows(with(&view, None, Some(wider))));
    scope.key("f");
    scope.when("the axis fitted", shows(view));
    scope.quit();
}

#[test]
fn a_drag_on_the_value_axis_stretches_it_and_one_on_the_plot_then_moves_both_ways() {
    let (scope, view, _) = open();
    let axis = Layout::new(SIZE).value_axis;
    let x = axis.left + 60;
    scope.display.drag(scope.window, (x, axis.top + 60), (x, axis.top + 160));
    let height = f64::from(plot().height());
    let value = view.viewport.value;
    let wider = value.zoomed(value.value_at(0.5), 8_f64.powf(100.0 / height));
    let stretched = with(&view, None, Some(wider));
    when_at_rest(&scope, "the axis stretched", stretched);
    scope.display.drag(scope.window, (300, 200), (260, 240));
    let time = view.viewport.time.panned_columns(40.0, view.columns());
    let moved = with(&view, Some(time), Some(wider.panned(40.0 / height)));
    when_at_rest(&scope, "the chart moved with the hand", moved);
    scope.quit();
}

#[test]
fn a_box_is_zoomed_to_and_undone_and_done_again() {
    let (scope, view, _) = open();
    let (x, y) = (view.x(at_ns(30.0)) as i32, view.y(105.0) as i32);
    let (from, to) = ((x - 90, y - 100), (x + 60, y + 80));
    scope.display.drag_with(scope.window, Button::Right, from, to);
    let time = TimeSpan::new(view.time_at(f64::from(from.0)), view.time_at(f64::from(to.0)));
    let value = ValueSpan { lo: view.value_at(f64::from(to.1)), hi: view.value_at(f64::from(from.1)) };
    let boxed = with(&view, Some(time), Some(value));
    when_at_rest(&scope, "what was in the box", boxed);
    scope.key("z");
    scope.when("the view before it", shows(view));
    scope.key("y");
    scope.when("the box once more", shows(boxed));
    scope.display.double_click(scope.window, (300, Layout::new(SIZE).time_axis.top + 10));
    scope.key("z");
    scope.key("BackSpace");
    scope.mouse_away();
    scope.when("the first view", shows(view));
    scope.quit();
}

#[test]
fn the_ruler_is_drawn_from_place_to_place_and_a_click_takes_it_away() {
    let (scope, view, before) = open();
    let (from, to) = ((200, view.y(114.0) as i32), (330, view.y(106.0) as i32));
    scope.display.hold(&["shift"], || scope.display.drag(scope.window, from, to));
    scope.mouse_away();
    let inside = (from.0 as usize + 3, from.1 as usize + 3, (to.0 - from.0) as usize - 6, (to.1 - from.1) as usize - 6);
    let all = inside.2 * inside.3;
    scope.when("the ruler", |picture| picture.differences(&before, inside) > all * 9 / 10);
    scope.display.click(scope.window, (500, 300));
    scope.mouse_away();
    scope.when("the plot without it", |picture| picture.differences(&before, area(plot())) == 0);
    // By keys alone: the crosshair on the newest tick, the ruler from there to the previous tick, and both removed.
    scope.key("comma");
    scope.key("m");
    scope.key("comma");
    scope.key("m");
    scope.when("a ruler between ticks", |picture| picture.differences(&before, area(plot())) > 1_000);
    scope.key("Escape");
    scope.key("Escape");
    scope.when("nothing of it", |picture| picture.differences(&before, area(plot())) == 0);
    scope.quit();
}

#[test]
fn keys_step_the_crosshair_from_tick_to_tick() {
    let (scope, view, before) = open();
    let marks_tick = |at_s: f64, price: f64| {
        let (x, y) = (view.x(at_ns(at_s)) as usize, view.y(price) as usize);
        let before = before.clone();
        move |picture: &Picture| {
            // The line passes through the tick over the whole height, and the axis shows the time of the tick.
            let column = |x: usize| picture.differences(&before, (x, plot().top as usize, 1, plot().height() as usize));
            // The view is aligned to whole columns, by half a column at most.
            let through = (x - 1..=x + 1).map(column).max().unwrap_or(0);
            through > plot().height() as usize * 8 / 10 && picture.differences(&before, (x - 5, y - 5, 11, 11)) > 10
        }
    };
    for (key, at_s, price) in
        [("comma", 40.0, 100.0), ("comma", 30.1, 100.0), ("comma", 30.0, 110.0), ("period", 30.1, 100.0)]
    {
        scope.key(key);
        scope.when(&format!("the crosshair on the tick at {at_s} s"), marks_tick(at_s, price));
    }
    scope.key("Escape");
    scope.when("no crosshair", |picture| picture.differences(&before, area(plot())) == 0);
    scope.quit();
}

#[test]
fn the_crosshair_sits_on_the_nearest_tick_unless_told_not_to() {
    let (scope, view, before) = open();
    let (x, y) = (view.x(at_ns(30.0)), view.y(110.0));
    let column = |at: f64| (at as usize, plot().top as usize, 1, plot().height() as usize);
    let stands =
        |picture: &Picture, at: f64| picture.differences(&before, column(at)) > plot().height() as usize * 4 / 10;
    scope.display.move_mouse(scope.window, (x as i32 + 7, y as i32 + 3));
    scope.when("the crosshair on the needle's point", |picture| stands(picture, x) && !stands(picture, x + 7.0));
    scope.key("n");
    scope.when("the crosshair under the mouse", |picture| stands(picture, x + 7.0) && !stands(picture, x));
    scope.quit();
}

#[test]
fn symbols_are_shown_alone_hidden_and_found_again() {
    let (scope, view, before) = open();
    let b = scope.swatch(1).unwrap();
    let place = || scope.swatch(1).unwrap_or(b);
    let alone = |index: usize| {
        move |picture: &Picture| !line(picture, SIZE, index).is_empty() && line(picture, SIZE, 1 - index).is_empty()
    };
    scope.double_click(place, "B alone", alone(1));
    // If only one symbol is shown, two clicks on it do not cancel each other.
    let place_of_one_alone = || {
        scope.key("0");
        scope.double_click(place, "B alone", alone(1));
        place()
    };
    scope.double_click(place_of_one_alone, "both again", shows(view));
    scope.display.click_with(scope.window, Button::Right, scope.swatch(0).unwrap());
    scope.key("o");
    scope.when("A alone, the focused one", alone(0));
    scope.key("Tab");
    scope.when("B alone, the next one", alone(1));
    scope.key("o");
    scope.key("x");
    scope.when("A hidden, the focused one", alone(1));
    // A search shows hidden symbols. Its letters are not shortcuts: `q` would otherwise quit.
    scope.key("slash");
    let shown = scope.when("the search box", |picture| picture.differences(&before, area(plot())) > 1_000);
    scope.display.type_text("qa");
    scope.when("nothing found", |picture| picture.differences(&shown, area(plot())) > 50);
    scope.key("BackSpace");
    scope.key("BackSpace");
    scope.display.type_text("a");
    scope.key("Return");
    scope.mouse_away();
    scope.when("A again", |picture| !line(picture, SIZE, 0).is_empty());
    scope.quit();
}

#[test]
fn a_click_on_the_badge_stops_the_view_and_leads_back_to_live() {
    let (mut scope, view, before) = open();
    let badge = (30, 22);
    scope.display.click(scope.window, badge);
    scope.mouse_away();
    let pill = |picture: &Picture| inked(picture, (60, 8, 140, 28), DARK.info, DARK.strip).len() >= 30;
    scope.when("that it is paused", pill);
    scope.publish(&[("A", 50.0, 100.0), ("B", 50.0, 120.0)]);
    scope.key("Left");
    let back = view.viewport.time.panned(-SPAN_NS / 10);
    scope.when("the paused view moved", shows(with(&view, Some(back), None)));
    scope.display.click(scope.window, badge);
    scope.mouse_away();
    let live = scope.view(50.0, SPAN_NS, (100.0, 120.0));
    let picture = scope.when("the live view", |picture| shows(live)(picture) && !pill(picture));
    assert!(badge_is(&picture, DARK.good) || badge_is(&picture, DARK.warn), "{:?}", rgb(picture.at(21, 22)));
    assert!(picture.differences(&before, area(plot())) > 0);
    scope.quit();
}
