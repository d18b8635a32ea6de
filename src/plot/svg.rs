//! A scene as an SVG document, by plotters' SVG backend.
//!
//! plotters writes a document of its own for each layer. The layers are joined into one: the root says how fine
//! plotters' coordinates are, and the data of each plot becomes a nested `svg` element, which clips it to the plot.

use std::fmt::Write as _;

use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;

use super::font::{Fonts, MIDDLE_EM};
use super::layers::Pane;
use crate::chart::Layout;
use crate::chart::Rect;
use crate::chart::Scene;
use crate::chart::ThemeColors;
use crate::plot::background::Ticks;
use crate::plot::framebuffer::UNITS_PER_PX;
use crate::plot::painter::LayerPainter;
use crate::plot::{PlotError, bars, data, layers};

pub(super) fn document(scene: &Scene, frame: &Layout, fonts: &Fonts) -> Result<String, PlotError> {
    let frame = *frame;
    let ticks = Ticks::all(layers::charts(scene, &frame), &frame, fonts);
    let panes = layers::panes(scene, &frame, &ticks);
    let layer =
        |draw: &dyn Fn(&LayerPainter<'_, SVGBackend<'_>>) -> Result<(), PlotError>| layer(&frame, scene, fonts, draw);
    let under = layer(&|painter| layers::back(painter, scene, &frame, &panes))?;
    let over = layer(&|painter| layers::front(painter, scene, &frame, &panes))?;
    let (width, height) = (frame.header.right, frame.footer.bottom);
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {} {}">"#,
        width * UNITS_PER_PX,
        height * UNITS_PER_PX,
    );
    out.push('\n');
    out.push_str(&under);
    for pane in &panes {
        let Pane { chart, frame, common, .. } = *pane;
        clipped(&mut out, frame.plot, &layer(&|painter| data::draw(painter, chart, &frame, common))?);
        clipped(&mut out, frame.volume, &layer(&|painter| bars::volume(painter, chart, &frame, common))?);
    }
    out.push_str(&over);
    out.push_str("</svg>\n");
    Ok(out)
}

/// Adds `elements`, of which only what lies in `clip` is seen.
fn clipped(out: &mut String, clip: Rect, elements: &str) {
    if clip.width() == 0 || clip.height() == 0 || elements.trim().is_empty() {
        return;
    }
    let [x, y, w, h] = [clip.left, clip.top, clip.width(), clip.height()].map(|px| px * UNITS_PER_PX);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        r#"<svg x="{x}" y="{y}" width="{w}" height="{h}" viewBox="{x} {y} {w} {h}" stroke-linejoin="round">"#
    );
    out.push_str(elements);
    out.push_str("</svg>\n");
}

/// The elements that `draw` makes, without the document around them.
fn layer(
    frame: &Layout,
    scene: &Scene,
    fonts: &Fonts,
    draw: impl FnOnce(&LayerPainter<'_, SVGBackend<'_>>) -> Result<(), PlotError>,
) -> Result<String, PlotError> {
    let mut text = String::new();
    let units = |px: i32| (px * UNITS_PER_PX).unsigned_abs();
    let fine = (units(frame.header.right), units(frame.footer.bottom));
    let area = SVGBackend::with_string(&mut text, fine).into_drawing_area();
    let painter = LayerPainter { area, fonts, colors: ThemeColors::of(scene.theme), scale: frame.scale };
    draw(&painter)?;
    painter.area.present()?;
    drop(painter);
    let inner = text.split_once('\n').map_or("", |(_, rest)| rest);
    let inner = inner.trim_end().strip_suffix("</svg>").unwrap_or(inner);
    // plotters centres text on its x-height, the framebuffer on its capitals. Quotes are escaped in text content, so
    // that only attributes can match.
    Ok(inner.replace(r#"dy="0.5ex""#, &format!(r#"dy="{MIDDLE_EM}em""#)))
}
