//! What can be chosen by a word on the command line.

use std::path::PathBuf;

use clap::ValueEnum;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::{ArgsError, ExportFormat, SnapshotFormat};
use crate::chart::Scale;
use crate::storage::HAS_PARQUET;

/// What the value axis measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AxisChoice {
    /// Whichever shows something.
    #[default]
    Auto,
    /// Prices as they came.
    Price,
    /// Change from the left edge of the view, percent.
    Percent,
    /// Change from the session's open, percent.
    Session,
    /// Prices on a logarithmic axis.
    Log,
}

/// Colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ThemeChoice {
    /// Light on dark.
    #[default]
    Dark,
    /// Dark on light.
    Light,
}

/// Where the chart is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ViewChoice {
    /// A window where there is a display, else the terminal where there is one, else a line in the log now and then.
    #[default]
    Auto,
    /// A native window.
    Window,
    /// The terminal.
    Terminal,
    /// Nowhere.
    None,
}

/// How prices are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum KindChoice {
    /// A line through every tick.
    #[default]
    Lines,
    /// Candles of the focused symbol.
    Candles,
    /// Open-high-low-close bars of the focused symbol.
    Ohlc,
}

/// How symbols are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LayoutChoice {
    /// One chart.
    #[default]
    Overlay,
    /// One small chart a symbol.
    Grid,
}

/// Pixels of the screen for each of the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ScaleChoice {
    /// As the display says.
    #[default]
    Auto,
    /// As it is.
    #[value(name = "1")]
    One,
    /// Half as large again.
    #[value(name = "1.5")]
    OneAndHalf,
    /// Twice as large.
    #[value(name = "2")]
    Two,
}

impl ScaleChoice {
    /// What was chosen; `None` where the display decides.
    pub fn fixed(self) -> Option<Scale> {
        match self {
            Self::Auto => None,
            Self::One => Some(Scale::One),
            Self::OneAndHalf => Some(Scale::OneAndHalf),
            Self::Two => Some(Scale::Two),
        }
    }
}

/// Form of the statistics at exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    /// One JSON object on stdout.
    Json,
}

/// A zone by its name.
pub(super) fn parse_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text.trim()).map_err(|_| "a time zone has a name such as UTC or America/New_York".to_owned())
}

/// A time of day.
pub(super) fn parse_session(text: &str) -> Result<Time, String> {
    Time::strptime("%H:%M", text.trim()).map_err(|_| "a time of day has hours and minutes, such as 09:30".to_owned())
}

/// The file of a snapshot, and its form.
pub(super) fn parse_snapshot(path: PathBuf) -> Result<(PathBuf, SnapshotFormat), ArgsError> {
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some("png") => Ok((path, SnapshotFormat::Png)),
        Some("svg") => Ok((path, SnapshotFormat::Svg)),
        _ => Err(ArgsError::Snapshot(path)),
    }
}

/// The file of an export, and its form.
pub(super) fn parse_export(path: PathBuf) -> Result<(PathBuf, ExportFormat), ArgsError> {
    let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some("csv") => Ok((path, ExportFormat::Csv)),
        Some("parquet") if HAS_PARQUET => Ok((path, ExportFormat::Parquet)),
        Some("parquet") => Err(ArgsError::NoParquet(path)),
        _ => Err(ArgsError::Export(path)),
    }
}
