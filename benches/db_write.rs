//! Throughput of storing ticks, in rows per second: into a file with every commit on disk, and into PostgreSQL compared
//! with `psql \copy`.
//!
//! `cargo bench --bench db_write` runs both parts, `-- sqlite` or `-- postgres` one. Each line covers several runs: the
//! fastest and the median. The two sides of a comparison alternate, so that other load affects both.

#![allow(dead_code, unreachable_pub, reason = "the shared support of the tests, of which this uses a part")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed measurement ends by panicking")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use tickscope::model::{NS_PER_S, StreamId};
use tickscope::storage::db::{COMMIT_ROWS_MAX, DbConfig, DbWriter, RowBatch, StoreUrl, TickRow};

#[path = "../tests/support/postgres.rs"]
mod postgres;
#[path = "../tests/support/server.rs"]
mod server;
#[path = "../tests/support/wait.rs"]
mod wait;

/// Number of rows per run.
const ROWS: usize = 500_000;

/// Number of runs of each kind.
const RUNS: usize = 5;

/// Numbers of symbols: a small watch list, a large one, and a market.
const SYMBOLS: [usize; 3] = [4, 100, 2_000];

const START_NS: i64 = 1_700_000_000 * NS_PER_S;

/// Ticks of a durable producer: from a stream, with a source and sequence numbers.
fn batches(symbols: usize) -> Vec<RowBatch> {
    let (mut state, mut time_ns) = (1_u64, START_NS);
    let mut seq = 0;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    let mut tick = || {
        time_ns += 1_000 + random() as i64 % 50_000;
        seq += 1;
        TickRow {
            symbol: format!("SYM{}", random() % symbols).into(),
            time_ns,
            price: 180.0 + (random() % 2_000) as f64 / 100.0,
            size: Some((1 + random() % 500) as f64),
            source: Some("p-4f21a".into()),
            seq: Some(seq),
            id: Some(StreamId { ms: (time_ns / 1_000_000) as u64, seq: seq % 100 }),
            outlier: false,
        }
    };
    let batch = |ticket| {
        let ticks: Vec<TickRow> = (0..COMMIT_ROWS_MAX).map(|_| tick()).collect();
        let checkpoint = ticks.last().and_then(|tick| tick.id);
        RowBatch { stream: Some("stock_ticks".into()), ticks, checkpoint, ticket }
    };
    (1..=(ROWS / COMMIT_ROWS_MAX) as u64).map(batch).collect()
}

/// Bounds of the queue: small enough that no transaction has more than 10,000 rows, and large enough that the store
/// lags and takes up to 100,000.
const WAITING: [usize; 2] = [4 * COMMIT_ROWS_MAX, 20 * COMMIT_ROWS_MAX];

/// Stores all batches in an empty database. Returns the time from the first one to the last commit.
fn store(url: &StoreUrl, batches: Vec<RowBatch>, rows_waiting_max: usize) -> Duration {
    let config = DbConfig { url: url.clone(), keep_age_ns: None, rows_waiting_max };
    let writer = DbWriter::open(config).expect("an empty store opens");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    let (mut committed, last) = (writer.committed(), batches.len() as u64);
    let start = Instant::now();
    runtime.block_on(async {
        for batch in batches {
            writer.room().await;
            writer.put(batch);
        }
        committed.wait_for(|ticket| *ticket >= last).await.expect("the writer is there");
    });
    let elapsed = start.elapsed();
    let status = writer.close(Duration::from_mins(1));
    assert_eq!((status.written, status.duplicates, status.dropped), (ROWS as u64, 0, 0));
    elapsed
}

fn print_line(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("standard output is open");
}

/// Rows per second of the fastest and the median run.
fn rates(times: &mut [Duration]) -> String {
    times.sort();
    let rate = |time: Duration| ROWS as f64 / time.as_secs_f64();
    format!("{:>9.0} rows/s at best, {:>9.0} in the middle", rate(times[0]), rate(times[times.len() / 2]))
}

fn bench_sqlite() {
    for (symbols, waiting) in SYMBOLS.into_iter().flat_map(|symbols| WAITING.map(|waiting| (symbols, waiting))) {
        let batches = batches(symbols);
        let mut bytes = 0;
        let mut times: Vec<Duration> = (0..RUNS)
            .map(|_| {
                let dir = tempfile::tempdir().expect("the temporary directory is writable");
                let path = dir.path().join("ticks.db");
                let time = store(&StoreUrl::Sqlite(path.clone()), batches.clone(), waiting);
                bytes = path.metadata().map_or(0, |file| file.len());
                time
            })
            .collect();
        let size = bytes as f64 / ROWS as f64;
        let suffix = if waiting == WAITING[0] { "" } else { ", behind" };
        print_line(&format!("sqlite, {symbols:>5} symbols{suffix}: {}; {size:.0} bytes a row", rates(&mut times)));
    }
}

/// The rows in the input format of `psql \copy`, with the ids that the store assigns to names.
fn copy_text(batches: &[RowBatch]) -> String {
    let mut text = String::new();
    let mut n = 0;
    for tick in batches.iter().flat_map(|batch| &batch.ticks) {
        n += 1;
        let symbol_id: i64 = tick.symbol.trim_start_matches("SYM").parse().unwrap_or(0);
        let (seq, id) = (tick.seq.unwrap_or(0), tick.id.unwrap_or_default());
        let (time_ns, price, size) = (tick.time_ns, tick.price, tick.size.unwrap_or(0.0));
        writeln!(
            text,
            "{time_ns}\t{seq}\t0\t{price}\t{n}\t{size}\t\\N\t{}\t{}\t{symbol_id}\t1\t0\t\\N\t1\t\\N",
            id.ms, id.seq
        )
        .expect("writing to a string cannot fail");
    }
    text
}

fn bench_postgres() {
    let server = postgres::PostgresServer::start();
    for symbols in SYMBOLS {
        let batches = batches(symbols);
        let dir = tempfile::tempdir().expect("the temporary directory is writable");
        let file = dir.path().join("ticks.txt");
        std::fs::write(&file, copy_text(&batches)).expect("the temporary directory is writable");
        let (mut stored, mut copied) = (Vec::new(), Vec::new());
        for run in 0..RUNS {
            let database = format!("kept_{symbols}_{run}");
            let url = server.create(&database).parse().expect("the address is valid");
            stored.push(store(&url, batches.clone(), WAITING[0]));
            // The same table and index, empty, in its own database.
            let database = format!("copied_{symbols}_{run}");
            let url = server.create(&database).parse().expect("the address is valid");
            let config = DbConfig { url, keep_age_ns: None, rows_waiting_max: 1 };
            DbWriter::open(config).expect("an empty store opens").close(Duration::from_secs(9));
            let mut psql = server.psql_command(&database);
            psql.args(["-c", &format!("\\copy ticks from '{}'", file.display())]);
            let start = Instant::now();
            let done = psql.status().is_ok_and(|status| status.success());
            copied.push(start.elapsed());
            assert!(done, "psql failed");
        }
        let ratios: Vec<f64> =
            stored.iter().zip(&copied).map(|(stored, copied)| copied.as_secs_f64() / stored.as_secs_f64()).collect();
        print_line(&format!("postgres, {symbols:>5} symbols: {}", rates(&mut stored)));
        print_line(&format!("psql \\copy of the same: {}; ratios {ratios:.2?}", rates(&mut copied)));
    }
}

fn main() {
    let parts: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|named| named == part);
    if wanted("sqlite") {
        bench_sqlite();
    }
    if wanted("postgres") {
        bench_postgres();
    }
}
