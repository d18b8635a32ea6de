//! The producer's command line, and what it means.

mod durable;
mod playing;

pub use durable::DurableError;

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use compact_str::{CompactString, format_compact};
use thiserror::Error;

use crate::cli::{ConfigArgs, Console, TimeError, TlsArgs, parse_duration, parse_port};
use crate::client::{EndpointError, Target, TlsFiles};
use crate::model::{SOURCE_BYTES_MAX, SYMBOL_BYTES_MAX, Symbol, Timestamp, TimestampFormat, display_safe};
use crate::producer::args::durable::DurableArgs;
use crate::producer::args::playing::PlayArgs;
use crate::producer::{Config, Display, Pace, Source};
use crate::sources::{Format, Generator, Model, Rate, Schedule, TickFilter};
use crate::storage::db::{DbError, StoreUrlError};

/// What is published unless told otherwise.
const DEFAULT_SYMBOLS: [&str; 3] = ["AAPL", "GOOG", "MSFT"];

/// Most symbols in a list. All US shares and funds together are about this many.
const SYMBOLS_MAX: usize = 10_000;

/// Up to this many ticks a second each one is a line on a terminal; more cannot be read.
const LINES_PER_S_MAX: f64 = 10.0;

/// What follows the id of a source in a cluster, as `.255`.
const SHARD_BYTES_MAX: usize = 4;

const EXAMPLES: &str = "\
Examples:
  producer                                        three random walks, a tick each a second
  producer --symbols SPY,QQQ --rate 5000 --duration 1m
  producer --replay data/us-trades-2013-10-07.csv.gz --speed 60
  producer --replay sqlite:ticks.db --from 2013-10-07T13:30:00Z --speed max --keep-timestamps
  my-feed | producer --stdin --channel ticks.live
  producer --stream stock_ticks --spool /var/lib/ticks      nothing is lost, whatever crashes
  producer --redis redis+cluster://host:7000 --stream stock_ticks

Input of --replay and --stdin: one JSON object (or array of them) a line, such as
  {\"symbol\": \"AAPL\", \"price\": 187.2, \"timestamp\": 1732000000}
or, for --replay, CSV with a header that names timestamp (or time, ts, datetime, date),
symbol (ticker, sym), price (px, last) and, if there is one, size (volume, qty, quantity).
Gzip is unpacked. Parquet has columns of the same names. Of a store, a password is safer in
TICKSCOPE_REPLAY, where no list of processes shows it.

Without --redis and REDIS_URL, the Redis on this machine is used; a small one is served where
none runs.

Every flag is also a key of tickscope.toml and a variable: TICKSCOPE_LOCAL_PORT=7000.

Exit status: 0 done, 1 failed while running, 2 wrong usage or unreadable input.";

/// Publishes stock ticks as JSON to a Redis channel.
#[derive(Debug, Parser)]
#[command(name = "producer", version, about, after_help = EXAMPLES)]
pub struct Args {
    /// Symbols, separated by commas [default: AAPL,GOOG,MSFT]; with --replay or --stdin: publish only these
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    symbols: Vec<String>,

    /// Time between two ticks of a symbol, as 1s, 250ms, 2m, or 0.5 (seconds); 0 = as fast as Redis takes them
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    #[arg(allow_negative_numbers = true)]
    #[arg(conflicts_with_all = ["rate", "replay", "stdin"])]
    interval: Duration,

    /// Ticks a second in all, kept exactly; the symbols take turns
    #[arg(long, value_name = "N", allow_negative_numbers = true, conflicts_with = "stdin")]
    rate: Option<Rate>,

    /// End after this many ticks
    #[arg(long, value_name = "N", value_parser = parse_count, allow_negative_numbers = true)]
    count: Option<u64>,

    /// End after this long, counted from the first connection
    #[arg(long, value_name = "TIME", value_parser = parse_duration, allow_negative_numbers = true)]
    duration: Option<Duration>,

    /// Same seed, same ticks [default: a random one]
    #[arg(long, value_name = "N", conflicts_with_all = ["replay", "stdin"])]
    seed: Option<u64>,

    /// How random prices move
    #[arg(long, value_enum, default_value_t = ModelArg::Walk, conflicts_with_all = ["replay", "stdin"])]
    model: ModelArg,

    #[command(flatten)]
    playing: PlayArgs,

    /// Publish ticks that another program writes to standard input, one JSON object a line
    #[arg(long)]
    stdin: bool,

    /// Channel to publish on
    #[arg(long, value_name = "NAME", default_value = "stock_prices")]
    channel: String,

    // In an attribute, because rustdoc would take the addresses for links.
    #[arg(
        long,
        help = "Redis server, as redis://[user:password@]host[:port][/db], rediss:// with TLS, or unix:///path; \
                redis+cluster://host,host is a cluster, redis+sentinel://host,host/name what sentinels watch"
    )]
    #[arg(value_name = "URL")]
    redis: Option<String>,

    #[command(flatten)]
    durable: DurableArgs,

    #[command(flatten)]
    tls: TlsArgs,

    /// Port on this machine that is used, or served, when no server is given
    #[arg(long, value_name = "PORT", default_value_t = 6379, value_parser = parse_port)]
    #[arg(allow_negative_numbers = true)]
    local_port: u16,

    /// How timestamps are written: seconds with fraction, milli-, micro- or nanoseconds, or text
    #[arg(long, value_enum, value_name = "FORM", default_value_t = TimestampArg::S)]
    timestamps: TimestampArg,

    /// The source that each tick names beside its running number [default: a short random one]
    #[arg(long, value_name = "ID")]
    source: Option<String>,

    /// Leave seq and source out of the ticks
    #[arg(long, conflicts_with = "source")]
    no_seq: bool,

    /// Print figures on standard output at the end
    #[arg(long, value_enum, value_name = "FORM")]
    stats: Option<StatsArg>,

    #[command(flatten)]
    settings: ConfigArgs,

    /// Show nothing but warnings and errors
    #[arg(long, short)]
    quiet: bool,

    /// Log more; twice for all there is
    #[arg(long, short, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModelArg {
    /// A geometric random walk with a bid-ask bounce and trade sizes
    Walk,
    /// Each price anew, from 90.00 to 110.00
    Uniform,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TimestampArg {
    /// 1732000000.25
    S,
    /// 1732000000250
    Ms,
    /// 1732000000250000
    Us,
    /// 1732000000250000000
    Ns,
    /// "2024-11-19T07:06:40.25Z"
    Rfc3339,
}

impl From<TimestampArg> for TimestampFormat {
    fn from(arg: TimestampArg) -> Self {
        match arg {
            TimestampArg::S => Self::Seconds,
            TimestampArg::Ms => Self::Millis,
            TimestampArg::Us => Self::Micros,
            TimestampArg::Ns => Self::Nanos,
            TimestampArg::Rfc3339 => Self::Rfc3339,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatsArg {
    /// One JSON object on one line
    Json,
}

/// Why the command line cannot be carried out.
#[derive(Debug, Error)]
pub enum UsageError {
    /// The server's URL.
    #[error("--redis (or REDIS_URL) cannot be used")]
    Redis(#[from] EndpointError),
    /// The list of symbols.
    #[error("--symbols: {0}")]
    Symbols(String),
    /// A limit that leaves nothing to do.
    #[error("--duration 0 would publish nothing; leave it out to publish without end")]
    NoDuration,
    /// A channel without a name.
    #[error("--channel needs a name, such as stock_prices")]
    Channel,
    /// Streams, spool, cluster.
    #[error(transparent)]
    Durable(#[from] DurableError),
    /// An id that readers would reject.
    #[error(
        "--source is 1 to {SOURCE_BYTES_MAX} bytes of text without control characters ({SHARD_BYTES_MAX} less in a \
         cluster)"
    )]
    SourceId,
    /// A time that cannot be read.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// A span without length.
    #[error("--from must lie before --to")]
    Span,
    /// The address of a store that is none; its text is not repeated.
    #[error("--replay: {0}")]
    StoreUrl(StoreUrlError),
    /// A store that is not there.
    #[error("--replay: {0}")]
    Store(DbError),
    /// The recording cannot be opened.
    #[error("cannot read {path}")]
    Unreadable {
        /// Its path, safe to show.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl Args {
    /// How often `-v` was given.
    pub fn verbosity(&self) -> u8 {
        self.verbose
    }

    /// Whether only warnings and errors are to be shown.
    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// Whether figures are to be printed at the end.
    pub fn wants_stats(&self) -> bool {
        self.stats.is_some()
    }

    /// Checks what clap cannot check, opens the recording and puts everything together. `entropy` stands for what is
    /// not asked to be repeatable.
    pub fn into_config(self, console: Console, stdout_is_terminal: bool, entropy: u64) -> Result<Config, UsageError> {
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
        } else if let Some(path) = &self.playing.replay {
            (playing::source(path, self.selection()?)?, self.playing.pace(self.rate))
        } else {
            self.market(entropy)?
        };
        let (durable, id) = self.durable.build(&target, self.source.as_deref(), id)?;
        let slow = matches!(pace, Pace::Even(schedule) if schedule.per_second() <= LINES_PER_S_MAX);
        let ticks = slow && stdout_is_terminal && !self.quiet && self.stats.is_none();
        Ok(Config {
            target,
            source,
            pace,
            id,
            durable,
            display: Display { console, ticks, progress: !self.quiet && !ticks },
            keep_timestamps: self.playing.keep_timestamps || self.stdin,
            timestamps: self.timestamps.into(),
            count: self.count,
            duration: self.duration,
            channel: self.channel,
            jitter_seed: entropy,
        })
    }

    fn target(&self) -> Result<Target, UsageError> {
        // An empty variable is how scripts unset one.
        match self.redis.as_deref().map(str::trim).filter(|url| !url.is_empty()) {
            Some(url) => {
                let [ca, cert, key] = self.tls.clone().files();
                Ok(Target::parse_with(url, self.durable.cluster, &TlsFiles { ca, cert, key })?)
            }
            None if self.durable.cluster => Err(DurableError::NoNodes.into()),
            None => Ok(crate::producer::local_target(self.local_port)),
        }
    }

    fn id(&self, entropy: u64, target: &Target) -> Result<Option<CompactString>, UsageError> {
        // In a cluster the number of a shard follows.
        let bytes_max = if target.is_cluster() { SOURCE_BYTES_MAX - SHARD_BYTES_MAX } else { SOURCE_BYTES_MAX };
        match &self.source {
            _ if self.no_seq => Ok(None),
            None => Ok(Some(format_compact!("p-{:08x}", entropy as u32))),
            Some(id) if (1..=bytes_max).contains(&id.len()) && display_safe(id) == id.as_str() => Ok(Some(id.into())),
            Some(_) => Err(UsageError::SourceId),
        }
    }

    fn market(&self, entropy: u64) -> Result<(Source, Pace), UsageError> {
        let symbols = if self.symbols.is_empty() { symbols(&DEFAULT_SYMBOLS)? } else { symbols(&self.symbols)? };
        let per_round = symbols.len() as u64;
        let (pace, step) = match self.rate {
            Some(rate) => (
                Pace::Even(Schedule::rate(rate)),
                Duration::try_from_secs_f64(per_round as f64 / rate.per_second()).unwrap_or(Duration::MAX),
            ),
            None => match Schedule::rounds(self.interval, per_round) {
                Some(schedule) => (Pace::Even(schedule), self.interval),
                // As fast as can be: a market in which each symbol trades once a second, sped up.
                None => (Pace::Unpaced, Duration::from_secs(1)),
            },
        };
        let model = match self.model {
            ModelArg::Walk => Model::Walk,
            ModelArg::Uniform => Model::Uniform,
        };
        let seed = self.seed.unwrap_or(entropy);
        tracing::debug!("seed {seed}");
        let generator = Generator::new(model, &symbols, seed, step);
        let generator = generator.ok_or_else(|| UsageError::Symbols("the list is empty".to_owned()))?;
        Ok((Source::Market(generator), pace))
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
        self.playing.selection(symbols(&self.symbols)?, Timestamp::now())
    }
}

fn parse_count(text: &str) -> Result<u64, &'static str> {
    text.trim().parse().ok().filter(|count| *count > 0).ok_or("a count is a whole number above zero")
}

/// Reads a list of symbols, each of them once.
fn symbols(names: &[impl AsRef<str>]) -> Result<Vec<Symbol>, UsageError> {
    let refuse = |reason: String| Err(UsageError::Symbols(reason));
    if names.len() > SYMBOLS_MAX {
        return refuse(format!("{} symbols are more than the {SYMBOLS_MAX} that one producer takes", names.len()));
    }
    let mut seen = BTreeSet::new();
    let mut symbols = Vec::with_capacity(names.len());
    for name in names.iter().map(|name| name.as_ref().trim()) {
        let shown = display_safe(name);
        if name.is_empty() {
            return refuse("a symbol is empty; write them as AAPL,GOOG,MSFT".to_owned());
        }
        if shown != name {
            return refuse(format!("{shown} holds characters that cannot be shown"));
        }
        let Some(symbol) = Symbol::new(name) else {
            let start: String = name.chars().take(SYMBOL_BYTES_MAX).collect();
            return refuse(format!("{start}... is longer than {SYMBOL_BYTES_MAX} bytes"));
        };
        if !seen.insert(symbol.clone()) {
            return refuse(format!("{symbol} stands twice"));
        }
        symbols.push(symbol);
    }
    Ok(symbols)
}

#[cfg(test)]
mod tests;
