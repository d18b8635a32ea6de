//! Connection to a server, and the meaning of its errors.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::model::display_safe;
use crate::storage::db::backend::{Failure, StoreError, StoreResult};
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
pub(in crate::storage::db) struct Connection {
    // Declared before the runtime, so that it is dropped first.
    client: Client,
    runtime: Runtime,
    /// Prepared statements by their text.
    statements: HashMap<String, Statement>,
}

impl Connection {
    /// Connects under an application name that the server's administrator sees.
    pub(super) fn open(url: &PostgresUrl, name: &str) -> StoreResult<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::new(Failure::Lost, error.to_string()))?;
        let mut config = (*url.config).clone();
        config.application_name(name).keepalives_idle(KEEPALIVE).tcp_user_timeout(REQUEST_TIMEOUT);
        let connector = tls::connector(url)?;
        let mut connected = runtime.block_on(connect(&config, connector.clone()));
        if config.get_ssl_mode() == SslMode::Prefer && matches!(&connected, Ok(Err(error)) if may_be_encryption(error))
        {
            // `sslmode=prefer` falls back to a plain connection.
            config.ssl_mode(SslMode::Disable);
            if let Ok(Ok(client)) = runtime.block_on(connect(&config, connector)) {
                connected = Ok(Ok(client));
            }
        }
        let client = connected?.map_err(|error| tls::explanation(&error).unwrap_or_else(|| error.into()))?;
        Ok(Self { client, runtime, statements: HashMap::new() })
    }

    /// Runs a request to its end, with a time limit.
    pub(super) fn run<T>(&mut self, request: impl AsyncFnOnce(&mut Client) -> StoreResult<T>) -> StoreResult<T> {
        let Self { client, runtime, .. } = self;
        runtime.block_on(async { timeout(REQUEST_TIMEOUT, request(client)).await? })
    }

    /// Prepares a statement once.
    pub(super) fn statement(&mut self, sql: &str) -> StoreResult<Statement> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.run(async |client| Ok(client.prepare(sql).await?))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

async fn connect(config: &Config, connector: MakeRustlsConnect) -> Result<Result<Client, Error>, Elapsed> {
    let connecting = async {
        let (client, connection) = config.connect(connector).await?;
        // The next request reports the connection's end.
        drop(tokio::spawn(connection));
        Ok(client)
    };
    timeout(CONNECT_TIMEOUT, connecting).await
}

/// Reports whether encryption failed, or is not allowed for this user.
fn may_be_encryption(error: &Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) || tls::is_cause(error)
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let failure = match error.code() {
            Some(state) if CONFLICTS.contains(state) => Failure::Conflict,
            Some(state) if state.code().starts_with(AUTHENTICATION_CLASS) || REFUSALS.contains(state) => {
                Failure::Refused
            }
            Some(_) => Failure::Lost,
            None if error.is_closed() || error.source().is_some_and(<dyn std::error::Error>::is::<io::Error>) => {
                Failure::Lost
            }
            None => Failure::Refused,
        };
        Self::new(failure, cause(&error))
    }
}

/// Text that is safe to display. The server's messages name users and tables; none names the password.
fn cause(error: &Error) -> String {
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

/// Error codes of a transaction that lost against another writer's.
const CONFLICTS: [SqlState; 3] = [
    SqlState::T_R_DEADLOCK_DETECTED,
    SqlState::T_R_SERIALIZATION_FAILURE,
    // Another writer committed the same row between the lookup and the COPY; the next lookup finds it.
    SqlState::UNIQUE_VIOLATION,
];

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
