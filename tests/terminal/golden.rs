//! Whole screens compared cell by cell with the accepted ones. The first and the last row (state and figures) depend on
//! the machine and are left out. `TICKSCOPE_ACCEPT=1 cargo test --test displays terminal::golden` accepts the current
//! screens; review the difference before committing it.

use std::fs;
use std::path::Path;

use super::fixture::{Scope, T0_S};
use crate::support::server::free_port;
use crate::support::tmux::{Shot, Terminal};

/// Rows between the first and the last one, with ports masked, because each run has its own. Without ticks, the
/// time axis shows the current time and is left out too.
fn body(shot: &Shot) -> String {
    let end = if shot.has("22:1") { 1 } else { 2 };
    let rows = &shot.0[1..shot.0.len() - end];
    let mut text = String::new();
    for row in rows {
        let mut digits = 0;
        for c in row.chars() {
            digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
            text.push(c);
            // A number of five digits without a comma or point is a port.
            if digits == 5 {
                text.truncate(text.len() - 5);
                text.push_str("#####");
            }
        }
        text.push('\n');
    }
    text
}

/// Waits until the screen equals the golden one.
#[track_caller]
fn assert_golden(terminal: &Terminal, name: &str, ready: impl Fn(&Shot) -> bool) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/terminal").join(format!("{name}.txt"));
    if std::env::var_os("TICKSCOPE_ACCEPT").is_some() {
        // A screen that is read while it is drawn may be a mixture of two frames.
        let mut last = terminal.when(name, &ready);
        let shot = terminal.when(name, |shot| {
            std::thread::sleep(std::time::Duration::from_millis(300));
            let stands = body(shot) == body(&last) && ready(shot);
            last = shot.clone();
            stands
        });
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, body(&shot)).unwrap();
        return;
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    terminal.when(&format!("the golden {name}\n{golden}"), |shot| ready(shot) && body(shot) == golden);
}

/// A walk and a slope with a step, of which every tick is known.
fn ticks() -> Vec<(&'static str, f64, f64)> {
    let walk = (0..=200).map(|n| {
        let t = f64::from(n);
        ("AAPL", t * 0.25, 187.0 + (t * 0.11).sin() * 1.5 + (t * 0.037).cos() * 2.0 + if n > 120 { 0.8 } else { 0.0 })
    });
    let slope = (0..=50).map(|n| ("MSFT", f64::from(n), 180.0 + f64::from(n) * 0.06));
    let rounded = walk.chain(slope).map(|(symbol, at_s, price)| (symbol, at_s, (price * 100.0_f64).round() / 100.0));
    let mut ticks: Vec<_> = rounded.collect();
    ticks.sort_by(|a, b| a.1.total_cmp(&b.1));
    ticks
}

fn with_ticks(size: (u16, u16), args: &str) -> Scope {
    let mut scope = Scope::open_with(size, &format!("-q --symbols AAPL,MSFT --window 60s {args}"), 2);
    scope.publish(&ticks());
    scope
}

fn has_all(shot: &Shot) -> bool {
    shot.has("183.00") && shot.has("? help")
}

#[test]
fn live_screens_of_all_sizes() {
    for (columns, rows) in [(120, 36), (80, 24), (40, 12)] {
        let scope = with_ticks((columns, rows), "--axis price");
        assert_golden(&scope.terminal, &format!("live-{columns}x{rows}"), has_all);
        scope.quit();
    }
}

#[test]
fn percent_and_help() {
    let scope = with_ticks((100, 30), "--axis percent");
    assert_golden(&scope.terminal, "percent", has_all);
    scope.terminal.key("?");
    scope.terminal.when("the help", |shot| shot.has("nothing is lost"));
    scope.quit();
}

#[test]
fn waiting_and_disconnected() {
    let mut scope = Scope::open_with((80, 24), "-q --symbols A,B --window 60s", 2);
    assert_golden(&scope.terminal, "waiting", |shot| shot.has("Waiting for ticks"));
    scope.stop_server();
    scope.terminal.when("the cause", |shot| shot.has("No connection to"));
    scope.quit();
    let terminal = Terminal::start(80, 24);
    let program = env!("CARGO_BIN_EXE_consumer");
    terminal.run(&format!("clear; {program} --view terminal -q --redis redis://127.0.0.1:{}", free_port()));
    assert_golden(&terminal, "disconnected", |shot| shot.has("No connection to") && !shot.has("WARN"));
    terminal.key("q");
}

#[test]
fn a_gap() {
    let mut scope = Scope::open_with((120, 30), "-q --symbols AAPL --window 60s --axis price", 1);
    let tick = |seq: i64, at_s: i64| {
        let (time, price) = (T0_S + at_s, 100 + at_s / 10);
        format!(r#"{{"symbol":"AAPL","price":{price},"timestamp":{time},"seq":{seq},"source":"s"}}"#)
    };
    let early: Vec<String> = (0..20).map(|n| tick(n + 1, n)).collect();
    let late: Vec<String> = (30..50).map(|n| tick(n + 1, n)).collect();
    scope.publish_text(&format!("[{}]", early.join(",")));
    scope.publish_text(&format!("[{}]", late.join(",")));
    assert_golden(&scope.terminal, "gap", |shot| shot.has("gap 11 s"));
    scope.quit();
}

#[test]
fn the_crosshair() {
    let scope = with_ticks((100, 30), "--axis price");
    scope.terminal.when("the values", has_all);
    scope.terminal.mouse(35, (60, 12), true);
    assert_golden(&scope.terminal, "crosshair", |shot| shot.has("186.19 "));
    scope.quit();
}
