//! State that all clients of a broker share.
//!
//! Locks are taken in this order: `subscriptions`, `keyspace`, then a client's profile or output buffer or the list of
//! clients, and last `stats`. No lock is held across an await.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::time::Instant;

use crate::broker::client::Client;
use crate::broker::clock::BrokerClock;
use crate::broker::streams::Keyspace;
use crate::broker::subscriptions::Subscriptions;
use crate::broker::{BrokerLimits, BrokerStats, lock};

#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) addr: SocketAddr,
    pub(super) limits: BrokerLimits,
    pub(super) clock: BrokerClock,
    pub(super) started: Instant,
    /// Commands handled since the start, for INFO.
    pub(super) commands: AtomicU64,
    /// All counts but that of open connections.
    pub(super) stats: Mutex<BrokerStats>,
    /// Locked for reading by each batch of messages, while at most 64 kB or one message is encoded, so that publishers
    /// run in parallel. Locked for writing by changes of subscriptions, which are rare, and by EXEC.
    subscriptions: RwLock<Subscriptions>,
    /// Locked by one command on keys at a time, and by EXEC.
    pub(super) keyspace: Mutex<Keyspace>,
    /// Clients by id, which is the order in which they connected.
    pub(super) clients: Mutex<BTreeMap<u64, Arc<Client>>>,
}

impl ServerState {
    pub(super) fn new(addr: SocketAddr, limits: BrokerLimits, clock: BrokerClock) -> Self {
        Self {
            addr,
            limits,
            clock,
            keyspace: Mutex::new(Keyspace::new(limits.stream_bytes_max)),
            started: Instant::now(),
            commands: AtomicU64::new(0),
            stats: Mutex::default(),
            subscriptions: RwLock::default(),
            clients: Mutex::default(),
        }
    }

    /// Adds a client. Returns `None` if there are too many, and counts it as refused.
    pub(super) fn add_client(&self, addr: SocketAddr) -> Option<Arc<Client>> {
        let mut clients = lock(&self.clients);
        let mut stats = lock(&self.stats);
        stats.connections += 1;
        if clients.len() >= self.limits.clients_max {
            stats.refused += 1;
            return None;
        }
        let client = Arc::new(Client::new(stats.connections, addr, self.limits));
        clients.insert(client.id, Arc::clone(&client));
        Some(client)
    }

    /// Returns all clients, in the order in which they connected.
    pub(super) fn clients(&self) -> Vec<Arc<Client>> {
        lock(&self.clients).values().cloned().collect()
    }

    pub(super) fn stats(&self) -> BrokerStats {
        BrokerStats { clients: lock(&self.clients).len(), ..*lock(&self.stats) }
    }

    pub(super) fn count_published(&self, messages: usize, deliveries: usize) {
        let mut stats = lock(&self.stats);
        stats.published += messages as u64;
        stats.delivered += deliveries as u64;
    }

    pub(super) fn read_subscriptions(&self) -> RwLockReadGuard<'_, Subscriptions> {
        self.subscriptions.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write_subscriptions(&self) -> RwLockWriteGuard<'_, Subscriptions> {
        self.subscriptions.write().unwrap_or_else(PoisonError::into_inner)
    }
}
