//! What a picture shows, as far as inputs are about it.

use crate::chart::{AxisKind, HitAreas, Layout};
use crate::chart::{BarInterval, ValueSpan};
use crate::consumer::interaction::{Cursor, PlotId};
use crate::model::TimeSpan;

/// A plot of the picture that the user sees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::consumer) struct Plot {
    pub(in crate::consumer) id: PlotId,
    pub(in crate::consumer) value: ValueSpan,
}

/// What a picture shows, as far as inputs are about it.
#[derive(Debug, Clone)]
pub(in crate::consumer) struct Seeing {
    /// The visible span as it was asked for: to move on from the aligned one, again and again, would be to drift.
    pub(in crate::consumer) span: TimeSpan,
    /// `None` before the first tick.
    pub(in crate::consumer) edge_ns: Option<i64>,
    /// The newest tick that is shown, wherever the edge is.
    pub(in crate::consumer) newest_ns: Option<i64>,
    /// The first tick that is kept.
    pub(in crate::consumer) oldest_ns: Option<i64>,
    pub(in crate::consumer) axis: AxisKind,
    /// In reading order.
    pub(in crate::consumer) plots: Vec<Plot>,
    /// Where the crosshair is, and for which place of the mouse.
    pub(in crate::consumer) cursor: Option<Cursor>,
    pub(in crate::consumer) cursor_px: Option<(f64, f64)>,
    /// The symbol whose tick it sits on, or whose pane it is in.
    pub(in crate::consumer) pointed: Option<usize>,
    /// The symbol that bars and keys are about.
    pub(in crate::consumer) focus: Option<usize>,
    /// Length of the bars, where there are any.
    pub(in crate::consumer) bars: Option<BarInterval>,
    /// The symbols that are shown, by their places in the book, and the time that is shown of them.
    pub(in crate::consumer) in_view: (Vec<usize>, TimeSpan),
    /// Place of the first finding that is shown.
    pub(in crate::consumer) found_first: usize,
    /// Nothing comes any more.
    pub(in crate::consumer) stale: bool,
    /// Something in the picture says how many seconds ago something was.
    pub(in crate::consumer) counts_seconds: bool,
}

impl Seeing {
    /// Before the first picture.
    pub(in crate::consumer) fn nothing(now_ns: i64) -> Self {
        Self {
            span: TimeSpan { start: now_ns, end: now_ns.saturating_add(1) },
            edge_ns: None,
            newest_ns: None,
            oldest_ns: None,
            axis: AxisKind::Price,
            plots: Vec::new(),
            cursor: None,
            cursor_px: None,
            pointed: None,
            focus: None,
            bars: None,
            in_view: (Vec::new(), TimeSpan { start: now_ns, end: now_ns.saturating_add(1) }),
            found_first: 0,
            stale: false,
            counts_seconds: false,
        }
    }
}

/// The picture that the user sees while an input arrives.
pub(in crate::consumer) struct Seen<'a> {
    pub(in crate::consumer) frame: &'a Layout,
    pub(in crate::consumer) hits: &'a HitAreas,
    pub(in crate::consumer) seeing: &'a Seeing,
}

impl Seen<'_> {
    /// Everything up to now.
    pub(super) fn until(&self) -> Until {
        let Seeing { newest_ns, edge_ns, .. } = *self.seeing;
        Until { tick_ns: newest_ns.unwrap_or(i64::MIN), edge_ns: edge_ns.unwrap_or(i64::MIN) }
    }

    /// The value axis of a plot.
    pub(super) fn value(&self, plot: PlotId) -> Option<ValueSpan> {
        self.seeing.plots.iter().find(|seen| seen.id == plot).map(|seen| seen.value)
    }
}

/// What came later is not shown: a paused chart has room at its right, which must stay empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::consumer) struct Until {
    /// The last tick.
    pub(in crate::consumer) tick_ns: i64,
    /// The live edge, up to which an open gap reaches.
    pub(in crate::consumer) edge_ns: i64,
}
