//! What can be chosen by a word on the command line.

use clap::ValueEnum;

use crate::plot::Scale;

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
