//! Errors of the command line.

use std::path::PathBuf;

use thiserror::Error;

use crate::cli::TimeError;
use crate::client::EndpointError;
use crate::consumer::alerting::AlertError;
use crate::model::{FieldMapError, Symbol};
use crate::storage::db::StoreUrlError;

/// Invalid setting.
#[derive(Debug, Error)]
pub enum ArgsError {
    /// Malformed URL of the server.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Malformed `--fields`.
    #[error(transparent)]
    Fields(#[from] FieldMapError),
    /// Malformed name in `--symbols`.
    #[error("--symbols: {0:?} is no symbol; a symbol has 1 to 64 bytes")]
    Symbol(String),
    /// Repeated name in `--symbols`.
    #[error("--symbols: {0} is listed twice")]
    SymbolTwice(Symbol),
    /// `--max-symbols` below the length of `--symbols`.
    #[error("--max-symbols {max} is less than the {listed} that --symbols lists")]
    SymbolsMax {
        /// Value of `--max-symbols`.
        max: usize,
        /// Length of `--symbols`.
        listed: usize,
    },
    /// Empty `--channel`.
    #[error("--channel needs a name")]
    Channel,
    /// Malformed `--history`.
    #[error("--history: {0:?} is neither a number of ticks (1 to 1000000000) nor a time such as 2h")]
    History(String),
    /// `--window` out of range.
    #[error("--window must be longer than 0 and at most a hundred years")]
    Window,
    /// Unknown extension of `--snapshot`.
    #[error("--snapshot: {0:?} must end in .png or .svg")]
    Snapshot(PathBuf),
    /// Unknown extension of `--export`.
    #[error("--export: {0:?} must end in .csv or .parquet")]
    Export(PathBuf),
    /// `--export` of Parquet in a build without it.
    #[error(
        "--export: {0:?}: this program was built without Parquet; choose a name that ends in .csv, or build it with \
         `cargo build --release --features parquet`"
    )]
    NoParquet(PathBuf),
    /// Invalid `--alert`.
    #[error(transparent)]
    Alert(#[from] AlertError),
    /// Empty name of a stream, group or member.
    #[error("{0} needs a name")]
    Name(&'static str),
    /// Malformed `--since`.
    #[error("--since: {0:?} is neither an age such as 1h, nor an entry id such as 1732000000000-0, nor start")]
    Since(String),
    /// `--cluster` without a server.
    #[error("--cluster needs the address of a node: --redis redis://host:port, or REDIS_URL")]
    ClusterWithoutUrl,
    /// Channel pattern in a cluster.
    #[error("--channel {0}: a cluster does not support patterns; give the name of the producer's channel")]
    ClusterPattern(String),
    /// `--store` without a URL and without a directory for user data.
    #[error("--store: this user has no directory for data; give a file: --store sqlite:ticks.db")]
    NoDataDirectory,
    /// Malformed URL of the database.
    #[error("--store: {0}")]
    Store(#[from] StoreUrlError),
    /// `--keep` out of range.
    #[error("--keep must be longer than 0 and at most a hundred years")]
    Keep,
    /// Malformed `--from` or `--to`.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// Empty span of `--from` and `--to`.
    #[error("--from must lie before --to")]
    ExportSpan,
    /// `--from` or `--to` without a database.
    #[error("--from and --to select stored ticks: add --store URL, or --store alone for this user's own store")]
    ExportWithoutStore,
    /// `--export` to a file of the database.
    #[error("--export: {0:?} is a file of the store itself, which the export would replace; choose another name")]
    ExportIsStore(PathBuf),
}
