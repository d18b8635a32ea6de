//! One client as other tasks see it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::broker::BrokerLimits;
use crate::broker::output_buffer::OutputBuffer;

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
    channels: AtomicUsize,
    patterns: AtomicUsize,
    /// Number of the pending blocking read, 0 if there is none. Changes under the keyspace lock.
    block_id: AtomicU64,
    /// Locked by the client's task once for each batch of commands, and by CLIENT LIST.
    profile: Mutex<Profile>,
}

/// Fields of CLIENT LIST other than the counts.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub(super) name: Vec<u8>,
    pub(super) lib_name: Vec<u8>,
    pub(super) lib_version: Vec<u8>,
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
            channels: AtomicUsize::new(0),
            patterns: AtomicUsize::new(0),
            block_id: AtomicU64::new(0),
            profile: Mutex::new(Profile {
                name: Vec::new(),
                lib_name: Vec::new(),
                lib_version: Vec::new(),
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

    /// Returns the numbers of channels and patterns that the client is subscribed to.
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
        self.profile.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
