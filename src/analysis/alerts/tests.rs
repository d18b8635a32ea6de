//! Exact expectations of when rules fire, and move rules against a window that keeps every tick.

use proptest::prelude::*;

use super::*;
use crate::analysis::price_move::CLOCK_RESET_TICKS;
use crate::model::{Price, Timestamp};

const SECOND_NS: i64 = 1_000_000_000;

fn alerts(rules: &[&str]) -> Alerts {
    Alerts::new(rules.iter().map(|text| text.parse().unwrap()).collect())
}

fn tick(symbol: &str, price: f64, time_ns: i64) -> TickView<'_> {
    TickView {
        symbol: Name::new(symbol).unwrap(),
        price: Price::new(price).unwrap(),
        timestamp: Timestamp::from_nanos(time_ns).unwrap(),
        size: None,
        seq: None,
        source: None,
    }
}

/// Rules that fire at each of several ticks of one symbol, one second apart.
fn fired(rules: &[&str], prices: &[f64]) -> Vec<Vec<usize>> {
    let mut alerts = alerts(rules);
    let come = |(second, price): (usize, &f64)| {
        let time_ns = (second as i64 + 1) * SECOND_NS;
        alerts.update(&tick("AAPL", *price, time_ns), Duration::ZERO).to_vec()
    };
    prices.iter().enumerate().map(come).collect()
}

/// Seconds at which the only rule fires.
fn seconds(rule: &str, prices: &[f64]) -> Vec<usize> {
    let all = fired(&[rule], prices);
    (0..all.len()).filter(|second| !all[*second].is_empty()).collect()
}

#[test]
fn a_level_fires_when_crossed_and_again_after_the_price_was_back() {
    let prices = [189.0, 190.0, 190.5, 191.0, 190.0, 190.5, 189.0, 190.0];
    assert_eq!(seconds("AAPL > 190", &prices), [2, 5]);
    assert_eq!(seconds("AAPL >= 190", &prices), [1, 7]);
    assert_eq!(seconds("AAPL < 190", &prices), [0, 6]);
    assert_eq!(seconds("AAPL <= 190", &prices), [0, 4, 6]);
    // The first price beyond the level fires once.
    assert_eq!(seconds("AAPL > 100", &prices), [0]);
    assert_eq!(seconds("MSFT > 100", &prices), [0_usize; 0]);
    assert_eq!(fired(&["AAPL > 190", "* >= 190", "MSFT > 1"], &prices[..3]), [vec![], vec![1], vec![0]]);
}

#[test]
fn a_move_fires_once_per_window() {
    // 100 to 102 takes two seconds, 103 to 106 takes three; 104 to 106 is less than 2 %.
    let rise = [100.0, 101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 107.0, 108.0];
    assert_eq!(seconds("AAPL moves 2% in 3s", &rise), [2, 6]);
    assert_eq!(seconds("AAPL moves 2% in 2s", &rise), [2]);
    assert_eq!(seconds("AAPL moves 2% in 1s", &rise), [0_usize; 0]);
    let fall = [100.0, 99.0, 98.0, 98.0, 98.0, 98.0];
    assert_eq!(seconds("AAPL moves 2% in 3s", &fall), [2]);
    assert_eq!(seconds("AAPL moves 2 in 3s", &fall), [2]);
    assert_eq!(seconds("AAPL moves 2.01 in 3s", &fall), [0_usize; 0]);
    // The tick at which the rule fired must leave the window before it fires again.
    let tremble = [100.0, 103.0, 100.0, 103.0, 100.0, 103.0, 100.0, 103.0, 100.0, 103.0];
    assert_eq!(seconds("AAPL moves 2% in 3s", &tremble), [1, 5, 9]);
    // A move from zero has no percentage; percentages of negative prices refer to the price before the move.
    assert_eq!(seconds("AAPL moves 50% in 9s", &[0.0, 5.0]), [0_usize; 0]);
    assert_eq!(seconds("AAPL moves 50% in 9s", &[-10.0, -6.0, -5.0]), [2]);
    assert_eq!(seconds("AAPL moves 1e300 in 9s", &[-1.7e308, 1.7e308]), [1]);
}

#[test]
fn silence_is_reported_once_and_ended_by_a_tick() {
    let mut alerts = alerts(&["SPY stale 10s", "* stale 30s"]);
    let s = Duration::from_secs;
    let stale = |alerts: &mut Alerts, now| {
        let fired = alerts.check_stale(s(now)).into_iter();
        fired
            .map(|(rule, symbol, tick)| (rule, symbol.to_string(), tick.map(|tick| tick.price.get())))
            .collect::<Vec<_>>()
    };
    // Silence before the subscription is live does not count.
    assert!(stale(&mut alerts, 100).is_empty());
    alerts.start_watching(s(100));
    assert!(stale(&mut alerts, 109).is_empty());
    assert_eq!(stale(&mut alerts, 110), [(0, "SPY".into(), None)]);
    assert!(stale(&mut alerts, 129).is_empty());
    assert_eq!(stale(&mut alerts, 130), [(1, "SPY".into(), None)]);
    // A symbol that no rule names is watched from its first tick on.
    alerts.update(&tick("QQQ", 7.0, 5), s(140));
    alerts.update(&tick("SPY", 168.5, 5), s(141));
    alerts.start_watching(s(149));
    assert_eq!(stale(&mut alerts, 151), [(0, "SPY".into(), Some(168.5))]);
    assert_eq!(stale(&mut alerts, 500), [(1, "SPY".into(), Some(168.5)), (1, "QQQ".into(), Some(7.0))]);
    assert!(stale(&mut alerts, 1_000).is_empty());
    assert_eq!(alerts.counts(), [2, 3]);
    // A clock reading slightly in the past is not a silence.
    alerts.update(&tick("SPY", 168.5, 5), s(2_000));
    assert!(stale(&mut alerts, 1_900).is_empty());
}

#[test]
fn rules_for_all_symbols_apply_to_each_of_a_bounded_number() {
    let mut alerts = alerts(&["* > 10", "LAST > 10", "* moves 5 in 1s"]);
    for number in 0..WATCHED_SYMBOLS_MAX + 5 {
        let name = format!("S{number}");
        let fired = alerts.update(&tick(&name, 11.0, 1), Duration::ZERO).len();
        assert_eq!(fired, usize::from(number < WATCHED_SYMBOLS_MAX - 1), "{number}");
    }
    assert_eq!(alerts.update(&tick("LAST", 11.0, 1), Duration::ZERO), [0, 1]);
    assert_eq!(alerts.update(&tick("LAST", 16.0, 1), Duration::ZERO), [2]);
    assert_eq!(alerts.counts(), [WATCHED_SYMBOLS_MAX as u64, 1, 1]);
    assert_eq!((alerts.unwatched(), alerts.thinned()), (6, 0));
}

/// Reference for move rules that checks every tick of the window.
struct Plain {
    size: MoveSize,
    length_ns: i64,
    ticks: Vec<(i64, f64)>,
    newest_ns: Option<i64>,
    outdated: u32,
    fired_ns: Option<i64>,
}

impl Plain {
    fn update(&mut self, time_ns: i64, price: f64) -> bool {
        let newest = self.newest_ns.map_or(time_ns, |newest| newest.max(time_ns));
        if time_ns < newest - self.length_ns {
            self.outdated += 1;
            if self.outdated == CLOCK_RESET_TICKS {
                (self.ticks, self.newest_ns, self.fired_ns, self.outdated) =
                    (vec![(time_ns, price)], Some(time_ns), None, 0);
            }
            return false;
        }
        (self.newest_ns, self.outdated) = (Some(newest), 0);
        self.ticks.push((time_ns, price));
        self.ticks.retain(|(t, _)| *t >= newest - self.length_ns);
        let lowest = self.ticks.iter().map(|(_, price)| *price).fold(f64::INFINITY, f64::min);
        let highest = self.ticks.iter().map(|(_, price)| *price).fold(f64::NEG_INFINITY, f64::max);
        let rests = self.fired_ns.is_some_and(|fired_ns| newest - fired_ns <= self.length_ns);
        let enough = match self.size {
            MoveSize::Absolute(size) => (price - lowest).max(highest - price) >= size,
            MoveSize::Percent(percent) => {
                (lowest != 0.0 && (price - lowest) * 100.0 >= percent * lowest.abs())
                    || (highest != 0.0 && (highest - price) * 100.0 >= percent * highest.abs())
            }
        };
        if enough && !rests {
            self.fired_ns = Some(newest);
        }
        enough && !rests
    }
}

proptest! {
    #[test]
    fn moves_fire_exactly_as_with_a_window_of_all_ticks(
        length_ns in 1_i64..200,
        size in prop_oneof![(1_u8..12).prop_map(f64::from), 0.1_f64..20.0],
        percent: bool,
        steps in prop::collection::vec((0_i64..20, -3_i32..=3, prop_oneof![8 => Just(0_i64), 1 => 0_i64..400]), 1..400),
        jumps in prop::collection::vec((any::<prop::sample::Index>(), -5_000_i64..5_000), 0..3),
    ) {
        let rule = format!("AAPL moves {size}{} in 1s", if percent { "%" } else { "" });
        let mut alerts = alerts(&[&rule]);
        // A rule's text cannot express nanoseconds, so the window is replaced.
        let (length, Condition::Move { size, .. }) = (length_ns, alerts.rules()[0].condition()) else { panic!() };
        let State::Move { window, .. } = &mut alerts.watches[0].rules[0].1 else { panic!("it is a move") };
        **window = Window::new(length);
        let mut plain = Plain { size, length_ns, ticks: Vec::new(), newest_ns: None, outdated: 0, fired_ns: None };
        let (mut time_ns, mut price) = (10_000, 20.0);
        let jump_at = |index: usize| {
            jumps.iter().filter(|(at, _)| at.index(steps.len()) == index).map(|(_, by)| *by).sum::<i64>()
        };
        for (index, &(later, up, late)) in steps.iter().enumerate() {
            time_ns = (time_ns + later + jump_at(index)).max(500);
            price += f64::from(up);
            let fires = !alerts.update(&tick("AAPL", price, time_ns - late), Duration::ZERO).is_empty();
            prop_assert_eq!(fires, plain.update(time_ns - late, price), "tick {}", index);
        }
        prop_assert_eq!(alerts.thinned(), 0);
    }
}
