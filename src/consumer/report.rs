//! Statistics of a whole run.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::consumer::alerting::HooksReport;
use crate::consumer::handles::Handles;
use crate::consumer::meters::{FramesReport, LatencyReport, Meters};
use crate::consumer::snapshot::SnapshotError;
use crate::model::is_display_safe;
use crate::series::Series;
use crate::storage::TickFileError;

/// Statistics of one symbol over everything received.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SymbolReport {
    /// Ticks received.
    pub count: u64,
    /// Price of the earliest tick.
    pub first: f64,
    /// Price of the latest tick.
    pub last: f64,
    /// Lowest price.
    pub min: f64,
    /// Highest price.
    pub max: f64,
}

/// Rows handed to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StoreReport {
    /// New rows.
    pub written: u64,
    /// Rows that existed already or arrived twice.
    pub duplicates: u64,
    /// Rows given up because the queue was full or the run ended.
    pub dropped: u64,
    /// Stream rows that were not committed before the end. The next run reads them from the stream.
    pub left: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Statistics of a whole run, as `--stats json` prints them.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Valid ticks of the feed. Together with `restored`, the sum of the other tick counts.
    pub received: u64,
    /// Ticks in memory at the end.
    pub kept: u64,
    /// Ticks evicted by newer ones.
    pub evicted: u64,
    /// Objects and messages that are not ticks, by cause.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Messages, and elements of messages, of another kind than ticks: acknowledgements, quotes, bars.
    #[serde(skip_serializing_if = "is_zero")]
    pub other: u64,
    /// Missing ticks, according to the producers' sequence numbers.
    pub lost: u64,
    /// Ticks that arrived twice.
    pub duplicates: u64,
    /// Ticks flagged by the bad-print filter.
    #[serde(skip_serializing_if = "is_zero")]
    pub outliers: u64,
    /// Ticks that arrived too late to be placed.
    pub too_late: u64,
    /// Ticks of symbols that `--symbols` excludes.
    pub ignored: u64,
    /// Ticks of symbols beyond `--max-symbols`.
    pub over_max_symbols: u64,
    /// Reconnections.
    pub reconnects: u64,
    /// Disconnections by the server because this reader fell behind.
    pub cut_off: u64,
    /// Ticks loaded from the database at the start; not part of `received`.
    #[serde(skip_serializing_if = "is_zero")]
    pub restored: u64,
    /// Stream entries that were trimmed before they were read.
    #[serde(skip_serializing_if = "is_zero")]
    pub trimmed: u64,
    /// Stream entries without a tick that were moved to the dead letters.
    #[serde(skip_serializing_if = "is_zero")]
    pub dead_letters: u64,
    /// Rows handed to the database; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreReport>,
    /// Length of the run, s.
    pub elapsed_s: f64,
    /// Latency from timestamp to screen; absent without a view or without a producer whose clock agrees with ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<LatencyReport>,
    /// Frames drawn; absent without a view.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<FramesReport>,
    /// Number of alerts by rule; absent without rules.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub alerts: BTreeMap<String, u64>,
    /// Statistics of the `--on-alert` command; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<HooksReport>,
    /// Statistics by symbol, named as received.
    pub symbols: BTreeMap<String, SymbolReport>,
    /// Error of a requested snapshot.
    #[serde(skip)]
    pub snapshot_error: Option<SnapshotError>,
    /// Error of a requested export.
    #[serde(skip)]
    pub export_error: Option<TickFileError>,
}

impl Report {
    pub(super) fn collect(handles: &Handles, meters: &Meters, elapsed_s: f64) -> Self {
        let Handles { series, feed, alerting, storage, .. } = handles;
        // Read before the series are locked: connection state comes first in the order of locks.
        let (reconnects, cut_off) = {
            let connection = feed.connection();
            (connection.reconnects, connection.cut_off)
        };
        let series = series.lock();
        let counters = series.counters();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let of_symbol = |series: &Series| {
            series.statistics().map(|all| SymbolReport {
                count: series.received(),
                first: all.first.price,
                last: all.last.price,
                min: all.min,
                max: all.max,
            })
        };
        let symbols = series
            .iter()
            .filter_map(|(_, symbol, series)| Some((symbol.as_str().to_owned(), of_symbol(series)?)))
            .collect();
        Self {
            received: feed.without_restored(counters.received),
            kept: counters.kept,
            evicted: counters.evicted,
            rejected: feed.rejects().iter().collect(),
            other: load(&feed.counters.other),
            lost: counters.lost,
            duplicates: counters.duplicates,
            outliers: counters.outliers,
            too_late: counters.too_late,
            ignored: counters.ignored,
            over_max_symbols: counters.over_symbols_max,
            reconnects,
            cut_off,
            restored: load(&feed.counters.restored),
            trimmed: load(&feed.counters.trimmed),
            dead_letters: load(&feed.counters.dead_letters),
            store: storage.as_ref().map(|storage| {
                let status = storage.status();
                let (written, duplicates, dropped) = (status.written, status.duplicates, status.dropped);
                StoreReport { written, duplicates, dropped, left: storage.uncommitted() }
            }),
            elapsed_s,
            latency_ms: meters.latency_report(),
            frames: meters.frames_report(),
            alerts: alerting.counts(),
            hooks: alerting.hooks(),
            symbols,
            snapshot_error: None,
            export_error: None,
        }
    }

    /// Returns one line of JSON, safe for a terminal: control characters are escaped.
    pub fn to_json(&self) -> String {
        // Serializing numbers and strings cannot fail. An empty object would still be valid.
        let json = serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned());
        // JSON permits DEL, the C1 controls and bidirectional controls. Here they occur in strings only.
        let mut safe = String::with_capacity(json.len());
        for c in json.chars() {
            match c {
                c if is_display_safe(c) => safe.push(c),
                // Writing to a string cannot fail.
                c => drop(write!(safe, "\\u{:04x}", u32::from(c))),
            }
        }
        safe
    }
}
