//! Export of the visible ticks: written by the real consumer, read by pandas and pyarrow, and compared bit by bit.

use std::path::Path;

use serde_json::{Value, json};

use super::fixture::{
    DAY, DAY_TICKS, LIMIT, Publisher, START_S, finish, headless, listen, report, tick, url, wait_for_counts,
};
use crate::support::process::{Ended, producer, python};
use crate::support::readers::reader;
use crate::support::server::{RedisServer, on_both};
use crate::support::wait::poll;

const FORMS: [&str; 2] = ["csv", "parquet"];

/// Symbol, time in ns, price and size, in the order of an export.
type Row = (&'static str, i64, f64, Option<f64>);

const START_NS: i64 = START_S as i64 * 1_000_000_000;

/// Symbols that need quoting, and prices that need all digits.
const ROWS: &[Row] = &[
    ("AAPL", START_NS + 1, 0.1 + 0.2, Some(100.0)),
    ("AAPL", START_NS + 1, 187.2, None),
    ("BRK,B", START_NS + 1, -37.63, Some(0.5)),
    ("say \"hi\"", START_NS + 123_456_789, 168.5, Some(1e-9)),
    ("two\nlines", START_NS + 123_456_790, 1.0 / 3.0, None),
    ("=1+1", START_NS + 1_000_000_000, 5e-324, Some(3.0)),
    ("NA", START_NS + 1_000_000_001, 9_007_199_254_740_993.0, Some(0.0)),
    ("\u{fc}n\u{ef}, \"\r\n\"", START_NS + 2_000_000_000, 1e-7, None),
    ("AAPL", START_NS + 59_999_999_999, -0.0, Some(7.0)),
];

fn message((symbol, time_ns, price, size): &Row) -> String {
    let mut tick = json!({"symbol": symbol, "price": price, "timestamp": time_ns});
    if let Some(size) = size {
        tick["size"] = json!(size);
    }
    tick.to_string()
}

fn bits(number: f64) -> Value {
    json!(format!("{:016x}", number.to_bits()))
}

fn read(path: &Path) -> Value {
    reader("read_export.py").args([path]).run(LIMIT).expect_code(0).json()
}

/// Checks that the folder contains these files only.
fn assert_files(folder: &Path, expected: &[&str]) {
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, expected);
}

fn assert_saved(ended: &Ended, count: usize, path: &Path) {
    assert!(ended.stderr.contains(&format!("saved {count} ticks to {}", path.display())), "{ended:?}");
}

#[test]
fn every_tick_in_view_comes_back_to_the_bit_and_no_other() {
    on_both(|name, port| {
        for form in FORMS {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(format!("out.{form}"));
            // The view ends at the newest tick. It is in the distant past, so the clock does not move the view.
            let mut consumer = listen(port, &["--window", "70s", "--export", path.to_str().unwrap()]);
            let mut publisher = Publisher::connect(port);
            // Ticks are published out of order. The first symbol to arrive is first in the legend.
            publisher.publish_all("stock_prices", ROWS.iter().filter(|row| row.0 == "AAPL").map(message));
            publisher.publish_all("stock_prices", ROWS.iter().rev().filter(|row| row.0 != "AAPL").map(message));
            publisher.publish_all("stock_prices", [message(&("AAPL", START_NS - 3_600_000_000_000, 1.0, None))]);
            let count = ROWS.len() + 1;
            wait_for_counts(&mut consumer, count as u64, 0);
            let ended = consumer.stop("TERM", LIMIT).expect_code(0);
            assert_eq!(report(&ended)["kept"], count, "{name}");
            assert_saved(&ended, ROWS.len(), &path);
            assert_files(folder.path(), &[&format!("out.{form}")]);

            let found = read(&path);
            let row = |row: &Row| json!([row.0, row.1, bits(row.2), row.3.map(bits)]);
            assert_eq!(found["rows"], ROWS.iter().map(row).collect::<Value>(), "{form} over {name}");
            let types = match form {
                "csv" => json!({"symbol": "str", "time": "str", "time_ns": "int64", "price": "float64",
                                "size": "float64", "outlier": "bool"}),
                _ => json!({"symbol": "string not null", "time": "timestamp[ns, tz=UTC] not null",
                            "price": "double not null", "size": "double", "outlier": "bool not null"}),
            };
            assert_eq!(found["types"], types);
        }
    });
}

#[test]
fn a_whole_day_is_exported_as_it_was_recorded() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let paths = FORMS.map(|form| folder.path().join(format!("day.{form}")));
    let consumers =
        paths.each_ref().map(|path| listen(redis.port, &["--window", "1d", "--export", path.to_str().unwrap()]));
    let replay = ["--replay", DAY, "--speed", "max", "--keep-timestamps", "--redis", &url(redis.port)];
    producer().args(replay).run(LIMIT).expect_code(0);
    for (consumer, path) in consumers.into_iter().zip(&paths) {
        finish(consumer, DAY_TICKS, 0);
        let found = reader("read_export.py").args([path.as_path(), Path::new(DAY)]).run(LIMIT).expect_code(0).json();
        assert_eq!(found, json!({"same": true, "count": DAY_TICKS}), "{}", path.display());
    }
    // A line of CSV takes about 70 bytes; typed columns with dictionaries take a fraction of it.
    let [csv, parquet] = paths.map(|path| std::fs::metadata(path).unwrap().len());
    assert!(parquet * 4 < csv, "{parquet} bytes of Parquet, {csv} of CSV");
}

#[test]
fn a_run_that_ends_by_itself_leaves_picture_and_ticks() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let ticks: Vec<String> = (0..100).map(|i| tick("A<&>B", 100.0 + i as f64, i)).collect();
    let run_for = |time: &str| {
        let launch = headless(redis.port).args(["--snapshot", "out.svg", "--export", "out.parquet", "--for", time]);
        let mut consumer = launch.dir(folder.path()).start();
        poll(LIMIT, || (consumer.stderr().contains("subscribed at") || !consumer.is_running()).then_some(()));
        let mut publisher = Publisher::connect(redis.port);
        for tick in &ticks {
            publisher.publish("stock_prices", tick);
        }
        consumer.wait(LIMIT).expect_code(0)
    };
    // On a busy machine the time may expire before all ticks have arrived; the run is then repeated with more time.
    let ended = ["2s", "20s", "80s"].into_iter().map(run_for).find(|ended| report(ended)["received"] == 100);
    let ended = ended.expect("all ticks are heard");
    assert_saved(&ended, 100, Path::new("out.parquet"));
    assert_files(folder.path(), &["out.parquet", "out.svg"]);
    assert_eq!(read(&folder.path().join("out.parquet"))["rows"].as_array().unwrap().len(), 100);

    let svg = python("read_svg.py").args([folder.path().join("out.svg")]).run(LIMIT).expect_code(0).json();
    assert_eq!(svg["elements"].get("image"), None, "vectors, and no bitmap inside: {svg}");
    assert!(svg["elements"]["polyline"].as_u64() > Some(0), "{svg}");
    assert!(svg["texts"].as_array().unwrap().contains(&json!("A<&>B")), "text is text: {svg}");
}

#[test]
fn a_view_without_ticks_is_a_file_without_rows() {
    let redis = RedisServer::start();
    for form in FORMS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("out.{form}"));
        let ended = headless(redis.port).args(["--for", "0.3s", "--export"]).args([&path]).run(LIMIT).expect_code(0);
        assert_saved(&ended, 0, &path);
        assert_eq!(read(&path)["rows"], json!([]), "{form}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_said_after_the_figures() {
    let redis = RedisServer::start();
    for form in FORMS {
        let folder = tempfile::tempdir().unwrap();
        // A folder that does not exist, and a path that is a folder.
        let taken = folder.path().join(format!("taken.{form}"));
        std::fs::create_dir(&taken).unwrap();
        for path in [folder.path().join("none").join(format!("out.{form}")), taken] {
            let consumer = listen(redis.port, &["--export", path.to_str().unwrap()]);
            Publisher::connect(redis.port).publish_all("stock_prices", [tick("A", 1.0, 0)]);
            let mut consumer = consumer;
            wait_for_counts(&mut consumer, 1, 0);
            let ended = consumer.stop("TERM", LIMIT).expect_code(1);
            assert_eq!(report(&ended)["received"], 1, "the figures are printed all the same");
            let complaint = format!("error: cannot write {}: ", path.display());
            assert!(ended.stderr.contains(&complaint), "{ended:?}");
            assert!(ended.stderr.contains("choose a folder that exists, is writable and has room"), "{ended:?}");
            assert_files(folder.path(), &[&format!("taken.{form}")]);
        }
    }
}

#[test]
fn an_export_of_another_form_is_refused_at_once() {
    let ended = headless(1).args(["--export", "out.xlsx"]).run(LIMIT).expect_code(2);
    assert!(ended.stderr.contains("must end in .csv or .parquet"), "{ended:?}");
}
