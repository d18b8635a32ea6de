//! What all clients of a broker share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::time::Instant;

use crate::broker::client::Client;
use crate::broker::clock::BrokerClock;
use crate::broker::streams::Keyspace;
use crate::broker::subscriptions::Routes;
use crate::broker::{BrokerLimits, BrokerStats};

/// Shared by all tasks of one broker.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) addr: SocketAddr,
    pub(super) limits: BrokerLimits,
    pub(super) clock: BrokerClock,
    pub(super) started: Instant,
    pub(super) stats: Counters,
    /// Read for each run of messages, so publishers work side by side; written by subscriptions, which are rare, and by
    /// EXEC. Locked for the encoding of at most 64 kB or one message, never across an await. A client's outbox and
    /// profile are locked inside it, never the other way round.
    pub(super) routes: RwLock<Routes>,
    /// All streams. Locked by one command at a time, and by EXEC inside its lock of the routes, never the other way
    /// round. A client's outbox is locked inside it.
    pub(super) space: Mutex<Keyspace>,
    /// Whether the streams had no room left after the last command on them.
    is_full: AtomicBool,
    /// By id, so that lists come in the order of arrival. No other lock is taken inside it.
    clients: Mutex<BTreeMap<u64, Arc<Client>>>,
}

/// Counters for INFO and [`BrokerStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    connections: AtomicU64,
    refused: AtomicU64,
    commands: AtomicUsize,
    published: AtomicU64,
    delivered: AtomicU64,
    cut_off: AtomicU64,
}

impl Hub {
    pub(super) fn new(addr: SocketAddr, limits: BrokerLimits, clock: BrokerClock) -> Self {
        Self {
            addr,
            limits,
            clock,
            space: Mutex::new(Keyspace::new(limits.stream_bytes_max)),
            is_full: AtomicBool::new(Keyspace::new(limits.stream_bytes_max).is_full()),
            started: Instant::now(),
            stats: Counters::default(),
            routes: RwLock::default(),
            clients: Mutex::default(),
        }
    }

    /// Enters a new client, or counts it as refused if there are too many.
    pub(super) fn admit(&self, addr: SocketAddr) -> Option<Arc<Client>> {
        let id = self.stats.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let mut clients = self.lock_clients();
        if clients.len() >= self.limits.clients_max {
            self.stats.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let client = Arc::new(Client::new(id, addr, self.limits.output()));
        clients.insert(id, Arc::clone(&client));
        Some(client)
    }

    pub(super) fn forget(&self, id: u64) {
        self.lock_clients().remove(&id);
    }

    /// All clients, in the order of arrival.
    pub(super) fn clients(&self) -> Vec<Arc<Client>> {
        self.lock_clients().values().cloned().collect()
    }

    pub(super) fn stats(&self) -> BrokerStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BrokerStats {
            clients: self.lock_clients().len(),
            connections: get(&self.stats.connections),
            refused: get(&self.stats.refused),
            published: get(&self.stats.published),
            delivered: get(&self.stats.delivered),
            cut_off: get(&self.stats.cut_off),
        }
    }

    pub(super) fn lock_space(&self) -> MutexGuard<'_, Keyspace> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_room(&self, space: &Keyspace) {
        self.is_full.store(space.is_full(), Ordering::Relaxed);
    }

    /// Whether streams have all the memory that they may have.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    fn lock_clients(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Client>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    pub(super) fn commands(&self, count: usize) {
        self.commands.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn commands_total(&self) -> usize {
        self.commands.load(Ordering::Relaxed)
    }

    pub(super) fn published(&self, messages: usize, deliveries: usize) {
        self.published.fetch_add(messages as u64, Ordering::Relaxed);
        self.delivered.fetch_add(deliveries as u64, Ordering::Relaxed);
    }

    pub(super) fn cut_off(&self) {
        self.cut_off.fetch_add(1, Ordering::Relaxed);
    }
}
