//! Producer errors: server, input and command line.

#![allow(unreachable_pub, reason = "the modules of a test program are its own")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support {
    pub mod process;
    pub mod redis_server;
    pub mod server;
    pub mod wait;
}

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use support::process::{Ended, producer};
use support::redis_server::{RedisServer, free_port};
use support::wait::{poll, wait_until};

/// Generous limit of a run; it only bounds a failing test.
const LIMIT: Duration = crate::support::wait::GUARD;

/// Limit of a clean shutdown. The documentation promises a second; a busy machine gets more, but less than any retry
/// loop takes.
const END_LIMIT: Duration = Duration::from_secs(10);

const REAL_DAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/us-trades-2013-10-07.csv.gz");

#[track_caller]
fn assert_civil(ended: &Ended) {
    for trace in ["panicked", "RUST_BACKTRACE", "stack backtrace", "\u{1b}"] {
        assert!(!ended.stderr.contains(trace) && !ended.stdout.contains(trace), "{trace:?} in {ended:?}");
    }
}

/// Runs a producer that fails before it publishes anything.
#[track_caller]
fn refused(args: &[&str], code: i32, needle: &str) {
    let ended = producer().args(args).run(LIMIT).expect_code(code);
    assert!(ended.stderr.contains(needle), "no {needle:?} in {ended:?}");
    assert_civil(&ended);
}

#[test]
fn a_server_that_dies_and_returns_costs_only_what_the_queue_cannot_hold() {
    let mut server = RedisServer::start();
    let subscriber = server.subscribe("stock_prices");
    let args = ["--redis", &server.url(), "--rate", "400000", "--stats", "json", "-v"];
    let mut running = producer().args(args).start();
    subscriber.wait_for(1_000);
    server.kill();
    // Backoff grows with each attempt; by the sixth, more ticks are due than the queue holds.
    wait_until("six attempts", LIMIT, || running.stderr().matches("trying again").count() >= 6);
    server.start_again();
    running.wait_for_stderr("again after", LIMIT);
    let after = server.subscribe("stock_prices");
    after.wait_for(1_000);
    let ended = running.stop("TERM", END_LIMIT).expect_code(0);
    assert_civil(&ended);
    let stats = ended.json();
    assert_eq!(stats["reconnects"], 1, "{stats}");
    assert!(stats["dropped"].as_u64().unwrap() > 0 && stats["sent"].as_u64().unwrap() > 66_536, "{stats}");
    assert!(ended.stderr.contains("1 reconnect,") && ended.stderr.contains("dropped"), "{}", ended.stderr);
    let seqs: Vec<u64> = after.finish().iter().map(|payload| seq(payload)).collect();
    let highest = seqs.iter().max().unwrap();
    let made = stats["sent"].as_u64().unwrap() + stats["dropped"].as_u64().unwrap();
    assert!(*highest <= made, "every tick up to {highest} is counted, as sent or as dropped: {stats}");
}

fn seq(payload: &str) -> u64 {
    let tick: Value = serde_json::from_str(payload).unwrap();
    tick["seq"].as_u64().unwrap()
}

#[test]
fn connections_that_break_lose_nothing_while_the_source_can_wait() {
    let server = RedisServer::start();
    let subscriber = server.subscribe("stock_prices");
    let args = ["--redis", &server.url(), "--interval", "0", "--count", "1000000", "--stats", "json"];
    let mut running = producer().args(args).start();
    let mut link = server.client().get_connection().unwrap();
    for part in 1..=3 {
        // The breaks come early: the producer is faster than this subscriber, and the last break must precede its end.
        subscriber.wait_for(part * 5_000);
        let mut kill = redis::cmd("CLIENT");
        kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert!(kill.query::<u64>(&mut link).unwrap() >= 1, "there was a connection to break");
        wait_until("it to come back", LIMIT, || {
            running.stderr().matches("again after").count() >= part || !running.is_running()
        });
    }
    let ended = running.wait(LIMIT).expect_code(0);
    let stats = ended.json();
    assert_eq!((&stats["sent"], &stats["dropped"]), (&1_000_000.into(), &0.into()), "{stats}");
    assert_eq!(stats["reconnects"], 3, "{stats}");
    let seqs: Vec<u64> = subscriber.finish().iter().map(|payload| seq(payload)).collect();
    let distinct: BTreeSet<u64> = seqs.iter().copied().collect();
    assert_eq!(distinct.len(), 1_000_000, "every tick came at least once");
    // Retried batches are complete and in order, so the first occurrences are in order too.
    let mut newest = 0;
    for seq in seqs.into_iter().filter(|seq| distinct.contains(seq)) {
        assert!(seq <= newest + 1, "{seq} came before {}", newest + 1);
        newest = newest.max(seq);
    }
}

#[test]
fn a_server_that_freezes_is_left_and_found_again() {
    let server = RedisServer::start();
    let mut running = producer().args(["--redis", &server.url(), "--rate", "500", "--stats", "json"]).start();
    running.wait_for_stderr("nobody is subscribed", LIMIT);
    server.process().signal("STOP");
    running.wait_for_stderr("trying again", LIMIT);
    server.process().signal("CONT");
    running.wait_for_stderr("again after", LIMIT);
    let ended = running.stop("TERM", END_LIMIT).expect_code(0);
    assert!(ended.json()["reconnects"].as_u64().unwrap() >= 1);
}

#[test]
fn no_server_is_waited_for_visibly_and_the_wait_can_be_ended() {
    for signal in ["INT", "TERM"] {
        let url = format!("redis://:s3cret@127.0.0.1:{}", free_port());
        let mut running = producer().args(["--redis", &url, "--stats", "json"]).start();
        running.wait_for_stderr("is redis-server running there?", LIMIT);
        let ended = running.stop(signal, END_LIMIT).expect_code(0);
        assert_eq!((&ended.json()["sent"], &ended.json()["elapsed_s"]), (&0.into(), &0.0.into()));
        assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
        assert_civil(&ended);
    }
}

#[test]
fn a_server_that_comes_late_is_used() {
    let mut server = RedisServer::start();
    server.kill();
    let mut running = producer().args(["--redis", &server.url(), "--count", "3", "--stats", "json"]).start();
    running.wait_for_stderr("trying again", LIMIT);
    server.start_again();
    let ended = running.wait(LIMIT).expect_code(0);
    assert_eq!((&ended.json()["sent"], &ended.json()["reconnects"]), (&3.into(), &0.into()));
}

#[test]
fn both_signals_end_it_cleanly_with_a_summary() {
    let server = RedisServer::start();
    for signal in ["INT", "TERM"] {
        let mut running = producer().args(["--redis", &server.url(), "--interval", "0"]).start();
        running.wait_for_stderr("nobody is subscribed", LIMIT);
        let ended = running.stop(signal, END_LIMIT).expect_code(0);
        let summary = ended.stderr.lines().last().unwrap().to_owned();
        assert!(summary.starts_with("sent ") && summary.contains("0 reconnects, nothing dropped"), "{summary}");
        assert_civil(&ended);
    }
}

#[test]
fn passwords_are_checked_and_never_shown() {
    let server = RedisServer::start_with_password("s3cret-one");
    let url = |userinfo: &str| format!("redis://{userinfo}127.0.0.1:{}", server.port());
    for (userinfo, reply) in
        [("", "NOAUTH"), (":s3cret-two@", "WRONGPASS"), ("nobody:s3cret-two@", "WRONGPASS"), ("a:s3cret-two@", "URL")]
    {
        let ended = producer().args(["--redis", &url(userinfo), "--count", "1"]).run(LIMIT).expect_code(1);
        assert!(ended.stderr.contains("refuses: ") && ended.stderr.contains(reply), "{}", ended.stderr);
        assert!(!ended.stderr.contains("s3cret") && !ended.stdout.contains("s3cret"), "{}", ended.stderr);
        assert_civil(&ended);
    }
    let ended = producer().args(["--redis", &server.url(), "--count", "1", "-vv"]).run(LIMIT).expect_code(0);
    assert!(ended.stderr.contains("sent 1 tick") && !ended.stderr.contains("s3cret"), "{}", ended.stderr);
    let open = RedisServer::start();
    refused(&["--redis", &format!("redis://:x@127.0.0.1:{}", open.port())], 1, "Omit the password from the URL");
}

#[test]
fn a_user_without_the_right_to_publish_is_told_so() {
    let server = RedisServer::start();
    let mut link = server.client().get_connection().unwrap();
    let mut user = redis::cmd("ACL");
    user.arg(&["SETUSER", "reader", "on", ">pw", "+ping", "+client", "&stock_prices"]).exec(&mut link).unwrap();
    let mut user = redis::cmd("ACL");
    user.arg(&["SETUSER", "writer", "on", ">pw", "+publish", "&stock_prices"]).exec(&mut link).unwrap();
    let url = |name: &str| format!("redis://{name}:pw@127.0.0.1:{}", server.port());
    refused(&["--redis", &url("reader"), "--count", "1"], 1, "Ask for an ACL rule");
    refused(&["--redis", &url("writer"), "--count", "1", "--channel", "other"], 1, "Ask for an ACL rule");
    producer().args(["--redis", &url("writer"), "--count", "1"]).run(LIMIT).expect_code(0);
}

/// Server that replies `banner` to the first bytes of every client.
fn impostor(banner: &'static [u8]) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                let mut asked = [0; 512];
                let _ = stream.read(&mut asked);
                let _ = stream.write_all(banner);
                // Keeps the connection open until the client closes it.
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    port
}

#[test]
fn a_port_that_is_no_redis_is_recognised() {
    for banner in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.2p1\r\n", b"\x00\x01\x02\xff\xfe\r\n"]
    {
        let url = format!("redis://127.0.0.1:{}", impostor(banner));
        refused(&["--redis", &url], 1, "does not speak the Redis protocol");
    }
}

#[test]
fn a_port_that_stays_silent_is_retried_and_can_be_left() {
    let url = format!("redis://127.0.0.1:{}", impostor(b""));
    let mut running = producer().args(["--redis", &url]).start();
    running.wait_for_stderr("accepts connections but does not answer", LIMIT);
    assert_civil(&running.stop("TERM", END_LIMIT).expect_code(0));
}

#[test]
fn an_input_that_blocks_does_not_block_the_end() {
    let server = RedisServer::start();
    let subscriber = server.subscribe("stock_prices");
    let mut child = Command::new(env!("CARGO_BIN_EXE_producer"))
        .args(["--redis", &server.url(), "--stdin"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"{\"symbol\":\"A\",\"price\":1,\"timestamp\":1381132800}\n").unwrap();
    // Ticks are published although the pipe stays open without further input.
    subscriber.wait_for(1);
    let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status().unwrap();
    assert!(kill.success());
    let status = poll(END_LIMIT, || child.try_wait().unwrap());
    if status.is_none() {
        child.kill().unwrap();
    }
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    drop(input);
}

#[test]
fn bad_files_are_explained() {
    let server = RedisServer::start();
    let url = server.url();
    let dir = tempfile::tempdir().unwrap();
    let real = std::fs::read(REAL_DAY).unwrap();
    let half = &real[..real.len() / 2];
    for (name, bytes, needle) in [
        ("empty.csv", &b""[..], "it is empty"),
        ("header.csv", b"timestamp,symbol,price\n", "it is empty"),
        ("headless.csv", b"1381132800464,SPY,167.41,100\n", "names no column for timestamp, symbol, price"),
        ("escapes.csv", b"\x1b[2J\x1b]0;owned\x07,price\n1,2\n", "names no column for timestamp, symbol"),
        ("words.csv", b"timestamp,symbol,price\nnow,SPY,much\n", "bad_timestamp 1 (first in line 2)"),
        ("binary", b"\x7fELF\x02\x01\x01\x00\xff\xfe", "names no column"),
        ("pretty.json", b"[\n  {\n    \"symbol\": \"A\"\n  }\n]\n", "none of its rows is a tick"),
        ("damaged.gz", b"\x1f\x8b\x08\x00garbage garbage garbage", "is damaged"),
        ("half.csv.gz", half, "the compressed data is cut off"),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        refused(&["--redis", &url, "--replay", path.to_str().unwrap(), "--speed", "max"], 1, needle);
    }
    refused(&["--redis", &url, "--replay", REAL_DAY, "--from", "2020-01-01T00:00:00Z"], 1, "none of its ticks");
    refused(&["--redis", &url, "--replay", "/nowhere/\u{1b}[2J.csv"], 2, "cannot read /nowhere/\\u{1b}[2J.csv");
    refused(&["--redis", &url, "--replay", dir.path().to_str().unwrap()], 2, "directory");
}

#[test]
fn bad_rows_cost_only_themselves() {
    let server = RedisServer::start();
    let subscriber = server.subscribe("stock_prices");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mixed.csv");
    let mut bytes = b"price,symbol,timestamp\n1,A,1381132800\n".to_vec();
    bytes.extend(b"1,\xff\xfe,1381132800\n1,\"A,1381132800\n-1,A,-5\n1e999,A,1381132801\n");
    bytes.extend(std::iter::repeat_n(b'x', 3 << 20));
    bytes.extend(b"\n2,A,1381132802");
    std::fs::write(&path, bytes).unwrap();
    let ended = producer()
        .args(["--redis", &server.url(), "--speed", "max", "--stats", "json", "--replay", path.to_str().unwrap()])
        .run(LIMIT)
        .expect_code(0);
    let stats = ended.json();
    assert_eq!((&stats["sent"], subscriber.finish().len()), (&2.into(), 2), "{stats}");
    let rejected: u64 = stats["rejected"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(rejected, 5, "{stats}");
    assert_eq!(stats["rejected"]["too_long"], 1, "{stats}");
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_status_2() {
    refused(&["--bogus"], 2, "--bogus");
    refused(&["--interval", "1e300"], 2, "100 years");
    refused(&["--rate", "-1"], 2, "above zero");
    refused(&["--symbols", "A,A"], 2, "A is listed twice");
    refused(&["--redis", "rediss://h/#insecure"], 2, "--tls-ca");
    refused(&["--redis", "rediss://h", "--tls-ca", "/nowhere/ca.pem"], 2, "--tls-ca /nowhere/ca.pem: cannot be read");
    refused(&["--redis", "redis://:s3cret@h:port"], 2, "cannot be used");
    for args in
        [&["redis://user:s3cret@host:1"][..], &["--redis", "http://user:s3cret@host"], &["--speed=x://u:s3cret@h"]]
    {
        let ended = producer().args(args).run(LIMIT).expect_code(2);
        assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
        assert_civil(&ended);
    }
    let ended = producer().env("REDIS_URL", "redis://:s3cret@host").args(["--help"]).run(LIMIT).expect_code(0);
    assert!(ended.stdout.contains("--replay") && !ended.stdout.contains("s3cret"), "{}", ended.stdout);
}

#[test]
fn a_reader_that_closes_our_output_is_no_failure() {
    let server = RedisServer::start();
    let script = format!(
        "{} --redis {} --count 1 --stats json --quiet | exec 0<&-; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_producer"),
        server.url()
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0", "{output:?}");
}
