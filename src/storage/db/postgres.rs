//! PostgreSQL: a store on a server.
//!
//! Rows go into `ticks` by binary COPY. A duplicate row fails the whole COPY; the same rows then go through a temporary
//! table, from which the new ones are inserted. That path is slower and only taken after duplicates were seen.

mod connection;
mod read;
mod schema;
mod tls;

use std::collections::BTreeMap;
use std::pin::pin;

use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Transaction};

use crate::model::StreamId;
use crate::storage::db::RowBatch;
use crate::storage::db::backend::{
    CAREFUL_COMMITS, CommitCounts, Failure, N_STEP, PRUNE_ROWS, StoreError, StoreResult, TickStore, checkpoints,
};
use crate::storage::db::sql::{
    CHECKPOINT, ColumnType, DELETE_OLD, MOVE_CHECKPOINT, OLD_SYMBOLS, TICK_COLUMNS, tick_column_names,
};
use crate::storage::db::sql_database::{NameCache, NameTable, Row, SqlDatabase, SqlRow, encode, names, stream_id};
use crate::storage::db::url::PostgresUrl;

use connection::{Connection, escape};
pub(super) use read::open_source;

/// Open connection.
pub(super) struct PostgresStore {
    connection: Connection,
    writer: String,
    names: NameCache,
    careful_commits_left: u32,
    has_staging: bool,
    /// With TimescaleDB, number of the first chunk that may hold rows within the retention.
    first_chunk: Option<i64>,
}

impl PostgresStore {
    /// Opens for a writer with a unique name, and ends earlier connections of the same name.
    pub(super) fn open(url: &PostgresUrl, writer: &str) -> StoreResult<Self> {
        let mut connection = Connection::open(url, &format!("tickscope {writer}"))?;
        // A transaction of an earlier connection would keep its locks until the server notices that it is dead.
        let end_earlier = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
             AND application_name = current_setting('application_name') AND usename = current_user";
        connection.run(async |client| Ok(client.batch_execute(end_earlier).await?))?;
        schema::migrate(&mut connection)?;
        let has_chunks = connection.run(async |client| {
            client.batch_execute("DELETE FROM writers WHERE changed < now() - interval '30 days'").await?;
            let add =
                "INSERT INTO writers (name, number, written, duplicates) VALUES ($1, 0, 0, 0) ON CONFLICT DO NOTHING";
            client.execute(add, &[&writer]).await?;
            schema::is_hypertable(client).await
        })?;
        Ok(Self {
            connection,
            writer: writer.to_owned(),
            names: NameCache::default(),
            careful_commits_left: 0,
            has_staging: false,
            first_chunk: has_chunks.then_some(0),
        })
    }

    /// Rows for all ticks, sorted and deduplicated by key, and the number of duplicates.
    ///
    /// Two writers that insert the same rows in different orders would deadlock.
    fn rows(&mut self, batches: &[RowBatch]) -> StoreResult<(Vec<SqlRow>, u64)> {
        self.names.limit_size();
        self.fetch_names(batches)?;
        let hidden = || StoreError::new(Failure::Lost, "rows of the table symbols are hidden from this user");
        let mut rows = encode(batches, 0, &self.names).ok_or_else(hidden)?;
        let count = rows.len();
        rows.sort_unstable_by_key(|row| (key(row), row.n));
        rows.dedup_by(|next, first| key(next) == key(first) && next.origin != 0);
        let duplicates = (count - rows.len()) as u64;
        Ok((rows, duplicates))
    }

    /// Adds the ids of all names to the cache. Names that a table lacks are inserted.
    fn fetch_names(&mut self, batches: &[RowBatch]) -> StoreResult<()> {
        let mut unknown = [const { Vec::new() }; NameTable::ALL.len()];
        for (table, name) in names(batches).filter(|(table, name)| self.names.id(*table, name).is_none()) {
            unknown[table as usize].push(escape(name));
        }
        for (table, mut unknown) in NameTable::ALL.into_iter().zip(unknown).filter(|(_, unknown)| !unknown.is_empty()) {
            // Sorted, so that two writers with the same new names do not deadlock.
            unknown.sort_unstable();
            unknown.dedup();
            let table_name = table.sql();
            let find = format!("SELECT name, id FROM {table_name} WHERE name = ANY($1)");
            let add = format!("INSERT INTO {table_name} (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING");
            let rows = self.connection.run(async |client| {
                let mut rows = client.query(&find, &[&unknown]).await?;
                if rows.len() < unknown.len() {
                    client.execute(&add, &[&unknown]).await?;
                    rows = client.query(&find, &[&unknown]).await?;
                }
                Ok(rows)
            })?;
            let ids = rows.iter().map(|row| Ok((row.name(0)?.unwrap_or_default(), row.value(1)?)));
            self.names.extend(table, ids.collect::<StoreResult<Vec<_>>>()?);
        }
        Ok(())
    }

    /// Drops the chunks that end before a time. Returns false if readers hold one of them.
    fn drop_chunks(&mut self, before_ns: i64) -> StoreResult<bool> {
        // Dropping a chunk costs as much as removing a file, and leaves no empty chunk to scan.
        self.connection.run(async |client| {
            let transaction = client.transaction().await?;
            // Dropping waits for readers of the old chunks, and the next commit would wait for it.
            transaction.batch_execute("SET LOCAL lock_timeout = '500ms'").await?;
            match transaction.query("SELECT drop_chunks('ticks', older_than => $1::bigint)", &[&before_ns]).await {
                Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => return Ok(false),
                dropped => drop(dropped?),
            }
            transaction.commit().await?;
            Ok(true)
        })
    }
}

/// Key of a row. Finite prices compare equal exactly if the database finds them equal.
fn key(row: &SqlRow) -> (i32, i64, i32, i64, i64, i32, i64) {
    // -0 and 0 are the same price. Any total order serves.
    let price = if row.price == 0.0 { 0 } else { row.price.to_bits().cast_signed() };
    (row.symbol_id, row.time_ns, row.origin, row.major, row.minor, row.part, price)
}

/// Work of one transaction.
struct Commit<'a> {
    writer: &'a str,
    number: i64,
    rows: &'a [SqlRow],
    /// Duplicates that are not in `rows`.
    duplicates: u64,
    checkpoints: BTreeMap<i32, StreamId>,
}

impl Commit<'_> {
    async fn run(&self, transaction: Transaction<'_>, careful: bool) -> Result<CommitCounts, Error> {
        // The row lock waits for an earlier attempt that the server is still committing.
        let find = "SELECT number, written, duplicates FROM writers WHERE name = $1 FOR UPDATE";
        if let Some(row) = transaction.query_opt(find, &[&self.writer]).await?
            && row.try_get::<_, i64>(0)? >= self.number
        {
            // The earlier attempt was committed, and only the reply was lost.
            let (written, duplicates): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
            return Ok(CommitCounts { written: written.cast_unsigned(), duplicates: duplicates.cast_unsigned() });
        }
        let n: i64 = transaction.query_one("SELECT nextval('ticks_n')", &[]).await?.try_get(0)?;
        let written = self.copy(&transaction, n.wrapping_mul(N_STEP), careful).await?;
        let duplicates = self.duplicates + self.rows.len() as u64 - written;
        for (stream_id, reached) in &self.checkpoints {
            move_checkpoint(&transaction, *stream_id, *reached).await?;
        }
        let update = "INSERT INTO writers (name, number, written, duplicates) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name) DO UPDATE SET number = $2, written = $3, duplicates = $4, changed = now()";
        let counts = (written.cast_signed(), duplicates.cast_signed());
        transaction.execute(update, &[&self.writer, &self.number, &counts.0, &counts.1]).await?;
        transaction.commit().await?;
        Ok(CommitCounts { written, duplicates })
    }

    /// Writes the rows, in the order of [`TICK_COLUMNS`]. Returns how many are new.
    async fn copy(&self, transaction: &Transaction<'_>, first_n: i64, careful: bool) -> Result<u64, Error> {
        if self.rows.is_empty() {
            return Ok(0);
        }
        let (table, columns) = (if careful { "staging" } else { "ticks" }, tick_column_names());
        let sink = transaction.copy_in(&format!("COPY {table} ({columns}) FROM STDIN BINARY")).await?;
        let types = TICK_COLUMNS.map(|(_, kind, _)| match kind {
            ColumnType::SmallInt => Type::INT2,
            ColumnType::Int => Type::INT4,
            ColumnType::BigInt => Type::INT8,
            ColumnType::Price | ColumnType::Size => Type::FLOAT8,
        });
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for row in self.rows {
            let mut row = *row;
            row.n = first_n.wrapping_add(row.n);
            if row.origin == 0 {
                // A row without identity is unique by its position.
                row.major = row.n;
            }
            writer.as_mut().write(&row.values().map(|value| value as &(dyn ToSql + Sync))).await?;
        }
        let copied = writer.finish().await?;
        if !careful {
            return Ok(copied);
        }
        let insert = format!("INSERT INTO ticks ({columns}) SELECT {columns} FROM staging ON CONFLICT DO NOTHING");
        transaction.execute(&insert, &[]).await
    }
}

/// Moves a stream's checkpoint forward, never back.
async fn move_checkpoint(transaction: &Transaction<'_>, stream: i32, reached: StreamId) -> Result<(), Error> {
    let find = "SELECT id_ms, id_seq FROM streams WHERE id = $1 FOR UPDATE";
    let known = match transaction.query_opt(find, &[&stream]).await? {
        Some(row) => stream_id(row.try_get(0)?, row.try_get(1)?),
        None => None,
    };
    if known.is_none_or(|known| known < reached) {
        let (ms, seq) = (reached.ms.cast_signed(), reached.seq.cast_signed());
        transaction.execute(MOVE_CHECKPOINT, &[&ms, &seq, &stream]).await?;
    }
    Ok(())
}

impl TickStore for PostgresStore {
    fn commit(&mut self, number: u64, batches: &[RowBatch]) -> StoreResult<CommitCounts> {
        let (rows, duplicates) = self.rows(batches)?;
        let checkpoints = checkpoints(batches).into_iter();
        let checkpoints = checkpoints.filter_map(|(name, id)| Some((self.names.id(NameTable::Streams, name)?, id)));
        let commit = Commit {
            writer: &self.writer,
            number: number.cast_signed(),
            rows: &rows,
            duplicates,
            // Ordered by id, so that two writers update the rows in the same order.
            checkpoints: checkpoints.collect(),
        };
        if self.careful_commits_left == 0 {
            let done = self.connection.run(async |client| Ok(commit.run(client.transaction().await?, false).await));
            match done? {
                Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                    self.careful_commits_left = CAREFUL_COMMITS;
                }
                done => return Ok(done?),
            }
        }
        if !self.has_staging {
            let create = "CREATE TEMPORARY TABLE IF NOT EXISTS staging (LIKE ticks) ON COMMIT DELETE ROWS";
            self.connection.run(async |client| Ok(client.batch_execute(create).await?))?;
            self.has_staging = true;
        }
        let counts = self.connection.run(async |client| Ok(commit.run(client.transaction().await?, true).await?))?;
        self.careful_commits_left =
            if counts.duplicates > duplicates { CAREFUL_COMMITS } else { self.careful_commits_left - 1 };
        Ok(counts)
    }

    fn checkpoint(&mut self, stream: &str) -> StoreResult<Option<StreamId>> {
        let read = |row: &tokio_postgres::Row| Ok(stream_id(row.value(0)?, row.value(1)?));
        Ok(self.connection.query(CHECKPOINT, &[&&*escape(stream)], read)?.pop().flatten())
    }

    fn time_range(&mut self) -> StoreResult<Option<(i64, i64)>> {
        self.connection.time_range()
    }

    fn prune(&mut self, before_ns: i64) -> StoreResult<bool> {
        let chunk = before_ns.div_euclid(schema::CHUNK_NS);
        if self.first_chunk.is_some_and(|first| first < chunk) {
            if !self.drop_chunks(before_ns)? {
                return Ok(false);
            }
            self.first_chunk = Some(chunk);
        }
        self.connection.run(async |client| {
            let mut limit = PRUNE_ROWS as i64;
            for row in client.query(OLD_SYMBOLS, &[&before_ns]).await? {
                let symbol_id: i32 = row.try_get(0)?;
                limit -= client.execute(DELETE_OLD, &[&symbol_id, &before_ns, &limit]).await?.cast_signed();
                if limit <= 0 {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}
