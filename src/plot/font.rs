//! Text measurement, and glyphs as alpha masks that are rasterized once.
//!
//! Two typefaces are built in, so no font has to be installed: a proportional one for words and a monospaced one for
//! figures. A character that one lacks is taken from the other.

use std::cell::RefCell;
use std::collections::HashMap;

use ab_glyph::{Font, FontRef, Glyph, GlyphId, PxScale, point};
use foldhash::fast::RandomState;

use super::PlotError;

/// Typeface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Face {
    /// Proportional.
    Words,
    /// Monospaced.
    Figures,
}

/// Typeface, size and weight of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Type {
    pub(super) face: Face,
    /// Size of the em square, px.
    pub(super) em: f32,
    pub(super) bold: bool,
}

impl Type {
    pub(super) const fn words(em: f32) -> Self {
        Self { face: Face::Words, em, bold: false }
    }

    pub(super) const fn figures(em: f32) -> Self {
        Self { face: Face::Figures, em, bold: false }
    }

    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// Distance from the middle of capitals down to the baseline, px; centres a line of text on a row.
    pub(super) fn baseline_below_middle(self) -> f32 {
        self.em * MIDDLE_EM
    }
}

/// Half the height of a capital, em (cap heights: 0.73 in Hack, 0.69 in Ubuntu).
pub(super) const MIDDLE_EM: f32 = 0.357;

/// Maximum number of cached glyph masks. Symbols may contain any Unicode character, so the cache needs a bound; it is
/// cleared when full.
const GLYPHS_MAX: usize = 4_096;

/// Positions within a pixel at which glyphs are rasterized; without them small text is unevenly spaced.
const SUBPIXELS: f32 = 4.0;

/// Horizontal emboldening, em. Neither typeface has a bold cut, and the light one is thin on a screen.
fn weight_em(ty: Type) -> f32 {
    match (ty.face, ty.bold) {
        (Face::Words, false) => 0.022,
        (Face::Words, true) => 0.070,
        (Face::Figures, false) => 0.0,
        (Face::Figures, true) => 0.040,
    }
}

/// Coverage of a glyph; empty for a blank.
#[derive(Default)]
struct Mask {
    left: i32,
    /// First row, relative to the baseline.
    top: i32,
    width: usize,
    cover: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Char {
    face: Face,
    glyph: GlyphId,
    advance_em: f32,
}

#[derive(PartialEq, Eq, Hash)]
struct MaskKey {
    face: Face,
    glyph: GlyphId,
    em_bits: u32,
    weight_bits: u32,
    subpixel: u8,
}

#[derive(Default)]
struct Cache {
    chars: HashMap<(Face, char), Char, RandomState>,
    masks: HashMap<MaskKey, Mask, RandomState>,
}

/// Both typefaces and the glyph cache.
pub(super) struct Fonts {
    words: FontRef<'static>,
    figures: FontRef<'static>,
    cache: RefCell<Cache>,
}

impl Fonts {
    pub(super) fn new() -> Result<Self, PlotError> {
        Ok(Self {
            words: FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT)?,
            figures: FontRef::try_from_slice(epaint_default_fonts::HACK_REGULAR)?,
            cache: RefCell::default(),
        })
    }

    fn font(&self, face: Face) -> &FontRef<'static> {
        match face {
            Face::Words => &self.words,
            Face::Figures => &self.figures,
        }
    }

    /// Width of a line of text, px.
    pub(super) fn width(&self, text: &str, ty: Type) -> f32 {
        let mut cache = self.cache.borrow_mut();
        let mut end = 0.0;
        self.walk(&mut cache.chars, text, ty, |_, x, advance| end = x + advance);
        end
    }

    /// `text`, cut to `width_px` with an ellipsis if it is too long; empty if not even that fits.
    pub(super) fn fit(&self, text: &str, ty: Type, width_px: f32) -> String {
        if self.width(text, ty) <= width_px {
            return text.to_owned();
        }
        let room = width_px - self.width("…", ty);
        let mut cache = self.cache.borrow_mut();
        let (mut fitting, mut chars) = (0, text.char_indices().map(|(at, c)| at + c.len_utf8()));
        let mut full = false;
        self.walk(&mut cache.chars, text, ty, |_, x, advance| {
            let end = chars.next().unwrap_or(text.len());
            full |= x + advance > room;
            if !full {
                fitting = end;
            }
        });
        if fitting == 0 { String::new() } else { format!("{}…", text[..fitting].trim_end()) }
    }

    /// Calls `each(char, x, advance)` for every character, `x` relative to the start of the text, px.
    fn walk(
        &self,
        chars: &mut HashMap<(Face, char), Char, RandomState>,
        text: &str,
        ty: Type,
        mut each: impl FnMut(Char, f32, f32),
    ) {
        if chars.len() > GLYPHS_MAX {
            chars.clear();
        }
        let (mut x, mut last) = (0.0, None::<Char>);
        for c in text.chars() {
            let c = *chars.entry((ty.face, c)).or_insert_with(|| self.find(ty.face, c));
            if let Some(last) = last.filter(|last| last.face == Face::Words && c.face == Face::Words) {
                x += self.words.kern_unscaled(last.glyph, c.glyph) / units_per_em(&self.words) * ty.em;
            }
            let advance = (c.advance_em + weight_em(ty) * 0.5) * ty.em;
            each(c, x, advance);
            x += advance;
            last = Some(c);
        }
    }

    fn find(&self, wanted: Face, c: char) -> Char {
        let other = if wanted == Face::Words { Face::Figures } else { Face::Words };
        let missing = GlyphId(0);
        let (face, glyph) = match (self.font(wanted).glyph_id(c), self.font(other).glyph_id(c)) {
            (glyph, _) if glyph != missing => (wanted, glyph),
            (_, glyph) if glyph != missing => (other, glyph),
            _ => (Face::Figures, missing),
        };
        let font = self.font(face);
        Char { face, glyph, advance_em: font.h_advance_unscaled(glyph) / units_per_em(font) }
    }

    /// Calls `plot(x, y, coverage)` for every row of every glyph of `text`, which starts at `x` with its baseline at
    /// `baseline`. The caller clips.
    pub(super) fn draw(&self, text: &str, ty: Type, (x, baseline): (f32, i32), mut plot: impl FnMut(i32, i32, &[u8])) {
        let mut cache = self.cache.borrow_mut();
        let Cache { chars, masks } = &mut *cache;
        if masks.len() > GLYPHS_MAX {
            masks.clear();
        }
        self.walk(chars, text, ty, |c, offset, _| {
            let at = ((x + offset) * SUBPIXELS).round() / SUBPIXELS;
            let whole = at.floor();
            let key = MaskKey {
                face: c.face,
                glyph: c.glyph,
                em_bits: ty.em.to_bits(),
                weight_bits: weight_em(ty).to_bits(),
                subpixel: ((at - whole) * SUBPIXELS) as u8,
            };
            let mask = masks.entry(key).or_insert_with(|| self.rasterise(c, ty, at - whole));
            if mask.width > 0 {
                for (row, cover) in mask.cover.chunks_exact(mask.width).enumerate() {
                    plot(whole as i32 + mask.left, baseline + mask.top + row as i32, cover);
                }
            }
        });
    }

    /// Rasterizes a glyph [`OVERSAMPLE`] times too wide, widens its strokes by whole samples and scales it down again.
    /// Edges stay as sharp as those of a real bold cut.
    fn rasterise(&self, c: Char, ty: Type, subpixel: f32) -> Mask {
        let font = self.font(c.face);
        let height = ty.em * font.height_unscaled() / units_per_em(font);
        let scale = PxScale { x: height * OVERSAMPLE as f32, y: height };
        let grown = (weight_em(ty) * ty.em * OVERSAMPLE as f32).round() as usize;
        let position = point(subpixel * OVERSAMPLE as f32, 0.0);
        let Some(outline) = font.outline_glyph(Glyph { id: c.glyph, scale, position }) else { return Mask::default() };

        let bounds = outline.px_bounds();
        let left = (bounds.min.x as i32).div_euclid(OVERSAMPLE as i32);
        let lead = (bounds.min.x as i32 - left * OVERSAMPLE as i32) as usize;
        let width = (lead + bounds.width() as usize + grown).div_ceil(OVERSAMPLE);
        let (fine_width, rows) = (width * OVERSAMPLE, bounds.height() as usize);
        let mut fine = vec![0.0_f32; fine_width * rows];
        outline.draw(|x, y, share| {
            let start = y as usize * fine_width + lead + x as usize;
            for cell in fine.iter_mut().skip(start).take(grown + 1) {
                *cell = cell.max(share.clamp(0.0, 1.0));
            }
        });
        let narrow = |samples: &[f32]| (samples.iter().sum::<f32>() / OVERSAMPLE as f32 * 255.0 + 0.5) as u8;
        let cover = fine.chunks_exact(OVERSAMPLE).map(narrow).collect();
        Mask { left, top: bounds.min.y as i32, width, cover }
    }
}

/// Horizontal samples per pixel of a glyph.
const OVERSAMPLE: usize = 8;

fn units_per_em(font: &FontRef<'static>) -> f32 {
    font.units_per_em().unwrap_or(1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_columns() {
        let fonts = Fonts::new().unwrap();
        let ty = Type::figures(12.0);
        assert!((fonts.width("+111.11%", ty) - fonts.width("−908.88%", ty)).abs() < 1e-3);
    }

    #[test]
    fn a_text_is_cut_with_an_ellipsis_or_not_shown() {
        let fonts = Fonts::new().unwrap();
        let ty = Type::words(13.0);
        let full = "stock_prices, ticks.*";
        assert_eq!(fonts.fit(full, ty, 1_000.0), full);
        for width in 0..200 {
            let shown = fonts.fit(full, ty, width as f32);
            assert!(fonts.width(&shown, ty) <= width as f32, "{shown} {width}");
            assert!(shown.is_empty() || shown == full || shown.ends_with('…'));
        }
        assert_eq!(fonts.fit(full, ty, 2.0), "");
    }

    #[test]
    fn characters_of_either_face_and_of_none_are_drawn() {
        let fonts = Fonts::new().unwrap();
        for text in ["−", "…", "·", "→", "é", "€", "日", "\u{1f680}"] {
            let mut inked = 0;
            fonts.draw(text, Type::words(13.0), (10.0, 20), |_, _, cover| {
                inked += cover.iter().filter(|&&c| c > 64).count();
            });
            assert!(inked > 0, "{text}");
        }
    }
}
