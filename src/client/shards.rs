//! Distribution of ticks over a cluster: by symbol, into a fixed number of shards. Each shard has a channel and a
//! stream in one hash slot.
//!
//! The shard, not the symbol, names channel and stream, so that a reader of all symbols knows every name. Producer and
//! consumer must use the same number of shards.

use crate::client::redirect::crc16;

/// Default number of shards: several for each master of a typical cluster, and few enough that a reader has a
/// connection for each.
pub const SHARDS: u16 = 16;

/// Most shards: a server copes with as many connections, and clusters with more masters are rare.
pub const SHARDS_MAX: u16 = 256;

/// Returns the shard of a symbol, from 0: CRC-16 (XMODEM) of its bytes, modulo the number of shards.
pub fn shard_of(symbol: &[u8], shards: u16) -> u16 {
    crc16(symbol) % shards.max(1)
}

/// Returns the name of a channel or stream in a shard, such as `stock_ticks:{7}`. The braces put both into one slot.
pub fn shard_name(name: &str, shard: u16) -> String {
    format!("{name}:{{{shard}}}")
}

#[cfg(test)]
mod tests {
    use crate::client::redirect::hash_slot;
    use crate::client::shards::*;

    #[test]
    fn channel_and_stream_of_a_shard_share_a_slot_and_shards_are_spread() {
        let slots: Vec<u16> = (0..SHARDS).map(|shard| hash_slot(shard_name("stock_ticks", shard).as_bytes())).collect();
        for (shard, slot_of_stream) in slots.iter().enumerate() {
            assert_eq!(hash_slot(shard_name("stock_prices", shard as u16).as_bytes()), *slot_of_stream);
        }
        // Each master of a small cluster gets some of the shards.
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
