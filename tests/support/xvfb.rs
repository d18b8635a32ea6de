//! A display of a test's own: Xvfb on a free number, a hand on its keyboard and mouse (xdotool), and an eye on
//! its pixels.
//!
//! There is no window manager. Windows are found by title, focused by hand, and what a hand does to the mouse stays
//! done until the program has seen it ([`Xvfb::watch`]), because minifb polls it.

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

/// After a click, so that the next one is not taken for the second half of a double-click.
const APART: Duration = Duration::from_millis(450);

/// Between two characters that are typed, in ms: nobody types faster, and a window need not queue more.
const TYPE_DELAY_MS: &str = "30";

/// Longest wait for xdotool and the display, which respond immediately on an idle machine.
const ANSWER_MAX: Duration = super::wait::GUARD;

/// A virtual display; ended when dropped.
pub struct Xvfb {
    server: Child,
    number: u32,
    /// Told of all that is drawn since the beginning, and so knows when a frame is whole.
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
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `0xRRGGBB`, row by row from the top.
    pub pixels: Vec<u32>,
}

impl Xvfb {
    /// Starts a display of one screen, `width` x `height` pixels, 24 bits deep, without a mouse pointer to be seen.
    ///
    /// The mouse lies in the last pixel, where it is over no window that leaves a margin. A new display has it in the
    /// middle, where it would be over whatever opens there, and a crosshair with its read-out in the first pictures.
    pub fn start(width: u32, height: u32) -> Self {
        let mut server = Command::new("Xvfb")
            // The server picks a free number and tells it when it is ready to be used.
            .args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24"), "-noreset", "-nocursor"])
            // No key repeats: one that a busy machine holds down for longer was pressed once all the same.
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

    /// For the environment variable `DISPLAY`.
    pub fn display(&self) -> String {
        format!(":{}", self.number)
    }

    /// The visible window whose title contains `title`; waits for it.
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

    /// A window's title.
    pub fn title(&self, window: Window) -> String {
        self.answer(&["getwindowname", &window.0.to_string()])
    }

    /// Gives a window the keyboard; returns when it has it.
    pub fn focus(&self, window: Window) {
        let id = window.0.to_string();
        wait_until("the window to have the keyboard", ANSWER_MAX, || {
            // It fails while the window is not yet viewable.
            let asked = self.xdotool(&["windowfocus", &id]).output().unwrap().status.success();
            asked && self.answer(&["getwindowfocus", "-f"]) == id
        });
    }

    /// Makes the hand wait for this thread: between what it does, the thread has polled.
    pub fn watch(&mut self, pulse: Pulse) {
        self.pulse = Some(pulse);
    }

    /// Returns when what the hand did has been seen.
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

    /// Presses and releases a key as fast as the display takes it, and again as often as `times` says.
    pub fn tap(&self, name: &str, times: usize) {
        let mut words = vec!["key", "--delay", "0"];
        words.extend(std::iter::repeat_n(name, times));
        self.answer(&words);
    }

    /// Presses and releases a key while others (`shift`, `ctrl`) are held.
    pub fn key_with(&self, held: &[&str], name: &str) {
        self.hold(held, || self.key(name));
    }

    /// Does something while keys (`shift`, `ctrl`) are held.
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

    /// Types text into the focused window; upper case and marks with shift, as a hand does.
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

    /// Presses and releases the left button twice in quick succession at a pixel of a window. The window sees one
    /// double-click if nothing is held up meanwhile, and two clicks or one otherwise: who needs it must look.
    pub fn double_click(&self, window: Window, at: (i32, i32)) {
        // A window at rest looks at the mouse a few times a second only; one in which it has moved does so at once.
        self.move_mouse(window, (at.0 + 1, at.1));
        self.rest();
        self.move_mouse(window, at);
        self.rest();
        // One process does it all: to start another one in between may take longer than the time that is left.
        let press = ["mousedown", "1", "sleep", DOUBLE_HOLD_S, "mouseup", "1", "sleep", DOUBLE_HOLD_S];
        self.answer(&[press, press].concat());
        self.rest();
        std::thread::sleep(APART);
    }

    /// Turns the wheel at a pixel of a window: `notches` away from the user, or towards them when negative. One after
    /// the other: minifb keeps only the last notch of a frame.
    pub fn wheel(&self, window: Window, at: (i32, i32), notches: i32) {
        self.move_mouse(window, at);
        for _ in 0..notches.unsigned_abs() {
            self.rest();
            self.answer(&["click", if notches > 0 { "4" } else { "5" }]);
        }
        self.rest();
    }

    /// Drags with the left button from one pixel of a window to another, by way of their middle.
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

    /// Changes a window's size in pixels.
    pub fn resize(&self, window: Window, width: u32, height: u32) {
        self.answer(&["windowsize", &window.0.to_string(), &width.to_string(), &height.to_string()]);
    }

    /// Asks a window to close, as the button of its frame does.
    pub fn close(&self, window: Window) {
        self.connect().close_window(window.0);
    }

    /// A client of this display that speaks the protocol itself.
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

    /// The first picture of the display that `wanted` accepts; panics with `what`, and leaves the last picture beside
    /// the test programs as a PNG file, when `limit` passes without one.
    pub fn picture_when(&self, what: &str, limit: Duration, wanted: impl FnMut(&Picture) -> bool) -> Picture {
        self.first_picture(what, limit, || self.picture(), wanted)
    }

    /// As [`Xvfb::picture_when`], of one window.
    pub fn window_when(
        &self,
        window: Window,
        what: &str,
        limit: Duration,
        wanted: impl FnMut(&Picture) -> bool,
    ) -> Picture {
        self.first_picture(what, limit, || self.picture_of(window), wanted)
    }

    /// The same, `None` when `limit` passes without one.
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

    /// A picture that the next one, taken `quiet` later, equals: nothing moves any more.
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

    /// Runs xdotool, which must succeed; what it printed, trimmed.
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
        // SIGTERM would let it remove its socket and lock file; a killed one leaves both, and numbers run out.
        let id = self.server.id().to_string();
        drop(Command::new("sh").args(["-c", &format!("kill {id}")]).status());
        if poll(ANSWER_MAX, || self.server.try_wait().ok().flatten()).is_none() {
            drop(self.server.kill());
            drop(self.server.wait());
        }
    }
}

/// A title as a pattern of xdotool's (POSIX extended), in which it stands for itself.
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
    /// The colour of a pixel, `0xRRGGBB`.
    pub fn at(&self, x: usize, y: usize) -> u32 {
        assert!(x < self.width && y < self.height, "({x}, {y}) lies outside {} x {}", self.width, self.height);
        self.pixels[y * self.width + x]
    }

    /// A rectangle of it as a picture of its own.
    pub fn part(&self, (left, top, width, height): Area) -> Self {
        assert!(left + width <= self.width && top + height <= self.height, "the area reaches out of the picture");
        let row = |y: usize| &self.pixels[y * self.width + left..][..width];
        Self { width, height, pixels: (top..top + height).flat_map(row).copied().collect() }
    }

    /// The whole of it.
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

    /// Writes it as a PNG file.
    pub fn save(&self, path: &Path) {
        let mut encoder =
            png::Encoder::new(BufWriter::new(File::create(path).unwrap()), self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        let bytes: Vec<u8> = self.pixels.iter().flat_map(|rgb| rgb.to_be_bytes().into_iter().skip(1)).collect();
        encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
    }
}
