//! The short way through a message and the long one give the same verdicts and the same bits.
//!
//! The short way takes no message that begins with a space, while to JSON it means nothing: with one put before it,
//! the same message goes the long way.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tickscope::model::{Decoder, NS_PER_S, Reject, Tick, Timestamp};

/// The reader's clock: late enough that today's timestamps are good ones.
const NOW_S: i64 = 1_800_000_000;

/// A tick with its numbers to the bit, where `==` takes -0 for 0.
type Bits = (Tick, u64, Option<u64>);

fn decode(decoder: &Decoder, payload: &[u8]) -> Vec<Result<Bits, Reject>> {
    let mut all = Vec::new();
    decoder.decode(payload, Timestamp::saturating_from_nanos(NOW_S * NS_PER_S), |result| {
        all.push(result.map(|tick| {
            let (price, size) = (tick.price.get().to_bits(), tick.size.map(f64::to_bits));
            (tick, price, size)
        }));
    });
    all
}

fuzz_target!(|payload: &[u8]| {
    let decoder = Decoder::default();
    let spaced = [b" ", payload].concat();
    assert_eq!(decode(&decoder, payload), decode(&decoder, &spaced));
});
