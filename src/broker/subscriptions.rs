//! Who listens to which channel.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::broker::client::Client;
use crate::broker::glob;

/// What a subscription names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Channel,
    Pattern,
}

/// All subscriptions of all clients. A name is there as long as it has a subscriber.
#[derive(Debug, Default)]
pub(super) struct Routes {
    channels: HashMap<Bytes, Vec<Arc<Client>>, foldhash::fast::RandomState>,
    /// Ordered, so that a client with several matching patterns gets its messages in the same order every time.
    patterns: BTreeMap<Bytes, Vec<Arc<Client>>>,
}

impl Routes {
    pub(super) fn add(&mut self, kind: Kind, name: Bytes, client: Arc<Client>) {
        match kind {
            Kind::Channel => self.channels.entry(name).or_default().push(client),
            Kind::Pattern => self.patterns.entry(name).or_default().push(client),
        }
    }

    pub(super) fn remove(&mut self, kind: Kind, name: &[u8], client_id: u64) {
        let forget = |clients: &mut Vec<Arc<Client>>| {
            clients.retain(|client| client.id != client_id);
            clients.is_empty()
        };
        match kind {
            Kind::Channel => {
                if self.channels.get_mut(name).is_some_and(forget) {
                    self.channels.remove(name);
                }
            }
            Kind::Pattern => {
                if self.patterns.get_mut(name).is_some_and(forget) {
                    self.patterns.remove(name);
                }
            }
        }
    }

    /// Subscribers by the channel's own name.
    pub(super) fn direct(&self, channel: &[u8]) -> &[Arc<Client>] {
        self.channels.get(channel).map(Vec::as_slice).unwrap_or_default()
    }

    /// Patterns that match the channel, with their subscribers.
    pub(super) fn matching<'a>(&'a self, channel: &'a [u8]) -> impl Iterator<Item = (&'a Bytes, &'a [Arc<Client>])> {
        self.patterns
            .iter()
            .filter(|(pattern, _)| glob::matches(pattern, channel))
            .map(|(pattern, clients)| (pattern, clients.as_slice()))
    }

    /// Channels that have a subscriber.
    pub(super) fn channels(&self) -> impl Iterator<Item = &Bytes> {
        self.channels.keys()
    }

    /// How many channels and how many patterns have a subscriber.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.channels.len(), self.patterns.len())
    }
}

/// The routes as a command sees them. EXEC has locked them for its whole transaction, so that nothing comes between its
/// messages; any other command locks them for itself.
#[derive(Debug)]
pub(super) enum RouteTable<'a> {
    Shared(&'a RwLock<Routes>),
    Locked(&'a mut Routes),
}

impl RouteTable<'_> {
    pub(super) fn read<R>(&mut self, action: impl FnOnce(&Routes) -> R) -> R {
        match self {
            Self::Shared(lock) => action(&lock.read().unwrap_or_else(PoisonError::into_inner)),
            Self::Locked(routes) => action(routes),
        }
    }

    pub(super) fn write<R>(&mut self, action: impl FnOnce(&mut Routes) -> R) -> R {
        match self {
            Self::Shared(lock) => action(&mut lock.write().unwrap_or_else(PoisonError::into_inner)),
            Self::Locked(routes) => action(routes),
        }
    }
}
