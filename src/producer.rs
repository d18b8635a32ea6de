//! The producer: ticks from a market or a recording, at an exact pace, published through a bounded queue.
//!
//! [`run`] is the whole program without its command line; it knows no signals, and whoever calls it says when to end.

mod args;
mod feeder;
mod input;
mod progress;
mod stats;

pub use args::{Args, UsageError};
pub use stats::Report;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::bus::{self, BusError, Echo, Link, Outbox, Target};
use crate::cli::Console;
use crate::market::{Format, Generator, Schedule, Selection, Speed};
use crate::model::TimestampFormat;
use crate::producer::feeder::{Ended, Fed, Feeder, Lag};
use crate::producer::progress::Watcher;

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
        selection: Selection,
        /// Whether an input without a single line is an error.
        must_hold_ticks: bool,
    },
}

/// When ticks are published.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// At moments that are known beforehand.
    Even(Schedule),
    /// With the distances in which they were recorded, at some speed. Only for recordings.
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
    /// Ticks of a recording keep the time at which they were recorded; else they carry the time at which they leave.
    pub keep_timestamps: bool,
    /// The `source` that every tick carries beside its `seq`; `None` leaves both out.
    pub id: Option<CompactString>,
    /// Where to show what happens.
    pub display: Display,
    /// Seeds the jitter of reconnects. Should differ between processes.
    pub jitter_seed: u64,
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
    Publish(#[from] BusError),
    /// The operating system gave no thread to read the input with.
    #[error("cannot start a thread that reads the input: {0}")]
    Thread(std::io::Error),
}

/// Publishes until the source ends, the count or duration is reached, or `shutdown` resolves.
///
/// The clock starts with the first connection. What still waits at the end is published if that takes less than a
/// second; after a source that simply ended, as long as it takes.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<Report, Error> {
    let Config { target, channel, display, pace, id, .. } = &config;
    let capacity = if matches!(pace, Pace::Unpaced) { QUEUE_TICKS_UNPACED } else { QUEUE_TICKS_PACED };
    let outbox = Arc::new(Outbox::new(capacity));
    let (display, pace, id, channel) = (display.clone(), *pace, id.clone(), channel.clone());
    let echo = display.ticks.then(|| progress::echo(display.console.clone()));
    let mut publisher = Publisher::start(target.clone(), channel.clone(), &outbox, echo, config.jitter_seed);
    let lag = Lag::default();
    let mut watching = std::pin::pin!(Watcher::new(&display, &channel, pace, &outbox, &lag).run());
    let mut feeder = Feeder::new(config, &outbox, &lag).map_err(Error::Thread)?;
    let mut shutdown = std::pin::pin!(shutdown);

    let fed = tokio::select! {
        biased;
        () = &mut shutdown => Fed::INTERRUPTED,
        published = publisher.ended() => published.map(|()| Fed::INTERRUPTED)?,
        never = &mut watching => match never {},
        fed = feeder.run() => fed,
    };
    let fed_at = Instant::now();
    let input = feeder.finish();
    flush(&fed, &outbox, async {
        tokio::select! {
            biased;
            () = &mut shutdown, if fed.ended == Ended::Source => Ok(()),
            published = publisher.ended() => published,
            never = &mut watching => match never {},
        }
    })
    .await?;
    outbox.abandon();
    // Only a broker of our own has anything left to do.
    let _ = timeout(LEAVE_TIMEOUT, publisher.ended()).await;
    Ok(Report::new(&outbox.snapshot(), fed_at, fed.covered, id, input))
}

/// Waits until all is published, for as long as the way in which feeding ended allows.
async fn flush(fed: &Fed, outbox: &Outbox, published: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    match fed.ended {
        // Nobody is in a hurry.
        Ended::Source => published.await,
        // Whatever this does not suffice for counts as dropped.
        _ if outbox.snapshot().link == Link::Live => timeout(FLUSH_TIMEOUT, published).await.unwrap_or(Ok(())),
        _ => Ok(()),
    }
}

/// The publisher's task: its own, so that a tick is encoded on one core while another is published on the next.
struct Publisher {
    task: JoinSet<Result<(), BusError>>,
}

impl Publisher {
    fn start(target: Target, channel: String, outbox: &Arc<Outbox>, echo: Option<Echo>, jitter_seed: u64) -> Self {
        let outbox = Arc::clone(outbox);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let rng = ChaCha8Rng::seed_from_u64(jitter_seed);
            bus::publish(&target, &channel, &outbox, echo, rng).await
        });
        Self { task }
    }

    /// Waits for its end; returns at once if that has been seen before.
    async fn ended(&mut self) -> Result<(), Error> {
        match self.task.join_next().await {
            Some(Ok(published)) => published.map_err(Error::from),
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Err(_)) | None => Ok(()),
        }
    }
}
