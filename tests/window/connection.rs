//! Loss of the server or the producer, and recovery.

use std::time::{Duration, Instant};

use tickscope::chart::Layout;

use super::fixture::{
    DARK, LIMIT, Rgb, SIZE, SPAN_NS, SPAN_S, Scope, area, at_ns, badge_has_feed, badge_is, inked, line, rgb, slot,
};
use crate::support::server::RedisServer;
use crate::support::xvfb::Picture;

/// Documented maximum delay until a dead connection or feed is shown.
const PROMISED: Duration = Duration::from_secs(3);

/// Tolerance for a busy machine until the picture is on the display.
const SLACK: Duration = Duration::from_millis(900);

/// Waits for the badge to change colour. Returns the last moment at which it still had the old colour, and the first
/// picture with the new one. The time that it takes to capture pictures is therefore not attributed to the program.
fn when_turned(scope: &Scope, what: &str, colour: Rgb) -> (Instant, Picture) {
    let (mut not_yet, mut taken_after) = (Instant::now(), Instant::now());
    let picture = scope.when(what, |picture| {
        let has_turned = badge_is(picture, colour);
        if !has_turned {
            not_yet = taken_after;
        }
        taken_after = Instant::now();
        has_turned
    });
    (not_yet, picture)
}

/// Background colour of a missing range.
fn tinted() -> Rgb {
    let mix = |ground: u8, tint: u8| (f64::from(ground) * 0.91 + f64::from(tint) * 0.09).round() as u8;
    let (g, t) = (DARK.ground, DARK.warn);
    (mix(g.0, t.0), mix(g.1, t.1), mix(g.2, t.2))
}

fn near(a: Rgb, b: Rgb) -> bool {
    a.0.abs_diff(b.0) <= 2 && a.1.abs_diff(b.1) <= 2 && a.2.abs_diff(b.2) <= 2
}

/// Share of the pixels of a column of the plot, below labels, that have the colour `ground`.
fn share_of(picture: &Picture, x: usize, ground: Rgb) -> f64 {
    let (_, top, _, height) = area(Layout::new(SIZE).plot);
    picture.count((x, top + 30, 1, height - 30), |pixel| near(rgb(pixel), ground)) as f64 / (height - 30) as f64
}

#[test]
fn a_lost_server_is_shown_and_the_gap_stays_open_after_it_is_back() {
    // A Unix socket can be bound again immediately under the same name.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redis.sock");
    let start = || RedisServer::start_with(&["--unixsocket", path.to_str().unwrap()]);
    let span = format!("{SPAN_S}s");
    let args = ["--symbols", "A,B", "--window", &span, "--axis", "price"];
    let redis = start();
    let mut scope = Scope::open_at(&format!("unix://{}", path.display()), SIZE, &args);
    scope.serve(redis);
    scope.mouse_away();
    scope.publish(&[("A", 0.0, 110.0), ("B", 0.0, 90.0), ("A", 20.0, 110.0), ("B", 20.0, 90.0)]);
    scope.when("the feed", badge_has_feed);

    scope.stop_server();
    let lost = Instant::now();
    let (not_yet, _) = when_turned(&scope, "the red badge", DARK.bad);
    let known = not_yet.duration_since(lost);
    assert!(known < PROMISED + SLACK, "the badge had not turned after {known:?}");

    scope.serve(start());
    scope.publish(&[("A", 40.0, 110.0), ("B", 40.0, 90.0), ("A", 50.0, 110.0), ("B", 50.0, 90.0)]);
    let view = scope.view(50.0, SPAN_NS, (90.0, 110.0));
    let column = |at_s: f64| view.x(at_ns(at_s)) as usize;
    let within = |ink: &[(usize, usize)], from: f64, to: f64| {
        ink.iter().filter(|(x, _)| (column(from)..column(to)).contains(x)).count()
    };
    // The badge may change a frame before the ticks are drawn.
    let healed = scope.when("the badge of a feed, and lines on both sides of the gap", |picture| {
        let both_sides = |symbol| {
            let ink = line(picture, SIZE, symbol);
            within(&ink, 1.0, 19.0) > 100 && within(&ink, 41.0, 49.0) > 50
        };
        badge_has_feed(picture) && both_sides(0) && both_sides(1)
    });

    for symbol in 0..2 {
        // Below the label of the missing range, whose amber is similar to the orange of B.
        let mut ink = line(&healed, SIZE, symbol);
        ink.retain(|(x, y)| !(column(20.5)..column(39.5)).contains(x) || *y > 90);
        assert_eq!(within(&ink, 20.5, 39.5), 0, "no line crosses the gap");
    }
    // Between grid lines the band is tinted completely, and there is no tint beside it.
    let band = column(21.0)..column(39.0);
    let tint = band.clone().filter(|x| share_of(&healed, *x, tinted()) > 0.9).count();
    assert!(tint > band.len() * 9 / 10, "{tint} of {} columns are tinted", band.len());
    for at_s in [5.0, 15.0, 45.0] {
        assert!(share_of(&healed, column(at_s) + 3, tinted()) < 0.05, "no tint at {at_s} s");
    }
    let stats = scope.quit().json();
    assert_eq!((&stats["reconnects"], &stats["received"]), (&1.into(), &8.into()));
}

#[test]
fn a_silent_feed_turns_amber_and_green_again() {
    let scope = Scope::open();
    let args = ["--symbols", "A,B", "--interval", "100ms"];
    let producer = scope.producer(&args).start();
    scope.when("the feed", |picture| badge_is(picture, DARK.good));
    producer.stop("TERM", LIMIT).expect_code(0);
    let silent = Instant::now();
    let (not_yet, stale) = when_turned(&scope, "the amber badge", DARK.warn);
    let known = not_yet.duration_since(silent);
    assert!(known < PROMISED + SLACK, "the badge had not turned after {known:?}");
    let header = area(Layout::new(SIZE).header);
    let words = (30, 8, 100, header.3 - 16);
    assert!(inked(&stale, words, DARK.warn, DARK.strip).len() > 60, "words say how long");
    let producer = scope.producer(&args).start();
    scope.when("the feed again", |picture| badge_is(picture, DARK.good));
    drop(producer);
    scope.quit();
}

#[test]
fn a_server_that_is_not_there_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redis.sock");
    let args = ["--symbols", "A,B", "--axis", "price"];
    let mut scope = Scope::open_at(&format!("unix://{}", path.display()), SIZE, &args);
    let plot = area(Layout::new(SIZE).plot);
    scope.when("the red badge, and a notice in the middle", |picture| {
        badge_is(picture, DARK.bad) && inked(picture, plot, DARK.bad, DARK.ground).len() > 200
    });
    scope.serve(RedisServer::start_with(&["--unixsocket", path.to_str().unwrap()]));
    scope.when("the connection", |picture| badge_is(picture, DARK.info));
    scope.publish(&[("A", 0.0, 110.0), ("B", 0.0, 90.0), ("A", 5.0, 110.0), ("B", 5.0, 90.0)]);
    let both = |picture: &Picture| (0..2).all(|index| line(picture, SIZE, index).len() > 50);
    let picture = scope.when("both lines", |picture| both(picture) && badge_has_feed(picture));
    assert_eq!(inked(&picture, plot, DARK.bad, DARK.ground), [], "the notice is gone, and its colour with it");
    assert_ne!(slot(0), DARK.bad);
    scope.quit();
}
