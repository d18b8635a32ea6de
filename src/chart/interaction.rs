//! View state and its changes by keys, mouse and data. Input goes in; the state of the view comes out.

mod gestures;
mod hit_test;
mod keymap;
mod measurement;
mod persistence;
mod search;
mod view_state;

use std::collections::{BTreeMap, HashSet};

use crate::chart::{AxisKind, Input, Key, Navigator, Rect, Theme, ValueSpan};
use crate::model::TimeSpan;
use gestures::Drag;
pub use hit_test::{Cursor, HitTest, PausePoint, Plot, VisibleTicks};
pub(crate) use keymap::HELP;
pub(crate) use measurement::Measurement;
use persistence::PendingSymbols;
pub use persistence::ViewSettings;
pub(crate) use search::{RESULTS_MAX, SymbolSearch, matching_symbols};
pub use view_state::{AxisMode, ChartKind, PaneLayout, PlotId};
use view_state::{Gesture, UndoHistory, ViewState};

/// Factor by which a notch of the wheel or a press of `+` shortens the visible span.
const ZOOM_STEP: f64 = 0.8;

/// Share of the visible span that a press of a cursor key moves by.
const PAN_STEP: f64 = 0.1;

/// Initial length of a span that grows with the data, ns. A shorter one would scroll too fast to read.
const GROWS_FROM_NS: i64 = 20_000_000_000;

/// Number of steps in which a growing span doubles. Between two steps the view only scrolls, so that most of the cached
/// columns stay valid.
const GROWTH_STEPS: f64 = 32.0;

/// Length of a grown span relative to that of the data. Leaves room to the right of the newest tick.
const GROWN_SHARE: f64 = 1.05;

/// An action that only the caller of [`Interaction::apply`] can perform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// End the program.
    Quit,
    /// Save the frame to a file.
    Screenshot,
    /// Save the visible ticks to a file.
    Export,
}

/// A page of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GridPage {
    /// From 0.
    pub(crate) index: usize,
    pub(crate) count: usize,
    /// The page was turned to that of the focused symbol.
    pub(super) is_of_focus: bool,
}

/// The view resolved against the data of one frame. [`Interaction::adopt`] takes it over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResolvedView {
    nav: Navigator,
    grows_to_ns: Option<i64>,
    /// Time of the crosshair as moved by keys.
    pub(crate) key_cursor_ns: Option<i64>,
    /// `None` if there is no grid.
    pub(crate) page: Option<GridPage>,
}

impl ResolvedView {
    /// Visible span.
    pub(crate) fn span(&self) -> TimeSpan {
        self.nav.span()
    }

    /// Moves the view by as little as brings an instant into it, near the edge that it was beyond.
    pub(crate) fn reveal(&mut self, time_ns: i64, edge_ns: Option<i64>) {
        let span = self.span();
        let margin_ns = span.len_ns() / 20;
        let by_ns = if time_ns < span.start {
            time_ns.saturating_sub(span.start).saturating_sub(margin_ns)
        } else if time_ns >= span.end {
            time_ns.saturating_sub(span.end).saturating_add(margin_ns)
        } else {
            return;
        };
        self.grows_to_ns = None;
        self.nav.show(span.panned(by_ns), edge_ns);
    }
}

/// State of the view, and the effect of input on it. Holds no data: each input comes with the [`HitTest`] of the frame
/// that the user saw.
///
/// # Examples
///
/// ```
/// use tickscope::chart::{ChartKind, HitTest, Input, Interaction, Key, Modifiers, Request, ViewSettings};
///
/// let mut interaction = Interaction::new(ViewSettings::default());
/// let last_frame = HitTest::empty(0);
/// let mut press = |key| interaction.apply(Input::Key { key, repeat: false, held: Modifiers::NONE }, &last_frame);
/// assert_eq!(press(Key::Letter('c')), None);
/// assert_eq!(press(Key::Letter('q')), Some(Request::Quit));
/// assert_eq!(interaction.settings().kind, ChartKind::Candles);
/// ```
#[derive(Debug)]
pub struct Interaction {
    pub(crate) view: ViewState,
    history: UndoHistory,
    /// Span at the start, ns, and whether it grows up to that length.
    initial_span: (i64, bool),
    /// Newest data shown; `None` while live. Data keeps arriving while the chart is paused.
    paused: Option<PausePoint>,
    pub(crate) theme: Theme,
    pub(crate) help: bool,
    /// The crosshair snaps to ticks.
    pub(crate) snap: bool,
    pub(crate) mouse: Option<(f64, f64)>,
    /// Time of the crosshair as moved by keys, until the mouse moves.
    pub(crate) key_cursor_ns: Option<i64>,
    /// Number of ticks or bars by which keys have moved the crosshair since the last frame.
    pub(crate) cursor_steps: i64,
    pub(crate) ruler: Option<Measurement>,
    pub(crate) zoom_box: Option<Measurement>,
    pub(crate) search: Option<SymbolSearch>,
    /// Names of all symbols by index, safe to display.
    pub(crate) symbols: Vec<String>,
    pending: PendingSymbols,
    /// Number of pages of the grid.
    pages: usize,
    /// The grid turns to the page of the focused symbol in the next frame.
    page_follows_focus: bool,
    drag: Option<Drag>,
    /// View before a click on the legend. A double-click restores it.
    before_click: Option<ViewState>,
}

impl Interaction {
    /// Starts a view that follows the live edge.
    pub fn new(settings: ViewSettings) -> Self {
        let ViewSettings { span_ns, grows, axis, kind, layout, bar_interval, theme, focused, hidden } = settings;
        let view = ViewState {
            nav: Navigator::new(span_ns),
            grows_to_ns: grows.then_some(span_ns),
            values: BTreeMap::new(),
            axis,
            kind,
            layout,
            bar_interval,
            volume: true,
            focus: None,
            solo: None,
            hidden: HashSet::new(),
            page: 0,
        };
        Self {
            view,
            history: UndoHistory::default(),
            initial_span: (span_ns, grows),
            paused: None,
            theme,
            help: false,
            snap: true,
            mouse: None,
            key_cursor_ns: None,
            cursor_steps: 0,
            ruler: None,
            zoom_box: None,
            search: None,
            symbols: Vec::new(),
            pending: PendingSymbols { hidden: hidden.into_iter().collect(), focus: focused },
            pages: 1,
            page_follows_focus: false,
            drag: None,
            before_click: None,
        }
    }

    /// The view for data whose live edge is at `edge_ns` and whose oldest tick is at `oldest_ns`. Before the first
    /// tick, both are the current time.
    pub(crate) fn resolve(&self, edge_ns: i64, oldest_ns: i64) -> ResolvedView {
        let ViewState { mut nav, grows_to_ns, .. } = self.view;
        if !self.is_paused() {
            if let Some(longest_ns) = grows_to_ns {
                let reach_ns = edge_ns.saturating_sub(oldest_ns) as f64 * GROWN_SHARE;
                let doublings = (reach_ns / GROWS_FROM_NS as f64).max(1.0).log2();
                let factor = ((doublings * GROWTH_STEPS).ceil() / GROWTH_STEPS).exp2();
                nav = Navigator::new(((GROWS_FROM_NS as f64 * factor) as i64).min(longest_ns));
            }
            nav.advance(Some(edge_ns));
        }
        ResolvedView { nav, grows_to_ns, key_cursor_ns: self.key_cursor_ns, page: None }
    }

    /// Takes over the view of the frame that is being built.
    pub fn adopt(&mut self, resolved: &ResolvedView) {
        let ResolvedView { nav, grows_to_ns, key_cursor_ns, page } = *resolved;
        (self.view.nav, self.view.grows_to_ns) = (nav, grows_to_ns);
        (self.key_cursor_ns, self.cursor_steps) = (key_cursor_ns, 0);
        if let Some(page) = page {
            self.pages = page.count;
            if page.is_of_focus {
                (self.view.page, self.page_follows_focus) = (page.index, false);
            }
        }
    }

    /// Drops or fixes measurements according to the frame that was built last.
    pub fn settle_measurements(&mut self, last: &HitTest) {
        for measurement in [&mut self.ruler, &mut self.zoom_box] {
            *measurement = measurement.and_then(|it| it.in_frame(&last.plots, last.axis, last.cursor));
        }
    }

    /// Number of symbols added so far.
    pub fn symbols_len(&self) -> usize {
        self.symbols.len()
    }

    /// Visible span, including the effect of the last input.
    pub fn span(&self) -> TimeSpan {
        self.view.nav.span()
    }

    /// Returns whether the view moves with the live edge.
    pub fn follows(&self) -> bool {
        !self.is_paused() && self.view.nav.is_following()
    }

    /// As [`Interaction::follows`], once the view is adopted.
    pub(crate) fn will_follow(&self, resolved: &ResolvedView) -> bool {
        !self.is_paused() && resolved.nav.is_following()
    }

    /// Returns whether the user has paused the chart.
    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Newest data shown.
    pub fn pause_point(&self) -> PausePoint {
        self.paused.unwrap_or(PausePoint::LIVE)
    }

    /// The value axis that the user has set for a plot, if it was set on this kind of axis.
    pub(crate) fn value_of(&self, plot: PlotId, axis: AxisKind) -> Option<ValueSpan> {
        self.view.values.get(&plot).filter(|(kind, _)| *kind == axis).map(|(_, value)| *value)
    }

    fn set_value(&mut self, plot: PlotId, value: ValueSpan, last: &HitTest) {
        self.view.values.insert(plot, (last.axis, value));
    }

    /// The symbol that bars and keys act on: the focused one, or else the first one shown.
    pub(crate) fn focus(&self) -> Option<usize> {
        let chosen = self.explicit_focus().filter(|focus| *focus < self.symbols.len());
        chosen.or_else(|| (0..self.symbols.len()).find(|symbol| self.view.shows(*symbol)))
    }

    /// The symbol that the user has focused, if it is shown.
    pub(crate) fn explicit_focus(&self) -> Option<usize> {
        self.view.focus.filter(|focus| self.view.shows(*focus))
    }

    /// The page of a grid of `visible` symbols with at most `page_len` panes a page.
    pub(crate) fn page_of(&self, visible: &[usize], page_len: usize) -> GridPage {
        let page_len = page_len.max(1);
        let count = visible.len().div_ceil(page_len).max(1);
        let focus = self.focus().filter(|_| self.page_follows_focus);
        let place = focus.and_then(|focus| visible.iter().position(|symbol| *symbol == focus));
        let index = place.map_or(self.view.page, |place| place / page_len).min(count - 1);
        GridPage { index, count, is_of_focus: place.is_some() }
    }

    /// Removes what belongs to the user's current input, for a frame that is saved at exit.
    pub fn end_input(&mut self) {
        (self.mouse, self.key_cursor_ns, self.search, self.zoom_box) = (None, None, None, None);
        self.help = false;
    }

    /// Applies one input, given the last frame. Returns an action for the caller, if there is one.
    pub fn apply(&mut self, input: Input, last: &HitTest) -> Option<Request> {
        let (before, focus) = (self.view.clone(), self.focus());
        let (request, gesture) = self.dispatch(input, last);
        if self.view.focus != before.focus {
            // A choice in this run overrides that of an earlier run.
            self.pending.focus = None;
        }
        if self.focus() != focus && self.view.kind != ChartKind::Lines {
            // The chart shows the bars of another symbol now.
            self.view.values.remove(&PlotId::Main);
        }
        match gesture {
            Some(gesture) if self.view != before => self.history.record(before, gesture),
            Some(Gesture::Single) => self.history.end_step(),
            _ => {}
        }
        request
    }

    /// Applies an input. The gesture is `None` if the input is no undo step, whatever it changes.
    fn dispatch(&mut self, input: Input, last: &HitTest) -> (Option<Request>, Option<Gesture>) {
        let gesture = match input {
            Input::Closed => return (Some(Request::Quit), None),
            Input::Key { key, repeat, held } => {
                let undoes = matches!(key, Key::Letter('z' | 'y') | Key::Backspace);
                let gesture = if repeat { Gesture::Repeat } else { Gesture::Single };
                return (self.key(key, held, repeat, last), Some(gesture).filter(|_| !undoes));
            }
            Input::Text(c) => {
                self.search.iter_mut().for_each(|search| search.text(c));
                None
            }
            Input::Moved { x, y } => {
                let gesture = self.drag.as_ref().map(|_| Gesture::Drag);
                self.mouse_moved(x, y, last);
                gesture
            }
            Input::Left => {
                self.mouse = None;
                None
            }
            Input::Pressed { x, y, button, held, clicks } => {
                self.mouse_pressed((x, y), (button, held, clicks), last);
                None
            }
            Input::Released { x, y, .. } => {
                // A double-click is one step, whatever its first click has changed.
                let is_double = self.drag.as_ref().is_some_and(|drag| drag.clicks > 1);
                self.mouse_released(x, y, last);
                Some(if is_double { Gesture::Repeat } else { Gesture::Single })
            }
            Input::Wheel { x, y, up, right, held } => {
                self.wheel((x, y), (up, right), held, last);
                Some(Gesture::Wheel)
            }
            Input::Resized { .. } => None,
        };
        (None, gesture)
    }

    /// Undoes or redoes a step. A view that followed the live edge follows it from its position now, or from that at
    /// the pause.
    fn undo(&mut self, redoes: bool, last: &HitTest) {
        let Some(view) = self.history.step(&self.view, redoes) else { return };
        self.view = view;
        let edge_ns = self.paused.map_or(last.edge_ns, |point| Some(point.edge_ns).filter(|ns| *ns > i64::MIN));
        self.view.nav.advance(edge_ns);
    }

    fn toggle_symbol(&mut self, index: usize) {
        if index >= self.symbols.len() {
            return;
        }
        self.view.end_solo(self.symbols.len());
        if !self.view.hidden.remove(&index) {
            self.view.hidden.insert(index);
        }
    }

    fn toggle_solo(&mut self, symbol: Option<usize>) {
        self.view.solo = symbol.filter(|_| self.view.solo != symbol);
    }

    fn toggle_pause(&mut self, last: &HitTest) {
        if self.is_paused() {
            self.go_live(last);
        } else {
            self.paused = Some(last.pause_point());
        }
    }

    fn go_live(&mut self, last: &HitTest) {
        self.paused = None;
        self.view.nav.go_live(last.edge_ns);
    }

    /// Restores the span at the start of the program.
    fn reset_span(&mut self, last: &HitTest) {
        let (span_ns, grows) = self.initial_span;
        self.view.nav = Navigator::new(span_ns);
        self.view.grows_to_ns = grows.then_some(span_ns);
        self.go_live(last);
    }

    fn go_to_start(&mut self, last: &HitTest) {
        if let Some(oldest_ns) = last.oldest_ns {
            let len_ns = last.span.len_ns();
            let start = oldest_ns.saturating_sub(len_ns / 50);
            self.show_span(TimeSpan::new(start, start.saturating_add(len_ns)), last);
        }
    }

    /// Position of the crosshair.
    fn crosshair(&self, last: &HitTest) -> Option<Cursor> {
        match (self.key_cursor_ns, self.mouse) {
            (Some(_), _) => last.cursor,
            (None, Some((x, y))) => last.cursor_at(x, y),
            (None, None) => None,
        }
    }

    /// Zooms in time around the mouse, or else the live edge if the view follows it, or else the middle.
    fn zoom(&mut self, factor: f64, last: &HitTest) {
        let is_below = |rect: Rect, x: f64| x >= f64::from(rect.left) && x < f64::from(rect.right);
        let pane_below = |x: f64| last.pane_where(|pane| is_below(pane.plot, x));
        let at_mouse = self.mouse.and_then(|(x, _)| Some(last.transform(pane_below(x)?).time_at(x)));
        let at_edge = || last.edge_ns.filter(|_| self.follows());
        let middle = last.span.start.saturating_add(last.span.len_ns() / 2);
        self.show_span(last.span.zoomed(at_mouse.or_else(at_edge).unwrap_or(middle), factor), last);
    }

    /// The plot under the mouse, value axis included, or else that of the focused symbol, or else the first.
    fn active_plot(&self, last: &HitTest) -> Option<(Plot, Rect)> {
        let at_mouse = self
            .mouse
            .and_then(|(x, y)| last.pane_where(|pane| pane.plot.contains(x, y) || pane.value_axis.contains(x, y)));
        let of_focus = || last.plots.iter().position(|plot| Some(plot.id) == self.focus().map(PlotId::Symbol));
        let pane = at_mouse.or_else(of_focus).unwrap_or(0);
        let plot = *last.plots.get(pane)?;
        // Several inputs may arrive between two frames: each continues from the one before.
        let value = self.value_of(plot.id, last.axis).unwrap_or(plot.value);
        Some((Plot { value, ..plot }, last.layout.pane(pane).plot))
    }

    /// Zooms in price around the mouse, or around the middle.
    fn zoom_value(&mut self, factor: f64, last: &HitTest) {
        let Some((Plot { id, value }, rect)) = self.active_plot(last) else { return };
        let row = self.mouse.map(|(_, y)| y).filter(|y| *y >= f64::from(rect.top) && *y < f64::from(rect.bottom));
        let share = row.map_or(0.5, |y| (f64::from(rect.bottom) - y) / f64::from(rect.height().max(1)));
        self.set_value(id, value.zoomed(value.value_at(share), factor), last);
    }

    fn pan_value(&mut self, lengths: f64, last: &HitTest) {
        if let Some((Plot { id, value }, _)) = self.active_plot(last) {
            self.set_value(id, value.panned(lengths), last);
        }
    }

    fn pan(&mut self, share: f64, last: &HitTest) {
        self.show_span(last.span.panned((last.span.len_ns() as f64 * share) as i64), last);
    }

    /// Shows `span`. It follows the live edge if that lies in it and the chart is not paused.
    fn show_span(&mut self, span: TimeSpan, last: &HitTest) {
        self.view.grows_to_ns = None;
        if self.is_paused() {
            // Moving a paused chart shows what has arrived since.
            self.paused = Some(last.pause_point());
        }
        self.view.nav.show(span, last.edge_ns);
    }
}

#[cfg(test)]
mod tests;
