//! One connection that publishes: requests packed into one buffer, replies counted as they come.
//!
//! The redis crate packs the commands, but its connection is not used here. Measured with a pipeline that was packed
//! beforehand, it takes 0.53 us of CPU a message (larger pipelines: 0.52; replies thrown away unread: 0.44), most of it
//! for copies of each command and one heap value a reply, where `redis-benchmark` takes 0.37 us for everything.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use crate::bus::Endpoint;
use crate::bus::cause::Cause;
use crate::bus::dial::Duplex;
use crate::bus::publish::Batch;
use crate::bus::push::{Frame, NotResp, read_frame};
use crate::bus::socket;

/// How long each step of logging in may take. A server may be busy with a slow script for seconds; users are promised
/// to see a loss within three.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Requests packed before they are written: enough that a system call is cheap beside them, and little enough that
/// they stay in the processor's cache.
const REQUESTS_BYTES: usize = 64 << 10;

/// Room for replies: some four thousand numbers, and the longest error by far.
const REPLIES_BYTES: usize = 16 << 10;

/// Name of the connection in `CLIENT LIST`.
const CLIENT_NAME: &str = "tickscope-producer";

/// What a message was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It reached so many subscribers.
    Reached(u64),
    /// The server's words.
    Error(String),
}

/// What a step of logging in was answered.
enum Answer {
    Consent,
    /// The server's words.
    Refusal(String),
}

/// What moved on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// All requests have been written.
    Written,
    /// Replies, or parts of them, came in.
    Read,
    /// The server will say no more.
    Closed,
}

/// Dropping it closes it.
pub(super) struct Connection {
    stream: Box<dyn Duplex>,
    /// What comes before the length of a payload in each request.
    head: Vec<u8>,
    requests: Vec<u8>,
    /// Bytes of `requests` that have been written.
    written: usize,
    /// The stream may hold bytes back.
    unflushed: bool,
    replies: Box<[u8]>,
    /// The part of `replies` that was read and not yet understood.
    from: usize,
    to: usize,
}

impl Connection {
    /// Opens a connection to publish on `channel`, without logging in.
    pub(super) async fn open(endpoint: &Endpoint, channel: &str) -> Result<Self, Cause> {
        let stream = socket::connect(endpoint).await.map_err(|error| Cause::unreachable(endpoint, &error))?;
        Ok(Self {
            stream,
            head: head(channel),
            requests: Vec::with_capacity(REQUESTS_BYTES * 2),
            written: 0,
            unflushed: false,
            replies: vec![0; REPLIES_BYTES].into(),
            from: 0,
            to: 0,
        })
    }

    /// Logs in, and hears the server answer.
    pub(super) async fn log_in(&mut self, endpoint: &Endpoint) -> Result<(), Cause> {
        if let Some(auth) = auth(endpoint)
            && let Some(refusal) = self.ask(endpoint, &auth).await?
        {
            return Err(Cause::refused(endpoint, &refusal));
        }
        let mut name = redis::cmd("CLIENT");
        name.arg("SETNAME").arg(CLIENT_NAME);
        // A courtesy to operators, which an ACL may refuse.
        self.ask(endpoint, &name).await?;
        match self.ask(endpoint, &redis::cmd("PING")).await? {
            // A user who may only publish is refused a PING, by a server that is there.
            Some(refusal) if !refusal.starts_with("NOPERM") => Err(Cause::refused(endpoint, &refusal)),
            _ => Ok(()),
        }
    }

    /// Sends one command and waits for its reply: `None`, or the server's words if it refuses.
    async fn ask(&mut self, endpoint: &Endpoint, command: &redis::Cmd) -> Result<Option<String>, Cause> {
        let dialogue = async {
            self.stream.write_all(&command.get_packed_command()).await?;
            self.stream.flush().await?;
            loop {
                match self.answer() {
                    Err(NotResp) => return Ok(Some(Err(Cause::not_redis(endpoint)))),
                    Ok(Some(Answer::Refusal(text))) => return Ok(Some(Ok(Some(text)))),
                    Ok(Some(Answer::Consent)) => return Ok(Some(Ok(None))),
                    Ok(None) => {}
                }
                if self.exchange().await? == Moved::Closed {
                    return Ok(None);
                }
            }
        };
        match timeout(ANSWER_TIMEOUT, dialogue).await {
            Err(_) => Err(Cause::silent(endpoint)),
            Ok(Err(error)) => Err(Cause::lost(endpoint, &error)),
            Ok(Ok(None)) => Err(Cause::closed(endpoint)),
            Ok(Ok(Some(answer))) => answer,
        }
    }

    /// The next reply of any kind, if it is there whole.
    fn answer(&mut self) -> Result<Option<Answer>, NotResp> {
        let Some((frame, length)) = read_frame(&self.replies[self.from..self.to])? else { return Ok(None) };
        let answer = match frame {
            Frame::Error(text) => Answer::Refusal(String::from_utf8_lossy(text).into_owned()),
            _ => Answer::Consent,
        };
        self.from += length;
        Ok(Some(answer))
    }

    /// Whether there is room for another batch of requests.
    pub(super) fn has_room(&self) -> bool {
        self.requests.len() < REQUESTS_BYTES
    }

    /// Packs a request for each message.
    pub(super) fn pack(&mut self, batch: &Batch) {
        let mut digits = itoa::Buffer::new();
        for payload in batch.payloads() {
            self.requests.extend_from_slice(&self.head);
            self.requests.extend_from_slice(digits.format(payload.len()).as_bytes());
            self.requests.extend_from_slice(b"\r\n");
            self.requests.extend_from_slice(payload);
            self.requests.extend_from_slice(b"\r\n");
        }
    }

    /// Writes and reads until all that was packed is written, or something is read. Nothing is lost when cancelled.
    pub(super) async fn exchange(&mut self) -> io::Result<Moved> {
        poll_fn(|context| self.poll_exchange(context)).await
    }

    /// Reads first: what a server said before it closed is worth more than that it takes no more.
    fn poll_exchange(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Moved>> {
        if let Poll::Ready(read) = self.poll_read(context)? {
            return Poll::Ready(Ok(if read == 0 { Moved::Closed } else { Moved::Read }));
        }
        while let rest @ [_, ..] = &self.requests[self.written..] {
            match Pin::new(&mut *self.stream).poll_write(context, rest)? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(written) => self.written += written,
                Poll::Pending => return Poll::Pending,
            }
            self.unflushed = true;
        }
        if self.unflushed && Pin::new(&mut *self.stream).poll_flush(context)?.is_ready() {
            self.unflushed = false;
        }
        if self.requests.is_empty() {
            return Poll::Pending;
        }
        self.requests.clear();
        self.written = 0;
        Poll::Ready(Ok(Moved::Written))
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.replies.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        let mut free = ReadBuf::new(&mut self.replies[self.to..]);
        if free.capacity() == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a reply is too long to be held")));
        }
        match Pin::new(&mut *self.stream).poll_read(context, &mut free)? {
            Poll::Ready(()) => {
                let read = free.filled().len();
                self.to += read;
                Poll::Ready(Ok(read))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// The next reply, if it is there whole.
    pub(super) fn reply(&mut self) -> Result<Option<Reply>, NotResp> {
        let unread = &self.replies[self.from..self.to];
        let Some((frame, length)) = read_frame(unread)? else { return Ok(None) };
        let reply = match frame {
            Frame::Error(text) => Reply::Error(String::from_utf8_lossy(text).into_owned()),
            _ => Reply::Reached(number(unread).ok_or(NotResp)?),
        };
        self.from += length;
        Ok(Some(reply))
    }
}

/// The number that is `:digits`, up to the end of its line.
fn number(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(b":")?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// `PUBLISH channel`, packed up to where the payload's length stands.
fn head(channel: &str) -> Vec<u8> {
    let mut head = redis::cmd("PUBLISH").arg(channel).arg("").get_packed_command();
    head.truncate(head.len() - b"0\r\n\r\n".len());
    head
}

/// The command that logs in, if there is a password. Channels are the same in all databases, so none is selected.
fn auth(endpoint: &Endpoint) -> Option<redis::Cmd> {
    let settings = endpoint.connection_info().redis_settings();
    let password = settings.password()?;
    let mut auth = redis::cmd("AUTH");
    if let Some(username) = settings.username() {
        auth.arg(username);
    }
    auth.arg(password);
    Some(auth)
}
