use compact_str::CompactString;
use proptest::prelude::*;

use super::*;
use crate::model::{FUTURE_NS_MAX, NS_PER_S, Price, Symbol, TimestampFormat, write_tick};

mod fast_path;
mod feeds;
mod template;

const NOW: i64 = 1_800_000_000 * NS_PER_S;

fn decode_with(fields: &str, payload: &[u8]) -> Vec<Result<Tick, Reject>> {
    let mut all = Vec::new();
    let mut decoder = Decoder::new(FieldMap::parse(fields).unwrap());
    decoder.decode(payload, Origin::at(Timestamp::from_nanos(NOW).unwrap()), |result| all.push(result));
    all
}

fn decode(payload: impl AsRef<[u8]>) -> Vec<Result<Tick, Reject>> {
    decode_with("", payload.as_ref())
}

fn good(payload: impl AsRef<[u8]>) -> Tick {
    let shown = String::from_utf8_lossy(payload.as_ref()).into_owned();
    let mut all = decode(payload);
    assert_eq!(all.len(), 1, "{shown}");
    all.remove(0).unwrap_or_else(|cause| panic!("{shown}: {cause}"))
}

#[test]
fn the_tutorials_tick_is_read() {
    let tick = good(r#"{"symbol": "AAPL", "price": 187.2, "timestamp": 1732000000}"#);
    assert_eq!((tick.symbol.as_str(), tick.price.get()), ("AAPL", 187.2));
    assert_eq!(tick.timestamp.as_nanos(), 1_732_000_000 * NS_PER_S);
    assert_eq!((tick.size, tick.seq, tick.source), (None, None, None));
}

#[test]
fn reading_is_liberal() {
    let tick = good(
        r#" {"x":{"y":[1,{"price":3}]},"timestamp":"2024-11-19T07:06:40Z","price":"1.5","source":"a",
            "seq":7,"size":"0.25","symbol":"\u00e9\n"} "#,
    );
    assert_eq!((tick.symbol.as_str(), tick.price.get(), tick.size), ("é\n", 1.5, Some(0.25)));
    assert_eq!((tick.seq, tick.source.as_deref()), (Some(7), Some("a")));
    assert_eq!(good(r#"{"symbol":"CL","price":-37.63,"timestamp":1,"size":null}"#).price.get(), -37.63);
    assert_eq!(good(r#"{"symbol":"A","price":1,"timestamp":1,"seq":"n/a","source":9}"#).seq, None);
    assert!(good(r#"{"symbol":"A","price":1,"timestamp":1,"other":1e999,"other":2}"#).size.is_none());
}

#[test]
fn each_cause_is_reported() {
    let cases: &[(&str, Reject)] = &[
        ("", Reject::NotJson),
        ("{", Reject::NotJson),
        (r#"{"symbol":"A","price":1,"timestamp":1"#, Reject::NotJson),
        (r#"{"symbol":"A","price":1,"timestamp":1}}"#, Reject::NotJson),
        (r#"{"symbol":"A","price":1,"timestamp":1} x"#, Reject::NotJson),
        (r#"{"symbol":"A","price":1,"timestamp":1,}"#, Reject::NotJson),
        (r"{'symbol':'A','price':1,'timestamp':1}", Reject::NotJson),
        (r#"{"symbol":"A","price":NaN,"timestamp":1}"#, Reject::NotFinite),
        (r#"{"symbol":"A","price":01,"timestamp":1}"#, Reject::NotJson),
        (r#"{"symbol":"A","price":1.,"timestamp":1}"#, Reject::NotJson),
        ("{\"symbol\":\"A\nB\",\"price\":1,\"timestamp\":1}", Reject::NotJson),
        ("\u{feff}{\"symbol\":\"A\",\"price\":1,\"timestamp\":1}", Reject::NotJson),
        ("17", Reject::NotObject),
        ("null", Reject::NotObject),
        ("\"AAPL\"", Reject::NotObject),
        ("{}", Reject::Missing),
        (r#"{"symbol":"A","price":null,"timestamp":1}"#, Reject::Missing),
        (r#"{"symbol":"A","price":1,"price":2,"timestamp":1}"#, Reject::Duplicate),
        (r#"{"symbol":"","price":1,"timestamp":1}"#, Reject::Symbol),
        (r#"{"symbol":"\ud800","price":1,"timestamp":1}"#, Reject::Symbol),
        (r#"{"symbol":"A","price":true,"timestamp":1}"#, Reject::Price),
        (r#"{"symbol":"A","price":[1],"timestamp":1}"#, Reject::Price),
        (r#"{"symbol":"A","price":"ten","timestamp":1}"#, Reject::Price),
        (r#"{"symbol":"A","price":"","timestamp":1}"#, Reject::Price),
        (r#"{"symbol":"A","price":1e400,"timestamp":1}"#, Reject::NotFinite),
        (r#"{"symbol":"A","price":"NaN","timestamp":1}"#, Reject::NotFinite),
        (r#"{"symbol":"A","price":1,"timestamp":"today"}"#, Reject::Timestamp),
        (r#"{"symbol":"A","price":1,"timestamp":{}}"#, Reject::Timestamp),
        (r#"{"symbol":"A","price":1,"timestamp":-5}"#, Reject::BeforeEpoch),
        (r#"{"symbol":"A","price":1,"timestamp":9999999999}"#, Reject::Future),
        (r#"{"symbol":"A","price":1,"timestamp":1,"size":-1}"#, Reject::Size),
        (r#"{"symbol":"A","price":1,"timestamp":1,"size":"many"}"#, Reject::Size),
    ];
    for (payload, cause) in cases {
        assert_eq!(decode(payload), [Err(*cause)], "{payload}");
    }
    assert_eq!(decode(b"{\"symbol\":\"\xff\",\"price\":1,\"timestamp\":1}"), [Err(Reject::NotUtf8)]);
    let long = "X".repeat(65);
    assert_eq!(decode(format!(r#"{{"symbol":"{long}","price":1,"timestamp":1}}"#)), [Err(Reject::Symbol)]);
}

#[test]
fn a_day_ahead_is_the_bound() {
    let at = |nanos: i64| decode(format!(r#"{{"symbol":"A","price":1,"timestamp":{nanos}}}"#))[0].is_ok();
    assert!(at(NOW + FUTURE_NS_MAX));
    assert!(!at(NOW + FUTURE_NS_MAX + 1));
}

#[test]
fn bad_ones_in_an_array_cost_no_good_ones() {
    let a = r#"{"symbol":"A","price":1,"timestamp":1}"#;
    let results = decode(format!("[{a}, 3, {{}}, [{a}], {a}]"));
    let causes: Vec<_> = results.iter().map(|r| r.as_ref().err().copied()).collect();
    assert_eq!(causes, [None, Some(Reject::NotObject), Some(Reject::Missing), Some(Reject::NotObject), None]);
    assert_eq!(decode("[]"), []);
    let truncated = decode(format!("[{a},{a},{{\"sym"));
    assert_eq!(truncated.iter().filter(|r| r.is_ok()).count(), 2);
    assert_eq!(truncated.last(), Some(&Err(Reject::NotJson)));
}

#[test]
fn keys_of_other_feeds_are_mapped() {
    let fields = "symbol=s,price=data.p,timestamp=data.T,size=data.q";
    let results = decode_with(
        fields,
        br#"{"e":"trade","s":"BTCUSDT","data":{"p":"0.001","q":"100","T":1732000000123,"price":9}}"#,
    );
    let tick = results[0].clone().unwrap();
    assert_eq!((tick.symbol.as_str(), tick.price.get(), tick.size), ("BTCUSDT", 0.001, Some(100.0)));
    assert_eq!(tick.timestamp.as_nanos(), 1_732_000_000_123_000_000);
    assert_eq!(decode_with(fields, br#"{"s":"X","data":3}"#), [Err(Reject::Missing)]);
    assert_eq!(decode_with(fields, br#"{"s":"X","data":{"p":1,"p":2,"T":1}}"#), [Err(Reject::Duplicate)]);
}

#[test]
fn depth_and_length_break_nothing() {
    for open in ["[", "{\"a\":", "{\"symbol\":"] {
        let deep = open.repeat(100_000);
        assert!(decode(&deep).iter().all(Result::is_err));
    }
    let nested =
        format!(r#"{{"symbol":"A","price":1,"timestamp":1,"x":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(decode(nested).len(), 1);
    let long = format!(r#"{{"symbol":"A","price":1{},"timestamp":1}}"#, "0".repeat(1_000_000));
    assert_eq!(decode(long), [Err(Reject::NotFinite)]);
}

fn any_tick() -> impl Strategy<Value = Tick> {
    let price = any::<f64>().prop_filter_map("finite", Price::new);
    let symbol = "\\PC{1,16}".prop_filter_map("bounded", |text| Symbol::new(&text));
    let nanos = 1_000_000_000i64..NOW;
    let size = proptest::option::of((0.0..1e12f64).prop_map(|s| (s * 100.0).round() / 100.0));
    let source = proptest::option::of("[a-z0-9-]{1,20}".prop_map(CompactString::from));
    (symbol, price, nanos, size, proptest::option::of(any::<u64>()), source).prop_map(
        |(symbol, price, nanos, size, seq, source)| {
            let timestamp = Timestamp::from_nanos(nanos).unwrap();
            Tick { symbol, price, timestamp, size, seq, source }
        },
    )
}

proptest! {
    #[test]
    fn encoded_ticks_decode_to_the_same_bits(tick in any_tick()) {
        for format in [TimestampFormat::Seconds, TimestampFormat::Rfc3339] {
            let mut payload = Vec::new();
            write_tick(&mut payload, &tick, format);
            let read = good(&payload);
            prop_assert_eq!(read.price.get().to_bits(), tick.price.get().to_bits());
            prop_assert_eq!(&read, &tick);
        }
    }

    #[test]
    fn any_cut_of_a_message_is_rejected_and_nothing_panics(tick in any_tick(), cut in 0.0..1.0f64) {
        let mut payload = Vec::new();
        write_tick(&mut payload, &tick, TimestampFormat::Seconds);
        payload.truncate((payload.len() as f64 * cut) as usize);
        prop_assert!(decode(&payload).iter().all(Result::is_err));
    }

    #[test]
    fn no_bytes_panic(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[\\[\\]{}\":,a-z0-9eE.+\\-\\\\ ]{0,120}",
    ) {
        decode(payload);
        decode(text);
    }
}
