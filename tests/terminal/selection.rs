//! Choice of window or terminal without `--view`.

use std::time::Duration;

use super::fixture::Scope;
use crate::support::process::consumer;
use crate::support::server::free_port;
use crate::support::tmux::Terminal;
use crate::support::wait::wait_for;

const LIMIT: Duration = crate::support::wait::GUARD;

#[test]
fn without_a_display_the_terminal_shows_live_ticks() {
    let terminal = Terminal::start(100, 30);
    let program = env!("CARGO_BIN_EXE_consumer");
    terminal.run(&format!("clear; {program} --demo --local-port {}; echo status $?", free_port()));
    let ticks = terminal.when("trades of the demo", |shot| {
        ["AIG", "BAC", "IBM", "SPY"].iter().all(|symbol| shot.has(symbol)) && shot.0[0].contains(" LIVE ")
    });
    terminal.when("more of them", |shot| *shot != ticks && shot.0[0].contains(" LIVE "));
    terminal.key("q");
    terminal.wait_until_given_back();
    terminal.when("status 0", |shot| shot.has("status 0"));
}

#[test]
fn without_display_and_terminal_it_runs_on_and_says_how_it_goes() {
    let port = free_port().to_string();
    let args = ["--demo", "--local-port", &port, "--stats", "json", "-v"];
    let mut running = consumer().args(args).start();
    running.wait_for_stderr("running received=", LIMIT);
    let ended = running.stop("TERM", LIMIT).expect_code(0);
    assert!(ended.stderr.contains("running without a view"), "{ended:?}");
    assert!(ended.json()["received"].as_u64().unwrap() > 0, "{ended:?}");
    assert!(!ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn a_terminal_that_cannot_be_drawn_on_counts_as_none() {
    let ended = consumer().args(["--view", "terminal"]).run(LIMIT).expect_code(2);
    assert!(
        ended.stderr.contains("no terminal that can be drawn on") && ended.stderr.contains("--headless"),
        "{ended:?}"
    );
    let scope = Scope::open(80, 24);
    scope.terminal.key("q");
    scope.terminal.when("status 0", |shot| shot.has("status 0"));
    let program = env!("CARGO_BIN_EXE_consumer");
    scope.terminal.run(&format!("clear; TERM=dumb {program} --view terminal; echo status $?"));
    let shot = scope.terminal.when("the refusal", |shot| shot.has("status 2"));
    assert!(shot.has("no terminal that can be drawn on"), "{shot}");
}

#[test]
fn colours_are_those_that_the_terminal_shows() {
    for (variable, wanted, unwanted) in
        [("NO_COLOR=1", "LIVE", "8;"), ("COLORTERM=truecolor", "8;2;", "8;5;"), ("COLORTERM=", "8;5;", "8;2;")]
    {
        let terminal = Terminal::start(100, 30);
        let program = env!("CARGO_BIN_EXE_consumer");
        terminal.run(&format!("clear; {variable} {program} --demo --local-port {}; echo status $?", free_port()));
        terminal.when("trades of the demo", |shot| shot.0[0].contains(" LIVE ") && shot.has("SPY"));
        // This reads the screen again, of which a part may just be drawn.
        let screen = wait_for(wanted, LIMIT, || Some(terminal.coloured()).filter(|screen| screen.contains(wanted)));
        assert!(!screen.contains(unwanted), "{variable}: {screen:?}");
        terminal.key("C-c");
        terminal.when("status 0", |shot| shot.has("status 0"));
    }
}
