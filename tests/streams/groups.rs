//! Consumer groups: each entry goes to one member, and to another one if that member dies.

use std::time::{Duration, Instant};

use redis::Connection;
use serde_json::Value;

use super::fixture::{
    LIMIT, STREAM, add, add_fields, assert_figures, connect, reading, received, stop, tick, url, wait_for_ticks,
};
use crate::support::process::Running;
use crate::support::server::RedisServer;
use crate::support::wait::{wait_for, wait_until};

fn member(port: u16, name: &str, args: &[&str]) -> Running {
    let fixed = ["--group", "g", "--member", name, "--since", "start"];
    reading(&url(port), &[&fixed, args].concat())
}

/// Number of entries delivered and not acknowledged.
fn pending(connection: &mut Connection) -> u64 {
    let summary: redis::streams::StreamPendingReply =
        redis::cmd("XPENDING").arg(STREAM).arg("g").query(connection).unwrap();
    summary.count() as u64
}

/// Member that reads entries and then never acknowledges them.
fn take_and_die(connection: &mut Connection, count: u64) -> Vec<String> {
    let mut make = redis::cmd("XGROUP");
    // The group may exist already.
    let _ = make.arg("CREATE").arg(STREAM).arg("g").arg("0").arg("MKSTREAM").query::<()>(connection);
    let mut read = redis::cmd("XREADGROUP");
    read.arg("GROUP").arg("g").arg("dead").arg("COUNT").arg(count).arg("STREAMS").arg(STREAM).arg(">");
    let reply: redis::streams::StreamReadReply = read.query(connection).unwrap();
    reply.keys[0].ids.iter().map(|entry| entry.id.clone()).collect()
}

fn dead_letters(connection: &mut Connection) -> Vec<Vec<(String, String)>> {
    let dead = format!("{STREAM}:dead");
    let all: Vec<(String, Vec<String>)> = redis::cmd("XRANGE").arg(dead).arg("-").arg("+").query(connection).unwrap();
    let pairs = |fields: &Vec<String>| fields.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    all.iter().map(|(_, fields)| pairs(fields)).collect()
}

#[test]
fn members_share_a_stream_and_each_entry_goes_to_one_of_them() {
    let redis = RedisServer::start();
    let mut connection = connect(&url(redis.port));
    let members: Vec<Running> = ["a", "b", "c"].iter().map(|name| member(redis.port, name, &[])).collect();
    // Adds entries until each member has received some, which takes a while on a busy machine.
    let mut added = 0;
    wait_until("each member to have some", LIMIT, || {
        add(&mut connection, "p", added + 1..=added + 1_000);
        added += 1_000;
        added >= 30_000 && members.iter().all(|member| received(member) > 0)
    });
    wait_until("all entries to be dealt with", LIMIT, || {
        members.iter().map(received).sum::<u64>() >= added && pending(&mut connection) == 0
    });
    let reports: Vec<Value> = members.into_iter().map(stop).collect();
    let counts: Vec<u64> = reports.iter().map(|report| report["received"].as_u64().unwrap()).collect();
    assert_eq!(counts.iter().sum::<u64>(), added, "{counts:?}");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    // Entries of other members do not count as lost.
    for report in &reports {
        assert_figures(report, &[("lost", 0), ("duplicates", 0)]);
    }
    // A member that shuts down gracefully leaves no pending entries.
    assert_eq!(pending(&mut connection), 0);
}

fn trim(connection: &mut Connection, length: u64) {
    redis::cmd("XTRIM").arg(STREAM).arg("MAXLEN").arg(length).query::<()>(connection).unwrap();
}

#[test]
fn what_a_stream_gave_up_before_any_member_was_handed_it_is_counted() {
    let redis = RedisServer::start();
    let mut connection = connect(&url(redis.port));
    let mut make = redis::cmd("XGROUP");
    make.arg("CREATE").arg(STREAM).arg("g").arg("0").arg("MKSTREAM").query::<()>(&mut connection).unwrap();
    add(&mut connection, "p", 1..=40);
    trim(&mut connection, 5);
    let mut one = member(redis.port, "a", &[]);
    wait_for_ticks(&mut one, 5);
    one.signal("STOP");
    add(&mut connection, "p", 41..=140);
    trim(&mut connection, 10);
    // A member checks each second, and before it reads on.
    std::thread::sleep(Duration::from_millis(1_500));
    one.signal("CONT");
    // A read that was pending before the pause may have returned the first of these entries.
    wait_until("the rest", LIMIT, || received(&one) >= 15 && pending(&mut connection) == 0);
    // A member that joins later does not report earlier losses.
    let two = member(redis.port, "b", &[]);
    let (first, second) = (stop(one), stop(two));
    let figure = |name: &str| first[name].as_u64().unwrap_or(0);
    assert_eq!(figure("received") + figure("trimmed"), 140, "{first}");
    assert!(figure("trimmed") >= 35 + 85, "{first}");
    assert_figures(&second, &[("received", 0), ("trimmed", 0)]);
}

#[test]
fn a_group_that_is_made_counts_nothing_that_was_gone_before() {
    let redis = RedisServer::start();
    let mut connection = connect(&url(redis.port));
    add(&mut connection, "p", 1..=40);
    trim(&mut connection, 5);
    let mut one = member(redis.port, "a", &[]);
    wait_for_ticks(&mut one, 5);
    assert_figures(&stop(one), &[("received", 5), ("trimmed", 0)]);
}

#[test]
fn a_group_that_was_taken_away_is_made_again_where_it_was() {
    let redis = RedisServer::start();
    let mut connection = connect(&url(redis.port));
    for price in ["1", "2", "3"] {
        add_fields(&mut connection, "*", &[("symbol", "X"), ("price", price), ("timestamp", "1700000000")]);
    }
    let mut one = member(redis.port, "a", &[]);
    wait_for_ticks(&mut one, 3);
    wait_until("all to be dealt with", LIMIT, || pending(&mut connection) == 0);
    redis::cmd("XGROUP").arg("DESTROY").arg(STREAM).arg("g").query::<()>(&mut connection).unwrap();
    one.wait_for_stderr("NOGROUP", LIMIT);
    add_fields(&mut connection, "*", &[("symbol", "X"), ("price", "4"), ("timestamp", "1700000001")]);
    wait_for_ticks(&mut one, 4);
    assert_figures(&stop(one), &[("received", 4), ("kept", 4)]);
}

#[test]
fn what_a_dead_member_held_is_taken_over_within_five_seconds() {
    let redis = RedisServer::start();
    let mut connection = connect(&url(redis.port));
    let mut living = member(redis.port, "living", &[]);
    add(&mut connection, "p", 1..=10);
    wait_for_ticks(&mut living, 10);
    living.signal("STOP");
    add(&mut connection, "p", 11..=510);
    assert!(take_and_die(&mut connection, 1_000).len() >= 490);
    let died = Instant::now();
    living.signal("CONT");
    wait_until("the dead member's entries to be dealt with", LIMIT, || pending(&mut connection) == 0);
    let taken_over = died.elapsed();
    // The documentation promises 5 s; the rest is an allowance for a busy machine.
    assert!(taken_over < Duration::from_secs(6), "{taken_over:?}");
    wait_for_ticks(&mut living, 510);
    assert_figures(&stop(living), &[("received", 510), ("kept", 510), ("duplicates", 0)]);
}

#[test]
fn a_member_that_works_slowly_is_not_robbed() {
    // The store accepts no entry while another process locks it.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ticks.db");
    let store = format!("sqlite:{}", file.display());
    let redis = RedisServer::start();
    let mut connection = connect(&url(redis.port));
    let slow = member(redis.port, "slow", &["--store", &store]);
    let thief = member(redis.port, "thief", &[]);
    wait_until("the store's tables", LIMIT, || {
        let database = rusqlite::Connection::open(&file).unwrap();
        database.query_row("SELECT count(*) FROM ticks", [], |row| row.get::<_, i64>(0)).is_ok()
    });
    let lock = rusqlite::Connection::open(&file).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    add(&mut connection, "p", 1..=2_000);
    wait_until("all entries to be handed out", LIMIT, || received(&slow) + received(&thief) >= 2_000);
    let held = received(&slow);
    // Twice the idle time after which a member's entries are claimed.
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(pending(&mut connection), held, "nothing was acknowledged before it was committed");
    assert_eq!(received(&thief), 2_000 - held, "nothing was taken over");
    lock.execute_batch("ROLLBACK").unwrap();
    wait_until("what was held to be committed", LIMIT, || pending(&mut connection) == 0);
    drop(thief);
    assert_figures(&stop(slow), &[("received", held), ("duplicates", 0)]);
    let rows = rusqlite::Connection::open(&file).unwrap();
    let count = rows.query_row("SELECT count(*) FROM ticks", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count as u64, held);
}

#[test]
fn what_cannot_be_dealt_with_goes_to_the_dead_letters_and_holds_nobody_up() {
    let redis = RedisServer::start();
    let mut connection = connect(&url(redis.port));
    let nonsense = add_fields(&mut connection, "*", &[("tick", "{nonsense"), ("from", "x")]);
    add(&mut connection, "p", 1..=5);
    // Entry that has crashed every member that read it.
    let poison = add_fields(&mut connection, "*", &[("tick", &tick("p", 6))]);
    add(&mut connection, "p", 7..=9);
    // Entry that is too long for any member.
    add_fields(&mut connection, "*", &[("tick", &"x".repeat(17 << 20))]);
    take_and_die(&mut connection, 100);
    let mut claim = redis::cmd("XCLAIM");
    claim.arg(STREAM).arg("g").arg("dead").arg(0).arg(&poison).arg("RETRYCOUNT").arg(9);
    claim.query::<redis::Value>(&mut connection).unwrap();
    let mut living = member(redis.port, "living", &["--max-deliveries", "3"]);
    wait_for_ticks(&mut living, 8);
    wait_until("nothing to be pending", LIMIT, || pending(&mut connection) == 0);
    let letters = wait_for("both letters", LIMIT, || Some(dead_letters(&mut connection)).filter(|all| all.len() == 2));
    let field = |letter: &[(String, String)], name: &str| {
        letter.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let find = |id: &str| letters.iter().find(|letter| field(letter, "dead_id") == id).unwrap();
    let (nonsense, poison) = (find(&nonsense), find(&poison));
    assert_eq!((field(nonsense, "tick").as_str(), field(nonsense, "from").as_str()), ("{nonsense", "x"));
    assert_eq!(field(nonsense, "dead_reason"), "it holds no tick");
    assert_eq!(
        (field(poison, "dead_reason").as_str(), field(poison, "dead_group").as_str()),
        ("handed out too often", "g")
    );
    assert_eq!(field(poison, "tick"), tick("p", 6));
    // At least, because a reply that exceeded the size limit also counts as a delivery.
    assert!(field(poison, "dead_deliveries").parse::<u64>().unwrap() >= 10, "{poison:?}");
    let report = stop(living);
    assert_figures(&report, &[("received", 8), ("dead_letters", 2), ("trimmed", 1)]);
}

#[test]
fn pending_entries_that_the_stream_gave_up_are_counted() {
    let redis = RedisServer::start();
    let mut connection = connect(&url(redis.port));
    add(&mut connection, "p", 1..=100);
    let ids = take_and_die(&mut connection, 100);
    redis::cmd("XTRIM").arg(STREAM).arg("MINID").arg(&ids[60]).query::<()>(&mut connection).unwrap();
    let mut living = member(redis.port, "living", &[]);
    wait_for_ticks(&mut living, 40);
    wait_until("nothing to be pending", LIMIT, || pending(&mut connection) == 0);
    assert_figures(&stop(living), &[("received", 40), ("trimmed", 60)]);
    // Same under the name of the member to which they were delivered.
    add(&mut connection, "p", 101..=200);
    let ids = take_and_die(&mut connection, 100);
    redis::cmd("XDEL").arg(STREAM).arg(&ids[..30]).query::<()>(&mut connection).unwrap();
    let mut heir = member(redis.port, "dead", &[]);
    wait_for_ticks(&mut heir, 70);
    // Read entries are acknowledged a moment later.
    wait_until("nothing to be pending", LIMIT, || pending(&mut connection) == 0);
    assert_figures(&stop(heir), &[("received", 70), ("trimmed", 30)]);
}

#[test]
fn a_group_whose_stream_was_deleted_is_made_anew() {
    let redis = RedisServer::start();
    let mut connection = connect(&url(redis.port));
    let mut living = member(redis.port, "living", &[]);
    add(&mut connection, "p", 1..=10);
    wait_for_ticks(&mut living, 10);
    redis::cmd("DEL").arg(STREAM).query::<()>(&mut connection).unwrap();
    living.wait_for_stderr("trying again", LIMIT);
    add(&mut connection, "p", 11..=20);
    wait_for_ticks(&mut living, 20);
    assert_figures(&stop(living), &[("received", 20), ("duplicates", 0)]);
}
