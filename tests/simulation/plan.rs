//! Schedule of faults of a simulated network and its hosts, generated from a seed.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Host of the server.
pub const SERVER: &str = "server";

/// Host of the server's state.
pub const MEMORY: &str = "memory";

/// Scenario of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Two publishers, and a reader of their stream whose store survives crashes.
    Follow,
    /// Two publishers, and three members of a consumer group with one store.
    Share,
    /// Two publishers, and a subscriber to their channel.
    Listen,
    /// As [`Scenario::Follow`], with a server that keeps its streams only in memory and loses them at least once.
    Forget,
}

impl Scenario {
    pub const ALL: [Self; 4] = [Self::Follow, Self::Share, Self::Listen, Self::Forget];

    pub const PUBLISHERS: [&str; 2] = ["p1", "p2"];

    pub fn readers(self) -> &'static [&'static str] {
        match self {
            Self::Follow | Self::Forget => &["follower"],
            Self::Share => &["m1", "m2", "m3"],
            Self::Listen => &["listener"],
        }
    }

    /// Hosts that may crash in addition to the server: those with their state on disk.
    fn mortal(self) -> &'static [&'static str] {
        match self {
            Self::Listen => &[],
            _ => self.readers(),
        }
    }
}

/// Kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The host crashes, loses all state that is not on disk, and restarts.
    Crash(&'static str),
    /// The server crashes, loses all its state, and restarts empty.
    Forget,
    /// The host crashes and never restarts.
    Die(&'static str),
    /// All packets between the server and this host are lost. A TCP connection that loses data never recovers.
    Cut(&'static str),
    /// All packets from the server to this host are lost.
    Mute(&'static str),
    /// All packets from this host to the server are lost.
    Deaf(&'static str),
    /// All packets between the two are held and delivered at the end of the fault.
    Hold(&'static str),
    /// Packets between the two are delayed by up to this duration.
    Late(&'static str, Duration),
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub at: Duration,
    pub until: Duration,
    pub kind: Kind,
}

/// Plan generated from a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub scenario: Scenario,
    pub seed: u64,
    /// Maximum latency of a packet without faults.
    pub latency: Duration,
    /// Number of messages of each publisher, without the last ones.
    pub messages: u64,
    /// Interval between two messages.
    pub pace: Duration,
    /// Duration of a commit of the store.
    pub commit: Duration,
    pub faults: Vec<Fault>,
    /// End of the last fault.
    pub healed: Duration,
}

impl Plan {
    /// Readers that are running at the end.
    pub fn survivors(&self) -> impl Iterator<Item = &'static str> {
        let dies = |who: &str| self.faults.iter().any(|fault| matches!(fault.kind, Kind::Die(dead) if dead == who));
        self.scenario.readers().iter().copied().filter(move |who| !dies(who))
    }

    pub fn new(scenario: Scenario, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let count = rng.random_range(1..=6);
        let mut faults: Vec<Fault> = (0..count).map(|_| fault(scenario, &mut rng)).collect();
        if scenario == Scenario::Forget {
            faults[0].kind = Kind::Forget;
        }
        let healed = faults.iter().map(|fault| fault.until).max().unwrap_or_default();
        let messages = rng.random_range(20..=200);
        Self {
            scenario,
            seed,
            latency: Duration::from_millis(rng.random_range(1..=40)),
            messages,
            pace: healed / messages as u32,
            commit: Duration::from_millis(rng.random_range(0..=300)),
            faults,
            healed,
        }
    }
}

fn fault(scenario: Scenario, rng: &mut ChaCha8Rng) -> Fault {
    let at = Duration::from_millis(rng.random_range(300..=6_000));
    let until = at + Duration::from_millis(rng.random_range(50..=4_500));
    let everybody: Vec<&'static str> = Scenario::PUBLISHERS.iter().chain(scenario.readers()).copied().collect();
    let who = everybody[rng.random_range(0..everybody.len())];
    // A group continues as long as one member is running.
    if scenario == Scenario::Share && rng.random_bool(0.1) {
        return Fault { at, until, kind: Kind::Die(["m2", "m3"][rng.random_range(0..2)]) };
    }
    let mortals: Vec<&'static str> = [SERVER].iter().chain(scenario.mortal()).copied().collect();
    let kind = match rng.random_range(0..8) {
        0 | 1 => Kind::Crash(mortals[rng.random_range(0..mortals.len())]),
        2 | 3 => Kind::Cut(who),
        4 => Kind::Mute(who),
        5 => Kind::Deaf(who),
        6 => Kind::Hold(who),
        _ => Kind::Late(who, Duration::from_millis(rng.random_range(100..=900))),
    };
    Fault { at, until, kind }
}
