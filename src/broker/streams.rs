//! Redis's streams, in memory: the keys of the broker, what they hold, and the commands on them.
//!
//! All keys are streams. They are behind one lock, which a command holds from its first look to its last
//! change, as Redis runs one command at a time; EXEC holds it for its whole transaction. Who waits for a
//! stream is served under the same lock, right after the command, or the transaction, that brought the
//! entries, and in the order of arrival. Nothing here looks at a clock: each command is told the time.

mod blocked;
mod claim;
mod group;
mod groups;
mod id;
mod info;
mod keys;
mod listpack;
mod log;
mod pending;
mod read;
mod write;

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;

use crate::broker::commands::KeyVerb;
use crate::broker::streams::blocked::Waiting;
use crate::broker::streams::group::Group;
use crate::broker::streams::log::Log;
use crate::resp::command::{Args, strict_integer};
use crate::resp::encode::Encoder;

pub(super) use crate::broker::streams::blocked::Wait;
pub(super) use crate::broker::streams::log::{NODE_BYTES_MAX, NODE_ENTRIES_MAX};

/// What a key costs beside its name and its entries.
const STREAM_BYTES: usize = 512;

/// The most that a command adds beside its words: a stream with its first node, or a further node.
const ADDITION_BYTES: usize = 10 * 1024;

/// The most that a word takes beside its bytes once it is in an entry.
const WORD_BYTES: usize = 16;

/// The answer to what would take more memory than streams may have.
pub(super) const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// A command's error, with its code.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) Cow<'static, [u8]>);

impl Refusal {
    const fn fixed(text: &'static str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }

    /// `parts` in a row; words of the client among them end where C's strings do.
    fn joined(parts: &[&[u8]]) -> Self {
        Self(Cow::Owned(parts.iter().flat_map(|part| word(part)).copied().collect()))
    }
}

const SYNTAX: Refusal = Refusal::fixed("ERR syntax error");
const NO_KEY: Refusal = Refusal::fixed("ERR no such key");

/// What a command does beside its reply, which is written already.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    /// There is nothing to read yet, and the client wants to wait.
    Wait(Wait),
}

type Answer = Result<(), Refusal>;

/// A command at work.
#[derive(Debug)]
struct Call<'a> {
    space: &'a mut Keyspace,
    args: Args<'a>,
    out: &'a mut Encoder,
    now_ms: i64,
}

/// All streams, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct Keyspace {
    streams: BTreeMap<Bytes, Stream>,
    /// The keys by when they were made, for SCAN.
    by_birth: BTreeMap<u64, Bytes>,
    births: u64,
    /// Counts changes, for WATCH.
    changes: u64,
    bytes: usize,
    bytes_max: usize,
    pub(super) waiting: Waiting,
}

#[derive(Debug)]
struct Stream {
    log: Log,
    groups: BTreeMap<Bytes, Group>,
    birth: u64,
    changed: u64,
}

impl Keyspace {
    /// No keys, and room for `bytes_max` bytes of them.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    /// Runs one command. Its reply goes into `out`, except if it is to wait.
    pub(super) fn run(&mut self, verb: KeyVerb, args: Args<'_>, out: &mut Encoder, now_ms: i64) -> Outcome {
        if !self.has_room(verb, args) {
            out.error(OUT_OF_MEMORY);
            return Outcome::Done;
        }
        let mut call = Call { space: self, args, out, now_ms };
        let answer = match verb {
            KeyVerb::Xread => match call.xread() {
                Ok(outcome) => return outcome,
                Err(refusal) => Err(refusal),
            },
            KeyVerb::Xreadgroup => match call.xreadgroup() {
                Ok(outcome) => return outcome,
                Err(refusal) => Err(refusal),
            },
            KeyVerb::Xadd => call.xadd(),
            KeyVerb::Xrange => call.xrange(false),
            KeyVerb::Xrevrange => call.xrange(true),
            KeyVerb::Xdel => call.xdel(),
            KeyVerb::Xtrim => call.xtrim(),
            KeyVerb::Xsetid => call.xsetid(),
            KeyVerb::Xack => call.xack(),
            KeyVerb::Xpending => call.xpending(),
            KeyVerb::Xclaim => call.xclaim(),
            KeyVerb::Xautoclaim => call.xautoclaim(),
            KeyVerb::XgroupCreate => call.xgroup_create(),
            KeyVerb::XgroupSetid => call.xgroup_setid(),
            KeyVerb::XgroupDestroy => call.xgroup_destroy(),
            KeyVerb::XgroupCreateconsumer => call.xgroup_createconsumer(),
            KeyVerb::XgroupDelconsumer => call.xgroup_delconsumer(),
            KeyVerb::XinfoStream => call.xinfo_stream(),
            KeyVerb::XinfoGroups => call.xinfo_groups(),
            KeyVerb::XinfoConsumers => call.xinfo_consumers(),
            KeyVerb::Scan => call.scan(),
            KeyVerb::Xlen | KeyVerb::Del | KeyVerb::Exists | KeyVerb::Type | KeyVerb::Dbsize | KeyVerb::Keys => {
                call.run_plain(verb);
                Ok(())
            }
            KeyVerb::Flush => call.flush(),
        };
        if let Err(Refusal(text)) = answer {
            call.out.error(text);
        }
        Outcome::Done
    }

    /// Groups have some room of their own, so that consumers can go on reading streams that are full.
    fn has_room(&self, verb: KeyVerb, args: Args<'_>) -> bool {
        if verb.adds_memory() {
            let words = args.payload_bytes() + args.len() * WORD_BYTES;
            self.bytes + words + ADDITION_BYTES <= self.bytes_max
        } else {
            !verb.adds_pending() || self.bytes <= self.bytes_max + self.bytes_max / 4
        }
    }

    /// Keys.
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether not even a small entry can be added.
    pub(super) fn is_full(&self) -> bool {
        self.bytes + ADDITION_BYTES > self.bytes_max
    }

    /// Memory that all streams take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What WATCH remembers of a key: it differs once the key was changed.
    pub(super) fn change_of(&self, key: &[u8]) -> Option<u64> {
        self.streams.get(key).map(|stream| stream.changed)
    }

    fn stream(&self, key: &[u8]) -> Option<&Stream> {
        self.streams.get(key)
    }

    fn group(&self, key: &[u8], group: &[u8]) -> Option<&Group> {
        self.streams.get(key)?.groups.get(group)
    }

    /// Makes the stream if there is none.
    fn create(&mut self, key: &[u8]) {
        if self.streams.contains_key(key) {
            return;
        }
        self.births += 1;
        self.changes += 1;
        let key = Bytes::copy_from_slice(key);
        self.by_birth.insert(self.births, key.clone());
        self.bytes += STREAM_BYTES + key.len();
        let stream = Stream { log: Log::default(), groups: BTreeMap::new(), birth: self.births, changed: self.changes };
        self.waiting.signal(&key);
        self.streams.insert(key, stream);
    }

    fn remove(&mut self, key: &[u8]) -> bool {
        let Some((key, stream)) = self.streams.remove_entry(key) else { return false };
        self.by_birth.remove(&stream.birth);
        let groups: usize = stream.groups.iter().map(|(name, group)| name.len() + group.bytes()).sum();
        self.bytes -= STREAM_BYTES + key.len() + stream.log.bytes() + groups;
        self.waiting.signal(&key);
        true
    }

    /// Changes a stream's entries. `None` if there is no such stream.
    fn edit_log<R>(&mut self, key: &[u8], edit: impl FnOnce(&mut Log) -> R) -> Option<R> {
        let stream = self.streams.get_mut(key)?;
        let before = stream.log.bytes();
        let result = edit(&mut stream.log);
        self.bytes = self.bytes + stream.log.bytes() - before;
        Some(result)
    }

    /// Notes that a key was changed, for those who watch it.
    fn note_change(&mut self, key: &[u8]) {
        self.changes += 1;
        if let Some(stream) = self.streams.get_mut(key) {
            stream.changed = self.changes;
        }
    }

    /// Changes a group, beside its stream's entries. `None` if there is no such group.
    fn edit_group<R>(&mut self, key: &[u8], group: &[u8], edit: impl FnOnce(&mut Group, &Log) -> R) -> Option<R> {
        let stream = self.streams.get_mut(key)?;
        let group = stream.groups.get_mut(group)?;
        let before = group.bytes();
        let result = edit(group, &stream.log);
        self.bytes = self.bytes + group.bytes() - before;
        Some(result)
    }
}

impl Call<'_> {
    /// The commands that never fail.
    fn run_plain(&mut self, verb: KeyVerb) {
        match verb {
            KeyVerb::Xlen => self.xlen(),
            KeyVerb::Del => self.del(),
            KeyVerb::Exists => self.exists(),
            KeyVerb::Type => self.type_of(),
            KeyVerb::Keys => self.keys(),
            _ => self.dbsize(),
        }
    }

    fn wrong_arity(name: &str) -> Refusal {
        Refusal(Cow::Owned(format!("ERR wrong number of arguments for '{name}' command").into_bytes()))
    }

    /// For a container whose subcommand cannot make sense of its arguments.
    fn wrong_subcommand(&self) -> Refusal {
        let container = self.args.at(0).to_ascii_uppercase();
        let name = word(self.args.at(1));
        Refusal::joined(&[
            b"ERR unknown subcommand or wrong number of arguments for '",
            &name[..name.len().min(128)],
            b"'. Try ",
            &container,
            b" HELP.",
        ])
    }

    fn integer(&self, index: usize) -> Result<i64, Refusal> {
        self.integer_or(index, "ERR value is not an integer or out of range")
    }

    fn integer_or(&self, index: usize, text: &'static str) -> Result<i64, Refusal> {
        strict_integer(self.args.at(index)).ok_or(Refusal::fixed(text))
    }

    /// Whether the argument at `index` is this option, in any case, with at least `more` arguments behind it.
    fn has_option(&self, index: usize, name: &str, more: usize) -> bool {
        is(self.args.at(index), name) && self.args.len() - 1 - index >= more
    }

    fn no_group(key: &[u8], group: &[u8]) -> Refusal {
        Refusal::joined(&[b"NOGROUP No such key '", key, b"' or consumer group '", group, b"'"])
    }
}

/// As much of an argument as C sees when it takes it for a string.
fn word(arg: &[u8]) -> &[u8] {
    &arg[..memchr::memchr(0, arg).unwrap_or(arg.len())]
}

/// Whether an argument is this word, in any case.
fn is(arg: &[u8], name: &str) -> bool {
    word(arg).eq_ignore_ascii_case(name.as_bytes())
}
