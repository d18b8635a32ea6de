//! Entries of one stream, in the order of their ids.
//!
//! They are stored in nodes, each of which holds up to a hundred entries in one allocation: an id and an offset for
//! each entry, and its fields in the form in which they are sent. `MAXLEN ~` removes whole nodes, as in Redis.

use std::collections::VecDeque;

use crate::broker::streams::id;
use crate::model::StreamId;
use crate::resp::encode::{push_bulk, push_header};

/// Redis's `stream-node-max-entries`.
pub(super) const NODE_ENTRIES_MAX: usize = 100;

/// Size of a node's entries in bytes above which it gets no more: Redis's `stream-node-max-bytes` of 4 kB, plus the
/// overhead of the protocol's encoding. Allocated at once; the rest is freed when the next node begins.
const NODE_BYTES_MAX: usize = 5 * 1_024;

/// Memory that a node takes besides its entries, and that an entry takes besides its bytes.
const NODE_OVERHEAD_BYTES: usize = size_of::<Node>() + 64;
const ENTRY_OVERHEAD_BYTES: usize = size_of::<EntryMeta>();

/// Rule by which entries are removed from the start of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trim {
    pub(super) to: TrimTo,
    /// Removes whole nodes only.
    pub(super) is_approximate: bool,
    /// Most entries to remove, if only whole nodes are; 0 for no limit.
    pub(super) limit: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum TrimTo {
    /// Keeps at most this many entries.
    Len(u64),
    /// Keeps entries with this id and greater ones.
    Id(StreamId),
}

/// All entries of a stream, and the counts that outlast them.
#[derive(Debug, Default)]
pub(super) struct EntryLog {
    nodes: VecDeque<Node>,
    /// Number of entries.
    pub(super) len: u64,
    /// Id of the entry that was added last, even if it was removed since.
    pub(super) last_id: StreamId,
    /// Greatest id that XDEL removed.
    pub(super) max_deleted_id: StreamId,
    /// Number of entries ever added.
    pub(super) added: u64,
    /// Memory that the entries take.
    pub(super) bytes: usize,
}

#[derive(Debug)]
struct Node {
    /// Id of the first entry, even if it is deleted.
    first_id: StreamId,
    entries: Vec<EntryMeta>,
    /// Fields and values, for each entry one array of the protocol.
    data: Vec<u8>,
    live: usize,
}

#[derive(Debug, Clone, Copy)]
struct EntryMeta {
    id: StreamId,
    /// End of the entry's bytes, which start at the end of the previous entry.
    end: u32,
    is_deleted: bool,
}

impl EntryLog {
    /// Returns the id of the first entry; zero if there is none.
    pub(super) fn first_id(&self) -> StreamId {
        self.all().next().map_or(StreamId::START, |(id, _)| id)
    }

    /// Returns the id of the last entry; zero if there is none.
    pub(super) fn last_live_id(&self) -> StreamId {
        self.all().next_back().map_or(StreamId::START, |(id, _)| id)
    }

    /// Returns ids and encoded fields of all entries.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = (StreamId, &[u8])> {
        self.nodes.iter().flat_map(|node| node.range(StreamId::START, id::LAST))
    }

    /// Appends an entry of fields and values in turn. `id` must be greater than all others.
    pub(super) fn append(&mut self, id: StreamId, pairs: &[&[u8]]) {
        let payload_bytes: usize = pairs.iter().map(|word| word.len()).sum();
        if self.nodes.back().is_none_or(|node| node.is_full(payload_bytes)) {
            self.start_node(id);
        }
        let Some(node) = self.nodes.back_mut() else { return };
        let before = node.bytes();
        node.push(id, pairs);
        self.bytes += node.bytes() - before;
        self.len += 1;
        self.added += 1;
        self.last_id = id;
    }

    fn start_node(&mut self, first_id: StreamId) {
        let mut node = Node { first_id, entries: Vec::new(), data: Vec::new(), live: 0 };
        // A stream that has filled a node will fill the next; a new one may stay small.
        if let Some(last) = self.nodes.back_mut() {
            self.bytes -= last.bytes();
            last.data.shrink_to_fit();
            last.entries.shrink_to_fit();
            self.bytes += last.bytes();
            node.entries.reserve_exact(NODE_ENTRIES_MAX);
            node.data.reserve_exact(NODE_BYTES_MAX);
        }
        self.bytes += node.bytes();
        self.nodes.push_back(node);
    }

    /// Returns ids and encoded fields of the entries after `id`.
    pub(super) fn after(&self, id: StreamId) -> impl Iterator<Item = (StreamId, &[u8])> {
        id::next(id).into_iter().flat_map(|start| self.range(start, id::LAST))
    }

    /// Returns ids and encoded fields of the entries from `start` to `end`, both included.
    pub(super) fn range(&self, start: StreamId, end: StreamId) -> impl DoubleEndedIterator<Item = (StreamId, &[u8])> {
        let last = self.nodes.partition_point(|node| node.first_id <= end);
        let first = self.nodes.partition_point(|node| node.first_id <= start).saturating_sub(1).min(last);
        self.nodes.range(first..last).flat_map(move |node| node.range(start, end))
    }

    /// Removes one entry. Returns whether it existed.
    pub(super) fn delete(&mut self, id: StreamId) -> bool {
        let Some(node) = self.nodes.partition_point(|node| node.first_id <= id).checked_sub(1) else { return false };
        let Ok(entry) = self.nodes[node].entries.binary_search_by_key(&id, |entry| entry.id) else { return false };
        if self.nodes[node].entries[entry].is_deleted {
            return false;
        }
        self.remove_entry(node, entry);
        self.max_deleted_id = self.max_deleted_id.max(id);
        true
    }

    /// Removes entries from the start. Returns their number.
    pub(super) fn trim(&mut self, trim: &Trim) -> u64 {
        let len_before = self.len;
        while let Some(node) = self.nodes.front() {
            let Some(first) = node.entries.iter().position(|entry| !entry.is_deleted) else { break };
            let live = node.live as u64;
            let (is_done, is_whole) = match trim.to {
                TrimTo::Len(len) => (self.len <= len, self.len - live >= len),
                TrimTo::Id(id) => (node.entries[first].id >= id, node.entries.last().is_none_or(|entry| entry.id < id)),
            };
            let is_limit = trim.limit != 0 && len_before - self.len + live > trim.limit;
            if is_done || is_limit || (trim.is_approximate && !is_whole) {
                break;
            }
            if is_whole {
                self.remove_node(0);
            } else {
                self.remove_entry(0, first);
            }
        }
        len_before - self.len
    }

    fn remove_entry(&mut self, node: usize, entry: usize) {
        if self.nodes[node].live == 1 {
            return self.remove_node(node);
        }
        self.nodes[node].entries[entry].is_deleted = true;
        self.nodes[node].live -= 1;
        self.len -= 1;
    }

    fn remove_node(&mut self, index: usize) {
        if let Some(node) = self.nodes.remove(index) {
            self.bytes -= node.bytes();
            self.len -= node.live as u64;
        }
    }
}

impl Node {
    fn is_full(&self, payload_bytes: usize) -> bool {
        self.data.len() + payload_bytes >= NODE_BYTES_MAX || self.entries.len() >= NODE_ENTRIES_MAX
    }

    fn bytes(&self) -> usize {
        NODE_OVERHEAD_BYTES + self.data.capacity() + self.entries.capacity() * ENTRY_OVERHEAD_BYTES
    }

    fn push(&mut self, id: StreamId, pairs: &[&[u8]]) {
        push_header(&mut self.data, b'*', pairs.len());
        for word in pairs {
            push_bulk(&mut self.data, word);
        }
        self.entries.push(EntryMeta { id, end: self.data.len() as u32, is_deleted: false });
        self.live += 1;
    }

    fn range(&self, start: StreamId, end: StreamId) -> impl DoubleEndedIterator<Item = (StreamId, &[u8])> {
        let last = self.entries.partition_point(|entry| entry.id <= end);
        let first = self.entries.partition_point(|entry| entry.id < start).min(last);
        (first..last).filter(|index| !self.entries[*index].is_deleted).map(|index| {
            let from = index.checked_sub(1).map_or(0, |previous| self.entries[previous].end);
            let entry = self.entries[index];
            (entry.id, &self.data[from as usize..entry.end as usize])
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::broker::streams::entry_log::*;

    fn log(entries: u64) -> EntryLog {
        let mut log = EntryLog::default();
        for ms in 1..=entries {
            log.append(StreamId { ms, seq: 0 }, &[b"tick", b"x"]);
        }
        log
    }

    fn ids(log: &EntryLog, start: u64, end: u64) -> Vec<u64> {
        let id = |ms| StreamId { ms, seq: 0 };
        log.range(id(start), id(end)).map(|(id, _)| id.ms).collect()
    }

    #[test]
    fn ranges_cross_nodes_and_omit_deleted_entries() {
        let mut log = log(250);
        assert_eq!(log.nodes.len(), 3);
        assert_eq!(ids(&log, 99, 102), [99, 100, 101, 102]);
        assert_eq!(ids(&log, 0, 1_000).len(), 250);
        assert!(ids(&log, 5, 4).is_empty() && ids(&log, 251, 300).is_empty() && ids(&log, 0, 0).is_empty());
        assert!(log.delete(StreamId { ms: 101, seq: 0 }) && !log.delete(StreamId { ms: 101, seq: 0 }));
        assert_eq!(ids(&log, 100, 102), [100, 102]);
        assert_eq!(
            log.range(StreamId { ms: 100, seq: 0 }, StreamId { ms: 102, seq: 0 }).next_back().unwrap().0.ms,
            102
        );
        assert_eq!(
            log.range(StreamId::START, StreamId { ms: 1, seq: 0 }).next().unwrap().1,
            b"*2\r\n$4\r\ntick\r\n$1\r\nx\r\n"
        );
    }

    #[test]
    fn nodes_are_bounded_in_bytes_as_well() {
        let mut log = EntryLog::default();
        for ms in 1..=40 {
            log.append(StreamId { ms, seq: 0 }, &[b"tick", &[b'x'; 1_000]]);
        }
        assert_eq!(log.nodes.len(), 8);
        let trim = Trim { to: TrimTo::Len(12), is_approximate: true, limit: 0 };
        assert_eq!((log.trim(&trim), log.len), (25, 15));
    }

    #[test]
    fn memory_is_freed() {
        let mut log = log(1_000);
        assert!(log.bytes > 0);
        let trim = Trim { to: TrimTo::Len(150), is_approximate: true, limit: 0 };
        assert_eq!((log.trim(&trim), log.len, log.first_id().ms), (800, 200, 801));
        let trim = Trim { to: TrimTo::Len(150), is_approximate: false, limit: 0 };
        assert_eq!((log.trim(&trim), log.len, log.first_id().ms), (50, 150, 851));
        for ms in 851..=1_000 {
            assert!(log.delete(StreamId { ms, seq: 0 }));
        }
        assert_eq!((log.bytes, log.nodes.len(), log.len), (0, 0, 0));
        assert_eq!(log.first_id(), StreamId::START);
    }
}
