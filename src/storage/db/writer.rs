//! Writing thread: opens the store, commits what waits, and retries until it succeeds.

use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use crate::model::Timestamp;
use crate::storage::db::backend::{Failure, StoreResult, TickStore, prune_before};
#[cfg(feature = "mongodb")]
use crate::storage::db::mongodb::MongoStore;
use crate::storage::db::postgres::PostgresStore;
use crate::storage::db::sqlite::SqliteStore;
use crate::storage::db::write_queue::{Task, WriteQueue};
use crate::storage::db::{COMMIT_ROWS_BEHIND_MAX, COMMIT_ROWS_MAX, DbConfig, DbError, StoreUrl};

/// Pause after the first failure, doubled by each further one. Short, because most failures pass at once.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// Longest pause, within which a store that is back is noticed.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Most immediate retries after a conflict with other writers. The database picks another victim each time, so a longer
/// series has another cause.
const IMMEDIATE_RETRIES_MAX: u32 = 10;

/// A transaction as quick as this may be followed by one twice as large, which stays far below the request timeout.
const QUICK_COMMIT: Duration = Duration::from_secs(1);

/// Interval of the retention when the last run left nothing to delete.
const PRUNE_INTERVAL: Duration = Duration::from_secs(1);

/// State of the thread.
struct Writer<'a> {
    queue: &'a WriteQueue,
    config: &'a DbConfig,
    /// Task that is not done yet; repeated after a failure.
    task: Option<Task>,
    /// Number of the next transaction, which keeps it until it is committed.
    number: u64,
    /// Most rows of a transaction when the store is behind.
    rows_behind: usize,
    /// Highest time of any row; `None` until the retention needs it.
    newest_ns: Option<i64>,
    /// Time of the next run of the retention.
    prune_at: Instant,
    /// Pause after the next failure.
    pause: Duration,
}

impl Drop for Writer<'_> {
    /// Ends the queue however the thread ends.
    fn drop(&mut self) {
        self.queue.end();
    }
}

fn open(url: &StoreUrl, writer: &str) -> StoreResult<Box<dyn TickStore>> {
    Ok(match url {
        StoreUrl::Sqlite(path) => Box::new(SqliteStore::open(path)?),
        StoreUrl::Postgres(url) => Box::new(PostgresStore::open(url, writer)?),
        #[cfg(feature = "mongodb")]
        StoreUrl::Mongo(url) => Box::new(MongoStore::open(url, writer)?),
    })
}

/// Runs until the writer is closed. Sends one report: success, or the permanent error of the first attempt to open.
pub(super) fn run(queue: &WriteQueue, config: &DbConfig, report: &SyncSender<Result<(), DbError>>) {
    // A random name is unique among the writers of all processes on all machines.
    let name = format!("{:016x}", rand::random::<u64>());
    let mut writer = Writer {
        queue,
        config,
        task: None,
        number: 1,
        rows_behind: COMMIT_ROWS_MAX,
        newest_ns: None,
        prune_at: Instant::now(),
        pause: PAUSE_MIN,
    };
    let mut is_first = true;
    loop {
        let store = match open(&config.url, &name) {
            Ok(store) => {
                if writer.task.is_none() {
                    queue.set_working();
                }
                Some(store)
            }
            Err(error) => match error.permanent(&config.url.name()) {
                Some(error) if is_first => {
                    drop(report.send(Err(error)));
                    return;
                }
                permanent => {
                    queue.set_failure(&permanent.map_or(error.cause, |error| error.to_string()));
                    None
                }
            },
        };
        if std::mem::take(&mut is_first) {
            drop(report.send(Ok(())));
        }
        if let Some(mut store) = store
            && !writer.serve(store.as_mut())
        {
            return;
        }
        let has_rows = matches!(writer.task, Some(Task::Commit(_)));
        if queue.is_over() || (!has_rows && queue.is_done()) {
            return;
        }
        writer.sleep();
    }
}

impl Writer<'_> {
    fn sleep(&mut self) {
        self.queue.pause(self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// Works with an open store. Returns true if the store must be reopened, false if the writer is closed.
    fn serve(&mut self, store: &mut dyn TickStore) -> bool {
        self.newest_ns = None;
        let mut retries = 0;
        while !self.queue.is_over() {
            match self.step(store) {
                Ok(true) => {
                    self.pause = PAUSE_MIN;
                    retries = 0;
                }
                Ok(false) => return false,
                Err(error) if error.failure == Failure::Conflict && retries < IMMEDIATE_RETRIES_MAX => retries += 1,
                Err(error) => {
                    self.queue.set_failure(&error.cause);
                    if !matches!(error.failure, Failure::Conflict | Failure::Busy) {
                        return true;
                    }
                    self.sleep();
                }
            }
        }
        false
    }

    /// Performs or repeats one task. Returns false at the end.
    fn step(&mut self, store: &mut dyn TickStore) -> StoreResult<bool> {
        let queue = self.queue;
        match self.task.get_or_insert_with(|| queue.next_task(self.rows_behind)) {
            Task::Checkpoint(stream, _) => {
                let checkpoint = store.checkpoint(stream)?;
                if let Some(Task::Checkpoint(_, reply)) = self.task.take() {
                    // The requester may have stopped waiting.
                    let _ = reply.send(checkpoint);
                }
                queue.set_working();
            }
            Task::Commit(batches) => {
                let started = Instant::now();
                // After a failure, transactions are small again.
                let rows_behind = std::mem::replace(&mut self.rows_behind, COMMIT_ROWS_MAX);
                let counts = store.commit(self.number, batches)?;
                if started.elapsed() < QUICK_COMMIT {
                    self.rows_behind = (2 * rows_behind).min(COMMIT_ROWS_BEHIND_MAX);
                }
                let times_ns = batches.iter().flat_map(|batch| &batch.ticks).map(|tick| tick.time_ns);
                self.newest_ns = self.newest_ns.map(|known_ns| times_ns.fold(known_ns, i64::max));
                queue.complete(batches, counts);
                self.number += 1;
                self.task = None;
                // Fails after the batches are done: a failing retention is retried by itself.
                self.prune(store)?;
            }
            Task::Idle => {
                self.task = None;
                self.prune(store)?;
                queue.set_working();
            }
            Task::End => return Ok(false),
        }
        Ok(true)
    }

    /// Runs one small step of the retention, so that the next commit is not delayed.
    fn prune(&mut self, store: &mut dyn TickStore) -> StoreResult<()> {
        let Some(keep_age_ns) = self.config.keep_age_ns.filter(|_| Instant::now() >= self.prune_at) else {
            return Ok(());
        };
        if self.newest_ns.is_none() {
            self.newest_ns = store.time_range()?.map(|(_, newest_ns)| newest_ns);
        }
        let is_more_left = match prune_before(self.newest_ns, keep_age_ns, Timestamp::now()) {
            Some(before_ns) => store.prune(before_ns)?,
            None => false,
        };
        if !is_more_left {
            self.prune_at = Instant::now() + PRUNE_INTERVAL;
        }
        Ok(())
    }
}
