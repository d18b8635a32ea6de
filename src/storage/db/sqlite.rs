//! SQLite: a store in one file.

mod file_identity;
mod read;
mod schema;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Statement, TransactionBehavior, params};

use crate::model::{StreamId, Timestamp};
use crate::storage::db::backend::{
    CommitCounts, NameIds, OpenError, PRUNE_ROWS, RetryPolicy, RowEncoder, SqlRow, StoreError, TickStore, checkpoints,
    flags, newest_ns, prune_before, stream_id,
};
use crate::storage::db::name_cache::{IdsByName, NameCache};
use crate::storage::db::sql::{CHECKPOINT, MOVE_CHECKPOINT, TICK_COLUMNS, tick_column_names};
use crate::storage::db::url::display_path;
use crate::storage::db::{DbError, RowBatch, TickRow};

use file_identity::FileIdentity;
pub(super) use read::SqliteSource;

/// Longest wait for another writer of the same file, whose transactions take a fraction of it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Page cache in KiB: the right-most index pages of some thousand symbols.
const CACHE_KIB: i32 = 32 * 1_024;

/// Page size of a new file, twice the default: rows of many symbols go to as many places of the tree, and larger pages
/// split half as often.
const PAGE_BYTES: i32 = 8_192;

/// Pages of the write-ahead log before a checkpoint: 16 MB, so that a page that many transactions touch is copied once.
const CHECKPOINT_PAGES: i32 = 2_000;

/// Most bytes of the write-ahead log that stay on disk when it is empty.
const LOG_BYTES_MAX: i64 = 64 << 20;

/// Open file.
pub(super) struct SqliteStore {
    connection: Connection,
    file: FileIdentity,
    names: NameCache,
    /// Highest time of any row; `None` until it is needed.
    newest_ns: Option<i64>,
    /// Last symbol that the current round of the retention has visited.
    pruned_symbol: i64,
}

/// Path that SQLite takes for a file name even if it looks like `:memory:` or a URI.
fn as_file(path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) }
}

/// Code and text of an error; the text names tables and columns, never data.
fn cause(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program holds the file".to_owned(),
        _ => error.to_string(),
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let retry = match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull | ErrorCode::OutOfMemory,
            ) => RetryPolicy::Backoff,
            _ => RetryPolicy::Reopen,
        };
        Self { cause: cause(&error), retry }
    }
}

fn open_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    let (store, cause) = (display_path(path), cause(error));
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Permanent(DbError::Foreign { store, cause })
        }
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            OpenError::Permanent(DbError::Open { store, cause })
        }
        _ => OpenError::Temporary(cause),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(as_file(path), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)
}

impl SqliteStore {
    /// Opens or creates a file and migrates its schema.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |error| open_error(path, &error);
        let mut connection = connect(path).map_err(failed)?;
        // The file exists by now, though it may still be empty.
        let file = FileIdentity::record(as_file(path));
        schema::check(&connection, path)?;
        configure(&connection).map_err(failed)?;
        schema::migrate(&mut connection, path)?;
        Ok(Self { connection, file, names: NameCache::default(), newest_ns: None, pruned_symbol: i64::MIN })
    }

    /// Detects a file that was moved or removed. SQLite reports no error, and what is written to it is lost.
    fn check_file(&self) -> Result<(), StoreError> {
        if !self.file.is_lost() {
            return Ok(());
        }
        // A file that was only renamed receives the rows that are still in its log. The log keeps its name, so it must
        // be emptied, or SQLite would apply it to the next file.
        self.truncate_log();
        let cause = "the file was moved or removed while it was open".to_owned();
        Err(StoreError { cause, retry: RetryPolicy::Reopen })
    }

    /// Copies the write-ahead log into the file, as far as possible.
    fn truncate_log(&self) {
        let _ = self.connection.pragma(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()));
    }

    fn try_commit(&mut self, batches: &[RowBatch]) -> rusqlite::Result<CommitCounts> {
        self.names.limit_size();
        let names = &mut self.names;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // The transaction excludes other writers, so `n` is unique.
        let mut n: i64 = transaction.query_row("SELECT value FROM meta WHERE key = 'next_n'", [], |row| row.get(0))?;
        let mut entries = Vec::with_capacity(batches.iter().map(|batch| batch.ticks.len()).sum());
        for batch in batches {
            let name_id = |table, ids: &mut IdsByName, name: &str| name_id(&transaction, table, ids, name);
            let stream = batch.stream.as_deref();
            let stream = stream.map(|name| name_id("streams", &mut names.streams, name)).transpose()?;
            let mut rows = RowEncoder::default();
            for tick in &batch.ticks {
                let symbol = name_id("symbols", &mut names.symbols, &tick.symbol)?;
                let source = tick.source.as_deref();
                let source = source.map(|name| name_id("sources", &mut names.sources, name)).transpose()?;
                entries.push((rows.encode(tick, NameIds { symbol, source, stream }, n), tick));
                n += 1;
            }
        }
        for (stream, id) in checkpoints(batches) {
            move_checkpoint(&transaction, stream, name_id(&transaction, "streams", &mut names.streams, stream)?, id)?;
        }
        let written = insert_all(&transaction, &entries)?;
        transaction.execute("UPDATE meta SET value = ?1 WHERE key = 'next_n'", [n])?;
        transaction.commit()?;
        Ok(CommitCounts { written, duplicates: entries.len() as u64 - written })
    }

    fn try_prune(&mut self, keep_age_ns: i64) -> rusqlite::Result<bool> {
        if self.newest_ns.is_none() {
            self.newest_ns = read::time_range(&self.connection)?.map(|(_, newest_ns)| newest_ns);
        }
        let Some(before_ns) = prune_before(self.newest_ns, keep_age_ns, Timestamp::now()) else { return Ok(false) };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut deleted = 0;
        {
            let mut next = transaction.prepare("SELECT min(id) FROM symbols WHERE id > ?1")?;
            // Time up to which about as many rows lie as may be deleted; rows of one time are deleted together.
            let mut bound = transaction.prepare(
                "SELECT max(time_ns) FROM (SELECT time_ns FROM ticks WHERE symbol_id = ?1 AND time_ns < ?2 \
                 ORDER BY time_ns LIMIT ?3)",
            )?;
            let mut delete = transaction.prepare("DELETE FROM ticks WHERE symbol_id = ?1 AND time_ns <= ?2")?;
            while deleted < PRUNE_ROWS {
                let Some(symbol_id) = next.query_row([self.pruned_symbol], |row| row.get::<_, Option<i64>>(0))? else {
                    // All symbols were visited; the next call starts over.
                    self.pruned_symbol = i64::MIN;
                    break;
                };
                let limit = (PRUNE_ROWS - deleted) as i64;
                let last_ns: Option<i64> = bound.query_row(params![symbol_id, before_ns, limit], |row| row.get(0))?;
                if let Some(last_ns) = last_ns {
                    deleted += delete.execute([symbol_id, last_ns])?;
                }
                if deleted < PRUNE_ROWS {
                    self.pruned_symbol = symbol_id;
                }
            }
        }
        transaction.commit()?;
        Ok(deleted >= PRUNE_ROWS)
    }
}

/// Inserts rows in key order, so that rows on the same page follow one another. Returns how many are new.
fn insert_all(connection: &Connection, entries: &[(SqlRow, &TickRow)]) -> rusqlite::Result<u64> {
    // Of equal rows, the first to arrive is stored.
    let mut order: Vec<(i32, i64, usize)> =
        entries.iter().enumerate().map(|(index, (row, tick))| (row.symbol_id, tick.time_ns, index)).collect();
    order.sort_unstable();
    let values = ["?"; TICK_COLUMNS.len()].join(", ");
    let mut insert =
        connection.prepare(&format!("INSERT OR IGNORE INTO ticks ({}) VALUES ({values})", tick_column_names()))?;
    let mut written = 0;
    for (_, _, index) in order {
        let (row, tick) = &entries[index];
        written += insert_row(&mut insert, tick, row)?;
    }
    Ok(written)
}

/// Binds in the order of [`TICK_COLUMNS`]. Returns 1 for a new row, else 0.
fn insert_row(insert: &mut Statement<'_>, tick: &TickRow, row: &SqlRow) -> rusqlite::Result<u64> {
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

/// Id of a name, which is added if it is new.
fn name_id(connection: &Connection, table: &str, ids: &mut IdsByName, name: &str) -> rusqlite::Result<i32> {
    if let Some(id) = ids.get(name) {
        return Ok(*id);
    }
    connection.execute(&format!("INSERT OR IGNORE INTO {table} (name) VALUES (?1)"), [name])?;
    let id = connection.query_row(&format!("SELECT id FROM {table} WHERE name = ?1"), [name], |row| row.get(0))?;
    ids.insert(name.into(), id);
    Ok(id)
}

/// Moves a stream's checkpoint forward, never back.
fn move_checkpoint(connection: &Connection, stream: &str, id: i32, reached: StreamId) -> rusqlite::Result<()> {
    if find_checkpoint(connection, stream)?.is_none_or(|known| known < reached) {
        connection.execute(MOVE_CHECKPOINT, params![reached.ms.cast_signed(), reached.seq.cast_signed(), id])?;
    }
    Ok(())
}

fn find_checkpoint(connection: &Connection, stream: &str) -> rusqlite::Result<Option<StreamId>> {
    let found = connection.query_row(CHECKPOINT, [stream], |row| Ok(stream_id((row.get(0)?, row.get(1)?))));
    Ok(found.optional()?.flatten())
}

impl TickStore for SqliteStore {
    fn commit(&mut self, _number: u64, batches: &[RowBatch]) -> Result<CommitCounts, StoreError> {
        self.check_file()?;
        match self.try_commit(batches) {
            Ok(counts) => {
                // The file may have been removed in the meantime.
                self.check_file()?;
                self.newest_ns = newest_ns(self.newest_ns, batches);
                Ok(counts)
            }
            Err(error) => {
                // The rollback has discarded ids that the transaction assigned.
                self.names = NameCache::default();
                if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
                    // The log's pages may fit into the file, which frees the log's space.
                    self.truncate_log();
                }
                Err(error.into())
            }
        }
    }

    fn checkpoint(&mut self, stream: &str) -> Result<Option<StreamId>, StoreError> {
        self.check_file()?;
        Ok(find_checkpoint(&self.connection, stream)?)
    }

    fn prune(&mut self, keep_age_ns: i64) -> Result<bool, StoreError> {
        Ok(self.try_prune(keep_age_ns)?)
    }
}
