//! A redis-server and an embedded broker, so that one test runs over both, and a client that exposes every byte.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tickscope::broker::{Broker, BrokerLimits, BrokerStats};
use tokio::runtime::Runtime;

use super::wait::{poll, wait_until};

/// Limit of every wait. It only bounds a failed test: the expected events occur quickly.
pub const LIMIT: Duration = super::wait::GUARD;

/// A private redis-server; killed when dropped.
pub struct RedisServer {
    child: Child,
    pub port: u16,
    _dir: TempDir,
}

impl RedisServer {
    /// Starts an empty server without a password.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with additional command-line options.
    pub fn start_with(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(options)
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server did not start: {error}; run `scripts/test install`"));
        let mut server = Self { child, port, _dir: dir };
        wait_until("redis-server to listen", LIMIT, || {
            assert_eq!(server.child.try_wait().unwrap(), None, "redis-server ended at once");
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        server
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An embedded broker with a separate runtime.
pub struct Embedded {
    pub runtime: Runtime,
    broker: Option<Broker>,
    pub port: u16,
}

impl Embedded {
    /// Starts a broker with the limits of Redis.
    pub fn start() -> Self {
        Self::start_with(BrokerLimits::default())
    }

    /// Starts a broker with other limits.
    pub fn start_with(limits: BrokerLimits) -> Self {
        let runtime = Runtime::new().unwrap();
        let broker = runtime.block_on(Broker::bind(0, limits)).unwrap();
        let port = broker.local_addr().port();
        Self { runtime, broker: Some(broker), port }
    }

    /// Counters of the broker.
    pub fn stats(&self) -> BrokerStats {
        self.broker.as_ref().unwrap().stats()
    }

    /// Shuts the broker down gracefully; the runtime keeps running.
    pub fn shutdown(&mut self) {
        self.runtime.block_on(self.broker.take().unwrap().shutdown());
    }

    /// Stops the broker without waiting.
    pub fn abandon(&mut self) {
        drop(self.broker.take());
    }
}

/// Runs `test` over a redis-server, then over an embedded broker, with the name and port of the server as arguments.
pub fn on_both(test: impl Fn(&str, u16)) {
    let redis = RedisServer::start();
    test("redis-server", redis.port);
    let embedded = Embedded::start();
    test("the embedded broker", embedded.port);
}

/// Returns a free port, which no other test gets while this program runs. It is below the range of ephemeral ports, so
/// no outgoing connection takes it. While no server listens on it, before the start of a server or between two runs,
/// a UDP socket on the same number, held until the program exits, reserves it against other test programs.
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static HELD: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    // Programs that start at the same time thus seldom try the same port.
    let start = (std::process::id() % 600) as u16 * 20;
    poll(LIMIT, || {
        let port = FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        HELD.lock().unwrap_or_else(PoisonError::into_inner).push(held);
        Some(port)
    })
    .expect("some port is free")
}

/// Raw connection that exposes every byte.
pub struct Wire {
    pub stream: TcpStream,
}

impl Wire {
    /// Connects; every read fails after [`LIMIT`].
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self { stream }
    }

    /// Sends bytes unchanged.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a command, given as words separated by spaces.
    pub fn command(&mut self, words: &str) {
        self.send(&encode(words.split(' ')));
    }

    /// Sends a command and reads one reply.
    pub fn ask(&mut self, words: &str) -> String {
        self.command(words);
        self.value()
    }

    /// Reads one complete value in its encoded form, with all elements of an array.
    pub fn value(&mut self) -> String {
        let mut bytes = Vec::new();
        self.value_into(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn value_into(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        while !out[start..].ends_with(b"\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            out.push(byte[0]);
        }
        let head = std::str::from_utf8(&out[start + 1..out.len() - 2]).unwrap_or_default();
        let len = |factor: usize| head.parse::<usize>().map_or(0, |len| len * factor);
        match out[start] {
            b'*' | b'>' | b'~' => (0..len(1)).for_each(|_| self.value_into(out)),
            b'%' => (0..len(2)).for_each(|_| self.value_into(out)),
            b'$' | b'=' if head != "-1" => {
                let from = out.len();
                out.resize(from + len(1) + 2, 0);
                self.stream.read_exact(&mut out[from..]).unwrap();
            }
            _ => {}
        }
    }

    /// Reads until the server closes the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            // A server that closes before it has read everything resets the connection. Its output has already been
            // read.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server neither answers nor closes: {error}"),
        }
        bytes
    }
}

/// Encodes a command as clients send it.
pub fn encode<'a>(words: impl Iterator<Item = &'a str> + Clone) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.clone().count()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}
