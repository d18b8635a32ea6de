//! Files that are complete or absent.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// File that is written under a temporary name and renamed when it is complete: a reader never sees a partial file, and
/// a failure leaves an older one in place.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    finished: bool,
}

impl AtomicFile {
    /// Creates `path.PID.partial`, which [`finish`](Self::finish) renames to `path`.
    ///
    /// # Errors
    ///
    /// The operating system's error if the file cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut partial = OsString::from(path);
        partial.push(format!(".{}.partial", std::process::id()));
        let partial = PathBuf::from(partial);
        let file = File::create(&partial)?;
        Ok(Self { path: path.to_owned(), partial, file, finished: false })
    }

    /// Writes the file to disk and renames it.
    ///
    /// # Errors
    ///
    /// The operating system's error; an older file is still in place.
    pub fn finish(mut self) -> io::Result<()> {
        // A failing disk must be reported before the older file is replaced.
        self.file.sync_all()?;
        fs::rename(&self.partial, &self.path)?;
        self.finished = true;
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.finished {
            // An error would add nothing to the one that caused the drop.
            let _ = fs::remove_file(&self.partial);
        }
    }
}
