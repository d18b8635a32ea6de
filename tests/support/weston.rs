//! Private Wayland compositor of a test: weston with its headless backend, a module for keyboard and mouse input, which
//! this backend lacks (`weston/hand.c`), and access to its pixels.
//!
//! The kiosk shell makes a window fill the screen, so pixels of the picture are pixels of the window.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Launch, Running};
use super::wait::{poll, wait_until};
use super::xvfb::Picture;

/// Duration of a press of a key or button: several polls of an active window, one poll of an idle window.
const HOLD: Duration = Duration::from_millis(150);

/// Longest wait for weston or the compiler, which are fast on an idle machine.
const ANSWER_MAX: Duration = super::wait::GUARD;

/// Name of the compositor's socket.
const SOCKET: &str = "tickscope-test";

/// Codes of keys and buttons, from `linux/input-event-codes.h`.
pub mod code {
    pub const KEY_Q: u32 = 16;
    pub const KEY_T: u32 = 20;
    pub const KEY_CTRL: u32 = 29;
    pub const KEY_G: u32 = 34;
    pub const KEY_SHIFT: u32 = 42;
    pub const KEY_LEFT: u32 = 105;
    pub const KEY_END: u32 = 107;
    pub const BUTTON_LEFT: u32 = 0x110;
    pub const BUTTON_RIGHT: u32 = 0x111;
}

/// A running compositor; stopped when dropped.
pub struct Weston {
    program: Running,
    orders: File,
    pictures: Cell<u32>,
    dir: TempDir,
}

impl Weston {
    /// Starts a compositor with a screen of `width` x `height` pixels.
    pub fn start(width: u32, height: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // XDG_RUNTIME_DIR must be accessible to its owner only.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let module = compile_hand(dir.path());
        let (fifo, config) = (dir.path().join("hand"), dir.path().join("weston.ini"));
        Launch::new("mkfifo").args([&fifo]).run(ANSWER_MAX).expect_code(0);
        fs::write(&config, "[core]\nidle-time=0\n[shell]\nbackground-color=0xff102030\n").unwrap();
        // Opened for reading and writing, so that this does not block if weston has exited.
        let orders = File::options().read(true).write(true).open(&fifo).unwrap();
        let sides = [format!("--width={width}"), format!("--height={height}")];
        let program = Launch::new("weston")
            .args(["--backend=headless-backend.so", "--use-pixman", "--shell=kiosk-shell.so", "--idle-time=0"])
            .args([format!("--socket={SOCKET}"), format!("--modules={}", module.display())])
            .args(sides)
            .args([format!("--config={}", config.display())])
            .env("XDG_RUNTIME_DIR", dir.path().to_str().unwrap())
            .env("TICKSCOPE_HAND", fifo.to_str().unwrap())
            .start();
        let mut weston = Self { program, orders, pictures: Cell::new(0), dir };
        wait_until("weston to listen", ANSWER_MAX, || {
            assert!(weston.program.is_running(), "weston ended.\n{:?}", weston.program);
            weston.dir.path().join(SOCKET).exists()
        });
        weston
    }

    /// Sets the environment of a program so that it opens its window on this compositor.
    pub fn launch(&self, program: Launch) -> Launch {
        program.env("XDG_RUNTIME_DIR", self.dir.path().to_str().unwrap()).env("WAYLAND_DISPLAY", SOCKET)
    }

    fn order(&self, order: &str) {
        // A single write, which a FIFO transfers atomically.
        (&self.orders).write_all(format!("{order}\n").as_bytes()).unwrap();
    }

    /// Presses and releases a key.
    pub fn key(&self, code: u32) {
        self.key_with(&[], code);
    }

    /// Presses and releases a key while others are held.
    pub fn key_with(&self, held: &[u32], code: u32) {
        self.hold(held, || {
            self.order(&format!("key {code} 1"));
            thread::sleep(HOLD);
            self.order(&format!("key {code} 0"));
        });
    }

    /// Runs `act` while keys are held.
    pub fn hold(&self, held: &[u32], act: impl FnOnce()) {
        for code in held {
            self.order(&format!("key {code} 1"));
        }
        thread::sleep(HOLD);
        act();
        thread::sleep(HOLD);
        for code in held {
            self.order(&format!("key {code} 0"));
        }
        thread::sleep(HOLD);
    }

    /// Moves the mouse to a pixel.
    pub fn move_mouse(&self, (x, y): (i32, i32)) {
        self.order(&format!("move {x} {y}"));
        thread::sleep(HOLD);
    }

    /// Presses a button at the position of the mouse.
    pub fn press(&self, button: u32) {
        self.order(&format!("button {button} 1"));
    }

    /// Releases a button.
    pub fn release(&self, button: u32) {
        self.order(&format!("button {button} 0"));
    }

    /// Turns the wheel by one notch at a pixel, away from the user or towards them.
    pub fn wheel(&self, at: (i32, i32), away: bool) {
        self.move_mouse(at);
        self.order(if away { "wheel 1" } else { "wheel -1" });
        thread::sleep(HOLD);
    }

    /// Returns the current screen.
    pub fn picture(&self) -> Picture {
        let number = self.pictures.replace(self.pictures.get() + 1);
        let path = self.dir.path().join(format!("screen-{number}.wcap"));
        self.order(&format!("record {}", path.display()));
        let picture = poll(ANSWER_MAX, || first_frame(&fs::read(&path).ok()?));
        self.order("stop");
        let _ = fs::remove_file(&path);
        picture.unwrap_or_else(|| panic!("weston recorded nothing.\n{:?}", self.program))
    }

    /// Returns the first picture that `wanted` accepts. After `limit`, panics with `what` and saves the last picture as
    /// a PNG file in the directory of the test executables.
    pub fn picture_when(&self, what: &str, limit: Duration, mut wanted: impl FnMut(&Picture) -> bool) -> Picture {
        poll(limit, || Some(self.picture()).filter(&mut wanted)).unwrap_or_else(|| {
            let name: String = what.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("wayland-{name}.png"));
            self.picture().save(&path);
            panic!("waited {limit:?} in vain for {what}; the last picture is {}", path.display())
        })
    }
}

/// Compiles the module against the installed libweston.
fn compile_hand(dir: &Path) -> PathBuf {
    let headers = fs::read_dir("/usr/include").into_iter().flatten().flatten().map(|entry| entry.path());
    let libweston = headers.filter(|path| path.to_string_lossy().contains("/libweston-")).max();
    let libweston = libweston.unwrap_or_else(|| panic!("libweston has no headers here: run `scripts/test install`"));
    let module = dir.join("hand.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/weston/hand.c");
    Launch::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-O1", "-o"])
        .args([&module, &source])
        .args([format!("-I{}", libweston.display()), "-I/usr/include/pixman-1".to_owned()])
        .run(ANSWER_MAX)
        .expect_code(0);
    module
}

/// Decodes the first frame of a weston recording (wcap), which contains the whole screen; `None` while it is
/// incomplete.
///
/// The file header is a magic number, a pixel format, width and height. The frame header is a time, the number of
/// rectangles, and the rectangles as left, top, right, bottom. The pixels of each rectangle follow, bottom row first,
/// as runs: a difference to add to red, green and blue, and the run length in the highest byte.
fn first_frame(bytes: &[u8]) -> Option<Picture> {
    let word = |i: usize| bytes.get(4 * i..4 * i + 4).map(|four| u32::from_le_bytes(four.try_into().unwrap()));
    let (width, height, rectangles) = (word(2)? as usize, word(3)? as usize, word(5)? as usize);
    assert_eq!(word(0)?, 0x5743_4150, "a recording of another kind");
    let mut pixels = vec![0; width * height];
    let mut at = 6 + 4 * rectangles;
    for rectangle in 0..rectangles {
        let side = |i: usize| word(6 + 4 * rectangle + i).map(|side| side as usize);
        let (left, top, right, bottom) = (side(0)?, side(1)?, side(2)?, side(3)?);
        let mut places = (top..bottom).rev().flat_map(|y| (left..right).map(move |x| y * width + x));
        let mut left = (right - left) * (bottom - top);
        while left > 0 {
            let run = word(at)?;
            at += 1;
            let length = run >> 24;
            let times = if length < 0xe0 { length as usize + 1 } else { 1 << (length - 0xe0 + 7) };
            for place in places.by_ref().take(times) {
                let sum = |shift: u32| ((pixels[place] >> shift) + (run >> shift)) & 0xff;
                pixels[place] = sum(16) << 16 | sum(8) << 8 | sum(0);
            }
            left = left.saturating_sub(times);
        }
    }
    Some(Picture { width, height, pixels })
}
