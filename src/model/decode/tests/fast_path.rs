//! The fast path and the general path give the same result, to the bit, for messages in or near the canonical form.

use super::*;

/// Numbers as feeds write them, and malformed ones.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "-?(0|[1-9][0-9]{0,12})([.][0-9]{1,10})?",
        2 => "1[67][0-9]{8}([.][0-9]{1,9})?|1[67][0-9]{11}|1[67][0-9]{14}|1[67][0-9]{17}",
        1 => "-?[0-9]{1,25}([.][0-9]{0,25})?([eE][-+]?[0-9]{1,3})?",
        1 => "-?[0-9]{7,9}([.][0-9]{1,9})?|[0-9]{1,8}[.][0-9]{7,12}|[0-9]{18,21}",
        1 => (-3i64..=3).prop_map(|off| ((1 << 53) + off).to_string()),
        1 => (-3i64..=3, 1usize..=15).prop_map(|(off, at)| {
            let mut digits = ((1 << 53) + off).to_string();
            digits.insert(at, '.');
            digits
        }),
        1 => (-3i128..=3).prop_map(|off| (i128::from(u64::MAX) + off).to_string()),
        1 => (-3i128..=3).prop_map(|off| (i128::from(i64::MAX) + off).to_string()),
        1 => (-3i64..=3).prop_map(|off| (NOW + FUTURE_NS_MAX + off).to_string()),
        1 => "null|true|\"1[.]5\"|NaN|-|[.]5|1[.]|01|-0|0[.]0|00|1 ",
    ]
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[A-Z.]{1,8}", 1 => "[ -~]{0,70}", 1 => "\\PC{0,8}", 1 => "\\\\[nu\"0-9]{0,4}"]
}

/// Messages in or near the canonical form.
fn nearly_canonical() -> impl Strategy<Value = String> {
    let gap = || prop_oneof![4 => Just(""), 4 => Just(" "), 1 => Just("  "), 1 => Just("\n")];
    let optional = |name: &'static str, value: BoxedStrategy<String>| {
        (any::<bool>(), gap(), value).prop_map(move |(there, gap, value)| {
            if there { format!(",{gap}\"{name}\":{gap}{value}") } else { String::new() }
        })
    };
    let quoted = || string().prop_map(|text| format!("\"{text}\"")).boxed();
    let parts = (quoted(), number(), number(), gap(), gap());
    let tail = prop_oneof![8 => Just("}"), 1 => Just("} "), 1 => Just("}}"), 1 => Just(""), 1 => Just(",}")];
    let size = optional("size", number().boxed());
    let seq = optional("seq", number().boxed());
    (parts, size, seq, optional("source", quoted()), tail).prop_map(
        |((symbol, price, time, a, b), size, seq, source, tail)| {
            format!(
                "{{\"symbol\":{a}{symbol},{b}\"price\":{a}{price},{b}\"timestamp\":{a}{time}{size}{seq}{source}{tail}"
            )
        },
    )
}

type Results = Vec<Result<Tick, Reject>>;

/// Result of the general path.
fn general(payload: &[u8]) -> Results {
    let mut all = Vec::new();
    let origin = Origin::at(Timestamp::from_nanos(NOW).unwrap());
    Decoder::default().decode_general(payload, 0, origin, &mut |result| {
        all.push(result.map(|tick| tick.to_tick()).map_err(|rejection| rejection.cause));
    });
    all
}

/// Tick with its numbers to the bit, because -0.0 equals 0.0.
type Bits = (Tick, u64, Option<u64>);

fn bits(results: &Results) -> Vec<Result<Bits, Reject>> {
    let bits = |tick: &Tick| (tick.clone(), tick.price.get().to_bits(), tick.size.map(f64::to_bits));
    results.iter().map(|result| result.as_ref().map(bits).map_err(|cause| *cause)).collect()
}

/// Asserts that both paths give the same result for a message.
#[track_caller]
fn assert_same(payload: &[u8]) {
    let (whole, long) = (decode(payload), general(payload));
    assert_eq!(bits(&whole), bits(&long), "{}", String::from_utf8_lossy(payload));
}

#[test]
fn canonical_ticks_take_the_fast_path() {
    let now = Timestamp::from_nanos(NOW).unwrap();
    for text in [
        r#"{"symbol":"AAPL","price":187.2,"timestamp":1732000000}"#,
        r#"{"symbol": "AAPL", "price": 187.2, "timestamp": 1732000000.1234567}"#,
        r#"{"symbol":"SPY","price":168,"timestamp":1732000000123,"size":100,"seq":7,"source":"p-1"}"#,
        r#"{"symbol":"CL","price":-37.63,"timestamp":1732000000123456789,"seq":18446744073709551}"#,
    ] {
        let short = super::super::fast_path::read(text.as_bytes(), now).map(|tick| tick.to_tick());
        assert_eq!(short, Some(good(text)), "{text}");
    }
}

#[test]
fn arrays_take_the_fast_path_while_they_are_canonical() {
    let now = Timestamp::from_nanos(NOW).unwrap();
    let taken = |text: &str| {
        let mut count = 0;
        let outcome = super::super::fast_path::read_array(text.as_bytes(), now, |_| count += 1);
        assert_same(text.as_bytes());
        (count, outcome)
    };
    let a = r#"{"symbol":"A","price":1,"timestamp":1}"#;
    let b = r#"{"symbol": "A", "price": 1, "timestamp": 1}"#;
    assert_eq!(taken(&format!("[{a},{a},{a}]")), (3, Ok(())));
    assert_eq!(taken(&format!("[{b}, {b}]")), (2, Ok(())));
    assert_eq!(taken(&format!("[{a},{b},{a}]")), (1, Err(1)));
    assert_eq!(taken(&format!("[{a},{a},]")), (2, Err(2)));
    assert_eq!(taken(&format!("[{a},{a}")), (2, Err(2)));
    assert_eq!(taken(&format!("[{a},{a}] ")), (2, Err(2)));
    assert_eq!(taken(&format!("[{a},{a}]]")), (2, Err(2)));
    assert_eq!(taken(&format!("[{a}{a}]")), (1, Err(1)));
    assert_eq!(taken("[]"), (0, Err(0)));
    assert_eq!(taken(&format!("[{a},{{\"symbol\":\"\u{e9}\",\"price\":1,\"timestamp\":1}}]")), (0, Err(0)));
}

/// Inserts, removes and replaces bytes anywhere.
fn mutated(text: Vec<u8>, edits: &[(u8, prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = text;
    for (kind, place, byte) in edits {
        let at = place.index(bytes.len() + 1);
        match kind % 4 {
            0 if at < bytes.len() => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 if at < bytes.len() => _ = bytes.remove(at),
            3 => bytes.truncate(at),
            _ => {}
        }
    }
    bytes
}

/// Bytes that are significant to the parser, and any others.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![4 => prop::sample::select(&b"\"\\{}[]:,. -+0159eE\n\0\x7f\x80\xc3\xa9"[..]), 1 => any::<u8>()]
}

fn edits() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, u8)>> {
    prop::collection::vec((any::<u8>(), any::<prop::sample::Index>(), byte()), 0..4)
}

/// A tick as our own producer or Python's `json.dumps` writes it.
fn written() -> impl Strategy<Value = String> {
    let format = prop::sample::select(
        &[
            TimestampFormat::Seconds,
            TimestampFormat::Millis,
            TimestampFormat::Micros,
            TimestampFormat::Nanos,
            TimestampFormat::Rfc3339,
        ][..],
    );
    let cents = proptest::option::of(0u64..10_000_000_000);
    (any_tick(), format, cents, any::<bool>()).prop_map(|(mut tick, format, cents, spaced)| {
        if let Some(cents) = cents {
            tick.price = Price::new(cents as f64 / 100.0).unwrap();
        }
        let mut payload = Vec::new();
        write_tick(&mut payload, &tick, format);
        let text = String::from_utf8(payload).unwrap();
        if spaced { text.replace("\":", "\": ").replace(",\"", ", \"") } else { text }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn the_fast_path_and_the_general_path_agree(text in nearly_canonical()) {
        assert_same(text.as_bytes());
    }

    #[test]
    fn they_agree_on_real_messages_with_mistakes(text in written(), edits in edits()) {
        assert_same(&mutated(text.into_bytes(), &edits));
    }

    #[test]
    fn they_agree_on_arrays(
        parts in prop::collection::vec(prop_oneof![4 => written(), 1 => nearly_canonical()], 0..5),
        gap in prop::sample::select(&[",", ", ", " ,", ",,", ""][..]),
        ends in prop::sample::select(&["]", "", "] ", "]]", ",]"][..]),
        edits in prop_oneof![2 => Just(Vec::new()), 1 => edits()],
    ) {
        assert_same(&mutated(format!("[{}{ends}", parts.join(gap)).into_bytes(), &edits));
    }

    #[test]
    fn they_agree_on_numbers_in_every_place(price in number(), time in number(), size in number(), seq in number()) {
        let start = format!(r#"{{"symbol":"A","price":{price},"timestamp":{time}"#);
        assert_same(format!(r#"{start},"size":{size},"seq":{seq},"source":"a"}}"#).as_bytes());
        assert_same(format!("{start}}}").as_bytes());
        assert_same(format!(r#"{{"symbol":"A","price":{price},"timestamp":1,"size":{size}}}"#).as_bytes());
        assert_same(format!(r#"{{"symbol":"A","price":1,"timestamp":{time}}}"#).as_bytes());
        assert_same(format!(r#"{{"symbol":"A","price":1,"timestamp":1,"seq":{seq},"source":"a"}}"#).as_bytes());
    }

    #[test]
    fn they_agree_on_names(symbol in string(), source in string()) {
        let text = format!(r#"{{"symbol":"{symbol}","price":1,"timestamp":1,"source":"{source}"}}"#);
        assert_same(text.as_bytes());
    }
}
