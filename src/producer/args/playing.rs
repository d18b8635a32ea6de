//! The flags by which something recorded is played again: a file, or a store.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::UsageError;
use crate::cli::{TimeError, parse_time};
use crate::model::{Symbol, Timestamp, display_safe};
use crate::producer::{Pace, Source};
use crate::sources::{Rate, Schedule, Speed, SpeedError, TickFilter};
use crate::storage::db::{StoreReader, StoreUrl, StoreUrlError};

/// How an address of a store begins. No file is looked for under such a name: its text may hold a password, and what
/// is said of a file repeats its name.
const SCHEMES: [&str; 5] = ["postgres:", "postgresql:", "mongodb:", "mongodb+srv:", "sqlite:"];

/// What is asked of a replay.
#[derive(Debug, clap::Args)]
pub(super) struct PlayArgs {
    // In an attribute, because rustdoc would take the addresses for links.
    #[arg(
        long,
        help = "Play a recording: CSV or NDJSON, also gzip-compressed, or Parquet; or what a store holds: sqlite:FILE, \
                postgres://... or mongodb://..."
    )]
    #[arg(value_name = "FILE|STORE", conflicts_with = "stdin")]
    pub(super) replay: Option<PathBuf>,

    /// Seconds of the recording that pass in one second, or max [default: 1]
    #[arg(long, value_name = "FACTOR", requires = "replay", conflicts_with = "rate", allow_negative_numbers = true)]
    speed: Option<SpeedArg>,

    /// Play only what was recorded at or after this time (RFC 3339, Unix time, or a time back such as 1h)
    #[arg(long, value_name = "TIME", requires = "replay")]
    from: Option<String>,

    /// Play only what was recorded before this time
    #[arg(long, value_name = "TIME", requires = "replay")]
    to: Option<String>,

    /// Publish the recorded timestamps instead of the time at which each tick leaves
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

impl PlayArgs {
    /// How fast it is played.
    pub(super) fn pace(&self, rate: Option<Rate>) -> Pace {
        match (rate, self.speed) {
            (Some(rate), _) => Pace::Even(Schedule::rate(rate)),
            (None, None) => Pace::Recorded(Speed::ONE),
            (None, Some(SpeedArg::Times(speed))) => Pace::Recorded(speed),
            (None, Some(SpeedArg::Max)) => Pace::Unpaced,
        }
    }

    /// What is played of it.
    pub(super) fn selection(&self, symbols: Vec<Symbol>, now: Timestamp) -> Result<TickFilter, UsageError> {
        let time = |flag, text: &Option<String>| -> Result<Option<Timestamp>, TimeError> {
            text.as_deref().map(|text| parse_time(flag, text, now)).transpose()
        };
        let (from, to) = (time("--from", &self.from)?, time("--to", &self.to)?);
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(UsageError::Span);
        }
        Ok(TickFilter { from, to, symbols: (!symbols.is_empty()).then(|| BTreeSet::from_iter(symbols)) })
    }
}

/// What `path` names: a store, or a file, which is opened.
pub(super) fn source(path: &Path, selection: TickFilter) -> Result<Source, UsageError> {
    if let Some(url) = store(path).map_err(UsageError::StoreUrl)? {
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

/// The store that a text names, if it names one.
fn store(path: &Path) -> Result<Option<StoreUrl>, StoreUrlError> {
    let Some(text) = path.to_str() else { return Ok(None) };
    match text.parse() {
        Ok(url) => Ok(Some(url)),
        // Of an address that is none of a store nothing is repeated: it may hold a password.
        Err(error) if SCHEMES.iter().any(|scheme| text.starts_with(scheme)) => Err(error),
        Err(StoreUrlError::Scheme) if !text.contains("://") || path.exists() => Ok(None),
        Err(error) => Err(error),
    }
}
