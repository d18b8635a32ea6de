//! Alerts put to work: the network side holds each tick against the rules, a task of its own looks for silence, writes
//! the log and starts commands, and the picture reads what has fired. Whoever fires waits for nobody.

mod hook;
mod rules;
mod watcher;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use crate::analysis::{Alerts, Rule, WATCHED_SYMBOLS_MAX};
use crate::consumer::shared::Shared;
use crate::model::{Symbol, Tick, Timestamp};
pub(super) use hook::FIRED_RULE;
pub use hook::HooksReport;
use hook::{Hook, Waiting};
pub use rules::AlertError;
pub(super) use rules::parse_rules;
pub(super) use watcher::{Unwatched, Watch, Watcher};

/// Alerts that the picture can mark: more would hide what they are about.
const FIRED_MAX: usize = 256;

/// How often silence is looked for, and so how late it is told at most. Also when what the log owes is paid.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Least time between two log lines of one rule.
const LOGGED_EVERY: Duration = Duration::from_secs(1);

/// A rule that fired.
#[derive(Debug, Clone)]
pub(super) struct Fired {
    /// Event time of the tick; of a silence, where the chart was live when it was told. ns.
    pub(super) time_ns: i64,
    /// `None` for a silence.
    pub(super) price: Option<f64>,
    /// The symbol's place in the book, which is its colour; `None` if it has none.
    pub(super) slot: Option<usize>,
    /// Displays safely.
    pub(super) symbol: Symbol,
    /// As it was written; safe to show.
    pub(super) rule: Arc<str>,
    pub(super) at: Instant,
    /// The rule's place.
    number: usize,
    /// The tick it fired at; of a silence, the last one there was.
    tick: Option<Tick>,
}

/// What the log has said of one rule.
#[derive(Debug, Default)]
struct Told {
    /// Times it fired.
    fired: u64,
    /// Those of them that a log line was about, or counted.
    logged: u64,
    latest: Option<Fired>,
    last_line: Option<Instant>,
}

/// What has fired, for the picture.
#[derive(Debug, Default)]
pub(super) struct AlertLog {
    list: VecDeque<Fired>,
    dropped: u64,
    told: Vec<Told>,
    waiting: Option<Waiting>,
}

impl AlertLog {
    /// The newest ones, in the order in which they fired.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Fired> {
        self.list.iter()
    }

    /// Older ones, no longer in [`AlertLog::iter`].
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn push(&mut self, fired: Fired) {
        if let Some(told) = self.told.get_mut(fired.number) {
            told.fired += 1;
            told.latest = Some(fired.clone());
        }
        if let Some(waiting) = &mut self.waiting {
            waiting.offer(fired.clone());
        }
        if self.list.len() == FIRED_MAX {
            self.list.pop_front();
            self.dropped += 1;
        }
        self.list.push_back(fired);
    }

    /// Log lines that are due; with `all`, also those that the rate holds back.
    fn lines(&mut self, now: Instant, all: bool) -> Vec<String> {
        let mut lines = Vec::new();
        for told in self.told.iter_mut().filter(|told| told.fired > told.logged) {
            let rests = told.last_line.is_some_and(|last| now.saturating_duration_since(last) < LOGGED_EVERY);
            let Some(fired) = told.latest.as_ref().filter(|_| all || !rests) else { continue };
            let more = told.fired - told.logged - 1;
            let more = if more > 0 { format!(" [and {more} more before it]") } else { String::new() };
            let (rule, symbol) = (&fired.rule, &fired.symbol);
            lines.push(match fired.price {
                Some(price) => format!("alert: {rule} ({symbol} at {price}){more}"),
                None => format!("alert: {rule} (nothing from {symbol}){more}"),
            });
            (told.logged, told.last_line) = (told.fired, Some(now));
        }
        lines
    }
}

/// The rules at work. One per process, in [`Shared`].
pub(super) struct Alerting {
    /// As they are shown.
    texts: Vec<Arc<str>>,
    alerts: Mutex<Alerts>,
    fires: Mutex<AlertLog>,
    /// Wakes the task.
    wake: Notify,
    /// The clock of silence counts from here.
    origin: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves plain numbers behind, which are still worth showing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Alerting {
    /// `runs_command`: what fires is kept for a command.
    pub(super) fn new(rules: Vec<Rule>, runs_command: bool) -> Self {
        let texts: Vec<Arc<str>> = rules.iter().map(|rule| rule.to_string().into()).collect();
        let waiting = runs_command.then(Waiting::default);
        let told = texts.iter().map(|_| Told::default()).collect();
        let fires = AlertLog { told, waiting, ..AlertLog::default() };
        let (alerts, fires) = (Mutex::new(Alerts::new(rules)), Mutex::new(fires));
        Self { texts, alerts, fires, wake: Notify::new(), origin: Instant::now() }
    }

    /// Nothing is watched.
    pub(super) fn is_idle(&self) -> bool {
        self.texts.is_empty()
    }

    pub(super) fn fires(&self) -> MutexGuard<'_, AlertLog> {
        lock(&self.fires)
    }

    /// Times each rule fired; nothing where there is none.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let alerts = lock(&self.alerts);
        self.texts.iter().zip(alerts.counts()).map(|(text, count)| (text.to_string(), *count)).collect()
    }

    /// Ticks that were held against no rule, and prices that windows forgot.
    fn losses(&self) -> (u64, u64) {
        let alerts = lock(&self.alerts);
        (alerts.unwatched(), alerts.thinned())
    }

    /// Figures of the command; `None` where there is none.
    pub(super) fn hooks(&self) -> Option<HooksReport> {
        self.fires().waiting.as_ref().map(|waiting| waiting.report)
    }

    /// The subscription is live: from now on, silence counts.
    pub(super) fn live(&self) {
        if !self.is_idle() {
            lock(&self.alerts).start_watching(self.origin.elapsed());
        }
    }

    fn tell(&self, fired: impl IntoIterator<Item = Fired>) {
        let mut fires = self.fires();
        for fired in fired {
            fires.push(fired);
        }
        drop(fires);
        self.wake.notify_one();
    }

    /// Looks for silence, and tells it.
    fn look(&self, shared: &Shared) {
        let silent = lock(&self.alerts).check_stale(self.origin.elapsed());
        if silent.is_empty() {
            return;
        }
        let (book, now) = (shared.book(), Timestamp::now());
        let time_ns = Shared::live_edge_ns(&book, now).unwrap_or(now.as_nanos());
        let at = Instant::now();
        let fired: Vec<Fired> = silent
            .into_iter()
            .map(|(number, symbol, tick)| Fired {
                time_ns,
                price: None,
                slot: book.id(symbol.as_str()).map(crate::series::SymbolId::index),
                symbol,
                rule: Arc::clone(&self.texts[number]),
                at,
                number,
                tick,
            })
            .collect();
        drop(book);
        self.tell(fired);
        shared.touch();
    }
}

/// The task that looks for silence, writes the log and starts commands.
pub(super) struct AlertDispatcher {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl AlertDispatcher {
    /// `None` where there are no rules.
    pub(super) fn open(runtime: &Runtime, shared: &Arc<Shared>, command: Option<&str>) -> Option<Self> {
        if shared.alerting().is_idle() {
            if command.is_some() {
                warn!("the command of --on-alert never runs: there is no --alert, such as --alert 'AAPL > 190'");
            }
            return None;
        }
        let (stop, stopped) = watch::channel(false);
        let hook = command.map(|command| Hook::new(command.to_owned(), stopped.clone()));
        let task = runtime.spawn(work(Arc::clone(shared), hook, stopped));
        Some(Self { stop, task })
    }

    /// Writes what is left to the log, gives a running command a moment, and ends.
    pub(super) async fn end(self) {
        // The task may have gone, by a defect: there is nothing to end then.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn work(shared: Arc<Shared>, mut hook: Option<Hook>, mut stopped: watch::Receiver<bool>) {
    let alerting = shared.alerting();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let ended = async {
        // A sender that is gone is an end as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    tokio::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => break,
            () = alerting.wake.notified() => {}
            _ = look.tick() => alerting.look(&shared),
        }
        write_log(alerting, false);
        if let Some(hook) = &mut hook {
            hook.step(alerting).await;
        }
    }
    write_log(alerting, true);
    let (unwatched, thinned) = alerting.losses();
    if unwatched > 0 {
        warn!("{unwatched} ticks of symbols beyond the first {WATCHED_SYMBOLS_MAX} were held against no rule for *");
    }
    if thinned > 0 {
        debug!("{thinned} prices in windows were forgotten: a move may have been missed by a five-hundredth");
    }
    if let Some(hook) = hook {
        hook.end(alerting).await;
    }
}

fn write_log(alerting: &Alerting, all: bool) {
    // The lock is let go first: a terminal may take its time.
    let lines = alerting.fires().lines(Instant::now(), all);
    for line in lines {
        warn!("{line}");
    }
}
