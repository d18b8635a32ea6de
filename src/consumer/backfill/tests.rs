//! Series with a small memory, a database that holds everything, and the thread between them.

use std::path::Path;

use super::*;
use crate::chart::{BackfillState, OversizedView, complete_memory};
use crate::consumer::alerting::Alerting;
use crate::consumer::feed_status::FeedStatus;
use crate::consumer::persistence;
use crate::consumer::series_handle::SeriesHandle;
use crate::model::{Name, Price, TickView, TimeSpan, Timestamp};
use crate::series::{ColumnCache, HistoryLimits, HistoryPage, LoadedHistory, MergedSeries, SeriesMap, SeriesMapConfig};
use crate::storage::db::{DbConfig, TickRow};

/// Bound on a failing test; nothing here takes long.
const LIMIT: Duration = Duration::from_mins(1);

const START_NS: i64 = 1_700_000_000_000_000_000;
const STEP_NS: i64 = 10_000_000;

struct Rig {
    handles: Handles,
    storage: Arc<Persistence>,
    /// Series with unlimited memory.
    whole: SeriesMap,
    fed: i64,
    directory: tempfile::TempDir,
}

fn new_series(ticks_max: usize) -> SeriesMap {
    let history = HistoryLimits { ticks_max, age_ns_max: None };
    SeriesMap::new(SeriesMapConfig { symbols: Vec::new(), symbols_max: 10, history })
}

fn url(directory: &Path) -> StoreUrl {
    format!("sqlite:{}", directory.join("ticks.db").display()).parse().unwrap()
}

fn config(directory: &Path) -> DbConfig {
    DbConfig { url: url(directory), keep_age_ns: None, rows_waiting_max: 1_000_000 }
}

impl Rig {
    fn new(ticks_max: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = Persistence::open(&config(directory.path())).unwrap();
        let handles = Handles {
            series: SeriesHandle::new(new_series(ticks_max)),
            feed: Arc::new(FeedStatus::new()),
            redraw: Arc::default(),
            alerting: Arc::new(Alerting::new(Vec::new(), false)),
            storage: Some(Arc::clone(&storage)),
        };
        Self { handles, storage, whole: new_series(usize::MAX), fed: 0, directory }
    }

    /// Feeds ticks of A, of which some are late, and a few of B.
    fn feed(&mut self, count: i64) {
        let mut rows = Vec::new();
        for n in self.fed..self.fed + count {
            let late = if n % 97 == 0 { 5_000 * STEP_NS } else { 0 };
            let (symbol, price) = if n % 3_000 == 7 { ("B", 50.0) } else { ("A", 100.0 + (n * 7 % 101) as f64) };
            let time_ns = START_NS + (n * STEP_NS - late).max(0);
            let (timestamp, size) = (Timestamp::from_nanos(time_ns).unwrap(), Some(1.0));
            let (name, price_of_tick) = (Name::new(symbol).unwrap(), Price::new(price).unwrap());
            let tick = TickView { symbol: name, price: price_of_tick, timestamp, size, seq: None, source: None };
            self.handles.series.lock().append_view(&tick, timestamp);
            self.whole.append_view(&tick, timestamp);
            let symbol = symbol.into();
            rows.push(TickRow { symbol, time_ns, price, size, source: None, seq: None, id: None, outlier: false });
        }
        self.fed += count;
        self.storage.offer(rows);
    }

    fn start(&self) -> BackfillThread {
        self.start_with(url(self.directory.path()))
    }

    fn start_with(&self, url: StoreUrl) -> BackfillThread {
        BackfillThread::start(url, &self.storage, &self.handles).unwrap()
    }

    fn now_ns(&self) -> i64 {
        START_NS + self.fed * STEP_NS
    }

    fn missing(&self, snapshot: &HistorySnapshot, span: TimeSpan, follows: bool) -> MissingHistory {
        snapshot.missing(&self.handles.series.lock(), &[0, 1], span, follows)
    }

    fn unknown(&self, snapshot: &HistorySnapshot, span: TimeSpan) -> Vec<(i64, i64)> {
        snapshot.unknown(&self.handles.series.lock(), &[0, 1], span)
    }

    /// Requests a span as frames do, until it looks as with unlimited memory.
    fn view(&self, backfill: &Backfill, span: TimeSpan, follows: bool) {
        let begun = Instant::now();
        loop {
            let snapshot = backfill.snapshot();
            let series = self.handles.series.lock();
            let missing = snapshot.missing(&series, &[0, 1], span, follows);
            let unknown = snapshot.unknown(&series, &[0, 1], span);
            let is_same = (0..2).all(|symbol| {
                let (mut found, mut expected) = (Vec::new(), Vec::new());
                let merged = MergedSeries::new(series.get(symbol).unwrap().1, Some(&snapshot.loaded), symbol);
                merged.downsample_cached(span, 90, &[], &mut ColumnCache::default(), &mut found);
                self.whole.get(symbol).unwrap().1.downsample_runs(span, 90, &[], &mut expected);
                found == expected
            });
            drop(series);
            backfill.request(missing);
            if is_same && unknown.is_empty() {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "{span:?}: {unknown:?} {:?}", snapshot.state);
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn evicted_ticks_are_loaded_also_while_more_are_evicted() {
    let mut rig = Rig::new(500);
    let thread = rig.start();
    let backfill = thread.backfill();
    rig.feed(30_000);
    let len_ns = 4_000 * STEP_NS;
    let span = |end_ns: i64| TimeSpan { start: end_ns - len_ns, end: end_ns };
    rig.view(&backfill, span(rig.now_ns()), true);
    // Back, beyond what is loaded, to before the first tick, and forward again.
    for back in [1, 3, 40, 70, 74, 2, 0] {
        rig.view(&backfill, span(rig.now_ns() - back * 400 * STEP_NS), false);
    }
    rig.view(&backfill, TimeSpan { start: START_NS - len_ns, end: rig.now_ns() + len_ns }, false);
    for count in [10, 300, 700, 5_000, 97] {
        rig.feed(count);
        rig.view(&backfill, span(rig.now_ns()), true);
        rig.view(&backfill, span(rig.now_ns() - 5_100 * STEP_NS), false);
    }
    assert_eq!(backfill.snapshot().oldest_ns, Some(START_NS));
    assert!(thread.join());
}

#[test]
fn complete_memory_needs_nothing() {
    let mut rig = Rig::new(100_000);
    // The database is empty, and B arrives long after A.
    let url = url(rig.directory.path());
    let Handles { series, feed, redraw, .. } = &rig.handles;
    persistence::restore(&url, 100_000, true, series, feed, redraw).unwrap();
    let backfill = rig.start().backfill();
    rig.feed(1_000);
    let span = TimeSpan { start: START_NS - 1_000 * STEP_NS, end: rig.now_ns() };
    rig.view(&backfill, span, true);
    let begun = Instant::now();
    while backfill.snapshot().oldest_ns.is_none() {
        backfill.request(rig.missing(&backfill.snapshot(), span, true));
        assert!(begun.elapsed() < LIMIT);
        thread::sleep(Duration::from_millis(5));
    }
    let snapshot = backfill.snapshot();
    assert_eq!(rig.missing(&snapshot, span, true), MissingHistory::Nothing);
    assert_eq!((snapshot.loaded.ticks(), rig.unknown(&snapshot, span)), (0, Vec::new()));
    backfill.stop();
}

#[test]
fn a_failing_database_is_reported_and_blocks_nothing() {
    let mut rig = Rig::new(500);
    let elsewhere = tempfile::tempdir().unwrap();
    let thread = rig.start_with(url(elsewhere.path()));
    let backfill = thread.backfill();
    rig.feed(2_000);
    let span = TimeSpan { start: START_NS, end: rig.now_ns() };
    let begun = Instant::now();
    while !matches!(backfill.snapshot().state, BackfillState::Failing(_)) {
        backfill.request(rig.missing(&backfill.snapshot(), span, true));
        assert!(begun.elapsed() < LIMIT);
        thread::sleep(Duration::from_millis(5));
    }
    let complete_from_ns = rig.handles.series.lock().get(0).unwrap().1.complete_from_ns().unwrap();
    assert_eq!(rig.unknown(&backfill.snapshot(), span), [(START_NS, complete_from_ns)]);
    // The database is created after all.
    drop(Persistence::open(&config(elsewhere.path())).unwrap());
    while matches!(backfill.snapshot().state, BackfillState::Failing(_)) {
        assert!(begun.elapsed() < LIMIT);
        thread::sleep(Duration::from_millis(5));
    }
    assert!(thread.join());
    assert!(backfill.current().is_none());
}

#[test]
fn eviction_tick_by_tick_does_not_read_the_database_each_time() {
    let mut rig = Rig::new(500);
    let backfill = rig.start().backfill();
    rig.feed(10_000);
    let span = |rig: &Rig| TimeSpan { start: rig.now_ns() - 4_000 * STEP_NS, end: rig.now_ns() };
    rig.view(&backfill, span(&rig), true);
    let before = backfill.snapshot().revision;
    for _ in 0..60 {
        rig.feed(1);
        backfill.request(rig.missing(&backfill.snapshot(), span(&rig), true));
        thread::sleep(Duration::from_millis(5));
    }
    let reads = backfill.snapshot().revision - before;
    assert!(reads < 30, "{reads} reads");
    rig.view(&backfill, span(&rig), true);
    backfill.stop();
}

#[test]
fn known_symbols_stay_known_where_others_are_not_loaded() {
    let mut rig = Rig::new(500);
    rig.feed(2_000);
    let series = rig.handles.series.lock();
    let starts: Vec<i64> = (0..2).map(|symbol| series.get(symbol).unwrap().1.complete_from_ns().unwrap()).collect();
    let mut loaded = LoadedHistory::new(vec![0]);
    let at = |share: i64| START_NS + (starts[0] - START_NS) * share / 4;
    loaded.append(HistoryPage::new(at(1), 1).ending_at(at(2)), 0);
    let snapshot = HistorySnapshot { loaded, oldest_ns: Some(START_NS), ..HistorySnapshot::default() };
    let span = TimeSpan { start: START_NS, end: rig.now_ns() };
    assert_eq!(snapshot.unknown(&series, &[0], span), [(at(0), at(1)), (at(2), at(4))]);
    assert_eq!(snapshot.unknown(&series, &[1], span), [(START_NS, starts[1])]);
    assert_eq!(snapshot.unknown(&series, &[0, 1], span), [(at(0), at(1)), (at(2), at(4))], "B's is part of A's");
}

#[test]
fn an_oversized_view_is_requested_again_when_it_changes() {
    let mut rig = Rig::new(500);
    rig.feed(2_000);
    let series = rig.handles.series.lock();
    let complete_from_ns = complete_memory(&series, &[0]).unwrap().0;
    let mut loaded = LoadedHistory::new(vec![0]);
    loaded.append(HistoryPage::new(complete_from_ns - 100, 1).ending_at(complete_from_ns + 100), 0);
    let span = TimeSpan { start: START_NS, end: rig.now_ns() };
    let oversized = Some(OversizedView { symbols: vec![0], span });
    let (oldest_ns, state) = (Some(START_NS), BackfillState::Full);
    let snapshot =
        HistorySnapshot { loaded, oldest_ns, state, has_room: true, oversized, ..HistorySnapshot::default() };
    let missing = |symbols: &[usize], span: TimeSpan| snapshot.missing(&series, symbols, span, true);
    let moved = |ns: i64| TimeSpan { start: span.start + ns, end: span.end + ns };
    assert_eq!(missing(&[0], span), MissingHistory::Unchanged);
    assert_eq!(missing(&[0], moved(span.len_ns() / 9)), MissingHistory::Unchanged, "it follows");
    assert!(matches!(missing(&[0], moved(span.len_ns() / 3)), MissingHistory::Request(_)));
    let zoomed = TimeSpan { end: span.start + span.len_ns() / 2, ..span };
    assert!(matches!(missing(&[0], zoomed), MissingHistory::Request(_)));
    assert!(matches!(missing(&[0, 1], span), MissingHistory::Request(_)));
}
