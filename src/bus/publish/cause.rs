//! Sorts what went wrong with a connection into what waiting can mend and what it cannot.

use std::io;

use redis::{ErrorKind, RedisError};

use crate::bus::refusal::{advice, shown};
use crate::bus::{BusError, Endpoint};
use crate::model::display_safe;

/// What became of a session.
#[derive(Debug)]
pub(super) enum Cause {
    /// Trying again may help; the words are safe to show.
    Passing(String),
    /// Trying again is no use, unless it worked before.
    Lasting(BusError),
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
        let reply = reply_of(error);
        if let Some(advice) = advice(&reply) {
            return Self::Lasting(BusError::Refused { server, reply: shown(&reply), advice });
        }
        match error.kind() {
            ErrorKind::Parse => Self::Lasting(BusError::NotRedis { server }),
            ErrorKind::Io if error.is_timeout() => {
                Self::Passing(format!("{server} accepts connections but does not answer like a Redis server"))
            }
            ErrorKind::Io if is_end(error) => Self::Passing(format!("{server} closed the connection")),
            ErrorKind::Io => Self::Passing(format!("lost {server}: {}", shown(&error.to_string()))),
            _ => Self::Passing(format!("{server} answers: {}", shown(&reply))),
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
