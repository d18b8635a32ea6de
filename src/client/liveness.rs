//! Detection of lost servers on connections that carry a flow of data.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::client::timeouts::{CHECK_EVERY, REPLY_TIMEOUT, STALL_MIN};

/// Measures the silence of a server. Time in which this process did not run does not count as silence.
#[derive(Debug)]
pub(super) struct Liveness {
    checks: Interval,
    received_at: Instant,
    checked_at: Instant,
    stalled_at: Option<Instant>,
}

impl Liveness {
    pub(super) fn new() -> Self {
        let mut checks = interval(CHECK_EVERY);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        Self { checks, received_at: now, checked_at: now, stalled_at: None }
    }

    /// Records that bytes have arrived.
    pub(super) fn received(&mut self) {
        self.received_at = Instant::now();
    }

    /// Waits for the next check, and returns the silence so far. Cancel safe.
    pub(super) async fn check(&mut self) -> Duration {
        self.checks.tick().await;
        let now = Instant::now();
        if self.is_late() {
            // This process stalled, not the server: bytes that arrived meanwhile are yet to be read.
            (self.received_at, self.stalled_at) = (now, Some(now));
        }
        self.checked_at = now;
        now.duration_since(self.received_at)
    }

    /// Returns true if this process has recently stalled.
    pub(super) fn has_stalled(&self) -> bool {
        self.is_late() || self.stalled_at.is_some_and(|at| at.elapsed() < REPLY_TIMEOUT)
    }

    fn is_late(&self) -> bool {
        self.checked_at.elapsed() >= STALL_MIN
    }
}
