//! What a peer counts while it listens, and how it learns that it is time to report.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};

/// Counts of one listener. One thread writes, one reads at the end, so a relaxed store does and costs nothing.
#[derive(Default)]
pub(crate) struct Tally {
    messages: AtomicU64,
    bad: AtomicU64,
    ended: AtomicBool,
}

impl Tally {
    /// So many messages have come in all.
    pub(crate) fn set_messages(&self, count: u64) {
        self.messages.store(count, Ordering::Relaxed);
    }

    /// So many of them were no ticks.
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

/// Lets `listen` run on a thread of its own until standard input ends, and reports. `listen` returns only when its
/// connection is lost.
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
