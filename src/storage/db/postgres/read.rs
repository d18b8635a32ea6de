//! Reading a server's store.

use compact_str::CompactString;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement};

use crate::storage::db::backend::{StoredTick, TickSource, stream_id};
use crate::storage::db::sql::{SYMBOLS, TIME_BEFORE_NEWEST, TIME_RANGE, TickQueries};
use crate::storage::db::url::PostgresUrl;
use crate::storage::db::{DbError, TickRow};

use crate::storage::db::postgres::connection::{Connection, RequestError, unescape};
use crate::storage::db::postgres::schema;

/// Connection for reading.
pub(in crate::storage::db) struct PostgresSource {
    connection: Connection,
    range: Statement,
    latest_before: Statement,
    earliest_from: Statement,
}

/// Times of the oldest and the newest row.
pub(super) fn time_range(connection: &mut Connection) -> Result<Option<(i64, i64)>, RequestError> {
    connection.run(async |client| {
        let row = client.query_one(TIME_RANGE, &[]).await?;
        Ok(row.try_get::<_, Option<i64>>(0)?.zip(row.try_get(1)?))
    })
}

fn name(row: &Row, column: usize) -> Result<Option<CompactString>, Error> {
    Ok(row.try_get::<_, Option<&str>>(column)?.map(|name| CompactString::new(unescape(name))))
}

fn stored_tick(symbol: &str, row: &Row) -> Result<StoredTick, Error> {
    let tick = TickRow {
        symbol: CompactString::new(symbol),
        time_ns: row.try_get(0)?,
        price: row.try_get(1)?,
        size: row.try_get(2)?,
        source: name(row, 4)?,
        seq: row.try_get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
        id: stream_id((row.try_get(6)?, row.try_get(7)?)),
        outlier: row.try_get::<_, i32>(8)? != 0,
    };
    Ok(StoredTick { n: row.try_get(3)?, tick })
}

fn ticks(
    connection: &mut Connection,
    statement: &Statement,
    symbol: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<StoredTick>, String> {
    let read = connection.run(async |client| {
        client.query(statement, params).await?.iter().map(|row| stored_tick(symbol, row)).collect()
    });
    read.map_err(|error| error.cause())
}

impl PostgresSource {
    pub(in crate::storage::db) fn open(url: &PostgresUrl) -> Result<Self, DbError> {
        let mut connection = Connection::open(url, "tickscope reader").map_err(|error| error.for_reader(url))?;
        let version = schema::check(&mut connection, url).map_err(|error| error.for_reader(url))?;
        if version == 0 {
            return Err(DbError::empty(url.to_string()));
        }
        let queries = TickQueries::new(version);
        let prepared = connection.run(async |client| {
            let range = client.prepare(&queries.range).await?;
            Ok((range, client.prepare(&queries.latest_before).await?, client.prepare(&queries.earliest_from).await?))
        });
        let (range, latest_before, earliest_from) = prepared.map_err(|error| error.at_open(url).for_reader(url))?;
        Ok(Self { connection, range, latest_before, earliest_from })
    }
}

impl TickSource for PostgresSource {
    fn symbols(&mut self) -> Result<Vec<(i32, CompactString)>, String> {
        let rows = self.connection.run(async |client| {
            let rows = client.query(SYMBOLS, &[]).await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, name(row, 1)?.unwrap_or_default()))).collect()
        });
        rows.map_err(|error| error.cause())
    }

    fn time_range(&mut self) -> Result<Option<(i64, i64)>, String> {
        time_range(&mut self.connection).map_err(|error| error.cause())
    }

    fn block(
        &mut self,
        (id, name): (i32, &str),
        from_ns: i64,
        to_ns: i64,
        limit: usize,
    ) -> Result<Vec<StoredTick>, String> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        ticks(&mut self.connection, &self.range, name, &[&id, &from_ns, &to_ns, &limit])
    }

    fn latest_before(&mut self, (id, name): (i32, &str), before_ns: i64) -> Result<Option<TickRow>, String> {
        let found = ticks(&mut self.connection, &self.latest_before, name, &[&id, &before_ns])?;
        Ok(found.into_iter().next().map(|row| row.tick))
    }

    fn earliest_from(&mut self, (id, name): (i32, &str), from_ns: i64) -> Result<Option<TickRow>, String> {
        let found = ticks(&mut self.connection, &self.earliest_from, name, &[&id, &from_ns])?;
        Ok(found.into_iter().next().map(|row| row.tick))
    }

    fn time_before_newest(&mut self, symbol_id: i32, skip: usize) -> Result<Option<i64>, String> {
        let skip = i64::try_from(skip).unwrap_or(i64::MAX);
        let found = self
            .connection
            .run(async |client| client.query_one(TIME_BEFORE_NEWEST, &[&symbol_id, &skip]).await?.try_get(0));
        found.map_err(|error| error.cause())
    }
}
