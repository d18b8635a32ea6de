//! Contents of the plot: grid, bands of missing data, lines or bars, marks, crosshair.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::ColorDepth;
use super::braille::Dots;
use super::canvas::{Canvas, width};
use super::color::blend;
use super::layout::{CellLayout, DOT_COLUMNS, DOT_ROWS};
use crate::chart::{
    Bar, BarStyle, Bars, Chart, Crosshair, MissingBand, Outlier, Selection, Transform, time_ticks, value_ticks,
};

/// Share of its colour in the tint of a band of missing data.
const MISSING_TINT: f64 = 0.14;

/// Share of the accent colour in the tint of a box zoom.
const SELECTION_TINT: f64 = 0.25;

/// A chart laid over the cells of the plot.
pub(super) struct Plot<'a> {
    pub(super) layout: &'a CellLayout,
    pub(super) chart: &'a Chart,
    pub(super) value_ticks: Vec<(f64, String)>,
    pub(super) time_ticks: Vec<(i64, String)>,
    /// Mapping of data to dots of the plot.
    transform: Transform,
}

impl<'a> Plot<'a> {
    pub(super) fn new(layout: &'a CellLayout, chart: &'a Chart) -> Self {
        let (columns, rows) = layout.dots();
        let rect = crate::chart::Rect { left: 0, top: 0, right: columns as i32, bottom: rows as i32 };
        let viewport = chart.viewport;
        let height_px = value_axis_px(layout.plot.height);
        Self {
            layout,
            chart,
            value_ticks: value_ticks(viewport.value, height_px, chart.axis, chart.decimals),
            time_ticks: time_ticks(viewport.time, &chart.zone, f64::from(layout.plot.width), 1.0),
            transform: Transform { viewport, rect },
        }
    }

    /// Column of the cell that shows an instant; `None` if it is not visible.
    pub(super) fn column_of(&self, time_ns: i64) -> Option<u16> {
        let column = (self.transform.x(time_ns) / f64::from(DOT_COLUMNS)).floor();
        let area = self.layout.plot;
        (column >= 0.0 && column < f64::from(area.width)).then(|| area.x + column as u16)
    }

    /// Row of the cell that shows a value; `None` if it is not visible.
    pub(super) fn row_of(&self, value: f64) -> Option<u16> {
        let row = (self.transform.y(value) / f64::from(DOT_ROWS)).floor();
        let area = self.layout.plot;
        (row >= 0.0 && row < f64::from(area.height)).then(|| area.y + row as u16)
    }

    /// Cell of the crosshair.
    pub(super) fn cell_at(&self, crosshair: &Crosshair) -> (u16, u16) {
        self.nearest_cell(f64::from(crosshair.x), f64::from(crosshair.y))
    }

    /// Cell of a place in dots; places outside the plot have the nearest cell.
    fn nearest_cell(&self, x: f64, y: f64) -> (u16, u16) {
        let area = self.layout.plot;
        let cell = |at: f64, dots: u32, cells: u16| (at / f64::from(dots)).floor().clamp(0.0, f64::from(cells - 1));
        (area.x + cell(x, DOT_COLUMNS, area.width) as u16, area.y + cell(y, DOT_ROWS, area.height) as u16)
    }

    /// Columns of cells between two instants, as far as they are visible.
    fn columns_between(&self, from_ns: i64, until_ns: i64) -> Option<(u16, u16)> {
        let area = self.layout.plot;
        let column = |time_ns: i64| {
            (self.transform.x(time_ns) / f64::from(DOT_COLUMNS)).clamp(0.0, f64::from(area.width)).round() as u16
        };
        let (left, right) = (area.x + column(from_ns), area.x + column(until_ns));
        (left < right).then_some((left, right))
    }
}

/// Height in pixels for which [`value_ticks`] places a label every three cells or more: it keeps labels 32 px apart on
/// axes lower than 420 px and 44 px apart on higher ones.
fn value_axis_px(rows: u16) -> f64 {
    let (low_px, high_px) = (f64::from(rows) * 32.0 / 3.0, f64::from(rows) * 44.0 / 3.0);
    if low_px < 420.0 { low_px } else { high_px }
}

/// Draws the plot.
pub(super) fn draw(canvas: &mut Canvas<'_>, plot: &Plot<'_>) {
    let (chart, colors) = (plot.chart, canvas.colors);
    draw_grid(canvas, plot);
    for band in &chart.missing {
        draw_missing(canvas, plot, band);
    }
    if let Some(selection) = chart.selection {
        draw_selection(canvas, plot, selection);
    }
    if let Some(crosshair) = &chart.crosshair {
        draw_crosshair(canvas, plot, crosshair);
    }
    match &chart.bars {
        Some(bars) => draw_bars(canvas, plot, bars),
        None => draw_lines(canvas, plot),
    }
    for outlier in &chart.outliers {
        draw_outlier(canvas, plot, outlier);
    }
    for mark in &chart.marks {
        let row = mark.value.map_or(Some(plot.layout.plot.y), |value| plot.row_of(value));
        if let Some(at) = plot.column_of(mark.time_ns).zip(row) {
            canvas.put(at, '\u{25c6}', colors.palette_color(mark.palette_index));
        }
    }
    if let Some(ruler) = &chart.ruler {
        let color = if ruler.rising { colors.rising } else { colors.falling };
        for end in [ruler.from, ruler.to] {
            if let Some(at) = plot.column_of(end.time_ns).zip(plot.row_of(end.value)) {
                canvas.put(at, '\u{253c}', color);
            }
        }
    }
}

/// A cross at an outlier, or an arrow at the edge beyond which it lies.
fn draw_outlier(canvas: &mut Canvas<'_>, plot: &Plot<'_>, outlier: &Outlier) {
    let Some(x) = plot.column_of(outlier.time_ns) else { return };
    let area = plot.layout.plot;
    let (y, sign) = match plot.row_of(outlier.value) {
        Some(y) => (y, '\u{d7}'),
        None if outlier.value > plot.chart.viewport.value.hi => (area.y, '\u{25b2}'),
        None => (area.bottom().saturating_sub(1), '\u{25bc}'),
    };
    canvas.put((x, y), sign, canvas.colors.palette_color(outlier.palette_index));
}

fn draw_grid(canvas: &mut Canvas<'_>, plot: &Plot<'_>) {
    if canvas.depth == ColorDepth::Plain {
        return;
    }
    let area = plot.layout.plot;
    for row in plot.value_ticks.iter().filter_map(|(value, _)| plot.row_of(*value)) {
        for x in area.left()..area.right() {
            canvas.put_behind((x, row), '\u{2500}', canvas.colors.grid);
        }
    }
}

fn draw_missing(canvas: &mut Canvas<'_>, plot: &Plot<'_>, band: &MissingBand) {
    let Some((left, right)) = plot.columns_between(band.start_ns, band.end_ns) else { return };
    let (colors, depth, area) = (canvas.colors, canvas.depth, plot.layout.plot);
    let color = band.absence.color(colors);
    let tint = blend(colors.background, color, MISSING_TINT);
    // The nearest of 256 colours to so light a tint may be the background itself.
    let is_tinted = depth == ColorDepth::TrueColor;
    for at in (Rect { x: left, width: right - left, ..area }).positions() {
        if is_tinted {
            canvas.tint(at, tint);
        } else {
            canvas.put(at, '\u{2591}', blend(colors.background, color, 0.4));
        }
    }
    let columns = right - left;
    // The whole label, or else its first part, the duration.
    let label = band.label.as_str();
    let short = label.split(" \u{b7} ").next().unwrap_or_default();
    if let Some(label) = [label, short].into_iter().find(|label| width(label) <= columns) {
        let x = left + (columns - width(label)) / 2;
        let style = if is_tinted { depth.style(color, tint) } else { Style::new().fg(depth.color(color)) };
        canvas.text(x, area.y, label, columns, style);
    }
}

fn draw_selection(canvas: &mut Canvas<'_>, plot: &Plot<'_>, Selection { from, to }: Selection) {
    let (left, top) = plot.nearest_cell(from.0.min(to.0), from.1.min(to.1));
    let (right, bottom) = plot.nearest_cell(from.0.max(to.0), from.1.max(to.1));
    let tint = blend(canvas.colors.background, canvas.colors.info, SELECTION_TINT);
    for y in top..=bottom {
        for x in left..=right {
            if canvas.depth == ColorDepth::Plain {
                canvas.put_behind((x, y), '\u{00b7}', tint);
            } else {
                canvas.tint((x, y), tint);
            }
        }
    }
}

fn draw_crosshair(canvas: &mut Canvas<'_>, plot: &Plot<'_>, crosshair: &Crosshair) {
    let (area, dim) = (plot.layout.plot, canvas.colors.dim);
    let (x, y) = plot.cell_at(crosshair);
    for row in area.top()..area.bottom() {
        canvas.put((x, row), '\u{2502}', dim);
    }
    for column in area.left()..area.right() {
        canvas.put((column, y), if column == x { '\u{253c}' } else { '\u{2500}' }, dim);
    }
}

fn draw_lines(canvas: &mut Canvas<'_>, plot: &Plot<'_>) {
    let (area, chart) = (plot.layout.plot, plot.chart);
    let mut dots = Dots::new(area.width, area.height);
    let place = |point: crate::chart::Point| (plot.transform.x(point.time_ns), plot.transform.y(point.value));
    // The focused line is drawn last, because a cell has the colour of its last dot.
    let (focused, others): (Vec<_>, Vec<_>) =
        chart.lines.iter().partition(|line| Some(line.palette_index) == chart.focus);
    for line in others.into_iter().chain(focused) {
        let color = canvas.colors.palette_color(line.palette_index);
        for run in &line.runs {
            if let [alone] = run[..] {
                let (x, y) = place(alone);
                dots.set(x.floor() as i64, y.floor() as i64, color);
            }
            for pair in run.windows(2) {
                dots.line(place(pair[0]), place(pair[1]), color);
            }
        }
    }
    for at in area.positions() {
        if let Some((c, color)) = dots.cell(at.x - area.x, at.y - area.y) {
            canvas.put(at, c, color);
        }
    }
}

fn draw_bars(canvas: &mut Canvas<'_>, plot: &Plot<'_>, bars: &Bars) {
    for bar in &bars.bars {
        let middle_ns = bar.start_ns + (bar.end_ns.saturating_sub(bar.start_ns)) / 2;
        if let Some(x) = plot.column_of(middle_ns) {
            draw_bar(canvas, plot, x, bar, bars.style);
        }
    }
}

/// One bar in half-cells: a wick from low to high, with a body or with ticks for open and close.
fn draw_bar(canvas: &mut Canvas<'_>, plot: &Plot<'_>, x: u16, bar: &Bar, style: BarStyle) {
    let color = if bar.close >= bar.open { canvas.colors.rising } else { canvas.colors.falling };
    let (area, filled) = (plot.layout.plot, style == BarStyle::Candles);
    let halves = f64::from(area.height) * 2.0;
    let half = |value: f64| (plot.transform.y(value) / f64::from(DOT_ROWS / 2)).floor().clamp(-1.0, halves) as i64;
    let wick = (half(bar.high), half(bar.low));
    let body = (half(bar.open.max(bar.close)), half(bar.open.min(bar.close)));
    let covers = |(top, bottom): (i64, i64), at: i64| top <= at && at <= bottom;
    for row in 0..area.height {
        let upper = i64::from(row) * 2;
        let both = |range| (covers(range, upper), covers(range, upper + 1));
        let c = match (if filled { both(body) } else { (false, false) }, both(wick)) {
            ((true, true), _) => '\u{2588}',
            ((true, false), _) => '\u{2580}',
            ((false, true), _) => '\u{2584}',
            (_, (true, true)) => '\u{2502}',
            (_, (true, false)) => '\u{2575}',
            (_, (false, true)) => '\u{2577}',
            _ => continue,
        };
        let has_tick = |value: f64| !filled && half(value).div_euclid(2) == i64::from(row);
        let c = match (has_tick(bar.open), has_tick(bar.close)) {
            (true, true) => '\u{253c}',
            (true, false) => '\u{2524}',
            (false, true) => '\u{251c}',
            (false, false) => c,
        };
        canvas.put((x, area.y + row), c, color);
    }
}
