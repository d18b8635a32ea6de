//! Collections on a server, and their migration.

use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::{Database, IndexModel};

use crate::storage::db::DbError;
use crate::storage::db::backend::OpenError;
use crate::storage::db::sql::MINUTE_NS;
use crate::storage::db::url::MongoUrl;

use crate::storage::db::mongodb::connection::Connection;
use crate::storage::db::mongodb::outliers;

/// Version of the schema that this program creates.
const VERSION: i64 = 1;

/// Key that tells this program's `meta` from another program's.
const VERSION_KEY: &str = "tickscope_version";

/// Names of this program's collections and views.
const NAMES: [&str; 6] = ["meta", "ticks", "streams", "writers", "ticks_view", "bars_1m"];

/// Error code for a collection that exists.
const NAMESPACE_EXISTS: i32 = 48;

/// Contents of a database.
enum Contents {
    /// The database has no collection of this program, and no other collection has one of their names.
    Empty,
    /// 0 after an interrupted creation.
    Version(i64),
    /// Collections of the same names that belong to another program.
    Foreign,
}

async fn inspect(database: &Database) -> Result<Contents, Error> {
    let names = database.list_collection_names().await?;
    if names.iter().any(|name| name == "meta") {
        let meta = database.collection::<RawDocumentBuf>("meta");
        let version = meta.find_one(doc! { "_id": VERSION_KEY }).await?;
        let version = version.and_then(|version| version.get_i64("value").ok());
        return Ok(version.map_or(Contents::Foreign, Contents::Version));
    }
    let is_taken = names.iter().any(|name| NAMES.contains(&name.as_str()));
    Ok(if is_taken { Contents::Foreign } else { Contents::Empty })
}

/// Returns the schema version; 0 for an empty database. Rejects databases of other programs and of later versions.
pub(super) fn check(connection: &mut Connection, url: &MongoUrl) -> Result<i64, OpenError> {
    let contents = connection.run(async |database| inspect(database).await).map_err(|error| error.at_open(url))?;
    let store = url.to_string();
    match contents {
        Contents::Empty => Ok(0),
        Contents::Version(found) if found > VERSION => {
            Err(OpenError::Permanent(DbError::Newer { store, found, known: VERSION }))
        }
        Contents::Version(version) => Ok(version),
        Contents::Foreign => {
            let cause = "it has collections of another program under the same names".to_owned();
            Err(OpenError::Permanent(DbError::Foreign { store, cause }))
        }
    }
}

/// Applies the missing steps. Each is idempotent, so an interrupted or concurrent migration does no harm; the version
/// is written last.
pub(super) fn migrate(connection: &mut Connection, url: &MongoUrl) -> Result<(), OpenError> {
    if check(connection, url)? == VERSION {
        return Ok(());
    }
    let done = connection.run(async |database| {
        let meta = database.collection::<RawDocumentBuf>("meta");
        let ours = doc! { "_id": VERSION_KEY };
        meta.update_one(ours.clone(), doc! { "$max": { "value": 0_i64 } }).upsert(true).await?;
        for name in ["streams", "writers"] {
            // Older servers cannot create a collection inside a transaction.
            ignore_existing(database.create_collection(name).await)?;
        }
        let by_symbol = IndexModel::builder().keys(doc! { "symbol": 1, "time_ns": 1 }).build();
        let by_time = IndexModel::builder().keys(doc! { "time_ns": 1 }).build();
        database.collection::<RawDocumentBuf>("ticks").create_indexes([by_symbol, by_time]).await?;
        for (name, pipeline) in [("ticks_view", ticks_view()), ("bars_1m", bars_1m())] {
            ignore_existing(database.create_collection(name).view_on("ticks".to_owned()).pipeline(pipeline).await)?;
        }
        meta.update_one(ours, doc! { "$max": { "value": VERSION } }).await.map(drop)
    });
    done.map_err(|error| error.at_open(url))
}

fn ignore_existing(made: Result<(), Error>) -> Result<(), Error> {
    match made {
        Err(error) if matches!(error.kind.as_ref(), ErrorKind::Command(error) if error.code == NAMESPACE_EXISTS) => {
            Ok(())
        }
        made => made,
    }
}

/// Date, in milliseconds, of a field in nanoseconds.
fn date(field: &str) -> Document {
    doc! { "$toDate": { "$toLong": { "$divide": [field, 1_000_000_i64] } } }
}

fn ticks_view() -> Vec<Document> {
    let outlier = doc! { "$gt": ["$flags", 0] };
    let fields = doc! {
        "_id": 0, "symbol": 1, "time": date("$time_ns"), "time_ns": 1, "price": 1, "size": 1, "source": 1, "seq": 1,
        "stream": 1, "id_ms": 1, "id_seq": 1, "n": 1, "outlier": outlier,
    };
    vec![doc! { "$project": fields }]
}

/// Bars of a minute. Open and close are the first and the last tick by time, then by arrival.
fn bars_1m() -> Vec<Document> {
    let start = doc! { "$subtract": ["$time_ns", { "$mod": ["$time_ns", MINUTE_NS] }] };
    let bar = doc! {
        "_id": { "symbol": "$symbol", "time_ns": start },
        "open": { "$first": "$price" }, "high": { "$max": "$price" }, "low": { "$min": "$price" },
        "close": { "$last": "$price" }, "volume": { "$sum": "$size" }, "count": { "$sum": 1 },
    };
    let fields = doc! {
        "_id": 0, "symbol": "$_id.symbol", "time": date("$_id.time_ns"), "time_ns": "$_id.time_ns",
        "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1, "count": 1,
    };
    vec![
        doc! { "$match": { "$nor": [outliers()] } },
        doc! { "$sort": { "symbol": 1, "time_ns": 1, "n": 1 } },
        doc! { "$group": bar },
        doc! { "$project": fields },
    ]
}
