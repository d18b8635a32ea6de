//! Measurements in a plot: the ruler and the zoom box.

use crate::chart::interaction::hit_test::{Cursor, HitTest, Plot};
use crate::chart::interaction::view_state::PlotId;
use crate::chart::{AxisKind, ValueSpan};
use crate::model::TimeSpan;

/// A zoom box lower than this share of its plot zooms in time only.
const FLAT_SHARE: f64 = 0.03;

/// End of a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum MeasurementEnd {
    /// Follows the crosshair.
    Cursor,
    /// Stays where the crosshair is in the next frame.
    NextCursor,
    /// Stays here.
    Fixed(Cursor),
}

/// A measurement between two positions of a plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measurement {
    pub(super) from: Cursor,
    pub(super) end: MeasurementEnd,
    plot: PlotId,
    axis: AxisKind,
}

impl Measurement {
    /// Starts at `from` and follows the crosshair. `None` if the frame has no plot there.
    pub(super) fn start(from: Cursor, frame: &HitTest) -> Option<Self> {
        let plot = frame.plots.get(from.pane)?.id;
        Some(Self { from, end: MeasurementEnd::Cursor, plot, axis: frame.axis })
    }

    /// The measurement in a frame with these plots. `None` if its plot is gone or its values have another unit.
    pub(crate) fn in_frame(mut self, plots: &[Plot], axis: AxisKind, cursor: Option<Cursor>) -> Option<Self> {
        let pane = plots.iter().position(|plot| plot.id == self.plot).filter(|_| self.axis == axis)?;
        self.from.pane = pane;
        match &mut self.end {
            MeasurementEnd::Fixed(end) => end.pane = pane,
            MeasurementEnd::NextCursor => {
                let cursor = cursor.filter(|cursor| cursor.pane == pane);
                self.end = MeasurementEnd::Fixed(cursor.unwrap_or(self.from));
            }
            MeasurementEnd::Cursor => {}
        }
        Some(self)
    }

    /// Both ends, with the crosshair at `cursor`. Without a crosshair in its plot, the measurement is empty.
    pub(crate) fn ends(&self, cursor: Option<Cursor>) -> (Cursor, Cursor) {
        let cursor = match self.end {
            MeasurementEnd::Fixed(end) => Some(end),
            MeasurementEnd::Cursor | MeasurementEnd::NextCursor => cursor,
        };
        (self.from, cursor.filter(|cursor| cursor.pane == self.from.pane).unwrap_or(self.from))
    }
}

/// Spans of time and value of a zoom box on a plot with this value axis. The value is `None` if the box is flat; the
/// result is `None` if it has no width.
pub(super) fn box_spans(from: Cursor, to: Cursor, axis: ValueSpan) -> Option<(TimeSpan, Option<ValueSpan>)> {
    if from.time_ns == to.time_ns {
        return None;
    }
    let height = (axis.share(from.value) - axis.share(to.value)).abs();
    let value = ValueSpan { lo: from.value.min(to.value), hi: from.value.max(to.value) }.limited();
    Some((TimeSpan::new(from.time_ns, to.time_ns), (height >= FLAT_SHARE).then_some(value)))
}
