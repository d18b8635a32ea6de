//! The fast path and the general path of the decoder give the same verdicts and the same bits.
//!
//! The fast path rejects messages with leading white space, which JSON ignores, so a message with a space in front
//! takes the general path.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tickscope::model::{Decoder, NS_PER_S, Origin, Reject, Tick, Timestamp};

/// The reader's clock, in seconds; late enough to accept today's timestamps.
const NOW_S: i64 = 1_800_000_000;

/// Tick with its numbers to the bit, because -0.0 equals 0.0.
type Bits = (Tick, u64, Option<u64>);

fn decode(payload: &[u8]) -> Vec<Result<Bits, Reject>> {
    let mut all = Vec::new();
    let origin = Origin::at(Timestamp::saturating_from_nanos(NOW_S * NS_PER_S));
    Decoder::default().decode(payload, origin, |result| {
        all.push(result.map(|tick| {
            let (price, size) = (tick.price.get().to_bits(), tick.size.map(f64::to_bits));
            (tick, price, size)
        }));
    });
    all
}

fuzz_target!(|payload: &[u8]| {
    let spaced = [b" ", payload].concat();
    assert_eq!(decode(payload), decode(&spaced));
});
