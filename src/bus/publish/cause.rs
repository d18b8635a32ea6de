//! Sorts what went wrong with a connection into what waiting can mend and what it cannot.

use std::io;

use redis::{ErrorKind, RedisError};
use thiserror::Error;

use crate::bus::{Endpoint, LocalError};
use crate::model::display_safe;

/// How much of the server's own words is repeated, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Why publishing cannot work at all, so that trying again is no use.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The server refuses the log-in or the channel.
    #[error("Redis at {server} refuses: {reply}. {advice}")]
    Refused {
        /// Address without credentials.
        server: String,
        /// The server's words, safe to show.
        reply: String,
        /// What to do.
        advice: &'static str,
    },
    /// Something else answers there.
    #[error("what listens at {server} does not speak the Redis protocol; check host and port")]
    NotRedis {
        /// Address without credentials.
        server: String,
    },
    /// The shared local server cannot be had.
    #[error(transparent)]
    Local(#[from] LocalError),
}

/// What became of a session.
#[derive(Debug)]
pub(super) enum Cause {
    /// Trying again may help; the words are safe to show.
    Passing(String),
    /// Trying again is no use, unless it worked before.
    Lasting(PublishError),
}

impl Cause {
    /// The socket could not be opened.
    pub(super) fn unreachable(endpoint: &Endpoint, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::ConnectionRefused => " (is redis-server running there?)",
            io::ErrorKind::NotFound => " (there is no such socket)",
            _ => "",
        };
        Self::Passing(format!("cannot reach {endpoint}: {}{advice}", display_safe(&error.to_string())))
    }

    /// The redis crate gave up on a request.
    pub(super) fn of(endpoint: &Endpoint, error: &RedisError) -> Self {
        let server = endpoint.to_string();
        let refused = |advice| {
            let reply = shown(&reply_of(error));
            Self::Lasting(PublishError::Refused { server: server.clone(), reply, advice })
        };
        match (error.kind(), error.code()) {
            (ErrorKind::Parse, _) => Self::Lasting(PublishError::NotRedis { server }),
            (_, Some("NOAUTH")) => refused("Give the password in the URL: redis://:password@host, or in REDIS_URL"),
            (_, Some("WRONGPASS")) => {
                refused("Check user and password in the URL; special characters are written as %40 for @, %3A for :")
            }
            (_, Some("NOPERM")) => {
                refused("Ask for an ACL rule that allows this channel, such as &stock_prices +publish")
            }
            (_, Some("DENIED")) => {
                refused("The server is in protected mode: set a password there, or bind it to this machine's address")
            }
            (_, Some("ERR")) if error.detail().is_some_and(|detail| detail.contains("AUTH")) => {
                refused("Leave the password out of the URL, or check how the server is set up")
            }
            (ErrorKind::Io, _) if error.is_timeout() => {
                Self::Passing(format!("{server} accepts connections but does not answer like a Redis server"))
            }
            (ErrorKind::Io, _) if is_end(error) => Self::Passing(format!("{server} closed the connection")),
            (ErrorKind::Io, _) => Self::Passing(format!("lost {server}: {}", shown(&error.to_string()))),
            _ => Self::Passing(format!("{server} answers: {}", shown(&reply_of(error)))),
        }
    }
}

fn is_end(error: &RedisError) -> bool {
    let text = error.to_string();
    error.is_connection_dropped() || text.contains("end of file") || text.contains("closed")
}

/// The server's words, as "CODE what it said".
fn reply_of(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, Some(detail)) => detail.to_owned(),
        (None, None) => error.to_string(),
    }
}

/// Short, safe for a terminal, and without the full stop, for it is quoted within a sentence.
fn shown(text: &str) -> String {
    let text: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    display_safe(text.trim_end_matches('.')).into_owned()
}
