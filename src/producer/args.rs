//! Command line of the producer.

mod delivery;
mod replay;

pub use delivery::DeliveryError;

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use compact_str::{CompactString, format_compact};
use thiserror::Error;

use crate::cli::{ConfigArgs, LogWriter, TimeError, TlsArgs, impl_value_enum, parse_duration, parse_port};
use crate::client::{EndpointError, Target};
use crate::model::{SOURCE_BYTES_MAX, SYMBOL_BYTES_MAX, Symbol, Timestamp, TimestampFormat, display_safe};
use crate::producer::args::delivery::DeliveryArgs;
use crate::producer::args::replay::ReplayArgs;
use crate::producer::{Config, Display, Pace, Source, parse_target};
use crate::sources::{Format, Generator, Model, Rate, Schedule, TickFilter};
use crate::storage::db::{DbError, StoreUrlError};

/// Default symbols.
const DEFAULT_SYMBOLS: [&str; 3] = ["AAPL", "GOOG", "MSFT"];

/// Most symbols in a list: about the number of all US shares and funds.
const SYMBOLS_MAX: usize = 10_000;

/// Maximum number of ticks per second printed on a terminal, so that they can be read.
const LINES_PER_S_MAX: f64 = 10.0;

/// Length of what follows the id of a source in a cluster, such as `.255`.
const SHARD_BYTES_MAX: usize = 4;

const EXAMPLES: &str = "\
Examples:
  producer                                        three random walks, a tick each a second
  producer --symbols SPY,QQQ --rate 5000 --duration 1m
  producer --replay data/us-trades-2013-10-07.csv.gz --speed 60
  producer --replay sqlite:ticks.db --from 2013-10-07T13:30:00Z --speed max --keep-timestamps
  my-feed | producer --stdin --channel ticks.live
  producer --stream stock_ticks --spool /var/lib/ticks      loses no tick in a crash or an outage
  producer --redis redis+cluster://host:7000 --stream stock_ticks

Input of --replay and --stdin: one JSON object (or array of them) a line, such as
  {\"symbol\": \"AAPL\", \"price\": 187.2, \"timestamp\": 1732000000}
or, for --replay, CSV with a header that names timestamp (or time, ts, datetime, date),
symbol (ticker, sym), price (px, last) and, if there is one, size (volume, qty, quantity).
Gzip is decompressed. Parquet has columns of the same names. A store's password is safer in
TICKSCOPE_REPLAY, because lists of processes show the command line.

Without --redis and REDIS_URL, the Redis on this machine is used. If there is none, a built-in
broker is served in its place.

Every flag is also a key of tickscope.toml and a variable: TICKSCOPE_LOCAL_PORT=7000.

Exit status: 0 done, 1 failed while running, 2 wrong usage or unreadable input.";

/// Publishes stock ticks as JSON to a Redis channel.
#[derive(Debug, Parser)]
#[command(name = "producer", version, about, after_help = EXAMPLES)]
pub struct Args {
    /// Symbols, separated by commas [default: AAPL,GOOG,MSFT]; with --replay or --stdin, only these are published
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    symbols: Vec<String>,

    /// Time between two ticks of a symbol, such as 1s, 250ms, 2m or 0.5 (seconds); 0 = as fast as Redis accepts them
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    #[arg(allow_negative_numbers = true)]
    #[arg(conflicts_with_all = ["rate", "replay", "stdin"])]
    interval: Duration,

    /// Ticks per second of all symbols together, kept exactly; the symbols take turns
    #[arg(long, value_name = "N", allow_negative_numbers = true, conflicts_with = "stdin")]
    rate: Option<Rate>,

    /// End after this many ticks
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    count: Option<u64>,

    /// End after this time, counted from the first connection
    #[arg(long, value_name = "TIME", value_parser = parse_duration, allow_negative_numbers = true)]
    duration: Option<Duration>,

    /// Seed of the random ticks [default: a random one]
    #[arg(long, value_name = "N", conflicts_with_all = ["replay", "stdin"])]
    seed: Option<u64>,

    /// Model of random prices
    #[arg(long, value_enum, default_value_t = Model::Walk, conflicts_with_all = ["replay", "stdin"])]
    model: Model,

    #[command(flatten)]
    replay: ReplayArgs,

    /// Publish ticks from standard input, one JSON object on each line
    #[arg(long)]
    stdin: bool,

    /// Channel to publish on
    #[arg(long, value_name = "NAME", default_value = "stock_prices")]
    channel: String,

    // In an attribute, because rustdoc would take the addresses for links.
    #[arg(
        long,
        help = "Redis server, as redis://[user:password@]host[:port][/db], rediss:// with TLS, or unix:///path; \
                redis+cluster://host,host is a cluster, redis+sentinel://host,host/name a master behind sentinels"
    )]
    #[arg(value_name = "URL")]
    redis: Option<String>,

    #[command(flatten)]
    delivery: DeliveryArgs,

    #[command(flatten)]
    tls: TlsArgs,

    /// Port on this machine to use, or to serve, if no server is given
    #[arg(long, value_name = "PORT", default_value_t = 6379, value_parser = parse_port)]
    #[arg(allow_negative_numbers = true)]
    local_port: u16,

    /// Format of timestamps: seconds with fraction, milli-, micro- or nanoseconds, or text
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    timestamps: TimestampFormat,

    /// Source of each tick, beside its sequence number [default: a short random one]
    #[arg(long, value_name = "ID")]
    source: Option<String>,

    /// Omit seq and source
    #[arg(long, conflicts_with = "source")]
    no_seq: bool,

    /// Print statistics on standard output at the end
    #[arg(long, value_enum, value_name = "FORM")]
    stats: Option<StatsArg>,

    #[command(flatten)]
    settings: ConfigArgs,

    /// Show only warnings and errors
    #[arg(long, short)]
    pub quiet: bool,

    /// Log more; twice for everything
    #[arg(long, short, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
}

impl_value_enum!(Model {
    Walk = "walk": "A geometric random walk with a bid-ask bounce and trade sizes",
    Uniform = "uniform": "Independent prices from 90.00 to 110.00",
});

impl_value_enum!(TimestampFormat {
    Seconds = "s": "1732000000.25",
    Millis = "ms": "1732000000250",
    Micros = "us": "1732000000250000",
    Nanos = "ns": "1732000000250000000",
    Rfc3339 = "rfc3339": "\"2024-11-19T07:06:40.25Z\"",
});

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatsArg {
    /// One JSON object on one line
    Json,
}

/// Error in the command line.
#[derive(Debug, Error)]
pub enum UsageError {
    /// The server's URL is invalid.
    #[error("--redis (or REDIS_URL) cannot be used")]
    Redis(#[from] EndpointError),
    /// The list of symbols is invalid.
    #[error("--symbols: {0}")]
    Symbols(String),
    /// The duration is 0.
    #[error("--duration 0 would publish nothing; omit it to publish without end")]
    NoDuration,
    /// The channel has no name.
    #[error("--channel needs a name, such as stock_prices")]
    Channel,
    /// Stream, spool or cluster flags are invalid.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// Readers would reject the source id.
    #[error(
        "--source is 1 to {SOURCE_BYTES_MAX} bytes of text without control characters ({SHARD_BYTES_MAX} less in a \
         cluster)"
    )]
    SourceId,
    /// A time is invalid.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// The time span is empty.
    #[error("--from must be before --to")]
    Span,
    /// The address of a store is invalid. The message does not repeat it.
    #[error("--replay: {0}")]
    StoreUrl(StoreUrlError),
    /// The store does not exist.
    #[error("--replay: {0}")]
    Store(DbError),
    /// The recording cannot be opened.
    #[error("cannot read {path}")]
    Unreadable {
        /// Path, safe for a terminal.
        path: String,
        /// Error of the operating system.
        source: io::Error,
    },
}

impl Args {
    /// Returns whether statistics are printed at the end.
    pub fn prints_stats(&self) -> bool {
        self.stats.is_some()
    }

    /// Checks the flags and opens the inputs and the spool. `entropy` provides the random seed, the source id and the
    /// jitter, unless flags set them.
    ///
    /// # Errors
    ///
    /// Fails if flags are invalid, or if an input or the spool cannot be opened.
    pub fn into_config(self, log: LogWriter, stdout_is_terminal: bool, entropy: u64) -> Result<Config, UsageError> {
        let target = self.target()?;
        if self.duration.is_some_and(|duration| duration.is_zero()) {
            return Err(UsageError::NoDuration);
        }
        if self.channel.is_empty() {
            return Err(UsageError::Channel);
        }
        let id = self.id(entropy, &target)?;
        let (source, pace) = if self.stdin {
            (self.standard_input()?, Pace::Unpaced)
        } else if let Some(path) = &self.replay.replay {
            (replay::source(path, self.selection()?)?, self.replay.pace(self.rate))
        } else {
            self.random_source(entropy)?
        };
        let (delivery, id) = self.delivery.build(&target, self.source.as_deref(), id)?;
        let is_slow = matches!(pace, Pace::Even(schedule) if schedule.per_second() <= LINES_PER_S_MAX);
        let ticks = is_slow && stdout_is_terminal && !self.quiet && self.stats.is_none();
        Ok(Config {
            target,
            source,
            pace,
            id,
            delivery,
            display: Display { log, ticks, progress: !self.quiet && !ticks },
            keep_timestamps: self.replay.keep_timestamps || self.stdin,
            timestamps: self.timestamps,
            count: self.count,
            duration: self.duration,
            channel: self.channel,
            jitter_seed: entropy,
        })
    }

    fn target(&self) -> Result<Target, UsageError> {
        let target = parse_target(self.redis.as_deref(), self.delivery.cluster, &self.tls, self.local_port)?;
        target.ok_or(DeliveryError::NoNodes.into())
    }

    fn id(&self, entropy: u64, target: &Target) -> Result<Option<CompactString>, UsageError> {
        // In a cluster, the number of a shard is appended.
        let bytes_max = if target.is_cluster() { SOURCE_BYTES_MAX - SHARD_BYTES_MAX } else { SOURCE_BYTES_MAX };
        match &self.source {
            _ if self.no_seq => Ok(None),
            None => Ok(Some(format_compact!("p-{:08x}", entropy as u32))),
            Some(id) if (1..=bytes_max).contains(&id.len()) && display_safe(id) == id.as_str() => Ok(Some(id.into())),
            Some(_) => Err(UsageError::SourceId),
        }
    }

    fn random_source(&self, entropy: u64) -> Result<(Source, Pace), UsageError> {
        let symbols = if self.symbols.is_empty() { symbols(&DEFAULT_SYMBOLS)? } else { symbols(&self.symbols)? };
        let per_round = symbols.len() as u64;
        let (pace, step) = match self.rate {
            Some(rate) => (
                Pace::Even(Schedule::rate(rate)),
                Duration::try_from_secs_f64(per_round as f64 / rate.per_second()).unwrap_or(Duration::MAX),
            ),
            None => match Schedule::rounds(self.interval, per_round) {
                Some(schedule) => (Pace::Even(schedule), self.interval),
                // Unpaced prices move as if each symbol ticked once a second.
                None => (Pace::Unpaced, Duration::from_secs(1)),
            },
        };
        let seed = self.seed.unwrap_or(entropy);
        tracing::debug!("seed {seed}");
        let generator = Generator::new(self.model, &symbols, seed, step);
        let generator = generator.ok_or_else(|| UsageError::Symbols("the list is empty".to_owned()))?;
        Ok((Source::Random(generator), pace))
    }

    fn standard_input(&self) -> Result<Source, UsageError> {
        Ok(Source::Recording {
            input: Box::new(io::stdin()),
            name: "standard input".to_owned(),
            format: Format::Ndjson,
            selection: self.selection()?,
            must_hold_ticks: false,
        })
    }

    fn selection(&self) -> Result<TickFilter, UsageError> {
        self.replay.selection(symbols(&self.symbols)?, Timestamp::now())
    }
}

fn parse_count(text: &str) -> Result<u64, &'static str> {
    text.trim().parse().ok().filter(|count| *count > 0).ok_or("a count is a whole number above zero")
}

/// Parses a list of symbols without duplicates.
fn symbols(names: &[impl AsRef<str>]) -> Result<Vec<Symbol>, UsageError> {
    let refuse = |reason: String| Err(UsageError::Symbols(reason));
    if names.len() > SYMBOLS_MAX {
        return refuse(format!("{} symbols are more than the limit of {SYMBOLS_MAX}", names.len()));
    }
    let mut seen = BTreeSet::new();
    let mut symbols = Vec::with_capacity(names.len());
    for name in names.iter().map(|name| name.as_ref().trim()) {
        let safe = display_safe(name);
        if name.is_empty() {
            return refuse("a symbol is empty; write them as AAPL,GOOG,MSFT".to_owned());
        }
        if safe != name {
            return refuse(format!("{safe} contains characters that cannot be displayed"));
        }
        let Some(symbol) = Symbol::new(name) else {
            let start: String = name.chars().take(SYMBOL_BYTES_MAX).collect();
            return refuse(format!("{start}... is longer than {SYMBOL_BYTES_MAX} bytes"));
        };
        if !seen.insert(symbol.clone()) {
            return refuse(format!("{symbol} is listed twice"));
        }
        symbols.push(symbol);
    }
    Ok(symbols)
}

#[cfg(test)]
mod tests;
