//! Scene: everything that a frame shows, as plain data. The scene builder fills it from data collected under the lock;
//! window, terminal, PNG and SVG render it.
//!
//! A scene knows no channel, clock or window. All its text is safe to display.

use jiff::tz::TimeZone;

use super::theme::{Rgb, Theme, ThemeColors, Tone};
use super::viewport::Viewport;

/// Size of a frame in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// State of the connection or of the view, at the left of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Badge {
    /// Meaning, which decides the colour.
    pub tone: Tone,
    /// `LIVE`, `STALE 4 s`, `RECONNECTING`, ...
    pub text: String,
}

/// A symbol in the legend, which is also the watchlist.
#[derive(Debug, Clone, PartialEq)]
pub struct LegendEntry {
    /// Symbol, safe to display.
    pub symbol: String,
    /// Index of its colour in the palette.
    pub palette_index: usize,
    /// Last price, formatted; `None` before the first tick.
    pub last: Option<String>,
    /// Change over the visible span, percent.
    pub change_percent: Option<f64>,
    /// Set if its line is drawn.
    pub visible: bool,
    /// Set if bars, volume and keys refer to it.
    pub focused: bool,
}

/// Strip above the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Connection state.
    pub badge: Badge,
    /// State of the view: `PAUSED`, `12 min back`; `None` while it follows the live edge.
    pub view_badge: Option<Badge>,
    /// Channel names, joined.
    pub channel: String,
    /// In order of palette index.
    pub legend: Vec<LegendEntry>,
    /// Visible span as text, `45 min`.
    pub span: String,
}

/// Quantity on the value axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisKind {
    /// Prices.
    Price,
    /// Change from a reference price (at the left edge of the view, or at the session's open), percent.
    Percent,
    /// Decimal logarithms of prices, so that equal distances are equal ratios. Labels are prices.
    Log,
}

/// Point in data space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Price, percent or logarithm, depending on the axis.
    pub value: f64,
}

/// Line of a symbol: unbroken runs of points, each in order of time. A run of one point is drawn as a dot. Runs may
/// start and end outside the viewport, so that lines leave it at the right angle.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    /// Index of its colour in the palette.
    pub palette_index: usize,
    /// Runs; no line is drawn between two of them.
    pub runs: Vec<Vec<Point>>,
}

/// Reason why a span has no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// Ticks were lost, or none arrived: a warning.
    Missing,
    /// The data is stored, but not loaded.
    Unread,
}

impl Absence {
    /// Colour of the band and its label.
    pub(crate) fn color(self, colors: &ThemeColors) -> Rgb {
        match self {
            Self::Missing => colors.warn,
            Self::Unread => colors.dim,
        }
    }
}

/// Span without data, drawn as a labelled band.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingBand {
    /// First instant without data, ns.
    pub start_ns: i64,
    /// End of the span, ns; the live edge while it lasts.
    pub end_ns: i64,
    /// Reason, which decides the colour.
    pub absence: Absence,
    /// `gap 2 min · 1,204 lost`.
    pub label: String,
}

/// Tag of a last price on the value axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// Index of its colour in the palette.
    pub palette_index: usize,
    /// Value that it points at.
    pub value: f64,
    /// Text.
    pub text: String,
}

/// Row of the crosshair's read-out.
#[derive(Debug, Clone, PartialEq)]
pub struct Readout {
    /// Index of the symbol's colour in the palette.
    pub palette_index: usize,
    /// Symbol, safe to display.
    pub symbol: String,
    /// Price at the cursor's instant, formatted.
    pub price: String,
    /// Change from the left edge, percent.
    pub change_percent: Option<f64>,
    /// Point in data space that is marked with a dot.
    pub point: Point,
}

/// Crosshair and its read-out.
#[derive(Debug, Clone, PartialEq)]
pub struct Crosshair {
    /// Column of the mouse, in pixels of the layout. In a grid all panes get the same place and instant: the pane that
    /// contains the place shows the whole crosshair, the others show the instant only.
    pub x: i32,
    /// Row of the mouse.
    pub y: i32,
    /// Instant under the cursor, ns.
    pub time_ns: i64,
    /// Value under the cursor, on the value axis.
    pub value: f64,
    /// One row per visible symbol that has a tick at or before the cursor.
    pub rows: Vec<Readout>,
    /// Set if it is snapped to a tick, whose instant and value are then `time_ns` and `value`.
    pub snapped: bool,
}

/// Message in the middle of an empty or stalled chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Meaning, which decides the colour.
    pub tone: Tone,
    /// One short line.
    pub title: String,
    /// Advice, line by line. Text between backticks is set as code.
    pub lines: Vec<String>,
}

/// Way to draw bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BarStyle {
    /// Candlesticks: a body from open to close, wicks to high and low.
    #[default]
    Candles,
    /// A stem from low to high, with the open as a tick to the left and the close to the right.
    Ohlc,
}

/// OHLCV bar, with prices on the scale of the axis: percent and logarithmic axes need other values than
/// [`crate::series`] has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// First instant of the interval, ns.
    pub start_ns: i64,
    /// First instant after the interval, ns.
    pub end_ns: i64,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Sum of the sizes; 0 without sizes.
    pub volume: f64,
}

/// Bars of a symbol, drawn instead of its line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bars {
    /// Way to draw them.
    pub style: BarStyle,
    /// In order of time. Intervals without a tick have no bar.
    pub bars: Vec<Bar>,
}

/// Title at the top left of the plot: a symbol, and figures of one of its bars.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Title {
    /// Symbol, safe to display.
    pub symbol: String,
    /// Detail, `1 min`; may be empty.
    pub detail: String,
    /// Name and value, `O` and `183.08`. The last ones are left out first if there is little room.
    pub figures: Vec<(String, String)>,
    /// Change in percent, which decides the colour of the figures; `None` for neutral ones.
    pub change_percent: Option<f64>,
    /// Palette index of a square before the symbol; `None` for no square.
    pub palette_index: Option<usize>,
}

/// Mark of an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Instant, ns.
    pub time_ns: i64,
    /// Place on the value axis; `None` marks the instant only.
    pub value: Option<f64>,
    /// Index of its colour in the palette.
    pub palette_index: usize,
    /// Text, safe to display: `AAPL > 190`.
    pub text: String,
}

/// Tick that the bad-print filter has set apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlier {
    /// Instant, ns.
    pub time_ns: i64,
    /// Place on the value axis, possibly far beyond its ends.
    pub value: f64,
    /// Index of its colour in the palette.
    pub palette_index: usize,
}

/// Measurement between two points.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruler {
    /// Start, in data space.
    pub from: Point,
    /// End, in data space.
    pub to: Point,
    /// Measured values, line by line: time, value, percent.
    pub lines: Vec<String>,
    /// Set if the value rises, which decides the colour.
    pub rising: bool,
}

/// Rectangle of a box zoom, px.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Selection {
    /// Column and row of the start.
    pub from: (f64, f64),
    /// Column and row of the mouse.
    pub to: (f64, f64),
}

/// A chart: the middle of the window, or one pane of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Visible time and value span.
    pub viewport: Viewport,
    /// Quantity on the value axis.
    pub axis: AxisKind,
    /// Decimals of prices, from the tick size of the data.
    pub decimals: usize,
    /// Time zone of the time axis.
    pub zone: TimeZone,
    /// In drawing order.
    pub lines: Vec<Line>,
    /// Palette index of the line that is emphasized. A pane of a grid with a focus is outlined.
    pub focus: Option<usize>,
    /// Bars, drawn instead of lines.
    pub bars: Option<Bars>,
    /// Set if the volume of `bars` is drawn below the plot; the layout must have room for it.
    pub volume: bool,
    /// At the top left.
    pub title: Option<Title>,
    /// Spans without data.
    pub missing: Vec<MissingBand>,
    /// Last prices.
    pub tags: Vec<Tag>,
    /// Alerts.
    pub marks: Vec<Mark>,
    /// In any order.
    pub outliers: Vec<Outlier>,
    /// Crosshair, if the mouse is over the plot.
    pub crosshair: Option<Crosshair>,
    /// Current or last measurement. In a grid, the pane whose values it measures has it.
    pub ruler: Option<Ruler>,
    /// Box zoom in progress. In a grid, the common chart has it, and it is drawn in the pane where it started.
    pub selection: Option<Selection>,
    /// Drawn instead of data, or over it.
    pub notice: Option<Notice>,
}

impl Chart {
    /// A chart with axes only.
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

/// Symbol search, over the chart.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Search {
    /// Query, safe to display.
    pub query: String,
    /// Matches to show, best first.
    pub matches: Vec<LegendEntry>,
    /// Index in `matches` of the one that Enter selects.
    pub selected: usize,
    /// Number of further matches.
    pub more: usize,
}

/// Strip below the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Footer {
    /// Figures from left to right, each with its tone. The last ones are left out first if the window is narrow.
    pub figures: Vec<(Tone, String)>,
}

/// Everything that a frame shows.
///
/// # Examples
///
/// ```
/// use jiff::tz::TimeZone;
/// use tickscope::chart::{
///     AxisKind, Badge, Chart, Footer, Header, Line, Point, Scene, Theme, Tone, ValueSpan, Viewport,
/// };
/// use tickscope::model::TimeSpan;
///
/// let time = TimeSpan { start: 0, end: 60_000_000_000 };
/// let viewport = Viewport { time, value: ValueSpan { lo: 180.0, hi: 190.0 } };
/// let mut chart = Chart::empty(viewport, AxisKind::Price, TimeZone::UTC);
/// let run = vec![Point { time_ns: 0, value: 187.2 }, Point { time_ns: 1_000_000_000, value: 187.4 }];
/// chart.lines.push(Line { palette_index: 0, runs: vec![run] });
/// let scene = Scene {
///     theme: Theme::Light,
///     header: Header {
///         badge: Badge { tone: Tone::Good, text: "LIVE".to_owned() },
///         view_badge: None,
///         channel: "stock_prices".to_owned(),
///         legend: Vec::new(),
///         span: "1 min".to_owned(),
///     },
///     chart,
///     grid: Vec::new(),
///     footer: Footer { figures: vec![(Tone::Good, "2 ticks/s".to_owned())] },
///     help: None,
///     search: None,
///     toast: None,
/// };
/// assert_eq!(scene.chart.lines[0].runs[0].len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Colour scheme.
    pub theme: Theme,
    /// Top strip.
    pub header: Header,
    /// The chart. With a grid: what its panes have in common (time, missing data, notice, selection).
    pub chart: Chart,
    /// Panes in reading order, drawn instead of `chart`; empty without a grid. All have the same time span. In panes
    /// without the mouse the crosshair's row is `i32::MIN`.
    pub grid: Vec<Chart>,
    /// Bottom strip.
    pub footer: Footer,
    /// Rows of the help (key, meaning); `None` while it is closed.
    pub help: Option<Vec<(String, String)>>,
    /// Search box; `None` while it is closed.
    pub search: Option<Search>,
    /// Short-lived message above the footer (`saved chart.png`).
    pub toast: Option<Badge>,
}
