//! Both axes as plotters coordinates. plotters' own have no ticks in local time and lose `i64` precision.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged};
use plotters::drawing::DrawingArea;

use super::backend::Backend;
use super::units::UNITS_PER_PX;
use crate::chart::{Rect, ValueSpan, Viewport};
use crate::model::TimeSpan;

/// Maximum coordinate, in units: far outside any frame, well within `i32`.
const UNITS_MAX: f64 = (1 << 28) as f64;

/// Time axis with its ticks, exact to the nanosecond.
#[derive(Debug, Clone)]
pub(super) struct TimeAxis<'a> {
    pub(super) span: TimeSpan,
    pub(super) ticks: &'a [(i64, String)],
}

/// Value axis with its ticks.
#[derive(Debug, Clone)]
pub(super) struct ValueAxis<'a> {
    pub(super) span: ValueSpan,
    pub(super) ticks: &'a [(f64, String)],
}

/// Position of an instant in a span: 0 at the start, 1 at the end.
pub(super) fn time_share(span: TimeSpan, time_ns: i64) -> f64 {
    difference(time_ns, span.start) / difference(span.end, span.start).max(1.0)
}

/// `a - b` of any two instants, ns, rounded once.
pub(super) fn difference(a: i64, b: i64) -> f64 {
    a.checked_sub(b).map_or_else(|| (i128::from(a) - i128::from(b)) as f64, |difference| difference as f64)
}

/// Position of a value in a span: 0 at the bottom, 1 at the top. Operands are halved, so that the length of the widest
/// span is finite.
pub(super) fn value_share(span: ValueSpan, value: f64) -> f64 {
    let length = span.hi / 2.0 - span.lo / 2.0;
    if length > 0.0 { (value / 2.0 - span.lo / 2.0) / length } else { 0.5 }
}

fn place(share: f64, (from, to): (i32, i32)) -> i32 {
    (f64::from(from) + share * f64::from(to - from)).clamp(-UNITS_MAX, UNITS_MAX).round() as i32
}

impl Ranged for TimeAxis<'_> {
    type FormatOption = NoDefaultFormatting;
    type ValueType = i64;

    fn map(&self, time_ns: &i64, limit: (i32, i32)) -> i32 {
        place(time_share(self.span, *time_ns), limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<i64> {
        self.ticks.iter().take(hint.max_num_points()).map(|(time_ns, _)| *time_ns).collect()
    }

    fn range(&self) -> Range<i64> {
        self.span.start..self.span.end
    }
}

impl Ranged for ValueAxis<'_> {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        place(value_share(self.span, *value), limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        self.ticks.iter().take(hint.max_num_points()).map(|(value, _)| *value).collect()
    }

    fn range(&self) -> Range<f64> {
        self.span.lo..self.span.hi
    }
}

/// The plot rectangle of `area` in data coordinates.
pub(super) fn plane<'a, 'b>(
    area: &DrawingArea<Backend<'b>, Shift>,
    viewport: Viewport,
    plot: Rect,
    time_ticks: &'a [(i64, String)],
    value_ticks: &'a [(f64, String)],
) -> DrawingArea<Backend<'b>, Cartesian2d<TimeAxis<'a>, ValueAxis<'a>>> {
    let units = |px: i32| px * UNITS_PER_PX;
    area.apply_coord_spec(Cartesian2d::new(
        TimeAxis { span: viewport.time, ticks: time_ticks },
        ValueAxis { span: viewport.value, ticks: value_ticks },
        (units(plot.left)..units(plot.right), units(plot.bottom)..units(plot.top)),
    ))
}
