//! Sum of traded volume that does not depend on the order of summation.

/// Sum of sizes in twice the precision of `f64` (D. E. Knuth's `TwoSum`, "The Art of Computer Programming", vol. 2,
/// section 4.2.2), so that the sum over a range is the same whether it is taken tick by tick or from summaries: exact
/// for integers, and for fractions to about a hundred bits.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct VolumeSum {
    high: f64,
    low: f64,
    /// Number of ticks with a size.
    pub(super) sized: u64,
}

impl VolumeSum {
    /// Adds the size of one tick; NaN means none.
    pub(super) fn add(&mut self, size: f64) {
        if !size.is_nan() {
            self.sized += 1;
            self.accumulate(size);
        }
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.sized > 0 {
            self.sized += other.sized;
            self.accumulate(other.high);
            self.accumulate(other.low);
        }
    }

    /// The sum, rounded once; [`f64::MAX`] on overflow.
    pub(super) fn total(&self) -> f64 {
        (self.high + self.low).min(f64::MAX)
    }

    fn accumulate(&mut self, value: f64) {
        let sum = self.high + value;
        if !sum.is_finite() {
            // The error term would be NaN, so an overflowing sum saturates.
            self.high = f64::MAX;
            self.low = 0.0;
            return;
        }
        let added = sum - self.high;
        let error = (self.high - (sum - added)) + (value - added);
        let low = self.low + error;
        self.high = sum + low;
        self.low = low - (self.high - sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "that the sum is exact is what is tested")]
    fn small_sizes_survive_beside_huge_ones_and_overflow_saturates() {
        let mut volume = VolumeSum::default();
        for size in [1e16, 1.0, f64::NAN, 1.0, 1.0, 1.0] {
            volume.add(size);
        }
        assert_eq!((volume.total(), volume.sized), (1e16 + 4.0, 5));
        volume.add(f64::MAX);
        volume.add(f64::MAX);
        volume.add(1.0);
        assert_eq!(volume.total(), f64::MAX);
    }
}
