//! A connection to a server, and what its errors mean.

use std::time::Duration;

use mongodb::bson::doc;
use mongodb::error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, WriteFailure};
use mongodb::options::{Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{Client, Database};
use tokio::runtime::{Builder, Runtime};

use crate::model::display_safe;
use crate::storage::db::DbError;
use crate::storage::db::backend::{OpenError, Remedy, Trouble};
use crate::storage::db::url::MongoUrl;

/// Longest that a connection may take to stand, and that a server to write to is looked for. An address may say
/// otherwise: connectTimeoutMS, serverSelectionTimeoutMS.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Longest that most members of a replica set may take to write down what the first one has: shorter than the limit
/// for an answer, so that it is the server that says so.
const REPLICATION_LIMIT: Duration = Duration::from_secs(20);

/// Longest that the server may take for one thing asked of it.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The server's code for a document whose `_id` is there already.
pub(super) const DUPLICATE_KEY: i32 = 11_000;

/// The server's codes for: no right to do this, wrong user or password (also as Atlas has it).
const REFUSALS: [i32; 3] = [13, 18, 8_000];

/// Longest text of an error that is shown: more than a footer holds, and some lines of a log.
const CAUSE_CHARS_MAX: usize = 300;

/// A client, and the runtime that drives it. One thread of its own: the client looks after its servers also while
/// nothing is asked of it.
pub(super) struct Link {
    database: Database,
    has_transactions: bool,
    runtime: Option<Runtime>,
}

/// Why something asked of the server was not done.
#[derive(Debug)]
pub(super) enum Failure {
    Server(Error),
    Silent,
    /// Another attempt was faster; a further look tells what it did.
    Raced,
    /// What is stored is not what was written.
    Odd(&'static str),
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whoever drops this may be inside a runtime, where nobody may wait for one to end.
            runtime.shutdown_background();
        }
    }
}

impl Link {
    pub(super) fn open(url: &MongoUrl) -> Result<Self, OpenError> {
        let builder = Builder::new_multi_thread().worker_threads(1).thread_name("store-link").enable_all().build();
        let runtime = builder.map_err(|error| OpenError::Away(error.to_string()))?;
        let connected = runtime.block_on(async {
            let mut options = ClientOptions::parse(url.text()).await?;
            options.app_name.get_or_insert_with(|| "tickscope".to_owned());
            options.connect_timeout.get_or_insert(CONNECT_LIMIT);
            options.server_selection_timeout.get_or_insert(CONNECT_LIMIT);
            // What is confirmed lasts, also when the first of a replica set falls; and only that is read.
            let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true);
            options.write_concern = Some(durable.w_timeout(REPLICATION_LIMIT).build());
            options.read_concern = Some(ReadConcern::majority());
            options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
            let database = Client::with_options(options)?.database(url.database());
            let hello = database.run_command(doc! { "hello": 1 }).await?;
            let is_one_of_many = hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|it| it == "isdbgrid");
            let has_transactions = is_one_of_many && hello.contains_key("logicalSessionTimeoutMinutes");
            Ok((database, has_transactions))
        });
        let (database, has_transactions) = connected.map_err(|error| Failure::Server(error).at_open(url))?;
        Ok(Self { database, has_transactions, runtime: Some(runtime) })
    }

    /// A server that stands alone has none.
    pub(super) fn has_transactions(&self) -> bool {
        self.has_transactions
    }

    /// Asks the server for something.
    pub(super) fn run<T>(&mut self, ask: impl AsyncFnOnce(&Database) -> Result<T, Error>) -> Result<T, Failure> {
        let Self { database, runtime, .. } = self;
        let Some(runtime) = runtime else { return Err(Failure::Silent) };
        runtime.block_on(async {
            match tokio::time::timeout(ANSWER_LIMIT, ask(database)).await {
                Ok(done) => done.map_err(Failure::Server),
                Err(_) => Err(Failure::Silent),
            }
        })
    }
}

impl Failure {
    /// Whether a document was there already.
    pub(super) fn is_duplicate(&self) -> bool {
        let Self::Server(error) = self else { return false };
        match error.kind.as_ref() {
            ErrorKind::InsertMany(failed) => {
                failed.write_errors.iter().flatten().any(|error| error.code == DUPLICATE_KEY)
            }
            ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
            ErrorKind::Command(error) => error.code == DUPLICATE_KEY,
            _ => false,
        }
    }

    /// Whether the server was reached and did not do what it was asked.
    pub(super) fn is_of_commands(&self) -> bool {
        let Self::Server(error) = self else { return false };
        matches!(*error.kind, ErrorKind::Command(_) | ErrorKind::InsertMany(_) | ErrorKind::Write(_))
    }

    /// Safe to show. The server's words name users and collections; nobody's name the password.
    pub(super) fn cause(&self) -> String {
        let text = match self {
            Self::Server(error) => words(error),
            Self::Silent => "the server does not answer".to_owned(),
            Self::Raced => "another attempt was faster".to_owned(),
            Self::Odd(what) => (*what).to_owned(),
        };
        let text: String = text.chars().take(CAUSE_CHARS_MAX).collect();
        display_safe(&text).into_owned()
    }

    /// What it means for a store that is being opened.
    pub(super) fn at_open(self, url: &MongoUrl) -> OpenError {
        let (store, cause) = (url.to_string(), self.cause());
        let Self::Server(error) = &self else { return OpenError::Away(cause) };
        match error.kind.as_ref() {
            ErrorKind::Authentication { .. } => {
                let cause = format!("{cause} (a user of the database admin needs ?authSource=admin in the address)");
                OpenError::Final(DbError::Refused { store, cause })
            }
            ErrorKind::Command(error) if REFUSALS.contains(&error.code) => {
                OpenError::Final(DbError::Refused { store, cause })
            }
            ErrorKind::InvalidArgument { .. } => OpenError::Final(DbError::Refused { store, cause }),
            ErrorKind::InvalidTlsConfig { .. } => {
                let advice = "Name files in PEM form with tlsCAFile=FILE and tlsCertificateKeyFile=FILE";
                OpenError::Final(DbError::Tls { store, cause, advice })
            }
            _ if cause.contains("invalid peer certificate") => {
                let advice = "Name the authority that signed it with tlsCAFile=FILE in the address";
                OpenError::Final(DbError::Tls { store, cause, advice })
            }
            _ => OpenError::Away(cause),
        }
    }
}

/// What the server or the client says, without the client's own bookkeeping around it.
fn words(error: &Error) -> String {
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
        ErrorKind::ServerSelection { message, .. } => match inner(message) {
            Some(cause) => format!("no server that can be written to answers: {cause}"),
            None => "no server that can be written to answers".to_owned(),
        },
        ErrorKind::ConnectionPoolCleared { message, .. } => {
            inner(message).unwrap_or("the connection is lost").to_owned()
        }
        other => other.to_string(),
    }
}

/// The first cause that a longer report of the client's repeats.
fn inner(report: &str) -> Option<&str> {
    let cause = report.split_once("Kind: ")?.1.split(", labels").next()?;
    Some(cause.strip_prefix("I/O error: ").unwrap_or(cause))
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let is_transient = match &failure {
            // A conflict; what a lost connection leaves behind has the same label, and there another one is needed.
            Failure::Server(error) => {
                matches!(*error.kind, ErrorKind::Command(_)) && error.contains_label(TRANSIENT_TRANSACTION_ERROR)
            }
            Failure::Raced => true,
            Failure::Silent | Failure::Odd(_) => false,
        };
        let remedy = if is_transient || failure.is_duplicate() { Remedy::Again } else { Remedy::Reopen };
        Self { cause: failure.cause(), remedy }
    }
}
