//! The real window on Wayland, under weston with its headless backend: opening, drawing, keys and closing.

use std::path::Path;
use std::time::Duration;

use crate::support::inputs::{WindowProgram, is_the_window, key, pressed, released};
use crate::support::process::{self, Launch};
use crate::support::server::{RedisServer, Wire, free_port};
use crate::support::wait::wait_until;
use crate::support::weston::{Weston, code};
use crate::support::xvfb::{Area, Picture};
use tickscope::chart::palette_color;
use tickscope::chart::{Button, Input, Key, Modifiers, Rect};
use tickscope::chart::{Layout, Size, Theme};

const LIMIT: Duration = crate::support::wait::GUARD;

/// Size of the screen, and of a window that fills it.
const SIZE: Size = Size { width: 640, height: 400 };

const GROUND_DARK: u32 = 0x000e_1217;
const GROUND_LIGHT: u32 = 0x00ff_ffff;
const STRIP_DARK: u32 = 0x0014_1a21;

fn plot() -> Area {
    area(Layout::new(SIZE).plot)
}

fn area(rect: Rect) -> Area {
    (rect.left as usize, rect.top as usize, rect.width() as usize, rect.height() as usize)
}

fn has_ground(picture: &Picture, ground: u32) -> bool {
    // A notice in the middle covers about half of the plot.
    picture.count(plot(), |pixel| pixel == ground) > plot().2 * plot().3 / 3
}

/// Returns `true` if a dark window fills the screen. The shell resizes the window after its first frames.
fn fills(picture: &Picture) -> bool {
    let frame = Layout::new(SIZE);
    picture.at(2, frame.header.top as usize) == STRIP_DARK
        && picture.at(2, frame.footer.bottom as usize - 1) == STRIP_DARK
}

/// Returns `true` if the line of the symbol with this palette index is drawn.
fn has_line(picture: &Picture, theme: Theme, slot: usize) -> bool {
    let (red, green, blue) = palette_color(theme, slot);
    picture.count(plot(), |pixel| pixel == u32::from_be_bytes([0, red, green, blue])) > 100
}

fn decode(path: &Path) -> Picture {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let pixels = bytes.chunks_exact(3).map(|p| u32::from_be_bytes([0, p[0], p[1], p[2]])).collect();
    Picture { width: info.width as usize, height: info.height as usize, pixels }
}

/// Starts a consumer that shows A and B over a minute in the past, so that the chart does not move, and waits until it
/// has subscribed.
fn open(weston: &Weston, dir: &Path, redis: &RedisServer) -> (process::Running, Wire) {
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let launch = weston.launch(process::consumer()).dir(dir).args(["--redis", &url, "--symbols", "A,B", "-v"]);
    // Smaller than the screen; the shell resizes the window.
    let launch = launch.args(["--window", "60s", "--axis", "price", "--size", "500x300", "--snapshot", "end.png"]);
    let consumer = launch.start();
    let mut wire = Wire::connect(redis.port);
    wait_until("the consumer to subscribe", LIMIT, || wire.ask("PUBSUB NUMSUB stock_prices").ends_with(":1\r\n"));
    (consumer, wire)
}

fn publish_zigzag(wire: &mut Wire) {
    let tick = |i: i32| {
        let price = 100 + i * 7 % 11;
        let (symbol, price) = if i % 2 == 0 { ("A", price) } else { ("B", price + 5) };
        format!(r#"{{"symbol":"{symbol}","price":{price},"timestamp":{}}}"#, 1_381_152_600 + i)
    };
    let ticks: Vec<String> = (0..50).map(tick).collect();
    assert_eq!(wire.ask(&format!("PUBLISH stock_prices [{}]", ticks.join(","))), ":1\r\n");
}

#[test]
fn the_window_opens_draws_takes_keys_and_closes() {
    let (weston, redis) = (Weston::start(SIZE.width, SIZE.height), RedisServer::start());
    let empty = weston.picture();
    assert!(!has_ground(&empty, GROUND_DARK));
    let dir = tempfile::tempdir().unwrap();
    let (consumer, mut wire) = open(&weston, dir.path(), &redis);
    weston.picture_when("an empty chart", LIMIT, |picture| has_ground(picture, GROUND_DARK));
    publish_zigzag(&mut wire);
    // Between header and plot, the mouse has no effect.
    let away = (Layout::new(SIZE).header.right - 3, Layout::new(SIZE).header.bottom + 2);
    weston.move_mouse(away);
    let lines = |picture: &Picture| fills(picture) && (0..2).all(|slot| has_line(picture, Theme::Dark, slot));
    let shown = weston.picture_when("two lines", LIMIT, lines);

    weston.key(code::KEY_T);
    weston.picture_when("a light chart", LIMIT, |picture| has_ground(picture, GROUND_LIGHT));
    weston.key(code::KEY_T);
    let same = |picture: &Picture| picture.differences(&shown, plot()) == 0;
    weston.picture_when("the chart as it was", LIMIT, same);
    weston.wheel((SIZE.width as i32 / 2, SIZE.height as i32 / 2), true);
    weston.move_mouse(away);
    let zoomed = |picture: &Picture| lines(picture) && picture.differences(&shown, plot()) > 1_000;
    weston.picture_when("a part of the chart", LIMIT, zoomed);

    weston.key(code::KEY_Q);
    let ended = consumer.wait(LIMIT).expect_code(0);
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    weston.picture_when("the window to be gone", LIMIT, |picture| *picture == empty);
}

#[test]
fn what_is_shown_is_what_was_drawn_and_a_signal_ends_it() {
    let (weston, redis) = (Weston::start(SIZE.width, SIZE.height), RedisServer::start());
    let dir = tempfile::tempdir().unwrap();
    let (consumer, mut wire) = open(&weston, dir.path(), &redis);
    publish_zigzag(&mut wire);
    weston.move_mouse((Layout::new(SIZE).header.right - 3, Layout::new(SIZE).header.bottom + 2));
    let lines = |picture: &Picture| fills(picture) && (0..2).all(|slot| has_line(picture, Theme::Dark, slot));
    let shown = weston.picture_when("two lines", LIMIT, lines);
    consumer.stop("TERM", LIMIT).expect_code(0);
    let drawn = decode(&dir.path().join("end.png"));
    assert_eq!((drawn.width, drawn.height), (640, 400), "the window has followed the screen");
    assert_eq!(drawn.differences(&shown, plot()), 0, "each pixel is on the screen as it was drawn");
}

#[test]
fn a_demo_needs_nothing_but_a_wayland_display() {
    let weston = Weston::start(SIZE.width, SIZE.height);
    let port = free_port().to_string();
    // Weston's kiosk shell rejects a window that is larger than the screen.
    let demo = process::consumer().args(["--demo", "--local-port", &port, "--size", "640x400"]);
    let demo = weston.launch(demo).start();
    let lines = |picture: &Picture| (0..4).all(|slot| has_line(picture, Theme::Dark, slot));
    weston.picture_when("four lines", LIMIT, lines);
    weston.key(code::KEY_Q);
    demo.wait(LIMIT).expect_code(0);
}

#[test]
fn the_hand_reaches_the_window() {
    if is_the_window() {
        return crate::support::inputs::be_the_window();
    }
    let weston = Weston::start(SIZE.width, SIZE.height);
    let itself = Launch::new(std::env::current_exe().unwrap());
    let mut window = WindowProgram::start(weston.launch(itself), "wayland::the_hand_reaches_the_window");
    let (here, there) = ((120, 80), (180, 140));
    weston.move_mouse(here);
    window.wait_for_mouse();

    // On Wayland, minifb reports the text before the key.
    weston.key(code::KEY_G);
    window.expect_all(&[key(Key::Letter('g'), Modifiers::NONE), Input::Text('g')]);
    weston.key_with(&[code::KEY_SHIFT], code::KEY_G);
    window.expect_all(&[key(Key::Letter('g'), Modifiers { shift: true, ctrl: false }), Input::Text('G')]);
    weston.key_with(&[code::KEY_CTRL], code::KEY_LEFT);
    window.expect(&[key(Key::Left, Modifiers { shift: false, ctrl: true })]);
    for (away, up) in [(true, 1.0), (false, -1.0)] {
        weston.wheel(here, away);
        window.expect_wheel(here, up, Modifiers::NONE);
    }
    for (button, told) in [(code::BUTTON_LEFT, Button::Left), (code::BUTTON_RIGHT, Button::Right)] {
        // Each step waits until the previous one has been polled, because a window does not see states between two
        // polls.
        weston.move_mouse(here);
        window.wait_for_place(here);
        weston.press(button);
        window.expect(&[pressed(here, told, Modifiers::NONE, 1)]);
        weston.move_mouse(there);
        window.wait_for_place(there);
        weston.release(button);
        window.expect(&[released(there, told)]);
    }
    window.stop();
}
