//! A whole frame as the consumer makes it: from the series map to a scene, and from the scene to pixels, without
//! presenting it.

use jiff::tz::TimeZone;
use tickscope::chart::{
    AxisKind, Badge, Chart, Footer, Header, Layout, LegendEntry, Line, Point, Scene, Size, Tag, Theme, Tone,
};
use tickscope::chart::{Transform, ValueSpan, Viewport};
use tickscope::model::TimeSpan;
use tickscope::plot::{Painter, PlotError};
use tickscope::series::{Sample, Series, SeriesMap};

use super::lines::Lines;

/// Default size of the window.
const SIZE: Size = Size { width: 1280, height: 720 };

/// Draws consecutive frames of a series map.
pub(crate) struct Frames {
    lines: Lines,
    painter: Painter,
    pixels: Vec<u32>,
    held: Option<ValueSpan>,
}

impl Frames {
    pub(crate) fn new() -> Result<Self, PlotError> {
        let pixels = vec![0; SIZE.width as usize * SIZE.height as usize];
        Ok(Self { lines: Lines::default(), painter: Painter::new()?, pixels, held: None })
    }

    /// Makes and paints a frame. Returns the number of points drawn.
    pub(crate) fn draw(&mut self, series: &SeriesMap, span: TimeSpan) -> Result<usize, PlotError> {
        let scene = self.scene(series, span);
        self.painter.paint(&scene, &mut self.pixels, &Layout::new(SIZE))?;
        Ok(self.lines.points())
    }

    fn scene(&mut self, series: &SeriesMap, span: TimeSpan) -> Scene {
        let frame = Layout::new(SIZE);
        let viewport = Viewport { time: span, value: ValueSpan::EMPTY };
        let span = self.lines.downsample(series, span, Transform { viewport, rect: frame.plot }.columns());
        let axis = if series.symbol_count() > 1 { AxisKind::Percent } else { AxisKind::Price };
        let shown: Vec<Shown<'_>> =
            series.iter().map(|(_, symbol, series)| Shown::new(symbol, series, span, axis)).collect();
        let lo = shown.iter().map(|shown| shown.range.0).fold(f64::INFINITY, f64::min);
        let hi = shown.iter().map(|shown| shown.range.1).fold(f64::NEG_INFINITY, f64::max);
        let value = self.held.map_or_else(|| ValueSpan::fit(lo, hi), |held| held.holding(lo, hi));
        self.held = Some(value);
        let legend = shown.iter().enumerate().map(|(palette_index, shown)| shown.entry(palette_index)).collect();
        let badge = Badge { tone: Tone::Good, text: "LIVE".to_owned() };
        let header =
            Header { badge, view_badge: None, channel: "stock_prices".to_owned(), legend, span: "5 min".to_owned() };
        let lines = shown
            .iter()
            .zip(&self.lines.runs)
            .enumerate()
            .map(|(palette_index, (shown, runs))| shown.line(palette_index, runs));
        let chart = Chart {
            lines: lines.collect(),
            tags: shown.iter().enumerate().map(|(palette_index, shown)| shown.tag(palette_index)).collect(),
            ..Chart::empty(Viewport { time: span, value }, axis, TimeZone::UTC)
        };
        let footer = Footer { figures: vec![(Tone::Good, format!("{} kept", series.counters().kept))] };
        Scene { theme: Theme::Dark, header, chart, grid: Vec::new(), footer, help: None, search: None, toast: None }
    }
}

/// One symbol in a frame.
struct Shown<'a> {
    symbol: &'a tickscope::model::Symbol,
    last: f64,
    /// Price at the left edge, the base of changes in percent; `None` on a price axis.
    base: Option<f64>,
    /// Lowest and highest value on the axis.
    range: (f64, f64),
}

impl<'a> Shown<'a> {
    fn new(symbol: &'a tickscope::model::Symbol, series: &Series, span: TimeSpan, axis: AxisKind) -> Self {
        let first = series.at_or_before(span.start).or_else(|| series.at_or_after(span.start));
        let last = series.at_or_before(span.end).map_or(f64::NAN, |tick| tick.price);
        let base = first.filter(|_| axis == AxisKind::Percent).map(|tick| tick.price);
        let mut shown = Self { symbol, last, base, range: (f64::INFINITY, f64::NEG_INFINITY) };
        if let Some(summary) = series.range(span) {
            shown.range = (shown.value(summary.min.price), shown.value(summary.max.price));
        }
        shown
    }

    fn value(&self, price: f64) -> f64 {
        self.base.map_or(price, |base| (price - base) / base * 100.0)
    }

    fn line(&self, palette_index: usize, runs: &[Vec<Sample>]) -> Line {
        let point = |sample: &Sample| Point { time_ns: sample.time_ns, value: self.value(sample.price) };
        Line { palette_index, runs: runs.iter().map(|run| run.iter().map(point).collect()).collect() }
    }

    fn tag(&self, palette_index: usize) -> Tag {
        Tag { palette_index, value: self.value(self.last), text: format!("{:.2}", self.value(self.last)) }
    }

    fn entry(&self, palette_index: usize) -> LegendEntry {
        LegendEntry {
            symbol: self.symbol.to_string(),
            palette_index,
            last: Some(format!("{:.2}", self.last)),
            change_percent: self.base.map(|_| self.value(self.last)),
            visible: true,
            focused: false,
        }
    }
}
