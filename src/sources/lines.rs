//! Lines of bounded length from any reader, decompressed if they are gzip-compressed.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

/// Maximum length of a line, in bytes: room for an array of thousands of ticks.
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;

/// Size of the read buffer. Larger than the default, because a replay at full speed reads hundreds of megabytes per
/// second.
const BUFFER_BYTES: usize = 1 << 16;

/// First bytes of a gzip member (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// U+FEFF in UTF-8, which some programs write before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Byte source that the caller opened.
pub(super) type Source = Box<dyn Read + Send>;

/// Result of [`Lines::next`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// The line without its line ending.
    Text(&'a [u8]),
    /// A line of more than [`LINE_BYTES_MAX`] bytes, which was skipped.
    TooLong,
    /// The end of the source.
    End,
}

/// Splits bytes at line feeds. The last line may lack one.
pub(super) struct Lines {
    reader: BufReader<Source>,
    line: Vec<u8>,
    /// Number of lines read, blank ones included.
    number: u64,
}

impl Lines {
    /// Detects gzip compression by the first bytes of `source`, not by its name.
    pub(super) fn new(mut source: Source) -> io::Result<Self> {
        let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
        (&mut source).take(GZIP_MAGIC.len() as u64).read_to_end(&mut magic)?;
        let gzip = magic == GZIP_MAGIC;
        let whole = Cursor::new(magic).chain(source);
        let plain: Source = if gzip {
            Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, whole)))
        } else {
            Box::new(whole)
        };
        Ok(Self { reader: BufReader::with_capacity(BUFFER_BYTES, plain), line: Vec::new(), number: 0 })
    }

    /// Number of the last line read, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether another whole line is buffered, so that reading it does not block.
    pub(super) fn is_ready(&self) -> bool {
        memchr::memchr(b'\n', self.reader.buffer()).is_some()
    }

    pub(super) fn next(&mut self) -> io::Result<Line<'_>> {
        self.line.clear();
        let mut too_long = false;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let ended = buffer.is_empty();
            if ended && self.line.is_empty() && !too_long {
                return Ok(Line::End);
            }
            let line_end = memchr::memchr(b'\n', buffer);
            let part = &buffer[..line_end.unwrap_or(buffer.len())];
            if self.line.len() + part.len() > LINE_BYTES_MAX {
                too_long = true;
                self.line.clear();
            } else if !too_long {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(line_end.is_some());
            self.reader.consume(used);
            if ended || line_end.is_some() {
                break;
            }
        }
        self.number += 1;
        if too_long {
            return Ok(Line::TooLong);
        }
        let text = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        Ok(Line::Text(if self.number == 1 { text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text) } else { text }))
    }
}

#[cfg(test)]
mod tests {
    use crate::sources::lines::*;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    /// Yields `step` bytes per call, like a slow pipe.
    struct Trickle {
        bytes: Cursor<Vec<u8>>,
        step: usize,
    }

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let step = self.step.min(buffer.len());
            self.bytes.read(&mut buffer[..step])
        }
    }

    fn split(bytes: &[u8], step: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(Box::new(Trickle { bytes: Cursor::new(bytes.to_vec()), step })).unwrap();
        let mut found = Vec::new();
        loop {
            match lines.next().unwrap() {
                Line::Text(text) => found.push(Some(text.to_vec())),
                Line::TooLong => found.push(None),
                Line::End => return found,
            }
        }
    }

    pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn line_ends_of_all_sorts_and_the_byte_order_mark() {
        let expected = vec![Some(b"a".to_vec()), Some(b"".to_vec()), Some(b"b".to_vec())];
        assert_eq!(split(b"\xef\xbb\xbfa\r\n\nb", 1), expected);
        assert_eq!(split(b"", 1), Vec::new());
        assert_eq!(split(b"\n", 1), vec![Some(Vec::new())]);
    }

    #[test]
    fn a_line_without_end_is_passed_over_in_bounded_memory() {
        let mut bytes = b"good\n".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', 3 * LINE_BYTES_MAX));
        bytes.extend_from_slice(b"\nalso good\n");
        let mut lines = Lines::new(Box::new(Cursor::new(bytes))).unwrap();
        assert_eq!(lines.next().unwrap(), Line::Text(b"good"));
        assert_eq!(lines.next().unwrap(), Line::TooLong);
        assert_eq!(lines.next().unwrap(), Line::Text(b"also good"));
        assert_eq!(lines.number(), 3);
        assert_eq!(lines.next().unwrap(), Line::End);
        assert!(lines.line.capacity() <= 2 * LINE_BYTES_MAX);
    }

    #[test]
    fn gzip_members_are_unpacked_one_after_the_other_and_a_cut_one_is_an_error() {
        let mut bytes = gzip(b"one\n");
        bytes.extend(gzip(b"two\n"));
        assert_eq!(split(&bytes, 7), vec![Some(b"one".to_vec()), Some(b"two".to_vec())]);
        let cut = gzip(&b"line\n".repeat(50_000));
        let mut lines = Lines::new(Box::new(Cursor::new(cut[..cut.len() / 2].to_vec()))).unwrap();
        let error = loop {
            match lines.next() {
                Ok(Line::Text(text)) => assert_eq!(text, b"line"),
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_standard_library(text in "[ab\n\r]{0,60}", step in 1usize..9) {
            let expected: Vec<_> = BufRead::split(text.as_bytes(), b'\n')
                .map(|line| line.unwrap())
                .map(|line| Some(line.strip_suffix(b"\r").unwrap_or(&line).to_vec()))
                .collect();
            prop_assert_eq!(split(text.as_bytes(), step), expected);
        }
    }
}
