//! Sorts what went wrong with a connection into what waiting can mend and what it cannot.

use std::io;
use std::time::Duration;

use crate::client::error_advice::{advice, shown};
use crate::client::redirect::Redirect;
use crate::client::{ClientError, Endpoint, socket};
use crate::model::display_safe;

/// What became of a session.
#[derive(Debug)]
pub(super) enum Cause {
    /// Trying again may help; the words are safe to show.
    Passing(String),
    /// Trying again is no use, unless it worked before.
    Lasting(ClientError),
    /// Another node of the cluster is to be asked.
    Moved(Redirect),
    /// The answer was too long: less is to be asked for at a time. The words are safe to show.
    TooLong(String),
}

impl Cause {
    /// The socket could not be opened.
    pub(super) fn unreachable(endpoint: &Endpoint, error: &io::Error) -> Self {
        if let Some(error) = socket::tls_fault(endpoint, error) {
            return Self::Lasting(error);
        }
        let advice = match error.kind() {
            io::ErrorKind::ConnectionRefused => " (is redis-server running there?)",
            io::ErrorKind::NotFound => " (there is no such socket)",
            _ => "",
        };
        Self::Passing(format!("cannot reach {endpoint}: {}{advice}", display_safe(&error.to_string())))
    }

    /// The server answers, and will not have it.
    pub(super) fn refused(endpoint: &Endpoint, reply: &str) -> Self {
        if let Some(redirect) = Redirect::read(reply) {
            return Self::Moved(redirect);
        }
        let server = endpoint.to_string();
        match advice(reply) {
            Some(advice) => Self::Lasting(ClientError::Refused { server, reply: shown(reply), advice }),
            None => Self::Passing(format!("{server} answers: {}", shown(reply))),
        }
    }

    /// Something else answers.
    pub(super) fn not_redis(endpoint: &Endpoint) -> Self {
        Self::Lasting(ClientError::NotRedis { server: endpoint.to_string() })
    }

    /// An answer is longer than anything that is asked for may be.
    pub(super) fn too_long(endpoint: &Endpoint) -> Self {
        Self::TooLong(format!("{endpoint} sends an answer that is too long to be held"))
    }

    /// Nothing answers, though the connection stands.
    pub(super) fn silent(endpoint: &Endpoint) -> Self {
        Self::Passing(format!("{endpoint} accepts connections but does not answer like a Redis server"))
    }

    /// Nothing has been heard for so long, though something should have been.
    pub(super) fn unanswered(endpoint: &Endpoint, silence: Duration) -> Self {
        Self::Passing(format!("{endpoint} has not answered for {:.1} s", silence.as_secs_f64()))
    }

    /// The server's end of the connection is closed.
    pub(super) fn closed(endpoint: &Endpoint) -> Self {
        Self::Passing(format!("{endpoint} closed the connection"))
    }

    /// The connection broke.
    pub(super) fn lost(endpoint: &Endpoint, error: &io::Error) -> Self {
        if let Some(error) = socket::tls_fault(endpoint, error) {
            return Self::Lasting(error);
        }
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
                Self::closed(endpoint)
            }
            _ => Self::Passing(format!("lost {endpoint}: {}", shown(&error.to_string()))),
        }
    }
}
