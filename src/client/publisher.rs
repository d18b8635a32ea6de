//! Publisher over a connection that is restored after each loss.
//!
//! Messages leave the [`SendQueue`] in batches, as a pipeline of `PUBLISH` commands with an `XADD` before each if there
//! is a stream. A message counts as sent once the server has confirmed all of its commands. Messages whose confirmation
//! was lost with the connection are sent again first. A message may thus arrive twice, which readers recognise by
//! `source` and `seq`, but no loss goes uncounted.

mod delivery_report;
mod in_flight;
mod pipeline;
mod send_queue;
mod spool_writer;

pub use delivery_report::DeliveryReport;
pub use send_queue::{ConnectionStatus, OverflowPolicy, QueueStats, SendQueue};
pub use spool_writer::SpoolWriter;

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;
use tracing::{debug, info};

use crate::client::connection::error_text;
use crate::client::discovery::Discovery;
use crate::client::error::{SessionError, SessionResult, excerpt};
use crate::client::liveness::Liveness;
use crate::client::reconnect::{RetryLog, Session, SessionProgress, run_with_reconnect};
use crate::client::timeouts::{PING_AFTER, REPLY_TIMEOUT};
use crate::client::{ClientError, Endpoint, LinkState, Target};
use crate::model::display_safe;
use crate::resp::scanner::NotResp;
use crate::spool::Batch;
use pipeline::{Pipeline, Reply};
use send_queue::BATCH_MESSAGES_MAX;

/// Most messages in flight: enough that the server has work while this process is not scheduled for some milliseconds.
const IN_FLIGHT_MAX: usize = 8_192;

/// Name of the connection in `CLIENT LIST`.
const CLIENT_NAME: &str = "tickscope-producer";

/// Callback for each confirmed message: its display line, and the number of subscribers that received it.
pub type OnConfirmed = Box<dyn FnMut(&str, u64) + Send>;

/// Stream that keeps each message, in the field `tick`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputStream {
    /// Key of the stream.
    pub name: String,
    /// Least number of entries kept; a few more may be. 0 keeps all.
    pub maxlen: u64,
}

/// Destination of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Name of the channel.
    pub channel: String,
    /// Stream to which each message is added before it is published.
    pub stream: Option<OutputStream>,
    /// True if the channel is that of a shard in a cluster.
    pub sharded: bool,
}

impl Destination {
    /// Key that determines the node of a cluster.
    fn key(&self) -> &str {
        self.stream.as_ref().map_or(&self.channel, |stream| &stream.name)
    }
}

/// Publishes the messages of `queue` until it is closed and empty, and reconnects after each loss. Returns early if the
/// queue is abandoned.
///
/// # Errors
/// An error that another attempt cannot resolve, before the first confirmed message only: later, every error is
/// retried.
pub async fn publish(
    target: &Target,
    destination: &Destination,
    queue: &SendQueue,
    on_confirmed: Option<OnConfirmed>,
    log: RetryLog,
    mut rng: ChaCha8Rng,
) -> Result<(), ClientError> {
    let discovery = Discovery::new(target, destination.key().as_bytes(), &mut rng);
    let mut publisher = Publisher {
        destination,
        queue,
        on_confirmed,
        log: log.clone(),
        progress: SessionProgress::default(),
        in_flight: VecDeque::new(),
        unconfirmed: VecDeque::new(),
        has_published: false,
        down_since: None,
    };
    run_with_reconnect(&mut publisher, discovery, queue.abandoned.notified(), &log, rng).await
}

struct Publisher<'a> {
    destination: &'a Destination,
    queue: &'a SendQueue,
    on_confirmed: Option<OnConfirmed>,
    log: RetryLog,
    progress: SessionProgress,
    /// Messages in flight, in order.
    in_flight: VecDeque<Batch>,
    /// Messages that earlier connections left unconfirmed, older than all in the queue.
    unconfirmed: VecDeque<Batch>,
    /// The server has confirmed a message: from then on, fatal errors are retried.
    has_published: bool,
    down_since: Option<Instant>,
}

impl Session for Publisher<'_> {
    /// A redirected publisher loses nothing.
    const REDIRECT_IS_OUTAGE: bool = false;

    async fn run(&mut self, discovery: &mut Discovery) -> SessionResult {
        if self.queue.is_finished() {
            return Ok(());
        }
        let mut connection = discovery.connect(CLIENT_NAME).await?;
        match error_text(connection.request(&redis::cmd("PING")).await?) {
            // A user that may only publish is refused a PING, by a server that is alive.
            Some(text) if !text.starts_with("NOPERM") => {
                return Err(SessionError::refused(&connection.endpoint, &text));
            }
            _ => {}
        }
        let asking = connection.asking;
        let (server, stream) = connection.into_parts();
        let mut pipeline = Pipeline::new(stream, self.destination, asking);
        self.log_connected(&server);
        self.set_live();
        let ended = self.transfer(&mut pipeline, &server).await;
        // Messages in flight were sent before those that were still to be sent again.
        self.in_flight.append(&mut self.unconfirmed);
        std::mem::swap(&mut self.in_flight, &mut self.unconfirmed);
        ended
    }

    fn progress(&mut self) -> &mut SessionProgress {
        &mut self.progress
    }

    fn on_link(&mut self, state: LinkState) {
        match state {
            LinkState::Connecting => {}
            LinkState::Live => self.queue.set_connected(true),
            LinkState::Down(_) => {
                self.queue.set_connected(false);
                self.down_since.get_or_insert_with(Instant::now);
            }
        }
    }

    fn retries_fatal(&self) -> bool {
        self.has_published
    }
}

impl Publisher<'_> {
    /// Logs a new connection. For a shard that is connected for the first time, at debug level.
    fn log_connected(&mut self, server: &Endpoint) {
        let QueueStats { status, queued, dropped, .. } = self.queue.stats();
        let (key, is_shard) = (display_safe(self.destination.key()), self.destination.sharded);
        if !is_shard {
            self.log.reset();
        }
        let down_since = self.down_since.take();
        if let Some(since) = down_since.filter(|_| status == ConnectionStatus::Down) {
            let down_s = since.elapsed().as_secs_f64();
            let shard = if is_shard { format!(" for {key}") } else { String::new() };
            info!(
                "connected to {server}{shard} again after {down_s:.1} s; {queued} ticks waited, {dropped} dropped so \
                 far"
            );
        } else if is_shard {
            debug!("connected to {server} for {key}");
        } else if status == ConnectionStatus::Connecting {
            info!("connected to {server}");
        }
    }

    /// Publishes until all messages are confirmed, or the connection is lost. Unconfirmed messages stay in `in_flight`.
    async fn transfer(&mut self, pipeline: &mut Pipeline, server: &Endpoint) -> SessionResult {
        let mut liveness = Liveness::new();
        let mut in_flight = 0;
        loop {
            while in_flight < IN_FLIGHT_MAX
                && pipeline.has_room()
                && let Some(batch) = self.next_batch()
            {
                in_flight += batch.len();
                pipeline.pack(&batch);
                self.in_flight.push_back(batch);
            }
            if in_flight == 0 && self.queue.is_finished() {
                return Ok(());
            }
            tokio::select! {
                biased;
                exchanged = pipeline.exchange() => {
                    if exchanged.map_err(|error| SessionError::lost(server, &error))? {
                        liveness.received();
                        in_flight -= self.confirm(pipeline, server)?;
                    }
                }
                () = self.queue.filled.notified(), if in_flight < IN_FLIGHT_MAX && pipeline.has_room() => {}
                silence = liveness.check() => {
                    let awaits_reply = in_flight > 0 || pipeline.is_pinging;
                    if awaits_reply && silence >= REPLY_TIMEOUT {
                        return Err(SessionError::silent(server));
                    }
                    if !awaits_reply && silence >= PING_AFTER {
                        pipeline.ping();
                    }
                }
            }
        }
    }

    /// Returns the batch to send next: first those that an earlier connection left unconfirmed.
    fn next_batch(&mut self) -> Option<Batch> {
        let batch = self.unconfirmed.pop_front().unwrap_or_else(|| self.queue.take(BATCH_MESSAGES_MAX));
        (!batch.is_empty()).then_some(batch)
    }

    /// Processes all complete replies. Returns the number of confirmed messages.
    fn confirm(&mut self, pipeline: &mut Pipeline, server: &Endpoint) -> SessionResult<usize> {
        let (mut confirmed, mut last_receivers) = (0, 0);
        let ended = loop {
            match (pipeline.next_reply(), self.in_flight.front_mut()) {
                (Ok(None), _) => break Ok(()),
                (Ok(Some(Reply::Pong)), _) | (Ok(Some(Reply::Partial)), Some(_)) => {}
                (Ok(Some(Reply::Published(receivers))), Some(batch)) => {
                    if let (Some(line), Some(on_confirmed)) = (batch.line(), &mut self.on_confirmed) {
                        on_confirmed(line, receivers);
                    }
                    batch.skip(1);
                    if batch.is_empty() {
                        self.queue.recycle(std::mem::take(batch));
                        self.in_flight.pop_front();
                    }
                    (confirmed, last_receivers) = (confirmed + 1, receivers);
                }
                (Ok(Some(Reply::EntryRefused(text))), Some(_)) => break Err(SessionError::refused(server, &text)),
                (Ok(Some(Reply::MessageRefused(text))), Some(_)) => break Err(self.message_refused(server, &text)),
                // The reply is not a number, or answers no command.
                (Ok(Some(_)), None) | (Err(NotResp), _) => break Err(SessionError::not_redis(server)),
            }
        };
        if confirmed > 0 {
            (self.has_published, self.progress.has_delivered) = (true, true);
            self.queue.confirm(confirmed, last_receivers);
        }
        ended.map(|()| confirmed)
    }

    /// Error for a message that the channel refuses, after the stream has accepted it, if there is one.
    fn message_refused(&self, server: &Endpoint, text: &str) -> SessionError {
        if self.destination.stream.is_some() && text.starts_with("NOPERM") {
            return SessionError::Fatal(ClientError::Refused {
                server: server.to_string(),
                reply: excerpt(text),
                advice: "The tick is in the stream, but may not be published. Ask for an ACL rule that allows the \
                         channel as well, such as &stock_prices +publish (+spublish in a cluster)",
            });
        }
        SessionError::refused(server, text)
    }
}
