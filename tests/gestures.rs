//! What a hand does at the keyboard and mouse of a display, and what the window makes of it: the tests' hand against
//! `tickscope::window` alone, without the program around it.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "the modules of a test program are its own")]

mod support {
    pub mod process;
    pub mod wait;
    pub mod x11;
    pub mod xvfb;
}

use std::io::Write;
use std::time::Duration;

use support::process::{Launch, Running};
use support::wait::{poll, wait_until};
use support::xvfb::{Button as Hand, Window as Target, Xvfb};
use tickscope::view::{Button, Input, Key, Modifiers};
use tickscope::window::Window;

const LIMIT: Duration = Duration::from_secs(20);
const TITLE: &str = "gestures";
const SIZE: (u32, u32) = (400, 300);

/// Set for the process that has the window. Its display is a variable of the environment, which a test must not change
/// for itself: so it starts itself again.
const ROLE: &str = "TICKSCOPE_GESTURES_WINDOW";

const SHIFT: Modifiers = Modifiers { shift: true, ctrl: false };
const CTRL: Modifiers = Modifiers { shift: false, ctrl: true };

/// Opens a window and prints what it tells, an input a line, until it is closed.
fn be_the_window() {
    let mut window = Window::open(TITLE, SIZE.0, SIZE.1, 1.0).unwrap();
    let pixels = vec![0x0020_4060; (SIZE.0 * SIZE.1) as usize];
    let mut open = true;
    while open {
        window
            .present(&pixels, SIZE.0, SIZE.1, |input| {
                writeln!(std::io::stdout(), "{input:?}").unwrap();
                open = input != Input::Closed;
            })
            .unwrap();
        std::thread::sleep(Duration::from_millis(16));
    }
}

/// A window under the hand.
struct Bench {
    program: Running,
    display: Xvfb,
    window: Target,
    read: usize,
}

impl Bench {
    fn open() -> Self {
        let display = Xvfb::start(SIZE.0 + 40, SIZE.1 + 40);
        let itself = std::env::current_exe().unwrap();
        let test = "the_hand_reaches_the_window";
        let launch = Launch::new(itself).args(["--exact", test, "--nocapture"]).env(ROLE, "1");
        let program = launch.env("DISPLAY", &display.display()).start();
        let window = display.find_window(TITLE, LIMIT);
        display.focus(window);
        Self { program, display, window, read: 0 }
    }

    /// What has been told since the last call, mere moves of the mouse aside, once `enough` says so of it.
    #[track_caller]
    fn told_when(&mut self, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        // Which sign nothing has depends on the window system.
        let told = |text: &str| -> Vec<String> {
            text.replace(": -0.0", ": 0.0")
                .lines()
                .filter(|line| !line.starts_with("Moved"))
                .map(str::to_owned)
                .collect()
        };
        let found = poll(LIMIT, || {
            let text = self.program.stdout()[self.read..].to_owned();
            (text.ends_with('\n') && enough(&told(&text))).then_some(text)
        });
        let text = found.unwrap_or_else(|| panic!("waited in vain; told: {:?}", &self.program.stdout()[self.read..]));
        self.read += text.len();
        told(&text)
    }

    /// These inputs come, in this order, and no others but moves.
    #[track_caller]
    fn expect(&mut self, inputs: &[Input]) {
        let told = self.told_when(|lines| lines.len() >= inputs.len());
        assert_eq!(told, inputs.iter().map(|input| format!("{input:?}")).collect::<Vec<_>>());
    }
}

fn key(key: Key, held: Modifiers) -> Input {
    Input::Key { key, repeat: false, held }
}

fn pressed((x, y): (i32, i32), button: Button, held: Modifiers, clicks: u8) -> Input {
    Input::Pressed { x: x.into(), y: y.into(), button, held, clicks }
}

fn released((x, y): (i32, i32), button: Button) -> Input {
    Input::Released { x: x.into(), y: y.into(), button }
}

#[test]
fn the_hand_reaches_the_window() {
    if std::env::var_os(ROLE).is_some() {
        return be_the_window();
    }
    let mut bench = Bench::open();
    let (here, there) = ((120, 80), (180, 140));
    bench.display.move_mouse(bench.window, here);
    // The test runner's own lines come before.
    wait_until("the window to see the mouse", LIMIT, || bench.program.stdout().contains("Moved"));
    bench.told_when(|_| true);

    bench.display.key("g");
    bench.expect(&[key(Key::Letter('g'), Modifiers::NONE), Input::Text('g')]);
    bench.display.key_with(&["shift"], "g");
    bench.expect(&[key(Key::Letter('g'), SHIFT), Input::Text('G')]);
    bench.display.key_with(&["ctrl"], "z");
    bench.expect(&[key(Key::Letter('z'), CTRL)]);
    bench.display.key_with(&["shift", "ctrl"], "Left");
    bench.expect(&[key(Key::Left, Modifiers { shift: true, ctrl: true })]);
    bench.display.type_text("Sp7");
    let typed = bench.told_when(|lines| lines.iter().any(|line| line == "Text('7')"));
    let texts: Vec<&String> = typed.iter().filter(|line| line.starts_with("Text")).collect();
    assert_eq!(texts, ["Text('S')", "Text('p')", "Text('7')"], "{typed:?}");

    let wheel = |up: f64, held| Input::Wheel { x: 120.0, y: 80.0, up, right: 0.0, held };
    bench.display.wheel(bench.window, here, 1);
    bench.expect(&[wheel(1.0, Modifiers::NONE)]);
    bench.display.hold(&["shift"], || bench.display.wheel(bench.window, here, -1));
    bench.expect(&[wheel(-1.0, SHIFT)]);

    bench.display.drag(bench.window, here, there);
    bench.expect(&[pressed(here, Button::Left, Modifiers::NONE, 1), released(there, Button::Left)]);
    bench.display.hold(&["shift"], || bench.display.drag(bench.window, here, there));
    bench.expect(&[pressed(here, Button::Left, SHIFT, 1), released(there, Button::Left)]);
    bench.display.hold(&["ctrl"], || bench.display.drag(bench.window, there, here));
    bench.expect(&[pressed(there, Button::Left, CTRL, 1), released(here, Button::Left)]);
    bench.display.drag_with(bench.window, Hand::Right, here, there);
    bench.expect(&[pressed(here, Button::Right, Modifiers::NONE, 1), released(there, Button::Right)]);

    bench.display.click_with(bench.window, Hand::Right, here);
    bench.expect(&[pressed(here, Button::Right, Modifiers::NONE, 1), released(here, Button::Right)]);
    bench.display.double_click(bench.window, there);
    let down = |clicks| pressed(there, Button::Left, Modifiers::NONE, clicks);
    let up = released(there, Button::Left);
    bench.expect(&[down(1), up, down(2), up]);
    for _ in 0..2 {
        bench.display.click(bench.window, here);
        bench.expect(&[pressed(here, Button::Left, Modifiers::NONE, 1), released(here, Button::Left)]);
    }

    bench.display.close(bench.window);
    bench.expect(&[Input::Closed]);
    bench.program.wait(LIMIT).expect_code(0);
}
