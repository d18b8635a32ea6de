//! Messages in the shapes that exchanges and vendors publish, read without a map. The values are made up.

use super::*;

/// Symbol, price, size and time in ns of a tick.
type Read = (String, f64, Option<f64>, i64);

const T0: i64 = 1_700_000_000_123_000_000;

fn origin(channel: Option<&str>) -> Origin<'_> {
    Origin { now: Timestamp::from_nanos(NOW).unwrap(), arrival: Timestamp::from_nanos(NOW - 5), channel }
}

/// Symbols, prices, sizes and times of the ticks in `messages`, and the number of elements of other kinds. There must
/// be no rejection.
fn read_all(channel: Option<&str>, messages: &[&str]) -> (Vec<Read>, u64) {
    let mut decoder = Decoder::default();
    let (mut ticks, mut others) = (Vec::new(), 0);
    for message in messages {
        others += decoder.decode(message.as_bytes(), origin(channel), |tick| {
            let tick = tick.unwrap_or_else(|cause| panic!("{message}: {cause}"));
            ticks.push((tick.symbol.as_str().to_owned(), tick.price.get(), tick.size, tick.timestamp.as_nanos()));
        });
    }
    (ticks, others)
}

/// Reads one message with one tick, and returns the map that was reported.
fn check(message: &str, tick: (&str, f64, Option<f64>, i64), map: &str) {
    let (ticks, others) = read_all(None, &[message]);
    let (symbol, price, size, time_ns) = tick;
    assert_eq!((ticks, others), (vec![(symbol.to_owned(), price, size, time_ns)], 0), "{message}");
    let mut decoder = Decoder::default();
    decoder.decode(message.as_bytes(), origin(None), |_| {});
    assert_eq!(decoder.take_report().as_deref(), Some(format!("reading as: {map}").as_str()), "{message}");
    // The reported map can be given in turn.
    let mut given = Decoder::new(FieldMap::parse(map).unwrap_or_else(|error| panic!("{map}: {error}")));
    let mut prices = Vec::new();
    given.decode(message.as_bytes(), origin(None), |tick| prices.push(tick.unwrap().price.get()));
    assert_eq!(prices, [price], "{map}");
}

#[test]
fn flat_objects_are_read() {
    let t = "1700000000123";
    check(
        &format!(r#"{{"s":"BTC","p":"0.5","q":"2","T":{t}}}"#),
        ("BTC", 0.5, Some(2.0), T0),
        "symbol=s,price=p,timestamp=T,size=q",
    );
    check(
        r#"{"instrument":"EUR/USD","px":1.07,"sz":5,"ts":"2023-11-14T22:13:20.123Z"}"#,
        ("EUR/USD", 1.07, Some(5.0), T0),
        "symbol=instrument,price=px,timestamp=ts,size=sz",
    );
    check(
        &format!(
            r#"{{"type":"trade","code":"KRW-X","trade_time":"22:13:20","trade_timestamp":{t},"trade_price":3,
               "trade_volume":4,"prev_closing_price":9,"ask_bid":"BID"}}"#
        ),
        ("KRW-X", 3.0, Some(4.0), T0),
        "symbol=code,price=trade_price,timestamp=trade_timestamp,size=trade_volume",
    );
    check(
        r#"{"exchange":"X","symbol":"A-B","side":"buy","amount":1.5,"price":2.5,"timestamp":1700000000.123,
           "receipt_timestamp":1700000009.5}"#,
        ("A-B", 2.5, Some(1.5), T0),
        "symbol=symbol,price=price,timestamp=timestamp,size=amount",
    );
    check(
        r#"{"ticker":"ZZ","last":7,"time":1700000000}"#,
        ("ZZ", 7.0, None, 1_700_000_000 * NS_PER_S),
        "symbol=ticker,price=last,timestamp=time",
    );
}

#[test]
fn nested_messages_are_read() {
    check(
        r#"{"T":"t","i":9,"S":"AA","x":"D","p":126.5,"s":3,"t":"2023-11-14T22:13:20.123Z","c":["@","I"],"z":"C"}"#,
        ("AA", 126.5, Some(3.0), T0),
        "symbol=S,price=p,timestamp=t,size=s",
    );
    check(
        r#"[{"ev":"T","sym":"MM","x":4,"i":"12","z":3,"p":114.5,"s":100,"c":[0,12],"t":1700000000123,"q":3681328}]"#,
        ("MM", 114.5, Some(100.0), T0),
        "symbol=[].sym,price=[].p,timestamp=[].t,size=[].s",
    );
    check(
        r#"{"params":{"channel":"trades.X-PERP.raw","data":[{"trade_seq":3,"timestamp":1700000000123,
           "price":8950.5,"mark_price":8948.9,"instrument_name":"X-PERP","index_price":8955.8,"direction":"sell",
           "amount":10}]},"method":"subscription","jsonrpc":"2.0"}"#,
        ("X-PERP", 8950.5, Some(10.0), T0),
        "symbol=params.data[].instrument_name,price=params.data[].price,timestamp=params.data[].timestamp,\
         size=params.data[].amount",
    );
    check(
        r#"{"params":{"channel":"lightning_executions_X_JPY","message":[{"id":1,"side":"BUY","price":67,
           "size":0.01,"exec_date":"2023-11-14T22:13:20.123Z"}]},"method":"channelMessage","jsonrpc":"2.0"}"#,
        ("X_JPY", 67.0, Some(0.01), T0),
        "symbol=params.channel:lightning_executions_*,price=params.message[].price,\
         timestamp=params.message[].exec_date,\
         size=params.message[].size",
    );
}

#[test]
fn symbols_and_times_around_the_trades_are_found() {
    check(
        r#"{"type":"channel_data","id":"X-USD","channel":"v3_trades","contents":{"trades":[{"size":"0.5",
           "side":"SELL","price":"34","createdAt":"2023-11-14T22:13:20.123Z"}]}}"#,
        ("X-USD", 34.0, Some(0.5), T0),
        "symbol=id,price=contents.trades[].price,timestamp=contents.trades[].createdAt,size=contents.trades[].size",
    );
    check(
        r#"{"Channel":"ticker-x-aud","Data":{"TradeGuid":"6f","Pair":"x-aud",
           "TradeDate":"2023-11-15T09:13:20.123+11:00",
           "Price":2.5,"Volume":3,"BidGuid":"a1-b","OfferGuid":"c2-d"},"Time":1700000000999,"Event":"Trade"}"#,
        ("x-aud", 2.5, Some(3.0), T0),
        "symbol=Data.Pair,price=Data.Price,timestamp=Data.TradeDate,size=Data.Volume",
    );
    check(
        r#"{"method":"subscribe","result":{"instrument_name":"X_USDT","channel":"trade",
           "data":[{"dataTime":1700000000125,
           "d":4655,"s":"BUY","p":2.96,"q":16.0,"t":1700000000123,"i":"X_USDT"}]}}"#,
        ("X_USDT", 2.96, Some(16.0), T0),
        "symbol=result.data[].i,price=result.data[].p,timestamp=result.data[].t,size=result.data[].q",
    );
    check(
        r#"{"time":1700000001,"channel":"spot.trades","event":"update","result":{"id":3,"create_time":1700000000,
           "create_time_ms":"1700000000123.0","side":"sell","currency_pair":"G_U","amount":"16",
           "price":"0.5"}}"#,
        ("G_U", 0.5, Some(16.0), T0),
        "symbol=result.currency_pair,price=result.price,timestamp=result.create_time_ms,size=result.amount",
    );
    check(
        r#"{"topic":"publicTrade.XUSDT","type":"snapshot","ts":1700000000999,"data":[{"T":1700000000123,
           "s":"XUSDT","S":"Buy","v":"0.001","p":"16.5","L":"PlusTick","i":"2b-7","BT":false}]}"#,
        ("XUSDT", 16.5, Some(0.001), T0),
        "symbol=data[].s,price=data[].p,timestamp=data[].T,size=data[].v",
    );
    check(
        r#"{"topic":"trade","params":{"symbol":"XUSDT","binary":"false"},"data":{"v":"5646","t":1700000000123,
           "p":"9.5","q":"0.4","m":true}}"#,
        ("XUSDT", 9.5, Some(0.4), T0),
        "symbol=params.symbol,price=data.p,timestamp=data.t,size=data.q",
    );
    check(
        r#"{"channel":"market_trades","timestamp":"2023-11-14T22:13:21Z","events":[{"type":"snapshot",
           "trades":[{"trade_id":"1","product_id":"X-USD","price":"12","size":"0.3","side":"BUY",
           "time":"2023-11-14T22:13:20.123Z"}]}]}"#,
        ("X-USD", 12.0, Some(0.3), T0),
        "symbol=events[].trades[].product_id,price=events[].trades[].price,timestamp=events[].trades[].time,\
         size=events[].trades[].size",
    );
    check(
        r#"{"trades":{"BTCUSD":[{"t":1700000000123,"p":"3","q":"4"}]}}"#,
        ("BTCUSD", 3.0, Some(4.0), T0),
        "symbol={key},price=trades.*[].p,timestamp=trades.*[].t,size=trades.*[].q",
    );
    check(
        r#"["trade",{"s":"X","p":5,"T":1700000000123}]"#,
        ("X", 5.0, None, T0),
        "symbol=[1].s,price=[1].p,timestamp=[1].T",
    );
}

#[test]
fn rows_without_keys_are_read() {
    check(
        r#"[9,[["354.11","0.9","1700000000.123","s","l",""]],"trade","X/USD"]"#,
        ("X/USD", 354.11, Some(0.9), T0),
        "symbol=[3],price=[1][][0],timestamp=[1][][2],size=[1][][1]",
    );
    check(
        r#"{"arg":{"channel":"trade","instId":"XU"},"data":[["1700000000123","0.5","27","sell"]]}"#,
        ("XU", 0.5, Some(27.0), T0),
        "symbol=arg.instId,price=data[][1],timestamp=data[][0],size=data[][2]",
    );
    check(
        r#"["T","116","1700000000","E_U","ask","120.50","2.25"]"#,
        ("E_U", 120.5, Some(2.25), 1_700_000_000 * NS_PER_S),
        "symbol=[3],price=[5],timestamp=[2],size=[6]",
    );
    check(
        r#"["AA",187.5,1700000000]"#,
        ("AA", 187.5, None, 1_700_000_000 * NS_PER_S),
        "symbol=[0],price=[1],timestamp=[2]",
    );
}

#[test]
fn symbols_announced_for_numbers_are_used() {
    let (ticks, others) = read_all(
        None,
        &[
            r#"{"event":"subscribed","channel":"trades","chanId":55,"symbol":"tXUSD","pair":"XUSD"}"#,
            "[55,[[900000003,1700000000123,-2.5,0.5],[900000002,1700000000100,1.5,0.51]],7]",
            r#"[55,"hb"]"#,
        ],
    );
    let size = |at: usize| (ticks[at].0.as_str(), ticks[at].1, ticks[at].2);
    assert_eq!((size(0), size(1)), (("tXUSD", 0.5, Some(2.5)), ("tXUSD", 0.51, Some(1.5))));
    assert_eq!((ticks.len(), others), (2, 2));
    // A row alone does not tell its size from its price; the rows before it do.
    let rows = ["[55,[[900000003,1700000000123,-2.5,0.5]],7]", r#"[55,"te",[900000004,1700000000123,3.5,0.5]]"#];
    let ack = r#"{"event":"subscribed","channel":"trades","chanId":55,"symbol":"tXUSD"}"#;
    let (ticks, _) = read_all(None, &[ack, rows[0], rows[1]]);
    assert_eq!((ticks[1].1, ticks[1].2), (0.5, Some(3.5)));
    let mut decoder = Decoder::default();
    decoder.decode(ack.as_bytes(), origin(None), |_| {});
    let mut all = Vec::new();
    decoder.decode(rows[1].as_bytes(), origin(None), |tick| all.push(tick));
    assert_eq!(all, [Err(Reject::Missing)]);
    let report = decoder.take_report();
    assert_eq!(report.as_deref(), Some("price may be [2][2] or [2][3]; choose one with --fields"));
    let (ticks, others) = read_all(
        None,
        &[
            r#"[288,1,[["i",{"currencyPair":"U_X","orderBook":[{"5.5":"1"},{}]}]]]"#,
            r#"[288,2,[["o",0,"5.5","0.0"],["t","1807237",1,"5.5","0.25",1700000000]]]"#,
        ],
    );
    assert_eq!(ticks, [("U_X".to_owned(), 5.5, Some(0.25), 1_700_000_000 * NS_PER_S)]);
    assert_eq!(others, 2);
}

#[test]
fn messages_of_other_kinds_are_counted_and_not_rejected() {
    let others = [
        r#"{"event":"heartbeat"}"#,
        r#"{"result":null,"id":1}"#,
        r#"{"ping":1700000000123}"#,
        r#"{"e":"depthUpdate","E":1,"s":"X","b":[["1","2"]],"a":[]}"#,
        r#"{"type":"ticker","product_id":"X","price":"1","open_24h":"2","high_24h":"3","time":"2023-11-14T22:13:20Z"}"#,
        r#"{"u":4,"s":"X","b":"1","B":"2","a":"3","A":"4"}"#,
        r#"{"ch":"candles/M1","update":{"XB":[{"t":1700000000123,"o":"1","c":"1","h":"1","l":"1","v":"2","q":"3"}]}}"#,
        r#"{"arg":{"channel":"candle1m","instId":"X"},"data":[["1700000000123","1","2","0.5","1.5","100"]]}"#,
        r#"{"type":"l2_updates","symbol":"X","changes":[["buy","1","2"]]}"#,
        r#"{"table":"orderBookL2","data":[{"symbol":"X","side":"Buy","size":3,"price":4}]}"#,
    ];
    for message in others {
        assert_eq!(read_all(None, &[message]), (vec![], 1), "{message}");
    }
}

#[test]
fn absent_fields_are_filled_in() {
    let arrival = NOW - 5;
    let channel = Some("trades.BTCUSDT");
    for (message, tick) in [
        ("64000.5", ("BTCUSDT", 64000.5, None, arrival)),
        ("\"3.25\"", ("BTCUSDT", 3.25, None, arrival)),
        (r#"{"price":1.5}"#, ("BTCUSDT", 1.5, None, arrival)),
        (r#"{"p":1.5,"ts":1700000000123}"#, ("BTCUSDT", 1.5, None, T0)),
        (r#"{"symbol":"A","price":2}"#, ("A", 2.0, None, arrival)),
        (r#"{"symbol":700,"price":2,"timestamp":1700000000}"#, ("700", 2.0, None, 1_700_000_000 * NS_PER_S)),
        (r#"{"AAPL":187.5}"#, ("AAPL", 187.5, None, arrival)),
    ] {
        let (ticks, others) = read_all(channel, &[message]);
        let (symbol, price, size, time_ns) = tick;
        assert_eq!((ticks, others), (vec![(symbol.to_owned(), price, size, time_ns)], 0), "{message}");
    }
    // A channel's name that consists of common words is no symbol.
    let mut decoder = Decoder::default();
    let mut all = Vec::new();
    decoder.decode(br#"{"price":1.5}"#, origin(Some("stock_prices")), |tick| all.push(tick));
    assert_eq!(all, [Err(Reject::Missing)]);
}

#[test]
fn one_bad_element_costs_itself_alone() {
    let mut decoder = Decoder::default();
    let mut all = Vec::new();
    let row = |price: &str| format!(r#"{{"s":"A","p":{price},"T":1700000000123}}"#);
    let rows: Vec<String> = ["1", "NaN", "2", "\"x\"", "3"].map(row).into();
    decoder.decode(format!("{{\"data\":[{}]}}", rows.join(",")).as_bytes(), origin(None), |tick| all.push(tick));
    let prices: Vec<_> = all.into_iter().map(|tick| tick.map(|tick| tick.price.get())).collect();
    assert_eq!(prices, [Ok(1.0), Err(Reject::NotFinite), Ok(2.0), Err(Reject::Price), Ok(3.0)]);
}

#[test]
fn a_guess_that_is_not_unique_is_not_made() {
    let mut decoder = Decoder::default();
    let mut all = Vec::new();
    let message = br#"{"symbol":"A","a":{"price":1},"c":{"price":2},"time":1700000000}"#;
    decoder.decode(message, origin(None), |tick| all.push(tick));
    assert_eq!(all, [Err(Reject::Missing)]);
    assert_eq!(decoder.take_report().as_deref(), Some("price may be a.price or c.price; choose one with --fields"));
}

#[test]
fn a_map_may_leave_fields_to_recognition() {
    let mut decoder = Decoder::new(FieldMap::parse("price=data.mid").unwrap());
    let mut all = Vec::new();
    decoder.decode(br#"{"sym":"A","data":{"p":1,"mid":2,"ts":1700000000}}"#, origin(None), |tick| all.push(tick));
    let tick = all.remove(0).unwrap();
    assert_eq!(
        (tick.symbol.as_str(), tick.price.get(), tick.timestamp.as_nanos()),
        ("A", 2.0, 1_700_000_000 * NS_PER_S)
    );
}

#[test]
fn rejections_are_explained() {
    let explained = |message: &str| {
        let mut text = String::new();
        Decoder::default().decode_borrowed(message.as_bytes(), origin(None), |tick| {
            text = tick.unwrap_err().to_string();
        });
        text
    };
    for (message, text) in [
        (r#"{"symbol":"A","price":"1,5","timestamp":1}"#, "bad_price: price is 1,5, not a decimal number"),
        (r#"{"symbol":"A","price":null,"timestamp":1}"#, "missing_field: no price"),
        (r#"{"price":1,"timestamp":1}"#, "missing_field: no symbol"),
        (
            r#"{"symbol":"A","price":1,"timestamp":"\u001b[2Jnoon"}"#,
            "bad_timestamp: timestamp is \\u001b[2Jnoon, not s, ms, us or ns since 1970 or an ISO 8601 time",
        ),
        (
            r#"{"symbol":"A","price":1,"timestamp":1,"size":-3}"#,
            "bad_size: size is -3, not a decimal number that is not negative",
        ),
        ("{", "not_json"),
    ] {
        assert_eq!(explained(message), text, "{message}");
    }
    let long = format!(r#"{{"symbol":"A","price":"{}","timestamp":1}}"#, "x".repeat(90));
    assert!(explained(&long).contains(&format!("{}...,", "x".repeat(40))));
}
