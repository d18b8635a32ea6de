//! Messages that are invalid in every way that JSON and ticks allow, mixed with valid ticks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fixture::{LIMIT, Publisher, finish, listen, report, tick, wait_for_counts};
use crate::support::server::{RedisServer, on_both};

const CHANNEL: &str = "stock_prices";

/// Texts that must be rejected, by the reported cause.
const BAD_TEXTS: &[(&str, &[&str])] = &[
    (
        "not_json",
        &[
            "",
            " ",
            "\n\t\r ",
            "{",
            "[",
            "]",
            "}",
            "{]",
            "[}",
            "\"",
            "nul",
            "nulll",
            "True",
            "NaN",
            "-Infinity",
            "abc",
            "+1",
            "01",
            "1.",
            ".5",
            "1e",
            "0x10",
            "1 2",
            "'A'",
            "\"\\x41\"",
            "\"\\u00g0\"",
            "\"tab\there\"",
            "{\"symbol\"",
            "{\"symbol\":",
            "{\"symbol\":\"A\"",
            "{\"symbol\":\"A\",",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":1",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":1,}",
            "{\"symbol\":\"A\",,\"price\":1,\"timestamp\":1}",
            "{\"symbol\":\"A\" \"price\":1,\"timestamp\":1}",
            "{\"symbol\" \"A\",\"price\":1,\"timestamp\":1}",
            "{\"symbol\"=\"A\",\"price\":1,\"timestamp\":1}",
            "{symbol:\"A\",price:1,timestamp:1}",
            "{'symbol':'A','price':1,'timestamp':1}",
            "{1:1}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":1}}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":1}{\"symbol\":\"A\",\"price\":1,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":1} trailing",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":1}\0",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":1}//",
            "/* */{\"symbol\":\"A\",\"price\":1,\"timestamp\":1}",
            "{\"symbol\":\"A\nB\",\"price\":1,\"timestamp\":1}",
            "{\"symbol\":\"\u{1b}[31m\",\"price\":1,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":+1,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":1.,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":.1,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":007,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":1e,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":--1,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":1_000,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":undefined,\"timestamp\":1}",
            "\u{feff}{\"symbol\":\"A\",\"price\":1,\"timestamp\":1}",
            "\u{a0}{\"symbol\":\"A\",\"price\":1,\"timestamp\":1}",
        ],
    ),
    ("not_object", &["null", "true", "17", "-0", "1e999", "\"AAPL\""]),
    (
        "missing_field",
        &[
            "{}",
            "[{}]",
            "{\"symbol\":\"A\"}",
            "{\"price\":1,\"timestamp\":1}",
            "{\"symbol\":null,\"price\":1,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":null,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":null}",
        ],
    ),
    (
        "duplicate_key",
        &[
            "{\"symbol\":\"A\",\"symbol\":\"B\",\"price\":1,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":1,\"price\":1,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":1,\"\\u0074imestamp\":2}",
        ],
    ),
    (
        "bad_symbol",
        &[
            "{\"symbol\":\"\",\"price\":1,\"timestamp\":1}",
            "{\"symbol\":true,\"price\":1,\"timestamp\":1}",
            "{\"symbol\":[\"A\"],\"price\":1,\"timestamp\":1}",
            "{\"symbol\":{\"A\":1},\"price\":1,\"timestamp\":1}",
            "{\"symbol\":\"\\ud800\",\"price\":1,\"timestamp\":1}",
            "{\"symbol\":\"\\udc00\\ud800\",\"price\":1,\"timestamp\":1}",
        ],
    ),
    (
        "bad_price",
        &[
            "{\"symbol\":\"A\",\"price\":true,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":[],\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":{\"p\":1},\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":\"\",\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":\"ten\",\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":\"1,5\",\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":\"0x10\",\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":\"\\u001b[2J\",\"timestamp\":1}",
        ],
    ),
    (
        "not_finite",
        &[
            "{\"symbol\":\"A\",\"price\":1e400,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":-1e400,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":1e99999999999999999999,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":\"NaN\",\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":\"-inf\",\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":NaN,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":Infinity,\"timestamp\":1}",
            "{\"symbol\":\"A\",\"price\":-Infinity,\"timestamp\":1}",
        ],
    ),
    (
        "bad_timestamp",
        &[
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":\"\"}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":\"today\"}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":\"2013-13-07T13:30:00Z\"}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":false}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":[1]}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":\"\\ud834\"}",
        ],
    ),
    (
        "before_1970",
        &[
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":-1}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":-1e999}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":\"1969-12-31T23:59:59Z\"}",
        ],
    ),
    (
        "in_future",
        &[
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":9999999999}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":1e999}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":99999999999999999999999999999999999999}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":\"2261-01-01T00:00:00Z\"}",
        ],
    ),
    (
        "bad_size",
        &[
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":1,\"size\":-1}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":1,\"size\":\"many\"}",
            "{\"symbol\":\"A\",\"price\":1,\"timestamp\":1,\"size\":1e400}",
        ],
    ),
];

/// Messages that are no ticks and resemble none.
const OTHERS: &[&str] = &["[3]", "[null]", "[[]]", "[\"symbol\"]", "{\"\":\"\"}", "{\"event\":\"heartbeat\"}"];

/// Bytes that are not UTF-8.
const BAD_BYTES: &[&[u8]] = &[
    b"\xff",
    b"\xfe\xff\x00{\x00}",
    b"{\"symbol\":\"\xff\",\"price\":1,\"timestamp\":1}",
    b"{\"symbol\":\"\xc0\x80\",\"price\":1,\"timestamp\":1}",
    b"{\"symbol\":\"\xed\xa0\x80\",\"price\":1,\"timestamp\":1}",
    b"{\"symbol\":\"A\",\"price\":1,\"timestamp\":1,\"x\":\"\xe2\x82\"}",
    b"\x80\x9b31m",
];

/// Messages that are invalid because of their size alone.
fn big_ones() -> Vec<(&'static str, String)> {
    let million = "9".repeat(1_000_000);
    let field = |price: &str, time: &str| format!(r#"{{"symbol":"A","price":{price},"timestamp":{time}}}"#);
    vec![
        ("not_json", "[".repeat(100_000)),
        ("not_json", "{\"a\":".repeat(100_000)),
        ("not_json", "{\"symbol\":".repeat(100_000)),
        ("not_finite", field(&million, "1")),
        ("in_future", field("1", &million)),
        ("bad_price", field(&format!("\"{}\"", "x".repeat(1_000_000)), "1")),
        ("bad_symbol", format!(r#"{{"symbol":"{million}","price":1,"timestamp":1}}"#)),
        ("bad_symbol", format!(r#"{{"symbol":"{}","price":1,"timestamp":1}}"#, "A".repeat(65))),
        ("not_object", format!("\"{million}\"")),
    ]
}

/// All invalid messages with their causes.
fn bad_messages() -> Vec<(&'static str, Vec<u8>)> {
    let texts = BAD_TEXTS.iter().flat_map(|(cause, texts)| texts.iter().map(|text| (*cause, text.as_bytes().to_vec())));
    let bytes = BAD_BYTES.iter().map(|bytes| ("not_utf8", bytes.to_vec()));
    let big = big_ones().into_iter().map(|(cause, text)| (cause, text.into_bytes()));
    texts.chain(bytes).chain(big).collect()
}

/// Unusual but valid ticks, all of the symbol `GOOD`.
fn odd_but_good() -> Vec<String> {
    let with = |rest: &str| format!(r#"{{"symbol":"GOOD","price":1.5,"timestamp":1381152600{rest}}}"#);
    vec![
        with(""),
        format!("\r\n\t {} \n", with("")),
        r#"{"timestamp":"2013-10-07T09:30:00-04:00","price":"1.5","symbol":"\u0047OOD"}"#.to_owned(),
        r#"{"symbol":"GOOD","price":15e-1,"timestamp":1381152600000000000}"#.to_owned(),
        with(r#","other":1,"other":2"#),
        with(r#","other":"\ud800""#),
        with(r#","size":null,"seq":null,"source":null"#),
        with(r#","seq":-1,"source":7"#),
        with(r#","seq":18446744073709551616,"source":"p""#),
        with(&format!(r#","other":{}{}"#, "[".repeat(100_000), "]".repeat(100_000))),
        with(&format!(r#","other":{}1{}"#, "{\"a\":".repeat(100_000), "}".repeat(100_000))),
        with(&format!(r#","other":"{}""#, "y".repeat(1_000_000))),
        with(&format!(r#","source":"{}","seq":1"#, "s".repeat(1_000))),
        format!("{}.{}", r#"{"symbol":"GOOD","timestamp":1381152600,"price":1"#, "5".repeat(10_000) + "}"),
        format!("[{}]", with("")),
        r#"{"Symbol":"GOOD","Price":1.5,"Timestamp":1381152600}"#.to_owned(),
        format!(r#"{{"data":{}}}"#, with("")),
        r#"{"s":"GOOD","p":"1.5","T":1381152600000}"#.to_owned(),
        r#"{"symbol":"GOOD","price":1.5}"#.to_owned(),
    ]
}

#[test]
fn no_bad_message_costs_a_good_tick() {
    let (bad, good) = (bad_messages(), odd_but_good());
    let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
    for (cause, _) in &bad {
        *causes.entry(*cause).or_default() += 1;
    }
    assert!(bad.len() > 120 && causes.len() == 12, "every kind is in the list: {causes:?}");
    on_both(|name, port| {
        let consumer = listen(port, &[]);
        let mut publisher = Publisher::connect(port);
        for (i, (_, bytes)) in bad.iter().enumerate() {
            publisher.publish(CHANNEL, bytes);
            publisher.publish(CHANNEL, tick("GOOD", 1.5, i as u64));
        }
        publisher.publish_all(CHANNEL, OTHERS);
        publisher.publish_all(CHANNEL, [format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))]);
        publisher.publish_all(CHANNEL, &good);
        let total = (bad.len() + good.len()) as u64;
        let report = finish(consumer, total, bad.len() as u64);
        assert_eq!(report["rejected"], json!(causes), "over {name}");
        assert_eq!(report["other"], OTHERS.len() + 1, "over {name}");
        assert_eq!((&report["received"], &report["kept"]), (&json!(total), &json!(total)), "over {name}");
        assert_eq!(report["symbols"].as_object().unwrap().keys().collect::<Vec<_>>(), ["GOOD"]);
        assert_eq!(report["symbols"]["GOOD"]["count"], total);
    });
}

#[test]
fn each_object_of_an_array_stands_for_itself() {
    let (a, b) = (tick("A", 1.0, 0), tick("B", 2.0, 1));
    let cases: &[(String, u64, Value)] = &[
        ("[]".to_owned(), 0, json!({})),
        (format!("[{a}, 3, {{}}, [{a}], {b}, null]"), 2, json!({"not_object": 3, "missing_field": 1})),
        (format!("[{a},{b},{{\"sym"), 2, json!({"not_json": 1})),
        (format!("[{a},{b}] {a}"), 2, json!({"not_json": 1})),
        (format!("[{a},,{b}]"), 1, json!({"not_json": 1})),
        (format!("[{a},{{\"symbol\":\"A\",\"price\":\"?\",\"timestamp\":1}},{b}]"), 2, json!({"bad_price": 1})),
        (format!("[{}{a}]", format!("{b},").repeat(50_000)), 50_001, json!({})),
    ];
    on_both(|name, port| {
        let consumers: Vec<_> = (0..cases.len()).map(|i| listen(port, &["--channel", &format!("case.{i}")])).collect();
        let mut publisher = Publisher::connect(port);
        for (i, (message, ..)) in cases.iter().enumerate() {
            publisher.publish_all(&format!("case.{i}"), [message, &a]);
        }
        for (consumer, (message, good, rejected)) in consumers.into_iter().zip(cases) {
            let message: String = message.chars().take(100).collect();
            let report = finish(consumer, good + 1, 0);
            assert_eq!((&report["kept"], &report["rejected"]), (&json!(good + 1), rejected), "{message} over {name}");
        }
    });
}

/// Symbols that would clear a screen, colour it, ring the bell, end a line, or reverse text.
const EVIL_SYMBOLS: &[&str] = &[
    "\u{1b}[2J",
    "\u{1b}]0;owned\u{7}",
    "\u{9b}31m",
    "A\rB\n",
    "\u{7f}\u{8}\0",
    "\u{202e}LPAA\u{2066}",
    "\u{feff}\u{200b}",
];

#[test]
fn symbols_cannot_steer_a_terminal() {
    on_both(|name, port| {
        let folder = tempfile::tempdir().unwrap();
        let picture = folder.path().join("chart.svg");
        let consumer = listen(port, &["--snapshot", picture.to_str().unwrap()]);
        let mut publisher = Publisher::connect(port);
        // Rejected messages are logged, the first one immediately.
        publisher.publish(CHANNEL, "\u{1b}[2J \u{9b}31m \u{202e} \u{7}\r\n\u{7f} \u{feff} not JSON");
        for symbol in EVIL_SYMBOLS {
            let tick = json!({"symbol": symbol, "price": 1, "timestamp": 1_381_152_600});
            publisher.publish(CHANNEL, tick.to_string());
        }
        let report = finish(consumer, EVIL_SYMBOLS.len() as u64, 1);
        let mut expected = EVIL_SYMBOLS.to_vec();
        expected.sort_unstable();
        let symbols: Vec<&String> = report["symbols"].as_object().unwrap().keys().collect();
        assert_eq!(symbols, expected, "the report names them as they came, over {name}");
        let svg = std::fs::read_to_string(&picture).unwrap();
        assert!(svg.contains("</svg>"), "{svg}");
        assert_eq!(svg.chars().find(|&c| c.is_control() && !"\n\r\t".contains(c)), None);
    });
}

#[test]
fn a_flood_of_bad_messages_floods_neither_the_log_nor_the_memory() {
    const BAD: u64 = 30_000;
    on_both(|name, port| {
        let mut consumer = listen(port, &["--history", "1000"]);
        let mut publisher = Publisher::connect(port);
        publisher.publish_all(CHANNEL, (0..BAD).map(|i| format!("{{\"symbol\": \"no end {i}")));
        let big = format!("[{}]", "x".repeat(1 << 20));
        for _ in 0..60 {
            // One at a time, so that the server's output buffer does not exceed its limit.
            publisher.publish_all(CHANNEL, [&big]);
        }
        publisher.publish_all(CHANNEL, [tick("SPY", 168.5, 0)]);
        wait_for_counts(&mut consumer, 1, BAD + 60);
        let resident_mib = consumer.resident_kib() / 1024;
        assert!(resident_mib < 96, "{resident_mib} MiB over {name}");
        let ended = consumer.stop("TERM", LIMIT).expect_code(0);
        let report = report(&ended);
        assert_eq!((&report["kept"], &report["rejected"]), (&json!(1), &json!({"not_json": BAD + 60})), "over {name}");
        let lines = ended.stderr.lines().filter(|line| line.contains("rejected a message")).count() as u64;
        let allowed = 1 + ended.elapsed.as_secs() / 5;
        assert!((1..=allowed).contains(&lines), "{lines} lines where {allowed} are allowed: {ended:?}");
        assert!(ended.stderr.lines().all(|line| line.len() < 2_000), "{ended:?}");
    });
}

#[test]
fn a_message_over_the_bound_is_skipped_and_counted() {
    let redis = RedisServer::start();
    let mut consumer = listen(redis.port, &[]);
    let mut publisher = Publisher::connect(redis.port);
    let longest = format!("{}{}", tick("SPY", 1.0, 0), " ".repeat((16 << 20) - tick("SPY", 1.0, 0).len()));
    assert_eq!(longest.len(), 16 << 20);
    // Each is read before the next is sent; together they would exceed the server's output buffer limit.
    for (i, message) in [longest.clone(), longest.clone() + " ", " ".repeat(20 << 20), longest].iter().enumerate() {
        publisher.publish_all(CHANNEL, [message.as_str(), &tick("AIG", 2.0, i as u64)]);
        let (received, rejected) = [(2, 0), (3, 1), (4, 2), (6, 2)][i];
        wait_for_counts(&mut consumer, received, rejected);
    }
    let report = finish(consumer, 6, 2);
    assert_eq!((&report["kept"], &report["rejected"]), (&json!(6), &json!({"too_long": 2})));
    assert_eq!((&report["symbols"]["AIG"]["count"], &report["reconnects"]), (&json!(4), &json!(0)));
}

#[test]
fn a_message_that_is_too_long_by_its_name_breaks_no_connection() {
    let redis = RedisServer::start();
    let consumer = listen(redis.port, &["--channel", "long.*"]);
    let mut publisher = Publisher::connect(redis.port);
    let good = tick("SPY", 1.0, 0);
    publisher.publish_all(
        &format!("long.{}", "n".repeat(1 << 20)),
        [format!("{good}{}", " ".repeat((16 << 20) - good.len()))],
    );
    publisher.publish_all("long.1", [&good]);
    let report = finish(consumer, 1, 1);
    assert_eq!((&report["rejected"], &report["reconnects"]), (&json!({"too_long": 1}), &json!(0)), "{report}");
}
