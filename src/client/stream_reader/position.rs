//! Position of a reader in a stream.

use std::collections::VecDeque;

use crate::client::stream_reader::trim_detector::{StreamState, TrimDetector, Trimmed};
use crate::model::StreamId;

/// Most ids remembered, in 1 MB. They identify duplicates when entries are read again after a failover.
const RECENT_MAX: usize = 65_536;

/// Entries of a stream that have been read.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// Last entry read; `None` before the start position is known.
    pub(super) cursor: Option<StreamId>,
    /// Latest entries passed on, in order of their ids.
    recent: VecDeque<StreamId>,
    pub(super) trim_detector: TrimDetector,
    /// Run id of the server that was read.
    pub(super) run_id: Option<String>,
    /// Entries were read, in this run of the program or an earlier one.
    pub(super) has_read: bool,
    /// The stream did not exist at the last check, though entries were read before.
    pub(super) was_absent: bool,
}

impl Position {
    /// Moves the cursor to an entry. Returns false if the entry is a duplicate.
    pub(super) fn advance(&mut self, id: StreamId) -> bool {
        (self.cursor, self.has_read) = (Some(id), true);
        match self.recent.back() {
            Some(newest) if id <= *newest => {
                let Err(at) = self.recent.binary_search(&id) else { return false };
                // An entry older than all that are remembered may be a duplicate, which readers can recognise.
                self.recent.insert(at, id);
            }
            _ => self.recent.push_back(id),
        }
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        true
    }

    /// Moves the cursor before the remembered entries: another server may hold entries in between that the last one did
    /// not.
    pub(super) fn rewind(&mut self, state: &StreamState) {
        self.trim_detector = TrimDetector::default();
        self.cursor = match self.recent.front() {
            Some(oldest) if *oldest <= state.last => Some(oldest.before()),
            // The stream holds none of the entries read: it was created anew.
            _ if self.cursor.is_some_and(|cursor| state.last < cursor) => Some(StreamId::START),
            _ => self.cursor,
        };
    }

    /// Compares the position with the stream's state. Returns entries trimmed before they were read.
    pub(super) fn check(&mut self, state: &StreamState) -> Option<Trimmed> {
        let cursor = self.cursor?;
        if state.last == StreamId::START {
            // There is no such stream now. A new one may have lower ids.
            self.trim_detector = TrimDetector::default();
            self.was_absent = self.has_read;
            return None;
        }
        if std::mem::take(&mut self.was_absent) {
            self.rewind(state);
            return None;
        }
        if state.last < cursor {
            // If nothing was read yet, the stream's last entry is older than the start position.
            if self.has_read {
                self.rewind(state);
            }
            return None;
        }
        self.trim_detector.check(state, cursor)
    }
}
