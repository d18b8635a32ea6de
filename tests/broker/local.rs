//! Who serves the loopback port.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use tickscope::broker::{Local, LocalError, Role};
use tokio::runtime::Runtime;

use crate::support::server::{LIMIT, RedisServer, Wire, free_port};
use crate::support::wait::wait_until;

#[test]
fn the_first_owns_the_port_and_the_one_that_stays_takes_over() {
    let runtime = Runtime::new().unwrap();
    let port = free_port();
    let (mut first, mut second) = (Local::new(port), Local::new(port));
    runtime.block_on(async {
        assert_eq!(first.ensure().await.unwrap(), Role::Owner);
        assert_eq!(first.ensure().await.unwrap(), Role::Owner);
        assert_eq!(second.ensure().await.unwrap(), Role::Guest);
        assert!(second.stats().is_none());
    });
    let mut guest = Wire::connect(port);
    guest.ask("SUBSCRIBE c");
    // The second one looked whether the port is served; its connection ends a moment after it.
    wait_until("nobody but the guest", LIMIT, || first.stats().map(|stats| stats.clients) == Some(1));
    runtime.block_on(async {
        first.shutdown().await;
        assert_eq!(second.ensure().await.unwrap(), Role::Owner);
    });
    assert!(guest.rest().is_empty());
    let mut subscriber = Wire::connect(port);
    subscriber.ask("SUBSCRIBE c");
    assert_eq!(Wire::connect(port).ask("PUBLISH c x"), ":1\r\n");
    runtime.block_on(second.shutdown());
    // The runtime counts a task until shortly after its end was reported.
    wait_until("the last task to be forgotten", LIMIT, || runtime.metrics().num_alive_tasks() == 0);
}

#[test]
fn of_many_that_start_together_one_owns_the_port() {
    let port = free_port();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let starts: Vec<_> = (0..8)
            .map(|_| {
                tokio::spawn(async move {
                    let mut local = Local::new(port);
                    let role = local.ensure().await;
                    (local, role)
                })
            })
            .collect();
        let mut locals = Vec::new();
        for start in starts {
            let (local, role) = start.await.unwrap();
            locals.push((local, role.unwrap()));
        }
        assert_eq!(locals.iter().filter(|(_, role)| *role == Role::Owner).count(), 1);
    });
}

#[test]
fn a_redis_that_is_there_is_used() {
    let redis = RedisServer::start();
    let runtime = Runtime::new().unwrap();
    let mut local = Local::new(redis.port);
    assert_eq!(runtime.block_on(local.ensure()).unwrap(), Role::Guest);
    let port = redis.port;
    drop(redis);
    wait_until("the port to be free", LIMIT, || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    assert_eq!(runtime.block_on(local.ensure()).unwrap(), Role::Owner);
}

#[test]
fn a_redis_with_a_password_asks_for_it() {
    let redis = RedisServer::start_with(&["--requirepass", "s3cret"]);
    let error = Runtime::new().unwrap().block_on(Local::new(redis.port).ensure()).unwrap_err();
    assert!(matches!(error, LocalError::NeedsPassword { port } if port == redis.port), "{error}");
    assert!(error.to_string().contains("--redis"), "{error}");
}

#[test]
fn another_program_on_the_port_is_named() {
    /// What a program that is no Redis does with a client.
    type Manner = fn(&mut std::net::TcpStream);
    let manners: [(&str, Manner); 3] = [
        ("a web server", |stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap()),
        ("one that hangs up", |_| {}),
        ("one that says nothing", |stream| {
            // It ends when the other side has given up.
            drop(stream.read_to_end(&mut Vec::new()));
        }),
    ];
    let runtime = Runtime::new().unwrap();
    for (what, manner) in manners {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                manner(&mut stream.unwrap());
            }
        });
        let error = runtime.block_on(Local::new(port).ensure()).unwrap_err();
        assert!(matches!(error, LocalError::NotRedis { port: named } if named == port), "{what}: {error}");
    }
}
