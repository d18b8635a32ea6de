//! What all clients share, as one command sees it: locked already by its EXEC, or to be locked by itself.

use crate::broker::commands::KeyVerb;
use crate::broker::dispatch::Session;
use crate::broker::server_state::Hub;
use crate::broker::streams::{Keyspace, Outcome};
use crate::broker::subscriptions::{RouteTable, Routes};
use crate::resp::command::Args;

/// The routes and the streams.
#[derive(Debug)]
pub(super) struct Access<'a> {
    pub(super) routes: RouteTable<'a>,
    pub(super) space: Space<'a>,
}

/// The streams. Nobody may wait for one within a transaction.
#[derive(Debug)]
pub(super) enum Space<'a> {
    Shared(&'a Hub),
    Locked(&'a mut Keyspace),
}

impl<'a> Access<'a> {
    /// For a command of its own.
    pub(super) fn shared(hub: &'a Hub) -> Self {
        Self { routes: RouteTable::Shared(&hub.routes), space: Space::Shared(hub) }
    }

    /// For the commands of a transaction.
    pub(super) fn locked(routes: &'a mut Routes, space: &'a mut Keyspace) -> Self {
        Self { routes: RouteTable::Locked(routes), space: Space::Locked(space) }
    }
}

impl Space<'_> {
    pub(super) fn with<R>(&mut self, action: impl FnOnce(&mut Keyspace) -> R) -> R {
        match self {
            Self::Shared(hub) => action(&mut hub.lock_space()),
            Self::Locked(space) => action(space),
        }
    }
}

impl Session {
    /// Runs a command on keys, and serves those who waited for what it did.
    pub(super) fn key_command(&mut self, verb: KeyVerb, args: Args<'_>, space: &mut Space<'_>) {
        let now_ms = self.hub.clock.now_ms();
        match space {
            Space::Shared(hub) => {
                let mut space = hub.lock_space();
                if let Outcome::Wait(wait) = space.run(verb, args, &mut self.out, now_ms) {
                    self.wait(&mut space, wait);
                }
                space.serve_waiting(now_ms);
                hub.note_room(&space);
            }
            Space::Locked(space) => {
                if let Outcome::Wait(_) = space.run(verb, args, &mut self.out, now_ms) {
                    self.out.null_array();
                }
            }
        }
    }
}
