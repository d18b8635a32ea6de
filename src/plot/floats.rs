//! What floats above data and axes, from the lowest to the highest.

use plotters_backend::DrawingBackend;

use super::frame::{Frame, Hits};
use super::pen::{Area, Pen};
use super::{Chart, PlotError, Scene, cross, marks, notice, overlay, ruler, search, title};

/// Panes lower than this show gaps, but have no room to name them.
const GAP_LABEL_PX: i32 = 120;

/// Draws all of it, and says where the findings of a search can be clicked.
pub(super) fn draw<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    scene: &Scene,
    charts: &[Chart],
    frame: &Frame,
    hits: &mut Hits,
) -> Result<(), PlotError> {
    hits.found.clear();
    for (index, chart) in charts.iter().enumerate() {
        let pane = frame.pane(index);
        // Places that texts stand at already.
        let mut taken: Vec<Area> = Vec::new();
        if let Some(title) = chart.title.as_ref().filter(|_| !frame.is_grid()) {
            taken.extend(title::draw(pen, title, &pane)?);
        }
        let first_row = frame.cells().is_none_or(|cells| index < cells.columns);
        let common = if frame.is_grid() && first_row { &scene.chart.gaps[..] } else { &[] };
        if !frame.is_grid() || pane.plot.height() >= GAP_LABEL_PX {
            cross::gap_labels(pen, chart, common, &pane, &mut taken)?;
        }
        marks::draw(pen, chart, &pane, &mut taken)?;
        if let Some(measured) = &chart.ruler {
            ruler::draw(pen, measured, chart, &pane)?;
        }
    }
    if let Some(selection) = &scene.chart.selection {
        ruler::selection(pen, selection, frame)?;
    }
    for (index, chart) in charts.iter().enumerate() {
        cross::draw(pen, chart, frame, index)?;
    }
    if let Some(notice) = &scene.chart.notice {
        notice::draw(pen, notice, frame)?;
    }
    if let Some(found) = &scene.search {
        search::draw(pen, found, frame, hits)?;
    }
    if let Some(rows) = &scene.help {
        overlay::help(pen, rows, frame)?;
    }
    if let Some(toast) = &scene.toast {
        overlay::toast(pen, toast, frame)?;
    }
    Ok(())
}
