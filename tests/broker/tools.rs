//! Redis's own tools and redis-py, with redis-server and with the embedded broker.

use crate::support::process::{Launch, python};
use crate::support::server::{LIMIT, Wire, on_both};
use crate::support::wait::wait_until;

fn redis_cli(port: u16, words: &[&str]) -> String {
    Launch::new("redis-cli").args(["-p", &port.to_string()]).args(words).run(LIMIT).expect_code(0).stdout
}

#[test]
fn redis_cli_sends_single_commands() {
    on_both(|server, port| {
        assert_eq!(redis_cli(port, &["ping"]), "PONG\n", "{server}");
        assert_eq!(redis_cli(port, &["publish", "c", "x"]), "0\n", "{server}");
        assert!(redis_cli(port, &["hello", "3"]).contains("proto 3\n"), "{server}");
        assert_eq!(redis_cli(port, &["-3", "--json", "pubsub", "channels"]), "[]\n", "{server}");
        let info = redis_cli(port, &["info"]);
        assert!(info.contains("redis_version:7.0.15\r\n") && info.contains("# Stats\r\n"), "{server}: {info}");
        assert_eq!(info.contains("server_name:tickscope\r\n"), server != "redis-server", "{server}: {info}");
        assert!(redis_cli(port, &["client", "list"]).contains("cmd=client|list user=default"), "{server}");
    });
}

#[test]
fn redis_cli_subscribes() {
    on_both(|server, port| {
        let args = ["-p", &port.to_string(), "--csv", "psubscribe", "t*"];
        let mut listener = Launch::new("redis-cli").args(args).start();
        listener.wait_for_stdout("\"psubscribe\",\"t*\",1", LIMIT);
        assert_eq!(redis_cli(port, &["publish", "ticks", "one"]), "1\n", "{server}");
        listener.wait_for_stdout("\"pmessage\",\"t*\",\"ticks\",\"one\"", LIMIT);
    });
}

/// Interactive redis-cli sends COMMAND DOCS before it reads the first line. Where that fails, as with Redis 6 and the
/// broker, it sends COMMAND and uses its own help texts.
#[test]
fn redis_cli_reads_commands_from_a_pipe() {
    on_both(|server, port| {
        let ended = Launch::new("redis-cli")
            .args(["-p", &port.to_string()])
            .stdin("multi\npublish c x\nexec\nhelp @pubsub\n")
            .run(LIMIT);
        let stdout = ended.expect_code(0).stdout;
        assert!(stdout.starts_with("OK\nQUEUED\n0\n"), "{server}: {stdout}");
        assert!(stdout.contains("Post a message to a channel"), "{server}: {stdout}");
        assert!(!stdout.contains("ERR"), "{server}: {stdout}");
    });
}

#[test]
fn redis_benchmark_completes() {
    on_both(|server, port| {
        for test in
            [&["-t", "ping"][..], &["publish", "c", "x"], &["xadd", "s", "MAXLEN", "~", "1000", "*", "tick", "x"]]
        {
            let args = ["-p", &port.to_string(), "-q", "-n", "20000", "-P", "16"];
            let ended = Launch::new("redis-benchmark").args(args).args(test).run(LIMIT).expect_code(0);
            assert!(ended.stdout.contains("requests per second"), "{server}: {ended:?}");
            let complaints = ended.stderr.to_lowercase();
            assert!(!complaints.contains("error"), "{server}: {ended:?}");
            // The broker has no CONFIG, which redis-benchmark sends to show two settings.
            let is_warned = complaints.contains("could not fetch server config");
            assert_eq!(is_warned, server != "redis-server", "{server}: {ended:?}");
        }
        assert_eq!(Wire::connect(port).ask("PUBLISH c x"), ":0\r\n", "{server}");
    });
}

#[test]
fn redis_py_publishes_and_subscribes() {
    on_both(|server, port| {
        let ended = python("speak_redis.py").args([port.to_string()]).run(LIMIT).expect_code(0);
        assert_eq!(ended.stdout, "all well\n", "{server}");
    });
}

#[test]
fn redis_py_uses_streams() {
    on_both(|server, port| {
        let ended = python("speak_streams.py").args([port.to_string()]).run(LIMIT).expect_code(0);
        assert_eq!(ended.stdout, "all well\n", "{server}");
    });
}

#[test]
fn redis_cli_uses_streams() {
    on_both(|server, port| {
        assert_eq!(redis_cli(port, &["xadd", "s", "1-1", "tick", "a"]), "1-1\n", "{server}");
        assert_eq!(redis_cli(port, &["xadd", "s", "1-2", "tick", "b"]), "1-2\n", "{server}");
        assert_eq!(redis_cli(port, &["xrange", "s", "-", "+", "count", "1"]), "1-1\ntick\na\n", "{server}");
        assert_eq!(
            redis_cli(port, &["-3", "--json", "xread", "streams", "s", "1-1"]),
            "{\"s\":[[\"1-2\",[\"tick\",\"b\"]]]}\n"
        );
        assert_eq!(redis_cli(port, &["--scan"]), "s\n", "{server}");
        let keyspace = redis_cli(port, &["info", "keyspace"]);
        assert!(keyspace.contains("db0:keys=1,expires=0,avg_ttl=0\r\n"), "{server}: {keyspace}");
        let mut reader = Launch::new("redis-cli")
            .args(["-p", &port.to_string(), "xread", "block", "0", "streams", "s", "$"])
            .start();
        wait_until("redis-cli to wait", LIMIT, || redis_cli(port, &["info", "clients"]).contains("blocked_clients:1"));
        redis_cli(port, &["xadd", "s", "1-3", "tick", "c"]);
        reader.wait_for_stdout("1-3\ntick\nc\n", LIMIT);
    });
}
