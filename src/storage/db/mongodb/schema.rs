//! The collections on a server, and the steps that lead from each version to the next.

use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::{Database, IndexModel};

use crate::storage::db::DbError;
use crate::storage::db::backend::{OUTLIER, OpenError};
use crate::storage::db::url::MongoUrl;

use crate::storage::db::mongodb::link::Link;

/// The version of the schema that this program makes.
const VERSION: i64 = 1;

/// What tells our `meta` from another program's.
const VERSION_KEY: &str = "tickscope_version";

/// All names that are ours.
const NAMES: [&str; 6] = ["meta", "ticks", "streams", "writers", "ticks_view", "bars_1m"];

/// The server's code for a collection that is there already.
const EXISTS: i32 = 48;

const MINUTE_NS: i64 = 60_000_000_000;

/// What a database holds.
enum Found {
    /// Nothing of ours and nothing in our way.
    Nothing,
    /// 0 for one whose making was broken off.
    Version(i64),
    /// Collections of the same names that are not ours.
    Foreign,
}

async fn look(database: &Database) -> Result<Found, Error> {
    let names = database.list_collection_names().await?;
    if names.iter().any(|name| name == "meta") {
        let meta = database.collection::<RawDocumentBuf>("meta");
        let version = meta.find_one(doc! { "_id": VERSION_KEY }).await?;
        let version = version.and_then(|version| version.get_i64("value").ok());
        return Ok(version.map_or(Found::Foreign, Found::Version));
    }
    let is_taken = names.iter().any(|name| NAMES.contains(&name.as_str()));
    Ok(if is_taken { Found::Foreign } else { Found::Nothing })
}

/// The version; 0 for none. Refuses what is no store, or one of a later program.
pub(super) fn check(link: &mut Link, url: &MongoUrl) -> Result<i64, OpenError> {
    let found = link.run(async |database| look(database).await).map_err(|failure| failure.at_open(url))?;
    let store = url.to_string();
    match found {
        Found::Nothing => Ok(0),
        Found::Version(found) if found > VERSION => {
            Err(OpenError::Final(DbError::Newer { store, found, known: VERSION }))
        }
        Found::Version(version) => Ok(version),
        Found::Foreign => {
            let cause = "it has collections of another program under the same names".to_owned();
            Err(OpenError::Final(DbError::Foreign { store, cause }))
        }
    }
}

/// Takes the steps that are missing. Each may be taken again: whoever was broken off, or made the same at the same
/// time, left nothing in the way; the version is written last.
pub(super) fn migrate(link: &mut Link, url: &MongoUrl) -> Result<(), OpenError> {
    if check(link, url)? == VERSION {
        return Ok(());
    }
    let done = link.run(async |database| {
        let meta = database.collection::<RawDocumentBuf>("meta");
        let ours = doc! { "_id": VERSION_KEY };
        meta.update_one(ours.clone(), doc! { "$max": { "value": 0_i64 } }).upsert(true).await?;
        for name in ["streams", "writers"] {
            // Older servers make no collection inside a transaction.
            unless_there(database.create_collection(name).await)?;
        }
        let by_symbol = IndexModel::builder().keys(doc! { "symbol": 1, "time_ns": 1 }).build();
        let by_time = IndexModel::builder().keys(doc! { "time_ns": 1 }).build();
        database.collection::<RawDocumentBuf>("ticks").create_indexes([by_symbol, by_time]).await?;
        for (name, pipeline) in [("ticks_view", ticks_view()), ("bars_1m", bars_1m())] {
            unless_there(database.create_collection(name).view_on("ticks".to_owned()).pipeline(pipeline).await)?;
        }
        meta.update_one(ours, doc! { "$max": { "value": VERSION } }).await.map(drop)
    });
    done.map_err(|failure| failure.at_open(url))
}

fn unless_there(made: Result<(), Error>) -> Result<(), Error> {
    match made {
        Err(error) if matches!(error.kind.as_ref(), ErrorKind::Command(error) if error.code == EXISTS) => Ok(()),
        made => made,
    }
}

/// Nanoseconds as a date, which has milliseconds.
fn date(field: &str) -> Document {
    doc! { "$toDate": { "$toLong": { "$divide": [field, 1_000_000_i64] } } }
}

fn ticks_view() -> Vec<Document> {
    let outlier = doc! { "$gt": ["$flags", 0] };
    let shown = doc! {
        "_id": 0, "symbol": 1, "time": date("$time_ns"), "time_ns": 1, "price": 1, "size": 1, "source": 1, "seq": 1,
        "stream": 1, "id_ms": 1, "id_seq": 1, "n": 1, "outlier": outlier,
    };
    vec![doc! { "$project": shown }]
}

/// A bar's open and close are the first and the last tick by time, then by arrival.
fn bars_1m() -> Vec<Document> {
    let start = doc! { "$subtract": ["$time_ns", { "$mod": ["$time_ns", MINUTE_NS] }] };
    let bar = doc! {
        "_id": { "symbol": "$symbol", "time_ns": start },
        "open": { "$first": "$price" }, "high": { "$max": "$price" }, "low": { "$min": "$price" },
        "close": { "$last": "$price" }, "volume": { "$sum": "$size" }, "count": { "$sum": 1 },
    };
    let shown = doc! {
        "_id": 0, "symbol": "$_id.symbol", "time": date("$_id.time_ns"), "time_ns": "$_id.time_ns",
        "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1, "count": 1,
    };
    vec![
        doc! { "$match": { "$nor": [{ "flags": { "$bitsAnySet": i32::from(OUTLIER) } }] } },
        doc! { "$sort": { "symbol": 1, "time_ns": 1, "n": 1 } },
        doc! { "$group": bar },
        doc! { "$project": shown },
    ]
}
