//! Rate limit for log lines.

use std::time::{Duration, Instant};

/// Permits one event per interval and counts those in between.
#[derive(Debug)]
pub(super) struct RateLimited {
    interval: Duration,
    last: Option<Instant>,
    suppressed: u64,
}

impl RateLimited {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, last: None, suppressed: 0 }
    }

    /// Returns the number of events suppressed since the last permitted one, or `None` if this one is suppressed too.
    pub(super) fn permit(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < self.interval) {
            self.suppress();
            return None;
        }
        Some(self.force())
    }

    /// Permits an event whenever it comes, and returns the number of events suppressed since the last permitted one.
    pub(super) fn force(&mut self) -> u64 {
        self.last = Some(Instant::now());
        std::mem::take(&mut self.suppressed)
    }

    /// Counts an event as suppressed.
    pub(super) fn suppress(&mut self) {
        self.suppressed += 1;
    }

    /// Events suppressed since the last permitted one.
    pub(super) fn suppressed(&self) -> u64 {
        self.suppressed
    }
}
