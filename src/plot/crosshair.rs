//! Crosshair, its read-out, and the labels of missing-data bands.

use plotters::style::text_anchor::HPos;

use super::axis_labels::under_mouse;
use super::font::Type;
use super::painter::{Area, LayerPainter, Paint};
use super::{DrawResult, shapes};
use crate::chart::{Chart, Crosshair, Layout, MissingBand, Readout, percent_text};

const SYMBOL: Type = Type::words(12.5).bold();
const FIGURE: Type = Type::figures(12.0);
const MISSING_LABEL: Type = Type::words(12.5);

const ROW_PX: f64 = 19.0;
const PADDING_PX: f64 = 10.0;
const SHAPE_PX: f64 = 10.0;
/// Distance between two rows of band labels.
const LABEL_ROW_PX: f64 = 22.0;
const COLUMN_GAP_PX: f64 = 12.0;
/// Distance from the cursor to the read-out.
const AWAY_PX: f64 = 14.0;
const SYMBOL_PX_MAX: f64 = 140.0;
/// Maximum number of rows of the read-out: more would hide the chart.
const ROWS_MAX: usize = 16;

/// Draws labels at the top of missing-data bands, widest band first, on a further row if the first is taken. A label
/// that would cover another text is left out.
pub(super) fn missing_labels(
    painter: &LayerPainter<'_>,
    chart: &Chart,
    common: &[MissingBand],
    layout: &Layout,
    occupied: &mut Vec<Area>,
) -> DrawResult {
    let plot = Area::from(layout.plot);
    let column = |time_ns: i64| plot.x_of(chart.viewport.time, time_ns);
    let own = chart.missing.iter().filter(|band| !common.contains(band));
    let mut bands: Vec<(f64, f64, &MissingBand)> = common
        .iter()
        .chain(own)
        .map(|band| (column(band.start_ns).max(plot.left), column(band.end_ns).min(plot.right), band))
        .filter(|(left, right, band)| left < right && !band.label.is_empty())
        .collect();
    bands.sort_by(|a, b| (b.1 - b.0).total_cmp(&(a.1 - a.0)));
    let rows = occupied.len() + 1;
    for (left, right, band) in bands {
        let width = painter.width(&band.label, MISSING_LABEL) + 12.0;
        if width > plot.width() {
            continue;
        }
        let place = |row: usize| {
            let top = plot.top + 4.0 + row as f64 * LABEL_ROW_PX;
            Area::sized(f64::midpoint(left, right) - width / 2.0, top, width, 18.0).moved_into(&plot)
        };
        let free = |area: &Area| !occupied.iter().any(|other| other.overlaps(area));
        let fits = |row: &usize| plot.height() >= 24.0 + *row as f64 * LABEL_ROW_PX;
        let Some(area) = (0..rows).filter(fits).map(place).find(free) else { continue };
        painter.rounded(area, 3.0, Paint(painter.colors.background, 0.72))?;
        let color = band.absence.color(painter.colors);
        painter.text(&band.label, MISSING_LABEL, (area.left + 6.0, area.middle()), HPos::Left, color)?;
        occupied.push(area);
    }
    Ok(())
}

/// Draws the crosshair of one plot of `whole`. In a grid all panes show the instant and their symbol's value.
pub(super) fn draw(painter: &LayerPainter<'_>, chart: &Chart, whole: &Layout, index: usize) -> DrawResult {
    let Some(crosshair) = &chart.crosshair else { return Ok(()) };
    let layout = whole.pane(index);
    let (plot, viewport) = (Area::from(layout.plot), chart.viewport);
    if plot.width() <= 0.0 || plot.height() <= 0.0 {
        return Ok(());
    }
    let column = |time_ns: i64| plot.x_of(viewport.time, time_ns);
    let row = |value: f64| plot.y_of(viewport.value, value);
    let (here, half) = (under_mouse(crosshair, &layout), 0.5 / painter.scale.factor());
    if !here && !whole.is_grid() {
        return Ok(());
    }
    let pixel = |px: f64| (px * painter.scale.factor()).floor() / painter.scale.factor() + half;
    // A snapped crosshair is at its tick, else at the mouse.
    let x = if crosshair.snapped || !here { pixel(column(crosshair.time_ns)) } else { f64::from(crosshair.x) + 0.5 };
    let y = if crosshair.snapped { pixel(row(crosshair.value)) } else { f64::from(crosshair.y) + 0.5 };
    if x >= plot.left && x < plot.right {
        let (paint, floor) = (Paint(painter.colors.crosshair, 0.85), f64::from(layout.plots().bottom));
        if crosshair.snapped {
            painter.hairline((x, plot.top), (x, floor), paint)?;
        } else {
            painter.dashes((x, plot.top), (x, floor), (3.0, 3.0), paint)?;
        }
    }
    if here && y >= plot.top && y < plot.bottom {
        painter.dashes((plot.left, y), (plot.right, y), (3.0, 3.0), Paint(painter.colors.crosshair, 0.85))?;
    }
    for row_out in &crosshair.rows {
        let at = (column(row_out.point.time_ns), row(row_out.point.value));
        if layout.plot.contains(at.0, at.1) {
            shapes::marker(painter, row_out.palette_index, at, shapes::RADIUS_PX)?;
        }
    }
    if whole.is_grid() { draw_pane_value(painter, crosshair, &layout) } else { draw_readout(painter, crosshair, &plot) }
}

/// Draws the value of a pane's symbol at the right end of its title.
fn draw_pane_value(painter: &LayerPainter<'_>, crosshair: &Crosshair, layout: &Layout) -> DrawResult {
    let strip = Area::from(layout.header);
    let Some(row) = crosshair.rows.first().filter(|_| strip.height() >= 12.0) else { return Ok(()) };
    let ty = if strip.height() < 18.0 { Type::figures(10.0).bold() } else { Type::figures(11.5).bold() };
    let change = row.change_percent.map(|percent| percent_text(percent, 2));
    let width = painter.width(&row.price, ty) + change.as_ref().map_or(0.0, |text| painter.width(text, ty) + 7.0);
    let change = change.filter(|_| width + 12.0 <= strip.width() / 2.0);
    let width = if change.is_some() { width } else { painter.width(&row.price, ty) };
    let area = Area { left: strip.right - width - 6.0, right: strip.right + 1.0, ..strip };
    if area.left < strip.left {
        return Ok(());
    }
    painter.fill(area, painter.colors.background)?;
    let (mut end, y) = (strip.right, strip.middle());
    if let Some(text) = &change {
        painter.text(text, ty, (end, y), HPos::Right, painter.colors.change(row.change_percent.unwrap_or(0.0)))?;
        end -= painter.width(text, ty) + 7.0;
    }
    painter.text(&row.price, ty, (end, y), HPos::Right, painter.colors.text)
}

/// A row of the read-out as texts.
struct Row<'a> {
    source: &'a Readout,
    symbol: String,
    change: String,
}

fn draw_readout(painter: &LayerPainter<'_>, crosshair: &Crosshair, plot: &Area) -> DrawResult {
    let room = ((plot.height() - 2.0 * PADDING_PX - 8.0) / ROW_PX).floor().max(0.0) as usize;
    let room = room.min(ROWS_MAX);
    if crosshair.rows.is_empty() || room == 0 {
        return Ok(());
    }
    // The last row is the number of rows that do not fit.
    let shown = if crosshair.rows.len() <= room { crosshair.rows.len() } else { room - 1 };
    let rows: Vec<Row<'_>> = nearest(crosshair, shown)
        .into_iter()
        .map(|source| Row {
            symbol: painter.fonts.fit(&source.symbol, SYMBOL, SYMBOL_PX_MAX as f32),
            change: source.change_percent.map_or_else(String::new, |percent| percent_text(percent, 2)),
            source,
        })
        .collect();
    let hidden = crosshair.rows.len() - rows.len();
    let widest = |width: &dyn Fn(&Row<'_>) -> f64| rows.iter().map(width).fold(0.0, f64::max);
    let symbols = widest(&|row| painter.width(&row.symbol, SYMBOL));
    let prices = widest(&|row| painter.width(&row.source.price, FIGURE));
    let changes = widest(&|row| painter.width(&row.change, FIGURE));
    let change_column = if changes > 0.0 { COLUMN_GAP_PX + changes } else { 0.0 };
    let width = 2.0 * PADDING_PX + SHAPE_PX + 8.0 + symbols + COLUMN_GAP_PX + prices + change_column;
    let count = rows.len() + usize::from(hidden > 0);
    let height = count as f64 * ROW_PX + 2.0 * (PADDING_PX - 4.0);
    let area = beside(crosshair, width.ceil(), height, plot);
    if area.width() > plot.width() {
        return Ok(());
    }

    painter.panel(area, 4.0, Paint(painter.colors.panel, 0.94), Paint::from(painter.colors.panel_edge))?;
    let mut y = area.top + PADDING_PX - 4.0 + ROW_PX / 2.0;
    for row in &rows {
        let colors = painter.colors;
        let left = area.left + PADDING_PX;
        shapes::marker(painter, row.source.palette_index, (left + SHAPE_PX / 2.0, y), SHAPE_PX / 2.0)?;
        let symbol_left = left + SHAPE_PX + 8.0;
        painter.text(&row.symbol, SYMBOL, (symbol_left, y), HPos::Left, colors.text)?;
        let price_right = symbol_left + symbols + COLUMN_GAP_PX + prices;
        painter.text(&row.source.price, FIGURE, (price_right, y), HPos::Right, colors.text)?;
        let color = colors.change(row.source.change_percent.unwrap_or(0.0));
        painter.text(&row.change, FIGURE, (area.right - PADDING_PX, y), HPos::Right, color)?;
        y += ROW_PX;
    }
    if hidden > 0 {
        let left = area.left + PADDING_PX + SHAPE_PX + 8.0;
        painter.text(&format!("+{hidden} more"), SYMBOL, (left, y), HPos::Left, painter.colors.dim)?;
    }
    Ok(())
}

/// The `count` rows whose points are nearest to the cursor's value, in their original order.
fn nearest(crosshair: &Crosshair, count: usize) -> Vec<&Readout> {
    let off = |row: &Readout| (row.point.value - crosshair.value).abs();
    let mut order: Vec<usize> = (0..crosshair.rows.len()).collect();
    order.sort_by(|&a, &b| off(&crosshair.rows[a]).total_cmp(&off(&crosshair.rows[b])));
    order.truncate(count);
    order.sort_unstable();
    order.into_iter().map(|i| &crosshair.rows[i]).collect()
}

/// Area below and right of the cursor, flipped if there is no room, always inside the plot.
fn beside(crosshair: &Crosshair, width: f64, height: f64, plot: &Area) -> Area {
    let (x, y) = (f64::from(crosshair.x), f64::from(crosshair.y));
    let fits_right = x + AWAY_PX + width <= plot.right - 4.0;
    let fits_below = y + AWAY_PX + height <= plot.bottom - 4.0;
    let left = if fits_right { x + AWAY_PX } else { x - AWAY_PX - width };
    let top = if fits_below { y + AWAY_PX } else { y - AWAY_PX - height };
    Area::sized(left, top, width, height).moved_into(plot)
}

#[cfg(test)]
mod tests {
    use crate::plot::crosshair::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_read_out_stays_inside_and_off_the_cursor(
            x in 16_i32..1196, y in 60_i32..676, width in 40.0_f64..300.0, height in 30.0_f64..260.0,
        ) {
            let plot = Area { left: 16.0, top: 60.0, right: 1196.0, bottom: 676.0 };
            let crosshair = Crosshair { x, y, time_ns: 0, value: 0.0, rows: Vec::new(), snapped: false };
            let area = beside(&crosshair, width, height, &plot);
            prop_assert!(area.left >= plot.left && area.right <= plot.right);
            prop_assert!(area.top >= plot.top && area.bottom <= plot.bottom);
            let cursor = Area::sized(f64::from(x) - 4.0, f64::from(y) - 4.0, 8.0, 8.0);
            prop_assert!(!area.overlaps(&cursor));
        }
    }
}
