//! Subscriptions of the redis crate as its users write them: a message, its payload as text, and a struct by
//! `serde_json`.

use std::hint::black_box;
use std::io;

use futures_util::StreamExt as _;
use redis::{Client, Msg, RedisResult};
use serde::Deserialize;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::tally::{Tally, until_stdin_ends};

/// Struct that a user of the wire format declares.
#[derive(Deserialize)]
#[expect(dead_code, reason = "a user would read these fields; here they are only parsed")]
struct Tick {
    symbol: String,
    price: f64,
    timestamp: f64,
}

/// Uses the blocking `PubSub`.
pub(crate) fn blocking(port: u16, channel: &str) -> io::Result<Value> {
    let mut connection = client(port)?.get_connection().map_err(io::Error::other)?;
    let channel = channel.to_owned();
    until_stdin_ends(move |tally| {
        let mut pubsub = connection.as_pubsub();
        if pubsub.subscribe(channel).is_err() {
            return;
        }
        let mut reader = Reader::default();
        while let Ok(message) = pubsub.get_message() {
            reader.take(&message, tally);
        }
    })
}

/// Uses the asynchronous `PubSub`, on tokio's default runtime.
pub(crate) fn asynchronous(port: u16, channel: &str) -> io::Result<Value> {
    let (client, runtime, channel) = (client(port)?, Runtime::new()?, channel.to_owned());
    until_stdin_ends(move |tally| {
        // A lost connection ends the stream, and no further work remains.
        let _ = runtime.block_on(listen(&client, &channel, tally));
    })
}

async fn listen(client: &Client, channel: &str, tally: &Tally) -> RedisResult<()> {
    let mut pubsub = client.get_async_pubsub().await?;
    pubsub.subscribe(channel).await?;
    let mut messages = pubsub.on_message();
    let mut reader = Reader::default();
    while let Some(message) = messages.next().await {
        reader.take(&message, tally);
    }
    Ok(())
}

fn client(port: u16) -> io::Result<Client> {
    Client::open(format!("redis://127.0.0.1:{port}")).map_err(io::Error::other)
}

#[derive(Default)]
struct Reader {
    messages: u64,
    bad: u64,
}

impl Reader {
    fn take(&mut self, message: &Msg, tally: &Tally) {
        self.messages += 1;
        let text: RedisResult<String> = message.get_payload();
        match text.ok().and_then(|text| serde_json::from_str::<Tick>(&text).ok()) {
            Some(tick) => drop(black_box(tick)),
            None => {
                self.bad += 1;
                tally.set_bad(self.bad);
            }
        }
        tally.set_messages(self.messages);
    }
}
