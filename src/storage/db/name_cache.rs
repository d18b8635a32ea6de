//! Ids of names that rows refer to.

use std::collections::HashMap;

use compact_str::CompactString;
use foldhash::fast::RandomState;

/// Most names of a table cached from one transaction to the next, at some 100 bytes each. Beyond, the cache is cleared
/// and refilled: no market has as many.
const NAMES_MAX: usize = 65_536;

/// Ids of one table by name.
pub(super) type IdsByName = HashMap<CompactString, i32, RandomState>;

/// Cached ids, which save a lookup in the database for each row.
#[derive(Debug, Default)]
pub(super) struct NameCache {
    pub(super) symbols: IdsByName,
    pub(super) sources: IdsByName,
    pub(super) streams: IdsByName,
}

impl NameCache {
    /// Clears tables that are too large. Called between transactions only: within one, names stay cached.
    pub(super) fn limit_size(&mut self) {
        for names in [&mut self.symbols, &mut self.sources, &mut self.streams] {
            if names.len() > NAMES_MAX {
                names.clear();
            }
        }
    }
}
