//! Backfill: loads from the database what the user looks at and memory no longer holds.
//!
//! The drawing side leaves a request, of which only the latest counts, and draws with what is loaded so far. A thread
//! reads page by page and publishes each by exchanging a pointer. Neither side waits for the other, and the thread
//! sleeps while nothing is requested.

mod history_reader;

use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::warn;

use crate::chart::{BackfillRequest, HistorySnapshot, MissingHistory};
use crate::consumer::handles::Handles;
use crate::consumer::persistence::Persistence;
use crate::consumer::series_handle::lock;
use crate::storage::db::StoreUrl;
use history_reader::HistoryReader;

/// Longest wait at the end for a page that is being read. A page that takes longer is not needed any more.
const END_WAIT: Duration = Duration::from_millis(300);

/// Interval of the checks during that wait.
const END_POLL: Duration = Duration::from_millis(5);

/// Request slot.
#[derive(Debug, Default)]
struct RequestSlot {
    request: Option<BackfillRequest>,
    /// Grows with every change of the request.
    number: u64,
    is_stopped: bool,
}

/// Exchange of requests and loaded history between the drawing side and the backfill thread.
#[derive(Debug, Default)]
pub(super) struct Backfill {
    /// Separate from the snapshot, because the thread waits on it.
    slot: Mutex<RequestSlot>,
    changed: Condvar,
    snapshot: Mutex<Arc<HistorySnapshot>>,
}

impl Backfill {
    /// History loaded so far.
    pub(super) fn snapshot(&self) -> Arc<HistorySnapshot> {
        Arc::clone(&lock(&self.snapshot))
    }

    /// Replaces the current request.
    pub(super) fn request(&self, missing: MissingHistory) {
        let request = match missing {
            MissingHistory::Nothing => None,
            // The thread may go on reading ahead.
            MissingHistory::Unchanged => return,
            MissingHistory::Request(request) => Some(request),
        };
        let mut slot = lock(&self.slot);
        if slot.request != request {
            slot.request = request;
            slot.number += 1;
            self.changed.notify_one();
        }
    }

    fn publish(&self, snapshot: HistorySnapshot) {
        let before = std::mem::replace(&mut *lock(&self.snapshot), Arc::new(snapshot));
        // Millions of ticks may be freed here, outside of the lock.
        drop(before);
    }

    /// Number of the current request, and the request; `None` after the end.
    fn current(&self) -> Option<(u64, Option<BackfillRequest>)> {
        let slot = lock(&self.slot);
        (!slot.is_stopped).then(|| (slot.number, slot.request.clone()))
    }

    /// Waits until the request differs from the one with this number, or for `limit`.
    fn wait_for_change(&self, number: u64, limit: Option<Duration>) {
        let slot = lock(&self.slot);
        let is_same = |slot: &mut RequestSlot| slot.number == number && !slot.is_stopped;
        match limit {
            Some(limit) => drop(self.changed.wait_timeout_while(slot, limit, is_same)),
            None => drop(self.changed.wait_while(slot, is_same)),
        }
    }

    /// Waits for `limit` or for the end.
    fn pause(&self, limit: Duration) {
        drop(self.changed.wait_timeout_while(lock(&self.slot), limit, |slot| !slot.is_stopped));
    }

    fn stop(&self) {
        lock(&self.slot).is_stopped = true;
        self.changed.notify_all();
    }
}

/// Owner of the backfill thread. [`join`](Self::join) ends it.
pub(super) struct BackfillThread {
    backfill: Arc<Backfill>,
    thread: JoinHandle<()>,
}

impl BackfillThread {
    /// Starts the thread. Logs a warning and returns `None` if the system refuses.
    pub(super) fn start(url: StoreUrl, storage: &Arc<Persistence>, handles: &Handles) -> Option<Self> {
        let backfill = Arc::new(Backfill::default());
        let reader = HistoryReader::new(url, Arc::clone(storage), handles.clone(), Arc::clone(&backfill));
        match thread::Builder::new().name("backfill".to_owned()).spawn(move || reader.run()) {
            Ok(thread) => Some(Self { backfill, thread }),
            Err(error) => {
                warn!("cannot start the thread that reads older ticks from the store, so they are not shown: {error}");
                None
            }
        }
    }

    /// Handle for the drawing side.
    pub(super) fn backfill(&self) -> Arc<Backfill> {
        Arc::clone(&self.backfill)
    }

    /// Stops reading. Does not wait.
    pub(super) fn stop(&self) {
        self.backfill.stop();
    }

    /// Stops reading and waits at most [`END_WAIT`]. Returns false if the thread still runs then.
    pub(super) fn join(self) -> bool {
        self.stop();
        let begun = Instant::now();
        while !self.thread.is_finished() && begun.elapsed() < END_WAIT {
            thread::sleep(END_POLL);
        }
        let is_finished = self.thread.is_finished();
        if is_finished && self.thread.join().is_err() {
            warn!("the thread that reads the store ended because of a bug in this program; please report it");
        }
        is_finished
    }
}

#[cfg(test)]
mod tests;
