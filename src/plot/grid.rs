//! What lies between the panes of a grid, and around the one that has the focus.

use plotters_backend::DrawingBackend;

use crate::chart::Chart;
use crate::chart::Layout;
use crate::plot::PlotError;
use crate::plot::painter::{Area, LayerPainter, Paint};

/// Hairlines between panes, and an outline around those in focus.
pub(super) fn borders<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    charts: &[Chart],
    frame: &Layout,
) -> Result<(), PlotError> {
    let Some(cells) = frame.cells() else { return Ok(()) };
    let half = 0.5 / painter.scale.factor();
    for index in 0..cells.panes {
        let cell = Area::from(cells.cell(index));
        if index % cells.columns + 1 < cells.columns {
            let x = cell.right - 1.0 + half;
            painter.hairline((x, cell.top), (x, cell.bottom), painter.colors.grid)?;
        }
        if index / cells.columns + 1 < cells.rows() {
            let y = cell.bottom - 1.0 + half;
            painter.hairline((cell.left, y), (cell.right, y), painter.colors.grid)?;
        }
    }
    let cells_in_focus = charts.iter().enumerate().filter(|(_, chart)| chart.focus.is_some());
    for (index, _) in cells_in_focus.take_while(|(index, _)| *index < cells.panes) {
        let cell = Area::from(cells.cell(index));
        let outline = Area { left: cell.left + 1.0, top: cell.top, right: cell.right - 2.0, bottom: cell.bottom - 2.0 };
        painter.outlined(outline, 3.0, Paint(painter.colors.info, 0.75))?;
    }
    Ok(())
}
