//! Reader of one stream: from the given start to the end and onward, over all connection failures.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::fixture::{
    Durable, LIMIT, STREAM, add, add_fields, assert_figures, reader, reading, stop, tick, url, wait_for_ticks,
};
use crate::support::process::Launch;
use crate::support::server::{RedisServer, free_port};
use crate::support::wait::wait_until;

#[test]
fn a_chart_is_filled_from_where_it_was_told_to_begin() {
    let redis = RedisServer::start();
    let mut connection = super::fixture::connect(&url(redis.port));
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    for (seq, age_s) in [(1, 7_200), (2, 3_000), (3, 60), (4, 1)] {
        let id = format!("{}-{seq}", now_ms - age_s * 1_000);
        add_fields(&mut connection, &id, &[("tick", &tick("p", seq))]);
    }
    let third = format!("{}-3", now_ms - 60_000);
    for (since, count) in
        [(&["--since", "start"][..], 4), (&[], 3), (&["--since", "10m"], 2), (&["--since", &third], 2)]
    {
        let mut consumer = reading(&url(redis.port), since);
        wait_for_ticks(&mut consumer, count);
        assert_figures(&stop(consumer), &[("received", count), ("lost", 0), ("trimmed", 0)]);
    }
}

#[test]
fn a_stream_that_comes_into_being_later_is_read_from_its_first_entry() {
    let redis = RedisServer::start();
    let mut consumer = reading(&url(redis.port), &[]);
    let mut connection = super::fixture::connect(&url(redis.port));
    add(&mut connection, "p", 1..=10);
    wait_for_ticks(&mut consumer, 10);
    // A recreated stream continues its ids, and the reader continues.
    redis::cmd("DEL").arg(STREAM).query::<()>(&mut connection).unwrap();
    add(&mut connection, "p", 11..=20);
    wait_for_ticks(&mut consumer, 20);
    // Recreated with ids in the past, before everything that was read.
    redis::cmd("DEL").arg(STREAM).query::<()>(&mut connection).unwrap();
    for seq in 21..=25 {
        add_fields(&mut connection, &format!("1-{seq}"), &[("tick", &tick("p", seq))]);
    }
    wait_for_ticks(&mut consumer, 25);
    assert_figures(&stop(consumer), &[("received", 25), ("lost", 0), ("duplicates", 0)]);
}

#[test]
fn nothing_is_missed_while_a_server_is_dead() {
    let mut redis = Durable::start(&[]);
    add(&mut redis.connect(), "p", 1..=2_000);
    let mut consumer = reading(&url(redis.port), &["--since", "start"]);
    wait_for_ticks(&mut consumer, 2_000);
    for round in 1..=3 {
        redis.die();
        consumer.wait_for_stderr("trying again", LIMIT);
        redis.come_back();
        add(&mut redis.connect(), "p", round * 2_000 + 1..=(round + 1) * 2_000);
        wait_for_ticks(&mut consumer, (round + 1) * 2_000);
    }
    let report = stop(consumer);
    assert_figures(&report, &[("received", 8_000), ("kept", 8_000), ("lost", 0), ("duplicates", 0), ("reconnects", 3)]);
}

#[test]
fn a_connection_that_is_cut_off_again_and_again_still_brings_every_tick_once() {
    let redis = RedisServer::start();
    let mut connection = super::fixture::connect(&url(redis.port));
    let mut consumer = reading(&url(redis.port), &["--since", "start"]);
    for round in 0..20 {
        add(&mut connection, "p", round * 500 + 1..=round * 500 + 250);
        let killed: u64 = redis::cmd("CLIENT")
            .arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .arg("SKIPME")
            .arg("yes")
            .query(&mut connection)
            .unwrap();
        add(&mut connection, "p", round * 500 + 251..=round * 500 + 500);
        wait_for_ticks(&mut consumer, round * 500 + 1);
        assert!(killed <= 1, "{killed} connections");
    }
    wait_for_ticks(&mut consumer, 10_000);
    let report = stop(consumer);
    assert_figures(&report, &[("received", 10_000), ("kept", 10_000), ("lost", 0), ("duplicates", 0)]);
    assert!(report["reconnects"].as_u64().unwrap() >= 5, "{report}");
}

#[test]
fn a_frozen_server_is_noticed_within_three_seconds() {
    let redis = Durable::start(&[]);
    let mut consumer = reading(&url(redis.port), &[]);
    add(&mut redis.connect(), "p", 1..=10);
    wait_for_ticks(&mut consumer, 10);
    redis.server.signal("STOP");
    let stopped = Instant::now();
    consumer.wait_for_stderr("has not answered", LIMIT);
    let noticed = stopped.elapsed();
    redis.server.signal("CONT");
    // The documentation promises 3 s; the rest is an allowance for a busy machine.
    assert!(noticed < Duration::from_secs(4), "noticed after {noticed:?}");
    add(&mut redis.connect(), "p", 11..=20);
    wait_for_ticks(&mut consumer, 20);
    assert_figures(&stop(consumer), &[("received", 20), ("lost", 0), ("duplicates", 0)]);
}

#[test]
fn who_begins_in_the_midst_counts_what_was_given_up_too() {
    let redis = RedisServer::start();
    let mut connection = super::fixture::connect(&url(redis.port));
    let add = |connection: &mut redis::Connection, count: u64| -> Vec<String> {
        // Without sequence numbers, only the stream itself shows what is missing.
        let fields = [("symbol", "X"), ("price", "1"), ("timestamp", "1700000000")];
        (0..count).map(|_| add_fields(connection, "*", &fields)).collect()
    };
    let ids = add(&mut connection, 30);
    let mut consumer = reading(&url(redis.port), &["--since", &ids[20]]);
    wait_for_ticks(&mut consumer, 10);
    consumer.signal("STOP");
    add(&mut connection, 300);
    redis::cmd("XTRIM").arg(STREAM).arg("MAXLEN").arg(50).query::<()>(&mut connection).unwrap();
    consumer.signal("CONT");
    // The reply to the read that was pending before the pause holds the first of these.
    wait_until("the rest", LIMIT, || super::fixture::received(&consumer) >= 60);
    consumer.wait_for_stderr("gave up", LIMIT);
    let report = stop(consumer);
    let figure = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(figure("received") + figure("trimmed"), 310, "{report}");
}

/// Number of `XINFO STREAM` commands that the server has received.
fn questions(connection: &mut redis::Connection) -> u64 {
    let stats: String = redis::cmd("INFO").arg("commandstats").query(connection).unwrap();
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_xinfo|stream:calls="));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

#[test]
fn what_a_stream_gave_up_before_it_was_read_is_counted() {
    let redis = RedisServer::start();
    let mut connection = super::fixture::connect(&url(redis.port));
    let mut consumer = reading(&url(redis.port), &["--since", "start"]);
    add(&mut connection, "p", 1..=100);
    wait_for_ticks(&mut consumer, 100);
    // The count is exact only if the reader was at the end of the stream when it queried the stream's state.
    let before = questions(&mut connection);
    wait_until("the reader to ask at the end", LIMIT, || questions(&mut connection) > before);
    consumer.signal("STOP");
    add(&mut connection, "p", 101..=400);
    // The reply to the read that was pending before the pause holds the first of these.
    redis::cmd("XTRIM").arg(STREAM).arg("MAXLEN").arg(50).query::<()>(&mut connection).unwrap();
    consumer.signal("CONT");
    consumer.wait_for_stderr("gave up", LIMIT);
    add(&mut connection, "p", 401..=410);
    wait_until("the last tick", LIMIT, || super::fixture::received(&consumer) >= 160);
    let report = stop(consumer);
    let figure = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(figure("received") + figure("trimmed"), 410, "{report}");
    assert_eq!(figure("trimmed"), figure("lost"), "{report}");
    assert!(figure("trimmed") >= 200, "{report}");
}

#[test]
fn a_server_that_knows_less_and_more_than_the_one_before_is_read_in_full() {
    let mut redis = Durable::start(&[]);
    let put =
        |connection: &mut redis::Connection, id: &str, seq| add_fields(connection, id, &[("tick", &tick("p", seq))]);
    let mut connection = redis.connect();
    for seq in 1..=100 {
        put(&mut connection, &format!("{}-0", 1_000 + seq), seq);
    }
    let mut consumer = reading(&url(redis.port), &["--since", "start"]);
    wait_for_ticks(&mut consumer, 100);
    // As after a failover: the last entries were not replicated, and the new master has others in their place.
    redis.die();
    consumer.wait_for_stderr("trying again", LIMIT);
    redis.be_replaced();
    let mut connection = redis.connect();
    for seq in 1..=90 {
        put(&mut connection, &format!("{}-0", 1_000 + seq), seq);
    }
    for (id, seq) in [("1095-1", 101), ("1097-1", 102), ("1200-0", 103)] {
        put(&mut connection, id, seq);
    }
    wait_for_ticks(&mut consumer, 103);
    put(&mut connection, "1200-1", 104);
    wait_for_ticks(&mut consumer, 104);
    assert_figures(&stop(consumer), &[("received", 104), ("kept", 104), ("duplicates", 0), ("lost", 0)]);
}

#[test]
fn entries_of_others_are_understood_and_nonsense_holds_nobody_up() {
    let redis = RedisServer::start();
    let mut connection = super::fixture::connect(&url(redis.port));
    let plain = [("symbol", "700"), ("price", "187.20"), ("timestamp", "1700000000.25"), ("venue", "X")];
    add_fields(&mut connection, "*", &plain);
    add_fields(&mut connection, "*", &[("json", r#"{"symbol":"B","price":1,"timestamp":1700000001}"#)]);
    let several =
        r#"[{"symbol":"C","price":1,"timestamp":1700000002},{"symbol":"C","price":2,"timestamp":1700000003}]"#;
    add_fields(&mut connection, "*", &[("tick", several)]);
    for nonsense in [&[("tick", "{")][..], &[("a", "b")], &[("tick", "")], &[("tick", r#"{"symbol":"D"}"#)]] {
        add_fields(&mut connection, "*", nonsense);
    }
    let long = "x".repeat(17 << 20);
    add_fields(&mut connection, "*", &[("tick", &long)]);
    add_fields(&mut connection, "*", &[("tick", &tick("p", 1))]);
    let mut consumer = reading(&url(redis.port), &["--since", "start"]);
    wait_for_ticks(&mut consumer, 5);
    let report = stop(consumer);
    assert_figures(&report, &[("received", 5), ("trimmed", 1), ("other", 1)]);
    let rejected: u64 = report["rejected"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
    assert_eq!(rejected, 3, "{report}");
    assert_eq!(report["symbols"]["700"]["last"], 187.2, "{report}");
}

#[test]
fn every_way_to_a_server_leads_to_its_streams() {
    let dir = tempfile::tempdir().unwrap();
    let (port, socket) = (free_port(), dir.path().join("r.sock"));
    let (port_text, socket_text) = (port.to_string(), socket.to_str().unwrap());
    let options = ["--port", &port_text, "--save", "", "--unixsocket", socket_text];
    let mut server = Launch::new("redis-server").dir(dir.path()).args(options).start();
    server.wait_for_stdout("Ready to accept connections", LIMIT);
    let mut connection = super::fixture::connect(&url(port));
    // Exactly the permissions that a reader needs; they do not even include `CLIENT SETNAME`.
    let rules = ["on", ">secret", "~ticks", "+hello", "+auth", "+ping", "+xread", "+time"];
    redis::cmd("ACL").arg("SETUSER").arg("reader").arg(&rules[..]).query::<()>(&mut connection).unwrap();
    redis::cmd("SELECT").arg(3).query::<()>(&mut connection).unwrap();
    add(&mut connection, "other", 1..=7);
    redis::cmd("SELECT").arg(0).query::<()>(&mut connection).unwrap();
    add(&mut connection, "p", 1..=5);
    for (url, count) in [
        (format!("redis://127.0.0.1:{port}/?protocol=resp3"), 5),
        (format!("redis://127.0.0.1:{port}/3"), 7),
        (format!("redis://reader:secret@127.0.0.1:{port}"), 5),
        (format!("redis://reader:secret@127.0.0.1:{port}/?protocol=resp3"), 5),
        (format!("unix://{socket_text}"), 5),
    ] {
        let mut consumer = reading(&url, &["--since", "start"]);
        wait_for_ticks(&mut consumer, count);
        assert_figures(&stop(consumer), &[("received", count), ("lost", 0)]);
    }
}

#[test]
fn what_is_no_stream_or_must_not_be_read_is_said_at_once() {
    let redis = RedisServer::start();
    let mut connection = super::fixture::connect(&url(redis.port));
    redis::cmd("SET").arg(STREAM).arg("text").query::<()>(&mut connection).unwrap();
    let rules = ["on", ">secret", "~ticks", "+ping"];
    redis::cmd("ACL").arg("SETUSER").arg("guest").arg(&rules[..]).query::<()>(&mut connection).unwrap();
    let guest = format!("redis://guest:secret@127.0.0.1:{}", redis.port);
    for (url, advice) in [(url(redis.port), "--stream"), (guest, "ACL")] {
        let ended = reader(&url, &[]).run(LIMIT).expect_code(1);
        assert!(ended.stderr.contains(advice) && !ended.stderr.contains("secret"), "{ended:?}");
    }
}

#[test]
fn connections_are_known_by_name() {
    let redis = RedisServer::start();
    let mut connection = super::fixture::connect(&url(redis.port));
    let consumer = reading(&url(redis.port), &[]);
    let list: String = redis::cmd("CLIENT").arg("LIST").query(&mut connection).unwrap();
    assert!(list.contains(" name=tickscope-consumer "), "{list}");
    drop(consumer);
}
