//! Subscribers of each channel and pattern.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::broker::client::Client;
use crate::broker::glob;

/// Kind of name that a subscription uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SubscriptionKind {
    Channel,
    Pattern,
}

/// All subscriptions of all clients.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    pub(super) channels: SubscriberMap,
    pub(super) patterns: SubscriberMap,
}

/// Subscribers by name. A name is present while it has a subscriber. The order of the names makes a client with several
/// matching patterns receive its messages in the same order every time.
#[derive(Debug, Default)]
pub(super) struct SubscriberMap(BTreeMap<Bytes, Vec<Arc<Client>>>);

impl Subscriptions {
    pub(super) fn of_kind(&mut self, kind: SubscriptionKind) -> &mut SubscriberMap {
        match kind {
            SubscriptionKind::Channel => &mut self.channels,
            SubscriptionKind::Pattern => &mut self.patterns,
        }
    }

    /// Patterns that match `channel`, with their subscribers.
    pub(super) fn matching<'a>(&'a self, channel: &'a [u8]) -> impl Iterator<Item = (&'a Bytes, &'a [Arc<Client>])> {
        let patterns = self.patterns.0.iter().filter(|(pattern, _)| glob::matches(pattern, channel));
        patterns.map(|(pattern, clients)| (pattern, clients.as_slice()))
    }
}

impl SubscriberMap {
    pub(super) fn add(&mut self, name: Bytes, client: Arc<Client>) {
        self.0.entry(name).or_default().push(client);
    }

    pub(super) fn remove(&mut self, name: &[u8], client_id: u64) {
        if let Some(clients) = self.0.get_mut(name) {
            clients.retain(|client| client.id != client_id);
            if clients.is_empty() {
                self.0.remove(name);
            }
        }
    }

    /// Subscribers of exactly this name.
    pub(super) fn get(&self, name: &[u8]) -> &[Arc<Client>] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Names that have a subscriber, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &Bytes> {
        self.0.keys()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
