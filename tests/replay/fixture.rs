//! Fixture: stores filled and read through the library.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tickscope::model::StreamId;
use tickscope::sources::TickFilter;
use tickscope::storage::db::{DbConfig, DbWriter, RowBatch, StoreReader, StoreUrl, TickRow};

use crate::support::postgres::PostgresServer;
use crate::support::process::{Launch, consumer};

/// Generous limit of every wait; it only bounds a failing test.
pub const LIMIT: Duration = crate::support::wait::GUARD;

/// 2013-10-07T13:30:00Z.
pub const START_NS: i64 = 1_381_152_600_000_000_000;

/// Runs `test` over an empty SQLite file, then over an empty PostgreSQL database.
pub fn on_both(test: impl Fn(&str)) {
    let dir = tempfile::tempdir().unwrap();
    test(&format!("sqlite:{}", dir.path().join("ticks.db").display()));
    let server = PostgresServer::start();
    test(&server.url("ticks"));
}

/// Writes ticks to a store, as a stream reader does.
pub fn keep(store: &str, ticks: &[TickRow]) {
    let url: StoreUrl = store.parse().unwrap();
    let keeper = DbWriter::open(DbConfig { url, keep_age_ns: None, rows_waiting_max: 10_000_000 }).unwrap();
    for part in ticks.chunks(10_000) {
        keeper.offer(RowBatch { stream: Some("s".into()), ticks: part.to_vec(), checkpoint: None, ticket: 1 });
    }
    let status = keeper.close(LIMIT);
    assert_eq!((status.written, status.dropped), (ticks.len() as u64, 0));
}

/// All ticks of a store, in order.
pub fn kept(store: &str) -> Vec<TickRow> {
    let mut reader = StoreReader::open(&store.parse().unwrap()).unwrap();
    let mut ticks = Vec::new();
    let whole = &mut |tick: &TickRow| {
        ticks.push(tick.clone());
        std::ops::ControlFlow::Continue(())
    };
    reader.read_selection(&TickFilter::default(), whole).unwrap();
    ticks
}

/// Ticks with all fields, a millisecond apart, some at the same time, of symbols that need quoting.
pub fn ticks(count: i64) -> Vec<TickRow> {
    (0..count).map(tick).collect()
}

fn tick(i: i64) -> TickRow {
    let number = i.unsigned_abs();
    TickRow {
        symbol: ["SPY", "BRK,B", "say \"hi\"", "\u{fc}n\u{ef}", "=1+1", "NA"][(number % 6) as usize].into(),
        time_ns: START_NS + i / 3 * 3 * 1_000_000 + 1,
        price: [0.1 + 0.2, -0.0, 5e-324, 1.0 / 3.0, 187.2][(number % 5) as usize] * (1.0 + i as f64),
        size: (i % 4 != 0).then_some(i as f64 / 8.0),
        source: (i % 7 != 0).then_some("p,1".into()),
        // Not representable as a double.
        seq: (i % 7 != 0).then_some((1 << 60) + number),
        id: Some(StreamId { ms: 1_732_000_000_000, seq: number }),
        outlier: i % 10 == 0,
    }
}

/// Row as the script that reads files prints it.
pub fn row(tick: &TickRow) -> Value {
    let bits = |number: f64| format!("{:016x}", number.to_bits());
    let id = tick.id.map(|id| id.to_string());
    let TickRow { symbol, time_ns, price, size, source, seq, outlier, .. } = tick;
    json!([symbol.as_str(), time_ns, bits(*price), size.map(bits), outlier, source.as_deref(), seq, id])
}

/// Consumer that exports a part of a store; any connection to Redis would fail.
pub fn export(store: &str, path: &Path) -> Launch {
    let launch = consumer().env("REDIS_URL", "redis://127.0.0.1:1").args(["--store", store, "--export"]);
    launch.args([path])
}

/// Checks that the folder contains these files only.
#[track_caller]
pub fn assert_files(folder: &Path, expected: &[&str]) {
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, expected);
}
