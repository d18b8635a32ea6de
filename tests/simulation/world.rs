//! A complete simulation and the check of its result.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tickscope::client::DeliveryReport;
use tokio::sync::watch;

use super::actors::{GROUP, Heard, LAST_AFTER, LAST_MESSAGES, Part, STREAM, Shelf, listener, publisher, stream_reader};
use super::plan::{Fault, Kind, MEMORY, Plan, SERVER, Scenario};
use super::servers::{Event, Memory, Trace, What};

/// Simulated time of one step.
const STEP: Duration = Duration::from_millis(10);

/// Limit of the simulated time. A simulation that has not completed by then has failed.
const DONE_BY: Duration = Duration::from_secs(90);

/// Maximum time from the last fault until all readers are live again: 2.5 s of silence until a dead connection is
/// detected, 0.9 s for an attempt that began during the fault, 1 s of backoff, and time for one more attempt.
const LIVE_AFTER: Duration = LAST_AFTER;

/// Maximum number of connection attempts within one second.
const ATTEMPTS_MAX: usize = 12;

/// Result of a simulation.
pub struct Outcome {
    pub trace: Vec<Event>,
    /// Violated invariants.
    pub complaints: Vec<String>,
    pub took: Duration,
    /// Time from the end of the last fault until the last reader was live.
    pub healed_after: Duration,
    /// Maximum number of connection attempts of one host within one second.
    pub attempts: usize,
    pub lost: u64,
    /// Number of entries that reached the store more than once.
    pub repeated: u64,
}

struct World<'a> {
    sim: turmoil::Sim<'a>,
    plan: Arc<Plan>,
    trace: Trace,
    shelf: Arc<Mutex<Shelf>>,
    heard: Arc<Mutex<Heard>>,
    accounts: Arc<Mutex<Vec<DeliveryReport>>>,
    /// State of the server at the end: entries, and entries pending with members.
    figures: Arc<Mutex<Option<(u64, u64)>>>,
    stop: watch::Sender<bool>,
    memory: Memory,
}

/// Simulates `scenario` with `seed`.
pub fn simulate(scenario: Scenario, seed: u64) -> Outcome {
    let plan = Arc::new(Plan::new(scenario, seed));
    let mut world = World::new(plan);
    let mut complaints = Vec::new();
    if let Err(error) = world.run() {
        complaints.push(error.to_string());
    }
    let took = world.sim.elapsed();
    let trace = world.trace.take();
    complaints.extend(world.judge(&trace));
    let shelf = world.shelf.lock().unwrap();
    Outcome {
        complaints,
        took,
        healed_after: healed_after(&world.plan, &trace),
        attempts: attempts(&trace),
        lost: world.heard.lock().unwrap().book.counters().lost,
        repeated: shelf.ids.values().map(|times| u64::from(*times) - 1).sum(),
        trace,
    }
}

impl World<'_> {
    fn new(plan: Arc<Plan>) -> Self {
        let mut builder = turmoil::Builder::new();
        builder.rng_seed(plan.seed).tick_duration(STEP).simulation_duration(DONE_BY * 2);
        // A constant, because the current time would differ between runs.
        builder.epoch(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        builder.min_message_latency(Duration::ZERO).max_message_latency(plan.latency).tcp_capacity(4_096);
        let mut sim = builder.build();
        let (trace, memory, stop) = (Trace::default(), Memory::default(), watch::Sender::new(false));
        let (shelf, heard) = (Arc::<Mutex<Shelf>>::default(), Arc::<Mutex<Heard>>::default());
        let (accounts, figures) =
            (Arc::<Mutex<Vec<DeliveryReport>>>::default(), Arc::<Mutex<Option<(u64, u64)>>>::default());
        let (held, asked) = (memory.clone(), Arc::clone(&figures));
        let ending = stop.subscribe();
        sim.host(MEMORY, move || {
            let (held, asked, mut ending) = (held.clone(), Arc::clone(&asked), ending.clone());
            async move {
                tokio::task::spawn_local(held.clone().hold());
                // An error ends the simulation as well.
                drop(ending.wait_for(|stop| *stop).await);
                // Members leave the group during this time.
                tokio::time::sleep(Duration::from_secs(2)).await;
                let entries = held.ask(&format!("XLEN {STREAM}")).await?;
                let dead = held.ask(&format!("XLEN {STREAM}:dead")).await?;
                *asked.lock().unwrap() = Some((entries, dead));
                Ok(())
            }
        });
        // The host of the state starts before the server.
        sim.step().unwrap();
        let serving = memory.clone();
        sim.host(SERVER, move || serving.clone().serve());
        let part = |who| Part { who, plan: Arc::clone(&plan), trace: trace.clone(), stop: stop.subscribe() };
        for who in plan.scenario.readers() {
            let (part, shelf, heard) = (part(who), Arc::clone(&shelf), Arc::clone(&heard));
            if plan.scenario == Scenario::Listen {
                sim.host(*who, move || listener(part.clone(), Arc::clone(&heard)));
            } else {
                sim.host(*who, move || stream_reader(part.clone(), Arc::clone(&shelf)));
            }
        }
        for who in Scenario::PUBLISHERS {
            let (part, accounts) = (part(who), Arc::clone(&accounts));
            sim.host(who, move || publisher(part.clone(), Arc::clone(&accounts)));
        }
        Self { sim, plan, trace, shelf, heard, accounts, figures, stop, memory }
    }

    /// Steps through the faults, until all readers have all messages, and to the end.
    fn run(&mut self) -> turmoil::Result {
        let mut steps: Vec<(Duration, bool, usize)> = Vec::new();
        for (at, fault) in self.plan.faults.iter().enumerate() {
            steps.extend([(fault.at, true, at), (fault.until, false, at)]);
        }
        steps.sort_unstable();
        for (due, begins, at) in steps {
            while self.sim.elapsed() < due {
                self.sim.step()?;
            }
            let fault = self.plan.faults[at];
            self.trace.note_at(self.sim.elapsed(), "plan", What::Fault(format!("{begins} {:?}", fault.kind)));
            if begins { self.begin(&fault) } else { self.lift(&fault)? }
        }
        while !self.is_done() && self.sim.elapsed() < DONE_BY {
            self.sim.step()?;
        }
        // A duplicate of the last message may still be in transit to a subscriber.
        let end = self.sim.elapsed() + Duration::from_millis(500);
        while self.sim.elapsed() < end {
            self.sim.step()?;
        }
        self.stop.send_replace(true);
        while self.figures.lock().unwrap().is_none() && self.sim.elapsed() < DONE_BY + Duration::from_secs(10) {
            self.sim.step()?;
        }
        Ok(())
    }

    fn begin(&mut self, fault: &Fault) {
        match fault.kind {
            Kind::Crash(host) | Kind::Die(host) => self.sim.crash(host),
            Kind::Forget => {
                self.sim.crash(SERVER);
                self.sim.crash(MEMORY);
            }
            Kind::Cut(host) => self.sim.partition(SERVER, host),
            Kind::Mute(host) => self.sim.partition_oneway(SERVER, host),
            Kind::Deaf(host) => self.sim.partition_oneway(host, SERVER),
            Kind::Hold(host) => self.sim.hold(SERVER, host),
            Kind::Late(host, latency) => self.sim.set_link_max_message_latency(SERVER, host, latency),
        }
    }

    fn lift(&mut self, fault: &Fault) -> turmoil::Result {
        match fault.kind {
            Kind::Die(_) => {}
            Kind::Forget => {
                self.sim.bounce(MEMORY);
                self.sim.step()?;
                self.sim.bounce(SERVER);
            }
            // The server cannot restart before the host of its state.
            Kind::Crash(SERVER) if !self.sim.is_host_running(MEMORY) => {}
            // The host may already have restarted after another crash, or may never restart.
            Kind::Crash(host) if self.sim.is_host_running(host) || self.is_dead(host) => {}
            Kind::Crash(host) => self.sim.bounce(host),
            Kind::Cut(host) | Kind::Mute(host) | Kind::Deaf(host) => self.sim.repair(SERVER, host),
            Kind::Hold(host) => self.sim.release(SERVER, host),
            Kind::Late(host, _) => self.sim.set_link_max_message_latency(SERVER, host, self.plan.latency),
        }
        Ok(())
    }

    fn is_dead(&self, host: &str) -> bool {
        let now = self.sim.elapsed();
        self.plan.faults.iter().any(|fault| matches!(fault.kind, Kind::Die(dead) if dead == host && fault.at <= now))
    }

    fn all(&self) -> u64 {
        Scenario::PUBLISHERS.len() as u64 * (self.plan.messages + LAST_MESSAGES)
    }

    /// Returns `true` if all messages have been published and have reached all readers.
    fn is_done(&self) -> bool {
        if self.accounts.lock().unwrap().len() < Scenario::PUBLISHERS.len() {
            return false;
        }
        let last = self.plan.messages + LAST_MESSAGES;
        match self.plan.scenario {
            Scenario::Forget => {
                let shelf = self.shelf.lock().unwrap();
                Scenario::PUBLISHERS.iter().all(|p| shelf.rows.contains_key(&((*p).to_owned(), last)))
            }
            Scenario::Listen => {
                let heard = self.heard.lock().unwrap();
                Scenario::PUBLISHERS.iter().all(|p| heard.numbers.get(*p).is_some_and(|seqs| seqs.contains_key(&last)))
            }
            _ => self.shelf.lock().unwrap().rows.len() as u64 >= self.all(),
        }
    }

    fn judge(&self, trace: &[Event]) -> Vec<String> {
        let mut complaints = self.shelf.lock().unwrap().faults.clone();
        for account in self.accounts.lock().unwrap().iter() {
            if (account.sent, account.dropped) != (self.plan.messages + LAST_MESSAGES, 0) {
                complaints.push(format!("a publisher that waits has dropped something: {account:?}"));
            }
        }
        let Some((entries, dead)) = *self.figures.lock().unwrap() else {
            complaints.push("the server does not answer at the end".to_owned());
            return complaints;
        };
        match self.plan.scenario {
            Scenario::Listen => complaints.extend(self.judge_listener()),
            _ => complaints.extend(self.judge_shelf(entries, dead)),
        }
        if attempts(trace) > ATTEMPTS_MAX {
            complaints.push(format!("{} attempts to connect within a second", attempts(trace)));
        }
        let healed_after = healed_after(&self.plan, trace);
        if healed_after > LIVE_AFTER {
            complaints.push(format!("a reader was live {healed_after:?} after the last fault only"));
        }
        complaints
    }

    fn judge_shelf(&self, entries: u64, dead: u64) -> Vec<String> {
        let shelf = self.shelf.lock().unwrap();
        let mut complaints = Vec::new();
        let mut check = |holds: bool, complaint: String| {
            if !holds {
                complaints.push(complaint);
            }
        };
        let rows = shelf.rows.len() as u64;
        let ids = shelf.ids.keys().filter(|id| id.ms >= self.memory.born_ms()).count() as u64;
        let may_lack = self.plan.scenario == Scenario::Forget;
        check(rows == self.all() || may_lack, format!("{rows} of {} ticks are kept", self.all()));
        check(ids == entries, format!("{ids} of {entries} entries are kept"));
        check(shelf.trimmed == 0, format!("{} entries were called trimmed", shelf.trimmed));
        check(dead == 0, format!("{dead} entries of {GROUP} are dead letters"));
        if self.plan.scenario != Scenario::Share {
            let twice = shelf.ids.values().filter(|times| **times > 1).count();
            check(twice == 0, format!("{twice} entries were committed twice"));
        }
        complaints
    }

    fn judge_listener(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let counters = heard.book.counters();
        let (mut distinct, mut repeated, mut lost) = (0, 0, 0);
        for seqs in heard.numbers.values() {
            let (Some((first, _)), Some((last, _))) = (seqs.first_key_value(), seqs.last_key_value()) else { continue };
            distinct += seqs.len() as u64;
            repeated += seqs.values().map(|times| u64::from(*times) - 1).sum::<u64>();
            lost += last - first + 1 - seqs.len() as u64;
        }
        let (found, truth) = ((counters.kept, counters.duplicates, counters.lost), (distinct, repeated, lost));
        if found == truth {
            return Vec::new();
        }
        vec![format!("the book counts (kept, repeated, lost) {found:?}, and the truth is {truth:?}")]
    }
}

/// Maximum number of connection attempts of one host within any second.
fn attempts(trace: &[Event]) -> usize {
    let mut of_host: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for event in trace.iter().filter(|event| event.what == What::ConnectFuture) {
        of_host.entry(event.who).or_default().push(event.at);
    }
    let within = |times: &[Duration], from: usize| {
        times[from..].iter().take_while(|at| **at < times[from] + Duration::from_secs(1)).count()
    };
    let of_times = |times: &Vec<Duration>| (0..times.len()).map(|from| within(times, from)).max().unwrap_or(0);
    of_host.values().map(of_times).max().unwrap_or(0)
}

/// Time from the end of the last fault until all readers stayed live.
fn healed_after(plan: &Plan, trace: &[Event]) -> Duration {
    let mut latest = Duration::ZERO;
    for who in plan.survivors() {
        let is_state = |event: &&Event| event.who == who && matches!(event.what, What::Live | What::Down(_));
        let last = trace.iter().rfind(is_state);
        match last {
            Some(Event { at, what: What::Live, .. }) => latest = latest.max(at.saturating_sub(plan.healed)),
            _ => return Duration::MAX,
        }
    }
    latest
}
