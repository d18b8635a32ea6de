//! Deterministic simulation of sessions, backoff and recovery of missing ranges: thousands of networks that cut, hold,
//! delay and lose packets, with hosts that crash, each generated from a seed.
//!
//! A simulation uses no real clock, no threads, and no random numbers other than those of the seed, so each run of a
//! seed is identical.

mod actors;
mod plan;
mod servers;
mod world;

use std::time::Duration;

use plan::{Plan, Scenario};
use world::{Outcome, simulate};

/// Default number of seeds per scenario; `scripts/chaos --simulations` sets another one.
const SEEDS: u64 = 100;

/// Number of seeds that are simulated twice.
const TWICE: u64 = 10;

fn seeds() -> u64 {
    let asked = std::env::var("TICKSCOPE_SIMULATIONS").ok().map(|text| text.parse::<u64>().unwrap());
    // The requested number is divided among the scenarios.
    asked.map_or(SEEDS, |all| all.div_ceil(Scenario::ALL.len() as u64))
}

#[track_caller]
fn assert_sound(scenario: Scenario, seed: u64, outcome: &Outcome) {
    if outcome.complaints.is_empty() {
        return;
    }
    let trace: Vec<String> = outcome
        .trace
        .iter()
        .map(|event| format!("{:8.3} {} {:?}", event.at.as_secs_f64(), event.who, event.what))
        .collect();
    let complaints = outcome.complaints.join("\n");
    let plan = Plan::new(scenario, seed);
    panic!("{scenario:?}, seed {seed}: {complaints}\n{plan:#?}\n{}\n{complaints}", trace.join("\n"));
}

#[expect(clippy::print_stderr, reason = "a test's own account; cargo shows it when asked to")]
fn simulate_all(scenario: Scenario) {
    let (mut healed, mut attempts, mut lost, mut repeated, mut took) = (Vec::new(), 0, 0, 0, Duration::ZERO);
    for seed in 0..seeds() {
        let outcome = simulate(scenario, seed);
        assert_sound(scenario, seed, &outcome);
        healed.push(outcome.healed_after);
        attempts = attempts.max(outcome.attempts);
        lost += outcome.lost;
        repeated += outcome.repeated;
        took += outcome.took;
    }
    healed.sort_unstable();
    let quantile = |q: usize| healed[(healed.len() * q / 100).min(healed.len() - 1)].as_secs_f64();
    eprintln!(
        "{scenario:?}: {} seeds, {:.0} s simulated; live again after {:.2} s (p50), {:.2} s (p99), {:.2} s (worst); \
         at most {attempts} attempts a second; {lost} lost and counted, {repeated} handled more than once",
        healed.len(),
        took.as_secs_f64(),
        quantile(50),
        quantile(99),
        quantile(100),
    );
}

#[test]
fn a_reader_of_a_stream_gets_every_entry_once_and_in_order() {
    simulate_all(Scenario::Follow);
}

#[test]
fn a_groups_members_handle_every_entry() {
    simulate_all(Scenario::Share);
}

#[test]
fn what_a_subscriber_counts_as_lost_is_what_it_lost() {
    simulate_all(Scenario::Listen);
}

#[test]
fn what_a_server_remembers_is_read_though_it_forgot_what_was_before() {
    simulate_all(Scenario::Forget);
}

#[test]
fn the_same_seed_has_the_same_trace() {
    for scenario in Scenario::ALL {
        for seed in 0..TWICE {
            let (once, again) = (simulate(scenario, seed).trace, simulate(scenario, seed).trace);
            assert!(once.len() > 20, "{scenario:?}, seed {seed}: nothing happens");
            let first = once.iter().zip(&again).find(|(one, other)| one != other);
            assert_eq!((first, once.len()), (None, again.len()), "{scenario:?}, seed {seed}");
        }
        assert_ne!(simulate(scenario, 0).trace, simulate(scenario, 1).trace, "{scenario:?}");
    }
}
