//! State of the feed: connections, arrivals and what was rejected or lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::chart::CLOCK_SKEW_MAX_NS;
use crate::client::LinkState;
use crate::consumer::series_handle::lock;
use crate::model::{RejectCounts, Timestamp};

/// Event times sampled between two frames for the latency figure. More would not change the displayed p99.
const LATENCY_SAMPLES_MAX: usize = 1_024;

/// Arrivals closer together than this belong to one burst.
const BURST: Duration = Duration::from_millis(50);

/// A feed is stale after a silence this many times as long as its usual pause, and at least [`STALE_MIN`] long.
const STALE_PAUSES: f64 = 2.5;

/// Shortest silence that counts as stale, however fast the feed was. Half a second below the 3 s that the documentation
/// promises, so that the next frame still shows it in time.
const STALE_MIN: Duration = Duration::from_millis(2_500);

/// State of all connections together, as the header displays it.
#[derive(Debug, Clone)]
pub(super) struct ConnectionStatus {
    pub(super) state: LinkState,
    /// Time of the last change of `state`.
    pub(super) since: Instant,
    /// Reconnections after the feed was first live.
    pub(super) reconnects: u64,
    /// Disconnections by the server because this reader fell behind.
    pub(super) cut_off: u64,
    was_live: bool,
    /// State of each connection: one, or one for each shard of a cluster.
    connections: Vec<LinkState>,
}

impl ConnectionStatus {
    /// State of the whole: the first connection that is down, else live only if all are live.
    fn overall(&self) -> LinkState {
        let mut down = self.connections.iter().filter(|state| matches!(state, LinkState::Down(_)));
        match down.next() {
            Some(LinkState::Down(cause)) if self.connections.len() > 1 => {
                LinkState::Down(format!("{cause} ({} of {} parts)", 1 + down.count(), self.connections.len()))
            }
            Some(state) => state.clone(),
            None if self.connections.iter().all(|state| *state == LinkState::Live) => LinkState::Live,
            None => LinkState::Connecting,
        }
    }
}

/// Change of the overall connection state that concerns the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transition {
    /// All connections are live.
    Connected,
    /// A connection is down that was live.
    Disconnected,
}

/// Statistics of the newest arrivals.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// Event times of every `stride`th tick that no frame has displayed yet.
    pending_ns: Vec<i64>,
    /// 0 before the first tick.
    stride: usize,
    last: Option<Instant>,
    /// Running mean of the pause between bursts, s.
    pause_s: f64,
}

impl Arrivals {
    /// Records that ticks arrived.
    pub(super) fn record_arrival(&mut self, now: Instant) {
        let pause = self.last.map(|last| now.duration_since(last));
        self.last = Some(now);
        if let Some(pause) = pause.filter(|pause| *pause >= BURST) {
            let pause_s = pause.as_secs_f64();
            self.pause_s = if self.pause_s > 0.0 { self.pause_s * 0.8 + pause_s * 0.2 } else { pause_s };
        }
    }

    /// Time since the last arrival if it is unusually long for this feed.
    pub(super) fn stale_for(&self, now: Instant) -> Option<Duration> {
        let silence = now.duration_since(self.last?);
        let limit = STALE_MIN.max(Duration::from_secs_f64((self.pause_s * STALE_PAUSES).min(1e6)));
        (silence >= limit).then_some(silence)
    }

    /// Distance between sampled ticks. It doubles when more than [`LATENCY_SAMPLES_MAX`] samples collect between two
    /// frames and halves when there are few, so that samples are evenly spaced and independent of latency.
    pub(super) fn stride(&self) -> usize {
        self.stride.max(1)
    }

    /// Records sampled ticks that arrived now. Timestamps in whole seconds carry no milliseconds and are left out.
    pub(super) fn record_samples(&mut self, events_ns: &[i64], arrival: Timestamp) {
        let sampled_stride = self.stride();
        for (number, event_ns) in events_ns.iter().enumerate() {
            let lag = arrival.as_nanos() - event_ns;
            let is_usable = (0..=CLOCK_SKEW_MAX_NS).contains(&lag) && event_ns % 1_000_000_000 != 0;
            if !is_usable || !(number * sampled_stride).is_multiple_of(self.stride()) {
                continue;
            }
            if self.pending_ns.len() >= LATENCY_SAMPLES_MAX {
                let mut keep = false;
                self.pending_ns.retain(|_| {
                    keep = !keep;
                    keep
                });
                self.stride = self.stride() * 2;
            }
            self.pending_ns.push(*event_ns);
        }
    }

    /// Takes the sampled event times that the next frame displays first, in nanoseconds.
    pub(super) fn take_samples(&mut self) -> Vec<i64> {
        if self.pending_ns.len() < LATENCY_SAMPLES_MAX / 4 {
            self.stride = self.stride() / 2;
        }
        std::mem::take(&mut self.pending_ns)
    }
}

/// State of the feed. Each lock stands alone because different threads use them at different rates: `arrivals` once a
/// batch and once a frame, the others seldom.
pub(super) struct FeedStatus {
    connections: Mutex<ConnectionStatus>,
    rejects: Mutex<RejectCounts>,
    arrivals: Mutex<Arrivals>,
    pub(super) counters: Counters,
}

/// Counters that need no lock.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Messages, and elements of messages, of another kind than ticks: acknowledgements, quotes, bars.
    pub(super) other: AtomicU64,
    /// Stream entries that were trimmed before they were read.
    pub(super) trimmed: AtomicU64,
    /// Stream entries moved to the dead letters.
    pub(super) dead_letters: AtomicU64,
    /// Ticks loaded from the database at the start.
    pub(super) restored: AtomicU64,
    /// Ticks displayed and handed to no database.
    pub(super) unstored: AtomicU64,
}

impl FeedStatus {
    pub(super) fn new() -> Self {
        let connections = ConnectionStatus {
            state: LinkState::Connecting,
            since: Instant::now(),
            reconnects: 0,
            cut_off: 0,
            was_live: false,
            connections: vec![LinkState::Connecting],
        };
        Self {
            connections: Mutex::new(connections),
            rejects: Mutex::default(),
            arrivals: Mutex::default(),
            counters: Counters::default(),
        }
    }

    /// Sets the number of connections.
    pub(super) fn expect_connections(&self, count: usize) {
        self.connection().connections = vec![LinkState::Connecting; count.max(1)];
    }

    /// Updates one connection's state. Calls `on_transition` under the lock, so that concurrent changes of several
    /// connections reach the data in order; the callback may lock the series.
    pub(super) fn set_connection(&self, index: usize, state: LinkState, on_transition: impl FnOnce(Transition)) {
        let mut status = self.connection();
        if let Some(connection) = status.connections.get_mut(index) {
            *connection = state;
        }
        let state = status.overall();
        match (&state, &status.state) {
            (LinkState::Live, before) if *before != LinkState::Live => {
                status.reconnects += u64::from(status.was_live);
                status.was_live = true;
                on_transition(Transition::Connected);
            }
            (LinkState::Down(_), LinkState::Live) => on_transition(Transition::Disconnected),
            _ => {}
        }
        if std::mem::discriminant(&status.state) != std::mem::discriminant(&state) {
            status.since = Instant::now();
        }
        status.state = state;
    }

    pub(super) fn is_live(&self) -> bool {
        self.connection().state == LinkState::Live
    }

    pub(super) fn connection(&self) -> MutexGuard<'_, ConnectionStatus> {
        lock(&self.connections)
    }

    pub(super) fn rejects(&self) -> MutexGuard<'_, RejectCounts> {
        lock(&self.rejects)
    }

    pub(super) fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        lock(&self.arrivals)
    }

    /// Ticks of the feed among `received` ticks of the series: all but those restored from the database.
    pub(super) fn without_restored(&self, received: u64) -> u64 {
        received.saturating_sub(self.counters.restored.load(Ordering::Relaxed))
    }
}
