//! No loss and no duplicates under faults of the programs, the server and the network: the real programs with a real
//! redis-server, seeded faults, and a final comparison of all reports.

#![allow(dead_code, unreachable_pub, reason = "every program includes all shared support and uses a part of it")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod chaos {
    pub mod duplicates;
    pub mod fleet;
    mod measures;
    mod network;
    pub mod oracle;
    pub mod plan;
    pub mod runner;
    pub mod verdict;
}

/// Default seed; `scripts/chaos` sets another one.
const SEED: u64 = 20_131_007;
const FAULTS: usize = 50;

/// Number set by `scripts/chaos`, or a default.
fn asked<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    let Ok(text) = std::env::var(name) else { return otherwise };
    text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}"))
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice() {
    chaos::runner::run(asked("TICKSCOPE_CHAOS_SEED", SEED), asked("TICKSCOPE_CHAOS_FAULTS", FAULTS));
}
