//! Native window: presents pixels and reports input. The only module that uses minifb.
//!
//! minifb polls the mouse, so a button that is pressed and released between two polls is missed. It delivers key
//! presses one by one. On X11 it ignores Expose events, so the caller has to present regularly even if nothing changed.
//!
//! # Examples
//!
//! ```
//! // Without a display, the factor is 1.
//! use tickscope::window::{X11Display, display_factor};
//! assert_eq!(display_factor(&X11Display::default()), 1.0);
//! ```

mod scale;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use minifb::{HasWindowHandle, InputCallback, MouseButton, MouseMode, ScaleMode, WindowOptions};
use raw_window_handle::RawWindowHandle;
use thiserror::Error;

use crate::chart::{Button, Input, Key, Modifiers};
pub use scale::{X11Display, display_factor};

/// Key presses that are kept between two polls: more than anyone types. Further ones are dropped.
const KEYS_QUEUED_MAX: usize = 64;

/// Values that minifb 0.29 reports for one notch of the wheel to the right and up, by window system. On X11 it counts a
/// notch at the press and at the release of the wheel's button, and exchanges left and right. From Wayland it passes on
/// 10 to 15 pixels, downwards, and from Windows a tenth of 120 units.
const NOTCH_X11: (f32, f32) = (-2.0, 2.0);
const NOTCH_WAYLAND: (f32, f32) = (10.0, -10.0);
const NOTCH_WINDOWS: (f32, f32) = (12.0, 12.0);
const NOTCH_ELSEWHERE: (f32, f32) = (1.0, 1.0);

/// Most notches between two polls, so that a flick on a touchpad does not move the view too far.
const NOTCHES_MAX: f64 = 5.0;

/// Time between the two presses of a double-click.
const DOUBLE_CLICK_TIME: Duration = Duration::from_millis(400);

/// Distance between the two presses of a double-click, in pixels of the layout.
const DOUBLE_CLICK_PX: f32 = 4.0;

/// Error of the window.
#[derive(Debug, Error)]
pub enum WindowError {
    /// There is no usable display.
    #[error(
        "no window can be opened: {cause}. Run it where there is a desktop (DISPLAY or WAYLAND_DISPLAY is set), \
         or draw without a window: consumer --headless --for 30s --snapshot chart.png"
    )]
    NoDisplay {
        /// Message of the window system.
        cause: String,
    },
    /// The display was closed or refuses the pixels.
    #[error("the window cannot be drawn any more: {cause}")]
    Lost {
        /// Message of the window system.
        cause: String,
    },
}

/// Keyboard input since the last poll. minifb owns its callback, hence the shared handle. Both ends are on the window's
/// thread, so the lock is never contended.
type KeyQueue = Arc<Mutex<Vec<Input>>>;

struct Keys {
    queue: KeyQueue,
    held: Vec<minifb::Key>,
}

impl Keys {
    fn key(&self, key: Key, repeat: bool) {
        let down = |keys: [minifb::Key; 2]| keys.iter().any(|key| self.held.contains(key));
        // The modifiers at the press, which may be released before the next poll.
        self.push(Input::Key { key, repeat, held: modifiers(down) });
    }

    fn push(&self, input: Input) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() < KEYS_QUEUED_MAX {
            queue.push(input);
        }
    }
}

impl InputCallback for Keys {
    fn add_char(&mut self, code: u32) {
        let Some(c) = char::from_u32(code).filter(|c| !c.is_control()) else { return };
        // The keys of these characters differ between keyboards, so they are recognized by their text.
        match c {
            '+' | '=' => self.key(Key::Plus, false),
            '-' | '_' => self.key(Key::Minus, false),
            '/' | '[' | ']' | ',' | '.' | '?' => self.key(Key::Mark(c), false),
            _ => {}
        }
        self.push(Input::Text(c));
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

/// Returns the modifiers that are down.
fn modifiers(down: impl Fn([minifb::Key; 2]) -> bool) -> Modifiers {
    Modifiers {
        shift: down([minifb::Key::LeftShift, minifb::Key::RightShift]),
        ctrl: down([minifb::Key::LeftCtrl, minifb::Key::RightCtrl]),
    }
}

fn translate(key: minifb::Key) -> Option<Key> {
    use minifb::Key as K;
    let offset = |first: K, last: K| (first as u8..=last as u8).contains(&(key as u8)).then(|| key as u8 - first as u8);
    if let Some(letter) = offset(K::A, K::Z) {
        return Some(Key::Letter(char::from(b'a' + letter)));
    }
    if let Some(digit) = offset(K::Key0, K::Key9).or_else(|| offset(K::NumPad0, K::NumPad9)) {
        return Some(Key::Digit(digit));
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

/// An open window. It must stay on the process's main thread, as macOS requires.
pub struct Window {
    inner: minifb::Window,
    keys: KeyQueue,
    /// Values that minifb reports for one notch of the wheel.
    notch: (f32, f32),
    size: (usize, usize),
    mouse: Option<(f32, f32)>,
    /// Button that is down.
    pressed: Option<Button>,
    last_press: Option<Press>,
    /// Pixels of the window for each pixel of the layout.
    factor: f32,
}

/// Last press of a button, to detect double-clicks.
#[derive(Debug, Clone, Copy)]
struct Press {
    at: Instant,
    position: (f32, f32),
    button: Button,
    clicks: u8,
}

impl Window {
    /// Opens a resizable window with an inner size of `width` x `height` pixels. Positions of input are divided by
    /// `factor`.
    ///
    /// # Errors
    ///
    /// Fails if there is no usable display.
    pub fn open(title: &str, width: u32, height: u32, factor: f64) -> Result<Self, WindowError> {
        // Pixels are copied without scaling, which would take longer than drawing. It would only show while the window
        // is resized, until the next frame.
        let options = WindowOptions { resize: true, scale_mode: ScaleMode::UpperLeft, ..WindowOptions::default() };
        let opened = minifb::Window::new(title, width as usize, height as usize, options);
        let mut inner = opened.map_err(|error| WindowError::NoDisplay { cause: cause_of(&error) })?;
        // The caller decides when to draw. minifb's pause would delay input.
        inner.set_target_fps(0);
        let keys = KeyQueue::default();
        inner.set_input_callback(Box::new(Keys { queue: Arc::clone(&keys), held: Vec::new() }));
        let size = (width as usize, height as usize);
        let notch = notch_of(&inner);
        Ok(Self { inner, keys, notch, size, mouse: None, pressed: None, last_press: None, factor: factor as f32 })
    }

    /// Returns the inner width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.size.0.max(1) as u32, self.size.1.max(1) as u32)
    }

    /// Returns whether the mouse was over the window at the last poll.
    pub fn has_mouse(&self) -> bool {
        self.mouse.is_some()
    }

    /// Calls `on_input` for the input since the last poll.
    pub fn poll(&mut self, mut on_input: impl FnMut(Input)) {
        self.inner.update();
        self.collect(&mut on_input);
    }

    /// Presents `pixels` (0x00RRGGBB, in rows of `width`), then polls.
    ///
    /// # Errors
    ///
    /// Fails if the display was closed or refuses the pixels.
    pub fn present(
        &mut self,
        pixels: &[u32],
        width: u32,
        height: u32,
        mut on_input: impl FnMut(Input),
    ) -> Result<(), WindowError> {
        let updated = self.inner.update_with_buffer(pixels, width as usize, height as usize);
        updated.map_err(|error| WindowError::Lost { cause: cause_of(&error) })?;
        self.collect(&mut on_input);
        Ok(())
    }

    fn collect(&mut self, on_input: &mut impl FnMut(Input)) {
        if !self.inner.is_open() {
            on_input(Input::Closed);
            return;
        }
        let size = self.inner.get_size();
        if size != self.size && size.0 > 0 && size.1 > 0 {
            self.size = size;
            on_input(Input::Resized { width: size.0 as u32, height: size.1 as u32 });
        }
        self.collect_mouse(on_input);
        let inputs = std::mem::take(&mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner));
        inputs.into_iter().for_each(on_input);
    }

    fn held(&self) -> Modifiers {
        modifiers(|keys| keys.into_iter().any(|key| self.inner.is_key_down(key)))
    }

    /// Returns the last known position of the mouse, outside of the frame if there is none.
    fn position(&self) -> (f64, f64) {
        self.mouse.map_or((-1.0, -1.0), |(x, y)| ((x / self.factor).into(), (y / self.factor).into()))
    }

    fn collect_mouse(&mut self, on_input: &mut impl FnMut(Input)) {
        let is_down = |button| {
            self.inner.get_mouse_down(match button {
                Button::Left => MouseButton::Left,
                Button::Right => MouseButton::Right,
            })
        };
        // A second button does not affect the first one.
        let down = match self.pressed {
            Some(button) => Some(button).filter(|button| is_down(*button)),
            None => [Button::Left, Button::Right].into_iter().find(|button| is_down(*button)),
        };
        if let Some(button) = self.pressed.filter(|_| down.is_none()) {
            // The release was between the last position and this one. The last one is reported, so that a click
            // followed by a fast move is not a drag.
            self.pressed = None;
            let (x, y) = self.position();
            on_input(Input::Released { x, y, button });
        }
        // While a button is down, the pointer is followed outside of the window as well.
        let mode = if down.is_some() { MouseMode::Pass } else { MouseMode::Discard };
        let mouse = self.inner.get_mouse_pos(mode);
        if mouse != self.mouse {
            self.mouse = mouse.or(self.mouse.filter(|_| down.is_some()));
            let (x, y) = self.position();
            if mouse.is_some() {
                on_input(Input::Moved { x, y });
            } else {
                self.mouse = None;
                on_input(Input::Left);
            }
        }
        if let Some(button) = down.filter(|_| self.pressed.is_none()) {
            self.pressed = Some(button);
            let ((x, y), held, clicks) = (self.position(), self.held(), self.count_click(button, Instant::now()));
            on_input(Input::Pressed { x, y, button, held, clicks });
        }
        if let Some((right, up)) = self.inner.get_scroll_wheel() {
            let notches = |reported: f32, notch: f32| f64::from(reported / notch).clamp(-NOTCHES_MAX, NOTCHES_MAX);
            let ((x, y), held) = (self.position(), self.held());
            on_input(Input::Wheel { x, y, up: notches(up, self.notch.1), right: notches(right, self.notch.0), held });
        }
    }

    /// Returns the number of presses in quick succession at this position.
    fn count_click(&mut self, button: Button, now: Instant) -> u8 {
        let position = self.mouse.unwrap_or_default();
        let is_repeated = |last: &Press| {
            let distance = (position.0 - last.position.0).hypot(position.1 - last.position.1);
            last.button == button
                && now.duration_since(last.at) <= DOUBLE_CLICK_TIME
                && distance <= DOUBLE_CLICK_PX * self.factor
        };
        let clicks = self.last_press.filter(is_repeated).map_or(1, |last| last.clicks.saturating_add(1));
        self.last_press = Some(Press { at: now, position, button, clicks });
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

#[cfg(test)]
mod tests {
    use crate::window::*;

    #[test]
    fn letters_and_digits_are_translated() {
        for (key, translated) in [
            (minifb::Key::A, Some(Key::Letter('a'))),
            (minifb::Key::M, Some(Key::Letter('m'))),
            (minifb::Key::Z, Some(Key::Letter('z'))),
            (minifb::Key::Key0, Some(Key::Digit(0))),
            (minifb::Key::Key9, Some(Key::Digit(9))),
            (minifb::Key::NumPad5, Some(Key::Digit(5))),
            (minifb::Key::F1, Some(Key::F1)),
            (minifb::Key::F2, None),
        ] {
            assert_eq!(translate(key), translated, "{key:?}");
        }
    }
}
