//! Settings of the real programs: the environment, `tickscope.toml`, `--print-config`, and what one run remembers for
//! the next.

#![allow(unreachable_pub, reason = "the modules of a test program are its own")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support {
    pub mod process;
    pub mod pulse;
    pub mod wait;
    pub mod x11;
    pub mod xvfb;
}

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::CommandFactory;
use support::process::{Ended, Launch, consumer, producer};
use support::xvfb::Xvfb;
use tickscope::chart::{Layout, Size};
use tickscope::cli::variable;

const LIMIT: Duration = Duration::from_secs(40);

fn home_with(text: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("config/tickscope");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("tickscope.toml"), text).unwrap();
    home
}

/// Key, value and where it came from, as `--print-config` tells them.
fn printed(launch: Launch) -> BTreeMap<String, (String, String)> {
    let ended = launch.args(["--print-config"]).run(LIMIT).expect_code(0);
    assert_eq!(ended.stderr, "", "{ended:?}");
    let lines = ended.stdout.lines().filter(|line| !line.starts_with(['#', '[']));
    lines
        .map(|line| {
            let (key, rest) = line.split_once(" = ").unwrap();
            let (value, origin) = rest.rsplit_once("  # ").unwrap();
            (key.to_owned(), (value.trim().to_owned(), origin.to_owned()))
        })
        .collect()
}

/// A value that a flag takes which is not its default.
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
    // One that needs another: a member has a group, and a group a stream.
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

const SIZE: Size = Size { width: 800, height: 500 };
const LIGHT_STRIP: u32 = 0x00f4_f6f8;
const DARK_STRIP: u32 = 0x0014_1a21;

/// Runs a window, changes it by hand, and returns how wide it opened and the colour of its strip.
fn in_a_window(
    display: &Xvfb,
    home: &Path,
    args: &[&str],
    hand: impl FnOnce(&Xvfb, support::xvfb::Window),
) -> (usize, u32) {
    let running = consumer().args(args).home(home).env("DISPLAY", &display.display()).start();
    let window = display.find_window("tickscope", LIMIT);
    display.focus(window);
    let strips = [LIGHT_STRIP, DARK_STRIP];
    let picture = display.window_when(window, "a strip", LIMIT, |picture| strips.contains(&picture.at(2, 2)));
    hand(display, window);
    display.key("q");
    running.wait(LIMIT).expect_code(0);
    (picture.width, picture.at(2, 2))
}

fn toggle_theme_and_widen(display: &Xvfb, window: support::xvfb::Window) {
    display.key("t");
    display.resize(window, 700, 450);
    let frame = Layout::new(Size { width: 700, height: 450 });
    display.window_when(window, "the light strip, wide", LIMIT, |picture| {
        (picture.width, picture.at(2, frame.header.bottom as usize - 1)) == (700, LIGHT_STRIP)
    });
}

fn view_file(home: &Path) -> PathBuf {
    home.join("state/tickscope/view.toml")
}

#[test]
fn a_window_opens_as_it_was_left() {
    let display = Xvfb::start(900, 600);
    let port = ["--redis", "redis://127.0.0.1:1", "--title", "tickscope"];
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let sized = [&port[..], &["--size", "800x500"]].concat();
    assert_eq!(in_a_window(&display, home, &sized, |_, _| ()), (SIZE.width as usize, DARK_STRIP));
    assert!(!view_file(home).exists(), "nothing was changed by hand");

    assert_eq!(in_a_window(&display, home, &sized, toggle_theme_and_widen), (SIZE.width as usize, DARK_STRIP));
    let kept = fs::read_to_string(view_file(home)).unwrap();
    assert!(kept.contains("theme = \"light\"") && kept.contains("size = \"700x450\""), "{kept}");
    assert!(!kept.contains("axis"), "the axis was left alone: {kept}");

    let settings = printed(consumer().home(home).args(["--view", "window"]));
    assert_eq!(settings["size"], ("\"700x450\"".to_owned(), "remembered".to_owned()));
    assert_eq!(in_a_window(&display, home, &port, |_, _| ()), (700, LIGHT_STRIP), "as it was left");
    let dark = [&port[..], &["--theme", "dark"]].concat();
    assert_eq!(in_a_window(&display, home, &dark, |_, _| ()), (700, DARK_STRIP), "a flag is stronger");

    let forgetful = [&sized[..], &["--no-remember"]].concat();
    assert_eq!(in_a_window(&display, home, &forgetful, |display, _| display.key("t")), (800, DARK_STRIP));
    assert_eq!(fs::read_to_string(view_file(home)).unwrap(), kept, "nor is anything written");
}

#[test]
fn a_damaged_or_newer_memory_is_told_and_does_no_harm() {
    for (text, answer) in
        [("\0", "is damaged"), ("version = 9\n", "by a newer version"), ("version = 1\ntheme = \"blue\"\n", "'blue'")]
    {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(view_file(home.path()).parent().unwrap()).unwrap();
        fs::write(view_file(home.path()), text).unwrap();
        let launch = consumer().home(home.path()).args(["--redis", "redis://127.0.0.1:1", "--for", "0.5"]);
        let display = Xvfb::start(900, 600);
        let ended = launch.args(["--size", "800x500"]).env("DISPLAY", &display.display()).run(LIMIT).expect_code(0);
        assert!(ended.stderr.contains("WARN") && ended.stderr.contains(answer), "{ended:?}");
        assert_eq!(fs::read_to_string(view_file(home.path())).unwrap(), text, "nothing was changed by hand");
        // Without a surface, nobody looks at it.
        let headless =
            consumer().home(home.path()).args(["--headless", "--redis", "redis://127.0.0.1:1", "--for", "0.1"]);
        assert!(!headless.run(LIMIT).expect_code(0).stderr.contains(answer));
    }
}
