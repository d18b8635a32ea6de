//! The footer's figures: rates, latency, frame times. They settle once every half second, so that they can be read.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::chart::format;

/// How often the figures change.
pub(super) const SETTLE_EVERY: Duration = Duration::from_millis(500);

/// Rates are means over this time.
const RATE_OVER: Duration = Duration::from_secs(2);

/// Latency quantiles are over one to two of these.
const LATENCY_OVER: Duration = Duration::from_secs(5);

/// Latencies above this are clamped, in microseconds: a minute.
const LATENCY_US_MAX: u64 = 60_000_000;

/// Figures that change with time.
pub(super) struct Meters {
    settled: Option<Instant>,
    /// (when, ticks received, frames drawn) at past settlings, the oldest first.
    marks: Vec<(Instant, u64, u64)>,
    pub(super) ticks_per_s: f64,
    frames_per_s: f64,
    frames: u64,
    frame_ms: f64,
    latency: [Option<Histogram<u64>>; 2],
    turned: Option<Instant>,
    /// Of the whole run, ms.
    frames_ms: f64,
    latency_of_run: Option<Histogram<u64>>,
}

/// How long ticks took from their timestamp to the screen, over a whole run, ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LatencyReport {
    /// Half of them took no longer.
    pub p50: f64,
    /// 99 of 100 took no longer.
    pub p99: f64,
    /// The slowest one.
    pub max: f64,
    /// Ticks measured: up to 1,024 a frame, of producers whose clock is comparable.
    pub count: u64,
}

/// Frames drawn in a whole run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FramesReport {
    /// How many.
    pub count: u64,
    /// Mean time from the book to pixels, ms; to present them is not counted.
    pub mean_ms: f64,
}

impl Meters {
    pub(super) fn new() -> Self {
        let histogram = || Histogram::new_with_bounds(1, LATENCY_US_MAX, 2).ok();
        Self {
            settled: None,
            marks: Vec::new(),
            ticks_per_s: 0.0,
            frames_per_s: 0.0,
            frames: 0,
            frame_ms: 0.0,
            latency: [histogram(), histogram()],
            turned: None,
            frames_ms: 0.0,
            latency_of_run: histogram(),
        }
    }

    /// Notes a painted frame that took `spent` and has just reached the screen, with the event times that it was the
    /// first to show.
    pub(super) fn frame(&mut self, spent: Duration, now: Instant, now_ns: i64, unseen_ns: &[i64]) {
        self.frames += 1;
        let ms = spent.as_secs_f64() * 1e3;
        self.frames_ms += ms;
        self.frame_ms = if self.frame_ms > 0.0 { self.frame_ms * 0.9 + ms * 0.1 } else { ms };
        if self.turned.is_none_or(|turned| now.duration_since(turned) >= LATENCY_OVER) {
            self.turned = Some(now);
            self.latency.swap(0, 1);
            if let Some(histogram) = &mut self.latency[0] {
                histogram.reset();
            }
        }
        for histogram in [&mut self.latency[0], &mut self.latency_of_run].into_iter().flatten() {
            for event_ns in unseen_ns {
                let us = (now_ns - event_ns).max(0) as u64 / 1_000;
                histogram.saturating_record(us.clamp(1, LATENCY_US_MAX));
            }
        }
    }

    /// Frames of the run; `None` where nothing was drawn on a screen.
    pub(super) fn frames_report(&self) -> Option<FramesReport> {
        (self.frames > 0).then(|| FramesReport { count: self.frames, mean_ms: self.frames_ms / self.frames as f64 })
    }

    /// Latency of the run; `None` where no tick with a comparable clock was shown.
    pub(super) fn latency_report(&self) -> Option<LatencyReport> {
        let all = self.latency_of_run.as_ref().filter(|all| !all.is_empty())?;
        let ms = |us: u64| us as f64 / 1e3;
        Some(LatencyReport {
            p50: ms(all.value_at_quantile(0.5)),
            p99: ms(all.value_at_quantile(0.99)),
            max: ms(all.max()),
            count: all.len(),
        })
    }

    /// Lets the figures follow, if it is time; `true` when they did.
    pub(super) fn settle(&mut self, now: Instant, received: u64) -> bool {
        if self.settled.is_some_and(|settled| now.duration_since(settled) < SETTLE_EVERY) {
            return false;
        }
        self.settled = Some(now);
        self.marks.push((now, received, self.frames));
        self.marks.retain(|(then, ..)| now.duration_since(*then) <= RATE_OVER + SETTLE_EVERY / 2);
        if let Some((then, received_then, frames_then)) = self.marks.first().filter(|(then, ..)| *then < now) {
            let elapsed_s = now.duration_since(*then).as_secs_f64();
            self.ticks_per_s = (received - received_then) as f64 / elapsed_s;
            self.frames_per_s = (self.frames - frames_then) as f64 / elapsed_s;
        }
        true
    }

    /// `59 fps 1.8 ms`; `None` where nothing is drawn on a screen.
    pub(super) fn frames(&self) -> Option<String> {
        (self.frames > 0).then(|| format!("{:.0} fps {:.1} ms", self.frames_per_s, self.frame_ms))
    }

    /// `latency p50 0.4 ms p99 1.9 ms`; `None` when no tick with a comparable clock was shown lately.
    pub(super) fn latency(&self) -> Option<String> {
        let [Some(current), Some(previous)] = &self.latency else { return None };
        let mut both = current.clone();
        both.add(previous).ok()?;
        let at = |quantile| format::latency(both.value_at_quantile(quantile) as f64 / 1e3);
        (!both.is_empty()).then(|| format!("latency p50 {} p99 {}", at(0.5), at(0.99)))
    }
}
