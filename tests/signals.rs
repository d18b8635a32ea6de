//! Signal handlers of the real programs.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(40);

/// Capacity of a pipe on Linux.
const PIPE_BYTES: usize = 64 * 1024;

/// SIGHUP, SIGINT and SIGTERM, as bits of `SigCgt` in `/proc/PID/status`.
const SHUTDOWN_SIGNALS: u64 = 1 << 0 | 1 << 1 | 1 << 14;

fn caught_signals(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    mask.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap())
}

/// Each program blocks at its first log line, because its standard error is a full pipe. The line reports that
/// `TICKSCOPE_QUIET` has no effect beside `-v`, and precedes everything that a program opens or creates.
#[test]
fn signals_are_handled_before_anything_is_opened() {
    let (producer, consumer) = (env!("CARGO_BIN_EXE_producer"), env!("CARGO_BIN_EXE_consumer"));
    for (program, args) in [
        (producer, &["-v", "--spool", "spool"][..]),
        (producer, &["-v", "--replay", "sqlite:ticks.db", "--speed", "max"]),
        (consumer, &["-v", "--headless", "--store", "sqlite:ticks.db"]),
        (consumer, &["-v", "--store", "sqlite:ticks.db", "--export", "ticks.csv", "--from", "start"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (_unread, mut full) = std::io::pipe().unwrap();
        full.write_all(&vec![b'.'; PIPE_BYTES]).unwrap();
        let mut command = Command::new(program);
        command.args(args).env_clear().env("TICKSCOPE_QUIET", "1").current_dir(folder.path());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(full).spawn().unwrap();
        let pid = child.id();
        wait_until("the signals to be handled", LIMIT, || {
            assert_eq!(child.try_wait().unwrap(), None, "{program} {args:?} ended");
            caught_signals(pid) & SHUTDOWN_SIGNALS == SHUTDOWN_SIGNALS
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{program} {args:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
