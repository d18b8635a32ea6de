//! Readers that fall behind until the server disconnects them, and readers that are disconnected for other reasons.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tickscope::broker::BrokerLimits;

use super::fixture::{LIMIT, Publisher, listen, numbered, report, subscribed, url, wait_for_counts};
use crate::support::process::{Running, consumer};
use crate::support::server::{Embedded, RedisServer};
use crate::support::wait::wait_until;

const CHANNEL: &str = "stock_prices";

/// Output buffer limit of the server per subscriber: small, so that a test takes seconds.
const LIMIT_BYTES: usize = 1 << 20;

/// Runs `test` over both kinds of server with that limit.
fn on_both_narrow(test: impl Fn(&str, u16)) {
    let limit = format!("pubsub {LIMIT_BYTES} 0 0");
    test("redis-server", RedisServer::start_with(&["--client-output-buffer-limit", &limit]).port);
    let limits = BrokerLimits { subscriber_hard_bytes: LIMIT_BYTES, ..BrokerLimits::default() };
    test("the embedded broker", Embedded::start_with(limits).port);
}

/// Publishes numbered ticks to a stopped consumer until the server disconnects it, resumes it, and publishes until it
/// is subscribed again and has received `more` ticks. Returns the number of the last tick.
fn stop_flood_and_wake(consumer: &mut Running, publisher: &mut Publisher, more: u64) -> u64 {
    publisher.publish_all(CHANNEL, (1..=1_000).map(|seq| numbered("p-1", seq, seq / 100)));
    wait_for_counts(consumer, 1_000, 0);
    consumer.signal("STOP");
    let mut seq = 1_000;
    let padding = " ".repeat(8 << 10);
    wait_until("the consumer to be cut off", LIMIT, || {
        let sent = (seq + 1..=seq + 50).map(|seq| numbered("p-1", seq, seq / 100) + &padding);
        seq += 50;
        sent.map(|payload| publisher.publish(CHANNEL, payload)).min() == Some(0)
    });
    // The pause makes the test realistic: usual limits disconnect no consumer that was stopped for milliseconds only.
    thread::sleep(Duration::from_secs(1));
    consumer.signal("CONT");
    wait_until("the consumer to be back", LIMIT, || {
        seq += 1;
        publisher.publish(CHANNEL, numbered("p-1", seq, seq / 100)) == 1
    });
    publisher.publish_all(CHANNEL, (seq + 1..=seq + more).map(|seq| numbered("p-1", seq, seq / 100)));
    seq + more
}

/// Waits until everything published before is in the consumer's series map.
fn wait_for_end(consumer: &mut Running, publisher: &mut Publisher) {
    publisher.publish_all(CHANNEL, ["the end, and no tick"]);
    wait_for_counts(consumer, 1_000, 1);
}

/// Waits for that, and stops the consumer. Returns its report.
fn finish_after(mut consumer: Running, publisher: &mut Publisher) -> Value {
    wait_for_end(&mut consumer, publisher);
    report(&consumer.stop("TERM", LIMIT).expect_code(0))
}

#[test]
fn a_reader_that_was_stopped_and_cut_off_says_so_and_counts_every_tick() {
    on_both_narrow(|name, port| {
        let mut consumer = listen(port, &[]);
        let mut publisher = Publisher::connect(port);
        let sent = stop_flood_and_wake(&mut consumer, &mut publisher, 500);
        let needle = "had cut this reader off because it fell too far behind";
        consumer.wait_for_stderr(needle, LIMIT);
        wait_for_end(&mut consumer, &mut publisher);
        let ended = consumer.stop("TERM", LIMIT).expect_code(0);
        assert_eq!(ended.stderr.matches(needle).count(), 1, "{ended:?} over {name}");
        let report = report(&ended);
        let figure = |name: &str| report[name].as_u64().unwrap();
        assert_eq!(figure("received") + figure("lost"), sent, "{report} over {name}");
        assert!(figure("lost") > 0 && figure("received") >= 1_501, "{report} over {name}");
        assert_eq!((&report["cut_off"], &report["reconnects"]), (&json!(1), &json!(1)), "{report} over {name}");
    });
}

#[test]
fn a_reader_that_somebody_disconnects_is_not_called_cut_off() {
    let server = RedisServer::start();
    let mut consumer = listen(server.port, &[]);
    let mut publisher = Publisher::connect(server.port);
    publisher.publish_all(CHANNEL, (1..=1_000).map(|seq| numbered("p-1", seq, seq / 100)));
    wait_for_counts(&mut consumer, 1_000, 0);
    let mut connection = redis::Client::open(url(server.port)).unwrap().get_connection().unwrap();
    let killed: u64 = redis::cmd("CLIENT").arg(&["KILL", "TYPE", "pubsub"]).query(&mut connection).unwrap();
    assert_eq!(killed, 1);
    consumer.wait_for_stderr("closed the connection", LIMIT);
    let mut seq = 1_000;
    wait_until("the consumer to be back", LIMIT, || {
        seq += 1;
        publisher.publish(CHANNEL, numbered("p-1", seq, seq / 100)) == 1
    });
    assert!(!consumer.stderr().contains("cut this reader off"), "{consumer:?}");
    let report = finish_after(consumer, &mut publisher);
    assert_eq!((&report["cut_off"], &report["reconnects"]), (&json!(0), &json!(1)), "{report}");
}

#[test]
fn a_reader_that_may_not_ask_says_that_it_may_have_been_cut_off() {
    let limit = format!("pubsub {LIMIT_BYTES} 0 0");
    let user = "--user reader on >pw ~* &* +@all -info";
    let options: Vec<&str> = ["--client-output-buffer-limit", &limit].into_iter().chain(user.split(' ')).collect();
    let server = RedisServer::start_with(&options);
    let login = format!("redis://reader:pw@127.0.0.1:{}", server.port);
    let mut consumer = subscribed(consumer().args(["--headless", "--stats", "json", "-v"]).env("REDIS_URL", &login));
    let mut publisher = Publisher::connect(server.port);
    let sent = stop_flood_and_wake(&mut consumer, &mut publisher, 1);
    consumer.wait_for_stderr("may have cut this reader off", LIMIT);
    let report = finish_after(consumer, &mut publisher);
    assert_eq!(report["received"].as_u64().unwrap() + report["lost"].as_u64().unwrap(), sent, "{report}");
    assert_eq!((&report["cut_off"], &report["reconnects"]), (&json!(0), &json!(1)), "{report}");
}
