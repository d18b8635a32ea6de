//! The producer: publishes ticks from a random model, a recording or a store at an exact pace.
//!
//! [`run`] is the whole program without its command line and its signals.
//!
//! # Examples
//!
//! ```
//! use tickscope::cli::LogWriter;
//! use tickscope::producer::{Args, Pace};
//!
//! let args = <Args as clap::Parser>::try_parse_from(["producer", "--symbols", "SPY,QQQ", "--rate", "5000"])?;
//! let config = args.into_config(LogWriter::hidden(), false, 7)?;
//! assert!(matches!(config.pace, Pace::Even(schedule) if schedule.per_second() == 5_000.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod args;
mod input;
mod local_broker;
mod progress;
mod publish_loop;
mod shards;
mod stats;

pub use args::{Args, DeliveryError, UsageError};
pub use input::InputError;
pub(crate) use local_broker::parse_target;
pub use shards::ShardReport;
pub use stats::Report;

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use compact_str::CompactString;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::cli::LogWriter;
use crate::client::{ClientError, OutputStream, SHARDS, Target, all_ended};
use crate::model::TimestampFormat;
use crate::producer::input::InputReport;
use crate::producer::progress::ProgressReporter;
use crate::producer::publish_loop::{EndReason, FeedOutcome, PacingStats, PublishLoop};
use crate::producer::shards::Shards;
use crate::sources::{Format, Generator, Schedule, Speed, TickFilter};
use crate::spool::Spool;
use crate::storage::db::StoreUrl;

/// Ticks that are queued in memory during an outage, if they are paced: a minute at a thousand a second, about 15 MB.
const QUEUE_TICKS_PACED: usize = 65_536;

/// Ticks that are queued in memory if they are unpaced: a few pipelines, so that a tick gets its timestamp only
/// milliseconds before it is sent.
const QUEUE_TICKS_UNPACED: usize = 4_096;

/// Time to publish queued ticks after an interruption. The program promises to end within a second.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(800);

/// Time for the publishers to end once nothing is left to publish.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(150);

/// Time to write the rest of the spool. A disk that takes longer has a fault.
const SPOOL_TIMEOUT: Duration = Duration::from_secs(2);

/// Source of ticks.
pub enum Source {
    /// An endless random model.
    Random(Generator),
    /// A recording, or the output of another program.
    Recording {
        /// Open input. It is read on a thread of its own, which may outlive the run while a read blocks.
        input: Box<dyn Read + Send>,
        /// Name in messages; safe for a terminal.
        name: String,
        /// Format of its lines.
        format: Format,
        /// Filter for the ticks to publish.
        selection: TickFilter,
        /// Makes an input without lines an error.
        must_hold_ticks: bool,
    },
    /// A text or Parquet file, distinguished by its first bytes. It is read like a recording.
    File {
        /// Open file.
        file: File,
        /// Name in messages; safe for a terminal.
        name: String,
        /// Filter for the ticks to publish.
        selection: TickFilter,
    },
    /// The ticks of a store, in order of time, then of arrival. It is only read.
    Store {
        /// Address of the store.
        url: StoreUrl,
        /// Filter for the ticks to publish.
        selection: TickFilter,
    },
}

/// Times at which ticks are published.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// Ticks are due at times known beforehand.
    Even(Schedule),
    /// Ticks follow at the recorded intervals, multiplied by a speed. Not for random ticks.
    Recorded(Speed),
    /// Ticks are sent as fast as the server accepts them, or as they arrive.
    Unpaced,
}

/// Configuration of [`run`].
pub struct Config {
    /// Server to connect to.
    pub target: Target,
    /// Channel to publish on.
    pub channel: String,
    /// Stream, spool and shards.
    pub delivery: Delivery,
    /// Source of ticks.
    pub source: Source,
    /// Pace of publishing.
    pub pace: Pace,
    /// Number of ticks after which the run ends.
    pub count: Option<u64>,
    /// Time after which the run ends, counted from the first connection.
    pub duration: Option<Duration>,
    /// Format of timestamps.
    pub timestamps: TimestampFormat,
    /// Publishes recorded timestamps instead of the time of publishing.
    pub keep_timestamps: bool,
    /// `source` of every tick, which also gets a `seq`; `None` omits both.
    pub id: Option<CompactString>,
    /// Output on the terminal.
    pub display: Display,
    /// Seed for the jitter of reconnects, different for each process.
    pub jitter_seed: u64,
}

/// Delivery of ticks: stream, spool and shards.
#[derive(Debug)]
pub struct Delivery {
    /// Stream to which each tick is appended before it is published.
    pub stream: Option<OutputStream>,
    /// Queue on disk.
    pub spool: Option<Spool>,
    /// Number of shards in a cluster.
    pub shards: u16,
}

impl Default for Delivery {
    /// Returns delivery to a channel only.
    fn default() -> Self {
        Self { stream: None, spool: None, shards: SHARDS }
    }
}

/// Output while running. Warnings are logged in any case.
#[derive(Debug, Clone)]
pub struct Display {
    /// Writer for all lines.
    pub log: LogWriter,
    /// Prints each published tick on stdout.
    pub ticks: bool,
    /// Shows a progress line below the log, or logs the progress regularly if stderr is not a terminal.
    pub progress: bool,
}

impl Display {
    /// Returns no output.
    pub fn none() -> Self {
        Self { log: LogWriter::hidden(), ticks: false, progress: false }
    }
}

/// Error of a run.
#[derive(Debug, Error)]
pub enum Error {
    /// The server refuses the ticks.
    #[error(transparent)]
    Publish(#[from] ClientError),
    /// The operating system refused a thread for the input or the spool.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// Publishes until the source ends, the count or duration is reached, or `shutdown` resolves.
///
/// Publishing starts with the first connection, and so does the duration. Ticks that another program writes go into the
/// spool, if there is one, from the start. At the end, queued ticks are published if that takes less than a second;
/// when the source has ended, without a limit. With a spool, the rest stays there.
///
/// # Errors
///
/// Fails if the server refuses the ticks, or if the operating system refuses a thread.
pub async fn run(mut config: Config, shutdown: impl Future<Output = ()>) -> Result<Report, Error> {
    let delivery = std::mem::take(&mut config.delivery);
    let Config { target, channel, display, pace, id, .. } = &config;
    let queue_ticks = if matches!(pace, Pace::Unpaced) { QUEUE_TICKS_UNPACED } else { QUEUE_TICKS_PACED };
    let mut shards = Shards::new(target, channel, delivery, id.as_ref(), queue_ticks).map_err(Error::Thread)?;
    let on_confirmed = || display.ticks.then(|| progress::print_ticks(display.log.clone()));
    let mut publishers = shards.start_publishers(target, on_confirmed, config.jitter_seed);
    let (pacing, id) = (PacingStats::default(), id.clone());
    let reporter = ProgressReporter::new(display, channel, *pace, &shards, &pacing);
    let outcome = publish_all(config, &shards, &mut publishers, &pacing, reporter, shutdown).await;
    shards.abandon();
    // Only an embedded broker needs time to end.
    let _ = timeout(LEAVE_TIMEOUT, all_ended(&mut publishers)).await;
    shards.end_spools(SPOOL_TIMEOUT).await;
    let (fed, fed_at, input) = outcome?;
    Ok(Report::new(&shards, fed_at, fed.covered, id, input))
}

/// Queues ticks until the end, and waits until they are published, for as long as the reason of the end allows.
async fn publish_all(
    config: Config,
    shards: &Shards,
    publishers: &mut JoinSet<Result<(), ClientError>>,
    pacing: &PacingStats,
    reporter: ProgressReporter<'_>,
    shutdown: impl Future<Output = ()>,
) -> Result<(FeedOutcome, Instant, InputReport), Error> {
    let mut reporting = std::pin::pin!(reporter.run());
    let mut publish_loop = PublishLoop::new(config, shards, pacing).map_err(Error::Thread)?;
    let mut shutdown = std::pin::pin!(shutdown);
    let fed = tokio::select! {
        biased;
        () = &mut shutdown => FeedOutcome::INTERRUPTED,
        published = all_ended(publishers) => published.map(|()| FeedOutcome::INTERRUPTED)?,
        never = &mut reporting => match never {},
        fed = publish_loop.run() => fed,
    };
    let fed_at = Instant::now();
    let input = publish_loop.finish();
    let published = async {
        tokio::select! {
            biased;
            () = &mut shutdown, if fed.reason == EndReason::Source => Ok(()),
            published = all_ended(publishers) => published,
            never = &mut reporting => match never {},
        }
    };
    match fed.reason {
        EndReason::Source => published.await?,
        // The rest counts as dropped, or stays in the spool.
        _ if shards.is_any_live() => timeout(FLUSH_TIMEOUT, published).await.unwrap_or(Ok(()))?,
        _ => {}
    }
    Ok((fed, fed_at, input))
}
