//! All symbols of a feed: their series, counters and missing ranges.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::{Name, Symbol, Tick, TickView, Timestamp};

use super::{HistoryLimits, Placement, Series};
use crate::series::missing::{MissingRange, MissingRanges};
use crate::series::sequence_tracker::{SequenceCheck, SequenceTracker};

/// Default of the maximum number of symbols: enough for all stocks of one exchange, and a bound against feeds that
/// invent names.
pub const SYMBOLS_MAX_DEFAULT: usize = 4_096;

/// Number of sweeps for expired ticks of quiet symbols in the time of one maximum age: rare enough to cost nothing per
/// tick, and often enough that a quiet symbol keeps at most a thousandth too long.
const SWEEPS_PER_AGE: i64 = 1_024;

/// Configuration of a [`SeriesMap`].
#[derive(Debug, Clone)]
pub struct SeriesMapConfig {
    /// Symbols to keep, in order of their colours; empty to keep all, in order of arrival.
    pub symbols: Vec<Symbol>,
    /// Maximum number of symbols; ticks of further ones are counted and dropped. Listed symbols are always kept.
    pub symbols_max: usize,
    /// Limits of what is kept of each symbol.
    pub history: HistoryLimits,
}

impl Default for SeriesMapConfig {
    /// All symbols up to [`SYMBOLS_MAX_DEFAULT`], without limits of what is kept.
    fn default() -> Self {
        Self { symbols: Vec::new(), symbols_max: SYMBOLS_MAX_DEFAULT, history: HistoryLimits::default() }
    }
}

/// Number of a symbol in its [`SeriesMap`]: its position in the legend and its palette index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolId(u32);

impl SymbolId {
    /// Consecutive number, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Outcome of appending a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The tick is kept, as the newest of its symbol.
    InOrder,
    /// The tick is kept, before newer ones.
    Reordered,
    /// The tick was dropped, because it came too late.
    TooLate,
    /// A tick of the same producer with the same sequence number was received before.
    Duplicate,
    /// The symbol is not among the configured ones.
    Ignored,
    /// The symbol exceeds the maximum number of symbols.
    OverSymbolsMax,
}

impl From<Placement> for AppendOutcome {
    fn from(placed: Placement) -> Self {
        match placed {
            Placement::InOrder => Self::InOrder,
            Placement::Reordered => Self::Reordered,
            Placement::TooLate => Self::TooLate,
        }
    }
}

/// Numbers of ticks by outcome. At any time `received == kept + evicted + too_late + duplicates + ignored +
/// over_symbols_max + outliers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Valid ticks that were received.
    pub received: u64,
    /// Ticks that are kept now.
    pub kept: u64,
    /// Ticks that were kept and evicted later.
    pub evicted: u64,
    /// Ticks that came too late to be inserted.
    pub too_late: u64,
    /// Ticks that were received before.
    pub duplicates: u64,
    /// Ticks of symbols that are not configured.
    pub ignored: u64,
    /// Ticks of symbols beyond the maximum number.
    pub over_symbols_max: u64,
    /// Late ticks that were inserted before newer ones; part of `kept` and `evicted`.
    pub reordered: u64,
    /// Outliers, which are kept apart.
    pub outliers: u64,
    /// Ticks of any symbol that were never received, by the sequence numbers of their producers.
    pub lost: u64,
}

/// Direct-mapped cache of symbols of up to eight bytes, which avoids hashing their text. It is only a shortcut, so its
/// fixed hash cannot be exploited.
#[derive(Debug)]
struct SymbolCache([Option<(u64, SymbolId)>; Self::ENTRIES]);

impl SymbolCache {
    /// Number of entries, a power of two; 4 kB, a small part of the L1 cache.
    const ENTRIES: usize = 256;

    /// Multiplier of Fibonacci hashing, 2^64 divided by the golden ratio; distributes similar names (D. E. Knuth, "The
    /// Art of Computer Programming", vol. 3, section 6.4).
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

    fn index(word: u64) -> usize {
        (word.wrapping_mul(Self::SPREAD) >> (u64::BITS - Self::ENTRIES.trailing_zeros())) as usize
    }

    #[inline]
    fn get(&self, symbol: Name<'_>) -> Option<SymbolId> {
        let word = symbol.word()?;
        self.0[Self::index(word)].filter(|(known, _)| *known == word).map(|(_, id)| id)
    }

    fn insert(&mut self, symbol: Name<'_>, id: SymbolId) {
        if let Some(word) = symbol.word() {
            self.0[Self::index(word)] = Some((word, id));
        }
    }
}

impl Default for SymbolCache {
    fn default() -> Self {
        Self([None; Self::ENTRIES])
    }
}

#[derive(Debug)]
struct Entry {
    symbol: Symbol,
    series: Series,
    /// Outliers; `None` before the first one.
    outliers: Option<Box<Series>>,
}

/// Series of all symbols, with the state of the feed as a whole.
///
/// # Examples
///
/// ```
/// use tickscope::model::{Price, Symbol, Tick, Timestamp};
/// use tickscope::series::{AppendOutcome, HistoryLimits, SeriesMap, SeriesMapConfig};
///
/// let history = HistoryLimits { ticks_max: 1_000, age_ns_max: None };
/// let mut map = SeriesMap::new(SeriesMapConfig { symbols: Vec::new(), symbols_max: 16, history });
/// let (symbol, price) = (Symbol::new("AAPL").unwrap(), Price::new(187.2).unwrap());
/// let timestamp = Timestamp::from_nanos(1_732_000_000_000_000_000).unwrap();
/// let tick = Tick { symbol, price, timestamp, size: None, seq: None, source: None };
/// assert_eq!(map.append(&tick, timestamp), AppendOutcome::InOrder);
/// let id = map.id("AAPL").unwrap();
/// assert_eq!(map.get(id.index()).unwrap().1.len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct SeriesMap {
    config: SeriesMapConfig,
    ids: HashMap<Box<[u8]>, SymbolId, RandomState>,
    symbol_cache: SymbolCache,
    entries: Vec<Entry>,
    sequences: SequenceTracker,
    missing: MissingRanges,
    /// Without those that the series count.
    counters: Counters,
    revision: u64,
    newest_ns: Option<i64>,
    /// Newest event time at the last sweep for expired ticks, ns.
    swept_ns: Option<i64>,
    last_arrival: Option<Timestamp>,
    /// Set if other consumers receive the rest of the producers' ticks.
    is_partial_feed: bool,
    /// Set while ticks are restored from a store and live ticks arrive.
    is_restoring: bool,
    /// Set if no store has older ticks of symbols that are new from now on.
    new_symbols_complete: bool,
}

impl SeriesMap {
    /// An empty map. Symbols that `config` lists get their ids at once.
    pub fn new(config: SeriesMapConfig) -> Self {
        let symbols = config.symbols.clone();
        let mut map = Self { config, ..Self::default() };
        for symbol in symbols {
            if !map.ids.contains_key(symbol.as_str().as_bytes()) {
                map.intern(symbol);
            }
        }
        map
    }

    /// Adapts the map to a member of a consumer group, which shares the producers' ticks with other members: sequence
    /// numbers that are not received count as delivered to another member, not as lost.
    #[must_use]
    pub fn for_consumer_group(self) -> Self {
        Self { is_partial_feed: true, ..self }
    }

    /// Appends a tick that arrived at `arrival`, and ends an open outage.
    pub fn append(&mut self, tick: &Tick, arrival: Timestamp) -> AppendOutcome {
        let appended = self.append_view(&tick.view(), arrival);
        self.finish_batch();
        appended
    }

    /// Appends a tick from a store, as [`append_view`](Self::append_view) does. Ticks in between may have been left
    /// out, so skipped sequence numbers do not count as lost; later ticks are compared with its number all the same.
    /// Does not change the time of the last arrival.
    pub fn append_restored(&mut self, tick: &TickView<'_>, is_outlier: bool) -> AppendOutcome {
        let (arrival, last_arrival) = (tick.timestamp, self.last_arrival);
        let received = self.series_mut(tick.symbol).map_or(0, Series::begin_restored);
        let is_partial_feed = std::mem::replace(&mut self.is_partial_feed, true);
        self.is_restoring = false;
        let restored = if is_outlier { self.append_outlier(tick, arrival) } else { self.append_view(tick, arrival) };
        (self.is_partial_feed, self.is_restoring) = (is_partial_feed, true);
        self.last_arrival = last_arrival;
        if let Some(series) = self.series_mut(tick.symbol) {
            series.end_restored(received, tick.timestamp.as_nanos());
        }
        restored
    }

    /// Ends restoring from a store. `has_all` returns true for symbols of which no older ticks exist elsewhere. `later`
    /// is true if that also holds for symbols that appear from now on; memory is complete for these until it evicts
    /// ticks.
    pub fn finish_restore(&mut self, has_all: impl Fn(&str) -> bool, later: bool) {
        (self.is_restoring, self.new_symbols_complete) = (false, later);
        for entry in &mut self.entries {
            entry.series.finish_restore(has_all(entry.symbol.as_str()));
        }
        self.revision += 1;
    }

    fn series_mut(&mut self, symbol: Name<'_>) -> Option<&mut Series> {
        let id = *self.ids.get(symbol.as_bytes())?;
        self.entries.get_mut(id.index()).map(|entry| &mut entry.series)
    }

    /// Appends a tick that arrived at `arrival` as part of a batch, and ends an open outage. After the last tick of the
    /// batch, call [`finish_batch`](Self::finish_batch).
    #[inline]
    pub fn append_view(&mut self, tick: &TickView<'_>, arrival: Timestamp) -> AppendOutcome {
        let time_ns = tick.timestamp.as_nanos();
        let id = match self.receive(tick, arrival) {
            Ok(id) => id,
            Err(refused) => return refused,
        };
        let series = &mut self.entries[id.index()].series;
        if self.is_restoring {
            series.note_live(time_ns);
        }
        let placed = series.push(tick.timestamp, tick.price, tick.size);
        if placed != Placement::TooLate {
            self.revision += 1;
            self.newest_ns = self.newest_ns.max(Some(time_ns));
        }
        placed.into()
    }

    /// As [`append_view`](Self::append_view), for an outlier. It is kept apart from the symbol's series, so that it
    /// affects no line, bar or figure.
    pub fn append_outlier(&mut self, tick: &TickView<'_>, arrival: Timestamp) -> AppendOutcome {
        let id = match self.receive(tick, arrival) {
            Ok(id) => id,
            Err(refused) => return refused,
        };
        let history = self.config.history;
        let outliers = self.entries[id.index()].outliers.get_or_insert_with(|| Box::new(Series::new(history)));
        let placed = outliers.push(tick.timestamp, tick.price, tick.size);
        self.revision += 1;
        self.newest_ns = self.newest_ns.max(Some(tick.timestamp.as_nanos()));
        placed.into()
    }

    /// Does the part of appending that is common to ticks and outliers. Returns the reason if the tick is not kept.
    #[inline]
    fn receive(&mut self, tick: &TickView<'_>, arrival: Timestamp) -> Result<SymbolId, AppendOutcome> {
        self.counters.received += 1;
        self.last_arrival = self.last_arrival.max(Some(arrival));
        let time_ns = tick.timestamp.as_nanos();
        let is_duplicate = self.check_sequence(tick, time_ns);
        if self.missing.close(time_ns) {
            self.revision += 1;
        }
        if is_duplicate {
            self.counters.duplicates += 1;
            return Err(AppendOutcome::Duplicate);
        }
        self.find_or_admit(tick.symbol)
    }

    /// Records the tick's sequence number and returns whether the tick is a duplicate. Only ticks with both a source
    /// and a number count, because without a source the numbers of two producers cannot be told apart.
    #[inline]
    fn check_sequence(&mut self, tick: &TickView<'_>, time_ns: i64) -> bool {
        let (Some(source), Some(seq)) = (tick.source, tick.seq) else { return false };
        if self.sequences.is_next(source, seq, time_ns) {
            return false;
        }
        let start_ns = self.newest_ns.unwrap_or(time_ns);
        // In a partial feed, a late tick must not reduce a loss that was never counted.
        let range = (!self.is_partial_feed).then(|| self.missing.number_for(start_ns));
        match self.sequences.observe(source, seq, time_ns, range) {
            SequenceCheck::Duplicate => return true,
            SequenceCheck::New { lost } if lost > 0 && !self.is_partial_feed => {
                self.add_missing(lost, start_ns, time_ns);
            }
            SequenceCheck::Late { range: Some(range) } => {
                self.missing.recover(range);
                self.counters.lost = self.counters.lost.saturating_sub(1);
                self.revision += 1;
            }
            SequenceCheck::New { .. } | SequenceCheck::Late { range: None } => {}
        }
        false
    }

    #[inline]
    fn find_or_admit(&mut self, symbol: Name<'_>) -> Result<SymbolId, AppendOutcome> {
        if let Some(id) = self.symbol_cache.get(symbol) {
            return Ok(id);
        }
        let known = self.ids.get(symbol.as_bytes()).copied();
        let id = known.map_or_else(|| self.admit(symbol), Ok)?;
        self.symbol_cache.insert(symbol, id);
        Ok(id)
    }

    /// Adds a new symbol, if it is configured and within the limit.
    fn admit(&mut self, symbol: Name<'_>) -> Result<SymbolId, AppendOutcome> {
        if !self.config.symbols.is_empty() {
            self.counters.ignored += 1;
            return Err(AppendOutcome::Ignored);
        }
        if self.entries.len() >= self.config.symbols_max {
            self.counters.over_symbols_max += 1;
            return Err(AppendOutcome::OverSymbolsMax);
        }
        Ok(self.intern(symbol.into()))
    }

    fn intern(&mut self, symbol: Symbol) -> SymbolId {
        let id = SymbolId(self.entries.len() as u32);
        self.ids.insert(symbol.as_str().as_bytes().into(), id);
        let mut series = Series::new(self.config.history);
        if self.new_symbols_complete {
            series.finish_restore(true);
        }
        self.entries.push(Entry { symbol, series, outliers: None });
        id
    }

    /// Ends a batch: expires ticks of quiet symbols, which may be kept at most a thousandth of the maximum age too
    /// long.
    pub fn finish_batch(&mut self) {
        let (Some(age_ns_max), Some(newest_ns)) = (self.config.history.age_ns_max, self.newest_ns) else { return };
        if self.swept_ns.is_some_and(|swept_ns| newest_ns <= swept_ns.saturating_add(age_ns_max / SWEEPS_PER_AGE)) {
            return;
        }
        self.swept_ns = Some(newest_ns);
        for entry in &mut self.entries {
            entry.series.expire(newest_ns);
            if let Some(outliers) = &mut entry.outliers {
                outliers.expire(newest_ns);
            }
        }
    }

    /// Notes that ticks after `start_ns` (event time, normally the newest one) may be missing until the next tick
    /// arrives. Does nothing during an outage.
    pub fn begin_outage(&mut self, start_ns: i64) {
        if self.missing.open(start_ns) {
            self.revision += 1;
        }
    }

    /// Records that everything published during outages has been or will be received: only ticks missing from the
    /// sequence numbers stay missing.
    pub fn recover_outages(&mut self) {
        if self.missing.recover_outages() {
            self.revision += 1;
        }
    }

    /// Records that `lost` ticks are missing between two event times, in ns; during an outage, they belong to it.
    pub fn add_missing(&mut self, lost: u64, start_ns: i64, end_ns: i64) {
        self.missing.add(lost, start_ns, end_ns);
        self.counters.lost = self.counters.lost.saturating_add(lost);
        self.revision += 1;
    }

    /// Missing ranges, the oldest one first.
    pub fn missing_ranges(&self) -> impl DoubleEndedIterator<Item = &MissingRange> {
        self.missing.iter()
    }

    /// Returns whether an outage has not ended yet.
    pub fn is_outage_open(&self) -> bool {
        self.missing.is_open()
    }

    /// Sorted instants at which lines break, in ns: just after the last tick before each missing range, and at the
    /// first tick after it.
    pub fn line_breaks(&self) -> Vec<i64> {
        let mut breaks: Vec<i64> = Vec::new();
        for gap in self.missing_ranges() {
            let start_ns = gap.start_ns.saturating_add(1);
            breaks.push(start_ns);
            breaks.extend(gap.end_ns.map(|end_ns| end_ns.max(start_ns)));
        }
        breaks.sort_unstable();
        breaks.dedup();
        breaks
    }

    /// All symbols with their series, in order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (SymbolId, &Symbol, &Series)> {
        let numbered = self.entries.iter().enumerate();
        numbered.map(|(index, entry)| (SymbolId(index as u32), &entry.symbol, &entry.series))
    }

    /// Number of symbols.
    pub fn symbol_count(&self) -> usize {
        self.entries.len()
    }

    /// Id of a symbol; `None` if the map does not have it.
    pub fn id(&self, symbol: &str) -> Option<SymbolId> {
        self.ids.get(symbol.as_bytes()).copied()
    }

    /// Symbol and series with that index; `None` beyond the last one.
    pub fn get(&self, index: usize) -> Option<(&Symbol, &Series)> {
        self.entries.get(index).map(|entry| (&entry.symbol, &entry.series))
    }

    /// Outliers of the symbol with that index; `None` if it has none.
    pub fn outliers(&self, index: usize) -> Option<&Series> {
        self.entries.get(index)?.outliers.as_deref()
    }

    /// Numbers of ticks by outcome. Takes time in proportion to the number of symbols.
    pub fn counters(&self) -> Counters {
        let sum = |count: fn(&Series) -> u64| self.entries.iter().map(|entry| count(&entry.series)).sum();
        Counters {
            kept: sum(|series| series.len() as u64),
            evicted: sum(Series::evicted),
            too_late: sum(Series::too_late),
            reordered: sum(Series::reordered),
            outliers: self.entries.iter().filter_map(|entry| entry.outliers.as_deref()).map(Series::received).sum(),
            ..self.counters
        }
    }

    /// Revision of everything that can be drawn; grows with every change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Newest event time of all symbols, ns since the Unix epoch.
    pub fn newest_ns(&self) -> Option<i64> {
        self.newest_ns
    }

    /// Time of the last arrival, whatever its outcome.
    pub fn last_arrival(&self) -> Option<Timestamp> {
        self.last_arrival
    }

    /// Bytes of memory in use by the series. Visits all chunks, so it is meant for statistics and not for every frame.
    pub fn bytes(&self) -> usize {
        let outliers = |entry: &Entry| entry.outliers.as_ref().map_or(0, |outliers| outliers.bytes());
        self.entries.iter().map(|entry| entry.series.bytes() + outliers(entry)).sum()
    }
}
