//! JSON documents as flat lists of nodes that borrow from the text, so that reading one allocates nothing once the
//! list has grown. Values are scanned, not converted: each field is parsed later, from its own characters.
//!
//! The scanner accepts what JSON (RFC 8259) accepts, and `NaN`, `Infinity` and `-Infinity`, which Python's `json.dumps`
//! writes, so that such a value costs one tick and not its message. It does not check the escapes within strings.

use std::borrow::Cow;

/// Most nodes kept between two documents, 1.3 MB. A longer document's list is released.
const NODES_KEPT_MAX: usize = 1 << 16;

/// Kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
    /// `NaN` or an infinity.
    NotFinite,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    kind: Kind,
    has_escapes: bool,
    /// Range of the text; that of a string is without its quotes.
    start: u32,
    end: u32,
    /// Index after the value's last descendant.
    next: u32,
}

/// Nodes of one document. The children of an object are its keys and values in turn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Document {
    nodes: Vec<Node>,
    /// Containers that are not closed yet.
    open: Vec<u32>,
}

/// The text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotJson;

impl Document {
    /// Scans `text`.
    ///
    /// # Errors
    ///
    /// Returns [`NotJson`] if the text is malformed. The complete elements of an outermost array are kept even then.
    pub(crate) fn read(&mut self, text: &str) -> Result<(), NotJson> {
        if self.nodes.capacity() > NODES_KEPT_MAX {
            self.nodes = Vec::new();
        }
        self.nodes.clear();
        self.open.clear();
        if u32::try_from(text.len()).is_err() {
            return Err(NotJson);
        }
        let read = Scanner { text: text.as_bytes(), at: 0, document: self }.document();
        if read.is_none() {
            self.keep_complete_elements();
        }
        read.ok_or(NotJson)
    }

    /// Closes an outermost array behind its last complete element, and drops any other document.
    fn keep_complete_elements(&mut self) {
        let is_array = self.nodes.first().is_some_and(|root| root.kind == Kind::Array);
        // The second open container, if there is one, is the element that broke off. Once the outermost array itself is
        // closed, the error lies behind it.
        let end = match self.open.as_slice() {
            _ if !is_array => 0,
            [_, element, ..] => *element as usize,
            _ => self.nodes.len(),
        };
        self.nodes.truncate(end);
        if let Some(root) = self.nodes.first_mut() {
            root.next = end as u32;
        }
    }

    /// The outermost value; `None` if nothing was read.
    pub(crate) fn root<'d>(&'d self, text: &'d str) -> Option<Value<'d>> {
        (!self.nodes.is_empty()).then_some(Value { document: self, text, at: 0 })
    }
}

/// A value of a [`Document`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'d> {
    document: &'d Document,
    text: &'d str,
    at: u32,
}

impl<'d> Value<'d> {
    fn node(self) -> Node {
        self.document.nodes[self.at as usize]
    }

    pub(crate) fn kind(self) -> Kind {
        self.node().kind
    }

    /// The whole document.
    pub(crate) fn text(self) -> &'d str {
        self.text
    }

    /// Place of the value's first character in the text; that of a string is behind its quote.
    pub(crate) fn start(self) -> usize {
        self.node().start as usize
    }

    /// Place behind the value's last character; that of a string is its quote.
    pub(crate) fn end(self) -> usize {
        self.node().end as usize
    }

    pub(crate) fn is_container(self) -> bool {
        matches!(self.kind(), Kind::Object | Kind::Array)
    }

    /// Characters of the value as they stand in the document; those of a string are without quotes.
    pub(crate) fn raw(self) -> &'d str {
        let node = self.node();
        &self.text[node.start as usize..node.end as usize]
    }

    /// Characters of a string; `None` for other values and for escapes that are not a character.
    pub(crate) fn as_str(self) -> Option<Cow<'d, str>> {
        match self.node() {
            Node { kind: Kind::String, has_escapes: false, .. } => Some(self.raw().into()),
            Node { kind: Kind::String, start, end, .. } => {
                let quoted = &self.text[start as usize - 1..=end as usize];
                serde_json::from_str::<String>(quoted).ok().map(Cow::Owned)
            }
            _ => None,
        }
    }

    /// Characters of a number or a string.
    pub(crate) fn as_text(self) -> Option<Cow<'d, str>> {
        if self.kind() == Kind::Number { Some(self.raw().into()) } else { self.as_str() }
    }

    /// Elements of an array; none for other values.
    pub(crate) fn elements(self) -> impl Iterator<Item = Self> {
        let node = self.node();
        let end = if node.kind == Kind::Array { node.next } else { 0 };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let value = Self { at, ..self };
                at = value.node().next;
                value
            })
        })
    }

    /// Keys and values of an object; none for other values.
    pub(crate) fn entries(self) -> impl Iterator<Item = (Key<'d>, Self)> {
        let node = self.node();
        let end = if node.kind == Kind::Object { node.next } else { 0 };
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let (key, value) = (Self { at, ..self }, Self { at: at + 1, ..self });
                at = value.node().next;
                (Key(key), value)
            })
        })
    }
}

/// Key of an object's value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'d>(Value<'d>);

impl<'d> Key<'d> {
    /// Characters of the key. One with an invalid escape is taken as it stands.
    pub(crate) fn text(self) -> Cow<'d, str> {
        self.0.as_str().unwrap_or_else(|| self.0.raw().into())
    }

    /// Characters of the key as they stand in the document.
    pub(crate) fn raw(self) -> &'d str {
        self.0.raw()
    }

    #[inline]
    pub(crate) fn is(self, name: &str) -> bool {
        if self.0.node().has_escapes { self.text() == name } else { self.0.raw() == name }
    }
}

struct Scanner<'t, 'd> {
    text: &'t [u8],
    at: usize,
    document: &'d mut Document,
}

/// A word of eight equal bytes.
const fn splat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

impl Scanner<'_, '_> {
    fn document(mut self) -> Option<()> {
        let mut expected = self.value()?;
        // The loop replaces a recursion, so that no depth of nesting exhausts the stack.
        while let Some(&container) = self.document.open.last() {
            let is_object = self.document.nodes[container as usize].kind == Kind::Object;
            let close = if is_object { b'}' } else { b']' };
            self.skip_space();
            match self.peek()? {
                byte if byte == close => {
                    self.at += 1;
                    self.document.open.pop();
                    let end = self.document.nodes.len() as u32;
                    let node = &mut self.document.nodes[container as usize];
                    (node.next, node.end) = (end, self.at as u32);
                    expected = Expected::CommaOrEnd;
                    continue;
                }
                b',' if expected == Expected::CommaOrEnd => {
                    self.at += 1;
                    self.skip_space();
                }
                _ if expected == Expected::CommaOrEnd => return None,
                _ => {}
            }
            if is_object {
                self.key()?;
            }
            expected = self.value()?;
        }
        self.skip_space();
        (self.at == self.text.len()).then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn push(&mut self, kind: Kind, has_escapes: bool, start: usize, end: usize) {
        let next = self.document.nodes.len() as u32 + 1;
        self.document.nodes.push(Node { kind, has_escapes, start: start as u32, end: end as u32, next });
    }

    fn key(&mut self) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        self.string()?;
        self.skip_space();
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Reads a scalar, or the start of a container.
    #[inline]
    fn value(&mut self) -> Option<Expected> {
        self.skip_space();
        let start = self.at;
        match self.peek()? {
            b'"' => self.string()?,
            open @ (b'{' | b'[') => {
                self.at += 1;
                self.document.open.push(self.document.nodes.len() as u32);
                self.push(if open == b'{' { Kind::Object } else { Kind::Array }, false, start, self.at);
                return Some(Expected::ItemOrEnd);
            }
            b'-' | b'0'..=b'9' => self.number()?,
            _ => self.word(start)?,
        }
        Some(Expected::CommaOrEnd)
    }

    /// Reads a string; steps eight bytes at a time over plain characters.
    fn string(&mut self) -> Option<()> {
        let start = self.at + 1;
        self.at = start;
        let mut has_escapes = false;
        loop {
            if let Some(chunk) = self.text[self.at..].first_chunk() {
                let word = u64::from_le_bytes(*chunk);
                let quotes = (word ^ splat(b'"')).wrapping_sub(splat(1)) & !(word ^ splat(b'"'));
                let backslashes = (word ^ splat(b'\\')).wrapping_sub(splat(1)) & !(word ^ splat(b'\\'));
                let controls = word.wrapping_sub(splat(b' ')) & !word;
                let marks = (quotes | backslashes | controls) & splat(0x80);
                self.at += (marks.trailing_zeros() / 8) as usize;
                if marks == 0 {
                    continue;
                }
            }
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    has_escapes = true;
                    // The escaped byte may be a quote. Four digits that may follow it are plain characters.
                    self.at += 1;
                    self.peek()?;
                }
                0..=0x1f => return None,
                _ => {}
            }
            self.at += 1;
        }
        self.push(Kind::String, has_escapes, start, self.at);
        self.at += 1;
        Some(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        self.at += usize::from(self.text[start] == b'-');
        if self.peek() == Some(b'I') {
            return self.word(start);
        }
        let has_leading_zero = self.peek() == Some(b'0');
        let integer_digits = self.digits();
        if integer_digits == 0 || (has_leading_zero && integer_digits > 1) {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            (self.digits() > 0).then_some(())?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            (self.digits() > 0).then_some(())?;
        }
        self.push(Kind::Number, false, start, self.at);
        Some(())
    }

    /// Reads `true`, `false`, `null` or a number that is not finite, which began at `start`.
    fn word(&mut self, start: usize) -> Option<()> {
        while self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            self.at += 1;
        }
        let kind = match &self.text[start..self.at] {
            b"true" | b"false" => Kind::Bool,
            b"null" => Kind::Null,
            b"NaN" | b"Infinity" | b"-Infinity" => Kind::NotFinite,
            _ => return None,
        };
        self.push(kind, false, start, self.at);
        Some(())
    }
}

/// Token that may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    ItemOrEnd,
    CommaOrEnd,
}

#[cfg(test)]
mod tests;
