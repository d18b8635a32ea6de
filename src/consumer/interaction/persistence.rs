//! What of the view outlives a run, and how it comes back.

use std::collections::HashSet;

use crate::chart::BarInterval;
use crate::chart::Theme;
use crate::consumer::args::{ThemeChoice, word};
use crate::consumer::interaction::Interaction;
use crate::consumer::ui_state::UiState;

/// Symbols by name: a run knows them only once their ticks have come.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    hidden: HashSet<String>,
    focus: Option<String>,
}

impl Wanted {
    pub(super) fn new(remembered: &UiState) -> Self {
        let hidden = remembered.hidden.iter().flatten().cloned().collect();
        Self { hidden, focus: remembered.focused.clone().filter(|name| !name.is_empty()) }
    }
}

impl Wanted {
    pub(super) fn forget_focus(&mut self) {
        self.focus = None;
    }

    pub(super) fn show_all(&mut self) {
        self.hidden.clear();
    }
}

impl Interaction {
    /// A symbol has come; `name` is safe to show.
    pub(in crate::consumer) fn add_symbol(&mut self, name: String) {
        let place = self.symbols.len();
        if self.wanted.hidden.remove(&name) {
            self.sight.hidden.insert(place);
        }
        if self.wanted.focus.as_ref() == Some(&name) {
            self.wanted.focus = None;
            self.sight.focus = Some(place);
        }
        self.symbols.push(name);
    }

    /// How the chart looks now, as far as it is worth keeping; without its size.
    pub(in crate::consumer) fn remembered(&self) -> UiState {
        let theme = match self.theme {
            Theme::Dark => ThemeChoice::Dark,
            Theme::Light => ThemeChoice::Light,
        };
        let sight = &self.sight;
        let bars = match sight.bars {
            None => "auto".to_owned(),
            // Bars of weeks and years suit long views, and cannot be asked for.
            Some(BarInterval::Seconds(seconds)) if seconds > 86_400 => "auto".to_owned(),
            Some(BarInterval::Seconds(seconds)) => format!("{seconds}s"),
            Some(BarInterval::Ticks(ticks)) => format!("{ticks}t"),
        };
        let name = |place: &usize| self.symbols.get(*place).cloned();
        let mut hidden: Vec<String> = sight.hidden.iter().filter_map(name).collect();
        hidden.extend(self.wanted.hidden.iter().cloned());
        hidden.sort_unstable();
        let focused = sight.focus.as_ref().and_then(name).or_else(|| self.wanted.focus.clone());
        // A span that still grows with the data is nobody's choice.
        let span = sight.grows_to_ns.is_none().then(|| self.span().len_ns() as f64 / 1e9);
        UiState {
            theme: Some(word(&theme)),
            axis: Some(word(&sight.axis)),
            chart: Some(word(&sight.kind)),
            layout: Some(word(&sight.layout)),
            bars: Some(bars),
            // Empty where it grows, so that a span of an earlier run can be taken back.
            window: Some(span.map_or_else(String::new, |span_s| format!("{span_s}"))),
            focused: Some(focused.unwrap_or_default()),
            hidden: Some(hidden),
            ..UiState::default()
        }
    }
}
