//! Cost of appending a tick to the series map, by number of symbols, with and without sequence numbers.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tickscope::model::{NS_PER_S, Name, Price, TickView, Timestamp};
use tickscope::series::{HistoryLimits, SeriesMap, SeriesMapConfig};

/// Number of ticks per lock, as in the consumer.
const BATCH: usize = 1_024;

/// Number of ticks kept of each symbol: a few chunks, so that eviction is included.
const TICKS_MAX: usize = 20_000;

const START_NS: i64 = 1_700_000_000 * NS_PER_S;

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    group.throughput(Throughput::Elements(BATCH as u64));
    for symbols in [1, 4, 256] {
        let names: Vec<String> = (0..symbols).map(|number| format!("SYM{number}")).collect();
        let names: Vec<Name<'_>> = names.iter().filter_map(|name| Name::new(name)).collect();
        for (form, source) in [("bare", None), ("numbered", Name::new("p-4f21a"))] {
            let history = HistoryLimits { ticks_max: TICKS_MAX, age_ns_max: None };
            let mut series = SeriesMap::new(SeriesMapConfig { symbols: Vec::new(), symbols_max: 4_096, history });
            let (mut seq, mut state) = (0, 1_u64);
            group.bench_function(BenchmarkId::new(form, symbols), |bencher| {
                bencher.iter(|| {
                    for _ in 0..BATCH {
                        seq += 1;
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let random = (state >> 33) as usize;
                        let timestamp = Timestamp::saturating_from_nanos(START_NS + seq as i64 * 1_000);
                        let price = Price::new(180.0 + (random % 2_000) as f64 / 100.0);
                        let tick = TickView {
                            symbol: names[random % names.len()],
                            price: price.expect("a small number is finite"),
                            timestamp,
                            size: source.map(|_| (1 + random % 500) as f64),
                            seq: source.map(|_| seq),
                            source,
                        };
                        series.append_view(black_box(&tick), timestamp);
                    }
                    series.finish_batch();
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
