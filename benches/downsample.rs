//! Cost of querying what is drawn, at several lengths of history: the samples of 1,280 columns of 4 symbols, and 300
//! bars of one symbol.

#![expect(clippy::print_stdout, reason = "a benchmark reports there")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tickscope::model::TimeSpan;
use tickscope::model::{Price, Timestamp};
use tickscope::series::{Bar, BarCache, ColumnCache, HistoryLimits, MergedSeries, Sample, Series};

const SYMBOLS: u64 = 4;
const COLUMNS: u32 = 1_280;

/// Duration of every history, ns.
const SPAN_NS: i64 = 23_400_000_000_000;
const START_NS: i64 = 1_381_152_600_000_000_000;

/// Random walk in cents with sizes in whole lots, from a small pseudo-random generator (G. Marsaglia's xorshift64).
struct Walk {
    state: u64,
    cents: i64,
}

impl Walk {
    fn next(&mut self) -> (f64, f64) {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.cents = (self.cents + (self.state % 3) as i64 - 1).max(1);
        (self.cents as f64 / 100.0, ((self.state >> 32) % 8 + 1) as f64 * 100.0)
    }
}

fn fill(ticks: u64) -> Vec<Series> {
    let one = |symbol: u64| {
        let mut series = Series::new(HistoryLimits { ticks_max: usize::MAX, age_ns_max: None });
        let mut walk = Walk { state: 88_172_645_463_325_252 + symbol, cents: 16_750 };
        let count = ticks / SYMBOLS;
        for tick in 0..count {
            // Whole milliseconds, as in real trades.
            let ms = (i128::from(tick) * i128::from(SPAN_NS) / i128::from(count) / 1_000_000) as i64;
            push(&mut series, START_NS + ms * 1_000_000, walk.next());
        }
        series
    };
    (0..SYMBOLS).map(one).collect()
}

fn push(series: &mut Series, time_ns: i64, (price, size): (f64, f64)) {
    if let (Some(time), Some(price)) = (Timestamp::from_nanos(time_ns), Price::new(price)) {
        series.push(time, price, Some(size));
    }
}

fn extract_all(all: &[Series], span: TimeSpan, caches: &mut [ColumnCache], runs: &mut Vec<Vec<Sample>>) -> usize {
    let mut samples = 0;
    for (series, cache) in all.iter().zip(caches) {
        MergedSeries::live(series).downsample_cached(span, COLUMNS, &[], cache, runs);
        samples += runs.iter().map(Vec::len).sum::<usize>();
    }
    samples
}

fn downsample(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("extract");
    // The largest history is slow to fill and takes 300 MB; the environment variable `TICKS=100000000` enables it.
    let largest = std::env::var("TICKS").ok().and_then(|text| text.parse().ok());
    let sizes = [10_000, 1_000_000, 10_000_000].into_iter().chain(largest);
    for ticks in sizes {
        let mut all = fill(ticks);
        let bytes: usize = all.iter().map(Series::bytes).sum();
        println!("{ticks} ticks: {:.2} bytes a tick", bytes as f64 / ticks as f64);
        let whole = TimeSpan { start: START_NS, end: START_NS + SPAN_NS }.aligned(COLUMNS);
        let (mut caches, mut runs) = (Vec::new(), Vec::new());
        caches.resize_with(all.len(), ColumnCache::default);
        // A zoom invalidates all columns. Two spans alternate, so that the cache has none of them.
        let zoomed = TimeSpan { end: whole.start + whole.len_ns() / 100 * 99, ..whole }.aligned(COLUMNS);
        let mut turn = false;
        group.bench_function(BenchmarkId::new("anew", ticks), |bencher| {
            bencher.iter(|| {
                turn = !turn;
                let span = if turn { whole } else { zoomed };
                black_box(extract_all(&all, span, &mut caches, &mut runs))
            });
        });
        // In a live frame each symbol has a new tick, and in every other frame the view has moved by a column.
        let width = whole.len_ns() / i64::from(COLUMNS);
        let (mut walk, mut frame) = (Walk { state: 1, cents: 16_750 }, 0_i64);
        group.bench_function(BenchmarkId::new("live", ticks), |bencher| {
            bencher.iter(|| {
                frame += 1;
                let time_ns = START_NS + SPAN_NS + frame * width / 2;
                for series in &mut all {
                    push(series, time_ns, walk.next());
                }
                let span = TimeSpan::ending_at(time_ns, whole.len_ns()).aligned(COLUMNS);
                black_box(extract_all(&all, span, &mut caches, &mut runs))
            });
        });
    }
    group.finish();
}

/// Bars of one symbol: 300 of equal length over its whole history, and as many tick bars.
fn bars(criterion: &mut Criterion) {
    const BARS: i64 = 300;
    let mut group = criterion.benchmark_group("bars");
    for ticks in [10_000, 100_000, 1_000_000, 10_000_000] {
        let mut all = fill(ticks * SYMBOLS);
        let Some(series) = all.first_mut() else { continue };
        let width = SPAN_NS / BARS;
        let edges = |last: i64| (last - BARS..=last).map(|bar| START_NS + bar * width).collect::<Vec<_>>();
        let mut out: Vec<Bar> = Vec::new();
        // A zoom invalidates all bars.
        let (whole, mut cache) = (edges(BARS), BarCache::default());
        group.bench_function(BenchmarkId::new("anew", ticks), |bencher| {
            bencher.iter(|| {
                cache = BarCache::default();
                MergedSeries::live(series).bars(&whole, i64::MAX, &mut cache, &mut out);
                black_box(out.len())
            });
        });
        let span = TimeSpan { start: START_NS, end: START_NS + SPAN_NS };
        group.bench_function(BenchmarkId::new("of ticks", ticks), |bencher| {
            bencher.iter(|| {
                MergedSeries::live(series).tick_bars(
                    (ticks / BARS.unsigned_abs()) as u32,
                    span,
                    i64::MAX,
                    1_000,
                    &mut out,
                );
                black_box(out.len())
            });
        });
        // In a live frame there is a new tick, and in every tenth a new bar.
        let (mut walk, mut frame) = (Walk { state: 1, cents: 16_750 }, 0_i64);
        group.bench_function(BenchmarkId::new("live", ticks), |bencher| {
            bencher.iter(|| {
                frame += 1;
                push(series, START_NS + SPAN_NS + frame * width / 10, walk.next());
                MergedSeries::live(series).bars(&edges(BARS + 1 + frame / 10), i64::MAX, &mut cache, &mut out);
                black_box(out.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, downsample, bars);
criterion_main!(benches);
