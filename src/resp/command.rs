//! Decoder for the commands that clients send to the server. Behaves as Redis 7.0 where the protocol specification is
//! silent: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use std::ops::Range;

use crate::resp::inline;
use crate::resp::scanner::{BULK_BYTES_MAX, ELEMENTS_MAX, LINE_BYTES_MAX, find_from};

/// Longest command with all its arguments: two of the longest ones, so that no PUBLISH within the other limits is
/// rejected.
pub(crate) const COMMAND_BYTES_MAX: usize = 2 * BULK_BYTES_MAX;

const _: () = assert!(BULK_BYTES_MAX + LINE_BYTES_MAX < COMMAND_BYTES_MAX);

/// Violation of the protocol. Nothing that follows in the stream can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    /// Text of the error reply that Redis sends, without its code.
    Malformed(&'static str),
    /// Byte in place of the `$` of an argument.
    NotBulk(u8),
    /// Redis closes such a connection without a reply.
    CommandTooLong,
}

impl ProtocolError {
    /// Error reply that Redis sends; `None` if it sends none.
    pub(crate) fn text(self) -> Option<Vec<u8>> {
        match self {
            Self::Malformed(text) => Some([b"ERR Protocol error: ", text.as_bytes()].concat()),
            Self::NotBulk(got) => Some([b"ERR Protocol error: expected '$', got '", &[got][..], b"'"].concat()),
            Self::CommandTooLong => None,
        }
    }
}

/// Arguments of one command, the command's name first, borrowed from the read buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Args<'a> {
    bytes: &'a [u8],
    /// Positions of the arguments in the bytes.
    spans: &'a [Range<usize>],
}

impl<'a> Args<'a> {
    /// Number of arguments, including the name.
    pub(crate) fn len(self) -> usize {
        self.spans.len()
    }

    /// Argument at `index`; empty if there is none, which the arity check rules out.
    pub(crate) fn at(self, index: usize) -> &'a [u8] {
        self.get(index).unwrap_or_default()
    }

    pub(crate) fn get(self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| &self.bytes[span.clone()])
    }

    /// Arguments from index `first` on.
    pub(crate) fn iter_from(self, first: usize) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.spans.get(first..).unwrap_or_default().iter().map(move |span| &self.bytes[span.clone()])
    }

    /// Returns whether the argument at `index` is this word, in any case.
    pub(crate) fn is(self, index: usize, word: &str) -> bool {
        self.at(index).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Returns a cursor over the options from index `first` on.
    pub(crate) fn options(self, first: usize) -> Options<'a> {
        Options { args: self, at: first }
    }

    /// Sum of the arguments' lengths in bytes.
    pub(crate) fn payload_bytes(self) -> usize {
        self.spans.iter().map(Range::len).sum()
    }
}

/// Cursor over the options of a command.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    args: Args<'a>,
    at: usize,
}

impl<'a> Options<'a> {
    /// Index of the next argument.
    pub(crate) fn index(&self) -> usize {
        self.at
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.args.len()
    }

    /// Skips the next argument if it is this option, in any case, with at least `values` arguments behind it.
    pub(crate) fn take(&mut self, option: &str, values: usize) -> bool {
        let is_next = self.args.is(self.at, option) && self.args.len() > self.at + values;
        self.at += usize::from(is_next);
        is_next
    }

    /// Returns and skips the next argument; empty at the end.
    pub(crate) fn value(&mut self) -> &'a [u8] {
        self.at += 1;
        self.args.at(self.at - 1)
    }
}

/// Incremental decoder of commands in a growing buffer. It copies no arguments and examines no byte twice.
///
/// Call [`decode`](Self::decode) with the bytes that are not consumed yet. Between two calls that found no complete
/// command, the buffer may only grow at its end. The limits bound memory, whatever lengths the client announces.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    spans: Vec<Range<usize>>,
    /// Unescaped arguments of an inline command.
    unescaped: Vec<u8>,
    is_inline: bool,
    /// Arguments still expected; `None` before the command's first line.
    missing: Option<usize>,
    /// Length of the argument whose header has been read.
    bulk_len: Option<usize>,
    /// Offset of the first byte that is not decoded.
    at: usize,
    /// Offset of the first byte that was not searched for a line end.
    searched: usize,
}

impl Decoder {
    /// Returns the length of the first command in `buffer`, or `None` until it is complete. A command without arguments
    /// (`*0`, an empty line) gets no reply.
    pub(crate) fn decode(&mut self, buffer: &[u8]) -> Result<Option<usize>, ProtocolError> {
        // After an error the cursor is reset, so that a second call returns the same error.
        self.advance(buffer).inspect_err(|_| _ = self.finish())
    }

    fn advance(&mut self, buffer: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if self.missing.is_none() {
            self.spans.clear();
            match buffer.first() {
                None => return Ok(None),
                Some(b'*') => self.is_inline = false,
                Some(_) => return self.decode_inline(buffer),
            }
            let Some(line) = self.line(buffer, "too big mbulk count string")? else { return Ok(None) };
            match strict_integer(&line[1..]) {
                Some(count) if count <= 0 => return Ok(Some(self.finish())),
                Some(count) if count <= ELEMENTS_MAX as i64 => self.missing = Some(count as usize),
                _ => return Err(ProtocolError::Malformed("invalid multibulk length")),
            }
        }
        while let Some(missing @ 1..) = self.missing {
            let len = match self.bulk_len {
                Some(len) => len,
                None => match self.bulk_length(buffer)? {
                    Some(len) => len,
                    None => return Ok(None),
                },
            };
            if buffer.len() - self.at < len + 2 {
                return Ok(None);
            }
            self.spans.push(self.at..self.at + len);
            self.at += len + 2;
            self.searched = self.at;
            self.bulk_len = None;
            self.missing = Some(missing - 1);
        }
        Ok(Some(self.finish()))
    }

    /// Arguments of the command that [`decode`](Self::decode) found in `buffer`.
    pub(crate) fn args<'a>(&'a self, buffer: &'a [u8]) -> Args<'a> {
        Args { bytes: if self.is_inline { &self.unescaped } else { buffer }, spans: &self.spans }
    }

    /// Releases memory that an unusually large command took.
    pub(crate) fn shrink(&mut self) {
        const KEPT_SPANS: usize = 1024;
        if self.missing.is_none() {
            self.spans.clear();
            self.spans.shrink_to(KEPT_SPANS);
            self.unescaped.clear();
            self.unescaped.shrink_to(KEPT_SPANS);
        }
    }

    fn finish(&mut self) -> usize {
        let consumed = self.at;
        (self.missing, self.bulk_len, self.at, self.searched) = (None, None, 0, 0);
        consumed
    }

    fn bulk_length(&mut self, buffer: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let Some(line) = self.line(buffer, "too big bulk count string")? else { return Ok(None) };
        match line {
            [b'$', digits @ ..] => match strict_integer(digits) {
                Some(len) if (0..=BULK_BYTES_MAX as i64).contains(&len) => {
                    if self.at + len as usize + 2 > COMMAND_BYTES_MAX {
                        return Err(ProtocolError::CommandTooLong);
                    }
                    self.bulk_len = Some(len as usize);
                    Ok(self.bulk_len)
                }
                _ => Err(ProtocolError::Malformed("invalid bulk length")),
            },
            // An empty line starts with its own carriage return.
            other => Err(ProtocolError::NotBulk(other.first().copied().unwrap_or(b'\r'))),
        }
    }

    /// Reads the line that starts at the cursor, without its end. Like Redis, accepts any byte after `\r` as the `\n`.
    fn line<'a>(&mut self, buffer: &'a [u8], too_long: &'static str) -> Result<Option<&'a [u8]>, ProtocolError> {
        let start = self.at;
        let found = find_from(buffer, &mut self.searched, b'\r');
        if self.searched - start > LINE_BYTES_MAX {
            return Err(ProtocolError::Malformed(too_long));
        }
        match found {
            Some(end) if end + 1 < buffer.len() => {
                self.at = end + 2;
                self.searched = self.at;
                Ok(Some(&buffer[start..end]))
            }
            _ => Ok(None),
        }
    }

    fn decode_inline(&mut self, buffer: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let found = find_from(buffer, &mut self.searched, b'\n');
        if self.searched > LINE_BYTES_MAX {
            return Err(ProtocolError::Malformed("too big inline request"));
        }
        let Some(end) = found else { return Ok(None) };
        let line = &buffer[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.is_inline = true;
        self.unescaped.clear();
        inline::split(line, &mut self.unescaped, &mut self.spans)
            .map_err(|inline::Unbalanced| ProtocolError::Malformed("unbalanced quotes in request"))?;
        self.at = end + 1;
        Ok(Some(self.finish()))
    }
}

/// Parses a decimal as strictly as Redis: no plus sign, no leading zero, no space, within `i64`.
pub(crate) fn strict_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if canonical { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
