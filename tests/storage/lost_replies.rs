//! A commit whose reply is lost is retried and changes nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use tickscope::storage::db::{DbState, RowBatch};

use super::fixture::{LIMIT, Place, bare, keeper, wait_committed};
use crate::support::postgres::PostgresServer;

/// Message that ends a transaction: a simple query.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// Proxy that drops the replies to the first `cuts` commits.
fn start_proxy(server: u16, cuts: u32) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let done = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&done);
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", server)).unwrap());
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let counter = Arc::clone(&counter);
            thread::spawn(move || forward(&client, &server, cuts, &counter));
        }
    });
    (port, done)
}

fn forward(client: &TcpStream, server: &TcpStream, cuts: u32, done: &AtomicU32) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut answers = [0; 4_096];
            while let Ok(count @ 1..) = (&*server).read(&mut answers) {
                if (&*client).write_all(&answers[..count]).is_err() {
                    break;
                }
            }
            drop(client.shutdown(Shutdown::Both));
        });
        let mut asked = [0; 4_096];
        while let Ok(count @ 1..) = (&*client).read(&mut asked) {
            let is_commit = asked[..count].ends_with(COMMIT);
            if is_commit && done.fetch_add(1, Ordering::SeqCst) < cuts {
                // The client is disconnected before the server receives the commit.
                drop(client.shutdown(Shutdown::Both));
                drop((&*server).write_all(&asked[..count]));
                thread::sleep(Duration::from_millis(30));
                break;
            }
            if (&*server).write_all(&asked[..count]).is_err() {
                break;
            }
        }
        drop(server.shutdown(Shutdown::Both));
    });
}

#[test]
fn rows_without_any_key_are_not_doubled_by_a_lost_answer() {
    let server = Arc::new(PostgresServer::start());
    let place = Place::on(&server, "lost");
    let schema = place.keeper();
    schema.close(LIMIT);
    let (port, commits) = start_proxy(server.port(), 5);
    let address = server.url("lost").replace(&format!(":{}/", server.port()), &format!(":{port}/"));
    let keeper = keeper(&address.parse().unwrap(), None);
    for ticket in 1..=8 {
        let ticks = vec![bare("A", 0, 1.0); 1_000];
        assert_eq!(keeper.offer(RowBatch { stream: None, ticks, checkpoint: None, ticket }), 0);
        wait_committed(&keeper, ticket);
    }
    let status = keeper.close(LIMIT);
    assert!(commits.load(Ordering::SeqCst) > 5, "the proxy saw no commits");
    assert_eq!((status.written, status.duplicates, status.dropped), (8_000, 0, 0), "{status:?}");
    assert_eq!(status.state, DbState::Writing);
    assert_eq!(place.sql("SELECT count(*) FROM ticks"), "8000");
}
