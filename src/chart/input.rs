//! Input of the user, from a window or a terminal.

/// Modifier keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modifiers {
    /// Either shift key.
    pub shift: bool,
    /// Either control key.
    pub ctrl: bool,
}

impl Modifiers {
    /// No modifier.
    pub const NONE: Self = Self { shift: false, ctrl: false };
}

/// Mouse button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button {
    /// Primary button.
    Left,
    /// Secondary button.
    Right,
}

/// Key, by its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// Letter, lower case.
    Letter(char),
    /// Digit of the main row or the number pad.
    Digit(u8),
    /// One of `/ [ ] , . ?`, in any keyboard layout.
    Mark(char),
    /// Space bar.
    Space,
    /// Escape.
    Escape,
    /// Return or Enter.
    Enter,
    /// Tabulator.
    Tab,
    /// Backspace.
    Backspace,
    /// Left arrow.
    Left,
    /// Right arrow.
    Right,
    /// Up arrow.
    Up,
    /// Down arrow.
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
    /// `+`, in any keyboard layout.
    Plus,
    /// `-`, in any keyboard layout.
    Minus,
}

/// An input event. Positions are in pixels of the layout, before any display scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Input {
    /// A key was pressed, or repeats.
    Key {
        /// The key.
        key: Key,
        /// Set for a repetition.
        repeat: bool,
        /// Modifiers held.
        held: Modifiers,
    },
    /// A character was typed. Text fields use this, and [`Input::Key`] for editing keys.
    Text(char),
    /// The mouse moved.
    Moved {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
    },
    /// The mouse left the surface.
    Left,
    /// A button was pressed.
    Pressed {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
        /// The button.
        button: Button,
        /// Modifiers held.
        held: Modifiers,
        /// Number of presses in quick succession at the same place: 2 for a double-click.
        clicks: u8,
    },
    /// A button was released.
    Released {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
        /// The button.
        button: Button,
    },
    /// The wheel turned.
    Wheel {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
        /// Vertical notches, positive away from the user.
        up: f64,
        /// Horizontal notches, positive to the right.
        right: f64,
        /// Modifiers held.
        held: Modifiers,
    },
    /// The surface was resized, in its own pixels.
    Resized {
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
    /// The surface was closed.
    Closed,
}
