//! SUBSCRIBE and its kin.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::broker::dispatch::Session;
use crate::broker::glob;
use crate::broker::subscriptions::{Kind, RouteTable, Routes};
use crate::resp::command::Args;

/// Channels and patterns that one client may name.
const SUBSCRIPTIONS_MAX: usize = 16 * 1024;

/// Bytes of all the names that one client subscribes to: [`SUBSCRIPTIONS_MAX`] names of 256 bytes.
const SUBSCRIPTION_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Session {
    /// SUBSCRIBE and PSUBSCRIBE. The confirmations enter the outbox under the routes' write lock, so that no message
    /// comes before the confirmation of its subscription.
    pub(super) fn subscribe(&mut self, kind: Kind, args: Args<'_>, routes: &mut RouteTable<'_>) {
        routes.write(|routes| {
            for name in args.iter_from(1) {
                if !self.names(kind).contains(name) {
                    if self.channels.len() + self.patterns.len() >= SUBSCRIPTIONS_MAX
                        || self.subscription_bytes + name.len() > SUBSCRIPTION_BYTES_MAX
                    {
                        self.out.error(format!(
                            "ERR too many subscriptions: a client may have {SUBSCRIPTIONS_MAX} names of \
                             {SUBSCRIPTION_BYTES_MAX} bytes in all"
                        ));
                        continue;
                    }
                    let name = Bytes::copy_from_slice(name);
                    self.subscription_bytes += name.len();
                    routes.add(kind, name.clone(), Arc::clone(&self.client));
                    self.names(kind).insert(name);
                }
                let word = if kind == Kind::Channel { "subscribe" } else { "psubscribe" };
                self.confirm(word, Some(name));
            }
            self.publish_counts();
            self.flush();
        });
    }

    /// UNSUBSCRIBE and PUNSUBSCRIBE, from all names if none is given. After its confirmation no message comes.
    pub(super) fn unsubscribe(&mut self, kind: Kind, args: Args<'_>, routes: &mut RouteTable<'_>) {
        let word = if kind == Kind::Channel { "unsubscribe" } else { "punsubscribe" };
        routes.write(|routes| {
            if args.len() > 1 {
                for name in args.iter_from(1) {
                    if self.names(kind).remove(name) {
                        self.subscription_bytes -= name.len();
                        routes.remove(kind, name, self.client.id);
                    }
                    self.confirm(word, Some(name));
                }
            } else if self.names(kind).is_empty() {
                self.confirm(word, None);
            } else {
                while let Some(name) = self.names(kind).pop_first() {
                    self.subscription_bytes -= name.len();
                    routes.remove(kind, &name, self.client.id);
                    self.confirm(word, Some(&name));
                }
            }
            self.publish_counts();
            self.flush();
        });
    }

    /// Silently, for RESET and the end of the connection.
    pub(super) fn unsubscribe_all(&mut self, routes: &mut Routes) {
        for kind in [Kind::Channel, Kind::Pattern] {
            for name in std::mem::take(self.names(kind)) {
                routes.remove(kind, &name, self.client.id);
            }
        }
        self.subscription_bytes = 0;
        self.publish_counts();
    }

    pub(super) fn pubsub_channels(&mut self, args: Args<'_>, routes: &mut RouteTable<'_>) {
        if args.len() > 3 {
            let text = "ERR unknown subcommand or wrong number of arguments for '";
            return self.error_quoting(text, args.at(1), "'. Try PUBSUB HELP.");
        }
        let pattern = args.get(2);
        let mut names: Vec<Bytes> = routes.read(|routes| {
            let wanted = |name: &&Bytes| pattern.is_none_or(|pattern| glob::matches(pattern, name));
            routes.channels().filter(wanted).cloned().collect()
        });
        names.sort_unstable();
        self.out.array(names.len());
        for name in names {
            self.out.bulk(name);
        }
    }

    pub(super) fn pubsub_numsub(&mut self, args: Args<'_>, routes: &mut RouteTable<'_>) {
        let names = args.iter_from(2);
        self.out.array(names.len() * 2);
        routes.read(|routes| {
            for name in names {
                self.out.bulk(name);
                self.out.integer(routes.direct(name).len() as i64);
            }
        });
    }

    fn names(&mut self, kind: Kind) -> &mut BTreeSet<Bytes> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
        }
    }

    fn confirm(&mut self, word: &str, name: Option<&[u8]>) {
        self.out.push(3);
        self.out.bulk(word);
        match name {
            Some(name) => self.out.bulk(name),
            None => self.out.null(),
        }
        self.out.integer((self.channels.len() + self.patterns.len()) as i64);
    }

    fn publish_counts(&self) {
        self.client.set_subscriptions(self.channels.len(), self.patterns.len());
    }
}
