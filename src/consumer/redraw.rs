//! Redraw requests from all threads to the drawing thread.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;

/// Signal that the frame is out of date.
#[derive(Debug, Default)]
pub(super) struct Redraw {
    /// Increases with every change that can alter the frame, so that an idle frontend takes no lock.
    revision: AtomicU64,
    drawing_thread: OnceLock<Thread>,
}

impl Redraw {
    /// Marks the frame as out of date and wakes the drawing thread if it is parked.
    pub(super) fn request(&self) {
        self.revision.fetch_add(1, Ordering::Release);
        if let Some(thread) = self.drawing_thread.get() {
            // Costs an atomic exchange while the thread is awake.
            thread.unpark();
        }
    }

    /// Number of requests so far.
    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Registers the calling thread as the one that [`request`](Self::request) wakes. The first call wins.
    pub(super) fn wake_this_thread(&self) {
        let _ = self.drawing_thread.set(std::thread::current());
    }
}
