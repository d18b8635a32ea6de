//! Schema checks and migration of a file. The SQL is in [`sql`](crate::storage::db::sql).

use rusqlite::{Connection, TransactionBehavior};

use crate::storage::db::backend::{Failure, StoreError, StoreResult, check_version};
use crate::storage::db::sql::{SQLITE, STEP_NAMES, VERSION};

/// `PRAGMA application_id`, by which [`check`] and programs such as file(1) recognise the file: `tick` in ASCII.
const APPLICATION_ID: i64 = 0x7469_636b;

/// Returns the schema version; 0 for an empty file. Rejects files of other programs and of later versions, and changes
/// nothing.
pub(super) fn check(connection: &Connection) -> StoreResult<i64> {
    // One transaction for a consistent view: another process may be creating the tables.
    let transaction = connection.unchecked_transaction()?;
    let number = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (found, application_id) = (number("user_version")?, number("application_id")?);
    let objects: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    transaction.finish()?;
    if (objects > 0 || found != 0) && application_id != APPLICATION_ID {
        return Err(StoreError::new(Failure::Foreign, "it is another program's database"));
    }
    check_version(found, VERSION)
}

/// Applies the missing steps, each in its own transaction.
pub(super) fn migrate(connection: &mut Connection) -> StoreResult<()> {
    let steps = SQLITE.steps();
    loop {
        let version = check(connection)?;
        let index = usize::try_from(version).unwrap_or(0);
        let Some((step, names)) = steps.get(index).zip(STEP_NAMES.get(index)) else { return Ok(()) };
        let taken = taken_names(connection, names)?;
        if taken.is_empty() {
            apply_step(connection, version, step)?;
        } else if check(connection)? == version {
            // No other process has applied the step in the meantime.
            return Err(StoreError::names_taken(&taken.join(", ")));
        }
    }
}

/// Names that a table or view has already.
fn taken_names<'a>(connection: &Connection, names: &[&'a str]) -> rusqlite::Result<Vec<&'a str>> {
    let mut find = connection.prepare("SELECT count(*) FROM sqlite_schema WHERE name = ?1")?;
    let mut taken = Vec::new();
    for name in names {
        if find.query_row([name], |row| row.get::<_, i64>(0))? > 0 {
            taken.push(*name);
        }
    }
    Ok(taken)
}

fn apply_step(connection: &mut Connection, from: i64, step: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != from {
        // Another process applied it while this one waited for the lock.
        return Ok(());
    }
    transaction.execute_batch(step)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", from + 1)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use crate::storage::db::sqlite::SqliteStore;

    #[test]
    fn concurrent_processes_may_create_the_same_file() {
        const WRITERS: usize = 4;
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let (path, barrier) = (folder.path().join("ticks.db"), Barrier::new(WRITERS));
            thread::scope(|scope| {
                for _ in 0..WRITERS {
                    scope.spawn(|| {
                        barrier.wait();
                        // A lock held for a moment is a temporary error, which the writer retries.
                        let opened = SqliteStore::open(&path);
                        let error = opened.err().and_then(|error| error.permanent("ticks.db"));
                        assert!(error.is_none(), "taken for another program's file: {error:?}");
                    });
                }
            });
        }
    }
}
