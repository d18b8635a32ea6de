//! Bit packing: adjacent integers of a fixed number of bits, lowest bit first.

/// Bytes that must follow the last integer, because a read always loads a whole word.
pub(super) const SLACK_BYTES: usize = 16;

/// Appends integers to bytes.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    waiting: u64,
    /// Number of bits in `waiting`; below 64.
    bits: u32,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, waiting: 0, bits: 0 }
    }

    /// Appends the lowest `width` bits of a value; `width` is at most 64.
    #[inline]
    pub(super) fn put(&mut self, value: u64, width: u32) {
        let value = value & mask(width);
        self.waiting |= value << self.bits;
        let bits = self.bits + width;
        if bits >= u64::BITS {
            self.out.extend_from_slice(&self.waiting.to_le_bytes());
            // The bits that did not fit; none if the word was empty before.
            self.waiting = value.checked_shr(u64::BITS - self.bits).unwrap_or(0);
        }
        self.bits = bits % u64::BITS;
    }

    /// Writes the remaining bits and fills up the last byte.
    pub(super) fn finish(self) {
        let bytes = self.waiting.to_le_bytes();
        self.out.extend_from_slice(&bytes[..(self.bits as usize).div_ceil(8)]);
    }
}

/// Number of bytes of `count` integers.
pub(super) const fn bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Integer number `index` of those that start at the first byte of `bits`.
pub(super) fn get(bits: &[u8], index: usize, width: u32) -> u64 {
    let bit = index * width as usize;
    let word = bits.get(bit / 8..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u128::from_le_bytes(*bytes));
    (word >> (bit % 8)) as u64 & mask(width)
}

/// Decodes the first `out.len()` integers of those that start at the first byte of `bits`.
pub(super) fn unpack(bits: &[u8], width: u32, out: &mut [u64]) {
    /// Instantiates a loop for each width: its shifts are constants, and every eighth integer starts at a whole byte.
    macro_rules! of_width {
        ($($width:literal)*) => {
            match width {
                0 => out.fill(0),
                $($width => unpack_fixed::<$width>(bits, out),)*
                _ => unpack_wide(bits, width, out),
            }
        };
    }
    of_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

fn unpack_fixed<const WIDTH: usize>(bits: &[u8], out: &mut [u64]) {
    let mut eights = out.chunks_exact_mut(8);
    let mut done = 0;
    for eight in &mut eights {
        // Seven integers and a word, as the eighth one needs; one bounds check covers all of them.
        let Some(bytes) = bits.get(done..done + WIDTH * 7 / 8 + 8) else { return eight.fill(0) };
        for (at, number) in eight.iter_mut().enumerate() {
            let bit = at * WIDTH;
            let word = bytes[bit / 8..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            *number = word >> (bit % 8) & mask(WIDTH as u32);
        }
        done += WIDTH;
    }
    unpack_wide(bits.get(done..).unwrap_or_default(), WIDTH as u32, eights.into_remainder());
}

/// Decodes integers of any width.
fn unpack_wide(bits: &[u8], width: u32, out: &mut [u64]) {
    for (index, number) in out.iter_mut().enumerate() {
        *number = get(bits, index, width);
    }
}

const fn mask(width: u32) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

/// Minimum number of bits that hold `value`.
pub(super) const fn width_of(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

#[cfg(test)]
mod tests {
    use crate::series::block_codec::bits::*;

    #[test]
    fn numbers_of_every_width_come_back_from_every_place() {
        for width in 0..=64 {
            let numbers: Vec<u64> = (0..150_u64)
                .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(i as u32) & mask(width))
                .collect();
            let mut out = vec![7; 3];
            let mut writer = Writer::new(&mut out);
            for &number in &numbers {
                writer.put(number, width);
            }
            writer.finish();
            assert_eq!(out.len(), 3 + bytes(numbers.len(), width));
            out.resize(out.len() + SLACK_BYTES, 0xff);
            let mut back = vec![0; numbers.len()];
            unpack(&out[3..], width, &mut back);
            assert_eq!(back, numbers, "{width}");
            assert!((0..numbers.len()).all(|index| get(&out[3..], index, width) == numbers[index]), "{width}");
        }
        assert_eq!((width_of(0), width_of(1), width_of(255), width_of(u64::MAX)), (0, 1, 8, 64));
    }
}
