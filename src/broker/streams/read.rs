//! XLEN, XRANGE, XREVRANGE, XREAD, XREADGROUP: what reads a stream's entries.

use std::ops::Bound;

use bytes::Bytes;

use crate::broker::streams::blocked::{GroupWait, Wait};
use crate::broker::streams::group::Group;
use crate::broker::streams::log::Log;
use crate::broker::streams::write::strict;
use crate::broker::streams::{Answer, Call, Outcome, Refusal, SYNTAX, id, word};
use crate::model::StreamId;
use crate::resp::encode::Encoder;

/// Most entries that a client which waited is given if it named no COUNT, as in Redis.
const WAITED_ENTRIES_MAX: usize = 1_000;

/// XREADGROUP's `>`, which Redis takes for the greatest id.
const NEW: StreamId = id::LAST;

/// The arguments of XREAD and XREADGROUP.
#[derive(Debug, Default)]
struct Request<'a> {
    /// Milliseconds, 0 for ever; `None` not to wait.
    timeout_ms: Option<i64>,
    /// 0 for all.
    count: usize,
    no_ack: bool,
    /// The group and the consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    /// Keys, each with the id to read behind.
    streams: Vec<(&'a [u8], StreamId)>,
}

impl<'a> Call<'a> {
    pub(super) fn xlen(&mut self) {
        let len = self.space.stream(self.args.at(1)).map_or(0, |stream| stream.log.len());
        self.out.integer(len as i64);
    }

    pub(super) fn xrange(&mut self, is_reverse: bool) -> Answer {
        let (start_at, end_at) = if is_reverse { (3, 2) } else { (2, 3) };
        let start = id::parse_start(self.args.at(start_at))?;
        let end = id::parse_end(self.args.at(end_at))?;
        let (mut count, mut index) = (None, 4);
        while index < self.args.len() {
            if !self.has_option(index, "count", 1) {
                return Err(SYNTAX);
            }
            count = Some(self.integer(index + 1)?.max(0) as usize);
            index += 2;
        }
        let Some(stream) = self.space.stream(self.args.at(1)) else {
            self.out.array(0);
            return Ok(());
        };
        if count == Some(0) {
            self.out.null_array();
            return Ok(());
        }
        let range = stream.log.range(start, end);
        let count = count.unwrap_or(usize::MAX);
        if is_reverse {
            entries(self.out, range.rev().take(count));
        } else {
            entries(self.out, range.take(count));
        }
        Ok(())
    }

    pub(super) fn xread(&mut self) -> Result<Outcome, Refusal> {
        let request = self.request(false)?;
        let (start, mut served) = (self.out.len(), 0);
        for (key, after) in &request.streams {
            let Some(stream) = self.space.stream(key) else { continue };
            if stream.log.last_live_id().is_some_and(|last| last > *after) {
                served += 1;
                stream_head(self.out, key);
                read(self.out, &stream.log, *after, request.count);
            }
        }
        Ok(self.conclude(&request, start, served))
    }

    pub(super) fn xreadgroup(&mut self) -> Result<Outcome, Refusal> {
        let request = self.request(true)?;
        let Some((group, consumer)) = request.group else { return Err(SYNTAX) };
        let (start, mut served, now_ms) = (self.out.len(), 0, self.now_ms);
        for (key, after) in &request.streams {
            let out = &mut *self.out;
            let is_served = self.space.edit_group(key, group, |group, log| {
                if *after != NEW {
                    stream_head(out, key);
                    history(out, log, group, consumer, *after, request.count, now_ms);
                } else if log.last_live_id().is_some_and(|last| last > group.last_id) {
                    stream_head(out, key);
                    give(out, log, group, consumer, request.count, request.no_ack, now_ms);
                } else {
                    return false;
                }
                true
            });
            served += usize::from(is_served == Some(true));
        }
        Ok(self.conclude(&request, start, served))
    }

    /// Ends a reply of `served` streams, or decides to wait if there are none.
    fn conclude(&mut self, request: &Request<'_>, start: usize, served: usize) -> Outcome {
        if served > 0 {
            self.out.map_of_arrays_from(start, served);
            return Outcome::Done;
        }
        let Some(timeout_ms) = request.timeout_ms else {
            self.out.null_array();
            return Outcome::Done;
        };
        let group = request.group.map(|(group, consumer)| GroupWait {
            group: Bytes::copy_from_slice(group),
            consumer: Bytes::copy_from_slice(consumer),
            no_ack: request.no_ack,
        });
        Outcome::Wait(Wait {
            timeout_ms,
            count: if request.count == 0 { WAITED_ENTRIES_MAX } else { request.count },
            group,
            streams: request.streams.iter().map(|(key, after)| (Bytes::copy_from_slice(key), *after)).collect(),
        })
    }

    fn request(&self, is_group: bool) -> Result<Request<'a>, Refusal> {
        let (mut request, mut index, mut streams_at) = (Request::default(), 1, None);
        while index < self.args.len() {
            if self.has_option(index, "block", 1) {
                index += 1;
                let timeout_ms = self.integer_or(index, "ERR timeout is not an integer or out of range")?;
                if timeout_ms < 0 {
                    return Err(Refusal::fixed("ERR timeout is negative"));
                }
                request.timeout_ms = Some(timeout_ms);
            } else if self.has_option(index, "count", 1) {
                index += 1;
                request.count = self.integer(index)?.max(0) as usize;
            } else if self.has_option(index, "streams", 1) {
                streams_at = Some(index + 1);
                break;
            } else if self.has_option(index, "group", 2) {
                if !is_group {
                    return Err(only_for_groups("GROUP"));
                }
                request.group = Some((self.args.at(index + 1), self.args.at(index + 2)));
                index += 2;
            } else if self.has_option(index, "noack", 0) {
                if !is_group {
                    return Err(only_for_groups("NOACK"));
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
            return Err(Refusal::fixed(
                "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
            ));
        }
        if is_group && request.group.is_none() {
            return Err(Refusal::fixed("ERR Missing GROUP option for XREADGROUP"));
        }
        for index in first..first + words / 2 {
            let key = self.args.at(index);
            request.streams.push((key, self.read_from(key, self.args.at(index + words / 2), request.group)?));
        }
        Ok(request)
    }

    /// The id behind which to read a stream.
    fn read_from(&self, key: &[u8], text: &[u8], group: Option<(&[u8], &[u8])>) -> Result<StreamId, Refusal> {
        if let Some((group, _)) = group
            && self.space.group(key, group).is_none()
        {
            let end = b"' in XREADGROUP with GROUP option";
            return Err(Refusal::joined(&[b"NOGROUP No such key '", key, b"' or consumer group '", group, end]));
        }
        match (word(text), group) {
            (b"$", Some(_)) => Err(Refusal::fixed(
                "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                 consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return \
                 an empty result set.",
            )),
            (b"$", None) => Ok(self.space.stream(key).map_or(StreamId::START, |stream| stream.log.last_id)),
            (b">", Some(_)) => Ok(NEW),
            (b">", None) => Err(Refusal::fixed(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
            )),
            _ => strict(text),
        }
    }
}

fn only_for_groups(option: &str) -> Refusal {
    let text = format!("ERR The {option} option is only supported by XREADGROUP. You called XREAD instead.");
    Refusal(text.into_bytes().into())
}

/// What comes before a stream's entries: its key, and in RESP2 the header of the pair.
pub(super) fn stream_head(out: &mut Encoder, key: &[u8]) {
    if !out.is_resp3() {
        out.array(2);
    }
    out.bulk(key);
}

/// One entry.
pub(super) fn entry(out: &mut Encoder, id: StreamId, fields: &[u8]) {
    out.array(2);
    id::reply(out, id);
    out.raw(fields);
}

/// All entries that there are, as one array.
pub(super) fn entries<'a>(out: &mut Encoder, entries: impl Iterator<Item = (StreamId, &'a [u8])>) {
    let (start, mut count) = (out.len(), 0);
    for (id, fields) in entries {
        entry(out, id, fields);
        count += 1;
    }
    out.array_from(start, count);
}

/// The entries behind `after`, `count` at most; 0 for all.
pub(super) fn read(out: &mut Encoder, log: &Log, after: StreamId, count: usize) {
    let start = id::next(after).unwrap_or(StreamId::START);
    entries(out, log.range(start, id::LAST).take(if count == 0 { usize::MAX } else { count }));
}

/// Gives a consumer the entries that no other has been given.
pub(super) fn give(
    out: &mut Encoder,
    log: &Log,
    group: &mut Group,
    consumer: &[u8],
    count: usize,
    no_ack: bool,
    now_ms: i64,
) {
    let consumer = group.see_consumer(consumer, now_ms);
    let first = id::next(group.last_id).unwrap_or(StreamId::START);
    let given = log.range(first, id::LAST).take(if count == 0 { usize::MAX } else { count }).inspect(|(id, _)| {
        group.advance(*id, log);
        if !no_ack {
            group.deliver(*id, &consumer, now_ms);
        }
    });
    entries(out, given);
}

/// Repeats what a consumer was given behind `after` and has not acknowledged; nil for what is gone meanwhile.
fn history(
    out: &mut Encoder,
    log: &Log,
    group: &mut Group,
    consumer: &[u8],
    after: StreamId,
    count: usize,
    now_ms: i64,
) {
    let name = group.see_consumer(consumer, now_ms);
    let first = id::next(after).unwrap_or(StreamId::START);
    let count_max = if count == 0 { usize::MAX } else { count };
    let ids: Vec<StreamId> = group.consumer(&name).map_or_else(Vec::new, |consumer| {
        consumer.pending.range((Bound::Included(first), Bound::Unbounded)).take(count_max).copied().collect()
    });
    out.array(ids.len());
    for id in ids {
        if let Some((_, fields)) = log.range(id, id).next() {
            entry(out, id, fields);
            group.redeliver(id, now_ms);
        } else {
            out.array(2);
            id::reply(out, id);
            out.null_array();
        }
    }
}
