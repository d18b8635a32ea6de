//! Why a server cannot be used at all, so that trying again is no use.

use thiserror::Error;

use crate::bus::LocalError;
use crate::model::display_safe;

/// How much of the server's own words is repeated, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Why there will be no connection.
#[derive(Debug, Error)]
pub enum BusError {
    /// The server refuses the log-in or the channels.
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
    /// TLS does not come about.
    #[error("no secure connection to {server}: {what}. {advice}")]
    Tls {
        /// Address without credentials.
        server: String,
        /// What went wrong, safe to show.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// The shared local server cannot be had.
    #[error(transparent)]
    Local(#[from] LocalError),
}

/// What to do about an error reply that waiting cannot mend; `None` where it may.
pub(super) fn advice(reply: &str) -> Option<&'static str> {
    let advice = match reply.split(' ').next().unwrap_or_default() {
        "NOAUTH" => "Give the password in the URL: redis://:password@host, or in REDIS_URL",
        "WRONGPASS" => "Check user and password in the URL; special characters are written as %40 for @, %3A for :",
        "NOPERM" => {
            "Ask for an ACL rule that allows it, such as &stock_prices +subscribe +publish, or ~stock_ticks +@stream"
        }
        "DENIED" => "The server is in protected mode: set a password there, or bind it to this machine's address",
        "WRONGTYPE" => "What has the name of --stream there is no stream; choose another name",
        "NOPROTO" => "The server is older than Redis 6: leave protocol=resp3 out of the URL",
        "ERR" if reply.contains("AUTH") => "Leave the password out of the URL, or check how the server is set up",
        _ => return None,
    };
    Some(advice)
}

/// The server's words: short, safe for a terminal, and without the full stop, for they are quoted within a sentence.
pub(super) fn shown(text: &str) -> String {
    let text: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    display_safe(text.trim_end_matches('.')).into_owned()
}
