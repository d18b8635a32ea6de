//! The layers of a frame, and which of them a scene leaves as they are.
//!
//! Several things may change between two frames: they are one set of layers, each drawn once. The strips, the axes and
//! the plots lie side by side, so each is drawn without the others. What floats above the data (crosshair, labels,
//! panels) keeps what it covers: to move the mouse over the chart is to put that back, not to draw the data again.

use plotters::drawing::IntoDrawingArea;
use plotters_backend::DrawingBackend;

use super::font::Fonts;
use crate::chart::Rect;
use crate::chart::{Chart, MissingBand, Scene};
use crate::chart::{Frame, Hits};
use crate::plot::axis_labels::Ends;
use crate::plot::background::Ticks;
use crate::plot::framebuffer::{Canvas, Caps, Scratch, Undo};
use crate::plot::painter::Pen;
use crate::plot::theme::Look;
use crate::plot::{PlotError, axis_labels, background, bars, data, grid, header, overlay, overlays, title};

/// What has to be drawn anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stale {
    /// The frame as a whole.
    pub(super) everything: bool,
    pub(super) floats: bool,
    header: bool,
    footer: bool,
    /// In the order of [`charts`].
    pub(super) panes: Vec<StalePane>,
}

/// What of a plot and its axes has to be drawn anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StalePane {
    /// Ticks and grid.
    pub(super) view: bool,
    plot: bool,
    axes: bool,
    title: bool,
}

/// The charts that `frame` has room for.
pub(super) fn charts<'a>(scene: &'a Scene, frame: &Frame) -> &'a [Chart] {
    if frame.is_grid() {
        &scene.grid[..scene.grid.len().min(frame.panes())]
    } else {
        std::slice::from_ref(&scene.chart)
    }
}

/// Spans without data that the panes of a grid have in common.
fn common<'a>(scene: &'a Scene, frame: &Frame) -> &'a [MissingBand] {
    if frame.is_grid() { &scene.chart.gaps } else { &[] }
}

impl Stale {
    pub(super) fn everything(panes: usize) -> Self {
        let pane = StalePane { view: true, plot: true, axes: true, title: true };
        Self { everything: true, floats: true, header: true, footer: true, panes: vec![pane; panes] }
    }

    /// What `new` shows otherwise than `old` does. Compared is all that a layer is drawn from, point by point.
    pub(super) fn between(old: &Scene, new: &Scene, frame: &Frame) -> Self {
        let (were, are) = (charts(old, frame), charts(new, frame));
        // The outlines of panes in focus lie between them.
        let outlines = frame.is_grid() && were.iter().zip(are).any(|(a, b)| a.focus.is_some() != b.focus.is_some());
        if old.theme != new.theme || were.len() != are.len() || outlines {
            return Self::everything(are.len());
        }
        let gaps = common(old, frame) != common(new, frame);
        let pairs = were.iter().zip(are).enumerate();
        let pane = |(i, (was, is))| StalePane::between(was, is, gaps, &frame.pane(i));
        let panes: Vec<StalePane> = pairs.map(pane).collect();
        // The help lies over plots and axes, and the labels of gaps among the floats.
        let below = panes.iter().any(|pane| pane.plot || pane.axes || pane.title);
        let floats = below
            || were.iter().zip(are).any(|(was, is)| floats_differ(was, is))
            || floats_differ(&old.chart, &new.chart)
            || (&old.help, &old.search, &old.toast) != (&new.help, &new.search, &new.toast);
        let (header, footer) = (old.header != new.header, old.footer != new.footer);
        Self { everything: false, floats, header, footer, panes }
    }

    pub(super) fn is_nothing(&self) -> bool {
        !(self.floats || self.header || self.footer)
    }
}

impl StalePane {
    fn between(was: &Chart, is: &Chart, gaps: bool, frame: &Frame) -> Self {
        let look = |chart: &Chart| (chart.viewport, chart.axis, chart.decimals);
        let view = look(was) != look(is) || was.zone != is.zone;
        let plot = view
            || gaps
            || was.lines != is.lines
            || was.gaps != is.gaps
            || was.focus != is.focus
            || was.volume != is.volume
            || was.bars != is.bars
            || (is.bars.is_some() && was.tags != is.tags);
        // In a grid the mouse is above the axes of one column of panes.
        let above = |chart: &Chart| {
            let x = chart.crosshair.as_ref().map(|cross| cross.x);
            x.is_some_and(|x| (frame.plot.left..frame.plot.right).contains(&x))
        };
        let axes = view
            || (was.crosshair != is.crosshair && (above(was) || above(is)))
            || (was.tags != is.tags || was.focus != is.focus)
            || was.volume != is.volume
            || was.bars != is.bars
            || axis_labels::is_blank(was) != axis_labels::is_blank(is);
        Self { view, plot, axes, title: was.title != is.title }
    }
}

/// Whether what floats over the data of a chart is another.
fn floats_differ(was: &Chart, is: &Chart) -> bool {
    was.notice != is.notice
        || was.marks != is.marks
        || was.outliers != is.outliers
        || was.ruler != is.ruler
        || was.selection != is.selection
        || was.crosshair != is.crosshair
}

/// A framebuffer with what it takes to draw on it.
pub(super) struct LayerRenderer<'a> {
    pub(super) pixels: &'a mut [u32],
    pub(super) frame: Frame,
    pub(super) fonts: &'a Fonts,
    pub(super) scratch: &'a mut Scratch,
}

impl LayerRenderer<'_> {
    /// Draws the stale layers of `scene`. Where floats are among them, those of the scene before are gone already;
    /// what the new ones cover goes into `undo`.
    pub(super) fn draw(
        &mut self,
        scene: &Scene,
        ticks: &[Ticks],
        stale: &Stale,
        hits: &mut Hits,
        undo: Option<&mut Undo>,
    ) -> Result<(), PlotError> {
        let (frame, look) = (self.frame, Look::new(scene.theme));
        let charts = charts(scene, &frame);
        let whole = Rect { left: 0, top: 0, right: frame.header.right, bottom: frame.footer.bottom };
        if stale.everything {
            self.on(whole, Caps::Butt, look, None, |pen| {
                background::flat(pen, &frame)?;
                grid::borders(pen, charts, &frame)
            })?;
        }
        for (index, (chart, (ticks, stale_pane))) in charts.iter().zip(ticks.iter().zip(&stale.panes)).enumerate() {
            let pane = Pane { chart, frame: frame.pane(index), ticks, common: common(scene, &frame) };
            self.draw_pane(&pane, index, *stale_pane, stale.everything, look)?;
        }
        let flat = |pen: &CanvasPen<'_>| if stale.everything { Ok(()) } else { background::flat(pen, &frame) };
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
            let between = Rect { top: frame.header.bottom, bottom: frame.footer.top, ..whole };
            self.on(between, Caps::Butt, look, undo, |pen| overlays::draw(pen, scene, charts, &frame, hits))?;
        }
        Ok(())
    }

    fn draw_pane(
        &mut self,
        pane: &Pane<'_>,
        index: usize,
        stale: StalePane,
        everything: bool,
        look: &'static Look,
    ) -> Result<(), PlotError> {
        let whole = self.frame;
        let Pane { chart, frame, ticks, common } = *pane;
        let flat = |pen: &CanvasPen<'_>| if everything { Ok(()) } else { background::flat(pen, &whole) };
        if stale.plot {
            // The border below the plots is a row lower than they are.
            self.on(frame.plots(), Caps::Butt, look, None, |pen| {
                flat(pen)?;
                background::grid(pen, &frame, chart, ticks)?;
                background::zero_line(pen, &frame, chart)
            })?;
            self.on(frame.plot, Caps::Round, look, None, |pen| data::draw(pen, chart, &frame, common))?;
            self.on(frame.volume, Caps::Butt, look, None, |pen| bars::volume(pen, chart, &frame, common))?;
        }
        if stale.title && whole.is_grid() {
            self.on(frame.header, Caps::Butt, look, None, |pen| {
                flat(pen)?;
                chart.title.as_ref().map_or(Ok(()), |title| title::strip(pen, title, &frame))
            })?;
        }
        if stale.axes {
            self.draw_axes(pane, index, &flat, look)?;
        }
        Ok(())
    }

    fn draw_axes(
        &mut self,
        pane: &Pane<'_>,
        index: usize,
        flat: &impl Fn(&CanvasPen<'_>) -> Result<(), PlotError>,
        look: &'static Look,
    ) -> Result<(), PlotError> {
        let whole = self.frame;
        let Pane { chart, frame, ticks, .. } = *pane;
        let single = !whole.is_grid();
        if single || frame.value_axis.width() > 0 {
            // Labels of a single plot's value axis rise above it, those of the time axis reach below the value axis.
            let values = if single {
                Rect { top: whole.header.bottom, bottom: whole.footer.top, ..frame.value_axis }
            } else {
                frame.value_axis
            };
            self.on(values, Caps::Butt, look, None, |pen| {
                flat(pen)?;
                background::grid(pen, &frame, chart, ticks)?;
                axis_labels::value_axis(pen, chart, &frame, ticks)?;
                bars::volume_label(pen, chart, &frame)?;
                if single { axis_labels::time_axis(pen, chart, &frame, ticks, Ends::WINDOW) } else { Ok(()) }
            })?;
        }
        let Some(times) = time_clip(&whole, &frame, index) else { return Ok(()) };
        self.on(times, Caps::Butt, look, None, |pen| {
            flat(pen)?;
            if single {
                background::grid(pen, &frame, chart, ticks)?;
            }
            axis_labels::time_axis(pen, chart, &frame, ticks, ends(&whole, index))
        })
    }

    /// Lets `draw` draw inside `clip`, which is given by the layout.
    fn on(
        &mut self,
        clip: Rect,
        caps: Caps,
        look: &'static Look,
        undo: Option<&mut Undo>,
        draw: impl FnOnce(&CanvasPen<'_>) -> Result<(), PlotError>,
    ) -> Result<(), PlotError> {
        let Self { pixels, frame, fonts, scratch, .. } = self;
        let (size, scale, clip) = (frame.size, frame.scale, frame.screen(clip));
        if clip.width() == 0 || clip.height() == 0 {
            return Ok(());
        }
        let canvas = Canvas { pixels, size, scale, clip, caps, fonts, scratch, undo };
        draw(&Pen { area: canvas.into_drawing_area(), fonts, look, scale })
    }
}

/// Where the times of a plot stand; in a grid the panes of the first row have those of the columns below them.
fn time_clip(whole: &Frame, frame: &Frame, index: usize) -> Option<Rect> {
    let Some(cells) = whole.cells() else {
        return Some(Rect { left: 0, top: frame.plots().bottom, right: frame.plot.right, bottom: whole.footer.top });
    };
    (index < cells.columns).then(|| {
        let cell = cells.cell(index);
        Rect { left: cell.left, right: cell.right, ..whole.time_axis }
    })
}

/// Which ends of the window's time axis are those of a plot's.
fn ends(whole: &Frame, index: usize) -> Ends {
    whole.cells().map_or(Ends::WINDOW, |cells| Ends {
        single: false,
        first: index == 0,
        last: index + 1 == cells.columns,
    })
}

/// A chart and where it is drawn.
#[derive(Clone, Copy)]
pub(super) struct Pane<'a> {
    pub(super) chart: &'a Chart,
    pub(super) frame: Frame,
    pub(super) ticks: &'a Ticks,
    pub(super) common: &'a [MissingBand],
}

/// Every chart of a scene with where it is drawn.
pub(super) fn panes<'a>(scene: &'a Scene, frame: &Frame, ticks: &'a [Ticks]) -> Vec<Pane<'a>> {
    let charts = charts(scene, frame).iter().zip(ticks).enumerate();
    let pane = |(index, (chart, ticks)): (usize, (&'a Chart, &'a Ticks))| Pane {
        chart,
        frame: frame.pane(index),
        ticks,
        common: common(scene, frame),
    };
    charts.map(pane).collect()
}

type CanvasPen<'a> = Pen<'a, Canvas<'a>>;

/// All below the data, for a document without layers that stay.
pub(super) fn back<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    scene: &Scene,
    frame: &Frame,
    panes: &[Pane<'_>],
) -> Result<(), PlotError> {
    background::flat(pen, frame)?;
    grid::borders(pen, charts(scene, frame), frame)?;
    for pane in panes {
        background::grid(pen, &pane.frame, pane.chart, pane.ticks)?;
        background::zero_line(pen, &pane.frame, pane.chart)?;
    }
    Ok(())
}

/// All above the data, for a document without layers that stay.
pub(super) fn front<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    scene: &Scene,
    frame: &Frame,
    panes: &[Pane<'_>],
) -> Result<(), PlotError> {
    let mut hits = Hits::default();
    for (index, pane) in panes.iter().enumerate() {
        axis_labels::value_axis(pen, pane.chart, &pane.frame, pane.ticks)?;
        bars::volume_label(pen, pane.chart, &pane.frame)?;
        if time_clip(frame, &pane.frame, index).is_some() {
            axis_labels::time_axis(pen, pane.chart, &pane.frame, pane.ticks, ends(frame, index))?;
        }
        if let Some(title) = pane.chart.title.as_ref().filter(|_| frame.is_grid()) {
            title::strip(pen, title, &pane.frame)?;
        }
    }
    header::draw(pen, &scene.header, frame, &mut hits)?;
    overlay::footer(pen, &scene.footer, frame, &mut hits)?;
    overlays::draw(pen, scene, charts(scene, frame), frame, &mut hits)
}
