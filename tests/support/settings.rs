//! Settings as printed by the programs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::process::Launch;

const LIMIT: Duration = super::wait::GUARD;

/// Value and source of each key, as printed by `--print-config`.
pub fn printed(launch: Launch) -> BTreeMap<String, (String, String)> {
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
