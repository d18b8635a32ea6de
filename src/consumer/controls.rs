//! What the user has chosen to look at, and how keys and mouse change it. No clock, no lock, no window: input goes
//! in, the view's state comes out.

use std::collections::HashSet;

use crate::consumer::args::AxisChoice;
use crate::plot::{AxisKind, Frame, Hits, Theme};
use crate::view::{TimeSpan, Transform};
use crate::window::{Input, Key};

/// One notch of the wheel or one press of `+` shows this much less time.
const ZOOM_STEP: f64 = 0.8;

/// One press of a cursor key moves by this part of the visible span.
const PAN_STEP: f64 = 0.1;

/// Share of the span that stays free at the right of the live edge, so that the newest tick is not at the rim.
const MARGIN: f64 = 0.04;

/// Empty space right of the live edge ends here, as a share of the span: further out there is nothing to see.
const MARGIN_MAX: f64 = 0.5;

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

/// Where the time axis stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mode {
    /// The right edge moves with the live edge, `ahead_ns` beyond it.
    Follow { ahead_ns: i64 },
    /// The span stands still. Nothing is lost meanwhile: the book goes on.
    Fixed { span: TimeSpan, paused: bool },
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
    /// The first tick that is kept.
    pub(super) oldest_ns: Option<i64>,
    pub(super) axis: AxisKind,
}

/// The view's state.
#[derive(Debug)]
pub(super) struct Controls {
    pub(super) mode: Mode,
    /// Visible span while following, ns.
    pub(super) span_ns: i64,
    /// The span still grows with the data, up to `span_ns`.
    pub(super) grows: bool,
    pub(super) axis: AxisChoice,
    pub(super) theme: Theme,
    pub(super) help: bool,
    /// Symbols that are switched off, by their place in the book.
    pub(super) hidden: HashSet<usize>,
    pub(super) mouse: Option<(f64, f64)>,
    drag: Option<Drag>,
}

fn margin_ns(span_ns: i64) -> i64 {
    (span_ns as f64 * MARGIN) as i64
}

impl Controls {
    pub(super) fn new(span_ns: i64, grows: bool, axis: AxisChoice, theme: Theme) -> Self {
        Self {
            mode: Mode::Follow { ahead_ns: margin_ns(span_ns) },
            span_ns,
            grows,
            axis,
            theme,
            help: false,
            hidden: HashSet::new(),
            mouse: None,
            drag: None,
        }
    }

    /// The span to show, given the live edge and the first tick.
    pub(super) fn span(&self, edge_ns: i64, first_ns: i64) -> TimeSpan {
        /// A growing span begins here: shorter ones would race.
        const GROWS_FROM_NS: i64 = 20_000_000_000;
        let ahead_ns = match self.mode {
            Mode::Fixed { span, .. } => return span,
            Mode::Follow { ahead_ns } => ahead_ns,
        };
        let (mut span_ns, mut ahead_ns) = (self.span_ns, ahead_ns);
        if self.grows {
            let reach_ns = edge_ns.saturating_sub(first_ns) as f64 / (1.0 - MARGIN);
            span_ns = (reach_ns as i64).clamp(GROWS_FROM_NS.min(self.span_ns), self.span_ns);
            ahead_ns = margin_ns(span_ns);
        }
        let end = edge_ns.saturating_add(ahead_ns);
        TimeSpan { start: end.saturating_sub(span_ns.max(1)), end }
    }

    /// Takes one input. Returns what only the caller can do.
    pub(super) fn apply(&mut self, input: Input, seen: &Seen<'_>) -> Option<Request> {
        match input {
            Input::Closed => return Some(Request::Quit),
            Input::Key { key, repeat } => return self.key(key, repeat, seen),
            Input::Moved { x, y } => {
                self.mouse = Some((x, y));
                self.drag_to(x, y, seen);
            }
            Input::Left => self.mouse = None,
            Input::Pressed { x, y } => {
                self.mouse = Some((x, y));
                self.drag = Some(Drag { x, y, span: seen.span, moved: false });
            }
            Input::Released { x, y } => {
                if let Some(drag) = self.drag.take()
                    && !drag.moved
                {
                    self.click(x, y, seen);
                }
            }
            Input::Wheel { x, y, up, right } => {
                if right != 0.0 {
                    self.pan(right * PAN_STEP, seen);
                }
                if up != 0.0 {
                    self.mouse = Some((x, y));
                    self.zoom(ZOOM_STEP.powf(up), seen);
                }
            }
            Input::Resized { .. } => {}
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
            Key::End | Key::Letter('l') | Key::Enter => self.go_live(),
            Key::Home => self.go_to_start(seen),
            Key::Letter('a') => {
                self.axis = match seen.axis {
                    AxisKind::Price => AxisChoice::Percent,
                    AxisKind::Percent => AxisChoice::Price,
                }
            }
            Key::Letter('t') => {
                self.theme = match self.theme {
                    Theme::Dark => Theme::Light,
                    Theme::Light => Theme::Dark,
                }
            }
            Key::Question | Key::Letter('h') | Key::F1 => self.help = !self.help,
            Key::Escape if self.help => self.help = false,
            Key::Escape => self.go_live(),
            Key::Digit(0) => self.hidden.clear(),
            Key::Digit(digit) => self.toggle_symbol(usize::from(digit) - 1),
            Key::Letter(_) => {}
        }
        None
    }

    fn toggle_symbol(&mut self, index: usize) {
        if !self.hidden.remove(&index) {
            self.hidden.insert(index);
        }
    }

    fn toggle_pause(&mut self, seen: &Seen<'_>) {
        match self.mode {
            Mode::Fixed { paused: true, .. } => self.go_live(),
            Mode::Follow { .. } | Mode::Fixed { paused: false, .. } => {
                self.mode = Mode::Fixed { span: seen.span, paused: true };
            }
        }
    }

    /// Back to the live edge, with the span as it is now.
    fn go_live(&mut self) {
        if let Mode::Fixed { span, .. } = self.mode
            && !self.grows
        {
            self.span_ns = span.len_ns();
        }
        self.mode = Mode::Follow { ahead_ns: margin_ns(self.span_ns) };
    }

    fn go_to_start(&mut self, seen: &Seen<'_>) {
        if let Some(oldest) = seen.oldest_ns {
            let margin = margin_ns(seen.span.len_ns());
            let start = oldest.saturating_sub(margin);
            self.look_at(TimeSpan { start, end: start.saturating_add(seen.span.len_ns()) }, seen);
        }
    }

    /// Zooms around the mouse, or around the live edge, or around the middle.
    fn zoom(&mut self, factor: f64, seen: &Seen<'_>) {
        let plot = seen.frame.plot;
        let over_plot = self.mouse.filter(|(x, _)| *x >= f64::from(plot.left) && *x < f64::from(plot.right));
        let anchor = match (over_plot, self.mode, seen.edge_ns) {
            (Some((x, _)), _, _) => transform(seen).time_at(x),
            (None, Mode::Follow { .. }, Some(edge)) => edge,
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
            let ns_per_px = drag.span.len_ns() as f64 / f64::from(seen.frame.plot.width().max(1));
            let span = drag.span.panned(((drag.x - x) * ns_per_px) as i64);
            self.look_at(span, seen);
        }
    }

    /// Shows `span`: as a fixed one, or following if the live edge lies in it.
    fn look_at(&mut self, span: TimeSpan, seen: &Seen<'_>) {
        self.grows = false;
        let paused = matches!(self.mode, Mode::Fixed { paused: true, .. });
        match seen.edge_ns.filter(|edge| !paused && span.end >= *edge) {
            Some(edge) => {
                self.span_ns = span.len_ns();
                let ahead_max = (self.span_ns as f64 * MARGIN_MAX) as i64;
                self.mode = Mode::Follow { ahead_ns: span.end.saturating_sub(edge).clamp(0, ahead_max) };
            }
            None => self.mode = Mode::Fixed { span, paused },
        }
    }

    fn click(&mut self, x: f64, y: f64, seen: &Seen<'_>) {
        if self.help {
            self.help = false;
        } else if let Some((index, _)) = seen.hits.legend.iter().find(|(_, rect)| rect.contains(x, y)) {
            self.toggle_symbol(*index);
        } else if seen.hits.badge.contains(x, y) {
            self.go_live();
        } else if seen.hits.help.contains(x, y) {
            self.help = true;
        }
    }
}

fn transform(seen: &Seen<'_>) -> Transform {
    let value = crate::view::ValueSpan { lo: 0.0, hi: 1.0 };
    Transform { viewport: crate::view::Viewport { time: seen.span, value }, rect: seen.frame.plot }
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
