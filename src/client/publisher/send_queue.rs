//! Bounded queue of messages between a source that keeps its pace and a server that may be down.

mod disk_overflow;

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client::publisher::DeliveryReport;
use crate::client::publisher::in_flight::InFlight;
use crate::spool::{Batch, SegmentLog};
use disk_overflow::DiskOverflow;

/// Most messages in one batch. Larger batches save nothing more.
pub(super) const BATCH_MESSAGES_MAX: usize = 256;

/// Most empty batches kept for reuse: more than are queued and in flight when the source does not outrun the server.
const SPARE_BATCHES_MAX: usize = 64;

/// Policy for new messages when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverflowPolicy {
    /// The source waits, connected or not. No message is lost.
    Wait,
    /// While the server is down, the oldest messages are dropped and counted. While the server is connected but slow,
    /// the source waits and falls behind its pace.
    DropOldest,
}

/// State of the publisher's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionStatus {
    /// The first connection is not yet established.
    Connecting,
    /// The connection is up.
    Live,
    /// The connection was lost.
    Down,
}

/// Counters of a send queue at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueStats {
    /// Messages that the server confirmed.
    pub sent: u64,
    /// Messages that were dropped.
    pub dropped: u64,
    /// Messages that are waiting or in flight.
    pub queued: u64,
    /// Messages that could not be written to the spool and were kept in memory instead.
    pub unspooled: u64,
    /// Messages of an earlier run that the spool held at the start.
    pub recovered: u64,
    /// Number of times that the connection was established again.
    pub reconnects: u64,
    /// Subscribers that received the last confirmed message; `None` before the first.
    pub receivers: Option<u64>,
    /// State of the connection.
    pub status: ConnectionStatus,
    /// Time of the first connection.
    pub connected_at: Option<Instant>,
    /// Time of the last confirmation.
    pub confirmed_at: Option<Instant>,
}

struct State {
    /// Batches ready to be sent. Small ones are joined, so that memory depends on the messages, not on the batches.
    ready: VecDeque<Batch>,
    /// Messages in `ready`.
    ready_count: usize,
    in_flight_count: usize,
    in_flight: InFlight,
    spares: Vec<Batch>,
    /// With a spool: messages to be written to it, and messages that are only there.
    disk: Option<DiskOverflow>,
    closed: bool,
    abandoned: bool,
    report: DeliveryReport,
    reconnects: u64,
    receivers: Option<u64>,
    status: ConnectionStatus,
    connected_at: Option<Instant>,
    confirmed_at: Option<Instant>,
}

impl State {
    /// Appends all of `batch` to the ready messages, and leaves an empty batch in its place.
    fn append(&mut self, batch: &mut Batch) {
        self.ready_count += batch.len();
        match self.ready.back_mut() {
            Some(last) if last.len() + batch.len() <= BATCH_MESSAGES_MAX && last.spooled == batch.spooled => {
                last.append(batch);
            }
            _ => self.ready.push_back(std::mem::replace(batch, self.spares.pop().unwrap_or_default())),
        }
    }

    /// Removes the oldest messages, at most `max`, all from one batch.
    fn take(&mut self, max: usize) -> Batch {
        let Some(first) = self.ready.front_mut() else { return Batch::default() };
        let taken = first.split(max);
        if first.is_empty() {
            self.ready.pop_front();
        }
        self.ready_count -= taken.len();
        taken
    }

    /// Drops the oldest messages in memory, at most `max`.
    fn drop_oldest(&mut self, max: usize) {
        let mut excess = max;
        while excess > 0 && self.ready_count > 0 {
            let oldest = self.take(excess);
            excess -= oldest.len();
            self.drop_all(&oldest);
            self.recycle(oldest);
        }
    }

    /// Counts all messages of `batch` as dropped.
    fn drop_all(&mut self, batch: &Batch) {
        if let Some(range) = batch.range() {
            self.report.add_dropped(range);
        }
    }

    /// Ends publishing: all messages that are not in the spool count as dropped.
    fn abandon(&mut self) {
        let done = self.done();
        self.abandoned = true;
        let in_flight = self.in_flight.take_all();
        let ready = std::mem::take(&mut self.ready);
        let ready = ready.iter().filter_map(|batch| Some((batch.range()?, batch.spooled)));
        for (range, spooled) in in_flight.into_iter().chain(ready) {
            if spooled {
                self.report.add_spooled(range);
            } else {
                self.report.add_dropped(range);
            }
        }
        (self.ready_count, self.in_flight_count) = (0, 0);
        self.abandon_disk(done);
    }

    /// Number of messages that are neither confirmed nor dropped.
    fn queued(&self) -> u64 {
        (self.ready_count + self.in_flight_count) as u64 + self.disk.as_ref().map_or(0, DiskOverflow::held)
    }

    fn recycle(&mut self, mut batch: Batch) {
        if self.spares.len() < SPARE_BATCHES_MAX {
            batch.clear();
            self.spares.push(batch);
        }
    }
}

/// Queue and counters shared by one source, one publisher, and observers.
///
/// # Examples
/// ```
/// use tickscope::client::{OverflowPolicy, SendQueue};
/// use tickscope::spool::Batch;
///
/// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// runtime.block_on(async {
///     let queue = SendQueue::new(1_000);
///     let mut batch = Batch::default();
///     batch.set_first_number(1);
///     batch.push(None, |out| out.extend_from_slice(b"{}"));
///     queue.push(&mut batch, OverflowPolicy::Wait).await;
///     assert_eq!(queue.stats().queued, 1);
/// });
/// ```
pub struct SendQueue {
    capacity: usize,
    /// Held for a few instructions a batch and never across an await.
    state: Mutex<State>,
    /// Wakes the publisher, the only task that waits here.
    filled: Notify,
    /// Wakes the source, the only task that waits here.
    emptied: Notify,
    /// Wakes all tasks that wait for the first connection.
    connected: Notify,
    /// Tells the publisher to stop.
    abandoned: Notify,
    /// Wakes the spool writer's thread.
    disk_work: Condvar,
}

impl SendQueue {
    /// Creates a queue of up to `capacity` messages, at least one.
    pub fn new(capacity: usize) -> Self {
        let state = State {
            ready: VecDeque::new(),
            ready_count: 0,
            in_flight_count: 0,
            in_flight: InFlight::default(),
            spares: Vec::new(),
            disk: None,
            closed: false,
            abandoned: false,
            report: DeliveryReport::default(),
            reconnects: 0,
            receivers: None,
            status: ConnectionStatus::Connecting,
            connected_at: None,
            confirmed_at: None,
        };
        Self {
            capacity: capacity.max(1),
            state: Mutex::new(state),
            filled: Notify::new(),
            emptied: Notify::new(),
            connected: Notify::new(),
            abandoned: Notify::new(),
            disk_work: Condvar::new(),
        }
    }

    /// Creates a queue of up to `capacity` messages in memory, which continue on disk in `log`.
    pub(super) fn with_log(capacity: usize, log: &SegmentLog) -> Self {
        let queue = Self::new(capacity);
        let mut state = queue.state();
        state.report.recovered = log.recovered();
        state.report.recovered_ranges = log.recovered_ranges().to_vec();
        state.disk = Some(DiskOverflow::new(log.capacity(), log.done(), log.last(), log.recovered()));
        drop(state);
        queue
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves valid counters.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves all of `batch` into the queue as soon as there is room. When cancelled, `batch` holds the rest.
    pub async fn push(&self, batch: &mut Batch, policy: OverflowPolicy) {
        while !self.try_push(batch, policy) {
            self.emptied.notified().await;
        }
    }

    /// Moves as much of `batch` as there is room for; true once `batch` is empty.
    fn try_push(&self, batch: &mut Batch, policy: OverflowPolicy) -> bool {
        if batch.is_empty() {
            return true;
        }
        let mut state = self.state();
        let drops = policy == OverflowPolicy::DropOldest && state.status != ConnectionStatus::Live;
        if state.disk.is_some() {
            state.push_to_disk(batch, drops, self.capacity);
            drop(state);
            self.disk_work.notify_one();
            return batch.is_empty();
        }
        let room = if drops { usize::MAX } else { self.capacity.saturating_sub(state.ready_count) };
        if room > 0 {
            let mut taken = batch.split(room);
            if let Some(range) = taken.range() {
                state.report.add_new(range);
            }
            state.append(&mut taken);
            // Returns the memory to the source.
            if batch.is_empty() {
                *batch = taken;
            }
        }
        if drops {
            let excess = state.ready_count.saturating_sub(self.capacity);
            state.drop_oldest(excess);
        }
        drop(state);
        self.filled.notify_one();
        batch.is_empty()
    }

    /// Counts the messages of a batch that will not be pushed as dropped, and clears it.
    pub fn discard(&self, batch: &mut Batch) {
        if let Some(range) = batch.range() {
            let mut state = self.state();
            state.report.add_new(range);
            state.report.add_dropped(range);
        }
        batch.clear();
    }

    /// Closes the queue for new messages. The publisher ends once the last message is confirmed.
    pub fn close(&self) {
        self.state().closed = true;
        self.filled.notify_one();
    }

    /// Stops the publisher now. Unconfirmed messages that are not in the spool count as dropped.
    pub fn abandon(&self) {
        let mut state = self.state();
        if !state.abandoned {
            state.abandon();
        }
        drop(state);
        self.abandoned.notify_one();
        self.disk_work.notify_one();
    }

    /// Resolves once the queue was abandoned.
    pub(super) async fn abandoned(&self) {
        self.abandoned.notified().await;
    }

    /// Resolves once the first connection is established.
    pub async fn connected(&self) {
        loop {
            let mut notified = std::pin::pin!(self.connected.notified());
            notified.as_mut().enable();
            if self.state().connected_at.is_some() {
                return;
            }
            notified.await;
        }
    }

    /// Returns all counters at one instant.
    pub fn stats(&self) -> QueueStats {
        let state = self.state();
        QueueStats {
            sent: state.report.sent,
            dropped: state.report.dropped,
            queued: state.queued(),
            unspooled: state.disk.as_ref().map_or(0, DiskOverflow::unspooled),
            recovered: state.report.recovered,
            reconnects: state.reconnects,
            receivers: state.receivers,
            status: state.status,
            connected_at: state.connected_at,
            confirmed_at: state.confirmed_at,
        }
    }

    /// Returns the fate of each message so far.
    pub fn report(&self) -> DeliveryReport {
        self.state().report.clone()
    }

    /// Removes a batch of the oldest messages, at most `max`, which are in flight from now on; empty if none is ready.
    pub(super) fn take(&self, max: usize) -> Batch {
        let mut state = self.state();
        let batch = state.take(max);
        state.in_flight_count += batch.len();
        if let Some(range) = batch.range() {
            state.in_flight.push(range, batch.spooled);
        }
        let wants_load = state.wants_load(self.capacity);
        drop(state);
        if !batch.is_empty() {
            self.emptied.notify_one();
        }
        if wants_load {
            self.disk_work.notify_one();
        }
        batch
    }

    /// Returns the memory of a confirmed batch.
    pub(super) fn recycle(&self, batch: Batch) {
        self.state().recycle(batch);
    }

    /// Resolves when messages may be ready, or the queue was closed.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Returns true once the queue is closed and every message is confirmed or dropped.
    pub(super) fn is_finished(&self) -> bool {
        let state = self.state();
        state.closed && state.queued() == 0
    }

    /// Records the confirmation of the `count` oldest messages in flight; the last one reached `receivers` subscribers.
    pub(super) fn confirm(&self, count: usize, receivers: u64) {
        let mut state = self.state();
        if state.abandoned {
            // These messages were already counted as dropped.
            return;
        }
        state.in_flight_count = state.in_flight_count.saturating_sub(count);
        state.in_flight.confirm(count as u64);
        state.report.sent += count as u64;
        state.receivers = Some(receivers);
        state.confirmed_at = Some(Instant::now());
        let makes_room = state.disk.is_some();
        drop(state);
        if makes_room {
            // Messages in flight occupy the spool until they are confirmed.
            self.emptied.notify_one();
        }
    }

    /// Records that the connection was established or lost.
    pub(super) fn set_connected(&self, is_connected: bool) {
        let mut state = self.state();
        let before = state.status;
        state.status = match (before, is_connected) {
            (_, true) => ConnectionStatus::Live,
            (ConnectionStatus::Connecting, false) => ConnectionStatus::Connecting,
            (_, false) => ConnectionStatus::Down,
        };
        if is_connected {
            state.reconnects += u64::from(before == ConnectionStatus::Down);
            state.connected_at.get_or_insert_with(Instant::now);
        }
        drop(state);
        self.connected.notify_waiters();
        // A source that waits for room may have to drop messages now.
        self.emptied.notify_one();
    }
}

#[cfg(test)]
mod tests;
