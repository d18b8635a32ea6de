//! Texts about the status of the feed: badges, notices, bands and the footer.

use crate::chart::format;
use crate::chart::interaction::Interaction;
use crate::chart::query::{FrameData, MissingSpan, SymbolFrame};
use crate::chart::scene_builder::{ConnectionState, FrameStatus, SceneBuilder, StorageState, StorageStatus};
use crate::chart::{Absence, AxisKind, BackfillState, Badge, MissingBand, Notice, Tone};

impl SceneBuilder {
    /// The message in the middle of a chart that shows no data.
    pub(super) fn notice(&self, data: &FrameData, connection: &ConnectionState) -> Option<Notice> {
        let notice = |tone, title: String, lines: &[&str]| {
            Some(Notice { tone, title, lines: lines.iter().map(|line| (*line).to_owned()).collect() })
        };
        if data.hit.edge_ns.is_some() {
            let (title, lines) = empty_chart(data)?;
            return notice(Tone::Info, title.to_owned(), lines);
        }
        let server = &self.labels.server;
        match connection {
            ConnectionState::Connecting => notice(Tone::Info, format!("Connecting to {server}"), &[]),
            ConnectionState::Down { cause, .. } => {
                notice(Tone::Bad, format!("No connection to {server}"), &[cause, "Trying again"])
            }
            ConnectionState::Live => {
                let title = format!("Waiting for ticks on {}", self.labels.channel);
                notice(Tone::Info, title, &["Start a producer in another terminal:", &self.labels.producer_command])
            }
        }
    }

    /// The figures of the footer. Alarming ones come first, because a narrow window has no room for all.
    pub(super) fn figures(data: &FrameData, status: &FrameStatus) -> Vec<(Tone, String)> {
        let counters = &data.counters;
        let good = |text| (Tone::Good, text);
        let alarming = |name: &str, n: u64| {
            let tone = if n > 0 { Tone::Warn } else { Tone::Good };
            (tone, format!("{name} {}", format::count(n)))
        };
        let storage = status.storage.as_ref().map(storage_figure);
        let (storage_well, storage_ill) = match storage {
            Some(figure) if figure.0 == Tone::Good => (Some(figure), None),
            figure => (None, figure),
        };
        let page = data.view.page.filter(|page| page.count > 1);
        let page = page.map(|page| (Tone::Info, format!("page {} of {}", page.index + 1, page.count)));
        let latency = status
            .latency_ms
            .map(|(p50, p99)| good(format!("latency p50 {} p99 {}", format::latency(p50), format::latency(p99))));
        let rare = [
            ("trimmed", status.trimmed),
            ("dead letters", status.dead_letters),
            ("reconnects", status.reconnects),
            ("cut off", status.slow_consumer_disconnects),
            ("too late", counters.too_late),
            ("duplicates", counters.duplicates),
            ("outliers", counters.outliers),
            ("beyond --max-symbols", counters.over_symbols_max),
            ("alerts unmarked", status.alerts_dropped),
        ];
        let mut figures: Vec<_> = storage_ill.into_iter().chain(page).collect();
        figures.extend([
            good(format!("{} ticks/s", format::rate(status.ticks_per_s))),
            good(format!("{} kept", format::count(counters.kept))),
        ]);
        figures.extend(latency);
        figures.extend([alarming("lost", counters.lost), alarming("rejected", status.rejected)]);
        figures.extend(storage_well);
        figures.extend((status.other > 0).then(|| (Tone::Info, format!("other {}", format::count(status.other)))));
        figures.extend(rare.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| alarming(name, n)));
        figures.extend(status.frames.map(|(per_s, ms)| good(format!("{per_s:.0} fps {ms:.1} ms"))));
        figures
    }
}

/// The reason why a chart shows no data although there is some, and the keys that help. `None` if it shows data.
fn empty_chart(data: &FrameData) -> Option<(&'static str, &'static [&'static str])> {
    if !data.symbols.iter().any(|symbol| symbol.visible) {
        return Some(("All symbols are hidden", &["`0` shows them again"]));
    }
    if data.drawn().all(SymbolFrame::is_empty) {
        // Spans that are not loaded have a band that says so.
        return data
            .not_loaded
            .is_empty()
            .then_some(("No ticks in this span", &["`End` goes back to live", "`\u{2212}` shows more time"]));
    }
    let has_positive = data.drawn().any(|symbol| symbol.range.is_some_and(|(_, hi)| hi > 0.0));
    (data.hit.axis == AxisKind::Log && !has_positive)
        .then_some(("No price above zero to show", &["A logarithmic axis has no other; `A` changes the axis"]))
}

fn storage_figure(status: &StorageStatus) -> (Tone, String) {
    let StorageStatus { state, waiting, written, dropped } = status;
    let lost = if *dropped > 0 { format!(", dropped {}", format::count(*dropped)) } else { String::new() };
    let waiting = format::count(*waiting);
    match state {
        StorageState::Opening => (Tone::Warn, format!("store opening, {waiting} waiting{lost}")),
        StorageState::Writing => {
            let tone = if *dropped == 0 { Tone::Good } else { Tone::Warn };
            (tone, format!("stored {}{lost}", format::count(*written)))
        }
        StorageState::Behind => (Tone::Warn, format!("store behind, {waiting} waiting{lost}")),
        StorageState::Failing(cause) => (Tone::Bad, format!("store fails: {cause}, {waiting} waiting{lost}")),
    }
}

/// The bands of spans without data, and of spans that are not loaded.
pub(super) fn missing_bands(data: &FrameData) -> Vec<MissingBand> {
    let is_visible = |span: &&MissingSpan| span.end_ns >= data.span.start && span.start_ns < data.span.end;
    let missing = data.missing.iter().filter(is_visible).map(|&MissingSpan { start_ns, end_ns, missing }| {
        let lost = if missing > 0 { format!(" \u{b7} {} lost", format::count(missing)) } else { String::new() };
        let label = format!("gap {}{lost}", format::span(end_ns.saturating_sub(start_ns)));
        MissingBand { start_ns, end_ns, absence: Absence::Missing, label }
    });
    let (absence, label) = match &data.backfill_state {
        BackfillState::Reading => (Absence::Unread, "reading older ticks".to_owned()),
        BackfillState::Behind => (Absence::Unread, "the store is behind".to_owned()),
        BackfillState::Full => (Absence::Unread, "older ticks: zoom in".to_owned()),
        BackfillState::Failing(cause) => (Absence::Missing, format!("the store fails: {cause}")),
    };
    let not_loaded = data.not_loaded.iter().map(|&(start_ns, end_ns)| MissingBand {
        start_ns,
        end_ns,
        absence,
        label: label.clone(),
    });
    missing.chain(not_loaded).collect()
}

pub(super) fn connection_badge(data: &FrameData, status: &FrameStatus) -> Badge {
    let (tone, text) = match (&status.connection, status.stale_for) {
        (ConnectionState::Connecting, _) => (Tone::Warn, "CONNECTING".to_owned()),
        (ConnectionState::Down { down_for, .. }, _) => (Tone::Bad, format!("DISCONNECTED {} s", down_for.as_secs())),
        (ConnectionState::Live, _) if data.hit.edge_ns.is_none() => (Tone::Info, "WAITING".to_owned()),
        (ConnectionState::Live, Some(stale_for)) => {
            (Tone::Warn, format!("STALE {}", format::span(stale_for.as_secs() as i64 * 1_000_000_000)))
        }
        (ConnectionState::Live, None) => (Tone::Good, "LIVE".to_owned()),
    };
    Badge { tone, text }
}

/// The badge of a view that does not follow the live edge.
pub(super) fn view_badge(data: &FrameData, interaction: &Interaction) -> Option<Badge> {
    let text = if interaction.is_paused() {
        "PAUSED".to_owned()
    } else if interaction.follows() {
        return None;
    } else {
        let behind_ns = data.hit.edge_ns.map_or(0, |edge_ns| edge_ns.saturating_sub(data.span.end));
        format!("{} BACK", format::span(behind_ns))
    };
    Some(Badge { tone: Tone::Info, text })
}
