//! Memory, downsampling and frames at a given length of history.

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use anyhow::Context as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tickscope::chart::Navigator;
use tickscope::model::TimeSpan;
use tickscope::series::SeriesMap;

use super::frames::Frames;
use super::lines::Lines;
use super::series_map::{Source, Ticks, empty, fill};

/// Number of columns: the width of a default window.
const COLUMNS: u32 = 1280;

/// While live, the view moves by one column in this number of frames: at 60 frames per second it shows 85 seconds,
/// which is a fast chart.
const LIVE_COLUMNS_A_FRAME: i64 = 4;

/// Minimum part of the history that a random view shows, as a divisor.
const ZOOM_MAX: f64 = 1_000.0;

/// Amount of history, and number of measurements.
#[derive(clap::Args)]
pub(crate) struct History {
    /// Total number of ticks
    #[arg(long)]
    ticks: usize,
    /// Source of the ticks
    #[arg(long, value_enum, default_value = "walk")]
    source: Source,
    /// Number of symbols of the walk
    #[arg(long, default_value_t = 4)]
    symbols: usize,
    /// Number of measurements of each kind
    #[arg(long, default_value_t = 300)]
    repeats: usize,
}

/// Kind of view.
enum View {
    /// The whole history, repeatedly.
    Still,
    /// The whole history while ticks arrive and the view follows them.
    Live,
    /// A random part of the history each time.
    Elsewhere,
}

impl History {
    /// Fills a map and measures it.
    pub(crate) fn run(&self) -> anyhow::Result<Value> {
        let mut ticks = Ticks::new(self.source, self.symbols)?;
        let mut series = empty(self.ticks.saturating_add(self.repeats * 100));
        let before = resident_bytes()?;
        let started = Instant::now();
        fill(&mut series, &mut ticks, self.ticks);
        let fill_s = started.elapsed().as_secs_f64();
        let resident = resident_bytes()?.saturating_sub(before);
        let kept = series.counters().kept;
        anyhow::ensure!(kept == self.ticks as u64, "{kept} of {} ticks were kept", self.ticks);
        let bytes = series.bytes();
        let mut subject = Subject { series, ticks, span: TimeSpan { start: 0, end: 1 }, repeats: self.repeats };
        subject.span = subject.whole().context("the series are empty")?;
        Ok(json!({
            "ticks": self.ticks,
            "source": self.source.name(),
            "symbols": subject.series.symbol_count(),
            "fill_s": fill_s,
            "series_bytes": bytes,
            "resident_bytes": resident,
            "downsample_us": {
                "still": subject.downsamplings(&View::Still),
                "live": subject.downsamplings(&View::Live),
                "elsewhere": subject.downsamplings(&View::Elsewhere),
            },
            "frame_us": {
                "still": subject.frames(&View::Still)?,
                "live": subject.frames(&View::Live)?,
                "elsewhere": subject.frames(&View::Elsewhere)?,
            },
        }))
    }
}

/// A full map under measurement.
struct Subject {
    series: SeriesMap,
    ticks: Ticks,
    /// Span of the whole history, with the usual room at the right.
    span: TimeSpan,
    repeats: usize,
}

impl Subject {
    fn whole(&self) -> Option<TimeSpan> {
        let oldest_ns =
            self.series.iter().filter_map(|(_, _, series)| series.first()).map(|tick| tick.time_ns).min()?;
        let newest_ns = self.series.newest_ns()?;
        let mut navigator = Navigator::new((newest_ns - oldest_ns).saturating_mul(104) / 100 + 1);
        navigator.advance(Some(newest_ns));
        Some(navigator.span())
    }

    fn downsamplings(&mut self, view: &View) -> Value {
        let mut lines = Lines::default();
        let mut points = 0;
        let times = self.measure(view, |series, span| {
            lines.downsample(series, span, COLUMNS);
            points = black_box(&lines).points();
        });
        quantiles(times, points)
    }

    fn frames(&mut self, view: &View) -> anyhow::Result<Value> {
        let mut frames = Frames::new()?;
        let mut points = Ok(0);
        let times = self.measure(view, |series, span| points = frames.draw(series, span));
        Ok(quantiles(times, points?))
    }

    /// Times of all repetitions, in microseconds.
    fn measure(&mut self, view: &View, mut work: impl FnMut(&SeriesMap, TimeSpan)) -> Vec<f64> {
        let mut chance = ChaCha8Rng::seed_from_u64(3);
        let mut navigator = Navigator::new(self.span.len_ns());
        let mut times = Vec::with_capacity(self.repeats);
        for _ in 0..self.repeats {
            let span = match view {
                View::Still => self.span,
                View::Live => {
                    self.advance();
                    navigator.advance(self.series.newest_ns());
                    navigator.span()
                }
                View::Elsewhere => elsewhere(self.span, &mut chance),
            };
            let started = Instant::now();
            work(&self.series, span);
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
        times
    }

    /// Adds one tick of every symbol and advances the clock.
    fn advance(&mut self) {
        let passed_ns = self.span.len_ns() / i64::from(COLUMNS) / LIVE_COLUMNS_A_FRAME;
        let symbols = self.series.symbol_count();
        for i in 0..symbols {
            let tick = self.ticks.next_after(if i == 0 { passed_ns } else { 0 });
            self.series.append(&tick, tick.timestamp);
        }
    }
}

/// Random part of a span; its length is log-uniformly distributed down to the [`ZOOM_MAX`]th.
fn elsewhere(span: TimeSpan, chance: &mut ChaCha8Rng) -> TimeSpan {
    let share = ZOOM_MAX.powf(-chance.random::<f64>());
    let len_ns = (span.len_ns() as f64 * share) as i64;
    let end_ns = span.end - ((span.len_ns() - len_ns) as f64 * chance.random::<f64>()) as i64;
    TimeSpan::ending_at(end_ns, len_ns)
}

fn quantiles(mut times: Vec<f64>, points: usize) -> Value {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((times.len().saturating_sub(1) as f64 * share).round() as usize).copied();
    json!({ "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "repeats": times.len(), "points": points })
}

/// Resident memory of this process, in bytes.
fn resident_bytes() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("only Linux tells a program its memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc/self/status")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("VmRSS is no number of kB")?;
    Ok(kib * 1024)
}
