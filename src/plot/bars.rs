//! Candlesticks, OHLC bars and volume. Bars cover whole pixels of the screen, so that all bars of a chart look alike.

use plotters::style::text_anchor::HPos;

use super::background::LABEL;
use super::font::Type;
use super::painter::{Area, LayerPainter, Paint};
use super::{DrawResult, data};
use crate::chart::{
    Bar, BarStyle, Bars, Chart, Layout, MissingBand, Rect, Rgb, ThemeColors, Transform, ValueSpan, Viewport,
};

const TITLE: Type = Type::words(12.5);
/// Width of a body as a share of its interval.
const BODY_SHARE: f64 = 0.72;
/// Minimum width of an interval for a body, in pixels of the screen; narrower bars are a stick from low to high.
const STICK_PX: f64 = 3.0;
/// Opacity of volume bars, and of volume sticks, which would be too faint with the former.
const VOLUME_SHARE: f64 = 0.5;
const VOLUME_STICK_SHARE: f64 = 0.8;
/// Minimum height of a volume pane with a title above its highest bar.
const TITLED_PX: i32 = 48;
const TITLE_PX: i32 = 22;
/// Rows are clamped to this distance from the plot, px: they are clipped there.
const BEYOND_PX: f64 = 4.0;

/// Columns of a bar, in pixels of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BarColumns {
    body: (i32, i32),
    wick: (i32, i32),
}

impl BarColumns {
    /// Columns of an interval between two edges. Body and wick are both odd or both even, so that the wick is in the
    /// middle. Bodies of intervals of one length are equally wide and, if there is room, at least one pixel apart.
    fn between((from, to): (f64, f64), wick_px: i32) -> Self {
        let room = to - from;
        let middle = f64::midpoint(from, to);
        let wick_px = if room < STICK_PX * f64::from(wick_px) { 1 } else { wick_px };
        let around = |px: i32| {
            // Rounds halves in the same direction on both sides of zero.
            let left = (middle - f64::from(px) / 2.0 + 0.5).floor() as i32;
            (left, left + px)
        };
        let mut body_px = wick_px;
        if room >= STICK_PX {
            // Tolerance: a length of 7 px may be computed as 6.999.
            let whole = (room + 1e-6) as i32;
            body_px = ((room * BODY_SHARE) as i32).min(whole - 1);
            body_px -= (body_px - wick_px).rem_euclid(2);
        }
        Self { body: around(body_px.max(wick_px)), wick: around(wick_px) }
    }
}

/// Mapping of bars to pixels of the screen.
struct BarGeometry {
    transform: Transform,
    wick_px: i32,
}

impl BarGeometry {
    fn new(painter: &LayerPainter<'_>, viewport: Viewport, screen: Rect) -> Self {
        Self { transform: Transform { viewport, rect: screen }, wick_px: (painter.scale.factor() as i32).max(1) }
    }

    /// Columns of a bar; `None` if it is outside the plot.
    fn columns(&self, bar: &Bar) -> Option<BarColumns> {
        let columns = BarColumns::between((self.transform.x(bar.start_ns), self.transform.x(bar.end_ns)), self.wick_px);
        let (left, right) = (columns.body.0.min(columns.wick.0), columns.body.1.max(columns.wick.1));
        (right > self.transform.rect.left && left < self.transform.rect.right).then_some(columns)
    }

    /// Pixel row that contains a value.
    fn row(&self, value: f64) -> i32 {
        let rect = self.transform.rect;
        let (top, bottom) = (f64::from(rect.top) - BEYOND_PX, f64::from(rect.bottom) + BEYOND_PX);
        self.transform.y(value).clamp(top, bottom).floor() as i32
    }
}

fn color(colors: &ThemeColors, bar: &Bar) -> Rgb {
    if bar.close >= bar.open { colors.rising } else { colors.falling }
}

/// Draws the bars of a plot.
pub(super) fn draw(painter: &LayerPainter<'_>, bars: &Bars, viewport: Viewport, layout: &Layout) -> DrawResult {
    let geometry = BarGeometry::new(painter, viewport, layout.screen(layout.plot));
    for bar in &bars.bars {
        let finite = [bar.open, bar.high, bar.low, bar.close].into_iter().all(f64::is_finite);
        let Some(columns) = geometry.columns(bar).filter(|_| finite) else { continue };
        let paint = color(painter.colors, bar);
        let block =
            |(left, right): (i32, i32), top: i32, bottom: i32| painter.block(Rect { left, top, right, bottom }, paint);
        // Includes the row of the low.
        block(columns.wick, geometry.row(bar.high), geometry.row(bar.low) + 1)?;
        if columns.body.1 - columns.body.0 <= columns.wick.1 - columns.wick.0 {
            continue;
        }
        let (open, close) = (geometry.row(bar.open), geometry.row(bar.close));
        match bars.style {
            BarStyle::Candles => block(columns.body, open.min(close), open.max(close) + 1)?,
            BarStyle::Ohlc => {
                block((columns.body.0, columns.wick.0), open, open + geometry.wick_px)?;
                block((columns.wick.1, columns.body.1), close, close + geometry.wick_px)?;
            }
        }
    }
    Ok(())
}

/// Colour of the tags of a bar chart: that of its last bar.
pub(super) fn last_color(colors: &ThemeColors, chart: &Chart) -> Option<Rgb> {
    chart.bars.as_ref()?.bars.last().map(|bar| color(colors, bar))
}

/// Draws dotted lines from the tags through the plot.
pub(super) fn last_prices(painter: &LayerPainter<'_>, chart: &Chart, layout: &Layout) -> DrawResult {
    let geometry = BarGeometry::new(painter, chart.viewport, layout.screen(layout.plot));
    let plot = Area::from(layout.plot);
    let Some(color) = last_color(painter.colors, chart) else { return Ok(()) };
    for tag in &chart.tags {
        let row = geometry.row(tag.value);
        if row < geometry.transform.rect.top || row >= geometry.transform.rect.bottom {
            continue;
        }
        let unit = 1.0 / painter.scale.factor();
        let y = (f64::from(row) + 0.5) * unit;
        painter.dots((plot.left, plot.right), y, Paint(color, 0.8))?;
    }
    Ok(())
}

/// Highest volume in view.
fn volume_max(chart: &Chart) -> f64 {
    let span = chart.viewport.time;
    let bars = chart.bars.iter().flat_map(|bars| &bars.bars);
    let visible = bars.filter(|bar| bar.end_ns > span.start && bar.start_ns < span.end && bar.volume.is_finite());
    visible.map(|bar| bar.volume).fold(0.0, f64::max)
}

/// Draws the volume pane.
pub(super) fn volume(painter: &LayerPainter<'_>, chart: &Chart, layout: &Layout, common: &[MissingBand]) -> DrawResult {
    let pane = layout.volume;
    if pane.is_empty() || !chart.volume {
        return Ok(());
    }
    let below = Layout { plot: pane, ..*layout };
    data::bands(painter, chart, &below, common)?;
    let most = volume_max(chart);
    let bars = Rect { top: bars_top(pane), ..pane };
    if let Some(data) = chart.bars.as_ref().filter(|_| most > 0.0) {
        let value = ValueSpan { lo: 0.0, hi: most };
        let geometry = BarGeometry::new(painter, Viewport { value, ..chart.viewport }, layout.screen(bars));
        for bar in data.bars.iter().filter(|bar| bar.volume > 0.0) {
            let Some(columns) = geometry.columns(bar) else { continue };
            // Any volume is at least one row high.
            let top = geometry.row(bar.volume).min(geometry.transform.rect.bottom - 1);
            let (left, right) = columns.body;
            let bottom = geometry.transform.rect.bottom;
            let share = if right - left > 1 { VOLUME_SHARE } else { VOLUME_STICK_SHARE };
            painter.block(Rect { left, top, right, bottom }, Paint(color(painter.colors, bar), share))?;
        }
    }
    if pane.height() >= TITLED_PX {
        let at = (f64::from(pane.left) + 8.0, f64::from(pane.top) + f64::from(TITLE_PX) / 2.0 + 1.0);
        painter.text("Volume", TITLE, at, HPos::Left, painter.colors.dim)?;
    }
    Ok(())
}

fn bars_top(pane: Rect) -> i32 {
    if pane.height() >= TITLED_PX { pane.top + TITLE_PX } else { pane.top + 2 }
}

/// Draws the highest volume as a label on the value axis.
pub(super) fn volume_label(painter: &LayerPainter<'_>, chart: &Chart, layout: &Layout) -> DrawResult {
    let (pane, axis, most) = (layout.volume, Area::from(layout.value_axis), volume_max(chart));
    if !chart.volume || pane.height() < TITLE_PX || axis.width() < 30.0 || most <= 0.0 {
        return Ok(());
    }
    let y = f64::from(bars_top(pane)).max(f64::from(pane.top) + 8.0);
    painter.text(&compact(most), LABEL, (axis.left + 9.0, y), HPos::Left, painter.colors.dim)
}

/// Compact number: `940`, `38.6k`, `1.2M`.
fn compact(value: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    if value >= 1e15 {
        return format!("{value:.1e}");
    }
    match UNITS.into_iter().find(|(unit, _)| value >= *unit * 0.9995) {
        Some((unit, name)) if value / unit >= 99.95 => format!("{:.0}{name}", value / unit),
        Some((unit, name)) => format!("{:.1}{name}", value / unit),
        None if value >= 9.995 => format!("{value:.0}"),
        None => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bars_are_centred_equally_wide_and_apart(
            start in -50.0_f64..50.0, width in 0.1_f64..80.0, hair in 1_i32..=2,
        ) {
            let bars: Vec<BarColumns> = (0..20)
                .map(|i| {
                    let from = start + f64::from(i) * width;
                    BarColumns::between((from, start + f64::from(i + 1) * width), hair)
                })
                .collect();
            let px = |(left, right): (i32, i32)| right - left;
            for bar in &bars {
                prop_assert_eq!(bar.body.0 + bar.body.1, bar.wick.0 + bar.wick.1, "the wick is in the middle");
                prop_assert!(px(bar.body) >= 1 && px(bar.wick) >= 1);
                prop_assert_eq!(px(bar.body), px(bars[0].body));
                if width < STICK_PX {
                    prop_assert_eq!(px(bar.body), px(bar.wick));
                }
            }
            if width >= STICK_PX {
                for pair in bars.windows(2) {
                    prop_assert!(pair[1].body.0 > pair[0].body.1, "{pair:?}");
                }
            }
        }
    }

    #[test]
    fn volumes_are_written_in_a_few_figures() {
        let shown = [0.5, 9.996, 940.0, 999.9, 38_650.0, 1_250_000.0, 999_999.0, 4e16].map(compact);
        assert_eq!(shown, ["0.50", "10", "940", "1.0k", "38.6k", "1.2M", "1.0M", "4.0e16"]);
    }
}
