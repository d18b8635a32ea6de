//! A subscription that comes back by itself.
//!
//! Messages are recognised in the socket's read buffer and handed on by reference: there is no queue between the
//! server and the [`Feed`], so nothing can grow. A slow feed shows as backpressure on the socket, which the server
//! answers by cutting the subscriber off; that ends a session like any other loss and is told to the feed.

mod channel;

pub use channel::Channel;

use std::io;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tracing::{debug, info, warn};

use crate::bus::cutoff::{Census, CutOffs};
use crate::bus::dial::Duplex;
use crate::bus::push::{FRAME_BYTES_MAX, Frame, NotResp, read_frame};
use crate::bus::refusal::{advice, shown};
use crate::bus::socket;
use crate::bus::{Backoff, BusError, Endpoint, Local, Target};

/// The read buffer to begin with: a few thousand ticks, so that a flood is taken in large batches.
const BUFFER_BYTES: usize = 256 << 10;

/// A server that has said nothing for this long is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(1);

/// A server that has said nothing for this long, though asked, is gone. Users are promised to see it within 3 s.
const SILENCE_MAX: Duration = Duration::from_millis(2_500);

/// A look at the silence that comes so late means that this process did not run.
const STANDSTILL: Duration = Duration::from_millis(500);

/// How long each step of logging in may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// A session that lasted this long was healthy, even if no message came.
const HEALTHY_AFTER: Duration = Duration::from_secs(5);

/// An attempt that fails for the same reason as the one before it is told this often: a night without a server is some
/// thousand lines, not fifty thousand.
const SAME_CAUSE_EVERY: Duration = Duration::from_secs(10);

/// More bytes than this in reads that each found more than they could take mean that the reader has fallen behind.
const BACKLOG_BYTES: usize = 2 * BUFFER_BYTES;

/// Name of the connection in `CLIENT LIST`.
const CLIENT_NAME: &str = "tickscope-consumer";

/// How the connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// The first attempt is under way.
    Connecting,
    /// Subscribed; messages arrive as they are published.
    Live,
    /// Not connected: why, in words that are safe to show. Attempts go on.
    Down(String),
}

/// Something that came over a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// One published message.
    Message(&'a [u8]),
    /// A message that was too long to be held; it was skipped.
    TooLong,
}

/// Where a subscription delivers.
pub trait Feed: Send {
    /// Takes all that one read of the socket completed, in order. What it leaves is lost.
    fn take(&mut self, delivery: &mut Delivery<'_>);
    /// The server had cut the last subscription off, because this reader fell behind.
    fn cut_off(&mut self);
    /// The connection's state has changed.
    fn link(&mut self, state: LinkState);
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

/// How one session ended.
enum Ended {
    Shutdown,
    Lost(String),
    Refused(BusError),
}

/// Subscribes `feed` to `channels` until `shutdown` turns true, coming back after every loss.
///
/// # Errors
/// Only what trying again cannot mend, and only before the first success: later, everything is retried.
pub async fn subscribe(
    target: &Target,
    channels: &[Channel],
    feed: &mut impl Feed,
    mut shutdown: watch::Receiver<bool>,
    rng: ChaCha8Rng,
) -> Result<(), BusError> {
    let mut backoff = Backoff::new(rng);
    let mut local = match target {
        Target::Local { port } => Some(Local::new(*port)),
        _ => None,
    };
    let mut session = Session {
        target,
        channels,
        feed,
        was_live: false,
        asked_for_tls: false,
        cut_offs: CutOffs::default(),
        live_since: None,
        buffer: Buffer::new(),
    };
    session.feed.link(LinkState::Connecting);
    let mut told: Option<(String, Instant)> = None;
    let outcome = loop {
        let ended = tokio::select! {
            biased;
            () = stopped(&mut shutdown) => Ended::Shutdown,
            ended = session.run(local.as_mut()) => ended,
        };
        let cause = match ended {
            Ended::Shutdown => break Ok(()),
            Ended::Refused(error) if !session.was_live => break Err(error),
            Ended::Refused(error) => error.to_string(),
            Ended::Lost(cause) => cause,
        };
        let live_since = session.live_since.take();
        if session.buffer.messages > 0 || live_since.is_some_and(|since| since.elapsed() >= HEALTHY_AFTER) {
            backoff.reset();
        }
        let is_old = told.as_ref().is_some_and(|(old, at)| *old == cause && at.elapsed() < SAME_CAUSE_EVERY);
        if is_old && live_since.is_none() {
            debug!("{cause}; trying again");
        } else {
            warn!("{cause}; trying again");
            told = Some((cause.clone(), Instant::now()));
        }
        session.feed.link(LinkState::Down(cause));
        let wait = backoff.next().unwrap_or(ANSWER_TIMEOUT);
        tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
    };
    if let Some(local) = local {
        local.shutdown().await;
    }
    outcome
}

/// Resolves when `shutdown` turns true or its sender is gone.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could ask to stop, which is a stop as well.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// The bytes that were read and not yet understood.
struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
    /// Bytes of a message that was too long, still to be thrown away.
    skip: usize,
    /// Messages since the connection was opened.
    messages: u64,
    /// Bytes of the reads of late that each found more than they could take, and of the one after them.
    backlog: usize,
    /// The last read was such a one.
    brimful: bool,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: vec![0; BUFFER_BYTES], filled: 0, skip: 0, messages: 0, backlog: 0, brimful: false }
    }

    fn clear(&mut self) {
        (self.filled, self.skip, self.messages) = (0, 0, 0);
        (self.backlog, self.brimful) = (0, false);
    }

    /// Reads once; zero bytes mean the end of the stream. The buffer grows up to one longest frame.
    async fn read(&mut self, stream: &mut dyn Duplex) -> io::Result<usize> {
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
    fn is_torn(&self) -> bool {
        self.filled > 0 || self.skip > 0 || self.backlog > BACKLOG_BYTES
    }

    /// Takes every whole frame, hands messages to `feed` and the rest to `reply`.
    fn drain(&mut self, feed: &mut impl Feed, mut reply: impl FnMut(&Frame<'_>)) -> Result<(), NotResp> {
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

struct Session<'a, F> {
    target: &'a Target,
    channels: &'a [Channel],
    feed: &'a mut F,
    /// The server has accepted the subscription once: from then on no failure is taken for lasting.
    was_live: bool,
    /// Whether it is TLS that the server expects has been asked, or need not be.
    asked_for_tls: bool,
    cut_offs: CutOffs,
    live_since: Option<Instant>,
    buffer: Buffer,
}

impl<F: Feed> Session<'_, F> {
    /// Connects, subscribes and delivers until something ends it.
    async fn run(&mut self, local: Option<&mut Local>) -> Ended {
        self.buffer.clear();
        if let Some(local) = local {
            match local.ensure().await {
                Ok(role) => debug!(?role, "local server"),
                Err(error) if self.was_live => return Ended::Lost(error.to_string()),
                Err(error) => return Ended::Refused(error.into()),
            }
        }
        let endpoint = self.target.endpoint();
        let mut stream = match socket::connect(&endpoint).await {
            Ok(stream) => stream,
            Err(error) => return lost(&endpoint, &error, "cannot reach"),
        };
        for (at, (command, required)) in socket::greeting(&endpoint, CLIENT_NAME).into_iter().enumerate() {
            match self.ask(&mut *stream, &command, 1, required).await {
                Ok(()) => {}
                // Perhaps it expects TLS. Asked once only: whoever hangs up on everybody is not to be called twice as
                // often.
                Err(Ended::Lost(cause)) if at == 0 && !std::mem::replace(&mut self.asked_for_tls, true) => {
                    return socket::missing_tls(&endpoint).await.map_or(Ended::Lost(cause), Ended::Refused);
                }
                Err(ended) => return ended,
            }
        }
        if let Err(ended) = self.look_back(&mut *stream).await {
            return ended;
        }
        for (verb, wanted) in [("SUBSCRIBE", false), ("PSUBSCRIBE", true)] {
            let mut command = redis::cmd(verb);
            let mut count = 0;
            for channel in self.channels {
                let (Channel::Exact(name) | Channel::Pattern(name)) = channel;
                if matches!(channel, Channel::Pattern(_)) == wanted {
                    command.arg(name);
                    count += 1;
                }
            }
            if count > 0
                && let Err(ended) = self.ask(&mut *stream, &command.get_packed_command(), count, true).await
            {
                return ended;
            }
        }
        info!("subscribed at {endpoint}");
        (self.was_live, self.asked_for_tls) = (true, true);
        self.live_since = Some(Instant::now());
        self.feed.link(LinkState::Live);
        self.deliver(&mut *stream).await
    }

    /// Asks what the server knows of cut-offs, and tells it if the subscription before this one was.
    async fn look_back(&mut self, stream: &mut dyn Duplex) -> Result<(), Ended> {
        let endpoint = self.target.endpoint();
        let question = redis::cmd("INFO").get_packed_command();
        let dialogue = async {
            stream.write_all(&question).await?;
            stream.flush().await?;
            loop {
                // Nothing else is said before the subscription.
                let heard = &self.buffer.bytes[..self.buffer.filled];
                if let Some((_, length)) = read_frame(heard).map_err(|NotResp| io::ErrorKind::InvalidData)? {
                    let census = Census::read(&heard[..length]);
                    self.buffer.filled = 0;
                    return Ok(census);
                }
                if self.buffer.read(stream).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        };
        let census = match timeout(ANSWER_TIMEOUT, dialogue).await {
            Ok(Ok(census)) => census,
            Ok(Err(error)) => return Err(lost(&endpoint, &error, "lost")),
            Err(_) => return Err(Ended::Lost(format!("{endpoint} does not answer INFO"))),
        };
        if self.cut_offs.look(&endpoint, census) {
            self.feed.cut_off();
        }
        Ok(())
    }

    /// Sends a command and waits for `replies` answers. Messages that come in between are delivered.
    async fn ask(
        &mut self,
        stream: &mut dyn Duplex,
        command: &[u8],
        replies: usize,
        required: bool,
    ) -> Result<(), Ended> {
        let endpoint = self.target.endpoint();
        let server = endpoint.to_string();
        let dialogue = async {
            stream.write_all(command).await?;
            stream.flush().await?;
            let mut answered = 0;
            let mut refusal = None;
            while answered < replies && refusal.is_none() {
                if self.buffer.read(stream).await? == 0 {
                    return Ok(Err(None));
                }
                let note = |frame: &Frame<'_>| {
                    answered += 1;
                    if let Frame::Error(text) = frame {
                        refusal.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
                    }
                };
                if self.buffer.drain(self.feed, note).is_err() {
                    return Ok(Err(Some(Ended::Refused(BusError::NotRedis { server: server.clone() }))));
                }
            }
            Ok::<_, io::Error>(Ok(refusal))
        };
        match timeout(ANSWER_TIMEOUT, dialogue).await {
            Err(_) => Err(Ended::Lost(format!("{server} accepts connections but does not answer like a Redis server"))),
            Ok(Err(error)) => Err(lost(&endpoint, &error, "lost")),
            Ok(Ok(Err(None))) => Err(Ended::Lost(format!("{server} closed the connection while it was being set up"))),
            Ok(Ok(Err(Some(ended)))) => Err(ended),
            Ok(Ok(Ok(Some(reply)))) => refused(server, &reply, required),
            Ok(Ok(Ok(None))) => Ok(()),
        }
    }

    async fn deliver(&mut self, stream: &mut dyn Duplex) -> Ended {
        let server = self.target.endpoint();
        let mut heard = Instant::now();
        let mut pulse = tokio::time::interval(PING_EVERY / 4);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut pinged, mut beaten, mut woken) = (heard, heard, None);
        loop {
            tokio::select! {
                biased;
                read = self.buffer.read(stream) => match read {
                    Ok(0) => {
                        self.cut_offs.ended(self.buffer.is_torn() || stood_still(beaten, woken));
                        return Ended::Lost(format!(
                            "{server} closed the connection (it was stopped, or it cut off a reader that fell behind)"
                        ));
                    }
                    Ok(_) => {
                        heard = Instant::now();
                        if self.buffer.drain(self.feed, |_| {}).is_err() {
                            return Ended::Lost(format!("{server} sent something that is not the Redis protocol"));
                        }
                    }
                    Err(error) => {
                        self.cut_offs.ended(self.buffer.is_torn() || stood_still(beaten, woken));
                        return Ended::Lost(format!("lost {server}: {error}"));
                    }
                },
                _ = pulse.tick() => {
                    // This process stood still, not the server: what came meanwhile has yet to be looked at.
                    if beaten.elapsed() >= STANDSTILL {
                        heard = Instant::now();
                        woken = Some(heard);
                    }
                    beaten = Instant::now();
                    let silent = heard.elapsed();
                    if silent >= SILENCE_MAX {
                        return Ended::Lost(format!("{server} has not answered for {:.1} s", silent.as_secs_f64()));
                    }
                    if silent >= PING_EVERY && pinged.elapsed() >= PING_EVERY {
                        pinged = Instant::now();
                        // A full send buffer is no failure in itself: silence decides. Nor is a connection that the
                        // server has closed as long as there is something to read from it; reading finds its end.
                        let ping = async {
                            stream.write_all(PING).await?;
                            stream.flush().await
                        };
                        if let Ok(Err(error)) = timeout(PING_EVERY, ping).await {
                            debug!("{server} takes no more: {error}");
                        }
                    }
                }
            }
        }
    }
}

/// Whether this process did not run just before now, by the last two looks at the silence. A server that closes a
/// connection then had more to send, though what had come of it may end with a frame.
fn stood_still(beaten: Instant, woken: Option<Instant>) -> bool {
    beaten.elapsed() >= STANDSTILL || woken.is_some_and(|at| at.elapsed() < SILENCE_MAX)
}

/// `PING`, which both protocol versions allow to subscribers.
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// Sorts what the operating system or TLS said: what waiting can mend, and what it cannot.
fn lost(endpoint: &Endpoint, error: &io::Error, what: &str) -> Ended {
    match socket::tls_fault(endpoint, error) {
        Some(error) => Ended::Refused(error),
        None => Ended::Lost(format!("{what} {endpoint}: {error}")),
    }
}

/// Sorts an error reply: what waiting can mend, what it cannot, and what does not matter.
fn refused(server: String, reply: &str, required: bool) -> Result<(), Ended> {
    match advice(reply) {
        // Naming the connection is a courtesy that an ACL may refuse.
        _ if !required && !reply.starts_with("NOAUTH") && !reply.starts_with("DENIED") => Ok(()),
        Some(advice) => Err(Ended::Refused(BusError::Refused { server, reply: shown(reply), advice })),
        None => Err(Ended::Lost(format!("{server} answers: {}", shown(reply)))),
    }
}
