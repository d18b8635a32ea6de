//! State that all clients of a broker share.
//!
//! Locks are taken in this order: `subscriptions`, `keyspace`, then a client's profile or output buffer or the list of
//! clients, inside which no other lock is taken. No lock is held across an await.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::time::Instant;

use crate::broker::client::Client;
use crate::broker::clock::BrokerClock;
use crate::broker::streams::Keyspace;
use crate::broker::subscriptions::Subscriptions;
use crate::broker::{BrokerLimits, BrokerStats};

#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) addr: SocketAddr,
    pub(super) limits: BrokerLimits,
    pub(super) clock: BrokerClock,
    pub(super) started: Instant,
    pub(super) stats: Counters,
    /// Locked for reading by each batch of messages, while at most 64 kB or one message is encoded, so that publishers
    /// run in parallel. Locked for writing by changes of subscriptions, which are rare, and by EXEC.
    subscriptions: RwLock<Subscriptions>,
    /// Locked by one command on keys at a time, and by EXEC.
    keyspace: Mutex<Keyspace>,
    /// Clients by id, which is the order in which they connected.
    clients: Mutex<BTreeMap<u64, Arc<Client>>>,
}

/// Counters for INFO and [`BrokerStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    connections: Counter,
    pub(super) refused: Counter,
    pub(super) commands: Counter,
    published: Counter,
    delivered: Counter,
    pub(super) slow_consumers: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl ServerState {
    pub(super) fn new(addr: SocketAddr, limits: BrokerLimits, clock: BrokerClock) -> Self {
        Self {
            addr,
            limits,
            clock,
            keyspace: Mutex::new(Keyspace::new(limits.stream_bytes_max)),
            started: Instant::now(),
            stats: Counters::default(),
            subscriptions: RwLock::default(),
            clients: Mutex::default(),
        }
    }

    /// Adds a client. Returns `None` if there are too many, and counts it as refused.
    pub(super) fn add_client(&self, addr: SocketAddr) -> Option<Arc<Client>> {
        let id = self.stats.connections.add(1) + 1;
        let mut clients = self.lock_clients();
        if clients.len() >= self.limits.clients_max {
            self.stats.refused.add(1);
            return None;
        }
        let client = Arc::new(Client::new(id, addr, self.limits));
        clients.insert(id, Arc::clone(&client));
        Some(client)
    }

    pub(super) fn remove_client(&self, id: u64) {
        self.lock_clients().remove(&id);
    }

    /// Returns all clients, in the order in which they connected.
    pub(super) fn clients(&self) -> Vec<Arc<Client>> {
        self.lock_clients().values().cloned().collect()
    }

    pub(super) fn stats(&self) -> BrokerStats {
        BrokerStats {
            clients: self.lock_clients().len(),
            connections: self.stats.connections.get(),
            refused: self.stats.refused.get(),
            published: self.stats.published.get(),
            delivered: self.stats.delivered.get(),
            slow_consumers: self.stats.slow_consumers.get(),
        }
    }

    pub(super) fn read_subscriptions(&self) -> RwLockReadGuard<'_, Subscriptions> {
        self.subscriptions.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write_subscriptions(&self) -> RwLockWriteGuard<'_, Subscriptions> {
        self.subscriptions.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_keyspace(&self) -> MutexGuard<'_, Keyspace> {
        self.keyspace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_clients(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Client>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    pub(super) fn count_published(&self, messages: usize, deliveries: usize) {
        self.published.add(messages);
        self.delivered.add(deliveries);
    }
}

impl Counter {
    /// Returns the count before.
    pub(super) fn add(&self, count: usize) -> u64 {
        self.0.fetch_add(count as u64, Ordering::Relaxed)
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
