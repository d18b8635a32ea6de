//! Where the crosshair is, and what is measured with it.

use crate::chart::format;
use crate::chart::{AxisKind, Chart, Crosshair, Point, Readout, Ruler, Selection};
use crate::chart::{Transform, Viewport};
use crate::consumer::interaction::{Cursor, Interaction, Measure, Plot};
use crate::consumer::query::{FrameData, SymbolFrame, tape};
use crate::consumer::scene_builder::SceneBuilder;
use crate::consumer::scene_builder::plots::{axis_value, members};
use crate::consumer::shared::Shared;
use crate::series::Sample;

/// So near to a tick the crosshair sits on it, px.
const SNAP_PX: f64 = 12.0;

/// The crosshair before anything is said about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct At {
    pub(super) cursor: Cursor,
    /// Where in the frame.
    x: f64,
    y: f64,
    /// The symbol on whose tick or bar it sits, or whose pane it is in.
    pub(super) on: Option<usize>,
    /// It sits on a tick.
    snapped: bool,
}

/// The mapping of a plot.
fn mapping(gathered: &FrameData, plots: &[Plot], pane: usize) -> Option<Transform> {
    let value = plots.get(pane)?.value;
    Some(Transform { viewport: Viewport { time: gathered.span, value }, rect: gathered.frame.pane(pane).plot })
}

/// Where the crosshair is: where keys have put it, or at the mouse, or at the tick nearest to that.
pub(super) fn locate(
    gathered: &FrameData,
    plots: &[Plot],
    charts: &[Chart],
    controls: &Interaction,
    axis: AxisKind,
) -> Option<At> {
    // Before the first tick there is nothing to point at.
    if controls.help || controls.search.is_some() || gathered.edge_ns.is_none() {
        return None;
    }
    if let Some(at_ns) = controls.key_cursor_ns {
        return at_tick(gathered, plots, charts, controls.focus()?, at_ns);
    }
    let (x, y) = controls.mouse?;
    let pane = gathered.frame.pane_at(x, y)?;
    let map = mapping(gathered, plots, pane)?;
    let free =
        At { cursor: Cursor { pane, time_ns: map.time_at(x), value: map.value_at(y) }, x, y, on: None, snapped: false };
    let only = members(gathered, plots[pane].id).next().filter(|_| gathered.is_grid()).map(|shown| shown.slot);
    if !controls.snaps {
        return Some(At { on: only, ..free });
    }
    if let Some(at) = on_bar(gathered, &map, free, plots, axis) {
        return Some(at);
    }
    Some(on_line(&charts[pane], &map, free).unwrap_or(At { on: only, ..free }))
}

/// The vertex nearest to the mouse. Those that are drawn include every extreme of every column.
fn on_line(chart: &Chart, map: &Transform, free: At) -> Option<At> {
    let (from_ns, to_ns) = (map.time_at(free.x - SNAP_PX), map.time_at(free.x + SNAP_PX));
    let mut best: Option<(f64, At)> = None;
    for line in &chart.lines {
        for run in &line.runs {
            let first = run.partition_point(|point| point.time_ns < from_ns);
            for point in run[first..].iter().take_while(|point| point.time_ns <= to_ns) {
                let (x, y) = (map.x(point.time_ns), map.y(point.value));
                let off = (x - free.x).hypot(y - free.y);
                if off <= SNAP_PX && best.is_none_or(|(least, _)| off < least) && map.rect.contains(x, y) {
                    let cursor = Cursor { time_ns: point.time_ns, value: point.value, ..free.cursor };
                    best = Some((off, At { cursor, x, y, on: Some(line.palette_index), snapped: true }));
                }
            }
        }
    }
    best.map(|(_, at)| at)
}

/// The bar under the mouse: the crosshair stands in its middle, at the mouse's own height.
fn on_bar(gathered: &FrameData, map: &Transform, free: At, plots: &[Plot], axis: AxisKind) -> Option<At> {
    let shown = members(gathered, plots[free.cursor.pane].id).next()?;
    let candle = shown.candles.iter().rev().find(|candle| candle.start_ns <= free.cursor.time_ns)?;
    if free.cursor.time_ns >= candle.end_ns {
        return None;
    }
    let middle = middle_of(map, candle.start_ns, candle.end_ns);
    // On its close where the mouse is near to that.
    let close = axis_value(axis, shown, candle.close).map(|value| (value, map.y(value)));
    let close = close.filter(|(_, y)| (y - free.y).abs() <= SNAP_PX / 2.0);
    let (value, y) = close.unwrap_or((free.cursor.value, free.y));
    let cursor = Cursor { time_ns: candle.start_ns, value, ..free.cursor };
    // A bar has no one instant: the crosshair stands in its middle.
    Some(At { cursor, x: middle, y, on: Some(shown.slot), snapped: false })
}

fn middle_of(map: &Transform, start_ns: i64, end_ns: i64) -> f64 {
    let (left, right) = (map.x(start_ns), map.x(end_ns.saturating_sub(1)));
    let (first, last) = (f64::from(map.rect.left), f64::from(map.rect.right - 1));
    f64::midpoint(left, right).min(last).max(first)
}

/// At a tick or bar of a symbol.
fn at_tick(gathered: &FrameData, plots: &[Plot], charts: &[Chart], slot: usize, at_ns: i64) -> Option<At> {
    let pane = plots.iter().position(|plot| members(gathered, plot.id).any(|shown| shown.slot == slot))?;
    let (map, chart) = (mapping(gathered, plots, pane)?, &charts[pane]);
    if let Some(bars) = &chart.bars {
        let bar = bars.bars.iter().rev().find(|bar| bar.start_ns <= at_ns)?;
        let cursor = Cursor { pane, time_ns: bar.start_ns, value: bar.close };
        let x = middle_of(&map, bar.start_ns, bar.end_ns);
        return Some(At { cursor, x, y: map.y(bar.close), on: Some(slot), snapped: false });
    }
    let points =
        chart.lines.iter().filter(|line| line.palette_index == slot).flat_map(|line| line.runs.iter().flatten());
    // Between the vertices that are drawn lie others at the same column; the nearest drawn one has the height.
    let nearest = points.min_by_key(|point| point.time_ns.abs_diff(at_ns))?;
    let cursor = Cursor { pane, time_ns: at_ns, value: nearest.value };
    Some(At { cursor, x: map.x(at_ns), y: map.y(nearest.value), on: Some(slot), snapped: true })
}

impl SceneBuilder {
    /// The crosshair in each plot: at the same instant in all, with a height in the one that it is in.
    pub(super) fn crosshairs(
        &self,
        at: At,
        shared: &Shared,
        gathered: &FrameData,
        plots: &[Plot],
        controls: &Interaction,
        axis: AxisKind,
    ) -> Vec<Option<Crosshair>> {
        let has_bars = gathered.interval.is_some();
        let book = shared.book();
        let until_ns = controls.until().tick_ns;
        let crosshair = |(pane, plot): (usize, &Plot)| {
            let map = mapping(gathered, plots, pane)?;
            let here = pane == at.cursor.pane;
            let column = if here { at.x } else { map.x(at.cursor.time_ns) };
            let row = |shown: &SymbolFrame| {
                let tape = tape(&book, gathered.recalled.as_deref(), shown.slot)?;
                let tick = tape.at_or_before(at.cursor.time_ns.min(until_ns))?;
                self.readout(shown, tick.sample(), axis)
            };
            let is_shown = !has_bars && !gathered.is_gap(at.cursor.time_ns);
            let rows = members(gathered, plot.id).filter(|_| is_shown).filter_map(row).collect();
            let (x, y) = (column.floor() as i32, if here { at.y.floor() as i32 } else { i32::MIN });
            let snapped = here && at.snapped;
            Some(Crosshair { x, y, time_ns: at.cursor.time_ns, value: at.cursor.value, rows, snapped })
        };
        plots.iter().enumerate().map(crosshair).collect()
    }

    fn readout(&self, shown: &SymbolFrame, sample: Sample, axis: AxisKind) -> Option<Readout> {
        let value = axis_value(axis, shown, sample.price)?;
        Some(Readout {
            palette_index: shown.slot,
            symbol: shown.symbol.clone(),
            price: self.price(shown.slot, sample.price),
            change_percent: shown.percent(sample.price),
            point: Point { time_ns: sample.time_ns, value },
        })
    }

    /// Draws the ruler into the plot that it was begun in; returns the box being drawn.
    pub(super) fn measurements(
        at: Option<&At>,
        gathered: &FrameData,
        plots: &[Plot],
        controls: &mut Interaction,
        charts: &mut [Chart],
    ) -> Option<Selection> {
        let axis = charts.first()?.axis;
        let end_of = |kept: &mut Option<Measure>| {
            // What it was about may be gone.
            let mut measure = kept.take()?;
            if !measure.is_at_home(plots, axis) {
                return None;
            }
            let measure = kept.insert(measure);
            let cursor = at.map(|at| at.cursor).filter(|cursor| cursor.pane == measure.from.pane);
            Some((measure.from, measure.end(cursor).unwrap_or(measure.from)))
        };
        if let Some((from, to)) = end_of(&mut controls.ruler)
            && let Some(chart) = charts.get_mut(from.pane)
        {
            chart.ruler = Some(ruler(from, to, chart.axis, chart.decimals));
        }
        let (from, to) = end_of(&mut controls.zoom_box)?;
        let map = mapping(gathered, plots, from.pane)?;
        let px = |cursor: Cursor| (map.x(cursor.time_ns), map.y(cursor.value));
        Some(Selection { from: px(from), to: px(to) })
    }
}

/// What the ruler says between two places of a plot.
fn ruler(from: Cursor, to: Cursor, axis: AxisKind, decimals: usize) -> Ruler {
    let delta = to.value - from.value;
    let time_ns = to.time_ns.saturating_sub(from.time_ns);
    let sign = if time_ns < 0 { "\u{2212}" } else { "" };
    let time = format!("{sign}{}", format::span(time_ns.saturating_abs()));
    let value = match axis {
        AxisKind::Percent => vec![format!("{} points", format::percent(delta).trim_end_matches('%'))],
        AxisKind::Price => price_change(from.value, to.value, decimals),
        AxisKind::Log => price_change(10_f64.powf(from.value), 10_f64.powf(to.value), decimals),
    };
    let point = |cursor: Cursor| Point { time_ns: cursor.time_ns, value: cursor.value };
    let lines = std::iter::once(time).chain(value).collect();
    Ruler { from: point(from), to: point(to), lines, rising: delta >= 0.0 }
}

fn price_change(from: f64, to: f64, decimals: usize) -> Vec<String> {
    let change = to - from;
    let sign = if change > 0.0 { "+" } else { "" };
    let mut lines = vec![format!("{sign}{}", format::price(change, decimals))];
    let percent = change / from.abs() * 100.0;
    if percent.is_finite() {
        lines.push(format::percent(percent));
    }
    lines
}
