//! Bytes that wait to be written to one client, and their limits.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::broker::{BrokerLimits, lock};

/// Bytes of replies that may wait for a client before its commands are not read any more. A pipeline of four million
/// messages still fits, since some libraries send a whole pipeline before they read a reply.
pub(super) const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Cost of a piece besides its bytes: its place in the queue and the header of its allocation. It makes a flood of tiny
/// messages meet the limit when the memory does.
const PIECE_OVERHEAD_BYTES: usize = 64;

/// Size below which pieces are joined before they are written: a system call costs more than copying a few kilobytes.
const JOIN_BELOW_BYTES: usize = 16 * 1024;

/// Bytes that are joined for one write.
const CHUNK_BYTES: usize = 64 * 1024;

/// Reason for which the broker closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// Too many bytes waited, or some bytes waited too long.
    SlowConsumer {
        /// Bytes that waited and are lost.
        queued_bytes: usize,
    },
    /// CLIENT KILL, or a connection that does not speak Redis's protocol. Nothing more is written.
    Killed,
    /// The broker shuts down. Everything in the buffer is still written.
    Shutdown,
}

/// Output buffer of one client. Publishers add pieces, and the client's own task removes them.
#[derive(Debug)]
pub(super) struct OutputBuffer {
    /// Held for a few pushes or one swap. Only the client's task and publishers contend for it, so that a busy client
    /// does not slow down another.
    queue: Mutex<Queue>,
    /// Notified of what the client's task has to look at.
    pub(super) change: Notify,
    limits: BrokerLimits,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Bytes>,
    /// Cost of `pieces` and of what the client's task has removed but not written yet.
    queued_bytes: usize,
    over_soft_since: Option<Instant>,
    close_reason: Option<CloseReason>,
}

/// State of an output buffer that the client's task checks before it waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutputStatus {
    pub(super) queued_bytes: usize,
    pub(super) close_reason: Option<CloseReason>,
    /// Time at which the soft limit closes the connection unless the client reads.
    pub(super) soft_deadline: Option<Instant>,
}

impl OutputBuffer {
    pub(super) fn new(limits: BrokerLimits) -> Self {
        Self { queue: Mutex::default(), change: Notify::new(), limits }
    }

    /// Appends `piece`. A subscriber over its hard limit is closed at once, and its buffer is freed.
    pub(super) fn push(&self, piece: Bytes, is_subscriber: bool) {
        let mut queue = lock(&self.queue);
        if queue.close_reason.is_some_and(|reason| reason != CloseReason::Shutdown) {
            return;
        }
        // The task has been notified of earlier pieces already.
        let mut must_notify = queue.pieces.is_empty();
        queue.queued_bytes += piece.len() + PIECE_OVERHEAD_BYTES;
        queue.pieces.push_back(piece);
        if is_subscriber {
            if queue.queued_bytes > self.limits.subscriber_hard_bytes {
                let queued_bytes = queue.queued_bytes;
                queue.close(CloseReason::SlowConsumer { queued_bytes });
                must_notify = true;
            } else if queue.queued_bytes > self.limits.subscriber_soft_bytes && queue.over_soft_since.is_none() {
                queue.over_soft_since = Some(Instant::now());
                must_notify = true;
            }
        }
        drop(queue);
        if must_notify {
            self.change.notify_one();
        }
    }

    /// Closes the connection. The first reason is kept, except that any other replaces a shutdown.
    pub(super) fn close(&self, reason: CloseReason) {
        let mut queue = lock(&self.queue);
        if queue.close_reason.is_none_or(|earlier| earlier == CloseReason::Shutdown) {
            queue.close(reason);
        }
        drop(queue);
        self.change.notify_one();
    }

    /// Moves the pieces to `writes` if it has none left.
    pub(super) fn take_pieces(&self, writes: &mut PendingWrites) -> OutputStatus {
        let mut queue = lock(&self.queue);
        if writes.pieces.is_empty() && !queue.pieces.is_empty() {
            std::mem::swap(&mut queue.pieces, &mut writes.pieces);
        }
        let soft_deadline = queue.over_soft_since.map(|since| since + self.limits.subscriber_soft_time);
        OutputStatus { queued_bytes: queue.queued_bytes, close_reason: queue.close_reason, soft_deadline }
    }

    /// Subtracts a cost that [`PendingWrites::advance`] returned.
    pub(super) fn release(&self, cost_bytes: usize) {
        let mut queue = lock(&self.queue);
        queue.queued_bytes = queue.queued_bytes.saturating_sub(cost_bytes);
        if queue.queued_bytes <= self.limits.subscriber_soft_bytes {
            queue.over_soft_since = None;
        }
    }

    /// Returns the numbers of bytes and pieces in the buffer.
    pub(super) fn queued(&self) -> (usize, usize) {
        let queue = lock(&self.queue);
        (queue.queued_bytes, queue.pieces.len())
    }
}

impl Queue {
    fn close(&mut self, reason: CloseReason) {
        self.close_reason = Some(reason);
        if reason != CloseReason::Shutdown {
            self.pieces = VecDeque::new();
        }
    }
}

/// Pieces that the client's task is writing.
#[derive(Debug, Default)]
pub(super) struct PendingWrites {
    pieces: VecDeque<Bytes>,
    chunk: Bytes,
    written_bytes: usize,
    chunk_cost_bytes: usize,
}

impl PendingWrites {
    /// Returns the bytes to write next, which are empty when everything is written.
    pub(super) fn chunk(&mut self) -> &[u8] {
        if self.written_bytes == self.chunk.len() {
            self.next_chunk();
        }
        &self.chunk[self.written_bytes..]
    }

    /// Records that the first `bytes` of the chunk are written. Returns the cost of the chunk once all of it is
    /// written.
    pub(super) fn advance(&mut self, bytes: usize) -> usize {
        self.written_bytes = (self.written_bytes + bytes).min(self.chunk.len());
        if self.written_bytes < self.chunk.len() {
            return 0;
        }
        self.chunk = Bytes::new();
        self.written_bytes = 0;
        std::mem::take(&mut self.chunk_cost_bytes)
    }

    fn next_chunk(&mut self) {
        self.written_bytes = 0;
        self.chunk = self.pieces.pop_front().unwrap_or_default();
        self.chunk_cost_bytes = if self.chunk.is_empty() { 0 } else { self.chunk.len() + PIECE_OVERHEAD_BYTES };
        let is_small = |piece: &mut Bytes| piece.len() < JOIN_BELOW_BYTES;
        if self.chunk.len() >= JOIN_BELOW_BYTES || !self.pieces.front_mut().is_some_and(is_small) {
            return;
        }
        let mut joined = Vec::with_capacity(CHUNK_BYTES);
        joined.extend_from_slice(&self.chunk);
        while joined.len() < CHUNK_BYTES - JOIN_BELOW_BYTES
            && let Some(piece) = self.pieces.pop_front_if(is_small)
        {
            joined.extend_from_slice(&piece);
            self.chunk_cost_bytes += piece.len() + PIECE_OVERHEAD_BYTES;
        }
        self.chunk = joined.into();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::broker::output_buffer::*;

    fn buffer(subscriber_hard_bytes: usize, subscriber_soft_bytes: usize) -> OutputBuffer {
        let subscriber_soft_time = Duration::from_mins(1);
        OutputBuffer::new(BrokerLimits {
            subscriber_hard_bytes,
            subscriber_soft_bytes,
            subscriber_soft_time,
            ..BrokerLimits::default()
        })
    }

    #[test]
    fn pieces_of_any_size_are_written_once_and_in_order() {
        let buffer = buffer(usize::MAX, usize::MAX);
        let sizes = [1, 70_000, 5, 16_384, 16_383, 1, 1, 200_000, 3, 40_000];
        let sent: Vec<Vec<u8>> = (0_u8..).zip(sizes).map(|(byte, size)| vec![byte; size]).collect();
        for piece in &sent {
            buffer.push(Bytes::from(piece.clone()), true);
        }
        let (mut writes, mut written) = (PendingWrites::default(), Vec::new());
        loop {
            buffer.take_pieces(&mut writes);
            let chunk = writes.chunk();
            if chunk.is_empty() {
                break;
            }
            let part = chunk.len().min(10_000);
            written.extend_from_slice(&chunk[..part]);
            let released = writes.advance(part);
            buffer.release(released);
        }
        assert_eq!(written, sent.concat());
        assert_eq!(buffer.queued(), (0, 0), "every byte that was charged is released");
    }

    #[test]
    fn the_hard_limit_closes_a_subscriber_and_frees_its_buffer() {
        let buffer = buffer(1_000, 500);
        buffer.push(Bytes::from(vec![0; 2_000]), false);
        assert_eq!(
            buffer.take_pieces(&mut PendingWrites::default()).close_reason,
            None,
            "replies are bounded by not reading commands"
        );
        buffer.push(Bytes::from_static(b"x"), true);
        let status = buffer.take_pieces(&mut PendingWrites::default());
        assert!(matches!(status.close_reason, Some(CloseReason::SlowConsumer { queued_bytes: 2_001.. })));
        buffer.push(Bytes::from_static(b"late"), true);
        assert_eq!(buffer.queued().1, 0);
        buffer.close(CloseReason::Shutdown);
        assert!(matches!(
            buffer.take_pieces(&mut PendingWrites::default()).close_reason,
            Some(CloseReason::SlowConsumer { .. })
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn the_soft_limit_sets_a_deadline_that_reading_clears() {
        let buffer = buffer(10_000, 500);
        buffer.push(Bytes::from(vec![0; 400]), true);
        let mut writes = PendingWrites::default();
        assert_eq!(buffer.take_pieces(&mut writes).soft_deadline, None);
        buffer.push(Bytes::from(vec![0; 400]), true);
        let deadline = buffer.take_pieces(&mut writes).soft_deadline;
        assert_eq!(deadline, Some(Instant::now() + Duration::from_mins(1)));
        tokio::time::advance(Duration::from_secs(10)).await;
        buffer.push(Bytes::from(vec![0; 400]), true);
        assert_eq!(buffer.take_pieces(&mut writes).soft_deadline, deadline, "more messages do not move the deadline");
        let len = writes.chunk().len();
        buffer.release(writes.advance(len));
        buffer.take_pieces(&mut writes);
        let len = writes.chunk().len();
        buffer.release(writes.advance(len));
        assert_eq!(buffer.take_pieces(&mut writes).soft_deadline, None);
    }
}
