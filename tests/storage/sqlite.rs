//! Foreign, damaged, older and newer SQLite files.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tickscope::storage::db::{DbConfig, DbError, DbState, DbWriter, StoreReader, StoreUrl};

use super::fixture::{LIMIT, Place, bare, checkpoint, heard, keeper, numbered, on_both, shared_server};
use crate::support::wait::wait_until;

fn open(path: &Path) -> Result<DbWriter, DbError> {
    let url = StoreUrl::Sqlite(path.to_owned());
    DbWriter::open(DbConfig { url, keep_age_ns: None, rows_waiting_max: 100 })
}

/// Schema version 1, as the first release created it: without views.
const VERSION_1: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('next_n', 2);
CREATE TABLE symbols (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, id_ms INTEGER, id_seq INTEGER);
CREATE TABLE ticks (
    symbol_id INTEGER NOT NULL, time_ns INTEGER NOT NULL, origin INTEGER NOT NULL, major INTEGER NOT NULL,
    minor INTEGER NOT NULL, part INTEGER NOT NULL, price NOT NULL, n INTEGER NOT NULL, size REAL,
    source_id INTEGER, seq INTEGER, stream_id INTEGER, id_ms INTEGER, id_seq INTEGER,
    PRIMARY KEY (symbol_id, time_ns, origin, major, minor, part, price)
) WITHOUT ROWID;
INSERT INTO symbols VALUES (1, 'AAPL');
INSERT INTO sources VALUES (1, 'p');
INSERT INTO streams VALUES (1, 's', 5, 0);
INSERT INTO ticks VALUES (1, 1699999980000000000, 1, 1, 0, 0, 1.5, 1, NULL, NULL, NULL, NULL, NULL, NULL);
PRAGMA application_id = 1953063787;
PRAGMA user_version = 1;
";

#[test]
fn a_store_of_the_first_version_is_read_as_it_is_and_brought_up_to_date() {
    let place = Place::file();
    let StoreUrl::Sqlite(path) = &place.url else { panic!("a file") };
    Connection::open(path).unwrap().execute_batch(VERSION_1).unwrap();
    let old = numbered("p", 1, 0, 1.5);
    assert_eq!(place.ticks(), std::slice::from_ref(&old));
    assert_eq!(place.sql("PRAGMA user_version"), "1", "a reader changes nothing");
    let keeper = place.keeper();
    assert_eq!(checkpoint(&keeper, "s").map(|id| id.to_string()).as_deref(), Some("5-0"));
    keeper.offer(heard(&[old, numbered("p", 2, 1, 2.5)]));
    let status = keeper.close(LIMIT);
    assert_eq!((status.written, status.duplicates), (1, 1));
    assert_eq!(place.sql("PRAGMA user_version"), "3");
    assert_eq!(place.sql("SELECT symbol, open, close, count FROM bars_1m"), "AAPL|1.5|2.5|2");
}

#[test]
fn a_server_store_of_the_first_version_is_brought_up_to_date() {
    let place = Place::server();
    place.keep(vec![heard(&[numbered("p", 1, 0, 1.5)])]);
    place.sql("DROP VIEW bars_1s, bars_1m, bars_5m, bars_1h, bars_1d, ticks_view, ticks_late");
    place.sql("ALTER TABLE ticks DROP COLUMN flags");
    place.sql("UPDATE meta SET value = '1' WHERE key = 'tickscope_version'");
    assert_eq!(place.ticks().len(), 1);
    assert_eq!(place.keep(vec![heard(&[numbered("p", 1, 0, 1.5)])]).duplicates, 1);
    assert_eq!(place.sql("SELECT value FROM meta"), "3");
    assert_eq!(place.sql("SELECT symbol, open, count FROM bars_1m"), "AAPL|1.5|1");
}

#[test]
fn a_newer_store_is_refused_with_both_versions_and_left_alone() {
    on_both(|place| {
        place.keep(vec![heard(&[bare("A", 0, 1.0)])]);
        let is_file = matches!(place.url, StoreUrl::Sqlite(_));
        place.sql(if is_file { "PRAGMA user_version = 7" } else { "UPDATE meta SET value = '7'" });
        let config = DbConfig { url: place.url.clone(), keep_age_ns: None, rows_waiting_max: 9 };
        for error in [DbWriter::open(config).unwrap_err(), StoreReader::open(&place.url).unwrap_err()] {
            let text = error.to_string();
            assert!(matches!(error, DbError::Newer { found: 7, known: 3, .. }), "{text}");
            assert!(text.contains("version 7") && text.contains("up to 3") && !text.contains("s3cr"), "{text}");
        }
        assert_eq!(place.sql("SELECT count(*) FROM ticks"), "1");
    });
}

#[test]
fn another_programs_tables_are_refused_and_left_alone() {
    let place = Place::file();
    let StoreUrl::Sqlite(path) = &place.url else { panic!("a file") };
    place.sql("CREATE TABLE ticks (price)");
    let before = fs::read(path).unwrap();
    let error = open(path).unwrap_err();
    assert!(matches!(error, DbError::Foreign { .. }), "{error}");
    assert_eq!(fs::read(path).unwrap(), before);

    let place = Place::server();
    place.sql("CREATE TABLE ticks (price integer)");
    let config = DbConfig { url: place.url.clone(), keep_age_ns: None, rows_waiting_max: 9 };
    let error = DbWriter::open(config).unwrap_err();
    assert!(matches!(error, DbError::Foreign { .. }), "{error}");
    assert_eq!(place.sql("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"), "1");
}

#[test]
fn a_database_in_another_encoding_is_refused() {
    let server = shared_server();
    server.psql("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
    let url = server.url("latin").parse().unwrap();
    let error = DbWriter::open(DbConfig { url, keep_age_ns: None, rows_waiting_max: 9 }).unwrap_err();
    assert!(error.to_string().contains("LATIN1"), "{error}");
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    let text = "This is a text and not a database.\n".repeat(200);
    fs::write(&path, &text).unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, DbError::Foreign { .. }), "{error}");
    assert!(matches!(StoreReader::open(&StoreUrl::Sqlite(path.clone())), Err(DbError::Foreign { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn places_where_no_file_can_be_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    // /proc accepts no files, not even from root.
    for path in [dir.path().join("no/such/folder/ticks.db"), dir.path().to_owned(), "/proc/ticks.db".into()] {
        let error = open(&path).unwrap_err();
        assert!(matches!(error, DbError::Open { .. }), "{error}");
        assert!(error.to_string().contains("choose a file"), "{error}");
    }
}

#[test]
fn a_store_that_another_program_holds_is_not_for_lack_of_a_folder() {
    let place = Place::file();
    let StoreUrl::Sqlite(path) = &place.url else { panic!("a file") };
    place.keep(vec![heard(&[bare("A", 1, 1.0)])]);
    let holder = rusqlite::Connection::open(path).unwrap();
    holder.execute_batch("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE").unwrap();
    let error = StoreReader::open(&place.url).unwrap_err();
    assert!(matches!(&error, DbError::Read { cause, .. } if cause == "another program holds the file"), "{error}");
}

#[test]
fn a_truncated_store_is_told_and_never_taken_for_a_good_one() {
    let place = Place::file();
    let StoreUrl::Sqlite(path) = &place.url else { panic!("a file") };
    let ticks: Vec<_> = (0..20_000).map(|n| bare(&format!("S{}", n % 50), n, 1.0)).collect();
    place.keep(vec![heard(&ticks)]);
    let whole = fs::read(path).unwrap();
    for part in [100, 5_000, 50_000, whole.len() / 2] {
        fs::write(path, &whole[..part]).unwrap();
        let keeper = match open(path) {
            Err(error) => {
                assert!(matches!(error, DbError::Foreign { .. }), "{error}");
                continue;
            }
            Ok(keeper) => keeper,
        };
        keeper.offer(heard(&ticks[..100]));
        wait_until("the damage to show", LIMIT, || matches!(keeper.status().state, DbState::Failing(_)));
        let status = keeper.close(std::time::Duration::from_millis(50));
        assert_eq!((status.written, status.dropped), (0, 100), "{status:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_store_that_is_moved_or_removed_while_it_is_open_is_begun_anew() {
    let place = Place::file();
    let StoreUrl::Sqlite(path) = &place.url else { panic!("a file") };
    let ticks = [bare("A", 0, 1.0), bare("B", 1, 2.0), bare("C", 2, 3.0), bare("D", 3, 4.0)];
    let keeper = place.keeper();
    let keep = |at: usize| {
        keeper.offer(heard(&ticks[at..=at]));
        wait_until("the tick", LIMIT, || keeper.status().written == at as u64 + 1);
    };
    keep(0);
    let moved = path.with_extension("moved");
    fs::rename(path, &moved).unwrap();
    keep(1);
    assert_eq!(place.ticks(), &ticks[1..2], "a new file");
    let first = Connection::open(&moved).unwrap();
    let count: i64 = first.query_row("SELECT count(*) FROM ticks", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1, "the moved file is whole, without its log");
    drop(first);
    fs::remove_file(path).unwrap();
    keep(2);
    assert_eq!(place.ticks(), &ticks[2..3], "another new file");
    fs::rename(&moved, path).unwrap();
    keep(3);
    let status = keeper.close(LIMIT);
    assert_eq!((status.written, status.dropped), (4, 0), "{status:?}");
    assert_eq!(place.ticks(), [ticks[0].clone(), ticks[3].clone()], "the first file again, in place of the third");
}

#[test]
fn names_that_sqlite_gives_another_meaning_are_files_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file:ticks?mode=memory#1.db");
    let keeper = keeper(&StoreUrl::Sqlite(path.clone()), None);
    keeper.offer(heard(&[bare("A", 0, 1.0)]));
    assert_eq!(keeper.close(LIMIT).written, 1);
    assert!(path.exists());
}
