//! The native window: input out, pixels in. The only module that knows minifb.
//!
//! minifb polls: what a mouse button does and undoes between two polls is not seen, while key presses are delivered
//! one by one. On X11 it ignores Expose, so whoever draws must present now and then even if nothing changed.

mod scale;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use minifb::{HasWindowHandle, InputCallback, MouseButton, MouseMode, ScaleMode, WindowOptions};
use raw_window_handle::RawWindowHandle;
use thiserror::Error;

use crate::chart::{Button, Input, Key, Modifiers};
pub use scale::{X11Display, display_factor};

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

/// Two presses of a button within this time, and within [`AGAIN_PX`], are a double-click.
const AGAIN: Duration = Duration::from_millis(400);

/// See [`AGAIN`].
const AGAIN_PX: f32 = 4.0;

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

/// What came from the keyboard.
#[derive(Debug, Clone, Copy)]
enum Stroke {
    /// The key, whether it repeats, and what was held when it went down: at the next poll it may be held no more.
    Key(Key, bool, Modifiers),
    Text(char),
}

/// What came from the keyboard since the last poll. minifb wants to own its callback, hence the shared handle; both
/// ends are on the window's own thread, so the lock is never contended.
type KeyQueue = Arc<Mutex<Vec<Stroke>>>;

struct Keys {
    queue: KeyQueue,
    held: Vec<minifb::Key>,
}

impl Keys {
    fn key(&self, key: Key, repeat: bool) {
        let down = |keys: [minifb::Key; 2]| keys.iter().any(|key| self.held.contains(key));
        self.push(Stroke::Key(key, repeat, modifiers(down)));
    }

    fn push(&self, stroke: Stroke) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() < KEYS_QUEUED_MAX {
            queue.push(stroke);
        }
    }
}

impl InputCallback for Keys {
    fn add_char(&mut self, code: u32) {
        let Some(c) = char::from_u32(code).filter(|c| !c.is_control()) else { return };
        // Where these characters sit differs between keyboards, so they are taken as text and not as keys.
        match c {
            '+' | '=' => self.key(Key::Plus, false),
            '-' | '_' => self.key(Key::Minus, false),
            '/' | '[' | ']' | ',' | '.' | '?' => self.key(Key::Mark(c), false),
            _ => {}
        }
        self.push(Stroke::Text(c));
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
            self.key(key, repeat);
        }
    }
}

/// Which of the keys that change others are down.
fn modifiers(down: impl Fn([minifb::Key; 2]) -> bool) -> Modifiers {
    Modifiers {
        shift: down([minifb::Key::LeftShift, minifb::Key::RightShift]),
        ctrl: down([minifb::Key::LeftCtrl, minifb::Key::RightCtrl]),
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
        K::Tab => Key::Tab,
        K::Backspace => Key::Backspace,
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
    /// Which button is down.
    pressed: Option<Button>,
    last_press: Option<Press>,
    /// Pixels of the window for each of the layout that inputs are told in.
    factor: f32,
}

/// The last press of a button: the next one may make it a double-click.
#[derive(Debug, Clone, Copy)]
struct Press {
    at: Instant,
    place: (f32, f32),
    button: Button,
    clicks: u8,
}

impl Window {
    /// Opens a resizable window whose inside is `width` x `height` pixels. Places are told divided by `factor`.
    pub fn open(title: &str, width: u32, height: u32, factor: f64) -> Result<Self, WindowError> {
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
        Ok(Self { inner, keys, notch, size, mouse: None, pressed: None, last_press: None, factor: factor as f32 })
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
        let strokes = std::mem::take(&mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner));
        for stroke in strokes {
            each(match stroke {
                Stroke::Key(key, repeat, held) => Input::Key { key, repeat, held },
                Stroke::Text(c) => Input::Text(c),
            });
        }
    }

    fn held(&self) -> Modifiers {
        modifiers(|keys| keys.into_iter().any(|key| self.inner.is_key_down(key)))
    }

    /// Where the mouse is, as far as is known; outside the frame where it is not.
    fn place(&self) -> (f64, f64) {
        self.mouse.map_or((-1.0, -1.0), |(x, y)| ((x / self.factor).into(), (y / self.factor).into()))
    }

    fn collect_mouse(&mut self, each: &mut impl FnMut(Input)) {
        let is_down = |button| {
            self.inner.get_mouse_down(match button {
                Button::Left => MouseButton::Left,
                Button::Right => MouseButton::Right,
            })
        };
        // A second button changes nothing about what the first one does.
        let down = match self.pressed {
            Some(button) => Some(button).filter(|button| is_down(*button)),
            None => [Button::Left, Button::Right].into_iter().find(|button| is_down(*button)),
        };
        if let Some(button) = self.pressed.filter(|_| down.is_none()) {
            // It came up somewhere between the last place and this one. The last one it is: a hand that clicks and
            // moves on at once has clicked, not dragged.
            self.pressed = None;
            let (x, y) = self.place();
            each(Input::Released { x, y, button });
        }
        // While a button is held, the pointer may leave the window and is still followed.
        let mode = if down.is_some() { MouseMode::Pass } else { MouseMode::Discard };
        let mouse = self.inner.get_mouse_pos(mode);
        if mouse != self.mouse {
            self.mouse = mouse.or(self.mouse.filter(|_| down.is_some()));
            let (x, y) = self.place();
            if mouse.is_some() {
                each(Input::Moved { x, y });
            } else {
                self.mouse = None;
                each(Input::Left);
            }
        }
        if let Some(button) = down.filter(|_| self.pressed.is_none()) {
            self.pressed = Some(button);
            let ((x, y), held, clicks) = (self.place(), self.held(), self.count_click(button, Instant::now()));
            each(Input::Pressed { x, y, button, held, clicks });
        }
        if let Some((right, up)) = self.inner.get_scroll_wheel() {
            let notches = |reported: f32, notch: f32| f64::from(reported / notch).clamp(-NOTCHES_MAX, NOTCHES_MAX);
            let ((x, y), held) = (self.place(), self.held());
            each(Input::Wheel { x, y, up: notches(up, self.notch.1), right: notches(right, self.notch.0), held });
        }
    }

    /// How many times the button went down here in quick succession.
    fn count_click(&mut self, button: Button, now: Instant) -> u8 {
        let place = self.mouse.unwrap_or_default();
        let is_again = |last: &Press| {
            let off = (place.0 - last.place.0).hypot(place.1 - last.place.1);
            last.button == button && now.duration_since(last.at) <= AGAIN && off <= AGAIN_PX * self.factor
        };
        let clicks = self.last_press.filter(is_again).map_or(1, |last| last.clicks.saturating_add(1));
        self.last_press = Some(Press { at: now, place, button, clicks });
        clicks
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
