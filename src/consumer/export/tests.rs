//! What is written, against a sorted list of everything; with ticks that come and go meanwhile.

use super::*;
use crate::model::{Name, Price, Tick, TickView, Timestamp};
use crate::series::{HistoryLimits, SeriesMapConfig};

fn shared(ticks_max: usize) -> Shared {
    let history = HistoryLimits { ticks_max, age_ns_max: None };
    Shared::new(SeriesMap::new(SeriesMapConfig { symbols: Vec::new(), symbols_max: 1_000, history }))
}

fn push(shared: &Shared, symbol: &str, time_ns: i64, price: f64) {
    let tick = Tick {
        symbol: Symbol::new(symbol).unwrap(),
        price: Price::new(price).unwrap(),
        timestamp: Timestamp::from_nanos(time_ns).unwrap(),
        size: None,
        seq: None,
        source: None,
    };
    shared.book().append(&tick, tick.timestamp);
}

/// Symbol, time and price of every row.
fn export(shared: &Shared, symbols: &[usize], span: (i64, i64)) -> Vec<(String, i64, f64)> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.csv");
    let span = TimeSpan { start: span.0, end: span.1 };
    let saved = write(shared, symbols, span, &path, ExportFormat::Csv).unwrap();
    assert!(saved.is_whole);
    let text = std::fs::read_to_string(&path).unwrap();
    let rows = text.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[0].to_owned(), cells[2].parse().unwrap(), cells[3].parse().unwrap())
    });
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len() as u64, saved.rows);
    rows
}

#[test]
fn rows_are_in_order_of_time_then_of_the_legend_then_of_arrival() {
    let shared = shared(1_000_000);
    let names = ["C", "A", "B"];
    let mut expected = Vec::new();
    for i in 0..60_000_i64 {
        // Few instants, so that nearly all ticks share theirs with ticks of their own symbol and of others, and one
        // instant has more ticks than are taken at once.
        let time_ns = if i % 2 == 0 { 5_000 } else { i / 100 * 10 };
        let place = (i * 7 % 3) as usize;
        push(&shared, names[place], time_ns, i as f64);
        expected.push((time_ns, place, i as f64));
    }
    let places: Vec<usize> = ["C", "A", "B"].map(|name| shared.book().id(name).unwrap().index()).into();
    expected.retain(|(time_ns, ..)| (1_000..5_500).contains(time_ns));
    expected.sort_by_key(|(time_ns, place, _)| (*time_ns, *place));
    let rows = export(&shared, &places, (1_000, 5_500));
    let expected: Vec<_> =
        expected.iter().map(|(time, place, price)| (names[*place].to_owned(), *time, *price)).collect();
    assert!(rows == expected, "{} rows, {} expected", rows.len(), expected.len());
    let one = export(&shared, &places[1..2], (1_000, 5_500));
    assert!(one.iter().all(|(symbol, ..)| symbol == "A") && one.len() < rows.len());
    assert_eq!(export(&shared, &places, (9_000, 9_001)), []);
    assert_eq!(export(&shared, &[], (1_000, 5_500)), []);
    assert_eq!(export(&shared, &[77], (1_000, 5_500)), [], "there is no such symbol");
}

#[test]
fn outliers_are_there_and_flagged() {
    let shared = shared(1_000);
    for (time_ns, price, is_outlier) in [(10, 1.0, false), (20, 99.0, true), (20, 2.0, false), (30, 3.0, false)] {
        let (symbol, price) = (Name::new("A").unwrap(), Price::new(price).unwrap());
        let timestamp = Timestamp::from_nanos(time_ns).unwrap();
        let tick = TickView { symbol, price, timestamp, size: None, seq: None, source: None };
        shared.book().append_restored(&tick, is_outlier);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.csv");
    let span = TimeSpan { start: 15, end: 40 };
    assert_eq!(write(&shared, &[0], span, &path, ExportFormat::Csv).unwrap().rows, 3);
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<&str> = text.lines().skip(1).filter_map(|line| Some(line.split_once("Z,")?.1)).collect();
    assert_eq!(rows, ["20,2.0,,false", "20,99.0,,true", "30,3.0,,false"]);
}

#[test]
fn the_feed_goes_on_meanwhile_and_no_tick_is_written_twice() {
    const COUNT: i64 = 300_000;
    let shared = shared(COUNT as usize);
    for i in 0..COUNT {
        push(&shared, "A", i * 10, i as f64);
    }
    let rows = std::thread::scope(|scope| {
        // Newer ticks drive out the older half while it is being written.
        let feed = scope.spawn(|| (COUNT..COUNT * 3 / 2).for_each(|i| push(&shared, "A", i * 10, i as f64)));
        let rows = export(&shared, &[0], (0, COUNT * 10));
        feed.join().unwrap();
        rows
    });
    assert!(rows.is_sorted_by(|a, b| a.1 < b.1), "in order, and none twice");
    assert!(rows.iter().all(|(_, time_ns, price)| *time_ns < COUNT * 10 && *time_ns == *price as i64 * 10));
    let newer = rows.iter().filter(|row| row.1 >= COUNT * 5).count() as i64;
    assert_eq!(newer, COUNT / 2, "what was kept all the time is there");
}

#[test]
fn what_gives_way_meanwhile_takes_nothing_else_with_it() {
    // Of one instant, of several, and of the instant that was read last.
    for per_instant in [1, 3, 1_000] {
        let shared = shared(1_000);
        (0..1_000).for_each(|i| push(&shared, "A", 1_000 + i / per_instant, i as f64));
        let span = TimeSpan { start: 0, end: 5_000 };
        for evicted in [0, 1, 9, 10, 11, 500] {
            let mut lane = Lane::open(&shared.book(), None, (0, false), span).unwrap();
            let oldest = shared.book().get(0).unwrap().1.first().unwrap().price;
            lane.refill(&shared.book(), 10);
            assert_eq!((lane.ticks[0].price, lane.ticks.len()), (oldest, 10));
            // Beyond the span.
            (0..evicted).for_each(|_| push(&shared, "A", 9_000, -1.0));
            lane.refill(&shared.book(), 10);
            let next = lane.ticks.first().map(|tick| tick.price);
            let expected = oldest + f64::from(evicted.max(10));
            assert_eq!(next, Some(expected).filter(|price| *price < 1_000.0), "{per_instant} {evicted}");
        }
    }
}
