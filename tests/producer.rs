//! Messages of the producer and their timing, over redis-server and the embedded broker.

use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::process::{Ended, producer};
use crate::support::redis_server::{Server, Subscriber};
use serde_json::Value;

/// Limit of a run that takes seconds on an idle machine.
const LIMIT: Duration = crate::support::wait::GUARD;

const REAL_DAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/us-trades-2013-10-07.csv.gz");
const REAL_DAY_ROWS: usize = 388_417;

/// Defines each test twice: over redis-server and over the embedded broker.
macro_rules! over_both {
    ($($name:ident)*) => {
        mod over_redis {
            $(#[test] fn $name() { super::$name(&super::Server::redis()) })*
        }
        mod over_the_broker {
            $(#[test] fn $name() { super::$name(&super::Server::embedded()) })*
        }
    };
}

over_both! {
    a_count_of_ticks_arrives_in_order_with_all_its_fields
    the_same_seed_gives_the_same_ticks
    the_uniform_model_publishes_the_plainest_tick
    timestamps_come_in_the_form_that_was_asked_for
    a_rate_is_kept_exactly
    a_rate_beyond_reach_is_admitted
    a_trading_day_is_replayed_whole_and_in_order
    a_replay_keeps_the_recorded_distances_at_its_speed
    replayed_ticks_are_stamped_anew_unless_told_otherwise
    standard_input_is_validated_and_published
    the_server_is_found_through_the_environment_and_on_this_machine
    it_says_when_nobody_listens_and_when_somebody_comes
    quiet_is_quiet
}

/// Runs the producer until it exits, and returns the messages that subscribers received.
fn heard(server: &Server, args: &[&str]) -> (Ended, Vec<Value>) {
    let subscriber = server.subscribe("stock_prices");
    let ended = producer().args(["--redis", &server.url(), "--stats", "json"]).args(args).run(LIMIT).expect_code(0);
    (ended, ticks(subscriber))
}

fn ticks(subscriber: Subscriber) -> Vec<Value> {
    subscriber.finish().iter().map(|payload| serde_json::from_str(payload).unwrap()).collect()
}

fn column<T>(ticks: &[Value], key: &str, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    ticks.iter().map(|tick| read(&tick[key]).unwrap_or_else(|| panic!("no {key} in {tick}"))).collect()
}

fn texts(ticks: &[Value], key: &str) -> Vec<String> {
    column(ticks, key, |value| value.as_str().map(str::to_owned))
}

fn numbers(ticks: &[Value], key: &str) -> Vec<f64> {
    column(ticks, key, Value::as_f64)
}

fn unix_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn a_count_of_ticks_arrives_in_order_with_all_its_fields(server: &Server) {
    let subscriber = server.subscribe("elsewhere");
    let before_s = unix_s();
    let ended = producer()
        .args(["--redis", &server.url(), "--channel", "elsewhere", "--symbols", "B,A", "--count", "7"])
        .args(["--interval", "10ms", "--source", "me", "--stats", "json"])
        .run(LIMIT)
        .expect_code(0);
    let after_s = unix_s();
    let payloads = subscriber.finish();
    assert_eq!(payloads.len(), 7);
    assert!(payloads.iter().all(|text| text.starts_with("{\"symbol\":\"")), "symbol comes first");
    let ticks: Vec<Value> = payloads.iter().map(|payload| serde_json::from_str(payload).unwrap()).collect();
    assert_eq!(texts(&ticks, "symbol"), ["B", "A", "B", "A", "B", "A", "B"]);
    assert_eq!(numbers(&ticks, "seq"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    assert_eq!(texts(&ticks, "source"), ["me"; 7]);
    assert!(numbers(&ticks, "price").iter().all(|price| *price > 1.0));
    assert!(numbers(&ticks, "size").iter().all(|size| size % 100.0 == 0.0));
    let times = numbers(&ticks, "timestamp");
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
    assert!(times[0] >= before_s && times[6] <= after_s, "stamped when they left");
    assert!(times[6] - times[0] >= 0.029, "four rounds lie three intervals apart");

    let stats = ended.json();
    assert_eq!((&stats["sent"], &stats["dropped"], &stats["reconnects"]), (&7.into(), &0.into(), &0.into()));
    assert_eq!((&stats["receivers"], &stats["source"]), (&1.into(), &"me".into()));
    let (elapsed_s, rate) = (stats["elapsed_s"].as_f64().unwrap(), stats["rate"].as_f64().unwrap());
    assert!(elapsed_s >= 0.03 && rate > 0.0 && rate <= 200.0, "two ticks every 10 ms are 200 a second: {stats}");
    assert!(ended.stderr.contains("sent 7 ticks in "), "{}", ended.stderr);
}

fn the_same_seed_gives_the_same_ticks(server: &Server) {
    let run = |seed: &str| {
        let (_, ticks) = heard(server, &["--interval", "0", "--count", "3000", "--seed", seed]);
        (texts(&ticks, "symbol"), numbers(&ticks, "price"), numbers(&ticks, "size"))
    };
    let first = run("7");
    assert_eq!(first.0.len(), 3_000);
    assert_eq!(run("7"), first);
    assert_ne!(run("8").1, first.1);
}

fn the_uniform_model_publishes_the_plainest_tick(server: &Server) {
    let (_, ticks) = heard(server, &["--model", "uniform", "--no-seq", "--interval", "0", "--count", "2000"]);
    assert_eq!(ticks.len(), 2_000);
    for tick in &ticks {
        let keys: Vec<&String> = tick.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 3, "{tick}");
    }
    assert!(numbers(&ticks, "price").iter().all(|price| (90.0..=110.0).contains(price)));
}

fn timestamps_come_in_the_form_that_was_asked_for(server: &Server) {
    for (form, divisor) in [("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)] {
        let (_, ticks) = heard(server, &["--count", "1", "--timestamps", form]);
        let seconds = numbers(&ticks, "timestamp")[0] / divisor;
        assert!((unix_s() - seconds).abs() < 60.0, "{form}: {seconds}");
    }
    let (_, ticks) = heard(server, &["--count", "1", "--timestamps", "rfc3339"]);
    let instant: jiff::Timestamp = texts(&ticks, "timestamp")[0].parse().unwrap();
    assert!((unix_s() - instant.as_millisecond() as f64 / 1e3).abs() < 60.0);
}

fn a_rate_is_kept_exactly(server: &Server) {
    let (ended, ticks) = heard(server, &["--rate", "1000", "--duration", "2s"]);
    let stats = ended.json();
    let sent = stats["sent"].as_u64().unwrap();
    // At most 0.1 % below: the producer never sends more than requested.
    assert!((1_998..=2_000).contains(&sent), "{stats}");
    assert_eq!(ticks.len() as u64, sent);
    assert_eq!(texts(&ticks[..4], "symbol"), ["AAPL", "GOOG", "MSFT", "AAPL"], "symbols take turns");
    assert!(stats["elapsed_s"].as_f64().unwrap() >= 2.0, "{stats}");
}

fn a_rate_beyond_reach_is_admitted(server: &Server) {
    let ended = producer()
        .args(["--redis", &server.url(), "--rate", "900000000", "--duration", "1500ms", "--stats", "json"])
        .run(LIMIT)
        .expect_code(0);
    assert!(ended.stderr.contains("cannot keep the rate: asked for 900,000,000/s, reaching "), "{}", ended.stderr);
    let stats = ended.json();
    assert!(stats["sent"].as_u64().unwrap() > 1_000, "{stats}");
    assert!(stats["rate"].as_f64().unwrap() < 100_000_000.0, "{stats}");
}

fn a_trading_day_is_replayed_whole_and_in_order(server: &Server) {
    let (ended, ticks) = heard(server, &["--replay", REAL_DAY, "--speed", "max", "--keep-timestamps"]);
    assert_eq!(ended.json()["sent"], REAL_DAY_ROWS);
    assert_eq!(ticks.len(), REAL_DAY_ROWS);
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(REAL_DAY).unwrap()).read_to_string(&mut text).unwrap();
    for (row, tick) in text.lines().skip(1).zip(&ticks) {
        let [ms, symbol, price, size] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let same = tick["symbol"] == symbol
            && tick["price"].as_f64() == price.parse().ok()
            && tick["size"].as_f64() == size.parse().ok()
            && tick["timestamp"].as_f64().map(|s| (s * 1e3).round()) == ms.parse().ok();
        assert!(same, "{row} became {tick}");
    }
}

fn a_replay_keeps_the_recorded_distances_at_its_speed(server: &Server) {
    // A minute at the opening bell, a thousand times faster than real time.
    let span = ["--from", "2013-10-07T13:30:00Z", "--to", "2013-10-07T13:31:00Z"];
    let args = ["--replay", REAL_DAY, "--speed", "60", "--keep-timestamps", "--symbols", "SPY,IBM"];
    let (ended, ticks) = heard(server, &[&args[..], &span[..]].concat());
    let times = numbers(&ticks, "timestamp");
    assert!(times.len() > 100 && times.iter().all(|t| (1_381_152_600.0..1_381_152_660.0).contains(t)), "{times:?}");
    assert!(texts(&ticks, "symbol").iter().all(|symbol| symbol == "SPY" || symbol == "IBM"));
    let recorded_s = times.last().unwrap() - times[0];
    let elapsed_s = ended.json()["elapsed_s"].as_f64().unwrap();
    assert!(elapsed_s >= recorded_s / 60.0 - 0.001, "{recorded_s} s of the recording passed in {elapsed_s} s");
}

fn replayed_ticks_are_stamped_anew_unless_told_otherwise(server: &Server) {
    let (_, ticks) = heard(server, &["--replay", REAL_DAY, "--rate", "100", "--count", "3"]);
    assert!(numbers(&ticks, "timestamp").iter().all(|t| (unix_s() - t).abs() < 60.0));
    assert_eq!(ticks.len(), 3);
}

fn standard_input_is_validated_and_published(server: &Server) {
    let subscriber = server.subscribe("stock_prices");
    let input = concat!(
        r#"{"symbol":"A","price":1.5,"timestamp":1381132800.25,"seq":900,"source":"other"}"#,
        "\nnot json\n\n",
        r#"[{"symbol":"B","price":"2.5","timestamp":1381132801000},{"symbol":"B","price":null,"timestamp":1}]"#,
        "\n",
        r#"{"symbol":"C","price":3}"#,
        "\n",
        r#"{"symbol":"\u001b[2J","price":-4,"timestamp":"2013-10-07T08:00:03Z"}"#,
    );
    let ended = producer()
        .args(["--redis", &server.url(), "--stdin", "--stats", "json", "--source", "me"])
        .stdin(input)
        .run(LIMIT)
        .expect_code(0);
    let ticks = ticks(subscriber);
    assert_eq!(texts(&ticks, "symbol"), ["A", "B", "\u{1b}[2J"]);
    assert_eq!(numbers(&ticks, "price"), [1.5, 2.5, -4.0]);
    assert_eq!(numbers(&ticks, "timestamp"), [1_381_132_800.25, 1_381_132_801.0, 1_381_132_803.0]);
    assert_eq!(numbers(&ticks, "seq"), [1.0, 2.0, 3.0], "whoever publishes numbers");
    assert_eq!(texts(&ticks, "source"), ["me"; 3]);
    assert_eq!(ended.json()["rejected"], serde_json::json!({"not_json": 1, "missing_field": 2}));
    assert!(ended.stderr.contains("not_json 1 (first in line 2)"), "{}", ended.stderr);
    assert!(!ended.stderr.contains('\u{1b}'), "{}", ended.stderr);
}

fn the_server_is_found_through_the_environment_and_on_this_machine(server: &Server) {
    let subscriber = server.subscribe("stock_prices");
    producer().env("REDIS_URL", &server.url()).args(["--count", "1"]).run(LIMIT).expect_code(0);
    let port = server.port().to_string();
    producer().env("REDIS_URL", "").args(["--count", "1", "--local-port", &port]).run(LIMIT).expect_code(0);
    assert_eq!(subscriber.finish().len(), 2, "both runs met the same server");
}

fn it_says_when_nobody_listens_and_when_somebody_comes(server: &Server) {
    let mut running = producer().args(["--redis", &server.url(), "--rate", "100"]).start();
    running.wait_for_stderr("nobody is subscribed to stock_prices yet", LIMIT);
    let subscriber = server.subscribe("stock_prices");
    running.wait_for_stderr("1 subscribed to stock_prices", LIMIT);
    drop(subscriber.finish());
    running.wait_for_stderr("nobody is subscribed to stock_prices any more", LIMIT);
    running.stop("INT", LIMIT).expect_code(0);
}

fn quiet_is_quiet(server: &Server) {
    let ended = producer().args(["--redis", &server.url(), "--count", "3", "--quiet"]).run(LIMIT).expect_code(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
}
