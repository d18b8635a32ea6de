//! Compares cached columns with freshly read ones.

use proptest::prelude::*;

use super::{Shape, bits, make_ticks, push, shapes};
use crate::model::TimeSpan;
use crate::series::{ColumnCache, HistoryLimits, MergedSeries, Series};

/// Event between two frames.
#[derive(Debug, Clone)]
enum Step {
    /// Appends this many ticks.
    Ticks(usize),
    /// The view moves by that many columns.
    Pan(i64),
    /// The length of the view is multiplied, about its start.
    Zoom(f64),
    /// The right edge of the view moves to the newest tick.
    Follow,
    /// A line breaks that long after the newest tick.
    Cut(i64),
    /// The chart gets that many columns.
    Resize(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop_oneof![0_usize..40, 500_usize..3_000].prop_map(Step::Ticks),
        3 => (-30_i64..30).prop_map(Step::Pan),
        1 => (0.3_f64..3.0).prop_map(Step::Zoom),
        3 => Just(Step::Follow),
        2 => (-3_i64..200).prop_map(Step::Cut),
        1 => (1_u32..200).prop_map(Step::Resize),
    ];
    prop::collection::vec(step, 1..40)
}

fn check(series: &Series, span: TimeSpan, columns: u32, breaks: &[i64], cache: &mut ColumnCache) {
    let (mut kept, mut fresh) = (Vec::new(), Vec::new());
    MergedSeries::live(series).downsample_cached(span, columns, breaks, cache, &mut kept);
    series.downsample_runs(span, columns, breaks, &mut fresh);
    let all = |runs: &[Vec<_>]| runs.iter().map(|run| bits(run)).collect::<Vec<_>>();
    assert_eq!(all(&kept), all(&fresh), "{span:?} {columns} {breaks:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn cached_columns_equal_fresh_ones(
        shape in shapes(),
        late_ns_max in prop_oneof![Just(0_i64), Just(50), Just(20_000)],
        ticks_max in prop_oneof![Just(usize::MAX), 1_usize..4_000],
        age_ns_max in prop_oneof![2 => Just(None), 1 => (0_i64..30_000).prop_map(Some)],
        seed: u64,
        length in prop_oneof![1_i64..500, 500_i64..60_000],
        steps in steps(),
    ) {
        let ticks = make_ticks(shape, 40_000, late_ns_max, seed);
        let mut coming = ticks.iter();
        let mut series = Series::new(HistoryLimits { ticks_max, age_ns_max });
        let (mut cache, mut breaks, mut columns) = (ColumnCache::default(), Vec::new(), 100);
        let start = 1_000_000 - length / 3;
        let mut span = TimeSpan { start, end: start + length };
        for step in steps {
            let newest = series.last().map_or(span.end, |tick| tick.time_ns);
            match step {
                Step::Ticks(count) => coming.by_ref().take(count).for_each(|&tick| {
                    push(&mut series, tick);
                }),
                Step::Pan(by) => {
                    let by = by * (span.len_ns() / i64::from(columns)).max(1);
                    span = TimeSpan { start: span.start + by, end: span.end + by };
                }
                Step::Zoom(factor) => {
                    let length = ((span.len_ns() as f64 * factor) as i64).clamp(1, 1_000_000);
                    span = TimeSpan { end: span.start + length, ..span };
                }
                Step::Follow => span = TimeSpan { start: newest - span.len_ns() + 1, end: newest + 1 },
                Step::Cut(behind) => breaks.push(newest - behind),
                Step::Resize(to) => columns = to,
            }
            breaks.sort_unstable();
            breaks.dedup();
            check(&series, span.aligned(columns), columns, &breaks, &mut cache);
            // Mostly not aligned: bypasses the cache, which must stay valid.
            check(&series, span, columns, &breaks, &mut cache);
        }
    }
}

#[test]
fn an_aligned_span_is_at_most_half_a_column_away_and_keeps_its_columns_while_scrolling() {
    for (start, length, columns) in [(1_381_152_600_123_456_789_i64, 300_000_000_000_i64, 1_180_u32), (-77, 4_000, 320)]
    {
        let span = TimeSpan { start, end: start + length };
        let aligned = span.aligned(columns);
        let width = aligned.len_ns() / i64::from(columns);
        assert!(aligned.is_aligned(columns) && aligned.aligned(columns) == aligned);
        assert!((span.start - aligned.start).abs() <= (width + 1) / 2);
        assert!((aligned.len_ns() - length).unsigned_abs() <= u64::from(columns));
        for shift in 0..3 * width.min(50) {
            let moved = TimeSpan { start: start + shift, end: start + shift + length }.aligned(columns);
            assert_eq!((moved.start - aligned.start) % width, 0);
        }
    }
    let narrow = TimeSpan { start: 5, end: 105 };
    assert!(narrow.aligned(1_000) == narrow && !narrow.is_aligned(1_000));
}

#[test]
fn a_frame_after_a_few_ticks_reads_few_columns() {
    let mut series = Series::new(HistoryLimits { ticks_max: usize::MAX, age_ns_max: None });
    let ticks = make_ticks(Shape::Ties, 20_000, 0, 3);
    ticks[..19_990].iter().for_each(|&tick| {
        push(&mut series, tick);
    });
    let newest = ticks[19_999].time_ns;
    let span = TimeSpan { start: newest - 200_000, end: newest + 10_000 }.aligned(1_000);
    let (mut cache, mut out) = (ColumnCache::default(), Vec::new());
    MergedSeries::live(&series).downsample_cached(span, 1_000, &[], &mut cache, &mut out);
    assert_eq!(cache.invalid_after(&series, span, 1_000), 0, "nothing has changed");
    ticks[19_990..].iter().for_each(|&tick| {
        push(&mut series, tick);
    });
    let unknown = cache.invalid_after(&series, span, 1_000);
    assert!((1..60).contains(&unknown), "{unknown} columns, the empty ones at the right among them");
}
