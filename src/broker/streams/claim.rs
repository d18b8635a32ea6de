//! XCLAIM and XAUTOCLAIM: entries that one consumer takes over from another.

use std::ops::Bound;

use bytes::Bytes;

use crate::broker::streams::group::{Group, Pending};
use crate::broker::streams::log::Log;
use crate::broker::streams::read::entry;
use crate::broker::streams::write::strict;
use crate::broker::streams::{Answer, Call, Refusal, SYNTAX, id};
use crate::model::StreamId;
use crate::resp::encode::Encoder;

/// Entries that XAUTOCLAIM takes if no COUNT is given, and how many it looks at for each.
const AUTOCLAIM_COUNT: i64 = 100;
const AUTOCLAIM_ATTEMPTS: i64 = 10;

/// Redis's bound, which keeps its sizes from overflowing.
const AUTOCLAIM_COUNT_MAX: i64 = i64::MAX / 16;

/// How entries are to be claimed.
#[derive(Debug)]
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

impl<'a> Call<'a> {
    pub(super) fn xclaim(&mut self) -> Answer {
        let (key, name) = (self.args.at(1), self.args.at(2));
        if self.space.group(key, name).is_none() {
            return Err(Self::no_group(key, name));
        }
        let min_idle_ms = self.integer_or(4, "ERR Invalid min-idle-time argument for XCLAIM")?.max(0);
        let ids: Vec<StreamId> = self.args.iter_from(5).map_while(|arg| strict(arg).ok()).collect();
        let claim = self.claim_options(5 + ids.len(), min_idle_ms)?;
        let start = self.out.len();
        let out = &mut *self.out;
        let claimed = self.space.edit_group(key, name, |group, log| {
            group.last_id = group.last_id.max(claim.last_id);
            let mut owner = None;
            ids.iter().filter(|id| claim.take(group, log, **id, &mut owner, out) == Taken::Yes).count()
        });
        self.out.array_from(start, claimed.unwrap_or(0));
        Ok(())
    }

    fn claim_options(&self, mut index: usize, min_idle_ms: i64) -> Result<Claim<'a>, Refusal> {
        let now_ms = self.now_ms;
        let mut claim = Claim {
            consumer: self.args.at(3),
            min_idle_ms,
            delivered_ms: -1,
            deliveries: None,
            is_forced: false,
            is_just_id: false,
            last_id: StreamId::START,
            now_ms,
        };
        while index < self.args.len() {
            if self.has_option(index, "force", 0) {
                claim.is_forced = true;
            } else if self.has_option(index, "justid", 0) {
                claim.is_just_id = true;
            } else if self.has_option(index, "idle", 1) {
                index += 1;
                let idle_ms = self.integer_or(index, "ERR Invalid IDLE option argument for XCLAIM")?;
                claim.delivered_ms = now_ms.wrapping_sub(idle_ms);
            } else if self.has_option(index, "time", 1) {
                index += 1;
                claim.delivered_ms = self.integer_or(index, "ERR Invalid TIME option argument for XCLAIM")?;
            } else if self.has_option(index, "retrycount", 1) {
                index += 1;
                let count = self.integer_or(index, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                claim.deliveries = (count >= 0).then_some(count);
            } else if self.has_option(index, "lastid", 1) {
                index += 1;
                claim.last_id = strict(self.args.at(index))?;
            } else {
                return Err(Refusal::joined(&[b"ERR Unrecognized XCLAIM option '", self.args.at(index), b"'"]));
            }
            index += 1;
        }
        if !(0..=now_ms).contains(&claim.delivered_ms) {
            claim.delivered_ms = now_ms;
        }
        Ok(claim)
    }

    pub(super) fn xautoclaim(&mut self) -> Answer {
        let min_idle_ms = self.integer_or(4, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?.max(0);
        let from = id::parse_start(self.args.at(5))?;
        let (mut count, mut is_just_id, mut index) = (AUTOCLAIM_COUNT, false, 6);
        while index < self.args.len() {
            if self.has_option(index, "count", 1) {
                index += 1;
                let text = "ERR COUNT must be > 0";
                count = self.integer_or(index, text)?;
                if !(1..=AUTOCLAIM_COUNT_MAX).contains(&count) {
                    return Err(Refusal::fixed(text));
                }
            } else if self.has_option(index, "justid", 0) {
                is_just_id = true;
            } else {
                return Err(SYNTAX);
            }
            index += 1;
        }
        let (key, name) = (self.args.at(1), self.args.at(2));
        let claim = Claim {
            consumer: self.args.at(3),
            min_idle_ms,
            delivered_ms: self.now_ms,
            deliveries: None,
            is_forced: false,
            is_just_id,
            last_id: StreamId::START,
            now_ms: self.now_ms,
        };
        let mut out = Encoder::default();
        let take = |group: &mut Group, log: &Log| claim.take_all(group, log, from, count, &mut out);
        let result = self.space.edit_group(key, name, take);
        let (next, claimed, gone) = result.ok_or_else(|| Self::no_group(key, name))?;
        self.out.array(3);
        id::reply(self.out, next);
        self.out.array(claimed);
        self.out.raw(&out.take());
        self.out.array(gone.len());
        for id in gone {
            id::reply(self.out, id);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Yes,
    /// It is not pending, or not for long enough.
    No,
    /// The stream does not have it any more, so that it is not pending either from now on.
    Gone,
}

impl Claim<'_> {
    /// Claims one entry. The reply to XCLAIM has it if it was taken.
    fn take(&self, group: &mut Group, log: &Log, id: StreamId, owner: &mut Option<Bytes>, out: &mut Encoder) -> Taken {
        let Some((_, fields)) = log.range(id, id).next() else {
            return if group.settle(id) { Taken::Gone } else { Taken::No };
        };
        let deliveries = match group.pending().get(&id) {
            Some(pending) => {
                let idle_ms = self.now_ms.wrapping_sub(pending.delivered_ms);
                if self.min_idle_ms != 0 && idle_ms < self.min_idle_ms {
                    return Taken::No;
                }
                pending.deliveries
            }
            // As in Redis, an entry that is forced in counts as delivered once already.
            None if self.is_forced => 1,
            None => return Taken::No,
        };
        let consumer = owner.get_or_insert_with(|| group.see_consumer(self.consumer, self.now_ms)).clone();
        let deliveries = self.deliveries.unwrap_or(deliveries.wrapping_add(i64::from(!self.is_just_id)));
        group.assign(id, Pending { consumer, delivered_ms: self.delivered_ms, deliveries });
        if self.is_just_id {
            id::reply(out, id);
        } else {
            entry(out, id, fields);
        }
        Taken::Yes
    }

    /// Claims pending entries from `from` on. Returns where to go on, how many were taken, and which are gone.
    fn take_all(
        &self,
        group: &mut Group,
        log: &Log,
        from: StreamId,
        count: i64,
        out: &mut Encoder,
    ) -> (StreamId, usize, Vec<StreamId>) {
        let (mut start, mut owner, mut taken, mut gone) = (Bound::Included(from), None, 0, Vec::new());
        let mut attempts = count.saturating_mul(AUTOCLAIM_ATTEMPTS);
        while attempts > 0 && ((taken + gone.len()) as i64) < count {
            let Some((id, _)) = group.pending_from(start) else { break };
            match self.take(group, log, id, &mut owner, out) {
                Taken::Yes => taken += 1,
                Taken::Gone => gone.push(id),
                Taken::No => {}
            }
            start = Bound::Excluded(id);
            attempts -= 1;
        }
        let next = group.pending_from(start).map_or(StreamId::START, |(id, _)| id);
        (next, taken, gone)
    }
}
