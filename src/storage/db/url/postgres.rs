//! The address of a database on a PostgreSQL server, and how the way there is encrypted.
//!
//! | `sslmode` | the way is | and the server's certificate |
//! |---|---|---|
//! | `disable` | in clear | |
//! | `prefer` (as long as nothing is said) | encrypted where the server can, else in clear | is looked at by nobody |
//! | `require` | encrypted | is looked at by nobody; with `sslrootcert=FILE` as for `verify-ca` |
//! | `verify-ca`, with `sslrootcert=FILE` | encrypted | comes from an authority in that file, for whatever name |
//! | `verify-full` (with `sslrootcert` and nothing else said) | encrypted | is trusted, for the name in the address |
//!
//! That is libpq's meaning, with three exceptions for the better: without `sslrootcert` the authorities of this machine
//! are trusted, and not those of a file in a hidden folder; an authority that is named is never named in vain, so that
//! `prefer` and `disable` refuse one; and files and settings of libpq's own are not looked at. As in libpq, this
//! machine's authorities go with `verify-full` alone: they sign for everybody, so whoever does not look at the name
//! takes any server for the right one.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};

use crate::model::display_safe;
use crate::storage::db::url::{StoreUrlError, shown_path};

/// A database on a PostgreSQL server. Shown, it never tells its password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    config: Box<Config>,
    encryption: Encryption,
}

/// How much is asked of the way to the server; see the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::storage::db) enum Strictness {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// What the address says about encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::storage::db) struct Encryption {
    pub(in crate::storage::db) strictness: Strictness,
    /// Authorities to trust, as PEM, instead of this machine's own.
    pub(in crate::storage::db) authorities: Option<PathBuf>,
    /// The certificate to show to the server and its private key, as PEM.
    pub(in crate::storage::db) identity: Option<(PathBuf, PathBuf)>,
}

/// libpq's word for the authorities of the machine.
const SYSTEM: &str = "system";

/// The parameters that the client library does not know.
#[derive(Default)]
struct Own {
    mode: Option<String>,
    authorities: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Own {
    fn place(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "sslmode" => Some(&mut self.mode),
            "sslrootcert" => Some(&mut self.authorities),
            "sslcert" => Some(&mut self.certificate),
            "sslkey" => Some(&mut self.key),
            _ => None,
        }
    }

    fn encryption(self) -> Result<Encryption, StoreUrlError> {
        let said = match self.mode.as_deref() {
            None => None,
            Some("disable") => Some(Strictness::Disable),
            Some("prefer") => Some(Strictness::Prefer),
            Some("require") => Some(Strictness::Require),
            Some("verify-ca") => Some(Strictness::VerifyCa),
            Some("verify-full") => Some(Strictness::VerifyFull),
            Some(_) => return Err(StoreUrlError::SslMode),
        };
        let strictness = match (said, &self.authorities) {
            (None, None) => Strictness::Prefer,
            (None, Some(_)) => Strictness::VerifyFull,
            (Some(Strictness::Disable | Strictness::Prefer), Some(_)) => return Err(StoreUrlError::SslRoot),
            (Some(Strictness::Require), Some(_)) => Strictness::VerifyCa,
            (Some(said), _) => said,
        };
        let authorities = self.authorities.filter(|path| path != SYSTEM).map(PathBuf::from);
        if strictness == Strictness::VerifyCa && authorities.is_none() {
            return Err(StoreUrlError::SslAuthority);
        }
        let identity = match (self.certificate, self.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            _ => return Err(StoreUrlError::SslIdentity),
        };
        Ok(Encryption { strictness, authorities, identity })
    }
}

impl PostgresUrl {
    /// What the client needs, password included.
    pub(in crate::storage::db) fn config(&self) -> &Config {
        &self.config
    }

    pub(in crate::storage::db) fn encryption(&self) -> &Encryption {
        &self.encryption
    }
}

/// Text with `%40` and the like resolved; `None` where that is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let number = match tail {
            [high, low, ..] if *first == b'%' => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                digit(high).zip(digit(low)).map(|(high, low)| (high * 16 + low) as u8)
            }
            _ => None,
        };
        bytes.push(number.unwrap_or(*first));
        rest = if number.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).ok()
}

/// The address without the parameters that are ours, and these.
fn split(text: &str) -> Result<(String, Own), StoreUrlError> {
    // A question mark in the password begins nothing, as the client library reads it.
    let host_at = text.find('@').unwrap_or(0);
    let Some(query_at) = text[host_at..].find('?').map(|at| host_at + at) else {
        return Ok((text.to_owned(), Own::default()));
    };
    let (mut own, mut others) = (Own::default(), Vec::new());
    for pair in text[query_at + 1..].split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name).ok_or(StoreUrlError::Postgres)?;
        match own.place(&name) {
            Some(place) => *place = Some(decoded(value).ok_or(StoreUrlError::Postgres)?).filter(|it| !it.is_empty()),
            None => others.push(pair),
        }
    }
    let address = &text[..query_at];
    Ok((if others.is_empty() { address.to_owned() } else { format!("{address}?{}", others.join("&")) }, own))
}

/// Refuses what the client library would not read as it was meant. To it, all before the first `@` is the login: behind
/// a password with that sign it would look for a host, and the rest of the password would be shown and looked up.
fn check_login(text: &str) -> Result<(), StoreUrlError> {
    let Some((login, rest)) = text.split_once('@') else { return Ok(()) };
    // There is no login where the sign stands in a parameter's value.
    let is_query = login.split_once('?').is_some_and(|(_, query)| query.contains('='));
    let address = rest.split_once('?').map_or(rest, |(address, _)| address);
    if is_query || address.contains('@') { Err(StoreUrlError::Postgres) } else { Ok(()) }
}

impl FromStr for PostgresUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        check_login(text)?;
        let (address, own) = split(text)?;
        let mut config = Config::from_str(&address).map_err(|_| StoreUrlError::Postgres)?;
        // No host has that sign in its name, written as %40 or not: it is a part of something else.
        if config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if name.contains('@'))) {
            return Err(StoreUrlError::Postgres);
        }
        let encryption = own.encryption()?;
        if config.get_hosts().is_empty() {
            // A certificate is held against the host; an address is one.
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
        if config.get_hosts().is_empty() {
            return Err(StoreUrlError::Host);
        }
        let is_strict = encryption.strictness >= Strictness::Require;
        if config.get_ssl_negotiation() == SslNegotiation::Direct && !is_strict {
            return Err(StoreUrlError::SslDirect);
        }
        // A socket of this machine needs no encryption, and the server offers none there.
        let is_local = config.get_hosts().iter().all(|host| !matches!(host, Host::Tcp(_)));
        config.ssl_mode(match encryption.strictness {
            _ if is_local => SslMode::Disable,
            Strictness::Disable => SslMode::Disable,
            Strictness::Prefer => SslMode::Prefer,
            Strictness::Require | Strictness::VerifyCa | Strictness::VerifyFull => SslMode::Require,
        });
        Ok(Self { config: Box::new(config), encryption })
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
        for (number, host) in config.get_hosts().iter().enumerate() {
            f.write_str(if number > 0 { "," } else { "" })?;
            match host {
                Host::Tcp(name) => f.write_str(&display_safe(name))?,
                #[cfg(unix)]
                Host::Unix(path) => f.write_str(&shown_path(path))?,
            }
            if let Some(port) = ports.get(number).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        match config.get_dbname() {
            Some(name) => write!(f, "/{}", display_safe(name)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::db::url::postgres::*;

    fn parsed(query: &str) -> Result<PostgresUrl, StoreUrlError> {
        format!("postgres://me:se?cret@db.example/ticks{query}").parse()
    }

    #[test]
    fn each_mode_asks_as_much_as_it_says() {
        use Strictness::{Disable, Prefer, Require, VerifyCa, VerifyFull};
        for (query, strictness, mode, authorities) in [
            ("", Prefer, SslMode::Prefer, None),
            ("?sslmode=", Prefer, SslMode::Prefer, None),
            ("?sslmode=disable", Disable, SslMode::Disable, None),
            ("?sslmode=prefer", Prefer, SslMode::Prefer, None),
            ("?connect_timeout=3&sslmode=require", Require, SslMode::Require, None),
            ("?sslmode=require&sslrootcert=ca.pem", VerifyCa, SslMode::Require, Some("ca.pem")),
            ("?sslmode=verify-ca&connect_timeout=3&sslrootcert=ca.pem", VerifyCa, SslMode::Require, Some("ca.pem")),
            ("?sslmode=verify-full&sslrootcert=system", VerifyFull, SslMode::Require, None),
            ("?sslmode=verify-full&sslnegotiation=direct", VerifyFull, SslMode::Require, None),
            ("?%73slrootcert=%2Fmy%20ca%.pem", VerifyFull, SslMode::Require, Some("/my ca%.pem")),
            ("?sslrootcert=system", VerifyFull, SslMode::Require, None),
        ] {
            let url = parsed(query).unwrap();
            let encryption = Encryption { strictness, authorities: authorities.map(PathBuf::from), identity: None };
            assert_eq!((url.encryption(), url.config().get_ssl_mode()), (&encryption, mode), "{query}");
            assert_eq!(url.config().get_connect_timeout().is_some(), query.contains("connect_timeout"), "{query}");
            assert_eq!(url.config().get_password(), Some(&b"se?cret"[..]), "{query}");
        }
        let url = parsed("?sslmode=require&sslcert=c.pem&sslkey=k.pem").unwrap();
        assert_eq!(url.encryption().identity, Some(("c.pem".into(), "k.pem".into())));
    }

    #[test]
    fn what_asks_for_two_things_at_once_is_refused() {
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
        // Behind the login there is no doubt what the sign belongs to.
        let url: PostgresUrl = "postgres://u@h/d?password=a@secret".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://u@h:5432/d");
        assert_eq!(url.config().get_password(), Some(&b"a@secret"[..]));
    }

    #[test]
    fn a_socket_of_this_machine_is_not_encrypted_and_an_address_is_a_host() {
        let url: PostgresUrl = "postgres://me@%2Frun%2Fpg/ticks?sslmode=require".parse().unwrap();
        assert_eq!(url.config().get_ssl_mode(), SslMode::Disable);
        let url: PostgresUrl = "postgres:///ticks?hostaddr=127.0.0.1&user=me".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://me@127.0.0.1/ticks");
        assert_eq!(url.config().get_hosts(), [Host::Tcp("127.0.0.1".to_owned())]);
    }
}
