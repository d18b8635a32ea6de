use proptest::prelude::*;

use super::super::SeriesTick;
use super::super::chunk::Chunk;
use crate::series::block_codec::*;

/// Prices, sizes and times as feeds send them, and some that no feed sends.
fn ticks() -> impl Strategy<Value = Vec<SeriesTick>> {
    let step = prop_oneof![
        6 => 0_i64..5,
        3 => (0_i64..2_000).prop_map(|ms| ms * 1_000_000),
        1 => 0_i64..1 << 55,
    ];
    let price = prop_oneof![
        6 => (16_000_i64..17_000).prop_map(|cents| cents as f64 / 100.0),
        1 => (-50_i64..50).prop_map(|tenths| tenths as f64 / 1e4),
        1 => Just(-0.0),
        1 => any::<f64>().prop_filter("finite", |price| price.is_finite()),
    ];
    let size = prop_oneof![
        4 => (1_u32..50).prop_map(|lots| Some(f64::from(lots) * 100.0)),
        2 => (0_u32..5_000).prop_map(|shares| Some(f64::from(shares))),
        1 => (0_u32..1_000_000).prop_map(|parts| Some(f64::from(parts) / 1e5)),
        1 => Just(None),
        1 => any::<f64>().prop_filter("a size", |size| size.is_finite() && *size >= 0.0).prop_map(Some),
    ];
    // Some feeds use all of these, most only the first.
    let (mixed, plain) = ((step, price, size), (0_i64..900, 1_380_000_i64..1_390_000, 1_u32..9));
    prop_oneof![
        prop::collection::vec(mixed, 1..CHUNK_TICKS),
        prop::collection::vec(plain, 1..CHUNK_TICKS).prop_map(|ticks| {
            let plain = |(ms, price, lots)| (ms * 1_000_000, price as f64 / 1e4, Some(f64::from(lots) * 100.0));
            ticks.into_iter().map(plain).collect()
        }),
    ]
    .prop_map(|ticks: Vec<(i64, f64, Option<f64>)>| {
        let mut time_ns = 1_381_152_600_000_000_000_i64;
        let tick = |(step, price, size): (i64, f64, Option<f64>)| {
            time_ns = time_ns.saturating_add(step);
            SeriesTick { time_ns, price, size }
        };
        ticks.into_iter().map(tick).collect()
    })
}

fn chunk(ticks: &[SeriesTick]) -> Chunk {
    let mut chunk = Chunk::new(Box::default());
    for tick in ticks {
        chunk.push(tick.time_ns, tick.price, tick.size.unwrap_or(f64::NAN));
    }
    chunk
}

fn bits(tick: &SeriesTick) -> (i64, u64, Option<u64>) {
    (tick.time_ns, tick.price.to_bits(), tick.size.map(f64::to_bits))
}

proptest! {
    #[test]
    fn every_tick_comes_back_to_the_bit(ticks in ticks(), places in prop::collection::vec(any::<u16>(), 8)) {
        let open = chunk(&ticks);
        let mut packed = open.clone();
        prop_assert!(packed.pack().is_some_and(|columns| columns.len() == 0));
        prop_assert!(packed.pack().is_none());
        prop_assert_eq!(packed.len(), ticks.len());
        prop_assert!(packed.ticks(0..ticks.len()).map(|tick| bits(&tick)).eq(ticks.iter().map(bits)));
        for place in places {
            let at = usize::from(place) % ticks.len();
            prop_assert_eq!(packed.time(at), ticks[at].time_ns);
            prop_assert_eq!(packed.price(at).to_bits(), ticks[at].price.to_bits());
            let range = at / 2..at + 1;
            prop_assert!(packed.ticks(range.clone()).map(|t| bits(&t)).eq(ticks[range.clone()].iter().map(bits)));
            prop_assert_eq!(packed.volume(range.clone()), open.volume(range));
            let time_ns = ticks[at].time_ns + i64::from(place % 2);
            prop_assert_eq!(packed.block_before(time_ns), open.block_before(time_ns));
        }
        for block in 0..ticks.len().div_ceil(BLOCK_TICKS) {
            prop_assert_eq!(packed.extremes(block), open.extremes(block));
        }
        // A chunk that is opened again for a late tick is unchanged.
        let mut opened = packed;
        opened.insert(0, ticks[0].time_ns, 5.0, f64::NAN);
        let mut expected = open;
        expected.insert(0, ticks[0].time_ns, 5.0, f64::NAN);
        let all = 0..ticks.len() + 1;
        prop_assert!(opened.ticks(all.clone()).map(|t| bits(&t)).eq(expected.ticks(all).map(|t| bits(&t))));
        prop_assert_eq!(opened.whole(), expected.whole());
    }
}

#[test]
fn damaged_bytes_are_read_without_a_panic() {
    let ticks: Vec<SeriesTick> = (0..300)
        .map(|i| SeriesTick { time_ns: i * 997, price: 100.0 + (i % 7) as f64 / 100.0, size: Some((i % 3) as f64) })
        .collect();
    let mut chunk = chunk(&ticks);
    chunk.pack();
    let columns = {
        let mut columns = Columns::with_capacity(300);
        for tick in &ticks {
            columns.push(tick.time_ns, tick.price, tick.size.unwrap_or(f64::NAN));
        }
        columns
    };
    let packed = Packed::pack(&columns);
    let mut out = DecodedBlock::default();
    let layout = |damaged: &mut Packed, field: usize| {
        let layout = &mut damaged.heads[field % 3].layout;
        let (price, size) = (&mut layout.price_decimals, &mut layout.size_decimals);
        *[&mut layout.time_unit, price, &mut layout.price_width, size].into_iter().nth(field / 3).unwrap() ^= 0x15;
    };
    let plan = Plan::for_values(&[0x15, 1 << 40, u64::MAX]);
    for at in 0..packed.bytes.len() + 12 + 3 {
        let mut damaged = packed.clone();
        match at.checked_sub(packed.bytes.len()) {
            None => damaged.bytes[at] ^= 0x15,
            Some(field @ 0..12) => layout(&mut damaged, field),
            Some(block) => {
                let layout = &mut damaged.heads[block - 12].layout;
                (layout.times, layout.sizes) = (plan, plan);
            }
        }
        for block in 0..3 {
            damaged.unpack_times(block, &mut out);
            damaged.unpack_prices(block, &mut out);
            damaged.unpack_sizes(block, &mut [0.0; BLOCK_TICKS]);
        }
        let _ = (damaged.time(299), damaged.price(299));
    }
}
