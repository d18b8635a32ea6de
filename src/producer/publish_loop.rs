//! Publish loop: takes each tick when it is due, adds timestamp and number, and queues it for its shard.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use compact_str::CompactString;
use tokio::time::{Instant, sleep_until, timeout};

use crate::client::{OverflowPolicy, shard_of};
use crate::model::{Timestamp, TimestampFormat, write_tick};
use crate::producer::input::{Input, InputReport};
use crate::producer::shards::{Shard, Shards};
use crate::producer::{Config, Pace, Source, progress};
use crate::sources::{Generator, Playback};
use crate::spool::Batch;

/// Ticks that are queued at a time when more than one is due.
const BATCH_TICKS: usize = 256;

/// Unpaced ticks that share one reading of the clock. They are made within microseconds, and a reading takes a tenth of
/// the time of a tick.
const STAMP_TICKS: usize = 16;

/// Time after the end of the duration in which ticks that were due before may still be queued. A process that was not
/// scheduled for a moment then sends the exact number of ticks; a longer delay is overload, and is reported.
const CATCH_UP_MAX: Duration = Duration::from_millis(250);

/// Resolution of the progress of a replay: hundredths of a percent.
const PROGRESS_STEPS: f64 = 10_000.0;

/// Delay behind the pace, and progress of a replay.
#[derive(Debug, Default)]
pub(super) struct PacingStats {
    behind_ms: AtomicU64,
    /// Progress in [`PROGRESS_STEPS`], plus one; 0 while it is unknown.
    progress: AtomicU64,
}

impl PacingStats {
    /// Returns the time from when the last tick was due until it was queued.
    pub(super) fn behind(&self) -> Duration {
        Duration::from_millis(self.behind_ms.load(Ordering::Relaxed))
    }

    /// Returns the progress of a replay, from 0 to 1, if known.
    pub(super) fn progress(&self) -> Option<f64> {
        let steps = self.progress.load(Ordering::Relaxed).checked_sub(1)?;
        Some(steps as f64 / PROGRESS_STEPS)
    }

    fn set_progress(&self, progress: Option<f64>) {
        if let Some(progress) = progress {
            self.progress.store((progress * PROGRESS_STEPS) as u64 + 1, Ordering::Relaxed);
        }
    }

    fn set_behind(&self, behind: Duration) {
        self.behind_ms.store(u64::try_from(behind.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Reason why no more ticks are queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndReason {
    /// The count was reached, or the input ended.
    Source,
    /// The duration ended.
    Duration,
    /// A shutdown was requested, or all publishers ended.
    Interrupted,
}

/// Outcome of the publish loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FeedOutcome {
    pub(super) reason: EndReason,
    /// Time that the ticks cover, if it is known better than by the clock: n ticks at an even pace cover n periods,
    /// though only n - 1 pass between the first and the last.
    pub(super) covered: Option<Duration>,
}

impl FeedOutcome {
    pub(super) const INTERRUPTED: Self = Self { reason: EndReason::Interrupted, covered: None };
}

enum TickSource {
    Random(Generator),
    Input(Input),
}

/// Ticks of a shard that are not queued yet.
struct ShardBatch {
    batch: Batch,
    source: Option<CompactString>,
    /// Number of the next tick.
    next_seq: u64,
}

pub(super) struct PublishLoop<'a> {
    ticks: TickSource,
    pace: Pace,
    playback: Option<Playback>,
    count: u64,
    duration: Option<Duration>,
    timestamps: TimestampFormat,
    keep_timestamps: bool,
    prints_ticks: bool,
    /// Ticks may be queued before the first connection.
    starts_unconnected: bool,
    shards: &'a Shards,
    pacing: &'a PacingStats,
    /// One for each shard.
    batches: Vec<ShardBatch>,
    /// Ticks in all batches.
    batched: usize,
    /// Ticks in a batch or queued.
    made: u64,
    /// Last reading of the clock.
    now: Timestamp,
}

impl<'a> PublishLoop<'a> {
    /// Starts to read the input, if there is one.
    pub(super) fn new(config: Config, shards: &'a Shards, pacing: &'a PacingStats) -> io::Result<Self> {
        // Ticks that another program writes are lost unless they are read, so they go into the spool at once. A replay
        // waits for the connection: if it was started again without a server, the spool would hold its ticks twice. A
        // duration starts with the connection.
        let is_piped = matches!(config.source, Source::Recording { must_hold_ticks: false, .. });
        let starts_unconnected =
            is_piped && matches!(config.pace, Pace::Unpaced) && config.duration.is_none() && shards.are_spooled();
        let (ticks, keep_timestamps) = match config.source {
            Source::Random(generator) => (TickSource::Random(generator), false),
            source => (TickSource::Input(Input::start(source)?), config.keep_timestamps),
        };
        let batch = |shard: &Shard| ShardBatch {
            batch: Batch::default(),
            source: shard.source.clone(),
            next_seq: shard.next_seq,
        };
        Ok(Self {
            ticks,
            pace: config.pace,
            playback: None,
            count: config.count.unwrap_or(u64::MAX),
            duration: config.duration,
            timestamps: config.timestamps,
            keep_timestamps,
            prints_ticks: config.display.ticks,
            starts_unconnected,
            batches: shards.as_slice().iter().map(batch).collect(),
            shards,
            pacing,
            batched: 0,
            made: 0,
            now: Timestamp::default(),
        })
    }

    /// Queues ticks until the source, the count or the duration ends. Waits for the first connection if necessary.
    pub(super) async fn run(&mut self) -> FeedOutcome {
        if !self.starts_unconnected {
            self.shards.connected().await;
        }
        let start = Instant::now();
        let grace = if matches!(self.pace, Pace::Unpaced) { Duration::ZERO } else { CATCH_UP_MAX };
        let limit = self.duration.map_or(Duration::MAX, |duration| duration + grace);
        match timeout(limit, self.feed(start)).await {
            Ok(EndReason::Source) => FeedOutcome { reason: EndReason::Source, covered: self.covered(start) },
            Ok(reason) => FeedOutcome { reason, covered: self.duration },
            Err(_) => FeedOutcome { reason: EndReason::Duration, covered: None },
        }
    }

    /// Closes the queues, and returns the report of the input.
    pub(super) fn finish(mut self) -> InputReport {
        if !matches!(self.pace, Pace::Unpaced) {
            // These ticks were due, and count as dropped. An unpaced tick is due only when the queue has room.
            for (batch, shard) in self.batches.iter_mut().zip(self.shards.as_slice()) {
                shard.queue.discard(&mut batch.batch);
            }
        }
        self.shards.close();
        match self.ticks {
            TickSource::Random(_) => InputReport::default(),
            TickSource::Input(input) => input.into_report(),
        }
    }

    fn covered(&self, start: Instant) -> Option<Duration> {
        match self.pace {
            Pace::Even(schedule) => {
                let periods = Duration::try_from_secs_f64(self.made as f64 / schedule.per_second());
                Some(periods.unwrap_or(Duration::MAX).max(start.elapsed()))
            }
            Pace::Recorded(_) | Pace::Unpaced => None,
        }
    }

    async fn feed(&mut self, start: Instant) -> EndReason {
        // Read again only when a tick is due later: at full speed, a reading takes as long as a tick.
        let mut now = Duration::ZERO;
        while self.made < self.count {
            let Some(due) = self.next_due() else {
                self.flush().await;
                if self.refill().await {
                    continue;
                }
                return EndReason::Source;
            };
            if due > now {
                now = start.elapsed();
            }
            let end = self.duration.filter(|duration| due >= *duration);
            if due > now || end.is_some() {
                self.pacing.set_behind(Duration::ZERO);
                self.update_progress();
                self.flush().await;
                sleep_until(start + end.unwrap_or(due)).await;
                if end.is_some() {
                    return EndReason::Duration;
                }
                continue;
            }
            let shard = self.make_tick();
            // At full speed, a shard gets whole batches. A shard with few ticks gets an incomplete one when enough
            // ticks are batched in total.
            let is_full = self.batches.get(shard).is_some_and(|batch| batch.batch.len() >= BATCH_TICKS);
            if is_full || self.batched >= BATCH_TICKS * self.batches.len() {
                if is_full {
                    self.push_batch(shard).await;
                } else {
                    self.flush().await;
                }
                if !matches!(self.pace, Pace::Unpaced) {
                    now = start.elapsed();
                    self.pacing.set_behind(now.saturating_sub(due));
                }
                // While the queue has room, nothing else in this loop yields to other tasks.
                tokio::task::consume_budget().await;
            }
        }
        self.flush().await;
        EndReason::Source
    }

    /// Returns the time after the start at which the next tick is due; `None` if the input has to be read first.
    fn next_due(&mut self) -> Option<Duration> {
        let recorded = match &self.ticks {
            TickSource::Random(_) => None,
            TickSource::Input(input) => Some(input.peek()?.timestamp),
        };
        Some(match (self.pace, recorded) {
            (Pace::Even(schedule), _) => schedule.due(self.made),
            (Pace::Recorded(speed), Some(recorded)) => {
                self.playback.get_or_insert_with(|| Playback::new(recorded, speed)).due(recorded)
            }
            (Pace::Recorded(_), None) | (Pace::Unpaced, _) => Duration::ZERO,
        })
    }

    async fn refill(&mut self) -> bool {
        match &mut self.ticks {
            TickSource::Random(_) => true,
            TickSource::Input(input) => {
                let more = input.refill().await;
                self.update_progress();
                more
            }
        }
    }

    fn update_progress(&self) {
        if let TickSource::Input(input) = &self.ticks {
            self.pacing.set_progress(input.progress());
        }
    }

    /// Adds the next tick to the batch of its shard. Returns the shard's index.
    fn make_tick(&mut self) -> usize {
        if !matches!(self.pace, Pace::Unpaced) || self.batched.is_multiple_of(STAMP_TICKS) {
            self.now = Timestamp::now();
        }
        let tick = match &mut self.ticks {
            TickSource::Random(generator) => Some(generator.tick(self.now)),
            TickSource::Input(input) => input.next(),
        };
        let Some(mut tick) = tick else { return 0 };
        if !self.keep_timestamps {
            tick.timestamp = self.now;
        }
        self.made += 1;
        let shard = match self.batches.len() {
            1 => 0,
            shards => usize::from(shard_of(tick.symbol.as_str().as_bytes(), shards as u16)),
        };
        let Some(batch) = self.batches.get_mut(shard) else { return 0 };
        if batch.batch.is_empty() {
            batch.batch.set_first_number(batch.next_seq);
        }
        // The producer numbers all ticks: recorded numbers would look like duplicates in a second replay.
        tick.seq = batch.source.is_some().then_some(batch.next_seq);
        tick.source.clone_from(&batch.source);
        batch.next_seq += 1;
        self.batched += 1;
        let line = self.prints_ticks.then(|| progress::tick_line(&tick));
        batch.batch.push(line, |out| write_tick(out, &tick, self.timestamps));
        shard
    }

    async fn flush(&mut self) {
        for shard in 0..self.batches.len() {
            self.push_batch(shard).await;
        }
    }

    /// Queues the batch of a shard.
    async fn push_batch(&mut self, shard: usize) {
        let overflow =
            if matches!(self.pace, Pace::Unpaced) { OverflowPolicy::Wait } else { OverflowPolicy::DropOldest };
        let (Some(batch), Some(shard)) = (self.batches.get_mut(shard), self.shards.as_slice().get(shard)) else {
            return;
        };
        self.batched = self.batched.saturating_sub(batch.batch.len());
        shard.queue.push(&mut batch.batch, overflow).await;
    }
}
