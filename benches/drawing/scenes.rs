//! Scenes as the window draws them: a million ticks, downsampled to the width of a plot.

use jiff::tz::TimeZone;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tickscope::chart::{
    AxisKind, Badge, Bar, Bars, Chart, Crosshair, Footer, Header, Layout, LegendEntry, Line, Point, Readout, Scene,
    Size, Tag, Theme, Tone,
};
use tickscope::chart::{ValueSpan, Viewport};
use tickscope::model::TimeSpan;
use tickscope::model::{Price, Symbol, Tick, Timestamp};
use tickscope::series::{ColumnCache, HistoryLimits, MergedSeries, Sample, SeriesMap, SeriesMapConfig};

pub const SIZE: Size = Size { width: 1280, height: 720 };
/// Number of ticks in view.
pub const TICKS: usize = 1_000_000;
const SPAN_NS: i64 = 60_000_000_000;
const START_NS: i64 = 1_700_000_000_000_000_000;

/// Pattern of a symbol's price.
#[derive(Clone, Copy)]
pub enum Shape {
    /// Random walk: the line wanders, and a column spans little.
    Walk,
    /// Independent prices: every column is a tall stroke.
    Noise,
    /// A price that alternates between two levels.
    Zigzag,
}

/// Creates a map of `symbols` symbols that share `ticks` ticks over [`SPAN_NS`], each within its own strip.
pub fn series(symbols: usize, ticks: usize, shape: Shape) -> SeriesMap {
    let names: Vec<Symbol> = (0..symbols).map(|i| Symbol::new(&format!("S{i:03}")).expect("a short name")).collect();
    let history = HistoryLimits { ticks_max: ticks, age_ns_max: None };
    let mut series = SeriesMap::new(SeriesMapConfig { symbols: names.clone(), symbols_max: symbols, history });
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut levels = vec![0.0_f64; symbols];
    let steps = (SPAN_NS / ticks as i64).max(1);
    for i in 0..ticks {
        let at = i % symbols;
        let level = match shape {
            Shape::Walk => levels[at] * 0.999_99 + rng.random_range(-1.0..1.0) * 0.3,
            Shape::Noise => rng.random_range(-60.0..60.0_f64),
            Shape::Zigzag => f64::from(u8::from((i / symbols).is_multiple_of(2))) * 12.0,
        };
        levels[at] = level;
        let price = Price::new(100.0 + at as f64 * 150.0 / symbols as f64 + level * 0.4).expect("finite");
        let timestamp = Timestamp::from_nanos(START_NS + i as i64 * steps).expect("in range");
        series.append(
            &Tick { symbol: names[at].clone(), price, timestamp, size: None, seq: None, source: None },
            timestamp,
        );
    }
    series
}

fn columns() -> u32 {
    Layout::new(SIZE).plot.width().unsigned_abs()
}

/// Builds the scene of `series` over `span`; `caches` hold the previous one.
pub fn scene(series: &SeriesMap, span: TimeSpan, caches: &mut Vec<ColumnCache>) -> Scene {
    let columns = columns();
    caches.resize_with(series.symbol_count(), ColumnCache::default);
    let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
    let (mut lines, mut tags, mut legend) = (Vec::new(), Vec::new(), Vec::new());
    for ((id, symbol, series), cache) in series.iter().zip(caches) {
        let palette_index = id.index();
        let mut runs: Vec<Vec<Sample>> = Vec::new();
        MergedSeries::live(series).downsample_cached(span, columns, &[], cache, &mut runs);
        for sample in runs.iter().flatten().filter(|sample| span.contains(sample.time_ns)) {
            (lo, hi) = (lo.min(sample.price), hi.max(sample.price));
        }
        let last = series.last().map_or(0.0, |tick| tick.price);
        let text = format!("{last:.2}");
        tags.push(Tag { palette_index, value: last, text: text.clone() });
        let (symbol, last) = (symbol.as_str().to_owned(), Some(text));
        legend.push(LegendEntry {
            symbol,
            palette_index,
            last,
            change_percent: Some(0.24),
            visible: true,
            focused: false,
        });
        let point = |sample: &Sample| Point { time_ns: sample.time_ns, value: sample.price };
        lines.push(Line { palette_index, runs: runs.iter().map(|run| run.iter().map(point).collect()).collect() });
    }
    let figures = ["1,000,000 ticks/s", "1,000,000 kept", "latency p50 4.0 ms p99 9.0 ms", "lost 0", "rejected 0"];
    Scene {
        theme: Theme::Dark,
        header: Header {
            badge: Badge { tone: Tone::Good, text: "LIVE".to_owned() },
            view_badge: None,
            channel: "stock_prices".to_owned(),
            legend,
            span: "60 s".to_owned(),
        },
        chart: Chart {
            lines,
            tags,
            ..Chart::empty(Viewport { time: span, value: ValueSpan::fit(lo, hi) }, AxisKind::Price, TimeZone::UTC)
        },
        grid: Vec::new(),
        footer: Footer { figures: figures.iter().map(|text| (Tone::Good, (*text).to_owned())).collect() },
        help: None,
        search: None,
        toast: None,
    }
}

pub fn full_span() -> TimeSpan {
    TimeSpan { start: START_NS, end: START_NS + SPAN_NS }.aligned(columns())
}

/// Returns the span moved by that many columns, as while the chart is live.
pub fn moved(span: TimeSpan, by: i64) -> TimeSpan {
    let by = by * (span.len_ns() / i64::from(columns()));
    TimeSpan { start: span.start + by, end: span.end + by }
}

pub fn hover(scene: &mut Scene, x: i32) {
    let viewport = scene.chart.viewport;
    let row = |entry: &LegendEntry| Readout {
        palette_index: entry.palette_index,
        symbol: entry.symbol.clone(),
        price: "168.12".to_owned(),
        change_percent: Some(0.2),
        point: Point { time_ns: viewport.time.start + i64::from(x - 16) * SPAN_NS / 1180, value: viewport.value.lo },
    };
    let rows = scene.header.legend.iter().map(row).collect();
    scene.chart.crosshair =
        Some(Crosshair { x, y: 300, time_ns: viewport.time.start, value: viewport.value.lo, rows, snapped: false });
}

/// Replaces the first line by `count` bars.
pub fn candles(mut scene: Scene, count: i64) -> Scene {
    let TimeSpan { start, end } = scene.chart.viewport.time;
    let length = (end - start) / count;
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let middle = f64::midpoint(scene.chart.viewport.value.lo, scene.chart.viewport.value.hi);
    let bar = |i: i64| {
        let (open, close) = (middle + rng.random_range(-9.0..9.0), middle + rng.random_range(-9.0..9.0));
        let (start_ns, volume) = (start + i * length, rng.random_range(1.0..9.0));
        let (high, low) = (open.max(close) + 2.0, open.min(close) - 2.0);
        Bar { start_ns, end_ns: start_ns + length, open, high, low, close, volume }
    };
    scene.chart.bars = Some(Bars { bars: (0..count).map(bar).collect(), ..Bars::default() });
    scene.chart.volume = true;
    scene.chart.lines.clear();
    scene
}

/// Distributes the scene's lines over `panes` panes.
pub fn grid(mut scene: Scene, panes: usize) -> Scene {
    let pane = |index: usize| {
        let line = scene.chart.lines[index % scene.chart.lines.len()].clone();
        let tags = scene.chart.tags.iter().filter(|tag| tag.palette_index == line.palette_index).cloned().collect();
        Chart { lines: vec![line], tags, ..scene.chart.clone() }
    };
    scene.grid = (0..panes).map(pane).collect();
    scene
}
