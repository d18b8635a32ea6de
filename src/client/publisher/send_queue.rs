//! Bounded queue of messages between a source that keeps its pace and a server that may be down.

mod disk_overflow;

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectionStatus {
    /// The first connection is not yet established.
    #[default]
    Connecting,
    /// The connection is up.
    Live,
    /// The connection was lost.
    Down,
}

/// Counters of a send queue at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

#[derive(Default)]
struct State {
    /// Batches ready to be sent.
    ready: VecDeque<Batch>,
    /// Messages in `ready`.
    ready_count: usize,
    in_flight: InFlight,
    spares: Vec<Batch>,
    /// With a spool: messages to be written to it, and messages that are only there.
    disk: Option<DiskOverflow>,
    /// The source does not wait while the server is down.
    drops: bool,
    closed: bool,
    abandoned: bool,
    report: DeliveryReport,
    /// Counters that neither the report nor the messages in the queue determine; the others are zero.
    stats: QueueStats,
}

/// Appends all of `batch` to a queue, and leaves an empty batch in its place. Small batches are joined, so that memory
/// depends on the messages, not on the batches.
fn append(queue: &mut VecDeque<Batch>, batch: &mut Batch, spares: &mut Vec<Batch>) {
    match queue.back_mut() {
        Some(last) if last.len() + batch.len() <= BATCH_MESSAGES_MAX && last.spooled == batch.spooled => {
            last.append(batch);
        }
        _ => queue.push_back(std::mem::replace(batch, spares.pop().unwrap_or_default())),
    }
}

impl State {
    /// Number of new messages for which there is room. `memory` is the number of messages that memory may hold.
    fn room(&self, memory: usize) -> usize {
        let Some(disk) = &self.disk else {
            return if self.drops { usize::MAX } else { memory.saturating_sub(self.ready_count) };
        };
        let room = memory.saturating_sub(disk.unwritten_count + disk.writing);
        if self.drops { room } else { room.min(as_usize(disk.capacity.saturating_sub(self.queued()))) }
    }

    /// Appends all of `batch` to the ready messages, or to those to be written to disk. Leaves an empty batch in its
    /// place.
    fn accept(&mut self, batch: &mut Batch) {
        self.report.add_new(batch.range());
        match &mut self.disk {
            Some(disk) => {
                disk.unwritten_count += batch.len();
                append(&mut disk.unwritten, batch, &mut self.spares);
            }
            None => self.make_ready(batch),
        }
    }

    /// Appends all of `batch` to the ready messages, and leaves an empty batch in its place.
    fn make_ready(&mut self, batch: &mut Batch) {
        if let (Some(range), Some(disk)) = (batch.range(), &mut self.disk) {
            disk.loaded = disk.loaded.max(range.last);
        }
        self.ready_count += batch.len();
        append(&mut self.ready, batch, &mut self.spares);
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

    /// Drops the oldest messages in memory beyond the capacity of the queue: of memory without a spool or while the
    /// disk fails, else of the spool.
    fn drop_excess(&mut self, memory: usize) {
        let mut excess = match &self.disk {
            None => self.ready_count.saturating_sub(memory),
            Some(disk) => {
                let limit = if disk.is_failing { memory as u64 + disk.stored } else { disk.capacity };
                as_usize(self.queued().saturating_sub(limit.max(1)))
            }
        };
        while excess > 0 && self.ready_count > 0 {
            let oldest = self.take(excess);
            excess -= oldest.len();
            self.report.add_dropped(oldest.range());
            self.recycle(oldest);
        }
    }

    /// Ends publishing: all messages that are not in the spool count as dropped.
    fn abandon(&mut self) {
        let done = self.done();
        self.abandoned = true;
        self.ready_count = 0;
        let ready = std::mem::take(&mut self.ready);
        let ready = ready.iter().filter_map(|batch| Some((batch.range()?, batch.spooled)));
        for (range, spooled) in self.in_flight.take_all().into_iter().chain(ready) {
            if spooled {
                self.report.add_spooled(range);
            } else {
                self.report.add_dropped(range);
            }
        }
        self.abandon_disk(done);
    }

    /// Number of messages that are neither confirmed nor dropped.
    fn queued(&self) -> u64 {
        self.ready_count as u64 + self.in_flight.count() + self.disk.as_ref().map_or(0, DiskOverflow::held)
    }

    fn recycle(&mut self, mut batch: Batch) {
        if self.spares.len() < SPARE_BATCHES_MAX {
            batch.clear();
            self.spares.push(batch);
        }
    }
}

fn as_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
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
    /// Wakes the publisher, the only task that waits here, when messages may be ready or the queue was closed.
    pub(super) filled: Notify,
    /// Wakes the source, the only task that waits here.
    emptied: Notify,
    /// True once the first connection is established.
    connected: watch::Sender<bool>,
    /// Tells the publisher to stop.
    pub(super) abandoned: Notify,
    /// Wakes the spool writer's thread.
    disk_work: Condvar,
}

impl SendQueue {
    /// Creates a queue of up to `capacity` messages, at least one.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            state: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
            connected: watch::Sender::new(false),
            abandoned: Notify::new(),
            disk_work: Condvar::new(),
        }
    }

    /// Creates a queue of up to `capacity` messages in memory, which continue on disk in `log`.
    pub(super) fn with_log(capacity: usize, log: &SegmentLog) -> Self {
        let queue = Self::new(capacity);
        let mut state = queue.state();
        state.report.recovered = log.recovered;
        state.report.recovered_ranges.clone_from(&log.recovered_ranges);
        state.disk = Some(DiskOverflow::new(log.capacity, log.done(), log.last(), log.recovered));
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
        state.drops = policy == OverflowPolicy::DropOldest && state.stats.status != ConnectionStatus::Live;
        let room = state.room(self.capacity);
        if room > 0 {
            let mut taken = batch.split(room);
            state.accept(&mut taken);
            // Returns the memory to the source.
            if batch.is_empty() {
                *batch = taken;
            }
        }
        if state.drops {
            state.drop_excess(self.capacity);
        }
        let is_spooled = state.disk.is_some();
        drop(state);
        if is_spooled {
            self.disk_work.notify_one();
        } else {
            self.filled.notify_one();
        }
        batch.is_empty()
    }

    /// Counts the messages of a batch that will not be pushed as dropped, and clears it.
    pub fn discard(&self, batch: &mut Batch) {
        let mut state = self.state();
        state.report.add_new(batch.range());
        state.report.add_dropped(batch.range());
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

    /// Resolves once the first connection is established.
    pub async fn connected(&self) {
        // The sender is not dropped meanwhile.
        let _ = self.connected.subscribe().wait_for(|is_connected| *is_connected).await;
    }

    /// Returns all counters at one instant.
    pub fn stats(&self) -> QueueStats {
        let state = self.state();
        let DeliveryReport { sent, dropped, recovered, .. } = state.report;
        QueueStats { sent, dropped, recovered, queued: state.queued(), ..state.stats }
    }

    /// Returns the fate of each message so far.
    pub fn report(&self) -> DeliveryReport {
        self.state().report.clone()
    }

    /// Removes a batch of the oldest messages, at most `max`, which are in flight from now on; empty if none is ready.
    pub(super) fn take(&self, max: usize) -> Batch {
        let mut state = self.state();
        let batch = state.take(max);
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
        state.in_flight.confirm(count as u64);
        state.report.sent += count as u64;
        state.stats.receivers = Some(receivers);
        state.stats.confirmed_at = Some(Instant::now());
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
        let stats = &mut state.stats;
        if is_connected {
            stats.reconnects += u64::from(stats.status == ConnectionStatus::Down);
            stats.status = ConnectionStatus::Live;
            stats.connected_at.get_or_insert_with(Instant::now);
            self.connected.send_replace(true);
        } else if stats.status == ConnectionStatus::Live {
            stats.status = ConnectionStatus::Down;
        }
        drop(state);
        // A source that waits for room may have to drop messages now.
        self.emptied.notify_one();
    }
}

#[cfg(test)]
mod tests;
