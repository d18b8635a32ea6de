//! XINFO: what a stream, its groups and their consumers are.

use crate::broker::streams::group::Group;
use crate::broker::streams::log::Log;
use crate::broker::streams::read::{entries, entry};
use crate::broker::streams::{Answer, Call, NO_KEY, Refusal, id, is};
use crate::model::StreamId;
use crate::resp::encode::Encoder;

/// Entries of each list that `XINFO STREAM key FULL` shows if no COUNT is given.
const FULL_COUNT: usize = 10;

/// Length of an id as a key of Redis's tree of nodes.
const TREE_KEY_BYTES: usize = 16;

impl Call<'_> {
    pub(super) fn xinfo_stream(&mut self) -> Answer {
        let stream = self.space.stream(self.args.at(2)).ok_or(NO_KEY)?;
        let full_count = self.full_count()?;
        let (out, log) = (&mut *self.out, &stream.log);
        out.map(if full_count.is_some() { 9 } else { 10 });
        number(out, "length", log.len() as i64);
        number(out, "radix-tree-keys", log.nodes() as i64);
        number(out, "radix-tree-nodes", tree_nodes(log) as i64);
        named_id(out, "last-generated-id", log.last_id);
        named_id(out, "max-deleted-entry-id", log.max_deleted_id);
        number(out, "entries-added", log.added as i64);
        named_id(out, "recorded-first-entry-id", log.first_id());
        let all = log.range(StreamId::START, id::LAST);
        let Some(count) = full_count else {
            number(out, "groups", stream.groups.len() as i64);
            for (name, edge) in [("first-entry", all.clone().next()), ("last-entry", all.clone().next_back())] {
                out.bulk(name);
                match edge {
                    Some((id, fields)) => entry(out, id, fields),
                    None => out.null(),
                }
            }
            return Ok(());
        };
        out.bulk("entries");
        entries(out, all.take(count));
        out.bulk("groups");
        out.array(stream.groups.len());
        for (name, group) in &stream.groups {
            full_group(out, name, group, log, count);
        }
        Ok(())
    }

    /// COUNT of the FULL form, all entries for 0; `None` for the plain form.
    fn full_count(&self) -> Result<Option<usize>, Refusal> {
        let count = match self.args.len() {
            3 => return Ok(None),
            4 if is(self.args.at(3), "full") => return Ok(Some(FULL_COUNT)),
            6 if is(self.args.at(3), "full") && is(self.args.at(4), "count") => self.integer(5)?,
            _ => return Err(self.wrong_subcommand()),
        };
        Ok(Some(match count {
            0 => usize::MAX,
            count @ 1.. => count as usize,
            _ => FULL_COUNT,
        }))
    }

    pub(super) fn xinfo_groups(&mut self) -> Answer {
        let stream = self.space.stream(self.args.at(2)).ok_or(NO_KEY)?;
        self.out.array(stream.groups.len());
        for (name, group) in &stream.groups {
            self.out.map(6);
            self.out.bulk("name");
            self.out.bulk(name);
            number(self.out, "consumers", group.consumers().len() as i64);
            number(self.out, "pending", group.pending().len() as i64);
            named_id(self.out, "last-delivered-id", group.last_id);
            progress(self.out, group, &stream.log);
        }
        Ok(())
    }

    pub(super) fn xinfo_consumers(&mut self) -> Answer {
        let (key, name) = (self.args.at(2), self.args.at(3));
        if self.space.stream(key).is_none() {
            return Err(NO_KEY);
        }
        self.known_group(key, name)?;
        let Some(group) = self.space.group(key, name) else { return Err(NO_KEY) };
        self.out.array(group.consumers().len());
        for (name, consumer) in group.consumers() {
            self.out.map(3);
            self.out.bulk("name");
            self.out.bulk(name);
            number(self.out, "pending", consumer.pending.len() as i64);
            number(self.out, "idle", self.now_ms.wrapping_sub(consumer.seen_ms).max(0));
        }
        Ok(())
    }
}

fn full_group(out: &mut Encoder, name: &[u8], group: &Group, log: &Log, count: usize) {
    out.map(7);
    out.bulk("name");
    out.bulk(name);
    named_id(out, "last-delivered-id", group.last_id);
    progress(out, group, log);
    number(out, "pel-count", group.pending().len() as i64);
    out.bulk("pending");
    out.array(group.pending().len().min(count));
    for (id, pending) in group.pending().iter().take(count) {
        out.array(4);
        id::reply(out, *id);
        out.bulk(&pending.consumer);
        out.integer(pending.delivered_ms);
        out.integer(pending.deliveries);
    }
    out.bulk("consumers");
    out.array(group.consumers().len());
    for (name, consumer) in group.consumers() {
        out.map(4);
        out.bulk("name");
        out.bulk(name);
        number(out, "seen-time", consumer.seen_ms);
        number(out, "pel-count", consumer.pending.len() as i64);
        out.bulk("pending");
        let own = consumer.pending.iter().take(count).filter_map(|id| Some((id, group.pending().get(id)?)));
        out.array(own.clone().count());
        for (id, pending) in own {
            out.array(3);
            id::reply(out, *id);
            out.integer(pending.delivered_ms);
            out.integer(pending.deliveries);
        }
    }
}

/// How far a group is.
fn progress(out: &mut Encoder, group: &Group, log: &Log) {
    for (name, value) in [("entries-read", group.entries_read.map(|read| read as i64)), ("lag", group.lag(log))] {
        out.bulk(name);
        match value {
            Some(value) => out.integer(value),
            None => out.null(),
        }
    }
}

fn number(out: &mut Encoder, name: &str, value: i64) {
    out.bulk(name);
    out.integer(value);
}

fn named_id(out: &mut Encoder, name: &str, id: StreamId) {
    out.bulk(name);
    id::reply(out, id);
}

/// How many nodes Redis's tree of a stream's nodes would have: it is a tree of the bytes of their ids, in which bytes
/// without a branch between them share a node.
fn tree_nodes(log: &Log) -> usize {
    let keys: Vec<[u8; TREE_KEY_BYTES]> =
        log.node_ids().map(|id| ((u128::from(id.ms) << 64) | u128::from(id.seq)).to_be_bytes()).collect();
    if keys.is_empty() { 1 } else { tree_nodes_below(&keys, 0) }
}

/// The nodes for `keys`, which are in order and agree in their first `depth` bytes.
fn tree_nodes_below(keys: &[[u8; TREE_KEY_BYTES]], depth: usize) -> usize {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return 0 };
    if depth == TREE_KEY_BYTES {
        return 1;
    }
    let shared = first[depth..].iter().zip(&last[depth..]).take_while(|(a, b)| a == b).count();
    if shared > 0 {
        return 1 + tree_nodes_below(keys, depth + shared);
    }
    1 + keys.chunk_by(|a, b| a[depth] == b[depth]).map(|keys| tree_nodes_below(keys, depth + 1)).sum::<usize>()
}
