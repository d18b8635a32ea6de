//! Symbol search: query and matches.

use plotters::style::text_anchor::HPos;

use super::DrawResult;
use super::font::Type;
use super::painter::{Area, LayerPainter, Paint};
use crate::chart::{HitAreas, Layout, LegendEntry, Rect, Search, percent_text};

const QUERY: Type = Type::words(15.0);
const SYMBOL: Type = Type::words(13.0).bold();
const FIGURE: Type = Type::figures(12.0);
const HINT: Type = Type::words(12.5);
const WIDTH_PX: f64 = 380.0;
const QUERY_PX: f64 = 40.0;
const ROW_PX: f64 = 26.0;
const PADDING_PX: f64 = 12.0;
const SQUARE_PX: f64 = 11.0;
/// Minimum width of the column of changes.
const CHANGE_PX: f64 = 66.0;
/// Minimum width of a box with changes, and of one with prices.
const CHANGES_FROM_PX: f64 = 250.0;
const PRICES_FROM_PX: f64 = 170.0;

/// Draws the box under the header and records the areas of the matches.
pub(super) fn draw(painter: &LayerPainter<'_>, search: &Search, layout: &Layout, hits: &mut HitAreas) -> DrawResult {
    let (left, right) = (f64::from(layout.header.left), f64::from(layout.header.right));
    let (top, bottom) = (f64::from(layout.header.bottom) + 8.0, f64::from(layout.footer.top) - 8.0);
    let width = WIDTH_PX.min(right - left - 16.0);
    let room = ((bottom - top - QUERY_PX - 8.0) / ROW_PX).floor();
    if width < 80.0 || bottom - top < QUERY_PX {
        return Ok(());
    }
    let room = room.max(0.0) as usize;
    // The last row is the number of matches that are not shown.
    let all = search.matches.len() <= room && search.more == 0;
    let shown = if all { search.matches.len() } else { search.matches.len().min(room.saturating_sub(1)) };
    let first = (search.selected + 1).saturating_sub(shown).min(search.matches.len() - shown);
    let more = search.more + search.matches.len() - shown;
    let hint = if search.matches.is_empty() {
        if search.query.is_empty() { "type a symbol".to_owned() } else { "no symbol matches".to_owned() }
    } else if more > 0 {
        format!("+{more} more")
    } else {
        String::new()
    };
    let rows = shown + usize::from(!hint.is_empty() && room > 0);
    let height = QUERY_PX + if rows > 0 { rows as f64 * ROW_PX + 8.0 } else { 0.0 };
    let area = Area::sized(((left + right - width) / 2.0).round(), top, width.floor(), height);
    painter.panel(area, 7.0, Paint(painter.colors.panel, 0.98), Paint::from(painter.colors.panel_edge))?;
    query(painter, search, &area)?;
    if rows == 0 {
        return Ok(());
    }
    let y = painter.snapped(area.top + QUERY_PX) - 0.5 / painter.scale.factor();
    painter.hairline((area.left + 1.0, y), (area.right - 1.0, y), painter.colors.panel_edge)?;
    hits.search_rows.resize(first, Rect::default());
    let mut row = Area { top: area.top + QUERY_PX + 4.0, bottom: area.top + QUERY_PX + 4.0 + ROW_PX, ..area };
    for (index, entry) in search.matches.iter().enumerate().skip(first).take(shown) {
        if index == search.selected {
            let bar = Area { left: row.left + 5.0, right: row.right - 5.0, ..row };
            painter.rounded(bar, 4.0, Paint(painter.colors.info, 0.18))?;
        }
        draw_match(painter, entry, &row)?;
        hits.search_rows.push(row.outward());
        (row.top, row.bottom) = (row.bottom, row.bottom + ROW_PX);
    }
    if rows > shown {
        painter.text(&hint, HINT, (row.left + PADDING_PX, row.middle()), HPos::Left, painter.colors.dim)?;
    }
    Ok(())
}

/// Draws a lens, the query and a caret. Of a long query the end is shown.
fn query(painter: &LayerPainter<'_>, search: &Search, area: &Area) -> DrawResult {
    let (y, colors) = (area.top + QUERY_PX / 2.0, painter.colors);
    let lens = (area.left + PADDING_PX + 5.0, y - 1.0);
    painter.ring(lens, 4.5, 1.5, colors.dim)?;
    painter.path([(lens.0 + 3.4, lens.1 + 3.4), (lens.0 + 7.5, lens.1 + 7.5)], 1.75, colors.dim)?;
    let left = area.left + PADDING_PX + 20.0;
    let room = area.right - PADDING_PX - 4.0 - left;
    let tail = |at: usize| search.query.get(at..).unwrap_or_default();
    let starts = search.query.char_indices().map(|(at, _)| at);
    let shown = starts.map(tail).find(|text| painter.width(text, QUERY) <= room).unwrap_or_default();
    painter.text(shown, QUERY, (left, y), HPos::Left, colors.text)?;
    let caret = painter.snapped(left + painter.width(shown, QUERY) + 2.0);
    painter.fill(Area { left: caret, right: caret + 1.0, top: y - 9.0, bottom: y + 9.0 }, colors.info)?;
    if search.query.is_empty() {
        painter.text("symbol", QUERY, (caret + 5.0, y), HPos::Left, Paint(colors.dim, 0.6))?;
    }
    Ok(())
}

fn draw_match(painter: &LayerPainter<'_>, entry: &LegendEntry, row: &Area) -> DrawResult {
    let (y, colors) = (row.middle(), painter.colors);
    let palette_index = colors.palette_color(entry.palette_index);
    let square = Area::sized(row.left + PADDING_PX, y - SQUARE_PX / 2.0, SQUARE_PX, SQUARE_PX);
    if entry.visible {
        painter.rounded(square, 3.0, palette_index)?;
    } else {
        painter.outlined(square, 3.0, Paint(palette_index, 0.8))?;
    }
    let mut end = row.right - PADDING_PX;
    if row.width() >= CHANGES_FROM_PX {
        let text = entry.change_percent.map_or_else(String::new, |percent| percent_text(percent, 2));
        painter.text(&text, FIGURE, (end, y), HPos::Right, colors.change(entry.change_percent.unwrap_or(0.0)))?;
        end -= CHANGE_PX.max(painter.width(&text, FIGURE) + 10.0);
    }
    if let Some(last) = entry.last.as_ref().filter(|_| row.width() >= PRICES_FROM_PX) {
        painter.text(last, FIGURE, (end, y), HPos::Right, colors.text)?;
        end -= painter.width(last, FIGURE) + 12.0;
    }
    let left = square.right + 9.0;
    let color = if entry.visible { colors.text } else { colors.dim };
    painter.text(&painter.fit(&entry.symbol, SYMBOL, end - left), SYMBOL, (left, y), HPos::Left, color)
}
