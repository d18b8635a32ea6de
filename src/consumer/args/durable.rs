//! Flags about what must not be lost: streams, groups, clusters, stores.

use std::path::Path;
use std::time::Duration;

use thiserror::Error;

use crate::cli::parse_duration;
use crate::client::{SHARDS, SHARDS_MAX, Since};
use crate::storage::db::{DbConfig, StoreUrl, StoreUrlError};

/// How far back a chart is filled from its stream unless told otherwise.
const SINCE_DEFAULT: Duration = Duration::from_hours(1);

/// How often a group hands an entry out before it is taken for one that nobody can deal with.
const DELIVERIES_MAX: u64 = 5;

/// Rows that wait for a store, at most: several seconds of a fast feed, in 120 MB; ticks that came one by one take
/// twice as much.
const ROWS_WAITING_MAX: usize = 1_000_000;

/// The store's file, below the folder where this platform keeps a user's data.
pub(in crate::consumer) const STORE_FILE: &str = "tickscope/ticks.db";

/// See the module.
#[derive(Debug, Clone, clap::Args)]
pub struct DurableArgs {
    /// Read this stream, every tick of it from --since on, instead of a channel
    #[arg(long, value_name = "NAME", conflicts_with_all = ["channel", "demo"])]
    pub stream: Option<String>,
    /// Where in the stream to begin: a time back, the id of an entry, or start [default: 1h, or where the store ends]
    #[arg(long, value_name = "TIME|ID|start", requires = "stream")]
    pub since: Option<String>,
    /// Share the stream with the other members of this group: each tick goes to one of them
    #[arg(long, value_name = "NAME", requires = "stream")]
    pub group: Option<String>,
    /// Name of this member of the group, which no other may have [default: a random one]
    #[arg(long, value_name = "NAME", requires = "group")]
    pub member: Option<String>,
    /// A group moves an entry to the stream NAME:dead once it was handed out more often than this
    #[arg(long, value_name = "N", requires = "group", default_value_t = DELIVERIES_MAX)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub max_deliveries: u64,
    /// The servers are a Redis Cluster, over whose nodes ticks are spread by symbol
    #[arg(long)]
    pub cluster: bool,
    /// In a cluster: channels and streams that ticks are spread over; the same number as the producer's
    #[arg(long, value_name = "N", default_value_t = SHARDS)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=i64::from(SHARDS_MAX)))]
    pub shards: u16,
    /// Keep every tick in a database: sqlite:FILE, postgres://... or mongodb://...; alone, in a file of this user's
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    pub store: Option<String>,
    /// Delete ticks from the store that are older than the newest one by this, such as 30d
    #[arg(long, value_name = "TIME", requires = "store", value_parser = parse_duration)]
    pub keep: Option<Duration>,
}

/// What is read from a stream, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamConfig {
    /// The stream's key; in a cluster, the name that its shards have in common.
    pub name: String,
    /// Where to begin, if that was said.
    pub since: Option<Since>,
    /// The group to share it with.
    pub group: Option<GroupConfig>,
}

impl StreamConfig {
    /// Where reading begins, if a store does not know better.
    pub fn since(&self) -> Since {
        self.since.unwrap_or(Since::Ago(SINCE_DEFAULT))
    }
}

/// A group and this member of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// The group's name.
    pub name: String,
    /// This member's name; `None` for one that is made up.
    pub member: Option<String>,
    /// How often an entry is handed out, at most.
    pub deliveries_max: u64,
}

/// Why these flags make no sense.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DurableError {
    /// A name is empty.
    #[error("{0} needs a name")]
    Name(&'static str),
    /// `--since`.
    #[error(
        "--since: {0:?} is neither a time back such as 1h, nor an entry's id such as 1732000000000-0, nor the word \
         start"
    )]
    Since(String),
    /// `--cluster` alone.
    #[error("--cluster needs the address of a node: --redis redis://host:port, or REDIS_URL")]
    ClusterWithoutUrl,
    /// A pattern where there are none.
    #[error("--channel {0}: a cluster's channels have no patterns; name the channel that the producer has")]
    ClusterPattern(String),
    /// `--store` alone where nobody is at home.
    #[error("--store: this user has no folder for data; name a file: --store sqlite:ticks.db")]
    NoDataFolder,
    /// `--store`.
    #[error("--store: {0}")]
    Store(#[from] StoreUrlError),
    /// `--keep`.
    #[error("--keep must be longer than 0 and at most a hundred years")]
    Keep,
}

impl DurableArgs {
    /// The stream that is read, if one is.
    pub(super) fn stream(&self) -> Result<Option<StreamConfig>, DurableError> {
        let Some(name) = self.stream.clone() else { return Ok(None) };
        let named = |flag, text: &Option<String>| match text.as_deref() {
            Some("") => Err(DurableError::Name(flag)),
            _ => Ok(()),
        };
        named("--stream", &self.stream)?;
        named("--group", &self.group)?;
        named("--member", &self.member)?;
        let since = self.since.as_deref().map(parse_since).transpose()?;
        let group = self.group.clone().map(|name| GroupConfig {
            name,
            member: self.member.clone(),
            deliveries_max: self.max_deliveries,
        });
        Ok(Some(StreamConfig { name, since, group }))
    }

    /// The store, if there is one. `data_dir` is where this platform keeps a user's data.
    pub(super) fn store(&self, data_dir: Option<&Path>) -> Result<Option<DbConfig>, DurableError> {
        let Some(text) = &self.store else { return Ok(None) };
        let url = if text.trim().is_empty() {
            let dir = data_dir.ok_or(DurableError::NoDataFolder)?;
            StoreUrl::Sqlite(dir.join(STORE_FILE))
        } else {
            text.parse()?
        };
        let keep_age_ns = self.keep.map(|age| match i64::try_from(age.as_nanos()) {
            Ok(age_ns) if age_ns > 0 && age <= super::WINDOW_MAX => Ok(age_ns),
            _ => Err(DurableError::Keep),
        });
        Ok(Some(DbConfig { url, keep_age_ns: keep_age_ns.transpose()?, rows_waiting_max: ROWS_WAITING_MAX }))
    }
}

fn parse_since(text: &str) -> Result<Since, DurableError> {
    let text = text.trim();
    if text == "start" {
        return Ok(Since::Start);
    }
    // A number alone is a time in seconds, as everywhere; an id has its two parts.
    if text.contains('-')
        && let Ok(id) = text.parse()
    {
        return Ok(Since::At(id));
    }
    parse_duration(text).map(Since::Ago).map_err(|_| DurableError::Since(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::args::{Args, ArgsError, config_of};
    use crate::model::StreamId;
    use clap::Parser;

    fn error(words: &[&str]) -> String {
        let args = Args::try_parse_from([&["consumer"], words].concat());
        args.map_err(|error| error.to_string())
            .and_then(|args| args.into_config().map_err(|error: ArgsError| error.to_string()))
            .expect_err("it makes no sense")
    }

    #[test]
    fn a_stream_begins_where_it_is_told_to() {
        let since = |text: &str| config_of(&["--stream", "s", "--since", text]).stream.expect("a stream").since();
        assert_eq!(since("start"), Since::Start);
        assert_eq!(since("15m"), Since::Ago(Duration::from_mins(15)));
        assert_eq!(since("90"), Since::Ago(Duration::from_secs(90)));
        assert_eq!(since("1732000000000-3"), Since::At(StreamId { ms: 1_732_000_000_000, seq: 3 }));
        let default = config_of(&["--stream", "s"]).stream.expect("a stream");
        assert_eq!((default.since, default.since()), (None, Since::Ago(SINCE_DEFAULT)));
        for bad in ["", "x", "-1", "1-", "yesterday"] {
            assert!(error(&["--stream", "s", &format!("--since={bad}")]).contains("--since"), "{bad}");
        }
    }

    #[test]
    fn what_needs_another_flag_says_so() {
        for (words, named) in [
            (&["--since", "1h"][..], "--stream"),
            (&["--group", "g"], "--stream"),
            (&["--stream", "s", "--member", "m"], "--group"),
            (&["--stream", "s", "--channel", "c"], "--channel"),
            (&["--stream", ""], "--stream"),
            (&["--cluster"], "--redis"),
            (&["--cluster", "--redis", "redis://h", "--channel", "a*"], "patterns"),
            (&["--keep", "30d"], "--store"),
            (&["--store", "sqlite:x.db", "--keep", "0"], "--keep"),
            (&["--store", "oracle://h"], "sqlite:"),
            (&["--stream", "s", "--group", "g", "--max-deliveries", "0"], "--max-deliveries"),
        ] {
            let error = error(words);
            assert!(error.contains(named), "{words:?}: {error}");
        }
    }

    #[test]
    fn a_store_alone_is_a_file_of_the_users() {
        let args = |words: &[&str]| Args::try_parse_from([&["consumer"], words].concat()).expect("flags").durable;
        let store = |words: &[&str], dir: Option<&Path>| args(words).store(dir);
        let found = store(&["--store"], Some(Path::new("/data"))).unwrap().unwrap();
        assert_eq!(found.url, StoreUrl::Sqlite("/data/tickscope/ticks.db".into()));
        assert_eq!(store(&["--store"], None).unwrap_err(), DurableError::NoDataFolder);
        let kept = store(&["--store", "sqlite:t.db", "--keep", "2h"], None).unwrap().unwrap();
        assert_eq!((kept.url, kept.keep_age_ns), (StoreUrl::Sqlite("t.db".into()), Some(7_200_000_000_000)));
        assert!(store(&[], None).unwrap().is_none());
    }
}
