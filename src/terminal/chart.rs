//! What is drawn inside the plot: gaps, grid, lines or bars, crosshair.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::color::mixed;
use super::dots::Dots;
use super::frame::{Bars, Candle, Chart, Gap, Outlier};
use super::layout::{CellLayout, DOT_COLUMNS, DOT_ROWS};
use super::{Colors, Rgb};
use crate::chart::Transform;
use crate::terminal::canvas::{Sheet, width};

/// How much of its colour a gap has.
const GAP_TINT: f64 = 0.14;

/// How much of the accent a box zoom has.
const SELECTION_TINT: f64 = 0.25;

/// The transform from data to dots.
pub(super) fn transform(layout: &CellLayout, chart: &Chart) -> Transform {
    let (columns, rows) = layout.dots();
    let rect = crate::chart::Rect { left: 0, top: 0, right: columns as i32, bottom: rows as i32 };
    Transform { viewport: chart.viewport, rect }
}

/// The column of cells over which an instant lies, if it is on the screen.
pub(super) fn column_of(layout: &CellLayout, chart: &Chart, time_ns: i64) -> Option<u16> {
    let column = (transform(layout, chart).x(time_ns) / f64::from(DOT_COLUMNS)).floor();
    (column >= 0.0 && column < f64::from(layout.plot.width)).then(|| layout.plot.x + column as u16)
}

/// The row of cells in which a value lies, if it is on the screen.
pub(super) fn row_of(layout: &CellLayout, chart: &Chart, value: f64) -> Option<u16> {
    let row = (transform(layout, chart).y(value) / f64::from(DOT_ROWS)).floor();
    (row >= 0.0 && row < f64::from(layout.plot.height)).then(|| layout.plot.y + row as u16)
}

/// Draws the plot.
pub(super) fn draw(sheet: &mut Sheet<'_>, layout: &CellLayout, chart: &Chart) {
    grid(sheet, layout, chart);
    for gap in &chart.gaps {
        gap_band(sheet, layout, chart, gap);
    }
    selection(sheet, layout, chart);
    crosshair(sheet, layout, chart);
    match &chart.bars {
        Some(bars) => draw_bars(sheet, layout, chart, bars),
        None => lines(sheet, layout, chart),
    }
    for outlier in &chart.outliers {
        outside_or_in(sheet, layout, chart, outlier);
    }
    for mark in &chart.marks {
        let row = mark.value.map_or(Some(layout.plot.y), |value| row_of(layout, chart, value));
        if let Some((x, y)) = column_of(layout, chart, mark.time_ns).zip(row) {
            put(sheet, (x, y), '\u{25c6}', mark.color);
        }
    }
    if let Some(ruler) = &chart.ruler {
        for (time_ns, value) in [ruler.from, ruler.to] {
            if let Some((x, y)) = column_of(layout, chart, time_ns).zip(row_of(layout, chart, value)) {
                put(sheet, (x, y), '\u{253c}', ruler.message.color);
            }
        }
    }
}

/// A cross at an outlier, or an arrow at the edge that it lies beyond.
fn outside_or_in(sheet: &mut Sheet<'_>, layout: &CellLayout, chart: &Chart, outlier: &Outlier) {
    let Some(x) = column_of(layout, chart, outlier.time_ns) else { return };
    let value = chart.viewport.value;
    let bottom = (layout.plot.y + layout.plot.height).saturating_sub(1);
    let (y, sign) = match row_of(layout, chart, outlier.value) {
        Some(y) => (y, '\u{d7}'),
        None if outlier.value > value.hi => (layout.plot.y, '\u{25b2}'),
        None => (bottom, '\u{25bc}'),
    };
    put(sheet, (x, y), sign, outlier.color);
}

/// Sets a character; what is behind it stays.
fn put(sheet: &mut Sheet<'_>, at: (u16, u16), c: char, color: Rgb) {
    let color = sheet.colors.color(color);
    if let Some(cell) = sheet.cells.cell_mut(at) {
        cell.set_char(c).set_fg(color);
    }
}

/// Sets a character where nothing stands yet.
fn put_behind(sheet: &mut Sheet<'_>, at: (u16, u16), c: char, color: Rgb) {
    if sheet.cells.cell(at).is_some_and(|cell| cell.symbol() == " ") {
        put(sheet, at, c, color);
    }
}

fn grid(sheet: &mut Sheet<'_>, layout: &CellLayout, chart: &Chart) {
    if sheet.colors == Colors::Plain {
        return;
    }
    let grid = sheet.look.grid;
    for row in chart.value_ticks.iter().filter_map(|(value, _)| row_of(layout, chart, *value)) {
        for x in layout.plot.left()..layout.plot.right() {
            put_behind(sheet, (x, row), '\u{2500}', grid);
        }
    }
}

/// Columns of cells between two instants, as far as they are on the screen.
fn columns_between(layout: &CellLayout, chart: &Chart, (from, to): (i64, i64)) -> Option<(u16, u16)> {
    let transform = transform(layout, chart);
    let column = |time_ns: i64| {
        (transform.x(time_ns) / f64::from(DOT_COLUMNS)).clamp(0.0, f64::from(layout.plot.width)).round() as u16
    };
    let (left, right) = (layout.plot.x + column(from), layout.plot.x + column(to));
    (left < right).then_some((left, right))
}

fn gap_band(sheet: &mut Sheet<'_>, layout: &CellLayout, chart: &Chart, gap: &Gap) {
    let Some((left, right)) = columns_between(layout, chart, gap.span) else { return };
    let (look, colors) = (sheet.look, sheet.colors);
    let ground = mixed(look.ground, gap.color, GAP_TINT);
    for y in layout.plot.top()..layout.plot.bottom() {
        for x in left..right {
            match colors {
                // A tint as light as this is no colour of its own where there are only 256.
                Colors::Plain | Colors::Indexed => put(sheet, (x, y), '\u{2591}', mixed(look.ground, gap.color, 0.4)),
                Colors::True => {
                    if let Some(cell) = sheet.cells.cell_mut((x, y)) {
                        cell.set_bg(colors.color(ground));
                    }
                }
            }
        }
    }
    let columns = right - left;
    // The whole label, or else its first part: how long it was.
    let label = gap.label.as_str();
    let short = label.split(" \u{b7} ").next().unwrap_or_default();
    if let Some(label) = [label, short].into_iter().find(|label| width(label) <= columns) {
        let x = left + (columns - width(label)) / 2;
        let style = if colors == Colors::True { colors.style(gap.color, ground) } else { Style::new() };
        sheet.text(x, layout.plot.y, label, columns, style.fg(colors.color(gap.color)));
    }
}

fn selection(sheet: &mut Sheet<'_>, layout: &CellLayout, chart: &Chart) {
    let Some((from, to)) = chart.selection else { return };
    let cell = |at: f64, dots: u32, cells: u16| (at / f64::from(dots)).floor().clamp(0.0, f64::from(cells - 1)) as u16;
    let column = |x: f64| layout.plot.x + cell(x, DOT_COLUMNS, layout.plot.width);
    let row = |y: f64| layout.plot.y + cell(y, DOT_ROWS, layout.plot.height);
    let (left, right) = (column(from.0.min(to.0)), column(from.0.max(to.0)));
    let (top, bottom) = (row(from.1.min(to.1)), row(from.1.max(to.1)));
    let ground = mixed(sheet.look.ground, sheet.look.info, SELECTION_TINT);
    for y in top..=bottom {
        for x in left..=right {
            if sheet.colors == Colors::Plain {
                put_behind(sheet, (x, y), '\u{00b7}', ground);
            } else if let Some(cell) = sheet.cells.cell_mut((x, y)) {
                cell.set_bg(sheet.colors.color(ground));
            }
        }
    }
}

fn crosshair(sheet: &mut Sheet<'_>, layout: &CellLayout, chart: &Chart) {
    let Some(cross) = &chart.crosshair else { return };
    let dim = sheet.look.dim;
    let (x, y) = cell_of(layout, cross.at);
    for row in layout.plot.top()..layout.plot.bottom() {
        put(sheet, (x, row), '\u{2502}', dim);
    }
    for column in layout.plot.left()..layout.plot.right() {
        put(sheet, (column, y), if column == x { '\u{253c}' } else { '\u{2500}' }, dim);
    }
}

/// The cell of a place given in dots, kept inside the plot.
pub(super) fn cell_of(layout: &CellLayout, (x, y): (f64, f64)) -> (u16, u16) {
    let Rect { x: left, y: top, width, height } = layout.plot;
    let column = (x / f64::from(DOT_COLUMNS)).floor().clamp(0.0, f64::from(width - 1));
    let row = (y / f64::from(DOT_ROWS)).floor().clamp(0.0, f64::from(height - 1));
    (left + column as u16, top + row as u16)
}

fn lines(sheet: &mut Sheet<'_>, layout: &CellLayout, chart: &Chart) {
    let (columns, rows) = layout.cells();
    let mut dots = Dots::new(columns, rows);
    let transform = transform(layout, chart);
    let place = |(time_ns, value): (i64, f64)| (transform.x(time_ns), transform.y(value));
    for line in &chart.lines {
        for run in &line.runs {
            if let [alone] = run[..] {
                let (x, y) = place(alone);
                dots.set(x.floor() as i64, y.floor() as i64, line.color);
            }
            for pair in run.windows(2) {
                dots.line(place(pair[0]), place(pair[1]), line.color);
            }
        }
    }
    for row in 0..rows {
        for column in 0..columns {
            if let Some((c, color)) = dots.cell(column, row) {
                put(sheet, (layout.plot.x + column, layout.plot.y + row), c, color);
            }
        }
    }
}

fn draw_bars(sheet: &mut Sheet<'_>, layout: &CellLayout, chart: &Chart, bars: &Bars) {
    for candle in &bars.candles {
        let color = if candle.close >= candle.open { sheet.look.good } else { sheet.look.bad };
        let middle = candle.span.0 + (candle.span.1.saturating_sub(candle.span.0)) / 2;
        let Some(x) = column_of(layout, chart, middle) else { continue };
        bar(sheet, layout, chart, x, candle, bars.filled, color);
    }
}

/// One bar in half-cells: a wick from low to high, a body or two ticks on it.
fn bar(sheet: &mut Sheet<'_>, layout: &CellLayout, chart: &Chart, x: u16, candle: &Candle, filled: bool, color: Rgb) {
    let transform = transform(layout, chart);
    let halves = i64::from(layout.plot.height) * 2;
    let half = |value: f64| (transform.y(value) / f64::from(DOT_ROWS / 2)).floor().clamp(-1.0, halves as f64) as i64;
    let wick = (half(candle.high), half(candle.low));
    let body = (half(candle.open.max(candle.close)), half(candle.open.min(candle.close)));
    let covers = |(top, bottom): (i64, i64), at: i64| top <= at && at <= bottom;
    for row in 0..layout.plot.height {
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
        let is_on = |value: f64| !filled && half(value).div_euclid(2) == i64::from(row);
        let c = match (is_on(candle.open), is_on(candle.close)) {
            (true, true) => '\u{253c}',
            (true, false) => '\u{2524}',
            (false, true) => '\u{251c}',
            (false, false) => c,
        };
        put(sheet, (x, layout.plot.y + row), c, color);
    }
}
