//! The book's sums, its gaps, and the losses that running numbers tell of.

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

fn book(symbols: &[&str], symbols_max: usize, history: HistoryLimits) -> SeriesMap {
    SeriesMap::new(SeriesMapConfig { symbols: symbols.iter().map(|name| symbol(name)).collect(), symbols_max, history })
}

fn append(book: &mut SeriesMap, tick: &Tick) -> AppendOutcome {
    let appended = book.append(tick, tick.timestamp);
    assert_sums(book);
    appended
}

fn assert_sums(book: &SeriesMap) {
    let Counters {
        received, kept, evicted, too_late, duplicates, ignored, over_symbols_max, outliers, reordered, ..
    } = book.counters();
    assert_eq!(received, kept + evicted + too_late + duplicates + ignored + over_symbols_max + outliers);
    let sum = |count: fn(&Series) -> u64| book.iter().map(|(_, _, series)| count(series)).sum::<u64>();
    assert_eq!(kept, sum(|series| series.len() as u64));
    assert_eq!((evicted, too_late, reordered), (sum(Series::evicted), sum(Series::too_late), sum(Series::reordered)));
}

#[test]
fn listed_symbols_have_their_place_before_they_come_and_others_are_ignored() {
    let mut book = book(&["MSFT", "AAPL", "MSFT"], 1, EVERYTHING);
    assert_eq!(append(&mut book, &tick("AAPL", 1)), AppendOutcome::InOrder);
    assert_eq!(append(&mut book, &tick("X", 2)), AppendOutcome::Ignored);
    let names: Vec<&str> = book.iter().map(|(_, symbol, _)| symbol.as_str()).collect();
    assert_eq!(names, ["MSFT", "AAPL"]);
    assert_eq!((book.id("AAPL").unwrap().index(), book.id("X")), (1, None));
    assert_eq!((book.counters().ignored, book.newest_ns(), book.revision()), (1, Some(1), 1));
    assert_eq!(book.get(1).unwrap().1.len(), 1);
}

#[test]
fn an_outlier_is_kept_beside_the_series_and_is_no_figure_of_it() {
    let mut book = book(&[], 1, EVERYTHING);
    append(&mut book, &numbered("p", 1, 10));
    let outlier = |book: &mut SeriesMap, tick: &Tick| {
        let appended = book.append_outlier(&tick.view(), tick.timestamp);
        assert_sums(book);
        appended
    };
    let slip = Tick { price: Price::new(9e9).unwrap(), ..numbered("p", 2, 20) };
    assert_eq!(outlier(&mut book, &slip), AppendOutcome::InOrder);
    assert_eq!(outlier(&mut book, &slip), AppendOutcome::Duplicate, "its number counts like any other's");
    assert_eq!(outlier(&mut book, &tick("X", 21)), AppendOutcome::OverSymbolsMax);
    append(&mut book, &numbered("p", 3, 30));
    let (_, series) = book.get(0).unwrap();
    assert_eq!((series.len(), series.statistics().unwrap().max), (2, 30.0));
    let apart: Vec<f64> = book.outliers(0).unwrap().iter().map(|tick| tick.price).collect();
    assert_eq!((apart, book.outliers(1).is_none()), (vec![9e9], true));
    let Counters { outliers, kept, lost, .. } = book.counters();
    assert_eq!((outliers, kept, lost, book.newest_ns()), (1, 2, 0, Some(30)));
}

#[test]
fn further_symbols_than_allowed_are_counted() {
    let mut book = book(&[], 2, EVERYTHING);
    for (name, time_ns) in [("B", 1), ("A", 2), ("C", 3), ("B", 4), ("C", 5)] {
        append(&mut book, &tick(name, time_ns));
    }
    assert_eq!((book.symbol_count(), book.counters().over_symbols_max, book.counters().kept), (2, 2, 3));
    assert_eq!(book.id("B").unwrap().index(), 0);
}

#[test]
fn a_quiet_symbol_ages_with_the_feed() {
    let mut book = book(&[], 9, HistoryLimits { ticks_max: 100, age_ns_max: Some(1_000) });
    append(&mut book, &tick("QUIET", 10));
    let loud: Vec<Tick> = (0..50).map(|index| tick("LOUD", index * 100)).collect();
    for tick in &loud {
        book.append_view(&tick.view(), Timestamp::from_nanos(7).unwrap());
    }
    book.finish_batch();
    assert_sums(&book);
    assert_eq!(book.get(0).unwrap().1.len(), 0);
    assert_eq!(book.get(1).unwrap().1.len(), 11);
    assert_eq!(book.get(0).unwrap().1.statistics().unwrap().first.time_ns, 10);
}

#[test]
fn a_gap_lasts_until_the_first_tick_after_it_and_cuts_the_line_there() {
    let mut book = book(&[], 9, EVERYTHING);
    append(&mut book, &tick("A", 100));
    append(&mut book, &tick("A", 200));
    book.begin_outage(200);
    book.begin_outage(201);
    assert!(book.is_outage_open());
    assert_eq!(book.line_breaks(), [201]);
    append(&mut book, &tick("A", 500));
    append(&mut book, &tick("A", 600));
    let gap = MissingRange { start_ns: 200, end_ns: Some(500), lost: 0, cause: MissingCause::Disconnected };
    assert!(!book.is_outage_open() && book.missing_ranges().eq([&gap]));
    assert_eq!(book.line_breaks(), [201, 500]);
    let times = |span, breaks: &[i64]| {
        let mut runs = Vec::new();
        book.get(0).unwrap().1.downsample_runs(span, 1_000, breaks, &mut runs);
        runs.iter().map(|run| run.iter().map(|sample| sample.time_ns).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let span = |start, end| TimeSpan { start, end };
    assert_eq!(times(span(0, 1_000), &book.line_breaks()), [vec![100, 200], vec![500, 600]]);
    assert_eq!(times(span(150, 550), &book.line_breaks()), [vec![100, 200], vec![500, 600]]);
    assert_eq!(times(span(210, 490), &book.line_breaks()), Vec::<Vec<i64>>::new());
    assert_eq!(times(span(110, 190), &book.line_breaks()), [vec![100, 200]]);
    assert_eq!(times(span(110, 190), &[]), [vec![100, 200]]);
    assert_eq!(times(span(510, 590), &book.line_breaks()), [vec![500, 600]]);
    assert_eq!(times(span(700, 800), &[500, 650]), Vec::<Vec<i64>>::new());
}

#[test]
fn losses_are_counted_in_the_gap_they_belong_to_and_healed_there() {
    let mut book = book(&[], 9, EVERYTHING);
    for seq in [500, 501, 502] {
        append(&mut book, &numbered("p", seq, seq as i64 * 10));
    }
    assert_eq!((book.counters().lost, book.missing_ranges().count()), (0, 0));
    append(&mut book, &numbered("p", 505, 5_050));
    let lost = MissingRange { start_ns: 5_020, end_ns: Some(5_050), lost: 2, cause: MissingCause::Lost };
    assert!(book.missing_ranges().eq([&lost]));
    book.begin_outage(5_050);
    append(&mut book, &numbered("p", 510, 5_100));
    assert_eq!(book.counters().lost, 6);
    let down = MissingRange { start_ns: 5_050, end_ns: Some(5_100), lost: 4, cause: MissingCause::Disconnected };
    assert!(book.missing_ranges().eq([&lost, &down]));
    // Late ones heal; the loss that is healed to the last tick is no gap any more.
    assert_eq!(append(&mut book, &numbered("p", 503, 5_030)), AppendOutcome::Reordered);
    assert_eq!(append(&mut book, &numbered("p", 503, 5_030)), AppendOutcome::Duplicate);
    append(&mut book, &numbered("p", 504, 5_040));
    append(&mut book, &numbered("p", 507, 5_070));
    assert_eq!((book.counters().lost, book.counters().duplicates), (3, 1));
    assert!(book.missing_ranges().eq([&MissingRange { lost: 3, ..down }]));
    // Ticks from before the first one heard are neither lost nor healed.
    assert_eq!(append(&mut book, &numbered("p", 400, 4_000)), AppendOutcome::Reordered);
    assert_eq!(append(&mut book, &numbered("p", 400, 4_000)), AppendOutcome::Duplicate);
    assert_eq!(book.counters().lost, 3);
}

#[test]
fn neighbouring_losses_are_one_gap_and_the_oldest_gaps_merge() {
    let mut book = book(&[], 9, EVERYTHING);
    for seq in (1..200).step_by(2) {
        append(&mut book, &numbered("p", seq, seq as i64));
    }
    assert!(book.missing_ranges().eq([&MissingRange {
        start_ns: 1,
        end_ns: Some(199),
        lost: 99,
        cause: MissingCause::Lost
    }]));
    let mut time_ns = 1_000;
    for _ in 0..MISSING_RANGES_MAX + 10 {
        book.begin_outage(time_ns);
        book.append(&tick("A", time_ns + 10), Timestamp::default());
        time_ns += 20;
    }
    assert_eq!(book.missing_ranges().count(), MISSING_RANGES_MAX);
    let oldest = book.missing_ranges().next().unwrap();
    assert_eq!((oldest.start_ns, oldest.lost, oldest.cause), (1, 99, MissingCause::Disconnected));
    assert!(oldest.end_ns > Some(1_100) && oldest.end_ns < Some(1_300));
}

#[test]
fn a_producer_that_starts_over_is_recognised() {
    let mut book = book(&[], 9, EVERYTHING);
    let second = 1_000_000_000;
    let mut expect = |seq, at_s: i64, expected: AppendOutcome| {
        let appended = append(&mut book, &numbered("p", seq, at_s * second));
        assert_eq!(appended, expected, "{seq} at {at_s} s");
        book.counters().lost
    };
    for seq in 1..=5 {
        expect(seq, 10 + seq as i64, AppendOutcome::InOrder);
    }
    // The same ticks again are repetitions, from the first to the newest.
    expect(1, 11, AppendOutcome::Duplicate);
    expect(5, 15, AppendOutcome::Duplicate);
    // A first number with a newer time is a new run; so is one whose own first number was lost.
    expect(1, 20, AppendOutcome::InOrder);
    expect(2, 21, AppendOutcome::InOrder);
    assert_eq!(expect(4, 22, AppendOutcome::InOrder), 1);
    expect(2, 30, AppendOutcome::InOrder);
    assert_eq!(expect(3, 31, AppendOutcome::InOrder), 1);
    // Whole seconds: the first number carries the newest time, and the run had moved on.
    expect(1, 31, AppendOutcome::InOrder);
    expect(1, 31, AppendOutcome::Duplicate);
    assert_eq!(expect(2, 31, AppendOutcome::InOrder), 1);
    // A numbering seeded by a clock is no loss of trillions.
    assert_eq!(expect(1 << 50, 40, AppendOutcome::InOrder), 1);
    assert_eq!(expect(u64::MAX, 41, AppendOutcome::InOrder), 1);
    assert_eq!(expect(1, 42, AppendOutcome::InOrder), 1);
}

#[test]
fn sources_and_holes_are_bounded() {
    let mut book = book(&[], 9, EVERYTHING);
    // One more source than fit: the idlest is forgotten, the busy one is not.
    for index in 0..=SOURCES_MAX {
        book.append(&numbered("busy", index as u64 + 1, index as i64), Timestamp::default());
        book.append(&numbered(&format!("idle {index}"), 7, 0), Timestamp::default());
    }
    assert_eq!(append(&mut book, &numbered("busy", 1, 0)), AppendOutcome::Duplicate);
    assert_eq!(append(&mut book, &numbered("idle 0", 7, 0)), AppendOutcome::Reordered);
    // Two more holes than fit (one is that before the first number heard): the oldest are lost for good, and their
    // ticks count as repetitions.
    for hole in 0..MISSING_RUNS_MAX as u64 + 2 {
        book.append(&numbered("holes", hole * 2 + 10, 0), Timestamp::default());
    }
    let lost = book.counters().lost;
    assert_eq!(lost, MISSING_RUNS_MAX as u64 + 1);
    assert_eq!(append(&mut book, &numbered("holes", 11, 0)), AppendOutcome::Duplicate);
    assert_eq!(append(&mut book, &numbered("holes", 13, 0)), AppendOutcome::Reordered);
    assert_eq!(book.counters().lost, lost - 1);
}

proptest! {
    #[test]
    fn running_numbers_tell_exactly_what_is_missing(
        sources in prop::collection::vec((1_u64..1_000, 1_usize..400, 0_u8..60, any::<u64>()), 1..4),
        displaced in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..60), 0..60),
        repeated in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..60), 0..30),
        symbols_max in 1_usize..4,
        ticks_max in 1_usize..300,
    ) {
        use rand::{RngExt, SeedableRng};
        // Each source sends its numbers in order, some are dropped on the way ...
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
        // ... some come later than others that were sent after them, some come twice.
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
        let mut book = book(&[], symbols_max, HistoryLimits { ticks_max, age_ns_max: None });
        let mut seen: HashMap<CompactString, HashSet<u64>> = HashMap::new();
        let mut first: HashMap<CompactString, u64> = HashMap::new();
        for tick in &sent {
            let (source, seq) = (tick.source.clone().unwrap(), tick.seq.unwrap());
            let is_new = seen.entry(source.clone()).or_default().insert(seq);
            first.entry(source).or_insert(seq);
            prop_assert_eq!(append(&mut book, tick) == AppendOutcome::Duplicate, !is_new);
            // Missing: whatever lies between the first one heard and the highest one, and was not seen.
            let missing: u64 = seen.iter().map(|(source, seqs)| {
                (first[source]..=*seqs.iter().max().unwrap()).filter(|seq| !seqs.contains(seq)).count() as u64
            }).sum();
            prop_assert_eq!(book.counters().lost, missing);
            prop_assert_eq!(book.missing_ranges().map(|gap| gap.lost).sum::<u64>(), missing);
        }
        prop_assert_eq!(book.counters().received, sent.len() as u64);
        prop_assert!(book.iter().all(|(_, _, series)| series.len() <= ticks_max));
    }
}

#[test]
fn what_came_after_all_is_no_gap_any_more() {
    let mut book = book(&[], 9, EVERYTHING);
    append(&mut book, &numbered("p", 1, 100));
    book.begin_outage(100);
    book.recover_outages();
    assert!(!book.is_outage_open() && book.missing_ranges().count() == 0);
    book.begin_outage(100);
    append(&mut book, &numbered("p", 4, 400));
    book.recover_outages();
    let lost = MissingRange { start_ns: 100, end_ns: Some(400), lost: 2, cause: MissingCause::Lost };
    assert!(book.missing_ranges().eq([&lost]), "what the numbers miss stays");
}

#[test]
fn one_of_several_readers_misses_nothing_that_another_one_has() {
    let mut book = book(&[], 9, EVERYTHING).for_consumer_group();
    for (seq, expected) in [
        (1, AppendOutcome::InOrder),
        (5, AppendOutcome::InOrder),
        (3, AppendOutcome::Reordered),
        (3, AppendOutcome::Duplicate),
        (9, AppendOutcome::InOrder),
    ] {
        assert_eq!(append(&mut book, &numbered("p", seq, seq as i64 * 10)), expected);
    }
    assert_eq!((book.counters().lost, book.missing_ranges().count()), (0, 0));
}

#[test]
fn what_is_restored_says_nothing_about_when_the_feed_brought_something() {
    let mut book = book(&[], 10, EVERYTHING);
    book.append_restored(&tick("A", 100).view(), false);
    book.append_restored(&tick("A", 200).view(), true);
    assert_eq!((book.last_arrival(), book.newest_ns()), (None, Some(200)));
    append(&mut book, &tick("A", 300));
    assert_eq!(book.last_arrival(), Timestamp::from_nanos(300));
}

#[test]
fn while_the_past_comes_memory_is_whole_from_what_came_by_itself_and_then_from_the_past() {
    let mut book = book(&[], 10, EVERYTHING);
    let restore = |book: &mut SeriesMap, name: &str, time_ns: i64| {
        let tick = tick(name, time_ns);
        book.append_restored(&tick.view(), false)
    };
    let whole = |book: &SeriesMap, name: &str| book.get(book.id(name).unwrap().index()).unwrap().1.complete_from_ns();
    let since = |book: &SeriesMap, mark: &crate::series::ArrivalMark| book.get(0).unwrap().1.earliest_since(mark);
    append(&mut book, &tick("A", 1_000));
    let mark = book.get(0).unwrap().1.arrival_mark();
    assert_eq!(restore(&mut book, "A", 100), AppendOutcome::Reordered);
    restore(&mut book, "B", 110);
    restore(&mut book, "A", 200);
    assert_eq!((whole(&book, "A"), since(&book, &mark)), (Some(1_000), None));
    append(&mut book, &tick("B", 1_001));
    append(&mut book, &tick("C", 1_002));
    restore(&mut book, "B", 210);
    assert_eq!((whole(&book, "B"), whole(&book, "C")), (Some(1_001), Some(1_002)));
    append(&mut book, &tick("A", 1_003));
    assert_eq!(since(&book, &mark), Some(1_003));
    book.finish_restore(|name| name != "A", true);
    append(&mut book, &tick("D", 2_000));
    let all = ["A", "B", "C", "D"].map(|name| whole(&book, name));
    assert_eq!(all, [Some(100), Some(i64::MIN), Some(i64::MIN), Some(i64::MIN)]);
    // With `later` unset, nothing is known of who comes.
    book.finish_restore(|_| false, false);
    append(&mut book, &tick("E", 3_000));
    assert_eq!(whole(&book, "E"), Some(3_000));
}

#[test]
fn memory_that_had_everything_begins_behind_what_it_gave_up() {
    let mut book = book(&[], 10, HistoryLimits { ticks_max: 2, age_ns_max: None });
    book.finish_restore(|_| true, true);
    for time_ns in [10, 20] {
        append(&mut book, &tick("A", time_ns));
    }
    assert_eq!(book.get(0).unwrap().1.complete_from_ns(), Some(i64::MIN));
    append(&mut book, &tick("A", 30));
    assert_eq!(book.get(0).unwrap().1.complete_from_ns(), Some(11));
}
