//! Everything that the terminal shows, as plain data. All text in it is already safe to show.

use super::Rgb;
use crate::chart::Viewport;

/// Colours that are not a symbol's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Behind the chart.
    pub ground: Rgb,
    /// Behind header, watchlist and footer.
    pub strip: Rgb,
    /// Lines behind the data.
    pub grid: Rgb,
    /// Text.
    pub text: Rgb,
    /// Text that steps back.
    pub dim: Rgb,
    /// What went up, and what is well.
    pub good: Rgb,
    /// What went down, and what is wrong.
    pub bad: Rgb,
    /// What the user chose or should know.
    pub info: Rgb,
    /// Where data may be missing or old.
    pub warn: Rgb,
}

/// A text in a colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// What it says.
    pub text: String,
    /// In which colour.
    pub color: Rgb,
}

/// A row of the watchlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Symbol.
    pub symbol: String,
    /// Its colour.
    pub color: Rgb,
    /// Last price; empty before the first tick.
    pub last: String,
    /// Change, in its colour.
    pub change: Word,
    /// Whether its line is drawn.
    pub visible: bool,
    /// Whether keys are about it.
    pub focused: bool,
}

/// A symbol's line in data space: unbroken runs of (ns, value).
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its colour.
    pub color: Rgb,
    /// Between two of them nothing is drawn.
    pub runs: Vec<Vec<(i64, f64)>>,
}

/// What happened in an interval of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candle {
    /// First instant and the one after the last, ns.
    pub span: (i64, i64),
    /// First value.
    pub open: f64,
    /// Highest value.
    pub high: f64,
    /// Lowest value.
    pub low: f64,
    /// Last value.
    pub close: f64,
}

/// Bars instead of lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// Bodies and wicks; else stems with open and close as ticks.
    pub filled: bool,
    /// In order of time.
    pub candles: Vec<Candle>,
}

/// A span without data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// From and to, ns.
    pub span: (i64, i64),
    /// Shown where there is room for it.
    pub label: String,
    /// That of its label, and of its tint.
    pub color: Rgb,
}

/// A value of a symbol, on the axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// Where.
    pub value: f64,
    /// What it says.
    pub text: String,
    /// The symbol's colour.
    pub color: Rgb,
}

/// Something that happened at an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// When, ns.
    pub time_ns: i64,
    /// Where on the value axis, if anywhere.
    pub value: Option<f64>,
    /// Its colour.
    pub color: Rgb,
}

/// A tick that a filter set apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlier {
    /// When, ns.
    pub time_ns: i64,
    /// Where on the value axis, also far beyond its ends.
    pub value: f64,
    /// Its colour.
    pub color: Rgb,
}

/// A row of the read-out at the mouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Symbol.
    pub symbol: String,
    /// Its colour.
    pub color: Rgb,
    /// Price.
    pub price: String,
    /// Change, in its colour.
    pub change: Word,
}

/// The crosshair and what it reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Crosshair {
    /// Where, in dots of the plot.
    pub at: (f64, f64),
    /// The instant, as the time axis writes it.
    pub time: String,
    /// The value, as the value axis writes it.
    pub value: String,
    /// Symbol by symbol.
    pub rows: Vec<Reading>,
}

/// A message in the middle of an empty chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// One short line.
    pub title: Word,
    /// What to do next.
    pub lines: Vec<String>,
}

/// Some lines in a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its frame's colour.
    pub color: Rgb,
    /// Line by line.
    pub lines: Vec<String>,
}

/// A measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruler {
    /// Where it begins: ns, value.
    pub from: (i64, f64),
    /// Where it ends: ns, value.
    pub to: (i64, f64),
    /// What it says.
    pub message: Message,
}

/// The search for a symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// What was typed.
    pub query: String,
    /// What it finds.
    pub found: Vec<Watched>,
    /// Which one Enter takes.
    pub chosen: usize,
    /// How many more there are.
    pub more: usize,
}

/// The chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What is visible.
    pub viewport: Viewport,
    /// In order of drawing.
    pub lines: Vec<Line>,
    /// Instead of lines.
    pub bars: Option<Bars>,
    /// At the top left.
    pub title: Vec<Word>,
    /// Missing spans.
    pub gaps: Vec<Gap>,
    /// Last values.
    pub tags: Vec<Tag>,
    /// Alerts.
    pub marks: Vec<Mark>,
    /// Ticks that a filter set apart.
    pub outliers: Vec<Outlier>,
    /// Labels of the value axis.
    pub value_ticks: Vec<(f64, String)>,
    /// Labels of the time axis.
    pub time_ticks: Vec<(i64, String)>,
    /// Under the mouse.
    pub crosshair: Option<Crosshair>,
    /// From corner to corner, in dots of the plot: what a box zoom would show.
    pub selection: Option<((f64, f64), (f64, f64))>,
    /// A measurement.
    pub ruler: Option<Ruler>,
    /// Instead of data, or above it.
    pub notice: Option<Notice>,
}

/// A whole screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Colours.
    pub look: Look,
    /// Connection state.
    pub badge: Word,
    /// The view's own state.
    pub view_badge: Option<Word>,
    /// Channel names.
    pub channel: String,
    /// Visible span in words.
    pub span: String,
    /// One row a symbol.
    pub watchlist: Vec<Watched>,
    /// The middle.
    pub chart: Chart,
    /// Figures; the last ones go first where there is no room.
    pub footer: Vec<Word>,
    /// Key, and what it does.
    pub help: Option<Vec<(String, String)>>,
    /// The search box.
    pub search: Option<Search>,
    /// A short-lived message.
    pub toast: Option<Word>,
}
