//! Tests of the test support.

use std::time::Duration;

use crate::support::process::{Launch, python};
use crate::support::wait::poll;
use crate::support::x11::{Connection, Event};
use crate::support::xvfb::Xvfb;

const LIMIT: Duration = crate::support::wait::GUARD;
const RED: u32 = 0x00ff_2010;

/// Returns the next press of a key or button.
fn next_press(client: &mut Connection) -> Event {
    loop {
        match client.next_event() {
            Event::Other(_) => {}
            event => return event,
        }
    }
}

#[test]
fn a_display_shows_windows_and_passes_on_keys_clicks_and_the_wish_to_close() {
    let display = Xvfb::start(320, 200);
    let empty = display.picture();
    assert_eq!((empty.width, empty.height), (320, 200));
    assert_eq!(empty.count((0, 0, 320, 200), |rgb| rgb == 0), 320 * 200, "an empty display is black");
    assert!(!display.has_window("plain"));

    let mut client = display.connect();
    let id = client.create_window("a plain window (1)", (20, 30), (100, 50), RED);
    let window = display.find_window("plain window (1)", LIMIT);
    assert_eq!((window.0, display.title(window).as_str()), (id, "a plain window (1)"));
    let shown = display.picture_when("the plain window", LIMIT, |picture| picture.at(20, 30) == RED);
    assert_eq!(shown.count((0, 0, 320, 200), |rgb| rgb == RED), 100 * 50);
    assert_eq!(shown.differences(&empty, (0, 0, 320, 200)), 100 * 50);
    assert_eq!((shown.at(119, 79), shown.at(120, 79), shown.at(19, 30)), (RED, 0, 0));

    assert_eq!(display.area(window), (20, 30, 100, 50));
    let inside = display.window_when(window, "the plain window alone", LIMIT, |picture| picture.at(0, 0) == RED);
    assert_eq!((inside.width, inside.height, inside.count(inside.area(), |rgb| rgb == RED)), (100, 50, 100 * 50));

    display.focus(window);
    display.key("space");
    assert!(matches!(next_press(&mut client), Event::KeyPress(_)));
    display.click(window, (7, 9));
    assert_eq!(next_press(&mut client), Event::ButtonPress(1, 7, 9));
    display.wheel(window, (50, 40), -2);
    assert_eq!(next_press(&mut client), Event::ButtonPress(5, 50, 40));
    assert_eq!(next_press(&mut client), Event::ButtonPress(5, 50, 40));
    display.drag(window, (10, 10), (30, 20));
    assert_eq!(next_press(&mut client), Event::ButtonPress(1, 10, 10));

    display.resize(window, 60, 40);
    display.picture_when("the smaller window", LIMIT, |picture| {
        picture.count((0, 0, 320, 200), |rgb| rgb == RED) == 60 * 40
    });
    display.close(window);
    assert_eq!(next_press(&mut client), Event::ClientMessage);
    drop(client);
    display.picture_when("the window to be gone", LIMIT, |picture| *picture == empty);
    assert!(display.picture_at_rest(Duration::from_millis(50), LIMIT) == empty);
}

#[test]
fn a_picture_waits_for_the_rest_of_a_frame() {
    let display = Xvfb::start(200, 120);
    let mut client = display.connect();
    let id = client.create_window("in two parts", (10, 10), (100, 60), RED);
    let window = display.find_window("in two parts", LIMIT);
    // The window changes from one colour to the other, its lower part after its upper one. No picture contains both.
    let (blue, green) = (0x20_40ff, 0x40_ff20);
    std::thread::scope(|threads| {
        client.put_rows(id, 0, (100, 60), blue);
        client.put_rows(id, 0, (100, 40), green);
        let waiting = threads.spawn(|| display.picture_of(window));
        std::thread::sleep(Duration::from_millis(200));
        client.put_rows(id, 40, (100, 20), green);
        let seen = waiting.join().unwrap();
        assert_eq!(seen.count(seen.area(), |rgb| rgb == green), 100 * 60);
    });
}

#[test]
fn two_displays_stand_side_by_side_and_pictures_survive_a_file() {
    let (one, two) = (Xvfb::start(64, 48), Xvfb::start(64, 48));
    assert_ne!(one.display(), two.display());
    let mut client = one.connect();
    client.create_window("w", (1, 2), (3, 4), RED);
    let picture = one.picture_when("the small window", LIMIT, |picture| picture.at(1, 2) == RED);
    assert_eq!(two.picture().count((0, 0, 64, 48), |rgb| rgb == RED), 0);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("picture.png");
    picture.save(&path);
    let mut reader =
        png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&path).unwrap())).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut bytes).unwrap();
    let rgb = |x: usize, y: usize| &bytes[(y * 64 + x) * 3..][..3];
    assert_eq!((rgb(1, 2), rgb(3, 5), rgb(4, 5)), (&[255, 32, 16][..], &[255, 32, 16][..], &[0, 0, 0][..]));
}

#[test]
fn a_program_is_read_while_it_runs_and_its_end_is_known() {
    // More than the capacity of a pipe, on both streams, before anything is read.
    let script = "import sys, signal\nfor stream in (sys.stdout, sys.stderr):\n    \
                  stream.write('x' * 300_000 + ' done')\n    stream.flush()\nsignal.pause()";
    let mut noisy = Launch::new("python3").args(["-c", script]).start();
    noisy.wait_for_stderr("done", LIMIT);
    noisy.wait_for_stdout("done", LIMIT);
    assert!(noisy.is_running());
    assert!(noisy.resident_kib() > 500);
    let ended = noisy.stop("TERM", LIMIT);
    assert_eq!((ended.code, ended.stdout.len(), ended.stderr.len()), (None, 300_005, 300_005));

    let echo = Launch::new("sh").args(["-c", "cat; echo; echo '{\"n\": 3}'; exit 7"]).stdin("read me").run(LIMIT);
    let echo = echo.expect_code(7);
    assert!(echo.stdout.starts_with("read me\n"), "{echo:?}");
    assert_eq!(echo.json()["n"], 3);
}

#[test]
fn a_program_that_is_let_go_ends() {
    let sleeper = Launch::new("sh").args(["-c", "exec sleep 600"]).start();
    let proc_entry = format!("/proc/{}", sleeper.id());
    assert!(std::path::Path::new(&proc_entry).exists());
    drop(sleeper);
    assert!(!std::path::Path::new(&proc_entry).exists());
}

#[test]
#[should_panic(expected = "it ended")]
fn waiting_for_words_that_a_program_never_said_fails() {
    Launch::new("sh").args(["-c", "echo other words"]).start().wait_for_stdout("these words", LIMIT);
}

#[test]
#[should_panic(expected = "it still runs after")]
fn waiting_for_an_end_that_does_not_come_fails() {
    Launch::new("sleep").args(["600"]).run(Duration::from_millis(50));
}

#[test]
fn polling_stops_at_its_limit_but_probes_once_more_after_it() {
    let mut probes = 0;
    let never: Option<()> = poll(Duration::ZERO, || {
        probes += 1;
        None
    });
    assert_eq!((never, probes), (None, 1));
}

#[test]
fn the_reference_reads_the_shipped_day_as_its_readme_tells() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/us-trades-2013-10-07.csv.gz");
    let counts = python("reference_counts.py").args([data]).run(LIMIT).expect_code(0).json();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/data/README.md")).unwrap();
    for (symbol, seen) in counts.as_object().unwrap() {
        let row = readme.lines().find_map(|line| line.strip_prefix(&format!("| {symbol} | "))).unwrap();
        let cells: Vec<f64> =
            row.trim_end_matches(" |").split(" | ").map(|cell| cell.replace(',', "").parse().unwrap()).collect();
        let told = ["count", "first", "last", "min", "max"].map(|name| seen[name].as_f64().unwrap());
        assert_eq!(cells, told, "{symbol}");
    }
    let total: u64 = counts.as_object().unwrap().values().map(|seen| seen["count"].as_u64().unwrap()).sum();
    assert_eq!(total, 388_417);
}
