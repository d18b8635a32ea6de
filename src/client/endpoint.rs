//! Address of a Redis server and the settings for its login. Credentials are never displayed.

use std::fmt;
use std::sync::Arc;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use thiserror::Error;
use tokio_rustls::TlsConnector;

use crate::client::{Connector, tls};
use crate::tls::{TlsError, TlsFiles};

/// Error in a Redis URL. It never quotes the URL, which may hold a password.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EndpointError {
    /// The URL is malformed.
    #[error(
        "the Redis URL cannot be read ({reason}); it looks like redis://[user:password@]host[:6379][/database] or \
         unix:///path/to/redis.sock. Characters such as @ : / # in a password are written as %40 %3A %2F %23"
    )]
    Malformed {
        /// Cause, without a quote of the URL.
        reason: &'static str,
    },
    /// `rediss://host/#insecure`.
    #[error(
        "#insecure would accept any certificate, even an attacker's; omit it, and name the authority that signed the \
         server's certificate with --tls-ca FILE"
    )]
    Insecure,
    /// A client certificate without TLS.
    #[error("--tls-cert and --tls-key need TLS: write rediss:// in the URL")]
    PlainWithIdentity,
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// One Redis server and the settings for its login. `Display` and `Debug` omit user and password.
///
/// # Examples
/// ```
/// use tickscope::client::Endpoint;
///
/// let endpoint = Endpoint::parse("redis://user:secret@localhost")?;
/// assert_eq!(endpoint.to_string(), "redis://localhost:6379");
/// # Ok::<(), tickscope::client::EndpointError>(())
/// ```
#[derive(Clone)]
pub struct Endpoint {
    /// Settings in the redis crate's form. They hold the password and must not be printed.
    pub(super) info: ConnectionInfo,
    /// TLS settings for `rediss://`.
    pub(super) tls: Option<TlsConnector>,
    /// Replacement for the operating system's sockets.
    pub(super) connector: Option<Arc<dyn Connector>>,
}

impl Endpoint {
    /// Parses `redis://[user:password@]host[:port][/db]`, `unix:///path` or `redis+unix:///path`. `rediss://` uses TLS
    /// with the authorities that this machine trusts.
    ///
    /// # Errors
    /// [`EndpointError`] if the URL is malformed or TLS cannot be set up.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        Self::parse_with(url, &TlsFiles::default())
    }

    /// Parses a URL like [`parse`](Self::parse), and reads files for TLS.
    ///
    /// # Errors
    /// [`EndpointError`] if the URL is malformed or the files cannot be used.
    pub fn parse_with(url: &str, files: &TlsFiles) -> Result<Self, EndpointError> {
        let malformed = |reason| EndpointError::Malformed { reason };
        let url = url.trim();
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(malformed("it has no scheme such as redis://"));
        };
        let secure = match scheme {
            "redis" | "unix" | "redis+unix" | "valkey" | "valkey+unix" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(malformed("its scheme is not redis:// or unix:// (or rediss:// for TLS)")),
        };
        // The redis crate would set up its own TLS for the other scheme.
        let plain = if secure { format!("redis:{rest}") } else { url.to_owned() };
        let info =
            plain.into_connection_info().map_err(|_| malformed("its host, port, database or user part is wrong"))?;
        if secure && let Some((_, fragment)) = rest.split_once('#') {
            return Err(if fragment == "insecure" { EndpointError::Insecure } else { malformed("it has a # part") });
        }
        if !secure && (files.cert.is_some() || files.key.is_some()) {
            return Err(EndpointError::PlainWithIdentity);
        }
        if !secure && files.ca.is_some() && matches!(info.addr(), ConnectionAddr::Tcp(..)) {
            tracing::warn!("the connection is not encrypted in spite of --tls-ca: write rediss:// for TLS");
        }
        let tls = secure.then(|| tls::connector(files)).transpose()?;
        Ok(Self { info, tls, connector: None })
    }

    /// Endpoint of a server on this machine without a password.
    pub fn loopback(port: u16) -> Self {
        let addr = ConnectionAddr::Tcp("127.0.0.1".to_owned(), port);
        let info = addr.into_connection_info().unwrap_or_else(|_| unreachable!("an address is always valid"));
        Self { info, tls: None, connector: None }
    }

    /// Returns the same endpoint, reached through `connector`.
    #[must_use]
    pub fn through(self, connector: Arc<dyn Connector>) -> Self {
        Self { connector: Some(connector), ..self }
    }

    /// Returns another server with the same settings for the login.
    pub(super) fn at(&self, host: &str, port: u16) -> Self {
        let addr = ConnectionAddr::Tcp(host.to_owned(), port);
        Self { info: self.info.clone().set_addr(addr), ..self.clone() }
    }

    /// Host and port, if the server has any.
    pub(super) fn address(&self) -> Option<(&str, u16)> {
        match self.info.addr() {
            ConnectionAddr::Tcp(host, port) => Some((host, *port)),
            _ => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        let shown = match self.info.addr() {
            ConnectionAddr::Unix(path) => format!("unix://{}", path.display()),
            // An IPv6 address needs its brackets before a port.
            ConnectionAddr::Tcp(host, port) if host.contains(':') => format!("{scheme}://[{host}]:{port}"),
            addr => format!("{scheme}://{addr}"),
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

#[cfg(test)]
mod tests {
    use crate::client::endpoint::*;

    #[test]
    fn credentials_are_never_displayed() {
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
    }

    #[test]
    fn contradictory_tls_settings_are_rejected() {
        let ca = TlsFiles { ca: Some("/nowhere/ca.pem".into()), ..TlsFiles::default() };
        let cert = TlsFiles { cert: Some("/nowhere/cert.pem".into()), ..TlsFiles::default() };
        let error = |url: &str, files: &TlsFiles| Endpoint::parse_with(url, files).unwrap_err();
        assert_eq!(error("rediss://h/#insecure", &ca), EndpointError::Insecure);
        assert_eq!(error("valkeys://h#insecure", &ca), EndpointError::Insecure);
        assert!(matches!(error("rediss://h/#other", &ca), EndpointError::Malformed { .. }));
        assert!(matches!(error("rediss://h", &ca), EndpointError::Tls(TlsError::File { option: "--tls-ca", .. })));
        assert_eq!(error("redis://h", &cert), EndpointError::PlainWithIdentity);
        assert_eq!(error("rediss://:s3cret@h:x", &ca).to_string().matches("s3cret").count(), 0);
        assert!(Endpoint::parse_with("redis://h", &ca).is_ok(), "trusted authorities are ignored without TLS");
    }

    #[test]
    fn common_urls_are_parsed() {
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
