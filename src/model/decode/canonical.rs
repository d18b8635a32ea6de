//! The short way for ticks in their usual form: the fields in the contract's order, plain numbers, plain strings, with
//! or without a space after `:` and `,` (as Python's `json.dumps` and our own producer write them).
//!
//! It only ever says yes. Whatever looks different in the least is left to the general reader, so that there is one
//! place that decides what is rejected and why; a property test holds the two against each other, bit for bit.

use compact_str::CompactString;

use crate::model::{FUTURE_NS_MAX, Price, SOURCE_BYTES_MAX, Symbol, Tick, Timestamp};

/// Integers up to here are exact in an `f64`, and so are the powers of ten below: their quotient is the correctly
/// rounded value (Clinger, "How to Read Floating Point Numbers Accurately", PLDI 1990).
const EXACT_MANTISSA_MAX: u64 = 1 << 53;

const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// More digits than this might not fit a `u64`.
const DIGITS_MAX: usize = 19;

/// Nanoseconds in a unit, by the number of its integer digits; see `parse_timestamp`.
const fn unit_ns(integer_digits: usize) -> i64 {
    match integer_digits {
        ..=11 => 1_000_000_000,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    }
}

/// A number without exponent: its digits as an integer, and how many of them stand before and behind the point.
struct Number {
    negative: bool,
    mantissa: u64,
    integer_digits: usize,
    fraction_digits: usize,
}

impl Number {
    fn to_f64(&self) -> Option<f64> {
        let power = EXACT_POWERS.get(self.fraction_digits)?;
        if self.mantissa > EXACT_MANTISSA_MAX {
            return None;
        }
        let value = self.mantissa as f64 / power;
        Some(if self.negative { -value } else { value })
    }

    fn to_timestamp(&self) -> Option<Timestamp> {
        if self.negative || self.fraction_digits > 9 {
            return None;
        }
        let unit = unit_ns(self.integer_digits);
        let power = 10_i64.pow(self.fraction_digits as u32);
        // Finer than a nanosecond: the general reader rounds.
        if unit % power != 0 {
            return None;
        }
        let nanos = i64::try_from(self.mantissa).ok()?.checked_mul(unit / power)?;
        Timestamp::from_nanos(nanos)
    }
}

/// What is left to read.
struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    fn eat(&mut self, literal: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    fn eat_space(&mut self) {
        if let [b' ', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// `, "key": ` with or without the spaces; `key` holds its quotes and colon. Nothing is taken if it is not there.
    fn key(&mut self, key: &[u8]) -> Option<()> {
        let mut ahead = Self { rest: self.rest };
        ahead.eat(b",")?;
        ahead.eat_space();
        ahead.eat(key)?;
        ahead.eat_space();
        self.rest = ahead.rest;
        Some(())
    }

    /// A string of printable ASCII without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.eat(b"\"")?;
        let length =
            self.rest.iter().position(|&byte| byte == b'"' || !matches!(byte, b' '..=b'~') || byte == b'\\')?;
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest.strip_prefix(b"\"")?;
        std::str::from_utf8(text).ok()
    }

    /// Digits appended to `mantissa`, and how many.
    fn digits(&mut self, mantissa: &mut u64) -> usize {
        let mut count = 0;
        for &byte in self.rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 || count > DIGITS_MAX {
                break;
            }
            *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
        }
        self.rest = &self.rest[count..];
        count
    }

    fn number(&mut self) -> Option<Number> {
        let negative = self.rest.first() == Some(&b'-');
        if negative {
            self.rest = &self.rest[1..];
        }
        let leading_zero = self.rest.first() == Some(&b'0');
        let mut mantissa = 0;
        let integer_digits = self.digits(&mut mantissa);
        if integer_digits == 0 || (leading_zero && integer_digits > 1) {
            return None;
        }
        let mut fraction_digits = 0;
        if let [b'.', rest @ ..] = self.rest {
            self.rest = rest;
            fraction_digits = self.digits(&mut mantissa);
            if fraction_digits == 0 {
                return None;
            }
        }
        if integer_digits + fraction_digits > DIGITS_MAX {
            return None;
        }
        Some(Number { negative, mantissa, integer_digits, fraction_digits })
    }
}

/// Reads `text` if it is one tick in its usual form and acceptable to a reader whose clock says `now`.
pub(super) fn read(text: &[u8], now: Timestamp) -> Option<Tick> {
    let mut scan = Scan { rest: text };
    scan.eat(b"{\"symbol\":")?;
    scan.eat_space();
    let symbol = Symbol::new(scan.string()?)?;
    scan.key(b"\"price\":")?;
    let price = Price::new(scan.number()?.to_f64()?)?;
    scan.key(b"\"timestamp\":")?;
    let timestamp = scan.number()?.to_timestamp()?;
    if timestamp.as_nanos() > now.as_nanos().saturating_add(FUTURE_NS_MAX) {
        return None;
    }
    let mut tick = Tick { symbol, price, timestamp, size: None, seq: None, source: None };
    if scan.key(b"\"size\":").is_some() {
        let size = scan.number()?;
        if size.negative {
            return None;
        }
        tick.size = Some(size.to_f64()?);
    }
    if scan.key(b"\"seq\":").is_some() {
        let seq = scan.number()?;
        if seq.negative || seq.fraction_digits > 0 {
            return None;
        }
        tick.seq = Some(seq.mantissa);
    }
    if scan.key(b"\"source\":").is_some() {
        let source = scan.string()?;
        if !(1..=SOURCE_BYTES_MAX).contains(&source.len()) {
            return None;
        }
        tick.source = Some(CompactString::new(source));
    }
    (scan.rest == b"}").then_some(tick)
}
