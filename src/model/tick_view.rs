//! Ticks that borrow their texts from the message, so that decoding one copies and allocates nothing.

use compact_str::CompactString;

use crate::model::{Price, SYMBOL_BYTES_MAX, Symbol, Tick, Timestamp};

/// Borrowed symbol or producer id: 1 to [`SYMBOL_BYTES_MAX`] bytes of UTF-8.
///
/// Stored as bytes, by which it is compared and looked up. [`as_str`](Self::as_str) validates the UTF-8 again; doing so
/// for every message would cost as much as the lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// Returns `None` if `text` is empty or longer than [`SYMBOL_BYTES_MAX`] bytes.
    pub fn new(text: &'a str) -> Option<Self> {
        Self::from_ascii(text.as_bytes())
    }

    /// Wraps bytes that are known to be ASCII; `None` if there are none or too many.
    #[inline]
    pub(super) fn from_ascii(bytes: &'a [u8]) -> Option<Self> {
        (1..=SYMBOL_BYTES_MAX).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The bytes as received, control characters included.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The name packed into an integer, first byte lowest. `None` for names of more than eight bytes, and for those
    /// that end in NUL, which would equal shorter names.
    #[inline]
    pub fn word(self) -> Option<u64> {
        let word = match self.0.first_chunk() {
            Some(bytes) if self.0.len() == bytes.len() => u64::from_le_bytes(*bytes),
            Some(_) => return None,
            None => short_word(self.0),
        };
        (word >> (8 * (self.0.len() - 1)) != 0).then_some(word)
    }

    /// The name as text.
    pub fn as_str(self) -> &'a str {
        // The bytes come from a `str` or are ASCII, so the default is never used.
        std::str::from_utf8(self.0).unwrap_or_default()
    }
}

/// Packs fewer than eight bytes into an integer, first byte lowest, zeros at the end. Reads two halves that may
/// overlap, or three single bytes.
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

/// A [`Tick`] that borrows its texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TickView<'a> {
    /// Traded instrument.
    pub symbol: Name<'a>,
    /// Price of the trade or quote.
    pub price: Price,
    /// Time of the trade or quote, by the clock of its observer.
    pub timestamp: Timestamp,
    /// Traded volume; finite and not negative.
    pub size: Option<f64>,
    /// The producer's sequence number.
    pub seq: Option<u64>,
    /// The producer's id.
    pub source: Option<Name<'a>>,
}

impl TickView<'_> {
    /// Copies the texts, so that the tick outlives its message.
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
    /// Borrows the tick. A source that is not a valid [`Name`], which no message can contain, is left out.
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
