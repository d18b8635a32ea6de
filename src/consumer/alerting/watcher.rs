//! The network side's end of the rules.

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::{Alerting, Fired, lock};
use crate::analysis::Alerts;
use crate::model::TickView;
use crate::series::{AppendOutcome, SeriesMap, SymbolId};

/// Looks at ticks as they go into the book.
pub(in crate::consumer) trait Watch {
    /// A tick, what became of it, and the book that it went into.
    fn saw(&mut self, tick: &TickView<'_>, appended: AppendOutcome, book: &SeriesMap);
    /// The book is no longer locked.
    fn let_go(&mut self);
}

/// Where there are no rules: nothing is looked at, at no cost.
pub(in crate::consumer) struct Unwatched;

impl Watch for Unwatched {
    #[inline]
    fn saw(&mut self, _: &TickView<'_>, _: AppendOutcome, _: &SeriesMap) {}

    #[inline]
    fn let_go(&mut self) {}
}

/// Holds ticks against the rules. These are locked from the first tick on, and let go with the book.
pub(in crate::consumer) struct Watcher<'a> {
    alerting: &'a Alerting,
    alerts: Option<MutexGuard<'a, Alerts>>,
    /// The clock, read once for all that came together.
    now: Instant,
    since_origin: Duration,
    fired: Vec<Fired>,
}

impl<'a> Watcher<'a> {
    pub(in crate::consumer) fn new(alerting: &'a Alerting) -> Self {
        let now = Instant::now();
        let since_origin = now.saturating_duration_since(alerting.origin);
        Self { alerting, alerts: None, now, since_origin, fired: Vec::new() }
    }
}

impl Watch for Watcher<'_> {
    fn saw(&mut self, tick: &TickView<'_>, appended: AppendOutcome, book: &SeriesMap) {
        // A repetition is no news, and what nobody asked for is not watched either.
        if matches!(appended, AppendOutcome::Duplicate | AppendOutcome::Ignored) {
            return;
        }
        let alerting = self.alerting;
        let alerts = self.alerts.get_or_insert_with(|| lock(&alerting.alerts));
        for &number in alerts.update(tick, self.since_origin) {
            let owned = tick.to_tick();
            self.fired.push(Fired {
                time_ns: tick.timestamp.as_nanos(),
                price: Some(tick.price.get()),
                slot: book.id(tick.symbol.as_str()).map(SymbolId::index),
                symbol: owned.symbol.clone(),
                rule: Arc::clone(&alerting.texts[number]),
                at: self.now,
                number,
                tick: Some(owned),
            });
        }
    }

    fn let_go(&mut self) {
        self.alerts = None;
        if !self.fired.is_empty() {
            self.alerting.tell(self.fired.drain(..));
        }
    }
}
