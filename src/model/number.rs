//! Parsing of prices, sizes and timestamps from their decimal digits, so that no nanosecond is lost in a binary
//! fraction.

use crate::model::{Price, Reject, Timestamp};

/// Maximum number of integer digits of a timestamp in seconds, milliseconds and microseconds; longer ones are in
/// nanoseconds. Each bound lies in the year 5138 in its own unit and in March 1973 in the next finer one.
const SECOND_DIGITS_MAX: i32 = 11;
const MILLI_DIGITS_MAX: i32 = 14;
const MICRO_DIGITS_MAX: i32 = 17;

/// Significant digits that are kept. A `u128` holds 38, and an instant in nanoseconds has 19.
const MANTISSA_DIGITS_MAX: i32 = 30;

/// Bound of the exponent. Beyond it no instant is representable, and within it the arithmetic cannot overflow.
const EXPONENT_MAX: i32 = 400;

/// Returns the exponent of ten that converts a timestamp to nanoseconds: the number of its integer digits tells
/// seconds, milliseconds, microseconds and nanoseconds apart.
#[inline]
pub(super) fn unit_exponent(integer_digits: i32) -> i32 {
    match integer_digits {
        digits if digits <= SECOND_DIGITS_MAX => 9,
        digits if digits <= MILLI_DIGITS_MAX => 6,
        digits if digits <= MICRO_DIGITS_MAX => 3,
        _ => 0,
    }
}

/// Decimal number `mantissa * 10^exponent` with a sign, exact up to [`MANTISSA_DIGITS_MAX`] digits.
struct Decimal {
    negative: bool,
    mantissa: u128,
    mantissa_digits: i32,
    exponent: i32,
}

/// Parses `[+-]digits[.digits][e[+-]digits]`; `None` for anything else.
fn read_decimal(text: &str) -> Option<Decimal> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (number, exponent_text) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 {
        return None;
    }
    let mut decimal = Decimal { negative, mantissa: 0, mantissa_digits: 0, exponent: 0 };
    for (digits, is_fraction) in [(whole, false), (fraction, true)] {
        for byte in digits.bytes() {
            if !byte.is_ascii_digit() {
                return None;
            }
            if decimal.mantissa_digits < MANTISSA_DIGITS_MAX {
                decimal.mantissa = decimal.mantissa * 10 + u128::from(byte - b'0');
                decimal.mantissa_digits += i32::from(decimal.mantissa > 0);
                decimal.exponent -= i32::from(is_fraction);
            } else {
                decimal.exponent = decimal.exponent.saturating_add(i32::from(!is_fraction));
            }
        }
    }
    if let Some(exponent_text) = exponent_text {
        decimal.exponent = decimal.exponent.saturating_add(read_exponent(exponent_text)?);
    }
    Some(decimal)
}

/// Parses `[+-]digits`, clamped far beyond the exponents of prices and instants.
fn read_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let magnitude = digits.parse::<i32>().unwrap_or(i32::MAX).min(1_000_000);
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// Parses an instant: a decimal number of seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by
/// magnitude, or an RFC 3339 date and time. Digits finer than a nanosecond are rounded.
///
/// # Errors
///
/// Returns [`Reject::Timestamp`] if the text is neither, [`Reject::BeforeEpoch`] or [`Reject::Future`] if the instant
/// is not representable.
pub fn parse_timestamp(text: &str) -> Result<Timestamp, Reject> {
    let Some(decimal) = read_decimal(text) else { return parse_rfc3339(text) };
    if decimal.mantissa == 0 {
        return Ok(Timestamp::default());
    }
    if decimal.negative {
        return Err(Reject::BeforeEpoch);
    }
    let whole_digits = decimal.mantissa_digits.saturating_add(decimal.exponent);
    if whole_digits > EXPONENT_MAX {
        return Err(Reject::Future);
    }
    if whole_digits < -EXPONENT_MAX {
        return Ok(Timestamp::default());
    }
    let exponent = decimal.exponent + unit_exponent(whole_digits);
    let power = 10u128.checked_pow(exponent.unsigned_abs());
    let nanos = match (exponent >= 0, power) {
        (true, Some(power)) => decimal.mantissa.checked_mul(power),
        (true, None) => None,
        (false, Some(power)) => Some((decimal.mantissa + power / 2) / power),
        (false, None) => Some(0),
    };
    let nanos = nanos.and_then(|n| i64::try_from(n).ok()).ok_or(Reject::Future)?;
    Timestamp::from_nanos(nanos).ok_or(Reject::BeforeEpoch)
}

/// Parses a date and time. One without a zone is in UTC.
fn parse_rfc3339(text: &str) -> Result<Timestamp, Reject> {
    let naive = || {
        let has_time = text.len() > "2013-10-07".len();
        let civil: Option<jiff::civil::DateTime> = has_time.then(|| text.parse().ok()).flatten();
        jiff::tz::Offset::UTC.to_timestamp(civil?).ok()
    };
    let instant: jiff::Timestamp = text.parse().ok().or_else(naive).ok_or(Reject::Timestamp)?;
    if instant.as_nanosecond() < 0 {
        return Err(Reject::BeforeEpoch);
    }
    let nanos = i64::try_from(instant.as_nanosecond()).map_err(|_| Reject::Future)?;
    Timestamp::from_nanos(nanos).ok_or(Reject::BeforeEpoch)
}

/// Parses a price: a decimal number, correctly rounded to the nearest `f64`.
///
/// # Errors
///
/// Returns [`Reject::Price`] if the text is not a number, [`Reject::NotFinite`] if it is too large, NaN or infinity.
pub fn parse_price(text: &str) -> Result<Price, Reject> {
    if read_decimal(text).is_none() {
        let word = text.trim_start_matches(['+', '-']);
        let not_finite = ["nan", "inf", "infinity"].iter().any(|name| word.eq_ignore_ascii_case(name));
        return Err(if not_finite { Reject::NotFinite } else { Reject::Price });
    }
    let value: f64 = text.parse().map_err(|_| Reject::Price)?;
    Price::new(value).ok_or(Reject::NotFinite)
}

/// Parses a size: a decimal number that is not negative.
///
/// # Errors
///
/// Returns [`Reject::Size`] if the text is anything else.
pub fn parse_size(text: &str) -> Result<f64, Reject> {
    let size = parse_price(text).map_err(|_| Reject::Size)?.get();
    if size >= 0.0 { Ok(size) } else { Err(Reject::Size) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nanos(text: &str) -> i64 {
        parse_timestamp(text).unwrap_or_else(|e| panic!("{text}: {e:?}")).as_nanos()
    }

    #[test]
    fn units_are_told_apart_by_magnitude() {
        for (text, expected) in [
            ("0", 0),
            ("1732000000", 1_732_000_000_000_000_000),
            ("1732000000.5", 1_732_000_000_500_000_000),
            ("1732000000.123456789", 1_732_000_000_123_456_789),
            ("1732000000.1234567894999", 1_732_000_000_123_456_789),
            ("1.732e9", 1_732_000_000_000_000_000),
            ("1732000000123", 1_732_000_000_123_000_000),
            ("1732000000123.25", 1_732_000_000_123_250_000),
            ("1732000000123456", 1_732_000_000_123_456_000),
            ("1732000000123456789", 1_732_000_000_123_456_789),
            ("2013-10-07T09:30:00.25-04:00", 1_381_152_600_250_000_000),
            ("2013-10-07T13:30:00Z", 1_381_152_600_000_000_000),
            ("2013-10-07 13:30:00.25", 1_381_152_600_250_000_000),
            ("2013-10-07T13:30:00", 1_381_152_600_000_000_000),
            ("1e-300", 0),
        ] {
            assert_eq!(nanos(text), expected, "{text}");
        }
    }

    #[test]
    fn invalid_instants_are_rejected_by_cause() {
        for text in ["", "-", ".", "yesterday", "1732000000x", "0x10", "1_000", " 1", "2013-10-07", "NaN", "1e", "1e+"]
        {
            assert_eq!(parse_timestamp(text), Err(Reject::Timestamp), "{text}");
        }
        for text in ["-1", "-0.1", "1969-12-31T23:59:59Z"] {
            assert_eq!(parse_timestamp(text), Err(Reject::BeforeEpoch), "{text}");
        }
        for text in ["9223372036854775808", "1e30", "1e999999999", "99999999999999999999999999999999999999999999"] {
            assert_eq!(parse_timestamp(text), Err(Reject::Future), "{text}");
        }
    }

    #[test]
    fn prices_are_decimal_numbers() {
        for (text, value) in
            [("187.20", 187.2), ("-37.63", -37.63), ("0", 0.0), ("1e3", 1000.0), ("+5", 5.0), (".5", 0.5)]
        {
            assert_eq!(parse_price(text).unwrap().get().to_bits(), f64::to_bits(value), "{text}");
        }
        for text in ["", "abc", "1,5", "0x1", "1 ", "--1", "."] {
            assert_eq!(parse_price(text), Err(Reject::Price), "{text}");
        }
        for text in ["NaN", "-inf", "Infinity", "1e999", "-1e400"] {
            assert_eq!(parse_price(text), Err(Reject::NotFinite), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_instant_survives_as_seconds_with_fraction(n in 0i64..i64::MAX / 2) {
            let text = format!("{}.{:09}", n / 1_000_000_000, n % 1_000_000_000);
            prop_assert_eq!(nanos(&text), n);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}", digits in "[-+0-9.eE]{0,60}") {
            let _ = (parse_timestamp(&text), parse_price(&text), parse_timestamp(&digits), parse_price(&digits));
        }

        #[test]
        fn a_price_is_what_the_standard_library_reads(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            prop_assert_eq!(parse_price(&format!("{value:e}")).unwrap().get().to_bits(), value.to_bits());
        }
    }
}
