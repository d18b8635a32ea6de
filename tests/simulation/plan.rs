//! Schedule of faults of a simulated network and its hosts, generated from a seed.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The host of the server.
pub const SERVER: &str = "server";

/// The host of what the server remembers.
pub const MEMORY: &str = "memory";

/// Scenario of a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Two publishers, and a reader of their stream whose store outlives it.
    Follow,
    /// Two publishers, and three members of a group with one store.
    Share,
    /// Two publishers, and a subscriber of their channel.
    Listen,
    /// As with the first, at a server that keeps its streams in memory alone and forgets them at least once.
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

    /// Hosts that may crash besides the server: those whose work is on disk.
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
    /// The host is gone, with all that is not on disk, and comes back.
    Crash(&'static str),
    /// The server and all that it remembers are gone, and it comes back with nothing.
    Forget,
    /// The host is gone for good.
    Die(&'static str),
    /// Whatever is said between the server and this host is lost. Streams of bytes that lose a part never go on.
    Cut(&'static str),
    /// Whatever the server says to this host is lost.
    Mute(&'static str),
    /// Whatever this host says to the server is lost.
    Deaf(&'static str),
    /// Whatever is said between the two comes at the end, all of it.
    Hold(&'static str),
    /// Whatever is said between the two takes up to so long.
    Late(&'static str, Duration),
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub at: Duration,
    pub until: Duration,
    pub kind: Kind,
}

/// All that a seed decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub scenario: Scenario,
    pub seed: u64,
    /// A usual message takes up to so long.
    pub latency: Duration,
    /// Each publisher's messages, before the last few.
    pub messages: u64,
    /// Between two messages.
    pub pace: Duration,
    /// Duration of a commit of the store.
    pub commit: Duration,
    pub faults: Vec<Fault>,
    /// When the last fault is over.
    pub healed: Duration,
}

impl Plan {
    /// Readers that are there in the end.
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
    // A group lives on as long as one member does.
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
