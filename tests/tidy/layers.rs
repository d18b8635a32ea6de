//! Rules on dependencies: imports between modules, the modules that may use a crate, and access to clocks.
//! ARCHITECTURE.md gives the reasons.

use super::source::{NamePath, Source, inline_modules, paths};

/// Layers from the bottom up: a module may use those before it.
const ORDER: &[&str] = &[
    "model", "series", "analysis", "sources", "chart", "resp", "tls", "spool", "client", "broker", "storage", "plot",
    "terminal", "window", "producer", "consumer",
];

/// Modules that perform I/O. They never use each other; the composition above connects them.
const EDGES: &[&str] = &["storage", "client", "broker", "plot", "window", "terminal"];

/// Code shared by both command lines. It is outside the layers: it uses the model, and only the binaries and
/// compositions use it.
const SHARED: &str = "cli";

/// Modules of values and algorithms.
const PURE: &[&str] = &["model", "series", "analysis", "sources", "chart"];

/// Crates that only some modules may name. A trailing `*` matches any suffix.
const CRATE_HOMES: &[(&str, &[&str])] = &[
    ("redis", &["client"]),
    ("socket2", &["client"]),
    ("plotters", &["plot"]),
    ("plotters_backend", &["plot"]),
    ("ab_glyph", &["plot"]),
    ("epaint_default_fonts", &["plot"]),
    ("minifb", &["window"]),
    ("ratatui", &["terminal"]),
    ("parquet", &["storage"]),
    ("rustix", &["terminal", "consumer/alerting*"]),
    ("etcetera", &["cli"]),
    ("toml", &["cli", "consumer"]),
    ("rusqlite", &["storage"]),
    ("tokio_postgres", &["storage"]),
    ("tokio_postgres_rustls", &["storage"]),
    ("rustls_native_certs", &["tls"]),
    ("tokio_rustls", &["tls", "client/tls*", "client/endpoint*", "storage/db/postgres/tls*"]),
    ("mongodb", &["storage"]),
    ("bson", &["storage"]),
    ("clap", &["bin", "cli", "producer/args*", "consumer/args*"]),
    ("anyhow", &["bin", "cli"]),
];

/// Directory in which benchmarks may name such crates: the peers of the comparison are separate programs, and other
/// benchmarks measure the product through its own interface.
const PEERS: &str = "benches/compare";

/// Sources of nondeterminism: clocks, environment, random numbers, threads.
const IMPURE: &[&str] = &[
    "SystemTime",
    "Instant",
    "std::time::SystemTime",
    "std::time::Instant",
    "std::env",
    "std::net",
    "std::fs",
    "std::process",
    "std::thread",
    "std::sync::mpsc",
    "tokio",
    "async",
    "await",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "rand::rng",
];

/// Only access to the clock: `Timestamp::now` is defined with its type, and only modules with I/O may call it.
const IMPURE_ALLOWED: &[(&str, &str)] = &[("src/model.rs", "std::time::SystemTime")];

/// Environment and signals, which only the binaries and their shared code may use.
const BINARIES_ONLY: &[&str] = &["std::env", "tokio::signal"];

/// First directory or file under `src/`.
fn top(source: &Source) -> &str {
    source.module().split('/').next().unwrap_or_default()
}

fn starts_with_path(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Module of this crate that a path refers to, if the path starts at the crate root.
fn target<'a>(source: &Source, path: &'a NamePath) -> Option<&'a str> {
    let mut parts = path.name.split("::");
    let first = parts.next()?;
    if first == "crate" {
        return parts.next();
    }
    let ups = path.name.split("::").take_while(|part| *part == "super").count();
    if ups == 0 {
        return None;
    }
    let inline = inline_modules(&source.code).iter().filter(|range| range.contains(&path.at)).count();
    let depth = source.module().split('/').count() + inline;
    if ups == depth { path.name.split("::").nth(ups) } else { None }
}

fn may_use(from: &str, to: &str) -> Result<(), &'static str> {
    let rank = |name: &str| ORDER.iter().position(|layer| *layer == name);
    if from == to {
        return Ok(());
    }
    if from == SHARED || to == SHARED {
        let allowed = (from == SHARED && to == "model") || (to == SHARED && ["producer", "consumer"].contains(&from));
        return if allowed { Ok(()) } else { Err("is beside the layers; only the compositions use it") };
    }
    match (rank(from), rank(to)) {
        (Some(_), Some(_)) if EDGES.contains(&from) && EDGES.contains(&to) => Err("is another edge; edges never meet"),
        (Some(from), Some(to)) if to < from => Ok(()),
        (Some(_), Some(_)) => Err("is above it; layers only point down"),
        _ => Err("or itself has no place in the order of layers; give it one in tests/tidy/layers.rs"),
    }
}

/// Checks that modules use only permitted modules.
pub fn layers(source: &Source) -> Vec<String> {
    let from = top(source);
    if !source.path.starts_with("src/") || ["lib", "bin"].contains(&from) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for path in paths(&source.code) {
        let Some(to) = target(source, &path).filter(|to| to.starts_with(char::is_lowercase)) else { continue };
        if let Err(why) = may_use(from, to) {
            complaints.push(source.complaint(path.at, &format!("{from} uses {to}, which {why}")));
        }
    }
    complaints
}

/// Checks that the crates of [`CRATE_HOMES`] are named only in their modules. Tests may use any crate.
pub fn crates(source: &Source) -> Vec<String> {
    if source.path.starts_with("tests/") || source.path.starts_with(PEERS) {
        return Vec::new();
    }
    let is_home = |home: &&str| match home.strip_suffix('*') {
        Some(stem) => source.module().starts_with(stem),
        None => top(source) == *home,
    };
    let mut complaints = Vec::new();
    for path in paths(&source.code) {
        let is_path = path.imported || path.name.contains("::");
        let homes = CRATE_HOMES.iter().find(|(name, _)| is_path && path.name.split("::").next() == Some(name));
        if let Some((name, homes)) = homes.filter(|(_, homes)| !homes.iter().any(&is_home)) {
            complaints.push(source.complaint(path.at, &format!("the crate {name} belongs in {}", homes.join(", "))));
        }
    }
    complaints
}

/// Checks that pure modules and the plot receive time and input as values.
pub fn purity(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") || !(PURE.contains(&top(source)) || top(source) == "plot") {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for path in paths(&source.product_code()) {
        let impure = IMPURE.iter().find(|name| {
            starts_with_path(&path.name, name) || (name.contains("::") && path.name.ends_with(&format!("::{name}")))
        });
        let excepted = |name: &str| {
            let imported_name = name.rsplit("::").next();
            IMPURE_ALLOWED
                .iter()
                .any(|(file, allowed)| *file == source.path && allowed.rsplit("::").next() == imported_name)
        };
        if let Some(name) = impure.filter(|name| !excepted(name)) {
            complaints
                .push(source.complaint(path.at, &format!("{} is pure or draws, and must not use {name}", top(source))));
        }
    }
    complaints
}

/// Checks that the library neither reads the environment nor handles signals.
pub fn surroundings(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") || ["bin", SHARED].contains(&top(source)) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for path in paths(&source.product_code()) {
        // Compile-time constants do not depend on the environment.
        let constant = starts_with_path(&path.name, "std::env::consts");
        if let Some(name) = BINARIES_ONLY.iter().find(|name| !constant && starts_with_path(&path.name, name)) {
            complaints.push(source.complaint(path.at, &format!("{name} is for the binaries; hand its result in")));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::source::count;
    use super::*;

    #[test]
    fn layers_only_point_down() {
        for (path, text, complaints) in [
            ("src/series.rs", "use crate::model::Tick;", 0),
            ("src/model.rs", "use crate::series::SeriesMap;", 1),
            ("src/series/downsample.rs", "use crate::model::TimeSpan;", 0),
            ("src/model.rs", "use crate::chart::Rect;", 1),
            ("src/model.rs", "fn f() { crate::client::connect() }", 1),
            ("src/model.rs", "// crate::client is not known here\nconst S: &str = \"crate::client\";", 0),
            ("src/chart.rs", "use crate::{model::Tick, client::Endpoint};", 1),
            ("src/plot/axes.rs", "use crate::window::Input;", 1),
            ("src/plot/axes.rs", "use super::painter::Painter; use crate::chart::Rect;", 0),
            ("src/plot/axes.rs", "use super::super::client::Endpoint;", 1),
            ("src/series.rs", "use super::client::Endpoint;", 1),
            ("src/series.rs", "mod tests { use super::client; use super::super::client::Endpoint; }", 1),
            ("src/client.rs", "use crate::plot::Painter;", 1),
            ("src/window.rs", "use crate::client::Endpoint; use crate::plot::Painter;", 2),
            ("src/consumer.rs", "use crate::{broker, client, cli, plot, producer, series, window};", 0),
            ("src/producer.rs", "use crate::consumer::Config;", 1),
            ("src/cli.rs", "use crate::model::display_safe; use crate::client::Endpoint;", 1),
            ("src/series.rs", "use crate::cli::EXIT_USAGE;", 1),
            ("src/novelty.rs", "use crate::model::Tick;", 1),
            ("src/lib.rs", "pub use crate::client::Endpoint;", 0),
            ("src/bin/producer.rs", "use tickscope::producer;", 0),
        ] {
            assert_eq!(count(layers, path, text), complaints, "{path}: {text}");
        }
    }

    #[test]
    fn crates_stay_in_their_homes() {
        for (path, text, complaints) in [
            ("src/client/subscriber.rs", "use redis::Client;", 0),
            ("src/consumer.rs", "use redis::Client;", 1),
            ("src/consumer.rs", "fn f() -> redis::RedisResult<()> { let redis = 1; g(redis) }", 1),
            ("src/consumer.rs", "use redis;", 1),
            ("src/consumer.rs", "use {minifb::Window, plotters::prelude::*};", 2),
            ("src/plot.rs", "use plotters::prelude::*;", 0),
            ("src/plot.rs", "use minifb::Key;", 1),
            ("src/producer/args.rs", "use clap::Parser;", 0),
            ("src/producer/pace.rs", "use clap::Parser;", 1),
            ("src/bin/consumer.rs", "use clap::Parser;", 0),
            ("tests/broker.rs", "use redis::Client;", 0),
            ("benches/compare/pubsub.rs", "use redis::Client;", 0),
            ("benches/compare.rs", "use clap::Parser;", 0),
            ("benches/client.rs", "use redis::Client;", 1),
            ("benches/draw.rs", "use plotters::prelude::*;", 1),
        ] {
            assert_eq!(count(crates, path, text), complaints, "{path}: {text}");
        }
    }

    #[test]
    fn pure_modules_have_no_clock_and_no_surroundings() {
        for (path, text, complaints) in [
            ("src/model.rs", "fn now() { std::time::SystemTime::now(); }", 0),
            ("src/model.rs", "fn now() { std::time::Instant::now(); }", 1),
            ("src/model/wire.rs", "use std::time::SystemTime;", 1),
            ("src/series.rs", "use std::time::{Duration, Instant};", 1),
            ("src/series.rs", "fn f() { crate::model::Timestamp::now(); }", 1),
            ("src/chart.rs", "async fn f() { g().await }", 2),
            ("src/sources.rs", "use std::fs::File; use std::io::Read;", 1),
            ("src/sources.rs", "#[cfg(test)]\nmod tests { use std::fs::File; }", 0),
            ("src/sources/tests.rs", "use std::fs::File;", 0),
            ("src/plot.rs", "fn f() { jiff::tz::TimeZone::system(); }", 1),
            ("src/client.rs", "use tokio::net::TcpStream;", 0),
        ] {
            assert_eq!(count(purity, path, text), complaints, "{path}: {text}");
        }
    }

    #[test]
    fn signals_and_environment_are_for_the_binaries() {
        for (path, text, complaints) in [
            ("src/bin/producer.rs", "use tokio::signal; fn f() { std::env::var(x); }", 0),
            ("src/cli.rs", "use tokio::signal::ctrl_c;", 0),
            ("src/producer.rs", "use tokio::signal::ctrl_c;", 1),
            ("src/window.rs", "fn f() { std::env::var_os(x); }", 1),
            ("src/client.rs", "const OS: &str = std::env::consts::OS;", 0),
            ("src/window.rs", "const V: &str = env!(\"CARGO_PKG_VERSION\");", 0),
        ] {
            assert_eq!(count(surroundings, path, text), complaints, "{path}: {text}");
        }
    }
}
