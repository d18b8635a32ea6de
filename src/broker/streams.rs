//! Redis's streams in memory: the keys of the broker and the commands on them.
//!
//! All keys are streams. One lock protects them. A command holds it throughout, as Redis runs one command at a time,
//! and EXEC holds it for its whole transaction. Blocked reads are served under the same lock, right after the command
//! or transaction that added the entries, in the order in which the clients blocked. Commands get the time as an
//! argument.

#![allow(clippy::unnecessary_wraps, reason = "the handlers of all commands have one type")]

mod blocked;
mod claim;
mod entry_log;
mod group;
mod id;
mod info;
mod keys;
mod pending;
mod read;
mod write;
mod xgroup;

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;

use crate::broker::streams::blocked::BlockedReads;
use crate::broker::streams::entry_log::EntryLog;
use crate::broker::streams::group::Group;
use crate::model::StreamId;
use crate::resp::command::{Args, strict_integer};
use crate::resp::encode::Encoder;

pub(super) use crate::broker::streams::blocked::ReadRequest;

/// Memory that a key takes besides its name and its entries.
const STREAM_BYTES: usize = 512;

/// Most memory that a command adds besides its words: a stream with its first node, or another node.
const ADDITION_BYTES: usize = 10 * 1024;

/// Most memory that a word takes besides its bytes once it is part of an entry.
const WORD_BYTES: usize = 16;

/// Reply to a command that would exceed the memory for streams.
pub(super) const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// Memory that a command may add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    None,
    /// Entries, streams or groups: the commands that Redis flags `denyoom`.
    Entries,
    /// Records of deliveries to consumers.
    Pending,
}

/// Error reply, starting with its code.
#[derive(Debug)]
pub(super) struct CommandError(pub(super) Cow<'static, [u8]>);

impl CommandError {
    const fn text(text: &'static str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }

    fn joined(parts: &[&[u8]]) -> Self {
        Self(Cow::Owned(parts.concat()))
    }
}

const SYNTAX: CommandError = CommandError::text("ERR syntax error");
const NO_KEY: CommandError = CommandError::text("ERR no such key");

/// Outcome of a command, which has written its reply if it succeeded.
pub(super) type CommandResult = Result<(), CommandError>;

/// Function that runs a command on keys.
pub(super) type KeyHandler = fn(&mut KeyCommand<'_>) -> CommandResult;

/// A command on keys while it runs.
#[derive(Debug)]
pub(super) struct KeyCommand<'a> {
    keyspace: &'a mut Keyspace,
    args: Args<'a>,
    replies: &'a mut Encoder,
    now_ms: i64,
    /// Set instead of a reply if the client is to wait for entries.
    blocking: Option<ReadRequest>,
}

/// All streams, and the reads that wait for them.
#[derive(Debug, Default)]
pub(super) struct Keyspace {
    streams: BTreeMap<Bytes, Stream>,
    /// Keys by the number of their creation, for SCAN.
    by_creation: BTreeMap<u64, Bytes>,
    creations: u64,
    /// Memory that all streams take.
    pub(super) bytes: usize,
    bytes_max: usize,
    pub(super) blocked: BlockedReads,
}

#[derive(Debug)]
struct Stream {
    log: EntryLog,
    groups: BTreeMap<Bytes, Group>,
    creation: u64,
}

impl Keyspace {
    /// Returns an empty keyspace with room for `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    /// Runs one command. Writes its reply, or returns the read that the client is to wait for.
    pub(super) fn run(
        &mut self,
        growth: Growth,
        handler: KeyHandler,
        args: Args<'_>,
        replies: &mut Encoder,
        now_ms: i64,
    ) -> Option<ReadRequest> {
        if !self.has_room(growth, args) {
            replies.error(OUT_OF_MEMORY);
            return None;
        }
        let mut command = KeyCommand { keyspace: self, args, replies, now_ms, blocking: None };
        if let Err(CommandError(text)) = handler(&mut command) {
            command.replies.error(text);
        }
        command.blocking
    }

    /// Deliveries have some additional room, so that consumers can go on reading streams that are full.
    fn has_room(&self, growth: Growth, args: Args<'_>) -> bool {
        match growth {
            Growth::None => true,
            Growth::Entries => {
                let words = args.payload_bytes() + args.len() * WORD_BYTES;
                self.bytes + words + ADDITION_BYTES <= self.bytes_max
            }
            Growth::Pending => self.bytes <= self.bytes_max + self.bytes_max / 4,
        }
    }

    /// Returns the number of keys.
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Returns whether the memory is too full for even a small entry.
    pub(super) fn is_full(&self) -> bool {
        self.bytes + ADDITION_BYTES > self.bytes_max
    }

    fn stream(&self, key: &[u8]) -> Option<&Stream> {
        self.streams.get(key)
    }

    fn last_id(&self, key: &[u8]) -> StreamId {
        self.stream(key).map_or(StreamId::START, |stream| stream.log.last_id)
    }

    fn group(&self, key: &[u8], group: &[u8]) -> Option<&Group> {
        self.streams.get(key)?.groups.get(group)
    }

    /// Returns the group of XPENDING and XCLAIM, or their error if it does not exist.
    fn pending_group(&self, args: Args<'_>) -> Result<&Group, CommandError> {
        let (key, group) = (args.at(1), args.at(2));
        let parts = [b"NOGROUP No such key '", key, b"' or consumer group '", group, b"'"];
        self.group(key, group).ok_or_else(|| CommandError::joined(&parts))
    }

    /// Creates the stream if it does not exist.
    fn create(&mut self, key: &[u8]) {
        if self.streams.contains_key(key) {
            return;
        }
        self.creations += 1;
        let key = Bytes::copy_from_slice(key);
        self.by_creation.insert(self.creations, key.clone());
        self.bytes += STREAM_BYTES + key.len();
        self.blocked.signal(&key);
        let stream = Stream { log: EntryLog::default(), groups: BTreeMap::new(), creation: self.creations };
        self.streams.insert(key, stream);
    }

    /// Removes a stream. Returns whether it existed.
    fn remove(&mut self, key: &[u8]) -> bool {
        let Some((key, stream)) = self.streams.remove_entry(key) else { return false };
        self.by_creation.remove(&stream.creation);
        let groups: usize = stream.groups.iter().map(|(name, group)| name.len() + group.bytes()).sum();
        self.bytes -= STREAM_BYTES + key.len() + stream.log.bytes + groups;
        self.blocked.signal(&key);
        true
    }

    /// Changes a stream's entries. Returns `None` if the stream does not exist.
    fn edit_log<R>(&mut self, key: &[u8], edit: impl FnOnce(&mut EntryLog) -> R) -> Option<R> {
        let stream = self.streams.get_mut(key)?;
        let before = stream.log.bytes;
        let result = edit(&mut stream.log);
        self.bytes = self.bytes + stream.log.bytes - before;
        Some(result)
    }

    /// Changes a group. Returns `None` if it does not exist.
    fn edit_group<R>(&mut self, key: &[u8], group: &[u8], edit: impl FnOnce(&mut Group, &EntryLog) -> R) -> Option<R> {
        let stream = self.streams.get_mut(key)?;
        let group = stream.groups.get_mut(group)?;
        let before = group.bytes();
        let result = edit(group, &stream.log);
        self.bytes = self.bytes + group.bytes() - before;
        Some(result)
    }
}

impl KeyCommand<'_> {
    /// Error of a container whose subcommand does not understand its arguments.
    fn subcommand_error(&self) -> CommandError {
        let container = self.args.at(0).to_ascii_uppercase();
        let text = b"ERR unknown subcommand or wrong number of arguments for '";
        CommandError::joined(&[text, self.args.at(1), b"'. Try ", &container, b" HELP."])
    }

    /// Parses the arguments from index `first` on as ids.
    fn ids(&self, first: usize) -> Result<Vec<StreamId>, CommandError> {
        self.args.iter_from(first).map(id::exact).collect()
    }

    fn reply_ok(&mut self) -> CommandResult {
        self.replies.simple("OK");
        Ok(())
    }

    fn reply_count(&mut self, count: usize) -> CommandResult {
        self.replies.integer(count as i64);
        Ok(())
    }
}

/// Error of XGROUP and XINFO for a group that does not exist.
fn no_group(key: &[u8], group: &[u8]) -> CommandError {
    CommandError::joined(&[b"NOGROUP No such consumer group '", group, b"' for key name '", key, b"'"])
}

fn integer(word: &[u8]) -> Result<i64, CommandError> {
    integer_or(word, "ERR value is not an integer or out of range")
}

fn integer_or(word: &[u8], text: &'static str) -> Result<i64, CommandError> {
    strict_integer(word).ok_or(CommandError::text(text))
}
