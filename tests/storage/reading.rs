//! `StoreReader` over SQLite and PostgreSQL.

use std::ops::ControlFlow;

use tickscope::model::Symbol;
use tickscope::storage::db::{DbError, StoreReader, TickRow};

use super::fixture::{Place, START_NS, bare, heard, numbered, on_both};

fn read(place: &Place, symbols: &[&str], from_ms: i64, to_ms: i64, limit: Option<u64>) -> Vec<f64> {
    let mut reader = StoreReader::open(&place.url).unwrap();
    let symbols: Vec<Symbol> = symbols.iter().filter_map(|name| Symbol::new(name)).collect();
    let mut prices = Vec::new();
    let (from_ns, to_ns) = (START_NS + from_ms * 1_000_000, START_NS + to_ms * 1_000_000);
    let count = reader.read(&symbols, from_ns, to_ns, limit, &mut |tick| prices.push(tick.price)).unwrap();
    assert_eq!(count, prices.len() as u64);
    prices
}

#[test]
fn a_span_of_some_symbols_comes_in_order_of_time() {
    on_both(|place| {
        let late = [bare("A", 3, 3.0), bare("B", 1, 1.0), bare("A", 2, 2.0), bare("C", 2, 2.5), bare("A", 9, 9.0)];
        place.keep(vec![heard(&late)]);
        assert_eq!(read(place, &[], 1, 3, None), [1.0, 2.0, 2.5, 3.0]);
        assert_eq!(read(place, &["C", "A", "none"], 0, 9, None), [2.0, 2.5, 3.0, 9.0]);
        assert_eq!(read(place, &[], 0, 9, Some(2)), [1.0, 2.0]);
        assert_eq!(read(place, &[], 0, 9, Some(0)), [0.0; 0]);
        assert_eq!(read(place, &[], 4, 8, None), [0.0; 0]);
        assert_eq!(read(place, &[], 9, 1, None), [0.0; 0]);
        let mut reader = StoreReader::open(&place.url).unwrap();
        assert_eq!(reader.span().unwrap(), Some((START_NS + 1_000_000, START_NS + 9_000_000)));
        let names: Vec<String> = reader.symbols().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["A", "B", "C"]);
    });
}

#[test]
fn ticks_of_one_time_keep_their_order_of_arrival_across_blocks() {
    on_both(|place| {
        // Clocks with whole seconds: thousands of ticks of several sources share a time, more than fit into a block.
        let sources = ["z", "a", "m"];
        let ticks: Vec<TickRow> = (0..15_000_u64)
            .map(|n| numbered(sources[(n % 3) as usize], 20_000 - n, (n / 6_000) as i64 * 1_000, n as f64))
            .collect();
        place.keep(ticks.chunks(700).map(heard).collect());
        assert_eq!(place.ticks(), ticks);
        let limited = read(place, &["AAPL"], 0, 9_000, Some(7_000));
        assert!(limited.iter().map(|price| *price as u64).eq(0..7_000), "{limited:?}");
    });
}

#[test]
fn the_newest_of_each_symbol_come_in_order_of_time() {
    on_both(|place| {
        let ticks: Vec<_> = (0..100).map(|n| bare(if n % 10 == 0 { "RARE" } else { "A" }, n, n as f64)).collect();
        place.keep(vec![heard(&ticks)]);
        let mut reader = StoreReader::open(&place.url).unwrap();
        let mut newest = |count| {
            let mut prices = Vec::new();
            reader.newest_per_symbol(count, &mut |tick| prices.push(tick.price)).unwrap();
            prices
        };
        assert_eq!(newest(2), [80.0, 90.0, 98.0, 99.0]);
        assert_eq!(newest(1_000).len(), 100);
        assert_eq!(newest(0), [0.0; 0]);
    });
}

#[test]
fn an_empty_store_is_read_as_empty_and_none_as_an_error() {
    on_both(|place| {
        let missing = StoreReader::open(&place.url).unwrap_err();
        assert!(matches!(missing, DbError::Missing { .. } | DbError::Foreign { .. }), "{missing}");
        place.keep(Vec::new());
        let mut reader = StoreReader::open(&place.url).unwrap();
        assert_eq!((reader.span().unwrap(), reader.symbols().unwrap()), (None, Vec::new()));
        assert_eq!(place.ticks(), Vec::new());
    });
}

#[test]
fn a_reader_sees_what_is_committed_while_it_is_open() {
    on_both(|place| {
        place.keep(vec![heard(&[numbered("p", 1, 1, 1.0)])]);
        let mut reader = StoreReader::open(&place.url).unwrap();
        assert_eq!(reader.read(&[], 0, i64::MAX, None, &mut |_| {}).unwrap(), 1);
        place.keep(vec![heard(&[numbered("new", 1, 2, 2.0), bare("NEW", 3, 3.0)])]);
        let mut sources = Vec::new();
        let count = reader.read(&[], 0, i64::MAX, None, &mut |tick| sources.push(tick.source.clone())).unwrap();
        assert_eq!((count, sources[1].as_deref(), sources[2].as_deref()), (3, Some("new"), None));
    });
}

#[test]
fn neighbours_of_an_instant_leave_outliers_out() {
    on_both(|place| {
        let mut ticks: Vec<TickRow> = (0..3_000).map(|n| bare("A", 10 + n / 100 * 1_000, n as f64)).collect();
        ticks.extend([bare("B", 5, 1.0), bare("B", 7, 2.0), bare("B", 7, 3.0), bare("B", 900, 4.0)]);
        ticks.iter_mut().filter(|tick| tick.price.rem_euclid(100.0) > 97.5).for_each(|tick| tick.outlier = true);
        ticks.last_mut().unwrap().outlier = true;
        place.keep(ticks.chunks(1_000).map(heard).collect());
        let mut reader = StoreReader::open(&place.url).unwrap();
        let at = |ms: i64| START_NS + ms * 1_000_000;
        let mut near = |name: &str, ms: i64| {
            let symbol = Symbol::new(name).unwrap();
            let mut prices = (None, None);
            let mut visit = |before: Option<TickRow>, after: Option<TickRow>| {
                prices = (before.map(|tick| tick.price), after.map(|tick| tick.price));
                ControlFlow::Continue(())
            };
            reader.neighbours(&[&symbol], Some(at(ms)), Some(at(ms)), &mut visit).unwrap();
            prices
        };
        assert_eq!(near("A", 10), (None, Some(0.0)));
        assert_eq!(near("A", 11), (Some(97.0), Some(100.0)), "the last that is no outlier");
        assert_eq!(near("A", 5_010), (Some(497.0), Some(500.0)));
        assert_eq!(near("A", 1_000_000), (Some(2_997.0), None));
        assert_eq!(near("B", 7), (Some(1.0), Some(2.0)));
        assert_eq!(near("B", 8), (Some(3.0), None));
        assert_eq!(near("none", 8), (None, None));
    });
}
