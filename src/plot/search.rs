//! The search for a symbol: what was typed, and what it finds.

use plotters::style::text_anchor::HPos;
use plotters_backend::DrawingBackend;

use super::font::Type;
use crate::chart::Rect;
use crate::chart::percent_text;
use crate::chart::{Frame, Hits};
use crate::chart::{LegendEntry, Search};
use crate::plot::PlotError;
use crate::plot::painter::{Area, Paint, Pen};

const QUERY: Type = Type::words(15.0);
const SYMBOL: Type = Type::words(13.0).bold();
const FIGURE: Type = Type::figures(12.0);
const HINT: Type = Type::words(12.5);
const WIDTH_PX: f64 = 380.0;
const QUERY_PX: f64 = 40.0;
const ROW_PX: f64 = 26.0;
const PADDING_PX: f64 = 12.0;
const SQUARE_PX: f64 = 11.0;
/// Of the two columns of figures.
const CHANGE_PX: f64 = 66.0;
/// Narrower boxes go without changes, and then without prices.
const CHANGES_FROM_PX: f64 = 250.0;
const PRICES_FROM_PX: f64 = 170.0;

/// Draws the box under the header and says where the findings stand.
pub(super) fn draw<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    search: &Search,
    frame: &Frame,
    hits: &mut Hits,
) -> Result<(), PlotError> {
    let (left, right) = (f64::from(frame.header.left), f64::from(frame.header.right));
    let (top, bottom) = (f64::from(frame.header.bottom) + 8.0, f64::from(frame.footer.top) - 8.0);
    let width = WIDTH_PX.min(right - left - 16.0);
    let room = ((bottom - top - QUERY_PX - 8.0) / ROW_PX).floor();
    if width < 80.0 || bottom - top < QUERY_PX {
        return Ok(());
    }
    let room = room.max(0.0) as usize;
    // The last row says what is not shown.
    let all = search.found.len() <= room && search.more == 0;
    let shown = if all { search.found.len() } else { search.found.len().min(room.saturating_sub(1)) };
    let first = (search.chosen + 1).saturating_sub(shown).min(search.found.len() - shown);
    let more = search.more + search.found.len() - shown;
    let word = if search.found.is_empty() {
        if search.query.is_empty() { "type a symbol".to_owned() } else { "no symbol matches".to_owned() }
    } else if more > 0 {
        format!("+{more} more")
    } else {
        String::new()
    };
    let rows = shown + usize::from(!word.is_empty() && room > 0);
    let height = QUERY_PX + if rows > 0 { rows as f64 * ROW_PX + 8.0 } else { 0.0 };
    let area = Area::sized(((left + right - width) / 2.0).round(), top, width.floor(), height);
    pen.panel(area, 7.0, Paint(pen.look.panel, 0.98), Paint::from(pen.look.panel_edge))?;
    query(pen, search, &area)?;
    if rows == 0 {
        return Ok(());
    }
    let y = pen.snapped(area.top + QUERY_PX) - 0.5 / pen.scale.factor();
    pen.hairline((area.left + 1.0, y), (area.right - 1.0, y), pen.look.panel_edge)?;
    hits.found.resize(first, Rect::default());
    let mut row = Area { top: area.top + QUERY_PX + 4.0, bottom: area.top + QUERY_PX + 4.0 + ROW_PX, ..area };
    for (index, entry) in search.found.iter().enumerate().skip(first).take(shown) {
        if index == search.chosen {
            let bar = Area { left: row.left + 5.0, right: row.right - 5.0, ..row };
            pen.rounded(bar, 4.0, Paint(pen.look.info, 0.18))?;
        }
        finding(pen, entry, &row)?;
        hits.found.push(row.outward());
        (row.top, row.bottom) = (row.bottom, row.bottom + ROW_PX);
    }
    if rows > shown {
        pen.text(&word, HINT, (row.left + PADDING_PX, row.middle()), HPos::Left, pen.look.dim)?;
    }
    Ok(())
}

/// A lens, what was typed, and a caret behind it; of a long text the end.
fn query<DB: DrawingBackend>(pen: &Pen<'_, DB>, search: &Search, area: &Area) -> Result<(), PlotError> {
    let (y, look) = (area.top + QUERY_PX / 2.0, pen.look);
    let lens = (area.left + PADDING_PX + 5.0, y - 1.0);
    pen.ring(lens, 4.5, 1.5, look.dim)?;
    pen.path([(lens.0 + 3.4, lens.1 + 3.4), (lens.0 + 7.5, lens.1 + 7.5)], 1.75, look.dim)?;
    let left = area.left + PADDING_PX + 20.0;
    let room = area.right - PADDING_PX - 4.0 - left;
    let tail = |at: usize| search.query.get(at..).unwrap_or_default();
    let starts = search.query.char_indices().map(|(at, _)| at);
    let shown = starts.map(tail).find(|text| pen.width(text, QUERY) <= room).unwrap_or_default();
    pen.text(shown, QUERY, (left, y), HPos::Left, look.text)?;
    let caret = pen.snapped(left + pen.width(shown, QUERY) + 2.0);
    pen.fill(Area { left: caret, right: caret + 1.0, top: y - 9.0, bottom: y + 9.0 }, look.info)?;
    if search.query.is_empty() {
        pen.text("symbol", QUERY, (caret + 5.0, y), HPos::Left, Paint(look.dim, 0.6))?;
    }
    Ok(())
}

fn finding<DB: DrawingBackend>(pen: &Pen<'_, DB>, entry: &LegendEntry, row: &Area) -> Result<(), PlotError> {
    let (y, look) = (row.middle(), pen.look);
    let slot = look.slot(entry.slot);
    let square = Area::sized(row.left + PADDING_PX, y - SQUARE_PX / 2.0, SQUARE_PX, SQUARE_PX);
    if entry.visible {
        pen.rounded(square, 3.0, slot)?;
    } else {
        pen.outlined(square, 3.0, Paint(slot, 0.8))?;
    }
    let mut end = row.right - PADDING_PX;
    if row.width() >= CHANGES_FROM_PX {
        let text = entry.change_percent.map_or_else(String::new, |percent| percent_text(percent, 2));
        pen.text(&text, FIGURE, (end, y), HPos::Right, look.change(entry.change_percent.unwrap_or(0.0)))?;
        end -= CHANGE_PX.max(pen.width(&text, FIGURE) + 10.0);
    }
    if let Some(last) = entry.last.as_ref().filter(|_| row.width() >= PRICES_FROM_PX) {
        pen.text(last, FIGURE, (end, y), HPos::Right, look.text)?;
        end -= pen.width(last, FIGURE) + 12.0;
    }
    let left = square.right + 9.0;
    let color = if entry.visible { look.text } else { look.dim };
    pen.text(&pen.fit(&entry.symbol, SYMBOL, end - left), SYMBOL, (left, y), HPos::Left, color)
}
