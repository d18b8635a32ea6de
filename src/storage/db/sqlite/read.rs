//! Reading a file.

use std::path::Path;

use compact_str::CompactString;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row, params};

use crate::storage::db::backend::{StoredTick, TickSource, stream_id};
use crate::storage::db::sql::{SYMBOLS, TIME_BEFORE_NEWEST, TIME_RANGE, TickQueries};
use crate::storage::db::url::display_path;
use crate::storage::db::{DbError, TickRow};

use crate::storage::db::sqlite::{BUSY_TIMEOUT, as_file, cause, open_error, schema};

/// File opened for reading.
pub(in crate::storage::db) struct SqliteSource {
    connection: Connection,
    queries: TickQueries,
}

/// Times of the oldest and the newest row.
pub(super) fn time_range(connection: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    connection.query_row(TIME_RANGE, [], |row| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?)))
}

fn stored_tick(symbol: &str, row: &Row<'_>) -> rusqlite::Result<StoredTick> {
    let tick = TickRow {
        symbol: CompactString::new(symbol),
        time_ns: row.get(0)?,
        price: row.get(1)?,
        size: row.get(2)?,
        source: row.get_ref(4)?.as_str_or_null()?.map(CompactString::new),
        seq: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
        id: stream_id((row.get(6)?, row.get(7)?)),
        outlier: row.get::<_, i32>(8)? != 0,
    };
    Ok(StoredTick { n: row.get(3)?, tick })
}

impl SqliteSource {
    pub(in crate::storage::db) fn open(path: &Path) -> Result<Self, DbError> {
        let store = display_path(path);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(as_file(path), flags)
            .and_then(|connection| connection.busy_timeout(BUSY_TIMEOUT).map(|()| connection))
            .map_err(|error| open_error(path, &error))
            .and_then(|connection| schema::check(&connection, path).map(|version| (connection, version)));
        match opened.map_err(|error| error.for_reader(&store))? {
            (_, 0) => Err(DbError::empty(store)),
            (connection, version) => Ok(Self { connection, queries: TickQueries::new(version) }),
        }
    }

    fn ticks(&self, sql: &str, symbol: &str, params: impl Params) -> Result<Vec<StoredTick>, String> {
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            statement.query_map(params, |row| stored_tick(symbol, row))?.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|error: rusqlite::Error| cause(&error))
    }

    fn nearest(&self, sql: &str, (id, name): (i32, &str), time_ns: i64) -> Result<Option<TickRow>, String> {
        Ok(self.ticks(sql, name, params![id, time_ns])?.pop().map(|row| row.tick))
    }
}

impl TickSource for SqliteSource {
    fn symbols(&mut self) -> Result<Vec<(i32, CompactString)>, String> {
        let read = || {
            let mut find = self.connection.prepare(SYMBOLS)?;
            let names = find.query_map([], |row| Ok((row.get(0)?, CompactString::new(row.get_ref(1)?.as_str()?))))?;
            names.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|error: rusqlite::Error| cause(&error))
    }

    fn time_range(&mut self) -> Result<Option<(i64, i64)>, String> {
        time_range(&self.connection).map_err(|error| cause(&error))
    }

    fn block(
        &mut self,
        (id, name): (i32, &str),
        from_ns: i64,
        to_ns: i64,
        limit: usize,
    ) -> Result<Vec<StoredTick>, String> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.ticks(&self.queries.range, name, params![id, from_ns, to_ns, limit])
    }

    fn latest_before(&mut self, symbol: (i32, &str), before_ns: i64) -> Result<Option<TickRow>, String> {
        self.nearest(&self.queries.latest_before, symbol, before_ns)
    }

    fn earliest_from(&mut self, symbol: (i32, &str), from_ns: i64) -> Result<Option<TickRow>, String> {
        self.nearest(&self.queries.earliest_from, symbol, from_ns)
    }

    fn time_before_newest(&mut self, symbol_id: i32, skip: usize) -> Result<Option<i64>, String> {
        let skip = i64::try_from(skip).unwrap_or(i64::MAX);
        let found =
            self.connection.query_row(TIME_BEFORE_NEWEST, params![symbol_id, skip], |row| row.get(0)).optional();
        found.map(Option::flatten).map_err(|error| cause(&error))
    }
}
