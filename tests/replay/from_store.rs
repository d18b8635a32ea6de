//! `producer --replay` of Parquet files and stores, as subscribers receive it.

use serde_json::{Value, json};
use tickscope::model::{Decoder, Origin, Tick, Timestamp};
use tickscope::storage::db::TickRow;

use super::fixture::{LIMIT, keep, on_both, ticks};
use crate::support::postgres::PostgresServer;
use crate::support::process::{Ended, Launch, producer};
use crate::support::readers::{python, reader};
use crate::support::redis_server::RedisServer;

/// Replays and returns the received ticks: symbol, time in ns, bits of price and of size.
fn heard(redis: &RedisServer, what: &str, args: &[&str]) -> (Ended, Value) {
    let subscriber = redis.subscribe("stock_prices");
    let launch = producer().args(["--redis", &redis.url(), "--replay", what, "--stats", "json", "--timestamps", "ns"]);
    let ended = launch.args(args).run(LIMIT).expect_code(0);
    let rows = subscriber.finish().iter().map(|payload| heard_row(payload)).collect();
    (ended, rows)
}

fn bits(number: f64) -> String {
    format!("{:016x}", number.to_bits())
}

/// Decodes with the project's decoder, because `serde_json` may get the last bit of a number wrong.
fn heard_row(payload: &str) -> Value {
    let mut row = Value::Null;
    Decoder::default().decode(payload.as_bytes(), Origin::at(Timestamp::now()), |tick| {
        let Tick { symbol, timestamp, price, size, .. } = tick.unwrap();
        row = json!([symbol.as_str(), timestamp.as_nanos(), bits(price.get()), size.map(bits)]);
    });
    row
}

fn row(tick: &TickRow) -> Value {
    json!([tick.symbol.as_str(), tick.time_ns, bits(tick.price), tick.size.map(bits)])
}

const WHOLE: [&str; 3] = ["--speed", "max", "--keep-timestamps"];

#[test]
fn what_pandas_and_polars_write_arrives_to_the_bit() {
    let redis = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let written = reader("write_ticks.py").args([dir.path()]).run(LIMIT).expect_code(0).json();
    let written = written.as_object().unwrap();
    assert!(written.len() >= 20, "{}", written.len());
    for (name, rows) in written {
        let (ended, found) = heard(&redis, dir.path().join(name).to_str().unwrap(), &WHOLE);
        let count = rows.as_array().unwrap().len();
        let first = (0..count).find(|&i| found[i] != rows[i]);
        assert!(found == *rows, "{name}: {first:?}: {:?}", first.map(|i| (&found[i], &rows[i])));
        assert_eq!(ended.json()["rejected"], json!({}), "{name}");
    }
}

#[test]
fn rows_that_are_no_ticks_are_counted_by_cause_and_row() {
    let redis = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd");
    let script = "
import polars
times = ['1381152600', None, 'noon', '1381152601', '1381152602', '9e9', '2013-10-07T13:30:05.5Z', '-1']
symbols = ['A', 'B', 'C', None, '', 'D', 'E', 'F']
prices = [1.5, 1, 1, 1, 1, float('inf'), 2.5, 1]
sizes = [-1.0, 1, 1, 1, 1, 1, None, 1]
polars.DataFrame({'ts': times, 'sym': symbols, 'last': prices, 'qty': sizes}).write_parquet('odd')
";
    python().args(["-c", script]).dir(dir.path()).run(LIMIT).expect_code(0);
    let (ended, found) = heard(&redis, path.to_str().unwrap(), &WHOLE);
    assert_eq!(found, json!([["E", 1_381_152_605_500_000_000_i64, bits(2.5), null]]));
    let rejected = json!({"bad_size": 1, "missing_field": 2, "bad_timestamp": 1, "bad_symbol": 1, "not_finite": 1,
                          "before_1970": 1});
    assert_eq!(ended.json()["rejected"], rejected);
    for told in ["bad_size 1 (first in row 1)", "missing_field 2 (first in row 2)", "before_1970 1 (first in row 8)"] {
        assert!(ended.stderr.contains(told), "{told}: {ended:?}");
    }
    assert!(ended.stderr.contains("odd, row 3: bad_timestamp; such rows are skipped and counted"), "{ended:?}");
}

#[test]
fn a_store_is_replayed_in_order_of_time_then_of_arrival() {
    let redis = RedisServer::start();
    on_both(|store| {
        let ticks = ticks(12_000);
        // Ticks are stored late and out of order. Ticks with equal times keep their order.
        let mut mixed: Vec<TickRow> = ticks.clone();
        mixed.sort_by_key(|tick| std::cmp::Reverse(tick.time_ns / 1_000_000_000));
        keep(store, &mixed);
        let rows = |ticks: &mut dyn Iterator<Item = &TickRow>| ticks.map(row).collect::<Value>();
        let (ended, found) = heard(&redis, store, &WHOLE);
        assert_eq!(found, rows(&mut ticks.iter()), "{store}");
        assert!(!ended.stderr.contains("s3cr"), "{ended:?}");

        let span = ["--from", "1381152603000000001", "--to", "2013-10-07T13:30:06.000000001Z", "--symbols", "SPY,NA"];
        let (_, found) = heard(&redis, store, &[&WHOLE[..], &span].concat());
        let (from_ns, to_ns) = (1_381_152_603_000_000_001, 1_381_152_606_000_000_001);
        let chosen = ticks.iter().filter(|tick| (from_ns..to_ns).contains(&tick.time_ns));
        let mut chosen = chosen.filter(|tick| ["SPY", "NA"].contains(&tick.symbol.as_str()));
        assert_eq!(found, rows(&mut chosen));

        let (_, found) = heard(&redis, store, &["--rate", "2000", "--count", "50", "--keep-timestamps"]);
        assert_eq!(found, rows(&mut ticks.iter().take(50)));
        // Twelve seconds of a recording are replayed in 0.3 s, with current timestamps.
        let (ended, found) = heard(&redis, store, &["--speed", "40"]);
        assert_eq!(found.as_array().unwrap().len(), 12_000);
        assert!(found[0][1].as_i64() > Some(1_500_000_000_000_000_000), "{}", found[0]);
        assert!(ended.json()["elapsed_s"].as_f64().unwrap() >= 0.29, "{ended:?}");
    });
}

#[test]
fn rows_of_a_store_that_are_no_ticks_are_counted_and_nothing_else_is_nothing_to_play() {
    let redis = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ticks.db");
    let store = format!("sqlite:{}", path.display());
    keep(&store, &ticks(20));
    let spoil = |from: i64| {
        let spoilt = rusqlite::Connection::open(&path)
            .unwrap()
            .execute("UPDATE ticks SET price = 9e999 WHERE major >= ?1 OR ?1 = 0", [from]);
        spoilt.unwrap() as i64
    };
    let bad = spoil((1 << 60) + 10);
    assert!((1..20).contains(&bad), "some are spoilt: {bad}");
    let (ended, found) = heard(&redis, &store, &WHOLE);
    assert_eq!(found.as_array().unwrap().len() as i64, 20 - bad);
    assert_eq!(ended.json()["rejected"], json!({"not_finite": bad}));
    assert_eq!(spoil(0), 20);
    let ended = producer().args(["--redis", &redis.url(), "--replay", &store]).run(LIMIT).expect_code(1);
    assert!(ended.stderr.contains("none of its rows is a tick: not_finite 20 (first in row 1)"), "{ended:?}");
}

#[test]
fn a_store_in_the_environment_keeps_its_password_to_itself() {
    let redis = RedisServer::start();
    let server = PostgresServer::start();
    let url = server.url("ticks");
    keep(&url, &ticks(100));
    let launch = producer().env("TICKSCOPE_REPLAY", &url).args(["--redis", &redis.url(), "--speed", "max", "-vv"]);
    let ended = launch.run(LIMIT).expect_code(0);
    assert!(ended.stderr.contains("sent 100 ticks") && !ended.stderr.contains("s3cr"), "{ended:?}");
    let printed = producer().env("TICKSCOPE_REPLAY", &url).args(["--print-config"]).run(LIMIT).expect_code(0);
    assert!(printed.stdout.contains("postgres://***@127.0.0.1") && !printed.stdout.contains("s3cr"), "{printed:?}");
}

#[test]
fn a_replay_of_known_length_says_how_far_it_is() {
    let redis = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("ticks.db").display());
    keep(&store, &ticks(3_000));
    let line =
        format!("{} --replay {store} --redis {} --speed 1 --duration 2", env!("CARGO_BIN_EXE_producer"), redis.url());
    let launch = Launch::new("script").env("COLUMNS", "120");
    let seen = launch.args(["-qec", &line, "/dev/null"]).run(LIMIT).expect_code(0).stdout;
    let parts =
        seen.split("% played, sent ").filter_map(|text| text.rsplit(['K', ' ', '\r', '\n']).next()?.parse().ok());
    let parts: Vec<u32> = parts.collect();
    // The run replays two of three seconds, so the progress ends at about 67 %.
    assert!(parts.is_sorted() && parts.iter().any(|part| (30..60).contains(part)), "{parts:?} of {seen:?}");
    assert!(parts.iter().all(|part| *part <= 67), "{parts:?} of {seen:?}");
}
