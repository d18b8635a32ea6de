//! Everything a frame shows, as plain data: what the composition collects under the lock, and what is drawn after it.
//!
//! A scene knows no channel, clock or window. All text in it is already safe to show.

use jiff::tz::TimeZone;

use crate::view::Viewport;

/// Colour scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// Light on dark.
    #[default]
    Dark,
    /// Dark on light.
    Light,
}

/// Size of a frame in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// What a status means; decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// Something the user chose or should know (paused, scrolled back).
    Info,
    /// Data may be missing or old.
    Warn,
    /// No data can come.
    Bad,
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
    pub slot: usize,
    /// Last price, formatted; `None` before the first tick.
    pub last: Option<String>,
    /// Change over the visible span, percent.
    pub change_percent: Option<f64>,
    /// Whether its line is drawn.
    pub visible: bool,
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
    /// In order of colour slot.
    pub legend: Vec<LegendEntry>,
    /// Visible span in words, `45 min`.
    pub span: String,
}

/// What the vertical axis measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisKind {
    /// Prices as they came.
    Price,
    /// Change from the left edge of the view, percent.
    Percent,
}

/// A vertex of a line in data space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Price or percent, as the axis has it.
    pub value: f64,
}

/// One symbol's line: unbroken runs of points, each run in order of time. A run of one point is drawn as a dot.
/// Runs may start and end outside the viewport, so that lines leave it at the right angle.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    /// Which colour of the palette.
    pub slot: usize,
    /// The runs; between two of them is a gap that is never bridged.
    pub runs: Vec<Vec<Point>>,
}

/// A span in which data is missing, drawn as a band with its label on top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapBand {
    /// First instant without data, ns.
    pub start_ns: i64,
    /// Where data comes again, ns; the live edge while it does not.
    pub end_ns: i64,
    /// `gap 2 min · 1,204 lost`.
    pub label: String,
}

/// A last-price tag on the value axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// Which colour of the palette.
    pub slot: usize,
    /// Where on the axis it points.
    pub value: f64,
    /// What it says.
    pub text: String,
}

/// One row of the crosshair's read-out.
#[derive(Debug, Clone, PartialEq)]
pub struct Readout {
    /// Which colour of the palette.
    pub slot: usize,
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
    /// Column of the cursor.
    pub x: i32,
    /// Row of the cursor.
    pub y: i32,
    /// Instant under the cursor, ns.
    pub time_ns: i64,
    /// Value under the cursor, on the value axis.
    pub value: f64,
    /// One row a visible symbol that has a tick at or before the cursor.
    pub rows: Vec<Readout>,
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

/// The middle of the window.
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
    /// Missing spans.
    pub gaps: Vec<GapBand>,
    /// Last prices.
    pub tags: Vec<Tag>,
    /// Under the mouse, if it is over the plot.
    pub crosshair: Option<Crosshair>,
    /// Instead of data, or above it.
    pub notice: Option<Notice>,
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
    /// Middle.
    pub chart: Chart,
    /// Bottom strip.
    pub footer: Footer,
    /// The help overlay's rows (key, what it does); `None` while it is closed.
    pub help: Option<Vec<(String, String)>>,
    /// A short-lived message above the footer (`saved chart.png`).
    pub toast: Option<Badge>,
}
