//! Handling of a client's input: decoding, Redis's checks in Redis's order, and running the command.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use crate::broker::connection::{Command, QUOTED_BYTES_MAX, ServerConnection, arity_error, quote, until_nul};
use crate::broker::output_buffer::{CloseReason, REPLY_BYTES_MAX};
use crate::broker::publish::{PublishBatch, publish_one};
use crate::broker::streams::OUT_OF_MEMORY;
use crate::broker::{commands, lock};
use crate::resp::command::{Args, Decoder, ProtocolError};

/// Commands that are handled before other clients get a turn.
const TURN_COMMANDS_MAX: usize = 4_096;

/// State in which the handling of a client's input stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The input holds no complete command.
    NeedsInput,
    /// The input may hold another command, but other clients get a turn or replies have to be written first.
    Paused,
    /// A blocking read is pending; the input behind it stays.
    Blocked,
    /// The connection closes once the replies are written.
    Closing,
}

impl ServerConnection {
    /// Handles the commands at the start of `input`. Returns how many bytes were consumed.
    pub(super) fn handle(&mut self, decoder: &mut Decoder, input: &[u8]) -> (usize, Progress) {
        let queued_before = self.client.output.queued().0;
        let (mut at, mut commands) = (0, 0);
        // Length of a command that a batch of PUBLISHes has decoded but not handled.
        let mut decoded = None;
        let progress = loop {
            if self.is_closing {
                break Progress::Closing;
            }
            if self.client.is_blocked() {
                break Progress::Blocked;
            }
            if commands >= TURN_COMMANDS_MAX || queued_before + self.replies.len() >= REPLY_BYTES_MAX {
                break Progress::Paused;
            }
            match decoded.take().map_or_else(|| decoder.decode(&input[at..]), |len| Ok(Some(len))) {
                Ok(None) => break Progress::NeedsInput,
                Ok(Some(mut len)) => {
                    let args = decoder.args(&input[at..]);
                    if self.starts_batch(args) {
                        let batch_commands;
                        (len, batch_commands, decoded) = self.publish_batch(decoder, &input[at..], len);
                        commands += batch_commands;
                    } else {
                        self.handle_command(args, &input[at..at + len]);
                        commands += 1;
                    }
                    at += len;
                }
                Err(error) => self.refuse_protocol(error),
            }
        };
        self.state.commands.fetch_add(commands as u64, Ordering::Relaxed);
        if commands > 0 {
            let mut profile = self.client.profile();
            profile.last_command = self.last_command;
            profile.last_active = Instant::now();
            profile.queued_commands = self.transaction.as_ref().map(|transaction| transaction.commands.len());
        }
        self.flush();
        (at, progress)
    }

    fn refuse_protocol(&mut self, error: ProtocolError) {
        self.is_closing = true;
        if let Some(text) = error.text() {
            self.replies.error(text);
        } else {
            tracing::warn!(client = %self.client.addr, "broker closes a client: its command is too long");
        }
    }

    /// Handles the command that `input` consists of, as Redis's `processCommand` does.
    fn handle_command(&mut self, args: Args<'_>, input: &[u8]) {
        if args.len() == 0 {
            return;
        }
        if args.is(0, "post") || args.is(0, "host:") {
            // A web page can make a browser send a request to this port, with a line that is a command.
            tracing::warn!(client = %self.client.addr, "broker closes a client: it speaks HTTP");
            self.is_closing = true;
            self.client.output.close(CloseReason::Killed);
            return;
        }
        let command = match self.check(args) {
            Ok(command) => command,
            Err(text) => return self.reject(args.at(0), &text),
        };
        self.last_command = command.name;
        if self.transaction.is_some() && !command.bypasses_queue() {
            self.queue(command, input);
        } else {
            self.execute(command, args, None);
        }
    }

    /// Finds the command, and checks that it may run now. An error is the text of the reply.
    fn check(&self, args: Args<'_>) -> Result<&'static Command, Vec<u8>> {
        let command = lookup(args)?;
        if !command.accepts(args.len()) {
            Err(arity_error(command.name).into_bytes())
        } else if self.is_refused_when_full(command) && lock(&self.state.keyspace).is_full() {
            Err(OUT_OF_MEMORY.into())
        } else if self.is_subscriber() && !self.replies.is_resp3() && !command.is_allowed_in_subscribe_mode() {
            let text = format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                 this context",
                command.name
            );
            Err(text.into_bytes())
        } else {
            Ok(command)
        }
    }

    /// Returns whether a transaction refuses `command` while the streams are full. As in Redis, no command is queued
    /// for an EXEC that cannot run.
    fn is_refused_when_full(&self, command: &Command) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| match command.name {
            "exec" => transaction.commands.iter().any(|(command, _)| command.adds_memory()),
            "discard" | "quit" | "reset" => false,
            _ => true,
        })
    }

    /// Returns whether this is a PUBLISH that may be delivered together with those that follow it.
    fn starts_batch(&self, args: Args<'_>) -> bool {
        args.len() == 3 && args.is(0, "publish") && self.transaction.is_none() && !self.is_subscriber()
    }

    /// Delivers the PUBLISH of `len` bytes at the start of `input` and those to the same channel that follow it, with
    /// one lookup and one push for each subscriber. Returns how many bytes and commands were handled, and the length of
    /// the following command if it is decoded already.
    fn publish_batch(&mut self, decoder: &mut Decoder, input: &[u8], mut len: usize) -> (usize, usize, Option<usize>) {
        let (channel, payload) = (decoder.args(input).at(1).to_vec(), decoder.args(input).at(2));
        let state = Arc::clone(&self.state);
        let subscriptions = state.read_subscriptions();
        self.last_command = "publish";
        let Some((mut batch, receivers)) = PublishBatch::new(&subscriptions, &channel) else {
            let receivers = publish_one(&subscriptions, &channel, payload);
            state.count_published(1, receivers);
            self.replies.integer(receivers as i64);
            return (len, 1, None);
        };
        let (mut commands, mut next_len) = (1, None);
        let mut is_full = batch.add(payload);
        self.replies.integer(receivers as i64);
        while !is_full && commands < TURN_COMMANDS_MAX {
            // The caller decodes an incomplete or malformed command again.
            let Ok(Some(next)) = decoder.decode(&input[len..]) else { break };
            let args = decoder.args(&input[len..]);
            if !self.starts_batch(args) || args.at(1) != channel {
                next_len = Some(next);
                break;
            }
            is_full = batch.add(args.at(2));
            self.replies.integer(receivers as i64);
            len += next;
            commands += 1;
        }
        batch.send();
        drop(subscriptions);
        state.count_published(commands, commands * receivers);
        (len, commands, next_len)
    }
}

/// Finds the command or subcommand that `args` name. An error is the text of the reply.
fn lookup(args: Args<'_>) -> Result<&'static Command, Vec<u8>> {
    let Some(command) = commands::find(commands::COMMANDS, args.at(0)) else {
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
        Some(name) if !command.subcommands.is_empty() => commands::find(command.subcommands, name).ok_or_else(|| {
            let container = command.name.to_ascii_uppercase();
            [b"ERR unknown subcommand '", quote(name), b"'. Try ", container.as_bytes(), b" HELP."].concat()
        }),
        _ => Ok(command),
    }
}
