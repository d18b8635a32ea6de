//! Reasons for rejecting a message, and counts of them.

use thiserror::Error;

/// Reason why a message, or an object in it, is not a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.name())]
pub enum Reject {
    /// The bytes are not UTF-8.
    NotUtf8,
    /// The text is not JSON: truncated, malformed, nested too deeply, `NaN`, or followed by other text.
    NotJson,
    /// The JSON is neither an object nor an array of objects.
    NotObject,
    /// Symbol, price or timestamp is missing or null.
    Missing,
    /// A mapped key occurs twice, so its value is ambiguous.
    Duplicate,
    /// The symbol is not a string, or is empty or too long.
    Symbol,
    /// The price is neither a number nor a decimal string.
    Price,
    /// The price is NaN, infinite or too large for an `f64`.
    NotFinite,
    /// The timestamp is neither a number nor RFC 3339.
    Timestamp,
    /// The timestamp lies before 1970.
    BeforeEpoch,
    /// The timestamp lies more than a day ahead of the reader's clock.
    Future,
    /// The size is not a number, or is negative.
    Size,
    /// The message is longer than the reader accepts.
    TooLong,
}

impl Reject {
    /// All reasons, in declaration order, with their names in statistics and logs.
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

    /// Name in statistics and logs.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Number of rejections for each reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RejectCounts([u64; Reject::ALL.len()]);

impl RejectCounts {
    /// Counts one rejection.
    pub fn add(&mut self, cause: Reject) {
        self.0[cause as usize] += 1;
    }

    /// Adds all counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// Number of rejections for all reasons.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Reasons that occurred, by name, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Reject::ALL.iter().zip(self.0).filter(|(_, count)| *count > 0).map(|((_, name), count)| (*name, count))
    }
}
