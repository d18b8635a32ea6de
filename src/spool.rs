//! Durable send queue on disk: messages that are not yet confirmed survive a crash of the producer.
//!
//! A folder holds a spool: `lock`, which limits it to one process at a time; `spool`, which identifies the source of
//! its numbers; and a folder for each shard (one without a cluster), with the messages in segments (`segment_log`) and
//! the progress of their delivery (`checkpoint`). The module refuses a folder that holds any other file.

mod batch;
mod checkpoint;
mod record;
mod segment_log;
mod sequence_range;

pub use batch::Batch;
pub use segment_log::SegmentLog;
pub use sequence_range::SequenceRange;
pub(crate) use sequence_range::add_range;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::model::display_safe;

/// Default number of ticks that a spool holds: a quarter of an hour at a thousand a second, in about 150 MB.
pub const SPOOL_TICKS: u64 = 1_000_000;

/// First line of the file that identifies a spool, up to the version.
const TITLE: &str = "tickscope spool ";

/// Version of the format that this program reads and writes.
const VERSION: u32 = 1;

const IDENTITY: &str = "spool";
const IDENTITY_NEW: &str = "spool.new";
const LOCK: &str = "lock";

/// Error that prevents the use of a folder as the spool. All texts are safe to display.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The operating system reports an error.
    #[error("{path} cannot be used")]
    Io {
        /// Path of the file or folder.
        path: String,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The folder holds other files.
    #[error("{path} holds {file}, which is no part of a spool; name an empty folder, or one that does not exist yet")]
    Foreign {
        /// Path of the folder.
        path: String,
        /// First file that is not part of a spool.
        file: String,
    },
    /// A later version wrote the files.
    #[error("{path} was written by a newer tickscope, which has to empty it first; or name another folder")]
    Newer {
        /// Path of the file or folder.
        path: String,
    },
    /// A file that the spool depends on is damaged.
    #[error("{path} is damaged; move the spool away to start a new one: its ticks may still be read from the files")]
    Damaged {
        /// Path of the file.
        path: String,
    },
    /// Another process uses the spool.
    #[error("the spool {path} is in use by another producer; give each producer a folder of its own")]
    Locked {
        /// Path of the folder.
        path: String,
    },
    /// The spool holds the numbers of another source.
    #[error(
        "the spool {path} holds the numbers of source {held}, not of {asked}: omit --source, or name another folder"
    )]
    Source {
        /// Path of the folder.
        path: String,
        /// Source in the spool.
        held: String,
        /// Source that was requested.
        asked: String,
    },
    /// The spool was created for another number of shards.
    #[error(
        "the spool {path} was made for --shards {held} (1: no cluster), not for {asked}: run with the earlier settings \
         until it is empty, or name another folder"
    )]
    Shards {
        /// Path of the folder.
        path: String,
        /// Number of shards in the spool.
        held: u16,
        /// Number of shards that was requested.
        asked: u16,
    },
}

/// A spool folder, locked for this process until the spool and its logs are dropped.
///
/// # Examples
/// ```
/// use tickscope::spool::Spool;
///
/// let folder = std::env::temp_dir().join(format!("spool-doc-{}", std::process::id()));
/// let spool = Spool::open(&folder, None, "source-1", 1, 1_000)?;
/// assert_eq!((spool.source(), spool.recovered()), ("source-1", 0));
/// # drop(spool);
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), tickscope::spool::SpoolError>(())
/// ```
#[derive(Debug)]
pub struct Spool {
    source: String,
    logs: Vec<SegmentLog>,
}

impl Spool {
    /// Opens the spool in `folder`, or creates one, with a log for each of `shards`. The logs share `max` messages
    /// evenly. `source`, if given, must match the source in the spool; a new spool without one gets `fallback`.
    ///
    /// # Errors
    /// [`SpoolError`] if the folder cannot be read or written, is in use, is damaged, or belongs to other settings.
    pub fn open(
        folder: &Path,
        source: Option<&str>,
        fallback: &str,
        shards: u16,
        max: u64,
    ) -> Result<Self, SpoolError> {
        let failed = io_error(folder.to_owned());
        fs::create_dir_all(folder).map_err(&failed)?;
        check_names(folder, |name| {
            let shard = name.strip_prefix("lane-").and_then(|digits| digits.parse::<u16>().ok());
            [IDENTITY, IDENTITY_NEW, LOCK].contains(&name) || shard.is_some_and(|shard| name == log_name(shard))
        })?;
        // The numbers in a log mean nothing without the identity of their source.
        if !folder.join(IDENTITY).exists() && (0..shards).any(|shard| folder.join(log_name(shard)).exists()) {
            return Err(SpoolError::Damaged { path: safe_path(&folder.join(IDENTITY)) });
        }
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(LOCK));
        let lock = lock.map_err(&failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => SpoolError::Locked { path: safe_path(folder) },
            TryLockError::Error(source) => failed(source),
        })?;
        let (held, held_shards) = match read_identity(folder)? {
            Some(identity) => identity,
            None => {
                let source = source.unwrap_or(fallback);
                let text = format!("{TITLE}{VERSION}\nsource {source}\nlanes {shards}\n");
                create_file(folder, IDENTITY_NEW, IDENTITY, text.as_bytes()).map_err(failed)?;
                (source.to_owned(), shards)
            }
        };
        if let Some(asked) = source.filter(|asked| *asked != held) {
            let (held, asked) = (display_safe(&held).into_owned(), display_safe(asked).into_owned());
            return Err(SpoolError::Source { path: safe_path(folder), held, asked });
        }
        if held_shards != shards {
            return Err(SpoolError::Shards { path: safe_path(folder), held: held_shards, asked: shards });
        }
        let lock = Arc::new(lock);
        let capacity = (max / u64::from(shards.max(1))).max(1);
        let logs = (0..shards).map(|shard| SegmentLog::open(folder.join(log_name(shard)), capacity, &lock));
        Ok(Self { source: held, logs: logs.collect::<Result<_, _>>()? })
    }

    /// Source of the numbers in the spool.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Number of messages of an earlier run in the spool.
    pub fn recovered(&self) -> u64 {
        self.logs.iter().map(|log| log.recovered).sum()
    }

    /// Returns the log of each shard.
    pub fn into_logs(self) -> Vec<SegmentLog> {
        self.logs
    }
}

/// Returns a path that is safe to display.
fn safe_path(path: &Path) -> String {
    display_safe(&path.display().to_string()).into_owned()
}

/// Returns a conversion from an I/O error on `path`.
fn io_error(path: PathBuf) -> impl Fn(io::Error) -> SpoolError {
    move |source| SpoolError::Io { path: safe_path(&path), source }
}

/// Name of a shard's folder; part of the format.
fn log_name(shard: u16) -> String {
    format!("lane-{shard:03}")
}

/// Refuses a folder that holds a file whose name `is_known` rejects.
fn check_names(folder: &Path, mut is_known: impl FnMut(&str) -> bool) -> Result<(), SpoolError> {
    let failed = io_error(folder.to_owned());
    for entry in fs::read_dir(folder).map_err(&failed)? {
        let name = entry.map_err(&failed)?.file_name();
        if !name.to_str().is_some_and(&mut is_known) {
            return Err(SpoolError::Foreign { path: safe_path(folder), file: safe_path(Path::new(&name)) });
        }
    }
    Ok(())
}

/// Creates a file in `folder` durably. It is written under the name `new` first, so that `name` is complete or absent.
fn create_file(folder: &Path, new: &str, name: &str, content: &[u8]) -> io::Result<()> {
    let path = folder.join(new);
    let mut file = File::create(&path)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(path, folder.join(name))?;
    sync_folder(folder)
}

/// Makes the names in `folder` durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Other systems cannot open a folder, and their file systems make names durable by themselves.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Reads the source and the number of shards from the file that identifies a spool, if there is one.
fn read_identity(folder: &Path) -> Result<Option<(String, u16)>, SpoolError> {
    let path = folder.join(IDENTITY);
    let damaged = || SpoolError::Damaged { path: safe_path(&path) };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(damaged()),
        Err(source) => return Err(SpoolError::Io { path: safe_path(&path), source }),
    };
    let mut lines = text.lines();
    let mut field = |name: &str| lines.next().and_then(|line| line.strip_prefix(name)).ok_or_else(damaged);
    let version: u32 = field(TITLE)?.parse().map_err(|_| damaged())?;
    if version > VERSION {
        return Err(SpoolError::Newer { path: safe_path(folder) });
    }
    let source = field("source ")?.to_owned();
    let shards = field("lanes ")?.parse().map_err(|_| damaged())?;
    Ok(Some((source, shards)))
}

#[cfg(test)]
mod tests;
