//! Reading a file.

use std::path::Path;

use compact_str::CompactString;
use rusqlite::{Connection, OpenFlags};

use crate::storage::db::backend::StoreResult;
use crate::storage::db::sql_database::{Param, Row, SqlDatabase, SqlSource, Value};

use crate::storage::db::sqlite::{connect, schema};

/// Opens a file for reading.
pub(in crate::storage::db) fn open_source(path: &Path) -> StoreResult<SqlSource<Connection>> {
    SqlSource::open(connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

impl Row for rusqlite::Row<'_> {
    fn value<T: Value>(&self, column: usize) -> StoreResult<T> {
        Ok(self.get(column)?)
    }

    fn name(&self, column: usize) -> StoreResult<Option<CompactString>> {
        let text = self.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        Ok(text.map(CompactString::new))
    }
}

impl SqlDatabase for Connection {
    type Row<'a> = rusqlite::Row<'a>;

    fn version(&mut self) -> StoreResult<i64> {
        schema::check(self)
    }

    fn query<T>(
        &mut self,
        sql: &str,
        params: &[&dyn Param],
        mut read: impl FnMut(&rusqlite::Row<'_>) -> StoreResult<T>,
    ) -> StoreResult<Vec<T>> {
        let params: Vec<&dyn rusqlite::ToSql> = params.iter().map(|param| *param as &dyn rusqlite::ToSql).collect();
        let (mut statement, mut results) = (self.prepare(sql)?, Vec::new());
        let mut rows = statement.query(params.as_slice())?;
        while let Some(row) = rows.next()? {
            results.push(read(row)?);
        }
        Ok(results)
    }
}
