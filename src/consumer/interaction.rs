//! What the user has chosen to look at, and how keys and mouse change it. No clock, no lock, no window: input goes
//! in, the view's state comes out.

mod hit_test;
mod keys;
mod measure;
mod mouse;
mod persistence;
mod search;
mod view_state;

use std::collections::{BTreeMap, HashSet};

use crate::chart::{AxisKind, Theme};
use crate::chart::{Input, Navigator, ValueSpan};
use crate::consumer::args::{Config, KindChoice};
use crate::model::TimeSpan;
pub(super) use hit_test::{Plot, Seeing, Seen, Until};
pub(super) use keys::HELP;
pub(super) use measure::{Cursor, Measure};
use mouse::{Drag, Notch, cursor_at, transform};
use persistence::Wanted;
pub(super) use search::{Query, find};
use view_state::{Gesture, History};
pub(super) use view_state::{PlotId, ViewState};

/// One notch of the wheel or one press of `+` shows this much less time.
const ZOOM_STEP: f64 = 0.8;

/// One press of a cursor key moves by this part of the visible span.
const PAN_STEP: f64 = 0.1;

/// A span that grows with the data begins here: a shorter one would race.
const GROWS_FROM_NS: i64 = 20_000_000_000;

/// A span that grows does so by steps of which this many double it. Between two steps the view only scrolls, and most
/// of what the last frame took from the book is still true.
const GROWTH_STEPS: f64 = 32.0;

/// What the grown span has beyond the data, so that the newest tick has room at its right.
const GROWN_SHARE: f64 = 1.05;

/// What the caller has to do about an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// End the program.
    Quit,
    /// Save the picture.
    Screenshot,
    /// Save the ticks in view.
    Export,
}

/// The view's state.
#[derive(Debug)]
pub(super) struct Interaction {
    pub(super) sight: ViewState,
    history: History,
    /// The span to begin with, ns, and whether it grows up to that.
    home: (i64, bool),
    /// While the user has stopped it: what is shown. Nothing is lost meanwhile, for the book goes on.
    paused: Option<Until>,
    pub(super) theme: Theme,
    pub(super) help: bool,
    /// The crosshair sits on ticks.
    pub(super) snaps: bool,
    pub(super) mouse: Option<(f64, f64)>,
    /// The crosshair as keys have moved it, until the mouse moves.
    pub(super) key_cursor_ns: Option<i64>,
    /// Ticks by which keys want to move it.
    pub(super) step: i64,
    pub(super) ruler: Option<Measure>,
    pub(super) zoom_box: Option<Measure>,
    pub(super) search: Option<Query>,
    /// Names of all symbols by their place in the book, safe to show.
    pub(super) symbols: Vec<String>,
    /// Symbols that an earlier run had hidden or focused and that have not come yet.
    wanted: Wanted,
    /// Pages that the grid has.
    pub(super) pages: usize,
    /// The grid is to turn to the page of the focus.
    page_follows: bool,
    drag: Option<Drag>,
    /// What a first click has changed, for the case that a second one follows.
    before_click: Option<ViewState>,
}

impl Interaction {
    /// Follows the live edge with a span of `span_ns`, which grows up to that length with the data if `grows`.
    pub(super) fn new(span_ns: i64, grows: bool, config: &Config) -> Self {
        let sight = ViewState {
            nav: Navigator::new(span_ns),
            grows_to_ns: grows.then_some(span_ns),
            values: BTreeMap::new(),
            axis: config.axis,
            kind: config.kind,
            layout: config.layout,
            bars: config.bars,
            volume: true,
            focus: None,
            solo: None,
            hidden: HashSet::new(),
            page: 0,
        };
        Self {
            sight,
            history: History::default(),
            home: (span_ns, grows),
            paused: None,
            theme: config.theme,
            help: false,
            snaps: true,
            mouse: None,
            key_cursor_ns: None,
            step: 0,
            ruler: None,
            zoom_box: None,
            search: None,
            symbols: Vec::new(),
            wanted: Wanted::new(&config.remembered),
            pages: 1,
            page_follows: false,
            drag: None,
            before_click: None,
        }
    }

    /// Moves on with the live edge, if the view does, and tells what is to be shown. `edge_ns` is the clock's time
    /// before the first tick, `oldest_ns` the first tick's.
    pub(super) fn advance(&mut self, edge_ns: i64, oldest_ns: i64) -> TimeSpan {
        if self.is_paused() {
            return self.sight.nav.span();
        }
        if let Some(longest_ns) = self.sight.grows_to_ns {
            let reach_ns = edge_ns.saturating_sub(oldest_ns) as f64 * GROWN_SHARE;
            let doublings = (reach_ns / GROWS_FROM_NS as f64).max(1.0).log2();
            let grown_ns = (GROWS_FROM_NS as f64 * ((doublings * GROWTH_STEPS).ceil() / GROWTH_STEPS).exp2()) as i64;
            self.sight.nav = Navigator::new(grown_ns.min(longest_ns));
        }
        self.sight.nav.advance(Some(edge_ns));
        self.sight.nav.span()
    }

    /// What is to be shown, the last input included.
    pub(super) fn span(&self) -> TimeSpan {
        self.sight.nav.span()
    }

    /// The view moves with the live edge.
    pub(super) fn follows(&self) -> bool {
        !self.is_paused() && self.sight.nav.is_following()
    }

    /// The user stopped it.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// How far it is shown.
    pub(super) fn until(&self) -> Until {
        self.paused.unwrap_or(Until { tick_ns: i64::MAX, edge_ns: i64::MAX })
    }

    /// The value axis that the user has set for a plot in this measure.
    pub(super) fn value_of(&self, plot: PlotId, axis: AxisKind) -> Option<ValueSpan> {
        self.sight.values.get(&plot).filter(|(set_in, _)| *set_in == axis).map(|(_, value)| *value)
    }

    fn set_value(&mut self, plot: PlotId, value: ValueSpan, seen: &Seen<'_>) {
        self.sight.values.insert(plot, (seen.seeing.axis, value));
    }

    /// The symbol that bars and keys are about: the focused one, or else the first that is shown.
    pub(super) fn focus(&self) -> Option<usize> {
        let chosen = self.sight.focus.filter(|focus| *focus < self.symbols.len() && self.sight.shows(*focus));
        chosen.or_else(|| (0..self.symbols.len()).find(|symbol| self.sight.shows(*symbol)))
    }

    /// The symbol that the user has singled out, if any.
    pub(super) fn singled_out(&self) -> Option<usize> {
        self.sight.focus.filter(|focus| self.sight.shows(*focus))
    }

    /// The page of the grid that shows `visible`, so many on each.
    pub(super) fn page_of(&mut self, visible: &[usize], fitting: usize) -> usize {
        self.pages = visible.len().div_ceil(fitting.max(1)).max(1);
        let focus = self.focus().and_then(|focus| visible.iter().position(|symbol| *symbol == focus));
        if let Some(place) = focus.filter(|_| std::mem::take(&mut self.page_follows)) {
            self.sight.page = place / fitting.max(1);
        }
        self.sight.page.min(self.pages - 1)
    }

    /// Moves the view so that an instant outside of it comes in, near the edge that it was beyond.
    pub(super) fn reveal(&mut self, time_ns: i64, edge_ns: Option<i64>) {
        let span = self.span();
        let margin_ns = span.len_ns() / 20;
        let by_ns = if time_ns < span.start {
            time_ns.saturating_sub(span.start).saturating_sub(margin_ns)
        } else if time_ns >= span.end {
            time_ns.saturating_sub(span.end).saturating_add(margin_ns)
        } else {
            return;
        };
        self.sight.grows_to_ns = None;
        self.sight.nav.show(span.panned(by_ns), edge_ns);
    }

    /// Leaves out what belongs to a hand at work: the picture is for others.
    pub(super) fn let_go(&mut self) {
        (self.mouse, self.key_cursor_ns, self.search, self.zoom_box) = (None, None, None, None);
        self.help = false;
    }

    /// Takes one input. Returns what only the caller can do.
    pub(super) fn apply(&mut self, input: Input, seen: &Seen<'_>) -> Option<Request> {
        let (before, focus) = (self.sight.clone(), self.focus());
        let (request, gesture) = self.dispatch(input, seen);
        if self.sight.focus != before.focus {
            // The user has chosen: what an earlier run had does not matter any more.
            self.wanted.forget_focus();
        }
        if self.focus() != focus && self.sight.kind != KindChoice::Lines {
            // The one chart is about another symbol now.
            self.sight.values.remove(&PlotId::Whole);
        }
        match gesture {
            Some(gesture) if self.sight != before => self.history.note(before, gesture),
            Some(Gesture::Single) => self.history.rest(),
            _ => {}
        }
        request
    }

    /// Also says what kind of step it is; `None` for what is none, whatever it changes.
    fn dispatch(&mut self, input: Input, seen: &Seen<'_>) -> (Option<Request>, Option<Gesture>) {
        let gesture = match input {
            Input::Closed => return (Some(Request::Quit), None),
            Input::Key { key, repeat, held } => {
                let undoes = matches!(key, crate::chart::Key::Letter('z' | 'y') | crate::chart::Key::Backspace);
                let gesture = if repeat { Gesture::Repeat } else { Gesture::Single };
                return (self.key(key, held, repeat, seen), Some(gesture).filter(|_| !undoes));
            }
            Input::Text(c) => {
                if let Some(search) = &mut self.search {
                    search.text(c);
                }
                return (None, None);
            }
            Input::Moved { x, y } => {
                let drags = self.drag.is_some();
                self.moved(x, y, seen);
                return (None, drags.then_some(Gesture::Drag));
            }
            Input::Left => {
                self.mouse = None;
                return (None, None);
            }
            Input::Pressed { x, y, button, held, clicks } => {
                self.pressed((x, y), (button, held, clicks), seen);
                return (None, None);
            }
            Input::Released { x, y, .. } => {
                // A double-click is one step, whatever its first click has done.
                let again = self.drag.as_ref().is_some_and(|drag| drag.clicks > 1);
                self.released(x, y, seen);
                if again { Gesture::Repeat } else { Gesture::Single }
            }
            Input::Wheel { x, y, up, right, held } => {
                self.wheel(Notch { x, y, up, right, held }, seen);
                Gesture::Wheel
            }
            Input::Resized { .. } => return (None, None),
        };
        (None, Some(gesture))
    }

    fn undo(&mut self, seen: &Seen<'_>) {
        if let Some(before) = self.history.undo(&self.sight) {
            self.take_sight(before, seen);
        }
    }

    fn redo(&mut self, seen: &Seen<'_>) {
        if let Some(after) = self.history.redo(&self.sight) {
            self.take_sight(after, seen);
        }
    }

    /// A view that followed the live edge follows it from where that is now, or was when the chart was paused.
    fn take_sight(&mut self, sight: ViewState, seen: &Seen<'_>) {
        self.sight = sight;
        let edge_ns = self.paused.map_or(seen.seeing.edge_ns, |until| Some(until.edge_ns).filter(|ns| *ns > i64::MIN));
        self.sight.nav.advance(edge_ns);
    }

    fn toggle_symbol(&mut self, index: usize) {
        if index >= self.symbols.len() {
            return;
        }
        self.sight.end_solo(self.symbols.len());
        if !self.sight.hidden.remove(&index) {
            self.sight.hidden.insert(index);
        }
    }

    fn toggle_solo(&mut self, symbol: Option<usize>) {
        self.sight.solo = symbol.filter(|_| self.sight.solo != symbol);
    }

    fn toggle_pause(&mut self, seen: &Seen<'_>) {
        if self.is_paused() {
            self.go_live(seen);
        } else {
            self.paused = Some(seen.until());
        }
    }

    fn go_live(&mut self, seen: &Seen<'_>) {
        self.paused = None;
        self.sight.nav.go_live(seen.seeing.edge_ns);
    }

    /// As the program began.
    fn fit_time(&mut self, seen: &Seen<'_>) {
        let (span_ns, grows) = self.home;
        self.sight.nav = Navigator::new(span_ns);
        self.sight.grows_to_ns = grows.then_some(span_ns);
        self.go_live(seen);
    }

    fn go_to_start(&mut self, seen: &Seen<'_>) {
        if let Some(oldest) = seen.seeing.oldest_ns {
            let len_ns = seen.seeing.span.len_ns();
            let start = oldest.saturating_sub(len_ns / 50);
            self.look_at(TimeSpan::new(start, start.saturating_add(len_ns)), seen);
        }
    }

    /// Where the crosshair is.
    fn crosshair(&self, seen: &Seen<'_>) -> Option<Cursor> {
        match (self.key_cursor_ns, self.mouse) {
            (Some(_), _) => seen.seeing.cursor,
            (None, Some((x, y))) => cursor_at(seen, x, y),
            (None, None) => None,
        }
    }

    /// Zooms around the mouse, or around the live edge, or around the middle.
    fn zoom(&mut self, factor: f64, seen: &Seen<'_>) {
        let span = seen.seeing.span;
        let over_plot = self.mouse.and_then(|(x, _)| {
            let panes = (0..seen.frame.panes()).map(|pane| seen.frame.pane(pane).plot);
            panes.into_iter().find(|plot| x >= f64::from(plot.left) && x < f64::from(plot.right)).map(|plot| (x, plot))
        });
        let anchor = match (over_plot, seen.seeing.edge_ns) {
            (Some((x, plot)), _) => transform(plot, span).time_at(x),
            (None, Some(edge)) if self.follows() => edge,
            _ => span.start.saturating_add(span.len_ns() / 2),
        };
        self.look_at(span.zoomed(anchor, factor), seen);
    }

    /// The plot that the mouse is over, or its value axis; else that of the focus.
    fn plot_at_hand<'a>(&self, seen: &'a Seen<'_>) -> Option<(&'a Plot, crate::chart::Rect)> {
        let at_mouse = self.mouse.and_then(|(x, y)| {
            let panes = 0..seen.frame.panes();
            panes.into_iter().find(|pane| {
                let frame = seen.frame.pane(*pane);
                frame.plot.contains(x, y) || frame.value_axis.contains(x, y)
            })
        });
        let of_focus = || seen.seeing.plots.iter().position(|plot| Some(plot.id) == self.focus().map(PlotId::Symbol));
        let pane = at_mouse.or_else(of_focus).unwrap_or(0);
        seen.seeing.plots.get(pane).map(|plot| (plot, seen.frame.pane(pane).plot))
    }

    /// Zooms in price around the mouse, or around the middle.
    fn zoom_value(&mut self, factor: f64, seen: &Seen<'_>) {
        let Some((plot, rect)) = self.plot_at_hand(seen) else { return };
        let share = self.mouse.filter(|(_, y)| *y >= f64::from(rect.top) && *y < f64::from(rect.bottom));
        let share = share.map_or(0.5, |(_, y)| (f64::from(rect.bottom) - y) / f64::from(rect.height().max(1)));
        // Several strokes may come between two pictures.
        let value = self.value_of(plot.id, seen.seeing.axis).unwrap_or(plot.value);
        self.set_value(plot.id, value.zoomed(value.value_at(share), factor), seen);
    }

    fn pan_value(&mut self, lengths: f64, seen: &Seen<'_>) {
        if let Some((plot, _)) = self.plot_at_hand(seen) {
            let value = self.value_of(plot.id, seen.seeing.axis).unwrap_or(plot.value);
            self.set_value(plot.id, value.panned(lengths), seen);
        }
    }

    fn pan(&mut self, share: f64, seen: &Seen<'_>) {
        let span = seen.seeing.span;
        self.look_at(span.panned((span.len_ns() as f64 * share) as i64), seen);
    }

    /// Shows `span`; it goes on with the live edge if that lies in it and the view is not paused.
    fn look_at(&mut self, span: TimeSpan, seen: &Seen<'_>) {
        self.sight.grows_to_ns = None;
        if self.is_paused() {
            // Whoever moves on a paused chart wants to see what is there by now.
            self.paused = Some(seen.until());
        }
        self.sight.nav.show(span, seen.seeing.edge_ns);
    }
}

#[cfg(test)]
mod tests;
