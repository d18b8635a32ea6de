//! A bounded queue on disk: what was made and not yet confirmed outlives a crash of the producer.
//!
//! A folder holds a spool: `lock`, by which one process at a time uses it; `spool`, which says whose numbers are in it;
//! and a folder for each lane, with its messages in segments (`segment_log`) and how far they are done with (`checkpoint`).
//! What this module did not write it refuses to touch.

mod checkpoint;
mod record;
mod segment_log;
mod writer;

pub use writer::Writer;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::client::SendQueue;
use crate::model::display_safe;
use crate::spool::segment_log::Lane;

/// Ticks that a spool holds unless told otherwise: a quarter of an hour at a thousand a second, in some 150 MB.
pub const SPOOL_TICKS: u64 = 1_000_000;

/// First line of the file that makes a folder a spool, before its version.
const TITLE: &str = "tickscope spool ";

/// What this version writes, and reads.
const VERSION: u32 = 1;

const IDENTITY: &str = "spool";
const IDENTITY_NEW: &str = "spool.new";
const LOCK: &str = "lock";

/// Why a folder cannot be the spool.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// The operating system said no.
    #[error("{path} cannot be used")]
    Io {
        /// Safe to show.
        path: String,
        /// Its words.
        source: io::Error,
    },
    /// Somebody else's files.
    #[error("{path} holds {file}, which is no part of a spool; name an empty folder, or one that does not exist yet")]
    Foreign {
        /// Safe to show.
        path: String,
        /// The first file that does not belong there, safe to show.
        file: String,
    },
    /// A later version's files.
    #[error("{path} was written by a newer tickscope, which has to empty it first; or name another folder")]
    Newer {
        /// Safe to show.
        path: String,
    },
    /// What must be readable is not.
    #[error("{path} is damaged; move the spool away to begin a new one: its ticks may still be read from the files")]
    Damaged {
        /// Safe to show.
        path: String,
    },
    /// Another process is at it.
    #[error("the spool {path} is in use by another producer; give each producer a folder of its own")]
    Locked {
        /// Safe to show.
        path: String,
    },
    /// Its numbers belong to another source.
    #[error(
        "the spool {path} holds the numbers of source {held}, not of {asked}: leave --source out, or name another \
         folder"
    )]
    Source {
        /// Safe to show.
        path: String,
        /// Whose numbers they are, safe to show.
        held: String,
        /// What was asked for, safe to show.
        asked: String,
    },
    /// Its ticks are spread otherwise.
    #[error(
        "the spool {path} was made for {held} of a cluster's shards (1: no cluster), not for {asked}: run as before \
         until it is empty, or name another folder"
    )]
    Lanes {
        /// Safe to show.
        path: String,
        /// As many as it has.
        held: u16,
        /// As many as were asked for.
        asked: u16,
    },
}

/// A spool that this process alone uses until it is dropped.
#[derive(Debug)]
pub struct Spool {
    source: String,
    /// Messages that each lane may hold.
    share: u64,
    lanes: Vec<Lane>,
}

impl Spool {
    /// Opens the spool in `folder`, or makes one there, with a queue for each of `lanes`, `max` messages in all, which
    /// the lanes share evenly. `source` is whose numbers it must hold, if that matters; a new one is given `fallback`
    /// otherwise.
    pub fn open(folder: &Path, source: Option<&str>, fallback: &str, lanes: u16, max: u64) -> Result<Self, SpoolError> {
        let failed = |source| SpoolError::Io { path: shown(folder), source };
        fs::create_dir_all(folder).map_err(failed)?;
        check_names(folder, lanes)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join(LOCK));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(SpoolError::Locked { path: shown(folder) }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let source = match Identity::read(folder)? {
            Some(identity) => identity.check(folder, source, lanes)?,
            None => {
                let source = source.unwrap_or(fallback).to_owned();
                Identity { source: source.clone(), lanes }.write(folder).map_err(failed)?;
                source
            }
        };
        let lock = Arc::new(lock);
        let lanes = (0..lanes).map(|lane| Lane::open(folder.join(lane_name(lane)), &lock));
        let lanes = lanes.collect::<Result<Vec<_>, _>>()?;
        let share = (max / lanes.len().max(1) as u64).max(1);
        Ok(Self { source, share, lanes })
    }

    /// Whose numbers it holds.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Messages of an earlier run that it holds.
    pub fn recovered(&self) -> u64 {
        self.lanes.iter().map(Lane::held).sum()
    }

    /// Starts to write. For each lane its queue, with `memory` messages in memory at most, the thread that writes what
    /// comes through it, and the number of the next message.
    pub fn start(self, memory: usize) -> io::Result<Vec<(Arc<SendQueue>, Writer, u64)>> {
        let share = self.share;
        let start = |lane: Lane| {
            let next = lane.next();
            let (outbox, writer) = Writer::start(lane, memory, share)?;
            Ok((outbox, writer, next))
        };
        self.lanes.into_iter().map(start).collect()
    }
}

fn shown(path: &Path) -> String {
    display_safe(&path.display().to_string()).into_owned()
}

fn lane_name(lane: u16) -> String {
    format!("lane-{lane:03}")
}

/// Refuses a folder in which anything lies that this module did not put there.
fn check_names(folder: &Path, lanes: u16) -> Result<(), SpoolError> {
    let failed = |source| SpoolError::Io { path: shown(folder), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let known = name.to_str().is_some_and(|name| {
            let lane = name.strip_prefix("lane-").and_then(|digits| digits.parse::<u16>().ok());
            [IDENTITY, IDENTITY_NEW, LOCK].contains(&name) || lane.is_some_and(|lane| name == lane_name(lane))
        });
        if !known {
            let file = display_safe(&name.to_string_lossy()).into_owned();
            return Err(SpoolError::Foreign { path: shown(folder), file });
        }
    }
    // Lanes without the file that tells what they are would be read by guess.
    if !folder.join(IDENTITY).exists() && (0..lanes).any(|lane| folder.join(lane_name(lane)).exists()) {
        return Err(SpoolError::Damaged { path: shown(&folder.join(IDENTITY)) });
    }
    Ok(())
}

/// Makes names in `folder` outlive a crash of the machine.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened; there the file system keeps names by itself.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Whose numbers, over how many lanes.
struct Identity {
    source: String,
    lanes: u16,
}

impl Identity {
    fn read(folder: &Path) -> Result<Option<Self>, SpoolError> {
        let path = folder.join(IDENTITY);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(SpoolError::Damaged { path: shown(&path) });
            }
            Err(source) => return Err(SpoolError::Io { path: shown(&path), source }),
        };
        let damaged = || SpoolError::Damaged { path: shown(&path) };
        let mut lines = text.lines();
        let version =
            lines.next().and_then(|line| line.strip_prefix(TITLE)?.parse::<u32>().ok()).ok_or_else(damaged)?;
        if version > VERSION {
            return Err(SpoolError::Newer { path: shown(folder) });
        }
        let mut field = |name: &str| lines.next().and_then(|line| line.strip_prefix(name)).ok_or_else(damaged);
        let source = field("source ")?.to_owned();
        let lanes = field("lanes ")?.parse().map_err(|_| damaged())?;
        Ok(Some(Self { source, lanes }))
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        let path = folder.join(IDENTITY_NEW);
        let mut file = File::create(&path)?;
        write!(file, "{TITLE}{VERSION}\nsource {}\nlanes {}\n", self.source, self.lanes)?;
        file.sync_all()?;
        fs::rename(path, folder.join(IDENTITY))?;
        sync_folder(folder)
    }

    /// The source, if this is the spool that was meant.
    fn check(self, folder: &Path, source: Option<&str>, lanes: u16) -> Result<String, SpoolError> {
        if let Some(asked) = source.filter(|asked| *asked != self.source) {
            let (held, asked) = (display_safe(&self.source).into_owned(), display_safe(asked).into_owned());
            return Err(SpoolError::Source { path: shown(folder), held, asked });
        }
        if lanes != self.lanes {
            return Err(SpoolError::Lanes { path: shown(folder), held: self.lanes, asked: lanes });
        }
        Ok(self.source)
    }
}

/// The path of a file in a lane's folder, and why it cannot be used.
fn unusable(path: PathBuf) -> impl Fn(io::Error) -> SpoolError {
    move |source| SpoolError::Io { path: shown(&path), source }
}

#[cfg(test)]
mod tests;
