//! The undoable part of the view, and its undo history.

use std::collections::{BTreeMap, HashSet};

use crate::chart::{AxisKind, BarInterval, Navigator, ValueSpan};

/// Most steps kept for undo. The oldest step is dropped first.
const UNDO_STEPS_MAX: usize = 100;

/// Unit of the value axis, as chosen by the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AxisMode {
    /// Prices, or percent where prices would show flat lines.
    #[default]
    Auto,
    /// Prices.
    Price,
    /// Change from the left edge of the view, in percent.
    Percent,
    /// Change from the open of the trading session, in percent.
    Session,
    /// Prices on a logarithmic axis.
    Log,
}

/// The way prices are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChartKind {
    /// A line through every tick.
    #[default]
    Lines,
    /// Candlesticks of the focused symbol.
    Candles,
    /// Open-high-low-close bars of the focused symbol.
    Ohlc,
}

/// The arrangement of symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PaneLayout {
    /// All symbols in one chart.
    #[default]
    Overlay,
    /// One pane per symbol.
    Grid,
}

/// Identity of a plot across frames. Keys the value axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlotId {
    /// The single chart.
    Main,
    /// The pane of one symbol in a grid, by the symbol's index.
    Symbol(usize),
}

/// The part of the view that undo restores.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ViewState {
    pub(crate) nav: Navigator,
    /// Length up to which the span still grows with the data, ns. `None` after the user has zoomed or panned.
    pub(crate) grows_to_ns: Option<i64>,
    /// Value axes set by the user, with the kind of axis that they were set on. All other axes fit their data.
    pub(super) values: BTreeMap<PlotId, (AxisKind, ValueSpan)>,
    pub(crate) axis: AxisMode,
    pub(crate) kind: ChartKind,
    pub(crate) layout: PaneLayout,
    /// Length of a bar; `None` chooses one to suit the view.
    pub(crate) bar_interval: Option<BarInterval>,
    /// Shows volume below bars.
    pub(crate) volume: bool,
    /// Index of the symbol that bars and keys act on.
    pub(super) focus: Option<usize>,
    /// Index of the only symbol shown, if one is shown alone.
    pub(super) solo: Option<usize>,
    /// Indices of hidden symbols.
    pub(super) hidden: HashSet<usize>,
    /// Page of the grid, from 0.
    pub(super) page: usize,
}

impl ViewState {
    /// Returns whether the symbol with this index is switched on.
    pub(crate) fn shows(&self, symbol: usize) -> bool {
        self.solo.map_or_else(|| !self.hidden.contains(&symbol), |solo| solo == symbol)
    }

    /// Changes the axis mode. Value axes set by the user are dropped, because their values are in the old unit.
    pub(super) fn set_axis(&mut self, axis: AxisMode) {
        if self.axis != axis {
            self.values.clear();
            self.axis = axis;
        }
    }

    /// Replaces solo mode by hiding all other symbols, so that single symbols can be shown and hidden again.
    pub(super) fn end_solo(&mut self, symbols: usize) {
        if let Some(solo) = self.solo.take() {
            self.hidden = (0..symbols).filter(|symbol| *symbol != solo).collect();
        }
    }
}

/// Kind of input that changed the view. Consecutive inputs of one kind, such as the notches of one turn of the wheel,
/// form one undo step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gesture {
    /// A step of its own.
    Single,
    /// A notch of the wheel.
    Wheel,
    /// A mouse move with a button held.
    Drag,
    /// A repeated key press, or the second click of a double-click.
    Repeat,
}

/// Undo and redo stacks of the view.
#[derive(Debug, Default)]
pub(super) struct UndoHistory {
    undo: Vec<ViewState>,
    redo: Vec<ViewState>,
    last: Option<Gesture>,
}

impl UndoHistory {
    /// Records that a gesture has changed the view from `before`.
    pub(super) fn record(&mut self, before: ViewState, gesture: Gesture) {
        let continues = match gesture {
            Gesture::Single => false,
            // The press that came before the repeats has recorded the step.
            Gesture::Repeat => self.last.is_some(),
            Gesture::Wheel | Gesture::Drag => self.last == Some(gesture),
        };
        self.last = Some(gesture);
        self.redo.clear();
        if !continues {
            if self.undo.len() == UNDO_STEPS_MAX {
                self.undo.remove(0);
            }
            self.undo.push(before);
        }
    }

    /// Ends the current step. The next gesture begins a new one.
    pub(super) fn end_step(&mut self) {
        self.last = None;
    }

    /// Pops the previous view and keeps `now` for redo; or, if `redoes`, pops the view that was undone last and keeps
    /// `now` for undo.
    pub(super) fn step(&mut self, now: &ViewState, redoes: bool) -> Option<ViewState> {
        let Self { undo, redo, .. } = self;
        let (from, to) = if redoes { (redo, undo) } else { (undo, redo) };
        let view = from.pop()?;
        to.push(now.clone());
        self.last = None;
        Some(view)
    }
}
