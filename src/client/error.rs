//! Errors of connections, classified by what the reconnect loop does about them.

use std::error::Error;
use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::client::redirect::Redirect;
use crate::client::{Endpoint, tls};
use crate::model::display_safe;

/// Longest excerpt of a server's reply, in characters.
const EXCERPT_CHARS_MAX: usize = 200;

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

    /// The server sent an error reply. It is fatal if there is [`advice`] on it.
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
}

/// Separator between an [`excerpt`] and the next sentence.
fn full_stop(reply: &str) -> &'static str {
    if reply.ends_with(['?', '!']) { "" } else { "." }
}

/// Returns advice on an error reply that another attempt cannot resolve; `None` if it may.
pub(super) fn advice(reply: &str) -> Option<&'static str> {
    let advice = match reply.split(' ').next().unwrap_or_default() {
        "NOAUTH" => "Give the password in the URL: redis://:password@host, or in REDIS_URL",
        "WRONGPASS" => "Check user and password in the URL; special characters are written as %40 for @, %3A for :",
        "NOPERM" if reply.contains("'time'") => {
            "Ask for an ACL rule that allows +time, which --since 1h needs to read the server's clock; --since start \
             does not need it"
        }
        "NOPERM" if reply.contains("keys") || reply.contains(" 'x") => {
            "Ask for an ACL rule that allows this stream: ~stock_ticks*, with +xadd to write, +xread to read, +@stream \
             in a group"
        }
        "NOPERM" if reply.contains("'cluster") => "Ask for an ACL rule that allows +cluster|slots, beside the channels",
        "NOPERM" => "Ask for an ACL rule that allows these channels, such as &stock_prices +subscribe +publish",
        "DENIED" => "The server is in protected mode: set a password there, or bind it to this machine's address",
        "NOPROTO" => "The server is older than Redis 6: omit protocol=resp3 from the URL",
        "WRONGTYPE" => "The key of this name is not a stream: give another name with --stream, or delete the key",
        "ERR" if is_unknown(reply, "XADD") => {
            "This server has no streams, which Redis has since version 5: omit --stream, or use another server"
        }
        "ERR" if is_unknown(reply, "XAUTOCLAIM") => {
            "This server cannot claim the entries of dead consumers; Redis can since version 6.2: omit --group"
        }
        "ERR" if is_unknown(reply, "SPUBLISH") => {
            "This server has no sharded channels, which Redis has since version 7: omit --cluster"
        }
        "ERR" if is_unknown(reply, "SENTINEL") => {
            "This server is not a sentinel: give the address of a sentinel, often with port 26379, or write redis:// for \
             redis+sentinel://"
        }
        "ERR" if reply.contains("DB index") => {
            "Check the number of the database behind the / in the URL: a server has 16, from 0 to 15, unless it is \
             configured otherwise, and a cluster has database 0 only"
        }
        "ERR" if reply.contains("cluster support disabled") => "This server is not part of a cluster: omit --cluster",
        "ERR" if reply.contains("AUTH") => "Omit the password from the URL, or check the configuration of the server",
        _ => return None,
    };
    Some(advice)
}

/// Returns true if the server does not know `command`. The quotes around the name differ between versions.
pub(super) fn is_unknown(reply: &str, command: &str) -> bool {
    let named = reply.strip_prefix("ERR unknown command ").and_then(|rest| rest.strip_prefix(['\'', '`']));
    named.is_some_and(|named| named.starts_with(command))
}

/// Excerpt of a server's text: short, safe to display, and without the full stop, so that it fits into a sentence.
pub(super) fn excerpt(text: &str) -> String {
    let text: String = text.chars().take(EXCERPT_CHARS_MAX).collect();
    display_safe(text.trim_end_matches('.')).into_owned()
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

    #[test]
    fn fatal_replies_have_advice_and_transient_ones_have_none() {
        for (reply, needle) in [
            ("WRONGTYPE Operation against a key holding the wrong kind of value", "--stream"),
            ("NOPERM this user has no permissions to access one of the keys used as arguments", "+xadd"),
            ("NOPERM this user has no permissions to run the 'xadd' command", "+xadd"),
            ("NOPERM this user has no permissions to access one of the channels used as arguments", "&stock_prices"),
            ("NOPERM this user has no permissions to run the 'cluster|slots' command", "+cluster|slots"),
            ("NOPERM User u has no permissions to run the 'time' command", "+time"),
            ("NOPERM this user has no permissions to run the 'time' command or its subcommand", "--since start"),
            ("ERR unknown command 'SENTINEL', with args beginning with: 'get-master-addr-by-name' ", "not a sentinel"),
            ("ERR unknown command `SENTINEL`, with args beginning with: `get-master-addr-by-name`, ", "not a sentinel"),
            ("ERR DB index is out of range", "behind the /"),
            ("ERR invalid DB index", "behind the /"),
            ("ERR unknown command `XAUTOCLAIM`, with args beginning with: ", "omit --group"),
            ("ERR unknown command 'XADD', with args beginning with: ", "omit --stream"),
            ("ERR unknown command 'SPUBLISH', with args beginning with: ", "omit --cluster"),
            ("ERR This instance has cluster support disabled", "omit --cluster"),
        ] {
            assert!(advice(reply).is_some_and(|advice| advice.contains(needle)), "{reply}");
        }
        for transient in [
            "OOM command not allowed when used memory > 'maxmemory'.",
            "MISCONF Redis is configured to save RDB snapshots",
            "READONLY You can't write against a read only replica.",
            "LOADING Redis is loading the dataset in memory",
            "MASTERDOWN Link with MASTER is down",
            "CLUSTERDOWN The cluster is down",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "NOREPLICAS Not enough good replicas to write.",
            "ERR unknown command",
            "ERR unknown command 'GET', with args beginning with: 'XADD' ",
        ] {
            assert_eq!(advice(transient), None, "{transient}");
        }
    }
}
