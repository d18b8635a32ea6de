//! Pacing: due times of ticks, computed in integers from the start, so that neither rounding errors nor drift
//! accumulate.

use std::time::Duration;

use thiserror::Error;

use crate::model::Timestamp;

const NS_PER_S: u128 = 1_000_000_000;

/// Maximum rate, in ticks per second: one per nanosecond, the resolution of the clock.
const RATE_MAX_PER_S: u64 = 1_000_000_000;

/// Maximum speed of a replay: a day takes less than a tenth of a second. `max` is unpaced.
const SPEED_MAX: f64 = 1_000_000.0;

/// Speeds are stored in millionths.
const SPEED_UNIT: f64 = 1_000_000.0;

/// Number of ticks per second, above zero; exact to a billionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    nanohertz: u64,
}

/// Reason why a rate is invalid.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RateError {
    /// The text is not a number.
    #[error("a rate is a number of ticks a second, such as 1000 or 0.5")]
    Malformed,
    /// The rate is zero, negative or too small to represent.
    #[error("a rate is above zero; for as fast as Redis takes it, use --interval 0 instead")]
    NotPositive,
    /// The rate is above one tick per nanosecond.
    #[error("a rate cannot exceed 1,000,000,000 ticks a second; for as fast as Redis takes it, use --interval 0")]
    TooHigh,
}

impl Rate {
    /// Ticks per second.
    pub fn per_second(self) -> f64 {
        self.nanohertz as f64 / NS_PER_S as f64
    }
}

impl std::str::FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let text = text.trim();
        // Integers are parsed first, because a float would round their nanohertz.
        let nanohertz = if let Ok(whole) = text.parse::<u64>() {
            whole.min(RATE_MAX_PER_S + 1).saturating_mul(1_000_000_000)
        } else {
            let rate: f64 = text.parse().map_err(|_| RateError::Malformed)?;
            if rate.is_nan() {
                return Err(RateError::Malformed);
            }
            // `as` saturates negative and large values.
            (rate * NS_PER_S as f64).round() as u64
        };
        match nanohertz {
            0 => Err(RateError::NotPositive),
            n if n > RATE_MAX_PER_S * 1_000_000_000 => Err(RateError::TooHigh),
            nanohertz => Ok(Self { nanohertz }),
        }
    }
}

/// Number of recorded seconds per second of replay, above zero; exact to a millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    millionths: u64,
}

/// Error of parsing a text that is not a speed.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "a speed is a number above 0 and up to 1,000,000, such as 1, 60 or 0.5 (seconds of the recording a second), or max"
)]
pub struct SpeedError;

impl Speed {
    /// The recorded speed.
    pub const ONE: Self = Self { millionths: 1_000_000 };
}

impl std::str::FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Self, SpeedError> {
        let text = text.trim();
        let factor: f64 = text.strip_suffix(['x', 'X']).unwrap_or(text).parse().map_err(|_| SpeedError)?;
        let millionths = (factor * SPEED_UNIT).round();
        if factor <= SPEED_MAX && millionths >= 1.0 {
            Ok(Self { millionths: millionths as u64 })
        } else {
            Err(SpeedError)
        }
    }
}

/// Due times of an endless sequence of ticks: tick `n`, from 0, is due `floor(n / round) * period` after the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Number of ticks that are due at the same time.
    round: u64,
    /// The period between rounds is `period_num / period_den` nanoseconds.
    period_num: u128,
    period_den: u128,
}

impl Schedule {
    /// `round` ticks at once in every `interval`; `None` if either is zero.
    pub fn rounds(interval: Duration, round: u64) -> Option<Self> {
        let positive = !interval.is_zero() && round > 0;
        // A period below 2^64 keeps products with a 64-bit number of ticks below 2^128.
        let period_num = u128::from(u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX));
        positive.then_some(Self { round, period_num, period_den: 1 })
    }

    /// Single ticks at `rate`.
    pub fn rate(rate: Rate) -> Self {
        Self { round: 1, period_num: NS_PER_S * NS_PER_S, period_den: u128::from(rate.nanohertz) }
    }

    /// Due time of tick `n`, from 0, after the start.
    pub fn due(&self, n: u64) -> Duration {
        let rounds = u128::from(n / self.round);
        duration_from_nanos(rounds * self.period_num / self.period_den)
    }

    /// Number of ticks that are due at `elapsed` after the start or earlier.
    pub fn due_by(&self, elapsed: Duration) -> u64 {
        // floor(r * num / den) <= e  <=>  r * num < (e + 1) * den
        let elapsed_ns = elapsed.as_nanos().min(u128::from(u64::MAX));
        let rounds = ((elapsed_ns + 1) * self.period_den - 1) / self.period_num + 1;
        u64::try_from(rounds).unwrap_or(u64::MAX).saturating_mul(self.round)
    }

    /// Average number of ticks per second.
    pub fn per_second(&self) -> f64 {
        self.round as f64 * self.period_den as f64 * NS_PER_S as f64 / self.period_num as f64
    }
}

/// Due times of a replay: each tick is due as long after the start as it was recorded after the first one, divided by
/// the speed.
#[derive(Debug, Clone, Copy)]
pub struct Playback {
    first: Timestamp,
    speed: Speed,
}

impl Playback {
    /// Starts with the tick that was recorded at `first`.
    pub fn new(first: Timestamp, speed: Speed) -> Self {
        Self { first, speed }
    }

    /// Due time, after the start, of a tick recorded at `recorded`. Ticks from before the first one are due at once.
    pub fn due(&self, recorded: Timestamp) -> Duration {
        let since_first_ns = i128::from(recorded.as_nanos()) - i128::from(self.first.as_nanos());
        let since_first_ns = u128::try_from(since_first_ns).unwrap_or(0);
        duration_from_nanos(since_first_ns * 1_000_000 / u128::from(self.speed.millionths))
    }
}

fn duration_from_nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use crate::sources::pacing::*;
    use proptest::prelude::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn a_billion_ticks_later_nothing_has_drifted() {
        let schedule = Schedule::rate(rate("1000"));
        assert_eq!(schedule.due(1_000_000_000), Duration::from_secs(1_000_000));
        // The period, 1/3 of a second, has no finite decimal form.
        let thirds = Schedule::rate(rate("3"));
        assert_eq!(thirds.due(1), Duration::from_nanos(333_333_333));
        assert_eq!(thirds.due(2), Duration::from_nanos(666_666_666));
        assert_eq!(thirds.due(3_000_000_000), Duration::from_secs(1_000_000_000));
        let slow = Schedule::rate(rate("0.1"));
        assert_eq!(slow.due(1_000_000), Duration::from_secs(10_000_000));
        let rounds = Schedule::rounds(Duration::from_millis(250), 3).unwrap();
        assert_eq!(rounds.due(2), Duration::ZERO);
        assert_eq!(rounds.due(3), Duration::from_millis(250));
        assert_eq!(rounds.due(3_000_000_002), Duration::from_secs(250_000_000));
        assert_eq!(Schedule::rounds(Duration::MAX, 1).unwrap().due(u64::MAX), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn a_minute_holds_exactly_what_was_asked() {
        // Number of ticks that are due before the minute is over.
        let within = |schedule: Schedule| schedule.due_by(Duration::from_mins(1) - Duration::from_nanos(1));
        for per_second in [1, 3, 7, 10, 999, 1_000, 33_333, 1_000_000, 999_999_937] {
            assert_eq!(within(Schedule::rate(rate(&per_second.to_string()))), per_second * 60, "{per_second}/s");
        }
        assert_eq!(within(Schedule::rounds(Duration::from_secs(1), 3).unwrap()), 180);
        assert_eq!(within(Schedule::rounds(Duration::from_millis(250), 5).unwrap()), 1_200);
    }

    #[test]
    fn rates_and_speeds_are_read_or_refused() {
        assert_eq!(rate("2.5"), Rate { nanohertz: 2_500_000_000 });
        assert_eq!(rate(" 1e6 "), rate("1000000"));
        assert_eq!(rate("1000000000"), Rate { nanohertz: 1_000_000_000_000_000_000 });
        for (text, error) in [
            ("", RateError::Malformed),
            ("NaN", RateError::Malformed),
            ("fast", RateError::Malformed),
            ("0", RateError::NotPositive),
            ("-5", RateError::NotPositive),
            ("-inf", RateError::NotPositive),
            ("1e-300", RateError::NotPositive),
            ("1000000001", RateError::TooHigh),
            ("18446744073709551615", RateError::TooHigh),
            ("inf", RateError::TooHigh),
            ("1e300", RateError::TooHigh),
        ] {
            assert_eq!(text.parse::<Rate>(), Err(error), "{text}");
        }
        assert_eq!("1".parse(), Ok(Speed::ONE));
        assert_eq!("60x".parse(), Ok(Speed { millionths: 60_000_000 }));
        assert_eq!("0.25".parse(), Ok(Speed { millionths: 250_000 }));
        for text in ["", "0", "-1", "NaN", "inf", "1e300", "1e-9", "max"] {
            assert_eq!(text.parse::<Speed>(), Err(SpeedError), "{text}");
        }
    }

    #[test]
    fn a_playback_keeps_the_recorded_distances() {
        let at = |ms: i64| Timestamp::from_nanos(1_381_132_800_464_000_000 + ms * 1_000_000).unwrap();
        let playback = Playback::new(at(0), "60".parse().unwrap());
        assert_eq!(playback.due(at(0)), Duration::ZERO);
        assert_eq!(playback.due(at(60_000)), Duration::from_secs(1));
        assert_eq!(playback.due(at(-5)), Duration::ZERO);
        assert_eq!(Playback::new(at(0), Speed::ONE).due(at(86_400_000)), Duration::from_hours(24));
        let widest = Playback::new(Timestamp::default(), "0.000001".parse().unwrap());
        assert_eq!(widest.due(Timestamp::from_nanos(i64::MAX).unwrap()), Duration::from_nanos(u64::MAX));
    }

    proptest! {
        #[test]
        fn due_and_due_by_agree(
            nanohertz in 1u64..=1_000_000_000_000_000_000,
            n in 0u64..2_000_000_000,
            k in 1u64..50,
        ) {
            for schedule in [
                Schedule::rate(Rate { nanohertz }),
                Schedule::rounds(Duration::from_nanos(nanohertz), k).unwrap(),
            ] {
                let due = schedule.due(n);
                if due < Duration::from_nanos(u64::MAX) {
                    prop_assert!(schedule.due_by(due) > n, "tick {n} is due at its own moment");
                    let before = due.checked_sub(Duration::from_nanos(1));
                    prop_assert!(before.is_none_or(|before| schedule.due_by(before) <= n), "and no earlier");
                }
                prop_assert!(schedule.due(n + 1) >= due);
            }
        }
    }
}
