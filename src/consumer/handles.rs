//! Handles to what the parts of a run share.

use std::sync::Arc;

use crate::consumer::alerting::Alerting;
use crate::consumer::feed_status::FeedStatus;
use crate::consumer::persistence::Persistence;
use crate::consumer::redraw::Redraw;
use crate::consumer::series_handle::SeriesHandle;

/// Cheap handles to the shared state of a run.
#[derive(Clone)]
pub(super) struct Handles {
    pub(super) series: SeriesHandle,
    pub(super) feed: Arc<FeedStatus>,
    pub(super) redraw: Arc<Redraw>,
    pub(super) alerting: Arc<Alerting>,
    /// Database writer; `None` to store nothing.
    pub(super) storage: Option<Arc<Persistence>>,
}
