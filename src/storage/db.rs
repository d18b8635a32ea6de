//! Databases that keep every tick exactly once. SQL lives here and below, and nowhere else.
//!
//! A [`DbWriter`] owns a thread that writes. Ticks reach it in [batches](RowBatch); rows and the place in the stream up
//! to which they reach commit in one transaction, so that a crash at any instant leaves nothing lost and nothing twice.
//! A store that is slow, full or away stops nobody: batches wait in a bounded queue, and it is tried again.
//!
//! What makes two ticks the same one:
//!
//! | it came with | it is known by |
//! |---|---|
//! | `source` and `seq` | both, with its time, symbol and price |
//! | else with a stream's id | the stream, the id, and its place among the ticks of that entry |
//! | neither | nothing: every one is kept |
//!
//! A tick that is sent again is the same in every part. That is why time, symbol and price belong to the first key: a
//! producer that starts over under its old name and counts from 1 again brings other ticks under old numbers. Whatever
//! came with a stream's id and with `source` and `seq` needs no second key: the same entry read twice has the same
//! numbers, and so has the entry that a producer appended again because its first answer was lost.
//!
//! | table | holds |
//! |---|---|
//! | `ticks` | a row a tick; `n` grows in order of arrival |
//! | `symbols`, `sources` | names, and the numbers that stand for them in `ticks` |
//! | `streams` | names, and up to where each stream is kept |
//! | `writers` | on servers only: each writer's last transaction, to know one whose answer was lost |
//! | `meta` | the schema's version (in SQLite: `PRAGMA user_version`), and that the tables are ours |
//! | `ticks_view` | a view for people: ticks with names, and times as text |
//! | `ticks_late` | a view of the ticks that came after a later one of their symbol, and how much after |
//! | `bars_1s`, `bars_1m`, `bars_5m`, `bars_1h`, `bars_1d` | views: bars of that length, made without outliers |
//!
//! In MongoDB, where it is built in, these are collections; rows hold names in place of numbers, and of the views there
//! are `ticks_view` and `bars_1m`. A MongoDB server that stands alone has no transactions: there the rows go first, the
//! checkpoint behind them, and the keys see to it that what is brought again is there once.

mod backend;
#[cfg(feature = "mongodb")]
mod mongodb;
mod names;
mod postgres;
mod queue;
mod reader;
mod selected;
mod sqlite;
mod url;
mod writer;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use compact_str::CompactString;
use thiserror::Error;
use tokio::sync::watch;

use crate::model::StreamId;
use queue::{Question, Queue};
pub use reader::StoreReader;
pub use selected::SelectedError;
#[cfg(feature = "mongodb")]
pub use url::MongoUrl;
pub use url::{PostgresUrl, StoreUrl, StoreUrlError};

/// Rows that go into one transaction where as many wait: past some thousands, what a commit costs is spread so thin
/// that more rows gain nothing, and a lock is held for longer. A single batch that is larger goes whole.
pub const COMMIT_ROWS_MAX: usize = 10_000;

/// Most rows that go into one transaction where the store is behind. Where there are thousands of symbols, a
/// transaction touches a page or more of each, whether one row or twenty go there: larger ones are what catches up. It
/// comes to that in steps, each twice the one before, as long as they are quick.
pub const COMMIT_ROWS_BEHIND_MAX: usize = 100_000;

/// With so many rows waiting, the store is behind: four transactions are not the jitter of one.
const BEHIND_ROWS: usize = 4 * COMMIT_ROWS_MAX;

/// Longest that rows wait for others to share their transaction with: what a crash of this process takes from a
/// pub/sub subscriber, and five commits a second on a quiet feed.
pub const COMMIT_WAIT: Duration = Duration::from_millis(200);

/// One tick to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct TickRow {
    /// What traded; not empty.
    pub symbol: CompactString,
    /// Nanoseconds since the Unix epoch; not negative.
    pub time_ns: i64,
    /// Finite; kept to the bit.
    pub price: f64,
    /// Traded volume, if it came with one.
    pub size: Option<f64>,
    /// The producer's id.
    pub source: Option<CompactString>,
    /// The producer's running number.
    pub seq: Option<u64>,
    /// The entry of the stream that brought it. Ticks of one entry stand side by side in one batch.
    pub id: Option<StreamId>,
    /// A filter took its price for a slip of the finger. It is kept all the same, and bars are made without it.
    pub outlier: bool,
}

/// Ticks that are committed together with the place in the stream up to which they reach.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowBatch {
    /// The stream that they came through; `None` for pub/sub, where ids and a checkpoint have no meaning.
    pub stream: Option<Arc<str>>,
    /// In order of arrival.
    pub ticks: Vec<TickRow>,
    /// Everything in the stream up to here is kept once this batch is. A checkpoint never moves back.
    pub checkpoint: Option<StreamId>,
    /// What [`DbWriter::committed`] tells when this batch is committed; grows from batch to batch.
    pub ticket: u64,
}

/// How to keep.
#[derive(Debug, Clone)]
pub struct DbConfig {
    /// Where.
    pub url: StoreUrl,
    /// Ticks older than the newest one by more than this are deleted, in nanoseconds; `None` keeps all. A newest one
    /// that lies ahead of this machine's clock counts as of now.
    pub keep_age_ns: Option<i64>,
    /// Most rows that wait to be committed. A batch without rows counts as one.
    pub rows_waiting_max: usize,
}

/// Why a store cannot be used. Waiting mends none of these.
#[derive(Debug, Error)]
pub enum DbError {
    /// No such folder, no right to write, a folder in place of a file.
    #[error("cannot open the store {store}: {cause}; choose a file in a folder that exists and is writable")]
    Open {
        /// Where, without secrets.
        store: String,
        /// Why not.
        cause: String,
    },
    /// Nothing to read: nobody has made it.
    #[error("there is no store {store}; name one that `consumer --store` has made")]
    Missing {
        /// Where, without secrets.
        store: String,
    },
    /// A file of something else.
    #[error("{store} is no store of ticks: {cause}; choose another name, or move that file away")]
    Foreign {
        /// Where, without secrets.
        store: String,
        /// What it is instead.
        cause: String,
    },
    /// Made by a later version of this program.
    #[error(
        "the store {store} has schema version {found}, and this program knows up to {known}; use the program that made \
         it, or a newer one"
    )]
    Newer {
        /// Where, without secrets.
        store: String,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The server answered, and refuses.
    #[error("the store {store} refuses: {cause}; check user, password and database")]
    Refused {
        /// Where, without secrets.
        store: String,
        /// In the server's words.
        cause: String,
    },
    /// The way there is not as safe as it has to be.
    #[error("cannot reach the store {store} by TLS: {cause}. {advice}")]
    Tls {
        /// Where, without secrets.
        store: String,
        /// Why not; safe to show.
        cause: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// A query failed, or the server went away.
    #[error("cannot read the store {store}: {cause}")]
    Read {
        /// Where, without secrets.
        store: String,
        /// Why not.
        cause: String,
    },
    /// The system gives no thread.
    #[error("cannot start the store's thread: {0}; close other programs")]
    Thread(std::io::Error),
}

/// How a store is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DbState {
    /// Not opened yet, or being opened again.
    Connecting,
    /// All is well.
    Persistence,
    /// It works, slower than ticks come: more than half of what may wait does.
    Behind,
    /// The last attempt failed; it is tried again. The cause is safe to show and has no secrets.
    Failing(String),
}

/// Figures of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbStatus {
    /// How it is doing.
    pub state: DbState,
    /// Rows offered or pushed and not committed yet.
    pub waiting: u64,
    /// Rows committed that were not there before.
    pub written: u64,
    /// Rows that were there already, or came twice.
    pub duplicates: u64,
    /// Rows given up: the queue was full, or the end came first.
    pub dropped: u64,
    /// Transactions.
    pub commits: u64,
}

/// Keeps ticks: a queue, and a thread that empties it into a database. Clones share both.
///
/// When the last clone is dropped, the thread commits what waits, and ends; only [`close`](Self::close) waits for that.
#[derive(Clone)]
pub struct DbWriter {
    handle: Arc<Handle>,
}

struct Handle {
    queue: Arc<Queue>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.begin_closing(None);
    }
}

impl fmt::Debug for DbWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DbWriter").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl DbWriter {
    /// Opens the store and brings its schema up to date. Blocks for as long as that takes.
    ///
    /// Fails only for what waiting cannot mend. A server that is away is waited for while ticks queue; so is a disk
    /// that is full.
    pub fn open(config: DbConfig) -> Result<Self, DbError> {
        let queue = Arc::new(Queue::new(config.rows_waiting_max));
        let (report, opened) = mpsc::sync_channel(1);
        let theirs = Arc::clone(&queue);
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer::run(&theirs, &config, &report))
            .map_err(DbError::Thread)?;
        match opened.recv() {
            Ok(Err(error)) => Err(error),
            // The thread reports before anything else; without a report it has ended, which the status tells.
            Ok(Ok(())) | Err(_) => Ok(Self { handle: Arc::new(Handle { queue }) }),
        }
    }

    /// Up to where `stream` is kept. Blocks until the store can say; `None` when it knows nothing of the stream, or the
    /// keeper is closed before it can say.
    pub fn checkpoint(&self, stream: &str) -> Option<StreamId> {
        let (answer, answered) = mpsc::sync_channel(1);
        // Whoever asked waits below.
        self.ask(stream, move |found| {
            let _ = answer.send(found);
        });
        answered.recv().ok().flatten()
    }

    /// The same without blocking: resolves when the store can say.
    pub fn checkpoint_later(&self, stream: &str) -> impl Future<Output = Option<StreamId>> + Send + use<> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        // Whoever asked may have stopped waiting.
        self.ask(stream, move |found| {
            let _ = answer.send(found);
        });
        async move { answered.await.ok().flatten() }
    }

    fn ask(&self, stream: &str, answer: impl FnOnce(Option<StreamId>) + Send + 'static) {
        self.handle.queue.ask(Question { stream: stream.into(), answer: Box::new(answer) });
    }

    /// Hands a batch over without waiting; rows beyond the queue's bound are dropped and counted, and with them the
    /// batch's checkpoint. How many were dropped.
    pub fn offer(&self, batch: RowBatch) -> u64 {
        self.handle.queue.offer(batch)
    }

    /// Hands a batch over when there is room for it; a batch larger than the whole queue when the queue is empty.
    ///
    /// Dropped before it is done, it has taken nothing. After [`close`](Self::close), rows are dropped and counted.
    pub async fn push(&self, batch: RowBatch) {
        let mut batch = Some(batch);
        loop {
            let room = self.handle.queue.room.notified();
            let mut room = std::pin::pin!(room);
            // Armed before the look, so that room made in between is not missed.
            room.as_mut().enable();
            match batch.take().map(|batch| self.handle.queue.try_push(batch)) {
                Some(Err(full)) => batch = Some(full),
                Some(Ok(())) | None => return,
            }
            room.await;
        }
    }

    /// Hands a batch over whole, also beyond the bound: for those who [waited for room](Self::room) before they asked a
    /// stream for as much. After [`close`](Self::close), rows are dropped and counted.
    pub fn put(&self, batch: RowBatch) {
        self.handle.queue.put(batch);
    }

    /// Whether fewer rows wait than may.
    pub fn has_room(&self) -> bool {
        self.handle.queue.has_room()
    }

    /// Resolves when fewer rows wait than may.
    pub async fn room(&self) {
        loop {
            let room = self.handle.queue.room.notified();
            let mut room = std::pin::pin!(room);
            room.as_mut().enable();
            if self.has_room() {
                return;
            }
            room.await;
        }
    }

    /// The highest ticket whose batch is committed; 0 before the first. Batches commit in the order they came in.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.handle.queue.committed.subscribe()
    }

    /// Figures of this moment.
    pub fn status(&self) -> DbStatus {
        self.handle.queue.status()
    }

    /// Commits what waits, for at most `limit`, and ends; what is left is counted as dropped. Blocks.
    pub fn close(&self, limit: Duration) -> DbStatus {
        self.handle.queue.close(limit)
    }
}
