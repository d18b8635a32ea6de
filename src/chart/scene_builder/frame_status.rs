//! Status of the feed and of the storage, as a frame shows it.

use std::sync::Arc;
use std::time::Duration;

use crate::chart::Badge;

/// Status of the feed and of the storage at the instant of a frame. Texts must be safe to display.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FrameStatus {
    /// Connection to the server.
    pub connection: ConnectionState,
    /// Time since the last tick, if it is unusually long for this feed.
    pub stale_for: Option<Duration>,
    /// Number of messages rejected.
    pub rejected: u64,
    /// Number of messages of another kind than ticks.
    pub other: u64,
    /// Number of stream entries that were trimmed before they were read.
    pub trimmed: u64,
    /// Number of stream entries moved to the dead-letter stream.
    pub dead_letters: u64,
    /// Number of reconnections.
    pub reconnects: u64,
    /// Number of times the server disconnected this reader as a slow consumer.
    pub slow_consumer_disconnects: u64,
    /// Rate of incoming ticks.
    pub ticks_per_s: f64,
    /// Median and 99th percentile of the latency, ms. `None` without ticks whose clock is synchronized.
    pub latency_ms: Option<(f64, f64)>,
    /// Frames per second and time per frame, ms. `None` if nothing is drawn on a screen.
    pub frames: Option<(f64, f64)>,
    /// Database that ticks are stored in.
    pub storage: Option<StorageStatus>,
    /// Alerts that fired in the visible span.
    pub alerts: Vec<FiredAlert>,
    /// Number of older alerts that are no longer kept.
    pub alerts_dropped: u64,
    /// Message above the footer.
    pub toast: Option<Badge>,
}

/// State of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ConnectionState {
    /// Connecting for the first time.
    #[default]
    Connecting,
    /// Connected.
    Live,
    /// Disconnected, reconnecting.
    Down {
        /// Error.
        cause: String,
        /// Time since the disconnection.
        down_for: Duration,
    },
}

/// Status of the storage writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageStatus {
    /// State of the writer.
    pub state: StorageState,
    /// Number of ticks that are not committed yet.
    pub waiting: u64,
    /// Number of ticks committed.
    pub written: u64,
    /// Number of ticks given up.
    pub dropped: u64,
}

/// State of the storage writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageState {
    /// Connecting to the database.
    Opening,
    /// Writing.
    Writing,
    /// Writing, but slower than ticks arrive.
    Behind,
    /// The last attempt failed with this error. Attempts continue.
    Failing(String),
}

/// An alert that fired.
#[derive(Debug, Clone, PartialEq)]
pub struct FiredAlert {
    /// Event time, ns.
    pub time_ns: i64,
    /// Price of the tick; `None` if the alert is about silence.
    pub price: Option<f64>,
    /// Index of the symbol; `None` if no tick of it has arrived.
    pub symbol: Option<usize>,
    /// Text of the rule.
    pub rule: Arc<str>,
}
