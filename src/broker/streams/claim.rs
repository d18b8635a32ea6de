//! XCLAIM and XAUTOCLAIM: pending entries that one consumer takes over from another.

use std::ops::Bound;

use crate::broker::streams::entry_log::EntryLog;
use crate::broker::streams::group::{Group, Pending};
use crate::broker::streams::read::write_entry;
use crate::broker::streams::{CommandError, CommandResult, KeyCommand, SYNTAX, id, integer_or};
use crate::model::StreamId;
use crate::resp::command::strict_integer;
use crate::resp::encode::Encoder;

/// Entries that XAUTOCLAIM claims if no COUNT is given, and the number that it inspects for each.
const AUTOCLAIM_COUNT: i64 = 100;
const AUTOCLAIM_ATTEMPTS: i64 = 10;

/// Redis's limit for COUNT, which prevents an overflow there.
const AUTOCLAIM_COUNT_MAX: i64 = i64::MAX / 16;

/// Options of a claim.
#[derive(Debug, Default)]
struct Claim<'a> {
    consumer: &'a [u8],
    min_idle_ms: i64,
    delivered_ms: i64,
    deliveries: Option<i64>,
    is_forced: bool,
    is_just_id: bool,
    last_id: StreamId,
    now_ms: i64,
}

impl<'a> KeyCommand<'a> {
    pub(in crate::broker) fn xclaim(&mut self) -> CommandResult {
        let (key, name) = (self.args.at(1), self.args.at(2));
        self.keyspace.pending_group(self.args)?;
        let mut claim = self.claim("ERR Invalid min-idle-time argument for XCLAIM")?;
        let ids: Vec<StreamId> = self.args.iter_from(5).map_while(|arg| id::exact(arg).ok()).collect();
        self.claim_options(5 + ids.len(), &mut claim)?;
        let start = self.replies.len();
        let replies = &mut *self.replies;
        let claimed = self.keyspace.edit_group(key, name, |group, log| {
            group.last_id = group.last_id.max(claim.last_id);
            ids.iter().filter(|id| claim.apply(group, log, **id, replies) == Claimed::Yes).count()
        });
        self.replies.array_from(start, claimed.unwrap_or(0));
        Ok(())
    }

    fn claim(&self, idle_error: &'static str) -> Result<Claim<'a>, CommandError> {
        Ok(Claim {
            consumer: self.args.at(3),
            min_idle_ms: integer_or(self.args.at(4), idle_error)?.max(0),
            delivered_ms: self.now_ms,
            now_ms: self.now_ms,
            ..Claim::default()
        })
    }

    fn claim_options(&self, first: usize, claim: &mut Claim<'_>) -> CommandResult {
        let mut options = self.args.options(first);
        while !options.is_empty() {
            if options.take("force", 0) {
                claim.is_forced = true;
            } else if options.take("justid", 0) {
                claim.is_just_id = true;
            } else if options.take("idle", 1) {
                let idle_ms = integer_or(options.value(), "ERR Invalid IDLE option argument for XCLAIM")?;
                claim.delivered_ms = self.now_ms.wrapping_sub(idle_ms);
            } else if options.take("time", 1) {
                claim.delivered_ms = integer_or(options.value(), "ERR Invalid TIME option argument for XCLAIM")?;
            } else if options.take("retrycount", 1) {
                let count = integer_or(options.value(), "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                claim.deliveries = (count >= 0).then_some(count);
            } else if options.take("lastid", 1) {
                claim.last_id = id::exact(options.value())?;
            } else {
                let parts = [b"ERR Unrecognized XCLAIM option '", options.value(), b"'"];
                return Err(CommandError::joined(&parts));
            }
        }
        if !(0..=self.now_ms).contains(&claim.delivered_ms) {
            claim.delivered_ms = self.now_ms;
        }
        Ok(())
    }

    pub(in crate::broker) fn xautoclaim(&mut self) -> CommandResult {
        let mut claim = self.claim("ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
        let from = id::parse_start(self.args.at(5))?;
        let (mut count, mut options) = (AUTOCLAIM_COUNT, self.args.options(6));
        while !options.is_empty() {
            if options.take("count", 1) {
                let wanted =
                    strict_integer(options.value()).filter(|wanted| (1..=AUTOCLAIM_COUNT_MAX).contains(wanted));
                count = wanted.ok_or(CommandError::text("ERR COUNT must be > 0"))?;
            } else if options.take("justid", 0) {
                claim.is_just_id = true;
            } else {
                return Err(SYNTAX);
            }
        }
        self.keyspace.pending_group(self.args)?;
        let (mut start, mut claimed, mut deleted) = (Bound::Included(from), 0, Vec::new());
        let mut entries = Encoder::default();
        let next = self.keyspace.edit_group(self.args.at(1), self.args.at(2), |group, log| {
            let mut attempts = count.saturating_mul(AUTOCLAIM_ATTEMPTS);
            while attempts > 0 && ((claimed + deleted.len()) as i64) < count {
                let id = group.pending_from(start)?;
                match claim.apply(group, log, id, &mut entries) {
                    Claimed::Yes => claimed += 1,
                    Claimed::Deleted => deleted.push(id),
                    Claimed::No => {}
                }
                start = Bound::Excluded(id);
                attempts -= 1;
            }
            group.pending_from(start)
        });
        self.replies.array(3).id(next.flatten().unwrap_or(StreamId::START)).array(claimed).raw(&entries.take());
        self.replies.array(deleted.len());
        for id in deleted {
            self.replies.id(id);
        }
        Ok(())
    }
}

/// Outcome of the claim of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claimed {
    Yes,
    /// The entry is not pending, or not for long enough.
    No,
    /// The entry was deleted from the stream, and is now not pending either.
    Deleted,
}

impl Claim<'_> {
    /// Claims one entry, and writes it if it was claimed.
    fn apply(&self, group: &mut Group, log: &EntryLog, id: StreamId, replies: &mut Encoder) -> Claimed {
        let Some((_, fields)) = log.range(id, id).next() else {
            return if group.acknowledge(id) { Claimed::Deleted } else { Claimed::No };
        };
        let deliveries = match group.pending.get(&id) {
            Some(pending) => {
                let idle_ms = self.now_ms.wrapping_sub(pending.delivered_ms);
                if self.min_idle_ms != 0 && idle_ms < self.min_idle_ms {
                    return Claimed::No;
                }
                pending.deliveries
            }
            // As in Redis, an entry that FORCE makes pending counts as delivered once already.
            None if self.is_forced => 1,
            None => return Claimed::No,
        };
        let consumer = group.touch_consumer(self.consumer, self.now_ms);
        let deliveries = self.deliveries.unwrap_or(deliveries.wrapping_add(i64::from(!self.is_just_id)));
        group.assign(id, Pending { consumer, delivered_ms: self.delivered_ms, deliveries });
        if self.is_just_id {
            replies.id(id);
        } else {
            write_entry(replies, id, fields);
        }
        Claimed::Yes
    }
}
