//! From the book to a scene: one short stay under the lock, then words and points.

use std::time::Instant;

use jiff::tz::TimeZone;

use crate::bus::{Channel, LinkState, Target};
use crate::consumer::args::{AxisChoice, CHANNEL, Config, LOCAL_PORT};
use crate::consumer::controls::{Controls, HELP};
use crate::consumer::format;
use crate::consumer::gather::{Gathered, Shown, gather};
use crate::consumer::meters::Meters;
use crate::consumer::shared::{Link, Shared};
use crate::model::Timestamp;
use crate::plot::{
    AxisKind, Badge, Chart, Crosshair, Footer, Frame, GapBand, Header, LegendEntry, Line, Notice, Point, Readout,
    Scene, Tag, Tone,
};
use crate::series::ColumnCache;
use crate::view::{TimeSpan, Transform, ValueSpan, Viewport};

/// A price axis that gives its liveliest line less than this share of the height shows flat lines.
const FLAT_SHARE: f64 = 0.25;

/// Back from percent to price only above this share, so that the axis does not flicker between the two.
const LIVELY_SHARE: f64 = 0.5;

/// What the drawing side remembers between two scenes.
pub(super) struct Picture {
    pub(super) zone: TimeZone,
    pub(super) channel: String,
    pub(super) server: String,
    /// What to type in order to see something; in the marks of code.
    pub(super) producer_command: String,
    pub(super) meters: Meters,
    /// Shown above the footer until the instant.
    pub(super) toast: Option<(Badge, Instant)>,
    /// The value axis as it was last.
    held: Option<(AxisKind, ValueSpan)>,
    /// What `--axis auto` chose last.
    axis: AxisKind,
    /// Decimals that each symbol's prices were seen to need.
    decimals: Vec<usize>,
    /// Each symbol's pixel columns as they were taken for the last scene.
    columns: Vec<ColumnCache>,
}

/// What of a scene the controls need to know.
pub(super) struct Seeing {
    pub(super) span: TimeSpan,
    pub(super) edge_ns: Option<i64>,
    pub(super) newest_ns: Option<i64>,
    pub(super) stale: bool,
    pub(super) oldest_ns: Option<i64>,
    pub(super) axis: AxisKind,
    /// Something in the picture says how many seconds ago something was.
    pub(super) counts_seconds: bool,
}

impl Picture {
    pub(super) fn new(zone: TimeZone, config: &Config, target: &Target) -> Self {
        let channels: Vec<String> = config.channels.iter().map(ToString::to_string).collect();
        Self {
            zone,
            channel: channels.join(" "),
            server: target.endpoint().to_string(),
            producer_command: producer_command(config),
            meters: Meters::new(),
            toast: None,
            held: None,
            axis: AxisKind::Price,
            decimals: Vec::new(),
            columns: Vec::new(),
        }
    }

    /// Collects everything that a frame shows.
    pub(super) fn scene(
        &mut self,
        shared: &Shared,
        controls: &mut Controls,
        frame: &Frame,
        now: Instant,
    ) -> (Scene, Seeing) {
        let mut gathered = gather(&shared.book(), &mut self.columns, controls, frame, Timestamp::now());
        let link = shared.link().clone();
        let rejected = shared.rejects().total();
        let stale = shared.arrivals().stale_for(now);
        self.meters.settle(now, gathered.counters.received);
        self.note_decimals(&gathered);
        let axis = self.choose_axis(controls.axis, &gathered);
        if axis == AxisKind::Percent {
            gathered.drop_without_base();
        }
        let value = self.value_span(&gathered, axis);
        let viewport = Viewport { time: gathered.span, value };
        let badge = link_badge(&link, &gathered, stale.map(|d| d.as_secs()), now);
        let header = Header {
            badge,
            view_badge: view_badge(controls, &gathered),
            channel: self.channel.clone(),
            legend: self.legend(&gathered),
            span: format::span(gathered.span.len_ns()),
        };
        let chart = Chart {
            decimals: self.axis_decimals(&gathered),
            lines: gathered.shown.iter().filter(|shown| shown.visible).map(|shown| line(shown, axis)).collect(),
            gaps: gap_bands(&gathered),
            tags: self.tags(&gathered, axis),
            crosshair: self.crosshair(&gathered, axis, controls, Transform { viewport, rect: frame.plot }),
            notice: self.notice(&link, &gathered),
            ..Chart::empty(viewport, axis, self.zone.clone())
        };
        let Gathered { edge_ns, newest_ns, oldest_ns, .. } = gathered;
        let (stale, down) = (stale.is_some(), matches!(link.state, LinkState::Down(_)));
        // The span as it was asked for: to move on from the aligned one, again and again, would be to drift.
        let span = controls.span();
        let seeing = Seeing { span, edge_ns, newest_ns, stale, oldest_ns, axis, counts_seconds: stale || down };
        let help = controls.help.then(|| HELP.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        let toast = self.toast.as_ref().filter(|(_, until)| now < *until).map(|(badge, _)| badge.clone());
        let footer = Footer { figures: self.figures(&gathered, rejected, &link) };
        (Scene { theme: controls.theme, header, chart, grid: Vec::new(), footer, help, search: None, toast }, seeing)
    }

    /// The axis stands still while it shows the data well, also when nothing is in view.
    fn value_span(&mut self, gathered: &Gathered, axis: AxisKind) -> ValueSpan {
        let held = self.held.filter(|(held_axis, _)| *held_axis == axis).map(|(_, span)| span);
        let span = match (extent(gathered, axis), held) {
            (Some((lo, hi)), Some(held)) => held.holding(lo, hi),
            (Some((lo, hi)), None) => ValueSpan::fit(lo, hi),
            (None, Some(held)) => held,
            (None, None) if axis == AxisKind::Percent => ValueSpan::fit(-1.0, 1.0),
            (None, None) => ValueSpan::fit(99.0, 101.0),
        };
        self.held = Some((axis, span));
        span
    }

    fn note_decimals(&mut self, gathered: &Gathered) {
        /// Prices of most markets are read with at least two.
        const DECIMALS_MIN: usize = 2;
        self.decimals.resize(gathered.shown.len().max(self.decimals.len()), DECIMALS_MIN);
        for shown in &gathered.shown {
            if let Some(last) = shown.last {
                let needed = format::decimals_of(last.price);
                self.decimals[shown.slot] = self.decimals[shown.slot].max(needed);
            }
        }
    }

    /// The axis adds what its steps need; the finest price must not give a coarse one digits that it never has.
    fn axis_decimals(&self, gathered: &Gathered) -> usize {
        gathered.visible().map(|shown| self.decimals[shown.slot]).min().unwrap_or(2)
    }

    fn choose_axis(&mut self, choice: AxisChoice, gathered: &Gathered) -> AxisKind {
        match choice {
            AxisChoice::Price => return AxisKind::Price,
            AxisChoice::Percent => return AxisKind::Percent,
            AxisChoice::Auto | AxisChoice::Session | AxisChoice::Log => {}
        }
        let ranges = || gathered.visible().filter_map(|shown| shown.range);
        let lo = ranges().map(|(lo, _)| lo).fold(f64::INFINITY, f64::min);
        let hi = ranges().map(|(_, hi)| hi).fold(f64::NEG_INFINITY, f64::max);
        let liveliest = ranges().map(|(lo, hi)| hi - lo).fold(0.0, f64::max);
        if liveliest > 0.0 && hi > lo {
            let share = liveliest / (hi - lo);
            if share < FLAT_SHARE {
                self.axis = AxisKind::Percent;
            } else if share > LIVELY_SHARE {
                self.axis = AxisKind::Price;
            }
        }
        self.axis
    }

    fn price(&self, slot: usize, price: f64) -> String {
        format::price(price, self.decimals[slot].max(format::decimals_of(price)))
    }

    fn legend(&self, gathered: &Gathered) -> Vec<LegendEntry> {
        let entry = |shown: &Shown| LegendEntry {
            symbol: shown.symbol.clone(),
            slot: shown.slot,
            last: shown.last.map(|last| self.price(shown.slot, last.price)),
            change_percent: shown.last.and_then(|last| shown.percent(last.price)),
            visible: shown.visible,
            focused: false,
        };
        gathered.shown.iter().map(entry).collect()
    }

    fn tags(&self, gathered: &Gathered, axis: AxisKind) -> Vec<Tag> {
        let tag = |shown: &Shown| {
            let price = shown.at_edge?.price;
            let percent = shown.percent(price);
            let (value, text) = match axis {
                AxisKind::Price | AxisKind::Log => (price, self.price(shown.slot, price)),
                AxisKind::Percent => (percent?, format::percent(percent?)),
            };
            Some(Tag { slot: shown.slot, value, text })
        };
        gathered.visible().filter_map(tag).collect()
    }

    fn crosshair(
        &self,
        gathered: &Gathered,
        axis: AxisKind,
        controls: &Controls,
        transform: Transform,
    ) -> Option<Crosshair> {
        let (x, y) = controls.mouse.filter(|(x, y)| transform.rect.contains(*x, *y) && !controls.help)?;
        let row = |shown: &Shown| {
            let sample = shown.at_cursor?;
            let percent = shown.percent(sample.price);
            let value = match axis {
                AxisKind::Price | AxisKind::Log => sample.price,
                AxisKind::Percent => percent?,
            };
            Some(Readout {
                slot: shown.slot,
                symbol: shown.symbol.clone(),
                price: self.price(shown.slot, sample.price),
                change_percent: percent,
                point: Point { time_ns: sample.time_ns, value },
            })
        };
        Some(Crosshair {
            x: x as i32,
            y: y as i32,
            time_ns: transform.time_at(x),
            value: transform.value_at(y),
            rows: gathered.visible().filter_map(row).collect(),
            snapped: false,
        })
    }

    fn notice(&self, link: &Link, gathered: &Gathered) -> Option<Notice> {
        let notice = |tone, title: &str, lines: &[&str]| {
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            Some(Notice { tone, title: title.to_owned(), lines })
        };
        if gathered.edge_ns.is_some() {
            if gathered.visible().next().is_none() {
                return notice(Tone::Info, "All symbols are hidden", &["`0` shows them again"]);
            }
            let empty = gathered.visible().all(|shown| shown.runs.is_empty());
            return if empty {
                notice(Tone::Info, "No ticks in this span", &["`End` goes back to live", "`\u{2212}` shows more time"])
            } else {
                None
            };
        }
        match &link.state {
            LinkState::Connecting => notice(Tone::Info, &format!("Connecting to {}", self.server), &[]),
            LinkState::Down(cause) => {
                notice(Tone::Bad, &format!("No connection to {}", self.server), &[cause, "Trying again"])
            }
            LinkState::Live => {
                let title = format!("Waiting for ticks on {}", self.channel);
                notice(Tone::Info, &title, &["Start a producer in another terminal:", &self.producer_command])
            }
        }
    }

    fn figures(&self, gathered: &Gathered, rejected: u64, link: &Link) -> Vec<(Tone, String)> {
        let counters = &gathered.counters;
        let alarming = |n: u64| if n > 0 { Tone::Warn } else { Tone::Good };
        let mut figures = vec![
            (Tone::Good, format!("{} ticks/s", format::rate(self.meters.ticks_per_s))),
            (Tone::Good, format!("{} kept", format::count(counters.kept))),
        ];
        if let Some(latency) = self.meters.latency() {
            figures.push((Tone::Good, latency));
        }
        figures.push((alarming(counters.lost), format!("lost {}", format::count(counters.lost))));
        figures.push((alarming(rejected), format!("rejected {}", format::count(rejected))));
        let seldom = [
            (link.reconnects, "reconnects"),
            (link.cut_off, "cut off"),
            (counters.too_late, "too late"),
            (counters.duplicates, "duplicates"),
            (counters.over_symbols_max, "beyond --max-symbols"),
        ];
        for (n, name) in seldom.into_iter().filter(|(n, _)| *n > 0) {
            figures.push((Tone::Warn, format!("{name} {}", format::count(n))));
        }
        figures.extend(self.meters.frames().map(|frames| (Tone::Good, frames)));
        figures
    }
}

/// The command that publishes where this consumer listens.
fn producer_command(config: &Config) -> String {
    let channel = match &config.channels[..] {
        [Channel::Exact(name)] if name != CHANNEL => format!(" --channel {}", config.channels[0]),
        _ => String::new(),
    };
    let server = match &config.target {
        Target::Given(endpoint) => format!(" --redis {endpoint}"),
        Target::Local { port: LOCAL_PORT } => String::new(),
        Target::Local { port } => format!(" --local-port {port}"),
    };
    let separator = if channel.is_empty() && server.is_empty() { "" } else { " --" };
    format!("`cargo run --release --bin producer{separator}{channel}{server}`")
}

fn line(shown: &Shown, axis: AxisKind) -> Line {
    let point = |sample: &crate::series::Sample| {
        let value = match axis {
            AxisKind::Price | AxisKind::Log => Some(sample.price),
            AxisKind::Percent => shown.percent(sample.price),
        };
        value.map(|value| Point { time_ns: sample.time_ns, value })
    };
    let runs = shown.runs.iter().map(|run| run.iter().filter_map(point).collect()).collect();
    Line { slot: shown.slot, runs }
}

/// Lowest and highest value in view, on the axis that is shown.
fn extent(gathered: &Gathered, axis: AxisKind) -> Option<(f64, f64)> {
    let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
    for shown in gathered.visible() {
        let Some((low, high)) = shown.range else { continue };
        let ends = match axis {
            AxisKind::Price | AxisKind::Log => [Some(low), Some(high)],
            AxisKind::Percent => [shown.percent(low), shown.percent(high)],
        };
        for end in ends.into_iter().flatten() {
            (lo, hi) = (lo.min(end), hi.max(end));
        }
    }
    (lo <= hi).then_some((lo, hi))
}

fn gap_bands(gathered: &Gathered) -> Vec<GapBand> {
    let visible = |gap: &&(i64, i64, u64)| gap.1 >= gathered.span.start && gap.0 < gathered.span.end;
    let band = |&(start_ns, end_ns, lost): &(i64, i64, u64)| {
        let length = format::span(end_ns.saturating_sub(start_ns));
        let label = if lost > 0 {
            format!("gap {length} \u{b7} {} lost", format::count(lost))
        } else {
            format!("gap {length}")
        };
        GapBand { start_ns, end_ns, label }
    };
    gathered.gaps.iter().filter(visible).map(band).collect()
}

fn link_badge(link: &Link, gathered: &Gathered, stale_s: Option<u64>, now: Instant) -> Badge {
    let (tone, text) = match &link.state {
        LinkState::Connecting => (Tone::Warn, "CONNECTING".to_owned()),
        LinkState::Down(_) => {
            let down_s = now.saturating_duration_since(link.since).as_secs();
            (Tone::Bad, format!("DISCONNECTED {down_s} s"))
        }
        LinkState::Live if gathered.edge_ns.is_none() => (Tone::Info, "WAITING".to_owned()),
        LinkState::Live => match stale_s {
            Some(stale_s) => (Tone::Warn, format!("STALE {}", format::span(stale_s as i64 * 1_000_000_000))),
            None => (Tone::Good, "LIVE".to_owned()),
        },
    };
    Badge { tone, text }
}

fn view_badge(controls: &Controls, gathered: &Gathered) -> Option<Badge> {
    let text = if controls.is_paused() {
        "PAUSED".to_owned()
    } else if controls.follows() {
        return None;
    } else {
        let back_ns = gathered.edge_ns.map_or(0, |edge| edge.saturating_sub(gathered.span.end));
        format!("{} BACK", format::span(back_ns))
    };
    Some(Badge { tone: Tone::Info, text })
}
