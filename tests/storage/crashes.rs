//! Writers and servers killed at random instants leave exactly what was committed.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tickscope::model::StreamId;
use tickscope::storage::db::{RowBatch, StoreReader, StoreUrl, TickRow};

use super::fixture::{LIMIT, Place, bare, checkpoint, keeper, wait_committed};
use crate::support::postgres::PostgresServer;
use crate::support::wait::wait_until;

/// Environment variable that makes the process the writer to be killed, with the store to write to.
const HELPER: &str = "KEEPING_HELPER_URL";

/// Number of kills of a writer.
const KILLS: u32 = 22;

/// Number of kills of a server.
const SERVER_KILLS: u32 = 6;

/// The stream's `n`th entry, from 1, identified alternately by sequence number and by entry id.
fn entry(n: u64) -> TickRow {
    let symbol = ["AAPL", "MSFT", "SPY"][(n % 3) as usize];
    let mut tick = bare(symbol, n as i64, n as f64);
    if n.is_multiple_of(2) {
        tick.source = Some("p".into());
        tick.seq = Some(n);
    }
    tick.id = Some(StreamId { ms: n, seq: n % 7 });
    tick
}

/// Writes the stream from the store's checkpoint on, until it is killed.
fn write_until_killed(url: &str) {
    let keeper = keeper(&url.parse().unwrap(), None);
    let mut next = checkpoint(&keeper, "s").map_or(1, |id| id.ms + 1);
    let mut random = ChaCha8Rng::seed_from_u64(next);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    loop {
        let count = random.random_range(1..400);
        let ticks: Vec<_> = (next..next + count).map(entry).collect();
        let checkpoint = ticks.last().and_then(|tick| tick.id);
        next += count;
        runtime.block_on(keeper.room());
        keeper.put(RowBatch { stream: Some("s".into()), ticks, checkpoint, ticket: next });
        thread::sleep(Duration::from_micros(random.random_range(0..3_000)));
    }
}

/// Checks that the store holds each entry from 1 to the checkpoint once and unchanged. Returns the checkpoint.
fn check_prefix(url: &StoreUrl) -> u64 {
    let reached = checkpoint(&keeper(url, None), "s").map_or(0, |id| id.ms);
    let mut next = 1;
    let mut reader = StoreReader::open(url).unwrap();
    let count = reader.read(&[], 0, i64::MAX, None, &mut |tick| {
        assert_eq!(*tick, entry(next));
        next += 1;
    });
    assert_eq!(count.unwrap(), reached, "rows and checkpoint");
    reached
}

fn kill_writers(test: &str, place: &Place, address: &str) {
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let mut reached = vec![0];
    place.keep(Vec::new());
    for round in 0..KILLS {
        let mut helper = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(HELPER, address)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if round % 2 == 0 {
            // Half of the kills come at any instant of a writer's start, the others while it is at work.
            let last = reached.last().copied().unwrap_or(0);
            wait_until("the writer to be at work", LIMIT, || {
                place.sql("SELECT coalesce(max(id_ms), 0) FROM streams").parse::<u64>().unwrap() > last
            });
        }
        thread::sleep(Duration::from_millis(random.random_range(0..400)));
        assert_eq!(helper.try_wait().unwrap(), None, "the writer ended by itself");
        helper.kill().unwrap();
        helper.wait().unwrap();
        reached.push(check_prefix(&place.url));
    }
    assert!(reached.is_sorted(), "{reached:?}");
    let progress = reached.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!(progress as u32 >= KILLS / 2, "{reached:?}");
}

#[test]
fn a_file_holds_exactly_what_its_checkpoint_says_whenever_the_writer_is_killed() {
    if let Ok(address) = std::env::var(HELPER) {
        return write_until_killed(&address);
    }
    let place = Place::file();
    let StoreUrl::Sqlite(path) = &place.url else { panic!("a file") };
    let address = format!("sqlite:{}", path.display());
    let test = "storage::crashes::a_file_holds_exactly_what_its_checkpoint_says_whenever_the_writer_is_killed";
    kill_writers(test, &place, &address);
    assert_eq!(place.sql("PRAGMA integrity_check"), "ok");
}

#[test]
fn a_server_holds_exactly_what_its_checkpoint_says_whenever_the_writer_is_killed() {
    if let Ok(address) = std::env::var(HELPER) {
        return write_until_killed(&address);
    }
    let server = Arc::new(PostgresServer::start());
    let place = Place::on(&server, "killed");
    let address = server.url("killed");
    let test = "storage::crashes::a_server_holds_exactly_what_its_checkpoint_says_whenever_the_writer_is_killed";
    kill_writers(test, &place, &address);
}

#[test]
fn a_server_killed_in_mid_load_loses_and_doubles_nothing() {
    let server = PostgresServer::start();
    let url = server.url("ticks").parse().unwrap();
    kill_server_in_mid_load(server, &url);
}

/// Writes to the database at `url` while its `server` is killed repeatedly.
pub fn kill_server_in_mid_load(mut server: PostgresServer, url: &StoreUrl) {
    let keeper = keeper(url, None);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let (mut next, mut bare_rows) = (1, 0);
    for _ in 0..SERVER_KILLS {
        let mut fill = |random: &mut ChaCha8Rng| {
            for _ in 0..random.random_range(20..120) {
                let count = random.random_range(1..800);
                let ticks: Vec<_> = (next..next + count).map(entry).collect();
                let checkpoint = ticks.last().and_then(|tick| tick.id);
                next += count;
                let stream = RowBatch { stream: Some("s".into()), ticks, checkpoint, ticket: next };
                assert_eq!(keeper.offer(stream), 0);
                // Rows without identity: only their transaction distinguishes them.
                let ticks = vec![bare("BARE", 0, 1.0); 10];
                bare_rows += 10;
                assert_eq!(keeper.offer(RowBatch { stream: None, ticks, checkpoint: None, ticket: next }), 0);
            }
        };
        fill(&mut random);
        thread::sleep(Duration::from_millis(random.random_range(0..250)));
        server.kill();
        // Rows queue while the server is down.
        fill(&mut random);
        server.start_again();
        thread::sleep(Duration::from_millis(random.random_range(0..400)));
    }
    wait_committed(&keeper, next);
    let status = keeper.close(LIMIT);
    assert_eq!((status.dropped, status.waiting), (0, 0), "{status:?}");
    let count = "SELECT count(*) FILTER (WHERE symbol = 'BARE'), count(*) FILTER (WHERE symbol <> 'BARE'), \
                 count(DISTINCT id), max(price) FROM ticks_view";
    let all = next - 1;
    assert_eq!(server.psql("ticks", count), format!("{bare_rows}|{all}|{all}|{all}"));
    assert_eq!(keeper_checkpoint(url), all);
}

fn keeper_checkpoint(url: &StoreUrl) -> u64 {
    checkpoint(&keeper(url, None), "s").map_or(0, |id| id.ms)
}
