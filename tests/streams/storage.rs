//! Stream and store hold the same ticks, whichever process is killed.

use std::collections::BTreeSet;
use std::path::Path;

use super::fixture::{
    Durable, LIMIT, STREAM, add, assert_figures, connect, entries, reading, stop, url, wait_for_ticks,
};
use crate::support::server::RedisServer;
use crate::support::wait::wait_until;

/// Source and number of each row.
fn rows(file: &Path) -> Vec<(String, u64)> {
    let database = rusqlite::Connection::open(file).unwrap();
    let mut statement = database.prepare("SELECT source, seq FROM ticks_view").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn count(file: &Path) -> u64 {
    let database = rusqlite::Connection::open(file);
    let count = database.and_then(|database| database.query_row("SELECT count(*) FROM ticks", [], |row| row.get(0)));
    count.unwrap_or(0_i64) as u64
}

#[test]
fn a_consumer_that_is_killed_goes_on_where_its_store_ends() {
    let redis = RedisServer::start();
    let mut connection = connect(&url(redis.port));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ticks.db");
    let store = format!("sqlite:{}", file.display());
    for round in 0..8 {
        let consumer = reading(&url(redis.port), &["--store", &store]);
        add(&mut connection, "p", round * 3_000 + 1..=(round + 1) * 3_000);
        // Kill in the middle of the writes.
        wait_until("some rows", LIMIT, || count(&file) > round * 2_500);
        consumer.signal("KILL");
        consumer.wait(LIMIT);
    }
    let mut consumer = reading(&url(redis.port), &["--store", &store]);
    wait_until("all rows", LIMIT, || count(&file) == 24_000);
    consumer.wait_for_stderr("ticks from sqlite:", LIMIT);
    let report = stop(consumer);
    assert_figures(&report, &[("lost", 0), ("duplicates", 0), ("kept", 24_000)]);
    let (mut kept, mut sent) = (rows(&file), entries(&mut connection, STREAM));
    kept.sort_unstable();
    sent.sort_unstable();
    assert!(kept == sent, "{} rows, {} entries", kept.len(), sent.len());
}

#[test]
fn an_entry_that_was_appended_twice_is_kept_once() {
    let mut redis = Durable::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ticks.db");
    let store = format!("sqlite:{}", file.display());
    let mut consumer = reading(&url(redis.port), &["--store", &store, "--since", "start"]);
    add(&mut redis.connect(), "p", (1..=500).chain(401..=600));
    wait_for_ticks(&mut consumer, 700);
    redis.die();
    redis.come_back();
    add(&mut redis.connect(), "p", 501..=700);
    wait_for_ticks(&mut consumer, 900);
    let report = stop(consumer);
    assert_figures(&report, &[("received", 900), ("kept", 700), ("duplicates", 200), ("lost", 0)]);
    assert_figures(&report["store"], &[("written", 700), ("duplicates", 200), ("dropped", 0)]);
    let kept: BTreeSet<(String, u64)> = rows(&file).into_iter().collect();
    assert_eq!((kept.len(), count(&file)), (700, 700));
}

#[test]
fn a_store_that_cannot_be_used_is_said_at_once() {
    let redis = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("letter.txt");
    std::fs::write(&file, "Dear Sir or Madam, this is no database at all, it is a letter of some length.").unwrap();
    let store = format!("sqlite:{}", file.display());
    let ended = super::fixture::reader(&url(redis.port), &["--store", &store]).run(LIMIT).expect_code(2);
    assert!(ended.stderr.contains("letter.txt"), "{ended:?}");
}

#[test]
fn what_is_not_shown_is_kept_and_is_no_loss_in_the_next_run() {
    let redis = RedisServer::start();
    let mut connection = connect(&url(redis.port));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ticks.db");
    let store = format!("sqlite:{}", file.display());
    for round in 0..3 {
        add(&mut connection, "p", round * 300 + 1..=(round + 1) * 300);
        let mut consumer = reading(&url(redis.port), &["--store", &store, "--symbols", "A"]);
        wait_until("all rows", LIMIT, || count(&file) == (round + 1) * 300);
        if round > 0 {
            // The reader does not wait for a store that is slow to load; stored ticks arrive beside those of the
            // stream.
            consumer.wait_for_stderr("ticks from sqlite:", LIMIT);
        }
        let report = stop(consumer);
        assert_figures(&report, &[("lost", 0), ("duplicates", 0), ("kept", (round + 1) * 100)]);
    }
    // Start before the store's checkpoint: nothing is stored twice, and nothing is skipped.
    add(&mut connection, "p", 901..=1_000);
    let consumer = reading(&url(redis.port), &["--store", &store, "--since", "start"]);
    wait_until("all rows", LIMIT, || count(&file) == 1_000);
    let mut consumer = consumer;
    wait_for_ticks(&mut consumer, 1_000);
    let report = stop(consumer);
    assert_figures(&report, &[("lost", 0), ("received", 1_000), ("kept", 1_000)]);
    assert_figures(&report["store"], &[("written", 100), ("duplicates", 900), ("dropped", 0)]);
}
