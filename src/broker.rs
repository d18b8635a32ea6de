//! Embedded server for the Redis protocol, for machines without a Redis.
//!
//! It supports publish and subscribe, streams with consumer groups, and MULTI, over RESP2 and RESP3, and answers with
//! the replies, limits and error messages of Redis 7.0. Any Redis client works with it unchanged: redis-cli, redis-py,
//! ioredis, node-redis, redis-rs and the Go clients are served with everything that they send when they connect. It
//! listens on the loopback address only and has no password, like an unconfigured Redis.
//!
//! All keys are streams. They are kept in memory, up to [`BrokerLimits::stream_bytes_max`] bytes, and end with the
//! process. There are no other types of values, no expiry, no scripts, no WATCH and no second database; their commands
//! are unknown, as are those about Redis's internals, such as CONFIG. Three replies differ from Redis: KEYS returns
//! keys by name and SCAN by age, COMMAND shows no access categories, and XINFO STREAM has no radix tree.
//!
//! Each client has one task, which alone uses its socket. PUBLISH encodes a message once for each protocol version in
//! use and puts it, as one shared piece of memory, into the output buffer of every subscriber. A subscriber that does
//! not read exceeds the limits of [`BrokerLimits`] and is disconnected; publishers never wait for it.
//!
//! # Examples
//!
//! ```
//! use tickscope::broker::{Broker, BrokerLimits};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let broker = Broker::bind(0, BrokerLimits::default()).await?;
//! let client = redis::Client::open(format!("redis://{}/", broker.local_addr())).map_err(std::io::Error::other)?;
//! let mut connection = client.get_multiplexed_async_connection().await.map_err(std::io::Error::other)?;
//! let mut publish = redis::cmd("PUBLISH");
//! publish.arg("stock_prices").arg("{}");
//! let receivers: u64 = publish.query_async(&mut connection).await.map_err(std::io::Error::other)?;
//! assert_eq!((receivers, broker.stats().published), (0, 1));
//! broker.shutdown().await;
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod client;
mod client_commands;
mod clock;
mod commands;
mod connection;
mod connection_task;
mod dispatch;
mod glob;
mod local_redis;
mod output_buffer;
mod publish;
mod pubsub;
mod server_commands;
mod server_state;
mod streams;
mod subscriptions;
mod transaction;

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinSet;

pub use clock::BrokerClock;
pub use local_redis::{LocalRedis, LocalRedisError, ServedBy};
use output_buffer::CloseReason;
use server_state::ServerState;

/// Simultaneous clients. Redis allows 10,000; a desktop has file descriptors for about 1,024.
const CLIENTS_MAX: usize = 1_000;

/// Redis's `client-output-buffer-limit pubsub 32mb 8mb 60`.
const SUBSCRIBER_HARD_BYTES: usize = 32 * 1024 * 1024;
const SUBSCRIBER_SOFT_BYTES: usize = 8 * 1024 * 1024;
const SUBSCRIBER_SOFT_TIME: Duration = Duration::from_mins(1);

/// Attached connections that wait to be served: Redis's `tcp-backlog 511`, which bounds those that wait in the kernel.
const ATTACHED_MAX: usize = 511;

/// Time that a shutdown gives clients to read their output buffers.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// Pause after a failed accept. It fails when file descriptors run out, and would fail again at once.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Memory for all streams together: two million ticks of a hundred bytes, which is hours of a busy market, and little
/// enough for a desktop.
const STREAM_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Limits on the resources that clients use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerLimits {
    /// Simultaneous connections. Further ones get an error and are closed.
    pub clients_max: usize,
    /// Bytes in a subscriber's output buffer above which it is disconnected at once.
    pub subscriber_hard_bytes: usize,
    /// Bytes in a subscriber's output buffer above which it is disconnected after
    /// [`subscriber_soft_time`](Self::subscriber_soft_time) without interruption.
    pub subscriber_soft_bytes: usize,
    /// See [`subscriber_soft_bytes`](Self::subscriber_soft_bytes).
    pub subscriber_soft_time: Duration,
    /// Memory for all streams together, in bytes. A command that would exceed it fails with Redis's error for lack of
    /// memory. Commands that only record deliveries to consumers may use a quarter more, so that full streams can still
    /// be read.
    pub stream_bytes_max: usize,
}

impl Default for BrokerLimits {
    /// Returns Redis's limits for subscribers, 1,000 clients, and 256 MB for streams.
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

/// Counters of a broker since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BrokerStats {
    /// Open connections.
    pub clients: usize,
    /// Accepted connections, including refused ones.
    pub connections: u64,
    /// Connections that were closed because there were too many.
    pub refused: u64,
    /// Messages received by PUBLISH.
    pub published: u64,
    /// Messages put into output buffers: a PUBLISH to three subscribers counts three. Includes messages that a
    /// disconnected client never read.
    pub delivered: u64,
    /// Clients that were disconnected because they did not read.
    pub slow_consumers: u64,
}

/// Task of one connection.
type ConnectionTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A running broker. Dropping it stops it at once; [`shutdown`](Self::shutdown) stops it in order.
#[derive(Debug)]
pub struct Broker {
    state: Arc<ServerState>,
    /// Connections given to [`attach`](Self::attach), on their way to the task that serves them, which shuts down when
    /// this closes.
    attached: mpsc::Sender<ConnectionTask>,
    /// The one task that serves everything.
    server: JoinSet<()>,
}

impl Broker {
    /// Serves 127.0.0.1 at `port`, or at a free port if it is 0, on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails if the port cannot be bound.
    pub async fn bind(port: u16, limits: BrokerLimits) -> io::Result<Self> {
        Self::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?, limits)
    }

    /// Serves `listener` on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails with [`io::ErrorKind::InvalidInput`] if other machines can reach the listener, since there is no password.
    pub fn serve(listener: TcpListener, limits: BrokerLimits) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        if !addr.ip().is_loopback() {
            let text = format!("{addr} is not a loopback address, and the broker has no password");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self::start(Some(listener), addr, limits, BrokerClock::system()))
    }

    /// Serves no address, only connections given to [`attach`](Self::attach), on the current tokio runtime. With a
    /// [simulated](BrokerClock::simulated) clock and connections in memory, the same input in the same order gets the
    /// same replies in every run.
    pub fn detached(limits: BrokerLimits, clock: BrokerClock) -> Self {
        Self::start(None, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), limits, clock)
    }

    fn start(listener: Option<TcpListener>, addr: SocketAddr, limits: BrokerLimits, clock: BrokerClock) -> Self {
        let state = Arc::new(ServerState::new(addr, limits, clock));
        let (attached, attachments) = mpsc::channel(ATTACHED_MAX);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, attachments, Arc::clone(&state)));
        Self { state, attached, server }
    }

    /// Serves one connection that was accepted elsewhere, until either side closes it. `peer` is the address that
    /// CLIENT LIST shows. The connection is closed if the broker has shut down, or counted as refused and closed if 511
    /// others wait to be served.
    pub fn attach(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, peer: SocketAddr) {
        match self.attached.try_reserve() {
            Ok(permit) => permit.send(accept_client(stream, peer, &self.state)),
            Err(TrySendError::Full(())) => lock(&self.state.stats).refused += 1,
            Err(TrySendError::Closed(())) => {}
        }
    }

    /// Returns the address that it listens on; its port is 0 if the broker is [detached](Self::detached).
    pub fn local_addr(&self) -> SocketAddr {
        self.state.addr
    }

    /// Returns the counters since the start.
    pub fn stats(&self) -> BrokerStats {
        self.state.stats()
    }

    /// Returns whether the broker still accepts clients.
    pub fn is_serving(&self) -> bool {
        !self.attached.is_closed()
    }

    /// Closes the port, gives clients half a second to read their output buffers, and closes all connections. When it
    /// returns, no task is left and the port can be bound again.
    pub async fn shutdown(self) {
        let Self { attached, mut server, .. } = self;
        drop(attached);
        _ = server.join_next().await;
    }
}

/// Locks a mutex, even if a task has panicked while it held it: the broker goes on for the other clients.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accepts clients until `attached` is closed. It owns the clients' tasks, so that they end with it.
async fn serve(listener: Option<TcpListener>, mut attached: mpsc::Receiver<ConnectionTask>, state: Arc<ServerState>) {
    let mut tasks = JoinSet::new();
    loop {
        // The fixed order makes simulations repeatable.
        tokio::select! {
            biased;
            Some(ended) = tasks.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "broker closed a client because of an internal error");
            },
            task = attached.recv() => match task {
                Some(task) => _ = tasks.spawn(task),
                None => break,
            },
            accepted = accept(listener.as_ref()) => match accepted {
                Ok((stream, addr)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, client = %addr, "broker cannot disable Nagle's algorithm");
                    }
                    tasks.spawn(accept_client(stream, addr, &state));
                }
                Err(error) => {
                    tracing::warn!(%error, "broker cannot accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            },
        }
    }
    drop(listener);
    for client in state.clients() {
        client.output.close(CloseReason::Shutdown);
    }
    let drained = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIME, drained).await.is_err() {
        tracing::debug!(clients = tasks.len(), "broker closes clients that did not read all of their messages");
    }
    tasks.shutdown().await;
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => pending().await,
    }
}

/// Adds a client, and returns the task that serves it, or that tells it that there are too many.
fn accept_client(
    mut stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    addr: SocketAddr,
    state: &Arc<ServerState>,
) -> ConnectionTask {
    match state.add_client(addr) {
        Some(client) => Box::pin(connection_task::serve(stream, Arc::clone(state), client)),
        // A few bytes always fit into the buffer of a new connection, so this task ends at once.
        None => Box::pin(async move {
            _ = stream.write_all(b"-ERR max number of clients reached\r\n").await;
        }),
    }
}
