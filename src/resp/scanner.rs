//! Scanner for RESP2 and RESP3 values in a read buffer, and the limits that every reader of the protocol shares.
//!
//! Values are recognised in place; nothing is copied. Protocol:
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use memchr::memchr;

/// Longest line: a count, a length, a simple string, an error, or an inline command. Redis has the same limit.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 10;

/// Longest bulk string. A day of ticks in one array is near 16 MiB; Redis itself allows 512 MiB, which does not fit
/// into a bounded read buffer.
pub(crate) const BULK_BYTES_MAX: usize = 16 << 20;

/// Longest frame held in a read buffer: the longest message with the names of its channel and pattern. Redis allows
/// names as long as messages, and the publisher chooses them if the subscription is a pattern.
pub(crate) const FRAME_BYTES_MAX: usize = BULK_BYTES_MAX + (256 << 10);

/// Most elements of an aggregate: enough for every entry of a stream batch, and for a SUBSCRIBE to every channel that
/// one client may have.
pub(crate) const ELEMENTS_MAX: usize = 64 << 10;

/// Deepest nesting; `HELLO` answers with a map of lists of maps.
const DEPTH_MAX: usize = 8;

/// Error for bytes that are not RESP, or that exceed its limits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotResp;

/// Result of scanning a growing buffer: `None` until the item is complete.
pub(crate) type Scan<T> = Result<Option<T>, NotResp>;

/// First line of a value: its type byte and content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header<'a> {
    /// A value that is one line: a simple string, error, number, boolean or RESP3 null.
    Line(u8, &'a [u8]),
    /// Length of a string that follows (`$`, `=` or `!`); `None` for the null of RESP2.
    Bulk(u8, Option<usize>),
    /// Number of values that follow; a map counts keys and values. `None` for the null of RESP2.
    Aggregate(u8, Option<usize>),
}

/// Cursor over the values in a buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanner<'a> {
    buffer: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(buffer: &'a [u8]) -> Self {
        Self { buffer, at: 0 }
    }

    /// Offset of the next unread byte.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Reads the first line of the next value.
    pub(crate) fn header(&mut self) -> Scan<Header<'a>> {
        let Some(&kind) = self.buffer.get(self.at) else { return Ok(None) };
        if !b"+-:,#_($=!*>~%".contains(&kind) {
            return Err(NotResp);
        }
        let Some((line, next)) = read_line(self.buffer, self.at + 1)? else { return Ok(None) };
        self.at = next;
        Ok(Some(match kind {
            b'$' | b'=' | b'!' => Header::Bulk(kind, parse_length(line)?),
            b'*' | b'>' | b'~' => Header::Aggregate(kind, parse_length(line)?),
            b'%' => Header::Aggregate(kind, parse_length(line)?.map(|pairs| pairs * 2)),
            _ => Header::Line(kind, line),
        }))
    }

    /// Reads the content of a string whose header announced `length` bytes.
    pub(crate) fn bulk(&mut self, length: usize) -> Scan<&'a [u8]> {
        if length > BULK_BYTES_MAX {
            return Err(NotResp);
        }
        let end = self.at + length + 2;
        match self.buffer.get(self.at..end) {
            None => Ok(None),
            Some(bulk) if bulk.ends_with(b"\r\n") => {
                self.at = end;
                Ok(Some(&bulk[..length]))
            }
            Some(_) => Err(NotResp),
        }
    }

    /// Reads a string of any kind: simple or bulk, not an error.
    pub(crate) fn text(&mut self) -> Scan<&'a [u8]> {
        match self.header()? {
            None => Ok(None),
            Some(Header::Bulk(b'$' | b'=', Some(length))) => self.bulk(length),
            Some(Header::Line(b'+', line)) => Ok(Some(line)),
            Some(_) => Err(NotResp),
        }
    }

    /// Skips one value with everything nested in it.
    pub(crate) fn skip(&mut self) -> Scan<()> {
        self.skip_nested(0)
    }

    fn skip_nested(&mut self, depth: usize) -> Scan<()> {
        match self.header()? {
            None => Ok(None),
            Some(Header::Bulk(_, Some(length))) => Ok(self.bulk(length)?.map(|_| ())),
            Some(Header::Aggregate(_, Some(count))) => {
                if depth >= DEPTH_MAX || count > ELEMENTS_MAX {
                    return Err(NotResp);
                }
                for _ in 0..count {
                    if self.skip_nested(depth + 1)?.is_none() {
                        return Ok(None);
                    }
                }
                Ok(Some(()))
            }
            Some(_) => Ok(Some(())),
        }
    }
}

/// Returns the length in bytes of the value at the start of `buffer`, once it is complete.
pub(crate) fn value_length(buffer: &[u8]) -> Scan<usize> {
    let mut scanner = Scanner::new(buffer);
    Ok(scanner.skip()?.map(|()| scanner.position()))
}

/// Tells if a string or an aggregate in `buffer`, the beginning of a reply, exceeds the limits.
pub(crate) fn has_oversized(buffer: &[u8]) -> bool {
    let mut scanner = Scanner::new(buffer);
    while let Ok(Some(header)) = scanner.header() {
        match header {
            Header::Bulk(_, Some(length)) if length > BULK_BYTES_MAX => return true,
            Header::Bulk(_, Some(length)) => scanner.at += length + 2,
            Header::Aggregate(_, Some(count)) if count > ELEMENTS_MAX => return true,
            _ => {}
        }
    }
    false
}

/// Finds `byte` in a growing buffer. The search resumes at `searched`, so that no byte is examined twice.
pub(crate) fn find_from(buffer: &[u8], searched: &mut usize, byte: u8) -> Option<usize> {
    let found = memchr(byte, buffer.get(*searched..).unwrap_or_default()).map(|offset| *searched + offset);
    *searched = found.unwrap_or(buffer.len());
    found
}

/// Reads the line that starts at `at`: its content without the line end, and the offset of the next line.
fn read_line(buffer: &[u8], at: usize) -> Scan<(&[u8], usize)> {
    let limit = buffer.len().min(at + LINE_BYTES_MAX);
    let mut searched = at;
    match find_from(&buffer[..limit], &mut searched, b'\n') {
        Some(end) if end > at && buffer[end - 1] == b'\r' => Ok(Some((&buffer[at..end - 1], end + 1))),
        Some(_) => Err(NotResp),
        None if limit == at + LINE_BYTES_MAX => Err(NotResp),
        None => Ok(None),
    }
}

/// Parses a length or count; `-1` is the null of RESP2.
fn parse_length(digits: &[u8]) -> Result<Option<usize>, NotResp> {
    match digits {
        b"-1" => Ok(None),
        // Twelve digits cannot overflow, and are far beyond every limit.
        [_, ..] if digits.len() <= 12 && digits.iter().all(u8::is_ascii_digit) => {
            Ok(Some(digits.iter().fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))))
        }
        _ => Err(NotResp),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::resp::scanner::*;

    #[test]
    fn headers_and_strings_of_both_protocols() {
        let mut scanner = Scanner::new(b"%1\r\n+a\r\n$2\r\n\r\n\r\n*-1\r\n$-1\r\n_\r\n!3\r\nERR\r\n");
        assert_eq!(scanner.header(), Ok(Some(Header::Aggregate(b'%', Some(2)))));
        assert_eq!((scanner.text(), scanner.text()), (Ok(Some(&b"a"[..])), Ok(Some(&b"\r\n"[..]))));
        assert_eq!(scanner.header(), Ok(Some(Header::Aggregate(b'*', None))));
        assert_eq!(scanner.header(), Ok(Some(Header::Bulk(b'$', None))));
        assert_eq!(scanner.header(), Ok(Some(Header::Line(b'_', b""))));
        assert_eq!(scanner.text(), Err(NotResp), "an error is not a text");
    }

    #[test]
    fn oversized_replies_differ_from_other_protocols() {
        let long = b"*2\r\n$3\r\n$99\r\n$16777217\r\nabc";
        assert_eq!((value_length(long), has_oversized(long)), (Err(NotResp), true));
        assert!(has_oversized(b"*2\r\n$3\r\n1-1\r\n*66000\r\n$1\r\na\r\n"));
        for other in [&b"*1\r\n$16777216\r\nabc"[..], b"HTTP/1.1 400\r\n", b"$x\r\n", b"$16777217", b""] {
            assert!(!has_oversized(other), "{}", String::from_utf8_lossy(other));
        }
        assert_eq!(value_length(&vec![b'+'; LINE_BYTES_MAX + 1]), Err(NotResp), "lines are bounded");
        assert_eq!(value_length(&b"*1\r\n".repeat(1_000)), Err(NotResp), "depth is bounded");
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_a_value_is_complete_or_absent(text in "[*>$%:+_=!\\-0-9\r\na-e]{0,60}") {
            let bytes = text.as_bytes();
            has_oversized(bytes);
            if let Ok(Some(length)) = value_length(bytes) {
                prop_assert_eq!(value_length(&bytes[..length]), Ok(Some(length)));
                prop_assert_eq!(value_length(&bytes[..length - 1]), Ok(None));
            }
        }
    }
}
