//! How a stream of bytes to a server comes about: over the network, or over whatever a simulation puts in its place.

use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes, whatever carries it.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// What dialling comes to.
pub type ConnectFuture<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send + 'a>>;

/// Opens streams in place of the operating system. An [`Endpoint`](crate::client::Endpoint) that was given one is reached
/// through it alone, without TLS; limits of time hold as they do for a socket.
pub trait Connector: Send + Sync {
    /// Opens a stream to `host` and `port`.
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> ConnectFuture<'a>;
}
