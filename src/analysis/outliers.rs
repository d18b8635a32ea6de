//! Ticks whose price is a slip of the finger: far from what the symbol traded at just before, and back at once.
//!
//! A price is held against the median of the prices before it, which a few wild ones do not move: a causal form of the
//! usual median filter (J. W. Tukey, "Exploratory Data Analysis", 1977), so that a tick is judged the moment it comes.
//! A market that really jumps is told from a slip by what follows: when several ticks in a row agree on the new level,
//! it is taken for one, and the ticks after them are judged by it. Those that came first keep their flags.

use std::collections::HashMap;

use compact_str::CompactString;
use foldhash::fast::RandomState;
use thiserror::Error;

use crate::model::{NS_PER_S, TickView};

/// Prices whose median a new one is held against: few, so that the filter follows a trend, and odd, so that there is a
/// middle one.
const WINDOW: usize = 15;

/// With fewer prices than this nothing is judged: one slip among so few could be the median.
const JUDGED_FROM: usize = 5;

/// Ticks in a row that lie off the median and near each other are a new level.
const LEVEL_TICKS: usize = 5;

/// After a pause as long as this in event time, such as a night, old prices say nothing about the new one.
const STALE_NS: i64 = 15 * 60 * NS_PER_S;

/// Symbols that are watched at most, at some 600 bytes each; ticks of further ones are not judged.
pub const FILTERED_SYMBOLS_MAX: usize = 65_536;

/// How far from the median a price may lie: a share of it, such as 0.05.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutlierLimit(f64);

/// A text that is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is a percentage from 0.01 to 1000, such as 5 or 5%")]
pub struct OutlierLimitError;

impl std::str::FromStr for OutlierLimit {
    type Err = OutlierLimitError;

    /// Reads "5%" or "5".
    fn from_str(text: &str) -> Result<Self, OutlierLimitError> {
        let number = text.trim().strip_suffix('%').unwrap_or(text.trim()).trim_end();
        let percent: f64 = number.parse().map_err(|_| OutlierLimitError)?;
        if (0.01..=1_000.0).contains(&percent) { Ok(Self(percent / 100.0)) } else { Err(OutlierLimitError) }
    }
}

impl std::fmt::Display for OutlierLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // 0.07 * 100 is not quite 7.
        write!(f, "{}%", (self.0 * 1e8).round() / 1e6)
    }
}

impl OutlierLimit {
    /// Whether `price` lies further from `median` than allowed.
    fn is_off(self, price: f64, median: f64) -> bool {
        (price - median).abs() > self.0 * median.abs()
    }
}

/// One filter for all symbols of a feed.
#[derive(Debug)]
pub struct OutlierFilter {
    limit: OutlierLimit,
    symbols: HashMap<CompactString, Recent, RandomState>,
}

impl OutlierFilter {
    /// A filter that has seen nothing.
    pub fn new(limit: OutlierLimit) -> Self {
        Self { limit, symbols: HashMap::default() }
    }

    /// Whether a tick, the next one of its symbol to come, is an outlier. Constant time and memory a symbol.
    pub fn is_outlier(&mut self, tick: &TickView<'_>) -> bool {
        let (time_ns, price) = (tick.timestamp.as_nanos(), tick.price.get());
        let symbol = tick.symbol.as_str();
        if let Some(recent) = self.symbols.get_mut(symbol) {
            return recent.is_outlier(time_ns, price, self.limit);
        }
        if self.symbols.len() < FILTERED_SYMBOLS_MAX {
            let recent = self.symbols.entry(CompactString::new(symbol)).or_default();
            recent.is_outlier(time_ns, price, self.limit);
        }
        false
    }
}

/// The latest prices of a symbol.
#[derive(Debug, Default)]
struct Recent {
    /// Newest time, ns.
    newest_ns: i64,
    accepted: Window,
    /// The latest ticks, as far as they were all outliers.
    off: Window,
}

impl Recent {
    fn is_outlier(&mut self, time_ns: i64, price: f64, limit: OutlierLimit) -> bool {
        if time_ns.saturating_sub(self.newest_ns) > STALE_NS {
            *self = Self::default();
        }
        self.newest_ns = self.newest_ns.max(time_ns);
        let is_off = self.accepted.len >= JUDGED_FROM && limit.is_off(price, self.accepted.median());
        if !is_off {
            self.off = Window::default();
            self.accepted.push(price);
            return false;
        }
        // Only what agrees with the ones before it counts towards a new level.
        if self.off.len > 0 && limit.is_off(price, self.off.median()) {
            self.off = Window::default();
        }
        self.off.push(price);
        if self.off.len < LEVEL_TICKS {
            return true;
        }
        self.accepted = std::mem::take(&mut self.off);
        false
    }
}

/// The last few prices, in order of arrival and in order of size.
#[derive(Debug, Default)]
struct Window {
    arrived: [f64; WINDOW],
    sorted: [f64; WINDOW],
    len: usize,
    /// Where the next one goes; the oldest stands there once the window is full.
    next: usize,
}

impl Window {
    fn push(&mut self, price: f64) {
        if self.len == WINDOW {
            let oldest = self.arrived[self.next];
            let at = self.sorted.partition_point(|known| *known < oldest).min(WINDOW - 1);
            self.sorted.copy_within(at + 1.., at);
            self.len -= 1;
        }
        let at = self.sorted[..self.len].partition_point(|known| *known < price);
        self.sorted.copy_within(at..self.len, at + 1);
        self.sorted[at] = price;
        self.len += 1;
        self.arrived[self.next] = price;
        self.next = (self.next + 1) % WINDOW;
    }

    /// The middle one; the lower of two. 0 when empty.
    fn median(&self) -> f64 {
        self.sorted[self.len.saturating_sub(1) / 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Name, Price, Timestamp};
    use proptest::prelude::*;

    fn limit(text: &str) -> OutlierLimit {
        text.parse().unwrap()
    }

    /// Which of these ticks, a second apart, are flagged.
    fn flagged(limit_text: &str, prices: &[f64]) -> Vec<usize> {
        let mut filter = OutlierFilter::new(limit(limit_text));
        let is_outlier =
            |(at, price): (usize, &f64)| filter.is_outlier(&tick("A", at as i64 * NS_PER_S, *price)).then_some(at);
        prices.iter().enumerate().filter_map(is_outlier).collect()
    }

    fn tick(symbol: &str, time_ns: i64, price: f64) -> TickView<'_> {
        TickView {
            symbol: Name::new(symbol).unwrap(),
            price: Price::new(price).unwrap(),
            timestamp: Timestamp::from_nanos(time_ns).unwrap(),
            size: None,
            seq: None,
            source: None,
        }
    }

    #[test]
    fn a_slip_is_flagged_and_the_ticks_around_it_are_not() {
        let mut prices = vec![100.0; 20];
        (prices[10], prices[13]) = (1_000.0, 10.0);
        prices.extend([104.9, 105.2, 94.9]);
        assert_eq!(flagged("5%", &prices), [10, 13, 21, 22]);
    }

    #[test]
    fn a_real_jump_is_a_new_level_after_five_ticks_that_agree() {
        let mut prices = vec![100.0; 10];
        prices.extend([150.0, 150.5, 149.5, 150.2, 150.1, 150.3, 100.0]);
        assert_eq!(flagged("5%", &prices), [10, 11, 12, 13, 16]);
        // Five that do not agree are no level.
        let mut wild = vec![100.0; 10];
        wild.extend([150.0, 300.0, 150.0, 300.0, 150.0, 300.0, 100.0]);
        assert_eq!(flagged("5%", &wild), [10, 11, 12, 13, 14, 15]);
    }

    #[test]
    fn nothing_is_judged_by_too_few_prices_or_by_those_before_a_long_pause() {
        assert_eq!(flagged("5%", &[1.0, 100.0, 100.0, 100.0, 100.0, 100.0, 1.0]), [6]);
        let mut filter = OutlierFilter::new(limit("5"));
        for at_s in 0..10 {
            assert!(!filter.is_outlier(&tick("A", at_s * NS_PER_S, 100.0)));
        }
        assert!(filter.is_outlier(&tick("A", 10 * NS_PER_S, 200.0)));
        assert!(!filter.is_outlier(&tick("B", 10 * NS_PER_S, 200.0)), "symbols have nothing to do with each other");
        assert!(!filter.is_outlier(&tick("A", 10 * NS_PER_S + STALE_NS + 1, 200.0)), "a new day");
    }

    #[test]
    fn prices_below_zero_and_at_zero_have_their_level_too() {
        assert_eq!(flagged("5%", &[-37.0, -37.0, -37.0, -37.0, -37.0, -36.0, -37.5, 37.0, -37.0]), [7]);
        assert_eq!(flagged("5%", &[0.0, 0.0, 0.0, 0.0, 0.0, 0.01, 0.0]), [5], "a share of nothing is nothing");
    }

    #[test]
    fn a_limit_is_a_percentage() {
        for (text, shown) in [("5%", "5%"), (" 2.5 % ", "2.5%"), ("7", "7%"), ("0.01", "0.01%"), ("1000", "1000%")] {
            assert_eq!(limit(text).to_string(), shown);
        }
        for bad in ["", "%", "0", "-5", "1001", "nan", "inf", "5 x", "5%%"] {
            assert!(bad.parse::<OutlierLimit>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_window_has_the_median_of_the_last_prices(prices in prop::collection::vec(-3.0..3.0_f64, 1..60)) {
            let mut window = Window::default();
            for (at, price) in prices.iter().enumerate() {
                window.push(*price);
                let mut last: Vec<f64> = prices[..=at].iter().rev().take(WINDOW).copied().collect();
                last.sort_by(f64::total_cmp);
                prop_assert_eq!(window.median(), last[(last.len() - 1) / 2]);
            }
        }

        #[test]
        fn ticks_near_each_other_are_never_flagged(prices in prop::collection::vec(100.0..104.0_f64, 1..80)) {
            prop_assert_eq!(flagged("5%", &prices), Vec::<usize>::new());
        }
    }
}
