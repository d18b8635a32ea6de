//! Reading back: ticks in order of time, block by block, from either kind of store.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::ops::ControlFlow;

use compact_str::CompactString;
use foldhash::fast::RandomState;

use crate::model::Symbol;

#[cfg(feature = "mongodb")]
use crate::storage::db::mongodb::MongoSource;
use crate::storage::db::postgres::PostgresSource;
use crate::storage::db::sqlite::SqliteSource;
use crate::storage::db::{DbError, StoreUrl, TickRow};

/// Rows in memory at once over all symbols, at some 100 bytes each.
const ROWS_HELD: usize = 65_536;

/// Fewest and most rows asked for at once of a symbol.
const BLOCK_ROWS: (usize, usize) = (64, 4_096);

/// A row as it was read, with its place in the order of arrival.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Read {
    pub(super) n: i64,
    pub(super) tick: TickRow,
}

/// What a kind of database has to do for reading. Rows of a symbol are asked for by the symbol's number.
pub(super) trait Source {
    /// All symbols with their numbers.
    fn symbols(&mut self) -> Result<Vec<(i32, CompactString)>, String>;

    /// Times of the oldest and the newest row.
    fn span(&mut self) -> Result<Option<(i64, i64)>, String>;

    /// The first `limit` rows of a symbol from `from_ns` to `to_ns`, both included, in order of time; rows of one time
    /// come in any order.
    fn block(&mut self, symbol: (i32, &str), from_ns: i64, to_ns: i64, limit: usize) -> Result<Vec<Read>, String>;

    /// The time of the symbol's newest row but `skip`; of its oldest, if there are fewer.
    fn time_before_newest(&mut self, symbol_id: i32, skip: usize) -> Result<Option<i64>, String>;
}

/// Reads a store. Every call blocks: a thread of its own is the place for it.
///
/// Nothing is held between two blocks of rows, so a reader that takes hours keeps no writer waiting and no log growing.
/// Rows that are committed meanwhile are seen where the reading has not passed yet.
pub struct StoreReader {
    store: String,
    source: Box<dyn Source + Send>,
}

impl fmt::Debug for StoreReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreReader").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Rows of one symbol that are yet to be given out.
struct Lane {
    symbol_id: i32,
    symbol: CompactString,
    /// Rows before this are in `rows`, or were given out.
    next_ns: Option<i64>,
    rows: VecDeque<Read>,
}

impl StoreReader {
    /// Whether there is such a store, as far as that is known without a connection.
    pub fn check(url: &StoreUrl) -> Result<(), DbError> {
        match url {
            StoreUrl::Sqlite(path) if !path.exists() => Err(DbError::Missing { store: url.to_string() }),
            _ => Ok(()),
        }
    }

    /// Opens a store that exists, of any version; nothing in it is changed.
    pub fn open(url: &StoreUrl) -> Result<Self, DbError> {
        Self::check(url)?;
        let source: Box<dyn Source + Send> = match url {
            StoreUrl::Sqlite(path) => Box::new(SqliteSource::open(path)?),
            StoreUrl::Postgres(url) => Box::new(PostgresSource::open(url)?),
            #[cfg(feature = "mongodb")]
            StoreUrl::Mongo(url) => Box::new(MongoSource::open(url)?),
        };
        Ok(Self { store: url.to_string(), source })
    }

    /// Which store it is, without secrets.
    pub(super) fn name(&self) -> &str {
        &self.store
    }

    /// All symbols that the store knows, in order of their names.
    pub fn symbols(&mut self) -> Result<Vec<Symbol>, DbError> {
        let mut symbols: Vec<Symbol> = self.known()?.into_iter().filter_map(|(_, name)| Symbol::new(&name)).collect();
        symbols.sort_unstable();
        Ok(symbols)
    }

    /// Times of the oldest and the newest tick, in nanoseconds; `None` for an empty store.
    pub fn span(&mut self) -> Result<Option<(i64, i64)>, DbError> {
        self.source.span().map_err(|cause| DbError::Read { store: self.store.clone(), cause })
    }

    /// Gives out the ticks of `symbols`, or of all where that is empty, from `from_ns` to `to_ns`, both included, in
    /// order of time and then of arrival; at most `limit` of them. How many there were.
    ///
    /// Holds some blocks of rows, and all rows of one symbol that have the same time.
    pub fn read(
        &mut self,
        symbols: &[Symbol],
        from_ns: i64,
        to_ns: i64,
        limit: Option<u64>,
        visit: &mut impl FnMut(&TickRow),
    ) -> Result<u64, DbError> {
        let names: HashSet<&str, RandomState> = symbols.iter().map(Symbol::as_str).collect();
        let is_wanted = |name: &str| names.is_empty() || names.contains(name);
        let lanes = self.lanes(is_wanted, from_ns)?;
        self.merge(lanes, to_ns, limit, &mut never_ending(visit))
    }

    /// As [`read`](Self::read), of the symbols that are wanted by their names, until `visit` breaks off.
    pub(super) fn read_until(
        &mut self,
        is_wanted: impl Fn(&str) -> bool,
        from_ns: i64,
        to_ns: i64,
        visit: &mut impl FnMut(&TickRow) -> ControlFlow<()>,
    ) -> Result<u64, DbError> {
        let lanes = self.lanes(is_wanted, from_ns)?;
        self.merge(lanes, to_ns, None, visit)
    }

    fn lanes(&mut self, is_wanted: impl Fn(&str) -> bool, from_ns: i64) -> Result<Vec<Lane>, DbError> {
        let wanted = self.known()?.into_iter().filter(|(_, name)| is_wanted(name));
        Ok(wanted.map(|(symbol_id, symbol)| lane(symbol_id, symbol, from_ns)).collect())
    }

    /// Gives out the newest ticks of each symbol in order of time, all symbols together: `count` of each, and what has
    /// the same time as the oldest of these. How many there were.
    pub fn newest_per_symbol(&mut self, count: usize, visit: &mut impl FnMut(&TickRow)) -> Result<u64, DbError> {
        let mut lanes = Vec::new();
        if let Some(skip) = count.checked_sub(1) {
            for (symbol_id, symbol) in self.known()? {
                let from_ns = self.source.time_before_newest(symbol_id, skip);
                let from_ns = from_ns.map_err(|cause| DbError::Read { store: self.store.clone(), cause })?;
                lanes.extend(from_ns.map(|from_ns| lane(symbol_id, symbol, from_ns)));
            }
        }
        self.merge(lanes, i64::MAX, None, &mut never_ending(visit))
    }

    /// The time of the oldest tick of these symbols, in nanoseconds; `None` where there is none. One look a symbol.
    pub fn oldest_of(&mut self, symbols: &[Symbol]) -> Result<Option<i64>, DbError> {
        let known = self.numbers()?;
        let mut oldest_ns: Option<i64> = None;
        for symbol in symbols {
            let Some(id) = known.get(symbol.as_str()) else { continue };
            let first_ns = self.block((*id, symbol.as_str()), 0, i64::MAX, 1)?.first().map(|row| row.tick.time_ns);
            oldest_ns = first_ns.into_iter().chain(oldest_ns).min();
        }
        Ok(oldest_ns)
    }

    /// The latest tick of a symbol before an instant, outliers left out. A search by halves: some sixty looks at most.
    pub fn latest_before(&mut self, symbol: &Symbol, before_ns: i64) -> Result<Option<TickRow>, DbError> {
        let id = self.numbers()?.get(symbol.as_str()).copied();
        id.map_or(Ok(None), |id| self.latest((id, symbol.as_str()), before_ns))
    }

    /// The earliest tick of a symbol from an instant on, outliers left out.
    pub fn earliest_from(&mut self, symbol: &Symbol, from_ns: i64) -> Result<Option<TickRow>, DbError> {
        let id = self.numbers()?.get(symbol.as_str()).copied();
        id.map_or(Ok(None), |id| self.earliest((id, symbol.as_str()), from_ns))
    }

    /// Gives out, symbol by symbol, the [latest tick before](Self::latest_before) one instant
    /// and the [earliest from](Self::earliest_from) another one on, or none where that is not asked, until `visit`
    /// breaks off.
    pub fn neighbours(
        &mut self,
        symbols: &[&Symbol],
        before_ns: Option<i64>,
        from_ns: Option<i64>,
        visit: &mut impl FnMut(Option<TickRow>, Option<TickRow>) -> ControlFlow<()>,
    ) -> Result<(), DbError> {
        let known = self.numbers()?;
        for symbol in symbols {
            let (mut before, mut after) = (None, None);
            if let Some(id) = known.get(symbol.as_str()) {
                let symbol = (*id, symbol.as_str());
                before = before_ns.map_or(Ok(None), |before_ns| self.latest(symbol, before_ns))?;
                after = from_ns.map_or(Ok(None), |from_ns| self.earliest(symbol, from_ns))?;
            }
            if visit(before, after).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn latest(&mut self, symbol: (i32, &str), before_ns: i64) -> Result<Option<TickRow>, DbError> {
        let mut end_ns = before_ns;
        while let Some(mut high) = end_ns.checked_sub(1) {
            // Rows have no time below zero.
            let Some(mut low) = self.block(symbol, 0, high, 1)?.first().map(|row| row.tick.time_ns) else { break };
            while low < high {
                let middle = high - (high - low) / 2;
                match self.block(symbol, middle, high, 1)?.first() {
                    Some(row) => low = row.tick.time_ns,
                    None => high = middle - 1,
                }
            }
            if let Some(tick) = last_of(self.block(symbol, low, low, usize::MAX)?) {
                return Ok(Some(tick));
            }
            end_ns = low;
        }
        Ok(None)
    }

    fn earliest(&mut self, (id, name): (i32, &str), from_ns: i64) -> Result<Option<TickRow>, DbError> {
        let mut next_ns = Some(from_ns);
        while let Some(from_ns) = next_ns {
            let (mut found, mut last_ns) = (None, None);
            let mut visit = |tick: &TickRow| {
                last_ns = Some(tick.time_ns);
                if !tick.outlier && found.is_none() {
                    found = Some(tick.clone());
                }
            };
            let lanes = vec![lane(id, name.into(), from_ns)];
            self.merge(lanes, i64::MAX, Some(BLOCK_ROWS.0 as u64), &mut never_ending(&mut visit))?;
            if found.is_some() {
                return Ok(found);
            }
            next_ns = last_ns.and_then(|last_ns| last_ns.checked_add(1));
        }
        Ok(None)
    }

    fn block(&mut self, symbol: (i32, &str), from_ns: i64, to_ns: i64, limit: usize) -> Result<Vec<Read>, DbError> {
        let read = self.source.block(symbol, from_ns, to_ns, limit);
        read.map_err(|cause| DbError::Read { store: self.store.clone(), cause })
    }

    /// The symbols' numbers by their names.
    fn numbers(&mut self) -> Result<HashMap<CompactString, i32, RandomState>, DbError> {
        Ok(self.known()?.into_iter().map(|(id, name)| (name, id)).collect())
    }

    fn known(&mut self) -> Result<Vec<(i32, CompactString)>, DbError> {
        self.source.symbols().map_err(|cause| DbError::Read { store: self.store.clone(), cause })
    }

    fn merge(
        &mut self,
        mut lanes: Vec<Lane>,
        to_ns: i64,
        limit: Option<u64>,
        visit: &mut impl FnMut(&TickRow) -> ControlFlow<()>,
    ) -> Result<u64, DbError> {
        let read = |cause| DbError::Read { store: self.store.clone(), cause };
        let rows = (ROWS_HELD / lanes.len().max(1)).clamp(BLOCK_ROWS.0, BLOCK_ROWS.1);
        // Who wants a few is not made to wait for thousands; the last time of a block is read once more.
        let rows =
            rows.min(limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)).max(BLOCK_ROWS.0));
        let mut heads = BinaryHeap::with_capacity(lanes.len());
        let mut given = 0;
        for (place, lane) in lanes.iter_mut().enumerate() {
            fill(self.source.as_mut(), lane, to_ns, rows).map_err(read)?;
            heads.extend(lane.rows.front().map(|row| Reverse((row.tick.time_ns, row.n, place))));
        }
        while let Some(Reverse((_, _, place))) = heads.pop() {
            if limit.is_some_and(|limit| given >= limit) {
                break;
            }
            let lane = &mut lanes[place];
            if let Some(row) = lane.rows.pop_front() {
                given += 1;
                if visit(&row.tick).is_break() {
                    break;
                }
            }
            if lane.rows.is_empty() {
                fill(self.source.as_mut(), lane, to_ns, rows).map_err(read)?;
            }
            heads.extend(lane.rows.front().map(|row| Reverse((row.tick.time_ns, row.n, place))));
        }
        Ok(given)
    }
}

fn never_ending(visit: &mut impl FnMut(&TickRow)) -> impl FnMut(&TickRow) -> ControlFlow<()> {
    |tick| {
        visit(tick);
        ControlFlow::Continue(())
    }
}

/// The last one by arrival that is no outlier.
fn last_of(rows: Vec<Read>) -> Option<TickRow> {
    rows.into_iter().filter(|row| !row.tick.outlier).max_by_key(|row| row.n).map(|row| row.tick)
}

fn lane(symbol_id: i32, symbol: CompactString, from_ns: i64) -> Lane {
    Lane { symbol_id, symbol, next_ns: Some(from_ns), rows: VecDeque::new() }
}

/// Puts the lane's next rows into it, whole times only; none at its end.
fn fill(source: &mut dyn Source, lane: &mut Lane, to_ns: i64, limit: usize) -> Result<(), String> {
    let Some(from_ns) = lane.next_ns.filter(|from_ns| *from_ns <= to_ns) else { return Ok(()) };
    let symbol = (lane.symbol_id, lane.symbol.as_str());
    let mut rows = source.block(symbol, from_ns, to_ns, limit)?;
    let last_ns = rows.last().map(|row| row.tick.time_ns);
    lane.next_ns = match (rows.first(), last_ns) {
        (Some(first), Some(last_ns)) if rows.len() >= limit => {
            if first.tick.time_ns == last_ns {
                // One time fills the block: it is read as a whole.
                rows = source.block(symbol, last_ns, last_ns, usize::MAX)?;
                last_ns.checked_add(1)
            } else {
                // The last time may go on beyond the block.
                rows.retain(|row| row.tick.time_ns < last_ns);
                Some(last_ns)
            }
        }
        _ => None,
    };
    rows.sort_unstable_by_key(|row| (row.tick.time_ns, row.n));
    lane.rows = rows.into();
    Ok(())
}
