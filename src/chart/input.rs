//! What the user does, whichever surface it comes from: a native window or a terminal.

/// Keys held while something else is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modifiers {
    /// Either shift key.
    pub shift: bool,
    /// Either control key.
    pub ctrl: bool,
}

impl Modifiers {
    /// None held.
    pub const NONE: Self = Self { shift: false, ctrl: false };
}

/// A button of the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button {
    /// The first one.
    Left,
    /// The second one.
    Right,
}

/// A key, by what it says on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// A letter, lower case.
    Letter(char),
    /// A digit of the main row or the number pad.
    Digit(u8),
    /// One of `/ [ ] , . ?`, wherever the layout has it.
    Mark(char),
    /// Space bar.
    Space,
    /// Escape.
    Escape,
    /// Return or Enter.
    Enter,
    /// Tabulator.
    Tab,
    /// Deletes to the left.
    Backspace,
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
}

/// Something the user did. Positions are in pixels of the frame as it is laid out, before any display scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Input {
    /// A key went down, or repeats because it is held.
    Key {
        /// Which.
        key: Key,
        /// Whether it repeats.
        repeat: bool,
        /// What is held with it.
        held: Modifiers,
    },
    /// A character was typed; whoever edits text reads these, and [`Input::Key`] for the keys that are no text.
    Text(char),
    /// The mouse moved.
    Moved {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
    },
    /// The mouse left.
    Left,
    /// A button went down.
    Pressed {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
        /// Which.
        button: Button,
        /// What is held with it.
        held: Modifiers,
        /// How many times in quick succession at the same place: 2 for a double-click.
        clicks: u8,
    },
    /// A button went up.
    Released {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
        /// Which.
        button: Button,
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
        /// What is held with it.
        held: Modifiers,
    },
    /// The surface has a new size, in its own pixels.
    Resized {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The user closed it.
    Closed,
}
