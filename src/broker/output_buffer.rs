//! What waits to be written to one client, and when that is too much.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What a queued piece costs beside its bytes: its place in the queue and its allocation's header. Counted, so that a
/// flood of tiny messages meets the limit when the memory does, not long after.
const PIECE_OVERHEAD_BYTES: usize = 64;

/// Smaller pieces are copied together before they are written, larger ones are written from where they are: a system
/// call costs more than copying a few kilobytes.
const COPY_BELOW_BYTES: usize = 16 * 1024;

/// Bytes that are copied together for one write.
const CHUNK_BYTES: usize = 64 * 1024;

/// Bounds on what waits for one subscriber; see [`BrokerLimits`](crate::broker::BrokerLimits).
#[derive(Debug, Clone, Copy)]
pub(super) struct OutputLimits {
    pub(super) hard_bytes: usize,
    pub(super) soft_bytes: usize,
    pub(super) soft_time: Duration,
}

/// Why a connection ends before its client wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Too many bytes waited for it, or some bytes for too long.
    CutOff {
        /// What waited and is lost.
        queued_bytes: usize,
    },
    /// CLIENT KILL, or a connection that is no Redis client. Nothing more is written.
    Killed,
    /// The broker shuts down: what waits is still written.
    Drain,
}

/// The queue of one client. Publishers put pieces in, the client's own task takes them out.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Held for a few pushes or one swap, never across an await. The client's task and each publisher contend for it
    /// alone, so a busy client does not slow another one.
    state: Mutex<State>,
    wake: Notify,
    limits: OutputLimits,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Bytes>,
    /// Cost of `pieces` and of what the client's task has taken but not written yet.
    queued_bytes: usize,
    over_soft_since: Option<Instant>,
    end: Option<End>,
}

/// What the client's task has to know before it waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status {
    pub(super) queued_bytes: usize,
    pub(super) end: Option<End>,
    /// When the soft limit cuts the client off unless it reads.
    pub(super) soft_deadline: Option<Instant>,
}

impl Outbox {
    pub(super) fn new(limits: OutputLimits) -> Self {
        Self { state: Mutex::default(), wake: Notify::new(), limits }
    }

    /// Queues `piece`. A subscriber over its hard limit is ended at once, and what waited for it is freed.
    pub(super) fn push(&self, piece: Bytes, is_subscriber: bool) {
        let mut state = self.lock();
        if state.end.is_some_and(|end| end != End::Drain) {
            return;
        }
        // The task was told of the pieces that are there already.
        let mut must_wake = state.pieces.is_empty();
        state.queued_bytes += piece.len() + PIECE_OVERHEAD_BYTES;
        state.pieces.push_back(piece);
        if is_subscriber {
            if state.queued_bytes > self.limits.hard_bytes {
                let queued_bytes = state.queued_bytes;
                state.end_with(End::CutOff { queued_bytes });
                must_wake = true;
            } else if state.queued_bytes > self.limits.soft_bytes && state.over_soft_since.is_none() {
                state.over_soft_since = Some(Instant::now());
                must_wake = true;
            }
        }
        drop(state);
        if must_wake {
            self.wake.notify_one();
        }
    }

    /// Ends the connection; the first reason stays, except that a shutdown gives way to a harder one.
    pub(super) fn end(&self, end: End) {
        let mut state = self.lock();
        if state.end.is_none_or(|earlier| earlier == End::Drain) {
            if end == End::Drain { state.end = Some(end) } else { state.end_with(end) }
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Makes the client's task look at its state.
    pub(super) fn nudge(&self) {
        self.wake.notify_one();
    }

    /// Waits until there is something new to [`collect`](Self::collect).
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Hands the queue to `output` if that has nothing left to write.
    pub(super) fn collect(&self, output: &mut Output) -> Status {
        let mut state = self.lock();
        if output.pieces.is_empty() && !state.pieces.is_empty() {
            std::mem::swap(&mut state.pieces, &mut output.pieces);
        }
        let soft_deadline = state.over_soft_since.map(|since| since + self.limits.soft_time);
        Status { queued_bytes: state.queued_bytes, end: state.end, soft_deadline }
    }

    /// Takes `written_bytes`, as [`Output::advance`] counts them, off the account.
    pub(super) fn release(&self, written_bytes: usize) {
        let mut state = self.lock();
        state.queued_bytes = state.queued_bytes.saturating_sub(written_bytes);
        if state.queued_bytes <= self.limits.soft_bytes {
            state.over_soft_since = None;
        }
    }

    /// Bytes and pieces that wait.
    pub(super) fn queued(&self) -> (usize, usize) {
        let state = self.lock();
        (state.queued_bytes, state.pieces.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end_with(&mut self, end: End) {
        self.end = Some(end);
        self.pieces = VecDeque::new();
    }
}

/// What the client's task is writing.
#[derive(Debug, Default)]
pub(super) struct Output {
    pieces: VecDeque<Bytes>,
    chunk: Bytes,
    chunk_written: usize,
    chunk_cost_bytes: usize,
}

impl Output {
    /// The bytes to write next; empty when all is written.
    pub(super) fn chunk(&mut self) -> &[u8] {
        if self.chunk_written == self.chunk.len() {
            self.next_chunk();
        }
        &self.chunk[self.chunk_written..]
    }

    /// Notes that the first `bytes` of the chunk are written, and gives what the account may be relieved of: the cost
    /// of the chunk once the whole of it is written.
    pub(super) fn advance(&mut self, bytes: usize) -> usize {
        self.chunk_written = (self.chunk_written + bytes).min(self.chunk.len());
        if self.chunk_written < self.chunk.len() {
            return 0;
        }
        self.chunk = Bytes::new();
        self.chunk_written = 0;
        std::mem::take(&mut self.chunk_cost_bytes)
    }

    fn next_chunk(&mut self) {
        self.chunk_written = 0;
        self.chunk = self.pieces.pop_front().unwrap_or_default();
        self.chunk_cost_bytes = if self.chunk.is_empty() { 0 } else { self.chunk.len() + PIECE_OVERHEAD_BYTES };
        let joins = |piece: Option<&Bytes>| piece.is_some_and(|piece| piece.len() < COPY_BELOW_BYTES);
        if self.chunk.len() >= COPY_BELOW_BYTES || !joins(self.pieces.front()) {
            return;
        }
        let mut joined = Vec::with_capacity(CHUNK_BYTES);
        joined.extend_from_slice(&self.chunk);
        while joined.len() < CHUNK_BYTES - COPY_BELOW_BYTES && joins(self.pieces.front()) {
            let Some(piece) = self.pieces.pop_front() else { break };
            joined.extend_from_slice(&piece);
            self.chunk_cost_bytes += piece.len() + PIECE_OVERHEAD_BYTES;
        }
        self.chunk = joined.into();
    }
}

#[cfg(test)]
mod tests {
    use crate::broker::output_buffer::*;

    fn outbox(hard_bytes: usize, soft_bytes: usize) -> Outbox {
        Outbox::new(OutputLimits { hard_bytes, soft_bytes, soft_time: Duration::from_mins(1) })
    }

    #[test]
    fn everything_comes_out_once_and_in_order_whatever_the_sizes() {
        let outbox = outbox(usize::MAX, usize::MAX);
        let sizes = [1, 70_000, 5, 16_384, 16_383, 1, 1, 200_000, 3, 40_000];
        let sent: Vec<Vec<u8>> = (0_u8..).zip(sizes).map(|(byte, size)| vec![byte; size]).collect();
        for piece in &sent {
            outbox.push(Bytes::from(piece.clone()), true);
        }
        let (mut output, mut written) = (Output::default(), Vec::new());
        loop {
            outbox.collect(&mut output);
            let chunk = output.chunk();
            if chunk.is_empty() {
                break;
            }
            let part = chunk.len().min(10_000);
            written.extend_from_slice(&chunk[..part]);
            let released = output.advance(part);
            outbox.release(released);
        }
        assert_eq!(written, sent.concat());
        assert_eq!(outbox.queued(), (0, 0), "every byte that was charged is released");
    }

    #[test]
    fn the_hard_limit_ends_a_subscriber_and_frees_its_queue() {
        let outbox = outbox(1_000, 500);
        outbox.push(Bytes::from(vec![0; 2_000]), false);
        assert_eq!(outbox.collect(&mut Output::default()).end, None, "replies are bounded by not reading commands");
        outbox.push(Bytes::from_static(b"x"), true);
        let status = outbox.collect(&mut Output::default());
        assert!(matches!(status.end, Some(End::CutOff { queued_bytes: 2_001.. })));
        outbox.push(Bytes::from_static(b"late"), true);
        assert_eq!(outbox.queued().1, 0);
        outbox.end(End::Drain);
        assert!(matches!(outbox.collect(&mut Output::default()).end, Some(End::CutOff { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn the_soft_limit_sets_a_deadline_that_reading_lifts() {
        let outbox = outbox(10_000, 500);
        outbox.push(Bytes::from(vec![0; 400]), true);
        let mut output = Output::default();
        assert_eq!(outbox.collect(&mut output).soft_deadline, None);
        outbox.push(Bytes::from(vec![0; 400]), true);
        let deadline = outbox.collect(&mut output).soft_deadline;
        assert_eq!(deadline, Some(Instant::now() + Duration::from_mins(1)));
        tokio::time::advance(Duration::from_secs(10)).await;
        outbox.push(Bytes::from(vec![0; 400]), true);
        assert_eq!(outbox.collect(&mut output).soft_deadline, deadline, "the clock is not set back by more messages");
        let len = output.chunk().len();
        outbox.release(output.advance(len));
        outbox.collect(&mut output);
        let len = output.chunk().len();
        outbox.release(output.advance(len));
        assert_eq!(outbox.collect(&mut output).soft_deadline, None);
    }
}
