//! Ticks distributed over a real cluster, with moved hash slots and a killed master.

use std::collections::BTreeMap;

use serde_json::Value;

use super::oracle::{Found, LIMIT, assert_all_there, assert_one_face, assert_without_gap, entries, found, must_arrive};
use crate::support::cluster::{Cluster, MASTERS};
use crate::support::process::{Launch, producer};
use crate::support::server::Wire;
use crate::support::wait::wait_until;

const SHARDS: u16 = 16;

/// Enough symbols for every shard to have some.
const SYMBOLS: usize = 100;

fn stream(shard: u16) -> String {
    format!("ticks:{{{shard}}}")
}

/// Hash slot of a key, according to a node.
fn slot_of(cluster: &Cluster, key: &str) -> u16 {
    cluster.ask(cluster.living()[0], &["CLUSTER", "KEYSLOT", key]).unwrap()
}

fn spread(cluster: &Cluster) -> Launch {
    let symbols: Vec<String> = (0..SYMBOLS).map(|n| format!("S{n}")).collect();
    let args = ["--redis", &cluster.url(), "--stream", "ticks", "--maxlen", "0", "--source", "p", "--stats", "json"];
    producer().args(args).args(["--symbols", &symbols.join(",")])
}

/// Content of all shards.
fn in_streams(cluster: &Cluster) -> Found {
    let shard = |shard| {
        let node = cluster.master_of(slot_of(cluster, &stream(shard))).unwrap();
        entries(&mut cluster.link(node).unwrap(), &stream(shard))
    };
    found((0..SHARDS).flat_map(shard))
}

/// Number of entries in a shard's stream; 0 while its master is down.
fn length(cluster: &Cluster, shard: u16) -> u64 {
    let key = stream(shard);
    let node = cluster.master_of(slot_of(cluster, &key));
    node.and_then(|node| cluster.ask(node, &["XLEN", &key]).ok()).unwrap_or(0)
}

fn wait_for_growth(cluster: &Cluster, shard: u16) {
    let before = length(cluster, shard);
    wait_until("a shard to grow", LIMIT, || length(cluster, shard) > before + 50);
}

#[test]
fn the_cluster_of_these_tests_is_one() {
    let mut cluster = Cluster::start();
    let slot = slot_of(&cluster, "k:{7}");
    let owner = cluster.master_of(slot).unwrap();
    cluster.ask::<()>(owner, &["SET", "k:{7}", "v"]).unwrap();
    let other = (owner + 1) % MASTERS;
    cluster.migrate(slot, other);
    assert_eq!(cluster.master_of(slot), Some(other));
    assert_eq!(cluster.text(other, &["GET", "k:{7}"]), "v");
    cluster.settle();
    cluster.kill(other);
    let heir = cluster.wait_for_takeover(slot, other);
    assert_eq!(cluster.text(heir, &["GET", "k:{7}"]), "v");
    cluster.restart(other);
    cluster.settle();
}

#[test]
fn every_shard_holds_its_ticks_and_its_channel_tells_them() {
    let cluster = Cluster::start_without_failover();
    let owner = cluster.master_of(slot_of(&cluster, &stream(3))).unwrap();
    let mut wire = Wire::connect(cluster.port(owner));
    wire.ask("SSUBSCRIBE stock_prices:{3}");
    let ended = spread(&cluster).args(["--interval", "0", "--count", "20000"]).run(LIMIT).expect_code(0);
    let stats = ended.json();
    assert_eq!((&stats["sent"], &stats["dropped"], &stats["reconnects"]), (&20_000.into(), &0.into(), &0.into()));
    let lanes = stats["lanes"].as_array().unwrap();
    assert_eq!(lanes.len(), usize::from(SHARDS));
    assert!(lanes.iter().all(|lane| lane["sent"].as_u64().unwrap() > 0), "{stats}");
    let found = in_streams(&cluster);
    assert_eq!(found.len(), 20_000);
    assert_all_there(&stats, &found);
    assert_without_gap(&found);
    // A symbol never changes its shard.
    let mut homes: BTreeMap<String, String> = BTreeMap::new();
    for ((source, _), payloads) in &found {
        let tick: Value = serde_json::from_str(payloads.first().unwrap()).unwrap();
        let symbol = tick["symbol"].as_str().unwrap().to_owned();
        assert_eq!(homes.entry(symbol).or_insert_with(|| source.clone()), source);
    }
    let kept = entries(&mut cluster.link(owner).unwrap(), &stream(3));
    for payload in &kept {
        assert!(wire.value().contains(payload.as_str()), "{payload}");
    }
}

#[test]
fn slots_that_move_under_load_cost_nothing() {
    let cluster = Cluster::start_without_failover();
    let running = spread(&cluster).args(["--rate", "4000"]).start();
    for shard in 0..5 {
        wait_for_growth(&cluster, shard);
        let slot = slot_of(&cluster, &stream(shard));
        let from = cluster.master_of(slot).unwrap();
        cluster.migrate(slot, (from + 1) % MASTERS);
        wait_for_growth(&cluster, shard);
    }
    let ended = running.stop("TERM", LIMIT).expect_code(0);
    let stats = ended.json();
    assert_eq!(stats["dropped"], 0, "{stats}");
    let found = in_streams(&cluster);
    assert_all_there(&stats, &found);
    assert_without_gap(&found);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn a_master_that_dies_costs_at_most_what_its_replica_had_not_yet_heard() {
    let mut cluster = Cluster::start();
    let running = spread(&cluster).args(["--rate", "2000"]).start();
    wait_for_growth(&cluster, 0);
    let slot = slot_of(&cluster, &stream(0));
    let dead = cluster.master_of(slot).unwrap();
    let owned = |shard: &u16| cluster.master_of(slot_of(&cluster, &stream(*shard))) == Some(dead);
    let orphans: Vec<String> = (0..SHARDS).filter(owned).map(|shard| format!("p.{shard}")).collect();
    cluster.kill(dead);
    cluster.wait_for_takeover(slot, dead);
    wait_for_growth(&cluster, 0);
    cluster.restart(dead);
    cluster.settle();
    wait_for_growth(&cluster, 0);
    let stats = running.stop("TERM", LIMIT).expect_code(0).json();
    assert_eq!(stats["dropped"], 0, "{stats}");
    let found = in_streams(&cluster);
    assert_one_face(&found);
    // Replication is asynchronous: entries that the master confirmed in its last milliseconds may be lost with it.
    let must = must_arrive(&stats);
    let lost: Vec<_> = must.iter().filter(|key| !found.contains_key(*key)).collect();
    assert!(lost.iter().all(|(source, _)| orphans.contains(source)), "{lost:?}");
    assert!(lost.len() < 200, "{} of {} confirmed ticks: a tenth of a second's", lost.len(), must.len());
}
