//! Subscribers of each channel and pattern.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::broker::client::{ByKind, Client, SubscriptionKind};
use crate::broker::glob;

/// Subscribers by name. A name is present while it has a subscriber. The order of the names makes a client with several
/// matching patterns receive its messages in the same order every time.
pub(super) type Subscriptions = ByKind<BTreeMap<Bytes, Vec<Arc<Client>>>>;

impl Subscriptions {
    pub(super) fn remove(&mut self, kind: SubscriptionKind, name: &[u8], client_id: u64) {
        let subscribers = self.of(kind);
        if let Some(clients) = subscribers.get_mut(name) {
            clients.retain(|client| client.id != client_id);
            if clients.is_empty() {
                subscribers.remove(name);
            }
        }
    }

    /// Receivers of a message to `channel` in Redis's order: the subscribers of the channel, then those of each pattern
    /// that matches, with the pattern.
    pub(super) fn receivers<'a>(
        &'a self,
        channel: &'a [u8],
    ) -> impl Iterator<Item = (Option<&'a Bytes>, &'a [Arc<Client>])> {
        let direct = self.channels.get(channel).map(|clients| (None, clients.as_slice()));
        let patterns = self.patterns.iter().filter(|(pattern, _)| glob::matches(pattern, channel));
        direct.into_iter().chain(patterns.map(|(pattern, clients)| (Some(pattern), clients.as_slice())))
    }
}
