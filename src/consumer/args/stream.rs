//! Flags of streams, consumer groups and clusters.

use std::time::Duration;

use super::ArgsError;
use crate::cli::parse_duration;
use crate::client::{SHARDS, SHARDS_MAX, Since};

/// Default start position in a stream: the age of the oldest entries that fill the chart.
pub(in crate::consumer) const SINCE_DEFAULT: Since = Since::Ago(Duration::from_hours(1));

/// Default number of deliveries after which an entry of a group counts as unprocessable.
const DELIVERIES_MAX: u64 = 5;

/// Flags of streams, consumer groups and clusters.
#[derive(Debug, Clone, clap::Args)]
pub struct StreamArgs {
    /// Read this stream, with every tick from --since on, instead of a channel
    #[arg(long, value_name = "NAME", conflicts_with_all = ["channel", "demo"])]
    pub stream: Option<String>,
    /// Start in the stream: an age, an entry id, or start [default: 1h, or where the store ends]
    #[arg(long, value_name = "TIME|ID|start", requires = "stream")]
    pub since: Option<String>,
    /// Share the stream with the other members of this group: each tick goes to one of them
    #[arg(long, value_name = "NAME", requires = "stream")]
    pub group: Option<String>,
    /// Unique name of this member of the group [default: a random one]
    #[arg(long, value_name = "NAME", requires = "group")]
    pub member: Option<String>,
    /// Deliveries after which the group moves an entry to the stream NAME:dead
    #[arg(long, value_name = "N", requires = "group", default_value_t = DELIVERIES_MAX)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub max_deliveries: u64,
    /// The servers are a Redis Cluster; ticks are spread over its nodes by symbol
    #[arg(long)]
    pub cluster: bool,
    /// In a cluster: number of channels or streams that ticks are spread over; must equal the producer's
    #[arg(long, value_name = "N", default_value_t = SHARDS)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=i64::from(SHARDS_MAX)))]
    pub shards: u16,
}

impl StreamArgs {
    /// Checks the flags. Returns the start position in the stream, if one is given.
    pub(super) fn check(&mut self) -> Result<Option<Since>, ArgsError> {
        if self.stream.is_none() {
            // Beside a flag that excludes --stream, clap accepts flags that require it. They have no effect.
            self.group = None;
            return Ok(None);
        }
        for (flag, text) in [("--stream", &self.stream), ("--group", &self.group), ("--member", &self.member)] {
            if text.as_deref() == Some("") {
                return Err(ArgsError::Name(flag));
            }
        }
        self.since.as_deref().map(parse_since).transpose()
    }
}

fn parse_since(text: &str) -> Result<Since, ArgsError> {
    let text = text.trim();
    if text == "start" {
        return Ok(Since::Start);
    }
    // A plain number is a time in seconds, as in all flags. An id has two parts.
    if text.contains('-')
        && let Ok(id) = text.parse()
    {
        return Ok(Since::At(id));
    }
    parse_duration(text).map(Since::Ago).map_err(|_| ArgsError::Since(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::args::{Args, config_of};
    use crate::model::StreamId;
    use clap::Parser;

    fn error(words: &[&str]) -> String {
        let args = Args::try_parse_from([&["consumer"], words].concat());
        args.map_err(|error| error.to_string())
            .and_then(|args| args.into_config(None).map_err(|error: ArgsError| error.to_string()))
            .expect_err("the flags are invalid")
    }

    #[test]
    fn since_selects_where_a_stream_starts() {
        let since = |text: &str| config_of(&["--stream", "s", "--since", text]).since.expect("a start");
        assert_eq!(since("start"), Since::Start);
        assert_eq!(since("15m"), Since::Ago(Duration::from_mins(15)));
        assert_eq!(since("90"), Since::Ago(Duration::from_secs(90)));
        assert_eq!(since("1732000000000-3"), Since::At(StreamId { ms: 1_732_000_000_000, seq: 3 }));
        assert_eq!(config_of(&["--stream", "s"]).since, None);
        let unused = config_of(&["--channel", "c", "--since", "1h", "--group", "g"]);
        assert_eq!((unused.since, unused.args.stream.group), (None, None), "without a stream");
        for bad in ["", "x", "-1", "1-", "yesterday"] {
            assert!(error(&["--stream", "s", &format!("--since={bad}")]).contains("--since"), "{bad}");
        }
    }

    #[test]
    fn errors_name_the_flag_that_is_missing_or_invalid() {
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
}
