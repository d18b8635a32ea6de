//! Reading a file back.

use std::collections::HashMap;
use std::path::Path;

use compact_str::CompactString;
use foldhash::fast::RandomState;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::storage::db::backend::{OUTLIER, OpenError, Row};
use crate::storage::db::reader::{Read, Source};
use crate::storage::db::url::display_path;
use crate::storage::db::{DbError, TickRow};

use crate::storage::db::sqlite::{BUSY_WAIT, as_file, cause, open_error, schema};

/// A range of a symbol's rows. A store of a version without flags is read without them.
fn block_sql(version: i64) -> String {
    let flags = if version < schema::FLAGS_SINCE { "NULL" } else { "flags" };
    format!(
        "SELECT time_ns, origin, major, price, n, size, source_id, seq, id_ms, id_seq, {flags} FROM ticks \
         WHERE symbol_id = ?1 AND time_ns BETWEEN ?2 AND ?3 ORDER BY time_ns LIMIT ?4"
    )
}

/// A file, opened for reading.
pub(in crate::storage::db) struct SqliteSource {
    connection: Connection,
    block: String,
    sources: HashMap<i32, CompactString, RandomState>,
}

/// Times of the oldest and the newest row: two looks a symbol, whatever the file's size.
pub(super) fn span(connection: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    connection.query_row(
        "SELECT min((SELECT min(time_ns) FROM ticks WHERE symbol_id = symbols.id)), \
         max((SELECT max(time_ns) FROM ticks WHERE symbol_id = symbols.id)) FROM symbols",
        [],
        |row| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?)),
    )
}

impl SqliteSource {
    pub(in crate::storage::db) fn open(path: &Path) -> Result<Self, DbError> {
        let store = display_path(path);
        let failed = |error| match error {
            OpenError::Final(error) => error,
            // Another program holds it, or the disk fails: a file elsewhere would not help.
            OpenError::Away(cause) => DbError::Read { store: store.clone(), cause },
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(as_file(path), flags);
        let connection = opened.map_err(|error| failed(open_error(path, &error)))?;
        connection.busy_timeout(BUSY_WAIT).map_err(|error| failed(open_error(path, &error)))?;
        let version = schema::check(&connection, path).map_err(failed)?;
        if version == 0 {
            return Err(DbError::Foreign { store, cause: "it is empty".to_owned() });
        }
        Ok(Self { connection, block: block_sql(version), sources: HashMap::default() })
    }

    fn source_name(&mut self, id: i32) -> rusqlite::Result<Option<CompactString>> {
        if let Some(name) = self.sources.get(&id) {
            return Ok(Some(name.clone()));
        }
        let mut find = self.connection.prepare("SELECT name FROM sources WHERE id = ?1")?;
        let name: Option<String> = find.query_row([id], |row| row.get(0)).optional()?;
        let name = name.map(CompactString::from);
        self.sources.extend(name.clone().map(|name| (id, name)));
        Ok(name)
    }

    fn try_block(&mut self, symbol: (i32, &str), span: (i64, i64), limit: usize) -> rusqlite::Result<Vec<Read>> {
        let mut rows = Vec::new();
        {
            let mut find = self.connection.prepare(&self.block)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut found = find.query(params![symbol.0, span.0, span.1, limit])?;
            while let Some(row) = found.next()? {
                let (id_ms, id_seq): (Option<i64>, Option<i64>) = (row.get(8)?, row.get(9)?);
                let key = Row {
                    symbol_id: symbol.0,
                    origin: row.get(1)?,
                    major: row.get(2)?,
                    minor: 0,
                    part: 0,
                    n: row.get(4)?,
                    source_id: row.get(6)?,
                    seq: row.get(7)?,
                    stream_id: None,
                    id: id_ms.zip(id_seq),
                };
                let flags: i16 = row.get::<_, Option<i16>>(10)?.unwrap_or(0);
                rows.push((key, row.get(0)?, row.get(3)?, row.get(5)?, flags & OUTLIER != 0));
            }
        }
        let read = rows.into_iter().map(|(row, time_ns, price, size, outlier)| {
            let (source_id, seq) = row.source_and_seq();
            let source = source_id.map(|id| self.source_name(id)).transpose()?.flatten();
            let id = row.stream_entry();
            let tick = TickRow { symbol: CompactString::new(symbol.1), time_ns, price, size, source, seq, id, outlier };
            Ok(Read { n: row.n, tick })
        });
        read.collect()
    }
}

impl Source for SqliteSource {
    fn symbols(&mut self) -> Result<Vec<(i32, CompactString)>, String> {
        let read = || {
            let mut find = self.connection.prepare("SELECT id, name FROM symbols")?;
            let names = find.query_map([], |row| Ok((row.get(0)?, CompactString::from(row.get::<_, String>(1)?))))?;
            names.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|error: rusqlite::Error| cause(&error))
    }

    fn span(&mut self) -> Result<Option<(i64, i64)>, String> {
        span(&self.connection).map_err(|error| cause(&error))
    }

    fn block(&mut self, symbol: (i32, &str), from_ns: i64, to_ns: i64, limit: usize) -> Result<Vec<Read>, String> {
        self.try_block(symbol, (from_ns, to_ns), limit).map_err(|error| cause(&error))
    }

    fn time_before_newest(&mut self, symbol_id: i32, skip: usize) -> Result<Option<i64>, String> {
        let find = |sql: &str, skip: i64| {
            self.connection.prepare(sql)?.query_row([i64::from(symbol_id), skip], |row| row.get(0)).optional()
        };
        let skip = i64::try_from(skip).unwrap_or(i64::MAX);
        let nth = "SELECT time_ns FROM ticks WHERE symbol_id = ?1 ORDER BY time_ns DESC LIMIT 1 OFFSET ?2";
        let oldest = "SELECT time_ns FROM ticks WHERE symbol_id = ?1 AND ?2 >= 0 ORDER BY time_ns LIMIT 1";
        let found = find(nth, skip).and_then(|found| if found.is_some() { Ok(found) } else { find(oldest, 0) });
        found.map_err(|error: rusqlite::Error| cause(&error))
    }
}
