//! What part of the market is visible: a time span and a value span, and the one mapping between them and pixels.
//!
//! Pure values. Time is in nanoseconds since the Unix epoch, pixels are `f64` with y growing downwards.

/// A half-open interval of time `[start, end)`, in nanoseconds since the Unix epoch; `start < end` always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan {
    /// First visible instant, ns.
    pub start: i64,
    /// First instant that is no longer visible, ns.
    pub end: i64,
}

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
        (self.right - self.left).max(0)
    }

    /// Rows, never negative.
    pub fn height(&self) -> i32 {
        (self.bottom - self.top).max(0)
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

impl TimeSpan {
    /// Length, ns; at least 1.
    pub fn len_ns(&self) -> i64 {
        self.end.saturating_sub(self.start).max(1)
    }

    /// Length as it is, even where it exceeds `i64`.
    fn len(&self) -> i128 {
        (i128::from(self.end) - i128::from(self.start)).max(1)
    }

    /// Whether an instant lies within.
    pub fn contains(&self, time_ns: i64) -> bool {
        self.start <= time_ns && time_ns < self.end
    }

    /// Which of `columns` equal parts an instant falls into, from 0; negative before the span, `columns` and up behind
    /// it. This is the one definition of a pixel column: exact, in integers.
    pub fn column(&self, time_ns: i64, columns: u32) -> i64 {
        let (column, _) = self.column_and_rest(time_ns, columns);
        column.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Earliest instant of a column or of one behind it, where columns are narrower than a nanosecond.
    pub fn column_start(&self, column: i64, columns: u32) -> i64 {
        let columns = i128::from(columns.max(1));
        let product = i128::from(column) * self.len();
        let offset = product.div_euclid(columns) + i128::from(product.rem_euclid(columns) != 0);
        (i128::from(self.start) + offset).clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Column of an instant, and the part of the column before the instant in units of a column over the length.
    fn column_and_rest(&self, time_ns: i64, columns: u32) -> (i128, i128) {
        let product = (i128::from(time_ns) - i128::from(self.start)) * i128::from(columns.max(1));
        (product.div_euclid(self.len()), product.rem_euclid(self.len()))
    }
}

impl Transform {
    /// Column (fractional) of an instant.
    pub fn x(&self, time_ns: i64) -> f64 {
        let offset = i128::from(time_ns) - i128::from(self.viewport.time.start);
        let share = offset as f64 / self.viewport.time.len_ns() as f64;
        f64::from(self.rect.left) + share * f64::from(self.rect.width())
    }

    /// Row (fractional) of a value.
    pub fn y(&self, value: f64) -> f64 {
        let span = self.viewport.value;
        let share = (value - span.lo) / (span.hi - span.lo);
        f64::from(self.rect.bottom) - share * f64::from(self.rect.height())
    }

    /// Instant under a column; the inverse of [`Transform::x`] to within the width of a pixel's share of a nanosecond.
    pub fn time_at(&self, x: f64) -> i64 {
        let share = (x - f64::from(self.rect.left)) / f64::from(self.rect.width().max(1));
        let offset = (share * self.viewport.time.len_ns() as f64).round();
        self.viewport.time.start.saturating_add(offset as i64)
    }

    /// Value under a row; the inverse of [`Transform::y`].
    pub fn value_at(&self, y: f64) -> f64 {
        let span = self.viewport.value;
        let share = (f64::from(self.rect.bottom) - y) / f64::from(self.rect.height().max(1));
        span.lo + share * (span.hi - span.lo)
    }
}
