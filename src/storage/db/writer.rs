//! Writing thread: opens the store, commits what waits, and retries until it succeeds.

use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use crate::storage::db::backend::{OpenError, RetryPolicy, StoreError, TickStore};
#[cfg(feature = "mongodb")]
use crate::storage::db::mongodb::MongoStore;
use crate::storage::db::postgres::PostgresStore;
use crate::storage::db::sqlite::SqliteStore;
use crate::storage::db::write_queue::{CheckpointRequest, Task, WriteQueue};
use crate::storage::db::{COMMIT_ROWS_BEHIND_MAX, COMMIT_ROWS_MAX, DbConfig, DbError, RowBatch, StoreUrl};

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

/// Ends the queue however the thread ends.
struct EndGuard<'a>(&'a WriteQueue);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// State of the writer that outlives a connection.
struct WriterState {
    /// Batches of the transaction that is not committed yet.
    batches: Vec<RowBatch>,
    /// Number of the transaction; its batches keep it until they are committed.
    number: u64,
    request: Option<CheckpointRequest>,
    /// Most rows of a transaction when the store is behind.
    rows_behind: usize,
    /// Time of the next run of the retention.
    prune_at: Instant,
    /// Pause after the next failure.
    pause: Duration,
}

impl WriterState {
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        pause
    }
}

fn open(url: &StoreUrl, writer: &str) -> Result<Box<dyn TickStore>, OpenError> {
    Ok(match url {
        StoreUrl::Sqlite(path) => Box::new(SqliteStore::open(path)?),
        StoreUrl::Postgres(url) => Box::new(PostgresStore::open(url, writer)?),
        #[cfg(feature = "mongodb")]
        StoreUrl::Mongo(url) => Box::new(MongoStore::open(url, writer)?),
    })
}

/// Runs until the writer is closed. Sends one report: success, or the permanent error of the first attempt to open.
pub(super) fn run(queue: &WriteQueue, config: &DbConfig, report: &SyncSender<Result<(), DbError>>) {
    let _end = EndGuard(queue);
    // A random name is unique among the writers of all processes on all machines.
    let writer = format!("{:016x}", rand::random::<u64>());
    let mut state = WriterState {
        batches: Vec::new(),
        number: 0,
        request: None,
        rows_behind: COMMIT_ROWS_MAX,
        prune_at: Instant::now(),
        pause: PAUSE_MIN,
    };
    let mut is_first = true;
    loop {
        let opened = open(&config.url, &writer);
        let is_first = std::mem::take(&mut is_first);
        match opened {
            Ok(mut store) => {
                queue.set_open(true);
                if state.batches.is_empty() && state.request.is_none() {
                    queue.clear_failure();
                }
                if is_first {
                    drop(report.send(Ok(())));
                }
                if serve(queue, config, store.as_mut(), &mut state) == Outcome::End {
                    return;
                }
                queue.set_open(false);
            }
            Err(OpenError::Permanent(error)) if is_first => {
                drop(report.send(Err(error)));
                return;
            }
            Err(error) => {
                queue.set_failure(&match error {
                    OpenError::Temporary(cause) => cause,
                    OpenError::Permanent(error) => error.to_string(),
                });
                if is_first {
                    drop(report.send(Ok(())));
                }
            }
        }
        if queue.is_over() || (state.batches.is_empty() && queue.is_done()) {
            return;
        }
        queue.pause(state.next_pause());
    }
}

#[derive(PartialEq, Eq)]
enum Outcome {
    Continue,
    Reopen,
    End,
}

/// Works with an open store until the writer is closed or the store must be reopened.
fn serve(queue: &WriteQueue, config: &DbConfig, store: &mut dyn TickStore, state: &mut WriterState) -> Outcome {
    let mut retries = 0;
    while !queue.is_over() {
        match step(queue, config, store, state) {
            Ok(Outcome::Continue) => {
                state.pause = PAUSE_MIN;
                retries = 0;
            }
            Ok(outcome) => return outcome,
            Err(StoreError { retry: RetryPolicy::Immediate, .. }) if retries < IMMEDIATE_RETRIES_MAX => retries += 1,
            Err(StoreError { cause, retry }) => {
                queue.set_failure(&cause);
                if retry == RetryPolicy::Reopen {
                    return Outcome::Reopen;
                }
                queue.pause(state.next_pause());
            }
        }
    }
    Outcome::End
}

/// Performs or retries one task.
fn step(
    queue: &WriteQueue,
    config: &DbConfig,
    store: &mut dyn TickStore,
    state: &mut WriterState,
) -> Result<Outcome, StoreError> {
    if let Some(request) = &state.request {
        let checkpoint = store.checkpoint(&request.stream)?;
        if let Some(request) = state.request.take() {
            // The requester may have stopped waiting.
            let _ = request.reply.send(checkpoint);
        }
        queue.clear_failure();
    } else if !state.batches.is_empty() {
        let started = Instant::now();
        // After a failure, transactions are small again.
        let rows_behind = std::mem::replace(&mut state.rows_behind, COMMIT_ROWS_MAX);
        let counts = store.commit(state.number, &state.batches)?;
        if started.elapsed() < QUICK_COMMIT {
            state.rows_behind = (2 * rows_behind).min(COMMIT_ROWS_BEHIND_MAX);
        }
        queue.complete(&state.batches, counts);
        state.batches.clear();
        // Fails after the batches are done: a failing retention is retried by itself.
        prune(config, store, state)?;
    } else {
        match queue.next_task(state.rows_behind) {
            Task::Checkpoint(request) => state.request = Some(request),
            Task::Commit(batches) => {
                state.batches = batches;
                state.number += 1;
            }
            Task::Idle => {
                prune(config, store, state)?;
                queue.clear_failure();
            }
            Task::End => return Ok(Outcome::End),
        }
    }
    Ok(Outcome::Continue)
}

/// Runs one small step of the retention, so that the next commit is not delayed.
fn prune(config: &DbConfig, store: &mut dyn TickStore, state: &mut WriterState) -> Result<(), StoreError> {
    let Some(keep_age_ns) = config.keep_age_ns else { return Ok(()) };
    if Instant::now() >= state.prune_at && !store.prune(keep_age_ns)? {
        state.prune_at = Instant::now() + PRUNE_INTERVAL;
    }
    Ok(())
}
