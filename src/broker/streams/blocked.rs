//! Clients that wait for entries: XREAD and XREADGROUP with BLOCK.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::broker::client::Client;
use crate::broker::streams::{CommandError, CommandResult};
use crate::model::StreamId;
use crate::resp::encode::Encoder;

/// Memory for the blocked reads of all clients: enough for each of a thousand clients to wait for hundreds of streams.
const BLOCKED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Memory of a blocked read for each stream, besides the key.
const STREAM_BYTES: usize = 256;

/// Arguments of XREAD and XREADGROUP.
#[derive(Debug)]
pub(in crate::broker) struct ReadRequest {
    /// Milliseconds to wait for entries, 0 for no timeout; `None` not to wait.
    pub(in crate::broker) block_ms: Option<i64>,
    pub(super) count: usize,
    pub(super) reader: Option<GroupReader>,
    /// Keys, each with the id after which to read.
    pub(super) streams: Vec<(Bytes, StreamId)>,
}

/// The consumer that reads for a group.
#[derive(Debug)]
pub(super) struct GroupReader {
    pub(super) group: Bytes,
    pub(super) consumer: Bytes,
    pub(super) no_ack: bool,
}

/// All blocked reads, by an id that counts up: reads are served in the order in which they blocked.
#[derive(Debug, Default)]
pub(in crate::broker) struct BlockedReads {
    reads: BTreeMap<u64, BlockedRead>,
    keys: BTreeMap<Bytes, BlockedKey>,
    /// Keys to check once the current command or transaction is done.
    signaled: VecDeque<Bytes>,
    next_id: u64,
    bytes: usize,
}

type BlockedRead = (Arc<Client>, Arc<ReadRequest>);

#[derive(Debug, Default)]
struct BlockedKey {
    /// Ids of reads, each with the id after which to read.
    reads: BTreeMap<u64, StreamId>,
    is_signaled: bool,
}

impl BlockedReads {
    /// Returns the number of blocked clients.
    pub(in crate::broker) fn len(&self) -> usize {
        self.reads.len()
    }

    /// Blocks a client, which has flushed its earlier replies and handles no commands until it is unblocked.
    pub(in crate::broker) fn insert(&mut self, client: &Arc<Client>, read: ReadRequest) -> CommandResult {
        if self.bytes + read.bytes() > BLOCKED_BYTES_MAX {
            return Err(CommandError::text("ERR too many clients wait for too many streams"));
        }
        self.bytes += read.bytes();
        self.next_id += 1;
        for (key, after) in &read.streams {
            self.keys.entry(key.clone()).or_default().reads.entry(self.next_id).or_insert(*after);
        }
        client.set_block_id(self.next_id);
        self.reads.insert(self.next_id, (Arc::clone(client), Arc::new(read)));
        Ok(())
    }

    /// Unblocks a client without a reply. Returns whether it was blocked. Only the client's own task calls this.
    pub(in crate::broker) fn remove_client(&mut self, client: &Client) -> bool {
        let was_blocked = self.remove(client.block_id()).is_some();
        client.set_block_id(0);
        was_blocked
    }

    /// Marks a key as changed, if a read waits for it.
    pub(super) fn signal(&mut self, key: &[u8]) {
        if let Some(blocked) = self.keys.get_mut(key)
            && !blocked.is_signaled
        {
            blocked.is_signaled = true;
            self.signaled.push_back(Bytes::copy_from_slice(key));
        }
    }

    /// Returns the next changed key, with the reads that wait for it and the ids after which they read.
    pub(super) fn next_signaled(&mut self) -> Option<(Bytes, Vec<(u64, StreamId)>)> {
        loop {
            let key = self.signaled.pop_front()?;
            let Some(blocked) = self.keys.get_mut(&key) else { continue };
            blocked.is_signaled = false;
            let reads = blocked.reads.iter().map(|(id, after)| (*id, *after)).collect();
            return Some((key, reads));
        }
    }

    /// Returns the client and its read, if it is still blocked.
    pub(super) fn get(&self, id: u64) -> Option<BlockedRead> {
        self.reads.get(&id).cloned()
    }

    /// Sends the reply to a blocked read and unblocks its client.
    pub(super) fn finish(&mut self, id: u64, reply: &mut Encoder) {
        if let Some((client, _)) = self.remove(id) {
            client.output.push(Bytes::from(reply.take()), client.is_subscriber());
            // This order ensures that the client's next reply follows this one.
            client.set_block_id(0);
            client.output.change.notify_one();
        }
    }

    fn remove(&mut self, id: u64) -> Option<BlockedRead> {
        let (client, read) = self.reads.remove(&id)?;
        self.bytes -= read.bytes();
        for (key, _) in &read.streams {
            let Some(blocked) = self.keys.get_mut(key) else { continue };
            blocked.reads.remove(&id);
            if blocked.reads.is_empty() {
                self.keys.remove(key);
            }
        }
        Some((client, read))
    }
}

impl ReadRequest {
    fn bytes(&self) -> usize {
        let names: usize = self.streams.iter().map(|(key, _)| key.len() + STREAM_BYTES).sum();
        names + self.reader.as_ref().map_or(0, |reader| reader.group.len() + reader.consumer.len())
    }
}
