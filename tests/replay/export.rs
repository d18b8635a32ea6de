//! `consumer --export --store --from`: the files as pandas and polars read them, and interruption by Ctrl-C.

use std::path::Path;

use serde_json::{Value, json};

use super::fixture::{LIMIT, assert_files, export, keep, on_both, row, ticks};
use crate::support::process::{Ended, Launch, consumer};
use crate::support::readers::reader;
use crate::support::wait::wait_until;

const FORMS: [&str; 2] = ["csv", "parquet"];

fn read(path: &Path) -> Value {
    reader("read_stored.py").args([path]).run(LIMIT).expect_code(0).json()
}

/// Checks that no connection was attempted, which would be reported.
fn assert_quiet(ended: &Ended) {
    assert!(!ended.stderr.contains("WARN") && !ended.stderr.contains("ERROR") && ended.stdout.is_empty(), "{ended:?}");
}

#[test]
fn a_store_is_a_file_that_pandas_and_polars_read_with_proper_types() {
    on_both(|store| {
        let dir = tempfile::tempdir().unwrap();
        let ticks = ticks(9_000);
        keep(store, &ticks);
        for form in FORMS {
            let path = dir.path().join(format!("all.{form}"));
            let ended = export(store, &path).args(["--from", "start"]).run(LIMIT).expect_code(0);
            assert_quiet(&ended);
            let told = format!("saved 9000 ticks to {}, from 2013-10-07T13:30:00.000000001Z to ", path.display());
            assert!(ended.stderr.contains(&told), "{ended:?}");
            let found = read(&path);
            assert_eq!(found["rows"], ticks.iter().map(row).collect::<Value>(), "{form} of {store}");
            let pandas = json!({"symbol": "str", "time": "datetime64[ns, UTC]", "price": "float64", "size": "float64",
                                "outlier": "bool", "source": "str", "id": "str"});
            for (name, kind) in pandas.as_object().unwrap() {
                assert_eq!(found["pandas"][name], *kind, "{form}: {name} of {}", found["pandas"]);
            }
            let polars = json!({"symbol": "String", "time": "Datetime(time_unit='ns', time_zone='UTC')",
                                "price": "Float64", "size": "Float64", "outlier": "Boolean", "source": "String",
                                "seq": "UInt64", "id": "String"});
            for (name, kind) in polars.as_object().unwrap() {
                assert_eq!(found["polars"][name], *kind, "{form}: {name} of {}", found["polars"]);
            }
        }
        assert_files(dir.path(), &["all.csv", "all.parquet"]);
    });
}

#[test]
fn time_and_symbols_choose() {
    on_both(|store| {
        let dir = tempfile::tempdir().unwrap();
        let ticks = ticks(3_000);
        keep(store, &ticks);
        let path = dir.path().join("part.parquet");
        // The first instant is included, the last one is not.
        let (from_ns, to_ns) = (ticks[300].time_ns, ticks[2_400].time_ns);
        let wanted = |from_ns: i64, to_ns: i64, symbols: &[&str]| -> Value {
            let chosen = ticks.iter().filter(|tick| (from_ns..to_ns).contains(&tick.time_ns));
            chosen.filter(|tick| symbols.is_empty() || symbols.contains(&tick.symbol.as_str())).map(row).collect()
        };
        for (args, expected) in [
            (vec!["--from", "1381152600300000001", "--to", "1381152602400000001"], wanted(from_ns, to_ns, &[])),
            (vec!["--to", "2013-10-07T13:30:00.3Z"], wanted(0, from_ns, &[])),
            (vec!["--from", "2013-10-07T13:30:02.400000001Z"], wanted(to_ns, i64::MAX, &[])),
            (vec!["--from", "10000d", "--symbols", "NA,=1+1"], wanted(0, i64::MAX, &["NA", "=1+1"])),
        ] {
            let launch = export(store, &path).args(&args).env("TICKSCOPE_SNAPSHOT", "not-looked-at.txt");
            assert_quiet(&launch.run(LIMIT).expect_code(0));
            assert_eq!(read(&path)["rows"], expected, "{args:?}");
        }
    });
}

#[test]
fn a_store_named_in_the_environment_serves_as_well_and_quiet_is_quiet() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("ticks.db").display());
    keep(&store, &ticks(10));
    let launch = consumer().env("TICKSCOPE_STORE", &store).dir(dir.path());
    let ended = launch.args(["--export", "out.csv", "--from", "start", "--quiet"]).run(LIMIT).expect_code(0);
    assert_eq!((ended.stderr.as_str(), ended.stdout.as_str()), ("", ""));
    assert_eq!(read(&dir.path().join("out.csv"))["rows"].as_array().unwrap().len(), 10);
}

#[test]
fn a_broken_off_export_leaves_nothing_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("ticks.db").display());
    keep(&store, &ticks(1_000_000));
    let folder = tempfile::tempdir().unwrap();
    for form in FORMS {
        let path = folder.path().join(format!("out.{form}"));
        std::fs::write(&path, "an older one").unwrap();
        let running = export(&store, &path).args(["--from", "start"]).start();
        wait_until("the file to be begun", LIMIT, || std::fs::read_dir(folder.path()).unwrap().count() > 1);
        let ended = running.stop("INT", LIMIT).expect_code(130);
        assert!(ended.stderr.contains("error: the export was cancelled and its file removed"), "{ended:?}");
        assert_files(folder.path(), &[&format!("out.{form}")]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "an older one");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_terminal_sees_how_far_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("ticks.db").display());
    keep(&store, &ticks(300_000));
    // `script` gives its program a terminal.
    let line = format!(
        "{} --store {store} --export {} --from start",
        env!("CARGO_BIN_EXE_consumer"),
        dir.path().join("out.csv").display()
    );
    let run = |line: &str| Launch::new("script").env("COLUMNS", "120").args(["-qec", line, "/dev/null"]).run(LIMIT);
    let seen = run(&line).expect_code(0).stdout;
    assert!(seen.contains("%  ") && seen.contains(" rows, ") && seen.contains("/s, at 2013-10-07T13:3"), "{seen:?}");
    let quiet = run(&format!("{line} --quiet")).expect_code(0).stdout;
    assert_eq!(quiet, "");
}
