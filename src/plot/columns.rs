//! Antialiased coverage of a data line, stored by column.
//!
//! A dense line is one tall stroke per column. In column-major order such a stroke is one run of bytes that is filled
//! many at a time. The coverage of a pixel is the maximum over bands along the segments and discs at the vertices, as
//! in [`super::raster`], and is composited once. Bands that a stroke in the same column covers anyway are skipped; this
//! does not change the result and saves most of the cost.

use super::raster::{Px, ceil, floor};
use super::units::UNITS_PER_PX;
use crate::chart::Rect;

/// Side of a block that is transposed from columns to rows: the bytes of a machine word.
const BLOCK: usize = 8;

/// Columns passed on at once: two blocks, whose pixels fill a cache line.
pub(super) const STRETCH: usize = 2 * BLOCK;

/// Full coverage in the fixed-point format of distances; shifted by a byte it is 255.
const ONE: i32 = 255 << 8;

/// Coverage, 0 to 255, of the pixels inside a clip. Reused between lines; `take` clears it.
#[derive(Default)]
pub(super) struct ColumnMask {
    clip: Rect,
    /// Bytes from one column to the next: the rows, rounded up to whole blocks.
    pitch: usize,
    cover: Vec<u8>,
    /// First touched row and the row past the last, per column, relative to the clip's top.
    touched: Vec<(usize, usize)>,
    distances: DistanceTable,
}

/// A vertical part of the line, including the vertices where it was entered and left.
#[derive(Clone, Copy)]
struct Run {
    x: f32,
    top: f32,
    bottom: f32,
}

impl Run {
    fn at((x, y): Px) -> Self {
        Self { x, top: y, bottom: y }
    }

    fn holds(&self, y: f32) -> bool {
        self.top <= y && y <= self.bottom
    }
}

/// Range of an untouched column.
const UNTOUCHED: (usize, usize) = (usize::MAX, 0);

impl ColumnMask {
    /// Prepares for a line that is clipped to `clip`.
    pub(super) fn reset(&mut self, clip: Rect) {
        if self.clip != clip {
            self.clip = clip;
            let (columns, rows) = (clip.width() as usize, clip.height() as usize);
            self.pitch = rows.next_multiple_of(BLOCK);
            self.cover.clear();
            self.cover.resize(self.pitch * columns.next_multiple_of(STRETCH), 0);
            self.touched.clear();
            self.touched.resize(columns, UNTOUCHED);
        }
    }

    /// Adds a polyline with round joins and caps; a single point is a disc.
    pub(super) fn stroke(&mut self, mut points: impl Iterator<Item = Px>, radius: f32) {
        // Coverage begins half a pixel outside the edge and is full half a pixel inside.
        let reach = radius + 0.5;
        self.distances.prepare(reach);
        let Some(mut last) = points.next() else { return };
        let mut run = Run::at(last);
        // Segment that led to this run, and the run before it.
        let mut previous: Option<(Run, Px, Px)> = None;
        for point in points {
            if point.0 == run.x {
                (run.top, run.bottom) = (run.top.min(point.1), run.bottom.max(point.1));
            } else {
                self.finish(&run, previous, reach);
                previous = Some((run, last, point));
                run = Run::at(point);
            }
            last = point;
        }
        self.finish(&run, previous, reach);
    }

    fn finish(&mut self, run: &Run, previous: Option<(Run, Px, Px)>, reach: f32) {
        self.vertical(run, reach);
        let Some((before, from, to)) = previous else { return };
        // If both runs pass all rows of the segment between them, and no column centre lies between the two, every
        // pixel is at least as near to one of the runs as to the segment.
        let (left, right) = (before.x.min(run.x), before.x.max(run.x));
        let apart = (floor(left - 0.5).saturating_add(1) as f32) < right - 0.5;
        if apart || !run.holds(from.1) || !before.holds(to.1) {
            self.band(from, to, reach);
        }
    }

    /// Rows `top..bottom` of a column, marked as touched. All must be inside the clip.
    fn cells(&mut self, x: i32, top: i32, bottom: i32) -> &mut [u8] {
        let column = (x - self.clip.left) as usize;
        let (top, bottom) = ((top - self.clip.top) as usize, (bottom - self.clip.top) as usize);
        if let Some(touched) = self.touched.get_mut(column) {
            *touched = (touched.0.min(top), touched.1.max(bottom));
        }
        let start = column * self.pitch;
        self.cover.get_mut(start + top..start + bottom).unwrap_or_default()
    }

    /// Columns whose centres lie in a range, inside the clip.
    fn columns(&self, from: f32, to: f32) -> std::ops::Range<i32> {
        ceil(from - 0.5).max(self.clip.left)..floor(to - 0.5).saturating_add(1).min(self.clip.right)
    }

    /// Rows whose centres lie in a range, inside the clip.
    fn rows(&self, from: f32, to: f32) -> (i32, i32) {
        let (clip_top, clip_bottom) = (self.clip.top, self.clip.bottom);
        let first = ceil(from - 0.5).clamp(clip_top, clip_bottom);
        (first, floor(to - 0.5).saturating_add(1).clamp(first, clip_bottom))
    }

    /// Covers all points within `reach` of a vertical run.
    fn vertical(&mut self, run: &Run, reach: f32) {
        let (top, bottom) = self.rows(run.top - reach, run.bottom + reach);
        if top >= bottom {
            return;
        }
        let (first, end) = self.rows(run.top, run.bottom);
        let (first, end) = (first.clamp(top, bottom), end.clamp(top, bottom));
        let distances = std::mem::take(&mut self.distances);
        for x in self.columns(run.x - reach, run.x + reach) {
            let by_distance = distances.column(x as f32 + 0.5 - run.x);
            let cells = self.cells(x, top, bottom);
            let (above, rest) = cells.split_at_mut((first - top) as usize);
            let (beside, below) = rest.split_at_mut((end - first) as usize);
            for (y, cell) in (top..).zip(above) {
                *cell = (*cell).max(cover_at(by_distance, run.top - (y as f32 + 0.5)));
            }
            let cover = cover_at(by_distance, 0.0);
            if cover == u8::MAX {
                beside.fill(cover);
            } else {
                for cell in beside {
                    *cell = (*cell).max(cover);
                }
            }
            for (y, cell) in (end..).zip(below) {
                *cell = (*cell).max(cover_at(by_distance, y as f32 + 0.5 - run.bottom));
            }
        }
        self.distances = distances;
    }

    /// Covers all points within `reach` of the segment from `a` to `b`, except those beyond its ends.
    fn band(&mut self, a: Px, b: Px, reach: f32) {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let length = (dx * dx + dy * dy).sqrt();
        if length.is_nan() || length <= 0.0 {
            return;
        }
        let (ux, uy) = (dx / length, dy / length);
        let (wide, high) = (reach * uy.abs(), reach * ux.abs());
        let (min_y, max_y) = (a.1.min(b.1) - high, a.1.max(b.1) + high);
        // Intersections of a column with the long sides of the band, and with the lines across its ends.
        let (per_x, per_y) = (1.0 / ux, 1.0 / uy);
        let (shear, half) = (uy * per_x, reach * per_x.abs());
        let (slanted, steep) = (ux.abs() > 1e-3, uy.abs() > 1e-3);
        for x in self.columns(a.0.min(b.0) - wide, a.0.max(b.0) + wide) {
            let px = x as f32 + 0.5 - a.0;
            let (mut from, mut to) = (min_y - a.1, max_y - a.1);
            if slanted {
                (from, to) = (px * shear - half, px * shear + half);
            }
            if steep {
                let (start, end) = (-px * ux * per_y, (length - px * ux) * per_y);
                (from, to) = (from.max(start.min(end)), to.min(start.max(end)));
            } else if px * ux < 0.0 || px * ux > length {
                continue;
            }
            let (top, bottom) = self.rows(a.1 + from, a.1 + to);
            if top < bottom {
                let py = top as f32 + 0.5 - a.1;
                cover_band(self.cells(x, top, bottom), py * ux - px * uy, ux, reach);
            }
        }
    }

    /// Calls `row(x, y, coverage)` for every covered stretch of a row, and clears the mask.
    pub(super) fn take(&mut self, mut row: impl FnMut(i32, i32, [u8; STRETCH])) {
        let pitch = self.pitch;
        let stretches = self.touched.chunks_mut(STRETCH).zip(self.cover.chunks_exact_mut((pitch * STRETCH).max(1)));
        for (x, (touched, cover)) in (self.clip.left..).step_by(STRETCH).zip(stretches) {
            let (top, bottom) = touched.iter().fold(UNTOUCHED, |all, one| (all.0.min(one.0), all.1.max(one.1)));
            for rows in (top / BLOCK..bottom.div_ceil(BLOCK)).map(|block| block * BLOCK) {
                let block = |first: usize| {
                    transposed(std::array::from_fn(|column| word_at(cover, (first + column) * pitch + rows)))
                };
                let (left, right) = (block(0), block(BLOCK));
                for (y, (left, right)) in (self.clip.top + rows as i32..).zip(left.into_iter().zip(right)) {
                    if left | right != 0 {
                        row(x, y, (u128::from(left) | u128::from(right) << 64).to_le_bytes());
                    }
                }
            }
            for (column, touched) in touched.iter_mut().enumerate().filter(|(_, touched)| **touched != UNTOUCHED) {
                cover[column * pitch..][touched.0..touched.1].fill(0);
                *touched = UNTOUCHED;
            }
        }
    }
}

/// Eight bytes as a little-endian word.
fn word_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + BLOCK).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Transposes eight words of eight bytes: byte `i` of word `k` becomes byte `k` of word `i`. Swaps blocks of four, two
/// and one bytes in turn (Warren, "Hacker's Delight", 2nd ed., 7-3, there for bits).
fn transposed(mut words: [u64; BLOCK]) -> [u64; BLOCK] {
    for (apart, mask) in [(4, 0x0000_0000_ffff_ffff), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)] {
        for i in (0..BLOCK).filter(|i| i & apart == 0) {
            let trade = ((words[i] >> (8 * apart)) ^ words[i + apart]) & mask;
            words[i + apart] ^= trade;
            words[i] ^= trade << (8 * apart);
        }
    }
    words
}

/// Steps per pixel of the distance table: the resolution of coordinates.
const STEPS: f32 = UNITS_PER_PX as f32;

/// Coverage by distance across and along a stroke. It is looked up for both ends of the stroke in every column.
#[derive(Default)]
struct DistanceTable {
    reach: f32,
    side: usize,
    cover: Vec<u8>,
}

impl DistanceTable {
    fn prepare(&mut self, reach: f32) {
        if self.reach.to_bits() == reach.to_bits() {
            return;
        }
        // Lines are a few pixels wide. The bound limits the table for extreme widths.
        let side = ((reach * STEPS) as usize + 2).min(UNITS_PER_PX as usize * 64);
        let cover = (0..side * side).map(|i| {
            let (across, along) = ((i / side) as f32 / STEPS, (i % side) as f32 / STEPS);
            ((reach - (across * across + along * along).sqrt()).clamp(0.0, 1.0) * 255.0 + 0.5) as u8
        });
        self.cover = cover.collect();
        (self.reach, self.side) = (reach, side);
    }

    /// Coverage by distance along the stroke, in a column at this distance from its middle.
    fn column(&self, across: f32) -> &[u8] {
        let start = step(across) * self.side;
        self.cover.get(start..start + self.side).unwrap_or_default()
    }
}

fn step(distance: f32) -> usize {
    (distance.abs() * STEPS + 0.5) as usize
}

fn cover_at(by_distance: &[u8], along: f32) -> u8 {
    by_distance.get(step(along)).copied().unwrap_or_default()
}

/// Covers a column of pixels between the ends of a segment. The signed distance to the segment changes linearly from
/// pixel to pixel.
fn cover_band(cells: &mut [u8], distance: f32, step: f32, reach: f32) {
    let fixed = |x: f32| (x * ONE as f32) as i32;
    let (distance, step, reach) = (fixed(distance), fixed(step), fixed(reach));
    for (i, cell) in (0_i32..).zip(cells) {
        let off = distance.wrapping_add(step.wrapping_mul(i)).wrapping_abs();
        let share = (reach.wrapping_sub(off)).clamp(0, ONE);
        *cell = (*cell).max(((share + 128) >> 8) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(lines: &[[Px; 2]], radius: f32) -> Vec<[u8; 20]> {
        let mut mask = ColumnMask::default();
        mask.reset(Rect { left: 0, top: 0, right: 20, bottom: 20 });
        for line in lines {
            mask.stroke(line.iter().copied(), radius);
        }
        let mut rows = vec![[0; 20]; 20];
        mask.take(|x, y, cover| {
            for (column, cover) in (x as usize..20).zip(cover) {
                rows[y as usize][column] = cover;
            }
        });
        mask.take(|_, _, _| panic!("taken twice"));
        rows
    }

    #[test]
    fn a_stroke_covers_its_width_wherever_it_lies_between_pixels() {
        for offset in [0.0, 0.25, 0.5, 0.75] {
            let rows = drawn(&[[(3.0, 8.0 + offset), (17.0, 8.0 + offset)]], 0.75);
            let across: u32 = rows.iter().map(|row| u32::from(row[10])).sum();
            assert!(across.abs_diff(383) <= 2, "{offset}: {across}");
        }
    }

    #[test]
    fn huge_and_odd_strokes_are_clipped() {
        let rows = drawn(&[[(-1e9, 10.0), (1e9, 10.0)], [(f32::NAN, 1.0), (2.0, f32::INFINITY)]], 1.0);
        assert_eq!((rows[9][0], rows[10][19]), (255, 255));
    }
}
