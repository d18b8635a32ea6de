//! What can be chosen by a word on the command line.

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::{ArgsError, ExportFormat, SnapshotFormat};
use crate::chart::{AxisMode, ChartKind, PaneLayout, Scale, Theme};
use crate::storage::HAS_PARQUET;

/// Implements clap's `ValueEnum` for an enum of a module that does not know clap.
macro_rules! impl_value_enum {
    ($type:ty { $($variant:ident = $word:literal: $help:literal,)* }) => {
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$variant),*]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(match self {
                    $(Self::$variant => PossibleValue::new($word).help($help),)*
                })
            }
        }
    };
}

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
