//! What the user has chosen to look at, and how keys and mouse change it. No clock, no lock, no window: input goes
//! in, the view's state comes out.

use std::collections::HashSet;

use crate::consumer::args::AxisChoice;
use crate::plot::{AxisKind, Frame, Hits, Theme};
use crate::view::{Input, Key, Navigator, TimeSpan, Transform, ValueSpan, Viewport};

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

/// A press that moves less than this, in pixels, is a click and not a drag.
const CLICK_SLACK_PX: f64 = 3.0;

/// What the caller has to do about an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// End the program.
    Quit,
    /// Save the picture.
    Screenshot,
}

#[derive(Debug, Clone, Copy)]
struct Drag {
    x: f64,
    y: f64,
    span: TimeSpan,
    moved: bool,
}

/// The picture that the user sees while an input arrives.
pub(super) struct Seen<'a> {
    pub(super) frame: &'a Frame,
    pub(super) hits: &'a Hits,
    /// The visible span.
    pub(super) span: TimeSpan,
    /// `None` before the first tick.
    pub(super) edge_ns: Option<i64>,
    /// The newest tick that is shown, wherever the edge is.
    pub(super) newest_ns: Option<i64>,
    /// The first tick that is kept.
    pub(super) oldest_ns: Option<i64>,
    pub(super) axis: AxisKind,
}

impl Seen<'_> {
    /// Everything up to now.
    fn until(&self) -> Until {
        Until { tick_ns: self.newest_ns.unwrap_or(i64::MIN), edge_ns: self.edge_ns.unwrap_or(i64::MIN) }
    }
}

/// What came later is not shown: a paused chart has room at its right, which must stay empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Until {
    /// The last tick.
    pub(super) tick_ns: i64,
    /// The live edge, up to which an open gap reaches.
    pub(super) edge_ns: i64,
}

/// The view's state.
#[derive(Debug)]
pub(super) struct Controls {
    nav: Navigator,
    /// While the user has stopped it: what is shown. Nothing is lost meanwhile, for the book goes on.
    paused: Option<Until>,
    /// The span still grows with the data, up to this length, ns.
    grows_to_ns: Option<i64>,
    pub(super) axis: AxisChoice,
    pub(super) theme: Theme,
    pub(super) help: bool,
    /// Symbols that are switched off, by their place in the book.
    pub(super) hidden: HashSet<usize>,
    pub(super) mouse: Option<(f64, f64)>,
    drag: Option<Drag>,
}

impl Controls {
    /// Follows the live edge with a span of `span_ns`, which grows up to that length with the data if `grows`.
    pub(super) fn new(span_ns: i64, grows: bool, axis: AxisChoice, theme: Theme) -> Self {
        Self {
            nav: Navigator::new(span_ns),
            paused: None,
            grows_to_ns: grows.then_some(span_ns),
            axis,
            theme,
            help: false,
            hidden: HashSet::new(),
            mouse: None,
            drag: None,
        }
    }

    /// Moves on with the live edge, if the view does, and tells what is to be shown. `edge_ns` is the clock's time
    /// before the first tick, `oldest_ns` the first tick's.
    pub(super) fn advance(&mut self, edge_ns: i64, oldest_ns: i64) -> TimeSpan {
        if self.is_paused() {
            return self.nav.span();
        }
        if let Some(longest_ns) = self.grows_to_ns {
            let reach_ns = edge_ns.saturating_sub(oldest_ns) as f64 * GROWN_SHARE;
            let doublings = (reach_ns / GROWS_FROM_NS as f64).max(1.0).log2();
            let grown_ns = (GROWS_FROM_NS as f64 * ((doublings * GROWTH_STEPS).ceil() / GROWTH_STEPS).exp2()) as i64;
            self.nav = Navigator::new(grown_ns.min(longest_ns));
        }
        self.nav.advance(Some(edge_ns));
        self.nav.span()
    }

    /// What is to be shown, the last input included.
    pub(super) fn span(&self) -> TimeSpan {
        self.nav.span()
    }

    /// The view moves with the live edge.
    pub(super) fn follows(&self) -> bool {
        !self.is_paused() && self.nav.is_following()
    }

    /// The user stopped it.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// How far it is shown.
    pub(super) fn until(&self) -> Until {
        self.paused.unwrap_or(Until { tick_ns: i64::MAX, edge_ns: i64::MAX })
    }

    /// Takes one input. Returns what only the caller can do.
    pub(super) fn apply(&mut self, input: Input, seen: &Seen<'_>) -> Option<Request> {
        match input {
            Input::Closed => return Some(Request::Quit),
            Input::Key { key, repeat, .. } => return self.key(key, repeat, seen),
            Input::Moved { x, y } => {
                self.mouse = Some((x, y));
                self.drag_to(x, y, seen);
            }
            Input::Left => self.mouse = None,
            Input::Pressed { x, y, .. } => {
                self.mouse = Some((x, y));
                self.drag = Some(Drag { x, y, span: seen.span, moved: false });
            }
            Input::Released { x, y, .. } => {
                if let Some(drag) = self.drag.take()
                    && !drag.moved
                {
                    self.click(x, y, seen);
                }
            }
            Input::Wheel { x, y, up, right, .. } => {
                if right != 0.0 {
                    self.pan(right * PAN_STEP, seen);
                }
                if up != 0.0 {
                    self.mouse = Some((x, y));
                    self.zoom(ZOOM_STEP.powf(up), seen);
                }
            }
            Input::Text(_) | Input::Resized { .. } => {}
        }
        None
    }

    fn key(&mut self, key: Key, repeat: bool, seen: &Seen<'_>) -> Option<Request> {
        match key {
            Key::Plus | Key::Up => self.zoom(ZOOM_STEP, seen),
            Key::Minus | Key::Down => self.zoom(1.0 / ZOOM_STEP, seen),
            Key::Left => self.pan(-PAN_STEP, seen),
            Key::Right => self.pan(PAN_STEP, seen),
            Key::PageUp => self.pan(-0.9, seen),
            Key::PageDown => self.pan(0.9, seen),
            // What is switched must not flicker while a key is held.
            _ if repeat => {}
            Key::Letter('q') => return Some(Request::Quit),
            Key::Letter('s') => return Some(Request::Screenshot),
            Key::Space | Key::Letter('p') => self.toggle_pause(seen),
            Key::Home => self.go_to_start(seen),
            Key::Letter('a') => {
                self.axis = match seen.axis {
                    AxisKind::Price => AxisChoice::Percent,
                    AxisKind::Percent | AxisKind::Log => AxisChoice::Price,
                }
            }
            Key::Letter('t') => {
                self.theme = match self.theme {
                    Theme::Dark => Theme::Light,
                    Theme::Light => Theme::Dark,
                }
            }
            Key::Mark('?') | Key::Letter('h') | Key::F1 => self.help = !self.help,
            Key::Escape if self.help => self.help = false,
            Key::Escape | Key::End | Key::Letter('l') | Key::Enter => self.go_live(seen),
            Key::Digit(0) => self.hidden.clear(),
            Key::Digit(digit) => self.toggle_symbol(usize::from(digit) - 1),
            Key::Letter(_) | Key::Mark(_) | Key::Tab | Key::Backspace => {}
        }
        None
    }

    fn toggle_symbol(&mut self, index: usize) {
        if !self.hidden.remove(&index) {
            self.hidden.insert(index);
        }
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
        self.nav.go_live(seen.edge_ns);
    }

    fn go_to_start(&mut self, seen: &Seen<'_>) {
        if let Some(oldest) = seen.oldest_ns {
            let len_ns = seen.span.len_ns();
            let start = oldest.saturating_sub(len_ns / 50);
            self.look_at(TimeSpan::new(start, start.saturating_add(len_ns)), seen);
        }
    }

    /// Zooms around the mouse, or around the live edge, or around the middle.
    fn zoom(&mut self, factor: f64, seen: &Seen<'_>) {
        let plot = seen.frame.plot;
        let over_plot = self.mouse.filter(|(x, _)| *x >= f64::from(plot.left) && *x < f64::from(plot.right));
        let anchor = match (over_plot, seen.edge_ns) {
            (Some((x, _)), _) => transform(seen).time_at(x),
            (None, Some(edge)) if self.follows() => edge,
            _ => seen.span.start.saturating_add(seen.span.len_ns() / 2),
        };
        self.look_at(seen.span.zoomed(anchor, factor), seen);
    }

    fn pan(&mut self, share: f64, seen: &Seen<'_>) {
        self.look_at(seen.span.panned((seen.span.len_ns() as f64 * share) as i64), seen);
    }

    fn drag_to(&mut self, x: f64, y: f64, seen: &Seen<'_>) {
        let Some(drag) = &mut self.drag else { return };
        let inside = seen.frame.plot.contains(drag.x, drag.y) || seen.frame.time_axis.contains(drag.x, drag.y);
        drag.moved |= (x - drag.x).hypot(y - drag.y) > CLICK_SLACK_PX;
        if drag.moved && inside {
            let span = drag.span.panned_columns(drag.x - x, transform(seen).columns());
            self.look_at(span, seen);
        }
    }

    /// Shows `span`; it goes on with the live edge if that lies in it and the view is not paused.
    fn look_at(&mut self, span: TimeSpan, seen: &Seen<'_>) {
        self.grows_to_ns = None;
        if self.is_paused() {
            // Whoever moves on a paused chart wants to see what is there by now.
            self.paused = Some(seen.until());
        }
        self.nav.show(span, seen.edge_ns);
    }

    fn click(&mut self, x: f64, y: f64, seen: &Seen<'_>) {
        if self.help {
            self.help = false;
        } else if let Some((index, _)) = seen.hits.legend.iter().find(|(_, rect)| rect.contains(x, y)) {
            self.toggle_symbol(*index);
        } else if seen.hits.badge.contains(x, y) {
            self.go_live(seen);
        } else if seen.hits.help.contains(x, y) {
            self.help = true;
        }
    }
}

fn transform(seen: &Seen<'_>) -> Transform {
    Transform { viewport: Viewport { time: seen.span, value: ValueSpan::EMPTY }, rect: seen.frame.plot }
}

/// The help overlay's rows.
pub(super) const HELP: &[(&str, &str)] = &[
    ("Space, P", "pause; again: back to live, nothing is lost"),
    ("wheel, + \u{2212}, \u{2191} \u{2193}", "zoom at the mouse"),
    ("drag, \u{2190} \u{2192}", "move through time"),
    ("Page Up, Page Down", "a screen back, a screen on"),
    ("Home", "to the oldest tick"),
    ("End, L, Esc", "back to live"),
    ("A", "axis: price or percent change"),
    ("1 .. 9, click a symbol", "hide or show it; 0 shows all"),
    ("S", "save a screenshot"),
    ("T", "dark or light"),
    ("?, H, F1", "this help"),
    ("Q", "quit"),
];

#[cfg(test)]
mod tests;
