//! Waiting for a condition, with a limit and a clear failure: what tests do instead of sleeping for luck.

use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for anything that is certain to come. It only keeps a failed test from hanging: no test passes or fails
/// by how fast the machine is.
pub const GUARD: Duration = Duration::from_mins(3);

/// Between two probes: short against anything a person would notice, long enough to leave the machine to the program.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The first `Some` that `probe` gives; `None` when `limit` passes without one.
pub fn poll<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        // The clock is read first: the last probe begins after the deadline, so a slow machine gets its full time.
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

/// The first `Some` that `probe` gives; panics with `what` when `limit` passes without one.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, probe: impl FnMut() -> Option<T>) -> T {
    poll(limit, probe).unwrap_or_else(|| panic!("waited {limit:?} in vain for {what}"))
}

/// Returns when `probe` is true; panics with `what` when `limit` passes before.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut probe: impl FnMut() -> bool) {
    wait_for(what, limit, || probe().then_some(()));
}
