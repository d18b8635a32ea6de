//! The command line: the effect of each option, and the error for each mistake.

use std::path::Path;

use serde_json::{Value, json};

use super::fixture::{
    LIMIT, Publisher, START_S, assert_clean, figures, finish, headless, listen, report, subscribed, tick,
};
use crate::support::process::{Ended, Launch, Running, consumer, producer};
use crate::support::server::{RedisServer, free_port, on_both};

const CHANNEL: &str = "stock_prices";

/// Publishes to a consumer with these options. Returns its report.
fn run(port: u16, options: &[&str], messages: &[String]) -> Value {
    let consumer = listen(port, options);
    Publisher::connect(port).publish_all(CHANNEL, messages);
    finish(consumer, messages.len() as u64, 0)
}

fn symbols(report: &Value) -> Vec<&str> {
    report["symbols"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_list_of_symbols_keeps_these_in_this_order() {
    on_both(|name, port| {
        let folder = tempfile::tempdir().unwrap();
        let picture = folder.path().join("chart.svg");
        let ticks: Vec<String> = ["AIG", "BAC", "IBM", "SPY"].iter().map(|symbol| tick(symbol, 50.0, 0)).collect();
        let options = ["--symbols", "SPY, AIG,GME", "--snapshot", picture.to_str().unwrap()];
        let report = run(port, &options, &ticks);
        assert_eq!(symbols(&report), ["AIG", "SPY"], "{name}");
        assert_eq!((&report["received"], &report["kept"], &report["ignored"]), (&json!(4), &json!(2), &json!(2)));
        let svg = std::fs::read_to_string(&picture).unwrap();
        let places =
            ["SPY", "AIG", "GME"].map(|symbol| svg.find(&format!("\n{symbol}\n")).expect("it is in the legend"));
        assert!(places.is_sorted(), "{places:?}");
        assert!(!svg.contains("BAC") && !svg.contains("IBM"));
    });
}

#[test]
fn symbols_beyond_the_bound_are_counted() {
    on_both(|name, port| {
        let ticks: Vec<String> = (0..30).map(|i| tick(["A", "B", "C"][i % 3], 1.0, i as u64)).collect();
        let report = run(port, &["--max-symbols", "2"], &ticks);
        assert_eq!(symbols(&report), ["A", "B"], "{name}");
        assert_eq!((&report["kept"], &report["over_max_symbols"]), (&json!(20), &json!(10)), "{name}");
    });
}

#[test]
fn history_is_bounded_by_number_and_by_time() {
    on_both(|name, port| {
        // Two symbols with one tick each per second.
        let ticks: Vec<String> = (0..5_000).map(|i| tick(["A", "B"][i % 2], i as f64, i as u64 / 2)).collect();
        let report = run(port, &["--history", "1000"], &ticks);
        assert_eq!((&report["kept"], &report["evicted"]), (&json!(2_000), &json!(3_000)), "{name}");
        for (symbol, first, last) in [("A", 0.0, 4_998.0), ("B", 1.0, 4_999.0)] {
            let names = ["count", "first", "last", "min", "max"];
            assert_eq!(figures(&report["symbols"][symbol], names), [2_500.0, first, last, first, last], "{symbol}");
        }
        // The last ten seconds contain eleven ticks, because both ends are included.
        let report = run(port, &["--history", "10s"], &ticks);
        assert_eq!((&report["kept"], &report["evicted"]), (&json!(22), &json!(4_978)), "{name}");
        let report = run(port, &["--history", "1_000_000"], &ticks);
        assert_eq!((&report["kept"], &report["evicted"]), (&json!(5_000), &json!(0)), "{name}");
    });
}

#[test]
fn other_peoples_fields_are_read() {
    on_both(|name, port| {
        let foreign = |symbol: &str, price: &str| {
            let time_ms = START_S * 1_000;
            format!(r#"{{"e":"trade","s":"{symbol}","data":{{"p":{price},"q":"3"}},"T":{time_ms},"price":"no"}}"#)
        };
        let consumer = listen(port, &["--fields", "symbol=s,price=data.p,timestamp=T,size=data.q"]);
        let mut publisher = Publisher::connect(port);
        publisher.publish_all(CHANNEL, [foreign("BTCUSDT", "\"64000.10\""), foreign("BTCUSDT", "63999.9")]);
        publisher
            .publish_all(CHANNEL, [tick("SPY", 168.5, 0), foreign("X", "null"), r#"{"s":"X","data":3,"T":1}"#.into()]);
        let report = finish(consumer, 2, 3);
        assert_eq!(report["rejected"], json!({"missing_field": 3}), "{name}");
        assert_eq!(figures(&report["symbols"]["BTCUSDT"], ["count", "first", "last"]), [2.0, 64_000.1, 63_999.9]);
    });
}

#[test]
fn channels_are_named_more_than_once_and_by_globs() {
    on_both(|name, port| {
        let consumer =
            listen(port, &["--channel", "one", "--channel", "two", "--channel", "ticks.*", "--channel", "s[ab]?"]);
        let mut publisher = Publisher::connect(port);
        let heard = ["one", "two", "ticks.", "ticks.us.AIG", "sa1", "sbx"];
        for (i, channel) in heard.iter().enumerate() {
            assert_eq!(publisher.publish(channel, tick("HEARD", i as f64, 0)), 1, "{channel} over {name}");
        }
        for channel in ["three", "ticks", "sc1", "sa", "stock_prices", "One"] {
            assert_eq!(publisher.publish(channel, tick("UNHEARD", 1.0, 0)), 0, "{channel} over {name}");
        }
        let report = finish(consumer, heard.len() as u64, 0);
        assert_eq!(symbols(&report), ["HEARD"], "{name}");
        assert_eq!(report["symbols"]["HEARD"]["count"], heard.len());
    });
}

#[test]
fn it_ends_by_itself_when_its_time_is_up() {
    let redis = RedisServer::start();
    let ended = headless(redis.port).args(["--for", "1500ms"]).run(LIMIT).expect_code(0);
    let elapsed_s = report(&ended)["elapsed_s"].as_f64().unwrap();
    assert!(elapsed_s >= 1.5 && ended.elapsed.as_secs_f64() >= 1.5, "{ended:?}");
    // Also without a server.
    let ended = headless(free_port()).args(["--for", "0.2"]).run(LIMIT).expect_code(0);
    assert_eq!(report(&ended)["received"], 0);
}

#[test]
fn nothing_but_the_figures_is_on_standard_output() {
    let redis = RedisServer::start();
    let url = super::fixture::url(redis.port);
    let plain = subscribed(consumer().args(["--headless", "--redis", &url])).stop("TERM", LIMIT).expect_code(0);
    assert_eq!(plain.stdout, "");
    let arguments = ["--headless", "--for", "0.3s", "--redis", &url];
    let figures = consumer().args(arguments).args(["--stats", "json", "--quiet"]).run(LIMIT).expect_code(0);
    assert_eq!((figures.stdout.lines().count(), figures.stderr.as_str()), (1, ""));
    assert_eq!(report(&figures)["symbols"], json!({}));
}

/// Runs a consumer that draws the received ticks into a file.
fn draw(port: u16, path: &Path, more: &[&str]) -> Ended {
    let options = ["--snapshot", path.to_str().unwrap()];
    let mut consumer: Running = listen(port, &[&options, more].concat());
    Publisher::connect(port).publish_all(CHANNEL, (0..50).map(|i| tick("SPY", 168.0 + i as f64, i)));
    super::fixture::wait_for_counts(&mut consumer, 50, 0);
    consumer.stop("TERM", LIMIT)
}

#[test]
fn a_snapshot_has_the_size_and_colours_that_were_asked_for() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let colours = |theme: &str| {
        let path = folder.path().join(format!("{theme}.PNG"));
        draw(redis.port, &path, &["--size", "640x360", "--theme", theme]).expect_code(0);
        let mut reader =
            png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&path).unwrap())).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (640, 360));
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let total: u64 = bytes[..info.buffer_size()].iter().map(|byte| u64::from(*byte)).sum();
        total / info.buffer_size() as u64
    };
    let (dark, light) = (colours("dark"), colours("light"));
    assert!(dark < 64 && light > 192, "mean brightness {dark} and {light}");
    let leftovers: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(leftovers.len(), 2, "{leftovers:?}");
}

#[test]
fn a_snapshot_that_cannot_be_written_costs_no_figures() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [folder.path().join("no/such/folder/chart.png"), file.join("chart.svg")] {
        let ended = draw(redis.port, &path, &[]).expect_code(1);
        let error = ended.stderr.lines().last().unwrap();
        let said = format!("error: cannot write {}", path.display());
        assert!(error.starts_with(&said) && error.contains("choose a folder that exists, is writable"), "{error}");
        assert_eq!(error.matches("(os error").count(), 1, "{error}");
        assert_eq!(report(&ended)["kept"], 50);
    }
}

#[test]
fn a_reader_of_standard_output_that_leaves_is_no_error() {
    let redis = RedisServer::start();
    let script = r#"{ "$0" "$@"; echo "status $?" >&2; } | head -c0"#;
    for program in ["consumer", "producer"] {
        let path = if program == "consumer" { env!("CARGO_BIN_EXE_consumer") } else { env!("CARGO_BIN_EXE_producer") };
        let own: &[&str] = if program == "consumer" { &["--headless", "--for", "1s"] } else { &["--duration", "1s"] };
        for flags in [own, &["--help"], &["--version"]] {
            let sh = Launch::new("sh").args(["-c", script, path]).args(flags);
            let sh = if flags == own {
                sh.args(["--stats", "json", "--redis", &super::fixture::url(redis.port)])
            } else {
                sh
            };
            let ended = sh.run(LIMIT).expect_code(0);
            assert!(ended.stderr.contains("status 0\n"), "{ended:?}");
            assert_clean(&ended);
        }
    }
}

#[test]
fn help_fits_a_terminal_and_tells_the_exit_status() {
    for (name, program) in [("consumer", consumer as fn() -> Launch), ("producer", producer)] {
        for flag in ["--help", "-h"] {
            let ended = program().args([flag]).run(LIMIT).expect_code(0);
            let widest = ended.stdout.lines().max_by_key(|line| line.chars().count()).unwrap();
            assert!(widest.chars().count() <= 100, "{name} {flag}: {widest}");
            assert!(
                ended.stdout.contains("Exit status: 0 done, 1 failed while running, 2 wrong usage"),
                "{name} {flag}"
            );
            assert!(ended.stdout.contains("--redis <URL>") && ended.stderr.is_empty());
        }
        let version = program().args(["--version"]).run(LIMIT).expect_code(0).stdout;
        assert_eq!(version.trim(), format!("{name} {}", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn the_environment_does_not_show_in_the_help() {
    for program in [consumer(), producer()] {
        let ended = program.env("REDIS_URL", "redis://:s3cr3t@host").args(["--help"]).run(LIMIT).expect_code(0);
        assert!(!ended.stdout.contains("s3cr3t"), "{ended:?}");
    }
}

/// Invalid arguments, and texts that the error must contain.
const MISTAKES: &[(&[&str], &str)] = &[
    (&["--symbol", "AIG"], "'--symbols'"),
    (&["--chanel", "x"], "'--channel'"),
    (&["--snapshoot", "x.png"], "'--snapshot'"),
    (&["--stat", "json"], "'--stats'"),
    (&["--no-such-thing"], "unexpected argument"),
    (&["chart.png"], "unexpected argument"),
    (&["--symbols", "A,,B"], "a symbol has 1 to 64 bytes"),
    (&["--symbols", ""], "a symbol has 1 to 64 bytes"),
    (&["--symbols", "A,B,A"], "A is listed twice"),
    (&["--symbols", "A,B", "--max-symbols", "1"], "less than the 2 that --symbols lists"),
    (&["--max-symbols", "0"], "1 to 100000"),
    (&["--max-symbols", "-1"], "1 to 100000"),
    (&["--max-symbols", "many"], "1 to 100000"),
    (&["--interval", "fast"], "250ms"),
    (&["--interval", "-1"], "cannot be negative"),
    (&["--for", "-5"], "cannot be negative"),
    (&["--for", "ten"], "250ms"),
    (&["--for", "1e300"], "100 years"),
    (&["--window", "0"], "longer than 0"),
    (&["--window", "-1"], "cannot be negative"),
    (&["--window", "5 parsecs"], "250ms"),
    (&["--history", "0"], "a number of ticks (1 to 1000000000)"),
    (&["--history", "-1"], "a number of ticks (1 to 1000000000)"),
    (&["--history", "0s"], "a time such as 2h"),
    (&["--history", "all"], "a time such as 2h"),
    (&["--history", "2000000000"], "a number of ticks (1 to 1000000000)"),
    (&["--fields", "symbol"], "field=path"),
    (&["--fields", "symbol="], "field=path"),
    (&["--fields", "cost=p"], "the fields are symbol, price, timestamp, size, seq, source"),
    (&["--fields", "price=p,price=q"], "price is mapped twice"),
    (&["--fields", "price=p,size=p"], "already taken"),
    (&["--channel", ""], "--channel needs a name"),
    (&["--axis", "up"], "[possible values: auto, price, percent, session, log]"),
    (&["--theme", "blue"], "[possible values: dark, light]"),
    (&["--size", "1280"], "such as 1280x720"),
    (&["--size", "10x10"], "120 to 16384"),
    (&["--size", "99999x99999"], "120 to 16384"),
    (&["--stats", "xml"], "[possible values: json]"),
    (&["--stats"], "[possible values: json]"),
    (&["--snapshot", "chart.jpg"], "must end in .png or .svg"),
    (&["--snapshot", "chart"], "must end in .png or .svg"),
    (&["--local-port", "0"], "1 to 65535"),
    (&["--local-port", "65536"], "1 to 65535"),
    (&["--local-port", "-1"], "1 to 65535"),
    (&["--local-port", "http"], "1 to 65535"),
    (&["--redis", "localhost"], "it has no scheme such as redis://"),
    (&["--redis", "http://localhost"], "its scheme is not redis:// or unix://"),
    (
        &["--redis", "rediss://localhost/#insecure"],
        "name the authority that signed the server's certificate with --tls-ca",
    ),
    (&["--redis", "rediss://localhost", "--tls-ca", "/nowhere/ca.pem"], "--tls-ca /nowhere/ca.pem: cannot be read"),
    (&["--redis", "rediss://localhost", "--tls-ca", "/dev/null"], "holds no certificate in PEM form"),
    (&["--redis", "rediss://localhost", "--tls-cert", "cert.pem"], "--tls-key"),
    (&["--redis", "redis://localhost", "--tls-cert", "cert.pem", "--tls-key", "key.pem"], "write rediss:// in the URL"),
    (&["--quiet", "--verbose"], "cannot be used with"),
    (&["--demo", "--channel", "x"], "cannot be used with"),
    (&["--symbols", "\u{1b}[2J\u{9b}1m,\u{1b}[2J\u{9b}1m"], "is listed twice"),
    (&["\u{1b}[2J"], "unexpected argument"),
    (&["--axis", "\u{1b}]0;owned\u{7}"], "possible values"),
    (&["--fields", "\u{1b}[2J"], "field=path"),
    (&["--snapshot", "\u{1b}[2J.gif"], "must end in"),
];

#[test]
fn every_mistake_is_answered_with_what_would_have_been_right() {
    for (arguments, answer) in MISTAKES {
        let ended = consumer().args(["--headless"]).args(*arguments).run(LIMIT).expect_code(2);
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(answer), "{ended:?}");
        assert_eq!(ended.stdout, "", "{ended:?}");
        assert_clean(&ended);
    }
}
