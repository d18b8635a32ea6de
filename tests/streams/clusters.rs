//! Real cluster: sharded channels and streams, redirections, moved hash slots, and killed masters.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::streams::StreamRangeReply;
use serde_json::Value;
use tickscope::client::{SHARDS, shard_name};

use super::fixture::{LIMIT, STREAM, assert_figures, received, stop};
use crate::support::cluster::Cluster;
use crate::support::process::{Running, consumer, producer};
use crate::support::wait::wait_until;

const SYMBOLS: &str = "AAPL,GOOG,MSFT,AMZN,NFLX,TSLA,NVDA,META,IBM,INTC,ORCL,CSCO";

fn slot(cluster: &Cluster, shard: u16) -> u16 {
    cluster.ask(cluster.living()[0], &["CLUSTER", "KEYSLOT", &shard_name(STREAM, shard)]).unwrap()
}

/// Source and number of each entry of all shards, in order of arrival.
fn entries(cluster: &Cluster) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for shard in 0..SHARDS {
        let name = shard_name(STREAM, shard);
        let master = cluster.master_of(slot(cluster, shard)).unwrap();
        let reply: StreamRangeReply = cluster.ask(master, &["XRANGE", &name, "-", "+"]).unwrap();
        all.extend(reply.ids.iter().map(|entry| {
            let tick: Value = serde_json::from_str(&entry.get::<String>("tick").unwrap()).unwrap();
            (tick["source"].as_str().unwrap().to_owned(), tick["seq"].as_u64().unwrap())
        }));
    }
    all
}

fn reading(cluster: &Cluster, args: &[&str]) -> Running {
    let launch = consumer().args(["--headless", "--stats", "json", "-v", "--redis", &cluster.url(), "--cluster"]);
    let mut running = launch.args(args).start();
    let word = if args.contains(&"--stream") { "reading the stream" } else { "subscribed at" };
    wait_until("all shards to be read", LIMIT, || running.stderr().matches(word).count() >= usize::from(SHARDS));
    assert!(running.is_running());
    running
}

fn publish(cluster: &Cluster, args: &[&str]) -> Running {
    let fixed = ["--symbols", SYMBOLS, "--quiet", "--stats", "json", "--cluster", "--redis", &cluster.url()];
    producer().args(fixed).args(args).start()
}

#[test]
fn ticks_are_spread_over_the_nodes_and_read_whole_while_a_slot_moves() {
    let cluster = Cluster::start_without_failover();
    let subscriber = reading(&cluster, &[]);
    let reader = reading(&cluster, &["--stream", STREAM, "--since", "start"]);
    let some = reading_some(&cluster);
    let publisher = publish(&cluster, &["--stream", STREAM, "--rate", "2000", "--duration", "8s"]);
    wait_until("some ticks", LIMIT, || received(&reader) > 2_000);
    let moved = slot(&cluster, tickscope::client::shard_of(b"AAPL", SHARDS));
    let from = cluster.master_of(moved).unwrap();
    cluster.migrate(moved, (from + 1) % 3);
    let account = publisher.wait(LIMIT).expect_code(0).json();
    assert_figures(&account, &[("sent", 16_000), ("dropped", 0)]);
    wait_until("all ticks", LIMIT, || received(&reader) >= 16_000);
    let held = entries(&cluster);
    let distinct: BTreeSet<_> = held.iter().cloned().collect();
    assert_eq!(distinct.len(), 16_000);
    let report = stop(reader);
    assert_figures(&report, &[("kept", 16_000), ("lost", 0), ("trimmed", 0)]);
    assert_eq!(report["received"].as_u64().unwrap(), held.len() as u64, "{report}");
    // Messages published while a hash slot moves have no subscriber; the loss is counted.
    let heard = stop(subscriber);
    let figure = |name: &str| heard[name].as_u64().unwrap();
    assert_eq!(figure("kept") + figure("lost"), 16_000, "{heard}");
    assert!(figure("kept") > 12_000, "{heard}");
    let some = stop(some);
    let symbols: BTreeSet<&str> = some["symbols"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(symbols, BTreeSet::from(["AAPL", "IBM"]), "{some}");
}

/// Reader of two symbols, which connects only to the shards of these symbols.
fn reading_some(cluster: &Cluster) -> Running {
    let launch = consumer().args(["--headless", "--stats", "json", "-v", "--symbols", "AAPL,IBM", "--cluster"]);
    let mut running = launch.args(["--redis", &cluster.url(), "--stream", STREAM]).start();
    running.wait_for_stderr("reading the stream", LIMIT);
    std::thread::sleep(Duration::from_millis(300));
    assert!(running.stderr().matches("reading the stream").count() <= 2, "{running:?}");
    running
}

#[test]
fn a_master_that_dies_is_replaced_and_every_entry_that_survives_is_read_once() {
    let mut cluster = Cluster::start();
    let reader = reading(&cluster, &["--stream", STREAM, "--since", "start"]);
    let publisher = publish(&cluster, &["--stream", STREAM, "--rate", "1000", "--duration", "12s"]);
    wait_until("some ticks", LIMIT, || received(&reader) > 2_000);
    cluster.kill(0);
    let account = publisher.wait(LIMIT).expect_code(0).json();
    assert_figures(&account, &[("sent", 12_000), ("dropped", 0)]);
    let held: BTreeSet<_> = entries(&cluster).into_iter().collect();
    // The last entries may be lost with the master, because replication is asynchronous. The reader may have received
    // them.
    wait_until("all ticks", LIMIT, || received(&reader) >= held.len() as u64);
    let report = stop(reader);
    let figure = |name: &str| report[name].as_u64().unwrap();
    assert!(figure("kept") >= held.len() as u64 && figure("kept") <= 12_000, "{} entries, {report}", held.len());
    assert_eq!(figure("kept") + figure("lost"), 12_000, "{} entries, {report}", held.len());
    assert!(figure("reconnects") >= 1, "{report}");
    cluster.restart(0);
}

#[test]
fn what_is_no_cluster_and_what_is_one_are_told_apart() {
    let cluster = Cluster::start_without_failover();
    let alone = crate::support::server::RedisServer::start();
    let url = super::fixture::url(alone.port);
    let ended = consumer().args(["--headless", "--cluster", "--redis", &url]).run(LIMIT).expect_code(1);
    assert!(ended.stderr.contains("omit --cluster"), "{ended:?}");
    let node = format!("redis://127.0.0.1:{}", cluster.port(0));
    let mut consumer = consumer().args(["--headless", "-v", "--stream", STREAM, "--redis", &node]).start();
    // A cluster can be read as a single server, one stream at a time, whichever node holds the stream.
    consumer.wait_for_stderr("reading the stream", LIMIT);
}
