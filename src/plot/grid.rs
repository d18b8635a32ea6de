//! What lies between the panes of a grid, and around the one that has the focus.

use plotters_backend::DrawingBackend;

use crate::chart::Chart;
use crate::chart::Frame;
use crate::plot::PlotError;
use crate::plot::painter::{Area, Paint, Pen};

/// Hairlines between panes, and an outline around those in focus.
pub(super) fn borders<DB: DrawingBackend>(pen: &Pen<'_, DB>, charts: &[Chart], frame: &Frame) -> Result<(), PlotError> {
    let Some(cells) = frame.cells() else { return Ok(()) };
    let half = 0.5 / pen.scale.factor();
    for index in 0..cells.panes {
        let cell = Area::from(cells.cell(index));
        if index % cells.columns + 1 < cells.columns {
            let x = cell.right - 1.0 + half;
            pen.hairline((x, cell.top), (x, cell.bottom), pen.look.grid)?;
        }
        if index / cells.columns + 1 < cells.rows() {
            let y = cell.bottom - 1.0 + half;
            pen.hairline((cell.left, y), (cell.right, y), pen.look.grid)?;
        }
    }
    let cells_in_focus = charts.iter().enumerate().filter(|(_, chart)| chart.focus.is_some());
    for (index, _) in cells_in_focus.take_while(|(index, _)| *index < cells.panes) {
        let cell = Area::from(cells.cell(index));
        let outline = Area { left: cell.left + 1.0, top: cell.top, right: cell.right - 2.0, bottom: cell.bottom - 2.0 };
        pen.outlined(outline, 3.0, Paint(pen.look.info, 0.75))?;
    }
    Ok(())
}
