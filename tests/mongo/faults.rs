//! Lost replies, refusing servers, and the errors reported for them.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tickscope::model::StreamId;
use tickscope::storage::db::{
    DbConfig, DbError, DbState, DbWriter, RowBatch, StoreReader, StoreUrl, StoreUrlError, TickRow,
};

use super::fixture::{LIMIT, Place, bare, keeper, numbered, wait_committed};
use super::server::{Fault, Kind, MongoServer};
use crate::support::wait::wait_for;

fn start(kind: Kind) -> (Arc<MongoServer>, Place) {
    let server = Arc::new(MongoServer::start(kind));
    let place = Place::new(server.url("ticks"), Some(Arc::clone(&server)));
    (server, place)
}

/// The stream's `n`th entry, from 1, identified alternately by sequence number and by entry id.
fn entry(n: u64) -> TickRow {
    let mut tick = bare(["AAPL", "MSFT", "SPY"][(n % 3) as usize], n as i64, n as f64);
    if n.is_multiple_of(2) {
        tick.source = Some("p".into());
        tick.seq = Some(n);
    }
    tick.id = Some(StreamId { ms: n, seq: n % 7 });
    tick
}

/// Batch of the stream's entries from the `next`th on.
fn stream(next: u64, count: u64) -> RowBatch {
    let ticks: Vec<_> = (next..next + count).map(entry).collect();
    let checkpoint = ticks.last().and_then(|tick| tick.id);
    RowBatch { stream: Some("s".into()), ticks, checkpoint, ticket: next + count }
}

/// Checks that the store holds the stream's first `entries`, and the expected rows without identity.
#[track_caller]
fn check(place: &Place, entries: u64, bare_rows: u64) {
    let ticks = place.ticks();
    let (bare, streamed): (Vec<_>, Vec<_>) = ticks.into_iter().partition(|tick| tick.symbol == "BARE");
    assert_eq!(bare.len() as u64, bare_rows, "rows without a key");
    assert!(streamed.iter().zip(1..).all(|(tick, n)| *tick == entry(n)), "the stream's entries, once and in order");
    assert_eq!(streamed.len() as u64, entries);
}

#[test]
fn no_step_whose_request_or_answer_is_lost_costs_or_doubles_a_tick() {
    let alone = ["find", "findAndModify", "update", "insert"];
    let set = ["find", "findAndModify", "update", "insert", "commitTransaction"];
    for (kind, commands) in [(Kind::Alone, &alone[..]), (Kind::ReplicaSet, &set[..])] {
        let (server, place) = start(kind);
        let keeper = place.keeper();
        let (mut next, mut bare_rows) = (1, 0);
        for command in commands {
            for fault in [Fault::CutBefore, Fault::CutAfter] {
                // More than one in a row, because the client itself retries most commands once.
                for times in [1, 3] {
                    server.fail(command, &vec![fault.clone(); times]);
                    let mut batch = stream(next, 150);
                    next += 150;
                    batch.ticks.extend(vec![bare("BARE", 0, 1.0); 40]);
                    bare_rows += 40;
                    let (loose, rest): (Vec<_>, Vec<_>) = batch.ticks.into_iter().partition(|it| it.id.is_none());
                    batch.ticks = rest;
                    let ticket = batch.ticket;
                    let loose = RowBatch { stream: None, ticks: loose, checkpoint: None, ticket };
                    assert_eq!(keeper.offer(loose) + keeper.offer(batch), 0);
                    wait_committed(&keeper, ticket);
                }
            }
        }
        let status = keeper.close(LIMIT);
        let rows = next - 1 + bare_rows;
        assert_eq!((status.written, status.duplicates, status.dropped), (rows, 0, 0), "{kind:?} {status:?}");
        check(&place, next - 1, bare_rows);
    }
}

#[test]
fn connections_cut_in_mid_load_lose_and_double_nothing() {
    for kind in [Kind::Alone, Kind::ReplicaSet] {
        let (server, place) = start(kind);
        let keeper = place.keeper();
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let (mut next, mut bare_rows) = (1, 0);
        for _ in 0..8 {
            for _ in 0..random.random_range(5..40) {
                let count = random.random_range(1..200);
                assert_eq!(keeper.offer(stream(next, count)), 0);
                next += count;
                let ticks = vec![bare("BARE", 0, 1.0); 10];
                bare_rows += 10;
                assert_eq!(keeper.offer(RowBatch { stream: None, ticks, checkpoint: None, ticket: next }), 0);
            }
            thread::sleep(Duration::from_millis(random.random_range(0..300)));
            server.cut_all();
        }
        wait_committed(&keeper, next);
        assert_eq!(keeper.close(LIMIT).dropped, 0);
        check(&place, next - 1, bare_rows);
    }
}

#[test]
fn rows_and_checkpoint_are_one_transaction_where_there_are_any() {
    let (server, place) = start(Kind::ReplicaSet);
    let keeper = place.keeper();
    // The checkpoint is written last; without it, the database counts as empty.
    server.fail("commitTransaction", &[Fault::Refuse(14_031, "no space left on the disk")]);
    keeper.offer(stream(1, 10));
    let state = wait_for("the trouble to be told", LIMIT, || match keeper.status().state {
        DbState::Failing(cause) => Some(cause),
        _ => None,
    });
    assert_eq!(state, "no space left on the disk");
    wait_committed(&keeper, 11);
    keeper.close(LIMIT);
    check(&place, 10, 0);
    assert!(server.count("commitTransaction") >= 2);
    let (server, place) = start(Kind::Alone);
    place.keep(vec![stream(1, 10)]);
    assert_eq!(server.count("commitTransaction"), 0, "a server alone has none");
    check(&place, 10, 0);
}

#[test]
fn a_server_that_refuses_is_told_at_once_and_no_password_with_it() {
    let (server, place) = start(Kind::ReplicaSet);
    let address = format!("mongodb://me:s3cret@127.0.0.1:{}/ticks", server.port());
    let url: StoreUrl = address.parse().unwrap();
    let config = DbConfig { url: url.clone(), keep_age_ns: None, rows_waiting_max: 10 };
    for error in [DbWriter::open(config).unwrap_err(), StoreReader::open(&url).unwrap_err()] {
        assert!(matches!(error, DbError::Refused { .. }), "{error}");
        let said = format!("{error} {error:?}");
        assert!(said.contains("?authSource=admin") && said.contains("check user, password"), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    server.fail("listCollections", &[Fault::Refuse(13, "not authorized on ticks to execute command")]);
    let error = StoreReader::open(&place.url).unwrap_err();
    assert!(matches!(&error, DbError::Refused { cause, .. } if cause.contains("not authorized")), "{error}");
}

#[test]
fn an_address_is_shown_without_its_password_and_names_a_database() {
    let url: StoreUrl = "mongodb://me:s3cret%40@a.example,b.example:27018/ticks?replicaSet=r".parse().unwrap();
    assert_eq!(url.to_string(), "mongodb://me@a.example:27017,b.example:27018/ticks");
    assert_eq!(format!("{url:?}"), url.to_string());
    for (text, error) in [
        ("mongodb://u:secret@h", StoreUrlError::MongoDatabase),
        ("mongodb://u:secret@h/?tls=true", StoreUrlError::MongoDatabase),
        ("mongodb://u:se@cret@h/d", StoreUrlError::MongoAddress),
        ("mongodb:secret", StoreUrlError::MongoAddress),
        ("mongodb+srv://u:secret@h/d", StoreUrlError::MongoSrv),
    ] {
        assert_eq!(text.parse::<StoreUrl>(), Err(error), "{text}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
}

#[test]
fn a_server_that_is_away_is_waited_for_and_a_reader_is_told() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url: StoreUrl = format!("mongodb://{nobody}/ticks?serverSelectionTimeoutMS=300").parse().unwrap();
    let error = StoreReader::open(&url).unwrap_err().to_string();
    assert!(error.contains("no server that can be written to answers: Connection refused"), "{error}");
    let keeper = keeper(&url, None);
    let told = wait_for("the trouble to be told", LIMIT, || match keeper.status().state {
        DbState::Failing(cause) => Some(cause),
        _ => None,
    });
    assert!(told.contains("Connection refused"), "{told}");
    assert_eq!(keeper.offer(stream(1, 5)), 0);
    assert_eq!(keeper.close(Duration::from_millis(100)).dropped, 5);
}

#[test]
fn duplicates_are_looked_for_only_after_some_were_met() {
    let (server, place) = start(Kind::ReplicaSet);
    let keeper = place.keeper();
    let keep = |seqs: std::ops::Range<u64>, ticket| {
        let ticks: Vec<_> = seqs.map(|seq| numbered("p", seq, seq as i64, 1.0)).collect();
        keeper.offer(RowBatch { stream: None, ticks, checkpoint: None, ticket });
        wait_committed(&keeper, ticket);
        (server.count("find"), server.count("abortTransaction"))
    };
    let (finds, aborts) = keep(0..10, 1);
    assert_eq!(keep(10..20, 2), (finds + 1, aborts), "one look at the writer's own note a transaction");
    let (after, aborted) = keep(15..25, 3);
    assert!(after > finds + 2 && aborted == aborts + 1, "{after} {aborted}");
    assert_eq!(place.count("ticks"), 25);
}

#[test]
fn a_conflict_hides_no_duplicate_behind_it() {
    let (server, place) = start(Kind::ReplicaSet);
    let keeper = place.keeper();
    let keep = |seqs: std::ops::Range<u64>, ticket| {
        let ticks: Vec<_> = seqs.map(|seq| numbered("p", seq, seq as i64, 1.0)).collect();
        keeper.offer(RowBatch { stream: None, ticks, checkpoint: None, ticket });
        wait_committed(&keeper, ticket);
        server.count("find")
    };
    let finds = keep(0..10, 1);
    server.fail("insert", &[Fault::Conflict]);
    let after = keep(5..15, 2);
    assert!(after >= finds + 3, "a look at the note for each attempt, and one for duplicates: {after} of {finds}");
    assert_eq!(server.count("insert"), 3, "what is known by then is left out at once");
    assert_eq!(place.count("ticks"), 15);
}

#[test]
fn a_note_that_somebody_deleted_is_made_again() {
    for kind in [Kind::Alone, Kind::ReplicaSet] {
        let (_server, place) = start(kind);
        let keeper = place.keeper();
        for ticket in 1..=3 {
            let ticks = vec![numbered("p", ticket, ticket as i64, 1.0)];
            keeper.offer(RowBatch { stream: None, ticks, checkpoint: None, ticket });
            wait_committed(&keeper, ticket);
            place.ask(async |database| {
                database.collection::<Document>("writers").delete_many(doc! {}).await.unwrap();
            });
        }
        let status = keeper.close(LIMIT);
        assert_eq!((status.written, status.dropped), (3, 0), "{kind:?} {status:?}");
        assert_eq!(place.count("ticks"), 3);
    }
}
