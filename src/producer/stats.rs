//! Statistics of a run, as a line of text and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use compact_str::CompactString;
use indicatif::HumanCount;
use serde::Serialize;
use tokio::time::Instant;

use crate::producer::input::{InputError, InputReport};
use crate::producer::shards::{ShardReport, Shards};

/// Statistics of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Ticks that the server has confirmed.
    pub sent: u64,
    /// Ticks that were due and never confirmed, because the queue was full during an outage or the run ended.
    pub dropped: u64,
    /// Number of reconnects.
    pub reconnects: u64,
    /// Time from the first connection to the last tick, in seconds.
    pub elapsed_s: f64,
    /// Ticks per second.
    pub rate: f64,
    /// Rows of the input that are not ticks, by cause.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Subscribers that the last tick reached.
    pub receivers: Option<u64>,
    /// `source` of the ticks.
    pub source: Option<String>,
    /// Ticks of an earlier run that were in the spool at the start.
    pub recovered: u64,
    /// Ticks left in the spool for the next run.
    pub spooled: u64,
    /// Ticks that could not be written to the spool and were only kept in memory.
    pub unspooled: u64,
    /// Deliveries of each shard.
    #[serde(rename = "lanes")]
    pub shards: Vec<ShardReport>,
    /// Error that ended the input.
    #[serde(skip)]
    pub input_error: Option<InputError>,
    /// Rejected rows, with the first location of each cause.
    #[serde(skip)]
    rejections: String,
}

impl Report {
    pub(super) fn new(
        shards: &Shards,
        fed_at: Instant,
        covered: Option<Duration>,
        id: Option<CompactString>,
        input: InputReport,
    ) -> Self {
        let (snapshot, shards) = (shards.snapshot(), shards.reports());
        let ended_at = snapshot.confirmed_at.map_or(fed_at, |at| at.max(fed_at));
        let elapsed = snapshot.connected_at.map_or(Duration::ZERO, |at| ended_at.saturating_duration_since(at));
        let covered_s = covered.unwrap_or(elapsed).as_secs_f64();
        let rate = if covered_s > 0.0 { snapshot.sent as f64 / covered_s } else { 0.0 };
        Self {
            sent: snapshot.sent,
            dropped: snapshot.dropped,
            reconnects: snapshot.reconnects,
            elapsed_s: rounded(elapsed.as_secs_f64()),
            rate: rounded(rate),
            rejected: input.rejections.counts().iter().collect(),
            receivers: snapshot.receivers,
            source: id.map(String::from),
            recovered: snapshot.recovered,
            spooled: shards.iter().map(|shard| shard.deliveries.spooled).sum(),
            unspooled: snapshot.unspooled,
            shards,
            rejections: input.rejections.summary(),
            input_error: input.error,
        }
    }

    /// Returns one JSON object on one line.
    pub fn to_json(&self) -> String {
        // Numbers and strings always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Rounds to a thousandth; further digits are noise.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let Self { sent, dropped, reconnects, elapsed_s, rate, .. } = self;
        write!(f, "sent {} tick{} in {elapsed_s:.1} s ({})", HumanCount(*sent), plural(*sent), rate_text(*rate))?;
        write!(f, ", {reconnects} reconnect{}", plural(*reconnects))?;
        match dropped {
            0 => f.write_str(", nothing dropped")?,
            _ => write!(f, ", {} dropped", HumanCount(*dropped))?,
        }
        let of_spool = [(self.recovered, "recovered from"), (self.spooled, "left in"), (self.unspooled, "never in")];
        for (count, verb) in of_spool.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {} {verb} the spool", HumanCount(count))?;
        }
        match self.receivers {
            Some(0) => f.write_str(", nobody subscribed at the end")?,
            Some(count) => write!(f, ", {count} subscriber{} at the end", plural(count))?,
            None => {}
        }
        if !self.rejections.is_empty() {
            write!(f, "; rejected {}", self.rejections)?;
        }
        Ok(())
    }
}

/// Returns ticks per second as text, with decimals for low rates only.
pub(super) fn rate_text(rate: f64) -> String {
    if rate >= 100.0 { format!("{}/s", HumanCount(rate.round() as u64)) } else { format!("{rate:.1}/s") }
}
