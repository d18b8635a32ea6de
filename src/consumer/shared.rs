//! What the network side and the drawing side share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::client::LinkState;
use crate::consumer::alerting::{AlertLog, Alerting};
use crate::consumer::backfill::History;
use crate::consumer::persistence::Persistence;
use crate::model::{RejectCounts, Timestamp};
use crate::series::SeriesMap;

/// Event times sampled between two frames for the latency figure; more would not change a p99 that is shown.
const LATENCY_SAMPLES_MAX: usize = 1_024;

/// Beyond this distance the producer's clock and ours are not the same, or the tick is a replay.
const CLOCKS_AGREE_NS: i64 = 5_000_000_000;

/// The connection as the header shows it.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) state: LinkState,
    /// Since when.
    pub(super) since: Instant,
    /// Times it came back after having been live.
    pub(super) reconnects: u64,
    /// Times the server cut it off because this reader fell behind.
    pub(super) cut_off: u64,
    pub(super) was_live: bool,
    /// Each connection's own, where there are several.
    parts: Vec<LinkState>,
}

impl Link {
    /// What stands for all connections: the first that is down, else live only if all are.
    fn overall(&self) -> LinkState {
        let mut downs = self.parts.iter().filter(|part| matches!(part, LinkState::Down(_)));
        match downs.next() {
            Some(LinkState::Down(cause)) if self.parts.len() > 1 => {
                LinkState::Down(format!("{cause} ({} of {} parts)", 1 + downs.count(), self.parts.len()))
            }
            Some(down) => down.clone(),
            None if self.parts.iter().all(|part| *part == LinkState::Live) => LinkState::Live,
            None => LinkState::Connecting,
        }
    }
}

/// What a connection that is live again has missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Continuity {
    /// Whatever was published while it was down.
    Torn,
    /// Nothing: it goes on where it was.
    Whole,
}

/// Arrivals closer together than this belong to one burst.
const BURST: Duration = Duration::from_millis(50);

/// A feed is stale when nothing has come for this many of its usual pauses, and at least for [`STALE_MIN`].
const STALE_PAUSES: f64 = 2.5;

/// A pause shorter than this is not called stale, however fast the feed was. Users are promised to see it within 3 s.
const STALE_MIN: Duration = Duration::from_millis(2_500);

/// What is known about the newest arrivals.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// Event times of ticks that no frame has shown yet, of every `stride`th one.
    unseen_ns: Vec<i64>,
    /// 0 before the first tick.
    stride: usize,
    last: Option<Instant>,
    /// Running mean of the pause between bursts, s.
    pause_s: f64,
}

impl Arrivals {
    /// Notes that ticks have come.
    pub(super) fn beat(&mut self, now: Instant) {
        let pause = self.last.map(|last| now.duration_since(last));
        self.last = Some(now);
        if let Some(pause) = pause.filter(|pause| *pause >= BURST) {
            let pause_s = pause.as_secs_f64();
            self.pause_s = if self.pause_s > 0.0 { self.pause_s * 0.8 + pause_s * 0.2 } else { pause_s };
        }
    }

    /// How long nothing has come, if that is unusual for this feed.
    pub(super) fn stale_for(&self, now: Instant) -> Option<Duration> {
        let silent = now.duration_since(self.last?);
        let patience = STALE_MIN.max(Duration::from_secs_f64((self.pause_s * STALE_PAUSES).min(1e6)));
        (silent >= patience).then_some(silent)
    }

    /// One tick in so many is wanted. It doubles when the samples between two frames become too many and halves when
    /// they are few, so that they are always evenly spaced: which ones they are does not depend on latency.
    pub(super) fn stride(&self) -> usize {
        self.stride.max(1)
    }

    /// Notes sampled ticks that arrived now. Timestamps in whole seconds say nothing about milliseconds and are left
    /// out.
    pub(super) fn note(&mut self, events_ns: &[i64], arrival: Timestamp) {
        let sampled = self.stride();
        for (number, event_ns) in events_ns.iter().enumerate() {
            let lag = arrival.as_nanos() - event_ns;
            let is_known = (0..=CLOCKS_AGREE_NS).contains(&lag) && event_ns % 1_000_000_000 != 0;
            if !is_known || !(number * sampled).is_multiple_of(self.stride()) {
                continue;
            }
            if self.unseen_ns.len() >= LATENCY_SAMPLES_MAX {
                let mut keep = false;
                self.unseen_ns.retain(|_| {
                    keep = !keep;
                    keep
                });
                self.stride = self.stride() * 2;
            }
            self.unseen_ns.push(*event_ns);
        }
    }

    fn take_unseen(&mut self) -> Vec<i64> {
        if self.unseen_ns.len() < LATENCY_SAMPLES_MAX / 4 {
            self.stride = self.stride() / 2;
        }
        std::mem::take(&mut self.unseen_ns)
    }
}

/// One per process: everything that both sides touch. The book's lock is taken once a batch and once a frame.
pub(super) struct Shared {
    /// A mutex and not a lock for many readers: there is one reader, and it is quick.
    book: Mutex<SeriesMap>,
    rejects: Mutex<RejectCounts>,
    link: Mutex<Link>,
    arrivals: Mutex<Arrivals>,
    alerting: Alerting,
    /// Grows with everything that could change the picture, so that an idle window need not take any lock.
    revision: AtomicU64,
    trimmed: AtomicU64,
    failed: AtomicU64,
    restored: AtomicU64,
    unkept: AtomicU64,
    keeping: OnceLock<Arc<Persistence>>,
    history: OnceLock<Arc<History>>,
    /// The drawing thread, woken from its idle wait by whatever changes the picture.
    drawer: OnceLock<Thread>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves plain numbers behind, which are still worth showing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(book: SeriesMap) -> Self {
        let link = Link {
            state: LinkState::Connecting,
            since: Instant::now(),
            reconnects: 0,
            cut_off: 0,
            was_live: false,
            parts: vec![LinkState::Connecting],
        };
        Self {
            book: Mutex::new(book),
            rejects: Mutex::default(),
            link: Mutex::new(link),
            arrivals: Mutex::default(),
            alerting: Alerting::new(Vec::new(), false),
            revision: AtomicU64::new(0),
            drawer: OnceLock::new(),
            trimmed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            restored: AtomicU64::new(0),
            unkept: AtomicU64::new(0),
            keeping: OnceLock::new(),
            history: OnceLock::new(),
        }
    }

    /// So many connections will bring ticks.
    pub(super) fn expect_parts(&self, count: usize) {
        self.link().parts = vec![LinkState::Connecting; count.max(1)];
    }

    /// A connection's state has changed.
    pub(super) fn set_link(&self, part: usize, state: LinkState, continuity: Continuity) {
        let mut link = self.link();
        if let Some(known) = link.parts.get_mut(part) {
            *known = state;
        }
        let state = link.overall();
        match (&state, &link.state) {
            (LinkState::Live, before) if *before != LinkState::Live => {
                link.reconnects += u64::from(link.was_live);
                link.was_live = true;
                if continuity == Continuity::Whole {
                    self.book().recover_outages();
                }
            }
            (LinkState::Down(_), LinkState::Live) => {
                let mut book = self.book();
                if let Some(newest) = book.newest_ns() {
                    book.begin_outage(newest);
                }
            }
            _ => {}
        }
        if std::mem::discriminant(&link.state) != std::mem::discriminant(&state) {
            link.since = Instant::now();
        }
        let is_live = state == LinkState::Live;
        link.state = state;
        drop(link);
        if is_live {
            self.alerting().live();
        }
        self.touch();
    }

    /// Entries that their stream gave up before they were read, so far.
    pub(super) fn trimmed(&self) -> &AtomicU64 {
        &self.trimmed
    }

    /// Entries that went to the dead letters, so far.
    pub(super) fn failed(&self) -> &AtomicU64 {
        &self.failed
    }

    /// Ticks that were shown and not handed to any store.
    pub(super) fn unkept(&self) -> &AtomicU64 {
        &self.unkept
    }

    /// How many of the ticks that the book received the feed has brought.
    pub(super) fn brought(&self, received: u64) -> u64 {
        received.saturating_sub(self.restored.load(Ordering::Relaxed))
    }

    /// Ticks that came from the store at the start.
    pub(super) fn restored(&self) -> &AtomicU64 {
        &self.restored
    }

    /// Where ticks are kept, if they are.
    pub(super) fn keeping(&self) -> Option<&Arc<Persistence>> {
        self.keeping.get()
    }

    /// From now on ticks are kept.
    pub(super) fn keep_in(&self, keeping: Arc<Persistence>) {
        // There is one store a process, named before the first tick comes.
        let _ = self.keeping.set(keeping);
    }

    /// What memory does not keep, read back, if it is.
    pub(super) fn history(&self) -> Option<&Arc<History>> {
        self.history.get()
    }

    /// From now on what memory does not keep is read back.
    pub(super) fn remember_with(&self, history: Arc<History>) {
        // One view a process.
        let _ = self.history.set(history);
    }

    /// With rules that ticks are held against.
    pub(super) fn watching(self, alerting: Alerting) -> Self {
        Self { alerting, ..self }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, SeriesMap> {
        lock(&self.book)
    }

    pub(super) fn rejects(&self) -> MutexGuard<'_, RejectCounts> {
        lock(&self.rejects)
    }

    pub(super) fn link(&self) -> MutexGuard<'_, Link> {
        lock(&self.link)
    }

    pub(super) fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        lock(&self.arrivals)
    }

    pub(super) fn alerting(&self) -> &Alerting {
        &self.alerting
    }

    /// What has fired, the newest last.
    pub(super) fn alerts(&self) -> MutexGuard<'_, AlertLog> {
        self.alerting.fires()
    }

    /// Takes the event times that a frame is about to show.
    pub(super) fn take_unseen(&self) -> Vec<i64> {
        self.arrivals().take_unseen()
    }

    pub(super) fn touch(&self) {
        self.revision.fetch_add(1, Ordering::Release);
        if let Some(drawer) = self.drawer.get() {
            // Costs an atomic exchange while the thread is awake.
            drawer.unpark();
        }
    }

    /// The calling thread draws: from now on, [`Shared::touch`] wakes it where it is parked.
    pub(super) fn draw_here(&self) {
        // There is one drawing thread a process; it may say so twice.
        let _ = self.drawer.set(std::thread::current());
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Where the chart is live: now, if the newest tick's clock agrees with ours, else the newest tick's own time; so
    /// too as long as all there is came from a store, however old.
    /// `None` before the first one.
    pub(super) fn live_edge_ns(book: &SeriesMap, now: Timestamp) -> Option<i64> {
        let newest = book.newest_ns()?;
        let lag = book.last_arrival().map_or(i64::MAX, |arrival| arrival.as_nanos().saturating_sub(newest));
        let agrees = lag.abs() <= CLOCKS_AGREE_NS;
        Some(if agrees { newest.max(now.as_nanos()) } else { newest })
    }
}
