//! Whether a path still leads to the file that was opened there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The path of an open file, and which file that was.
#[derive(Debug)]
pub(super) struct NamedFile {
    path: PathBuf,
    /// Device and inode. No other file gets the same ones while this one is open, even if it has no name any more.
    /// `None` where there is no telling.
    id: Option<(u64, u64)>,
}

impl NamedFile {
    /// Right after the file was opened.
    pub(super) fn note(path: PathBuf) -> Self {
        let id = id(&path).ok().flatten();
        Self { path, id }
    }

    /// Whether the path leads nowhere by now, or to another file. What cannot be told has not happened.
    pub(super) fn is_lost(&self) -> bool {
        let Some(noted) = self.id else { return false };
        match id(&self.path) {
            Ok(found) => found.is_some_and(|found| found != noted),
            Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }
}

#[cfg(unix)]
fn id(path: &Path) -> io::Result<Option<(u64, u64)>> {
    use std::os::unix::fs::MetadataExt;

    fs::metadata(path).map(|file| Some((file.dev(), file.ino())))
}

/// Elsewhere an open file cannot be moved or removed.
#[cfg(not(unix))]
fn id(path: &Path) -> io::Result<Option<(u64, u64)>> {
    fs::metadata(path).map(|_| None)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use crate::storage::db::sqlite::named::*;

    #[test]
    fn a_file_is_lost_once_its_path_leads_nowhere_or_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "1").unwrap();
        // Held open, as a store is: its inode is not given to another file.
        let _open = fs::File::open(&path).unwrap();
        let named = NamedFile::note(path.clone());
        fs::write(&path, "2").unwrap();
        assert!(!named.is_lost(), "the same file with other content");
        fs::rename(&path, dir.path().join("b")).unwrap();
        assert!(named.is_lost(), "moved");
        fs::write(&path, "1").unwrap();
        assert!(named.is_lost(), "replaced");
        fs::remove_file(&path).unwrap();
        fs::rename(dir.path().join("b"), &path).unwrap();
        assert!(!named.is_lost(), "moved back");
        fs::remove_file(&path).unwrap();
        assert!(named.is_lost(), "removed");
    }

    #[test]
    fn what_cannot_be_told_has_not_happened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let named = NamedFile::note(path.clone());
        assert!(!named.is_lost());
        fs::write(&path, "1").unwrap();
        assert!(!named.is_lost());
    }
}
