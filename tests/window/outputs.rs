//! Demo, snapshots, and the minimum interval between redraws.

use std::time::{Duration, Instant};

use tickscope::chart::palette_color;
use tickscope::chart::{Layout, Size, Theme};

use super::fixture::{DARK, LIMIT, SIZE, Scope, area, decode, inked, line};
use crate::support::process;
use crate::support::server::free_port;
use crate::support::xvfb::{Picture, Xvfb};

/// Number of the demo's four lines that have at least `pixels_min` pixels.
fn demo_lines(picture: &Picture, size: Size, pixels_min: usize) -> usize {
    let plot = area(Layout::new(size).plot);
    let long = |slot: &usize| inked(picture, plot, palette_color(Theme::Dark, *slot), DARK.ground).len() >= pixels_min;
    (0..4).filter(long).count()
}

#[test]
fn the_demo_shows_four_lines_and_ends_cleanly() {
    let display = Xvfb::start(SIZE.width, SIZE.height);
    let dir = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let size = format!("{}x{}", SIZE.width, SIZE.height);
    let args = ["--demo", "--local-port", &port, "--size", &size, "--stats", "json", "--snapshot", "end.png"];
    let demo = process::consumer().args(args).env("DISPLAY", &display.display()).dir(dir.path()).start();
    let window = display.find_window("tickscope", LIMIT);
    display.window_when(window, "four lines", LIMIT, |picture| demo_lines(picture, SIZE, 150) == 4);
    display.focus(window);
    display.key("q");
    let ended = demo.wait(LIMIT).expect_code(0);
    let stats = ended.json();
    assert_eq!((&stats["lost"], &stats["rejected"]), (&0.into(), &serde_json::json!({})), "{ended:?}");
    let symbols: Vec<&String> = stats["symbols"].as_object().unwrap().keys().collect();
    assert_eq!(symbols, ["AIG", "BAC", "IBM", "SPY"]);
    assert!(!ended.stderr.contains("WARN") && !ended.stderr.contains("ERROR"), "{ended:?}");
    assert!(stats["frames"]["count"].as_u64().unwrap() > 1 && stats["frames"]["mean_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(stats.get("latency_ms"), None, "ticks of long ago say nothing about latency");
    assert_eq!(
        demo_lines(&decode(&dir.path().join("end.png")), SIZE, 150),
        4,
        "the snapshot at the end shows them too"
    );
}

#[test]
fn snapshots_need_no_display() {
    let dir = tempfile::tempdir().unwrap();
    let drawn = |name: &str, time_s: u64| {
        let (port, time) = (free_port().to_string(), format!("{time_s}s"));
        let args = ["--demo", "--local-port", &port, "--for", &time, "--headless", "--size", "900x600"];
        let ended = process::consumer().args(args).args(["--snapshot", name]).dir(dir.path()).run(LIMIT).expect_code(0);
        assert!(ended.elapsed >= Duration::from_secs(time_s));
    };
    let has_lines = |time_s: u64| {
        drawn("chart.png", time_s);
        let picture = decode(&dir.path().join("chart.png"));
        assert_eq!((picture.width, picture.height), (900, 600));
        demo_lines(&picture, Size { width: 900, height: 600 }, 100) == 4
    };
    // A busy machine may need longer until there is data to draw.
    let time_s = [5, 25].into_iter().find(|time_s| has_lines(*time_s)).expect("four lines");
    drawn("chart.svg", time_s);
    let document = std::fs::read_to_string(dir.path().join("chart.svg")).unwrap();
    assert!(document.contains(r#"width="900""#) && document.contains(r#"height="600""#), "{}", &document[..200]);
    for symbol in ["AIG", "BAC", "IBM", "SPY"] {
        assert!(document.contains(symbol), "{symbol} stands in the document as text");
    }
    assert!(document.contains("<polyline") && document.trim_end().ends_with("</svg>"));
    let left_over = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left_over, 2, "no half-written file is left behind");
}

#[test]
fn the_interval_is_the_least_time_between_redraws() {
    let scope = Scope::open_with(SIZE, &["--interval", "500ms"]);
    scope.mouse_away();
    let mut producer = scope.producer(&["--symbols", "A,B", "--interval", "20ms"]).start();
    scope.when("the feed", |picture| !line(picture, SIZE, 1).is_empty());
    let (left, top, width, height) = scope.display.area(scope.window);
    let plot = area(Layout::new(SIZE).plot);
    let window = (left + plot.0, top + plot.1, plot.2.min(width), plot.3.min(height));
    let begun = Instant::now();
    let mut last = scope.display.picture().part(window);
    let mut changes = 0_u32;
    while begun.elapsed() < Duration::from_secs(5) {
        let now = scope.display.picture().part(window);
        changes += u32::from(now != last);
        last = now;
    }
    let most = begun.elapsed().as_secs_f64() / 0.5;
    // Changes of the connection state are drawn immediately, in addition.
    assert!(f64::from(changes) <= most * 1.5 + 1.0, "{changes} redraws in {:?}", begun.elapsed());
    assert!(changes >= 3, "{changes} redraws in {:?}", begun.elapsed());
    assert!(producer.is_running());
    scope.quit();
}

#[test]
fn the_report_tells_how_long_ticks_took_to_the_screen() {
    let scope = Scope::open();
    let producer = scope.producer(&["--symbols", "A,B", "--interval", "20ms"]).start();
    scope.when("the feed", |picture| !line(picture, SIZE, 1).is_empty());
    producer.stop("TERM", LIMIT).expect_code(0);
    let stats = scope.quit().json();
    let ms = |name: &str| stats["latency_ms"][name].as_f64().unwrap();
    assert!(0.0 < ms("p50") && ms("p50") <= ms("p99") && ms("p99") <= ms("max"), "{stats}");
    let count = stats["latency_ms"]["count"].as_u64().unwrap();
    assert!(0 < count && count <= stats["received"].as_u64().unwrap(), "{stats}");
    assert!(stats["frames"]["count"].as_u64().unwrap() > 1, "{stats}");
}
