//! Filtered ticks: a cross at each one, or an arrow at the edge beyond which it lies.

use super::DrawResult;
use super::painter::{Area, LayerPainter, Paint};
use crate::chart::{Chart, Layout, Outlier};

/// Half the width of a cross, px.
const HALF_PX: f64 = 4.0;

/// Width of a stroke, px, and of its rim in the background colour.
const STROKE_PX: f64 = 1.6;

/// Height of an arrow, px.
const ARROW_PX: f64 = 7.0;

/// Place of an outlier.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Cross(f64, f64),
    /// Column; above the plot.
    Above(f64),
    /// Column; below the plot.
    Below(f64),
}

fn place(chart: &Chart, plot: &Area, outlier: &Outlier) -> Option<Place> {
    let viewport = chart.viewport;
    if !viewport.time.contains(outlier.time_ns) {
        return None;
    }
    let x = plot.x_of(viewport.time, outlier.time_ns);
    let y = plot.y_of(viewport.value, outlier.value);
    Some(match y {
        _ if y < plot.top => Place::Above(x),
        _ if y > plot.bottom => Place::Below(x),
        _ => Place::Cross(x, y),
    })
}

/// Draws the outliers of a plot. Of those at the same place one is drawn.
pub(super) fn draw(painter: &LayerPainter<'_>, chart: &Chart, layout: &Layout) -> DrawResult {
    let plot = Area::from(layout.plot);
    if plot.width() < 4.0 * HALF_PX || plot.height() < 3.0 * ARROW_PX {
        return Ok(());
    }
    let mut last = None;
    for outlier in &chart.outliers {
        let Some(place) = place(chart, &plot, outlier) else { continue };
        if last.replace((place, outlier.palette_index)) == Some((place, outlier.palette_index)) {
            continue;
        }
        let color = painter.colors.palette_color(outlier.palette_index);
        match place {
            Place::Cross(x, y) => {
                // The whole mark stays inside the plot.
                let x = x.clamp(plot.left + HALF_PX, plot.right - HALF_PX);
                let y = y.clamp(plot.top + HALF_PX, plot.bottom - HALF_PX);
                for (width, paint) in
                    [(STROKE_PX + 2.0, Paint::from(painter.colors.background)), (STROKE_PX, color.into())]
                {
                    for slope in [1.0, -1.0] {
                        let end = |side: f64| (x + side * HALF_PX, y + side * slope * HALF_PX);
                        painter.path([end(-1.0), end(1.0)], width, paint)?;
                    }
                }
            }
            Place::Above(x) => arrow(painter, (x, plot.top + 1.0), 1.0, outlier.palette_index)?,
            Place::Below(x) => arrow(painter, (x, plot.bottom - 1.0), -1.0, outlier.palette_index)?,
        }
    }
    Ok(())
}

/// Draws a triangle with its tip at `(x, y)` and its base in the direction of `down`.
fn arrow(painter: &LayerPainter<'_>, (x, y): (f64, f64), down: f64, palette_index: usize) -> DrawResult {
    let shape = |grown: f64| {
        [
            (x, y - down * grown),
            (x - HALF_PX - grown, y + down * (ARROW_PX + grown)),
            (x + HALF_PX + grown, y + down * (ARROW_PX + grown)),
        ]
    };
    painter.polygon(shape(1.0), painter.colors.background)?;
    painter.polygon(shape(0.0), painter.colors.palette_color(palette_index))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::chart::{AxisKind, Size};
    use crate::chart::{ValueSpan, Viewport};
    use crate::model::TimeSpan;

    #[test]
    fn an_outlier_beyond_the_axis_is_drawn_at_its_edge() {
        let viewport = Viewport { time: TimeSpan { start: 0, end: 100 }, value: ValueSpan { lo: 10.0, hi: 20.0 } };
        let chart = Chart::empty(viewport, AxisKind::Price, TimeZone::UTC);
        let plot = Area::from(Layout::new(Size { width: 640, height: 400 }).plot);
        let of = |time_ns: i64, value: f64| place(&chart, &plot, &Outlier { time_ns, value, palette_index: 0 });
        let middle = (f64::midpoint(plot.left, plot.right), plot.middle());
        assert_eq!(of(50, 15.0), Some(Place::Cross(middle.0, middle.1)));
        assert_eq!(of(50, 20.5), Some(Place::Above(middle.0)));
        assert_eq!(of(50, -1.0e300), Some(Place::Below(middle.0)));
        assert_eq!((of(-1, 15.0), of(100, 15.0)), (None, None));
    }
}
