//! Delivery of published messages to the output buffers of subscribers.

use std::sync::Arc;

use bytes::Bytes;

use crate::broker::client::Client;
use crate::broker::subscriptions::Subscriptions;
use crate::resp::encode::push_bulk;

/// Size at which a batch of messages is sent, so that output buffers hold pieces that one write takes.
const BATCH_BYTES_MAX: usize = 64 * 1024;

/// Messages to the subscribers of one channel or pattern. They are encoded once for each protocol version in use, and
/// all subscribers share the encoded bytes.
#[derive(Debug)]
pub(super) struct PublishBatch<'a> {
    subscribers: &'a [Arc<Client>],
    /// Bytes that precede the payload, without the first byte, in which alone the protocol versions differ.
    head: Vec<u8>,
    resp2: Option<Vec<u8>>,
    resp3: Option<Vec<u8>>,
}

impl<'a> PublishBatch<'a> {
    /// Starts a batch of messages to `channel`, and returns it with the number of its receivers. Returns `None` if the
    /// channel is subscribed to by several names: a client with two of them gets its messages one by one, in order.
    pub(super) fn new(subscriptions: &'a Subscriptions, channel: &'a [u8]) -> Option<(Self, usize)> {
        let mut receivers = subscriptions.receivers(channel);
        let (pattern, subscribers) = receivers.next().unwrap_or_default();
        receivers.next().is_none().then(|| (Self::to(pattern, channel, subscribers), subscribers.len()))
    }

    /// Starts a batch to subscribers of `channel` itself, or of `pattern`.
    fn to(pattern: Option<&Bytes>, channel: &[u8], subscribers: &'a [Arc<Client>]) -> Self {
        let mut head = Vec::with_capacity(48 + channel.len() + pattern.map_or(0, Bytes::len));
        let kind = if pattern.is_some() { "4\r\n$8\r\npmessage\r\n" } else { "3\r\n$7\r\nmessage\r\n" };
        head.extend_from_slice(kind.as_bytes());
        pattern.map(|pattern| &**pattern).into_iter().chain([channel]).for_each(|name| push_bulk(&mut head, name));
        let has = |resp3| subscribers.iter().any(|client| client.is_resp3() == resp3).then(Vec::new);
        Self { subscribers, head, resp2: has(false), resp3: has(true) }
    }

    /// Adds a message. Returns whether the batch has reached its size.
    pub(super) fn add(&mut self, payload: &[u8]) -> bool {
        let mut is_full = false;
        for (kind, out) in [(b'*', &mut self.resp2), (b'>', &mut self.resp3)] {
            let Some(out) = out else { continue };
            // The length of a payload has at most 8 digits.
            out.reserve(1 + self.head.len() + 13 + payload.len());
            out.push(kind);
            out.extend_from_slice(&self.head);
            push_bulk(out, payload);
            is_full |= out.len() >= BATCH_BYTES_MAX;
        }
        is_full
    }

    /// Puts the messages into the output buffer of every subscriber.
    pub(super) fn send(self) {
        let (resp2, resp3) = (self.resp2.map(Bytes::from), self.resp3.map(Bytes::from));
        for client in self.subscribers {
            if let Some(messages) = if client.is_resp3() { &resp3 } else { &resp2 } {
                client.output.push(messages.clone(), true);
            }
        }
    }
}

/// Delivers one message in Redis's order: to the subscribers of the channel, then pattern by pattern. Returns the
/// number of deliveries, which counts a client once for each of its names that match.
pub(super) fn publish_one(subscriptions: &Subscriptions, channel: &[u8], payload: &[u8]) -> usize {
    let mut deliveries = 0;
    for (pattern, subscribers) in subscriptions.receivers(channel) {
        let mut batch = PublishBatch::to(pattern, channel, subscribers);
        batch.add(payload);
        batch.send();
        deliveries += subscribers.len();
    }
    deliveries
}
