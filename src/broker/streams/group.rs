//! Consumer groups: who has been given which entry and has not acknowledged it yet.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;

use crate::broker::streams::log::Log;
use crate::model::StreamId;

/// What a pending entry, a consumer and a group cost in memory: their places in two ordered maps, by the fill of these.
const PENDING_BYTES: usize = 192;
const CONSUMER_BYTES: usize = 256;
pub(super) const GROUP_BYTES: usize = 384;

/// A group's state. Its name is the key under which the stream keeps it.
#[derive(Debug)]
pub(super) struct Group {
    /// The entry that was given out last.
    pub(super) last_id: StreamId,
    /// Entries of the stream up to that one, if that can be told.
    pub(super) entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Pending>,
    consumers: BTreeMap<Bytes, Consumer>,
    name_bytes: usize,
}

/// An entry that was given out and not acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) consumer: Bytes,
    /// When it was last given out, in milliseconds since the Unix epoch.
    pub(super) delivered_ms: i64,
    pub(super) deliveries: i64,
}

#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) seen_ms: i64,
    pub(super) pending: BTreeSet<StreamId>,
}

impl Group {
    pub(super) fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Self { last_id, entries_read, pending: BTreeMap::new(), consumers: BTreeMap::new(), name_bytes: 0 }
    }

    /// Memory that it takes, without its name.
    pub(super) fn bytes(&self) -> usize {
        GROUP_BYTES + self.pending.len() * PENDING_BYTES + self.consumers.len() * CONSUMER_BYTES + self.name_bytes
    }

    /// All pending entries, in order.
    pub(super) fn pending(&self) -> &BTreeMap<StreamId, Pending> {
        &self.pending
    }

    /// All consumers, by name.
    pub(super) fn consumers(&self) -> &BTreeMap<Bytes, Consumer> {
        &self.consumers
    }

    pub(super) fn consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.consumers.get(name)
    }

    /// Makes a consumer; false if there is one.
    pub(super) fn create_consumer(&mut self, name: &[u8], now_ms: i64) -> bool {
        if self.consumers.contains_key(name) {
            return false;
        }
        self.name_bytes += name.len();
        let consumer = Consumer { seen_ms: now_ms, pending: BTreeSet::new() };
        self.consumers.insert(Bytes::copy_from_slice(name), consumer);
        true
    }

    /// Notes that a consumer asks, making it if there is none, and gives its name as it is kept.
    pub(super) fn see_consumer(&mut self, name: &[u8], now_ms: i64) -> Bytes {
        self.create_consumer(name, now_ms);
        if let Some(consumer) = self.consumers.get_mut(name) {
            consumer.seen_ms = now_ms;
        }
        self.consumers.get_key_value(name).map(|(name, _)| name.clone()).unwrap_or_default()
    }

    /// Forgets a consumer and all that it has pending. Returns how many entries that was.
    pub(super) fn delete_consumer(&mut self, name: &[u8]) -> usize {
        let Some(consumer) = self.consumers.remove(name) else { return 0 };
        self.name_bytes -= name.len();
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        consumer.pending.len()
    }

    /// Notes that `id` was given to `consumer` for the first time, or anew after the group was set back.
    pub(super) fn deliver(&mut self, id: StreamId, consumer: &Bytes, now_ms: i64) {
        self.assign(id, Pending { consumer: consumer.clone(), delivered_ms: now_ms, deliveries: 1 });
    }

    /// Makes `pending` the state of `id`, taking it from whoever had it.
    pub(super) fn assign(&mut self, id: StreamId, pending: Pending) {
        let owner = pending.consumer.clone();
        let former = self.pending.insert(id, pending).map(|former| former.consumer);
        if former.as_ref() == Some(&owner) {
            return;
        }
        if let Some(consumer) = former.and_then(|name| self.consumers.get_mut(&name)) {
            consumer.pending.remove(&id);
        }
        if let Some(consumer) = self.consumers.get_mut(&owner) {
            consumer.pending.insert(id);
        }
    }

    /// Notes that a pending entry was given to its consumer once more.
    pub(super) fn redeliver(&mut self, id: StreamId, now_ms: i64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivered_ms = now_ms;
            pending.deliveries = pending.deliveries.wrapping_add(1);
        }
    }

    /// Forgets that `id` is pending; false if it is not.
    pub(super) fn settle(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        if let Some(consumer) = self.consumers.get_mut(&pending.consumer) {
            consumer.pending.remove(&id);
        }
        true
    }

    /// The first pending entry from `start` on.
    pub(super) fn pending_from(&self, start: Bound<StreamId>) -> Option<(StreamId, &Pending)> {
        self.pending.range((start, Bound::Unbounded)).next().map(|(id, pending)| (*id, pending))
    }

    /// Moves the group on to `id`, with the count of entries up to there if that can be told.
    pub(super) fn advance(&mut self, id: StreamId, log: &Log) {
        if id <= self.last_id {
            return;
        }
        match &mut self.entries_read {
            Some(read) if !has_gap(log, id) => *read += 1,
            _ if log.added > 0 => self.entries_read = distance(log, id),
            _ => {}
        }
        self.last_id = id;
    }

    /// Entries that the group has not been given yet, if that can be told.
    pub(super) fn lag(&self, log: &Log) -> Option<i64> {
        if log.added == 0 {
            return Some(0);
        }
        let read = match self.entries_read {
            Some(read) if !has_gap(log, self.last_id) => Some(read),
            _ => distance(log, self.last_id),
        };
        read.map(|read| (log.added as i64).wrapping_sub(read as i64))
    }
}

/// Whether an entry at or after `start` may have been deleted from between others.
fn has_gap(log: &Log, start: StreamId) -> bool {
    log.len() > 0
        && log.max_deleted_id != StreamId::START
        && log.first_id() <= log.max_deleted_id
        && start <= log.max_deleted_id
}

/// How many entries were ever added up to `id`, where the stream's counts tell.
fn distance(log: &Log, id: StreamId) -> Option<u64> {
    if log.added == 0 {
        return Some(0);
    }
    if log.len() == 0 && id <= log.last_id {
        return Some(log.added);
    }
    if id >= log.last_id {
        return (id == log.last_id).then_some(log.added);
    }
    let has_no_gap = log.max_deleted_id == StreamId::START || log.max_deleted_id < log.first_id();
    match id.cmp(&log.first_id()) {
        std::cmp::Ordering::Less if has_no_gap => Some(log.added.wrapping_sub(log.len())),
        std::cmp::Ordering::Equal if has_no_gap => Some(log.added.wrapping_sub(log.len()) + 1),
        _ => None,
    }
}
