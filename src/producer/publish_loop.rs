//! Takes each tick when it is due, stamps and numbers it, and hands it to the publisher.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use compact_str::CompactString;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::client::{OverflowPolicy, shard_of};
use crate::model::{Timestamp, TimestampFormat, write_tick};
use crate::producer::input::{Input, InputReport};
use crate::producer::shards::{Lane, Lanes};
use crate::producer::{Config, Pace, Source, progress};
use crate::sources::{Generator, Playback};
use crate::spool::Batch;

/// Ticks handed over at a time when more than one is due.
const BATCH_TICKS: usize = 256;

/// Ticks of a flood that share one reading of the clock. They are made within microseconds, and each reading would take
/// a tenth of the time that a tick takes.
const STAMP_TICKS: usize = 16;

/// When the duration is over, ticks that were due before may still be handed over for this long: a process that was
/// not scheduled for a moment still sends exactly what was asked. More than that is overload, and shown as such.
const CATCH_UP_MAX: Duration = Duration::from_millis(250);

/// Parts of a replay that are told apart: hundredths of a percent.
const SHARE_PARTS: f64 = 10_000.0;

/// How far the ticks are behind their pace, and how far a replay has come.
#[derive(Debug, Default)]
pub(super) struct Lag {
    behind_ms: AtomicU64,
    /// In [`SHARE_PARTS`], and one more; 0 while it is not known.
    share: AtomicU64,
}

impl Lag {
    /// Time between the moment at which the last tick was due and the moment at which it was handed over.
    pub(super) fn behind(&self) -> Duration {
        Duration::from_millis(self.behind_ms.load(Ordering::Relaxed))
    }

    /// How much of a replay is behind, from 0 to 1, where that is known.
    pub(super) fn share(&self) -> Option<f64> {
        let parts = self.share.load(Ordering::Relaxed).checked_sub(1)?;
        Some(parts as f64 / SHARE_PARTS)
    }

    fn set_share(&self, share: Option<f64>) {
        if let Some(share) = share {
            self.share.store((share * SHARE_PARTS) as u64 + 1, Ordering::Relaxed);
        }
    }

    fn set(&self, behind: Duration) {
        self.behind_ms.store(u64::try_from(behind.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Why no more ticks come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The count is reached, or the input has ended.
    Source,
    /// The duration is over.
    Duration,
    /// Somebody asked to stop.
    Interrupted,
}

/// How feeding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fed {
    pub(super) ended: Ended,
    /// The time for which the ticks stand, where that is known better than by the clock: n ticks at an even pace stand
    /// for n periods, though only n - 1 of them pass between the first and the last.
    pub(super) covered: Option<Duration>,
}

impl Fed {
    pub(super) const INTERRUPTED: Self = Self { ended: Ended::Interrupted, covered: None };
}

enum Ticks {
    Market(Generator),
    Input(Input),
}

/// What has been made for a lane and not yet handed over.
struct Part {
    batch: Batch,
    source: Option<CompactString>,
    /// The number of its next tick.
    next: u64,
}

pub(super) struct Feeder<'a> {
    ticks: Ticks,
    pace: Pace,
    playback: Option<Playback>,
    count: u64,
    duration: Option<Duration>,
    timestamps: TimestampFormat,
    keep_timestamps: bool,
    with_lines: bool,
    /// The first tick may be taken before there is a connection.
    begins_at_once: bool,
    lanes: &'a Lanes,
    lag: &'a Lag,
    /// One for each lane.
    parts: Vec<Part>,
    /// Ticks in all parts.
    waiting: usize,
    /// Ticks handed over or in a part.
    made: u64,
    /// The clock, as it was read last.
    now: Timestamp,
}

impl<'a> Feeder<'a> {
    /// Starts to read the input, if there is one.
    pub(super) fn new(config: Config, lanes: &'a Lanes, lag: &'a Lag) -> io::Result<Self> {
        // What a program writes to us is lost if nobody takes it, and the disk can. Whatever can be played again waits:
        // in the spool it would come twice, if a run without a server is begun anew. A duration begins with the
        // connection.
        let is_fed = matches!(config.source, Source::Recording { must_hold_ticks: false, .. });
        let begins_at_once =
            is_fed && matches!(config.pace, Pace::Unpaced) && config.duration.is_none() && lanes.are_spooled();
        let (ticks, keep_timestamps) = match config.source {
            // A market has no time of its own to keep.
            Source::Market(generator) => (Ticks::Market(generator), false),
            source => (Ticks::Input(Input::start(source)?), config.keep_timestamps),
        };
        let part = |lane: &Lane| Part { batch: Batch::default(), source: lane.source.clone(), next: lane.next };
        Ok(Self {
            ticks,
            pace: config.pace,
            playback: None,
            count: config.count.unwrap_or(u64::MAX),
            duration: config.duration,
            timestamps: config.timestamps,
            keep_timestamps,
            with_lines: config.display.ticks,
            begins_at_once,
            parts: lanes.as_slice().iter().map(part).collect(),
            lanes,
            lag,
            waiting: 0,
            made: 0,
            now: Timestamp::default(),
        })
    }

    /// Feeds the lanes, from the first connection on unless that need not be waited for, until the source, the count
    /// or the duration ends.
    pub(super) async fn run(&mut self) -> Fed {
        if !self.begins_at_once {
            self.lanes.connected().await;
        }
        let start = Instant::now();
        let Some(duration) = self.duration else {
            self.feed(start).await;
            return Fed { ended: Ended::Source, covered: self.covered(start) };
        };
        let grace = if matches!(self.pace, Pace::Unpaced) { Duration::ZERO } else { CATCH_UP_MAX };
        match timeout_at(start + duration + grace, self.feed(start)).await {
            Ok(Ended::Source) => Fed { ended: Ended::Source, covered: self.covered(start) },
            Ok(ended) => Fed { ended, covered: Some(duration) },
            Err(_) => Fed { ended: Ended::Duration, covered: None },
        }
    }

    /// Says that no more ticks come, and how reading went.
    pub(super) fn finish(mut self) -> InputReport {
        if !matches!(self.pace, Pace::Unpaced) {
            // These were due. Without a pace a tick is due only when there is room for it.
            for (part, lane) in self.parts.iter_mut().zip(self.lanes.as_slice()) {
                lane.outbox.discard(&mut part.batch);
            }
        }
        self.lanes.close();
        match self.ticks {
            Ticks::Market(_) => InputReport::default(),
            Ticks::Input(input) => input.into_report(),
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

    async fn feed(&mut self, start: Instant) -> Ended {
        // Read again only when a tick is due later: at full speed the clock would cost as much as the tick.
        let mut now = Duration::ZERO;
        while self.made < self.count {
            let Some(due) = self.next_due() else {
                self.flush().await;
                if self.refill().await {
                    continue;
                }
                return Ended::Source;
            };
            if due > now {
                now = start.elapsed();
            }
            let over = self.duration.filter(|duration| due >= *duration);
            if due > now || over.is_some() {
                self.lag.set(Duration::ZERO);
                self.tell_share();
                self.flush().await;
                sleep_until(start + over.unwrap_or(due)).await;
                if over.is_some() {
                    return Ended::Duration;
                }
                continue;
            }
            let lane = self.make();
            // At full speed a lane gets whole batches; one that gets few ticks still gets them soon.
            let is_full = self.parts.get(lane).is_some_and(|part| part.batch.len() >= BATCH_TICKS);
            if is_full || self.waiting >= BATCH_TICKS * self.parts.len() {
                if is_full {
                    self.hand_over(lane).await;
                } else {
                    self.flush().await;
                }
                if !matches!(self.pace, Pace::Unpaced) {
                    now = start.elapsed();
                    self.lag.set(now.saturating_sub(due));
                }
                // With room in the queue nothing else here ever waits.
                tokio::task::consume_budget().await;
            }
        }
        self.flush().await;
        Ended::Source
    }

    /// When the next tick is due after the start; `None` when it has to be waited for.
    fn next_due(&mut self) -> Option<Duration> {
        let recorded = match &self.ticks {
            Ticks::Market(_) => None,
            Ticks::Input(input) => Some(input.peek()?.timestamp),
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
            Ticks::Market(_) => true,
            Ticks::Input(input) => {
                let more = input.refill().await;
                self.tell_share();
                more
            }
        }
    }

    fn tell_share(&self) {
        if let Ticks::Input(input) = &self.ticks {
            self.lag.set_share(input.share());
        }
    }

    /// Puts the next tick into its lane's part; says which lane that is.
    fn make(&mut self) -> usize {
        // Waiting happens only between batches.
        if !matches!(self.pace, Pace::Unpaced) || self.waiting.is_multiple_of(STAMP_TICKS) {
            self.now = Timestamp::now();
        }
        let tick = match &mut self.ticks {
            Ticks::Market(generator) => Some(generator.tick(self.now)),
            Ticks::Input(input) => input.next(),
        };
        let Some(mut tick) = tick else { return 0 };
        if !self.keep_timestamps {
            tick.timestamp = self.now;
        }
        self.made += 1;
        let lane = match self.parts.len() {
            1 => 0,
            lanes => usize::from(shard_of(tick.symbol.as_str().as_bytes(), lanes as u16)),
        };
        let Some(part) = self.parts.get_mut(lane) else { return 0 };
        if part.batch.is_empty() {
            part.batch.set_first_number(part.next);
        }
        // Whoever publishes a tick numbers it: a recording's own numbers would look like duplicates when played twice.
        tick.seq = part.source.is_some().then_some(part.next);
        tick.source.clone_from(&part.source);
        part.next += 1;
        self.waiting += 1;
        let line = self.with_lines.then(|| progress::line(&tick));
        part.batch.push(line, |out| write_tick(out, &tick, self.timestamps));
        lane
    }

    async fn flush(&mut self) {
        for lane in 0..self.parts.len() {
            self.hand_over(lane).await;
        }
    }

    /// Hands over what is there for a lane.
    async fn hand_over(&mut self, lane: usize) {
        let overflow =
            if matches!(self.pace, Pace::Unpaced) { OverflowPolicy::Wait } else { OverflowPolicy::DropOldest };
        let (Some(part), Some(lane)) = (self.parts.get_mut(lane), self.lanes.as_slice().get(lane)) else { return };
        self.waiting = self.waiting.saturating_sub(part.batch.len());
        lane.outbox.push(&mut part.batch, overflow).await;
    }
}
