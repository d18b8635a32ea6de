//! The layers of a frame, and which of them a scene leaves as they are.
//!
//! Several things may change between two frames: they are one set of layers, each drawn once. The strips, the axes and
//! the plots lie side by side, so each is drawn without the others. What floats above the data (crosshair, labels,
//! panels) keeps what it covers: to move the mouse over the chart is to put that back, not to draw the data again.

use plotters::drawing::IntoDrawingArea;
use plotters_backend::DrawingBackend;

use super::font::Fonts;
use crate::chart::Rect;
use crate::chart::ThemeColors;
use crate::chart::{Chart, MissingBand, Scene};
use crate::chart::{HitAreas, Layout};
use crate::plot::axis_labels::Ends;
use crate::plot::background::Ticks;
use crate::plot::framebuffer::{Caps, FramebufferBackend, SavedPixels, Scratch};
use crate::plot::painter::LayerPainter;
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
pub(super) fn charts<'a>(scene: &'a Scene, frame: &Layout) -> &'a [Chart] {
    if frame.is_grid() {
        &scene.grid[..scene.grid.len().min(frame.panes())]
    } else {
        std::slice::from_ref(&scene.chart)
    }
}

/// Spans without data that the panes of a grid have in common.
fn common<'a>(scene: &'a Scene, frame: &Layout) -> &'a [MissingBand] {
    if frame.is_grid() { &scene.chart.missing } else { &[] }
}

impl Stale {
    pub(super) fn everything(panes: usize) -> Self {
        let pane = StalePane { view: true, plot: true, axes: true, title: true };
        Self { everything: true, floats: true, header: true, footer: true, panes: vec![pane; panes] }
    }

    /// What `new` shows otherwise than `old` does. Compared is all that a layer is drawn from, point by point.
    pub(super) fn between(old: &Scene, new: &Scene, frame: &Layout) -> Self {
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
    fn between(was: &Chart, is: &Chart, gaps: bool, frame: &Layout) -> Self {
        let colors = |chart: &Chart| (chart.viewport, chart.axis, chart.decimals);
        let view = colors(was) != colors(is) || was.zone != is.zone;
        let plot = view
            || gaps
            || was.lines != is.lines
            || was.missing != is.missing
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
    pub(super) frame: Layout,
    pub(super) fonts: &'a Fonts,
    pub(super) scratch: &'a mut Scratch,
}

impl LayerRenderer<'_> {
    /// Draws the stale layers of `scene`. Where floats are among them, those of the scene before are gone already;
    /// what the new ones cover goes into `saved`.
    pub(super) fn draw(
        &mut self,
        scene: &Scene,
        ticks: &[Ticks],
        stale: &Stale,
        hits: &mut HitAreas,
        saved: Option<&mut SavedPixels>,
    ) -> Result<(), PlotError> {
        let (frame, colors) = (self.frame, ThemeColors::of(scene.theme));
        let charts = charts(scene, &frame);
        let whole = Rect { left: 0, top: 0, right: frame.header.right, bottom: frame.footer.bottom };
        if stale.everything {
            self.on(whole, Caps::Butt, colors, None, |painter| {
                background::flat(painter, &frame)?;
                grid::borders(painter, charts, &frame)
            })?;
        }
        for (index, (chart, (ticks, stale_pane))) in charts.iter().zip(ticks.iter().zip(&stale.panes)).enumerate() {
            let pane = Pane { chart, frame: frame.pane(index), ticks, common: common(scene, &frame) };
            self.draw_pane(&pane, index, *stale_pane, stale.everything, colors)?;
        }
        let flat = |painter: &FramebufferPainter<'_>| {
            if stale.everything { Ok(()) } else { background::flat(painter, &frame) }
        };
        if stale.header {
            self.on(frame.header, Caps::Butt, colors, None, |painter| {
                flat(painter)?;
                header::draw(painter, &scene.header, &frame, hits)
            })?;
        }
        if stale.footer {
            self.on(frame.footer, Caps::Butt, colors, None, |painter| {
                flat(painter)?;
                overlay::footer(painter, &scene.footer, &frame, hits)
            })?;
        }
        if stale.floats {
            let between = Rect { top: frame.header.bottom, bottom: frame.footer.top, ..whole };
            self.on(between, Caps::Butt, colors, saved, |painter| {
                overlays::draw(painter, scene, charts, &frame, hits)
            })?;
        }
        Ok(())
    }

    fn draw_pane(
        &mut self,
        pane: &Pane<'_>,
        index: usize,
        stale: StalePane,
        everything: bool,
        colors: &'static ThemeColors,
    ) -> Result<(), PlotError> {
        let whole = self.frame;
        let Pane { chart, frame, ticks, common } = *pane;
        let flat =
            |painter: &FramebufferPainter<'_>| if everything { Ok(()) } else { background::flat(painter, &whole) };
        if stale.plot {
            // The border below the plots is a row lower than they are.
            self.on(frame.plots(), Caps::Butt, colors, None, |painter| {
                flat(painter)?;
                background::grid(painter, &frame, chart, ticks)?;
                background::zero_line(painter, &frame, chart)
            })?;
            self.on(frame.plot, Caps::Round, colors, None, |painter| data::draw(painter, chart, &frame, common))?;
            self.on(frame.volume, Caps::Butt, colors, None, |painter| bars::volume(painter, chart, &frame, common))?;
        }
        if stale.title && whole.is_grid() {
            self.on(frame.header, Caps::Butt, colors, None, |painter| {
                flat(painter)?;
                chart.title.as_ref().map_or(Ok(()), |title| title::strip(painter, title, &frame))
            })?;
        }
        if stale.axes {
            self.draw_axes(pane, index, &flat, colors)?;
        }
        Ok(())
    }

    fn draw_axes(
        &mut self,
        pane: &Pane<'_>,
        index: usize,
        flat: &impl Fn(&FramebufferPainter<'_>) -> Result<(), PlotError>,
        colors: &'static ThemeColors,
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
            self.on(values, Caps::Butt, colors, None, |painter| {
                flat(painter)?;
                background::grid(painter, &frame, chart, ticks)?;
                axis_labels::value_axis(painter, chart, &frame, ticks)?;
                bars::volume_label(painter, chart, &frame)?;
                if single { axis_labels::time_axis(painter, chart, &frame, ticks, Ends::WINDOW) } else { Ok(()) }
            })?;
        }
        let Some(times) = time_clip(&whole, &frame, index) else { return Ok(()) };
        self.on(times, Caps::Butt, colors, None, |painter| {
            flat(painter)?;
            if single {
                background::grid(painter, &frame, chart, ticks)?;
            }
            axis_labels::time_axis(painter, chart, &frame, ticks, ends(&whole, index))
        })
    }

    /// Lets `draw` draw inside `clip`, which is given by the layout.
    fn on(
        &mut self,
        clip: Rect,
        caps: Caps,
        colors: &'static ThemeColors,
        saved: Option<&mut SavedPixels>,
        draw: impl FnOnce(&FramebufferPainter<'_>) -> Result<(), PlotError>,
    ) -> Result<(), PlotError> {
        let Self { pixels, frame, fonts, scratch, .. } = self;
        let (size, scale, clip) = (frame.size, frame.scale, frame.screen(clip));
        if clip.width() == 0 || clip.height() == 0 {
            return Ok(());
        }
        let canvas = FramebufferBackend { pixels, size, scale, clip, caps, fonts, scratch, saved };
        draw(&LayerPainter { area: canvas.into_drawing_area(), fonts, colors, scale })
    }
}

/// Where the times of a plot stand; in a grid the panes of the first row have those of the columns below them.
fn time_clip(whole: &Layout, frame: &Layout, index: usize) -> Option<Rect> {
    let Some(cells) = whole.cells() else {
        return Some(Rect { left: 0, top: frame.plots().bottom, right: frame.plot.right, bottom: whole.footer.top });
    };
    (index < cells.columns).then(|| {
        let cell = cells.cell(index);
        Rect { left: cell.left, right: cell.right, ..whole.time_axis }
    })
}

/// Which ends of the window's time axis are those of a plot's.
fn ends(whole: &Layout, index: usize) -> Ends {
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
    pub(super) frame: Layout,
    pub(super) ticks: &'a Ticks,
    pub(super) common: &'a [MissingBand],
}

/// Every chart of a scene with where it is drawn.
pub(super) fn panes<'a>(scene: &'a Scene, frame: &Layout, ticks: &'a [Ticks]) -> Vec<Pane<'a>> {
    let charts = charts(scene, frame).iter().zip(ticks).enumerate();
    let pane = |(index, (chart, ticks)): (usize, (&'a Chart, &'a Ticks))| Pane {
        chart,
        frame: frame.pane(index),
        ticks,
        common: common(scene, frame),
    };
    charts.map(pane).collect()
}

type FramebufferPainter<'a> = LayerPainter<'a, FramebufferBackend<'a>>;

/// All below the data, for a document without layers that stay.
pub(super) fn back<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    scene: &Scene,
    frame: &Layout,
    panes: &[Pane<'_>],
) -> Result<(), PlotError> {
    background::flat(painter, frame)?;
    grid::borders(painter, charts(scene, frame), frame)?;
    for pane in panes {
        background::grid(painter, &pane.frame, pane.chart, pane.ticks)?;
        background::zero_line(painter, &pane.frame, pane.chart)?;
    }
    Ok(())
}

/// All above the data, for a document without layers that stay.
pub(super) fn front<DB: DrawingBackend>(
    painter: &LayerPainter<'_, DB>,
    scene: &Scene,
    frame: &Layout,
    panes: &[Pane<'_>],
) -> Result<(), PlotError> {
    let mut hits = HitAreas::default();
    for (index, pane) in panes.iter().enumerate() {
        axis_labels::value_axis(painter, pane.chart, &pane.frame, pane.ticks)?;
        bars::volume_label(painter, pane.chart, &pane.frame)?;
        if time_clip(frame, &pane.frame, index).is_some() {
            axis_labels::time_axis(painter, pane.chart, &pane.frame, pane.ticks, ends(frame, index))?;
        }
        if let Some(title) = pane.chart.title.as_ref().filter(|_| frame.is_grid()) {
            title::strip(painter, title, &pane.frame)?;
        }
    }
    header::draw(painter, &scene.header, frame, &mut hits)?;
    overlay::footer(painter, &scene.footer, frame, &mut hits)?;
    overlays::draw(painter, scene, charts(scene, frame), frame, &mut hits)
}
