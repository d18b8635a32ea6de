//! Ids of entries in the forms that clients write.

use crate::broker::streams::CommandError;
use crate::model::StreamId;

/// The greatest id.
pub(super) const LAST: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

const INVALID: CommandError = CommandError::text("ERR Invalid stream ID specified as stream command argument");

/// Returns the id after `id`, or `None` after the last one.
pub(super) fn next(id: StreamId) -> Option<StreamId> {
    match (id.ms, id.seq) {
        (u64::MAX, u64::MAX) => None,
        (ms, u64::MAX) => Some(StreamId { ms: ms + 1, seq: 0 }),
        (ms, seq) => Some(StreamId { ms, seq: seq + 1 }),
    }
}

/// Parses an id, `-` or `+`. `missing_seq` replaces a missing second number.
pub(super) fn parse(text: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match text {
        b"-" => Ok(StreamId::START),
        b"+" => Ok(LAST),
        _ => parse_exact(text, missing_seq),
    }
}

/// Parses an id with 0 for a missing second number.
pub(super) fn exact(text: &[u8]) -> Result<StreamId, CommandError> {
    parse_exact(text, 0)
}

fn parse_exact(text: &[u8], missing_seq: u64) -> Result<StreamId, CommandError> {
    match parse_new(text, missing_seq)? {
        NewId { ms, seq: Some(seq) } => Ok(StreamId { ms, seq }),
        NewId { seq: None, .. } => Err(INVALID),
    }
}

/// Id of an entry to be added.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewId {
    pub(super) ms: u64,
    /// `None` for the next number within the millisecond, written `ms-*`.
    pub(super) seq: Option<u64>,
}

/// Parses an id or `ms-*`.
pub(super) fn parse_new(text: &[u8], missing_seq: u64) -> Result<NewId, CommandError> {
    let unsigned = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
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

/// Parses the start of a range; `(` before the id excludes it.
pub(super) fn parse_start(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => {
            next(exact(id)?).ok_or(CommandError::text("ERR invalid start ID for the interval"))
        }
        _ => parse(text, 0),
    }
}

/// Parses the end of a range; `(` before the id excludes it.
pub(super) fn parse_end(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => match parse_exact(id, u64::MAX)? {
            StreamId::START => Err(CommandError::text("ERR invalid end ID for the interval")),
            id => Ok(id.before()),
        },
        _ => parse(text, u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use crate::broker::streams::id::*;

    #[test]
    fn ids_are_parsed_as_redis_parses_them() {
        for (text, ms, seq) in [
            (&b"5"[..], 5, 9),
            (b"5-3", 5, 3),
            (b"005-03", 5, 3),
            (b"18446744073709551615-18446744073709551615", u64::MAX, u64::MAX),
        ] {
            assert_eq!(parse_exact(text, 9).ok(), Some(StreamId { ms, seq }), "{}", text.escape_ascii());
        }
        for text in [&b""[..], b"-", b"+", b"-5", b"5-", b"5--3", b"a", b"5-x", b"5-*", b"18446744073709551616", b"5 "]
        {
            assert!(parse_exact(text, 9).is_err(), "{}", text.escape_ascii());
        }
        assert_eq!(parse(b"+", 0).ok(), Some(LAST));
        assert!(parse_end(b"(0-0").is_err() && parse_start(b"(+").is_err() && parse_start(b"(").is_err());
        assert_eq!(parse_start(b"(5").ok(), Some(StreamId { ms: 5, seq: 1 }));
        assert_eq!(parse_end(b"(5-0").ok(), Some(StreamId { ms: 4, seq: u64::MAX }));
        assert_eq!(next(LAST), None);
    }
}
