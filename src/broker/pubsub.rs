//! SUBSCRIBE, UNSUBSCRIBE, their pattern forms, PUBLISH and PUBSUB.

use std::sync::Arc;

use bytes::Bytes;

use crate::broker::client::{ByKind, SubscriptionKind};
use crate::broker::connection::ServerConnection;
use crate::broker::glob;
use crate::broker::publish::publish_one;
use crate::broker::subscriptions::Subscriptions;
use crate::resp::command::Args;

/// Channels and patterns that one client may subscribe to.
const SUBSCRIPTIONS_MAX: usize = 16 * 1024;

/// Bytes of all names that one client subscribes to: [`SUBSCRIPTIONS_MAX`] names of 256 bytes.
const SUBSCRIPTION_BYTES_MAX: usize = 4 * 1024 * 1024;

impl ServerConnection {
    /// SUBSCRIBE and PSUBSCRIBE. The confirmations enter the output buffer under the write lock, so that no message
    /// precedes the confirmation of its subscription.
    pub(super) fn subscribe(&mut self, kind: SubscriptionKind, args: Args<'_>, subscriptions: &mut Subscriptions) {
        for name in args.iter_from(1) {
            if !self.names.of(kind).contains(name) {
                if self.subscription_count() >= SUBSCRIPTIONS_MAX
                    || self.subscription_bytes + name.len() > SUBSCRIPTION_BYTES_MAX
                {
                    self.replies.error(format!(
                        "ERR too many subscriptions: a client may have {SUBSCRIPTIONS_MAX} names of \
                         {SUBSCRIPTION_BYTES_MAX} bytes in all"
                    ));
                    continue;
                }
                let name = Bytes::copy_from_slice(name);
                self.subscription_bytes += name.len();
                subscriptions.of(kind).entry(name.clone()).or_default().push(Arc::clone(&self.client));
                self.names.of(kind).insert(name);
            }
            let word = if kind == SubscriptionKind::Channel { "subscribe" } else { "psubscribe" };
            self.confirm(word, Some(name));
        }
        self.finish_change();
    }

    /// UNSUBSCRIBE and PUNSUBSCRIBE, from all names if none is given. No message follows the confirmation.
    pub(super) fn unsubscribe(&mut self, kind: SubscriptionKind, args: Args<'_>, subscriptions: &mut Subscriptions) {
        let word = if kind == SubscriptionKind::Channel { "unsubscribe" } else { "punsubscribe" };
        let names: Vec<Bytes> = match args.len() {
            1 => self.names.of(kind).iter().cloned().collect(),
            _ => args.iter_from(1).map(Bytes::copy_from_slice).collect(),
        };
        for name in &names {
            if self.names.of(kind).remove(name) {
                self.subscription_bytes -= name.len();
                subscriptions.remove(kind, name, self.client.id);
            }
            self.confirm(word, Some(name));
        }
        if names.is_empty() {
            self.confirm(word, None);
        }
        self.finish_change();
    }

    /// PUBLISH of a subscriber, or within a transaction; see [`publish_batch`](Self::publish_batch) for all others.
    pub(super) fn publish(&mut self, args: Args<'_>, subscriptions: &Subscriptions) {
        if self.is_subscriber() {
            // The client may receive its own message, after the replies to its earlier commands.
            self.flush();
        }
        let receivers = publish_one(subscriptions, args.at(1), args.at(2));
        self.state.count_published(1, receivers);
        self.replies.integer(receivers as i64);
    }

    pub(super) fn pubsub_channels(&mut self, args: Args<'_>, subscriptions: &Subscriptions) {
        if args.len() > 3 {
            let text = "ERR unknown subcommand or wrong number of arguments for '";
            return self.error_quoting(text, args.at(1), "'. Try PUBSUB HELP.");
        }
        let is_match = |name: &&Bytes| args.get(2).is_none_or(|pattern| glob::matches(pattern, name));
        let names: Vec<&Bytes> = subscriptions.channels.keys().filter(is_match).collect();
        self.replies.bulks(&names);
    }

    pub(super) fn pubsub_numpat(&mut self, subscriptions: &Subscriptions) {
        self.replies.integer(subscriptions.patterns.len() as i64);
    }

    pub(super) fn pubsub_numsub(&mut self, args: Args<'_>, subscriptions: &Subscriptions) {
        let names = args.iter_from(2);
        self.replies.array(names.len() * 2);
        for name in names {
            self.replies.bulk(name).integer(subscriptions.channels.get(name).map_or(0, Vec::len) as i64);
        }
    }

    fn subscription_count(&self) -> usize {
        self.names.channels.len() + self.names.patterns.len()
    }

    fn confirm(&mut self, word: &str, name: Option<&[u8]>) {
        let count = self.subscription_count();
        let replies = self.replies.push(3).bulk(word);
        match name {
            Some(name) => replies.bulk(name),
            None => replies.null(),
        }
        .integer(count as i64);
    }

    fn finish_change(&mut self) {
        let ByKind { channels, patterns } = &self.names;
        self.client.profile().subscriptions = ByKind { channels: channels.len(), patterns: patterns.len() };
        self.flush();
    }
}
