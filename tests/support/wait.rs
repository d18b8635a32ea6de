//! Waiting for a condition, with a limit and a clear failure. Tests use it instead of fixed sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for an event that is certain to occur. It only keeps a failed test from hanging: the result of a test
/// does not depend on the speed of the machine.
pub const GUARD: Duration = Duration::from_mins(3);

/// Interval between two probes: short enough to go unnoticed, long enough not to load the machine.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Returns the first `Some` of `probe`; `None` if there is none within `limit`.
pub fn poll<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        // The clock is read first, so the last probe begins after the deadline and a slow machine gets its full time.
        let late = Instant::now() >= deadline;
        if let Some(found) = probe() {
            return Some(found);
        }
        if late {
            return None;
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Returns the first `Some` of `probe`; panics with `what` if there is none within `limit`.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, probe: impl FnMut() -> Option<T>) -> T {
    poll(limit, probe).unwrap_or_else(|| panic!("waited {limit:?} in vain for {what}"))
}

/// Waits until `probe` is true; panics with `what` after `limit`.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut probe: impl FnMut() -> bool) {
    wait_for(what, limit, || probe().then_some(()));
}
