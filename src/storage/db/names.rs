//! Names and the numbers that stand for them in the rows.

use std::collections::HashMap;

use compact_str::CompactString;
use foldhash::fast::RandomState;

/// Most names of a kind remembered from one transaction to the next, at some 100 bytes each. Beyond, all are forgotten
/// and asked for again: no market has as many.
const NAMES_MAX: usize = 65_536;

/// Numbers already known, so that a row costs no look into the database.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<CompactString, i32, RandomState>,
}

impl Names {
    pub(super) fn get(&self, name: &str) -> Option<i32> {
        self.known.get(name).copied()
    }

    pub(super) fn put(&mut self, name: &str, number: i32) {
        self.known.insert(CompactString::new(name), number);
    }
}

/// What rows refer to by number.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) symbols: Names,
    pub(super) sources: Names,
    pub(super) streams: Names,
}

impl Directory {
    /// Forgets where there is too much to remember. Between transactions only: within one, names stay known.
    pub(super) fn make_room(&mut self) {
        for names in [&mut self.symbols, &mut self.sources, &mut self.streams] {
            if names.known.len() > NAMES_MAX {
                names.known.clear();
            }
        }
    }
}
