//! What a subscription's socket brings: bytes, and the messages in them, which are handed on where they lie.

use std::io;

use tokio::io::AsyncReadExt;

use crate::client::connector::Transport;
use crate::client::subscriber::Feed;
use crate::resp::push::{FRAME_BYTES_MAX, Frame, NotResp, read_frame};

/// The read buffer to begin with: a few thousand ticks, so that a flood is taken in large batches.
const BUFFER_BYTES: usize = 256 << 10;

/// More bytes than this in reads that each found more than they could take mean that the reader has fallen behind.
const BACKLOG_BYTES: usize = 2 * BUFFER_BYTES;

/// Something that came over a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// One published message.
    Message(&'a [u8]),
    /// A message that was too long to be held; it was skipped.
    TooLong,
}

/// What one read of the socket completed. The messages lie where the socket's bytes were read to.
pub struct Delivery<'a> {
    /// What is not understood yet.
    rest: &'a [u8],
    messages: u64,
    /// Bytes of a message that is too long, behind the end of the buffer.
    skip: usize,
    outcome: Result<(), NotResp>,
    reply: &'a mut dyn FnMut(&Frame<'_>),
}

impl<'a> Iterator for Delivery<'a> {
    type Item = Incoming<'a>;

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
                Frame::Message(payload) => {
                    self.messages += 1;
                    return Some(Incoming::Message(payload));
                }
                Frame::TooLong => return Some(Incoming::TooLong),
                other => (self.reply)(&other),
            }
        }
    }
}

/// The bytes that were read and not yet understood.
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    pub(super) filled: usize,
    /// Bytes of a message that was too long, still to be thrown away.
    skip: usize,
    /// Messages since the connection was opened.
    pub(super) messages: u64,
    /// Bytes of the reads of late that each found more than they could take, and of the one after them.
    backlog: usize,
    /// The last read was such a one.
    brimful: bool,
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BUFFER_BYTES], filled: 0, skip: 0, messages: 0, backlog: 0, brimful: false }
    }

    pub(super) fn clear(&mut self) {
        (self.filled, self.skip, self.messages) = (0, 0, 0);
        (self.backlog, self.brimful) = (0, false);
    }

    /// Reads once; zero bytes mean the end of the stream. The buffer grows up to one longest frame.
    pub(super) async fn read(&mut self, stream: &mut dyn Transport) -> io::Result<usize> {
        if self.filled == FRAME_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a reply is too long to be held"));
        }
        if self.filled == self.bytes.len() {
            let grown = (self.bytes.len() * 2).min(FRAME_BYTES_MAX);
            self.bytes.resize(grown, 0);
        }
        let read = stream.read(&mut self.bytes[self.filled..]).await?;
        self.filled += read;
        if read > 0 {
            self.backlog = if self.brimful { self.backlog + read } else { read };
            self.brimful = self.filled == self.bytes.len();
        }
        Ok(read)
    }

    /// At the end of a connection: whether the server had more to send. What it has not sent yet when it closes goes
    /// missing, so such a stream ends within a frame, or at least after a long backlog.
    pub(super) fn is_torn(&self) -> bool {
        self.filled > 0 || self.skip > 0 || self.backlog > BACKLOG_BYTES
    }

    /// Takes every whole frame, hands messages to `feed` and the rest to `reply`.
    pub(super) fn drain(&mut self, feed: &mut impl Feed, mut reply: impl FnMut(&Frame<'_>)) -> Result<(), NotResp> {
        let skipped = self.skip.min(self.filled);
        self.skip -= skipped;
        let rest = &self.bytes[skipped..self.filled];
        let mut delivery = Delivery { rest, messages: 0, skip: self.skip, outcome: Ok(()), reply: &mut reply };
        feed.take(&mut delivery);
        delivery.by_ref().for_each(drop);
        let Delivery { rest, messages, skip, outcome, .. } = delivery;
        let taken = self.filled - rest.len();
        self.messages += messages;
        self.skip = skip;
        // Of a message that comes in many reads, nothing is moved until it is whole.
        if taken > 0 {
            self.bytes.copy_within(taken..self.filled, 0);
            self.filled -= taken;
        }
        if self.filled < BUFFER_BYTES && self.bytes.len() > BUFFER_BYTES {
            self.bytes.truncate(BUFFER_BYTES);
            self.bytes.shrink_to_fit();
        }
        outcome
    }
}
