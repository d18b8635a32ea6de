//! Alerts: ticks are checked against the rules as they arrive. A task of its own checks for silence, writes the log
//! and starts commands, and the chart reads the log of what fired. Firing an alert never blocks.

mod dispatcher;
mod hook;
mod rules;
mod watcher;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::analysis::{Alerts, Rule};
use crate::chart::{FiredAlert, live_edge_ns};
use crate::consumer::series_handle::{SeriesHandle, lock};
use crate::model::{Symbol, Tick, Timestamp};
use crate::series::SymbolId;
pub(super) use dispatcher::AlertDispatcher;
pub(super) use hook::FIRED_RULE;
use hook::HookQueue;
pub use hook::HooksReport;
pub use rules::AlertError;
pub(super) use rules::parse_rules;
pub(super) use watcher::Watcher;

/// Most alerts that the chart can mark: more would hide what they are about.
const FIRED_MAX: usize = 256;

/// Least time between two log lines of one rule.
const LOGGED_EVERY: Duration = Duration::from_secs(1);

/// Alert that fired.
#[derive(Debug, Clone)]
pub(super) struct Fired {
    /// Mark in the chart. A silence has no price, and the time of the live edge at detection.
    pub(super) mark: FiredAlert,
    /// Displays safely.
    symbol: Symbol,
    pub(super) at: Instant,
    /// Index of the rule.
    number: usize,
    /// Tick that fired the alert; for a silence, the symbol's last tick.
    tick: Option<Tick>,
}

impl Fired {
    /// The symbol and its price, in parentheses.
    pub(super) fn subject(&self) -> String {
        match self.mark.price {
            Some(price) => format!("({} at {price})", self.symbol),
            None => format!("(nothing from {})", self.symbol),
        }
    }
}

/// Log state of one rule.
#[derive(Debug, Default)]
struct LogState {
    /// Times the rule fired since the last log line.
    pending: u64,
    latest: Option<Fired>,
    last_line: Option<Instant>,
}

/// Bounded log of what fired. The chart marks its entries.
#[derive(Debug, Default)]
pub(super) struct AlertLog {
    entries: VecDeque<Fired>,
    dropped: u64,
    rules: Vec<LogState>,
    /// Alerts that wait for the command; `None` without one.
    hooks: Option<HookQueue>,
}

impl AlertLog {
    /// Newest alerts in the order in which they fired.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Fired> {
        self.entries.iter()
    }

    /// Older alerts that [`AlertLog::iter`] no longer returns.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn push(&mut self, fired: Fired) {
        if let Some(state) = self.rules.get_mut(fired.number) {
            state.pending += 1;
            state.latest = Some(fired.clone());
        }
        if let Some(hooks) = &mut self.hooks {
            hooks.offer(fired.clone());
        }
        if self.entries.len() == FIRED_MAX {
            self.entries.pop_front();
            self.dropped += 1;
        }
        self.entries.push_back(fired);
    }

    /// Log lines that are due; with `all`, also those that the rate limit holds back.
    fn due_lines(&mut self, now: Instant, all: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for state in self.rules.iter_mut().filter(|state| state.pending > 0) {
            let is_limited = state.last_line.is_some_and(|last| now.saturating_duration_since(last) < LOGGED_EVERY);
            let Some(fired) = state.latest.as_ref().filter(|_| all || !is_limited) else { continue };
            let more = state.pending - 1;
            let more = if more > 0 { format!(" [and {more} more before it]") } else { String::new() };
            lines.push(format!("alert: {} {}{more}", fired.mark.rule, fired.subject()));
            (state.pending, state.last_line) = (0, Some(now));
        }
        lines
    }
}

/// Alert rules and the log of what fired.
pub(super) struct Alerting {
    /// Rules as text.
    texts: Vec<Arc<str>>,
    /// Locked by the network side while it appends ticks, and to check for silence.
    rules: Mutex<Alerts>,
    /// Separate from the rules, so that a frame that reads the log never waits for a batch of ticks.
    log: Mutex<AlertLog>,
    /// Wakes the dispatcher.
    wake: Notify,
    /// Origin of the silence clock.
    origin: Instant,
}

impl Alerting {
    /// Creates the state of `rules`. With `has_command`, alerts are also queued for the command.
    pub(super) fn new(rules: Vec<Rule>, has_command: bool) -> Self {
        let texts: Vec<Arc<str>> = rules.iter().map(|rule| rule.to_string().into()).collect();
        let log = AlertLog {
            rules: texts.iter().map(|_| LogState::default()).collect(),
            hooks: has_command.then(HookQueue::default),
            ..AlertLog::default()
        };
        let (rules, log) = (Mutex::new(Alerts::new(rules)), Mutex::new(log));
        Self { texts, rules, log, wake: Notify::new(), origin: Instant::now() }
    }

    /// Returns true if there are no rules.
    pub(super) fn is_idle(&self) -> bool {
        self.texts.is_empty()
    }

    pub(super) fn log(&self) -> MutexGuard<'_, AlertLog> {
        lock(&self.log)
    }

    /// Number of alerts by rule; empty without rules.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let rules = lock(&self.rules);
        self.texts.iter().zip(rules.counts()).map(|(text, count)| (text.to_string(), *count)).collect()
    }

    /// Statistics of the command; `None` without one.
    pub(super) fn hooks(&self) -> Option<HooksReport> {
        self.log().hooks.as_ref().map(|hooks| hooks.report)
    }

    /// Starts the silence clock: the feed is live.
    pub(super) fn start_silence_clock(&self) {
        if !self.is_idle() {
            lock(&self.rules).start_watching(self.origin.elapsed());
        }
    }

    fn push(&self, fired: impl IntoIterator<Item = Fired>) {
        let mut log = self.log();
        fired.into_iter().for_each(|fired| log.push(fired));
        drop(log);
        self.wake.notify_one();
    }

    /// Checks for symbols that fell silent. Returns true if any rule fired.
    fn check_silence(&self, series: &SeriesHandle) -> bool {
        let silent = lock(&self.rules).check_stale(self.origin.elapsed());
        if silent.is_empty() {
            return false;
        }
        let (series, now) = (series.lock(), Timestamp::now());
        let time_ns = live_edge_ns(&series, now).unwrap_or(now.as_nanos());
        let at = Instant::now();
        let fired: Vec<Fired> = silent
            .into_iter()
            .map(|(number, symbol, tick)| {
                let index = series.id(symbol.as_str()).map(SymbolId::index);
                let rule = Arc::clone(&self.texts[number]);
                Fired { mark: FiredAlert { time_ns, price: None, symbol: index, rule }, symbol, at, number, tick }
            })
            .collect();
        drop(series);
        self.push(fired);
        true
    }
}
