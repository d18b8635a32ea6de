//! A connection to a server, and what its errors mean.

use std::borrow::Cow;
use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::model::{StreamId, display_safe};
use crate::storage::db::DbError;
use crate::storage::db::backend::OpenError;
use crate::storage::db::url::PostgresUrl;

use crate::storage::db::postgres::tls;

/// Longest that a connection may take to stand.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Longest that the server may take for one thing asked of it: a full transaction takes a fraction of a second, so that
/// this one has stopped, or is so slow that another connection serves better.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// An idle connection is probed so often, so that one that only looks alive is found.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// A connection, and the runtime that drives it while something is asked.
pub(super) struct Link {
    // Before the runtime: it goes first.
    client: Client,
    runtime: Runtime,
}

/// Why something asked of the server was not done.
#[derive(Debug)]
pub(super) enum Failure {
    Server(Error),
    Silent,
    /// A name was added, and is not there.
    NoNumber,
}

impl Link {
    /// Connects under a name that the server's administrator sees.
    pub(super) fn open(url: &PostgresUrl, name: &str) -> Result<Self, OpenError> {
        let away = |error: io::Error| OpenError::Away(error.to_string());
        let runtime = Builder::new_current_thread().enable_all().build().map_err(away)?;
        let mut config = url.config().clone();
        config.application_name(name).keepalives_idle(KEEPALIVE).tcp_user_timeout(ANSWER_LIMIT);
        let connector = tls::connector(url).map_err(OpenError::Final)?;
        let mut connected = runtime.block_on(connect(&config, connector.clone()));
        if config.get_ssl_mode() == SslMode::Prefer && connected.as_ref().is_err_and(Failure::may_be_encryption) {
            // That encryption is preferred means that the way in clear serves as well.
            config.ssl_mode(SslMode::Disable);
            connected = runtime.block_on(connect(&config, connector)).or(connected);
        }
        let client = connected.map_err(|failure| failure.at_open(url))?;
        Ok(Self { client, runtime })
    }

    /// Asks the server for something.
    pub(super) fn run<T>(&mut self, ask: impl AsyncFnOnce(&mut Client) -> Result<T, Error>) -> Result<T, Failure> {
        let Self { client, runtime } = self;
        runtime.block_on(async {
            match tokio::time::timeout(ANSWER_LIMIT, ask(client)).await {
                Ok(done) => done.map_err(Failure::Server),
                Err(_) => Err(Failure::Silent),
            }
        })
    }
}

async fn connect(config: &Config, connector: MakeRustlsConnect) -> Result<Client, Failure> {
    let connecting = async {
        let (client, connection) = config.connect(connector).await?;
        // Its end shows in whatever is asked next.
        drop(tokio::spawn(connection));
        Ok(client)
    };
    match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
        Ok(connected) => connected.map_err(Failure::Server),
        Err(_) => Err(Failure::Silent),
    }
}

impl Failure {
    /// Whether encryption failed, or is not allowed to this user.
    fn may_be_encryption(&self) -> bool {
        let Self::Server(error) = self else { return false };
        error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) || tls::is_cause(error)
    }

    /// Whether it is this one of the server's errors.
    pub(super) fn is(&self, state: &SqlState) -> bool {
        matches!(self, Self::Server(error) if error.code() == Some(state))
    }

    /// Safe to show. The server's words name users and tables; the client's never name the password.
    pub(super) fn cause(&self) -> String {
        let error = match self {
            Self::Server(error) => error,
            Self::Silent => return "the server does not answer".to_owned(),
            Self::NoNumber => return "rows of the table symbols are hidden from this user".to_owned(),
        };
        if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
            return "another session holds the table ticks".to_owned();
        }
        let text = match (error.as_db_error(), error.source()) {
            (Some(error), _) => error.message().to_owned(),
            (None, Some(source)) => format!("{error}: {source}"),
            (None, None) => error.to_string(),
        };
        display_safe(&text).into_owned()
    }

    /// What it means for a store that is being opened.
    pub(super) fn at_open(self, url: &PostgresUrl) -> OpenError {
        if let Self::Server(error) = &self
            && let Some((cause, advice)) = tls::explanation(error)
        {
            return OpenError::Final(DbError::Tls { store: url.to_string(), cause, advice });
        }
        let cause = self.cause();
        let waiting_may_help = match &self {
            Self::Silent | Self::NoNumber => true,
            Self::Server(error) => match error.code() {
                // Unknown user, wrong password; no such database, no right, no schema to create in.
                Some(state) => !(state.code().starts_with("28") || REFUSALS.contains(state)),
                None => error.is_closed() || error.source().is_some_and(<dyn std::error::Error>::is::<io::Error>),
            },
        };
        if waiting_may_help {
            OpenError::Away(cause)
        } else {
            OpenError::Final(DbError::Refused { store: url.to_string(), cause })
        }
    }
}

/// The server's errors that last until somebody changes something.
const REFUSALS: [SqlState; 4] = [
    SqlState::INVALID_CATALOG_NAME,
    SqlState::INSUFFICIENT_PRIVILEGE,
    SqlState::INVALID_SCHEMA_NAME,
    SqlState::FEATURE_NOT_SUPPORTED,
];

/// Stands for the character NUL, which PostgreSQL has no room for, and for itself, doubled.
const NUL_SIGN: char = '\u{2400}';

/// A name as the server can hold it.
pub(super) fn escape(name: &str) -> Cow<'_, str> {
    if !name.contains(['\0', NUL_SIGN]) {
        return name.into();
    }
    let mut text = String::with_capacity(name.len() + 3);
    for c in name.chars() {
        match c {
            '\0' => text.extend([NUL_SIGN, '0']),
            NUL_SIGN => text.extend([NUL_SIGN, NUL_SIGN]),
            _ => text.push(c),
        }
    }
    text.into()
}

/// The name that was [escaped](escape).
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains(NUL_SIGN) {
        return text.into();
    }
    let mut name = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            NUL_SIGN if chars.next() == Some('0') => name.push('\0'),
            _ => name.push(c),
        }
    }
    name.into()
}

/// The first two columns as a place in a stream.
pub(super) fn stream_position(row: &Row) -> Result<Option<StreamId>, Error> {
    let (ms, seq): (Option<i64>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(ms.zip(seq).map(|(ms, seq)| StreamId { ms: ms.cast_unsigned(), seq: seq.cast_unsigned() }))
}

#[cfg(test)]
mod tests {
    use crate::storage::db::postgres::link::*;

    #[test]
    fn names_with_nul_go_there_and_back() {
        for (name, text) in [
            ("AAPL", "AAPL"),
            ("A\0B", "A\u{2400}0B"),
            ("\u{2400}0", "\u{2400}\u{2400}0"),
            ("\0\0\u{2400}", "\u{2400}0\u{2400}0\u{2400}\u{2400}"),
        ] {
            assert_eq!(escape(name), text);
            assert_eq!(unescape(text), name);
        }
    }
}
