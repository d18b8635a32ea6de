//! Fixture: a consumer under observation, and a publisher that returns the number of receivers.

use std::time::Duration;

use serde_json::Value;

use crate::support::process::{Ended, Launch, Running, consumer};
use crate::support::wait::{poll, wait_for};

/// Generous limit of every wait; it only bounds a failing test.
pub const LIMIT: Duration = crate::support::wait::GUARD;

/// Shipped trades of one day, and their number.
pub const DAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/us-trades-2013-10-07.csv.gz");
pub const DAY_TICKS: u64 = 388_417;

/// Instant of that day, s.
pub const START_S: u64 = 1_381_152_600;

pub fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

/// Consumer with status lines and a report, for the server on `port`; not yet started.
pub fn headless(port: u16) -> Launch {
    consumer().args(["--headless", "--stats", "json", "-v", "--redis", &url(port)])
}

/// Starts a consumer and waits until it is subscribed.
pub fn listen(port: u16, args: &[&str]) -> Running {
    subscribed(headless(port).args(args))
}

/// Starts a consumer without a URL and waits until it is subscribed; `port` replaces Redis's default port.
pub fn listen_locally(port: u16, args: &[&str]) -> Running {
    let launch = consumer().args(["--headless", "--stats", "json", "-v", "--local-port", &port.to_string()]);
    subscribed(launch.args(args))
}

#[track_caller]
pub fn subscribed(launch: Launch) -> Running {
    let mut running = launch.start();
    running.wait_for_stderr("subscribed at", LIMIT);
    running
}

/// Value of `name=` in the newest status line; 0 before the first one.
pub fn status(consumer: &Running, name: &str) -> u64 {
    let stderr = consumer.stderr();
    let line = stderr.lines().rev().find(|line| line.contains("running received="));
    let word = line.and_then(|line| line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')));
    word.map_or(0, |digits| digits.parse().unwrap())
}

/// Waits until the consumer has received at least that many ticks and rejected at least that many messages.
#[track_caller]
pub fn wait_for_counts(consumer: &mut Running, received: u64, rejected: u64) {
    let arrived = poll(LIMIT, || {
        let all = status(consumer, "received") >= received && status(consumer, "rejected") >= rejected;
        (all || !consumer.is_running()).then_some(all)
    });
    assert_eq!(arrived, Some(true), "{received} ticks and {rejected} rejections did not come.\n{consumer:?}");
}

/// Waits for the counts, and stops the consumer. Returns its report.
#[track_caller]
pub fn finish(mut consumer: Running, received: u64, rejected: u64) -> Value {
    wait_for_counts(&mut consumer, received, rejected);
    report(&consumer.stop("TERM", LIMIT).expect_code(0))
}

/// Returns the report of a consumer that succeeded, after checks that apply to every report.
#[track_caller]
pub fn report(ended: &Ended) -> Value {
    assert_clean(ended);
    let report = ended.json();
    let figure = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("no figure {name:?} in {report}"));
    let parts = ["kept", "evicted", "too_late", "duplicates", "ignored", "over_max_symbols"].map(figure);
    // Present only with a filter.
    let outliers = report["outliers"].as_u64().unwrap_or_default();
    assert_eq!(figure("received"), parts.iter().sum::<u64>() + outliers, "the figures do not add up: {report}");
    assert!(report["elapsed_s"].as_f64().unwrap() > 0.0);
    report
}

/// Checks that the output has no panic and no control characters.
#[track_caller]
pub fn assert_clean(ended: &Ended) {
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains("panicked") && !text.contains("RUST_BACKTRACE"), "{ended:?}");
        assert_eq!(text.chars().find(|&c| c.is_control() && c != '\n'), None, "{ended:?}");
    }
}

/// Values of these names for one symbol of a report.
pub fn figures<const N: usize>(of_symbol: &Value, names: [&str; N]) -> [f64; N] {
    names.map(|name| of_symbol[name].as_f64().unwrap_or_else(|| panic!("no number {name:?} in {of_symbol}")))
}

/// Connection that publishes.
pub struct Publisher {
    connection: redis::Connection,
}

impl Publisher {
    pub fn connect(port: u16) -> Self {
        Self::open(&url(port))
    }

    pub fn open(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let connection = wait_for("a connection to publish on", LIMIT, || client.get_connection().ok());
        Self { connection }
    }

    /// Publishes one message. Returns the number of subscribers that it was sent to.
    pub fn publish(&mut self, channel: &str, payload: impl AsRef<[u8]>) -> u64 {
        self.try_publish(channel, payload.as_ref()).unwrap()
    }

    /// Runs a command that must succeed.
    pub fn ask(&mut self, command: &[&str]) {
        redis::cmd(command[0]).arg(&command[1..]).exec(&mut self.connection).unwrap();
    }

    pub fn try_publish(&mut self, channel: &str, payload: &[u8]) -> redis::RedisResult<u64> {
        redis::cmd("PUBLISH").arg(channel).arg(payload).query(&mut self.connection)
    }

    /// Publishes many messages, each of which must reach a subscriber.
    pub fn publish_all(&mut self, channel: &str, payloads: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        let payloads: Vec<_> = payloads.into_iter().collect();
        for run in payloads.chunks(1_000) {
            let mut pipeline = redis::pipe();
            for payload in run {
                pipeline.cmd("PUBLISH").arg(channel).arg(payload.as_ref());
            }
            let receivers: Vec<u64> = pipeline.query(&mut self.connection).unwrap();
            assert!(receivers.iter().all(|count| *count > 0), "a message reached nobody");
        }
    }
}

/// Tick without a sequence number, at an offset from the start.
pub fn tick(symbol: &str, price: f64, offset_s: u64) -> String {
    format!(r#"{{"symbol": "{symbol}", "price": {price}, "timestamp": {}}}"#, START_S + offset_s)
}

/// Tick with a source and a sequence number.
pub fn numbered(source: &str, seq: u64, offset_s: u64) -> String {
    let timestamp = START_S + offset_s;
    format!(r#"{{"symbol":"SPY","price":168.5,"timestamp":{timestamp},"seq":{seq},"source":"{source}"}}"#)
}
