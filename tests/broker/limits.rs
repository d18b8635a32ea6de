//! Limits of the embedded broker: slow, greedy, malformed and too many clients, and its shutdown.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use socket2::{Domain, Socket, Type};
use tickscope::broker::{Broker, BrokerLimits};

use crate::support::server::{Embedded, LIMIT, Wire, encode};
use crate::support::wait::{wait_for, wait_until};

/// Connects with the smallest receive buffer, so that unread messages soon wait in the broker.
fn narrow(port: u16) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    Wire { stream: socket.into() }
}

/// Publishes messages `from..from + 100` of about 1 kB on `c`, and returns the reply to the last one.
fn publish_round(publisher: &mut Wire, from: usize) -> String {
    let publish = |index: usize| encode(["PUBLISH", "c", &message(index)].into_iter());
    publisher.send(&(from..from + 100).flat_map(publish).collect::<Vec<u8>>());
    (0..100).map(|_| publisher.value()).last().unwrap()
}

fn message(index: usize) -> String {
    format!("{index:01000}")
}

fn received(index: usize) -> String {
    format!("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1000\r\n{}\r\n", message(index))
}

fn read_round(subscriber: &mut Wire, from: usize) {
    for index in from..from + 100 {
        assert_eq!(subscriber.value(), received(index));
    }
}

/// Publishes until the broker disconnects one client, while `reader` reads everything. Returns the number of messages.
fn publish_until_disconnect(embedded: &Embedded, reader: &mut Wire) -> usize {
    let mut publisher = Wire::connect(embedded.port);
    let mut sent = 0;
    // The kernel's buffers are full after some megabytes.
    while embedded.stats().slow_consumers == 0 {
        assert!(sent < 100_000, "100 MB went to a client that reads nothing");
        publish_round(&mut publisher, sent);
        read_round(reader, sent);
        sent += 100;
    }
    assert_eq!(publish_round(&mut publisher, sent), ":1\r\n", "the reader alone is left");
    read_round(reader, sent);
    sent
}

#[test]
fn a_slow_subscriber_is_disconnected_and_others_are_not_affected() {
    let limits = BrokerLimits { subscriber_hard_bytes: 256 * 1024, ..BrokerLimits::default() };
    let embedded = Embedded::start_with(limits);
    let (mut stalled, mut reader) = (narrow(embedded.port), Wire::connect(embedded.port));
    stalled.ask("SUBSCRIBE c");
    reader.ask("SUBSCRIBE c");
    let sent = publish_until_disconnect(&embedded, &mut reader);
    let mut got = Vec::new();
    // A reset of the connection is reported as an error.
    drop(stalled.stream.read_to_end(&mut got));
    let expected: String = (0..sent).map(received).collect();
    assert!(expected.as_bytes().starts_with(&got), "it received a prefix of the messages");
    wait_until("the broker to remove the client", LIMIT, || embedded.stats().clients == 1);
    let stats = embedded.stats();
    assert_eq!((stats.slow_consumers, stats.published), (1, sent as u64 + 100));
}

#[test]
fn the_soft_limit_disconnects_after_its_time() {
    let limits = BrokerLimits {
        subscriber_soft_bytes: 64 * 1024,
        subscriber_soft_time: Duration::from_millis(50),
        ..BrokerLimits::default()
    };
    let embedded = Embedded::start_with(limits);
    let (mut stalled, mut reader) = (narrow(embedded.port), Wire::connect(embedded.port));
    stalled.ask("SUBSCRIBE c");
    reader.ask("SUBSCRIBE c");
    publish_until_disconnect(&embedded, &mut reader);
    wait_until("the broker to remove the client", LIMIT, || embedded.stats().clients <= 2);
}

/// Returns the bytes in the output buffer of the client with this name, from CLIENT LIST.
fn waiting_bytes(wire: &mut Wire, name: &str) -> usize {
    let list = wire.ask("CLIENT LIST");
    let line = list.lines().find(|line| line.contains(&format!(" name={name} "))).unwrap();
    let omem = line.split(' ').find_map(|field| field.strip_prefix("omem=")).unwrap();
    omem.parse().unwrap()
}

#[test]
fn commands_of_a_client_that_reads_no_replies_wait_and_no_reply_is_lost() {
    const ECHOES: usize = 1_000;
    const BOUND_BYTES: usize = 16 * 1024 * 1024;
    let embedded = Embedded::start();
    let mut greedy = narrow(embedded.port);
    greedy.ask("CLIENT SETNAME greedy");
    let text = "x".repeat(64 * 1024);
    let command = encode(["ECHO", &text].into_iter());
    let mut sender = greedy.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || (0..ECHOES).for_each(|_| sender.write_all(&command).unwrap()));
    let mut other = Wire::connect(embedded.port);
    let full = wait_for("its replies to fill up", LIMIT, || {
        let waiting = waiting_bytes(&mut other, "greedy");
        (waiting >= BOUND_BYTES).then_some(waiting)
    });
    assert!(full < BOUND_BYTES + 1024 * 1024, "{full} bytes wait");
    let reply = format!("$65536\r\n{text}\r\n");
    for echo in 0..ECHOES {
        assert!(greedy.value() == reply, "reply {echo} differs");
    }
    writer.join().unwrap();
    assert_eq!(greedy.ask("PING"), "+PONG\r\n");
}

#[test]
fn a_client_above_the_limit_is_refused() {
    let embedded = Embedded::start_with(BrokerLimits { clients_max: 2, ..BrokerLimits::default() });
    let (mut one, mut two) = (Wire::connect(embedded.port), Wire::connect(embedded.port));
    one.ask("PING");
    two.ask("PING");
    assert_eq!(Wire::connect(embedded.port).rest(), b"-ERR max number of clients reached\r\n");
    two.command("QUIT");
    two.rest();
    wait_until("the place to be free", LIMIT, || embedded.stats().clients == 1);
    assert_eq!(Wire::connect(embedded.port).ask("PING"), "+PONG\r\n");
    assert_eq!((embedded.stats().refused, embedded.stats().connections), (1, 4));
}

#[test]
fn subscriptions_are_bounded() {
    let embedded = Embedded::start();
    let mut wire = Wire::connect(embedded.port);
    let names: Vec<String> = (0..=16 * 1024).map(|index| format!("c{index}")).collect();
    wire.send(&encode(["SUBSCRIBE"].into_iter().chain(names.iter().map(String::as_str))));
    let answers: Vec<String> = names.iter().map(|_| wire.value()).collect();
    assert!(answers[16 * 1024 - 1].ends_with(":16384\r\n"));
    assert!(answers[16 * 1024].starts_with("-ERR too many subscriptions"));
    let long = "x".repeat(5 * 1024 * 1024);
    let mut wire = Wire::connect(embedded.port);
    assert!(wire.ask(&format!("SUBSCRIBE {long}")).starts_with("-ERR too many subscriptions"));
    assert_eq!(wire.ask("PUBSUB NUMSUB c0"), "*2\r\n$2\r\nc0\r\n:1\r\n");
}

#[test]
fn transactions_are_bounded() {
    let embedded = Embedded::start();
    let mut wire = Wire::connect(embedded.port);
    assert_eq!(wire.ask("MULTI"), "+OK\r\n");
    let echo = format!("ECHO {}", "x".repeat(1024 * 1024));
    let refused = (0..100).map(|_| wire.ask(&echo)).find(|answer| answer != "+QUEUED\r\n").unwrap();
    assert!(refused.starts_with("-ERR the transaction is longer than"), "{refused}");
    assert!(wire.ask("EXEC").starts_with("-EXECABORT"));
    assert_eq!(wire.ask("PING"), "+PONG\r\n");
}

#[test]
fn malformed_input_affects_only_its_sender() {
    let embedded = Embedded::start();
    let mut steady = Wire::connect(embedded.port);
    steady.ask("SUBSCRIBE c");
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let tokens: [&[u8]; 12] = [
        b"*3\r\n",
        b"*1\r\n",
        b"$4\r\n",
        b"PING\r\n",
        b"$-1\r\n",
        b"*99999999\r\n",
        b"PUBLISH c \"",
        b"\r\n",
        b"\0",
        b"MULTI\r\n",
        b"$16777216\r\n",
        b"\xff\xfe",
    ];
    for _ in 0..300 {
        let mut wire = Wire::connect(embedded.port);
        let parts = rng.random_range(1..30);
        let bytes: Vec<u8> = (0..parts).flat_map(|_| tokens[rng.random_range(0..tokens.len())].to_vec()).collect();
        // The broker may close the connection before everything is written.
        drop(wire.stream.write_all(&bytes));
    }
    wait_until("the other clients to be removed", LIMIT, || embedded.stats().clients == 1);
    assert_eq!(Wire::connect(embedded.port).ask("PUBLISH c well"), ":1\r\n");
    assert!(steady.value().ends_with("$4\r\nwell\r\n"));
}

#[test]
fn a_shutdown_delivers_queued_messages_and_leaves_no_task() {
    let mut embedded = Embedded::start();
    let port = embedded.port;
    let (mut subscriber, mut idle, mut stalled) = (Wire::connect(port), Wire::connect(port), narrow(port));
    subscriber.ask("SUBSCRIBE c");
    stalled.ask("SUBSCRIBE c");
    idle.ask("PING");
    let mut publisher = Wire::connect(port);
    for round in 0..20 {
        publish_round(&mut publisher, round * 100);
    }
    embedded.shutdown();
    drop(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free at once"));
    for round in 0..20 {
        read_round(&mut subscriber, round * 100);
    }
    assert!(subscriber.rest().is_empty() && idle.rest().is_empty());
    drop(stalled.stream.read_to_end(&mut Vec::new()));
    // The runtime counts a task until shortly after its end was reported.
    wait_until("the last task to end", LIMIT, || embedded.runtime.metrics().num_alive_tasks() == 0);
    let again = embedded.runtime.block_on(Broker::bind(port, BrokerLimits::default())).unwrap();
    assert!(again.is_serving() && again.local_addr().port() == port);
}

#[test]
fn a_dropped_broker_closes_its_connections() {
    let mut embedded = Embedded::start();
    let mut idle = Wire::connect(embedded.port);
    idle.ask("PING");
    embedded.abandon();
    assert!(idle.rest().is_empty());
    wait_until("all tasks to end", LIMIT, || embedded.runtime.metrics().num_alive_tasks() == 0);
    drop(TcpListener::bind((Ipv4Addr::LOCALHOST, embedded.port)).expect("the port is free"));
}

#[test]
fn a_listener_that_other_machines_can_reach_is_refused() {
    let embedded = Embedded::start();
    let served = embedded.runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        Broker::serve(listener, BrokerLimits::default())
    });
    assert_eq!(served.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}
