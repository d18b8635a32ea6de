//! Errors of export and replay.

use std::path::Path;

use super::fixture::{LIMIT, assert_files, export, keep, on_both, ticks};
use crate::support::process::{Ended, consumer, producer};
use crate::support::readers::python;
use crate::support::redis_server::RedisServer;

#[track_caller]
fn assert_told(ended: &Ended, texts: &[&str]) {
    for text in texts {
        assert!(ended.stderr.contains(text), "{text:?} is not in: {ended:?}");
    }
    assert!(!ended.stderr.contains("panicked") && !ended.stderr.contains("s3cr"), "{ended:?}");
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("none.db").display());
    let ended = export(&store, &dir.path().join("out.csv")).args(["--from", "1h"]).run(LIMIT).expect_code(2);
    assert_told(&ended, &[&format!("error: there is no store {store}; name one that `consumer --store` has made")]);
    let ended = producer().args(["--replay", &store]).run(LIMIT).expect_code(2);
    assert_told(&ended, &[&format!("error: --replay: there is no store {store};")]);
    assert_files(dir.path(), &[]);
    let own = consumer().dir(dir.path()).args(["--store", "--export", "out.csv", "--from", "1h"]);
    assert_told(&own.run(LIMIT).expect_code(2), &["there is no store sqlite:", "tickscope/ticks.db"]);
}

#[test]
fn what_a_store_does_not_hold_is_said_with_what_it_holds() {
    let redis = RedisServer::start();
    on_both(|store| {
        keep(store, &ticks(3_000));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.parquet");
        let holds = "it holds 2013-10-07T13:30:00.000000001Z to 2013-10-07T13:30:02.997000001Z";
        let names = "it has =1+1, BRK,B, NA, SPY, say \"hi\" and \u{fc}n\u{ef}";
        for (args, told) in [
            (&["--from", "1h"][..], vec!["has no tick of any symbol at or after ", holds]),
            (&["--to", "2013-10-07T13:30:00.000000001Z"], vec!["before 2013-10-07T13:30:00.000000001Z; it holds"]),
            (&["--from", "start", "--symbols", "SPY,AAPL,QQQ"], vec!["has no symbol AAPL or QQQ; ", names]),
            // A range between two ticks, which is found empty only by reading.
            (
                &["--from", "2013-10-07T13:30:01.0001Z", "--to", "2013-10-07T13:30:01.0005Z", "--symbols", "NA"],
                vec!["no tick of NA between 2013-10-07T13:30:01.0001Z and 2013-10-07T13:30:01.0005Z; ", holds],
            ),
        ] {
            assert_told(&export(store, &path).args(args).run(LIMIT).expect_code(2), &told);
            assert_files(dir.path(), &[]);
            let launch = producer().args(["--redis", &redis.url(), "--replay", store]).args(args);
            assert_told(&launch.run(LIMIT).expect_code(1), &["cannot read the input: the store ", told[0]]);
        }
    });
}

#[test]
fn an_empty_store_and_a_file_that_cannot_be_written_are_said() {
    on_both(|store| {
        keep(store, &[]);
        let dir = tempfile::tempdir().unwrap();
        let ended = export(store, &dir.path().join("out.csv")).args(["--from", "start"]).run(LIMIT).expect_code(2);
        assert_told(&ended, &["is empty: nothing has been kept in it yet"]);
        keep(store, &ticks(10));
        let nowhere = dir.path().join("none/out.csv");
        let ended = export(store, &nowhere).args(["--from", "start"]).run(LIMIT).expect_code(1);
        assert_told(&ended, &[&format!("cannot write {}: ", nowhere.display()), "choose a folder that exists"]);
        let ended = export(store, &dir.path().join("out.xlsx")).args(["--from", "start"]).run(LIMIT).expect_code(2);
        assert_told(&ended, &["must end in .csv or .parquet"]);
        assert_files(dir.path(), &[]);
    });
}

/// Runs the replay of a file that cannot be replayed.
fn played(redis: &RedisServer, path: &Path) -> Ended {
    producer().args(["--redis", &redis.url(), "--speed", "max", "--replay"]).args([path]).run(LIMIT).expect_code(1)
}

#[test]
fn tables_that_are_no_ticks_say_what_is_missing_and_what_is_there() {
    let redis = RedisServer::start();
    let dir = tempfile::tempdir().unwrap();
    let script = "
import pandas, datetime
times = pandas.to_datetime([1, 2], unit='s', utc=True)
frame = pandas.DataFrame({'time': times, 'symbol': ['A', 'B'], 'price': [1., 2.]})
frame.drop(columns=['price']).assign(open=1.0, high=2.0).to_parquet('no_price')
frame.assign(price=[True, False]).to_parquet('bools')
frame.assign(time=[datetime.time(1), datetime.time(2)]).to_parquet('times')
frame.assign(symbol=[1, 2]).to_parquet('numbers')
frame.to_parquet('gzip', compression='gzip')
frame[:0].to_parquet('empty')
frame.assign(price=[None, None]).astype({'price': float}).to_parquet('nulls')
frame.to_parquet('good')
whole = open('good', 'rb').read()
open('cut', 'wb').write(whole[:len(whole) - 100])
open('footless', 'wb').write(whole[:-8])
";
    python().args(["-c", script]).dir(dir.path()).run(LIMIT).expect_code(0);
    for (name, told) in [
        ("no_price", &["it has no column for price; expected are columns such as", "time, symbol, open, high"][..]),
        ("bools", &["its column price holds BOOLEAN; expected is a number"]),
        (
            "times",
            &["its column time holds Time", "expected is a timestamp, a Unix time as a number, or RFC 3339 text"],
        ),
        ("numbers", &["its column symbol holds INT64; expected is text"]),
        ("gzip", &["it is compressed with gzip, which this program does not unpack; write it with snappy or zstd"]),
        ("empty", &["it has no rows"]),
        ("nulls", &["none of its rows is a tick: missing_field 2 (first in row 1)"]),
        ("cut", &["the Parquet file is cut off or damaged (", "); fetch or write it again"]),
        ("footless", &["the Parquet file is cut off or damaged ("]),
    ] {
        assert_told(&played(&redis, &dir.path().join(name)), &[&["cannot read the input: "], told].concat());
    }
    let chosen = producer().args(["--redis", &redis.url(), "--from", "1h", "--replay"]).args([dir.path().join("good")]);
    assert_told(&chosen.run(LIMIT).expect_code(1), &["none of its ticks has one of the symbols that were asked for"]);
}

#[test]
fn a_pipe_of_parquet_is_refused_and_one_of_text_is_played() {
    let redis = RedisServer::start();
    let replay = || producer().args(["--redis", &redis.url(), "--speed", "max", "--replay", "/dev/stdin"]);
    let ended = replay().stdin("PAR1 and whatever follows").run(LIMIT).expect_code(1);
    assert_told(&ended, &["it is Parquet, which is read from its end and cannot come through a pipe"]);
    let ended = replay().stdin("symbol,price,time\nA,1,1381152600\n").run(LIMIT).expect_code(0);
    assert_told(&ended, &["sent 1 tick in "]);
    // Shorter than the bytes that identify a format.
    assert_told(&replay().stdin("PA").run(LIMIT).expect_code(1), &["its first line names no column for"]);
}
