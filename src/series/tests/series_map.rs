//! Sums of the counters, missing ranges, and losses shown by sequence numbers.

use std::collections::{HashMap, HashSet};

use compact_str::CompactString;
use proptest::prelude::*;

use super::*;
use crate::model::{Symbol, Tick};

fn symbol(name: &str) -> Symbol {
    Symbol::new(name).unwrap()
}

fn tick(name: &str, time_ns: i64) -> Tick {
    Tick {
        symbol: symbol(name),
        price: Price::new(time_ns as f64).unwrap(),
        timestamp: Timestamp::from_nanos(time_ns).unwrap(),
        size: None,
        seq: None,
        source: None,
    }
}

fn numbered(source: &str, seq: u64, time_ns: i64) -> Tick {
    Tick { seq: Some(seq), source: Some(CompactString::new(source)), ..tick("A", time_ns) }
}

fn map(symbols: &[&str], symbols_max: usize, history: HistoryLimits) -> SeriesMap {
    SeriesMap::new(SeriesMapConfig { symbols: symbols.iter().map(|name| symbol(name)).collect(), symbols_max, history })
}

fn append(map: &mut SeriesMap, tick: &Tick) -> AppendOutcome {
    let appended = map.append(tick, tick.timestamp);
    assert_sums(map);
    appended
}

fn assert_sums(map: &SeriesMap) {
    let Counters {
        received, kept, evicted, too_late, duplicates, ignored, over_symbols_max, outliers, reordered, ..
    } = map.counters();
    assert_eq!(received, kept + evicted + too_late + duplicates + ignored + over_symbols_max + outliers);
    let sum = |count: fn(&Series) -> u64| map.iter().map(|(_, _, series)| count(series)).sum::<u64>();
    assert_eq!(kept, sum(|series| series.len() as u64));
    assert_eq!((evicted, too_late, reordered), (sum(Series::evicted), sum(Series::too_late), sum(Series::reordered)));
}

#[test]
fn configured_symbols_have_ids_from_the_start_and_others_are_ignored() {
    let mut map = map(&["MSFT", "AAPL", "MSFT"], 1, EVERYTHING);
    assert_eq!(append(&mut map, &tick("AAPL", 1)), AppendOutcome::InOrder);
    assert_eq!(append(&mut map, &tick("X", 2)), AppendOutcome::Ignored);
    let names: Vec<&str> = map.iter().map(|(_, symbol, _)| symbol.as_str()).collect();
    assert_eq!(names, ["MSFT", "AAPL"]);
    assert_eq!((map.id("AAPL").unwrap().index(), map.id("X")), (1, None));
    assert_eq!((map.counters().ignored, map.newest_ns(), map.revision()), (1, Some(1), 1));
    assert_eq!(map.get(1).unwrap().1.len(), 1);
}

#[test]
fn an_outlier_is_kept_apart_and_affects_no_figure() {
    let mut map = map(&[], 1, EVERYTHING);
    append(&mut map, &numbered("p", 1, 10));
    let outlier = |map: &mut SeriesMap, tick: &Tick| {
        let appended = map.append_outlier(&tick.view(), tick.timestamp);
        assert_sums(map);
        appended
    };
    let slip = Tick { price: Price::new(9e9).unwrap(), ..numbered("p", 2, 20) };
    assert_eq!(outlier(&mut map, &slip), AppendOutcome::InOrder);
    assert_eq!(outlier(&mut map, &slip), AppendOutcome::Duplicate, "its number counts like any other's");
    assert_eq!(outlier(&mut map, &tick("X", 21)), AppendOutcome::OverSymbolsMax);
    append(&mut map, &numbered("p", 3, 30));
    let (_, series) = map.get(0).unwrap();
    assert_eq!((series.len(), series.statistics().unwrap().max), (2, 30.0));
    let apart: Vec<f64> = map.outliers(0).unwrap().iter().map(|tick| tick.price).collect();
    assert_eq!((apart, map.outliers(1).is_none()), (vec![9e9], true));
    let Counters { outliers, kept, lost, .. } = map.counters();
    assert_eq!((outliers, kept, lost, map.newest_ns()), (1, 2, 0, Some(30)));
}

#[test]
fn symbols_beyond_the_limit_are_counted() {
    let mut map = map(&[], 2, EVERYTHING);
    for (name, time_ns) in [("B", 1), ("A", 2), ("C", 3), ("B", 4), ("C", 5)] {
        append(&mut map, &tick(name, time_ns));
    }
    assert_eq!((map.symbol_count(), map.counters().over_symbols_max, map.counters().kept), (2, 2, 3));
    assert_eq!(map.id("B").unwrap().index(), 0);
}

#[test]
fn a_quiet_symbol_ages_with_the_feed() {
    let mut map = map(&[], 9, HistoryLimits { ticks_max: 100, age_ns_max: Some(1_000) });
    append(&mut map, &tick("QUIET", 10));
    let loud: Vec<Tick> = (0..50).map(|index| tick("LOUD", index * 100)).collect();
    for tick in &loud {
        map.append_view(&tick.view(), Timestamp::from_nanos(7).unwrap());
    }
    map.finish_batch();
    assert_sums(&map);
    assert_eq!(map.get(0).unwrap().1.len(), 0);
    assert_eq!(map.get(1).unwrap().1.len(), 11);
    assert_eq!(map.get(0).unwrap().1.statistics().unwrap().first.time_ns, 10);
}

#[test]
fn an_outage_lasts_until_the_next_tick_and_breaks_the_line() {
    let mut map = map(&[], 9, EVERYTHING);
    append(&mut map, &tick("A", 100));
    append(&mut map, &tick("A", 200));
    map.begin_outage(200);
    map.begin_outage(201);
    assert!(map.is_outage_open());
    assert_eq!(map.line_breaks(), [201]);
    append(&mut map, &tick("A", 500));
    append(&mut map, &tick("A", 600));
    let gap = MissingRange { start_ns: 200, end_ns: Some(500), lost: 0, cause: MissingCause::Disconnected };
    assert!(!map.is_outage_open() && map.missing_ranges().eq([&gap]));
    assert_eq!(map.line_breaks(), [201, 500]);
    let times = |span, breaks: &[i64]| {
        let mut runs = Vec::new();
        map.get(0).unwrap().1.downsample_runs(span, 1_000, breaks, &mut runs);
        runs.iter().map(|run| run.iter().map(|sample| sample.time_ns).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let span = |start, end| TimeSpan { start, end };
    assert_eq!(times(span(0, 1_000), &map.line_breaks()), [vec![100, 200], vec![500, 600]]);
    assert_eq!(times(span(150, 550), &map.line_breaks()), [vec![100, 200], vec![500, 600]]);
    assert_eq!(times(span(210, 490), &map.line_breaks()), Vec::<Vec<i64>>::new());
    assert_eq!(times(span(110, 190), &map.line_breaks()), [vec![100, 200]]);
    assert_eq!(times(span(110, 190), &[]), [vec![100, 200]]);
    assert_eq!(times(span(510, 590), &map.line_breaks()), [vec![500, 600]]);
    assert_eq!(times(span(700, 800), &[500, 650]), Vec::<Vec<i64>>::new());
}

#[test]
fn losses_are_counted_and_recovered_in_their_missing_range() {
    let mut map = map(&[], 9, EVERYTHING);
    for seq in [500, 501, 502] {
        append(&mut map, &numbered("p", seq, seq as i64 * 10));
    }
    assert_eq!((map.counters().lost, map.missing_ranges().count()), (0, 0));
    append(&mut map, &numbered("p", 505, 5_050));
    let lost = MissingRange { start_ns: 5_020, end_ns: Some(5_050), lost: 2, cause: MissingCause::Lost };
    assert!(map.missing_ranges().eq([&lost]));
    map.begin_outage(5_050);
    append(&mut map, &numbered("p", 510, 5_100));
    assert_eq!(map.counters().lost, 6);
    let down = MissingRange { start_ns: 5_050, end_ns: Some(5_100), lost: 4, cause: MissingCause::Disconnected };
    assert!(map.missing_ranges().eq([&lost, &down]));
    // Late ticks reduce the loss; a range whose lost ticks all arrived is not missing any more.
    assert_eq!(append(&mut map, &numbered("p", 503, 5_030)), AppendOutcome::Reordered);
    assert_eq!(append(&mut map, &numbered("p", 503, 5_030)), AppendOutcome::Duplicate);
    append(&mut map, &numbered("p", 504, 5_040));
    append(&mut map, &numbered("p", 507, 5_070));
    assert_eq!((map.counters().lost, map.counters().duplicates), (3, 1));
    assert!(map.missing_ranges().eq([&MissingRange { lost: 3, ..down }]));
    // Ticks from before the first one received are neither lost nor recovered.
    assert_eq!(append(&mut map, &numbered("p", 400, 4_000)), AppendOutcome::Reordered);
    assert_eq!(append(&mut map, &numbered("p", 400, 4_000)), AppendOutcome::Duplicate);
    assert_eq!(map.counters().lost, 3);
}

#[test]
fn adjacent_losses_form_one_range_and_the_oldest_ranges_merge() {
    let mut map = map(&[], 9, EVERYTHING);
    for seq in (1..200).step_by(2) {
        append(&mut map, &numbered("p", seq, seq as i64));
    }
    assert!(map.missing_ranges().eq([&MissingRange {
        start_ns: 1,
        end_ns: Some(199),
        lost: 99,
        cause: MissingCause::Lost
    }]));
    let mut time_ns = 1_000;
    for _ in 0..MISSING_RANGES_MAX + 10 {
        map.begin_outage(time_ns);
        map.append(&tick("A", time_ns + 10), Timestamp::default());
        time_ns += 20;
    }
    assert_eq!(map.missing_ranges().count(), MISSING_RANGES_MAX);
    let oldest = map.missing_ranges().next().unwrap();
    assert_eq!((oldest.start_ns, oldest.lost, oldest.cause), (1, 99, MissingCause::Disconnected));
    assert!(oldest.end_ns > Some(1_100) && oldest.end_ns < Some(1_300));
}

#[test]
fn a_restarted_producer_is_recognised() {
    let mut map = map(&[], 9, EVERYTHING);
    let second = 1_000_000_000;
    let mut expect = |seq, at_s: i64, expected: AppendOutcome| {
        let appended = append(&mut map, &numbered("p", seq, at_s * second));
        assert_eq!(appended, expected, "{seq} at {at_s} s");
        map.counters().lost
    };
    for seq in 1..=5 {
        expect(seq, 10 + seq as i64, AppendOutcome::InOrder);
    }
    // The same ticks again are duplicates, from the first to the newest.
    expect(1, 11, AppendOutcome::Duplicate);
    expect(5, 15, AppendOutcome::Duplicate);
    // A first number with a newer time is a restart, and so is one whose own first number was lost.
    expect(1, 20, AppendOutcome::InOrder);
    expect(2, 21, AppendOutcome::InOrder);
    assert_eq!(expect(4, 22, AppendOutcome::InOrder), 1);
    expect(2, 30, AppendOutcome::InOrder);
    assert_eq!(expect(3, 31, AppendOutcome::InOrder), 1);
    // Times in whole seconds: the first number has the newest time, and the run had moved on.
    expect(1, 31, AppendOutcome::InOrder);
    expect(1, 31, AppendOutcome::Duplicate);
    assert_eq!(expect(2, 31, AppendOutcome::InOrder), 1);
    // A numbering seeded by a clock is not a loss of trillions.
    assert_eq!(expect(1 << 50, 40, AppendOutcome::InOrder), 1);
    assert_eq!(expect(u64::MAX, 41, AppendOutcome::InOrder), 1);
    assert_eq!(expect(1, 42, AppendOutcome::InOrder), 1);
}

#[test]
fn sources_and_missing_runs_are_bounded() {
    let mut map = map(&[], 9, EVERYTHING);
    // One source more than the limit: the idlest one is evicted, the busy one is not.
    for index in 0..=SOURCES_MAX {
        map.append(&numbered("busy", index as u64 + 1, index as i64), Timestamp::default());
        map.append(&numbered(&format!("idle {index}"), 7, 0), Timestamp::default());
    }
    assert_eq!(append(&mut map, &numbered("busy", 1, 0)), AppendOutcome::Duplicate);
    assert_eq!(append(&mut map, &numbered("idle 0", 7, 0)), AppendOutcome::Reordered);
    // Two runs more than the limit (one is before the first number received): the oldest are lost for good, and their
    // ticks count as duplicates.
    for hole in 0..MISSING_RUNS_MAX as u64 + 2 {
        map.append(&numbered("holes", hole * 2 + 10, 0), Timestamp::default());
    }
    let lost = map.counters().lost;
    assert_eq!(lost, MISSING_RUNS_MAX as u64 + 1);
    assert_eq!(append(&mut map, &numbered("holes", 11, 0)), AppendOutcome::Duplicate);
    assert_eq!(append(&mut map, &numbered("holes", 13, 0)), AppendOutcome::Reordered);
    assert_eq!(map.counters().lost, lost - 1);
}

proptest! {
    #[test]
    fn sequence_numbers_show_exactly_which_ticks_are_missing(
        sources in prop::collection::vec((1_u64..1_000, 1_usize..400, 0_u8..60, any::<u64>()), 1..4),
        displaced in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..60), 0..60),
        repeated in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..60), 0..30),
        symbols_max in 1_usize..4,
        ticks_max in 1_usize..300,
    ) {
        use rand::{RngExt, SeedableRng};
        // Each source sends its numbers in order, and some are lost on the way ...
        let mut sent = Vec::new();
        for (index, &(first, count, drop_percent, seed)) in sources.iter().enumerate() {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            for seq in first..first + count as u64 {
                if rng.random_range(0..100_u8) >= drop_percent {
                    let name = ["A", "B", "C", "D"][rng.random_range(0..4_usize)];
                    let time_ns = (seq - first) as i64 * 1_000;
                    let source = Some(CompactString::new(index.to_string()));
                    sent.push(Tick { seq: Some(seq), source, ..tick(name, time_ns) });
                }
            }
        }
        sent.sort_by_key(|tick| tick.timestamp);
        prop_assume!(!sent.is_empty());
        // ... some arrive after later ones, and some arrive twice.
        for (at, by) in displaced {
            let at = at.index(sent.len());
            let late = sent.remove(at);
            sent.insert((at + by).min(sent.len()), late);
        }
        for (at, by) in repeated {
            let at = at.index(sent.len());
            let again = sent[at].clone();
            sent.insert((at + 1 + by).min(sent.len()), again);
        }
        let mut map = map(&[], symbols_max, HistoryLimits { ticks_max, age_ns_max: None });
        let mut seen: HashMap<CompactString, HashSet<u64>> = HashMap::new();
        let mut first: HashMap<CompactString, u64> = HashMap::new();
        for tick in &sent {
            let (source, seq) = (tick.source.clone().unwrap(), tick.seq.unwrap());
            let is_new = seen.entry(source.clone()).or_default().insert(seq);
            first.entry(source).or_insert(seq);
            prop_assert_eq!(append(&mut map, tick) == AppendOutcome::Duplicate, !is_new);
            // Missing are all numbers between the first and the highest one received that did not arrive.
            let missing: u64 = seen.iter().map(|(source, seqs)| {
                (first[source]..=*seqs.iter().max().unwrap()).filter(|seq| !seqs.contains(seq)).count() as u64
            }).sum();
            prop_assert_eq!(map.counters().lost, missing);
            prop_assert_eq!(map.missing_ranges().map(|gap| gap.lost).sum::<u64>(), missing);
        }
        prop_assert_eq!(map.counters().received, sent.len() as u64);
        prop_assert!(map.iter().all(|(_, _, series)| series.len() <= ticks_max));
    }
}

#[test]
fn recovered_outages_are_not_missing_any_more() {
    let mut map = map(&[], 9, EVERYTHING);
    append(&mut map, &numbered("p", 1, 100));
    map.begin_outage(100);
    map.recover_outages();
    assert!(!map.is_outage_open() && map.missing_ranges().count() == 0);
    map.begin_outage(100);
    append(&mut map, &numbered("p", 4, 400));
    map.recover_outages();
    let lost = MissingRange { start_ns: 100, end_ns: Some(400), lost: 2, cause: MissingCause::Lost };
    assert!(map.missing_ranges().eq([&lost]), "what the numbers miss stays");
}

#[test]
fn a_group_member_misses_nothing_that_another_one_received() {
    let mut map = map(&[], 9, EVERYTHING).for_consumer_group();
    for (seq, expected) in [
        (1, AppendOutcome::InOrder),
        (5, AppendOutcome::InOrder),
        (3, AppendOutcome::Reordered),
        (3, AppendOutcome::Duplicate),
        (9, AppendOutcome::InOrder),
    ] {
        assert_eq!(append(&mut map, &numbered("p", seq, seq as i64 * 10)), expected);
    }
    assert_eq!((map.counters().lost, map.missing_ranges().count()), (0, 0));
}

#[test]
fn restored_ticks_do_not_change_the_last_arrival() {
    let mut map = map(&[], 10, EVERYTHING);
    map.append_restored(&tick("A", 100).view(), false);
    map.append_restored(&tick("A", 200).view(), true);
    assert_eq!((map.last_arrival(), map.newest_ns()), (None, Some(200)));
    append(&mut map, &tick("A", 300));
    assert_eq!(map.last_arrival(), Timestamp::from_nanos(300));
}

#[test]
fn memory_is_complete_from_the_first_live_tick_until_the_restore_ends() {
    let mut map = map(&[], 10, EVERYTHING);
    let restore = |map: &mut SeriesMap, name: &str, time_ns: i64| {
        let tick = tick(name, time_ns);
        map.append_restored(&tick.view(), false)
    };
    let whole = |map: &SeriesMap, name: &str| map.get(map.id(name).unwrap().index()).unwrap().1.complete_from_ns();
    let since = |map: &SeriesMap, mark: &crate::series::ArrivalMark| map.get(0).unwrap().1.earliest_since(mark);
    append(&mut map, &tick("A", 1_000));
    let mark = map.get(0).unwrap().1.arrival_mark();
    assert_eq!(restore(&mut map, "A", 100), AppendOutcome::Reordered);
    restore(&mut map, "B", 110);
    restore(&mut map, "A", 200);
    assert_eq!((whole(&map, "A"), since(&map, &mark)), (Some(1_000), None));
    append(&mut map, &tick("B", 1_001));
    append(&mut map, &tick("C", 1_002));
    restore(&mut map, "B", 210);
    assert_eq!((whole(&map, "B"), whole(&map, "C")), (Some(1_001), Some(1_002)));
    append(&mut map, &tick("A", 1_003));
    assert_eq!(since(&map, &mark), Some(1_003));
    map.finish_restore(|name| name != "A", true);
    append(&mut map, &tick("D", 2_000));
    let all = ["A", "B", "C", "D"].map(|name| whole(&map, name));
    assert_eq!(all, [Some(100), Some(i64::MIN), Some(i64::MIN), Some(i64::MIN)]);
    // With `later` unset, nothing is known about new symbols.
    map.finish_restore(|_| false, false);
    append(&mut map, &tick("E", 3_000));
    assert_eq!(whole(&map, "E"), Some(3_000));
}

#[test]
fn a_complete_memory_starts_after_what_it_evicts() {
    let mut map = map(&[], 10, HistoryLimits { ticks_max: 2, age_ns_max: None });
    map.finish_restore(|_| true, true);
    for time_ns in [10, 20] {
        append(&mut map, &tick("A", time_ns));
    }
    assert_eq!(map.get(0).unwrap().1.complete_from_ns(), Some(i64::MIN));
    append(&mut map, &tick("A", 30));
    assert_eq!(map.get(0).unwrap().1.complete_from_ns(), Some(11));
}
