//! What is said at the end of a run.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering;

use serde::Serialize;

use crate::consumer::alerting::HooksReport;
use crate::consumer::meters::{FramesReport, LatencyReport, Meters};
use crate::consumer::shared::Shared;
use crate::consumer::snapshot::SnapshotError;
use crate::model::is_display_safe;
use crate::storage::TickFileError;

/// One symbol's figures over everything received.
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

/// What became of ticks in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StoreReport {
    /// Rows that were not there before.
    pub written: u64,
    /// Rows that were there already, or came twice.
    pub duplicates: u64,
    /// Rows that were given up: more waited than may, or the end came first.
    pub dropped: u64,
    /// Rows of a stream that the end came before: the next run reads them from there.
    pub left: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Figures of a whole run; `--stats json` prints them.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Well-formed ticks. With those that were restored, what the other figures add up to.
    pub received: u64,
    /// Ticks in memory at the end.
    pub kept: u64,
    /// Ticks that gave way to newer ones.
    pub evicted: u64,
    /// Objects and messages that were no ticks, by cause.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Ticks that never came, by the running numbers of their producers.
    pub lost: u64,
    /// Ticks that came twice.
    pub duplicates: u64,
    /// Ticks that the filter set apart.
    #[serde(skip_serializing_if = "is_zero")]
    pub outliers: u64,
    /// Ticks that came too late to be placed.
    pub too_late: u64,
    /// Ticks of symbols that were not asked for.
    pub ignored: u64,
    /// Ticks of symbols beyond `--max-symbols`.
    pub over_max_symbols: u64,
    /// Times the connection came back.
    pub reconnects: u64,
    /// Times the server cut the connection off because this reader fell behind.
    pub cut_off: u64,
    /// Ticks that came from the store at the start; not among those received.
    #[serde(skip_serializing_if = "is_zero")]
    pub restored: u64,
    /// Entries that their stream gave up before they were read.
    #[serde(skip_serializing_if = "is_zero")]
    pub trimmed: u64,
    /// Entries that were no ticks and went to the dead letters.
    #[serde(skip_serializing_if = "is_zero")]
    pub dead_letters: u64,
    /// What became of ticks in the store; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreReport>,
    /// Length of the run, s.
    pub elapsed_s: f64,
    /// From timestamp to screen; absent without a window, and where no clock was comparable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<LatencyReport>,
    /// Frames drawn; absent without a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<FramesReport>,
    /// Times each rule of `--alert` fired; absent without any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub alerts: BTreeMap<String, u64>,
    /// What became of the command of `--on-alert`; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<HooksReport>,
    /// By symbol, as it came over the wire.
    pub symbols: BTreeMap<String, SymbolReport>,
    /// The snapshot that was asked for could not be written.
    #[serde(skip)]
    pub snapshot_error: Option<SnapshotError>,
    /// The export that was asked for could not be written.
    #[serde(skip)]
    pub export_error: Option<TickFileError>,
}

impl Report {
    pub(super) fn collect(shared: &Shared, meters: &Meters, elapsed_s: f64) -> Self {
        let rejected = shared.rejects().iter().collect();
        let (reconnects, cut_off) = {
            let link = shared.link();
            (link.reconnects, link.cut_off)
        };
        let restored = shared.restored().load(Ordering::Relaxed);
        let book = shared.book();
        let counters = book.counters();
        let of_symbol = |series: &crate::series::Series| {
            series.statistics().map(|all| SymbolReport {
                count: series.received(),
                first: all.first.price,
                last: all.last.price,
                min: all.min,
                max: all.max,
            })
        };
        let symbols = book
            .iter()
            .filter_map(|(_, symbol, series)| Some((symbol.as_str().to_owned(), of_symbol(series)?)))
            .collect();
        Self {
            received: counters.received.saturating_sub(restored),
            kept: counters.kept,
            evicted: counters.evicted,
            rejected,
            lost: counters.lost,
            duplicates: counters.duplicates,
            outliers: counters.outliers,
            too_late: counters.too_late,
            ignored: counters.ignored,
            over_max_symbols: counters.over_symbols_max,
            reconnects,
            cut_off,
            restored,
            trimmed: shared.trimmed().load(Ordering::Relaxed),
            dead_letters: shared.failed().load(Ordering::Relaxed),
            store: shared.keeping().map(|keeping| {
                let status = keeping.status();
                let (written, duplicates, dropped) = (status.written, status.duplicates, status.dropped);
                StoreReport { written, duplicates, dropped, left: keeping.left() }
            }),
            elapsed_s,
            latency_ms: meters.latency_report(),
            frames: meters.frames_report(),
            alerts: shared.alerting().counts(),
            hooks: shared.alerting().hooks(),
            symbols,
            snapshot_error: None,
            export_error: None,
        }
    }

    /// One line of JSON, safe for a terminal: what could steer one is written as an escape.
    pub fn to_json(&self) -> String {
        // Numbers and strings only: this cannot fail, and an empty object would still be valid.
        let json = serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned());
        if json.chars().all(is_display_safe) {
            return json;
        }
        // JSON leaves DEL, the C1 controls and what turns text around as they are. Here they stand in strings only.
        let mut safe = String::with_capacity(json.len() + 16);
        for c in json.chars() {
            if is_display_safe(c) {
                safe.push(c);
            } else {
                // A string takes every write: there is no error to handle.
                let _ = write!(safe, "\\u{:04x}", u32::from(c));
            }
        }
        safe
    }
}
