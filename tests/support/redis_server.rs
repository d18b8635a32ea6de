//! A redis-server on a private port, and a subscriber that records all messages.

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;
use tickscope::broker::BrokerLimits;

use super::process::{Launch, Running};
use super::server::Embedded;
pub use super::server::free_port;
use super::wait::{wait_for, wait_until};

/// Longest wait for the server; generous, because the machine may be busy.
const LIMIT: Duration = super::wait::GUARD;

/// A running server; killed when dropped.
pub struct RedisServer {
    port: u16,
    password: Option<String>,
    /// Data directory, if the server is persistent.
    dir: Option<TempDir>,
    running: Option<Running>,
}

impl RedisServer {
    /// Starts a server without a password.
    pub fn start() -> Self {
        let mut server = Self { port: free_port(), password: None, dir: None, running: None };
        server.start_again();
        server
    }

    /// Starts a persistent server: every confirmed write is on disk.
    pub fn start_keeping() -> Self {
        let dir = Some(tempfile::tempdir().unwrap());
        let mut server = Self { port: free_port(), password: None, dir, running: None };
        server.start_again();
        server
    }

    /// Starts a server with a password.
    pub fn start_with_password(password: &str) -> Self {
        let mut server = Self { port: free_port(), password: Some(password.to_owned()), dir: None, running: None };
        server.start_again();
        server
    }

    /// Restarts the server on the same port.
    pub fn start_again(&mut self) {
        // No output buffer limit: a subscriber of these tests may be slower than the producer.
        let mut args: Vec<String> =
            ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--client-output-buffer-limit", "pubsub 0 0 0"]
                .map(str::to_owned)
                .into();
        args.extend(["--port".to_owned(), self.port.to_string()]);
        if let Some(password) = &self.password {
            args.extend(["--requirepass".to_owned(), password.clone()]);
        }
        let temporary = std::env::temp_dir();
        let dir = self.dir.as_ref().map_or(temporary.as_path(), |dir| dir.path());
        if self.dir.is_some() {
            args.extend(["--appendonly", "yes", "--appendfsync", "always"].map(str::to_owned));
        }
        self.running = Some(Launch::new("redis-server").args(args).dir(dir).start());
        wait_until("redis-server to answer", LIMIT, || {
            let answer =
                self.client().get_connection().and_then(|mut link| redis::cmd("PING").query::<String>(&mut link));
            answer.is_ok_and(|answer| answer == "PONG")
        });
    }

    /// Kills the server with SIGKILL, as in a crash.
    pub fn kill(&mut self) {
        drop(self.running.take());
    }

    /// Process of the server.
    pub fn process(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Address of the server, with the password if one is set.
    pub fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}", self.port),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// Client of the redis crate, for other commands.
    pub fn client(&self) -> redis::Client {
        redis::Client::open(self.url()).unwrap()
    }

    /// Subscribes to `channel`.
    pub fn subscribe(&self, channel: &str) -> Subscriber {
        Subscriber::start(&self.client(), channel)
    }
}

/// A server of either kind, for tests that run over both.
pub enum Server {
    Redis(RedisServer),
    Embedded(Embedded),
}

impl Server {
    /// Starts a redis-server.
    pub fn redis() -> Self {
        Self::Redis(RedisServer::start())
    }

    /// Starts an embedded broker.
    pub fn embedded() -> Self {
        // As with redis-server above, no output buffer limit.
        let bytes = usize::MAX / 2;
        let limits =
            BrokerLimits { subscriber_hard_bytes: bytes, subscriber_soft_bytes: bytes, ..BrokerLimits::default() };
        Self::Embedded(Embedded::start_with(limits))
    }

    pub fn url(&self) -> String {
        match self {
            Self::Redis(server) => server.url(),
            Self::Embedded(server) => format!("redis://127.0.0.1:{}", server.port),
        }
    }

    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        match self {
            Self::Redis(server) => server.port(),
            Self::Embedded(server) => server.port,
        }
    }

    /// Subscribes to `channel`.
    pub fn subscribe(&self, channel: &str) -> Subscriber {
        Subscriber::start(&redis::Client::open(self.url()).unwrap(), channel)
    }
}

/// Collects published messages.
pub struct Subscriber {
    messages: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
    client: redis::Client,
    channel: String,
}

/// Message that ends a subscriber.
const END: &str = "(the test is over)";

impl Subscriber {
    fn start(client: &redis::Client, channel: &str) -> Self {
        let messages = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&messages);
        let mut connection = client.get_connection().unwrap();
        let name = channel.to_owned();
        let (subscribed, is_subscribed) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let mut pubsub = connection.as_pubsub();
            pubsub.subscribe(&name).unwrap();
            subscribed.send(()).unwrap();
            // An error means that the server is down, so no more messages arrive.
            while let Ok(message) = pubsub.get_message() {
                let payload: String = message.get_payload().unwrap();
                if payload == END {
                    break;
                }
                kept.lock().unwrap().push(payload);
            }
        });
        is_subscribed.recv().unwrap();
        Self { messages, thread: Some(thread), client: client.clone(), channel: channel.to_owned() }
    }

    /// Number of messages received.
    pub fn count(&self) -> usize {
        self.messages.lock().unwrap().len()
    }

    /// Waits until `count` messages have come.
    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        wait_for(&format!("{count} messages"), LIMIT, || (self.count() >= count).then_some(()));
    }

    /// Returns all messages published so far, in order.
    pub fn finish(mut self) -> Vec<String> {
        let mut connection = self.client.get_connection().unwrap();
        redis::cmd("PUBLISH").arg(&self.channel).arg(END).exec(&mut connection).unwrap();
        self.thread.take().unwrap().join().unwrap();
        std::mem::take(&mut self.messages.lock().unwrap())
    }
}
