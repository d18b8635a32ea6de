//! The way of ticks into the store, and what the store held before.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use compact_str::CompactString;
use foldhash::fast::RandomState;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::consumer::args::STORE_FILE;
use crate::consumer::shared::Shared;
use crate::model::{Name, Price, StreamId, TickView, Timestamp};
use crate::series::AppendOutcome;
use crate::storage::db::{DbConfig, DbError, DbStatus, DbWriter, RowBatch, StoreReader, StoreUrl, TickRow};

/// Ticks that are taken from the store at the start, at most, over all symbols: a second or two of reading.
const RESTORED_MAX: usize = 1_000_000;

/// Of one symbol, at most: as many as anybody looks at before the first new tick.
const RESTORED_MAX_A_SYMBOL: usize = 100_000;

/// Ticks put into the book under one lock when it is filled from the store.
const RESTORED_AT_ONCE: usize = 4_096;

/// A store, shared by all connections that bring ticks.
pub(super) struct Persistence {
    keeper: DbWriter,
    /// Rows of streams that the end came before: they are still in the stream.
    left: AtomicU64,
    /// The ticket that was given out last. Held while a batch is handed over, so that batches wait in the order of
    /// their tickets, whichever connection they come from.
    tickets: Mutex<Handed>,
}

/// What was handed over to the store so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Handed {
    /// The last ticket.
    pub(super) ticket: u64,
    pub(super) ticks: u64,
}

impl Persistence {
    /// Opens the store. The folder of the user's own file is made where it is missing.
    pub(super) fn open(config: &DbConfig) -> Result<Arc<Self>, DbError> {
        if let StoreUrl::Sqlite(path) = &config.url
            && path.ends_with(STORE_FILE)
            && let Some(folder) = path.parent()
            && let Err(error) = std::fs::create_dir_all(folder)
        {
            // Opening will say what is wrong with it.
            warn!("cannot make the folder of the store: {error}");
        }
        let keeper = DbWriter::open(config.clone())?;
        info!("keeping every tick in {}", config.url);
        Ok(Arc::new(Self { keeper, left: AtomicU64::new(0), tickets: Mutex::default() }))
    }

    /// Hands over ticks that cannot wait; the store counts those that it has no room for.
    pub(super) fn offer(&self, mut ticks: Vec<TickRow>) {
        // Many wait where a store is away.
        ticks.shrink_to_fit();
        self.hand_over(ticks.len(), |ticket| {
            self.keeper.offer(RowBatch { ticks, ticket, ..RowBatch::default() });
        });
    }

    /// Hands over what was read from a stream; the ticket tells when it is committed.
    pub(super) fn put(&self, stream: &Arc<str>, mut ticks: Vec<TickRow>, checkpoint: Option<StreamId>) -> u64 {
        let stream = Some(Arc::clone(stream));
        ticks.shrink_to_fit();
        self.hand_over(ticks.len(), |ticket| self.keeper.put(RowBatch { stream, ticks, checkpoint, ticket }))
    }

    fn hand_over(&self, ticks: usize, hand: impl FnOnce(u64)) -> u64 {
        // A number is sound even after a panic.
        let mut last = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        last.ticket += 1;
        last.ticks += ticks as u64;
        hand(last.ticket);
        last.ticket
    }

    /// What was handed over so far.
    pub(super) fn handed(&self) -> Handed {
        *self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the store has all that came up to a ticket, or will never have it.
    pub(super) fn is_settled(&self, ticket: u64) -> bool {
        *self.keeper.committed().borrow() >= ticket || self.keeper.status().waiting == 0
    }

    /// Up to where `stream` is kept. A store that is away is waited for.
    pub(super) async fn checkpoint(&self, stream: &str) -> Option<StreamId> {
        self.keeper.checkpoint(stream).await
    }

    pub(super) async fn room(&self) {
        self.keeper.room().await;
    }

    pub(super) fn committed(&self) -> watch::Receiver<u64> {
        self.keeper.committed()
    }

    pub(super) fn status(&self) -> DbStatus {
        let status = self.keeper.status();
        DbStatus { dropped: status.dropped.saturating_sub(self.left()), ..status }
    }

    /// Commits what waits, for at most `limit`. What is left of a stream is still there for the next run.
    pub(super) fn close(&self, limit: Duration, of_stream: bool) -> DbStatus {
        let before = self.keeper.status().dropped;
        let status = self.keeper.close(limit);
        if of_stream {
            self.left.store(status.dropped.saturating_sub(before), Ordering::Relaxed);
        }
        self.status()
    }

    /// Rows of streams that were not committed before the end.
    pub(super) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }
}

/// What was brought of a symbol.
#[derive(Debug, Clone, Copy)]
struct Brought {
    rows: usize,
    /// All of them were placed.
    is_placed: bool,
    /// The book does not take the symbol.
    is_refused: bool,
}

/// What was brought, symbol by symbol.
type AllBrought = HashMap<CompactString, Brought, RandomState>;

/// Fills the book with the newest ticks that the store holds of each symbol. Blocks until that is done. Symbols that
/// are not shown go by as well: their numbers tell what was lost since.
///
/// If `alone`, nobody else brings ticks into the store: a symbol of which everything was brought, or nothing was there,
/// has no other past than memory's.
pub(super) fn restore(url: &StoreUrl, ticks_max: usize, alone: bool, shared: &Shared) -> Result<u64, DbError> {
    let mut reader = StoreReader::open(url)?;
    let symbols = reader.symbols()?.len().max(1);
    let ticks_max = ticks_max.min(RESTORED_MAX_A_SYMBOL).min((RESTORED_MAX / symbols).max(1));
    let mut waiting: Vec<TickRow> = Vec::with_capacity(RESTORED_AT_ONCE);
    let mut brought = AllBrought::default();
    let count = reader.newest_per_symbol(ticks_max, &mut |tick| {
        waiting.push(tick.clone());
        if waiting.len() >= RESTORED_AT_ONCE {
            append(shared, &waiting, &mut brought);
            waiting.clear();
        }
    })?;
    append(shared, &waiting, &mut brought);
    let mut book = shared.book();
    // Who has a place later, but was there already, is not known to have come whole.
    let is_known = |(name, it): (&CompactString, &Brought)| it.is_refused || book.id(name).is_some();
    let later = alone && brought.iter().all(is_known);
    let is_whole = |it: &Brought| it.is_placed && it.rows < ticks_max;
    book.finish_restore(|name| alone && brought.get(name).is_none_or(is_whole), later);
    drop(book);
    shared.touch();
    Ok(count)
}

fn append(shared: &Shared, ticks: &[TickRow], brought: &mut AllBrought) {
    let mut restored = 0;
    let mut book = shared.book();
    for tick in ticks {
        let begun = Brought { rows: 0, is_placed: true, is_refused: true };
        let known = brought.entry(tick.symbol.clone()).or_insert(begun);
        known.rows += 1;
        let (Some(symbol), Some(price), Some(timestamp)) =
            (Name::new(&tick.symbol), Price::new(tick.price), Timestamp::from_nanos(tick.time_ns))
        else {
            known.is_placed = false;
            continue;
        };
        let source = tick.source.as_deref().and_then(Name::new);
        let view = TickView { symbol, price, timestamp, size: tick.size, seq: tick.seq, source };
        let became = book.append_restored(&view, tick.outlier);
        known.is_placed &= matches!(became, AppendOutcome::InOrder | AppendOutcome::Reordered);
        known.is_refused &= matches!(became, AppendOutcome::Ignored | AppendOutcome::OverSymbolsMax);
        restored += 1;
    }
    book.finish_batch();
    // Who counts what came by itself must not see the one without the other.
    shared.restored().fetch_add(restored, Ordering::Relaxed);
    drop(book);
    shared.touch();
}
