//! Checkpoint of a segment log: the numbers up to which its messages are done.
//!
//! Two copies are overwritten alternately in place. One of them is valid whatever happens, and a full disk has room for
//! both.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::spool::create_file;

/// Name of the file.
pub(super) const NAME: &str = "position";

/// Name of a new file until it is complete. A crash may leave it.
pub(super) const NAME_NEW: &str = "position.new";

/// Each copy fills a sector of its own, which a disk writes atomically.
const COPY_BYTES: usize = 512;

/// First bytes of each copy.
const MAGIC: u64 = u64::from_le_bytes(*b"tspos  1");

/// Number of fields before the checksum.
const FIELDS: usize = 6;

/// Progress of a segment log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Checkpoint {
    /// All messages up to this number are confirmed or dropped.
    pub(super) done: u64,
    /// Highest number assigned to a message, on disk or not.
    pub(super) used: u64,
    /// First number of a range that was dropped while older messages were in flight.
    pub(super) dropped_start: u64,
    /// End of that range, exclusive; not above `dropped_start` if the range is empty.
    pub(super) dropped_end: u64,
}

impl Checkpoint {
    /// Returns true if the message is confirmed or dropped.
    pub(super) fn covers(&self, number: u64) -> bool {
        number <= self.done || (self.dropped_start..self.dropped_end).contains(&number)
    }
}

/// File that stores the checkpoint.
#[derive(Debug)]
pub(super) struct CheckpointFile {
    file: File,
    /// Number of saves; its parity selects the copy that was written last.
    generation: u64,
    pub(super) checkpoint: Checkpoint,
}

impl CheckpointFile {
    /// Opens the file in `folder`, or creates it. Returns `None` if the file is damaged.
    pub(super) fn open(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(NAME);
        if !path.exists() {
            let copies = [encode(0, Checkpoint::default()), encode(1, Checkpoint::default())].concat();
            create_file(folder, NAME_NEW, NAME, &copies)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(2 * COPY_BYTES as u64).read_to_end(&mut bytes)?;
        let newest = bytes.chunks(COPY_BYTES).filter_map(decode).max();
        Ok(newest.map(|(generation, checkpoint)| Self { file, generation, checkpoint }))
    }

    /// Writes the checkpoint to disk.
    pub(super) fn save(&mut self) -> io::Result<()> {
        // The other copy stays valid until this write is known to be complete.
        let generation = self.generation + 1;
        self.file.seek(SeekFrom::Start(generation % 2 * COPY_BYTES as u64))?;
        self.file.write_all(&encode(generation, self.checkpoint))?;
        self.file.sync_data()?;
        self.generation = generation;
        Ok(())
    }
}

fn encode(generation: u64, checkpoint: Checkpoint) -> Vec<u8> {
    let Checkpoint { done, used, dropped_start, dropped_end } = checkpoint;
    let mut bytes: Vec<u8> = [MAGIC, generation, done, used, dropped_start, dropped_end]
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .collect();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes.resize(COPY_BYTES, 0);
    bytes
}

fn decode(bytes: &[u8]) -> Option<(u64, Checkpoint)> {
    let (fields, sum) = bytes.split_at_checked(FIELDS * 8)?;
    if u32::from_le_bytes(*sum.first_chunk()?) != crc32fast::hash(fields) {
        return None;
    }
    let fields: [[u8; 8]; FIELDS] = fields.as_chunks().0.try_into().ok()?;
    let [magic, generation, done, used, dropped_start, dropped_end] = fields.map(u64::from_le_bytes);
    (magic == MAGIC).then_some((generation, Checkpoint { done, used, dropped_start, dropped_end }))
}
