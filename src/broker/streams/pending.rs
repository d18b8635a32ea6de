//! XPENDING: entries that were delivered and not acknowledged.

use crate::broker::streams::group::{Group, Pending};
use crate::broker::streams::{CommandResult, KeyCommand, SYNTAX, id, integer};
use crate::model::StreamId;
use crate::resp::encode::Encoder;

impl KeyCommand<'_> {
    pub(in crate::broker) fn xpending(&mut self) -> CommandResult {
        match self.args.len() {
            3 => {
                write_summary(self.replies, self.keyspace.pending_group(self.args)?);
                Ok(())
            }
            6..=9 => self.list_pending(),
            _ => Err(SYNTAX),
        }
    }

    /// `XPENDING key group [IDLE ms] start end count [consumer]`.
    fn list_pending(&mut self) -> CommandResult {
        let (args, now_ms) = (self.args, self.now_ms);
        let (mut min_idle_ms, mut first) = (0, 3);
        if args.is(3, "idle") {
            min_idle_ms = integer(args.at(4))?;
            first = 5;
            if args.len() < 8 {
                return Err(SYNTAX);
            }
        }
        let count = integer(args.at(first + 2))?.max(0) as usize;
        let start = id::parse_start(args.at(first))?;
        let end = id::parse_end(args.at(first + 1))?;
        let group = self.keyspace.pending_group(args)?;
        let is_idle = |pending: &Pending| min_idle_ms == 0 || now_ms.wrapping_sub(pending.delivered_ms) >= min_idle_ms;
        let chosen: Vec<(&StreamId, &Pending)> = match args.get(first + 3) {
            _ if start > end => Vec::new(),
            None => group.pending.range(start..=end).filter(|(_, pending)| is_idle(pending)).take(count).collect(),
            Some(name) => {
                let own =
                    group.consumers.get(name).into_iter().flat_map(|consumer| consumer.pending.range(start..=end));
                let own = own.filter_map(|id| group.pending.get_key_value(id));
                own.filter(|(_, pending)| is_idle(pending)).take(count).collect()
            }
        };
        let replies = self.replies.array(chosen.len());
        for (id, pending) in chosen {
            let idle_ms = now_ms.wrapping_sub(pending.delivered_ms).max(0);
            replies.array(4).id(*id).bulk(&pending.consumer).integer(idle_ms).integer(pending.deliveries);
        }
        Ok(())
    }
}

fn write_summary(replies: &mut Encoder, group: &Group) {
    replies.array(4).integer(group.pending.len() as i64);
    let (Some((first, _)), Some((last, _))) = (group.pending.first_key_value(), group.pending.last_key_value()) else {
        return replies.null().null().null_array();
    };
    let busy = group.consumers.iter().filter(|(_, consumer)| !consumer.pending.is_empty());
    replies.id(*first).id(*last).array(busy.clone().count());
    for (name, consumer) in busy {
        replies.array(2).bulk(name).bulk(consumer.pending.len().to_string());
    }
}
