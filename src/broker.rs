//! A small broker that speaks the Redis protocol, for machines where no Redis is installed.
//!
//! It does what ticks need and no more: publish and subscribe, and streams, over RESP2 and RESP3, with
//! Redis's own answers, limits and texts, so that redis-cli, redis-py and any other client work with it
//! unchanged. It listens on the loopback only, has no password, and serves whoever may open a socket on
//! this machine, as an unconfigured Redis does.
//!
//! Its keys are streams, with all of Redis 7.0's commands on them. They live in memory and go with the
//! process: a broker that takes over begins empty. All of them together have at most
//! [`BrokerLimits::stream_bytes_max`] bytes. There is no other type of value, no expiry, no script and no
//! second database; a command for these is unknown. What differs from Redis where it does answer: KEYS and
//! SCAN have an order (by name, and by age), HELP has its own words, COMMAND DOCS tells less, XINFO's
//! `radix-tree-nodes` is what Redis's tree would have if it were built anew, and a key that did not exist
//! when WATCH named it counts as unchanged if it does not exist at EXEC.
//!
//! Each client has one task, which alone touches its socket. A PUBLISH is encoded once for each protocol version in
//! use and put, as one shared piece of memory, into the outbox of each subscriber. A subscriber that does not read
//! meets the limits of [`BrokerLimits`] and is cut off; nobody waits for it.

mod client;
mod clients;
mod clock;
mod commands;
mod connection;
mod dispatch;
mod glob;
mod key_locks;
mod local;
mod output_buffer;
mod publish;
mod pubsub;
mod server;
mod server_state;
mod streams;
mod subscriptions;
mod transaction;

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

pub use clock::BrokerClock;
pub use local::{Local, LocalError, Role};
use output_buffer::{End, OutputLimits};
use server_state::Hub;

/// Clients at a time. Redis allows 10,000; a desktop has file descriptors for about 1,024.
const CLIENTS_MAX: usize = 1_000;

/// Redis's `client-output-buffer-limit pubsub 32mb 8mb 60`.
const SUBSCRIBER_HARD_BYTES: usize = 32 * 1024 * 1024;
const SUBSCRIBER_SOFT_BYTES: usize = 8 * 1024 * 1024;
const SUBSCRIBER_SOFT_TIME: Duration = Duration::from_mins(1);

/// How long a shutdown lets clients read what waits for them.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// Pause after a failed accept. It fails when file descriptors run out, and would fail again at once.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Memory for all streams together: two million ticks of a hundred bytes, which is hours of a busy market, and what a
/// desktop spares without noticing.
const STREAM_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bounds on what clients may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerLimits {
    /// Connections at a time; one more is told so and closed.
    pub clients_max: usize,
    /// A subscriber for whom more bytes wait is cut off at once.
    pub subscriber_hard_bytes: usize,
    /// A subscriber for whom more bytes wait, for longer than [`subscriber_soft_time`](Self::subscriber_soft_time)
    /// without a break, is cut off.
    pub subscriber_soft_bytes: usize,
    /// See [`subscriber_soft_bytes`](Self::subscriber_soft_bytes).
    pub subscriber_soft_time: Duration,
    /// Memory that all streams together may take. A command that would add to more is refused with Redis's error for
    /// want of memory; one that only notes what consumers were given has a quarter more, so that full streams can still
    /// be read.
    pub stream_bytes_max: usize,
}

impl Default for BrokerLimits {
    /// Redis's limits for subscribers, 1,000 clients, and 256 MB for streams.
    fn default() -> Self {
        Self {
            clients_max: CLIENTS_MAX,
            subscriber_hard_bytes: SUBSCRIBER_HARD_BYTES,
            subscriber_soft_bytes: SUBSCRIBER_SOFT_BYTES,
            subscriber_soft_time: SUBSCRIBER_SOFT_TIME,
            stream_bytes_max: STREAM_BYTES_MAX,
        }
    }
}

impl BrokerLimits {
    fn output(&self) -> OutputLimits {
        OutputLimits {
            hard_bytes: self.subscriber_hard_bytes,
            soft_bytes: self.subscriber_soft_bytes,
            soft_time: self.subscriber_soft_time,
        }
    }
}

/// What a broker has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BrokerStats {
    /// Connections that are open now.
    pub clients: usize,
    /// Connections that were accepted, refused ones included.
    pub connections: u64,
    /// Connections over the limit of clients.
    pub refused: u64,
    /// Messages that came in by PUBLISH.
    pub published: u64,
    /// Messages that were queued for a subscriber: a PUBLISH to three of them counts three. What a client that is cut
    /// off never read is included.
    pub delivered: u64,
    /// Clients that were closed because they did not read.
    pub cut_off: u64,
}

/// The task of one connection.
type Service = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A running broker. Dropping it ends it without waiting; [`shutdown`](Self::shutdown) ends it in order.
#[derive(Debug)]
pub struct Broker {
    hub: Arc<Hub>,
    /// Connections that others accepted, on their way to the task that serves. Each costs no more here than the stream
    /// that whoever attaches it has made.
    attached: mpsc::UnboundedSender<Service>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl Broker {
    /// Serves 127.0.0.1 at `port`, or at a free port if that is 0, on the current tokio runtime.
    pub async fn bind(port: u16, limits: BrokerLimits) -> io::Result<Self> {
        Self::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?, limits)
    }

    /// Serves `listener` on the current tokio runtime. Since there is no password, a listener that other machines can
    /// reach is refused with [`io::ErrorKind::InvalidInput`].
    pub fn serve(listener: TcpListener, limits: BrokerLimits) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        if !addr.ip().is_loopback() {
            let text = format!("{addr} is not a loopback address, and the broker has no password");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self::start(Some(listener), addr, limits, BrokerClock::system()))
    }

    /// Serves no address, only what [`attach`](Self::attach) is given, on the current tokio runtime. With a
    /// [simulated](BrokerClock::simulated) clock and streams in memory, the same input in the same order has the same
    /// answers at every run.
    pub fn detached(limits: BrokerLimits, clock: BrokerClock) -> Self {
        Self::start(None, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), limits, clock)
    }

    fn start(listener: Option<TcpListener>, addr: SocketAddr, limits: BrokerLimits, clock: BrokerClock) -> Self {
        let hub = Arc::new(Hub::new(addr, limits, clock));
        let (stop, stopped) = oneshot::channel();
        let (attached, attachments) = mpsc::unbounded_channel();
        let serving = tokio::spawn(serve(listener, attachments, Arc::clone(&hub), stopped));
        Self { hub, attached, stop: Some(stop), serving: Some(serving) }
    }

    /// Serves one connection that was accepted elsewhere, until either side closes it. `peer` is what CLIENT LIST
    /// shows.
    pub fn attach(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, peer: SocketAddr) {
        // There is nobody to serve it once the broker has shut down, and the stream closes.
        _ = self.attached.send(admit(stream, peer, &self.hub));
    }

    /// The address that it listens on; port 0 if it is [detached](Self::detached).
    pub fn local_addr(&self) -> SocketAddr {
        self.hub.addr
    }

    /// Counters since the start.
    pub fn stats(&self) -> BrokerStats {
        self.hub.stats()
    }

    /// Whether it still accepts clients.
    pub fn is_serving(&self) -> bool {
        self.serving.as_ref().is_some_and(|task| !task.is_finished())
    }

    /// Closes the port, lets clients read what waits for them for half a second, and closes them all. When it returns,
    /// no task is left and the port can be bound again.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take() {
            _ = serving.await;
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

/// Accepts clients until `stopped` resolves. The clients' tasks live in here, so they end with it.
async fn serve(
    listener: Option<TcpListener>,
    mut attached: mpsc::UnboundedReceiver<Service>,
    hub: Arc<Hub>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut tasks = JoinSet::new();
    loop {
        // In a fixed order, so that a simulation goes the same way every time.
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some(ended) = tasks.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "the broker lost a client to a fault of its own");
            },
            Some(service) = attached.recv() => {
                tasks.spawn(service);
            }
            accepted = accept(listener.as_ref()) => match accepted {
                Ok((stream, addr)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, client = %addr, "the broker cannot turn off Nagle's algorithm");
                    }
                    tasks.spawn(admit(stream, addr, &hub));
                }
                Err(error) => {
                    tracing::warn!(%error, "the broker cannot accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            },
        }
    }
    drop(listener);
    drop(attached);
    for client in hub.clients() {
        client.outbox.end(End::Drain);
    }
    let drained = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIME, drained).await.is_err() {
        tracing::debug!(clients = tasks.len(), "the broker closes clients that did not read all of their messages");
    }
    tasks.shutdown().await;
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => pending().await,
    }
}

/// Enters a client. The service is its connection's, or tells it that there are too many.
fn admit(
    mut stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    addr: SocketAddr,
    hub: &Arc<Hub>,
) -> Service {
    match hub.admit(addr) {
        Some(client) => Box::pin(connection::serve(stream, Arc::clone(hub), client)),
        // A few bytes always fit into a fresh connection's buffer, so this task ends at once.
        None => Box::pin(async move {
            _ = stream.write_all(b"-ERR max number of clients reached\r\n").await;
        }),
    }
}
