//! The tables of a file, and the steps that lead from each version to the next.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::storage::db::DbError;
use crate::storage::db::backend::OpenError;
use crate::storage::db::url::display_path;

use crate::storage::db::sqlite::open_error;

/// What each step adds; the first makes version 1 of an empty file.
const STEPS: [&str; 3] = [TABLES, VIEWS, CLEANING];

/// Marks the file as ours for programs that tell files by their content, and for [`check`]: `tick` in ASCII.
const APPLICATION_ID: i64 = 0x7469_636b;

/// One tree holds the rows, knows duplicates and is in the order in which a symbol is read: rows of one symbol lie side
/// by side, so a range of time is one stretch. Every index more would cost more than the row itself.
///
/// `price` has no type, and so keeps what it is given, a double, to the bit: as REAL, -0 would become 0. `size`, which
/// is never negative, has one: it packs whole numbers into a byte or two.
const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('next_n', 1);
CREATE TABLE symbols (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, id_ms INTEGER, id_seq INTEGER);
CREATE TABLE ticks (
    symbol_id INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    major INTEGER NOT NULL,
    minor INTEGER NOT NULL,
    part INTEGER NOT NULL,
    price NOT NULL,
    n INTEGER NOT NULL,
    size REAL,
    source_id INTEGER,
    seq INTEGER,
    stream_id INTEGER,
    id_ms INTEGER,
    id_seq INTEGER,
    PRIMARY KEY (symbol_id, time_ns, origin, major, minor, part, price)
) WITHOUT ROWID;
";

/// A bar's open and close are the first and the last tick by time, then by arrival.
const VIEWS: &str = "
CREATE VIEW ticks_view AS
SELECT symbols.name AS symbol,
    strftime('%Y-%m-%dT%H:%M:%S', time_ns / 1000000000, 'unixepoch') || printf('.%09dZ', time_ns % 1000000000) AS time,
    time_ns, price, size, sources.name AS source,
    CASE WHEN origin > 0 THEN major ELSE seq END AS seq,
    streams.name AS stream, ticks.id_ms || '-' || ticks.id_seq AS id, n
FROM ticks
JOIN symbols ON symbols.id = ticks.symbol_id
LEFT JOIN sources ON sources.id = CASE WHEN origin > 0 THEN origin ELSE source_id END
LEFT JOIN streams ON streams.id = ticks.stream_id;

CREATE VIEW bars_1m AS
WITH bars AS (
    SELECT symbol_id, time_ns - time_ns % 60000000000 AS bar_ns, min(time_ns) AS first_ns, max(time_ns) AS last_ns,
        max(price) AS high, min(price) AS low, sum(size) AS volume, count(*) AS count
    FROM ticks GROUP BY symbol_id, bar_ns
)
SELECT symbols.name AS symbol, strftime('%Y-%m-%dT%H:%M:%SZ', bar_ns / 1000000000, 'unixepoch') AS time,
    bar_ns AS time_ns,
    (SELECT price FROM ticks WHERE ticks.symbol_id = bars.symbol_id AND ticks.time_ns = first_ns ORDER BY n LIMIT 1)
        AS open,
    high, low,
    (SELECT price FROM ticks WHERE ticks.symbol_id = bars.symbol_id AND ticks.time_ns = last_ns ORDER BY n DESC LIMIT 1)
        AS close,
    volume, count
FROM bars JOIN symbols ON symbols.id = bars.symbol_id;
";

/// Bars of a length, made of all ticks but outliers. A bar's open and close are the first and the last tick by time,
/// then by arrival.
macro_rules! bars {
    ($name:literal, $length_ns:literal) => {
        concat!(
            "
CREATE VIEW ", $name, " AS
WITH kept AS NOT MATERIALIZED (SELECT * FROM ticks WHERE flags IS NULL OR flags & 1 = 0),
bars AS (
    SELECT symbol_id, time_ns - time_ns % ", $length_ns, " AS bar_ns, min(time_ns) AS first_ns,
        max(time_ns) AS last_ns, max(price) AS high, min(price) AS low, sum(size) AS volume, count(*) AS count
    FROM kept GROUP BY symbol_id, bar_ns
)
SELECT symbols.name AS symbol, strftime('%Y-%m-%dT%H:%M:%SZ', bar_ns / 1000000000, 'unixepoch') AS time,
    bar_ns AS time_ns,
    (SELECT price FROM kept WHERE kept.symbol_id = bars.symbol_id AND kept.time_ns = first_ns ORDER BY n LIMIT 1)
        AS open,
    high, low,
    (SELECT price FROM kept WHERE kept.symbol_id = bars.symbol_id AND kept.time_ns = last_ns ORDER BY n DESC LIMIT 1)
        AS close,
    volume, count
FROM bars JOIN symbols ON symbols.id = bars.symbol_id;
"
        )
    };
}

/// Cleaning: outliers have a flag, and stay out of bars; ticks that came after a later one of their symbol have a view.
const CLEANING: &str = concat!(
    "
ALTER TABLE ticks ADD COLUMN flags INTEGER;
DROP VIEW ticks_view;
DROP VIEW bars_1m;

CREATE VIEW ticks_view AS
SELECT symbols.name AS symbol,
    strftime('%Y-%m-%dT%H:%M:%S', time_ns / 1000000000, 'unixepoch') || printf('.%09dZ', time_ns % 1000000000) AS time,
    time_ns, price, size, sources.name AS source,
    CASE WHEN origin > 0 THEN major ELSE seq END AS seq,
    streams.name AS stream, ticks.id_ms || '-' || ticks.id_seq AS id, n, coalesce(flags & 1, 0) AS outlier
FROM ticks
JOIN symbols ON symbols.id = ticks.symbol_id
LEFT JOIN sources ON sources.id = CASE WHEN origin > 0 THEN origin ELSE source_id END
LEFT JOIN streams ON streams.id = ticks.stream_id;

CREATE VIEW ticks_late AS
WITH arrivals AS (
    SELECT *, max(time_ns) OVER (
        PARTITION BY symbol_id ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS newest_ns FROM ticks
)
SELECT symbols.name AS symbol, time_ns, newest_ns - time_ns AS late_ns, price, size, n
FROM arrivals JOIN symbols ON symbols.id = arrivals.symbol_id WHERE time_ns < newest_ns;
",
    bars!("bars_1s", "1000000000"),
    bars!("bars_1m", "60000000000"),
    bars!("bars_5m", "300000000000"),
    bars!("bars_1h", "3600000000000"),
    bars!("bars_1d", "86400000000000"),
);

/// The version that flags came with.
pub(super) const FLAGS_SINCE: i64 = 3;

/// What each step after the first makes anew.
const STEP_NAMES: [&[&str]; 3] =
    [&[], &["ticks_view", "bars_1m"], &["ticks_late", "bars_1s", "bars_5m", "bars_1h", "bars_1d"]];

/// The version of the schema that this program makes.
const VERSION: i64 = STEPS.len() as i64;

/// Refuses what is not ours, and what a later program made, before anything is changed. The version found.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    let failed = |error| open_error(path, &error);
    // All three of one moment: another process may be making the tables just now.
    let moment = connection.unchecked_transaction().map_err(failed)?;
    let number = |name| moment.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(failed);
    let (version, application_id) = (number("user_version")?, number("application_id")?);
    let objects: i64 = moment.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    moment.finish().map_err(failed)?;
    let store = display_path(path);
    let is_empty = objects == 0 && version == 0;
    if !is_empty && application_id != APPLICATION_ID {
        let cause = "it is another program's database".to_owned();
        return Err(OpenError::Final(DbError::Foreign { store, cause }));
    }
    if version > VERSION {
        return Err(OpenError::Final(DbError::Newer { store, found: version, known: VERSION }));
    }
    Ok(version)
}

/// Takes the steps that are missing, each in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    loop {
        let version = check(connection, path)?;
        let at = usize::try_from(version).unwrap_or(0);
        let Some((step, names)) = STEPS.get(at).zip(STEP_NAMES.get(at)) else { return Ok(()) };
        if let Some(names) = in_our_way(connection, names).map_err(|error| open_error(path, &error))? {
            // Another process may have taken the step meanwhile.
            if check(connection, path)? > version {
                continue;
            }
            let cause = format!("it has {names} of somebody's own, under names that this version needs; rename them");
            return Err(OpenError::Final(DbError::Foreign { store: display_path(path), cause }));
        }
        take_step(connection, version, step).map_err(|error| open_error(path, &error))?;
    }
}

/// Tables and views, separated by commas, that have one of these names.
fn in_our_way(connection: &Connection, names: &[&str]) -> rusqlite::Result<Option<String>> {
    let mut find = connection.prepare("SELECT count(*) FROM sqlite_schema WHERE name = ?1")?;
    let mut taken = Vec::new();
    for name in names {
        if find.query_row([name], |row| row.get::<_, i64>(0))? > 0 {
            taken.push(*name);
        }
    }
    Ok(if taken.is_empty() { None } else { Some(taken.join(", ")) })
}

fn take_step(connection: &mut Connection, from: i64, step: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != from {
        // Another process took it while this one waited.
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
    fn many_may_make_the_same_file_at_a_time() {
        const MAKERS: usize = 4;
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let (path, together) = (folder.path().join("ticks.db"), Barrier::new(MAKERS));
            thread::scope(|scope| {
                for _ in 0..MAKERS {
                    scope.spawn(|| {
                        together.wait();
                        let opened = SqliteStore::open(&path);
                        // What is locked for a moment is tried again by whoever asked.
                        assert!(
                            !matches!(opened, Err(crate::storage::db::sqlite::OpenError::Final(_))),
                            "it is taken for something else"
                        );
                    });
                }
            });
        }
    }
}
