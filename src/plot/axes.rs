//! Both axes as plotters coordinates. plotters' own have no ticks in local time and lose `i64` precision.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged};
use plotters::drawing::DrawingArea;

use super::backend::Backend;
use super::units::UNITS_PER_PX;
use crate::chart::{Rect, Viewport};
use crate::model::TimeSpan;

/// Maximum coordinate, in units: far outside any frame, well within `i32`.
const UNITS_MAX: f64 = (1 << 28) as f64;

/// Axis with its ticks.
struct Axis<'a, V, S> {
    range: Range<V>,
    /// Position of a value: 0 at the start of the range, 1 at its end.
    share: S,
    ticks: &'a [(V, String)],
}

/// Position of an instant in a span: 0 at the start, 1 at the end.
pub(super) fn time_share(span: TimeSpan, time_ns: i64) -> f64 {
    difference(time_ns, span.start) / difference(span.end, span.start).max(1.0)
}

/// `a - b` of any two instants, ns, rounded once.
pub(super) fn difference(a: i64, b: i64) -> f64 {
    a.checked_sub(b).map_or_else(|| (i128::from(a) - i128::from(b)) as f64, |difference| difference as f64)
}

impl<V: Copy, S: Fn(V) -> f64> Ranged for Axis<'_, V, S> {
    type FormatOption = NoDefaultFormatting;
    type ValueType = V;

    fn map(&self, value: &V, (from, to): (i32, i32)) -> i32 {
        let place = f64::from(from) + (self.share)(*value) * f64::from(to - from);
        place.clamp(-UNITS_MAX, UNITS_MAX).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<V> {
        self.ticks.iter().take(hint.max_num_points()).map(|(value, _)| *value).collect()
    }

    fn range(&self) -> Range<V> {
        self.range.clone()
    }
}

/// The plot rectangle of `area` in data coordinates.
pub(super) fn plane<'a, 'b>(
    area: &DrawingArea<Backend<'b>, Shift>,
    Viewport { time, value }: Viewport,
    plot: Rect,
    time_ticks: &'a [(i64, String)],
    value_ticks: &'a [(f64, String)],
) -> DrawingArea<Backend<'b>, Cartesian2d<impl Ranged<ValueType = i64> + 'a, impl Ranged<ValueType = f64> + 'a>> {
    let units = |px: i32| px * UNITS_PER_PX;
    area.apply_coord_spec(Cartesian2d::<Axis<'_, _, _>, Axis<'_, _, _>>::new(
        Axis { range: time.start..time.end, share: move |time_ns| time_share(time, time_ns), ticks: time_ticks },
        Axis { range: value.lo..value.hi, share: move |at| value.share(at), ticks: value_ticks },
        (units(plot.left)..units(plot.right), units(plot.bottom)..units(plot.top)),
    ))
}
