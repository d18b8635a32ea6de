//! The server's half of the Redis protocol: commands in, replies out. The protocol is described at
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>; where that page is silent, Redis 7.0 is the law.

use memchr::memchr;

use super::inline;

/// Longest line: a count, a length, or a whole inline command. Redis has the same bound.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Longest single argument. Redis allows 512 MB; a tick has a hundred bytes, an array of a thousand ticks 100 kB.
pub(crate) const BULK_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most arguments in a command: enough for a SUBSCRIBE to every channel that one client may have.
pub(crate) const ARGS_MAX: usize = 64 * 1024;

/// Longest command with all its arguments: two of the longest ones, so that no PUBLISH within the other bounds is cut.
pub(crate) const COMMAND_BYTES_MAX: usize = 2 * BULK_BYTES_MAX;

const _: () = assert!(BULK_BYTES_MAX + LINE_BYTES_MAX < COMMAND_BYTES_MAX);

/// Why a byte stream is not the Redis protocol. Nothing that follows in the stream can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    InlineTooLong,
    CountTooLong,
    LengthTooLong,
    Count,
    Length,
    NotBulk(u8),
    UnbalancedQuotes,
    /// Redis closes such a connection without a word, so this has no text.
    CommandTooLong,
}

impl ProtocolError {
    /// Redis's words for it; `None` if it says nothing.
    pub(crate) fn text(self) -> Option<Vec<u8>> {
        let text: &[u8] = match self {
            Self::InlineTooLong => b"too big inline request",
            Self::CountTooLong => b"too big mbulk count string",
            Self::LengthTooLong => b"too big bulk count string",
            Self::Count => b"invalid multibulk length",
            Self::Length => b"invalid bulk length",
            Self::NotBulk(got) => return Some([b"ERR Protocol error: expected '$', got '", &[got][..], b"'"].concat()),
            Self::UnbalancedQuotes => b"unbalanced quotes in request",
            Self::CommandTooLong => return None,
        };
        Some([b"ERR Protocol error: ", text].concat())
    }
}

/// Where an argument lies in its bytes.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    len: usize,
}

/// The arguments of one command, the command's name first, borrowed from the bytes that were read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// How many there are, the name included.
    pub(crate) fn len(self) -> usize {
        self.spans.len()
    }

    /// The argument at `index`; empty where there is none, which the arity check rules out.
    pub(crate) fn at(self, index: usize) -> &'a [u8] {
        self.get(index).unwrap_or_default()
    }

    pub(crate) fn get(self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| &self.bytes[span.start..span.start + span.len])
    }

    /// All from `first` on.
    pub(crate) fn iter_from(self, first: usize) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.spans
            .get(first..)
            .unwrap_or_default()
            .iter()
            .map(move |span| &self.bytes[span.start..span.start + span.len])
    }

    /// A copy that outlives the read buffer.
    pub(crate) fn to_owned(self) -> OwnedArgs {
        let mut owned =
            OwnedArgs { bytes: Vec::with_capacity(self.payload_bytes()), spans: Vec::with_capacity(self.len()) };
        for arg in self.iter_from(0) {
            owned.spans.push(Span { start: owned.bytes.len(), len: arg.len() });
            owned.bytes.extend_from_slice(arg);
        }
        owned
    }

    /// The sum of the arguments' lengths.
    pub(crate) fn payload_bytes(self) -> usize {
        self.spans.iter().map(|span| span.len).sum()
    }
}

/// A command that waits for its EXEC.
#[derive(Debug)]
pub(crate) struct OwnedArgs {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedArgs {
    pub(crate) fn as_args(&self) -> Args<'_> {
        Args { bytes: &self.bytes, spans: &self.spans }
    }

    /// What it costs to keep.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.spans.capacity() * size_of::<Span>()
    }
}

/// Finds the end of the first command in a growing buffer, without copying arguments and without reading a byte twice.
///
/// [`decode`](Self::decode) is called with the bytes that are not consumed yet; between two calls that found no end,
/// the buffer may only grow at its end. Memory is bounded by the limits above, whatever lengths the client announces.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    spans: Vec<Span>,
    /// Unescaped arguments of an inline command.
    unescaped: Vec<u8>,
    is_inline: bool,
    /// Arguments still to come; `None` before the command's first line.
    missing: Option<usize>,
    /// Length of the argument that has begun.
    bulk_len: Option<usize>,
    /// First byte that is not understood yet.
    at: usize,
    /// First byte that was not searched for the end of a line.
    scanned: usize,
}

impl Decoder {
    /// The length of the first command in `buffer`, or `None` until it is complete. A command without arguments is
    /// nothing to answer (`*0`, an empty line).
    pub(crate) fn decode(&mut self, buffer: &[u8]) -> Result<Option<usize>, ProtocolError> {
        // After an error the cursor starts over, so that asking again gives the same error.
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
            let Some(line) = self.line(buffer, ProtocolError::CountTooLong)? else { return Ok(None) };
            match strict_integer(&line[1..]) {
                Some(count) if count <= 0 => return Ok(Some(self.finish())),
                Some(count) if count <= ARGS_MAX as i64 => self.missing = Some(count as usize),
                _ => return Err(ProtocolError::Count),
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
            self.spans.push(Span { start: self.at, len });
            self.at += len + 2;
            self.scanned = self.at;
            self.bulk_len = None;
            self.missing = Some(missing - 1);
        }
        Ok(Some(self.finish()))
    }

    /// The arguments of the command that [`decode`](Self::decode) found in `buffer`.
    pub(crate) fn args<'a>(&'a self, buffer: &'a [u8]) -> Args<'a> {
        Args { bytes: if self.is_inline { &self.unescaped } else { buffer }, spans: &self.spans }
    }

    /// Gives back memory that an unusual command took.
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
        (self.missing, self.bulk_len, self.at, self.scanned) = (None, None, 0, 0);
        consumed
    }

    fn bulk_length(&mut self, buffer: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let Some(line) = self.line(buffer, ProtocolError::LengthTooLong)? else { return Ok(None) };
        match line {
            [b'$', digits @ ..] => match strict_integer(digits) {
                Some(len) if (0..=BULK_BYTES_MAX as i64).contains(&len) => {
                    if self.at + len as usize + 2 > COMMAND_BYTES_MAX {
                        return Err(ProtocolError::CommandTooLong);
                    }
                    self.bulk_len = Some(len as usize);
                    Ok(self.bulk_len)
                }
                _ => Err(ProtocolError::Length),
            },
            // An empty line starts with the carriage return that ends it.
            other => Err(ProtocolError::NotBulk(other.first().copied().unwrap_or(b'\r'))),
        }
    }

    /// The line that starts at the cursor, without its end. Like Redis, the byte after `\r` is taken for `\n` unseen.
    fn line<'a>(&mut self, buffer: &'a [u8], too_long: ProtocolError) -> Result<Option<&'a [u8]>, ProtocolError> {
        let start = self.at;
        let found = memchr(b'\r', &buffer[self.scanned..]).map(|offset| self.scanned + offset);
        self.scanned = found.unwrap_or(buffer.len());
        if self.scanned - start > LINE_BYTES_MAX {
            return Err(too_long);
        }
        match found {
            Some(end) if end + 1 < buffer.len() => {
                self.at = end + 2;
                self.scanned = self.at;
                Ok(Some(&buffer[start..end]))
            }
            _ => Ok(None),
        }
    }

    fn decode_inline(&mut self, buffer: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let found = memchr(b'\n', &buffer[self.scanned..]).map(|offset| self.scanned + offset);
        self.scanned = found.unwrap_or(buffer.len());
        if self.scanned > LINE_BYTES_MAX {
            return Err(ProtocolError::InlineTooLong);
        }
        let Some(end) = found else { return Ok(None) };
        let line = &buffer[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.is_inline = true;
        self.unescaped.clear();
        let spans = &mut self.spans;
        inline::split(line, &mut self.unescaped, |start, len| spans.push(Span { start, len }))
            .map_err(|inline::Unbalanced| ProtocolError::UnbalancedQuotes)?;
        self.at = end + 1;
        Ok(Some(self.finish()))
    }
}

/// Decimal as Redis reads it: no sign but minus, no leading zero, no space, within `i64`.
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
