//! Few symbols, many symbols, and grids of them.

use tickscope::chart::Transform;
use tickscope::chart::{
    Absence, Arrangement, AxisKind, Chart, Crosshair, Layout, LegendEntry, Line, MissingBand, Readout, Scale, Scene,
    Size, Tag, Theme, Title,
};

use super::compare::View;
use super::sample::{self, NOW, SYMBOLS, Trade, chart, entry, fitted, name, percent, points, scene, view, walk};

const WINDOW: Size = Size { width: 1280, height: 720 };

fn crowd(theme: Theme, count: usize) -> Scene {
    let walks: Vec<Vec<Trade>> =
        (0..count).map(|i| walk(i as u64 + 1, 200, 20.0 + (i % 17) as f64 * 9.0, 0.000_4)).collect();
    let lines: Vec<Line> = walks
        .iter()
        .enumerate()
        .map(|(palette_index, walk)| Line { palette_index, runs: vec![points(walk, AxisKind::Percent)] })
        .collect();
    let mut chart = chart(AxisKind::Percent, fitted(lines.iter().flat_map(|line| &line.runs[0])));
    let tag = |line: &Line| {
        let value = line.runs[0].last().unwrap().value;
        Tag { palette_index: line.palette_index, value, text: format!("{value:+.2}%").replace('-', "−") }
    };
    chart.tags = lines.iter().map(tag).collect();
    chart.lines = lines;
    let legend = walks
        .iter()
        .enumerate()
        .map(|(palette_index, walk)| entry(palette_index, &name(palette_index), walk))
        .collect();
    scene(theme, chart, legend)
}

pub fn symbols_2_light() -> View {
    view(sample::lines(Theme::Light, AxisKind::Percent, &[0, 1]))
}

pub fn symbols_200_dark() -> View {
    view(crowd(Theme::Dark, 200))
}

pub fn symbols_200_focus_light() -> View {
    let mut scene = crowd(Theme::Light, 200);
    scene.chart.focus = Some(77);
    scene.header.legend[77].focused = true;
    view(scene)
}

/// Chart of one symbol, as in a pane.
fn pane(palette_index: usize, symbol: &str, trades: &[Trade]) -> Chart {
    let run = points(trades, AxisKind::Price);
    let last = trades.last().unwrap().price;
    let mut chart = chart(AxisKind::Price, fitted(&run));
    chart.title = Some(Title {
        symbol: symbol.to_owned(),
        detail: String::new(),
        figures: vec![(String::new(), format!("{last:.2}"))],
        change_percent: Some(percent(trades)),
        palette_index: Some(palette_index),
    });
    chart.tags = vec![Tag { palette_index, value: last, text: format!("{last:.2}") }];
    chart.lines = vec![Line { palette_index, runs: vec![run] }];
    chart
}

/// A grid of `panes` panes, the real symbols first.
fn grid(theme: Theme, panes: usize, size: Size, scale: Scale) -> View {
    let made_up = |i: usize| (name(i), walk(i as u64, 500, 20.0 + (i % 17) as f64 * 9.0, 0.000_4));
    let real = SYMBOLS
        .iter()
        .enumerate()
        .map(|(palette_index, symbol)| ((*symbol).to_owned(), sample::trades(palette_index).to_vec()));
    let all = real.chain((SYMBOLS.len()..panes).map(made_up)).take(panes).enumerate();
    let (charts, legend): (Vec<Chart>, Vec<LegendEntry>) = all
        .map(|(palette_index, (symbol, trades))| {
            (pane(palette_index, &symbol, &trades), entry(palette_index, &symbol, &trades))
        })
        .unzip();
    let common = chart(AxisKind::Price, charts[0].viewport.value);
    let scene = Scene { grid: charts, ..scene(theme, common, legend) };
    View { scene, frame: Layout::with_arrangement(size, scale, Arrangement::Grid { panes }) }
}

fn focus(view: &mut View, pane: usize) {
    view.scene.grid[pane].focus = Some(pane);
    view.scene.header.legend[pane].focused = true;
}

/// A crosshair in all panes, with the mouse in one.
fn hover(view: &mut View, pane: usize) {
    let rect = view.frame.pane(pane).plot;
    let (x, y) = (rect.left + rect.width() * 2 / 5, rect.top + rect.height() / 2);
    let transform = Transform { viewport: view.scene.grid[pane].viewport, rect };
    let time_ns = transform.time_at(f64::from(x));
    for chart in &mut view.scene.grid {
        let line = &chart.lines[0];
        let point = *line.runs[0].iter().take_while(|point| point.time_ns <= time_ns).last().unwrap();
        let title = chart.title.as_ref().unwrap();
        let row = Readout {
            palette_index: line.palette_index,
            symbol: title.symbol.clone(),
            price: format!("{:.2}", point.value),
            change_percent: title.change_percent,
            point,
        };
        let value = transform.value_at(f64::from(y));
        chart.crosshair = Some(Crosshair { x, y, time_ns, value, rows: vec![row], snapped: false });
    }
}

pub fn grid_2_dark() -> View {
    let mut view = grid(Theme::Dark, 2, WINDOW, Scale::One);
    focus(&mut view, 0);
    view
}

pub fn grid_4_light() -> View {
    let mut view = grid(Theme::Light, 4, Size { width: 800, height: 500 }, Scale::One);
    focus(&mut view, 1);
    view
}

pub fn grid_9_crosshair_dark() -> View {
    let mut view = grid(Theme::Dark, 9, WINDOW, Scale::One);
    focus(&mut view, 4);
    hover(&mut view, 4);
    view
}

pub fn grid_30_dark() -> View {
    let mut view = grid(Theme::Dark, 30, WINDOW, Scale::One);
    let (absence, label) = (Absence::Missing, "gap 2 min");
    let gap = |start_ns, end_ns| MissingBand { start_ns, end_ns, absence, label: label.to_owned() };
    view.scene.chart.missing = vec![gap(NOW - 900_000_000_000, NOW - 780_000_000_000)];
    view
}

pub fn grid_180_light() -> View {
    let mut view = grid(Theme::Light, 180, WINDOW, Scale::One);
    focus(&mut view, 33);
    view
}

/// More panes than fit.
pub fn grid_narrow_dark() -> View {
    grid(Theme::Dark, 40, Size { width: 360, height: 240 }, Scale::One)
}

pub fn grid_scale_1_5_dark() -> View {
    let mut view = grid(Theme::Dark, 5, Size { width: 961, height: 600 }, Scale::OneAndHalf);
    focus(&mut view, 2);
    hover(&mut view, 0);
    view
}
