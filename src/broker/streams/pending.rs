//! XPENDING: what was given out and is not acknowledged.

use std::ops::Bound;

use crate::broker::streams::group::{Group, Pending};
use crate::broker::streams::{Answer, Call, Refusal, SYNTAX, id, is};
use crate::model::StreamId;
use crate::resp::encode::Encoder;

/// Which pending entries are asked for.
#[derive(Debug)]
struct Filter<'a> {
    min_idle_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Call<'a> {
    pub(super) fn xpending(&mut self) -> Answer {
        let filter = match self.args.len() {
            3 => None,
            6..=9 => Some(self.pending_filter()?),
            _ => return Err(SYNTAX),
        };
        let (key, name) = (self.args.at(1), self.args.at(2));
        let group = self.space.group(key, name).ok_or_else(|| Self::no_group(key, name))?;
        match filter {
            None => summary(self.out, group),
            Some(filter) => list(self.out, group, &filter, self.now_ms),
        }
        Ok(())
    }

    fn pending_filter(&self) -> Result<Filter<'a>, Refusal> {
        let (mut min_idle_ms, mut first) = (0, 3);
        if is(self.args.at(3), "idle") {
            min_idle_ms = self.integer(4)?;
            if self.args.len() < 8 {
                return Err(SYNTAX);
            }
            first = 5;
        }
        let count = self.integer(first + 2)?.max(0) as usize;
        let start = id::parse_start(self.args.at(first))?;
        let end = id::parse_end(self.args.at(first + 1))?;
        Ok(Filter { min_idle_ms, start, end, count, consumer: self.args.get(first + 3) })
    }
}

fn summary(out: &mut Encoder, group: &Group) {
    out.array(4);
    out.integer(group.pending().len() as i64);
    let (Some((first, _)), Some((last, _))) = (group.pending().first_key_value(), group.pending().last_key_value())
    else {
        out.null();
        out.null();
        return out.null_array();
    };
    id::reply(out, *first);
    id::reply(out, *last);
    let busy = group.consumers().iter().filter(|(_, consumer)| !consumer.pending.is_empty());
    out.array(busy.clone().count());
    for (name, consumer) in busy {
        out.array(2);
        out.bulk(name);
        out.bulk(consumer.pending.len().to_string());
    }
}

fn list(out: &mut Encoder, group: &Group, filter: &Filter<'_>, now_ms: i64) {
    let (start, mut shown) = (out.len(), 0);
    let mut show = |id: StreamId, pending: &Pending| {
        let idle_ms = now_ms.wrapping_sub(pending.delivered_ms);
        if shown == filter.count || (filter.min_idle_ms != 0 && idle_ms < filter.min_idle_ms) {
            return shown < filter.count;
        }
        shown += 1;
        out.array(4);
        id::reply(out, id);
        out.bulk(&pending.consumer);
        out.integer(idle_ms.max(0));
        out.integer(pending.deliveries);
        true
    };
    if filter.start <= filter.end {
        let range = (Bound::Included(filter.start), Bound::Included(filter.end));
        match filter.consumer {
            None => _ = group.pending().range(range).all(|(id, pending)| show(*id, pending)),
            Some(name) => {
                let own = group.consumer(name).into_iter().flat_map(|consumer| consumer.pending.range(range));
                let mut own = own.filter_map(|id| Some((id, group.pending().get(id)?)));
                _ = own.all(|(id, pending)| show(*id, pending));
            }
        }
    }
    out.array_from(start, shown);
}
