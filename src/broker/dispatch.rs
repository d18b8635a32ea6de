//! What one client's commands do: Redis's checks in Redis's order, then the command itself.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::broker::client::Client;
use crate::broker::commands;
use crate::broker::commands::{Spec, Verb};
use crate::broker::key_locks::Access;
use crate::broker::output_buffer::End;
use crate::broker::publish::{only_path, publish_one};
use crate::broker::server_state::Hub;
use crate::broker::streams::{Keyspace, OUT_OF_MEMORY, Wait};
use crate::broker::subscriptions::{Kind, RouteTable};
use crate::broker::transaction::{Transaction, Watched};
use crate::resp::command::{Args, Decoder, ProtocolError, strict_integer};
use crate::resp::encode::Encoder;

/// Replies that may wait for a client before no more of its commands are read. A pipeline of four million messages
/// still fits, since some libraries send all of a pipeline before they read any reply.
pub(super) const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Commands that are handled before other clients get a turn.
const TURN_COMMANDS_MAX: usize = 4_096;

const US_PER_S: i64 = 1_000_000;

/// Longest part of a command that an error repeats, as in Redis.
const QUOTED_BYTES_MAX: usize = 128;

/// How handling a client's input came to a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The input holds no whole command any more.
    NeedsInput,
    /// It may hold more, but it is others' turn, or the client should read its replies first.
    Paused,
    /// It waits for a stream; the input behind that command stays.
    Waiting,
    /// The connection is to be closed once the replies are written.
    Closing,
}

/// Messages that were delivered together.
#[derive(Debug)]
struct Run {
    bytes: usize,
    commands: usize,
    /// Length of the command behind them, if it was decoded already.
    next: Option<usize>,
}

/// A client's state. Dropping it takes the client off the routes and off the list of clients.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) hub: Arc<Hub>,
    pub(super) client: Arc<Client>,
    /// Replies that are not in the outbox yet.
    pub(super) out: Encoder,
    pub(super) channels: BTreeSet<Bytes>,
    pub(super) patterns: BTreeSet<Bytes>,
    pub(super) subscription_bytes: usize,
    pub(super) transaction: Option<Transaction>,
    pub(super) watched: Watched,
    /// When its wait for a stream ends in vain; `None` if it waits for ever.
    wait_ends: Option<Instant>,
    is_closing: bool,
    last_command: &'static str,
}

impl Session {
    pub(super) fn new(hub: Arc<Hub>, client: Arc<Client>) -> Self {
        Self {
            hub,
            client,
            out: Encoder::default(),
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            subscription_bytes: 0,
            transaction: None,
            watched: Watched::default(),
            wait_ends: None,
            is_closing: false,
            last_command: "NULL",
        }
    }

    /// Handles the commands at the start of `input`. Returns how many bytes are done with.
    pub(super) fn handle(&mut self, decoder: &mut Decoder, input: &[u8]) -> (usize, Progress) {
        let queued_before = self.client.outbox.queued().0;
        let (mut at, mut commands) = (0, 0);
        // A command that a run of PUBLISHes has decoded but not taken.
        let mut decoded = None;
        let progress = loop {
            if self.is_closing {
                break Progress::Closing;
            }
            if self.client.is_waiting() {
                break Progress::Waiting;
            }
            if commands >= TURN_COMMANDS_MAX || queued_before + self.out.len() >= REPLY_BYTES_MAX {
                break Progress::Paused;
            }
            match decoded.take().map_or_else(|| decoder.decode(&input[at..]), |len| Ok(Some(len))) {
                Ok(None) => break Progress::NeedsInput,
                Ok(Some(len)) => {
                    let args = decoder.args(&input[at..]);
                    if self.starts_run(args) {
                        let channel = args.at(1).to_vec();
                        let run = self.publish_run(decoder, &input[at..], len, &channel);
                        at += run.bytes;
                        commands += run.commands;
                        decoded = run.next;
                    } else {
                        self.command(args);
                        at += len;
                        commands += 1;
                    }
                }
                Err(error) => self.refuse_protocol(error),
            }
        };
        self.hub.stats.commands(commands);
        self.note_activity(commands);
        self.flush();
        (at, progress)
    }

    /// Lets the client wait for what `wait` says.
    pub(super) fn wait(&mut self, space: &mut Keyspace, wait: Wait) {
        let timeout = Duration::from_millis(wait.timeout_ms as u64);
        self.wait_ends = if timeout.is_zero() { None } else { Instant::now().checked_add(timeout) };
        // What is behind it in the outbox may come from another task.
        self.flush();
        if let Err(refusal) = space.waiting.enter(&self.client, wait) {
            self.out.error(refusal.0);
        }
    }

    /// When the wait is over in vain, if it can be.
    pub(super) fn wait_ends(&self) -> Option<Instant> {
        self.wait_ends
    }

    /// Ends a wait in vain, unless it has just been served.
    pub(super) fn end_wait(&mut self) {
        if self.hub.lock_space().waiting.leave(&self.client) {
            self.out.null_array();
            self.flush();
        }
    }

    /// Moves the replies into the outbox, behind what is there already.
    pub(super) fn flush(&mut self) {
        if self.out.len() > 0 {
            let is_subscriber = self.is_subscriber();
            self.client.outbox.push(Bytes::from(self.out.take()), is_subscriber);
        }
    }

    pub(super) fn is_subscriber(&self) -> bool {
        !(self.channels.is_empty() && self.patterns.is_empty())
    }

    /// Answers that a word of the client is wrong, cut and cleaned as Redis does.
    pub(super) fn error_quoting(&mut self, before: &str, quoted: &[u8], after: &str) {
        self.out.error([before.as_bytes(), quote(quoted), after.as_bytes()].concat());
    }

    pub(super) fn wrong_arity(&mut self, name: &str) {
        self.out.error(format!("ERR wrong number of arguments for '{name}' command"));
    }

    pub(super) fn syntax_error(&mut self) {
        self.out.error("ERR syntax error");
    }

    pub(super) fn close_after_replies(&mut self) {
        self.is_closing = true;
    }

    fn note_activity(&mut self, commands: usize) {
        if commands > 0 {
            let mut profile = self.client.profile();
            profile.command = self.last_command;
            profile.active = Instant::now();
            profile.queued_commands = self.transaction.as_ref().map(|transaction| transaction.commands.len());
        }
    }

    fn refuse_protocol(&mut self, error: ProtocolError) {
        self.is_closing = true;
        if let Some(text) = error.text() {
            self.out.error(text);
        } else {
            tracing::warn!(client = %self.client.addr, "the broker closes a client whose command is too long");
        }
    }

    /// One command: Redis's `processCommand`.
    fn command(&mut self, args: Args<'_>) {
        let name = args.at(0);
        if args.len() == 0 {
            return;
        }
        if name.eq_ignore_ascii_case(b"quit") {
            self.out.simple("OK");
            self.is_closing = true;
            return;
        }
        if name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:") {
            // A web page makes a browser talk to this port, hoping that some line of its request is a command.
            tracing::warn!(client = %self.client.addr, "the broker closes a client that speaks HTTP");
            self.is_closing = true;
            self.client.outbox.end(End::Killed);
            return;
        }
        let spec = match lookup(args) {
            Ok(spec) => spec,
            Err(text) => return self.reject(None, &text),
        };
        if !spec.takes(args.len()) {
            let text = format!("ERR wrong number of arguments for '{}' command", spec.name);
            return self.reject(Some(spec), text.as_bytes());
        }
        if self.is_refused_when_full(spec) && self.hub.is_full() {
            return self.reject(Some(spec), OUT_OF_MEMORY.as_bytes());
        }
        if self.is_subscriber() && !self.out.is_resp3() && !spec.is_for_subscribers() {
            let text = format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                 this context",
                spec.name
            );
            return self.reject(Some(spec), text.as_bytes());
        }
        self.last_command = spec.name;
        if self.transaction.is_some() && !spec.is_immediate() {
            return self.queue(spec, args);
        }
        let hub = Arc::clone(&self.hub);
        self.execute(spec, args, &mut Access::shared(&hub));
    }

    /// As Redis, which queues nothing for an EXEC that could not run.
    fn is_refused_when_full(&self, spec: &Spec) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| match spec.verb {
            Verb::Exec => transaction.adds_memory(),
            Verb::Discard | Verb::Quit | Verb::Reset => false,
            _ => true,
        })
    }

    /// Refuses a command before it runs, which breaks a transaction.
    pub(super) fn reject(&mut self, spec: Option<&Spec>, text: &[u8]) {
        if spec.is_some_and(|spec| spec.verb == Verb::Exec) {
            self.transaction = None;
            self.watched = Watched::default();
            let text = text.strip_prefix(b"ERR ").unwrap_or(text);
            self.out.error([b"EXECABORT Transaction discarded because of: ", text].concat());
        } else {
            if let Some(transaction) = &mut self.transaction {
                transaction.is_broken = true;
            }
            self.out.error(text);
        }
    }

    pub(super) fn execute(&mut self, spec: &'static Spec, args: Args<'_>, access: &mut Access<'_>) {
        let Access { routes, space } = access;
        match spec.verb {
            Verb::Key(verb) => self.key_command(verb, args, space),
            Verb::Publish => self.publish(args, routes),
            Verb::Subscribe => self.subscribe(Kind::Channel, args, routes),
            Verb::Psubscribe => self.subscribe(Kind::Pattern, args, routes),
            Verb::Unsubscribe => self.unsubscribe(Kind::Channel, args, routes),
            Verb::Punsubscribe => self.unsubscribe(Kind::Pattern, args, routes),
            Verb::PubsubChannels => self.pubsub_channels(args, routes),
            Verb::PubsubNumsub => self.pubsub_numsub(args, routes),
            Verb::PubsubNumpat => self.out.integer(routes.read(|routes| routes.counts().1) as i64),
            Verb::Hello => self.hello(args, routes),
            Verb::Reset => self.reset(routes),
            Verb::Info => self.info(args, access),
            Verb::Exec => self.exec(),
            Verb::Discard => self.discard(),
            Verb::Multi => self.multi(),
            Verb::Watch => self.watch(args, space),
            Verb::Unwatch => self.unwatch(),
            Verb::Quit => self.out.simple("OK"),
            Verb::Time => self.time(),
            Verb::Ping => self.ping(args),
            Verb::Echo => self.out.bulk(args.at(1)),
            Verb::Select => self.select(args.at(1)),
            Verb::Auth => self.auth(args),
            Verb::Client | Verb::Config | Verb::Pubsub | Verb::Xgroup | Verb::Xinfo => self.wrong_arity(spec.name),
            Verb::ClientHelp
            | Verb::CommandHelp
            | Verb::ConfigHelp
            | Verb::PubsubHelp
            | Verb::XgroupHelp
            | Verb::XinfoHelp => self.help(spec),
            Verb::ClientUnblock => self.client_unblock(args, space),
            Verb::ClientGetname => self.client_getname(),
            Verb::ClientId => self.out.integer(self.client.id as i64),
            Verb::ClientInfo => self.client_info(),
            Verb::ClientKill => self.client_kill(args),
            Verb::ClientList => self.client_list(args),
            Verb::ClientNoEvict | Verb::ClientNoTouch => self.client_switch(args.at(2)),
            Verb::ClientSetinfo => self.client_setinfo(args.at(2), args.at(3)),
            Verb::ClientSetname => self.client_setname(args.at(2)),
            Verb::ClientTracking => self.out.error("ERR client tracking is not supported by this server"),
            Verb::Command => self.command_all(),
            Verb::CommandCount => self.out.integer(commands::COMMANDS.len() as i64),
            Verb::CommandDocs => self.command_docs(args),
            Verb::CommandInfo => self.command_info(args),
            Verb::CommandList => self.command_list(args),
            Verb::ConfigGet => self.config_get(args),
            Verb::ConfigSet => self.config_set(args),
        }
    }

    fn ping(&mut self, args: Args<'_>) {
        if args.len() > 2 {
            return self.wrong_arity("ping");
        }
        if self.is_subscriber() && !self.out.is_resp3() {
            self.out.array(2);
            self.out.bulk("pong");
            self.out.bulk(args.at(1));
        } else if let Some(text) = args.get(1) {
            self.out.bulk(text);
        } else {
            self.out.simple("PONG");
        }
    }

    fn select(&mut self, index: &[u8]) {
        match strict_integer(index).map(i32::try_from) {
            Some(Ok(0)) => self.out.simple("OK"),
            Some(Ok(_)) => self.out.error("ERR DB index is out of range"),
            _ => self.out.error("ERR value is not an integer or out of range"),
        }
    }

    fn time(&mut self) {
        let now_us = self.hub.clock.now_us();
        self.out.array(2);
        self.out.bulk((now_us / US_PER_S).to_string());
        self.out.bulk((now_us % US_PER_S).to_string());
    }

    pub(super) fn reset(&mut self, routes: &mut RouteTable<'_>) {
        self.transaction = None;
        self.watched = Watched::default();
        routes.write(|routes| {
            self.unsubscribe_all(routes);
            self.out.set_resp3(false);
            self.client.set_resp3(false);
            self.client.profile().name.clear();
        });
        self.out.simple("RESET");
    }

    fn publish(&mut self, args: Args<'_>, routes: &mut RouteTable<'_>) {
        if self.is_subscriber() {
            // It may get its own message, and must get the replies before it first.
            self.flush();
        }
        let receivers = routes.read(|routes| publish_one(routes, args.at(1), args.at(2)));
        self.hub.stats.published(1, receivers);
        self.out.integer(receivers as i64);
    }

    /// Whether this is a PUBLISH that may be delivered together with those that follow it.
    fn starts_run(&self, args: Args<'_>) -> bool {
        args.len() == 3
            && args.at(0).eq_ignore_ascii_case(b"publish")
            && self.transaction.is_none()
            && !self.is_subscriber()
    }

    /// Delivers the PUBLISH of `len` bytes at the start of `input`, and those to the same channel right behind it. One
    /// look at the routes and one push a subscriber serve them all.
    fn publish_run(&mut self, decoder: &mut Decoder, input: &[u8], len: usize, channel: &[u8]) -> Run {
        let hub = Arc::clone(&self.hub);
        let routes = hub.routes.read().unwrap_or_else(PoisonError::into_inner);
        self.last_command = "publish";
        let payload = decoder.args(input).at(2);
        let Some((mut path, receivers)) = only_path(&routes, channel) else {
            let receivers = publish_one(&routes, channel, payload);
            drop(routes);
            hub.stats.published(1, receivers);
            self.out.integer(receivers as i64);
            return Run { bytes: len, commands: 1, next: None };
        };
        let mut run = Run { bytes: len, commands: 1, next: None };
        let mut is_full = path.as_mut().is_some_and(|path| path.add(payload));
        self.out.integer(receivers as i64);
        while !is_full && run.commands < TURN_COMMANDS_MAX {
            // Half a command or an error is met again by the caller.
            let Ok(Some(len)) = decoder.decode(&input[run.bytes..]) else { break };
            let args = decoder.args(&input[run.bytes..]);
            if !self.starts_run(args) || args.at(1) != channel {
                run.next = Some(len);
                break;
            }
            is_full = path.as_mut().is_some_and(|path| path.add(args.at(2)));
            self.out.integer(receivers as i64);
            run.bytes += len;
            run.commands += 1;
        }
        if let Some(path) = &mut path {
            path.send();
        }
        drop(routes);
        hub.stats.published(run.commands, run.commands * receivers);
        run
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_subscriber() {
            let hub = Arc::clone(&self.hub);
            RouteTable::Shared(&hub.routes).write(|routes| self.unsubscribe_all(routes));
        }
        if self.client.is_waiting() {
            self.hub.lock_space().waiting.leave(&self.client);
        }
        self.hub.forget(self.client.id);
    }
}

/// The command or subcommand that `args` name, or the text of the error.
fn lookup(args: Args<'_>) -> Result<&'static Spec, Vec<u8>> {
    let Some(spec) = commands::command(args.at(0)) else {
        let mut listed = Vec::new();
        for arg in args.iter_from(1) {
            if listed.len() >= QUOTED_BYTES_MAX {
                break;
            }
            let arg = until_nul(arg);
            listed.push(b'\'');
            listed.extend_from_slice(&arg[..arg.len().min(QUOTED_BYTES_MAX - (listed.len() - 1))]);
            listed.extend_from_slice(b"' ");
        }
        return Err([b"ERR unknown command '", quote(args.at(0)), b"', with args beginning with: ", &listed].concat());
    };
    match args.get(1) {
        Some(name) if !spec.subcommands.is_empty() => spec.subcommand(name).ok_or_else(|| {
            let container = spec.name.to_ascii_uppercase();
            [b"ERR unknown subcommand '", quote(name), b"'. Try ", container.as_bytes(), b" HELP."].concat()
        }),
        _ => Ok(spec),
    }
}

/// As much of a word as an error repeats: what C's `%.128s` prints.
fn quote(word: &[u8]) -> &[u8] {
    let word = until_nul(word);
    &word[..word.len().min(QUOTED_BYTES_MAX)]
}

fn until_nul(word: &[u8]) -> &[u8] {
    &word[..memchr::memchr(0, word).unwrap_or(word.len())]
}
