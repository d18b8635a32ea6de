//! From which instant on memory has everything of a symbol, and what of it a store brought at the start.

use super::{Place, Series};

/// What a series has from a store.
#[derive(Debug, Default)]
pub(super) struct Restoring {
    /// A tick from there is being taken in.
    pub(super) is_at_it: bool,
    /// Ticks that came from there.
    pub(super) count: u64,
    /// Time of the first of them: what stands before it came late, and is not all there is.
    first_ns: Option<i64>,
    /// Until the last of them has come: time of the first tick that came by itself. What is between is yet to come.
    live_ns: Option<i64>,
    /// There is nothing anywhere that was not here.
    has_all: bool,
}

impl Series {
    /// Time of the latest tick that was evicted, ns.
    pub(super) fn evicted_ns(&self) -> Option<i64> {
        if self.head == 0 {
            return self.evicted_ns;
        }
        Some(self.time(Place { chunk: self.chunks.first, at: self.head - 1 }))
    }

    /// Time of the latest tick that came and is not kept, ns.
    pub(super) fn gone_ns(&self) -> Option<i64> {
        self.evicted_ns().max(self.too_late_ns)
    }

    /// The instant from which on every tick that came is kept; what is before it may be somewhere else, and not all of
    /// it is here. [`i64::MIN`] where there is nothing else; `None` before the first tick, where there may be.
    pub fn complete_from_ns(&self) -> Option<i64> {
        // Of ticks that are equally old, some may be gone and some not. Behind them all is here, whether or not a tick
        // stands there.
        let gone_ns = self.gone_ns();
        let behind_ns = gone_ns.map(|ns| ns.saturating_add(1).max(self.expired_ns));
        let Restoring { first_ns, live_ns, has_all, .. } = self.restoring;
        if has_all {
            return behind_ns.or(Some(i64::MIN));
        }
        let begin_ns = live_ns.or(first_ns);
        behind_ns.max(begin_ns).or_else(|| self.oldest_ns())
    }

    /// The next tick comes from a store; how many have come before.
    pub(super) fn begin_restored(&mut self) -> u64 {
        self.restoring.is_at_it = true;
        if self.restoring.first_ns.is_none() {
            self.restoring.live_ns = self.oldest_ns();
        }
        self.received
    }

    /// A tick of a store has come, if there are more than `received` now. They come in order of time.
    pub(super) fn end_restored(&mut self, received: u64, time_ns: i64) {
        self.restoring.is_at_it = false;
        self.restoring.count += self.received - received;
        self.restoring.first_ns.get_or_insert(time_ns);
    }

    /// A tick came by itself, while others may still come from a store.
    pub(super) fn note_live(&mut self, time_ns: i64) {
        if self.restoring.first_ns.is_some() {
            self.restoring.live_ns.get_or_insert(time_ns);
        }
    }

    /// All has come that was to come from a store. Where that and what comes by itself is all there is, it is so.
    pub(super) fn has_restored(&mut self, has_all: bool) {
        self.restoring.live_ns = None;
        self.restoring.has_all = has_all;
    }
}
