//! Agreement of docs/command-line.md with the flags and exit statuses of both programs.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::process::{Launch, consumer, producer};

const LIMIT: Duration = crate::support::wait::GUARD;

/// Flags of every command-line program, which the document omits.
const UNIVERSAL: &[&str] = &["--help", "--version"];

/// Section of docs/command-line.md under a heading.
fn section(heading: &str) -> String {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/command-line.md")).unwrap();
    let (_, rest) = text.split_once(&format!("\n## {heading}\n")).expect("the document has this heading");
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
    // "  -q, --quiet   Less": only the text before the first run of blanks counts, not flags named in a description.
    let offered = flags(help.lines().filter(is_option).filter_map(|line| line.trim_start().split("  ").next()));
    assert!(offered.len() > 10, "the help was not read:\n{help}");
    let table = section(heading);
    let documented = flags(table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()));
    assert_eq!(documented, offered, "left: listed in docs/command-line.md; right: offered by `{heading} --help`");
}

#[test]
fn documented_flags_of_the_producer_exist() {
    assert_flags_agree("`producer`", producer());
}

#[test]
fn documented_flags_of_the_consumer_exist() {
    assert_flags_agree("`consumer`", consumer());
}

#[test]
fn an_unknown_flag_exits_with_the_documented_status() {
    assert!(section("Exit status").contains("| 2 | it could not begin: an unknown flag"));
    for program in [producer(), consumer()] {
        let ended = program.args(["--no-such-flag"]).run(LIMIT).expect_code(2);
        assert!(ended.stderr.contains("--no-such-flag") && ended.stdout.is_empty(), "{ended:?}");
    }
}
