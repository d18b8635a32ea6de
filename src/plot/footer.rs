//! Footer: figures, and the hint to the help.

use plotters::style::text_anchor::HPos;

use super::DrawResult;
use super::font::Type;
use super::painter::{Area, LayerPainter};
use crate::chart::{Footer, HitAreas, Layout, Rect, Tone};

const FIGURE: Type = Type::figures(11.0);
const HELP: Type = Type::words(12.5);
const KEY: Type = Type::figures(12.0).bold();

const EDGE_PX: f64 = 14.0;
/// Minimum height of a footer with text.
const STRIP_PX_MIN: f64 = 13.0;

/// Draws figures from the left and the help hint at the right. The last figures are left out first.
pub(super) fn draw(painter: &LayerPainter<'_>, footer: &Footer, layout: &Layout, hits: &mut HitAreas) -> DrawResult {
    let strip = Area::from(layout.footer);
    hits.help = Rect::default();
    if strip.height() < STRIP_PX_MIN {
        return Ok(());
    }
    let y = strip.middle();
    let mut end = strip.right - EDGE_PX;
    let (mark, word) = (painter.width("?", KEY), painter.width("help", HELP));
    let left = end - word - 6.0 - mark;
    if left > strip.left + EDGE_PX {
        painter.text("?", KEY, (left, y), HPos::Left, painter.colors.text)?;
        painter.text("help", HELP, (end - word, y), HPos::Left, painter.colors.dim)?;
        hits.help = Area { left: left - 8.0, right: strip.right, ..strip }.outward();
        end = left - EDGE_PX;
    }
    let separator = painter.width(" · ", FIGURE);
    let mut x = strip.left + EDGE_PX;
    for (i, (tone, text)) in footer.figures.iter().enumerate() {
        let lead = if i == 0 { 0.0 } else { separator };
        let room = end - x - lead;
        let shown = if painter.width(text, FIGURE) <= room {
            text.clone()
        } else if i == 0 {
            painter.fit(text, FIGURE, room)
        } else {
            break;
        };
        if i > 0 {
            painter.text("·", FIGURE, (x + lead / 2.0, y), HPos::Center, painter.colors.dim)?;
        }
        let color = if *tone == Tone::Good { painter.colors.dim } else { painter.colors.tone(*tone) };
        painter.text(&shown, FIGURE, (x + lead, y), HPos::Left, color)?;
        x += lead + painter.width(&shown, FIGURE);
    }
    Ok(())
}
