//! What waits to be published: a bounded queue between a source that keeps its pace and a server that may be away.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bus::publish::Batch;

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
    spares: Vec<Batch>,
    closed: bool,
    abandoned: bool,
    sent: u64,
    dropped: u64,
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
            Some(last) if last.len() + batch.len() <= BATCH_MESSAGES_MAX => last.append(batch),
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

    fn recycle(&mut self, mut batch: Batch) {
        if self.spares.len() < SPARES_MAX {
            batch.clear();
            self.spares.push(batch);
        }
    }
}

/// The queue and its figures, shared by one source, one publisher and whoever watches them.
pub struct Outbox {
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
}

impl Outbox {
    /// Holds up to `capacity` messages, at least one.
    pub fn new(capacity: usize) -> Self {
        let state = State {
            batches: VecDeque::new(),
            waiting: 0,
            in_flight: 0,
            spares: Vec::new(),
            closed: false,
            abandoned: false,
            sent: 0,
            dropped: 0,
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
        if overflow == Overflow::DropOldest && state.link != Link::Live {
            state.append(batch);
            while let excess @ 1.. = state.waiting.saturating_sub(self.capacity) {
                let oldest = state.take(excess);
                state.dropped += oldest.len() as u64;
                state.recycle(oldest);
            }
        } else {
            let room = self.capacity.saturating_sub(state.waiting);
            if room >= batch.len() {
                state.append(batch);
            } else if room > 0 {
                state.append(&mut batch.split(room));
            }
        }
        drop(state);
        self.filled.notify_one();
        batch.is_empty()
    }

    /// Counts the rest of a batch that will not be pushed any more.
    pub fn give_up(&self, batch: &mut Batch) {
        self.state().dropped += batch.len() as u64;
        batch.clear();
    }

    /// Says that no more messages come: the publisher ends once the last one is confirmed.
    pub fn close(&self) {
        self.state().closed = true;
        self.filled.notify_one();
    }

    /// Makes the publisher leave now. What was not confirmed is counted as dropped from now on.
    pub fn abandon(&self) {
        let mut state = self.state();
        state.abandoned = true;
        state.dropped += (state.waiting + state.in_flight) as u64;
        state.batches.clear();
        state.waiting = 0;
        state.in_flight = 0;
        drop(state);
        self.abandoned.notify_one();
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
            sent: state.sent,
            dropped: state.dropped,
            queued: (state.waiting + state.in_flight) as u64,
            reconnects: state.reconnects,
            receivers: state.receivers,
            link: state.link,
            connected_at: state.connected_at,
            confirmed_at: state.confirmed_at,
        }
    }

    /// A batch of the oldest messages, up to `max`, which count as in flight from now on; empty when none wait.
    pub(super) fn take(&self, max: usize) -> Batch {
        let mut state = self.state();
        let batch = state.take(max);
        state.in_flight += batch.len();
        drop(state);
        if !batch.is_empty() {
            self.emptied.notify_one();
        }
        batch
    }

    /// Gives back the memory of a batch that is done with.
    pub(super) fn recycle(&self, batch: Batch) {
        self.state().recycle(batch);
    }

    /// Resolves when there may be something to take, or the queue was closed.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Nothing waits, nothing is in flight, and nothing will come.
    pub(super) fn is_finished(&self) -> bool {
        let state = self.state();
        state.closed && state.waiting == 0 && state.in_flight == 0
    }

    /// `count` messages in flight were confirmed, the last one by `receivers` subscribers.
    pub(super) fn confirm(&self, count: usize, receivers: u64) {
        let mut state = self.state();
        if state.abandoned {
            // Too late: these are counted as dropped already.
            return;
        }
        state.in_flight = state.in_flight.saturating_sub(count);
        state.sent += count as u64;
        state.receivers = Some(receivers);
        state.confirmed_at = Some(Instant::now());
    }

    /// The connection was made, or lost.
    pub(super) fn set_link(&self, live: bool) {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn messages(range: std::ops::Range<usize>) -> Batch {
        let mut batch = Batch::default();
        for n in range {
            batch.push(None, |out| out.extend_from_slice(n.to_string().as_bytes()));
        }
        batch
    }

    fn numbers(batch: &Batch) -> Vec<usize> {
        batch.payloads().map(|payload| std::str::from_utf8(payload).unwrap().parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn the_oldest_are_dropped_and_counted_while_the_server_is_away() {
        let outbox = Outbox::new(4);
        outbox.push(&mut messages(0..10), Overflow::DropOldest).await;
        let snapshot = outbox.snapshot();
        assert_eq!((snapshot.dropped, snapshot.queued, snapshot.link), (6, 4, Link::Connecting));
        assert_eq!(numbers(&outbox.take(10)), [6, 7, 8, 9]);
        outbox.confirm(4, 2);
        let snapshot = outbox.snapshot();
        assert_eq!((snapshot.sent, snapshot.queued, snapshot.receivers), (4, 0, Some(2)));
    }

    #[tokio::test]
    async fn a_source_waits_for_a_server_that_is_slow_and_drops_once_it_is_gone() {
        let outbox = Outbox::new(2);
        outbox.set_link(true);
        let mut batch = messages(0..3);
        {
            let mut push = std::pin::pin!(outbox.push(&mut batch, Overflow::DropOldest));
            let waits =
                std::future::poll_fn(|context| std::task::Poll::Ready(push.as_mut().poll(context).is_pending()));
            assert!(waits.await, "full");
            assert_eq!(outbox.snapshot().dropped, 0);
            outbox.set_link(false);
            push.await;
        }
        assert_eq!(outbox.snapshot().dropped, 1);
        assert_eq!(numbers(&outbox.take(9)), [1, 2]);
    }

    #[tokio::test]
    async fn a_cancelled_push_keeps_what_was_not_taken() {
        let outbox = Outbox::new(2);
        let mut batch = messages(0..5);
        tokio::select! {
            biased;
            () = outbox.push(&mut batch, Overflow::Wait) => panic!("there is room for two"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(numbers(&batch), [2, 3, 4]);
        outbox.give_up(&mut batch);
        let snapshot = outbox.snapshot();
        assert_eq!((snapshot.dropped, snapshot.queued), (3, 2));
    }

    #[tokio::test]
    async fn it_is_finished_only_when_the_last_one_is_confirmed() {
        let outbox = Outbox::new(8);
        outbox.push(&mut messages(0..1), Overflow::Wait).await;
        outbox.close();
        assert!(!outbox.is_finished());
        outbox.take(1);
        assert!(!outbox.is_finished());
        outbox.confirm(1, 0);
        assert!(outbox.is_finished());
    }

    #[tokio::test]
    async fn what_is_abandoned_counts_as_dropped_once() {
        let outbox = Outbox::new(8);
        outbox.push(&mut messages(0..5), Overflow::Wait).await;
        outbox.take(2);
        outbox.abandon();
        outbox.confirm(2, 1);
        outbox.abandoned().await;
        let snapshot = outbox.snapshot();
        assert_eq!((snapshot.sent, snapshot.dropped, snapshot.queued), (0, 5, 0));
    }

    #[test]
    fn a_connection_that_comes_back_counts_as_one_reconnect() {
        let outbox = Outbox::new(1);
        let links = [false, true, true, false, false, true].map(|live| {
            outbox.set_link(live);
            outbox.snapshot().link
        });
        assert_eq!(links, [Link::Connecting, Link::Live, Link::Live, Link::Down, Link::Down, Link::Live]);
        assert_eq!(outbox.snapshot().reconnects, 1);
    }

    proptest! {
        #[test]
        fn no_message_is_lost_uncounted(
            capacity in 1usize..20,
            steps in proptest::collection::vec((0usize..12, 0usize..12, any::<bool>()), 1..40),
        ) {
            let outbox = Outbox::new(capacity);
            let (mut made, mut taken) = (0, Vec::new());
            for (push, take, live) in steps {
                outbox.set_link(live);
                let mut batch = messages(made..made + push);
                made += push;
                outbox.take_in(&mut batch, Overflow::DropOldest);
                outbox.give_up(&mut batch);
                let got = outbox.take(take);
                outbox.confirm(got.len(), 1);
                taken.extend(numbers(&got));
                outbox.recycle(got);
                let snapshot = outbox.snapshot();
                prop_assert!(snapshot.queued <= capacity as u64);
                prop_assert_eq!(snapshot.sent + snapshot.dropped + snapshot.queued, made as u64);
            }
            prop_assert!(taken.windows(2).all(|pair| pair[0] < pair[1]), "order is kept");
        }
    }
}
