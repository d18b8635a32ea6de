//! Steps of the thread that reads history from the database.

use std::time::Duration;

/// Upper ends of the loaded history, where it meets memory. The distance between the two lets it grow in larger pieces
/// than memory evicts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// Latest end of a page.
    pub(super) max_ns: i64,
    /// End that suffices.
    pub(super) enough_ns: i64,
}

/// Next step of the thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Continue with the same request.
    Continue,
    /// Continue after a pause, or with the next request.
    RetryAfter(Duration),
    /// Wait for the next request.
    Idle,
}
