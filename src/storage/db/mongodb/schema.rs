//! Collections on a server, and their migration.

use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};

use crate::storage::db::backend::{Failure, StoreError, StoreResult, check_version};
use crate::storage::db::sql::MINUTE_NS;

use crate::storage::db::mongodb::connection::Connection;
use crate::storage::db::mongodb::{collection, outliers};

/// Version of the schema that this program creates.
const VERSION: i64 = 1;

/// Key that tells this program's `meta` from another program's.
const VERSION_KEY: &str = "tickscope_version";

/// Names of this program's collections and views.
const NAMES: [&str; 6] = ["meta", "ticks", "streams", "writers", "ticks_view", "bars_1m"];

/// Error code for a collection that exists.
const NAMESPACE_EXISTS: i32 = 48;

/// Returns the schema version; 0 for an empty database and after an interrupted creation. Rejects databases of other
/// programs and of later versions.
pub(super) fn check(connection: &mut Connection) -> StoreResult<i64> {
    connection.run(async |database| {
        let names = database.list_collection_names().await?;
        let mut version = None;
        if names.iter().any(|name| name == "meta") {
            let found = collection(database, "meta").find_one(doc! { "_id": VERSION_KEY }).await?;
            version = found.and_then(|found| found.get_i64("value").ok());
        } else if !names.iter().any(|name| NAMES.contains(&name.as_str())) {
            version = Some(0);
        }
        let foreign = "it has collections of another program under the same names";
        check_version(version.ok_or_else(|| StoreError::new(Failure::Foreign, foreign))?, VERSION)
    })
}

/// Applies the missing steps. Each is idempotent, so an interrupted or concurrent migration does no harm; the version
/// is written last.
pub(super) fn migrate(connection: &mut Connection) -> StoreResult<()> {
    if check(connection)? == VERSION {
        return Ok(());
    }
    connection.run(async |database| {
        let meta = collection(database, "meta");
        let ours = doc! { "_id": VERSION_KEY };
        meta.update_one(ours.clone(), doc! { "$max": { "value": 0_i64 } }).upsert(true).await?;
        for name in ["streams", "writers"] {
            // Older servers cannot create a collection inside a transaction.
            ignore_existing(database.create_collection(name).await)?;
        }
        let by_symbol = IndexModel::builder().keys(doc! { "symbol": 1, "time_ns": 1 }).build();
        let by_time = IndexModel::builder().keys(doc! { "time_ns": 1 }).build();
        collection(database, "ticks").create_indexes([by_symbol, by_time]).await?;
        for (name, pipeline) in [("ticks_view", ticks_view()), ("bars_1m", bars_1m())] {
            ignore_existing(database.create_collection(name).view_on("ticks".to_owned()).pipeline(pipeline).await)?;
        }
        meta.update_one(ours, doc! { "$max": { "value": VERSION } }).await?;
        Ok(())
    })
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
