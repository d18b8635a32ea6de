//! Schedule of faults, determined by a seed alone.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Participant of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    Redis,
    /// Producer that queues ticks in memory. It is never killed.
    Memory,
    /// Producer with a spool.
    Spool,
    /// Producer with a spool that is too small for an outage. It is never killed.
    Bounded,
    /// Publisher of this test that repeats and reorders messages, and whose clock jumps.
    Unruly,
    /// Plain subscribers.
    Listener(u8),
    /// Reads the stream into its own store.
    DbWriter,
    /// Reads the stream into its series map only. It is never killed.
    SeriesMap,
    /// Members of one group with a shared store.
    Member(u8),
}

impl Actor {
    pub const ALL: [Self; 12] = [
        Self::Redis,
        Self::Memory,
        Self::Spool,
        Self::Bounded,
        Self::Unruly,
        Self::Listener(1),
        Self::Listener(2),
        Self::DbWriter,
        Self::SeriesMap,
        Self::Member(1),
        Self::Member(2),
        Self::Member(3),
    ];
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis => f.write_str("redis"),
            Self::Memory => f.write_str("producer-memory"),
            Self::Spool => f.write_str("producer-spool"),
            Self::Bounded => f.write_str("producer-bounded"),
            Self::Unruly => f.write_str("unruly"),
            Self::Listener(n) => write!(f, "listener-{n}"),
            Self::DbWriter => f.write_str("keeper"),
            Self::SeriesMap => f.write_str("book"),
            Self::Member(n) => write!(f, "member-{n}"),
        }
    }
}

/// Kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SIGKILL; restarted at the end of the fault.
    Kill,
    /// SIGKILL; restarted under another name.
    KillAndRename,
    /// SIGSTOP; SIGCONT at the end of the fault.
    Stop,
    /// All its connections are reset.
    Reset,
    /// All its connections are closed.
    Close,
    /// Connections stay open and carry no data; new ones are accepted and carry none either.
    HalfOpen,
    /// No data reaches the server.
    Deaf,
    /// No data arrives from the server.
    Mute,
    /// Existing and new connections are reset.
    Shut,
    /// Throughput limit in bytes per second.
    Slow(u32),
    /// Data is cut into pieces of 1 byte up to this many.
    Sliced(usize),
    /// Each piece is delayed by this time.
    Late(Duration),
    /// The server closes the client's connections (`CLIENT KILL`).
    ClientKill,
    /// The publisher's clock jumps by this many seconds.
    ClockStep(i64),
    /// The publisher repeats its last messages.
    Repeat(usize),
    /// The publisher reorders its next messages.
    Reorder(usize),
}

impl Kind {
    /// Name for statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillAndRename => "kill+rename",
            Self::Stop => "stop",
            Self::Reset => "reset",
            Self::Close => "close",
            Self::HalfOpen => "half-open",
            Self::Deaf => "deaf",
            Self::Mute => "mute",
            Self::Shut => "shut",
            Self::Slow(_) => "slow link",
            Self::Sliced(_) => "byte slices",
            Self::Late(_) => "latency",
            Self::ClientKill => "client kill",
            Self::ClockStep(_) => "clock step",
            Self::Repeat(_) => "repetition",
            Self::Reorder(_) => "another order",
        }
    }

    /// Returns whether the fault needs no end.
    fn is_instant(self) -> bool {
        matches!(
            self,
            Self::Reset | Self::Close | Self::ClientKill | Self::ClockStep(_) | Self::Repeat(_) | Self::Reorder(_)
        )
    }
}

/// Scheduled fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Time since the start of the run.
    pub at: Duration,
    /// Duration; zero if the fault needs no end.
    pub lasts: Duration,
    pub actor: Actor,
    pub kind: Kind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at.as_secs_f64(), self.lasts.as_secs_f64());
        write!(f, "{at:8.3} s  {:<16} {:?}", self.actor.to_string(), self.kind)?;
        if lasts > 0.0 { write!(f, " for {lasts:.3} s") } else { Ok(()) }
    }
}

/// Milliseconds between the starts of two faults.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 100..=1_400;

/// Duration of a fault in milliseconds.
const LASTS_MS: std::ops::RangeInclusive<u64> = 300..=4_500;

/// Minimum time between two faults of the same participant. Faults of one participant never overlap.
const REST: Duration = Duration::from_millis(300);

/// Returns `count` faults. They are drawn from shuffled decks of fifty; each deck applies every kind to the
/// participants that it may affect.
pub fn plan(seed: u64, count: usize) -> Vec<Fault> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut at = Duration::from_secs(1);
    let mut busy: BTreeMap<Actor, Duration> = BTreeMap::new();
    let mut faults = Vec::with_capacity(count);
    let mut deck: Vec<(Actor, Kind)> = Vec::new();
    while faults.len() < count {
        at += Duration::from_millis(rng.random_range(PAUSE_MS));
        if deck.is_empty() {
            deck = shuffled(&mut rng);
        }
        let is_free = |(actor, _): &(Actor, Kind)| busy.get(actor).is_none_or(|until| at >= *until);
        let Some(next) = deck.iter().position(is_free) else { continue };
        let (actor, kind) = deck.remove(next);
        let lasts = if kind.is_instant() { Duration::ZERO } else { Duration::from_millis(rng.random_range(LASTS_MS)) };
        busy.insert(actor, at + lasts + REST);
        faults.push(Fault { at, lasts, actor, kind });
    }
    faults
}

/// Shuffled deck.
fn shuffled(rng: &mut ChaCha8Rng) -> Vec<(Actor, Kind)> {
    let members = [1, 2, 3].map(Actor::Member);
    let mut deck: Vec<(Actor, Kind)> = members.map(|member| (member, Kind::Kill)).into();
    // The final comparison needs the state of the other participants, so they are not killed.
    deck.extend([Actor::Redis, Actor::Spool, Actor::DbWriter].into_iter().flat_map(|actor| [(actor, Kind::Kill); 3]));
    deck.push((members[rng.random_range(0..3)], Kind::KillAndRename));
    deck.extend(Actor::ALL.into_iter().filter(|actor| *actor != Actor::Unruly).map(|actor| (actor, Kind::Stop)));
    for _ in 0..2 {
        deck.push((Actor::Unruly, Kind::ClockStep(rng.random_range(-90..=90))));
        deck.push((Actor::Unruly, Kind::Repeat(rng.random_range(1..=200))));
        deck.push((Actor::Unruly, Kind::Reorder(rng.random_range(2..=200))));
    }
    // Each participant has its own network; a fault of the server's network would affect all of them at once.
    for which in 0..2 * NETWORK_KINDS {
        let actor = Actor::ALL[rng.random_range(1..Actor::ALL.len())];
        deck.push((actor, of_network(rng, which % NETWORK_KINDS)));
    }
    deck.shuffle(rng);
    deck
}

const NETWORK_KINDS: usize = 10;

/// Network fault.
fn of_network(rng: &mut ChaCha8Rng, which: usize) -> Kind {
    match which {
        0 => Kind::Reset,
        1 => Kind::Close,
        2 => Kind::HalfOpen,
        3 => Kind::Deaf,
        4 => Kind::Mute,
        5 => Kind::Shut,
        6 => Kind::Slow(rng.random_range(4_000..40_000)),
        7 => Kind::Sliced(rng.random_range(1..=64)),
        8 => Kind::Late(Duration::from_millis(rng.random_range(5..=150))),
        _ => Kind::ClientKill,
    }
}

/// Number of faults of each kind.
pub fn counts(faults: &[Fault]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for fault in faults {
        *counts.entry(fault.kind.name()).or_default() += 1;
    }
    counts
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    assert_eq!(plan(7, 1_000), plan(7, 1_000));
    assert_eq!(plan(7, 1_000)[..50], plan(7, 50), "a longer run begins as a short one does");
    assert_ne!(plan(7, 50), plan(8, 50));
}

#[test]
fn fifty_faults_have_every_kind_and_nobody_meets_two_at_a_time() {
    let faults = plan(7, 50);
    assert_eq!(counts(&faults).len(), 16, "{:?}", counts(&faults));
    let kills = |actor| faults.iter().filter(|fault| (fault.actor, fault.kind) == (actor, Kind::Kill)).count();
    assert_eq!([Actor::Redis, Actor::Spool, Actor::DbWriter, Actor::Member(3)].map(kills), [3, 3, 3, 1]);
    for actor in Actor::ALL {
        let of_actor: Vec<&Fault> = faults.iter().filter(|fault| fault.actor == actor).collect();
        assert!(!of_actor.is_empty(), "{actor} meets no fault");
        assert!(of_actor.windows(2).all(|pair| pair[0].at + pair[0].lasts + REST <= pair[1].at), "{actor}");
    }
}
