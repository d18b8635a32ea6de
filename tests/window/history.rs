//! Scrolling back beyond the ticks in memory. The line is read from the store and drawn at its computed place.

use tickscope::chart::Layout;
use tickscope::chart::{Transform, ValueSpan, Viewport};
use tickscope::model::TimeSpan;

use super::fixture::{LIMIT, SIZE, SPAN_NS, Scope, Tick, ZOOM_STEP, assert_line, at_ns, line};
use crate::support::wait::wait_until;
use crate::support::xvfb::Picture;

/// Duration of the recording: ten times the visible span, and five times the history in memory.
const LENGTH_S: i64 = 600;

/// Price of A: a triangle wave from 100 to 110 with a period of 50 s.
fn price_of_a(at_s: f64) -> f64 {
    100.0 + (25.0 - (at_s.rem_euclid(50.0) - 25.0).abs()) * 0.4
}

/// Five ticks per second of A, and one of B, which is flat.
fn ticks(from_s: i64, to_s: i64) -> Vec<Tick> {
    let mut ticks = Vec::new();
    for fifth in from_s * 5..to_s * 5 {
        let at_s = fifth as f64 / 5.0;
        ticks.push(("A", at_s, price_of_a(at_s)));
        if fifth % 5 == 0 {
            ticks.push(("B", at_s, 95.0));
        }
    }
    ticks
}

/// Opens a window with 500 ticks per symbol in memory, and a store with the whole recording.
fn open() -> Scope {
    open_with(&[])
}

fn open_with(more: &[&str]) -> Scope {
    let args = [&["--store", "sqlite:ticks.db", "--history", "500"], more].concat();
    let mut scope = Scope::open_with(SIZE, &args);
    scope.mouse_away();
    for from_s in (0..LENGTH_S).step_by(100) {
        scope.publish(&ticks(from_s, from_s + 100));
    }
    scope
}

/// Presses Home until the window shows the first minute. The store must have been created and have committed the ticks.
fn go_home(scope: &Scope, back: &Transform, newest_s: f64) -> Picture {
    let mut picture = scope.display.picture_of(scope.window);
    wait_until("Home to lead to the first minute, from the store", LIMIT, || {
        scope.key("Home");
        picture = scope.display.picture_of(scope.window);
        has_a(&picture, back, newest_s) && has_b(&picture, back, newest_s)
    });
    picture
}

/// View of a time span, with the prices of A and B filling its height.
fn view_of(start_ns: i64, len_ns: i64) -> Transform {
    let time = TimeSpan::new(start_ns, start_ns + len_ns);
    Transform { viewport: Viewport { time, value: ValueSpan::fit(95.0, 110.0) }, rect: Layout::new(SIZE).plot }
}

/// Columns from the first tick or the left edge to the last tick or the right edge.
fn columns(view: &Transform, newest_s: f64) -> std::ops::RangeInclusive<usize> {
    let first = view.x(at_ns(0.0)).max(f64::from(view.rect.left)) as usize + 1;
    first..=view.x(at_ns(newest_s)).min(f64::from(view.rect.right)) as usize - 3
}

fn row_of_a(view: &Transform, x: f64) -> f64 {
    view.y(price_of_a((view.time_at(x) - at_ns(0.0)) as f64 / 1e9))
}

/// Returns `true` if B, which is flat, is drawn in each column.
fn has_b(picture: &Picture, view: &Transform, newest_s: f64) -> bool {
    let ink = line(picture, SIZE, 1);
    columns(view, newest_s).all(|x| ink.iter().any(|(column, _)| *column == x))
}

/// Returns `true` if A is drawn in the computed row of each column, and nowhere else.
fn has_a(picture: &Picture, view: &Transform, newest_s: f64) -> bool {
    let (ink, columns) = (line(picture, SIZE, 0), columns(view, newest_s));
    let near = |(x, y): &(usize, usize)| (*y as f64 + 0.5 - row_of_a(view, *x as f64 + 0.5)).abs() <= 1.5;
    let is_here = |x: usize| ink.iter().any(|(column, _)| *column == x);
    let inside = ink.iter().filter(|(x, _)| columns.contains(x));
    columns.clone().all(is_here) && inside.clone().all(near) && ink.iter().all(|(x, _)| x + 2 >= *columns.start())
}

fn assert_lines(picture: &Picture, view: &Transform, newest_s: f64) {
    assert_line(picture, SIZE, 0, columns(view, newest_s), |x| row_of_a(view, x));
    assert_line(picture, SIZE, 1, columns(view, newest_s), |_| view.y(95.0));
}

#[test]
fn home_leads_to_the_first_tick_of_the_store_and_end_back_to_a_live_chart() {
    let mut scope = open();
    let newest_s = LENGTH_S as f64 - 0.2;
    let live = scope.view(newest_s, SPAN_NS, (95.0, 110.0));
    scope.when("the newest minute", |picture| has_b(picture, &live, newest_s - 1.0));

    let back = view_of(at_ns(0.0) - SPAN_NS / 50, SPAN_NS);
    let picture = go_home(&scope, &back, newest_s);
    assert_lines(&picture, &back, newest_s);

    // Panning continues from one loaded range to the next.
    scope.key("Right");
    let on = view_of(at_ns(0.0) - SPAN_NS / 50 + SPAN_NS / 10, SPAN_NS);
    let picture = scope.when("a bit later", |picture| has_a(picture, &on, newest_s));
    assert_lines(&picture, &on, newest_s);

    // Meanwhile ticks arrive, memory evicts as many, and the view does not move.
    scope.publish(&ticks(LENGTH_S, LENGTH_S + 60));
    let newest_s = newest_s + 60.0;
    let picture = scope.when("the same stretch", |picture| has_b(picture, &on, newest_s));
    assert_lines(&picture, &on, newest_s);
    scope.key("End");
    let live = scope.view(newest_s, SPAN_NS, (95.0, 110.0));
    scope.when("the newest minute again", |picture| has_a(picture, &live, newest_s - 1.0));
    scope.quit();
}

#[test]
fn zooming_out_shows_all_that_the_store_holds_and_an_export_has_it() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("all.csv");
    let scope = open_with(&["--export", file.to_str().unwrap()]);
    let newest_s = LENGTH_S as f64 - 0.2;
    let mut span_ns = SPAN_NS as f64;
    while span_ns < 640e9 {
        scope.key("minus");
        span_ns /= ZOOM_STEP;
    }
    let view = scope.view(newest_s, span_ns.round() as i64, (95.0, 110.0));
    let picture = scope.when("all ticks", |picture| has_b(picture, &view, newest_s - 1.0));
    let ink: Vec<usize> = line(&picture, SIZE, 0).iter().map(|(x, _)| *x).collect();
    let (first, last) = (view.x(at_ns(0.0)) as usize, view.x(at_ns(newest_s)) as usize);
    assert!(ink.iter().min().unwrap().abs_diff(first) <= 2 && ink.iter().max().unwrap().abs_diff(last) <= 3);
    assert!((first + 1..last).all(|x| ink.contains(&x)), "no column of A is empty");
    scope.quit();
    let text = std::fs::read_to_string(file).unwrap();
    let rows = text.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[2].parse::<i64>().unwrap(), cells[0].to_owned(), cells[3].parse::<f64>().unwrap())
    });
    let rows: Vec<_> = rows.collect();
    let expected = ticks(0, LENGTH_S).into_iter().map(|(symbol, at_s, price)| (at_ns(at_s), symbol.to_owned(), price));
    let expected: Vec<_> = expected.collect();
    assert_eq!(rows.len(), expected.len());
    assert!(rows == expected, "the file has each tick once, in order of time, then of the legend");
}

#[test]
fn a_store_that_another_program_holds_leaves_the_chart_live_and_comes_back() {
    let mut scope = open();
    let newest_s = LENGTH_S as f64 - 0.2;
    let live = scope.view(newest_s, SPAN_NS, (95.0, 110.0));
    scope.when("the newest minute", |picture| has_b(picture, &live, newest_s - 1.0));
    // Another program holds a write lock, so ticks evicted from memory from now on cannot be read back.
    let file = scope.dir.path().join("ticks.db");
    let holder = rusqlite::Connection::open(&file).unwrap();
    wait_until("the file to be locked", LIMIT, || holder.execute_batch("BEGIN IMMEDIATE").is_ok());
    scope.key("Home");
    scope.when("a view that is not live", |picture| !has_a(picture, &live, newest_s - 1.0));
    scope.key("End");
    scope.publish(&ticks(LENGTH_S, LENGTH_S + 60));
    let live = scope.view(newest_s + 60.0, SPAN_NS, (95.0, 110.0));
    scope.when("the newest minute, whatever the store does", |picture| has_a(picture, &live, newest_s + 59.0));
    holder.execute_batch("ROLLBACK").unwrap();
    drop(holder);
    let back = view_of(at_ns(0.0) - SPAN_NS / 50, SPAN_NS);
    go_home(&scope, &back, newest_s);
    scope.quit();
}
