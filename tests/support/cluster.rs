//! Redis Cluster of six redis-server processes on separate ports: three masters, each with a replica.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::server::free_port;
use super::wait::wait_until;

/// Number of masters, and of replicas. Initially node `n + MASTERS` is the replica of node `n`.
pub const MASTERS: usize = 3;

/// Number of hash slots of a cluster.
const SLOTS: usize = 16_384;

/// Longest wait for the nodes to agree; generous, because the machine may be busy.
const LIMIT: Duration = super::wait::GUARD;

struct Node {
    port: u16,
    /// Port of the cluster bus.
    bus_port: u16,
    dir: TempDir,
    child: Option<Child>,
}

/// A running cluster; its nodes are killed when it is dropped.
pub struct Cluster {
    nodes: Vec<Node>,
}

impl Cluster {
    /// Starts a cluster, and waits until it serves all slots and each replica is in sync with its master.
    pub fn start() -> Self {
        let node = || Node { port: free_port(), bus_port: free_port(), dir: tempfile::tempdir().unwrap(), child: None };
        let mut cluster = Self { nodes: (0..MASTERS * 2).map(|_| node()).collect() };
        (0..MASTERS * 2).for_each(|node| cluster.restart(node));
        for (at, node) in cluster.nodes.iter().enumerate() {
            let meet = ["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string(), &node.bus_port.to_string()];
            cluster.run(0, if at == 0 { &["CLUSTER", "SET-CONFIG-EPOCH", "1"] } else { &meet });
        }
        for node in 0..MASTERS {
            let (first, last) = (node * SLOTS / MASTERS, (node + 1) * SLOTS / MASTERS - 1);
            cluster.run(node, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        let all_met = |node| cluster.text(node, &["CLUSTER", "NODES"]).lines().count() == MASTERS * 2;
        wait_until("the nodes to meet", LIMIT, || (0..MASTERS * 2).all(all_met));
        for node in 0..MASTERS {
            let master = cluster.id(node);
            wait_until("a replica to follow", LIMIT, || {
                cluster.ask::<()>(node + MASTERS, &["CLUSTER", "REPLICATE", &master]).is_ok()
            });
        }
        cluster.settle();
        cluster
    }

    /// Starts a cluster whose masters stay masters. A master that a busy machine gives no processor for a second would
    /// otherwise be replaced by its replica, together with the entries that the replica does not have yet.
    pub fn start_without_failover() -> Self {
        let cluster = Self::start();
        for node in cluster.living() {
            cluster.run(node, &["CONFIG", "SET", "cluster-node-timeout", "60000"]);
        }
        cluster
    }

    /// Number of nodes, running or not.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Port of a node on 127.0.0.1.
    pub fn port(&self, node: usize) -> u16 {
        self.nodes[node].port
    }

    /// Returns an address that lists all nodes.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Connects to one node.
    pub fn link(&self, node: usize) -> redis::RedisResult<redis::Connection> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.nodes[node].port))?;
        let link = client.get_connection_with_timeout(Duration::from_secs(2))?;
        link.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(link)
    }

    /// Sends a command to one node and returns the reply.
    pub fn ask<T: redis::FromRedisValue>(&self, node: usize, words: &[&str]) -> redis::RedisResult<T> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut self.link(node)?)
    }

    #[track_caller]
    fn run(&self, node: usize, words: &[&str]) {
        self.ask::<()>(node, words).unwrap_or_else(|error| panic!("node {node}, {words:?}: {error}"));
    }

    /// Sends a command and returns the reply as text; empty if the node is down or replies with an error.
    pub fn text(&self, node: usize, words: &[&str]) -> String {
        self.ask(node, words).unwrap_or_default()
    }

    /// Id of a node within the cluster.
    pub fn id(&self, node: usize) -> String {
        self.text(node, &["CLUSTER", "MYID"])
    }

    /// Nodes that are running.
    pub fn living(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].child.is_some()).collect()
    }

    /// Running master that reports that it serves `slot`.
    pub fn master_of(&self, slot: u16) -> Option<usize> {
        self.living().into_iter().find(|node| self.owned(*node).iter().any(|range| range.contains(&slot)))
    }

    /// Slot ranges that a node reports as its own.
    fn owned(&self, node: usize) -> Vec<std::ops::RangeInclusive<u16>> {
        let text = self.text(node, &["CLUSTER", "NODES"]);
        let Some(line) = text.lines().find(|line| line.contains("myself,master")) else { return Vec::new() };
        let ranges = line.split(' ').skip(8).filter(|range| !range.starts_with('['));
        let ranges = ranges.map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            first.parse().unwrap()..=last.parse().unwrap()
        });
        ranges.collect()
    }

    /// Kills a node with SIGKILL, as in a crash.
    pub fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.nodes[node].child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Restarts a node with its ports and its saved cluster configuration, and waits until it replies.
    pub fn restart(&mut self, node: usize) {
        let Node { port, bus_port, dir, child } = &mut self.nodes[node];
        let (own_port, own_bus_port) = (port.to_string(), bus_port.to_string());
        let started = Command::new("redis-server")
            .args(["--port", &own_port, "--cluster-port", &own_bus_port, "--bind", "127.0.0.1"])
            .args(["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"])
            // These tests stop and restart nodes, so a replica is eligible for election however old its data is.
            .args(["--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"])
            .args(["--save", "", "--appendonly", "no", "--client-output-buffer-limit", "pubsub 0 0 0"])
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server did not start: {error}; run `scripts/test install`"));
        *child = Some(started);
        wait_until("a node to answer", LIMIT, || self.text(node, &["PING"]) == "PONG");
    }

    /// Sends a signal by name to a running node: `STOP`, `CONT`.
    pub fn signal(&self, node: usize, name: &str) {
        let id = self.nodes[node].child.as_ref().unwrap().id();
        let kill = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status().unwrap();
        assert!(kill.success(), "SIG{name} could not be sent to node {node}");
    }

    /// Waits until every running node reports that all slots are served, and each replica is in sync.
    pub fn settle(&self) {
        let ready = |node: &usize| {
            let info = self.text(*node, &["CLUSTER", "INFO"]);
            let role = self.text(*node, &["INFO", "replication"]);
            info.contains("cluster_state:ok")
                && info.contains("cluster_slots_ok:16384")
                && (role.contains("role:master") || role.contains("master_link_status:up"))
        };
        wait_until("the cluster to settle", LIMIT, || self.living().iter().all(ready));
    }

    /// Waits until a running node other than `dead` serves `slot`, and returns it.
    pub fn wait_for_takeover(&self, slot: u16, dead: usize) -> usize {
        let mut heir = None;
        wait_until("a replica to take over", LIMIT, || {
            heir = self.master_of(slot).filter(|node| *node != dead);
            heir.is_some()
        });
        self.settle();
        heir.unwrap()
    }

    /// Migrates a slot with all its keys to another master while clients use it.
    pub fn migrate(&self, slot: u16, to: usize) {
        let from = self.master_of(slot).unwrap();
        if from == to {
            return;
        }
        let (from_id, to_id, slot) = (self.id(from), self.id(to), slot.to_string());
        let port = self.port(to).to_string();
        self.run(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
        self.run(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
        loop {
            let keys: Vec<String> = self.ask(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "100"]).unwrap();
            if keys.is_empty() {
                break;
            }
            let head = ["MIGRATE", "127.0.0.1", &port, "", "0", "10000", "KEYS"];
            let words: Vec<&str> = head.into_iter().chain(keys.iter().map(String::as_str)).collect();
            self.run(from, &words);
        }
        // The new owner is told first, so that no client is redirected to a node that does not yet own the slot.
        self.run(to, &["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
        for node in self.living().into_iter().filter(|node| *node != to) {
            let is_master = self.text(node, &["INFO", "replication"]).contains("role:master");
            if is_master {
                self.run(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.kill(node));
    }
}
