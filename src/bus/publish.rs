//! Publishing over a connection that comes back by itself.
//!
//! Messages leave the [`Outbox`] in batches, as pipelines of `PUBLISH`, several of them under way at a time. A batch
//! counts as sent when the server has confirmed it. One whose confirmation got lost with the connection is sent again
//! first, so a message may arrive twice (readers tell by `source` and `seq`), but none is lost in silence.

mod cause;
mod outbox;

pub use outbox::{Link, Message, Outbox, Overflow, Snapshot};

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::bus::publish::cause::Cause;
use crate::bus::{Backoff, BusError, Local, Target, socket};

/// Most messages in one pipeline. Larger ones save nothing more, and a lost one is sent twice as a whole.
const BATCH_MESSAGES_MAX: usize = 256;

/// Pipelines under way at a time: enough that the server seldom waits for us. Measured: its core was then up to 95 %
/// busy.
const PIPELINES_MAX: usize = 8;

/// A server that leaves a pipeline unanswered for this long is taken for gone. It may be busy with a slow script for
/// seconds; users are promised to see a loss within three.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// While the server is away, say so at most this often.
const NOTICE_EVERY: Duration = Duration::from_secs(5);

/// Name of the connection in `CLIENT LIST`.
const CLIENT_NAME: &str = "tickscope-producer";

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
        Target::Given(_) => None,
    };
    let mut session = Session { target, channel, outbox, echo, unconfirmed: VecDeque::new(), proven: false };
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
    /// Messages of earlier connections that were never confirmed; older than all in the outbox.
    unconfirmed: VecDeque<Message>,
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
                    ended
                }
                Err(cause) => Ended::Failed(cause),
            };
            let text = match ended {
                Ended::Finished => return Ok(()),
                Ended::Failed(Cause::Lasting(error)) if !self.proven => return Err(error),
                Ended::Failed(Cause::Lasting(error)) => error.to_string(),
                Ended::Failed(Cause::Passing(text)) => text,
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
            tokio::time::sleep(backoff.next().unwrap_or(RESPONSE_TIMEOUT)).await;
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

    /// Opens a connection, logs in, and hears the server answer.
    async fn connect(&mut self, local: Option<&mut Local>) -> Result<Connection, Cause> {
        if let Some(local) = local {
            let role = local.ensure().await.map_err(|error| Cause::Lasting(error.into()))?;
            debug!(?role, "local server");
        }
        let endpoint = self.target.endpoint();
        let stream = socket::connect(&endpoint).await.map_err(|error| Cause::unreachable(&endpoint, &error))?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIMEOUT));
        // The crate would log in itself, but keep the server's reason for a refusal to itself.
        let plain = RedisConnectionInfo::default().set_skip_set_lib_name();
        let failed = |error: RedisError| Cause::of(&endpoint, &error);
        let (mut requests, driver) =
            MultiplexedConnection::new_with_config(&plain, stream, config).await.map_err(failed)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(driver);
        if let Some(auth) = auth(endpoint.connection_info().redis_settings()) {
            auth.exec_async(&mut requests).await.map_err(failed)?;
        }
        let mut setname = redis::cmd("CLIENT");
        setname.arg("SETNAME").arg(CLIENT_NAME);
        // A courtesy to operators, which an ACL may refuse; but whatever answers has to answer like a Redis.
        match setname.exec_async(&mut requests).await {
            Err(error) if error.code().is_none() => return Err(failed(error)),
            _ => {}
        }
        match redis::cmd("PING").exec_async(&mut requests).await {
            // A user who may only publish is refused a PING, by a server that is there.
            Err(error) if error.kind() != ErrorKind::Server(ServerErrorKind::NoPerm) => Err(failed(error)),
            _ => Ok(Connection { requests, tasks }),
        }
    }

    /// Publishes until the end or a loss. Whatever was not confirmed is kept.
    async fn deliver(&mut self, connection: &mut Connection) -> Ended {
        let mut flights: VecDeque<Flight> = VecDeque::with_capacity(PIPELINES_MAX);
        let failure = loop {
            while flights.len() < PIPELINES_MAX
                && let Some(batch) = self.next_batch()
            {
                flights.push_back(Flight::new(connection.requests.clone(), self.channel, batch));
            }
            if flights.is_empty() && self.outbox.is_finished() {
                return Ended::Finished;
            }
            let landed = tokio::select! {
                biased;
                () = poll_fn(|context| poll_front(&mut flights, context)), if !flights.is_empty() => true,
                () = self.outbox.filled(), if flights.len() < PIPELINES_MAX => false,
                _ = connection.tasks.join_next() => {
                    break Cause::Passing(format!("{} closed the connection", self.target.endpoint()));
                }
            };
            if landed
                && let Some(flight) = flights.pop_front()
                && let Some(error) = self.land(flight)
            {
                break Cause::of(&self.target.endpoint(), &error);
            }
        };
        for flight in flights {
            self.land(flight);
        }
        Ended::Failed(failure)
    }

    /// What is to be sent next: first what an earlier connection left unconfirmed.
    fn next_batch(&mut self) -> Option<Vec<Message>> {
        let batch: Vec<Message> = if self.unconfirmed.is_empty() {
            self.outbox.take(BATCH_MESSAGES_MAX)
        } else {
            let count = self.unconfirmed.len().min(BATCH_MESSAGES_MAX);
            self.unconfirmed.drain(..count).collect()
        };
        (!batch.is_empty()).then_some(batch)
    }

    /// Counts what the server confirmed of `flight` and keeps the rest; says what went wrong.
    fn land(&mut self, flight: Flight) -> Option<RedisError> {
        let replies = match flight.outcome {
            Some(Ok(replies)) => replies,
            Some(Err(error)) => {
                self.unconfirmed.extend(flight.batch);
                return Some(error);
            }
            None => {
                self.unconfirmed.extend(flight.batch);
                return None;
            }
        };
        let (mut confirmed, mut receivers, mut failure) = (0, 0, None);
        let mut replies = replies.into_iter();
        for message in flight.batch {
            match replies.next() {
                Some(Value::Int(count)) => {
                    receivers = u64::try_from(count).unwrap_or(0);
                    confirmed += 1;
                    if let (Some(line), Some(echo)) = (&message.line, &mut self.echo) {
                        echo(line, receivers);
                    }
                }
                reply => {
                    failure = Some(match reply {
                        Some(Value::ServerError(error)) => error.into(),
                        _ => {
                            RedisError::from((ErrorKind::UnexpectedReturnType, "PUBLISH was not answered by a number"))
                        }
                    });
                    self.unconfirmed.push_back(message);
                }
            }
        }
        if confirmed > 0 {
            self.proven = true;
            self.outbox.confirm(confirmed, receivers);
        }
        failure
    }
}

/// The command that logs in, if there is a password. Channels are the same in all databases, so none is selected.
fn auth(settings: &RedisConnectionInfo) -> Option<redis::Cmd> {
    let password = settings.password()?;
    let mut auth = redis::cmd("AUTH");
    if let Some(username) = settings.username() {
        auth.arg(username);
    }
    auth.arg(password);
    Some(auth)
}

/// A connection that answered; dropping it closes it.
struct Connection {
    requests: MultiplexedConnection,
    /// The one task that moves its bytes. It ends when the connection does.
    tasks: JoinSet<()>,
}

/// A pipeline under way.
struct Flight {
    batch: Vec<Message>,
    request: Pin<Box<dyn Future<Output = RedisResult<Vec<Value>>> + Send>>,
    outcome: Option<RedisResult<Vec<Value>>>,
}

impl Flight {
    fn new(mut requests: MultiplexedConnection, channel: &str, batch: Vec<Message>) -> Self {
        let mut pipeline = redis::Pipeline::with_capacity(batch.len());
        for message in &batch {
            pipeline.cmd("PUBLISH").arg(channel).arg(message.payload.as_slice());
        }
        let count = batch.len();
        let request = Box::pin(async move { requests.req_packed_commands(&pipeline, 0, count).await });
        Self { batch, request, outcome: None }
    }
}

/// Drives all flights, in order, so that they also leave in order; ready when the first has landed.
fn poll_front(flights: &mut VecDeque<Flight>, context: &mut Context<'_>) -> Poll<()> {
    for flight in flights.iter_mut().filter(|flight| flight.outcome.is_none()) {
        if let Poll::Ready(outcome) = flight.request.as_mut().poll(context) {
            flight.outcome = Some(outcome);
        }
    }
    match flights.front() {
        Some(flight) if flight.outcome.is_some() => Poll::Ready(()),
        _ => Poll::Pending,
    }
}
