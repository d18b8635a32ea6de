//! Low watermark of a symbol: the instant from which memory holds every tick. Ticks that are restored from a store at
//! the start lower it.

use super::{Place, Series};

/// Progress of restoring a series from a store.
#[derive(Debug, Default)]
pub(super) struct RestoreState {
    /// Set while a tick from the store is being pushed.
    pub(super) is_pushing: bool,
    /// Number of ticks that came from the store.
    pub(super) count: u64,
    /// Time of the first restored tick. Ticks before it came late, so others before it may be missing.
    first_ns: Option<i64>,
    /// Time of the first live tick; set until the restore is finished. Ticks before it are yet to be restored.
    live_ns: Option<i64>,
    /// Set if no store has ticks that memory never had.
    is_complete: bool,
}

impl Series {
    /// Time of the latest tick that was evicted, ns.
    pub(super) fn evicted_ns(&self) -> Option<i64> {
        if self.head == 0 {
            return self.evicted_ns;
        }
        Some(self.time(Place { chunk: self.chunks.first, at: self.head - 1 }))
    }

    /// Time of the latest tick that was received and is not kept, ns.
    pub(super) fn lost_ns(&self) -> Option<i64> {
        self.evicted_ns().max(self.too_late_ns)
    }

    /// Low watermark, ns: every tick from here on is kept, and earlier ones may exist elsewhere. [`i64::MIN`] if none
    /// exist elsewhere; `None` before the first tick, if some may.
    pub fn complete_from_ns(&self) -> Option<i64> {
        // Some of the ticks with equal times may be lost and others kept, so the watermark lies after that time.
        let after_lost_ns = self.lost_ns().and_then(|ns| self.expired_ns.max(Some(ns.saturating_add(1))));
        let RestoreState { first_ns, live_ns, is_complete, .. } = self.restore;
        if is_complete {
            return after_lost_ns.or(Some(i64::MIN));
        }
        after_lost_ns.max(live_ns.or(first_ns)).or_else(|| self.oldest_ns())
    }

    /// Starts pushing a tick from a store. Returns the number of ticks received so far.
    pub(super) fn begin_restored(&mut self) -> u64 {
        self.restore.is_pushing = true;
        if self.restore.first_ns.is_none() {
            self.restore.live_ns = self.oldest_ns();
        }
        self.received
    }

    /// Ends pushing a tick from a store. It counts unless it was refused, so that there are still `received` ticks.
    /// Stores give their ticks in order of time.
    pub(super) fn end_restored(&mut self, received: u64, time_ns: i64) {
        self.restore.is_pushing = false;
        self.restore.count += self.received - received;
        self.restore.first_ns.get_or_insert(time_ns);
    }

    /// Notes the time of a live tick that arrives during the restore.
    pub(super) fn note_live(&mut self, time_ns: i64) {
        if self.restore.first_ns.is_some() {
            self.restore.live_ns.get_or_insert(time_ns);
        }
    }

    /// Ends the restore. `is_complete` tells that no store has ticks that memory never had.
    pub(super) fn finish_restore(&mut self, is_complete: bool) {
        self.restore.live_ns = None;
        self.restore.is_complete = is_complete;
    }
}
