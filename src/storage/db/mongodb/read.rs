//! Reading a server's store back.

use std::collections::HashSet;

use compact_str::CompactString;
use foldhash::fast::RandomState;
use mongodb::bson::{Bson, RawDocumentBuf, doc};

use crate::storage::db::DbError;
use crate::storage::db::backend::OpenError;
use crate::storage::db::reader::{Read, Source};
use crate::storage::db::url::MongoUrl;

use crate::storage::db::mongodb::link::{Failure, Link};
use crate::storage::db::mongodb::{rows, schema};

/// A connection for reading.
pub(in crate::storage::db) struct MongoSource {
    link: Link,
    /// A symbol's number is its place here.
    symbols: Vec<CompactString>,
    known: HashSet<CompactString, RandomState>,
}

/// Times of the oldest and the newest row: one look each into an index.
pub(super) fn span(link: &mut Link) -> Result<Option<(i64, i64)>, Failure> {
    link.run(async |database| {
        let ticks = database.collection::<RawDocumentBuf>("ticks");
        let oldest = ticks.find_one(doc! {}).sort(doc! { "time_ns": 1 }).await?;
        let newest = ticks.find_one(doc! {}).sort(doc! { "time_ns": -1 }).await?;
        let time = |row: Option<RawDocumentBuf>| row.and_then(|row| row.get_i64("time_ns").ok());
        Ok(time(oldest).zip(time(newest)))
    })
}

impl MongoSource {
    /// Opens a store that exists; nothing in it is changed.
    pub(in crate::storage::db) fn open(url: &MongoUrl) -> Result<Self, DbError> {
        let failed = |error| match error {
            OpenError::Final(error) => error,
            OpenError::Away(cause) => DbError::Read { store: url.to_string(), cause },
        };
        let mut link = Link::open(url).map_err(failed)?;
        if schema::check(&mut link, url).map_err(failed)? == 0 {
            return Err(DbError::Foreign { store: url.to_string(), cause: "it is empty".to_owned() });
        }
        Ok(Self { link, symbols: Vec::new(), known: HashSet::default() })
    }
}

impl Source for MongoSource {
    fn symbols(&mut self) -> Result<Vec<(i32, CompactString)>, String> {
        let found = self
            .link
            .run(async |database| database.collection::<RawDocumentBuf>("ticks").distinct("symbol", doc! {}).await);
        for name in found.map_err(|failure| failure.cause())? {
            if let Bson::String(name) = name
                && self.known.insert(CompactString::new(&name))
            {
                self.symbols.push(name.into());
            }
        }
        let numbered = self.symbols.iter().enumerate();
        Ok(numbered.map(|(number, name)| (i32::try_from(number).unwrap_or(i32::MAX), name.clone())).collect())
    }

    fn span(&mut self) -> Result<Option<(i64, i64)>, String> {
        span(&mut self.link).map_err(|failure| failure.cause())
    }

    fn block(&mut self, symbol: (i32, &str), from_ns: i64, to_ns: i64, limit: usize) -> Result<Vec<Read>, String> {
        let read = self.link.run(async |database| {
            let wanted = doc! { "symbol": symbol.1, "time_ns": { "$gte": from_ns, "$lte": to_ns } };
            let ticks = database.collection::<RawDocumentBuf>("ticks");
            let mut found = ticks.find(wanted).sort(doc! { "time_ns": 1 });
            // A limit beyond all numbers is none.
            if let Ok(limit) = i64::try_from(limit) {
                found = found.limit(limit);
            }
            let (mut found, mut read) = (found.await?, Vec::new());
            while found.advance().await? {
                let (n, tick) = rows::parse(found.current())?;
                read.push(Read { n, tick });
            }
            Ok(read)
        });
        read.map_err(|failure| failure.cause())
    }

    fn time_before_newest(&mut self, symbol_id: i32, skip: usize) -> Result<Option<i64>, String> {
        let place = usize::try_from(symbol_id).unwrap_or(usize::MAX);
        let Some(symbol) = self.symbols.get(place).cloned() else { return Ok(None) };
        let found = self.link.run(async |database| {
            let ticks = database.collection::<RawDocumentBuf>("ticks");
            let mine = || doc! { "symbol": symbol.as_str() };
            let nth = ticks.find_one(mine()).sort(doc! { "time_ns": -1 }).skip(skip as u64).await?;
            match nth {
                Some(nth) => Ok(Some(nth)),
                None => ticks.find_one(mine()).sort(doc! { "time_ns": 1 }).await,
            }
        });
        let found = found.map_err(|failure| failure.cause())?;
        Ok(found.and_then(|row| row.get_i64("time_ns").ok()))
    }
}
