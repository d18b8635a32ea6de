//! What one client's commands do: Redis's checks in Redis's order, then the command itself.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use tokio::time::Instant;

use super::client::Client;
use super::hub::Hub;
use super::outbox::End;
use super::publish::{only_path, publish_one};
use super::routes::{Kind, RouteTable};
use super::table::{self, Spec, Verb};
use crate::bus::resp::{Args, Decoder, Encoder, OwnedArgs, ProtocolError, strict_integer};

/// Replies that may wait for a client before no more of its commands are read. A pipeline of four million messages
/// still fits, since some libraries send all of a pipeline before they read any reply.
pub(super) const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Commands that are handled before other clients get a turn.
const TURN_COMMANDS_MAX: usize = 4_096;

/// Memory for the commands between MULTI and EXEC.
const TRANSACTION_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Longest part of a command that an error repeats, as in Redis.
const QUOTED_BYTES_MAX: usize = 128;

/// How handling a client's input came to a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The input holds no whole command any more.
    NeedsInput,
    /// It may hold more, but it is others' turn, or the client should read its replies first.
    Paused,
    /// The connection is to be closed once the replies are written.
    Closing,
}

/// Commands since MULTI.
#[derive(Debug, Default)]
struct Transaction {
    commands: Vec<(&'static Spec, OwnedArgs)>,
    bytes: usize,
    /// One of them was refused, so EXEC will refuse them all.
    is_broken: bool,
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
    transaction: Option<Transaction>,
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
            let text = format!("wrong number of arguments for '{}' command", spec.name);
            return self.reject(Some(spec), text.as_bytes());
        }
        if self.is_subscriber() && !self.out.is_resp3() && !spec.is_for_subscribers() {
            let text = format!(
                "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
                 context",
                spec.name
            );
            return self.reject(Some(spec), text.as_bytes());
        }
        self.last_command = spec.name;
        if self.transaction.is_some() && !spec.is_immediate() {
            return self.queue(spec, args);
        }
        let hub = Arc::clone(&self.hub);
        self.execute(spec, args, &mut RouteTable::Shared(&hub.routes));
    }

    /// Refuses a command before it runs, which breaks a transaction.
    fn reject(&mut self, spec: Option<&Spec>, text: &[u8]) {
        if spec.is_some_and(|spec| spec.verb == Verb::Exec) {
            self.transaction = None;
            self.out.error([b"EXECABORT Transaction discarded because of: ", text].concat());
        } else {
            if let Some(transaction) = &mut self.transaction {
                transaction.is_broken = true;
            }
            self.out.error([b"ERR ", text].concat());
        }
    }

    fn queue(&mut self, spec: &'static Spec, args: Args<'_>) {
        let Some(transaction) = &mut self.transaction else { return };
        if transaction.is_broken {
            // EXEC will run none of them, so there is no use in keeping them.
            transaction.commands.clear();
        } else if transaction.bytes > TRANSACTION_BYTES_MAX {
            let text = format!("the transaction is longer than {TRANSACTION_BYTES_MAX} bytes");
            return self.reject(None, text.as_bytes());
        } else {
            let args = args.to_owned();
            transaction.bytes += args.memory_bytes() + size_of::<(&Spec, OwnedArgs)>();
            transaction.commands.push((spec, args));
        }
        self.out.simple("QUEUED");
    }

    fn execute(&mut self, spec: &'static Spec, args: Args<'_>, routes: &mut RouteTable<'_>) {
        match spec.verb {
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
            Verb::Info => self.info(args, routes),
            Verb::Exec => self.exec(),
            Verb::Discard => self.discard(),
            Verb::Multi => self.multi(),
            Verb::Watch if self.transaction.is_some() => self.out.error("ERR WATCH inside MULTI is not allowed"),
            Verb::Watch | Verb::Unwatch | Verb::Quit => self.out.simple("OK"),
            Verb::Ping => self.ping(args),
            Verb::Echo => self.out.bulk(args.at(1)),
            Verb::Select => self.select(args.at(1)),
            Verb::Auth => self.auth(args),
            Verb::Client | Verb::Config | Verb::Pubsub => self.wrong_arity(spec.name),
            Verb::ClientHelp | Verb::CommandHelp | Verb::ConfigHelp | Verb::PubsubHelp => self.help(spec),
            Verb::ClientGetname => self.client_getname(),
            Verb::ClientId => self.out.integer(self.client.id as i64),
            Verb::ClientInfo => self.client_info(),
            Verb::ClientKill => self.client_kill(args),
            Verb::ClientList => self.client_list(args),
            Verb::ClientNoEvict | Verb::ClientNoTouch => self.client_switch(args.at(2)),
            Verb::ClientSetinfo => self.client_setinfo(args.at(2), args.at(3)),
            Verb::ClientSetname => self.client_setname(args.at(2)),
            Verb::ClientTracking => self.out.error("ERR client tracking is not supported: this server holds no keys"),
            Verb::Command => self.command_all(),
            Verb::CommandCount => self.out.integer(table::COMMANDS.len() as i64),
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

    fn multi(&mut self) {
        if self.transaction.is_some() {
            return self.out.error("ERR MULTI calls can not be nested");
        }
        self.transaction = Some(Transaction::default());
        self.out.simple("OK");
    }

    fn discard(&mut self) {
        match self.transaction.take() {
            Some(_) => self.out.simple("OK"),
            None => self.out.error("ERR DISCARD without MULTI"),
        }
    }

    /// Runs the queued commands under one lock, so that no subscriber sees another's message between theirs.
    fn exec(&mut self) {
        let Some(transaction) = self.transaction.take() else {
            return self.out.error("ERR EXEC without MULTI");
        };
        if transaction.is_broken {
            return self.out.error("EXECABORT Transaction discarded because of previous errors.");
        }
        self.out.array(transaction.commands.len());
        let hub = Arc::clone(&self.hub);
        let mut routes = hub.routes.write().unwrap_or_else(PoisonError::into_inner);
        let mut routes = RouteTable::Locked(&mut routes);
        for (spec, args) in &transaction.commands {
            self.execute(spec, args.as_args(), &mut routes);
            if self.out.len() > 2 * REPLY_BYTES_MAX {
                self.is_closing = true;
                return self.client.outbox.end(End::CutOff { queued_bytes: self.out.len() });
            }
        }
    }

    pub(super) fn reset(&mut self, routes: &mut RouteTable<'_>) {
        self.transaction = None;
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
        self.hub.forget(self.client.id);
        mem::take(&mut self.transaction);
    }
}

/// The command or subcommand that `args` name, or the text of the error.
fn lookup(args: Args<'_>) -> Result<&'static Spec, Vec<u8>> {
    let Some(spec) = table::command(args.at(0)) else {
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
        return Err([b"unknown command '", quote(args.at(0)), b"', with args beginning with: ", &listed].concat());
    };
    match args.get(1) {
        Some(name) if !spec.subcommands.is_empty() => spec.subcommand(name).ok_or_else(|| {
            let container = spec.name.to_ascii_uppercase();
            [b"unknown subcommand '", quote(name), b"'. Try ", container.as_bytes(), b" HELP."].concat()
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
