//! Handles that a frame is built from.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, MutexGuard};

use crate::consumer::alerting::{AlertLog, Alerting};
use crate::consumer::backfill::Backfill;
use crate::consumer::feed_status::{Arrivals, ConnectionStatus, FeedStatus};
use crate::consumer::persistence::Persistence;
use crate::consumer::series_handle::{SeriesHandle, live_edge_ns};
use crate::model::{RejectCounts, Timestamp};
use crate::series::SeriesMap;

pub(super) use crate::consumer::feed_status::ConnectionStatus as Link;

/// Handles that a frame is built from.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) series: SeriesHandle,
    pub(super) feed: FeedStatus,
    pub(super) storage: Option<Arc<Persistence>>,
    pub(super) alerting: Arc<Alerting>,
    pub(super) backfill: Option<Arc<Backfill>>,
}

impl Shared {
    pub(super) fn book(&self) -> MutexGuard<'_, SeriesMap> {
        self.series.lock()
    }

    pub(super) fn link(&self) -> MutexGuard<'_, ConnectionStatus> {
        self.feed.connection()
    }

    pub(super) fn rejects(&self) -> MutexGuard<'_, RejectCounts> {
        self.feed.rejects()
    }

    pub(super) fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.feed.arrivals()
    }

    pub(super) fn brought(&self, received: u64) -> u64 {
        self.feed.without_restored(received)
    }

    pub(super) fn alerts(&self) -> MutexGuard<'_, AlertLog> {
        self.alerting.log()
    }

    pub(super) fn keeping(&self) -> Option<&Arc<Persistence>> {
        self.storage.as_ref()
    }

    pub(super) fn history(&self) -> Option<&Arc<Backfill>> {
        self.backfill.as_ref()
    }

    pub(super) fn trimmed(&self) -> &AtomicU64 {
        &self.feed.counters().trimmed
    }

    pub(super) fn failed(&self) -> &AtomicU64 {
        &self.feed.counters().dead_letters
    }

    pub(super) fn live_edge_ns(series: &SeriesMap, now: Timestamp) -> Option<i64> {
        live_edge_ns(series, now)
    }
}
