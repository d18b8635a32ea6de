//! Reading a server's store.

use compact_str::CompactString;
use tokio_postgres::types::ToSql;

use crate::storage::db::backend::StoreResult;
use crate::storage::db::sql_database::{Param, Row, SqlDatabase, SqlSource, Value};
use crate::storage::db::url::PostgresUrl;

use crate::storage::db::postgres::connection::{Connection, unescape};
use crate::storage::db::postgres::schema;

/// Connects for reading.
pub(in crate::storage::db) fn open_source(url: &PostgresUrl) -> StoreResult<SqlSource<Connection>> {
    SqlSource::open(Connection::open(url, "tickscope reader")?)
}

impl Row for tokio_postgres::Row {
    fn value<T: Value>(&self, column: usize) -> StoreResult<T> {
        Ok(self.try_get(column)?)
    }

    fn name(&self, column: usize) -> StoreResult<Option<CompactString>> {
        Ok(self.try_get::<_, Option<&str>>(column)?.map(|name| unescape(name).into()))
    }
}

impl SqlDatabase for Connection {
    type Row<'a> = tokio_postgres::Row;

    fn version(&mut self) -> StoreResult<i64> {
        self.run(async |client| schema::inspect(&client.transaction().await?).await)
    }

    fn query<T>(
        &mut self,
        sql: &str,
        params: &[&dyn Param],
        read: impl FnMut(&tokio_postgres::Row) -> StoreResult<T>,
    ) -> StoreResult<Vec<T>> {
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|param| *param as &(dyn ToSql + Sync)).collect();
        let statement = self.statement(sql)?;
        let rows = self.run(async |client| Ok(client.query(&statement, &params).await?))?;
        rows.iter().map(read).collect()
    }
}
