//! Round trip of a trading day: published, stored, exported, read by pandas and polars, replayed, and stored again.

use std::path::Path;

use serde_json::json;
use tickscope::storage::db::TickRow;

use super::fixture::{LIMIT, export, kept};
use crate::support::process::{consumer, producer};
use crate::support::readers::reader;
use crate::support::redis_server::RedisServer;
use crate::support::wait::wait_until;

const DAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/us-trades-2013-10-07.csv.gz");
const DAY_TICKS: usize = 388_417;

fn count(file: &Path) -> usize {
    let database = rusqlite::Connection::open(file);
    let count = database.and_then(|database| database.query_row("SELECT count(*) FROM ticks", [], |row| row.get(0)));
    count.unwrap_or(0_i64) as usize
}

/// Replays `what` through a stream into a new store. Returns the store's URL and all its ticks.
fn replay_into(redis: &RedisServer, what: &str, dir: &Path, name: &str) -> (String, Vec<TickRow>) {
    let file = dir.join(format!("{name}.db"));
    let store = format!("sqlite:{}", file.display());
    let consumer = consumer().args(["--headless", "--redis", &redis.url(), "--stream", name, "--store", &store]);
    let consumer = consumer.start();
    let play = ["--replay", what, "--speed", "max", "--keep-timestamps", "--stream", name, "--redis", &redis.url()];
    producer().args(play).run(LIMIT).expect_code(0);
    wait_until("all rows", LIMIT, || count(&file) == DAY_TICKS);
    consumer.stop("TERM", LIMIT).expect_code(0);
    let ticks = kept(&store);
    (store, ticks)
}

#[test]
fn a_whole_day_comes_out_again_as_it_went_in() {
    let redis = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let (store, first) = replay_into(&redis, DAY, dir.path(), "first");
    assert_eq!(first.len(), DAY_TICKS);
    for form in ["csv", "parquet"] {
        let path = dir.path().join(format!("day.{form}"));
        let ended = export(&store, &path).args(["--from", "2013-10-07T00:00:00Z"]).run(LIMIT).expect_code(0);
        assert!(ended.stderr.contains("saved 388417 ticks to "), "{ended:?}");
        let found = reader("read_stored.py").args([path.as_path(), Path::new(DAY)]).run(LIMIT).expect_code(0).json();
        assert_eq!((&found["same"], &found["count"]), (&json!(true), &json!(DAY_TICKS)), "{form}");
        assert_eq!(found["pandas"]["time"], "datetime64[ns, UTC]", "{form}");
    }
    // Exports the visible ticks of a headless run, although memory holds few of them.
    let seen = dir.path().join("seen.csv");
    let see = ["--headless", "--redis", &redis.url(), "--stream", "none", "--store", &store, "--history", "2000"];
    let file = seen.display().to_string();
    consumer().args(see).args(["--window", "24h", "--for", "1s", "--export", &file]).run(LIMIT).expect_code(0);
    let lines = std::fs::read_to_string(&seen).unwrap().lines().count();
    assert_eq!(lines, DAY_TICKS + 1);

    let bare = |ticks: &[TickRow]| -> Vec<(String, i64, u64, Option<u64>)> {
        let bits = |tick: &TickRow| (tick.price.to_bits(), tick.size.map(f64::to_bits));
        ticks.iter().map(|tick| (tick.symbol.to_string(), tick.time_ns, bits(tick).0, bits(tick).1)).collect()
    };
    let first = bare(&first);
    let path = |name: &str| dir.path().join(name).display().to_string();
    for (name, what) in [("store", store.as_str()), ("parquet", &path("day.parquet")), ("csv", &path("day.csv"))] {
        let (_, again) = replay_into(&redis, what, dir.path(), name);
        assert!(bare(&again) == first, "replayed from the {name}");
    }
}
