//! Process that opens a `tickscope::window` without the rest of the program and prints each input that it reports.
//!
//! The display is an environment variable, which a test must not change in its own process. A test therefore starts its
//! own executable again, with [`ROLE`] set, and opens the window there.

use std::io::Write;
use std::time::Duration;

use tickscope::chart::{Button, Input, Key, Modifiers};
use tickscope::window::Window;

use super::process::{Launch, Running};
use super::pulse::Pulse;
use super::wait::{poll, wait_until};

/// Title of the window.
pub const TITLE: &str = "gestures";

/// Size of the window.
pub const SIZE: (u32, u32) = (400, 300);

const LIMIT: Duration = super::wait::GUARD;

const ROLE: &str = "TICKSCOPE_GESTURES_WINDOW";

/// Returns `true` if this process was started to open the window.
pub fn is_the_window() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// Opens a window and prints its inputs, one per line, until it is closed.
pub fn be_the_window() {
    let mut window = Window::open(TITLE, SIZE.0, SIZE.1, 1.0).unwrap();
    let pixels = vec![0x0020_4060; (SIZE.0 * SIZE.1) as usize];
    let mut open = true;
    while open {
        let each = |input| {
            std::io::stdout().write_all(format!("{input:?}\n").as_bytes()).unwrap();
            open = input != Input::Closed;
        };
        window.present(&pixels, SIZE.0, SIZE.1, each).unwrap();
        std::thread::sleep(Duration::from_millis(16));
    }
}

/// Process with the window.
pub struct WindowProgram {
    program: Running,
    /// Name of the test that opens the window, and therefore of the polling thread.
    test: String,
    /// Number of bytes of its output that have been read.
    read: usize,
}

impl WindowProgram {
    /// Starts this test executable again, as given by `itself`, with the test of this name.
    pub fn start(itself: Launch, test: &str) -> Self {
        let program = itself.args(["--exact", test, "--nocapture"]).env(ROLE, "1").start();
        Self { program, test: test.to_owned(), read: 0 }
    }

    /// Pulse of the polling thread.
    pub fn pulse(&self) -> Pulse {
        Pulse::of_thread(self.program.id(), &self.test)
    }

    /// Waits until the window has reported the mouse. Discards earlier output, such as the lines of the test runner.
    pub fn wait_for_mouse(&mut self) {
        wait_until("the window to see the mouse", LIMIT, || self.program.stdout().contains("Moved"));
        self.told_when(|_| true);
    }

    /// Waits until the window has reported the mouse at a position.
    #[track_caller]
    pub fn wait_for_place(&mut self, (x, y): (i32, i32)) {
        let moved = format!("{:?}", Input::Moved { x: x.into(), y: y.into() });
        wait_until("the mouse in its place", LIMIT, || {
            let told = self.program.stdout();
            told.lines().rfind(|line| line.starts_with("Moved")) == Some(&moved)
        });
    }

    /// Waits until `enough` accepts the inputs reported since the last call, and returns them. Mouse moves and size
    /// changes are left out.
    #[track_caller]
    pub fn told_when(&mut self, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        let told = |text: &str| -> Vec<String> {
            // Mouse moves, size changes, and the test runner's message about slow tests.
            let aside = |line: &&str| !["Moved", "Resized", "test "].iter().any(|start| line.starts_with(start));
            // The sign of zero depends on the window system.
            text.replace(": -0.0", ": 0.0").lines().filter(aside).map(str::to_owned).collect()
        };
        let found = poll(LIMIT, || {
            let text = self.program.stdout()[self.read..].to_owned();
            (text.ends_with('\n') && enough(&told(&text))).then_some(text)
        });
        let text = found.unwrap_or_else(|| panic!("waited in vain; told: {:?}", &self.program.stdout()[self.read..]));
        self.read += text.len();
        told(&text)
    }

    /// Asserts that exactly these inputs arrive, in this order. Moves are ignored.
    #[track_caller]
    pub fn expect(&mut self, inputs: &[Input]) {
        let told = self.told_when(|lines| lines.len() >= inputs.len());
        assert_eq!(told, said(inputs));
    }

    /// Asserts that exactly these inputs arrive, in any order. Moves are ignored.
    #[track_caller]
    pub fn expect_all(&mut self, inputs: &[Input]) {
        let mut told = self.told_when(|lines| lines.len() >= inputs.len());
        let mut expected = said(inputs);
        told.sort();
        expected.sort();
        assert_eq!(told, expected);
    }

    /// Asserts that the wheel turned by this number of notches in total at a position, and that nothing else arrived.
    /// X11 reports a notch as two halves, which may arrive separately.
    #[track_caller]
    pub fn expect_wheel(&mut self, (x, y): (i32, i32), up: f64, held: Modifiers) {
        let part = |line: &String| -> f64 {
            let (_, rest) = line.split_once(" up: ").unwrap_or_else(|| panic!("no turn of the wheel: {line}"));
            rest.split_once(',').unwrap().0.parse().unwrap()
        };
        let told = self.told_when(|lines| lines.iter().map(part).sum::<f64>().abs() >= up.abs());
        assert_eq!(told.iter().map(part).sum::<f64>(), up, "{told:?}");
        for line in &told {
            let expected = Input::Wheel { x: x.into(), y: y.into(), up: part(line), right: 0.0, held };
            assert_eq!(*line, format!("{expected:?}"));
        }
    }

    /// Waits until the process exits; it must succeed.
    pub fn wait(self) {
        self.program.wait(LIMIT).expect_code(0);
    }

    /// Terminates the process.
    pub fn stop(self) {
        self.program.stop("TERM", LIMIT);
    }
}

/// Lines that the window's process prints for these inputs.
pub fn said(inputs: &[Input]) -> Vec<String> {
    inputs.iter().map(|input| format!("{input:?}")).collect()
}

/// Input of a pressed key.
pub fn key(key: Key, held: Modifiers) -> Input {
    Input::Key { key, repeat: false, held }
}

/// Input of a pressed button.
pub fn pressed((x, y): (i32, i32), button: Button, held: Modifiers, clicks: u8) -> Input {
    Input::Pressed { x: x.into(), y: y.into(), button, held, clicks }
}

/// Input of a released button.
pub fn released((x, y): (i32, i32), button: Button) -> Input {
    Input::Released { x: x.into(), y: y.into(), button }
}
