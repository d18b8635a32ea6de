//! Schema checks and migration of a server. The SQL is in [`sql`](crate::storage::db::sql).

use tokio_postgres::{Client, Transaction};

use crate::storage::db::backend::{Failure, StoreError, StoreResult, check_version};
use crate::storage::db::sql::{POSTGRES, STEP_NAMES, VERSION};
use crate::storage::db::sql_database::SqlDatabase;

use crate::storage::db::postgres::connection::Connection;

/// Database lock held while the schema is changed: `tick` in ASCII.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1953063787)";

/// Shorter than the limit of a request, so that the server ends the wait.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '10s'";

/// Key that tells this program's `meta` from another program's.
const VERSION_KEY: &str = "tickscope_version";

/// With TimescaleDB, splits `ticks` into chunks of a day.
const HYPERTABLE: &str = "SELECT create_hypertable('ticks', 'time_ns', chunk_time_interval => 86400000000000::bigint, \
    create_default_indexes => false)";

/// Length of a chunk.
pub(super) const CHUNK_NS: i64 = 86_400_000_000_000;

/// Tables that the first step creates.
const TABLES: [&str; 6] = ["meta", "symbols", "sources", "streams", "writers", "ticks"];

/// Returns the schema version; 0 for an empty database. Rejects databases of other programs and of later versions.
pub(super) async fn inspect(transaction: &Transaction<'_>) -> StoreResult<i64> {
    let foreign = |cause: &str| StoreError::new(Failure::Foreign, cause);
    let encoding: String = transaction.query_one("SELECT current_setting('server_encoding')", &[]).await?.try_get(0)?;
    if encoding != "UTF8" {
        return Err(foreign(&format!("its encoding is {encoding}, and names need UTF8")));
    }
    let tables_of_others = || foreign("it has tables of another program under the same names");
    let count = "SELECT count(*) FROM information_schema.columns WHERE table_schema = current_schema() \
         AND table_name = 'meta' AND column_name IN ('key', 'value')";
    if transaction.query_one(count, &[]).await?.try_get::<_, i64>(0)? == 2 {
        let find = "SELECT value::text FROM meta WHERE key::text = $1";
        if let Some(row) = transaction.query_opt(find, &[&VERSION_KEY]).await? {
            let version = row.try_get::<_, String>(0)?.parse().map_err(|_| tables_of_others())?;
            return check_version(version, VERSION);
        }
    }
    let names: Vec<&str> = TABLES.into_iter().chain(step_names(0)).collect();
    let is_taken = transaction.query_one(TAKEN_NAMES, &[&names]).await?.try_get::<_, Option<String>>(0)?.is_some();
    if is_taken { Err(tables_of_others()) } else { Ok(0) }
}

/// Query for the names among `$1` that are taken by tables or views, separated by commas.
const TAKEN_NAMES: &str = "SELECT string_agg(table_name, ', ') FROM information_schema.tables \
     WHERE table_schema = current_schema() AND table_name = ANY($1)";

/// New names that the steps from a version on need.
fn step_names(from: i64) -> impl Iterator<Item = &'static str> {
    STEP_NAMES.iter().skip(usize::try_from(from).unwrap_or(0)).flat_map(|names| *names).copied()
}

/// Reports whether `ticks` is split into chunks.
pub(super) async fn is_hypertable(client: &Client) -> StoreResult<bool> {
    let known = "SELECT to_regclass('timescaledb_information.hypertables') IS NOT NULL";
    if !client.query_one(known, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(false);
    }
    let find = "SELECT 1 FROM timescaledb_information.hypertables \
         WHERE hypertable_schema = current_schema() AND hypertable_name = 'ticks'";
    Ok(client.query_opt(find, &[]).await?.is_some())
}

/// Applies all missing steps in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> StoreResult<()> {
    let from = connection.version()?;
    if from == VERSION {
        return Ok(());
    }
    if from > 0 {
        let names: Vec<&str> = step_names(from).collect();
        let taken: Option<String> =
            connection.run(async |client| Ok(client.query_one(TAKEN_NAMES, &[&names]).await?.try_get(0)?))?;
        // Another process may have applied the steps in the meantime.
        if let Some(taken) = taken
            && connection.version()? == from
        {
            return Err(StoreError::names_taken(&taken));
        }
    }
    connection.run(async |client| {
        let transaction = client.transaction().await?;
        // A long-running reader holds the table; sessions that come later must not queue behind this one for as long.
        transaction.batch_execute(LOCK_TIMEOUT).await?;
        transaction.batch_execute(LOCK).await?;
        // Another process may have applied the steps while this one waited for the lock.
        let version = inspect(&transaction).await?;
        for step in POSTGRES.steps().iter().skip(usize::try_from(version).unwrap_or(0)) {
            transaction.batch_execute(step).await?;
        }
        if version == 0 {
            let timescale = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'";
            if transaction.query_opt(timescale, &[]).await?.is_some() {
                transaction.batch_execute(HYPERTABLE).await?;
            }
        }
        if version < VERSION {
            let update = "INSERT INTO meta VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2";
            transaction.execute(update, &[&VERSION_KEY, &VERSION.to_string()]).await?;
        }
        Ok(transaction.commit().await?)
    })
}
