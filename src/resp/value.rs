//! Replies as values: what a server answers to a question, read whole and borrowed from the read buffer.

use crate::resp::push::{ELEMENTS_MAX, MESSAGE_BYTES_MAX, NotResp, Walk, read_length, read_line, skip_value};

/// A reply, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Nothing.
    Null,
    /// A whole number.
    Number(i64),
    /// A string, whatever its kind.
    Text(&'a [u8]),
    /// An error, without its leading `-`.
    Error(&'a [u8]),
    /// A list, a set or a push; a map with its keys and values in turns, as RESP2 has it.
    List(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    /// The string; of anything else nothing.
    pub(crate) fn text(&self) -> Option<&'a [u8]> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements; of anything else none.
    pub(crate) fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }

    /// The number, also where it is written as text.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => u64::try_from(*number).ok(),
            Self::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The value that stands behind `key`, of a map.
    pub(crate) fn field(&self, key: &[u8]) -> Option<&Self> {
        let (pairs, _) = self.list().as_chunks::<2>();
        pairs.iter().find(|[name, _]| name.text() == Some(key)).map(|[_, value]| value)
    }
}

/// Reads the value at the start of `buffer`, and its length in bytes. `None` until it is whole.
pub(crate) fn read_value(buffer: &[u8]) -> Walk<(Value<'_>, usize)> {
    // The limits on depth, elements and bytes are looked after here, so that what follows meets a whole value.
    let Some(end) = skip_value(buffer, 0, 0)? else { return Ok(None) };
    Ok(Some((parse(buffer, 0)?.0, end)))
}

/// Whether a string or a list in the beginning of an answer is longer than any that is held. What follows it is not
/// looked at.
pub(crate) fn has_oversized(buffer: &[u8]) -> bool {
    let mut at = 0;
    while let Ok(Some((_, next))) = read_line(buffer, at + 1) {
        at = match buffer.get(at) {
            Some(b'$' | b'=' | b'!') => match read_length(buffer, at) {
                Ok(Some((Some(length), _))) if length > MESSAGE_BYTES_MAX => return true,
                Ok(Some((Some(length), start))) => start + length + 2,
                _ => next,
            },
            Some(b'*' | b'%' | b'~' | b'>') => match read_length(buffer, at) {
                Ok(Some((Some(length), _))) if length > ELEMENTS_MAX => return true,
                _ => next,
            },
            _ => next,
        };
    }
    false
}

/// The value at `at`, and where the next one starts.
fn parse(buffer: &[u8], at: usize) -> Result<(Value<'_>, usize), NotResp> {
    let kind = *buffer.get(at).ok_or(NotResp)?;
    let (line, next) = read_line(buffer, at + 1)?.ok_or(NotResp)?;
    let value = match kind {
        b'$' | b'=' | b'!' => {
            let Some((Some(length), start)) = read_length(buffer, at)? else { return Ok((Value::Null, next)) };
            let text = buffer.get(start..start + length).ok_or(NotResp)?;
            let text = match kind {
                b'$' => Value::Text(text),
                // Verbatim strings begin with their form, as `txt:`.
                b'=' => Value::Text(text.get(4..).unwrap_or_default()),
                _ => Value::Error(text),
            };
            return Ok((text, start + length + 2));
        }
        b'*' | b'>' | b'~' | b'%' => {
            let Some((Some(count), mut at)) = read_length(buffer, at)? else { return Ok((Value::Null, next)) };
            let count = if kind == b'%' { count * 2 } else { count };
            let mut list = Vec::with_capacity(count);
            for _ in 0..count {
                let (value, next) = parse(buffer, at)?;
                list.push(value);
                at = next;
            }
            return Ok((Value::List(list), at));
        }
        b'-' => Value::Error(line),
        b':' => Value::Number(std::str::from_utf8(line).ok().and_then(|digits| digits.parse().ok()).ok_or(NotResp)?),
        b'_' => Value::Null,
        // Status replies, doubles, booleans, big numbers.
        _ => Value::Text(line),
    };
    Ok((value, next))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::resp::value::*;

    #[test]
    fn values_of_both_protocols_are_read() {
        let text = |text: &'static str| Value::Text(text.as_bytes());
        let reply = b"*2\r\n$3\r\n1-1\r\n*4\r\n$1\r\na\r\n$0\r\n\r\n$-1\r\n*-1\r\n";
        let inner = Value::List(vec![text("a"), text(""), Value::Null, Value::Null]);
        assert_eq!(read_value(reply), Ok(Some((Value::List(vec![text("1-1"), inner]), reply.len()))));
        let reply = b"%2\r\n+length\r\n:7\r\n$5\r\nfirst\r\n_\r\n";
        let (map, _) = read_value(reply).unwrap().unwrap();
        assert_eq!(map.field(b"length").and_then(Value::number), Some(7));
        assert_eq!((map.field(b"first"), map.field(b"last")), (Some(&Value::Null), None));
        assert_eq!(read_value(b"-MOVED 1 h:2\r\n"), Ok(Some((Value::Error(b"MOVED 1 h:2"), 14))));
        assert_eq!(read_value(b"=7\r\ntxt:abc\r\n"), Ok(Some((text("abc"), 13))));
        assert_eq!(read_value(b":x\r\n"), Err(NotResp));
    }

    #[test]
    fn a_string_that_is_too_long_is_told_from_what_is_no_reply() {
        let long = b"*2\r\n$3\r\n$99\r\n$16777217\r\nabc";
        assert_eq!((read_value(long), has_oversized(long)), (Err(NotResp), true));
        assert!(has_oversized(b"*2\r\n$3\r\n1-1\r\n*66000\r\n$1\r\na\r\n"));
        for other in [&b"*1\r\n$16777216\r\nabc"[..], b"HTTP/1.1 400\r\n", b"$x\r\n", b"$16777217", b""] {
            assert!(!has_oversized(other), "{}", String::from_utf8_lossy(other));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_a_value_is_whole_or_not_there(text in "[*>$%:+_=!\\-0-9\r\na-e]{0,60}") {
            let bytes = text.as_bytes();
            if let Ok(Some((value, length))) = read_value(bytes) {
                prop_assert_eq!(read_value(&bytes[..length]), Ok(Some((value, length))));
                prop_assert_eq!(read_value(&bytes[..length - 1]), Ok(None));
            }
        }
    }
}
