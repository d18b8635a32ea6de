//! How far a lane's messages are done with: a few numbers that are overwritten in place, two copies in turns, so that
//! one of them is whole whatever happens, and so that a full disk has room for them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::spool::sync_folder;

const NAME_NEW: &str = "position.new";

/// The file's name.
pub(super) const NAME: &str = "position";

/// Each copy lies in a sector of its own, which a disk writes whole or not at all.
const SLOT_BYTES: usize = 512;

/// Begins each copy.
const MAGIC: u64 = u64::from_le_bytes(*b"tspos  1");

/// Fields before the checksum.
const FIELDS: usize = 6;

/// How far a lane is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Marks {
    /// All messages up to this number are confirmed, or were given up.
    pub(super) done: u64,
    /// Numbers up to this one were given to messages, whether those are on disk or not.
    pub(super) used: u64,
    /// Messages from this number on, before `hole_end`, were given up as well, while older ones were under way.
    pub(super) hole_start: u64,
    /// Behind the last one of them; not above `hole_start` where there are none.
    pub(super) hole_end: u64,
}

impl Marks {
    /// Whether a message is done with.
    pub(super) fn covers(&self, number: u64) -> bool {
        number <= self.done || (self.hole_start..self.hole_end).contains(&number)
    }
}

/// The marks, and the file that keeps them.
#[derive(Debug)]
pub(super) struct Position {
    file: File,
    turn: u64,
    pub(super) marks: Marks,
}

impl Position {
    /// Opens the file in `folder`, or makes one; `None` where it is damaged.
    pub(super) fn open(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(NAME);
        if !path.exists() {
            let new = folder.join(NAME_NEW);
            let mut file = File::create(&new)?;
            file.write_all(&[slot(0, Marks::default()), slot(1, Marks::default())].concat())?;
            file.sync_all()?;
            fs::rename(new, &path)?;
            sync_folder(folder)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(2 * SLOT_BYTES as u64).read_to_end(&mut bytes)?;
        let newest = bytes.chunks(SLOT_BYTES).filter_map(read_slot).max();
        Ok(newest.map(|(turn, marks)| Self { file, turn, marks }))
    }

    /// Notes the marks on disk.
    pub(super) fn save(&mut self) -> io::Result<()> {
        // Until the write is known to be whole, the other copy is the good one, and is not written over.
        let turn = self.turn + 1;
        self.file.seek(SeekFrom::Start(turn % 2 * SLOT_BYTES as u64))?;
        self.file.write_all(&slot(turn, self.marks))?;
        self.file.sync_data()?;
        self.turn = turn;
        Ok(())
    }
}

fn slot(turn: u64, marks: Marks) -> Vec<u8> {
    let Marks { done, used, hole_start, hole_end } = marks;
    let mut bytes: Vec<u8> =
        [MAGIC, turn, done, used, hole_start, hole_end].iter().flat_map(|field| field.to_le_bytes()).collect();
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes.resize(SLOT_BYTES, 0);
    bytes
}

fn read_slot(bytes: &[u8]) -> Option<(u64, Marks)> {
    let (fields, sum) = bytes.split_at_checked(FIELDS * 8)?;
    if u32::from_le_bytes(*sum.first_chunk()?) != crc32fast::hash(fields) {
        return None;
    }
    let fields: [[u8; 8]; FIELDS] = fields.as_chunks().0.try_into().ok()?;
    let [magic, turn, done, used, hole_start, hole_end] = fields.map(u64::from_le_bytes);
    (magic == MAGIC).then_some((turn, Marks { done, used, hole_start, hole_end }))
}

/// Files of this module that a crash may leave behind.
pub(super) fn is_own(name: &str) -> bool {
    name == NAME || name == NAME_NEW
}
