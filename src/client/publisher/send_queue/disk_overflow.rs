//! Disk part of the send queue: with a spool, messages are written to disk before they are sent, and the excess waits
//! there.
//!
//! In order of age there are messages in flight, messages in memory that are ready, messages on disk only, and new
//! messages that are not yet written. The spool writer's thread moves them along.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use crate::client::publisher::send_queue::{ConnectionStatus, SendQueue, State};
use crate::spool::{Batch, SequenceRange};

/// Messages on disk, and messages to be written.
#[derive(Debug, Default)]
pub(super) struct DiskOverflow {
    /// Most messages in the queue.
    pub(super) capacity: u64,
    /// Messages to be written.
    pub(super) unwritten: VecDeque<Batch>,
    pub(super) unwritten_count: usize,
    /// Messages that the thread is writing.
    pub(super) writing: usize,
    /// Messages on disk and not in memory.
    pub(super) stored: u64,
    /// Highest number that was made ready in memory.
    pub(super) loaded: u64,
    /// Highest number that was written.
    written: u64,
    /// The last write failed.
    pub(super) is_failing: bool,
    /// Result of [`State::done`] when the queue was abandoned.
    done_at_end: (u64, Option<SequenceRange>),
    /// Highest number of an earlier run. Numbers missing up to here are not counted as dropped.
    recovered_last: u64,
}

impl DiskOverflow {
    /// Creates the state for a spool that holds `count` messages of an earlier run, with numbers above `done` up to
    /// `last`.
    pub(super) fn new(capacity: u64, done: u64, last: u64, count: u64) -> Self {
        Self { capacity, stored: count, loaded: done, written: last, recovered_last: last, ..Self::default() }
    }

    /// Number of messages that are not ready in memory.
    pub(super) fn held(&self) -> u64 {
        self.stored + (self.unwritten_count + self.writing) as u64
    }
}

/// Work for the spool writer's thread.
#[derive(Debug)]
pub(in crate::client::publisher) struct DiskWork {
    /// Batches to write. The thread reports them by [`SendQueue::stored`] or [`SendQueue::write_failed`].
    pub(in crate::client::publisher) unwritten: Vec<Batch>,
    /// True if the next messages are to be read and passed to [`SendQueue::loaded`].
    pub(in crate::client::publisher) load: bool,
    /// Number up to which all messages are done.
    pub(in crate::client::publisher) done: u64,
    /// Later messages that were dropped.
    pub(in crate::client::publisher) dropped: Option<SequenceRange>,
    /// Set on the last call: the highest number assigned to any message.
    pub(in crate::client::publisher) end: Option<u64>,
}

impl State {
    /// Returns true if messages on disk should be read into memory.
    pub(super) fn wants_load(&self, memory: usize) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.stored > 0) && self.ready_count <= memory / 2 && !self.abandoned
    }

    /// Returns the number up to which all messages are done, and a later range that was dropped while older messages
    /// were in flight.
    pub(super) fn done(&self) -> (u64, Option<SequenceRange>) {
        if self.abandoned
            && let Some(disk) = &self.disk
        {
            return disk.done_at_end;
        }
        let ready = self.ready.front().and_then(Batch::range).map(|range| range.first);
        let loaded = self.disk.as_ref().map_or(0, |disk| disk.loaded);
        let pending_from = ready.unwrap_or(loaded + 1);
        let Some(in_flight) = self.in_flight.bounds() else { return (pending_from.saturating_sub(1), None) };
        let dropped = SequenceRange { first: in_flight.last + 1, last: pending_from.saturating_sub(1) };
        (in_flight.first.saturating_sub(1), Some(dropped).filter(|dropped| dropped.first <= dropped.last))
    }

    /// Makes unwritten messages ready as far as memory has room. Drops them if the queue was abandoned.
    fn bypass_disk(&mut self, memory: usize) {
        loop {
            let room = if self.abandoned { usize::MAX } else { memory.saturating_sub(self.ready_count) };
            let Some(disk) = &mut self.disk else { return };
            let Some(mut batch) = disk.unwritten.pop_front_if(|batch| batch.len() <= room) else { return };
            disk.unwritten_count -= batch.len();
            self.stats.unspooled += batch.len() as u64;
            if self.abandoned {
                self.report.add_dropped(batch.range());
            } else {
                self.make_ready(&mut batch);
            }
        }
    }

    /// Counts the messages on disk as spooled when the queue is abandoned.
    pub(super) fn abandon_disk(&mut self, done: (u64, Option<SequenceRange>)) {
        let Some(disk) = &mut self.disk else { return };
        disk.done_at_end = done;
        if std::mem::take(&mut disk.stored) > 0 {
            let first = disk.loaded + 1;
            self.report.add_spooled(SequenceRange { first, last: disk.written.max(first) });
        }
    }
}

impl SendQueue {
    /// Waits for work, at most `limit`. Called by the spool writer's thread only.
    pub(in crate::client::publisher) fn wait_for_disk_work(&self, may_write: bool, limit: Duration) -> DiskWork {
        let has_work = |state: &State| {
            let writes = may_write && state.disk.as_ref().is_some_and(|disk| disk.unwritten_count > 0);
            writes || state.wants_load(self.capacity) || state.abandoned
        };
        let waited = self.disk_work.wait_timeout_while(self.state(), limit, |state| !has_work(state));
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let (load, (done, dropped)) = (state.wants_load(self.capacity), state.done());
        let end = state.abandoned.then_some(state.report.last.unwrap_or(0));
        let mut unwritten = Vec::new();
        if let Some(disk) = &mut state.disk
            && (may_write || end.is_some())
        {
            unwritten.extend(disk.unwritten.drain(..));
            disk.writing = std::mem::take(&mut disk.unwritten_count);
        }
        DiskWork { unwritten, load, done, dropped, end }
    }

    /// Records that batches were written. Returns true if they stay in memory as well, and need not be read again.
    pub(in crate::client::publisher) fn stored(&self, batches: Vec<Batch>) -> bool {
        let mut state = self.state();
        let (ready, abandoned) = (state.ready_count, state.abandoned);
        let Some(disk) = &mut state.disk else { return false };
        let count: usize = batches.iter().map(Batch::len).sum();
        disk.writing = 0;
        disk.is_failing = false;
        disk.written = batches.iter().filter_map(Batch::range).map(|range| range.last).fold(disk.written, u64::max);
        let stays = disk.stored == 0 && ready + count <= self.capacity && !abandoned;
        if stays {
            for mut batch in batches {
                batch.spooled = true;
                state.make_ready(&mut batch);
            }
        } else if abandoned {
            batches.iter().filter_map(Batch::range).for_each(|range| state.report.add_spooled(range));
        } else {
            disk.stored += count as u64;
        }
        drop(state);
        self.notify_moved();
        stays
    }

    /// Records that batches could not be written. They are sent from memory as far as there is room, or written later.
    pub(in crate::client::publisher) fn write_failed(&self, batches: Vec<Batch>) {
        let mut state = self.state();
        let abandoned = state.abandoned;
        let Some(disk) = &mut state.disk else { return };
        disk.is_failing = true;
        disk.writing = 0;
        let is_next = disk.stored == 0;
        for batch in batches.into_iter().rev() {
            disk.unwritten_count += batch.len();
            disk.unwritten.push_front(batch);
        }
        if is_next || abandoned {
            state.bypass_disk(self.capacity);
        }
        drop(state);
        self.notify_moved();
    }

    /// Highest number that [`write_failed`](Self::write_failed) would make ready without its being on disk.
    pub(in crate::client::publisher) fn last_bypassing(&self, batches: &[Batch]) -> Option<u64> {
        let state = self.state();
        let is_next = state.disk.as_ref().is_some_and(|disk| disk.stored == 0);
        batches.last().and_then(Batch::range).filter(|_| is_next).map(|range| range.last)
    }

    /// Accepts messages read from disk. `None` means that the disk holds no more; missing messages count as dropped.
    pub(in crate::client::publisher) fn loaded(&self, batch: Option<Batch>) {
        let mut state = self.state();
        if state.abandoned {
            return;
        }
        let Some(disk) = &mut state.disk else { return };
        let range = batch.as_ref().and_then(Batch::range);
        let missing = SequenceRange {
            first: disk.loaded.max(disk.recovered_last) + 1,
            last: range.map_or(disk.written, |range| range.first - 1).max(disk.loaded),
        };
        let is_missing = missing.last >= missing.first;
        let gone = range.map_or(disk.stored, |range| range.count() + if is_missing { missing.count() } else { 0 });
        disk.stored = disk.stored.saturating_sub(gone);
        disk.loaded = disk.loaded.max(missing.last);
        if is_missing {
            state.report.add_dropped(missing);
        }
        if let Some(mut batch) = batch {
            batch.spooled = true;
            state.make_ready(&mut batch);
        }
        if state.stats.status != ConnectionStatus::Live && state.drops {
            state.drop_excess(self.capacity);
        }
        drop(state);
        self.notify_moved();
    }

    /// Wakes the publisher and the source after messages have moved.
    fn notify_moved(&self) {
        self.filled.notify_one();
        self.emptied.notify_one();
    }

    /// Counts unwritten messages as dropped after the spool writer's thread did not finish in time.
    pub(in crate::client::publisher) fn drop_unwritten(&self) {
        let mut state = self.state();
        let last = state.report.last;
        let Some(disk) = &mut state.disk else { return };
        let unwritten = std::mem::take(&mut disk.unwritten_count) + std::mem::take(&mut disk.writing);
        let first = disk.written + 1;
        if let Some(last) = last.filter(|last| unwritten > 0 && *last >= first) {
            state.report.add_dropped(SequenceRange { first, last });
        }
    }
}
