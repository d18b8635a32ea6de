//! One message from the wire becomes ticks: parsing is validation.
//!
//! A message is one JSON object or an array of them. Each object stands for itself: a bad one among good ones is
//! rejected alone. A field is read from its own digits or characters, so nothing is rounded on the way.

mod canonical;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::fields::{Branch, Field, Node};
use crate::model::{FieldMap, Name, Price, Tick, TickView, Timestamp, parse_price, parse_timestamp};

/// Why a message or an object in it is no tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// Not JSON: truncated, malformed, too deep, `NaN`, trailing text.
    NotJson,
    /// JSON, but neither an object nor an array of objects.
    NotObject,
    /// Symbol, price or timestamp is missing or null.
    Missing,
    /// A key that matters stands twice: there is no telling which one is meant.
    Duplicate,
    /// The symbol is no string, empty or too long.
    Symbol,
    /// The price is neither a number nor a decimal string.
    Price,
    /// The price is NaN or infinite, or too large for a double.
    NotFinite,
    /// The timestamp is neither a number nor RFC 3339.
    Timestamp,
    /// The timestamp lies before 1970.
    BeforeEpoch,
    /// The timestamp lies more than a day ahead of the reader's clock.
    Future,
    /// The size is no number or negative.
    Size,
    /// The message is longer than the reader accepts.
    TooLong,
}

impl Reject {
    /// Every cause with its name in statistics and logs.
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::NotUtf8, "not_utf8"),
        (Self::NotJson, "not_json"),
        (Self::NotObject, "not_object"),
        (Self::Missing, "missing_field"),
        (Self::Duplicate, "duplicate_key"),
        (Self::Symbol, "bad_symbol"),
        (Self::Price, "bad_price"),
        (Self::NotFinite, "not_finite"),
        (Self::Timestamp, "bad_timestamp"),
        (Self::BeforeEpoch, "before_1970"),
        (Self::Future, "in_future"),
        (Self::Size, "bad_size"),
        (Self::TooLong, "too_long"),
    ];

    /// Its name in statistics and logs.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Reject {}

/// How often each cause was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RejectCounts([u64; Reject::ALL.len()]);

impl RejectCounts {
    /// Counts one more.
    pub fn add(&mut self, cause: Reject) {
        self.0[cause as usize] += 1;
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// All causes together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Causes that occurred, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Reject::ALL.iter().zip(self.0).filter(|(_, count)| *count > 0).map(|((_, name), count)| (*name, count))
    }
}

/// Reads messages by a map of fields.
#[derive(Debug, Clone)]
pub struct Decoder {
    fields: FieldMap,
    /// The fields have their own names, so that ticks in the usual form can be read the short way.
    canonical: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(FieldMap::default())
    }
}

impl Decoder {
    /// A decoder that finds the parts of a tick where `fields` says.
    pub fn new(fields: FieldMap) -> Self {
        let canonical = fields == FieldMap::default();
        Self { fields, canonical }
    }

    /// Hands every tick and every rejection in `payload` to `sink`, in order. `now` is the reader's clock.
    pub fn decode(&self, payload: &[u8], now: Timestamp, mut sink: impl FnMut(Result<Tick, Reject>)) {
        self.decode_borrowed(payload, now, |result| sink(result.map(|tick| tick.to_tick())));
    }

    /// As [`decode`](Self::decode), with ticks that borrow their texts.
    #[inline]
    pub fn decode_borrowed(&self, payload: &[u8], now: Timestamp, mut sink: impl FnMut(Result<TickView<'_>, Reject>)) {
        let mut taken = 0;
        if self.canonical {
            if let Some(tick) = canonical::read(payload, now) {
                return sink(Ok(tick));
            }
            match canonical::read_array(payload, now, |tick| sink(Ok(tick))) {
                Ok(()) => return,
                Err(count) => taken = count,
            }
        }
        self.decode_general(payload, taken, now, &mut sink);
    }

    /// The long way, which reads and judges every form. Leaves out the first `taken` elements of an array.
    fn decode_general(
        &self,
        payload: &[u8],
        taken: usize,
        now: Timestamp,
        sink: &mut dyn FnMut(Result<TickView<'_>, Reject>),
    ) {
        let Ok(text) = std::str::from_utf8(payload) else { return sink(Err(Reject::NotUtf8)) };
        if text.trim_ascii_start().starts_with('[') {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            let mut place = 0;
            let each = |object: &str| {
                place += 1;
                if place > taken {
                    self.decode_object(object, now, sink);
                }
            };
            let ended = deserializer.deserialize_seq(Elements { each }).and_then(|()| deserializer.end());
            if ended.is_err() {
                sink(Err(Reject::NotJson));
            }
        } else {
            self.decode_object(text, now, sink);
        }
    }

    fn decode_object(&self, text: &str, now: Timestamp, sink: &mut dyn FnMut(Result<TickView<'_>, Reject>)) {
        let mut slots = Slots::default();
        let parts = slots.fill(text, &self.fields.root).and_then(|()| slots.parts(now));
        sink(parts.as_ref().map_err(|cause| *cause).and_then(Parts::tick));
    }
}

/// The raw text of each field that was found.
#[derive(Default)]
struct Slots<'de> {
    raw: [Option<&'de str>; Field::COUNT],
    duplicate: bool,
}

impl<'de> Slots<'de> {
    fn fill(&mut self, text: &'de str, branch: &Branch) -> Result<(), Reject> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        if text.trim_ascii_start().starts_with('{') {
            let read = deserializer.deserialize_map(Object { branch, slots: self });
            let cause = read.and_then(|cause| deserializer.end().map(|()| cause)).map_err(|_| Reject::NotJson)?;
            return cause.map_or(Ok(()), Err);
        }
        let skipped = deserializer.deserialize_ignored_any(IgnoredAny).and_then(|_| deserializer.end());
        Err(if skipped.is_ok() { Reject::NotObject } else { Reject::NotJson })
    }

    fn get(&self, field: Field) -> Option<&'de str> {
        self.raw[field as usize].filter(|raw| *raw != "null")
    }

    fn parts(&self, now: Timestamp) -> Result<Parts<'de>, Reject> {
        if self.duplicate {
            return Err(Reject::Duplicate);
        }
        let required = |field| self.get(field).ok_or(Reject::Missing);
        let symbol = unquote(required(Field::Symbol)?).ok_or(Reject::Symbol)?;
        Name::new(&symbol).ok_or(Reject::Symbol)?;
        let price = parse_price(&number_or_string(required(Field::Price)?).ok_or(Reject::Price)?)?;
        let timestamp = number_or_string(required(Field::Timestamp)?).ok_or(Reject::Timestamp)?;
        let timestamp = parse_timestamp(&timestamp)?;
        if timestamp.is_too_far_ahead(now) {
            return Err(Reject::Future);
        }
        let size = self.get(Field::Size).map(read_size).transpose()?;
        // Bookkeeping of other producers may look different: what is not ours is taken as absent.
        let seq = self.get(Field::Seq).and_then(|raw| raw.parse().ok());
        let source = self.get(Field::Source).and_then(unquote);
        Ok(Parts { symbol, price, timestamp, size, seq, source })
    }
}

/// A tick whose texts had to be unescaped where they do not lie in the message as they are.
struct Parts<'de> {
    symbol: Cow<'de, str>,
    price: Price,
    timestamp: Timestamp,
    size: Option<f64>,
    seq: Option<u64>,
    source: Option<Cow<'de, str>>,
}

impl Parts<'_> {
    fn tick(&self) -> Result<TickView<'_>, Reject> {
        let Self { price, timestamp, size, seq, .. } = *self;
        let symbol = Name::new(&self.symbol).ok_or(Reject::Symbol)?;
        let source = self.source.as_deref().and_then(Name::new);
        Ok(TickView { symbol, price, timestamp, size, seq, source })
    }
}

fn read_size(raw: &str) -> Result<f64, Reject> {
    let size = number_or_string(raw).and_then(|text| parse_price(&text).ok()).map(Price::get);
    size.filter(|size| *size >= 0.0).ok_or(Reject::Size)
}

/// The characters of a JSON string; `None` for other values and for escapes that name no character.
fn unquote(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str::<String>(raw).ok().map(Cow::Owned) } else { Some(inner.into()) }
}

/// The text of a JSON number or string; `None` for objects, arrays and booleans.
fn number_or_string(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' => unquote(raw),
        b'-' | b'0'..=b'9' => Some(raw.into()),
        _ => None,
    }
}

/// Walks an object and keeps what the map asks for. Its value is the cause why a nested object could not be read.
struct Object<'m, 's, 'de> {
    branch: &'m Branch,
    slots: &'s mut Slots<'de>,
}

impl<'de> Visitor<'de> for Object<'_, '_, 'de> {
    type Value = Option<Reject>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut cause = None;
        while let Some(node) = map.next_key_seed(Key { branch: self.branch })? {
            match node {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(Node::Leaf(field)) => {
                    let raw = map.next_value::<&'de RawValue>()?.get();
                    self.slots.duplicate |= self.slots.raw[*field as usize].replace(raw).is_some();
                }
                Some(Node::Branch(branch)) => {
                    let raw = map.next_value::<&'de RawValue>()?.get();
                    match self.slots.fill(raw, branch) {
                        // No object here means that its fields are missing, which is said in the end.
                        Ok(()) | Err(Reject::NotObject) => {}
                        Err(other) => cause = Some(other),
                    }
                }
            }
        }
        Ok(cause)
    }
}

/// Finds a key in a branch without copying it.
struct Key<'m> {
    branch: &'m Branch,
}

impl<'de, 'm> DeserializeSeed<'de> for Key<'m> {
    type Value = Option<&'m Node>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'m> Visitor<'_> for Key<'m> {
    type Value = Option<&'m Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.branch.children.iter().find(|(name, _)| name == key).map(|(_, node)| node))
    }
}

/// Hands the text of each element of an array to `each`.
struct Elements<F> {
    each: F,
}

impl<'de, F: FnMut(&'de str)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(raw) = seq.next_element::<&'de RawValue>()? {
            (self.each)(raw.get());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
