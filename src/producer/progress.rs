//! Output while publishing: ticks, progress, and warnings about the pace.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::cli::LogWriter;
use crate::client::{ConnectionStatus, OnConfirmed, QueueStats};
use crate::model::{Tick, display_safe};
use crate::producer::publish_loop::PacingStats;
use crate::producer::shards::Shards;
use crate::producer::stats::rate_text;
use crate::producer::{Display, Pace};

/// Interval between two updates, short enough to look continuous and long enough to read.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(200);

/// Samples over which the rate is measured: one second.
const RATE_SAMPLES: usize = 5;

/// Interval between two status lines if stderr is not a terminal.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// Delay behind the pace above which a warning is logged.
const BEHIND_MAX: Duration = Duration::from_millis(500);

/// Shortest interval between two such warnings.
const BEHIND_INTERVAL: Duration = Duration::from_secs(5);

/// Returns a callback that prints each confirmed tick on stdout.
pub(super) fn print_ticks(log: LogWriter) -> OnConfirmed {
    Box::new(move |line, _| {
        // An error of stdout must not stop the ticks.
        log.print_stdout(line).ok();
    })
}

/// Returns the line of a tick on stdout.
pub(super) fn tick_line(tick: &Tick) -> String {
    let nanos = i128::from(tick.timestamp.as_nanos());
    let time = jiff::Timestamp::from_nanosecond(nanos)
        .map(|at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S%.3f").to_string())
        .unwrap_or_default();
    let symbol = tick.symbol.to_string();
    let size = tick.size.map(|size| format!("  x {size}")).unwrap_or_default();
    format!("{time}  {symbol:<8} {price:>10.2}{size}", price = tick.price.get())
}

/// Reporter of the progress, of subscribers that come and go, and of delays.
pub(super) struct ProgressReporter<'a> {
    shards: &'a Shards,
    pacing: &'a PacingStats,
    pace: Pace,
    channel: String,
    bar: ProgressBar,
    logs_status: bool,
    samples: VecDeque<(Instant, u64)>,
    status_at: Instant,
    behind_at: Option<Instant>,
    has_receivers: Option<bool>,
}

impl<'a> ProgressReporter<'a> {
    pub(super) fn new(
        display: &Display,
        channel: &str,
        pace: Pace,
        shards: &'a Shards,
        pacing: &'a PacingStats,
    ) -> Self {
        let bar = display.log.progress_bar("{wide_msg}", display.progress);
        Self {
            shards,
            pacing,
            pace,
            channel: display_safe(channel).into_owned(),
            logs_status: display.progress && bar.is_hidden(),
            bar,
            samples: VecDeque::with_capacity(RATE_SAMPLES + 1),
            status_at: Instant::now(),
            behind_at: None,
            has_receivers: None,
        }
    }

    /// Reports until it is dropped.
    pub(super) async fn run(mut self) -> Infallible {
        let mut samples = interval(SAMPLE_INTERVAL);
        samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            samples.tick().await;
            let now = Instant::now();
            let snapshot = self.shards.snapshot();
            let rate = self.rate(now, snapshot.sent);
            self.report_receivers(&snapshot);
            self.report_delay(now, rate);
            let status = status(&snapshot, rate, self.pacing.progress());
            if self.logs_status && now - self.status_at >= STATUS_INTERVAL {
                self.status_at = now;
                info!("{status}");
            }
            self.bar.set_message(status);
        }
    }

    /// Returns the confirmed ticks per second during the last second.
    fn rate(&mut self, now: Instant, sent: u64) -> f64 {
        self.samples.push_back((now, sent));
        if self.samples.len() > RATE_SAMPLES + 1 {
            self.samples.pop_front();
        }
        let (since, before) = self.samples.front().copied().unwrap_or((now, sent));
        let seconds = (now - since).as_secs_f64();
        if seconds > 0.0 { (sent - before) as f64 / seconds } else { 0.0 }
    }

    fn report_receivers(&mut self, snapshot: &QueueStats) {
        let Some(receivers) = snapshot.receivers else { return };
        let has_receivers = receivers > 0;
        if self.has_receivers == Some(has_receivers) {
            return;
        }
        match (has_receivers, self.has_receivers) {
            (false, None) => {
                info!("nobody is subscribed to {} yet; ticks are lost until a reader subscribes", self.channel);
            }
            (false, Some(_)) => info!("nobody is subscribed to {} any more", self.channel),
            (true, _) => info!("{receivers} subscribed to {}", self.channel),
        }
        self.has_receivers = Some(has_receivers);
    }

    fn report_delay(&mut self, now: Instant, rate: f64) {
        let behind = self.pacing.behind();
        if behind < BEHIND_MAX || self.behind_at.is_some_and(|at| now - at < BEHIND_INTERVAL) {
            return;
        }
        self.behind_at = Some(now);
        let (behind_s, rate) = (behind.as_secs_f64(), rate_text(rate));
        match self.pace {
            Pace::Even(schedule) => {
                let target = rate_text(schedule.per_second());
                warn!("cannot keep the rate: asked for {target}, reaching {rate}, {behind_s:.1} s behind");
            }
            Pace::Recorded(_) | Pace::Unpaced => {
                warn!("cannot keep the speed: {behind_s:.1} s behind the recording, reaching {rate}");
            }
        }
    }
}

impl Drop for ProgressReporter<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn status(snapshot: &QueueStats, rate: f64, progress: Option<f64>) -> String {
    let QueueStats { sent, dropped, queued, receivers, status: connection, .. } = *snapshot;
    let receivers = receivers.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let lost = if dropped > 0 { format!(", dropped {}", HumanCount(dropped)) } else { String::new() };
    let link = match connection {
        ConnectionStatus::Connecting => "connecting: ",
        ConnectionStatus::Live => "",
        ConnectionStatus::Down => "disconnected: ",
    };
    let (sent, rate, queued) = (HumanCount(sent), rate_text(rate), HumanCount(queued));
    // Rounded down, so that 100% means the end.
    let progress = progress.map(|progress| format!("{:.0}% played, ", (progress * 100.0).floor())).unwrap_or_default();
    format!("{link}{progress}sent {sent}, {rate}, receivers {receivers}, queue {queued}{lost}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_shows_problems_only_if_there_are_any() {
        let quiet = QueueStats {
            sent: 1_234_567,
            dropped: 0,
            queued: 12,
            unspooled: 0,
            recovered: 0,
            reconnects: 0,
            receivers: Some(2),
            status: ConnectionStatus::Live,
            connected_at: None,
            confirmed_at: None,
        };
        assert_eq!(status(&quiet, 98_765.4, None), "sent 1,234,567, 98,765/s, receivers 2, queue 12");
        let away = QueueStats { status: ConnectionStatus::Down, dropped: 5_000, receivers: None, ..quiet };
        assert_eq!(
            status(&away, 0.0, None),
            "disconnected: sent 1,234,567, 0.0/s, receivers ?, queue 12, dropped 5,000"
        );
        let played = status(&quiet, 1.0, Some(0.4299));
        assert_eq!(played, "42% played, sent 1,234,567, 1.0/s, receivers 2, queue 12");
    }

    use crate::model::{Price, Symbol, Timestamp};

    #[test]
    fn a_tick_line_has_no_control_characters() {
        let tick = Tick {
            symbol: Symbol::new("A\u{1b}[2J").unwrap(),
            price: Price::new(187.2).unwrap(),
            timestamp: Timestamp::from_nanos(1_732_000_000_123_000_000).unwrap(),
            size: Some(300.0),
            seq: None,
            source: None,
        };
        let line = tick_line(&tick);
        assert!(line.contains(".123  A\\u{1b}[2J") && line.ends_with("    187.20  x 300"), "{line}");
    }
}
