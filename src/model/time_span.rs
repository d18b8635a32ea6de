//! Interval of time shown by a chart: pixel columns, zoom and pan.

use crate::model::NS_PER_S;

/// Shortest visible span: 1 us. With a thousand columns, a pixel is then one nanosecond, the resolution of timestamps.
pub const SPAN_NS_MIN: i64 = 1_000;

/// Longest visible span: 100 years. Longer than the history of any market's ticks, and a third of what `i64`
/// nanoseconds hold, so that there is room on both sides of a span.
pub const SPAN_NS_MAX: i64 = 100 * 365 * 86_400 * NS_PER_S;

/// Earliest start of a span: 100 years before 1970, so that the earliest tick can be moved to the right edge.
pub const TIME_NS_MIN: i64 = -SPAN_NS_MAX;

const _: () = assert!(SPAN_NS_MIN > 0 && SPAN_NS_MAX < i64::MAX / 2);

/// Half-open interval of time `[start, end)`, in nanoseconds since the Unix epoch; `start < end` always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan {
    /// First visible instant, ns.
    pub start: i64,
    /// First instant after the span, ns.
    pub end: i64,
}

impl TimeSpan {
    /// The span between two instants in either order, within the limits of length and start.
    pub fn new(start_ns: i64, end_ns: i64) -> Self {
        let (start, end) = (start_ns.min(end_ns), start_ns.max(end_ns));
        Self { start, end }.limited()
    }

    /// The span of length `len_ns` that ends at `end_ns`, within the limits.
    pub fn ending_at(end_ns: i64, len_ns: i64) -> Self {
        let len = i128::from(len_ns.clamp(SPAN_NS_MIN, SPAN_NS_MAX));
        Self::from_wide(i128::from(end_ns) - len, len)
    }

    /// The nearest span within the limits of length and start. A span that is too short or too long keeps its centre.
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

    /// Exact length, which may exceed `i64`.
    pub(crate) fn len(&self) -> i128 {
        (i128::from(self.end) - i128::from(self.start)).max(1)
    }

    /// Whether an instant lies within the span.
    pub fn contains(&self, time_ns: i64) -> bool {
        self.start <= time_ns && time_ns < self.end
    }

    /// Scales the length by `factor` and keeps `anchor_ns` at the same position on the screen, to the nanosecond, as
    /// far as the limits allow. A factor that is NaN or negative changes nothing.
    #[must_use]
    pub fn zoomed(self, anchor_ns: i64, factor: f64) -> Self {
        if factor.is_nan() || factor < 0.0 {
            return self.limited();
        }
        let len = (self.len() as f64 * factor).round().clamp(SPAN_NS_MIN as f64, SPAN_NS_MAX as f64) as i128;
        let offset = i128::from(anchor_ns) - i128::from(self.start);
        // Both factors are below 2^64, so the product fits.
        let product = offset * len;
        let moved = (2 * (product % self.len()) / self.len()) + product / self.len();
        Self::from_wide(i128::from(anchor_ns) - moved, len)
    }

    /// Moves the span forward in time by `delta_ns`, as far as the limits allow; keeps the length.
    #[must_use]
    pub fn panned(self, delta_ns: i64) -> Self {
        Self::from_wide(i128::from(self.start) + i128::from(delta_ns), self.len())
    }

    /// Moves the span forward in time by `pixels` of `columns` pixel columns; NaN moves nothing.
    #[must_use]
    pub fn panned_columns(self, pixels: f64, columns: u32) -> Self {
        // `as` saturates floats that are too large and maps NaN to 0.
        self.panned((pixels / f64::from(columns.max(1)) * self.len() as f64).round() as i64)
    }

    /// Moves the span so that `live_ns` lies `lead_share` of the length before the right edge, and always inside; keeps
    /// the length.
    #[must_use]
    pub fn following(self, live_ns: i64, lead_share: f64) -> Self {
        let len = self.limited().len();
        let lead = (lead_share.clamp(0.0, 1.0) * len as f64).round() as i128;
        let end = i128::from(live_ns) + lead.clamp(1, len);
        Self::from_wide(end - len, len)
    }

    /// The nearest span whose columns are a whole number of nanoseconds wide and whose start is a whole number of
    /// columns after the Unix epoch, at most half a column away. A chart that scrolls by whole columns shows the same
    /// columns again, and lines drawn from them do not flicker. Spans with less than a nanosecond per column stay as
    /// they are.
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

    /// Whether [`Self::aligned`] leaves the span as it is and its columns are at least a nanosecond wide.
    pub fn is_aligned(&self, columns: u32) -> bool {
        let columns = i64::from(columns.max(1));
        let width = self.len_ns() / columns;
        width > 0 && width * columns == self.len_ns() && self.start.rem_euclid(width) == 0
    }

    /// Index of the column, of `columns` equal parts of the span, that an instant falls into; negative before the span,
    /// and `columns` or more after it. This is the only definition of a pixel column: exact, in integers.
    pub fn column(&self, time_ns: i64, columns: u32) -> i64 {
        let (column, _) = self.column_and_rest(time_ns, columns);
        column.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Earliest instant of a column, ns. If columns are narrower than a nanosecond, that of the next column that has
    /// one.
    pub fn column_start(&self, column: i64, columns: u32) -> i64 {
        let product = i128::from(column) * self.len();
        let offset = match u64::try_from(product) {
            Ok(product) => i128::from(product.div_ceil(u64::from(columns.max(1)))),
            Err(_) => -((-product).div_euclid(i128::from(columns.max(1)))),
        };
        (i128::from(self.start) + offset).clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Column of an instant, and the share of the column that lies before the instant, which may round to 1.
    pub(crate) fn column_and_share(&self, time_ns: i64, columns: u32) -> (i128, f64) {
        let (column, rest) = self.column_and_rest(time_ns, columns);
        (column, rest as f64 / self.len() as f64)
    }

    /// The instant in a column that lies `share` of its width after its start.
    pub(crate) fn instant(&self, column: i64, share: f64, columns: u32) -> i64 {
        let start = self.column_start(column, columns);
        let inside = share * self.len() as f64 / f64::from(columns.max(1));
        let last = self.column_start(column.saturating_add(1), columns).saturating_sub(1);
        start.saturating_add(inside as i64).min(last.max(start))
    }

    /// Quotient and remainder of the instant's offset, times `columns`, divided by the length.
    fn column_and_rest(&self, time_ns: i64, columns: u32) -> (i128, i128) {
        let (offset, len) = (i128::from(time_ns) - i128::from(self.start), self.len());
        // A 64-bit division is several times faster than a 128-bit one, and suffices for spans of up to months.
        if let (Ok(offset), Ok(len)) = (u64::try_from(offset), u64::try_from(len))
            && let Some(product) = offset.checked_mul(u64::from(columns.max(1)))
        {
            return ((product / len).into(), (product % len).into());
        }
        let product = offset * i128::from(columns.max(1));
        (product.div_euclid(len), product.rem_euclid(len))
    }
}
