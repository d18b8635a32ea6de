//! A book with a short memory, a store that has all, and the thread between them.

use std::path::Path;

use crate::consumer::backfill::*;
use crate::consumer::persistence;
use crate::consumer::persistence::Persistence;
use crate::model::{Price, TickView, Timestamp};
use crate::series::{ColumnCache, MergedSeries, SeriesMapConfig};
use crate::storage::db::{DbConfig, TickRow};

/// Nothing here takes long: this only bounds a failure.
const LIMIT: Duration = Duration::from_mins(1);

const START_NS: i64 = 1_700_000_000_000_000_000;
const STEP_NS: i64 = 10_000_000;

struct Rig {
    shared: Arc<Shared>,
    /// What a memory without an end would have.
    whole: SeriesMap,
    fed: i64,
    folder: tempfile::TempDir,
}

fn book(ticks_max: usize) -> SeriesMap {
    let history = crate::series::HistoryLimits { ticks_max, age_ns_max: None };
    SeriesMap::new(SeriesMapConfig { symbols: Vec::new(), symbols_max: 10, history })
}

fn url(folder: &Path) -> StoreUrl {
    format!("sqlite:{}", folder.join("ticks.db").display()).parse().unwrap()
}

impl Rig {
    fn new(ticks_max: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared::new(book(ticks_max)));
        let config = DbConfig { url: url(folder.path()), keep_age_ns: None, rows_waiting_max: 1_000_000 };
        shared.keep_in(Persistence::open(&config).unwrap());
        Self { shared, whole: book(usize::MAX), fed: 0, folder }
    }

    /// Ticks of A come, and now and then one of B, and one of A that is late.
    fn feed(&mut self, count: i64) {
        let mut kept = Vec::new();
        for n in self.fed..self.fed + count {
            let late = if n % 97 == 0 { 5_000 * STEP_NS } else { 0 };
            let (symbol, price) = if n % 3_000 == 7 { ("B", 50.0) } else { ("A", 100.0 + (n * 7 % 101) as f64) };
            let time_ns = START_NS + (n * STEP_NS - late).max(0);
            let timestamp = Timestamp::from_nanos(time_ns).unwrap();
            let view = TickView {
                symbol: crate::model::Name::new(symbol).unwrap(),
                price: Price::new(price).unwrap(),
                timestamp,
                size: Some(1.0),
                seq: None,
                source: None,
            };
            self.shared.book().append_view(&view, timestamp);
            self.whole.append_view(&view, timestamp);
            kept.push(TickRow {
                symbol: symbol.into(),
                time_ns,
                price,
                size: Some(1.0),
                source: None,
                seq: None,
                id: None,
                outlier: false,
            });
        }
        self.fed += count;
        self.shared.keeping().unwrap().offer(kept);
    }

    fn historian(&self) -> BackfillThread {
        let url = url(self.folder.path());
        BackfillThread::start(url, &self.shared)
    }

    fn now_ns(&self) -> i64 {
        START_NS + self.fed * STEP_NS
    }

    /// Wishes for a span as frames do, until the picture of it is that of a memory without an end.
    fn look(&self, span: TimeSpan, follows: bool) {
        let history = self.shared.history().unwrap();
        let begun = Instant::now();
        loop {
            let recalled = history.recalled();
            let book = self.shared.book();
            let need = recalled.need(&book, &[0, 1], span, follows);
            let unknown = recalled.unknown(&book, &[0, 1], span);
            let same = (0..2).all(|slot| {
                let (mut found, mut expected) = (Vec::new(), Vec::new());
                let tape = MergedSeries::new(book.get(slot).unwrap().1, Some(&recalled.past), slot);
                tape.downsample_cached(span, 90, &[], &mut ColumnCache::default(), &mut found);
                self.whole.get(slot).unwrap().1.downsample_runs(span, 90, &[], &mut expected);
                found == expected
            });
            drop(book);
            history.wish(need);
            if same && unknown.is_empty() {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "{span:?}: {unknown:?} {:?}", recalled.state);
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn what_memory_gave_up_comes_back_to_the_sample_also_while_it_gives_up_more() {
    let mut rig = Rig::new(500);
    let _historian = rig.historian();
    rig.feed(30_000);
    let len_ns = 4_000 * STEP_NS;
    let span = |end_ns: i64| TimeSpan { start: end_ns - len_ns, end: end_ns };
    rig.look(span(rig.now_ns()), true);
    // Back, and further back than what was read reaches, to before the first tick, and out again.
    for back in [1, 3, 40, 70, 74, 2, 0] {
        rig.look(span(rig.now_ns() - back * 400 * STEP_NS), false);
    }
    rig.look(TimeSpan { start: START_NS - len_ns, end: rig.now_ns() + len_ns }, false);
    for count in [10, 300, 700, 5_000, 97] {
        rig.feed(count);
        rig.look(span(rig.now_ns()), true);
        rig.look(span(rig.now_ns() - 5_100 * STEP_NS), false);
    }
    let history = rig.shared.history().unwrap();
    assert_eq!(history.recalled().oldest_ns, Some(START_NS));
}

#[test]
fn a_memory_that_has_all_asks_for_nothing() {
    let mut rig = Rig::new(100_000);
    // Nothing is there, and B comes long after A.
    persistence::restore(&url(rig.folder.path()), 100_000, true, &rig.shared).unwrap();
    let _historian = rig.historian();
    rig.feed(1_000);
    let span = TimeSpan { start: START_NS - 1_000 * STEP_NS, end: rig.now_ns() };
    rig.look(span, true);
    let history = rig.shared.history().unwrap();
    let begun = Instant::now();
    while history.recalled().oldest_ns.is_none() {
        history.wish(history.recalled().need(&rig.shared.book(), &[0, 1], span, true));
        assert!(begun.elapsed() < LIMIT);
        thread::sleep(Duration::from_millis(5));
    }
    let recalled = history.recalled();
    assert_eq!(recalled.need(&rig.shared.book(), &[0, 1], span, true), Need::Nothing);
    assert_eq!((recalled.past.ticks(), recalled.unknown(&rig.shared.book(), &[0, 1], span)), (0, Vec::new()));
}

#[test]
fn a_store_that_cannot_be_read_is_said_to_be_so_and_holds_nobody_up() {
    let mut rig = Rig::new(500);
    let elsewhere = tempfile::tempdir().unwrap();
    let historian = BackfillThread::start(url(elsewhere.path()), &rig.shared);
    rig.feed(2_000);
    let span = TimeSpan { start: START_NS, end: rig.now_ns() };
    let history = Arc::clone(rig.shared.history().unwrap());
    let begun = Instant::now();
    while !matches!(history.recalled().state, State::Failing(_)) {
        history.wish(history.recalled().need(&rig.shared.book(), &[0, 1], span, true));
        assert!(begun.elapsed() < LIMIT);
        thread::sleep(Duration::from_millis(5));
    }
    let complete_from_ns = rig.shared.book().get(0).unwrap().1.complete_from_ns().unwrap();
    assert_eq!(history.recalled().unknown(&rig.shared.book(), &[0, 1], span), [(START_NS, complete_from_ns)]);
    // It comes after all.
    drop(Persistence::open(&DbConfig { url: url(elsewhere.path()), keep_age_ns: None, rows_waiting_max: 10 }).unwrap());
    while matches!(history.recalled().state, State::Failing(_)) {
        assert!(begun.elapsed() < LIMIT);
        thread::sleep(Duration::from_millis(5));
    }
    drop(historian);
    assert!(history.wished().is_none());
}

#[test]
fn a_memory_that_gives_up_tick_by_tick_does_not_have_the_store_read_each_time() {
    let mut rig = Rig::new(500);
    let _historian = rig.historian();
    rig.feed(10_000);
    let span = |rig: &Rig| TimeSpan { start: rig.now_ns() - 4_000 * STEP_NS, end: rig.now_ns() };
    rig.look(span(&rig), true);
    let history = Arc::clone(rig.shared.history().unwrap());
    let before = history.recalled().number;
    for _ in 0..60 {
        rig.feed(1);
        history.wish(history.recalled().need(&rig.shared.book(), &[0, 1], span(&rig), true));
        thread::sleep(Duration::from_millis(5));
    }
    let read = history.recalled().number - before;
    assert!(read < 30, "{read} times");
    rig.look(span(&rig), true);
}

#[test]
fn what_is_known_of_some_symbols_stays_where_others_are_not_read() {
    let mut rig = Rig::new(500);
    rig.feed(2_000);
    let book = rig.shared.book();
    let seams: Vec<i64> = (0..2).map(|slot| book.get(slot).unwrap().1.complete_from_ns().unwrap()).collect();
    let mut past = LoadedHistory::new(vec![0]);
    let at = |share: i64| START_NS + (seams[0] - START_NS) * share / 4;
    past.append(crate::series::HistoryPage::new(at(1), 1).ending_at(at(2)), 0);
    let recalled = HistorySnapshot { past, oldest_ns: Some(START_NS), ..HistorySnapshot::default() };
    let span = TimeSpan { start: START_NS, end: rig.now_ns() };
    assert_eq!(recalled.unknown(&book, &[0], span), [(at(0), at(1)), (at(2), at(4))]);
    assert_eq!(recalled.unknown(&book, &[1], span), [(START_NS, seams[1])]);
    assert_eq!(recalled.unknown(&book, &[0, 1], span), [(at(0), at(1)), (at(2), at(4))], "B's is part of A's");
}

#[test]
fn a_view_that_is_too_much_is_asked_for_again_when_it_is_another_one() {
    let mut rig = Rig::new(500);
    rig.feed(2_000);
    let book = rig.shared.book();
    let complete_from_ns = seam(&book, &[0]).unwrap().0;
    let mut past = LoadedHistory::new(vec![0]);
    past.append(crate::series::HistoryPage::new(complete_from_ns - 100, 1).ending_at(complete_from_ns + 100), 0);
    let span = TimeSpan { start: START_NS, end: rig.now_ns() };
    let full = Some(Full { slots: vec![0], span });
    let recalled =
        HistorySnapshot { past, oldest_ns: Some(START_NS), state: State::Full, full, ..HistorySnapshot::default() };
    let need = |slots: &[usize], span: TimeSpan| recalled.need(&book, slots, span, true);
    let moved = |ns: i64| TimeSpan { start: span.start + ns, end: span.end + ns };
    assert_eq!(need(&[0], span), Need::NoMore);
    assert_eq!(need(&[0], moved(span.len_ns() / 9)), Need::NoMore, "it follows");
    assert!(matches!(need(&[0], moved(span.len_ns() / 3)), Need::Read(_)));
    assert!(matches!(need(&[0], TimeSpan { end: span.start + span.len_ns() / 2, ..span }), Need::Read(_)), "zoomed");
    assert!(matches!(need(&[0, 1], span), Need::Read(_)));
}
