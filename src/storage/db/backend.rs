//! Interfaces that a database implements for the writing thread and for readers.

use std::collections::BTreeMap;

use compact_str::CompactString;
use tokio::time::error::Elapsed;

use crate::model::{StreamId, Timestamp};
use crate::storage::db::{DbError, RowBatch, TickRow};

/// Open database with an up-to-date schema, for writing.
pub(super) trait TickStore {
    /// Commits all rows and checkpoints in one transaction, the writer's `number`th. After an error, either nothing of
    /// it is stored, or repeating the same batches under the same number finds that all of it is.
    fn commit(&mut self, number: u64, batches: &[RowBatch]) -> StoreResult<CommitCounts>;

    /// Position up to which a stream is stored.
    fn checkpoint(&mut self, stream: &str) -> StoreResult<Option<StreamId>>;

    /// Times of the oldest and the newest row.
    fn time_range(&mut self) -> StoreResult<Option<(i64, i64)>>;

    /// Deletes some rows before a time. Returns whether more may be left.
    fn prune(&mut self, before_ns: i64) -> StoreResult<bool>;
}

/// Open database, for reading.
pub(super) trait TickSource {
    /// All symbols with their ids.
    fn symbols(&mut self) -> StoreResult<Vec<(i32, CompactString)>>;

    /// Times of the oldest and the newest row.
    fn time_range(&mut self) -> StoreResult<Option<(i64, i64)>>;

    /// First `limit` rows of a symbol from `from_ns` to `to_ns`, both inclusive, ordered by time; rows of the same time
    /// come in any order.
    fn block(&mut self, symbol: (i32, &str), from_ns: i64, to_ns: i64, limit: usize) -> StoreResult<Vec<StoredTick>>;

    /// Tick of a symbol that is next to a time, without outliers.
    fn neighbour(&mut self, symbol: (i32, &str), side: Side) -> StoreResult<Option<TickRow>>;

    /// Time of the symbol's newest row but `skip`; of its oldest if it has fewer.
    fn time_before_newest(&mut self, symbol: (i32, &str), skip: usize) -> StoreResult<Option<i64>>;
}

/// Side of a time, in nanoseconds, on which a tick is next to it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    /// Latest tick before the time.
    Before(i64),
    /// Earliest tick from the time on.
    From(i64),
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

/// Failure of a database.
#[derive(Debug)]
pub(super) struct StoreError {
    /// Safe to display, without secrets.
    pub(super) cause: String,
    pub(super) failure: Failure,
}

pub(super) type StoreResult<T> = Result<T, StoreError>;

/// Kind of a [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The database aborted this transaction in favour of another writer's: retry at once.
    Conflict,
    /// Retry after a pause.
    Busy,
    /// Retry after a pause, with a new connection.
    Lost,
    /// The file cannot be opened. As for all further kinds, opening the store again does not help.
    Path,
    /// The database belongs to another program, or to none.
    Foreign,
    /// The schema is of a version later than the known ones.
    Newer {
        found: i64,
        known: i64,
    },
    /// The server refuses.
    Refused,
    Tls {
        advice: &'static str,
    },
}

impl StoreError {
    pub(super) fn new(failure: Failure, cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), failure }
    }

    /// Error for a migration that tables or views are in the way of.
    pub(super) fn names_taken(names: &str) -> Self {
        Self::new(Failure::Foreign, format!("it has its own {names}, names that this version needs; rename them"))
    }

    /// Error for the caller if opening the store again does not help.
    pub(super) fn permanent(&self, store: &str) -> Option<DbError> {
        let (store, cause) = (store.to_owned(), self.cause.clone());
        Some(match self.failure {
            Failure::Conflict | Failure::Busy | Failure::Lost => return None,
            Failure::Path => DbError::Open { store, cause },
            Failure::Foreign => DbError::Foreign { store, cause },
            Failure::Newer { found, known } => DbError::Newer { store, found, known },
            Failure::Refused => DbError::Refused { store, cause },
            Failure::Tls { advice } => DbError::Tls { store, cause, advice },
        })
    }
}

impl From<Elapsed> for StoreError {
    fn from(_: Elapsed) -> Self {
        Self::new(Failure::Lost, "the server does not answer")
    }
}

/// Checks that a schema version is known. Returns it.
pub(super) fn check_version(found: i64, known: i64) -> StoreResult<i64> {
    let newer = || StoreError::new(Failure::Newer { found, known }, format!("it has schema version {found}"));
    if found > known { Err(newer()) } else { Ok(found) }
}

/// Checks that a store to read has a schema. Returns its version.
pub(super) fn check_not_empty(version: i64) -> StoreResult<i64> {
    if version == 0 { Err(StoreError::new(Failure::Foreign, "it is empty")) } else { Ok(version) }
}

/// Most rows that one step of the retention deletes: some 20 ms of work between two commits.
pub(super) const PRUNE_ROWS: usize = 10_000;

/// Transactions on a server that expect duplicates after some were seen: a source that repeats a tick repeats more.
pub(super) const CAREFUL_COMMITS: u32 = 16;

/// On a server, the first `n` of a transaction's rows is its number times this. No batch has as many rows.
pub(super) const N_STEP: i64 = 1 << 24;

/// Time before which rows are older than the newest one by more than `keep_age_ns`. A newest row ahead of the clock
/// counts as of `now`: one wrong timestamp must not make all correct rows old.
pub(super) fn prune_before(newest_ns: Option<i64>, keep_age_ns: i64, now: Timestamp) -> Option<i64> {
    newest_ns?.min(now.as_nanos()).checked_sub(keep_age_ns)
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

/// Bit of `flags` that marks an outlier. A row without any bit has no `flags`.
pub(super) const OUTLIER: i16 = 1;

/// `flags` of a tick.
pub(super) fn flags(tick: &TickRow) -> Option<i16> {
    tick.outlier.then_some(OUTLIER)
}

/// Identity of a tick beside its symbol, time and price, as the table in [`db`](crate::storage::db) defines it. `N` is
/// the form in which the database refers to names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Identity<N> {
    Sequence {
        source: N,
        seq: u64,
    },
    /// Stream entry, and the index of the tick in it.
    Entry {
        stream: N,
        id: StreamId,
        part: i32,
    },
    None,
}

/// Identifies the ticks of one batch, in order.
#[derive(Default)]
pub(super) struct Identifier {
    id: Option<StreamId>,
    part: i32,
}

impl Identifier {
    pub(super) fn identify<N>(&mut self, tick: &TickRow, source: Option<N>, stream: Option<N>) -> Identity<N> {
        let id = tick.id.filter(|_| stream.is_some());
        self.part = if id.is_some() && id == self.id { self.part.saturating_add(1) } else { 0 };
        self.id = id;
        match (source.zip(tick.seq), stream.zip(id)) {
            (Some((source, seq)), _) => Identity::Sequence { source, seq },
            (None, Some((stream, id))) => Identity::Entry { stream, id, part: self.part },
            (None, None) => Identity::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::db::backend::*;

    #[test]
    fn retention_counts_from_the_newest_row_or_the_clock() {
        let now = Timestamp::from_nanos(1_000).unwrap();
        assert_eq!(prune_before(Some(400), 100, now), Some(300), "a day of long ago");
        assert_eq!(prune_before(Some(1_000), 100, now), Some(900));
        assert_eq!(prune_before(Some(i64::MAX), 100, now), Some(900));
        assert_eq!(prune_before(None, 100, now), None);
        assert_eq!(prune_before(Some(i64::MIN), 100, now), None);
    }
}
