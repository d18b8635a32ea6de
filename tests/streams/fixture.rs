//! Fixture: a server that keeps its data over kills, ticks in its streams, and a consumer that reads them.

use std::time::Duration;

use redis::Connection;
use redis::streams::StreamRangeReply;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{Launch, Running, consumer};
use crate::support::server::free_port;
use crate::support::wait::{poll, wait_for};

/// Generous limit of every wait; it only bounds a failing test.
pub const LIMIT: Duration = crate::support::wait::GUARD;

pub const STREAM: &str = "ticks";

/// redis-server that persists everything it confirms and keeps its port over restarts.
pub struct Durable {
    pub server: Running,
    pub port: u16,
    dir: TempDir,
    options: Vec<String>,
}

impl Durable {
    pub fn start(options: &[&str]) -> Self {
        let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        Self { server: serve(port, &dir, &options), port, dir, options }
    }

    /// Kills the server with SIGKILL, as in a power failure.
    pub fn die(&mut self) {
        self.server.signal("KILL");
        wait_for("the server to be gone", LIMIT, || (!self.server.is_running()).then_some(()));
    }

    pub fn come_back(&mut self) {
        self.server = serve(self.port, &self.dir, &self.options);
    }

    /// Replaces the server by an empty one.
    pub fn be_replaced(&mut self) {
        self.dir = tempfile::tempdir().unwrap();
        self.come_back();
    }

    pub fn connect(&self) -> Connection {
        connect(&url(self.port))
    }
}

fn serve(port: u16, dir: &TempDir, options: &[String]) -> Running {
    let port = port.to_string();
    let fixed =
        ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"];
    let mut server = Launch::new("redis-server").dir(dir.path()).args(fixed).args(options).start();
    server.wait_for_stdout("Ready to accept connections", LIMIT);
    server
}

pub fn connect(url: &str) -> Connection {
    let client = redis::Client::open(url).unwrap();
    wait_for("a connection", LIMIT, || client.get_connection().ok())
}

pub fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

/// Tick of a producer with the sequence number `seq`.
pub fn tick(source: &str, seq: u64) -> String {
    let symbol = ["A", "B", "C"][(seq % 3) as usize];
    let price = 100.0 + (seq % 17) as f64 / 4.0;
    format!(
        r#"{{"symbol":"{symbol}","price":{price},"timestamp":{},"seq":{seq},"source":"{source}"}}"#,
        1_700_000_000.0 + seq as f64 / 1_000.0
    )
}

/// Appends ticks; the server chooses the ids.
pub fn add(connection: &mut Connection, source: &str, seqs: impl IntoIterator<Item = u64>) {
    let seqs: Vec<u64> = seqs.into_iter().collect();
    for run in seqs.chunks(1_000) {
        let mut pipeline = redis::pipe();
        for seq in run {
            pipeline.cmd("XADD").arg(STREAM).arg("*").arg("tick").arg(tick(source, *seq)).ignore();
        }
        pipeline.query::<()>(connection).unwrap();
    }
}

/// Appends an entry with any fields.
pub fn add_fields(connection: &mut Connection, id: &str, fields: &[(&str, &str)]) -> String {
    let mut command = redis::cmd("XADD");
    command.arg(STREAM).arg(id);
    for (name, value) in fields {
        command.arg(*name).arg(*value);
    }
    command.query(connection).unwrap()
}

/// Source and number of each entry of a stream.
pub fn entries(connection: &mut Connection, stream: &str) -> Vec<(String, u64)> {
    let all: StreamRangeReply = redis::cmd("XRANGE").arg(stream).arg("-").arg("+").query(connection).unwrap();
    let key = |payload: String| {
        let tick: Value = serde_json::from_str(&payload).unwrap();
        (tick["source"].as_str().unwrap().to_owned(), tick["seq"].as_u64().unwrap())
    };
    all.ids.iter().map(|entry| key(entry.get("tick").unwrap())).collect()
}

/// Consumer of the stream, not yet started.
pub fn reader(url: &str, args: &[&str]) -> Launch {
    consumer().args(["--headless", "--stats", "json", "-v", "--redis", url, "--stream", STREAM]).args(args)
}

/// Starts a consumer and waits until it reads.
#[track_caller]
pub fn reading(url: &str, args: &[&str]) -> Running {
    let mut running = reader(url, args).start();
    running.wait_for_stderr("reading the stream", LIMIT);
    running
}

/// Number of ticks received, from the newest status line.
pub fn received(consumer: &Running) -> u64 {
    let stderr = consumer.stderr();
    let line = stderr.lines().rev().find(|line| line.contains("running received="));
    let word = line.and_then(|line| line.split(' ').find_map(|word| word.strip_prefix("received=")));
    word.map_or(0, |digits| digits.parse().unwrap())
}

/// Waits until the consumer has received at least that many ticks.
#[track_caller]
pub fn wait_for_ticks(consumer: &mut Running, count: u64) {
    let arrived = poll(LIMIT, || {
        let all = received(consumer) >= count;
        (all || !consumer.is_running()).then_some(all)
    });
    assert_eq!(arrived, Some(true), "{count} ticks did not come.\n{consumer:?}");
}

/// Stops the consumer. Returns its report.
#[track_caller]
pub fn stop(consumer: Running) -> Value {
    consumer.stop("TERM", LIMIT).expect_code(0).json()
}

#[track_caller]
pub fn assert_figures(report: &Value, expected: &[(&str, u64)]) {
    for (name, value) in expected {
        assert_eq!(report[*name].as_u64().unwrap_or(0), *value, "{name} in {report}");
    }
}
