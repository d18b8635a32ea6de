//! Writers killed at random instants: rows beyond the checkpoint are read again and recognised.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tickscope::model::StreamId;
use tickscope::storage::db::{RowBatch, TickRow};

use super::fixture::{LIMIT, Place, bare, checkpoint, keeper};
use super::server::Kind;
use crate::support::wait::wait_until;

/// Environment variable that makes the process the writer to be killed, with the store to write to.
const HELPER: &str = "MONGODB_HELPER_URL";

/// Number of kills of a writer.
const KILLS: u32 = 10;

/// More rows than one request to the fake server, which accepts 4,000.
const MARGIN: u64 = 20_000;

fn entry(n: u64) -> TickRow {
    let mut tick = bare("A", n as i64, n as f64);
    tick.id = Some(StreamId { ms: n, seq: 0 });
    tick
}

/// Writes the stream from the store's checkpoint on, until it is killed.
fn write_until_killed(url: &str) {
    let keeper = keeper(&url.parse().unwrap(), None);
    let mut next = checkpoint(&keeper, "s").map_or(1, |id| id.ms + 1);
    let mut random = ChaCha8Rng::seed_from_u64(next);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    loop {
        let count = random.random_range(1..200);
        let ticks: Vec<_> = (next..next + count).map(entry).collect();
        let checkpoint = ticks.last().and_then(|tick| tick.id);
        next += count;
        runtime.block_on(keeper.room());
        keeper.put(RowBatch { stream: Some("s".into()), ticks, checkpoint, ticket: next });
        thread::sleep(Duration::from_micros(random.random_range(0..9_000)));
    }
}

fn reached(place: &Place) -> u64 {
    checkpoint(&place.keeper(), "s").map_or(0, |id| id.ms)
}

/// Kills writers, then lets one finish: the rows are the stream's first entries, each once.
pub fn kill_writers(place: &Place, test: &str) {
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let mut last = 0;
    for round in 0..KILLS {
        let mut helper = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(HELPER, &place.address)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if round % 2 == 0 {
            wait_until("the writer to be at work", LIMIT, || reached(place) > last);
        }
        thread::sleep(Duration::from_millis(random.random_range(0..300)));
        helper.kill().unwrap();
        helper.wait().unwrap();
        let now = reached(place);
        assert!(now >= last, "the checkpoint went back");
        last = now;
    }
    // Rows that were written without their checkpoint are delivered again: those already stored, those that the last
    // request may still store, and new ones.
    let until = place.ticks().len() as u64 + MARGIN;
    let ticks: Vec<_> = (last + 1..=until).map(entry).collect();
    let checkpoint = ticks.last().and_then(|tick| tick.id);
    let status = place.keep(vec![RowBatch { stream: Some("s".into()), ticks, checkpoint, ticket: 1 }]);
    assert_eq!(status.dropped, 0, "{status:?}");
    let kept = place.ticks();
    assert!(kept.iter().zip(1..).all(|(tick, n)| *tick == entry(n)));
    assert_eq!(kept.len() as u64, until);
}

#[test]
fn a_writer_killed_at_any_instant_loses_and_doubles_nothing_on_a_server_alone() {
    if let Ok(address) = std::env::var(HELPER) {
        return write_until_killed(&address);
    }
    let test = "mongo::crashes::a_writer_killed_at_any_instant_loses_and_doubles_nothing_on_a_server_alone";
    kill_writers(&Place::on(Kind::Alone), test);
}

#[test]
fn a_writer_killed_at_any_instant_loses_and_doubles_nothing_in_a_replica_set() {
    if let Ok(address) = std::env::var(HELPER) {
        return write_until_killed(&address);
    }
    let test = "mongo::crashes::a_writer_killed_at_any_instant_loses_and_doubles_nothing_in_a_replica_set";
    kill_writers(&Place::on(Kind::ReplicaSet), test);
}
