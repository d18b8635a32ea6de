//! View settings saved by one run and restored by the next.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tickscope::chart::{Layout, Size};

use crate::support::process::consumer;
use crate::support::settings::printed;
use crate::support::xvfb::{Window, Xvfb};

const LIMIT: Duration = crate::support::wait::GUARD;

const SIZE: Size = Size { width: 800, height: 500 };
const LIGHT_STRIP: u32 = 0x00f4_f6f8;
const DARK_STRIP: u32 = 0x0014_1a21;

/// Runs a window, applies `hand` to it, and returns its initial width and the background colour of its header.
fn in_a_window(display: &Xvfb, home: &Path, args: &[&str], hand: impl FnOnce(&Xvfb, Window)) -> (usize, u32) {
    let running = consumer().args(args).home(home).env("DISPLAY", &display.display()).start();
    let window = display.find_window("tickscope", LIMIT);
    display.focus(window);
    let strips = [LIGHT_STRIP, DARK_STRIP];
    let picture = display.window_when(window, "a strip", LIMIT, |picture| strips.contains(&picture.at(2, 2)));
    hand(display, window);
    display.key("q");
    running.wait(LIMIT).expect_code(0);
    (picture.width, picture.at(2, 2))
}

fn toggle_theme_and_widen(display: &Xvfb, window: Window) {
    display.key("t");
    display.resize(window, 700, 450);
    let frame = Layout::new(Size { width: 700, height: 450 });
    display.window_when(window, "the light strip, wide", LIMIT, |picture| {
        (picture.width, picture.at(2, frame.header.bottom as usize - 1)) == (700, LIGHT_STRIP)
    });
}

fn view_file(home: &Path) -> PathBuf {
    home.join("state/tickscope/view.toml")
}

#[test]
fn a_window_opens_as_it_was_left() {
    let display = Xvfb::start(900, 600);
    let port = ["--redis", "redis://127.0.0.1:1", "--title", "tickscope"];
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let sized = [&port[..], &["--size", "800x500"]].concat();
    assert_eq!(in_a_window(&display, home, &sized, |_, _| ()), (SIZE.width as usize, DARK_STRIP));
    assert!(!view_file(home).exists(), "nothing was changed by hand");

    assert_eq!(in_a_window(&display, home, &sized, toggle_theme_and_widen), (SIZE.width as usize, DARK_STRIP));
    let kept = fs::read_to_string(view_file(home)).unwrap();
    assert!(kept.contains("theme = \"light\"") && kept.contains("size = \"700x450\""), "{kept}");
    assert!(!kept.contains("axis"), "the axis was left alone: {kept}");

    let settings = printed(consumer().home(home).args(["--view", "window"]));
    assert_eq!(settings["size"], ("\"700x450\"".to_owned(), "saved view".to_owned()));
    assert_eq!(in_a_window(&display, home, &port, |_, _| ()), (700, LIGHT_STRIP), "as it was left");
    let dark = [&port[..], &["--theme", "dark"]].concat();
    assert_eq!(in_a_window(&display, home, &dark, |_, _| ()), (700, DARK_STRIP), "a flag is stronger");

    let forgetful = [&sized[..], &["--no-remember"]].concat();
    assert_eq!(in_a_window(&display, home, &forgetful, |display, _| display.key("t")), (800, DARK_STRIP));
    assert_eq!(fs::read_to_string(view_file(home)).unwrap(), kept, "nor is anything written");
}

#[test]
fn a_damaged_or_newer_memory_is_told_and_does_no_harm() {
    for (text, answer) in
        [("\0", "is damaged"), ("version = 9\n", "by a newer version"), ("version = 1\ntheme = \"blue\"\n", "'blue'")]
    {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(view_file(home.path()).parent().unwrap()).unwrap();
        fs::write(view_file(home.path()), text).unwrap();
        let launch = consumer().home(home.path()).args(["--redis", "redis://127.0.0.1:1", "--for", "0.5"]);
        let display = Xvfb::start(900, 600);
        let ended = launch.args(["--size", "800x500"]).env("DISPLAY", &display.display()).run(LIMIT).expect_code(0);
        assert!(ended.stderr.contains("WARN") && ended.stderr.contains(answer), "{ended:?}");
        assert_eq!(fs::read_to_string(view_file(home.path())).unwrap(), text, "nothing was changed by hand");
        // In headless mode, the saved view is not read.
        let headless =
            consumer().home(home.path()).args(["--headless", "--redis", "redis://127.0.0.1:1", "--for", "0.1"]);
        assert!(!headless.run(LIMIT).expect_code(0).stderr.contains(answer));
    }
}
