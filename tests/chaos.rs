//! Nothing lost and nothing twice, whatever happens to the programs, the server and the network between them: the real
//! programs at a real redis-server, with faults by seed, and all accounts held against each other at the end.

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

/// Unless `scripts/chaos` says otherwise.
const SEED: u64 = 20_131_007;
const FAULTS: usize = 50;

/// A number that `scripts/chaos` gives.
fn asked<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    let Ok(text) = std::env::var(name) else { return otherwise };
    text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}"))
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice() {
    chaos::runner::run(asked("TICKSCOPE_CHAOS_SEED", SEED), asked("TICKSCOPE_CHAOS_FAULTS", FAULTS));
}
