//! Shared handle to the in-memory history, and the order in which the consumer's locks are taken.
//!
//! A thread that holds a lock of this list takes only locks further down:
//!
//! 1. connection state ([`FeedStatus::set_connection`](super::feed_status::FeedStatus::set_connection))
//! 2. series ([`SeriesHandle::lock`])
//! 3. alert rules (`Alerting::rules`)
//!
//! The alert log, the arrival statistics, the reject counts, the storage tickets and the backfill state are leaves: no
//! other lock is taken while one of them is held, and none of them is taken while another leaf is held.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::series::SeriesMap;

/// Locks a mutex whose contents stay valid after a panic: counters, and values that are replaced as a whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cheap handle to all symbols' series. The lock is taken once per read of a socket and once per frame.
#[derive(Clone)]
pub(super) struct SeriesHandle {
    /// A mutex and not a read-write lock: there is a single reader, and it is quick.
    series: Arc<Mutex<SeriesMap>>,
}

impl SeriesHandle {
    pub(super) fn new(series: SeriesMap) -> Self {
        Self { series: Arc::new(Mutex::new(series)) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SeriesMap> {
        lock(&self.series)
    }
}
