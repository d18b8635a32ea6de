//! A decoder that has learned a template and one that has not read a message alike.

use super::*;

fn results(decoder: &mut Decoder, payload: &[u8]) -> (Vec<Result<Tick, Reject>>, u64) {
    let now = Timestamp::from_nanos(NOW).unwrap();
    let origin = Origin { now, arrival: Some(now), channel: Some("trades.BTC") };
    let mut all = Vec::new();
    let others = decoder.decode(payload, origin, |result| all.push(result));
    (all, others)
}

/// Shapes with holes `P` for a price, `Q` for a size, `T` for a time in ms, `S` for a symbol, and `#` for anything.
const SHAPES: [&str; 8] = [
    r##"{"e":"trade","T":T,"s":"S","t":7,"p":"P","q":"Q","X":"#","m":false}"##,
    r##"{"stream":"S@trade","data":{"s":"S","p":P,"q":Q,"T":T,"m":true},"x":"#"}"##,
    r#"{"topic":"trade.S",
        "data":[{"price":"P","size":Q,"trade_t":"T","ts":"T"},{"price":"P","size":Q,"trade_t":"T","ts":"T"}]}"#,
    r##"[7,[["P","Q","T","s","#"],["P","Q","T","b","#"]],"trade","X/USD"]"##,
    r##"{"p":P,"ts":T,"note":"#"}"##,
    r##"{"ch":"market.S.trade.detail","tick":{"data":[{"ts":T,"amount":Q,"price":P,"direction":"#"}]}}"##,
    r##"{"symbol":"S","price":P,"time":"2023-11-14T22:13:20.Q5Z","extra":"#"}"##,
    r##"[{"symbol":"S","price":P,"timestamp":T,"note":"#"},{"symbol":"S","price":P,"timestamp":T,"note":"#"}]"##,
];

fn filled() -> impl Strategy<Value = String> {
    let price =
        prop_oneof![4 => "[1-9][0-9]{0,5}([.][0-9]{1,8})?", 1 => "-?(0|[1-9][0-9]{0,2})([.][0-9]{1,2})?(e-?[0-9])?"];
    let size = prop_oneof![4 => "[1-9][0-9]{0,3}", 1 => "-?[0-9]{1,3}([.][0-9]{1,3})?"];
    let time = prop_oneof![8 => "1[67][0-9]{11}", 1 => "[0-9]{1,20}"];
    // Recognition takes names of sides and of topics for no symbols, whatever came before.
    let symbol = prop_oneof![4 => "X[A-Z]{1,6}", 1 => "X[A-Z0-9-]{1,9}"];
    let any = prop_oneof![6 => "[a-z]{0,9}", 1 => "[é中]{1,3}", 1 => "[\\\\\"n]{1,2}"];
    (0..SHAPES.len(), price, size, time, symbol, any).prop_map(|(shape, price, size, time, symbol, any)| {
        let mut text = String::new();
        // A sign tells the columns of rows without keys apart.
        let price = if SHAPES[shape].starts_with('[') { price.trim_start_matches('-').to_owned() } else { price };
        for c in SHAPES[shape].chars() {
            match c {
                'P' => text.push_str(&price),
                'Q' => text.push_str(&size),
                'T' if !text.ends_with('"') || text.ends_with(":\"") || text.ends_with(",\"") => {
                    let is_key = text.ends_with("{\"") || (text.ends_with(",\"") && SHAPES[shape].contains("\"T\":"));
                    text.push_str(if is_key { "T" } else { &time });
                }
                'S' => text.push_str(&symbol),
                '#' => text.push_str(&any),
                c => text.push(c),
            }
        }
        text
    })
}

proptest! {
    #[test]
    fn learned_templates_change_nothing(messages in proptest::collection::vec(filled(), 1..12), cut in 0.0..1.0f64) {
        let mut learned = Decoder::default();
        for (at, message) in messages.iter().enumerate() {
            let mut fresh = Decoder::default();
            let expected = results(&mut fresh, message.as_bytes());
            prop_assert_eq!(results(&mut learned, message.as_bytes()), expected, "{}", message);
            if at == 3 {
                let cut = &message.as_bytes()[..(message.len() as f64 * cut) as usize];
                prop_assert_eq!(results(&mut learned, cut), results(&mut Decoder::default(), cut));
            }
        }
    }
}

#[test]
fn the_second_message_of_a_kind_takes_the_template() {
    for shape in &SHAPES {
        let message = |price: &str| {
            shape
                .replace("\"T\":T", "\"t2\":T")
                .replace('T', "1700000000123")
                .replace("t2", "T")
                .replace('S', "AB")
                .replace('Q', "2")
                .replace('P', price)
        };
        let mut decoder = Decoder::default();
        let (first, second) = (results(&mut decoder, message("1.5").as_bytes()), message("2.5"));
        assert!(!first.0.is_empty() && first.0.iter().all(Result::is_ok), "{shape}: {first:?}");
        let origin = Origin { channel: Some("trades.BTC"), ..Origin::at(Timestamp::from_nanos(NOW).unwrap()) };
        let origin = Origin { arrival: Some(origin.now), ..origin };
        let mut prices = Vec::new();
        let taken = decoder.decode_by_template(&second, 0, origin, &mut |tick| prices.push(tick.unwrap().price.get()));
        assert_eq!((taken, prices), (Ok(()), vec![2.5; first.0.len()]), "{second}");
    }
}
