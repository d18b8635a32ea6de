//! Subscription to channels over a connection that is restored after each loss.
//!
//! Messages are recognised in the socket's read buffer and passed on by reference. There is no queue between the server
//! and the [`MessageHandler`], so none can grow. A slow handler causes back-pressure on the socket; the server answers
//! that by disconnecting the subscriber, which ends the session like any other loss and is reported to the handler.

mod channel;
mod message_buffer;

pub use channel::Channel;
pub use message_buffer::{Message, MessageBatch};

use std::io;

use rand_chacha::ChaCha8Rng;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{debug, info};

use crate::client::discovery::Discovery;
use crate::client::error::{SessionError, SessionResult};
use crate::client::liveness::Liveness;
use crate::client::reconnect::{RetryLog, Session, SessionProgress, run_with_reconnect, stopped};
use crate::client::slow_consumer::{OutputBufferStats, SlowConsumerDetector};
use crate::client::timeouts::{PING_AFTER, REPLY_TIMEOUT};
use crate::client::transport::Transport;
use crate::client::{ClientError, Endpoint, LinkState, Target};
use crate::resp::push::Frame;
use message_buffer::MessageBuffer;

/// Name of the connection in `CLIENT LIST`.
const CLIENT_NAME: &str = "tickscope-consumer";

/// `PING`, which both protocol versions allow to subscribers.
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// Receiver of a subscription's messages.
pub trait MessageHandler: Send {
    /// Receives all messages that one read of the socket completed, in order. Messages left in the batch are lost.
    fn on_messages(&mut self, batch: &mut MessageBatch<'_>);
    /// Reports that the server had disconnected the last subscription because this reader fell behind.
    fn on_cut_off(&mut self);
    /// Reports a change of the connection's state.
    fn on_link(&mut self, state: LinkState);
}

/// Subscribes to `channels` until `shutdown` turns true, and reconnects after each loss. In a cluster, `channels` is
/// one sharded channel: each shard has a connection of its own to the node of its hash slot.
///
/// # Errors
/// An error that another attempt cannot resolve, before the first success only: later, every error is retried.
pub async fn subscribe(
    target: &Target,
    channels: &[Channel],
    handler: &mut impl MessageHandler,
    shutdown: watch::Receiver<bool>,
    mut rng: ChaCha8Rng,
) -> Result<(), ClientError> {
    let key = channels.first().map(Channel::name).unwrap_or_default();
    let discovery = Discovery::new(target, key.as_bytes(), &mut rng);
    let mut subscription = Subscription {
        channels,
        handler,
        progress: SessionProgress::default(),
        slow_consumer: SlowConsumerDetector::default(),
        buffer: MessageBuffer::new(),
    };
    run_with_reconnect(&mut subscription, discovery, stopped(shutdown), &RetryLog::single(), rng).await
}

struct Subscription<'a, H> {
    channels: &'a [Channel],
    handler: &'a mut H,
    progress: SessionProgress,
    slow_consumer: SlowConsumerDetector,
    buffer: MessageBuffer,
}

impl<H: MessageHandler> Session for Subscription<'_, H> {
    async fn run(&mut self, discovery: &mut Discovery) -> SessionResult {
        self.buffer.clear();
        let mut connection = discovery.connect(CLIENT_NAME).await?;
        let stats = OutputBufferStats::parse(&connection.info(None).await?);
        if self.slow_consumer.check(&connection.endpoint, stats) {
            self.handler.on_cut_off();
        }
        let (server, mut stream) = connection.into_parts();
        let subscribed = timeout(REPLY_TIMEOUT, self.subscribe(&server, &mut *stream)).await;
        subscribed.unwrap_or_else(|_| Err(SessionError::silent(&server)))?;
        discovery.confirm();
        info!("subscribed at {server}");
        self.set_live();
        Err(self.receive(&server, &mut *stream).await)
    }

    fn progress(&mut self) -> &mut SessionProgress {
        &mut self.progress
    }

    fn on_link(&mut self, state: LinkState) {
        self.handler.on_link(state);
    }
}

impl<H: MessageHandler> Subscription<'_, H> {
    /// Subscribes to all channels, one command for each kind, and waits for a reply about each channel. Messages that
    /// arrive in between are delivered.
    async fn subscribe(&mut self, server: &Endpoint, stream: &mut dyn Transport) -> SessionResult {
        let lost = |error: io::Error| SessionError::lost(server, &error);
        for command in ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"] {
            let names: Vec<&str> =
                self.channels.iter().filter(|channel| channel.command() == command).map(Channel::name).collect();
            if !names.is_empty() {
                let request = redis::cmd(command).arg(&names).get_packed_command();
                stream.write_all(&request).await.map_err(lost)?;
            }
        }
        stream.flush().await.map_err(lost)?;
        let mut replies = 0;
        while replies < self.channels.len() {
            if self.buffer.read(stream).await.map_err(lost)? == 0 {
                return Err(SessionError::closed(server));
            }
            let mut refusal = None;
            let on_reply = |frame: &Frame<'_>| {
                replies += 1;
                if let Frame::Error(text) = frame {
                    refusal.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
                }
            };
            let drained = self.buffer.drain(self.handler, on_reply);
            self.progress.has_delivered |= drained.map_err(|_| SessionError::not_redis(server))?;
            if let Some(text) = refusal {
                return Err(SessionError::refused(server, &text));
            }
        }
        Ok(())
    }

    /// Delivers messages until the connection is lost.
    async fn receive(&mut self, server: &Endpoint, stream: &mut dyn Transport) -> SessionError {
        let mut liveness = Liveness::new();
        let mut pinged_at: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                read = self.buffer.read(stream) => match read {
                    Ok(1..) => {
                        liveness.received();
                        let mut is_unsubscribed = false;
                        let on_reply = |frame: &Frame<'_>| is_unsubscribed |= *frame == Frame::Unsubscribed;
                        match self.buffer.drain(self.handler, on_reply) {
                            Ok(has_delivered) => self.progress.has_delivered |= has_delivered,
                            Err(_) => return SessionError::Transient(
                                format!("{server} sent something that is not the Redis protocol"),
                            ),
                        }
                        if is_unsubscribed {
                            return SessionError::Transient(format!("{server} no longer serves this shard"));
                        }
                    }
                    ended => {
                        self.slow_consumer.was_truncated = self.buffer.is_truncated() || liveness.has_stalled();
                        let Err(error) = ended else {
                            return SessionError::Transient(format!(
                                "{server} closed the connection (it was stopped, or it cut off a reader that fell \
                                 behind)"
                            ));
                        };
                        return SessionError::lost(server, &error);
                    }
                },
                silence = liveness.check() => {
                    if silence >= REPLY_TIMEOUT {
                        return SessionError::unanswered(server, silence);
                    }
                    if silence >= PING_AFTER && pinged_at.is_none_or(|at| at.elapsed() >= PING_AFTER) {
                        pinged_at = Some(Instant::now());
                        // Neither a full send buffer nor a failed write ends the session: the server may have closed
                        // the connection and left data to read. Silence or the end of the stream decides.
                        let ping = async {
                            stream.write_all(PING).await?;
                            stream.flush().await
                        };
                        if let Ok(Err(error)) = timeout(PING_AFTER, ping).await {
                            debug!("{server} accepts no more data: {error}");
                        }
                    }
                }
            }
        }
    }
}
