//! Lowest and highest price in a moving window of event time.

use std::collections::VecDeque;

/// Maximum number of prices remembered on either side. Only prices that may still become the lowest (or highest) are
/// kept: one for each step of the price between the extreme and the newest one, a few dozen as a rule, and this many if
/// the price only rises through as many steps. At 16 bytes each, 64 kB per side.
///
/// Beyond it, prices that lie closest together are dropped and counted. The remaining ones are all from the window, so
/// no false move is reported; a move may be missed by less than a five-hundredth of the distance between lowest and
/// highest price.
pub const EXTREMES_MAX: usize = 4_096;

/// Number of consecutive ticks, all older than the window, after which the window starts anew: the clock of the feed
/// was reset, as where a replay starts over. Fewer are late ticks.
pub const CLOCK_RESET_TICKS: u32 = 16;

/// Returns whether the first price is more extreme than the second.
type Beats = fn(f64, f64) -> bool;

/// Prices that are or may become the extreme of a moving window: no later one beats them, so they are sorted by time
/// and by price (a monotonic queue). Each tick is added and removed at most once.
#[derive(Debug)]
struct Extremes {
    beats: Beats,
    candidates: VecDeque<(i64, f64)>,
    thinned: u64,
}

impl Extremes {
    const fn new(beats: Beats) -> Self {
        Self { beats, candidates: VecDeque::new(), thinned: 0 }
    }

    fn add(&mut self, time_ns: i64, price: f64) {
        let at = match self.candidates.back() {
            Some((newest_ns, _)) if time_ns < *newest_ns => self.candidates.partition_point(|(t, _)| *t <= time_ns),
            _ => self.candidates.len(),
        };
        if self.candidates.get(at).is_some_and(|(_, later)| !(self.beats)(price, *later)) {
            return;
        }
        // Earlier candidates that leave the window first and are not more extreme.
        let beaten =
            self.candidates.range(..at).rev().take_while(|(_, earlier)| !(self.beats)(*earlier, price)).count();
        if at == self.candidates.len() {
            self.candidates.truncate(at - beaten);
            self.candidates.push_back((time_ns, price));
        } else {
            self.candidates.drain(at - beaten..at);
            self.candidates.insert(at - beaten, (time_ns, price));
        }
        if self.candidates.len() > EXTREMES_MAX {
            self.thin();
        }
    }

    /// Removes each candidate for which a later one is a close substitute, less extreme by only a small part of the
    /// range of all candidates.
    fn thin(&mut self) {
        let before = self.candidates.len();
        let (Some((_, first)), Some((_, last))) = (self.candidates.front(), self.candidates.back()) else { return };
        let step = (last - first).abs() / (EXTREMES_MAX / 2) as f64;
        let (mut kept, mut next) = (VecDeque::with_capacity(before), f64::NAN);
        for &(time_ns, price) in self.candidates.iter().rev() {
            if next.is_nan() || (next - price).abs() >= step {
                kept.push_front((time_ns, price));
                next = price;
            }
        }
        self.candidates = kept;
        self.thinned += (before - self.candidates.len()) as u64;
    }

    fn remove_before(&mut self, time_ns: i64) {
        while self.candidates.pop_front_if(|(t, _)| *t < time_ns).is_some() {}
    }

    fn extreme(&self) -> Option<f64> {
        self.candidates.front().map(|(_, price)| *price)
    }
}

/// Extremes of the ticks in the last `length_ns` up to the newest one, both ends included.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) length_ns: i64,
    /// Event time of the newest tick.
    pub(super) newest_ns: Option<i64>,
    lowest: Extremes,
    highest: Extremes,
    /// Number of consecutive ticks that were older than the window.
    outdated: u32,
}

/// Result of adding a tick to a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum WindowUpdate {
    /// The tick is in the window, which has these extremes.
    Inside {
        /// Lowest price, including the tick.
        lowest: f64,
        /// Highest price, including the tick.
        highest: f64,
    },
    /// The tick is older than the window.
    Outside,
    /// The tick starts a window: it is the first one, or the clock of the feed was reset.
    First,
}

impl Window {
    pub(super) fn new(length_ns: i64) -> Self {
        let (lowest, highest) = (Extremes::new(|a, b| a < b), Extremes::new(|a, b| a > b));
        Self { length_ns, newest_ns: None, lowest, highest, outdated: 0 }
    }

    /// Adds a tick in amortised constant time; a tick that is not the newest costs a search and a move.
    pub(super) fn add(&mut self, time_ns: i64, price: f64) -> WindowUpdate {
        let newest_ns = self.newest_ns.map_or(time_ns, |newest| newest.max(time_ns));
        let oldest_ns = newest_ns.saturating_sub(self.length_ns);
        let mut is_first = self.newest_ns.is_none();
        if time_ns < oldest_ns {
            self.outdated += 1;
            if self.outdated < CLOCK_RESET_TICKS {
                return WindowUpdate::Outside;
            }
            self.lowest.candidates.clear();
            self.highest.candidates.clear();
            self.newest_ns = Some(time_ns);
            is_first = true;
        } else {
            self.newest_ns = Some(newest_ns);
            self.lowest.remove_before(oldest_ns);
            self.highest.remove_before(oldest_ns);
        }
        self.outdated = 0;
        self.lowest.add(time_ns, price);
        self.highest.add(time_ns, price);
        match (self.lowest.extreme(), self.highest.extreme()) {
            (Some(lowest), Some(highest)) if !is_first => WindowUpdate::Inside { lowest, highest },
            _ => WindowUpdate::First,
        }
    }

    /// Number of prices within the window that were dropped.
    pub(super) fn thinned(&self) -> u64 {
        self.lowest.thinned + self.highest.thinned
    }
}

#[cfg(test)]
mod tests {
    use crate::analysis::price_move::*;

    #[test]
    fn a_window_holds_both_its_ends() {
        let mut window = Window::new(60);
        assert_eq!(window.add(100, 5.0), WindowUpdate::First);
        assert_eq!(window.add(160, 7.0), WindowUpdate::Inside { lowest: 5.0, highest: 7.0 });
        assert_eq!(window.add(161, 6.0), WindowUpdate::Inside { lowest: 6.0, highest: 7.0 });
        // A late tick counts if it is in the window.
        assert_eq!(window.add(102, 9.0), WindowUpdate::Inside { lowest: 6.0, highest: 9.0 });
        assert_eq!(window.add(100, 99.0), WindowUpdate::Outside);
        assert_eq!(window.add(162, 6.5), WindowUpdate::Inside { lowest: 6.0, highest: 9.0 });
        assert_eq!(window.add(163, 6.5), WindowUpdate::Inside { lowest: 6.0, highest: 7.0 });
    }

    #[test]
    fn a_clock_that_was_put_back_begins_a_new_window_and_a_single_late_tick_does_not() {
        let mut window = Window::new(10);
        window.add(1_000, 1.0);
        for _ in 0..3 {
            for late in 1..CLOCK_RESET_TICKS {
                assert_eq!(window.add(i64::from(late), 5.0), WindowUpdate::Outside);
            }
            assert_eq!(window.add(1_000, 1.0), WindowUpdate::Inside { lowest: 1.0, highest: 1.0 });
        }
        for late in 1..CLOCK_RESET_TICKS {
            assert_eq!(window.add(i64::from(late), 5.0), WindowUpdate::Outside);
        }
        assert_eq!(window.add(20, 4.0), WindowUpdate::First);
        assert_eq!(window.add(21, 5.0), WindowUpdate::Inside { lowest: 4.0, highest: 5.0 });
        assert_eq!(window.newest_ns, Some(21));
        assert_eq!(window.add(i64::MAX, 5.0), WindowUpdate::Inside { lowest: 5.0, highest: 5.0 });
        assert_eq!(window.add(i64::MIN, 5.0), WindowUpdate::Outside);
    }

    #[test]
    fn a_price_that_only_rises_keeps_a_bounded_number_of_prices_and_stays_close_to_the_truth() {
        let length = 100_000;
        let mut window = Window::new(length);
        for time in 0..3 * length {
            // Rises in steps of three sizes.
            let price = |time: i64| (time + time / 7 * 3 + time / 1_000 * 50) as f64;
            let WindowUpdate::Inside { lowest, highest } = window.add(time, price(time)) else { continue };
            let truth = price((time - length).max(0));
            assert!((0.0..=(highest - truth) / 500.0).contains(&(lowest - truth)), "{time}: {lowest} for {truth}");
            assert_eq!(highest, price(time));
            assert!(window.lowest.candidates.len() <= EXTREMES_MAX && window.highest.candidates.len() == 1);
        }
        assert!(window.thinned() > 0);
    }
}
