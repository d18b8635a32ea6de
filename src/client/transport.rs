//! Byte streams to a server, and their replacement in simulations.

use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream to a server.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Future of a connection attempt.
pub type ConnectFuture<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send + 'a>>;

/// Opens byte streams in place of the operating system, as a simulated network does. An
/// [`Endpoint`](crate::client::Endpoint) with a connector is reached through it only, without TLS; all timeouts apply.
pub trait Connector: Send + Sync {
    /// Opens a stream to `host` and `port`.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> ConnectFuture<'a>;
}
