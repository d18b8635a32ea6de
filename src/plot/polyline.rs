//! Visible polylines of a run of points.
//!
//! Pixels are those of the screen, at any scale of the layout. Coordinates are `f64` until they become plotters'
//! integers. Points may be arbitrarily far outside the view; each segment is clipped to the plot (Liang and Barsky, "A
//! New Concept and Method for Line Clipping", 1984) before it is rasterized, so that distant ends neither overflow nor
//! cost time, and lines leave at the right angle.

use plotters_backend::BackendCoord;

use super::axes::difference;
use super::painter::Area;
use crate::chart::{Point, Rect, Transform, Viewport};
use crate::model::TimeSpan;

/// Distance past the plot's edge at which lines are clipped, px: more than their width, so that caps stay invisible.
const MARGIN_PX: f64 = 4.0;

/// Distance to the edge of a column, px, within which rounding could put a vertex into the wrong column.
const EDGE_PX: f64 = 1e-6;

/// Stand-in for infinity: beyond the rows of any value in a sane span, and small enough for exact clipping.
const ROW_MAX: f64 = 1e30;

/// Visible part of a run.
#[derive(Debug, PartialEq)]
pub(super) enum Stroke {
    /// At least two vertices, in units.
    Path(Vec<BackendCoord>),
    /// A run within one pixel, in units.
    Dot(BackendCoord),
}

/// Mapping from data to pixels. Factors that all vertices share are computed once.
struct PointMapping {
    viewport: Viewport,
    plot: Area,
    exact: Transform,
    /// Pixels per nanosecond, and per half unit of the value.
    per_ns: f64,
    per_half: f64,
}

impl PointMapping {
    fn new(viewport: Viewport, plot: Rect) -> Self {
        let TimeSpan { start, end } = viewport.time;
        let exact = Transform { viewport, rect: plot };
        let plot = Area::from(plot);
        let per_ns = plot.width() / difference(end, start).max(1.0);
        let per_half = plot.height() / (viewport.value.hi / 2.0 - viewport.value.lo / 2.0);
        Self { viewport, plot, exact, per_ns, per_half }
    }

    fn vertex(&self, point: &Point) -> (f64, f64) {
        let x = self.plot.left + difference(point.time_ns, self.viewport.time.start) * self.per_ns;
        // The column of a vertex must be the one that downsampling assigns to it.
        let off = x - f64::from(floor(x));
        let x = if (EDGE_PX..=1.0 - EDGE_PX).contains(&off) { x } else { self.exact.x(point.time_ns) };
        // Halved, so that the length of the widest span is finite. Extremely narrow spans, for which the factor
        // overflows, divide instead.
        let up = if self.per_half.is_finite() && self.per_half > 0.0 {
            (point.value / 2.0 - self.viewport.value.lo / 2.0) * self.per_half
        } else {
            self.viewport.value.share(point.value) * self.plot.height()
        };
        (x, (self.plot.bottom - up).clamp(-ROW_MAX, ROW_MAX))
    }
}

/// Visible strokes of `run` when `viewport` fills `plot`, with `unit` units per pixel. Points that are not finite are
/// skipped.
pub(super) fn strokes(run: &[Point], viewport: Viewport, plot: Rect, unit: i32) -> Vec<Stroke> {
    let mapping = PointMapping::new(viewport, plot);
    let mut vertices: Vec<(f64, f64)> = Vec::with_capacity(run.len());
    vertices.extend(run.iter().filter(|point| point.value.is_finite()).map(|point| mapping.vertex(point)));
    let Some(&first) = vertices.first() else { return Vec::new() };
    if vertices.iter().all(|v| (v.0 - first.0).abs() < 1.0 && (v.1 - first.1).abs() < 1.0) {
        // The far edges belong to the plot: the newest tick lies exactly on the right edge.
        let inside = Area::from(plot).holds(first);
        return if inside { vec![Stroke::Dot(to_units(first, unit))] } else { Vec::new() };
    }
    straighten(&mut vertices, plot);
    clip(&vertices, plot, unit)
}

/// Moves vertices that share a column of the plot to its middle. Dense data, one tall stroke per column, is sharp
/// instead of smeared over two columns. The points of a column that downsampling omits lie on the drawn stroke, so
/// omitting them does not change a pixel.
fn straighten(vertices: &mut [(f64, f64)], plot: Rect) {
    let Some((first, rest)) = vertices.split_first_mut() else { return };
    let mut last_column = floor(first.0);
    let mut last = first;
    for vertex in rest {
        let column = floor(vertex.0);
        if column == last_column && (plot.left..plot.right).contains(&column) {
            let middle = f64::from(column) + 0.5;
            last.0 = middle;
            vertex.0 = middle;
        }
        (last, last_column) = (vertex, column);
    }
}

/// Clips a polyline to the plot; each visible part becomes one stroke.
fn clip(vertices: &[(f64, f64)], plot: Rect, unit: i32) -> Vec<Stroke> {
    let bounds = Area::from(plot).inset(-MARGIN_PX);
    let mut strokes = Vec::new();
    let mut path: Vec<BackendCoord> = Vec::with_capacity(vertices.len());
    let mut finish = |path: &mut Vec<BackendCoord>| {
        let path = std::mem::take(path);
        match path.as_slice() {
            [] => {}
            [only] => strokes.push(Stroke::Dot(*only)),
            _ => strokes.push(Stroke::Path(path)),
        }
    };
    for pair in vertices.windows(2) {
        let Some((from, to)) = visible(pair[0], pair[1], &bounds) else {
            finish(&mut path);
            continue;
        };
        let (start, end) = (to_units(from, unit), to_units(to, unit));
        if path.last() != Some(&start) {
            finish(&mut path);
            path.push(start);
        }
        if start != end {
            path.push(end);
        }
    }
    finish(&mut path);
    strokes
}

/// Part of a segment inside `bounds`.
fn visible(a: (f64, f64), b: (f64, f64), bounds: &Area) -> Option<((f64, f64), (f64, f64))> {
    // Fast path: most segments lie inside entirely.
    if bounds.holds(a) && bounds.holds(b) {
        return Some((a, b));
    }
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    let edges =
        [(-dx, a.0 - bounds.left), (dx, bounds.right - a.0), (-dy, a.1 - bounds.top), (dy, bounds.bottom - a.1)];
    for (slope, room) in edges {
        if slope == 0.0 {
            if room < 0.0 {
                return None;
            }
        } else if slope < 0.0 {
            enter = enter.max(room / slope);
        } else {
            leave = leave.min(room / slope);
        }
    }
    if enter > leave {
        return None;
    }
    let along = |share: f64| {
        let (x, y) = if share <= 0.0 {
            a
        } else if share >= 1.0 {
            b
        } else {
            (a.0 + share * dx, a.1 + share * dy)
        };
        // In very long segments rounding may overshoot the clipping edge.
        (x.clamp(bounds.left, bounds.right), y.clamp(bounds.top, bounds.bottom))
    };
    Some((along(enter), along(leave)))
}

fn to_units((x, y): (f64, f64), unit: i32) -> BackendCoord {
    let scale = f64::from(unit);
    (floor(x * scale + 0.5), floor(y * scale + 0.5))
}

/// Floor as an integer. `f64::floor` is a call into the C library on baseline x86-64.
fn floor(x: f64) -> i32 {
    let clip = x as i32;
    clip.saturating_sub(i32::from(x < f64::from(clip)))
}

#[cfg(test)]
mod tests {
    use crate::chart::ValueSpan;
    use crate::plot::polyline::*;

    const PLOT: Rect = Rect { left: 10, top: 10, right: 110, bottom: 60 };

    fn view() -> Viewport {
        Viewport { time: TimeSpan { start: 0, end: 1_000 }, value: ValueSpan { lo: 0.0, hi: 50.0 } }
    }

    fn point(time_ns: i64, value: f64) -> Point {
        Point { time_ns, value }
    }

    #[test]
    fn extremes_are_cut_at_the_right_angle() {
        let run = [point(i64::MIN, f64::MIN), point(i64::MAX, f64::MAX)];
        for stroke in strokes(&run, view(), PLOT, 16) {
            let Stroke::Path(path) = stroke else { continue };
            assert!(path.iter().all(|&(x, y)| (96..=1_824).contains(&x) && (96..=1_024).contains(&y)), "{path:?}");
        }
        // The diagonal of a view ten times larger is the same diagonal.
        let strokes = strokes(&[point(-10_000, -500.0), point(10_000, 500.0)], view(), PLOT, 16);
        let [Stroke::Path(path)] = strokes.as_slice() else { panic!("{strokes:?}") };
        let [(x0, y0), (x1, y1)] = path[..] else { panic!("{path:?}") };
        assert_eq!((x1 - x0, y0 - y1), ((100 + 8) * 16, (50 + 4) * 16), "{path:?}");
    }

    #[test]
    fn a_run_that_leaves_and_returns_is_two_strokes() {
        let run = [point(100, 10.0), point(200, 900.0), point(800, 900.0), point(900, 10.0)];
        assert_eq!(strokes(&run, view(), PLOT, 16).len(), 2);
        assert!(strokes(&[point(-500, 10.0), point(-400, 20.0)], view(), PLOT, 16).is_empty());
    }

    #[test]
    fn a_lone_point_is_a_dot_inside_the_plot_only() {
        assert_eq!(strokes(&[point(500, 25.0)], view(), PLOT, 16), [Stroke::Dot((60 * 16, 35 * 16))]);
        assert_eq!(strokes(&[point(1_000, 0.0)], view(), PLOT, 16).len(), 1);
        assert!(strokes(&[point(5_000, 25.0)], view(), PLOT, 16).is_empty());
        assert!(strokes(&[point(500, f64::NAN)], view(), PLOT, 16).is_empty());
    }
}
