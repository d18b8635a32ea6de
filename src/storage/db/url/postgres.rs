//! PostgreSQL URLs, and the encryption that they ask for.
//!
//! | `sslmode` | connection | server certificate |
//! |---|---|---|
//! | `disable` | plain | |
//! | `prefer` (the default) | encrypted if the server can, else plain | not verified |
//! | `require` | encrypted | not verified; with `sslrootcert=FILE` as `verify-ca` |
//! | `verify-ca`, with `sslrootcert=FILE` | encrypted | signed by an authority in that file, for any name |
//! | `verify-full` (the default with `sslrootcert`) | encrypted | trusted, and issued for the URL's host |
//!
//! The meaning is libpq's, except that this machine's authorities are trusted without `sslrootcert` instead of those in
//! `~/.postgresql`; that `prefer` and `disable` reject `sslrootcert`, which they would ignore; and that libpq's own
//! files and environment variables are not read. As in libpq, this machine's authorities are accepted with
//! `verify-full` only: they sign certificates for any host, so every server would pass without a check of the name.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};

use crate::model::display_safe;
use crate::storage::db::url::StoreUrlError;
use crate::storage::display_path;
use crate::tls::{TlsFiles, Verification};

/// Database on a PostgreSQL server. `Display` and `Debug` leave the password out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// Connection settings, including the password, which `Debug` leaves out.
    pub(in crate::storage::db) config: Box<Config>,
    pub(in crate::storage::db) verification: Verification,
    pub(in crate::storage::db) tls_files: TlsFiles,
}

/// Value of `sslrootcert` that stands for this machine's authorities.
const SYSTEM_ROOTS: &str = "system";

/// Parameters that tokio-postgres does not know, or not with all values.
const SSL_PARAMETERS: [&str; 4] = ["sslmode", "sslrootcert", "sslcert", "sslkey"];

/// Encryption that the [`SSL_PARAMETERS`] of a URL ask for.
fn encryption(mut parameters: HashMap<&str, String>) -> Result<(SslMode, Verification, TlsFiles), StoreUrlError> {
    let root = parameters.remove("sslrootcert");
    let (mode, verification) = match (parameters.get("sslmode").map(String::as_str), &root) {
        (Some("disable" | "prefer"), Some(_)) => return Err(StoreUrlError::SslRoot),
        (Some("disable"), None) => (SslMode::Disable, Verification::None),
        (Some("prefer") | None, None) => (SslMode::Prefer, Verification::None),
        (Some("require"), None) => (SslMode::Require, Verification::None),
        (Some("require"), Some(_)) | (Some("verify-ca"), _) => (SslMode::Require, Verification::AuthorityOnly),
        (Some("verify-full"), _) | (None, Some(_)) => (SslMode::Require, Verification::Full),
        (Some(_), _) => return Err(StoreUrlError::SslMode),
    };
    let ca = root.filter(|path| path != SYSTEM_ROOTS).map(PathBuf::from);
    if verification == Verification::AuthorityOnly && ca.is_none() {
        return Err(StoreUrlError::SslAuthority);
    }
    let mut path = |name| parameters.remove(name).map(PathBuf::from);
    let (cert, key) = (path("sslcert"), path("sslkey"));
    if cert.is_some() != key.is_some() {
        return Err(StoreUrlError::SslIdentity);
    }
    Ok((mode, verification, TlsFiles { ca, cert, key }))
}

fn decode(text: &str) -> Result<String, StoreUrlError> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| StoreUrlError::Postgres)
}

/// Splits a URL into the part that tokio-postgres parses and the [`SSL_PARAMETERS`].
fn split_parameters(text: &str) -> Result<(String, HashMap<&'static str, String>), StoreUrlError> {
    // A question mark in the password starts no query, as tokio-postgres reads it.
    let host_at = text.find('@').unwrap_or(0);
    let Some(query_at) = text[host_at..].find('?').map(|at| host_at + at) else {
        return Ok((text.to_owned(), HashMap::new()));
    };
    let (mut ssl, mut others) = (HashMap::new(), Vec::new());
    for pair in text[query_at + 1..].split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name)?;
        match SSL_PARAMETERS.into_iter().find(|known| *known == name) {
            // An empty value counts as unset, and a later one replaces an earlier one.
            Some(known) if value.is_empty() => drop(ssl.remove(known)),
            Some(known) => drop(ssl.insert(known, decode(value)?)),
            None => others.push(pair),
        }
    }
    let address = &text[..query_at];
    Ok((if others.is_empty() { address.to_owned() } else { format!("{address}?{}", others.join("&")) }, ssl))
}

/// Rejects an unescaped `@` in the password. tokio-postgres ends the login at the first `@`: it would take the rest of
/// the password for a host, which is displayed and looked up in DNS.
fn check_login(text: &str) -> Result<(), StoreUrlError> {
    let Some((login, rest)) = text.split_once('@') else { return Ok(()) };
    // An `@` in a parameter's value ends no login.
    let is_query = login.split_once('?').is_some_and(|(_, query)| query.contains('='));
    let address = rest.split_once('?').map_or(rest, |(address, _)| address);
    if is_query || address.contains('@') { Err(StoreUrlError::Postgres) } else { Ok(()) }
}

impl FromStr for PostgresUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        check_login(text)?;
        let (address, ssl) = split_parameters(text)?;
        let mut config = Config::from_str(&address).map_err(|_| StoreUrlError::Postgres)?;
        // Host names contain no `@`, even written as %40: it belongs to a password.
        if config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if name.contains('@'))) {
            return Err(StoreUrlError::Postgres);
        }
        let (ssl_mode, verification, tls_files) = encryption(ssl)?;
        if config.get_hosts().is_empty() {
            // The server certificate is verified against the host; an IP address can be one.
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
        if config.get_hosts().is_empty() {
            return Err(StoreUrlError::Host);
        }
        if config.get_ssl_negotiation() == SslNegotiation::Direct && ssl_mode != SslMode::Require {
            return Err(StoreUrlError::SslDirect);
        }
        // Servers offer no encryption on Unix sockets.
        let is_local = config.get_hosts().iter().all(|host| !matches!(host, Host::Tcp(_)));
        config.ssl_mode(if is_local { SslMode::Disable } else { ssl_mode });
        Ok(Self { config: Box::new(config), verification, tls_files })
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, .. } = self;
        f.write_str("postgres://")?;
        if let Some(user) = config.get_user() {
            write!(f, "{}@", display_safe(user))?;
        }
        let ports = config.get_ports();
        for (index, host) in config.get_hosts().iter().enumerate() {
            f.write_str(if index > 0 { "," } else { "" })?;
            match host {
                Host::Tcp(name) => f.write_str(&display_safe(name))?,
                #[cfg(unix)]
                Host::Unix(path) => f.write_str(&display_path(path))?,
            }
            if let Some(port) = ports.get(index).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        match config.get_dbname() {
            Some(name) => write!(f, "/{}", display_safe(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::db::url::postgres::*;

    fn parsed(query: &str) -> Result<PostgresUrl, StoreUrlError> {
        format!("postgres://me:se?cret@db.example/ticks{query}").parse()
    }

    #[test]
    fn each_sslmode_maps_to_its_strictness() {
        use Verification::{AuthorityOnly, Full, None as Nothing};
        for (query, verification, mode, authorities) in [
            ("", Nothing, SslMode::Prefer, None),
            ("?sslmode=", Nothing, SslMode::Prefer, None),
            ("?sslmode=disable", Nothing, SslMode::Disable, None),
            ("?sslmode=prefer", Nothing, SslMode::Prefer, None),
            ("?connect_timeout=3&sslmode=require", Nothing, SslMode::Require, None),
            ("?sslmode=require&sslrootcert=ca.pem", AuthorityOnly, SslMode::Require, Some("ca.pem")),
            (
                "?sslmode=verify-ca&connect_timeout=3&sslrootcert=ca.pem",
                AuthorityOnly,
                SslMode::Require,
                Some("ca.pem"),
            ),
            ("?sslmode=verify-full&sslrootcert=system", Full, SslMode::Require, None),
            ("?sslmode=verify-full&sslnegotiation=direct", Full, SslMode::Require, None),
            ("?%73slrootcert=%2Fmy%20ca%.pem", Full, SslMode::Require, Some("/my ca%.pem")),
            ("?sslrootcert=system", Full, SslMode::Require, None),
        ] {
            let url = parsed(query).unwrap();
            let files = TlsFiles { ca: authorities.map(PathBuf::from), ..TlsFiles::default() };
            assert_eq!(
                (url.verification, &url.tls_files, url.config.get_ssl_mode()),
                (verification, &files, mode),
                "{query}"
            );
            assert_eq!(url.config.get_connect_timeout().is_some(), query.contains("connect_timeout"), "{query}");
            assert_eq!(url.config.get_password(), Some(&b"se?cret"[..]), "{query}");
        }
        let url = parsed("?sslmode=require&sslcert=c.pem&sslkey=k.pem").unwrap();
        let TlsFiles { cert, key, .. } = &url.tls_files;
        assert_eq!((cert, key), (&Some("c.pem".into()), &Some("k.pem".into())));
    }

    #[test]
    fn contradictory_parameters_are_rejected() {
        for (query, error) in [
            ("?sslmode=always", StoreUrlError::SslMode),
            ("?sslmode=prefer&sslrootcert=ca.pem", StoreUrlError::SslRoot),
            ("?sslrootcert=ca.pem&sslmode=disable", StoreUrlError::SslRoot),
            ("?sslmode=verify-ca", StoreUrlError::SslAuthority),
            ("?sslmode=verify-ca&sslrootcert=system", StoreUrlError::SslAuthority),
            ("?sslmode=require&sslrootcert=system", StoreUrlError::SslAuthority),
            ("?sslcert=c.pem", StoreUrlError::SslIdentity),
            ("?sslkey=k.pem", StoreUrlError::SslIdentity),
            ("?sslnegotiation=direct", StoreUrlError::SslDirect),
            ("?sslrootcert=%ff", StoreUrlError::Postgres),
            ("?sslcompression=1", StoreUrlError::Postgres),
        ] {
            assert_eq!(parsed(query), Err(error), "{query}");
        }
    }

    #[test]
    fn a_password_with_an_at_sign_is_never_taken_for_a_host() {
        for text in [
            "postgres://u:p@secret@127.0.0.1:7829/d",
            "postgres://u:p@se/cret@127.0.0.1:7829/d",
            "postgres://127.0.0.1:7829/d?user=u&password=a@secret",
            "postgres://127.0.0.1:7829?user=u&password=a@secret&sslmode=require",
            "postgres:///d?host=h&password=a@secret",
            "postgres://u:p@x%40secret/d",
            "postgres://u:p@h,x%40secret/d",
            "postgres://u:p@/d?host=x@secret",
        ] {
            let error = text.parse::<PostgresUrl>().unwrap_err();
            assert_eq!(error, StoreUrlError::Postgres, "{text}");
            assert!(error.to_string().contains("%40") && !error.to_string().contains("secret"), "{error}");
        }
        // After the login, the sign belongs to the parameter.
        let url: PostgresUrl = "postgres://u@h/d?password=a@secret".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://u@h:5432/d");
        assert_eq!(url.config.get_password(), Some(&b"a@secret"[..]));
    }

    #[test]
    fn unix_sockets_are_not_encrypted_and_hostaddr_serves_as_host() {
        let url: PostgresUrl = "postgres://me@%2Frun%2Fpg/ticks?sslmode=require".parse().unwrap();
        assert_eq!(url.config.get_ssl_mode(), SslMode::Disable);
        let url: PostgresUrl = "postgres:///ticks?hostaddr=127.0.0.1&user=me".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://me@127.0.0.1/ticks");
        assert_eq!(url.config.get_hosts(), [Host::Tcp("127.0.0.1".to_owned())]);
    }
}
