//! What is shown while ticks flow.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::cli::Console;
use crate::client::{ConnectionStatus, OnConfirmed, QueueStats};
use crate::model::{Tick, display_safe};
use crate::producer::publish_loop::Lag;
use crate::producer::shards::Lanes;
use crate::producer::stats::Rate;
use crate::producer::{Display, Pace};

/// How often the figures are looked at: as often as a person can read them.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The rate shown is that of this many looks, one second.
const RATE_LOOKS: usize = 5;

/// Where there is no terminal, a status line this often.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// Ticks that are further behind their pace than this are reported.
const BEHIND_MAX: Duration = Duration::from_millis(500);

/// Reports of that kind come at most this often.
const BEHIND_EVERY: Duration = Duration::from_secs(5);

/// Prints each confirmed tick's line on stdout.
pub(super) fn echo(console: Console) -> OnConfirmed {
    Box::new(move |line, _| {
        // A stdout that is full or gone must not stop the ticks.
        console.print_stdout(line).ok();
    })
}

/// `tick` for people.
pub(super) fn line(tick: &Tick) -> String {
    let nanos = i128::from(tick.timestamp.as_nanos());
    let time = jiff::Timestamp::from_nanosecond(nanos)
        .map(|at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S%.3f").to_string())
        .unwrap_or_default();
    let symbol = tick.symbol.to_string();
    let size = tick.size.map(|size| format!("  x {size}")).unwrap_or_default();
    format!("{time}  {symbol:<8} {price:>10.2}{size}", price = tick.price.get())
}

/// Watches the figures and tells what matters.
pub(super) struct Watcher<'a> {
    lanes: &'a Lanes,
    lag: &'a Lag,
    pace: Pace,
    channel: String,
    bar: Option<ProgressBar>,
    logs_status: bool,
    looks: VecDeque<(Instant, u64)>,
    status_at: Instant,
    behind_at: Option<Instant>,
    somebody: Option<bool>,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(display: &Display, channel: &str, pace: Pace, lanes: &'a Lanes, lag: &'a Lag) -> Self {
        let bar = (display.progress && display.console.shows_progress()).then(|| {
            // The figures move by themselves: a spinner would say nothing more. The template is a constant and valid.
            let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            display.console.add(ProgressBar::new_spinner().with_style(style))
        });
        Self {
            lanes,
            lag,
            pace,
            channel: display_safe(channel).into_owned(),
            logs_status: display.progress && bar.is_none(),
            bar,
            looks: VecDeque::with_capacity(RATE_LOOKS + 1),
            status_at: Instant::now(),
            behind_at: None,
            somebody: None,
        }
    }

    /// Never ends by itself: the run drops it.
    pub(super) async fn run(mut self) -> Infallible {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let now = Instant::now();
            let snapshot = self.lanes.snapshot();
            let rate = self.rate(now, snapshot.sent);
            self.tell_receivers(&snapshot);
            self.tell_lag(now, rate);
            if let Some(bar) = &self.bar {
                bar.set_message(status(&snapshot, rate, self.lag.share()));
            } else if self.logs_status && now - self.status_at >= STATUS_EVERY {
                self.status_at = now;
                info!("{}", status(&snapshot, rate, self.lag.share()));
            }
        }
    }

    /// Confirmed ticks a second, of late.
    fn rate(&mut self, now: Instant, sent: u64) -> f64 {
        self.looks.push_back((now, sent));
        if self.looks.len() > RATE_LOOKS + 1 {
            self.looks.pop_front();
        }
        let (since, before) = self.looks.front().copied().unwrap_or((now, sent));
        let seconds = (now - since).as_secs_f64();
        if seconds > 0.0 { (sent - before) as f64 / seconds } else { 0.0 }
    }

    fn tell_receivers(&mut self, snapshot: &QueueStats) {
        let Some(receivers) = snapshot.receivers else { return };
        let somebody = receivers > 0;
        if self.somebody == Some(somebody) {
            return;
        }
        match (somebody, self.somebody) {
            (false, None) => {
                info!("nobody is subscribed to {} yet: ticks go nowhere until a reader comes", self.channel);
            }
            (false, Some(_)) => info!("nobody is subscribed to {} any more", self.channel),
            (true, _) => info!("{receivers} subscribed to {}", self.channel),
        }
        self.somebody = Some(somebody);
    }

    fn tell_lag(&mut self, now: Instant, rate: f64) {
        let behind = self.lag.behind();
        if behind < BEHIND_MAX || self.behind_at.is_some_and(|at| now - at < BEHIND_EVERY) {
            return;
        }
        self.behind_at = Some(now);
        let behind_s = behind.as_secs_f64();
        match self.pace {
            Pace::Even(schedule) => {
                let asked = Rate(schedule.per_second());
                warn!("cannot keep the rate: asked for {asked}, reaching {}, {behind_s:.1} s behind", Rate(rate));
            }
            Pace::Recorded(_) | Pace::Unpaced => {
                warn!("cannot keep the speed: {behind_s:.1} s behind the recording, reaching {}", Rate(rate));
            }
        }
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn status(snapshot: &QueueStats, rate: f64, share: Option<f64>) -> String {
    let QueueStats { sent, dropped, queued, receivers, status: connection, .. } = *snapshot;
    let receivers = receivers.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let lost = if dropped > 0 { format!(", dropped {}", HumanCount(dropped)) } else { String::new() };
    let link = match connection {
        ConnectionStatus::Connecting => "connecting: ",
        ConnectionStatus::Live => "",
        ConnectionStatus::Down => "Redis is away: ",
    };
    let (sent, rate, queued) = (HumanCount(sent), Rate(rate), HumanCount(queued));
    // Down, because a hundred means that nothing is left.
    let share = share.map(|share| format!("{:.0}% played, ", (share * 100.0).floor())).unwrap_or_default();
    format!("{link}{share}sent {sent}, {rate}, receivers {receivers}, queue {queued}{lost}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_names_what_is_wrong_and_nothing_else() {
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
            "Redis is away: sent 1,234,567, 0.0/s, receivers ?, queue 12, dropped 5,000"
        );
        let played = status(&quiet, 1.0, Some(0.4299));
        assert_eq!(played, "42% played, sent 1,234,567, 1.0/s, receivers 2, queue 12");
    }

    use crate::model::{Price, Symbol, Timestamp};

    #[test]
    fn a_tick_line_is_safe_for_a_terminal() {
        let tick = Tick {
            symbol: Symbol::new("A\u{1b}[2J").unwrap(),
            price: Price::new(187.2).unwrap(),
            timestamp: Timestamp::from_nanos(1_732_000_000_123_000_000).unwrap(),
            size: Some(300.0),
            seq: None,
            source: None,
        };
        let line = line(&tick);
        assert!(line.contains(".123  A\\u{1b}[2J") && line.ends_with("    187.20  x 300"), "{line}");
    }
}
