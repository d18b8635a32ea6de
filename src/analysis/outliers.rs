//! Filter of bad prints: ticks whose price is far from where the symbol traded just before, and back at once.
//!
//! A price is compared with the median of the preceding prices, which a few outliers do not move: a causal form of the
//! running median filter (J. W. Tukey, "Exploratory Data Analysis", 1977; compare the Hampel filter), so that a tick is
//! judged when it arrives. Subsequent ticks tell a real jump of the market from a bad print: several ticks in a row
//! that agree on a new level are accepted, and the ticks after them are judged by it. The first ones of the new level
//! stay flagged.

use std::collections::HashMap;

use compact_str::CompactString;
use foldhash::fast::RandomState;
use thiserror::Error;

use crate::model::{NS_PER_S, TickView};

/// Number of prices whose median is compared: small, so that the filter follows a trend, and odd, so that one is in the
/// middle.
const WINDOW: usize = 15;

/// Minimum number of prices for a judgement, because a bad print among fewer could be the median.
const JUDGED_PRICES_MIN: usize = 5;

/// Number of consecutive outliers near each other that form a new level.
const LEVEL_TICKS: usize = 5;

/// After a pause of this event time, such as a night, earlier prices do not count.
const STALE_NS: i64 = 15 * 60 * NS_PER_S;

/// Maximum number of symbols, at about 600 bytes each; ticks of further ones are never outliers.
pub const FILTERED_SYMBOLS_MAX: usize = 65_536;

/// Maximum distance of a price from the median, as a fraction of the median, such as 0.05.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutlierLimit(f64);

/// Error of parsing a text that is not a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is a percentage from 0.01 to 1000, such as 5 or 5%")]
pub struct OutlierLimitError;

impl std::str::FromStr for OutlierLimit {
    type Err = OutlierLimitError;

    /// Parses a percentage such as "5%" or "5".
    ///
    /// # Errors
    ///
    /// Returns [`OutlierLimitError`] unless the text is a percentage from 0.01 to 1000.
    fn from_str(text: &str) -> Result<Self, OutlierLimitError> {
        let number = text.trim().strip_suffix('%').unwrap_or(text.trim()).trim_end();
        let percent: f64 = number.parse().map_err(|_| OutlierLimitError)?;
        if (0.01..=1_000.0).contains(&percent) { Ok(Self(percent / 100.0)) } else { Err(OutlierLimitError) }
    }
}

impl std::fmt::Display for OutlierLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Rounds, because 0.07 * 100 is not exactly 7.
        write!(f, "{}%", (self.0 * 1e8).round() / 1e6)
    }
}

impl OutlierLimit {
    /// Whether `price` is farther from `median` than allowed.
    fn is_off(self, price: f64, median: f64) -> bool {
        (price - median).abs() > self.0 * median.abs()
    }
}

/// Outlier filter for all symbols of a feed.
///
/// # Examples
///
/// ```
/// use tickscope::analysis::OutlierFilter;
/// use tickscope::model::{Price, Symbol, Tick, Timestamp};
///
/// let mut filter = OutlierFilter::new("5%".parse()?);
/// let mut is_outlier = |price| {
///     let (symbol, price) = (Symbol::new("AAPL").unwrap(), Price::new(price).unwrap());
///     let tick = Tick { symbol, price, timestamp: Timestamp::default(), size: None, seq: None, source: None };
///     filter.is_outlier(&tick.view())
/// };
/// assert!([100.0, 100.1, 99.9, 100.0, 100.2].into_iter().all(|price| !is_outlier(price)));
/// assert!(is_outlier(10.0));
/// # Ok::<(), tickscope::analysis::OutlierLimitError>(())
/// ```
#[derive(Debug)]
pub struct OutlierFilter {
    limit: OutlierLimit,
    symbols: HashMap<CompactString, RecentPrices, RandomState>,
}

impl OutlierFilter {
    /// Creates a filter without any prices.
    pub fn new(limit: OutlierLimit) -> Self {
        Self { limit, symbols: HashMap::default() }
    }

    /// Adds the next tick of its symbol and returns whether it is an outlier. Constant time, and constant memory per
    /// symbol.
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

/// Recent prices of a symbol.
#[derive(Debug, Default)]
struct RecentPrices {
    /// Newest event time, ns.
    newest_ns: i64,
    accepted: Window,
    /// Outliers since the last accepted price, as long as they are near each other.
    level_candidates: Window,
}

impl RecentPrices {
    fn is_outlier(&mut self, time_ns: i64, price: f64, limit: OutlierLimit) -> bool {
        if time_ns.saturating_sub(self.newest_ns) > STALE_NS {
            *self = Self::default();
        }
        self.newest_ns = self.newest_ns.max(time_ns);
        let is_off = self.accepted.len >= JUDGED_PRICES_MIN && limit.is_off(price, self.accepted.median());
        if !is_off {
            self.level_candidates = Window::default();
            self.accepted.push(price);
            return false;
        }
        // Only outliers that agree with the previous ones count towards a new level.
        if self.level_candidates.len > 0 && limit.is_off(price, self.level_candidates.median()) {
            self.level_candidates = Window::default();
        }
        self.level_candidates.push(price);
        if self.level_candidates.len < LEVEL_TICKS {
            return true;
        }
        self.accepted = std::mem::take(&mut self.level_candidates);
        false
    }
}

/// The last few prices, in order of arrival and sorted.
#[derive(Debug, Default)]
struct Window {
    arrived: [f64; WINDOW],
    sorted: [f64; WINDOW],
    len: usize,
    /// Index of the next price; that of the oldest one once the window is full.
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

    /// The median, or the lower of the two middle prices; 0 if the window is empty.
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

    /// Indices of the prices, of ticks one second apart, that are flagged.
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
        // Five outliers that disagree are not a level.
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
