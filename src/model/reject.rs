//! Reasons for rejecting a message, and counts of them.

use std::fmt;

use thiserror::Error;

use crate::model::display_safe;
use crate::model::fields::Field;
use crate::model::json::Value;
use crate::model::plan::Row;

/// Longest part of a value in an explanation, in characters.
const SHOWN_CHARS_MAX: usize = 40;

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
    /// The symbol is neither a string nor a number, or is empty or too long.
    Symbol,
    /// The price is neither a number nor a decimal string.
    Price,
    /// The price is NaN, infinite or too large for an `f64`.
    NotFinite,
    /// The timestamp is neither a number nor an ISO 8601 time.
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

    /// Field that the reason concerns, and the form that it must have. `None` for reasons that concern a whole message.
    fn field_and_form(self) -> Option<(Field, &'static str)> {
        Some(match self {
            Self::Symbol => (Field::Symbol, "a text of 1 to 64 bytes or a number"),
            Self::Price => (Field::Price, "a decimal number"),
            Self::NotFinite => (Field::Price, "a finite number"),
            Self::Timestamp => (Field::Timestamp, "s, ms, us or ns since 1970 or an ISO 8601 time"),
            Self::BeforeEpoch => (Field::Timestamp, "a time after 1970"),
            Self::Future => (Field::Timestamp, "a time at most a day ahead of this clock"),
            Self::Size => (Field::Size, "a decimal number that is not negative"),
            _ => return None,
        })
    }
}

/// A rejection with what is needed to explain it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection<'a> {
    /// Reason.
    pub cause: Reject,
    /// Name of the field that is missing, for [`Reject::Missing`].
    pub(crate) missing: Option<&'static str>,
    /// The field's value, as it is in the message.
    pub(crate) value: Option<&'a str>,
}

impl<'a> Rejection<'a> {
    /// Rejection of a whole message.
    pub fn of_message(cause: Reject) -> Self {
        Self { cause, missing: None, value: None }
    }

    /// Rejection of a row.
    pub(crate) fn of_row(cause: Reject, row: &Row<'a>) -> Self {
        let field = cause.field_and_form().map(|(field, _)| field);
        let missing = Field::REQUIRED.iter().find(|field| row.get(**field).is_none()).map(|field| field.name());
        let value = field.and_then(|field| row.get(field)).map(Value::raw);
        Self { cause, missing: missing.filter(|_| cause == Reject::Missing), value }
    }
}

impl fmt::Display for Rejection<'_> {
    /// Writes the reason's name, and the field, its value and the form expected where there are any. The text is safe
    /// for a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.name())?;
        if let Some(missing) = self.missing {
            return write!(f, ": no {missing}");
        }
        let Some((field, form)) = self.cause.field_and_form() else { return Ok(()) };
        let Some(value) = self.value else { return write!(f, ": {} must be {form}", field.name()) };
        let shown: String = value.chars().take(SHOWN_CHARS_MAX).collect();
        let more = if shown.len() < value.len() { "..." } else { "" };
        write!(f, ": {} is {}{more}, not {form}", field.name(), display_safe(&shown))
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
