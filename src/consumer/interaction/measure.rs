//! The crosshair's other lives: the ruler, the box, and the cursor that keys move.

use crate::chart::AxisKind;
use crate::chart::ValueSpan;
use crate::consumer::interaction::view_state::PlotId;
use crate::consumer::interaction::{Plot, Seen};
use crate::model::TimeSpan;

/// A place in a plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::consumer) struct Cursor {
    /// Which plot, in reading order.
    pub(in crate::consumer) pane: usize,
    pub(in crate::consumer) time_ns: i64,
    /// On the value axis.
    pub(in crate::consumer) value: f64,
}

/// Where a measurement ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::consumer) enum End {
    /// At the crosshair, wherever it goes.
    Follows,
    /// At the crosshair as the next picture has it.
    Settles,
    /// There.
    Fixed(Cursor),
}

/// A measurement: the ruler, or a box that will be zoomed to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::consumer) struct Measure {
    pub(in crate::consumer) from: Cursor,
    pub(in crate::consumer) end: End,
    /// What is measured; elsewhere, or in another measure, the places mean nothing.
    plot: PlotId,
    axis: AxisKind,
}

impl Measure {
    pub(super) fn begin(from: Cursor, seen: &Seen<'_>) -> Option<Self> {
        let plot = seen.seeing.plots.get(from.pane)?.id;
        Some(Self { from, end: End::Follows, plot, axis: seen.seeing.axis })
    }

    /// Finds its plot among those of a picture; `false` where that is gone, or measures something else.
    pub(in crate::consumer) fn is_at_home(&mut self, plots: &[Plot], axis: AxisKind) -> bool {
        let Some(pane) = plots.iter().position(|plot| plot.id == self.plot) else { return false };
        self.from.pane = pane;
        if let End::Fixed(end) = &mut self.end {
            end.pane = pane;
        }
        self.axis == axis
    }

    /// Where it ends now, with the crosshair at `cursor`; it settles there if it is to.
    pub(in crate::consumer) fn end(&mut self, cursor: Option<Cursor>) -> Option<Cursor> {
        match self.end {
            End::Fixed(end) => Some(end),
            End::Follows => cursor,
            End::Settles => {
                self.end = End::Fixed(cursor.unwrap_or(self.from));
                cursor
            }
        }
    }
}

/// A box less high than this share of its plot is meant for time alone.
const FLAT_SHARE: f64 = 0.03;

/// The spans of time and value that a box from `from` to `to` shows; no value where it is flat. `None` for a box
/// without width.
pub(super) fn boxed(from: Cursor, to: Cursor, value: ValueSpan) -> Option<(TimeSpan, Option<ValueSpan>)> {
    if from.time_ns == to.time_ns {
        return None;
    }
    let time = TimeSpan::new(from.time_ns, to.time_ns);
    let height = (value.share(from.value) - value.share(to.value)).abs();
    let value = ValueSpan { lo: from.value.min(to.value), hi: from.value.max(to.value) }.limited();
    Some((time, (height >= FLAT_SHARE).then_some(value)))
}
