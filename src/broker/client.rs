//! One client as the others see it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::broker::output_buffer::{Outbox, OutputLimits};

/// Shared by the client's own task, the routes and CLIENT LIST.
#[derive(Debug)]
pub(super) struct Client {
    /// Counts up from 1 and is never used again.
    pub(super) id: u64,
    pub(super) addr: SocketAddr,
    pub(super) connected: Instant,
    pub(super) outbox: Outbox,
    /// Changes under the routes' write lock while there are subscriptions, so a publisher sees it change between two
    /// messages and not within one.
    resp3: AtomicBool,
    channels: AtomicUsize,
    patterns: AtomicUsize,
    /// While it waits for a stream, its place among those who wait; otherwise 0. Changes under the keyspace's lock.
    ticket: AtomicU64,
    /// Locked once a batch of commands by the client's task, and by CLIENT LIST.
    profile: Mutex<Profile>,
}

/// What CLIENT LIST tells beside the counts.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) name: Vec<u8>,
    pub(super) lib_name: Vec<u8>,
    pub(super) lib_version: Vec<u8>,
    /// Last command's full name, such as `client|list`.
    pub(super) command: &'static str,
    pub(super) active: Instant,
    /// Commands queued since MULTI.
    pub(super) queued_commands: Option<usize>,
}

impl Client {
    pub(super) fn new(id: u64, addr: SocketAddr, limits: OutputLimits) -> Self {
        let now = Instant::now();
        Self {
            id,
            addr,
            connected: now,
            outbox: Outbox::new(limits),
            resp3: AtomicBool::new(false),
            channels: AtomicUsize::new(0),
            patterns: AtomicUsize::new(0),
            ticket: AtomicU64::new(0),
            profile: Mutex::new(Profile {
                name: Vec::new(),
                lib_name: Vec::new(),
                lib_version: Vec::new(),
                command: "NULL",
                active: now,
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

    /// Channels and patterns that it is subscribed to.
    pub(super) fn subscriptions(&self) -> (usize, usize) {
        (self.channels.load(Ordering::Relaxed), self.patterns.load(Ordering::Relaxed))
    }

    pub(super) fn set_subscriptions(&self, channels: usize, patterns: usize) {
        self.channels.store(channels, Ordering::Relaxed);
        self.patterns.store(patterns, Ordering::Relaxed);
    }

    pub(super) fn is_subscriber(&self) -> bool {
        self.subscriptions() != (0, 0)
    }

    pub(super) fn ticket(&self) -> u64 {
        self.ticket.load(Ordering::Acquire)
    }

    /// 0 lets the client go on; what it waited for must be in its outbox by then.
    pub(super) fn set_ticket(&self, ticket: u64) {
        self.ticket.store(ticket, Ordering::Release);
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.ticket() != 0
    }

    pub(super) fn profile(&self) -> MutexGuard<'_, Profile> {
        self.profile.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
