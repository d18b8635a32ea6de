//! Bounded queue between the producers of ticks and the writing thread.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use crate::model::StreamId;
use crate::storage::db::backend::CommitCounts;
use crate::storage::db::{BEHIND_ROWS, COMMIT_ROWS_MAX, COMMIT_WAIT, DbState, DbStatus, RowBatch};

/// Longest sleep of an idle writer, so that the retention runs on a quiet feed too.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// Next task of the writer.
pub(super) enum Task {
    /// Reply with a stream's checkpoint.
    Checkpoint(Arc<str>, oneshot::Sender<Option<StreamId>>),
    Commit(Vec<RowBatch>),
    Idle,
    End,
}

#[derive(Default)]
struct State {
    batches: VecDeque<(Instant, RowBatch)>,
    /// Requests for checkpoints. Readers wait for the reply before the next request, so there are at most as many
    /// requests as streams.
    requests: VecDeque<Task>,
    /// Never [`Behind`](DbState::Behind), which depends on the rows that wait.
    status: DbStatus,
    /// Rows that wait, with an empty batch counted as one.
    load: usize,
    closing: bool,
    /// Time until which a closing writer may still commit.
    deadline: Option<Instant>,
    /// The writer has ended, or its closing has timed out.
    ended: bool,
}

impl State {
    fn is_over(&self) -> bool {
        self.ended || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Queue shared by a [`DbWriter`] and its thread.
pub(super) struct WriteQueue {
    state: Mutex<State>,
    rows_max: usize,
    /// Wakes the writer.
    work: Condvar,
    /// Signals the writer's end.
    end: Condvar,
    /// Signals that there may be room.
    room: watch::Sender<()>,
    committed: watch::Sender<u64>,
}

fn load(batch: &RowBatch) -> usize {
    batch.ticks.len().max(1)
}

impl WriteQueue {
    pub(super) fn new(rows_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            rows_max,
            work: Condvar::new(),
            end: Condvar::new(),
            room: watch::Sender::new(()),
            committed: watch::Sender::new(0),
        }
    }

    /// Every change under this lock is complete in itself, so a poisoned lock is still consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, mut state: MutexGuard<'_, State>, batch: RowBatch) {
        state.status.waiting += batch.ticks.len() as u64;
        state.load += load(&batch);
        // The writer sleeps until the first batch arrives, and then until a transaction is full.
        let wake = state.batches.is_empty() || state.load >= COMMIT_ROWS_MAX;
        state.batches.push_back((Instant::now(), batch));
        drop(state);
        if wake {
            self.work.notify_one();
        }
    }

    /// Waits for the next task. If the store is behind, a transaction has up to `rows_behind` rows.
    pub(super) fn next_task(&self, rows_behind: usize) -> Task {
        let mut state = self.lock();
        let idle_at = Instant::now() + IDLE_WAIT;
        loop {
            if state.is_over() {
                return Task::End;
            }
            if let Some(request) = state.requests.pop_front() {
                return request;
            }
            let now = Instant::now();
            let due = state.batches.front().map(|(since, _)| *since + COMMIT_WAIT);
            match due {
                Some(due) if state.closing || state.load >= COMMIT_ROWS_MAX || due <= now => {
                    // Before a deadline, transactions stay small: a large one may not finish in time.
                    let is_behind = state.load > BEHIND_ROWS && state.deadline.is_none();
                    let rows_max = if is_behind { rows_behind } else { COMMIT_ROWS_MAX };
                    return Task::Commit(take_batches(&mut state.batches, rows_max));
                }
                None if state.closing => return Task::End,
                None if idle_at <= now => return Task::Idle,
                _ => {}
            }
            let timeout = due.unwrap_or(idle_at).saturating_duration_since(now);
            (state, _) = self.work.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Reports whether the writer must stop, even with rows left.
    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over()
    }

    /// Reports whether a writer without rows of its own has nothing left to do.
    pub(super) fn is_done(&self) -> bool {
        let state = self.lock();
        state.ended || (state.closing && state.batches.is_empty())
    }

    /// Sleeps for `pause`, or until the writer must stop.
    pub(super) fn pause(&self, pause: Duration) {
        let wake_at = Instant::now() + pause;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let until = state.deadline.map_or(wake_at, |deadline| deadline.min(wake_at));
            if state.ended || now >= until {
                return;
            }
            (state, _) = self.work.wait_timeout(state, until - now).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sets the failure that the status shows, and logs it if it is new.
    pub(super) fn set_failure(&self, cause: &str) {
        let failing = DbState::Failing(cause.to_owned());
        let previous = mem::replace(&mut self.lock().status.state, failing.clone());
        // Logged outside the lock: a terminal may block.
        if previous != failing {
            warn!("the store fails: {cause}; ticks wait for it");
        }
    }

    /// Sets the state of a store that is open and works.
    pub(super) fn set_working(&self) {
        self.lock().status.state = DbState::Writing;
    }

    /// Counts committed batches and releases their room.
    pub(super) fn complete(&self, batches: &[RowBatch], counts: CommitCounts) {
        let mut state = self.lock();
        if state.ended {
            // Closing timed out, and the rows were counted as dropped.
            return;
        }
        state.load -= batches.iter().map(load).sum::<usize>();
        let status = &mut state.status;
        status.waiting -= batches.iter().map(|batch| batch.ticks.len() as u64).sum::<u64>();
        status.written += counts.written;
        status.duplicates += counts.duplicates;
        status.commits += 1;
        let had_failed = matches!(mem::replace(&mut status.state, DbState::Writing), DbState::Failing(_));
        drop(state);
        if had_failed {
            info!("the store works again");
        }
        if let Some(last) = batches.last() {
            self.committed.send_replace(last.ticket);
        }
        self.room.send_replace(());
    }

    /// Stops accepting batches. Those that wait are committed, until `deadline` if there is one.
    fn begin_closing(&self, deadline: Option<Instant>) {
        let mut state = self.lock();
        state.closing = true;
        state.deadline = deadline.or(state.deadline);
        drop(state);
        self.work.notify_all();
        self.room.send_replace(());
    }

    /// Ends the queue and counts what is left as dropped. Called by the ending writer, and by
    /// [`close`](DbWriter::close) when it stops waiting for the writer.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.closing = true;
        state.status.dropped += mem::take(&mut state.status.waiting);
        state.load = 0;
        state.batches.clear();
        state.requests.clear();
        drop(state);
        self.work.notify_all();
        self.end.notify_all();
        self.room.send_replace(());
    }
}

/// Handle to a queue and the thread that writes from it to a database. Clones share both.
///
/// When the last clone is dropped, the thread commits the queued rows and ends; only [`close`](Self::close) waits for
/// it.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// use tickscope::storage::db::{DbConfig, DbWriter, RowBatch, StoreReader, TickRow};
///
/// let dir = tempfile::tempdir()?;
/// let url: tickscope::storage::db::StoreUrl = format!("sqlite:{}", dir.path().join("ticks.db").display()).parse()?;
/// let writer = DbWriter::open(DbConfig { url: url.clone(), keep_age_ns: None, rows_waiting_max: 1_000 })?;
/// let tick = TickRow {
///     symbol: "AAPL".into(),
///     time_ns: 1_732_000_000_000_000_000,
///     price: 187.2,
///     size: None,
///     source: None,
///     seq: None,
///     id: None,
///     outlier: false,
/// };
/// writer.offer(RowBatch { ticks: vec![tick.clone()], ..RowBatch::default() });
/// assert_eq!(writer.close(Duration::from_secs(10)).written, 1);
///
/// let mut stored = Vec::new();
/// StoreReader::open(&url)?.read(&[], 0, i64::MAX, None, &mut |tick| stored.push(tick.clone()))?;
/// assert_eq!(stored, [tick]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DbWriter {
    handle: Arc<Handle>,
}

struct Handle {
    queue: Arc<WriteQueue>,
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
    pub(super) fn new(queue: Arc<WriteQueue>) -> Self {
        Self { handle: Arc::new(Handle { queue }) }
    }

    /// Resolves to the checkpoint of `stream` when the store is open; to `None` if the stream is unknown or the writer
    /// is closed first.
    pub fn checkpoint(&self, stream: &str) -> impl Future<Output = Option<StreamId>> + Send + use<> {
        let (reply, checkpoint) = oneshot::channel();
        let queue = &self.handle.queue;
        let mut state = queue.lock();
        // After the end the request is dropped, which the future notices.
        if !state.closing {
            state.requests.push_back(Task::Checkpoint(stream.into(), reply));
            queue.work.notify_one();
        }
        async move { checkpoint.await.ok().flatten() }
    }

    /// Queues a batch without waiting. Rows beyond the queue's bound are dropped and counted, together with the batch's
    /// checkpoint. Returns how many were dropped.
    pub fn offer(&self, mut batch: RowBatch) -> u64 {
        let queue = &self.handle.queue;
        let mut state = queue.lock();
        let room = if state.closing { 0 } else { queue.rows_max.saturating_sub(state.load) };
        let dropped = batch.ticks.len().saturating_sub(room);
        if dropped > 0 {
            batch.ticks.truncate(room);
            batch.checkpoint = None;
            state.status.dropped += dropped as u64;
        }
        if room > 0 {
            queue.enqueue(state, batch);
        }
        dropped as u64
    }

    /// Queues a whole batch, even beyond the bound, for callers that [waited for room](Self::room) before they read as
    /// much from a stream. After [`close`](Self::close), rows are dropped and counted.
    pub fn put(&self, batch: RowBatch) {
        let mut state = self.handle.queue.lock();
        if state.closing {
            state.status.dropped += batch.ticks.len() as u64;
        } else {
            self.handle.queue.enqueue(state, batch);
        }
    }

    /// Resolves when fewer rows wait than allowed.
    pub async fn room(&self) {
        let queue = &self.handle.queue;
        let has_room = |(): &()| {
            let state = queue.lock();
            state.closing || state.load < queue.rows_max
        };
        // The queue outlives the receiver, so waiting does not fail.
        let _ = queue.room.subscribe().wait_for(has_room).await;
    }

    /// Highest ticket that is committed; 0 before the first. Batches commit in the order of queueing.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.handle.queue.committed.subscribe()
    }

    /// State and counters of this moment.
    pub fn status(&self) -> DbStatus {
        let mut status = self.handle.queue.lock().status.clone();
        if status.state == DbState::Writing && status.waiting > self.handle.queue.rows_max as u64 / 2 {
            status.state = DbState::Behind;
        }
        status
    }

    /// Commits what waits, for at most `limit`, and ends the thread; the rest is counted as dropped. Blocks.
    pub fn close(&self, limit: Duration) -> DbStatus {
        let queue = &self.handle.queue;
        queue.begin_closing(Some(Instant::now() + limit));
        let wait = queue.end.wait_timeout_while(queue.lock(), limit, |state| !state.ended);
        drop(wait.unwrap_or_else(PoisonError::into_inner));
        queue.end();
        self.status()
    }
}

/// Takes as many whole batches as fit into a transaction of `rows_max` rows, and at least one.
fn take_batches(batches: &mut VecDeque<(Instant, RowBatch)>, rows_max: usize) -> Vec<RowBatch> {
    let mut rows = 0;
    let fitting = batches.iter().take_while(|(_, batch)| {
        rows += load(batch);
        rows <= rows_max
    });
    let count = fitting.count().max(1).min(batches.len());
    batches.drain(..count).map(|(_, batch)| batch).collect()
}
