//! Vertical extent: fitting to the data, zoom, pan.

use crate::chart::ValueSpan;

/// Space above and below the data, as a share of their range.
pub const PAD_SHARE: f64 = 0.06;

/// Half of the span of constant data, as a share of their value: a price of 187 gets 0.2 on each side.
const FLAT_SHARE: f64 = 0.001;

/// Minimum span as a share of its values: 4,500 steps of an `f64`, so that every row of a screen is a different number.
const LEN_SHARE_MIN: f64 = 1e-12;

/// Minimum span. Below it numbers become subnormal and lose precision.
const LEN_MIN: f64 = 1e-300;

/// A held span is fitted anew if the data cover less than this share of it.
const FILL_SHARE_MIN: f64 = 0.5;

impl ValueSpan {
    /// Span without data.
    pub const EMPTY: Self = Self { lo: 0.0, hi: 1.0 };

    /// Span that shows values from `min` to `max` with [`PAD_SHARE`] to spare. Constant data get a span in proportion
    /// to their value. NaN is ignored; infinities count as the ends of `f64`.
    pub fn fit(min: f64, max: f64) -> Self {
        let (min, max) = (min.min(max), max.max(min));
        if min.is_nan() {
            return Self::EMPTY;
        }
        let (min, max) = (min.clamp(-f64::MAX, f64::MAX), max.clamp(-f64::MAX, f64::MAX));
        let pad = if min < max {
            (max / 2.0 - min / 2.0) * (2.0 * PAD_SHARE)
        } else if min == 0.0 {
            0.5
        } else {
            min.abs() * FLAT_SHARE
        };
        Self { lo: min - pad, hi: max + pad }.limited()
    }

    /// This span as long as it shows `min` to `max` well, else a newly fitted one, so that the axis does not move with
    /// every tick.
    #[must_use]
    pub fn holding(self, min: f64, max: f64) -> Self {
        let (lowest, highest) = (self.share(min), self.share(max));
        let shows = lowest >= 0.0 && highest <= 1.0;
        // Compared with a fitted span, not with the data: constant data have no range.
        let fitted = Self::fit(min, max);
        let wide = fitted.share(self.hi) - fitted.share(self.lo);
        if shows && wide <= 1.0 / FILL_SHARE_MIN { self } else { fitted }
    }

    /// Nearest valid span: finite, ordered, and long enough to tell its rows apart.
    #[must_use]
    pub fn limited(self) -> Self {
        if self.lo.is_nan() || self.hi.is_nan() {
            return Self::EMPTY;
        }
        let lo = self.lo.min(self.hi).clamp(-f64::MAX, f64::MAX);
        let hi = self.hi.max(self.lo).clamp(-f64::MAX, f64::MAX);
        let len_min = (lo.abs().max(hi.abs()) * LEN_SHARE_MIN).max(LEN_MIN);
        if hi - lo >= len_min {
            return Self { lo, hi };
        }
        let middle = f64::midpoint(lo, hi).clamp(len_min - f64::MAX, f64::MAX - len_min);
        // The halves overlap slightly, so that rounding cannot make the span too short.
        Self { lo: middle - len_min * 0.51, hi: middle + len_min * 0.51 }
    }

    /// Scales the span by `factor` (shorter below 1) around `anchor`, as far as the limits allow. A NaN, or a negative
    /// factor, changes nothing.
    #[must_use]
    pub fn zoomed(self, anchor: f64, factor: f64) -> Self {
        if factor.is_nan() || factor < 0.0 || anchor.is_nan() {
            return self;
        }
        let (anchor, factor) = (anchor.clamp(-f64::MAX, f64::MAX), factor.min(f64::MAX));
        let end = |edge: f64| {
            let moved = anchor + (edge - anchor) * factor;
            if moved.is_nan() { edge } else { moved }
        };
        Self { lo: end(self.lo), hi: end(self.hi) }.limited()
    }

    /// Moves the span up by `share` of its length, up to the ends of `f64`; NaN changes nothing.
    #[must_use]
    pub fn panned(self, lengths: f64) -> Self {
        let (lo, hi) = (self.value_at(lengths), self.value_at(1.0 + lengths));
        if lengths.is_nan() || lo <= -f64::MAX || hi >= f64::MAX { self } else { Self { lo, hi }.limited() }
    }

    /// Position of a value: 0 at the bottom, 1 at the top, beyond that outside.
    pub fn share(&self, value: f64) -> f64 {
        // Halved, because the length of a span may overflow `f64`.
        (value / 2.0 - self.lo / 2.0) / (self.hi / 2.0 - self.lo / 2.0)
    }

    /// Value at a position; the inverse of [`ValueSpan::share`].
    pub fn value_at(&self, share: f64) -> f64 {
        let value = 2.0 * (self.lo / 2.0 + share * (self.hi / 2.0 - self.lo / 2.0));
        if value.is_nan() { self.lo } else { value.clamp(-f64::MAX, f64::MAX) }
    }
}
