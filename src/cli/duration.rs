//! Durations on the command line.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use thiserror::Error;

/// Longest duration on a command line: a hundred years, well inside 64 bits of nanoseconds.
pub const DURATION_MAX: Duration = Duration::from_hours(100 * 366 * 24);

/// Reason for which a text is not a usable duration.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DurationError {
    /// Neither a number nor a number with a unit.
    #[error("a duration is a number of seconds such as 0.5, or has units such as 250ms, 2m, 1h30m")]
    Malformed,
    /// Below zero.
    #[error("a duration cannot be negative")]
    Negative,
    /// Above [`DURATION_MAX`].
    #[error("a duration cannot exceed 100 years")]
    TooLong,
    /// Above zero, but less than a nanosecond.
    #[error("a duration other than 0 is at least one nanosecond")]
    TooShort,
}

/// Parses `0.5` (seconds), `250ms`, `2m`, `1h30m` or `1d` (24 hours). Usable as a clap value parser.
///
/// # Errors
///
/// Fails if the text is not a duration, or one that is negative, above [`DURATION_MAX`] or below a nanosecond.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tickscope::cli::parse_duration;
///
/// assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5_400)));
/// assert_eq!(parse_duration("0.25"), Ok(Duration::from_millis(250)));
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let duration = match text.parse::<f64>() {
        Ok(seconds) => from_seconds(seconds)?,
        Err(_) => from_units(text)?,
    };
    if duration > DURATION_MAX { Err(DurationError::TooLong) } else { Ok(duration) }
}

fn from_seconds(seconds: f64) -> Result<Duration, DurationError> {
    if seconds.is_nan() {
        return Err(DurationError::Malformed);
    }
    if seconds < 0.0 {
        return Err(DurationError::Negative);
    }
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| DurationError::TooLong)?;
    if duration.is_zero() && seconds > 0.0 { Err(DurationError::TooShort) } else { Ok(duration) }
}

fn from_units(text: &str) -> Result<Duration, DurationError> {
    let span: Span = text.parse().map_err(|_| DurationError::Malformed)?;
    if span.is_negative() {
        return Err(DurationError::Negative);
    }
    // Months and years are refused, since they have no fixed length.
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| DurationError::Malformed)?;
    Duration::try_from(signed).map_err(|_| DurationError::TooLong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::cli::duration::*;

    #[test]
    fn durations_are_seconds_or_have_units() {
        for (text, nanos) in [
            ("0", 0),
            ("1", 1_000_000_000),
            ("0.5", 500_000_000),
            (" 2 ", 2_000_000_000),
            ("1e-9", 1),
            ("250ms", 250_000_000),
            ("250 ms", 250_000_000),
            ("10us", 10_000),
            ("10µs", 10_000),
            ("2m", 120_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1d", 86_400_000_000_000),
            ("0s", 0),
            ("PT2S", 2_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn invalid_durations_are_refused_with_a_reason() {
        for (text, error) in [
            ("", DurationError::Malformed),
            ("fast", DurationError::Malformed),
            ("NaN", DurationError::Malformed),
            ("1mo", DurationError::Malformed),
            ("1y", DurationError::Malformed),
            ("5 parsecs", DurationError::Malformed),
            ("-1", DurationError::Negative),
            ("-2m", DurationError::Negative),
            ("1m ago", DurationError::Negative),
            ("1e300", DurationError::TooLong),
            ("inf", DurationError::TooLong),
            ("1000000h", DurationError::TooLong),
            ("1e-12", DurationError::TooShort),
        ] {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,40}") {
            if let Ok(duration) = parse_duration(&text) {
                prop_assert!(duration <= DURATION_MAX);
            }
        }

        #[test]
        fn whole_milliseconds_are_exact(millis in 0u64..1_000_000_000) {
            prop_assert_eq!(parse_duration(&format!("{millis}ms")), Ok(Duration::from_millis(millis)));
        }
    }
}
