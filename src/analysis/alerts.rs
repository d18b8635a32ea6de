//! Rules held against the ticks as they come.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::rule::{Condition, MoveSize, Relation, Rule, Scope};
use crate::analysis::price_move::{Seen, Window};
use crate::model::{Name, Symbol, Tick, TickView};

/// Most symbols that rules for `*` watch, in order of their coming; those beyond are counted. As many as a book keeps
/// unless told otherwise, and a bound against a feed that makes names up. Symbols with rules of their own always have a
/// place.
pub const WATCHED_SYMBOLS_MAX: usize = 4_096;

/// How far one rule has come with one symbol.
#[derive(Debug)]
enum State {
    Level {
        relation: Relation,
        level: f64,
        /// The price is on the near side, or there is none yet.
        armed: bool,
    },
    Move {
        size: MoveSize,
        window: Box<Window>,
        /// The newest event time when it fired last.
        fired_ns: Option<i64>,
    },
    Stale {
        after: Duration,
        /// This silence was told.
        told: bool,
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
            Condition::Stale { after } => Self::Stale { after, told: false },
        }
    }

    /// Takes in a tick; whether the rule fires.
    fn update(&mut self, time_ns: i64, price: f64) -> bool {
        match self {
            Self::Level { relation, level, armed } => {
                let is_far = relation.holds(price, *level);
                std::mem::replace(armed, !is_far) && is_far
            }
            Self::Move { size, window, fired_ns } => {
                let (lowest, highest) = match window.add(time_ns, price) {
                    Seen::Inside { lowest, highest } => (lowest, highest),
                    Seen::Outside => return false,
                    Seen::First => {
                        *fired_ns = None;
                        return false;
                    }
                };
                let oldest_ns = window.newest_ns().map_or(i64::MIN, |newest| newest.saturating_sub(window.length_ns()));
                if fired_ns.is_some_and(|fired_ns| fired_ns >= oldest_ns) || !has_moved(*size, price, lowest, highest) {
                    return false;
                }
                *fired_ns = window.newest_ns();
                true
            }
            Self::Stale { told, .. } => {
                *told = false;
                false
            }
        }
    }
}

/// Whether a price is so far above the lowest one or below the highest one. Nothing is a percentage of 0.
fn has_moved(size: MoveSize, price: f64, lowest: f64, highest: f64) -> bool {
    match size {
        MoveSize::Absolute(size) => price - lowest >= size || highest - price >= size,
        MoveSize::Percent(percent) => {
            let is_enough = |change: f64, of: f64| of != 0.0 && change * 100.0 >= percent * of.abs();
            is_enough(price - lowest, lowest) || is_enough(highest - price, highest)
        }
    }
}

/// One symbol under watch.
#[derive(Debug)]
struct Watch {
    symbol: Symbol,
    /// Since when it is silent, by the reader's clock; `None` before its subscription was live.
    since: Option<Duration>,
    last: Option<Tick>,
    rules: Vec<(usize, State)>,
}

/// All rules, with what they know of each symbol.
///
/// - A **level** fires when a price is on the far side of it and the one before was not; also on the first tick of all,
///   if that is there already. It fires again after the price has come back. Ticks are taken in order of arrival.
/// - A **move** fires when a price is so far from the lowest or the highest one of the last so many seconds of event
///   time. It can fire again when the window has moved on, past all that it had seen then: once a window at most,
///   however the price trembles. Late ticks count while they are in the window.
/// - **Silence** is told once, when no tick has come for so long by the reader's clock: since the last one, or, for
///   symbols that a rule names, since the subscription was live. The next tick ends it. A connection that is down is
///   silent.
#[derive(Debug)]
pub struct Alerts {
    rules: Vec<Rule>,
    places: HashMap<Box<[u8]>, usize, RandomState>,
    watches: Vec<Watch>,
    /// Those for every symbol, by number.
    general: Vec<usize>,
    live: Option<Duration>,
    counts: Vec<u64>,
    /// The rules that fired with the last tick.
    fired: Vec<usize>,
    unwatched: u64,
}

impl Alerts {
    /// None of the rules has fired. They are known by their places in `rules`.
    pub fn new(rules: Vec<Rule>) -> Self {
        let is_general = |number: &usize| *rules[*number].scope() == Scope::All;
        let mut alerts = Self {
            general: (0..rules.len()).filter(is_general).collect(),
            counts: vec![0; rules.len()],
            rules,
            places: HashMap::default(),
            watches: Vec::new(),
            live: None,
            fired: Vec::new(),
            unwatched: 0,
        };
        for number in 0..alerts.rules.len() {
            if let Scope::Symbol(symbol) = alerts.rules[number].scope().clone() {
                alerts.watch(symbol);
            }
        }
        alerts
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// How often each rule has fired.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Ticks that no rule was held against because their symbols are beyond [`WATCHED_SYMBOLS_MAX`].
    pub fn unwatched(&self) -> u64 {
        self.unwatched
    }

    /// Prices that windows forgot because there were more than [`EXTREMES_MAX`](super::EXTREMES_MAX).
    pub fn thinned(&self) -> u64 {
        let states = self.watches.iter().flat_map(|watch| &watch.rules);
        let windows =
            states.filter_map(|(_, state)| if let State::Move { window, .. } = state { Some(window) } else { None });
        windows.map(|window| window.thinned()).sum()
    }

    /// Takes in a tick that came `now`, a time since any fixed moment by a clock that never goes back. Gives the places
    /// of the rules that fire, in order. Amortised constant time a rule of this symbol.
    pub fn update(&mut self, tick: &TickView<'_>, now: Duration) -> &[usize] {
        self.fired.clear();
        let Some(place) = self.find_or_watch(tick.symbol) else { return &self.fired };
        let watch = &mut self.watches[place];
        watch.since = Some(now);
        for (number, state) in &mut watch.rules {
            if state.update(tick.timestamp.as_nanos(), tick.price.get()) {
                self.fired.push(*number);
                self.counts[*number] += 1;
            }
        }
        if watch.rules.iter().any(|(_, state)| matches!(state, State::Stale { .. })) {
            note(&mut watch.last, tick);
        }
        &self.fired
    }

    /// Notes that the subscription is live: from now on, silence counts. Only the first time matters.
    pub fn start_watching(&mut self, now: Duration) {
        if self.live.replace(self.live.unwrap_or(now)).is_none() {
            for watch in &mut self.watches {
                watch.since = watch.since.or(Some(now));
            }
        }
    }

    /// Looks for silence, `now` as in [`Alerts::update`]. Gives each rule that fires, with the symbol and its last
    /// tick.
    pub fn check_stale(&mut self, now: Duration) -> Vec<(usize, Symbol, Option<Tick>)> {
        let mut fired = Vec::new();
        for watch in &mut self.watches {
            let Some(since) = watch.since else { continue };
            let silent = now.saturating_sub(since);
            for (number, state) in &mut watch.rules {
                if let State::Stale { after, told } = state
                    && !*told
                    && silent >= *after
                {
                    *told = true;
                    self.counts[*number] += 1;
                    fired.push((*number, watch.symbol.clone(), watch.last.clone()));
                }
            }
        }
        fired
    }

    fn find_or_watch(&mut self, name: Name<'_>) -> Option<usize> {
        if let Some(place) = self.places.get(name.as_bytes()) {
            return Some(*place);
        }
        if self.general.is_empty() {
            return None;
        }
        if self.watches.len() >= WATCHED_SYMBOLS_MAX {
            self.unwatched += 1;
            return None;
        }
        Some(self.watch(name.into()))
    }

    /// The place of a symbol, which is given one with all its rules if it has none.
    fn watch(&mut self, symbol: Symbol) -> usize {
        if let Some(place) = self.places.get(symbol.as_str().as_bytes()) {
            return *place;
        }
        let is_own = |rule: &Rule| matches!(rule.scope(), Scope::All) || *rule.scope() == Scope::Symbol(symbol.clone());
        let own = self.rules.iter().enumerate().filter(|(_, rule)| is_own(rule));
        let rules = own.map(|(number, rule)| (number, State::new(rule.condition()))).collect();
        let place = self.watches.len();
        self.places.insert(symbol.as_str().as_bytes().into(), place);
        self.watches.push(Watch { symbol, since: self.live, last: None, rules });
        place
    }
}

/// Keeps a tick where there may be an earlier one of the same symbol, whose memory is used again.
fn note(last: &mut Option<Tick>, tick: &TickView<'_>) {
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
