//! Connection to a server, and the meaning of its errors.

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
use crate::storage::db::backend::{OpenError, stream_id};
use crate::storage::db::url::PostgresUrl;

use crate::storage::db::postgres::tls;

/// Longest that connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest that the server may take for a request. A full transaction takes a fraction of a second, so beyond this a
/// new connection serves better.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Interval of probes on an idle connection, which detect a dead peer.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Connection, and the runtime that drives it during a request.
pub(super) struct Connection {
    // Declared before the runtime, so that it is dropped first.
    client: Client,
    runtime: Runtime,
}

/// Failure of a request.
#[derive(Debug)]
pub(super) enum RequestError {
    Server(Error),
    Timeout,
    /// A name was added but cannot be read.
    HiddenName,
}

impl Connection {
    /// Connects under an application name that the server's administrator sees.
    pub(super) fn open(url: &PostgresUrl, name: &str) -> Result<Self, OpenError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| OpenError::Temporary(error.to_string()))?;
        let mut config = url.config().clone();
        config.application_name(name).keepalives_idle(KEEPALIVE).tcp_user_timeout(REQUEST_TIMEOUT);
        let connector = tls::connector(url).map_err(OpenError::Permanent)?;
        let mut connected = runtime.block_on(connect(&config, connector.clone()));
        if config.get_ssl_mode() == SslMode::Prefer && connected.as_ref().is_err_and(RequestError::may_be_encryption) {
            // `sslmode=prefer` falls back to a plain connection.
            config.ssl_mode(SslMode::Disable);
            connected = runtime.block_on(connect(&config, connector)).or(connected);
        }
        let client = connected.map_err(|error| error.at_open(url))?;
        Ok(Self { client, runtime })
    }

    /// Runs a request to its end, with a time limit.
    pub(super) fn run<T>(
        &mut self,
        request: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, RequestError> {
        let Self { client, runtime } = self;
        runtime.block_on(async {
            match tokio::time::timeout(REQUEST_TIMEOUT, request(client)).await {
                Ok(done) => done.map_err(RequestError::Server),
                Err(_) => Err(RequestError::Timeout),
            }
        })
    }
}

async fn connect(config: &Config, connector: MakeRustlsConnect) -> Result<Client, RequestError> {
    let connecting = async {
        let (client, connection) = config.connect(connector).await?;
        // The next request reports the connection's end.
        drop(tokio::spawn(connection));
        Ok(client)
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(connected) => connected.map_err(RequestError::Server),
        Err(_) => Err(RequestError::Timeout),
    }
}

impl RequestError {
    /// Reports whether encryption failed, or is not allowed for this user.
    fn may_be_encryption(&self) -> bool {
        self.is(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
            || matches!(self, Self::Server(error) if tls::is_cause(error))
    }

    /// Reports whether the server returned this error code.
    pub(super) fn is(&self, state: &SqlState) -> bool {
        matches!(self, Self::Server(error) if error.code() == Some(state))
    }

    /// Text that is safe to display. The server's messages name users and tables; none names the password.
    pub(super) fn cause(&self) -> String {
        let error = match self {
            Self::Server(error) => error,
            Self::Timeout => return "the server does not answer".to_owned(),
            Self::HiddenName => return "rows of the table symbols are hidden from this user".to_owned(),
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

    /// Meaning of the error for a store that is being opened.
    pub(super) fn at_open(self, url: &PostgresUrl) -> OpenError {
        if let Self::Server(error) = &self
            && let Some((cause, advice)) = tls::explanation(error)
        {
            return OpenError::Permanent(DbError::Tls { store: url.to_string(), cause, advice });
        }
        let cause = self.cause();
        let is_temporary = match &self {
            Self::Timeout | Self::HiddenName => true,
            Self::Server(error) => match error.code() {
                Some(state) => !(state.code().starts_with(AUTHENTICATION_CLASS) || REFUSALS.contains(state)),
                None => error.is_closed() || error.source().is_some_and(<dyn std::error::Error>::is::<io::Error>),
            },
        };
        if is_temporary {
            OpenError::Temporary(cause)
        } else {
            OpenError::Permanent(DbError::Refused { store: url.to_string(), cause })
        }
    }
}

/// Class of the error codes for an unknown user or a wrong password.
const AUTHENTICATION_CLASS: &str = "28";

/// Error codes that last until an administrator changes something.
const REFUSALS: [SqlState; 4] = [
    SqlState::INVALID_CATALOG_NAME,
    SqlState::INSUFFICIENT_PRIVILEGE,
    SqlState::INVALID_SCHEMA_NAME,
    SqlState::FEATURE_NOT_SUPPORTED,
];

/// Escape character for NUL, which PostgreSQL cannot store, and, doubled, for itself.
const NUL_ESCAPE: char = '\u{2400}';

/// Encodes a name for the server.
pub(super) fn escape(name: &str) -> Cow<'_, str> {
    if !name.contains(['\0', NUL_ESCAPE]) {
        return name.into();
    }
    name.replace(NUL_ESCAPE, "\u{2400}\u{2400}").replace('\0', "\u{2400}0").into()
}

/// Decodes an [escaped](escape) name.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains(NUL_ESCAPE) {
        return text.into();
    }
    let mut name = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            NUL_ESCAPE if chars.next() == Some('0') => name.push('\0'),
            _ => name.push(c),
        }
    }
    name.into()
}

/// Stream position in the first two columns.
pub(super) fn row_checkpoint(row: &Row) -> Result<Option<StreamId>, Error> {
    Ok(stream_id((row.try_get(0)?, row.try_get(1)?)))
}

#[cfg(test)]
mod tests {
    use crate::storage::db::postgres::connection::*;

    #[test]
    fn names_with_nul_survive_escaping() {
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
