//! SQLite: a store in one file.

mod file_identity;
mod read;
mod schema;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, ToSql, TransactionBehavior, params};

use crate::model::StreamId;
use crate::storage::db::RowBatch;
use crate::storage::db::backend::{CommitCounts, Failure, PRUNE_ROWS, StoreError, StoreResult, TickStore, checkpoints};
use crate::storage::db::sql::{CHECKPOINT, DELETE_OLD, MOVE_CHECKPOINT, OLD_SYMBOLS, TICK_COLUMNS, tick_column_names};
use crate::storage::db::sql_database::{NameCache, NameTable, SqlDatabase, SqlRow, encode, names, stream_id};

use file_identity::FileIdentity;
pub(super) use read::open_source;

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
}

/// Path that SQLite takes for a file name even if it looks like `:memory:` or a URI.
fn as_file(path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) }
}

impl From<rusqlite::Error> for StoreError {
    /// The text names tables and columns, never data.
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::new(Failure::Busy, "the disk is full"),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::new(Failure::Busy, "another program holds the file")
            }
            Some(ErrorCode::OutOfMemory) => Self::new(Failure::Busy, error.to_string()),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::new(Failure::Foreign, error.to_string())
            }
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Self::new(Failure::Path, error.to_string())
            }
            _ => Self::new(Failure::Lost, error.to_string()),
        }
    }
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(as_file(path), access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
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
    pub(super) fn open(path: &Path) -> StoreResult<Self> {
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        // The file exists by now, though it may still be empty.
        let file = FileIdentity::record(as_file(path));
        schema::check(&connection)?;
        configure(&connection)?;
        schema::migrate(&mut connection)?;
        Ok(Self { connection, file, names: NameCache::default() })
    }

    /// Detects a file that was moved or removed. SQLite reports no error, and what is written to it is lost.
    fn check_file(&self) -> StoreResult<()> {
        if !self.file.is_lost() {
            return Ok(());
        }
        // A file that was only renamed receives the rows that are still in its log. The log keeps its name, so it must
        // be emptied, or SQLite would apply it to the next file.
        self.truncate_log();
        Err(StoreError::new(Failure::Lost, "the file was moved or removed while it was open"))
    }

    /// Copies the write-ahead log into the file, as far as possible.
    fn truncate_log(&self) {
        let _ = self.connection.pragma(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()));
    }

    fn try_commit(&mut self, batches: &[RowBatch]) -> rusqlite::Result<CommitCounts> {
        self.names.limit_size();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // The transaction excludes other writers, so `n` is unique.
        let n: i64 = transaction.query_row("SELECT value FROM meta WHERE key = 'next_n'", [], |row| row.get(0))?;
        for (table, name) in names(batches) {
            if self.names.id(table, name).is_none() {
                self.names.extend(table, [(name.into(), add_name(&transaction, table, name)?)]);
            }
        }
        // All names have ids now.
        let rows = encode(batches, n, &self.names).ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        for (stream, reached) in checkpoints(batches) {
            move_checkpoint(&transaction, stream, self.names.id(NameTable::Streams, stream), reached)?;
        }
        let written = insert_all(&transaction, &rows)?;
        let count = rows.len() as u64;
        transaction.execute("UPDATE meta SET value = ?1 WHERE key = 'next_n'", [n + count.cast_signed()])?;
        transaction.commit()?;
        Ok(CommitCounts { written, duplicates: count - written })
    }
}

/// Inserts rows in key order, so that rows on the same page follow one another. Returns how many are new.
fn insert_all(connection: &Connection, rows: &[SqlRow]) -> rusqlite::Result<u64> {
    // Of equal rows, the first to arrive is stored.
    let mut order: Vec<(i32, i64, usize)> =
        rows.iter().enumerate().map(|(index, row)| (row.symbol_id, row.time_ns, index)).collect();
    order.sort_unstable();
    let values = ["?"; TICK_COLUMNS.len()].join(", ");
    let mut insert =
        connection.prepare(&format!("INSERT OR IGNORE INTO ticks ({}) VALUES ({values})", tick_column_names()))?;
    let mut written = 0;
    for (_, _, index) in order {
        written += insert.execute(rows[index].values().map(|value| value as &dyn ToSql).as_slice())? as u64;
    }
    Ok(written)
}

/// Id of a name, which is added if it is new.
fn add_name(connection: &Connection, table: NameTable, name: &str) -> rusqlite::Result<i32> {
    let table = table.sql();
    connection.execute(&format!("INSERT OR IGNORE INTO {table} (name) VALUES (?1)"), [name])?;
    connection.query_row(&format!("SELECT id FROM {table} WHERE name = ?1"), [name], |row| row.get(0))
}

/// Moves a stream's checkpoint forward, never back.
fn move_checkpoint(connection: &Connection, stream: &str, id: Option<i32>, reached: StreamId) -> rusqlite::Result<()> {
    if find_checkpoint(connection, stream)?.is_none_or(|known| known < reached) {
        connection.execute(MOVE_CHECKPOINT, params![reached.ms.cast_signed(), reached.seq.cast_signed(), id])?;
    }
    Ok(())
}

fn find_checkpoint(connection: &Connection, stream: &str) -> rusqlite::Result<Option<StreamId>> {
    let found = connection.query_row(CHECKPOINT, [stream], |row| Ok(stream_id(row.get(0)?, row.get(1)?)));
    Ok(found.optional()?.flatten())
}

impl TickStore for SqliteStore {
    fn commit(&mut self, _number: u64, batches: &[RowBatch]) -> StoreResult<CommitCounts> {
        self.check_file()?;
        let done = self.try_commit(batches);
        if let Err(error) = &done {
            // The rollback has discarded ids that the transaction assigned.
            self.names = NameCache::default();
            if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
                // The log's pages may fit into the file, which frees the log's space.
                self.truncate_log();
            }
        } else {
            // The file may have been removed in the meantime.
            self.check_file()?;
        }
        Ok(done?)
    }

    fn checkpoint(&mut self, stream: &str) -> StoreResult<Option<StreamId>> {
        self.check_file()?;
        Ok(find_checkpoint(&self.connection, stream)?)
    }

    fn time_range(&mut self) -> StoreResult<Option<(i64, i64)>> {
        self.connection.time_range()
    }

    fn prune(&mut self, before_ns: i64) -> StoreResult<bool> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut limit = PRUNE_ROWS as i64;
        {
            let (mut old, mut delete) = (transaction.prepare(OLD_SYMBOLS)?, transaction.prepare(DELETE_OLD)?);
            let mut symbols = old.query([before_ns])?;
            while limit > 0
                && let Some(symbol) = symbols.next()?
            {
                limit -= delete.execute(params![symbol.get::<_, i32>(0)?, before_ns, limit])? as i64;
            }
        }
        transaction.commit()?;
        Ok(limit <= 0)
    }
}
