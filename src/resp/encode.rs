//! Encoder for replies in the protocol version that the client selected.

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

    pub(crate) fn integer(&mut self, value: i64) {
        self.line(b':', itoa::Buffer::new().format(value).as_bytes());
    }

    pub(crate) fn bulk(&mut self, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.header(b'$', value.len());
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Appends human-readable text: a verbatim string in RESP3.
    pub(crate) fn text(&mut self, value: &str) {
        if !self.resp3 {
            return self.bulk(value);
        }
        self.header(b'=', value.len() + 4);
        self.bytes.extend_from_slice(b"txt:");
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn null(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// Appends the null that replaces an array.
    pub(crate) fn null_array(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    pub(crate) fn array(&mut self, len: usize) {
        self.header(b'*', len);
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
    pub(crate) fn map(&mut self, pairs: usize) {
        if self.resp3 { self.header(b'%', pairs) } else { self.header(b'*', pairs * 2) }
    }

    pub(crate) fn set(&mut self, len: usize) {
        self.header(if self.resp3 { b'~' } else { b'*' }, len);
    }

    /// Appends the header of an out-of-band push, such as a message.
    pub(crate) fn push(&mut self, len: usize) {
        self.header(if self.resp3 { b'>' } else { b'*' }, len);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn header_at(&mut self, at: usize, kind: u8, len: usize) {
        let mut header = Self::default();
        header.header(kind, len);
        self.bytes.splice(at..at, header.bytes);
    }

    fn header(&mut self, kind: u8, len: usize) {
        self.line(kind, itoa::Buffer::new().format(len).as_bytes());
    }
}

/// Appends `value` in decimal. `write!` would cost more than the rest of a message's header.
pub(crate) fn push_decimal(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
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
            (|e| e.integer(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"),
            (|e| e.integer(0), ":0\r\n", ":0\r\n"),
            (|e| e.bulk("ab"), "$2\r\nab\r\n", "$2\r\nab\r\n"),
            (|e| e.text("ab"), "$2\r\nab\r\n", "=6\r\ntxt:ab\r\n"),
            (Encoder::null, "$-1\r\n", "_\r\n"),
            (Encoder::null_array, "*-1\r\n", "_\r\n"),
            (|e| (e.simple("a"), e.integer(1), e.array_from(4, 1)).2, "+a\r\n*1\r\n:1\r\n", "+a\r\n*1\r\n:1\r\n"),
            (
                |e| (e.simple("a"), e.integer(1), e.map_of_arrays_from(0, 1)).2,
                "*1\r\n+a\r\n:1\r\n",
                "%1\r\n+a\r\n:1\r\n",
            ),
            (|e| e.raw(b":1\r\n"), ":1\r\n", ":1\r\n"),
            (|e| e.array(10), "*10\r\n", "*10\r\n"),
            (|e| e.map(7), "*14\r\n", "%7\r\n"),
            (|e| e.set(1), "*1\r\n", "~1\r\n"),
            (|e| e.push(3), "*3\r\n", ">3\r\n"),
        ] {
            assert_eq!(both(write), [resp2, resp3]);
        }
    }
}
