//! The store on a MongoDB server.
//!
//! | collection | holds |
//! |---|---|
//! | `ticks` | a document a tick; its `_id` is made of what makes the tick one of a kind ([`rows`]) |
//! | `streams` | up to where each stream is kept: `reached`, 20 digits each, so that text compares as the ids do |
//! | `writers` | each writer's last transaction, to know one whose answer was lost |
//! | `meta` | the schema's version, and the number from which `n` is made |
//! | `ticks_view`, `bars_1m` | views for people: times as dates, and bars of a minute without outliers |
//!
//! In a replica set or a sharded cluster rows and checkpoint go in one transaction. A server that stands alone has no
//! transactions. There the rows go first and the checkpoint behind them: what a crash leaves between the two is read
//! from the stream again, and each tick meets its own `_id`. Ticks that nothing tells apart get theirs from the
//! number of the transaction, which is noted before they are written, so that a repetition writes the same.
//!
//! Inside a transaction a duplicate undoes all of it. So the rows are first tried as if all were new; when one is not,
//! those that are known are looked up and left out.

mod link;
mod read;
mod rows;
mod schema;

use std::collections::BTreeMap;

use mongodb::bson::{Bson, DateTime, RawDocumentBuf, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::ReturnDocument;
use mongodb::{ClientSession, Database};

use crate::model::{StreamId, Timestamp};

use crate::storage::db::RowBatch;
use crate::storage::db::backend::{Backend, OpenError, PRUNE_ROWS, Tally, Trouble, old_before};
use crate::storage::db::url::MongoUrl;
use link::{Failure, Link};
use rows::{N_STEP, Row};

pub(super) use read::MongoSource;

/// Transactions that look for duplicates first after some were met: who sends one twice sends more.
const CAREFUL_COMMITS: u32 = 16;

/// Names of writers that are long gone serve nobody.
const WRITERS_KEPT_MS: i64 = 30 * 24 * 3_600 * 1_000;

/// An open connection.
pub(super) struct MongoStore {
    link: Link,
    writer: String,
    newest_ns: Option<i64>,
    careful: u32,
}

/// What a writer's document says of its last transaction.
#[derive(Debug, Clone, Copy, Default)]
struct Note {
    number: i64,
    /// The number that its rows' `n` are made from.
    n: i64,
    is_done: bool,
    tally: Tally,
}

impl MongoStore {
    /// Opens for a writer, whose name no other one has.
    pub(super) fn open(url: &MongoUrl, writer: &str) -> Result<Self, OpenError> {
        let mut link = Link::open(url)?;
        schema::migrate(&mut link, url)?;
        let started = link.run(async |database| {
            let writers = database.collection::<RawDocumentBuf>("writers");
            let now = DateTime::now();
            let old = DateTime::from_millis(now.timestamp_millis() - WRITERS_KEPT_MS);
            writers.delete_many(doc! { "changed": { "$lt": old } }).await?;
            begin(database, writer).await
        });
        started.map_err(|failure| failure.at_open(url))?;
        Ok(Self { link, writer: writer.to_owned(), newest_ns: None, careful: 0 })
    }

    fn note(&mut self) -> Result<Note, Failure> {
        let Self { link, writer, .. } = self;
        let found = link.run(async |database| {
            database.collection::<RawDocumentBuf>("writers").find_one(doc! { "_id": &**writer }).await
        })?;
        let Some(found) = found else {
            // Another writer took this one for long gone. A transaction needs a note to change.
            link.run(async |database| begin(database, writer).await)?;
            return Ok(Note::default());
        };
        let number = |name: &str| found.get_i64(name).unwrap_or_default();
        let tally =
            Tally { written: number("written").cast_unsigned(), duplicates: number("duplicates").cast_unsigned() };
        let is_done = found.get_bool("done").unwrap_or_default();
        Ok(Note { number: number("number"), n: number("n"), is_done, tally })
    }

    /// A number that no other transaction has; it grows.
    fn next_n(&mut self) -> Result<i64, Failure> {
        let counted = self.link.run(async |database| {
            let meta = database.collection::<RawDocumentBuf>("meta");
            let next = meta.find_one_and_update(doc! { "_id": "n" }, doc! { "$inc": { "value": 1_i64 } });
            next.upsert(true).return_document(ReturnDocument::After).await
        })?;
        let counted = counted.and_then(|counted| counted.get_i64("value").ok());
        counted.ok_or(Failure::Odd("the collection meta has no number to count rows from"))
    }

    fn try_commit(&mut self, number: u64, batches: &[RowBatch]) -> Result<Tally, Failure> {
        let number = number.cast_signed();
        let note = self.note()?;
        if note.number >= number && note.is_done {
            // It went through, and only its answer was lost.
            return Ok(note.tally);
        }
        let is_repeated = note.number == number;
        let n = if is_repeated { note.n } else { self.next_n()? };
        let (rows, twice) = rows::make(batches, n)?;
        let mut reached: BTreeMap<&str, StreamId> = BTreeMap::new();
        for batch in batches {
            if let Some((stream, checkpoint)) = batch.stream.as_deref().zip(batch.checkpoint) {
                let known = reached.entry(stream).or_insert(checkpoint);
                *known = checkpoint.max(*known);
            }
        }
        let plan = Plan { writer: &self.writer, number, n, is_repeated, rows: &rows, twice, reached };
        if !self.link.has_transactions() {
            return self.link.run(async |database| plan.commit_in_steps(database).await);
        }
        if self.careful == 0 {
            match self.link.run(async |database| plan.commit_at_once(database, false).await) {
                Ok(done) => return done.ok_or(Failure::Raced),
                Err(failure) => {
                    // A conflict that is met first hides the duplicates behind it: the same again would meet it again.
                    if failure.is_of_commands() {
                        self.careful = CAREFUL_COMMITS;
                    }
                    if !failure.is_duplicate() {
                        return Err(failure);
                    }
                }
            }
        }
        let tally = self.link.run(async |database| plan.commit_at_once(database, true).await)?;
        let tally = tally.ok_or(Failure::Raced)?;
        self.careful = if tally.duplicates > twice { CAREFUL_COMMITS } else { self.careful - 1 };
        Ok(tally)
    }

    fn try_prune(&mut self, keep_age_ns: i64) -> Result<bool, Failure> {
        if self.newest_ns.is_none() {
            self.newest_ns = read::span(&mut self.link)?.map(|(_, newest_ns)| newest_ns);
        }
        let Some(before_ns) = old_before(self.newest_ns, keep_age_ns, Timestamp::now()) else {
            return Ok(false);
        };
        self.link.run(async |database| {
            let ticks = database.collection::<RawDocumentBuf>("ticks");
            let old = doc! { "time_ns": { "$lt": before_ns } };
            let last = ticks.find_one(old.clone()).sort(doc! { "time_ns": 1 }).skip(PRUNE_ROWS as u64 - 1).await?;
            let last_ns = last.and_then(|last| last.get_i64("time_ns").ok());
            let step = last_ns.map_or(old, |last_ns| doc! { "time_ns": { "$lte": last_ns } });
            ticks.delete_many(step).await?;
            Ok(last_ns.is_some())
        })
    }
}

/// The first note of a writer, unless it has one.
async fn begin(database: &Database, writer: &str) -> Result<(), Error> {
    let first = doc! {
        "number": 0_i64,
        "n": 0_i64,
        "done": true,
        "written": 0_i64,
        "duplicates": 0_i64,
        "changed": DateTime::now(),
    };
    let writers = database.collection::<RawDocumentBuf>("writers");
    writers.update_one(doc! { "_id": writer }, doc! { "$setOnInsert": first }).upsert(true).await.map(drop)
}

/// What one transaction is to do.
struct Plan<'a> {
    writer: &'a str,
    number: i64,
    n: i64,
    /// An earlier attempt got as far as its note.
    is_repeated: bool,
    rows: &'a [Row],
    twice: u64,
    reached: BTreeMap<&'a str, StreamId>,
}

impl Plan<'_> {
    /// All or nothing; `None` when an earlier attempt turns out to have gone through.
    async fn commit_at_once(&self, database: &Database, careful: bool) -> Result<Option<Tally>, Error> {
        let mut session = database.client().start_session().await?;
        session.start_transaction().read_concern(mongodb::options::ReadConcern::snapshot()).await?;
        let done = self.write_at_once(database, &mut session, careful).await;
        if let Ok(Some(_)) = done {
            session.commit_transaction().await?;
        } else {
            // The server ends it in any case; why it failed is what matters.
            drop(session.abort_transaction().await);
        }
        done
    }

    async fn write_at_once(
        &self,
        database: &Database,
        session: &mut ClientSession,
        careful: bool,
    ) -> Result<Option<Tally>, Error> {
        let ticks = database.collection::<RawDocumentBuf>("ticks");
        let mut rows: Vec<&RawDocumentBuf> = self.rows.iter().map(|row| &row.document).collect();
        if careful {
            let known = rows::known(&ticks, session, self.rows).await?;
            let new = self.rows.iter().filter(|row| !known.contains_key(&row.id));
            rows = new.map(|row| &row.document).collect();
        }
        let written = rows.len() as u64;
        let tally = Tally { written, duplicates: self.twice + self.rows.len() as u64 - written };
        // Also keeps this apart from an earlier attempt that is still being decided: one of the two gives way.
        let writers = database.collection::<RawDocumentBuf>("writers");
        let mine = doc! { "_id": self.writer, "number": { "$lt": self.number } };
        let note = writers.update_one(mine, doc! { "$set": self.note(Some(tally)) }).session(&mut *session).await?;
        if note.matched_count == 0 {
            return Ok(None);
        }
        if !rows.is_empty() {
            ticks.insert_many(rows).ordered(false).session(&mut *session).await?;
        }
        let streams = database.collection::<RawDocumentBuf>("streams");
        for (stream, reached) in &self.reached {
            let (this, reach) = move_checkpoint(stream, *reached);
            streams.update_one(this, reach).upsert(true).session(&mut *session).await?;
        }
        Ok(Some(tally))
    }

    /// One thing after another, each of which may be done again.
    async fn commit_in_steps(&self, database: &Database) -> Result<Tally, Error> {
        let writers = database.collection::<RawDocumentBuf>("writers");
        let mine = || doc! { "_id": self.writer };
        if !self.is_repeated {
            writers.update_one(mine(), doc! { "$set": self.note(None) }).upsert(true).await?;
        }
        let mut written = self.rows.len() as u64;
        if !self.rows.is_empty() {
            let ticks = database.collection::<RawDocumentBuf>("ticks");
            let rows = self.rows.iter().map(|row| &row.document);
            if let Err(error) = ticks.insert_many(rows).ordered(false).await {
                let there = duplicates(&error).ok_or(error)?;
                written -= there.len() as u64;
                if self.is_repeated {
                    written += self.own(database, &there).await?;
                }
            }
        }
        let streams = database.collection::<RawDocumentBuf>("streams");
        for (stream, reached) in &self.reached {
            let (this, reach) = move_checkpoint(stream, *reached);
            streams.update_one(this, reach).upsert(true).await?;
        }
        let tally = Tally { written, duplicates: self.twice + self.rows.len() as u64 - written };
        writers.update_one(mine(), doc! { "$set": self.note(Some(tally)) }).await?;
        Ok(tally)
    }

    /// How many of these rows an earlier attempt of this very transaction has written.
    async fn own(&self, database: &Database, there: &[usize]) -> Result<u64, Error> {
        let rows: Vec<Row> = there.iter().filter_map(|index| self.rows.get(*index)).cloned().collect();
        let mut session = database.client().start_session().await?;
        let ticks = database.collection::<RawDocumentBuf>("ticks");
        let known = rows::known(&ticks, &mut session, &rows).await?;
        Ok(known.values().filter(|n| n.div_euclid(N_STEP) == self.n).count() as u64)
    }

    fn note(&self, done: Option<Tally>) -> mongodb::bson::Document {
        let Tally { written, duplicates } = done.unwrap_or_default();
        doc! {
            "number": self.number,
            "n": self.n,
            "done": done.is_some(),
            "written": written.cast_signed(),
            "duplicates": duplicates.cast_signed(),
            "changed": DateTime::now(),
        }
    }
}

/// Places of the rows that were there already; `None` if anything else was amiss.
fn duplicates(error: &Error) -> Option<Vec<usize>> {
    let ErrorKind::InsertMany(failed) = error.kind.as_ref() else { return None };
    let errors = failed.write_errors.as_ref().filter(|_| failed.write_concern_error.is_none())?;
    errors.iter().map(|error| (error.code == link::DUPLICATE_KEY).then_some(error.index)).collect()
}

/// A checkpoint never moves back: the server keeps the greater of the two.
fn move_checkpoint(stream: &str, reached: StreamId) -> (mongodb::bson::Document, mongodb::bson::Document) {
    let text = format!("{:020}-{:020}", reached.ms, reached.seq);
    (doc! { "_id": stream }, doc! { "$max": { "reached": Bson::String(text) } })
}

fn parse_checkpoint(text: &str) -> Option<StreamId> {
    let (ms, seq) = text.split_once('-')?;
    Some(StreamId { ms: ms.parse().ok()?, seq: seq.parse().ok()? })
}

impl Backend for MongoStore {
    fn commit(&mut self, number: u64, batches: &[RowBatch]) -> Result<Tally, Trouble> {
        let tally = self.try_commit(number, batches)?;
        let times = batches.iter().flat_map(|batch| &batch.ticks).map(|tick| tick.time_ns);
        self.newest_ns = self.newest_ns.map(|known| times.fold(known, i64::max));
        Ok(tally)
    }

    fn checkpoint(&mut self, stream: &str) -> Result<Option<StreamId>, Trouble> {
        let found = self.link.run(async |database| {
            database.collection::<RawDocumentBuf>("streams").find_one(doc! { "_id": stream }).await
        })?;
        Ok(found.and_then(|found| found.get_str("reached").ok().and_then(parse_checkpoint)))
    }

    fn prune(&mut self, keep_age_ns: i64) -> Result<bool, Trouble> {
        Ok(self.try_prune(keep_age_ns)?)
    }
}
