//! Read buffer of a subscription, and the messages in it.

use std::io;

use tokio::io::AsyncReadExt;

use crate::client::subscriber::MessageHandler;
use crate::client::transport::Transport;
use crate::resp::push::{Frame, read_frame};
use crate::resp::scanner::{FRAME_BYTES_MAX, NotResp};

/// Initial size of the buffer: a few thousand ticks, so that a burst is processed in large batches.
const BUFFER_BYTES: usize = 256 << 10;

/// Bytes read in consecutive reads that filled the buffer, above which the reader has fallen behind.
const BACKLOG_BYTES: usize = 2 * BUFFER_BYTES;

/// A message of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// A published message, or an entry of a stream.
    Payload {
        /// Name of the channel or stream.
        channel: &'a [u8],
        /// Content of the message.
        payload: &'a [u8],
    },
    /// A message that exceeded the limit and was skipped.
    TooLong,
}

/// Iterator over the messages that one read of the socket completed, borrowed from the read buffer.
pub struct MessageBatch<'a> {
    /// Bytes not yet decoded.
    rest: &'a [u8],
    has_messages: bool,
    /// Bytes of an oversized message that are yet to be read.
    skip: usize,
    outcome: Result<(), NotResp>,
    on_reply: &'a mut dyn FnMut(&Frame<'_>),
}

impl<'a> Iterator for MessageBatch<'a> {
    type Item = Message<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (frame, length) = match read_frame(self.rest) {
                Ok(found) => found?,
                Err(error) => {
                    self.outcome = Err(error);
                    return None;
                }
            };
            self.skip = length.saturating_sub(self.rest.len());
            self.rest = self.rest.get(length..).unwrap_or_default();
            match frame {
                Frame::Message { channel, payload } => {
                    self.has_messages = true;
                    return Some(Message::Payload { channel, payload });
                }
                Frame::TooLong => return Some(Message::TooLong),
                other => (self.on_reply)(&other),
            }
        }
    }
}

/// Read buffer of a subscription.
pub(super) struct MessageBuffer {
    bytes: Vec<u8>,
    /// Number of bytes read and not yet decoded.
    filled: usize,
    /// Bytes of an oversized message that are yet to be discarded.
    skip: usize,
    /// Bytes of the latest consecutive reads that filled the buffer, and of the read after them.
    backlog: usize,
    /// The last read filled the buffer.
    was_full: bool,
}

impl MessageBuffer {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BUFFER_BYTES], filled: 0, skip: 0, backlog: 0, was_full: false }
    }

    pub(super) fn clear(&mut self) {
        (self.filled, self.skip, self.backlog, self.was_full) = (0, 0, 0, false);
    }

    /// Reads once; zero bytes mean the end of the stream. The buffer grows up to the longest frame.
    pub(super) async fn read(&mut self, stream: &mut dyn Transport) -> io::Result<usize> {
        if self.filled == FRAME_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a reply is too long to be held"));
        }
        if self.filled == self.bytes.len() {
            let grown = (self.bytes.len() * 2).min(FRAME_BYTES_MAX);
            self.bytes.resize(grown, 0);
        }
        let read = match stream.read(&mut self.bytes[self.filled..]).await {
            // Redis closes an encrypted connection without TLS's `close_notify`. A truncated frame is detected anyway.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            read => read?,
        };
        self.filled += read;
        if read > 0 {
            self.backlog = if self.was_full { self.backlog + read } else { read };
            self.was_full = self.filled == self.bytes.len();
        }
        Ok(read)
    }

    /// At the end of a connection, returns true if the server had more to send. A server that disconnects a client
    /// discards the rest of its output, so the stream ends within a frame, or at least after a long backlog.
    pub(super) fn is_truncated(&self) -> bool {
        self.filled > 0 || self.skip > 0 || self.backlog > BACKLOG_BYTES
    }

    /// Decodes all complete frames. Passes messages to `handler` and other frames to `on_reply`. Returns true if there
    /// were messages.
    pub(super) fn drain(
        &mut self,
        handler: &mut impl MessageHandler,
        mut on_reply: impl FnMut(&Frame<'_>),
    ) -> Result<bool, NotResp> {
        let skipped = self.skip.min(self.filled);
        let mut batch = MessageBatch {
            rest: &self.bytes[skipped..self.filled],
            has_messages: false,
            skip: self.skip - skipped,
            outcome: Ok(()),
            on_reply: &mut on_reply,
        };
        handler.on_messages(&mut batch);
        batch.by_ref().for_each(drop);
        let MessageBatch { rest, has_messages, skip, outcome, .. } = batch;
        let decoded = self.filled - rest.len();
        self.skip = skip;
        // An incomplete message is not moved until it is complete.
        if decoded > 0 {
            self.bytes.copy_within(decoded..self.filled, 0);
            self.filled -= decoded;
        }
        if self.filled < BUFFER_BYTES && self.bytes.len() > BUFFER_BYTES {
            self.bytes.truncate(BUFFER_BYTES);
            self.bytes.shrink_to_fit();
        }
        outcome.map(|()| has_messages)
    }
}
