//! Empty databases, and ticks to store in them.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::{Acknowledgment, ClientOptions, ReadConcern, WriteConcern};
use mongodb::{Client, Database};
use tickscope::model::{NS_PER_S, StreamId};
use tickscope::storage::db::{DbConfig, DbStatus, DbWriter, RowBatch, StoreReader, StoreUrl, TickRow};

use super::server::{Kind, MongoServer};
use crate::support::wait::wait_until;

/// Generous limit of every wait; it only bounds a failing test.
pub const LIMIT: Duration = crate::support::wait::GUARD;

/// 2023-11-14T22:13:00Z, a whole minute.
pub const START_NS: i64 = 1_699_999_980 * NS_PER_S;

/// Empty database, dropped with the value.
pub struct Place {
    pub address: String,
    pub url: StoreUrl,
    /// Runtime for direct queries of the server.
    runtime: tokio::runtime::Runtime,
    database: Database,
    #[expect(dead_code, reason = "kept for its end")]
    server: Option<Arc<MongoServer>>,
}

impl Place {
    pub fn new(address: String, server: Option<Arc<MongoServer>>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let database = runtime.block_on(async {
            let mut options = ClientOptions::parse(&*address).await.unwrap();
            let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
            options.write_concern = Some(durable);
            options.read_concern = Some(ReadConcern::majority());
            Client::with_options(options).unwrap().default_database().unwrap()
        });
        let url = address.parse().unwrap();
        let place = Self { address, url, runtime, database, server };
        place.ask(async |database| database.drop().await.unwrap());
        place
    }

    /// Database on a server of its own.
    pub fn on(kind: Kind) -> Self {
        let server = Arc::new(MongoServer::start(kind));
        Self::new(server.url("ticks"), Some(server))
    }

    pub fn ask<T>(&self, ask: impl AsyncFnOnce(&Database) -> T) -> T {
        self.runtime.block_on(ask(&self.database))
    }

    /// Number of documents in a collection.
    pub fn count(&self, collection: &str) -> usize {
        self.ask(async |database| {
            let mut found = database.collection::<Document>(collection).find(doc! {}).await.unwrap();
            let mut count = 0;
            while found.advance().await.unwrap() {
                count += 1;
            }
            count
        })
    }

    pub fn keeper(&self) -> DbWriter {
        keeper(&self.url, None)
    }

    /// Writes the batches and closes the writer. Returns its final status.
    pub fn keep(&self, batches: Vec<RowBatch>) -> DbStatus {
        let keeper = self.keeper();
        for batch in batches {
            assert_eq!(keeper.offer(batch), 0);
        }
        keeper.close(LIMIT)
    }

    /// All ticks in order.
    pub fn ticks(&self) -> Vec<TickRow> {
        let mut reader = StoreReader::open(&self.url).unwrap();
        let mut ticks = Vec::new();
        reader.read(&[], i64::MIN, i64::MAX, None, &mut |tick| ticks.push(tick.clone())).unwrap();
        ticks
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The database is dropped even on a real server.
        drop(self.runtime.block_on(async { self.database.drop().await }));
    }
}

pub fn keeper(url: &StoreUrl, keep_age_ns: Option<i64>) -> DbWriter {
    DbWriter::open(DbConfig { url: url.clone(), keep_age_ns, rows_waiting_max: 1_000_000 }).unwrap()
}

/// Checkpoint of a stream, awaited on a runtime of its own.
pub fn checkpoint(writer: &DbWriter, stream: &str) -> Option<StreamId> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(writer.checkpoint(stream))
}

/// Tick with required fields only, `ms` milliseconds after the start.
pub fn bare(symbol: &str, ms: i64, price: f64) -> TickRow {
    let time_ns = START_NS + ms * 1_000_000;
    TickRow { symbol: symbol.into(), time_ns, price, size: None, source: None, seq: None, id: None, outlier: false }
}

/// Tick with a source and a sequence number.
pub fn numbered(source: &str, seq: u64, ms: i64, price: f64) -> TickRow {
    TickRow { source: Some(source.into()), seq: Some(seq), ..bare("AAPL", ms, price) }
}

/// The same tick, with a stream entry's id.
pub fn through(tick: &TickRow, id: &str) -> TickRow {
    TickRow { id: Some(id.parse().unwrap()), ..tick.clone() }
}

/// Batch of a pub/sub subscriber.
pub fn heard(ticks: &[TickRow]) -> RowBatch {
    RowBatch { stream: None, ticks: ticks.to_vec(), checkpoint: None, ticket: 1 }
}

/// Batch of the stream `s`, with a checkpoint.
pub fn streamed(ticks: &[TickRow], checkpoint: &str) -> RowBatch {
    let checkpoint = Some(checkpoint.parse::<StreamId>().unwrap());
    RowBatch { stream: Some("s".into()), ticks: ticks.to_vec(), checkpoint, ticket: 1 }
}

/// Waits until every batch up to `ticket` is committed.
pub fn wait_committed(keeper: &DbWriter, ticket: u64) {
    let committed = keeper.committed();
    wait_until("the commit", LIMIT, || *committed.borrow() >= ticket);
}
