//! Detection of a database file that was moved or removed while it is open.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Path of an open file and the file's identity.
#[derive(Debug)]
pub(super) struct FileIdentity {
    path: PathBuf,
    /// Device and inode, which no other file gets while this one is open. `None` if they cannot be determined.
    id: Option<(u64, u64)>,
}

impl FileIdentity {
    /// Records the identity of the file at `path`, which was just opened.
    pub(super) fn record(path: PathBuf) -> Self {
        let id = file_id(&path).ok().flatten();
        Self { path, id }
    }

    /// Reports whether the path leads nowhere or to another file. False if that cannot be determined.
    pub(super) fn is_lost(&self) -> bool {
        let Some(recorded) = self.id else { return false };
        match file_id(&self.path) {
            Ok(found) => found.is_some_and(|found| found != recorded),
            Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }
}

#[cfg(unix)]
fn file_id(path: &Path) -> io::Result<Option<(u64, u64)>> {
    use std::os::unix::fs::MetadataExt;

    fs::metadata(path).map(|file| Some((file.dev(), file.ino())))
}

/// On other platforms an open file cannot be moved or removed.
#[cfg(not(unix))]
fn file_id(path: &Path) -> io::Result<Option<(u64, u64)>> {
    fs::metadata(path).map(|_| None)
}

#[cfg(test)]
mod tests {
    use crate::storage::db::sqlite::file_identity::*;

    #[cfg(unix)]
    #[test]
    fn a_moved_replaced_or_removed_file_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "1").unwrap();
        // Held open, as a store is, so that its inode is not reused.
        let _open = fs::File::open(&path).unwrap();
        let file = FileIdentity::record(path.clone());
        fs::write(&path, "2").unwrap();
        assert!(!file.is_lost(), "the same file with other content");
        fs::rename(&path, dir.path().join("b")).unwrap();
        assert!(file.is_lost(), "moved");
        fs::write(&path, "1").unwrap();
        assert!(file.is_lost(), "replaced");
        fs::remove_file(&path).unwrap();
        fs::rename(dir.path().join("b"), &path).unwrap();
        assert!(!file.is_lost(), "moved back");
        fs::remove_file(&path).unwrap();
        assert!(file.is_lost(), "removed");
    }

    #[test]
    fn a_file_of_unknown_identity_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let file = FileIdentity::record(path.clone());
        assert!(!file.is_lost());
        fs::write(&path, "1").unwrap();
        assert!(!file.is_lost());
    }
}
