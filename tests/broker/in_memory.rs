//! The embedded broker with connections in memory and a simulated clock, as simulations use it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tickscope::broker::{Broker, BrokerClock, BrokerLimits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::Instant;

use super::transcripts::assert_sequence_same;
use crate::support::server::{Embedded, RedisServer, encode};

const BASE_MS: i64 = 1_700_000_000_000;

fn broker(stream_bytes_max: usize) -> Broker {
    let limits = BrokerLimits { stream_bytes_max, ..BrokerLimits::default() };
    Broker::detached(limits, BrokerClock::simulated(BASE_MS))
}

fn connect(broker: &Broker) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    broker.attach(theirs, SocketAddr::from((Ipv4Addr::LOCALHOST, 7)));
    ours
}

async fn send(stream: &mut DuplexStream, command: &str) {
    stream.write_all(&encode(command.split(' '))).await.unwrap();
}

/// Reads as many bytes as `expected` has, and compares them.
async fn expect(stream: &mut DuplexStream, expected: &str) {
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&got), expected);
}

async fn ask(stream: &mut DuplexStream, command: &str, expected: &str) {
    send(stream, command).await;
    expect(stream, expected).await;
}

#[tokio::test(start_paused = true)]
async fn ids_come_from_the_given_clock() {
    let broker = broker(1_000_000);
    let mut client = connect(&broker);
    ask(&mut client, "XADD s * f v", "$15\r\n1700000000000-0\r\n").await;
    ask(&mut client, "XADD s * f v", "$15\r\n1700000000000-1\r\n").await;
    tokio::time::advance(Duration::from_micros(5_500)).await;
    ask(&mut client, "XADD s * f v", "$15\r\n1700000000005-0\r\n").await;
    ask(&mut client, "TIME", "*2\r\n$10\r\n1700000000\r\n$4\r\n5500\r\n").await;
    ask(&mut client, "XADD s 1800000000000-7 f v", "$15\r\n1800000000000-7\r\n").await;
    ask(&mut client, "XADD s * f v", "$15\r\n1800000000000-8\r\n").await;
    ask(&mut client, "XGROUP CREATE s g 1800000000000-7", "+OK\r\n").await;
    let entry = "*2\r\n$15\r\n1800000000000-8\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n";
    ask(&mut client, "XREADGROUP GROUP g c STREAMS s >", &format!("*1\r\n*2\r\n$1\r\ns\r\n*1\r\n{entry}")).await;
    tokio::time::advance(Duration::from_millis(250)).await;
    let pending = "*1\r\n*4\r\n$15\r\n1800000000000-8\r\n$1\r\nc\r\n:250\r\n:1\r\n";
    ask(&mut client, "XPENDING s g IDLE 250 - + 9", pending).await;
    ask(&mut client, "XPENDING s g IDLE 251 - + 9", "*0\r\n").await;
    ask(&mut client, "XAUTOCLAIM s g d 251 0", "*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n").await;
    ask(&mut client, "XCLAIM s g d 250 1800000000000-8 IDLE 100 JUSTID", "*1\r\n$15\r\n1800000000000-8\r\n").await;
    ask(&mut client, "XPENDING s g - + 9", &pending.replace(":250", ":100").replace("\r\nc", "\r\nd")).await;
    assert_eq!(broker.local_addr().port(), 0);
    broker.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_blocking_read_lasts_as_long_as_its_timeout() {
    let broker = broker(1_000_000);
    let (mut reader, mut writer) = (connect(&broker), connect(&broker));
    let start = Instant::now();
    ask(&mut reader, "XREAD BLOCK 86400000 STREAMS s $", "*-1\r\n").await;
    assert_eq!(start.elapsed(), Duration::from_hours(24));
    send(&mut reader, "XREAD BLOCK 9223372036854775807 STREAMS s $").await;
    send(&mut reader, "XREAD BLOCK 0 STREAMS s 1").await;
    tokio::time::sleep(Duration::from_hours(1_000)).await;
    let wake = "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n";
    ask(&mut writer, "XADD s 1-1 f v", "$3\r\n1-1\r\n").await;
    expect(&mut reader, wake).await;
    expect(&mut reader, wake).await;
    assert_eq!(start.elapsed(), Duration::from_hours(1_024));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_closes_blocked_clients() {
    let broker = broker(1_000_000);
    let mut reader = connect(&broker);
    send(&mut reader, "XREAD BLOCK 0 STREAMS s $").await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(broker.stats().clients, 1);
    broker.shutdown().await;
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test(start_paused = true)]
async fn streams_take_no_more_memory_than_their_limit() {
    let broker = broker(200_000);
    let mut client = connect(&broker);
    let value = "x".repeat(1_000);
    let add = format!("XADD s * f {value}");
    let mut added = 0;
    loop {
        send(&mut client, &add).await;
        let mut kind = [0];
        client.read_exact(&mut kind).await.unwrap();
        if kind == *b"-" {
            break;
        }
        let id = format!("{BASE_MS}-{added}");
        expect(&mut client, &format!("{}\r\n{id}\r\n", id.len())).await;
        added += 1;
        assert!(added < 1_000, "200 kB have taken {added} kB");
    }
    assert!(added > 100, "only {added} kB were taken");
    let error = "OOM command not allowed when used memory > 'maxmemory'.\r\n";
    expect(&mut client, error).await;
    ask(&mut client, "XGROUP CREATE s g 0", &format!("-{error}")).await;
    ask(&mut client, "XTRIM s MAXLEN 0", &format!(":{added}\r\n")).await;
    ask(&mut client, "XADD s 1800000000000-0 f v", "$15\r\n1800000000000-0\r\n").await;
    ask(&mut client, "DEL s", ":1\r\n").await;
    send(&mut client, "INFO memory").await;
    let memory = "used_memory:0\r\nmaxmemory:200000\r\n";
    expect(&mut client, "$72\r\n# Memory\r\n").await;
    expect(&mut client, memory).await;
}

#[tokio::test(start_paused = true)]
async fn blocked_reads_are_bounded() {
    const STREAMS: usize = 30_000;
    let broker = broker(1_000_000);
    let keys: Vec<String> = (0..STREAMS).map(|index| format!("key{index:05}")).collect();
    let keys = keys.join(" ");
    let read = format!("XREAD BLOCK 0 STREAMS {keys}{}", " $".repeat(STREAMS));
    let error = "-ERR too many clients wait for too many streams\r\n";
    let mut waiting = Vec::new();
    // 30,000 streams take about 8 MB.
    for _ in 0..8 {
        let mut client = connect(&broker);
        send(&mut client, &read).await;
        waiting.push(client);
    }
    // The paused clock advances once all clients are blocked.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut refused = connect(&broker);
    ask(&mut refused, &read, error).await;
    drop(waiting);
    tokio::time::sleep(Duration::from_secs(1)).await;
    send(&mut refused, &read).await;
    send(&mut refused, "PING").await;
    let mut writer = connect(&broker);
    ask(&mut writer, "XADD key29999 1-1 f v", "$3\r\n1-1\r\n").await;
    expect(&mut refused, "*1\r\n*2\r\n$8\r\nkey29999\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n").await;
    expect(&mut refused, "+PONG\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn attached_connections_are_bounded() {
    const ATTACHED_MAX: usize = 511;
    let broker = broker(1_000_000);
    let mut clients: Vec<DuplexStream> = (0..ATTACHED_MAX + 9).map(|_| connect(&broker)).collect();
    assert_eq!(broker.stats().refused, 9);
    for mut refused in clients.drain(ATTACHED_MAX..) {
        let mut rest = Vec::new();
        refused.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
    }
    for client in &mut clients {
        ask(client, "PING", "+PONG\r\n").await;
    }
    let mut another = connect(&broker);
    ask(&mut another, "PING", "+PONG\r\n").await;
    assert_eq!((broker.stats().refused, broker.stats().clients), (9, ATTACHED_MAX + 1));
}

#[test]
fn a_simulation_is_repeatable() {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let broker = broker(1_000_000);
            let mut clients: Vec<DuplexStream> = (0..4).map(|_| connect(&broker)).collect();
            send(&mut clients[0], "XGROUP CREATE s g $ MKSTREAM").await;
            for round in 0..50_u64 {
                for (index, client) in clients.iter_mut().enumerate() {
                    send(client, &format!("XADD s MAXLEN ~ 100 * f {round}")).await;
                    send(client, &format!("XREADGROUP GROUP g c{index} BLOCK 5 STREAMS s >")).await;
                    send(client, "KEYS *").await;
                    tokio::time::sleep(Duration::from_millis(round % 4)).await;
                }
            }
            tokio::time::sleep(Duration::from_mins(1)).await;
            broker.shutdown().await;
            let mut replies = Vec::new();
            for client in &mut clients {
                client.read_to_end(&mut replies).await.unwrap();
            }
            replies
        })
    };
    let first = run();
    assert!(first.len() > 10_000);
    assert_eq!(first, run());
}

/// Checks the error for streams when neither the broker nor redis-server has any memory for them.
#[test]
fn without_memory_the_same_commands_are_refused_as_by_redis() {
    let redis = RedisServer::start_with(&["--maxmemory", "1"]);
    let embedded = Embedded::start_with(BrokerLimits { stream_bytes_max: 0, ..BrokerLimits::default() });
    for sequence in [
        &["XADD s 1-1 f v", "XGROUP CREATE s g 0 MKSTREAM", "XLEN s", "XTRIM s MAXLEN 1", "PING", "PUBLISH c x"][..],
        &[
            "MULTI",
            "XADD s 1-1 f v",
            "PING",
            "EXEC",
            "MULTI",
            "PING",
            "DISCARD",
            "MULTI",
            "MULTI",
            "EXEC",
            "XADD s x f v",
        ],
        &["XADD s", "XREAD STREAMS s 0", "XGROUP CREATECONSUMER s g c", "DEL s", "XGROUP DESTROY s g"],
    ] {
        assert_sequence_same(&redis, &embedded, &[], sequence);
    }
}
