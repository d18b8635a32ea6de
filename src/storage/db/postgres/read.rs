//! Reading a server's store back.

use std::collections::HashMap;

use compact_str::CompactString;
use foldhash::fast::RandomState;
use tokio_postgres::{Error, Row, Statement};

use crate::storage::db::backend;
use crate::storage::db::backend::OpenError;
use crate::storage::db::reader::{Read, Source};
use crate::storage::db::url::PostgresUrl;
use crate::storage::db::{DbError, TickRow};

use crate::storage::db::postgres::link::{Failure, Link, unescape};
use crate::storage::db::postgres::schema;

/// A range of a symbol's rows. A store of a version without flags is read without them.
fn block_sql(version: i64) -> String {
    let flags = if version < schema::FLAGS_SINCE { "NULL::smallint" } else { "flags" };
    format!(
        "SELECT time_ns, origin, major, price, n, size, source_id, seq, id_ms, id_seq, {flags} FROM ticks \
         WHERE symbol_id = $1 AND time_ns BETWEEN $2 AND $3 ORDER BY time_ns LIMIT $4"
    )
}

/// A connection for reading.
pub(in crate::storage::db) struct PostgresSource {
    link: Link,
    block: Statement,
    sources: HashMap<i32, CompactString, RandomState>,
}

/// Times of the oldest and the newest row: two looks a symbol, whatever the table's size.
pub(super) fn span(link: &mut Link) -> Result<Option<(i64, i64)>, Failure> {
    link.run(async |client| {
        let sql = "SELECT min((SELECT min(time_ns) FROM ticks WHERE symbol_id = symbols.id)), \
             max((SELECT max(time_ns) FROM ticks WHERE symbol_id = symbols.id)) FROM symbols";
        let row = client.query_one(sql, &[]).await?;
        Ok(row.try_get::<_, Option<i64>>(0)?.zip(row.try_get(1)?))
    })
}

impl PostgresSource {
    pub(in crate::storage::db) fn open(url: &PostgresUrl) -> Result<Self, DbError> {
        let failed = |error| match error {
            OpenError::Final(error) => error,
            OpenError::Away(cause) => DbError::Read { store: url.to_string(), cause },
        };
        let mut link = Link::open(url, "tickscope reader").map_err(failed)?;
        let version = schema::check(&mut link, url).map_err(failed)?;
        if version == 0 {
            return Err(DbError::Foreign { store: url.to_string(), cause: "it is empty".to_owned() });
        }
        let block = link.run(async |client| client.prepare(&block_sql(version)).await);
        let block = block.map_err(|failure| failed(failure.at_open(url)))?;
        Ok(Self { link, block, sources: HashMap::default() })
    }

    fn learn_sources(&mut self, ids: Vec<i32>) -> Result<(), Failure> {
        let unknown: Vec<i32> = ids.into_iter().filter(|id| !self.sources.contains_key(id)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let rows = self.link.run(async |client| {
            let rows = client.query("SELECT id, name FROM sources WHERE id = ANY($1)", &[&unknown]).await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<Vec<(i32, String)>, Error>>()
        })?;
        self.sources.extend(rows.into_iter().map(|(id, name)| (id, CompactString::new(unescape(&name)))));
        Ok(())
    }

    fn try_block(&mut self, symbol: (i32, &str), span: (i64, i64), limit: usize) -> Result<Vec<Read>, Failure> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let Self { link, block, .. } = self;
        let rows = link.run(async |client| {
            let rows = client.query(block, &[&symbol.0, &span.0, &span.1, &limit]).await?;
            rows.iter().map(|row| parse(row, symbol.0)).collect::<Result<Vec<_>, Error>>()
        })?;
        let mut ids: Vec<i32> = rows.iter().filter_map(|(row, ..)| row.source_and_seq().0).collect();
        ids.sort_unstable();
        ids.dedup();
        self.learn_sources(ids)?;
        let read = rows.into_iter().map(|(row, time_ns, price, size, outlier)| {
            let (source_id, seq) = row.source_and_seq();
            let source = source_id.and_then(|id| self.sources.get(&id).cloned());
            let id = row.stream_entry();
            let tick = TickRow { symbol: CompactString::new(symbol.1), time_ns, price, size, source, seq, id, outlier };
            Read { n: row.n, tick }
        });
        Ok(read.collect())
    }
}

/// The row, and the tick's time, price, size, and whether it is an outlier.
fn parse(row: &Row, symbol_id: i32) -> Result<(backend::Row, i64, f64, Option<f64>, bool), Error> {
    let (id_ms, id_seq): (Option<i64>, Option<i64>) = (row.try_get(8)?, row.try_get(9)?);
    let key = backend::Row {
        symbol_id,
        origin: row.try_get(1)?,
        major: row.try_get(2)?,
        minor: 0,
        part: 0,
        n: row.try_get(4)?,
        source_id: row.try_get(6)?,
        seq: row.try_get(7)?,
        stream_id: None,
        id: id_ms.zip(id_seq),
    };
    let flags = row.try_get::<_, Option<i16>>(10)?.unwrap_or(0);
    Ok((key, row.try_get(0)?, row.try_get(3)?, row.try_get(5)?, flags & backend::OUTLIER != 0))
}

impl Source for PostgresSource {
    fn symbols(&mut self) -> Result<Vec<(i32, CompactString)>, String> {
        let rows = self.link.run(async |client| {
            let rows = client.query("SELECT id, name FROM symbols", &[]).await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<Vec<(i32, String)>, Error>>()
        });
        let rows = rows.map_err(|failure| failure.cause())?;
        Ok(rows.into_iter().map(|(id, name)| (id, CompactString::new(unescape(&name)))).collect())
    }

    fn span(&mut self) -> Result<Option<(i64, i64)>, String> {
        span(&mut self.link).map_err(|failure| failure.cause())
    }

    fn block(&mut self, symbol: (i32, &str), from_ns: i64, to_ns: i64, limit: usize) -> Result<Vec<Read>, String> {
        self.try_block(symbol, (from_ns, to_ns), limit).map_err(|failure| failure.cause())
    }

    fn time_before_newest(&mut self, symbol_id: i32, skip: usize) -> Result<Option<i64>, String> {
        let skip = i64::try_from(skip).unwrap_or(i64::MAX);
        let found = self.link.run(async |client| {
            let nth = "SELECT time_ns FROM ticks WHERE symbol_id = $1 ORDER BY time_ns DESC LIMIT 1 OFFSET $2";
            if let Some(row) = client.query_opt(nth, &[&symbol_id, &skip]).await? {
                return row.try_get(0).map(Some);
            }
            client.query_one("SELECT min(time_ns) FROM ticks WHERE symbol_id = $1", &[&symbol_id]).await?.try_get(0)
        });
        found.map_err(|failure| failure.cause())
    }
}
