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
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Transaction};

use crate::model::{StreamId, Timestamp};
use crate::storage::db::backend::{
    CommitCounts, NameIds, OpenError, PRUNE_ROWS, RetryPolicy, RowEncoder, SqlRow, StoreError, TickStore, checkpoints,
    flags, newest_ns, prune_before,
};
use crate::storage::db::name_cache::{IdsByName, NameCache};
use crate::storage::db::sql::{CHECKPOINT, ColumnType, MOVE_CHECKPOINT, TICK_COLUMNS, tick_column_names};
use crate::storage::db::url::PostgresUrl;
use crate::storage::db::{RowBatch, TickRow};

use connection::{Connection, RequestError, escape, row_checkpoint, unescape};
pub(super) use read::PostgresSource;

/// Transactions that expect duplicates after some were seen: a source that repeats a tick repeats more.
const CAREFUL_COMMITS: u32 = 16;

/// First `n` of a transaction's rows is its number times this. No batch has as many rows.
const N_STEP: i64 = 1 << 24;

/// Open connection.
pub(super) struct PostgresStore {
    connection: Connection,
    writer: String,
    names: NameCache,
    newest_ns: Option<i64>,
    careful_commits_left: u32,
    has_staging: bool,
    /// With TimescaleDB, number of the first chunk that may hold rows within the retention.
    first_chunk: Option<i64>,
}

/// Tick and its row.
type Entry<'a> = (SqlRow, &'a TickRow);

impl PostgresStore {
    /// Opens for a writer with a unique name, and ends earlier connections of the same name.
    pub(super) fn open(url: &PostgresUrl, writer: &str) -> Result<Self, OpenError> {
        let mut connection = Connection::open(url, &format!("tickscope {writer}"))?;
        // A transaction of an earlier connection would keep its locks until the server notices that it is dead.
        let end_earlier = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
             AND application_name = current_setting('application_name') AND usename = current_user";
        let ended = connection.run(async |client| client.batch_execute(end_earlier).await);
        ended.map_err(|error| error.at_open(url))?;
        schema::migrate(&mut connection, url)?;
        let started = connection.run(async |client| {
            client.batch_execute("DELETE FROM writers WHERE changed < now() - interval '30 days'").await?;
            let add =
                "INSERT INTO writers (name, number, written, duplicates) VALUES ($1, 0, 0, 0) ON CONFLICT DO NOTHING";
            client.execute(add, &[&writer]).await?;
            schema::is_hypertable(client).await
        });
        let first_chunk = started.map_err(|error| error.at_open(url))?.then_some(0);
        let (writer, names) = (writer.to_owned(), NameCache::default());
        Ok(Self {
            connection,
            writer,
            names,
            newest_ns: None,
            careful_commits_left: 0,
            has_staging: false,
            first_chunk,
        })
    }

    /// Rows for all ticks, sorted and deduplicated by key, and the number of duplicates.
    ///
    /// Two writers that insert the same rows in different orders would deadlock.
    fn entries<'a>(&mut self, batches: &'a [RowBatch]) -> Result<(Vec<Entry<'a>>, u64), RequestError> {
        self.names.limit_size();
        self.fetch_names(batches)?;
        let (mut entries, mut n) = (Vec::new(), 0);
        for batch in batches {
            let stream = batch.stream.as_deref().and_then(|name| self.names.streams.get(name)).copied();
            let mut rows = RowEncoder::default();
            for tick in &batch.ticks {
                let symbol = *self.names.symbols.get(&tick.symbol).ok_or(RequestError::HiddenName)?;
                let source = tick.source.as_deref().and_then(|name| self.names.sources.get(name)).copied();
                entries.push((rows.encode(tick, NameIds { symbol, source, stream }, n), tick));
                n += 1;
            }
        }
        let count = entries.len();
        entries.sort_unstable_by(|one, other| key(one).cmp(&key(other)).then(one.0.n.cmp(&other.0.n)));
        entries.dedup_by(|next, first| key(next) == key(first) && next.0.origin != 0);
        let duplicates = (count - entries.len()) as u64;
        Ok((entries, duplicates))
    }

    fn fetch_names(&mut self, batches: &[RowBatch]) -> Result<(), RequestError> {
        let Self { connection, names, .. } = self;
        let ticks = || batches.iter().flat_map(|batch| &batch.ticks);
        fetch_names(connection, "symbols", &mut names.symbols, ticks().map(|tick| tick.symbol.as_str()))?;
        fetch_names(connection, "sources", &mut names.sources, ticks().filter_map(|tick| tick.source.as_deref()))?;
        let streams = batches.iter().filter_map(|batch| batch.stream.as_deref());
        fetch_names(connection, "streams", &mut names.streams, streams)
    }

    fn try_commit(&mut self, number: u64, batches: &[RowBatch]) -> Result<CommitCounts, RequestError> {
        let (entries, duplicates) = self.entries(batches)?;
        let checkpoints = checkpoints(batches);
        let checkpoints = checkpoints.into_iter().filter_map(|(name, id)| Some((*self.names.streams.get(name)?, id)));
        let commit = Commit {
            writer: &self.writer,
            number: number.cast_signed(),
            entries: &entries,
            duplicates,
            // Ordered by id, so that two writers update the rows in the same order.
            checkpoints: checkpoints.collect(),
        };
        if self.careful_commits_left == 0 {
            let done = self.connection.run(async |client| commit.run(client.transaction().await?, false).await);
            match done {
                Err(error) if error.is(&SqlState::UNIQUE_VIOLATION) => self.careful_commits_left = CAREFUL_COMMITS,
                done => return done,
            }
        }
        if !self.has_staging {
            let create = "CREATE TEMPORARY TABLE IF NOT EXISTS staging (LIKE ticks) ON COMMIT DELETE ROWS";
            self.connection.run(async |client| client.batch_execute(create).await)?;
            self.has_staging = true;
        }
        let counts = self.connection.run(async |client| commit.run(client.transaction().await?, true).await)?;
        self.careful_commits_left =
            if counts.duplicates > duplicates { CAREFUL_COMMITS } else { self.careful_commits_left - 1 };
        Ok(counts)
    }

    fn try_prune(&mut self, keep_age_ns: i64) -> Result<bool, RequestError> {
        if self.newest_ns.is_none() {
            self.newest_ns = read::time_range(&mut self.connection)?.map(|(_, newest_ns)| newest_ns);
        }
        let Some(before_ns) = prune_before(self.newest_ns, keep_age_ns, Timestamp::now()) else { return Ok(false) };
        let chunk = before_ns.div_euclid(schema::CHUNK_NS);
        if self.first_chunk.is_some_and(|first| first < chunk) {
            // Dropping a chunk costs as much as removing a file, and leaves no empty chunk to scan.
            let dropped = self.connection.run(async |client| {
                let transaction = client.transaction().await?;
                // Dropping waits for readers of the old chunks, and the next commit would wait for it.
                transaction.batch_execute("SET LOCAL lock_timeout = '500ms'").await?;
                transaction.query("SELECT drop_chunks('ticks', older_than => $1::bigint)", &[&before_ns]).await?;
                transaction.commit().await
            });
            match dropped {
                Err(error) if error.is(&SqlState::LOCK_NOT_AVAILABLE) => return Ok(false),
                dropped => dropped?,
            }
            self.first_chunk = Some(chunk);
        }
        self.connection.run(async |client| {
            let old = "SELECT id FROM symbols WHERE EXISTS (SELECT 1 FROM ticks WHERE symbol_id = id AND time_ns < $1)";
            let delete = "DELETE FROM ticks WHERE symbol_id = $1 AND time_ns <= (SELECT max(time_ns) FROM \
                 (SELECT time_ns FROM ticks WHERE symbol_id = $1 AND time_ns < $2 ORDER BY time_ns LIMIT $3) AS old)";
            let mut limit = PRUNE_ROWS as i64;
            for row in client.query(old, &[&before_ns]).await? {
                let symbol_id: i32 = row.try_get(0)?;
                limit -= client.execute(delete, &[&symbol_id, &before_ns, &limit]).await?.cast_signed();
                if limit <= 0 {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}

/// Key of a row. Finite prices compare equal exactly if the database finds them equal.
fn key((row, tick): &Entry<'_>) -> (i32, i64, i32, i64, i64, i32, i64) {
    // -0 and 0 are the same price. Any total order serves.
    let price = if tick.price == 0.0 { 0 } else { tick.price.to_bits().cast_signed() };
    (row.symbol_id, tick.time_ns, row.origin, row.major, row.minor, row.part, price)
}

/// Adds the ids of all `names` to the cache. Names that the table lacks are inserted.
fn fetch_names<'a>(
    connection: &mut Connection,
    table: &str,
    ids: &mut IdsByName,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), RequestError> {
    let mut unknown: Vec<String> =
        names.filter(|name| !ids.contains_key(*name)).map(|name| escape(name).into_owned()).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    // Sorted, so that two writers with the same new names do not deadlock.
    unknown.sort_unstable();
    unknown.dedup();
    let rows = connection.run(async |client| {
        let find = format!("SELECT name, id FROM {table} WHERE name = ANY($1)");
        let mut rows = client.query(&find, &[&unknown]).await?;
        if rows.len() < unknown.len() {
            let add = format!("INSERT INTO {table} (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING");
            client.execute(&add, &[&unknown]).await?;
            rows = client.query(&find, &[&unknown]).await?;
        }
        rows.iter().map(|row| Ok((unescape(row.try_get(0)?).into(), row.try_get(1)?))).collect::<Result<Vec<_>, _>>()
    })?;
    ids.extend(rows);
    Ok(())
}

/// Work of one transaction.
struct Commit<'a> {
    writer: &'a str,
    number: i64,
    entries: &'a [Entry<'a>],
    /// Duplicates that are not in `entries`.
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
        let duplicates = self.duplicates + self.entries.len() as u64 - written;
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
        if self.entries.is_empty() {
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
        for (row, tick) in self.entries {
            let n = first_n.wrapping_add(row.n);
            // A row without identity is unique by its position.
            let major = if row.origin == 0 { n } else { row.major };
            let (id_ms, id_seq) = row.id.unzip();
            writer
                .as_mut()
                .write(&[
                    &row.symbol_id,
                    &tick.time_ns,
                    &row.origin,
                    &major,
                    &row.minor,
                    &row.part,
                    &tick.price,
                    &n,
                    &tick.size,
                    &row.source_id,
                    &row.seq,
                    &row.stream_id,
                    &id_ms,
                    &id_seq,
                    &flags(tick),
                ])
                .await?;
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
async fn move_checkpoint(transaction: &Transaction<'_>, stream_id: i32, reached: StreamId) -> Result<(), Error> {
    let find = "SELECT id_ms, id_seq FROM streams WHERE id = $1 FOR UPDATE";
    let known = transaction.query_opt(find, &[&stream_id]).await?;
    let known = known.map(|row| row_checkpoint(&row)).transpose()?.flatten();
    if known.is_none_or(|known| known < reached) {
        let (ms, seq) = (reached.ms.cast_signed(), reached.seq.cast_signed());
        transaction.execute(MOVE_CHECKPOINT, &[&ms, &seq, &stream_id]).await?;
    }
    Ok(())
}

impl TickStore for PostgresStore {
    fn commit(&mut self, number: u64, batches: &[RowBatch]) -> Result<CommitCounts, StoreError> {
        let counts = self.try_commit(number, batches)?;
        self.newest_ns = newest_ns(self.newest_ns, batches);
        Ok(counts)
    }

    fn checkpoint(&mut self, stream: &str) -> Result<Option<StreamId>, StoreError> {
        let name = escape(stream);
        let found = self.connection.run(async |client| {
            let row = client.query_opt(CHECKPOINT, &[&name]).await?;
            row.map(|row| row_checkpoint(&row)).transpose()
        });
        Ok(found?.flatten())
    }

    fn prune(&mut self, keep_age_ns: i64) -> Result<bool, StoreError> {
        Ok(self.try_prune(keep_age_ns)?)
    }
}

impl From<RequestError> for StoreError {
    fn from(error: RequestError) -> Self {
        let lost_race = [
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
            // Another writer committed the same row between the lookup and the COPY; the next lookup finds it.
            SqlState::UNIQUE_VIOLATION,
        ];
        let is_race = lost_race.iter().any(|state| error.is(state));
        let retry = if is_race { RetryPolicy::Immediate } else { RetryPolicy::Reopen };
        Self { cause: error.cause(), retry }
    }
}
