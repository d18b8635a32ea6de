//! Interfaces that a database implements for the writing thread and for readers, and the row format of SQL databases.

use std::collections::BTreeMap;

use compact_str::CompactString;

use crate::model::{StreamId, Timestamp};
use crate::storage::db::{DbError, RowBatch, TickRow};

/// Open database with an up-to-date schema, for writing.
pub(super) trait TickStore {
    /// Commits all rows and checkpoints in one transaction, the writer's `number`th. After an error, either nothing of
    /// it is stored, or repeating the same batches under the same number finds that all of it is.
    fn commit(&mut self, number: u64, batches: &[RowBatch]) -> Result<CommitCounts, StoreError>;

    /// Position up to which a stream is stored.
    fn checkpoint(&mut self, stream: &str) -> Result<Option<StreamId>, StoreError>;

    /// Deletes some rows that exceed `keep_age_ns` (see [`prune_before`]). Returns whether more may be left.
    fn prune(&mut self, keep_age_ns: i64) -> Result<bool, StoreError>;
}

/// Open database, for reading. Errors are texts, safe to display.
pub(super) trait TickSource {
    /// All symbols with their ids.
    fn symbols(&mut self) -> Result<Vec<(i32, CompactString)>, String>;

    /// Times of the oldest and the newest row.
    fn time_range(&mut self) -> Result<Option<(i64, i64)>, String>;

    /// First `limit` rows of a symbol from `from_ns` to `to_ns`, both inclusive, ordered by time; rows of the same time
    /// come in any order.
    fn block(&mut self, symbol: (i32, &str), from_ns: i64, to_ns: i64, limit: usize)
    -> Result<Vec<StoredTick>, String>;

    /// Latest tick of a symbol before `before_ns`, without outliers.
    fn latest_before(&mut self, symbol: (i32, &str), before_ns: i64) -> Result<Option<TickRow>, String>;

    /// Earliest tick of a symbol from `from_ns` on, without outliers.
    fn earliest_from(&mut self, symbol: (i32, &str), from_ns: i64) -> Result<Option<TickRow>, String>;

    /// Time of the symbol's newest row but `skip`; of its oldest if it has fewer.
    fn time_before_newest(&mut self, symbol_id: i32, skip: usize) -> Result<Option<i64>, String>;
}

/// Tick as it was read, with its position in the order of arrival.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StoredTick {
    pub(super) n: i64,
    pub(super) tick: TickRow,
}

/// Result of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CommitCounts {
    /// Rows that are new.
    pub(super) written: u64,
    /// Rows that were stored before.
    pub(super) duplicates: u64,
}

/// Failure of an open store that may pass.
#[derive(Debug)]
pub(super) struct StoreError {
    /// Safe to display, without secrets.
    pub(super) cause: String,
    pub(super) retry: RetryPolicy,
}

/// Retry policy after a [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetryPolicy {
    /// Retry at once: the database aborted this transaction in favour of another writer's.
    Immediate,
    /// Retry after a pause.
    Backoff,
    /// After a pause, with a new connection.
    Reopen,
}

/// Failure to open a store.
#[derive(Debug)]
pub(super) enum OpenError {
    /// Retrying does not help.
    Permanent(DbError),
    /// The store may become available; the text is safe to display.
    Temporary(String),
}

impl OpenError {
    /// Error for a reader, which does not retry.
    pub(super) fn for_reader(self, store: &impl ToString) -> DbError {
        match self {
            Self::Permanent(error) => error,
            Self::Temporary(cause) => DbError::Read { store: store.to_string(), cause },
        }
    }
}

/// Most rows that one step of the retention deletes: some 20 ms of work between two commits.
pub(super) const PRUNE_ROWS: usize = 10_000;

/// Time before which rows are older than the newest one by more than `keep_age_ns`. A newest row ahead of the clock
/// counts as of `now`: one wrong timestamp must not make all correct rows old.
pub(super) fn prune_before(newest_ns: Option<i64>, keep_age_ns: i64, now: Timestamp) -> Option<i64> {
    newest_ns?.min(now.as_nanos()).checked_sub(keep_age_ns)
}

/// Highest time among the rows of `batches`, `known` included.
pub(super) fn newest_ns(known: Option<i64>, batches: &[RowBatch]) -> Option<i64> {
    known.map(|known| batches.iter().flat_map(|batch| &batch.ticks).map(|tick| tick.time_ns).fold(known, i64::max))
}

/// Highest checkpoint of each stream.
pub(super) fn checkpoints(batches: &[RowBatch]) -> BTreeMap<&str, StreamId> {
    let mut highest = BTreeMap::new();
    for (stream, id) in batches.iter().filter_map(|batch| batch.stream.as_deref().zip(batch.checkpoint)) {
        let known = highest.entry(stream).or_insert(id);
        *known = id.max(*known);
    }
    highest
}

/// Ids of a tick's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameIds {
    pub(super) symbol: i32,
    pub(super) source: Option<i32>,
    pub(super) stream: Option<i32>,
}

/// Row of the table `ticks`, except time, price and size. Numbers from 2^63 on are stored as their bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SqlRow {
    pub(super) symbol_id: i32,
    /// Source whose sequence number identifies the tick; negated stream whose entry does; 0 for none.
    pub(super) origin: i32,
    /// Sequence number, milliseconds of the entry, or `n`.
    pub(super) major: i64,
    /// Number of the entry within its millisecond, else 0.
    pub(super) minor: i64,
    /// Index of the tick in its entry, else 0.
    pub(super) part: i32,
    /// Grows in order of arrival.
    pub(super) n: i64,
    /// Source, unless `origin` has it.
    pub(super) source_id: Option<i32>,
    /// Sequence number, unless `major` has it.
    pub(super) seq: Option<i64>,
    pub(super) stream_id: Option<i32>,
    pub(super) id: Option<(i64, i64)>,
}

/// Bit of `flags` that marks an outlier. A row without any bit has no `flags`.
pub(super) const OUTLIER: i16 = 1;

/// `flags` of a tick.
pub(super) fn flags(tick: &TickRow) -> Option<i16> {
    tick.outlier.then_some(OUTLIER)
}

/// Encodes the ticks of one batch, in order.
#[derive(Default)]
pub(super) struct RowEncoder {
    id: Option<StreamId>,
    part: i32,
}

impl RowEncoder {
    pub(super) fn encode(&mut self, tick: &TickRow, ids: NameIds, n: i64) -> SqlRow {
        let NameIds { symbol: symbol_id, source: source_id, stream: stream_id } = ids;
        let id = tick.id.filter(|_| stream_id.is_some());
        self.part = if id.is_some() && id == self.id { self.part.saturating_add(1) } else { 0 };
        self.id = id;
        let seq = tick.seq.map(u64::cast_signed);
        let id = id.map(|id| (id.ms.cast_signed(), id.seq.cast_signed()));
        let row = SqlRow { symbol_id, origin: 0, major: n, minor: 0, part: 0, n, source_id, seq, stream_id, id };
        match (source_id.zip(seq), stream_id.zip(id)) {
            (Some((origin, major)), _) => SqlRow { origin, major, source_id: None, seq: None, ..row },
            (None, Some((stream, (major, minor)))) => SqlRow { origin: -stream, major, minor, part: self.part, ..row },
            (None, None) => row,
        }
    }
}

/// Stream position stored in two columns.
pub(super) fn stream_id((ms, seq): (Option<i64>, Option<i64>)) -> Option<StreamId> {
    ms.zip(seq).map(|(ms, seq)| StreamId { ms: ms.cast_unsigned(), seq: seq.cast_unsigned() })
}

#[cfg(test)]
mod tests {
    use crate::storage::db::backend::*;

    const ALL_IDS: NameIds = NameIds { symbol: 1, source: Some(2), stream: Some(3) };

    fn tick(seq: Option<u64>, id: Option<StreamId>) -> TickRow {
        TickRow { symbol: "A".into(), time_ns: 5, price: 1.0, size: None, source: None, seq, id, outlier: false }
    }

    #[test]
    fn retention_counts_from_the_newest_row_or_the_clock() {
        let now = Timestamp::from_nanos(1_000).unwrap();
        assert_eq!(prune_before(Some(400), 100, now), Some(300), "a day of long ago");
        assert_eq!(prune_before(Some(1_000), 100, now), Some(900));
        assert_eq!(prune_before(Some(i64::MAX), 100, now), Some(900));
        assert_eq!(prune_before(None, 100, now), None);
        assert_eq!(prune_before(Some(i64::MIN), 100, now), None);
    }

    #[test]
    fn a_tick_is_identified_by_sequence_number_else_by_stream_entry() {
        let mut rows = RowEncoder::default();
        let id = Some(StreamId { ms: 7, seq: u64::MAX });
        let numbered = rows.encode(&tick(Some(u64::MAX), id), ALL_IDS, 10);
        assert_eq!((numbered.origin, numbered.major, numbered.minor, numbered.part), (2, -1, 0, 0));
        assert_eq!((numbered.source_id, numbered.seq, numbered.id), (None, None, Some((7, -1))));
        let entry = rows.encode(&tick(None, id), ALL_IDS, 11);
        assert_eq!((entry.origin, entry.major, entry.minor, entry.part), (-3, 7, -1, 1), "the second of its entry");
        assert_eq!((entry.source_id, entry.seq, entry.id), (Some(2), None, Some((7, -1))));
        let bare = rows.encode(&tick(Some(4), id), NameIds { source: None, stream: None, ..ALL_IDS }, 12);
        assert_eq!((bare.origin, bare.major, bare.part), (0, 12, 0));
        assert_eq!((bare.source_id, bare.seq, bare.id), (None, Some(4), None));
    }
}
