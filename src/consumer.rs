//! Composition of the consumer: the feed appends ticks on the runtime's threads while the main thread draws.

mod alerting;
mod app;
mod args;
mod backfill;
mod demo;
mod event_loop;
mod export;
mod feed;
mod feed_status;
mod frame;
mod frontend;
mod handles;
mod headless;
mod ingest;
mod meters;
mod persistence;
mod rate_limited;
mod redraw;
mod report;
mod series_handle;
mod settings;
mod snapshot;
mod terminal_app;
mod ui_state;
mod window_app;

use std::io;

use thiserror::Error;

pub use alerting::{AlertError, HooksReport};
pub use app::run;
pub use args::{
    Args, ArgsError, Config, ScaleChoice, SnapshotFormat, StatsFormat, StoreArgs, StoredExport, StoredExportArgs,
    StreamArgs, TerminalConfig, ViewChoice,
};
pub use export::{StoredExportError, export_stored};
pub use meters::{FramesReport, LatencyReport};
pub use report::{Report, StoreReport, SymbolReport};
pub use settings::Start;
pub use snapshot::SnapshotError;
pub use ui_state::{UiState, UiStateError};

/// Error of an export.
pub use crate::storage::TickFileError as ExportError;

use crate::cli;
use crate::client::ClientError;
use crate::plot::PlotError;
use crate::storage::db::DbError;
use crate::terminal::TerminalError;
use crate::window::WindowError;

/// Error that ends a run.
#[derive(Debug, Error)]
pub enum ConsumerError {
    /// The window cannot be opened.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// A window was requested and there is no display.
    #[error("{0}; or watch in a terminal: consumer --view terminal")]
    NoWindow(#[source] WindowError),
    /// The terminal view was requested and standard output is no terminal.
    #[error(
        "standard output is no terminal that can be drawn on; run it in one, or draw without: consumer --headless \
         --for 30s --snapshot chart.png"
    )]
    NoTerminal,
    /// The terminal cannot be taken over, or was closed.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// The feed failed.
    #[error(transparent)]
    Subscribe(#[from] ClientError),
    /// The database cannot be opened.
    #[error(transparent)]
    Storage(#[from] DbError),
    /// The chart cannot be rendered.
    #[error("the chart cannot be drawn")]
    Plot(#[from] PlotError),
    /// No loopback port is available for the demo.
    #[error("the demo cannot listen on the loopback interface: {0}")]
    Demo(#[source] io::Error),
    /// The runtime cannot be started.
    #[error("the network threads cannot be started")]
    Runtime(#[source] io::Error),
    /// The feed panicked.
    #[error("the feed ended because of a bug in this program; please report it")]
    NetworkEnded,
}

impl ConsumerError {
    /// Exit status: 2 if the environment makes a run impossible, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoWindow(_) | Self::NoTerminal | Self::Storage(_) | Self::Terminal(TerminalError::Open(_)) => {
                cli::EXIT_USAGE
            }
            _ => cli::EXIT_FAILURE,
        }
    }
}
