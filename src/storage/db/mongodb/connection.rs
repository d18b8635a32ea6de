//! Connection to a server, and the meaning of its errors.

use std::time::Duration;

use mongodb::bson::doc;
use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, WriteFailure};
use mongodb::options::{Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{Client, Database};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::model::display_safe;
use crate::storage::db::backend::{Failure, StoreError, StoreResult};
use crate::storage::db::url::MongoUrl;

/// Longest that connecting and the search for a primary may take, unless the URL sets `connectTimeoutMS` and
/// `serverSelectionTimeoutMS`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest that a majority of a replica set may take to replicate a write. Shorter than the limit of a request, so that
/// the server reports it.
const REPLICATION_TIMEOUT: Duration = Duration::from_secs(20);

/// Longest that the server may take for a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Error code for a document whose `_id` exists.
pub(super) const DUPLICATE_KEY: i32 = 11_000;

/// Error codes for a missing right and for a wrong user or password, the last one Atlas's.
const REFUSALS: [i32; 3] = [13, 18, 8_000];

/// Longest error text that is displayed, in characters: more than a footer shows, and some lines of a log.
const CAUSE_CHARS_MAX: usize = 300;

/// Client, and the runtime that drives it. The runtime has its own thread because the client monitors its servers
/// between requests.
pub(in crate::storage::db) struct Connection {
    database: Database,
    has_transactions: bool,
    runtime: Option<Runtime>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Blocking on a runtime's end is not allowed inside another runtime, where this may be dropped.
            runtime.shutdown_background();
        }
    }
}

impl Connection {
    pub(super) fn open(url: &MongoUrl) -> StoreResult<Self> {
        let builder = Builder::new_multi_thread().worker_threads(1).thread_name("store-client").enable_all().build();
        let runtime = builder.map_err(|error| StoreError::new(Failure::Lost, error.to_string()))?;
        let (database, has_transactions) = runtime.block_on(async {
            let mut options = ClientOptions::parse(&url.text).await?;
            options.app_name.get_or_insert_with(|| "tickscope".to_owned());
            options.connect_timeout.get_or_insert(CONNECT_TIMEOUT);
            options.server_selection_timeout.get_or_insert(CONNECT_TIMEOUT);
            // A confirmed write survives the loss of the primary, and only such writes are read.
            let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true);
            options.write_concern = Some(durable.w_timeout(REPLICATION_TIMEOUT).build());
            options.read_concern = Some(ReadConcern::majority());
            options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
            let database = Client::with_options(options)?.database(&url.database);
            let hello = database.run_command(doc! { "hello": 1 }).await?;
            let is_cluster = hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|it| it == "isdbgrid");
            let has_transactions = is_cluster && hello.contains_key("logicalSessionTimeoutMinutes");
            Ok::<_, Error>((database, has_transactions))
        })?;
        Ok(Self { database, has_transactions, runtime: Some(runtime) })
    }

    /// Reports whether the server has transactions, which a standalone one lacks.
    pub(super) fn has_transactions(&self) -> bool {
        self.has_transactions
    }

    /// Runs a request to its end, with a time limit.
    pub(super) fn run<T>(&mut self, request: impl AsyncFnOnce(&Database) -> StoreResult<T>) -> StoreResult<T> {
        let Self { database, runtime, .. } = self;
        let ended = || StoreError::new(Failure::Lost, "the client has ended");
        let runtime = runtime.as_ref().ok_or_else(ended)?;
        runtime.block_on(async { timeout(REQUEST_TIMEOUT, request(database)).await? })
    }
}

/// Reports whether a document with the same `_id` exists.
pub(super) fn is_duplicate(error: &Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::InsertMany(failed) => failed.write_errors.iter().flatten().any(|error| error.code == DUPLICATE_KEY),
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
        ErrorKind::Command(error) => error.code == DUPLICATE_KEY,
        _ => false,
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        // The server's messages name users and collections; none names the password.
        let cause: String = error_text(&error).chars().take(CAUSE_CHARS_MAX).collect();
        let mut cause = display_safe(&cause).into_owned();
        let failure = match error.kind.as_ref() {
            _ if is_duplicate(&error) => Failure::Conflict,
            // A lost connection has the same label as a conflict, but requires a new connection.
            ErrorKind::Command(_) if error.contains_label(TRANSIENT_TRANSACTION_ERROR) => Failure::Conflict,
            ErrorKind::Authentication { .. } => {
                cause += " (a user of the database admin needs ?authSource=admin in the address)";
                Failure::Refused
            }
            ErrorKind::Command(error) if REFUSALS.contains(&error.code) => Failure::Refused,
            ErrorKind::InvalidArgument { .. } => Failure::Refused,
            ErrorKind::InvalidTlsConfig { .. } => {
                Failure::Tls { advice: "Name files in PEM form with tlsCAFile=FILE and tlsCertificateKeyFile=FILE" }
            }
            _ if cause.contains("invalid peer certificate") => {
                Failure::Tls { advice: "Name the authority that signed it with tlsCAFile=FILE in the address" }
            }
            _ => Failure::Lost,
        };
        Self { cause, failure }
    }
}

/// Message of the server or the client, without the client's diagnostics around it.
fn error_text(error: &Error) -> String {
    match error.kind.as_ref() {
        ErrorKind::Command(error) => error.message.clone(),
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.message.clone(),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => error.message.clone(),
        ErrorKind::InsertMany(failed) => {
            let first = failed.write_errors.iter().flatten().map(|error| &error.message).next();
            let first = first.or(failed.write_concern_error.as_ref().map(|error| &error.message));
            first.cloned().unwrap_or_else(|| "rows were refused".to_owned())
        }
        ErrorKind::Io(error) => error.to_string(),
        ErrorKind::ServerSelection { message, .. } => match inner_cause(message) {
            Some(cause) => format!("no server that can be written to answers: {cause}"),
            None => "no server that can be written to answers".to_owned(),
        },
        ErrorKind::ConnectionPoolCleared { message, .. } => {
            inner_cause(message).unwrap_or("the connection is lost").to_owned()
        }
        other => other.to_string(),
    }
}

/// First cause that a longer message of the client contains.
fn inner_cause(message: &str) -> Option<&str> {
    let cause = message.split_once("Kind: ")?.1.split(", labels").next()?;
    Some(cause.strip_prefix("I/O error: ").unwrap_or(cause))
}
