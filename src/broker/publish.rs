//! From a PUBLISH to the queues of those who listen.

use std::sync::Arc;

use bytes::Bytes;

use crate::broker::client::Client;
use crate::broker::subscriptions::Routes;
use crate::resp::encode::push_decimal;

/// Where a run of messages is cut, so that queues hold pieces of a size that is written at once.
pub(super) const RUN_BYTES_MAX: usize = 64 * 1024;

/// The way of messages from one channel to those who subscribed to it by one name: their bytes are encoded once for
/// each protocol version in use and shared by all.
#[derive(Debug)]
pub(super) struct Path<'a> {
    subscribers: &'a [Arc<Client>],
    /// What comes before the payload, save the first byte, in which alone the two versions differ.
    head: Vec<u8>,
    resp2: Option<Vec<u8>>,
    resp3: Option<Vec<u8>>,
}

impl<'a> Path<'a> {
    /// `pattern` is `None` for those who subscribed to the channel itself.
    pub(super) fn new(pattern: Option<&[u8]>, channel: &[u8], subscribers: &'a [Arc<Client>]) -> Self {
        let mut head = Vec::with_capacity(48 + channel.len() + pattern.map_or(0, <[u8]>::len));
        if let Some(pattern) = pattern {
            head.extend_from_slice(b"4\r\n$8\r\npmessage\r\n");
            push_bulk(&mut head, pattern);
        } else {
            head.extend_from_slice(b"3\r\n$7\r\nmessage\r\n");
        }
        push_bulk(&mut head, channel);
        let has = |resp3| subscribers.iter().any(|client| client.is_resp3() == resp3).then(Vec::new);
        Self { subscribers, head, resp2: has(false), resp3: has(true) }
    }

    /// Adds a message. Returns whether the run is long enough to be sent.
    pub(super) fn add(&mut self, payload: &[u8]) -> bool {
        let mut is_full = false;
        for (kind, out) in [(b'*', &mut self.resp2), (b'>', &mut self.resp3)] {
            let Some(out) = out else { continue };
            // A payload's length has at most 8 digits.
            out.reserve(1 + self.head.len() + 13 + payload.len());
            out.push(kind);
            out.extend_from_slice(&self.head);
            push_bulk(out, payload);
            is_full |= out.len() >= RUN_BYTES_MAX;
        }
        is_full
    }

    /// Queues what was added with every subscriber, and starts over.
    pub(super) fn send(&mut self) {
        let [resp2, resp3] =
            [&mut self.resp2, &mut self.resp3].map(|run| run.as_mut().map(std::mem::take).map(Bytes::from));
        for client in self.subscribers {
            match if client.is_resp3() { &resp3 } else { &resp2 } {
                Some(run) if !run.is_empty() => client.outbox.push(run.clone(), true),
                _ => {}
            }
        }
    }
}

/// Delivers one message to all, in Redis's order: first those who subscribed to the channel, then pattern by pattern.
/// Returns the number of deliveries, which counts a client once for each of its names that matches.
pub(super) fn publish_one(routes: &Routes, channel: &[u8], payload: &[u8]) -> usize {
    let direct = routes.direct(channel);
    let mut receivers = direct.len();
    if !direct.is_empty() {
        deliver(Path::new(None, channel, direct), payload);
    }
    for (pattern, subscribers) in routes.matching(channel) {
        receivers += subscribers.len();
        deliver(Path::new(Some(pattern), channel, subscribers), payload);
    }
    receivers
}

fn deliver(mut path: Path<'_>, payload: &[u8]) {
    path.add(payload);
    path.send();
}

/// The only path from `channel`, with the number of its receivers, or `None` if there are several. Along one path a run
/// of messages may be sent in one piece; with several, a client on two of them must get them message by message.
pub(super) fn only_path<'a>(routes: &'a Routes, channel: &'a [u8]) -> Option<(Option<Path<'a>>, usize)> {
    let direct = routes.direct(channel);
    let mut matching = routes.matching(channel);
    match (direct, matching.next(), matching.next()) {
        ([], None, _) => Some((None, 0)),
        (_, None, _) => Some((Some(Path::new(None, channel, direct)), direct.len())),
        ([], Some((pattern, subscribers)), None) => {
            Some((Some(Path::new(Some(pattern), channel, subscribers)), subscribers.len()))
        }
        _ => None,
    }
}

fn push_bulk(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'$');
    push_decimal(out, value.len());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
