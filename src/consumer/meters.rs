//! Meters for rates, latency and frame times. The displayed figures change every half second, so that they can be read.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Interval at which the displayed rates change.
pub(super) const UPDATE_INTERVAL: Duration = Duration::from_millis(500);

/// Window of the mean rates.
const RATE_WINDOW: Duration = Duration::from_secs(2);

/// Length of a latency window. Quantiles cover the current window and the one before.
const LATENCY_WINDOW: Duration = Duration::from_secs(5);

/// Upper bound of recorded latencies, microseconds: one minute.
const LATENCY_US_MAX: u64 = 60_000_000;

/// Meters of a run.
pub(super) struct Meters {
    updated: Option<Instant>,
    /// Time, ticks received and frames drawn at past updates, oldest first.
    samples: Vec<(Instant, u64, u64)>,
    pub(super) ticks_per_s: f64,
    frames_per_s: f64,
    frames: u64,
    /// Smoothed time per frame, ms.
    frame_ms: f64,
    /// Sum of all frame times, ms.
    frames_ms: f64,
    /// Latencies of the current window and of the one before, µs.
    latency_us: [Histogram<u64>; 2],
    latency_window_start: Option<Instant>,
    /// Latencies of the whole run, µs.
    total_latency_us: Histogram<u64>,
}

/// Latency from a tick's timestamp to the screen over a run, ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencyReport {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Maximum.
    pub max: f64,
    /// Number of ticks measured: at most 1,024 a frame, from producers whose clock is synchronized.
    pub count: u64,
}

/// Frames drawn in a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FramesReport {
    /// Number of frames.
    pub count: u64,
    /// Mean time from the series to pixels, ms, without presenting them.
    pub mean_ms: f64,
}

impl Meters {
    pub(super) fn new() -> Self {
        // Cannot fail: the upper bound is more than twice the lower one, and at most five digits are allowed.
        let histogram = || Histogram::new_with_bounds(1, LATENCY_US_MAX, 2).expect("constant bounds");
        Self {
            updated: None,
            samples: Vec::new(),
            ticks_per_s: 0.0,
            frames_per_s: 0.0,
            frames: 0,
            frame_ms: 0.0,
            frames_ms: 0.0,
            latency_us: [histogram(), histogram()],
            latency_window_start: None,
            total_latency_us: histogram(),
        }
    }

    /// Records a frame that took `spent` to draw and reached the screen at `now_ns`. `event_ns` holds the timestamps of
    /// the ticks that it was the first to show.
    pub(super) fn record_frame(&mut self, spent: Duration, now: Instant, now_ns: i64, event_ns: &[i64]) {
        self.frames += 1;
        let ms = spent.as_secs_f64() * 1e3;
        self.frames_ms += ms;
        self.frame_ms = if self.frame_ms > 0.0 { self.frame_ms * 0.9 + ms * 0.1 } else { ms };
        if self.latency_window_start.is_none_or(|start| now.duration_since(start) >= LATENCY_WINDOW) {
            self.latency_window_start = Some(now);
            self.latency_us.swap(0, 1);
            self.latency_us[0].reset();
        }
        for histogram in [&mut self.latency_us[0], &mut self.total_latency_us] {
            for event_ns in event_ns {
                let us = (now_ns - event_ns).max(0) as u64 / 1_000;
                histogram.saturating_record(us.clamp(1, LATENCY_US_MAX));
            }
        }
    }

    /// Updates the displayed rates if they are due.
    pub(super) fn update(&mut self, now: Instant, received: u64) {
        if self.updated.is_some_and(|updated| now.duration_since(updated) < UPDATE_INTERVAL) {
            return;
        }
        self.updated = Some(now);
        self.samples.push((now, received, self.frames));
        self.samples.retain(|(then, ..)| now.duration_since(*then) <= RATE_WINDOW + UPDATE_INTERVAL / 2);
        if let Some((then, received_then, frames_then)) = self.samples.first().filter(|(then, ..)| *then < now) {
            let elapsed_s = now.duration_since(*then).as_secs_f64();
            self.ticks_per_s = (received - received_then) as f64 / elapsed_s;
            self.frames_per_s = (self.frames - frames_then) as f64 / elapsed_s;
        }
    }

    /// Frames per second and time per frame, ms. `None` if nothing was drawn on a screen.
    pub(super) fn frames(&self) -> Option<(f64, f64)> {
        (self.frames > 0).then_some((self.frames_per_s, self.frame_ms))
    }

    /// Median and 99th percentile of recent latencies, ms. `None` without ticks whose clock is synchronized.
    pub(super) fn latency_ms(&self) -> Option<(f64, f64)> {
        let [current, previous] = &self.latency_us;
        let mut both = current.clone();
        both.add(previous).ok()?;
        (!both.is_empty()).then(|| (quantile_ms(&both, 0.5), quantile_ms(&both, 0.99)))
    }

    /// Frames of the run. `None` if nothing was drawn on a screen.
    pub(super) fn frames_report(&self) -> Option<FramesReport> {
        (self.frames > 0).then(|| FramesReport { count: self.frames, mean_ms: self.frames_ms / self.frames as f64 })
    }

    /// Latency of the run. `None` without ticks whose clock is synchronized.
    pub(super) fn latency_report(&self) -> Option<LatencyReport> {
        let all = &self.total_latency_us;
        let (p50, p99) = (quantile_ms(all, 0.5), quantile_ms(all, 0.99));
        (!all.is_empty()).then(|| LatencyReport { p50, p99, max: all.max() as f64 / 1e3, count: all.len() })
    }
}

fn quantile_ms(latency_us: &Histogram<u64>, quantile: f64) -> f64 {
    latency_us.value_at_quantile(quantile) as f64 / 1e3
}
