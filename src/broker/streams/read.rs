//! XLEN, XRANGE, XREVRANGE, XREAD and XREADGROUP.

use std::ops::Bound;

use bytes::Bytes;

use crate::broker::streams::blocked::{BlockingRead, GroupReader};
use crate::broker::streams::entry_log::EntryLog;
use crate::broker::streams::group::{Group, Pending};
use crate::broker::streams::{CommandError, CommandResult, KeyCommand, Keyspace, SYNTAX, id};
use crate::model::StreamId;
use crate::resp::encode::Encoder;

/// Most entries that a blocked read without COUNT returns, as in Redis.
const BLOCKED_COUNT: usize = 1_000;

/// XREADGROUP's `>`, which Redis represents by the greatest id.
const NEW: StreamId = id::LAST;

/// Arguments of XREAD and XREADGROUP.
#[derive(Debug)]
struct ReadRequest<'a> {
    /// Milliseconds, 0 for no timeout; `None` not to block.
    block_ms: Option<i64>,
    count: Option<usize>,
    no_ack: bool,
    /// Group and consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    /// Keys, each with the id after which to read.
    streams: Vec<(&'a [u8], StreamId)>,
}

impl<'a> KeyCommand<'a> {
    pub(in crate::broker) fn xlen(&mut self) -> CommandResult {
        let len = self.keyspace.stream(self.args.at(1)).map_or(0, |stream| stream.log.len());
        self.replies.integer(len as i64);
        Ok(())
    }

    pub(in crate::broker) fn xrange(&mut self, is_reverse: bool) -> CommandResult {
        let (start_at, end_at) = if is_reverse { (3, 2) } else { (2, 3) };
        let start = id::parse_start(self.args.at(start_at))?;
        let end = id::parse_end(self.args.at(end_at))?;
        let (mut count, mut index) = (usize::MAX, 4);
        while index < self.args.len() {
            if !self.has_option(index, "count", 1) {
                return Err(SYNTAX);
            }
            count = self.integer(index + 1)?.max(0) as usize;
            index += 2;
        }
        match self.keyspace.stream(self.args.at(1)) {
            None => self.replies.array(0),
            Some(_) if count == 0 => self.replies.null_array(),
            Some(stream) if is_reverse => {
                write_entries(self.replies, stream.log.range(start, end).rev().take(count));
            }
            Some(stream) => write_entries(self.replies, stream.log.range(start, end).take(count)),
        }
        Ok(())
    }

    pub(in crate::broker) fn xread(&mut self) -> CommandResult {
        let request = self.read_request(false)?;
        let (start, mut served) = (self.replies.len(), 0);
        for (key, after) in &request.streams {
            let Some(stream) = self.keyspace.stream(key) else { continue };
            if stream.log.last_live_id() > *after {
                served += 1;
                write_key(self.replies, key);
                write_after(self.replies, &stream.log, *after, request.count);
            }
        }
        self.finish_read(&request, start, served);
        Ok(())
    }

    pub(in crate::broker) fn xreadgroup(&mut self) -> CommandResult {
        let request = self.read_request(true)?;
        let Some((group, consumer)) = request.group else { return Err(SYNTAX) };
        let (start, mut served, now_ms) = (self.replies.len(), 0, self.now_ms);
        for (key, after) in &request.streams {
            let replies = &mut *self.replies;
            let is_served = self.keyspace.edit_group(key, group, |group, log| {
                if *after != NEW {
                    write_key(replies, key);
                    redeliver(replies, log, group, consumer, *after, request.count, now_ms);
                } else if log.last_live_id() > group.last_id {
                    write_key(replies, key);
                    deliver(replies, log, group, consumer, request.count, request.no_ack, now_ms);
                } else {
                    return false;
                }
                true
            });
            served += usize::from(is_served == Some(true));
        }
        self.finish_read(&request, start, served);
        Ok(())
    }

    /// Completes a reply with `served` streams, or blocks if there are none.
    fn finish_read(&mut self, request: &ReadRequest<'_>, start: usize, served: usize) {
        match request.block_ms {
            _ if served > 0 => self.replies.map_of_arrays_from(start, served),
            None => self.replies.null_array(),
            Some(timeout_ms) => {
                self.blocking = Some(BlockingRead {
                    timeout_ms,
                    count: request.count.unwrap_or(BLOCKED_COUNT),
                    reader: request.group.map(|(group, consumer)| GroupReader {
                        group: Bytes::copy_from_slice(group),
                        consumer: Bytes::copy_from_slice(consumer),
                        no_ack: request.no_ack,
                    }),
                    streams: request.streams.iter().map(|(key, id)| (Bytes::copy_from_slice(key), *id)).collect(),
                });
            }
        }
    }

    fn read_request(&self, is_group: bool) -> Result<ReadRequest<'a>, CommandError> {
        let mut request = ReadRequest { block_ms: None, count: None, no_ack: false, group: None, streams: Vec::new() };
        let (mut index, mut streams_at) = (1, None);
        while index < self.args.len() {
            if self.has_option(index, "block", 1) {
                index += 1;
                let block_ms = self.integer_or(index, "ERR timeout is not an integer or out of range")?;
                if block_ms < 0 {
                    return Err(CommandError::text("ERR timeout is negative"));
                }
                request.block_ms = Some(block_ms);
            } else if self.has_option(index, "count", 1) {
                index += 1;
                request.count = usize::try_from(self.integer(index)?).ok().filter(|count| *count > 0);
            } else if self.has_option(index, "streams", 1) {
                streams_at = Some(index + 1);
                break;
            } else if self.has_option(index, "group", 2) {
                if !is_group {
                    return Err(group_option_error("GROUP"));
                }
                request.group = Some((self.args.at(index + 1), self.args.at(index + 2)));
                index += 2;
            } else if self.has_option(index, "noack", 0) {
                if !is_group {
                    return Err(group_option_error("NOACK"));
                }
                request.no_ack = true;
            } else {
                return Err(SYNTAX);
            }
            index += 1;
        }
        let first = streams_at.ok_or(SYNTAX)?;
        let words = self.args.len() - first;
        if words % 2 == 1 {
            return Err(CommandError::text(
                "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
            ));
        }
        if is_group && request.group.is_none() {
            return Err(CommandError::text("ERR Missing GROUP option for XREADGROUP"));
        }
        for index in first..first + words / 2 {
            let key = self.args.at(index);
            request.streams.push((key, self.read_after(key, self.args.at(index + words / 2), request.group)?));
        }
        Ok(request)
    }

    /// Parses the id after which to read a stream.
    fn read_after(&self, key: &[u8], id: &[u8], group: Option<(&[u8], &[u8])>) -> Result<StreamId, CommandError> {
        if let Some((group, _)) = group
            && self.keyspace.group(key, group).is_none()
        {
            let end = b"' in XREADGROUP with GROUP option";
            return Err(CommandError::joined(&[b"NOGROUP No such key '", key, b"' or consumer group '", group, end]));
        }
        match (id, group) {
            (b"$", Some(_)) => Err(CommandError::text(
                "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                 consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return \
                 an empty result set.",
            )),
            (b"$", None) => Ok(self.keyspace.last_id(key)),
            (b">", Some(_)) => Ok(NEW),
            (b">", None) => Err(CommandError::text(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
            )),
            _ => id::exact(id),
        }
    }
}

impl Keyspace {
    /// Serves the blocked reads of all streams that the commands before have changed.
    pub(in crate::broker) fn serve_blocked(&mut self, now_ms: i64) {
        while let Some((key, reads)) = self.blocked.next_signaled() {
            for (id, after) in reads {
                if let Some(mut reply) = self.reply_to_blocked(&key, id, after, now_ms) {
                    self.blocked.finish(id, &mut reply);
                }
            }
        }
    }

    /// Returns the reply to a blocked read, or `None` if it has to wait on.
    fn reply_to_blocked(&mut self, key: &Bytes, id: u64, after: StreamId, now_ms: i64) -> Option<Encoder> {
        let (client, read) = self.blocked.get(id)?;
        let mut reply = Encoder::default();
        reply.set_resp3(client.is_resp3());
        match (self.streams.get_mut(key), &read.reader) {
            (None, None) => return None,
            (None, Some(_)) => reply.error("UNBLOCKED the stream key no longer exists"),
            (Some(stream), None) => {
                if stream.log.last_id <= after {
                    return None;
                }
                write_key(&mut reply, key);
                write_after(&mut reply, &stream.log, after, Some(read.count));
                reply.map_of_arrays_from(0, 1);
            }
            (Some(stream), Some(reader)) => match stream.groups.get_mut(&reader.group) {
                None => reply.error("NOGROUP the consumer group this client was blocked on no longer exists"),
                Some(group) if stream.log.last_id <= group.last_id => return None,
                Some(group) => {
                    let before = group.bytes();
                    write_key(&mut reply, key);
                    let count = Some(read.count);
                    deliver(&mut reply, &stream.log, group, &reader.consumer, count, reader.no_ack, now_ms);
                    self.bytes = self.bytes + group.bytes() - before;
                    reply.map_of_arrays_from(0, 1);
                }
            },
        }
        Some(reply)
    }
}

fn group_option_error(option: &str) -> CommandError {
    let text = format!("ERR The {option} option is only supported by XREADGROUP. You called XREAD instead.");
    CommandError(text.into_bytes().into())
}

/// Writes what precedes a stream's entries: its key, and in RESP2 the header of the pair.
fn write_key(replies: &mut Encoder, key: &[u8]) {
    if !replies.is_resp3() {
        replies.array(2);
    }
    replies.bulk(key);
}

/// Writes one entry.
pub(super) fn write_entry(replies: &mut Encoder, id: StreamId, fields: &[u8]) {
    replies.array(2);
    id::reply(replies, id);
    replies.raw(fields);
}

/// Writes entries as one array.
fn write_entries<'a>(replies: &mut Encoder, entries: impl Iterator<Item = (StreamId, &'a [u8])>) {
    let (start, mut count) = (replies.len(), 0);
    for (id, fields) in entries {
        write_entry(replies, id, fields);
        count += 1;
    }
    replies.array_from(start, count);
}

/// Writes the entries after `after`.
fn write_after(replies: &mut Encoder, log: &EntryLog, after: StreamId, count: Option<usize>) {
    let start = id::next(after).unwrap_or(StreamId::START);
    write_entries(replies, log.range(start, id::LAST).take(count.unwrap_or(usize::MAX)));
}

/// Delivers entries to a consumer that were delivered to no other.
fn deliver(
    replies: &mut Encoder,
    log: &EntryLog,
    group: &mut Group,
    consumer: &[u8],
    count: Option<usize>,
    no_ack: bool,
    now_ms: i64,
) {
    let consumer = group.touch_consumer(consumer, now_ms);
    let first = id::next(group.last_id).unwrap_or(StreamId::START);
    let entries = log.range(first, id::LAST).take(count.unwrap_or(usize::MAX)).inspect(|(id, _)| {
        group.advance(*id, log);
        if !no_ack {
            group.assign(*id, Pending { consumer: consumer.clone(), delivered_ms: now_ms, deliveries: 1 });
        }
    });
    write_entries(replies, entries);
}

/// Repeats a consumer's pending entries after `after`, with nil for those that were deleted.
fn redeliver(
    replies: &mut Encoder,
    log: &EntryLog,
    group: &mut Group,
    consumer: &[u8],
    after: StreamId,
    count: Option<usize>,
    now_ms: i64,
) {
    let consumer = group.touch_consumer(consumer, now_ms);
    let first = id::next(after).unwrap_or(StreamId::START);
    let ids: Vec<StreamId> = group.consumers().get(&consumer).map_or_else(Vec::new, |consumer| {
        let pending = consumer.pending.range((Bound::Included(first), Bound::Unbounded));
        pending.take(count.unwrap_or(usize::MAX)).copied().collect()
    });
    replies.array(ids.len());
    for id in ids {
        if let Some((_, fields)) = log.range(id, id).next() {
            write_entry(replies, id, fields);
            group.redeliver(id, now_ms);
        } else {
            replies.array(2);
            id::reply(replies, id);
            replies.null_array();
        }
    }
}
