//! Participants of a run, each behind its own proxies, and the faults applied to them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::duplicates::{self, Unruly};
use super::plan::{Actor, Fault, Kind};
use crate::support::process::{Ended, Launch, Running, consumer, producer};
use crate::support::proxy::{Door, End, Faults, Network, Proxy};
use crate::support::server::free_port;
use crate::support::wait::wait_until;

pub const STREAM: &str = "ticks";
pub const CHANNEL: &str = "stock_prices";
pub const GROUP: &str = "keepers";

/// Ticks per second of each producer: enough that every fault affects some, few enough for a busy machine.
const RATE: &str = "100";

/// Capacity of the small spool in ticks: a second and a half of production.
const SPOOL_MAX: &str = "150";

/// Producers that report their deliveries.
pub const PRODUCERS: [Actor; 3] = [Actor::Memory, Actor::Spool, Actor::Bounded];

/// Limit of waits that are short on an idle machine.
const LIMIT: Duration = crate::support::wait::GUARD;

/// Timeout of queries that observe the server and are not part of the run.
const ASIDE: Duration = Duration::from_millis(500);

/// Program that can be restarted.
struct Program {
    running: Option<Running>,
    /// Name of a member in its group.
    name: String,
    lives: u32,
}

/// All participants of a run.
pub struct Fleet {
    dir: TempDir,
    redis_port: u16,
    redis: Option<Running>,
    _network: Network,
    proxies: BTreeMap<Actor, Proxy>,
    programs: BTreeMap<Actor, Program>,
    unruly: Option<Unruly>,
    /// Output of the processes that have ended.
    last_words: BTreeMap<Actor, String>,
    /// Number of faults without effect because the server was down.
    pub missed: usize,
}

impl Fleet {
    /// Starts all participants. Listeners are subscribed before anything is published.
    pub fn start(seed: u64) -> Self {
        let network = Network::new();
        let redis_port = free_port();
        let behind = Actor::ALL.into_iter().filter(|actor| *actor != Actor::Redis).zip(0..);
        let proxies = behind.map(|(actor, at)| (actor, network.lead_to(redis_port, seed.wrapping_add(at)))).collect();
        let mut fleet = Self {
            dir: tempfile::tempdir().unwrap(),
            redis_port,
            redis: None,
            _network: network,
            proxies,
            programs: BTreeMap::new(),
            unruly: None,
            last_words: BTreeMap::new(),
            missed: 0,
        };
        fleet.start_redis();
        fleet.wait_for_redis();
        let readers = [Actor::Listener(1), Actor::Listener(2), Actor::DbWriter, Actor::SeriesMap];
        let members = [Actor::Member(1), Actor::Member(2), Actor::Member(3)];
        for actor in readers.into_iter().chain(members) {
            fleet.start_program(actor);
        }
        for (actor, program) in &mut fleet.programs {
            let live = if matches!(actor, Actor::Listener(_)) { "subscribed at" } else { "reading the stream" };
            program.running.as_mut().unwrap().wait_for_stderr(live, LIMIT);
        }
        for actor in PRODUCERS {
            fleet.start_program(actor);
        }
        fleet.unruly = Some(Unruly::start(&fleet.proxies[&Actor::Unruly].url(), STREAM, CHANNEL, seed));
        fleet
    }

    fn start_redis(&mut self) {
        // A crash must not lose confirmed data.
        let options = "--bind 127.0.0.1 --appendonly yes --appendfsync always --auto-aof-rewrite-percentage 0 --save";
        let port = self.redis_port.to_string();
        let dir = self.dir.path().join("redis");
        std::fs::create_dir_all(&dir).unwrap();
        let args = options.split(' ').chain(["", "--port", &port]);
        self.redis = Some(Launch::new("redis-server").args(args).dir(&dir).start());
    }

    pub fn wait_for_redis(&self) {
        wait_until("redis-server to answer", LIMIT, || {
            self.ask_aside(&mut redis::cmd("PING")).is_some_and(|pong: String| pong == "PONG")
        });
    }

    /// Queries the server over a connection without faults. Returns `None` if it does not reply.
    pub fn ask_aside<T: redis::FromRedisValue>(&self, command: &mut redis::Cmd) -> Option<T> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.redis_port)).unwrap();
        let mut connection = client.get_connection_with_timeout(ASIDE).ok()?;
        connection.set_read_timeout(Some(ASIDE)).ok()?;
        command.query(&mut connection).ok()
    }

    /// Connection to the server with a generous timeout.
    pub fn connection(&self) -> redis::Connection {
        redis::Client::open(format!("redis://127.0.0.1:{}", self.redis_port)).unwrap().get_connection().unwrap()
    }

    /// Path of a participant's store.
    pub fn store(&self, actor: Actor) -> std::path::PathBuf {
        let name = match actor {
            Actor::Member(_) => "group.db".to_owned(),
            _ => format!("{actor}.db"),
        };
        self.dir.path().join(name)
    }

    fn start_program(&mut self, actor: Actor) {
        let name = self.programs.get(&actor).map_or_else(|| actor.to_string(), |program| program.name.clone());
        let lives = self.programs.get(&actor).map_or(0, |program| program.lives);
        let launch = launch(actor, &name, &self.proxies[&actor].url(), &self.store(actor), self.dir.path());
        self.programs.insert(actor, Program { running: Some(launch.start()), name, lives: lives + 1 });
    }

    fn running(&self, actor: Actor) -> Option<&Running> {
        match actor {
            Actor::Redis => self.redis.as_ref(),
            _ => self.programs.get(&actor)?.running.as_ref(),
        }
    }

    /// Output of a program so far.
    pub fn heard_from(&self, actor: Actor) -> String {
        let last_words = || self.last_words.get(&actor).cloned();
        self.running(actor).map(Running::stderr).or_else(last_words).unwrap_or_default()
    }

    /// Returns a program that ended unexpectedly.
    pub fn fallen(&mut self) -> Option<String> {
        let fallen = self.programs.iter_mut().find_map(|(actor, program)| {
            let running = program.running.as_mut()?;
            (!running.is_running()).then(|| format!("{actor} ended by itself: {running:?}"))
        });
        fallen.or_else(|| {
            let redis = self.redis.as_mut()?;
            (!redis.is_running()).then(|| format!("Redis ended by itself: {redis:?}"))
        })
    }

    /// Starts a fault.
    pub fn begin(&mut self, fault: &Fault) {
        let actor = fault.actor;
        match fault.kind {
            // Dropping the handle sends SIGKILL.
            Kind::Kill if actor == Actor::Redis => drop(self.redis.take()),
            Kind::Kill | Kind::KillAndRename => {
                let program = self.programs.get_mut(&actor).unwrap();
                drop(program.running.take());
                if fault.kind == Kind::KillAndRename {
                    program.name = format!("{actor}-{}", program.lives);
                }
            }
            Kind::Stop => self.running(actor).unwrap().signal("STOP"),
            Kind::Reset => _ = self.proxies[&actor].end_all(End::Reset),
            Kind::Close => _ = self.proxies[&actor].end_all(End::Closed),
            Kind::ClientKill => {
                let kind = if matches!(actor, Actor::Listener(_)) { "pubsub" } else { "normal" };
                let killed: Option<u64> = self.ask_aside(redis::cmd("CLIENT").arg(&["KILL", "TYPE", kind]));
                self.missed += usize::from(killed.unwrap_or(0) == 0);
            }
            Kind::ClockStep(_) | Kind::Repeat(_) | Kind::Reorder(_) => {
                self.unruly.as_ref().unwrap().order(fault.kind);
            }
            _ => {
                let proxy = &self.proxies[&actor];
                proxy.set(network_faults(fault.kind));
                if fault.kind == Kind::Shut {
                    proxy.end_all(End::Reset);
                }
            }
        }
    }

    /// Ends a fault.
    pub fn lift(&mut self, fault: &Fault) {
        match fault.kind {
            Kind::Kill if fault.actor == Actor::Redis => self.start_redis(),
            Kind::Kill | Kind::KillAndRename => self.start_program(fault.actor),
            Kind::Stop => self.running(fault.actor).unwrap().signal("CONT"),
            _ => {
                if let Some(proxy) = self.proxies.get(&fault.actor) {
                    proxy.set(Faults::NONE);
                }
            }
        }
    }

    /// Stops the publisher that reports no deliveries. Returns the number of its last message.
    pub fn finish_unruly(&mut self) -> u64 {
        self.unruly.take().unwrap().finish()
    }

    /// Shuts a program down gracefully.
    pub fn finish(&mut self, actor: Actor) -> Ended {
        let running = self.programs.get_mut(&actor).unwrap().running.take().unwrap();
        let ended = running.stop("TERM", LIMIT).expect_code(0);
        self.last_words.insert(actor, ended.stderr.clone());
        ended
    }
}

fn network_faults(kind: Kind) -> Faults {
    match kind {
        Kind::HalfOpen => Faults::FROZEN,
        Kind::Deaf => Faults { deaf: true, ..Faults::NONE },
        Kind::Mute => Faults { mute: true, ..Faults::NONE },
        Kind::Shut => Faults { door: Door::Slammed, ..Faults::NONE },
        Kind::Slow(rate) => Faults { bytes_per_s: Some(rate), ..Faults::NONE },
        Kind::Sliced(max) => Faults { slice_bytes: Some(max), ..Faults::NONE },
        Kind::Late(latency) => Faults { latency, ..Faults::NONE },
        other => panic!("{other:?} is no fault of a network"),
    }
}

fn launch(actor: Actor, name: &str, url: &str, store: &Path, dir: &Path) -> Launch {
    let store = format!("sqlite:{}", store.display());
    let publishing = || {
        let publishing = producer().args(["--redis", url, "--channel", CHANNEL, "--stream", STREAM, "--maxlen", "0"]);
        publishing.args(["--rate", RATE, "--stats", "json", "--source", name])
    };
    let reading = || consumer().args(["--headless", "--stats", "json", "-v", "--redis", url]);
    match actor {
        Actor::Memory => publishing(),
        Actor::Spool => publishing().args(["--spool".as_ref(), dir.join("spool").as_os_str()]),
        Actor::Bounded => {
            publishing().args(["--spool".as_ref(), dir.join("bounded").as_os_str()]).args(["--spool-max", SPOOL_MAX])
        }
        Actor::Listener(_) => reading().args(["--channel", CHANNEL, "--store", &store]),
        Actor::DbWriter => reading().args(["--stream", STREAM, "--store", &store]),
        Actor::SeriesMap => reading().args(["--stream", STREAM, "--since", "start"]),
        Actor::Member(_) => {
            // An entry is not a dead letter only because three members were killed while it was pending.
            let sharing = reading().args(["--stream", STREAM, "--since", "start", "--group", GROUP]);
            sharing.args(["--member", name, "--max-deliveries", "1000", "--store", &store])
        }
        Actor::Redis | Actor::Unruly => unreachable!("{} is none of our programs", duplicates::SOURCE),
    }
}
