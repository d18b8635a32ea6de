//! A trading day of real trades, most of which share their millisecond with others.

use std::collections::BTreeMap;
use std::io::Read;

use super::{EVERYTHING, Oracle, SeriesTick, assert_same};
use crate::model::TimeSpan;

const TRADES: &str = "data/us-trades-2013-10-07.csv.gz";

fn trades() -> BTreeMap<String, Vec<SeriesTick>> {
    let file = std::fs::File::open(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(TRADES)).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let mut symbols: BTreeMap<String, Vec<SeriesTick>> = BTreeMap::new();
    for row in text.lines().skip(1) {
        let [time_ms, symbol, price, size] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let (time_ms, price, size) = (time_ms.parse::<i64>().unwrap(), price.parse().unwrap(), size.parse().unwrap());
        let tick = SeriesTick { time_ns: time_ms * 1_000_000, price, size: Some(size) };
        symbols.entry(symbol.to_owned()).or_default().push(tick);
    }
    symbols
}

#[test]
fn the_real_day_is_kept_and_drawn_exactly() {
    let symbols = trades();
    assert_eq!(symbols.values().map(Vec::len).sum::<usize>(), 388_417);
    for (symbol, ticks) in symbols {
        let (series, oracle) = filled(&ticks);
        assert!(series.iter().eq(ticks.iter().copied()), "{symbol}");
        let (from, to) = (ticks[0].time_ns, ticks[ticks.len() - 1].time_ns + 1);
        for (part, columns) in [(1, 1_280), (7, 1_280), (100, 611), (10_000, 800), (1_000_000, 97)] {
            let len = (to - from) / part;
            for start in [from - len / 3, from + (to - from) / 2, to - len] {
                assert_same(&series, &oracle, TimeSpan { start, end: start + len }, columns);
            }
        }
    }
}

#[test]
fn a_tick_of_the_real_day_takes_three_bytes_at_most() {
    /// Documented maximum for time, price and size together, including all overhead.
    const BYTES_A_TICK_MAX: f64 = 3.0;
    const DAY_NS: i64 = 86_400_000_000_000;
    let symbols = trades();
    // A single day, for which open chunks weigh most, and twenty such days in a row.
    for days in [1, 20] {
        let (mut bytes, mut count) = (0, 0);
        for ticks in symbols.values() {
            let mut series = crate::series::Series::new(EVERYTHING);
            for day in 0..days {
                for tick in ticks {
                    super::push(&mut series, SeriesTick { time_ns: tick.time_ns + day * DAY_NS, ..*tick });
                }
            }
            bytes += series.bytes();
            count += series.len();
        }
        let bytes_a_tick = bytes as f64 / count as f64;
        assert!(bytes_a_tick <= BYTES_A_TICK_MAX, "{bytes_a_tick:.3} over {days} days");
        // Less than the ticks can possibly take indicates an error in the accounting.
        assert!(bytes_a_tick > 1.4, "{bytes_a_tick:.3} over {days} days");
    }
}

/// The reference's own insertion is slow for hundreds of thousands of ticks; the file is sorted.
fn filled(ticks: &[SeriesTick]) -> (crate::series::Series, Oracle) {
    let mut series = crate::series::Series::new(EVERYTHING);
    for &tick in ticks {
        assert_eq!(super::push(&mut series, tick), crate::series::Placement::InOrder);
    }
    (series, Oracle::new(EVERYTHING, ticks.to_vec()))
}
