//! How far a lane's messages are done with: a few numbers that are overwritten in place, two copies in turns, so that
//! one of them is whole whatever happens, and so that a full disk has room for them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::bus::spool::sync_folder;

const NAME_NEW: &str = "position.new";

/// The file's name.
pub(super) const NAME: &str = "position";

/// Each copy lies in a sector of its own, which a disk writes whole or not at all.
const SLOT_BYTES: usize = 512;

/// Begins each copy.
const MAGIC: u64 = u64::from_le_bytes(*b"tspos  1");

/// Fields before the checksum.
const FIELDS: usize = 4;

/// The numbers, and the file that keeps them.
#[derive(Debug)]
pub(super) struct Position {
    file: File,
    turn: u64,
    /// All messages up to this number are confirmed, or were given up.
    pub(super) done: u64,
    /// Numbers up to this one were given to messages, whether those are on disk or not.
    pub(super) used: u64,
}

impl Position {
    /// Opens the file in `folder`, or makes one; `None` where it is damaged.
    pub(super) fn open(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(NAME);
        if !path.exists() {
            let new = folder.join(NAME_NEW);
            let mut file = File::create(&new)?;
            file.write_all(&[slot(0, 0, 0), slot(1, 0, 0)].concat())?;
            file.sync_all()?;
            fs::rename(new, &path)?;
            sync_folder(folder)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(2 * SLOT_BYTES as u64).read_to_end(&mut bytes)?;
        let newest = bytes.chunks(SLOT_BYTES).filter_map(read_slot).max();
        Ok(newest.map(|(turn, done, used)| Self { file, turn, done, used }))
    }

    /// Notes the numbers on disk.
    pub(super) fn save(&mut self) -> io::Result<()> {
        self.turn += 1;
        self.file.seek(SeekFrom::Start(self.turn % 2 * SLOT_BYTES as u64))?;
        self.file.write_all(&slot(self.turn, self.done, self.used))?;
        self.file.sync_data()
    }
}

fn slot(turn: u64, done: u64, used: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = [MAGIC, turn, done, used].iter().flat_map(|field| field.to_le_bytes()).collect();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes.resize(SLOT_BYTES, 0);
    bytes
}

fn read_slot(bytes: &[u8]) -> Option<(u64, u64, u64)> {
    let (fields, sum) = bytes.split_at_checked(FIELDS * 8)?;
    if u32::from_le_bytes(*sum.first_chunk()?) != crc32fast::hash(fields) {
        return None;
    }
    let [magic, turn, done, used] = *fields.as_chunks::<8>().0 else { return None };
    (u64::from_le_bytes(magic) == MAGIC).then(|| {
        let [turn, done, used] = [turn, done, used].map(u64::from_le_bytes);
        (turn, done, used)
    })
}

/// Files of this module that a crash may leave behind.
pub(super) fn is_own(name: &str) -> bool {
    name == NAME || name == NAME_NEW
}
