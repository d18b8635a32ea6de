//! A tick and its parts, and the JSON form in which it travels.
//!
//! The types here are valid by construction: to parse is to validate, and nothing downstream checks again.

use std::fmt;

use compact_str::CompactString;

mod borrowed;
mod decode;
mod fields;
mod number;
mod stream_id;
mod time_span;
mod wire;

pub use borrowed::{Name, TickView};
pub use decode::{Decoder, Reject, RejectCounts};
pub use fields::{FieldMap, FieldMapError};
pub use number::{parse_price, parse_timestamp};
pub use stream_id::{StreamId, StreamIdError};
pub use time_span::{SPAN_NS_MAX, SPAN_NS_MIN, TIME_NS_MIN, TimeSpan};
pub use wire::{TimestampFormat, write_fields, write_tick};

/// Longest accepted symbol, in bytes of UTF-8. Exchange symbols stay under 32; options and crypto pairs under 64.
pub const SYMBOL_BYTES_MAX: usize = 64;

/// Longest accepted producer id, in bytes of UTF-8.
pub const SOURCE_BYTES_MAX: usize = 64;

/// How far ahead of the reader's clock a timestamp may lie, in nanoseconds: one day.
pub const FUTURE_NS_MAX: i64 = 86_400 * NS_PER_S;

/// Nanoseconds in a second.
pub const NS_PER_S: i64 = 1_000_000_000;

/// An instant: nanoseconds since 1970-01-01T00:00:00Z, never negative, so at most the year 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// `None` before 1970.
    pub const fn from_nanos(nanos: i64) -> Option<Self> {
        if nanos < 0 { None } else { Some(Self(nanos)) }
    }

    /// Nanoseconds since the Unix epoch; negative values are taken as the epoch itself.
    pub const fn saturating_from_nanos(nanos: i64) -> Self {
        Self(if nanos < 0 { 0 } else { nanos })
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whether the instant lies more than [`FUTURE_NS_MAX`] after `now`, further than any clock goes wrong.
    pub fn is_too_far_ahead(self, now: Self) -> bool {
        self.0 > now.0.saturating_add(FUTURE_NS_MAX)
    }

    /// The clock of this machine. Pure layers never call it: time enters them as a value.
    pub fn now() -> Self {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self(since_epoch.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// A ticker symbol: 1 to [`SYMBOL_BYTES_MAX`] bytes of UTF-8, any characters. Show it through [`display_safe`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(CompactString);

impl Symbol {
    /// `None` when empty or longer than [`SYMBOL_BYTES_MAX`] bytes.
    pub fn new(text: &str) -> Option<Self> {
        (1..=SYMBOL_BYTES_MAX).contains(&text.len()).then(|| Self(CompactString::new(text)))
    }

    /// The symbol as it came over the wire; control characters included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    /// Safe for a terminal: control characters are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&display_safe(&self.0))
    }
}

/// A price in the currency of its market: any finite number, negative ones too.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Price(f64);

impl Price {
    /// `None` when `value` is NaN or infinite.
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(value))
    }

    /// The number; finite.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// One trade or quote of one symbol.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// What traded.
    pub symbol: Symbol,
    /// At what price.
    pub price: Price,
    /// When, by the clock of whoever observed it.
    pub timestamp: Timestamp,
    /// Traded volume; finite and not negative.
    pub size: Option<f64>,
    /// The producer's running number, from 1.
    pub seq: Option<u64>,
    /// The producer's id.
    pub source: Option<CompactString>,
}

/// Whether `c` can neither steer a terminal nor spoof a legend: no control character, and none of the invisible ones
/// that reorder or hide text. All others lie in the Basic Multilingual Plane.
pub fn is_display_safe(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `text` with every character that is not [safe to show](is_display_safe) written as an escape.
pub fn display_safe(text: &str) -> std::borrow::Cow<'_, str> {
    if text.chars().all(is_display_safe) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_display_safe(c) { shown.push(c) } else { shown.extend(c.escape_unicode()) }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_bounded_and_shown_without_control_characters() {
        assert!(Symbol::new("").is_none());
        assert!(Symbol::new(&"x".repeat(SYMBOL_BYTES_MAX + 1)).is_none());
        let evil = Symbol::new("A\u{1b}[31m\u{202e}").unwrap();
        assert_eq!(evil.to_string(), "A\\u{1b}[31m\\u{202e}");
        assert_eq!(evil.as_str(), "A\u{1b}[31m\u{202e}");
    }

    #[test]
    fn prices_are_finite_and_instants_start_in_1970() {
        assert!(Price::new(f64::NAN).is_none());
        assert!(Price::new(f64::NEG_INFINITY).is_none());
        assert_eq!(Price::new(-37.63).unwrap().get(), -37.63);
        assert!(Timestamp::from_nanos(-1).is_none());
    }
}
