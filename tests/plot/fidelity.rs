//! The line through the downsampled ticks compared with the line through all of them, both antialiased.

use std::io::Read;
use std::ops::Range;

use tickscope::chart::{Arrangement, Layout, Point, Scale, Scene, Size};
use tickscope::chart::{ValueSpan, Viewport};
use tickscope::model::TimeSpan;
use tickscope::model::{Price, Symbol, Tick, Timestamp};
use tickscope::plot::Painter;
use tickscope::series::{HistoryLimits, Series, SeriesMap, SeriesMapConfig, SeriesTick};

use super::{Picture, START, line, scene};

const WINDOW: Size = Size { width: 1280, height: 720 };

/// Difference of two pictures: number of pixels, maximum difference of a channel (of 255), and sum. Lines must not
/// differ at all: vertices that share a column are moved to its middle, so all ticks of a column are one stroke from
/// the lowest to the highest, entered at the first and left at the last tick; downsampling keeps these four.
#[derive(Debug, Default, PartialEq)]
struct Difference {
    pixels: usize,
    max: u8,
    sum: u64,
}

impl Difference {
    fn between(a: &Picture, b: &Picture) -> Self {
        let mut found = Self::default();
        for (a, b) in a.pixels.iter().zip(&b.pixels).filter(|(a, b)| a != b) {
            found.pixels += 1;
            let channels = [16, 8, 0].map(|shift| ((a >> shift) as u8).abs_diff((b >> shift) as u8));
            found.max = channels.into_iter().fold(found.max, u8::max);
            found.sum += channels.into_iter().map(u64::from).sum::<u64>();
        }
        found
    }
}

fn book(ticks: impl IntoIterator<Item = (i64, f64)>) -> SeriesMap {
    let symbol = Symbol::new("A").unwrap();
    let history = HistoryLimits { ticks_max: usize::MAX, age_ns_max: None };
    let mut book = SeriesMap::new(SeriesMapConfig { symbols: vec![symbol.clone()], symbols_max: 1, history });
    for (time_ns, price) in ticks {
        let (timestamp, price) = (Timestamp::from_nanos(time_ns).unwrap(), Price::new(price).unwrap());
        book.append(&Tick { symbol: symbol.clone(), price, timestamp, size: None, seq: None, source: None }, timestamp);
    }
    book
}

fn drawn(series: &Series, span: TimeSpan, run: Vec<Point>, frame: &Layout) -> Picture {
    let range = series.range(span).unwrap();
    let mut drawn: Scene = scene();
    drawn.chart.viewport = Viewport { time: span, value: ValueSpan::fit(range.min.price, range.max.price) };
    drawn.chart.lines = vec![line(0, vec![run])];
    if frame.panes() > 1 {
        drawn.grid = vec![drawn.chart.clone(); frame.panes()];
    }
    Picture::on(&mut Painter::new().unwrap(), &drawn, frame)
}

#[track_caller]
fn compare(name: &str, series: &Series, span: TimeSpan) {
    for scale in [Scale::One, Scale::OneAndHalf, Scale::Two] {
        compare_on(name, series, span, &Layout::with_arrangement(WINDOW, scale, Arrangement::Single));
    }
    compare_on(
        name,
        series,
        span,
        &Layout::with_arrangement(WINDOW, Scale::OneAndHalf, Arrangement::Grid { panes: 5 }),
    );
}

#[track_caller]
fn compare_on(name: &str, series: &Series, span: TimeSpan, frame: &Layout) {
    let columns = frame.columns();
    let mut extracted = Vec::new();
    series.downsample(span, columns, &mut extracted);
    let few = extracted.iter().map(|sample| Point { time_ns: sample.time_ns, value: sample.price }).collect();
    let point = |tick: SeriesTick| Point { time_ns: tick.time_ns, value: tick.price };
    let before = span.start.checked_sub(1).and_then(|time_ns| series.at_or_before(time_ns));
    let all: Vec<Point> =
        before.into_iter().chain(series.iter_range(span)).chain(series.at_or_after(span.end)).map(point).collect();
    let (ticks, kept) = (all.len(), extracted.len());
    let found = Difference::between(&drawn(series, span, all, frame), &drawn(series, span, few, frame));
    let scale = frame.scale;
    assert_eq!(found, Difference::default(), "{name} at {scale:?}: {ticks} ticks, {kept} of them drawn");
}

/// Parts of the time span of a series, on and off the column grid.
fn spans(times: Range<i64>, parts: &[i64]) -> Vec<TimeSpan> {
    let whole = times.end - times.start;
    let span = |start: i64, len: i64| TimeSpan { start, end: start + len.max(2_000) };
    let of = |&part: &i64| {
        let len = whole / part;
        [span(times.start, len), span(times.start + whole / 3, len), span(times.start + whole / 2 + 12_345, len + 777)]
    };
    parts.iter().flat_map(of).collect()
}

#[test]
fn noise_is_drawn_as_all_its_ticks_would_be() {
    // Linear congruential generator (Knuth's MMIX constants): reproducible noise.
    let mut state = 7_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24)
    };
    let mut time_ns = START;
    let ticks: Vec<(i64, f64)> = (0..60_000)
        .map(|i| {
            time_ns += (noise() * 2e6) as i64;
            let spike = if i % 7_919 == 0 { 5.0 } else { 0.0 };
            (time_ns, 100.0 + (f64::from(i) / 5e3).sin() + noise() + spike)
        })
        .collect();
    let (from, to) = (ticks[0].0, ticks[ticks.len() - 1].0);
    let book = book(ticks);
    for span in spans(from..to, &[1, 7, 40, 300, 5_000]) {
        compare("noise", book.get(0).unwrap().1, span);
    }
}

#[test]
fn the_real_day_is_drawn_as_all_its_ticks_would_be() {
    let file = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/data/us-trades-2013-10-07.csv.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    for symbol in ["BAC", "SPY"] {
        let ticks: Vec<(i64, f64)> = text
            .lines()
            .filter_map(|row| {
                let mut fields = row.split(',');
                let (time_ms, name, price) = (fields.next()?, fields.next()?, fields.next()?);
                (name == symbol).then(|| (time_ms.parse::<i64>().unwrap() * 1_000_000, price.parse().unwrap()))
            })
            .collect();
        let (from, to) = (ticks[0].0, ticks[ticks.len() - 1].0);
        let book = book(ticks);
        for span in spans(from..to, &[1, 9, 130]) {
            compare(symbol, book.get(0).unwrap().1, span);
        }
    }
}
