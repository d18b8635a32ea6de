//! Footer, notice, toast and help: words around and above the chart.

use plotters::style::text_anchor::HPos;
use plotters_backend::DrawingBackend;

use super::font::Type;
use super::frame::{Frame, Hits};
use super::pen::{Area, Paint, Pen};
use super::{Badge, Footer, Notice, PlotError, Tone};

const FIGURE: Type = Type::figures(11.0);
const HELP: Type = Type::words(12.5);
const TITLE: Type = Type::words(17.0).bold();
const LINE: Type = Type::words(13.5);
const KEY: Type = Type::figures(12.0).bold();
const TOAST: Type = Type::words(13.0);

const EDGE_PX: f64 = 14.0;
/// Footers lower than this hold no text.
const STRIP_PX_MIN: f64 = 13.0;
const LINE_PX: f64 = 22.0;
const PADDING_PX: f64 = 24.0;
const KEY_ROW_PX: f64 = 24.0;

/// Figures from the left, help at the right. The last figures go first.
pub(super) fn footer<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    footer: &Footer,
    frame: &Frame,
    hits: &mut Hits,
) -> Result<(), PlotError> {
    let strip = Area::from(frame.footer);
    if strip.height() < STRIP_PX_MIN {
        return Ok(());
    }
    let y = strip.middle();
    let mut end = strip.right - EDGE_PX;
    let (mark, word) = (pen.width("?", KEY), pen.width("help", HELP));
    let left = end - word - 6.0 - mark;
    if left > strip.left + EDGE_PX {
        pen.text("?", KEY, (left, y), HPos::Left, pen.look.text)?;
        pen.text("help", HELP, (end - word, y), HPos::Left, pen.look.dim)?;
        hits.help = Area { left: left - 8.0, right: strip.right, ..strip }.outward();
        end = left - EDGE_PX;
    }
    let separator = pen.width(" · ", FIGURE);
    let mut x = strip.left + EDGE_PX;
    for (i, (tone, text)) in footer.figures.iter().enumerate() {
        let lead = if i == 0 { 0.0 } else { separator };
        let room = end - x - lead;
        let shown = if pen.width(text, FIGURE) <= room {
            text.clone()
        } else if i == 0 {
            pen.fit(text, FIGURE, room)
        } else {
            break;
        };
        if i > 0 {
            pen.text(" · ", FIGURE, (x, y), HPos::Left, pen.look.dim)?;
        }
        let color = if *tone == Tone::Good { pen.look.dim } else { pen.look.tone(*tone) };
        pen.text(&shown, FIGURE, (x + lead, y), HPos::Left, color)?;
        x += lead + pen.width(&shown, FIGURE);
    }
    Ok(())
}

/// A title and lines in the middle of the plot.
pub(super) fn notice<DB: DrawingBackend>(pen: &Pen<'_, DB>, notice: &Notice, frame: &Frame) -> Result<(), PlotError> {
    let plot = Area::from(frame.plot);
    let room = plot.width() - 2.0 * PADDING_PX;
    if room < 40.0 || plot.height() < 40.0 {
        return Ok(());
    }
    let title = pen.fit(&notice.title, TITLE, room);
    let fitting = ((plot.height() - 2.0 * PADDING_PX - 30.0) / LINE_PX).floor().max(0.0) as usize;
    let lines: Vec<String> = notice.lines.iter().take(fitting).map(|line| pen.fit(line, LINE, room)).collect();
    let widest = lines.iter().map(|line| pen.width(line, LINE)).fold(pen.width(&title, TITLE), f64::max);
    let (width, height) = (widest + 2.0 * PADDING_PX, 2.0 * PADDING_PX - 4.0 + 24.0 + lines.len() as f64 * LINE_PX);
    let area = centered(&plot, width, height).moved_into(&plot);
    pen.panel(area, 8.0, Paint(pen.look.panel, 0.93), Paint::from(pen.look.panel_edge))?;

    let x = f64::midpoint(area.left, area.right);
    let mut y = area.top + PADDING_PX + 9.0;
    pen.text(&title, TITLE, (x, y), HPos::Center, pen.look.tone(notice.tone))?;
    y += 7.0;
    for line in &lines {
        y += LINE_PX;
        pen.text(line, LINE, (x, y), HPos::Center, pen.look.text)?;
    }
    Ok(())
}

/// A short message above the footer.
pub(super) fn toast<DB: DrawingBackend>(pen: &Pen<'_, DB>, toast: &Badge, frame: &Frame) -> Result<(), PlotError> {
    let plot = Area::from(frame.plot);
    let (dot, height) = (16.0, 30.0);
    let text = pen.fit(&toast.text, TOAST, plot.width() - dot - 40.0);
    if text.is_empty() || plot.height() < 2.0 * height {
        return Ok(());
    }
    let width = (pen.width(&text, TOAST) + dot + 28.0).ceil();
    let left = (f64::midpoint(plot.left, plot.right) - width / 2.0).round();
    let area = Area::sized(left, plot.bottom - height - 12.0, width, height);
    pen.panel(area, 6.0, Paint(pen.look.panel, 0.96), Paint::from(pen.look.panel_edge))?;
    pen.disc((area.left + 18.0, area.middle()), 4.0, pen.look.tone(toast.tone))?;
    pen.text(&text, TOAST, (area.left + 14.0 + dot, area.middle()), HPos::Left, pen.look.text)
}

/// Keys and what they do, over everything else; a second pair of columns where one is too high.
pub(super) fn help<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    rows: &[(String, String)],
    frame: &Frame,
) -> Result<(), PlotError> {
    let whole = Area {
        left: 0.0,
        top: f64::from(frame.header.bottom),
        right: f64::from(frame.header.right),
        bottom: f64::from(frame.footer.top),
    };
    pen.fill(whole, Paint(pen.look.ground, 0.62))?;
    let fitting = ((whole.height() - 2.0 * PADDING_PX - 40.0) / KEY_ROW_PX).floor().max(0.0) as usize;
    if fitting == 0 || rows.is_empty() {
        return Ok(());
    }
    let folds = rows.len().div_ceil(fitting).min(2);
    let per_fold = rows.len().div_ceil(folds).min(fitting);
    let keys = rows.iter().map(|(key, _)| pen.width(key, KEY)).fold(0.0, f64::max) + 14.0;
    let room = (whole.width() - 16.0 - 2.0 * PADDING_PX) / folds as f64 - keys - 14.0 - 32.0;
    let texts = rows.iter().map(|(_, text)| pen.width(text, LINE)).fold(0.0, f64::max).min(room.max(0.0));
    let fold_width = keys + 14.0 + texts;
    let width = fold_width * folds as f64 + 32.0 * (folds as f64 - 1.0) + 2.0 * PADDING_PX;
    let height = 2.0 * PADDING_PX + 30.0 + per_fold as f64 * KEY_ROW_PX;
    let area = centered(&whole, width, height).moved_into(&whole);
    pen.panel(area, 8.0, Paint(pen.look.panel, 0.98), Paint::from(pen.look.panel_edge))?;
    pen.text("Keys and mouse", TITLE, (area.left + PADDING_PX, area.top + PADDING_PX + 8.0), HPos::Left, pen.look.text)?;

    for (i, (key, text)) in rows.iter().enumerate().take(per_fold * folds) {
        let left = area.left + PADDING_PX + (i / per_fold) as f64 * (fold_width + 32.0);
        let y = area.top + PADDING_PX + 30.0 + ((i % per_fold) as f64 + 0.5) * KEY_ROW_PX + 4.0;
        let cap = Area::sized(left, (y - 9.0).round(), (pen.width(key, KEY) + 14.0).round(), 18.0);
        pen.panel(cap, 4.0, Paint(pen.look.strip, 1.0), Paint::from(pen.look.panel_edge))?;
        pen.text(key, KEY, (left + 7.0, cap.middle()), HPos::Left, pen.look.text)?;
        let text = pen.fit(text, LINE, texts + 0.5);
        pen.text(&text, LINE, (left + keys + 14.0, cap.middle()), HPos::Left, pen.look.dim)?;
    }
    Ok(())
}

/// A box of whole pixels in the middle of another one.
fn centered(within: &Area, width: f64, height: f64) -> Area {
    let left = f64::midpoint(within.left, within.right) - width / 2.0;
    let top = f64::midpoint(within.top, within.bottom) - height / 2.0;
    Area::sized(left.round(), top.round(), width.ceil(), height.ceil())
}
