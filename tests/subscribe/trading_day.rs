//! A whole trading day arrives completely.

use serde_json::{Value, json};

use super::fixture::{DAY, DAY_TICKS, LIMIT, Publisher, figures, finish, listen, listen_locally, url};
use crate::support::process::{Running, producer, python};
use crate::support::server::{free_port, on_both};

/// Replays the day into `consumer`, and compares the result with the file as an independent program reads it.
fn replay_into(consumer: Running, server: &[&str]) {
    let replay = ["--replay", DAY, "--speed", "max", "--keep-timestamps", "--stats", "json"];
    let sent = producer().args(replay).args(server).run(LIMIT).expect_code(0).json();
    assert_eq!(sent["sent"], DAY_TICKS, "{sent}");
    assert_eq!((&sent["dropped"], &sent["rejected"], &sent["reconnects"]), (&json!(0), &json!({}), &json!(0)));

    let report = finish(consumer, DAY_TICKS, 0);
    assert_eq!((&report["received"], &report["kept"]), (&json!(DAY_TICKS), &json!(DAY_TICKS)), "{report}");
    assert_eq!((&report["lost"], &report["rejected"], &report["reconnects"]), (&json!(0), &json!({}), &json!(0)));
    assert_eq!(report["duplicates"], 0);

    let reference = python("reference_counts.py").args([DAY]).run(LIMIT).expect_code(0).json();
    let symbols = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(symbols(&report["symbols"]), symbols(&reference));
    for (symbol, expected) in reference.as_object().unwrap() {
        let names = ["count", "first", "last", "min", "max"];
        assert_eq!(figures(&report["symbols"][symbol], names), figures(expected, names), "{symbol}");
    }
}

#[test]
fn a_trading_day_arrives_whole_over_both_servers() {
    on_both(|name, port| {
        println!("over {name}");
        if name == "redis-server" {
            // The day is larger than Redis's output buffer limit of 32 MB. Redis would disconnect a consumer that a
            // busy machine delays for a second.
            let mut link = Publisher::connect(port);
            link.ask(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0"]);
        }
        replay_into(listen(port, &[]), &["--redis", &url(port)]);
    });
}

#[test]
fn a_trading_day_arrives_whole_where_no_redis_is_installed() {
    let port = free_port();
    let consumer = listen_locally(port, &[]);
    assert!(consumer.stderr().contains("serving the built-in broker"), "{consumer:?}");
    replay_into(consumer, &["--local-port", &port.to_string()]);
}
