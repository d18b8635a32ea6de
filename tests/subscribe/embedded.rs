//! Consumers and producers on a machine without Redis: the first one serves, and a remaining one takes over.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use serde_json::json;

use super::fixture::{LIMIT, Publisher, finish, listen_locally, tick, wait_for_counts};
use crate::support::process::{Launch, Running, consumer, producer};
use crate::support::server::{RedisServer, free_port};
use crate::support::wait::wait_until;

const SERVING: &str = "serving the built-in broker";

/// Producer without a URL.
fn local_producer(port: u16, args: &[&str]) -> Launch {
    producer().args(["--stats", "json", "--local-port", &port.to_string()]).args(args)
}

/// Starts an endless producer of fifty ticks per second.
fn steady_producer(port: u16, symbol: &str) -> Running {
    let mut running = local_producer(port, &["--rate", "50", "--symbols", symbol]).start();
    running.wait_for_stderr("subscribed to stock_prices", LIMIT);
    running
}

/// Publishes this many ticks of a symbol.
fn publish(port: u16, symbol: &str, count: u64) {
    let count = count.to_string();
    let sent = local_producer(port, &["--interval", "0", "--symbols", symbol, "--count", &count]).run(LIMIT);
    assert_eq!(sent.expect_code(0).json()["sent"].to_string(), count);
}

#[test]
fn a_producer_finds_the_consumer_that_serves() {
    let port = free_port();
    let consumer = listen_locally(port, &[]);
    assert!(consumer.stderr().contains(SERVING), "{consumer:?}");
    publish(port, "SPY", 5_000);
    let report = finish(consumer, 5_000, 0);
    assert_eq!((&report["kept"], &report["lost"], &report["reconnects"]), (&json!(5_000), &json!(0), &json!(0)));
}

#[test]
fn a_consumer_finds_the_producer_that_serves() {
    let port = free_port();
    let producer = steady_producer(port, "SPY");
    assert!(producer.stderr().contains(SERVING), "{producer:?}");
    let mut consumer = listen_locally(port, &[]);
    wait_for_counts(&mut consumer, 20, 0);
    assert!(!consumer.stderr().contains(SERVING), "{consumer:?}");
    let report = finish(consumer, 20, 0);
    assert_eq!((&report["lost"], &report["rejected"]), (&json!(0), &json!({})));
    producer.stop("TERM", LIMIT).expect_code(0);
}

/// Stops `running` by a signal, gracefully or not.
fn end(running: Running, signal: &str) {
    let ended = running.stop(signal, LIMIT);
    assert_eq!(ended.code, if signal == "KILL" { None } else { Some(0) }, "{ended:?}");
}

#[test]
fn a_producer_takes_over_when_the_serving_consumer_ends() {
    for signal in ["TERM", "KILL"] {
        let port = free_port();
        let owner = listen_locally(port, &[]);
        let mut producer = steady_producer(port, "SPY");
        end(owner, signal);
        producer.wait_for_stderr(SERVING, LIMIT);
        let mut third = listen_locally(port, &[]);
        assert!(!third.stderr().contains(SERVING), "{third:?}");
        wait_for_counts(&mut third, 20, 0);
        let sent = producer.stop("TERM", LIMIT).expect_code(0).json();
        assert_eq!(sent["reconnects"], 1, "{signal}: {sent}");
        // The last program is alone now, and serves.
        third.wait_for_stderr(SERVING, LIMIT);
        finish(third, 20, 0);
    }
}

#[test]
fn a_consumer_takes_over_when_the_serving_producer_ends() {
    for signal in ["TERM", "KILL"] {
        let port = free_port();
        let owner = steady_producer(port, "OLD");
        let mut consumer = listen_locally(port, &[]);
        wait_for_counts(&mut consumer, 5, 0);
        end(owner, signal);
        consumer.wait_for_stderr(SERVING, LIMIT);
        wait_until("the second subscription", LIMIT, || consumer.stderr().matches("subscribed at").count() == 2);
        publish(port, "NEW", 100);
        // The number of ticks received so far is unknown, because the log is up to a second old. So a message marks the
        // end.
        Publisher::connect(port).publish_all("stock_prices", ["the end, and no tick"]);
        let report = finish(consumer, 100, 1);
        assert_eq!(report["symbols"]["NEW"]["count"], 100, "{signal}: {report}");
        assert_eq!((&report["reconnects"], &report["lost"]), (&json!(1), &json!(0)), "{signal}");
    }
}

#[test]
fn programs_that_start_together_agree_on_one_server() {
    let port = free_port();
    let arguments = ["--headless", "--stats", "json", "-v", "--local-port", &port.to_string()];
    let mut consumers: Vec<_> = (0..5).map(|_| consumer().args(arguments).start()).collect();
    for consumer in &mut consumers {
        consumer.wait_for_stderr("subscribed at", LIMIT);
    }
    publish(port, "SPY", 300);
    let serving = consumers.iter().filter(|consumer| consumer.stderr().contains(SERVING)).count();
    assert_eq!(serving, 1);
    for consumer in &mut consumers {
        wait_for_counts(consumer, 300, 0);
    }
    for consumer in consumers {
        assert_eq!(finish(consumer, 300, 0)["kept"], 300);
    }
}

#[test]
fn a_redis_that_is_there_is_used() {
    let redis = RedisServer::start();
    let consumer = listen_locally(redis.port, &[]);
    publish(redis.port, "SPY", 200);
    Publisher::connect(redis.port).publish_all("stock_prices", [tick("AIG", 49.0, 0)]);
    let clients = Launch::new("redis-cli").args(["-p", &redis.port.to_string(), "CLIENT", "LIST"]).run(LIMIT);
    assert!(clients.stdout.contains("name=tickscope-consumer"), "{clients:?}");
    assert!(!consumer.stderr().contains(SERVING), "{consumer:?}");
    let report = finish(consumer, 201, 0);
    assert_eq!((&report["kept"], &report["lost"]), (&json!(201), &json!(0)));
}

#[test]
fn a_redis_with_a_password_is_not_hidden_by_a_broker() {
    let redis = RedisServer::start_with(&["--requirepass", "s3cr3t"]);
    let port = redis.port.to_string();
    for program in [consumer().args(["--headless"]), producer()] {
        let ended = program.args(["--local-port", &port]).run(LIMIT).expect_code(1);
        assert!(ended.stderr.contains("requires a password; give it with --redis"), "{ended:?}");
    }
}

/// Server that reads a little from every client, replies `answer` and closes the connection. With `None`, it sends
/// nothing and keeps the connection open.
fn listener(answer: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // The thread lives until the test program ends.
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().flatten() {
            if let Some(answer) = answer {
                drop(stream.read(&mut [0; 64]));
                drop(stream.write_all(answer.as_bytes()));
            } else {
                kept.push(stream);
            }
        }
    });
    port
}

#[test]
fn another_program_on_the_port_is_an_error_that_says_so() {
    for answer in [Some("HTTP/1.1 400 Bad Request\r\n\r\n"), Some("-ERR unknown command\r\n"), None] {
        let port = listener(answer).to_string();
        for program in [consumer().args(["--headless"]), producer()] {
            let ended = program.args(["--local-port", &port]).run(LIMIT).expect_code(1);
            assert!(ended.stderr.contains(&format!("a program listens on 127.0.0.1:{port}")), "{answer:?}: {ended:?}");
            assert!(ended.stderr.contains("name the Redis to use with --redis"), "{ended:?}");
            assert!(!ended.stderr.contains(SERVING));
        }
    }
}
