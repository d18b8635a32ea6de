//! plotters backend over a framebuffer.

use std::io;

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontStyle,
};

use super::columns::{ColumnMask, STRETCH};
use super::font::{Face, Fonts, Type};
use super::raster::{Mask, Px};
use super::units::{EM_TO_SIZE, FIGURES_FAMILY, UNITS_PER_PX, units_per_screen_px};
use crate::chart::{Rect, Scale, Size};

/// Shape of the ends of a stroke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caps {
    /// Cut off at the end point, exact to the pixel: grid lines and dashes.
    Butt,
    /// Half a disc around the end point: data.
    Round,
}

/// Masks in which shapes are rasterized; reused between frames.
#[derive(Default)]
pub(super) struct Scratch {
    mask: Mask,
    columns: ColumnMask,
}

/// Pixels under the overlays, to restore before the overlays are drawn again.
#[derive(Default)]
pub(super) struct SavedPixels {
    /// Start and length of each saved piece.
    pieces: Vec<(usize, usize)>,
    pixels: Vec<u32>,
}

impl SavedPixels {
    fn save(&mut self, at: usize, pixels: &[u32]) {
        self.pieces.push((at, pixels.len()));
        self.pixels.extend_from_slice(pixels);
    }

    /// Restores the saved pixels, last piece first, and forgets them.
    pub(super) fn restore(&mut self, pixels: &mut [u32]) {
        for (at, len) in self.pieces.drain(..).rev() {
            let saved = self.pixels.len() - len;
            if let Some(cells) = pixels.get_mut(at..at + len) {
                cells.copy_from_slice(&self.pixels[saved..]);
            }
            self.pixels.truncate(saved);
        }
    }

    /// Forgets the saved pixels.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.pixels.clear();
    }
}

/// Framebuffer that plotters draws on. Pixels outside `clip` are never changed.
pub(super) struct FramebufferBackend<'a> {
    pub(super) pixels: &'a mut [u32],
    /// Size in pixels of the screen. All sizes here are in pixels of the screen, except plotters' own units.
    pub(super) size: Size,
    pub(super) scale: Scale,
    /// Must be inside the frame.
    pub(super) clip: Rect,
    pub(super) caps: Caps,
    pub(super) fonts: &'a Fonts,
    pub(super) scratch: &'a mut Scratch,
    /// Receives the pixels that are drawn over, if they are to be restored later.
    pub(super) saved: Option<&'a mut SavedPixels>,
}

type Outcome = Result<(), DrawingErrorKind<io::Error>>;

impl FramebufferBackend<'_> {
    fn px(&self, units: i32) -> f32 {
        units as f32 / units_per_screen_px(self.scale) as f32
    }

    fn to_px(&self) -> impl Fn(BackendCoord) -> Px + use<> {
        let unit = units_per_screen_px(self.scale) as f32;
        move |(x, y)| (x as f32 / unit, y as f32 / unit)
    }

    /// Type of a plotters text style, at the size on the screen.
    fn type_of<S: BackendTextStyle>(&self, style: &S) -> Type {
        let face = if style.family().as_str() == FIGURES_FAMILY { Face::Figures } else { Face::Words };
        let em = (style.size() / EM_TO_SIZE / f64::from(UNITS_PER_PX) * self.scale.factor()) as f32;
        Type { face, em, bold: matches!(style.style(), FontStyle::Bold) }
    }

    /// Pixels `left` to `right` of a row, both inside the frame.
    fn row(&mut self, y: i32, left: i32, right: i32) -> &mut [u32] {
        let start = y as usize * self.size.width as usize;
        let cells = self.pixels.get_mut(start + left as usize..start + right as usize).unwrap_or_default();
        if let Some(saved) = &mut self.saved {
            saved.save(start + left as usize, cells);
        }
        cells
    }

    /// Blends `color` into the columns from `x` on, weighted by `cover` and clipped.
    fn blend_row(&mut self, x: i32, y: i32, cover: &[u8], color: BackendColor) {
        let (left, right) = (x.max(self.clip.left), x.saturating_add(cover.len() as i32).min(self.clip.right));
        if y < self.clip.top || y >= self.clip.bottom || left >= right {
            return;
        }
        let (over, alpha) = (pack(color.rgb), opacity(color));
        let cells = self.row(y, left, right);
        // Most of a mask is empty or full; such strides skip the blending.
        for (cells, cover) in cells.chunks_mut(16).zip(cover[(left - x) as usize..].chunks(16)) {
            let (any, all) = cover.iter().fold((0, u8::MAX), |(any, all), &c| (any | c, all & c));
            if all == u8::MAX && alpha == 256 {
                cells.fill(over);
            } else if any > 0 {
                blend_cells(cells, cover, over, alpha);
            }
        }
    }

    /// Fills the rectangle between two points. Pixels at its edges are weighted by their covered share.
    fn cover(&mut self, a: Px, b: Px, color: BackendColor) {
        let (left, right) = (a.0.min(b.0), a.0.max(b.0));
        let (top, bottom) = (a.1.min(b.1), a.1.max(b.1));
        let clip = self.clip;
        let (first, end) = ((left.floor() as i32).max(clip.left), (right.ceil() as i32).min(clip.right));
        if first >= end {
            return;
        }
        let (over, alpha) = (pack(color.rgb), opacity(color) as f32);
        let share = |at: i32, from: f32, to: f32| (to.min(at as f32 + 1.0) - from.max(at as f32)).clamp(0.0, 1.0);
        let (first_share, last_share) = (share(first, left, right), share(end - 1, left, right));
        for y in (top.floor() as i32).max(clip.top)..(bottom.ceil() as i32).min(clip.bottom) {
            let down = share(y, top, bottom) * alpha;
            // Only the first and the last column can be partly covered.
            let whole = (down + 0.5) as u32;
            match self.row(y, first, end) {
                [] => {}
                [only] => *only = blend(*only, over, (first_share * down + 0.5) as u32),
                [first, inner @ .., last] => {
                    *first = blend(*first, over, (first_share * down + 0.5) as u32);
                    *last = blend(*last, over, (last_share * down + 0.5) as u32);
                    if whole >= 256 {
                        inner.fill(over);
                    } else {
                        for cell in inner {
                            *cell = blend(*cell, over, whole);
                        }
                    }
                }
            }
        }
    }

    /// Draws a line along a row or a column. Its width is rounded to whole pixels, at least one, so that hairlines are
    /// sharp at any scale.
    fn straight(&mut self, from: Px, to: Px, width: f32, color: BackendColor) {
        let width = (width + 0.01).floor().max(1.0);
        let edge = |middle: f32| (middle - width / 2.0).round();
        if from.1 == to.1 {
            self.cover((from.0, edge(from.1)), (to.0, edge(from.1) + width), color);
        } else {
            self.cover((edge(from.0), from.1), (edge(from.0) + width, to.1), color);
        }
    }

    /// Blends the shape that `shape` adds to the mask.
    fn composite(&mut self, color: BackendColor, shape: impl FnOnce(&mut Mask)) {
        let mut mask = std::mem::take(&mut self.scratch.mask);
        mask.reset((self.size.width as usize, self.size.height as usize), self.clip);
        shape(&mut mask);
        mask.take(|x, y, cover| self.blend_row(x, y, cover, color));
        self.scratch.mask = mask;
    }

    /// Draws a data line.
    fn line(&mut self, path: impl Iterator<Item = Px>, radius: f32, color: BackendColor) {
        let mut columns = std::mem::take(&mut self.scratch.columns);
        columns.reset(self.clip);
        columns.stroke(path, radius);
        let (over, alpha) = (pack(color.rgb), opacity(color));
        let clip_right = self.clip.right;
        columns.take(|x, y, cover| {
            let cells = self.row(y, x, clip_right.min(x + cover.len() as i32));
            if cover == [u8::MAX; STRETCH] && alpha == 256 {
                cells.fill(over);
            } else if let Ok(cells) = <&mut [u32; STRETCH]>::try_from(&mut *cells) {
                blend_cells(cells, &cover, over, alpha);
            } else {
                blend_cells(cells, &cover, over, alpha);
            }
        });
        self.scratch.columns = columns;
    }
}

/// Blends `over` into `cells`, weighted by `cover`. Inlined, so that rows of constant length are vectorized.
#[inline]
fn blend_cells(cells: &mut [u32], cover: &[u8], over: u32, alpha: u32) {
    for (cell, &cover) in cells.iter_mut().zip(cover) {
        *cell = blend(*cell, over, u32::from(cover) * alpha / 255);
    }
}

/// Packs a colour as 0x00RRGGBB.
fn pack((r, g, b): (u8, u8, u8)) -> u32 {
    u32::from_be_bytes([0, r, g, b])
}

/// Opacity as 0 to 256.
fn opacity(color: BackendColor) -> u32 {
    (color.alpha.clamp(0.0, 1.0) * 256.0 + 0.5) as u32
}

/// Mixes `share` of 256 parts of `over` into `under`. Red and blue share one multiplication; their products do not
/// overlap.
fn blend(under: u32, over: u32, share: u32) -> u32 {
    let mix = |mask: u32, half: u32| {
        ((under & mask).wrapping_mul(256 - share).wrapping_add((over & mask).wrapping_mul(share)).wrapping_add(half))
            >> 8
            & mask
    };
    mix(0x00ff_00ff, 0x0080_0080) | mix(0x0000_ff00, 0x0000_8000)
}

impl DrawingBackend for FramebufferBackend<'_> {
    type ErrorType = io::Error;

    fn get_size(&self) -> (u32, u32) {
        let unit = units_per_screen_px(self.scale) as u32;
        (self.size.width * unit, self.size.height * unit)
    }

    fn ensure_prepared(&mut self) -> Outcome {
        Ok(())
    }

    fn present(&mut self) -> Outcome {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Outcome {
        let to_px = self.to_px();
        self.cover(to_px((x, y)), to_px((x + 1, y + 1)), color);
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Outcome {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(&mut self, a: BackendCoord, b: BackendCoord, style: &S, fill: bool) -> Outcome {
        if !fill {
            return self.draw_path([a, (b.0, a.1), b, (a.0, b.1), a], style);
        }
        let to_px = self.to_px();
        self.cover(to_px(a), to_px(b), style.color());
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Outcome {
        let (width, color) = (self.px(style.stroke_width() as i32), style.color());
        let path = path.into_iter().map(self.to_px());
        if self.caps == Caps::Round {
            self.line(path, width / 2.0, color);
            return Ok(());
        }
        match path.collect::<Vec<Px>>()[..] {
            [from, to] if from.0 == to.0 || from.1 == to.1 => self.straight(from, to, width, color),
            ref path => self.composite(color, |mask| mask.stroke(path, width / 2.0)),
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Outcome {
        let (center, radius) = (self.to_px()(center), self.px(radius as i32));
        let width = self.px(style.stroke_width() as i32);
        self.composite(
            style.color(),
            |mask| {
                if fill { mask.disc(center, radius) } else { mask.ring(center, radius, width) }
            },
        );
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        vertices: I,
        style: &S,
    ) -> Outcome {
        let vertices: Vec<Px> = vertices.into_iter().map(self.to_px()).collect();
        self.composite(style.color(), |mask| mask.polygon(&vertices));
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Outcome {
        let ty = self.type_of(style);
        let px = |units: i32| self.px(units);
        let x = match style.anchor().h_pos {
            HPos::Left => px(at.0),
            HPos::Center => px(at.0) - self.fonts.width(text, ty) / 2.0,
            HPos::Right => px(at.0) - self.fonts.width(text, ty),
        };
        let baseline = match style.anchor().v_pos {
            VPos::Top => px(at.1) + 2.0 * ty.baseline_below_middle(),
            VPos::Center => px(at.1) + ty.baseline_below_middle(),
            VPos::Bottom => px(at.1),
        };
        let fonts = self.fonts;
        fonts.draw(text, ty, (x, baseline.round() as i32), |x, y, cover| self.blend_row(x, y, cover, style.color()));
        Ok(())
    }
}
