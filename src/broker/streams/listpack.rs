//! How many bytes Redis would need for the elements of a node, so that nodes end where Redis's do.

use crate::resp::command::strict_integer;

/// A list without elements: its header and its end.
pub(super) const EMPTY_BYTES: usize = 7;

/// Longest text that can be an `i64`.
const INTEGER_TEXT_BYTES_MAX: usize = 20;

/// A number.
pub(super) fn integer_bytes(value: i64) -> usize {
    let bytes = match value {
        0..=127 => 1,
        -4_096..=4_095 => 2,
        -32_768..=32_767 => 3,
        -8_388_608..=8_388_607 => 4,
        -2_147_483_648..=2_147_483_647 => 5,
        _ => 9,
    };
    // Its length, for reading backwards, takes one more.
    bytes + 1
}

/// A text; one that is a number is kept as such.
pub(super) fn text_bytes(text: &[u8]) -> usize {
    if text.len() <= INTEGER_TEXT_BYTES_MAX
        && let Some(value) = strict_integer(text)
    {
        return integer_bytes(value);
    }
    let bytes = match text.len() {
        len @ 0..64 => len + 1,
        len @ 64..4_096 => len + 2,
        len => len + 5,
    };
    bytes
        + match bytes {
            0..=127 => 1,
            128..16_383 => 2,
            16_383..2_097_151 => 3,
            2_097_151..268_435_455 => 4,
            _ => 5,
        }
}
