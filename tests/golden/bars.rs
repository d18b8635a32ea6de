//! Candlesticks, OHLC bars, volume.

use tickscope::chart::ValueSpan;
use tickscope::chart::{
    Arrangement, AxisKind, Bar, BarStyle, Bars, Layout, Line, Point, Scale, Scene, Size, Tag, Theme, Title,
};

use super::compare::View;
use super::sample::{MINUTE, SECOND, SIZE, START, bars, chart, legend, scene, trades};

/// IBM's bars of `length_ns` with volume.
pub fn candles(theme: Theme, style: BarStyle, length_ns: i64, detail: &str) -> Scene {
    let bars = bars(trades(1), length_ns);
    let (lo, hi) = bars.iter().fold((f64::MAX, f64::MIN), |(lo, hi), bar| (lo.min(bar.low), hi.max(bar.high)));
    let last = *bars.last().unwrap();
    let mut chart = chart(AxisKind::Price, ValueSpan::fit(lo, hi));
    chart.title = Some(title(&last, detail));
    chart.tags = vec![Tag { palette_index: 1, value: last.close, text: format!("{:.2}", last.close) }];
    chart.bars = Some(Bars { style, bars });
    chart.volume = true;
    let mut legend = legend(4);
    legend[1].focused = true;
    scene(theme, chart, legend)
}

fn title(bar: &Bar, detail: &str) -> Title {
    let figure = |name: &str, value: f64| (name.to_owned(), format!("{value:.2}"));
    let mut figures = vec![figure("O", bar.open), figure("H", bar.high), figure("L", bar.low), figure("C", bar.close)];
    figures.push(("V".to_owned(), format!("{:.0}", bar.volume)));
    Title {
        symbol: "IBM".to_owned(),
        detail: detail.to_owned(),
        figures,
        change_percent: Some((bar.close / bar.open - 1.0) * 100.0),
        palette_index: None,
    }
}

fn with_volume(scene: Scene, size: Size, scale: Scale) -> View {
    View { scene, frame: Layout::with_arrangement(size, scale, Arrangement::WithVolume) }
}

pub fn candles_light() -> View {
    let scene = candles(Theme::Light, BarStyle::Candles, MINUTE, "1 min");
    with_volume(scene, Size { width: 1280, height: 720 }, Scale::One)
}

pub fn candles_dark() -> View {
    with_volume(candles(Theme::Dark, BarStyle::Candles, MINUTE, "1 min"), SIZE, Scale::One)
}

pub fn ohlc_light() -> View {
    with_volume(candles(Theme::Light, BarStyle::Ohlc, 2 * MINUTE, "2 min"), SIZE, Scale::One)
}

/// Bars narrower than three pixels.
pub fn sticks_dark() -> View {
    with_volume(candles(Theme::Dark, BarStyle::Candles, 10 * SECOND, "10 s"), SIZE, Scale::One)
}

/// Bars with equal open and close, one of them of a single price.
pub fn doji_dark() -> View {
    let bar = |i: i64, open: f64, high: f64, low: f64, close: f64| Bar {
        start_ns: START + i * 4 * MINUTE,
        end_ns: START + (i + 1) * 4 * MINUTE,
        open,
        high,
        low,
        close,
        volume: 0.0,
    };
    let bars = vec![
        bar(0, 100.0, 101.0, 99.0, 100.5),
        bar(1, 100.5, 101.2, 99.8, 100.5),
        bar(2, 100.6, 100.6, 100.6, 100.6),
        bar(3, 100.6, 100.6, 99.4, 99.6),
        bar(4, 99.6, 99.6, 98.0, 98.0),
        bar(6, 98.2, 104.0, 97.0, 98.4),
        bar(7, 98.4, 99.0, 98.4, 99.0),
    ];
    let mut chart = chart(AxisKind::Price, ValueSpan { lo: 97.5, hi: 102.0 });
    chart.title = Some(title(&bars[6], "4 min"));
    chart.bars = Some(Bars { style: BarStyle::Candles, bars });
    View { scene: scene(Theme::Dark, chart, legend(2)), frame: Layout::new(SIZE) }
}

/// A line beside bars, as for an indicator.
pub fn bars_and_line_light() -> View {
    let mut scene = candles(Theme::Light, BarStyle::Candles, MINUTE, "1 min");
    let bars = &scene.chart.bars.as_ref().unwrap().bars;
    let mean =
        |ten: &[Bar]| Point { time_ns: ten[9].end_ns, value: ten.iter().map(|bar| bar.close).sum::<f64>() / 10.0 };
    let run = bars.windows(10).map(mean).collect();
    scene.chart.lines = vec![Line { palette_index: 6, runs: vec![run] }];
    with_volume(scene, SIZE, Scale::One)
}

pub fn scale_1_5_light() -> View {
    let size = Size { width: 959, height: 601 };
    with_volume(candles(Theme::Light, BarStyle::Candles, MINUTE, "1 min"), size, Scale::OneAndHalf)
}
