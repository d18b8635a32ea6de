//! Flags for the replay of a file or a store.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::{TimeError, parse_time};
use crate::model::{Symbol, Timestamp, display_safe};
use crate::producer::args::UsageError;
use crate::producer::{Pace, Source};
use crate::sources::{Rate, Schedule, Speed, SpeedError, TickFilter};
use crate::storage::db::{StoreReader, StoreUrl, StoreUrlError};

/// Prefixes of store addresses. They are never taken for file names, which error messages repeat, because an address
/// may contain a password.
const SCHEMES: [&str; 5] = ["postgres:", "postgresql:", "mongodb:", "mongodb+srv:", "sqlite:"];

/// Flags for a replay.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    // In an attribute, because rustdoc would take the addresses for links.
    #[arg(
        long,
        help = "Replay a recording (CSV or NDJSON, also gzip-compressed, or Parquet) or a store (sqlite:FILE, \
                postgres://... or mongodb://...)"
    )]
    #[arg(value_name = "FILE|STORE", conflicts_with = "stdin")]
    pub(super) replay: Option<PathBuf>,

    /// Seconds of the recording to replay in one second, or max [default: 1]
    #[arg(long, value_name = "FACTOR", requires = "replay", conflicts_with = "rate", allow_negative_numbers = true)]
    speed: Option<SpeedArg>,

    /// Replay only ticks recorded at or after this time (RFC 3339, Unix time, or a time before now such as 1h)
    #[arg(long, value_name = "TIME", requires = "replay")]
    from: Option<String>,

    /// Replay only ticks recorded before this time
    #[arg(long, value_name = "TIME", requires = "replay")]
    to: Option<String>,

    /// Publish the recorded timestamps instead of the time of publishing
    #[arg(long, requires = "replay")]
    pub(super) keep_timestamps: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SpeedArg {
    Max,
    Times(Speed),
}

impl std::str::FromStr for SpeedArg {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Self, SpeedError> {
        if text == "max" { Ok(Self::Max) } else { text.parse().map(Self::Times) }
    }
}

impl ReplayArgs {
    /// Returns the pace of the replay.
    pub(super) fn pace(&self, rate: Option<Rate>) -> Pace {
        match (rate, self.speed) {
            (Some(rate), _) => Pace::Even(Schedule::rate(rate)),
            (None, None) => Pace::Recorded(Speed::ONE),
            (None, Some(SpeedArg::Times(speed))) => Pace::Recorded(speed),
            (None, Some(SpeedArg::Max)) => Pace::Unpaced,
        }
    }

    /// Returns the filter for the ticks to replay.
    pub(super) fn selection(&self, symbols: Vec<Symbol>, now: Timestamp) -> Result<TickFilter, UsageError> {
        let time = |flag, text: &Option<String>| -> Result<Option<Timestamp>, TimeError> {
            text.as_deref().map(|text| parse_time(flag, text, now)).transpose()
        };
        let (from, to) = (time("--from", &self.from)?, time("--to", &self.to)?);
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(UsageError::Span);
        }
        Ok(TickFilter { from, to, symbols: (!symbols.is_empty()).then(|| BTreeSet::from_iter(symbols)) })
    }
}

/// Opens the file that `path` names, or checks the store.
pub(super) fn source(path: &Path, selection: TickFilter) -> Result<Source, UsageError> {
    if let Some(url) = store_url(path).map_err(UsageError::StoreUrl)? {
        StoreReader::check(&url).map_err(UsageError::Store)?;
        return Ok(Source::Store { url, selection });
    }
    let name = display_safe(&path.display().to_string()).into_owned();
    let open = || match File::open(path) {
        Ok(file) if file.metadata()?.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        opened => opened,
    };
    let file = open().map_err(|source| UsageError::Unreadable { path: name.clone(), source })?;
    Ok(Source::File { file, name, selection })
}

/// Returns the address of a store, unless `path` is a file.
fn store_url(path: &Path) -> Result<Option<StoreUrl>, StoreUrlError> {
    let Some(text) = path.to_str() else { return Ok(None) };
    match text.parse() {
        Ok(url) => Ok(Some(url)),
        // The error repeats nothing of the address, which may contain a password.
        Err(error) if SCHEMES.iter().any(|scheme| text.starts_with(scheme)) => Err(error),
        Err(StoreUrlError::Scheme) if !text.contains("://") || path.exists() => Ok(None),
        Err(error) => Err(error),
    }
}
