//! The loopback port that is used when no Redis is named: an existing server, or the embedded broker.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::info;

use crate::broker::{Broker, BrokerLimits, BrokerStats};

/// Time that a listener on the port has to prove that it is a Redis.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(1);

/// Attempts to find or start a server. Two programs that start at the same time need two.
const ATTEMPTS_MAX: usize = 5;

/// Pause after the listener closed the connection, as a server does that is shutting down.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Longest reply to PING that is read; an error line with its reason fits.
const REPLY_BYTES_MAX: u64 = 256;

/// Prefixes of errors that only a Redis replies to PING. The connection that follows reports the error.
const REDIS_ERRORS: [&[u8]; 6] =
    [b"-LOADING ", b"-BUSY ", b"-MASTERDOWN ", b"-NOPERM ", b"-DENIED ", b"-ERR max number of clients reached"];

/// Reason for which no Redis can be used on the loopback port.
#[derive(Debug, Error)]
pub enum LocalRedisError {
    /// Another program listens on the port.
    #[error(
        "a program listens on 127.0.0.1:{port}, but it does not answer as Redis does within a second; stop it, or name \
         the Redis to use with --redis redis://host:port"
    )]
    NotRedis {
        /// Port number.
        port: u16,
    },
    /// A Redis that requires a password listens on the port.
    #[error(
        "the Redis on 127.0.0.1:{port} requires a password; give it with --redis redis://:password@127.0.0.1:{port} or \
         in the environment variable REDIS_URL"
    )]
    NeedsPassword {
        /// Port number.
        port: u16,
    },
    /// Nothing listens on the port, but this program cannot listen there either.
    #[error("cannot listen on 127.0.0.1:{port} ({source}); name the Redis to use with --redis redis://host:port")]
    Bind {
        /// Port number.
        port: u16,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The operating system cannot connect to the loopback address.
    #[error("cannot connect to 127.0.0.1:{port} ({source}); name the Redis to use with --redis redis://host:port")]
    Connect {
        /// Port number.
        port: u16,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// Program that serves the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServedBy {
    /// This program, with a [`Broker`].
    ThisProgram,
    /// Another program, which speaks the Redis protocol.
    OtherProgram,
}

/// The loopback port, with the broker if this program serves it.
#[derive(Debug)]
pub struct LocalRedis {
    port: u16,
    broker: Option<Broker>,
}

impl LocalRedis {
    /// Opens nothing; see [`ensure_served`](Self::ensure_served).
    pub fn new(port: u16) -> Self {
        Self { port, broker: None }
    }

    /// Makes sure that a server for the Redis protocol listens on the port: the one that is there, or a new broker.
    ///
    /// Call it before each attempt to connect. The first program that misses the server then becomes the next server.
    /// Takes about a second at most.
    ///
    /// # Errors
    ///
    /// Fails if another program has the port, if its Redis requires a password, or if the port cannot be used.
    pub async fn ensure_served(&mut self) -> Result<ServedBy, LocalRedisError> {
        if self.broker.as_ref().is_some_and(Broker::is_serving) {
            return Ok(ServedBy::ThisProgram);
        }
        self.broker = None;
        let port = self.port;
        let mut failure = LocalRedisError::NotRedis { port };
        for _ in 0..ATTEMPTS_MAX {
            // Probe before binding: where a Redis has the port on another address of this machine (macOS allows both),
            // a broker would hide it.
            let listener = timeout(HANDSHAKE_TIMEOUT, probe(port)).await.unwrap_or(Ok(Listener::Other));
            match listener.map_err(|source| LocalRedisError::Connect { port, source })? {
                Listener::Redis => return Ok(ServedBy::OtherProgram),
                Listener::NeedsPassword => return Err(LocalRedisError::NeedsPassword { port }),
                Listener::Other => return Err(LocalRedisError::NotRedis { port }),
                Listener::Closed => tokio::time::sleep(RETRY_PAUSE).await,
                Listener::None => match Broker::bind(port, BrokerLimits::default()).await {
                    Ok(broker) => {
                        info!(
                            "no Redis on 127.0.0.1:{port}: serving the built-in broker there, for this machine, until \
                             this program ends"
                        );
                        self.broker = Some(broker);
                        return Ok(ServedBy::ThisProgram);
                    }
                    // Another program took the port in the meantime, and the next probe finds it.
                    Err(source) if source.kind() == io::ErrorKind::AddrInUse => {
                        failure = LocalRedisError::Bind { port, source };
                    }
                    Err(source) => return Err(LocalRedisError::Bind { port, source }),
                },
            }
        }
        Err(failure)
    }

    /// Returns the broker's counters, if this program serves the port.
    pub fn stats(&self) -> Option<BrokerStats> {
        self.broker.as_ref().map(Broker::stats)
    }

    /// Shuts the broker down, if this program serves the port; see [`Broker::shutdown`].
    pub async fn shutdown(self) {
        if let Some(broker) = self.broker {
            broker.shutdown().await;
        }
    }
}

/// Result of a probe of the port.
#[derive(Debug, PartialEq, Eq)]
enum Listener {
    None,
    Redis,
    NeedsPassword,
    /// A listener that closes the connection without a reply.
    Closed,
    Other,
}

async fn probe(port: u16) -> io::Result<Listener> {
    let mut stream = match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(Listener::None),
        Err(error) => return Err(error),
    };
    if stream.write_all(b"*1\r\n$4\r\nPING\r\n").await.is_err() {
        return Ok(Listener::Closed);
    }
    let mut reply = Vec::new();
    // A connection that breaks is judged by what it sent before.
    _ = BufReader::new(stream).take(REPLY_BYTES_MAX).read_until(b'\n', &mut reply).await;
    Ok(classify(&reply))
}

fn classify(reply: &[u8]) -> Listener {
    if reply == b"+PONG\r\n" || REDIS_ERRORS.iter().any(|error| reply.starts_with(error)) {
        Listener::Redis
    } else if reply.starts_with(b"-NOAUTH ") {
        Listener::NeedsPassword
    } else if reply.is_empty() {
        Listener::Closed
    } else {
        Listener::Other
    }
}

#[cfg(test)]
mod tests {
    use crate::broker::local_redis::*;

    #[test]
    fn a_listener_is_classified_by_its_reply() {
        for (reply, listener) in [
            (&b"+PONG\r\n"[..], Listener::Redis),
            (b"-LOADING Redis is loading the dataset in memory\r\n", Listener::Redis),
            (b"-ERR max number of clients reached\r\n", Listener::Redis),
            (b"-NOAUTH Authentication required.\r\n", Listener::NeedsPassword),
            (b"-ERR unknown\r\n", Listener::Other),
            (b"+OK POP3 server ready\r\n", Listener::Other),
            (b"HTTP/1.1 400 Bad Request\r\n", Listener::Other),
            (b"", Listener::Closed),
        ] {
            assert_eq!(classify(reply), listener, "{}", String::from_utf8_lossy(reply));
        }
    }
}
