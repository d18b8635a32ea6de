//! Antialiased shapes as coverage masks.
//!
//! Discs, rings and polygons; strokes are drawn by [`super::columns`]. A mask is composited once, so translucent and
//! self-overlapping shapes are even.

use crate::chart::Rect;

/// Point in pixels.
pub(super) type Px = (f32, f32);

/// Coverage, 0 to 255, of the pixels of a frame. Reused between shapes; `take` clears it.
#[derive(Default)]
pub(super) struct Mask {
    size: Size,
    clip: Rect,
    cover: Vec<u8>,
    dirty: Rect,
}

/// Columns and rows.
type Size = (usize, usize);

impl Mask {
    /// Prepares for shapes in a frame of `size`, clipped to `clip`.
    pub(super) fn reset(&mut self, size: Size, clip: Rect) {
        if self.size != size {
            self.size = size;
            self.cover.clear();
            self.cover.resize(size.0 * size.1, 0);
        }
        self.clip = clip;
        self.dirty = Rect::default();
    }

    /// The part of `[left, right) x [top, bottom)` inside the clip, marked as touched.
    fn touch(&mut self, left: f32, top: f32, right: f32, bottom: f32) -> Option<Rect> {
        // Casts saturate, so huge shapes are clipped like any other.
        let area = Rect {
            left: floor(left).max(self.clip.left),
            top: floor(top).max(self.clip.top),
            right: ceil(right).min(self.clip.right),
            bottom: ceil(bottom).min(self.clip.bottom),
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

    /// Columns `left..right` of a row. All must be inside the clip.
    fn row(&mut self, y: i32, left: i32, right: i32) -> &mut [u8] {
        let start = y as usize * self.size.0;
        self.cover.get_mut(start + left as usize..start + right as usize).unwrap_or_default()
    }

    /// Calls `row(x, y, coverage)` for every touched row, and clears the mask.
    pub(super) fn take(&mut self, mut row: impl FnMut(i32, i32, &[u8])) {
        let dirty = self.dirty;
        for y in dirty.top..dirty.bottom {
            let cover = self.row(y, dirty.left, dirty.right);
            row(dirty.left, y, cover);
            cover.fill(0);
        }
        self.dirty = Rect::default();
    }

    /// Covers all points within `radius` of `center`.
    pub(super) fn disc(&mut self, center: Px, radius: f32) {
        // Coverage begins half a pixel outside the edge and is full half a pixel inside.
        let reach = radius + 0.5;
        let Some(area) = self.touch(center.0 - reach, center.1 - reach, center.0 + reach, center.1 + reach) else {
            return;
        };
        for y in area.top..area.bottom {
            let py = y as f32 + 0.5 - center.1;
            for (x, cell) in (area.left..).zip(self.row(y, area.left, area.right)) {
                let px = x as f32 + 0.5 - center.0;
                *cell = (*cell).max(((reach - (px * px + py * py).sqrt()).clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
            }
        }
    }

    /// Covers a circle, `width` wide, centred on `radius`.
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

    /// Covers the inside of a closed polygon by the even-odd rule: exact horizontally, with [`SUBROWS`] samples per
    /// pixel vertically.
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
                crossings_at(vertices, at, &mut crossings);
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

/// Floor as an integer. `f32::floor` is a call into the C library on baseline x86-64.
pub(super) fn floor(x: f32) -> i32 {
    let whole = x as i32;
    whole.saturating_sub(i32::from(x < whole as f32))
}

pub(super) fn ceil(x: f32) -> i32 {
    floor(-x).saturating_neg()
}

/// Vertical samples per pixel of a polygon.
const SUBROWS: usize = 8;

/// Columns at which the edges of a polygon cross row `y`, sorted.
fn crossings_at(vertices: &[Px], y: f32, crossings: &mut Vec<f32>) {
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
    let (first, last) = (from as usize, to as usize);
    if first == last {
        if let Some(cell) = cells.get_mut(first) {
            *cell += (to - from).max(0.0);
        }
    } else if first < last {
        cells[first] += (first + 1) as f32 - from;
        for cell in &mut cells[first + 1..last] {
            *cell += 1.0;
        }
        if let Some(cell) = cells.get_mut(last) {
            *cell += to - last as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(shape: impl FnOnce(&mut Mask)) -> Vec<Vec<u8>> {
        let mut mask = Mask::default();
        mask.reset((20, 20), Rect { left: 0, top: 0, right: 20, bottom: 20 });
        shape(&mut mask);
        let mut rows = vec![vec![0; 20]; 20];
        mask.take(|x, y, cover| rows[y as usize][x as usize..x as usize + cover.len()].copy_from_slice(cover));
        mask.take(|_, _, _| panic!("taken twice"));
        rows
    }

    #[test]
    fn huge_and_odd_shapes_are_clipped_not_fatal() {
        let rows = drawn(|mask| {
            mask.disc((10.0, 10.0), 1e9);
            mask.disc((f32::NAN, 1.0), f32::INFINITY);
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
