//! Evaluation of alert rules on ticks as they arrive.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::rule::{Condition, MoveSize, Relation, Rule, Scope};
use crate::analysis::price_move::{Window, WindowUpdate};
use crate::model::{Name, Symbol, Tick, TickView};

/// Maximum number of symbols that rules for `*` watch, in order of arrival; ticks of further ones are counted. Equals
/// the default number of symbols kept, and bounds feeds that invent names. Symbols named by a rule are always watched.
pub const WATCHED_SYMBOLS_MAX: usize = 4_096;

/// State of one rule for one symbol.
#[derive(Debug)]
enum State {
    Level {
        relation: Relation,
        level: f64,
        /// Set if the last price was on the near side of the level, or there is none yet.
        armed: bool,
    },
    Move {
        size: MoveSize,
        window: Box<Window>,
        /// Newest event time when the rule last fired.
        fired_ns: Option<i64>,
    },
    Stale {
        after: Duration,
        /// Set if the current silence was reported.
        reported: bool,
    },
}

impl State {
    fn new(condition: Condition) -> Self {
        match condition {
            Condition::Level { relation, level } => Self::Level { relation, level, armed: true },
            Condition::Move { size, within } => {
                let length_ns = i64::try_from(within.as_nanos()).unwrap_or(i64::MAX);
                Self::Move { size, window: Box::new(Window::new(length_ns)), fired_ns: None }
            }
            Condition::Stale { after } => Self::Stale { after, reported: false },
        }
    }

    /// Adds a tick and returns whether the rule fires.
    fn update(&mut self, time_ns: i64, price: f64) -> bool {
        match self {
            Self::Level { relation, level, armed } => {
                let is_far = relation.holds(price, *level);
                std::mem::replace(armed, !is_far) && is_far
            }
            Self::Move { size, window, fired_ns } => {
                let (lowest, highest) = match window.add(time_ns, price) {
                    WindowUpdate::Inside { lowest, highest } => (lowest, highest),
                    WindowUpdate::Outside => return false,
                    WindowUpdate::First => {
                        *fired_ns = None;
                        return false;
                    }
                };
                let oldest_ns = window.newest_ns.map_or(i64::MIN, |newest| newest.saturating_sub(window.length_ns));
                if fired_ns.is_some_and(|fired_ns| fired_ns >= oldest_ns) || !has_moved(*size, price, lowest, highest) {
                    return false;
                }
                *fired_ns = window.newest_ns;
                true
            }
            Self::Stale { reported, .. } => {
                *reported = false;
                false
            }
        }
    }
}

/// Returns whether a price is far enough above the lowest or below the highest one. No percentage of 0 is far enough.
fn has_moved(size: MoveSize, price: f64, lowest: f64, highest: f64) -> bool {
    match size {
        MoveSize::Absolute(size) => price - lowest >= size || highest - price >= size,
        MoveSize::Percent(percent) => {
            let is_enough = |change: f64, of: f64| of != 0.0 && change * 100.0 >= percent * of.abs();
            is_enough(price - lowest, lowest) || is_enough(highest - price, highest)
        }
    }
}

/// Symbol with the rules that apply to it.
#[derive(Debug)]
struct WatchedSymbol {
    symbol: Symbol,
    /// Time of the last tick by the reader's clock, or of the start of watching; `None` before either.
    since: Option<Duration>,
    last: Option<Tick>,
    rules: Vec<(usize, State)>,
}

/// Alert rules with their state for each symbol.
///
/// - A **level** rule fires when a price is on the far side of the level and the previous one was not, and on the first
///   tick if its price is there already. It fires again after the price has been back. Ticks count in order of arrival.
/// - A **move** rule fires when a price is far enough from the lowest or highest one of its window of event time. It
///   fires again only after the window has passed the tick at which it fired: at most once per window. Late ticks count
///   while they lie in the window.
/// - A **stale** rule fires once when no tick has arrived for its time by the reader's clock: since the last tick or,
///   for symbols named by a rule, since the subscription became live. The next tick ends the silence. A broken
///   connection counts as silence.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tickscope::analysis::{Alerts, Rule};
/// use tickscope::model::{Price, Symbol, Tick, Timestamp};
///
/// let rule: Rule = "AAPL > 190".parse()?;
/// let mut alerts = Alerts::new(vec![rule]);
/// let mut fires = |price| {
///     let (symbol, price) = (Symbol::new("AAPL").unwrap(), Price::new(price).unwrap());
///     let tick = Tick { symbol, price, timestamp: Timestamp::default(), size: None, seq: None, source: None };
///     !alerts.update(&tick.view(), Duration::ZERO).is_empty()
/// };
/// assert_eq!([fires(189.5), fires(190.5), fires(191.0)], [false, true, false]);
/// # Ok::<(), tickscope::analysis::RuleError>(())
/// ```
#[derive(Debug)]
pub struct Alerts {
    rules: Vec<Rule>,
    indices: HashMap<Box<[u8]>, usize, RandomState>,
    watches: Vec<WatchedSymbol>,
    /// Indices of the rules for all symbols.
    all_symbol_rules: Vec<usize>,
    live: Option<Duration>,
    counts: Vec<u64>,
    /// Indices of the rules that fired at the last tick.
    fired: Vec<usize>,
    unwatched: u64,
}

impl Alerts {
    /// Creates the alerts. Rules are known by their indices in `rules`.
    pub fn new(rules: Vec<Rule>) -> Self {
        let is_for_all = |number: &usize| *rules[*number].scope() == Scope::All;
        let mut alerts = Self {
            all_symbol_rules: (0..rules.len()).filter(is_for_all).collect(),
            counts: vec![0; rules.len()],
            rules,
            indices: HashMap::default(),
            watches: Vec::new(),
            live: None,
            fired: Vec::new(),
            unwatched: 0,
        };
        for number in 0..alerts.rules.len() {
            if let Scope::Symbol(symbol) = alerts.rules[number].scope().clone() {
                alerts.add_symbol(symbol);
            }
        }
        alerts
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Number of times that each rule has fired.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Number of ticks that were not evaluated because their symbols are beyond [`WATCHED_SYMBOLS_MAX`].
    pub fn unwatched(&self) -> u64 {
        self.unwatched
    }

    /// Number of prices that windows dropped because there were more than [`EXTREMES_MAX`](super::EXTREMES_MAX).
    pub fn thinned(&self) -> u64 {
        let states = self.watches.iter().flat_map(|watch| &watch.rules);
        let windows =
            states.filter_map(|(_, state)| if let State::Move { window, .. } = state { Some(window) } else { None });
        windows.map(|window| window.thinned()).sum()
    }

    /// Evaluates a tick that arrived at `now`, the time since any fixed instant by a monotonic clock. Returns the
    /// indices of the rules that fire, in order. Takes amortised constant time per rule of the symbol.
    pub fn update(&mut self, tick: &TickView<'_>, now: Duration) -> &[usize] {
        self.fired.clear();
        let Some(index) = self.find_or_add(tick.symbol) else { return &self.fired };
        let watch = &mut self.watches[index];
        watch.since = Some(now);
        for (number, state) in &mut watch.rules {
            if state.update(tick.timestamp.as_nanos(), tick.price.get()) {
                self.fired.push(*number);
                self.counts[*number] += 1;
            }
        }
        if watch.rules.iter().any(|(_, state)| matches!(state, State::Stale { .. })) {
            store_last(&mut watch.last, tick);
        }
        &self.fired
    }

    /// Notes that the subscription is live, so that silence counts from now on. Later calls have no effect.
    pub fn start_watching(&mut self, now: Duration) {
        if self.live.replace(self.live.unwrap_or(now)).is_none() {
            for watch in &mut self.watches {
                watch.since = watch.since.or(Some(now));
            }
        }
    }

    /// Evaluates stale rules at `now`, measured as in [`Alerts::update`]. Returns each rule that fires, with the symbol
    /// and its last tick.
    pub fn check_stale(&mut self, now: Duration) -> Vec<(usize, Symbol, Option<Tick>)> {
        let mut fired = Vec::new();
        for watch in &mut self.watches {
            let Some(since) = watch.since else { continue };
            let silent = now.saturating_sub(since);
            for (number, state) in &mut watch.rules {
                if let State::Stale { after, reported } = state
                    && !*reported
                    && silent >= *after
                {
                    *reported = true;
                    self.counts[*number] += 1;
                    fired.push((*number, watch.symbol.clone(), watch.last.clone()));
                }
            }
        }
        fired
    }

    fn find_or_add(&mut self, name: Name<'_>) -> Option<usize> {
        if let Some(index) = self.indices.get(name.as_bytes()) {
            return Some(*index);
        }
        if self.all_symbol_rules.is_empty() {
            return None;
        }
        if self.watches.len() >= WATCHED_SYMBOLS_MAX {
            self.unwatched += 1;
            return None;
        }
        Some(self.add_symbol(name.into()))
    }

    /// Returns the index of a symbol, after adding it with its rules if necessary.
    fn add_symbol(&mut self, symbol: Symbol) -> usize {
        if let Some(index) = self.indices.get(symbol.as_str().as_bytes()) {
            return *index;
        }
        let is_own = |rule: &Rule| matches!(rule.scope(), Scope::All) || *rule.scope() == Scope::Symbol(symbol.clone());
        let own = self.rules.iter().enumerate().filter(|(_, rule)| is_own(rule));
        let rules = own.map(|(number, rule)| (number, State::new(rule.condition()))).collect();
        let index = self.watches.len();
        self.indices.insert(symbol.as_str().as_bytes().into(), index);
        self.watches.push(WatchedSymbol { symbol, since: self.live, last: None, rules });
        index
    }
}

/// Stores a tick and reuses the memory of an earlier one of the same symbol.
fn store_last(last: &mut Option<Tick>, tick: &TickView<'_>) {
    match last {
        Some(last) => {
            (last.price, last.timestamp, last.size, last.seq) = (tick.price, tick.timestamp, tick.size, tick.seq);
            let source = tick.source.map(Name::as_str);
            if last.source.as_deref() != source {
                last.source = source.map(Into::into);
            }
        }
        None => *last = Some(tick.to_tick()),
    }
}

#[cfg(test)]
mod tests;
