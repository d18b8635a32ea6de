//! A scene as an SVG document, by plotters' SVG backend.
//!
//! plotters writes a document of its own for each layer. The layers are joined into one: the root says how fine
//! plotters' coordinates are, and the data's layer becomes a nested `svg` element, which clips it to the plot.

use std::fmt::Write as _;

use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;

use super::canvas::UNITS_PER_PX;
use super::font::{Fonts, MIDDLE_EM};
use super::frame::Frame;
use super::ground::Ticks;
use super::look::Look;
use super::pen::Pen;
use super::{PlotError, Scene, Size, data, ground, layers};

pub(super) fn document(scene: &Scene, frame: &Frame, fonts: &Fonts) -> Result<String, PlotError> {
    let (frame, size) = (*frame, frame.size);
    let ticks = Ticks::new(&scene.chart, &frame, fonts);
    let under = layer(size, scene, fonts, |pen| ground::draw(pen, &frame, &scene.chart, &ticks))?;
    let lines = layer(size, scene, fonts, |pen| data::draw(pen, &scene.chart, &frame))?;
    let over = layer(size, scene, fonts, |pen| layers::front(pen, scene, &frame, &ticks))?;

    let Size { width, height } = size;
    let units = |px: i32| px * UNITS_PER_PX;
    let (fine_width, fine_height) = (units(width as i32), units(height as i32));
    let mut out = String::with_capacity(under.len() + lines.len() + over.len() + 512);
    let written = (|| {
        write!(out, r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" "#)?;
        writeln!(out, r#"viewBox="0 0 {fine_width} {fine_height}">"#)?;
        out.push_str(&under);
        let plot = frame.plot;
        if plot.width() > 0 && plot.height() > 0 {
            let (x, y, w, h) = (units(plot.left), units(plot.top), units(plot.width()), units(plot.height()));
            write!(out, r#"<svg x="{x}" y="{y}" width="{w}" height="{h}" viewBox="{x} {y} {w} {h}" "#)?;
            writeln!(out, r#"stroke-linejoin="round">"#)?;
            out.push_str(&lines);
            out.push_str("</svg>\n");
        }
        out.push_str(&over);
        out.push_str("</svg>\n");
        Ok::<(), std::fmt::Error>(())
    })();
    written.map_err(|error| PlotError::Draw(error.to_string()))?;
    Ok(out)
}

/// The elements that `draw` makes, without the document around them.
fn layer(
    size: Size,
    scene: &Scene,
    fonts: &Fonts,
    draw: impl FnOnce(&Pen<'_, SVGBackend<'_>>) -> Result<(), PlotError>,
) -> Result<String, PlotError> {
    let mut text = String::new();
    let fine = (size.width * UNITS_PER_PX as u32, size.height * UNITS_PER_PX as u32);
    let pen =
        Pen { area: SVGBackend::with_string(&mut text, fine).into_drawing_area(), fonts, look: Look::new(scene.theme) };
    draw(&pen)?;
    pen.area.present()?;
    drop(pen);
    let inner = text.split_once('\n').map_or("", |(_, rest)| rest);
    let inner = inner.trim_end().strip_suffix("</svg>").unwrap_or(inner);
    // plotters centres text on its x-height, the framebuffer on its capitals. Quotes are escaped in text content, so
    // that only attributes can match.
    Ok(inner.replace(r#"dy="0.5ex""#, &format!(r#"dy="{MIDDLE_EM}em""#)))
}
