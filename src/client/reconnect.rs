//! Coming back: one flat loop around sessions of any kind, each of which ends with a cause.

use std::convert::Infallible;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::client::discovery::Locator;
use crate::client::error::Cause;
use crate::client::{Backoff, ClientError};

/// A session that lasted this long was healthy, even if nothing came.
const HEALTHY_AFTER: Duration = Duration::from_secs(5);

/// An attempt that fails for the same reason as the one before it is told this often: a night without a server is some
/// thousand lines, not fifty thousand.
const SAME_CAUSE_EVERY: Duration = Duration::from_secs(10);

/// Least time between two attempts, whatever else is said: a server that hangs up at once is not called in a rush.
const ATTEMPTS_EVERY: Duration = Duration::from_millis(20);

/// How the connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// The first attempt is under way.
    Connecting,
    /// Subscribed, or reading; what is published arrives.
    Live,
    /// Not connected: why, in words that are safe to show. Attempts go on.
    Down(String),
}

/// How far a session came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reached {
    /// Since when it is live.
    pub(super) live_since: Option<Instant>,
    /// Something was delivered.
    pub(super) has_delivered: bool,
}

/// What is kept up.
pub(super) trait Session: Send {
    /// Connects and delivers until something ends it: there is no end but by a cause.
    fn run(&mut self, locator: &mut Locator) -> impl Future<Output = Result<Infallible, Cause>> + Send;

    /// How far the last [`run`](Self::run) came; forgotten with this.
    fn take_reached(&mut self) -> Reached;

    /// Tells whoever listens how the connection stands.
    fn link(&mut self, state: LinkState);
}

/// Runs one session after the other until `shutdown` turns true.
///
/// # Errors
/// Only what trying again cannot mend, and only before a session was live for the first time: later, everything is
/// retried.
pub(super) async fn keep_up(
    session: &mut impl Session,
    mut locator: Locator,
    shutdown: &mut watch::Receiver<bool>,
    rng: ChaCha8Rng,
) -> Result<(), ClientError> {
    let mut backoff = Backoff::new(rng);
    let mut was_live = false;
    let mut told: Option<(String, Instant)> = None;
    session.link(LinkState::Connecting);
    let outcome = loop {
        let begun = Instant::now();
        let Err(cause) = tokio::select! {
            biased;
            () = stopped(shutdown) => break Ok(()),
            ended = session.run(&mut locator) => ended,
        };
        let Reached { live_since, has_delivered } = session.take_reached();
        was_live |= live_since.is_some();
        if has_delivered || live_since.is_some_and(|since| since.elapsed() >= HEALTHY_AFTER) {
            backoff.reset();
            locator.confirm();
        }
        let (text, at_once) = match cause {
            Cause::Lasting(error) if !was_live => break Err(error),
            Cause::Lasting(error) => (error.to_string(), false),
            Cause::Passing(text) | Cause::TooLong(text) => (text, false),
            Cause::Moved(redirect) => {
                let text = format!("{} sends us to another node", locator.found());
                (text, locator.redirect(redirect))
            }
        };
        let is_old = told.as_ref().is_some_and(|(old, at)| *old == text && at.elapsed() < SAME_CAUSE_EVERY);
        if at_once || (is_old && live_since.is_none()) {
            debug!("{text}; trying again");
        } else {
            warn!("{text}; trying again");
            told = Some((text.clone(), Instant::now()));
        }
        if !at_once || live_since.is_some() {
            session.link(LinkState::Down(text));
        }
        // The sequence is endless.
        let wait = if at_once { Duration::ZERO } else { backoff.next().unwrap_or(HEALTHY_AFTER) };
        // An attempt that was waited for in vain has had its pause: who tries again as soon as it has failed finds a
        // server that is back as early as one who was refused at once.
        let waited = if live_since.is_none() { begun.elapsed() } else { Duration::ZERO };
        let pause = wait.saturating_sub(waited).max(ATTEMPTS_EVERY);
        tokio::select! {
            biased;
            () = stopped(shutdown) => break Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    };
    locator.end().await;
    outcome
}

/// Resolves when `shutdown` turns true or its sender is gone.
pub(super) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could ask to stop, which is a stop as well.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
