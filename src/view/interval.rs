//! How long a bar is.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What one bar of a candle chart stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BarInterval {
    /// So many seconds: a divisor of a day, so that bars begin at round times of day; 86,400 is a calendar day.
    Seconds(u32),
    /// So many ticks.
    Ticks(u32),
}

/// Why a text is no bar interval.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("bars are auto, a time from 1s to 1d that divides a day, such as 5m, or a number of ticks such as 100t")]
pub struct BarIntervalError;

const DAY_S: u32 = 86_400;

/// Most ticks in a bar.
const TICKS_MAX: u32 = 1_000_000;

impl FromStr for BarInterval {
    type Err = BarIntervalError;

    fn from_str(text: &str) -> Result<Self, BarIntervalError> {
        let text = text.trim();
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).ok_or(BarIntervalError)?);
        let number: u32 = digits.parse().map_err(|_| BarIntervalError)?;
        let seconds = match unit {
            "t" if (1..=TICKS_MAX).contains(&number) => return Ok(Self::Ticks(number)),
            "s" => Some(number),
            "m" => number.checked_mul(60),
            "h" => number.checked_mul(3_600),
            "d" => number.checked_mul(DAY_S),
            _ => None,
        };
        let divides_a_day = |seconds: &u32| *seconds > 0 && DAY_S.is_multiple_of(*seconds);
        seconds.filter(divides_a_day).map(Self::Seconds).ok_or(BarIntervalError)
    }
}

impl fmt::Display for BarInterval {
    /// `5 min`, `100 ticks`: as titles have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ticks(n) => write!(f, "{n} ticks"),
            Self::Seconds(s) if s.is_multiple_of(DAY_S) => write!(f, "{} d", s / DAY_S),
            Self::Seconds(s) if s.is_multiple_of(3_600) => write!(f, "{} h", s / 3_600),
            Self::Seconds(s) if s.is_multiple_of(60) => write!(f, "{} min", s / 60),
            Self::Seconds(s) => write!(f, "{s} s"),
        }
    }
}
