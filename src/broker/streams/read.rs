//! XLEN, XRANGE, XREVRANGE, XREAD and XREADGROUP.

use std::ops::Bound;

use bytes::Bytes;

use crate::broker::streams::blocked::{GroupReader, ReadRequest};
use crate::broker::streams::entry_log::EntryLog;
use crate::broker::streams::group::{Group, Pending};
use crate::broker::streams::{CommandError, CommandResult, KeyCommand, Keyspace, SYNTAX, id, integer, integer_or};
use crate::model::StreamId;
use crate::resp::encode::Encoder;

/// Most entries that a blocked read without COUNT returns, as in Redis.
const BLOCKED_COUNT: usize = 1_000;

/// XREADGROUP's `>`, which Redis represents by the greatest id.
const NEW: StreamId = id::LAST;

impl KeyCommand<'_> {
    pub(in crate::broker) fn xlen(&mut self) -> CommandResult {
        let len = self.keyspace.stream(self.args.at(1)).map_or(0, |stream| stream.log.len);
        self.reply_count(len as usize)
    }

    pub(in crate::broker) fn xrange(&mut self, is_reverse: bool) -> CommandResult {
        let (start_at, end_at) = if is_reverse { (3, 2) } else { (2, 3) };
        let start = id::parse_start(self.args.at(start_at))?;
        let end = id::parse_end(self.args.at(end_at))?;
        let (mut count, mut options) = (usize::MAX, self.args.options(4));
        while !options.is_empty() {
            if !options.take("count", 1) {
                return Err(SYNTAX);
            }
            count = integer(options.value())?.max(0) as usize;
        }
        match self.keyspace.stream(self.args.at(1)) {
            None => _ = self.replies.array(0),
            Some(_) if count == 0 => self.replies.null_array(),
            Some(stream) if is_reverse => {
                write_entries(self.replies, stream.log.range(start, end).rev().take(count));
            }
            Some(stream) => write_entries(self.replies, stream.log.range(start, end).take(count)),
        }
        Ok(())
    }

    /// XREAD and XREADGROUP.
    pub(in crate::broker) fn xread(&mut self, is_group: bool) -> CommandResult {
        let mut request = self.read_request(is_group)?;
        let (start, mut served) = (self.replies.len(), 0);
        for (key, after) in &request.streams {
            let is_served =
                self.keyspace.read(&request, key, *after, EntryLog::last_live_id, self.replies, self.now_ms);
            served += usize::from(is_served);
        }
        match request.block_ms {
            _ if served > 0 => self.replies.map_of_arrays_from(start, served),
            None => self.replies.null_array(),
            Some(_) => {
                request.count = if request.count == usize::MAX { BLOCKED_COUNT } else { request.count };
                self.blocking = Some(request);
            }
        }
        Ok(())
    }

    fn read_request(&self, is_group: bool) -> Result<ReadRequest, CommandError> {
        let (mut block_ms, mut count, mut no_ack, mut names) = (None, usize::MAX, false, None);
        let for_group = |option: &str| {
            let text = format!("ERR The {option} option is only supported by XREADGROUP. You called XREAD instead.");
            if is_group { Ok(()) } else { Err(CommandError(text.into_bytes().into())) }
        };
        let mut options = self.args.options(1);
        while !options.take("streams", 1) {
            if options.take("block", 1) {
                let ms = integer_or(options.value(), "ERR timeout is not an integer or out of range")?;
                block_ms = Some(ms);
                if ms < 0 {
                    return Err(CommandError::text("ERR timeout is negative"));
                }
            } else if options.take("count", 1) {
                let wanted = usize::try_from(integer(options.value())?).unwrap_or(0);
                count = if wanted == 0 { usize::MAX } else { wanted };
            } else if options.take("group", 2) {
                for_group("GROUP")?;
                names = Some((options.value(), options.value()));
            } else if options.take("noack", 0) {
                for_group("NOACK")?;
                no_ack = true;
            } else {
                return Err(SYNTAX);
            }
        }
        let keys = options.index()..options.index() + (self.args.len() - options.index()) / 2;
        if keys.end + keys.len() != self.args.len() {
            return Err(CommandError::text(
                "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
            ));
        }
        if is_group && names.is_none() {
            return Err(CommandError::text("ERR Missing GROUP option for XREADGROUP"));
        }
        let stream = |index: usize| {
            let key = self.args.at(index);
            let after = self.read_after(key, self.args.at(index + keys.len()), names.map(|(group, _)| group))?;
            Ok((Bytes::copy_from_slice(key), after))
        };
        let streams = keys.clone().map(stream).collect::<Result<_, CommandError>>()?;
        let reader = names.map(|(group, consumer)| GroupReader {
            group: Bytes::copy_from_slice(group),
            consumer: Bytes::copy_from_slice(consumer),
            no_ack,
        });
        Ok(ReadRequest { block_ms, count, reader, streams })
    }

    /// Parses the id after which to read a stream.
    fn read_after(&self, key: &[u8], id: &[u8], group: Option<&[u8]>) -> Result<StreamId, CommandError> {
        if let Some(group) = group
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
        let (client, request) = self.blocked.get(id)?;
        let mut reply = Encoder::default();
        reply.set_resp3(client.is_resp3());
        match &request.reader {
            Some(_) if self.stream(key).is_none() => reply.error("UNBLOCKED the stream key no longer exists"),
            Some(reader) if self.group(key, &reader.group).is_none() => {
                reply.error("NOGROUP the consumer group this client was blocked on no longer exists");
            }
            // As in Redis, an entry that was removed again ends the wait as well.
            _ if self.read(&request, key, after, |log| log.last_id, &mut reply, now_ms) => {
                reply.map_of_arrays_from(0, 1);
            }
            _ => return None,
        }
        Some(reply)
    }

    /// Writes what a request reads from one stream. Returns whether there is anything, which the id that `newest`
    /// returns decides.
    fn read(
        &mut self,
        request: &ReadRequest,
        key: &[u8],
        after: StreamId,
        newest: fn(&EntryLog) -> StreamId,
        replies: &mut Encoder,
        now_ms: i64,
    ) -> bool {
        let Some(reader) = &request.reader else {
            let Some(stream) = self.stream(key).filter(|stream| newest(&stream.log) > after) else { return false };
            write_key(replies, key);
            write_entries(replies, stream.log.after(after).take(request.count));
            return true;
        };
        let is_served = self.edit_group(key, &reader.group, |group, log| {
            if after == NEW && newest(log) <= group.last_id {
                return false;
            }
            write_key(replies, key);
            let consumer = group.touch_consumer(&reader.consumer, now_ms);
            if after != NEW {
                let own = group.consumers.get(&consumer).into_iter();
                let own = own.flat_map(|own| own.pending.range((Bound::Excluded(after), Bound::Unbounded)));
                let ids: Vec<StreamId> = own.take(request.count).copied().collect();
                redeliver(replies, log, group, &ids, now_ms);
                return true;
            }
            let entries = log.after(group.last_id).take(request.count).inspect(|(id, _)| {
                group.advance(*id, log);
                if !reader.no_ack {
                    group.assign(*id, Pending { consumer: consumer.clone(), delivered_ms: now_ms, deliveries: 1 });
                }
            });
            write_entries(replies, entries);
            true
        });
        is_served == Some(true)
    }
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
    replies.array(2).id(id).raw(fields);
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

/// Repeats pending entries to their consumer, with nil for those that were deleted.
fn redeliver(replies: &mut Encoder, log: &EntryLog, group: &mut Group, ids: &[StreamId], now_ms: i64) {
    replies.array(ids.len());
    for id in ids {
        let Some((_, fields)) = log.range(*id, *id).next() else {
            replies.array(2).id(*id).null_array();
            continue;
        };
        write_entry(replies, *id, fields);
        if let Some(pending) = group.pending.get_mut(id) {
            pending.delivered_ms = now_ms;
            pending.deliveries = pending.deliveries.wrapping_add(1);
        }
    }
}
