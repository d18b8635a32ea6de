//! The loopback port that is used when no Redis is named.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use tickscope::broker::{LocalRedis, LocalRedisError, ServedBy};
use tokio::runtime::Runtime;

use crate::support::server::{LIMIT, RedisServer, Wire, free_port};
use crate::support::wait::wait_until;

#[test]
fn the_first_program_serves_the_port_and_the_second_takes_over() {
    let runtime = Runtime::new().unwrap();
    let port = free_port();
    let (mut first, mut second) = (LocalRedis::new(port), LocalRedis::new(port));
    runtime.block_on(async {
        assert_eq!(first.ensure_served().await.unwrap(), ServedBy::ThisProgram);
        assert_eq!(first.ensure_served().await.unwrap(), ServedBy::ThisProgram);
        assert_eq!(second.ensure_served().await.unwrap(), ServedBy::OtherProgram);
        assert!(second.stats().is_none());
    });
    let mut guest = Wire::connect(port);
    guest.ask("SUBSCRIBE c");
    // The connection by which the second one probed the port ends a moment later.
    wait_until("only the guest to be connected", LIMIT, || first.stats().map(|stats| stats.clients) == Some(1));
    runtime.block_on(async {
        first.shutdown().await;
        assert_eq!(second.ensure_served().await.unwrap(), ServedBy::ThisProgram);
    });
    assert!(guest.rest().is_empty());
    let mut subscriber = Wire::connect(port);
    subscriber.ask("SUBSCRIBE c");
    assert_eq!(Wire::connect(port).ask("PUBLISH c x"), ":1\r\n");
    runtime.block_on(second.shutdown());
    // The runtime counts a task until shortly after its end was reported.
    wait_until("the last task to end", LIMIT, || runtime.metrics().num_alive_tasks() == 0);
}

#[test]
fn one_of_many_programs_that_start_together_serves_the_port() {
    let port = free_port();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let starts: Vec<_> = (0..8)
            .map(|_| {
                tokio::spawn(async move {
                    let mut local = LocalRedis::new(port);
                    let served_by = local.ensure_served().await;
                    (local, served_by)
                })
            })
            .collect();
        let mut locals = Vec::new();
        for start in starts {
            let (local, served_by) = start.await.unwrap();
            locals.push((local, served_by.unwrap()));
        }
        assert_eq!(locals.iter().filter(|(_, served_by)| *served_by == ServedBy::ThisProgram).count(), 1);
    });
}

#[test]
fn an_existing_redis_is_used() {
    let redis = RedisServer::start();
    let runtime = Runtime::new().unwrap();
    let mut local = LocalRedis::new(redis.port);
    assert_eq!(runtime.block_on(local.ensure_served()).unwrap(), ServedBy::OtherProgram);
    let port = redis.port;
    drop(redis);
    wait_until("the port to be free", LIMIT, || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    assert_eq!(runtime.block_on(local.ensure_served()).unwrap(), ServedBy::ThisProgram);
}

#[test]
fn a_redis_that_requires_a_password_is_reported() {
    let redis = RedisServer::start_with(&["--requirepass", "s3cret"]);
    let error = Runtime::new().unwrap().block_on(LocalRedis::new(redis.port).ensure_served()).unwrap_err();
    assert!(matches!(error, LocalRedisError::NeedsPassword { port } if port == redis.port), "{error}");
    assert!(error.to_string().contains("--redis"), "{error}");
}

#[test]
fn another_program_on_the_port_is_reported() {
    /// Behavior of a program that is not a Redis.
    type Behavior = fn(&mut std::net::TcpStream);
    let behaviors: [(&str, Behavior); 3] = [
        ("a web server", |stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap()),
        ("one that closes the connection", |_| {}),
        ("one that sends nothing", |stream| {
            // Returns when the other side closes the connection.
            drop(stream.read_to_end(&mut Vec::new()));
        }),
    ];
    let runtime = Runtime::new().unwrap();
    for (what, behavior) in behaviors {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                behavior(&mut stream.unwrap());
            }
        });
        let error = runtime.block_on(LocalRedis::new(port).ensure_served()).unwrap_err();
        assert!(matches!(error, LocalRedisError::NotRedis { port: named } if named == port), "{what}: {error}");
    }
}
