//! All symbols: who they are, what came, what was kept, what is missing.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::{Name, Symbol, Tick, TickView, Timestamp};

use super::{HistoryLimits, Placement, Series};
use crate::series::missing::{MissingRange, MissingRanges};
use crate::series::sequence_tracker::{SequenceTracker, Verdict};

/// Symbols kept unless told otherwise: every listed stock of one exchange, and still bounded against a feed that makes
/// names up.
pub const SYMBOLS_MAX_DEFAULT: usize = 4_096;

/// How often all symbols are looked through for ticks that are too old, while the feed moves on by the age that is
/// kept: rarely enough to cost nothing a tick, often enough that what a quiet symbol keeps beyond its age is no matter.
const SWEEPS_PER_AGE: i64 = 1_024;

/// What a book keeps.
#[derive(Debug, Clone)]
pub struct SeriesMapConfig {
    /// The symbols to keep, in order of their colours; empty to keep all, in order of arrival.
    pub symbols: Vec<Symbol>,
    /// Most symbols; ticks of further ones are counted and dropped. Listed symbols are always kept.
    pub symbols_max: usize,
    /// How much is kept of each symbol.
    pub history: HistoryLimits,
}

/// A symbol's number in its book: its place in the legend and its colour slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolId(u32);

impl SymbolId {
    /// From 0, without holes.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What became of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendOutcome {
    /// It is kept, as the newest of its symbol.
    InOrder,
    /// It is kept, in its place among earlier ones.
    Reordered,
    /// It came too late to be placed.
    TooLate,
    /// The same tick (producer and running number) had come before.
    Duplicate,
    /// Its symbol is not among those asked for.
    Ignored,
    /// Its symbol is one too many.
    OverSymbolsMax,
}

/// Ticks, counted. At any time `received == kept + evicted + too_late + duplicates + ignored + over_symbols_max +
/// outliers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Well-formed ticks that came.
    pub received: u64,
    /// In the book now.
    pub kept: u64,
    /// In the book once; gave way to newer ones.
    pub evicted: u64,
    /// Came too late to be placed.
    pub too_late: u64,
    /// Came twice.
    pub duplicates: u64,
    /// Of symbols that nobody asked for.
    pub ignored: u64,
    /// Of symbols beyond the bound.
    pub over_symbols_max: u64,
    /// Came late and were put in their place; these are among `kept` and `evicted`.
    pub reordered: u64,
    /// Set apart from the others, and kept beside them.
    pub outliers: u64,
    /// Never came, by the running numbers of their producers, whatever their symbols.
    pub lost: u64,
}

/// Symbols that came lately, found without a hash of their text: each of up to eight bytes has one place, from which
/// the next one that belongs there drives it out. It only shortens the way, so its fixed hash gives nobody a hold.
#[derive(Debug)]
struct Recent([Option<(u64, SymbolId)>; Self::PLACES]);

impl Recent {
    /// A power of two; 4 kB, a small part of the fastest cache.
    const PLACES: usize = 256;

    /// Spreads similar texts over the places: 2^64 divided by the golden ratio.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

    fn place(word: u64) -> usize {
        (word.wrapping_mul(Self::SPREAD) >> (u64::BITS - Self::PLACES.trailing_zeros())) as usize
    }

    #[inline]
    fn find(&self, symbol: Name<'_>) -> Option<SymbolId> {
        let word = symbol.word()?;
        self.0[Self::place(word)].filter(|(known, _)| *known == word).map(|(_, id)| id)
    }

    fn note(&mut self, symbol: Name<'_>, id: SymbolId) {
        if let Some(word) = symbol.word() {
            self.0[Self::place(word)] = Some((word, id));
        }
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self([None; Self::PLACES])
    }
}

#[derive(Debug)]
struct Entry {
    symbol: Symbol,
    series: Series,
    /// Ticks that were set apart; `None` before the first.
    outliers: Option<Box<Series>>,
}

/// Every symbol's series, with what is known about the feed as a whole.
#[derive(Debug)]
pub struct SeriesMap {
    config: SeriesMapConfig,
    ids: HashMap<Box<[u8]>, SymbolId, RandomState>,
    recent: Recent,
    entries: Vec<Entry>,
    loss: SequenceTracker,
    gaps: MissingRanges,
    counters: Counters,
    revision: u64,
    newest_ns: Option<i64>,
    /// Newest event time when quiet symbols were last looked through.
    swept_ns: i64,
    last_arrival: Option<Timestamp>,
    /// Other readers take the rest of what the producers send.
    is_shared: bool,
    /// The past is being taken in while ticks come.
    is_restoring: bool,
    /// Of symbols that come for the first time, there is nothing older elsewhere.
    begins_whole: bool,
}

impl SeriesMap {
    /// An empty book. Symbols that `config` lists have their place from the start.
    pub fn new(config: SeriesMapConfig) -> Self {
        let symbols = config.symbols.clone();
        let mut book = Self {
            config,
            ids: HashMap::default(),
            recent: Recent::default(),
            entries: Vec::new(),
            loss: SequenceTracker::default(),
            gaps: MissingRanges::default(),
            counters: Counters::default(),
            revision: 0,
            newest_ns: None,
            swept_ns: i64::MIN,
            last_arrival: None,
            is_shared: false,
            is_restoring: false,
            begins_whole: false,
        };
        for symbol in symbols {
            if !book.ids.contains_key(symbol.as_str().as_bytes()) {
                book.intern(symbol);
            }
        }
        book
    }

    /// For one of several readers who share what the producers send: numbers that do not come went to another one and
    /// are no loss.
    #[must_use]
    pub fn for_consumer_group(self) -> Self {
        Self { is_shared: true, ..self }
    }

    /// Takes in a tick that came at `arrival`. An open gap ends here.
    pub fn append(&mut self, tick: &Tick, arrival: Timestamp) -> AppendOutcome {
        let appended = self.append_view(&tick.view(), arrival);
        self.finish_batch();
        appended
    }

    /// Takes in ticks that came together; how many of them are kept.
    pub fn append_batch<'a>(&mut self, ticks: impl IntoIterator<Item = &'a Tick>, arrival: Timestamp) -> usize {
        let kept = ticks.into_iter().filter(|tick| {
            matches!(self.append_view(&tick.view(), arrival), AppendOutcome::InOrder | AppendOutcome::Reordered)
        });
        let kept = kept.count();
        self.finish_batch();
        kept
    }

    /// Takes in a tick of the past, as [`append_view`](Self::append_view) does, of which others in between may be left
    /// out: what its number jumps over is no loss. Later ticks are held against its number all the same. It says
    /// nothing about when the feed last brought something.
    pub fn append_restored(&mut self, tick: &TickView<'_>, is_outlier: bool) -> AppendOutcome {
        let (arrival, last_arrival) = (tick.timestamp, self.last_arrival);
        let received = self.series_mut(tick.symbol).map_or(0, Series::begin_restored);
        let is_shared = std::mem::replace(&mut self.is_shared, true);
        self.is_restoring = false;
        let restored = if is_outlier { self.append_outlier(tick, arrival) } else { self.append_view(tick, arrival) };
        (self.is_shared, self.is_restoring) = (is_shared, true);
        self.last_arrival = last_arrival;
        if let Some(series) = self.series_mut(tick.symbol) {
            series.end_restored(received, tick.timestamp.as_nanos());
        }
        restored
    }

    /// The past is taken in. Of symbols for which `has_all` says so there is nothing older elsewhere, and, if `later`,
    /// neither of those that come from now on: of these, memory has everything until it gives something up.
    pub fn finish_restore(&mut self, has_all: impl Fn(&str) -> bool, later: bool) {
        (self.is_restoring, self.begins_whole) = (false, later);
        for entry in &mut self.entries {
            entry.series.has_restored(has_all(entry.symbol.as_str()));
        }
        self.revision += 1;
    }

    fn series_mut(&mut self, symbol: Name<'_>) -> Option<&mut Series> {
        let id = *self.ids.get(symbol.as_bytes())?;
        self.entries.get_mut(id.index()).map(|entry| &mut entry.series)
    }

    /// Takes in a tick that came at `arrival`, with others as a rule: [`settle`](Self::finish_batch) is to be called behind
    /// the last of them. An open gap ends here.
    #[inline]
    pub fn append_view(&mut self, tick: &TickView<'_>, arrival: Timestamp) -> AppendOutcome {
        let time_ns = tick.timestamp.as_nanos();
        let id = match self.receive(tick, arrival) {
            Ok(id) => id,
            Err(refused) => return refused,
        };
        let series = &mut self.entries[id.index()].series;
        let kept_before = series.len() as u64;
        let evicted_before = series.evicted();
        if self.is_restoring {
            series.note_live(time_ns);
        }
        let placed = series.push(tick.timestamp, tick.price, tick.size);
        self.counters.kept = self.counters.kept + series.len() as u64 - kept_before;
        self.counters.evicted += series.evicted() - evicted_before;
        if placed == Placement::TooLate {
            self.counters.too_late += 1;
            return AppendOutcome::TooLate;
        }
        self.revision += 1;
        self.newest_ns = self.newest_ns.max(Some(time_ns));
        if placed == Placement::Reordered {
            self.counters.reordered += 1;
            return AppendOutcome::Reordered;
        }
        AppendOutcome::InOrder
    }

    /// As [`append_view`](Self::append_view) for a tick that a filter took for an outlier: it is kept beside the
    /// symbol's series, so that no line, bar or figure is made of it.
    pub fn append_outlier(&mut self, tick: &TickView<'_>, arrival: Timestamp) -> AppendOutcome {
        let id = match self.receive(tick, arrival) {
            Ok(id) => id,
            Err(refused) => return refused,
        };
        let history = self.config.history;
        let outliers = self.entries[id.index()].outliers.get_or_insert_with(|| Box::new(Series::new(history)));
        let placed = outliers.push(tick.timestamp, tick.price, tick.size);
        self.counters.outliers += 1;
        self.revision += 1;
        self.newest_ns = self.newest_ns.max(Some(tick.timestamp.as_nanos()));
        match placed {
            Placement::InOrder => AppendOutcome::InOrder,
            Placement::Reordered => AppendOutcome::Reordered,
            Placement::TooLate => AppendOutcome::TooLate,
        }
    }

    /// What is done with every tick, whatever series it goes to.
    #[inline]
    fn receive(&mut self, tick: &TickView<'_>, arrival: Timestamp) -> Result<SymbolId, AppendOutcome> {
        self.counters.received += 1;
        self.last_arrival = self.last_arrival.max(Some(arrival));
        let time_ns = tick.timestamp.as_nanos();
        let is_duplicate = self.track_loss(tick, time_ns);
        if self.gaps.close(time_ns) {
            self.revision += 1;
        }
        if is_duplicate {
            self.counters.duplicates += 1;
            return Err(AppendOutcome::Duplicate);
        }
        self.find_or_intern(tick.symbol)
    }

    /// Notes the tick's running number; whether it had come before. Only ticks with both a source and a number count:
    /// without a source, the numbers of two producers cannot be told apart.
    #[inline]
    fn track_loss(&mut self, tick: &TickView<'_>, time_ns: i64) -> bool {
        let (Some(source), Some(seq)) = (tick.source, tick.seq) else { return false };
        if self.loss.is_next(source, seq, time_ns) {
            return false;
        }
        let start_ns = self.newest_ns.unwrap_or(time_ns);
        // A number that was never counted as lost is not to be healed either.
        let mark = (!self.is_shared).then(|| self.gaps.mark_for(start_ns));
        match self.loss.observe(source, seq, time_ns, mark) {
            Verdict::Fresh { lost: 0 } | Verdict::Late { mark: None } => false,
            Verdict::Fresh { .. } if self.is_shared => false,
            Verdict::Fresh { lost } => {
                self.add_missing(lost, start_ns, time_ns);
                false
            }
            Verdict::Late { mark: Some(mark) } => {
                self.gaps.heal(mark);
                self.counters.lost = self.counters.lost.saturating_sub(1);
                self.revision += 1;
                false
            }
            Verdict::Duplicate => true,
        }
    }

    #[inline]
    fn find_or_intern(&mut self, symbol: Name<'_>) -> Result<SymbolId, AppendOutcome> {
        if let Some(id) = self.recent.find(symbol) {
            return Ok(id);
        }
        let known = self.ids.get(symbol.as_bytes()).copied();
        let id = known.map_or_else(|| self.admit(symbol), Ok)?;
        self.recent.note(symbol, id);
        Ok(id)
    }

    /// Gives a new symbol its place, if there is one for it.
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
        if self.begins_whole {
            series.has_restored(true);
        }
        self.entries.push(Entry { symbol, series, outliers: None });
        id
    }

    /// Ends a batch: lets the symbols that have gone quiet age with the feed, to within a thousandth of the age.
    pub fn finish_batch(&mut self) {
        let (Some(age_ns_max), Some(newest_ns)) = (self.config.history.age_ns_max, self.newest_ns) else { return };
        if newest_ns <= self.swept_ns.saturating_add(age_ns_max / SWEEPS_PER_AGE) {
            return;
        }
        self.swept_ns = newest_ns;
        for entry in &mut self.entries {
            let evicted_before = entry.series.evicted();
            entry.series.expire(newest_ns);
            let evicted = entry.series.evicted() - evicted_before;
            self.counters.kept -= evicted;
            self.counters.evicted += evicted;
            if let Some(outliers) = &mut entry.outliers {
                outliers.expire(newest_ns);
            }
        }
    }

    /// Ticks may be missing from `start_ns` (event time, the newest one as a rule) until the next one comes. Does
    /// nothing while a gap is open.
    pub fn begin_outage(&mut self, start_ns: i64) {
        if self.gaps.open(start_ns) {
            self.revision += 1;
        }
    }

    /// All that was published while the connection was down has come, or will come next: what stays of such gaps is
    /// what the running numbers miss.
    pub fn recover_outages(&mut self) {
        if self.gaps.recover_outages() {
            self.revision += 1;
        }
    }

    /// `lost` ticks are known to be missing between two event times: in the open gap, if there is one.
    pub fn add_missing(&mut self, lost: u64, start_ns: i64, end_ns: i64) {
        self.gaps.lose(lost, start_ns, end_ns);
        self.counters.lost = self.counters.lost.saturating_add(lost);
        self.revision += 1;
    }

    /// The gaps, the oldest one first.
    pub fn missing_ranges(&self) -> impl DoubleEndedIterator<Item = &MissingRange> {
        self.gaps.iter()
    }

    /// Whether a gap waits for its end.
    pub fn is_outage_open(&self) -> bool {
        self.gaps.is_open()
    }

    /// Instants at which lines break, sorted, for [`Series::downsample_runs`]: just behind the last tick before each gap,
    /// and at the first one after it.
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

    /// All symbols, in order of their colours.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (SymbolId, &Symbol, &Series)> {
        let numbered = self.entries.iter().enumerate();
        numbered.map(|(index, entry)| (SymbolId(index as u32), &entry.symbol, &entry.series))
    }

    /// Symbols that have a place.
    pub fn symbol_count(&self) -> usize {
        self.entries.len()
    }

    /// A symbol's number; `None` if it has no place.
    pub fn id(&self, symbol: &str) -> Option<SymbolId> {
        self.ids.get(symbol.as_bytes()).copied()
    }

    /// The symbol and series at a place; `None` beyond the last one.
    pub fn get(&self, index: usize) -> Option<(&Symbol, &Series)> {
        self.entries.get(index).map(|entry| (&entry.symbol, &entry.series))
    }

    /// The ticks that were set apart from the series at a place; `None` where there are none.
    pub fn outliers(&self, index: usize) -> Option<&Series> {
        self.entries.get(index)?.outliers.as_deref()
    }

    /// Ticks, counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Grows with every change to what can be drawn.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Newest event time of all kept symbols, ns.
    pub fn newest_ns(&self) -> Option<i64> {
        self.newest_ns
    }

    /// When the last tick came, whatever became of it.
    pub fn last_arrival(&self) -> Option<Timestamp> {
        self.last_arrival
    }

    /// Bytes of memory in use by the series. Walks all chunks: meant for statistics, not for every frame.
    pub fn bytes(&self) -> usize {
        let outliers = |entry: &Entry| entry.outliers.as_ref().map_or(0, |outliers| outliers.bytes());
        self.entries.iter().map(|entry| entry.series.bytes() + outliers(entry)).sum()
    }
}
