//! Counters of a peer while it listens, and the signal to report them.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};

/// Counters of one listener. One thread writes and one reads at the end, so relaxed stores suffice and cost nothing.
#[derive(Default)]
pub(crate) struct Tally {
    messages: AtomicU64,
    bad: AtomicU64,
    ended: AtomicBool,
}

impl Tally {
    /// Sets the total number of messages.
    pub(crate) fn set_messages(&self, count: u64) {
        self.messages.store(count, Ordering::Relaxed);
    }

    /// Sets the number of messages that are not ticks.
    pub(crate) fn set_bad(&self, count: u64) {
        self.bad.store(count, Ordering::Relaxed);
    }

    fn report(&self) -> Value {
        json!({
            "received": self.messages.load(Ordering::Relaxed),
            "rejected": self.bad.load(Ordering::Relaxed),
            "connection_lost": self.ended.load(Ordering::Relaxed),
        })
    }
}

/// Runs `listen` on its own thread until standard input ends, and reports. `listen` returns only when its connection is
/// lost.
pub(crate) fn until_stdin_ends(listen: impl FnOnce(&Tally) + Send + 'static) -> io::Result<Value> {
    let tally = Arc::new(Tally::default());
    let shared = Arc::clone(&tally);
    thread::spawn(move || {
        listen(&shared);
        shared.ended.store(true, Ordering::Relaxed);
    });
    io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(tally.report())
}
