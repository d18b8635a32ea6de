//! `scripts/bench` with small counts, real servers and real peers. The tests assert that all measurements exist and
//! that no message is lost, but not the measured values.

#![allow(dead_code, unreachable_pub, reason = "every program includes all shared support and uses a part of it")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::support::process::Launch;

/// Limit of a run, which may have to build the peers on a busy machine. It only bounds a failed test.
const LIMIT: Duration = Duration::from_mins(15);

/// First port of the benchmark. Its ports are below those of other tests, and depend on the process id.
fn first_port() -> String {
    (12_000 + std::process::id() % 400 * 20).to_string()
}

fn bench(args: &[&str]) -> Launch {
    Launch::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/bench")).args(args)
}

/// Rows of a Markdown table, without its header.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| ")).skip(2);
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn help_names_every_part_and_a_wrong_one_is_refused() {
    let help = bench(&["--help"]).run(LIMIT).expect_code(0).stdout;
    for part in ["ingest", "publish", "memory", "frames", "window", "python", "--quick", "--write"] {
        assert!(help.contains(part), "{part} in {help}");
    }
    let refused = bench(&["ingest", "no-such-part"]).run(LIMIT).expect_code(2);
    assert!(refused.stderr.contains("no-such-part") && refused.stdout.is_empty(), "{refused:?}");
}

#[test]
fn a_small_comparison_has_every_row_and_loses_nothing() {
    // 6,400 messages are a whole number of redis-benchmark's pipelines and fit into every queue on the way.
    let port = first_port();
    let plan = ["--messages", "6400", "--rounds", "1", "--profile", "dev", "--no-install", "--port", &port];
    let ended = bench(&[&["ingest", "publish"][..], &plan].concat()).run(LIMIT).expect_code(0);
    let rows = rows(&ended.stdout);
    let floods = ["ingest", "ingest, patient server", "ingest, producer"];
    let peers = ["raw socket drain", "redis-rs PubSub, async", "redis-rs PubSub, blocking"];
    let figures = ["CPU a message", "received a second", "received of sent", "peak memory"];
    let wanted = floods.iter().flat_map(|flood| peers.iter().map(move |peer| (*flood, *peer)));
    let mut wanted: BTreeSet<_> =
        wanted.flat_map(|(flood, peer)| figures.iter().map(move |figure| (flood, *figure, peer))).collect();
    for figure in ["published a second", "CPU a message"] {
        wanted.insert(("publish", figure, "redis-benchmark -P 64"));
    }
    let found: BTreeSet<_> = rows.iter().map(|row| (row[0], row[1], row[4])).collect();
    assert_eq!(found, wanted, "{ended:?}");
    for row in &rows {
        let numbers = [3, 5, 6].map(|cell: usize| row[cell].replace(',', "").parse::<f64>().unwrap_or(0.0));
        assert!(numbers.iter().all(|number| *number > 0.0), "a figure is missing: {row:?}");
        if row[1] == "received of sent" {
            assert_eq!(numbers, [100.0, 100.0, 1.0], "messages were lost: {row:?}");
        }
    }
    assert_eq!(ended.stdout.matches("6,400 of 6,400 messages.").count(), 12, "{ended:?}");
}
