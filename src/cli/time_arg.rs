//! Times on the command line.

use thiserror::Error;

use crate::cli::duration::parse_duration;
use crate::model::{Timestamp, display_safe, parse_timestamp};

/// Word for the earliest time.
const START: &str = "start";

/// Error for a text that is not a time.
#[derive(Debug, PartialEq, Eq, Error)]
#[error(
    "{flag} {text}: a time is RFC 3339 text such as 2013-10-07T13:30:00Z, Unix time, a time back such as 1h or 2d, or \
     the word start"
)]
pub struct TimeError {
    /// Flag with its dashes.
    pub flag: &'static str,
    /// Value of the flag, safe for a terminal.
    pub text: String,
}

/// Parses the value of `flag`: RFC 3339, a Unix time, a time before `now` such as `1h`, or the word `start`.
///
/// # Errors
///
/// Fails if the text has none of these forms.
pub fn parse_time(flag: &'static str, text: &str, now: Timestamp) -> Result<Timestamp, TimeError> {
    let text = text.trim();
    if text == START {
        return Ok(Timestamp::default());
    }
    // A number without a unit is a Unix time.
    parse_timestamp(text).or_else(|_| {
        let has_unit = text.parse::<f64>().is_err();
        let back = parse_duration(text).ok().filter(|_| has_unit);
        let back_ns = back.and_then(|back| i64::try_from(back.as_nanos()).ok());
        back_ns
            .map(|back_ns| Timestamp::saturating_from_nanos(now.as_nanos().saturating_sub(back_ns)))
            .ok_or_else(|| TimeError { flag, text: display_safe(text).into_owned() })
    })
}

#[cfg(test)]
mod tests {
    use crate::cli::time_arg::*;
    use crate::model::NS_PER_S;

    const NOW_S: i64 = 1_700_000_000;

    fn parsed_s(text: &str) -> Option<f64> {
        let now = Timestamp::from_nanos(NOW_S * NS_PER_S).unwrap();
        parse_time("--from", text, now).ok().map(|at| at.as_nanos() as f64 / NS_PER_S as f64)
    }

    #[test]
    fn times_are_parsed_in_each_form() {
        for (text, seconds) in [
            ("2013-10-07T13:30:00Z", 1_381_152_600.0),
            (" 2013-10-07T09:30:00.5-04:00 ", 1_381_152_600.5),
            ("1381152600", 1_381_152_600.0),
            ("1381152600000", 1_381_152_600.0),
            ("0", 0.0),
            ("start", 0.0),
            ("1h", NOW_S as f64 - 3_600.0),
            ("2d", NOW_S as f64 - 172_800.0),
            ("1h30m", NOW_S as f64 - 5_400.0),
            ("90d", NOW_S as f64 - 7_776_000.0),
            // Before 1970.
            ("99 years", f64::NAN),
            ("876000h", 0.0),
        ] {
            let found = parsed_s(text);
            assert!(found == Some(seconds) || (seconds.is_nan() && found.is_none()), "{text}: {found:?}");
        }
    }

    #[test]
    fn invalid_times_are_reported_without_control_characters() {
        for text in ["", "noon", "-1", "1e400", "-2h", "\u{1b}[2J"] {
            assert_eq!(parsed_s(text), None, "{text}");
        }
        let error = parse_time("--to", "\u{1b}", Timestamp::default()).unwrap_err().to_string();
        assert!(error.starts_with("--to \\u{1b}: a time is RFC 3339 text such as "), "{error}");
    }
}
