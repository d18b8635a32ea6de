//! Decoding of messages into ticks.
//!
//! A message is one JSON object or an array of objects. A bad object is rejected without affecting the others. Each
//! field is parsed from its own digits or characters, so no value is rounded on the way.

mod fast_path;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::fields::{Branch, Field, Node};
use crate::model::{FieldMap, Name, Reject, Tick, TickView, Timestamp, parse_price, parse_size, parse_timestamp};

/// Decodes messages whose fields a [`FieldMap`] locates.
///
/// # Examples
///
/// ```
/// use tickscope::model::{Decoder, FieldMap, Timestamp};
///
/// let decoder = Decoder::new(FieldMap::parse("symbol=s,price=p,timestamp=T")?);
/// let mut prices = Vec::new();
/// let now = Timestamp::saturating_from_nanos(1_732_000_001_000_000_000);
/// decoder.decode(br#"[{"s": "BTC", "p": "0.5", "T": 1732000000123}, {"s": "BTC"}]"#, now, |tick| {
///     prices.push(tick.ok().map(|tick| tick.price.get()));
/// });
/// assert_eq!(prices, [Some(0.5), None]);
/// # Ok::<(), tickscope::model::FieldMapError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Decoder {
    fields: FieldMap,
    /// Set if the fields have their default keys, so that the fast path applies.
    has_default_fields: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(FieldMap::default())
    }
}

impl Decoder {
    /// Creates a decoder that reads the fields that `fields` maps.
    pub fn new(fields: FieldMap) -> Self {
        let has_default_fields = fields == FieldMap::default();
        Self { fields, has_default_fields }
    }

    /// Calls `sink` with every tick and every rejection in `payload`, in order. `now` is the reader's clock.
    pub fn decode(&self, payload: &[u8], now: Timestamp, mut sink: impl FnMut(Result<Tick, Reject>)) {
        self.decode_borrowed(payload, now, |result| sink(result.map(|tick| tick.to_tick())));
    }

    /// As [`decode`](Self::decode), with ticks that borrow from `payload`.
    #[inline]
    pub fn decode_borrowed(&self, payload: &[u8], now: Timestamp, mut sink: impl FnMut(Result<TickView<'_>, Reject>)) {
        let mut taken = 0;
        if self.has_default_fields {
            if let Some(tick) = fast_path::read(payload, now) {
                return sink(Ok(tick));
            }
            match fast_path::read_array(payload, now, |tick| sink(Ok(tick))) {
                Ok(()) => return,
                Err(count) => taken = count,
            }
        }
        self.decode_general(payload, taken, now, &mut sink);
    }

    /// General path, which accepts every form and decides about rejections. Skips the first `taken` elements of an
    /// array.
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
            let ended = deserializer.deserialize_seq(ArrayVisitor { each }).and_then(|()| deserializer.end());
            if ended.is_err() {
                sink(Err(Reject::NotJson));
            }
        } else {
            self.decode_object(text, now, sink);
        }
    }

    fn decode_object(&self, text: &str, now: Timestamp, sink: &mut dyn FnMut(Result<TickView<'_>, Reject>)) {
        let mut fields = RawFields::default();
        // Texts with escapes are owned, and a `TickView` borrows them.
        let texts = fields.read(text, &self.fields.root).and_then(|()| fields.texts());
        let tick = texts.as_ref().map_err(|cause| *cause);
        sink(tick.and_then(|(symbol, source)| fields.tick(symbol, source.as_deref(), now)));
    }
}

/// Raw JSON of each mapped field of an object.
#[derive(Default)]
struct RawFields<'de> {
    raw: [Option<&'de str>; Field::COUNT],
    has_duplicate: bool,
}

impl<'de> RawFields<'de> {
    /// Collects the fields of `branch` from the JSON object `text`.
    fn read(&mut self, text: &'de str, branch: &Branch) -> Result<(), Reject> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        if text.trim_ascii_start().starts_with('{') {
            let read = deserializer.deserialize_map(ObjectVisitor { branch, fields: self });
            let cause = read.and_then(|cause| deserializer.end().map(|()| cause)).map_err(|_| Reject::NotJson)?;
            return cause.map_or(Ok(()), Err);
        }
        let skipped = deserializer.deserialize_ignored_any(IgnoredAny).and_then(|_| deserializer.end());
        Err(if skipped.is_ok() { Reject::NotObject } else { Reject::NotJson })
    }

    fn get(&self, field: Field) -> Option<&'de str> {
        self.raw[field as usize].filter(|raw| *raw != "null")
    }

    fn required(&self, field: Field) -> Result<&'de str, Reject> {
        self.get(field).ok_or(Reject::Missing)
    }

    /// Symbol and source, unescaped.
    fn texts(&self) -> Result<(Cow<'de, str>, Option<Cow<'de, str>>), Reject> {
        if self.has_duplicate {
            return Err(Reject::Duplicate);
        }
        let symbol = unquote(self.required(Field::Symbol)?).ok_or(Reject::Symbol)?;
        Ok((symbol, self.get(Field::Source).and_then(unquote)))
    }

    fn tick<'a>(&self, symbol: &'a str, source: Option<&'a str>, now: Timestamp) -> Result<TickView<'a>, Reject> {
        let symbol = Name::new(symbol).ok_or(Reject::Symbol)?;
        let price = parse_price(&number_or_string(self.required(Field::Price)?).ok_or(Reject::Price)?)?;
        let timestamp = number_or_string(self.required(Field::Timestamp)?).ok_or(Reject::Timestamp)?;
        let timestamp = parse_timestamp(&timestamp)?;
        if timestamp.is_too_far_ahead(now) {
            return Err(Reject::Future);
        }
        let size = |raw| parse_size(&number_or_string(raw).ok_or(Reject::Size)?);
        let size = self.get(Field::Size).map(size).transpose()?;
        // Other producers may use these keys for something else, so values of another form count as absent.
        let seq = self.get(Field::Seq).and_then(|raw| raw.parse().ok());
        Ok(TickView { symbol, price, timestamp, size, seq, source: source.and_then(Name::new) })
    }
}

/// Characters of a JSON string; `None` for other values and for escapes that are not a character.
fn unquote(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str::<String>(raw).ok().map(Cow::Owned) } else { Some(inner.into()) }
}

/// Text of a JSON number or string; `None` for objects, arrays and booleans.
fn number_or_string(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' => unquote(raw),
        b'-' | b'0'..=b'9' => Some(raw.into()),
        _ => None,
    }
}

/// Visits an object and collects its mapped fields. The value is the reason why a nested object could not be read.
struct ObjectVisitor<'m, 's, 'de> {
    branch: &'m Branch,
    fields: &'s mut RawFields<'de>,
}

impl<'de> Visitor<'de> for ObjectVisitor<'_, '_, 'de> {
    type Value = Option<Reject>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut cause = None;
        while let Some(node) = map.next_key_seed(KeyVisitor { branch: self.branch })? {
            match node {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(Node::Leaf(field)) => {
                    let raw = map.next_value::<&'de RawValue>()?.get();
                    self.fields.has_duplicate |= self.fields.raw[*field as usize].replace(raw).is_some();
                }
                Some(Node::Branch(branch)) => {
                    let raw = map.next_value::<&'de RawValue>()?.get();
                    match self.fields.read(raw, branch) {
                        // The fields of a value that is not an object count as missing, which is reported later.
                        Ok(()) | Err(Reject::NotObject) => {}
                        Err(other) => cause = Some(other),
                    }
                }
            }
        }
        Ok(cause)
    }
}

/// Looks a key up in a branch without copying it.
struct KeyVisitor<'m> {
    branch: &'m Branch,
}

impl<'de, 'm> DeserializeSeed<'de> for KeyVisitor<'m> {
    type Value = Option<&'m Node>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'m> Visitor<'_> for KeyVisitor<'m> {
    type Value = Option<&'m Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.branch.children.iter().find(|(name, _)| name == key).map(|(_, node)| node))
    }
}

/// Calls `each` with the text of every element of an array.
struct ArrayVisitor<F> {
    each: F,
}

impl<'de, F: FnMut(&'de str)> Visitor<'de> for ArrayVisitor<F> {
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
