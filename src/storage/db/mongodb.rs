//! MongoDB: a store on a server.
//!
//! | collection | holds |
//! |---|---|
//! | `ticks` | a document a tick; `_id` is the tick's identity (see [`documents`]) |
//! | `streams` | checkpoints: `reached`, 20 digits each, so that text order is id order |
//! | `writers` | each writer's last transaction, to recognise one whose reply was lost |
//! | `meta` | the schema version, and the counter from which `n` is made |
//! | `ticks_view`, `bars_1m` | views: times as dates, and bars of a minute without outliers |
//!
//! In a replica set or a sharded cluster, rows and checkpoint go in one transaction. A standalone server has no
//! transactions: rows go first and the checkpoint last. Rows that a crash leaves in between are read from the stream
//! again and meet their own `_id`. Ticks without identity get their `_id` from the transaction's number, which is
//! recorded before they are written, so that a repetition writes the same.
//!
//! A duplicate aborts a transaction. Rows are first inserted as if all were new; if one is not, those that exist are
//! looked up and left out.

mod connection;
mod documents;
mod read;
mod schema;

use std::collections::BTreeMap;

use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::ReturnDocument;
use mongodb::{ClientSession, Collection, Database};

use crate::model::StreamId;
use crate::storage::db::RowBatch;
use crate::storage::db::backend::{
    CAREFUL_COMMITS, CommitCounts, Failure, N_STEP, OUTLIER, PRUNE_ROWS, StoreError, StoreResult, TickSource,
    TickStore, checkpoints,
};
use crate::storage::db::url::MongoUrl;
use connection::{Connection, is_duplicate};
use documents::TickDocument;
pub(super) use read::open_source;

/// Age from which the record of a writer is deleted.
const WRITER_AGE_MAX_MS: i64 = 30 * 24 * 3_600 * 1_000;

/// Open connection.
pub(super) struct MongoStore {
    connection: Connection,
    writer: String,
    careful_commits_left: u32,
}

/// Record of a writer's last transaction.
#[derive(Debug, Clone, Copy, Default)]
struct WriterRecord {
    number: i64,
    /// Number from which its rows' `n` are made.
    n: i64,
    is_done: bool,
    counts: CommitCounts,
}

impl MongoStore {
    /// Opens for a writer with a unique name.
    pub(super) fn open(url: &MongoUrl, writer: &str) -> StoreResult<Self> {
        let mut connection = Connection::open(url)?;
        schema::migrate(&mut connection)?;
        connection.run(async |database| {
            let old = DateTime::from_millis(DateTime::now().timestamp_millis() - WRITER_AGE_MAX_MS);
            collection(database, "writers").delete_many(doc! { "changed": { "$lt": old } }).await?;
            Ok(insert_record(database, writer).await?)
        })?;
        Ok(Self { connection, writer: writer.to_owned(), careful_commits_left: 0 })
    }

    fn record(&mut self) -> StoreResult<WriterRecord> {
        let Self { connection, writer, .. } = self;
        let found = connection
            .run(async |database| Ok(collection(database, "writers").find_one(doc! { "_id": &**writer }).await?))?;
        let Some(found) = found else {
            // Another writer deleted it as too old. A transaction needs a record to update.
            connection.run(async |database| Ok(insert_record(database, writer).await?))?;
            return Ok(WriterRecord::default());
        };
        let number = |name: &str| found.get_i64(name).unwrap_or_default();
        let count = |name| number(name).cast_unsigned();
        let counts = CommitCounts { written: count("written"), duplicates: count("duplicates") };
        let is_done = found.get_bool("done").unwrap_or_default();
        Ok(WriterRecord { number: number("number"), n: number("n"), is_done, counts })
    }

    /// Increments the counter that makes each transaction's rows unique.
    fn next_n(&mut self) -> StoreResult<i64> {
        let counted = self.connection.run(async |database| {
            let meta = collection(database, "meta");
            let next = meta.find_one_and_update(doc! { "_id": "n" }, doc! { "$inc": { "value": 1_i64 } });
            Ok(next.upsert(true).return_document(ReturnDocument::After).await?)
        })?;
        let counted = counted.and_then(|counted| counted.get_i64("value").ok());
        counted.ok_or_else(|| StoreError::new(Failure::Lost, "the collection meta has no counter"))
    }
}

/// Another attempt of the same transaction was faster; reading its record shows the result.
fn lost_race() -> StoreError {
    StoreError::new(Failure::Conflict, "another attempt was faster")
}

fn collection(database: &Database, name: &str) -> Collection<RawDocumentBuf> {
    database.collection(name)
}

/// Filter that matches outliers.
fn outliers() -> Document {
    doc! { "flags": { "$bitsAnySet": i32::from(OUTLIER) } }
}

impl WriterRecord {
    fn document(self) -> Document {
        doc! {
            "number": self.number,
            "n": self.n,
            "done": self.is_done,
            "written": self.counts.written.cast_signed(),
            "duplicates": self.counts.duplicates.cast_signed(),
            "changed": DateTime::now(),
        }
    }
}

/// Inserts a writer's first record, unless it has one.
async fn insert_record(database: &Database, writer: &str) -> Result<(), Error> {
    let first = WriterRecord { is_done: true, ..WriterRecord::default() }.document();
    let update = doc! { "$setOnInsert": first };
    collection(database, "writers").update_one(doc! { "_id": writer }, update).upsert(true).await.map(drop)
}

/// Work of one transaction.
struct Commit<'a> {
    writer: &'a str,
    number: i64,
    n: i64,
    /// An earlier attempt has written the record.
    is_repeated: bool,
    rows: &'a [TickDocument],
    /// Duplicates that are not in `rows`.
    duplicates: u64,
    checkpoints: BTreeMap<&'a str, StreamId>,
}

impl Commit<'_> {
    /// Commits in a transaction. Returns `None` if an earlier attempt turns out to be committed.
    async fn run_transaction(&self, database: &Database, careful: bool) -> Result<Option<CommitCounts>, Error> {
        let mut session = database.client().start_session().await?;
        session.start_transaction().read_concern(mongodb::options::ReadConcern::snapshot()).await?;
        let done = self.write(database, &mut session, careful).await;
        if let Ok(Some(_)) = done {
            session.commit_transaction().await?;
        } else {
            // The server aborts it in any case, and the first error is the one to report.
            drop(session.abort_transaction().await);
        }
        done
    }

    async fn write(
        &self,
        database: &Database,
        session: &mut ClientSession,
        careful: bool,
    ) -> Result<Option<CommitCounts>, Error> {
        let ticks = collection(database, "ticks");
        let mut rows: Vec<&RawDocumentBuf> = self.rows.iter().map(|row| &row.document).collect();
        if careful {
            let stored = documents::find_stored(&ticks, session, self.rows).await?;
            let new = self.rows.iter().filter(|row| !stored.contains_key(&row.id));
            rows = new.map(|row| &row.document).collect();
        }
        let counts = self.counts(rows.len() as u64);
        // Conflicts with an earlier attempt that the server is still committing.
        let writers = collection(database, "writers");
        let mine = doc! { "_id": self.writer, "number": { "$lt": self.number } };
        let updated = writers.update_one(mine, doc! { "$set": self.record(Some(counts)) });
        if updated.session(&mut *session).await?.matched_count == 0 {
            return Ok(None);
        }
        if !rows.is_empty() {
            ticks.insert_many(rows).ordered(false).session(&mut *session).await?;
        }
        for (stream, reached) in &self.checkpoints {
            let (filter, update) = move_checkpoint(stream, *reached);
            collection(database, "streams").update_one(filter, update).upsert(true).session(&mut *session).await?;
        }
        Ok(Some(counts))
    }

    /// Commits in idempotent steps.
    async fn run_stepwise(&self, database: &Database) -> Result<CommitCounts, Error> {
        let writers = collection(database, "writers");
        let mine = || doc! { "_id": self.writer };
        if !self.is_repeated {
            writers.update_one(mine(), doc! { "$set": self.record(None) }).upsert(true).await?;
        }
        let mut written = self.rows.len() as u64;
        if !self.rows.is_empty() {
            let rows = self.rows.iter().map(|row| &row.document);
            if let Err(error) = collection(database, "ticks").insert_many(rows).ordered(false).await {
                let stored = duplicates(&error).ok_or(error)?;
                written -= stored.len() as u64;
                if self.is_repeated {
                    written += self.count_own(database, &stored).await?;
                }
            }
        }
        for (stream, reached) in &self.checkpoints {
            let (filter, update) = move_checkpoint(stream, *reached);
            collection(database, "streams").update_one(filter, update).upsert(true).await?;
        }
        let counts = self.counts(written);
        writers.update_one(mine(), doc! { "$set": self.record(Some(counts)) }).await?;
        Ok(counts)
    }

    fn counts(&self, written: u64) -> CommitCounts {
        CommitCounts { written, duplicates: self.duplicates + self.rows.len() as u64 - written }
    }

    /// Counts those of the stored rows that an earlier attempt of this transaction has written.
    async fn count_own(&self, database: &Database, stored: &[usize]) -> Result<u64, Error> {
        let rows: Vec<TickDocument> = stored.iter().filter_map(|index| self.rows.get(*index)).cloned().collect();
        let mut session = database.client().start_session().await?;
        let stored = documents::find_stored(&collection(database, "ticks"), &mut session, &rows).await?;
        Ok(stored.values().filter(|n| n.div_euclid(N_STEP) == self.n).count() as u64)
    }

    fn record(&self, done: Option<CommitCounts>) -> Document {
        let Self { number, n, .. } = *self;
        WriterRecord { number, n, is_done: done.is_some(), counts: done.unwrap_or_default() }.document()
    }
}

/// Indices of the rows that exist already; `None` if there is any other error.
fn duplicates(error: &Error) -> Option<Vec<usize>> {
    let ErrorKind::InsertMany(failed) = error.kind.as_ref() else { return None };
    let errors = failed.write_errors.as_ref().filter(|_| failed.write_concern_error.is_none())?;
    errors.iter().map(|error| (error.code == connection::DUPLICATE_KEY).then_some(error.index)).collect()
}

/// Filter and update that move a checkpoint forward, never back: `$max` compares on the server.
fn move_checkpoint(stream: &str, reached: StreamId) -> (Document, Document) {
    let text = format!("{:020}-{:020}", reached.ms, reached.seq);
    (doc! { "_id": stream }, doc! { "$max": { "reached": Bson::String(text) } })
}

fn parse_checkpoint(text: &str) -> Option<StreamId> {
    let (ms, seq) = text.split_once('-')?;
    Some(StreamId { ms: ms.parse().ok()?, seq: seq.parse().ok()? })
}

impl TickStore for MongoStore {
    fn commit(&mut self, number: u64, batches: &[RowBatch]) -> StoreResult<CommitCounts> {
        let number = number.cast_signed();
        let record = self.record()?;
        if record.number >= number && record.is_done {
            // The earlier attempt was committed, and only the reply was lost.
            return Ok(record.counts);
        }
        let is_repeated = record.number == number;
        let n = if is_repeated { record.n } else { self.next_n()? };
        let (rows, duplicates) = documents::encode(batches, n)?;
        let checkpoints = checkpoints(batches);
        let commit = Commit { writer: &self.writer, number, n, is_repeated, rows: &rows, duplicates, checkpoints };
        if !self.connection.has_transactions() {
            return self.connection.run(async |database| Ok(commit.run_stepwise(database).await?));
        }
        if self.careful_commits_left == 0 {
            match self.connection.run(async |database| Ok(commit.run_transaction(database, false).await))? {
                Ok(done) => return done.ok_or_else(lost_race),
                Err(error) => {
                    // A conflict may hide duplicates, which a repetition of the same would meet again.
                    if matches!(*error.kind, ErrorKind::Command(_) | ErrorKind::InsertMany(_) | ErrorKind::Write(_)) {
                        self.careful_commits_left = CAREFUL_COMMITS;
                    }
                    if !is_duplicate(&error) {
                        return Err(error.into());
                    }
                }
            }
        }
        let counts = self.connection.run(async |database| Ok(commit.run_transaction(database, true).await?))?;
        let counts = counts.ok_or_else(lost_race)?;
        self.careful_commits_left =
            if counts.duplicates > duplicates { CAREFUL_COMMITS } else { self.careful_commits_left - 1 };
        Ok(counts)
    }

    fn checkpoint(&mut self, stream: &str) -> StoreResult<Option<StreamId>> {
        let found = self
            .connection
            .run(async |database| Ok(collection(database, "streams").find_one(doc! { "_id": stream }).await?))?;
        Ok(found.and_then(|found| found.get_str("reached").ok().and_then(parse_checkpoint)))
    }

    fn time_range(&mut self) -> StoreResult<Option<(i64, i64)>> {
        self.connection.time_range()
    }

    fn prune(&mut self, before_ns: i64) -> StoreResult<bool> {
        self.connection.run(async |database| {
            let ticks = collection(database, "ticks");
            let old = doc! { "time_ns": { "$lt": before_ns } };
            let last = ticks.find_one(old.clone()).sort(doc! { "time_ns": 1 }).skip(PRUNE_ROWS as u64 - 1).await?;
            let last_ns = last.and_then(|last| last.get_i64("time_ns").ok());
            let step = last_ns.map_or(old, |last_ns| doc! { "time_ns": { "$lte": last_ns } });
            ticks.delete_many(step).await?;
            Ok(last_ns.is_some())
        })
    }
}
