//! TimescaleDB hypertables, or a plain table if the extension is not installed. The output says which one was tested.

use std::io::Write;
use std::sync::Arc;

use tickscope::model::StreamId;
use tickscope::storage::db::RowBatch;

use super::fixture::{
    LIMIT, Place, START_NS, bare, checkpoint, heard, keeper, numbered, streamed, through, wait_committed,
};
use crate::support::postgres::PostgresServer;
use crate::support::wait::wait_until;

const DAY_MS: i64 = 86_400_000;

/// Writes past the test harness, which hides the output of passing tests.
fn say(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// Database with the extension, or without it after a note on the terminal.
fn place(test: &str) -> Option<Place> {
    if let Some(server) = PostgresServer::start_timescale() {
        say(&format!("{test}: on a hypertable of TimescaleDB"));
        return Some(Place::on(&Arc::new(server), "days"));
    }
    say(&format!("{test}: TimescaleDB is NOT installed here; a plain table was tested in its place"));
    let plain = Place::server();
    plain.keep(vec![heard(&[bare("A", 0, 1.0), bare("A", DAY_MS, 2.0)])]);
    assert_eq!(plain.sql("SELECT relkind FROM pg_class WHERE relname = 'ticks'"), "r");
    assert_eq!(plain.sql("SELECT count(*) FROM ticks"), "2");
    None
}

#[test]
fn ticks_of_each_day_have_a_chunk_and_are_kept_once() {
    let Some(place) = place("once") else { return };
    let ticks: Vec<_> = (0..1_000).map(|n| numbered("p", n, n as i64 * DAY_MS / 100, n as f64)).collect();
    let status = place.keep(ticks.chunks(300).map(heard).collect());
    assert_eq!((status.written, status.duplicates), (1_000, 0), "{status:?}");
    let hypertable = "SELECT num_dimensions, num_chunks FROM timescaledb_information.hypertables";
    assert_eq!(place.sql(hypertable), "1|11", "ten days that begin within one");
    // The same ticks again, mixed with others; also as stream entries with ids.
    let again: Vec<_> = ticks.iter().rev().take(500).map(|tick| through(tick, "5-0")).collect();
    let status = place.keep(vec![heard(&ticks[..10]), streamed(&again, "5-0"), heard(&[numbered("p", 7, -1, 7.0)])]);
    assert_eq!((status.written, status.duplicates), (1, 510), "{status:?}");
    assert_eq!(checkpoint(&place.keeper(), "s"), Some("5-0".parse::<StreamId>().unwrap()));
    assert_eq!(place.sql("SELECT count(*), count(DISTINCT major) FROM ticks"), "1001|1000");
    assert_eq!(place.sql("SELECT count(*), sum(count) FROM bars_1d"), "11|1001");
    assert_eq!(place.ticks().len(), 1_001);
}

#[test]
fn old_days_go_whole_and_the_rest_row_by_row() {
    let Some(place) = place("prune") else { return };
    let ticks: Vec<_> = (0..3_000).map(|n| bare(["A", "B"][n % 2], n as i64 * DAY_MS / 300, n as f64)).collect();
    place.keep(vec![heard(&ticks)]);
    assert_eq!(place.sql("SELECT num_chunks FROM timescaledb_information.hypertables"), "11");
    let keep_ns = 3 * DAY_MS * 1_000_000;
    let keeper = keeper(&place.url, Some(keep_ns));
    keeper.offer(heard(&[bare("A", 10 * DAY_MS, 1.0)]));
    wait_committed(&keeper, 1);
    wait_until("the old ticks to go", LIMIT, || place.sql("SELECT count(*) FROM ticks") == "901");
    assert_eq!(keeper.close(LIMIT).dropped, 0);
    assert_eq!(place.sql("SELECT min(time_ns) FROM ticks"), (START_NS + 7 * DAY_MS * 1_000_000).to_string());
    assert_eq!(place.sql("SELECT num_chunks FROM timescaledb_information.hypertables"), "4", "empty days are gone");
}

#[test]
fn a_hypertable_of_the_first_version_is_brought_up_to_date() {
    let Some(place) = place("migration") else { return };
    place.keep(vec![heard(&[numbered("p", 1, 0, 1.0)])]);
    let back = "DROP VIEW ticks_view, ticks_late, bars_1s, bars_1m, bars_5m, bars_1h, bars_1d; \
                ALTER TABLE ticks DROP COLUMN flags; \
                UPDATE meta SET value = '1' WHERE key = 'tickscope_version'";
    place.sql(back);
    let mut slip = numbered("p", 2, DAY_MS, 99.0);
    slip.outlier = true;
    let status = place.keep(vec![heard(&[numbered("p", 1, 0, 1.0), slip.clone()])]);
    assert_eq!((status.written, status.duplicates), (1, 1), "{status:?}");
    assert_eq!(place.ticks(), [numbered("p", 1, 0, 1.0), slip]);
    assert_eq!(place.sql("SELECT count(*), sum(count) FROM bars_1m"), "1|1", "bars are made without outliers");
}

#[test]
fn a_server_with_hypertables_killed_in_mid_load_loses_and_doubles_nothing() {
    let Some(server) = PostgresServer::start_timescale() else {
        assert!(place("kill").is_none());
        return;
    };
    say("kill: on a hypertable of TimescaleDB");
    let url = server.url("ticks").parse().unwrap();
    super::crashes::kill_server_in_mid_load(server, &url);
}

#[test]
fn batches_that_reach_over_many_days_are_kept_whole() {
    let Some(place) = place("many days") else { return };
    // A recording of a year, stored in one go.
    let ticks: Vec<_> = (0..10_000).map(|n| numbered("p", n, n as i64 * DAY_MS / 27, n as f64)).collect();
    let keeper = place.keeper();
    keeper.offer(RowBatch { stream: None, ticks, checkpoint: None, ticket: 4 });
    wait_committed(&keeper, 4);
    assert_eq!(keeper.close(LIMIT).written, 10_000);
    assert_eq!(place.sql("SELECT count(*) FROM ticks"), "10000");
}
