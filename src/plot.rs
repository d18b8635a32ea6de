//! Rendering of a [`Scene`] to pixels or to an SVG document. Only this module uses plotters.
//!
//! Both outputs share the drawing code. It draws plotters' elements in plotters' coordinates on one of two backends:
//! ours over a framebuffer, or plotters' own for SVG. Two limits of plotters are worked around:
//!
//! - Coordinates and stroke widths are integers, and lines on whole pixels jitter when a live chart scrolls. plotters
//!   therefore gets a canvas 48 times finer than the layout. The framebuffer backend divides coordinates by 48, or by
//!   less on scaled displays; the SVG document declares the scale in its `viewBox`. Every line, box and letter can thus
//!   lie between pixels.
//! - Wide polylines have cracks, lines leave specks outside the plot, and text is rasterized anew on every draw. The
//!   framebuffer backend strokes, fills and sets text itself, with joined capsules, an exact clip and a glyph cache.
//!
//! A frame is drawn in layers: background, data (clipped to the plot), strips and axes, overlays. A painter keeps its
//! last frame and redraws only what a scene changes, see [`Painter::update`].

mod axes;
mod axis_labels;
mod backend;
mod background;
mod bars;
mod columns;
mod crosshair;
mod data;
mod font;
mod footer;
mod framebuffer;
mod grid;
mod header;
mod help;
mod label_layout;
mod layers;
mod marks;
mod notice;
mod outliers;
mod overlays;
mod painter;
mod polyline;
mod raster;
mod ruler;
mod search;
mod shapes;
mod svg;
mod title;
mod units;

use crate::chart::{HitAreas, Layout, SIDE_PX_MAX, Scene, Size};

use background::Ticks;
use font::Fonts;
use framebuffer::{SavedPixels, Scratch};
use layers::{LayerRenderer, Stale};

/// Error of drawing a frame.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// A built-in typeface does not parse.
    #[error("a built-in typeface is damaged ({0}); reinstall the program")]
    Font(#[from] ab_glyph::InvalidFont),
    /// The frame has no pixels, or more than [`SIDE_PX_MAX`] on a side.
    #[error("cannot draw {width}x{height} pixels; each side must be 1 to {SIDE_PX_MAX}")]
    Size {
        /// Requested width.
        width: u32,
        /// Requested height.
        height: u32,
    },
    /// The pixel buffer does not hold width x height pixels.
    #[error("the pixel buffer holds {got} pixels where the layout has {expected}; pass width x height of them")]
    Buffer {
        /// Number of pixels of the frame.
        expected: usize,
        /// Number of pixels in the buffer.
        got: usize,
    },
    /// plotters failed to draw.
    #[error("drawing the chart failed: {0}")]
    Draw(String),
    /// PNG encoding failed.
    #[error("encoding the picture as PNG failed: {0}")]
    Png(#[from] png::EncodingError),
}

/// Result of a drawing step.
type DrawResult = Result<(), PlotError>;

/// Renderer of scenes. Keeps glyphs and buffers between frames, and the last frame, so that the next one costs only
/// what changed.
///
/// # Examples
///
/// ```
/// use jiff::tz::TimeZone;
/// use tickscope::chart::{
///     AxisKind, Badge, Chart, Footer, Header, Layout, Scene, Size, Theme, Tone, ValueSpan, Viewport,
/// };
/// use tickscope::model::TimeSpan;
/// use tickscope::plot::{Painter, png};
///
/// let time = TimeSpan { start: 0, end: 60_000_000_000 };
/// let viewport = Viewport { time, value: ValueSpan { lo: 0.0, hi: 10.0 } };
/// let scene = Scene {
///     theme: Theme::Dark,
///     header: Header {
///         badge: Badge { tone: Tone::Good, text: "LIVE".to_owned() },
///         view_badge: None,
///         channel: "stock_prices".to_owned(),
///         legend: Vec::new(),
///         span: "1 min".to_owned(),
///     },
///     chart: Chart::empty(viewport, AxisKind::Price, TimeZone::UTC),
///     grid: Vec::new(),
///     footer: Footer { figures: Vec::new() },
///     help: None,
///     search: None,
///     toast: None,
/// };
/// let size = Size { width: 320, height: 200 };
/// let mut painter = Painter::new()?;
/// assert!(painter.update(scene.clone(), &Layout::new(size))?);
/// assert!(!painter.update(scene, &Layout::new(size))?, "nothing changed");
/// assert!(png(painter.pixels(), size)?.starts_with(b"\x89PNG"));
/// # Ok::<(), tickscope::plot::PlotError>(())
/// ```
pub struct Painter {
    fonts: Fonts,
    scratch: Scratch,
    pixels: Vec<u32>,
    hits: HitAreas,
    /// Pixels under the overlays in `pixels`.
    saved: SavedPixels,
    last: Option<LastFrame>,
}

/// Content of `pixels`.
struct LastFrame {
    scene: Scene,
    layout: Layout,
    /// One per chart.
    ticks: Vec<Ticks>,
}

impl Painter {
    /// Loads the built-in typefaces. No font needs to be installed.
    ///
    /// # Errors
    ///
    /// [`PlotError::Font`] if a built-in typeface does not parse.
    pub fn new() -> Result<Self, PlotError> {
        Ok(Self {
            fonts: Fonts::new()?,
            scratch: Scratch::default(),
            pixels: Vec::new(),
            hits: HitAreas::default(),
            saved: SavedPixels::default(),
            last: None,
        })
    }

    /// Updates the painter's own frame to `scene`, drawing only what differs from the previous scene. Returns `false`
    /// if no pixel can have changed.
    ///
    /// # Errors
    ///
    /// [`PlotError::Size`] for an illegal size; [`PlotError::Draw`] if plotters fails.
    pub fn update(&mut self, scene: Scene, layout: &Layout) -> Result<bool, PlotError> {
        let expected = checked(layout.size)?;
        let layout = *layout;
        // Taken out first: after an error the content of the frame is unknown.
        let charts = layers::charts(&scene, &layout);
        let (stale, mut ticks) = match self.last.take().filter(|last| last.layout == layout) {
            Some(last) => {
                let stale = Stale::between(&last.scene, &scene, &layout);
                if stale.is_nothing() {
                    self.last = Some(last);
                    return Ok(false);
                }
                (stale, last.ticks)
            }
            None => (Stale::everything(charts.len()), Vec::new()),
        };
        Ticks::refresh(&mut ticks, charts, &layout, &self.fonts, |index| stale.panes[index].view);
        self.pixels.resize(expected, 0);
        let Self { fonts, scratch, pixels, hits, saved, .. } = self;
        if stale.everything {
            saved.clear();
        } else if stale.overlays {
            saved.restore(pixels);
        }
        LayerRenderer { pixels, layout, fonts, scratch, scene: &scene, stale: &stale }.draw(
            &ticks,
            hits,
            Some(saved),
        )?;
        self.last = Some(LastFrame { scene, layout, ticks });
        Ok(true)
    }

    /// Frame of the last [`Painter::update`]: 0x00RRGGBB, row by row; empty before the first one.
    pub fn pixels(&self) -> &[u32] {
        &self.pixels
    }

    /// Clickable areas in the frame of the last [`Painter::update`].
    pub fn hits(&self) -> &HitAreas {
        &self.hits
    }

    /// Draws all of `scene` into `pixels` (0x00RRGGBB, row by row, width x height of them) and returns the clickable
    /// areas. Every pixel is overwritten.
    ///
    /// # Errors
    ///
    /// [`PlotError::Size`] for an illegal size, [`PlotError::Buffer`] if `pixels` has another length,
    /// [`PlotError::Draw`] if plotters fails.
    pub fn paint(&mut self, scene: &Scene, pixels: &mut [u32], layout: &Layout) -> Result<HitAreas, PlotError> {
        let expected = checked(layout.size)?;
        if pixels.len() != expected {
            return Err(PlotError::Buffer { expected, got: pixels.len() });
        }
        let layout = *layout;
        let Self { fonts, scratch, .. } = self;
        let ticks = Ticks::all(layers::charts(scene, &layout), &layout, fonts);
        let (stale, mut hits) = (Stale::everything(ticks.len()), HitAreas::default());
        LayerRenderer { pixels, layout, fonts, scratch, scene, stale: &stale }.draw(&ticks, &mut hits, None)?;
        Ok(hits)
    }

    /// Renders `scene` to an SVG document with one CSS pixel per pixel of the layout. Lines and text stay vectors and
    /// text.
    ///
    /// # Errors
    ///
    /// [`PlotError::Size`] for an illegal size; [`PlotError::Draw`] if plotters fails.
    pub fn svg(&mut self, scene: &Scene, layout: &Layout) -> Result<String, PlotError> {
        checked(layout.size)?;
        svg::document(scene, layout, &self.fonts)
    }
}

/// Number of pixels in a frame of `size`.
fn checked(size: Size) -> Result<usize, PlotError> {
    let Size { width, height } = size;
    if (1..=SIDE_PX_MAX).contains(&width) && (1..=SIDE_PX_MAX).contains(&height) {
        Ok(width as usize * height as usize)
    } else {
        Err(PlotError::Size { width, height })
    }
}

/// Encodes `pixels` (0x00RRGGBB, row by row) as an 8-bit RGB PNG.
///
/// # Errors
///
/// [`PlotError::Size`] for an illegal size, [`PlotError::Buffer`] if `pixels` has another length, [`PlotError::Png`] if
/// the encoder fails.
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
