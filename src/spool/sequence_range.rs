//! Ranges of message numbers.

use serde::{Serialize, Serializer};

/// Most ranges kept in a list; an outage adds one, unless the source is as fast as the server is slow.
pub(crate) const RANGES_MAX: usize = 1_000;

/// Message numbers from `first` to `last`, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceRange {
    /// Lowest number.
    pub first: u64,
    /// Highest number; never below `first`.
    pub last: u64,
}

impl SequenceRange {
    /// Number of messages in the range.
    pub fn count(self) -> u64 {
        self.last - self.first + 1
    }
}

impl Serialize for SequenceRange {
    /// Serializes the range as a pair.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.first, self.last).serialize(serializer)
    }
}

/// Adds a range to an ordered list. A range that touches the last one extends it. A full list extends its last range in
/// any case; then the function returns true, and the last range may cover numbers that were not added.
pub(crate) fn add_range(ranges: &mut Vec<SequenceRange>, range: SequenceRange) -> bool {
    let is_full = ranges.len() >= RANGES_MAX;
    if let Some(last) = ranges.last_mut() {
        let touches = range.first <= last.last.saturating_add(1) && range.last >= last.first;
        if touches || is_full {
            last.first = last.first.min(range.first);
            last.last = last.last.max(range.last);
            return !touches;
        }
    }
    ranges.push(range);
    false
}
