//! The same tests over a real server, if `MONGODB_URL` names one.

use std::io::Write;

use mongodb::bson::{Document, doc};

use super::bodies;
use super::crashes::kill_writers;
use super::fixture::{Place, bare, heard};

/// Environment variable with the server's URL, without a database: each test creates and drops its own.
const VARIABLE: &str = "MONGODB_URL";

/// Writes past the test harness, which hides the output of passing tests.
fn say(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// URL with a database of this run.
fn address(server: &str, number: usize) -> String {
    let (scheme, rest) = server.split_once("://").unwrap();
    let (hosts, query) = rest.split_once('?').unwrap_or((rest, ""));
    let hosts = hosts.split('/').next().unwrap();
    let run = std::process::id();
    format!("{scheme}://{hosts}/tickscope_test_{run}_{number}?{query}")
}

/// The two views, whose pipelines only a real server evaluates.
fn views(place: &Place) {
    let mut slip = bare("AAPL", 3, 1_000.0);
    slip.outlier = true;
    let mut ticks = [bare("AAPL", 0, 10.0), bare("AAPL", 0, 12.5), slip, bare("AAPL", 59_999, 11.0)];
    ticks[0].size = Some(3.0);
    place.keep(vec![heard(&ticks), heard(&[bare("AAPL", 60_000, 9.0)])]);
    let all = |view: &'static str| {
        place.ask(async |database| {
            let collection = database.collection::<Document>(view);
            let mut found = collection.find(doc! {}).sort(doc! { "time_ns": 1, "n": 1 }).await.unwrap();
            let mut documents = Vec::new();
            while found.advance().await.unwrap() {
                documents.push(found.deserialize_current().unwrap());
            }
            documents
        })
    };
    let bars = all("bars_1m");
    let figures = |bar: &Document| ["open", "high", "low", "close"].map(|name| bar.get_f64(name).unwrap());
    assert_eq!(bars.iter().map(figures).collect::<Vec<_>>(), [[10.0, 12.5, 10.0, 11.0], [9.0; 4]]);
    assert_eq!(bars[0].get_datetime("time").unwrap().timestamp_millis(), 1_699_999_980_000);
    let shown = all("ticks_view");
    let outliers: Vec<bool> = shown.iter().map(|tick| tick.get_bool("outlier").unwrap()).collect();
    assert_eq!(outliers, [false, false, true, false, false]);
}

#[test]
fn a_real_server_does_all_that_the_small_one_does() {
    let Ok(server) = std::env::var(VARIABLE) else {
        say(&format!(
            "{VARIABLE} is not set: NOTHING was run against a MongoDB server; the other tests here ran against a \
             small server of their own that is no MongoDB"
        ));
        return;
    };
    for (number, (name, body)) in bodies::ALL.iter().enumerate() {
        say(&format!("{name} on the server of {VARIABLE}"));
        body(&Place::new(address(&server, number), None));
    }
    views(&Place::new(address(&server, 98), None));
    let test = "mongo::crashes::a_writer_killed_at_any_instant_loses_and_doubles_nothing_on_a_server_alone";
    kill_writers(&Place::new(address(&server, 99), None), test);
    say(&format!("all of it ran on the server of {VARIABLE}"));
}
