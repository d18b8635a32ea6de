//! A subscription that comes back by itself.
//!
//! Messages are recognised in the socket's read buffer and handed on by reference: there is no queue between the
//! server and the [`Feed`], so nothing can grow. A slow feed shows as backpressure on the socket, which the server
//! answers by cutting the subscriber off; that ends a session like any other loss and is told to the feed.

mod channel;
mod delivery;

pub use channel::Channel;
pub use delivery::{Delivery, Incoming};

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tracing::{debug, info};

use crate::client::connector::Transport;
use crate::client::discovery::Locator;
use crate::client::error::Cause;
use crate::client::reconnect::{LinkState, Reached, Session, keep_up};
use crate::client::slow_consumer::{CutOffs, OutputBufferStats};
use crate::client::subscriber::delivery::Buffer;
use crate::client::{ClientError, Endpoint, Target, socket};
use crate::resp::push::{Frame, NotResp, read_frame};

/// A server that has said nothing for this long is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(1);

/// A server that has said nothing for this long, though asked, is gone. Users are promised to see it within 3 s.
const SILENCE_MAX: Duration = Duration::from_millis(2_500);

/// A look at the silence that comes so late means that this process did not run.
const STANDSTILL: Duration = Duration::from_millis(500);

/// How long each step of logging in may take.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(2_500);

/// Name of the connection in `CLIENT LIST`.
const CLIENT_NAME: &str = "tickscope-consumer";

/// Where a subscription delivers.
pub trait Feed: Send {
    /// Takes all that one read of the socket completed, in order. What it leaves is lost.
    fn take(&mut self, delivery: &mut Delivery<'_>);
    /// The server had cut the last subscription off, because this reader fell behind.
    fn cut_off(&mut self);
    /// The connection's state has changed.
    fn link(&mut self, state: LinkState);
}

/// Subscribes `feed` to `channels` until `shutdown` turns true, coming back after every loss. In a cluster `channels`
/// is one sharded channel: each has a connection of its own, to the node of its slot.
///
/// # Errors
/// Only what trying again cannot mend, and only before the first success: later, everything is retried.
pub async fn subscribe(
    target: &Target,
    channels: &[Channel],
    feed: &mut impl Feed,
    mut shutdown: watch::Receiver<bool>,
    mut rng: ChaCha8Rng,
) -> Result<(), ClientError> {
    let key = channels.first().map(Channel::name).unwrap_or_default();
    let locator = Locator::new(target, key.as_bytes(), &mut rng);
    let mut subscription = Subscription {
        channels,
        feed,
        wants_master: matches!(target, Target::Sentinel(_)),
        asked_for_tls: false,
        cut_offs: CutOffs::default(),
        live_since: None,
        buffer: Buffer::new(),
    };
    keep_up(&mut subscription, locator, &mut shutdown, rng).await
}

struct Subscription<'a, F> {
    channels: &'a [Channel],
    feed: &'a mut F,
    /// A server that only repeats what a master says is not the one that was meant.
    wants_master: bool,
    /// Whether it is TLS that the server expects has been asked, or need not be.
    asked_for_tls: bool,
    cut_offs: CutOffs,
    live_since: Option<Instant>,
    buffer: Buffer,
}

impl<F: Feed> Session for Subscription<'_, F> {
    async fn run(&mut self, locator: &mut Locator) -> Result<Infallible, Cause> {
        self.buffer.clear();
        let endpoint = locator.locate().await?;
        let mut stream = socket::connect(&endpoint).await.map_err(|error| Cause::unreachable(&endpoint, &error))?;
        self.enter(&endpoint, &mut *stream).await?;
        locator.confirm();
        info!("subscribed at {endpoint}");
        self.asked_for_tls = true;
        self.live_since = Some(Instant::now());
        self.feed.link(LinkState::Live);
        Err(self.deliver(&endpoint, &mut *stream).await)
    }

    fn take_reached(&mut self) -> Reached {
        Reached { live_since: self.live_since.take(), has_delivered: self.buffer.messages > 0 }
    }

    fn link(&mut self, state: LinkState) {
        self.feed.link(state);
    }
}

impl<F: Feed> Subscription<'_, F> {
    /// Logs in and subscribes.
    async fn enter(&mut self, endpoint: &Endpoint, stream: &mut dyn Transport) -> Result<(), Cause> {
        for (at, (command, required)) in socket::greeting(endpoint, CLIENT_NAME).into_iter().enumerate() {
            match self.ask(endpoint, stream, &command, 1, required).await {
                Ok(()) => {}
                // Perhaps it expects TLS. Asked once only: whoever hangs up on everybody is not to be called twice as
                // often.
                Err(Cause::Passing(text)) if at == 0 && !std::mem::replace(&mut self.asked_for_tls, true) => {
                    return Err(socket::missing_tls(endpoint).await.map_or(Cause::Passing(text), Cause::Lasting));
                }
                Err(cause) => return Err(cause),
            }
        }
        self.look_back(endpoint, stream).await?;
        for verb in ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"] {
            let mut command = redis::cmd(verb);
            let names: Vec<&str> =
                self.channels.iter().filter(|channel| channel.verb() == verb).map(Channel::name).collect();
            if !names.is_empty() {
                command.arg(&names);
                self.ask(endpoint, stream, &command.get_packed_command(), names.len(), true).await?;
            }
        }
        Ok(())
    }

    /// Asks what the server knows of cut-offs, and tells it if the subscription before this one was.
    async fn look_back(&mut self, endpoint: &Endpoint, stream: &mut dyn Transport) -> Result<(), Cause> {
        let question = redis::cmd("INFO").get_packed_command();
        let dialogue = async {
            stream.write_all(&question).await?;
            stream.flush().await?;
            loop {
                // Nothing else is said before the subscription.
                let heard = &self.buffer.bytes[..self.buffer.filled];
                if let Some((_, length)) = read_frame(heard).map_err(|NotResp| io::ErrorKind::InvalidData)? {
                    let (census, role) = (OutputBufferStats::read(&heard[..length]), is_replica(&heard[..length]));
                    self.buffer.filled = 0;
                    return Ok((census, role));
                }
                if self.buffer.read(stream).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        };
        let (census, is_replica) = match timeout(ANSWER_TIMEOUT, dialogue).await {
            Ok(Ok(known)) => known,
            Ok(Err(error)) => return Err(Cause::lost(endpoint, &error)),
            Err(_) => return Err(Cause::Passing(format!("{endpoint} does not answer INFO"))),
        };
        if self.wants_master && is_replica {
            return Err(Cause::Passing(format!("{endpoint} is not the master any more")));
        }
        if self.cut_offs.look(endpoint, census) {
            self.feed.cut_off();
        }
        Ok(())
    }

    /// Sends a command and waits for `replies` answers. Messages that come in between are delivered.
    async fn ask(
        &mut self,
        endpoint: &Endpoint,
        stream: &mut dyn Transport,
        command: &[u8],
        replies: usize,
        required: bool,
    ) -> Result<(), Cause> {
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
                    return Ok(Err(Some(Cause::not_redis(endpoint))));
                }
            }
            Ok::<_, io::Error>(Ok(refusal))
        };
        match timeout(ANSWER_TIMEOUT, dialogue).await {
            Err(_) => Err(Cause::silent(endpoint)),
            Ok(Err(error)) => Err(Cause::lost(endpoint, &error)),
            Ok(Ok(Err(None))) => {
                Err(Cause::Passing(format!("{endpoint} closed the connection while it was being set up")))
            }
            Ok(Ok(Err(Some(cause)))) => Err(cause),
            // Naming the connection is a courtesy that an ACL may refuse.
            Ok(Ok(Ok(Some(reply)))) if required || reply.starts_with("NOAUTH") || reply.starts_with("DENIED") => {
                Err(Cause::refused(endpoint, &reply))
            }
            Ok(Ok(Ok(_))) => Ok(()),
        }
    }

    async fn deliver(&mut self, server: &Endpoint, stream: &mut dyn Transport) -> Cause {
        let mut is_unsubscribed = false;
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
                        return Cause::Passing(format!(
                            "{server} closed the connection (it was stopped, or it cut off a reader that fell behind)"
                        ));
                    }
                    Ok(_) => {
                        heard = Instant::now();
                        let note = |frame: &Frame<'_>| is_unsubscribed |= *frame == Frame::Unsubscribed;
                        if self.buffer.drain(self.feed, note).is_err() {
                            return Cause::Passing(format!("{server} sent something that is not the Redis protocol"));
                        }
                        if is_unsubscribed {
                            return Cause::Passing(format!("{server} serves this part of the ticks no more"));
                        }
                    }
                    Err(error) => {
                        self.cut_offs.ended(self.buffer.is_torn() || stood_still(beaten, woken));
                        return Cause::lost(server, &error);
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
                        return Cause::Passing(format!("{server} has not answered for {:.1} s", silent.as_secs_f64()));
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

/// Whether the text of `INFO` is a replica's.
fn is_replica(info: &[u8]) -> bool {
    memchr::memmem::find(info, b"\nrole:slave").is_some()
}
