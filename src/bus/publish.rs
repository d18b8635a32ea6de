//! Publishing over a connection that comes back by itself.
//!
//! Messages leave the [`Outbox`] in batches, as pipelines of `PUBLISH`, many of them under way at a time. A message
//! counts as sent when the server has confirmed it. One whose confirmation got lost with the connection is sent again
//! first, so a message may arrive twice (readers tell by `source` and `seq`), but none is lost in silence.

mod batch;
mod connection;
mod outbox;

pub use batch::Batch;
pub use outbox::{Link, Outbox, Overflow, Snapshot};

use std::collections::VecDeque;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use crate::bus::cause::Cause;
use crate::bus::publish::connection::{ANSWER_TIMEOUT, Connection, Moved, Reply};
use crate::bus::publish::outbox::BATCH_MESSAGES_MAX;
use crate::bus::push::NotResp;
use crate::bus::{Backoff, BusError, Local, Target, socket};

/// Messages under way at a time: enough that the server still has work when this process is not scheduled for some
/// milliseconds.
const IN_FLIGHT_MAX: usize = 8_192;

/// A server that confirms nothing for this long, though it has something to confirm, is taken for gone.
const SILENCE_MAX: Duration = ANSWER_TIMEOUT;

/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A look that comes so late means that this process did not run.
const STANDSTILL: Duration = Duration::from_secs(1);

/// While the server is away, say so at most this often.
const NOTICE_EVERY: Duration = Duration::from_secs(5);

/// Is told each message's line once the server has confirmed the message, and how many subscribers it reached.
pub type Echo = Box<dyn FnMut(&str, u64) + Send>;

/// Publishes what comes through `outbox` on `channel` until it is closed and empty, coming back after every loss.
///
/// To end early, abandon the outbox.
///
/// # Errors
/// Only what trying again cannot mend, and only before the first message was confirmed: later, everything is retried.
pub async fn publish(
    target: &Target,
    channel: &str,
    outbox: &Outbox,
    echo: Option<Echo>,
    rng: ChaCha8Rng,
) -> Result<(), BusError> {
    let mut local = match target {
        Target::Local { port } => Some(Local::new(*port)),
        _ => None,
    };
    let mut session = Session {
        target,
        channel,
        outbox,
        echo,
        flights: VecDeque::new(),
        unconfirmed: VecDeque::new(),
        asked_for_tls: false,
        proven: false,
    };
    let outcome = tokio::select! {
        biased;
        () = outbox.abandoned() => Ok(()),
        outcome = session.run(local.as_mut(), Backoff::new(rng)) => outcome,
    };
    if let Some(local) = local {
        local.shutdown().await;
    }
    outcome
}

/// How one connection ended.
enum Ended {
    /// Everything is published.
    Finished,
    Failed(Cause),
}

struct Session<'a> {
    target: &'a Target,
    channel: &'a str,
    outbox: &'a Outbox,
    echo: Option<Echo>,
    /// What is under way on the connection, in order.
    flights: VecDeque<Batch>,
    /// What earlier connections left unconfirmed; older than all in the outbox.
    unconfirmed: VecDeque<Batch>,
    /// Whether it is TLS that the server expects has been asked, or need not be.
    asked_for_tls: bool,
    /// The server has confirmed a message once: from then on no failure is taken for lasting.
    proven: bool,
}

impl Session<'_> {
    async fn run(&mut self, mut local: Option<&mut Local>, mut backoff: Backoff) -> Result<(), BusError> {
        let mut down_since: Option<Instant> = None;
        let mut noticed_at: Option<Instant> = None;
        loop {
            let sent_before = self.outbox.snapshot().sent;
            let ended = match self.connect(local.as_deref_mut()).await {
                Ok(mut connection) => {
                    self.announce(down_since.take());
                    noticed_at = None;
                    self.outbox.set_link(true);
                    let ended = self.deliver(&mut connection).await;
                    self.outbox.set_link(false);
                    // All of it was sent before what was still to be sent again, if anything was.
                    self.flights.append(&mut self.unconfirmed);
                    std::mem::swap(&mut self.flights, &mut self.unconfirmed);
                    ended
                }
                Err(cause) => Ended::Failed(cause),
            };
            let text = match ended {
                Ended::Finished => return Ok(()),
                Ended::Failed(Cause::Lasting(error)) if !self.proven => return Err(error),
                Ended::Failed(Cause::Lasting(error)) => error.to_string(),
                Ended::Failed(Cause::Passing(text) | Cause::TooLong(text)) => text,
                Ended::Failed(Cause::Moved(_)) => "another node serves it".to_owned(),
            };
            if self.outbox.snapshot().sent > sent_before {
                backoff.reset();
            }
            down_since.get_or_insert_with(Instant::now);
            if noticed_at.is_none_or(|at| at.elapsed() >= NOTICE_EVERY) {
                noticed_at = Some(Instant::now());
                warn!("{text}; trying again");
            } else {
                debug!("{text}; trying again");
            }
            if self.outbox.is_finished() {
                return Ok(());
            }
            // The sequence is endless; a pause is needed all the same.
            tokio::time::sleep(backoff.next().unwrap_or(ANSWER_TIMEOUT)).await;
        }
    }

    fn announce(&self, down_since: Option<Instant>) {
        let endpoint = self.target.endpoint();
        let Snapshot { link, queued, dropped, .. } = self.outbox.snapshot();
        let Some(since) = down_since.filter(|_| link == Link::Down) else {
            info!("connected to {endpoint}");
            return;
        };
        let away_s = since.elapsed().as_secs_f64();
        info!("connected to {endpoint} again after {away_s:.1} s; {queued} ticks waited, {dropped} dropped so far");
    }

    async fn connect(&mut self, local: Option<&mut Local>) -> Result<Connection, Cause> {
        if let Some(local) = local {
            let role = local.ensure().await.map_err(|error| Cause::Lasting(error.into()))?;
            debug!(?role, "local server");
        }
        let endpoint = self.target.endpoint();
        let mut connection = Connection::open(&endpoint, self.channel).await?;
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
        let endpoint = self.target.endpoint();
        let (mut heard, mut looked) = (Instant::now(), Instant::now());
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut in_flight = 0;
        loop {
            if in_flight == 0 {
                heard = Instant::now();
            }
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
                    Ok(Moved::Closed) => return Ended::Failed(Cause::closed(&endpoint)),
                    Err(error) => return Ended::Failed(Cause::lost(&endpoint, &error)),
                },
                () = self.outbox.filled(), if in_flight < IN_FLIGHT_MAX && connection.has_room() => {}
                _ = looks.tick() => {
                    // This process stood still, not the server: what came meanwhile has yet to be looked at.
                    if looked.elapsed() >= STANDSTILL {
                        heard = Instant::now();
                    }
                    looked = Instant::now();
                    if in_flight > 0 && heard.elapsed() >= SILENCE_MAX {
                        return Ended::Failed(Cause::silent(&endpoint));
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
        let endpoint = self.target.endpoint();
        let (mut confirmed, mut last) = (0, 0);
        let failure = loop {
            match (connection.reply(), self.flights.front_mut()) {
                (Ok(None), _) => break None,
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
                (Ok(Some(Reply::Error(reply))), Some(_)) => break Some(Cause::refused(&endpoint, &reply)),
                // Not a number, or an answer that nobody asked for.
                (Ok(Some(_)), None) | (Err(NotResp), _) => break Some(Cause::not_redis(&endpoint)),
            }
        };
        if confirmed > 0 {
            self.proven = true;
            self.outbox.confirm(confirmed, last);
        }
        failure.map_or(Ok(confirmed), Err)
    }
}
