//! Bar intervals: length of a bar, and where bars begin.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::model::TimeSpan;

/// Length of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BarInterval {
    /// Seconds: a divisor of a day, so that bars begin at round times of day. 86,400 is a calendar day, and a multiple
    /// of it that many days.
    Seconds(u32),
    /// Number of ticks.
    Ticks(u32),
}

/// Error of parsing a bar interval.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("bars are auto, a time from 1s to 1d that divides a day, such as 5m, or a number of ticks such as 100t")]
pub struct BarIntervalError;

const DAY_S: u32 = 86_400;

/// Maximum number of ticks in a bar.
const TICKS_MAX: u32 = 1_000_000;

const NS_PER_S: i128 = 1_000_000_000;

/// Steps of time intervals.
const STEPS_S: [u32; 18] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, DAY_S];

/// Steps for spans of years: one week, four, a quarter, a year, ten and a hundred years, in whole weeks.
const LONG_STEPS_S: [u32; 6] = [7 * DAY_S, 28 * DAY_S, 91 * DAY_S, 364 * DAY_S, 3_640 * DAY_S, 36_400 * DAY_S];

/// Steps of tick intervals; those from 20,000 on are for months of history.
const STEPS_TICKS: [u32; 16] =
    [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, TICKS_MAX];

/// Minimum mean distance between two bars, pixels: a body and a space.
const BAR_PX_MIN: u32 = 3;

/// Preferred distance between two bars, pixels.
const BAR_PX_SUITED: f64 = 10.6;

/// Maximum number of bars of [`BarInterval::edges`]: the columns of the widest screen.
const BARS_MAX: u32 = 8_192;

/// Anchor of intervals of several days: weeks begin on Monday, and 1970-01-05 was one.
const MONDAY_NS: i128 = 4 * DAY_S as i128 * NS_PER_S;

/// Maximum number of clock changes in a bar: a hundred years of four a year (Morocco), with a margin.
const CHANGES_MAX: usize = 512;

impl BarInterval {
    /// Next shorter step (1s, 2s, 5s, 10s, 15s, 30s, 1m, ... 12h, 1d; or 10, 20, 50, ... ticks). The shortest one
    /// stays.
    #[must_use]
    pub fn finer(self) -> Self {
        let step = |ladder: &[u32], n: u32| ladder.iter().rev().find(|step| **step < n).copied().unwrap_or(n);
        match self {
            Self::Seconds(s) => Self::Seconds(step(&STEPS_S, s)),
            Self::Ticks(n) => Self::Ticks(step(&STEPS_TICKS, n)),
        }
    }

    /// Next longer step. The longest one (a day, a million ticks) stays.
    #[must_use]
    pub fn coarser(self) -> Self {
        let step = |ladder: &[u32], n: u32| ladder.iter().find(|step| **step > n).copied().unwrap_or(n);
        match self {
            Self::Seconds(s) => Self::Seconds(step(&STEPS_S, s)),
            Self::Ticks(n) => Self::Ticks(step(&STEPS_TICKS, n)),
        }
    }

    /// Time interval whose bars are nearest to ten pixels apart: 7 to 17, except where a second is too long or a day
    /// too short.
    pub fn automatic(span: TimeSpan, columns: u32) -> Self {
        let distance_px = |s: u32| f64::from(s) * 1e9 * f64::from(columns.max(1)) / span.len() as f64;
        let deviation = |s: u32| (distance_px(s) / BAR_PX_SUITED).ln().abs();
        let steps = || STEPS_S.into_iter().chain(LONG_STEPS_S);
        let best = steps().min_by(|a, b| deviation(*a).total_cmp(&deviation(*b)));
        Self::Seconds(best.unwrap_or(DAY_S))
    }

    /// This interval, or the first longer step whose bars are at least three pixels apart: a span of `columns` pixels
    /// has at most a third as many bars, and two that extend over its ends. Tick intervals stay, because their number
    /// is unknown here: see [`BarInterval::fitted_to_ticks`].
    #[must_use]
    pub fn fitted(self, span: TimeSpan, columns: u32) -> Self {
        match self {
            Self::Seconds(s) => Self::Seconds(fitting(s, span, (columns / BAR_PX_MIN).max(1))),
            Self::Ticks(_) => self,
        }
    }

    /// This interval, or the first longer step of which `ticks` ticks fill at most a third of `columns`. Time intervals
    /// stay.
    #[must_use]
    pub fn fitted_to_ticks(self, ticks: u64, columns: u32) -> Self {
        let Self::Ticks(n) = self else { return self };
        let bars = u64::from((columns / BAR_PX_MIN).max(1));
        let is_long_enough = |n: &u32| u64::from(*n).saturating_mul(bars) >= ticks;
        let longer = STEPS_TICKS.into_iter().filter(|step| *step > n);
        Self::Ticks(std::iter::once(n).chain(longer).find(is_long_enough).unwrap_or(TICKS_MAX))
    }

    /// Edges of bars, from the one that contains the start of the span to the one that contains its end: bar `i` is
    /// `[edges[i], edges[i + 1])`. Sorted, without duplicates; empty for tick intervals.
    ///
    /// A bar begins when the local time in `zone`, rounded down to whole intervals since midnight, changes. Bars of
    /// four hours begin at 0, 4, 8 o'clock on every day: one in which the clock goes forward lasts three hours, one in
    /// which it goes back lasts five. A day is a calendar day of 23, 24 or 25 hours. A repeated hour has separate bars
    /// if they are an hour or shorter. Intervals of several days are counted from Mondays.
    ///
    /// If more than 8,192 bars would fill the span, they are longer: see [`BarInterval::fitted`].
    pub fn edges(self, span: TimeSpan, zone: &TimeZone) -> Vec<i64> {
        let Self::Seconds(s) = self else { return Vec::new() };
        let grid = Grid::new(fitting(s, span, BARS_MAX));
        let (start, end) = (i128::from(span.start), i128::from(span.end));
        let (mut offset, mut change) = offset_and_change(zone, start);
        let mut edge = grid.bar_start(zone, start, offset);
        let mut edges = Vec::new();
        loop {
            edges.push(edge.clamp(i64::MIN.into(), i64::MAX.into()) as i64);
            if edge >= end {
                break;
            }
            // Clock changes within the bar either end it or move its end.
            let mut next = grid.next(edge.max(start), offset);
            while let Some((at, after)) = change.filter(|(at, _)| *at <= next) {
                let begins = grid.begins(at, offset, after);
                (offset, change) = offset_and_change(zone, at);
                if begins {
                    next = at;
                    break;
                }
                next = grid.next(at, offset);
            }
            edge = next;
        }
        edges.dedup();
        edges
    }
}

/// First step from `s` on of which at most `bars` fill the span.
fn fitting(s: u32, span: TimeSpan, bars: u32) -> u32 {
    let is_long_enough = |s: &u32| i128::from(*s) * NS_PER_S * i128::from(bars) >= span.len();
    let longer = STEPS_S.into_iter().chain(LONG_STEPS_S).filter(|step| *step > s);
    std::iter::once(s.max(1)).chain(longer).find(is_long_enough).unwrap_or(LONG_STEPS_S[LONG_STEPS_S.len() - 1])
}

/// An instant, clamped to the calendar's range, which is wider than that of `i64` nanoseconds.
fn instant(time: i128) -> Timestamp {
    Timestamp::from_nanosecond(time).unwrap_or(if time < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// Offset of local time from UTC at an instant, ns; and the next clock change, with the offset after it.
fn offset_and_change(zone: &TimeZone, time: i128) -> (i128, Option<(i128, i128)>) {
    let at = instant(time);
    let change = zone.following(at).next();
    let change = change.map(|change| (change.timestamp().as_nanosecond(), offset_ns(change.offset())));
    (offset_ns(zone.to_offset(at)), change.filter(|(at, _)| *at > time))
}

fn offset_ns(offset: jiff::tz::Offset) -> i128 {
    i128::from(offset.seconds()) * NS_PER_S
}

/// Division of local time into bars.
struct Grid {
    bar: i128,
    anchor: i128,
}

impl Grid {
    fn new(s: u32) -> Self {
        let anchor = if s > DAY_S { MONDAY_NS } else { 0 };
        Self { bar: i128::from(s) * NS_PER_S, anchor }
    }

    /// Number of the bar that contains an instant.
    fn number(&self, time: i128, offset: i128) -> i128 {
        (time + offset - self.anchor).div_euclid(self.bar)
    }

    /// Returns `true` if a clock change from one offset to another begins a bar: the bar's number changes, or the same
    /// bar begins again.
    fn begins(&self, at: i128, before: i128, after: i128) -> bool {
        let is_start = |offset: i128| (at + offset - self.anchor).rem_euclid(self.bar) == 0;
        self.number(at - 1, before) != self.number(at, after) || (is_start(before) && is_start(after))
    }

    /// Start of the bar after that of `time`, without clock changes.
    fn next(&self, time: i128, offset: i128) -> i128 {
        (self.number(time, offset) + 1) * self.bar + self.anchor - offset
    }

    /// Start of the bar that contains an instant, including clock changes since then.
    fn bar_start(&self, zone: &TimeZone, time: i128, offset: i128) -> i128 {
        let number = self.number(time, offset);
        let start = |offset: i128| number * self.bar + self.anchor - offset;
        let mut found = start(offset);
        for change in zone.preceding(instant(time + 1)).take(CHANGES_MAX) {
            let at = change.timestamp().as_nanosecond();
            if at <= found {
                break;
            }
            let (offset, _) = offset_and_change(zone, at - 1);
            if self.begins(at, offset, offset_ns(change.offset())) {
                return at;
            }
            found = start(offset);
        }
        found
    }
}

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
    /// `5 min`, `100 ticks`, as in titles.
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

#[cfg(test)]
mod tests;
