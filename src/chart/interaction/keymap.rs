//! The keymap and the help that describes it.

use std::ops::ControlFlow;

use crate::chart::interaction::hit_test::HitTest;
use crate::chart::interaction::measurement::{Measurement, MeasurementEnd};
use crate::chart::interaction::search::SymbolSearch;
use crate::chart::interaction::view_state::{AxisMode, ChartKind, PaneLayout, PlotId};
use crate::chart::interaction::{Interaction, PAN_STEP, Request, ZOOM_STEP};
use crate::chart::{AxisKind, BarInterval, Key, Modifiers, Theme};

/// Share of the visible span that Page Up and Page Down move by.
const PAGE_STEP: f64 = 0.9;

impl Interaction {
    pub(super) fn key(&mut self, key: Key, held: Modifiers, repeat: bool, last: &HitTest) -> Option<Request> {
        if self.search.is_some() {
            self.search_key(key);
            return None;
        }
        match key {
            Key::Up if held.shift => self.zoom_value(ZOOM_STEP, last),
            Key::Down if held.shift => self.zoom_value(1.0 / ZOOM_STEP, last),
            Key::PageUp if held.shift => self.turn_page_or_pan_value(1, last),
            Key::PageDown if held.shift => self.turn_page_or_pan_value(-1, last),
            Key::Plus | Key::Up => self.zoom(ZOOM_STEP, last),
            Key::Minus | Key::Down => self.zoom(1.0 / ZOOM_STEP, last),
            Key::Left => self.pan(-PAN_STEP, last),
            Key::Right => self.pan(PAN_STEP, last),
            Key::PageUp => self.pan(-PAGE_STEP, last),
            Key::PageDown => self.pan(PAGE_STEP, last),
            Key::Mark(',') => self.cursor_steps -= 1,
            Key::Mark('.') => self.cursor_steps += 1,
            Key::Tab => self.focus_next(held.shift),
            Key::Letter('z') | Key::Backspace => self.undo(held.shift, last),
            Key::Letter('y') => self.undo(true, last),
            // A held key must not make a toggle flicker.
            _ if repeat => {}
            _ => return self.toggle_key(key, last),
        }
        None
    }

    /// Handles a key that has no effect while it repeats.
    fn toggle_key(&mut self, key: Key, last: &HitTest) -> Option<Request> {
        match key {
            Key::Letter('q') => return Some(Request::Quit),
            Key::Letter('s') => return Some(Request::Screenshot),
            Key::Letter('e') => return Some(Request::Export),
            Key::Space | Key::Letter('p') => self.toggle_pause(last),
            Key::Home => self.go_to_start(last),
            Key::Letter('a') => self.view.set_axis(next_axis(self.view.axis, last.axis)),
            Key::Letter('c') => self.next_kind(),
            Key::Letter('g') => {
                self.view.layout = match self.view.layout {
                    PaneLayout::Overlay => PaneLayout::Grid,
                    PaneLayout::Grid => PaneLayout::Overlay,
                }
            }
            Key::Letter('v') => self.view.volume = !self.view.volume,
            Key::Letter('f') => self.view.values.clear(),
            Key::Letter('n') => self.snap = !self.snap,
            Key::Letter('m') => self.toggle_ruler(last),
            Key::Letter('b') => self.toggle_zoom_box(last),
            Key::Letter('o') => self.toggle_solo(last.focus),
            Key::Letter('x') => last.focus.into_iter().for_each(|symbol| self.toggle_symbol(symbol)),
            Key::Letter('t') => {
                self.theme = match self.theme {
                    Theme::Dark => Theme::Light,
                    Theme::Light => Theme::Dark,
                }
            }
            Key::Mark('[') => self.set_bar_interval(last, BarInterval::finer),
            Key::Mark(']') => self.set_bar_interval(last, BarInterval::coarser),
            Key::Mark('/') => self.search = Some(SymbolSearch::open()),
            Key::Mark('?') | Key::Letter('h') | Key::F1 => self.help = !self.help,
            Key::Escape => self.escape(last),
            Key::Enter if self.zoom_box.is_some() => self.toggle_zoom_box(last),
            Key::End | Key::Letter('l') | Key::Enter => self.go_live(last),
            Key::Digit(0) => {
                self.view.solo = None;
                self.view.hidden.clear();
                self.pending.hidden.clear();
            }
            Key::Digit(digit) => self.toggle_symbol(usize::from(digit) - 1),
            _ => {}
        }
        None
    }

    /// Closes or cancels what was opened last, or else returns to the live edge.
    fn escape(&mut self, last: &HitTest) {
        if self.help {
            self.help = false;
        } else if self.zoom_box.take().is_some() || self.ruler.take().is_some() || self.key_cursor_ns.take().is_some() {
            // A mouse button that is still held must not start it again.
            self.cancel_drag();
            self.cursor_steps = 0;
        } else {
            self.go_live(last);
        }
    }

    fn next_kind(&mut self) {
        self.view.values.remove(&PlotId::Main);
        self.view.kind = match self.view.kind {
            ChartKind::Lines => ChartKind::Candles,
            ChartKind::Candles => ChartKind::Ohlc,
            ChartKind::Ohlc => ChartKind::Lines,
        };
    }

    /// Makes bars longer or shorter than those of the last frame.
    fn set_bar_interval(&mut self, last: &HitTest, step: fn(BarInterval) -> BarInterval) {
        if let Some(interval) = last.bar_interval {
            self.view.bar_interval = Some(step(interval));
        }
    }

    fn focus_next(&mut self, backwards: bool) {
        // In solo mode the next of all symbols replaces the one shown.
        let choices: Vec<usize> =
            (0..self.symbols.len()).filter(|symbol| self.view.solo.is_some() || self.view.shows(*symbol)).collect();
        let current = self.view.solo.or(self.view.focus);
        let place = current.and_then(|focus| choices.iter().position(|symbol| *symbol == focus));
        let next = match (place, backwards) {
            (Some(at), false) => (at + 1) % choices.len(),
            (Some(at), true) => (at + choices.len() - 1) % choices.len(),
            (None, false) => 0,
            (None, true) => choices.len().saturating_sub(1),
        };
        if let Some(symbol) = choices.get(next) {
            self.focus_on(*symbol);
        }
    }

    /// Shows a symbol and focuses it. In solo mode it replaces the symbol shown.
    pub(super) fn focus_on(&mut self, symbol: usize) {
        if self.view.solo.is_some() {
            self.view.solo = Some(symbol);
            return;
        }
        self.view.hidden.remove(&symbol);
        self.view.focus = Some(symbol);
        self.page_follows_focus = true;
    }

    fn turn_page_or_pan_value(&mut self, up: i32, last: &HitTest) {
        if self.view.layout == PaneLayout::Grid {
            let last_page = self.pages.saturating_sub(1);
            let page = self.view.page.min(last_page) as i64 - i64::from(up);
            self.view.page = page.clamp(0, last_page as i64) as usize;
        } else {
            self.pan_value(f64::from(up) * PAN_STEP, last);
        }
    }

    fn toggle_ruler(&mut self, last: &HitTest) {
        match &mut self.ruler {
            Some(Measurement { end: end @ MeasurementEnd::Cursor, .. }) => *end = MeasurementEnd::NextCursor,
            _ => self.ruler = self.crosshair(last).and_then(|from| Measurement::start(from, last)),
        }
    }

    fn toggle_zoom_box(&mut self, last: &HitTest) {
        match self.zoom_box.take() {
            Some(measurement) => self.zoom_to_box(measurement.from, self.crosshair(last), last),
            None => self.zoom_box = self.crosshair(last).and_then(|from| Measurement::start(from, last)),
        }
    }

    fn search_key(&mut self, key: Key) {
        let outcome = self.search.as_mut().map(|search| search.key(key, &self.symbols));
        if let Some(ControlFlow::Break(chosen)) = outcome {
            self.search = None;
            if let Some(symbol) = chosen {
                self.focus_on(symbol);
            }
        }
    }
}

/// The mode after `mode`, where `Auto` counts as the kind of axis that it has chosen.
fn next_axis(mode: AxisMode, shown: AxisKind) -> AxisMode {
    match (mode, shown) {
        (AxisMode::Auto, AxisKind::Percent) | (AxisMode::Log, _) => AxisMode::Price,
        (AxisMode::Auto | AxisMode::Price, _) => AxisMode::Percent,
        (AxisMode::Percent, _) => AxisMode::Session,
        (AxisMode::Session, _) => AxisMode::Log,
    }
}

/// Rows of the help overlay: keys and their effect.
pub(crate) const HELP: &[(&str, &str)] = &[
    ("Space, P", "pause; nothing is lost"),
    ("Home, End", "oldest tick, back to live"),
    ("wheel, + \u{2212}, \u{2191} \u{2193}", "zoom in time"),
    ("Shift + these", "zoom in price; F fits it"),
    ("drag, \u{2190} \u{2192}, Page", "move through time"),
    ("Shift + Page", "move in price, turn pages"),
    ("right drag, B", "zoom to a box"),
    ("Shift + drag, M", "measure"),
    (", .", "from tick to tick"),
    ("N", "snap to ticks, or not"),
    ("double-click", "fit an axis, show alone"),
    ("Z, Y", "undo, redo the view"),
    ("A", "price, percent, session, log"),
    ("C, [ ]", "lines, bars; their length"),
    ("V", "volume below bars"),
    ("G", "one chart, or a grid"),
    ("Tab, right click", "focus a symbol"),
    ("O", "show it alone"),
    ("X, 1 .. 9, click", "hide or show; 0 shows all"),
    ("/", "search for a symbol"),
    ("S, E", "save picture, save ticks"),
    ("T", "dark or light"),
    ("?, H, F1", "this help"),
    ("Q", "quit"),
];
