//! Help and toast.

use plotters::style::text_anchor::HPos;

use super::DrawResult;
use super::font::Type;
use super::painter::{Area, LayerPainter, Paint, centered};
use crate::chart::{Badge, Layout};

const TITLE: Type = Type::words(17.0).bold();
const LINE: Type = Type::words(13.5);
const KEY: Type = Type::figures(12.0).bold();
const TOAST: Type = Type::words(13.0);

const PADDING_PX: f64 = 24.0;
/// Height of a row of the help, and its minimum in low windows.
const KEY_ROW_PX: f64 = 24.0;
const KEY_ROW_PX_MIN: f64 = 19.0;
const HELP_TITLE_PX: f64 = 34.0;
/// Space between a key and its meaning, and between two columns of both.
const KEY_GAP_PX: f64 = 14.0;
const COLUMN_GAP_PX: f64 = 28.0;

/// Draws a short message above the footer.
pub(super) fn draw_toast(painter: &LayerPainter<'_>, toast: &Badge, layout: &Layout) -> DrawResult {
    let plot = Area::from(layout.plot);
    let (dot, height) = (16.0, 30.0);
    let text = painter.fit(&toast.text, TOAST, plot.width() - dot - 40.0);
    if text.is_empty() || plot.height() < 2.0 * height {
        return Ok(());
    }
    let width = (painter.width(&text, TOAST) + dot + 28.0).ceil();
    let left = (f64::midpoint(plot.left, plot.right) - width / 2.0).round();
    let area = Area::sized(left, plot.bottom - height - 12.0, width, height);
    painter.panel(area, 6.0, Paint(painter.colors.panel, 0.96), Paint::from(painter.colors.panel_edge))?;
    painter.disc((area.left + 18.0, area.middle()), 4.0, painter.colors.tone(toast.tone))?;
    painter.text(&text, TOAST, (area.left + 14.0 + dot, area.middle()), HPos::Left, painter.colors.text)
}

/// Draws the keys and their meanings over everything else, in two columns if one is too high.
pub(super) fn draw(painter: &LayerPainter<'_>, rows: &[(String, String)], layout: &Layout) -> DrawResult {
    let whole = Area {
        left: 0.0,
        top: f64::from(layout.header.bottom),
        right: f64::from(layout.header.right),
        bottom: f64::from(layout.footer.top),
    };
    painter.fill(whole, Paint(painter.colors.background, 0.62))?;
    let padding = if whole.height() < 400.0 { PADDING_PX / 2.0 } else { PADDING_PX };
    let room = whole.height() - 2.0 * padding - HELP_TITLE_PX - 8.0;
    let fitting = (room / KEY_ROW_PX_MIN).floor().max(0.0) as usize;
    if fitting == 0 || rows.is_empty() {
        return Ok(());
    }
    let columns = rows.len().div_ceil(fitting).min(2);
    let per_column = rows.len().div_ceil(columns).min(fitting);
    let pitch = (room / per_column as f64).floor().clamp(KEY_ROW_PX_MIN, KEY_ROW_PX);
    let columns: Vec<KeyColumn<'_>> =
        rows.chunks(per_column).take(2).map(|rows| KeyColumn::new(painter, rows)).collect();
    let fixed = columns.iter().map(|column| column.keys_px + KEY_GAP_PX + COLUMN_GAP_PX).sum::<f64>() - COLUMN_GAP_PX;
    // If the texts do not fit, the wider column is cut first.
    let room = (whole.width() - 16.0 - 2.0 * padding - fixed).max(0.0);
    let narrowest = columns.iter().map(|column| column.texts_px).fold(f64::INFINITY, f64::min);
    let text_px_max = if columns.len() == 1 { room } else { (room - narrowest).max(room / 2.0) };
    let texts: f64 = columns.iter().map(|column| column.texts_px.min(text_px_max)).sum();

    let height = 2.0 * padding + HELP_TITLE_PX + per_column as f64 * pitch;
    let area = centered(&whole, fixed + texts + 2.0 * padding, height).moved_into(&whole);
    painter.panel(area, 8.0, Paint(painter.colors.panel, 0.98), Paint::from(painter.colors.panel_edge))?;
    let title = painter.fit("Keys and mouse", TITLE, area.width() - 2.0 * padding);
    painter.text(&title, TITLE, (area.left + padding, area.top + padding + 8.0), HPos::Left, painter.colors.text)?;
    let (mut left, top) = (area.left + padding, area.top + padding + HELP_TITLE_PX);
    for column in &columns {
        column.draw(painter, (left, top), pitch, text_px_max)?;
        left += column.keys_px + KEY_GAP_PX + column.texts_px.min(text_px_max) + COLUMN_GAP_PX;
    }
    Ok(())
}

/// A column of the help: keys and their meanings.
struct KeyColumn<'a> {
    rows: &'a [(String, String)],
    keys_px: f64,
    texts_px: f64,
}

impl<'a> KeyColumn<'a> {
    fn new(painter: &LayerPainter<'_>, rows: &'a [(String, String)]) -> Self {
        Self {
            keys_px: rows.iter().map(|(key, _)| painter.width(key, KEY)).fold(0.0, f64::max) + 14.0,
            texts_px: rows.iter().map(|(_, text)| painter.width(text, LINE)).fold(0.0, f64::max).ceil(),
            rows,
        }
    }

    fn draw(&self, painter: &LayerPainter<'_>, (left, top): (f64, f64), pitch: f64, text_px_max: f64) -> DrawResult {
        for (i, (key, text)) in self.rows.iter().enumerate() {
            let y = top + (i as f64 + 0.5) * pitch;
            let cap = Area::sized(left, (y - 9.0).round(), (painter.width(key, KEY) + 14.0).round(), 18.0);
            painter.panel(cap, 4.0, Paint(painter.colors.strip, 1.0), Paint::from(painter.colors.panel_edge))?;
            painter.text(key, KEY, (left + 7.0, cap.middle()), HPos::Left, painter.colors.text)?;
            let text = painter.fit(text, LINE, self.texts_px.min(text_px_max));
            let text_left = left + self.keys_px + KEY_GAP_PX;
            painter.text(&text, LINE, (text_left, cap.middle()), HPos::Left, painter.colors.dim)?;
        }
        Ok(())
    }
}
