use super::*;
use crate::client::SHARDS;
use crate::sources::Speed;

fn config(args: &[&str]) -> Result<Config, String> {
    let args =
        Args::try_parse_from(std::iter::once("producer").chain(args.iter().copied())).map_err(|e| e.to_string())?;
    args.into_config(LogWriter::hidden(), true, 7).map_err(|error| match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })
}

fn error(args: &[&str]) -> String {
    config(args).err().unwrap_or_else(|| panic!("{args:?} is accepted"))
}

#[test]
fn the_definition_passes_the_checks_of_clap() {
    use clap::CommandFactory;
    Args::command().debug_assert();
}

#[test]
fn without_flags_three_symbols_tick_once_a_second() {
    let config = config(&["--redis", "redis://h"]).unwrap();
    let Source::Random(generator) = &config.source else { panic!("not random") };
    assert_eq!(generator.symbols(), 3);
    let Pace::Even(schedule) = config.pace else { panic!("not even") };
    assert_eq!((schedule.due(2), schedule.due(3)), (Duration::ZERO, Duration::from_secs(1)));
    assert_eq!((config.channel.as_str(), config.count, config.duration), ("stock_prices", None, None));
    assert_eq!(config.id.as_deref(), Some("p-00000007"));
    assert_eq!(config.timestamps, TimestampFormat::Seconds);
    assert!(config.display.ticks && !config.display.progress, "three ticks a second are printed");
}

#[test]
fn flags_select_the_pace() {
    let pace = |args: &[&str]| config(args).unwrap().pace;
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/us-trades-2013-10-07.csv.gz");
    let rate = |text: &str| Schedule::rate(text.parse().unwrap());
    assert!(matches!(pace(&["--interval", "0"]), Pace::Unpaced));
    assert!(matches!(pace(&["--stdin"]), Pace::Unpaced));
    assert!(matches!(pace(&["--rate", "2.5"]), Pace::Even(schedule) if schedule == rate("2.5")));
    assert!(matches!(pace(&["--replay", data]), Pace::Recorded(speed) if speed == Speed::ONE));
    assert!(matches!(pace(&["--replay", data, "--speed", "max"]), Pace::Unpaced));
    assert!(matches!(pace(&["--replay", data, "--speed", "0.5"]), Pace::Recorded(_)));
    assert!(matches!(pace(&["--replay", data, "--rate", "10"]), Pace::Even(_)));
}

#[test]
fn only_slow_ticks_are_printed_and_never_together_with_statistics() {
    let display = |args: &[&str]| {
        let Display { ticks, progress, .. } = config(args).unwrap().display;
        (ticks, progress)
    };
    assert_eq!(display(&["--rate", "10"]), (true, false));
    assert_eq!(display(&["--rate", "10.1"]), (false, true));
    assert_eq!(display(&["--interval", "0"]), (false, true));
    assert_eq!(display(&["--stats", "json"]), (false, true));
    assert_eq!(display(&["--quiet"]), (false, false));
}

#[test]
fn the_server_comes_from_the_flag_and_an_empty_one_counts_as_none() {
    let target = |args: &[&str]| config(args).unwrap().target;
    assert!(matches!(target(&["--redis", " "]), Target::Local { port: 6379, .. }));
    assert!(matches!(target(&["--redis", "", "--local-port", "7000"]), Target::Local { port: 7000, .. }));
    assert!(matches!(target(&["--redis", "redis://h:1"]), Target::Server(_)));
    for url in ["http://u:s3cret@h", "redis://:s3cret@h:x/y", "s3cret"] {
        let error = error(&["--redis", url]);
        assert!(error.starts_with("--redis (or REDIS_URL) cannot be used: ") && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn lists_of_symbols_are_checked() {
    let count = |list: &str| match config(&["--symbols", list]).unwrap().source {
        Source::Random(generator) => generator.symbols(),
        _ => 0,
    };
    assert_eq!(count("BRK.B, ES=F ,BTC/USD,^GSPC,é"), 5);
    let many: Vec<String> = (0..=SYMBOLS_MAX).map(|n| n.to_string()).collect();
    assert_eq!(count(&many[1..].join(",")), SYMBOLS_MAX);
    for (list, reason) in [
        ("", "a symbol is empty"),
        ("A,,B", "a symbol is empty"),
        ("A,B,A", "A is listed twice"),
        ("A\u{1b}[2J", "A\\u{1b}[2J contains characters that cannot be displayed"),
        (&"x".repeat(65), "is longer than 64 bytes"),
        (&many.join(","), "10001 symbols are more than the limit of 10000"),
    ] {
        let error = error(&["--symbols", list]);
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn invalid_flags_are_refused_with_a_reason() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/us-trades-2013-10-07.csv.gz");
    for (args, reason) in [
        (&["--count", "0"][..], "above zero"),
        (&["--count", "-1"], "above zero"),
        (&["--duration", "0"], "would publish nothing"),
        (&["--duration", "1e300"], "cannot exceed 100 years"),
        (&["--interval", "NaN"], "a number of seconds such as 0.5"),
        (&["--interval", "-1"], "cannot be negative"),
        (&["--rate", "0"], "above zero"),
        (&["--rate", "-3"], "above zero"),
        (&["--rate", "NaN"], "a number of ticks a second"),
        (&["--rate", "5", "--interval", "1"], "cannot be used with"),
        (&["--rate", "5", "--stdin"], "cannot be used with"),
        (&["--replay", data, "--stdin"], "cannot be used with"),
        (&["--replay", data, "--interval", "1"], "cannot be used with"),
        (&["--replay", data, "--seed", "1"], "cannot be used with"),
        (&["--replay", data, "--speed", "0"], "above 0"),
        (&["--replay", data, "--speed", "-2"], "above 0"),
        (&["--replay", data, "--speed", "2", "--rate", "2"], "cannot be used with"),
        (&["--replay", data, "--from", "noon"], "--from noon: a time is RFC 3339"),
        (&["--replay", data, "--from", "2013-10-08T00:00:00Z", "--to", "1381132800"], "--from must be before --to"),
        (&["--speed", "2"], "--replay"),
        (&["--keep-timestamps"], "--replay"),
        (&["--replay", "/nowhere/at/all"], "cannot read /nowhere/at/all: No such file"),
        (&["--replay", env!("CARGO_MANIFEST_DIR")], "directory"),
        (&["--replay", "sqlite:/nowhere/ticks.db"], "--replay: there is no store sqlite:/nowhere/ticks.db; name one"),
        (&["--replay", "sqlite:"], "sqlite: needs the name of a file"),
        (&["--replay", data, "--to", "1h", "--from", "30m"], "--from must be before --to"),
        (&["--channel", ""], "needs a name"),
        (&["--source", ""], "1 to 64 bytes"),
        (&["--source", "a\u{7}"], "1 to 64 bytes"),
        (&["--source", "a", "--no-seq"], "cannot be used with"),
        (&["--local-port", "0"], "1 to 65535"),
        (&["--cluster"], "needs the address of one of its nodes"),
        (&["--cluster", "--redis", "redis://h/3"], "database 0 only"),
        (&["--cluster", "--redis", "redis://h", "--source", &"x".repeat(61)], "4 less in a cluster"),
        (&["--cluster", "--redis", "redis://h", "--shards", "0"], "1..=256"),
        (&["--cluster", "--redis", "redis://h", "--shards", "257"], "1..=256"),
        (&["--shards", "4"], "--shards has no effect without --cluster"),
        (&["--maxlen", "4"], "--maxlen has no effect without --stream"),
        (&["--spool-max", "4"], "--spool-max has no effect without --spool"),
        (&["--spool", "/nowhere", "--spool-max", "0"], "above zero"),
        (&["--stream", ""], "--stream needs a name"),
        (&["--stream", "s", "--no-seq"], "--stream needs numbered ticks"),
        (&["--spool", "/nowhere", "--no-seq"], "--spool needs numbered ticks"),
        (&["--spool", concat!(env!("CARGO_MANIFEST_DIR"), "/data")], "is no part of a spool"),
        (&["--model", "tulip"], "walk, uniform"),
        (&["--timestamps", "weeks"], "s, ms, us, ns, rfc3339"),
        (&["--bogus"], "unexpected argument"),
    ] {
        let error = error(args);
        assert!(error.contains(reason), "{args:?}: {error}");
    }
}

#[test]
fn a_replay_names_a_file_or_a_store_and_errors_contain_no_password() {
    let source = |what: &str| config(&["--replay", what]).unwrap().source;
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/data/us-trades-2013-10-07.csv.gz");
    assert!(matches!(source(data), Source::File { name, .. } if name == data));
    let Source::Store { url, .. } = source("postgres://me:s3cret@h/d") else { panic!("no store") };
    assert_eq!(url.to_string(), "postgres://me@h:5432/d");
    for what in [
        "postgres://me:s3cret@h:port/d",
        "mysql://me:s3cret@h/d",
        "postgres://me:s3cret@",
        "postgres:/u:s3cret@h/d",
        "postgresql:u:s3cret@h/d",
        "mongodb:/u:s3cret@h/d",
        "mongodb+srv:u:s3cret@h/d",
    ] {
        let error = error(&["--replay", what]);
        assert!(error.starts_with("--replay: ") && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn streams_and_clusters() {
    let config = config(&["--redis", "redis+cluster://a:7000,b", "--stream", "s"]).unwrap();
    assert!(config.target.is_cluster());
    let stream = config.delivery.stream.unwrap();
    assert_eq!((stream.name.as_str(), stream.maxlen, config.delivery.shards), ("s", 1_000_000, SHARDS));
    let config =
        super::tests::config(&["--redis", "redis://a", "--cluster", "--shards", "3", "--stream", "s", "--maxlen", "0"]);
    let config = config.unwrap();
    assert!(config.target.is_cluster());
    assert_eq!((config.delivery.stream.unwrap().maxlen, config.delivery.shards), (0, 3));
}

#[test]
fn a_spool_keeps_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let spool = path.to_str().unwrap();
    assert_eq!(config(&["--spool", spool, "--source", "me"]).unwrap().id.as_deref(), Some("me"));
    assert_eq!(config(&["--spool", spool]).unwrap().id.as_deref(), Some("me"));
    assert!(error(&["--spool", spool, "--source", "other"]).contains("numbers of source me, not of other"));
    assert!(error(&["--spool", spool, "--redis", "redis+cluster://h"]).contains("made for --shards 1 (1: no cluster)"));
}
