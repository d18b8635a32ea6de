//! Title of a plot: at its top left for a single plot, in a strip of its own for a pane of a grid.

use plotters::style::text_anchor::HPos;

use super::font::Type;
use super::painter::{Area, LayerPainter, Paint};
use super::{DrawResult, PlotError};
use crate::chart::{Layout, Title, percent_text};

const SYMBOL: Type = Type::words(14.0).bold();
const FIGURE: Type = Type::figures(12.0);
const INDENT_PX: f64 = 8.0;
const HEIGHT_PX: f64 = 22.0;
/// Space between two figures, and between a name and its value.
const GAP_PX: f64 = 14.0;
const NAME_GAP_PX: f64 = 6.0;
/// Maximum width of a symbol; symbols have up to 64 bytes.
const SYMBOL_PX_MAX: f64 = 180.0;
const SQUARE_PX: f64 = 10.0;

/// The part of a title that fits, and its width.
struct Line<'a> {
    words: String,
    figures: Vec<(&'a str, &'a str, f64)>,
    width: f64,
}

fn line<'a>(painter: &LayerPainter<'_>, title: &'a Title, room: f64) -> Option<Line<'a>> {
    let square = if title.palette_index.is_some() { SQUARE_PX + NAME_GAP_PX } else { 0.0 };
    let symbol = painter.fit(&title.symbol, SYMBOL, (room - square).min(SYMBOL_PX_MAX));
    if symbol.is_empty() {
        return None;
    }
    // A single text, because its width depends on the typeface with which an SVG document is shown.
    let mut words = if title.detail.is_empty() { symbol.clone() } else { format!("{symbol} · {}", title.detail) };
    let whole = square + painter.width(&words, SYMBOL) <= room;
    if !whole {
        words = symbol;
    }
    let mut width = square + painter.width(&words, SYMBOL);
    let mut figures = Vec::new();
    for (name, value) in title.figures.iter().take_while(|_| whole) {
        let lead = GAP_PX + if name.is_empty() { 0.0 } else { painter.width(name, FIGURE) + NAME_GAP_PX };
        let end = width + lead + painter.width(value, FIGURE);
        if end > room {
            break;
        }
        figures.push((name.as_str(), value.as_str(), width + GAP_PX));
        width = end;
    }
    Some(Line { words, figures, width })
}

/// Draws the square before the symbol, if there is one, and returns the left edge of the symbol.
fn square(
    painter: &LayerPainter<'_>,
    title: &Title,
    (x, y): (f64, f64),
    side: f64,
    gap: f64,
) -> Result<f64, PlotError> {
    let Some(palette_index) = title.palette_index else { return Ok(x) };
    let area = Area::sized(x, y - side / 2.0, side, side);
    painter.rounded(area, 2.0, painter.colors.palette_color(palette_index))?;
    Ok(x + side + gap)
}

/// Draws the title of a single plot and returns its area.
pub(super) fn draw(painter: &LayerPainter<'_>, title: &Title, layout: &Layout) -> Result<Option<Area>, PlotError> {
    let plot = Area::from(layout.plot);
    let room = plot.width() - 2.0 * INDENT_PX - 4.0;
    if plot.height() < 2.0 * HEIGHT_PX {
        return Ok(None);
    }
    let Some(line) = line(painter, title, room) else { return Ok(None) };
    let area = Area::sized(plot.left + 2.0, plot.top + 3.0, line.width.ceil() + 2.0 * (INDENT_PX - 2.0), HEIGHT_PX);
    painter.rounded(area, 3.0, Paint(painter.colors.background, 0.78))?;
    let (left, y, colors) = (plot.left + INDENT_PX, area.middle(), painter.colors);
    let x = square(painter, title, (left, y), SQUARE_PX, NAME_GAP_PX)?;
    painter.text(&line.words, SYMBOL, (x, y), HPos::Left, colors.text)?;
    let color = title.change_percent.map_or(colors.text, |percent| colors.change(percent));
    for (name, value, at) in &line.figures {
        let mut x = left + at;
        if !name.is_empty() {
            painter.text(name, FIGURE, (x, y), HPos::Left, colors.dim)?;
            x += painter.width(name, FIGURE) + NAME_GAP_PX;
        }
        painter.text(value, FIGURE, (x, y), HPos::Left, color)?;
    }
    Ok(Some(area))
}

/// Draws the title of a pane: the symbol at the left, the change at the right, and between them the figures that fit.
pub(super) fn strip(painter: &LayerPainter<'_>, title: &Title, pane: &Layout) -> DrawResult {
    let strip = Area::from(pane.header);
    if strip.height() < 10.0 || strip.width() < 20.0 {
        return Ok(());
    }
    let small = strip.height() < 18.0;
    let (symbol_ty, figure_ty) = if small {
        (Type::words(11.0).bold(), Type::figures(9.5))
    } else {
        (Type::words(12.5).bold(), Type::figures(11.5))
    };
    let (y, colors) = (strip.middle(), painter.colors);
    let mut x = square(painter, title, (strip.left, y), if small { 7.0 } else { 9.0 }, 5.0)?;
    let symbol = painter.fit(&title.symbol, symbol_ty, strip.right - x);
    painter.text(&symbol, symbol_ty, (x, y), HPos::Left, colors.text)?;
    x += painter.width(&symbol, symbol_ty) + if small { 2.0 } else { 6.0 };
    let mut end = strip.right;
    if let Some(percent) = title.change_percent {
        let text = percent_text(percent, 2);
        let left = end - painter.width(&text, figure_ty);
        if left < x {
            return Ok(());
        }
        painter.text(&text, figure_ty, (left, y), HPos::Left, colors.change(percent))?;
        end = left - 7.0;
    }
    // Right-aligned, so that panes have them in columns. The last ones are left out first.
    let mut shown: Vec<(&str, f64)> = Vec::new();
    for (_, value) in &title.figures {
        let width = painter.width(value, figure_ty) + 7.0;
        if shown.iter().map(|(_, px)| px).sum::<f64>() + width > end - x {
            break;
        }
        shown.push((value, width));
    }
    for (value, width) in shown.iter().rev() {
        painter.text(value, figure_ty, (end, y), HPos::Right, colors.text)?;
        end -= width;
    }
    Ok(())
}
