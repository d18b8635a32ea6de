//! The queue's back door: with a spool, messages go to disk before they may leave, and the older ones wait there.
//!
//! In order of age there are: messages under way, messages in memory that are ready to leave, messages that are on
//! disk alone, and fresh ones that have yet to be written. The spool's thread moves them along.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use crate::client::publisher::Batch;
use crate::client::publisher::delivery_report::{Recovered, Span};
use crate::client::publisher::send_queue::{BATCH_MESSAGES_MAX, Link, SendQueue, State};

/// What the spool holds, and what it is about to get.
#[derive(Debug, Default)]
pub(crate) struct DiskOverflow {
    /// Most messages in all.
    capacity: u64,
    fresh: VecDeque<Batch>,
    fresh_count: usize,
    /// In the hands of the thread.
    writing: usize,
    /// On disk, and not in memory.
    stored: u64,
    /// The highest number that came into memory, ready to leave.
    loaded: u64,
    /// The highest number that was written.
    written: u64,
    /// The disk takes nothing.
    failing: bool,
    /// The source cannot wait while the server is away.
    drops: bool,
    /// Up to this number all were done with at the end, and within this hole.
    done_at_end: (u64, Option<Span>),
    unspooled: u64,
    /// Gaps up to this number are an earlier run's.
    recovered: u64,
}

impl DiskOverflow {
    /// For a spool that holds `count` messages of an earlier run, with numbers above `done` up to `last`.
    pub(crate) fn new(capacity: u64, done: u64, last: u64, count: u64) -> Self {
        Self { capacity, stored: count, loaded: done, written: last, recovered: last, ..Self::default() }
    }

    /// Messages that are not in memory, or not yet ready to leave.
    pub(crate) fn held(&self) -> u64 {
        self.stored + (self.fresh_count + self.writing) as u64
    }

    pub(crate) fn unspooled(&self) -> u64 {
        self.unspooled
    }
}

/// What the spool's thread is to do.
#[derive(Debug)]
pub(crate) struct Chores {
    /// To be written. They come back by [`SendQueue::stored`] or [`SendQueue::unstored`].
    pub(crate) fresh: Vec<Batch>,
    /// The next messages are to be read, and handed over by [`SendQueue::loaded`].
    pub(crate) load: bool,
    /// Up to this number all are done with.
    pub(crate) done: u64,
    /// Beyond that, these are done with as well.
    pub(crate) hole: Option<Span>,
    /// This was the last time. The highest number that was given to any message.
    pub(crate) end: Option<u64>,
}

impl State {
    /// Takes in what there is room for, on its way to disk.
    pub(crate) fn put_down(&mut self, batch: &mut Batch, drops: bool, memory: usize) {
        let queued = self.queued();
        let Some(depot) = &mut self.depot else { return };
        depot.drops = drops;
        let mut room = memory.saturating_sub(depot.fresh_count + depot.writing);
        if !drops {
            room = room.min(usize::try_from(depot.capacity.saturating_sub(queued)).unwrap_or(usize::MAX));
        }
        if room > 0 {
            let mut taken = batch.split(room);
            if let Some(span) = taken.span() {
                self.account.made(span);
            }
            depot.fresh_count += taken.len();
            match depot.fresh.back_mut() {
                Some(last) if last.len() + taken.len() <= BATCH_MESSAGES_MAX => last.append(&mut taken),
                _ => depot.fresh.push_back(taken),
            }
        }
        if drops {
            self.shed(memory);
        }
    }

    /// Gives up the oldest messages beyond what the spool, or without a disk the memory, may hold.
    fn shed(&mut self, memory: usize) {
        let Some(depot) = &self.depot else { return };
        let limit = if depot.failing { memory as u64 + depot.stored } else { depot.capacity };
        let excess = self.queued().saturating_sub(limit.max(1));
        self.drop_oldest(usize::try_from(excess).unwrap_or(usize::MAX));
    }

    /// Messages on disk are to be fetched.
    pub(crate) fn wants_more(&self, memory: usize) -> bool {
        self.depot.as_ref().is_some_and(|depot| depot.stored > 0) && self.waiting <= memory / 2 && !self.abandoned
    }

    /// Up to this number all are done with, and beyond that a span: what was given up while older ones were under way.
    pub(crate) fn done(&self) -> (u64, Option<Span>) {
        if self.abandoned
            && let Some(depot) = &self.depot
        {
            return depot.done_at_end;
        }
        let waiting = self.batches.front().and_then(Batch::span).map(|span| span.first);
        let loaded = self.depot.as_ref().map_or(0, |depot| depot.loaded);
        let held_from = waiting.unwrap_or(loaded + 1);
        let (Some(oldest), Some(youngest)) = (self.flying.first(), self.flying.last()) else {
            return (held_from.saturating_sub(1), None);
        };
        let hole = Span { first: youngest + 1, last: held_from.saturating_sub(1) };
        (oldest.saturating_sub(1), Some(hole).filter(|hole| hole.first <= hole.last))
    }

    /// Makes messages ready to leave.
    fn make_ready(&mut self, mut batch: Batch) {
        if let (Some(span), Some(depot)) = (batch.span(), &mut self.depot) {
            depot.loaded = depot.loaded.max(span.last);
        }
        self.append(&mut batch);
    }

    /// What could not be written leaves from memory as far as there is room; at the end it is given up.
    fn leave_unwritten(&mut self, memory: usize) {
        loop {
            let room = if self.abandoned { usize::MAX } else { memory.saturating_sub(self.waiting) };
            let Some(depot) = &mut self.depot else { return };
            let Some(batch) = depot.fresh.pop_front_if(|batch| batch.len() <= room) else { return };
            depot.fresh_count -= batch.len();
            depot.unspooled += batch.len() as u64;
            if self.abandoned {
                self.drop_all(&batch);
            } else {
                self.make_ready(batch);
            }
        }
    }

    /// At the end, what is on disk alone stays there.
    pub(crate) fn keep_stored(&mut self, done: (u64, Option<Span>)) {
        let Some(depot) = &mut self.depot else { return };
        depot.done_at_end = done;
        if std::mem::take(&mut depot.stored) > 0 {
            self.account.keep_span(Span { first: depot.loaded + 1, last: depot.written.max(depot.loaded + 1) });
        }
    }
}

impl SendQueue {
    /// Holds up to `capacity` messages in memory, and more in the spool that `depot` stands for.
    pub(crate) fn with_spool(capacity: usize, depot: DiskOverflow, recovered: Recovered) -> Self {
        let outbox = Self::build(capacity, Some(depot));
        recovered.tell(&mut outbox.state().account);
        outbox
    }

    /// Waits for work, `limit` at most. Only for the spool's thread.
    pub(crate) fn chores(&self, may_write: bool, limit: Duration) -> Chores {
        let mut state = self.state();
        let has_work = |state: &State| {
            let fresh = may_write && state.depot.as_ref().is_some_and(|depot| depot.fresh_count > 0);
            fresh || state.wants_more(self.capacity) || state.abandoned
        };
        if !has_work(&state) {
            let waited = self.chores.wait_timeout_while(state, limit, |state| !has_work(state));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let (load, (done, hole)) = (state.wants_more(self.capacity), state.done());
        let end = state.abandoned.then_some(state.account.last.unwrap_or(0));
        let mut fresh = Vec::new();
        if let Some(depot) = &mut state.depot
            && (may_write || end.is_some())
        {
            fresh.extend(depot.fresh.drain(..));
            depot.writing = std::mem::take(&mut depot.fresh_count);
        }
        Chores { fresh, load, done, hole, end }
    }

    /// These are on disk now. True if they stay in memory as well, ready to leave: they need not be read again.
    pub(crate) fn stored(&self, batches: Vec<Batch>) -> bool {
        let mut state = self.state();
        let (waiting, abandoned) = (state.waiting, state.abandoned);
        let Some(depot) = &mut state.depot else { return false };
        let count: usize = batches.iter().map(Batch::len).sum();
        depot.writing = 0;
        depot.failing = false;
        depot.written = batches.iter().filter_map(Batch::span).map(|span| span.last).fold(depot.written, u64::max);
        let stays = depot.stored == 0 && waiting + count <= self.capacity && !abandoned;
        if stays {
            for mut batch in batches {
                batch.spooled = true;
                state.make_ready(batch);
            }
        } else if abandoned {
            batches.iter().filter_map(Batch::span).for_each(|span| state.account.keep_span(span));
        } else {
            depot.stored += count as u64;
        }
        drop(state);
        self.filled.notify_one();
        self.emptied.notify_one();
        stays
    }

    /// These could not be written. As far as there is room they leave from memory; the rest is tried again.
    pub(crate) fn unstored(&self, batches: Vec<Batch>) {
        let mut state = self.state();
        let abandoned = state.abandoned;
        let Some(depot) = &mut state.depot else { return };
        depot.failing = true;
        depot.writing = 0;
        let direct = depot.stored == 0;
        for batch in batches.into_iter().rev() {
            depot.fresh_count += batch.len();
            depot.fresh.push_front(batch);
        }
        if direct || abandoned {
            state.leave_unwritten(self.capacity);
        }
        drop(state);
        self.filled.notify_one();
        self.emptied.notify_one();
    }

    /// The highest number that [`unstored`](Self::unstored) would let leave without having been written.
    pub(crate) fn would_leave(&self, batches: &[Batch]) -> Option<u64> {
        let state = self.state();
        let direct = state.depot.as_ref().is_some_and(|depot| depot.stored == 0);
        batches.last().and_then(Batch::span).filter(|_| direct).map(|span| span.last)
    }

    /// These were read from disk. Without any, there are none, whatever was thought: what is missing is counted.
    pub(crate) fn loaded(&self, batch: Option<Batch>) {
        let mut state = self.state();
        if state.abandoned {
            return;
        }
        let Some(depot) = &mut state.depot else { return };
        let span = batch.as_ref().and_then(Batch::span);
        let missing = Span {
            first: depot.loaded.max(depot.recovered) + 1,
            last: span.map_or(depot.written, |span| span.first - 1).max(depot.loaded),
        };
        let is_missing = missing.last >= missing.first;
        let gone = span.map_or(depot.stored, |span| span.count() + if is_missing { missing.count() } else { 0 });
        depot.stored = depot.stored.saturating_sub(gone);
        depot.loaded = depot.loaded.max(missing.last);
        if is_missing {
            state.account.drop_span(missing);
        }
        if let Some(mut batch) = batch {
            batch.spooled = true;
            state.make_ready(batch);
        }
        if state.link != Link::Live && state.depot.as_ref().is_some_and(|depot| depot.drops) {
            state.shed(self.capacity);
        }
        drop(state);
        self.filled.notify_one();
        self.emptied.notify_one();
    }

    /// The spool's thread did not come to its end: what it had yet to write is given up.
    pub(crate) fn give_up_unwritten(&self) {
        let mut state = self.state();
        let last = state.account.last;
        let Some(depot) = &mut state.depot else { return };
        let unwritten = std::mem::take(&mut depot.fresh_count) + std::mem::take(&mut depot.writing);
        let first = depot.written + 1;
        if let Some(last) = last.filter(|last| unwritten > 0 && *last >= first) {
            state.account.drop_span(Span { first, last });
        }
    }
}
