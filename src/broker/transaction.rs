//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use crate::broker::commands::Spec;
use crate::broker::dispatch::{REPLY_BYTES_MAX, Session};
use crate::broker::key_locks::{Access, Space};
use crate::broker::output_buffer::End;
use crate::resp::command::{Args, OwnedArgs};

/// Memory for the commands between MULTI and EXEC.
const TRANSACTION_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Memory for the keys that one client watches: some ten thousand.
const WATCHED_BYTES_MAX: usize = 1024 * 1024;

/// What a watched key costs beside its name.
const WATCHED_KEY_BYTES: usize = 64;

/// Commands since MULTI.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) commands: Vec<(&'static Spec, OwnedArgs)>,
    bytes: usize,
    /// One of them was refused, so EXEC will refuse them all.
    pub(super) is_broken: bool,
}

/// Keys that must not have changed when EXEC comes, each with what told its state.
#[derive(Debug, Default)]
pub(super) struct Watched {
    keys: BTreeMap<Bytes, Option<u64>>,
    bytes: usize,
    /// There were too many, so EXEC cannot tell whether one has changed.
    is_lost: bool,
}

impl Transaction {
    /// Whether a full broker has to refuse it.
    pub(super) fn adds_memory(&self) -> bool {
        self.commands.iter().any(|(spec, _)| spec.adds_memory())
    }
}

impl Session {
    pub(super) fn multi(&mut self) {
        if self.transaction.is_some() {
            return self.out.error("ERR MULTI calls can not be nested");
        }
        self.transaction = Some(Transaction::default());
        self.out.simple("OK");
    }

    pub(super) fn queue(&mut self, spec: &'static Spec, args: Args<'_>) {
        let Some(transaction) = &mut self.transaction else { return };
        if transaction.is_broken {
            // EXEC will run none of them, so there is no use in keeping them.
            transaction.commands.clear();
        } else if transaction.bytes > TRANSACTION_BYTES_MAX {
            let text = format!("ERR the transaction is longer than {TRANSACTION_BYTES_MAX} bytes");
            return self.reject(None, text.as_bytes());
        } else {
            let args = args.to_owned();
            transaction.bytes += args.memory_bytes() + size_of::<(&Spec, OwnedArgs)>();
            transaction.commands.push((spec, args));
        }
        self.out.simple("QUEUED");
    }

    pub(super) fn discard(&mut self) {
        if self.transaction.take().is_none() {
            return self.out.error("ERR DISCARD without MULTI");
        }
        self.watched = Watched::default();
        self.out.simple("OK");
    }

    /// Runs the queued commands under one lock, so that no subscriber sees another's message between theirs and nobody
    /// else's command comes between.
    pub(super) fn exec(&mut self) {
        let Some(transaction) = self.transaction.take() else {
            return self.out.error("ERR EXEC without MULTI");
        };
        let watched = std::mem::take(&mut self.watched);
        if transaction.is_broken {
            return self.out.error("EXECABORT Transaction discarded because of previous errors.");
        }
        let hub = Arc::clone(&self.hub);
        let mut routes = hub.routes.write().unwrap_or_else(PoisonError::into_inner);
        let mut space = hub.lock_space();
        if watched.is_lost || watched.keys.iter().any(|(key, change)| space.change_of(key) != *change) {
            return self.out.null_array();
        }
        self.out.array(transaction.commands.len());
        let mut access = Access::locked(&mut routes, &mut space);
        for (spec, args) in &transaction.commands {
            if self.out.len() > 2 * REPLY_BYTES_MAX {
                self.close_after_replies();
                self.client.outbox.end(End::CutOff { queued_bytes: self.out.len() });
                break;
            }
            self.execute(spec, args.as_args(), &mut access);
        }
        space.serve_waiting(hub.clock.now_ms());
        hub.note_room(&space);
    }

    pub(super) fn watch(&mut self, args: Args<'_>, space: &mut Space<'_>) {
        if self.transaction.is_some() {
            return self.out.error("ERR WATCH inside MULTI is not allowed");
        }
        space.with(|space| {
            for key in args.iter_from(1) {
                if self.watched.keys.contains_key(key) {
                    continue;
                }
                self.watched.bytes += key.len() + WATCHED_KEY_BYTES;
                if self.watched.bytes > WATCHED_BYTES_MAX {
                    self.watched = Watched { is_lost: true, ..Watched::default() };
                    let text = format!("ERR the watched keys take more than {WATCHED_BYTES_MAX} bytes");
                    return self.out.error(text);
                }
                self.watched.keys.insert(Bytes::copy_from_slice(key), space.change_of(key));
            }
            self.out.simple("OK");
        });
    }

    pub(super) fn unwatch(&mut self) {
        self.watched = Watched::default();
        self.out.simple("OK");
    }
}
