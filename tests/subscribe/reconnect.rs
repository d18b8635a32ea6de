//! Life cycle of a connection: servers that die, freeze, restart, or are not Redis.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::fixture::{LIMIT, Publisher, finish, headless, listen, numbered, report, status, tick, wait_for_counts};
use crate::support::process::{Launch, Running};
use crate::support::server::{free_port, on_both};
use crate::support::wait::wait_until;

const CHANNEL: &str = "stock_prices";

/// redis-server that keeps its port over restarts.
struct Mortal {
    server: Running,
    port: u16,
    dir: TempDir,
}

impl Mortal {
    fn start() -> Self {
        let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
        Self { server: Self::serve(port, &dir), port, dir }
    }

    fn serve(port: u16, dir: &TempDir) -> Running {
        let server = Launch::new("redis-server").dir(dir.path());
        let port = port.to_string();
        let mut server =
            server.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]).start();
        server.wait_for_stdout("Ready to accept connections", LIMIT);
        server
    }

    /// Kills the server with SIGKILL, as in a power failure.
    fn die(&self) {
        self.server.signal("KILL");
    }

    fn come_back(&mut self) {
        self.server = Self::serve(self.port, &self.dir);
    }
}

/// Waits until standard error contains `needle` that many times.
#[track_caller]
fn wait_for_times(running: &Running, needle: &str, times: usize) {
    wait_until(&format!("{needle:?} {times} times"), LIMIT, || running.stderr().matches(needle).count() >= times);
}

#[test]
fn a_server_that_dies_is_met_again_and_what_it_missed_is_told() {
    let mut redis = Mortal::start();
    let picture = redis.dir.path().join("chart.svg");
    let mut consumer = listen(redis.port, &["--snapshot", picture.to_str().unwrap()]);
    let mut publisher = Publisher::connect(redis.port);
    publisher.publish_all(CHANNEL, (1..=60).map(|seq| numbered("p-1", seq, seq)));
    wait_for_counts(&mut consumer, 60, 0);

    redis.die();
    consumer.wait_for_stderr("trying again", LIMIT);
    redis.come_back();
    // Only messages that the new server sends to no subscriber are lost.
    let mut publisher = Publisher::connect(redis.port);
    let mut seq = 160;
    wait_until("the consumer to be back", LIMIT, || {
        seq += 1;
        publisher.publish(CHANNEL, numbered("p-1", seq, seq)) == 1
    });
    let first_heard = seq;
    publisher.publish_all(CHANNEL, (seq + 1..=seq + 60).map(|seq| numbered("p-1", seq, seq)));

    let report = finish(consumer, 60 + 61, 0);
    assert_eq!((&report["received"], &report["kept"]), (&json!(121), &json!(121)));
    assert_eq!((&report["reconnects"], &report["duplicates"]), (&json!(1), &json!(0)));
    assert_eq!(report["lost"], first_heard - 61, "{report}");
    let svg = std::fs::read_to_string(&picture).unwrap();
    let label = svg.lines().find(|line| line.contains("gap ")).expect("the gap has a label");
    assert!(label.contains(&format!("{} lost", first_heard - 61)), "{label}");
}

#[test]
fn a_gap_stays_visible_where_nobody_counted_the_loss() {
    let mut redis = Mortal::start();
    let picture = redis.dir.path().join("chart.svg");
    let mut consumer = listen(redis.port, &["--snapshot", picture.to_str().unwrap()]);
    Publisher::connect(redis.port).publish_all(CHANNEL, (0..60).map(|i| tick("SPY", 168.5, i)));
    wait_for_counts(&mut consumer, 60, 0);
    redis.die();
    consumer.wait_for_stderr("trying again", LIMIT);
    redis.come_back();
    wait_for_times(&consumer, "subscribed at", 2);
    Publisher::connect(redis.port).publish_all(CHANNEL, (120..180).map(|i| tick("SPY", 168.5, i)));
    let report = finish(consumer, 120, 0);
    assert_eq!((&report["reconnects"], &report["lost"]), (&json!(1), &json!(0)));
    let svg = std::fs::read_to_string(&picture).unwrap();
    assert!(svg.contains("gap 1 min 1 s"), "the gap has a label of its length");
}

#[test]
fn a_server_that_dies_three_times_is_counted_three_times() {
    let mut redis = Mortal::start();
    let mut consumer = listen(redis.port, &[]);
    for round in 1..=3 {
        redis.die();
        wait_for_times(&consumer, "closed the connection", round);
        redis.come_back();
        wait_for_times(&consumer, "subscribed at", round + 1);
        Publisher::connect(redis.port).publish_all(CHANNEL, [tick("SPY", 168.5, round as u64)]);
        wait_for_counts(&mut consumer, round as u64, 0);
    }
    let report = finish(consumer, 3, 0);
    assert_eq!((&report["reconnects"], &report["kept"], &report["cut_off"]), (&json!(3), &json!(3), &json!(0)));
}

#[test]
fn a_server_that_freezes_is_noticed_and_healed() {
    let redis = Mortal::start();
    let mut consumer = listen(redis.port, &[]);
    Publisher::connect(redis.port).publish_all(CHANNEL, [tick("SPY", 168.5, 0)]);
    wait_for_counts(&mut consumer, 1, 0);
    redis.server.signal("STOP");
    consumer.wait_for_stderr("has not answered for", LIMIT);
    let stderr = consumer.stderr();
    let (_, after) = stderr.split_once("has not answered for ").unwrap();
    let silent_s: f64 = after.split(' ').next().unwrap().parse().unwrap();
    // The documentation promises 3 s; the rest is an allowance for a machine that runs other tests.
    assert!((2.5..4.0).contains(&silent_s), "{silent_s} s: {stderr}");
    // The system still accepts connections for a frozen server.
    consumer.wait_for_stderr("accepts connections but does not answer", LIMIT);
    redis.server.signal("CONT");
    wait_for_times(&consumer, "subscribed at", 2);
    Publisher::connect(redis.port).publish_all(CHANNEL, [tick("SPY", 168.6, 1)]);
    let report = finish(consumer, 2, 0);
    assert_eq!((&report["reconnects"], &report["kept"], &report["lost"]), (&json!(1), &json!(2), &json!(0)));
}

#[test]
fn a_consumer_that_was_frozen_and_cut_off_says_what_it_missed() {
    on_both(|name, port| {
        let mut consumer = listen(port, &["--history", "1000"]);
        let mut publisher = Publisher::connect(port);
        publisher.publish_all(CHANNEL, [numbered("p-1", 1, 0)]);
        wait_for_counts(&mut consumer, 1, 0);
        consumer.signal("STOP");
        // Both servers buffer 32 MiB per subscriber, in addition to the system's buffers.
        let padding = " ".repeat(256 << 10);
        let mut seq = 1;
        wait_until("the consumer to be cut off", LIMIT, || {
            seq += 1;
            publisher.publish(CHANNEL, numbered("p-1", seq, seq) + &padding) == 0
        });
        consumer.signal("CONT");
        wait_for_times(&consumer, "subscribed at", 2);
        publisher.publish_all(CHANNEL, [numbered("p-1", seq + 1, seq + 1)]);
        // The last tick reveals the loss of all before it.
        wait_until("the loss to be told", LIMIT, || status(&consumer, "lost") > 0);
        let report = finish(consumer, 2, 0);
        let figure = |name: &str| report[name].as_u64().unwrap();
        assert_eq!(figure("kept") + figure("lost"), seq + 1, "{report} over {name}");
        assert!(figure("lost") > 64 && figure("reconnects") == 1, "{report} over {name}");
        assert_eq!(figure("cut_off"), 1, "{report} over {name}");
    });
}

#[test]
fn an_idle_connection_is_left_alone() {
    let redis = Mortal::start();
    // Longer than the silence after which a server counts as lost; replies to PING must reset it.
    let ended = headless(redis.port).args(["--for", "4s"]).run(LIMIT).expect_code(0);
    let report = report(&ended);
    assert_eq!((&report["received"], &report["reconnects"]), (&json!(0), &json!(0)));
    assert!(report["elapsed_s"].as_f64().unwrap() >= 4.0);
    assert!(!ended.stderr.contains("WARN"), "{ended:?}");
}

/// Listener that is not a Redis server.
struct Impostor {
    port: u16,
    accepted: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Impostor {
    /// Answers the first bytes of each client with `answer`. With `None`, it sends nothing, and keeps the connection
    /// open if it is `patient`.
    fn start(answer: Option<&'static str>, patient: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let (accepted, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, stopped) = (Arc::clone(&accepted), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut kept = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let Ok((mut stream, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(5));
                    continue;
                };
                counter.fetch_add(1, Ordering::Relaxed);
                stream.set_nonblocking(false).unwrap();
                if let Some(answer) = answer {
                    drop(stream.read(&mut [0; 256]));
                    drop(stream.write_all(answer.as_bytes()));
                }
                if patient {
                    kept.push(stream);
                }
            }
        });
        Self { port, accepted, stop, thread: Some(thread) }
    }

    fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().unwrap().join());
    }
}

#[test]
fn a_server_that_says_nothing_is_tried_again_and_does_not_hold_up_the_end() {
    let silent = Impostor::start(None, true);
    let mut consumer = headless(silent.port).start();
    consumer.wait_for_stderr("accepts connections but does not answer like a Redis server", LIMIT);
    wait_until("a second attempt", LIMIT, || silent.accepted() >= 2);
    let report = report(&consumer.stop("TERM", LIMIT).expect_code(0));
    assert_eq!((&report["received"], &report["reconnects"]), (&json!(0), &json!(0)));
}

#[test]
fn a_server_that_hangs_up_is_tried_again_without_spinning() {
    let rude = Impostor::start(None, false);
    let consumer = headless(rude.port).args(["--for", "3s"]).start();
    let ended = consumer.wait(LIMIT).expect_code(0);
    assert!(ended.stderr.contains("trying again"), "{ended:?}");
    // Backoff doubles from 50 ms to 1 s, and jitter halves it at most: 3 s have room for ten attempts.
    assert!((3..=10).contains(&rude.accepted()), "{} attempts: {ended:?}", rude.accepted());
    report(&ended);
}

#[test]
fn what_speaks_another_protocol_is_an_error_that_says_so() {
    for answer in [
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "220 mail ESMTP\r\n",
        "\u{16}\u{3}\u{1}\0\u{1b}[2J",
    ] {
        let other = Impostor::start(Some(answer), true);
        let ended = headless(other.port).run(LIMIT).expect_code(1);
        assert!(ended.stderr.contains("does not speak the Redis protocol; check host and port"), "{answer}: {ended:?}");
        assert!(ended.stderr.contains(&format!("redis://127.0.0.1:{}", other.port)), "{ended:?}");
        assert_eq!(ended.stdout, "", "no figures of a run that never was");
    }
}

#[test]
fn where_nothing_listens_it_goes_on_asking_and_starts_no_broker() {
    let port = free_port();
    let mut consumer = headless(port).start();
    wait_for_times(&consumer, &format!("cannot reach redis://127.0.0.1:{port}"), 3);
    assert!(consumer.is_running() && !consumer.stderr().contains("serving"), "{consumer:?}");
    assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok(), "the port is free");
    let report = report(&consumer.stop("TERM", LIMIT).expect_code(0));
    assert_eq!((&report["received"], &report["reconnects"]), (&json!(0), &json!(0)));
}

#[test]
fn a_server_that_stays_away_fills_no_log() {
    let port = free_port();
    let arguments = ["--headless", "--for", "5s", "--redis", &super::fixture::url(port)];
    let ended = crate::support::process::consumer().args(arguments).run(LIMIT).expect_code(0);
    // Of more than five attempts, only the first one is logged; a slow machine may log a second one.
    let lines = ended.stderr.matches("trying again").count();
    assert!((1..=2).contains(&lines), "{ended:?}");
}

#[test]
fn a_server_that_comes_late_is_found() {
    let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
    let mut consumer = headless(port).start();
    consumer.wait_for_stderr("trying again", LIMIT);
    let _redis = Mortal { server: Mortal::serve(port, &dir), port, dir };
    consumer.wait_for_stderr("subscribed at", LIMIT);
    Publisher::connect(port).publish_all(CHANNEL, [tick("SPY", 168.5, 0)]);
    let report = finish(consumer, 1, 0);
    // The first connection does not count as a reconnect.
    assert_eq!((&report["kept"], &report["reconnects"]), (&json!(1), &json!(0)));
}

#[test]
fn both_signals_end_it_well_and_a_window_that_cannot_open_says_what_to_do() {
    let redis = Mortal::start();
    for signal in ["TERM", "INT"] {
        let consumer = listen(redis.port, &[]);
        report(&consumer.stop(signal, LIMIT).expect_code(0));
    }
    let ended = crate::support::process::consumer().args(["--view", "window"]).run(LIMIT).expect_code(2);
    assert!(["--headless", "--snapshot", "--view terminal"].iter().all(|way| ended.stderr.contains(way)), "{ended:?}");
}
