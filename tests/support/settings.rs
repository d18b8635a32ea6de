//! Settings as the programs print them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::process::Launch;

const LIMIT: Duration = super::wait::GUARD;

/// Key, value and where it came from, as `--print-config` tells them.
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
