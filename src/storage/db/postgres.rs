//! The store on a server.
//!
//! Rows travel as binary COPY, straight into `ticks`. A row that is there already makes the whole COPY fail; then the
//! same rows go through a table of the session's own, from where those that are new are taken over. That way is
//! slower, so it is gone only where duplicates come.

mod link;
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
    Backend, Numbers, OpenError, PRUNE_ROWS, Remedy, Row, RowMaker, Tally, Trouble, flags, old_before,
};
use crate::storage::db::names::{Directory, Names};
use crate::storage::db::url::PostgresUrl;
use crate::storage::db::{RowBatch, TickRow};
use link::{Failure, Link, escape};

pub(super) use read::PostgresSource;

/// Transactions that take the slower way after duplicates were met: who sends one twice sends more.
const CAREFUL_COMMITS: u32 = 16;

/// A transaction's number, times this, is the first `n` of its rows. More rows than a batch can hold.
const N_STEP: i64 = 1 << 24;

/// The columns of `ticks` in the order in which they are written.
const COLUMNS: &str =
    "time_ns, major, minor, price, n, size, seq, id_ms, id_seq, symbol_id, origin, part, source_id, stream_id, flags";

const TYPES: [Type; 15] = [
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::FLOAT8,
    Type::INT8,
    Type::FLOAT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT4,
    Type::INT4,
    Type::INT4,
    Type::INT4,
    Type::INT4,
    Type::INT2,
];

/// An open connection.
pub(super) struct PostgresStore {
    link: Link,
    writer: String,
    names: Directory,
    newest_ns: Option<i64>,
    careful: u32,
    has_staging: bool,
    /// With TimescaleDB: the number of the first chunk that may hold rows which are still wanted.
    first_chunk: Option<i64>,
}

/// A tick and its row, to be sorted.
type Entry<'a> = (Row, &'a TickRow);

impl PostgresStore {
    /// Opens for a writer, whose name no other one has: what an earlier connection of it left undone is undone.
    pub(super) fn open(url: &PostgresUrl, writer: &str) -> Result<Self, OpenError> {
        let mut link = Link::open(url, &format!("tickscope {writer}"))?;
        // A transaction of ours that the server still holds open would keep its locks until the server notices.
        let end_former = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
             AND application_name = current_setting('application_name') AND usename = current_user";
        let ended = link.run(async |client| client.batch_execute(end_former).await);
        ended.map_err(|failure| failure.at_open(url))?;
        schema::migrate(&mut link, url)?;
        let started = link.run(async |client| {
            // Names of writers that are long gone serve nobody.
            client.batch_execute("DELETE FROM writers WHERE changed < now() - interval '30 days'").await?;
            let add =
                "INSERT INTO writers (name, number, written, duplicates) VALUES ($1, 0, 0, 0) ON CONFLICT DO NOTHING";
            client.execute(add, &[&writer]).await?;
            schema::is_hypertable(client).await
        });
        let first_chunk = started.map_err(|failure| failure.at_open(url))?.then_some(0);
        let (writer, names) = (writer.to_owned(), Directory::default());
        Ok(Self { link, writer, names, newest_ns: None, careful: 0, has_staging: false, first_chunk })
    }

    /// Rows for all ticks, sorted by their key, each key once; and how many came twice.
    ///
    /// Sorted, because two writers that have the same rows in another order would each wait for the other.
    fn entries<'a>(&mut self, batches: &'a [RowBatch]) -> Result<(Vec<Entry<'a>>, u64), Failure> {
        self.names.make_room();
        self.learn(batches)?;
        let (mut entries, mut n) = (Vec::new(), 0);
        for batch in batches {
            let stream = batch.stream.as_deref().and_then(|name| self.names.streams.get(name));
            let mut rows = RowMaker::new();
            for tick in &batch.ticks {
                let symbol = self.names.symbols.get(&tick.symbol).ok_or(Failure::NoNumber)?;
                let source = tick.source.as_deref().and_then(|name| self.names.sources.get(name));
                entries.push((rows.row(tick, Numbers { symbol, source, stream }, n), tick));
                n += 1;
            }
        }
        let count = entries.len();
        entries.sort_unstable_by(|one, other| key(one).cmp(&key(other)).then(one.0.n.cmp(&other.0.n)));
        entries.dedup_by(|next, first| key(next) == key(first) && next.0.origin != 0);
        let twice = (count - entries.len()) as u64;
        Ok((entries, twice))
    }

    /// Asks for the numbers of all names that are not known yet.
    fn learn(&mut self, batches: &[RowBatch]) -> Result<(), Failure> {
        let Self { link, names, .. } = self;
        let ticks = || batches.iter().flat_map(|batch| &batch.ticks);
        learn(link, "symbols", &mut names.symbols, ticks().map(|tick| tick.symbol.as_str()))?;
        learn(link, "sources", &mut names.sources, ticks().filter_map(|tick| tick.source.as_deref()))?;
        learn(link, "streams", &mut names.streams, batches.iter().filter_map(|batch| batch.stream.as_deref()))
    }

    fn try_commit(&mut self, number: u64, batches: &[RowBatch]) -> Result<Tally, Failure> {
        let (entries, twice) = self.entries(batches)?;
        let mut reached = BTreeMap::new();
        for batch in batches {
            let stream_id = batch.stream.as_deref().and_then(|name| self.names.streams.get(name));
            if let Some((stream_id, checkpoint)) = stream_id.zip(batch.checkpoint) {
                let known = reached.entry(stream_id).or_insert(checkpoint);
                *known = checkpoint.max(*known);
            }
        }
        let plan = Plan { writer: &self.writer, number: number.cast_signed(), entries: &entries, twice, reached };
        if self.careful == 0 {
            let done = self.link.run(async |client| plan.commit(client.transaction().await?, false).await);
            match done {
                Err(failure) if failure.is(&SqlState::UNIQUE_VIOLATION) => self.careful = CAREFUL_COMMITS,
                done => return done,
            }
        }
        if !self.has_staging {
            let create = "CREATE TEMPORARY TABLE IF NOT EXISTS staging (LIKE ticks) ON COMMIT DELETE ROWS";
            self.link.run(async |client| client.batch_execute(create).await)?;
            self.has_staging = true;
        }
        let tally = self.link.run(async |client| plan.commit(client.transaction().await?, true).await)?;
        self.careful = if tally.duplicates > twice { CAREFUL_COMMITS } else { self.careful - 1 };
        Ok(tally)
    }

    fn try_prune(&mut self, keep_age_ns: i64) -> Result<bool, Failure> {
        if self.newest_ns.is_none() {
            self.newest_ns = read::span(&mut self.link)?.map(|(_, newest_ns)| newest_ns);
        }
        let Some(before_ns) = old_before(self.newest_ns, keep_age_ns, Timestamp::now()) else {
            return Ok(false);
        };
        let chunk = before_ns.div_euclid(schema::CHUNK_NS);
        if self.first_chunk.is_some_and(|first| first < chunk) {
            // Whole days go at once, at the cost of a file's removal, and leave no empty chunks to look through.
            let dropped = self.link.run(async |client| {
                let transaction = client.transaction().await?;
                // It waits for those who read the old days, and the next commit would wait for it.
                transaction.batch_execute("SET LOCAL lock_timeout = '500ms'").await?;
                transaction.query("SELECT drop_chunks('ticks', older_than => $1::bigint)", &[&before_ns]).await?;
                transaction.commit().await
            });
            match dropped {
                Err(failure) if failure.is(&SqlState::LOCK_NOT_AVAILABLE) => return Ok(false),
                dropped => dropped?,
            }
            self.first_chunk = Some(chunk);
        }
        self.link.run(async |client| {
            let old = "SELECT id FROM symbols WHERE EXISTS (SELECT 1 FROM ticks WHERE symbol_id = id AND time_ns < $1)";
            let delete = "DELETE FROM ticks WHERE symbol_id = $1 AND time_ns <= (SELECT max(time_ns) FROM \
                 (SELECT time_ns FROM ticks WHERE symbol_id = $1 AND time_ns < $2 ORDER BY time_ns LIMIT $3) AS old)";
            let mut room = PRUNE_ROWS as i64;
            for row in client.query(old, &[&before_ns]).await? {
                let symbol_id: i32 = row.try_get(0)?;
                room -= client.execute(delete, &[&symbol_id, &before_ns, &room]).await?.cast_signed();
                if room <= 0 {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}

/// What makes a row one of a kind; finite prices compare as their numbers do.
fn key((row, tick): &Entry<'_>) -> (i32, i64, i32, i64, i64, i32, i64) {
    // Both zeros are one price. Any order serves, as long as it is always the same.
    let price = if tick.price == 0.0 { 0 } else { tick.price.to_bits().cast_signed() };
    (row.symbol_id, tick.time_ns, row.origin, row.major, row.minor, row.part, price)
}

fn learn<'a>(
    link: &mut Link,
    table: &str,
    names: &mut Names,
    wanted: impl Iterator<Item = &'a str>,
) -> Result<(), Failure> {
    let mut unknown: Vec<String> =
        wanted.filter(|name| names.get(name).is_none()).map(|name| escape(name).into_owned()).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    // In order: two writers with the same new names do not wait for each other.
    unknown.sort_unstable();
    unknown.dedup();
    let rows = link.run(async |client| {
        let find = format!("SELECT name, id FROM {table} WHERE name = ANY($1)");
        let mut rows = client.query(&find, &[&unknown]).await?;
        if rows.len() < unknown.len() {
            let add = format!("INSERT INTO {table} (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING");
            client.execute(&add, &[&unknown]).await?;
            rows = client.query(&find, &[&unknown]).await?;
        }
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<Vec<(String, i32)>, Error>>()
    })?;
    for (name, number) in rows {
        names.put(&link::unescape(&name), number);
    }
    Ok(())
}

/// What one transaction is to do.
struct Plan<'a> {
    writer: &'a str,
    number: i64,
    entries: &'a [Entry<'a>],
    twice: u64,
    reached: BTreeMap<i32, StreamId>,
}

impl Plan<'_> {
    async fn commit(&self, transaction: Transaction<'_>, careful: bool) -> Result<Tally, Error> {
        // The lock keeps this waiting while an earlier attempt of ours is still being decided.
        let find = "SELECT number, written, duplicates FROM writers WHERE name = $1 FOR UPDATE";
        if let Some(row) = transaction.query_opt(find, &[&self.writer]).await?
            && row.try_get::<_, i64>(0)? >= self.number
        {
            // It went through, and only its answer was lost.
            let (written, duplicates): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
            return Ok(Tally { written: written.cast_unsigned(), duplicates: duplicates.cast_unsigned() });
        }
        let n: i64 = transaction.query_one("SELECT nextval('ticks_n')", &[]).await?.try_get(0)?;
        let written = self.write(&transaction, n.wrapping_mul(N_STEP), careful).await?;
        let duplicates = self.twice + self.entries.len() as u64 - written;
        for (stream_id, reached) in &self.reached {
            move_checkpoint(&transaction, *stream_id, *reached).await?;
        }
        let note = "INSERT INTO writers (name, number, written, duplicates) VALUES ($1, $2, $3, $4) ON CONFLICT (name) \
             DO UPDATE SET number = $2, written = $3, duplicates = $4, changed = now()";
        let counts = (written.cast_signed(), duplicates.cast_signed());
        transaction.execute(note, &[&self.writer, &self.number, &counts.0, &counts.1]).await?;
        transaction.commit().await?;
        Ok(Tally { written, duplicates })
    }

    /// How many rows are new.
    async fn write(&self, transaction: &Transaction<'_>, first_n: i64, careful: bool) -> Result<u64, Error> {
        if self.entries.is_empty() {
            return Ok(0);
        }
        let table = if careful { "staging" } else { "ticks" };
        let sink = transaction.copy_in(&format!("COPY {table} ({COLUMNS}) FROM STDIN BINARY")).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
        for (row, tick) in self.entries {
            let n = first_n.wrapping_add(row.n);
            // Nothing makes a row without a key one of a kind but its place.
            let major = if row.origin == 0 { n } else { row.major };
            let (id_ms, id_seq) = row.id.unzip();
            writer
                .as_mut()
                .write(&[
                    &tick.time_ns,
                    &major,
                    &row.minor,
                    &tick.price,
                    &n,
                    &tick.size,
                    &row.seq,
                    &id_ms,
                    &id_seq,
                    &row.symbol_id,
                    &row.origin,
                    &row.part,
                    &row.source_id,
                    &row.stream_id,
                    &flags(tick),
                ])
                .await?;
        }
        let copied = writer.finish().await?;
        if !careful {
            return Ok(copied);
        }
        let take = format!("INSERT INTO ticks ({COLUMNS}) SELECT {COLUMNS} FROM staging ON CONFLICT DO NOTHING");
        transaction.execute(&take, &[]).await
    }
}

async fn move_checkpoint(transaction: &Transaction<'_>, stream_id: i32, reached: StreamId) -> Result<(), Error> {
    let find = "SELECT id_ms, id_seq FROM streams WHERE id = $1 FOR UPDATE";
    let known = transaction.query_opt(find, &[&stream_id]).await?;
    let known = known.map(|row| link::stream_position(&row)).transpose()?.flatten();
    if known.is_none_or(|known| known < reached) {
        let update = "UPDATE streams SET id_ms = $2, id_seq = $3 WHERE id = $1";
        transaction.execute(update, &[&stream_id, &reached.ms.cast_signed(), &reached.seq.cast_signed()]).await?;
    }
    Ok(())
}

impl Backend for PostgresStore {
    fn commit(&mut self, number: u64, batches: &[RowBatch]) -> Result<Tally, Trouble> {
        let tally = self.try_commit(number, batches)?;
        let times = batches.iter().flat_map(|batch| &batch.ticks).map(|tick| tick.time_ns);
        self.newest_ns = self.newest_ns.map(|known| times.fold(known, i64::max));
        Ok(tally)
    }

    fn checkpoint(&mut self, stream: &str) -> Result<Option<StreamId>, Trouble> {
        let name = escape(stream);
        let found = self.link.run(async |client| {
            let row = client.query_opt("SELECT id_ms, id_seq FROM streams WHERE name = $1", &[&name]).await?;
            row.map(|row| link::stream_position(&row)).transpose()
        });
        Ok(found?.flatten())
    }

    fn prune(&mut self, keep_age_ns: i64) -> Result<bool, Trouble> {
        Ok(self.try_prune(keep_age_ns)?)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let lost_a_race = failure.is(&SqlState::T_R_DEADLOCK_DETECTED)
            || failure.is(&SqlState::T_R_SERIALIZATION_FAILURE)
            // Another writer committed the same row between the look and the COPY; the next look finds it.
            || failure.is(&SqlState::UNIQUE_VIOLATION);
        let remedy = if lost_a_race { Remedy::Again } else { Remedy::Reopen };
        Self { cause: failure.cause(), remedy }
    }
}
