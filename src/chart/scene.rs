//! Everything a frame shows, as plain data: what the composition collects under the lock, and what is drawn after it.
//!
//! A scene knows no channel, clock or window. All text in it is already safe to show.

use jiff::tz::TimeZone;

use super::theme::{Rgb, Theme, ThemeColors, Tone};
use super::viewport::Viewport;

/// Size of a frame in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// The connection's and view's state in a word or two, at the left of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Badge {
    /// Its meaning.
    pub tone: Tone,
    /// `LIVE`, `STALE 4 s`, `RECONNECTING`, ...
    pub text: String,
}

/// One symbol in the legend, which is also the watchlist.
#[derive(Debug, Clone, PartialEq)]
pub struct LegendEntry {
    /// Symbol, safe to show.
    pub symbol: String,
    /// Which colour of the palette.
    pub palette_index: usize,
    /// Last price, formatted; `None` before the first tick.
    pub last: Option<String>,
    /// Change over the visible span, percent.
    pub change_percent: Option<f64>,
    /// Whether its line is drawn.
    pub visible: bool,
    /// Whether it is the one that bars, volume and keys are about.
    pub focused: bool,
}

/// The strip above the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Connection state.
    pub badge: Badge,
    /// A second badge for the view's own state: `PAUSED`, `12 min back`; `None` while it follows the live edge.
    pub view_badge: Option<Badge>,
    /// Channel names, joined.
    pub channel: String,
    /// In order of palette index.
    pub legend: Vec<LegendEntry>,
    /// Visible span in words, `45 min`.
    pub span: String,
}

/// What the vertical axis measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisKind {
    /// Prices as they came.
    Price,
    /// Change from a price of reference (the left edge of the view, the session's open), percent.
    Percent,
    /// Decimal logarithm of the price: equal rows are equal ratios. Labels say prices.
    Log,
}

/// A vertex of a line in data space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Price, percent or logarithm, as the axis has it.
    pub value: f64,
}

/// One symbol's line: unbroken runs of points, each run in order of time. A run of one point is drawn as a dot.
/// Runs may start and end outside the viewport, so that lines leave it at the right angle.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    /// Which colour of the palette.
    pub palette_index: usize,
    /// The runs; between two of them is a gap that is never bridged.
    pub runs: Vec<Vec<Point>>,
}

/// Why a span has no data to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// None came, or it was lost: a warning.
    Missing,
    /// It is kept somewhere, and not read from there.
    Unread,
}

impl Absence {
    /// Colour of the band that shows it.
    pub(crate) fn color(self, colors: &ThemeColors) -> Rgb {
        match self {
            Self::Missing => colors.warn,
            Self::Unread => colors.dim,
        }
    }
}

/// A span without data, drawn as a band with its label on top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingBand {
    /// First instant without data, ns.
    pub start_ns: i64,
    /// Where data comes again, ns; the live edge while it does not.
    pub end_ns: i64,
    /// Which colour it has.
    pub absence: Absence,
    /// `gap 2 min · 1,204 lost`.
    pub label: String,
}

/// A last-price tag on the value axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// Which colour of the palette.
    pub palette_index: usize,
    /// Where on the axis it points.
    pub value: f64,
    /// What it says.
    pub text: String,
}

/// One row of the crosshair's read-out.
#[derive(Debug, Clone, PartialEq)]
pub struct Readout {
    /// Which colour of the palette.
    pub palette_index: usize,
    /// Symbol, safe to show.
    pub symbol: String,
    /// Price at the cursor's time, formatted.
    pub price: String,
    /// Change from the left edge, percent.
    pub change_percent: Option<f64>,
    /// The read-out's own point in data space, marked with a dot.
    pub point: Point,
}

/// The crosshair and its read-out.
#[derive(Debug, Clone, PartialEq)]
pub struct Crosshair {
    /// Column of the mouse, in pixels of the layout. In a grid all panes get the same place and instant: the one that
    /// holds the place has the mouse, the others show the instant alone.
    pub x: i32,
    /// Row of the mouse.
    pub y: i32,
    /// Instant under the cursor, ns.
    pub time_ns: i64,
    /// Value under the cursor, on the value axis.
    pub value: f64,
    /// One row a visible symbol that has a tick at or before the cursor.
    pub rows: Vec<Readout>,
    /// Whether it sits on a tick: `time_ns` and `value` are then that tick's own.
    pub snapped: bool,
}

/// A message in the middle of an empty or stalled chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its meaning.
    pub tone: Tone,
    /// One short line.
    pub title: String,
    /// What to do next, line by line. What stands between backticks is set as something to type.
    pub lines: Vec<String>,
}

/// What a bar looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BarStyle {
    /// A body from open to close, wicks to high and low.
    #[default]
    Candles,
    /// A stem from low to high, open as a tick to the left, close to the right.
    Ohlc,
}

/// What happened in an interval of time; prices as the axis has them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// First instant of the interval, ns.
    pub start_ns: i64,
    /// First instant after it, ns.
    pub end_ns: i64,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Sum of the sizes; 0 where none came.
    pub volume: f64,
}

/// A symbol's bars, instead of its line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bars {
    /// How they are drawn.
    pub style: BarStyle,
    /// In order of time; intervals without a tick have none.
    pub bars: Vec<Bar>,
}

/// What stands at the top left of the plot: whose bars these are, and the figures of one of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Title {
    /// `IBM`; safe to show.
    pub symbol: String,
    /// `1 min`; empty where there is nothing to say.
    pub detail: String,
    /// Name and value, `O` and `183.08`; the last ones go first where there is no room.
    pub figures: Vec<(String, String)>,
    /// Change in percent, which gives the figures their colour; `None` for neutral ones.
    pub change_percent: Option<f64>,
    /// Colour of a square before the symbol, if it is to have one.
    pub palette_index: Option<usize>,
}

/// Something that happened at an instant, marked in the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// When, ns.
    pub time_ns: i64,
    /// Where on the value axis; `None` marks the instant alone.
    pub value: Option<f64>,
    /// Which colour of the palette.
    pub palette_index: usize,
    /// Safe to show, `AAPL > 190`.
    pub text: String,
}

/// A tick that a filter set apart, as a price that nobody can have meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlier {
    /// When, ns.
    pub time_ns: i64,
    /// Where on the value axis, also far beyond its ends.
    pub value: f64,
    /// Which colour of the palette.
    pub palette_index: usize,
}

/// A measurement between two places.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruler {
    /// Where it began, in data space.
    pub from: Point,
    /// Where it ends, in data space.
    pub to: Point,
    /// What was measured, line by line: time, value, percent.
    pub lines: Vec<String>,
    /// Whether it goes up; decides its colour.
    pub rising: bool,
}

/// The rectangle that a box zoom would show, px.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selection {
    /// Column and row where it began.
    pub from: (f64, f64),
    /// Column and row of the mouse.
    pub to: (f64, f64),
}

/// A chart: the middle of the window, or one pane of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What is visible.
    pub viewport: Viewport,
    /// What the value axis measures.
    pub axis: AxisKind,
    /// Decimals that prices need, from the data's own tick size.
    pub decimals: usize,
    /// Zone for the time axis.
    pub zone: TimeZone,
    /// In order of drawing.
    pub lines: Vec<Line>,
    /// The one of `lines`, by palette index, that stands out while the others step back. A pane of a grid that has one is
    /// outlined.
    pub focus: Option<usize>,
    /// Bars, if that is how the chart is drawn.
    pub bars: Option<Bars>,
    /// Below the plot, the volume of `bars`; the frame must be arranged with room for it.
    pub volume: bool,
    /// At the top left.
    pub title: Option<Title>,
    /// Missing spans.
    pub missing: Vec<MissingBand>,
    /// Last prices.
    pub tags: Vec<Tag>,
    /// Alerts.
    pub marks: Vec<Mark>,
    /// In no order.
    pub outliers: Vec<Outlier>,
    /// Under the mouse, if it is over the plot.
    pub crosshair: Option<Crosshair>,
    /// Being measured, or measured last. In a grid it belongs to the pane whose values it measures.
    pub ruler: Option<Ruler>,
    /// A box zoom being drawn. In a grid it is the common chart's, and drawn in the pane where it began.
    pub selection: Option<Selection>,
    /// Instead of data, or above it.
    pub notice: Option<Notice>,
}

impl Chart {
    /// Nothing but axes.
    pub fn empty(viewport: Viewport, axis: AxisKind, zone: TimeZone) -> Self {
        Self {
            viewport,
            axis,
            decimals: 2,
            zone,
            lines: Vec::new(),
            focus: None,
            bars: None,
            volume: false,
            title: None,
            missing: Vec::new(),
            tags: Vec::new(),
            marks: Vec::new(),
            outliers: Vec::new(),
            crosshair: None,
            ruler: None,
            selection: None,
            notice: None,
        }
    }
}

/// The search for a symbol, over the chart.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Search {
    /// What was typed; safe to show.
    pub query: String,
    /// What it finds, the best first; as much as may be shown.
    pub matches: Vec<LegendEntry>,
    /// Which of `found` Enter would take.
    pub selected: usize,
    /// How many more it finds.
    pub more: usize,
}

/// The strip below the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Footer {
    /// Figures from left to right, each with its tone; the last ones go first when the window is narrow.
    pub figures: Vec<(Tone, String)>,
}

/// A whole frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Colour scheme.
    pub theme: Theme,
    /// Top strip.
    pub header: Header,
    /// Middle. Where there is a grid: what its panes have in common (time, gaps, notice, selection).
    pub chart: Chart,
    /// Small multiples in reading order, instead of `chart`; empty for none. All have its span of time. The crosshair's
    /// row is `i32::MIN` in those that the mouse is not in.
    pub grid: Vec<Chart>,
    /// Bottom strip.
    pub footer: Footer,
    /// The help overlay's rows (key, what it does); `None` while it is closed.
    pub help: Option<Vec<(String, String)>>,
    /// The search box; `None` while it is closed.
    pub search: Option<Search>,
    /// A short-lived message above the footer (`saved chart.png`).
    pub toast: Option<Badge>,
}
