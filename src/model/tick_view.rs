//! A tick as it lies in its message, for readers that take it in at once: nothing is copied, nothing is allocated.

use compact_str::CompactString;

use crate::model::{Price, SYMBOL_BYTES_MAX, Symbol, Tick, Timestamp};

/// A symbol or a producer's id: 1 to [`SYMBOL_BYTES_MAX`] bytes of UTF-8, borrowed.
///
/// It is kept as bytes, which is what it is compared and looked up by; the text is checked again on the rare occasion
/// that it is asked for, since a check at each of millions of messages would cost as much as the lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// `None` when empty or longer than [`SYMBOL_BYTES_MAX`] bytes.
    pub fn new(text: &'a str) -> Option<Self> {
        Self::from_ascii(text.as_bytes())
    }

    /// Of bytes that are known to be ASCII; `None` when there are none or too many of them.
    #[inline]
    pub(super) fn from_ascii(bytes: &'a [u8]) -> Option<Self> {
        (1..=SYMBOL_BYTES_MAX).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// As it came over the wire, control characters included.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// A name of at most eight bytes as a number of its own, the first byte lowest. `None` for longer ones, and for
    /// those that end in the character NUL, which could not be told from shorter ones.
    #[inline]
    pub fn word(self) -> Option<u64> {
        let word = match self.0.first_chunk() {
            Some(bytes) if self.0.len() == bytes.len() => u64::from_le_bytes(*bytes),
            Some(_) => return None,
            None => short_word(self.0),
        };
        (word >> (8 * (self.0.len() - 1)) != 0).then_some(word)
    }

    /// The same as text.
    pub fn as_str(self) -> &'a str {
        // Made of a `str` or of ASCII, so the default is never taken.
        std::str::from_utf8(self.0).unwrap_or_default()
    }
}

/// Fewer than eight bytes as a number, the first one lowest, zeros behind the last: two halves that may overlap, or
/// three single bytes.
#[inline]
pub(super) fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(head), Some(tail)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (head, tail) = (u32::from_le_bytes(*head), u32::from_le_bytes(*tail));
        return u64::from(head) | u64::from(tail) << (8 * (bytes.len() - 4));
    }
    let byte = |at: usize| bytes.get(at).map_or(0, |byte| u64::from(*byte) << (8 * at));
    byte(0) | byte(1) | byte(2)
}

impl From<Name<'_>> for Symbol {
    fn from(name: Name<'_>) -> Self {
        Self(CompactString::new(name.as_str()))
    }
}

/// A [`Tick`] whose texts are borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TickView<'a> {
    /// What traded.
    pub symbol: Name<'a>,
    /// At what price.
    pub price: Price,
    /// When, by the clock of whoever observed it.
    pub timestamp: Timestamp,
    /// Traded volume; finite and not negative.
    pub size: Option<f64>,
    /// The producer's running number, from 1.
    pub seq: Option<u64>,
    /// The producer's id.
    pub source: Option<Name<'a>>,
}

impl TickView<'_> {
    /// A tick that outlives its message.
    pub fn to_tick(&self) -> Tick {
        Tick {
            symbol: self.symbol.into(),
            price: self.price,
            timestamp: self.timestamp,
            size: self.size,
            seq: self.seq,
            source: self.source.map(|source| CompactString::new(source.as_str())),
        }
    }
}

impl Tick {
    /// The tick, lent. A source beyond the bounds of a [`Name`], which no message can bring, is left out.
    pub fn view(&self) -> TickView<'_> {
        TickView {
            symbol: Name(self.symbol.as_str().as_bytes()),
            price: self.price,
            timestamp: self.timestamp,
            size: self.size,
            seq: self.seq,
            source: self.source.as_deref().and_then(Name::new),
        }
    }
}
