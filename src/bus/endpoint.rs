//! Where Redis is: a URL, with credentials that never show.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use thiserror::Error;

/// Why a Redis URL cannot be used. The URL itself is never repeated whole: it may hold a password.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EndpointError {
    /// Not a URL of a known form.
    #[error(
        "the Redis URL cannot be read ({reason}); it looks like redis://[user:password@]host[:6379][/database] or \
         unix:///path/to/redis.sock. Characters such as @ : / # in a password are written as %40 %3A %2F %23"
    )]
    Malformed {
        /// What is wrong with it, without quoting it.
        reason: &'static str,
    },
    /// `rediss://`.
    #[error("TLS (rediss://) is not supported yet; use redis:// on a trusted network, or a TLS tunnel such as stunnel")]
    Tls,
}

/// One Redis server and the way to log in to it. `Display` and `Debug` leave user and password out.
#[derive(Clone)]
pub struct Endpoint {
    info: ConnectionInfo,
}

impl Endpoint {
    /// Reads `redis://[user:password@]host[:port][/db]`, `unix:///path` or `redis+unix:///path`.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        let malformed = |reason| EndpointError::Malformed { reason };
        let Some((scheme, _)) = url.split_once(':') else {
            return Err(malformed("it has no scheme such as redis://"));
        };
        match scheme {
            "redis" | "unix" | "redis+unix" | "valkey" | "valkey+unix" => {}
            "rediss" | "valkeys" => return Err(EndpointError::Tls),
            _ => return Err(malformed("its scheme is not redis:// or unix://")),
        }
        let url = url.trim();
        let info =
            url.into_connection_info().map_err(|_| malformed("its host, port, database or user part is wrong"))?;
        Ok(Self { info })
    }

    /// A server on this machine without a password.
    pub fn loopback(port: u16) -> Self {
        let addr = ConnectionAddr::Tcp("127.0.0.1".to_owned(), port);
        Self { info: addr.into_connection_info().unwrap_or_else(|_| unreachable!("an address is always valid")) }
    }

    /// What the redis crate needs; holds the password, so it must not be printed.
    pub(crate) fn connection_info(&self) -> &ConnectionInfo {
        &self.info
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = match self.info.addr() {
            ConnectionAddr::Unix(path) => format!("unix://{}", path.display()),
            // An IPv6 address needs its brackets before a port.
            ConnectionAddr::Tcp(host, port) if host.contains(':') => format!("redis://[{host}]:{port}"),
            addr => format!("redis://{addr}"),
        };
        f.write_str(&crate::model::display_safe(&shown))?;
        match self.info.redis_settings().db() {
            0 => Ok(()),
            db => write!(f, " (database {db})"),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// The server a program was told to use, or the one that is shared on this machine when it was told nothing.
#[derive(Debug, Clone)]
pub enum Target {
    /// A URL was given: only this server will do, and no broker is ever started.
    Given(Endpoint),
    /// No URL: whatever serves this loopback port, or our own broker if nothing does.
    Local {
        /// Port on 127.0.0.1; Redis's own is 6379.
        port: u16,
    },
}

impl Target {
    /// Where to connect.
    pub fn endpoint(&self) -> Endpoint {
        match self {
            Self::Given(endpoint) => endpoint.clone(),
            Self::Local { port } => Endpoint::loopback(*port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_show_nowhere() {
        let endpoint = Endpoint::parse("redis://alice:s3cret@example.test:6380/2").unwrap();
        assert_eq!(endpoint.to_string(), "redis://example.test:6380 (database 2)");
        assert!(!format!("{endpoint:?}").contains("s3cret"));
        for bad in [
            "redis://alice:s3cret@:not-a-port/x",
            "http://alice:s3cret@host",
            "alice:s3cret",
            "redis://a:s3cret@h:1/zz",
        ] {
            let error = Endpoint::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("s3cret") && !error.contains("alice"), "{error}");
        }
        assert_eq!(Endpoint::parse("rediss://h").unwrap_err(), EndpointError::Tls);
    }

    #[test]
    fn the_usual_forms_are_read() {
        for (url, shown) in [
            ("redis://127.0.0.1", "redis://127.0.0.1:6379"),
            ("redis://[::1]:7000/0", "redis://[::1]:7000"),
            ("unix:///run/redis.sock", "unix:///run/redis.sock"),
            ("redis://:p%40ss@h:1", "redis://h:1"),
        ] {
            assert_eq!(Endpoint::parse(url).unwrap().to_string(), shown);
        }
    }
}
