//! Master monitored by sentinels: found by its name, and found again after a failover.

use std::fs;
use std::time::Duration;

use redis::Connection;
use tempfile::TempDir;

use super::fixture::{LIMIT, STREAM, add, assert_figures, connect, reading, stop, url, wait_for_ticks};
use crate::support::process::{Launch, Running, consumer};
use crate::support::server::free_port;
use crate::support::wait::{wait_for, wait_until};

/// Master, replica, and three sentinels with a quorum of two.
struct Watched {
    master: (u16, Running),
    replica: (u16, Running),
    sentinels: Vec<(u16, Running)>,
    _dir: TempDir,
}

impl Watched {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = |options: &[&str]| {
            let port = free_port();
            let own = dir.path().join(port.to_string());
            fs::create_dir(&own).unwrap();
            let fixed = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""];
            let mut server = Launch::new("redis-server").dir(&own).args(fixed).args(options).start();
            server.wait_for_stdout("Ready to accept connections", LIMIT);
            (port, server)
        };
        let master = server(&[]);
        let replica = server(&["--replicaof", &format!("127.0.0.1 {}", master.0), "--repl-diskless-sync-delay", "0"]);
        let mut connection = connect(&url(master.0));
        wait_until("the replica to be in step", LIMIT, || info(&mut connection).contains("state=online"));
        let sentinels = (0..3).map(|_| {
            let port = free_port();
            let file = dir.path().join(format!("sentinel-{port}.conf"));
            let text = format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {} 2\n\
                 sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 5000\n",
                master.0
            );
            fs::write(&file, text).unwrap();
            let sentinel = Launch::new("redis-server").dir(dir.path()).args([file.to_str().unwrap(), "--sentinel"]);
            (port, sentinel.start())
        });
        let sentinels: Vec<_> = sentinels.collect();
        let watched = Self { master, replica, sentinels, _dir: dir };
        for (port, _) in &watched.sentinels {
            let mut connection = connect(&url(*port));
            wait_until("the sentinels to know each other", LIMIT, || {
                let known: Vec<Vec<String>> =
                    redis::cmd("SENTINEL").arg("SENTINELS").arg("mymaster").query(&mut connection).unwrap_or_default();
                let replicas: Vec<Vec<String>> =
                    redis::cmd("SENTINEL").arg("REPLICAS").arg("mymaster").query(&mut connection).unwrap_or_default();
                known.len() == 2 && replicas.len() == 1
            });
        }
        watched
    }

    fn url(&self) -> String {
        let hosts: Vec<String> = self.sentinels.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/mymaster", hosts.join(","))
    }
}

fn info(connection: &mut Connection) -> String {
    redis::cmd("INFO").arg("replication").query(connection).unwrap_or_default()
}

#[test]
fn a_reader_follows_the_master_from_one_server_to_the_next() {
    let watched = Watched::start();
    let mut old = connect(&url(watched.master.0));
    let mut reader = reading(&watched.url(), &["--since", "start"]);
    let launch = consumer().args(["--headless", "--stats", "json", "-v", "--redis", &watched.url()]);
    let mut subscriber = launch.start();
    subscriber.wait_for_stderr("subscribed at", LIMIT);
    add(&mut old, "p", 1..=1_000);
    wait_for_ticks(&mut reader, 1_000);
    redis::cmd("WAIT").arg(1).arg(0).query::<()>(&mut old).unwrap();

    watched.master.1.signal("KILL");
    // A replica that is promoted drops all connections.
    let new_url = url(watched.replica.0);
    wait_until("the replica to be the master", LIMIT, || info(&mut connect(&new_url)).contains("role:master"));
    let mut new = connect(&new_url);
    add(&mut new, "p", 1_001..=2_000);
    wait_for_ticks(&mut reader, 2_000);
    let publish = |connection: &mut Connection| -> u64 {
        redis::cmd("PUBLISH").arg("stock_prices").arg(super::fixture::tick("q", 1)).query(connection).unwrap()
    };
    wait_for("the subscriber at the new master", LIMIT, || (publish(&mut new) > 0).then_some(()));
    assert_figures(&stop(reader), &[("received", 2_000), ("kept", 2_000), ("lost", 0), ("duplicates", 0)]);
    let report = stop(subscriber);
    assert_eq!(report["reconnects"], 1, "{report}");
    let length: u64 = redis::cmd("XLEN").arg(STREAM).query(&mut new).unwrap();
    assert_eq!(length, 2_000);
}

#[test]
fn sentinels_that_know_no_such_master_are_named() {
    let watched = Watched::start();
    let url = watched.url().replace("mymaster", "nobody");
    let mut consumer = consumer().args(["--headless", "--redis", &url]).start();
    consumer.wait_for_stderr("does not know a master named nobody", LIMIT);
    let ended = consumer.stop("TERM", Duration::from_secs(20)).expect_code(0);
    assert!(ended.stderr.contains("sentinel"), "{ended:?}");
}

#[test]
fn a_server_that_is_no_sentinel_is_told_apart_and_does_not_keep_us_from_the_others() {
    let watched = Watched::start();
    let no_sentinel = format!("redis+sentinel://127.0.0.1:{}", watched.master.0);
    let headless = |url: &str| consumer().args(["--headless", "-v", "--redis", url]);
    let ended = headless(&format!("{no_sentinel}/mymaster")).run(LIMIT).expect_code(1);
    assert!(ended.stderr.contains("is not a sentinel"), "{ended:?}");
    // The order in which addresses are tried is random.
    for _ in 0..3 {
        let url = watched.url().replace("redis+sentinel://", &format!("{no_sentinel},"));
        let mut consumer = headless(&url).start();
        consumer.wait_for_stderr("subscribed at", LIMIT);
        consumer.stop("TERM", Duration::from_secs(20)).expect_code(0);
    }
}
