//! What of the view can be undone, and the steps back and forth.

use std::collections::{BTreeMap, HashSet};

use crate::chart::AxisKind;
use crate::chart::{BarInterval, Navigator, ValueSpan};
use crate::consumer::args::{AxisChoice, KindChoice, LayoutChoice};

/// Steps that can be undone; more are forgotten, the oldest first. Nobody finds their way back further.
const STEPS_MAX: usize = 100;

/// Whose value axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::consumer) enum PlotId {
    /// The one chart's.
    Whole,
    /// That of a symbol's pane in a grid, by the symbol's place in the book.
    Symbol(usize),
}

/// What is looked at, and how.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::consumer) struct ViewState {
    pub(super) nav: Navigator,
    /// The span still grows with the data, up to this length, ns.
    pub(super) grows_to_ns: Option<i64>,
    /// Value axes that the user has set, of the measure that they were set in; the others fit their data.
    pub(super) values: BTreeMap<PlotId, (AxisKind, ValueSpan)>,
    pub(in crate::consumer) axis: AxisChoice,
    pub(in crate::consumer) kind: KindChoice,
    pub(in crate::consumer) layout: LayoutChoice,
    /// Length of a bar; `None` for what suits the view.
    pub(in crate::consumer) bars: Option<BarInterval>,
    /// Whether volume is shown below bars.
    pub(in crate::consumer) volume: bool,
    /// The symbol that bars and keys are about, by its place in the book.
    pub(super) focus: Option<usize>,
    /// The one symbol that is shown, if only one is to be.
    pub(super) solo: Option<usize>,
    /// Symbols that are switched off, by their place in the book.
    pub(super) hidden: HashSet<usize>,
    /// Page of the grid.
    pub(super) page: usize,
}

impl ViewState {
    /// Whether a symbol is to be drawn.
    pub(in crate::consumer) fn shows(&self, symbol: usize) -> bool {
        self.solo.map_or_else(|| !self.hidden.contains(&symbol), |solo| solo == symbol)
    }

    /// Another measure has other values: what the user has set means nothing there.
    pub(super) fn set_axis(&mut self, axis: AxisChoice) {
        if self.axis != axis {
            self.values.clear();
            self.axis = axis;
        }
    }

    pub(super) fn set_focus(&mut self, symbol: Option<usize>) {
        self.focus = symbol;
    }

    /// The hidden ones as a set, so that one more or less can be.
    pub(super) fn end_solo(&mut self, symbols: usize) {
        if let Some(solo) = self.solo.take() {
            self.hidden = (0..symbols).filter(|symbol| *symbol != solo).collect();
        }
    }
}

/// What kind of input changed the view. Inputs of one kind in a row are one step: a turn of the wheel is ten notches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gesture {
    /// Stands for itself.
    Single,
    /// A turn of the wheel.
    Wheel,
    /// A button is held and the mouse moves.
    Drag,
    /// A key is held.
    Repeat,
}

/// Where the view has been.
#[derive(Debug, Default)]
pub(super) struct History {
    past: Vec<ViewState>,
    future: Vec<ViewState>,
    last: Option<Gesture>,
}

impl History {
    /// Notes that `before` was left by a gesture.
    pub(super) fn note(&mut self, before: ViewState, gesture: Gesture) {
        let goes_on = match gesture {
            Gesture::Single => false,
            // A key that repeats has been pressed before, and that press is the step.
            Gesture::Repeat => self.last.is_some(),
            Gesture::Wheel | Gesture::Drag => self.last == Some(gesture),
        };
        self.last = Some(gesture);
        self.future.clear();
        if !goes_on {
            if self.past.len() == STEPS_MAX {
                self.past.remove(0);
            }
            self.past.push(before);
        }
    }

    /// The gesture is over: the next one is a step of its own.
    pub(super) fn rest(&mut self) {
        self.last = None;
    }

    /// The step before; `now` is kept for [`History::redo`].
    pub(super) fn undo(&mut self, now: &ViewState) -> Option<ViewState> {
        let before = self.past.pop()?;
        self.future.push(now.clone());
        self.last = None;
        Some(before)
    }

    /// The step that was undone last.
    pub(super) fn redo(&mut self, now: &ViewState) -> Option<ViewState> {
        let after = self.future.pop()?;
        self.past.push(now.clone());
        self.last = None;
        Some(after)
    }
}
