//! Errors of connections, classified by what the reconnect loop does about them.

use std::error::Error;
use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::client::error_advice::{advice, excerpt};
use crate::client::redirect::Redirect;
use crate::client::{Endpoint, tls};
use crate::model::display_safe;

/// Error that another attempt cannot resolve.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The server refuses the login or a command.
    #[error("Redis at {server} refuses: {reply}{} {advice}", full_stop(.reply))]
    Refused {
        /// Address without credentials.
        server: String,
        /// The server's reply, safe to display.
        reply: String,
        /// Advice to the user.
        advice: &'static str,
    },
    /// The server is not a Redis.
    #[error("what listens at {server} does not speak the Redis protocol; check host and port")]
    NotRedis {
        /// Address without credentials.
        server: String,
    },
    /// TLS cannot be established.
    #[error("no secure connection to {server}: {reason}. {advice}")]
    Tls {
        /// Address without credentials.
        server: String,
        /// Cause, safe to display.
        reason: String,
        /// Advice to the user.
        advice: &'static str,
    },
    /// The local server is not available.
    #[error(transparent)]
    Local(#[from] Box<dyn Error + Send + Sync>),
}

/// Error that ended a session, classified for the reconnect loop. All texts are safe to display.
#[derive(Debug)]
pub(super) enum SessionError {
    /// Another attempt may succeed.
    Transient(String),
    /// Another attempt fails alike, unless the session has worked before.
    Fatal(ClientError),
    /// Another node of the cluster serves the key.
    Redirect(Redirect),
    /// The reply exceeds the limits; the session has to request less at a time.
    ReplyTooLong(String),
}

/// Result of a session, or of a step of it.
pub(super) type SessionResult<T = ()> = Result<T, SessionError>;

impl SessionError {
    /// The connection could not be opened.
    pub(super) fn unreachable(endpoint: &Endpoint, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::ConnectionRefused => " (is redis-server running there?)",
            io::ErrorKind::NotFound => " (there is no such socket)",
            _ => "",
        };
        let text = || format!("cannot reach {endpoint}: {}{hint}", display_safe(&error.to_string()));
        Self::tls(endpoint, error).unwrap_or_else(|| Self::Transient(text()))
    }

    /// The connection broke.
    pub(super) fn lost(endpoint: &Endpoint, error: &io::Error) -> Self {
        if let Some(error) = Self::tls(endpoint, error) {
            return error;
        }
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
                Self::closed(endpoint)
            }
            _ => Self::Transient(format!("lost {endpoint}: {}", excerpt(&error.to_string()))),
        }
    }

    /// The error, if TLS caused it.
    fn tls(endpoint: &Endpoint, error: &io::Error) -> Option<Self> {
        let (reason, advice) = tls::explain_error(error)?;
        Some(Self::Fatal(ClientError::Tls { server: endpoint.to_string(), reason, advice }))
    }

    /// The server expects TLS on a plain connection.
    pub(super) fn missing_tls(endpoint: &Endpoint) -> Self {
        let (reason, advice) = ("it expects TLS".to_owned(), "Write rediss:// in the URL");
        Self::Fatal(ClientError::Tls { server: endpoint.to_string(), reason, advice })
    }

    /// The server sent an error reply.
    pub(super) fn refused(endpoint: &Endpoint, reply: &str) -> Self {
        if let Some(redirect) = Redirect::parse(reply) {
            return Self::Redirect(redirect);
        }
        let (server, excerpt) = (endpoint.to_string(), excerpt(reply));
        match advice(reply) {
            Some(advice) => Self::Fatal(ClientError::Refused { server, reply: excerpt, advice }),
            None => Self::Transient(format!("{server} answers: {excerpt}")),
        }
    }

    /// The server sent bytes that are not RESP.
    pub(super) fn not_redis(endpoint: &Endpoint) -> Self {
        Self::Fatal(ClientError::NotRedis { server: endpoint.to_string() })
    }

    /// The reply exceeds the limits of the read buffer.
    pub(super) fn reply_too_long(endpoint: &Endpoint) -> Self {
        Self::ReplyTooLong(format!("{endpoint} sends a reply that is too long to be held"))
    }

    /// The server accepted the connection but never replied.
    pub(super) fn silent(endpoint: &Endpoint) -> Self {
        Self::Transient(format!("{endpoint} accepts connections but does not answer like a Redis server"))
    }

    /// The server sent nothing for `silence`, though a reply was due.
    pub(super) fn unanswered(endpoint: &Endpoint, silence: Duration) -> Self {
        Self::Transient(format!("{endpoint} has not answered for {:.1} s", silence.as_secs_f64()))
    }

    /// The server closed the connection.
    pub(super) fn closed(endpoint: &Endpoint) -> Self {
        Self::Transient(format!("{endpoint} closed the connection"))
    }

    /// The server is a replica, though sentinels named it as the master.
    pub(super) fn not_master(endpoint: &Endpoint) -> Self {
        Self::Transient(format!("{endpoint} is no longer the master"))
    }
}

/// Separator between an [`excerpt`] and the next sentence.
fn full_stop(reply: &str) -> &'static str {
    if reply.ends_with(['?', '!']) { "" } else { "." }
}

#[cfg(test)]
mod tests {
    use crate::client::error::*;

    #[test]
    fn reply_and_advice_are_separate_sentences() {
        for (reply, expected) in [
            ("ERR Is it correct?", "Redis at h:1 refuses: ERR Is it correct? Do this"),
            ("ERR This is so.", "Redis at h:1 refuses: ERR This is so. Do this"),
            ("ERR This is so", "Redis at h:1 refuses: ERR This is so. Do this"),
        ] {
            let error = ClientError::Refused { server: "h:1".to_owned(), reply: excerpt(reply), advice: "Do this" };
            assert_eq!(error.to_string(), expected);
        }
    }
}
