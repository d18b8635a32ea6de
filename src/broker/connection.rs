//! State of one client connection, and the description of a command that runs on it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::broker::client::{ByKind, Client, SubscriptionKind};
use crate::broker::lock;
use crate::broker::server_state::ServerState;
use crate::broker::streams::{Growth, KeyHandler, Keyspace, ReadRequest};
use crate::broker::subscriptions::Subscriptions;
use crate::resp::command::Args;
use crate::resp::encode::Encoder;

/// Longest part of a client's command that an error message repeats, as in Redis.
pub(super) const QUOTED_BYTES_MAX: usize = 128;

/// A command, or a subcommand whose name follows that of its container and a bar, such as `client|id`.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) name: &'static str,
    /// Number of words including the name; a negative number is a minimum.
    pub(super) arity: i32,
    /// Flags as COMMAND shows them, separated by spaces.
    pub(super) flags: &'static str,
    /// First key, last key and step; zeros if the keys are not at a fixed place.
    pub(super) keys: [i64; 3],
    pub(super) handler: Handler,
    pub(super) subcommands: &'static [Command],
}

/// Function that runs a command, by the locks that it needs.
#[derive(Debug)]
pub(super) enum Handler {
    Connection(fn(&mut ServerConnection, Args<'_>)),
    Subscriptions(fn(&mut ServerConnection, Args<'_>, &mut Subscriptions)),
    Keys(Growth, KeyHandler),
    All(fn(&mut ServerConnection, Args<'_>, &Subscriptions, &Keyspace)),
}

impl Command {
    /// Returns whether the arity allows `len` words.
    pub(super) fn accepts(&self, len: usize) -> bool {
        let needed = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { len >= needed } else { len == needed }
    }

    /// Returns whether the command is refused when the streams have used up their memory.
    pub(super) fn adds_memory(&self) -> bool {
        matches!(self.handler, Handler::Keys(Growth::Entries, _))
    }

    /// Returns whether a RESP2 client may send this command while it is subscribed.
    pub(super) fn is_allowed_in_subscribe_mode(&self) -> bool {
        let allowed = ["subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ping", "quit", "reset"];
        allowed.contains(&self.name)
    }

    /// Returns whether the command takes effect within MULTI instead of being queued.
    pub(super) fn bypasses_queue(&self) -> bool {
        ["exec", "discard", "multi", "quit", "reset"].contains(&self.name)
    }
}

/// Commands queued since MULTI.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// Commands, each with its bytes as they arrived.
    pub(super) commands: Vec<(&'static Command, Vec<u8>)>,
    pub(super) bytes: usize,
    /// Set once a command was refused; EXEC then refuses the whole transaction.
    pub(super) is_broken: bool,
}

/// State that only the client's own task uses. Dropping it removes the client from the server.
#[derive(Debug)]
pub(super) struct ServerConnection {
    pub(super) state: Arc<ServerState>,
    pub(super) client: Arc<Client>,
    /// Replies that are not in the output buffer yet.
    pub(super) replies: Encoder,
    /// Names that it subscribes to.
    pub(super) names: ByKind<BTreeSet<Bytes>>,
    pub(super) subscription_bytes: usize,
    pub(super) transaction: Option<Transaction>,
    /// End of the current blocking read; `None` if it has no timeout.
    pub(super) block_deadline: Option<Instant>,
    pub(super) is_closing: bool,
    pub(super) last_command: &'static str,
}

impl ServerConnection {
    pub(super) fn new(state: Arc<ServerState>, client: Arc<Client>) -> Self {
        Self {
            state,
            client,
            replies: Encoder::default(),
            names: ByKind::default(),
            subscription_bytes: 0,
            transaction: None,
            block_deadline: None,
            is_closing: false,
            last_command: "NULL",
        }
    }

    /// Runs a command under the locks that EXEC holds, or takes those that it needs.
    pub(super) fn execute(
        &mut self,
        command: &Command,
        args: Args<'_>,
        held: Option<(&mut Subscriptions, &mut Keyspace)>,
    ) {
        let state = Arc::clone(&self.state);
        match (&command.handler, held) {
            (Handler::Connection(run), _) => run(self, args),
            (Handler::Subscriptions(run), None) => run(self, args, &mut state.write_subscriptions()),
            (Handler::Subscriptions(run), Some((subscriptions, _))) => run(self, args, subscriptions),
            (Handler::All(run), None) => run(self, args, &state.read_subscriptions(), &lock(&state.keyspace)),
            (Handler::All(run), Some((subscriptions, keyspace))) => run(self, args, subscriptions, keyspace),
            (Handler::Keys(growth, run), None) => {
                let now_ms = state.clock.now_ms();
                let mut keyspace = lock(&state.keyspace);
                if let Some(read) = keyspace.run(*growth, *run, args, &mut self.replies, now_ms) {
                    self.block(&mut keyspace, read);
                }
                keyspace.serve_blocked(now_ms);
            }
            (Handler::Keys(growth, run), Some((_, keyspace))) => {
                let blocking = keyspace.run(*growth, *run, args, &mut self.replies, state.clock.now_ms());
                // Within a transaction, a blocking read returns nil at once.
                if blocking.is_some() {
                    self.replies.null_array();
                }
            }
        }
    }

    fn block(&mut self, keyspace: &mut Keyspace, read: ReadRequest) {
        let timeout = read.block_ms.filter(|ms| *ms != 0).map(|ms| Duration::from_millis(ms as u64));
        self.block_deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        // The reply to the blocking read may come from another client's task, and must follow these.
        self.flush();
        if let Err(error) = keyspace.blocked.insert(&self.client, read) {
            self.replies.error(error.0);
        }
    }

    /// Replies nil to a blocking read that timed out, unless it was served at the last moment.
    pub(super) fn end_block(&mut self) {
        if lock(&self.state.keyspace).blocked.remove_client(&self.client) {
            self.replies.null_array();
            self.flush();
        }
    }

    /// Moves the replies to the end of the output buffer.
    pub(super) fn flush(&mut self) {
        if self.replies.len() > 0 {
            let is_subscriber = self.is_subscriber();
            self.client.output.push(Bytes::from(self.replies.take()), is_subscriber);
        }
    }

    pub(super) fn is_subscriber(&self) -> bool {
        !(self.names.channels.is_empty() && self.names.patterns.is_empty())
    }

    /// Replies with an error that quotes a part of the command, truncated as Redis truncates it.
    pub(super) fn error_quoting(&mut self, before: &str, quoted: &[u8], after: &str) {
        self.replies.error([before.as_bytes(), quote(quoted), after.as_bytes()].concat());
    }

    pub(super) fn syntax_error(&mut self) {
        self.replies.error("ERR syntax error");
    }

    /// Refuses the command of this name before it runs, which breaks a transaction.
    pub(super) fn reject(&mut self, name: &[u8], text: &[u8]) {
        if name.eq_ignore_ascii_case(b"exec") {
            self.transaction = None;
            let text = text.strip_prefix(b"ERR ").unwrap_or(text);
            self.replies.error([b"EXECABORT Transaction discarded because of: ", text].concat());
        } else {
            if let Some(transaction) = &mut self.transaction {
                transaction.is_broken = true;
            }
            self.replies.error(text);
        }
    }

    /// Removes all subscriptions without replies.
    pub(super) fn unsubscribe_all(&mut self, subscriptions: &mut Subscriptions) {
        for kind in [SubscriptionKind::Channel, SubscriptionKind::Pattern] {
            for name in std::mem::take(self.names.of(kind)) {
                subscriptions.remove(kind, &name, self.client.id);
            }
        }
        self.subscription_bytes = 0;
        self.client.profile().subscriptions = ByKind::default();
    }
}

impl Drop for ServerConnection {
    fn drop(&mut self) {
        let state = Arc::clone(&self.state);
        if self.is_subscriber() {
            self.unsubscribe_all(&mut state.write_subscriptions());
        }
        if self.client.is_blocked() {
            lock(&state.keyspace).blocked.remove_client(&self.client);
        }
        lock(&state.clients).remove(&self.client.id);
    }
}

pub(super) fn arity_error(name: &str) -> String {
    format!("ERR wrong number of arguments for '{name}' command")
}

/// Returns the part of `word` that an error message repeats: what C's `%.128s` prints.
pub(super) fn quote(word: &[u8]) -> &[u8] {
    let word = until_nul(word);
    &word[..word.len().min(QUOTED_BYTES_MAX)]
}

/// Returns the part of `word` before its first NUL, where a C string ends.
pub(super) fn until_nul(word: &[u8]) -> &[u8] {
    &word[..memchr::memchr(0, word).unwrap_or(word.len())]
}
