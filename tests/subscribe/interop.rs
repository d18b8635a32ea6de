//! Third-party programs in both directions: Python with redis-py, and redis-cli.

use serde_json::{Value, json};

use super::fixture::{DAY, LIMIT, START_S, figures, finish, listen, listen_locally, tick, url, wait_for_counts};
use crate::support::process::{Ended, Launch, producer, python};
use crate::support::server::{free_port, on_both};

/// Publishes with the Python script. Returns the script's report.
fn publish(port: u16, count: u64, more: &[&str]) -> Value {
    let told =
        python("publish_ticks.py").args([url(port), count.to_string()]).args(more).run(LIMIT).expect_code(0).json();
    assert_eq!(told["sent"], count);
    told
}

fn cli(port: u16, args: &[&str]) -> Ended {
    Launch::new("redis-cli").args(["-p", &port.to_string()]).args(args).run(LIMIT).expect_code(0)
}

#[test]
fn short_python_scripts_are_first_class_producers() {
    let ways: &[&[&str]] = &[
        &[],
        &["--floats"],
        &["--pipeline"],
        &["--batch", "7"],
        &["--batch", "50", "--pipeline", "--floats"],
        &["--batch", "1000"],
    ];
    on_both(|name, port| {
        let mut consumer = listen(port, &[]);
        let mut sent = 0;
        for way in ways {
            // A multiple of neither the number of symbols nor the batch size.
            sent += 301;
            assert_eq!(publish(port, 301, way)["receivers"], 1, "{way:?} over {name}");
            wait_for_counts(&mut consumer, sent, 0);
        }
        let report = finish(consumer, sent, 0);
        assert_eq!((&report["received"], &report["kept"]), (&json!(sent), &json!(sent)), "over {name}");
        assert_eq!((&report["rejected"], &report["lost"]), (&json!({}), &json!(0)), "over {name}");
        let rounds = ways.len() as u64;
        for (symbol, count) in [("AAPL", 101 * rounds), ("GOOG", 100 * rounds), ("MSFT", 100 * rounds)] {
            assert_eq!(report["symbols"][symbol]["count"], count, "{symbol} over {name}");
            let [min, max] = figures(&report["symbols"][symbol], ["min", "max"]);
            assert!(90.0 <= min && min < max && max <= 110.0, "{report}");
        }
    });
}

#[test]
fn a_short_python_script_is_a_first_class_consumer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ticks.csv");
    let rows: Vec<String> = (0..500u64)
        .map(|i| format!("{}.25,{},{}.{:02}\n", START_S + i, ["AIG", "SPY"][i as usize % 2], 100 + i, i % 100))
        .collect();
    std::fs::write(&file, format!("timestamp,symbol,price\n{}", rows.concat())).unwrap();
    let expected = json!({
        "AIG": {"count": 250, "first": 100.0, "last": 598.98, "first_timestamp": START_S as f64 + 0.25,
                "last_timestamp": (START_S + 498) as f64 + 0.25},
        "SPY": {"count": 250, "first": 101.01, "last": 599.99, "first_timestamp": START_S as f64 + 1.25,
                "last_timestamp": (START_S + 499) as f64 + 0.25},
    });
    on_both(|name, port| {
        for (channel, pattern) in [("ticks.live", None), ("ticks.*", Some("--pattern"))] {
            let mut script =
                python("collect_ticks.py").args([&url(port), "500", channel, "--seconds", "80"]).args(pattern).start();
            script.wait_for_stdout("subscribed", LIMIT);
            let replay = ["--speed", "max", "--keep-timestamps", "--channel", "ticks.live", "--stats", "json"];
            let sent = producer()
                .args(["--redis", &url(port), "--replay", file.to_str().unwrap()])
                .args(replay)
                .run(LIMIT)
                .expect_code(0)
                .json();
            assert_eq!((&sent["sent"], &sent["receivers"]), (&json!(500), &json!(1)), "{name}");
            let seen = script.wait(LIMIT).expect_code(0).json();
            for symbol in ["AIG", "SPY"] {
                let names = ["count", "first", "last", "first_timestamp", "last_timestamp"];
                assert_eq!(figures(&seen[symbol], names), figures(&expected[symbol], names), "{symbol} over {name}");
            }
        }
    });
}

#[test]
fn python_programs_meet_at_the_broker_of_a_running_consumer() {
    let port = free_port();
    let consumer = listen_locally(port, &[]);
    assert!(consumer.stderr().contains("serving the built-in broker"), "{consumer:?}");
    let mut script = python("collect_ticks.py").args([&url(port), "300", "stock_prices", "--seconds", "80"]).start();
    script.wait_for_stdout("subscribed", LIMIT);
    assert_eq!(publish(port, 300, &["--pipeline"])["receivers"], 2);
    let seen = script.wait(LIMIT).expect_code(0).json();
    assert_eq!(["AAPL", "GOOG", "MSFT"].map(|symbol| seen[symbol]["count"].as_u64()), [Some(100); 3], "{seen}");
    let report = finish(consumer, 300, 0);
    assert_eq!((&report["kept"], &report["rejected"]), (&json!(300), &json!({})));
}

#[test]
fn python_programs_meet_at_the_broker_of_a_running_producer() {
    let port = free_port();
    let mut owner = producer().args(["--interval", "1h", "--local-port", &port.to_string()]).start();
    owner.wait_for_stderr("serving the built-in broker", LIMIT);
    let mut script = python("collect_ticks.py").args([&url(port), "90", "python", "--seconds", "80"]).start();
    script.wait_for_stdout("subscribed", LIMIT);
    assert_eq!(publish(port, 90, &["python", "--batch", "9"])["receivers"], 1);
    let seen = script.wait(LIMIT).expect_code(0).json();
    assert_eq!(["AAPL", "GOOG", "MSFT"].map(|symbol| seen[symbol]["count"].as_u64()), [Some(30); 3], "{seen}");
    owner.stop("TERM", LIMIT).expect_code(0);
}

#[test]
fn redis_cli_publishes_listens_and_looks_around() {
    on_both(|name, port| {
        let consumer = listen(port, &[]);
        assert_eq!(cli(port, &["PING"]).stdout.trim(), "PONG", "{name}");
        assert!(cli(port, &["PUBSUB", "NUMSUB", "stock_prices"]).stdout.contains("stock_prices\n1"), "{name}");
        assert!(cli(port, &["CLIENT", "LIST"]).stdout.contains("name=tickscope-consumer"), "{name}");
        let mut ear = Launch::new("redis-cli").args(["-p", &port.to_string(), "SUBSCRIBE", "stock_prices"]).start();
        ear.wait_for_stdout("subscribe", LIMIT);
        assert_eq!(cli(port, &["PUBLISH", "stock_prices", &tick("SPY", 168.5, 0)]).stdout.trim(), "2", "{name}");
        ear.wait_for_stdout(&tick("SPY", 168.5, 0), LIMIT);
        let part = ["--replay", DAY, "--speed", "max", "--count", "40", "--symbols", "AIG", "--redis", &url(port)];
        producer().args(part).run(LIMIT).expect_code(0);
        ear.wait_for_stdout(r#""seq":40"#, LIMIT);
        let report = finish(consumer, 41, 0);
        let counts = ["SPY", "AIG"].map(|symbol| report["symbols"][symbol]["count"].as_u64());
        assert_eq!(counts, [Some(1), Some(40)], "{report} over {name}");
    });
}
