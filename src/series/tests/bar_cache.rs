//! Compares bars with brute force, and cached bars with freshly read ones, to the bit.

use proptest::prelude::*;

use super::{EVERYTHING, Oracle, Shape, make_ticks, push, shapes};
use crate::model::TimeSpan;
use crate::model::{Price, Timestamp};
use crate::series::{Bar, BarCache, HistoryLimits, MergedSeries, Placement, Series, SeriesTick};

/// Bar of ticks that are in order.
fn bar(ticks: &[SeriesTick], start_ns: i64, end_ns: i64, complete: bool) -> Option<Bar> {
    let (first, last) = (ticks.first()?, ticks.last()?);
    let pick = |better: fn(f64, f64) -> bool| {
        ticks.iter().map(|tick| tick.price).reduce(|best, price| if better(price, best) { price } else { best })
    };
    Some(Bar {
        start_ns,
        end_ns,
        open: first.price,
        high: pick(|price, best| price > best)?,
        low: pick(|price, best| price < best)?,
        close: last.price,
        volume: ticks.iter().filter_map(|tick| tick.size).sum::<f64>() + 0.0,
        count: ticks.len() as u64,
        complete,
    })
}

/// Bars of buckets of time; checks every tick for each bucket.
fn bars(oracle: &Oracle, edges: &[i64], until_ns: i64) -> Vec<Bar> {
    let one = |edges: &[i64]| {
        let is_inside = |tick: &&SeriesTick| (edges[0]..edges[1]).contains(&tick.time_ns) && tick.time_ns <= until_ns;
        let inside: Vec<SeriesTick> = oracle.ticks().iter().filter(is_inside).copied().collect();
        let complete = !oracle.evicted().iter().any(|tick| is_inside(&tick));
        bar(&inside, edges[0], edges[1], complete)
    };
    edges.windows(2).filter_map(one).collect()
}

/// Tick bars, counted from the first tick.
fn tick_bars(oracle: &Oracle, ticks: usize, span: TimeSpan, until_ns: i64, bars_max: usize) -> Vec<Bar> {
    let evicted = oracle.evicted().len();
    let mut all = [oracle.evicted(), oracle.ticks()].concat();
    all.retain(|tick| tick.time_ns <= until_ns);
    let mut found = Vec::new();
    for (number, part) in all.chunks(ticks).enumerate() {
        let first = number * ticks;
        let kept = &part[evicted.saturating_sub(first).min(part.len())..];
        let (Some(start), Some(last)) = (kept.first(), kept.last()) else { continue };
        let end_ns = all.get(first + ticks).map_or(last.time_ns, |next| next.time_ns);
        if start.time_ns < span.end && (last.time_ns >= span.start || end_ns > span.start) {
            found.extend(bar(kept, start.time_ns, end_ns, kept.len() == part.len()));
        }
    }
    found.drain(..found.len().saturating_sub(bars_max));
    found
}

/// Compares to the bit, because -0.0 equals 0.0.
pub(super) fn bits(bars: &[Bar]) -> Vec<(i64, i64, [u64; 5], u64, bool)> {
    let one = |bar: &Bar| {
        let numbers = [bar.open, bar.high, bar.low, bar.close, bar.volume].map(f64::to_bits);
        (bar.start_ns, bar.end_ns, numbers, bar.count, bar.complete)
    };
    bars.iter().map(one).collect()
}

fn push_all(series: &mut Series, ticks: &[SeriesTick]) {
    for &tick in ticks {
        push(series, tick);
    }
}

/// Event between two frames.
#[derive(Debug, Clone)]
enum Step {
    /// Appends this many ticks.
    Ticks(usize),
    /// The view moves by that many bars.
    Pan(i64),
    /// The bars get another length.
    Width(i64),
    /// The end of the view moves to the newest tick.
    Follow,
    /// The chart is paused that long before the newest tick; `None` resumes it.
    Pause(Option<i64>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop_oneof![0_usize..40, 500_usize..3_000].prop_map(Step::Ticks),
        2 => (-15_i64..15).prop_map(Step::Pan),
        1 => prop_oneof![1_i64..20, 100_i64..30_000].prop_map(Step::Width),
        3 => Just(Step::Follow),
        1 => prop_oneof![Just(None), (-10_i64..2_000).prop_map(Some)].prop_map(Step::Pause),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn time_bars_equal_brute_force_cached_or_not(
        shape in shapes(),
        late_ns_max in prop_oneof![Just(0_i64), Just(50), Just(20_000)],
        ticks_max in prop_oneof![Just(usize::MAX), 1_usize..4_000],
        age_ns_max in prop_oneof![2 => Just(None), 1 => (0_i64..30_000).prop_map(Some)],
        seed: u64,
        width_ns in prop_oneof![1_i64..20, 100_i64..30_000],
        count in 1_i64..20,
        steps in steps(),
    ) {
        let ticks = make_ticks(shape, 40_000, late_ns_max, seed);
        let mut coming = ticks.iter();
        let history = HistoryLimits { ticks_max, age_ns_max };
        let (mut series, mut oracle) = (Series::new(history), Oracle::new(history, Vec::new()));
        let (mut cache, mut width_ns, mut first, mut until_ns) = (BarCache::default(), width_ns, 1_000_000, i64::MAX);
        for step in steps {
            let newest = series.last().map_or(first, |tick| tick.time_ns);
            match step {
                Step::Ticks(count) => for &tick in coming.by_ref().take(count) {
                    let placed = push(&mut series, tick);
                    prop_assert_ne!(placed == Placement::TooLate, oracle.push(tick));
                },
                Step::Pan(by) => first += by * width_ns,
                Step::Width(to) => width_ns = to,
                Step::Follow => first = newest - newest.rem_euclid(width_ns) - (count - 1) * width_ns,
                Step::Pause(behind) => until_ns = behind.map_or(i64::MAX, |behind| newest - behind),
            }
            // Every third bucket is half as long, as at a change of daylight saving time.
            let edges: Vec<i64> = (0..=count).map(|i| first + i * width_ns - (i % 3 / 2) * (width_ns / 2)).collect();
            let (mut kept, mut anew) = (Vec::new(), Vec::new());
            MergedSeries::live(&series).bars(&edges, until_ns, &mut cache, &mut kept);
            MergedSeries::live(&series).bars(&edges, until_ns, &mut BarCache::default(), &mut anew);
            let expected = bars(&oracle, &edges, until_ns);
            prop_assert_eq!(bits(&anew), bits(&expected));
            prop_assert_eq!(bits(&kept), bits(&expected));
        }
    }

    #[test]
    fn tick_bars_equal_brute_force(
        shape in shapes(),
        count in prop_oneof![3 => 0_usize..200, 3 => 3_000_usize..30_000],
        late_ns_max in prop_oneof![Just(0_i64), Just(50), Just(20_000)],
        ticks_max in prop_oneof![Just(usize::MAX), 1_usize..20_000],
        age_ns_max in prop_oneof![2 => Just(None), 1 => (0_i64..300_000).prop_map(Some)],
        seed: u64,
        views in prop::collection::vec(
            (0.0_f64..1.0, 0.0_f64..1.0, 1_usize..3_000, 0_usize..40, prop_oneof![Just(1.0), 0.0_f64..1.1]), 1..6),
    ) {
        let ticks = make_ticks(shape, count, late_ns_max, seed);
        let (series, oracle) = super::fill(HistoryLimits { ticks_max, age_ns_max }, &ticks);
        let (from, to) = (ticks.iter().map(|t| t.time_ns).min(), ticks.iter().map(|t| t.time_ns).max());
        let (from, to) = (from.unwrap_or(0) - 10, to.unwrap_or(1_000) + 10);
        for (position, length, ticks, bars_max, until) in views {
            let at = |share: f64| from + ((to - from) as f64 * share) as i64;
            let span = TimeSpan { start: at(position), end: at(position + length * length) + 1 };
            let until_ns = at(until);
            for (span, until_ns) in [(span, until_ns), (span, i64::MAX)] {
                let mut found = Vec::new();
                MergedSeries::live(&series).tick_bars(ticks as u32, span, until_ns, bars_max, &mut found);
                let expected = tick_bars(&oracle, ticks, span, until_ns, bars_max);
                prop_assert_eq!(bits(&found), bits(&expected), "{:?} {}", span, until_ns);
                let inside = oracle.iter_range(span).filter(|tick| tick.time_ns <= until_ns).count();
                prop_assert_eq!(MergedSeries::live(&series).count(span, until_ns), inside as u64);
            }
        }
    }
}

/// A million ticks: enough chunks for three levels of the pyramid, with the first ones evicted.
#[test]
fn bars_over_a_tall_pyramid_are_exact() {
    let ticks = make_ticks(Shape::Spikes, 1_000_000, 0, 11);
    let (series, oracle) = super::fill(HistoryLimits { ticks_max: 900_000, age_ns_max: None }, &ticks);
    let (from, to) = (series.first().unwrap().time_ns, series.last().unwrap().time_ns);
    let span = TimeSpan { start: from, end: to + 1 };
    for each in [30_000_u32, 299_999] {
        let mut found = Vec::new();
        MergedSeries::live(&series).tick_bars(each, span, i64::MAX, 1_000, &mut found);
        assert_eq!(bits(&found), bits(&tick_bars(&oracle, each as usize, span, i64::MAX, 1_000)));
        assert!(!found[0].complete && found[1].complete);
    }
    let width = (to - from) / 13;
    let edges: Vec<i64> = (0..=14).map(|i| from - width / 3 + i * width).collect();
    let mut found = Vec::new();
    MergedSeries::live(&series).bars(&edges, i64::MAX, &mut BarCache::default(), &mut found);
    assert_eq!(bits(&found), bits(&bars(&oracle, &edges, i64::MAX)));
}

#[test]
fn a_live_frame_reads_only_the_open_bar() {
    let mut series = Series::new(HistoryLimits { ticks_max: 19_000, age_ns_max: None });
    let ticks = make_ticks(Shape::Ties, 21_000, 0, 3);
    push_all(&mut series, &ticks[..19_500]);
    let (oldest, newest) = (series.first().unwrap().time_ns, series.last().unwrap().time_ns);
    let width = (newest - oldest) / 50;
    let edges: Vec<i64> = (-5..60).map(|i| oldest + i * width).collect();
    let (mut cache, mut out) = (BarCache::default(), Vec::new());
    MergedSeries::live(&series).bars(&edges, i64::MAX, &mut cache, &mut out);
    assert_eq!(cache.invalid_after(&series, &edges, i64::MAX), 0, "nothing has changed");
    push_all(&mut series, &ticks[19_500..19_510]);
    // The open bar and the empty ones to its right, and on the left the one that loses ticks to eviction.
    let unknown = cache.invalid_after(&series, &edges, i64::MAX);
    assert!((2..12).contains(&unknown), "{unknown}");
    // On a paused chart, later ticks change only the start.
    MergedSeries::live(&series).bars(&edges, newest, &mut cache, &mut out);
    push_all(&mut series, &ticks[19_510..19_520]);
    assert_eq!(cache.invalid_after(&series, &edges, newest), 1);
}

#[test]
fn a_cache_used_with_another_series_gives_its_bars() {
    let ticks = make_ticks(Shape::Spikes, 3_000, 500, 5);
    let (long, _) = super::fill(EVERYTHING, &ticks);
    let (short, oracle) = super::fill(HistoryLimits { ticks_max: 10, age_ns_max: None }, &ticks[..2_000]);
    let edges: Vec<i64> = (0..40).map(|i| 1_000_000 + i * 1_000).collect();
    let (mut cache, mut out) = (BarCache::default(), Vec::new());
    MergedSeries::live(&long).bars(&edges, i64::MAX, &mut cache, &mut out);
    MergedSeries::live(&short).bars(&edges, i64::MAX, &mut cache, &mut out);
    assert_eq!(bits(&out), bits(&bars(&oracle, &edges, i64::MAX)));
    MergedSeries::live(&Series::new(EVERYTHING)).bars(&edges, i64::MAX, &mut cache, &mut out);
    assert!(out.is_empty());
}

#[test]
fn a_tick_whose_time_has_expired_with_the_feed_is_too_late() {
    let mut series = Series::new(HistoryLimits { ticks_max: 100, age_ns_max: Some(5_000) });
    let mut come = |time_ns| series.push(Timestamp::from_nanos(time_ns).unwrap(), Price::new(1.0).unwrap(), None);
    assert_eq!([come(4_500), come(6_000)], [Placement::InOrder, Placement::InOrder]);
    // The feed is at 10 us: the first tick of this symbol expires, so an earlier one must not follow it.
    series.expire(10_000);
    let mut come = |time_ns| series.push(Timestamp::from_nanos(time_ns).unwrap(), Price::new(1.0).unwrap(), None);
    assert_eq!([come(4_000), come(5_500)], [Placement::TooLate, Placement::Reordered]);
    assert_eq!(series.at_or_after(4_600).unwrap().time_ns, 5_500);
    let (edges, mut out) = ([4_000, 5_000, 7_000], Vec::new());
    MergedSeries::live(&series).bars(&edges, i64::MAX, &mut BarCache::default(), &mut out);
    assert_eq!((out.len(), out[0].complete), (1, true));
}
