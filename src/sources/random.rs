//! Random markets. A seed determines the ticks of a symbol, whatever other symbols are generated.

use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::model::{Price, Symbol, Tick, Timestamp};

/// Volatility of the walk: 25 % per year, typical of a large US stock.
const VOLATILITY_PER_SQRT_YEAR: f64 = 0.25;

/// Trading year, in seconds: 252 days of six and a half hours.
const TRADING_YEAR_S: f64 = 252.0 * 6.5 * 3_600.0;

/// Maximum standard deviation of a step, relative to the price. For hourly or daily intervals, larger steps would
/// violate the linear form of the walk.
const STEP_DEVIATION_MAX: f64 = 0.02;

/// The walk stays within this factor of its start on both sides, so that even days at full speed give plausible prices.
const BAND_FACTOR: f64 = 10.0;

/// Half of the bid-ask spread, relative to the price; at least half a cent.
const HALF_SPREAD: f64 = 0.000_05;

/// Tail exponent of the trade sizes: P(size > x) falls as x^-1.5 (P. Gopikrishnan, V. Plerou, X. Gabaix, H. E. Stanley,
/// "Statistical properties of share volume traded in financial markets", Phys. Rev. E 62, 2000).
const SIZE_TAIL_EXPONENT: f64 = 1.5;

/// Uniform numbers above this give a single lot: 2^-[`SIZE_TAIL_EXPONENT`], rounded up by far more than the error of
/// `powf`. Saves the power for two trades of three.
const SINGLE_LOT_ABOVE: f64 = 0.353_554;

/// Shares in a round lot.
const LOT: f64 = 100.0;

/// Maximum number of lots in a trade, which truncates the heavy tail.
const LOTS_MAX: f64 = 1_000.0;

/// Start prices of well-known symbols; others start between 20 and 400, depending on their name.
const KNOWN_STARTS: [(&str, f64); 3] = [("AAPL", 190.0), ("GOOG", 165.0), ("MSFT", 420.0)];

/// Model of the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Each price is uniformly distributed from 90.00 to 110.00; without sizes.
    Uniform,
    /// Geometric random walk with a bid-ask bounce, and sizes in round lots.
    ///
    /// Before each tick the mid price moves: `mid *= 1 + sigma * sqrt(dt) * z`, with `z` standard normal, `dt` the time
    /// between two ticks of a symbol and `sigma` 25 % per trading year. This is the Euler step of geometric Brownian
    /// motion without drift (J. C. Hull, "Options, Futures, and Other Derivatives", chapter on Wiener processes). The
    /// trade is half a spread above or below, on the buyer's or the seller's side (R. Roll, "A Simple Implicit Measure
    /// of the Effective Bid-Ask Spread in an Efficient Market", J. Finance 39, 1984).
    Walk,
}

/// Generator of an endless sequence of ticks, of each symbol in turn.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tickscope::model::{Symbol, Timestamp};
/// use tickscope::sources::{Generator, Model};
///
/// let symbols = ["AAPL", "MSFT"].map(|name| Symbol::new(name).unwrap());
/// let mut generator = Generator::new(Model::Walk, &symbols, 7, Duration::from_secs(1)).unwrap();
/// let first = generator.tick(Timestamp::default());
/// assert_eq!((first.symbol.as_str(), first.price.get()), ("AAPL", 190.0));
/// assert_eq!(generator.tick(Timestamp::default()).symbol.as_str(), "MSFT");
/// ```
#[derive(Debug, Clone)]
pub struct Generator {
    markets: Vec<Market>,
    model: Model,
    /// Standard deviation of a step of the walk, relative to the price.
    step_deviation: f64,
    next: usize,
}

/// State of one symbol, with its own stream of random numbers.
#[derive(Debug, Clone)]
struct Market {
    symbol: Symbol,
    rng: ChaCha8Rng,
    mid: f64,
    start: f64,
}

impl Generator {
    /// Creates a generator of `symbols` in that order, with the time `step` between two ticks of a symbol. `None` if
    /// `symbols` is empty.
    pub fn new(model: Model, symbols: &[Symbol], seed: u64, step: Duration) -> Option<Self> {
        if symbols.is_empty() {
            return None;
        }
        let deviation = VOLATILITY_PER_SQRT_YEAR * (step.as_secs_f64() / TRADING_YEAR_S).sqrt();
        Some(Self {
            markets: symbols.iter().map(|symbol| Market::new(symbol.clone(), seed)).collect(),
            model,
            step_deviation: deviation.min(STEP_DEVIATION_MAX),
            next: 0,
        })
    }

    /// The next tick, of the next symbol, with the given timestamp and without `seq` and `source`.
    pub fn tick(&mut self, timestamp: Timestamp) -> Tick {
        let count = self.markets.len();
        let market = &mut self.markets[self.next];
        self.next = if self.next + 1 == count { 0 } else { self.next + 1 };
        let (price, size) = match self.model {
            Model::Uniform => (f64::from(market.rng.random_range(9_000..=11_000_u16)) / 100.0, None),
            Model::Walk => market.walk(self.step_deviation),
        };
        let price = Price::new(price).unwrap_or_else(|| unreachable!("both models stay within finite bounds"));
        Tick { symbol: market.symbol.clone(), price, timestamp, size, seq: None, source: None }
    }

    /// Number of symbols, and of ticks in a round.
    pub fn symbols(&self) -> usize {
        self.markets.len()
    }
}

impl Market {
    fn new(symbol: Symbol, seed: u64) -> Self {
        let name_hash = fnv1a(symbol.as_str().as_bytes());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Each symbol has its own stream, so that adding one does not change the others.
        rng.set_stream(name_hash);
        let known = KNOWN_STARTS.iter().find(|(name, _)| *name == symbol.as_str()).map(|&(_, start)| start);
        let start = known.unwrap_or_else(|| start_price(name_hash));
        Self { symbol, rng, mid: start, start }
    }

    /// Price in whole cents and size in whole lots of the next trade.
    fn walk(&mut self, step_deviation: f64) -> (f64, Option<f64>) {
        let z: f64 = self.rng.sample(StandardNormal);
        let (low, high) = (self.start / BAND_FACTOR, self.start * BAND_FACTOR);
        self.mid *= 1.0 + step_deviation * z;
        // A reflecting barrier keeps steps alike on both sides.
        if self.mid < low {
            self.mid = low * low / self.mid;
        } else if self.mid > high {
            self.mid = high * high / self.mid;
        }
        let bits = self.rng.next_u64();
        let half_spread = (self.mid * HALF_SPREAD).max(0.005);
        let traded = if bits & 1 == 0 { self.mid + half_spread } else { self.mid - half_spread };
        // In (0, 1]: never zero, so that the power below is finite.
        let uniform = ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        let lots = if uniform > SINGLE_LOT_ABOVE { 1.0 } else { lots(uniform) };
        ((traded * 100.0).round() / 100.0, Some(lots * LOT))
    }
}

/// Number of lots for a uniform number in (0, 1].
fn lots(uniform: f64) -> f64 {
    uniform.powf(-1.0 / SIZE_TAIL_EXPONENT).floor().min(LOTS_MAX)
}

/// Log-uniformly distributed from 20 to 400, as share prices are; fixed for a name.
fn start_price(name_hash: u64) -> f64 {
    let uniform = (name_hash >> 11) as f64 / (1_u64 << 53) as f64;
    (20.0 * 20_f64.powf(uniform) * 100.0).round() / 100.0
}

/// 64-bit FNV-1a hash (Fowler, Noll, Vo), followed by the mixer of `SplitMix64`, because the high bits of FNV are poor
/// for short names. Implemented here because the standard library's hashes may change between versions, and the ticks
/// of a seed must not.
fn fnv1a(bytes: &[u8]) -> u64 {
    let hash =
        bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use crate::sources::random::*;
    use proptest::prelude::*;

    fn symbols(names: &[&str]) -> Vec<Symbol> {
        names.iter().map(|name| Symbol::new(name).unwrap()).collect()
    }

    fn generator(model: Model, names: &[&str], seed: u64) -> Generator {
        Generator::new(model, &symbols(names), seed, Duration::from_secs(1)).unwrap()
    }

    fn draw(generator: &mut Generator, count: usize) -> Vec<Tick> {
        (0..count).map(|_| generator.tick(Timestamp::default())).collect()
    }

    #[test]
    fn ticks_stay_what_they_were_when_this_test_was_written() {
        let shown: Vec<String> = draw(&mut generator(Model::Walk, &["AAPL", "ZZZ"], 7), 6)
            .iter()
            .map(|tick| format!("{} {} {}", tick.symbol, tick.price.get(), tick.size.unwrap()))
            .collect();
        let expected = [
            "AAPL 190 100",
            "ZZZ 161.03 100",
            "AAPL 190.03 100",
            "ZZZ 161.02 100",
            "AAPL 190.05 100",
            "ZZZ 161.03 100",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn uniform_prices_fill_90_to_110_in_cents() {
        let ticks = draw(&mut generator(Model::Uniform, &["A"], 1), 20_000);
        let prices: Vec<f64> = ticks.iter().map(|tick| tick.price.get()).collect();
        assert!(prices.iter().all(|price| (90.0..=110.0).contains(price)));
        assert!(prices.iter().all(|price| ((price * 100.0).round() / 100.0 - price).abs() == 0.0));
        let mean = prices.iter().sum::<f64>() / prices.len() as f64;
        assert!((mean - 100.0).abs() < 0.2, "mean {mean}");
        assert!(prices.iter().any(|p| *p < 90.1) && prices.iter().any(|p| *p > 109.9));
        assert!(ticks.iter().all(|tick| tick.size.is_none()));
    }

    #[test]
    fn the_walk_has_the_volatility_it_claims() {
        // Over 30 s the bounce of a cent is small against the walk.
        let mut generator = generator(Model::Walk, &["MSFT"], 3);
        let prices: Vec<f64> = draw(&mut generator, 300_000).iter().map(|tick| tick.price.get()).collect();
        let every = 30;
        let returns: Vec<f64> = prices
            .iter()
            .step_by(every)
            .zip(prices.iter().skip(every).step_by(every))
            .map(|(a, b)| (b / a).ln())
            .collect();
        let mean = returns.iter().sum::<f64>() / returns.len() as f64;
        let variance = returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (returns.len() - 1) as f64;
        let per_year = (variance * TRADING_YEAR_S / every as f64).sqrt();
        assert!((0.23..0.27).contains(&per_year), "volatility {per_year} a year");
        let autocorrelation = returns.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / returns.len() as f64 / variance;
        assert!(autocorrelation.abs() < 0.05, "steps depend on each other: {autocorrelation}");
    }

    #[test]
    fn sizes_are_round_lots_with_a_heavy_tail() {
        let sizes: Vec<f64> =
            draw(&mut generator(Model::Walk, &["A"], 5), 100_000).iter().filter_map(|tick| tick.size).collect();
        assert_eq!(sizes.len(), 100_000);
        assert!(sizes.iter().all(|size| *size >= LOT && *size <= LOT * LOTS_MAX && size % LOT == 0.0));
        // P(lots >= 10) = 10^-1.5 = 3.2 %.
        let share = sizes.iter().filter(|size| **size >= 10.0 * LOT).count() as f64 / sizes.len() as f64;
        assert!((0.028..0.036).contains(&share), "{share} of the trades have ten lots or more");
    }

    #[test]
    fn the_short_way_to_a_single_lot_is_the_long_ways_answer() {
        assert_eq!((lots(SINGLE_LOT_ABOVE), lots(SINGLE_LOT_ABOVE - 1e-6)), (1.0, 2.0));
        assert!((354..=1_000).all(|thousandths| lots(f64::from(thousandths) / 1_000.0) == 1.0));
    }

    #[test]
    fn start_prices_are_spread_and_belong_to_the_name() {
        let names: Vec<String> = (0..500).map(|i| format!("S{i}")).collect();
        let starts: Vec<f64> = names.iter().map(|name| start_price(fnv1a(name.as_bytes()))).collect();
        assert!(starts.iter().all(|start| (20.0..=400.0).contains(start)));
        let below = starts.iter().filter(|start| **start < 89.4).count();
        assert!((200..300).contains(&below), "{below} of 500 below the middle");
        let first = |seed| draw(&mut generator(Model::Walk, &["S1"], seed), 1)[0].price.get();
        assert!((first(1) - first(2)).abs() < 1.0);
    }

    #[test]
    fn an_empty_list_has_no_market() {
        assert!(Generator::new(Model::Walk, &[], 1, Duration::from_secs(1)).is_none());
    }

    proptest! {
        #[test]
        fn a_symbol_walks_alike_in_any_company(
            seed: u64,
            others in proptest::collection::vec("[A-Z]{1,5}[0-9]", 0..6),
        ) {
            let alone: Vec<Tick> = draw(&mut generator(Model::Walk, &["AAPL"], seed), 20);
            let mut names: Vec<&str> = others.iter().map(String::as_str).collect();
            names.insert(names.len() / 2, "AAPL");
            let together = draw(&mut generator(Model::Walk, &names, seed), 20 * names.len());
            let same: Vec<Tick> = together.into_iter().filter(|tick| tick.symbol.as_str() == "AAPL").collect();
            prop_assert_eq!(alone, same);
        }

        #[test]
        fn prices_stay_plausible_at_any_step(seed: u64, step_s in 0.0f64..1e9) {
            let step = Duration::from_secs_f64(step_s);
            let mut generator = Generator::new(Model::Walk, &symbols(&["A", "ZZ"]), seed, step).unwrap();
            for tick in draw(&mut generator, 4_000) {
                prop_assert!(tick.price.get() > 1.0 && tick.price.get() < 4_001.0, "{}", tick.price.get());
            }
        }
    }
}
