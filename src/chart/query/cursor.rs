//! The crosshair: its position, snapped to ticks and bars, and its movement by keys.

use crate::chart::Transform;
use crate::chart::interaction::{ChartKind, Cursor, ResolvedView};
use crate::chart::query::{FrameData, FrameQuery};

/// Distance within which the crosshair snaps to a tick, px.
const SNAP_PX: f64 = 12.0;

/// The crosshair of a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrosshairPosition {
    /// Position in data space.
    pub cursor: Cursor,
    /// Column in the frame, px of the layout.
    pub x: f64,
    /// Row in the frame, px of the layout.
    pub y: f64,
    /// Index of the symbol whose tick or bar it sits on, or whose pane it is in.
    pub symbol: Option<usize>,
    /// It sits on a tick.
    pub snapped: bool,
}

impl FrameQuery<'_> {
    /// Moves the crosshair by the ticks of the focused symbol, as requested by keys, and reveals it.
    pub(super) fn step_by_ticks(&self, view: &mut ResolvedView, edge_ns: Option<i64>) {
        let (interaction, steps) = (self.interaction, self.interaction.cursor_steps);
        if steps == 0 || interaction.view.kind != ChartKind::Lines {
            return;
        }
        let Some(series) = interaction.focus().and_then(|index| self.merged(index)) else { return };
        let until_ns = interaction.pause_point().tick_ns;
        // The first key press places the crosshair on the newest visible tick.
        let (from_ns, steps) = match view.key_cursor_ns {
            Some(cursor_ns) => (cursor_ns, steps),
            None => (view.span().end.saturating_sub(1), 0),
        };
        let mut at = series.at_or_before(from_ns.min(until_ns)).map(|tick| tick.time_ns);
        for _ in 0..steps.unsigned_abs() {
            let Some(at_ns) = at else { break };
            let next = if steps < 0 {
                series.at_or_before(at_ns.saturating_sub(1))
            } else {
                series.at_or_after(at_ns.saturating_add(1)).filter(|tick| tick.time_ns <= until_ns)
            };
            at = next.map(|tick| tick.time_ns).or(at);
        }
        if let Some(at_ns) = at {
            view.key_cursor_ns = Some(at_ns);
            view.reveal(at_ns, edge_ns);
        }
    }

    /// Moves the crosshair by the visible bars of the focused symbol, as requested by keys.
    pub(super) fn step_by_bars(&self, data: &mut FrameData) {
        let steps = self.interaction.cursor_steps;
        let focus = self.interaction.focus().and_then(|index| data.symbols.get(index));
        let Some(bars) = focus.map(|symbol| &symbol.bars).filter(|bars| steps != 0 && !bars.is_empty()) else { return };
        let last = bars.len() - 1;
        let at = data.view.key_cursor_ns.and_then(|at_ns| bars.iter().position(|bar| bar.start_ns >= at_ns));
        let next = at.map_or(last, |at| (at as i64).saturating_add(steps).clamp(0, last as i64) as usize);
        data.view.key_cursor_ns = Some(bars[next].start_ns);
    }

    /// Places the crosshair and reads each drawn symbol's last tick before it.
    pub(super) fn read_crosshair(&self, data: &mut FrameData) {
        data.crosshair = self.locate_crosshair(data);
        let Some(CrosshairPosition { cursor, .. }) = data.crosshair else { return };
        if data.hit.bar_interval.is_some() || data.is_missing(cursor.time_ns) {
            return;
        }
        for index in &data.drawn {
            let tick = self.merged(*index).and_then(|it| it.at_or_before(cursor.time_ns.min(data.until_ns)));
            data.symbols[*index].at_crosshair = tick.map(|tick| tick.sample());
        }
    }

    /// The crosshair where keys have moved it, or at the mouse, or at the tick or bar that it snaps to.
    fn locate_crosshair(&self, data: &FrameData) -> Option<CrosshairPosition> {
        let interaction = self.interaction;
        // Before the first tick there is nothing to point at.
        if interaction.help || interaction.search.is_some() || data.hit.edge_ns.is_none() {
            return None;
        }
        if let Some(at_ns) = data.view.key_cursor_ns {
            return self.at_tick_or_bar(data, interaction.focus()?, at_ns);
        }
        let (x, y) = interaction.mouse?;
        let pane = data.hit.layout.pane_at(x, y)?;
        let map = data.transform(pane)?;
        let symbol = data.plot_symbols(data.hit.plots[pane].id).next().filter(|_| data.hit.layout.is_grid());
        let free = CrosshairPosition {
            cursor: Cursor { pane, time_ns: map.time_at(x), value: map.value_at(y) },
            x,
            y,
            symbol: symbol.map(|symbol| symbol.index),
            snapped: false,
        };
        let snapped = || snap_to_bar(data, &map, free).or_else(|| snap_to_line(data, &map, free));
        if interaction.snap { snapped().or(Some(free)) } else { Some(free) }
    }

    /// The crosshair on a tick or bar of a symbol.
    fn at_tick_or_bar(&self, data: &FrameData, index: usize, at_ns: i64) -> Option<CrosshairPosition> {
        let drawn = |id| data.plot_symbols(id).find(|symbol| symbol.index == index);
        let (pane, symbol) =
            data.hit.plots.iter().enumerate().find_map(|(pane, plot)| Some((pane, drawn(plot.id)?)))?;
        let map = data.transform(pane)?;
        if self.interaction.view.kind != ChartKind::Lines {
            let bar = symbol.bars_on(data.hit.axis).rev().find(|bar| bar.start_ns <= at_ns)?;
            let cursor = Cursor { pane, time_ns: bar.start_ns, value: bar.close };
            let (x, y) = (bar_center(&map, bar.start_ns, bar.end_ns), map.y(bar.close));
            return Some(CrosshairPosition { cursor, x, y, symbol: Some(index), snapped: false });
        }
        // Most ticks are not drawn, for several share a column: the nearest vertex has the height.
        let nearest = symbol.points(data.hit.axis).min_by_key(|point| point.time_ns.abs_diff(at_ns))?;
        let cursor = Cursor { pane, time_ns: at_ns, value: nearest.value };
        let (x, y) = (map.x(at_ns), map.y(nearest.value));
        Some(CrosshairPosition { cursor, x, y, symbol: Some(index), snapped: true })
    }
}

/// Snaps to the vertex nearest to the mouse. The vertices include the extremes of every column.
fn snap_to_line(data: &FrameData, map: &Transform, free: CrosshairPosition) -> Option<CrosshairPosition> {
    let (from_ns, to_ns) = (map.time_at(free.x - SNAP_PX), map.time_at(free.x + SNAP_PX));
    let mut best: Option<(f64, CrosshairPosition)> = None;
    for symbol in data.plot_symbols(data.hit.plots[free.cursor.pane].id) {
        for run in &symbol.runs {
            let first = run.partition_point(|sample| sample.time_ns < from_ns);
            for sample in run[first..].iter().take_while(|sample| sample.time_ns <= to_ns) {
                let Some(value) = symbol.axis_value(data.hit.axis, sample.price) else { continue };
                let (x, y) = (map.x(sample.time_ns), map.y(value));
                let distance = (x - free.x).hypot(y - free.y);
                if distance <= SNAP_PX && best.is_none_or(|(least, _)| distance < least) && map.rect.contains(x, y) {
                    let cursor = Cursor { time_ns: sample.time_ns, value, ..free.cursor };
                    best =
                        Some((distance, CrosshairPosition { cursor, x, y, symbol: Some(symbol.index), snapped: true }));
                }
            }
        }
    }
    best.map(|(_, crosshair)| crosshair)
}

/// Snaps to the center of the bar under the mouse, and to its close if the mouse is near it.
fn snap_to_bar(data: &FrameData, map: &Transform, free: CrosshairPosition) -> Option<CrosshairPosition> {
    let symbol = data.plot_symbols(data.hit.plots[free.cursor.pane].id).next()?;
    let bar = symbol.bars.iter().rev().find(|bar| bar.start_ns <= free.cursor.time_ns)?;
    if free.cursor.time_ns >= bar.end_ns {
        return None;
    }
    let close = symbol.axis_value(data.hit.axis, bar.close).map(|value| (value, map.y(value)));
    let close = close.filter(|(_, y)| (y - free.y).abs() <= SNAP_PX / 2.0);
    let (value, y) = close.unwrap_or((free.cursor.value, free.y));
    let cursor = Cursor { time_ns: bar.start_ns, value, ..free.cursor };
    // A bar is no single tick, so the crosshair does not count as snapped.
    Some(CrosshairPosition {
        cursor,
        x: bar_center(map, bar.start_ns, bar.end_ns),
        y,
        symbol: Some(symbol.index),
        ..free
    })
}

/// Center column of a bar, within the plot.
fn bar_center(map: &Transform, start_ns: i64, end_ns: i64) -> f64 {
    let (left, right) = (map.x(start_ns), map.x(end_ns.saturating_sub(1)));
    let (first, last) = (f64::from(map.rect.left), f64::from(map.rect.right - 1));
    f64::midpoint(left, right).min(last).max(first)
}
