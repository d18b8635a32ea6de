//! Tools of the user over the chart: search, ruler, selection, help.

use tickscope::chart::{
    AxisKind, Badge, BarStyle, LegendEntry, Mark, Outlier, Point, Ruler, Search, Selection, Size, Theme, Tone,
};

use super::bars::candles;
use super::compare::View;
use super::sample::{self, MINUTE, SECOND, SIZE, START, entry, sized, trades, view, walk};

/// Whole seconds since the start of the morning.
fn at_second(seconds: i64) -> i64 {
    START + seconds * SECOND
}

fn measured(theme: Theme, from: Point, to: Point, lines: &[&str]) -> View {
    let mut scene = sample::lines(theme, AxisKind::Price, &[1]);
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    scene.chart.ruler = Some(Ruler { from, to, lines, rising: to.value > from.value });
    view(scene)
}

pub fn ruler_dark() -> View {
    let (from, to) = (at_second(1_200), at_second(1_890));
    measured(
        Theme::Dark,
        Point { time_ns: from, value: 182.70 },
        Point { time_ns: to, value: 183.28 },
        &["11 min 30 s", "+0.58", "+0.32%"],
    )
}

pub fn ruler_falling_light() -> View {
    let (from, to) = (at_second(2_300), at_second(1_930));
    measured(
        Theme::Light,
        Point { time_ns: from, value: 183.25 },
        Point { time_ns: to, value: 182.40 },
        &["−6 min 10 s", "−0.85", "−0.46%"],
    )
}

fn selecting(theme: Theme) -> View {
    let mut scene = sample::lines(theme, AxisKind::Percent, &[0, 1, 3]);
    scene.chart.selection = Some(Selection { from: (190.5, 110.0), to: (371.0, 262.0) });
    view(scene)
}

pub fn selection_dark() -> View {
    selecting(Theme::Dark)
}

pub fn selection_light() -> View {
    selecting(Theme::Light)
}

fn marked(theme: Theme) -> View {
    let mut scene = sample::lines(theme, AxisKind::Percent, &[0, 1]);
    let mark = |second: i64, value: Option<f64>, palette_index: usize, text: &str| Mark {
        time_ns: at_second(second),
        value,
        palette_index,
        text: text.to_owned(),
    };
    scene.chart.marks = vec![
        mark(240, Some(0.05), 0, "SPY > 167.70"),
        mark(1_000, None, 1, "IBM stale 10s"),
        mark(1_810, Some(0.30), 1, "IBM moves 0.2% in 1m"),
        mark(1_812, Some(0.301), 1, "IBM > 183"),
        mark(1_815, Some(0.302), 1, "IBM > 183.1"),
        mark(2_690, Some(0.25), 0, "SPY < 168"),
        mark(-500, Some(0.25), 0, "outside"),
    ];
    view(scene)
}

pub fn marks_dark() -> View {
    marked(Theme::Dark)
}

pub fn marks_light() -> View {
    marked(Theme::Light)
}

/// Crosses at outliers, and arrows at the edges beyond which some lie.
fn set_apart(theme: Theme) -> View {
    let mut scene = sample::lines(theme, AxisKind::Percent, &[0, 1]);
    let outlier =
        |second: i64, value: f64, palette_index: usize| Outlier { time_ns: at_second(second), value, palette_index };
    scene.chart.outliers = vec![
        outlier(600, 0.4, 0),
        outlier(900, 900.0, 0),
        outlier(1_500, -99.0, 1),
        outlier(1_800, -0.1, 1),
        outlier(2_400, f64::NEG_INFINITY, 0),
        outlier(-500, 0.25, 0),
    ];
    view(scene)
}

pub fn outliers_dark() -> View {
    set_apart(Theme::Dark)
}

pub fn outliers_light() -> View {
    set_apart(Theme::Light)
}

fn found(symbols: &[&str]) -> Vec<LegendEntry> {
    let made_up = |(i, symbol): (usize, &&str)| entry(i * 3, symbol, &walk(i as u64 + 20, 50, 90.0, 0.004));
    let mut found: Vec<LegendEntry> = symbols.iter().enumerate().map(made_up).collect();
    if let Some(hidden) = found.get_mut(2) {
        (hidden.visible, hidden.last, hidden.change_percent) = (false, None, None);
    }
    found
}

pub fn search_dark() -> View {
    let mut scene = candles(Theme::Dark, BarStyle::Candles, MINUTE, "1 min");
    scene.chart.volume = false;
    let found = found(&["IBM", "IBKR", "IBN", "IBTX", "AIB", "FIBK"]);
    scene.search = Some(Search { query: "ib".to_owned(), matches: found, selected: 1, more: 14 });
    view(scene)
}

pub fn search_nothing_light() -> View {
    let mut scene = sample::lines(Theme::Light, AxisKind::Percent, &[0, 1]);
    scene.search = Some(Search { query: "QQQX".to_owned(), ..Search::default() });
    view(scene)
}

pub fn search_narrow_dark() -> View {
    let mut scene = sample::lines(Theme::Dark, AxisKind::Percent, &[0, 1]);
    let long = "A_LONG_SYMBOL_THAT_NO_EXCHANGE_WOULD_EVER_GIVE_TO_ANY_PAPER";
    let found = found(&[long, "IBKR", "IBN", "IBTX", "AIB", "FIBK", "IBB", "IBA"]);
    scene.search = Some(Search { query: String::new(), matches: found, selected: 7, more: 192 });
    sized(scene, Size { width: 300, height: 220 })
}

pub fn help_dark() -> View {
    let mut scene = sample::lines(Theme::Dark, AxisKind::Percent, &[0, 1]);
    let rows = [
        ("wheel", "zoom in time at the mouse"),
        ("Shift wheel", "zoom in value"),
        ("drag", "move"),
        ("space", "pause and go on"),
        ("End", "back to live"),
        ("v", "lines, candles, bars, grid"),
        ("%", "price, percent, logarithm"),
        ("/", "search a symbol"),
        ("r", "measure"),
        ("s", "save a picture"),
        ("?", "close this"),
    ];
    scene.help = Some(rows.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect());
    view(scene)
}

pub fn toast_light() -> View {
    let mut scene = sample::lines(Theme::Light, AxisKind::Percent, &[0, 1]);
    scene.toast = Some(Badge { tone: Tone::Good, text: "saved tickscope-20131007-104500.png".to_owned() });
    view(scene)
}

pub fn view_badge_light() -> View {
    let mut scene = sample::lines(Theme::Light, AxisKind::Price, &[1]);
    scene.header.badge = Badge { tone: Tone::Warn, text: "STALE 14 s".to_owned() };
    scene.header.view_badge = Some(Badge { tone: Tone::Info, text: "PAUSED".to_owned() });
    scene.header.legend = vec![entry(1, "IBM", trades(1))];
    sized(scene, SIZE)
}
