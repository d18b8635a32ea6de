//! Everything that SQLite and PostgreSQL share beyond statements: rows as they are stored, ids of names, and reading.

use std::collections::HashMap;
use std::iter;

use compact_str::CompactString;
use foldhash::fast::RandomState;

use crate::model::StreamId;
use crate::storage::db::backend::{
    Identifier, Identity, Side, StoreResult, StoredTick, TickSource, check_not_empty, flags,
};
use crate::storage::db::sql::{SYMBOLS, TICK_COLUMNS, TIME_BEFORE_NEWEST, TIME_RANGE, TickQueries};
use crate::storage::db::{RowBatch, TickRow};

/// Parameter that both databases accept.
pub(super) trait Param: rusqlite::ToSql + tokio_postgres::types::ToSql + Sync {}
impl<T: rusqlite::ToSql + tokio_postgres::types::ToSql + Sync> Param for T {}

/// Value that both databases return.
pub(super) trait Value: rusqlite::types::FromSql + for<'a> tokio_postgres::types::FromSql<'a> {}
impl<T: rusqlite::types::FromSql + for<'a> tokio_postgres::types::FromSql<'a>> Value for T {}

/// Row that a query returns.
pub(super) trait Row {
    fn value<T: Value>(&self, column: usize) -> StoreResult<T>;

    /// Name, as it was received.
    fn name(&self, column: usize) -> StoreResult<Option<CompactString>>;
}

/// Connection to a database that understands SQL.
pub(super) trait SqlDatabase {
    type Row<'a>: Row;

    /// Version of the schema; 0 for an empty database. Rejects databases of other programs and of later versions, and
    /// changes nothing.
    fn version(&mut self) -> StoreResult<i64>;

    /// Results of `read` for all rows that a statement returns.
    fn query<T>(
        &mut self,
        sql: &str,
        params: &[&dyn Param],
        read: impl FnMut(&Self::Row<'_>) -> StoreResult<T>,
    ) -> StoreResult<Vec<T>>;

    /// Times of the oldest and the newest row.
    fn time_range(&mut self) -> StoreResult<Option<(i64, i64)>> {
        let read = |row: &Self::Row<'_>| Ok(row.value::<Option<i64>>(0)?.zip(row.value(1)?));
        Ok(self.query(TIME_RANGE, &[], read)?.pop().flatten())
    }
}

/// Database opened for reading.
pub(super) struct SqlSource<D> {
    database: D,
    queries: TickQueries,
}

impl<D: SqlDatabase> SqlSource<D> {
    pub(super) fn open(mut database: D) -> StoreResult<Self> {
        let version = check_not_empty(database.version()?)?;
        Ok(Self { database, queries: TickQueries::new(version) })
    }
}

impl<D: SqlDatabase> TickSource for SqlSource<D> {
    fn symbols(&mut self) -> StoreResult<Vec<(i32, CompactString)>> {
        self.database.query(SYMBOLS, &[], |row| Ok((row.value(0)?, row.name(1)?.unwrap_or_default())))
    }

    fn time_range(&mut self) -> StoreResult<Option<(i64, i64)>> {
        self.database.time_range()
    }

    fn block(
        &mut self,
        (id, name): (i32, &str),
        from_ns: i64,
        to_ns: i64,
        limit: usize,
    ) -> StoreResult<Vec<StoredTick>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.database.query(&self.queries.range, &[&id, &from_ns, &to_ns, &limit], |row| stored_tick(name, row))
    }

    fn neighbour(&mut self, (id, name): (i32, &str), side: Side) -> StoreResult<Option<TickRow>> {
        let (sql, time_ns) = match side {
            Side::Before(time_ns) => (&self.queries.latest_before, time_ns),
            Side::From(time_ns) => (&self.queries.earliest_from, time_ns),
        };
        let found = self.database.query(sql, &[&id, &time_ns], |row| stored_tick(name, row));
        Ok(found?.pop().map(|row| row.tick))
    }

    fn time_before_newest(&mut self, (id, _): (i32, &str), skip: usize) -> StoreResult<Option<i64>> {
        let skip = i64::try_from(skip).unwrap_or(i64::MAX);
        Ok(self.database.query(TIME_BEFORE_NEWEST, &[&id, &skip], |row| row.value(0))?.pop().flatten())
    }
}

fn stored_tick(symbol: &str, row: &impl Row) -> StoreResult<StoredTick> {
    let tick = TickRow {
        symbol: CompactString::new(symbol),
        time_ns: row.value(0)?,
        price: row.value(1)?,
        size: row.value(2)?,
        source: row.name(4)?,
        seq: row.value::<Option<i64>>(5)?.map(i64::cast_unsigned),
        id: stream_id(row.value(6)?, row.value(7)?),
        outlier: row.value::<i32>(8)? != 0,
    };
    Ok(StoredTick { n: row.value(3)?, tick })
}

/// Stream position stored in two columns.
pub(super) fn stream_id(ms: Option<i64>, seq: Option<i64>) -> Option<StreamId> {
    ms.zip(seq).map(|(ms, seq)| StreamId { ms: ms.cast_unsigned(), seq: seq.cast_unsigned() })
}

/// Table of names that rows refer to by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameTable {
    Symbols,
    Sources,
    Streams,
}

impl NameTable {
    /// All tables, in the order of their definition.
    pub(super) const ALL: [Self; 3] = [Self::Symbols, Self::Sources, Self::Streams];

    /// Name in SQL.
    pub(super) const fn sql(self) -> &'static str {
        match self {
            Self::Symbols => "symbols",
            Self::Sources => "sources",
            Self::Streams => "streams",
        }
    }
}

/// Most names of a table cached from one transaction to the next, at some 100 bytes each. Beyond, the cache is cleared
/// and refilled: no market has as many.
const NAMES_MAX: usize = 65_536;

/// Cached ids, per table, which save a lookup in the database for each row.
#[derive(Debug, Default)]
pub(super) struct NameCache([HashMap<CompactString, i32, RandomState>; 3]);

impl NameCache {
    pub(super) fn id(&self, table: NameTable, name: &str) -> Option<i32> {
        self.0[table as usize].get(name).copied()
    }

    pub(super) fn extend(&mut self, table: NameTable, ids: impl IntoIterator<Item = (CompactString, i32)>) {
        self.0[table as usize].extend(ids);
    }

    /// Clears tables that are too large. Called between transactions only: within one, names stay cached.
    pub(super) fn limit_size(&mut self) {
        self.0.iter_mut().filter(|ids| ids.len() > NAMES_MAX).for_each(HashMap::clear);
    }
}

/// Names that the rows of `batches` refer to, in order of arrival.
pub(super) fn names(batches: &[RowBatch]) -> impl Iterator<Item = (NameTable, &str)> {
    batches.iter().flat_map(|batch| {
        let ticks = batch.ticks.iter().flat_map(|tick| {
            let source = tick.source.as_deref().map(|name| (NameTable::Sources, name));
            iter::once((NameTable::Symbols, tick.symbol.as_str())).chain(source)
        });
        batch.stream.as_deref().map(|name| (NameTable::Streams, name)).into_iter().chain(ticks)
    })
}

/// Row of the table `ticks`. Numbers from 2^63 on are stored as their bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SqlRow {
    pub(super) symbol_id: i32,
    pub(super) time_ns: i64,
    /// Source whose sequence number identifies the tick; negated stream whose entry does; 0 for none.
    pub(super) origin: i32,
    /// Sequence number, milliseconds of the entry, or `n`.
    pub(super) major: i64,
    /// Number of the entry within its millisecond, else 0.
    pub(super) minor: i64,
    /// Index of the tick in its entry, else 0.
    pub(super) part: i32,
    pub(super) price: f64,
    /// Grows in order of arrival.
    pub(super) n: i64,
    size: Option<f64>,
    /// Source, unless `origin` has it.
    source_id: Option<i32>,
    /// Sequence number, unless `major` has it.
    seq: Option<i64>,
    stream_id: Option<i32>,
    id_ms: Option<i64>,
    id_seq: Option<i64>,
    flags: Option<i16>,
}

impl SqlRow {
    /// Values in the order of [`TICK_COLUMNS`].
    pub(super) fn values(&self) -> [&dyn Param; TICK_COLUMNS.len()] {
        [
            &self.symbol_id,
            &self.time_ns,
            &self.origin,
            &self.major,
            &self.minor,
            &self.part,
            &self.price,
            &self.n,
            &self.size,
            &self.source_id,
            &self.seq,
            &self.stream_id,
            &self.id_ms,
            &self.id_seq,
            &self.flags,
        ]
    }
}

/// Rows for all ticks, in order of arrival, with `n` from `first_n` on. Returns `None` if `ids` lacks a symbol.
pub(super) fn encode(batches: &[RowBatch], first_n: i64, ids: &NameCache) -> Option<Vec<SqlRow>> {
    let mut rows = Vec::with_capacity(batches.iter().map(|batch| batch.ticks.len()).sum());
    for batch in batches {
        let stream_id = batch.stream.as_deref().and_then(|name| ids.id(NameTable::Streams, name));
        let mut identifier = Identifier::default();
        for tick in &batch.ticks {
            let source_id = tick.source.as_deref().and_then(|name| ids.id(NameTable::Sources, name));
            let n = first_n + rows.len() as i64;
            let id = tick.id.filter(|_| stream_id.is_some());
            let row = SqlRow {
                symbol_id: ids.id(NameTable::Symbols, &tick.symbol)?,
                time_ns: tick.time_ns,
                origin: 0,
                major: n,
                minor: 0,
                part: 0,
                price: tick.price,
                n,
                size: tick.size,
                source_id,
                seq: tick.seq.map(u64::cast_signed),
                stream_id,
                id_ms: id.map(|id| id.ms.cast_signed()),
                id_seq: id.map(|id| id.seq.cast_signed()),
                flags: flags(tick),
            };
            rows.push(match identifier.identify(tick, source_id, stream_id) {
                Identity::Sequence { source, seq } => {
                    SqlRow { origin: source, major: seq.cast_signed(), source_id: None, seq: None, ..row }
                }
                Identity::Entry { stream, id, part } => {
                    let (major, minor) = (id.ms.cast_signed(), id.seq.cast_signed());
                    SqlRow { origin: -stream, major, minor, part, ..row }
                }
                Identity::None => row,
            });
        }
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use std::slice;

    use crate::storage::db::sql_database::*;

    /// Row of the last tick of a batch.
    fn last_row(stream: Option<&str>, ticks: &[TickRow], first_n: i64) -> SqlRow {
        let batch = RowBatch { stream: stream.map(Into::into), ticks: ticks.to_vec(), ..RowBatch::default() };
        let mut ids = NameCache::default();
        for (table, name) in names(slice::from_ref(&batch)) {
            ids.extend(table, [(name.into(), table as i32 + 1)]);
        }
        encode(&[batch], first_n, &ids).unwrap().pop().unwrap()
    }

    fn tick(source: Option<&str>, seq: Option<u64>, id: Option<StreamId>) -> TickRow {
        let source = source.map(Into::into);
        TickRow { symbol: "A".into(), time_ns: 5, price: 1.0, size: None, source, seq, id, outlier: false }
    }

    #[test]
    fn a_tick_is_identified_by_sequence_number_else_by_stream_entry() {
        let id = Some(StreamId { ms: 7, seq: u64::MAX });
        let first = tick(Some("p"), Some(u64::MAX), id);
        let numbered = last_row(Some("s"), slice::from_ref(&first), 10);
        assert_eq!((numbered.origin, numbered.major, numbered.minor, numbered.part), (2, -1, 0, 0));
        assert_eq!(
            (numbered.source_id, numbered.seq, numbered.id_ms, numbered.id_seq),
            (None, None, Some(7), Some(-1))
        );
        let entry = last_row(Some("s"), &[first, tick(Some("p"), None, id)], 10);
        assert_eq!((entry.origin, entry.major, entry.minor, entry.part), (-3, 7, -1, 1), "the second of its entry");
        assert_eq!(
            (entry.source_id, entry.seq, entry.id_ms, entry.id_seq, entry.n),
            (Some(2), None, Some(7), Some(-1), 11)
        );
        let bare = last_row(None, &[tick(None, Some(4), id)], 12);
        assert_eq!((bare.origin, bare.major, bare.part), (0, 12, 0));
        assert_eq!((bare.source_id, bare.seq, bare.id_ms, bare.id_seq), (None, Some(4), None, None));
    }
}
