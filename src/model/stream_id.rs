//! Ids of Redis stream entries: the server's clock in milliseconds, and a sequence number within the millisecond.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Position of an entry in its stream. Ids of a stream only grow, whatever the server's clock does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId {
    /// Milliseconds since the Unix epoch, by the server's clock.
    pub ms: u64,
    /// Sequence number within the millisecond.
    pub seq: u64,
}

/// Error of parsing a text that is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an id of a stream's entry is written as 1732000000000-0")]
pub struct StreamIdError;

impl StreamId {
    /// Lower bound of all ids; no entry has it.
    pub const START: Self = Self { ms: 0, seq: 0 };

    /// The id directly before this one; [`StreamId::START`] has none and stays.
    #[must_use]
    pub const fn before(self) -> Self {
        match (self.ms, self.seq) {
            (0, 0) => self,
            (ms, 0) => Self { ms: ms - 1, seq: u64::MAX },
            (ms, seq) => Self { ms, seq: seq - 1 },
        }
    }

    /// Parses an id in the form that servers send.
    pub fn from_bytes(text: &[u8]) -> Option<Self> {
        std::str::from_utf8(text).ok()?.parse().ok()
    }
}

impl FromStr for StreamId {
    type Err = StreamIdError;

    /// Parses `1732000000000-0`, or milliseconds alone, which mean the first id of that millisecond.
    ///
    /// # Errors
    ///
    /// Returns [`StreamIdError`] if the text has another form.
    fn from_str(text: &str) -> Result<Self, StreamIdError> {
        // `parse` accepts a plus sign, which no id has.
        let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
        let (ms, seq) = text.split_once('-').unwrap_or((text, "0"));
        Ok(Self { ms: number(ms).ok_or(StreamIdError)?, seq: number(seq).ok_or(StreamIdError)? })
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        for (text, ms, seq) in [("1732000000000-7", 1_732_000_000_000, 7), ("5", 5, 0), ("0-0", 0, 0)] {
            assert_eq!(text.parse(), Ok(StreamId { ms, seq }));
        }
        assert_eq!(
            StreamId { ms: u64::MAX, seq: u64::MAX }.to_string().parse(),
            Ok(StreamId { ms: u64::MAX, seq: u64::MAX })
        );
        for bad in ["", "-", "1-", "-1", "+1-0", "1-0-0", "1.5", "1h", "99999999999999999999-0", " 1-0"] {
            assert_eq!(bad.parse::<StreamId>(), Err(StreamIdError), "{bad}");
        }
    }

    #[test]
    fn ids_are_in_order_and_the_one_before_is_the_nearest() {
        let id = |ms, seq| StreamId { ms, seq };
        assert!(id(1, u64::MAX) < id(2, 0) && id(2, 0) < id(2, 1));
        assert_eq!(id(2, 0).before(), id(1, u64::MAX));
        assert_eq!(id(2, 5).before(), id(2, 4));
        assert_eq!(StreamId::START.before(), StreamId::START);
    }
}
