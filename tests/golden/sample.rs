//! Data of the pictures: real trades of a morning, and reproducible random walks of made-up symbols.

use std::io::Read as _;
use std::sync::OnceLock;

use jiff::tz::TimeZone;
use tickscope::chart::{
    AxisKind, Badge, Bar, Chart, Footer, Header, Layout, LegendEntry, Line, Point, Scene, Size, Tag, Theme, Tone,
};
use tickscope::chart::{ValueSpan, Viewport};
use tickscope::model::TimeSpan;

use super::compare::View;

pub const SECOND: i64 = 1_000_000_000;
pub const MINUTE: i64 = 60 * SECOND;
/// 10:00 in New York on 2013-10-07.
pub const START: i64 = 1_381_154_400 * SECOND;
/// Visible span: 45 minutes, and space for new ticks.
pub const SPAN: TimeSpan = TimeSpan { start: START, end: START + 49 * MINUTE };
pub const NOW: i64 = START + 45 * MINUTE;
pub const SIZE: Size = Size { width: 640, height: 400 };
pub const SYMBOLS: [&str; 4] = ["SPY", "IBM", "BAC", "AIG"];

#[derive(Clone, Copy)]
pub struct Trade {
    pub time_ns: i64,
    pub price: f64,
    pub size: f64,
}

/// Trades of one of [`SYMBOLS`] from [`START`] to [`NOW`].
pub fn trades(palette_index: usize) -> &'static [Trade] {
    static ALL: OnceLock<Vec<Vec<Trade>>> = OnceLock::new();
    let read = || {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/us-trades-2013-10-07.csv.gz");
        let mut text = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        let mut all = vec![Vec::new(); SYMBOLS.len()];
        for row in text.lines().skip(1) {
            let mut fields = row.split(',');
            let time_ns = fields.next().unwrap().parse::<i64>().unwrap() * 1_000_000;
            let palette_index = fields.next().and_then(|name| SYMBOLS.iter().position(|symbol| *symbol == name));
            if let Some(palette_index) = palette_index.filter(|_| (START..NOW).contains(&time_ns)) {
                let price = fields.next().unwrap().parse().unwrap();
                all[palette_index].push(Trade { time_ns, price, size: fields.next().unwrap().parse().unwrap() });
            }
        }
        all
    };
    &ALL.get_or_init(read)[palette_index]
}

/// Noise between -1 and 1 (`SplitMix64` of Steele, Lea and Flood, 2014; neighbouring seeds are uncorrelated).
pub struct Noise(u64);

impl Noise {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 40) as f64 / f64::from(1 << 23) - 1.0
    }
}

/// Random walk over the morning: `points` points from `from` on, with a relative step of about `step`.
pub fn walk(seed: u64, points: usize, from: f64, step: f64) -> Vec<Trade> {
    let (mut noise, mut price) = (Noise(seed << 32), from);
    let mut trade = |i: usize| {
        price *= 1.0 + step * (noise.next() + noise.next());
        let time_ns = START + (NOW - START) / points as i64 * i as i64;
        Trade { time_ns, price, size: 100.0 * (1.0 + (noise.next() + 1.0) * 9.0).floor() }
    };
    (0..points).map(&mut trade).collect()
}

/// Name of a made-up symbol.
pub fn name(i: usize) -> String {
    let letter = |n: usize| char::from(b'A' + (n % 26) as u8);
    [letter(i * 7 + 3), letter(i * 11 + 5), letter(i / 26 + i * 3), letter(i)].iter().collect()
}

/// Trades as points on one of the axes.
pub fn points(trades: &[Trade], axis: AxisKind) -> Vec<Point> {
    let first = trades.first().map_or(1.0, |trade| trade.price);
    let value = |price: f64| match axis {
        AxisKind::Price => price,
        AxisKind::Percent => (price / first - 1.0) * 100.0,
        AxisKind::Log => price.log10(),
    };
    trades.iter().map(|trade| Point { time_ns: trade.time_ns, value: value(trade.price) }).collect()
}

/// Bars of `length_ns`.
pub fn bars(trades: &[Trade], length_ns: i64) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    for trade in trades {
        let start_ns = trade.time_ns - trade.time_ns % length_ns;
        let price = trade.price;
        match bars.last_mut().filter(|bar| bar.start_ns == start_ns) {
            Some(bar) => {
                (bar.high, bar.low, bar.close) = (bar.high.max(price), bar.low.min(price), price);
                bar.volume += trade.size;
            }
            None => bars.push(Bar {
                start_ns,
                end_ns: start_ns + length_ns,
                open: price,
                high: price,
                low: price,
                close: price,
                volume: trade.size,
            }),
        }
    }
    bars
}

pub fn percent(trades: &[Trade]) -> f64 {
    trades.last().map_or(0.0, |last| (last.price / trades[0].price - 1.0) * 100.0)
}

pub fn entry(palette_index: usize, symbol: &str, trades: &[Trade]) -> LegendEntry {
    LegendEntry {
        symbol: symbol.to_owned(),
        palette_index,
        last: trades.last().map(|last| format!("{:.2}", last.price)),
        change_percent: (!trades.is_empty()).then(|| percent(trades)),
        visible: true,
        focused: false,
    }
}

/// Value span that shows all of `points`.
pub fn fitted<'a>(points: impl IntoIterator<Item = &'a Point>) -> ValueSpan {
    let (lo, hi) = points
        .into_iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), point| (lo.min(point.value), hi.max(point.value)));
    ValueSpan::fit(lo, hi)
}

pub fn new_york() -> TimeZone {
    TimeZone::get("America/New_York").unwrap()
}

pub fn chart(axis: AxisKind, value: ValueSpan) -> Chart {
    Chart::empty(Viewport { time: SPAN, value }, axis, new_york())
}

/// A scene with `chart`.
pub fn scene(theme: Theme, chart: Chart, legend: Vec<LegendEntry>) -> Scene {
    let figures = [
        (Tone::Good, "1,284 ticks/s"),
        (Tone::Good, "214,506 kept"),
        (Tone::Good, "latency p50 0.4 ms p99 1.9 ms"),
        (Tone::Good, "lost 0"),
        (Tone::Warn, "rejected 3"),
        (Tone::Good, "60 fps 1.8 ms"),
    ];
    Scene {
        theme,
        header: Header {
            badge: Badge { tone: Tone::Good, text: "LIVE".to_owned() },
            view_badge: None,
            channel: "stock_prices".to_owned(),
            legend,
            span: "45 min".to_owned(),
        },
        chart,
        grid: Vec::new(),
        footer: Footer { figures: figures.map(|(tone, text)| (tone, text.to_owned())).to_vec() },
        help: None,
        search: None,
        toast: None,
    }
}

/// Legend of the first `symbols` real symbols.
pub fn legend(symbols: usize) -> Vec<LegendEntry> {
    (0..symbols).map(|palette_index| entry(palette_index, SYMBOLS[palette_index], trades(palette_index))).collect()
}

/// Lines of some symbols, with tags and a legend.
pub fn lines(theme: Theme, axis: AxisKind, slots: &[usize]) -> Scene {
    let all: Vec<(usize, Vec<Point>)> =
        slots.iter().map(|&palette_index| (palette_index, points(trades(palette_index), axis))).collect();
    let mut chart = chart(axis, fitted(all.iter().flat_map(|(_, points)| points)));
    for (palette_index, points) in all {
        let (last, trade) = (points.last().unwrap().value, trades(palette_index).last().unwrap());
        let text = match axis {
            AxisKind::Percent => format!("{last:+.2}%").replace('-', "−"),
            AxisKind::Price | AxisKind::Log => format!("{:.2}", trade.price),
        };
        chart.tags.push(Tag { palette_index, value: last, text });
        chart.lines.push(Line { palette_index, runs: vec![points] });
    }
    let legend = slots
        .iter()
        .map(|&palette_index| entry(palette_index, SYMBOLS[palette_index], trades(palette_index)))
        .collect();
    scene(theme, chart, legend)
}

pub fn view(scene: Scene) -> View {
    sized(scene, SIZE)
}

pub fn sized(scene: Scene, size: Size) -> View {
    View { scene, frame: Layout::new(size) }
}
