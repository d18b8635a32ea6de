//! One client as other tasks see it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use tokio::time::Instant;

use crate::broker::output_buffer::OutputBuffer;
use crate::broker::{BrokerLimits, lock};

/// State that the client's own task shares with publishers, blocked reads and CLIENT LIST.
#[derive(Debug)]
pub(super) struct Client {
    /// Counts up from 1 and is never reused.
    pub(super) id: u64,
    pub(super) addr: SocketAddr,
    pub(super) connected: Instant,
    pub(super) output: OutputBuffer,
    /// Changes under the write lock of the subscriptions, so that a publisher sees it change only between two messages.
    resp3: AtomicBool,
    /// Number of the pending blocking read, 0 if there is none. Changes under the keyspace lock.
    block_id: AtomicU64,
    /// Locked by the client's task once for each batch of commands and change of subscriptions, by CLIENT LIST, and for
    /// the reply to a blocking read.
    profile: Mutex<Profile>,
}

/// Fields of CLIENT LIST that change together with a command.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) name: Vec<u8>,
    pub(super) lib_name: Vec<u8>,
    pub(super) lib_version: Vec<u8>,
    /// Numbers of channels and patterns.
    pub(super) subscriptions: ByKind<usize>,
    /// Full name of the last command, such as `client|list`.
    pub(super) last_command: &'static str,
    pub(super) last_active: Instant,
    /// Commands queued since MULTI.
    pub(super) queued_commands: Option<usize>,
}

impl Client {
    pub(super) fn new(id: u64, addr: SocketAddr, limits: BrokerLimits) -> Self {
        let now = Instant::now();
        Self {
            id,
            addr,
            connected: now,
            output: OutputBuffer::new(limits),
            resp3: AtomicBool::new(false),
            block_id: AtomicU64::new(0),
            profile: Mutex::new(Profile {
                name: Vec::new(),
                lib_name: Vec::new(),
                lib_version: Vec::new(),
                subscriptions: ByKind::default(),
                last_command: "NULL",
                last_active: now,
                queued_commands: None,
            }),
        }
    }

    pub(super) fn is_resp3(&self) -> bool {
        self.resp3.load(Ordering::Relaxed)
    }

    pub(super) fn set_resp3(&self, resp3: bool) {
        self.resp3.store(resp3, Ordering::Relaxed);
    }

    pub(super) fn is_subscriber(&self) -> bool {
        self.profile().subscriptions != ByKind::default()
    }

    pub(super) fn block_id(&self) -> u64 {
        self.block_id.load(Ordering::Acquire)
    }

    /// Sets the pending blocking read. 0 unblocks the client, whose reply must be in the output buffer by then.
    pub(super) fn set_block_id(&self, block_id: u64) {
        self.block_id.store(block_id, Ordering::Release);
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.block_id() != 0
    }

    pub(super) fn profile(&self) -> MutexGuard<'_, Profile> {
        lock(&self.profile)
    }
}

/// Kind of name that a subscription uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SubscriptionKind {
    Channel,
    Pattern,
}

/// One value for each kind of subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ByKind<T> {
    pub(super) channels: T,
    pub(super) patterns: T,
}

impl<T> ByKind<T> {
    pub(super) fn of(&mut self, kind: SubscriptionKind) -> &mut T {
        match kind {
            SubscriptionKind::Channel => &mut self.channels,
            SubscriptionKind::Pattern => &mut self.patterns,
        }
    }
}
