//! Borders between the panes of a grid, and outlines of focused panes.

use super::DrawResult;
use super::painter::{Area, LayerPainter, Paint};
use crate::chart::{Chart, Layout};

/// Draws hairlines between panes and an outline around focused ones.
pub(super) fn borders(painter: &LayerPainter<'_>, charts: &[Chart], layout: &Layout) -> DrawResult {
    let Some(cells) = layout.pane_grid() else { return Ok(()) };
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
