//! Who serves the loopback port when no Redis was named: a Redis that is there, another program of ours, or we.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::info;

use crate::broker::{Broker, BrokerLimits, BrokerStats};

/// How long whoever listens on the port may take to prove that it is a Redis.
const HANDSHAKE_TIME: Duration = Duration::from_secs(1);

/// Attempts to become owner or guest before the port counts as one that changes hands too fast. Two programs that start
/// together need two.
const ATTEMPTS_MAX: usize = 5;

/// Pause before another look at a port whose listener hung up: its owner is just leaving.
const LEAVING_PAUSE: Duration = Duration::from_millis(50);

/// Longest answer to a PING that is looked at; an error line with its reason fits.
const ANSWER_BYTES_MAX: usize = 256;

/// First words of errors that only a Redis gives to a PING. It is there, and the connection to it will tell what ails
/// it.
const REDIS_ERRORS: [&[u8]; 6] =
    [b"-LOADING ", b"-BUSY ", b"-MASTERDOWN ", b"-NOPERM ", b"-DENIED ", b"-ERR max number of clients reached"];

/// Why the loopback port serves nobody.
#[derive(Debug, Error)]
pub enum LocalError {
    /// Another program has the port.
    #[error(
        "a program listens on 127.0.0.1:{port}, but it does not answer as Redis does within a second; stop it, or name \
         the Redis to use with --redis redis://host:port"
    )]
    NotRedis {
        /// The port.
        port: u16,
    },
    /// A Redis with a password.
    #[error(
        "the Redis on 127.0.0.1:{port} wants a password; give it with --redis redis://:password@127.0.0.1:{port} or in \
         the environment variable REDIS_URL"
    )]
    NeedsPassword {
        /// The port.
        port: u16,
    },
    /// Nobody answers there, but we may not listen there either.
    #[error("127.0.0.1:{port} cannot be served ({source}); name the Redis to use with --redis redis://host:port")]
    Bind {
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// The system cannot even connect to the loopback.
    #[error("127.0.0.1:{port} cannot be reached ({source}); name the Redis to use with --redis redis://host:port")]
    Connect {
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
}

/// Who serves the port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We do, with a [`Broker`].
    Owner,
    /// Another program does, and it speaks the Redis protocol.
    Guest,
}

/// The loopback port, and the broker if it is ours.
#[derive(Debug)]
pub struct Local {
    port: u16,
    broker: Option<Broker>,
}

impl Local {
    /// Nothing is opened before [`ensure`](Self::ensure).
    pub fn new(port: u16) -> Self {
        Self { port, broker: None }
    }

    /// Makes sure that something which speaks the Redis protocol listens on the port: what is there, or else a broker
    /// of our own. Called before each attempt to connect, it makes the first guest that misses its owner the next
    /// owner. It takes about a second at most.
    pub async fn ensure(&mut self) -> Result<Role, LocalError> {
        if self.broker.as_ref().is_some_and(Broker::is_serving) {
            return Ok(Role::Owner);
        }
        self.broker = None;
        let port = self.port;
        let mut refused = None;
        for _ in 0..ATTEMPTS_MAX {
            // First look, then bind: where another address of this machine has the port (macOS allows both), a broker
            // would hide the Redis that the user has started.
            match probe(port).await {
                Ok(Found::Redis) => return Ok(Role::Guest),
                Ok(Found::Locked) => return Err(LocalError::NeedsPassword { port }),
                Ok(Found::Other) => return Err(LocalError::NotRedis { port }),
                Ok(Found::HungUp) => {
                    tokio::time::sleep(LEAVING_PAUSE).await;
                    continue;
                }
                Ok(Found::Nobody) => {}
                Err(source) => return Err(LocalError::Connect { port, source }),
            }
            match Broker::bind(port, BrokerLimits::default()).await {
                Ok(broker) => {
                    info!("no Redis on 127.0.0.1:{port}: serving a small one there, for this machine, while this runs");
                    self.broker = Some(broker);
                    return Ok(Role::Owner);
                }
                // Another one was faster: it is our host now.
                Err(source) if source.kind() == io::ErrorKind::AddrInUse => refused = Some(source),
                Err(source) => return Err(LocalError::Bind { port, source }),
            }
        }
        Err(refused.map_or(LocalError::NotRedis { port }, |source| LocalError::Bind { port, source }))
    }

    /// The broker's counters, if it is ours.
    pub fn stats(&self) -> Option<BrokerStats> {
        self.broker.as_ref().map(Broker::stats)
    }

    /// Ends the broker if it is ours; see [`Broker::shutdown`]. The next [`ensure`](Self::ensure) of another program
    /// takes over.
    pub async fn shutdown(self) {
        if let Some(broker) = self.broker {
            broker.shutdown().await;
        }
    }
}

/// What was found on the port.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nobody,
    Redis,
    Locked,
    /// Somebody who hangs up without a word.
    HungUp,
    Other,
}

async fn probe(port: u16) -> io::Result<Found> {
    match timeout(HANDSHAKE_TIME, handshake(port)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(Found::Other),
    }
}

async fn handshake(port: u16) -> io::Result<Found> {
    let mut stream = match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(Found::Nobody),
        Err(error) => return Err(error),
    };
    if stream.write_all(b"*1\r\n$4\r\nPING\r\n").await.is_err() {
        return Ok(Found::HungUp);
    }
    let mut answer = Vec::with_capacity(ANSWER_BYTES_MAX);
    while !answer.contains(&b'\n') && answer.len() < ANSWER_BYTES_MAX {
        match stream.read_buf(&mut answer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    Ok(judge(&answer))
}

fn judge(answer: &[u8]) -> Found {
    if answer == b"+PONG\r\n" || REDIS_ERRORS.iter().any(|error| answer.starts_with(error)) {
        Found::Redis
    } else if answer.starts_with(b"-NOAUTH ") {
        Found::Locked
    } else if answer.is_empty() {
        Found::HungUp
    } else {
        Found::Other
    }
}

#[cfg(test)]
mod tests {
    use crate::broker::local::*;

    #[test]
    fn a_redis_is_known_by_its_answer() {
        for (answer, found) in [
            (&b"+PONG\r\n"[..], Found::Redis),
            (b"-LOADING Redis is loading the dataset in memory\r\n", Found::Redis),
            (b"-ERR max number of clients reached\r\n", Found::Redis),
            (b"-NOAUTH Authentication required.\r\n", Found::Locked),
            (b"-ERR unknown\r\n", Found::Other),
            (b"+OK POP3 server ready\r\n", Found::Other),
            (b"HTTP/1.1 400 Bad Request\r\n", Found::Other),
            (b"", Found::HungUp),
        ] {
            assert_eq!(judge(answer), found, "{}", String::from_utf8_lossy(answer));
        }
    }
}
