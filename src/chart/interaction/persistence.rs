//! The part of the view that outlives a run.

use std::collections::HashSet;

use crate::chart::interaction::Interaction;
use crate::chart::interaction::view_state::{AxisMode, ChartKind, PaneLayout};
use crate::chart::{BarInterval, Theme};

/// The view as a run starts with it, and as it is saved for the next run.
///
/// ```
/// use tickscope::chart::{ChartKind, Interaction, ViewSettings};
///
/// let settings = ViewSettings { kind: ChartKind::Candles, ..ViewSettings::default() };
/// assert_eq!(Interaction::new(settings.clone()).settings(), settings);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ViewSettings {
    /// Length of the visible time span, ns.
    pub span_ns: i64,
    /// The span starts short and grows with the data up to `span_ns`.
    pub grows: bool,
    /// Value axis.
    pub axis: AxisMode,
    /// The way prices are drawn.
    pub kind: ChartKind,
    /// Arrangement of symbols.
    pub layout: PaneLayout,
    /// Length of a bar; `None` chooses one to suit the view.
    pub bar_interval: Option<BarInterval>,
    /// Colour scheme.
    pub theme: Theme,
    /// Name of the focused symbol.
    pub focused: Option<String>,
    /// Names of hidden symbols, sorted.
    pub hidden: Vec<String>,
}

impl Default for ViewSettings {
    /// Lines of all symbols over five minutes.
    fn default() -> Self {
        Self {
            span_ns: 300_000_000_000,
            grows: false,
            axis: AxisMode::default(),
            kind: ChartKind::default(),
            layout: PaneLayout::default(),
            bar_interval: None,
            theme: Theme::default(),
            focused: None,
            hidden: Vec::new(),
        }
    }
}

/// Settings of symbols that have not been seen in this run yet, by name.
#[derive(Debug, Default)]
pub(super) struct PendingSymbols {
    pub(super) hidden: HashSet<String>,
    pub(super) focus: Option<String>,
}

impl Interaction {
    /// Adds a symbol that has been seen for the first time, and restores its settings. `name` must be safe to display.
    pub fn add_symbol(&mut self, name: String) {
        let index = self.symbols.len();
        if self.pending.hidden.remove(&name) {
            self.view.hidden.insert(index);
        }
        if self.pending.focus.take_if(|focus| *focus == name).is_some() {
            self.view.focus = Some(index);
        }
        self.symbols.push(name);
    }

    /// Returns the view for the next run.
    pub fn settings(&self) -> ViewSettings {
        let view = &self.view;
        let name = |index: &usize| self.symbols.get(*index).cloned();
        let mut hidden: Vec<String> = view.hidden.iter().filter_map(name).collect();
        hidden.extend(self.pending.hidden.iter().cloned());
        hidden.sort_unstable();
        ViewSettings {
            span_ns: self.span().len_ns(),
            grows: view.grows_to_ns.is_some(),
            axis: view.axis,
            kind: view.kind,
            layout: view.layout,
            bar_interval: view.bar_interval,
            theme: self.theme,
            focused: view.focus.as_ref().and_then(name).or_else(|| self.pending.focus.clone()),
            hidden,
        }
    }
}
