//! A full disk is reported and waited for, and no tick is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tickscope::storage::db::{DbState, RowBatch, StoreReader, StoreUrl, TickRow};

use super::fixture::{LIMIT, bare, heard, keeper, wait_committed};
use crate::support::wait::{poll, wait_until};

/// Environment variable that makes the process the limited writer, with the store to write to.
const HELPER: &str = "KEEPING_HELPER_FOLDER";

/// Size of the file system. The rows of [`ticks`] fit, the filler beside them does not.
const DISK_BYTES: usize = 4 << 20;

const FILLER_BYTES: usize = 3_300 << 10;

const TICKS: i64 = 40_000;

fn ticks() -> Vec<TickRow> {
    (0..TICKS).map(|n| bare("A", n, n as f64)).collect()
}

/// File system of its own, unmounted when dropped.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts the file system. Returns `None` if this user has no permission to mount.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "none"]).arg(dir.path());
        mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success()).then_some(Self { dir })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.dir.path()).status());
    }
}

/// Writes ticks that do not fit, and calls `make_room` when the store reports it.
fn keep_through_trouble(path: &Path, make_room: impl FnOnce(&str)) {
    let url = StoreUrl::Sqlite(path.to_owned());
    let keeper = keeper(&url, None);
    for (ticket, chunk) in (1..).zip(ticks().chunks(500)) {
        assert_eq!(keeper.offer(RowBatch { ticket, ..heard(chunk) }), 0);
    }
    let mut cause = String::new();
    wait_until("the store to tell its trouble", LIMIT, || match keeper.status().state {
        DbState::Failing(text) => {
            cause = text;
            true
        }
        _ => false,
    });
    let status = keeper.status();
    assert_eq!(status.waiting + status.written, TICKS as u64, "{status:?}");
    assert!(status.waiting > 0, "{status:?}");
    // The writer retries at a rate that does not load the processor.
    std::thread::sleep(Duration::from_millis(300));
    make_room(&cause);
    wait_committed(&keeper, (TICKS as u64).div_ceil(500));
    let status = keeper.close(LIMIT);
    assert_eq!((status.written, status.dropped, status.duplicates), (TICKS as u64, 0, 0), "{status:?}");
    assert_eq!(status.state, DbState::Writing);
    let mut read = Vec::new();
    StoreReader::open(&url).unwrap().read(&[], 0, i64::MAX, None, &mut |tick| read.push(tick.clone())).unwrap();
    assert_eq!(read, ticks());
}

#[test]
fn a_full_disk_is_waited_for() {
    let Some(disk) = SmallDisk::mount() else {
        // Without permission to mount, a file size limit replaces the full disk.
        return run_under_a_limit("storage::disk_full::a_file_that_may_not_grow_is_waited_for");
    };
    let filler = disk.dir.path().join("filler");
    fs::write(&filler, vec![7; FILLER_BYTES]).unwrap();
    keep_through_trouble(&disk.dir.path().join("ticks.db"), |cause| {
        assert_eq!(cause, "the disk is full");
        fs::remove_file(&filler).unwrap();
    });
}

#[test]
fn a_disk_that_is_full_from_the_start_is_waited_for() {
    let Some(disk) = SmallDisk::mount() else {
        return run_under_a_limit("storage::disk_full::a_file_that_may_not_grow_is_waited_for");
    };
    let filler = disk.dir.path().join("filler");
    // Fills the remaining space.
    drop(fs::write(&filler, vec![7; 2 * DISK_BYTES]));
    keep_through_trouble(&disk.dir.path().join("ticks.db"), |_| fs::remove_file(&filler).unwrap());
}

#[test]
fn a_file_that_may_not_grow_is_waited_for() {
    let Ok(folder) = std::env::var(HELPER) else {
        return run_under_a_limit("storage::disk_full::a_file_that_may_not_grow_is_waited_for");
    };
    let folder = PathBuf::from(folder);
    keep_through_trouble(&folder.join("ticks.db"), |_| {
        fs::write(folder.join("failing"), "").unwrap();
        // The other process lifts the limit.
        wait_until("the limit to be lifted", LIMIT, || folder.join("lifted").exists());
    });
}

/// Runs a test of this program in a process with a file size limit of 300 kB, and lifts the limit on request.
fn run_under_a_limit(test: &str) {
    let dir = tempfile::tempdir().unwrap();
    // The signal is ignored, so that writes fail with an error.
    let mut child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 600; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(HELPER, dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let asked =
        poll(LIMIT, || (dir.path().join("failing").exists() || child.try_wait().unwrap().is_some()).then_some(()));
    assert!(asked.is_some() && child.try_wait().unwrap().is_none(), "the writer met no limit");
    let lifted = Command::new("prlimit").args(["--pid", &child.id().to_string(), "--fsize=unlimited"]).status();
    assert!(lifted.is_ok_and(|status| status.success()), "prlimit");
    fs::write(dir.path().join("lifted"), "").unwrap();
    assert!(child.wait().unwrap().success(), "the writer failed");
}
