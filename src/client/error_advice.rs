//! Why a server cannot be used at all, so that trying again is no use.

use thiserror::Error;

use crate::broker::LocalRedisError;
use crate::model::display_safe;

/// How much of the server's own words is repeated, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Why there will be no connection.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The server refuses the log-in or the channels.
    #[error("Redis at {server} refuses: {reply}{} {advice}", full_stop(.reply))]
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
    Local(#[from] LocalRedisError),
}

/// What to do about an error reply that waiting cannot mend; `None` where it may.
pub(super) fn advice(reply: &str) -> Option<&'static str> {
    let advice = match reply.split(' ').next().unwrap_or_default() {
        "NOAUTH" => "Give the password in the URL: redis://:password@host, or in REDIS_URL",
        "WRONGPASS" => "Check user and password in the URL; special characters are written as %40 for @, %3A for :",
        "NOPERM" if reply.contains("'time'") => {
            "Ask for an ACL rule that allows +time, by which the server's clock is read, as --since 1h does; --since \
             start does without"
        }
        "NOPERM" if reply.contains("keys") || reply.contains(" 'x") => {
            "Ask for an ACL rule that allows this stream: ~stock_ticks*, with +xadd to write, +xread to read, +@stream \
             in a group"
        }
        "NOPERM" if reply.contains("'cluster") => "Ask for an ACL rule that allows +cluster|slots, beside the channels",
        "NOPERM" => "Ask for an ACL rule that allows these channels, such as &stock_prices +subscribe +publish",
        "DENIED" => "The server is in protected mode: set a password there, or bind it to this machine's address",
        "NOPROTO" => "The server is older than Redis 6: leave protocol=resp3 out of the URL",
        "WRONGTYPE" => {
            "What is stored under this name is no stream: give another name with --stream, or delete the key"
        }
        "ERR" if is_unknown(reply, "XADD") => {
            "This server has no streams, which Redis has from version 5 on: leave --stream out, or use another server"
        }
        "ERR" if is_unknown(reply, "XAUTOCLAIM") => {
            "This server cannot take over what a dead member left; Redis can from version 6.2 on: leave --group out"
        }
        "ERR" if is_unknown(reply, "SPUBLISH") => {
            "This server has no sharded channels, which Redis has from version 7 on: leave --cluster out"
        }
        "ERR" if is_unknown(reply, "SENTINEL") => {
            "This server is no sentinel: give the address of a sentinel, often with port 26379, or write redis:// for \
             redis+sentinel://"
        }
        "ERR" if reply.contains("DB index") => {
            "Check the number of the database behind the / in the URL: a server has 16, from 0 to 15, unless it is set \
             up otherwise, and a cluster has 0 alone"
        }
        "ERR" if reply.contains("cluster support disabled") => {
            "This server is no part of a cluster: leave --cluster out"
        }
        "ERR" if reply.contains("AUTH") => "Leave the password out of the URL, or check how the server is set up",
        _ => return None,
    };
    Some(advice)
}

/// Whether the server does not know `command`. The name stands between marks that differ between versions.
pub(super) fn is_unknown(reply: &str, command: &str) -> bool {
    let named = reply.strip_prefix("ERR unknown command ").and_then(|rest| rest.strip_prefix(['\'', '`']));
    named.is_some_and(|named| named.starts_with(command))
}

/// What parts [`shown`] words from the next sentence: a question has its mark already.
fn full_stop(reply: &str) -> &'static str {
    if reply.ends_with(['?', '!']) { "" } else { "." }
}

/// The server's words: short, safe for a terminal, and without the full stop, for they are quoted within a sentence.
pub(super) fn shown(text: &str) -> String {
    let text: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    display_safe(text.trim_end_matches('.')).into_owned()
}

#[cfg(test)]
mod tests {
    use crate::client::error_advice::*;

    #[test]
    fn what_lasts_has_its_advice_and_what_passes_has_none() {
        for (reply, needle) in [
            ("WRONGTYPE Operation against a key holding the wrong kind of value", "--stream"),
            ("NOPERM this user has no permissions to access one of the keys used as arguments", "+xadd"),
            ("NOPERM this user has no permissions to run the 'xadd' command", "+xadd"),
            ("NOPERM this user has no permissions to access one of the channels used as arguments", "&stock_prices"),
            ("NOPERM this user has no permissions to run the 'cluster|slots' command", "+cluster|slots"),
            ("NOPERM User u has no permissions to run the 'time' command", "+time"),
            ("NOPERM this user has no permissions to run the 'time' command or its subcommand", "--since start"),
            ("ERR unknown command 'SENTINEL', with args beginning with: 'get-master-addr-by-name' ", "no sentinel"),
            ("ERR unknown command `SENTINEL`, with args beginning with: `get-master-addr-by-name`, ", "no sentinel"),
            ("ERR DB index is out of range", "behind the /"),
            ("ERR invalid DB index", "behind the /"),
            ("ERR unknown command `XAUTOCLAIM`, with args beginning with: ", "leave --group out"),
            ("ERR unknown command 'XADD', with args beginning with: ", "leave --stream out"),
            ("ERR unknown command 'SPUBLISH', with args beginning with: ", "leave --cluster out"),
            ("ERR This instance has cluster support disabled", "leave --cluster out"),
        ] {
            assert!(advice(reply).is_some_and(|advice| advice.contains(needle)), "{reply}");
        }
        for passing in [
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
            assert_eq!(advice(passing), None, "{passing}");
        }
    }

    #[test]
    fn the_servers_words_and_the_advice_are_sentences_of_their_own() {
        for (reply, expected) in [
            ("ERR Is it correct?", "Redis at h:1 refuses: ERR Is it correct? Do this"),
            ("ERR This is so.", "Redis at h:1 refuses: ERR This is so. Do this"),
            ("ERR This is so", "Redis at h:1 refuses: ERR This is so. Do this"),
        ] {
            let error = ClientError::Refused { server: "h:1".to_owned(), reply: shown(reply), advice: "Do this" };
            assert_eq!(error.to_string(), expected);
        }
    }
}
