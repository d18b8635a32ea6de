//! Ticks and their parts, and the JSON form in which they are sent.
//!
//! The types are valid by construction: parsing is validation, so no other module validates them again.
//!
//! # Examples
//!
//! ```
//! use tickscope::model::{Decoder, Origin, Timestamp};
//!
//! let message = br#"{"symbol": "AAPL", "price": 187.2, "timestamp": 1732000000}"#;
//! let now = Timestamp::saturating_from_nanos(1_732_000_001_000_000_000);
//! let mut ticks = Vec::new();
//! Decoder::default().decode(message, Origin::at(now), |tick| ticks.push(tick));
//! let tick = ticks.remove(0)?;
//! assert_eq!((tick.symbol.as_str(), tick.price.get()), ("AAPL", 187.2));
//! # Ok::<(), tickscope::model::Reject>(())
//! ```

use std::fmt;

use compact_str::CompactString;

mod decode;
mod encode;
mod fields;
mod json;
mod number;
mod path;
mod plan;
mod reject;
mod shape;
mod stream_id;
mod tick_view;
mod time_span;

pub use decode::{Decoder, Origin};
pub use encode::{TimestampFormat, write_fields, write_tick};
pub use fields::{FieldMap, FieldMapError};
pub use number::{parse_price, parse_size, parse_timestamp};
pub use reject::{Reject, RejectCounts, Rejection};
pub use stream_id::{StreamId, StreamIdError};
pub use tick_view::{Name, TickView};
pub use time_span::{SPAN_NS_MAX, SPAN_NS_MIN, TIME_NS_MIN, TimeSpan};

/// Maximum length of a symbol, in bytes of UTF-8. Exchange symbols stay under 32 bytes, options and crypto pairs under
/// 64.
pub const SYMBOL_BYTES_MAX: usize = 64;

/// Maximum length of a producer id, in bytes of UTF-8.
pub const SOURCE_BYTES_MAX: usize = 64;

/// Maximum distance of a timestamp ahead of the reader's clock, in nanoseconds: one day.
pub const FUTURE_NS_MAX: i64 = 86_400 * NS_PER_S;

/// Nanoseconds in a second.
pub const NS_PER_S: i64 = 1_000_000_000;

/// Instant in nanoseconds since 1970-01-01T00:00:00Z; never negative, so at most in the year 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant `nanos` ns after the Unix epoch; `None` if `nanos` is negative.
    pub const fn from_nanos(nanos: i64) -> Option<Self> {
        if nanos < 0 { None } else { Some(Self(nanos)) }
    }

    /// The instant `nanos` ns after the Unix epoch; negative values give the epoch itself.
    pub const fn saturating_from_nanos(nanos: i64) -> Self {
        Self(if nanos < 0 { 0 } else { nanos })
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Returns whether the instant lies more than [`FUTURE_NS_MAX`] after `now`, further than any clock goes wrong.
    pub fn is_too_far_ahead(self, now: Self) -> bool {
        self.0 > now.0.saturating_add(FUTURE_NS_MAX)
    }

    /// Current time by this machine's clock. Pure modules do not call it; they take the time as an argument.
    pub fn now() -> Self {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self(since_epoch.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// Ticker symbol: 1 to [`SYMBOL_BYTES_MAX`] bytes of UTF-8 with any characters. Displays as [`display_safe`] text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(CompactString);

impl Symbol {
    /// Returns `None` if `text` is empty or longer than [`SYMBOL_BYTES_MAX`] bytes.
    pub fn new(text: &str) -> Option<Self> {
        (1..=SYMBOL_BYTES_MAX).contains(&text.len()).then(|| Self(CompactString::new(text)))
    }

    /// The symbol as received, control characters included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    /// Writes the symbol with control characters escaped, so that it is safe for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&display_safe(&self.0))
    }
}

/// Price in the currency of its market: any finite number, including negative ones.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Price(f64);

impl Price {
    /// Returns `None` if `value` is NaN or infinite.
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(value))
    }

    /// The price as a finite number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// One trade or quote of one symbol.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// Traded instrument.
    pub symbol: Symbol,
    /// Price of the trade or quote.
    pub price: Price,
    /// Time of the trade or quote, by the clock of its observer.
    pub timestamp: Timestamp,
    /// Traded volume; finite and not negative.
    pub size: Option<f64>,
    /// The producer's sequence number.
    pub seq: Option<u64>,
    /// The producer's id.
    pub source: Option<CompactString>,
}

/// Returns whether `c` is safe to display: neither a control character, which could steer a terminal, nor one of the
/// invisible characters that reorder or hide text. All unsafe characters lie in the Basic Multilingual Plane.
pub fn is_display_safe(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Returns `text` with every character that is not [safe to display](is_display_safe) escaped.
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
