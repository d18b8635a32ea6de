//! Scene as an SVG document, by plotters' SVG backend.
//!
//! plotters writes a document for each layer. They are joined into one: the root's `viewBox` declares the resolution of
//! plotters' coordinates, and the data of each plot becomes a nested `svg` element that clips it.

use std::fmt::Write as _;

use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;

use super::backend::Backend;
use super::background::Ticks;
use super::font::{Fonts, MIDDLE_EM};
use super::layers::Pane;
use super::painter::LayerPainter;
use super::units::UNITS_PER_PX;
use super::{DrawResult, PlotError, background, bars, data, footer, grid, header, layers, overlays};
use crate::chart::{HitAreas, Layout, Rect, Scene, ThemeColors};

pub(super) fn document(scene: &Scene, layout: &Layout, fonts: &Fonts) -> Result<String, PlotError> {
    let layout = *layout;
    let charts = layers::charts(scene, &layout);
    let ticks = Ticks::all(charts, &layout, fonts);
    let panes = layers::panes(scene, &layout, &ticks);
    let layer = |draw: &dyn Fn(&LayerPainter<'_>) -> DrawResult| layer(&layout, scene, fonts, draw);
    let under = layer(&|painter| {
        background::fill_background(painter, &layout)?;
        grid::borders(painter, charts, &layout)?;
        panes.iter().try_for_each(|pane| pane.draw_below_data(painter))
    })?;
    let over = layer(&|painter| {
        let mut hits = HitAreas::default();
        for pane in &panes {
            pane.draw_value_axis(painter)?;
            pane.draw_time_axis(painter)?;
            if layout.is_grid() {
                pane.draw_title(painter)?;
            }
        }
        header::draw(painter, &scene.header, &layout, &mut hits)?;
        footer::draw(painter, &scene.footer, &layout, &mut hits)?;
        overlays::draw(painter, scene, charts, &layout, &mut hits)
    })?;
    let (width, height) = (layout.header.right, layout.footer.bottom);
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {} {}">"#,
        width * UNITS_PER_PX,
        height * UNITS_PER_PX,
    );
    out.push('\n');
    out.push_str(&under);
    for pane in &panes {
        let Pane { chart, layout, common, .. } = *pane;
        clipped(&mut out, layout.plot, &layer(&|painter| data::draw(painter, chart, &layout, common))?);
        clipped(&mut out, layout.volume, &layer(&|painter| bars::volume(painter, chart, &layout, common))?);
    }
    out.push_str(&over);
    out.push_str("</svg>\n");
    Ok(out)
}

/// Appends `elements`, clipped to `clip`.
fn clipped(out: &mut String, clip: Rect, elements: &str) {
    if clip.is_empty() || elements.trim().is_empty() {
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

/// Elements drawn by `draw`, without the enclosing document.
fn layer(
    layout: &Layout,
    scene: &Scene,
    fonts: &Fonts,
    draw: impl FnOnce(&LayerPainter<'_>) -> DrawResult,
) -> Result<String, PlotError> {
    let mut text = String::new();
    let units = |px: i32| (px * UNITS_PER_PX).unsigned_abs();
    let fine = (units(layout.header.right), units(layout.footer.bottom));
    let area = Backend::Svg(SVGBackend::with_string(&mut text, fine)).into_drawing_area();
    let painter = LayerPainter { area, fonts, colors: ThemeColors::of(scene.theme), scale: layout.scale };
    draw(&painter)?;
    painter.area.present()?;
    drop(painter);
    let inner = text.split_once('\n').map_or("", |(_, rest)| rest);
    let inner = inner.trim_end().strip_suffix("</svg>").unwrap_or(inner);
    // plotters centres text on its x-height, the framebuffer on its capitals. Quotes are escaped in text content, so
    // only attributes match.
    Ok(inner.replace(r#"dy="0.5ex""#, &format!(r#"dy="{MIDDLE_EM}em""#)))
}
