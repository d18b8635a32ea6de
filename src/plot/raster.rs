//! Antialiased shapes as coverage masks.
//!
//! A stroke is the union of bands along its segments and discs at its vertices, and the coverage of a pixel is the
//! maximum over them: joins are round and have neither cracks nor dark spots at any angle. A mask is composited once,
//! so translucent and self-intersecting lines are even.

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
    stamps: Stamps,
}

/// Columns and rows.
type Size = (usize, usize);

/// One in the fixed-point format of coverage.
const ONE: i32 = 1 << 16;

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
        if area.is_empty() {
            return None;
        }
        let dirty = if self.dirty.is_empty() { area } else { self.dirty };
        self.dirty = Rect {
            left: dirty.left.min(area.left),
            top: dirty.top.min(area.top),
            right: dirty.right.max(area.right),
            bottom: dirty.bottom.max(area.bottom),
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

    /// Adds a polyline with round joins and caps; a single point is a disc.
    pub(super) fn stroke(&mut self, points: &[Px], radius: f32) {
        for pair in points.windows(2) {
            self.band(pair[0], pair[1], radius);
        }
        for point in points {
            self.disc(*point, radius);
        }
    }

    /// Covers all points within `radius` of the segment from `a` to `b`, except those beyond its ends, which discs
    /// cover.
    fn band(&mut self, a: Px, b: Px, radius: f32) {
        // Coverage begins half a pixel outside the edge and is full half a pixel inside.
        let reach = radius + 0.5;
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let length = (dx * dx + dy * dy).sqrt();
        if length.is_nan() || length <= 0.0 {
            return;
        }
        let (ux, uy) = (dx / length, dy / length);
        let (wide, high) = (reach * uy.abs(), reach * ux.abs());
        let (min_x, max_x) = (a.0.min(b.0) - wide, a.0.max(b.0) + wide);
        let (min_y, max_y) = (a.1.min(b.1) - high, a.1.max(b.1) + high);
        let Some(area) = self.touch(min_x, min_y, max_x, max_y) else { return };
        // Intersections of a row with the long sides of the band, and with the lines across its ends.
        let (per_x, per_y) = (1.0 / ux, 1.0 / uy);
        let (shear, half) = (ux * per_y, reach * per_y.abs());
        let (steep, slanted) = (uy.abs() > 1e-3, ux.abs() > 1e-3);
        for y in area.top..area.bottom {
            let py = y as f32 + 0.5 - a.1;
            let (mut from, mut to) = (min_x - a.0, max_x - a.0);
            if steep {
                (from, to) = (py * shear - half, py * shear + half);
            }
            if slanted {
                let (start, end) = (-py * uy * per_x, (length - py * uy) * per_x);
                (from, to) = (from.max(start.min(end)), to.min(start.max(end)));
            } else if py * uy < 0.0 || py * uy > length {
                continue;
            }
            // Pixels whose centres lie in between.
            let left = ceil(a.0 + from - 0.5).max(area.left);
            let right = (floor(a.0 + to - 0.5).saturating_add(1)).min(area.right);
            if left < right {
                let px = left as f32 + 0.5 - a.0;
                cover_band(self.row(y, left, right), px * uy - py * ux, uy, reach);
            }
        }
    }

    /// Covers all points within `radius` of `center`.
    pub(super) fn disc(&mut self, center: Px, radius: f32) {
        let reach = radius + 0.5;
        let (left, top) = (center.0 - reach, center.1 - reach);
        let Some(area) = self.touch(left, top, center.0 + reach, center.1 + reach) else { return };
        if reach > STAMP_REACH_MAX {
            self.shade(area, center, |px, py| disc_cover(px, py, reach));
            return;
        }
        let (left, top) = (floor(left), floor(top));
        let stamp = self.stamps.get(center, (left, top), reach);
        for y in area.top..area.bottom {
            let row = &stamp[(y - top) as usize * STAMP_PX..][..STAMP_PX];
            let cells = self.row(y, area.left, area.right).iter_mut();
            cells.zip(&row[(area.left - left) as usize..]).for_each(|(cell, &cover)| *cell = (*cell).max(cover));
        }
    }

    /// Covers a circle, `width` wide, centred on `radius`.
    pub(super) fn ring(&mut self, center: Px, radius: f32, width: f32) {
        let reach = radius + width / 2.0 + 0.5;
        let Some(area) = self.touch(center.0 - reach, center.1 - reach, center.0 + reach, center.1 + reach) else {
            return;
        };
        self.shade(area, center, |px, py| {
            let off = (px.hypot(py) - radius).abs();
            ((width / 2.0 + 0.5 - off).clamp(0.0, 1.0) * 255.0 + 0.5) as u8
        });
    }

    /// Covers the pixels of `area` by the places of their centres relative to `center`.
    fn shade(&mut self, area: Rect, center: Px, cover: impl Fn(f32, f32) -> u8) {
        for y in area.top..area.bottom {
            let py = y as f32 + 0.5 - center.1;
            for (x, cell) in (area.left..).zip(self.row(y, area.left, area.right)) {
                *cell = (*cell).max(cover(x as f32 + 0.5 - center.0, py));
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

/// Covers a row of pixels between the ends of a segment. The signed distance to the segment changes linearly from pixel
/// to pixel.
fn cover_band(cells: &mut [u8], distance: f32, step: f32, reach: f32) {
    let fixed = |x: f32| (x * ONE as f32) as i32;
    let (mut distance, step, reach) = (fixed(distance), fixed(step), fixed(reach));
    for cell in cells {
        let share = (reach - distance.abs()).clamp(0, ONE);
        *cell = (*cell).max(((share * 255 + ONE / 2) >> 16) as u8);
        distance = distance.wrapping_add(step);
    }
}

/// Coverage of a pixel whose centre is at (`px`, `py`) from the centre of a disc.
fn disc_cover(px: f32, py: f32, reach: f32) -> u8 {
    ((reach - (px * px + py * py).sqrt()).clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

/// Columns and rows of a stamp.
const STAMP_PX: usize = 4;
/// Maximum reach of a disc that fits into a stamp at any position within a pixel.
const STAMP_REACH_MAX: f32 = 1.5;
/// Positions per axis within a pixel for which stamps are cached; discs are rounded down to them.
const STAMP_PLACES: usize = 48;

/// Cache of small discs by position within a pixel: every vertex of a polyline is one.
#[derive(Default)]
struct Stamps {
    reach: f32,
    stamps: Vec<Option<Stamp>>,
}

/// Coverage, row by row.
type Stamp = [u8; STAMP_PX * STAMP_PX];

impl Stamps {
    /// The disc around `center`, starting at the pixel `corner`.
    fn get(&mut self, center: Px, corner: (i32, i32), reach: f32) -> Stamp {
        if self.reach.to_bits() != reach.to_bits() {
            self.reach = reach;
            self.stamps.clear();
        }
        self.stamps.resize(STAMP_PLACES * STAMP_PLACES, None);
        // Tolerance for positions such as thirds, which are not exact.
        let place = |x: f32| ((x - floor(x) as f32) * STAMP_PLACES as f32 + 0.01) as usize % STAMP_PLACES;
        let (across, down) = (place(center.0), place(center.1));
        let draw = || {
            let there =
                |place: usize, corner: i32, x: f32| (floor(x) - corner) as f32 + place as f32 / STAMP_PLACES as f32;
            let (x, y) = (there(across, corner.0, center.0), there(down, corner.1, center.1));
            std::array::from_fn(|i| disc_cover((i % STAMP_PX) as f32 + 0.5 - x, (i / STAMP_PX) as f32 + 0.5 - y, reach))
        };
        match self.stamps.get_mut(down * STAMP_PLACES + across) {
            Some(stamps) => *stamps.get_or_insert_with(draw),
            None => draw(),
        }
    }
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
    fn a_stroke_covers_its_width_wherever_it_lies_between_pixels() {
        for offset in [0.0, 0.25, 0.5, 0.75] {
            let rows = drawn(|mask| mask.stroke(&[(3.0, 8.0 + offset), (17.0, 8.0 + offset)], 0.75));
            let across: u32 = rows.iter().map(|row| u32::from(row[10])).sum();
            assert!(across.abs_diff(383) <= 2, "{offset}: {across}");
        }
    }

    #[test]
    fn huge_and_odd_shapes_are_clipped_not_fatal() {
        let rows = drawn(|mask| {
            mask.stroke(&[(-1e9, 10.0), (1e9, 10.0)], 1.0);
            mask.stroke(&[(f32::NAN, 1.0), (2.0, f32::INFINITY)], 1.0);
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
