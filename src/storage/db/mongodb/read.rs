//! Reading a server's store.

use compact_str::CompactString;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Error;

use crate::storage::db::TickRow;
use crate::storage::db::backend::{Side, StoreResult, StoredTick, TickSource, check_not_empty};
use crate::storage::db::url::MongoUrl;

use crate::storage::db::mongodb::connection::Connection;
use crate::storage::db::mongodb::{collection, documents, outliers, schema};

/// Connects for reading.
pub(in crate::storage::db) fn open_source(url: &MongoUrl) -> StoreResult<Connection> {
    let mut connection = Connection::open(url)?;
    check_not_empty(schema::check(&mut connection)?)?;
    Ok(connection)
}

/// Time of the first tick in an order, after `skip`.
async fn first_time(database: &Database, filter: Document, order: i32, skip: usize) -> Result<Option<i64>, Error> {
    let found =
        collection(database, "ticks").find_one(filter).sort(doc! { "time_ns": order }).skip(skip as u64).await?;
    Ok(found.and_then(|row| row.get_i64("time_ns").ok()))
}

impl TickSource for Connection {
    /// The ids have no meaning: documents hold names.
    fn symbols(&mut self) -> StoreResult<Vec<(i32, CompactString)>> {
        let found = self.run(async |database| Ok(collection(database, "ticks").distinct("symbol", doc! {}).await?))?;
        let names = found.into_iter().filter_map(|name| if let Bson::String(name) = name { Some(name) } else { None });
        Ok((0..).zip(names.map(Into::into)).collect())
    }

    /// One index lookup each.
    fn time_range(&mut self) -> StoreResult<Option<(i64, i64)>> {
        self.run(async |database| {
            let oldest_ns = first_time(database, doc! {}, 1, 0).await?;
            Ok(oldest_ns.zip(first_time(database, doc! {}, -1, 0).await?))
        })
    }

    fn block(&mut self, symbol: (i32, &str), from_ns: i64, to_ns: i64, limit: usize) -> StoreResult<Vec<StoredTick>> {
        self.run(async |database| {
            let filter = doc! { "symbol": symbol.1, "time_ns": { "$gte": from_ns, "$lte": to_ns } };
            let ticks = collection(database, "ticks");
            let mut found = ticks.find(filter).sort(doc! { "time_ns": 1 });
            // A limit out of range means none.
            if let Ok(limit) = i64::try_from(limit) {
                found = found.limit(limit);
            }
            let (mut found, mut rows) = (found.await?, Vec::new());
            while found.advance().await? {
                rows.push(documents::decode(found.current())?);
            }
            Ok(rows)
        })
    }

    fn neighbour(&mut self, symbol: (i32, &str), side: Side) -> StoreResult<Option<TickRow>> {
        let (time_ns, order) = match side {
            Side::Before(before_ns) => (doc! { "$lt": before_ns }, -1),
            Side::From(from_ns) => (doc! { "$gte": from_ns }, 1),
        };
        self.run(async |database| {
            let mut filter = doc! { "symbol": symbol.1, "time_ns": time_ns, "$nor": [outliers()] };
            let Some(time_ns) = first_time(database, filter.clone(), order, 0).await? else { return Ok(None) };
            // Sorting by `n` as well would leave the index, so the rows of that time are sorted on their own.
            filter.insert("time_ns", time_ns);
            let row = collection(database, "ticks").find_one(filter).sort(doc! { "n": order }).await?;
            Ok(row.map(|row| documents::decode(&row)).transpose()?.map(|row| row.tick))
        })
    }

    fn time_before_newest(&mut self, symbol: (i32, &str), skip: usize) -> StoreResult<Option<i64>> {
        self.run(async |database| {
            let filter = || doc! { "symbol": symbol.1 };
            let time_ns = first_time(database, filter(), -1, skip).await?;
            Ok(if time_ns.is_some() { time_ns } else { first_time(database, filter(), 1, 0).await? })
        })
    }
}
