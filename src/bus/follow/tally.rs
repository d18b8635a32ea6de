//! What a stream gave up before it was read, told by its own figures.
//!
//! A stream counts the entries that were ever added to it (`entries-added`, since Redis 7). Whenever the reader stands
//! at the stream's last entry, the number of entries that it has read, counted from a moment at which it stood there
//! before, must have grown as much; what is missing was trimmed or deleted before its turn.

use crate::bus::reply::Value;
use crate::model::StreamId;

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

/// The number of the entry at which the reader stands.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// As the stream counts; `None` before the reader stood where that is known.
    place: Option<u64>,
}

impl Tally {
    /// So many entries were read.
    pub(super) fn read(&mut self, count: u64) {
        if let Some(place) = &mut self.place {
            *place += count;
        }
    }

    /// How many entries up to `cursor`, the last one read, were given up unread since the last look.
    pub(super) fn look(&mut self, state: &State, cursor: StreamId) -> u64 {
        let Some(added) = state.added else { return 0 };
        let before_first = added.saturating_sub(state.length);
        let place = if cursor == state.last {
            added
        } else if state.first.is_some_and(|first| cursor < first) {
            // Whatever comes next is the first that it still holds.
            before_first
        } else {
            // Somewhere in the midst; where, the stream does not tell.
            return 0;
        };
        self.place.replace(place).map_or(0, |known| place.saturating_sub(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64) -> StreamId {
        StreamId { ms, seq: 0 }
    }

    fn state(first: u64, last: u64, added: u64) -> State {
        State { last: id(last), added: Some(added), length: last + 1 - first, first: Some(id(first)) }
    }

    #[test]
    fn what_was_trimmed_before_it_was_read_is_counted_once() {
        let mut tally = Tally::default();
        assert_eq!(tally.look(&state(1, 5, 5), StreamId::START), 0, "the first look counts nothing");
        tally.read(3);
        assert_eq!(tally.look(&state(1, 5, 5), id(3)), 0, "in the midst");
        // Entries 4 to 9 are gone; 10 to 12 are there.
        assert_eq!(tally.look(&state(10, 12, 12), id(3)), 6);
        assert_eq!(tally.look(&state(10, 12, 12), id(3)), 0);
        tally.read(3);
        assert_eq!(tally.look(&state(10, 12, 12), id(12)), 0);
        // Two more came and were read; between them one was added and deleted.
        tally.read(2);
        assert_eq!(tally.look(&state(10, 15, 15), id(15)), 1);
    }

    #[test]
    fn a_server_that_does_not_count_is_no_loss() {
        let mut tally = Tally::default();
        let silent = State { added: None, ..state(10, 12, 12) };
        assert_eq!((tally.look(&silent, id(3)), tally.look(&State::UNKNOWN, id(3))), (0, 0));
    }
}
