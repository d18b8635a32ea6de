//! How ticks are spread over a cluster: by symbol, into a fixed number of shards, each with a channel and a stream of
//! its own that lie in one slot.
//!
//! A shard and not the symbol names channel and stream, so that a reader who wants everything knows what there is. Both
//! sides must count the same number of shards.

use crate::client::redirect::crc16;

/// Shards unless told otherwise: several for each master of a usual cluster, and few enough that a reader of all of
/// them has a connection for each.
pub const SHARDS: u16 = 16;

/// Most shards: as many connections are still little for a server, and more masters than that are rare.
pub const SHARDS_MAX: u16 = 256;

/// The shard of a symbol, from 0: CRC-16 (XMODEM) of its bytes, modulo the number of shards.
pub fn shard_of(symbol: &[u8], shards: u16) -> u16 {
    crc16(symbol) % shards.max(1)
}

/// What a channel or stream is called in a shard: `stock_ticks:{7}`. The braces put both into one slot.
pub fn shard_name(name: &str, shard: u16) -> String {
    format!("{name}:{{{shard}}}")
}

#[cfg(test)]
mod tests {
    use crate::client::redirect::slot;
    use crate::client::shards::*;

    #[test]
    fn a_shards_channel_and_stream_lie_in_one_slot_and_shards_are_spread() {
        let slots: Vec<u16> = (0..SHARDS).map(|shard| slot(shard_name("stock_ticks", shard).as_bytes())).collect();
        for (shard, slot_of_stream) in slots.iter().enumerate() {
            assert_eq!(slot(shard_name("stock_prices", shard as u16).as_bytes()), *slot_of_stream);
        }
        // As many masters as a small cluster has share them about evenly.
        for masters in [3u16, 6] {
            let width = 16_384 / masters + 1;
            let mut counts = vec![0; usize::from(masters)];
            for slot in &slots {
                counts[usize::from(slot / width)] += 1;
            }
            assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        }
    }

    #[test]
    fn symbols_are_spread_over_the_shards() {
        let mut counts = vec![0u32; usize::from(SHARDS)];
        for n in 0..1_600 {
            counts[usize::from(shard_of(format!("SYM{n}").as_bytes(), SHARDS))] += 1;
        }
        assert!(counts.iter().all(|count| (50..200).contains(count)), "{counts:?}");
        assert_eq!(shard_of(b"123456789", SHARDS), 0x31c3 % 16);
    }
}
