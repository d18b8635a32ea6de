//! The native window: input out, pixels in. The only module that knows minifb.
//!
//! minifb polls: what a mouse button does and undoes between two polls is not seen, while key presses are delivered
//! one by one. On X11 it ignores Expose, so whoever draws must present now and then even if nothing changed.

use std::sync::{Arc, Mutex, PoisonError};

use minifb::{HasWindowHandle, InputCallback, MouseButton, MouseMode, ScaleMode, WindowOptions};
use raw_window_handle::RawWindowHandle;
use thiserror::Error;

/// Key presses kept between two polls. Nobody types faster; what exceeds it is dropped.
const KEYS_QUEUED_MAX: usize = 64;

/// What minifb 0.29 reports for one notch of the wheel to the right and up, by window system. On X11 it counts a notch
/// when the button goes down and again when it goes up, and takes the left button for the right one; from Wayland it
/// passes on pixels, 10 to 15 of them, downwards; from Windows a tenth of 120 units.
const NOTCH_X11: (f32, f32) = (-2.0, 2.0);
const NOTCH_WAYLAND: (f32, f32) = (10.0, -10.0);
const NOTCH_WINDOWS: (f32, f32) = (12.0, 12.0);
const NOTCH_ELSEWHERE: (f32, f32) = (1.0, 1.0);

/// Most notches between two polls that are believed: a flung touchpad must not throw the view to the end of time.
const NOTCHES_MAX: f64 = 5.0;

/// Why there is no window.
#[derive(Debug, Error)]
pub enum WindowError {
    /// No display, or none that can be used.
    #[error(
        "no window can be opened: {cause}. Run it where there is a desktop (DISPLAY or WAYLAND_DISPLAY is set), \
         or draw without a window: consumer --headless --for 30s --snapshot chart.png"
    )]
    NoDisplay {
        /// The window system's own words.
        cause: String,
    },
    /// The display went away or refuses the pixels.
    #[error("the window cannot be drawn any more: {cause}")]
    Lost {
        /// The window system's own words.
        cause: String,
    },
}

/// A key, by what it says on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// A letter, lower case.
    Letter(char),
    /// A digit of the main row or the number pad.
    Digit(u8),
    /// Space bar.
    Space,
    /// Escape.
    Escape,
    /// Return or Enter.
    Enter,
    /// Cursor keys.
    Left,
    /// Cursor keys.
    Right,
    /// Cursor keys.
    Up,
    /// Cursor keys.
    Down,
    /// First function key.
    F1,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// `+`, wherever the layout has it.
    Plus,
    /// `-`, wherever the layout has it.
    Minus,
    /// `?`, wherever the layout has it.
    Question,
}

/// Something the user did. Positions are in pixels of the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Input {
    /// A key went down, or repeats because it is held.
    Key {
        /// Which.
        key: Key,
        /// Whether it repeats.
        repeat: bool,
    },
    /// The mouse moved.
    Moved {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
    },
    /// The mouse left the window.
    Left,
    /// The left button went down.
    Pressed {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
    },
    /// The left button went up.
    Released {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
    },
    /// The wheel turned, by notches; positive `up` is away from the user, positive `right` to the right.
    Wheel {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
        /// Notches.
        up: f64,
        /// Notches.
        right: f64,
    },
    /// The window has a new size, in pixels.
    Resized {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The user closed the window.
    Closed,
}

/// Key presses since the last poll. minifb wants to own its callback, hence the shared handle; both ends are on the
/// window's own thread, so the lock is never contended.
type KeyQueue = Arc<Mutex<Vec<(Key, bool)>>>;

struct Keys {
    queue: KeyQueue,
    held: Vec<minifb::Key>,
}

impl Keys {
    fn push(&self, key: Key, repeat: bool) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() < KEYS_QUEUED_MAX {
            queue.push((key, repeat));
        }
    }
}

impl InputCallback for Keys {
    fn add_char(&mut self, code: u32) {
        // Where these characters sit differs between keyboards, so they are taken as text and not as keys.
        match char::from_u32(code) {
            Some('+' | '=') => self.push(Key::Plus, false),
            Some('-' | '_') => self.push(Key::Minus, false),
            Some('?') => self.push(Key::Question, false),
            _ => {}
        }
    }

    fn set_key_state(&mut self, key: minifb::Key, down: bool) {
        let repeat = self.held.contains(&key);
        if !down {
            self.held.retain(|held| *held != key);
            return;
        }
        if !repeat {
            self.held.push(key);
        }
        if let Some(key) = translate(key) {
            self.push(key, repeat);
        }
    }
}

fn translate(key: minifb::Key) -> Option<Key> {
    use minifb::Key as K;
    const LETTERS: [(K, char); 26] = [
        (K::A, 'a'),
        (K::B, 'b'),
        (K::C, 'c'),
        (K::D, 'd'),
        (K::E, 'e'),
        (K::F, 'f'),
        (K::G, 'g'),
        (K::H, 'h'),
        (K::I, 'i'),
        (K::J, 'j'),
        (K::K, 'k'),
        (K::L, 'l'),
        (K::M, 'm'),
        (K::N, 'n'),
        (K::O, 'o'),
        (K::P, 'p'),
        (K::Q, 'q'),
        (K::R, 'r'),
        (K::S, 's'),
        (K::T, 't'),
        (K::U, 'u'),
        (K::V, 'v'),
        (K::W, 'w'),
        (K::X, 'x'),
        (K::Y, 'y'),
        (K::Z, 'z'),
    ];
    const DIGITS: [[K; 2]; 10] = [
        [K::Key0, K::NumPad0],
        [K::Key1, K::NumPad1],
        [K::Key2, K::NumPad2],
        [K::Key3, K::NumPad3],
        [K::Key4, K::NumPad4],
        [K::Key5, K::NumPad5],
        [K::Key6, K::NumPad6],
        [K::Key7, K::NumPad7],
        [K::Key8, K::NumPad8],
        [K::Key9, K::NumPad9],
    ];
    if let Some((_, letter)) = LETTERS.iter().find(|(code, _)| *code == key) {
        return Some(Key::Letter(*letter));
    }
    if let Some(digit) = DIGITS.iter().position(|codes| codes.contains(&key)) {
        return Some(Key::Digit(digit as u8));
    }
    Some(match key {
        K::Space => Key::Space,
        K::Escape => Key::Escape,
        K::Enter | K::NumPadEnter => Key::Enter,
        K::Left => Key::Left,
        K::Right => Key::Right,
        K::Up => Key::Up,
        K::Down => Key::Down,
        K::F1 => Key::F1,
        K::Home => Key::Home,
        K::End => Key::End,
        K::PageUp => Key::PageUp,
        K::PageDown => Key::PageDown,
        K::NumPadPlus => Key::Plus,
        K::NumPadMinus => Key::Minus,
        _ => return None,
    })
}

/// An open window. It must live on the process's main thread, because macOS demands it.
pub struct Window {
    inner: minifb::Window,
    keys: KeyQueue,
    /// What the window system reports for one notch of the wheel.
    notch: (f32, f32),
    size: (usize, usize),
    mouse: Option<(f32, f32)>,
    pressed: bool,
}

impl Window {
    /// Opens a resizable window whose inside is `width` x `height` pixels.
    pub fn open(title: &str, width: u32, height: u32) -> Result<Self, WindowError> {
        // Pixels are copied as they are. To stretch them costs more than to draw them, and only tells while the window
        // changes its size, which the next frame follows.
        let options = WindowOptions { resize: true, scale_mode: ScaleMode::UpperLeft, ..WindowOptions::default() };
        let opened = minifb::Window::new(title, width as usize, height as usize, options);
        let mut inner = opened.map_err(|error| WindowError::NoDisplay { cause: cause_of(&error) })?;
        // The caller decides when to draw; minifb's own pause would delay input.
        inner.set_target_fps(0);
        let keys = KeyQueue::default();
        inner.set_input_callback(Box::new(Keys { queue: Arc::clone(&keys), held: Vec::new() }));
        let size = (width as usize, height as usize);
        let notch = notch_of(&inner);
        Ok(Self { inner, keys, notch, size, mouse: None, pressed: false })
    }

    /// Columns and rows inside the window.
    pub fn size(&self) -> (u32, u32) {
        (self.size.0.max(1) as u32, self.size.1.max(1) as u32)
    }

    /// Whether the mouse was over the window at the last poll.
    pub fn has_mouse(&self) -> bool {
        self.mouse.is_some()
    }

    /// Hands over what the user did since the last poll.
    pub fn poll(&mut self, mut each: impl FnMut(Input)) {
        self.inner.update();
        self.collect(&mut each);
    }

    /// Shows `pixels` (0x00RRGGBB, row by row, `width` a row), then polls.
    pub fn present(
        &mut self,
        pixels: &[u32],
        width: u32,
        height: u32,
        mut each: impl FnMut(Input),
    ) -> Result<(), WindowError> {
        let shown = self.inner.update_with_buffer(pixels, width as usize, height as usize);
        shown.map_err(|error| WindowError::Lost { cause: cause_of(&error) })?;
        self.collect(&mut each);
        Ok(())
    }

    fn collect(&mut self, each: &mut impl FnMut(Input)) {
        if !self.inner.is_open() {
            each(Input::Closed);
            return;
        }
        let size = self.inner.get_size();
        if size != self.size && size.0 > 0 && size.1 > 0 {
            self.size = size;
            each(Input::Resized { width: size.0 as u32, height: size.1 as u32 });
        }
        self.collect_mouse(each);
        let pressed = std::mem::take(&mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner));
        for (key, repeat) in pressed {
            each(Input::Key { key, repeat });
        }
    }

    /// Where the mouse is, as far as is known; outside the frame where it is not.
    fn place(&self) -> (f64, f64) {
        self.mouse.map_or((-1.0, -1.0), |(x, y)| (x.into(), y.into()))
    }

    fn collect_mouse(&mut self, each: &mut impl FnMut(Input)) {
        let down = self.inner.get_mouse_down(MouseButton::Left);
        if self.pressed && !down {
            // It came up somewhere between the last place and this one. The last one it is: a hand that clicks and
            // moves on at once has clicked, not dragged.
            self.pressed = false;
            let (x, y) = self.place();
            each(Input::Released { x, y });
        }
        // While a button is held, the pointer may leave the window and is still followed.
        let mode = if down { MouseMode::Pass } else { MouseMode::Discard };
        let mouse = self.inner.get_mouse_pos(mode);
        if mouse != self.mouse {
            self.mouse = mouse.or(self.mouse.filter(|_| down));
            match mouse {
                Some((x, y)) => each(Input::Moved { x: x.into(), y: y.into() }),
                None => {
                    self.mouse = None;
                    each(Input::Left);
                }
            }
        }
        let (x, y) = self.place();
        if down && !self.pressed {
            self.pressed = true;
            each(Input::Pressed { x, y });
        }
        if let Some((right, up)) = self.inner.get_scroll_wheel() {
            let notches = |reported: f32, notch: f32| f64::from(reported / notch).clamp(-NOTCHES_MAX, NOTCHES_MAX);
            each(Input::Wheel { x, y, up: notches(up, self.notch.1), right: notches(right, self.notch.0) });
        }
    }
}

fn notch_of(window: &minifb::Window) -> (f32, f32) {
    match window.window_handle().map(|handle| handle.as_raw()) {
        Ok(RawWindowHandle::Xlib(_) | RawWindowHandle::Xcb(_)) => NOTCH_X11,
        Ok(RawWindowHandle::Wayland(_)) => NOTCH_WAYLAND,
        Ok(RawWindowHandle::Win32(_)) => NOTCH_WINDOWS,
        _ => NOTCH_ELSEWHERE,
    }
}

fn cause_of(error: &minifb::Error) -> String {
    let text = match error {
        minifb::Error::WindowCreate(cause) | minifb::Error::UpdateFailed(cause) => cause.clone(),
        other => other.to_string(),
    };
    crate::model::display_safe(text.trim().trim_end_matches('.')).into_owned()
}
