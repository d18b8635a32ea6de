//! What waits to be published: a bounded queue between a source that keeps its pace and a server that may be away.

mod disk_overflow;

pub(crate) use disk_overflow::DiskOverflow;

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client::publisher::delivery_report::Flying;
use crate::client::publisher::{Batch, DeliveryReport};

/// Messages in one batch at most. Larger ones save nothing more.
pub(super) const BATCH_MESSAGES_MAX: usize = 256;

/// Emptied batches that are kept, so that a flood goes round in the same memory: more than wait and are on their way
/// when the source follows the server.
const SPARES_MAX: usize = 64;

/// What happens to new messages when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The source waits, whether the server is there or not: nothing is lost.
    Wait,
    /// While the server is away the oldest messages are dropped and counted, because the source cannot wait. A server
    /// that is there but slow makes the source wait: it falls behind its pace, which it can tell.
    DropOldest,
}

/// How the connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Not yet connected for the first time.
    Connecting,
    /// Connected.
    Live,
    /// Was connected once, and is not now.
    Down,
}

/// Figures of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// Messages that the server has confirmed.
    pub sent: u64,
    /// Messages that were given up.
    pub dropped: u64,
    /// Messages that wait or are on their way.
    pub queued: u64,
    /// Messages that could not be written to the spool, and were kept in memory instead.
    pub unspooled: u64,
    /// Messages of an earlier run that the spool held.
    pub recovered: u64,
    /// How often the connection came back.
    pub reconnects: u64,
    /// Subscribers that the last confirmed message reached; `None` before the first.
    pub receivers: Option<u64>,
    /// How the connection stands.
    pub link: Link,
    /// When the first connection was made.
    pub connected_at: Option<Instant>,
    /// When the last confirmation came.
    pub confirmed_at: Option<Instant>,
}

struct State {
    /// Small ones are joined, so that memory goes with the messages and not with the batches.
    batches: VecDeque<Batch>,
    /// Messages in `batches`.
    waiting: usize,
    in_flight: usize,
    /// Which those are.
    flying: Flying,
    spares: Vec<Batch>,
    /// With a spool: what has yet to be written to it, and what lies there alone.
    depot: Option<DiskOverflow>,
    closed: bool,
    abandoned: bool,
    account: DeliveryReport,
    reconnects: u64,
    receivers: Option<u64>,
    link: Link,
    connected_at: Option<Instant>,
    confirmed_at: Option<Instant>,
}

impl State {
    /// Puts all of `batch` behind what waits, and leaves an empty one in its place.
    fn append(&mut self, batch: &mut Batch) {
        self.waiting += batch.len();
        match self.batches.back_mut() {
            Some(last) if last.len() + batch.len() <= BATCH_MESSAGES_MAX && last.spooled == batch.spooled => {
                last.append(batch);
            }
            _ => self.batches.push_back(std::mem::replace(batch, self.spares.pop().unwrap_or_default())),
        }
    }

    /// Takes the oldest messages off, `max` at most, as far as they lie in one batch.
    fn take(&mut self, max: usize) -> Batch {
        let Some(first) = self.batches.front_mut() else { return Batch::default() };
        let taken = first.split(max);
        if first.is_empty() {
            self.batches.pop_front();
        }
        self.waiting -= taken.len();
        taken
    }

    /// Gives up the oldest messages in memory, `max` at most.
    fn drop_oldest(&mut self, max: usize) {
        let mut excess = max;
        while excess > 0 && self.waiting > 0 {
            let oldest = self.take(excess);
            excess -= oldest.len();
            self.drop_all(&oldest);
            self.recycle(oldest);
        }
    }

    /// Counts all of `batch` as given up.
    fn drop_all(&mut self, batch: &Batch) {
        if let Some(span) = batch.span() {
            self.account.drop_span(span);
        }
    }

    /// Nothing is published from now on.
    fn abandon(&mut self) {
        let done = self.done();
        self.abandoned = true;
        let flying = self.flying.take_all();
        let waiting = std::mem::take(&mut self.batches);
        let waiting = waiting.iter().filter_map(|batch| Some((batch.span()?, batch.spooled)));
        for (span, spooled) in flying.into_iter().chain(waiting) {
            if spooled {
                self.account.keep_span(span);
            } else {
                self.account.drop_span(span);
            }
        }
        (self.waiting, self.in_flight) = (0, 0);
        self.keep_stored(done);
    }

    /// Messages that are neither confirmed nor given up.
    fn queued(&self) -> u64 {
        (self.waiting + self.in_flight) as u64 + self.depot.as_ref().map_or(0, DiskOverflow::held)
    }

    fn recycle(&mut self, mut batch: Batch) {
        if self.spares.len() < SPARES_MAX {
            batch.clear();
            self.spares.push(batch);
        }
    }
}

/// The queue and its figures, shared by one source, one publisher and whoever watches them.
pub struct SendQueue {
    capacity: usize,
    /// A lock held for a few instructions a batch, never across an await; so that all figures are of one moment.
    state: Mutex<State>,
    /// Wakes the publisher. It is the only one that waits here, so a permit is never taken by another.
    filled: Notify,
    /// Wakes the source, alike.
    emptied: Notify,
    /// Wakes all who wait for the first connection.
    connected: Notify,
    /// Wakes the publisher when it is to leave.
    abandoned: Notify,
    /// Wakes the spool's thread, alike.
    chores: Condvar,
}

impl SendQueue {
    /// Holds up to `capacity` messages, at least one.
    pub fn new(capacity: usize) -> Self {
        Self::build(capacity, None)
    }

    fn build(capacity: usize, depot: Option<DiskOverflow>) -> Self {
        let state = State {
            batches: VecDeque::new(),
            waiting: 0,
            in_flight: 0,
            flying: Flying::default(),
            spares: Vec::new(),
            depot,
            closed: false,
            abandoned: false,
            account: DeliveryReport::default(),
            reconnects: 0,
            receivers: None,
            link: Link::Connecting,
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
            chores: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves plain counters behind, which are still true.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all of `batch`, as soon as there is room. When cancelled, what was not taken is still in `batch`.
    pub async fn push(&self, batch: &mut Batch, overflow: Overflow) {
        while !self.take_in(batch, overflow) {
            self.emptied.notified().await;
        }
    }

    /// True once `batch` is empty.
    fn take_in(&self, batch: &mut Batch, overflow: Overflow) -> bool {
        if batch.is_empty() {
            return true;
        }
        let mut state = self.state();
        let drops = overflow == Overflow::DropOldest && state.link != Link::Live;
        if state.depot.is_some() {
            state.put_down(batch, drops, self.capacity);
            drop(state);
            self.chores.notify_one();
            return batch.is_empty();
        }
        let room = if drops { usize::MAX } else { self.capacity.saturating_sub(state.waiting) };
        if room > 0 {
            let mut taken = if room >= batch.len() { std::mem::take(batch) } else { batch.split(room) };
            if let Some(span) = taken.span() {
                state.account.made(span);
            }
            state.append(&mut taken);
            // Its memory goes back to the source.
            if batch.is_empty() {
                *batch = taken;
            }
        }
        if drops {
            let excess = state.waiting.saturating_sub(self.capacity);
            state.drop_oldest(excess);
        }
        drop(state);
        self.filled.notify_one();
        batch.is_empty()
    }

    /// Counts the rest of a batch that will not be pushed any more.
    pub fn give_up(&self, batch: &mut Batch) {
        let mut state = self.state();
        if let Some(span) = batch.span() {
            state.account.made(span);
            state.account.drop_span(span);
        }
        drop(state);
        batch.clear();
    }

    /// Says that no more messages come: the publisher ends once the last one is confirmed.
    pub fn close(&self) {
        self.state().closed = true;
        self.filled.notify_one();
    }

    /// Makes the publisher leave now. What was not confirmed is counted as dropped from now on, unless it is in the
    /// spool.
    pub fn abandon(&self) {
        let mut state = self.state();
        if !state.abandoned {
            state.abandon();
        }
        drop(state);
        self.abandoned.notify_one();
        self.chores.notify_one();
    }

    /// Resolves once the publisher is to leave.
    pub(super) async fn abandoned(&self) {
        self.abandoned.notified().await;
    }

    /// Resolves once the first connection has been made.
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

    /// All figures, of one moment.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.state();
        Snapshot {
            sent: state.account.sent,
            dropped: state.account.dropped,
            queued: state.queued(),
            unspooled: state.depot.as_ref().map_or(0, DiskOverflow::unspooled),
            recovered: state.account.recovered,
            reconnects: state.reconnects,
            receivers: state.receivers,
            link: state.link,
            connected_at: state.connected_at,
            confirmed_at: state.confirmed_at,
        }
    }

    /// What became of each message.
    pub fn account(&self) -> DeliveryReport {
        self.state().account.clone()
    }

    /// A batch of the oldest messages, up to `max`, which count as in flight from now on; empty when none wait.
    pub(crate) fn take(&self, max: usize) -> Batch {
        let mut state = self.state();
        let batch = state.take(max);
        state.in_flight += batch.len();
        if let Some(span) = batch.span() {
            state.flying.push(span, batch.spooled);
        }
        let wants_more = state.wants_more(self.capacity);
        drop(state);
        if !batch.is_empty() {
            self.emptied.notify_one();
        }
        if wants_more {
            self.chores.notify_one();
        }
        batch
    }

    /// Gives back the memory of a batch that is done with.
    pub(crate) fn recycle(&self, batch: Batch) {
        self.state().recycle(batch);
    }

    /// Resolves when there may be something to take, or the queue was closed.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Nothing waits, nothing is in flight, and nothing will come.
    pub(crate) fn is_finished(&self) -> bool {
        let state = self.state();
        state.closed && state.queued() == 0
    }

    /// `count` messages in flight were confirmed, the last one by `receivers` subscribers.
    pub(crate) fn confirm(&self, count: usize, receivers: u64) {
        let mut state = self.state();
        if state.abandoned {
            // Too late: these are counted as dropped already.
            return;
        }
        state.in_flight = state.in_flight.saturating_sub(count);
        state.flying.confirm(count as u64);
        state.account.sent += count as u64;
        state.receivers = Some(receivers);
        state.confirmed_at = Some(Instant::now());
        let makes_room = state.depot.is_some();
        drop(state);
        if makes_room {
            // What is under way has its place in the spool until it is confirmed.
            self.emptied.notify_one();
        }
    }

    /// The connection was made, or lost.
    pub(crate) fn set_link(&self, live: bool) {
        let mut state = self.state();
        let was = state.link;
        state.link = match (was, live) {
            (_, true) => Link::Live,
            (Link::Connecting, false) => Link::Connecting,
            (_, false) => Link::Down,
        };
        if live {
            state.reconnects += u64::from(was == Link::Down);
            state.connected_at.get_or_insert_with(Instant::now);
        }
        drop(state);
        self.connected.notify_waiters();
        // A source that waits for room may have to drop now.
        self.emptied.notify_one();
    }
}

#[cfg(test)]
mod tests;
