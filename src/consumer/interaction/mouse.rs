//! What the mouse does.

use crate::chart::{Button, Modifiers, Transform, ValueSpan, Viewport};
use crate::consumer::args::LayoutChoice;
use crate::consumer::interaction::measure::{Cursor, End, Measure, boxed};
use crate::consumer::interaction::search::find;
use crate::consumer::interaction::view_state::PlotId;
use crate::consumer::interaction::{Interaction, PAN_STEP, Seen, ZOOM_STEP};
use crate::model::TimeSpan;

/// A press that moves less than this, in pixels, is a click and not a drag.
const CLICK_SLACK_PX: f64 = 3.0;

/// A drag on the value axis over its whole height zooms this much.
const AXIS_ZOOM: f64 = 8.0;

/// A press of a button that has not been let go.
#[derive(Debug, Clone)]
pub(super) struct Drag {
    x: f64,
    y: f64,
    what: Grip,
    button: Button,
    held: Modifiers,
    pub(super) clicks: u8,
    moved: bool,
}

/// What was taken hold of.
#[derive(Debug, Clone, Copy)]
enum Grip {
    /// The chart: time, and the value axis where the user has set it.
    Chart { span: TimeSpan, value: Option<(PlotId, ValueSpan)> },
    /// The value axis of a plot.
    ValueAxis { plot: PlotId, value: ValueSpan },
    /// An end of the ruler.
    Ruler,
    /// A corner of a box.
    Corner,
    /// Nothing that can be moved.
    Nothing,
}

/// A notch of the wheel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Notch {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) up: f64,
    pub(super) right: f64,
    pub(super) held: Modifiers,
}

impl Interaction {
    pub(super) fn wheel(&mut self, notch: Notch, seen: &Seen<'_>) {
        if notch.right != 0.0 {
            self.pan(notch.right * PAN_STEP, seen);
        }
        if notch.up != 0.0 {
            self.mouse = Some((notch.x, notch.y));
            let factor = ZOOM_STEP.powf(notch.up);
            let over_axis = value_axis_at(seen, notch.x, notch.y).is_some();
            if notch.held.shift || over_axis { self.zoom_value(factor, seen) } else { self.zoom(factor, seen) }
        }
    }

    pub(super) fn moved(&mut self, x: f64, y: f64, seen: &Seen<'_>) {
        self.mouse = Some((x, y));
        self.key_cursor_ns = None;
        let Some(drag) = &mut self.drag else { return };
        drag.moved |= (x - drag.x).hypot(y - drag.y) > CLICK_SLACK_PX;
        if !drag.moved {
            return;
        }
        let (dx, dy) = (x - drag.x, y - drag.y);
        match drag.what {
            Grip::Chart { span, value } => {
                let frame = seen.frame.pane(0);
                let columns = transform(frame.plot, seen.seeing.span).columns();
                self.look_at(span.panned_columns(-dx, columns), seen);
                if let Some((plot, value)) = value {
                    let height = f64::from(frame.plot.height().max(1));
                    self.set_value(plot, value.panned(dy / height), seen);
                }
            }
            Grip::ValueAxis { plot, value } => {
                let height = f64::from(seen.frame.pane(0).plot.height().max(1));
                let middle = value.value_at(0.5);
                self.set_value(plot, value.zoomed(middle, AXIS_ZOOM.powf(dy / height)), seen);
            }
            Grip::Ruler if self.ruler.is_none() => self.ruler = self.begin(seen),
            Grip::Corner if self.zoom_box.is_none() => self.zoom_box = self.begin(seen),
            Grip::Ruler | Grip::Corner | Grip::Nothing => {}
        }
    }

    /// Leaves what was taken hold of as it is.
    pub(super) fn let_grip_go(&mut self) {
        if let Some(drag) = &mut self.drag {
            drag.what = Grip::Nothing;
        }
    }

    /// A measurement from where the button went down.
    fn begin(&self, seen: &Seen<'_>) -> Option<Measure> {
        let drag = self.drag.as_ref()?;
        cursor_at(seen, drag.x, drag.y).and_then(|from| Measure::begin(from, seen))
    }

    pub(super) fn pressed(
        &mut self,
        (x, y): (f64, f64),
        (button, held, clicks): (Button, Modifiers, u8),
        seen: &Seen<'_>,
    ) {
        self.mouse = Some((x, y));
        self.key_cursor_ns = None;
        let over_plot = seen.frame.pane_at(x, y);
        let what = if self.help || self.search.is_some() {
            Grip::Nothing
        } else if let Some(plot) = value_axis_at(seen, x, y) {
            match seen.value(plot) {
                Some(value) if button == Button::Left => Grip::ValueAxis { plot, value },
                _ => Grip::Nothing,
            }
        } else if button == Button::Right || held.ctrl {
            over_plot.map_or(Grip::Nothing, |_| Grip::Corner)
        } else if held.shift {
            over_plot.map_or(Grip::Nothing, |_| Grip::Ruler)
        } else if over_plot.is_some() || seen.frame.volume.contains(x, y) || seen.frame.time_axis.contains(x, y) {
            let plot = over_plot.and_then(|pane| seen.seeing.plots.get(pane)).map(|plot| plot.id);
            let value = plot.and_then(|id| Some((id, self.value_of(id, seen.seeing.axis)?)));
            Grip::Chart { span: seen.seeing.span, value }
        } else {
            Grip::Nothing
        };
        if matches!(what, Grip::Ruler) {
            self.ruler = None;
        }
        self.drag = Some(Drag { x, y, what, button, held, clicks, moved: false });
    }

    pub(super) fn released(&mut self, x: f64, y: f64, seen: &Seen<'_>) {
        let Some(drag) = self.drag.take() else { return };
        match drag.what {
            _ if !drag.moved => self.click(x, y, &drag, seen),
            Grip::Ruler => {
                if let Some(ruler) = &mut self.ruler {
                    ruler.end = End::Settles;
                }
            }
            Grip::Corner => {
                if let Some(measure) = self.zoom_box.take() {
                    // A box may end outside the plot that it began in.
                    let end = cursor_in(seen, measure.from.pane, x, y);
                    self.zoom_to_box(measure.from, Some(end), seen);
                }
            }
            Grip::Chart { .. } | Grip::ValueAxis { .. } | Grip::Nothing => {}
        }
    }

    pub(super) fn zoom_to_box(&mut self, from: Cursor, to: Option<Cursor>, seen: &Seen<'_>) {
        let Some(plot) = seen.seeing.plots.get(from.pane) else { return };
        let to = to.filter(|to| to.pane == from.pane);
        if let Some((time, value)) = to.and_then(|to| boxed(from, to, plot.value)) {
            self.look_at(time, seen);
            if let Some(value) = value {
                self.set_value(plot.id, value, seen);
            }
        }
    }

    fn click(&mut self, x: f64, y: f64, drag: &Drag, seen: &Seen<'_>) {
        if self.help {
            self.help = false;
        } else if self.search.is_some() {
            self.click_search(x, y, seen);
        } else if let Some((index, _)) = seen.hits.legend.iter().find(|(_, rect)| rect.contains(x, y)) {
            self.click_legend(*index, drag);
        } else if seen.hits.badge.contains(x, y) {
            if self.follows() { self.toggle_pause(seen) } else { self.go_live(seen) }
        } else if seen.hits.view_badge.contains(x, y) {
            self.go_live(seen);
        } else if seen.hits.help.contains(x, y) {
            self.help = true;
        } else if drag.clicks == 2 {
            self.double_click(x, y, seen);
        } else if seen.frame.pane_at(x, y).is_some() {
            self.click_plot(seen);
        }
    }

    fn click_search(&mut self, x: f64, y: f64, seen: &Seen<'_>) {
        let row = seen.hits.search_rows.iter().position(|rect| rect.contains(x, y));
        let first = seen.seeing.found_first;
        let query = self.search.take();
        let found = row.zip(query).and_then(|(row, query)| find(&self.symbols, &query.text).get(first + row).copied());
        if let Some(symbol) = found {
            self.focus_on(symbol);
        }
    }

    fn click_legend(&mut self, symbol: usize, drag: &Drag) {
        if drag.button == Button::Right || drag.held.ctrl {
            if self.sight.focus == Some(symbol) { self.sight.set_focus(None) } else { self.focus_on(symbol) }
        } else if drag.clicks == 2 {
            // What the first click has done was not meant.
            if let Some(before) = self.before_click.take() {
                self.sight = before;
            }
            self.toggle_solo(Some(symbol));
        } else if drag.clicks < 2 {
            self.before_click = Some(self.sight.clone());
            self.toggle_symbol(symbol);
        }
    }

    /// On an axis: it fits its data again. On a pane of a grid: that symbol alone, large.
    fn double_click(&mut self, x: f64, y: f64, seen: &Seen<'_>) {
        if let Some(plot) = value_axis_at(seen, x, y) {
            self.sight.values.remove(&plot);
        } else if seen.frame.time_axis.contains(x, y) {
            self.fit_time(seen);
        } else if let Some(Some(PlotId::Symbol(symbol))) =
            seen.frame.pane_at(x, y).map(|pane| seen.seeing.plots.get(pane).map(|plot| plot.id))
        {
            self.sight.layout = LayoutChoice::Overlay;
            self.sight.solo = Some(symbol);
            self.sight.values.remove(&PlotId::Whole);
        }
    }

    /// Takes the ruler away, or focuses what is under the mouse.
    fn click_plot(&mut self, seen: &Seen<'_>) {
        if self.ruler.take().is_none()
            && let Some(symbol) = seen.seeing.pointed
        {
            self.focus_on(symbol);
        }
    }
}

/// The plot whose value axis lies under a place.
fn value_axis_at(seen: &Seen<'_>, x: f64, y: f64) -> Option<PlotId> {
    let pane = (0..seen.frame.panes()).find(|pane| seen.frame.pane(*pane).value_axis.contains(x, y))?;
    seen.seeing.plots.get(pane).map(|plot| plot.id)
}

/// The place under the mouse: where the crosshair is, if that was drawn for this place.
pub(super) fn cursor_at(seen: &Seen<'_>, x: f64, y: f64) -> Option<Cursor> {
    let pane = seen.frame.pane_at(x, y)?;
    let free = cursor_in(seen, pane, x, y);
    let snapped = seen.seeing.cursor.filter(|_| seen.seeing.cursor_px == Some((x, y)));
    Some(snapped.unwrap_or(free))
}

/// The place in a plot, or beyond its edges.
fn cursor_in(seen: &Seen<'_>, pane: usize, x: f64, y: f64) -> Cursor {
    let value = seen.seeing.plots.get(pane).map_or(ValueSpan::EMPTY, |plot| plot.value);
    let rect = seen.frame.pane(pane).plot;
    let at = Transform { viewport: Viewport { time: seen.seeing.span, value }, rect };
    Cursor { pane, time_ns: at.time_at(x), value: at.value_at(y) }
}

pub(super) fn transform(rect: crate::chart::Rect, span: TimeSpan) -> Transform {
    Transform { viewport: Viewport { time: span, value: ValueSpan::EMPTY }, rect }
}
