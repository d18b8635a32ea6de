//! Content of the cells: values, lines, missing data, states, and escaped text from the network.

use super::fixture::{SPAN_S, Scope, at_ns};
use crate::support::tmux::Shot;

const SPAN_NS: i64 = SPAN_S * 1_000_000_000;

#[test]
fn lines_lie_where_the_ticks_are_and_the_watchlist_has_their_values() {
    for size in [(120, 36), (80, 24), (40, 12)] {
        let mut scope = Scope::open(size.0, size.1);
        scope.publish(&[("A", 0.0, 110.0), ("B", 0.0, 90.0), ("A", 40.0, 110.0), ("B", 40.0, 90.0)]);
        let view = scope.view(40.0, SPAN_NS, (90.0, 110.0));
        // The screen may be read while it is drawn, so one condition waits for all related parts together.
        scope.terminal.when("both lines, their values, and what they are of", |shot| {
            let lines = [110.0, 90.0].iter().all(|price| scope.has_line(shot, &view, *price, (0.5, 40.0)));
            let values = ["A", "110.00", "90.00", "0.00%"].iter().all(|text| shot.has(text));
            let channel = shot.0[0].contains("stock_prices") || size.0 == 40;
            lines && values && channel && shot.0[0].ends_with("1 min")
        });
        scope.quit();
    }
}

#[test]
fn a_step_is_drawn_as_a_step() {
    let mut scope = Scope::open(100, 30);
    scope.publish(&[("A", 0.0, 100.0), ("A", 20.0, 100.0), ("A", 20.001, 104.0), ("A", 40.0, 104.0)]);
    let view = scope.view(40.0, SPAN_NS, (100.0, 104.0));
    scope.terminal.when("the step", |shot| {
        let flat = scope.has_line(shot, &view, 100.0, (0.5, 20.0)) && scope.has_line(shot, &view, 104.0, (20.1, 40.0));
        let (column, top) = scope.cell(view.x(at_ns(20.0)), view.y(104.0));
        let (_, bottom) = scope.cell(0.0, view.y(100.0));
        flat && (top..=bottom).all(|row| ('\u{2801}'..='\u{28ff}').contains(&shot.at(column, row)))
    });
    scope.quit();
}

#[test]
fn a_loss_is_a_shaded_gap_with_its_length() {
    let mut scope = Scope::open(120, 36);
    let tick = |seq: u32, at_s: i64| {
        let time = super::fixture::T0_S + at_s;
        format!(r#"{{"symbol":"A","price":100,"timestamp":{time},"seq":{seq},"source":"s"}}"#)
    };
    scope.publish_text(&format!("[{},{}]", tick(1, 0), tick(2, 10)));
    scope.publish_text(&format!("[{},{}]", tick(9, 30), tick(10, 40)));
    let view = scope.view(40.0, SPAN_NS, (100.0, 100.0));
    let is_shaded = |shot: &Shot, at_s: f64| {
        let (column, row) = scope.cell(view.x(at_ns(at_s)), 40.0);
        shot.at(column, row) == '\u{2591}'
    };
    // The label with the duration is above the shading, and is drawn before it.
    scope.terminal.when("the gap with its length, in its place alone", |shot| {
        shot.has("6 lost") && is_shaded(shot, 20.0) && !is_shaded(shot, 5.0) && !is_shaded(shot, 35.0)
    });
    scope.quit();
}

#[test]
fn the_state_of_the_connection_is_said() {
    let mut scope = Scope::open(80, 24);
    scope
        .terminal
        .when("waiting", |shot| shot.0[0].contains(" WAITING ") && shot.has("Waiting for ticks on stock_prices"));
    scope.publish(&[("A", 0.0, 100.0)]);
    scope.terminal.when("live, then stale", |shot| shot.0[0].contains(" LIVE ") || shot.0[0].contains(" STALE "));
    scope.stop_server();
    scope.terminal.when("disconnected", |shot| shot.0[0].contains(" DISCONNECTED "));
    scope.quit();
}

#[test]
fn a_rejected_message_is_counted_and_text_off_the_wire_steers_nothing() {
    let mut scope = Scope::open_with((120, 36), "--window 60s", 1);
    scope.publish_text(r#"{"symbol":"\u001b[2J\u001b]0;owned\u0007\u202eX","price":100.5,"timestamp":1700000000}"#);
    // Escapes are written out, as far as a name has room.
    scope
        .terminal
        .when("the symbol, harmless", |shot| shot.has("100.50") && shot.0[1].contains("\\u{1b}") && shot.has("? help"));
    scope.publish_text(r#"{"symbol":"\u001b[2J"}"#);
    scope.terminal.when("the rejection", |shot| shot.has("rejected 1"));
    scope.quit();
}

#[test]
fn two_hundred_symbols_are_listed_as_far_as_there_is_room() {
    let names: Vec<String> = (0..200).map(|n| format!("S{n:03}")).collect();
    for (size, shown, more) in [((120, 36), "S032", "+167 more"), ((80, 24), "S006", "+193 more")] {
        let mut scope = Scope::open_with(size, "--window 60s", 200);
        let ticks: Vec<_> = names
            .iter()
            .enumerate()
            .flat_map(|(n, name)| [(name.as_str(), 0.0, 50.0 + n as f64), (name.as_str(), 40.0, 50.5 + n as f64)])
            .collect();
        scope.publish(&ticks);
        scope.terminal.when("the list, and lines", |shot| {
            [more, "S000", shown].iter().all(|text| shot.has(text)) && scope.has_dots(shot)
        });
        scope.quit();
    }
}

#[test]
fn log_lines_do_not_tear_the_screen_and_come_after_it() {
    let scope = Scope::open_with((100, 30), "-v --symbols A", 1);
    scope.terminal.when("the newest line at the bottom of the chart", |shot| {
        shot.0[27].contains("subscribed") || shot.0[27].contains("INFO") || shot.0[27].contains("DEBUG")
    });
    scope.terminal.key("q");
    scope.terminal.wait_until_given_back();
    scope.terminal.when("the log", |shot| shot.has("subscribed at") && shot.has("status 0"));
}
