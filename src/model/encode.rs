//! Encoding of ticks as JSON.

use std::io::Write;

use crate::model::{NS_PER_S, Tick, Timestamp};

/// Form of an encoded timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampFormat {
    /// Seconds since the Unix epoch, with as many decimals as the instant needs, up to nine.
    #[default]
    Seconds,
    /// Whole milliseconds since the Unix epoch.
    Millis,
    /// Whole microseconds since the Unix epoch.
    Micros,
    /// Nanoseconds since the Unix epoch.
    Nanos,
    /// RFC 3339 text, such as `"2013-10-07T13:30:00.25Z"`.
    Rfc3339,
}

/// Integers below this are exact in an `f64` and are written without a decimal point.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Hundredths below this have at most fifteen digits.
const HUNDREDTHS_MAX: f64 = 1e15;

/// Appends `tick` to `out` as a JSON object: symbol, price and timestamp, followed by size, seq and source if they are
/// set. The price decodes to the same bits.
pub fn write_tick(out: &mut Vec<u8>, tick: &Tick, format: TimestampFormat) {
    out.extend_from_slice(b"{\"symbol\":");
    write_string(out, tick.symbol.as_str());
    out.extend_from_slice(b",\"price\":");
    write_number(out, tick.price.get());
    out.extend_from_slice(b",\"timestamp\":");
    write_timestamp(out, tick.timestamp, format);
    if let Some(size) = tick.size {
        out.extend_from_slice(b",\"size\":");
        write_number(out, size);
    }
    if let Some(seq) = tick.seq {
        out.extend_from_slice(b",\"seq\":");
        write_integer(out, seq);
    }
    if let Some(source) = &tick.source {
        out.extend_from_slice(b",\"source\":");
        write_string(out, source);
    }
    out.push(b'}');
}

/// Appends a JSON object of `fields`, pairs of name and value, to `out`. Values that are JSON numbers are written as
/// numbers and all others as strings; symbol and source are always strings. Bytes that are not UTF-8 are replaced.
pub fn write_fields(out: &mut Vec<u8>, fields: &[(&[u8], &[u8])]) {
    for (at, (name, value)) in fields.iter().enumerate() {
        out.push(if at == 0 { b'{' } else { b',' });
        write_string(out, &String::from_utf8_lossy(name));
        out.push(b':');
        let is_text = matches!(*name, b"symbol" | b"source");
        if !is_text && serde_json::from_slice::<serde_json::Number>(value).is_ok() {
            out.extend_from_slice(value);
        } else {
            write_string(out, &String::from_utf8_lossy(value));
        }
    }
    out.extend_from_slice(if fields.is_empty() { b"{}" } else { b"}" });
}

fn write_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `value`, which is below 100, with two digits.
fn write_two_digits(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    // Fast path for nearly all symbols, which contain nothing to escape.
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Serialising a string into a vector cannot fail.
        let _ = serde_json::to_writer(out, text);
    }
}

/// Appends the shortest digits that decode to the same bits.
fn write_number(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() < EXACT_INTEGER_MAX && !(value == 0.0 && value.is_sign_negative()) {
        write_integer(out, value as i64);
    } else if !write_hundredths(out, value) {
        // The value is finite by construction, so serialising it cannot fail.
        let _ = serde_json::to_writer(out, &value);
    }
}

/// Appends `value` if it is the `f64` nearest to a whole number of hundredths, as nearly all prices are; otherwise
/// appends nothing and returns `false`.
///
/// An `f64` distinguishes all decimals of up to fifteen digits, so no other decimal that short decodes to `value`, and
/// a search for the shortest digits would find the same ones.
fn write_hundredths(out: &mut Vec<u8>, value: f64) -> bool {
    let hundredths = (value * 100.0).round();
    if hundredths.abs() >= HUNDREDTHS_MAX || hundredths / 100.0 != value || hundredths == 0.0 {
        return false;
    }
    if value < 0.0 {
        out.push(b'-');
    }
    let hundredths = hundredths.abs() as u64;
    write_integer(out, hundredths / 100);
    out.push(b'.');
    match hundredths % 100 {
        tenths if tenths % 10 == 0 => out.push(b'0' + (tenths / 10) as u8),
        rest => write_two_digits(out, rest),
    }
    true
}

fn write_timestamp(out: &mut Vec<u8>, timestamp: Timestamp, format: TimestampFormat) {
    let nanos = timestamp.as_nanos();
    match format {
        TimestampFormat::Seconds => {
            write_integer(out, nanos / NS_PER_S);
            write_fraction(out, nanos % NS_PER_S);
        }
        TimestampFormat::Millis => write_integer(out, nanos / 1_000_000),
        TimestampFormat::Micros => write_integer(out, nanos / 1_000),
        TimestampFormat::Nanos => write_integer(out, nanos),
        TimestampFormat::Rfc3339 => match jiff::Timestamp::from_nanosecond(i128::from(nanos)) {
            // Writing to a vector cannot fail.
            Ok(instant) => _ = write!(out, "\"{instant}\""),
            // Unreachable: every `i64` of nanoseconds lies within jiff's range.
            Err(_) => write_integer(out, nanos),
        },
    }
}

/// Appends a decimal point and the digits of `nanos`, a fraction of a second, without trailing zeros; nothing for zero.
fn write_fraction(out: &mut Vec<u8>, nanos: i64) {
    if nanos == 0 {
        return;
    }
    let mut rest = nanos as u32;
    let mut digits = *b".000000000";
    for digit in digits[1..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let end = digits.iter().rposition(|digit| *digit != b'0').unwrap_or(0);
    out.extend_from_slice(&digits[..=end]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn number(value: f64) -> String {
        written(|out| write_number(out, value))
    }

    #[test]
    fn the_fields_of_an_entry_become_an_object() {
        let object = |fields: &[(&[u8], &[u8])]| {
            let mut out = Vec::new();
            write_fields(&mut out, fields);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(object(&[]), "{}");
        assert_eq!(
            object(&[(b"symbol", b"700"), (b"price", b"187.20"), (b"timestamp", b"1732000000.5"), (b"note", b"a\"b")]),
            r#"{"symbol":"700","price":187.20,"timestamp":1732000000.5,"note":"a\"b"}"#
        );
        assert_eq!(object(&[(b"price", b"NaN"), (b"x", b"\xff 1")]), "{\"price\":\"NaN\",\"x\":\"\u{fffd} 1\"}");
    }

    #[test]
    fn numbers_are_as_short_as_can_be() {
        for (value, text) in [
            (190.12, "190.12"),
            (190.1, "190.1"),
            (190.0, "190"),
            (-37.63, "-37.63"),
            (-0.05, "-0.05"),
            (0.01, "0.01"),
            (-0.0, "-0.0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-7, "1e-7"),
            (9_999_999_999_999.99, "9999999999999.99"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    proptest! {
        #[test]
        fn hundredths_are_written_as_the_general_way_writes_them(
            hundredths in -1_000_000_000_000_000_i64..1_000_000_000_000_000,
        ) {
            for scale in [100.0, 100_000.0, 10_000_000_000.0] {
                let value = (hundredths as f64 / scale * 100.0).round() / 100.0;
                if value.fract() != 0.0 {
                    prop_assert_eq!(number(value), serde_json::to_string(&value).unwrap());
                }
            }
        }

        #[test]
        fn any_number_is_written_as_the_general_way_writes_it(bits: u64) {
            let value = f64::from_bits(bits);
            if value.is_finite() && (value.fract() != 0.0 || value.abs() >= EXACT_INTEGER_MAX) {
                prop_assert_eq!(number(value), serde_json::to_string(&value).unwrap());
            }
        }

        #[test]
        fn text_is_escaped_as_json_wants_it(text in ".{0,12}", ascii in "[ -~]{0,12}") {
            for text in [text, ascii] {
                prop_assert_eq!(written(|out| write_string(out, &text)), serde_json::to_string(&text).unwrap());
            }
        }

        #[test]
        fn a_second_has_the_decimals_that_it_needs(nanos in 0..=i64::MAX) {
            for nanos in [nanos, nanos / 1_000 * 1_000, nanos / NS_PER_S * NS_PER_S] {
                let timestamp = Timestamp::from_nanos(nanos).unwrap();
                let whole = format!("{}.{:09}", nanos / NS_PER_S, nanos % NS_PER_S);
                let text = written(|out| write_timestamp(out, timestamp, TimestampFormat::Seconds));
                prop_assert_eq!(text, whole.trim_end_matches('0').trim_end_matches('.'));
            }
        }
    }
}
