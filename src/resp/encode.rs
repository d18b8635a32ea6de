//! Replies, in the protocol version that the client asked for.

/// Collects replies. Types that RESP2 lacks are written as Redis writes them to RESP2 clients.
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

    /// Takes what was collected.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    pub(crate) fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error with its code (`ERR ...`). Line ends in it, which may come from the client, become spaces.
    pub(crate) fn error(&mut self, text: impl AsRef<[u8]>) {
        self.bytes.push(b'-');
        self.bytes.extend(text.as_ref().iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }));
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn integer(&mut self, value: i64) {
        self.bytes.push(b':');
        if value < 0 {
            self.bytes.push(b'-');
        }
        push_decimal(&mut self.bytes, value.unsigned_abs() as usize);
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn bulk(&mut self, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.header(b'$', value.len());
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Text for people: a verbatim string in RESP3.
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

    /// Where an array is expected and there is none.
    pub(crate) fn null_array(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    pub(crate) fn array(&mut self, len: usize) {
        self.header(b'*', len);
    }

    /// Values that are encoded already, in a form that both versions have.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Puts the header of an array before all that was written since `start`, a former [`len`](Self::len): for arrays
    /// whose length shows only once they are written.
    pub(crate) fn array_from(&mut self, start: usize, len: usize) {
        self.header_at(start, b'*', len);
    }

    /// As [`array_from`](Self::array_from), for a map of `pairs`; in RESP2 an array of pairs, not a flat one.
    pub(crate) fn map_of_arrays_from(&mut self, start: usize, pairs: usize) {
        self.header_at(start, if self.resp3 { b'%' } else { b'*' }, pairs);
    }

    /// A map of `pairs` keys with their values; RESP2 has it as a flat array.
    pub(crate) fn map(&mut self, pairs: usize) {
        if self.resp3 { self.header(b'%', pairs) } else { self.header(b'*', pairs * 2) }
    }

    pub(crate) fn set(&mut self, len: usize) {
        self.header(if self.resp3 { b'~' } else { b'*' }, len);
    }

    /// Something the client did not ask for just now, such as a message.
    pub(crate) fn push(&mut self, len: usize) {
        self.header(if self.resp3 { b'>' } else { b'*' }, len);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn header_at(&mut self, at: usize, kind: u8, len: usize) {
        let mut header = vec![kind];
        push_decimal(&mut header, len);
        header.extend_from_slice(b"\r\n");
        self.bytes.splice(at..at, header);
    }

    fn header(&mut self, kind: u8, len: usize) {
        self.bytes.push(kind);
        push_decimal(&mut self.bytes, len);
        self.bytes.extend_from_slice(b"\r\n");
    }
}

/// Appends `value` in decimal. `write!` would cost more than the rest of a message's header.
pub(crate) fn push_decimal(out: &mut Vec<u8>, mut value: usize) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
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

    #[test]
    fn decimals() {
        for value in [0, 9, 10, 1_234_567_890, usize::MAX] {
            let mut out = Vec::new();
            push_decimal(&mut out, value);
            assert_eq!(out, value.to_string().into_bytes());
        }
    }
}
