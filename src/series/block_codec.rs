//! Lossless codec of closed chunks, at two or three bytes per tick.
//!
//! Each block of [`BLOCK_TICKS`] is encoded on its own, so that reading one instant decodes one block. A
//! general-purpose codec compresses better by a third, but decodes thousands of ticks at a time, which an exact chart
//! would need at the edge of every pixel column. Times are differences in the coarsest unit that fits, prices are
//! integers above the lowest price of the block (frame of reference), and sizes are integers in which round lots are
//! short. All are packed to as few bits as they need; see [`patched`].

mod bits;
mod decimal;
mod patched;

use super::columns::{BLOCK_TICKS, CHUNK_TICKS, Columns, Extremes};
use patched::Plan;

/// Units in which times may be integers, ns: feeds use seconds, milliseconds, microseconds or nanoseconds.
const TIME_UNITS_NS: [i64; 4] = [1_000_000_000, 1_000_000, 1_000, 1];

/// Number of decimals that marks values stored as the bits of their `f64`.
const RAW: u8 = u8::MAX;

/// Number of decimals that marks a block without sizes.
const NONE: u8 = u8::MAX - 1;

/// Shares in a round lot; most stock trades are one or a few lots.
const ROUND_LOT: u64 = 100;

/// Flag beside the decimals of sizes that are stored in round lots.
const IN_LOTS: u8 = 1 << 6;

/// Summary of a block that is readable without decoding, and the encoding of its bits.
#[derive(Debug, Clone, Copy)]
struct Head {
    first_ns: i64,
    min: f64,
    max: f64,
    /// Offset of the block in the chunk's bytes.
    at: u32,
    min_at: u8,
    max_at: u8,
    layout: Layout,
}

/// Packed ticks of a chunk.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    heads: Box<[Head]>,
    bytes: Box<[u8]>,
    len: u16,
}

/// Decoded ticks of a block.
#[derive(Debug, Clone)]
pub(super) struct DecodedBlock {
    pub(super) len: usize,
    pub(super) times: [i64; BLOCK_TICKS],
    /// Prices times `scale`, which preserves their order.
    pub(super) scaled: [f64; BLOCK_TICKS],
    pub(super) scale: f64,
    /// Buffer for the integers between bits and values.
    scratch: [u64; BLOCK_TICKS],
}

impl Default for DecodedBlock {
    fn default() -> Self {
        let (times, scaled, scratch) = ([0; BLOCK_TICKS], [0.0; BLOCK_TICKS], [0; BLOCK_TICKS]);
        Self { len: 0, times, scaled, scale: 1.0, scratch }
    }
}

/// Encoding of a block.
#[derive(Debug, Clone, Copy)]
struct Layout {
    time_unit: u8,
    times: Plan,
    price_decimals: u8,
    price_width: u8,
    size_decimals: u8,
    sizes: Plan,
}

impl Layout {
    fn unit_ns(self) -> i64 {
        TIME_UNITS_NS[usize::from(self.time_unit) % TIME_UNITS_NS.len()]
    }

    fn prices_at(self, len: usize) -> usize {
        self.times.bytes(len.saturating_sub(1))
    }

    fn sizes_at(self, len: usize) -> usize {
        let base = if self.price_decimals == RAW { 8 } else { 0 };
        self.prices_at(len) + base + bits::bytes(len, self.price_width.into())
    }
}

impl Packed {
    /// Packs ticks, of which there is at least one.
    pub(super) fn pack(columns: &Columns) -> Self {
        let mut bytes = Vec::new();
        let blocks = columns.blocks().iter().enumerate();
        let heads = blocks.map(|(block, extremes)| pack_block(columns, block, extremes, &mut bytes)).collect();
        bytes.resize(bytes.len() + bits::SLACK_BYTES, 0);
        Self { heads, bytes: bytes.into_boxed_slice(), len: columns.len() as u16 }
    }

    pub(super) fn len(&self) -> usize {
        self.len.into()
    }

    /// Bytes of heap memory.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.heads)
    }

    /// The last block whose first tick is before `time_ns`; the first block if there is none.
    pub(super) fn block_before(&self, time_ns: i64) -> usize {
        self.heads.partition_point(|head| head.first_ns < time_ns).saturating_sub(1)
    }

    /// Lowest and highest price of a block.
    pub(super) fn extremes(&self, block: usize) -> Extremes {
        let Head { min, max, min_at, max_at, .. } = self.heads[block];
        let offset = (block * BLOCK_TICKS) as u16;
        Extremes { min, max, min_at: offset + u16::from(min_at), max_at: offset + u16::from(max_at) }
    }

    /// Time of a tick, ns.
    pub(super) fn time(&self, at: usize) -> i64 {
        let (head, bytes, len) = self.block(at / BLOCK_TICKS);
        let mut times = [0; BLOCK_TICKS];
        let times = &mut times[..at % BLOCK_TICKS];
        head.layout.times.read(bytes, len - 1, times);
        let steps = times.iter().fold(0_u64, |sum, step| sum.wrapping_add(*step));
        head.first_ns.wrapping_add(head.layout.unit_ns().wrapping_mul(steps as i64))
    }

    /// Price of a tick.
    pub(super) fn price(&self, at: usize) -> f64 {
        let (head, bytes, len) = self.block(at / BLOCK_TICKS);
        let (bytes, prices) = Prices::new(head, bytes, len);
        prices.scaled(bits::get(bytes, at % BLOCK_TICKS, head.layout.price_width.into())) / prices.scale
    }

    /// Decodes the times of a block, and its length.
    pub(super) fn unpack_times(&self, block: usize, out: &mut DecodedBlock) {
        let (head, bytes, len) = self.block(block);
        out.len = len;
        let steps = &mut out.scratch[..len - 1];
        head.layout.times.read(bytes, len - 1, steps);
        let (mut time_ns, unit_ns) = (head.first_ns, head.layout.unit_ns());
        out.times[0] = time_ns;
        for (time, &mut step) in out.times[1..].iter_mut().zip(steps) {
            time_ns = time_ns.wrapping_add(unit_ns.wrapping_mul(step as i64));
            *time = time_ns;
        }
    }

    /// Decodes the prices of a block.
    pub(super) fn unpack_prices(&self, block: usize, out: &mut DecodedBlock) {
        let (head, bytes, len) = self.block(block);
        let (bytes, prices) = Prices::new(head, bytes, len);
        let numbers = &mut out.scratch[..len];
        bits::unpack(bytes, head.layout.price_width.into(), numbers);
        out.scale = prices.scale;
        let each = out.scaled.iter_mut().zip(numbers);
        if prices.is_raw {
            each.for_each(|(price, number)| *price = prices.scaled(*number));
        } else {
            // A loop without the case of raw bits vectorises.
            each.for_each(|(price, number)| *price = (prices.base as i64).wrapping_add(*number as i64) as f64);
        }
    }

    /// Decodes the sizes of a block, NaN for none. Returns the length of the block.
    pub(super) fn unpack_sizes(&self, block: usize, out: &mut [f64; BLOCK_TICKS]) -> usize {
        let (Head { layout, .. }, bytes, len) = self.block(block);
        if layout.size_decimals == NONE {
            out[..len].fill(f64::NAN);
            return len;
        }
        let bytes = bytes.get(layout.sizes_at(len)..).unwrap_or_default();
        let mut numbers = [0; BLOCK_TICKS];
        layout.sizes.read(bytes, len, &mut numbers[..len]);
        for (size, &number) in out[..len].iter_mut().zip(&numbers[..len]) {
            *size = size_of_number(number, layout.size_decimals);
        }
        len
    }

    /// Decodes all ticks.
    pub(super) fn unpack(&self) -> Columns {
        let mut columns = Columns::with_capacity(CHUNK_TICKS);
        let (mut decoded, mut sizes) = (DecodedBlock::default(), [f64::NAN; BLOCK_TICKS]);
        for block in 0..self.len().div_ceil(BLOCK_TICKS) {
            self.unpack_times(block, &mut decoded);
            self.unpack_prices(block, &mut decoded);
            self.unpack_sizes(block, &mut sizes);
            for (at, &size) in sizes[..decoded.len].iter().enumerate() {
                columns.push(decoded.times[at], decoded.scaled[at] / decoded.scale, size);
            }
        }
        columns
    }

    /// Head, bits and length of a block.
    fn block(&self, block: usize) -> (&Head, &[u8], usize) {
        let head = &self.heads[block];
        let bytes = self.bytes.get(head.at as usize..).unwrap_or_default();
        (head, bytes, (self.len() - block * BLOCK_TICKS).min(BLOCK_TICKS))
    }
}

/// Conversion of a block's integers to prices.
struct Prices {
    is_raw: bool,
    base: u64,
    scale: f64,
}

impl Prices {
    /// Returns the bytes of the integers and the conversion.
    fn new<'a>(Head { min, layout, .. }: &Head, bytes: &'a [u8], len: usize) -> (&'a [u8], Self) {
        let bytes = bytes.get(layout.prices_at(len)..).unwrap_or_default();
        if layout.price_decimals == RAW {
            let base = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            return (bytes.get(8..).unwrap_or_default(), Self { is_raw: true, base, scale: 1.0 });
        }
        let base = decimal::whole(*min, layout.price_decimals) as u64;
        (bytes, Self { is_raw: false, base, scale: decimal::power(layout.price_decimals) })
    }

    /// Price times the scale.
    fn scaled(&self, number: u64) -> f64 {
        let sum = self.base.wrapping_add(number);
        if self.is_raw { decimal::from_ordered(sum) } else { sum as i64 as f64 }
    }
}

fn pack_block(columns: &Columns, block: usize, extremes: &Extremes, out: &mut Vec<u8>) -> Head {
    let (times, prices, sizes) = columns.block(block);
    let (time_unit, steps) = time_numbers(times);
    let (price_decimals, base, heights) = price_numbers(prices, extremes.min);
    let (size_decimals, amounts, size_plan) = size_numbers(sizes);
    let price_width = bits::width_of(heights.iter().copied().max().unwrap_or(0));
    let layout = Layout {
        time_unit,
        times: Plan::for_values(&steps),
        price_decimals,
        price_width: price_width as u8,
        size_decimals,
        sizes: size_plan,
    };
    let head = Head {
        first_ns: times[0],
        min: extremes.min,
        max: extremes.max,
        at: out.len() as u32,
        min_at: (usize::from(extremes.min_at) % BLOCK_TICKS) as u8,
        max_at: (usize::from(extremes.max_at) % BLOCK_TICKS) as u8,
        layout,
    };
    layout.times.write(&steps, out);
    if price_decimals == RAW {
        out.extend_from_slice(&base.to_le_bytes());
    }
    let mut writer = bits::Writer::new(out);
    for &height in &heights {
        writer.put(height, price_width);
    }
    writer.finish();
    layout.sizes.write(&amounts, out);
    head
}

/// Differences of neighbouring times in the coarsest unit that divides all of them.
fn time_numbers(times: &[i64]) -> (u8, Vec<u64>) {
    const SECOND: i64 = TIME_UNITS_NS[0];
    const MILLI: i64 = TIME_UNITS_NS[1];
    const MICRO: i64 = TIME_UNITS_NS[2];
    const NANO: i64 = TIME_UNITS_NS[3];
    // Division by constants costs a tenth of a general division.
    let in_units = [in_unit::<SECOND>, in_unit::<MILLI>, in_unit::<MICRO>, in_unit::<NANO>];
    let found = (0..).zip(in_units).find_map(|(unit, in_unit)| Some((unit, in_unit(times)?)));
    // The default is never used, because every difference is a whole number of nanoseconds.
    found.unwrap_or_default()
}

/// Differences in a unit; `None` if one is not a multiple of it.
fn in_unit<const UNIT_NS: i64>(times: &[i64]) -> Option<Vec<u64>> {
    let mut numbers = Vec::with_capacity(times.len());
    for pair in times.windows(2) {
        let step = (pair[1] - pair[0]).unsigned_abs();
        if step % UNIT_NS.unsigned_abs() != 0 {
            return None;
        }
        numbers.push(step / UNIT_NS.unsigned_abs());
    }
    Some(numbers)
}

/// Number of decimals, integer of the lowest price, and the differences of all prices to it.
fn price_numbers(prices: &[f64], min: f64) -> (u8, u64, Vec<u64>) {
    if let Some(decimals) = decimal::decimals_of(prices.iter().copied()) {
        let base = decimal::whole(min, decimals);
        let heights = prices.iter().map(|&price| decimal::whole(price, decimals).wrapping_sub(base) as u64);
        return (decimals, base as u64, heights.collect());
    }
    let base = prices.iter().map(|&price| decimal::to_ordered(price)).min().unwrap_or(0);
    (RAW, base, prices.iter().map(|&price| decimal::to_ordered(price) - base).collect())
}

/// Number of decimals, an integer for each size (0 for none, others from 1), and the packing of the integers.
fn size_numbers(sizes: &[f64]) -> (u8, Vec<u64>, Plan) {
    let known = || sizes.iter().copied().filter(|size| !size.is_nan());
    if known().next().is_none() {
        return (NONE, Vec::new(), Plan::default());
    }
    let Some(decimals) = decimal::decimals_of(known()).filter(|_| known().all(|size| size >= 0.0)) else {
        let bits: Vec<u64> = sizes.iter().map(|size| size.to_bits()).collect();
        let plan = Plan::for_values(&bits);
        return (RAW, bits, plan);
    };
    let plain = |&size: &f64| if size.is_nan() { 0 } else { decimal::whole(size, decimals) as u64 + 1 };
    let plain: Vec<u64> = sizes.iter().map(plain).collect();
    let in_lots = |&number: &u64| match number.checked_sub(1) {
        None => 0,
        Some(size) if size % ROUND_LOT == 0 => size / ROUND_LOT * 2 + 1,
        Some(size) => size * 2 + 2,
    };
    let in_lots: Vec<u64> = plain.iter().map(in_lots).collect();
    let (plain_plan, lots_plan) = (Plan::for_values(&plain), Plan::for_values(&in_lots));
    if lots_plan.bytes(in_lots.len()) < plain_plan.bytes(plain.len()) {
        (decimals | IN_LOTS, in_lots, lots_plan)
    } else {
        (decimals, plain, plain_plan)
    }
}

/// Inverse of [`size_numbers`] for one size.
fn size_of_number(number: u64, decimals: u8) -> f64 {
    if decimals == RAW {
        return f64::from_bits(number);
    }
    if number == 0 {
        return f64::NAN;
    }
    let whole = match (decimals & IN_LOTS != 0, number % 2) {
        (false, _) => number - 1,
        (true, 1) => number / 2 * ROUND_LOT,
        (true, _) => number / 2 - 1,
    };
    whole as f64 / decimal::power(decimals & !IN_LOTS)
}

#[cfg(test)]
mod tests;
