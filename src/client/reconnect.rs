//! Reconnect loop shared by all sessions. Runs a session until it fails, classifies the error, backs off and retries.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::client::Backoff;
use crate::client::discovery::Discovery;
use crate::client::error::{ClientError, SessionError, SessionResult};

/// A session that was live for this long was healthy, even if nothing arrived.
const HEALTHY_AFTER: Duration = Duration::from_secs(5);

/// Minimum time between two attempts, so that a server that closes connections at once is not flooded.
const ATTEMPTS_EVERY: Duration = Duration::from_millis(20);

/// Interval of warnings about the same error on one connection: a night without a server makes some thousand lines, not
/// fifty thousand.
const REPEAT_EVERY: Duration = Duration::from_secs(10);

/// Interval of warnings about any error on connections that share a [`RetryLog`].
const SHARED_EVERY: Duration = Duration::from_secs(5);

/// State of a reader's connection. A first attempt that fails makes it [`Down`](Self::Down), because the user is told
/// the reason; a publisher's [`ConnectionStatus`](crate::client::ConnectionStatus) is connecting until the first
/// success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// The first attempt is in progress.
    Connecting,
    /// The session receives what is published.
    Live,
    /// The connection is down, for this reason, which is safe to display. Attempts continue.
    Down(String),
}

/// Progress of one run of a session.
#[derive(Debug, Default)]
pub(super) struct SessionProgress {
    live_since: Option<Instant>,
    /// Something was delivered.
    pub(super) has_delivered: bool,
}

/// Session over a connection that the reconnect loop keeps up.
pub(super) trait Session: Send {
    /// True if a redirection of a live session counts as an outage.
    const REDIRECT_IS_OUTAGE: bool = true;

    /// Connects and transfers data until an error, or until there is nothing more to do.
    fn run(&mut self, discovery: &mut Discovery) -> impl Future<Output = SessionResult> + Send;

    /// Progress of the current run.
    fn progress(&mut self) -> &mut SessionProgress;

    /// Receives each change of the connection's state.
    fn on_link(&mut self, state: LinkState);

    /// Records that the session is live.
    fn set_live(&mut self) {
        self.progress().live_since = Some(Instant::now());
        self.on_link(LinkState::Live);
    }

    /// Returns true if a fatal error of a live session is retried, because the session has worked before.
    fn retries_fatal(&self) -> bool {
        true
    }

    /// Completes the work of a session that was stopped or is finished.
    fn leave(&mut self, _discovery: &mut Discovery) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Runs `session` until it is finished or `stop` resolves, and restarts it after each error.
///
/// # Errors
/// A fatal error of a session that has not worked before.
pub(super) async fn run_with_reconnect(
    session: &mut impl Session,
    mut discovery: Discovery,
    stop: impl Future<Output = ()>,
    log: &RetryLog,
    rng: ChaCha8Rng,
) -> Result<(), ClientError> {
    session.on_link(LinkState::Connecting);
    let ended = tokio::select! {
        biased;
        () = stop => Ok(()),
        ended = restart(session, &mut discovery, log, Backoff::new(rng)) => ended,
    };
    if ended.is_ok() {
        session.leave(&mut discovery).await;
    }
    discovery.shutdown().await;
    ended
}

/// Runs `session` until it is finished, and restarts it after each error.
async fn restart<S: Session>(
    session: &mut S,
    discovery: &mut Discovery,
    log: &RetryLog,
    mut backoff: Backoff,
) -> Result<(), ClientError> {
    let mut was_live = false;
    loop {
        let started = Instant::now();
        let Err(error) = session.run(discovery).await else { return Ok(()) };
        let SessionProgress { live_since, has_delivered } = std::mem::take(session.progress());
        let retries_fatal = if live_since.is_some() { session.retries_fatal() } else { was_live };
        was_live |= live_since.is_some();
        if has_delivered || live_since.is_some_and(|since| since.elapsed() >= HEALTHY_AFTER) {
            backoff.reset();
            discovery.confirm();
        }
        let (text, follows_redirect) = match error {
            SessionError::Fatal(error) if !retries_fatal => return Err(error),
            SessionError::Fatal(error) => (error.to_string(), false),
            SessionError::Transient(text) | SessionError::ReplyTooLong(text) => (text, false),
            SessionError::Redirect(redirect) => {
                let text = format!("{} redirects to another node of the cluster", discovery.endpoint());
                (text, discovery.follow(redirect))
            }
        };
        if !follows_redirect && log.should_warn(&text, live_since.is_some()) {
            warn!("{text}; trying again");
        } else {
            debug!("{text}; trying again");
        }
        let is_outage = !follows_redirect || (live_since.is_some() && S::REDIRECT_IS_OUTAGE);
        if is_outage {
            session.on_link(LinkState::Down(text));
        }
        // The sequence is endless.
        let delay = if follows_redirect { Duration::ZERO } else { backoff.next().unwrap_or(HEALTHY_AFTER) };
        // The backoff is measured from the start of the attempt, so that a slow failure is not followed by a full
        // pause.
        let elapsed = if live_since.is_none() { started.elapsed() } else { Duration::ZERO };
        let pause = delay.saturating_sub(elapsed).max(ATTEMPTS_EVERY);
        tokio::time::sleep(pause).await;
    }
}

/// Resolves when `shutdown` turns true or its sender is gone.
pub(crate) async fn stopped(mut shutdown: watch::Receiver<bool>) {
    // The sender is dropped only when the program ends.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// Waits for the first failure of any task, or for the end of all. Panics if a task did.
pub(crate) async fn all_ended(tasks: &mut JoinSet<Result<(), ClientError>>) -> Result<(), ClientError> {
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(outcome) => outcome?,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Limits the warnings about failed attempts.
#[derive(Debug, Clone)]
pub struct RetryLog {
    is_shared: bool,
    /// Text and time of the last warning.
    last: Arc<Mutex<Option<(String, Instant)>>>,
}

impl RetryLog {
    /// Creates a log for the connections to one cluster, which all fail when it is down: one of them warns. Clones
    /// share the limit.
    pub fn shared() -> Self {
        Self { is_shared: true, last: Arc::default() }
    }

    /// Creates a log for one connection. It warns of each new error, and of the first error after each outage.
    pub(super) fn single() -> Self {
        Self { is_shared: false, last: Arc::default() }
    }

    /// Makes the next error a warning.
    pub(super) fn reset(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn should_warn(&self, text: &str, was_live: bool) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = last.as_ref().is_some_and(|(warned, at)| {
            if self.is_shared {
                at.elapsed() < SHARED_EVERY
            } else {
                warned == text && !was_live && at.elapsed() < REPEAT_EVERY
            }
        });
        if !is_recent {
            *last = Some((text.to_owned(), Instant::now()));
        }
        !is_recent
    }
}
