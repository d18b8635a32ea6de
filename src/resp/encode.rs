//! Encoder for replies in the protocol version that the client selected.

use crate::model::StreamId;

/// Buffer of encoded replies. Types that RESP2 lacks are written as Redis writes them to RESP2 clients.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    bytes: Vec<u8>,
    resp3: bool,
}

impl Encoder {
    pub(crate) fn is_resp3(&self) -> bool {
        self.resp3
    }

    pub(crate) fn set_resp3(&mut self, resp3: bool) {
        self.resp3 = resp3;
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Removes and returns the encoded bytes.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    pub(crate) fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// Appends an error with its code (`ERR ...`). Line ends in it, which may come from the client, become spaces.
    pub(crate) fn error(&mut self, text: impl AsRef<[u8]>) {
        self.bytes.push(b'-');
        self.bytes.extend(text.as_ref().iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn integer(&mut self, value: i64) -> &mut Self {
        self.line(b':', itoa::Buffer::new().format(value).as_bytes());
        self
    }

    /// Appends an integer, or a null if there is none.
    pub(crate) fn integer_or_null(&mut self, value: Option<i64>) -> &mut Self {
        match value {
            Some(value) => self.integer(value),
            None => self.null(),
        }
    }

    pub(crate) fn bulk(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        push_bulk(&mut self.bytes, value.as_ref());
        self
    }

    /// Appends an array of bulk strings.
    pub(crate) fn bulks<T: AsRef<[u8]>>(&mut self, values: &[T]) {
        self.array(values.len());
        for value in values {
            self.bulk(value);
        }
    }

    /// Appends the id of an entry as a bulk string.
    pub(crate) fn id(&mut self, id: StreamId) -> &mut Self {
        let mut text = Vec::with_capacity(41);
        text.extend_from_slice(itoa::Buffer::new().format(id.ms).as_bytes());
        text.push(b'-');
        text.extend_from_slice(itoa::Buffer::new().format(id.seq).as_bytes());
        self.bulk(text)
    }

    /// Appends human-readable text: a verbatim string in RESP3.
    pub(crate) fn text(&mut self, value: &str) {
        if !self.resp3 {
            self.bulk(value);
            return;
        }
        self.header(b'=', value.len() + 4);
        self.bytes.extend_from_slice(b"txt:");
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn null(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
        self
    }

    /// Appends the null that replaces an array.
    pub(crate) fn null_array(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    pub(crate) fn array(&mut self, len: usize) -> &mut Self {
        self.header(b'*', len)
    }

    /// Appends values that are already encoded, in a form common to both versions.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Inserts an array header at offset `start`, an earlier [`len`](Self::len), for arrays whose length is known only
    /// after their elements are written.
    pub(crate) fn array_from(&mut self, start: usize, len: usize) {
        self.header_at(start, b'*', len);
    }

    /// Like [`array_from`](Self::array_from), for a map of `pairs`; in RESP2 an array of pairs, not a flat array.
    pub(crate) fn map_of_arrays_from(&mut self, start: usize, pairs: usize) {
        self.header_at(start, if self.resp3 { b'%' } else { b'*' }, pairs);
    }

    /// Appends the header of a map of `pairs` keys and values; a flat array in RESP2.
    pub(crate) fn map(&mut self, pairs: usize) -> &mut Self {
        if self.resp3 { self.header(b'%', pairs) } else { self.header(b'*', pairs * 2) }
    }

    pub(crate) fn set(&mut self, len: usize) -> &mut Self {
        self.header(if self.resp3 { b'~' } else { b'*' }, len)
    }

    /// Appends the header of an out-of-band push, such as a message.
    pub(crate) fn push(&mut self, len: usize) -> &mut Self {
        self.header(if self.resp3 { b'>' } else { b'*' }, len)
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn header_at(&mut self, at: usize, kind: u8, len: usize) {
        let mut header = Vec::new();
        push_header(&mut header, kind, len);
        self.bytes.splice(at..at, header);
    }

    fn header(&mut self, kind: u8, len: usize) -> &mut Self {
        push_header(&mut self.bytes, kind, len);
        self
    }
}

/// Appends the first line of a string or an aggregate. `write!` would cost more than the rest of it.
pub(crate) fn push_header(out: &mut Vec<u8>, kind: u8, len: usize) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends a bulk string.
pub(crate) fn push_bulk(out: &mut Vec<u8>, value: &[u8]) {
    push_header(out, b'$', value.len());
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use crate::resp::encode::*;

    #[test]
    fn every_type_in_both_versions() {
        let both = |write: fn(&mut Encoder)| {
            [false, true].map(|resp3| {
                let mut encoder = Encoder { bytes: Vec::new(), resp3 };
                write(&mut encoder);
                String::from_utf8(encoder.take()).unwrap()
            })
        };
        for (write, resp2, resp3) in [
            ((|e| e.simple("OK")) as fn(&mut Encoder), "+OK\r\n", "+OK\r\n"),
            (|e| e.error("ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n"),
            (|e| _ = e.integer(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"),
            (|e| _ = e.integer(0), ":0\r\n", ":0\r\n"),
            (|e| _ = e.bulk("ab"), "$2\r\nab\r\n", "$2\r\nab\r\n"),
            (|e| e.text("ab"), "$2\r\nab\r\n", "=6\r\ntxt:ab\r\n"),
            (|e| _ = e.null(), "$-1\r\n", "_\r\n"),
            (Encoder::null_array, "*-1\r\n", "_\r\n"),
            (|e| (e.simple("a"), e.integer(1).array_from(4, 1)).1, "+a\r\n*1\r\n:1\r\n", "+a\r\n*1\r\n:1\r\n"),
            (|e| (e.simple("a"), e.integer(1).map_of_arrays_from(0, 1)).1, "*1\r\n+a\r\n:1\r\n", "%1\r\n+a\r\n:1\r\n"),
            (|e| e.raw(b":1\r\n"), ":1\r\n", ":1\r\n"),
            (
                |e| _ = e.id(StreamId { ms: u64::MAX, seq: 0 }),
                "$22\r\n18446744073709551615-0\r\n",
                "$22\r\n18446744073709551615-0\r\n",
            ),
            (|e| _ = e.integer_or_null(None), "$-1\r\n", "_\r\n"),
            (|e| e.bulks(&["a", "b"]), "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
            (|e| _ = e.array(10), "*10\r\n", "*10\r\n"),
            (|e| _ = e.map(7), "*14\r\n", "%7\r\n"),
            (|e| _ = e.set(1), "*1\r\n", "~1\r\n"),
            (|e| _ = e.push(3), "*3\r\n", ">3\r\n"),
        ] {
            assert_eq!(both(write), [resp2, resp3]);
        }
    }
}
