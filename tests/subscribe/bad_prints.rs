//! Filter of bad prints: outliers are counted, stored and shown, and excluded from all figures.

use rusqlite::Connection;

use super::fixture::{LIMIT, Publisher, headless, listen, report, tick, wait_for_counts};
use crate::support::server::RedisServer;

/// Ticks of one symbol at these prices, a second apart.
fn ticks(symbol: &str, prices: &[f64]) -> Vec<String> {
    prices.iter().zip(0..).map(|(price, second)| tick(symbol, *price, second)).collect()
}

#[test]
fn a_slip_is_flagged_in_the_store_and_makes_no_figure_and_no_alert() {
    let redis = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ticks.db");
    let store = format!("sqlite:{}", file.display());
    let filtered = ["--outliers", "5%", "--store", &store, "--alert", "AAPL > 500"];
    let mut consumer = listen(redis.port, &filtered);
    let prices = [187.0, 187.1, 187.2, 187.1, 187.0, 187.2, 1_870.0, 187.3, 18.7, 187.2];
    Publisher::connect(redis.port).publish_all("stock_prices", ticks("AAPL", &prices));
    Publisher::connect(redis.port).publish_all("stock_prices", ticks("MSFT", &[410.0, 410.1]));
    wait_for_counts(&mut consumer, 12, 0);
    let report = report(&consumer.stop("TERM", LIMIT).expect_code(0));
    let of = |name: &str| report[name].clone();
    assert_eq!((of("received"), of("kept"), of("outliers"), of("lost")), (12.into(), 10.into(), 2.into(), 0.into()));
    let apple = &report["symbols"]["AAPL"];
    assert_eq!((&apple["min"], &apple["max"], &apple["count"]), (&187.0.into(), &187.3.into(), &8.into()));
    assert_eq!(report["alerts"]["AAPL > 500"], 0);
    let database = Connection::open(&file).unwrap();
    let sql = "SELECT group_concat(price) FROM (SELECT price FROM ticks_view WHERE outlier ORDER BY time_ns)";
    let flagged: String = database.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(flagged, "1870.0,18.7");
    let high: f64 = database.query_row("SELECT max(high) FROM bars_1m", [], |row| row.get(0)).unwrap();
    assert_eq!(high, 410.1);

    // Stored flags are kept when the chart is opened again, with the filter or without it.
    let mut consumer = headless(redis.port).args(["--store", &store]).start();
    consumer.wait_for_stderr("loaded 12 ticks from", LIMIT);
    let again = consumer.stop("TERM", LIMIT).expect_code(0).json();
    assert_eq!((&again["restored"], &again["kept"], &again["outliers"]), (&12.into(), &10.into(), &2.into()));
}

#[test]
fn without_the_flag_every_tick_is_taken_at_its_word() {
    let redis = RedisServer::start();
    let mut consumer = listen(redis.port, &[]);
    let prices = [187.0, 187.1, 187.2, 187.1, 187.0, 187.2, 1_870.0, 187.3];
    Publisher::connect(redis.port).publish_all("stock_prices", ticks("AAPL", &prices));
    wait_for_counts(&mut consumer, 8, 0);
    let report = report(&consumer.stop("TERM", LIMIT).expect_code(0));
    assert_eq!((&report["kept"], &report["symbols"]["AAPL"]["max"]), (&8.into(), &1_870.0.into()));
    assert_eq!(report.get("outliers"), None);
}
