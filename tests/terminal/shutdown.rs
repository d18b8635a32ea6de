//! The terminal is restored on every way out, and redrawn after a suspension or with a new size.

use std::process::Command;

use super::fixture::{SPAN_S, Scope};
use crate::support::server::LIMIT;
use crate::support::wait::wait_until;

const SPAN_NS: i64 = SPAN_S * 1_000_000_000;

fn signal(scope: &Scope, name: &str) {
    let id = scope.terminal.find_process("consumer").expect("it runs");
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status().unwrap();
    assert!(sent.success());
}

fn open() -> Scope {
    let mut scope = Scope::open(100, 30);
    scope.publish(&[("A", 0.0, 110.0), ("B", 0.0, 90.0), ("A", 40.0, 110.0), ("B", 40.0, 90.0)]);
    scope.terminal.when("the values", |shot| shot.has("110.00"));
    wait_until_taken(&scope);
    scope
}

/// The program uses the alternate screen, hides the cursor and captures the mouse. Not all of it happens before the
/// first frame.
fn wait_until_taken(scope: &Scope) {
    wait_until("the terminal to be taken", LIMIT, || scope.terminal.modes() == (true, false, true));
}

/// The shell shows what was typed before and echoes what is typed now.
fn assert_given_back(scope: &Scope, status: &str) {
    scope.terminal.wait_until_given_back();
    let shot = scope.terminal.when(status, |shot| shot.has(status));
    assert!(!shot.has("? help"), "nothing of the view is left\n{shot}");
    scope.terminal.run("echo it ech''oes");
    scope
        .terminal
        .when("an echo", |shot| shot.has("echo it ech''oes") && shot.0.iter().any(|line| line == "it echoes"));
}

#[test]
fn keys_and_signals_end_it_and_the_terminal_is_as_it_was() {
    let ends: [fn(&Scope); 6] = [
        |scope| scope.terminal.key("q"),
        |scope| scope.terminal.key("C-c"),
        |scope| signal(scope, "TERM"),
        |scope| signal(scope, "INT"),
        |scope| signal(scope, "HUP"),
        |scope| {
            // An incomplete escape sequence blocks nothing.
            scope.terminal.text("\u{1b}[");
            signal(scope, "TERM");
        },
    ];
    for end in ends {
        let scope = open();
        end(&scope);
        assert_given_back(&scope, "status 0");
    }
}

#[test]
fn an_error_gives_it_back_and_is_said() {
    let scope = Scope::open(100, 30);
    scope.terminal.key("q");
    assert_given_back(&scope, "status 0");
    // A server with another protocol ends the run with an error.
    let other = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::Write;
        for mut stream in other.incoming().flatten() {
            drop(stream.write_all(b"-NOAUTH no\r\n"));
        }
    });
    let program = env!("CARGO_BIN_EXE_consumer");
    let line = format!("clear; {program} --view terminal --redis redis://127.0.0.1:{port}; echo status $?");
    scope.terminal.run(&line);
    let shot = scope.terminal.when("the error", |shot| shot.has("status 1"));
    assert!(shot.has("error: ") && !shot.has("panicked"), "{shot}");
    assert_given_back(&scope, "status 1");
}

#[test]
fn another_size_is_drawn_at_once_and_one_that_is_too_small_is_said() {
    let mut scope = open();
    for size in [(140, 40), (64, 20), (200, 60)] {
        scope.terminal.resize(size.0, size.1);
        scope.size = size;
        let view = scope.view(40.0, SPAN_NS, (90.0, 110.0));
        scope.terminal.when("the lines in the new size", |shot| {
            [110.0, 90.0].iter().all(|price| scope.has_line(shot, &view, *price, (0.5, 40.0)))
        });
    }
    scope.terminal.resize(30, 8);
    scope.terminal.when("the least size", |shot| shot.has("too small: 40x12 at least"));
    scope.terminal.resize(100, 30);
    scope.terminal.when("the chart again", |shot| shot.has("110.00") && shot.has("? help"));
    scope.quit();
}

#[test]
fn it_can_be_put_aside_and_taken_up_again() {
    let mut scope = open();
    scope.terminal.key("C-z");
    scope.terminal.wait_until_given_back();
    scope.terminal.when("the shell", |shot| shot.has("Stopped") && shot.has("status 148"));
    scope.terminal.run("fg");
    let view = scope.view(40.0, SPAN_NS, (90.0, 110.0));
    let shows = |scope: &Scope| {
        scope
            .terminal
            .when("the chart again", |shot| shot.has("? help") && scope.has_line(shot, &view, 110.0, (0.5, 40.0)));
    };
    shows(&scope);
    wait_until_taken(&scope);
    scope.publish(&[("A", 40.5, 111.0)]);
    scope.terminal.when("a tick that came later", |shot| shot.has("111.00"));
    // The shell has already reported a status: that of the stop.
    scope.terminal.key("q");
    assert_given_back(&scope, "status 148");
}
