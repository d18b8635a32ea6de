//! The horizontal extent: pixel columns, zoom, pan.

use crate::model::NS_PER_S;

/// Shortest visible span: 1 us. On a screen of a thousand columns a pixel is then a nanosecond, the unit of time here;
/// closer in there is nothing to see.
pub const SPAN_NS_MIN: i64 = 1_000;

/// Longest visible span: 100 years. Longer than any market's ticks, and a third of what `i64` nanoseconds hold, so
/// that a span has room on both sides.
pub const SPAN_NS_MAX: i64 = 100 * 365 * 86_400 * NS_PER_S;

/// How far left a span may reach: a century before 1970, so that the earliest tick can be brought to the right edge.
pub const TIME_NS_MIN: i64 = -SPAN_NS_MAX;

const _: () = assert!(SPAN_NS_MIN > 0 && SPAN_NS_MAX < i64::MAX / 2);

/// A half-open interval of time `[start, end)`, in nanoseconds since the Unix epoch; `start < end` always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan {
    /// First visible instant, ns.
    pub start: i64,
    /// First instant that is no longer visible, ns.
    pub end: i64,
}

impl TimeSpan {
    /// The span between two instants in either order, within the limits of length and reach.
    pub fn new(start_ns: i64, end_ns: i64) -> Self {
        let (start, end) = (start_ns.min(end_ns), start_ns.max(end_ns));
        Self { start, end }.limited()
    }

    /// The span of `len_ns` that ends at `end_ns`, within the limits.
    pub fn ending_at(end_ns: i64, len_ns: i64) -> Self {
        let len = i128::from(len_ns.clamp(SPAN_NS_MIN, SPAN_NS_MAX));
        Self::from_wide(i128::from(end_ns) - len, len)
    }

    /// The nearest span of legal length and reach, about the same centre if it was too short or too long.
    #[must_use]
    pub fn limited(self) -> Self {
        let len = self.len().clamp(SPAN_NS_MIN.into(), SPAN_NS_MAX.into());
        Self::from_wide(i128::from(self.start) + (self.len() - len) / 2, len)
    }

    fn from_wide(start: i128, len: i128) -> Self {
        let len = len.clamp(SPAN_NS_MIN.into(), SPAN_NS_MAX.into());
        let start = start.clamp(TIME_NS_MIN.into(), i128::from(i64::MAX) - len);
        Self { start: start as i64, end: (start + len) as i64 }
    }

    /// Length, ns; at least 1.
    pub fn len_ns(&self) -> i64 {
        self.end.saturating_sub(self.start).max(1)
    }

    /// Length as it is, even where it exceeds `i64`.
    pub(crate) fn len(&self) -> i128 {
        (i128::from(self.end) - i128::from(self.start)).max(1)
    }

    /// Whether an instant lies within.
    pub fn contains(&self, time_ns: i64) -> bool {
        self.start <= time_ns && time_ns < self.end
    }

    /// Longer by `factor` (shorter, below 1), with `anchor_ns` in the same place on the screen to the nanosecond, where
    /// the limits allow. A factor that is NaN or negative changes nothing.
    #[must_use]
    pub fn zoomed(self, anchor_ns: i64, factor: f64) -> Self {
        if factor.is_nan() || factor < 0.0 {
            return self.limited();
        }
        let len = (self.len() as f64 * factor).round().clamp(SPAN_NS_MIN as f64, SPAN_NS_MAX as f64) as i128;
        let offset = i128::from(anchor_ns) - i128::from(self.start);
        // Both factors stay below 2^64, so the product fits.
        let product = offset * len;
        let moved = (2 * (product % self.len()) / self.len()) + product / self.len();
        Self::from_wide(i128::from(anchor_ns) - moved, len)
    }

    /// Moved forward in time by `delta_ns`, length kept, as far as the limits allow.
    #[must_use]
    pub fn panned(self, delta_ns: i64) -> Self {
        Self::from_wide(i128::from(self.start) + i128::from(delta_ns), self.len())
    }

    /// Moved forward in time by so many of `columns` pixel columns; NaN moves nothing.
    #[must_use]
    pub fn panned_columns(self, pixels: f64, columns: u32) -> Self {
        // A float that is too large, or NaN, ends at the limits, or at 0, by the rules of `as`.
        self.panned((pixels / f64::from(columns.max(1)) * self.len() as f64).round() as i64)
    }

    /// The same length, with `live_ns` at `lead_share` of it before the right edge, and inside in any case.
    #[must_use]
    pub fn following(self, live_ns: i64, lead_share: f64) -> Self {
        let len = self.limited().len();
        let lead = (lead_share.clamp(0.0, 1.0) * len as f64).round() as i128;
        let end = i128::from(live_ns) + lead.clamp(1, len);
        Self::from_wide(end - len, len)
    }

    /// The nearest span whose columns are whole ns wide and whose start is a whole number of them after the Unix epoch,
    /// at most half a column away: a chart that scrolls by whole columns shows the same columns again, and what is
    /// drawn from them stands still. Spans with less than a nanosecond a column stay as they are.
    #[must_use]
    pub fn aligned(self, columns: u32) -> Self {
        let columns = i64::from(columns.max(1));
        let width = (self.len_ns() + columns / 2) / columns;
        if width == 0 {
            return self;
        }
        let start = self.start.saturating_add(width / 2).div_euclid(width) * width;
        Self { start, end: start.saturating_add(width * columns) }
    }

    /// Whether [`Self::aligned`] leaves the span as it is and its columns have a width.
    pub fn is_aligned(&self, columns: u32) -> bool {
        let columns = i64::from(columns.max(1));
        let width = self.len_ns() / columns;
        width > 0 && width * columns == self.len_ns() && self.start.rem_euclid(width) == 0
    }

    /// Which of `columns` equal parts an instant falls into, from 0; negative before the span, `columns` and up behind
    /// it. This is the one definition of a pixel column: exact, in integers.
    pub fn column(&self, time_ns: i64, columns: u32) -> i64 {
        let (column, _) = self.column_and_rest(time_ns, columns);
        column.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Earliest instant of a column; of the next column that has one, where columns are narrower than a nanosecond.
    pub fn column_start(&self, column: i64, columns: u32) -> i64 {
        let product = i128::from(column) * self.len();
        let offset = match u64::try_from(product) {
            Ok(product) => i128::from(product.div_ceil(u64::from(columns.max(1)))),
            Err(_) => -((-product).div_euclid(i128::from(columns.max(1)))),
        };
        (i128::from(self.start) + offset).clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Column of an instant, and what share of the column lies before the instant; the share may round to 1.
    pub(crate) fn column_and_share(&self, time_ns: i64, columns: u32) -> (i128, f64) {
        let (column, rest) = self.column_and_rest(time_ns, columns);
        (column, rest as f64 / self.len() as f64)
    }

    /// Instant in a column, the given share of its width behind its start.
    pub(crate) fn instant(&self, column: i64, share: f64, columns: u32) -> i64 {
        let start = self.column_start(column, columns);
        let inside = share * self.len() as f64 / f64::from(columns.max(1));
        let last = self.column_start(column.saturating_add(1), columns).saturating_sub(1);
        start.saturating_add(inside as i64).min(last.max(start))
    }

    /// Quotient and remainder of the instant's offset times columns by the length.
    fn column_and_rest(&self, time_ns: i64, columns: u32) -> (i128, i128) {
        let (offset, len) = (i128::from(time_ns) - i128::from(self.start), self.len());
        // A division of 64 bits is several times faster than one of 128, and does for spans of up to months.
        if let (Ok(offset), Ok(len)) = (u64::try_from(offset), u64::try_from(len))
            && let Some(product) = offset.checked_mul(u64::from(columns.max(1)))
        {
            return ((product / len).into(), (product % len).into());
        }
        let product = offset * i128::from(columns.max(1));
        (product.div_euclid(len), product.rem_euclid(len))
    }
}
