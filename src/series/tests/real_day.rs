//! A trading day of real trades: most share their millisecond with others.

use std::collections::BTreeMap;
use std::io::Read;

use super::{EVERYTHING, Oracle, TickRef, assert_same};
use crate::view::TimeSpan;

const TRADES: &str = "data/us-trades-2013-10-07.csv.gz";

fn trades() -> BTreeMap<String, Vec<TickRef>> {
    let file = std::fs::File::open(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(TRADES)).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let mut symbols: BTreeMap<String, Vec<TickRef>> = BTreeMap::new();
    for row in text.lines().skip(1) {
        let [time_ms, symbol, price, size] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let (time_ms, price, size) = (time_ms.parse::<i64>().unwrap(), price.parse().unwrap(), size.parse().unwrap());
        let tick = TickRef { time_ns: time_ms * 1_000_000, price, size: Some(size) };
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

/// The oracle's own insertion is slow for hundreds of thousands of ticks; the file is sorted already.
fn filled(ticks: &[TickRef]) -> (crate::series::Series, Oracle) {
    let mut series = crate::series::Series::new(EVERYTHING);
    for &tick in ticks {
        assert_eq!(super::push(&mut series, tick), crate::series::Placed::InOrder);
    }
    (series, Oracle::new(EVERYTHING, ticks.to_vec()))
}
