//! The JSON form in which our own producer writes a tick.

use std::io::Write;

use crate::model::{NS_PER_S, Tick, Timestamp};

/// How a timestamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampFormat {
    /// Seconds, with as many decimals as the instant needs, up to nine.
    #[default]
    Seconds,
    /// Whole milliseconds.
    Millis,
    /// Whole microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
    /// `"2013-10-07T13:30:00.25Z"`.
    Rfc3339,
}

/// Whole numbers up to here are exact in an `f64` and are written without a decimal point.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Appends `tick` to `out` as one JSON object: symbol, price and timestamp first, then what is known of size, seq and
/// source. Readers see the same price bits that `tick` holds.
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
        put(out, format_args!(",\"seq\":{seq}"));
    }
    if let Some(source) = &tick.source {
        out.extend_from_slice(b",\"source\":");
        write_string(out, source);
    }
    out.push(b'}');
}

/// Formats into a vector.
fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // A vector takes every write: there is no error to handle.
    let _ = out.write_fmt(text);
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    // Serialising a string into a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}

fn write_number(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() < EXACT_INTEGER_MAX && !(value == 0.0 && value.is_sign_negative()) {
        put(out, format_args!("{}", value as i64));
    } else {
        // Finite by construction, so this writes the shortest digits that read back to the same bits.
        let _ = serde_json::to_writer(out, &value);
    }
}

fn write_timestamp(out: &mut Vec<u8>, timestamp: Timestamp, format: TimestampFormat) {
    let nanos = timestamp.as_nanos();
    match format {
        TimestampFormat::Seconds => {
            put(out, format_args!("{}", nanos / NS_PER_S));
            let (mut fraction, mut digits) = (nanos % NS_PER_S, 9);
            if fraction > 0 {
                while fraction % 10 == 0 {
                    fraction /= 10;
                    digits -= 1;
                }
                put(out, format_args!(".{fraction:0digits$}"));
            }
        }
        TimestampFormat::Millis => put(out, format_args!("{}", nanos / 1_000_000)),
        TimestampFormat::Micros => put(out, format_args!("{}", nanos / 1_000)),
        TimestampFormat::Nanos => put(out, format_args!("{nanos}")),
        TimestampFormat::Rfc3339 => match jiff::Timestamp::from_nanosecond(i128::from(nanos)) {
            Ok(instant) => put(out, format_args!("\"{instant}\"")),
            // Every i64 of nanoseconds lies within jiff's range; digits are the honest fallback.
            Err(_) => put(out, format_args!("{nanos}")),
        },
    }
}
