//! Private display of a test: Xvfb with a free number, keyboard and mouse input (xdotool), and access to its pixels.
//!
//! There is no window manager. Windows are found by title and focused explicitly. Because minifb polls the mouse, each
//! mouse state is held until the program has polled it ([`Xvfb::watch`]).

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::pulse::Pulse;
use super::wait::{poll, wait_for, wait_until};
use super::x11::Connection;

/// Pause after each input to a program that is not watched.
const REST: Duration = Duration::from_millis(100);

/// Duration of each press and of the pause between them in a double-click, in seconds: long enough to be polled by an
/// active window, and short enough that both presses count as a double-click.
const DOUBLE_HOLD_S: &str = "0.1";

/// Pause after a click, so that the next one does not count as the second half of a double-click.
const APART: Duration = Duration::from_millis(450);

/// Interval between two typed characters in ms: users do not type faster, and a window need not queue more.
const TYPE_DELAY_MS: &str = "30";

/// Longest wait for xdotool and the display, which respond immediately on an idle machine.
const ANSWER_MAX: Duration = super::wait::GUARD;

/// A virtual display; stopped when dropped.
pub struct Xvfb {
    server: Child,
    number: u32,
    /// Connection that receives all damage events, and therefore detects complete frames.
    eye: Mutex<Connection>,
    pulse: Option<Pulse>,
}

/// A window of a display, by its X id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window(pub u32);

/// A button of the mouse, by its X number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button {
    Left = 1,
    Middle = 2,
    Right = 3,
}

impl Button {
    fn name(self) -> String {
        (self as u32).to_string()
    }
}

/// A rectangle of a picture: left, top, width, height.
pub type Area = (usize, usize, usize, usize);

/// Contents of a display or window at one moment.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Pixels as `0xRRGGBB`, row by row from the top.
    pub pixels: Vec<u32>,
}

impl Xvfb {
    /// Starts a display with one screen of `width` x `height` pixels, 24 bits deep, with a hidden mouse pointer.
    ///
    /// The mouse is moved to the last pixel, outside of every window that leaves a margin. Its initial place is the
    /// centre of the screen, where it would show a crosshair in the first pictures of a window.
    pub fn start(width: u32, height: u32) -> Self {
        let mut server = Command::new("Xvfb")
            // The server chooses a free number and reports it when it is ready.
            .args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24"), "-noreset", "-nocursor"])
            // No key repeat: on a busy machine, a key may be held for longer and must still count once.
            .args(["-nolisten", "tcp", "-r"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("Xvfb did not start: {error}; run `scripts/test install`"));
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(number) = line.trim().parse() else {
            drop(server.kill());
            panic!("Xvfb ended without a display: {:?}", server.wait());
        };
        let mut eye = Connection::open(number);
        eye.watch_drawing();
        let display = Self { server, number, eye: Mutex::new(eye), pulse: None };
        display.answer(&["mousemove", &(width - 1).to_string(), &(height - 1).to_string()]);
        display
    }

    /// Value of the environment variable `DISPLAY`.
    pub fn display(&self) -> String {
        format!(":{}", self.number)
    }

    /// Waits for a visible window whose title contains `title`.
    pub fn find_window(&self, title: &str, limit: Duration) -> Window {
        let pattern = escape_pattern(title);
        let found = poll(limit, || {
            let output = self.xdotool(&["search", "--onlyvisible", "--name", &pattern]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().lines().last().map(|id| Window(id.parse().unwrap()))
        });
        found.unwrap_or_else(|| panic!("no window titled {title:?} on {} within {limit:?}", self.display()))
    }

    /// Returns `true` if the title of a visible window contains `title`.
    pub fn has_window(&self, title: &str) -> bool {
        let pattern = escape_pattern(title);
        self.xdotool(&["search", "--onlyvisible", "--name", &pattern]).output().unwrap().status.success()
    }

    /// Title of a window.
    pub fn title(&self, window: Window) -> String {
        self.answer(&["getwindowname", &window.0.to_string()])
    }

    /// Focuses a window, and waits until it has the focus.
    pub fn focus(&self, window: Window) {
        let id = window.0.to_string();
        wait_until("the window to have the keyboard", ANSWER_MAX, || {
            // This fails while the window is not yet viewable.
            let asked = self.xdotool(&["windowfocus", &id]).output().unwrap().status.success();
            asked && self.answer(&["getwindowfocus", "-f"]) == id
        });
    }

    /// Makes each input wait until this thread has polled it.
    pub fn watch(&mut self, pulse: Pulse) {
        self.pulse = Some(pulse);
    }

    /// Waits until the last input has been polled.
    fn rest(&self) {
        match &self.pulse {
            Some(pulse) => pulse.wait(),
            None => std::thread::sleep(REST),
        }
    }

    /// Presses and releases a key of the focused window: an X key name such as `space`, `q`, `Left`, `plus`.
    pub fn key(&self, name: &str) {
        self.tap(name, 1);
        self.rest();
    }

    /// Presses and releases a key `times` times, as fast as the display accepts it.
    pub fn tap(&self, name: &str, times: usize) {
        let mut words = vec!["key", "--delay", "0"];
        words.extend(std::iter::repeat_n(name, times));
        self.answer(&words);
    }

    /// Presses and releases a key while others (`shift`, `ctrl`) are held.
    pub fn key_with(&self, held: &[&str], name: &str) {
        self.hold(held, || self.key(name));
    }

    /// Runs `act` while keys (`shift`, `ctrl`) are held.
    pub fn hold<T>(&self, held: &[&str], act: impl FnOnce() -> T) -> T {
        for name in held {
            self.answer(&["keydown", name]);
        }
        self.rest();
        let done = act();
        for name in held.iter().rev() {
            self.answer(&["keyup", name]);
        }
        self.rest();
        done
    }

    /// Types text into the focused window, with shift where a keyboard needs it.
    pub fn type_text(&self, text: &str) {
        self.answer(&["type", "--delay", TYPE_DELAY_MS, text]);
    }

    /// Moves the mouse to a pixel of a window.
    pub fn move_mouse(&self, window: Window, (x, y): (i32, i32)) {
        self.answer(&["mousemove", "--window", &window.0.to_string(), &x.to_string(), &y.to_string()]);
    }

    /// Presses and releases the left button at a pixel of a window.
    pub fn click(&self, window: Window, at: (i32, i32)) {
        self.click_with(window, Button::Left, at);
    }

    /// Presses and releases a button at a pixel of a window.
    pub fn click_with(&self, window: Window, button: Button, at: (i32, i32)) {
        let button = button.name();
        self.move_mouse(window, at);
        for action in ["mousedown", "mouseup"] {
            self.rest();
            self.answer(&[action, &button]);
        }
        self.rest();
        std::thread::sleep(APART);
    }

    /// Presses and releases the left button twice in quick succession at a pixel of a window. After a delay, the window
    /// may see two clicks or one instead of a double-click; the caller must check the result.
    pub fn double_click(&self, window: Window, at: (i32, i32)) {
        // An idle window polls the mouse only a few times per second; a mouse move makes it active.
        self.move_mouse(window, (at.0 + 1, at.1));
        self.rest();
        self.move_mouse(window, at);
        self.rest();
        // A single process sends all events, because the start of another one may exceed the double-click interval.
        let press = ["mousedown", "1", "sleep", DOUBLE_HOLD_S, "mouseup", "1", "sleep", DOUBLE_HOLD_S];
        self.answer(&[press, press].concat());
        self.rest();
        std::thread::sleep(APART);
    }

    /// Turns the wheel at a pixel of a window: `notches` away from the user, or towards them if negative. The notches
    /// are sent one by one, because minifb keeps only the last one of a frame.
    pub fn wheel(&self, window: Window, at: (i32, i32), notches: i32) {
        self.move_mouse(window, at);
        for _ in 0..notches.unsigned_abs() {
            self.rest();
            self.answer(&["click", if notches > 0 { "4" } else { "5" }]);
        }
        self.rest();
    }

    /// Drags with the left button from one pixel of a window to another, through their midpoint.
    pub fn drag(&self, window: Window, from: (i32, i32), to: (i32, i32)) {
        self.drag_with(window, Button::Left, from, to);
    }

    /// Drags with a button.
    pub fn drag_with(&self, window: Window, button: Button, from: (i32, i32), to: (i32, i32)) {
        let (middle, button) = ((i32::midpoint(from.0, to.0), i32::midpoint(from.1, to.1)), button.name());
        self.move_mouse(window, from);
        self.rest();
        self.answer(&["mousedown", &button]);
        for at in [middle, to] {
            self.rest();
            self.move_mouse(window, at);
        }
        self.rest();
        self.answer(&["mouseup", &button]);
        self.rest();
    }

    /// Area of a window on the display. minifb centres its window.
    pub fn area(&self, window: Window) -> Area {
        let told = self.answer(&["getwindowgeometry", "--shell", &window.0.to_string()]);
        let value = |name: &str| {
            let found = told.lines().find_map(|line| line.strip_prefix(name)).and_then(|value| value.parse().ok());
            found.unwrap_or_else(|| panic!("no {name} in the window's geometry:\n{told}"))
        };
        (value("X="), value("Y="), value("WIDTH="), value("HEIGHT="))
    }

    /// Resizes a window, in pixels.
    pub fn resize(&self, window: Window, width: u32, height: u32) {
        self.answer(&["windowsize", &window.0.to_string(), &width.to_string(), &height.to_string()]);
    }

    /// Asks a window to close, as the button of its frame does.
    pub fn close(&self, window: Window) {
        self.connect().close_window(window.0);
    }

    /// Opens an X11 connection to this display.
    pub fn connect(&self) -> Connection {
        Connection::open(self.number)
    }

    /// Returns an atomic picture of the display: each frame is included completely or not at all. Xvfb's framebuffer
    /// file (`-fbdir`) does not have this guarantee: a read during a write may mix two frames.
    pub fn picture(&self) -> Picture {
        let mut eye = self.eye.lock().unwrap_or_else(PoisonError::into_inner);
        let (width, height, bytes) = wait_for("the last rows of a frame", ANSWER_MAX, || eye.screen());
        let pixel = |four: &[u8]| u32::from_le_bytes(four.try_into().unwrap()) & 0x00ff_ffff;
        let pixels = bytes.chunks_exact(4).map(pixel).collect();
        Picture { width: width.into(), height: height.into(), pixels }
    }

    /// Returns the current picture of a window that is entirely on the display. Pixel (0, 0) is that of the window.
    pub fn picture_of(&self, window: Window) -> Picture {
        self.picture().part(self.area(window))
    }

    /// Returns the first picture of the display that `wanted` accepts. After `limit`, panics with `what` and saves the
    /// last picture as a PNG file in the directory of the test executables.
    pub fn picture_when(&self, what: &str, limit: Duration, wanted: impl FnMut(&Picture) -> bool) -> Picture {
        self.first_picture(what, limit, || self.picture(), wanted)
    }

    /// As [`Xvfb::picture_when`], for one window.
    pub fn window_when(
        &self,
        window: Window,
        what: &str,
        limit: Duration,
        wanted: impl FnMut(&Picture) -> bool,
    ) -> Picture {
        self.first_picture(what, limit, || self.picture_of(window), wanted)
    }

    /// As [`Xvfb::window_when`], but returns `None` after `limit`.
    pub fn window_within(
        &self,
        window: Window,
        limit: Duration,
        mut wanted: impl FnMut(&Picture) -> bool,
    ) -> Option<Picture> {
        poll(limit, || Some(self.picture_of(window)).filter(&mut wanted))
    }

    fn first_picture(
        &self,
        what: &str,
        limit: Duration,
        take: impl Fn() -> Picture,
        mut wanted: impl FnMut(&Picture) -> bool,
    ) -> Picture {
        let found = poll(limit, || Some(take()).filter(&mut wanted));
        found.unwrap_or_else(|| {
            let name: String = what.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
            self.picture().save(&path);
            panic!("waited {limit:?} in vain for {what}; the last picture is {}", path.display())
        })
    }

    /// Returns the first picture that has not changed for `quiet`.
    pub fn picture_at_rest(&self, quiet: Duration, limit: Duration) -> Picture {
        wait_for("the display to come to rest", limit, || {
            let before = self.picture();
            std::thread::sleep(quiet);
            (before == self.picture()).then_some(before)
        })
    }

    fn xdotool(&self, args: &[&str]) -> Command {
        let mut command = Command::new("xdotool");
        command.env("DISPLAY", self.display()).args(args).stdin(Stdio::null());
        command
    }

    /// Runs xdotool, which must succeed, and returns its trimmed output.
    #[track_caller]
    fn answer(&self, args: &[&str]) -> String {
        let output = self
            .xdotool(args)
            .output()
            .unwrap_or_else(|error| panic!("xdotool did not start: {error}; run `scripts/test install`"));
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`xdotool {}` failed: {complaint}", args.join(" "));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        // On SIGTERM, the server removes its socket and lock file. After SIGKILL both remain, and numbers run out.
        let id = self.server.id().to_string();
        drop(Command::new("sh").args(["-c", &format!("kill {id}")]).status());
        if poll(ANSWER_MAX, || self.server.try_wait().ok().flatten()).is_none() {
            drop(self.server.kill());
            drop(self.server.wait());
        }
    }
}

/// Escapes a title for xdotool's patterns (POSIX extended).
fn escape_pattern(title: &str) -> String {
    let mut pattern = String::new();
    for c in title.chars() {
        if r"\^$.|?*+()[]{}".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

impl Picture {
    /// Colour of a pixel, `0xRRGGBB`.
    pub fn at(&self, x: usize, y: usize) -> u32 {
        assert!(x < self.width && y < self.height, "({x}, {y}) lies outside {} x {}", self.width, self.height);
        self.pixels[y * self.width + x]
    }

    /// Copies a rectangle of the picture.
    pub fn part(&self, (left, top, width, height): Area) -> Self {
        assert!(left + width <= self.width && top + height <= self.height, "the area reaches out of the picture");
        let row = |y: usize| &self.pixels[y * self.width + left..][..width];
        Self { width, height, pixels: (top..top + height).flat_map(row).copied().collect() }
    }

    /// Area of the whole picture.
    pub fn area(&self) -> Area {
        (0, 0, self.width, self.height)
    }

    /// Number of pixels of an area whose colour `wanted` accepts.
    pub fn count(&self, (left, top, width, height): Area, mut wanted: impl FnMut(u32) -> bool) -> usize {
        let rows = top..top + height;
        rows.flat_map(|y| (left..left + width).map(move |x| (x, y))).filter(|&(x, y)| wanted(self.at(x, y))).count()
    }

    /// Number of pixels of an area that differ from those of another picture of the same size.
    pub fn differences(&self, other: &Self, (left, top, width, height): Area) -> usize {
        let rows = top..top + height;
        let pixels = rows.flat_map(|y| (left..left + width).map(move |x| (x, y)));
        pixels.filter(|&(x, y)| self.at(x, y) != other.at(x, y)).count()
    }

    /// Writes the picture as a PNG file.
    pub fn save(&self, path: &Path) {
        let mut encoder =
            png::Encoder::new(BufWriter::new(File::create(path).unwrap()), self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        let bytes: Vec<u8> = self.pixels.iter().flat_map(|rgb| rgb.to_be_bytes().into_iter().skip(1)).collect();
        encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
    }
}
