//! The words of a picture: badges, notices, figures.

use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::chart::format;
use crate::chart::{Absence, AxisKind, Badge, MissingBand, Notice, Tone};
use crate::client::{Channel, LinkState, Target};
use crate::consumer::args::{CHANNEL, Config, LOCAL_PORT, StreamConfig};
use crate::consumer::backfill::State;
use crate::consumer::interaction::Interaction;
use crate::consumer::query::{FrameData, SymbolFrame};
use crate::consumer::scene_builder::SceneBuilder;
use crate::consumer::shared::{Link, Shared};
use crate::model::display_safe;
use crate::storage::db::{DbState, DbStatus};

impl SceneBuilder {
    pub(super) fn notice(&self, link: &Link, gathered: &FrameData, axis: AxisKind) -> Option<Notice> {
        let notice = |tone, title: &str, lines: &[&str]| {
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            Some(Notice { tone, title: title.to_owned(), lines })
        };
        if gathered.edge_ns.is_some() {
            if gathered.visible().next().is_none() {
                return notice(Tone::Info, "All symbols are hidden", &["`0` shows them again"]);
            }
            // What is still to be read has a band of its own.
            let empty = gathered.drawn().all(SymbolFrame::is_empty);
            if empty && !gathered.unknown.is_empty() {
                return None;
            }
            let none_positive = axis == AxisKind::Log && gathered.drawn().all(|shown| !shown.has_positive());
            return if !empty && none_positive {
                notice(
                    Tone::Info,
                    "No price above zero to show",
                    &["A logarithmic axis has no other; `A` changes the axis"],
                )
            } else if empty {
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

    pub(super) fn figures(
        &self,
        gathered: &FrameData,
        rejected: u64,
        link: &Link,
        shared: &Shared,
    ) -> Vec<(Tone, String)> {
        let counters = &gathered.counters;
        let alarming = |n: u64| if n > 0 { Tone::Warn } else { Tone::Good };
        let (page, pages) = gathered.page;
        let page = (pages > 1).then(|| (Tone::Info, format!("page {} of {pages}", page + 1)));
        let mut figures: Vec<_> = page.into_iter().collect();
        figures.extend([
            (Tone::Good, format!("{} ticks/s", format::rate(self.meters.ticks_per_s))),
            (Tone::Good, format!("{} kept", format::count(counters.kept))),
        ]);
        if let Some(latency) = self.meters.latency() {
            figures.push((Tone::Good, latency));
        }
        figures.push((alarming(counters.lost), format!("lost {}", format::count(counters.lost))));
        figures.push((alarming(rejected), format!("rejected {}", format::count(rejected))));
        if let Some((tone, store)) = shared.keeping().map(|keeping| store_figure(&keeping.status())) {
            // What is wrong comes before what is well: a narrow window has no room for all.
            let at = if tone == Tone::Good { figures.len() } else { 0 };
            figures.insert(at, (tone, store));
        }
        let seldom = [
            (shared.trimmed().load(Ordering::Relaxed), "trimmed"),
            (shared.failed().load(Ordering::Relaxed), "dead letters"),
            (link.reconnects, "reconnects"),
            (link.cut_off, "cut off"),
            (counters.too_late, "too late"),
            (counters.duplicates, "duplicates"),
            (counters.outliers, "outliers"),
            (counters.over_symbols_max, "beyond --max-symbols"),
            (self.unmarked, "alerts unmarked"),
        ];
        for (n, name) in seldom.into_iter().filter(|(n, _)| *n > 0) {
            figures.push((Tone::Warn, format!("{name} {}", format::count(n))));
        }
        figures.extend(self.meters.frames().map(|frames| (Tone::Good, frames)));
        figures
    }
}

/// How the store is doing, in a few words.
fn store_figure(status: &DbStatus) -> (Tone, String) {
    let DbStatus { state, waiting, written, dropped, .. } = status;
    let lost = if *dropped > 0 { format!(", dropped {}", format::count(*dropped)) } else { String::new() };
    let waiting = format::count(*waiting);
    match state {
        DbState::Connecting => (Tone::Warn, format!("store opening, {waiting} waiting{lost}")),
        DbState::Writing if *dropped == 0 => (Tone::Good, format!("stored {}", format::count(*written))),
        DbState::Writing => (Tone::Warn, format!("stored {}{lost}", format::count(*written))),
        DbState::Behind => (Tone::Warn, format!("store behind, {waiting} waiting{lost}")),
        DbState::Failing(cause) => (Tone::Bad, format!("store fails: {cause}, {waiting} waiting{lost}")),
    }
}

/// What stands in the header for a stream.
pub(super) fn stream_title(stream: &StreamConfig) -> String {
    let name = display_safe(&stream.name);
    match &stream.group {
        Some(group) => format!("stream {name} \u{b7} group {}", display_safe(&group.name)),
        None => format!("stream {name}"),
    }
}

/// The command that publishes where this consumer listens.
pub(super) fn producer_command(config: &Config) -> String {
    let channel = match &config.channels[..] {
        _ if config.stream.is_some() => {
            format!(" --stream {}", config.stream.as_ref().map_or("".into(), |stream| display_safe(&stream.name)))
        }
        [Channel::Exact(name)] if name != CHANNEL => format!(" --channel {}", config.channels[0]),
        _ => String::new(),
    };
    let server = match &config.target {
        Target::Given(endpoint) => format!(" --redis {endpoint}"),
        Target::Cluster(_) => format!(" --redis {} --cluster", config.target.endpoint()),
        Target::Sentinel(sentinel) => format!(" --redis {sentinel}"),
        Target::Local { port: LOCAL_PORT } => String::new(),
        Target::Local { port } => format!(" --local-port {port}"),
    };
    let separator = if channel.is_empty() && server.is_empty() { "" } else { " --" };
    format!("`cargo run --release --bin producer{separator}{channel}{server}`")
}

pub(super) fn gap_bands(gathered: &FrameData) -> Vec<MissingBand> {
    let visible = |gap: &&(i64, i64, u64)| gap.1 >= gathered.span.start && gap.0 < gathered.span.end;
    let band = |&(start_ns, end_ns, lost): &(i64, i64, u64)| {
        let length = format::span(end_ns.saturating_sub(start_ns));
        let label = if lost > 0 {
            format!("gap {length} \u{b7} {} lost", format::count(lost))
        } else {
            format!("gap {length}")
        };
        MissingBand { start_ns, end_ns, absence: Absence::Missing, label }
    };
    let gaps = gathered.gaps.iter().filter(visible).map(band);
    let label = gathered.recalled.as_ref().map_or_else(String::new, |recalled| match &recalled.state {
        State::Reading => "reading older ticks".to_owned(),
        State::Behind => "the store is behind".to_owned(),
        State::Full => "older ticks: zoom in".to_owned(),
        State::Failing(cause) => format!("the store fails: {cause}"),
    });
    let absence = match gathered.recalled.as_ref().map(|recalled| &recalled.state) {
        Some(State::Failing(_)) => Absence::Missing,
        _ => Absence::Unread,
    };
    let band = |&(start_ns, end_ns): &(i64, i64)| MissingBand { start_ns, end_ns, absence, label: label.clone() };
    let unknown = gathered.unknown.iter().map(band);
    gaps.chain(unknown).collect()
}

pub(super) fn link_badge(link: &Link, gathered: &FrameData, stale_s: Option<u64>, now: Instant) -> Badge {
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

pub(super) fn view_badge(controls: &Interaction, gathered: &FrameData) -> Option<Badge> {
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
