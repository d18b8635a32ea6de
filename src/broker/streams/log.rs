//! The entries of one stream, in the order of their ids.
//!
//! They lie in nodes, each with one piece of memory for some hundred entries: an id and an offset an entry,
//! and its fields as they will be sent. Where a node ends is what Redis shows by `MAXLEN ~`, which trims
//! whole nodes, and by XINFO; so a node ends here where it would in Redis, by Redis's own measure of its
//! bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::broker::streams::listpack;
use crate::model::StreamId;
use crate::resp::encode::push_decimal;

/// Redis's `stream-node-max-entries`.
pub(in crate::broker) const NODE_ENTRIES_MAX: usize = 100;

/// Redis's `stream-node-max-bytes`.
pub(in crate::broker) const NODE_BYTES_MAX: usize = 4_096;

/// Memory that a node is given at once: what fits Redis's measure takes little more here. What it does not
/// fill is given back when the next node begins.
const NODE_RESERVE_BYTES: usize = 5 * 1_024;

/// What an entry and a node cost beside their bytes.
const SLOT_BYTES: usize = size_of::<Slot>();
const NODE_COST_BYTES: usize = size_of::<Node>() + 64;

/// Fields and values of an entry to be added, in turn.
pub(super) type Pairs<'a> = &'a [&'a [u8]];

/// What is removed from the start of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trim {
    pub(super) to: TrimTo,
    /// Whole nodes only.
    pub(super) is_approximate: bool,
    /// Most entries to remove, if whole nodes are; 0 for no limit.
    pub(super) limit: i64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum TrimTo {
    /// At most so many entries stay.
    Len(u64),
    /// Entries with this id and later ones stay.
    Id(StreamId),
}

/// All entries of a stream, and what it tells of those that it had.
#[derive(Debug, Default)]
pub(super) struct Log {
    nodes: VecDeque<Node>,
    len: u64,
    /// Id of the entry that was added last, whether or not it is still there.
    pub(super) last_id: StreamId,
    /// Id of the first entry there is; zero if there is none.
    first_id: StreamId,
    /// Greatest id that XDEL removed.
    pub(super) max_deleted_id: StreamId,
    /// Entries that were ever added.
    pub(super) added: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Node {
    /// Id of its first entry, be it deleted or not.
    first_id: StreamId,
    /// Field names of its first entry, which Redis keeps but once.
    fields: Arc<[Box<[u8]>]>,
    slots: Vec<Slot>,
    /// The entries' fields and values, each entry as one array of the protocol.
    data: Vec<u8>,
    live: usize,
    /// What it would take in Redis.
    listpack_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    id: StreamId,
    /// Where its bytes end; they begin where those before it end.
    end: u32,
    is_deleted: bool,
}

impl Log {
    /// Entries that are there.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Nodes, which XINFO calls `radix-tree-keys`.
    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The first ids of the nodes, in order.
    pub(super) fn node_ids(&self) -> impl Iterator<Item = StreamId> {
        self.nodes.iter().map(|node| node.first_id)
    }

    /// Id of the first entry; zero if there is none.
    pub(super) fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an entry behind all others; the caller has checked that `id` is greater than any.
    pub(super) fn append(&mut self, id: StreamId, pairs: Pairs<'_>) {
        let payload: usize = pairs.iter().map(|word| word.len()).sum();
        if self.nodes.back().is_none_or(|node| node.is_full(payload)) {
            self.start_node(id, pairs);
        }
        let Some(node) = self.nodes.back_mut() else { return };
        let before = node.bytes();
        node.push(id, pairs);
        self.bytes += node.bytes() - before;
        self.len += 1;
        self.added += 1;
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
    }

    fn start_node(&mut self, id: StreamId, pairs: Pairs<'_>) {
        let fields = match self.nodes.back_mut() {
            Some(last) => {
                let before = last.bytes();
                last.data.shrink_to_fit();
                last.slots.shrink_to_fit();
                self.bytes -= before - last.bytes();
                last.has_fields_of(pairs).then(|| Arc::clone(&last.fields))
            }
            None => None,
        };
        let fields = fields.unwrap_or_else(|| pairs.iter().step_by(2).map(|field| Box::from(*field)).collect());
        let mut node = Node::new(id, fields);
        // A stream that has filled one node will fill the next; one that begins may stay small.
        if !self.nodes.is_empty() {
            node.slots.reserve_exact(NODE_ENTRIES_MAX);
            node.data.reserve_exact(NODE_RESERVE_BYTES);
        }
        self.bytes += node.bytes();
        self.nodes.push_back(node);
    }

    /// Ids and encoded fields of the entries from `start` to `end`, both included.
    pub(super) fn range(
        &self,
        start: StreamId,
        end: StreamId,
    ) -> impl DoubleEndedIterator<Item = (StreamId, &[u8])> + Clone {
        let last = self.nodes.partition_point(|node| node.first_id <= end);
        let first = self.nodes.partition_point(|node| node.first_id <= start).saturating_sub(1).min(last);
        self.nodes.range(first..last).flat_map(move |node| node.range(start, end))
    }

    /// Id of the last entry that is there.
    pub(super) fn last_live_id(&self) -> Option<StreamId> {
        self.nodes
            .iter()
            .rev()
            .find_map(|node| node.slots.iter().rev().find(|slot| !slot.is_deleted))
            .map(|slot| slot.id)
    }

    /// Removes one entry, if it is there.
    pub(super) fn delete(&mut self, id: StreamId) -> bool {
        let Some((at, slot)) = self.find(id) else { return false };
        self.len -= 1;
        if self.nodes[at].live == 1 {
            self.remove_node(at);
        } else {
            self.nodes[at].slots[slot].is_deleted = true;
            self.nodes[at].live -= 1;
        }
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id || self.len == 0 {
            self.find_first();
        }
        true
    }

    /// Removes entries from the start. Returns how many.
    pub(super) fn trim(&mut self, trim: &Trim) -> i64 {
        let mut deleted = 0;
        while let Some(node) = self.nodes.front() {
            let live = node.live as u64;
            if matches!(trim.to, TrimTo::Len(len) if self.len <= len)
                || (trim.limit != 0 && deleted + live as i64 > trim.limit)
            {
                break;
            }
            let is_whole = match trim.to {
                TrimTo::Len(len) => self.len - live >= len,
                TrimTo::Id(id) => node.slots.last().is_none_or(|slot| slot.id < id),
            };
            if is_whole {
                self.remove_node(0);
                self.len -= live;
                deleted += live as i64;
                continue;
            }
            if !trim.is_approximate {
                let excess = match trim.to {
                    TrimTo::Len(len) => self.len - len,
                    TrimTo::Id(_) => u64::MAX,
                };
                let removed = self.nodes.front_mut().map_or(0, |node| node.trim(trim.to, excess));
                self.len -= removed;
                deleted += removed as i64;
            }
            break;
        }
        if deleted > 0 {
            self.find_first();
        }
        deleted
    }

    fn find_first(&mut self) {
        let first = self.nodes.iter().find_map(|node| node.slots.iter().find(|slot| !slot.is_deleted));
        self.first_id = first.map_or(StreamId::START, |slot| slot.id);
    }

    fn find(&self, id: StreamId) -> Option<(usize, usize)> {
        let at = self.nodes.partition_point(|node| node.first_id <= id).checked_sub(1)?;
        let slots = &self.nodes[at].slots;
        let slot = slots.binary_search_by_key(&id, |slot| slot.id).ok()?;
        (!slots[slot].is_deleted).then_some((at, slot))
    }

    fn remove_node(&mut self, at: usize) {
        if let Some(node) = self.nodes.remove(at) {
            self.bytes -= node.bytes();
        }
    }
}

impl Node {
    fn new(first_id: StreamId, fields: Arc<[Box<[u8]>]>) -> Self {
        // Count, deleted, number of fields, the fields, an end mark.
        let numbers = listpack::integer_bytes(1) + 2 * listpack::integer_bytes(0);
        let listpack_bytes = listpack::EMPTY_BYTES
            + numbers
            + listpack::integer_bytes(fields.len() as i64)
            + fields.iter().map(|field| listpack::text_bytes(field)).sum::<usize>();
        Self { first_id, fields, slots: Vec::new(), data: Vec::new(), live: 0, listpack_bytes }
    }

    fn is_full(&self, payload_bytes: usize) -> bool {
        self.listpack_bytes + payload_bytes >= NODE_BYTES_MAX || self.slots.len() >= NODE_ENTRIES_MAX
    }

    fn bytes(&self) -> usize {
        // Names are shared with the nodes before; counted at each, for any of them may be the last one to hold them.
        let names: usize = self.fields.iter().map(|field| size_of::<Box<[u8]>>() + field.len()).sum();
        NODE_COST_BYTES + names + self.data.capacity() + self.slots.capacity() * SLOT_BYTES
    }

    fn has_fields_of(&self, pairs: Pairs<'_>) -> bool {
        self.fields.len() * 2 == pairs.len()
            && self.fields.iter().zip(pairs.iter().step_by(2)).all(|(field, other)| **field == **other)
    }

    fn push(&mut self, id: StreamId, pairs: Pairs<'_>) {
        let same = self.has_fields_of(pairs);
        let fields = pairs.len() as i64 / 2;
        let numbers = if same { fields + 3 } else { 2 * fields + 4 };
        self.listpack_bytes += listpack::integer_bytes(if same { 2 } else { 0 })
            + listpack::integer_bytes(id.ms.wrapping_sub(self.first_id.ms) as i64)
            + listpack::integer_bytes(id.seq.wrapping_sub(self.first_id.seq) as i64)
            + listpack::integer_bytes(numbers);
        if !same {
            self.listpack_bytes += listpack::integer_bytes(fields);
        }
        self.data.push(b'*');
        push_decimal(&mut self.data, pairs.len());
        self.data.extend_from_slice(b"\r\n");
        for (index, word) in pairs.iter().enumerate() {
            if index % 2 == 1 || !same {
                self.listpack_bytes += listpack::text_bytes(word);
            }
            self.data.push(b'$');
            push_decimal(&mut self.data, word.len());
            self.data.extend_from_slice(b"\r\n");
            self.data.extend_from_slice(word);
            self.data.extend_from_slice(b"\r\n");
        }
        self.slots.push(Slot { id, end: self.data.len() as u32, is_deleted: false });
        self.live += 1;
    }

    fn range(&self, start: StreamId, end: StreamId) -> impl DoubleEndedIterator<Item = (StreamId, &[u8])> + Clone {
        let last = self.slots.partition_point(|slot| slot.id <= end);
        let first = self.slots.partition_point(|slot| slot.id < start).min(last);
        (first..last).filter(|at| !self.slots[*at].is_deleted).map(|at| {
            let from = at.checked_sub(1).map_or(0, |before| self.slots[before].end);
            (self.slots[at].id, &self.data[from as usize..self.slots[at].end as usize])
        })
    }

    /// Marks its first entries as deleted, `excess` at most.
    fn trim(&mut self, to: TrimTo, excess: u64) -> u64 {
        let mut removed = 0;
        for slot in &mut self.slots {
            if removed == excess || matches!(to, TrimTo::Id(id) if slot.id >= id) {
                break;
            }
            if !slot.is_deleted {
                slot.is_deleted = true;
                removed += 1;
            }
        }
        self.live -= removed as usize;
        removed
    }
}

#[cfg(test)]
mod tests {
    use crate::broker::streams::log::*;

    fn log(entries: u64) -> Log {
        let mut log = Log::default();
        for ms in 1..=entries {
            log.append(StreamId { ms, seq: 0 }, &[b"tick", b"x"]);
        }
        log
    }

    fn ids(log: &Log, start: u64, end: u64) -> Vec<u64> {
        let id = |ms| StreamId { ms, seq: 0 };
        log.range(id(start), id(end)).map(|(id, _)| id.ms).collect()
    }

    #[test]
    fn ranges_cross_nodes_and_leave_out_what_is_deleted() {
        let mut log = log(250);
        assert_eq!(log.nodes(), 3);
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
    fn memory_is_given_back() {
        let mut log = log(1_000);
        assert!(log.bytes() > 0);
        let trim = Trim { to: TrimTo::Len(150), is_approximate: true, limit: 0 };
        assert_eq!((log.trim(&trim), log.len(), log.first_id().ms), (800, 200, 801));
        let trim = Trim { to: TrimTo::Len(150), is_approximate: false, limit: 0 };
        assert_eq!((log.trim(&trim), log.len(), log.first_id().ms), (50, 150, 851));
        for ms in 851..=1_000 {
            assert!(log.delete(StreamId { ms, seq: 0 }));
        }
        assert_eq!((log.bytes(), log.nodes(), log.len()), (0, 0, 0));
        assert_eq!(log.first_id(), StreamId::START);
    }
}
