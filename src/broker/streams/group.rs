//! Consumer groups: entries that were delivered and not acknowledged, by entry and by consumer.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;

use crate::broker::streams::entry_log::EntryLog;
use crate::model::StreamId;

/// Memory of a pending entry, a consumer and a group, as elements of two ordered maps with their usual fill.
const PENDING_BYTES: usize = 192;
const CONSUMER_BYTES: usize = 256;
const GROUP_BYTES: usize = 384;

/// State of a group. The stream keeps it under its name.
#[derive(Debug)]
pub(super) struct Group {
    /// Last entry that was delivered.
    pub(super) last_id: StreamId,
    /// Number of entries ever added up to that one, if known.
    pub(super) entries_read: Option<u64>,
    /// All pending entries, in order.
    pub(super) pending: BTreeMap<StreamId, Pending>,
    pub(super) consumers: BTreeMap<Bytes, Consumer>,
    name_bytes: usize,
}

/// An entry that was delivered and not acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) consumer: Bytes,
    /// Time of the last delivery, in milliseconds since the Unix epoch.
    pub(super) delivered_ms: i64,
    pub(super) deliveries: i64,
}

#[derive(Debug, Default)]
pub(super) struct Consumer {
    pub(super) last_seen_ms: i64,
    pub(super) pending: BTreeSet<StreamId>,
}

impl Group {
    pub(super) fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Self { last_id, entries_read, pending: BTreeMap::new(), consumers: BTreeMap::new(), name_bytes: 0 }
    }

    /// Returns the memory that the group takes, without its name.
    pub(super) fn bytes(&self) -> usize {
        GROUP_BYTES + self.pending.len() * PENDING_BYTES + self.consumers.len() * CONSUMER_BYTES + self.name_bytes
    }

    /// Records that a consumer sent a command, and creates it if necessary. Returns its name as the group shares it.
    pub(super) fn touch_consumer(&mut self, name: &[u8], now_ms: i64) -> Bytes {
        let known = self.consumers.get_key_value(name).map(|(name, _)| name.clone());
        let name = known.unwrap_or_else(|| {
            self.name_bytes += name.len();
            Bytes::copy_from_slice(name)
        });
        self.consumers.entry(name.clone()).or_default().last_seen_ms = now_ms;
        name
    }

    /// Removes a consumer with its pending entries. Returns their number.
    pub(super) fn delete_consumer(&mut self, name: &[u8]) -> usize {
        let Some(consumer) = self.consumers.remove(name) else { return 0 };
        self.name_bytes -= name.len();
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        consumer.pending.len()
    }

    /// Makes `pending` the state of `id`, and removes it from its former consumer.
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

    /// Removes a pending entry. Returns whether it was pending.
    pub(super) fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        if let Some(consumer) = self.consumers.get_mut(&pending.consumer) {
            consumer.pending.remove(&id);
        }
        true
    }

    /// Returns the first pending entry from `start` on.
    pub(super) fn pending_from(&self, start: Bound<StreamId>) -> Option<StreamId> {
        self.pending.range((start, Bound::Unbounded)).next().map(|(id, _)| *id)
    }

    /// Moves the group on to `id`, and updates the number of entries read.
    pub(super) fn advance(&mut self, id: StreamId, log: &EntryLog) {
        if id <= self.last_id {
            return;
        }
        match &mut self.entries_read {
            Some(read) if !may_have_deletions(log, id) => *read += 1,
            _ if log.added > 0 => self.entries_read = added_up_to(log, id),
            _ => {}
        }
        self.last_id = id;
    }

    /// Returns the number of entries that are not delivered yet, if known.
    pub(super) fn lag(&self, log: &EntryLog) -> Option<i64> {
        if log.added == 0 {
            return Some(0);
        }
        let read = match self.entries_read {
            Some(read) if !may_have_deletions(log, self.last_id) => Some(read),
            _ => added_up_to(log, self.last_id),
        };
        read.map(|read| (log.added as i64).wrapping_sub(read as i64))
    }
}

/// Returns whether an entry at or after `start` may have been deleted from between others: Redis's
/// `streamRangeHasTombstones`.
fn may_have_deletions(log: &EntryLog, start: StreamId) -> bool {
    log.len > 0
        && log.max_deleted_id != StreamId::START
        && log.first_id() <= log.max_deleted_id
        && start <= log.max_deleted_id
}

/// Returns the number of entries ever added up to `id`, if known: Redis's `streamEstimateDistanceFromFirstEverEntry`.
fn added_up_to(log: &EntryLog, id: StreamId) -> Option<u64> {
    if log.added == 0 {
        return Some(0);
    }
    if log.len == 0 && id <= log.last_id {
        return Some(log.added);
    }
    if id >= log.last_id {
        return (id == log.last_id).then_some(log.added);
    }
    let is_complete = log.max_deleted_id == StreamId::START || log.max_deleted_id < log.first_id();
    match id.cmp(&log.first_id()) {
        Ordering::Less if is_complete => Some(log.added.wrapping_sub(log.len)),
        Ordering::Equal if is_complete => Some(log.added.wrapping_sub(log.len) + 1),
        _ => None,
    }
}
