//! Clients that wait for entries: XREAD and XREADGROUP with BLOCK.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::broker::client::Client;
use crate::broker::streams::read::{give, read, stream_head};
use crate::broker::streams::{Keyspace, Refusal};
use crate::model::StreamId;
use crate::resp::encode::Encoder;

/// Memory for what all clients together wait for. It is enough for each of a thousand clients to wait for hundreds of
/// streams; a client that would go beyond is refused.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What waiting for one stream costs beside its key.
const WAIT_BYTES: usize = 256;

/// What a client waits for.
#[derive(Debug)]
pub(in crate::broker) struct Wait {
    /// 0 for ever.
    pub(in crate::broker) timeout_ms: i64,
    pub(super) count: usize,
    pub(super) group: Option<GroupWait>,
    /// Keys, each with the id that an entry must be greater than; for a group that is not looked at.
    pub(super) streams: Vec<(Bytes, StreamId)>,
}

#[derive(Debug)]
pub(super) struct GroupWait {
    pub(super) group: Bytes,
    pub(super) consumer: Bytes,
    pub(super) no_ack: bool,
}

/// All who wait.
#[derive(Debug, Default)]
pub(in crate::broker) struct Waiting {
    /// By ticket, which counts up: whoever came first is served first.
    clients: BTreeMap<u64, (Arc<Client>, Wait)>,
    keys: BTreeMap<Bytes, Waiters>,
    /// Keys to be looked at once the command, or the transaction, is done.
    ready: VecDeque<Bytes>,
    tickets: u64,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Waiters {
    /// Tickets, each with the id that an entry must be greater than.
    after: BTreeMap<u64, StreamId>,
    is_ready: bool,
}

impl Waiting {
    /// How many clients wait.
    pub(in crate::broker) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Enters a client, which has flushed its earlier replies and reads no more commands until its ticket is gone.
    pub(in crate::broker) fn enter(&mut self, client: &Arc<Client>, wait: Wait) -> Result<(), Refusal> {
        let bytes = wait.bytes();
        if self.bytes + bytes > WAITING_BYTES_MAX {
            return Err(Refusal::fixed("ERR too many clients wait for too many streams"));
        }
        self.bytes += bytes;
        self.tickets += 1;
        for (key, after) in &wait.streams {
            self.keys.entry(key.clone()).or_default().after.entry(self.tickets).or_insert(*after);
        }
        client.set_ticket(self.tickets);
        self.clients.insert(self.tickets, (Arc::clone(client), wait));
        Ok(())
    }

    /// Takes a client out, if it still waits: for its own task.
    pub(in crate::broker) fn leave(&mut self, client: &Client) -> bool {
        let waits = self.remove(client.ticket()).is_some();
        client.set_ticket(0);
        waits
    }

    /// Ends a client's wait with this reply, if it still waits.
    pub(in crate::broker) fn release(&mut self, client: &Client, reply: impl FnOnce(&mut Encoder)) -> bool {
        let waits = self.remove(client.ticket()).is_some();
        if waits {
            let mut out = encoder(client);
            reply(&mut out);
            send(client, &mut out);
        }
        waits
    }

    /// Notes that a key has changed in a way that may concern those who wait for it.
    pub(super) fn signal(&mut self, key: &[u8]) {
        if self.keys.is_empty() {
            return;
        }
        if let Some(waiters) = self.keys.get_mut(key)
            && !waiters.is_ready
        {
            waiters.is_ready = true;
            self.ready.push_back(Bytes::copy_from_slice(key));
        }
    }

    fn remove(&mut self, ticket: u64) -> Option<(Arc<Client>, Wait)> {
        let (client, wait) = self.clients.remove(&ticket)?;
        self.bytes -= wait.bytes();
        for (key, _) in &wait.streams {
            let Some(waiters) = self.keys.get_mut(key) else { continue };
            waiters.after.remove(&ticket);
            if waiters.after.is_empty() {
                self.keys.remove(key);
            }
        }
        Some((client, wait))
    }
}

impl Wait {
    fn bytes(&self) -> usize {
        let names: usize = self.streams.iter().map(|(key, _)| key.len() + WAIT_BYTES).sum();
        names + self.group.as_ref().map_or(0, |group| group.group.len() + group.consumer.len())
    }
}

impl Keyspace {
    /// Serves those who wait for what the commands before have brought, or taken away.
    pub(in crate::broker) fn serve_waiting(&mut self, now_ms: i64) {
        while let Some(key) = self.waiting.ready.pop_front() {
            let Some(waiters) = self.waiting.keys.get_mut(&key) else { continue };
            waiters.is_ready = false;
            let tickets: Vec<(u64, StreamId)> = waiters.after.iter().map(|(ticket, id)| (*ticket, *id)).collect();
            for (ticket, after) in tickets {
                let Some((client, wait)) = self.waiting.clients.get(&ticket) else { continue };
                let mut out = encoder(client);
                let reply_start = out.len();
                let Some(stream) = self.streams.get_mut(&key) else {
                    if wait.group.is_some() {
                        out.error("UNBLOCKED the stream key no longer exists");
                        self.end_wait(ticket, &mut out);
                    }
                    continue;
                };
                let is_served = match &wait.group {
                    None if stream.log.last_id > after => {
                        stream_head(&mut out, &key);
                        read(&mut out, &stream.log, after, wait.count);
                        true
                    }
                    None => false,
                    Some(reader) => match stream.groups.get_mut(&reader.group) {
                        None => {
                            out.error("NOGROUP the consumer group this client was blocked on no longer exists");
                            self.end_wait(ticket, &mut out);
                            continue;
                        }
                        Some(group) if stream.log.last_id > group.last_id => {
                            let before = group.bytes();
                            stream_head(&mut out, &key);
                            give(&mut out, &stream.log, group, &reader.consumer, wait.count, reader.no_ack, now_ms);
                            self.bytes = self.bytes + group.bytes() - before;
                            true
                        }
                        Some(_) => false,
                    },
                };
                if is_served {
                    out.map_of_arrays_from(reply_start, 1);
                    self.end_wait(ticket, &mut out);
                }
            }
        }
    }

    fn end_wait(&mut self, ticket: u64, out: &mut Encoder) {
        if let Some((client, _)) = self.waiting.remove(ticket) {
            send(&client, out);
        }
    }
}

/// An encoder in the version that the client speaks.
fn encoder(client: &Client) -> Encoder {
    let mut out = Encoder::default();
    out.set_resp3(client.is_resp3());
    out
}

/// Queues a reply and lets the client go on, in this order: its next reply comes behind this one.
fn send(client: &Client, out: &mut Encoder) {
    client.outbox.push(Bytes::from(out.take()), client.is_subscriber());
    client.set_ticket(0);
    client.outbox.nudge();
}
