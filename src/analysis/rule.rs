//! Alert rules in text form: `AAPL > 190`, `AAPL moves 2% in 1m`, `SPY stale 10s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use thiserror::Error;

use crate::model::{SYMBOL_BYTES_MAX, Symbol, display_safe};

/// Longest duration in a rule: 100 years, well within 64 bits of nanoseconds.
const TIME_MAX: Duration = Duration::from_hours(100 * 366 * 24);

/// Symbols that a rule applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// One symbol.
    Symbol(Symbol),
    /// Every symbol, each on its own: `*`.
    All,
}

/// Side of the level on which a price fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

impl Relation {
    const WORDS: [(&'static str, Self); 4] =
        [(">", Self::Above), (">=", Self::AtLeast), ("<", Self::Below), ("<=", Self::AtMost)];

    /// Whether `price` lies on the far side of `level`.
    pub fn holds(self, price: f64, level: f64) -> bool {
        match self {
            Self::Above => price > level,
            Self::AtLeast => price >= level,
            Self::Below => price < level,
            Self::AtMost => price <= level,
        }
    }
}

/// Size of a move; finite and above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MoveSize {
    /// In percent of the price before the move.
    Percent(f64),
    /// In the unit of the price.
    Absolute(f64),
}

/// Condition under which a rule fires.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Condition {
    /// The price crosses a level.
    Level {
        /// Far side of the level.
        relation: Relation,
        /// The level; finite.
        level: f64,
    },
    /// The price moves up or down within a time.
    Move {
        /// Minimum size of the move.
        size: MoveSize,
        /// Maximum event time between the two prices.
        within: Duration,
    },
    /// No tick arrives for a time, by the reader's clock.
    Stale {
        /// Length of the silence.
        after: Duration,
    },
}

/// Alert rule. Displays as it was written, with single spaces, and is safe for a terminal.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    text: String,
    scope: Scope,
    condition: Condition,
}

/// Reason why a text is not a rule, with a correct example.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RuleError {
    /// The text is empty.
    #[error("a rule is a symbol and a condition, such as 'AAPL > 190', 'AAPL moves 2% in 1m' or 'SPY stale 10s'")]
    Empty,
    /// The text is a symbol alone, or has no space before the condition.
    #[error(
        "no condition after the symbol {0:?}; separate all parts by spaces, as in 'AAPL > 190', 'AAPL moves 2% in 1m' \
         or 'SPY stale 10s'"
    )]
    NoCondition(String),
    /// The symbol is one that no tick can have.
    #[error("{0:?} is not a symbol; a symbol has 1 to {SYMBOL_BYTES_MAX} bytes, and * stands for all of them")]
    Symbol(String),
    /// The second word is not a condition.
    #[error(
        "{0:?} is not a condition; conditions are > >= < <= (as in 'AAPL > 190'), moves ('AAPL moves 2% in 1m') and \
         stale ('SPY stale 10s')"
    )]
    Condition(String),
    /// The level is not a single finite number.
    #[error("{word:?} must be followed by one price, such as 'AAPL {word} 150.5'; found {rest:?}")]
    Level {
        /// Relation before the level.
        word: &'static str,
        /// Text after the relation.
        rest: String,
    },
    /// The move has no size or no time.
    #[error("{0:?} does not state a size and a time, such as 'AAPL moves 2% in 1m' or 'AAPL moves 1.5 in 10s'")]
    Move(String),
    /// The size of the move is not a positive number or percentage.
    #[error("{0:?} is not the size of a move; it must be a number or a percentage above 0, such as 1.5 or 2%")]
    MoveSize(String),
    /// The silence is not a single duration.
    #[error("\"stale\" must be followed by one duration, such as 'SPY stale 10s'; found {0:?}")]
    Stale(String),
    /// The duration is malformed or out of range.
    #[error("{0:?} is not a duration; it must be above 0 and at most 100 years, such as 10s, 1m or 1h30m")]
    Time(String),
}

impl Rule {
    /// Symbols that the rule applies to.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Condition under which the rule fires.
    pub fn condition(&self) -> Condition {
        self.condition
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    /// Parses `SYMBOL > PRICE` (also `>=`, `<`, `<=`), `SYMBOL moves SIZE in TIME` or `SYMBOL stale TIME`. The symbol
    /// may contain any characters but spaces; `*` stands for every symbol.
    ///
    /// # Errors
    ///
    /// Returns a [`RuleError`] that names the invalid part and shows a correct example.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (name, condition) = match words[..] {
            [] => return Err(RuleError::Empty),
            [name] => return Err(RuleError::NoCondition(name.to_owned())),
            [name, word, ref rest @ ..] => (name, parse_condition(word, rest)?),
        };
        let scope = match name {
            "*" => Scope::All,
            _ => Scope::Symbol(Symbol::new(name).ok_or_else(|| RuleError::Symbol(name.to_owned()))?),
        };
        Ok(Self { text: words.join(" "), scope, condition })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&display_safe(&self.text))
    }
}

fn parse_condition(word: &str, rest: &[&str]) -> Result<Condition, RuleError> {
    if let Some(&(word, relation)) = Relation::WORDS.iter().find(|(known, _)| *known == word) {
        let level = match rest {
            [number] => number.parse().ok().filter(|level: &f64| level.is_finite()),
            _ => None,
        };
        let level = level.ok_or_else(|| RuleError::Level { word, rest: rest.join(" ") })?;
        return Ok(Condition::Level { relation, level });
    }
    match (word, rest) {
        ("moves", [size, "in", time]) => Ok(Condition::Move { size: parse_size(size)?, within: parse_time(time)? }),
        ("moves", _) => Err(RuleError::Move(rest.join(" "))),
        ("stale", [time]) => Ok(Condition::Stale { after: parse_time(time)? }),
        ("stale", _) => Err(RuleError::Stale(rest.join(" "))),
        _ => Err(RuleError::Condition(word.to_owned())),
    }
}

fn parse_size(text: &str) -> Result<MoveSize, RuleError> {
    let (digits, of): (_, fn(f64) -> MoveSize) = match text.strip_suffix('%') {
        Some(digits) => (digits, MoveSize::Percent),
        None => (text, MoveSize::Absolute),
    };
    let size = digits.parse().ok().filter(|size: &f64| size.is_finite() && *size > 0.0);
    size.map(of).ok_or_else(|| RuleError::MoveSize(text.to_owned()))
}

/// Parses `10s`, `1m`, `1h30m`, `1d` (24 hours), or a number of seconds.
fn parse_time(text: &str) -> Result<Duration, RuleError> {
    let time = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        // Months and years have no fixed length and are rejected.
        Err(_) => text.parse::<Span>().ok().and_then(|span| {
            let time = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
            Duration::try_from(time).ok()
        }),
    };
    time.filter(|time| !time.is_zero() && *time <= TIME_MAX).ok_or_else(|| RuleError::Time(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    fn error(text: &str) -> String {
        text.parse::<Rule>().unwrap_err().to_string()
    }

    #[test]
    fn rules_are_read_as_they_are_meant() {
        let level = |relation, level| Condition::Level { relation, level };
        let (ten, minute) = (Duration::from_secs(10), Duration::from_mins(1));
        for (text, name, condition) in [
            ("AAPL > 190", "AAPL", level(Relation::Above, 190.0)),
            ("AAPL < 150.5", "AAPL", level(Relation::Below, 150.5)),
            ("CL=F >= -37.63", "CL=F", level(Relation::AtLeast, -37.63)),
            ("> <= 1e3", ">", level(Relation::AtMost, 1_000.0)),
            ("AAPL moves 2% in 1m", "AAPL", Condition::Move { size: MoveSize::Percent(2.0), within: minute }),
            ("A%B moves 1.5 in 10s", "A%B", Condition::Move { size: MoveSize::Absolute(1.5), within: ten }),
            ("moves moves .5% in 60", "moves", Condition::Move { size: MoveSize::Percent(0.5), within: minute }),
            ("  SPY\tstale   10s ", "SPY", Condition::Stale { after: ten }),
            ("SPY stale 1h30m", "SPY", Condition::Stale { after: Duration::from_mins(90) }),
        ] {
            let read = rule(text);
            assert_eq!(*read.scope(), Scope::Symbol(Symbol::new(name).unwrap()), "{text}");
            assert_eq!(read.condition(), condition, "{text}");
            assert_eq!(rule(&read.to_string()), read, "{text}");
        }
        assert_eq!(rule("  SPY\tstale   10s ").to_string(), "SPY stale 10s");
        assert_eq!(*rule("* > 1").scope(), Scope::All);
        assert_eq!(rule("A\u{1b}[31m > 1").to_string(), "A\\u{1b}[31m > 1");
    }

    #[test]
    fn mistakes_are_named_and_what_would_be_right() {
        for (text, said) in [
            ("", "a rule is a symbol and a condition, such as 'AAPL > 190'"),
            ("AAPL>190", "no condition after the symbol \"AAPL>190\"; separate all parts by spaces"),
            ("AAPL = 190", "\"=\" is not a condition; conditions are > >= < <="),
            ("AAPL moved 2% in 1m", "\"moved\" is not a condition"),
            ("AAPL >", "\">\" must be followed by one price, such as 'AAPL > 150.5'; found \"\""),
            ("AAPL >= 190 USD", "such as 'AAPL >= 150.5'; found \"190 USD\""),
            ("AAPL < NaN", "found \"NaN\""),
            ("AAPL < 1e999", "found \"1e999\""),
            ("AAPL moves 2%", "\"2%\" does not state a size and a time, such as 'AAPL moves 2% in 1m'"),
            ("AAPL moves 2 % in 1m", "\"2 % in 1m\" does not state a size"),
            ("AAPL moves 0% in 1m", "\"0%\" is not the size of a move; it must be a number or a percentage above 0"),
            ("AAPL moves -2 in 1m", "\"-2\" is not the size"),
            ("AAPL moves inf in 1m", "\"inf\" is not the size"),
            ("AAPL moves 2% in 1x", "\"1x\" is not a duration; it must be above 0"),
            ("AAPL moves 2% in 0s", "\"0s\" is not a duration"),
            ("AAPL moves 2% in 1mo", "\"1mo\" is not a duration"),
            ("AAPL stale", "\"stale\" must be followed by one duration, such as 'SPY stale 10s'; found \"\""),
            ("AAPL stale -1s", "\"-1s\" is not a duration"),
            ("AAPL stale 200000h0m 5", "found \"200000h0m 5\""),
            ("AAPL stale 1000000h", "\"1000000h\" is not a duration"),
            ("A\u{1b}[2J", "no condition after the symbol \"A\\u{1b}[2J\""),
        ] {
            assert!(error(text).contains(said), "{text:?}: {}", error(text));
        }
        assert!(error(&format!("{} > 1", "x".repeat(65))).contains("a symbol has 1 to 64 bytes, and * stands for all"));
    }
}
