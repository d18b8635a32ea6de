//! Layers of a frame, and the choice of the layers that a scene changes.
//!
//! Header, footer, axes and plots lie side by side, so each can be redrawn alone. Overlays (crosshair, labels, panels)
//! save the pixels that they cover: to move the crosshair, these are restored and the data is not redrawn.

use plotters::drawing::IntoDrawingArea;

use super::axis_labels::Ends;
use super::backend::Backend;
use super::background::Ticks;
use super::font::Fonts;
use super::framebuffer::{Caps, FramebufferBackend, SavedPixels, Scratch};
use super::painter::LayerPainter;
use super::{DrawResult, axis_labels, background, bars, data, footer, grid, header, overlays, title};
use crate::chart::{Chart, HitAreas, Layout, MissingBand, Rect, Scene, ThemeColors};

/// Layers that need to be redrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stale {
    /// The whole frame.
    pub(super) everything: bool,
    pub(super) overlays: bool,
    header: bool,
    footer: bool,
    /// In the order of [`charts`].
    pub(super) panes: Vec<StalePane>,
}

/// Layers of one plot that need to be redrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StalePane {
    /// Ticks and grid.
    pub(super) view: bool,
    plot: bool,
    axes: bool,
    title: bool,
}

/// Charts that `layout` has room for.
pub(super) fn charts<'a>(scene: &'a Scene, layout: &Layout) -> &'a [Chart] {
    if layout.is_grid() {
        &scene.grid[..scene.grid.len().min(layout.panes())]
    } else {
        std::slice::from_ref(&scene.chart)
    }
}

/// Missing-data bands that the panes of a grid share.
fn common<'a>(scene: &'a Scene, layout: &Layout) -> &'a [MissingBand] {
    if layout.is_grid() { &scene.chart.missing } else { &[] }
}

impl Stale {
    pub(super) fn everything(panes: usize) -> Self {
        let pane = StalePane { view: true, plot: true, axes: true, title: true };
        Self { everything: true, overlays: true, header: true, footer: true, panes: vec![pane; panes] }
    }

    /// Layers that differ between two scenes. All input of a layer is compared, point by point.
    pub(super) fn between(old: &Scene, new: &Scene, layout: &Layout) -> Self {
        let (old_charts, new_charts) = (charts(old, layout), charts(new, layout));
        // Outlines of focused panes lie between panes.
        let outlines =
            layout.is_grid() && old_charts.iter().zip(new_charts).any(|(a, b)| a.focus.is_some() != b.focus.is_some());
        if old.theme != new.theme || old_charts.len() != new_charts.len() || outlines {
            return Self::everything(new_charts.len());
        }
        let bands_differ = common(old, layout) != common(new, layout);
        let pairs = old_charts.iter().zip(new_charts).enumerate();
        let pane = |(i, (old, new))| StalePane::between(old, new, bands_differ, &layout.pane(i));
        let panes: Vec<StalePane> = pairs.map(pane).collect();
        // The help covers plots and axes, and band labels are overlays.
        let below = panes.iter().any(|pane| pane.plot || pane.axes || pane.title);
        let overlays = below
            || old_charts.iter().zip(new_charts).any(|(old, new)| overlays_differ(old, new))
            || overlays_differ(&old.chart, &new.chart)
            || (&old.help, &old.search, &old.toast) != (&new.help, &new.search, &new.toast);
        let (header, footer) = (old.header != new.header, old.footer != new.footer);
        Self { everything: false, overlays, header, footer, panes }
    }

    pub(super) fn is_nothing(&self) -> bool {
        !(self.overlays || self.header || self.footer)
    }
}

impl StalePane {
    fn between(old: &Chart, new: &Chart, bands_differ: bool, layout: &Layout) -> Self {
        let axes_of = |chart: &Chart| (chart.viewport, chart.axis, chart.decimals);
        let view = axes_of(old) != axes_of(new) || old.zone != new.zone;
        let plot = view
            || bands_differ
            || old.lines != new.lines
            || old.missing != new.missing
            || old.focus != new.focus
            || old.volume != new.volume
            || old.bars != new.bars
            || (new.bars.is_some() && old.tags != new.tags);
        // In a grid, the crosshair has tags on the axes of one column of panes.
        let above = |chart: &Chart| {
            let x = chart.crosshair.as_ref().map(|crosshair| crosshair.x);
            x.is_some_and(|x| (layout.plot.left..layout.plot.right).contains(&x))
        };
        let axes = view
            || (old.crosshair != new.crosshair && (above(old) || above(new)))
            || (old.tags != new.tags || old.focus != new.focus)
            || old.volume != new.volume
            || old.bars != new.bars
            || axis_labels::is_blank(old) != axis_labels::is_blank(new);
        Self { view, plot, axes, title: old.title != new.title }
    }
}

/// Returns `true` if the overlays of two charts differ.
fn overlays_differ(old: &Chart, new: &Chart) -> bool {
    old.notice != new.notice
        || old.marks != new.marks
        || old.outliers != new.outliers
        || old.ruler != new.ruler
        || old.selection != new.selection
        || old.crosshair != new.crosshair
}

/// Renderer of layers to a framebuffer.
pub(super) struct LayerRenderer<'a> {
    pub(super) pixels: &'a mut [u32],
    pub(super) layout: Layout,
    pub(super) fonts: &'a Fonts,
    pub(super) scratch: &'a mut Scratch,
    pub(super) scene: &'a Scene,
    pub(super) stale: &'a Stale,
}

impl LayerRenderer<'_> {
    /// Draws the stale layers of the scene. If overlays are among them, the previous ones must have been removed; the
    /// pixels under the new ones go to `saved`.
    pub(super) fn draw(&mut self, ticks: &[Ticks], hits: &mut HitAreas, saved: Option<&mut SavedPixels>) -> DrawResult {
        let (layout, scene, stale) = (self.layout, self.scene, self.stale);
        let charts = charts(scene, &layout);
        let whole = Rect { left: 0, top: 0, right: layout.header.right, bottom: layout.footer.bottom };
        if stale.everything {
            self.draw_clipped(whole, Caps::Butt, None, |painter| {
                background::fill_background(painter, &layout)?;
                grid::borders(painter, charts, &layout)
            })?;
        }
        for (pane, stale_pane) in panes(scene, &layout, ticks).iter().zip(&stale.panes) {
            self.draw_pane(pane, *stale_pane)?;
        }
        if stale.header {
            self.redraw(layout.header, |painter| header::draw(painter, &scene.header, &layout, hits))?;
        }
        if stale.footer {
            self.redraw(layout.footer, |painter| footer::draw(painter, &scene.footer, &layout, hits))?;
        }
        if stale.overlays {
            let between = Rect { top: layout.header.bottom, bottom: layout.footer.top, ..whole };
            self.draw_clipped(between, Caps::Butt, saved, |painter| {
                overlays::draw(painter, scene, charts, &layout, hits)
            })?;
        }
        Ok(())
    }

    fn draw_pane(&mut self, pane: &Pane<'_>, stale: StalePane) -> DrawResult {
        let Pane { chart, layout, common, .. } = *pane;
        if stale.plot {
            // The border below the plots is one row lower than they are.
            self.redraw(layout.plots(), |painter| pane.draw_below_data(painter))?;
            self.draw_clipped(layout.plot, Caps::Round, None, |painter| data::draw(painter, chart, &layout, common))?;
            self.draw_clipped(layout.volume, Caps::Butt, None, |painter| {
                bars::volume(painter, chart, &layout, common)
            })?;
        }
        if stale.title && self.layout.is_grid() {
            self.redraw(layout.header, |painter| pane.draw_title(painter))?;
        }
        if stale.axes { self.draw_axes(pane) } else { Ok(()) }
    }

    fn draw_axes(&mut self, pane: &Pane<'_>) -> DrawResult {
        let (Pane { chart, layout, ticks, .. }, whole) = (*pane, self.layout);
        let single = !whole.is_grid();
        if single || layout.value_axis.width() > 0 {
            // Labels of a single plot's value axis rise above it, and those of the time axis extend below the value
            // axis.
            let values = if single {
                Rect { top: whole.header.bottom, bottom: whole.footer.top, ..layout.value_axis }
            } else {
                layout.value_axis
            };
            self.redraw(values, |painter| {
                background::grid(painter, &layout, chart, ticks)?;
                pane.draw_value_axis(painter)?;
                if single { pane.draw_time_axis(painter) } else { Ok(()) }
            })?;
        }
        let Some((times, _)) = pane.times else { return Ok(()) };
        self.redraw(times, |painter| {
            if single {
                background::grid(painter, &layout, chart, ticks)?;
            }
            pane.draw_time_axis(painter)
        })
    }

    /// Calls `draw` with a painter that is clipped to `clip`, on the background.
    fn redraw(&mut self, clip: Rect, draw: impl FnOnce(&LayerPainter<'_>) -> DrawResult) -> DrawResult {
        let (layout, everything) = (self.layout, self.stale.everything);
        self.draw_clipped(clip, Caps::Butt, None, |painter| {
            // With the whole frame, the background is there already.
            if !everything {
                background::fill_background(painter, &layout)?;
            }
            draw(painter)
        })
    }

    /// Calls `draw` with a painter that is clipped to `clip`, in pixels of the layout.
    fn draw_clipped(
        &mut self,
        clip: Rect,
        caps: Caps,
        saved: Option<&mut SavedPixels>,
        draw: impl FnOnce(&LayerPainter<'_>) -> DrawResult,
    ) -> DrawResult {
        let Self { pixels, layout, fonts, scratch, scene, .. } = self;
        let (size, scale, clip) = (layout.size, layout.scale, layout.screen(clip));
        if clip.is_empty() {
            return Ok(());
        }
        let backend = FramebufferBackend { pixels, size, scale, clip, caps, fonts, scratch, saved };
        let (area, colors) = (Backend::Framebuffer(backend).into_drawing_area(), ThemeColors::of(scene.theme));
        draw(&LayerPainter { area, fonts, colors, scale })
    }
}

/// A chart and its layout.
#[derive(Clone, Copy)]
pub(super) struct Pane<'a> {
    pub(super) chart: &'a Chart,
    pub(super) layout: Layout,
    ticks: &'a Ticks,
    pub(super) common: &'a [MissingBand],
    /// Area and ends of its time axis; `None` if another pane of its column draws it.
    times: Option<(Rect, Ends)>,
}

/// All charts of a scene with their layouts.
pub(super) fn panes<'a>(scene: &'a Scene, layout: &Layout, ticks: &'a [Ticks]) -> Vec<Pane<'a>> {
    let charts = charts(scene, layout).iter().zip(ticks).enumerate();
    let pane = |(index, (chart, ticks)): (usize, (&'a Chart, &'a Ticks))| Pane {
        chart,
        layout: layout.pane(index),
        ticks,
        common: common(scene, layout),
        times: times(layout, index),
    };
    charts.map(pane).collect()
}

/// Area and ends of a plot's time axis. In a grid, the panes of the first row draw the time axes of their columns.
fn times(whole: &Layout, index: usize) -> Option<(Rect, Ends)> {
    let Some(cells) = whole.pane_grid() else {
        let (top, bottom) = (whole.plots().bottom, whole.footer.top);
        return Some((Rect { left: 0, top, right: whole.plot.right, bottom }, Ends::WINDOW));
    };
    let (Rect { left, right, .. }, last) = (cells.cell(index), index + 1 == cells.columns);
    let ends = Ends { single: false, first: index == 0, last };
    (index < cells.columns).then_some((Rect { left, right, ..whole.time_axis }, ends))
}

impl Pane<'_> {
    pub(super) fn draw_below_data(&self, painter: &LayerPainter<'_>) -> DrawResult {
        background::grid(painter, &self.layout, self.chart, self.ticks)?;
        background::zero_line(painter, &self.layout, self.chart)
    }

    pub(super) fn draw_value_axis(&self, painter: &LayerPainter<'_>) -> DrawResult {
        axis_labels::value_axis(painter, self.chart, &self.layout, self.ticks)?;
        bars::volume_label(painter, self.chart, &self.layout)
    }

    pub(super) fn draw_time_axis(&self, painter: &LayerPainter<'_>) -> DrawResult {
        let Some((_, ends)) = self.times else { return Ok(()) };
        axis_labels::time_axis(painter, self.chart, &self.layout, self.ticks, ends)
    }

    /// Draws the title strip of a pane of a grid.
    pub(super) fn draw_title(&self, painter: &LayerPainter<'_>) -> DrawResult {
        self.chart.title.as_ref().map_or(Ok(()), |title| title::strip(painter, title, &self.layout))
    }
}
