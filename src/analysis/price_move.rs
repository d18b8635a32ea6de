//! The lowest and the highest price of the last so many seconds of event time, kept up to date tick by tick.

use std::collections::VecDeque;

/// Most prices remembered to either side. Only prices that may yet become the lowest (or highest) are: as many as there
/// are steps of the price between the extreme and the newest one, a few dozen as a rule, and this many in a window in
/// which the price has done nothing but rise through as many steps. At 16 bytes, 64 kB a side.
///
/// Neighbor, those that lie closest together are forgotten, and counted. What is left is still of the window, so that no
/// move is told that was not; one may be missed by less than a five-hundredth of the distance between the lowest and
/// the highest price.
pub const EXTREMES_MAX: usize = 4_096;

/// So many ticks in a row, all older than the window, mean that the clock of the feed was put back, as where a
/// recording starts over: the window begins anew. Fewer are late ticks.
pub const CLOCK_RESET_TICKS: u32 = 16;

/// Which price of two is the more extreme one.
type Beats = fn(f64, f64) -> bool;

/// Prices that are or may yet become the extreme of a window that moves on: each is beaten by no later one. So they are
/// sorted by time, and by price with the extreme one first. Each tick is added once and dropped once at most.
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
        // From here back, those that the new one outlasts and that are no more extreme.
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

    /// Forgets each candidate that a later one is a fair stand-in for: one that is less extreme by no more than a small
    /// part of the distance between all of them.
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

    fn forget_before(&mut self, time_ns: i64) {
        while self.candidates.pop_front_if(|(t, _)| *t < time_ns).is_some() {}
    }

    fn extreme(&self) -> Option<f64> {
        self.candidates.front().map(|(_, price)| *price)
    }
}

/// The ticks of the last `length_ns` up to the newest one (both ends included), of which only the extremes are kept.
#[derive(Debug)]
pub(super) struct Window {
    length_ns: i64,
    newest_ns: Option<i64>,
    lowest: Extremes,
    highest: Extremes,
    /// Ticks in a row that were older than the window.
    outdated: u32,
}

/// What a tick was to a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Seen {
    /// In it, with these extremes, itself included.
    Inside {
        /// Lowest price.
        lowest: f64,
        /// Highest price.
        highest: f64,
    },
    /// Older than it.
    Outside,
    /// The first of a new one: the very first, or the feed's clock was put back.
    First,
}

impl Window {
    pub(super) fn new(length_ns: i64) -> Self {
        let (lowest, highest) = (Extremes::new(|a, b| a < b), Extremes::new(|a, b| a > b));
        Self { length_ns, newest_ns: None, lowest, highest, outdated: 0 }
    }

    /// Takes in a tick, in amortised constant time; one that is not the newest costs a search and a move.
    pub(super) fn add(&mut self, time_ns: i64, price: f64) -> Seen {
        let newest_ns = self.newest_ns.map_or(time_ns, |newest| newest.max(time_ns));
        let oldest_ns = newest_ns.saturating_sub(self.length_ns);
        let mut is_first = self.newest_ns.is_none();
        if time_ns < oldest_ns {
            self.outdated += 1;
            if self.outdated < CLOCK_RESET_TICKS {
                return Seen::Outside;
            }
            self.lowest.candidates.clear();
            self.highest.candidates.clear();
            self.newest_ns = Some(time_ns);
            is_first = true;
        } else {
            self.newest_ns = Some(newest_ns);
            self.lowest.forget_before(oldest_ns);
            self.highest.forget_before(oldest_ns);
        }
        self.outdated = 0;
        self.lowest.add(time_ns, price);
        self.highest.add(time_ns, price);
        match (self.lowest.extreme(), self.highest.extreme()) {
            (Some(lowest), Some(highest)) if !is_first => Seen::Inside { lowest, highest },
            _ => Seen::First,
        }
    }

    /// How far it reaches back from the newest tick, ns.
    pub(super) fn length_ns(&self) -> i64 {
        self.length_ns
    }

    /// Event time of the newest tick.
    pub(super) fn newest_ns(&self) -> Option<i64> {
        self.newest_ns
    }

    /// Prices that were forgotten although they were in the window.
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
        assert_eq!(window.add(100, 5.0), Seen::First);
        assert_eq!(window.add(160, 7.0), Seen::Inside { lowest: 5.0, highest: 7.0 });
        assert_eq!(window.add(161, 6.0), Seen::Inside { lowest: 6.0, highest: 7.0 });
        // A late one that is still in it counts, and one that is not does not.
        assert_eq!(window.add(102, 9.0), Seen::Inside { lowest: 6.0, highest: 9.0 });
        assert_eq!(window.add(100, 99.0), Seen::Outside);
        assert_eq!(window.add(162, 6.5), Seen::Inside { lowest: 6.0, highest: 9.0 });
        assert_eq!(window.add(163, 6.5), Seen::Inside { lowest: 6.0, highest: 7.0 });
    }

    #[test]
    fn a_clock_that_was_put_back_begins_a_new_window_and_a_single_late_tick_does_not() {
        let mut window = Window::new(10);
        window.add(1_000, 1.0);
        for _ in 0..3 {
            for late in 1..CLOCK_RESET_TICKS {
                assert_eq!(window.add(i64::from(late), 5.0), Seen::Outside);
            }
            assert_eq!(window.add(1_000, 1.0), Seen::Inside { lowest: 1.0, highest: 1.0 });
        }
        for late in 1..CLOCK_RESET_TICKS {
            assert_eq!(window.add(i64::from(late), 5.0), Seen::Outside);
        }
        assert_eq!(window.add(20, 4.0), Seen::First);
        assert_eq!(window.add(21, 5.0), Seen::Inside { lowest: 4.0, highest: 5.0 });
        assert_eq!(window.newest_ns(), Some(21));
        assert_eq!(window.add(i64::MAX, 5.0), Seen::Inside { lowest: 5.0, highest: 5.0 });
        assert_eq!(window.add(i64::MIN, 5.0), Seen::Outside);
    }

    #[test]
    fn a_price_that_only_rises_keeps_a_bounded_number_of_prices_and_stays_close_to_the_truth() {
        let length = 100_000;
        let mut window = Window::new(length);
        for time in 0..3 * length {
            // In steps of three sizes.
            let price = |time: i64| (time + time / 7 * 3 + time / 1_000 * 50) as f64;
            let Seen::Inside { lowest, highest } = window.add(time, price(time)) else { continue };
            let truth = price((time - length).max(0));
            assert!((0.0..=(highest - truth) / 500.0).contains(&(lowest - truth)), "{time}: {lowest} for {truth}");
            assert_eq!(highest, price(time));
            assert!(window.lowest.candidates.len() <= EXTREMES_MAX && window.highest.candidates.len() == 1);
        }
        assert!(window.thinned() > 0);
    }
}
