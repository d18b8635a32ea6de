//! Ticks spread over a real cluster.

use crate::support::cluster::Cluster;

/// The slot of a key, as a node says.
fn slot_of(cluster: &Cluster, key: &str) -> u16 {
    cluster.ask(0, &["CLUSTER", "KEYSLOT", key]).unwrap()
}

#[test]
fn the_cluster_of_these_tests_is_one() {
    let mut cluster = Cluster::start();
    let slot = slot_of(&cluster, "k:{7}");
    let owner = cluster.master_of(slot).unwrap();
    cluster.ask::<()>(owner, &["SET", "k:{7}", "v"]).unwrap();
    let other = (owner + 1) % 3;
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
