//! What a stream gave up before it was read, told by its own figures.
//!
//! A stream counts the entries that were ever added to it (`entries-added`, since Redis 7). Whenever the reader stands
//! at the stream's last entry, the number of entries that it has read, counted from a moment at which it stood there
//! before, must have grown as much; what is missing was trimmed or deleted before its turn.

use crate::client::Endpoint;
use crate::client::error::Cause;
use crate::model::StreamId;
use crate::resp::value::Value;

/// How a stream stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The id that was given last.
    pub(super) last: StreamId,
    /// Entries that were ever added; `None` where the server does not tell.
    pub(super) added: Option<u64>,
    /// Entries that it holds, and the first of them.
    pub(super) length: u64,
    pub(super) first: Option<StreamId>,
}

impl State {
    /// Of a stream that may be read but not asked about: behind every place, so that nobody starts over.
    pub(super) const UNKNOWN: Self =
        Self { last: StreamId { ms: u64::MAX, seq: u64::MAX }, added: None, length: 0, first: None };

    /// The number of the entry of this id, or of the last one before it, where the stream's figures tell.
    pub(super) fn place_of(&self, id: StreamId) -> Option<u64> {
        let added = self.added?;
        if id == self.last {
            Some(added)
        } else if self.first.map_or(id < self.last, |first| id < first) {
            // Whatever comes next is the first that it still holds.
            Some(added.saturating_sub(self.length))
        } else {
            None
        }
    }

    /// What a server has told of a stream.
    pub(super) fn told(server: &Endpoint, answer: &Value<'_>) -> Result<Self, Cause> {
        match answer {
            Value::Error(text) if text.starts_with(b"ERR no such key") => Ok(Self::default()),
            // It may be read, but not asked about: then its figures are not known.
            Value::Error(text) if text.starts_with(b"NOPERM") => Ok(Self::UNKNOWN),
            Value::Error(text) => Err(Cause::refused(server, &String::from_utf8_lossy(text))),
            answer => Ok(Self::read(answer)),
        }
    }

    /// Reads the answer to `XINFO STREAM`.
    pub(super) fn read(answer: &Value<'_>) -> Self {
        let id = |value: &Value<'_>| value.text().and_then(StreamId::from_bytes);
        Self {
            last: answer.field(b"last-generated-id").and_then(id).unwrap_or_default(),
            added: answer.field(b"entries-added").and_then(Value::number),
            length: answer.field(b"length").and_then(Value::number).unwrap_or(0),
            first: answer.field(b"first-entry").and_then(|entry| entry.list().first().and_then(id)),
        }
    }
}

/// What was given up unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loss {
    /// So many entries; 0 where nothing is known but that some may have been.
    pub(super) entries: u64,
    /// All of them, and not only as many as there must have been.
    pub(super) exact: bool,
}

/// The number of the entry at which the reader stands.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// As the stream counts; `None` before the reader stood where that is known.
    place: Option<u64>,
    /// The most that it can be, until it is known.
    ceiling: Option<u64>,
    has_read: bool,
}

impl Tally {
    /// So many entries were read.
    pub(super) fn read(&mut self, count: u64) {
        self.has_read |= count > 0;
        for number in [&mut self.place, &mut self.ceiling].into_iter().flatten() {
            *number += count;
        }
    }

    /// What up to `cursor`, the last entry read, was given up unread since the last look.
    pub(super) fn look(&mut self, state: &State, cursor: StreamId) -> Option<Loss> {
        let added = state.added?;
        let Some(place) = state.place_of(cursor) else {
            // Somewhere in the midst; where, the stream does not tell.
            self.ceiling = Some(self.ceiling.map_or(added, |ceiling| ceiling.min(added)));
            return None;
        };
        let ceiling = self.ceiling.take();
        match (self.place.replace(place), ceiling) {
            (Some(known), _) => (place > known).then(|| Loss { entries: place - known, exact: true }),
            (None, Some(most)) if place > most => Some(Loss { entries: place - most, exact: false }),
            (None, _) => (self.has_read && cursor != state.last).then_some(Loss { entries: 0, exact: false }),
        }
    }
}

/// How a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupState {
    /// The last entry that was handed to a member.
    pub(super) delivered: StreamId,
    /// The number of that entry as the server has counted; `None` where it does not know.
    pub(super) read: Option<u64>,
}

impl GroupState {
    /// Finds a group in the answer to `XINFO GROUPS`.
    pub(super) fn find(answer: &Value<'_>, name: &str) -> Option<Self> {
        let is_it = |group: &&Value<'_>| group.field(b"name").and_then(Value::text) == Some(name.as_bytes());
        let group = answer.list().iter().find(is_it)?;
        let delivered = group.field(b"last-delivered-id").and_then(|id| StreamId::from_bytes(id.text()?))?;
        Some(Self { delivered, read: group.field(b"entries-read").and_then(Value::number) })
    }
}

/// What a group has missed, by the server's own figures.
///
/// Servers differ in what becomes of `entries-read` when entries went unread: some count on from there, so that what
/// was missed stays to be seen, and some correct it with the next entry. So only growth counts.
#[derive(Debug, Default)]
pub(super) struct GroupTally {
    missed: Option<u64>,
}

impl GroupTally {
    /// How many entries the stream has given up, since the last look, before any member was handed them.
    pub(super) fn look(&mut self, stream: &State, group: &GroupState) -> u64 {
        let read = match group.read {
            Some(read) => read,
            None if group.delivered == StreamId::START => 0,
            None => return 0,
        };
        let Some(place) = stream.place_of(group.delivered) else { return 0 };
        let missed = place.saturating_sub(read);
        match self.missed.replace(missed) {
            Some(known) => missed.saturating_sub(known),
            // What is still ahead has not been told by anybody; what is behind may have been.
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

    fn state(first: u64, last: u64, added: u64) -> State {
        State { last: id(last), added: Some(added), length: last + 1 - first, first: Some(id(first)) }
    }

    fn exactly(entries: u64) -> Loss {
        Loss { entries, exact: true }
    }

    #[test]
    fn what_was_trimmed_before_it_was_read_is_counted_once() {
        let mut tally = Tally::default();
        assert_eq!(tally.look(&state(1, 5, 5), StreamId::START), None, "the first look counts nothing");
        tally.read(3);
        assert_eq!(tally.look(&state(1, 5, 5), id(3)), None, "in the midst");
        // Entries 4 to 9 are gone; 10 to 12 are there.
        assert_eq!(tally.look(&state(10, 12, 12), id(3)), Some(exactly(6)));
        assert_eq!(tally.look(&state(10, 12, 12), id(3)), None);
        tally.read(3);
        assert_eq!(tally.look(&state(10, 12, 12), id(12)), None);
        // Two more came and were read; between them one was added and deleted.
        tally.read(2);
        assert_eq!(tally.look(&state(10, 15, 15), id(15)), Some(exactly(1)));
        // All that came was trimmed.
        assert_eq!(tally.look(&State { first: None, length: 0, ..state(19, 18, 18) }, id(15)), Some(exactly(3)));
    }

    #[test]
    fn who_begins_in_the_midst_counts_what_must_be_gone() {
        let mut tally = Tally::default();
        assert_eq!(tally.look(&state(1, 30, 30), id(20)), None);
        tally.read(5);
        // Entries 26 to 99 are gone; 26 to 30 might have been read already, as far as the stream tells.
        assert_eq!(tally.look(&state(100, 110, 110), id(25)), Some(Loss { entries: 64, exact: false }));
        assert_eq!(tally.look(&state(100, 110, 110), id(25)), None);
        tally.read(11);
        assert_eq!(tally.look(&state(100, 110, 110), id(110)), None);
        // Nothing must be gone, and something may be.
        let mut tally = Tally::default();
        assert_eq!(tally.look(&state(1, 30, 30), id(20)), None);
        tally.read(5);
        assert_eq!(tally.look(&state(29, 30, 30), id(25)), Some(Loss { entries: 0, exact: false }));
    }

    #[test]
    fn a_server_that_does_not_count_is_no_loss() {
        let mut tally = Tally::default();
        let silent = State { added: None, ..state(10, 12, 12) };
        assert_eq!((tally.look(&silent, id(3)), tally.look(&State::UNKNOWN, id(3))), (None, None));
    }

    #[test]
    fn what_no_member_of_a_group_was_handed_is_counted_once() {
        let group = |delivered: u64, read: Option<u64>| GroupState { delivered: id(delivered), read };
        // Never read from, and all but the last five gone.
        let mut tally = GroupTally::default();
        let fresh = GroupState { delivered: StreamId::START, read: None };
        assert_eq!(tally.look(&state(36, 40, 40), &fresh), 35);
        assert_eq!(tally.look(&state(36, 40, 40), &group(40, Some(40))), 0, "a server that corrects its count");
        // Twenty more came, of which five were left when the next was handed out; the server counts on.
        assert_eq!(tally.look(&state(56, 60, 60), &group(40, Some(40))), 15);
        assert_eq!(tally.look(&state(56, 60, 60), &group(60, Some(45))), 0);
        assert_eq!(tally.look(&state(56, 70, 70), &group(65, Some(50))), 0, "in the midst");
        assert_eq!(
            tally.look(&state(86, 90, 90), &group(90, Some(60))),
            15,
            "twenty came in between, and ten were handed out"
        );
        // Who comes later has been told by nobody, and is no judge of it.
        assert_eq!(GroupTally::default().look(&state(86, 90, 90), &group(90, Some(60))), 0);
        assert_eq!(GroupTally::default().look(&state(1, 9, 9), &group(5, None)), 0);
    }
}
