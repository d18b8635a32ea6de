//! Compares a series with brute force: a sorted list of all ticks, searched from end to end.

#![expect(clippy::float_cmp, reason = "extraction is exact to the bit, and tested for it")]

use proptest::prelude::*;

use super::*;
use crate::model::TimeSpan;

mod bar_cache;
mod column_cache;
mod loaded_history;
mod oracle;
mod pixel_fidelity;
mod real_day;
mod runs;
mod series_map;

use oracle::Oracle;

const EVERYTHING: HistoryLimits = HistoryLimits { ticks_max: usize::MAX, age_ns_max: None };

/// Pattern of times and prices.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Random walk with times a few ns apart, most of them equal.
    Crowded,
    /// Random walk with spikes.
    Spikes,
    /// Few distinct prices, with many ties.
    Ties,
    /// Bursts with long silences in between.
    Bursts,
}

/// Generates ticks from a seed: enough to span chunks and pyramid nodes, which proptest's own vectors are not.
fn make_ticks(shape: Shape, count: usize, late_ns_max: i64, seed: u64) -> Vec<SeriesTick> {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut time_ns = 1_000_000_i64;
    let mut price = 100.0;
    (0..count)
        .map(|_| {
            time_ns += match shape {
                Shape::Crowded => i64::from(rng.random_range(0..10) == 0),
                Shape::Bursts if rng.random_range(0..500) == 0 => rng.random_range(0..100_000),
                Shape::Bursts => rng.random_range(0..3),
                Shape::Spikes | Shape::Ties => rng.random_range(0..20),
            };
            price += rng.random_range(-1.0..1.0);
            let spike = if rng.random_range(0..300) == 0 { rng.random_range(-1e6..1e6) } else { 0.0 };
            let shown = match shape {
                Shape::Crowded | Shape::Bursts => price,
                Shape::Spikes => price + spike,
                Shape::Ties => [-0.0, 0.0, 1.0, 2.0][rng.random_range(0..4_usize)],
            };
            let late =
                if late_ns_max > 0 && rng.random_range(0..8) == 0 { rng.random_range(0..late_ns_max) } else { 0 };
            let size = (rng.random_range(0..3) > 0).then(|| f64::from(rng.random_range(1..1_000_u32)));
            SeriesTick { time_ns: (time_ns - late).max(0), price: shown, size }
        })
        .collect()
}

fn push(series: &mut Series, tick: SeriesTick) -> Placement {
    series.push(Timestamp::from_nanos(tick.time_ns).unwrap(), Price::new(tick.price).unwrap(), tick.size)
}

fn fill(history: HistoryLimits, ticks: &[SeriesTick]) -> (Series, Oracle) {
    let (mut series, mut oracle) = (Series::new(history), Oracle::new(history, Vec::new()));
    for &tick in ticks {
        let placed = push(&mut series, tick);
        assert_ne!(placed == Placement::TooLate, oracle.push(tick), "{tick:?}");
    }
    (series, oracle)
}

/// Compares to the bit, because -0.0 equals 0.0.
fn bits(samples: &[Sample]) -> Vec<(i64, u64)> {
    samples.iter().map(|sample| (sample.time_ns, sample.price.to_bits())).collect()
}

fn assert_same(series: &Series, oracle: &Oracle, span: TimeSpan, columns: u32) {
    let mut samples = Vec::new();
    series.downsample(span, columns, &mut samples);
    assert_eq!(bits(&samples), bits(&oracle.downsample(span, columns)), "{span:?} {columns}");
    assert!(samples.len() <= 4 * columns as usize + 2);
    let (found, expected) = (series.range(span), oracle.range(span));
    assert_eq!(found, expected, "{span:?}");
    for time_ns in [span.start, span.end, i64::midpoint(span.start, span.end)] {
        assert_eq!(series.at_or_before(time_ns), oracle.at_or_before(time_ns));
        assert_eq!(series.at_or_after(time_ns), oracle.at_or_after(time_ns));
    }
    assert!(series.iter_range(span).eq(oracle.iter_range(span)));
    for skip in [0, 1, 700, 5_000] {
        assert!(series.iter_range_from(span, skip).eq(oracle.iter_range(span).skip(skip)), "{span:?} {skip}");
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![Just(Shape::Crowded), Just(Shape::Spikes), Just(Shape::Ties), Just(Shape::Bursts)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn extraction_and_ranges_equal_brute_force_to_the_bit(
        shape in shapes(),
        count in prop_oneof![3 => 0_usize..200, 3 => 3_000_usize..30_000, 1 => 130_000_usize..150_000],
        late_ns_max in prop_oneof![Just(0_i64), Just(50), Just(20_000)],
        kept in prop_oneof![Just(usize::MAX), 1_usize..20_000],
        age_ns_max in prop_oneof![Just(None), (0_i64..300_000).prop_map(Some)],
        seed: u64,
        views in prop::collection::vec((0.0_f64..1.0, 0.0_f64..1.0, 1_u32..300), 1..6),
    ) {
        let ticks = make_ticks(shape, count, late_ns_max, seed);
        let (series, oracle) = fill(HistoryLimits { ticks_max: kept, age_ns_max }, &ticks);
        prop_assert_eq!(series.len(), oracle.ticks().len());
        prop_assert!(series.len() <= kept);
        prop_assert!(series.iter().eq(oracle.ticks().iter().copied()));
        prop_assert_eq!(series.received(), count as u64);
        prop_assert_eq!(series.received(), series.len() as u64 + series.evicted() + series.too_late());
        let (from, to) = (ticks.iter().map(|t| t.time_ns).min(), ticks.iter().map(|t| t.time_ns).max());
        let (from, to) = (from.unwrap_or(0) - 10, to.unwrap_or(1_000) + 10);
        for (position, length, columns) in views {
            // Squared, so that narrow views are as common as wide ones.
            let length = (((to - from) as f64 * length * length) as i64).max(1);
            let start = from + ((to - from) as f64 * position) as i64 - length / 2;
            assert_same(&series, &oracle, TimeSpan { start, end: start + length }, columns);
        }
        assert_same(&series, &oracle, TimeSpan { start: from, end: to }, 100);
        assert_same(&series, &oracle, TimeSpan { start: i64::MIN, end: i64::MAX }, 7);
    }

    #[test]
    fn any_order_within_the_lateness_equals_sorted_order(
        count in 1_usize..20_000,
        reach in 1_usize..20_000,
        seed: u64,
    ) {
        let mut ticks = make_ticks(Shape::Ties, count, 0, seed);
        // Ticks of equal time keep their order of arrival, so distinct times give a single sorted order.
        for (index, tick) in ticks.iter_mut().enumerate() {
            tick.time_ns = index as i64;
        }
        let sorted = ticks.clone();
        ticks.chunks_mut(reach).for_each(<[SeriesTick]>::reverse);
        let (series, _) = fill(EVERYTHING, &ticks);
        prop_assert_eq!(series.too_late(), 0);
        prop_assert!(series.iter().eq(sorted.iter().copied()));
        assert_same(&series, &Oracle::new(EVERYTHING, sorted), TimeSpan { start: 0, end: count as i64 }, 50);
    }
}

#[test]
fn a_million_ticks_with_late_ones_and_evictions_stay_exact() {
    // Enough chunks for two levels of the pyramid, whose front is evicted while late ticks change its end.
    check_large(Shape::Spikes, 1_300_000, 1_150_000);
    // Ties between whole nodes: the earliest tick wins.
    check_large(Shape::Ties, 400_000, 350_000);
}

fn check_large(shape: Shape, count: usize, ticks_max: usize) {
    let ticks = make_ticks(shape, count, 100_000, 7);
    let (series, oracle) = fill(HistoryLimits { ticks_max, age_ns_max: None }, &ticks);
    assert!(series.reordered() > count as u64 / 20);
    assert_eq!(series.evicted() + series.too_late(), (count - ticks_max) as u64);
    let (from, to) = (series.first().unwrap().time_ns, series.last().unwrap().time_ns);
    for (part, columns) in [(1, 100), (1, 3), (3, 1_280), (50, 640), (4_000, 333)] {
        let len = (to - from) / part;
        for start in [from - len / 5, from + (to - from) / 3, to - len / 2] {
            assert_same(&series, &oracle, TimeSpan { start, end: start + len }, columns);
        }
    }
}

#[test]
fn a_tick_is_too_late_only_beyond_the_named_lateness() {
    let mut series = Series::new(EVERYTHING);
    let count = (LATE_CHUNKS_MAX + 6) as i64 * CHUNK_TICKS as i64;
    let at = |time_ns| SeriesTick { time_ns, price: 1.0, size: None };
    for time_ns in 0..count {
        push(&mut series, at(time_ns));
    }
    let reach = LATE_CHUNKS_MAX as i64 * CHUNK_TICKS as i64;
    assert_eq!(push(&mut series, at(count - 1 - reach)), Placement::Reordered);
    assert_eq!(push(&mut series, at(count - 1 - reach - 2 * CHUNK_TICKS as i64)), Placement::TooLate);
    assert_eq!((series.too_late(), series.reordered(), series.len() as i64), (1, 1, count + 1));
}

#[test]
fn memory_stays_where_it_is_once_the_history_is_full() {
    let mut series = Series::new(HistoryLimits { ticks_max: 100_000, age_ns_max: None });
    let mut most_bytes = Vec::new();
    for round in 0..4 {
        let mut most = 0;
        for time_ns in round * 300_000..(round + 1) * 300_000 {
            push(&mut series, SeriesTick { time_ns, price: time_ns as f64, size: Some(1.0) });
            if time_ns % 1_000 == 0 {
                most = most.max(series.bytes());
            }
        }
        most_bytes.push(most);
    }
    assert_eq!(most_bytes[1], most_bytes[3]);
    assert!(most_bytes[3] < 27 * CHUNK_TICKS * 26, "{most_bytes:?}");
    assert_eq!(series.len(), 100_000);
}
