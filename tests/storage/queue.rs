//! The write queue: bounded, never blocking, and counting every dropped row.

use std::net::TcpListener;
use std::time::Duration;

use tickscope::storage::db::{DbConfig, DbError, DbState, DbStatus, DbWriter, RowBatch, StoreUrl, TickRow};
use tokio::time::timeout;

use super::fixture::{LIMIT, Place, bare, checkpoint, heard, on_both, shared_server, streamed, wait_committed};
use crate::support::postgres::PASSWORD;
use crate::support::server::free_port;
use crate::support::wait::wait_until;

fn ticks(count: i64) -> Vec<TickRow> {
    (0..count).map(|n| bare("A", n, n as f64)).collect()
}

/// Writer whose server does not exist.
fn away(rows_waiting_max: usize) -> DbWriter {
    let url: StoreUrl = format!("postgres://me:{PASSWORD_PART}@127.0.0.1:{}/none", free_port()).parse().unwrap();
    DbWriter::open(DbConfig { url, keep_age_ns: None, rows_waiting_max }).unwrap()
}

const PASSWORD_PART: &str = "hush";

fn failing(status: &DbStatus) -> Option<&str> {
    match &status.state {
        DbState::Failing(cause) => Some(cause),
        _ => None,
    }
}

#[tokio::test]
async fn rows_wait_for_an_unreachable_server_and_drops_are_counted() {
    let keeper = away(100);
    assert_eq!(keeper.offer(heard(&ticks(60))), 0);
    assert_eq!(keeper.offer(heard(&ticks(60))), 20);
    assert_eq!(keeper.offer(heard(&ticks(5))), 5);
    let status = keeper.status();
    assert_eq!((status.waiting, status.dropped, status.written), (100, 25, 0), "{status:?}");
    assert!(
        failing(&status).is_some_and(|cause| cause.contains("refused") && !cause.contains(PASSWORD_PART)),
        "{status:?}"
    );
    let status = keeper.close(Duration::ZERO);
    assert_eq!((status.waiting, status.dropped), (0, 125), "{status:?}");
    assert_eq!(keeper.offer(heard(&ticks(3))), 3, "after the end nothing is taken");
    assert_eq!(keeper.checkpoint("s").await, None);
}

#[tokio::test]
async fn room_resolves_while_fewer_rows_wait_than_allowed() {
    const NO_ROOM: Duration = Duration::from_millis(50);
    let keeper = away(100);
    keeper.room().await;
    keeper.put(heard(&ticks(99)));
    keeper.room().await;
    keeper.put(heard(&[]));
    assert!(timeout(NO_ROOM, keeper.room()).await.is_err(), "empty batches count too");
    assert_eq!(keeper.status().waiting, 99);
    let waiting = tokio::spawn({
        let keeper = keeper.clone();
        async move {
            keeper.room().await;
            keeper.put(heard(&ticks(1)));
        }
    });
    let status = tokio::task::spawn_blocking(move || keeper.close(Duration::from_millis(100))).await.unwrap();
    waiting.await.unwrap();
    assert!((99..=100).contains(&status.dropped), "{status:?}");
}

#[tokio::test]
async fn commits_make_room_and_an_oversized_batch_passes() {
    let place = Place::file();
    let config = DbConfig { url: place.url.clone(), keep_age_ns: None, rows_waiting_max: 100 };
    let keeper = DbWriter::open(config).unwrap();
    for ticket in 1..=8 {
        keeper.room().await;
        keeper.put(RowBatch { ticket, ..heard(&ticks(90)) });
    }
    keeper.room().await;
    keeper.put(RowBatch { ticket: 9, ..heard(&ticks(25_000)) });
    keeper.room().await;
    let mut committed = keeper.committed();
    assert_eq!(*committed.wait_for(|ticket| *ticket >= 9).await.unwrap(), 9);
    let status = keeper.close(LIMIT);
    assert_eq!((status.written, status.dropped, status.waiting), (25_720, 0, 0), "{status:?}");
    assert_eq!(place.sql("SELECT count(*) FROM ticks"), "25720");
}

#[test]
fn a_dropped_row_takes_the_checkpoint_with_it() {
    let place = Place::file();
    let config = DbConfig { url: place.url.clone(), keep_age_ns: None, rows_waiting_max: 2 };
    let keeper = DbWriter::open(config).unwrap();
    assert_eq!(keeper.offer(streamed(&ticks(3), "9-0")), 1);
    keeper.close(LIMIT);
    assert_eq!(checkpoint(&place.keeper(), "s"), None, "what was dropped may still be read again");
    assert_eq!(place.sql("SELECT count(*) FROM ticks"), "2");
}

#[test]
fn dropping_the_last_handle_commits_what_waits() {
    on_both(|place| {
        drop({
            let keeper = place.keeper();
            keeper.offer(heard(&ticks(20_000)));
            keeper
        });
        wait_until("the rows", LIMIT, || place.sql("SELECT count(*) FROM ticks") == "20000");
    });
}

#[test]
fn many_batches_share_a_transaction() {
    on_both(|place| {
        let keeper = place.keeper();
        for ticket in 1..=1_000 {
            keeper.offer(RowBatch { ticket, ..heard(&ticks(10)) });
        }
        wait_committed(&keeper, 1_000);
        let status = keeper.close(LIMIT);
        assert!((1..100).contains(&status.commits), "{status:?}");
        assert_eq!((status.written, status.state), (10_000, DbState::Writing));
    });
}

#[test]
fn a_permanent_refusal_is_an_error_without_the_password() {
    let server = shared_server();
    let open = |url: &str| {
        let url = url.parse().unwrap();
        DbWriter::open(DbConfig { url, keep_age_ns: None, rows_waiting_max: 10 }).map(drop)
    };
    let good = server.url("postgres");
    let wrong = good.replacen("s3cr", "wrong", 1);
    for url in [&wrong, &good.replace("keeper", "nobody_here"), &server.url("no_such_database")] {
        let error = open(url).unwrap_err();
        assert!(matches!(error, DbError::Refused { .. }), "{error}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains(PASSWORD) && !text.contains("s3cr") && !text.contains("wrong"), "{text}");
    }
}

#[test]
fn a_server_that_never_replies_does_not_block_closing() {
    // Server that accepts connections and never replies.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://me@127.0.0.1:{}/none", silent.local_addr().unwrap().port()).parse().unwrap();
    let keeper = DbWriter::open(DbConfig { url, keep_age_ns: None, rows_waiting_max: 10 }).unwrap();
    assert_eq!(failing(&keeper.status()), Some("the server does not answer"));
    keeper.offer(heard(&ticks(4)));
    assert_eq!(keeper.close(Duration::from_millis(200)).dropped, 4);
}
