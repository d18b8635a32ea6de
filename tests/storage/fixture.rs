//! SQLite and PostgreSQL stores behind one interface, so that a test runs over both.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tempfile::TempDir;
use tickscope::model::{NS_PER_S, StreamId};
use tickscope::storage::db::{DbConfig, DbStatus, DbWriter, RowBatch, StoreReader, StoreUrl, TickRow};

use crate::support::postgres::PostgresServer;
use crate::support::wait::wait_until;

/// Generous limit of every wait; it only bounds a failing test.
pub const LIMIT: Duration = crate::support::wait::GUARD;

/// 2023-11-14T22:13:00Z, a whole minute.
pub const START_NS: i64 = 1_699_999_980 * NS_PER_S;

/// Empty location for a store.
pub struct Place {
    pub url: StoreUrl,
    kind: Kind,
}

enum Kind {
    /// Dropping the folder removes it.
    File(PathBuf, #[expect(dead_code, reason = "kept for its end")] TempDir),
    Server(Arc<PostgresServer>, String),
}

/// Server shared by the concurrent tests of this program.
pub fn shared_server() -> Arc<PostgresServer> {
    static SERVER: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
    let mut known = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    known.upgrade().unwrap_or_else(|| {
        let server = Arc::new(PostgresServer::start());
        *known = Arc::downgrade(&server);
        server
    })
}

impl Place {
    /// File that does not exist yet.
    pub fn file() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ticks.db");
        Self { url: StoreUrl::Sqlite(path.clone()), kind: Kind::File(path, dir) }
    }

    /// Empty database.
    pub fn server() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = shared_server();
        let database = format!("place_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let url = server.create(&database).parse().unwrap();
        Self { url, kind: Kind::Server(server, database) }
    }

    /// Empty database on the test's own server.
    pub fn on(server: &Arc<PostgresServer>, database: &str) -> Self {
        let url = server.create(database).parse().unwrap();
        Self { url, kind: Kind::Server(Arc::clone(server), database.to_owned()) }
    }

    /// Result of a query: a line a row, values separated by bars.
    pub fn sql(&self, sql: &str) -> String {
        match &self.kind {
            Kind::File(path, _) => sqlite(path, sql),
            Kind::Server(server, database) => server.psql(database, sql),
        }
    }

    /// Writer to this store.
    pub fn keeper(&self) -> DbWriter {
        self.keeper_with(None)
    }

    /// Writer with a retention.
    pub fn keeper_with(&self, keep_age_ns: Option<i64>) -> DbWriter {
        keeper(&self.url, keep_age_ns)
    }

    /// Writes the batches and closes the writer. Returns its final status.
    pub fn keep(&self, batches: Vec<RowBatch>) -> DbStatus {
        let keeper = self.keeper();
        for batch in batches {
            assert_eq!(keeper.offer(batch), 0);
        }
        keeper.close(LIMIT)
    }

    /// All ticks of the store, in order.
    pub fn ticks(&self) -> Vec<TickRow> {
        let mut reader = StoreReader::open(&self.url).unwrap();
        let mut ticks = Vec::new();
        reader.read(&[], i64::MIN, i64::MAX, None, &mut |tick| ticks.push(tick.clone())).unwrap();
        ticks
    }
}

/// Runs `test` over SQLite, then over PostgreSQL.
pub fn on_both(test: impl Fn(&Place)) {
    test(&Place::file());
    test(&Place::server());
}

pub fn keeper(url: &StoreUrl, keep_age_ns: Option<i64>) -> DbWriter {
    DbWriter::open(DbConfig { url: url.clone(), keep_age_ns, rows_waiting_max: 1_000_000 }).unwrap()
}

fn sqlite(path: &PathBuf, sql: &str) -> String {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let values = (0..columns).map(|column| match row.get_ref(column).unwrap() {
            ValueRef::Null => String::new(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
        });
        lines.push(values.collect::<Vec<_>>().join("|"));
    }
    lines.join("\n")
}

/// Checkpoint of a stream, awaited on a runtime of its own.
pub fn checkpoint(writer: &DbWriter, stream: &str) -> Option<StreamId> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(writer.checkpoint(stream))
}

/// Tick with required fields only, `ms` milliseconds after the start.
pub fn bare(symbol: &str, ms: i64, price: f64) -> TickRow {
    let time_ns = START_NS + ms * 1_000_000;
    TickRow { symbol: symbol.into(), time_ns, price, size: None, source: None, seq: None, id: None, outlier: false }
}

/// Tick with a source and a sequence number.
pub fn numbered(source: &str, seq: u64, ms: i64, price: f64) -> TickRow {
    TickRow { source: Some(source.into()), seq: Some(seq), ..bare("AAPL", ms, price) }
}

/// The same tick, with a stream entry's id.
pub fn through(tick: &TickRow, id: &str) -> TickRow {
    TickRow { id: Some(id.parse().unwrap()), ..tick.clone() }
}

/// Batch of a pub/sub subscriber.
pub fn heard(ticks: &[TickRow]) -> RowBatch {
    RowBatch { stream: None, ticks: ticks.to_vec(), checkpoint: None, ticket: 1 }
}

/// Batch of the stream `s`, with a checkpoint.
pub fn streamed(ticks: &[TickRow], checkpoint: &str) -> RowBatch {
    let checkpoint = Some(checkpoint.parse::<StreamId>().unwrap());
    RowBatch { stream: Some("s".into()), ticks: ticks.to_vec(), checkpoint, ticket: 1 }
}

/// Waits until every batch up to `ticket` is committed.
pub fn wait_committed(keeper: &DbWriter, ticket: u64) {
    let committed = keeper.committed();
    wait_until("the commit", LIMIT, || *committed.borrow() >= ticket);
}
