//! The store in one file.

mod named;
mod read;
mod schema;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Statement, TransactionBehavior, params};

use crate::model::{StreamId, Timestamp};

use crate::storage::db::backend::{
    Backend, Numbers, OpenError, PRUNE_ROWS, Remedy, Row, RowMaker, Tally, Trouble, flags, old_before,
};
use crate::storage::db::names::{Directory, Names};
use crate::storage::db::url::display_path;
use crate::storage::db::{DbError, RowBatch, TickRow};

use named::NamedFile;
pub(super) use read::SqliteSource;

/// How long another writer of the same file may take before this one says so: its transactions take a fraction.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Pages kept in memory, KiB: the ends of the indices of some thousand symbols.
const CACHE_KIB: i32 = 32 * 1_024;

/// Of a new file. Rows of many symbols go into as many places of the tree, and pages twice as large as usual split half
/// as often.
const PAGE_BYTES: i32 = 8_192;

/// Pages of the write-ahead log after which they move into the file: 16 MB, so that a page that many transactions touch
/// moves once.
const CHECKPOINT_PAGES: i32 = 2_000;

/// Most bytes of the log that stay on disk when it is empty.
const LOG_BYTES_MAX: i64 = 64 << 20;

const INSERT: &str = "INSERT OR IGNORE INTO ticks \
    (symbol_id, time_ns, origin, major, minor, part, price, n, size, source_id, seq, stream_id, id_ms, id_seq, flags) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

/// An open file.
pub(super) struct SqliteStore {
    connection: Connection,
    /// Where it was found.
    file: NamedFile,
    names: Directory,
    /// Highest time of any row; `None` until asked for.
    newest_ns: Option<i64>,
    /// The last symbol of the retention's round.
    prune_at: i64,
}

/// A path that SQLite takes for the name of a file, whatever it looks like: not for memory, nor for an address.
fn as_file(path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) }
}

/// The code and the words of an error; the words name tables and columns, never data.
fn cause(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => "the disk is full".to_owned(),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => "another program holds the file".to_owned(),
            _ => error.to_string(),
        },
        _ => error.to_string(),
    }
}

fn trouble(error: &rusqlite::Error) -> Trouble {
    let remedy = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull | ErrorCode::OutOfMemory) => {
            Remedy::Wait
        }
        _ => Remedy::Reopen,
    };
    Trouble { cause: cause(error), remedy }
}

fn open_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    let store = display_path(path);
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Final(DbError::Foreign { store, cause: cause(error) })
        }
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            OpenError::Final(DbError::Open { store, cause: cause(error) })
        }
        _ => OpenError::Away(cause(error)),
    }
}

impl SqliteStore {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |error| open_error(path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(as_file(path), flags).map_err(failed)?;
        // It is there by now, though it may still be empty.
        let file = NamedFile::note(as_file(path));
        connection.busy_timeout(BUSY_WAIT).map_err(failed)?;
        schema::check(&connection, path)?;
        connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(failed)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(failed)?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(failed)?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX).map_err(failed)?;
        schema::migrate(&mut connection, path)?;
        Ok(Self { connection, file, names: Directory::default(), newest_ns: None, prune_at: i64::MIN })
    }

    /// What is written to a file that has lost its name is lost with it, and SQLite does not mind.
    fn check_name(&self) -> Result<(), Trouble> {
        if !self.file.is_lost() {
            return Ok(());
        }
        // A file that only has another name gets what it still lacks. And the log keeps its name: it must not be taken
        // for that of the next file.
        self.empty_log();
        let cause = "the file was moved or removed while it was open".to_owned();
        Err(Trouble { cause, remedy: Remedy::Reopen })
    }

    /// Moves what is in the log into the file, as far as that can be done.
    fn empty_log(&self) {
        let _ = self.connection.pragma(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()));
    }

    fn try_commit(&mut self, batches: &[RowBatch]) -> rusqlite::Result<(Tally, i64)> {
        self.names.make_room();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (mut tally, mut newest_ns) = (Tally::default(), i64::MIN);
        // Other writers wait for this transaction, so nobody else takes the same numbers.
        let mut n: i64 = transaction.query_row("SELECT value FROM meta WHERE key = 'next_n'", [], |row| row.get(0))?;
        let mut entries = Vec::with_capacity(batches.iter().map(|batch| batch.ticks.len()).sum());
        for batch in batches {
            let stream = batch.stream.as_deref();
            let stream_id = find_or_add(&transaction, "streams", &mut self.names.streams, stream)?;
            let mut rows = RowMaker::new();
            for tick in &batch.ticks {
                let symbol = number(&transaction, "symbols", &mut self.names.symbols, &tick.symbol)?;
                let source = find_or_add(&transaction, "sources", &mut self.names.sources, tick.source.as_deref())?;
                entries.push((rows.row(tick, Numbers { symbol, source, stream: stream_id }, n), tick));
                n += 1;
                newest_ns = newest_ns.max(tick.time_ns);
            }
            if let (Some(stream_id), Some(reached)) = (stream_id, batch.checkpoint) {
                move_checkpoint(&transaction, stream_id, reached)?;
            }
        }
        tally.written = insert_all(&transaction, &entries)?;
        tally.duplicates = entries.len() as u64 - tally.written;
        transaction.execute("UPDATE meta SET value = ?1 WHERE key = 'next_n'", [n])?;
        transaction.commit()?;
        Ok((tally, newest_ns))
    }

    fn newest_ns(&mut self) -> rusqlite::Result<Option<i64>> {
        if self.newest_ns.is_none() {
            self.newest_ns = read::span(&self.connection)?.map(|(_, newest_ns)| newest_ns);
        }
        Ok(self.newest_ns)
    }

    fn try_prune(&mut self, keep_age_ns: i64) -> rusqlite::Result<bool> {
        let Some(before_ns) = old_before(self.newest_ns()?, keep_age_ns, Timestamp::now()) else {
            return Ok(false);
        };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut deleted = 0;
        {
            let mut next = transaction.prepare("SELECT min(id) FROM symbols WHERE id > ?1")?;
            // The time up to which about as many rows go as may; rows of one time go together.
            let mut bound = transaction.prepare(
                "SELECT max(time_ns) FROM (SELECT time_ns FROM ticks WHERE symbol_id = ?1 AND time_ns < ?2 \
                 ORDER BY time_ns LIMIT ?3)",
            )?;
            let mut delete = transaction.prepare("DELETE FROM ticks WHERE symbol_id = ?1 AND time_ns <= ?2")?;
            while deleted < PRUNE_ROWS {
                let Some(symbol_id) = next.query_row([self.prune_at], |row| row.get::<_, Option<i64>>(0))? else {
                    // The round is over; the next one begins with the next call.
                    self.prune_at = i64::MIN;
                    break;
                };
                let room = (PRUNE_ROWS - deleted) as i64;
                let last_ns: Option<i64> = bound.query_row(params![symbol_id, before_ns, room], |row| row.get(0))?;
                if let Some(last_ns) = last_ns {
                    deleted += delete.execute([symbol_id, last_ns])?;
                }
                if deleted < PRUNE_ROWS {
                    self.prune_at = symbol_id;
                }
            }
        }
        transaction.commit()?;
        Ok(deleted >= PRUNE_ROWS)
    }
}

/// Inserts rows in the order of the table, so that those which share a page come one after the other; how many are new.
fn insert_all(connection: &Connection, entries: &[(Row, &TickRow)]) -> rusqlite::Result<u64> {
    // Of rows that are the same, the first to arrive stays.
    let mut order: Vec<(i32, i64, usize)> =
        entries.iter().enumerate().map(|(at, (row, tick))| (row.symbol_id, tick.time_ns, at)).collect();
    order.sort_unstable();
    let mut insert = connection.prepare(INSERT)?;
    let mut written = 0;
    for (_, _, at) in order {
        let (row, tick) = &entries[at];
        written += insert_row(&mut insert, tick, row)?;
    }
    Ok(written)
}

/// How many rows are new: one or none.
fn insert_row(insert: &mut Statement<'_>, tick: &TickRow, row: &Row) -> rusqlite::Result<u64> {
    insert.raw_bind_parameter(1, row.symbol_id)?;
    insert.raw_bind_parameter(2, tick.time_ns)?;
    insert.raw_bind_parameter(3, row.origin)?;
    insert.raw_bind_parameter(4, row.major)?;
    insert.raw_bind_parameter(5, row.minor)?;
    insert.raw_bind_parameter(6, row.part)?;
    insert.raw_bind_parameter(7, tick.price)?;
    insert.raw_bind_parameter(8, row.n)?;
    insert.raw_bind_parameter(9, tick.size)?;
    insert.raw_bind_parameter(10, row.source_id)?;
    insert.raw_bind_parameter(11, row.seq)?;
    insert.raw_bind_parameter(12, row.stream_id)?;
    insert.raw_bind_parameter(13, row.id.map(|(ms, _)| ms))?;
    insert.raw_bind_parameter(14, row.id.map(|(_, seq)| seq))?;
    insert.raw_bind_parameter(15, flags(tick))?;
    Ok(insert.raw_execute()?.min(1) as u64)
}

/// The number that stands for a name; a new one where it has none yet.
fn number(connection: &Connection, table: &str, names: &mut Names, name: &str) -> rusqlite::Result<i32> {
    if let Some(number) = names.get(name) {
        return Ok(number);
    }
    let mut add = connection.prepare(&format!("INSERT OR IGNORE INTO {table} (name) VALUES (?1)"))?;
    add.execute([name])?;
    let mut find = connection.prepare(&format!("SELECT id FROM {table} WHERE name = ?1"))?;
    let number = find.query_row([name], |row| row.get(0))?;
    names.put(name, number);
    Ok(number)
}

fn find_or_add(
    connection: &Connection,
    table: &str,
    names: &mut Names,
    name: Option<&str>,
) -> rusqlite::Result<Option<i32>> {
    name.map(|name| number(connection, table, names, name)).transpose()
}

fn move_checkpoint(connection: &Connection, stream_id: i32, reached: StreamId) -> rusqlite::Result<()> {
    let mut find = connection.prepare("SELECT id_ms, id_seq FROM streams WHERE id = ?1")?;
    let known = find.query_row([stream_id], stream_position)?;
    if known.is_none_or(|known| known < reached) {
        let mut update = connection.prepare("UPDATE streams SET id_ms = ?2, id_seq = ?3 WHERE id = ?1")?;
        update.execute(params![stream_id, reached.ms.cast_signed(), reached.seq.cast_signed()])?;
    }
    Ok(())
}

fn stream_position(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<StreamId>> {
    let (ms, seq): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
    Ok(ms.zip(seq).map(|(ms, seq)| StreamId { ms: ms.cast_unsigned(), seq: seq.cast_unsigned() }))
}

impl Backend for SqliteStore {
    fn commit(&mut self, _number: u64, batches: &[RowBatch]) -> Result<Tally, Trouble> {
        self.check_name()?;
        match self.try_commit(batches) {
            Ok((tally, newest_ns)) => {
                // The file may have gone in the meantime.
                self.check_name()?;
                self.newest_ns = self.newest_ns.map(|known| known.max(newest_ns));
                Ok(tally)
            }
            Err(error) => {
                // Numbers that were given within the transaction are gone with it.
                self.names = Directory::default();
                if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
                    // What is in the log may find its place in the file; then the log gives its room back.
                    self.empty_log();
                }
                Err(trouble(&error))
            }
        }
    }

    fn checkpoint(&mut self, stream: &str) -> Result<Option<StreamId>, Trouble> {
        self.check_name()?;
        let mut find = self
            .connection
            .prepare("SELECT id_ms, id_seq FROM streams WHERE name = ?1")
            .map_err(|error| trouble(&error))?;
        let found = find.query_row([stream], stream_position).optional().map_err(|error| trouble(&error))?;
        Ok(found.flatten())
    }

    fn prune(&mut self, keep_age_ns: i64) -> Result<bool, Trouble> {
        self.try_prune(keep_age_ns).map_err(|error| trouble(&error))
    }
}
