//! Overlays over data and axes, from the lowest to the highest.

use super::painter::{Area, LayerPainter};
use super::{DrawResult, crosshair, help, marks, notice, outliers, ruler, search, title};
use crate::chart::{Chart, HitAreas, Layout, Scene};

/// Minimum height of a pane with labels on its missing-data bands.
const MISSING_LABEL_PX: i32 = 120;

/// Draws all overlays and records the clickable areas of the search.
pub(super) fn draw(
    painter: &LayerPainter<'_>,
    scene: &Scene,
    charts: &[Chart],
    layout: &Layout,
    hits: &mut HitAreas,
) -> DrawResult {
    hits.search_rows.clear();
    for (index, chart) in charts.iter().enumerate() {
        let pane = layout.pane(index);
        // Areas occupied by texts.
        let mut occupied: Vec<Area> = Vec::new();
        if let Some(title) = chart.title.as_ref().filter(|_| !layout.is_grid()) {
            occupied.extend(title::draw(painter, title, &pane)?);
        }
        let first_row = layout.pane_grid().is_none_or(|cells| index < cells.columns);
        let common = if layout.is_grid() && first_row { &scene.chart.missing[..] } else { &[] };
        if !layout.is_grid() || pane.plot.height() >= MISSING_LABEL_PX {
            crosshair::missing_labels(painter, chart, common, &pane, &mut occupied)?;
        }
        outliers::draw(painter, chart, &pane)?;
        marks::draw(painter, chart, &pane, &mut occupied)?;
        if let Some(measured) = &chart.ruler {
            ruler::draw(painter, measured, chart, &pane)?;
        }
    }
    if let Some(selection) = &scene.chart.selection {
        ruler::selection(painter, selection, layout)?;
    }
    for (index, chart) in charts.iter().enumerate() {
        crosshair::draw(painter, chart, layout, index)?;
    }
    if let Some(notice) = &scene.chart.notice {
        notice::draw(painter, notice, layout)?;
    }
    if let Some(found) = &scene.search {
        search::draw(painter, found, layout, hits)?;
    }
    if let Some(rows) = &scene.help {
        help::draw(painter, rows, layout)?;
    }
    if let Some(toast) = &scene.toast {
        help::draw_toast(painter, toast, layout)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::chart::ThemeColors;
    use crate::chart::{Absence, AxisKind, Mark, MissingBand, Scale, Size, Theme, Title};
    use crate::chart::{ValueSpan, Viewport};
    use crate::model::TimeSpan;
    use crate::plot::backend::Backend;
    use crate::plot::font::Fonts;
    use crate::plot::overlays::*;
    use jiff::tz::TimeZone;
    use plotters::backend::SVGBackend;
    use plotters::drawing::IntoDrawingArea;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn texts_over_the_data_never_cover_each_other(
            width in 80_u32..900, height in 80_u32..600,
            gaps in prop::collection::vec((0_i64..1_000, 1_i64..300, "[a-z0-9 ]{1,24}"), 0..8),
            marks in prop::collection::vec((0_i64..1_000, prop::option::of(0.0_f64..100.0), "[A-Z> 0-9]{0,30}"), 0..40),
            figures in 0_usize..8,
        ) {
            let viewport =
                Viewport { time: TimeSpan { start: 0, end: 1_000 }, value: ValueSpan { lo: 0.0, hi: 100.0 } };
            let mut chart = Chart::empty(viewport, AxisKind::Price, TimeZone::UTC);
            let absence = Absence::Missing;
            let band = |(start_ns, len, label)| MissingBand { start_ns, end_ns: start_ns + len, absence, label };
            chart.missing = gaps.into_iter().map(band).collect();
            let mark = |(time_ns, value, text)| Mark { time_ns, value, palette_index: 1, text };
            chart.marks = marks.into_iter().map(mark).collect();
            let figures = vec![("O".to_owned(), "183.08".to_owned()); figures];
            let title = Title { symbol: "SYMBOL".to_owned(), figures, ..Title::default() };

            let (layout, fonts, mut text) = (Layout::new(Size { width, height }), Fonts::new().unwrap(), String::new());
            let area = Backend::Svg(SVGBackend::with_string(&mut text, (width * 48, height * 48))).into_drawing_area();
            let painter = LayerPainter { area, fonts: &fonts, colors: ThemeColors::of(Theme::Dark), scale: Scale::One };
            let mut occupied: Vec<Area> = title::draw(&painter, &title, &layout).unwrap().into_iter().collect();
            crosshair::missing_labels(&painter, &chart, &[], &layout, &mut occupied).unwrap();
            let labels = occupied.len();
            marks::draw(&painter, &chart, &layout, &mut occupied).unwrap();
            let plot = Area::from(layout.plot);
            for (i, area) in occupied.iter().enumerate() {
                // Marks themselves are at their values and may touch.
                let is_mark = |i: usize, area: &Area| i >= labels && area.height() < 10.0;
                for (j, other) in occupied.iter().enumerate().take(i) {
                    let apart = (is_mark(i, area) && (is_mark(j, other) || j < labels)) || !area.overlaps(other);
                    prop_assert!(apart, "{area:?} {other:?}");
                }
                prop_assert!(area.left >= plot.left && area.right <= plot.right, "{area:?}");
                prop_assert!(area.top >= plot.top && area.bottom <= plot.bottom, "{area:?}");
            }
        }
    }
}
