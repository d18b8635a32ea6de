//! The producer: ticks from a market, a recording or a store, at an exact pace, published through a bounded queue.
//!
//! [`run`] is the whole program without its command line; it knows no signals, and whoever calls it says when to end.

mod args;
mod input;
mod local_broker;
mod progress;
mod publish_loop;
mod shards;
mod stats;

pub use args::{Args, DurableError, UsageError};
pub use input::InputError;
pub(crate) use local_broker::local_target;
pub use shards::LaneAccount;
pub use stats::Report;

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use compact_str::CompactString;
use thiserror::Error;
use tokio::time::{Instant, timeout};

use crate::cli::Console;
use crate::client::{ClientError, OutputStream, SHARDS, Target};
use crate::model::TimestampFormat;
use crate::producer::input::InputReport;
use crate::producer::progress::Watcher;
use crate::producer::publish_loop::{Ended, Fed, Feeder, Lag};
use crate::producer::shards::{Lanes, Plan, Publishers};
use crate::sources::{Format, Generator, Schedule, Speed, TickFilter};
use crate::spool::Spool;
use crate::storage::db::StoreUrl;

/// Ticks that wait while the server is away, when their source keeps its pace: a minute at a thousand a second, in
/// about 15 MB.
const QUEUE_TICKS_PACED: usize = 65_536;

/// Ticks that wait when the source follows the server: a few pipelines, so that a tick is stamped only milliseconds
/// before it leaves.
const QUEUE_TICKS_UNPACED: usize = 4_096;

/// How long a clean end may take to publish what still waits. Users are promised an end within a second.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(800);

/// How long the publisher may take to leave once there is nothing more to publish.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(150);

/// How long the last of the spool may take to be written. A disk that takes longer has trouble of its own.
const SPOOL_TIMEOUT: Duration = Duration::from_secs(2);

/// Where ticks come from.
pub enum Source {
    /// A random market without end.
    Market(Generator),
    /// A recording, or a stream that another program writes.
    Recording {
        /// Opened by the caller. It is read on a thread of its own, which may outlive the run while a read blocks.
        input: Box<dyn Read + Send>,
        /// What it is called in messages; safe for a terminal.
        name: String,
        /// What form its lines have.
        format: Format,
        /// Which of its ticks are published.
        selection: TickFilter,
        /// Whether an input without a single line is an error.
        must_hold_ticks: bool,
    },
    /// A file, whose first bytes tell whether it is a text or a table. Read as a recording is.
    File {
        /// Opened by the caller.
        file: File,
        /// What it is called in messages; safe for a terminal.
        name: String,
        /// Which of its ticks are published.
        selection: TickFilter,
    },
    /// What a store holds, in order of time, then of arrival. Read as a recording is; nothing in it is changed.
    Store {
        /// Where it is.
        url: StoreUrl,
        /// Which of its ticks are published.
        selection: TickFilter,
    },
}

/// When ticks are published.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// At moments that are known beforehand.
    Even(Schedule),
    /// With the distances in which they were recorded, at some speed. For all but a market.
    Recorded(Speed),
    /// As fast as the server takes them, or as they come.
    Unpaced,
}

/// All that [`run`] needs to know.
pub struct Config {
    /// The server.
    pub target: Target,
    /// Where to publish.
    pub channel: String,
    /// What keeps ticks that were not published, or not heard.
    pub durable: Durable,
    /// Where ticks come from.
    pub source: Source,
    /// When they are published.
    pub pace: Pace,
    /// Ends after this many ticks.
    pub count: Option<u64>,
    /// Ends after this long, counted from the first connection.
    pub duration: Option<Duration>,
    /// How timestamps are written.
    pub timestamps: TimestampFormat,
    /// Recorded ticks keep the time at which they were recorded; else they carry the time at which they leave.
    pub keep_timestamps: bool,
    /// The `source` that every tick carries beside its `seq`; `None` leaves both out.
    pub id: Option<CompactString>,
    /// Where to show what happens.
    pub display: Display,
    /// Seeds the jitter of reconnects. Should differ between processes.
    pub jitter_seed: u64,
}

/// How ticks are kept, and spread over a cluster.
#[derive(Debug)]
pub struct Durable {
    /// The stream that each tick is appended to before it is published.
    pub stream: Option<OutputStream>,
    /// Where ticks wait on disk.
    pub spool: Option<Spool>,
    /// Shards of a cluster.
    pub shards: u16,
}

impl Default for Durable {
    /// Nothing is kept.
    fn default() -> Self {
        Self { stream: None, spool: None, shards: SHARDS }
    }
}

/// What is shown while running. Warnings are logged in any case.
#[derive(Debug, Clone)]
pub struct Display {
    /// The terminal.
    pub console: Console,
    /// Each published tick as a line on stdout.
    pub ticks: bool,
    /// One line of progress below the log, or a log line now and then where there is no terminal.
    pub progress: bool,
}

impl Display {
    /// Shows nothing.
    pub fn none() -> Self {
        Self { console: Console::hidden(), ticks: false, progress: false }
    }
}

/// Why a run failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The server will never take the ticks.
    #[error(transparent)]
    Publish(#[from] ClientError),
    /// The operating system gave no thread to read the input with, or to write the spool with.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// Publishes until the source ends, the count or duration is reached, or `shutdown` resolves.
///
/// The clock starts with the first connection, and so do the ticks; but what another program writes is put into the
/// spool, if there is one, from the start. What still waits at the end is published if that takes less than a
/// second; after a source that simply ended, as long as it takes. With a spool, the rest stays there.
pub async fn run(mut config: Config, shutdown: impl Future<Output = ()>) -> Result<Report, Error> {
    let spool = config.durable.spool.take();
    let Config { target, channel, display, pace, id, .. } = &config;
    let plan = Plan {
        target,
        channel,
        stream: config.durable.stream.as_ref(),
        shards: config.durable.shards,
        id: id.as_ref(),
        memory: if matches!(pace, Pace::Unpaced) { QUEUE_TICKS_UNPACED } else { QUEUE_TICKS_PACED },
    };
    let mut lanes = Lanes::new(&plan, spool).map_err(Error::Thread)?;
    let (display, pace, id, channel) = (display.clone(), *pace, id.clone(), channel.clone());
    let echo = || display.ticks.then(|| progress::echo(display.console.clone()));
    let mut publishers = Publishers::start(&lanes, target, echo, config.jitter_seed);
    let lag = Lag::default();
    let watched = publish_all(
        config,
        &lanes,
        &mut publishers,
        &lag,
        Watcher::new(&display, &channel, pace, &lanes, &lag),
        shutdown,
    );
    let outcome = watched.await;
    lanes.abandon();
    // Only a broker of our own has anything left to do.
    let _ = timeout(LEAVE_TIMEOUT, publishers.ended()).await;
    lanes.end_spools(SPOOL_TIMEOUT).await;
    let (fed, fed_at, input) = outcome?;
    Ok(Report::new(&lanes, fed_at, fed.covered, id, input))
}

/// Feeds the lanes to the end, and waits until all is published, for as long as that end allows.
async fn publish_all(
    config: Config,
    lanes: &Lanes,
    publishers: &mut Publishers,
    lag: &Lag,
    watcher: Watcher<'_>,
    shutdown: impl Future<Output = ()>,
) -> Result<(Fed, Instant, InputReport), Error> {
    let mut watching = std::pin::pin!(watcher.run());
    let mut feeder = Feeder::new(config, lanes, lag).map_err(Error::Thread)?;
    let mut shutdown = std::pin::pin!(shutdown);
    let fed = tokio::select! {
        biased;
        () = &mut shutdown => Fed::INTERRUPTED,
        published = publishers.ended() => published.map(|()| Fed::INTERRUPTED)?,
        never = &mut watching => match never {},
        fed = feeder.run() => fed,
    };
    let fed_at = Instant::now();
    let input = feeder.finish();
    flush(&fed, lanes, async {
        tokio::select! {
            biased;
            () = &mut shutdown, if fed.ended == Ended::Source => Ok(()),
            published = publishers.ended() => Ok(published?),
            never = &mut watching => match never {},
        }
    })
    .await?;
    Ok((fed, fed_at, input))
}

/// Waits until all is published, for as long as the way in which feeding ended allows.
async fn flush(fed: &Fed, lanes: &Lanes, published: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    match fed.ended {
        // Nobody is in a hurry.
        Ended::Source => published.await,
        // Whatever this does not suffice for counts as dropped, or stays in the spool.
        _ if lanes.is_any_live() => timeout(FLUSH_TIMEOUT, published).await.unwrap_or(Ok(())),
        _ => Ok(()),
    }
}
