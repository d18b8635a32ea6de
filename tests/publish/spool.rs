//! The spool, with crashes of the producer and failures of the disk.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use super::oracle::{Found, LIMIT, assert_all_there, assert_one_face, assert_without_gap, entries, found};
use crate::support::process::{Launch, producer};
use crate::support::redis_server::RedisServer;
use crate::support::wait::wait_until;

fn spooled(server: &RedisServer, folder: &Path) -> Launch {
    let folder = folder.to_str().unwrap();
    producer()
        .args(["--redis", &server.url(), "--stream", "ticks", "--maxlen", "0", "--stats", "json"])
        .args(["--spool", folder])
}

fn in_stream(server: &RedisServer) -> Found {
    found(entries(&mut server.client().get_connection().unwrap(), "ticks"))
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join("lane-000")).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = files.filter(|path| path.extension().is_some_and(|ext| ext == "ticks")).collect();
    segments.sort();
    segments
}

fn length(server: &RedisServer) -> u64 {
    redis::cmd("XLEN").arg("ticks").query(&mut server.client().get_connection().unwrap()).unwrap()
}

fn wait_for_stream(server: &RedisServer) {
    wait_until("ticks", LIMIT, || length(server) > 50);
}

/// Creates a spool with ticks that the server, now stopped, has not received. Returns their number.
fn left_behind(server: &mut RedisServer, folder: &Path) -> u64 {
    let running = spooled(server, folder).args(["--rate", "1000"]).start();
    wait_for_stream(server);
    server.kill();
    let size =
        || segments(folder).iter().filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.len()).sum::<u64>();
    let before = size();
    wait_until("the spool to grow", LIMIT, || size() > before + 50_000);
    let stats = running.stop("TERM", LIMIT).expect_code(0).json();
    assert_eq!(stats["dropped"], 0, "{stats}");
    stats["spooled"].as_u64().unwrap()
}

#[test]
fn a_producer_that_is_killed_at_any_instant_loses_nothing_it_had_spooled() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let mut dice = 0x9E37_79B9_u64;
    let mut roll = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % sides
    };
    for round in 0..20 {
        let rate = ["--interval", "0"];
        let rate = if round % 3 == 0 { rate } else { ["--rate", "5000"] };
        let before = length(&server);
        let running = spooled(&server, folder.path()).args(rate).start();
        if round % 4 < 2 {
            // Half of the runs are killed while they publish, the others at any point of their start.
            wait_until("it to be at work", LIMIT, || length(&server) > before + 50);
        }
        sleep(Duration::from_millis(50 + roll(250)));
        let frozen = round % 2 == 1;
        if frozen {
            // Ticks made from now on stay in the spool.
            server.process().signal("STOP");
            sleep(Duration::from_millis(20 + roll(100)));
        }
        let ended = running.stop("KILL", LIMIT);
        assert_eq!(ended.code, None, "{ended:?}");
        if frozen {
            server.process().signal("CONT");
        }
    }
    let ended = spooled(&server, folder.path()).args(["--count", "10", "--interval", "0"]).run(LIMIT).expect_code(0);
    let found = in_stream(&server);
    let stats = ended.json();
    assert_all_there(&stats, &found);
    // Numbers continue at the end of the spool. A tick that it lost would leave a missing number, or a number with two
    // payloads.
    assert_without_gap(&found);
    assert_eq!(found.len() as u64, stats["lanes"][0]["last"].as_u64().unwrap());
    assert!(found.len() > 1_000, "{} ticks are too few to tell", found.len());
    assert_eq!((segments(folder.path()).len(), &stats["spooled"]), (0, &0.into()), "all of it is sent");
}

#[test]
fn what_an_outage_left_is_sent_first_and_a_torn_end_is_cut_off() {
    let mut server = RedisServer::start_keeping();
    let folder = tempfile::tempdir().unwrap();
    let left = left_behind(&mut server, folder.path());
    assert!(left > 100, "{left}");
    let last = segments(folder.path()).pop().unwrap();
    OpenOptions::new().append(true).open(last).unwrap().write_all(&[9; 77]).unwrap();
    server.start_again();
    let ended = spooled(&server, folder.path()).args(["--count", "5", "--interval", "0"]).run(LIMIT).expect_code(0);
    assert!(ended.stderr.contains("discarded the last 77 bytes"), "{}", ended.stderr);
    let stats = ended.json();
    assert_eq!((&stats["recovered"], &stats["sent"]), (&left.into(), &(left + 5).into()), "{stats}");
    let found = in_stream(&server);
    assert_all_there(&stats, &found);
    assert_without_gap(&found);
}

#[test]
fn what_another_program_writes_is_taken_before_there_is_a_server() {
    let mut server = RedisServer::start_keeping();
    server.kill();
    let folder = tempfile::tempdir().unwrap();
    // Input that does not fit into memory.
    let input = "{\"symbol\":\"A\",\"price\":1.5,\"timestamp\":1381132800}\n".repeat(20_000);
    let mut running = spooled(&server, folder.path()).args(["--stdin"]).stdin(input).start();
    let size =
        || segments(folder.path()).iter().map(|path| fs::metadata(path).map_or(0, |meta| meta.len())).sum::<u64>();
    wait_until("the spool to grow", LIMIT, || size() > 500_000);
    assert!(running.is_running(), "it waits for the server");
    let stats = running.stop("TERM", LIMIT).expect_code(0).json();
    let left = stats["spooled"].as_u64().unwrap();
    assert!(left > 4_096, "{stats}");
    assert_eq!((&stats["sent"], &stats["dropped"], &stats["lanes"][0]["last"]), (&0.into(), &0.into(), &left.into()));
    server.start_again();
    let again = spooled(&server, folder.path()).args(["--stdin"]).run(LIMIT).expect_code(0).json();
    assert_eq!((&again["recovered"], &again["sent"]), (&left.into(), &left.into()), "{again}");
    let found = in_stream(&server);
    assert_all_there(&again, &found);
    assert_without_gap(&found);
}

#[test]
fn a_bound_that_is_reached_is_counted() {
    let mut server = RedisServer::start_keeping();
    let folder = tempfile::tempdir().unwrap();
    let args = ["--rate", "5000", "--spool-max", "2000"];
    let running = spooled(&server, folder.path()).args(args).start();
    wait_for_stream(&server);
    server.kill();
    sleep(Duration::from_secs(2));
    let stats = running.stop("TERM", LIMIT).expect_code(0).json();
    let lane = &stats["lanes"][0];
    let (dropped, kept) = (stats["dropped"].as_u64().unwrap(), stats["spooled"].as_u64().unwrap());
    assert!(dropped > 1_000 && (1_000..2_600).contains(&kept), "{stats}");
    assert_eq!(lane["sent"].as_u64().unwrap() + dropped + kept, lane["last"].as_u64().unwrap(), "{stats}");
    server.start_again();
    let again = spooled(&server, folder.path()).args(["--count", "1"]).run(LIMIT).expect_code(0).json();
    assert_eq!(again["recovered"], kept, "{again}");
    let found = in_stream(&server);
    assert_all_there(&stats, &found);
    assert_all_there(&again, &found);
}

#[test]
fn a_disk_that_takes_no_more_is_told_and_ticks_go_on() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    // Limits files to 8 KiB. The signal is ignored, so that writes fail with an error and do not end the process.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$@\"";
    let ended = Launch::new("bash")
        .args(["-c", script, "bash", env!("CARGO_BIN_EXE_producer"), "--redis", &server.url(), "--stream", "ticks"])
        .args(["--maxlen", "0", "--rate", "2000", "--count", "5000", "--stats", "json", "--spool"])
        .args([folder.path()])
        .run(LIMIT)
        .expect_code(0);
    assert!(ended.stderr.contains("cannot be written: File too large"), "{}", ended.stderr);
    let stats = ended.json();
    assert_eq!((&stats["sent"], &stats["dropped"]), (&5_000.into(), &0.into()), "{stats}");
    assert!(stats["unspooled"].as_u64().unwrap() > 0, "{stats}");
    let again = spooled(&server, folder.path()).args(["--count", "1"]).run(LIMIT).expect_code(0).json();
    assert_eq!(again["lanes"][0]["last"], 5_001, "{again}");
    let found = in_stream(&server);
    assert_all_there(&stats, &found);
    assert_without_gap(&found);
}

#[test]
fn folders_that_cannot_be_the_spool_are_refused() {
    let server = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let running = spooled(&server, folder.path()).args(["--rate", "100", "--source", "me"]).start();
    wait_for_stream(&server);
    let refused = |launch: Launch, needle: &str| {
        let ended = launch.run(LIMIT).expect_code(2);
        assert!(ended.stderr.contains(needle) && ended.stderr.starts_with("error: --spool"), "{ended:?}");
    };
    refused(spooled(&server, folder.path()), "is in use by another producer");
    running.stop("TERM", LIMIT).expect_code(0);
    refused(spooled(&server, folder.path()).args(["--source", "you"]), "numbers of source me, not of you");
    fs::write(folder.path().join("diary"), "private").unwrap();
    refused(spooled(&server, folder.path()), "holds diary, which is no part of a spool");
    refused(spooled(&server, &folder.path().join("diary")), "diary cannot be used");
    assert_eq!(fs::read_to_string(folder.path().join("diary")).unwrap(), "private");
    assert_one_face(&in_stream(&server));
}
