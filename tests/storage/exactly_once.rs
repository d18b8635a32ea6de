//! Exactly-once storage by each kind of tick identity.

use std::thread;

use tickscope::model::StreamId;

use super::fixture::{LIMIT, Place, bare, checkpoint, heard, numbered, on_both, streamed, through, wait_committed};

fn id(text: &str) -> StreamId {
    text.parse().unwrap()
}

#[test]
fn what_goes_in_comes_out_to_the_bit() {
    on_both(|place| {
        let mut ticks: Vec<_> =
            [-0.0, 0.1 + 0.2, 5e-324, f64::MAX, -37.63, 1.0, 9_007_199_254_740_993.0, 1e300, f64::MIN_POSITIVE, 100.0]
                .into_iter()
                .enumerate()
                .map(|(ms, price)| bare("A\"'\u{0}\u{2400}\u{1b}ü\n", ms as i64, price))
                .collect();
        ticks[1].size = Some(0.0);
        ticks[2].size = Some(0.1);
        ticks[3].source = Some("p\u{0}".into());
        ticks[4].seq = Some(u64::MAX);
        ticks[5].source = Some(String::new().into());
        ticks[5].seq = Some(0);
        ticks[6].time_ns = i64::MAX;
        ticks[7].time_ns = 0;
        let status = place.keep(vec![heard(&ticks)]);
        assert_eq!((status.written, status.duplicates, status.dropped, status.waiting), (10, 0, 0, 0), "{status:?}");
        ticks.sort_by_key(|tick| tick.time_ns);
        let read = place.ticks();
        assert_eq!(read, ticks);
        let bits = |value: f64| value.to_bits();
        for (read, tick) in read.iter().zip(&ticks) {
            assert_eq!(bits(read.price), bits(tick.price));
            assert_eq!(read.size.map(bits), tick.size.map(bits));
        }
    });
}

#[test]
fn a_number_of_a_source_is_kept_once() {
    on_both(|place| {
        let ticks = [numbered("p", 1, 0, 1.0), numbered("p", 2, 1, 2.0), numbered("q", 1, 0, 1.0)];
        let twice = [ticks.as_slice(), &ticks[..2]].concat();
        let status = place.keep(vec![heard(&twice)]);
        assert_eq!((status.written, status.duplicates), (3, 2), "in one transaction");
        let status = place.keep(vec![heard(&ticks), heard(&[numbered("p", 3, 2, 3.0)])]);
        assert_eq!((status.written, status.duplicates), (1, 3), "in another one");
        // The stream delivers the ticks that were received before, and new ones.
        let healed = [through(&ticks[1], "5-0"), through(&numbered("p", 4, 3, 4.0), "6-0")];
        let status = place.keep(vec![streamed(&healed, "6-0")]);
        assert_eq!((status.written, status.duplicates), (1, 1), "by another way");
        assert_eq!(place.sql("SELECT count(*) FROM ticks"), "5");
    });
}

#[test]
fn a_source_that_starts_over_loses_nothing() {
    on_both(|place| {
        let first = [numbered("p", 1, 0, 1.0), numbered("p", 2, 10, 2.0)];
        let later = [numbered("p", 1, 20, 1.0), numbered("p", 2, 30, 2.0)];
        // A restart within one second of a clock with whole seconds: different prices are different ticks.
        let within = [numbered("p", 1, 20, 1.5), numbered("p", 2, 30, 2.5)];
        let status = place.keep(vec![heard(&first), heard(&later), heard(&within), heard(&later)]);
        assert_eq!((status.written, status.duplicates), (6, 2));
    });
}

#[test]
fn an_entry_of_a_stream_is_kept_once_and_keeps_all_its_ticks() {
    on_both(|place| {
        let array = bare("AAPL", 0, 1.0);
        let ticks = [
            through(&array, "1-0"),
            through(&array, "1-0"),
            through(&bare("AAPL", 0, 1.0), "1-1"),
            through(&bare("MSFT", 5, 2.0), "18446744073709551615-18446744073709551615"),
        ];
        let status = place.keep(vec![streamed(&ticks, "2-0")]);
        assert_eq!((status.written, status.duplicates), (4, 0), "an entry may hold equal ticks");
        let status = place.keep(vec![streamed(&ticks, "2-0"), streamed(&ticks[1..3], "2-0")]);
        assert_eq!((status.written, status.duplicates), (0, 6));
        let mut other = streamed(&ticks, "2-0");
        other.stream = Some("other\u{0}".into());
        assert_eq!(place.keep(vec![other]).written, 4, "other streams have ids of their own");
        assert_eq!(place.ticks().last().unwrap().id, ticks[3].id);
    });
}

#[test]
fn a_tick_that_the_producer_sent_again_is_kept_once_in_spite_of_its_second_id() {
    on_both(|place| {
        let tick = numbered("p", 7, 0, 1.0);
        let status = place.keep(vec![streamed(&[through(&tick, "1-0"), through(&tick, "2-0")], "2-0")]);
        assert_eq!((status.written, status.duplicates), (1, 1));
        let status = place.keep(vec![streamed(&[through(&tick, "3-0")], "3-0")]);
        assert_eq!((status.written, status.duplicates), (0, 1));
    });
}

#[test]
fn what_nothing_tells_apart_is_kept_each_time() {
    on_both(|place| {
        let tick = bare("AAPL", 0, 1.0);
        let mut half = tick.clone();
        half.source = Some("p".into());
        let status = place.keep(vec![heard(&[tick.clone(), tick.clone(), half.clone(), half]), heard(&[tick])]);
        assert_eq!((status.written, status.duplicates), (5, 0));
        // An entry id without a stream does not identify a tick.
        let loose = through(&bare("AAPL", 0, 1.0), "1-0");
        assert_eq!(place.keep(vec![heard(&[loose.clone(), loose])]).written, 2);
    });
}

#[test]
fn the_checkpoint_goes_with_its_rows_and_never_back() {
    on_both(|place| {
        let keeper = place.keeper();
        assert_eq!(checkpoint(&keeper, "s"), None);
        let mut batch = streamed(&[through(&bare("A", 0, 1.0), "5-1")], "5-1");
        batch.ticket = 3;
        assert_eq!(keeper.offer(batch), 0);
        wait_committed(&keeper, 3);
        assert_eq!((checkpoint(&keeper, "s"), checkpoint(&keeper, "t")), (Some(id("5-1")), None));
        keeper.offer(streamed(&[], "4-9"));
        keeper.offer(streamed(&[], "18446744073709551615-1"));
        keeper.offer(streamed(&[], "9-9"));
        keeper.close(LIMIT);
        assert_eq!(
            checkpoint(&place.keeper(), "s"),
            Some(id("18446744073709551615-1")),
            "after the store was opened again"
        );
    });
}

#[test]
fn two_writers_at_once_keep_each_tick_once() {
    on_both(|place| {
        const TICKS: u64 = 6_000;
        // The same ticks in different batches; the last third of the second run is new.
        let run = |from: u64, size: usize| {
            let ticks: Vec<_> = (from..from + TICKS).map(|seq| numbered("p", seq, seq as i64, 1.0)).collect();
            let keeper = place.keeper();
            for chunk in ticks.chunks(size) {
                keeper.offer(heard(chunk));
                thread::yield_now();
            }
            keeper.close(LIMIT)
        };
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(|| run(0, 250));
            let other = scope.spawn(|| run(2_000, 410));
            (one.join().unwrap(), other.join().unwrap())
        });
        assert_eq!((one.dropped, other.dropped), (0, 0), "{one:?} {other:?}");
        assert_eq!(one.written + other.written, 8_000, "{one:?} {other:?}");
        assert_eq!(one.duplicates + other.duplicates, 4_000, "{one:?} {other:?}");
        assert_eq!(place.sql("SELECT count(*), count(DISTINCT major) FROM ticks"), "8000|8000");
    });
}

#[test]
fn old_ticks_go_and_young_ones_stay() {
    const MINUTE_NS: i64 = 60_000_000_000;
    on_both(|place| {
        let ticks: Vec<_> = (0..25_000).map(|n| bare(["A", "B", "C"][n % 3], n as i64 * 10, n as f64)).collect();
        place.keep(vec![heard(&ticks)]);
        // All ticks but those of the last minute are old. The newest tick decides, not the machine's clock.
        let keeper = place.keeper_with(Some(MINUTE_NS));
        let mut last = heard(&[bare("A", 250_000, 1.0)]);
        last.ticket = 9;
        keeper.offer(last);
        crate::support::wait::wait_until("the old ticks to go", LIMIT, || {
            place.sql("SELECT count(*) FROM ticks") == "6001"
        });
        let oldest = place.ticks()[0].time_ns;
        assert_eq!(oldest, super::fixture::START_NS + 250_000 * 1_000_000 - MINUTE_NS);
        keeper.close(LIMIT);
        assert_eq!(place.sql("SELECT count(*) FROM ticks"), "6001");
    });
}

#[test]
fn views_show_names_times_and_bars() {
    on_both(|place| {
        let mut ticks = [
            numbered("p", 1, 0, 10.0),
            // Equal times: the order of arrival decides which tick is first and which is last.
            numbered("a", 9, 0, 12.5),
            numbered("p", 2, 59_999, 9.5),
            numbered("a", 1, 59_999, 11.0),
            numbered("p", 3, 60_000, 11.5),
        ];
        ticks[0].size = Some(3.0);
        ticks[2].size = Some(4.0);
        ticks[3].time_ns += 999_999;
        ticks[2].time_ns += 999_999;
        let ids: Vec<_> = ticks.iter().map(|tick| through(tick, "7-1")).collect();
        place.keep(vec![heard(&ticks[..4]), streamed(&ids[4..], "7-1")]);
        let bars = "SELECT symbol, time, time_ns / 1000000000, open, high, low, close, volume, count FROM bars_1m \
                    ORDER BY time_ns";
        assert_eq!(
            place.sql(bars),
            "AAPL|2023-11-14T22:13:00Z|1699999980|10|12.5|9.5|11|7|4\n\
             AAPL|2023-11-14T22:14:00Z|1700000040|11.5|11.5|11.5|11.5||1"
        );
        let last = "SELECT symbol, time, price, size, source, seq, stream, id FROM ticks_view ORDER BY n DESC LIMIT 2";
        assert_eq!(
            place.sql(last),
            "AAPL|2023-11-14T22:14:00.000000000Z|11.5||p|3|s|7-1\n\
             AAPL|2023-11-14T22:13:59.999999999Z|11||a|1||"
        );
    });
}

#[test]
fn a_place_is_the_same_after_it_is_opened_again_and_again() {
    on_both(|place| {
        for round in 0..4 {
            let tick = numbered("p", round, round as i64, 1.0);
            assert_eq!(place.keep(vec![heard(&[tick.clone(), numbered("p", 0, 0, 1.0), tick])]).dropped, 0);
        }
        assert_eq!(place.ticks().len(), 4);
    });
}

#[test]
fn a_place_of_many_symbols_is_kept_and_read_whole() {
    let place = Place::file();
    let ticks: Vec<_> = (0..30_000).map(|n| bare(&format!("S{}", n % 3_000), n, n as f64)).collect();
    place.keep(vec![heard(&ticks)]);
    assert_eq!(place.ticks(), ticks);
}
