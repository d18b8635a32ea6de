//! Rules on the source code, applied to the whole repository. Each rule is defined in `tests/tidy/`, beside the tests
//! that prove that it can fail.

mod layers;
mod loops;
mod manifest;
mod source;
mod style;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use manifest::{Accepted, dependency_reasons};
use source::Source;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Texts outside `src` and `tests` that follow the rules on lines and words.
const OTHER_TEXTS: &[&str] = &[
    "ARCHITECTURE.md",
    "BENCHMARKS.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "NOTICE",
    "README.md",
    "ROADMAP.md",
    "clippy.toml",
    "deny.toml",
    "rustfmt.toml",
    "data/README.md",
    "scripts/bench",
    "scripts/bench.d/install",
    "scripts/bench.d/requirements.txt",
    "scripts/chaos",
    "scripts/debian.sh",
    "scripts/test",
    ".ci/run",
];

/// Reads a file of the repository; `None` if it does not exist.
fn read(path: &str) -> Option<Source> {
    Some(Source::new(path, &fs::read_to_string(Path::new(ROOT).join(path)).ok()?))
}

/// All files under a directory with one of these suffixes, in order of their paths.
fn files_under(dir: &str, suffixes: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(Path::new(ROOT).join(&dir)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{dir}/{}", entry.file_name().to_str().expect("file names are plain text"));
            if entry.file_type().unwrap().is_dir() {
                waiting.push(path);
            } else if suffixes.iter().any(|suffix| path.ends_with(suffix)) {
                found.extend(read(&path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn rust_files() -> Vec<Source> {
    let found: Vec<Source> =
        ["src", "tests", "benches"].into_iter().flat_map(|dir| files_under(dir, &[".rs"])).collect();
    assert!(found.iter().any(|source| source.path == "src/lib.rs"), "the source was not found");
    found
}

#[track_caller]
fn assert_law(sources: &[Source], rule: fn(&Source) -> Vec<String>) {
    let complaints: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn modules_know_only_those_below_them() {
    assert_law(&rust_files(), layers::layers);
}

#[test]
fn files_import_each_other_in_no_loop() {
    let loops = loops::loops(&rust_files());
    assert!(loops.is_empty(), "\n{}\n", loops.join("\n"));
}

#[test]
fn comments_begin_with_no_question() {
    assert_law(&rust_files(), style::openings);
}

#[test]
fn identifiers_are_the_terms_of_the_field() {
    assert_law(&rust_files(), style::names);
}

#[test]
fn crates_are_used_in_their_homes_only() {
    assert_law(&rust_files(), layers::crates);
}

#[test]
fn pure_modules_and_the_drawing_take_time_as_a_value() {
    assert_law(&rust_files(), layers::purity);
}

#[test]
fn environment_and_signals_are_read_in_the_binaries_only() {
    assert_law(&rust_files(), layers::surroundings);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    assert_law(&rust_files(), style::files);
}

#[test]
fn functions_fit_on_a_screen() {
    assert_law(&rust_files(), style::functions);
}

#[test]
fn nothing_is_left_undone_or_left_out() {
    assert_law(&rust_files(), style::leftovers);
}

#[test]
fn what_can_panic_is_proved_where_it_stands() {
    assert_law(&rust_files(), style::panics);
}

#[test]
fn lines_are_clean_and_words_are_the_products_own() {
    let mut texts = rust_files();
    texts.extend(["tests", "scripts"].into_iter().flat_map(|dir| files_under(dir, &[".py"])));
    texts.extend(files_under("docs", &[".md"]));
    texts.extend(OTHER_TEXTS.iter().filter_map(|path| read(path)));
    assert_law(&texts, style::lines);
    assert_law(&texts, style::words);
}

#[test]
fn every_dependency_has_its_reason() {
    assert_law(&[read("Cargo.toml").unwrap()], dependency_reasons);
}

#[test]
fn every_crate_of_a_build_has_an_accepted_licence() {
    let accepted = Accepted::read(&read("deny.toml").expect("deny.toml lies beside Cargo.toml").text);
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    // Offline, because the dependencies of this build are already present. `cargo metadata` would also list crates that
    // only other platforms need.
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--all-features", "--target", host])
        .args(["--edges", "normal,build,dev", "--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"])
        .current_dir(ROOT)
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let used: HashSet<(&str, &str)> = tree.lines().filter_map(|line| line.split_once('|')).collect();
    assert!(used.len() > 10, "the tree of dependencies was not read");
    let refused: Vec<String> = used
        .into_iter()
        .map(|(package, licence)| (package.split(' ').next().unwrap_or_default(), licence))
        .filter(|(name, licence)| !accepted.accepts(name, licence))
        .map(|(name, licence)| format!("{name}: {licence}"))
        .collect();
    assert!(refused.is_empty(), "deny.toml does not accept {refused:#?}");
}
