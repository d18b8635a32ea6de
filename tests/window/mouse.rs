//! Wheel, drag and crosshair. The instant under the mouse stays in place.

use tickscope::chart::Layout;
use tickscope::chart::{Transform, Viewport};
use tickscope::model::TimeSpan;

use super::fixture::{DARK, SIZE, SPAN_NS, Scope, ZOOM_STEP, area, at_ns, inked, line, plot};
use crate::support::xvfb::Picture;

/// A flat line with two needles (one-tick peaks), at 15 s and at 30 s; B is flat above it.
const NEEDLES: &[(&str, f64, f64)] = &[
    ("B", 0.0, 120.0),
    ("A", 0.0, 100.0),
    ("A", 14.9, 100.0),
    ("A", 15.0, 110.0),
    ("A", 15.1, 100.0),
    ("A", 29.9, 100.0),
    ("A", 30.0, 110.0),
    ("A", 30.1, 100.0),
    ("A", 40.0, 100.0),
    ("B", 40.0, 120.0),
];

/// Columns of the tips of the needles: the centre of each narrow cluster of high pixels.
fn needles(picture: &Picture) -> Vec<usize> {
    let ink = line(picture, SIZE, 0);
    let top = ink.iter().map(|(_, y)| *y).min().unwrap_or(0);
    let mut columns: Vec<usize> = ink.iter().filter(|(_, y)| *y <= top + 6).map(|(x, _)| *x).collect();
    columns.sort_unstable();
    columns.dedup();
    let mut found: Vec<Vec<usize>> = Vec::new();
    for x in columns {
        match found.last_mut() {
            Some(cluster) if x - cluster[cluster.len() - 1] <= 3 => cluster.push(x),
            _ => found.push(vec![x]),
        }
    }
    // A flat line is high everywhere; needles are narrow.
    found.into_iter().filter(|cluster| cluster.len() <= 12).map(|cluster| cluster[cluster.len() / 2]).collect()
}

fn on(time: TimeSpan, view: &Transform) -> Transform {
    Transform { viewport: Viewport { time, ..view.viewport }, rect: view.rect }
}

fn open_needles() -> (Scope, Transform, Picture) {
    let mut scope = Scope::open();
    scope.mouse_away();
    scope.publish(NEEDLES);
    let view = scope.view(40.0, SPAN_NS, (100.0, 120.0));
    let picture = scope.when("two needles", shows_needles(view));
    (scope, view, picture)
}

/// Returns a predicate: every needle inside `view` is drawn at its computed column.
fn shows_needles(view: Transform) -> impl Fn(&Picture) -> bool {
    let wanted: Vec<f64> = [15.0, 30.0]
        .into_iter()
        .map(|at_s| view.x(at_ns(at_s)))
        .filter(|x| *x > f64::from(plot().left) && *x < f64::from(plot().right))
        .collect();
    move |picture| {
        let found = needles(picture);
        !line(picture, SIZE, 1).is_empty()
            && found.len() == wanted.len()
            && found.iter().zip(&wanted).all(|(x, wanted)| (*x as f64 + 0.5 - wanted).abs() <= 2.0)
    }
}

#[test]
fn the_wheel_zooms_about_the_instant_under_the_mouse() {
    let (scope, view, before) = open_needles();
    let column = needles(&before)[0];
    // On the tip of the needle, at the top of the data of A.
    let at = (column as i32, view.y(110.0) as i32);
    let anchor = view.time_at(f64::from(at.0));
    let mut time = view.viewport.time;
    // One notch at a time, because the window system reports only the last one of a frame. A notch has two halves and
    // applies at the position of the mouse when it is polled, so the mouse stays until B begins at its final column, or
    // left of it by at most the radius of the read-out's dot.
    let turned = |notches: i32, to: Transform| {
        scope.display.wheel(scope.window, at, notches);
        scope.when("B begun elsewhere", |picture| {
            let first = line(picture, SIZE, 1).iter().map(|(x, _)| *x).min();
            first.is_some_and(|x| (x as f64 - to.x(at_ns(0.0))).abs() <= 6.0)
        });
        scope.mouse_away();
        scope.when("the needles where the wheel has put them", shows_needles(to))
    };
    let mut closer = before.clone();
    for _ in 0..3 {
        time = time.zoomed(anchor, ZOOM_STEP);
        closer = turned(1, on(time, &view));
    }
    assert!(needles(&closer)[0].abs_diff(column) <= 1, "the needle under the mouse keeps its column");
    let header = area(Layout::new(SIZE).header);
    let span_words = (header.2 - 120, 0, 120, header.3);
    assert!(closer.differences(&before, span_words) > 20, "the header names the new span");

    let mut back = closer;
    for _ in 0..3 {
        time = time.zoomed(anchor, 1.0 / ZOOM_STEP);
        back = turned(-1, on(time, &view));
    }
    assert!(shows_needles(view)(&back), "the view is as it was");
    assert!(needles(&back)[0].abs_diff(column) <= 1);
    scope.quit();
}

#[test]
fn a_drag_moves_the_chart_with_the_hand_and_end_leads_back() {
    let (mut scope, view, before) = open_needles();
    scope.display.drag(scope.window, (200, 250), (300, 260));
    scope.mouse_away();
    let moved = view.viewport.time.panned_columns(-100.0, view.columns());
    let dragged = scope.when("the chart 100 columns on", shows_needles(on(moved, &view)));
    assert_eq!(needles(&dragged).len(), 2, "both needles are still in view");
    // The live edge is out of view, so new ticks must not move the picture.
    let header = Layout::new(SIZE).header.bottom as usize;
    let chart = (0, header, SIZE.width as usize, plot().bottom as usize - header);
    scope.publish(&[("B", 50.0, 120.0), ("A", 50.0, 100.0)]);
    // The badge beside it may have changed first.
    let pill = scope.when("how far it is back", |picture| {
        picture.differences(&dragged, (60, 0, 140, header)) > 10
            && inked(picture, (60, 8, 140, 28), DARK.info, DARK.strip).len() >= 30
    });
    assert_eq!(pill.differences(&dragged, chart), 0, "the chart stands where it was dragged");

    scope.key("End");
    let live = scope.view(50.0, SPAN_NS, (100.0, 120.0));
    let back = scope.when("the live edge", shows_needles(live));
    assert!(needles(&back)[0] < needles(&before)[0], "time has gone on");
    let right = line(&back, SIZE, 1).iter().map(|(x, _)| *x).max().unwrap();
    assert!((right as f64 - live.x(at_ns(50.0))).abs() <= 2.0, "the newest tick is at the right, not at {right}");
    scope.quit();
}

#[test]
fn the_crosshair_follows_the_mouse_and_leaves_with_it() {
    let (scope, view, before) = open_needles();
    let (x, y) = (480, 200);
    scope.display.move_mouse(scope.window, (x, y));
    let cross = scope.when("the crosshair", |picture| picture.differences(&before, area(plot())) > 400);
    let changed_in_column = |x: usize| {
        let top = plot().top as usize;
        cross.differences(&before, (x, top, 1, plot().height() as usize))
    };
    let changed_in_row = |y: usize| cross.differences(&before, (plot().left as usize, y, plot().width() as usize, 1));
    // The lines are dashed: half of a column and of a row is drawn.
    assert!(changed_in_column(x as usize) > plot().height() as usize * 4 / 10, "{}", changed_in_column(x as usize));
    assert!(changed_in_row(y as usize) > plot().width() as usize * 4 / 10, "{}", changed_in_row(y as usize));
    // Other columns and rows contain only the crossing line.
    assert!(changed_in_column(x as usize - 40) <= 1 && changed_in_row(y as usize - 40) <= 1);
    // The read-out marks the newest tick at or before the cursor with a dot: for A that at 15.1 s, for B that at 0.
    assert!((15.2..29.8).contains(&((view.time_at(f64::from(x)) - at_ns(0.0)) as f64 / 1e9)));
    for (index, at_s, price) in [(0, 15.1, 100.0), (1, 0.0, 120.0)] {
        let (dot_x, dot_y) = (view.x(at_ns(at_s)) as usize, view.y(price) as usize);
        let dot = inked(&cross, (dot_x - 4, dot_y - 4, 9, 9), super::fixture::slot(index), DARK.ground).len();
        let plain = inked(&before, (dot_x - 4, dot_y - 4, 9, 9), super::fixture::slot(index), DARK.ground).len();
        assert!(dot > plain, "symbol {index}: {dot} pixels with the dot, {plain} without");
    }
    let axes = [Layout::new(SIZE).value_axis, Layout::new(SIZE).time_axis];
    for axis in axes {
        assert!(cross.differences(&before, area(axis)) > 100, "a tag on {axis:?}");
    }

    let gone = |picture: &Picture| picture.differences(&before, area(plot())) == 0;
    // Onto the axis, back, and out of the window.
    scope.display.move_mouse(scope.window, (plot().right + 30, y));
    scope.when("the plot without it", gone);
    scope.display.move_mouse(scope.window, (x + 50, y));
    scope.when("it again", |picture| picture.differences(&before, area(plot())) > 400);
    scope.display.move_mouse(scope.window, (SIZE.width as i32 + 20, y));
    scope.when("the plot without it once more", gone);
    scope.quit();
}
