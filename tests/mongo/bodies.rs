//! Tests of a store on any server; each gets an empty database.

use std::thread;

use mongodb::bson::{Document, doc};
use tickscope::model::{StreamId, Symbol};
use tickscope::storage::db::{DbConfig, DbError, DbWriter, StoreReader, TickRow};

use super::fixture::{
    LIMIT, Place, START_NS, bare, checkpoint, heard, keeper, numbered, streamed, through, wait_committed,
};
use super::server::Kind;
use crate::support::wait::wait_until;

/// Runs each test over the fake server, standalone and as a replica set, and all tests over a real one.
macro_rules! bodies {
    ($($name:ident),+ $(,)?) => {
        pub const ALL: &[(&str, fn(&Place))] = &[$((stringify!($name), $name)),+];

        mod alone {
            $(#[test]
            fn $name() {
                super::$name(&super::Place::on(super::Kind::Alone));
            })+
        }

        mod replica_set {
            $(#[test]
            fn $name() {
                super::$name(&super::Place::on(super::Kind::ReplicaSet));
            })+
        }
    };
}

bodies!(
    what_goes_in_comes_out_to_the_bit,
    a_tick_is_kept_once_by_whatever_way_it_comes,
    what_nothing_tells_apart_is_kept_each_time,
    the_checkpoint_goes_with_its_rows_and_never_back,
    two_writers_at_once_keep_each_tick_once,
    old_ticks_go_and_young_ones_stay,
    a_span_of_some_symbols_comes_in_order_of_time,
    ticks_of_one_time_keep_their_order_of_arrival_across_blocks,
    databases_that_are_no_store_are_refused,
    a_store_is_made_once_and_a_broken_off_one_is_finished,
);

fn what_goes_in_comes_out_to_the_bit(place: &Place) {
    let prices = [-0.0, 0.1 + 0.2, 5e-324, f64::MAX, -37.63, 9_007_199_254_740_993.0, f64::MIN_POSITIVE, 100.0];
    let mut ticks: Vec<_> = (0..).zip(prices).map(|(ms, price)| bare("A\"'\u{0}$.\u{1b}ü\n", ms, price)).collect();
    ticks[1].size = Some(0.0);
    ticks[2].size = Some(0.1);
    ticks[3].source = Some("p\u{0}".into());
    ticks[4].seq = Some(u64::MAX);
    ticks[5].source = Some(String::new().into());
    ticks[5].seq = Some(0);
    ticks[6].time_ns = i64::MAX;
    ticks[7].time_ns = 0;
    ticks[7].outlier = true;
    let status = place.keep(vec![heard(&ticks)]);
    assert_eq!((status.written, status.duplicates, status.dropped, status.waiting), (8, 0, 0, 0), "{status:?}");
    ticks.sort_by_key(|tick| tick.time_ns);
    let read = place.ticks();
    assert_eq!(read, ticks);
    let bits = |value: f64| value.to_bits();
    for (read, tick) in read.iter().zip(&ticks) {
        assert_eq!(bits(read.price), bits(tick.price));
        assert_eq!(read.size.map(bits), tick.size.map(bits));
    }
}

fn a_tick_is_kept_once_by_whatever_way_it_comes(place: &Place) {
    let ticks = [numbered("p", 1, 0, 1.0), numbered("p", 2, 1, 2.0), numbered("q", 1, 0, 1.0)];
    let twice = [&ticks[..], &ticks[..1]].concat();
    let status = place.keep(vec![heard(&twice)]);
    assert_eq!((status.written, status.duplicates), (3, 1), "within a transaction");
    let status = place.keep(vec![heard(&ticks), heard(&[numbered("p", 3, 2, 3.0)])]);
    assert_eq!((status.written, status.duplicates), (1, 3), "in another one");
    let healed = [through(&ticks[1], "5-0"), through(&numbered("p", 4, 3, 4.0), "6-0")];
    let status = place.keep(vec![streamed(&healed, "6-0")]);
    assert_eq!((status.written, status.duplicates), (1, 1), "by another way");
    // A source restarts within one second of its clock: different prices are different ticks.
    let status = place.keep(vec![heard(&[numbered("p", 1, 0, 1.5), numbered("p", 1, 9, 1.0)])]);
    assert_eq!((status.written, status.duplicates), (2, 0));
    // Symbol and source are not ambiguous when they are concatenated.
    let ab = |symbol: &str, source: &str| TickRow { symbol: symbol.into(), ..numbered(source, 1, 0, 1.0) };
    assert_eq!(place.keep(vec![heard(&[ab("a", "b"), ab("ab", ""), ab("", "ab")])]).written, 3);
    // 0.0 and -0.0 are the same price.
    assert_eq!(place.keep(vec![heard(&[numbered("z", 1, 0, 0.0), numbered("z", 1, 0, -0.0)])]).written, 1);
    // Entries without sequence numbers; one of them contains equal ticks.
    let array = bare("AAPL", 0, 1.0);
    let entries = [
        through(&array, "1-0"),
        through(&array, "1-0"),
        through(&array, "1-1"),
        through(&bare("MSFT", 5, 2.0), "18446744073709551615-18446744073709551615"),
    ];
    let status = place.keep(vec![streamed(&entries, "2-0")]);
    assert_eq!((status.written, status.duplicates), (4, 0), "an entry may hold equal ticks");
    let status = place.keep(vec![streamed(&entries, "2-0"), streamed(&entries[1..3], "2-0")]);
    assert_eq!((status.written, status.duplicates), (0, 6));
    let mut other = streamed(&entries, "2-0");
    other.stream = Some("other\u{0}".into());
    assert_eq!(place.keep(vec![other]).written, 4, "other streams have ids of their own");
    assert_eq!(place.count("ticks"), 3 + 1 + 1 + 2 + 3 + 1 + 4 + 4);
}

fn what_nothing_tells_apart_is_kept_each_time(place: &Place) {
    let tick = bare("AAPL", 0, 1.0);
    let mut half = tick.clone();
    half.source = Some("p".into());
    let status = place.keep(vec![heard(&[tick.clone(), tick.clone(), half.clone(), half]), heard(&[tick])]);
    assert_eq!((status.written, status.duplicates), (5, 0));
    let loose = through(&bare("AAPL", 0, 1.0), "1-0");
    assert_eq!(place.keep(vec![heard(&[loose.clone(), loose])]).written, 2);
    assert_eq!(place.count("ticks"), 7);
}

fn the_checkpoint_goes_with_its_rows_and_never_back(place: &Place) {
    let id = |text: &str| Some(text.parse::<StreamId>().unwrap());
    let keeper = place.keeper();
    assert_eq!(checkpoint(&keeper, "s"), None);
    let mut batch = streamed(&[through(&bare("A", 0, 1.0), "5-1")], "5-1");
    batch.ticket = 3;
    assert_eq!(keeper.offer(batch), 0);
    wait_committed(&keeper, 3);
    assert_eq!((checkpoint(&keeper, "s"), checkpoint(&keeper, "t")), (id("5-1"), None));
    keeper.offer(streamed(&[], "4-9"));
    keeper.offer(streamed(&[], "18446744073709551615-1"));
    keeper.offer(streamed(&[], "9-9"));
    keeper.close(LIMIT);
    assert_eq!(checkpoint(&place.keeper(), "s"), id("18446744073709551615-1"), "after the store was opened again");
}

fn two_writers_at_once_keep_each_tick_once(place: &Place) {
    const TICKS: u64 = 3_000;
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
        let other = scope.spawn(|| run(1_000, 410));
        (one.join().unwrap(), other.join().unwrap())
    });
    assert_eq!((one.dropped, other.dropped), (0, 0), "{one:?} {other:?}");
    assert_eq!(one.written + other.written, 4_000, "{one:?} {other:?}");
    assert_eq!(one.duplicates + other.duplicates, 2_000, "{one:?} {other:?}");
    assert_eq!(place.count("ticks"), 4_000);
}

fn old_ticks_go_and_young_ones_stay(place: &Place) {
    const MINUTE_NS: i64 = 60_000_000_000;
    let ticks: Vec<_> = (0..25_000).map(|n| bare(["A", "B", "C"][n % 3], n as i64 * 10, n as f64)).collect();
    place.keep(vec![heard(&ticks)]);
    // All ticks but those of the last minute are old. The newest tick decides, not the machine's clock.
    let keeper = keeper(&place.url, Some(MINUTE_NS));
    let mut last = heard(&[bare("A", 250_000, 1.0)]);
    last.ticket = 9;
    keeper.offer(last);
    wait_until("the old ticks to go", LIMIT, || place.count("ticks") == 6_001);
    assert_eq!(place.ticks()[0].time_ns, START_NS + 250_000 * 1_000_000 - MINUTE_NS);
    keeper.close(LIMIT);
    assert_eq!(place.count("ticks"), 6_001);
}

fn read(place: &Place, symbols: &[&str], from_ms: i64, to_ms: i64, limit: Option<u64>) -> Vec<f64> {
    let mut reader = StoreReader::open(&place.url).unwrap();
    let symbols: Vec<Symbol> = symbols.iter().filter_map(|name| Symbol::new(name)).collect();
    let mut prices = Vec::new();
    let (from_ns, to_ns) = (START_NS + from_ms * 1_000_000, START_NS + to_ms * 1_000_000);
    reader.read(&symbols, from_ns, to_ns, limit, &mut |tick| prices.push(tick.price)).unwrap();
    prices
}

fn a_span_of_some_symbols_comes_in_order_of_time(place: &Place) {
    let late = [bare("A", 3, 3.0), bare("B", 1, 1.0), bare("A", 2, 2.0), bare("C", 2, 2.5), bare("A", 9, 9.0)];
    place.keep(vec![heard(&late)]);
    assert_eq!(read(place, &[], 1, 3, None), [1.0, 2.0, 2.5, 3.0]);
    assert_eq!(read(place, &["C", "A", "none"], 0, 9, None), [2.0, 2.5, 3.0, 9.0]);
    assert_eq!(read(place, &[], 0, 9, Some(2)), [1.0, 2.0]);
    assert_eq!(read(place, &[], 4, 8, None), [0.0; 0]);
    let mut reader = StoreReader::open(&place.url).unwrap();
    assert_eq!(reader.span().unwrap(), Some((START_NS + 1_000_000, START_NS + 9_000_000)));
    let names: Vec<String> = reader.symbols().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["A", "B", "C"]);
    let mut newest = Vec::new();
    reader.newest_per_symbol(2, &mut |tick| newest.push(tick.price)).unwrap();
    assert_eq!(newest, [1.0, 2.5, 3.0, 9.0]);
    // An open reader sees later commits.
    place.keep(vec![heard(&[bare("NEW", 4, 4.0)])]);
    assert_eq!(reader.read(&[], 0, i64::MAX, None, &mut |_| {}).unwrap(), 6);
}

fn ticks_of_one_time_keep_their_order_of_arrival_across_blocks(place: &Place) {
    // Clocks with whole seconds: thousands of ticks of several sources share a time, more than fit into a block.
    let sources = ["z", "a", "m"];
    let ticks: Vec<TickRow> = (0..15_000_u64)
        .map(|n| numbered(sources[(n % 3) as usize], 20_000 - n, (n / 6_000) as i64 * 1_000, n as f64))
        .collect();
    place.keep(ticks.chunks(700).map(heard).collect());
    assert_eq!(place.ticks(), ticks);
}

fn put(place: &Place, collection: &str, document: Document) {
    place.ask(async |database| database.collection::<Document>(collection).insert_one(document).await.unwrap());
}

fn refused(place: &Place) -> DbError {
    let error = StoreReader::open(&place.url).unwrap_err();
    let config = DbConfig { url: place.url.clone(), keep_age_ns: None, rows_waiting_max: 10 };
    assert_eq!(DbWriter::open(config).unwrap_err().to_string(), error.to_string());
    error
}

fn databases_that_are_no_store_are_refused(place: &Place) {
    let empty = StoreReader::open(&place.url).unwrap_err();
    assert!(matches!(empty, DbError::Foreign { .. }), "{empty}");
    put(place, "meta", doc! { "_id": "of another program" });
    let foreign = refused(place);
    assert!(matches!(foreign, DbError::Foreign { .. }), "{foreign}");
    place.ask(async |database| database.drop().await.unwrap());
    put(place, "ticks", doc! { "_id": 1 });
    let foreign = refused(place);
    assert!(foreign.to_string().contains("collections of another program"), "{foreign}");
    place.ask(async |database| database.drop().await.unwrap());
    put(place, "meta", doc! { "_id": "tickscope_version", "value": 7_i64 });
    let newer = refused(place);
    assert!(matches!(newer, DbError::Newer { found: 7, known: 1, .. }), "{newer}");
}

fn a_store_is_made_once_and_a_broken_off_one_is_finished(place: &Place) {
    put(place, "meta", doc! { "_id": "tickscope_version", "value": 0_i64 });
    put(place, "streams", doc! { "_id": "t", "reached": "00000000000000000007-00000000000000000001" });
    assert_eq!(checkpoint(&place.keeper(), "t"), "7-1".parse().ok());
    for round in 0..3 {
        let tick = numbered("p", round, round as i64, 1.0);
        assert_eq!(place.keep(vec![heard(&[tick.clone(), numbered("p", 0, 0, 1.0), tick])]).dropped, 0);
    }
    assert_eq!(place.ticks().len(), 3);
    let mut names = place.ask(async |database| database.list_collection_names().await.unwrap());
    names.retain(|name| !name.starts_with("system."));
    names.sort();
    assert_eq!(names, ["bars_1m", "meta", "streams", "ticks", "ticks_view", "writers"]);
}
