//! What each key does, and the help that says so.

use crate::chart::{AxisKind, Theme};
use crate::chart::{BarInterval, Key, Modifiers};
use crate::consumer::args::{AxisChoice, KindChoice, LayoutChoice};
use crate::consumer::interaction::measure::{End, Measure};
use crate::consumer::interaction::search::{Outcome, Query};
use crate::consumer::interaction::view_state::PlotId;
use crate::consumer::interaction::{Interaction, PAN_STEP, Request, Seen, ZOOM_STEP};

/// One press of Page Up moves by this part of the visible span.
const PAGE_STEP: f64 = 0.9;

impl Interaction {
    pub(super) fn key(&mut self, key: Key, held: Modifiers, repeat: bool, seen: &Seen<'_>) -> Option<Request> {
        if self.search.is_some() {
            self.search_key(key);
            return None;
        }
        match key {
            Key::Up if held.shift => self.zoom_value(ZOOM_STEP, seen),
            Key::Down if held.shift => self.zoom_value(1.0 / ZOOM_STEP, seen),
            Key::PageUp if held.shift => self.page_or_pan_value(1, seen),
            Key::PageDown if held.shift => self.page_or_pan_value(-1, seen),
            Key::Plus | Key::Up => self.zoom(ZOOM_STEP, seen),
            Key::Minus | Key::Down => self.zoom(1.0 / ZOOM_STEP, seen),
            Key::Left => self.pan(-PAN_STEP, seen),
            Key::Right => self.pan(PAN_STEP, seen),
            Key::PageUp => self.pan(-PAGE_STEP, seen),
            Key::PageDown => self.pan(PAGE_STEP, seen),
            Key::Mark(',') => self.step -= 1,
            Key::Mark('.') => self.step += 1,
            Key::Tab => self.focus_next(held.shift),
            Key::Letter('z') | Key::Backspace if held.shift => self.redo(seen),
            Key::Letter('z') | Key::Backspace => self.undo(seen),
            Key::Letter('y') => self.redo(seen),
            // What is switched must not flicker while a key is held.
            _ if repeat => {}
            _ => return self.press(key, seen),
        }
        None
    }

    fn press(&mut self, key: Key, seen: &Seen<'_>) -> Option<Request> {
        match key {
            Key::Letter('q') => return Some(Request::Quit),
            Key::Letter('s') => return Some(Request::Screenshot),
            Key::Letter('e') => return Some(Request::Export),
            Key::Space | Key::Letter('p') => self.toggle_pause(seen),
            Key::Home => self.go_to_start(seen),
            Key::Letter('a') => self.sight.set_axis(next_axis(self.sight.axis, seen.seeing.axis)),
            Key::Letter('c') => self.next_kind(),
            Key::Letter('g') => {
                self.sight.layout = match self.sight.layout {
                    LayoutChoice::Overlay => LayoutChoice::Grid,
                    LayoutChoice::Grid => LayoutChoice::Overlay,
                }
            }
            Key::Letter('v') => self.sight.volume = !self.sight.volume,
            Key::Letter('f') => self.sight.values.clear(),
            Key::Letter('n') => self.snaps = !self.snaps,
            Key::Letter('m') => self.toggle_ruler(seen),
            Key::Letter('b') => self.toggle_box(seen),
            Key::Letter('o') => self.toggle_solo(seen.seeing.focus),
            Key::Letter('x') => seen.seeing.focus.into_iter().for_each(|symbol| self.toggle_symbol(symbol)),
            Key::Letter('t') => {
                self.theme = match self.theme {
                    Theme::Dark => Theme::Light,
                    Theme::Light => Theme::Dark,
                }
            }
            Key::Mark('[') => self.set_bars(seen, BarInterval::finer),
            Key::Mark(']') => self.set_bars(seen, BarInterval::coarser),
            Key::Mark('/') => self.search = Some(Query::open()),
            Key::Mark('?') | Key::Letter('h') | Key::F1 => self.help = !self.help,
            Key::Escape => self.escape(seen),
            Key::Enter if self.zoom_box.is_some() => self.toggle_box(seen),
            Key::End | Key::Letter('l') | Key::Enter => self.go_live(seen),
            Key::Digit(0) => {
                self.sight.solo = None;
                self.sight.hidden.clear();
                self.wanted.show_all();
            }
            Key::Digit(digit) => self.toggle_symbol(usize::from(digit) - 1),
            _ => {}
        }
        None
    }

    /// Leaves whatever was begun last; where nothing was, back to live.
    fn escape(&mut self, seen: &Seen<'_>) {
        if self.help {
            self.help = false;
        } else if self.zoom_box.take().is_some() || self.ruler.take().is_some() || self.key_cursor_ns.take().is_some() {
            // A hand that still draws it must not begin it again.
            self.let_grip_go();
            self.step = 0;
        } else {
            self.go_live(seen);
        }
    }

    fn next_kind(&mut self) {
        self.sight.values.remove(&PlotId::Whole);
        self.sight.kind = match self.sight.kind {
            KindChoice::Lines => KindChoice::Candles,
            KindChoice::Candles => KindChoice::Ohlc,
            KindChoice::Ohlc => KindChoice::Lines,
        };
    }

    /// Longer or shorter bars than those that are seen.
    fn set_bars(&mut self, seen: &Seen<'_>, other: fn(BarInterval) -> BarInterval) {
        if let Some(shown) = seen.seeing.bars {
            self.sight.bars = Some(other(shown));
        }
    }

    fn focus_next(&mut self, backwards: bool) {
        let visible: Vec<usize> = (0..self.symbols.len()).filter(|symbol| self.sight.shows(*symbol)).collect();
        // One symbol alone: the next of all takes its place.
        let choices: Vec<usize> = if self.sight.solo.is_some() { (0..self.symbols.len()).collect() } else { visible };
        if choices.is_empty() {
            return;
        }
        let place =
            self.sight.solo.or(self.sight.focus).and_then(|focus| choices.iter().position(|symbol| *symbol == focus));
        let next = match (place, backwards) {
            (Some(at), false) => (at + 1) % choices.len(),
            (Some(at), true) => (at + choices.len() - 1) % choices.len(),
            (None, false) => 0,
            (None, true) => choices.len() - 1,
        };
        self.focus_on(choices[next]);
    }

    /// Shows a symbol and makes it the one that bars and keys are about.
    pub(super) fn focus_on(&mut self, symbol: usize) {
        if self.sight.solo.is_some() {
            // The one that is shown is what all is about.
            self.sight.solo = Some(symbol);
            return;
        }
        self.sight.hidden.remove(&symbol);
        self.sight.set_focus(Some(symbol));
        self.page_follows = true;
    }

    fn page_or_pan_value(&mut self, up: i32, seen: &Seen<'_>) {
        if self.sight.layout == LayoutChoice::Grid {
            let page = self.sight.page.min(self.pages.saturating_sub(1)) as i64 - i64::from(up);
            self.sight.page = page.clamp(0, self.pages.saturating_sub(1) as i64) as usize;
        } else {
            self.pan_value(f64::from(up) * PAN_STEP, seen);
        }
    }

    fn toggle_ruler(&mut self, seen: &Seen<'_>) {
        match &mut self.ruler {
            Some(Measure { end: end @ End::Follows, .. }) => *end = End::Settles,
            _ => self.ruler = self.crosshair(seen).and_then(|from| Measure::begin(from, seen)),
        }
    }

    fn toggle_box(&mut self, seen: &Seen<'_>) {
        match self.zoom_box.take() {
            Some(measure) => self.zoom_to_box(measure.from, self.crosshair(seen), seen),
            None => self.zoom_box = self.crosshair(seen).and_then(|from| Measure::begin(from, seen)),
        }
    }

    fn search_key(&mut self, key: Key) {
        let Some(query) = &mut self.search else { return };
        match query.key(key, &self.symbols) {
            Outcome::Open => {}
            Outcome::Closed => self.search = None,
            Outcome::Taken(symbol) => {
                self.search = None;
                self.focus_on(symbol);
            }
        }
    }
}

fn next_axis(choice: AxisChoice, shown: AxisKind) -> AxisChoice {
    match (choice, shown) {
        (AxisChoice::Auto, AxisKind::Percent) | (AxisChoice::Log, _) => AxisChoice::Price,
        (AxisChoice::Auto | AxisChoice::Price, _) => AxisChoice::Percent,
        (AxisChoice::Percent, _) => AxisChoice::Session,
        (AxisChoice::Session, _) => AxisChoice::Log,
    }
}

/// The help overlay's rows.
pub(in crate::consumer) const HELP: &[(&str, &str)] = &[
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
