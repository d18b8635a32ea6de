//! The ids of entries as clients write them, with all that Redis lets pass.

use crate::broker::streams::Refusal;
use crate::model::StreamId;
use crate::resp::command::strict_integer;
use crate::resp::encode::{Encoder, push_decimal};

/// After every entry.
pub(super) const LAST: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

/// Redis copies an id into a buffer of 128 bytes.
const TEXT_BYTES_MAX: usize = 127;

const INVALID: Refusal = Refusal::fixed("ERR Invalid stream ID specified as stream command argument");

/// The id right after `id`; `None` after the last one.
pub(super) fn next(id: StreamId) -> Option<StreamId> {
    match (id.ms, id.seq) {
        (u64::MAX, u64::MAX) => None,
        (ms, u64::MAX) => Some(StreamId { ms: ms + 1, seq: 0 }),
        (ms, seq) => Some(StreamId { ms, seq: seq + 1 }),
    }
}

/// Writes an id as a reply.
pub(super) fn reply(out: &mut Encoder, id: StreamId) {
    let mut text = Vec::with_capacity(41);
    push_decimal(&mut text, id.ms as usize);
    text.push(b'-');
    push_decimal(&mut text, id.seq as usize);
    out.bulk(text);
}

/// An id that may also be `-` or `+`. Without its second number it has `missing_seq`.
pub(super) fn parse(text: &[u8], missing_seq: u64) -> Result<StreamId, Refusal> {
    match crate::broker::streams::word(text) {
        _ if text.len() > TEXT_BYTES_MAX => Err(INVALID),
        b"-" => Ok(StreamId::START),
        b"+" => Ok(LAST),
        _ => parse_strict(text, missing_seq),
    }
}

/// An id proper.
pub(super) fn parse_strict(text: &[u8], missing_seq: u64) -> Result<StreamId, Refusal> {
    match parse_new(text, missing_seq)? {
        NewId { ms, seq: Some(seq) } => Ok(StreamId { ms, seq }),
        NewId { seq: None, .. } => Err(INVALID),
    }
}

/// The id of an entry to be added.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewId {
    pub(super) ms: u64,
    /// `None` for the next number within the millisecond, which is written `ms-*`.
    pub(super) seq: Option<u64>,
}

/// An id proper, or `ms-*`.
pub(super) fn parse_new(text: &[u8], missing_seq: u64) -> Result<NewId, Refusal> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(INVALID);
    }
    let text = crate::broker::streams::word(text);
    let (ms, seq) = match memchr::memchr(b'-', text) {
        Some(dash) => (&text[..dash], Some(&text[dash + 1..])),
        None => (text, None),
    };
    let ms = unsigned(ms).ok_or(INVALID)?;
    match seq {
        None => Ok(NewId { ms, seq: Some(missing_seq) }),
        Some(b"*") => Ok(NewId { ms, seq: None }),
        Some(seq) => Ok(NewId { ms, seq: Some(unsigned(seq).ok_or(INVALID)?) }),
    }
}

/// One end of a range; `(` before the id leaves the id itself out.
pub(super) fn parse_start(text: &[u8]) -> Result<StreamId, Refusal> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => {
            next(parse_strict(id, 0)?).ok_or(Refusal::fixed("ERR invalid start ID for the interval"))
        }
        _ => parse(text, 0),
    }
}

/// The other end.
pub(super) fn parse_end(text: &[u8]) -> Result<StreamId, Refusal> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => match parse_strict(id, u64::MAX)? {
            StreamId::START => Err(Refusal::fixed("ERR invalid end ID for the interval")),
            id => Ok(id.before()),
        },
        _ => parse(text, u64::MAX),
    }
}

/// A number as Redis's `string2ull` reads it: strictly, and failing that as C's `strtoull`, which takes
/// spaces in front, a sign and leading zeros, and wraps a negative number around.
fn unsigned(text: &[u8]) -> Option<u64> {
    if let Some(value) = strict_integer(text) {
        return u64::try_from(value).ok();
    }
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t'..=b'\r'))?;
    let is_negative = text[start] == b'-';
    let digits = &text[start + usize::from(matches!(text[start], b'-' | b'+'))..];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if is_negative { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    use crate::broker::streams::id::*;

    #[test]
    fn ids_are_read_as_loosely_as_redis_reads_them() {
        for (text, ms, seq) in [
            (&b"5"[..], 5, 9),
            (b"5-3", 5, 3),
            (b"005-03", 5, 3),
            (b" +5-\t7", 5, 7),
            (b"5--03", 5, u64::MAX - 2),
            (b"5-3\0x", 5, 3),
            (b"18446744073709551615-18446744073709551615", u64::MAX, u64::MAX),
        ] {
            assert_eq!(parse_strict(text, 9).ok(), Some(StreamId { ms, seq }), "{}", text.escape_ascii());
        }
        for text in [&b""[..], b"-", b"+", b"-5", b"5-", b"5--3", b"a", b"5-x", b"5-*", b"18446744073709551616", b"5 "]
        {
            assert!(parse_strict(text, 9).is_err(), "{}", text.escape_ascii());
        }
        assert_eq!(parse(b"+", 0).ok(), Some(LAST));
        assert!(parse_end(b"(0-0").is_err() && parse_start(b"(+").is_err() && parse_start(b"(").is_err());
        assert_eq!(parse_start(b"(5").ok(), Some(StreamId { ms: 5, seq: 1 }));
        assert_eq!(parse_end(b"(5-0").ok(), Some(StreamId { ms: 4, seq: u64::MAX }));
        assert_eq!(next(LAST), None);
    }
}
