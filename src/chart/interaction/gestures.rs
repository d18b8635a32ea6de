//! Mouse gestures: wheel, drags and clicks.

use crate::chart::interaction::hit_test::{Cursor, HitTest};
use crate::chart::interaction::measurement::{Measurement, MeasurementEnd, box_spans};
use crate::chart::interaction::search::matching_symbols;
use crate::chart::interaction::view_state::{PaneLayout, PlotId};
use crate::chart::interaction::{Interaction, PAN_STEP, ZOOM_STEP};
use crate::chart::{Button, Modifiers, ValueSpan};
use crate::model::TimeSpan;

/// Distance from which a press becomes a drag and is no longer a click, px.
const CLICK_SLACK_PX: f64 = 3.0;

/// Zoom factor of a drag over the whole height of the value axis.
const AXIS_ZOOM: f64 = 8.0;

/// A mouse button that is held.
#[derive(Debug, Clone)]
pub(super) struct Drag {
    x: f64,
    y: f64,
    target: DragTarget,
    button: Button,
    held: Modifiers,
    pub(super) clicks: u8,
    /// The mouse has moved too far for a click.
    moved: bool,
}

/// Object of a drag.
#[derive(Debug, Clone, Copy)]
enum DragTarget {
    /// The chart, as it was at the press. The value axis moves too if the user has set it.
    Chart { span: TimeSpan, value: Option<(PlotId, ValueSpan)> },
    /// The value axis of a plot, as it was at the press.
    ValueAxis { plot: PlotId, value: ValueSpan },
    /// The end of a new ruler.
    Ruler,
    /// The corner of a new zoom box.
    ZoomBox,
    /// No gesture.
    None,
}

impl Interaction {
    /// Handles the wheel at `(x, y)`, turned by `(up, right)` notches.
    pub(super) fn wheel(&mut self, (x, y): (f64, f64), (up, right): (f64, f64), held: Modifiers, last: &HitTest) {
        if right != 0.0 {
            self.pan(right * PAN_STEP, last);
        }
        if up != 0.0 {
            self.mouse = Some((x, y));
            let factor = ZOOM_STEP.powf(up);
            let is_over_axis = last.value_axis_at(x, y).is_some();
            if held.shift || is_over_axis { self.zoom_value(factor, last) } else { self.zoom(factor, last) }
        }
    }

    pub(super) fn mouse_moved(&mut self, x: f64, y: f64, last: &HitTest) {
        self.mouse = Some((x, y));
        self.key_cursor_ns = None;
        let Some(drag) = &mut self.drag else { return };
        let (from, (dx, dy)) = ((drag.x, drag.y), (x - drag.x, y - drag.y));
        drag.moved |= dx.hypot(dy) > CLICK_SLACK_PX;
        if !drag.moved {
            return;
        }
        let height = f64::from(last.layout.pane(0).plot.height().max(1));
        let start = || last.cursor_at(from.0, from.1).and_then(|from| Measurement::start(from, last));
        match drag.target {
            DragTarget::Chart { span, value } => {
                self.show_span(span.panned_columns(-dx, last.transform(0).columns()), last);
                if let Some((plot, value)) = value {
                    self.set_value(plot, value.panned(dy / height), last);
                }
            }
            DragTarget::ValueAxis { plot, value } => {
                self.set_value(plot, value.zoomed(value.value_at(0.5), AXIS_ZOOM.powf(dy / height)), last);
            }
            DragTarget::Ruler if self.ruler.is_none() => self.ruler = start(),
            DragTarget::ZoomBox if self.zoom_box.is_none() => self.zoom_box = start(),
            DragTarget::Ruler | DragTarget::ZoomBox | DragTarget::None => {}
        }
    }

    /// Ends a drag without an effect, while the button is still held.
    pub(super) fn cancel_drag(&mut self) {
        if let Some(drag) = &mut self.drag {
            drag.target = DragTarget::None;
        }
    }

    pub(super) fn mouse_pressed(
        &mut self,
        (x, y): (f64, f64),
        (button, held, clicks): (Button, Modifiers, u8),
        last: &HitTest,
    ) {
        self.mouse = Some((x, y));
        self.key_cursor_ns = None;
        let target = self.drag_target((x, y), button, held, last);
        if matches!(target, DragTarget::Ruler) {
            self.ruler = None;
        }
        self.drag = Some(Drag { x, y, target, button, held, clicks, moved: false });
    }

    fn drag_target(&self, (x, y): (f64, f64), button: Button, held: Modifiers, last: &HitTest) -> DragTarget {
        let is_over_plot = last.layout.pane_at(x, y).is_some();
        if self.help || self.search.is_some() {
            DragTarget::None
        } else if let Some(plot) = last.value_axis_at(x, y) {
            let value = last.value(plot).filter(|_| button == Button::Left);
            value.map_or(DragTarget::None, |value| DragTarget::ValueAxis { plot, value })
        } else if button == Button::Right || held.ctrl {
            if is_over_plot { DragTarget::ZoomBox } else { DragTarget::None }
        } else if held.shift {
            if is_over_plot { DragTarget::Ruler } else { DragTarget::None }
        } else if is_over_plot || last.layout.volume.contains(x, y) || last.layout.time_axis.contains(x, y) {
            let value = last.plot_at(x, y).and_then(|id| Some((id, self.value_of(id, last.axis)?)));
            DragTarget::Chart { span: last.span, value }
        } else {
            DragTarget::None
        }
    }

    pub(super) fn mouse_released(&mut self, x: f64, y: f64, last: &HitTest) {
        let Some(drag) = self.drag.take() else { return };
        match drag.target {
            _ if !drag.moved => self.click(x, y, &drag, last),
            DragTarget::Ruler => {
                if let Some(ruler) = &mut self.ruler {
                    ruler.end = MeasurementEnd::NextCursor;
                }
            }
            DragTarget::ZoomBox => {
                if let Some(measurement) = self.zoom_box.take() {
                    // A box may end outside the plot that it began in.
                    let end = last.cursor_in(measurement.from.pane, x, y);
                    self.zoom_to_box(measurement.from, Some(end), last);
                }
            }
            DragTarget::Chart { .. } | DragTarget::ValueAxis { .. } | DragTarget::None => {}
        }
    }

    pub(super) fn zoom_to_box(&mut self, from: Cursor, to: Option<Cursor>, last: &HitTest) {
        let Some(plot) = last.plots.get(from.pane) else { return };
        let to = to.filter(|to| to.pane == from.pane);
        if let Some((time, value)) = to.and_then(|to| box_spans(from, to, plot.value)) {
            self.show_span(time, last);
            if let Some(value) = value {
                self.set_value(plot.id, value, last);
            }
        }
    }

    fn click(&mut self, x: f64, y: f64, drag: &Drag, last: &HitTest) {
        if self.help {
            self.help = false;
        } else if self.search.is_some() {
            self.click_search(x, y, last);
        } else if let Some((index, _)) = last.areas.legend.iter().find(|(_, rect)| rect.contains(x, y)) {
            self.click_legend(*index, drag);
        } else if last.areas.badge.contains(x, y) {
            if self.follows() { self.toggle_pause(last) } else { self.go_live(last) }
        } else if last.areas.view_badge.contains(x, y) {
            self.go_live(last);
        } else if last.areas.help.contains(x, y) {
            self.help = true;
        } else if drag.clicks == 2 {
            self.double_click(x, y, last);
        } else if last.layout.pane_at(x, y).is_some() && self.ruler.take().is_none() {
            // A click on a plot removes the ruler, or else focuses the symbol under the mouse.
            last.hovered.into_iter().for_each(|symbol| self.focus_on(symbol));
        }
    }

    /// Closes the search. A click on a result focuses that symbol.
    fn click_search(&mut self, x: f64, y: f64, last: &HitTest) {
        let row = last.areas.search_rows.iter().position(|rect| rect.contains(x, y));
        if let Some((row, search)) = row.zip(self.search.take())
            && let Some(symbol) = matching_symbols(&self.symbols, &search.text).get(last.results_skipped + row)
        {
            self.focus_on(*symbol);
        }
    }

    fn click_legend(&mut self, symbol: usize, drag: &Drag) {
        if drag.button == Button::Right || drag.held.ctrl {
            if self.view.focus == Some(symbol) { self.view.focus = None } else { self.focus_on(symbol) }
        } else if drag.clicks == 2 {
            // The first click of a double-click has toggled the symbol.
            if let Some(before) = self.before_click.take() {
                self.view = before;
            }
            self.toggle_solo(Some(symbol));
        } else if drag.clicks < 2 {
            self.before_click = Some(self.view.clone());
            self.toggle_symbol(symbol);
        }
    }

    /// On an axis, fits it to the data again. On a pane of a grid, shows its symbol alone.
    fn double_click(&mut self, x: f64, y: f64, last: &HitTest) {
        if let Some(plot) = last.value_axis_at(x, y) {
            self.view.values.remove(&plot);
        } else if last.layout.time_axis.contains(x, y) {
            self.reset_span(last);
        } else if let Some(PlotId::Symbol(symbol)) = last.plot_at(x, y) {
            self.view.layout = PaneLayout::Overlay;
            self.view.solo = Some(symbol);
            self.view.values.remove(&PlotId::Main);
        }
    }
}
