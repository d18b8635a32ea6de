//! What part of the market is visible: a time span and a value span, how the user moves them, and the one mapping
//! between them and pixels.
//!
//! Pure values. Time is in nanoseconds since the Unix epoch, pixels are `f64` with y growing downwards. Whatever goes
//! in, NaN and the ends of the number ranges included, finite numbers come out.

use crate::model::TimeSpan;

/// An interval of values (price or percent); `lo < hi`, both finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueSpan {
    /// Value at the bottom edge.
    pub lo: f64,
    /// Value at the top edge.
    pub hi: f64,
}

/// A rectangle in pixels. `right` and `bottom` are exclusive.
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
    /// Columns, never negative.
    pub fn width(&self) -> i32 {
        self.right.saturating_sub(self.left).max(0)
    }

    /// Rows, never negative.
    pub fn height(&self) -> i32 {
        self.bottom.saturating_sub(self.top).max(0)
    }

    /// Whether it has no pixel.
    pub fn is_empty(&self) -> bool {
        self.width() == 0 || self.height() == 0
    }

    /// Whether the point lies inside.
    pub fn contains(&self, x: f64, y: f64) -> bool {
        x >= f64::from(self.left) && x < f64::from(self.right) && y >= f64::from(self.top) && y < f64::from(self.bottom)
    }
}

/// What is visible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Viewport {
    /// Horizontal extent.
    pub time: TimeSpan,
    /// Vertical extent.
    pub value: ValueSpan,
}

/// A viewport laid over a rectangle of pixels: the one transform, with its inverse.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform {
    /// What is shown.
    pub viewport: Viewport,
    /// Where.
    pub rect: Rect,
}

/// No pixel lies farther out than this. It fits `i32` with room for sums, and a line that ends so far away still
/// crosses the edges of a screen within a thousandth of a pixel of its true place.
pub const PIXEL_ABS_MAX: f64 = (1_u32 << 30) as f64;

impl Transform {
    /// Column (fractional) of an instant. Its floor is the rectangle's left edge plus [`TimeSpan::column`], exactly.
    pub fn x(&self, time_ns: i64) -> f64 {
        let (column, share) = self.viewport.time.column_and_share(time_ns, self.columns());
        let left = f64::from(self.rect.left) + column as f64;
        // The sum may round up to the next column, where the instant is not.
        (left + share).min((left + 1.0).next_down()).clamp(-PIXEL_ABS_MAX, PIXEL_ABS_MAX)
    }

    /// Row (fractional) of a value; NaN lies outside, far below.
    pub fn y(&self, value: f64) -> f64 {
        let y = f64::from(self.rect.bottom) - self.viewport.value.share(value) * f64::from(self.rect.height());
        if y.is_nan() { PIXEL_ABS_MAX } else { y.clamp(-PIXEL_ABS_MAX, PIXEL_ABS_MAX) }
    }

    /// Instant under a column, in that very column if it is at least a nanosecond wide; NaN is the left edge.
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

    /// Pixel columns; at least 1.
    pub fn columns(&self) -> u32 {
        self.rect.width().unsigned_abs().max(1)
    }
}
