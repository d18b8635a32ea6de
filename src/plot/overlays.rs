//! What floats above data and axes, from the lowest to the highest.

use plotters_backend::DrawingBackend;

use crate::chart::{Chart, Scene};
use crate::chart::{HitAreas, Layout};
use crate::plot::painter::{Area, LayerPainter};
use crate::plot::{PlotError, crosshair, marks, notice, outliers, overlay, ruler, search, title};

/// Panes lower than this show gaps, but have no room to name them.
const GAP_LABEL_PX: i32 = 120;

/// Draws all of it, and says where the findings of a search can be clicked.
pub(super) fn draw<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    scene: &Scene,
    charts: &[Chart],
    frame: &Layout,
    hits: &mut HitAreas,
) -> Result<(), PlotError> {
    hits.search_rows.clear();
    for (index, chart) in charts.iter().enumerate() {
        let pane = frame.pane(index);
        // Places that texts stand at already.
        let mut taken: Vec<Area> = Vec::new();
        if let Some(title) = chart.title.as_ref().filter(|_| !frame.is_grid()) {
            taken.extend(title::draw(painter, title, &pane)?);
        }
        let first_row = frame.cells().is_none_or(|cells| index < cells.columns);
        let common = if frame.is_grid() && first_row { &scene.chart.missing[..] } else { &[] };
        if !frame.is_grid() || pane.plot.height() >= GAP_LABEL_PX {
            crosshair::gap_labels(painter, chart, common, &pane, &mut taken)?;
        }
        outliers::draw(painter, chart, &pane)?;
        marks::draw(painter, chart, &pane, &mut taken)?;
        if let Some(measured) = &chart.ruler {
            ruler::draw(painter, measured, chart, &pane)?;
        }
    }
    if let Some(selection) = &scene.chart.selection {
        ruler::selection(painter, selection, frame)?;
    }
    for (index, chart) in charts.iter().enumerate() {
        crosshair::draw(painter, chart, frame, index)?;
    }
    if let Some(notice) = &scene.chart.notice {
        notice::draw(painter, notice, frame)?;
    }
    if let Some(found) = &scene.search {
        search::draw(painter, found, frame, hits)?;
    }
    if let Some(rows) = &scene.help {
        overlay::help(painter, rows, frame)?;
    }
    if let Some(toast) = &scene.toast {
        overlay::toast(painter, toast, frame)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::chart::ThemeColors;
    use crate::chart::{Absence, AxisKind, Mark, MissingBand, Scale, Size, Theme, Title};
    use crate::chart::{ValueSpan, Viewport};
    use crate::model::TimeSpan;
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
            chart.missing = gaps.into_iter()
                .map(|(start_ns, len, label)| MissingBand { start_ns, end_ns: start_ns + len, absence, label }).collect();
            chart.marks =
                marks.into_iter().map(|(time_ns, value, text)| Mark { time_ns, value, palette_index: 1, text }).collect();
            let figures = vec![("O".to_owned(), "183.08".to_owned()); figures];
            let title = Title { symbol: "SYMBOL".to_owned(), figures, ..Title::default() };

            let (frame, fonts, mut text) = (Layout::new(Size { width, height }), Fonts::new().unwrap(), String::new());
            let area = SVGBackend::with_string(&mut text, (width * 48, height * 48)).into_drawing_area();
            let painter = LayerPainter { area, fonts: &fonts, colors: ThemeColors::of(Theme::Dark), scale: Scale::One };
            let mut taken: Vec<Area> = title::draw(&painter, &title, &frame).unwrap().into_iter().collect();
            crosshair::gap_labels(&painter, &chart, &[], &frame, &mut taken).unwrap();
            let labels = taken.len();
            marks::draw(&painter, &chart, &frame, &mut taken).unwrap();
            let plot = Area::from(frame.plot);
            for (i, area) in taken.iter().enumerate() {
                // Marks themselves stand where their values are, and may touch.
                let is_mark = |i: usize, area: &Area| i >= labels && area.height() < 10.0;
                for (j, other) in taken.iter().enumerate().take(i) {
                    let apart = (is_mark(i, area) && (is_mark(j, other) || j < labels)) || !area.overlaps(other);
                    prop_assert!(apart, "{area:?} {other:?}");
                }
                prop_assert!(area.left >= plot.left && area.right <= plot.right, "{area:?}");
                prop_assert!(area.top >= plot.top && area.bottom <= plot.bottom, "{area:?}");
            }
        }
    }
}
