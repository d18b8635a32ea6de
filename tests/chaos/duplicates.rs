//! Publisher that breaks the ordering which TCP guarantees behind a proxy: it repeats messages, reorders them, and its
//! clock jumps. It sends each message until the server confirms it, so it knows exactly what it has sent.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::plan::Kind;

pub const SOURCE: &str = "unruly";

/// Pause between two messages.
const PAUSE: Duration = Duration::from_millis(20);

/// Timeout of a reply.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Pause between two attempts to connect.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Number of messages kept for repetition.
const REMEMBERED_MAX: usize = 200;

/// Number of messages before the first reordering. A reader that has received this many in order does not mistake a
/// late one for a restart.
const ORDERLY: u64 = 20;

/// Handle of the running publisher.
pub struct Unruly {
    orders: Sender<Kind>,
    thread: JoinHandle<u64>,
}

impl Unruly {
    /// Appends to `stream` and publishes on `channel` through `url`.
    pub fn start(url: &str, stream: &str, channel: &str, seed: u64) -> Self {
        let (orders, ordered) = std::sync::mpsc::channel();
        let client = redis::Client::open(url).unwrap();
        let speaker = Speaker { client, connection: None, stream: stream.to_owned(), channel: channel.to_owned() };
        let thread = thread::spawn(move || run(speaker, &ordered, ChaCha8Rng::seed_from_u64(seed)));
        Self { orders, thread }
    }

    /// Requests the fault.
    pub fn order(&self, kind: Kind) {
        self.orders.send(kind).unwrap();
    }

    /// Stops the publisher once everything is confirmed. Returns the number of its last message.
    pub fn finish(self) -> u64 {
        drop(self.orders);
        self.thread.join().unwrap()
    }
}

fn run(mut speaker: Speaker, ordered: &Receiver<Kind>, mut rng: ChaCha8Rng) -> u64 {
    let (mut seq, mut clock_step_s) = (0, 0_i64);
    let mut said: Vec<String> = Vec::new();
    let make = |seq: &mut u64, clock_step_s: i64| {
        *seq += 1;
        message(*seq, clock_step_s)
    };
    loop {
        let mut batch = vec![make(&mut seq, clock_step_s)];
        match ordered.recv_timeout(PAUSE) {
            Ok(Kind::ClockStep(step_s)) => clock_step_s += step_s,
            Ok(Kind::Repeat(count)) if seq > ORDERLY => {
                let from = said.len().saturating_sub(count);
                batch.extend_from_slice(&said[from..]);
            }
            Ok(Kind::Reorder(count)) if seq > ORDERLY => {
                batch.extend((1..count).map(|_| make(&mut seq, clock_step_s)));
                batch.shuffle(&mut rng);
            }
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                speaker.say(&batch);
                return seq;
            }
        }
        speaker.say(&batch);
        said.extend(batch);
        let excess = said.len().saturating_sub(REMEMBERED_MAX);
        said.drain(..excess);
    }
}

/// Tick in the format of third-party programs.
fn message(seq: u64, clock_step_s: i64) -> String {
    let now_us = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as i64;
    let timestamp_us = now_us + clock_step_s * 1_000_000;
    let (symbol, price) = (["SPY", "QQQ"][(seq % 2) as usize], 100.0 + (seq % 997) as f64 / 8.0);
    let traded = format!(r#""symbol":"{symbol}","price":{price},"timestamp":{timestamp_us}"#);
    format!(r#"{{{traded},"seq":{seq},"source":"{SOURCE}","size":{seq}}}"#)
}

struct Speaker {
    client: redis::Client,
    connection: Option<redis::Connection>,
    stream: String,
    channel: String,
}

impl Speaker {
    /// Sends the messages until all of them are confirmed.
    fn say(&mut self, messages: &[String]) {
        while self.try_say(messages).is_err() {
            self.connection = None;
            thread::sleep(RETRY_AFTER);
        }
    }

    fn try_say(&mut self, messages: &[String]) -> redis::RedisResult<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let connection = self.client.get_connection_with_timeout(ANSWER_TIMEOUT)?;
                connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
                connection.set_write_timeout(Some(ANSWER_TIMEOUT))?;
                none.insert(connection)
            }
        };
        let mut pipeline = redis::pipe();
        for message in messages {
            pipeline.cmd("XADD").arg(&self.stream).arg("*").arg("tick").arg(message).ignore();
            pipeline.cmd("PUBLISH").arg(&self.channel).arg(message).ignore();
        }
        pipeline.query(connection)
    }
}
