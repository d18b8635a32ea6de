//! The way of ticks into the store, and what the store held before.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::consumer::args::STORE_FILE;
use crate::consumer::shared::Shared;
use crate::model::{Name, Price, StreamId, Symbol, TickView, Timestamp};
use crate::store::keep::{KeepConfig, KeepError, KeepStatus, Keeper, KeptBatch, KeptTick, StoreReader, StoreUrl};

/// Ticks put into the book under one lock when it is filled from the store.
const RESTORED_AT_ONCE: usize = 4_096;

/// A store, shared by all connections that bring ticks.
pub(super) struct Keeping {
    keeper: Keeper,
    /// The ticket that was given out last. Held while a batch is handed over, so that batches wait in the order of
    /// their tickets, whichever connection they come from.
    tickets: Mutex<u64>,
}

impl Keeping {
    /// Opens the store. The folder of the user's own file is made where it is missing.
    pub(super) fn open(config: &KeepConfig) -> Result<Arc<Self>, KeepError> {
        if let StoreUrl::Sqlite(path) = &config.url
            && path.ends_with(STORE_FILE)
            && let Some(folder) = path.parent()
            && let Err(error) = std::fs::create_dir_all(folder)
        {
            // Opening will say what is wrong with it.
            warn!("cannot make the folder of the store: {error}");
        }
        let keeper = Keeper::open(config.clone())?;
        info!("keeping every tick in {}", config.url);
        Ok(Arc::new(Self { keeper, tickets: Mutex::new(0) }))
    }

    /// Hands over ticks that cannot wait; the store counts those that it has no room for.
    pub(super) fn offer(&self, ticks: Vec<KeptTick>) {
        self.hand_over(|ticket| {
            self.keeper.offer(KeptBatch { ticks, ticket, ..KeptBatch::default() });
        });
    }

    /// Hands over what was read from a stream; the ticket tells when it is committed.
    pub(super) fn put(&self, stream: &Arc<str>, ticks: Vec<KeptTick>, checkpoint: Option<StreamId>) -> u64 {
        let stream = Some(Arc::clone(stream));
        self.hand_over(|ticket| self.keeper.put(KeptBatch { stream, ticks, checkpoint, ticket }))
    }

    fn hand_over(&self, hand: impl FnOnce(u64)) -> u64 {
        // A number is sound even after a panic.
        let mut last = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        hand(*last);
        *last
    }

    /// Up to where `stream` is kept. A store that is away is waited for.
    pub(super) async fn checkpoint(&self, stream: &str) -> Option<StreamId> {
        self.keeper.checkpoint_later(stream).await
    }

    pub(super) async fn room(&self) {
        self.keeper.room().await;
    }

    pub(super) fn committed(&self) -> watch::Receiver<u64> {
        self.keeper.committed()
    }

    pub(super) fn status(&self) -> KeepStatus {
        self.keeper.status()
    }

    /// Commits what waits, for at most `limit`.
    pub(super) fn close(&self, limit: Duration) -> KeepStatus {
        self.keeper.close(limit)
    }
}

/// Fills the book with the newest ticks that the store holds of each symbol. Blocks until that is done.
pub(super) fn restore(url: &StoreUrl, symbols: &[Symbol], ticks_max: usize, shared: &Shared) -> Result<u64, KeepError> {
    let mut reader = StoreReader::open(url)?;
    let mut waiting: Vec<KeptTick> = Vec::with_capacity(RESTORED_AT_ONCE);
    let count = reader.newest_per_symbol(ticks_max, &mut |tick| {
        if symbols.is_empty() || symbols.iter().any(|symbol| symbol.as_str() == tick.symbol) {
            waiting.push(tick.clone());
        }
        if waiting.len() >= RESTORED_AT_ONCE {
            append(shared, &waiting);
            waiting.clear();
        }
    })?;
    append(shared, &waiting);
    Ok(count)
}

fn append(shared: &Shared, ticks: &[KeptTick]) {
    let mut book = shared.book();
    for tick in ticks {
        let (Some(symbol), Some(price), Some(timestamp)) =
            (Name::new(&tick.symbol), Price::new(tick.price), Timestamp::from_nanos(tick.time_ns))
        else {
            continue;
        };
        let source = tick.source.as_deref().and_then(Name::new);
        let view = TickView { symbol, price, timestamp, size: tick.size, seq: tick.seq, source };
        // What is old came when it happened: it says nothing about how quick the feed is now.
        book.append_view(&view, timestamp);
    }
    book.settle();
    drop(book);
    shared.restored().fetch_add(ticks.len() as u64, std::sync::atomic::Ordering::Relaxed);
    shared.touch();
}
