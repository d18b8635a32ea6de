//! What a kind of database has to do for the writing thread.

use crate::model::{StreamId, Timestamp};

use crate::storage::db::{DbError, RowBatch, TickRow};

/// A database, opened and brought up to date.
pub(super) trait Backend {
    /// Puts all rows and checkpoints into one transaction, the writer's `number`th. After an error nothing of it is
    /// there, or a repetition of the same batches under the same number finds that all of it is.
    fn commit(&mut self, number: u64, batches: &[RowBatch]) -> Result<Tally, Trouble>;

    /// Up to where a stream is kept.
    fn checkpoint(&mut self, stream: &str) -> Result<Option<StreamId>, Trouble>;

    /// Deletes some rows that are [too old](old_before) for `keep_age_ns`. Whether there may be more.
    fn prune(&mut self, keep_age_ns: i64) -> Result<bool, Trouble>;
}

/// What a transaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    /// Rows that were not there before.
    pub(super) written: u64,
    /// Rows that were.
    pub(super) duplicates: u64,
}

/// Something that may pass.
#[derive(Debug)]
pub(super) struct Trouble {
    /// Safe to show, no secrets.
    pub(super) cause: String,
    /// What to do about it.
    pub(super) remedy: Remedy,
}

/// What may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The same at once: another writer was in the way, and the database picked who goes first.
    Again,
    /// The same after a pause.
    Wait,
    /// Opening anew after a pause.
    Reopen,
}

/// Why a store did not open.
#[derive(Debug)]
pub(super) enum OpenError {
    /// For good, as far as one can tell.
    Final(DbError),
    /// For now; safe to show.
    Away(String),
}

/// Most rows that one step of a retention deletes: some 20 ms of work between two commits.
pub(super) const PRUNE_ROWS: usize = 10_000;

/// Rows before this instant are older than the newest by more than `keep_age_ns`; `None` where there are none. A newest
/// row that lies ahead of the clock counts as of `now`: one wrong time must not make all that is right old.
pub(super) fn old_before(newest_ns: Option<i64>, keep_age_ns: i64, now: Timestamp) -> Option<i64> {
    newest_ns?.min(now.as_nanos()).checked_sub(keep_age_ns)
}

/// The numbers that stand for a tick's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) symbol: i32,
    pub(super) source: Option<i32>,
    pub(super) stream: Option<i32>,
}

/// A tick as the table `ticks` has it, but for time, price and size. Numbers beyond 2^63 are kept as their bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) symbol_id: i32,
    /// Above 0 the source whose number makes the tick one of a kind; below 0 the stream whose entry does; 0 for none.
    pub(super) origin: i32,
    /// The source's number; the entry's milliseconds; `n`.
    pub(super) major: i64,
    /// The entry's number within the millisecond, else 0.
    pub(super) minor: i64,
    /// The place among the ticks of the entry, else 0.
    pub(super) part: i32,
    /// Grows in order of arrival.
    pub(super) n: i64,
    /// Where `origin` does not tell it.
    pub(super) source_id: Option<i32>,
    /// Where `major` does not tell it.
    pub(super) seq: Option<i64>,
    pub(super) stream_id: Option<i32>,
    pub(super) id: Option<(i64, i64)>,
}

/// In `flags`: a filter took the price for a slip of the finger. Where no bit is set, there is no number.
pub(super) const OUTLIER: i16 = 1;

/// A tick's `flags`.
pub(super) fn flags(tick: &TickRow) -> Option<i16> {
    tick.outlier.then_some(OUTLIER)
}

/// Makes rows of a batch's ticks, one after another.
pub(super) struct RowMaker {
    id: Option<StreamId>,
    part: i32,
}

impl RowMaker {
    pub(super) const fn new() -> Self {
        Self { id: None, part: 0 }
    }

    pub(super) fn row(&mut self, tick: &TickRow, numbers: Numbers, n: i64) -> Row {
        let Numbers { symbol: symbol_id, source: source_id, stream: stream_id } = numbers;
        let id = tick.id.filter(|_| stream_id.is_some());
        self.part = if id.is_some() && id == self.id { self.part.saturating_add(1) } else { 0 };
        self.id = id;
        let seq = tick.seq.map(u64::cast_signed);
        let id = id.map(|id| (id.ms.cast_signed(), id.seq.cast_signed()));
        let row = Row { symbol_id, origin: 0, major: n, minor: 0, part: 0, n, source_id, seq, stream_id, id };
        match (source_id.zip(seq), stream_id.zip(id)) {
            (Some((origin, major)), _) => Row { origin, major, source_id: None, seq: None, ..row },
            (None, Some((stream, (major, minor)))) => Row { origin: -stream, major, minor, part: self.part, ..row },
            (None, None) => row,
        }
    }
}

impl Row {
    /// The source's number and the running number, wherever the row has them.
    pub(super) const fn source_and_seq(&self) -> (Option<i32>, Option<u64>) {
        if self.origin > 0 {
            return (Some(self.origin), Some(self.major.cast_unsigned()));
        }
        let seq = match self.seq {
            Some(seq) => Some(seq.cast_unsigned()),
            None => None,
        };
        (self.source_id, seq)
    }

    pub(super) fn stream_entry(&self) -> Option<StreamId> {
        self.id.map(|(ms, seq)| StreamId { ms: ms.cast_unsigned(), seq: seq.cast_unsigned() })
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::db::backend::*;

    const BOTH: Numbers = Numbers { symbol: 1, source: Some(2), stream: Some(3) };

    fn tick(seq: Option<u64>, id: Option<StreamId>) -> TickRow {
        TickRow { symbol: "A".into(), time_ns: 5, price: 1.0, size: None, source: None, seq, id, outlier: false }
    }

    #[test]
    fn the_newest_row_decides_what_is_old_unless_it_lies_ahead_of_the_clock() {
        let now = Timestamp::from_nanos(1_000).unwrap();
        assert_eq!(old_before(Some(400), 100, now), Some(300), "a day of long ago");
        assert_eq!(old_before(Some(1_000), 100, now), Some(900));
        assert_eq!(old_before(Some(i64::MAX), 100, now), Some(900));
        assert_eq!(old_before(None, 100, now), None);
        assert_eq!(old_before(Some(i64::MIN), 100, now), None);
    }

    #[test]
    fn a_tick_is_known_by_its_number_else_by_its_entry_else_by_nothing() {
        let mut rows = RowMaker::new();
        let id = Some(StreamId { ms: 7, seq: u64::MAX });
        let numbered = rows.row(&tick(Some(u64::MAX), id), BOTH, 10);
        assert_eq!((numbered.origin, numbered.major, numbered.minor, numbered.part), (2, -1, 0, 0));
        assert_eq!((numbered.source_and_seq(), numbered.stream_entry()), ((Some(2), Some(u64::MAX)), id));
        let entry = rows.row(&tick(None, id), BOTH, 11);
        assert_eq!((entry.origin, entry.major, entry.minor, entry.part), (-3, 7, -1, 1), "the second of its entry");
        assert_eq!((entry.source_and_seq(), entry.stream_entry()), ((Some(2), None), id));
        let bare = rows.row(&tick(Some(4), id), Numbers { source: None, stream: None, ..BOTH }, 12);
        assert_eq!((bare.origin, bare.major, bare.part), (0, 12, 0));
        assert_eq!((bare.source_and_seq(), bare.stream_entry()), ((None, Some(4)), None));
    }
}
