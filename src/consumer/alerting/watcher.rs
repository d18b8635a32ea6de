//! Check of incoming ticks against the alert rules.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::{Alerting, Fired, lock};
use crate::analysis::Alerts;
use crate::chart::FiredAlert;
use crate::model::TickView;
use crate::series::{AppendOutcome, SeriesMap, SymbolId};

/// Checks one batch of ticks. Locks the rules at the first tick, while the series are locked, and releases both
/// together.
pub(in crate::consumer) struct Watcher<'a> {
    alerting: &'a Alerting,
    rules: Option<MutexGuard<'a, Alerts>>,
    /// Read once for the whole batch.
    now: Instant,
    since_origin: Duration,
    fired: Vec<Fired>,
}

impl<'a> Watcher<'a> {
    pub(in crate::consumer) fn new(alerting: &'a Alerting) -> Self {
        let now = Instant::now();
        let since_origin = now.saturating_duration_since(alerting.origin);
        Self { alerting, rules: None, now, since_origin, fired: Vec::new() }
    }

    /// Checks a tick that was appended to `series`.
    pub(in crate::consumer) fn check(&mut self, tick: &TickView<'_>, appended: AppendOutcome, series: &SeriesMap) {
        if matches!(appended, AppendOutcome::Duplicate | AppendOutcome::Ignored) {
            return;
        }
        let alerting = self.alerting;
        let rules = self.rules.get_or_insert_with(|| lock(&alerting.rules));
        for &number in rules.update(tick, self.since_origin) {
            let owned = tick.to_tick();
            let mark = FiredAlert {
                time_ns: tick.timestamp.as_nanos(),
                price: Some(tick.price.get()),
                symbol: series.id(tick.symbol.as_str()).map(SymbolId::index),
                rule: Arc::clone(&alerting.texts[number]),
            };
            let symbol = owned.symbol.clone();
            self.fired.push(Fired { mark, symbol, at: self.now, number, tick: Some(owned) });
        }
    }

    /// Releases the rules and publishes what fired. Call it once the series are unlocked.
    pub(in crate::consumer) fn release(&mut self) {
        self.rules = None;
        if !self.fired.is_empty() {
            self.alerting.push(self.fired.drain(..));
        }
    }
}
