//! Translation of terminal events to inputs.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use crate::chart::{Button, Input, Key, Modifiers};

/// Two presses of a button in the same cell within this time are a double-click.
const DOUBLE_CLICK: Duration = Duration::from_millis(400);

/// Meaning of a terminal event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TerminalEvent {
    /// An input of the view; places are in cells.
    Input(Input),
    /// Ctrl-Z.
    Suspend,
}

/// Counts the presses of multiple clicks.
#[derive(Debug, Default)]
pub(super) struct ClickCounter {
    last: Option<(Instant, u16, u16, Button, u8)>,
}

impl ClickCounter {
    fn count(&mut self, now: Instant, (x, y): (u16, u16), button: Button) -> u8 {
        let previous = self.last.filter(|(then, last_x, last_y, last_button, _)| {
            (*last_x, *last_y, *last_button) == (x, y, button) && now.duration_since(*then) <= DOUBLE_CLICK
        });
        let clicks = previous.map_or(1, |(.., clicks)| clicks.saturating_add(1));
        self.last = Some((now, x, y, button, clicks));
        clicks
    }
}

/// Calls `each` with every meaning of an event. A single key press may be two inputs, a key and a text.
pub(super) fn translate(event: &Event, clicks: &mut ClickCounter, now: Instant, mut each: impl FnMut(TerminalEvent)) {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => translate_key(key, each),
        Event::Mouse(mouse) => {
            if let Some(input) = translate_mouse(*mouse, clicks, now) {
                each(TerminalEvent::Input(input));
            }
        }
        Event::Resize(width, height) => {
            each(TerminalEvent::Input(Input::Resized { width: (*width).into(), height: (*height).into() }));
        }
        Event::Key(_) | Event::FocusGained | Event::FocusLost | Event::Paste(_) => {}
    }
}

fn modifiers(held: KeyModifiers) -> Modifiers {
    Modifiers { shift: held.contains(KeyModifiers::SHIFT), ctrl: held.contains(KeyModifiers::CONTROL) }
}

fn translate_key(event: &KeyEvent, mut each: impl FnMut(TerminalEvent)) {
    let held = modifiers(event.modifiers);
    let code = event.code;
    match code {
        KeyCode::Char('c' | 'C') if held.ctrl => return each(TerminalEvent::Input(Input::Closed)),
        KeyCode::Char('z' | 'Z') if held.ctrl => return each(TerminalEvent::Suspend),
        _ => {}
    }
    let repeat = event.kind == KeyEventKind::Repeat;
    if let Some(key) = key_of(code) {
        // A capital letter implies shift; not every terminal reports the modifier.
        let capital = matches!(code, KeyCode::Char(c) if c.is_uppercase()) || code == KeyCode::BackTab;
        let held = Modifiers { shift: held.shift || capital, ..held };
        each(TerminalEvent::Input(Input::Key { key, repeat, held }));
    }
    if let KeyCode::Char(c) = code
        && !held.ctrl
        && !event.modifiers.contains(KeyModifiers::ALT)
        && !c.is_control()
    {
        each(TerminalEvent::Input(Input::Text(c)));
    }
}

fn key_of(code: KeyCode) -> Option<Key> {
    Some(match code {
        KeyCode::Char('+' | '=') => Key::Plus,
        KeyCode::Char('-' | '_') => Key::Minus,
        KeyCode::Char(' ') => Key::Space,
        KeyCode::Char(c @ ('/' | '[' | ']' | ',' | '.' | '?')) => Key::Mark(c),
        KeyCode::Char(c) if c.is_ascii_alphabetic() => Key::Letter(c.to_ascii_lowercase()),
        KeyCode::Char(c) => Key::Digit(c.to_digit(10)? as u8),
        KeyCode::Esc => Key::Escape,
        KeyCode::Enter => Key::Enter,
        KeyCode::Tab | KeyCode::BackTab => Key::Tab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::F(1) => Key::F1,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        _ => return None,
    })
}

fn translate_mouse(event: MouseEvent, clicks: &mut ClickCounter, now: Instant) -> Option<Input> {
    let held = modifiers(event.modifiers);
    let (x, y) = (f64::from(event.column), f64::from(event.row));
    let wheel = |up: f64, right: f64| Some(Input::Wheel { x, y, up, right, held });
    let button_of = |button: MouseButton| match button {
        MouseButton::Left => Some(Button::Left),
        MouseButton::Right => Some(Button::Right),
        MouseButton::Middle => None,
    };
    match event.kind {
        MouseEventKind::Down(button) => {
            let button = button_of(button)?;
            let clicks = clicks.count(now, (event.column, event.row), button);
            Some(Input::Pressed { x, y, button, held, clicks })
        }
        MouseEventKind::Up(button) => Some(Input::Released { x, y, button: button_of(button)? }),
        MouseEventKind::Drag(_) | MouseEventKind::Moved => Some(Input::Moved { x, y }),
        MouseEventKind::ScrollUp => wheel(1.0, 0.0),
        MouseEventKind::ScrollDown => wheel(-1.0, 0.0),
        MouseEventKind::ScrollLeft => wheel(0.0, -1.0),
        MouseEventKind::ScrollRight => wheel(0.0, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(event: &Event) -> Vec<TerminalEvent> {
        let mut found = Vec::new();
        translate(event, &mut ClickCounter::default(), Instant::now(), |event| found.push(event));
        found
    }

    fn key(code: KeyCode, held: KeyModifiers) -> Vec<TerminalEvent> {
        translated(&Event::Key(KeyEvent::new(code, held)))
    }

    #[test]
    fn a_key_press_is_a_key_and_a_text() {
        let plain = |key| TerminalEvent::Input(Input::Key { key, repeat: false, held: Modifiers::NONE });
        let text = |c| TerminalEvent::Input(Input::Text(c));
        let none = KeyModifiers::NONE;
        assert_eq!(key(KeyCode::Char('q'), none), [plain(Key::Letter('q')), text('q')]);
        assert_eq!(key(KeyCode::Char('7'), none), [plain(Key::Digit(7)), text('7')]);
        assert_eq!(key(KeyCode::Char('='), none), [plain(Key::Plus), text('=')]);
        assert_eq!(key(KeyCode::Char('\u{e9}'), none), [text('\u{e9}')]);
        assert_eq!(key(KeyCode::PageDown, none), [plain(Key::PageDown)]);
        let shift = Modifiers { shift: true, ctrl: false };
        let capital = TerminalEvent::Input(Input::Key { key: Key::Letter('s'), repeat: false, held: shift });
        assert_eq!(key(KeyCode::Char('S'), KeyModifiers::SHIFT), [capital, text('S')]);
        assert_eq!(key(KeyCode::Char('S'), none), [capital, text('S')]);
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), [TerminalEvent::Input(Input::Closed)]);
        assert_eq!(key(KeyCode::Char('z'), KeyModifiers::CONTROL), [TerminalEvent::Suspend]);
        let ctrl = Modifiers { shift: false, ctrl: true };
        let undo = TerminalEvent::Input(Input::Key { key: Key::Letter('u'), repeat: false, held: ctrl });
        assert_eq!(key(KeyCode::Char('u'), KeyModifiers::CONTROL), [undo], "no text");
    }

    #[test]
    fn two_presses_in_one_cell_are_a_double_click() {
        let mut clicks = ClickCounter::default();
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(clicks.count(at(0), (3, 4), Button::Left), 1);
        assert_eq!(clicks.count(at(300), (3, 4), Button::Left), 2);
        assert_eq!(clicks.count(at(600), (3, 5), Button::Left), 1);
        assert_eq!(clicks.count(at(1_100), (3, 5), Button::Left), 1);
    }
}
