//! Lines, axes, crosshair.

use tickscope::chart::{
    Absence, Arrangement, AxisKind, Crosshair, Layout, Line, MissingBand, Point, Readout, Scale, Scene, Size, Theme,
};
use tickscope::chart::{Transform, ValueSpan};

use super::compare::View;
use super::sample::{self, MINUTE, SIZE, START, Trade, chart, entry, fitted, points, scene, sized, view, walk};

/// Removes two minutes from all lines.
fn with_gap(scene: &mut Scene) {
    let (start_ns, end_ns) = (START + 21 * MINUTE, START + 23 * MINUTE);
    for line in &mut scene.chart.lines {
        let run = line.runs.pop().unwrap();
        let (before, rest): (Vec<Point>, Vec<Point>) = run.into_iter().partition(|point| point.time_ns < start_ns);
        line.runs = vec![before, rest.into_iter().filter(|point| point.time_ns >= end_ns).collect()];
    }
    scene.chart.missing =
        vec![MissingBand { start_ns, end_ns, absence: Absence::Missing, label: "gap 2 min · 1,204 lost".to_owned() }];
}

/// A crosshair over `view` at a relative position of its plot, with all lines in the read-out.
pub fn hover(view: &mut View, (across, down): (f64, f64)) {
    let rect = view.frame.plot;
    let (x, y) =
        (rect.left + (f64::from(rect.width()) * across) as i32, rect.top + (f64::from(rect.height()) * down) as i32);
    let chart = &mut view.scene.chart;
    let transform = Transform { viewport: chart.viewport, rect };
    let (time_ns, value) = (transform.time_at(f64::from(x)), transform.value_at(f64::from(y)));
    let row = |line: &Line| {
        let point = *line.runs.iter().flatten().take_while(|point| point.time_ns <= time_ns).last()?;
        let entry = view.scene.header.legend.iter().find(|entry| entry.palette_index == line.palette_index)?;
        let price = entry.last.clone()?;
        Some(Readout {
            palette_index: line.palette_index,
            symbol: entry.symbol.clone(),
            price,
            change_percent: Some(0.31),
            point,
        })
    };
    let rows = chart.lines.iter().filter_map(row).collect();
    chart.crosshair = Some(Crosshair { x, y, time_ns, value, rows, snapped: false });
}

pub fn lines_dark() -> View {
    let mut scene = sample::lines(Theme::Dark, AxisKind::Percent, &[0, 1, 2, 3]);
    with_gap(&mut scene);
    let mut view = sized(scene, Size { width: 1280, height: 720 });
    hover(&mut view, (0.68, 0.47));
    view
}

pub fn lines_light() -> View {
    view(sample::lines(Theme::Light, AxisKind::Price, &[1]))
}

pub fn percent_light() -> View {
    view(sample::lines(Theme::Light, AxisKind::Percent, &[0, 1, 2, 3]))
}

pub fn log_narrow_dark() -> View {
    let mut view = view(sample::lines(Theme::Dark, AxisKind::Log, &[1]));
    hover(&mut view, (0.4, 0.3));
    view
}

pub fn log_wide_light() -> View {
    let walks: Vec<Vec<Trade>> =
        [(0.4, 5), (12.0, 6), (3_000.0, 9)].map(|(from, seed)| walk(seed, 900, from, 0.02)).to_vec();
    let lines: Vec<Vec<Point>> = walks.iter().map(|walk| points(walk, AxisKind::Log)).collect();
    let mut chart = chart(AxisKind::Log, fitted(lines.iter().flatten()));
    chart.lines =
        lines.into_iter().enumerate().map(|(palette_index, run)| Line { palette_index, runs: vec![run] }).collect();
    let names = ["PENNY", "MID", "LARGE"];
    view(scene(
        Theme::Light,
        chart,
        (0..3).map(|palette_index| entry(palette_index, names[palette_index], &walks[palette_index])).collect(),
    ))
}

pub fn gap_light() -> View {
    let mut scene = sample::lines(Theme::Light, AxisKind::Percent, &[0, 3]);
    with_gap(&mut scene);
    view(scene)
}

/// A missing range, and beside it a range that is stored but not loaded.
pub fn unread_dark() -> View {
    let mut scene = sample::lines(Theme::Dark, AxisKind::Percent, &[0, 3]);
    with_gap(&mut scene);
    let first = scene.chart.lines.iter().flat_map(|line| line.runs.iter().flatten()).map(|point| point.time_ns).min();
    let (start_ns, end_ns) = (first.unwrap(), START + 15 * MINUTE);
    for line in &mut scene.chart.lines {
        line.runs[0].retain(|point| point.time_ns >= end_ns);
    }
    let label = "reading older ticks".to_owned();
    scene.chart.missing.push(MissingBand { start_ns, end_ns, absence: Absence::Unread, label });
    view(scene)
}

pub fn focus_dark() -> View {
    let mut scene = sample::lines(Theme::Dark, AxisKind::Percent, &[0, 1, 2, 3]);
    scene.chart.focus = Some(1);
    scene.header.legend[1].focused = true;
    scene.header.legend[2].visible = false;
    scene.chart.lines.retain(|line| line.palette_index != 2);
    scene.chart.tags.retain(|tag| tag.palette_index != 2);
    view(scene)
}

pub fn hover_shapes_light() -> View {
    let walks: Vec<Vec<Trade>> = (0..12_u32)
        .map(|palette_index| walk(palette_index.into(), 300, 100.0 + f64::from(palette_index) * 4.0, 0.000_5))
        .collect();
    let mut chart = chart(AxisKind::Price, ValueSpan { lo: 96.0, hi: 148.0 });
    chart.lines = walks
        .iter()
        .enumerate()
        .map(|(palette_index, walk)| Line { palette_index, runs: vec![points(walk, AxisKind::Price)] })
        .collect();
    let legend = walks
        .iter()
        .enumerate()
        .map(|(palette_index, walk)| entry(palette_index, &sample::name(palette_index), walk))
        .collect();
    let mut view = view(scene(Theme::Light, chart, legend));
    hover(&mut view, (0.5, 0.12));
    view
}

pub fn crosshair_snapped_dark() -> View {
    let mut scene = sample::lines(Theme::Dark, AxisKind::Price, &[1]);
    scene.chart.viewport.time.start = START + 29 * MINUTE;
    scene.chart.viewport.time.end = START + 31 * MINUTE;
    scene.chart.viewport.value = ValueSpan { lo: 182.85, hi: 183.25 };
    let mut view = view(scene);
    hover(&mut view, (0.45, 0.4));
    let cross = view.scene.chart.crosshair.as_mut().unwrap();
    (cross.snapped, cross.time_ns, cross.value) = (true, cross.rows[0].point.time_ns, cross.rows[0].point.value);
    view
}

pub fn narrow_dark() -> View {
    let mut view =
        sized(sample::lines(Theme::Dark, AxisKind::Percent, &[0, 1, 2, 3]), Size { width: 360, height: 240 });
    hover(&mut view, (0.3, 0.3));
    view
}

pub fn scale_2_dark() -> View {
    let mut scene = sample::lines(Theme::Dark, AxisKind::Percent, &[0, 1, 3]);
    with_gap(&mut scene);
    let size = Size { width: 2 * SIZE.width - 1, height: 2 * SIZE.height - 1 };
    let mut view = View { scene, frame: Layout::with_arrangement(size, Scale::Two, Arrangement::Single) };
    hover(&mut view, (0.6, 0.3));
    view
}
