//! Publishing over a connection that comes back by itself.
//!
//! Messages leave the [`SendQueue`] in batches, as pipelines of `PUBLISH`, with an `XADD` before each where there is a
//! stream, many of them under way at a time. A message counts as sent when the server has confirmed all of it. One
//! whose confirmation got lost with the connection is sent again first, so a message may arrive twice (readers tell by
//! `source` and `seq`), but none is lost in silence.

mod batch;
mod connection;
mod delivery_report;
mod send_queue;

pub use batch::Batch;
pub(crate) use delivery_report::Recovered;
pub use delivery_report::{DeliveryReport, Span};
pub(crate) use send_queue::DiskOverflow;
pub use send_queue::{Link, Overflow, SendQueue, Snapshot};

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{debug, info, warn};

use crate::client::connection::ANSWER_TIMEOUT;
use crate::client::discovery::Locator;
use crate::client::error::Cause;
use crate::client::error_advice::shown;
use crate::client::publisher::connection::{Connection, Moved, Reply};
use crate::client::publisher::send_queue::BATCH_MESSAGES_MAX;
use crate::client::{Backoff, ClientError, Target, socket};
use crate::resp::push::NotResp;

/// Messages under way at a time: enough that the server still has work when this process is not scheduled for some
/// milliseconds.
const IN_FLIGHT_MAX: usize = 8_192;

/// A server from which nothing comes for this long, though it has something to answer, is taken for gone.
const SILENCE_MAX: Duration = ANSWER_TIMEOUT;

/// A connection that has been quiet for this long is asked whether it is alive: well before [`SILENCE_MAX`], so that
/// there is time for an answer.
const PING_AFTER: Duration = Duration::from_millis(900);

/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A look that comes so late means that this process did not run.
const STANDSTILL: Duration = Duration::from_secs(1);

/// While the server is away, say so at most this often.
const NOTICE_EVERY: Duration = Duration::from_secs(5);

/// Is told each message's line once the server has confirmed the message, and how many subscribers it reached.
pub type OnConfirmed = Box<dyn FnMut(&str, u64) + Send>;

/// A stream that keeps each message, in the field `tick`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its key.
    pub name: String,
    /// Entries that are kept at least; a few more may be. 0 keeps all.
    pub maxlen: u64,
}

/// Where messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// The channel.
    pub channel: String,
    /// Where each message is kept before it is published.
    pub stream: Option<Stream>,
    /// The channel is that of a shard in a cluster.
    pub sharded: bool,
}

impl Topic {
    /// What decides which node of a cluster serves it.
    fn key(&self) -> &[u8] {
        self.stream.as_ref().map_or(&self.channel, |stream| &stream.name).as_bytes()
    }
}

/// When something was last said, for all connections to one cluster: if it is gone, one of them says so.
pub type Notices = Arc<Mutex<Option<Instant>>>;

/// Publishes what comes through `outbox` on `topic` until it is closed and empty, coming back after every loss.
///
/// To end early, abandon the outbox.
///
/// # Errors
/// Only what trying again cannot mend, and only before the first message was confirmed: later, everything is retried.
pub async fn publish(
    target: &Target,
    topic: &Topic,
    outbox: &SendQueue,
    echo: Option<OnConfirmed>,
    notices: Notices,
    mut rng: ChaCha8Rng,
) -> Result<(), ClientError> {
    let mut session = Session {
        locator: Locator::new(target, topic.key(), &mut rng),
        topic,
        outbox,
        echo,
        notices,
        flights: VecDeque::new(),
        unconfirmed: VecDeque::new(),
        asked_for_tls: false,
        proven: false,
        was_connected: false,
    };
    let outcome = tokio::select! {
        biased;
        () = outbox.abandoned() => Ok(()),
        outcome = session.run(Backoff::new(rng)) => outcome,
    };
    session.locator.end().await;
    outcome
}

/// How one connection ended.
enum Ended {
    /// Everything is published.
    Finished,
    Failed(Cause),
}

struct Session<'a> {
    locator: Locator,
    topic: &'a Topic,
    outbox: &'a SendQueue,
    echo: Option<OnConfirmed>,
    notices: Notices,
    /// What is under way on the connection, in order.
    flights: VecDeque<Batch>,
    /// What earlier connections left unconfirmed; older than all in the outbox.
    unconfirmed: VecDeque<Batch>,
    /// Whether it is TLS that the server expects has been asked, or need not be.
    asked_for_tls: bool,
    /// The server has confirmed a message once: from then on no failure is taken for lasting.
    proven: bool,
    /// A server has let us in once: from then on no failure to connect is taken for lasting.
    was_connected: bool,
}

impl Session<'_> {
    async fn run(&mut self, mut backoff: Backoff) -> Result<(), ClientError> {
        let mut down_since: Option<Instant> = None;
        loop {
            let sent_before = self.outbox.snapshot().sent;
            // From when the pause is counted: an attempt that took its time has waited already.
            let mut since = Instant::now();
            let mut is_fatal = !self.was_connected;
            let ended = match self.connect().await {
                Ok(mut connection) => {
                    self.was_connected = true;
                    self.announce(down_since.take());
                    self.outbox.set_link(true);
                    let ended = self.deliver(&mut connection).await;
                    // All of it was sent before what was still to be sent again, if anything was.
                    self.flights.append(&mut self.unconfirmed);
                    std::mem::swap(&mut self.flights, &mut self.unconfirmed);
                    (since, is_fatal) = (Instant::now(), !self.proven);
                    ended
                }
                Err(cause) => Ended::Failed(cause),
            };
            let text = match ended {
                Ended::Finished => return Ok(()),
                Ended::Failed(Cause::Moved(to)) => {
                    let text = format!("{} is not where {} is served", self.locator.found(), self.shown());
                    if self.locator.redirect(to) {
                        debug!("{text}; following its word");
                        continue;
                    }
                    text
                }
                Ended::Failed(Cause::Lasting(error)) if is_fatal => return Err(error),
                Ended::Failed(Cause::Lasting(error)) => error.to_string(),
                Ended::Failed(Cause::Passing(text) | Cause::TooLong(text)) => text,
            };
            self.outbox.set_link(false);
            if self.outbox.snapshot().sent > sent_before {
                backoff.reset();
            }
            down_since.get_or_insert_with(Instant::now);
            self.complain(&text);
            if self.outbox.is_finished() {
                return Ok(());
            }
            // The sequence is endless; a pause is needed all the same.
            sleep_until(since + backoff.next().unwrap_or(ANSWER_TIMEOUT)).await;
        }
    }

    fn shown(&self) -> String {
        let name = self.topic.stream.as_ref().map_or(&self.topic.channel, |stream| &stream.name);
        crate::model::display_safe(name).into_owned()
    }

    fn complain(&self, text: &str) {
        let mut noticed_at = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if noticed_at.is_none_or(|at| at.elapsed() >= NOTICE_EVERY) {
            *noticed_at = Some(Instant::now());
            warn!("{text}; trying again");
        } else {
            debug!("{text}; trying again");
        }
    }

    fn announce(&self, down_since: Option<Instant>) {
        let endpoint = self.locator.found();
        let Snapshot { link, queued, dropped, .. } = self.outbox.snapshot();
        let mut noticed_at = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.topic.sharded {
            // There is one connection: what happens to it next is news.
            *noticed_at = None;
        }
        let Some(since) = down_since.filter(|_| link == Link::Down) else {
            if self.topic.sharded {
                debug!("connected to {endpoint} for {}", self.shown());
            } else if link == Link::Connecting {
                info!("connected to {endpoint}");
            }
            return;
        };
        let away_s = since.elapsed().as_secs_f64();
        let part = if self.topic.sharded { format!(" for {}", self.shown()) } else { String::new() };
        info!(
            "connected to {endpoint}{part} again after {away_s:.1} s; {queued} ticks waited, {dropped} dropped so far"
        );
    }

    async fn connect(&mut self) -> Result<Connection, Cause> {
        let endpoint = self.locator.locate().await?;
        let mut connection = Connection::open(&endpoint, self.topic, self.locator.is_asking()).await?;
        let logged_in = connection.log_in(&endpoint).await;
        // Asked once only: whoever hangs up on everybody is not to be called twice as often.
        let asked_before = std::mem::replace(&mut self.asked_for_tls, true);
        match logged_in {
            Err(Cause::Passing(text)) if !asked_before => {
                Err(socket::missing_tls(&endpoint).await.map_or(Cause::Passing(text), Cause::Lasting))
            }
            logged_in => logged_in.map(|()| connection),
        }
    }

    /// Publishes until the end or a loss. Whatever was not confirmed stays in `flights`.
    async fn deliver(&mut self, connection: &mut Connection) -> Ended {
        let (mut heard, mut looked) = (Instant::now(), Instant::now());
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut in_flight = 0;
        loop {
            while in_flight < IN_FLIGHT_MAX
                && connection.has_room()
                && let Some(batch) = self.next_batch()
            {
                in_flight += batch.len();
                connection.pack(&batch);
                self.flights.push_back(batch);
            }
            if in_flight == 0 && self.outbox.is_finished() {
                return Ended::Finished;
            }
            tokio::select! {
                biased;
                moved = connection.exchange() => match moved {
                    Ok(Moved::Written) => {}
                    Ok(Moved::Read) => {
                        heard = Instant::now();
                        match self.confirm(connection) {
                            Ok(confirmed) => in_flight -= confirmed,
                            Err(cause) => return Ended::Failed(cause),
                        }
                    }
                    Ok(Moved::Closed) => return Ended::Failed(Cause::closed(self.locator.found())),
                    Err(error) => return Ended::Failed(Cause::lost(self.locator.found(), &error)),
                },
                () = self.outbox.filled(), if in_flight < IN_FLIGHT_MAX && connection.has_room() => {}
                _ = looks.tick() => {
                    // This process stood still, not the server: what came meanwhile has yet to be looked at.
                    if looked.elapsed() >= STANDSTILL {
                        heard = Instant::now();
                    }
                    looked = Instant::now();
                    let awaits = in_flight > 0 || connection.is_pinging();
                    if awaits && heard.elapsed() >= SILENCE_MAX {
                        return Ended::Failed(Cause::silent(self.locator.found()));
                    }
                    if !awaits && heard.elapsed() >= PING_AFTER {
                        connection.ping();
                    }
                }
            }
        }
    }

    /// What is to be sent next: first what an earlier connection left unconfirmed.
    fn next_batch(&mut self) -> Option<Batch> {
        let batch = self.unconfirmed.pop_front().unwrap_or_else(|| self.outbox.take(BATCH_MESSAGES_MAX));
        (!batch.is_empty()).then_some(batch)
    }

    /// Counts what the server has confirmed; says how much that was, or what went wrong.
    fn confirm(&mut self, connection: &mut Connection) -> Result<usize, Cause> {
        let (mut confirmed, mut last) = (0, 0);
        let failure = loop {
            match (connection.reply(), self.flights.front_mut()) {
                (Ok(None), _) => break None,
                (Ok(Some(Reply::Pong)), _) | (Ok(Some(Reply::Partly)), Some(_)) => {}
                (Ok(Some(Reply::Reached(receivers))), Some(flight)) => {
                    if let (Some(line), Some(echo)) = (flight.line(), &mut self.echo) {
                        echo(line, receivers);
                    }
                    flight.skip(1);
                    if flight.is_empty() {
                        self.outbox.recycle(std::mem::take(flight));
                        self.flights.pop_front();
                    }
                    (confirmed, last) = (confirmed + 1, receivers);
                }
                (Ok(Some(Reply::NoEntry(reply))), Some(_)) => {
                    break Some(Cause::refused(self.locator.found(), &reply));
                }
                (Ok(Some(Reply::NotPublished(reply))), Some(_)) => break Some(self.not_published(&reply)),
                // Not a number, or an answer that nobody asked for.
                (Ok(Some(_)), None) | (Err(NotResp), _) => break Some(Cause::not_redis(self.locator.found())),
            }
        };
        if confirmed > 0 {
            self.proven = true;
            self.locator.confirm();
            self.outbox.confirm(confirmed, last);
        }
        failure.map_or(Ok(confirmed), Err)
    }

    /// The channel refuses what the stream has taken, if there is one.
    fn not_published(&self, reply: &str) -> Cause {
        let server = self.locator.found();
        if self.topic.stream.is_some() && reply.starts_with("NOPERM") {
            return Cause::Lasting(ClientError::Refused {
                server: server.to_string(),
                reply: shown(reply),
                advice: "The tick is in the stream, but may not be published. Ask for an ACL rule that allows the \
                         channel as well, such as &stock_prices +publish (+spublish in a cluster)",
            });
        }
        Cause::refused(server, reply)
    }
}
