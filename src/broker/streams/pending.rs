//! XPENDING: entries that were delivered and not acknowledged.

use std::ops::Bound;

use crate::broker::streams::group::{Group, Pending};
use crate::broker::streams::{CommandError, CommandResult, KeyCommand, SYNTAX, id};
use crate::model::StreamId;
use crate::resp::encode::Encoder;

/// Arguments of the long form.
#[derive(Debug)]
struct PendingFilter<'a> {
    min_idle_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> KeyCommand<'a> {
    pub(in crate::broker) fn xpending(&mut self) -> CommandResult {
        let filter = match self.args.len() {
            3 => None,
            6..=9 => Some(self.pending_filter()?),
            _ => return Err(SYNTAX),
        };
        let (key, name) = (self.args.at(1), self.args.at(2));
        let group = self.keyspace.group(key, name).ok_or_else(|| Self::no_group(key, name))?;
        match filter {
            None => write_summary(self.replies, group),
            Some(filter) => write_list(self.replies, group, &filter, self.now_ms),
        }
        Ok(())
    }

    fn pending_filter(&self) -> Result<PendingFilter<'a>, CommandError> {
        let (mut min_idle_ms, mut first) = (0, 3);
        if self.is(3, "idle") {
            min_idle_ms = self.integer(4)?;
            if self.args.len() < 8 {
                return Err(SYNTAX);
            }
            first = 5;
        }
        let count = self.integer(first + 2)?.max(0) as usize;
        let start = id::parse_start(self.args.at(first))?;
        let end = id::parse_end(self.args.at(first + 1))?;
        Ok(PendingFilter { min_idle_ms, start, end, count, consumer: self.args.get(first + 3) })
    }
}

fn write_summary(replies: &mut Encoder, group: &Group) {
    replies.array(4);
    replies.integer(group.pending().len() as i64);
    let (Some((first, _)), Some((last, _))) = (group.pending().first_key_value(), group.pending().last_key_value())
    else {
        replies.null();
        replies.null();
        return replies.null_array();
    };
    id::reply(replies, *first);
    id::reply(replies, *last);
    let busy = group.consumers().iter().filter(|(_, consumer)| !consumer.pending.is_empty());
    replies.array(busy.clone().count());
    for (name, consumer) in busy {
        replies.array(2);
        replies.bulk(name);
        replies.bulk(consumer.pending.len().to_string());
    }
}

fn write_list(replies: &mut Encoder, group: &Group, filter: &PendingFilter<'_>, now_ms: i64) {
    let range = (Bound::Included(filter.start), Bound::Included(filter.end));
    let entries: Vec<(&StreamId, &Pending)> = match filter.consumer {
        _ if filter.start > filter.end => Vec::new(),
        None => filtered(group.pending().range(range), filter, now_ms),
        Some(name) => {
            let own = group.consumers().get(name).into_iter().flat_map(|consumer| consumer.pending.range(range));
            filtered(own.filter_map(|id| Some((id, group.pending().get(id)?))), filter, now_ms)
        }
    };
    replies.array(entries.len());
    for (id, pending) in entries {
        replies.array(4);
        id::reply(replies, *id);
        replies.bulk(&pending.consumer);
        replies.integer(now_ms.wrapping_sub(pending.delivered_ms).max(0));
        replies.integer(pending.deliveries);
    }
}

fn filtered<'a>(
    entries: impl Iterator<Item = (&'a StreamId, &'a Pending)>,
    filter: &PendingFilter<'_>,
    now_ms: i64,
) -> Vec<(&'a StreamId, &'a Pending)> {
    let is_idle =
        |pending: &Pending| filter.min_idle_ms == 0 || now_ms.wrapping_sub(pending.delivered_ms) >= filter.min_idle_ms;
    entries.filter(|(_, pending)| is_idle(pending)).take(filter.count).collect()
}
