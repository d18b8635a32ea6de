//! Frontend of a run without a view: logs its progress.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::info;

use crate::chart::{HitAreas, Input, Layout, Scene, Surface};
use crate::client::stopped;
use crate::consumer::frontend::{Frontend, Presented};
use crate::consumer::handles::Handles;
use crate::consumer::meters::UPDATE_INTERVAL;
use crate::consumer::{Config, ConsumerError};

/// Interval of the log lines.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// The same with `--verbose`, when ticks arrived.
const STATUS_EVERY_VERBOSE: Duration = Duration::from_secs(1);

/// Frontend that presents nothing.
pub(super) struct Headless {
    image_surface: Surface,
    handles: Handles,
    runtime: Handle,
    stop: watch::Receiver<bool>,
    is_verbose: bool,
    last_status: Instant,
    /// Ticks received and messages rejected at the last log line.
    logged: (u64, u64),
}

impl Headless {
    pub(super) fn new(config: &Config, handles: &Handles, runtime: &Handle, stop: watch::Receiver<bool>) -> Self {
        Self {
            image_surface: config.surface(),
            handles: handles.clone(),
            runtime: runtime.clone(),
            stop,
            is_verbose: tracing::enabled!(tracing::Level::DEBUG),
            last_status: Instant::now(),
            logged: (0, 0),
        }
    }

    fn log_status(&mut self) {
        let Handles { series, feed, .. } = &self.handles;
        let counters = series.lock().counters();
        let rejected = feed.rejects().total();
        let received = feed.without_restored(counters.received);
        if !self.is_verbose || (received, rejected) != self.logged {
            info!(received, kept = counters.kept, lost = counters.lost, rejected, "running");
        }
        self.logged = (received, rejected);
    }
}

impl Frontend for Headless {
    fn frame_interval(&self) -> Option<Duration> {
        None
    }

    fn image_surface(&self) -> Surface {
        self.image_surface
    }

    fn rest(&mut self, _: Option<Duration>, _: Duration, _: &mut Vec<Input>) -> Result<(), ConsumerError> {
        let stopped = stopped(self.stop.clone());
        // Ends with the run, or in time for the rates to be updated.
        let _ = self.runtime.block_on(async { tokio::time::timeout(UPDATE_INTERVAL, stopped).await });
        let interval = if self.is_verbose { STATUS_EVERY_VERBOSE } else { STATUS_EVERY };
        if self.last_status.elapsed() >= interval {
            self.last_status = Instant::now();
            self.log_status();
        }
        Ok(())
    }

    fn present(
        &mut self,
        _: Scene,
        _: &Layout,
        begun: Instant,
        _: &mut Vec<Input>,
    ) -> Result<Presented, ConsumerError> {
        Ok(Presented { rendered: begun, is_outdated: false })
    }

    fn hit_areas(&self) -> HitAreas {
        HitAreas::default()
    }
}
