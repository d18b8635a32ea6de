//! Compares memory with loaded history to a series that has everything.

use std::iter;

use proptest::prelude::*;

use super::bar_cache::bits as bar_bits;
use super::{EVERYTHING, bits, make_ticks, push, shapes};
use crate::model::TimeSpan;
use crate::model::{Price, Timestamp};
use crate::series::{
    ArrivalMark, BarCache, ColumnCache, HistoryLimits, HistoryPage, LoadedHistory, MergedSeries, Series, SeriesTick,
};

/// Content of a store: every tick received, by time and then by arrival.
struct Store {
    all: Series,
    ticks: Vec<SeriesTick>,
}

impl Store {
    fn new() -> Self {
        Self { all: Series::new(EVERYTHING), ticks: Vec::new() }
    }

    fn push(&mut self, tick: SeriesTick) {
        push(&mut self.all, tick);
        self.ticks.push(tick);
    }

    fn page(&self, from_ns: i64, to_ns: i64) -> HistoryPage {
        let mut inside: Vec<SeriesTick> = self.ticks.clone();
        inside.retain(|tick| (from_ns..to_ns).contains(&tick.time_ns));
        inside.sort_by_key(|tick| tick.time_ns);
        let mut page = HistoryPage::new(from_ns, 1);
        for tick in inside {
            let (time, price) = (Timestamp::from_nanos(tick.time_ns).unwrap(), Price::new(tick.price).unwrap());
            page.push(0, time, price, tick.size, false);
        }
        page.ending_at(to_ns)
    }
}

/// Memory, loaded history, and the complete series.
struct Rig {
    live: Series,
    store: Store,
    history: LoadedHistory,
    mark: ArrivalMark,
    revision: u64,
}

impl Rig {
    fn new(history: HistoryLimits) -> Self {
        Self {
            live: Series::new(history),
            store: Store::new(),
            history: LoadedHistory::new(vec![7]),
            mark: ArrivalMark::default(),
            revision: 0,
        }
    }

    fn push(&mut self, tick: SeriesTick) {
        push(&mut self.live, tick);
        self.store.push(tick);
    }

    fn merged(&self) -> MergedSeries<'_> {
        MergedSeries::new(&self.live, Some(&self.history), 7)
    }

    /// Loads missing history up to `to_ns`, in pages of the given length.
    fn read_until(&mut self, to_ns: i64, page_ns: i64) {
        if let Some(since_ns) = self.live.earliest_since(&self.mark) {
            self.history.drop_from(since_ns);
        }
        self.mark = self.live.arrival_mark();
        let mut from_ns = self.history.covered().map_or(0, |covered| covered.end);
        while from_ns < to_ns {
            let end_ns = (from_ns + page_ns).min(to_ns);
            self.history.append(self.store.page(from_ns, end_ns), 300);
            from_ns = end_ns;
        }
        self.history.mark_start_of_history();
        self.revision += 1;
        self.history.set_revision(self.revision);
    }
}

fn runs(runs: &[Vec<crate::series::Sample>]) -> Vec<Vec<(i64, u64)>> {
    runs.iter().map(|run| bits(run)).collect()
}

fn assert_same_line(
    merged: MergedSeries<'_>,
    whole: &Series,
    span: TimeSpan,
    columns: u32,
    breaks: &[i64],
    cache: &mut ColumnCache,
) {
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    merged.downsample_cached(span, columns, breaks, cache, &mut found);
    whole.downsample_runs(span, columns, breaks, &mut expected);
    assert_eq!(runs(&found), runs(&expected), "{span:?} {columns} {breaks:?}");
}

fn assert_same_bars(merged: MergedSeries<'_>, whole: &Series, span: TimeSpan, until_ns: i64, cache: &mut BarCache) {
    let whole = MergedSeries::live(whole);
    let edges: Vec<i64> = (0..=9).map(|n| span.start + n * (span.len_ns() / 9).max(1)).collect();
    let (mut found, mut kept, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    merged.bars(&edges, until_ns, &mut BarCache::default(), &mut found);
    merged.bars(&edges, until_ns, cache, &mut kept);
    whole.bars(&edges, until_ns, &mut BarCache::default(), &mut expected);
    assert_eq!(bar_bits(&found), bar_bits(&expected), "{edges:?} {until_ns}");
    assert_eq!(bar_bits(&kept), bar_bits(&expected), "{edges:?} {until_ns} cached");
    assert_eq!(merged.count(span, until_ns), whole.count(span, until_ns), "{span:?} {until_ns}");
}

fn assert_same_tick_bars(merged: MergedSeries<'_>, whole: &Series, span: TimeSpan, until_ns: i64) {
    for ticks in [1, 7, 300] {
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        merged.tick_bars(ticks, span, until_ns, 200, &mut found);
        MergedSeries::live(whole).tick_bars(ticks, span, until_ns, 200, &mut expected);
        assert_eq!(bar_bits(&found), bar_bits(&expected), "{ticks} {span:?} {until_ns}");
    }
}

fn span_of(ticks: &[SeriesTick], at: f64, share: f64) -> TimeSpan {
    let (first, last) =
        ticks.iter().fold((i64::MAX, 0), |(first, last), tick| (tick.time_ns.min(first), tick.time_ns.max(last)));
    let reach = (last - first.min(last) + 40) as f64;
    let start = first.min(last) - 20 + (at * reach) as i64;
    TimeSpan { start, end: start + 1 + (share * share * reach) as i64 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_merged_series_equals_one_that_has_everything(
        shape in shapes(),
        counts in prop::collection::vec(prop_oneof![0_usize..60, 500_usize..3_000], 1..6),
        late_ns_max in prop_oneof![Just(0_i64), Just(50), Just(20_000)],
        ticks_max in prop_oneof![1_usize..50, 50_usize..2_000, Just(usize::MAX)],
        age_ns_max in prop_oneof![3 => Just(None), 1 => (0_i64..30_000).prop_map(Some)],
        page_ns in prop_oneof![20_i64..400, 1_000_i64..60_000],
        margin in 0.0_f64..1.0,
        views in prop::collection::vec((-0.1_f64..1.0, 0.0_f64..1.1, 1_u32..120, 0.0_f64..1.1), 1..5),
        seed: u64,
    ) {
        let mut rig = Rig::new(HistoryLimits { ticks_max, age_ns_max });
        let ticks = make_ticks(shape, counts.iter().sum(), late_ns_max, seed);
        let mut coming = ticks.iter().copied();
        let mut caches: Vec<_> = views.iter().map(|_| (ColumnCache::default(), BarCache::default())).collect();
        for count in counts {
            coming.by_ref().take(count).for_each(|tick| rig.push(tick));
            let Some(complete_from_ns) = rig.live.complete_from_ns() else { continue };
            let newest_ns = rig.store.all.last().unwrap().time_ns;
            // The history extends history the watermark, so that memory may evict more before it is loaded again.
            let to_ns = complete_from_ns + ((newest_ns - complete_from_ns) as f64 * margin) as i64;
            let known = rig.history.covered().map_or(i64::MIN, |covered| covered.end);
            let is_stale = rig.live.earliest_since(&rig.mark).is_some_and(|since_ns| since_ns < known);
            if is_stale || known < complete_from_ns {
                let page_ns = page_ns.max(complete_from_ns / 400);
                rig.read_until(to_ns.max(known).max(1), page_ns);
            }
            let (merged, whole) = (rig.merged(), &rig.store.all);
            // Each view has its own cache, and scrolls with the ticks if its length allows.
            for (&(at, share, columns, until), (cache, bars)) in views.iter().zip(&mut caches) {
                let span = span_of(&rig.store.ticks, at, share);
                let span = if seed % 2 == 0 { span } else { TimeSpan { end: span.start + 4_000, ..span } };
                let cut = span.start + span.len_ns() / 3;
                for breaks in [vec![], vec![cut], vec![complete_from_ns - 1, cut + 1, newest_ns]] {
                    let mut breaks = breaks;
                    breaks.sort_unstable();
                    breaks.dedup();
                    assert_same_line(merged, whole, span, columns, &breaks, cache);
                    assert_same_line(merged, whole, span.aligned(columns), columns, &breaks, cache);
                }
                let until_ns = if until > 1.0 { i64::MAX } else { span_of(&rig.store.ticks, until, 0.1).start };
                assert_same_bars(merged, whole, span, until_ns, bars);
                if rig.live.too_late() == 0 {
                    assert_same_tick_bars(merged, whole, span, until_ns);
                }
                let at_ns = complete_from_ns;
                for time_ns in [span.start, span.end, at_ns - 1, at_ns, at_ns + 1, i64::MIN, i64::MAX] {
                    prop_assert_eq!(merged.at_or_before(time_ns), whole.at_or_before(time_ns));
                    prop_assert_eq!(merged.at_or_after(time_ns), whole.at_or_after(time_ns));
                    prop_assert_eq!(merged.first_known_from(time_ns), whole.at_or_after(time_ns));
                }
                prop_assert_eq!(merged.last(), whole.last());
            }
        }
    }

    #[test]
    fn unknown_stretches_are_never_bridged(
        shape in shapes(),
        ticks_max in 1_usize..2_000,
        from in 0.0_f64..0.6,
        reach in 0.0_f64..0.6,
        knows_neighbors: bool,
        views in prop::collection::vec((-0.1_f64..1.0, 0.0_f64..1.1, 1_u32..120), 1..8),
        seed: u64,
    ) {
        let mut rig = Rig::new(HistoryLimits { ticks_max, age_ns_max: None });
        let ticks = make_ticks(shape, 5_000, 0, seed);
        for &tick in &ticks {
            rig.push(tick);
        }
        let (first_ns, complete_from_ns) = (ticks[0].time_ns, rig.live.complete_from_ns().unwrap());
        let at = |share: f64| first_ns + ((complete_from_ns - first_ns) as f64 * share) as i64;
        let (from_ns, to_ns) = (at(from), at((from + reach).min(1.0)));
        prop_assume!(from_ns < to_ns);
        let middle_ns = i64::midpoint(from_ns, to_ns);
        rig.history.append(rig.store.page(middle_ns, to_ns), 0);
        rig.history.prepend(rig.store.page(from_ns, middle_ns));
        let (before, after) = (rig.store.all.at_or_before(from_ns - 1), rig.store.all.at_or_after(to_ns));
        if knows_neighbors {
            rig.history.set_neighbors(0, before, after);
        }
        let has_hole = to_ns < complete_from_ns;
        // The same as a single series with breaks at its unknown stretches.
        let mut known = Series::new(EVERYTHING);
        let lone = |tick: Option<SeriesTick>| tick.filter(|_| knows_neighbors);
        let mut here: Vec<SeriesTick> = lone(before).into_iter().collect();
        let is_known = |time_ns: i64| (from_ns..to_ns).contains(&time_ns) || time_ns >= complete_from_ns;
        here.extend(ticks.iter().filter(|tick| is_known(tick.time_ns)));
        here.sort_by_key(|tick| tick.time_ns);
        for tick in here {
            push(&mut known, tick);
        }
        let merged = rig.merged();
        for &(at, share, columns) in &views {
            let span = span_of(&ticks, at, share);
            let breaks: Vec<i64> = iter::once(complete_from_ns).filter(|_| has_hole).collect();
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            merged.downsample_cached(span, columns, &breaks, &mut ColumnCache::default(), &mut found);
            known.downsample_runs(span, columns, &breaks, &mut expected);
            if !knows_neighbors {
                prop_assert_eq!(runs(&found), runs(&expected), "{:?} {} {:?}", span, columns, breaks);
            }
            for run in &found {
                let times = run.iter().map(|sample| sample.time_ns);
                let is_read = |time_ns: i64| (from_ns..to_ns).contains(&time_ns);
                for (one, next) in times.clone().zip(times.skip(1)) {
                    let leads_in = knows_neighbors && before.is_some_and(|tick| tick.time_ns == one);
                    let leads_out = knows_neighbors && after.is_some_and(|tick| tick.time_ns == next);
                    let joins = is_read(one) && (is_read(next) || !has_hole || leads_out);
                    prop_assert!(joins || one >= complete_from_ns || leads_in, "{} to {}", one, next);
                }
            }
            for time_ns in [span.start, span.end] {
                let is_read = (from_ns..to_ns).contains(&time_ns);
                let found = merged.at_or_before(time_ns);
                if is_read && knows_neighbors {
                    prop_assert_eq!(found, rig.store.all.at_or_before(time_ns));
                    prop_assert_eq!(merged.at_or_after(time_ns), rig.store.all.at_or_after(time_ns));
                }
                prop_assert!(found.is_none() || found == rig.store.all.at_or_before(time_ns));
            }
        }
    }
}

#[test]
fn pages_are_dropped_at_either_end_and_outliers_are_kept_apart() {
    let mut history = LoadedHistory::new(vec![3, 5]);
    let page = |from_ns: i64| {
        let mut page = HistoryPage::new(from_ns, 2);
        for n in 0..10 {
            let (time, price) = (Timestamp::from_nanos(from_ns + n).unwrap(), Price::new(n as f64).unwrap());
            page.push(1, time, price, None, n == 4);
        }
        page.ending_at(from_ns + 10)
    };
    history.append(page(100), 0);
    history.append(page(110), 0);
    history.prepend(page(90));
    history.prepend(page(50));
    assert_eq!((history.covered(), history.ticks()), (Some(TimeSpan { start: 90, end: 120 }), 30), "pages must join");
    history.append(page(120), 20);
    assert_eq!(
        (history.first_and_last().unwrap().1.span(), history.ticks()),
        (TimeSpan { start: 110, end: 130 }, 40),
        "joined"
    );
    let outliers = |history: &LoadedHistory| {
        history.outliers(5, TimeSpan { start: 94, end: 124 }).map(|t| t.time_ns).collect::<Vec<_>>()
    };
    assert_eq!(outliers(&history), [94, 104, 114]);
    let live = Series::new(EVERYTHING);
    assert_eq!(MergedSeries::new(&live, Some(&history), 5).at_or_before(104).map(|tick| tick.time_ns), Some(103));
    assert_eq!(MergedSeries::new(&live, Some(&history), 5).last().map(|tick| tick.time_ns), Some(129));
    assert_eq!(MergedSeries::new(&live, Some(&history), 3).last(), None);
    history.drop_from(115);
    assert_eq!(history.covered(), Some(TimeSpan { start: 90, end: 110 }));
    history.mark_start_of_history();
    assert_eq!(history.covered(), Some(TimeSpan { start: i64::MIN, end: 110 }));
    assert!(history.drop_first());
    assert_eq!((history.covered(), history.ticks()), (Some(TimeSpan { start: 100, end: 110 }), 10));
    assert_eq!(outliers(&history), [104]);
    assert!(history.drop_last() && !history.drop_last() && history.covered().is_none() && history.ticks() == 0);
}

#[test]
fn an_expired_symbol_continues_in_its_loaded_history() {
    let mut rig = Rig::new(HistoryLimits { ticks_max: usize::MAX, age_ns_max: Some(100) });
    let tick = |time_ns: i64| SeriesTick { time_ns, price: 1.0, size: None };
    (0..10).for_each(|n| rig.push(tick(n * 10)));
    rig.live.expire(1_000);
    assert_eq!((rig.live.len(), rig.live.complete_from_ns()), (0, Some(900)));
    rig.read_until(900, 50);
    assert_eq!(rig.merged().last().map(|tick| tick.time_ns), Some(90));
    assert_same_line(
        rig.merged(),
        &rig.store.all,
        TimeSpan { start: 15, end: 1_200 },
        20,
        &[],
        &mut ColumnCache::default(),
    );
}

#[test]
fn arrivals_since_a_mark_are_bounded_by_their_earliest_time() {
    let mut series = Series::new(HistoryLimits { ticks_max: 4, age_ns_max: None });
    let tick = |time_ns: i64| SeriesTick { time_ns, price: 1.0, size: None };
    let mark = series.arrival_mark();
    assert_eq!(series.earliest_since(&mark), None);
    for ns in [10, 20, 30] {
        push(&mut series, tick(ns));
    }
    assert_eq!(series.earliest_since(&mark), Some(10));
    let mark = series.arrival_mark();
    assert_eq!(series.earliest_since(&mark), None);
    push(&mut series, tick(40));
    assert_eq!(series.earliest_since(&mark), Some(40));
    push(&mut series, tick(30));
    assert_eq!(series.earliest_since(&mark), Some(30), "late");
    let mark = series.arrival_mark();
    push(&mut series, tick(40));
    assert_eq!(series.earliest_since(&mark), Some(40), "of the same time as the newest");
    let mark = series.arrival_mark();
    push(&mut series, tick(5));
    assert_eq!((series.too_late(), series.earliest_since(&mark)), (1, Some(5)), "also what is not kept");
}

#[test]
fn arrivals_after_a_silence_reach_back_no_further_than_its_start() {
    let mut series = Series::new(HistoryLimits { ticks_max: usize::MAX, age_ns_max: Some(100) });
    let tick = |time_ns: i64| SeriesTick { time_ns, price: 1.0, size: None };
    push(&mut series, tick(10));
    let mark = series.arrival_mark();
    series.expire(5_000);
    push(&mut series, tick(5_000));
    assert_eq!((series.len(), series.earliest_since(&mark)), (1, Some(5_000)));
    push(&mut series, tick(5_101));
    assert_eq!((series.len(), series.earliest_since(&mark)), (1, Some(10)), "of what is gone nothing is known");
    let mark = series.arrival_mark();
    series.expire(9_000);
    push(&mut series, tick(4_000));
    assert_eq!(series.earliest_since(&mark), Some(4_000), "late, while nothing is kept");
}

#[test]
fn memory_is_complete_after_the_latest_lost_tick() {
    let tick = |time_ns: i64| SeriesTick { time_ns, price: 1.0, size: None };
    let mut aging = Series::new(HistoryLimits { ticks_max: usize::MAX, age_ns_max: Some(100) });
    for ns in [10, 900] {
        push(&mut aging, tick(ns));
    }
    assert_eq!((aging.oldest_ns(), aging.complete_from_ns()), (Some(900), Some(800)));
    let mut full = Series::new(HistoryLimits { ticks_max: 2, age_ns_max: None });
    for ns in [10, 50, 90] {
        push(&mut full, tick(ns));
    }
    assert_eq!(full.complete_from_ns(), Some(11));
    push(&mut full, tick(30));
    assert_eq!((full.too_late(), full.complete_from_ns()), (1, Some(31)), "what came too late is somewhere else");
}

/// All ticks in memory are as old as the last evicted one: memory starts after them, and their bars are still counted.
#[test]
fn tick_bars_keep_their_positions_if_no_live_tick_counts() {
    let mut rig = Rig::new(HistoryLimits { ticks_max: 3, age_ns_max: None });
    for n in 0..25 {
        rig.push(SeriesTick { time_ns: n.min(20), price: n as f64, size: Some(1.0) });
    }
    assert_eq!(rig.live.complete_from_ns(), Some(21));
    rig.read_until(21, 8);
    assert_same_tick_bars(rig.merged(), &rig.store.all, TimeSpan { start: -5, end: 30 }, i64::MAX);
    assert_same_tick_bars(rig.merged(), &rig.store.all, TimeSpan { start: 3, end: 18 }, 14);
}

/// A tick that came too late is only in the store. Bars before it are counted as if memory had it, and bars in memory
/// as if it had never arrived.
#[test]
fn a_tick_that_came_too_late_moves_the_bars_before_it_by_one() {
    let mut rig = Rig::new(HistoryLimits { ticks_max: 10, age_ns_max: None });
    let tick = |time_ns: i64| SeriesTick { time_ns, price: 1.0, size: None };
    (0..30).for_each(|n| rig.push(tick(n * 10)));
    rig.push(tick(155));
    assert_eq!(rig.live.too_late(), 1);
    rig.read_until(rig.live.complete_from_ns().unwrap(), 1_000);
    let mut bars = Vec::new();
    rig.merged().tick_bars(7, TimeSpan { start: 0, end: 300 }, i64::MAX, 200, &mut bars);
    let found: Vec<(i64, u64)> = bars.iter().map(|bar| (bar.start_ns, bar.count)).collect();
    assert_eq!(found, [(0, 1), (10, 7), (80, 7), (150, 7), (210, 7), (280, 2)]);
}
