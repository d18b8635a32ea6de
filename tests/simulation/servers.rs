//! Basis of all simulations: the trace, the connection to the server, and a server whose state survives its host.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tickscope::broker::{Broker, BrokerClock, BrokerLimits};
use tickscope::client::{ConnectFuture, Connector, Endpoint, Target, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream};

use super::plan::SERVER;

pub const PORT: u16 = 6379;

/// Capacity of the pipe between the server's host and its state, in bytes.
const PIPE_BYTES: usize = 64 << 10;

/// Wall-clock time at which a simulation begins, ms since the Unix epoch.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// Event of a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Simulated time since the start.
    pub at: Duration,
    pub who: &'static str,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Attempt to connect.
    ConnectFuture,
    Live,
    Down(String),
    /// Entries or messages arrived: their number, and the first one.
    Came(usize, String),
    /// Everything up to this ticket is committed.
    Committed(u64),
    /// A fault begins or ends.
    Fault(String),
    Said(String),
}

/// All events in order.
#[derive(Debug, Clone, Default)]
pub struct Trace(Arc<Mutex<Vec<Event>>>);

impl Trace {
    pub fn note(&self, who: &'static str, what: What) {
        // Code outside of a host has no simulated clock here, and calls `note_at` with the time of the simulation.
        self.note_at(turmoil::sim_elapsed().unwrap_or_default(), who, what);
    }

    pub fn note_at(&self, at: Duration, who: &'static str, what: What) {
        self.0.lock().unwrap().push(Event { at, who, what });
    }

    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Connects over the simulated network.
struct Dialer {
    who: &'static str,
    trace: Trace,
}

impl Connector for Dialer {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> ConnectFuture<'a> {
        self.trace.note(self.who, What::ConnectFuture);
        Box::pin(async move {
            let stream = TcpStream::connect((host, port)).await?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }
}

/// Target through which `who` connects to the server.
pub fn target(who: &'static str, trace: &Trace) -> Target {
    let endpoint = Endpoint::parse(&format!("redis://{SERVER}:{PORT}")).unwrap();
    Target::Server(endpoint.through(Arc::new(Dialer { who, trace: trace.clone() })))
}

/// State of the server. It survives a crash, as that of a server that writes to disk before it replies.
#[derive(Clone, Default)]
pub struct Memory {
    broker: Arc<Mutex<Option<Broker>>>,
    /// Wall-clock time of its last start without data, ms since the Unix epoch.
    born_ms: Arc<Mutex<u64>>,
}

impl Memory {
    /// Holds the state, starting empty.
    pub async fn hold(self) -> turmoil::Result {
        let born_ms = EPOCH_MS + turmoil::sim_elapsed().unwrap_or_default().as_millis() as i64;
        let broker = Broker::detached(BrokerLimits::default(), BrokerClock::simulated(born_ms));
        *self.broker.lock().unwrap() = Some(broker);
        *self.born_ms.lock().unwrap() = born_ms.cast_unsigned();
        std::future::pending().await
    }

    /// Start of the state: entries with lower ids are lost.
    pub fn born_ms(&self) -> u64 {
        *self.born_ms.lock().unwrap()
    }

    /// Runs the host that may crash, with all connections.
    pub async fn serve(self) -> turmoil::Result {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
        loop {
            let (mut stream, peer) = listener.accept().await?;
            let mut pipe = self.connect(peer);
            tokio::task::spawn_local(async move {
                // Broken connections are expected.
                drop(tokio::io::copy_bidirectional(&mut stream, &mut pipe).await);
            });
        }
    }

    fn connect(&self, peer: SocketAddr) -> tokio::io::DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let broker = self.broker.lock().unwrap();
        broker.as_ref().expect("the memory is there before the server").attach(theirs, peer);
        ours
    }

    /// Sends a command that returns a number, bypassing the simulated network.
    pub async fn ask(&self, command: &str) -> io::Result<u64> {
        let mut pipe = self.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        pipe.write_all(format!("{command}\r\n").as_bytes()).await?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(pipe.read_u8().await?);
        }
        let text = String::from_utf8_lossy(&line);
        text.trim().trim_start_matches(':').parse().map_err(|_| io::Error::other(text.into_owned()))
    }
}
