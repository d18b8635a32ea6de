//! The last frame as input handling needs it: what lies where, and which data it shows.

use crate::chart::interaction::view_state::PlotId;
use crate::chart::{AxisKind, BarInterval, HitAreas, Layout, Size, Transform, ValueSpan, Viewport};
use crate::model::TimeSpan;

/// A plot of a frame and its value axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plot {
    /// Identity across frames.
    pub id: PlotId,
    /// Span of the value axis, in the unit of the frame's [`AxisKind`].
    pub value: ValueSpan,
}

/// A position in a plot, in data space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cursor {
    /// Index of the plot, in reading order.
    pub pane: usize,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Position on the value axis.
    pub value: f64,
}

/// The newest data that a chart shows: all of it while live, and that of the moment of pausing while paused. The empty
/// room to the right of a paused chart must not fill up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PausePoint {
    /// Time of the last tick shown, ns.
    pub tick_ns: i64,
    /// Live edge, ns. An outage that has not ended reaches up to here.
    pub edge_ns: i64,
}

impl PausePoint {
    /// No limit.
    pub const LIVE: Self = Self { tick_ns: i64::MAX, edge_ns: i64::MAX };
}

/// The ticks that a frame shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisibleTicks {
    /// Indices of the visible symbols, in the order of the legend.
    pub symbols: Vec<usize>,
    /// Visible span, without what lies after the [`PausePoint`].
    pub span: TimeSpan,
}

/// The last frame as input handling needs it.
#[derive(Debug, Clone)]
pub struct HitTest {
    /// Layout.
    pub layout: Layout,
    /// Clickable areas. The frontend fills them in after drawing.
    pub areas: HitAreas,
    /// Visible span as requested. The span drawn is aligned to pixel columns; moving on from that one would drift.
    pub span: TimeSpan,
    /// Live edge, ns; `None` before the first tick.
    pub edge_ns: Option<i64>,
    /// Time of the newest tick, ns.
    pub newest_ns: Option<i64>,
    /// Time of the oldest tick in memory or in the store, ns.
    pub oldest_ns: Option<i64>,
    /// Unit of the value axes.
    pub axis: AxisKind,
    /// Plots in reading order.
    pub plots: Vec<Plot>,
    /// Position of the crosshair.
    pub cursor: Option<Cursor>,
    /// Position of the mouse that `cursor` was computed for, px.
    pub mouse: Option<(f64, f64)>,
    /// Index of the symbol whose tick the crosshair sits on, or whose pane it is in.
    pub hovered: Option<usize>,
    /// Index of the symbol that bars and keys act on.
    pub focus: Option<usize>,
    /// Length of the bars, if bars are drawn.
    pub bar_interval: Option<BarInterval>,
    /// Ticks that an export of the view contains.
    pub visible: VisibleTicks,
    /// Number of search results above the first one shown.
    pub results_skipped: usize,
}

impl HitTest {
    /// The state before the first frame, at `now_ns`.
    pub fn empty(now_ns: i64) -> Self {
        let span = TimeSpan { start: now_ns, end: now_ns.saturating_add(1) };
        Self {
            layout: Layout::plot_only(Size { width: 1, height: 1 }),
            areas: HitAreas::default(),
            span,
            edge_ns: None,
            newest_ns: None,
            oldest_ns: None,
            axis: AxisKind::Price,
            plots: Vec::new(),
            cursor: None,
            mouse: None,
            hovered: None,
            focus: None,
            bar_interval: None,
            visible: VisibleTicks { symbols: Vec::new(), span },
            results_skipped: 0,
        }
    }

    /// The pause point of a chart that is paused now.
    pub(super) fn pause_point(&self) -> PausePoint {
        PausePoint { tick_ns: self.newest_ns.unwrap_or(i64::MIN), edge_ns: self.edge_ns.unwrap_or(i64::MIN) }
    }

    /// Value axis of a plot.
    pub(super) fn value(&self, id: PlotId) -> Option<ValueSpan> {
        self.plots.iter().find(|plot| plot.id == id).map(|plot| plot.value)
    }

    /// The plot whose data area contains a point.
    pub(super) fn plot_at(&self, x: f64, y: f64) -> Option<PlotId> {
        self.plots.get(self.layout.pane_at(x, y)?).map(|plot| plot.id)
    }

    /// The plot whose value axis contains a point.
    pub(super) fn value_axis_at(&self, x: f64, y: f64) -> Option<PlotId> {
        let pane = self.pane_where(|pane| pane.value_axis.contains(x, y))?;
        self.plots.get(pane).map(|plot| plot.id)
    }

    /// Index of the first pane that meets a condition.
    pub(super) fn pane_where(&self, is_wanted: impl Fn(Layout) -> bool) -> Option<usize> {
        (0..self.layout.panes()).find(|pane| is_wanted(self.layout.pane(*pane)))
    }

    /// Transform of a pane. Its value axis is empty if the pane has no plot.
    pub(super) fn transform(&self, pane: usize) -> Transform {
        let value = self.plots.get(pane).map_or(ValueSpan::EMPTY, |plot| plot.value);
        Transform { viewport: Viewport { time: self.span, value }, rect: self.layout.pane(pane).plot }
    }

    /// Data under a point: the crosshair's position if the frame was drawn for this point, because it may have snapped.
    pub(super) fn cursor_at(&self, x: f64, y: f64) -> Option<Cursor> {
        let pane = self.layout.pane_at(x, y)?;
        let snapped = self.cursor.filter(|_| self.mouse == Some((x, y)));
        Some(snapped.unwrap_or_else(|| self.cursor_in(pane, x, y)))
    }

    /// Data under a point in the coordinates of a pane, also beyond its edges.
    pub(super) fn cursor_in(&self, pane: usize, x: f64, y: f64) -> Cursor {
        let transform = self.transform(pane);
        Cursor { pane, time_ns: transform.time_at(x), value: transform.value_at(y) }
    }
}
