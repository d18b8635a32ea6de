//! Keys and mouse while ticks arrive.

use super::fixture::{SPAN_S, Scope};

const SPAN_NS: i64 = SPAN_S * 1_000_000_000;

/// A and B, flat, up to 40 s.
fn open() -> Scope {
    let mut scope = Scope::open(120, 36);
    scope.publish(&[("A", 0.0, 110.0), ("B", 0.0, 90.0), ("A", 40.0, 110.0), ("B", 40.0, 90.0)]);
    scope.terminal.when("the values", |shot| shot.has("110.00") && shot.has("90.00"));
    scope
}

#[test]
fn a_pause_holds_the_view_and_loses_nothing() {
    let mut scope = open();
    scope.terminal.key("Space");
    scope.terminal.when("the badge", |shot| shot.0[0].contains(" PAUSED "));
    scope.publish(&[("A", 50.0, 110.0), ("B", 50.0, 91.0)]);
    let held = scope.view(40.0, SPAN_NS, (90.0, 110.0));
    scope.terminal.when("the new value beside the old line", |shot| {
        shot.has("91.00") && scope.has_line(shot, &held, 110.0, (0.5, 40.0))
    });
    scope.terminal.key("Space");
    let live = scope.view(50.0, SPAN_NS, (90.0, 110.0));
    scope
        .terminal
        .when("all of it", |shot| !shot.0[0].contains("PAUSED") && scope.has_line(shot, &live, 110.0, (0.5, 50.0)));
    scope.quit();
}

#[test]
fn digits_and_clicks_hide_and_show_symbols() {
    let scope = open();
    let view = scope.view(40.0, SPAN_NS, (90.0, 110.0));
    let line_a = |shot: &_| scope.has_line(shot, &view, 110.0, (0.5, 40.0));
    scope.terminal.when("A", line_a);
    scope.terminal.key("1");
    scope.terminal.when("A hidden", |shot| shot.0[1].contains("\u{25a1} A") && !line_a(shot));
    scope.terminal.click((6, 1));
    scope.terminal.when("A again", |shot| shot.0[1].contains("\u{25a0} A") && line_a(shot));
    scope.terminal.click((6, 2));
    scope.terminal.when("B hidden", |shot| shot.0[2].contains("\u{25a1} B"));
    scope.terminal.key("0");
    scope.terminal.when("B again", |shot| shot.0[2].contains("\u{25a0} B") && line_a(shot));
    scope.quit();
}

#[test]
fn zoom_and_movement_change_what_is_visible() {
    let scope = open();
    scope.terminal.when("a minute", |shot| shot.0[0].ends_with("1 min"));
    scope.terminal.key("+");
    scope.terminal.when("less", |shot| shot.0[0].ends_with("48 s"));
    scope.terminal.key("-");
    scope.terminal.when("a minute again", |shot| shot.0[0].ends_with("1 min") || shot.0[0].ends_with("59 s"));
    scope.terminal.mouse(64, (60, 20), true);
    scope.terminal.when("the wheel", |shot| shot.0[0].ends_with("48 s") || shot.0[0].ends_with("47 s"));
    scope.terminal.key("Left");
    scope.terminal.key("Left");
    scope.terminal.when("back", |shot| shot.0[0].contains(" BACK "));
    scope.terminal.key("l");
    scope.terminal.when("live", |shot| !shot.0[0].contains(" BACK "));
    // Dragging the chart to the right also goes back.
    scope.terminal.mouse(0, (50, 20), true);
    for column in [55, 65, 80] {
        scope.terminal.mouse(32, (column, 20), true);
    }
    scope.terminal.mouse(0, (80, 20), false);
    scope.terminal.when("dragged back", |shot| shot.0[0].contains(" BACK "));
    scope.quit();
}

#[test]
fn the_mouse_reads_values() {
    let scope = open();
    let view = scope.view(40.0, SPAN_NS, (90.0, 110.0));
    let (column, row) = scope.cell(view.x(super::fixture::at_ns(20.0)), 50.0);
    scope.terminal.mouse(35, (column, row), true);
    // Parts are drawn from the top row to the last one, and may be read meanwhile.
    scope.terminal.when("the crosshair with values and time", |shot| {
        let cross = shot.at(column, row) == '\u{253c}' && shot.at(column, row + 1) == '\u{2502}';
        let values = shot.0.iter().any(|line| line.contains("\u{25a0} A 110.00") && line.contains("0.00%"));
        cross && values && (shot.0[34].contains(" 22:13:39.") || shot.0[34].contains(" 22:13:40."))
    });
    scope.quit();
}

#[test]
fn help_axis_and_screenshot_are_a_key_away() {
    let scope = open();
    scope.terminal.key("?");
    scope.terminal.when("the help", |shot| shot.has("nothing is lost") && shot.has("quit"));
    scope.terminal.key("Escape");
    scope.terminal.when("no help", |shot| !shot.has("nothing is lost"));
    scope.terminal.key("a");
    scope.terminal.when("percent", |shot| shot.has("+0.5%"));
    scope.terminal.key("s");
    scope.terminal.when("the message", |shot| shot.has("saved tickscope-"));
    let files = std::fs::read_dir(scope.terminal.dir.path()).unwrap();
    let pictures: Vec<_> = files.filter_map(|file| file.unwrap().file_name().into_string().ok()).collect();
    assert_eq!(pictures.iter().filter(|name| name.ends_with(".png")).count(), 1, "{pictures:?}");
    scope.quit();
}

#[test]
fn what_was_changed_by_hand_is_there_the_next_time() {
    let scope = open();
    scope.terminal.key("t");
    scope.terminal.key("q");
    scope.terminal.when("status 0", |shot| shot.has("status 0"));
    let kept = std::fs::read_to_string(scope.terminal.dir.path().join("state/tickscope/view.toml")).unwrap();
    assert!(kept.contains("theme = \"light\"") && !kept.contains("size"), "{kept}");
}

#[test]
fn a_symbol_is_found_by_its_name_and_takes_the_focus() {
    let scope = open();
    scope.terminal.key("/");
    scope.terminal.text("b");
    scope.terminal.when("the box, and below it what was found", |shot| {
        shot.has("/b\u{258f}") && shot.0.iter().any(|line| line.contains("\u{2502} \u{25a0} B"))
    });
    scope.terminal.key("Enter");
    scope.terminal.when("no box", |shot| !shot.has("/b\u{258f}"));
    // Keys now refer to the focused symbol.
    scope.terminal.key("x");
    scope.terminal.when("B hidden", |shot| shot.0[2].contains("\u{25a1} B") && shot.0[1].contains("\u{25a0} A"));
    scope.quit();
}

#[test]
fn bars_take_the_place_of_a_line() {
    let mut scope = Scope::open(120, 36);
    let ticks: Vec<_> = (0..40).map(|n| ("A", f64::from(n), 100.0 + f64::from(n % 7))).collect();
    scope.publish(&ticks);
    scope.terminal.when("the line", |shot| shot.has("104.00") && scope.has_dots(shot));
    scope.terminal.key("c");
    scope.terminal.when("candles", |shot| !scope.has_dots(shot) && shot.has("\u{2588}"));
    scope.terminal.key("c");
    scope.terminal.when("stems", |shot| !scope.has_dots(shot) && !shot.has("\u{2588}") && shot.has("\u{251c}"));
    scope.terminal.key("c");
    scope.terminal.when("the line again", |shot| scope.has_dots(shot));
    scope.quit();
}
