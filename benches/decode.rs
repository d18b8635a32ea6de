//! Cost of decoding a message in several forms (per tick for a message of a hundred).

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tickscope::model::{Decoder, FieldMap, NS_PER_S, Origin, Timestamp};

/// Number of distinct messages of each form, so that the branch predictor does not learn a single one.
const MESSAGES: usize = 1_024;

/// Receiver's clock, ns.
const NOW_NS: i64 = 1_800_000_000 * NS_PER_S;

/// Prices of a random walk in cents, from a small generator.
fn cents() -> impl Iterator<Item = u64> {
    let mut state = 88_172_645_463_325_252u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % 40_000
    })
}

fn messages(form: impl Fn(usize, u64) -> String) -> Vec<Vec<u8>> {
    cents().take(MESSAGES).enumerate().map(|(at, cents)| form(at, cents).into_bytes()).collect()
}

fn symbol(at: usize) -> &'static str {
    ["AAPL", "MSFT", "SPY", "GOOG.L"][at % 4]
}

/// Tick as the producer of this project writes it.
fn full(at: usize, cents: u64) -> String {
    let (symbol, price) = (symbol(at), cents as f64 / 100.0);
    let (nanos, size) = (at * 977_777 % 1_000_000_000, cents % 900 + 1);
    format!(
        "{{\"symbol\":\"{symbol}\",\"price\":{price},\"timestamp\":1732000000.{nanos:09},\"size\":{size},\"seq\":{},\
         \"source\":\"p-4f21a\"}}",
        at + 1_000_000
    )
}

/// Tick as Python's `json.dumps` writes it, with `int(time.time())`.
fn python(at: usize, cents: u64) -> String {
    let (symbol, price) = (symbol(at), cents as f64 / 100.0);
    format!("{{\"symbol\": \"{symbol}\", \"price\": {price}, \"timestamp\": {}}}", 1_732_000_000 + at)
}

/// Tick as an exchange writes it, for `--fields`.
fn mapped(at: usize, cents: u64) -> String {
    let (symbol, price) = (symbol(at), cents as f64 / 100.0);
    format!(
        "{{\"e\":\"trade\",\"s\":\"{symbol}\",\"data\":{{\"p\":\"{price}\",\"q\":\"100\",\"T\":1732000000{:03}}}}}",
        at % 1_000
    )
}

/// Flat message of an exchange, read without a map.
fn flat(at: usize, cents: u64) -> String {
    let (symbol, price) = (symbol(at), cents as f64 / 100.0);
    format!(
        "{{\"e\":\"trade\",\"E\":1732000000{0:03},\"T\":1732000000{0:03},\"s\":\"{symbol}\",\"t\":{at},\
         \"p\":\"{price}\",\
         \"q\":\"0.{0:03}\",\"X\":\"MARKET\",\"m\":false}}",
        at % 1_000
    )
}

/// Message with the trade in an object of its own, beside the name of the stream.
fn nested(at: usize, cents: u64) -> String {
    format!("{{\"stream\":\"{}@trade\",\"data\":{}}}", symbol(at), flat(at, cents))
}

/// Message with an array of trades.
fn array(at: usize, cents: u64) -> String {
    let (symbol, price) = (symbol(at), cents as f64 / 100.0);
    format!(
        "{{\"topic\":\"trade.{symbol}\",\"data\":[{{\"symbol\":\"{symbol}\",\"price\":\"{price}\",\"size\":{}.5,\
         \"timestamp\":\"2021-04-17T16:43:05.000Z\",\"trade_time_ms\":\"1732000000{:03}\",\"side\":\"Buy\"}}]}}",
        at % 90,
        at % 1_000
    )
}

/// Message of a row without keys.
fn columns(at: usize, cents: u64) -> String {
    let price = cents as f64 / 100.0 + 0.001;
    let (nanos, symbol) = (at % 1_000_000, symbol(at));
    format!("[993,[[\"{price}\",\"0.{at}\",\"1732000000.{nanos:06}\",\"s\",\"l\",\"\"]],\"trade\",\"{symbol}/USD\"]")
}

/// Invalid message that resembles a tick.
fn hostile(at: usize, cents: u64) -> String {
    let text = full(at, cents);
    match at % 4 {
        0 => text[..text.len() - 1].to_owned(),
        1 => text.replace("\"price\":", "\"price\":-1e999,\"x\":"),
        2 => text.replace("\"seq\"", "\"price\""),
        _ => text.replace("1732000000", "\\u0031732000000"),
    }
}

fn bench(criterion: &mut Criterion) {
    let hundred = |at: usize, _| {
        let ticks: Vec<String> = cents().take(100).enumerate().map(|(i, cents)| full(i + at, cents)).collect();
        format!("[{}]", ticks.join(","))
    };
    let fields = FieldMap::parse("symbol=s,price=data.p,timestamp=data.T,size=data.q");
    let mapped_decoder = Decoder::new(fields.expect("the map is well formed"));
    let mut group = criterion.benchmark_group("decode");
    for (name, decoder, all, ticks) in [
        ("full", None, messages(full), 1),
        ("python", None, messages(python), 1),
        ("array of 100", None, messages(hundred), 100),
        ("mapped", Some(mapped_decoder), messages(mapped), 1),
        ("hostile", None, messages(hostile), 1),
        ("recognised: flat", None, messages(flat), 1),
        ("recognised: nested", None, messages(nested), 1),
        ("recognised: array", None, messages(array), 1),
        ("recognised: columns", None, messages(columns), 1),
    ] {
        let mut decoder = decoder.unwrap_or_default();
        let origin = Origin::at(Timestamp::saturating_from_nanos(NOW_NS));
        group.throughput(Throughput::Elements(ticks * MESSAGES as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), &all, |bencher, all| {
            bencher.iter(|| {
                for payload in all {
                    decoder.decode_borrowed(black_box(payload), origin, |result| _ = black_box(result));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
