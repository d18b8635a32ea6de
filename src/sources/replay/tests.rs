use std::fs::File;
use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::sources::replay::*;

const NOW_NS: i64 = 1_800_000_000 * crate::model::NS_PER_S;

fn now() -> Timestamp {
    Timestamp::from_nanos(NOW_NS).unwrap()
}

fn open(bytes: &[u8], format: Format) -> Result<Replay, ReplayError> {
    Replay::open(Box::new(Cursor::new(bytes.to_vec())), format, TickFilter::default())
}

fn play(mut recording: Replay) -> (Vec<Tick>, Replay) {
    let mut ticks = Vec::new();
    while recording.read_line(now(), &mut ticks, |_, _| {}).unwrap() {}
    (ticks, recording)
}

const CSV: &str = "symbol,price,timestamp,size\nSPY,167.41,1381132800464,100\nIBM,182.5,1381132800465,7\n";
const NDJSON: &str = concat!(
    r#"{"symbol":"SPY","price":167.41,"timestamp":1381132800464,"size":100}"#,
    "\n",
    r#"[{"symbol":"IBM","price":"182.5","timestamp":1381132800.465,"size":7}]"#
);

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_form_gives_the_same_ticks() {
    let (expected, _) = play(open(CSV.as_bytes(), Format::Detect).unwrap());
    assert_eq!(expected.len(), 2);
    assert_eq!(expected[1].symbol.as_str(), "IBM");
    for bytes in [
        NDJSON.as_bytes().to_vec(),
        gzip(NDJSON.as_bytes()),
        gzip(CSV.as_bytes()),
        CSV.replace('\n', "\r\n").into_bytes(),
        format!("\u{feff}{CSV}").into_bytes(),
        format!("\n\n{CSV}\n").into_bytes(),
        format!("\n  {NDJSON}").into_bytes(),
    ] {
        let (ticks, recording) = play(open(&bytes, Format::Detect).unwrap());
        assert_eq!(ticks, expected);
        assert!(recording.check_played().is_ok());
    }
}

#[test]
fn bad_rows_are_counted_by_cause_with_the_first_line_and_cost_no_good_one() {
    let rows =
        "timestamp,symbol,price\n1381132800,A,1\nx,A,1\n1381132801,A,\n\nx,B,2\n1381132802,A,2\n99999999999,A,1\n";
    let mut recording = open(rows.as_bytes(), Format::Detect).unwrap();
    let (mut ticks, mut noted) = (Vec::new(), Vec::new());
    while recording.read_line(now(), &mut ticks, |cause, line| noted.push((cause, line))).unwrap() {}
    assert_eq!(ticks.len(), 2);
    assert_eq!(noted, [(Reject::Timestamp, 3), (Reject::Missing, 4), (Reject::Future, 8)]);
    assert_eq!(recording.rejections().counts().total(), 4);
    assert_eq!(
        recording.rejections().summary(),
        "bad_timestamp 2 (first in line 3), missing_field 1 (first in line 4), in_future 1 (first in line 8)"
    );
}

#[test]
fn a_row_over_two_lines_costs_these_and_no_other() {
    let rows = "symbol,timestamp,price\nA,1381132800,1\n\"x\ny\",1381132801,2\nB,1381132802,3\n";
    let (ticks, recording) = play(open(rows.as_bytes(), Format::Detect).unwrap());
    assert_eq!(ticks.iter().map(|tick| tick.symbol.as_str()).collect::<Vec<_>>(), ["A", "B"]);
    assert_eq!(recording.rejections().summary(), "missing_field 2 (first in line 3)");
}

#[test]
fn ndjson_by_order_rejects_a_first_line_that_is_garbage_and_goes_on() {
    let bytes = format!("garbage\n{NDJSON}\n{{\"symbol\":\n");
    let (ticks, recording) = play(open(bytes.as_bytes(), Format::Ndjson).unwrap());
    assert_eq!(ticks.len(), 2);
    assert_eq!(recording.rejections().summary(), "not_json 2 (first in line 1)");
}

#[test]
fn a_replay_without_ticks_reports_why() {
    let outcome = |bytes: &[u8]| match open(bytes, Format::Detect) {
        Ok(recording) => play(recording).1.check_played().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(outcome(b"").starts_with("it is empty"));
    assert!(outcome(b"\n\n").starts_with("it is empty"));
    assert!(outcome(b"timestamp,symbol,price\n").starts_with("it is empty"));
    assert!(outcome(b"1381132800464,SPY,167.41\n").contains("names no column for timestamp, symbol, price"));
    assert!(outcome(b"timestamp,symbol,price\nx,y,z\n").contains("bad_timestamp 1 (first in line 2)"));
    assert!(outcome(b"[\n{\n}\n]\n").contains("none of its rows is a tick"));
    let cut = gzip(&CSV.repeat(2_000).into_bytes());
    let mut recording = open(&cut[..cut.len() - 30], Format::Detect).unwrap();
    let error = loop {
        match recording.read_line(now(), &mut Vec::new(), |_, _| {}) {
            Ok(more) => assert!(more, "a cut file does not just end"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("cut off"), "{error}");
}

#[test]
fn a_selection_takes_a_span_of_time_and_some_symbols() {
    let bytes: String = std::iter::once("timestamp,symbol,price\n".to_owned())
        .chain((0..10).map(|i| format!("{},{},1\n", 1_381_132_800 + i, if i % 2 == 0 { "A" } else { "B" })))
        .collect();
    let at = |s: i64| Timestamp::from_nanos((1_381_132_800 + s) * crate::model::NS_PER_S);
    let count = |filter: TickFilter| {
        let source = Box::new(Cursor::new(bytes.clone().into_bytes()));
        let (ticks, recording) = play(Replay::open(source, Format::Detect, filter).unwrap());
        (ticks.len(), recording.check_played().is_ok())
    };
    assert_eq!(count(TickFilter { from: at(3), to: at(7), symbols: None }), (4, true));
    let only_b = Some([Symbol::new("B").unwrap()].into());
    assert_eq!(count(TickFilter { from: at(3), to: None, symbols: only_b }), (4, true));
    assert_eq!(count(TickFilter { from: at(100), to: None, symbols: None }), (0, false));
}

#[test]
fn the_shipped_trading_day_is_read_whole() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/us-trades-2013-10-07.csv.gz");
    let source = Box::new(File::open(path).unwrap());
    let (ticks, recording) = play(Replay::open(source, Format::Detect, TickFilter::default()).unwrap());
    assert_eq!(ticks.len(), 388_417);
    assert_eq!(recording.rejections().counts().total(), 0);
    assert!(ticks.windows(2).all(|pair| pair[0].timestamp <= pair[1].timestamp), "it is in order of time");
    let symbols: std::collections::BTreeSet<&str> = ticks.iter().map(|tick| tick.symbol.as_str()).collect();
    assert_eq!(symbols, ["AIG", "BAC", "IBM", "SPY"].into());
}
