//! A [`Scene`] becomes pixels, or an SVG document, here: the only module that knows plotters.
//!
//! One drawing code serves both: it speaks to plotters' drawing areas, elements and coordinates, and plotters to a
//! backend: ours over the framebuffer, or plotters' own over SVG. Two things plotters cannot do are mended on the way:
//!
//! - Its coordinates and stroke widths are whole numbers, and lines on whole pixels crawl when a live chart scrolls. So
//!   plotters is told a canvas sixteen times finer than the window; the framebuffer backend divides, the SVG document
//!   says so in its `viewBox`. Every line, box and letter thus has a sixteenth of a pixel, through plotters' own types.
//! - Its wide polylines tear, its lines leave specks outside the plot, and its text is rasterised anew for each draw.
//!   The framebuffer backend strokes, fills and sets type itself: joined capsules, an exact clip, a glyph cache.
//!
//! A frame is painted in three layers: the ground (kept while the view stands still), the data (clipped to the plot),
//! and what floats above.

mod axes;
mod canvas;
mod cross;
mod data;
mod font;
mod frame;
mod ground;
mod header;
mod look;
mod margin;
mod overlay;
mod pen;
mod raster;
mod scene;
mod spread;
mod svg;
mod time_ticks;
mod trace;
mod value_ticks;

use plotters::drawing::IntoDrawingArea;
use plotters_backend::DrawingBackend;

pub use frame::{Frame, Hits, SIDE_PX_MAX};
pub use look::palette;
pub use scene::*;
pub use time_ticks::time_ticks;
pub use value_ticks::value_ticks;

use canvas::{Canvas, Caps};
use font::Fonts;
use ground::{Key, Ticks};
use look::Look;
use pen::Pen;
use raster::Mask;

use crate::view::Rect;

/// Why a frame could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// A typeface that ships with the program does not parse.
    #[error("a built-in typeface is damaged ({0}); reinstall the program")]
    Font(#[from] ab_glyph::InvalidFont),
    /// The frame has no pixels, or more than [`SIDE_PX_MAX`] on a side.
    #[error("cannot draw {width}x{height} pixels; each side must be 1 to {SIDE_PX_MAX}")]
    Size {
        /// Columns asked for.
        width: u32,
        /// Rows asked for.
        height: u32,
    },
    /// The pixel buffer is not width x height.
    #[error("the pixel buffer holds {got} pixels where the frame has {expected}; pass width x height of them")]
    Buffer {
        /// Pixels that the size calls for.
        expected: usize,
        /// Pixels given.
        got: usize,
    },
    /// plotters refused a drawing step.
    #[error("drawing the chart failed: {0}")]
    Draw(String),
    /// The picture could not be encoded.
    #[error("encoding the picture as PNG failed: {0}")]
    Png(#[from] png::EncodingError),
}

/// Draws scenes; keeps the glyphs, buffers and the ground layer that frames share.
pub struct Painter {
    fonts: Fonts,
    mask: Mask,
    ground: Option<Ground>,
}

/// The ground layer of the last frame.
struct Ground {
    key: Key,
    ticks: Ticks,
    pixels: Vec<u32>,
}

impl Painter {
    /// Loads the built-in typefaces; no font needs to be installed.
    pub fn new() -> Result<Self, PlotError> {
        Ok(Self { fonts: Fonts::new()?, mask: Mask::default(), ground: None })
    }

    /// Paints `scene` into `pixels` (0x00RRGGBB, row by row, `width * height` of them), and says what can be clicked
    /// where. What the buffer held before does not matter.
    pub fn paint(&mut self, scene: &Scene, pixels: &mut [u32], size: Size) -> Result<Hits, PlotError> {
        let expected = checked(size)?;
        if pixels.len() != expected {
            return Err(PlotError::Buffer { expected, got: pixels.len() });
        }
        let frame = Frame::new(size);
        let whole = Rect { left: 0, top: 0, right: size.width as i32, bottom: size.height as i32 };
        let Self { fonts, mask, ground } = self;
        let look = Look::new(scene.theme);
        let key = Key::new(scene, size);
        let ground = match ground {
            Some(kept) if kept.key == key => kept,
            _ => {
                let ticks = key.ticks(&frame, fonts);
                let canvas = Canvas { pixels: &mut *pixels, size, clip: whole, caps: Caps::Butt, fonts, mask };
                let pen = Pen { area: canvas.into_drawing_area(), fonts, look };
                ground::draw(&pen, &frame, &scene.chart, &ticks)?;
                drop(pen);
                let mut kept = ground.take().map_or_else(Vec::new, |old| old.pixels);
                kept.clear();
                kept.extend_from_slice(pixels);
                ground.insert(Ground { key, ticks, pixels: kept })
            }
        };
        pixels.copy_from_slice(&ground.pixels);

        let canvas = Canvas { pixels: &mut *pixels, size, clip: frame.plot, caps: Caps::Round, fonts, mask };
        let pen = Pen { area: canvas.into_drawing_area(), fonts, look };
        data::draw(&pen, &scene.chart, &frame)?;
        drop(pen);

        let canvas = Canvas { pixels, size, clip: whole, caps: Caps::Butt, fonts, mask };
        let pen = Pen { area: canvas.into_drawing_area(), fonts, look };
        front(&pen, scene, &frame, &ground.ticks)
    }

    /// `scene` as an SVG document of `size` CSS pixels: lines and text as such, no bitmap.
    pub fn svg(&mut self, scene: &Scene, size: Size) -> Result<String, PlotError> {
        checked(size)?;
        svg::document(scene, size, &self.fonts)
    }
}

/// What floats above the data.
fn front<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    scene: &Scene,
    frame: &Frame,
    ticks: &Ticks,
) -> Result<Hits, PlotError> {
    let mut hits = Hits::default();
    let chart = &scene.chart;
    cross::gap_labels(pen, chart, frame)?;
    margin::value_axis(pen, chart, frame, ticks)?;
    margin::time_axis(pen, chart, frame, ticks)?;
    cross::draw(pen, chart, frame)?;
    header::draw(pen, &scene.header, frame, &mut hits)?;
    overlay::footer(pen, &scene.footer, frame, &mut hits)?;
    if let Some(notice) = &chart.notice {
        overlay::notice(pen, notice, frame)?;
    }
    if let Some(rows) = &scene.help {
        overlay::help(pen, rows, frame)?;
    }
    if let Some(toast) = &scene.toast {
        overlay::toast(pen, toast, frame)?;
    }
    Ok(hits)
}

/// Pixels in a frame of `size`.
fn checked(size: Size) -> Result<usize, PlotError> {
    let Size { width, height } = size;
    if (1..=SIDE_PX_MAX).contains(&width) && (1..=SIDE_PX_MAX).contains(&height) {
        Ok(width as usize * height as usize)
    } else {
        Err(PlotError::Size { width, height })
    }
}

/// `pixels` (0x00RRGGBB, row by row) as an 8-bit RGB PNG.
pub fn png(pixels: &[u32], size: Size) -> Result<Vec<u8>, PlotError> {
    let expected = checked(size)?;
    if pixels.len() != expected {
        return Err(PlotError::Buffer { expected, got: pixels.len() });
    }
    let bytes: Vec<u8> =
        pixels.iter().flat_map(|pixel| [(pixel >> 16) as u8, (pixel >> 8) as u8, *pixel as u8]).collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size.width, size.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&bytes)?;
    writer.finish()?;
    Ok(file)
}
