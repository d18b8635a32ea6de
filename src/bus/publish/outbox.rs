//! What waits to be published: a bounded queue between a source that keeps its pace and a server that may be away.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// One message on its way to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What is published.
    pub payload: Vec<u8>,
    /// A line for people, shown once the server has taken the message; safe for a terminal.
    pub line: Option<String>,
}

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
    waiting: VecDeque<Message>,
    in_flight: usize,
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
            waiting: VecDeque::new(),
            in_flight: 0,
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
    pub async fn push(&self, batch: &mut Vec<Message>, overflow: Overflow) {
        while !self.take_in(batch, overflow) {
            self.emptied.notified().await;
        }
    }

    /// True once `batch` is empty.
    fn take_in(&self, batch: &mut Vec<Message>, overflow: Overflow) -> bool {
        if batch.is_empty() {
            return true;
        }
        let mut state = self.state();
        if overflow == Overflow::DropOldest && state.link != Link::Live {
            state.waiting.extend(batch.drain(..));
            let excess = state.waiting.len().saturating_sub(self.capacity);
            state.waiting.drain(..excess);
            state.dropped += excess as u64;
        } else {
            let room = self.capacity.saturating_sub(state.waiting.len()).min(batch.len());
            state.waiting.extend(batch.drain(..room));
        }
        drop(state);
        self.filled.notify_one();
        batch.is_empty()
    }

    /// Counts the rest of a batch that will not be pushed any more.
    pub fn give_up(&self, batch: &mut Vec<Message>) {
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
        state.dropped += (state.waiting.len() + state.in_flight) as u64;
        state.waiting.clear();
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
            queued: (state.waiting.len() + state.in_flight) as u64,
            reconnects: state.reconnects,
            receivers: state.receivers,
            link: state.link,
            connected_at: state.connected_at,
            confirmed_at: state.confirmed_at,
        }
    }

    /// Up to `max` of the oldest messages, which count as in flight from now on.
    pub(super) fn take(&self, max: usize) -> Vec<Message> {
        let mut state = self.state();
        let count = max.min(state.waiting.len());
        let batch: Vec<Message> = state.waiting.drain(..count).collect();
        state.in_flight += count;
        drop(state);
        if count > 0 {
            self.emptied.notify_one();
        }
        batch
    }

    /// Resolves when there may be something to take, or the queue was closed.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Nothing waits, nothing is in flight, and nothing will come.
    pub(super) fn is_finished(&self) -> bool {
        let state = self.state();
        state.closed && state.waiting.is_empty() && state.in_flight == 0
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

    fn messages(range: std::ops::Range<usize>) -> Vec<Message> {
        range.map(|n| Message { payload: n.to_string().into_bytes(), line: None }).collect()
    }

    fn numbers(batch: &[Message]) -> Vec<usize> {
        batch.iter().map(|message| String::from_utf8(message.payload.clone()).unwrap().parse().unwrap()).collect()
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
                let got = numbers(&outbox.take(take));
                outbox.confirm(got.len(), 1);
                taken.extend(got);
                let snapshot = outbox.snapshot();
                prop_assert!(snapshot.queued <= capacity as u64);
                prop_assert_eq!(snapshot.sent + snapshot.dropped + snapshot.queued, made as u64);
            }
            prop_assert!(taken.windows(2).all(|pair| pair[0] < pair[1]), "order is kept");
        }
    }
}
