//! Settings of the real programs: the environment, `tickscope.toml`, `--print-config`, and the saved view.

use std::fs;
use std::time::Duration;

use crate::support::process::{Ended, Launch, consumer, producer};
use crate::support::settings::printed;
use clap::CommandFactory;
use tickscope::cli::variable;

const LIMIT: Duration = crate::support::wait::GUARD;

fn home_with(text: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("config/tickscope");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("tickscope.toml"), text).unwrap();
    home
}

/// Valid value of a flag that is not its default.
fn sample(flag: &str) -> Option<&'static str> {
    Some(match flag {
        "demo" | "headless" | "keep-timestamps" | "stdin" | "no-seq" | "quiet" | "no-remember" | "cluster" => "true",
        "interval" | "window" | "for" | "duration" => "7s",
        "max-symbols" | "history" | "seed" | "count" | "rate" | "speed" | "maxlen" | "spool-max" | "shards"
        | "max-deliveries" => "9",
        "local-port" => "7001",
        "verbose" | "scale" => "2",
        "view" => "none",
        "chart" => "ohlc",
        "layout" => "grid",
        "bars" => "5m",
        "axis" => "percent",
        "zone" => "UTC",
        "session-start" => "09:30",
        "theme" => "light",
        "size" => "800x600",
        "model" => "uniform",
        "timestamps" => "ms",
        "stats" => "json",
        "redis" => "redis://h:1",
        "symbols" | "channel" | "fields" | "title" | "snapshot" | "export" | "alert" | "on-alert" | "tls-ca"
        | "tls-cert" | "tls-key" | "replay" | "from" | "to" | "source" | "stream" | "spool" | "group" | "member" => "x",
        "since" => "start",
        "store" => "sqlite:x.db",
        "keep" => "30d",
        "outliers" => "5%",
        "help" | "version" | "config" | "print-config" => return None,
        other => panic!("--{other} is new: give it a value here"),
    })
}

#[test]
fn every_flag_of_both_programs_has_its_variable() {
    for (program, command) in [
        (consumer as fn() -> Launch, tickscope::consumer::Args::command()),
        (producer, tickscope::producer::Args::command()),
    ] {
        for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
            let Some(value) = sample(flag) else { continue };
            let extra = match flag {
                "from" | "to" if command.get_name() == "consumer" => &["--export", "x.csv"][..],
                "speed" | "from" | "to" | "keep-timestamps" => &["--replay", "x"],
                "since" | "group" => &["--stream", "x"],
                "member" | "max-deliveries" => &["--stream", "x", "--group", "x"],
                "keep" => &["--store", "sqlite:x.db"],
                _ => &[],
            };
            let settings = printed(program().args(extra).env(&variable(flag), value));
            let (set, origin) = settings.get(flag).unwrap_or_else(|| panic!("{} sets nothing", variable(flag)));
            assert_eq!((set.trim_matches(['"', '[', ']']), origin.as_str()), (value, "environment"), "--{flag}");
            let empty = printed(program().args(extra).env(&variable(flag), ""));
            assert!(empty.get(flag).is_none_or(|(_, origin)| origin == "default"), "--{flag}: {empty:?}");
        }
    }
}

#[test]
fn what_a_flag_needs_may_stand_elsewhere() {
    let variables = |launch: Launch| launch.env("TICKSCOPE_STREAM", "s").env("TICKSCOPE_STORE", "sqlite:x");
    let set = printed(variables(consumer()).args(["--group", "g", "--keep", "1d"]));
    let of = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!((&set["stream"], &set["store"]), (&of("\"s\"", "environment"), &of("\"sqlite:x\"", "environment")));
    assert_eq!((&set["group"], &set["keep"]), (&of("\"g\"", "command line"), &of("\"1d\"", "command line")));
    // Settings that require others: a member requires a group, and a group a stream.
    let home = home_with("[consumer]\nexport = \"x.csv\"\nstream = \"f\"\ngroup = \"g\"\n");
    let set = printed(consumer().home(home.path()).env("TICKSCOPE_STREAM", "s").args(["--member", "m"]));
    assert_eq!((&set["stream"], &set["group"]), (&of("\"s\"", "environment"), &of("\"g\"", "file")));

    let span = ["--from", "1h", "--store", "sqlite:x"];
    let home = home_with("[consumer]\nexport = \"x.csv\"\n");
    let set = printed(consumer().home(home.path()).args(span));
    assert_eq!((&set["export"], &set["from"]), (&of("\"x.csv\"", "file"), &of("\"1h\"", "command line")));
    let named = home.path().join("config/tickscope/tickscope.toml");
    let set = printed(consumer().args(span).args(["--config", named.to_str().unwrap()]));
    assert_eq!(set["export"], of("\"x.csv\"", "file"));
    let refused = consumer().args(["--from", "1h", "--print-config"]).run(LIMIT).expect_code(2);
    assert!(refused.stderr.contains("--export"), "{refused:?}");
}

#[test]
fn the_file_is_found_where_it_lives_and_by_name() {
    let home = home_with("[consumer]\ntheme = \"light\"\nsize = \"640x400\"\n[producer]\nrate = 5\n");
    let own = printed(consumer().home(home.path()).env("TICKSCOPE_SIZE", "800x600"));
    assert_eq!(own["theme"], ("\"light\"".to_owned(), "file".to_owned()));
    assert_eq!(own["size"], ("\"800x600\"".to_owned(), "environment".to_owned()));
    assert_eq!(own["axis"], ("\"auto\"".to_owned(), "default".to_owned()));
    let producers = printed(producer().home(home.path()));
    assert_eq!(producers["rate"], ("5".to_owned(), "file".to_owned()));
    assert!(!producers.contains_key("interval"), "its default cannot stand beside a rate");

    let other = home.path().join("other.toml");
    fs::write(&other, "[consumer]\naxis = \"price\"\n").unwrap();
    let named = printed(consumer().home(home.path()).args(["--config", other.to_str().unwrap()]));
    assert_eq!((named["axis"].1.as_str(), named["theme"].1.as_str()), ("file", "default"), "one file, not two");
}

/// A program and its arguments.
type Case = (fn() -> Launch, &'static [&'static str]);

#[test]
fn printed_settings_set_the_same_again() {
    let dir = tempfile::tempdir().unwrap();
    let plain = |ended: &Ended| -> Vec<String> {
        ended.stdout.lines().map(|line| line.split("  # ").next().unwrap().trim_end().to_owned()).collect()
    };
    let cases: [Case; 4] = [
        (consumer, &["--symbols", "A,B", "--channel", "x", "--alert", "A > 1, 2", "-vv", "--title", "a\"\\\u{1b}"]),
        (consumer, &["--demo", "--headless", "--window", "2.5"]),
        (producer, &["--rate", "5", "--symbols", "A,B"]),
        (producer, &["--replay", "x", "--from", "2013-10-07T13:30:00Z"]),
    ];
    for (program, args) in cases {
        let args = args.iter().copied().chain(["--redis", "redis://user:s3cret@host:1/2", "--print-config"]);
        let first = program().args(args).run(LIMIT).expect_code(0);
        assert!(!first.stdout.contains("s3cret") && first.stdout.contains("redis://***@host:1/2"), "{first:?}");
        assert!(!first.stdout.contains('\u{1b}'), "{first:?}");
        let path = dir.path().join("again.toml");
        fs::write(&path, &first.stdout).unwrap();
        let again = program().args(["--print-config", "--config", path.to_str().unwrap()]).run(LIMIT).expect_code(0);
        assert_eq!(plain(&first), plain(&again), "{again:?}");
    }
}

#[test]
fn mistakes_in_file_and_environment_end_it_with_what_would_have_been_right() {
    for (text, answer) in [
        ("[consumer]\n\nsymbls = [\"A\"]\n", "tickscope.toml, line 3: unknown key 'symbls'; did you mean 'symbols'?"),
        ("[consumer]\nlocal_port = 1\n", "did you mean 'local-port'?"),
        ("[consumers]\n", "unknown section [consumers]; did you mean [consumer]?"),
        ("[consumer]\nmax-symbols = 0\n", "tickscope.toml, line 2: max-symbols: invalid value '0'"),
        ("[consumer]\nwindow = 0\n", "tickscope.toml, line 2: window: --window must be longer than 0"),
        ("[consumer]\nredis = \"redis://:s3cret@host:x\"\n", "tickscope.toml, line 2: redis: the Redis URL"),
        ("[consumer]\nredis = \"redis://:s3cret@host", "tickscope.toml, line 2: "),
    ] {
        let ended = consumer().home(home_with(text).path()).args(["--headless"]).run(LIMIT).expect_code(2);
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(answer), "{ended:?}");
        assert!(!ended.stderr.contains("s3cret") && ended.stdout.is_empty(), "{ended:?}");
    }
    for (name, value) in [("TICKSCOPE_AXIS", "up"), ("TICKSCOPE_HISTORY", "all"), ("REDIS_URL", "http://:s3cret@h")] {
        let ended = consumer().env(name, value).args(["--headless"]).run(LIMIT).expect_code(2);
        assert!(ended.stderr.starts_with(&format!("error: {name}: ")) && !ended.stderr.contains("s3cret"), "{ended:?}");
    }
    let ended = producer().args(["--config", "/nowhere.toml"]).run(LIMIT).expect_code(2);
    assert!(ended.stderr.contains("cannot read /nowhere.toml"), "{ended:?}");
}
