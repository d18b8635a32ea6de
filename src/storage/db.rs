//! Databases that store every tick exactly once. SQL lives here and nowhere else.
//!
//! A [`DbWriter`] owns a thread that writes. Ticks reach it in [batches](RowBatch); the rows and the checkpoint up to
//! which they reach commit in one transaction, so that a crash at any instant loses and duplicates nothing. A store
//! that is slow, full or unreachable blocks no caller: batches wait in a bounded queue, and the thread retries.
//!
//! A tick is identified by:
//!
//! | it has | identity |
//! |---|---|
//! | `source` and `seq` | both, with time, symbol and price |
//! | else a stream entry's id | the stream, the id, and its index among the ticks of that entry |
//! | neither | none: every copy is stored |
//!
//! A tick that is sent again is equal in every part. Time, symbol and price belong to the first identity because a
//! producer that restarts under its old name and counts from 1 again sends other ticks under old numbers. A tick with
//! `source`, `seq` and a stream id needs no second identity: an entry that is read twice has the same numbers, and so
//! has an entry that a producer appends again because the first reply was lost.
//!
//! | table | holds |
//! |---|---|
//! | `ticks` | a row a tick; `n` grows in order of arrival |
//! | `symbols`, `sources` | names, and their ids in `ticks` |
//! | `streams` | names, and the checkpoint of each stream |
//! | `writers` | on servers only: each writer's last transaction, to recognise one whose reply was lost |
//! | `meta` | the schema version (in SQLite: `PRAGMA user_version`) and a mark that the tables are ours |
//! | `ticks_view` | view: ticks with names, and times as text |
//! | `ticks_late` | view: ticks that arrived after a later one of their symbol, and by how much |
//! | `bars_1s`, `bars_1m`, `bars_5m`, `bars_1h`, `bars_1d` | views: bars of that length, without outliers |
//!
//! In MongoDB, which is an optional feature, these are collections; rows hold names instead of ids, and the views are
//! `ticks_view` and `bars_1m`. A standalone MongoDB server has no transactions: rows are written first, the checkpoint
//! last, and unique keys absorb the rows that are read again after a crash in between.

mod backend;
#[cfg(feature = "mongodb")]
mod mongodb;
mod postgres;
mod reader;
mod selection;
mod sql;
mod sql_database;
mod sqlite;
mod url;
mod write_queue;
mod writer;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use compact_str::CompactString;
use thiserror::Error;

use crate::model::{Name, Price, Reject, StreamId, TickView, Timestamp};
pub use reader::StoreReader;
pub use selection::SelectionError;
#[cfg(feature = "mongodb")]
pub use url::MongoUrl;
pub use url::{PostgresUrl, StoreUrl, StoreUrlError};
pub use write_queue::DbWriter;
use write_queue::WriteQueue;

/// Rows of a transaction that is committed without further waiting. Beyond some thousands, more rows do not lower the
/// cost of a commit per row, and hold a lock for longer. A larger single batch is committed whole.
pub const COMMIT_ROWS_MAX: usize = 10_000;

/// Most rows of a transaction when the store is behind. With thousands of symbols a transaction touches a page or more
/// of each, for one row or for twenty: larger transactions catch up. Sizes double step by step while commits are quick.
pub const COMMIT_ROWS_BEHIND_MAX: usize = 100_000;

/// Waiting rows from which the store counts as behind: four transactions are more than the jitter of one.
const BEHIND_ROWS: usize = 4 * COMMIT_ROWS_MAX;

/// Longest time that rows wait for others to share a transaction. A crash loses at most this much of a pub/sub feed,
/// and a quiet feed causes five commits a second.
pub const COMMIT_WAIT: Duration = Duration::from_millis(200);

/// Tick to store.
#[derive(Debug, Clone, PartialEq)]
pub struct TickRow {
    /// Symbol; not empty.
    pub symbol: CompactString,
    /// Nanoseconds since the Unix epoch; not negative.
    pub time_ns: i64,
    /// Finite; stored to the bit.
    pub price: f64,
    /// Traded volume, if known.
    pub size: Option<f64>,
    /// Producer's id.
    pub source: Option<CompactString>,
    /// Producer's sequence number.
    pub seq: Option<u64>,
    /// Stream entry that contained the tick. Ticks of one entry are adjacent in one batch.
    pub id: Option<StreamId>,
    /// The bad-print filter rejected the price. The row is stored, and bars leave it out.
    pub outlier: bool,
}

impl TickRow {
    /// Borrows the row as a tick.
    ///
    /// # Errors
    /// The reason for which it is none. Rows are valid unless another program has changed them.
    pub fn view(&self) -> Result<TickView<'_>, Reject> {
        Ok(TickView {
            symbol: Name::new(&self.symbol).ok_or(Reject::Symbol)?,
            price: Price::new(self.price).ok_or(Reject::NotFinite)?,
            timestamp: Timestamp::from_nanos(self.time_ns).ok_or(Reject::BeforeEpoch)?,
            size: self.size,
            seq: self.seq,
            source: self.source.as_deref().and_then(Name::new),
        })
    }
}

/// Ticks that are committed together with a checkpoint.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowBatch {
    /// Stream that the ticks came through; `None` for pub/sub, where ids and checkpoints have no meaning.
    pub stream: Option<Arc<str>>,
    /// Rows in order of arrival.
    pub ticks: Vec<TickRow>,
    /// Everything in the stream up to this id is stored once the batch is. A checkpoint never moves back.
    pub checkpoint: Option<StreamId>,
    /// Number that [`DbWriter::committed`] reports when the batch is committed; grows from batch to batch.
    pub ticket: u64,
}

/// Configuration of a [`DbWriter`].
#[derive(Debug, Clone)]
pub struct DbConfig {
    /// Store to write to.
    pub url: StoreUrl,
    /// Retention in nanoseconds, counted back from the newest tick; `None` keeps all. A newest tick ahead of this
    /// machine's clock counts as of now.
    pub keep_age_ns: Option<i64>,
    /// Most rows that wait to be committed. A batch without rows counts as one.
    pub rows_waiting_max: usize,
}

/// Errors of a store that retrying does not resolve. `store` is the URL without secrets.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each field is the store, the cause in words, or a version number")]
pub enum DbError {
    /// The folder is missing, not writable, or the path is a folder.
    #[error("cannot open the store {store}: {cause}; choose a file in a folder that exists and is writable")]
    Open { store: String, cause: String },
    /// The store to read does not exist.
    #[error("there is no store {store}; name one that `consumer --store` has made")]
    Missing { store: String },
    /// The file or database belongs to another program.
    #[error("{store} is no store of ticks: {cause}; choose another name, or move that file away")]
    Foreign { store: String, cause: String },
    /// A later version of this program created the store.
    #[error(
        "the store {store} has schema version {found}, and this program knows up to {known}; use the program that made \
         it, or a newer one"
    )]
    Newer { store: String, found: i64, known: i64 },
    /// The server answered and refused.
    #[error("the store {store} refuses: {cause}; check user, password and database")]
    Refused { store: String, cause: String },
    /// TLS failed, or is less secure than the URL asks for.
    #[error("cannot reach the store {store} by TLS: {cause}. {advice}")]
    Tls { store: String, cause: String, advice: &'static str },
    /// A query failed, or the connection was lost.
    #[error("cannot read the store {store}: {cause}")]
    Read { store: String, cause: String },
    /// The operating system cannot start a thread.
    #[error("cannot start the store's thread: {0}; close other programs")]
    Thread(std::io::Error),
}

/// State of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DbState {
    /// The store is not open yet, or is being reopened.
    #[default]
    Connecting,
    /// The store is open, and the writer keeps up.
    Writing,
    /// Open, with more than half of the queue in use.
    Behind,
    /// The last attempt failed and is retried. The cause is safe to display and has no secrets.
    Failing(String),
}

/// State and counters of a [`DbWriter`] at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DbStatus {
    /// State of the store.
    pub state: DbState,
    /// Rows that are queued or being committed.
    pub waiting: u64,
    /// Rows committed that were new.
    pub written: u64,
    /// Rows that were stored before.
    pub duplicates: u64,
    /// Rows dropped because the queue was full, or because the writer was closed.
    pub dropped: u64,
    /// Transactions.
    pub commits: u64,
}

impl DbWriter {
    /// Opens the store and migrates its schema. Blocks for as long as that takes.
    ///
    /// A server that is unreachable or a disk that is full is no error: ticks queue while the thread retries.
    ///
    /// # Errors
    ///
    /// Any [`DbError`] that retrying does not resolve.
    pub fn open(config: DbConfig) -> Result<Self, DbError> {
        let queue = Arc::new(WriteQueue::new(config.rows_waiting_max));
        let (report, opened) = mpsc::sync_channel(1);
        let thread_queue = Arc::clone(&queue);
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer::run(&thread_queue, &config, &report))
            .map_err(DbError::Thread)?;
        match opened.recv() {
            Ok(Err(error)) => Err(error),
            // The thread reports first; without a report it has ended, which the status shows.
            Ok(Ok(())) | Err(_) => Ok(Self::new(queue)),
        }
    }
}
