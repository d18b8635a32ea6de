//! Detection of entries that a stream trimmed before they were read.
//!
//! A stream counts the entries ever added to it (`entries-added`, since Redis 7). Between two moments at which the
//! reader is at the last entry, the number of entries read must grow as much as that counter; the difference was
//! trimmed or deleted before it was read.

use std::collections::HashMap;

use redis::streams::StreamInfoGroupsReply;
use redis::{Value, from_redis_value_ref};

use crate::client::Endpoint;
use crate::client::connection::{error_text, parse};
use crate::client::error::{SessionError, SessionResult};
use crate::model::StreamId;

/// State of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StreamState {
    /// Id of the last entry added.
    pub(super) last: StreamId,
    /// Number of entries ever added; `None` if the server does not report it.
    pub(super) added: Option<u64>,
    /// Number of entries in the stream.
    pub(super) length: u64,
    /// Id of the first entry in the stream.
    pub(super) first: Option<StreamId>,
}

impl StreamState {
    /// State of a stream that may be read but not inspected. Its last id is the highest, so that no reader rewinds.
    pub(super) const UNKNOWN: Self =
        Self { last: StreamId { ms: u64::MAX, seq: u64::MAX }, added: None, length: 0, first: None };

    /// Returns the ordinal number of an entry, or of the last one before the id, if the state determines it.
    pub(super) fn ordinal(&self, id: StreamId) -> Option<u64> {
        let added = self.added?;
        if id == self.last {
            Some(added)
        } else if self.first.map_or(id < self.last, |first| id < first) {
            // The next entry is the first in the stream.
            Some(added.saturating_sub(self.length))
        } else {
            None
        }
    }

    /// Reads a reply to `XINFO STREAM`.
    pub(super) fn parse(reply: &[u8], server: &Endpoint) -> SessionResult<Self> {
        match error_text(reply) {
            Some(text) if text.starts_with("ERR no such key") => return Ok(Self::default()),
            Some(text) if text.starts_with("NOPERM") => return Ok(Self::UNKNOWN),
            Some(text) => return Err(SessionError::refused(server, &text)),
            None => {}
        }
        let fields: HashMap<String, Value> = parse(reply).unwrap_or_default();
        // The redis crate's own type lacks `entries-added`.
        let number = |name| fields.get(name).and_then(|value| from_redis_value_ref::<u64>(value).ok());
        let id = |value: &Value| from_redis_value_ref::<String>(value).ok()?.parse().ok();
        let first = |entry: &Value| id(from_redis_value_ref::<Vec<Value>>(entry).ok()?.first()?);
        Ok(Self {
            last: fields.get("last-generated-id").and_then(id).unwrap_or_default(),
            added: number("entries-added"),
            length: number("length").unwrap_or(0),
            first: fields.get("first-entry").and_then(first),
        })
    }
}

/// Entries trimmed before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trimmed {
    /// Number of entries; 0 if entries may have been trimmed, but their number is unknown.
    pub(super) entries: u64,
    /// False if there may be more.
    pub(super) is_exact: bool,
}

/// Detector for one reader of a stream.
#[derive(Debug, Default)]
pub(super) struct TrimDetector {
    /// Ordinal number of the last entry read; `None` before the state has determined it.
    ordinal: Option<u64>,
    /// Upper bound of that number, until it is determined.
    ordinal_max: Option<u64>,
    has_read: bool,
}

impl TrimDetector {
    /// Counts entries read.
    pub(super) fn count_read(&mut self, count: u64) {
        self.has_read |= count > 0;
        for ordinal in [&mut self.ordinal, &mut self.ordinal_max].into_iter().flatten() {
            *ordinal += count;
        }
    }

    /// Returns the entries up to `cursor`, the last entry read, that were trimmed since the last check.
    pub(super) fn check(&mut self, state: &StreamState, cursor: StreamId) -> Option<Trimmed> {
        let added = state.added?;
        let Some(ordinal) = state.ordinal(cursor) else {
            // The cursor is between the first and the last entry.
            self.ordinal_max = Some(self.ordinal_max.map_or(added, |max| max.min(added)));
            return None;
        };
        let ordinal_max = self.ordinal_max.take();
        match (self.ordinal.replace(ordinal), ordinal_max) {
            (Some(known), _) => (ordinal > known).then(|| Trimmed { entries: ordinal - known, is_exact: true }),
            (None, Some(max)) if ordinal > max => Some(Trimmed { entries: ordinal - max, is_exact: false }),
            (None, _) => (self.has_read && cursor != state.last).then_some(Trimmed { entries: 0, is_exact: false }),
        }
    }
}

/// State of a consumer group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupState {
    /// Last entry delivered to a consumer.
    pub(super) delivered: StreamId,
    /// Ordinal number of that entry as the server counts; `None` if it does not know.
    pub(super) read: Option<u64>,
}

impl GroupState {
    /// Finds a group in a reply to `XINFO GROUPS`; `None` if it is not there, or the command is not allowed.
    pub(super) fn find(reply: &[u8], name: &str) -> Option<Self> {
        let groups = parse::<StreamInfoGroupsReply>(reply)?.groups;
        let group = groups.into_iter().find(|group| group.name == name)?;
        let delivered = group.last_delivered_id.parse().ok()?;
        Some(Self { delivered, read: group.entries_read.map(|read| read as u64) })
    }
}

/// Detector for a consumer group.
///
/// Servers differ in the value of `entries-read` after entries were trimmed unread: some count on, so that the
/// difference persists, and some correct it at the next delivery. Therefore only growth of the difference counts.
#[derive(Debug, Default)]
pub(super) struct GroupTrimDetector {
    missed: Option<u64>,
}

impl GroupTrimDetector {
    /// Returns the number of entries trimmed since the last check before any consumer received them.
    pub(super) fn check(&mut self, stream: &StreamState, group: &GroupState) -> u64 {
        let read = match group.read {
            Some(read) => read,
            None if group.delivered == StreamId::START => 0,
            None => return 0,
        };
        let Some(ordinal) = stream.ordinal(group.delivered) else { return 0 };
        let missed = ordinal.saturating_sub(read);
        match self.missed.replace(missed) {
            Some(known) => missed.saturating_sub(known),
            // No consumer has reported losses ahead of the group. Losses behind it may have been reported.
            None if group.delivered != stream.last => missed,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::client::stream_reader::trim_detector::*;

    fn id(ms: u64) -> StreamId {
        StreamId { ms, seq: 0 }
    }

    fn state(first: u64, last: u64, added: u64) -> StreamState {
        StreamState { last: id(last), added: Some(added), length: last + 1 - first, first: Some(id(first)) }
    }

    fn exactly(entries: u64) -> Trimmed {
        Trimmed { entries, is_exact: true }
    }

    #[test]
    fn entries_trimmed_before_they_were_read_are_counted_once() {
        let mut detector = TrimDetector::default();
        assert_eq!(detector.check(&state(1, 5, 5), StreamId::START), None, "the first check counts nothing");
        detector.count_read(3);
        assert_eq!(detector.check(&state(1, 5, 5), id(3)), None, "not at an end of the stream");
        // Entries 4 to 9 are gone; 10 to 12 are there.
        assert_eq!(detector.check(&state(10, 12, 12), id(3)), Some(exactly(6)));
        assert_eq!(detector.check(&state(10, 12, 12), id(3)), None);
        detector.count_read(3);
        assert_eq!(detector.check(&state(10, 12, 12), id(12)), None);
        // Two more came and were read; between them one was added and deleted.
        detector.count_read(2);
        assert_eq!(detector.check(&state(10, 15, 15), id(15)), Some(exactly(1)));
        // All that came was trimmed.
        assert_eq!(
            detector.check(&StreamState { first: None, length: 0, ..state(19, 18, 18) }, id(15)),
            Some(exactly(3))
        );
    }

    #[test]
    fn a_reader_that_starts_in_between_counts_the_certain_losses() {
        let mut detector = TrimDetector::default();
        assert_eq!(detector.check(&state(1, 30, 30), id(20)), None);
        detector.count_read(5);
        // Entries 26 to 99 are gone; 26 to 30 may have been read, as far as the state shows.
        assert_eq!(detector.check(&state(100, 110, 110), id(25)), Some(Trimmed { entries: 64, is_exact: false }));
        assert_eq!(detector.check(&state(100, 110, 110), id(25)), None);
        detector.count_read(11);
        assert_eq!(detector.check(&state(100, 110, 110), id(110)), None);
        // Entries may have been lost, or not.
        let mut detector = TrimDetector::default();
        assert_eq!(detector.check(&state(1, 30, 30), id(20)), None);
        detector.count_read(5);
        assert_eq!(detector.check(&state(29, 30, 30), id(25)), Some(Trimmed { entries: 0, is_exact: false }));
    }

    #[test]
    fn a_server_that_does_not_count_reports_no_loss() {
        let mut detector = TrimDetector::default();
        let uncounted = StreamState { added: None, ..state(10, 12, 12) };
        assert_eq!((detector.check(&uncounted, id(3)), detector.check(&StreamState::UNKNOWN, id(3))), (None, None));
    }

    #[test]
    fn entries_no_consumer_received_are_counted_once() {
        let group = |delivered: u64, read: Option<u64>| GroupState { delivered: id(delivered), read };
        // Never read, and all but the last five entries gone.
        let mut detector = GroupTrimDetector::default();
        let fresh = GroupState { delivered: StreamId::START, read: None };
        assert_eq!(detector.check(&state(36, 40, 40), &fresh), 35);
        assert_eq!(detector.check(&state(36, 40, 40), &group(40, Some(40))), 0, "a server that corrects its count");
        // Twenty more were added, and five of them were left at the next delivery; the server counts on.
        assert_eq!(detector.check(&state(56, 60, 60), &group(40, Some(40))), 15);
        assert_eq!(detector.check(&state(56, 60, 60), &group(60, Some(45))), 0);
        assert_eq!(detector.check(&state(56, 70, 70), &group(65, Some(50))), 0, "not at an end of the stream");
        assert_eq!(
            detector.check(&state(86, 90, 90), &group(90, Some(60))),
            15,
            "twenty were added, and ten were delivered"
        );
        // Losses before the first check of a consumer that joins later may have been reported by others.
        assert_eq!(GroupTrimDetector::default().check(&state(86, 90, 90), &group(90, Some(60))), 0);
        assert_eq!(GroupTrimDetector::default().check(&state(1, 9, 9), &group(5, None)), 0);
    }
}
