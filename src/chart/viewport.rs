//! Viewport: the visible time and value span, and its mapping to pixels.
//!
//! Pure values. Time is in nanoseconds since the Unix epoch, pixels are `f64` with y growing downwards. Results are
//! finite for any input, including NaN and the ends of the number ranges.

use crate::model::TimeSpan;

/// An interval of values (price or percent); `lo < hi`, both finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueSpan {
    /// Value at the bottom edge.
    pub lo: f64,
    /// Value at the top edge.
    pub hi: f64,
}

/// Rectangle in pixels. `right` and `bottom` are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rect {
    /// First column.
    pub left: i32,
    /// First row.
    pub top: i32,
    /// Column past the last.
    pub right: i32,
    /// Row past the last.
    pub bottom: i32,
}

impl Rect {
    /// Number of columns, never negative.
    pub fn width(&self) -> i32 {
        self.right.saturating_sub(self.left).max(0)
    }

    /// Number of rows, never negative.
    pub fn height(&self) -> i32 {
        self.bottom.saturating_sub(self.top).max(0)
    }

    /// Returns `true` if it contains no pixel.
    pub fn is_empty(&self) -> bool {
        self.width() == 0 || self.height() == 0
    }

    /// Returns `true` if it contains the point.
    pub fn contains(&self, x: f64, y: f64) -> bool {
        x >= f64::from(self.left) && x < f64::from(self.right) && y >= f64::from(self.top) && y < f64::from(self.bottom)
    }
}

/// Visible part of the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Viewport {
    /// Horizontal extent.
    pub time: TimeSpan,
    /// Vertical extent.
    pub value: ValueSpan,
}

/// Mapping between data and pixels: a viewport laid over a rectangle.
///
/// # Examples
///
/// ```
/// use tickscope::chart::{Rect, Transform, ValueSpan, Viewport};
/// use tickscope::model::TimeSpan;
///
/// let viewport = Viewport { time: TimeSpan { start: 0, end: 1_000 }, value: ValueSpan { lo: 0.0, hi: 10.0 } };
/// let transform = Transform { viewport, rect: Rect { left: 0, top: 0, right: 100, bottom: 50 } };
/// assert_eq!((transform.x(500), transform.y(5.0)), (50.0, 25.0));
/// assert_eq!((transform.time_at(50.0), transform.value_at(25.0)), (500, 5.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform {
    /// Visible part of the data.
    pub viewport: Viewport,
    /// Pixels that it fills.
    pub rect: Rect,
}

/// Maximum absolute coordinate. It fits `i32` with room for sums, and a line that ends so far away crosses the edges of
/// a screen within a thousandth of a pixel of its true place.
pub const PIXEL_ABS_MAX: f64 = (1_u32 << 30) as f64;

impl Transform {
    /// Column (fractional) of an instant. Its floor is exactly the rectangle's left edge plus [`TimeSpan::column`].
    pub fn x(&self, time_ns: i64) -> f64 {
        let (column, share) = self.viewport.time.column_and_share(time_ns, self.columns());
        let left = f64::from(self.rect.left) + column as f64;
        // The sum could be rounded up to the next column.
        (left + share).min((left + 1.0).next_down()).clamp(-PIXEL_ABS_MAX, PIXEL_ABS_MAX)
    }

    /// Row (fractional) of a value; NaN is far below.
    pub fn y(&self, value: f64) -> f64 {
        let y = f64::from(self.rect.bottom) - self.viewport.value.share(value) * f64::from(self.rect.height());
        if y.is_nan() { PIXEL_ABS_MAX } else { y.clamp(-PIXEL_ABS_MAX, PIXEL_ABS_MAX) }
    }

    /// Instant under a column, within that column if it is at least a nanosecond wide; NaN is the left edge.
    pub fn time_at(&self, x: f64) -> i64 {
        let x = x.clamp(-PIXEL_ABS_MAX, PIXEL_ABS_MAX);
        let offset = if x.is_nan() { 0.0 } else { x - f64::from(self.rect.left) };
        self.viewport.time.instant(offset.floor() as i64, offset - offset.floor(), self.columns())
    }

    /// Value under a row; the inverse of [`Transform::y`]. NaN is the bottom edge.
    pub fn value_at(&self, y: f64) -> f64 {
        let share = (f64::from(self.rect.bottom) - y) / f64::from(self.rect.height().max(1));
        self.viewport.value.value_at(if share.is_nan() { 0.0 } else { share })
    }

    /// Number of pixel columns, at least 1.
    pub fn columns(&self) -> u32 {
        self.rect.width().unsigned_abs().max(1)
    }
}

#[cfg(test)]
mod tests;
