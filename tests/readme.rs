//! The README tells the truth about both command lines.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::process::{Launch, consumer, producer};

const LIMIT: Duration = Duration::from_secs(20);

/// In every program of this kind, and no news to anyone.
const UNIVERSAL: &[&str] = &["--help", "--version"];

/// The part of the README under a heading.
fn section(heading: &str) -> String {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once(&format!("\n## {heading}\n")).expect("the README has this heading");
    rest.split("\n## ").next().unwrap().to_owned()
}

/// All flags in some lines.
fn flags<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
    let words = lines.flat_map(|line| line.split(|c| !is_word(c)));
    let flags = words.filter(|word| word.len() > 2 && word.starts_with("--") && !UNIVERSAL.contains(word));
    flags.map(str::to_owned).collect()
}

fn assert_flags_agree(heading: &str, program: Launch) {
    let help = program.args(["--help"]).run(LIMIT).expect_code(0).stdout;
    let is_option = |line: &&str| line.trim_start().starts_with('-');
    // "  -q, --quiet   Less": the flag stands before the first wide gap, so that one named in a text does not count.
    let offered = flags(help.lines().filter(is_option).filter_map(|line| line.trim_start().split("  ").next()));
    assert!(offered.len() > 10, "the help was not read:\n{help}");
    let table = section(heading);
    let told = flags(table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()));
    assert_eq!(told, offered, "left: told by the README; right: offered by `{heading} --help`");
}

#[test]
fn the_producers_flags_are_those_of_the_readme() {
    assert_flags_agree("`producer`", producer());
}

#[test]
fn the_consumers_flags_are_those_of_the_readme() {
    assert_flags_agree("`consumer`", consumer());
}

#[test]
fn an_unknown_flag_ends_with_the_status_that_the_readme_tells() {
    assert!(section("Exit status").contains("| 2 | it could not begin: an unknown flag"));
    for program in [producer(), consumer()] {
        let ended = program.args(["--no-such-flag"]).run(LIMIT).expect_code(2);
        assert!(ended.stderr.contains("--no-such-flag") && ended.stdout.is_empty(), "{ended:?}");
    }
}
