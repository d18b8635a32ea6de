//! Every way to close the window exits immediately with status 0. A missing display exits with status 2 and advice.

use std::time::{Duration, Instant};

use super::fixture::{DARK, LIMIT, SIZE, Scope, badge_is};
use crate::support::process::{self, Ended};
use crate::support::server::free_port;
use crate::support::wait::wait_until;
use crate::support::xvfb::Xvfb;

/// Longest shutdown. The documentation promises a second; the limit is higher for busy machines, and still below every
/// retry interval and timeout.
const END_MAX: Duration = Duration::from_secs(3);

/// Opens a window with a feed, ends it with `how` and checks its exit.
fn end(how: impl FnOnce(&Scope)) -> Ended {
    let mut scope = Scope::open();
    scope.publish(&[("A", 0.0, 110.0), ("B", 0.0, 90.0), ("A", 5.0, 110.0)]);
    scope.when("the feed", |picture| !badge_is(picture, DARK.info) && !badge_is(picture, DARK.strip));
    how(&scope);
    let asked = Instant::now();
    let ended = scope.consumer.wait(LIMIT).expect_code(0);
    assert!(asked.elapsed() < END_MAX, "it took {:?} to end.\n{ended:?}", asked.elapsed());
    // The window is removed when the program's connection to the display closes.
    wait_until("the window to be gone", LIMIT, || !scope.display.has_window("tickscope"));
    assert!(!ended.stderr.contains("panicked") && !ended.stderr.contains("ERROR"), "{ended:?}");
    assert_eq!(ended.json()["received"], 3, "the statistics are complete");
    ended
}

#[test]
fn q_ends_it() {
    end(|scope| scope.key("q"));
}

#[test]
fn closing_the_window_ends_it() {
    end(|scope| scope.display.close(scope.window));
}

#[test]
fn sigterm_ends_it() {
    end(|scope| scope.consumer.signal("TERM"));
}

#[test]
fn ctrl_c_ends_it() {
    end(|scope| scope.consumer.signal("INT"));
}

#[test]
fn the_time_that_was_given_ends_it() {
    // Only the exit is checked: on a busy machine, little may have happened when the time is up.
    let display = Xvfb::start(SIZE.width, SIZE.height);
    let url = format!("redis://127.0.0.1:{}", free_port());
    let args = ["--view", "window", "--size", "800x500", "--stats", "json", "--for", "4s", "--redis", &url];
    let ended = process::consumer().args(args).env("DISPLAY", &display.display()).run(LIMIT).expect_code(0);
    assert!(ended.elapsed >= Duration::from_secs(4), "{ended:?}");
    assert!(ended.json()["elapsed_s"].as_f64().unwrap() >= 4.0);
}

#[test]
fn it_ends_while_there_is_no_server() {
    let mut scope = Scope::open();
    scope.stop_server();
    scope.when("the red badge", |picture| badge_is(picture, DARK.bad));
    scope.key("q");
    let asked = Instant::now();
    scope.consumer.wait(LIMIT).expect_code(0);
    assert!(asked.elapsed() < END_MAX, "{:?}", asked.elapsed());
}

#[test]
fn without_a_display_it_names_the_ways_out() {
    for display in [None, Some(":9999")] {
        let launch = process::consumer().args(["--demo", "--view", "window"]);
        let launch = match display {
            Some(display) => launch.env("DISPLAY", display),
            None => launch,
        };
        let ended = launch.run(LIMIT).expect_code(2);
        let said = ended.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(said, 1, "{ended:?}");
        for word in ["no window can be opened", "DISPLAY", "--headless", "--snapshot", "--view terminal"] {
            assert!(ended.stderr.contains(word), "{word} is not in\n{ended:?}");
        }
        for word in ["panicked", "backtrace", "RUST_BACKTRACE"] {
            assert!(!ended.stderr.contains(word), "{word} is in\n{ended:?}");
        }
        assert_eq!(ended.stdout, "");
    }
}
