//! The store on a server.

mod read;
mod schema;

use super::backend::{Backend, OpenError, Tally, Trouble};
use super::url::PostgresUrl;
use super::{KeptBatch, StreamId};

pub(super) use read::PostgresSource;

pub(super) struct PostgresStore;

impl PostgresStore {
    pub(super) fn open(_url: &PostgresUrl) -> Result<Self, OpenError> {
        Err(OpenError::Away("not there yet".into()))
    }
}

impl Backend for PostgresStore {
    fn commit(&mut self, _batches: &[KeptBatch]) -> Result<Tally, Trouble> {
        Ok(Tally::default())
    }
    fn checkpoint(&mut self, _stream: &str) -> Result<Option<StreamId>, Trouble> {
        Ok(None)
    }
    fn prune(&mut self, _keep_age_ns: i64) -> Result<bool, Trouble> {
        Ok(false)
    }
}
