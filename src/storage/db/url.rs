//! URLs of stores.

#[cfg(feature = "mongodb")]
mod mongodb;
mod postgres;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

use crate::storage::display_path;
#[cfg(feature = "mongodb")]
pub use mongodb::MongoUrl;
pub use postgres::PostgresUrl;

/// Location of a store. `Display` and `Debug` leave the password out.
///
/// # Examples
///
/// ```
/// use tickscope::storage::db::StoreUrl;
///
/// let url: StoreUrl = "postgres://me:s3cret@localhost/ticks".parse()?;
/// assert_eq!(url.to_string(), "postgres://me@localhost:5432/ticks");
/// # Ok::<(), tickscope::storage::db::StoreUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// SQLite file: `sqlite:ticks.db`, `sqlite:///var/lib/ticks.db`.
    Sqlite(PathBuf),
    /// PostgreSQL server: `postgres://user:password@host:5432/database`.
    Postgres(PostgresUrl),
    /// MongoDB server: `mongodb://user:password@host:27017/database`.
    #[cfg(feature = "mongodb")]
    Mongo(MongoUrl),
}

/// Faults of a store's URL. None repeats the text, which may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StoreUrlError {
    /// The scheme is unknown.
    #[error(
        "stores are written as sqlite:FILE, postgres://USER:PASSWORD@HOST:PORT/DATABASE or mongodb://HOST/DATABASE"
    )]
    Scheme,
    /// `mongodb://` in a build without MongoDB.
    #[error(
        "this program was built without MongoDB; build it with `cargo build --release --features mongodb`, or keep \
         ticks in sqlite:FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE"
    )]
    Mongo,
    /// `mongodb://` that does not parse.
    #[error(
        "this is no address of a MongoDB database; write mongodb://USER:PASSWORD@HOST:PORT/DATABASE, with the signs \
         @ : / ? # % in user and password as %40 %3A %2F %3F %23 %25"
    )]
    MongoAddress,
    /// `mongodb://` without a database.
    #[error("the address names no database; write mongodb://HOST/DATABASE, with ?authSource=admin for users of admin")]
    MongoDatabase,
    /// `mongodb+srv://`, which needs DNS lookups.
    #[error(
        "mongodb+srv:// is not supported; write the servers out: \
         mongodb://USER:PASSWORD@HOST1,HOST2/DATABASE?tls=true&replicaSet=NAME&authSource=admin"
    )]
    MongoSrv,
    /// `sqlite:` without a file, or in memory.
    #[error("sqlite: needs the name of a file, such as sqlite:ticks.db")]
    SqliteFile,
    /// `postgres://` that does not parse.
    #[error(
        "this is no address of a PostgreSQL database; write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with the \
         signs @ : / ? # % in user and password as %40 %3A %2F %3F %23 %25"
    )]
    Postgres,
    /// `postgres://` without a host.
    #[error("the address of the PostgreSQL database names no host, such as postgres://USER@localhost/DATABASE")]
    Host,
    /// Unknown value of `sslmode`.
    #[error("sslmode is one of disable, prefer, require, verify-ca and verify-full")]
    SslMode,
    /// `sslrootcert` with a mode that verifies nothing.
    #[error(
        "sslmode=disable and prefer verify no certificate and cannot be combined with sslrootcert; leave sslmode out, \
         or write sslmode=verify-full"
    )]
    SslRoot,
    /// Public authorities without a check of the host name.
    #[error(
        "this machine's authorities sign for everybody, so sslmode=verify-ca and require with sslrootcert=system keep \
         nobody out; add sslrootcert=FILE with the server's own authority, or use sslmode=verify-full"
    )]
    SslAuthority,
    /// A certificate without a key, or a key without a certificate.
    #[error("sslcert and sslkey belong together: the certificate to show to the server, and its private key")]
    SslIdentity,
    /// Direct negotiation with a mode that allows plain connections.
    #[error("sslnegotiation=direct goes with sslmode=require, verify-ca or verify-full only")]
    SslDirect,
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return text.parse().map(Self::Postgres);
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            // A store in memory would be lost at the end.
            let is_file = !path.is_empty() && path != ":memory:";
            return if is_file { Ok(Self::Sqlite(path.into())) } else { Err(StoreUrlError::SqliteFile) };
        }
        if text.starts_with("mongodb:") || text.starts_with("mongodb+srv:") {
            #[cfg(feature = "mongodb")]
            return text.parse().map(Self::Mongo);
            #[cfg(not(feature = "mongodb"))]
            return Err(StoreUrlError::Mongo);
        }
        Err(StoreUrlError::Scheme)
    }
}

impl StoreUrl {
    /// Name of the store in errors of opening it.
    pub(super) fn name(&self) -> String {
        if let Self::Sqlite(path) = self { display_path(path) } else { self.to_string() }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", display_path(path)),
            Self::Postgres(url) => url.fmt(f),
            #[cfg(feature = "mongodb")]
            Self::Mongo(url) => url.fmt(f),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::db::url::*;

    #[test]
    fn sqlite_paths_are_accepted_in_each_usual_form() {
        for (text, path) in [
            ("sqlite:ticks.db", "ticks.db"),
            ("sqlite:///var/lib/ticks.db", "/var/lib/ticks.db"),
            ("sqlite:/var/lib/ticks.db", "/var/lib/ticks.db"),
            ("sqlite://ticks.db", "ticks.db"),
            ("sqlite:a b?c#d.db", "a b?c#d.db"),
        ] {
            assert_eq!(text.parse(), Ok(StoreUrl::Sqlite(path.into())), "{text}");
        }
    }

    #[test]
    fn errors_never_repeat_the_url() {
        for (text, error) in [
            ("", StoreUrlError::Scheme),
            ("ticks.db", StoreUrlError::Scheme),
            ("mysql://u:secret@h/d", StoreUrlError::Scheme),
            ("sqlite:", StoreUrlError::SqliteFile),
            ("sqlite::memory:", StoreUrlError::SqliteFile),
            ("postgres://u:secret@h:port/d", StoreUrlError::Postgres),
            ("postgres:///d?user=secret", StoreUrlError::Host),
            ("postgres://u:secret@h/d?sslmode=secret", StoreUrlError::SslMode),
            ("postgresql://u:secret@h/d?sslcert=c.pem", StoreUrlError::SslIdentity),
        ] {
            assert_eq!(text.parse::<StoreUrl>(), Err(error), "{text}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }

    #[cfg(not(feature = "mongodb"))]
    #[test]
    fn a_build_without_mongodb_names_the_feature() {
        for text in ["mongodb://u:secret@h/d", "mongodb+srv://u:secret@h/d"] {
            let error = text.parse::<StoreUrl>().unwrap_err();
            assert_eq!(error, StoreUrlError::Mongo);
            assert!(error.to_string().contains("cargo build --release --features mongodb"), "{error}");
        }
    }

    #[test]
    fn passwords_are_not_displayed() {
        let url: StoreUrl = "postgresql://me:s3cret%40@db.example:6432,other/ticks?connect_timeout=3".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://me@db.example:6432,other:5432/ticks");
        assert_eq!(format!("{url:?}"), url.to_string());
        let url: StoreUrl = "postgres://me@%2Frun%2Fpg/ticks?password=s3cret".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://me@/run/pg:5432/ticks");
    }
}
