//! Fast path for ticks in the canonical form: default keys in the documented order, plain numbers, plain strings,
//! either without spaces (as our producer and `JSON.stringify` write them) or with one space after each `:` and `,` (as
//! Python's `json.dumps` does); alone or in an array.
//!
//! The fast path only accepts. Anything that differs is left to the general path, so that one place decides about
//! rejections and their reasons. Property tests check that both give the same result, bit for bit.
//!
//! Text is examined eight bytes at a time, as an integer whose lowest byte is the first character. Carries of the
//! additions and subtractions that search for a character propagate upwards only, so the first match is always correct.

#![expect(clippy::inline_always, reason = "called one by one, these would cost a third more; benches/decode.rs")]

use crate::model::number::unit_exponent;
use crate::model::tick_view::short_word;
use crate::model::{FUTURE_NS_MAX, Name, Price, SOURCE_BYTES_MAX, SYMBOL_BYTES_MAX, TickView, Timestamp};

/// One function reads both kinds of names.
const _: () = assert!(SOURCE_BYTES_MAX == SYMBOL_BYTES_MAX);

/// Integers up to here are exact in an `f64`, and so are the powers of ten below; their quotient is correctly rounded
/// (W. D. Clinger, "How to Read Floating Point Numbers Accurately", PLDI 1990).
const EXACT_MANTISSA_MAX: u64 = 1 << 53;

const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Maximum number of digits that are certain to fit a `u64`.
const DIGITS_MAX: usize = 19;

const POWERS: [u64; 10] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// Bytes in a word.
const WORD: usize = 8;

/// A word of eight equal bytes.
const fn splat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; WORD])
}

const HIGH_BITS: u64 = splat(0x80);

/// Number of bytes before the first one that is marked by its high bit; 8 if none is.
const fn before(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

/// Marks the bytes that end a plain string: quotes, backslashes, control characters and non-ASCII bytes.
pub(super) const fn string_ends(word: u64) -> u64 {
    let quotes = (word ^ splat(b'"')).wrapping_sub(splat(1));
    let backslashes = (word ^ splat(b'\\')).wrapping_sub(splat(1));
    let controls = word.wrapping_sub(splat(b' '));
    (quotes | backslashes | controls | word) & HIGH_BITS
}

/// Marks the bytes that are not digits; exact in every byte.
const fn non_digits(word: u64) -> u64 {
    let digits = word ^ splat(b'0');
    (((digits & !HIGH_BITS) + splat(0x80 - 10)) | digits) & HIGH_BITS
}

/// Value of eight digits, the first one lowest: combines pairs, then fours, then all.
const fn eight_digits(word: u64) -> u64 {
    let digits = word & splat(0x0f);
    let pairs = (digits.wrapping_mul(10)).wrapping_add(digits >> 8);
    let even = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(100 + (1_000_000 << 32));
    let odd = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(1 + (10_000 << 32));
    even.wrapping_add(odd) >> 32
}

/// Value of the first `count` digits of a word, with `count` below 8. Shifts the digits to the end, with zeros before
/// them.
const fn few_digits(word: u64, count: usize) -> u64 {
    eight_digits(word << 1 << (63 - 8 * count))
}

/// Number without sign and exponent: its digits as an integer, and how many of them are before and after the point.
struct Number {
    mantissa: u64,
    integer_digits: usize,
    fraction_digits: usize,
}

impl Number {
    fn to_f64(&self) -> Option<f64> {
        let power = EXACT_POWERS.get(self.fraction_digits)?;
        (self.mantissa <= EXACT_MANTISSA_MAX).then(|| self.mantissa as f64 / power)
    }

    fn to_nanos(&self) -> Option<u64> {
        let unit_digits = unit_exponent(self.integer_digits as i32) as usize;
        // The general path rounds digits finer than a nanosecond.
        let power = POWERS.get(unit_digits.checked_sub(self.fraction_digits)?)?;
        self.mantissa.checked_mul(*power)
    }
}

/// Text that remains to be read.
#[derive(Clone, Copy)]
pub(super) struct Scan<'a>(pub(super) &'a [u8]);

impl<'a> Scan<'a> {
    #[inline(always)]
    fn eat<const N: usize>(&mut self, literal: &[u8; N]) -> Option<()> {
        let (found, rest) = self.0.split_first_chunk()?;
        if found != literal {
            return None;
        }
        self.0 = rest;
        Some(())
    }

    /// Takes `count` bytes if there are as many.
    #[inline(always)]
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline(always)]
    fn peek(self) -> u8 {
        self.0.first().copied().unwrap_or_default()
    }

    /// The next eight bytes, with zeros after the end of the text.
    #[inline(always)]
    pub(super) fn word(self) -> u64 {
        self.0.first_chunk().map_or_else(|| short_word(self.0), |word| u64::from_le_bytes(*word))
    }

    /// Reads the rest of a plain string, up to the byte that ends it.
    #[inline(always)]
    fn name(&mut self) -> Option<Name<'a>> {
        let ends = string_ends(self.word());
        if ends != 0 {
            return Name::from_ascii(self.take(before(ends))?);
        }
        self.long_name()
    }

    fn long_name(&mut self) -> Option<Name<'a>> {
        let mut ahead = *self;
        let mut length = 0;
        while length <= SYMBOL_BYTES_MAX {
            let ends = string_ends(ahead.word());
            length += before(ends);
            if ends != 0 {
                return Name::from_ascii(self.take(length)?);
            }
            ahead.take(WORD)?;
        }
        None
    }

    /// Reads a number that may be negative.
    #[inline(always)]
    pub(super) fn decimal(&mut self) -> Option<f64> {
        if self.eat(b"-").is_some() { self.magnitude().map(|value| -value) } else { self.magnitude() }
    }

    /// Reads a number that is not negative.
    #[inline(always)]
    pub(super) fn magnitude(&mut self) -> Option<f64> {
        let word = self.word();
        let ends = non_digits(word);
        let (integer_digits, end) = (before(ends), before(ends & ends.wrapping_sub(1)));
        if integer_digits == 0 || (integer_digits > 1 && word as u8 == b'0') {
            return None;
        }
        // Numbers that end within the word have so few digits that the result is always exact.
        if integer_digits < WORD && (word >> (8 * integer_digits)) as u8 != b'.' {
            self.take(integer_digits)?;
            return Some(few_digits(word, integer_digits) as i64 as f64);
        }
        if end == WORD {
            return self.long_number()?.to_f64();
        }
        let fraction_digits = end - integer_digits - 1;
        if fraction_digits == 0 {
            return None;
        }
        self.take(end)?;
        // Removes the point, so that all digits are adjacent.
        let integer = (1 << (8 * integer_digits)) - 1;
        let digits = (word & integer) | ((word >> 8) & !integer);
        Some(few_digits(digits, end - 1) as i64 as f64 / EXACT_POWERS[fraction_digits % WORD])
    }

    /// Reads an integer.
    #[inline(always)]
    fn integer(&mut self) -> Option<u64> {
        let word = self.word();
        let count = before(non_digits(word));
        if count == WORD || count == 0 || word as u8 == b'0' {
            let number = self.long_number()?;
            return (number.fraction_digits == 0).then_some(number.mantissa);
        }
        self.take(count)?;
        Some(few_digits(word, count))
    }

    /// Reads an instant, ns. Nearly all are seconds: ten digits, with or without decimals.
    #[inline(always)]
    pub(super) fn nanos(&mut self) -> Option<u64> {
        let high = self.word();
        let low = Scan(self.0.get(WORD..).unwrap_or_default()).word();
        if non_digits(high) != 0 || before(non_digits(low)) != 2 || high as u8 == b'0' {
            return self.long_number()?.to_nanos();
        }
        self.take(10)?;
        let tens = u64::from(low as u8 & 0x0f) * 10 + u64::from((low >> 8) as u8 & 0x0f);
        let nanos = (eight_digits(high) * 100 + tens) * POWERS[9];
        if (low >> 16) as u8 != b'.' {
            return Some(nanos);
        }
        self.take(1)?;
        let fraction = self.word();
        let count = before(non_digits(fraction));
        self.take(count)?;
        if count < WORD {
            return if count == 0 { None } else { Some(nanos + few_digits(fraction, count) * POWERS[9 - count]) };
        }
        let last = self.peek().wrapping_sub(b'0');
        let nanos = nanos + eight_digits(fraction) * 10;
        if last > 9 {
            return Some(nanos);
        }
        self.take(1)?;
        Some(nanos + u64::from(last))
    }

    /// Reads a number of any length.
    fn long_number(&mut self) -> Option<Number> {
        let (number, rest) = self.read_long_number()?;
        self.0 = rest;
        Some(number)
    }

    /// Works on a copy, so that the caller keeps its text in registers.
    #[inline(never)]
    fn read_long_number(mut self) -> Option<(Number, &'a [u8])> {
        let leading_zero = self.peek() == b'0';
        let mut mantissa = 0;
        let integer_digits = self.digits(&mut mantissa)?;
        if integer_digits == 0 || (leading_zero && integer_digits > 1) {
            return None;
        }
        let mut fraction_digits = 0;
        if self.eat(b".").is_some() {
            fraction_digits = self.digits(&mut mantissa)?;
            if fraction_digits == 0 {
                return None;
            }
        }
        let fits = integer_digits + fraction_digits <= DIGITS_MAX;
        fits.then_some((Number { mantissa, integer_digits, fraction_digits }, self.0))
    }

    /// Appends digits to `mantissa` and returns their number; `None` if there are too many.
    #[inline(always)]
    fn digits(&mut self, mantissa: &mut u64) -> Option<usize> {
        let mut length = 0;
        while length <= DIGITS_MAX {
            let word = self.word();
            let count = before(non_digits(word));
            self.take(count)?;
            length += count;
            if count < WORD {
                *mantissa = mantissa.wrapping_mul(POWERS[count]).wrapping_add(few_digits(word, count));
                return Some(length);
            }
            *mantissa = mantissa.wrapping_mul(POWERS[WORD]).wrapping_add(eight_digits(word));
        }
        None
    }

    /// Reads one tick, if it is not later than `latest_ns`.
    #[inline(always)]
    fn tick<const SPACED: bool>(&mut self, latest_ns: u64) -> Option<TickView<'a>> {
        if SPACED { self.eat(b"{\"symbol\": \"") } else { self.eat(b"{\"symbol\":\"") }?;
        let symbol = self.name()?;
        if SPACED { self.eat(b"\", \"price\": ") } else { self.eat(b"\",\"price\":") }?;
        let price = Price::new(self.decimal()?)?;
        if SPACED { self.eat(b", \"timestamp\": ") } else { self.eat(b",\"timestamp\":") }?;
        let nanos = self.nanos().filter(|nanos| *nanos <= latest_ns)?;
        let timestamp = Timestamp::from_nanos(nanos as i64)?;
        let (mut size, mut seq, mut source) = (None, None, None);
        if self.peek() != b'}' {
            if if SPACED { self.eat(b", \"size\": ") } else { self.eat(b",\"size\":") }.is_some() {
                size = Some(self.magnitude()?);
            }
            if if SPACED { self.eat(b", \"seq\": ") } else { self.eat(b",\"seq\":") }.is_some() {
                seq = Some(self.integer()?);
            }
            if if SPACED { self.eat(b", \"source\": \"") } else { self.eat(b",\"source\":\"") }.is_some() {
                source = Some(self.name()?);
                self.eat(b"\"")?;
            }
        }
        self.eat(b"}")?;
        Some(TickView { symbol, price, timestamp, size, seq, source })
    }
}

/// The latest instant that a reader accepts at the time `now`.
fn latest_ns(now: Timestamp) -> u64 {
    now.as_nanos().saturating_add(FUTURE_NS_MAX).unsigned_abs()
}

/// Reads `text` if it is one tick in the canonical form and acceptable at the time `now`.
#[inline]
pub(super) fn read(text: &[u8], now: Timestamp) -> Option<TickView<'_>> {
    let latest_ns = latest_ns(now);
    let mut scan = Scan(text);
    let tick = match text.get(10) {
        Some(b' ') => scan.tick::<true>(latest_ns),
        _ => scan.tick::<false>(latest_ns),
    }?;
    scan.0.is_empty().then_some(tick)
}

/// Calls `sink` with the ticks of an array, in order, as long as they are in the canonical form.
///
/// # Errors
///
/// Returns the number of ticks passed to `sink` before the first deviation from the form.
pub(super) fn read_array<'a>(text: &'a [u8], now: Timestamp, mut sink: impl FnMut(TickView<'a>)) -> Result<(), usize> {
    // The general path rejects a message that is not UTF-8 as a whole, not only from the invalid byte on.
    if !text.starts_with(b"[{") || !text.is_ascii() {
        return Err(0);
    }
    let latest_ns = latest_ns(now);
    let spaced = text.get(11) == Some(&b' ');
    let mut scan = Scan(&text[1..]);
    let mut count = 0_usize;
    loop {
        let tick = if spaced { scan.tick::<true>(latest_ns) } else { scan.tick::<false>(latest_ns) };
        sink(tick.ok_or(count)?);
        count += 1;
        if scan.0 == b"]" {
            return Ok(());
        }
        scan.eat(b",").ok_or(count)?;
        if spaced {
            scan.eat(b" ").ok_or(count)?;
        }
    }
}
