//! Markers of distinct shapes, so that lines can be told apart without colours.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use super::DrawResult;
use super::painter::LayerPainter;
use crate::chart::PALETTE_LEN;

/// Radius of a marker on the chart, px.
pub(super) const RADIUS_PX: f64 = 4.25;
/// Width of the rim in the background colour, px.
const RIM_PX: f64 = 1.25;

/// Shape of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Circle,
    Square,
    Diamond,
    TriangleUp,
    TriangleDown,
    Cross,
    Plus,
    Star,
}

const SHAPES: [Shape; 8] = [
    Shape::Circle,
    Shape::Square,
    Shape::Diamond,
    Shape::TriangleUp,
    Shape::TriangleDown,
    Shape::Cross,
    Shape::Plus,
    Shape::Star,
];

/// Shape of a palette index. Indices with the same colour have different shapes.
fn shape(palette_index: usize) -> Shape {
    SHAPES[(palette_index % SHAPES.len() + palette_index / PALETTE_LEN) % SHAPES.len()]
}

/// Draws the marker of `palette_index` with a rim in the background colour.
pub(super) fn marker(painter: &LayerPainter<'_>, palette_index: usize, at: (f64, f64), radius: f64) -> DrawResult {
    let shape = shape(palette_index);
    for (radius, color) in
        [(radius + RIM_PX, painter.colors.background), (radius, painter.colors.palette_color(palette_index))]
    {
        match shape {
            Shape::Circle => painter.disc(at, radius * 0.9, color)?,
            _ => painter.polygon(outline(shape, at, radius), color)?,
        }
    }
    Ok(())
}

/// Corners of a shape about as large as a circle of `radius`.
fn outline(shape: Shape, (x, y): (f64, f64), radius: f64) -> Vec<(f64, f64)> {
    let regular = |corners: u32, first: f64, radius: f64| {
        let corner = move |i: u32| {
            let angle = first + TAU * f64::from(i) / f64::from(corners);
            (x + radius * angle.cos(), y + radius * angle.sin())
        };
        (0..corners).map(corner).collect::<Vec<_>>()
    };
    match shape {
        Shape::Circle => regular(24, 0.0, radius),
        Shape::Square => regular(4, PI / 4.0, radius * 1.15),
        Shape::Diamond => regular(4, 0.0, radius * 1.2),
        Shape::TriangleUp => regular(3, -FRAC_PI_2, radius * 1.2),
        Shape::TriangleDown => regular(3, FRAC_PI_2, radius * 1.2),
        Shape::Plus => crossed((x, y), radius, 0.0),
        Shape::Cross => crossed((x, y), radius, PI / 4.0),
        Shape::Star => {
            let tips = regular(5, -FRAC_PI_2, radius * 1.3);
            let dents = regular(5, -FRAC_PI_2 + PI / 5.0, radius * 0.58);
            tips.into_iter().zip(dents).flat_map(|(tip, dent)| [tip, dent]).collect()
        }
    }
}

/// Two crossed bars, rotated by `angle`.
fn crossed((x, y): (f64, f64), radius: f64, angle: f64) -> Vec<(f64, f64)> {
    let (long, half) = (radius * 1.1, radius * 0.4);
    let quarter = [(half, -long), (half, -half), (long, -half)];
    (0..4)
        .flat_map(|turn| {
            let (sin, cos) = (angle + f64::from(turn) * FRAC_PI_2).sin_cos();
            quarter.map(|(dx, dy)| (x + dx * cos - dy * sin, y + dx * sin + dy * cos))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_colour_have_different_shapes() {
        for palette_index in 0..8 {
            let alike: Vec<Shape> = (0..8).map(|round| shape(palette_index + round * PALETTE_LEN)).collect();
            for (i, a) in alike.iter().enumerate() {
                assert!(!alike[i + 1..].contains(a), "{alike:?}");
            }
        }
        let first: Vec<Shape> = (0..8).map(shape).collect();
        assert_eq!(first, SHAPES);
    }
}
