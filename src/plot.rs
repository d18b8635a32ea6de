//! A [`Scene`] becomes pixels, or an SVG document, here: the only module that knows plotters.
//!
//! One drawing code serves both: it speaks to plotters' drawing areas, elements and coordinates, and plotters to a
//! backend: ours over the framebuffer, or plotters' own over SVG. Two things plotters cannot do are mended on the way:
//!
//! - Its coordinates and stroke widths are whole numbers, and lines on whole pixels crawl when a live chart scrolls. So
//!   plotters is told a canvas 48 times finer than the layout; the framebuffer backend divides, by less where a pixel
//!   of the layout is more than one of the screen, and the SVG document says so in its `viewBox`. Every line, box and
//!   letter thus has a fraction of a pixel, through plotters' own types.
//! - Its wide polylines tear, its lines leave specks outside the plot, and its text is rasterised anew for each draw.
//!   The framebuffer backend strokes, fills and sets type itself: joined capsules, an exact clip, a glyph cache.
//!
//! A frame is painted in layers: the ground, the data (clipped to the plot), the strips and axes around it, and what
//! floats above. A painter keeps its last frame and draws again only what a scene changes: see [`Painter::update`].

mod axes;
mod axis_labels;
mod background;
mod bars;
mod columns;
mod crosshair;
mod data;
mod font;
mod framebuffer;
mod grid;
mod header;
mod label_layout;
mod layers;
mod marks;
mod notice;
mod outliers;
mod overlay;
mod overlays;
mod painter;
mod polyline;
mod raster;
mod ruler;
mod search;
mod shapes;
mod svg;
mod title;

use crate::chart::{HitAreas, Layout, SIDE_PX_MAX, Scene, Size};

use background::Ticks;
use font::Fonts;
use framebuffer::{SavedPixels, Scratch};
use layers::{LayerRenderer, Stale};

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

/// Draws scenes; keeps the glyphs and buffers that frames share, and the last frame itself, so that the next one costs
/// what has changed.
pub struct Painter {
    fonts: Fonts,
    scratch: Scratch,
    pixels: Vec<u32>,
    hits: HitAreas,
    /// What lies under that which floats above the data in `pixels`.
    saved: SavedPixels,
    kept: Option<Kept>,
}

/// What `pixels` shows.
struct Kept {
    scene: Scene,
    frame: Layout,
    /// Of each chart.
    ticks: Vec<Ticks>,
}

impl Painter {
    /// Loads the built-in typefaces; no font needs to be installed.
    pub fn new() -> Result<Self, PlotError> {
        Ok(Self {
            fonts: Fonts::new()?,
            scratch: Scratch::default(),
            pixels: Vec::new(),
            hits: HitAreas::default(),
            saved: SavedPixels::default(),
            kept: None,
        })
    }

    /// Brings the painter's own frame up to `scene`: only what differs from the scene before is drawn. `false` where
    /// not a pixel can have changed.
    pub fn update(&mut self, scene: Scene, frame: &Layout) -> Result<bool, PlotError> {
        let expected = checked(frame.size)?;
        let frame = *frame;
        // Taken out first: after an error, nothing is known about the frame.
        let charts = layers::charts(&scene, &frame);
        let (stale, mut ticks) = match self.kept.take().filter(|kept| kept.frame == frame) {
            Some(kept) => {
                let stale = Stale::between(&kept.scene, &scene, &frame);
                if stale.is_nothing() {
                    self.kept = Some(kept);
                    return Ok(false);
                }
                (stale, kept.ticks)
            }
            None => (Stale::everything(charts.len()), Vec::new()),
        };
        Ticks::refresh(&mut ticks, charts, &frame, &self.fonts, |index| stale.panes[index].view);
        self.pixels.resize(expected, 0);
        let Self { fonts, scratch, pixels, hits, saved, .. } = self;
        if stale.everything {
            saved.clear();
        } else if stale.floats {
            saved.restore(pixels);
        }
        let mut renderer = LayerRenderer { pixels, frame, fonts, scratch };
        renderer.draw(&scene, &ticks, &stale, hits, Some(saved))?;
        self.kept = Some(Kept { scene, frame, ticks });
        Ok(true)
    }

    /// The frame of the last [`Painter::update`]: 0x00RRGGBB, row by row; empty before the first one.
    pub fn pixels(&self) -> &[u32] {
        &self.pixels
    }

    /// What can be clicked where in the frame of the last [`Painter::update`].
    pub fn hits(&self) -> &HitAreas {
        &self.hits
    }

    /// Paints all of `scene` into `pixels` (0x00RRGGBB, row by row, as many as the frame's size has), and says what can
    /// be clicked where. What the buffer held before does not matter.
    pub fn paint(&mut self, scene: &Scene, pixels: &mut [u32], frame: &Layout) -> Result<HitAreas, PlotError> {
        let expected = checked(frame.size)?;
        if pixels.len() != expected {
            return Err(PlotError::Buffer { expected, got: pixels.len() });
        }
        let frame = *frame;
        let Self { fonts, scratch, .. } = self;
        let ticks = Ticks::all(layers::charts(scene, &frame), &frame, fonts);
        let (stale, mut hits) = (Stale::everything(ticks.len()), HitAreas::default());
        let mut renderer = LayerRenderer { pixels, frame, fonts, scratch };
        renderer.draw(scene, &ticks, &stale, &mut hits, None)?;
        Ok(hits)
    }

    /// `scene` as an SVG document with a CSS pixel for each of the layout's: lines and text as such, no bitmap.
    pub fn svg(&mut self, scene: &Scene, frame: &Layout) -> Result<String, PlotError> {
        checked(frame.size)?;
        svg::document(scene, frame, &self.fonts)
    }
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
