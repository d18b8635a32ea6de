//! Signature of a message's shape: messages with the same keys, kinds of values and topics have the same one.

use crate::model::json::{Kind, Value};
use crate::model::shape::names::{is_letter_key, is_side, is_topic_key};
use crate::model::shape::topic::topic_of;

/// Deepest value that counts.
const DEPTH_MAX: usize = 8;

/// Most kinds of elements that an array is remembered by.
const ELEMENT_KINDS_MAX: usize = 4;

/// Least number of digits before the decimal point of a time since 1970; seconds have nine until 2001.
pub(crate) const TIME_DIGITS_MIN: u8 = 9;

/// Multiplier of FNV-1a, a hash for short keys (Fowler, Noll, Vo).
const FNV_PRIME: u64 = 0x0100_0000_01b3;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// Number of topics whose kind is remembered. A feed has some for each symbol.
const TOPICS_MAX: usize = 4_096;

/// Computes signatures. Remembers the kinds of topics, because finding one costs as much as the rest of a signature.
#[derive(Debug, Clone)]
pub(crate) struct Signatures {
    /// Hash of a topic and the signature of its kind, at the place that the hash selects.
    topics: Box<[(u64, u64)]>,
}

impl Default for Signatures {
    fn default() -> Self {
        Self { topics: vec![(0, 0); TOPICS_MAX].into() }
    }
}

impl Signatures {
    /// Signature of `message`.
    pub(crate) fn of(&mut self, message: Value<'_>) -> u64 {
        self.of_value(message, DEPTH_MAX)
    }

    fn of_value(&mut self, value: Value<'_>, depth: usize) -> u64 {
        if depth == 0 {
            return 0;
        }
        match value.kind() {
            Kind::Object => value.entries().fold(1, |hash, (key, value)| {
                let hash = mix(hash, of_text(key.raw()));
                let topic = is_topic_key(key.raw()).then(|| self.of_topic(key.raw(), value)).flatten();
                mix(hash, topic.unwrap_or_else(|| self.of_value(value, depth - 1)))
            }),
            Kind::Array => self.of_elements(value, depth),
            Kind::String => of_string(value.raw()),
            Kind::Number => mix(3, of_number(value.raw())),
            kind => 4 + kind as u64,
        }
    }

    /// Signature of an array: of the set of its elements' signatures, so that its length and their order do not count.
    fn of_elements(&mut self, array: Value<'_>, depth: usize) -> u64 {
        let mut kinds = [0; ELEMENT_KINDS_MAX];
        let mut count = 0;
        let (mut hash, mut last) = (2, 0);
        let has_containers = array.elements().any(Value::is_container);
        for element in array.elements() {
            // A text beside containers may name the kind of the message, as that of a topic key.
            let element_hash = match element.kind() {
                Kind::String if has_containers => self.of_topic_text("", element.raw()),
                _ => self.of_value(element, depth - 1),
            };
            if !has_containers {
                // Elements without keys are told apart by their position.
                hash = mix(hash, element_hash);
            } else if element_hash != last && !kinds[..count].contains(&element_hash) && count < ELEMENT_KINDS_MAX {
                kinds[count] = element_hash;
                count += 1;
                hash = hash.wrapping_add(mix(5, element_hash));
            }
            last = element_hash;
        }
        hash
    }

    fn of_topic(&mut self, key: &str, value: Value<'_>) -> Option<u64> {
        (value.kind() == Kind::String).then(|| self.of_topic_text(key, value.raw()))
    }

    /// Signature of the kind of message that `text`, the value of the topic key `key`, names.
    pub(crate) fn of_topic_text(&mut self, key: &str, text: &str) -> u64 {
        if is_letter_key(key) && text.len() <= 2 {
            return of_text(text);
        }
        let hash = of_text(text);
        let place = &mut self.topics[hash as usize % TOPICS_MAX];
        if place.0 != hash {
            let kind = topic_of(text);
            *place = (
                hash,
                kind.map_or_else(
                    || of_string(text),
                    |(kind, is_exact)| mix(7, (kind as u64) << 1 | u64::from(is_exact)),
                ),
            );
        }
        place.1
    }
}

fn mix(hash: u64, value: u64) -> u64 {
    ((hash ^ value).wrapping_mul(FNV_PRIME)).rotate_left(29)
}

fn of_text(text: &str) -> u64 {
    let (words, rest) = text.as_bytes().as_chunks();
    let hash = words.iter().fold(FNV_OFFSET, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

/// Class of a value that is no field: nothing, a number, one as long as a time, or anything else. A value of another
/// class might be a field.
pub(crate) fn value_class(text: &str) -> u8 {
    match text.as_bytes() {
        [] => 1,
        [b'0'..=b'9' | b'-' | b'+' | b'.', ..] => {
            let digits = text.bytes().take(20).take_while(u8::is_ascii_digit).count() as u8;
            if digits >= TIME_DIGITS_MIN { digits } else { 2 }
        }
        _ => 3,
    }
}

/// A text's class: nothing, a number, a side, or anything else.
fn of_string(text: &str) -> u64 {
    match text.as_bytes() {
        [] => 11,
        _ if is_decimal(text) => mix(12, of_number(text)),
        [..] if text.len() <= 6 && is_side(text) => 13,
        [..] => 14,
    }
}

/// Returns whether a text is a decimal number.
fn is_decimal(text: &str) -> bool {
    let without_sign = |text: &'_ str| text.strip_prefix(['-', '+']).map_or(text.len(), str::len);
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (number, exponent) =
        (&number[number.len() - without_sign(number)..], &exponent[exponent.len() - without_sign(exponent)..]);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    whole.len() + fraction.len() > 0 && !exponent.is_empty() && [whole, fraction, exponent].into_iter().all(is_digits)
}

/// A number's class: its sign, and its length and first digits if it can be a time: those of a time change once in
/// years, and tell it from one ahead of the clock.
fn of_number(text: &str) -> u64 {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = unsigned.bytes().take(20).take_while(u8::is_ascii_digit).count();
    let is_whole = digits == unsigned.len();
    let time = match unsigned.as_bytes() {
        [a, b, ..] if digits >= usize::from(TIME_DIGITS_MIN) => {
            u64::from(*a) << 16 | u64::from(*b) << 8 | digits as u64
        }
        _ => 0,
    };
    time << 2 | u64::from(text.len() != unsigned.len()) << 1 | u64::from(is_whole)
}
