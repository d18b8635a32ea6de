//! Files that are there whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file written beside its place and moved there when it is complete: a reader never sees half of it, and a failure
/// leaves an older one in place.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    finished: bool,
}

impl AtomicFile {
    /// Begins a file; until it is finished it is named `path` with this process's number and `.partial` behind.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut partial = OsString::from(path);
        partial.push(format!(".{}.partial", std::process::id()));
        let partial = PathBuf::from(partial);
        let file = File::create(&partial)?;
        Ok(Self { path: path.to_owned(), partial, file, finished: false })
    }

    /// Puts the file in its place.
    pub fn finish(mut self) -> io::Result<()> {
        // What a disk cannot keep must fail here, and not when nobody looks any more.
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
            // What is left of the attempt is of no use; that it cannot be removed adds nothing to the first error.
            let _ = fs::remove_file(&self.partial);
        }
    }
}
