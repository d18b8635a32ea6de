//! Ticks in a stream, with failures of the server and the connection.

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::streams::StreamRangeReply;

use super::oracle::{LIMIT, assert_all_there, assert_without_gap, entries, found};
use crate::support::process::{Launch, Running, producer};
use crate::support::redis_server::RedisServer;
use crate::support::wait::wait_until;

fn durable(server: &RedisServer) -> Launch {
    producer().args(["--redis", &server.url(), "--stream", "ticks", "--source", "p", "--stats", "json"])
}

fn link(server: &RedisServer) -> redis::Connection {
    server.client().get_connection().unwrap()
}

fn length(server: &RedisServer) -> u64 {
    // Also zero while the server is down.
    let length = server.client().get_connection().and_then(|mut link| redis::cmd("XLEN").arg("ticks").query(&mut link));
    length.unwrap_or(0)
}

fn wait_for_length(server: &RedisServer, more_than: u64) {
    wait_until("the stream to grow", LIMIT, || length(server) > more_than);
}

/// Age of the stream's newest tick, s.
fn newest_age_s(server: &RedisServer) -> f64 {
    let mut newest = redis::cmd("XREVRANGE");
    let newest: StreamRangeReply = newest.arg(&["ticks", "+", "-", "COUNT", "1"]).query(&mut link(server)).unwrap();
    let tick: String = newest.ids[0].get("tick").unwrap();
    let tick: serde_json::Value = serde_json::from_str(&tick).unwrap();
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() - tick["timestamp"].as_f64().unwrap()
}

#[track_caller]
fn end(server: &RedisServer, running: Running) -> serde_json::Value {
    let stats = running.stop("TERM", LIMIT).expect_code(0).json();
    assert_eq!(stats["dropped"], 0, "{stats}");
    let found = found(entries(&mut link(server), "ticks"));
    assert_all_there(&stats, &found);
    assert_without_gap(&found);
    stats
}

#[test]
fn the_stream_holds_exactly_what_is_published() {
    let server = RedisServer::start();
    let subscriber = server.subscribe("stock_prices");
    let ended = durable(&server).args(["--interval", "0", "--count", "20000"]).run(LIMIT).expect_code(0);
    let (mut kept, mut heard) = (entries(&mut link(&server), "ticks"), subscriber.finish());
    assert_eq!(kept.len(), 20_000);
    let found = found(kept.clone());
    assert_all_there(&ended.json(), &found);
    assert_without_gap(&found);
    assert_eq!((&ended.json()["receivers"], &ended.json()["lanes"][0]["last"]), (&1.into(), &20_000.into()));
    kept.sort_unstable();
    heard.sort_unstable();
    assert!(kept == heard, "a tick is the same in the stream and on the channel");
}

#[test]
fn a_stream_is_trimmed_about_where_it_is_told_to_be() {
    let server = RedisServer::start();
    durable(&server).args(["--interval", "0", "--count", "30000", "--maxlen", "1000"]).run(LIMIT).expect_code(0);
    // Trimming removes whole nodes of a hundred entries.
    assert!((1_000..1_200).contains(&length(&server)), "{}", length(&server));
    durable(&server).args(["--interval", "0", "--count", "3000", "--maxlen", "0"]).run(LIMIT).expect_code(0);
    assert!(length(&server) >= 4_000, "{}", length(&server));
}

#[test]
fn a_server_that_is_killed_and_returns_has_every_tick() {
    let mut server = RedisServer::start_keeping();
    let running = durable(&server).args(["--rate", "2000"]).start();
    for _ in 0..3 {
        wait_for_length(&server, length(&server) + 500);
        server.kill();
        sleep(Duration::from_millis(300));
        server.start_again();
    }
    // Waits until the backlog is sent; on a busy machine, a shutdown would not wait for all of it.
    wait_until("what is made now", LIMIT, || newest_age_s(&server) < 0.3);
    let stats = end(&server, running);
    assert_eq!(stats["reconnects"], 3, "{stats}");
}

#[test]
fn a_storm_of_cut_connections_costs_nothing() {
    let server = RedisServer::start();
    let mut running = durable(&server).args(["--interval", "0", "--count", "150000"]).start();
    let mut connection = link(&server);
    for _ in 0..20 {
        let before = length(&server);
        wait_until("more, or the end", LIMIT, || length(&server) > before + 200 || !running.is_running());
        let mut kill = redis::cmd("CLIENT");
        kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).exec(&mut connection).unwrap();
    }
    let stats = running.wait(LIMIT).expect_code(0).json();
    assert_eq!((&stats["sent"], &stats["dropped"]), (&150_000.into(), &0.into()), "{stats}");
    assert!(stats["reconnects"].as_u64().unwrap() >= 3, "{stats}");
    let found = found(entries(&mut link(&server), "ticks"));
    assert_all_there(&stats, &found);
    assert_without_gap(&found);
}

#[test]
fn a_server_that_freezes_is_noticed_under_load_and_when_nothing_is_due() {
    for rate in [&["--rate", "500"][..], &["--interval", "1h", "--symbols", "A"]] {
        let server = RedisServer::start();
        let mut running = durable(&server).args(rate).start();
        wait_for_length(&server, 0);
        server.process().signal("STOP");
        running.wait_for_stderr("does not answer like a Redis server; trying again", LIMIT);
        server.process().signal("CONT");
        running.wait_for_stderr("again after", LIMIT);
        let stats = end(&server, running);
        assert_eq!(stats["reconnects"], 1, "{stats}");
    }
}

#[test]
fn a_replica_is_waited_for_until_it_is_a_master() {
    let (master, server) = (RedisServer::start(), RedisServer::start());
    let port = master.port().to_string();
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).exec(&mut link(&server)).unwrap();
    let mut running = durable(&server).args(["--rate", "100"]).start();
    running.wait_for_stderr("READONLY", LIMIT);
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec(&mut link(&server)).unwrap();
    wait_for_length(&server, 50);
    end(&server, running);
}

#[test]
fn a_full_server_is_waited_for_until_there_is_room() {
    let server = RedisServer::start();
    let mut running = durable(&server).args(["--rate", "1000"]).start();
    wait_for_length(&server, 100);
    let limit = |bytes: &str| {
        let mut config = redis::cmd("CONFIG");
        config.arg("SET").arg("maxmemory").arg(bytes).exec(&mut link(&server)).unwrap();
    };
    limit("1");
    running.wait_for_stderr("OOM", LIMIT);
    limit("0");
    wait_for_length(&server, length(&server) + 500);
    let stats = running.stop("TERM", LIMIT).expect_code(0).json();
    assert_eq!(stats["dropped"], 0, "{stats}");
    assert_all_there(&stats, &found(entries(&mut link(&server), "ticks")));
}

#[test]
fn what_can_never_work_is_explained() {
    let server = RedisServer::start();
    let refused = |url: &str, needle: &str| {
        let args = ["--redis", url, "--stream", "ticks", "--count", "1"];
        let ended = producer().args(args).run(LIMIT).expect_code(1);
        assert!(ended.stderr.contains(needle), "no {needle:?} in {ended:?}");
    };
    redis::cmd("SET").arg("ticks").arg("x").exec(&mut link(&server)).unwrap();
    refused(&server.url(), "not a stream: give another name with --stream");
    redis::cmd("DEL").arg("ticks").exec(&mut link(&server)).unwrap();
    for (name, rules, needle) in [
        ("mute", &["~ticks", "+xadd", "+publish"][..], "The tick is in the stream, but may not be published"),
        ("keyless", &["&*", "+xadd", "+publish"], "Ask for an ACL rule that allows this stream"),
        ("wordless", &["~*", "&*", "+publish"], "Ask for an ACL rule that allows this stream"),
    ] {
        let mut user = redis::cmd("ACL");
        user.arg("SETUSER").arg(name).arg("on").arg(">pw").arg(rules).exec(&mut link(&server)).unwrap();
        refused(&format!("redis://{name}:pw@127.0.0.1:{}", server.port()), needle);
    }
    refused(&format!("redis+cluster://127.0.0.1:{}", server.port()), "omit --cluster");
}
