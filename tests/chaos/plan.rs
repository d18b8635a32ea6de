//! Which faults come when: drawn from a seed, and from nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    Redis,
    /// A producer whose ticks wait in memory; it is never killed.
    Memory,
    /// A producer with a spool.
    Spool,
    /// A producer with a spool that is too small for an outage; it is never killed.
    Bounded,
    /// The publisher of this test, which repeats itself, reorders, and whose clock steps.
    Unruly,
    /// Plain subscribers.
    Listener(u8),
    /// Reads the stream into a store of its own.
    DbWriter,
    /// Reads the stream into its book alone; it is never killed.
    SeriesMap,
    /// Members of one group, with one store.
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

/// What happens to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// kill -9; started again at the end of the fault.
    Kill,
    /// kill -9, and back under another name.
    KillAndRename,
    /// SIGSTOP; SIGCONT at the end.
    Stop,
    /// All its connections are reset.
    Reset,
    /// All its connections are closed.
    Close,
    /// Its connections stand, and nothing comes or goes; new ones are accepted, and nothing comes of them.
    HalfOpen,
    /// Nothing reaches the server.
    Deaf,
    /// Nothing comes from the server.
    Mute,
    /// New connections are reset, and so are those that it has.
    Shut,
    /// So many bytes a second.
    Slow(u32),
    /// Bytes in pieces of 1 to so many.
    Sliced(usize),
    /// Each piece is held up for so long.
    Late(Duration),
    /// The server ends its connections (`CLIENT KILL`).
    ClientKill,
    /// The publisher's clock jumps by so many seconds.
    ClockStep(i64),
    /// The publisher says its last messages once more.
    Repeat(usize),
    /// The publisher says its next messages in another order.
    Reorder(usize),
}

impl Kind {
    /// For counting.
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

    /// Whether nothing has to be undone.
    fn is_instant(self) -> bool {
        matches!(
            self,
            Self::Reset | Self::Close | Self::ClientKill | Self::ClockStep(_) | Self::Repeat(_) | Self::Reorder(_)
        )
    }
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// From the start.
    pub at: Duration,
    /// How long it lasts; zero where there is nothing to undo.
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

/// Between the beginnings of two faults.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 100..=1_400;

/// How long a fault lasts.
const LASTS_MS: std::ops::RangeInclusive<u64> = 300..=4_500;

/// Nobody meets two faults at a time, and everybody has this long in between.
const REST: Duration = Duration::from_millis(300);

/// `count` faults. They come in decks of fifty, each of which has every kind for those whom it may cost something.
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

/// A deck.
fn shuffled(rng: &mut ChaCha8Rng) -> Vec<(Actor, Kind)> {
    let members = [1, 2, 3].map(Actor::Member);
    let mut deck: Vec<(Actor, Kind)> = members.map(|member| (member, Kind::Kill)).into();
    // What the others know of themselves would go with them, and is needed at the end.
    deck.extend([Actor::Redis, Actor::Spool, Actor::DbWriter].into_iter().flat_map(|actor| [(actor, Kind::Kill); 3]));
    deck.push((members[rng.random_range(0..3)], Kind::KillAndRename));
    deck.extend(Actor::ALL.into_iter().filter(|actor| *actor != Actor::Unruly).map(|actor| (actor, Kind::Stop)));
    for _ in 0..2 {
        deck.push((Actor::Unruly, Kind::ClockStep(rng.random_range(-90..=90))));
        deck.push((Actor::Unruly, Kind::Repeat(rng.random_range(1..=200))));
        deck.push((Actor::Unruly, Kind::Reorder(rng.random_range(2..=200))));
    }
    // Each has a network of its own; what met the server's would be everybody's fault at a time.
    for which in 0..2 * NETWORK_KINDS {
        let actor = Actor::ALL[rng.random_range(1..Actor::ALL.len())];
        deck.push((actor, of_network(rng, which % NETWORK_KINDS)));
    }
    deck.shuffle(rng);
    deck
}

const NETWORK_KINDS: usize = 10;

/// A fault of somebody's network.
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

/// How often each kind comes.
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
