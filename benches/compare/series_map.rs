//! Series maps full of ticks: a random walk as `producer` generates it, or the shipped trading day, repeated.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tickscope::model::{NS_PER_S, Symbol, Tick, Timestamp};
use tickscope::series::{HistoryLimits, SeriesMap, SeriesMapConfig};
use tickscope::sources::{Format, Generator, Model, Replay, TickFilter};

/// Maximum number of ticks per batch, as in the consumer.
const BATCH_TICKS: usize = 4_096;

/// Symbols of the walk. A walk with fewer symbols uses the first ones.
const SYMBOLS: [&str; 4] = ["AAPL", "GOOG", "MSFT", "SPY"];

/// Start of the walk, a round instant in 2024.
const START_NS: i64 = 1_720_000_000 * NS_PER_S;

/// Maximum distance between two ticks of the walk; the average is half of it.
const STEP_NS_MAX: i64 = 200_000;

const DAY_FILE: &str = "data/us-trades-2013-10-07.csv.gz";

/// Time from the last tick of the day to the first of its repetition: short, so that every view has ticks.
const DAYS_APART_NS: i64 = 1_000_000;

/// Source of the ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// Four random walks in cents, at irregular nanoseconds
    Walk,
    /// A real trading day of four stocks, repeated
    Day,
}

impl Source {
    /// Name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Walk => "walk",
            Self::Day => "day",
        }
    }
}

/// Endless generator of ticks.
pub(crate) enum Ticks {
    Walk(Box<Walk>),
    Day(Day),
}

/// Random walks that trade at random times.
pub(crate) struct Walk {
    market: Generator,
    chance: ChaCha8Rng,
    now_ns: i64,
}

/// The shipped day, repeated.
pub(crate) struct Day {
    ticks: Vec<Tick>,
    next: usize,
    shift_ns: i64,
}

impl Ticks {
    /// Creates a generator of `symbols` symbols; the day has its own four.
    pub(crate) fn new(source: Source, symbols: usize) -> anyhow::Result<Self> {
        if source == Source::Day {
            return Ok(Self::Day(Day { ticks: day()?, next: 0, shift_ns: 0 }));
        }
        let symbols: Vec<Symbol> = SYMBOLS.iter().take(symbols).filter_map(|name| Symbol::new(name)).collect();
        let market = Generator::new(Model::Walk, &symbols, 1, Duration::from_millis(1)).context("no symbol")?;
        Ok(Self::Walk(Box::new(Walk { market, chance: ChaCha8Rng::seed_from_u64(2), now_ns: START_NS })))
    }

    /// Returns the next tick, delayed by `skip_ns`.
    pub(crate) fn next_after(&mut self, skip_ns: i64) -> Tick {
        match self {
            Self::Walk(walk) => walk.next_after(skip_ns),
            Self::Day(day) => day.next_after(skip_ns),
        }
    }
}

impl Walk {
    fn next_after(&mut self, skip_ns: i64) -> Tick {
        self.now_ns += skip_ns + self.chance.random_range(0..STEP_NS_MAX);
        self.market.tick(Timestamp::saturating_from_nanos(self.now_ns))
    }
}

impl Day {
    fn next_after(&mut self, skip_ns: i64) -> Tick {
        self.shift_ns += skip_ns;
        let tick = &self.ticks[self.next];
        let timestamp = Timestamp::saturating_from_nanos(tick.timestamp.as_nanos() + self.shift_ns);
        let tick = Tick { timestamp, ..tick.clone() };
        self.next += 1;
        if self.next == self.ticks.len() {
            let len_ns = self.ticks[self.next - 1].timestamp.as_nanos() - self.ticks[0].timestamp.as_nanos();
            (self.next, self.shift_ns) = (0, self.shift_ns + len_ns + DAYS_APART_NS);
        }
        tick
    }
}

/// Ticks of the shipped day, in order.
fn day() -> anyhow::Result<Vec<Tick>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DAY_FILE);
    let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut recording = Replay::open(Box::new(file), Format::Detect, TickFilter::default())?;
    let mut ticks = Vec::new();
    while recording.read_line(Timestamp::now(), &mut ticks, |_, _| {})? {}
    recording.check_played()?;
    Ok(ticks)
}

/// Creates an empty map with room for `ticks` ticks of every symbol.
pub(crate) fn empty(ticks: usize) -> SeriesMap {
    let history = HistoryLimits { ticks_max: ticks.max(1), age_ns_max: None };
    SeriesMap::new(SeriesMapConfig { symbols: Vec::new(), symbols_max: SYMBOLS.len(), history })
}

/// Appends `count` ticks in batches.
pub(crate) fn fill(series: &mut SeriesMap, ticks: &mut Ticks, count: usize) {
    let mut batch = Vec::with_capacity(BATCH_TICKS);
    let mut left = count;
    while left > 0 {
        batch.clear();
        batch.extend((0..left.min(BATCH_TICKS)).map(|_| ticks.next_after(0)));
        left -= batch.len();
        let arrival = Timestamp::now();
        for tick in &batch {
            series.append_view(&tick.view(), arrival);
        }
        series.finish_batch();
    }
}
