//! Values of flags: enumerations and parsers.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::{ArgsError, SnapshotFormat};
use crate::chart::{AxisMode, ChartKind, PaneLayout, Scale, Theme};
use crate::cli::impl_value_enum;
use crate::storage::{HAS_PARQUET, TickFormat};

impl_value_enum!(AxisMode {
    Auto = "auto": "Prices, or percent where prices would show flat lines",
    Price = "price": "Prices",
    Percent = "percent": "Change from the left edge of the view, percent",
    Session = "session": "Change from the session's open, percent",
    Log = "log": "Prices on a logarithmic axis",
});

impl_value_enum!(Theme {
    Dark = "dark": "Light on dark",
    Light = "light": "Dark on light",
});

impl_value_enum!(ChartKind {
    Lines = "lines": "A line through every tick",
    Candles = "candles": "Candlesticks of the focused symbol",
    Ohlc = "ohlc": "Open-high-low-close bars of the focused symbol",
});

impl_value_enum!(PaneLayout {
    Overlay = "overlay": "One chart",
    Grid = "grid": "One small chart per symbol",
});

/// View of the chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ViewChoice {
    /// A window if there is a display, else the terminal if there is one, else status lines in the log
    #[default]
    Auto,
    /// A native window
    Window,
    /// The terminal
    Terminal,
    /// No view
    None,
}

/// Screen pixels per layout pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ScaleChoice {
    /// Scale factor of the display
    #[default]
    Auto,
    /// Actual size
    #[value(name = "1")]
    One,
    /// One and a half times
    #[value(name = "1.5")]
    OneAndHalf,
    /// Twice
    #[value(name = "2")]
    Two,
}

impl ScaleChoice {
    /// Returns the chosen scale; `None` if the display decides.
    pub fn fixed(self) -> Option<Scale> {
        match self {
            Self::Auto => None,
            Self::One => Some(Scale::One),
            Self::OneAndHalf => Some(Scale::OneAndHalf),
            Self::Two => Some(Scale::Two),
        }
    }
}

/// Format of the statistics at exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    /// One JSON object on stdout
    Json,
}

/// Parses the name of a time zone.
pub(super) fn parse_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text.trim()).map_err(|_| "a time zone has a name such as UTC or America/New_York".to_owned())
}

/// Parses a time of day.
pub(super) fn parse_session(text: &str) -> Result<Time, String> {
    Time::strptime("%H:%M", text.trim()).map_err(|_| "a time of day has hours and minutes, such as 09:30".to_owned())
}

/// Returns the path of a snapshot with the format of its extension.
pub(super) fn parse_snapshot(path: PathBuf) -> Result<(PathBuf, SnapshotFormat), ArgsError> {
    match extension(&path).as_str() {
        "png" => Ok((path, SnapshotFormat::Png)),
        "svg" => Ok((path, SnapshotFormat::Svg)),
        _ => Err(ArgsError::Snapshot(path)),
    }
}

/// Returns the path of an export with the format of its extension.
pub(super) fn parse_export(path: PathBuf) -> Result<(PathBuf, TickFormat), ArgsError> {
    match extension(&path).as_str() {
        "csv" => Ok((path, TickFormat::Csv)),
        "parquet" if HAS_PARQUET => Ok((path, TickFormat::Parquet)),
        "parquet" => Err(ArgsError::NoParquet(path)),
        _ => Err(ArgsError::Export(path)),
    }
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}
