//! The layers of a frame, and which of them a scene leaves as they are.
//!
//! Several things may change between two frames: they are one set of layers, each drawn once. The strips, the axes and
//! the plot lie side by side, so each is drawn without the others. What floats above the data (crosshair, labels,
//! panels) keeps what it covers: to move the mouse over the chart is to put that back, not to draw the data again.

use plotters::drawing::IntoDrawingArea;
use plotters_backend::DrawingBackend;

use super::canvas::{Canvas, Caps, Scratch, Undo};
use super::font::Fonts;
use super::frame::{Frame, Hits};
use super::ground::Ticks;
use super::look::Look;
use super::pen::Pen;
use super::{Chart, PlotError, Scene, Size, cross, data, ground, header, margin, overlay};
use crate::view::Rect;

/// What has to be drawn anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stale {
    /// The frame as a whole.
    pub(super) everything: bool,
    /// Ticks and grid.
    pub(super) view: bool,
    pub(super) plot: bool,
    pub(super) axes: bool,
    pub(super) floats: bool,
    pub(super) header: bool,
    pub(super) footer: bool,
}

impl Stale {
    pub(super) const EVERYTHING: Self =
        Self { everything: true, view: true, plot: true, axes: true, floats: true, header: true, footer: true };

    /// What `new` shows otherwise than `old` does. Compared is all that a layer is drawn from, point by point.
    pub(super) fn between(old: &Scene, new: &Scene) -> Self {
        if old.theme != new.theme {
            return Self::EVERYTHING;
        }
        let (was, is) = (&old.chart, &new.chart);
        let look = |chart: &Chart| (chart.viewport, chart.axis, chart.decimals);
        let view = look(was) != look(is) || was.zone != is.zone;
        let plot = view || was.lines != is.lines || was.gaps != is.gaps;
        let axes = view || was.tags != is.tags || was.crosshair != is.crosshair;
        // The help lies over plot and axes, and the labels of gaps among the floats.
        let floats = plot || axes || was.notice != is.notice || old.help != new.help || old.toast != new.toast;
        let (header, footer) = (old.header != new.header, old.footer != new.footer);
        Self { everything: false, view, plot, axes, floats, header, footer }
    }

    pub(super) fn is_nothing(self) -> bool {
        !(self.floats || self.header || self.footer)
    }
}

/// A framebuffer with what it takes to draw on it.
pub(super) struct Easel<'a> {
    pub(super) pixels: &'a mut [u32],
    pub(super) size: Size,
    pub(super) frame: Frame,
    pub(super) fonts: &'a Fonts,
    pub(super) scratch: &'a mut Scratch,
}

impl Easel<'_> {
    /// Draws the stale layers of `scene`. Where floats are among them, those of the scene before are gone already;
    /// what the new ones cover goes into `undo`.
    pub(super) fn draw(
        &mut self,
        scene: &Scene,
        ticks: &Ticks,
        stale: Stale,
        hits: &mut Hits,
        undo: Option<&mut Undo>,
    ) -> Result<(), PlotError> {
        let (frame, look, chart) = (self.frame, Look::new(scene.theme), &scene.chart);
        let (width, footer_top) = (self.size.width as i32, frame.footer.top);
        let flat = |pen: &CanvasPen<'_>| if stale.everything { Ok(()) } else { ground::flat(pen, &frame) };
        if stale.everything {
            let whole = Rect { left: 0, top: 0, right: width, bottom: self.size.height as i32 };
            self.on(whole, Caps::Butt, look, None, |pen| ground::flat(pen, &frame))?;
        }
        if stale.plot {
            self.on(frame.plot, Caps::Butt, look, None, |pen| {
                flat(pen)?;
                ground::grid(pen, &frame, chart, ticks)?;
                ground::zero_line(pen, &frame, chart)
            })?;
            self.on(frame.plot, Caps::Round, look, None, |pen| data::draw(pen, chart, &frame))?;
        }
        if stale.axes {
            // Labels of the value axis rise above the plot, those of the time axis reach below the value axis.
            let values = Rect { left: frame.plot.right, top: frame.header.bottom, right: width, bottom: footer_top };
            self.on(values, Caps::Butt, look, None, |pen| {
                flat(pen)?;
                ground::grid(pen, &frame, chart, ticks)?;
                margin::value_axis(pen, chart, &frame, ticks)?;
                margin::time_axis(pen, chart, &frame, ticks)
            })?;
            let times = Rect { left: 0, top: frame.plot.bottom, right: frame.plot.right, bottom: footer_top };
            self.on(times, Caps::Butt, look, None, |pen| {
                flat(pen)?;
                ground::grid(pen, &frame, chart, ticks)?;
                margin::time_axis(pen, chart, &frame, ticks)
            })?;
        }
        if stale.header {
            self.on(frame.header, Caps::Butt, look, None, |pen| {
                flat(pen)?;
                header::draw(pen, &scene.header, &frame, hits)
            })?;
        }
        if stale.footer {
            self.on(frame.footer, Caps::Butt, look, None, |pen| {
                flat(pen)?;
                overlay::footer(pen, &scene.footer, &frame, hits)
            })?;
        }
        if stale.floats {
            let between = Rect { left: 0, top: frame.header.bottom, right: width, bottom: footer_top };
            self.on(between, Caps::Butt, look, undo, |pen| floats(pen, scene, &frame))?;
        }
        Ok(())
    }

    /// Lets `draw` draw inside `clip`.
    fn on(
        &mut self,
        clip: Rect,
        caps: Caps,
        look: &'static Look,
        undo: Option<&mut Undo>,
        draw: impl FnOnce(&CanvasPen<'_>) -> Result<(), PlotError>,
    ) -> Result<(), PlotError> {
        let Self { pixels, size, fonts, scratch, .. } = self;
        let canvas = Canvas { pixels, size: *size, clip, caps, fonts, scratch, undo };
        draw(&Pen { area: canvas.into_drawing_area(), fonts, look })
    }
}

type CanvasPen<'a> = Pen<'a, Canvas<'a>>;

/// All above the data, for a document without layers that stay.
pub(super) fn front<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    scene: &Scene,
    frame: &Frame,
    ticks: &Ticks,
) -> Result<(), PlotError> {
    let mut hits = Hits::default();
    margin::value_axis(pen, &scene.chart, frame, ticks)?;
    margin::time_axis(pen, &scene.chart, frame, ticks)?;
    header::draw(pen, &scene.header, frame, &mut hits)?;
    overlay::footer(pen, &scene.footer, frame, &mut hits)?;
    floats(pen, scene, frame)
}

/// What lies above data and axes.
fn floats<DB: DrawingBackend>(pen: &Pen<'_, DB>, scene: &Scene, frame: &Frame) -> Result<(), PlotError> {
    let chart = &scene.chart;
    cross::gap_labels(pen, chart, frame)?;
    cross::draw(pen, chart, frame)?;
    if let Some(notice) = &chart.notice {
        overlay::notice(pen, notice, frame)?;
    }
    if let Some(rows) = &scene.help {
        overlay::help(pen, rows, frame)?;
    }
    if let Some(toast) = &scene.toast {
        overlay::toast(pen, toast, frame)?;
    }
    Ok(())
}
