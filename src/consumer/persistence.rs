//! Storage of incoming ticks in a database, and restoring the series from one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use compact_str::CompactString;
use foldhash::fast::RandomState;
use tracing::{info, warn};

use crate::consumer::args::STORE_FILE;
use crate::consumer::feed_status::FeedStatus;
use crate::consumer::redraw::Redraw;
use crate::consumer::series_handle::{SeriesHandle, lock};
use crate::model::StreamId;
use crate::series::{AppendOutcome, SeriesMap};
use crate::storage::db::{DbConfig, DbError, DbStatus, DbWriter, RowBatch, StoreReader, StoreUrl, TickRow};

/// Most ticks restored at the start, over all symbols: they take a second or two to read.
const RESTORED_MAX: usize = 1_000_000;

/// Most ticks restored of one symbol: more than anyone looks at before the first new tick.
const RESTORED_PER_SYMBOL_MAX: usize = 100_000;

/// Ticks restored under one lock.
const RESTORE_BATCH: usize = 4_096;

/// Database writer shared by all connections. [`DbWriter`] bounds its queue.
pub(super) struct Persistence {
    pub(super) writer: DbWriter,
    /// Stream rows that were not committed before the end. The next run reads them again.
    uncommitted: AtomicU64,
    /// Held while a batch is queued, so that batches are queued in the order of their tickets.
    queued: Mutex<Queued>,
}

/// Totals handed to the writer so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Queued {
    /// Last ticket given out.
    pub(super) ticket: u64,
    pub(super) ticks: u64,
}

impl Persistence {
    /// Opens the database. Creates the directory of the user's default file if it is missing.
    pub(super) fn open(config: &DbConfig) -> Result<Arc<Self>, DbError> {
        if let StoreUrl::Sqlite(path) = &config.url
            && path.ends_with(STORE_FILE)
            && let Some(directory) = path.parent()
            && let Err(error) = std::fs::create_dir_all(directory)
        {
            // Opening the file fails next and explains what to do.
            warn!("cannot create the directory of the store: {error}");
        }
        let writer = DbWriter::open(config.clone())?;
        info!("storing every tick in {}", config.url);
        Ok(Arc::new(Self { writer, uncommitted: AtomicU64::new(0), queued: Mutex::default() }))
    }

    /// Queues ticks of channels. The writer drops and counts those that exceed its queue.
    pub(super) fn offer(&self, ticks: Vec<TickRow>) {
        self.enqueue(RowBatch { ticks, ..RowBatch::default() }, |batch| {
            self.writer.offer(batch);
        });
    }

    /// Queues the ticks of stream entries. Returns the ticket that [`DbWriter::committed`] reaches with them.
    pub(super) fn put(&self, stream: &Arc<str>, ticks: Vec<TickRow>, checkpoint: Option<StreamId>) -> u64 {
        let batch = RowBatch { stream: Some(Arc::clone(stream)), ticks, checkpoint, ticket: 0 };
        self.enqueue(batch, |batch| self.writer.put(batch))
    }

    fn enqueue(&self, mut batch: RowBatch, send: impl FnOnce(RowBatch)) -> u64 {
        // Many batches wait while the database is away.
        batch.ticks.shrink_to_fit();
        let mut queued = lock(&self.queued);
        queued.ticket += 1;
        queued.ticks += batch.ticks.len() as u64;
        batch.ticket = queued.ticket;
        send(batch);
        queued.ticket
    }

    pub(super) fn queued(&self) -> Queued {
        *lock(&self.queued)
    }

    /// Returns true if everything up to `ticket` is committed, or never will be.
    pub(super) fn is_settled(&self, ticket: u64) -> bool {
        *self.writer.committed().borrow() >= ticket || self.writer.status().waiting == 0
    }

    pub(super) fn status(&self) -> DbStatus {
        let status = self.writer.status();
        DbStatus { dropped: status.dropped.saturating_sub(self.uncommitted()), ..status }
    }

    /// Commits queued rows for at most `limit`. Stream rows that remain are counted as uncommitted, not as dropped.
    pub(super) fn close(&self, limit: Duration, is_stream: bool) {
        let before = self.writer.status().dropped;
        let status = self.writer.close(limit);
        if is_stream {
            self.uncommitted.store(status.dropped.saturating_sub(before), Ordering::Relaxed);
        }
    }

    /// Stream rows that were not committed before the end.
    pub(super) fn uncommitted(&self) -> u64 {
        self.uncommitted.load(Ordering::Relaxed)
    }
}

/// Outcome of restoring one symbol.
#[derive(Debug, Clone, Copy)]
struct RestoredSymbol {
    rows: usize,
    /// All rows were placed in the series.
    is_placed: bool,
    /// The series do not accept the symbol.
    is_refused: bool,
}

type RestoredSymbols = HashMap<CompactString, RestoredSymbol, RandomState>;

/// Fills the series with each symbol's newest stored ticks and returns their number. Blocks until done.
///
/// Symbols that are not displayed are read too: their sequence numbers show what was missed since. With
/// `is_only_writer`, no other process stores ticks in this database, so a symbol whose rows were all restored, or that
/// has none, has no older history than memory.
pub(super) fn restore(
    url: &StoreUrl,
    ticks_max: usize,
    is_only_writer: bool,
    series: &SeriesHandle,
    feed: &FeedStatus,
    redraw: &Redraw,
) -> Result<u64, DbError> {
    let mut reader = StoreReader::open(url)?;
    let symbols_len = reader.symbols()?.len().max(1);
    let ticks_max = ticks_max.min(RESTORED_PER_SYMBOL_MAX).min((RESTORED_MAX / symbols_len).max(1));
    let mut batch: Vec<TickRow> = Vec::with_capacity(RESTORE_BATCH);
    let mut symbols = RestoredSymbols::default();
    let mut append = |batch: &mut Vec<TickRow>| {
        let mut series = series.lock();
        let restored = append_rows(&mut series, batch, &mut symbols);
        series.finish_batch();
        // Both counters change under the lock: live ticks are computed from their difference.
        feed.counters.restored.fetch_add(restored, Ordering::Relaxed);
        drop(series);
        redraw.request();
        batch.clear();
    };
    let count = reader.newest_per_symbol(ticks_max, &mut |row| {
        batch.push(row.clone());
        if batch.len() >= RESTORE_BATCH {
            append(&mut batch);
        }
    })?;
    append(&mut batch);
    let mut series = series.lock();
    // A symbol that was over the limit and gets its place later is not known to be complete.
    let is_known = |(name, symbol): (&CompactString, &RestoredSymbol)| symbol.is_refused || series.id(name).is_some();
    let later_complete = is_only_writer && symbols.iter().all(is_known);
    let is_complete = |symbol: &RestoredSymbol| symbol.is_placed && symbol.rows < ticks_max;
    series.finish_restore(|name| is_only_writer && symbols.get(name).is_none_or(is_complete), later_complete);
    drop(series);
    redraw.request();
    Ok(count)
}

/// Appends rows to the series and returns how many were valid ticks.
fn append_rows(series: &mut SeriesMap, rows: &[TickRow], symbols: &mut RestoredSymbols) -> u64 {
    let mut restored = 0;
    for row in rows {
        let first = RestoredSymbol { rows: 0, is_placed: true, is_refused: true };
        let known = symbols.entry(row.symbol.clone()).or_insert(first);
        known.rows += 1;
        let Ok(tick) = row.view() else {
            known.is_placed = false;
            continue;
        };
        let appended = series.append_restored(&tick, row.outlier);
        known.is_placed &= matches!(appended, AppendOutcome::InOrder | AppendOutcome::Reordered);
        known.is_refused &= matches!(appended, AppendOutcome::Ignored | AppendOutcome::OverSymbolsMax);
        restored += 1;
    }
    restored
}
