//! Exported rows against a sorted list of all ticks, with ticks that arrive and are evicted meanwhile.

use super::*;
use crate::model::{Name, Price, Tick, TickView, Timestamp};
use crate::series::{HistoryLimits, SeriesMapConfig};

fn source(ticks_max: usize) -> ExportSource {
    let history = HistoryLimits { ticks_max, age_ns_max: None };
    let config = SeriesMapConfig { symbols: Vec::new(), symbols_max: 1_000, history };
    ExportSource { series: SeriesHandle::new(SeriesMap::new(config)), backfill: None }
}

fn push(source: &ExportSource, symbol: &str, time_ns: i64, price: f64) {
    let tick = Tick {
        symbol: Symbol::new(symbol).unwrap(),
        price: Price::new(price).unwrap(),
        timestamp: Timestamp::from_nanos(time_ns).unwrap(),
        size: None,
        seq: None,
        source: None,
    };
    source.series.lock().append(&tick, tick.timestamp);
}

fn write_csv(source: &ExportSource, symbols: &[usize], span: TimeSpan, path: &Path) -> Saved {
    write(source, symbols, span, path, TickFormat::Csv, &AtomicBool::new(false)).unwrap().unwrap()
}

/// Symbol, time and price of every row.
fn export(source: &ExportSource, symbols: &[usize], span: (i64, i64)) -> Vec<(String, i64, f64)> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.csv");
    let saved = write_csv(source, symbols, TimeSpan { start: span.0, end: span.1 }, &path);
    assert!(saved.is_complete);
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
fn rows_are_sorted_by_time_then_legend_then_arrival() {
    let source = source(1_000_000);
    let names = ["C", "A", "B"];
    let mut expected = Vec::new();
    for i in 0..60_000_i64 {
        // Few instants, so that nearly all ticks share theirs with ticks of their own symbol and of others. One instant
        // has more ticks than a chunk.
        let time_ns = if i % 2 == 0 { 5_000 } else { i / 100 * 10 };
        let place = (i * 7 % 3) as usize;
        push(&source, names[place], time_ns, i as f64);
        expected.push((time_ns, place, i as f64));
    }
    let places: Vec<usize> = ["C", "A", "B"].map(|name| source.series.lock().id(name).unwrap().index()).into();
    expected.retain(|(time_ns, ..)| (1_000..5_500).contains(time_ns));
    expected.sort_by_key(|(time_ns, place, _)| (*time_ns, *place));
    let rows = export(&source, &places, (1_000, 5_500));
    let expected: Vec<_> =
        expected.iter().map(|(time, place, price)| (names[*place].to_owned(), *time, *price)).collect();
    assert!(rows == expected, "{} rows, {} expected", rows.len(), expected.len());
    let one = export(&source, &places[1..2], (1_000, 5_500));
    assert!(one.iter().all(|(symbol, ..)| symbol == "A") && one.len() < rows.len());
    assert_eq!(export(&source, &places, (9_000, 9_001)), []);
    assert_eq!(export(&source, &[], (1_000, 5_500)), []);
    assert_eq!(export(&source, &[77], (1_000, 5_500)), [], "there is no such symbol");
}

#[test]
fn outliers_are_exported_and_flagged() {
    let source = source(1_000);
    for (time_ns, price, is_outlier) in [(10, 1.0, false), (20, 99.0, true), (20, 2.0, false), (30, 3.0, false)] {
        let (symbol, price) = (Name::new("A").unwrap(), Price::new(price).unwrap());
        let timestamp = Timestamp::from_nanos(time_ns).unwrap();
        let tick = TickView { symbol, price, timestamp, size: None, seq: None, source: None };
        source.series.lock().append_restored(&tick, is_outlier);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.csv");
    let span = TimeSpan { start: 15, end: 40 };
    assert_eq!(write_csv(&source, &[0], span, &path).rows, 3);
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<&str> = text.lines().skip(1).filter_map(|line| Some(line.split_once("Z,")?.1)).collect();
    assert_eq!(rows, ["20,2.0,,false", "20,99.0,,true", "30,3.0,,false"]);
}

#[test]
fn no_tick_is_written_twice_while_the_feed_continues() {
    const COUNT: i64 = 300_000;
    let source = source(COUNT as usize);
    for i in 0..COUNT {
        push(&source, "A", i * 10, i as f64);
    }
    let rows = std::thread::scope(|scope| {
        // Newer ticks evict the older half while it is being written.
        let feed = scope.spawn(|| (COUNT..COUNT * 3 / 2).for_each(|i| push(&source, "A", i * 10, i as f64)));
        let rows = export(&source, &[0], (0, COUNT * 10));
        feed.join().unwrap();
        rows
    });
    assert!(rows.is_sorted_by(|a, b| a.1 < b.1), "in order, and none twice");
    assert!(rows.iter().all(|(_, time_ns, price)| *time_ns < COUNT * 10 && *time_ns == *price as i64 * 10));
    let newer = rows.iter().filter(|row| row.1 >= COUNT * 5).count() as i64;
    assert_eq!(newer, COUNT / 2, "ticks that stayed in memory are exported");
}

#[test]
fn eviction_during_the_export_skips_only_evicted_ticks() {
    // Evicts ticks of one instant, of several, and of the instant that was read last.
    for per_instant in [1, 3, 1_000] {
        let source = source(1_000);
        (0..1_000).for_each(|i| push(&source, "A", 1_000 + i / per_instant, i as f64));
        let span = TimeSpan { start: 0, end: 5_000 };
        for evicted in [0, 1, 9, 10, 11, 500] {
            let mut cursor = Cursor::open(&source.series.lock(), None, 0, false, span).unwrap();
            let oldest = source.series.lock().get(0).unwrap().1.first().unwrap().price;
            cursor.refill(&source.series.lock(), 10);
            assert_eq!((cursor.ticks[0].price, cursor.ticks.len()), (oldest, 10));
            // Beyond the span.
            (0..evicted).for_each(|_| push(&source, "A", 9_000, -1.0));
            cursor.refill(&source.series.lock(), 10);
            let next = cursor.ticks.first().map(|tick| tick.price);
            let expected = oldest + f64::from(evicted.max(10));
            assert_eq!(next, Some(expected).filter(|price| *price < 1_000.0), "{per_instant} {evicted}");
        }
    }
}
