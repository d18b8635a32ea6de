//! Time until a lost server is noticed, and time until all clients are live again. The figures are printed, and
//! asserted against bounds that hold on a busy machine.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tickscope::client::{Channel, Endpoint, LinkState, MessageBatch, MessageHandler, Target, subscribe};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::support::process::{Running, consumer, producer};
use crate::support::proxy::{Door, End, Faults, Network, Proxy};
use crate::support::server::RedisServer;
use crate::support::wait::wait_until;

/// Generous limit of every wait; it only bounds a failing test.
const LIMIT: Duration = crate::support::wait::GUARD;

/// The documentation promises 3 s. The assertion allows three times as much, because tests run beside builds.
const NOTICED_BY: Duration = Duration::from_secs(9);

/// The target is 1 s.
const BACK_BY: Duration = Duration::from_secs(4);

/// Server that freezes and thaws: it then answers everything that it received meanwhile.
const STILL: Faults = Faults { deaf: true, mute: true, ..Faults::NONE };

const SHUT: Faults = Faults { door: Door::Slammed, ..Faults::NONE };

/// Starts a program and waits until it is live. Returns it with its proxy to the server.
fn live(network: &Network, server: &RedisServer, kind: &str) -> (Running, Proxy) {
    let proxy = network.lead_to(server.port, 1);
    let url = proxy.url();
    let reading = || consumer().args(["--headless", "-v", "--redis", &url]);
    let (launch, sign) = match kind {
        "producer" => (producer().args(["--redis", &url, "--rate", "20", "--stream", "ticks"]), "connected to"),
        "subscriber" => (reading(), "subscribed at"),
        "stream reader" => (reading().args(["--stream", "ticks"]), "reading the stream"),
        _ => (reading().args(["--stream", "ticks", "--group", "g"]), "reading the stream"),
    };
    let mut running = launch.start();
    running.wait_for_stderr(sign, LIMIT);
    (running, proxy)
}

#[test]
fn a_server_that_freezes_is_noticed() {
    let (network, server) = (Network::new(), RedisServer::start());
    for (kind, is_busy) in [
        ("producer", true),
        ("subscriber", true),
        ("stream reader", true),
        ("group member", true),
        ("subscriber", false),
        ("stream reader", false),
        ("group member", false),
    ] {
        let _feed = (is_busy && kind != "producer").then(|| live(&network, &server, "producer"));
        let (mut running, proxy) = live(&network, &server, kind);
        let frozen = Instant::now();
        proxy.set(Faults::FROZEN);
        running.wait_for_stderr("trying again", LIMIT);
        let noticed = frozen.elapsed();
        eprintln!("{kind}, {}: noticed after {noticed:.2?}", if is_busy { "ticks coming" } else { "quiet" });
        assert!(noticed <= NOTICED_BY, "{kind} took {noticed:?}");
    }
}

/// Reports when a client becomes live and when it stops being live.
struct Watcher {
    id: usize,
    told: Sender<(usize, bool, Instant)>,
}

impl MessageHandler for Watcher {
    fn on_messages(&mut self, delivery: &mut MessageBatch<'_>) {
        delivery.for_each(drop);
    }

    fn on_cut_off(&mut self) {}

    fn on_link(&mut self, state: LinkState) {
        // The receiver is gone at the end of the test.
        _ = self.told.send((self.id, state == LinkState::Live, Instant::now()));
    }
}

/// Clients on one runtime, each behind its own proxy.
struct Clients {
    _runtime: Runtime,
    _stop: watch::Sender<bool>,
    told: Receiver<(usize, bool, Instant)>,
    live: Vec<Option<Instant>>,
}

impl Clients {
    fn start<'a>(proxies: impl Iterator<Item = &'a Proxy>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (tell, told) = channel();
        let stop = watch::Sender::new(false);
        let mut live = Vec::new();
        for (id, proxy) in proxies.enumerate() {
            let mut feed = Watcher { id, told: tell.clone() };
            let (target, stopped) = (Target::Server(Endpoint::parse(&proxy.url()).unwrap()), stop.subscribe());
            runtime.spawn(async move {
                let rng = ChaCha8Rng::seed_from_u64(id as u64);
                subscribe(&target, &[Channel::parse("c")], &mut feed, stopped, rng).await.unwrap();
            });
            live.push(None);
        }
        let mut clients = Self { _runtime: runtime, _stop: stop, told, live };
        clients.wait_for(|clients| clients.live.iter().all(Option::is_some), "all clients to be live");
        clients
    }

    /// Records reported changes until `done`.
    fn wait_for(&mut self, done: impl Fn(&Self) -> bool, what: &str) {
        wait_until(what, LIMIT, || {
            while let Ok((id, is_live, at)) = self.told.try_recv() {
                self.live[id] = is_live.then_some(at);
            }
            done(self)
        });
    }
}

fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

const CLIENTS: usize = 20;

/// Outages that end at a random instant for each client. Returns the time from that instant until the client is live.
fn outages(clients: &mut Clients, proxies: &[Proxy], faults: Faults, rng: &mut ChaCha8Rng) -> Vec<Duration> {
    for proxy in proxies {
        proxy.set(faults);
        proxy.end_all(End::Reset);
    }
    clients.wait_for(|clients| clients.live.iter().all(Option::is_none), "all clients to notice");
    let mut ends: Vec<(Duration, usize)> =
        (0..CLIENTS).map(|id| (Duration::from_millis(rng.random_range(0..=3_000)), id)).collect();
    ends.sort_unstable();
    let begun = Instant::now();
    let mut open_at = [begun; CLIENTS];
    for (at, id) in ends {
        std::thread::sleep(at.saturating_sub(begun.elapsed()));
        open_at[id] = Instant::now();
        proxies[id].set(Faults::NONE);
    }
    clients.wait_for(|clients| clients.live.iter().all(Option::is_some), "all clients to be back");
    (0..CLIENTS).map(|id| clients.live[id].unwrap().saturating_duration_since(open_at[id])).collect()
}

#[test]
fn clients_are_back_soon_after_the_server_is() {
    const ROUNDS: usize = 5;
    let (network, server) = (Network::new(), RedisServer::start());
    let proxies: Vec<Proxy> = (0..CLIENTS).map(|at| network.lead_to(server.port, at as u64)).collect();
    let mut clients = Clients::start(proxies.iter());
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    // A connection that is accepted and never answered is given up only after 2.5 s.
    for (what, faults) in [("refuses", SHUT), ("stands still", STILL), ("swallows what it is sent", Faults::FROZEN)] {
        let rounds = if faults == SHUT { ROUNDS } else { 2 };
        let mut times: Vec<Duration> =
            (0..rounds).flat_map(|_| outages(&mut clients, &proxies, faults, &mut rng)).collect();
        times.sort_unstable();
        let (p50, p99, worst) = (quantile(&times, 50), quantile(&times, 99), quantile(&times, 100));
        let count = times.len();
        eprintln!("a server that {what}: back after {count} outages: p50 {p50:.2?}, p99 {p99:.2?}, worst {worst:.2?}");
        assert!(p99 <= BACK_BY, "a server that {what}: p99 {p99:?}");
    }
}

#[test]
fn a_hundred_clients_that_lose_their_server_do_not_storm_it() {
    const CLIENTS: usize = 100;
    const OUTAGE: Duration = Duration::from_secs(6);
    // A client makes six attempts in the first second, and at most two in each second after that.
    const ATTEMPTS_MAX: usize = CLIENTS * 8;
    let (network, server) = (Network::new(), RedisServer::start());
    let proxy = network.lead_to(server.port, 1);
    let mut clients = Clients::start(std::iter::repeat_n(&proxy, CLIENTS));
    let before = proxy.came().len();
    let lost = Instant::now();
    proxy.set(SHUT);
    proxy.end_all(End::Reset);
    std::thread::sleep(OUTAGE);
    let came = proxy.came();
    let of_second = |second: u64| {
        let from = lost + Duration::from_secs(second);
        came[before..].iter().filter(|at| (from..from + Duration::from_secs(1)).contains(*at)).count()
    };
    let attempts: Vec<usize> = (0..OUTAGE.as_secs()).map(of_second).collect();
    clients.wait_for(|clients| clients.live.iter().all(Option::is_none), "all clients to notice");
    let open = Instant::now();
    proxy.set(Faults::NONE);
    clients.wait_for(|clients| clients.live.iter().all(Option::is_some), "all clients to be back");
    let mut back: Vec<Duration> = clients.live.iter().flatten().map(|at| at.saturating_duration_since(open)).collect();
    back.sort_unstable();
    let (p50, all) = (quantile(&back, 50), quantile(&back, 100));
    eprintln!(
        "{CLIENTS} clients: attempts in each second of an outage {attempts:?}; back: p50 {p50:.2?}, all {all:.2?}"
    );
    assert!(attempts.iter().all(|count| *count <= ATTEMPTS_MAX), "{attempts:?}");
    assert!(attempts[3..].iter().all(|count| *count <= CLIENTS * 3), "{attempts:?}");
    assert!(all <= BACK_BY, "all were back after {all:?}");
}
