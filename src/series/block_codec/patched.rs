//! Integers packed to a width that fits most of them, with the upper bits of the others stored apart.
//!
//! Follows PFOR (M. Zukowski, S. Héman, N. Nes, P. Boncz, "Super-Scalar RAM-CPU Cache Compression", ICDE 2006): the few
//! large integers of a block would widen all others, so their upper bits are kept apart, with their indices.

use crate::series::block_codec::bits;
use crate::series::block_codec::bits::Writer;

/// Packing of a sequence of integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Plan {
    width: u8,
    /// Number of integers that are wider.
    patches: u8,
    /// Bytes for the upper bits of each of those.
    patch_bytes: u8,
}

impl Plan {
    /// The plan that takes the fewest bytes; there are at most 255 values.
    pub(super) fn for_values(values: &[u64]) -> Self {
        let widest = bits::width_of(values.iter().fold(0, |all, value| all | value)) as usize;
        let mut of_width = [0_u16; 65];
        for &value in values {
            of_width[bits::width_of(value) as usize] += 1;
        }
        let (mut best, mut fewest) = (Self::default(), usize::MAX);
        let mut patches = 0_usize;
        for width in (0..=widest).rev() {
            let patch_bytes = if patches > 0 { (widest - width).div_ceil(8) } else { 0 };
            let plan = Self { width: width as u8, patches: patches as u8, patch_bytes: patch_bytes as u8 };
            let bytes = plan.bytes(values.len());
            if bytes < fewest {
                (best, fewest) = (plan, bytes);
            } else if patches * 2 > fewest {
                // The patches alone take more, at two bytes or more each.
                break;
            }
            patches += usize::from(of_width[width]);
        }
        best
    }

    /// Number of bytes of `count` integers.
    pub(super) fn bytes(self, count: usize) -> usize {
        bits::bytes(count, self.width.into()) + usize::from(self.patches) * (1 + usize::from(self.patch_bytes))
    }

    pub(super) fn write(self, values: &[u64], out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        for &value in values {
            writer.put(value, self.width.into());
        }
        writer.finish();
        if self.patches == 0 {
            return;
        }
        let places_at = out.len();
        let mut uppers_at = places_at + usize::from(self.patches);
        out.resize(uppers_at + usize::from(self.patches) * usize::from(self.patch_bytes), 0);
        let mut place_at = places_at;
        for (at, &value) in values.iter().enumerate() {
            let upper = value >> self.width;
            if upper > 0 {
                out[place_at] = at as u8;
                let bytes = usize::from(self.patch_bytes);
                out[uppers_at..uppers_at + bytes].copy_from_slice(&upper.to_le_bytes()[..bytes]);
                (place_at, uppers_at) = (place_at + 1, uppers_at + bytes);
            }
        }
    }

    /// Decodes the first `out.len()` of `count` integers that start at the first byte of `bytes`.
    pub(super) fn read(self, bytes: &[u8], count: usize, out: &mut [u64]) {
        bits::unpack(bytes, self.width.into(), out);
        if self.patches == 0 {
            return;
        }
        let (patches, each) = (usize::from(self.patches), usize::from(self.patch_bytes));
        let places = bytes.get(bits::bytes(count, self.width.into())..).unwrap_or_default();
        let uppers = places.get(patches..).unwrap_or_default();
        for (&at, upper) in places[..patches.min(places.len())].iter().zip(uppers.chunks(each.max(1))) {
            let mut word = [0; 8];
            word[..upper.len().min(8)].copy_from_slice(&upper[..upper.len().min(8)]);
            if let Some(value) = out.get_mut(usize::from(at)) {
                *value |= u64::from_le_bytes(word) << self.width;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::series::block_codec::bits::SLACK_BYTES;
    use crate::series::block_codec::patched::*;

    proptest! {
        #[test]
        fn numbers_come_back_in_as_few_bytes_as_promised(
            small in 0_u32..64,
            large in prop::collection::vec((0_usize..128, any::<u64>()), 0..20),
            count in 0_usize..128,
            seed: u64,
        ) {
            let mut values: Vec<u64> =
                (0..count as u64).map(|i| seed.wrapping_mul(i | 1).rotate_left(17) & ((1 << small) - 1)).collect();
            for (at, value) in large {
                if let Some(place) = values.get_mut(at) {
                    *place = value;
                }
            }
            let plan = Plan::for_values(&values);
            let mut bytes = Vec::new();
            plan.write(&values, &mut bytes);
            prop_assert_eq!(bytes.len(), plan.bytes(count));
            bytes.resize(bytes.len() + SLACK_BYTES, 0xee);
            let mut back = vec![0; count];
            plan.read(&bytes, count, &mut back);
            prop_assert_eq!(&back, &values);
            let mut part = vec![0; count / 2];
            plan.read(&bytes, count, &mut part);
            prop_assert_eq!(&part[..], &values[..count / 2]);
        }
    }

    #[test]
    fn one_outlier_does_not_widen_the_rest() {
        let mut values = [3; 128];
        values[77] = 1 << 40;
        let plan = Plan::for_values(&values);
        assert_eq!((plan.width, plan.patches, plan.bytes(128)), (2, 1, 32 + 1 + 5));
    }
}
