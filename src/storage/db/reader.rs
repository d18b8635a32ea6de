//! Reading ticks in order of time, block by block, from any database.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::ops::ControlFlow;

use compact_str::CompactString;
use foldhash::fast::RandomState;

use crate::model::Symbol;
use crate::storage::db::backend::{Side, StoreResult, StoredTick, TickSource};
#[cfg(feature = "mongodb")]
use crate::storage::db::mongodb;
use crate::storage::db::{DbError, StoreUrl, TickRow, postgres, sqlite};

/// Rows in memory at once over all symbols, at some 100 bytes each.
const ROWS_BUFFERED: usize = 65_536;

/// Fewest and most rows of one request for a symbol.
const BLOCK_ROWS: (usize, usize) = (64, 4_096);

/// Reader of a store. Every call blocks, and belongs on a thread of its own.
///
/// No transaction spans two blocks of rows, so a reader that takes hours delays no writer and no log truncation. Rows
/// committed meanwhile are seen if they lie ahead of the reader.
///
/// See [`DbWriter`](crate::storage::db::DbWriter) for an example.
pub struct StoreReader {
    /// URL, without secrets.
    pub(super) store: String,
    source: Box<dyn TickSource + Send>,
}

impl fmt::Debug for StoreReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreReader").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Rows of one symbol that are still to be visited.
struct Cursor {
    symbol_id: i32,
    symbol: CompactString,
    /// Start of the next block; `None` at the end.
    next_ns: Option<i64>,
    rows: VecDeque<StoredTick>,
}

impl StoreReader {
    /// Checks that the store exists, as far as that is possible without a connection.
    ///
    /// # Errors
    ///
    /// [`DbError::Missing`] if a file does not exist.
    pub fn check(url: &StoreUrl) -> Result<(), DbError> {
        match url {
            StoreUrl::Sqlite(path) if !path.exists() => Err(DbError::Missing { store: url.to_string() }),
            _ => Ok(()),
        }
    }

    /// Opens an existing store of any version, and changes nothing in it.
    ///
    /// # Errors
    ///
    /// Any [`DbError`] except [`DbError::Thread`].
    pub fn open(url: &StoreUrl) -> Result<Self, DbError> {
        Self::check(url)?;
        let source = open_source(url).map_err(|error| {
            let store = url.name();
            error.permanent(&store).unwrap_or(DbError::Read { store, cause: error.cause })
        })?;
        Ok(Self { store: url.to_string(), source })
    }

    /// All symbols of the store, ordered by name.
    ///
    /// # Errors
    ///
    /// [`DbError::Read`] if the query fails.
    pub fn symbols(&mut self) -> Result<Vec<Symbol>, DbError> {
        let mut symbols: Vec<Symbol> = self.ids()?.keys().filter_map(|name| Symbol::new(name)).collect();
        symbols.sort_unstable();
        Ok(symbols)
    }

    /// Times of the oldest and the newest tick, in nanoseconds; `None` for an empty store.
    ///
    /// # Errors
    ///
    /// [`DbError::Read`] if the query fails.
    pub fn span(&mut self) -> Result<Option<(i64, i64)>, DbError> {
        self.query(|source| source.time_range())
    }

    /// Visits the ticks of `symbols`, or of all symbols if that is empty, from `from_ns` to `to_ns`, both inclusive, in
    /// order of time and then of arrival; at most `limit` of them. Returns how many there were.
    ///
    /// Memory holds some blocks of rows, and all rows of a symbol that have the same time.
    ///
    /// # Errors
    ///
    /// [`DbError::Read`] if a query fails; some ticks may have been visited.
    pub fn read(
        &mut self,
        symbols: &[Symbol],
        from_ns: i64,
        to_ns: i64,
        limit: Option<u64>,
        visit: &mut impl FnMut(&TickRow),
    ) -> Result<u64, DbError> {
        let names: HashSet<&str, RandomState> = symbols.iter().map(Symbol::as_str).collect();
        let selects = |name: &str| names.is_empty() || names.contains(name);
        self.read_until(selects, (from_ns, to_ns), limit, &mut unbroken(visit))
    }

    /// Visits the ticks of the symbols whose names `selects` accepts, as [`read`](Self::read), until `visit` breaks.
    pub(super) fn read_until(
        &mut self,
        selects: impl Fn(&str) -> bool,
        (from_ns, to_ns): (i64, i64),
        limit: Option<u64>,
        visit: &mut impl FnMut(&TickRow) -> ControlFlow<()>,
    ) -> Result<u64, DbError> {
        let selected = self.ids()?.into_iter().filter(|(name, _)| selects(name));
        let cursors = selected.map(|(name, id)| Cursor::new(id, name, from_ns)).collect();
        self.merge(cursors, to_ns, limit, visit)
    }

    /// Visits the newest `count` ticks of each symbol, and those with the same time as the oldest of them, in order of
    /// time over all symbols. Returns how many there were.
    ///
    /// # Errors
    ///
    /// [`DbError::Read`] if a query fails; some ticks may have been visited.
    pub fn newest_per_symbol(&mut self, count: usize, visit: &mut impl FnMut(&TickRow)) -> Result<u64, DbError> {
        let mut cursors = Vec::new();
        if let Some(skip) = count.checked_sub(1) {
            for (symbol, id) in self.ids()? {
                let from_ns = self.query(|source| source.time_before_newest((id, &symbol), skip))?;
                cursors.extend(from_ns.map(|from_ns| Cursor::new(id, symbol, from_ns)));
            }
        }
        self.merge(cursors, i64::MAX, None, &mut unbroken(visit))
    }

    /// Time of the oldest tick of these symbols, in nanoseconds. One lookup a symbol.
    ///
    /// # Errors
    ///
    /// [`DbError::Read`] if a query fails.
    pub fn oldest_of(&mut self, symbols: &[Symbol]) -> Result<Option<i64>, DbError> {
        let ids = self.ids()?;
        let mut oldest_ns: Option<i64> = None;
        for symbol in symbols.iter().map(Symbol::as_str) {
            let Some(id) = ids.get(symbol) else { continue };
            let first = self.query(|source| source.block((*id, symbol), 0, i64::MAX, 1))?;
            oldest_ns = first.first().map(|row| row.tick.time_ns).into_iter().chain(oldest_ns).min();
        }
        Ok(oldest_ns)
    }

    /// Visits, symbol by symbol, the latest tick before `before_ns` and the earliest from `from_ns` on, without
    /// outliers, until `visit` breaks. Each is `None` if there is none or its bound is `None`.
    ///
    /// # Errors
    ///
    /// [`DbError::Read`] if a query fails.
    pub fn neighbours(
        &mut self,
        symbols: &[&Symbol],
        before_ns: Option<i64>,
        from_ns: Option<i64>,
        visit: &mut impl FnMut(Option<TickRow>, Option<TickRow>) -> ControlFlow<()>,
    ) -> Result<(), DbError> {
        let ids = self.ids()?;
        for symbol in symbols.iter().map(|symbol| symbol.as_str()) {
            let mut neighbour = |side: Option<Side>| match side.zip(ids.get(symbol)) {
                Some((side, id)) => self.query(|source| source.neighbour((*id, symbol), side)),
                None => Ok(None),
            };
            let (before, after) = (neighbour(before_ns.map(Side::Before))?, neighbour(from_ns.map(Side::From))?);
            if visit(before, after).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn query<T>(&mut self, query: impl FnOnce(&mut (dyn TickSource + Send)) -> StoreResult<T>) -> Result<T, DbError> {
        query(self.source.as_mut()).map_err(|error| DbError::Read { store: self.store.clone(), cause: error.cause })
    }

    /// Ids of all symbols by name.
    fn ids(&mut self) -> Result<HashMap<CompactString, i32, RandomState>, DbError> {
        Ok(self.query(|source| source.symbols())?.into_iter().map(|(id, name)| (name, id)).collect())
    }

    /// Merges the cursors' rows by time and arrival.
    fn merge(
        &mut self,
        mut cursors: Vec<Cursor>,
        to_ns: i64,
        limit: Option<u64>,
        visit: &mut impl FnMut(&TickRow) -> ControlFlow<()>,
    ) -> Result<u64, DbError> {
        let limit = limit.unwrap_or(u64::MAX);
        // A small limit needs no large blocks. The last time of a block is read twice.
        let rows_needed = usize::try_from(limit).unwrap_or(usize::MAX).max(BLOCK_ROWS.0);
        let block_rows = (ROWS_BUFFERED / cursors.len().max(1)).clamp(BLOCK_ROWS.0, BLOCK_ROWS.1).min(rows_needed);
        let mut heads = BinaryHeap::with_capacity(cursors.len());
        for (index, cursor) in cursors.iter_mut().enumerate() {
            self.query(|source| cursor.fill(source, to_ns, block_rows))?;
            heads.extend(cursor.head(index));
        }
        let mut visited = 0;
        while visited < limit
            && let Some(Reverse((_, _, index))) = heads.pop()
        {
            let cursor = &mut cursors[index];
            if let Some(row) = cursor.rows.pop_front() {
                visited += 1;
                if visit(&row.tick).is_break() {
                    break;
                }
            }
            if cursor.rows.is_empty() {
                self.query(|source| cursor.fill(source, to_ns, block_rows))?;
            }
            heads.extend(cursor.head(index));
        }
        Ok(visited)
    }
}

fn open_source(url: &StoreUrl) -> StoreResult<Box<dyn TickSource + Send>> {
    Ok(match url {
        StoreUrl::Sqlite(path) => Box::new(sqlite::open_source(path)?),
        StoreUrl::Postgres(url) => Box::new(postgres::open_source(url)?),
        #[cfg(feature = "mongodb")]
        StoreUrl::Mongo(url) => Box::new(mongodb::open_source(url)?),
    })
}

fn unbroken(visit: &mut impl FnMut(&TickRow)) -> impl FnMut(&TickRow) -> ControlFlow<()> {
    |tick| {
        visit(tick);
        ControlFlow::Continue(())
    }
}

impl Cursor {
    fn new(symbol_id: i32, symbol: CompactString, from_ns: i64) -> Self {
        Self { symbol_id, symbol, next_ns: Some(from_ns), rows: VecDeque::new() }
    }

    /// Sort key of the next row, with the cursor's own index.
    fn head(&self, index: usize) -> Option<Reverse<(i64, i64, usize)>> {
        self.rows.front().map(|row| Reverse((row.tick.time_ns, row.n, index)))
    }

    /// Reads the next rows up to `to_ns`. A block ends between two times; at the end there are no rows.
    fn fill(&mut self, source: &mut dyn TickSource, to_ns: i64, limit: usize) -> StoreResult<()> {
        let Some(from_ns) = self.next_ns.filter(|from_ns| *from_ns <= to_ns) else { return Ok(()) };
        let symbol = (self.symbol_id, self.symbol.as_str());
        let mut rows = source.block(symbol, from_ns, to_ns, limit)?;
        let last_ns = rows.last().map(|row| row.tick.time_ns);
        self.next_ns = match (rows.first(), last_ns) {
            (Some(first), Some(last_ns)) if rows.len() >= limit => {
                if first.tick.time_ns == last_ns {
                    // A single time fills the block, and may have more rows.
                    rows = source.block(symbol, last_ns, last_ns, usize::MAX)?;
                    last_ns.checked_add(1)
                } else {
                    // The last time may have more rows; the next block starts with it.
                    rows.retain(|row| row.tick.time_ns < last_ns);
                    Some(last_ns)
                }
            }
            _ => None,
        };
        rows.sort_unstable_by_key(|row| (row.tick.time_ns, row.n));
        self.rows = rows.into();
        Ok(())
    }
}
