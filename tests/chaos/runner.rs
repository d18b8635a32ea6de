//! Complete run: starts all participants, applies the scheduled faults, lifts them, shuts everything down and checks
//! the result.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use redis::Value as Rest;

use super::fleet::{CHANNEL, Fleet, GROUP, PRODUCERS, STREAM};
use super::oracle::{Kept, Numbers, account, read_store, read_stream, total};
use super::plan::{Actor, Fault, counts, plan};
use super::verdict::Verdict;
use crate::support::wait::poll;

/// Time limit until all participants have all ticks, on a busy machine.
const DRAIN: Duration = Duration::from_mins(2);

/// Message that is not a tick. Listeners reject it and log it.
const END: &str = "the end, and no tick";

/// Number of log lines of a program shown when a run fails.
const LOG_LINES: usize = 25;

/// Applies `count` faults scheduled by `seed`. Panics with the seed and a diff if anything was lost or stored twice.
#[expect(clippy::print_stderr, reason = "a test's own account; cargo shows it when asked to")]
pub fn run(seed: u64, count: usize) {
    let faults = plan(seed, count);
    eprintln!("chaos: seed {seed}, {count} faults: {:?}", counts(&faults));
    let mut fleet = Fleet::start(seed);
    let mut verdict = Verdict::default();
    let begun = Instant::now();
    if let Err(fallen) = carry_out(&mut fleet, &faults) {
        verdict.complain(fallen);
    } else {
        judge(&mut fleet, &mut verdict);
    }
    let (took_s, missed) = (begun.elapsed().as_secs_f64(), fleet.missed);
    eprintln!("chaos: seed {seed}, {took_s:.0} s, {missed} faults met nobody; {}", verdict.figures);
    if verdict.complaints.is_empty() {
        return;
    }
    let told: Vec<String> = faults.iter().map(Fault::to_string).collect();
    let logs: Vec<String> = Actor::ALL.into_iter().map(|actor| tail(&fleet, actor)).collect();
    panic!(
        "\nseed {seed}, {count} faults: scripts/chaos --seed {seed} --faults {count}\n\n{}\n\n{}\n\n{}\n",
        verdict.complaints.join("\n"),
        told.join("\n"),
        logs.join("\n")
    );
}

fn tail(fleet: &Fleet, actor: Actor) -> String {
    let said = fleet.heard_from(actor);
    let lines: Vec<&str> = said.lines().filter(|line| !line.contains("running received=")).collect();
    format!("--- {actor}\n{}", lines[lines.len().saturating_sub(LOG_LINES)..].join("\n"))
}

/// Starts and ends each fault at its time, or as soon after it as possible.
fn carry_out(fleet: &mut Fleet, faults: &[Fault]) -> Result<(), String> {
    let mut steps: Vec<(Duration, bool, usize)> = Vec::new();
    for (at, fault) in faults.iter().enumerate() {
        steps.push((fault.at, true, at));
        if !fault.lasts.is_zero() {
            steps.push((fault.at + fault.lasts, false, at));
        }
    }
    steps.sort_unstable();
    let begun = Instant::now();
    for (due, begins, at) in steps {
        thread::sleep(due.saturating_sub(begun.elapsed()));
        if begins {
            fleet.begin(&faults[at]);
        } else {
            fleet.lift(&faults[at]);
        }
        if let Some(fallen) = fleet.fallen() {
            return Err(fallen);
        }
    }
    Ok(())
}

/// Shuts everything down and compares all reports.
fn judge(fleet: &mut Fleet, verdict: &mut Verdict) {
    fleet.wait_for_redis();
    // Listeners count a loss when a later number arrives. So each source publishes once more before the end.
    let before = read_stream(&mut fleet.connection(), STREAM).numbers;
    for listener in [1, 2].map(Actor::Listener) {
        let mut silent = Vec::new();
        poll(DRAIN, || {
            silent = not_beyond(&read_store(&fleet.store(listener)).0, &before);
            silent.is_empty().then_some(())
        });
        verdict.check(silent.is_empty(), || format!("{listener} hears nothing any more of {}", silent.join(", ")));
    }
    let unruly_last = fleet.finish_unruly();
    let said = PRODUCERS.map(|producer| account(&fleet.finish(producer).json()));
    let stream = read_stream(&mut fleet.connection(), STREAM);
    wait_for_all(fleet, &stream, verdict);
    let mut reports = BTreeMap::new();
    for actor in Actor::ALL {
        if !matches!(actor, Actor::Redis | Actor::Unruly) && !PRODUCERS.contains(&actor) {
            reports.insert(actor, fleet.finish(actor).json());
        }
    }
    verdict.on_producers(&said, unruly_last, &stream);
    for (what, actor) in [("the keeper's store", Actor::DbWriter), ("the group's store", Actor::Member(1))] {
        verdict.on_store(what, &read_store(&fleet.store(actor)), &stream);
    }
    verdict.on_book(&reports[&Actor::SeriesMap], &stream);
    let mut lost = 0;
    for listener in [1, 2].map(Actor::Listener) {
        let heard = read_store(&fleet.store(listener));
        lost += verdict.on_listener(listener, &heard, &reports[&listener], &stream);
    }
    for (actor, report) in &reports {
        verdict.check(report["trimmed"].is_null(), || format!("{actor} calls entries trimmed: {report}"));
        verdict.check(report["store"]["dropped"].as_u64().unwrap_or(0) == 0, || format!("{actor} dropped: {report}"));
    }
    let dropped: u64 = said.iter().map(|said| said.dropped).sum();
    verdict.figures = format!(
        "{} ticks in {} entries, {dropped} dropped by producers and said so, {lost} lost to listeners and counted",
        total(&stream.numbers),
        stream.entries
    );
}

/// Sources without a number in `numbers` that is above all those in `before`.
fn not_beyond(numbers: &Numbers, before: &Numbers) -> Vec<String> {
    let is_beyond = |source, seqs: &BTreeSet<u64>| numbers.get(source).is_some_and(|heard| heard.last() > seqs.last());
    before.iter().filter(|(source, seqs)| !is_beyond(*source, seqs)).map(|(source, _)| source.clone()).collect()
}

/// Waits until all participants that must have everything have it, and no entry is pending.
fn wait_for_all(fleet: &Fleet, stream: &Kept, verdict: &mut Verdict) {
    let all = total(&stream.numbers);
    for actor in [Actor::DbWriter, Actor::Member(1)] {
        // A timeout is ignored here; the comparison reports missing ticks.
        poll(DRAIN, || (total(&read_store(&fleet.store(actor)).0) >= all).then_some(()));
    }
    poll(DRAIN, || {
        let said = fleet.heard_from(Actor::SeriesMap);
        let status = said.lines().rev().find(|line| line.contains("running received="))?;
        status.contains(&format!(" kept={all} ")).then_some(())
    });
    let mut pending = None;
    poll(DRAIN, || {
        let summary: Option<(u64, Rest, Rest, Rest)> = fleet.ask_aside(redis::cmd("XPENDING").arg(STREAM).arg(GROUP));
        pending = summary.map(|(count, ..)| count);
        (pending == Some(0)).then_some(())
    });
    verdict.check(pending == Some(0), || format!("{pending:?} entries are still in the hands of members"));
    let dead: Option<u64> = fleet.ask_aside(redis::cmd("XLEN").arg(format!("{STREAM}:dead")));
    verdict.check(dead == Some(0), || format!("{dead:?} entries are dead letters"));
    let say_end = || -> Option<u64> { fleet.ask_aside(redis::cmd("PUBLISH").arg(CHANNEL).arg(END)) };
    let heard = say_end();
    verdict.check(heard == Some(2), || format!("{heard:?} listeners are there at the end"));
    // The last messages may still be in transit. Messages are ordered, so a listener has them once it rejects a later
    // message. Rejections are rate-limited, so the message is repeated until one is logged.
    for listener in [1, 2].map(Actor::Listener) {
        let complained = poll(DRAIN, || {
            say_end();
            fleet.heard_from(listener).contains(END).then_some(())
        });
        verdict.check(complained.is_some(), || format!("{listener} never heard the end"));
    }
}
