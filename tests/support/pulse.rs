//! Detection of polls by a program. A test that holds down a key or button waits until the program has polled it.
//!
//! Each iteration of the polling loop ends in a sleep, and the kernel counts the sleeps of each thread. A fixed pause
//! would not be reliable: on a busy machine, the program may not run at all during the pause.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::wait::{poll, wait_for};

/// Number of sleeps after which the loop has completed two iterations, and therefore one complete poll. An iteration
/// has one sleep of its own, one or two that wait for the display, and up to about nine that wait for a frame.
const SLEEPS: u64 = 24;

/// Longest wait for [`SLEEPS`] sleeps, which take a quarter of a second on an idle machine.
const LIMIT: Duration = super::wait::GUARD;

/// Maximum length of a thread name in Linux.
const NAME_MAX: usize = 15;

/// Sleep counter of the polling thread.
#[derive(Debug)]
pub struct Pulse {
    status: PathBuf,
}

impl Pulse {
    /// Observes the main thread of a process.
    pub fn of(process: u32) -> Self {
        Self { status: format!("/proc/{process}/task/{process}/status").into() }
    }

    /// Observes the thread of this name of a process, and waits until it exists.
    pub fn of_thread(process: u32, name: &str) -> Self {
        let name = &name[..name.len().min(NAME_MAX)];
        let is_it = |task: &Path| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name);
        let task = wait_for("the thread that polls", LIMIT, || {
            let tasks = fs::read_dir(format!("/proc/{process}/task")).ok()?;
            // The main thread has the name of the program.
            tasks.flatten().map(|entry| entry.path()).find(|task| is_it(task))
        });
        Self { status: task.join("status") }
    }

    /// Waits until the thread has polled all pending input or has exited.
    pub fn wait(&self) {
        let Some(begun) = self.sleeps() else { return };
        let polled = poll(LIMIT, || self.sleeps().is_none_or(|now| now >= begun + SLEEPS).then_some(()));
        assert!(polled.is_some(), "no polling within {LIMIT:?}: {}", self.status.display());
    }

    /// Number of sleeps so far; `None` if the thread has exited, even if the process has not been waited for.
    fn sleeps(&self) -> Option<u64> {
        let status = fs::read_to_string(&self.status).ok()?;
        if status.lines().any(|line| line.starts_with("State:\tZ")) {
            return None;
        }
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    }
}
