//! The bounded queue between those who have ticks and the thread that writes them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use crate::model::StreamId;

use crate::storage::db::backend::Tally;
use crate::storage::db::{BEHIND_ROWS, COMMIT_ROWS_MAX, COMMIT_WAIT, DbState, DbStatus, RowBatch};

/// Longest that the writer sleeps with nothing to do, so that old rows are deleted on a quiet feed too.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// Somebody wants to know up to where a stream is kept.
pub(super) struct Question {
    pub(super) stream: Arc<str>,
    pub(super) answer: Box<dyn FnOnce(Option<StreamId>) + Send>,
}

/// What the writer is to do next.
pub(super) enum Work {
    Answer(Question),
    Commit(Vec<RowBatch>),
    Idle,
    End,
}

#[derive(Default)]
struct State {
    batches: VecDeque<(Instant, RowBatch)>,
    questions: VecDeque<Question>,
    /// Rows in `batches`, and in the writer's hands.
    waiting: usize,
    /// The same, where an empty batch counts as a row.
    load: usize,
    tally: Tally,
    dropped: u64,
    commits: u64,
    is_open: bool,
    trouble: Option<String>,
    closing: bool,
    /// Until when what waits may still be committed; for closing only.
    close_by: Option<Instant>,
    /// The writer has ended, or nobody waits for it any more.
    ended: bool,
}

/// See the module.
pub(super) struct Queue {
    state: Mutex<State>,
    rows_max: usize,
    /// Something to do for the writer.
    work: Condvar,
    /// The writer has ended.
    end: Condvar,
    /// There may be room.
    pub(super) room: Notify,
    pub(super) committed: watch::Sender<u64>,
}

fn load(batch: &RowBatch) -> usize {
    batch.ticks.len().max(1)
}

impl Queue {
    pub(super) fn new(rows_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            rows_max,
            work: Condvar::new(),
            end: Condvar::new(),
            room: Notify::new(),
            committed: watch::Sender::new(0),
        }
    }

    /// Figures are added and queues changed under this lock, each in one step: a panic leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_room(&self) -> bool {
        let state = self.lock();
        state.closing || state.load < self.rows_max
    }

    pub(super) fn offer(&self, mut batch: RowBatch) -> u64 {
        let mut state = self.lock();
        let room = if state.closing { 0 } else { self.rows_max.saturating_sub(state.load) };
        let dropped = batch.ticks.len().saturating_sub(room);
        if dropped > 0 {
            batch.ticks.truncate(room);
            batch.checkpoint = None;
            state.dropped += dropped as u64;
        }
        if room > 0 {
            self.take_in(state, batch);
        }
        dropped as u64
    }

    /// Gives the batch back when there is no room for it.
    pub(super) fn try_push(&self, batch: RowBatch) -> Result<(), RowBatch> {
        let mut state = self.lock();
        if state.closing {
            state.dropped += batch.ticks.len() as u64;
            return Ok(());
        }
        if state.load > 0 && state.load + load(&batch) > self.rows_max {
            return Err(batch);
        }
        self.take_in(state, batch);
        Ok(())
    }

    pub(super) fn put(&self, batch: RowBatch) {
        let mut state = self.lock();
        if state.closing {
            state.dropped += batch.ticks.len() as u64;
        } else {
            self.take_in(state, batch);
        }
    }

    fn take_in(&self, mut state: MutexGuard<'_, State>, batch: RowBatch) {
        state.waiting += batch.ticks.len();
        state.load += load(&batch);
        // Nobody but the writer sleeps on this; it is woken for the first batch, and when a transaction is full.
        let wake = state.batches.is_empty() || state.load >= COMMIT_ROWS_MAX;
        state.batches.push_back((Instant::now(), batch));
        drop(state);
        if wake {
            self.work.notify_one();
        }
    }

    pub(super) fn ask(&self, question: Question) {
        let mut state = self.lock();
        // Once it has ended nobody answers: the question is dropped, which whoever asked notices.
        if !state.ended && !state.closing {
            state.questions.push_back(question);
            self.work.notify_one();
        }
    }

    /// Waits for what is to be done next.
    ///
    /// Where the store is behind, a transaction has up to `rows_behind`.
    pub(super) fn next(&self, rows_behind: usize) -> Work {
        let mut state = self.lock();
        let idle_at = Instant::now() + IDLE_WAIT;
        loop {
            if state.ended || state.close_by.is_some_and(|by| Instant::now() >= by) {
                return Work::End;
            }
            if let Some(question) = state.questions.pop_front() {
                return Work::Answer(question);
            }
            let now = Instant::now();
            let due = state.batches.front().map(|(since, _)| *since + COMMIT_WAIT);
            match due {
                Some(due) if state.closing || state.load >= COMMIT_ROWS_MAX || due <= now => {
                    // With an end in sight, what fits before it is not left out for what does not.
                    let is_behind = state.load > BEHIND_ROWS && state.close_by.is_none();
                    let rows_max = if is_behind { rows_behind } else { COMMIT_ROWS_MAX };
                    return Work::Commit(take_batches(&mut state.batches, rows_max));
                }
                None if state.closing => return Work::End,
                None if idle_at <= now => return Work::Idle,
                _ => {}
            }
            let until = due.unwrap_or(idle_at).saturating_duration_since(now);
            (state, _) = self.work.wait_timeout(state, until).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether the writer is to stop trying.
    pub(super) fn is_over(&self) -> bool {
        let state = self.lock();
        state.ended || state.close_by.is_some_and(|by| Instant::now() >= by)
    }

    /// Whether nothing is left to be done for a writer that has no batch in hand.
    pub(super) fn is_done(&self) -> bool {
        let state = self.lock();
        state.ended || (state.closing && state.batches.is_empty())
    }

    /// Sleeps for `pause`, or until it is all over.
    pub(super) fn pause(&self, pause: Duration) {
        let wake_at = Instant::now() + pause;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let until = state.close_by.map_or(wake_at, |by| by.min(wake_at));
            if state.ended || now >= until {
                return;
            }
            (state, _) = self.work.wait_timeout(state, until - now).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The store is open, or is being opened again. What the trouble was with is not done yet.
    pub(super) fn set_open(&self, is_open: bool) {
        self.lock().is_open = is_open;
    }

    pub(super) fn set_trouble(&self, cause: String) {
        let mut state = self.lock();
        let is_news = state.trouble.as_ref() != Some(&cause);
        let told = if is_news { format!("the store fails: {cause}; ticks wait for it") } else { String::new() };
        state.trouble = Some(cause);
        drop(state);
        if is_news {
            // Outside the lock: a terminal may take its time.
            warn!("{told}");
        }
    }

    /// What the store was in trouble with, if it was, is over.
    pub(super) fn clear_trouble(&self) {
        self.lock().trouble = None;
    }

    /// These batches are committed.
    pub(super) fn settle(&self, batches: &[RowBatch], tally: Tally) {
        let mut state = self.lock();
        if state.ended {
            // They are counted as dropped already: whoever closed did not wait for them.
            return;
        }
        for batch in batches {
            state.waiting -= batch.ticks.len();
            state.load -= load(batch);
        }
        state.tally.written += tally.written;
        state.tally.duplicates += tally.duplicates;
        state.commits += 1;
        let was_in_trouble = state.trouble.take().is_some();
        drop(state);
        if was_in_trouble {
            info!("the store keeps ticks again");
        }
        if let Some(last) = batches.last() {
            self.committed.send_replace(last.ticket);
        }
        self.room.notify_waiters();
    }

    pub(super) fn status(&self) -> DbStatus {
        let state = self.lock();
        let shown = match &state.trouble {
            Some(cause) => DbState::Failing(cause.clone()),
            None if !state.is_open => DbState::Connecting,
            None if state.waiting > self.rows_max / 2 => DbState::Behind,
            None => DbState::Persistence,
        };
        DbStatus {
            state: shown,
            waiting: state.waiting as u64,
            written: state.tally.written,
            duplicates: state.tally.duplicates,
            dropped: state.dropped,
            commits: state.commits,
        }
    }

    /// From now on nothing is taken in; what waits is committed, until `by` at the longest.
    pub(super) fn begin_closing(&self, by: Option<Instant>) {
        let mut state = self.lock();
        state.closing = true;
        if by.is_some() {
            state.close_by = by;
        }
        drop(state);
        self.work.notify_all();
        self.room.notify_waiters();
    }

    pub(super) fn close(&self, limit: Duration) -> DbStatus {
        let by = Instant::now() + limit;
        self.begin_closing(Some(by));
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.ended || now >= by {
                break;
            }
            (state, _) = self.end.wait_timeout(state, by - now).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.end();
        self.status()
    }

    /// The end, for the writer and for whoever stops waiting for it: what is left is dropped.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.closing = true;
        state.dropped += state.waiting as u64;
        state.waiting = 0;
        state.load = 0;
        state.batches.clear();
        state.questions.clear();
        drop(state);
        self.work.notify_all();
        self.end.notify_all();
        self.room.notify_waiters();
    }
}

/// As many whole batches as fit into a transaction of so many rows, and at least one.
fn take_batches(batches: &mut VecDeque<(Instant, RowBatch)>, rows_max: usize) -> Vec<RowBatch> {
    let (mut taken, mut rows) = (Vec::new(), 0);
    while let Some((_, next)) = batches.front() {
        if !taken.is_empty() && rows + load(next) > rows_max {
            break;
        }
        rows += load(next);
        taken.extend(batches.pop_front().map(|(_, batch)| batch));
    }
    taken
}
