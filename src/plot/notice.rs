//! Notice: why a chart shows nothing, and what to do about it.

use plotters::style::text_anchor::HPos;

use super::font::Type;
use super::painter::{Area, LayerPainter, Paint, centered};
use super::{DrawResult, PlotError};
use crate::chart::{Layout, Notice, Tone};

const TITLE: Type = Type::words(17.0).bold();
const LINE: Type = Type::words(13.5);
const CODE: Type = Type::figures(12.5);
const LINE_PX: f64 = 23.0;
const PADDING_PX: f64 = 26.0;
const TITLE_PX: f64 = 24.0;
/// Radius of the sign above the title, and its height with padding.
const SIGN_PX: f64 = 19.0;
const SIGN_ROWS_PX: f64 = 2.0 * SIGN_PX + 14.0;

/// Draws a sign, a title and lines in the middle of the plot. The sign is left out first if there is little room, then
/// lines.
pub(super) fn draw(painter: &LayerPainter<'_>, notice: &Notice, layout: &Layout) -> DrawResult {
    let plot = Area::from(layout.plots());
    let padding = if plot.height() < 200.0 { PADDING_PX / 2.0 } else { PADDING_PX };
    let room = plot.width() - 2.0 * padding;
    if room < 40.0 || plot.height() < 40.0 {
        return Ok(());
    }
    let title = painter.fit(&notice.title, TITLE, room);
    let rows = plot.height() - 2.0 * padding - TITLE_PX;
    let all = notice.lines.len() as f64 * LINE_PX;
    let sign = rows >= all + SIGN_ROWS_PX;
    let fitting = (rows / LINE_PX).floor().max(0.0) as usize;
    let fit = |line: &String| {
        if line_width(painter, line) <= room { line.clone() } else { painter.fit(&line.replace('`', ""), LINE, room) }
    };
    let lines: Vec<String> = notice.lines.iter().take(fitting).map(fit).collect();
    let widest = lines.iter().map(|line| line_width(painter, line)).fold(painter.width(&title, TITLE), f64::max);
    let sign_rows = if sign { SIGN_ROWS_PX } else { 0.0 };
    let gap = if lines.is_empty() { 0.0 } else { 4.0 };
    let height = 2.0 * padding + sign_rows + TITLE_PX + gap + lines.len() as f64 * LINE_PX;
    let area = centered(&plot, widest + 2.0 * padding, height).moved_into(&plot);
    painter.panel(area, 10.0, Paint(painter.colors.panel, 0.93), Paint::from(painter.colors.panel_edge))?;

    let x = f64::midpoint(area.left, area.right);
    if sign {
        draw_sign(painter, notice.tone, (x, area.top + padding + SIGN_PX))?;
    }
    let mut y = area.top + padding + sign_rows + TITLE_PX / 2.0;
    painter.text(&title, TITLE, (x, y), HPos::Center, painter.colors.tone(notice.tone))?;
    y += TITLE_PX / 2.0 + gap + LINE_PX / 2.0;
    for line in &lines {
        let mut left = x - line_width(painter, line) / 2.0;
        for (i, part) in line.split('`').enumerate() {
            left += draw_part(painter, part, i % 2 == 1, (left, y))?;
        }
        y += LINE_PX;
    }
    Ok(())
}

/// Horizontal padding of code, which has a background of its own, px.
const CODE_PADDING_PX: f64 = 6.0;

/// Draws a part of a line and returns its width.
fn draw_part(painter: &LayerPainter<'_>, part: &str, code: bool, (left, y): (f64, f64)) -> Result<f64, PlotError> {
    let width = part_width(painter, part, code);
    if !code {
        painter.text(part, LINE, (left, y), HPos::Left, painter.colors.text)?;
    } else if !part.is_empty() {
        let code_area = Area::sized(left, (y - 9.5).round(), width, 19.0);
        painter.rounded(code_area, 4.0, Paint(painter.colors.dim, 0.16))?;
        painter.text(part, CODE, (left + CODE_PADDING_PX, y), HPos::Left, painter.colors.text)?;
    }
    Ok(width)
}

fn part_width(painter: &LayerPainter<'_>, part: &str, code: bool) -> f64 {
    match (code, part.is_empty()) {
        (false, _) => painter.width(part, LINE),
        (true, true) => 0.0,
        (true, false) => painter.width(part, CODE) + 2.0 * CODE_PADDING_PX,
    }
}

fn line_width(painter: &LayerPainter<'_>, line: &str) -> f64 {
    line.split('`').enumerate().map(|(i, part)| part_width(painter, part, i % 2 == 1)).sum()
}

/// Draws a disc in the tone's colour with a symbol of its meaning: a tick, a broken line, a stroke, a cross.
fn draw_sign(painter: &LayerPainter<'_>, tone: Tone, (x, y): (f64, f64)) -> DrawResult {
    const STROKE_PX: f64 = 2.0;
    let color = painter.colors.tone(tone);
    painter.disc((x, y), SIGN_PX, Paint(color, 0.14))?;
    painter.ring((x, y), SIGN_PX - 0.5, 1.0, Paint(color, 0.35))?;
    let stroke = |points: &[(f64, f64)]| painter.path(points.iter().map(|(dx, dy)| (x + dx, y + dy)), STROKE_PX, color);
    match tone {
        Tone::Good => stroke(&[(-7.0, 0.5), (-2.0, 5.5), (7.5, -5.0)]),
        Tone::Info => {
            stroke(&[(-11.0, 1.0), (-6.0, 1.0), (-3.0, -7.0), (1.5, 8.0), (4.5, -2.5), (6.0, 1.0), (11.0, 1.0)])
        }
        Tone::Warn => {
            stroke(&[(0.0, -8.0), (0.0, 2.5)])?;
            painter.disc((x, y + 7.5), 1.6, color)
        }
        Tone::Bad => {
            stroke(&[(-6.0, -6.0), (6.0, 6.0)])?;
            stroke(&[(6.0, -6.0), (-6.0, 6.0)])
        }
    }
}
