//! Conversion of decimal prices and sizes to integers.

/// Maximum number of decimals that are tried; prices of the smallest coins have eight.
pub(super) const DECIMALS_MAX: u8 = 9;

/// Powers of ten, exact in an `f64`.
const POWERS: [f64; DECIMALS_MAX as usize + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Integers up to here are exact in an `f64`, and their quotient with a power of ten is the `f64` nearest to the
/// decimal number (W. D. Clinger, "How to Read Floating Point Numbers Accurately", PLDI 1990).
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Divisor of integers with that many decimals.
pub(super) fn power(decimals: u8) -> f64 {
    POWERS[usize::from(decimals.min(DECIMALS_MAX))]
}

/// `value` in units of its last decimal, rounded.
pub(super) fn whole(value: f64, decimals: u8) -> i64 {
    // Adding a half and truncating is as good as rounding where the result is verified, and needs no call.
    (value * power(decimals) + 0.5_f64.copysign(value)) as i64
}

/// Whether `value` is restored from its integer to the bit.
fn is_exact(value: f64, decimals: u8) -> bool {
    let whole = whole(value, decimals);
    (whole as f64).abs() < WHOLE_MAX && (whole as f64 / power(decimals)).to_bits() == value.to_bits()
}

/// The fewest decimals with which all values are restored; `None` if there are none.
pub(super) fn decimals_of(values: impl Iterator<Item = f64> + Clone) -> Option<u8> {
    let (mut decimals, mut checked) = (0, 0);
    for (at, value) in values.clone().enumerate() {
        while !is_exact(value, decimals) {
            decimals += 1;
            checked = at;
            if decimals > DECIMALS_MAX {
                return None;
            }
        }
    }
    // A large value that fits with fewer decimals may no longer fit.
    values.take(checked).all(|value| is_exact(value, decimals)).then_some(decimals)
}

/// Bits of an `f64`, ordered like the numbers.
pub(super) fn to_ordered(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// Inverse of [`to_ordered`].
pub(super) fn from_ordered(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::series::block_codec::decimal::*;

    #[test]
    fn decimals_are_as_many_as_the_values_need() {
        for (values, decimals) in [
            (&[167.41, 167.4, 168.0][..], Some(2)),
            (&[0.000_012_26, 3.0], Some(8)),
            (&[-37.63, 0.0], Some(2)),
            (&[1e15, 9e15], Some(0)),
            (&[1e16], None),
            (&[-0.0], None),
            (&[f64::NAN], None),
            (&[0.1 + 0.2], None),
            (&[], Some(0)),
        ] {
            assert_eq!(decimals_of(values.iter().copied()), decimals, "{values:?}");
        }
        assert_eq!(decimals_of([9e15, 0.25].into_iter()), None);
    }

    proptest! {
        #[test]
        fn ordered_bits_keep_order_and_value(a: f64, b: f64) {
            prop_assert_eq!(from_ordered(to_ordered(a)).to_bits(), a.to_bits());
            if a < b {
                prop_assert!(to_ordered(a) < to_ordered(b));
            }
        }

        #[test]
        fn every_decimal_price_comes_back(cents in -10_000_000_000_i64..10_000_000_000, decimals in 0_u8..=4) {
            let price: f64 = format!("{cents}e-{decimals}").parse().unwrap();
            let found = decimals_of([price].into_iter()).unwrap();
            prop_assert!(found <= decimals);
            prop_assert_eq!((whole(price, found) as f64 / power(found)).to_bits(), price.to_bits());
        }
    }
}
