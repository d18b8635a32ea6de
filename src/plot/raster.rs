//! Antialiased shapes as coverage masks.
//!
//! A stroke is the union of its segments' capsules, and a pixel's coverage the greatest of any capsule's over it: joins
//! are round, never tear and never darken, at any angle. A mask is composited once, so that a translucent or
//! self-crossing line is even.

use crate::view::Rect;

/// A point in pixels.
pub(super) type Px = (f32, f32);

/// Coverage, 0 to 255, of the pixels in a rectangle. Reused between shapes: `take` leaves it clean.
#[derive(Default)]
pub(super) struct Mask {
    bounds: Rect,
    cover: Vec<u8>,
    dirty: Rect,
}

impl Mask {
    /// Makes ready for shapes inside `bounds`; what lies outside is clipped away.
    pub(super) fn reset(&mut self, bounds: Rect) {
        if self.bounds != bounds {
            self.bounds = bounds;
            self.cover.clear();
            self.cover.resize(bounds.width() as usize * bounds.height() as usize, 0);
        }
        self.dirty = Rect::default();
    }

    /// The part of `[left, right) x [top, bottom)` inside the bounds, which from now on counts as touched.
    fn touch(&mut self, left: f32, top: f32, right: f32, bottom: f32) -> Option<Rect> {
        // Casts saturate, so that the far ends of a huge shape clip like any other.
        let area = Rect {
            left: (left.floor() as i32).max(self.bounds.left),
            top: (top.floor() as i32).max(self.bounds.top),
            right: (right.ceil() as i32).min(self.bounds.right),
            bottom: (bottom.ceil() as i32).min(self.bounds.bottom),
        };
        if area.width() == 0 || area.height() == 0 {
            return None;
        }
        self.dirty = if self.dirty.width() == 0 {
            area
        } else {
            Rect {
                left: self.dirty.left.min(area.left),
                top: self.dirty.top.min(area.top),
                right: self.dirty.right.max(area.right),
                bottom: self.dirty.bottom.max(area.bottom),
            }
        };
        Some(area)
    }

    /// Columns `left..right` of a row; both inside the bounds.
    fn row(&mut self, y: i32, left: i32, right: i32) -> &mut [u8] {
        let start = (y - self.bounds.top) as usize * self.bounds.width() as usize;
        let left = start + (left - self.bounds.left) as usize;
        let right = start + (right - self.bounds.left) as usize;
        self.cover.get_mut(left..right).unwrap_or_default()
    }

    /// Calls `row(x, y, coverage)` for every touched row and wipes it.
    pub(super) fn take(&mut self, mut row: impl FnMut(i32, i32, &[u8])) {
        let dirty = self.dirty;
        for y in dirty.top..dirty.bottom {
            let cover = self.row(y, dirty.left, dirty.right);
            row(dirty.left, y, cover);
            cover.fill(0);
        }
        self.dirty = Rect::default();
    }

    /// All points within `radius` of the segment from `a` to `b`; a disc where they coincide.
    pub(super) fn capsule(&mut self, a: Px, b: Px, radius: f32) {
        // A pixel is covered from half a pixel outside the edge on, fully from half a pixel inside.
        let reach = radius + 0.5;
        let (min_x, max_x) = (a.0.min(b.0), a.0.max(b.0));
        let (min_y, max_y) = (a.1.min(b.1), a.1.max(b.1));
        let Some(area) = self.touch(min_x - reach, min_y - reach, max_x + reach, max_y + reach) else { return };

        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let length = dx.hypot(dy);
        let (ux, uy) = if length > 0.0 { (dx / length, dy / length) } else { (1.0, 0.0) };
        for y in area.top..area.bottom {
            let py = y as f32 + 0.5 - a.1;
            let (left, right) = if uy.abs() > 1e-3 {
                // Where this row crosses the infinite band around the segment.
                let (middle, half) = (a.0 + py * ux / uy, reach / uy.abs());
                (((middle - half).floor() as i32).max(area.left), ((middle + half).ceil() as i32).min(area.right))
            } else {
                (area.left, area.right)
            };
            if left >= right {
                continue;
            }
            let mut px = left as f32 + 0.5 - a.0;
            for cell in self.row(y, left, right) {
                let along = px * ux + py * uy;
                let distance = if along < 0.0 {
                    px.hypot(py)
                } else if along > length {
                    (px - dx).hypot(py - dy)
                } else {
                    (px * uy - py * ux).abs()
                };
                let cover = ((reach - distance).clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
                *cell = (*cell).max(cover);
                px += 1.0;
            }
        }
    }

    /// A circle's outline, `width` thick, centred on `radius`.
    pub(super) fn ring(&mut self, center: Px, radius: f32, width: f32) {
        let reach = radius + width / 2.0 + 0.5;
        let Some(area) = self.touch(center.0 - reach, center.1 - reach, center.0 + reach, center.1 + reach) else {
            return;
        };
        for y in area.top..area.bottom {
            let py = y as f32 + 0.5 - center.1;
            for (x, cell) in (area.left..).zip(self.row(y, area.left, area.right)) {
                let off = ((x as f32 + 0.5 - center.0).hypot(py) - radius).abs();
                *cell = (*cell).max(((width / 2.0 + 0.5 - off).clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
            }
        }
    }

    /// The inside of a closed polygon by the even-odd rule: exact across, sampled [`SUBROWS`] times down a pixel.
    pub(super) fn polygon(&mut self, vertices: &[Px]) {
        let fold = |pick: fn(&Px) -> f32, with: fn(f32, f32) -> f32| vertices.iter().map(pick).reduce(with);
        let (Some(left), Some(right)) = (fold(|p| p.0, f32::min), fold(|p| p.0, f32::max)) else { return };
        let (Some(top), Some(bottom)) = (fold(|p| p.1, f32::min), fold(|p| p.1, f32::max)) else { return };
        let Some(area) = self.touch(left, top, right, bottom) else { return };
        let (mut sums, mut crossings) = (vec![0.0_f32; area.width() as usize], Vec::new());
        for y in area.top..area.bottom {
            sums.fill(0.0);
            for sub in 0..SUBROWS {
                let at = y as f32 + (sub as f32 + 0.5) / SUBROWS as f32;
                cross(vertices, at, &mut crossings);
                for pair in crossings.chunks_exact(2) {
                    add_span(&mut sums, pair[0] - area.left as f32, pair[1] - area.left as f32);
                }
            }
            for (cell, sum) in self.row(y, area.left, area.right).iter_mut().zip(&sums) {
                *cell = (*cell).max((sum / SUBROWS as f32 * 255.0 + 0.5) as u8);
            }
        }
    }
}

/// Samples down a pixel for polygons.
const SUBROWS: usize = 8;

/// The columns at which a polygon's edges cross row `y`, in order.
fn cross(vertices: &[Px], y: f32, crossings: &mut Vec<f32>) {
    crossings.clear();
    let next = vertices.iter().cycle().skip(1);
    for (&(ax, ay), &(bx, by)) in vertices.iter().zip(next) {
        if (ay <= y) != (by <= y) {
            crossings.push(ax + (y - ay) / (by - ay) * (bx - ax));
        }
    }
    crossings.sort_by(f32::total_cmp);
}

/// Adds to each cell the share of it that lies in `[from, to)`.
fn add_span(cells: &mut [f32], from: f32, to: f32) {
    let (from, to) = (from.max(0.0), to.min(cells.len() as f32));
    let first = from as usize;
    for (x, cell) in cells.iter_mut().enumerate().skip(first) {
        let share = to.min(x as f32 + 1.0) - from.max(x as f32);
        if share <= 0.0 {
            break;
        }
        *cell += share;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(shape: impl FnOnce(&mut Mask)) -> Vec<Vec<u8>> {
        let mut mask = Mask::default();
        mask.reset(Rect { left: 0, top: 0, right: 20, bottom: 20 });
        shape(&mut mask);
        let mut rows = vec![vec![0; 20]; 20];
        mask.take(|x, y, cover| rows[y as usize][x as usize..x as usize + cover.len()].copy_from_slice(cover));
        mask.take(|_, _, _| panic!("taken twice"));
        rows
    }

    #[test]
    fn a_stroke_covers_its_width_wherever_it_lies_between_pixels() {
        for offset in [0.0, 0.25, 0.5, 0.75] {
            let rows = drawn(|mask| mask.capsule((3.0, 8.0 + offset), (17.0, 8.0 + offset), 0.75));
            let across: u32 = rows.iter().map(|row| u32::from(row[10])).sum();
            assert!(across.abs_diff(383) <= 2, "{offset}: {across}");
        }
    }

    #[test]
    fn huge_and_odd_shapes_are_clipped_not_fatal() {
        let rows = drawn(|mask| {
            mask.capsule((-1e9, 10.0), (1e9, 10.0), 1.0);
            mask.capsule((f32::NAN, 1.0), (2.0, f32::INFINITY), 1.0);
            mask.polygon(&[]);
            mask.polygon(&[(1.0, 1.0)]);
            mask.ring((-50.0, -50.0), 5.0, 1.0);
        });
        assert_eq!((rows[9][0], rows[10][19]), (255, 255));
    }

    #[test]
    fn a_polygon_covers_exactly_its_area() {
        let rows = drawn(|mask| mask.polygon(&[(2.5, 3.0), (7.5, 3.0), (7.5, 9.0), (2.5, 9.0)]));
        assert_eq!((rows[3][2], rows[3][3], rows[8][7], rows[9][5], rows[2][5]), (128, 255, 128, 0, 0));
    }
}
