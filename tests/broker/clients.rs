//! The redis crate, with redis-server and with the embedded broker.

use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, AsyncConnectionConfig, Client, PushKind, Value};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::support::server::{LIMIT, Wire, encode, on_both};

fn run<F: Future>(test: F) -> F::Output {
    Runtime::new().unwrap().block_on(async { tokio::time::timeout(LIMIT, test).await.expect("the test hangs") })
}

fn client(port: u16, query: &str) -> Client {
    Client::open(format!("redis://127.0.0.1:{port}/{query}")).unwrap()
}

async fn connection(client: &Client) -> MultiplexedConnection {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

#[test]
fn subscriptions_by_name_and_by_pattern() {
    on_both(|server, port| {
        run(async {
            let client = client(port, "");
            let mut pubsub = client.get_async_pubsub().await.unwrap();
            pubsub.subscribe("plain").await.unwrap();
            pubsub.psubscribe("ticks.*").await.unwrap();
            let mut publisher = connection(&client).await;
            for (channel, text, receivers) in
                [("plain", "a", 1), ("ticks.A", "b", 1), ("ticks", "c", 0), ("ticks.B", "", 1), ("plain", "\0\r\n", 1)]
            {
                let got: usize = publisher.publish(channel, text).await.unwrap();
                assert_eq!(got, receivers, "{server}: receivers on {channel}");
            }
            let mut messages = pubsub.on_message();
            for (channel, text, pattern) in [
                ("plain", "a", None),
                ("ticks.A", "b", Some("ticks.*")),
                ("ticks.B", "", Some("ticks.*")),
                ("plain", "\0\r\n", None),
            ] {
                let message = messages.next().await.unwrap();
                assert_eq!(message.get_channel_name(), channel, "{server}");
                assert_eq!(message.get_payload_bytes(), text.as_bytes(), "{server}");
                assert_eq!(message.get_pattern::<Option<String>>().unwrap().as_deref(), pattern, "{server}");
            }
            drop(messages);
            pubsub.unsubscribe("plain").await.unwrap();
            let left: usize = publisher.publish("plain", "d").await.unwrap();
            assert_eq!(left, 0, "{server}");
        });
    });
}

#[test]
fn resp3_pushes_messages() {
    on_both(|server, port| {
        run(async {
            let client = client(port, "?protocol=resp3");
            let (sender, mut pushes) = mpsc::unbounded_channel();
            let config = AsyncConnectionConfig::new().set_push_sender(sender);
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
            connection.subscribe("a").await.unwrap();
            assert_eq!(pushes.recv().await.unwrap().kind, PushKind::Subscribe, "{server}");
            let receivers: usize = connection.publish("a", "to myself").await.unwrap();
            assert_eq!(receivers, 1, "{server}");
            let push = pushes.recv().await.unwrap();
            assert_eq!(push.kind, PushKind::Message, "{server}");
            assert_eq!(
                push.data,
                [Value::BulkString(b"a".to_vec()), Value::BulkString(b"to myself".to_vec())],
                "{server}"
            );
        });
    });
}

#[test]
fn a_pipeline_of_messages_arrives_whole_and_in_order() {
    const MESSAGES: usize = 30_000;
    on_both(|server, port| {
        run(async {
            let client = client(port, "");
            let mut pubsub = client.get_async_pubsub().await.unwrap();
            pubsub.psubscribe("t*").await.unwrap();
            let mut publisher = connection(&client).await;
            // Two alternating channels, then one: messages are delivered singly, and then in batches.
            let channel = |index: usize| if index < MESSAGES / 3 { ["t1", "t2"][index % 2] } else { "t3" };
            let mut pipeline = redis::pipe();
            for index in 0..MESSAGES {
                pipeline.publish(channel(index), index);
            }
            let receivers: Vec<usize> = pipeline.query_async(&mut publisher).await.unwrap();
            assert_eq!(receivers, vec![1; MESSAGES], "{server}");
            let mut messages = pubsub.on_message();
            for index in 0..MESSAGES {
                let message = messages.next().await.unwrap();
                assert_eq!(message.get_payload::<usize>().unwrap(), index, "{server}");
                assert_eq!(message.get_channel_name(), channel(index), "{server}");
            }
        });
    });
}

#[test]
fn messages_of_all_sizes_arrive_whole() {
    on_both(|server, port| {
        run(async {
            let client = client(port, "");
            let mut pubsub = client.get_async_pubsub().await.unwrap();
            pubsub.subscribe("sizes").await.unwrap();
            let mut publisher = connection(&client).await;
            let sizes = [0, 1, 100, 16_383, 16_384, 65_535, 65_536, 65_537, 1_000_000, 7, 4_000_000];
            let payload = |size: usize| (0..size).map(|at| (at % 251) as u8).collect::<Vec<u8>>();
            let send = async {
                for size in sizes {
                    let receivers: usize = publisher.publish("sizes", payload(size)).await.unwrap();
                    assert_eq!(receivers, 1, "{server}");
                }
            };
            let mut messages = pubsub.on_message();
            let receive = async {
                for size in sizes {
                    let message = messages.next().await.unwrap();
                    assert!(
                        message.get_payload_bytes() == payload(size),
                        "{server}: a message of {size} bytes differs"
                    );
                }
            };
            tokio::join!(send, receive);
        });
    });
}

#[test]
fn transactions_are_not_interleaved() {
    const ROUNDS: usize = 200;
    const MESSAGES: usize = 20;
    on_both(|server, port| {
        run(async {
            let client = client(port, "");
            let mut pubsub = client.get_async_pubsub().await.unwrap();
            pubsub.subscribe("t").await.unwrap();
            let publish = |name: &'static str| {
                let client = client.clone();
                async move {
                    let mut connection = connection(&client).await;
                    for _ in 0..ROUNDS {
                        let mut pipeline = redis::pipe();
                        pipeline.atomic();
                        for _ in 0..MESSAGES {
                            pipeline.publish("t", name);
                        }
                        let receivers: Vec<usize> = pipeline.query_async(&mut connection).await.unwrap();
                        assert_eq!(receivers, [1; MESSAGES]);
                    }
                }
            };
            let (one, two) = (tokio::spawn(publish("one")), tokio::spawn(publish("two")));
            let mut messages = pubsub.on_message();
            for round in 0..2 * ROUNDS {
                let first = messages.next().await.unwrap();
                for _ in 1..MESSAGES {
                    let next = messages.next().await.unwrap();
                    assert_eq!(next.get_payload_bytes(), first.get_payload_bytes(), "{server}: block {round}");
                }
            }
            one.await.unwrap();
            two.await.unwrap();
        });
    });
}

/// Subscribers come and go while two publishers send without pause. Between the confirmations of SUBSCRIBE and
/// UNSUBSCRIBE, each receives every message of each publisher once and in order, and none outside of them.
#[test]
fn messages_arrive_exactly_while_a_subscription_lasts() {
    on_both(|server, port| {
        let publishers: Vec<_> = ["p", "q"]
            .map(|name| {
                let (stop, stopped) = std::sync::mpsc::channel::<()>();
                let thread = std::thread::spawn(move || {
                    let mut wire = Wire::connect(port);
                    let mut index = 0_u64;
                    while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                        let texts: Vec<String> = (index..index + 50).map(|index| format!("{name}{index}")).collect();
                        let publish = |text: &String| encode(["PUBLISH", "c", text].into_iter());
                        wire.send(&texts.iter().flat_map(publish).collect::<Vec<u8>>());
                        for _ in &texts {
                            wire.value();
                        }
                        index += 50;
                    }
                });
                (stop, thread)
            })
            .into();
        for round in 0..20 {
            let mut wire = Wire::connect(port);
            assert_eq!(
                wire.ask("SUBSCRIBE c"),
                "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
                "{server}, round {round}"
            );
            let mut next: [Option<u64>; 2] = [None; 2];
            for count in 0.. {
                if count == 500 {
                    wire.command("UNSUBSCRIBE c");
                }
                let value = wire.value();
                let words: Vec<&str> = value.split("\r\n").collect();
                if words[2] == "unsubscribe" {
                    break;
                }
                let (name, index) = words[6].split_at(1);
                let (publisher, index) = (usize::from(name == "q"), index.parse::<u64>().unwrap());
                assert!(next[publisher].is_none_or(|next| next == index), "{server}: {name}{index} after {next:?}");
                next[publisher] = Some(index + 1);
            }
            assert_eq!(wire.ask("PING"), "+PONG\r\n", "{server}: nothing follows UNSUBSCRIBE");
        }
        for (stop, thread) in publishers {
            stop.send(()).unwrap();
            thread.join().unwrap();
        }
    });
}
